//===- Where conditions on positions can hold -----------------------------===//
//
// Interval arithmetic forwards (what a term is in a box), and backwards (where the position must be for a term to be
// what a comparison wants): HC4, Benhamou et al., Revising hull and box consistency, ICLP 1999.
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "passes/tile/Mask.h"

using namespace mlir;

namespace attnc::mask {

namespace {

/// Alternatives of a condition that are kept apart.
constexpr size_t kSpans = 4;
/// What data hold beyond this counts as endless: sums of a few of them do not overflow.
constexpr int64_t kFar = int64_t(1) << 56, kEndless = int64_t(1) << 60;
constexpr int64_t kFactor = 1 << 20;

/// i64 arithmetic where null is endless.
struct Ends {
  ImplicitLocOpBuilder &b;

  Value i64(int64_t v) { return b.create<arith::ConstantIntOp>(v, 64); }
  Value i1(bool v) { return b.create<arith::ConstantIntOp>(v, 1); }
  static std::optional<int64_t> constant(Value v) {
    APInt c;
    return v && matchPattern(v, m_ConstantInt(&c)) ? std::optional(c.getSExtValue()) : std::nullopt;
  }
  template <typename OpT> Value make(Value x, Value y) { return x && y ? b.createOrFold<OpT>(x, y) : Value(); }
  Value add(Value x, Value y) { return make<arith::AddIOp>(x, y); }
  Value sub(Value x, Value y) { return make<arith::SubIOp>(x, y); }
  Value mul(Value x, int64_t y) { return make<arith::MulIOp>(x, i64(y)); }
  Value negate(Value x) { return sub(i64(0), x); }
  Value divide(Value x, int64_t by) { return by == 1 ? x : make<arith::FloorDivSIOp>(x, i64(by)); }
  Value ceil(Value x, int64_t by) { return divide(add(x, i64(by - 1)), by); }
  Value min(Value x, Value y) { return make<arith::MinSIOp>(x, y); }
  Value max(Value x, Value y) { return make<arith::MaxSIOp>(x, y); }
  /// The closer of two ends, where one alone is as good.
  Value closerHigh(Value x, Value y) { return !x ? y : !y ? x : min(x, y); }
  Value closerLow(Value x, Value y) { return !x ? y : !y ? x : max(x, y); }
  Value select(Value c, Value x, Value y) {
    if (auto known = constant(c))
      return *known ? x : y;
    // What usually holds comes first: explain takes that side.
    if (auto inverted = c.getDefiningOp<arith::XOrIOp>(); inverted && constant(inverted.getRhs()))
      return select(inverted.getLhs(), y, x);
    return x == y ? x : x && y ? b.createOrFold<arith::SelectOp>(c, x, y) : Value();
  }
  Value both(Value x, Value y) { return b.createOrFold<arith::AndIOp>(x, y); }
  Value either(Value x, Value y) { return b.createOrFold<arith::OrIOp>(x, y); }
  Value invert(Value x) { return b.createOrFold<arith::XOrIOp>(x, i1(true)); }
  /// Whether x < y, if both are known.
  Value compare(arith::CmpIPredicate p, Value x, Value y, bool unknown) {
    return x && y ? b.createOrFold<arith::CmpIOp>(p, x, y) : i1(unknown);
  }

  /// Values that were not computed from positions may be anything.
  Interval tame(Interval x) {
    if (!x.lo)
      return x;
    auto p = arith::CmpIPredicate::slt;
    Value low = select(compare(p, x.lo, i64(-kFar), false), i64(-kEndless), min(x.lo, i64(kFar)));
    Value high = select(compare(p, i64(kFar), x.hi, false), i64(kEndless), max(x.hi, i64(-kFar)));
    return {low, high};
  }
};

/// Data that fit into 32 bits, and positions, need no care.
bool isTame(const Term &term) {
  if (!term.data)
    return true;
  auto load = term.value.getDefiningOp<tile::LoadOp>();
  return load && cast<tile::BufType>(load.getBuffer().getType()).getElementType().getIntOrFloatBitWidth() <= 32;
}

} // namespace

Interval Solver::interval(ImplicitLocOpBuilder &b, Id id, Box &box) {
  const Term term = terms[id];
  Ends e{b};
  switch (term.kind) {
  case Kind::Constant:
    if (term.number < -kFar || term.number > kFar)
      return e.tame({e.i64(term.number), e.i64(term.number)});
    return {e.i64(term.number), e.i64(term.number)};
  case Kind::Row:
    return box.rows[term.number];
  case Kind::Key:
    return box.key;
  case Kind::Other:
    return {};
  default:
    break;
  }
  if (term.value && term.value.getType().isInteger(1)) {
    Truth t = truth(b, id, box);
    return {b.createOrFold<arith::ExtUIOp>(b.getI64Type(), t.all),
            b.createOrFold<arith::ExtUIOp>(b.getI64Type(), t.some)};
  }
  if (!term.value || !term.value.getType().isInteger(64))
    return {};
  if (term.fixed()) {
    // What the kernel has read before the loop does not say that it was read.
    Value v = reader.outside(id);
    bool made =
        term.kind == Kind::Outside && !isa<BlockArgument>(v) && isa<tile::KernelOp>(v.getParentBlock()->getParentOp());
    return made || !isTame(term) ? e.tame({v, v}) : Interval{v, v};
  }
  if (term.isData()) {
    Interval read = reader.read(b, id, box);
    return isTame(term) ? read : e.tame(read);
  }
  SmallVector<Interval> in;
  for (Id arg : term.args)
    in.push_back(interval(b, arg, box));
  if (term.kind == Kind::Mod) {
    int64_t m = terms[term.args[1]].number;
    Value first = e.divide(in[0].lo, m), last = e.divide(in[0].hi, m);
    Value same = e.compare(arith::CmpIPredicate::eq, first, last, false);
    Value start = e.mul(first, m);
    if (!start || !last)
      return {e.i64(0), e.i64(m - 1)};
    return {e.select(same, e.sub(in[0].lo, start), e.i64(0)), e.select(same, e.sub(in[0].hi, start), e.i64(m - 1))};
  }
  Operation *op = term.value.getDefiningOp();
  auto number = [&](unsigned k) -> std::optional<int64_t> {
    const Term &arg = terms[term.args[k]];
    return arg.kind == Kind::Constant ? std::optional(arg.number) : std::nullopt;
  };
  if (isa<arith::AddIOp>(op))
    return {e.add(in[0].lo, in[1].lo), e.add(in[0].hi, in[1].hi)};
  if (isa<arith::SubIOp>(op))
    return {e.sub(in[0].lo, in[1].hi), e.sub(in[0].hi, in[1].lo)};
  if (isa<arith::MulIOp>(op))
    for (unsigned k : {0, 1})
      if (auto c = number(k); c && std::abs(*c) <= kFactor && !term.data) {
        Interval x = in[1 - k];
        return *c < 0 ? Interval{e.mul(x.hi, *c), e.mul(x.lo, *c)} : Interval{e.mul(x.lo, *c), e.mul(x.hi, *c)};
      }
  if (isa<arith::FloorDivSIOp>(op))
    if (auto c = number(1); c && *c > 0)
      return {e.divide(in[0].lo, *c), e.divide(in[0].hi, *c)};
  if (isa<arith::ShRSIOp>(op))
    if (auto c = number(1); c && *c >= 0 && *c < 40)
      return {e.divide(in[0].lo, int64_t(1) << *c), e.divide(in[0].hi, int64_t(1) << *c)};
  if (isa<arith::MinSIOp>(op))
    return {e.min(in[0].lo, in[1].lo), e.closerHigh(in[0].hi, in[1].hi)};
  if (isa<arith::MaxSIOp>(op))
    return {e.closerLow(in[0].lo, in[1].lo), e.max(in[0].hi, in[1].hi)};
  if (isa<math::AbsIOp>(op)) {
    Value far = e.max(e.negate(in[0].lo), in[0].hi);
    return {e.max(e.i64(0), e.closerLow(in[0].lo, e.negate(in[0].hi))), far};
  }
  if (isa<arith::ExtUIOp>(op))
    return in[0];
  if (isa<arith::SelectOp>(op))
    return {e.min(in[1].lo, in[2].lo), e.max(in[1].hi, in[2].hi)};
  return {};
}

Truth Solver::truth(ImplicitLocOpBuilder &b, Id id, Box &box) {
  const Term term = terms[id];
  Ends e{b};
  Truth unknown{e.i1(true), e.i1(false)};
  using P = arith::CmpIPredicate;
  if (term.kind == Kind::Constant)
    return {e.i1(term.number), e.i1(term.number)};
  if (term.kind == Kind::And || term.kind == Kind::Or) {
    bool conjunction = term.kind == Kind::And;
    Truth t{e.i1(conjunction), e.i1(conjunction)};
    for (Id arg : term.args) {
      Truth one = truth(b, arg, box);
      t = conjunction ? Truth{e.both(t.some, one.some), e.both(t.all, one.all)}
                      : Truth{e.either(t.some, one.some), e.either(t.all, one.all)};
    }
    return t;
  }
  if (reader.looksAt(id))
    return reader.look(b, id, box, *this);
  if (term.kind == Kind::Not || term.kind == Kind::Differ) {
    Id positive = term.kind == Kind::Not ? term.args[0] : terms.negation(id);
    Truth t = truth(b, positive, box);
    return {e.invert(t.all), e.invert(t.some)};
  }
  if (term.fixed() && (term.kind == Kind::Outside || term.kind == Kind::Op)) {
    Value v = reader.outside(id);
    return {v, v};
  }
  if (term.kind == Kind::Less || term.kind == Kind::AtMost || term.kind == Kind::Equal) {
    Interval x = interval(b, term.args[0], box), y = interval(b, term.args[1], box);
    if (term.kind == Kind::Equal) {
      Value some = e.both(e.compare(P::sle, x.lo, y.hi, true), e.compare(P::sle, y.lo, x.hi, true));
      Value all = e.both(e.compare(P::eq, x.lo, y.hi, false), e.compare(P::eq, x.hi, y.lo, false));
      return {some, all};
    }
    P p = term.kind == Kind::Less ? P::slt : P::sle;
    return {e.compare(p, x.lo, y.hi, true), e.compare(p, x.hi, y.lo, false)};
  }
  if (term.isData()) {
    Interval read = reader.read(b, id, box);
    return {e.compare(P::ne, read.hi, e.i64(0), true), e.compare(P::ne, read.lo, e.i64(0), false)};
  }
  return unknown;
}

/// Where the position must be for the term to be in an interval.
Span Solver::within(ImplicitLocOpBuilder &b, Id id, Interval wanted, Box &box) {
  const Term term = terms[id];
  Ends e{b};
  Span all = box.keys;
  if (term.kind == Kind::Key)
    return {e.closerLow(all.lo, wanted.lo), e.closerHigh(all.hi, wanted.hi ? e.add(wanted.hi, e.i64(1)) : Value())};
  if (term.kind != Kind::Op || term.isData() || !term.value.getType().isInteger(64))
    return all;
  Operation *op = term.value.getDefiningOp();
  auto hasKey = [&](unsigned k) { return terms[term.args[k]].key; };
  auto number = [&](unsigned k) -> std::optional<int64_t> {
    const Term &arg = terms[term.args[k]];
    return arg.kind == Kind::Constant ? std::optional(arg.number) : std::nullopt;
  };
  auto spanOf = [&](unsigned k, Value lo, Value hi) { return within(b, term.args[k], {lo, hi}, box); };
  Value lo = wanted.lo, hi = wanted.hi;
  if (isa<arith::AddIOp, arith::SubIOp>(op) && hasKey(0) != hasKey(1)) {
    unsigned k = hasKey(0) ? 0 : 1;
    Interval rest = interval(b, term.args[1 - k], box);
    if (isa<arith::AddIOp>(op))
      return spanOf(k, e.sub(lo, rest.hi), e.sub(hi, rest.lo));
    return k == 0 ? spanOf(0, e.add(lo, rest.lo), e.add(hi, rest.hi))
                  : spanOf(1, e.sub(rest.lo, hi), e.sub(rest.hi, lo));
  }
  if (isa<arith::MulIOp>(op))
    for (unsigned k : {0, 1})
      if (auto c = number(k); c && *c && std::abs(*c) <= kFactor) {
        int64_t by = std::abs(*c);
        if (*c < 0)
          std::swap(lo = e.negate(lo), hi = e.negate(hi));
        return spanOf(1 - k, e.ceil(lo, by), e.divide(hi, by));
      }
  std::optional<int64_t> by;
  if (isa<arith::FloorDivSIOp>(op))
    by = number(1);
  if (isa<arith::ShRSIOp>(op))
    if (auto c = number(1); c && *c >= 0 && *c < 20)
      by = int64_t(1) << *c;
  if (by && *by > 0 && *by <= kFactor)
    return spanOf(0, e.mul(lo, *by), e.add(e.mul(hi, *by), e.i64(*by - 1)));
  if (isa<math::AbsIOp>(op) && hi)
    return spanOf(0, e.negate(hi), hi);
  if (isa<arith::MinSIOp, arith::MaxSIOp>(op)) {
    bool least = isa<arith::MinSIOp>(op);
    for (unsigned k : {0, 1})
      if (hasKey(k) && !hasKey(1 - k))
        return least ? spanOf(k, lo, {}) : spanOf(k, {}, hi);
  }
  return all;
}

SmallVector<Span> Solver::possible(ImplicitLocOpBuilder &b, Id id, Box &box) {
  const Term term = terms[id];
  Ends e{b};
  Span all = box.keys;
  auto meet = [&](Span x, Span y) -> Span {
    return {x.lo == y.lo ? x.lo : e.max(x.lo, y.lo), x.hi == y.hi ? x.hi : e.min(x.hi, y.hi)};
  };
  auto isWhole = [&](ArrayRef<Span> spans) {
    return llvm::any_of(spans, [&](Span s) { return s.lo == all.lo && s.hi == all.hi; });
  };
  if (term.kind == Kind::And) {
    SmallVector<Span> result{all};
    for (Id arg : term.args) {
      SmallVector<Span> one = possible(b, arg, box), next;
      if (one.size() * result.size() > kSpans || isWhole(one))
        continue;
      for (Span x : result)
        for (Span y : one)
          next.push_back(meet(x, y));
      result = next;
    }
    return result;
  }
  if (term.kind == Kind::Or) {
    SmallVector<Span> result;
    Value always; // an alternative that is the same for all positions
    for (Id arg : term.args) {
      if (!terms[arg].key) {
        Truth t = truth(b, arg, box);
        always = always ? e.either(always, t.some) : t.some;
        continue;
      }
      llvm::append_range(result, possible(b, arg, box));
    }
    if (result.empty())
      return {{all.lo, e.select(always, all.hi, all.lo)}};
    if (result.size() > kSpans || isWhole(result))
      return {all};
    if (always)
      for (auto [k, s] : llvm::enumerate(result))
        s = {e.select(always, all.lo, s.lo), e.select(always, k ? all.lo : all.hi, s.hi)};
    return result;
  }
  if (!term.key) {
    Truth t = truth(b, id, box);
    return {{all.lo, e.select(t.some, all.hi, all.lo)}};
  }
  if (term.kind != Kind::Less && term.kind != Kind::AtMost && term.kind != Kind::Equal)
    return {all};
  Interval x = interval(b, term.args[0], box), y = interval(b, term.args[1], box);
  bool strict = term.kind == Kind::Less, equal = term.kind == Kind::Equal;
  Value one = e.i64(1);
  Span s = all;
  if (terms[term.args[0]].key)
    s = meet(s, within(b, term.args[0], {equal ? y.lo : Value(), strict ? e.sub(y.hi, one) : y.hi}, box));
  if (terms[term.args[1]].key)
    s = meet(s, within(b, term.args[1], {strict ? e.add(x.lo, one) : x.lo, equal ? x.hi : Value()}, box));
  if (isWhole(s) && x.lo && y.lo) // it cannot be solved; at least it may hold nowhere
    s.hi = e.select(truth(b, id, box).some, all.hi, all.lo);
  return {s};
}

} // namespace attnc::mask
