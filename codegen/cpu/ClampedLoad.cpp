//===- Loads at clamped positions -----------------------------------------===//
//
//   %at = maxsi(minsi(%p, %n - 1), 0)
//   %x  = load %buf[%at]
//   select(%p >= 0 and %p < %n, f(%x), 0)
//
// Positions of neighbouring lanes are neighbours in memory as far as the clamp leaves them: a masked load at %p, with
// the element at the bound in the other lanes, where the clamped positions would take a gather. A guard that drops what
// the clamp moves saves that element and gives the mask.
//===----------------------------------------------------------------------===//
#include "codegen/cpu/ClampedLoad.h"
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

/// A condition that says that the clamp does nothing, and guards all that is made of the load.
Value guardOf(tile::LoadOp load, Value position, const ClampedIndex::Clamp &clamp) {
  Value found;
  SmallVector<Value> todo{load.getResult()};
  llvm::SmallDenseSet<Operation *> seen;
  while (!todo.empty()) {
    Value v = todo.pop_back_val();
    for (Operation *user : v.getUsers()) {
      if (user->getBlock() != load->getBlock() || user->getNumResults() != 1)
        return {};
      auto choice = dyn_cast<arith::SelectOp>(user);
      if (choice && choice.getTrueValue() == v && choice.getFalseValue() != v && choice.getCondition() != v) {
        SmallVector<Value> conditions;
        conjuncts(choice.getCondition(), conditions);
        auto *c = llvm::find_if(conditions, [&](Value c) { return says(c, position, clamp.bound, clamp.most); });
        if (c != conditions.end()) {
          found = *c; // others say the same
          continue;
        }
      }
      if (seen.insert(user).second)
        todo.push_back(user->getResult(0));
    }
  }
  return found;
}

} // namespace

std::optional<ClampedIndex> cpu::clampedIndex(tile::LoadOp load, unsigned index, function_ref<bool(Value)> moves) {
  ClampedIndex found{load.getIndices()[index], {}};
  while (Operation *op = found.position.getDefiningOp()) {
    if (!isa<arith::MinSIOp, arith::MaxSIOp>(op))
      break;
    bool first = moves(op->getOperand(0));
    if (first == moves(op->getOperand(1)))
      return std::nullopt;
    found.clamps.push_back({op->getOperand(first ? 1 : 0), isa<arith::MinSIOp>(op), {}});
    found.position = op->getOperand(first ? 0 : 1);
  }
  if (found.clamps.empty())
    return std::nullopt;
  for (ClampedIndex::Clamp &clamp : found.clamps)
    clamp.condition = guardOf(load, found.position, clamp);
  return found;
}
