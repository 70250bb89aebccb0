//===- attn-opt: passes on dialect text, for tests ------------------------===//
#include "codegen/cpu/Cpu.h"
#include "codegen/cpu/Passes.h"
#include "codegen/cuda/Passes.h"
#include "dialect/attn/Attn.h"
#include "dialect/tile/Tile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"
#include "passes/Passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  registry.insert<attnc::attn::AttnDialect, attnc::tile::TileDialect, mlir::arith::ArithDialect,
                  mlir::func::FuncDialect, mlir::math::MathDialect>();
  attnc::cpu::registerCpuDialects(registry);
  attnc::registerAttncPasses();
  attnc::cpu::registerCpuPasses();
  attnc::cuda::registerCudaPasses();
  mlir::registerCanonicalizerPass(); // tests of code generation read better without what folds away
  mlir::registerCSEPass();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "attnc dialects and passes\n", registry));
}
