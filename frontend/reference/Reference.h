//===- The reference: naive float64 evaluation of the checked equations ---===//
//
// Evaluates the surface graph of a Program element by element, in float64 and int64, with absence as a property of each
// value. It shares no code with Presence, passes, codegen; gradients come from a tape of scalar operations. Slow on
// purpose.
//===----------------------------------------------------------------------===//
#pragma once
#include "frontend/Program.h"
#include "runtime/Message.h"
#include "runtime/Tensor.h"
#include <map>
#include <string>

namespace attnc {

/// Evaluates `program` on bound `inputs` (by name) with `symbols` the extents found by bindArguments(). Outputs are
/// float64, int64 or bool tensors in declared dim order. On failure (memory limit, an element that a precondition left
/// out) returns false and says why in `error`.
bool evaluateReference(const Program &program, const std::vector<int64_t> &symbols,
                       const std::map<std::string, HostTensor> &inputs, std::map<std::string, HostTensor> &outputs,
                       Error &error);

} // namespace attnc
