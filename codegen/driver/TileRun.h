//===- Running parts of a tile program, one scalar at a time --------------===//
//
// For what decides where a kernel goes: bounds, and nests that fill what bounds are read from. Slow and without a code
// generator; values that nobody gave are not known, and neither is what is computed from them.
//===----------------------------------------------------------------------===//
#pragma once
#include "dialect/tile/Tile.h"
#include "runtime/Tensor.h"
#include "llvm/ADT/DenseMap.h"
#include <optional>
#include <vector>

namespace attnc {

/// i64 and i1 are integers, f32 and f64 real; f32 is rounded after each op.
struct Scalar {
  bool known = false;
  int64_t integer = 0;
  double real = 0;
};

class TileRun {
public:
  void set(mlir::Value v, int64_t value) { values_[v] = {true, value, 0}; }
  void forget(mlir::Value v) { values_.erase(v); }
  /// The data of an argument.
  void give(mlir::Value buffer, const HostTensor &tensor);
  /// An op without regions and its results; a tile.alloc gets memory, arbitrary at first.
  void run(mlir::Operation &op);
  void run(tile::NestOp nest);
  std::optional<int64_t> integer(mlir::Value v) const;
  /// Points of nests that were looked at.
  int64_t points() const { return points_; }

private:
  struct Buffer {
    std::vector<int64_t> extents;
    std::vector<Scalar> elements; ///< row-major
  };

  Scalar value(mlir::Value v) const;
  Scalar apply(mlir::Operation &op) const;
  Scalar load(tile::LoadOp op) const;
  void store(mlir::Value buffer, mlir::ValueRange indices, Scalar x);
  /// -1: outside, or not known.
  int64_t place(const Buffer &buffer, mlir::ValueRange indices) const;
  bool each(mlir::OperandRange lo, mlir::OperandRange hi, mlir::Block::BlockArgListType args,
            llvm::function_ref<void()> body);

  llvm::DenseMap<mlir::Value, Scalar> values_;
  llvm::DenseMap<mlir::Value, Buffer> buffers_;
  int64_t points_ = 0;
};

} // namespace attnc
