//===- Bounds of integer values as extents ---------------------------------===//
#include "passes/attn/Bounds.h"

using namespace mlir;

namespace attnc::attn {

using E = attnc::ExtentOp;

static ExtentRef plus(ExtentRef x, ExtentRef y) { return x && y ? extentMake(E::Add, {x, y}) : nullptr; }
static ExtentRef minus(ExtentRef x, ExtentRef y) { return x && y ? extentMake(E::Sub, {x, y}) : nullptr; }

/// e >= n for all symbols >= 0: without a negative factor it is least where all are 0. An extent may be 0 while a value
/// that reads along it is computed, so nothing is taken to be at least 1.
bool Bounds::atLeast(const ExtentRef &e, int64_t n) {
  if (!e)
    return false;
  if (std::optional<int64_t> c = extentAsConst(e))
    return *c >= n;
  std::optional<int64_t> least = extentEval(e, std::vector<int64_t>(table_.symbols().size(), 0));
  if (!least || *least < n)
    return false;
  auto monotone = [](auto &self, const ExtentRef &x) -> bool {
    switch (x->op) {
    case E::Const:
      return x->value >= 0;
    case E::Symbol:
      return true;
    case E::Add:
    case E::Mul:
    case E::Min:
    case E::Max:
      return self(self, x->args[0]) && self(self, x->args[1]);
    case E::Sub:
    case E::Div:
      return self(self, x->args[0]) && extentAsConst(x->args[1]) && *extentAsConst(x->args[1]) >= 0;
    default:
      return false;
    }
  };
  return monotone(monotone, e);
}

ExtentRef Bounds::asExtent(Value v) {
  if (std::optional<int64_t> c = constInt(v))
    return extentConst(*c);
  if (auto op = v.getDefiningOp<ExtentOp>())
    return table_.parse(op.getText());
  return nullptr;
}

bool Bounds::within(Value v, Value limit) {
  ExtentRef extent = asExtent(limit);
  return extent && inside(v, extent);
}

bool Bounds::below(const ExtentRef &x, const ExtentRef &y, int64_t by) {
  if (!x || !y)
    return false;
  if (std::optional<int64_t> c = extentAsConst(x); c && atLeast(y, *c + by))
    return true;
  // Apart by a small constant.
  for (int64_t k = by; k <= by + 4; ++k)
    if (extentEqual(plus(x, extentConst(k)), y))
      return true;
  return false;
}

bool Bounds::inside(Value v, const ExtentRef &extent) {
  Range r = of(v);
  return atLeast(r.low, 0) && below(r.high, extent, 1);
}

std::optional<bool> Bounds::truth(Value v) {
  if (std::optional<int64_t> c = constInt(v))
    return *c != 0;
  auto op = v.getDefiningOp<MapOp>();
  if (!op)
    return {};
  if (op.getFn() == MapFn::Not) {
    std::optional<bool> x = truth(op.getArgs()[0]);
    return x ? std::optional<bool>(!*x) : std::nullopt;
  }
  if (!typeOf(op.getArgs()[0]).isInt())
    return {};
  Value a = op.getArgs()[0], b = op.getArgs().size() > 1 ? op.getArgs()[1] : Value();
  if (op.getFn() == MapFn::Gt || op.getFn() == MapFn::Ge)
    std::swap(a, b);
  bool strict = op.getFn() == MapFn::Lt || op.getFn() == MapFn::Gt;
  if (!strict && op.getFn() != MapFn::Le && op.getFn() != MapFn::Ge)
    return {};
  Range x = of(a), y = of(b);
  if (below(x.high, y.low, strict))
    return true;
  if (below(y.high, x.low, !strict))
    return false;
  return {};
}

Bounds::Range Bounds::of(Value v) {
  auto [it, fresh] = known_.try_emplace(v);
  if (!fresh)
    return it->second; // also while it is being computed: a cycle is unknown
  Range r = compute(v);
  return known_[v] = r;
}

Bounds::Range Bounds::compute(Value v) {
  ExtentRef zero = extentConst(0), one = extentConst(1);
  Operation *def = v.getDefiningOp();
  if (ExtentRef e = asExtent(v))
    return {e, e};
  if (auto op = dyn_cast<IndexOp>(def))
    return {zero, minus(table_.extent(op.getAxisAttr()), one)};
  auto flat = [&](ArrayAttr axes) {
    ExtentRef e = one;
    for (StringAttr axis : axes.getAsRange<StringAttr>())
      e = extentMake(E::Mul, {e, table_.extent(axis)});
    return minus(e, one);
  };
  if (auto op = dyn_cast<ArgReduceOp>(def))
    return {zero, flat(op.getAxes())};
  if (auto op = dyn_cast<TopKOp>(def))
    return {zero, flat(op.getAxes())};
  if (auto op = dyn_cast<ArgSortOp>(def))
    return {zero, flat(op.getAxes())};
  if (auto op = dyn_cast<ReadOp>(def))
    return of(op.getSource());
  if (auto op = dyn_cast<EquationOp>(def))
    return of(op.getBody());
  auto op = dyn_cast<MapOp>(def);
  if (!op || op.getArgs().size() < 2)
    return {};
  if (op.getFn() == MapFn::Select) {
    Range x = of(op.getArgs()[1]), y = of(op.getArgs()[2]);
    auto pick = [&](const ExtentRef &a, const ExtentRef &b, bool lower) -> ExtentRef {
      if (!a || !b)
        return nullptr;
      if (extentEqual(a, b))
        return a;
      std::optional<int64_t> ca = extentAsConst(a), cb = extentAsConst(b);
      if (ca && cb)
        return extentConst(lower ? std::min(*ca, *cb) : std::max(*ca, *cb));
      return nullptr;
    };
    return {pick(x.low, y.low, true), pick(x.high, y.high, false)};
  }
  Range x = of(op.getArgs()[0]), y = of(op.getArgs()[1]);
  switch (op.getFn()) {
  case MapFn::Add:
    return {plus(x.low, y.low), plus(x.high, y.high)};
  case MapFn::Sub:
    return {minus(x.low, y.high), minus(x.high, y.low)};
  case MapFn::Mul: {
    if (!atLeast(x.low, 0) || !atLeast(y.low, 0) || !x.high || !y.high)
      return {};
    return {extentMake(E::Mul, {x.low, y.low}), extentMake(E::Mul, {x.high, y.high})};
  }
  case MapFn::Mod: {
    if (ExtentRef m = asExtent(op.getArgs()[1]); m && atLeast(m, 1))
      return {zero, minus(m, one)};
    return {};
  }
  case MapFn::IDiv: {
    ExtentRef by = asExtent(op.getArgs()[1]);
    std::optional<int64_t> c = by ? extentAsConst(by) : std::nullopt;
    if (!c || *c < 1)
      return {};
    auto divided = [&](const ExtentRef &e) { return e ? extentMake(E::Div, {e, by}) : nullptr; };
    return {divided(x.low), divided(x.high)};
  }
  case MapFn::Min: // one end known is enough above
    return {nullptr, x.high && extentAsConst(x.high) ? x.high : y.high};
  default:
    return {};
  }
}

} // namespace attnc::attn
