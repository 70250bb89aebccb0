//===- Masks as pictures --------------------------------------------------===//
#pragma once
#include "codegen/driver/MaskPlan.h"
#include "mlir/IR/BuiltinOps.h"

namespace attnc {

struct MaskDrawing {
  std::string json; ///< as documented in docs/cli.md
  std::string text, svg;
};

/// All kernels of the program that go through keys block by block. `symbols`: values of all symbols of the signature.
MaskDrawing drawMasks(mlir::ModuleOp module, const Signature &signature, const std::vector<int64_t> &symbols,
                      const MaskData &data);

} // namespace attnc
