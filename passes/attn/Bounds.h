//===- Bounds of integer values as extents ---------------------------------===//
//
// Intervals whose ends are extents, by the shape of the expression alone. Wrong would be unsafe, unknown is only slow:
// what is not plainly inside stays unknown.
//===----------------------------------------------------------------------===//
#pragma once
#include "dialect/attn/Attn.h"

namespace attnc::attn {

class Bounds {
public:
  explicit Bounds(const AxisTable &table) : table_(table) {}
  /// 0 <= v < extent of axis.
  bool inside(mlir::Value v, mlir::StringAttr axis) { return inside(v, table_.extent(axis)); }
  /// 0 <= v < limit, `limit` a constant or extent op.
  bool within(mlir::Value v, mlir::Value limit);
  /// A condition that has the same value at every position.
  std::optional<bool> truth(mlir::Value v);

private:
  struct Range {
    ExtentRef low, high; ///< inclusive; null: unknown
  };
  bool inside(mlir::Value v, const ExtentRef &extent);
  Range of(mlir::Value v);
  Range compute(mlir::Value v);
  ExtentRef asExtent(mlir::Value v);
  bool atLeast(const ExtentRef &e, int64_t n);
  /// x + by <= y.
  bool below(const ExtentRef &x, const ExtentRef &y, int64_t by);

  const AxisTable &table_;
  llvm::DenseMap<mlir::Value, Range> known_;
};

} // namespace attnc::attn
