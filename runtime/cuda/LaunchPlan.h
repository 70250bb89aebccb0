//===- What the host does for a program on a GPU --------------------------===//
//
// The part of a tile.program around its kernels, as plain data: i64 arithmetic over the symbols, buffers, loops and
// launches, in order. Written by codegen/cuda, kept in the kernel's blob, followed here once per call.
//===----------------------------------------------------------------------===//
#pragma once
#include "runtime/Kernel.h"
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace attnc {

struct LaunchPlan {
  enum class Op : uint8_t {
    Const, ///< constant
    Symbol,
    Loop, ///< position of a loop around launches
    Add,
    Sub,
    Mul,
    Max,
    Min,
    And,
    Or,
    Xor,
    Shl,
    Shr,
    FloorDiv,
    Div, ///< towards zero, as Rem
    Rem,
    Select,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge
  };
  /// Operands are numbers of earlier values.
  struct Value {
    Op op = Op::Const;
    int64_t constant = 0; ///< of Const; number of the symbol
    int operands[3] = {0, 0, 0};
  };
  struct Buffer { ///< between kernels, row-major
    int elementBytes = 1;
    std::vector<int> extents; ///< values; each counts as 1 at least
  };
  struct Argument {
    enum Kind : uint8_t { Integer, Tensor, Stored } kind = Integer;
    int index = 0; ///< value; number of the caller's tensor; number of the buffer
    int rank = 0;
  };
  struct Step {
    enum Kind : uint8_t { Compute, Launch, For } kind = Compute;
    int value = 0;                       ///< Compute: which; For: the loop's position
    int kernel = 0;                      ///< Launch
    int instances = 0, scratchBytes = 0; ///< Launch: values
    std::vector<Argument> arguments;     ///< Launch
    int lo = 0, hi = 0, step = 0;        ///< For: values
    std::vector<Step> body;              ///< For
  };
  struct Kernel {
    std::string name; ///< as exported
    int threads = 0;  ///< of a block
  };

  std::vector<Value> values;
  std::vector<Buffer> buffers;
  std::vector<Kernel> kernels;
  std::vector<Step> steps;
  int tensors = 0; ///< of the caller

  std::string serialize() const;
  /// False for bytes that are cut or whose numbers point nowhere.
  static bool parse(std::string_view bytes, LaunchPlan &plan);

  /// Bytes of all buffers, INT64_MAX where they do not fit.
  int64_t workspaceBytes(const int64_t *symbols) const;

  /// One launch: the arguments of the kernel in order, without the first three (instances, scratch memory, its bytes).
  struct LaunchArgument {
    bool pointer = false;
    int64_t value = 0;
  };
  using Launcher = std::function<bool(const Kernel &kernel, int64_t instances, int64_t scratchBytes,
                                      const std::vector<LaunchArgument> &arguments)>;
  /// Follows the plan; stops when a launch says false.
  bool follow(const KernelContext &ctx, const Launcher &launch) const;
};

} // namespace attnc
