//===- What a zero may be multiplied with unseen --------------------------===//
//
// softmax[j](s where j <= i) is 0 past i, and so is its product with v, unless v is NaN or infinite there: 0 * NaN is
// NaN. Keys past i are skipped only after a look at v itself:
//
//   %ok = reduce all [j, e] (isfinite(%v))        one value per batch and head, a stage in a kernel of its own
//
// It costs one pass over v, which the sum reads once per query. Instead of an elementwise value that is finite where
// its operands are, these are asked; what overflows alone is not looked for, as the mathematics does not have it. Where
// the check would cost as much as what it saves there is none, and nothing is skipped.
//===----------------------------------------------------------------------===//
#include "passes/attn/AttnToTilePlan.h"
#include "passes/attn/Build.h"
#include <cmath>

using namespace mlir;

namespace attnc::totile {

namespace {
/// A value to check, and its axes that mean something else where it is used.
struct Source {
  Value value;
  AxisSet bound;
};
} // namespace

/// Values whose being finite makes `v` finite: what is stored, inputs, and expressions that may make a NaN.
static void sourcesOf(Plan &plan, Value v, const AxisSet &bound, SmallVectorImpl<Source> &into) {
  using F = attn::MapFn;
  v = resolve(v);
  if (!attn::typeOf(v).isFloat())
    return;
  if (auto constant = attn::constReal(v); constant && std::isfinite(*constant))
    return;
  auto each = [&](ValueRange operands, const AxisSet &inside) {
    for (Value operand : operands)
      sourcesOf(plan, operand, inside, into);
  };
  bool stored = plan.stageOf(v) >= 0;
  if (auto read = v.getDefiningOp<attn::ReadOp>(); read && !stored) {
    AxisSet more = bound;
    for (int a : plan.graph.list(read.getAxes()))
      more.insert(a);
    return each(read.getSource(), more);
  }
  if (auto map = v.getDefiningOp<attn::MapOp>(); map && !stored)
    switch (map.getFn()) {
    case F::Neg:
    case F::Add:
    case F::Sub:
    case F::Mul:
    case F::Abs:
    case F::Min:
    case F::Max:
    case F::Tanh:
    case F::Erf:
    case F::Sin:
    case F::Cos:
    case F::Floor:
    case F::Ceil:
    case F::Round:
    case F::ToF32:
    case F::ToF64:
    case F::Select: // the condition is not a real
      return each(map.getOperands(), bound);
    default:
      break;
    }
  if (llvm::none_of(into, [&](const Source &s) { return s.value == v && s.bound == bound; }))
    into.push_back({v, bound});
}

/// Whether computing `v` needs `target`.
static bool needs(Value v, Value target) {
  llvm::SmallDenseSet<Value> seen;
  SmallVector<Value> todo{v};
  while (!todo.empty()) {
    Value at = todo.pop_back_val();
    if (at == target)
      return true;
    if (seen.insert(at).second)
      llvm::append_range(todo, at.getDefiningOp()->getOperands());
  }
  return false;
}

bool Plan::checkFinite(int stage, Value condition, ArrayRef<Value> factors, SmallVectorImpl<int> &checks) {
  SmallVector<Source> sources;
  for (Value v : factors)
    sourcesOf(*this, v, {}, sources);
  AxisSet own = stages[stage].axes;
  // What is computed for the same rows as the condition would have to be kept for all of them until it is checked.
  for (const Source &source : sources)
    if (!source.value.getDefiningOp<attn::InputOp>())
      for (int a : graph.axesOf(source.value) & graph.axesOf(condition) & own)
        if (graph.axes[a].sequence)
          return false;
  double work = graph.volume(stages[stage].domain());
  for (const Source &source : sources)
    if (8 * graph.volume(graph.axesOf(source.value)) > work || needs(source.value, stages[stage].core))
      return false;
  for (const Source &source : sources) {
    // One answer per position of what runs in parallel anyway.
    std::vector<int> over;
    for (int a : graph.axesOf(source.value))
      if (!own.contains(a) || source.bound.contains(a) || graph.axes[a].constant || graph.axes[a].sequence)
        over.push_back(a);
    auto [known, fresh] = checks_.insert({{source.value.getAsOpaquePointer(), over}, -1});
    if (fresh) {
      attn::Build b(stages[stage].core.getDefiningOp());
      Value finite = b.map(attn::MapFn::IsFinite, source.value);
      auto names = llvm::map_to_vector(over, [&](int a) { return graph.axes[a].name; });
      if (!over.empty())
        finite = b.reduce(attn::Reduction::All, names, finite);
      known->second = addStage(finite, "loops skip zeros where it is true");
      stages[known->second].name = nameOf(source.value) + ".finite";
      stages[known->second].check = true;
    }
    if (!llvm::is_contained(checks, known->second))
      checks.push_back(known->second);
  }
  return true;
}

} // namespace attnc::totile
