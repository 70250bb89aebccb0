//===- What lies below its maximum, in one form ----------------------------===//
//
//   exp((%x - max [j] %x) * c)   becomes   exp(%x * c - max [j] (%x * c))     for a number c above 0
//   exp(min [j] %x - %x)         becomes   exp(-%x - max [j] (-%x))
//
// so that what follows knows one form: the argument of exp less its own maximum. The maximum may be replaced by 0 where
// it is -inf, as a softmax does. The same for exp2.
//
// Not inside recurrences. Assumes attn-decompose. Pinned by test/passes/attn/exponent.mlir.
//===----------------------------------------------------------------------===//
#include "passes/Passes.h"
#include "passes/attn/Build.h"
#include "runtime/Tally.h"

using namespace mlir;

namespace attnc {
#define GEN_PASS_DEF_EXPONENT
#include "passes/Passes.h.inc"

using namespace attn;
namespace {

/// The m of m and of select(m == -inf, 0, m), where that is a reduction of x.
ReduceOp extremeOf(Value v, Reduction red, Value x) {
  if (MapOp choice = mapOf(v, MapFn::Select))
    if (MapOp none = mapOf(choice.getArgs()[0], MapFn::Eq);
        none && lookThrough(none.getArgs()[0]) == lookThrough(choice.getArgs()[2]) &&
        constReal(none.getArgs()[1]) == -Build::inf && constReal(choice.getArgs()[1]) == 0)
      v = choice.getArgs()[2];
  auto reduce = lookThrough(v).getDefiningOp<ReduceOp>();
  return reduce && reduce.getRed() == red && lookThrough(reduce.getSource()) == lookThrough(x) ? reduce : ReduceOp();
}

Value inOneForm(MapOp exp) {
  Value arg = exp.getArgs()[0], by;
  bool divided = false;
  if (MapOp scaled = mapOf(arg, MapFn::Mul)) {
    for (unsigned k : {0u, 1u})
      if (!by && isOfExtents(scaled.getArgs()[1 - k], true)) {
        arg = scaled.getArgs()[k];
        by = scaled.getArgs()[1 - k];
      }
  } else if (MapOp quotient = mapOf(arg, MapFn::Div); quotient && isOfExtents(quotient.getArgs()[1], true)) {
    arg = quotient.getArgs()[0];
    by = quotient.getArgs()[1];
    divided = true;
  }
  MapOp below = mapOf(arg, MapFn::Sub);
  if (!below)
    return {};
  Value x = below.getArgs()[0], m = below.getArgs()[1];
  ReduceOp extreme = extremeOf(m, Reduction::Max, x);
  bool negative = false;
  if (!extreme && (extreme = extremeOf(x, Reduction::Min, m)))
    std::swap(x, m), negative = true;
  if (!extreme || (!by && !negative) || x.getType() != exp.getResult().getType())
    return {};
  TALLY("exponent: below a maximum in one form");
  Build b(exp);
  Value y = negative ? b.neg(x) : x;
  if (by)
    y = divided ? b.div(y, by) : b.mul(y, by);
  Value top = b.reduce(Reduction::Max, axesFrom(extreme.getAxes()), y, extreme.getGuard());
  if (lookThrough(m) != extreme.getResult())
    top = b.select(b.eq(top, b.number(-Build::inf, top)), b.number(0, top), top);
  return b.map(exp.getFn(), b.sub(y, top));
}

struct Exponent : impl::ExponentBase<Exponent> {
  using Base::Base;
  void runOnOperation() override {
    MixerOp mixer = getOperation();
    llvm::DenseMap<Operation *, unsigned> cyclic = cycleParts(mixer);
    for (MapOp op : llvm::to_vector(mixer.getBody()->getOps<MapOp>())) {
      if ((op.getFn() != MapFn::Exp && op.getFn() != MapFn::Exp2) || cyclic.count(op))
        continue;
      if (Value with = inOneForm(op)) {
        op.getResult().replaceAllUsesWith(with);
        op.erase();
      }
    }
  }
};

} // namespace
} // namespace attnc
