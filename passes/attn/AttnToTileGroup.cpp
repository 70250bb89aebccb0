//===- Kernels: which stages run together, over which grid ----------------===//
//
// A kernel may be cut along the axes that all its stages have and along which its stages read each other at the same
// position only: then nothing is recomputed, and what no other kernel reads needs memory for one block at a time.
// Stages start in kernels of their own (a recurrence as a whole) and are merged
//   * when what passes between them has two sequences (scores between queries and keys, a state at every step): then
//     axes may be lost from the grid, but not from both sides, unless it is larger than what is made of it;
//   * when no dynamic axis is lost from either grid.
// So keys that are projected here are stored, as no block of queries could begin before all of them are there.
// A merge never makes kernels wait for each other in a circle.
//===----------------------------------------------------------------------===//
#include "passes/attn/AttnToTilePlan.h"
#include "runtime/Tally.h"

using namespace mlir;

namespace attnc::totile {

SmallVector<Loop> Plan::loopsOf(ArrayRef<int> list) const {
  SmallVector<Loop> loops;
  for (int s : list)
    if (auto eq = stages[s].value.getDefiningOp<attn::EquationOp>(); eq && eq.getCycle()) {
      for (auto [a, dir] : llvm::zip_equal(graph.list(eq.getLoopAxes()), eq.getLoopDirs()))
        loops.push_back({a, int(dir)});
      break;
    }
  return loops;
}

/// Axes along which `list` may be cut; loops of recurrences in it are not among them.
AxisSet Plan::parallelOf(ArrayRef<int> list) const {
  AxisSet set = stages[list[0]].parallel();
  for (int s : list)
    set = set & stages[s].parallel();
  for (int s : list) {
    if (auto eq = stages[s].value.getDefiningOp<attn::EquationOp>(); eq && eq.getCycle())
      for (int a : graph.list(eq.getLoopAxes()))
        set.erase(a);
    for (const Access &access : stages[s].accesses)
      if (llvm::is_contained(list, access.stage))
        for (auto &[a, sym] : access.at)
          if (sym != a)
            set.erase(a);
  }
  return set;
}

static AxisSet dynamic(const Graph &graph, const AxisSet &set) {
  AxisSet result;
  for (int a : set)
    if (graph.axes[a].dynamic())
      result.insert(a);
  return result;
}

bool Plan::worthMerging(const Stage &from, const Stage &to, const Kernel &producer, const Kernel &consumer,
                        const Kernel &merged) const {
  // The bounds of the loops need it beforehand.
  if (from.check)
    return false;
  AxisSet a1 = dynamic(graph, producer.parallel), a2 = dynamic(graph, consumer.parallel),
          a = dynamic(graph, merged.parallel);
  SmallVector<Loop> made = loopsOf(producer.stages), used = loopsOf(consumer.stages);
  double volume = graph.volume(from.axes);

  // A state at every step, read at the step itself.
  if (!made.empty()) {
    bool here = llvm::any_of(made, [&](Loop l) { return from.axes.contains(l.axis) && graph.axes[l.axis].dynamic(); });
    AxisSet batch;
    for (int x : a2)
      if (!graph.axes[x].sequence)
        batch.insert(x);
    if (here)
      TALLY("attn-to-tile: a state next to its reader");
    return here && volume >= 8 * graph.volume(to.axes) && a.containsAll(batch & a1);
  }
  // Elementwise operands of a recurrence, worth a vector per step.
  if (!used.empty()) {
    bool steps = from.kind == StageKind::Map;
    for (const Access &access : to.accesses)
      if (access.stage == from.id)
        steps &= llvm::all_of(used, [&](Loop l) { return identicalAt(access, l.axis); });
    double inside = 1;
    for (int x : from.axes)
      if (graph.axes[x].constant)
        inside *= graph.axes[x].size;
    double lost = graph.volume(consumer.parallel - merged.parallel);
    if (steps)
      TALLY("attn-to-tile: an operand next to its recurrence");
    return steps && a == a2 && inside >= 16 && lost <= 256 && from.readers.size() == 1;
  }
  if (a.empty())
    return false;
  if (a == a1 && a == a2)
    return true;
  // What is looked at beforehand keeps its own grid, and so does what it is computed from. A selection takes longer
  // than keeping what it selects, and is often made for several heads at once: what follows it keeps its grid.
  if (to.check || from.kind == StageKind::Sort || from.kind == StageKind::Rank)
    return false;
  // A value along two sequences; what runs in parallel anyway is not given up for it. One of the two is cut as before:
  // keys that queries share would else come whole to one instance with all queries. Or else it is larger than what is
  // made of it, and blocks of it are left.
  auto sequences = [&](const AxisSet &set) {
    return llvm::count_if(set, [&](int x) { return graph.axes[x].sequence; });
  };
  bool keeps = llvm::all_of(a1 | a2, [&](int x) { return graph.axes[x].sequence || a.contains(x); });
  // One element for every row, left of what the producer keeps along a sequence, and a mean of it over heads and
  // samples (both without further axes): storing it is nothing beside taking those from the grid of the producer.
  AxisSet held;
  for (int stage : producer.stages)
    held = held | dynamic(graph, stages[stage].axes);
  if (a1.containsAll(from.axes) && a.containsAll(to.axes) && !a1.containsAll(held) && !a.containsAll(a1))
    return false;
  bool cut = a == a1 || a == a2 || (sequences(from.axes) > sequences(to.axes) && sequences(a) > 0);
  return sequences(from.axes) >= 2 && keeps && cut;
}

LogicalResult Plan::group() {
  SmallVector<int> all;
  for (Stage &s : stages)
    all.push_back(s.id);
  auto reads = [&](int s) {
    SmallVector<int> list;
    for (Access &access : stages[s].accesses)
      if (!llvm::is_contained(list, access.stage))
        list.push_back(access.stage);
    return list;
  };
  std::vector<Kernel> groups;
  std::vector<int> of(stages.size());
  for (auto &component : components(all, reads)) {
    for (int s : component)
      of[s] = groups.size();
    Kernel k;
    k.stages = component;
    k.parallel = parallelOf(component);
    groups.push_back(std::move(k));
  }

  /// Whether something outside lies on a way from group p to group c.
  auto detour = [&](int p, int c) {
    llvm::SmallDenseSet<int> seen;
    SmallVector<int> todo{c};
    while (!todo.empty()) {
      int g = todo.pop_back_val();
      for (int s : groups[g].stages)
        for (Access &access : stages[s].accesses) {
          int from = of[access.stage];
          if (from == g || (g == c && from == p))
            continue;
          if (from == p)
            return true;
          if (seen.insert(from).second)
            todo.push_back(from);
        }
    }
    return false;
  };

  // What passes between stages, the largest first; again until nothing changes, as a merge can clear the way for
  // others.
  SmallVector<std::pair<int, int>> edges;
  for (Stage &s : stages)
    for (int r : s.readers)
      edges.push_back({s.id, r});
  llvm::stable_sort(
      edges, [&](auto &x, auto &y) { return graph.volume(stages[x.first].axes) > graph.volume(stages[y.first].axes); });
  for (bool changed = true; changed;) {
    changed = false;
    for (auto &[from, to] : edges) {
      int p = of[from], c = of[to];
      if (p == c || detour(p, c))
        continue;
      Kernel merged;
      merged.stages = groups[p].stages;
      merged.stages.insert(merged.stages.end(), groups[c].stages.begin(), groups[c].stages.end());
      llvm::sort(merged.stages);
      merged.parallel = parallelOf(merged.stages);
      if (!worthMerging(stages[from], stages[to], groups[p], groups[c], merged))
        continue;
      TALLY("attn-to-tile: kernels merged");
      for (int s : groups[c].stages)
        of[s] = p;
      groups[c].stages.clear();
      groups[p] = std::move(merged);
      changed = true;
    }
  }

  SmallVector<int> kept;
  for (size_t g = 0; g < groups.size(); ++g)
    if (!groups[g].stages.empty())
      kept.push_back(g);
  kernelOf.assign(stages.size(), -1);
  for (auto &component : components(kept, [&](int g) {
         SmallVector<int> list;
         for (int s : groups[g].stages)
           for (int t : reads(s))
             if (of[t] != g)
               list.push_back(of[t]);
         return list;
       })) {
    assert(component.size() == 1 && "kernels wait for each other");
    for (int s : groups[component[0]].stages)
      kernelOf[s] = kernels.size();
    kernels.push_back(std::move(groups[component[0]]));
  }
  for (Kernel &k : kernels)
    chooseGrid(k);
  return success();
}

/// Blocks large enough for a register-blocked contraction inside, and small enough for the cache and the threads.
static constexpr int64_t kRows = 64, kColumns = 256, kState = 4096;
/// Elements that an instance keeps of one stage, where a whole dynamic axis counts as kWhole.
static constexpr double kHeld = 1 << 20, kWhole = 128;

static bool dependsOn(Graph &graph, Sym position, int axis) {
  if (position >= 0)
    return position == axis;
  return llvm::any_of(graph.expr(position).env, [&](auto &p) { return dependsOn(graph, p.second, axis); });
}

/// Whether the sum has an operand that is the same for all positions along `axis`. `has`: an axis that the operand has,
/// -1 for any.
bool Plan::sharesOperand(const Stage &stage, int axis, int has) const {
  if (stage.kind != StageKind::Reduce)
    return false;
  auto shared = [&](const SymEnv &at) {
    auto on = [&](int a) { return llvm::any_of(at, [&](auto &p) { return dependsOn(graph, p.second, a); }); };
    return !on(axis) && (has < 0 || on(has)) && at.size() > 1 && llvm::any_of(stage.inner, on);
  };
  // Masks are no factors.
  auto real = [](Value v) { return attn::typeOf(v).isFloat(); };
  return llvm::any_of(
             stage.inputs,
             [&](const InputAccess &in) { return real(attn::InputOp(in.input).getResult()) && shared(in.at); }) ||
         llvm::any_of(stage.accesses,
                      [&](const Access &access) { return real(stages[access.stage].value) && shared(access.at); });
}

/// Whether a sum of the kernel has an operand that is the same for all positions along the axis: weights, read once for
/// a block of them.
bool Plan::sharesOperand(const Kernel &kernel, int axis) const {
  return llvm::any_of(kernel.stages, [&](int s) { return sharesOperand(stages[s], axis, -1); });
}

/// Whether a sum of the kernel is a product of rows and columns along these axes.
bool Plan::isProduct(const Kernel &kernel, int row, int column) const {
  return llvm::any_of(kernel.stages, [&](int s) {
    return sharesOperand(stages[s], row, column) && sharesOperand(stages[s], column, row);
  });
}

void Plan::chooseGrid(Kernel &kernel) {
  SmallVector<Loop> loops = loopsOf(kernel.stages);
  // Positions of a short last chunk do not exist: its leaves stay together inside a block.
  AxisSet inner;
  for (int s : kernel.stages)
    for (attn::OutputOp out : stages[s].outputs)
      for (auto [dim, length] :
           llvm::zip_equal(out.getDims().getAsRange<ArrayAttr>(), out.getLengths().getAsRange<StringAttr>()))
        if (!length.getValue().empty())
          for (int a : ArrayRef(graph.list(dim)).drop_front())
            inner.insert(a);
  AxisSet axes = kernel.parallel - inner;

  // The longest axis along which an operand is the same: keys of all queries. Heads may be as long, but share nothing.
  auto rank = [&](int a) { return std::pair(sharesOperand(kernel, a), graph.axes[a].size); };
  bool sums = llvm::any_of(kernel.stages, [&](int s) { return stages[s].kind == StageKind::Reduce; });
  auto reused = [&](int a) { return !sums || sharesOperand(kernel, a); };
  int row = -1;
  double rows = 1, inside = 1;
  for (int a : axes)
    if (loops.empty() && graph.axes[a].sequence && (row < 0 || rank(a) >= rank(row)))
      row = a;
  // Rows of one product, as the heads of a group are: not a batch, which has a product for each of its positions, and
  // not columns, as gates are, which have weights for each.
  for (int a : axes)
    if (graph.axes[a].constant && graph.axes[a].size < 32 && reused(a) && !(row >= 0 && isProduct(kernel, row, a)))
      rows *= graph.axes[a].size;
  // Rows that share what a condition leaves are enough for a block: others would add to the list that they work on.
  auto sharesWork = [&](int a) {
    bool any = false;
    for (int s : kernel.stages)
      for (const Guard &guard : stages[s].guards) {
        AxisSet along = graph.axesOf(guard.holds);
        if (along.contains(a))
          return false;
        any |= row >= 0 && along.contains(row);
      }
    return any;
  };
  for (int a : kernel.parallel)
    if (graph.axes[a].constant && graph.axes[a].size >= 32 && sharesWork(a))
      rows *= graph.axes[a].size;
  // Nothing meets along a batch, but the weights that it shares are packed once for many of its rows. Of several such
  // axes the one that is innermost in memory: samples are outside of what they consist of.
  int64_t rowBlock = kRows;
  if (loops.empty() && row < 0) {
    int innermost = -1;
    auto visit = [&](ArrayAttr dims) {
      for (auto [place, dim] : llvm::enumerate(dims.getAsRange<ArrayAttr>()))
        for (int a : graph.list(dim))
          if (axes.contains(a) && graph.axes[a].dynamic() && int(place) > innermost && sharesOperand(kernel, a)) {
            row = a;
            innermost = place;
            rowBlock = 2 * kRows;
          }
    };
    for (int s : kernel.stages)
      for (InputAccess &in : stages[s].inputs)
        visit(in.input.getDims());
  }
  AxisSet domain;
  for (int s : kernel.stages)
    domain = domain | stages[s].domain();
  for (int a : domain - axes)
    inside *= graph.axes[a].size;
  for (int a : axes)
    if (graph.axes[a].constant)
      inside *= graph.axes[a].size;

  // Weights that a batch shares are read once for several of its samples.
  bool shares = false;
  int batch = -1;
  for (int a : axes)
    if (graph.axes[a].dynamic() && !graph.axes[a].sequence)
      batch = a;
  if (batch >= 0 && !loops.empty())
    for (int s : kernel.stages) {
      if (stages[s].kind != StageKind::Reduce)
        continue;
      for (InputAccess &in : stages[s].inputs) {
        AxisSet own = graph.axesOf(in.input.getResult());
        bool contracted = llvm::any_of(in.at, [&](auto &p) { return llvm::is_contained(stages[s].inner, p.second); });
        shares |= contracted && !own.contains(batch) && graph.volume(own) >= 1024;
      }
    }
  // A recurrence runs along one axis in lanes: where its inputs have unit stride, else the longest. Nothing is cut for
  // that where another axis, which stays whole inside, has the unit strides.
  auto units = [&](int a) {
    int count = 0;
    for (int s : kernel.stages)
      count += unitStride(stages[s], a);
    return count;
  };
  bool whole = llvm::any_of(domain - axes, [&](int a) {
    return graph.axes[a].size >= 16 && llvm::none_of(loops, [&](Loop l) { return l.axis == a; }) && units(a) > 0;
  });
  int lanes = -1;
  double best = 0;
  for (int a : axes) {
    double score = (graph.axes[a].size >= 8 ? std::log2(graph.axes[a].size) : 0) + 8 * units(a);
    bool mayBe = graph.axes[a].constant || (graph.axes[a].sequence && (units(a) || !whole));
    if (!loops.empty() && mayBe && score > best) {
      lanes = a;
      best = score;
    }
  }

  // One further sequence comes in wide blocks, where a sum finds operands in it that do not move along it.
  int column = -1;
  for (int a : axes)
    if (loops.empty() && a != row && graph.axes[a].dynamic() && graph.axes[a].sequence && reused(a) &&
        (column < 0 || graph.axes[a].size > graph.axes[column].size))
      column = a;
  // Rows of one operand and columns of the other, though one of them looks like a batch.
  for (int a : axes)
    if (loops.empty() && row >= 0 && column < 0 && a != row && graph.axes[a].dynamic() && isProduct(kernel, row, a))
      column = a;
  // Neighbours in memory stay together, where nothing else inside could be lanes.
  if (int most = 0; loops.empty() && row >= 0 && column < 0 && inside < 16)
    for (int a : axes)
      if (a != row && graph.axes[a].dynamic() && units(a) > most) {
        column = a;
        most = units(a);
      }

  SmallVector<GridDim> first, last;
  for (int a : axes) {
    const AxisInfo &info = graph.axes[a];
    if (a == row) {
      last.push_back({a, std::max<int64_t>(1, rowBlock / int64_t(rows))});
    } else if (info.dynamic()) {
      bool samples = loops.empty() ? row < 0 && a == batch && inside < 16 : shares && a == batch;
      first.push_back({a, a == column ? kColumns : a == lanes ? kRows : samples ? (loops.empty() ? kRows : 16) : 1});
    } else if (loops.empty() ? info.size > 2 * kColumns : inside > kState && info.size > kRows) {
      last.push_back({a, loops.empty() ? kColumns : kRows});
      inside = inside / info.size * kRows;
    }
  }
  kernel.grid.append(first);
  kernel.grid.append(last);
  limitHeld(kernel, axes);
}

/// Makes blocks smaller until what an instance keeps of every stage is about kHeld elements.
void Plan::limitHeld(Kernel &kernel, const AxisSet &axes) {
  SmallVector<Loop> loops = loopsOf(kernel.stages);
  for (int id : kernel.stages) {
    const Stage &s = stages[id];
    bool kept = s.readable && (!s.readers.empty() || s.kind > StageKind::ArgReduce) &&
                llvm::all_of(s.readers, [&](int r) { return kernelOf[r] == kernelOf[id]; });
    if (!kept)
      continue;
    while (true) {
      double held = 1;
      int widest = -1;
      int64_t width = 1;
      for (int a : s.axes) {
        if (llvm::any_of(loops, [&](Loop l) { return l.axis == a; }))
          continue;
        auto cut = llvm::find_if(kernel.grid, [&](GridDim g) { return g.axis == a; });
        const AxisInfo &info = graph.axes[a];
        int64_t size = cut != kernel.grid.end() ? cut->block : info.constant.value_or(std::min(kWhole, info.size));
        held *= size;
        if (axes.contains(a) && size > width) {
          widest = a;
          width = size;
        }
      }
      if (held <= kHeld || widest < 0)
        break;
      auto cut = llvm::find_if(kernel.grid, [&](GridDim g) { return g.axis == widest; });
      if (cut != kernel.grid.end())
        cut->block = llvm::bit_floor(uint64_t(width - 1));
      else
        kernel.grid.push_back({widest, int64_t(llvm::bit_floor(uint64_t(width - 1)))});
    }
  }
}

} // namespace attnc::totile
