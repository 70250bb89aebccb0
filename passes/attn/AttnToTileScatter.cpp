//===- Reductions that are scatters ---------------------------------------===//
//
//   reduce sum [c, w] (select(sel == i, y, 0))     i an axis of the result, sel without it
// looks at every (i, c, w), yet each (c, w) matters to one i only. It becomes a loop over (c, w) that adds y to element
// sel, with whatever else depends on i taken at i := sel. The condition may stand on either side of the comparison, be
// one of several operands of `and`, in the guard or in the operand, and name the flat position n * U + u of a
// composite.
//===----------------------------------------------------------------------===//
#include "passes/attn/AttnToTilePlan.h"
#include "runtime/Tally.h"

using namespace mlir;

namespace attnc::totile {

void addConjuncts(Value v, SmallVectorImpl<Value> &into) {
  v = resolve(v);
  if (auto map = v.getDefiningOp<attn::MapOp>(); map && map.getFn() == attn::MapFn::And) {
    for (Value operand : map.getOperands())
      addConjuncts(operand, into);
    return;
  }
  into.push_back(v);
}

bool isIdentity(Value v, attn::Reduction op) {
  v = resolve(v);
  if (auto n = attn::constInt(v))
    switch (op) {
    case attn::Reduction::Sum:
      return *n == 0;
    case attn::Reduction::Prod:
      return *n == 1;
    case attn::Reduction::Max:
      return *n == std::numeric_limits<int64_t>::min();
    case attn::Reduction::Min:
      return *n == std::numeric_limits<int64_t>::max();
    case attn::Reduction::Any:
      return *n == 0;
    case attn::Reduction::All:
      return *n == 1;
    default:
      return false;
    }
  if (auto x = attn::constReal(v))
    switch (op) {
    case attn::Reduction::Sum:
      return *x == 0;
    case attn::Reduction::Prod:
      return *x == 1;
    case attn::Reduction::Max:
      return *x == -std::numeric_limits<double>::infinity();
    case attn::Reduction::Min:
      return *x == std::numeric_limits<double>::infinity();
    default:
      return false;
    }
  return false;
}

/// Axes of the result, last fastest, whose flat position `v` is; empty when it is not one.
static SmallVector<int> flatPosition(Graph &graph, Value v, const AxisSet &result) {
  auto linear = graph.linear(graph.position(v, graph.identity(graph.axesOf(v))));
  if (!linear || linear->constant || !linear->extents.empty() || linear->axes.empty())
    return {};
  SmallVector<std::pair<int64_t, int>> order;
  for (auto &[a, factor] : linear->axes) {
    if (!result.contains(a))
      return {};
    order.push_back({factor, a});
  }
  llvm::sort(order);
  int64_t factor = 1;
  SmallVector<int> axes;
  for (auto &[f, a] : order) {
    if (f != factor)
      return {};
    axes.insert(axes.begin(), a);
    if (axes.size() < order.size()) {
      if (!graph.axes[a].constant)
        return {};
      factor *= *graph.axes[a].constant;
    }
  }
  return axes;
}

std::optional<ScatterInfo> matchScatter(Graph &graph, attn::ReduceOp reduce) {
  attn::Reduction op = reduce.getRed();
  SmallVector<Value> conditions;
  if (reduce.getGuard())
    addConjuncts(reduce.getGuard(), conditions);
  Value value = resolve(reduce.getSource());
  bool isTrue = false;
  if (op == attn::Reduction::Any) {
    addConjuncts(value, conditions);
    isTrue = true;
  } else {
    while (true) {
      auto map = value.getDefiningOp<attn::MapOp>();
      if (map && map.getFn() == attn::MapFn::Select && isIdentity(map.getOperands()[2], op)) {
        addConjuncts(map.getOperands()[0], conditions);
        value = resolve(map.getOperands()[1]);
        continue;
      }
      bool number = map && (map.getFn() == attn::MapFn::ToI64 || map.getFn() == attn::MapFn::ToF32 ||
                            map.getFn() == attn::MapFn::ToF64);
      if (number && op == attn::Reduction::Sum && attn::typeOf(map.getOperands()[0]).isBool()) {
        TALLY("attn-to-tile: a scatter that counts");
        addConjuncts(map.getOperands()[0], conditions);
        OpBuilder b(reduce);
        Type elem = attn::typeOf(map.getResult()).getElem();
        value = elem.isInteger(64) ? b.create<attn::ConstOp>(reduce.getLoc(), int64_t(1)).getResult()
                                   : b.create<attn::ConstOp>(reduce.getLoc(), 1.0, elem).getResult();
      }
      break;
    }
  }

  AxisSet result = graph.axesOf(reduce.getResult()), inner;
  for (int a : graph.list(reduce.getAxes()))
    inner.insert(a);
  for (size_t i = 0; i < conditions.size(); ++i) {
    auto eq = conditions[i].getDefiningOp<attn::MapOp>();
    if (!eq || eq.getFn() != attn::MapFn::Eq || !attn::typeOf(eq.getOperands()[0]).isInt())
      continue;
    for (int side : {0, 1}) {
      Value key = resolve(eq.getOperands()[side]), position = eq.getOperands()[1 - side];
      ScatterInfo info;
      info.axes = flatPosition(graph, position, result);
      AxisSet keyAxes = graph.axesOf(key);
      bool fits = !info.axes.empty() && !(keyAxes & inner).empty() &&
                  llvm::none_of(info.axes, [&](int a) { return keyAxes.contains(a); });
      AxisSet to;
      for (int a : info.axes)
        to.insert(a);
      // A few places are cheaper to look from.
      if (!fits || graph.volume(to) < 8)
        continue;
      if (info.axes.size() > 1)
        TALLY("attn-to-tile: a scatter to a flat position");
      if (conditions.size() > 1)
        TALLY("attn-to-tile: a scatter with further conditions");
      if (isTrue)
        TALLY("attn-to-tile: a scatter of any");
      OpBuilder b(reduce);
      Location loc = reduce.getLoc();
      auto map = [&](attn::MapFn fn, Value x, int64_t n) -> Value {
        Value c = b.create<attn::ConstOp>(loc, n);
        return b.create<attn::MapOp>(loc, fn, ValueRange{x, c});
      };
      info.key = key;
      Value rest = key;
      for (size_t k = info.axes.size(); k-- > 1;) {
        int64_t extent = *graph.axes[info.axes[k]].constant;
        info.positions.insert(info.positions.begin(), map(attn::MapFn::Mod, rest, extent));
        rest = map(attn::MapFn::IDiv, rest, extent);
      }
      info.positions.insert(info.positions.begin(), rest);
      for (size_t k = 0; k < conditions.size(); ++k)
        if (k != i)
          info.conditions.push_back(conditions[k]);
      if (!isTrue)
        info.value = value;
      return info;
    }
  }
  return std::nullopt;
}

} // namespace attnc::totile
