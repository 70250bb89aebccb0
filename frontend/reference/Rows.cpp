//===- The reference: softmax, running sums, selection --------------------===//
//
// These nodes look at all elements along their axes at once, so they compute a whole row when its first value is asked
// for.
//===----------------------------------------------------------------------===//
#include "frontend/reference/Evaluator.h"
#include <algorithm>
#include <cmath>

namespace attnc::reference {

void Evaluator::putInMemo(ENode &e, Value v) {
  Value &slot = e.memo->values[offset(*e.memo)];
  slot = v;
  ++slot.absent;
}

void Evaluator::setFlat(const Group &g, int64_t flat) {
  for (size_t k = g.leaves.size(); k-- > 1;) {
    pos_[g.leaves[k]] = flat % g.radix[k];
    flat /= g.radix[k];
  }
  if (!g.leaves.empty())
    pos_[g.leaves[0]] = flat;
}

Value Evaluator::evalRow(ENode &e) {
  if (e.empty) {
    bool chooses = e.op == Op::TopK || e.op == Op::ArgSort || e.op == Op::Sort;
    return Value::missing(e.op == Op::Rank ? eval(*e.args[0]).absent : chooses ? e.own : 0);
  }
  if (!e.memo)
    e.memo = makeMemo(std::vector<AxisId>(e.src->axes.begin(), e.src->axes.end()), "the result of a row operation");
  switch (e.op) {
  case Op::Softmax:
    softmaxRow(e);
    break;
  case Op::Cum:
    cumRow(e);
    break;
  default:
    selectionRow(e);
    break;
  }
  Value v = e.memo->values[offset(*e.memo)];
  --v.absent;
  return v;
}

void Evaluator::softmaxRow(ENode &e) {
  double top = -INFINITY, sum = 0;
  std::vector<Value> own;
  std::vector<double> all;
  for (size_t k = 0; k < e.args.size(); ++k)
    forEach(e.groups[k].leaves, [&] {
      Value v = eval(*e.args[k]);
      double x = asReal(v, e.args[k]->kind);
      if (!v.absent) {
        all.push_back(x);
        top = std::isnan(x) || x > top ? x : top; // a NaN stays
      }
      if (static_cast<int>(k) == e.which) {
        v.r = x;
        own.push_back(v);
      }
    });
  for (double x : all)
    sum += std::exp(x - top);
  bool nothing = top == -INFINITY;
  size_t at = 0;
  forEach(e.groups[e.which].leaves, [&] {
    Value v = own[at++];
    // exp(inf - inf) makes a +inf logit NaN, and with it the row, as numpy's exp(x - max) does.
    putInMemo(e, Value::real(v.absent || nothing ? 0.0 : std::exp(v.r - top) / sum));
  });
}

void Evaluator::cumRow(ENode &e) {
  ENode &arg = *e.args[0];
  std::vector<Value> row;
  forEach(e.groups[0].leaves, [&] { row.push_back(eval(arg)); });
  if (e.reversed)
    std::reverse(row.begin(), row.end());
  bool real = e.kind == Kind::Real;
  double r = e.red == RedOp::Sum ? 0.0 : e.red == RedOp::Prod ? 1.0 : -INFINITY;
  uint64_t i = e.red == RedOp::Sum ? 0 : e.red == RedOp::Prod ? 1 : static_cast<uint64_t>(INT64_MIN);
  for (Value &v : row) {
    if (!v.absent) {
      double x = asReal(v, arg.kind);
      auto n = static_cast<uint64_t>(v.i);
      if (e.red == RedOp::Sum) {
        r += x;
        i += n;
      } else if (e.red == RedOp::Prod) {
        r *= x;
        i *= n;
      } else {
        r = std::isnan(x) || x > r ? x : r;
        i = static_cast<int64_t>(n) > static_cast<int64_t>(i) ? n : i;
      }
    }
    v = real ? Value::real(r) : Value::integer(static_cast<int64_t>(i));
  }
  if (e.reversed)
    std::reverse(row.begin(), row.end());
  size_t at = 0;
  forEach(e.groups[0].leaves, [&] { putInMemo(e, row[at++]); });
}

//===- Selection ----------------------------------------------------------===//
//
// A selection skips every absent element; having nothing to choose is an absence of its own, for all axes of the
// result.

void Evaluator::orderRow(ENode &e, std::vector<int64_t> &order, std::vector<Value> &values) {
  ENode &arg = *e.args[0];
  // rank counts places in topk's order, but knows NaN: after all numbers.
  bool real = arg.kind == Kind::Real, descending = e.op == Op::TopK || e.op == Op::Rank;
  forEach(e.groups[0].leaves, [&] {
    Value v = eval(arg);
    if (!v.absent && !(e.op == Op::TopK && real && std::isnan(v.r)))
      order.push_back(static_cast<int64_t>(values.size()));
    values.push_back(v);
  });
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    const Value &x = values[a], &y = values[b];
    if (!real)
      return descending ? x.i > y.i : x.i < y.i;
    if (std::isnan(x.r) || std::isnan(y.r))
      return !std::isnan(x.r) && std::isnan(y.r);
    return descending ? x.r > y.r : x.r < y.r;
  });
}

void Evaluator::selectionRow(ENode &e) {
  std::vector<int64_t> order;
  std::vector<Value> values;
  orderRow(e, order, values);
  size_t at = 0;
  if (e.op == Op::Rank) {
    for (size_t k = 0; k < order.size(); ++k)
      values[order[k]] = Value::integer(static_cast<int64_t>(k));
    forEach(e.groups[0].leaves, [&] { putInMemo(e, values[at++]); }); // absent where x is, for x's causes
    return;
  }
  forEach(e.newAxes.leaves, [&] {
    Value v = Value::missing(e.own);
    if (at < order.size())
      v = e.op == Op::Sort ? values[order[at]] : Value::integer(order[at]);
    ++at;
    putInMemo(e, v);
  });
}

Value Evaluator::evalArg(ENode &e) {
  ENode &arg = *e.args[0];
  bool real = arg.kind == Kind::Real, largest = e.op == Op::ArgMax;
  int64_t flat = 0, best = -1, firstNan = -1;
  Value bestValue{};
  auto beats = [&](Value v) {
    if (real)
      return largest ? v.r > bestValue.r : v.r < bestValue.r;
    return largest ? v.i > bestValue.i : v.i < bestValue.i;
  };
  forEach(e.groups[0].leaves, [&] {
    Value v = eval(arg);
    int64_t here = flat++;
    if (v.absent)
      return;
    if (real && std::isnan(v.r)) {
      firstNan = firstNan < 0 ? here : firstNan;
    } else if (best < 0 || beats(v)) {
      best = here;
      bestValue = v;
    }
  });
  if (best < 0)
    best = firstNan;
  return best < 0 ? Value::missing(e.own) : Value::integer(best);
}

} // namespace attnc::reference
