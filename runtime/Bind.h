//===- Extents from arguments ---------------------------------------------===//
//
// Solves the symbols of a signature from the shapes of the arguments, and checks dtypes, ranks, extents, promises
// (`in`), requirements and preconditions. Every failure is one sentence that names the argument or axis, says what was
// found and what was expected. Used by eval and run alike, cached or not.
//===----------------------------------------------------------------------===//
#pragma once
#include "runtime/Signature.h"
#include "runtime/Tensor.h"
#include <map>

namespace attnc {

/// `inputs` lacks the left-out ones. On success `symbols` holds every extent (0 for those that only left-out inputs have).
bool bindArguments(const Signature &signature, const std::map<std::string, HostTensor> &inputs, std::vector<int64_t> &symbols,
                   std::string &error);
/// Shape of an argument once symbols are known.
std::vector<int64_t> argumentShape(const Argument &argument, const std::vector<int64_t> &symbols);
/// The dtype of an undeclared output: that of the first undeclared floating input passed, else f32.
DType outputDType(const Signature &signature, const Argument &output, const std::map<std::string, HostTensor> &inputs);

} // namespace attnc
