//===- Read-outs of several recurrences at once ---------------------------===//
//
//   F = ... F[t-1] ...    R = ... R[t+1] ...
//   o = sum[a](q * (F + R))
// reads two states that never exist at the same time: one of them would have to be kept for all positions. As
//   o = sum[a](q * F) + sum[a](q * R)
// each read-out follows its own recurrence, and only its result is kept.
//===----------------------------------------------------------------------===//
#include "passes/attn/AttnToTilePlan.h"
#include "runtime/Tally.h"

using namespace mlir;

namespace attnc::totile {

/// Recurrences whose state `v` reads inline.
static llvm::SmallDenseSet<int64_t> statesOf(Value v) {
  llvm::SmallDenseSet<int64_t> states;
  llvm::SmallDenseSet<Value> seen;
  SmallVector<Value> todo{v};
  while (!todo.empty()) {
    Value at = resolve(todo.pop_back_val());
    if (!seen.insert(at).second)
      continue;
    Operation *op = at.getDefiningOp();
    if (auto eq = dyn_cast<attn::EquationOp>(op))
      states.insert(*eq.getCycle());
    else if (isa<attn::MapOp>(op))
      todo.append(op->operand_begin(), op->operand_end());
  }
  return states;
}

/// The terms of `v` where it is a sum, or a product with one, of different recurrences.
static SmallVector<Value> terms(OpBuilder &b, Value v) {
  auto map = resolve(v).getDefiningOp<attn::MapOp>();
  if (!map || statesOf(v).size() < 2)
    return {v};
  auto make = [&](attn::MapFn fn, ValueRange args) -> Value { return b.create<attn::MapOp>(map.getLoc(), fn, args); };
  SmallVector<Value> result;
  switch (map.getFn()) {
  case attn::MapFn::Add:
  case attn::MapFn::Sub:
    result = terms(b, map.getOperands()[0]);
    for (Value y : terms(b, map.getOperands()[1]))
      result.push_back(map.getFn() == attn::MapFn::Sub ? make(attn::MapFn::Neg, y) : y);
    return result;
  case attn::MapFn::Mul:
    for (Value x : terms(b, map.getOperands()[0]))
      for (Value y : terms(b, map.getOperands()[1]))
        result.push_back(make(attn::MapFn::Mul, {x, y}));
    return result;
  default:
    return {v};
  }
}

void splitReadOuts(Graph &graph) {
  for (auto reduce : llvm::make_early_inc_range(graph.mixer.getBody()->getOps<attn::ReduceOp>())) {
    Value v = resolve(reduce.getSource());
    if (reduce.getRed() != attn::Reduction::Sum || !attn::typeOf(v).isFloat() || statesOf(v).size() < 2)
      continue;
    OpBuilder b(reduce);
    SmallVector<Value> parts = terms(b, v);
    // Terms of one recurrence stay together.
    std::map<std::vector<int64_t>, Value> byState;
    for (Value part : parts) {
      auto states = statesOf(part);
      std::vector<int64_t> key(states.begin(), states.end());
      llvm::sort(key);
      Value &sum = byState[key];
      sum = sum ? b.create<attn::MapOp>(reduce.getLoc(), attn::MapFn::Add, ValueRange{sum, part}).getResult() : part;
    }
    // A term that lacks a reduced axis would count once instead of once per position: the reduction sees to that
    // itself.
    if (byState.size() < 2)
      continue;
    Value total;
    for (auto &[key, part] : byState) {
      Value one = b.create<attn::ReduceOp>(reduce.getLoc(), reduce.getRed(), reduce.getAxes(), part, reduce.getGuard());
      total =
          total ? b.create<attn::MapOp>(reduce.getLoc(), attn::MapFn::Add, ValueRange{total, one}).getResult() : one;
    }
    if (total.getType() != reduce.getResult().getType())
      continue;
    TALLY("attn-to-tile: the read-outs of several recurrences split");
    reduce.getResult().replaceAllUsesWith(total);
    reduce.erase();
  }
}

} // namespace attnc::totile
