//===- Sums of products, factor by factor and term by term ----------------===//
//
//   reduce sum [c, c'] (x[i', c'] * q[c', c] * x[i, c])
// costs i * i' * c * c' products as it stands. A reduced axis that only some of the factors have is summed among them
// first, where the others bring an axis that those lack:
//   reduce sum [c] (reduce sum [c'] (x[i', c'] * q[c', c]) * x[i, c])
//
// And
//   reduce sum [c] (u[i, c] * h[j, c] + v[i, c] * r[j, c])
// is no matrix product, but its terms are:
//   reduce sum [c] (u[i, c] * h[j, c]) + reduce sum [c] (v[i, c] * r[j, c])
//
// And a factor made of numbers and extents is multiplied after the sum, wherever it was written:
//   reduce sum [d] ((q[i, d] / sqrt(#d)) * k[j, d])  ->  reduce sum [d] (q[i, d] * k[j, d]) / sqrt(#d)
//
// Sums may be reassociated, and a product distributes over the sum of what it does not depend on. A guard is left
// alone. Inside recurrences only terms are taken apart: their steps are scheduled as they are written.
// Assumes attn-decompose. Pinned by test/passes/attn/factor.mlir.
//===----------------------------------------------------------------------===//
#include "passes/Passes.h"
#include "passes/attn/Build.h"
#include "runtime/Tally.h"

using namespace mlir;

namespace attnc {
#define GEN_PASS_DEF_FACTOR
#include "passes/Passes.h.inc"

using namespace attn;
namespace {

Axes axesOfAll(ArrayRef<Value> values) {
  Axes all;
  for (Value v : values)
    all = axesUnion(all, axesOf(v));
  return all;
}

/// What an axis saves by not taking part in a sum; an unknown extent counts as a long one.
double sizeOf(const AxisTable &table, StringAttr axis) {
  return double(extentAsConst(table.extent(axis)).value_or(64));
}

Value product(Build &b, ArrayRef<Value> factors) {
  Value all = factors[0];
  for (Value factor : factors.drop_front())
    all = b.mul(all, factor);
  return all;
}

struct Factor : impl::FactorBase<Factor> {
  using Base::Base;
  void runOnOperation() override;
};

/// Sums one axis among the factors that have it; null when that saves nothing.
Value sumFirst(ReduceOp op, const AxisTable &table) {
  constexpr double kWorthwhile = 4;
  if (op.getRed() != Reduction::Sum || op.getGuard() || !typeOf(op.getSource()).isFloat())
    return {};
  SmallVector<Value> factors;
  addFactors(op.getSource(), factors);
  if (factors.size() < 3)
    return {};
  Axes reduced = axesFrom(op.getAxes());
  for (StringAttr axis : reduced) {
    SmallVector<Value> having, others;
    for (Value factor : factors)
      (hasAxis(factor, axis) ? having : others).push_back(factor);
    if (having.size() < 2 || others.empty())
      continue;
    Axes inside = axesOfAll(having), outside = axesOfAll(others);
    double saved = 1;
    for (StringAttr a : outside)
      if (!llvm::is_contained(inside, a))
        saved *= sizeOf(table, a);
    // The rest is still a sum over what both sides have: a factor that is only carried along is not worth a stage.
    bool nested = llvm::any_of(reduced, [&](StringAttr a) { return a != axis && llvm::is_contained(outside, a); });
    if (!nested || saved < kWorthwhile)
      continue;
    Build b(op);
    Axes rest;
    llvm::copy_if(reduced, std::back_inserter(rest), [&](StringAttr a) { return a != axis; });
    others.insert(others.begin(), b.reduce(Reduction::Sum, axis, product(b, having)));
    return b.reduce(Reduction::Sum, rest, product(b, others));
  }
  return {};
}

/// Adds the terms of a sum, with the sign of each, looking through equations that only name one.
void addTerms(Value v, bool negative, SmallVectorImpl<std::pair<Value, bool>> &into) {
  v = lookThrough(v);
  auto map = v.getDefiningOp<MapOp>();
  if (!map || (map.getFn() != MapFn::Add && map.getFn() != MapFn::Sub)) {
    into.push_back({v, negative});
    return;
  }
  addTerms(map.getArgs()[0], negative, into);
  addTerms(map.getArgs()[1], negative != (map.getFn() == MapFn::Sub), into);
}

/// Every factor of a product over `reduced` is there for several of its elements, as in a matrix product.
bool isContraction(Value term, const Axes &reduced) {
  SmallVector<Value> factors;
  addFactors(term, factors);
  return factors.size() == 2 && llvm::all_of(factors, [&](Value factor) {
           bool summed = llvm::all_of(reduced, [&](StringAttr a) { return hasAxis(factor, a); });
           return summed && axesOf(factor).size() < axesOf(term).size();
         });
}

/// A sum for each term, where all of them are matrix products; null otherwise.
Value sumTerms(ReduceOp op, const AxisTable &table) {
  constexpr double kLong = 16; // else the terms are stored about as often as they are summed
  if (op.getRed() != Reduction::Sum || op.getGuard() || !typeOf(op.getSource()).isFloat())
    return {};
  Axes reduced = axesFrom(op.getAxes());
  SmallVector<std::pair<Value, bool>> terms;
  addTerms(op.getSource(), false, terms);
  double length = 1;
  for (StringAttr a : reduced)
    length *= sizeOf(table, a);
  // A term that lacks an axis of the others is not summed along it alike.
  if (terms.size() < 2 || length < kLong ||
      !llvm::all_of(
          terms,
          [&](auto &term) {
            return isContraction(term.first, reduced) && axesOf(term.first) == axesOf(op.getSource());
          }))
    return {};
  Build b(op);
  Value all;
  for (auto [term, negative] : terms) {
    Value sum = b.reduce(Reduction::Sum, reduced, term);
    all = !all ? (negative ? b.map(MapFn::Neg, sum) : sum) : negative ? b.sub(all, sum) : b.add(all, sum);
  }
  return all;
}

/// The factors of a product, those apart that are numbers of the call alone, by which it is multiplied or divided.
struct Scaled {
  SmallVector<Value> factors, times, over;
  void add(Value v) {
    v = lookThrough(v);
    auto map = v.getDefiningOp<MapOp>();
    if (axesOf(v).empty() && isOfExtents(v))
      return times.push_back(v);
    if (map && map.getFn() == MapFn::Mul) {
      for (Value arg : map.getArgs())
        add(arg);
    } else if (map && map.getFn() == MapFn::Div && isOfExtents(map.getArgs()[1])) {
      add(map.getArgs()[0]);
      over.push_back(map.getArgs()[1]);
    } else {
      factors.push_back(v);
    }
  }
};

/// Numbers of the call multiplied after the sum of a product, `sum`; null where there are none.
Value scaleLast(ReduceOp op, const AxisTable &table, Value &sum) {
  if (op.getRed() != Reduction::Sum || !typeOf(op.getSource()).isFloat())
    return {};
  Scaled parts;
  parts.add(op.getSource());
  if (parts.factors.size() < 2 || (parts.times.empty() && parts.over.empty()) ||
      !llvm::all_of(axesFrom(op.getAxes()),
                    [&](StringAttr a) { return llvm::is_contained(axesOfAll(parts.factors), a); }))
    return {};
  Build b(op);
  sum = b.reduce(Reduction::Sum, axesFrom(op.getAxes()), product(b, parts.factors), op.getGuard());
  Value times = parts.times.empty() ? Value() : product(b, parts.times);
  Value over = parts.over.empty() ? Value() : product(b, parts.over);
  Value all = !over ? b.mul(sum, times) : b.div(times ? b.mul(sum, times) : sum, over);
  auto isNumber = [](Value v) { return constReal(v).has_value(); };
  if (llvm::all_of(parts.times, isNumber) && llvm::all_of(parts.over, isNumber))
    return all;
  // Over nothing it is 0, whatever 1 / #d is.
  Value some;
  for (StringAttr axis : axesFrom(op.getAxes()))
    if (std::optional<int64_t> extent = extentAsConst(table.extent(axis)); !extent || *extent < 1)
      some = b.andOf(b.map(MapFn::Gt, {b.extent(table, table.extent(axis)), b.integer(0)}), some);
  return some ? b.select(some, all, b.number(0, all)) : all;
}

void Factor::runOnOperation() {
  MixerOp mixer = getOperation();
  AxisTable table(mixer);
  llvm::DenseMap<Operation *, unsigned> cyclic = cycleParts(mixer);
  SmallVector<ReduceOp> todo(mixer.getBody()->getOps<ReduceOp>());
  while (!todo.empty()) {
    ReduceOp op = todo.pop_back_val();
    Value unscaled, with = cyclic.count(op) ? Value() : scaleLast(op, table, unscaled);
    if (with) {
      TALLY("factor: numbers multiplied after a sum");
      todo.push_back(unscaled.getDefiningOp<ReduceOp>());
    } else if ((with = sumTerms(op, table))) {
      TALLY("factor: a sum taken term by term");
    } else if ((with = cyclic.count(op) ? Value() : sumFirst(op, table))) {
      TALLY("factor: a sum taken factor by factor");
    }
    if (!with || with.getType() != op.getType())
      continue;
    op.getResult().replaceAllUsesWith(with);
    op.erase();
    if (auto again = with.getDefiningOp<ReduceOp>())
      todo.push_back(again);
  }
}

} // namespace
} // namespace attnc
