//===- What a caller has to know of a mixer -------------------------------===//
//
// Plain data, made by the frontend, kept in kernel cache entries, read by the runtime to bind arguments. A cached run
// has only this and the kernel, so every message about arguments is made from it.
//===----------------------------------------------------------------------===//
#pragma once
#include "runtime/DType.h"
#include "runtime/Extent.h"
#include <optional>
#include <string>
#include <vector>

namespace attnc {

/// An unknown extent, learned from the arguments. `name` is the sequence or axis that carries it.
struct Symbol {
  std::string name;
  bool feature = false; ///< a compiled kernel is specialised on its value
};

/// One dimension as the caller sees it: a single axis, or a composite flattened, last axis fastest.
struct Dim {
  std::string text;              ///< as a user would write it: "i", "(g r)", "t"
  std::vector<std::string> axes; ///< names of the leaf axes, outermost first
  std::vector<ExtentRef> radix;  ///< extent of each leaf axis
  ExtentRef length;              ///< positions that exist; below the product of radix when ragged
};

struct Argument {
  std::string name;
  std::optional<DType>
      dtype; ///< absent: an input takes the caller's float dtype, an output that of the first such input
  std::vector<Dim> dims;
  bool hasDefault = false; ///< inputs: may be left out
  std::string indexOf;     ///< inputs: `in NAME`; empty when nothing is promised
  ExtentRef indexBound;    ///< values must lie in -1 .. indexBound - 1
};

struct Requirement {
  ExtentRef condition; ///< must be nonzero
  std::string message; ///< what to print; for preconditions it names the axis
};

struct Param {
  std::string name;
  enum Kind : uint8_t { Bool, Int, Real } kind = Int;
  double real = 0;
  int64_t integer = 0;
  std::optional<DType> dtype;
};

struct Signature {
  std::string mixer;
  std::string doc;
  std::vector<Symbol> symbols;
  std::vector<Argument> inputs, outputs;
  std::vector<Requirement> requirements;
  std::vector<Param> params; ///< with the values in force
};

} // namespace attnc
