//===- Loads at clamped positions, under a guard --------------------------===//
//
//   %at = maxsi(minsi(%p, %n - 1), 0)
//   %x  = load %buf[%at]
//   select(%p >= 0 and %p < %n, f(%x), 0)
//
// Positions of neighbouring lanes are clamped to the same element only where the guard drops them. So the lanes of %x
// that matter are neighbours in memory: a masked load at %p, where the clamped positions would take a gather.
//===----------------------------------------------------------------------===//
#include "codegen/cpu/GuardedLoad.h"
#include "codegen/cpu/Nest.h"

using namespace mlir;
using namespace attnc;
using namespace attnc::cpu;

namespace {

/// value + constant, as far as the text shows.
std::pair<Value, int64_t> plus(Value v) {
  if (auto c = constantOf(v))
    return {Value(), *c};
  Operation *op = v.getDefiningOp();
  if (op && isa<arith::AddIOp, arith::SubIOp>(op))
    if (auto c = constantOf(op->getOperand(1)))
      return {op->getOperand(0), isa<arith::AddIOp>(op) ? *c : -*c};
  return {v, 0};
}

/// Whether a == b + by.
bool differBy(Value a, Value b, int64_t by) {
  auto x = plus(a), y = plus(b);
  return (a == b && by == 0) || (x.first == y.first && x.second == y.second + by);
}

/// Whether `c` says `position >= bound` (or <= where `most`).
bool says(Value c, Value position, Value bound, bool most) {
  auto cmp = c.getDefiningOp<arith::CmpIOp>();
  if (!cmp)
    return false;
  Value x = cmp.getLhs(), y = cmp.getRhs();
  arith::CmpIPredicate p = cmp.getPredicate();
  using P = arith::CmpIPredicate;
  if (y == position) {
    std::swap(x, y);
    p = p == P::slt ? P::sgt : p == P::sle ? P::sge : p == P::sgt ? P::slt : p == P::sge ? P::sle : p;
  }
  if (x != position)
    return false;
  // position < bound + 1, position > bound - 1
  return p == (most ? P::sle : P::sge)   ? differBy(y, bound, 0)
         : p == (most ? P::slt : P::sgt) ? differBy(y, bound, most ? 1 : -1)
                                         : false;
}

/// What keeps a position inside: at least `bound`, or at most.
struct Clamp {
  Value bound;
  bool most;
};

/// Finds the position below the clamps of `index` for which conditions say that each of them does nothing.
std::optional<GuardedIndex> below(Value index, ArrayRef<Value> conditions, SmallVectorImpl<Clamp> &clamps) {
  Operation *op = index.getDefiningOp();
  if (op && isa<arith::MinSIOp, arith::MaxSIOp>(op)) {
    for (unsigned side : {0, 1}) {
      clamps.push_back({op->getOperand(1 - side), isa<arith::MinSIOp>(op)});
      if (auto found = below(op->getOperand(side), conditions, clamps))
        return found;
      clamps.pop_back();
    }
    return std::nullopt;
  }
  GuardedIndex found{index, {}};
  for (const Clamp &clamp : clamps) {
    auto *c = llvm::find_if(conditions, [&](Value c) { return says(c, index, clamp.bound, clamp.most); });
    if (c == conditions.end())
      return std::nullopt;
    found.inside.push_back(*c);
  }
  return found;
}

} // namespace

std::optional<GuardedIndex> cpu::guardedIndex(tile::LoadOp load, unsigned index) {
  Operation *clamp = load.getIndices()[index].getDefiningOp();
  if (!clamp || !isa<arith::MinSIOp, arith::MaxSIOp>(clamp))
    return std::nullopt;
  // Every way from the load must lead into the true side of a select with the right conditions.
  std::optional<GuardedIndex> found;
  SmallVector<Value> todo{load.getResult()};
  llvm::SmallDenseSet<Operation *> seen;
  while (!todo.empty()) {
    Value v = todo.pop_back_val();
    for (Operation *user : v.getUsers()) {
      if (user->getBlock() != load->getBlock() || user->getNumResults() != 1)
        return std::nullopt;
      auto choice = dyn_cast<arith::SelectOp>(user);
      if (choice && choice.getTrueValue() == v && choice.getFalseValue() != v && choice.getCondition() != v) {
        SmallVector<Value> conditions;
        conjuncts(choice.getCondition(), conditions);
        SmallVector<Clamp> clamps;
        auto here = below(load.getIndices()[index], conditions, clamps);
        if (here && (!found || found->position == here->position)) {
          found = here;
          continue;
        }
      }
      if (seen.insert(user).second)
        todo.push_back(user->getResult(0));
    }
  }
  return found;
}
