#include "frontend/reference/Tape.h"
#include "frontend/reference/Evaluator.h"
#include <cmath>

namespace attnc::reference {

TapeValue Tape::push(Code code, double v, int32_t a, int32_t b, double c, Fn fn) {
  if (entries_.size() + termId_.size() > 120'000'000)
    throw EvalError{Error(Msg::A817, "this gradient would need too much memory").withHelp("use smaller extents")};
  uint8_t level = a >= 0 ? entries_[a].level : 0;
  if (b >= 0 && entries_[b].level > level)
    level = entries_[b].level;
  entries_.push_back({code, level, fn, a, b, v, c});
  return {v, size() - 1};
}

TapeValue Tape::pushTerms(Code code, double v, const std::vector<TapeValue> &xs,
                          const std::vector<double> *coefficients) {
  auto begin = static_cast<int32_t>(termId_.size());
  uint8_t level = 0;
  for (size_t k = 0; k < xs.size(); ++k) {
    if (xs[k].id < 0 || (coefficients && (*coefficients)[k] == 0))
      continue;
    termId_.push_back(xs[k].id);
    termCoefficient_.push_back(coefficients ? (*coefficients)[k] : 1.0);
    level = std::max(level, entries_[xs[k].id].level);
  }
  auto end = static_cast<int32_t>(termId_.size());
  if (begin == end)
    return {v, -1};
  TapeValue r = push(code, v, -1);
  entries_.back().a = begin;
  entries_.back().b = end;
  entries_.back().level = level;
  return r;
}

TapeValue Tape::leaf(double v, int level) {
  TapeValue r = push(Leaf, v, -1);
  entries_.back().level = static_cast<uint8_t>(level);
  return r;
}

TapeValue Tape::copy(TapeValue x, int level) {
  if (x.id < 0)
    return leaf(x.v, level);
  TapeValue r = push(Copy, x.v, x.id);
  entries_.back().level = static_cast<uint8_t>(level);
  return r;
}

TapeValue Tape::linear(double value, const std::vector<TapeValue> &xs, const std::vector<double> &coefficients) {
  return pushTerms(Lin, value, xs, &coefficients);
}
TapeValue Tape::logSumExp(double value, const std::vector<TapeValue> &xs) {
  if (value == -INFINITY)
    return {value, -1};
  return pushTerms(LogSumExp, value, xs, nullptr);
}
TapeValue Tape::add(TapeValue x, TapeValue y) {
  if (x.id < 0 && y.id < 0)
    return {x.v + y.v, -1};
  return linear(x.v + y.v, {x, y}, {1, 1});
}
TapeValue Tape::sub(TapeValue x, TapeValue y) {
  if (x.id < 0 && y.id < 0)
    return {x.v - y.v, -1};
  return linear(x.v - y.v, {x, y}, {1, -1});
}
TapeValue Tape::scale(TapeValue x, double c) {
  if (x.id < 0)
    return {x.v * c, -1};
  return linear(x.v * c, {x}, {c});
}
TapeValue Tape::mul(TapeValue x, TapeValue y) {
  if (x.id < 0 || y.id < 0)
    return x.id < 0 ? scale(y, x.v) : scale(x, y.v);
  return push(Mul, x.v * y.v, x.id, y.id);
}
TapeValue Tape::div(TapeValue x, TapeValue y) {
  double v = x.v / y.v;
  if (y.id < 0)
    return x.id < 0 ? TapeValue{v, -1} : linear(v, {x}, {1 / y.v});
  return push(Div, v, x.id, y.id);
}
TapeValue Tape::pow(TapeValue x, TapeValue y) {
  double v = std::pow(x.v, y.v);
  if (x.id < 0 && y.id < 0)
    return {v, -1};
  if (y.id < 0)
    return y.v == 0 ? TapeValue{v, -1} : push(PowC, v, x.id, -1, y.v);
  if (x.id < 0)
    return push(ExpC, v, y.id, -1, x.v);
  return push(PowV, v, x.id, y.id);
}

/// Functions that have simpler ones inside are spelled out, so that `derivative` needs few rules and second derivatives
/// follow.
TapeValue Tape::unary(Fn fn, TapeValue x) {
  double v = realFn(fn, x.v);
  if (x.id < 0)
    return {v, -1};
  auto slope = [&](double c) { return linear(v, {x}, {c}); };
  switch (fn) {
  case Fn::Neg:
    return slope(-1);
  case Fn::Abs:
    return slope(realFn(Fn::Sign, x.v));
  case Fn::Relu:
    return slope(x.v > 0);
  case Fn::Sign:
  case Fn::Floor:
  case Fn::Ceil:
  case Fn::Round:
    return {v, -1};
  case Fn::Silu:
    return mul(x, unary(Fn::Sigmoid, x));
  case Fn::Gelu:
    return mul(scale(x, 0.5), add({1, -1}, unary(Fn::Erf, scale(x, 0.70710678118654752440))));
  case Fn::GeluTanh: {
    if (std::fabs(x.v) > 100) // the sigmoid is 0 or 1
      return linear(v, {x}, {x.v > 0 ? 1.0 : 0.0});
    TapeValue inner = scale(add(x, scale(mul(mul(x, x), x), 0.044715)), 2 * 0.79788456080286535588);
    return mul(x, unary(Fn::Sigmoid, inner));
  }
  default:
    return push(Unary, v, x.id, -1, 0, fn);
  }
}

/// d fn(x) / dx, where y = fn(x).
TapeValue Tape::derivative(Fn fn, TapeValue x, TapeValue y) {
  TapeValue one{1, -1};
  switch (fn) {
  case Fn::Exp:
    return y;
  case Fn::Exp2:
    return scale(y, 0.69314718055994530942);
  case Fn::Expm1:
    return unary(Fn::Exp, x);
  case Fn::Log:
    return div(one, x);
  case Fn::Log1p:
    return div(one, add(one, x));
  case Fn::Sqrt:
    return div({0.5, -1}, y);
  case Fn::Rsqrt:
    return scale(div(y, x), -0.5);
  case Fn::Sin:
    return unary(Fn::Cos, x);
  case Fn::Cos:
    return unary(Fn::Neg, unary(Fn::Sin, x));
  case Fn::Tanh:
    return sub(one, mul(y, y));
  case Fn::Sigmoid:
    return mul(y, unary(Fn::Sigmoid, unary(Fn::Neg, x)));
  case Fn::LogSigmoid:
    return unary(Fn::Sigmoid, unary(Fn::Neg, x));
  case Fn::Softplus:
    return unary(Fn::Sigmoid, x);
  case Fn::Erf:
    return scale(unary(Fn::Exp, unary(Fn::Neg, mul(x, x))), 1.12837916709551257390);
  default:
    return {0, -1};
  }
}

std::vector<TapeValue> Tape::backward(const std::vector<int32_t> &results, int32_t start, int level, bool record) {
  int32_t end = size();
  std::vector<TapeValue> adjoint(static_cast<size_t>(end - start));
  std::vector<char> touched(adjoint.size(), 0);
  auto accumulate = [&](int32_t id, TapeValue g) {
    if (id < start || entries_[id].level < level)
      return;
    TapeValue &slot = adjoint[id - start];
    slot = touched[id - start] ? add(slot, g) : g;
    touched[id - start] = 1;
  };
  auto at = [&](int32_t id) { return TapeValue{entries_[id].v, record ? id : -1}; };

  for (int32_t r : results)
    accumulate(r, {1, -1});
  for (int32_t id = end; id-- > start;) {
    if (!touched[id - start])
      continue;
    const Entry e = entries_[id]; // a copy: recording moves the entries
    TapeValue g = adjoint[id - start], y = at(id);
    switch (e.code) {
    case Leaf:
      break;
    case Copy:
      if (e.level != level)
        accumulate(e.a, g);
      break;
    case Lin:
      for (int32_t t = e.a; t < e.b; ++t)
        accumulate(termId_[t], scale(g, termCoefficient_[t]));
      break;
    case Mul:
      accumulate(e.a, mul(g, at(e.b)));
      accumulate(e.b, mul(g, at(e.a)));
      break;
    case Div: {
      TapeValue q = div(g, at(e.b));
      if (e.a >= 0)
        accumulate(e.a, q);
      accumulate(e.b, unary(Fn::Neg, mul(q, y)));
      break;
    }
    case PowC:
      accumulate(e.a, mul(g, scale(pow(at(e.a), {e.c - 1, -1}), e.c)));
      break;
    case ExpC:
      if (e.c > 0)
        accumulate(e.a, mul(g, scale(y, std::log(e.c))));
      break;
    case PowV: {
      TapeValue a = at(e.a), b = at(e.b);
      accumulate(e.a, mul(g, mul(b, pow(a, sub(b, {1, -1})))));
      if (a.v != 0)
        accumulate(e.b, mul(g, mul(y, unary(Fn::Log, a))));
      break;
    }
    case LogSumExp:
      for (int32_t t = e.a; t < e.b; ++t)
        accumulate(termId_[t], mul(g, unary(Fn::Exp, sub(at(termId_[t]), y))));
      break;
    case Unary:
      accumulate(e.a, mul(g, derivative(e.fn, at(e.a), y)));
      break;
    }
  }
  return adjoint;
}

} // namespace attnc::reference
