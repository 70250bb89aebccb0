//===- What a tile program does, in numbers -------------------------------===//
//
// Walks the program with the extents of one call: grid, loops and nests of every kernel, arithmetic operations, bytes
// of the buffers touched, workspace. Bounds that depend on loop positions are followed exactly for short loops and at
// evenly spaced positions for long ones; bounds that depend on data are taken as one trip, and the answer says that it
// is approximate.
//===----------------------------------------------------------------------===//
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "runtime/Signature.h"
#include <string>
#include <vector>

namespace attnc {

struct Explanation {
  std::string json; ///< as documented in docs/cli.md
  std::string text; ///< the same for people
  double flops = 0, bytes = 0;
};

/// `symbols`: values of all symbols of the signature. `worker`: what has scratch memory of its own, "thread" or
/// "block".
Explanation explainProgram(mlir::ModuleOp module, const Signature &signature, const std::vector<int64_t> &symbols,
                           const char *worker);

} // namespace attnc
