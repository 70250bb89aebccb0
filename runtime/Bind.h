//===- Extents from arguments ---------------------------------------------===//
//
// Solves the symbols of a signature from the shapes of the arguments, and checks dtypes, ranks, extents, promises
// (`in`), requirements and preconditions. Every failure is one sentence that names the argument or axis, says what was
// found and what was expected. Used by eval and run alike, cached or not.
//===----------------------------------------------------------------------===//
#pragma once
#include "runtime/Message.h"
#include "runtime/Signature.h"
#include "runtime/Tensor.h"
#include <map>
#include <optional>

namespace attnc {

/// `inputs` lacks the left-out ones. On success `symbols` holds every extent (0 for those that only left-out inputs
/// have).
bool bindArguments(const Signature &signature, const std::map<std::string, HostTensor> &inputs,
                   std::vector<int64_t> &symbols, Error &error);
/// "[b, i]": the dims as declared.
std::string dimsText(const Argument &argument);
/// Shape of an argument once symbols are known.
std::vector<int64_t> argumentShape(const Argument &argument, const std::vector<int64_t> &symbols);
/// The dtype of an undeclared output: that of the first undeclared floating input passed, else f32.
DType outputDType(const Signature &signature, const Argument &output, const std::map<std::string, HostTensor> &inputs);

/// Brings loaded arguments to the dtypes that the signature declares, where that loses nothing or the file format left
/// no choice: f32 (files have no bf16, rarely f16) to a declared 16-bit float, a narrower float to a wider one, i32 and
/// i64 into each other when every value fits. Undeclared floating inputs become `undeclared` when it is given. Other
/// mismatches are left to bindArguments.
bool adaptArguments(const Signature &signature, std::optional<DType> undeclared,
                    std::map<std::string, HostTensor> &inputs, Error &error);
/// Row-major copy in another dtype: floats round to nearest even, integers keep their low bits.
bool convertTensor(const HostTensor &from, DType dtype, HostTensor &to);

} // namespace attnc
