//===- The reference: the rules, node by node -----------------------------===//
#include "frontend/reference/Evaluator.h"
#include <algorithm>
#include <cmath>
#include <limits>

namespace attnc::reference {

void Evaluator::checkStack() const {
  if (static_cast<const char *>(__builtin_frame_address(0)) < stackLimit_)
    throw EvalError{Error(Msg::A817, "its equations are nested too deeply")};
}

bool Evaluator::pastEnd(const std::vector<Ragged> &ragged, CauseList &cause) {
  cause = 0;
  for (const Ragged &r : ragged) {
    int64_t flat = 0;
    for (size_t k = 0; k < r.leaves.size(); ++k)
      flat = flat * r.radix[k] + pos_[r.leaves[k]];
    if (flat >= r.length)
      cause = causes_.unite(cause, r.cause);
  }
  return cause != 0;
}

Value Evaluator::eval(ENode &e) {
  checkStack();
  if (!e.ragged.empty()) {
    CauseList cause;
    if (pastEnd(e.ragged, cause))
      return Value::missing(cause);
  }
  if (e.memo) {
    Value &slot = e.memo->values[offset(*e.memo)];
    if (slot.absent != 0) {
      Value v = slot;
      --v.absent;
      return v;
    }
    Value v = evalNode(e);
    slot = v;
    ++slot.absent;
    return v;
  }
  if (!e.remember)
    return evalNode(e);
  const AxisSet &axes = e.src->axes;
  if (e.lastAt.size() == axes.size() + 1) {
    size_t k = 0;
    bool same = true;
    for (AxisId a : axes)
      same &= e.lastAt[k++] == pos_[a];
    if (same)
      return e.lastValue;
  }
  Value v = evalNode(e);
  e.lastAt.resize(axes.size() + 1);
  size_t k = 0;
  for (AxisId a : axes)
    e.lastAt[k++] = pos_[a];
  e.lastValue = v;
  return v;
}

Value Evaluator::evalNode(ENode &e) {
  switch (e.op) {
  case Op::Const:
  case Op::Extent:
    return e.constant;
  case Op::Index:
    return Value::integer(pos_[e.axis]);
  case Op::Tensor:
    return evalTensor(tensors_[e.tensor]);
  case Op::Map:
    return evalMap(e);
  case Op::Reduce:
    return evalReduce(e);
  case Op::Read:
    return evalRead(e);
  case Op::Where:
    return evalWhere(e);
  case Op::Detach:
    return eval(*e.args[0]);
  case Op::Fill: {
    Value v = eval(*e.args[0]);
    if (!v.absent)
      return v;
    v = eval(*e.args[1]);
    // What decided is whether args[0] is there.
    v.absent = causes_.join(v.absent, e.args[0]->axesIndex);
    return v;
  }
  case Op::Present:
    return Value::integer(!eval(*e.args[0]).absent);
  case Op::ArgMax:
  case Op::ArgMin:
    return evalArg(e);
  case Op::Grad:
    return evalGrad(e);
  default:
    return evalRow(e);
  }
}

Value Evaluator::evalTensor(ETensor &t) {
  if (!t.ragged.empty()) {
    CauseList cause;
    if (pastEnd(t.ragged, cause))
      return Value::missing(cause);
  }
  int cycle = t.src->cycle;
  if (t.empty && (t.isInput || cycle >= 0))
    return Value::integer(0);
  if (cycle >= 0 && cycleState_[cycle] == 0)
    runCycle(cycle);
  if (t.delegates)
    return eval(*t.body);
  if (!t.memo)
    t.memo = makeMemo(t.axes, "`" + t.src->name + "`");
  Value &slot = t.memo->values[offset(*t.memo)];
  constexpr CauseList kRunning = UINT32_MAX;
  if (slot.absent == kRunning)
    throw EvalError{Error(Msg::A817, fmt::format("equation `{}` needs its own value", t.src->name))};
  if (slot.absent == 0) {
    slot.absent = kRunning;
    Value v = eval(*t.body);
    if (t.kind == Kind::Real && t.body->kind != Kind::Real)
      v.r = asReal(v, t.body->kind);
    slot = v;
    ++slot.absent;
    return v;
  }
  Value v = slot;
  --v.absent;
  return v;
}

/// Walks the loops of a recurrence in order, so that every read of an earlier position finds its value and nothing
/// recurses along a sequence.
void Evaluator::runCycle(int index) {
  const Cycle &cycle = program_.cycles[index];
  cycleState_[index] = 1;
  std::vector<int64_t> saved = pos_;
  std::vector<std::vector<AxisId>> others;
  std::vector<char> isLoop(extents_.size(), 0);
  for (const ScanAxis &s : cycle.loops) {
    isLoop[s.axis] = 1;
    if (extents_[s.axis] == 0)
      return;
  }
  for (int t : cycle.tensors) {
    others.emplace_back();
    for (AxisId a : tensors_[t].axes)
      if (!isLoop[a])
        others.back().push_back(a);
  }
  for (const ScanAxis &s : cycle.loops)
    pos_[s.axis] = s.dir > 0 ? 0 : extents_[s.axis] - 1;
  // A tensor without one of the loops may read all its rounds.
  auto due = [&](const AxisSet &axes) {
    for (const ScanAxis &s : cycle.loops)
      if (!axes.contains(s.axis) && pos_[s.axis] != (s.dir > 0 ? extents_[s.axis] - 1 : 0))
        return false;
    return true;
  };
  for (;;) {
    for (size_t k = 0; k < cycle.tensors.size(); ++k)
      if (due(program_.tensors[cycle.tensors[k]].axes))
        forEach(others[k], [&] { evalTensor(tensors_[cycle.tensors[k]]); });
    size_t k = cycle.loops.size();
    for (; k > 0; --k) {
      const ScanAxis &s = cycle.loops[k - 1];
      pos_[s.axis] += s.dir > 0 ? 1 : -1;
      if (pos_[s.axis] >= 0 && pos_[s.axis] < extents_[s.axis])
        break;
      pos_[s.axis] = s.dir > 0 ? 0 : extents_[s.axis] - 1;
    }
    if (k == 0)
      break;
  }
  pos_ = std::move(saved);
}

ReadTarget Evaluator::resolveRead(ENode &e) {
  ReadTarget t;
  t.base = scratch_.size();
  scratch_.resize(t.base + e.readLeaves);
  size_t at = t.base;
  bool init = false;
  // A chunk off the start has no length: any place of a whole one reads init there.
  bool chunkOff = false;
  for (EItem &item : e.reads)
    if (item.start != 0 && !item.last && e.reads.size() > 1) {
      Value index = eval(*item.index), bound = eval(*item.bound);
      chunkOff |= !index.absent && !bound.absent && (item.start < 0 ? index.i < 0 : index.i >= bound.i);
    }
  for (EItem &item : e.reads) {
    Value index = eval(*item.index), bound = eval(*item.bound);
    if (chunkOff && item.start == 0 && !item.last && item.leaves.size() == 1 &&
        program_.axes[item.leaves[0]].composite >= 0)
      bound.i = std::max(bound.i, extents_[item.leaves[0]]);
    t.absent = causes_.unite(t.absent, causes_.unite(index.absent, bound.absent));
    if (index.absent || bound.absent) {
      at += item.leaves.size();
      continue;
    }
    int64_t p = index.i;
    if (p < 0 || p >= bound.i) {
      bool none = item.last && bound.i < 1; // `last` of an empty axis: the recurrence has not begun
      if ((p < 0 && item.start < 0) || (p >= bound.i && item.start > 0) || (none && item.start != 0))
        init = true;
      else
        t.absent = causes_.unite(t.absent, item.cause);
      p = 0;
    }
    for (size_t k = item.leaves.size(); k-- > 1;) {
      int64_t radix = item.radix[k] ? item.radix[k] : 1;
      scratch_[at + k] = p % radix;
      p /= radix;
    }
    scratch_[at] = p;
    at += item.leaves.size();
  }
  t.kind = t.absent ? ReadTarget::Absent : init ? ReadTarget::Init : ReadTarget::Inside;
  return t;
}

void Evaluator::enterRead(ENode &e, const ReadTarget &target) {
  size_t at = target.base;
  for (const EItem &item : e.reads)
    for (AxisId leaf : item.leaves)
      std::swap(pos_[leaf], scratch_[at++]);
}

Value Evaluator::evalRead(ENode &e) {
  ReadTarget target = resolveRead(e);
  Value v = Value::missing(target.absent);
  if (target.kind == ReadTarget::Absent) {
    v.absent = causes_.unite(v.absent, causesOutside(e, target));
  } else {
    enterRead(e, target);
    if (target.kind == ReadTarget::Inside) {
      v = eval(*e.args[0]);
    } else {
      ETensor &t = tensors_[e.args[0]->tensor];
      v = t.init ? eval(*t.init) : Value::integer(0);
      if (t.kind == Kind::Real)
        v.r = t.init ? asReal(v, t.init->kind) : 0.0;
    }
    enterRead(e, target);
    if (v.absent)
      v.absent = causes_.substitute(v.absent, *e.src);
  }
  scratch_.resize(target.base);
  return v;
}

/// Outside an axis, what is absent for causes without that axis is absent all the same. Not asked of a recurrence,
/// which may not be there yet.
CauseList Evaluator::causesOutside(ENode &e, const ReadTarget &target) {
  ENode &x = *e.args[0];
  AxisSet replaced;
  for (const EItem &item : e.reads)
    for (AxisId leaf : item.leaves)
      replaced.insert(leaf);
  bool empty = std::any_of(replaced.begin(), replaced.end(), [&](AxisId leaf) { return extents_[leaf] == 0; });
  if (!x.canBeAbsent || empty || x.inCycle || (x.op == Op::Tensor && program_.tensors[x.tensor].cycle >= 0))
    return 0;
  enterRead(e, target); // positions that are out lie at 0
  Value v = eval(x);
  enterRead(e, target);
  return causes_.staying(v.absent, causes_.axes(replaced));
}

Value Evaluator::evalWhere(ENode &e) {
  CauseList failed = 0;
  for (size_t k = 0; k < e.conditions.size(); ++k) {
    Value c = eval(*e.conditions[k]);
    bool holds = !c.absent && (e.conditions[k]->kind == Kind::Real ? c.r != 0 : c.i != 0);
    if (!holds)
      failed = causes_.unite(failed, e.conditionCauses[k]);
  }
  if (failed && !e.args[0]->canBeAbsent)
    return Value::missing(failed);
  Value v = eval(*e.args[0]);
  v.absent = causes_.unite(v.absent, failed);
  return v;
}

namespace {
/// A reduction in progress.
class Accumulator {
public:
  Accumulator(RedOp op, Kind kind) : op_(op), real_(kind == Kind::Real) {
    switch (op) {
    case RedOp::Prod:
      r_ = 1, i_ = 1;
      break;
    case RedOp::Max:
    case RedOp::LogSumExp:
      r_ = -INFINITY, i_ = INT64_MIN;
      break;
    case RedOp::Min:
      r_ = INFINITY, i_ = INT64_MAX;
      break;
    case RedOp::All:
      i_ = 1;
      break;
    default:
      break;
    }
  }

  void add(Value v, Kind kind) {
    ++count_;
    if (op_ == RedOp::Any || op_ == RedOp::All) {
      bool b = kind == Kind::Real ? v.r != 0 : v.i != 0;
      i_ = op_ == RedOp::Any ? (i_ | b) : (i_ & b);
      return;
    }
    if (op_ == RedOp::Count) {
      i_ += kind == Kind::Bool ? v.i : 1;
      return;
    }
    if (!real_) {
      addInt(v.i);
      return;
    }
    double x = asReal(v, kind);
    switch (op_) {
    case RedOp::Sum:
    case RedOp::Mean:
      r_ += x;
      break;
    case RedOp::Prod:
      r_ *= x;
      break;
    case RedOp::Norm:
      squares_ += static_cast<long double>(x) * x;
      break;
    case RedOp::Max:
      r_ = std::isnan(x) || x > r_ ? x : r_;
      break; // a NaN in r_ fails every comparison and stays
    case RedOp::Min:
      r_ = std::isnan(x) || x < r_ ? x : r_;
      break;
    case RedOp::LogSumExp:
      addExp(x);
      break;
    default:
      break;
    }
  }

  Value result() const {
    if (op_ == RedOp::Count || op_ == RedOp::Any || op_ == RedOp::All || !real_)
      return Value::integer(i_);
    switch (op_) {
    case RedOp::Mean:
      return Value::real(count_ ? r_ / static_cast<double>(count_) : 0.0);
    case RedOp::Norm:
      return Value::real(static_cast<double>(std::sqrt(squares_)));
    case RedOp::LogSumExp:
      return Value::real(std::isinf(r_) || std::isnan(r_) ? r_ : r_ + std::log(sum_));
    default:
      return Value::real(r_);
    }
  }

private:
  void addInt(int64_t x) {
    switch (op_) {
    case RedOp::Sum:
      i_ = static_cast<int64_t>(static_cast<uint64_t>(i_) + static_cast<uint64_t>(x));
      break;
    case RedOp::Prod:
      i_ = static_cast<int64_t>(static_cast<uint64_t>(i_) * static_cast<uint64_t>(x));
      break;
    case RedOp::Max:
      i_ = std::max(i_, x);
      break;
    case RedOp::Min:
      i_ = std::min(i_, x);
      break;
    default:
      break;
    }
  }
  void addExp(double x) {
    if (std::isnan(r_) || x == -INFINITY)
      return;
    if (std::isnan(x) || r_ == INFINITY || x == INFINITY) {
      r_ = std::isnan(x) ? x : INFINITY;
    } else if (x <= r_) {
      sum_ += std::exp(x - r_);
    } else {
      sum_ = sum_ * std::exp(r_ - x) + 1; // r_ is -inf at first: the sum is 0 then
      r_ = x;
    }
  }

  RedOp op_;
  bool real_;
  double r_ = 0, sum_ = 0;
  long double squares_ = 0; ///< those of any double fit
  int64_t i_ = 0, count_ = 0;
};
} // namespace

Value Evaluator::evalReduce(ENode &e) {
  Accumulator acc(e.red, e.kind);
  CauseList stays = 0;
  for (size_t k = 0; k < e.args.size(); ++k) {
    ENode &arg = *e.args[k];
    auto look = [&](Value v) {
      if (!e.isUnion)
        stays = causes_.unite(stays, causes_.staying(v.absent, e.groupsIndex));
    };
    forEach(e.groups[k].leaves, [&] {
      Value v = eval(arg);
      if (v.absent)
        look(v);
      else
        acc.add(v, arg.kind);
    });
    if (e.groups[k].count == 0 && arg.canBeAbsent)
      atFirst(e.groups[k].leaves, [&] { look(eval(arg)); });
  }
  return stays ? Value::missing(stays) : acc.result();
}

} // namespace attnc::reference
