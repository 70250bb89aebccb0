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
// The conditions stay in the bodies: the bounds are those of the whole block.
//===----------------------------------------------------------------------===//
#include "passes/attn/AttnToTilePlan.h"

using namespace mlir;

namespace attnc::totile {

/// Conditions without which `v` is the identity of `op`.
static void necessary(Value v, attn::Reduction op, SmallVectorImpl<Value> &into) {
  v = resolve(v);
  if (op == attn::Reduction::Any)
    return addConjuncts(v, into);
  auto map = v.getDefiningOp<attn::MapOp>();
  if (!map)
    return;
  auto args = map.getOperands();
  if (map.getFn() == attn::MapFn::Select && isIdentity(args[2], op)) {
    addConjuncts(args[0], into);
    return necessary(args[1], op, into);
  }
  if (op != attn::Reduction::Sum)
    return;
  switch (map.getFn()) {
  case attn::MapFn::Mul:
    necessary(args[1], op, into);
    [[fallthrough]];
  case attn::MapFn::Div:
  case attn::MapFn::Neg:
    return necessary(args[0], op, into);
  case attn::MapFn::ToF32:
  case attn::MapFn::ToF64:
  case attn::MapFn::ToI64:
    if (attn::typeOf(args[0]).isBool())
      addConjuncts(args[0], into);
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
        auto reduce = s.core.getDefiningOp<attn::ReduceOp>();
        SmallVector<Value> conditions;
        if (reduce.getGuard())
          addConjuncts(reduce.getGuard(), conditions);
        necessary(reduce.getSource(), reduce.getRed(), conditions);
        std::vector<Linear> forms;
        for (Value c : conditions)
          addForms(graph, c, true, forms);
        for (int a : s.inner) {
          std::vector<Linear> own;
          for (Linear &l : forms)
            if (l.axes.count(a))
              own.push_back(l);
          if (!own.empty())
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
            bool same = llvm::all_of(access.at, [](auto &p) { return p.first == p.second; });
            if (!same || !together(r) || need == stages[r].needed.end() || stages[r].kind > StageKind::ArgReduce)
              hull.whole = true;
            else
              for (auto &forms : need->second.any)
                if (!llvm::is_contained(hull.any, forms))
                  hull.any.push_back(forms);
          }
        if (!hull.whole && hull.any.size() <= 4)
          s.needed[a] = hull;
      }
    }
}

} // namespace attnc::totile
