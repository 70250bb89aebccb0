//===- The passes of the CUDA code generator, in order --------------------===//
#include "codegen/cuda/Cuda.h"
#include "codegen/cuda/Passes.h"
#include "dialect/tile/Tile.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace attnc::cuda {

void registerCudaDialects(DialectRegistry &registry) {
  registry.insert<tile::TileDialect, arith::ArithDialect, func::FuncDialect, gpu::GPUDialect, math::MathDialect,
                  memref::MemRefDialect, scf::SCFDialect>();
}

bool lowerTile(ModuleOp module, std::string &error) {
  PassManager pm(module.getContext(), ModuleOp::getOperationName());
  pm.addPass(createTileToGpu());
  // Indices repeat from load to load.
  pm.addPass(createCSEPass());
  if (succeeded(pm.run(module)))
    return true;
  error = "a pass failed";
  return false;
}

} // namespace attnc::cuda
