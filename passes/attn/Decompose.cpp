//===- Write composite ops as primitive ones ------------------------------===//
//
// Every function in the form that neither overflows nor cancels where the plain formula would.
//
//   %p = attn.softmax (%s [j] guard %g)
// becomes
//   %m = attn.reduce max [j] %s guard %g          ; -inf where nothing is there
//   %m0 = select(%m == -inf, 0, %m)               ; so that a dead row has exp(-inf) and not exp(NaN)
//   %e = exp(%s - %m0)
//   %z = attn.reduce sum [j] %e guard %g
//   %r = select(%z == 0, 0, 1 / %z)
//   %p = select(%g, %e * %r, 0)
//
// A union shares %m and %z over all its operands. logsumexp is %m0 + log(%z) where %m is finite, else %m: -inf, inf and
// NaN come out as themselves. In %y - logsumexp(%s) the maximum is taken off
// first; exp(%s - logsumexp(%s)) is %e / %z. A running sum, product or maximum
// becomes a recurrence along its axes.
//
// Leaves: reduce sum prod max min any all, argreduce, topk, argsort, rank, and the maps listed in Passes.td.
// Pinned by test/passes/attn/decompose.mlir.
//===----------------------------------------------------------------------===//
#include "passes/attn/Decompose.h"
#include "passes/Passes.h"
#include "runtime/Tally.h"
#include <cmath>

using namespace mlir;

namespace attnc {
#define GEN_PASS_DEF_DECOMPOSE
#include "passes/Passes.h.inc"

namespace attn {

//===--- maps -------------------------------------------------------------===//

/// 1 / (1 + exp(-x)): exp may overflow to inf, which gives the right 0.
static Value sigmoid(Build &b, Value x) {
  Value one = b.number(1, x);
  return b.div(one, b.add(one, b.exp(b.neg(x))));
}

/// log(1 + exp(-|x|)): the part of softplus that is never large.
static Value softTail(Build &b, Value x) { return b.map(MapFn::Log1p, b.exp(b.neg(b.map(MapFn::Abs, x)))); }

/// 1 - erf(x) without cancelling: exp(-x^2) t P(2 t - 1) with t = 2 / (2 + |x|). P is interpolated, to 3e-8 for f32 and
/// to 6e-16 for f64.
static Value erfc(Build &b, Value x) {
  static constexpr double kSingle[] = {4.42884147e-5, -3.67643616e-5, -3.04719086e-4, 4.31040022e-4,
                                       1.53384704e-3, -3.24373307e-3, -1.07533109e-2, 1.82217491e-2,
                                       1.39735946e-1, 3.43580313e-1,  5.10791353e-1};
  static constexpr double kDouble[] = {
      -2.2124653785049849e-9, 6.6185477376167174e-9,  8.3313983029885386e-9,  -5.1579015426615876e-8,
      3.1237899528464258e-8,  1.5002373169874065e-7,  -3.1904880762943955e-7, 1.527560153078624e-8,
      1.023671759497573e-6,   -1.8346763716451884e-6, -5.7327470330444217e-7, 8.0668689493588414e-6,
      -1.0844830478580393e-5, -1.7076546276097943e-5, 7.2234701530060389e-5,  -1.7185277049606434e-5,
      -3.3153666721072968e-4, 4.1864797455347001e-4,  1.5453060235237156e-3,  -3.2395925298231458e-3,
      -1.0755330944543401e-2, 1.8221115753306546e-2,  1.3973604627802543e-1,  3.4358034220690658e-1,
      5.1079135262101149e-1};
  auto number = [&](double v) { return b.number(v, x); };
  Value two = number(2), t = b.div(two, b.add(two, b.map(MapFn::Abs, x)));
  Value w = b.sub(b.mul(two, t), number(1)), p;
  for (double c : typeOf(x).getElem().isF64() ? ArrayRef(kDouble) : ArrayRef(kSingle))
    p = p ? b.add(b.mul(p, w), number(c)) : number(c);
  Value tail = b.mul(b.exp(b.neg(b.mul(x, x))), b.mul(t, p));
  return b.select(b.lt(x, number(0)), b.sub(two, tail), tail);
}

Value decomposeMap(MapOp op) {
  Build b(op);
  Value x = op.getArgs()[0];
  switch (op.getFn()) {
  case MapFn::Min:
  case MapFn::Max:
  case MapFn::LogAddExp: {
    if (op.getFn() != MapFn::LogAddExp && op.getArgs().size() == 2)
      return {};
    if (op.getFn() == MapFn::LogAddExp)
      TALLY("decompose: logaddexp");
    else
      TALLY("decompose: min or max of three or more");
    Value result = x;
    for (Value y : op.getArgs().drop_front()) {
      if (op.getFn() != MapFn::LogAddExp) {
        result = b.map(op.getFn(), {result, y});
        continue;
      }
      // Of equals: infinities must not be subtracted from each other.
      Value apart = b.add(b.max(result, y), softTail(b, b.sub(result, y)));
      result = b.select(b.eq(result, y), b.add(result, b.number(std::log(2.0), x)), apart);
    }
    return result;
  }
  case MapFn::Sigmoid:
    TALLY("decompose: sigmoid");
    return sigmoid(b, x);
  case MapFn::Silu:
    TALLY("decompose: silu");
    return b.mul(x, sigmoid(b, x));
  case MapFn::Softplus:
    TALLY("decompose: softplus");
    return b.add(b.max(x, b.number(0, x)), softTail(b, x));
  case MapFn::LogSigmoid:
    TALLY("decompose: logsigmoid");
    return b.sub(b.min(x, b.number(0, x)), softTail(b, x));
  case MapFn::Relu:
    TALLY("decompose: relu");
    return b.max(x, b.number(0, x));
  case MapFn::Gelu: {
    TALLY("decompose: gelu");
    Value half = b.mul(x, b.number(0.5, x));
    return b.mul(half, erfc(b, b.mul(x, b.number(-std::sqrt(0.5), x))));
  }
  case MapFn::Erfc:
    TALLY("decompose: erfc");
    return erfc(b, x);
  case MapFn::GeluTanh: {
    TALLY("decompose: gelu_tanh");
    // 0.5 (1 + tanh(u)) = sigmoid(2u)
    Value cubic = b.add(b.number(1, x), b.mul(b.number(0.044715, x), b.mul(x, x)));
    Value twice = b.mul(b.mul(b.number(2 * std::sqrt(2 / M_PI), x), x), cubic);
    return b.mul(x, sigmoid(b, twice));
  }
  case MapFn::IDiv:
    if (!typeOf(x).isFloat())
      return {};
    TALLY("decompose: idiv of reals");
    return b.map(MapFn::Floor, b.div(x, op.getArgs()[1]));
  case MapFn::Mod: {
    if (!typeOf(x).isFloat())
      return {};
    TALLY("decompose: mod of reals");
    Value y = op.getArgs()[1];
    return b.sub(x, b.mul(y, b.map(MapFn::Floor, b.div(x, y))));
  }
  default:
    return {};
  }
}

//===--- reductions -------------------------------------------------------===//

Value countElements(Build &b, const AxisTable &table, ArrayRef<StringAttr> axes, Value guard) {
  Axes counted;
  ExtentRef rest = extentConst(1);
  for (StringAttr axis : axes) {
    if (guard && hasAxis(guard, axis))
      counted.push_back(axis);
    else
      rest = extentMake(attnc::ExtentOp::Mul, {rest, table.extent(axis)});
  }
  Value count;
  if (guard) {
    count = b.convert(guard, b.i64());
    if (!counted.empty())
      count = b.reduce(Reduction::Sum, counted, count);
  }
  if (count && extentAsConst(rest) == 1)
    return count;
  Value times = b.extent(table, rest);
  return count ? b.mul(count, times) : times;
}

/// What is subtracted from the operands of exp: the maximum, but 0 where it is -inf, since -inf - -inf is NaN.
static Value shiftOf(Build &b, Value m) { return b.select(b.eq(m, b.number(-Build::inf, m)), b.number(0, m), m); }

/// The same maximum and sum as a softmax of this operand has, so that both are computed once.
static Value sumOfExp(Build &b, ReduceOp op, Value &m, Value &m0) {
  Axes axes = axesFrom(op.getAxes());
  m = b.reduce(Reduction::Max, axes, op.getSource(), op.getGuard());
  m0 = shiftOf(b, m);
  return b.reduce(Reduction::Sum, axes, b.exp(b.sub(op.getSource(), m0)), op.getGuard());
}

/// The root of the sum of squares, where these may leave the range of the type: in f64 for f32, else with the largest
/// operand taken out.
static Value norm(Build &b, ReduceOp op) {
  Value x = op.getSource(), guard = op.getGuard();
  Axes axes = axesFrom(op.getAxes());
  Type elem = typeOf(x).getElem();
  auto root = [&](Value v) { return b.map(MapFn::Sqrt, b.reduce(Reduction::Sum, axes, b.mul(v, v), guard)); };
  if (!elem.isF64()) {
    TALLY("decompose: norm of f32");
    return b.convert(root(b.convert(x, b.f64())), elem);
  }
  TALLY("decompose: norm of f64");
  Value top = b.reduce(Reduction::Max, axes, b.map(MapFn::Abs, x), guard);
  Value usable = b.andOf(b.map(MapFn::IsFinite, top), b.lt(b.number(0, top), top)); // over nothing it is -inf
  Value scale = b.select(usable, top, b.number(1, top));
  return b.mul(root(b.div(x, scale)), scale);
}

Value decomposeReduce(ReduceOp op, const AxisTable &table) {
  Build b(op);
  Value x = op.getSource(), guard = op.getGuard();
  Axes axes = axesFrom(op.getAxes());
  Axes wanted(axesOf(op.getResult()));
  switch (op.getRed()) {
  case Reduction::Mean: {
    TALLY("decompose: mean");
    Value count = b.max(countElements(b, table, axes, guard), b.integer(1));
    return b.div(b.reduce(Reduction::Sum, axes, x, guard), b.convert(count, typeOf(x).getElem()));
  }
  case Reduction::Count:
    TALLY("decompose: count");
    if (typeOf(x).isBool())
      guard = b.andOf(x, guard);
    return b.broadcast(countElements(b, table, axes, guard), wanted);
  case Reduction::LogSumExp: {
    TALLY("decompose: logsumexp");
    Value m, m0, z = sumOfExp(b, op, m, m0);
    return b.select(b.map(MapFn::IsFinite, m), b.add(m0, b.map(MapFn::Log, z)), m);
  }
  case Reduction::Norm:
    return norm(b, op);
  default:
    return {};
  }
}

SmallVector<Value> decomposeSoftmax(SoftmaxOp op) {
  Build b(op);
  auto groups = llvm::map_to_vector(op.getGroups().getAsRange<ArrayAttr>(), axesFrom);
  auto over = [&](Reduction red, Value x, unsigned i) -> Value {
    Value guard = op.guard(i);
    if (!groups[i].empty())
      return b.reduce(red, groups[i], x, guard);
    return guard ? b.select(guard, x, identityOf(b, red, typeOf(x).getElem())) : x;
  };
  Value m;
  if (op.getArgs().size() > 1)
    TALLY("decompose: softmax over a union");
  else
    TALLY("decompose: softmax");
  for (auto [i, x] : llvm::enumerate(op.getArgs())) {
    Value one = over(Reduction::Max, x, i);
    m = m ? b.max(m, one) : one;
  }
  Value zero = b.number(0, m), one = b.number(1, m);
  Value m0 = shiftOf(b, m);
  SmallVector<Value> results;
  Value z;
  for (auto [i, x] : llvm::enumerate(op.getArgs())) {
    results.push_back(b.exp(b.sub(x, m0)));
    Value part = over(Reduction::Sum, results.back(), i);
    z = z ? b.add(z, part) : part;
  }
  Value r = b.select(b.eq(z, zero), zero, b.div(one, z));
  for (auto [i, result] : llvm::enumerate(results))
    result = b.broadcast(b.guarded(op.guard(i), b.mul(result, r), 0), axesOf(op.getOuts()[i]));
  return results;
}

/// `y - logsumexp[j](s)`, for y = s the logarithm of a softmax, as (y - m) - log(z): m + log(z) would be rounded to the
/// precision of a large m, and the difference keep that error. The same for `logsumexp[j](s) - y`. Null for any other
/// map.
static Value decomposeDifference(MapOp op) {
  if (op.getFn() != MapFn::Sub)
    return {};
  auto lseOf = [](Value v) {
    while (auto equation = v.getDefiningOp<EquationOp>())
      v = equation.getBody();
    auto reduce = v.getDefiningOp<ReduceOp>();
    return reduce && reduce.getRed() == Reduction::LogSumExp ? reduce : ReduceOp();
  };
  ReduceOp lse = lseOf(op.getArgs()[1]);
  bool isFirst = !lse;
  if (isFirst && !(lse = lseOf(op.getArgs()[0])))
    return {};
  TALLY("decompose: a difference from a logsumexp");
  Build b(op);
  Value m, m0, z = sumOfExp(b, lse, m, m0), log = b.map(MapFn::Log, z), y = op.getArgs()[isFirst];
  Value apart = isFirst ? b.add(b.sub(m0, y), log) : b.sub(b.sub(y, m0), log);
  return b.select(b.map(MapFn::IsFinite, m), apart, isFirst ? b.sub(m, y) : b.sub(y, m));
}

/// `exp(s - logsumexp[j](s))`, a softmax by another name, as exp(s - m) / z, where everything is normalised by one
/// number. As in the difference, an infinite s gives NaN there and 0 elsewhere, and a row of -inf NaN; under a guard it
/// is m itself that is taken off, so that z is 0 only where nothing is there (LateScale). Null for any other map.
static Value decomposeExp(MapOp op) {
  auto difference = op.getFn() == MapFn::Exp ? lookThrough(op.getArgs()[0]).getDefiningOp<MapOp>() : MapOp();
  if (!difference || difference.getFn() != MapFn::Sub)
    return {};
  auto lse = lookThrough(difference.getArgs()[1]).getDefiningOp<ReduceOp>();
  if (!lse || lse.getRed() != Reduction::LogSumExp ||
      lookThrough(lse.getSource()) != lookThrough(difference.getArgs()[0]))
    return {};
  TALLY("decompose: exp of a difference from a logsumexp");
  Build b(op);
  Value m, m0, z = sumOfExp(b, lse, m, m0), top = b.eq(m, b.number(Build::inf, m));
  Value p = b.exp(b.sub(lse.getSource(), lse.getGuard() ? m : m0));
  if (lse.getGuard())
    z = b.reduce(Reduction::Sum, axesFrom(lse.getAxes()), p, lse.getGuard());
  return b.div(p, b.select(top, b.number(1, z), z));
}

//===--- running reductions -----------------------------------------------===//

static MapFn combinerOf(Reduction red) {
  return red == Reduction::Sum ? MapFn::Add : red == Reduction::Prod ? MapFn::Mul : MapFn::Max;
}

Value decomposeCum(CumOp op, AxisTable &table, int64_t cycle, bool nested) {
  Build b(op);
  Axes axes = axesFrom(op.getAxes());
  bool reversed = op.getReversed();
  Value x = op.getSource();
  if (nested) {
    TALLY("decompose: a running reduction over copies of its axes");
    // Over copies of the axes: all positions up to the own one.
    Axes copies;
    SmallVector<Value> indices;
    Value flat, flatCopy;
    for (StringAttr axis : axes) {
      copies.push_back(table.addAxis(axis.getValue(), table.extent(axis)));
      indices.push_back(b.index(copies.back()));
      Value e = b.extent(table, table.extent(axis));
      flat = flat ? b.add(b.mul(flat, e), b.index(axis)) : b.index(axis);
      flatCopy = flatCopy ? b.add(b.mul(flatCopy, e), indices.back()) : indices.back();
    }
    auto moved = [&](Value v) {
      Axes own;
      SmallVector<Value> at;
      for (auto [axis, index] : llvm::zip(axes, indices))
        if (hasAxis(v, axis)) {
          own.push_back(axis);
          at.push_back(index);
        }
      return b.read(v, own, at);
    };
    Value upTo = b.map(reversed ? MapFn::Ge : MapFn::Le, {flatCopy, flat});
    Value guard = op.getGuard() ? b.andOf(upTo, moved(op.getGuard())) : upTo;
    return b.broadcast(b.reduce(op.getRed(), copies, moved(x), guard), axesOf(op.getResult()));
  }

  if (reversed)
    TALLY("decompose: a running reduction from the end");
  else
    TALLY("decompose: a running reduction");
  if (axes.size() > 1)
    TALLY("decompose: a running reduction along a composite");
  if (op.getGuard())
    x = b.select(op.getGuard(), x, identityOf(b, op.getRed(), typeOf(x).getElem()));
  Operation *self = b.placeholder(op.getType());
  Axes wanted(axesOf(op.getResult()));
  // The digits of the flat position before; the first step has none.
  Value flat, length;
  for (StringAttr axis : axes) {
    Value e = b.extent(table, table.extent(axis));
    flat = flat ? b.add(b.mul(flat, e), b.index(axis)) : b.index(axis);
    length = length ? b.mul(length, e) : e;
  }
  Value one = b.integer(1);
  Value atStart = b.eq(flat, reversed ? b.sub(length, one) : b.integer(0));
  SmallVector<Value> indices(axes.size());
  Value rest = reversed ? b.add(flat, one) : b.sub(flat, one);
  for (size_t k = axes.size(); k-- > 1;) {
    Value e = b.extent(table, table.extent(axes[k]));
    indices[k] = b.map(MapFn::Mod, {rest, e});
    rest = b.map(MapFn::IDiv, {rest, e});
  }
  indices[0] = rest;
  // From the end of a short last chunk: what is stored as an output does not exist past it.
  if (reversed)
    for (auto out : op->getParentOfType<MixerOp>().getBody()->getOps<OutputOp>())
      for (auto [dim, length] :
           llvm::zip_equal(out.getDims().getAsRange<ArrayAttr>(), out.getLengths().getAsRange<StringAttr>())) {
        Axes leaves = axesFrom(dim);
        if (length.getValue().empty() || axesUnion(wanted, leaves).size() > wanted.size() ||
            axesMinus(leaves, axes).size() == leaves.size())
          continue;
        Value at;
        for (StringAttr leaf : leaves) {
          auto place = llvm::find(axes, leaf);
          Value digit = place == axes.end() ? b.index(leaf) : indices[place - axes.begin()];
          at = at ? b.add(b.mul(at, b.extent(table, table.extent(leaf))), digit) : digit;
        }
        Value past = b.map(MapFn::Ge, {at, b.extent(table, table.parse(length.getValue()))});
        atStart = b.map(MapFn::Or, {atStart, past});
      }
  Value before = b.read(self->getResult(0), axes, indices);
  Value body = b.select(atStart, x, b.map(combinerOf(op.getRed()), {before, x}));
  SmallVector<int64_t> dirs(axes.size(), reversed ? -1 : 1);
  Value result = b.builder().create<EquationOp>(op.getLoc(), b.name("cum"), b.broadcast(body, axesOf(op.getResult())),
                                                b.builder().getI64IntegerAttr(cycle), op.getAxes(),
                                                b.builder().getDenseI64ArrayAttr(dirs));
  self->getResult(0).replaceAllUsesWith(result);
  self->erase();
  return result;
}

} // namespace attn

namespace {

struct Decompose : impl::DecomposeBase<Decompose> {
  using Base::Base;
  void runOnOperation() override;
};

void Decompose::runOnOperation() {
  attn::MixerOp mixer = getOperation();
  attn::AxisTable table(mixer);
  int64_t cycle = attn::freshCycle(mixer);
  llvm::DenseMap<Operation *, unsigned> parts = attn::cycleParts(mixer);
  for (auto map : llvm::make_early_inc_range(mixer.getBody()->getOps<attn::MapOp>()))
    if (Value apart = attn::decomposeExp(map)) {
      map.replaceAllUsesWith(apart);
      map.erase();
    }
  for (auto map : llvm::make_early_inc_range(mixer.getBody()->getOps<attn::MapOp>()))
    if (Value apart = attn::decomposeDifference(map)) {
      map.replaceAllUsesWith(apart);
      map.erase();
    }
  for (Operation &op : llvm::make_early_inc_range(*mixer.getBody())) {
    SmallVector<Value> results;
    if (auto map = dyn_cast<attn::MapOp>(op))
      results = {attn::decomposeMap(map)};
    else if (auto reduce = dyn_cast<attn::ReduceOp>(op))
      results = {attn::decomposeReduce(reduce, table)};
    else if (auto softmax = dyn_cast<attn::SoftmaxOp>(op))
      results = attn::decomposeSoftmax(softmax);
    else if (auto cum = dyn_cast<attn::CumOp>(op))
      results = {attn::decomposeCum(cum, table, cycle++, parts.count(&op))};
    else if (isa<attn::GradOp, attn::DetachOp>(op)) {
      op.emitOpError("has to be derived first (attn-derive-grad)");
      return signalPassFailure();
    }
    if (results.empty() || !results[0])
      continue;
    op.replaceAllUsesWith(results);
    op.erase();
  }
}

} // namespace
} // namespace attnc
