//===- Derivatives of single ops ------------------------------------------===//
#include "passes/attn/DeriveGradRules.h"
#include "passes/attn/Decompose.h"
#include "runtime/Tally.h"
#include <cmath>

using namespace mlir;

namespace attnc::attn {

bool isDifferentiable(Operation *op, unsigned i) {
  if (!typeOf(op->getOperand(i)).isFloat() || op->getNumResults() == 0 || !typeOf(op->getResult(0)).isFloat())
    return false;
  if (auto map = dyn_cast<MapOp>(op)) {
    switch (map.getFn()) {
    case MapFn::Floor:
    case MapFn::Ceil:
    case MapFn::Round:
    case MapFn::Sign:
    case MapFn::IDiv:
      return false;
    default:
      return true;
    }
  }
  if (auto softmax = dyn_cast<SoftmaxOp>(op))
    return i < softmax.getArgs().size();
  return isa<ReadOp, ReduceOp, CumOp, EquationOp, DetachOp>(op) && i == 0;
}

//===--- what is owed -----------------------------------------------------===//

Value materialise(Build &b, Owed x) { return b.guarded(x.where, x.value, 0); }

Owed sumOf(Build &b, Owed x, Owed y) {
  if (!x || !y)
    return x ? x : y;
  TALLY("derive-grad: owed by several uses");
  if (x.where == y.where)
    return {b.add(x.value, y.value), x.where};
  Value where = x.where && y.where ? b.map(MapFn::Or, {x.where, y.where}) : Value();
  return {b.add(materialise(b, x), materialise(b, y)), where};
}

/// The operands of a chain of `and`s, by whether they have one of the axes.
static void splitAnd(Value v, ArrayRef<StringAttr> axes, SmallVectorImpl<Value> &with,
                     SmallVectorImpl<Value> &without) {
  bool touched = llvm::any_of(axes, [&](StringAttr axis) { return hasAxis(v, axis); });
  auto map = v.getDefiningOp<MapOp>();
  if (touched && map && map.getFn() == MapFn::And) {
    for (Value arg : map.getArgs())
      splitAnd(arg, axes, with, without);
    return;
  }
  (touched ? with : without).push_back(v);
}

static std::pair<Value, Value> splitWhere(Build &b, Value where, ArrayRef<StringAttr> axes) {
  SmallVector<Value> with, without;
  if (where)
    splitAnd(where, axes, with, without);
  auto all = [&](ArrayRef<Value> list) {
    Value r;
    for (Value v : list)
      r = b.andOf(r, v);
    return r;
  };
  return {all(with), all(without)};
}

Owed sumAlong(Build &b, Owed x, ArrayRef<StringAttr> axes) {
  if (axes.empty())
    return x;
  auto [guard, rest] = splitWhere(b, x.where, axes);
  return {b.reduce(Reduction::Sum, axes, x.value, guard), rest};
}

//===--- maps -------------------------------------------------------------===//

/// d fn(x) / dx for functions of one operand, from x and y = fn(x).
static Value slope(Build &b, MapFn fn, Value x, Value y) {
  auto number = [&](double v) { return b.number(v, x); };
  Value one = number(1), zero = number(0);
  auto sigmoid = [&](Value v) { return b.map(MapFn::Sigmoid, v); };
  switch (fn) {
  case MapFn::Exp:
    TALLY("derive-grad: exp");
    return y;
  case MapFn::Exp2:
    TALLY("derive-grad: exp2");
    return b.mul(y, number(std::log(2.0)));
  case MapFn::Expm1:
    TALLY("derive-grad: expm1");
    return b.exp(x);
  case MapFn::Log:
    TALLY("derive-grad: log");
    return b.div(one, x);
  case MapFn::Log1p:
    TALLY("derive-grad: log1p");
    return b.div(one, b.add(one, x));
  case MapFn::Sqrt:
    TALLY("derive-grad: sqrt");
    return b.div(number(0.5), y);
  case MapFn::Rsqrt:
    TALLY("derive-grad: rsqrt");
    return b.div(b.mul(number(-0.5), y), x);
  case MapFn::Abs: // 0 at 0
    TALLY("derive-grad: abs");
    return b.map(MapFn::Sign, x);
  case MapFn::Sin:
    TALLY("derive-grad: sin");
    return b.map(MapFn::Cos, x);
  case MapFn::Cos:
    TALLY("derive-grad: cos");
    return b.neg(b.map(MapFn::Sin, x));
  case MapFn::Tanh:
    TALLY("derive-grad: tanh");
    return b.sub(one, b.mul(y, y));
  case MapFn::Sigmoid: // y (1 - y), with 1 - y not by subtraction
    TALLY("derive-grad: sigmoid");
    return b.mul(y, sigmoid(b.neg(x)));
  case MapFn::LogSigmoid:
    TALLY("derive-grad: logsigmoid");
    return sigmoid(b.neg(x));
  case MapFn::Softplus:
    TALLY("derive-grad: softplus");
    return sigmoid(x);
  case MapFn::Relu: // 0 at 0
    TALLY("derive-grad: relu");
    return b.select(b.lt(zero, x), one, zero);
  case MapFn::Silu: {
    TALLY("derive-grad: silu");
    Value s = sigmoid(x);
    return b.mul(s, b.add(one, b.mul(x, sigmoid(b.neg(x)))));
  }
  case MapFn::Gelu: {
    TALLY("derive-grad: gelu");
    Value cdf = b.mul(number(0.5), b.map(MapFn::Erfc, b.mul(x, number(-std::sqrt(0.5)))));
    Value pdf = b.mul(number(1 / std::sqrt(2 * M_PI)), b.exp(b.mul(number(-0.5), b.mul(x, x))));
    return b.add(cdf, b.mul(x, pdf));
  }
  case MapFn::GeluTanh: {
    TALLY("derive-grad: gelu_tanh");
    // x sigmoid(w), w = 2 sqrt(2 / pi) (x + 0.044715 x^3)
    double k = 2 * std::sqrt(2 / M_PI);
    // Beyond 100 the sigmoids are 0 and 1; w would overflow and the product be inf * 0.
    x = b.max(b.min(x, number(100)), number(-100));
    Value square = b.mul(x, x);
    Value w = b.mul(b.mul(number(k), x), b.add(one, b.mul(number(0.044715), square)));
    Value dw = b.mul(number(k), b.add(one, b.mul(number(3 * 0.044715), square)));
    Value s = sigmoid(w);
    return b.add(s, b.mul(b.mul(x, dw), b.mul(s, sigmoid(b.neg(w)))));
  }
  case MapFn::Erf:
    TALLY("derive-grad: erf");
    return b.mul(number(2 / std::sqrt(M_PI)), b.exp(b.neg(b.mul(x, x))));
  case MapFn::Erfc:
    TALLY("derive-grad: erfc");
    return b.mul(number(-2 / std::sqrt(M_PI)), b.exp(b.neg(b.mul(x, x))));
  default:
    return {};
  }
}

/// What is owed where the result is; `y` is the value of Owed.
static Value mapFactor(Build &b, MapOp op, unsigned i, Value adjoint) {
  auto args = op.getArgs();
  Value x = args[0], y = op.getResult(), other = args.size() > 1 ? args[1 - std::min(i, 1u)] : Value();
  auto times = [&](Value v) { return b.mul(adjoint, v); };
  auto where = [&](Value c, Value v) { return b.select(c, v, b.number(0, v)); };
  switch (op.getFn()) {
  case MapFn::Neg:
    TALLY("derive-grad: neg");
    return b.neg(adjoint);
  case MapFn::Add:
    TALLY("derive-grad: add");
    return adjoint;
  case MapFn::Sub:
    TALLY("derive-grad: sub");
    return i == 0 ? adjoint : b.neg(adjoint);
  case MapFn::Mul:
    TALLY("derive-grad: mul");
    return times(other);
  case MapFn::Div:
    TALLY("derive-grad: div");
    return i == 0 ? b.div(adjoint, other) : b.neg(b.div(times(y), args[1]));
  case MapFn::Pow: {
    Value e = args[1];
    if (i == 0) {
      std::optional<double> c = constReal(e);
      TALLY("derive-grad: pow by its base");
      if (c == 2)
        return times(b.mul(e, x));
      // x ** 0 is constant, also at 0.
      Value one = b.number(1, x);
      Value raised = c == 1 ? one : b.mul(e, b.map(MapFn::Pow, {x, b.sub(e, one)}));
      return times(c ? raised : where(b.map(MapFn::Ne, {e, b.number(0, e)}), raised));
    }
    TALLY("derive-grad: pow by its exponent");
    return where(b.map(MapFn::Ne, {x, b.number(0, x)}), times(b.mul(y, b.map(MapFn::Log, x))));
  }
  case MapFn::Min:
  case MapFn::Max: {
    TALLY("derive-grad: min or max");
    // Ties share equally.
    Type elem = typeOf(y).getElem();
    Value ties;
    for (Value arg : args) {
      Value hit = b.convert(b.eq(arg, y), elem);
      ties = ties ? b.add(ties, hit) : hit;
    }
    return where(b.eq(args[i], y), b.div(adjoint, ties));
  }
  case MapFn::Clamp: {
    Value isX = b.eq(x, y);
    if (i == 0)
      return where(isX, adjoint);
    TALLY("derive-grad: clamp by a bound");
    Value isHigh = b.eq(args[2], y);
    Value mine = i == 2 ? isHigh : b.notOf(isHigh);
    return where(b.andOf(b.notOf(isX), mine), adjoint);
  }
  case MapFn::LogAddExp:
    TALLY("derive-grad: logaddexp");
    // exp(x - y) is at most 1; y = -inf has no slope.
    return where(b.map(MapFn::Ne, {y, b.number(-Build::inf, y)}), times(b.exp(b.sub(args[i], y))));
  case MapFn::Mod:
    TALLY("derive-grad: mod");
    return i == 0 ? adjoint : b.neg(times(b.map(MapFn::Floor, b.div(x, args[1]))));
  case MapFn::ToF32:
  case MapFn::ToF64:
  case MapFn::CastF16:
  case MapFn::CastBF16:
  case MapFn::CastF32:
  case MapFn::CastF64:
    TALLY("derive-grad: a cast");
    return adjoint;
  default: {
    Value s = slope(b, op.getFn(), x, y);
    return s ? times(s) : Value();
  }
  }
}

Owed mapAdjoint(Build &b, MapOp op, unsigned i, Owed y) {
  if (op.getFn() == MapFn::Select) {
    TALLY("derive-grad: select");
    Value chosen = i == 1 ? op.getArgs()[0] : b.notOf(op.getArgs()[0]);
    return {y.value, b.andOf(y.where, chosen)};
  }
  return {mapFactor(b, op, i, y.value), y.where};
}

//===--- reductions -------------------------------------------------------===//

Owed reduceAdjoint(Build &b, ReduceOp op, const AxisTable &table, Owed owed) {
  Value x = op.getSource(), guard = op.getGuard(), y = op.getResult(), adjoint = owed.value;
  Axes axes = axesFrom(op.getAxes());
  Value where = b.andOf(owed.where, guard);
  auto sumOver = [&](Value v) { return b.reduce(Reduction::Sum, axes, v, guard); };
  Type elem = typeOf(y).getElem();
  switch (op.getRed()) {
  case Reduction::Sum:
    TALLY("derive-grad: reduce sum");
    return {adjoint, where};
  case Reduction::Mean: {
    TALLY("derive-grad: reduce mean");
    Value count = b.max(countElements(b, table, axes, guard), b.integer(1));
    return {b.div(adjoint, b.convert(count, elem)), where};
  }
  case Reduction::Prod: {
    TALLY("derive-grad: reduce prod");
    // The product of the others: y / x, unless zeros are among them.
    Value zero = b.number(0, x), one = b.number(1, x);
    Value isZero = b.eq(x, zero);
    Value zeros = sumOver(b.convert(isZero, b.i64()));
    Value rest = b.reduce(Reduction::Prod, axes, b.select(isZero, one, x), guard);
    Value alone = b.select(b.eq(zeros, b.integer(1)), rest, zero);
    Value others = b.select(isZero, alone, b.select(b.eq(zeros, b.integer(0)), b.div(y, x), zero));
    return {b.mul(adjoint, others), where};
  }
  case Reduction::Max:
  case Reduction::Min: {
    TALLY("derive-grad: reduce max or min");
    Value hit = b.eq(x, y);
    Value share = b.div(adjoint, sumOver(b.convert(hit, elem)));
    return {b.select(hit, share, b.number(0, share)), where};
  }
  case Reduction::LogSumExp: {
    TALLY("derive-grad: reduce logsumexp");
    Value alive = b.map(MapFn::Ne, {y, b.number(-Build::inf, y)});
    return {b.mul(adjoint, b.exp(b.sub(x, y))), b.andOf(where, alive)};
  }
  case Reduction::Norm: // 0 at 0
    TALLY("derive-grad: reduce norm");
    return {b.mul(adjoint, b.div(x, y)), b.andOf(where, b.map(MapFn::Ne, {y, b.number(0, y)}))};
  default:
    return {};
  }
}

SmallVector<Owed> softmaxAdjoints(Build &b, SoftmaxOp op, ArrayRef<Owed> ys) {
  if (op.getOuts().size() > 1)
    TALLY("derive-grad: softmax over a union");
  else
    TALLY("derive-grad: softmax");
  // x' = p (p' - sum of p p'). Rows that nothing is owed to are left out as a whole.
  Value dot, rows;
  bool allRows = false;
  SmallVector<Value> owed;
  for (auto [i, p] : llvm::enumerate(op.getOuts())) {
    owed.push_back({});
    if (!ys[i])
      continue;
    Axes group = axesFrom(cast<ArrayAttr>(op.getGroups()[i]));
    auto [element, row] = splitWhere(b, ys[i].where, group);
    if (!row)
      allRows = true;
    else
      rows = rows && rows != row ? b.map(MapFn::Or, {rows, row}) : row;
    // Which rows count for this operand alone matters where several are joined.
    owed.back() = b.guarded(op.getOuts().size() > 1 ? ys[i].where : element, ys[i].value, 0);
    Value part = b.mul(p, owed.back());
    part = group.empty() ? b.guarded(op.guard(i), part, 0) : b.reduce(Reduction::Sum, group, part, op.guard(i));
    dot = dot ? b.add(dot, part) : part;
  }
  SmallVector<Owed> results;
  for (auto [i, p] : llvm::enumerate(op.getOuts())) {
    Value slope = owed[i] ? b.sub(owed[i], dot) : b.neg(dot);
    results.push_back({b.mul(p, slope), b.andOf(allRows ? Value() : rows, op.guard(i))});
  }
  return results;
}

//===--- reads ------------------------------------------------------------===//

namespace {
/// Positions that replace axes.
using Moves = llvm::SmallDenseMap<StringAttr, Value>;

/// An index as the flat position over `axes` (last fastest) plus `rest` (null: 0), which does not depend on them.
struct Shift {
  Axes axes;
  Value rest;
};

/// Replaced axes of a read whose indices are the digits of one position, the first axis first; most are one axis alone.
struct Digits {
  SmallVector<unsigned, 2> places;
  Value position;
};
} // namespace

/// `v` with axes replaced. Index arithmetic is rebuilt, so that its shape stays visible and nothing is clamped on the
/// way.
static Value moved(Build &b, Value v, const Moves &moves) {
  Axes own;
  SmallVector<Value> at;
  for (StringAttr axis : axesOf(v))
    if (auto it = moves.find(axis); it != moves.end()) {
      own.push_back(axis);
      at.push_back(it->second);
    }
  if (own.empty())
    return v;
  if (v.getDefiningOp<IndexOp>())
    return at[0];
  if (auto map = v.getDefiningOp<MapOp>(); map && !typeOf(v).isFloat()) {
    SmallVector<Value> args;
    for (Value arg : map.getArgs())
      args.push_back(moved(b, arg, moves));
    return b.map(map.getFn(), args);
  }
  return b.read(v, own, at);
}

static MapOp directMap(Value v, MapFn fn) {
  auto map = v.getDefiningOp<MapOp>();
  return map && map.getFn() == fn ? map : MapOp();
}

/// Whether both are the same expression of positions; equal ops are not shared yet.
static bool sameIndex(Value x, Value y) {
  if (x == y)
    return true;
  Operation *p = x.getDefiningOp(), *q = y.getDefiningOp();
  return isa<MapOp, IndexOp, ConstOp, ExtentOp>(p) && p->getName() == q->getName() &&
         p->getPropertiesAsAttribute() == q->getPropertiesAsAttribute() && p->getNumOperands() == q->getNumOperands() &&
         llvm::all_of(llvm::zip(p->getOperands(), q->getOperands()),
                      [](auto pair) { return sameIndex(std::get<0>(pair), std::get<1>(pair)); });
}

static bool isExtent(Value v, const AxisTable &table, StringAttr axis) {
  if (auto op = v.getDefiningOp<ExtentOp>())
    return extentEqual(table.parse(op.getText()), table.extent(axis));
  std::optional<int64_t> c = constInt(v);
  return c && c == extentAsConst(table.extent(axis));
}

/// n * U + u, over one axis or more, without a rest; empty when it is none.
static Axes flatAxes(Value v, const AxisTable &table) {
  if (auto op = v.getDefiningOp<IndexOp>())
    return {op.getAxisAttr()};
  MapOp sum = directMap(v, MapFn::Add);
  for (unsigned side : {0, 1}) {
    auto last = sum ? sum.getArgs()[1 - side].getDefiningOp<IndexOp>() : IndexOp();
    MapOp scaled = last ? directMap(sum.getArgs()[side], MapFn::Mul) : MapOp();
    for (unsigned factor : {1, 0})
      if (scaled && isExtent(scaled.getArgs()[factor], table, last.getAxisAttr())) {
        Axes axes = flatAxes(scaled.getArgs()[1 - factor], table);
        if (!axes.empty() && !llvm::is_contained(axes, last.getAxisAttr())) {
          axes.push_back(last.getAxisAttr());
          return axes;
        }
      }
  }
  return {};
}

/// The index as a flat position over axes that `allowed` holds for, several rather than one, plus a rest.
static std::optional<Shift> shiftOf(Build &b, Value index, const AxisTable &table,
                                    llvm::function_ref<bool(StringAttr)> allowed) {
  if (Axes axes = flatAxes(index, table); !axes.empty() && llvm::all_of(axes, allowed))
    return Shift{axes, Value()};
  auto map = index.getDefiningOp<MapOp>();
  if (!map || (map.getFn() != MapFn::Add && map.getFn() != MapFn::Sub))
    return {};
  bool isSub = map.getFn() == MapFn::Sub;
  for (unsigned side : {0, 1}) {
    if (isSub && side == 1)
      break;
    Value x = map.getArgs()[side], y = map.getArgs()[1 - side];
    std::optional<Shift> inner = shiftOf(b, x, table, allowed);
    if (!inner || llvm::any_of(inner->axes, [&](StringAttr a) { return hasAxis(y, a); }))
      continue;
    if (!inner->rest)
      return Shift{inner->axes, isSub ? b.sub(b.integer(0), y) : y};
    return Shift{inner->axes, isSub ? b.sub(inner->rest, y) : b.add(inner->rest, y)};
  }
  return {};
}

/// Groups the replaced axes of a read: e div U and e mod U are the digits of e.
static SmallVector<Digits> digitsOf(ReadOp op, ArrayRef<StringAttr> replaced, const AxisTable &table) {
  auto indices = op.getIndices();
  SmallVector<bool> used(replaced.size(), false);
  SmallVector<Digits> groups;
  auto chain = [&](unsigned last) -> std::optional<Digits> {
    Digits group{{last}, Value()};
    MapOp mod = directMap(indices[last], MapFn::Mod);
    if (mod)
      group.position = mod.getArgs()[0];
    while (mod && isExtent(mod.getArgs()[1], table, replaced[group.places.front()])) {
      auto isRest = [&](Value v) {
        MapOp div = directMap(v, MapFn::IDiv);
        return div && sameIndex(div.getArgs()[0], mod.getArgs()[0]) && sameIndex(div.getArgs()[1], mod.getArgs()[1]);
      };
      MapOp next;
      for (unsigned k = 0; k < replaced.size() && !next; ++k) {
        if (used[k] || llvm::is_contained(group.places, k))
          continue;
        MapOp digit = directMap(indices[k], MapFn::Mod);
        bool first = isRest(indices[k]);
        if (!first && !(digit && isRest(digit.getArgs()[0])))
          continue;
        group.places.insert(group.places.begin(), k);
        if (first)
          return group;
        next = digit;
      }
      mod = next;
    }
    return {};
  };
  while (true) { // the longest first: a composite of three holds one of two
    std::optional<Digits> best;
    for (unsigned k = 0; k < replaced.size(); ++k)
      if (!used[k])
        if (std::optional<Digits> group = chain(k); group && (!best || group->places.size() > best->places.size()))
          best = group;
    if (!best)
      break;
    for (unsigned k : best->places)
      used[k] = true;
    groups.push_back(*best);
  }
  for (unsigned k = 0; k < replaced.size(); ++k)
    if (!used[k])
      groups.push_back({{k}, indices[k]});
  return groups;
}

Owed readAdjoint(Build &b, ReadOp op, AxisTable &table, Owed y, ArrayRef<StringAttr> kept) {
  Axes replaced = axesFrom(op.getAxes());
  Axes stay = axesMinus(axesOf(op.getSource()), replaced);
  SmallVector<Digits> groups = digitsOf(op, replaced, table);
  // Which axes of the reading side each position follows; none: it is compared.
  SmallVector<std::optional<Shift>> shifts;
  Axes assigned;
  for (const Digits &group : groups) {
    auto isFree = [&](StringAttr a) {
      return !llvm::is_contained(stay, a) && !llvm::is_contained(assigned, a) && !llvm::is_contained(kept, a);
    };
    auto isOwn = [&](StringAttr a) { return llvm::any_of(group.places, [&](unsigned k) { return replaced[k] == a; }); };
    auto isFreeOwn = [&](StringAttr a) { return isFree(a) && isOwn(a); };
    std::optional<Shift> found = shiftOf(b, group.position, table, isFreeOwn);
    if (!found)
      found = shiftOf(b, group.position, table, isFree);
    if (found)
      llvm::append_range(assigned, found->axes);
    shifts.push_back(found);
  }
  // What is left of a shift must not follow an axis that is assigned elsewhere.
  for (bool changed = true; changed;) {
    changed = false;
    for (std::optional<Shift> &shift : shifts) {
      if (!shift || !shift->rest)
        continue;
      if (llvm::any_of(axesOf(shift->rest), [&](StringAttr a) { return llvm::is_contained(assigned, a); })) {
        for (StringAttr axis : shift->axes)
          llvm::erase(assigned, axis);
        shift.reset();
        changed = true;
      }
    }
  }
  if (llvm::any_of(shifts, [](auto &s) { return s && !s->rest; }))
    TALLY("derive-grad: a read at another axis");
  if (llvm::any_of(shifts, [](auto &s) { return s && s->rest; }))
    TALLY("derive-grad: a read at a shift");
  if (llvm::any_of(llvm::zip(groups, shifts), [](auto pair) {
        return std::get<1>(pair) && (std::get<0>(pair).places.size() > 1 || std::get<1>(pair)->axes.size() > 1);
      }))
    TALLY("derive-grad: a read at a flat position");
  if (llvm::any_of(shifts, [](auto &s) { return !s; }))
    TALLY("derive-grad: a read anywhere");
  Axes reading = axesMinus(axesMinus(axesMinus(axesOf(op.getResult()), stay), assigned), kept);
  // The reading side's axes that are summed; those that share a name with an axis of the source get copies.
  Moves renames;
  Axes summed;
  for (StringAttr axis : reading) {
    if (!llvm::is_contained(replaced, axis)) {
      summed.push_back(axis);
      continue;
    }
    summed.push_back(table.addAxis(axis.getValue(), table.extent(axis)));
    renames[axis] = b.index(summed.back());
  }
  Moves moves;
  for (auto [axis, copy] : renames)
    moves[axis] = copy;
  Value guard;
  auto extentOfAll = [&](ArrayRef<StringAttr> axes) {
    ExtentRef e = extentConst(1);
    for (StringAttr axis : axes)
      e = extentMake(attnc::ExtentOp::Mul, {e, table.extent(axis)});
    return e;
  };
  for (auto [group, shift] : llvm::zip(groups, shifts)) {
    if (!shift)
      continue;
    Axes own;
    Value at;
    for (unsigned k : group.places) {
      own.push_back(replaced[k]);
      Value digit = b.index(replaced[k]);
      at = at ? b.add(b.mul(at, b.extent(table, table.extent(replaced[k]))), digit) : digit;
    }
    if (shift->rest)
      at = b.sub(at, moved(b, shift->rest, renames));
    Value rest = at;
    bool same = !shift->rest && own.size() == shift->axes.size();
    for (size_t k = shift->axes.size(); k-- > 0;) {
      StringAttr axis = shift->axes[k];
      // The digits of a position are its own where all axes match.
      same = same && extentEqual(table.extent(own[k]), table.extent(axis));
      Value radix = k ? b.extent(table, table.extent(axis)) : Value();
      moves[axis] = same ? b.index(own[k]) : k ? b.map(MapFn::Mod, {rest, radix}) : rest;
      if (k)
        rest = b.map(MapFn::IDiv, {rest, radix});
    }
    ExtentRef from = extentOfAll(own), to = extentOfAll(shift->axes);
    if (shift->rest || !extentEqual(from, to)) {
      guard = b.andOf(guard, b.lt(at, b.extent(table, to)));
      if (shift->rest)
        guard = b.andOf(guard, b.map(MapFn::Ge, {at, b.integer(0)}));
    }
  }
  for (auto [group, shift] : llvm::zip(groups, shifts))
    for (unsigned k : group.places)
      if (!shift)
        guard = b.andOf(guard, b.eq(moved(b, op.getIndices()[k], moves), b.index(replaced[k])));
  if (y.where)
    guard = b.andOf(guard, moved(b, y.where, moves));
  Axes own;
  SmallVector<Value> at;
  for (StringAttr axis : axesOf(y.value))
    if (auto it = moves.find(axis); it != moves.end()) {
      own.push_back(axis);
      at.push_back(it->second);
    }
  return sumAlong(b, {b.read(y.value, own, at), guard}, summed);
}

} // namespace attnc::attn
