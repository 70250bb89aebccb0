//===- Reductions that one position decides ------------------------------===//
//
//   reduce sum [c, u] (select(c == x and u <= y, s[x, y, c, u], 0))
// meets one c for every x: the others change nothing. It becomes
//   reduce sum [u] (select(u <= y, s[x, y, x, u], 0))
// and the own block is computed instead of all of them. What is read at c := x is made again there, reductions
// included, since s itself is then needed nowhere.
//
// The comparison may stand in the guard, in a select with the identity, and in a factor of a sum. A factor that is 0
// makes a NaN of what it multiplies where that is not finite: a sum over such a product is NaN when more of the other
// factor is not finite than what is left counts.
// Assumes attn-decompose. Pinned by test/passes/attn/one-point.mlir.
//===----------------------------------------------------------------------===//
#include "passes/Passes.h"
#include "passes/attn/Bounds.h"
#include "passes/attn/Build.h"

using namespace mlir;

namespace attnc {
#define GEN_PASS_DEF_ONEPOINT
#include "passes/Passes.h.inc"

using namespace attn;
namespace {

void addConjuncts(Value v, SmallVectorImpl<Value> &into) {
  v = lookThrough(v);
  if (auto map = v.getDefiningOp<MapOp>(); map && map.getFn() == MapFn::And) {
    for (Value arg : map.getArgs())
      addConjuncts(arg, into);
    return;
  }
  into.push_back(v);
}

/// A condition `axis == other` with a reduced axis on one side and one that is not on the other.
struct Point {
  Value condition;
  StringAttr axis, at;
};

std::optional<Point> pointOf(Value condition, ArrayRef<StringAttr> reduced) {
  SmallVector<Value> all;
  addConjuncts(condition, all);
  for (Value c : all) {
    auto map = c.getDefiningOp<MapOp>();
    if (!map || map.getFn() != MapFn::Eq)
      continue;
    for (unsigned side : {0, 1}) {
      auto one = lookThrough(map.getArgs()[side]).getDefiningOp<IndexOp>();
      auto other = lookThrough(map.getArgs()[1 - side]).getDefiningOp<IndexOp>();
      if (one && other && llvm::is_contained(reduced, one.getAxisAttr()) &&
          !llvm::is_contained(reduced, other.getAxisAttr()))
        return Point{c, one.getAxisAttr(), other.getAxisAttr()};
    }
  }
  return std::nullopt;
}

/// Makes values again with one axis at the position of another.
class Substitution {
public:
  Substitution(Build &b, const Point &point, const llvm::DenseMap<Operation *, unsigned> &cyclic)
      : b(b), point(point), cyclic(cyclic), index(b.index(point.at)) {}

  Value of(Value v) {
    if (v == point.condition)
      return b.boolean(true);
    if (!hasAxis(v, point.axis))
      return v;
    Value &known = made_[v];
    return known ? known : known = make(v);
  }

private:
  Value make(Value v) {
    Operation *op = v.getDefiningOp();
    auto here = [&] { return b.read(v, point.axis, index); };
    if (cyclic.count(op))
      return here();
    if (isa<IndexOp>(op))
      return index;
    if (auto eq = dyn_cast<EquationOp>(op))
      return of(eq.getBody());
    if (auto map = dyn_cast<MapOp>(op)) {
      SmallVector<Value> args;
      for (Value arg : map.getArgs())
        args.push_back(of(arg));
      return b.map(map.getFn(), args);
    }
    // An axis that is reduced inside is another one than the position outside.
    if (auto reduce = dyn_cast<ReduceOp>(op); reduce && !llvm::is_contained(axesFrom(reduce.getAxes()), point.at))
      return b.reduce(reduce.getRed(), axesFrom(reduce.getAxes()), of(reduce.getSource()),
                      reduce.getGuard() ? of(reduce.getGuard()) : Value());
    return here();
  }

  Build &b;
  const Point &point;
  const llvm::DenseMap<Operation *, unsigned> &cyclic;
  Value index;
  llvm::DenseMap<Value, Value> made_;
};

struct OnePoint : impl::OnePointBase<OnePoint> {
  using Base::Base;
  void runOnOperation() override;

private:
  Value rewrite(ReduceOp op);
  std::optional<Point> find(ReduceOp op, SmallVectorImpl<Value> &factors);

  llvm::DenseMap<Operation *, unsigned> cyclic_;
};

bool isIdentity(Value v, Reduction red) {
  v = lookThrough(v);
  if (std::optional<double> x = constReal(v))
    return red == Reduction::Sum   ? *x == 0
           : red == Reduction::Max ? *x == -Build::inf
                                   : red == Reduction::Min && *x == Build::inf;
  std::optional<int64_t> n = constInt(v);
  return n && red == Reduction::Sum && *n == 0;
}

/// The comparison that decides the reduction, and the factors that it leaves out where it does not hold.
std::optional<Point> OnePoint::find(ReduceOp op, SmallVectorImpl<Value> &factors) {
  Axes reduced = axesFrom(op.getAxes());
  if (op.getGuard())
    if (auto point = pointOf(op.getGuard(), reduced))
      return point;
  Value v = lookThrough(op.getSource());
  if (op.getRed() == Reduction::Any)
    return pointOf(v, reduced);
  auto selected = [&](Value v) -> std::optional<Point> {
    auto map = lookThrough(v).getDefiningOp<MapOp>();
    return map && map.getFn() == MapFn::Select && isIdentity(map.getArgs()[2], op.getRed())
               ? pointOf(map.getArgs()[0], reduced)
               : std::nullopt;
  };
  if (auto point = selected(v))
    return point;
  auto product = v.getDefiningOp<MapOp>();
  if (op.getRed() != Reduction::Sum || !product || product.getFn() != MapFn::Mul)
    return std::nullopt;
  for (unsigned side : {0, 1})
    if (auto point = selected(product.getArgs()[side])) {
      factors.push_back(product.getArgs()[1 - side]);
      return point;
    }
  return std::nullopt;
}

Value OnePoint::rewrite(ReduceOp op) {
  SmallVector<Value> factors;
  std::optional<Point> point = find(op, factors);
  AxisTable table(op->getParentOfType<MixerOp>());
  // Without the axis there is no condition to take out; an axis of another extent would need a test.
  if (!point || !extentEqual(table.extent(point->axis), table.extent(point->at)))
    return {};
  Build b(op);
  Axes rest;
  llvm::copy_if(axesFrom(op.getAxes()), std::back_inserter(rest), [&](StringAttr a) { return a != point->axis; });
  Substitution at(b, *point, cyclic_);
  auto again = [&](Reduction red, Value x, Value guard) {
    return rest.empty() ? (guard ? b.select(guard, x, identityOf(b, red, typeOf(x).getElem())) : x)
                        : b.reduce(red, rest, x, guard);
  };
  Value guard = op.getGuard(), guardAt = guard ? at.of(guard) : Value();
  Value result = again(op.getRed(), at.of(op.getSource()), guardAt);
  for (Value factor : factors) {
    if (!typeOf(factor).isFloat())
      continue;
    if (!hasAxis(factor, point->axis))
      return {};
    auto notFinite = [&](Value x) { return b.convert(b.notOf(b.map(MapFn::IsFinite, x)), b.i64()); };
    auto count = [&](Value x, Value guard, bool whole) {
      Axes over;
      for (StringAttr a : axesFrom(op.getAxes()))
        if ((whole || a != point->axis) && (hasAxis(x, a) || (guard && hasAxis(guard, a))))
          over.push_back(a);
      Value n = notFinite(x);
      return !over.empty() ? b.reduce(Reduction::Sum, over, n, guard) : b.guarded(guard, n, 0);
    };
    Value all = count(factor, guard, true), some = count(at.of(factor), guardAt, false);
    result = b.select(b.lt(some, all), b.number(std::numeric_limits<double>::quiet_NaN(), result), result);
  }
  return result.getType() == op.getType() ? result : Value();
}

void OnePoint::runOnOperation() {
  MixerOp mixer = getOperation();
  cyclic_ = cycleParts(mixer);
  for (auto op : llvm::make_early_inc_range(mixer.getBody()->getOps<ReduceOp>()))
    if (!cyclic_.count(op))
      if (Value with = rewrite(op))
        op.getResult().replaceAllUsesWith(with);
}

} // namespace
} // namespace attnc
