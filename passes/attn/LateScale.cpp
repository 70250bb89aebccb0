//===- Factors that a sum does not run over are multiplied after it --------===//
//
//   %r = select(%z == 0, 0, 1 / %z)                 ; 1 over the sum of a softmax
//   %o = reduce sum [j] (select(%g, %p * %r, 0) * %v)
// becomes
//   %o = reduce sum [j] (select(%g, %p, 0) * %v) * %r
//
// and, where %g leaves a range, %z = reduce sum [j] %p guard %g sums select(%g, %p, 0), so that these alone are stored.
// No pass over all weights normalises them, and they need no sum over all keys before they are used. The same for %p /
// %z and %p * (1 / %z), where %z is the sum of %p over the same axes, or that plus what is not below 0, or at least
// some number above 0; over nothing, all are 0.
//
// Where %z adds the sums over several sets (a softmax over a union), the weights of each set lie below the maximum of
// all sets, and no sum over one set is known before the maximum of the others is. So a set takes off its own maximum:
//
//   %p = exp(%s - %m)                          ; %m = max(%m1, ...), %m1 = max [j] %s
// becomes
//   %p = exp(%s - %m1), the sums over it multiplied by exp(%m1 - %m)
//
// Only where nothing else reads the normalised weights, and where the sum takes all that %z takes: 0 * NaN is not 0,
// and a sum over nothing is 0 whatever the factor. %r is NaN only where some %p is, which makes the row NaN either way;
// where %z adds the sums over several sets, a sum over one of them in which nothing is left (its maximum is -inf) stays
// as it is.
//
// Not inside recurrences: their steps are scheduled as they are written.
// Assumes attn-simplify, which makes equal ops one. Pinned by test/passes/attn/late-scale.mlir.
//===----------------------------------------------------------------------===//
#include "passes/Passes.h"
#include "passes/attn/Build.h"
#include "runtime/Tally.h"

using namespace mlir;

namespace attnc {
#define GEN_PASS_DEF_LATESCALE
#include "passes/Passes.h.inc"

using namespace attn;
namespace {

bool isNumber(Value v, double number) { return constReal(lookThrough(v)) == number; }

/// The z of select(z == 0, 0, 1 / z), or null.
Value safeReciprocal(Value v) {
  MapOp choice = mapOf(v, MapFn::Select);
  if (!choice || !isNumber(choice.getArgs()[1], 0))
    return {};
  MapOp none = mapOf(choice.getArgs()[0], MapFn::Eq), div = mapOf(choice.getArgs()[2], MapFn::Div);
  bool is = none && div && isNumber(none.getArgs()[1], 0) && isNumber(div.getArgs()[0], 1) &&
            lookThrough(none.getArgs()[0]) == lookThrough(div.getArgs()[1]);
  return is ? lookThrough(div.getArgs()[1]) : Value();
}

/// Not below 0, or NaN; `above`: at least some number above 0.
bool isAtLeast(Value v, bool above, int depth = 0) {
  constexpr int kDeep = 16;
  v = lookThrough(v);
  if (std::optional<double> c = constReal(v))
    return above ? *c > 0 : *c >= 0;
  auto map = v.getDefiningOp<MapOp>();
  if (depth > kDeep)
    return false;
  if (auto reduce = v.getDefiningOp<ReduceOp>())
    return !above && (reduce.getRed() == Reduction::Sum || reduce.getRed() == Reduction::Prod) &&
           isAtLeast(reduce.getSource(), false, depth + 1);
  if (!map)
    return false;
  auto is = [&](unsigned k, bool above) { return isAtLeast(map.getArgs()[k], above, depth + 1); };
  switch (map.getFn()) {
  case MapFn::Exp:
  case MapFn::Exp2:
  case MapFn::Abs:
  case MapFn::Sqrt:
    return !above;
  case MapFn::Max:
    return is(0, above) || is(1, above);
  case MapFn::Add:
    return is(0, false) && is(1, false) && (!above || is(0, true) || is(1, true));
  case MapFn::Mul:
  case MapFn::Div:
    return !above && is(0, false) && is(1, false);
  case MapFn::Select:
    return is(1, above) && is(2, above);
  default:
    return false;
  }
}

/// Made of comparisons of positions and inputs: it leaves parts of an axis, not scattered positions.
bool isRange(Value condition) {
  llvm::DenseSet<Value> seen;
  SmallVector<Value> todo{condition};
  while (!todo.empty()) {
    Value v = lookThrough(todo.pop_back_val());
    if (!seen.insert(v).second || v.getDefiningOp<IndexOp>() || v.getDefiningOp<ConstOp>() ||
        v.getDefiningOp<attn::ExtentOp>() || v.getDefiningOp<attn::InputOp>())
      continue;
    if (auto read = v.getDefiningOp<ReadOp>()) {
      todo.push_back(read.getSource());
      llvm::append_range(todo, read.getIndices());
      continue;
    }
    auto map = v.getDefiningOp<MapOp>();
    if (!map)
      return false;
    switch (map.getFn()) {
    case MapFn::And:
    case MapFn::Le:
    case MapFn::Lt:
    case MapFn::Ge:
    case MapFn::Gt:
    case MapFn::Add:
    case MapFn::Sub:
    case MapFn::Or:
    case MapFn::Not:
    case MapFn::Eq:
    case MapFn::Ne:
    case MapFn::Mul:
    case MapFn::Neg:
    case MapFn::Abs:
    case MapFn::IDiv:
    case MapFn::Mod:
    case MapFn::Min:
    case MapFn::Max:
    case MapFn::ToI64:
      llvm::append_range(todo, map.getArgs());
      break;
    default:
      return false;
    }
  }
  return true;
}

/// The maximum of the exponents that a sum adds, or null.
Value maxOf(ReduceOp sum) {
  MapOp exp = mapOf(sum.getSource(), MapFn::Exp), by = exp ? mapOf(exp.getArgs()[0], MapFn::Sub) : MapOp();
  if (by)
    for (Operation *user : by.getArgs()[0].getUsers())
      if (auto max = dyn_cast<ReduceOp>(user);
          max && max.getRed() == Reduction::Max && max.getGuard() == sum.getGuard() && max.getAxes() == sum.getAxes())
        return max.getResult();
  return {};
}

/// The sum of a set of several, below the maximum of that set, and exp of how far that lies below the maximum of all: 0
/// where nothing is left.
struct OwnMax {
  ReduceOp sum;
  Value below;

  /// Makes them, where the sum refers to the maximum of several sets; the product of both takes the place of the sum.
  static OwnMax of(ReduceOp old) {
    MapOp exp = mapOf(old.getSource(), MapFn::Exp), by = exp ? mapOf(exp.getArgs()[0], MapFn::Sub) : MapOp();
    Value max = by ? maxOf(old) : Value();
    if (!max)
      return {};
    Value all = by.getArgs()[1];
    MapOp choice = mapOf(all, MapFn::Select);
    if (lookThrough(choice ? choice.getArgs()[2] : all) == max)
      return {};
    for (StringAttr axis : axesFrom(old.getAxes()))
      if (hasAxis(all, axis))
        return {};
    if (by.getArgs()[0].getType() != exp.getResult().getType())
      return {}; // scores that are the same for several rows
    TALLY("late-scale: a set of several below its own maximum");
    Build b(exp);
    Value none = b.eq(max, b.number(-Build::inf, max));
    Value p = b.exp(b.sub(by.getArgs()[0], b.select(none, b.number(0, max), max)));
    Value below = b.exp(b.sub(max, all));
    Build after(old);
    auto sum = after.builder().create<ReduceOp>(old.getLoc(), Reduction::Sum, old.getAxes(), p, old.getGuard());
    old.getResult().replaceAllUsesWith(after.mul(sum, below));
    old.erase();
    return {sum, below};
  }
};

/// A normalised weight, and the sums that take it.
class Weight {
public:
  Weight(MapOp op, const AxisTable &table) : op_(op), table_(table) {}

  bool match() {
    Value p, z;
    if (op_.getFn() == MapFn::Div) {
      p = op_.getArgs()[0];
      z = divisor_ = op_.getArgs()[1];
    } else if (op_.getFn() == MapFn::Mul && op_.getArgs().size() == 2) {
      for (unsigned i : {0u, 1u}) {
        if (z)
          break;
        Value factor = op_.getArgs()[i];
        MapOp div = mapOf(factor, MapFn::Div);
        if ((z = safeReciprocal(factor)))
          reciprocal_ = factor;
        else if (div && isNumber(div.getArgs()[0], 1))
          z = divisor_ = div.getArgs()[1];
        p = op_.getArgs()[1 - i];
      }
    }
    if (!z || p.getType() != op_.getResult().getType() || !findOwn(z, p))
      return false;
    reduced_ = axesFrom(own_.getAxes());
    for (StringAttr axis : reduced_)
      if (hasAxis(divisor_ ? divisor_ : reciprocal_, axis))
        return false;
    isWhole_ = own_.getResult() == lookThrough(z);
    if (divisor_ ? !mayDivide() : !isWhole_ && !(max_ = maxOf(own_)))
      return false;
    unscaled_ = p;
    return collect(op_.getResult(), divisor_ || !own_.getGuard(), 0) && !sums_.empty();
  }

  void rewrite() {
    TALLY("late-scale: a factor multiplied after the sum");
    takeOwnMax();
    for (ReduceOp sum : sums_) {
      Build b(sum.getOperation());
      b.builder().setInsertionPointAfter(sum);
      Value scaled = scale(b, sum.getResult());
      sum.getResult().replaceUsesWithIf(scaled, [&](OpOperand &use) { return !made_.contains(use.getOwner()); });
    }
    op_.getResult().replaceAllUsesWith(unscaled_);
    if (guarded_ && isRange(own_.getGuard()) && lookThrough(own_.getSource()) == lookThrough(unscaled_))
      own_.getSourceMutable().assign(guarded_);
    op_.erase();
  }

private:
  static constexpr int kDeep = 16;

  /// The term of z that adds these weights alone, or a factor of them.
  bool findOwn(Value z, Value p) {
    SmallVector<Value> factors;
    addFactors(p, factors);
    factors.push_back(lookThrough(p));
    llvm::DenseSet<Value> seen;
    SmallVector<Value> todo{z};
    while (!todo.empty()) {
      Value term = lookThrough(todo.pop_back_val());
      if (!seen.insert(term).second)
        continue;
      auto map = term.getDefiningOp<MapOp>();
      if (map && (map.getFn() == MapFn::Add || (divisor_ && (map.getFn() == MapFn::Max || map.getFn() == MapFn::Abs ||
                                                             map.getFn() == MapFn::Select))))
        llvm::append_range(todo, map.getArgs());
      else if (auto sum = term.getDefiningOp<ReduceOp>();
               sum && sum.getRed() == Reduction::Sum && llvm::is_contained(factors, lookThrough(sum.getSource())))
        own_ = sum;
    }
    return bool(own_);
  }

  /// Whether the quotient of the sum is the sum of the quotients, over nothing too.
  bool mayDivide() {
    if (isAtLeast(divisor_, true))
      return positive_ = true;
    MapOp choice = mapOf(divisor_, MapFn::Select); // 1 where the maximum is inf and so all is 0 or NaN
    bool isOwn = isWhole_ || (choice && isNumber(choice.getArgs()[1], 1) && lookThrough(choice.getArgs()[2]) == own_);
    if (!isOwn && !isAtLeast(divisor_, false))
      return false;
    // A weight of a row in which something is left is 1 or NaN, so that 0 is the sum of none.
    return !own_.getGuard() || (isOwn && isBelowMax(own_));
  }

  /// It adds exp(x - max of x).
  static bool isBelowMax(ReduceOp sum) {
    MapOp exp = mapOf(sum.getSource(), MapFn::Exp), by = exp ? mapOf(exp.getArgs()[0], MapFn::Sub) : MapOp();
    auto max = by ? lookThrough(by.getArgs()[1]).getDefiningOp<ReduceOp>() : ReduceOp();
    return max && max.getRed() == Reduction::Max && lookThrough(max.getSource()) == lookThrough(by.getArgs()[0]) &&
           max.getGuard() == sum.getGuard() && max.getAxes() == sum.getAxes();
  }

  /// The weights of one set of several lie below the maximum of that set.
  void takeOwnMax() {
    Value exp = lookThrough(unscaled_);
    for (Operation *user : exp.getUsers())
      if (user != own_ && user != op_)
        return;
    if (exp != lookThrough(own_.getSource()))
      return;
    if (OwnMax own = OwnMax::of(own_); own.sum) {
      own_ = own.sum;
      unscaled_ = own.sum.getSource();
      below_ = own.below;
    }
  }

  /// Follows every use to a sum over what z adds; `guarded`: it is 0 where z adds nothing.
  bool collect(Value v, bool guarded, int depth) {
    if (depth > kDeep)
      return false;
    for (OpOperand &use : v.getUses()) {
      Operation *user = use.getOwner();
      if (auto sum = dyn_cast<ReduceOp>(user)) {
        if (sum.getRed() != Reduction::Sum || use.get() != sum.getSource() ||
            sum.getGuard() != (divisor_ ? own_.getGuard() : Value()) || !guarded || axesFrom(sum.getAxes()) != reduced_)
          return false;
        if (chosen(sum.getResult(), 0))
          return false;
        sums_.push_back(sum);
        continue;
      }
      if (auto equation = dyn_cast<EquationOp>(user)) {
        if (equation.getCycle() || !collect(equation.getResult(), guarded, depth + 1))
          return false;
        continue;
      }
      auto map = dyn_cast<MapOp>(user);
      if (!map || !seen_.insert(map).second) // a square
        return false;
      bool choice = map.getFn() == MapFn::Select && use.getOperandNumber() == 1 && isNumber(map.getArgs()[2], 0);
      if (choice && !guarded && map.getArgs()[0] == own_.getGuard()) {
        guarded_ = map.getResult();
        if (!collect(guarded_, true, depth + 1))
          return false;
      } else if (map.getFn() != MapFn::Mul || !collect(map.getResult(), guarded, depth + 1)) {
        return false;
      }
    }
    return true;
  }

  /// Whether some rows take it and others do not: what normalises it would be computed for those rows alone, row by
  /// row.
  static bool chosen(Value v, int depth) {
    return depth < kDeep && llvm::any_of(
                                v.getUsers(),
                                [&](Operation *user) {
                                  auto map = dyn_cast<MapOp>(user);
                                  auto equation = dyn_cast<EquationOp>(user);
                                  return (map && map.getFn() == MapFn::Select) ||
                                         (equation && chosen(equation.getResult(), depth + 1));
                                });
  }

  Value scale(Build &b, Value sum) {
    auto note = [&](Value v) {
      made_.insert(v.getDefiningOp());
      return v;
    };
    if (below_)
      sum = note(b.mul(sum, below_));
    if (reciprocal_) {
      Value all = note(b.mul(sum, reciprocal_));
      return !max_ ? all : note(b.select(b.eq(max_, b.number(-Build::inf, max_)), sum, all));
    }
    Value all = note(b.div(sum, divisor_));
    if (positive_)
      return all;
    if (own_.getGuard())
      return b.select(b.eq(own_.getResult(), b.number(0, sum)), b.number(0, sum), all);
    Value some;
    for (StringAttr axis : reduced_)
      some = b.andOf(b.map(MapFn::Gt, {b.extent(table_, table_.extent(axis)), b.integer(0)}), some);
    return b.select(some, all, b.number(0, sum));
  }

  MapOp op_;
  const AxisTable &table_;
  Value reciprocal_, divisor_; ///< one of the two
  ReduceOp own_;               ///< the sum of the weights
  Value max_;                  ///< where z has terms of other sets too: the maximum of this one
  Value below_;                ///< there: exp of how far that lies below the maximum of all
  Value unscaled_, guarded_;
  bool isWhole_ = false;  ///< nothing but own_ is in z
  bool positive_ = false; ///< the divisor is at least some number above 0
  Axes reduced_;
  SmallVector<ReduceOp> sums_;
  llvm::DenseSet<Operation *> seen_, made_;
};

struct LateScale : impl::LateScaleBase<LateScale> {
  using Base::Base;
  void runOnOperation() override {
    MixerOp mixer = getOperation();
    AxisTable table(mixer);
    llvm::DenseMap<Operation *, unsigned> cyclic = cycleParts(mixer);
    for (MapOp op : llvm::to_vector(mixer.getBody()->getOps<MapOp>()))
      if (Weight weight(op, table); !cyclic.count(op) && weight.match())
        weight.rewrite();
    for (ReduceOp sum : llvm::to_vector(mixer.getBody()->getOps<ReduceOp>()))
      if (sum.getRed() == Reduction::Sum && !cyclic.count(sum) && lookThrough(sum.getSource()).hasOneUse())
        OwnMax::of(sum);
  }
};

} // namespace
} // namespace attnc
