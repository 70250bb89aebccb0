//===- Parts of an axis that a condition leaves ---------------------------===//
//
// A reduction over j of select(j <= i, x, 0) has nothing to do past the last i of its block. Conditions without which
// an element changes nothing are read off the reduction (its guard, a select with the identity, a factor that is 0) as
// linear forms of positions and extents; a stage whose only readers need a part of an axis computes that part alone:
//
//   tile.nest par [%i = %i0 to %i1] red [%j = %c0 to %N]
// becomes
//   tile.nest par [%i = %i0 to %i1] red [%j = %c0 to min(%N, %i1)]
//
// The conditions stay in the bodies: the bounds are those of the whole block. A factor that is 0 is skipped only while
// what it multiplies is finite, since 0 * NaN is NaN (AttnToTileFinite.cpp): the bound is then a select between both.
//===----------------------------------------------------------------------===//
#include "passes/attn/AttnToTilePlan.h"
#include "runtime/Tally.h"

using namespace mlir;

namespace attnc::totile {

namespace {
/// An element where it does not hold is the identity, if `factors` are finite there.
struct Condition {
  Value holds;
  SmallVector<Value> factors;
};
} // namespace

/// Conditions without which `v`, multiplied by `factors`, is the identity of `op`.
static void necessary(Value v, attn::Reduction op, ArrayRef<Value> factors, SmallVectorImpl<Condition> &into) {
  v = resolve(v);
  auto add = [&](Value condition) {
    SmallVector<Value> all;
    addConjuncts(condition, all);
    for (Value c : all)
      into.push_back({c, SmallVector<Value>(factors)});
  };
  if (op == attn::Reduction::Any)
    return add(v);
  auto map = v.getDefiningOp<attn::MapOp>();
  if (!map)
    return;
  auto args = map.getOperands();
  if (map.getFn() == attn::MapFn::Select && isIdentity(args[2], op)) {
    add(args[0]);
    return necessary(args[1], op, factors, into);
  }
  if (op != attn::Reduction::Sum)
    return;
  switch (map.getFn()) {
  case attn::MapFn::Mul:
    for (int side : {0, 1}) {
      SmallVector<Value> more(factors);
      if (attn::typeOf(v).isFloat())
        more.push_back(args[1 - side]);
      necessary(args[side], op, more, into);
    }
    return;
  case attn::MapFn::Neg:
    return necessary(args[0], op, factors, into);
  case attn::MapFn::ToF32:
  case attn::MapFn::ToF64:
  case attn::MapFn::ToI64:
    if (attn::typeOf(args[0]).isBool())
      add(args[0]);
    return;
  default:
    return;
  }
}

/// Adds the forms that are <= 0 where `condition` holds.
static void addForms(Graph &graph, Value condition, bool holds, std::vector<Linear> &into) {
  using F = attn::MapFn;
  auto map = resolve(condition).getDefiningOp<attn::MapOp>();
  if (!map)
    return;
  auto args = map.getOperands();
  if (map.getFn() == F::Not)
    return addForms(graph, args[0], !holds, into);
  if (map.getFn() == F::And && holds) {
    for (Value arg : args)
      addForms(graph, arg, true, into);
    return;
  }
  if (map.getFn() < F::Lt || map.getFn() > F::Eq || !attn::typeOf(args[0]).isInt() || (map.getFn() == F::Eq && !holds))
    return;
  // |x| <= y is x <= y and -x <= y.
  for (int side : {0, 1}) {
    auto distance = resolve(args[side]).getDefiningOp<attn::MapOp>();
    if (!distance || distance.getFn() != F::Abs)
      continue;
    F fn = map.getFn();
    bool small = side == 0 ? fn == F::Lt || fn == F::Le : fn == F::Gt || fn == F::Ge;
    bool large = side == 0 ? fn == F::Gt || fn == F::Ge : fn == F::Lt || fn == F::Le;
    auto x = graph.linear(distance.getOperands()[0]), y = graph.linear(args[1 - side]);
    if (!x || !y || !(holds ? small : large))
      return;
    bool strict = holds == (fn == F::Lt || fn == F::Gt);
    for (int sign : {1, -1}) {
      Linear l;
      addTo(l, *x, sign);
      addTo(l, *y, -1);
      l.constant += strict;
      into.push_back(l);
    }
    return;
  }
  auto x = graph.linear(args[0]), y = graph.linear(args[1]);
  if (!x || !y)
    return;
  auto add = [&](const Linear &low, const Linear &high, int64_t gap) { // low + gap <= high
    Linear l;
    addTo(l, low, 1);
    addTo(l, high, -1);
    l.constant += gap;
    into.push_back(l);
  };
  switch (map.getFn()) {
  case F::Lt:
    return holds ? add(*x, *y, 1) : add(*y, *x, 0);
  case F::Le:
    return holds ? add(*x, *y, 0) : add(*y, *x, 1);
  case F::Gt:
    return holds ? add(*y, *x, 1) : add(*x, *y, 0);
  case F::Ge:
    return holds ? add(*y, *x, 0) : add(*x, *y, 1);
  default:
    add(*x, *y, 0);
    add(*y, *x, 0);
  }
}

static bool inBlocks(const Plan &plan, Value v, llvm::SmallDenseMap<Value, bool> &seen) {
  using F = attn::MapFn;
  v = resolve(v);
  if (auto known = seen.find(v); known != seen.end())
    return known->second;
  auto compute = [&] {
    if (attn::typeOf(v).isFloat() || plan.stageOf(v) >= 0)
      return false;
    auto all = [&](ValueRange values) {
      return llvm::all_of(values, [&](Value o) { return inBlocks(plan, o, seen); });
    };
    auto alone = [&](Value of) {
      return 1 >= llvm::count_if(plan.graph.axesOf(of), [&](int a) { return plan.graph.axes[a].sequence; });
    };
    Operation *op = v.getDefiningOp();
    if (isa<attn::IndexOp, attn::ExtentOp, attn::ConstOp>(op))
      return true;
    if (isa<attn::InputOp>(op))
      return true;
    if (auto read = dyn_cast<attn::ReadOp>(op))
      return resolve(read.getSource()).getDefiningOp<attn::InputOp>() && all(read.getIndices());
    auto map = dyn_cast<attn::MapOp>(op);
    if (!map)
      return false;
    switch (map.getFn()) {
    case F::IDiv:
    case F::Mod: {
      return all(map.getOperands());
    }
    case F::Not:
    case F::And:
    case F::Or:
    case F::Lt:
    case F::Le:
    case F::Gt:
    case F::Ge:
    case F::Eq:
    case F::Ne:
    case F::Add:
    case F::Sub:
    case F::Mul:
    case F::Neg:
    case F::Abs:
    case F::Min:
    case F::Max:
    case F::Clamp:
    case F::ToI64:
      return all(map.getOperands());
    default:
      return false;
    }
  };
  bool is = compute();
  return seen[v] = is;
}

bool Plan::inBlocks(Value condition) const {
  llvm::SmallDenseMap<Value, bool> seen;
  return totile::inBlocks(*this, condition, seen);
}

bool Plan::isMask(Value v) const {
  return !attn::typeOf(v).isFloat() && inBlocks(v) &&
         llvm::count_if(graph.axesOf(v), [&](int a) { return graph.axes[a].sequence; }) > 1;
}

void Plan::findBounds() {
  for (size_t id = 0, n = stages.size(); id < n; ++id) {
    if (stages[id].kind != StageKind::Reduce)
      continue;
    auto reduce = stages[id].core.getDefiningOp<attn::ReduceOp>();
    SmallVector<Condition> conditions;
    if (reduce.getGuard())
      necessary(reduce.getGuard(), attn::Reduction::Any, {}, conditions);
    necessary(reduce.getSource(), reduce.getRed(), {}, conditions);
    for (const Condition &c : conditions) {
      std::vector<Linear> forms;
      addForms(graph, c.holds, true, forms);
      bool linear = !forms.empty();
      llvm::erase_if(forms, [&](const Linear &l) {
        return llvm::none_of(stages[id].inner, [&](int a) { return l.axes.count(a); });
      });
      // What all rows leave out alike, as padding, is rarely much.
      AxisSet along = graph.axesOf(c.holds);
      auto sequence = [&](int a) { return graph.axes[a].sequence && along.contains(a); };
      bool guard = !linear && llvm::any_of(stages[id].inner, sequence) && llvm::any_of(stages[id].axes, sequence);
      bool blocks = llvm::any_of(stages[id].inner, sequence) && inBlocks(c.holds);
      SmallVector<int> checks; // made stages: the list grows
      if ((forms.empty() && !guard && !blocks) || !checkFinite(id, c.holds, c.factors, checks))
        continue;
      if (guard)
        stages[id].guards.push_back({c.holds, true, checks, blocks});
      if (blocks && !checks.empty())
        stages[id].absent.push_back({c.holds, true, checks, true});
      for (Linear &l : forms)
        stages[id].bounds.push_back({l, checks});
    }
  }
}

void Plan::findNeeded() {
  // Readers first: what they need decides for what they read. Recurrences need everything.
  SmallVector<int> all;
  for (Stage &s : stages)
    all.push_back(s.id);
  auto parts = components(all, [&](int s) {
    SmallVector<int> list;
    for (Access &a : stages[s].accesses)
      list.push_back(a.stage);
    return list;
  });
  for (auto &part : llvm::reverse(parts))
    for (int id : part) {
      Stage &s = stages[id];
      if (s.kind == StageKind::Reduce) {
        for (int a : s.inner) {
          std::vector<Bound> own;
          for (const Bound &bound : s.bounds)
            if (bound.form.axes.count(a))
              own.push_back(bound);
          if (own.empty())
            continue;
          TALLY("attn-to-tile: a reduction over a part of an axis");
          s.needed[a] = Needed{false, {own}};
        }
      }
      if (buffers[id].shared || !s.outputs.empty() || s.readers.empty() || part.size() > 1 ||
          s.kind > StageKind::ArgReduce)
        continue;
      // In the same loops the bounds come out the same, and nothing is read that was not computed.
      const Kernel &kernel = kernels[kernelOf[id]];
      SmallVector<const Node *> own;
      pathTo(kernel.schedule, id, own);
      auto together = [&](int r) {
        SmallVector<const Node *> path;
        return pathTo(kernel.schedule, r, path) && path == own;
      };
      for (int a : s.axes) {
        if (kernels[kernelOf[id]].parallel.contains(a))
          continue;
        Needed hull{false, {}};
        for (int r : s.readers)
          for (Access &access : stages[r].accesses) {
            if (access.stage != id)
              continue;
            auto need = stages[r].needed.find(a);
            bool same = !access.ahead && llvm::all_of(access.at, [](auto &p) { return p.first == p.second; });
            if (!same || !together(r) || need == stages[r].needed.end() || stages[r].kind > StageKind::ArgReduce)
              hull.whole = true;
            else
              for (auto &bounds : need->second.any)
                if (!llvm::is_contained(hull.any, bounds))
                  hull.any.push_back(bounds);
          }
        if (!hull.whole && hull.any.size() <= 4)
          TALLY("attn-to-tile: only what readers need computed");
        if (!hull.whole && hull.any.size() <= 4)
          s.needed[a] = hull;
      }
    }
}

} // namespace attnc::totile
