//===- Replace gradients by what computes them ----------------------------===//
//
// Reverse mode over the graph of total values. An adjoint belongs to every value between the variable W and the loss L;
// it has the value's axes and the axes that are kept.
//
//   %g = attn.grad %L wrt %W keep []              with %p = mul(%W, %x) : [i, j], %L = reduce sum [j] %p : [i]
// becomes
//   %p' = 1                                       the sum's adjoint, the same along j
//   %W' = reduce sum (axes that W lacks) (%p' * %x)
//
// A recurrence that lies between them as a whole gives one in the opposite direction: its members' adjoints are
// equations of a new cycle, and a read of S[t-1] becomes a read of what is owed to it at t+1. What a member without a
// loop's axis is owed by later positions of that loop is added up as the loop runs.
//
// Inside a cycle (the gradient is part of it) what is read of earlier steps is a constant (attn.detach step), so what
// lies between W and L is all at one step.
//
// A kept axis that nothing between W and L touches is simply not summed. Otherwise a copy of the axis tells the
// elements of L apart.
//
// Order: a gradient between another one's W and L comes first. Pinned by test/passes/attn/derive-grad.mlir.
//===----------------------------------------------------------------------===//
#include "passes/Passes.h"
#include "passes/attn/Decompose.h"
#include "passes/attn/DeriveGradRules.h"
#include "runtime/Tally.h"

using namespace mlir;

namespace attnc {
#define GEN_PASS_DEF_DERIVEGRAD
#include "passes/Passes.h.inc"

using namespace attn;
namespace {

/// Gradients of one loss on their way to ordinary ops. Several only when their variables are inputs, which do not
/// depend on each other: then all share one way back.
class Derivation {
public:
  Derivation(ArrayRef<GradOp> grads, AxisTable &table, int64_t &nextCycle)
      : grads_(grads), grad_(grads.front()), table_(table), nextCycle_(nextCycle),
        mixer_(grad_->getParentOfType<MixerOp>()), parts_(cycleParts(mixer_)), b_(grad_) {
    auto own = parts_.find(grad_);
    part_ = own == parts_.end() ? -1 : int64_t(own->second);
    if (part_ >= 0)
      TALLY("derive-grad: a gradient inside a recurrence");
    for (Operation &op : *mixer_.getBody()) {
      auto lengths = op.getAttrOfType<ArrayAttr>("lengths");
      ragged_ |= lengths && llvm::any_of(lengths, [](Attribute a) { return !cast<StringAttr>(a).empty(); });
    }
    findRegion();
  }

  /// A gradient between W and L, which has to go first; null when there is none.
  GradOp inner() const { return inner_; }
  /// Makes prod and max scans that lie between W and L differentiable. True when there were some.
  bool rewriteScans();
  /// The derivatives, one per gradient.
  SmallVector<Value> run();

private:
  bool isActive(Value v) const { return active_.contains(v); }
  bool isVariable(Value v) {
    return llvm::any_of(grads_, [&](GradOp g) { return g.getWrt() == v; });
  }
  /// Operand i of op lets a derivative through.
  bool flows(Operation *op, unsigned i);
  void findRegion();
  void keepAxes();
  bool touches(StringAttr axis);
  bool isSplit(Operation *op) const {
    return isa<EquationOp>(op) && parts_.count(op) && int64_t(parts_.lookup(op)) != part_;
  }
  SmallVector<Operation *> order();

  void owe(Value v, Owed amount, ArrayRef<StringAttr> axes, Operation *by);
  Owed adjoint(Value v);
  Owed stored(Value v);
  void visit(Operation *op);
  Value stateAdjoint(EquationOp op);
  void closeStates();
  Value runningSum(Value amount, StringAttr axis, Operation *by);
  EquationOp memberOf(Operation *op);
  Value makeMember(StringRef label, Value body, Operation *like);

  SmallVector<GradOp> grads_;
  GradOp grad_; ///< the first; all have its loss and kept axes
  AxisTable &table_;
  int64_t &nextCycle_;
  MixerOp mixer_;
  llvm::DenseMap<Operation *, unsigned> parts_;
  Build b_;
  int64_t part_ = -1;
  GradOp inner_;
  llvm::DenseSet<Value> active_;
  llvm::DenseMap<Value, SmallVector<Owed>> owed_;
  llvm::DenseMap<Value, Owed> adjoints_;
  bool ragged_ = false; ///< some positions of an argument do not exist
  /// Adjoints of members of other cycles, before their equations exist.
  llvm::MapVector<Operation *, Operation *> states_;
  llvm::DenseMap<unsigned, int64_t> cycles_; ///< part -> number of the reversed cycle
  Axes kept_;
  llvm::SmallVector<std::pair<StringAttr, StringAttr>> copies_; ///< kept axis, its copy
};

//===--- what lies between W and L ----------------------------------------===//

bool Derivation::flows(Operation *op, unsigned i) {
  if (!isDifferentiable(op, i))
    return false;
  auto detach = dyn_cast<DetachOp>(op);
  if (!detach)
    return true;
  auto part = parts_.find(op);
  bool own = part_ >= 0 && part != parts_.end() && int64_t(part->second) == part_;
  if (detach.getStep() && own)
    TALLY("derive-grad: earlier steps are constants");
  return detach.getStep() && !own;
}

/// An equation of the cycle that op lies on; null when op lies on none.
EquationOp Derivation::memberOf(Operation *op) {
  if (auto equation = dyn_cast<EquationOp>(op); equation && equation.getCycle())
    return equation;
  auto part = parts_.find(op);
  if (part == parts_.end())
    return {};
  for (auto equation : mixer_.getBody()->getOps<EquationOp>())
    if (equation.getCycle())
      if (auto it = parts_.find(equation); it != parts_.end() && it->second == part->second)
        return equation;
  return {};
}

void Derivation::findRegion() {
  // Forwards from W, also through gradients, to find those that have to go first.
  llvm::DenseSet<Value> after, before;
  SmallVector<Value> todo;
  for (GradOp g : grads_)
    todo.push_back(g.getWrt());
  while (!todo.empty()) {
    Value v = todo.pop_back_val();
    if (!after.insert(v).second)
      continue;
    for (OpOperand &use : v.getUses()) {
      Operation *op = use.getOwner();
      if (llvm::is_contained(grads_, op) || (op->getNumResults() && isVariable(op->getResult(0))))
        continue;
      if (isa<GradOp>(op) || flows(op, use.getOperandNumber()))
        todo.append(op->result_begin(), op->result_end());
    }
  }
  todo = {grad_.getLoss()};
  while (!todo.empty()) {
    Value v = todo.pop_back_val();
    if (!after.contains(v) || !before.insert(v).second || isVariable(v))
      continue;
    Operation *op = v.getDefiningOp();
    for (OpOperand &operand : op->getOpOperands())
      if (isa<GradOp>(op) || flows(op, operand.getOperandNumber()))
        todo.push_back(operand.get());
  }
  active_ = before;
  for (Value v : active_)
    if (auto grad = v.getDefiningOp<GradOp>())
      inner_ = grad;
}

bool Derivation::rewriteScans() {
  SmallVector<CumOp> scans;
  for (Value v : active_)
    if (auto cum = v.getDefiningOp<CumOp>(); cum && cum.getRed() != Reduction::Sum)
      scans.push_back(cum);
  llvm::sort(scans, [](CumOp x, CumOp y) { return x->isBeforeInBlock(y); });
  for (CumOp cum : scans) {
    // Of a maximum all positions so far are compared at once, so that ties share equally.
    bool nested = parts_.count(cum) || cum.getRed() == Reduction::Max;
    TALLY("derive-grad: a running product or maximum");
    Value with = decomposeCum(cum, table_, nextCycle_++, nested);
    cum.getResult().replaceAllUsesWith(with);
    cum.erase();
  }
  return !scans.empty();
}

/// Whether an op between W and L moves along the axis.
bool Derivation::touches(StringAttr axis) {
  auto names = [&](ArrayAttr axes) { return llvm::is_contained(axes, Attribute(axis)); };
  for (Value v : active_) {
    Operation *op = v.getDefiningOp();
    if (isVariable(v) || !op)
      continue;
    bool moves = false;
    if (auto read = dyn_cast<ReadOp>(op))
      moves = names(read.getAxes());
    else if (auto reduce = dyn_cast<ReduceOp>(op))
      moves = names(reduce.getAxes());
    else if (auto cum = dyn_cast<CumOp>(op))
      moves = names(cum.getAxes());
    else if (auto softmax = dyn_cast<SoftmaxOp>(op))
      moves = llvm::any_of(softmax.getGroups().getAsRange<ArrayAttr>(), names);
    else if (isSplit(op))
      moves = names(cast<EquationOp>(op).getLoopAxes());
    if (moves)
      return true;
  }
  return false;
}

void Derivation::keepAxes() {
  Value seed = b_.number(1, grad_.getLoss());
  for (StringAttr axis : grad_.getKeep().getAsRange<StringAttr>()) {
    if (!touches(axis)) {
      TALLY("derive-grad: a kept axis that nothing touches");
      kept_.push_back(axis);
      continue;
    }
    TALLY("derive-grad: a kept axis told apart by a copy");
    StringAttr copy = table_.addAxis(axis.getValue(), table_.extent(axis));
    kept_.push_back(copy);
    copies_.push_back({axis, copy});
    Value same = b_.eq(b_.index(axis), b_.index(copy));
    seed = b_.select(same, seed, b_.number(0, seed));
  }
  owed_[grad_.getLoss()].push_back({seed, Value()});
}

//===--- adjoints ---------------------------------------------------------===//

/// Ops between W and L, each after all that use it; states of other cycles stand for themselves.
SmallVector<Operation *> Derivation::order() {
  SmallVector<Operation *> post;
  llvm::DenseSet<Operation *> seen;
  SmallVector<Operation *> roots;
  SmallVector<std::pair<Operation *, unsigned>> calls;
  auto enter = [&](Value v) {
    Operation *op = v.getDefiningOp();
    if (!isActive(v) || isVariable(v))
      return;
    if (isSplit(op)) {
      if (!states_.count(op)) {
        stateAdjoint(cast<EquationOp>(op));
        roots.push_back(op);
      }
      return;
    }
    if (seen.insert(op).second)
      calls.push_back({op, 0});
  };
  auto drain = [&] {
    while (!calls.empty()) {
      auto &[op, next] = calls.back();
      if (next == op->getNumOperands()) {
        post.push_back(op);
        calls.pop_back();
        continue;
      }
      unsigned i = next++;
      if (flows(op, i))
        enter(op->getOperand(i));
    }
  };
  enter(grad_.getLoss());
  drain();
  for (size_t r = 0; r < roots.size(); ++r) {
    enter(roots[r]->getOperand(0));
    drain();
  }
  return SmallVector<Operation *>(post.rbegin(), post.rend());
}

Value Derivation::stateAdjoint(EquationOp op) {
  Operation *&state = states_[op];
  if (!state)
    state = b_.placeholder(TensorType::get(axesUnion(axesOf(op.getResult()), kept_), typeOf(op.getResult()).getElem()));
  return state->getResult(0);
}

/// An equation of the cycle that runs against the one `like` lies on.
Value Derivation::makeMember(StringRef label, Value body, Operation *like) {
  EquationOp member = memberOf(like);
  auto [it, fresh] = cycles_.try_emplace(parts_.lookup(like), nextCycle_);
  if (fresh)
    ++nextCycle_;
  SmallVector<int64_t> dirs;
  for (int64_t dir : member.getLoopDirs())
    dirs.push_back(-dir);
  return b_.builder().create<EquationOp>(b_.loc(), b_.name(label), body, b_.builder().getI64IntegerAttr(it->second),
                                         member.getLoopAxes(), b_.builder().getDenseI64ArrayAttr(dirs));
}

/// The sum along a loop's axis of what is owed as the reversed loop runs: complete at its last position.
Value Derivation::runningSum(Value amount, StringAttr axis, Operation *by) {
  TALLY("derive-grad: owed along a loop that a state lacks");
  EquationOp member = memberOf(by);
  int64_t dir = 1;
  for (auto [name, d] : llvm::zip(member.getLoopAxes().getAsRange<StringAttr>(), member.getLoopDirs()))
    if (name == axis)
      dir = d;
  Value i = b_.index(axis), one = b_.integer(1);
  Value end = b_.sub(b_.extent(table_, table_.extent(axis)), one);
  amount = b_.broadcast(amount, {axis});
  Operation *self = b_.placeholder(amount.getType());
  Value first = b_.eq(i, dir > 0 ? end : b_.integer(0));
  Value before = b_.read(self->getResult(0), {axis}, {dir > 0 ? b_.add(i, one) : b_.sub(i, one)});
  Value sum = makeMember("owed", b_.select(first, amount, b_.add(before, amount)), by);
  self->getResult(0).replaceAllUsesWith(sum);
  self->erase();
  return b_.read(sum, {axis}, {dir > 0 ? b_.integer(0) : end});
}

/// Adds to what v is owed. `axes` are those of the op `by` that uses v: where v lacks one, it is used once per
/// position.
void Derivation::owe(Value v, Owed amount, ArrayRef<StringAttr> axes, Operation *by) {
  if (!amount || !isActive(v))
    return;
  amount.value = b_.convert(amount.value, typeOf(v).getElem());
  Axes used = axesUnion(axes, axesOf(amount.value));
  if (amount.where)
    used = axesUnion(used, axesOf(amount.where));
  Axes over = axesMinus(axesMinus(used, axesOf(v)), kept_);
  // Of loops inside a cycle, one after the other from the inside, as they run.
  auto part = parts_.find(by), own = parts_.find(v.getDefiningOp());
  if (part != parts_.end() && int64_t(part->second) != part_ && own != parts_.end() && own->second == part->second) {
    Axes loops = axesFrom(memberOf(by).getLoopAxes());
    amount = sumAlong(b_, amount, axesMinus(over, loops));
    for (StringAttr axis : llvm::reverse(loops))
      if (llvm::is_contained(over, axis))
        amount = stored(runningSum(materialise(b_, amount), axis, by));
  } else
    amount = sumAlong(b_, amount, over);
  owed_[v].push_back(amount);
}

/// An amount that is 0 where nothing is owed. Past the end of a ragged dim it must not meet what is not there.
Owed Derivation::stored(Value v) { return {v, ragged_ ? b_.map(MapFn::Ne, {v, b_.number(0, v)}) : Value()}; }

/// Null when nothing is owed.
Owed Derivation::adjoint(Value v) {
  auto it = owed_.find(v);
  if (it == owed_.end())
    return {};
  Owed known = adjoints_.lookup(v);
  if (!known) {
    for (Owed amount : it->second)
      known = sumOf(b_, known, amount);
    adjoints_[v] = known;
  }
  return known;
}

void Derivation::visit(Operation *op) {
  if (auto softmax = dyn_cast<SoftmaxOp>(op)) {
    SmallVector<Owed> adjoints;
    for (Value p : softmax.getOuts())
      adjoints.push_back(adjoint(p));
    if (llvm::all_of(adjoints, [](Owed a) { return !a; }))
      return;
    for (auto [i, amount] : llvm::enumerate(softmaxAdjoints(b_, softmax, adjoints)))
      owe(softmax.getArgs()[i], amount, axesOf(softmax.getOuts()[i]), op);
    return;
  }
  Value result = op->getResult(0);
  Owed y = adjoint(result);
  if (!y)
    return;
  if (auto map = dyn_cast<MapOp>(op)) {
    for (unsigned i = 0; i < map.getArgs().size(); ++i)
      if (flows(op, i) && isActive(map.getArgs()[i]))
        owe(map.getArgs()[i], mapAdjoint(b_, map, i, y), axesOf(result), op);
  } else if (auto reduce = dyn_cast<ReduceOp>(op)) {
    owe(reduce.getSource(), reduceAdjoint(b_, reduce, table_, y), axesUnion(axesOf(result), axesFrom(reduce.getAxes())),
        op);
  } else if (auto cum = dyn_cast<CumOp>(op)) {
    TALLY("derive-grad: a running sum");
    Value back =
        b_.builder().create<CumOp>(b_.loc(), Reduction::Sum, cum.getAxes(), y.value, y.where, !cum.getReversed());
    owe(cum.getSource(), {back, cum.getGuard()}, axesOf(result), op);
  } else if (auto read = dyn_cast<ReadOp>(op)) {
    // Along a cycle's loops what is read at another position is an equation of the reversed cycle.
    auto part = parts_.find(op);
    if (part != parts_.end() && int64_t(part->second) != part_) {
      TALLY("derive-grad: a read along the loops of a recurrence");
      y = stored(makeMember("back", b_.broadcast(materialise(b_, y), axesOf(result)), op));
    }
    owe(read.getSource(), readAdjoint(b_, read, table_, y, kept_), {}, op);
  } else if (isa<EquationOp, DetachOp>(op))
    owe(op->getOperand(0), y, axesOf(result), op);
}

/// What each state is owed, now that all of it is known, as its adjoint's equation.
void Derivation::closeStates() {
  for (auto [op, state] : states_) {
    TALLY("derive-grad: a state of a recurrence");
    auto equation = cast<EquationOp>(op);
    Owed owed = adjoint(equation.getResult());
    Value body = owed ? materialise(b_, owed) : Value();
    auto type = cast<TensorType>(state->getResult(0).getType());
    body = b_.broadcast(body ? body : b_.real(0, type.getElem()), type.getAxes());
    Value with = makeMember((equation.getLabel() + ".grad").str(), body, op);
    Value old = state->getResult(0);
    old.replaceAllUsesWith(with);
    for (auto &entry : adjoints_)
      if (entry.second.value == old)
        entry.second.value = with;
    for (auto &entry : owed_)
      for (Owed &amount : entry.second)
        if (amount.value == old)
          amount.value = with;
    state->erase();
  }
}

SmallVector<Value> Derivation::run() {
  keepAxes();
  SmallVector<Operation *> ops = order();
  // A state's own body is owed what the state is.
  for (auto [op, state] : states_)
    owe(op->getOperand(0), stored(state->getResult(0)), axesOf(op->getResult(0)), op);
  for (Operation *op : ops)
    visit(op);
  closeStates();
  SmallVector<Value> results;
  for (GradOp g : grads_) {
    auto type = cast<TensorType>(g.getType());
    Owed owed = isActive(g.getWrt()) ? adjoint(g.getWrt()) : Owed();
    Value result = owed ? materialise(b_, owed) : b_.real(0, type.getElem());
    for (auto [axis, copy] : copies_)
      if (hasAxis(result, copy))
        result = b_.read(result, {copy}, {b_.index(axis)});
    results.push_back(b_.broadcast(b_.convert(result, type.getElem()), type.getAxes()));
  }
  return results;
}

//===--- the pass ---------------------------------------------------------===//

struct DeriveGrad : impl::DeriveGradBase<DeriveGrad> {
  using Base::Base;
  void runOnOperation() override;
};

void DeriveGrad::runOnOperation() {
  MixerOp mixer = getOperation();
  AxisTable table(mixer);
  int64_t nextCycle = freshCycle(mixer);
  while (true) {
    SmallVector<GradOp> grads(mixer.getBody()->getOps<GradOp>());
    if (grads.empty())
      break;
    bool progress = false;
    llvm::DenseSet<Operation *> done;
    for (GradOp grad : grads) {
      if (done.contains(grad))
        continue;
      SmallVector<GradOp> group{grad};
      if (grad.getWrt().getDefiningOp<InputOp>())
        for (GradOp other : grads)
          if (other != grad && !done.contains(other) && other.getLoss() == grad.getLoss() &&
              other.getKeep() == grad.getKeep() && other.getWrt().getDefiningOp<InputOp>())
            group.push_back(other);
      std::optional<Derivation> derivation(std::in_place, group, table, nextCycle);
      if (derivation->inner())
        continue;
      if (group.size() > 1)
        TALLY("derive-grad: several variables of one loss");
      if (derivation->rewriteScans())
        derivation.emplace(group, table, nextCycle);
      SmallVector<Value> results = derivation->run();
      for (auto [g, result] : llvm::zip(group, results)) {
        done.insert(g);
        g.getResult().replaceAllUsesWith(result);
        g.erase();
      }
      progress = true;
    }
    if (!progress) {
      grads.front().emitError("this gradient and another one are each part of what the other derives");
      return signalPassFailure();
    }
  }
  for (DetachOp detach : llvm::make_early_inc_range(mixer.getBody()->getOps<DetachOp>())) {
    TALLY("derive-grad: detach");
    detach.getResult().replaceAllUsesWith(detach.getSource());
    detach.erase();
  }
}

} // namespace
} // namespace attnc
