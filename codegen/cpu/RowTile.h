//===- Sums whose rows share operands -------------------------------------===//
#pragma once
#include "codegen/cpu/Nest.h"

namespace attnc::cpu {

/// A par dim (rows) and the last red dim of a sum in lanes, to be worked on in boxes of kRows x kSteps points, and what
/// is known of the points of a box once its corners are looked at.
struct RowTile {
  static constexpr int kRows = 8, kSteps = 8;
  int row, red;                     ///< dims of the nest
  mlir::Operation *guard = nullptr; ///< `select(conditions, term, 0)` that is yielded
  llvm::SmallVector<mlir::Value> conditions;
  /// Minima and maxima that keep a position in its tensor, and the operand that they keep inside.
  llvm::SmallVector<std::pair<mlir::Operation *, mlir::Value>> clamps;
};

/// Null: rows would share nothing, or what a point needs is not known from the corners of its box.
std::optional<RowTile> matchRowTile(tile::NestOp nest, const NestPlan &plan);

/// One box, for one chunk of lanes. `at`: knows all but the row and the last red dim.
class RowBox {
public:
  RowBox(Ir &ir, tile::NestOp nest, const RowTile &tile, Point &at, mlir::Value row, mlir::Value red);
  /// Whether all guards hold and no clamp moves anything at all points of the box; null: always.
  mlir::Value inside();
  /// Whether some guard holds nowhere in the box; null: never.
  mlir::Value outside();
  /// Adds all points to the rows' sums, without guards and clamps.
  llvm::SmallVector<mlir::Value> sum(mlir::ValueRange rows);

private:
  struct Interval {
    mlir::Value lo, hi;
  };
  using Split = std::pair<mlir::Value, int64_t>; ///< value + constant; no value: 0
  Interval interval(mlir::Value v);
  Split split(mlir::Value v);
  mlir::Value join(Split s);
  std::optional<Split> integer(mlir::Operation *op, Point &point);
  void emit(mlir::Operation *op, Point &point);

  Ir &ir;
  tile::NestOp nest;
  const RowTile &tile;
  Point &at;
  mlir::Value row, red;
  std::map<void *, Split> splits;
  std::map<std::pair<void *, int64_t>, mlir::Value> joined;
  std::map<std::tuple<mlir::Operation *, void *, void *>, mlir::Value> bases;
  std::map<std::pair<mlir::Operation *, std::vector<void *>>, Lane> made;
};

} // namespace attnc::cpu
