//===- Fold, share, erase -------------------------------------------------===//
//
// Three small steps until nothing changes: fold each op (never into a value of another type), make equal ops one, erase
// what neither outputs nor inputs need.
//
//   %c = attn.const 64 : i64
//   %r = attn.map sqrt(attn.map to_f64(%c))       ->  attn.const 8.0 : f64
//   attn.map pow(%x, 3.0)                         ->  %x * (%x * %x)
//   attn.map div(%sum, sqrt(attn.extent "d"))     ->  %sum * (1 / sqrt(...)), for a sum of products
//   (%e div 3) * 3 + %e mod 3                     ->  %e
//   attn.read %x [i = attn.index "i"]             ->  %x
//   attn.reduce sum [j] %x guard %true            ->  attn.reduce sum [j] %x
//   attn.read %x [u = %e]                         ->  attn.read %x [u = %e inside]   where 0 <= %e < extent of u is
//   proven
//
// Folding of reals assumes nothing of a value that is not constant: x * 0 stays, x * 1 goes.
// Pinned by test/passes/attn/simplify.mlir.
//===----------------------------------------------------------------------===//
#include "passes/Passes.h"
#include "passes/attn/Bounds.h"
#include "passes/attn/Build.h"
#include "runtime/Tally.h"
#include <cmath>
#include <map>

using namespace mlir;

namespace attnc {
#define GEN_PASS_DEF_SIMPLIFY
#include "passes/Passes.h.inc"

using namespace attn;
namespace {

//===--- constants --------------------------------------------------------===//

std::optional<double> foldReal(MapFn fn, ArrayRef<double> v) {
  switch (fn) {
  case MapFn::Neg:
    return -v[0];
  case MapFn::Add:
    return v[0] + v[1];
  case MapFn::Sub:
    return v[0] - v[1];
  case MapFn::Mul:
    return v[0] * v[1];
  case MapFn::Div:
    return v[0] / v[1];
  case MapFn::Pow:
    return std::pow(v[0], v[1]);
  case MapFn::Exp:
    return std::exp(v[0]);
  case MapFn::Exp2:
    return std::exp2(v[0]);
  case MapFn::Expm1:
    return std::expm1(v[0]);
  case MapFn::Log:
    return std::log(v[0]);
  case MapFn::Log1p:
    return std::log1p(v[0]);
  case MapFn::Sqrt:
    return std::sqrt(v[0]);
  case MapFn::Rsqrt:
    return 1 / std::sqrt(v[0]);
  case MapFn::Abs:
    return std::fabs(v[0]);
  case MapFn::Sin:
    return std::sin(v[0]);
  case MapFn::Cos:
    return std::cos(v[0]);
  case MapFn::Tanh:
    return std::tanh(v[0]);
  case MapFn::Floor:
    return std::floor(v[0]);
  case MapFn::Ceil:
    return std::ceil(v[0]);
  default:
    return {};
  }
}

int64_t wrap(uint64_t v) { return static_cast<int64_t>(v); }

std::optional<int64_t> foldInt(MapFn fn, ArrayRef<int64_t> v) {
  uint64_t x = v[0], y = v.size() > 1 ? v[1] : 0;
  switch (fn) {
  case MapFn::Neg:
    return wrap(0 - x);
  case MapFn::Add:
    return wrap(x + y);
  case MapFn::Sub:
    return wrap(x - y);
  case MapFn::Mul:
    return wrap(x * y);
  case MapFn::IDiv:
    return floorDiv(v[0], v[1]);
  case MapFn::Mod:
    return floorMod(v[0], v[1]);
  case MapFn::Ilog2:
    return ilog2(v[0]);
  case MapFn::Min:
    return v.size() == 2 ? std::optional<int64_t>(std::min(v[0], v[1])) : std::nullopt;
  case MapFn::Max:
    return v.size() == 2 ? std::optional<int64_t>(std::max(v[0], v[1])) : std::nullopt;
  default:
    return {};
  }
}

template <typename T> std::optional<bool> foldCompare(MapFn fn, T x, T y) {
  switch (fn) {
  case MapFn::Lt:
    return x < y;
  case MapFn::Le:
    return x <= y;
  case MapFn::Gt:
    return x > y;
  case MapFn::Ge:
    return x >= y;
  case MapFn::Eq:
    return x == y;
  case MapFn::Ne:
    return x != y;
  default:
    return {};
  }
}

/// A constant map's value, as a constant; null when it is none.
Value foldConstant(MapOp op) {
  SmallVector<double> reals;
  SmallVector<int64_t> ints;
  for (Value arg : op.getArgs()) {
    if (std::optional<double> r = constReal(arg))
      reals.push_back(*r);
    else if (std::optional<int64_t> i = constInt(arg))
      ints.push_back(*i);
    else
      return {};
  }
  Build b(op);
  TensorType type = op.getType(), from = typeOf(op.getArgs()[0]);
  MapFn fn = op.getFn();
  if (fn == MapFn::ToF32 || fn == MapFn::ToF64) {
    TALLY("simplify: constant converted to real");
    return b.real(reals.empty() ? (type.getElem().isF32() ? static_cast<float>(ints[0]) : static_cast<double>(ints[0]))
                                : reals[0],
                  type.getElem());
  }
  if (fn == MapFn::ToI64 && !ints.empty()) {
    TALLY("simplify: constant converted to integer");
    return b.integer(ints[0]);
  }
  if (fn == MapFn::ToI1) {
    TALLY("simplify: constant converted to bool");
    return b.boolean(reals.empty() ? ints[0] != 0 : reals[0] != 0);
  }
  if (from.isFloat() && reals.size() == op.getArgs().size()) {
    if (type.isBool() && reals.size() == 2)
      if (std::optional<bool> r = foldCompare(fn, reals[0], reals[1])) {
        TALLY("simplify: real constants compared");
        return b.boolean(*r);
      }
    // In f32 each step is rounded, as it would be when computed.
    if (type.isFloat())
      if (std::optional<double> r = foldReal(fn, reals)) {
        TALLY("simplify: real constants computed");
        return b.real(*r, type.getElem());
      }
    return {};
  }
  if (ints.size() != op.getArgs().size())
    return {};
  if (from.isInt() && type.isBool() && ints.size() == 2)
    if (std::optional<bool> r = foldCompare(fn, ints[0], ints[1])) {
      TALLY("simplify: integer constants compared");
      return b.boolean(*r);
    }
  if (from.isInt() && type.isInt())
    if (std::optional<int64_t> r = foldInt(fn, ints)) {
      TALLY("simplify: integer constants computed");
      return b.integer(*r);
    }
  if (from.isBool() && fn == MapFn::Not)
    return b.boolean(!ints[0]);
  return {};
}

//===--- maps -------------------------------------------------------------===//

bool isNumber(Value v, int64_t n) {
  std::optional<double> r = constReal(v);
  std::optional<int64_t> i = constInt(v);
  return (r && *r == n) || (i && *i == n);
}

/// An integer as another one plus a constant.
std::pair<Value, int64_t> offsetOf(Value v) {
  if (auto op = v.getDefiningOp<MapOp>(); op && typeOf(v).isInt()) {
    if (op.getFn() == MapFn::Add)
      for (unsigned k = 0; k < 2; ++k)
        if (std::optional<int64_t> c = constInt(op.getArgs()[k]))
          return {op.getArgs()[1 - k], *c};
    if (op.getFn() == MapFn::Sub)
      if (std::optional<int64_t> c = constInt(op.getArgs()[1]))
        return {op.getArgs()[0], wrap(0 - static_cast<uint64_t>(*c))};
  }
  return {v, 0};
}

/// (x + a) + b as x + (a + b); null when there is only one constant.
Value foldOffset(MapOp op) {
  auto [once, outer] = offsetOf(op.getResult());
  auto [twice, inner] = offsetOf(once);
  if (once == op.getResult() || twice == once)
    return {};
  TALLY("simplify: two constants added to an integer");
  Build b(op);
  int64_t sum = wrap(static_cast<uint64_t>(outer) + static_cast<uint64_t>(inner));
  if (sum == 0)
    return twice;
  return sum > 0 || sum == std::numeric_limits<int64_t>::min() ? b.add(twice, b.integer(sum))
                                                               : b.sub(twice, b.integer(-sum));
}

/// (e div n) * n + e mod n is e; null for anything else.
Value foldDigits(MapOp op) {
  if (op.getFn() != MapFn::Add || !typeOf(op.getResult()).isInt())
    return {};
  auto is = [](Value v, MapFn fn) {
    auto map = v.getDefiningOp<MapOp>();
    return map && map.getFn() == fn ? map : MapOp();
  };
  for (unsigned side : {0, 1}) {
    MapOp scaled = is(op.getArgs()[side], MapFn::Mul), mod = is(op.getArgs()[1 - side], MapFn::Mod);
    for (unsigned factor : {0, 1}) {
      MapOp div = scaled && mod ? is(scaled.getArgs()[1 - factor], MapFn::IDiv) : MapOp();
      if (!div || div.getArgs() != mod.getArgs() || div.getArgs()[1] != scaled.getArgs()[factor])
        continue;
      if (std::optional<int64_t> n = constInt(mod.getArgs()[1]); n && *n != 0) // by 0 all are 0
        return div.getArgs()[0];
    }
  }
  return {};
}

/// The value that the map gives without doing anything; null when it does something.
Value foldMap(MapOp op, Bounds &bounds) {
  Value x = op.getArgs()[0], y = op.getArgs().size() > 1 ? op.getArgs()[1] : Value();
  Type type = op.getType();
  auto same = [&](Value v) { return v.getType() == type ? v : Value(); };
  auto is = [&](Value v, bool truth) { return bounds.truth(v) == truth; };
  switch (op.getFn()) {
  case MapFn::Add:
    if (!typeOf(x).isFloat()) // -0 + 0 is 0
      return isNumber(y, 0) ? same(x) : isNumber(x, 0) ? same(y) : Value();
    return {};
  case MapFn::Sub:
    if (std::optional<int64_t> c = constInt(y); c && *c < 0 && *c > std::numeric_limits<int64_t>::min()) {
      Build b(op);
      return b.add(x, b.integer(-*c));
    }
    return isNumber(y, 0) ? same(x) : Value();
  case MapFn::Mul:
    if (isNumber(y, 1))
      return same(x);
    if (isNumber(x, 1))
      return same(y);
    return typeOf(x).isInt() && isNumber(y, 0) ? same(y) : typeOf(x).isInt() && isNumber(x, 0) ? same(x) : Value();
  case MapFn::Div:
  case MapFn::IDiv:
    return isNumber(y, 1) && (op.getFn() == MapFn::Div || typeOf(x).isInt()) ? same(x) : Value();
  case MapFn::Mod:
    return typeOf(x).isInt() && bounds.within(x, y) ? same(x) : Value();
  case MapFn::And:
    if (x == y || (is(y, true) && same(x)) || is(x, false))
      return same(x);
    return is(x, true) || is(y, false) ? same(y) : Value();
  case MapFn::Or:
    if (x == y || (is(y, false) && same(x)) || is(x, true))
      return same(x);
    return is(x, false) || is(y, true) ? same(y) : Value();
  case MapFn::Not:
    if (auto inner = x.getDefiningOp<MapOp>(); inner && inner.getFn() == MapFn::Not)
      return inner.getArgs()[0];
    return {};
  case MapFn::Min:
  case MapFn::Max:
    return op.getArgs().size() == 2 && x == y ? x : Value();
  case MapFn::Select:
    if (std::optional<bool> c = bounds.truth(x))
      if (Value v = same(op.getArgs()[*c ? 1 : 2]))
        return v;
    return y == op.getArgs()[2] ? same(y) : Value();
  case MapFn::ToF32:
  case MapFn::ToF64:
  case MapFn::ToI64:
  case MapFn::ToI1:
    return same(x);
  default:
    return {};
  }
}

/// sum(x * y) / sqrt(#d) as a product with the reciprocal: a division takes as long as ten products. Only of a sum of
/// products, which is rounded anyway: the quotient of others may be meant to be a whole number. Null for any other map.
Value foldScale(MapOp op) {
  if (op.getFn() != MapFn::Div || !typeOf(op.getResult()).getElem().isF32())
    return {};
  Value x = op.getArgs()[0], by = op.getArgs()[1];
  auto sum = lookThrough(x).getDefiningOp<ReduceOp>();
  SmallVector<Value> factors;
  if (sum)
    addFactors(sum.getSource(), factors);
  if (factors.size() < 2 || sum.getRed() != Reduction::Sum || !isOfExtents(by))
    return {};
  Build b(op);
  auto narrow = lookThrough(by).getDefiningOp<MapOp>();
  if (narrow && narrow.getFn() == MapFn::ToF32 && typeOf(narrow.getArgs()[0]).getElem().isF64())
    by = narrow.getArgs()[0]; // rounded once
  return b.mul(x, b.convert(b.div(b.number(1, by), by), b.f32()));
}

/// -(-x) as x, and (-x) * c as -(x * c) for a number c, so that two signs meet. Null for any other map.
Value foldSign(MapOp op) {
  auto negated = [](Value v) {
    auto map = lookThrough(v).getDefiningOp<MapOp>();
    return map && map.getFn() == MapFn::Neg ? map.getArgs()[0] : Value();
  };
  Value x = negated(op.getArgs()[0]);
  if (!x || op.getFn() == MapFn::Neg || !typeOf(x).isFloat())
    return x && op.getFn() == MapFn::Neg ? x : Value();
  if ((op.getFn() != MapFn::Mul && op.getFn() != MapFn::Div) || !isOfExtents(op.getArgs()[1]))
    return {};
  Build b(op);
  return b.neg(b.map(op.getFn(), {x, op.getArgs()[1]}));
}

/// x to a small whole power as products; null when it is none.
Value foldPower(MapOp op) {
  constexpr double kMost = 8;
  if (op.getFn() != MapFn::Pow)
    return {};
  std::optional<double> power = constReal(op.getArgs()[1]);
  if (!power || *power != std::floor(*power) || std::fabs(*power) > kMost || *power == 0)
    return {};
  Build b(op);
  Value square = op.getArgs()[0], result;
  for (unsigned n = std::fabs(*power); n; n /= 2) {
    if (n % 2)
      result = result ? b.mul(result, square) : square;
    if (n > 1)
      square = b.mul(square, square);
  }
  return *power < 0 ? b.div(b.number(1, result), result) : result;
}

/// Counts a fold of foldMap; the cases are those of its switch.
void tallyFold(MapFn fn) {
  switch (fn) {
  case MapFn::Add:
    TALLY("simplify: add 0");
    break;
  case MapFn::Sub:
    TALLY("simplify: sub 0 or a negative constant");
    break;
  case MapFn::Mul:
    TALLY("simplify: mul by 1, or an integer by 0");
    break;
  case MapFn::Div:
    TALLY("simplify: div by 1");
    break;
  case MapFn::IDiv:
    TALLY("simplify: idiv by 1");
    break;
  case MapFn::Mod:
    TALLY("simplify: mod of what is below");
    break;
  case MapFn::And:
    TALLY("simplify: and with what is known");
    break;
  case MapFn::Or:
    TALLY("simplify: or with what is known");
    break;
  case MapFn::Not:
    TALLY("simplify: not twice");
    break;
  case MapFn::Min:
  case MapFn::Max:
    TALLY("simplify: min or max of equals");
    break;
  case MapFn::Select:
    TALLY("simplify: select of one side");
    break;
  default:
    break;
  }
}

//===--- reads and reductions ---------------------------------------------===//

/// Drops axes read at their own position; marks indices that are inside.
Value foldRead(ReadOp op, Bounds &bounds) {
  SmallVector<StringAttr> axes;
  SmallVector<Value> indices;
  SmallVector<bool> inside;
  for (auto [i, item] : llvm::enumerate(llvm::zip(op.getAxes().getAsRange<StringAttr>(), op.getIndices()))) {
    auto [axis, index] = item;
    auto own = index.getDefiningOp<IndexOp>();
    if (own && own.getAxisAttr() == axis)
      continue;
    axes.push_back(axis);
    indices.push_back(index);
    inside.push_back(op.isInside(i) || bounds.inside(index, axis));
  }
  if (axes.empty()) {
    TALLY("simplify: a read at its own position");
    return op.getSource();
  }
  if (axes.size() == op.getIndices().size() &&
      llvm::equal(inside, llvm::map_range(llvm::seq<size_t>(0, axes.size()), [&](size_t i) { return op.isInside(i); })))
    return {};
  Build b(op);
  auto read = b.builder().create<ReadOp>(op.getLoc(), op.getSource(), axes, indices);
  if (axes.size() < op.getIndices().size())
    TALLY("simplify: one of several axes read at its own position");
  if (llvm::is_contained(inside, true)) {
    TALLY("simplify: an index that is always inside");
    read.setInside(inside);
  }
  return read.getType() == op.getType() ? read.getResult() : Value();
}

/// Drops a guard that always holds, unless it alone has some axis; a sum along axes that nothing has is a product.
Value foldReduce(ReduceOp op, const AxisTable &table, Bounds &bounds) {
  Build b(op);
  Axes axes = axesFrom(op.getAxes());
  Value x = op.getSource(), guard = op.getGuard();
  if (axes.empty()) {
    if (op.getRed() == Reduction::Count || op.getRed() == Reduction::Norm)
      return {};
    Value v = guard ? b.select(guard, x, identityOf(b, op.getRed(), typeOf(x).getElem())) : x;
    return v.getType() == op.getType() ? v : Value();
  }
  if (guard && bounds.truth(guard) == true &&
      axesUnion(axesOf(x), axes).size() == axesUnion(axesUnion(axesOf(x), axes), axesOf(guard)).size()) {
    TALLY("simplify: a guard that always holds");
    return b.reduce(op.getRed(), axes, x);
  }
  if (op.getRed() == Reduction::Sum && typeOf(x).isInt() && !guard) {
    Axes own;
    ExtentRef rest = extentConst(1);
    for (StringAttr axis : axes) {
      if (hasAxis(x, axis))
        own.push_back(axis);
      else
        rest = extentMake(attnc::ExtentOp::Mul, {rest, table.extent(axis)});
    }
    if (own.size() < axes.size()) {
      return b.mul(own.empty() ? x : b.reduce(op.getRed(), own, x), b.extent(table, rest));
    }
  }
  return {};
}

//===--- the pass ---------------------------------------------------------===//

struct Simplify : impl::SimplifyBase<Simplify> {
  using Base::Base;
  void runOnOperation() override;

private:
  bool fold(MixerOp mixer, const AxisTable &table);
  bool share(MixerOp mixer);
  bool erase(MixerOp mixer);
};

bool Simplify::fold(MixerOp mixer, const AxisTable &table) {
  bool changed = false;
  Bounds bounds(table);
  for (Operation &op : llvm::make_early_inc_range(*mixer.getBody())) {
    if (op.getNumResults() && op.use_empty())
      continue;
    Value with;
    if (auto map = dyn_cast<MapOp>(op)) {
      with = foldConstant(map);
      if (!with)
        with = foldOffset(map);
      if (!with && (with = foldDigits(map)))
        TALLY("simplify: a flat position put together again");
      if (!with && (with = foldPower(map)))
        TALLY("simplify: a small whole power");
      if (!with && (with = foldSign(map)))
        TALLY("simplify: a sign met by another or a number");
      if (!with && (with = foldScale(map)))
        TALLY("simplify: a sum of products scaled by a reciprocal");
      if (!with && (with = foldMap(map, bounds)))
        tallyFold(map.getFn());
    } else if (auto read = dyn_cast<ReadOp>(op))
      with = foldRead(read, bounds);
    else if (auto reduce = dyn_cast<ReduceOp>(op))
      with = foldReduce(reduce, table, bounds);
    else if (auto extent = dyn_cast<attn::ExtentOp>(op)) {
      if (std::optional<int64_t> c = extentAsConst(table.parse(extent.getText())))
        with = Build(extent).integer(*c);
    }
    if (!with || with.getType() != op.getResult(0).getType() || with == op.getResult(0))
      continue;
    // Not erased yet: bounds are remembered by value.
    op.getResult(0).replaceAllUsesWith(with);
    changed = true;
  }
  return changed;
}

/// Ops in the order of the block, so that the first of equals stays. Equations keep their names and are left alone.
bool Simplify::share(MixerOp mixer) {
  bool changed = false;
  struct Key {
    OperationName name;
    Attribute properties;
    SmallVector<Value> operands;
    bool operator<(const Key &o) const {
      auto bits = [](const Key &k) {
        SmallVector<const void *> v{k.name.getAsOpaquePointer(), k.properties.getAsOpaquePointer()};
        for (Value operand : k.operands)
          v.push_back(operand.getAsOpaquePointer());
        return v;
      };
      return bits(*this) < bits(o);
    }
  };
  std::map<Key, Operation *> known;
  for (Operation &op : llvm::make_early_inc_range(*mixer.getBody())) {
    if (isa<InputOp, OutputOp, EquationOp>(op))
      continue;
    Key key{op.getName(), op.getPropertiesAsAttribute(), SmallVector<Value>(op.getOperands())};
    auto [it, fresh] = known.emplace(std::move(key), &op);
    if (fresh || it->second->getResultTypes() != op.getResultTypes())
      continue;
    TALLY("simplify: equal ops");
    op.replaceAllUsesWith(it->second);
    op.erase();
    changed = true;
  }
  return changed;
}

bool Simplify::erase(MixerOp mixer) {
  llvm::DenseSet<Operation *> needed;
  SmallVector<Operation *> todo;
  for (Operation &op : *mixer.getBody())
    if (isa<InputOp, OutputOp>(op))
      todo.push_back(&op);
  while (!todo.empty()) {
    Operation *op = todo.pop_back_val();
    if (!needed.insert(op).second)
      continue;
    for (Value operand : op->getOperands())
      todo.push_back(operand.getDefiningOp());
  }
  SmallVector<Operation *> dead;
  for (Operation &op : *mixer.getBody())
    if (!needed.contains(&op))
      dead.push_back(&op);
  if (!dead.empty())
    TALLY("simplify: dead ops");
  for (Operation *op : dead)
    op->dropAllReferences();
  for (Operation *op : dead)
    op->erase();
  return !dead.empty();
}

void Simplify::runOnOperation() {
  MixerOp mixer = getOperation();
  AxisTable table(mixer);
  erase(mixer);
  bool changed = true;
  while (changed) {
    changed = fold(mixer, table);
    changed |= share(mixer);
    changed |= erase(mixer);
  }
}

} // namespace
} // namespace attnc
