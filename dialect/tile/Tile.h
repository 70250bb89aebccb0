//===- The tile dialect, for its users ------------------------------------===//
//
// Kernels over a grid, loops, loop nests with scalar bodies; see TileOps.td for the meaning of every op.
//===----------------------------------------------------------------------===//
#pragma once
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialect/tile/TileDialect.h.inc"
#include "dialect/tile/TileEnums.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialect/tile/TileTypes.h.inc"

namespace attnc::tile {

/// Positions lo .. hi-1 of a loop; both i64.
struct Range {
  mlir::Value lo, hi;
};

/// Attribute of a nest that seldom runs: little code is better than fast code.
constexpr llvm::StringLiteral kRare = "rare";
/// Attribute of an alloc: one value that holds for all rows will do for each of them.
constexpr llvm::StringLiteral kOverRows = "over_rows";

/// Fills a body from its par positions.
using PointBuilder = llvm::function_ref<void(mlir::OpBuilder &, mlir::Location, mlir::ValueRange par)>;
/// Fills a body from its par and inner positions, or a finish region from par positions and results.
using PairBuilder = llvm::function_ref<void(mlir::OpBuilder &, mlir::Location, mlir::ValueRange, mlir::ValueRange)>;
/// Fills a body and returns what it yields.
using YieldBuilder = llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::OpBuilder &, mlir::Location,
                                                                       mlir::ValueRange par, mlir::ValueRange red)>;

/// f16, bf16 -> f32; i32 -> i64; others themselves.
mlir::Type computeType(mlir::Type storage);

} // namespace attnc::tile

#define GET_OP_CLASSES
#include "dialect/tile/TileOps.h.inc"
