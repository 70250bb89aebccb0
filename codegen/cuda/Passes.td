//===- Passes of the CUDA code generator ---------------------------------------------------------------------------===//
#ifndef ATTNC_CUDA_PASSES
#define ATTNC_CUDA_PASSES

include "mlir/Pass/PassBase.td"

def TileToGpu : Pass<"tile-to-gpu", "::mlir::ModuleOp"> {
  let summary = "each tile.kernel becomes a gpu.func whose every loop, index and barrier is visible; the program launches them";
  let description = [{
    One block works on one instance of the grid at a time, and takes the next one a grid's width further on. The points of a nest
    are dealt to the threads, last dim fastest; where a reduction has fewer points than the block has threads, several
    threads share a point along its last red dim. A barrier follows every nest. A scratch buffer of few bytes is shared
    memory, any other one a slice of global memory that belongs to the block.

    What needs more than scf, arith, math, memref and gpu is a call of a function of the device header (codegen/cuda/Device.h).

    In the program a tile.kernel becomes a `func.call` of a declaration outside the gpu.module: number of instances, bytes of global
    scratch memory per block, and what the kernel uses from outside. The gpu.func of that name takes the instances, the scratch memory,
    its bytes per block, and the same values, a buffer as a pointer and its strides (for an alloc without the last one, which is 1).
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::scf::SCFDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::math::MathDialect", "::mlir::gpu::GPUDialect", "::mlir::func::FuncDialect"];
}

#endif
