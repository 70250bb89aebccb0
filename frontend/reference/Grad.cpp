//===- The reference: gradients -------------------------------------------===//
//
// L is evaluated once more with its dependence on the independent tensor W recorded on a tape, W's elements being
// leaves; then the tape is run backward. What is present has been decided by plain evaluation: a recorded evaluation
// only follows the values that take part. A gradient inside what is differentiated opens a session of its own on the
// same tape, whose leaves are copies.
//
// One tape covers as little as it can: the axes that W and L share and that nothing on the way reads elsewhere or sums
// over stay at their current position.
//===----------------------------------------------------------------------===//
#include "frontend/reference/Evaluator.h"
#include <algorithm>
#include <cmath>
#include <functional>

namespace attnc::reference {

int64_t Evaluator::flatOf(const std::vector<AxisId> &axes) const {
  int64_t flat = 0;
  for (AxisId a : axes)
    flat = flat * extents_[a] + pos_[a];
  return flat;
}

/// `row`: the same for all positions along the node's groups.
uint64_t Evaluator::memoKey(const ENode &e, bool row) const {
  int64_t flat = 0;
  uint64_t id = e.src->id;
  if (e.op == Op::Tensor) {
    flat = flatOf(tensors_[e.tensor].axes);
    id = nodes_.size() + static_cast<uint64_t>(e.tensor);
  } else {
    for (AxisId a : e.src->axes) {
      bool grouped = row && std::find(e.groups[e.which].leaves.begin(), e.groups[e.which].leaves.end(), a) !=
                                e.groups[e.which].leaves.end();
      if (!grouped)
        flat = flat * extents_[a] + pos_[a];
    }
  }
  if (row)
    id += nodes_.size() + tensors_.size();
  return id << 40 | static_cast<uint64_t>(flat);
}

//===- Recorded evaluation ------------------------------------------------===//

TapeValue Evaluator::taped(ENode &e, Session *s) {
  while (s && !(*s->depends)[e.src->id])
    s = s->parent;
  if (!s)
    return {asReal(eval(e), e.kind), -1};
  checkStack();
  bool keep = e.remember || e.op == Op::Tensor || e.op == Op::Reduce || e.op == Op::Softmax || e.op == Op::Cum ||
              e.op == Op::Sort || e.op == Op::Grad;
  if (!keep)
    return tapedNode(e, *s);
  uint64_t key = memoKey(e);
  auto it = s->memo.find(key);
  if (it != s->memo.end())
    return it->second;
  TapeValue v = tapedNode(e, *s);
  s->memo[key] = v;
  return v;
}

TapeValue Evaluator::tapedNode(ENode &e, Session &s) {
  switch (e.op) {
  case Op::Tensor:
    return e.tensor == s.tensor ? tapedLeaf(e, s) : taped(*tensors_[e.tensor].body, &s);
  case Op::Map:
    return tapedMap(e, s);
  case Op::Reduce:
    return tapedReduce(e, s);
  case Op::Softmax:
    return tapedSoftmax(e, s);
  case Op::Cum:
    return tapedCum(e, s);
  case Op::Grad:
    return tapedGrad(e, s);
  case Op::Where:
    return taped(*e.args[0], &s);
  case Op::Fill:
    return taped(*e.args[eval(*e.args[0]).absent ? 1 : 0], &s);
  case Op::Read: {
    ENode &arg = *e.args[0];
    if (isConstantShift(e, s.cycle))
      return taped(e, s.parent); // a constant here
    ReadTarget target = resolveRead(e);
    TapeValue v;
    enterRead(e, target);
    if (target.kind == ReadTarget::Inside)
      v = taped(arg, &s);
    else if (ENode *init = tensors_[arg.tensor].init)
      v = taped(*init, &s);
    enterRead(e, target);
    scratch_.resize(target.base);
    return v;
  }
  case Op::Sort: {
    std::vector<int64_t> order;
    std::vector<Value> values;
    orderRow(e, order, values);
    Group &from = e.groups[0];
    std::vector<int64_t> saved;
    for (AxisId a : from.leaves)
      saved.push_back(pos_[a]);
    setFlat(from, order[flatOf(e.newAxes.leaves)]);
    TapeValue v = taped(*e.args[0], &s);
    for (size_t k = 0; k < saved.size(); ++k)
      pos_[from.leaves[k]] = saved[k];
    return v;
  }
  default:
    return {asReal(eval(e), e.kind), -1};
  }
}

TapeValue Evaluator::tapedLeaf(ENode &e, Session &s) {
  auto [it, fresh] = s.leaves.emplace(flatOf(tensors_[s.tensor].axes), -1);
  if (fresh) {
    int64_t at = it->first;
    TapeValue leaf =
        s.parent ? s.tape->copy(taped(e, s.parent), s.depth) : s.tape->leaf(asReal(eval(e), e.kind), s.depth);
    s.leaves[at] = leaf.id;
    return leaf;
  }
  return {asReal(eval(e), e.kind), it->second};
}

TapeValue Evaluator::tapedMap(ENode &e, Session &s) {
  Tape &t = *s.tape;
  if (e.fn == Fn::Select) {
    Value c = eval(*e.args[0]);
    bool holds = !c.absent && (e.args[0]->kind == Kind::Real ? c.r != 0 : c.i != 0);
    return taped(*e.args[holds ? 1 : 2], &s);
  }
  std::vector<TapeValue> x;
  for (ENode *a : e.args)
    x.push_back(taped(*a, &s));
  switch (e.fn) {
  case Fn::Add:
    return t.add(x[0], x[1]);
  case Fn::Sub:
    return t.sub(x[0], x[1]);
  case Fn::Mul:
    return t.mul(x[0], x[1]);
  case Fn::Div:
    return t.div(x[0], x[1]);
  case Fn::Pow:
  case Fn::IPow:
    return t.pow(x[0], x[1]);
  case Fn::ToReal:
    return x[0];
  case Fn::Cast:
    return t.linear(rounded(x[0].v, e.dtype), {x[0]}, {1});
  case Fn::Clamp: {
    Value v[3] = {Value::real(x[0].v), Value::real(x[1].v), Value::real(x[2].v)};
    double clamped = std::fmin(std::fmax(v[0].r, v[1].r), v[2].r);
    return std::isnan(v[0].r) || v[0].r == clamped ? x[0] : clamped == v[2].r ? x[2] : x[1];
  }
  case Fn::Mod: {
    double q = std::floor(x[0].v / x[1].v);
    return t.linear(x[0].v - x[1].v * q, x, {1, -q});
  }
  case Fn::IDiv:
    return {std::floor(x[0].v / x[1].v), -1};
  case Fn::Min:
  case Fn::Max: {
    double best = x[0].v, ties = 0;
    for (const TapeValue &v : x)
      best = std::isnan(v.v) || (e.fn == Fn::Max ? v.v > best : v.v < best) ? v.v : best;
    for (const TapeValue &v : x)
      ties += v.v == best;
    std::vector<double> share;
    for (const TapeValue &v : x)
      share.push_back(v.v == best ? 1 / ties : 0);
    return t.linear(best, x, share);
  }
  case Fn::LogAddExp: {
    double top = -INFINITY, sum = 0;
    for (const TapeValue &v : x)
      top = std::isnan(v.v) || v.v > top ? v.v : top;
    for (const TapeValue &v : x)
      sum += std::exp(v.v - top);
    return t.logSumExp(std::isinf(top) ? top : top + std::log(sum), x);
  }
  default:
    return t.unary(e.fn, x[0]);
  }
}

TapeValue Evaluator::tapedReduce(ENode &e, Session &s) {
  Tape &t = *s.tape;
  std::vector<TapeValue> xs;
  for (size_t k = 0; k < e.args.size(); ++k) {
    ENode &arg = *e.args[k];
    forEach(e.groups[k].leaves, [&] {
      if (!arg.canBeAbsent || !eval(arg).absent)
        xs.push_back(taped(arg, &s));
    });
  }
  double v = eval(e).r, n = static_cast<double>(xs.size());
  switch (e.red) {
  case RedOp::Sum:
    return t.linear(v, xs, std::vector<double>(xs.size(), 1));
  case RedOp::Mean:
    return t.linear(v, xs, std::vector<double>(xs.size(), 1 / n));
  case RedOp::Prod: {
    TapeValue p{1, -1};
    for (const TapeValue &x : xs)
      p = t.mul(p, x);
    return p;
  }
  case RedOp::Max:
  case RedOp::Min: {
    std::vector<double> share(xs.size(), 0);
    double ties = 0;
    for (const TapeValue &x : xs)
      ties += x.v == v;
    for (size_t k = 0; k < xs.size(); ++k)
      share[k] = xs[k].v == v ? 1 / ties : 0;
    return t.linear(v, xs, share);
  }
  case RedOp::LogSumExp:
    return t.logSumExp(v, xs);
  case RedOp::Norm: {
    if (v == 0)
      return {0, -1};
    // Squares may overflow: v is taken out of the operands first.
    double scale = std::isfinite(v) ? std::max(v, 1e-300) : 1;
    std::vector<TapeValue> squares;
    for (const TapeValue &x : xs) {
      TapeValue scaled = t.scale(x, 1 / scale);
      squares.push_back(t.mul(scaled, scaled));
    }
    double sum = (v / scale) * (v / scale);
    TapeValue root = t.unary(Fn::Sqrt, t.linear(sum, squares, std::vector<double>(xs.size(), 1)));
    return t.linear(v, {root}, {scale});
  }
  default:
    return {v, -1};
  }
}

TapeValue Evaluator::tapedSoftmax(ENode &e, Session &s) {
  ENode &own = *e.args[e.which];
  if (eval(own).absent)
    return {0, -1};
  uint64_t key = memoKey(e, true);
  auto it = s.memo.find(key);
  if (it == s.memo.end()) {
    std::vector<TapeValue> xs;
    double top = -INFINITY, sum = 0;
    for (size_t k = 0; k < e.args.size(); ++k)
      forEach(e.groups[k].leaves, [&] {
        if (!eval(*e.args[k]).absent)
          xs.push_back(taped(*e.args[k], &s));
      });
    for (const TapeValue &x : xs)
      top = std::isnan(x.v) || x.v > top ? x.v : top;
    for (const TapeValue &x : xs)
      sum += std::exp(x.v - top);
    TapeValue lse = s.tape->logSumExp(top == -INFINITY ? top : top + std::log(sum), xs);
    it = s.memo.emplace(key, lse).first;
  }
  TapeValue lse = it->second;
  if (lse.v == -INFINITY)
    return {0, -1};
  return s.tape->unary(Fn::Exp, s.tape->sub(taped(own, &s), lse));
}

TapeValue Evaluator::tapedCum(ENode &e, Session &s) {
  ENode &arg = *e.args[0];
  const Group &g = e.groups[0];
  std::vector<int64_t> saved;
  for (AxisId a : g.leaves)
    saved.push_back(pos_[a]);
  TapeValue running{e.red == RedOp::Sum ? 0.0 : e.red == RedOp::Prod ? 1.0 : -INFINITY, -1};
  std::vector<TapeValue> ties;
  for (int64_t k = 0; k < g.count; ++k) {
    setFlat(g, e.reversed ? g.count - 1 - k : k);
    if (!eval(arg).absent) {
      TapeValue x = taped(arg, &s);
      if (e.red == RedOp::Sum) {
        running = s.tape->add(running, x);
      } else if (e.red == RedOp::Prod) {
        running = s.tape->mul(running, x);
      } else if (x.v >= running.v || std::isnan(x.v)) {
        if (x.v != running.v)
          ties.clear();
        ties.push_back(x);
        running = s.tape->linear(x.v, ties, std::vector<double>(ties.size(), 1 / static_cast<double>(ties.size())));
      }
    }
    s.memo[memoKey(e)] = running;
  }
  for (size_t k = 0; k < saved.size(); ++k)
    pos_[g.leaves[k]] = saved[k];
  return s.memo[memoKey(e)];
}

//===- Differentiation ----------------------------------------------------===//

/// A read through a shift of the recurrence that the gradient stands in.
bool Evaluator::isConstantShift(const ENode &e, int cycle) const {
  bool shifts = std::any_of(e.reads.begin(), e.reads.end(), [](const EItem &i) { return i.start != 0 && !i.last; });
  return cycle >= 0 && shifts && e.args[0]->op == Op::Tensor && tensors_[e.args[0]->tensor].src->cycle == cycle;
}

/// Axes at whose current position L and W stay.
const std::vector<AxisId> &Evaluator::fixedAxes(ENode &e) {
  if (e.fixedState == ENode::Unknown) {
    e.fixedState = ENode::Searching; // a gradient met again on the way to itself settles for what it has
    e.fixed = e.kept;
    // Inside a recurrence L reads W at the same position of the scan.
    if (e.cycle >= 0)
      for (const ScanAxis &s : program_.cycles[e.cycle].loops)
        if (program_.tensors[e.tensor].axes.contains(s.axis) &&
            std::find(e.fixed.begin(), e.fixed.end(), s.axis) == e.fixed.end())
          e.fixed.push_back(s.axis);
    searchFixed(e);
    e.fixedState = ENode::Known;
  }
  return e.fixed;
}

/// Adds the axes that L and W share and that everything between them leaves alone.
void Evaluator::searchFixed(ENode &e) {
  auto has = [](const std::vector<AxisId> &v, AxisId a) { return std::find(v.begin(), v.end(), a) != v.end(); };
  const std::vector<char> &depends = dependsOn(e.tensor);
  std::vector<AxisId> &fixed = e.fixed;
  const AxisSet &of = program_.tensors[e.tensor].axes, &result = e.args[0]->src->axes;
  std::vector<AxisId> apart;
  for (AxisId a : of)
    if (result.contains(a) && !has(fixed, a))
      apart.push_back(a);
  auto drop = [&](AxisId a) { apart.erase(std::remove(apart.begin(), apart.end(), a), apart.end()); };
  std::vector<char> seen(nodes_.size(), 0);
  std::vector<ENode *> todo = {e.args[0]};
  while (!todo.empty()) {
    ENode *n = todo.back();
    todo.pop_back();
    if (!n || seen[n->src->id] || !depends[n->src->id])
      continue;
    seen[n->src->id] = 1;
    if (n->op == Op::Tensor) {
      if (n->tensor != e.tensor) {
        todo.push_back(tensors_[n->tensor].body);
        todo.push_back(tensors_[n->tensor].init);
      }
      continue;
    }
    if (n->op == Op::Read && isConstantShift(*n, e.cycle))
      continue;
    for (const Group &g : n->groups)
      for (AxisId a : g.leaves)
        drop(a);
    for (const EItem &r : n->reads)
      for (AxisId a : r.leaves)
        drop(a);
    if (n->op == Op::Grad) {
      const std::vector<AxisId> inner = fixedAxes(*n);
      for (AxisId a : std::vector<AxisId>(apart))
        if (!has(inner, a))
          drop(a);
      for (ENode &other : nodes_) // the values of the inner independent tensor may depend on W as well
        if (other.ready && other.op == Op::Tensor && other.tensor == n->tensor)
          todo.push_back(&other);
      todo.push_back(tensors_[n->tensor].body);
    }
    todo.insert(todo.end(), n->args.begin(), n->args.end());
  }
  fixed.insert(fixed.end(), apart.begin(), apart.end());
}

/// Records L along the axes that are not fixed and goes back. Absent elements of L take no part.
std::vector<TapeValue> Evaluator::differentiate(ENode &e, Session &s) {
  ENode &loss = *e.args[0];
  const std::vector<AxisId> &fixed = fixedAxes(e);
  std::vector<AxisId> along;
  for (AxisId a : loss.src->axes)
    if (std::find(fixed.begin(), fixed.end(), a) == fixed.end())
      along.push_back(a);
  std::vector<int32_t> results;
  s.start = s.tape->size();
  forEach(along, [&] {
    if (loss.canBeAbsent && eval(loss).absent)
      return;
    TapeValue t = taped(loss, &s);
    if (t.id >= 0)
      results.push_back(t.id);
  });
  return s.tape->backward(results, s.start, s.depth, s.parent != nullptr);
}

/// The derivative with respect to W's element at the current position; 0 when L never read it.
TapeValue Evaluator::adjointAt(const Session &s, const std::vector<TapeValue> &adjoints) const {
  auto leaf = s.leaves.find(flatOf(tensors_[s.tensor].axes));
  return leaf == s.leaves.end() ? TapeValue{} : adjoints[leaf->second - s.start];
}

/// Axes of the gradient that one tape covers.
static std::vector<AxisId> without(const ENode &e, const std::vector<AxisId> &fixed) {
  std::vector<AxisId> axes;
  for (AxisId a : e.src->axes)
    if (std::find(fixed.begin(), fixed.end(), a) == fixed.end())
      axes.push_back(a);
  return axes;
}

Value Evaluator::evalGrad(ENode &e) {
  if (e.empty)
    return Value::real(0);
  if (!e.memo)
    e.memo = makeMemo(std::vector<AxisId>(e.src->axes.begin(), e.src->axes.end()), "a gradient");
  Tape tape;
  Session s;
  s.tensor = e.tensor;
  s.depends = &dependsOn(e.tensor);
  s.tape = &tape;
  s.cycle = e.cycle;
  std::vector<TapeValue> adjoints = differentiate(e, s);
  forEach(without(e, fixedAxes(e)), [&] { putInMemo(e, Value::real(adjointAt(s, adjoints).v)); });
  Value v = e.memo->values[offset(*e.memo)];
  --v.absent;
  return v;
}

TapeValue Evaluator::tapedGrad(ENode &e, Session &s) {
  if (s.depth >= 100)
    throw EvalError{Error(Msg::A817, "its gradients are nested too deeply")};
  Session inner;
  inner.tensor = e.tensor;
  inner.depends = &dependsOn(e.tensor);
  inner.parent = &s;
  inner.tape = s.tape;
  inner.depth = s.depth + 1;
  inner.cycle = e.cycle;
  std::vector<TapeValue> adjoints = differentiate(e, inner);
  forEach(without(e, fixedAxes(e)), [&] { s.memo[memoKey(e)] = adjointAt(inner, adjoints); });
  return s.memo[memoKey(e)];
}

} // namespace attnc::reference
