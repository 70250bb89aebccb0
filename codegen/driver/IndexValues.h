//===- Values of index arithmetic in a tile program -----------------------===//
#pragma once
#include "mlir/IR/Value.h"
#include "llvm/ADT/DenseMap.h"
#include <optional>

namespace attnc {

/// Evaluates the integer arithmetic of a tile program, given the values of some block arguments.
class IndexValues {
public:
  void set(mlir::Value v, int64_t value) { known_[v] = value; }
  void forget(mlir::Value v) { known_.erase(v); }

  /// None where the value depends on data or on an argument that was not set; a select by data is its true side.
  /// Overflow wraps, as in the kernel.
  std::optional<int64_t> eval(mlir::Value v) const;

private:
  llvm::DenseMap<mlir::Value, int64_t> known_;
};

} // namespace attnc
