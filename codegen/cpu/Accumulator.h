//===- Running sums of a nest ---------------------------------------------===//
#pragma once
#include "codegen/cpu/Point.h"

namespace attnc::cpu {

inline bool isArg(tile::Combiner kind) { return kind == tile::Combiner::ArgMax || kind == tile::Combiner::ArgMin; }

/// a + b, or with `b` a product one FMA.
mlir::Value addTo(Ir &ir, mlir::Value a, mlir::Value b);

/// The running state of all combiners of a nest: one value each, three for argmax and argmin (key, position, found).
class Accumulator {
public:
  using Values = llvm::SmallVector<mlir::Value>;
  Accumulator(Ir &ir, tile::NestOp nest);

  Values start(unsigned width);
  /// `select(condition, term, identity)`, which is all that is combined.
  mlir::arith::SelectOp guard();
  /// State after one more point (per lane); lanes outside `mask` keep theirs.
  Values step(mlir::ValueRange state, Point &point, mlir::Value mask);
  /// Joins two states (or a state and yielded values).
  Values join(mlir::ValueRange a, mlir::ValueRange b, mlir::Value mask);
  /// Over the lanes; scalars of the same layout.
  Values acrossLanes(mlir::ValueRange state, unsigned width);
  /// What finish gets: one value per combiner.
  Values results(mlir::ValueRange state);

private:
  Values joinArg(tile::Combiner kind, mlir::ValueRange best, mlir::ValueRange next, mlir::Value mask);

  Ir &ir;
  llvm::SmallVector<tile::Combiner> kinds;
  Values yielded;
};

} // namespace attnc::cpu
