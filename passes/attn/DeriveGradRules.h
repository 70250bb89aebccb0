//===- Derivatives of single ops ------------------------------------------===//
#pragma once
#include "passes/attn/Build.h"

namespace attnc::attn {

/// What a value is owed: `value` where `where` holds (null: everywhere), else 0. Where it does not hold, the value is
/// anything, NaN included, as it may be made from operands that are not there; so 0 * anything is never computed.
struct Owed {
  mlir::Value value, where;
  explicit operator bool() const { return bool(value); }
};

/// The sum of both.
Owed sumOf(Build &b, Owed x, Owed y);
/// The value itself, 0 included.
mlir::Value materialise(Build &b, Owed x);
/// Summed along axes. Conditions without any of these axes go on to hold for the sum.
Owed sumAlong(Build &b, Owed x, llvm::ArrayRef<mlir::StringAttr> axes);

/// Whether a derivative flows from operand `i` to the op's results. Guards, indices, conditions and whatever is not
/// real have none.
bool isDifferentiable(mlir::Operation *op, unsigned i);

/// What operand `i` of a map is owed, given what its result is. Its axes may go beyond the operand's; they are summed
/// later.
Owed mapAdjoint(Build &b, MapOp op, unsigned i, Owed y);
/// The same for the operand of a reduction.
Owed reduceAdjoint(Build &b, ReduceOp op, const AxisTable &table, Owed y);
/// For all operands of a softmax; `ys` is null where a result is not used.
llvm::SmallVector<Owed> softmaxAdjoints(Build &b, SoftmaxOp op, llvm::ArrayRef<Owed> ys);

/// For the source of a read. Axes in `kept` are not summed.
///
///   y = x[n := e]      ->  x'[n] = sum over the reading side of y' where e == n
///
/// which, where e is another axis m plus something that does not depend on it, is a read the other way: y'[m := n -
/// something], where that is inside; in the same way for the flat positions of composites, x[n := e div U, u := e mod
/// U]. `y` is read at other positions than the op's own.
Owed readAdjoint(Build &b, ReadOp op, AxisTable &table, Owed y, llvm::ArrayRef<mlir::StringAttr> kept);

} // namespace attnc::attn
