//===- Passes of the CPU code generator ----------------------------------------------------------------------------===//
#ifndef ATTNC_CPU_PASSES
#define ATTNC_CPU_PASSES

include "mlir/Pass/PassBase.td"

def TileToVector : Pass<"tile-to-vector", "::mlir::ModuleOp"> {
  let summary = "tile programs become functions of scf, arith, math, vector and LLVM memory ops";
  let options = [
    Option<"vectorBytes", "vector-bytes", "unsigned", "64", "width of the vector registers">,
    Option<"vectorise", "vectorise", "bool", "true", "use vectors at all">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect",
                           "::mlir::math::MathDialect", "::mlir::LLVM::LLVMDialect"];
}

def CpuExpandMath : Pass<"cpu-expand-math", "::mlir::ModuleOp"> {
  let summary = "math functions become arithmetic (f32) or calls of the helper table (f64); bf16 conversions become integer ops";
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect",
                           "::mlir::math::MathDialect", "::mlir::LLVM::LLVMDialect"];
}

def CpuShareLoops : Pass<"cpu-share-loops", "::mlir::ModuleOp"> {
  let summary = "loops that stand more than once become functions";
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

def CpuSplitFunctions : Pass<"cpu-split-functions", "::mlir::ModuleOp"> {
  let summary = "nests of large functions become functions";
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

def CpuToLLVM : Pass<"cpu-to-llvm", "::mlir::ModuleOp"> {
  let summary = "scf, arith, math, vector -> LLVM dialect";
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::cf::ControlFlowDialect", "::mlir::vector::VectorDialect"];
}

#endif
