//===- Values of index arithmetic in a tile program -----------------------===//
#pragma once
#include "mlir/IR/Value.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/DenseMap.h"
#include <optional>

namespace attnc {

/// What an op of integer arithmetic gives for values of its operands; none where one that counts is not known, or for
/// another op. Overflow wraps, as in the kernel. A select by what is not known is its true side: a condition on data
/// asks whether something may be skipped, and the usual answer is yes.
std::optional<int64_t> indexOp(mlir::Operation *op, llvm::ArrayRef<std::optional<int64_t>> operands);

/// Evaluates the integer arithmetic of a tile program, given the values of some block arguments.
class IndexValues {
public:
  void set(mlir::Value v, int64_t value) { known_[v] = value; }
  void forget(mlir::Value v) { known_.erase(v); }

  /// None where the value depends on data or on an argument that was not set.
  std::optional<int64_t> eval(mlir::Value v) const;

private:
  std::optional<int64_t> eval(mlir::Value v, llvm::DenseMap<mlir::Value, std::optional<int64_t>> &seen) const;

  llvm::DenseMap<mlir::Value, int64_t> known_;
};

} // namespace attnc
