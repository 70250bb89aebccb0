//===- Derivatives of single ops ------------------------------------------===//
#pragma once
#include "passes/attn/Build.h"

namespace attnc::attn {

/// Whether a derivative flows from operand `i` to the op's results. Guards, indices, conditions and whatever is not
/// real have none.
bool isDifferentiable(mlir::Operation *op, unsigned i);

/// Adjoint of operand `i` of a map, given that of its result. Its axes may go beyond the operand's; they are summed
/// later.
mlir::Value mapAdjoint(Build &b, MapOp op, unsigned i, mlir::Value adjoint);
/// The same for the operand of a reduction.
mlir::Value reduceAdjoint(Build &b, ReduceOp op, const AxisTable &table, mlir::Value adjoint);
/// For all operands of a softmax; `adjoints` has null where a result is not used.
llvm::SmallVector<mlir::Value> softmaxAdjoints(Build &b, SoftmaxOp op, llvm::ArrayRef<mlir::Value> adjoints);

/// Adjoint of the source of a read, and the axes of the reading side that are summed in it. Axes in `kept` are not
/// summed.
///
///   y = x[n := e]      ->  x'[n] = sum over the reading side of y' where e == n
///
/// which, where e is another axis m plus something that does not depend on it, is a read the other way: y'[m := n -
/// something], where that is inside. `adjoint` is read at other positions than the op's own.
mlir::Value readAdjoint(Build &b, ReadOp op, AxisTable &table, mlir::Value adjoint,
                        llvm::ArrayRef<mlir::StringAttr> kept);

} // namespace attnc::attn
