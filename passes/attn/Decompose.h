//===- Composite attn ops as primitive ones -------------------------------===//
//
// Used by attn-decompose for all of them and by attn-derive-grad for those that have no derivative of their own.
//===----------------------------------------------------------------------===//
#pragma once
#include "passes/attn/Build.h"

namespace attnc::attn {

/// The same value from primitive maps, or null for a primitive one.
mlir::Value decomposeMap(MapOp op);
/// mean, count, logsumexp, norm from sum and max; null for a primitive one.
mlir::Value decomposeReduce(ReduceOp op, const AxisTable &table);
/// One value per operand.
llvm::SmallVector<mlir::Value> decomposeSoftmax(SoftmaxOp op);
/// A recurrence along the axes. Inside a cycle (`nested`) a reduction over the positions up to each one instead, since
/// cycles do not nest.
mlir::Value decomposeCum(CumOp op, AxisTable &table, int64_t cycle, bool nested);
/// How many elements take part in a reduction: i64 without the reduced axes.
mlir::Value countElements(Build &b, const AxisTable &table, llvm::ArrayRef<mlir::StringAttr> axes, mlir::Value guard);

} // namespace attnc::attn
