//===- Code for one tile.nest ---------------------------------------------===//
#pragma once
#include "codegen/cpu/Point.h"

namespace attnc::cpu {

struct PackedOperands;

/// Emits loops for the nest at the builder's place. `scratch`: memory of nestScratch() bytes, 64-byte aligned; null: do
/// without. `packed`: operands of its contraction.
void emitNest(Ir &ir, Scope &scope, const Machine &machine, tile::NestOp nest, mlir::Value scratch,
              const PackedOperands *packed = nullptr);

/// Memory of the function around, for so many of a type.
mlir::Value onStack(Ir &ir, mlir::Type type, int64_t count);

int64_t nestScratch(const Machine &machine, tile::NestOp nest);

/// Which loop runs in lanes. Dims are numbered par first, then inner.
struct NestPlan {
  int vectorDim = -1; ///< -1: scalar code
  unsigned width = 1;
  int storeDim = -1;    ///< >= 0: stores run in lanes along this dim instead
  bool compact = false; ///< one copy of the body, at the price of speed
  /// Caller's tensors whose last stride must be 1 for the loads to be contiguous.
  llvm::SmallVector<mlir::Value> unitBuffers;
};
/// `callerUnit`: the last dims of the caller's tensors may be taken as contiguous, if checked. `shortDim`: a dim with a
/// few positions, whatever its bounds say; -1: none.
NestPlan planNest(const Scope &scope, const Machine &machine, tile::NestOp nest, bool callerUnit, int shortDim = -1);

/// A bound on hi - lo that the text of the bounds shows: of blocks (min(lo + 64, n)) and of steps (0 or 1).
std::optional<int64_t> atMost(mlir::Value lo, mlir::Value hi, int depth = 4);

/// Dims (as bits) that each value of a nest's body depends on.
llvm::DenseMap<mlir::Value, unsigned> dependences(mlir::Block &body);

/// The operands of a tree of `and`.
void conjuncts(mlir::Value v, llvm::SmallVectorImpl<mlir::Value> &all);

/// Emits the loops as planned. `few`: a par dim with a few positions, or -1.
void emitLoops(Ir &ir, Scope &scope, tile::NestOp nest, const NestPlan &plan, int few = -1);
/// The same where stores run along another dim than loads.
void emitTransposed(Ir &ir, Scope &scope, tile::NestOp nest, const NestPlan &plan);

} // namespace attnc::cpu
