//===- Loops of recurrences, and the memory of every stage ----------------===//
//
// Inside a kernel the stages are ordered by what they read. Stages that read each other in a circle are put into the
// next loop of their recurrence; inside it, what reaches an earlier position no longer counts, and the rest is ordered
// again (this is loop distribution as Allen and Kennedy do it). A stage that meets the loop at its own position only
// joins it, so that a read-out follows its state step by step and the state is not kept for all positions. A sum
// that the loop reads, with an operand that is the same for all rounds, stays before it: it is a matrix product there.
//
// What only its own kernel reads gets memory for one block. Along a loop that all its readers share it gets as many
// slots as the farthest reader looks back, plus one. Where the last position of a chunk alone is read after the loop,
// the loop ends where a short last chunk does, so that one slot is enough.
//===----------------------------------------------------------------------===//
#include "passes/attn/AttnToTilePlan.h"
#include "runtime/Tally.h"

using namespace mlir;

namespace attnc::totile {

std::optional<Distance> distanceAlong(Graph &graph, const Access &access, Loop loop) {
  Sym at = lookup(access.at, loop.axis);
  std::optional<Linear> l = graph.linear(at);
  int64_t divisor = 1;
  if (!l) {
    // n of the flat position n * U + u - 1 is (n * U + u - 1) div U.
    auto map = at < 0 ? graph.expr(at).value.getDefiningOp<attn::MapOp>() : attn::MapOp();
    if (!map || map.getFn() != attn::MapFn::IDiv)
      return std::nullopt;
    SymEnv env = graph.expr(at).env;
    l = graph.linear(graph.position(map.getOperands()[0], graph.restrict(env, map.getOperands()[0])));
    auto by = attn::constInt(resolve(map.getOperands()[1]));
    if (!l || !by || *by < 1)
      return std::nullopt;
    TALLY("attn-to-tile: steps of a flat position");
    divisor = *by;
  }
  if (l->axes[loop.axis] != divisor)
    return std::nullopt;
  l->axes.erase(loop.axis);
  // Least and greatest position relative to the own one; null: no bound.
  std::optional<int64_t> low = l->constant, high = l->constant;
  for (auto &[a, factor] : l->axes) {
    auto extent = graph.axes[a].constant;
    std::optional<int64_t> &end = factor > 0 ? high : low;
    if (!extent)
      end = std::nullopt;
    else if (end)
      *end += factor * std::max<int64_t>(*extent - 1, 0);
  }
  for (auto &[e, factor] : l->extents)
    (factor > 0 ? high : low) = std::nullopt;
  if (low)
    low = floorDiv(*low, divisor);
  if (high)
    high = floorDiv(*high, divisor);
  if (loop.dir < 0) {
    std::swap(low, high);
    if (low)
      low = -*low;
    if (high)
      high = -*high;
  }
  if (!high || *high > 0)
    return std::nullopt;
  Distance d{-*high, std::nullopt};
  if (low)
    d.most = -*low;
  return d;
}

std::optional<Distance> distanceBefore(Graph &graph, const Access &access, Loop loop) {
  auto d = distanceAlong(graph, access, loop);
  return d && d->least >= 1 ? d : std::nullopt;
}

/// Whether an access inside a recurrence is served by an earlier round of the open loops. What bounds alone do not
/// prove was proven by the checker, for all loops of the recurrence together: it holds once all are open.
bool Plan::carried(const Access &access, ArrayRef<Loop> open, bool allOpen) const {
  bool elsewhere = false;
  for (Loop loop : open) {
    if (!stages[access.stage].axes.contains(loop.axis) || identicalAt(access, loop.axis))
      continue;
    if (distanceBefore(graph, access, loop))
      return true;
    elsewhere = true;
  }
  return elsewhere && allOpen;
}

LogicalResult Plan::schedule(ArrayRef<int> list, ArrayRef<Loop> open, Nodes &into) {
  auto remaining = [&](ArrayRef<int> members) {
    SmallVector<Loop> loops;
    for (Loop l : loopsOf(members))
      if (llvm::none_of(open, [&](Loop o) { return o.axis == l.axis; }) &&
          llvm::all_of(members, [&](int s) { return stages[s].axes.contains(l.axis); }))
        loops.push_back(l);
    return loops;
  };
  auto reads = [&](int s) {
    SmallVector<int> result;
    for (Access &access : stages[s].accesses) {
      if (!llvm::is_contained(list, access.stage) || llvm::is_contained(result, access.stage))
        continue;
      SmallVector<int> both{s, access.stage};
      bool allOpen = !open.empty() && remaining(both).empty();
      if (!carried(access, open, allOpen))
        result.push_back(access.stage);
    }
    return result;
  };
  std::vector<std::vector<int>> parts = components(list, reads);
  std::map<int, int> partOf; // stage -> part
  auto number = [&] {
    for (size_t p = 0; p < parts.size(); ++p)
      for (int s : parts[p])
        partOf[s] = p;
  };
  number();
  auto cyclic = [&](ArrayRef<int> part) { return part.size() > 1 || llvm::is_contained(reads(part[0]), part[0]); };
  /// Whether a way leads from part `from` to part `to` through another one.
  auto detour = [&](int from, int to) {
    llvm::SmallDenseSet<int> seen;
    SmallVector<int> todo{to};
    while (!todo.empty()) {
      int p = todo.pop_back_val();
      for (int s : parts[p])
        for (int t : reads(s)) {
          int q = partOf[t];
          if (q == p || (p == to && q == from))
            continue;
          if (q == from)
            return true;
          if (seen.insert(q).second)
            todo.push_back(q);
        }
    }
    return false;
  };

  std::map<int, Loop> loopOf; // first stage of a part -> its loop
  SmallVector<bool> isLoop(parts.size(), false);
  SmallVector<Loop> loop(parts.size(), Loop{-1, 1});
  for (size_t p = 0; p < parts.size(); ++p) {
    if (!cyclic(parts[p]))
      continue;
    SmallVector<Loop> loops = remaining(parts[p]);
    if (loops.empty())
      return stages[parts[p][0]].value.getDefiningOp()->emitError("recurrence has no loop that orders it");
    isLoop[p] = true;
    loop[p] = loops[0];
  }
  /// Whether parts p (a loop) and q may share the loop.
  auto fits = [&](int p, int q) {
    Loop l = loop[p];
    if (isLoop[q] ? loop[q].axis != l.axis || loop[q].dir != l.dir : !stages[parts[q][0]].parallel().contains(l.axis))
      return false;
    for (auto [x, y] : {std::pair(p, q), std::pair(q, p)})
      for (int s : parts[x])
        for (Access &access : stages[s].accesses)
          if (llvm::is_contained(parts[y], access.stage) && stages[access.stage].axes.contains(l.axis) &&
              !identicalAt(access, l.axis) && !distanceBefore(graph, access, l))
            return false;
    for (int s : parts[q])
      if (!stages[s].axes.contains(l.axis))
        return false;
    return !detour(p, q) && !detour(q, p);
  };
  auto linked = [&](int p, int q) {
    for (auto [x, y] : {std::pair(p, q), std::pair(q, p)})
      for (int s : parts[x])
        for (Access &access : stages[s].accesses)
          if (llvm::is_contained(parts[y], access.stage))
            return true;
    return false;
  };
  /// Whether q is a sum beside the loop p with an operand for all of its rounds: a matrix product as a whole, a vector
  /// times the matrix again and again in the loop.
  auto isBatch = [&](int p, int q) {
    const Stage &stage = stages[parts[q][0]];
    return !isLoop[q] && sharesOperand(stage, loop[p].axis, -1) &&
           llvm::none_of(stage.accesses, [&](const Access &a) { return llvm::is_contained(parts[p], a.stage); });
  };
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t p = 0; p < parts.size(); ++p)
      for (size_t q = 0; isLoop[p] && q < parts.size(); ++q) {
        if (p == q || parts[q].empty() || parts[p].empty() || !(linked(p, q) || isLoop[q]) || isBatch(p, q) ||
            !fits(p, q))
          continue;
        TALLY("attn-to-tile: joins the loop that it meets step by step");
        parts[p].insert(parts[p].end(), parts[q].begin(), parts[q].end());
        llvm::sort(parts[p]);
        parts[q].clear();
        isLoop[q] = false;
        number();
        changed = true;
      }
  }

  SmallVector<int> kept;
  for (size_t p = 0; p < parts.size(); ++p)
    if (!parts[p].empty())
      kept.push_back(p);
  for (auto &component : components(kept, [&](int p) {
         SmallVector<int> result;
         for (int s : parts[p])
           for (int t : reads(s))
             if (partOf[t] != p)
               result.push_back(partOf[t]);
         return result;
       })) {
    int p = component[0];
    auto node = std::make_unique<Node>();
    if (!isLoop[p]) {
      node->stage = parts[p][0];
    } else {
      node->axis = loop[p].axis;
      node->dir = loop[p].dir;
      SmallVector<Loop> inside(open);
      inside.push_back(loop[p]);
      if (failed(schedule(parts[p], inside, node->body)))
        return failure();
    }
    into.push_back(std::move(node));
  }
  return success();
}

//===--- buffers ----------------------------------------------------------===//

/// Inputs that the stage reads with unit stride along the axis.
int Plan::unitStride(const Stage &stage, int axis) const {
  int count = 0;
  for (InputAccess in : stage.inputs) {
    ArrayAttr dims = in.input.getDims();
    if (dims.empty())
      continue;
    SmallVector<int> last = graph.list(cast<ArrayAttr>(*std::prev(dims.end())));
    count += !last.empty() && lookup(in.at, last.back()) == axis;
  }
  return count;
}

/// Whether a reader, or an elementwise reader's reader, reduces the axis.
bool Plan::reducedLater(const Stage &stage, int axis, int depth) const {
  return llvm::any_of(stage.readers, [&](int r) {
    return llvm::is_contained(stages[r].inner, axis) ||
           (depth > 1 && stages[r].kind == StageKind::Map && stages[r].axes.contains(axis) &&
            reducedLater(stages[r], axis, depth - 1));
  });
}

/// Axes of a stage in the order in which it is stored: what runs in parallel outside first, then what loops run along;
/// last the one that most nests can run along with unit stride.
SmallVector<int> Plan::storageOrder(const Stage &stage, const Kernel *kernel) const {
  // One step of a loop touches one piece, of what one instance has.
  const Kernel &own = kernels[kernelOf[stage.id]];
  SmallVector<const Node *> loops;
  pathTo(own.schedule, stage.id, loops);
  auto isLoop = [&](int a) { return llvm::any_of(loops, [&](const Node *n) { return n->axis == a; }); };
  auto single = [&](int a) {
    return !loops.empty() && llvm::any_of(own.grid, [&](GridDim g) { return g.axis == a && g.block == 1; });
  };
  auto group = [&](int a) {
    return !graph.axes[a].dynamic() ? 3 : !graph.axes[a].sequence || single(a) ? 0 : isLoop(a) ? 1 : 2;
  };
  auto score = [&](int a) {
    double s = std::log2(graph.axes[a].size) / 8 + 2 * unitStride(stage, a);
    // What no reader reduces can be the lanes of all of them.
    bool reduced = reducedLater(stage, a);
    if (graph.axes[a].constant && graph.axes[a].size >= 8 && !reduced)
      s += 100;
    for (int r : stage.readers)
      s += 2 * unitStride(stages[r], a);
    return s;
  };
  SmallVector<int> order(stage.axes.begin(), stage.axes.end());
  llvm::stable_sort(order, [&](int x, int y) {
    // Neighbours in a worklist are not neighbours elsewhere; rows are.
    if (kernel && stage.work.count(x) != stage.work.count(y))
      return stage.work.count(x) > stage.work.count(y);
    if (group(x) != group(y))
      return group(x) < group(y);
    return score(x) < score(y);
  });
  // A long dynamic axis runs better innermost than a short constant one.
  if (!order.empty() && graph.axes[order.back()].size < 8)
    for (size_t i = order.size(); i-- > 0;)
      if (graph.axes[order[i]].sequence && !isLoop(order[i]) && !(kernel && kernel->parallel.contains(order[i]))) {
        int a = order[i];
        order.erase(order.begin() + i);
        order.push_back(a);
        break;
      }
  return order;
}

/// Loops around a stage, outermost first.
bool pathTo(const std::vector<std::unique_ptr<Node>> &nodes, int stage, SmallVectorImpl<const Node *> &path) {
  for (auto &n : nodes) {
    if (n->stage == stage && !n->isLoop())
      return true;
    if (n->isLoop()) {
      path.push_back(n.get());
      if (pathTo(n->body, stage, path))
        return true;
      path.pop_back();
    }
  }
  return false;
}

/// Whether `at` is the position of the last round of the loop.
static bool isLast(Graph &graph, const ExtentRef &at, Loop loop) {
  if (loop.dir < 0)
    return extentEqual(at, extentConst(0));
  const ExtentRef &extent = graph.axes[loop.axis].extent;
  if (extentEqual(at, extentMake(attnc::ExtentOp::Sub, {extent, extentConst(1)})))
    return true;
  // The chunk of the last token: (N - 1) div U, one less than (N + U - 1) div U.
  return at->op == attnc::ExtentOp::Div &&
         extentEqual(extent, extentMake(attnc::ExtentOp::Div,
                                        {extentMake(attnc::ExtentOp::Add, {at->args[0], at->args[1]}), at->args[1]}));
}

/// Whether `at` is the last position of `axis` that exists in a chunk of a composite with a short last chunk,
/// min(#u, N - n * #u) - 1, n being where the access lies along the axis of chunks.
static bool isLastOfChunk(Graph &graph, const Access &access, int axis) {
  auto constantOf = [](Value v) { return attn::constInt(resolve(v)); };
  Sym at = lookup(access.at, axis);
  std::optional<ChunkedDim> dim = graph.chunked(axis);
  auto less = at < 0 ? resolve(graph.expr(at).value).getDefiningOp<attn::MapOp>() : attn::MapOp();
  if (!dim || !less || less.getFn() != attn::MapFn::Sub || constantOf(less.getOperands()[1]) != 1)
    return false;
  auto least = resolve(less.getOperands()[0]).getDefiningOp<attn::MapOp>();
  if (!least || least.getFn() != attn::MapFn::Min)
    return false;
  // #u * n + room - N is 0.
  auto chunk = graph.linear(lookup(access.at, dim->chunk));
  for (unsigned side : {0, 1}) {
    Value room = least.getOperands()[1 - side];
    auto rest = graph.linear(graph.position(room, graph.restrict(graph.expr(at).env, room)));
    if (constantOf(least.getOperands()[side]) != graph.axes[axis].constant || !chunk || !rest)
      continue;
    addTo(*rest, *chunk, *graph.axes[axis].constant);
    addTo(*rest, graph.linear(dim->length), -1);
    if (*rest == Linear())
      return true;
  }
  return false;
}

/// Stages below `nodes` in the order in which they run.
static void flatten(const std::vector<std::unique_ptr<Node>> &nodes, SmallVectorImpl<int> &order) {
  for (auto &n : nodes)
    if (n->isLoop())
      flatten(n->body, order);
    else
      order.push_back(n->stage);
}

void Plan::choosePrivate(Stage &stage, const Kernel &kernel) {
  Buffer &buffer = buffers[stage.id];
  SmallVector<const Node *> own;
  pathTo(kernel.schedule, stage.id, own);
  llvm::SmallDenseMap<int, BufferDim> dims;
  AxisSet dropped;
  for (int a : stage.axes)
    dims[a] = BufferDim{{a}, BufferDim::Whole, 0};
  for (GridDim g : kernel.grid) {
    if (!stage.axes.contains(g.axis))
      continue;
    if (g.block == 1)
      dropped.insert(g.axis);
    else
      dims[g.axis] = BufferDim{{g.axis}, BufferDim::Block, g.block};
  }
  // Places in a worklist instead of positions, where all that read it visit the same.
  for (auto &[a, list] : stage.work) {
    bool same = true;
    for (int r : stage.readers)
      for (const Access &access : stages[r].accesses)
        if (access.stage == stage.id) {
          auto work = stages[r].work.find(a);
          same &= !access.ahead && identicalAt(access, a) && work != stages[r].work.end() && work->second == list;
        }
    if (same)
      dims[a] = BufferDim{{a}, BufferDim::Listed, dims[a].size};
  }
  SmallVector<Loop> outer;
  for (const Node *loop : own) {
    Loop l{loop->axis, loop->dir};
    if (!stage.axes.contains(l.axis))
      continue;
    int64_t slots = 1; // 0: all positions
    for (int r : stage.readers) {
      SmallVector<const Node *> path;
      pathTo(kernel.schedule, r, path);
      for (const Access &access : stages[r].accesses) {
        if (access.stage != stage.id || !slots)
          continue;
        // In the same round of the loops outside: an earlier position of this loop. Else all of it has run, and only
        // its last position is left.
        bool running =
            llvm::is_contained(path, loop) && llvm::all_of(outer, [&](Loop o) { return identicalAt(access, o.axis); });
        if (running && identicalAt(access, l.axis))
          continue;
        auto d = running ? distanceAlong(graph, access, l) : std::nullopt;
        if (d && d->most) {
          slots = std::max(slots, *d->most + 1);
          continue;
        }
        ExtentRef at = running ? nullptr : graph.asExtent(lookup(access.at, l.axis));
        if (at && isLast(graph, at, l))
          continue;
        // The loop ends where the chunk does, so that this is the last round.
        auto chunk = graph.chunked(l.axis);
        bool ends = !running && l.dir > 0 && chunk &&
                    llvm::any_of(outer, [&](Loop o) { return o.axis == chunk->chunk; }) &&
                    isLastOfChunk(graph, access, l.axis);
        if (ends)
          endsWithChunk.insert(loop);
        else
          slots = 0;
      }
    }
    outer.push_back(l);
    // One step back is overwritten in place, where all that look back do so before, or at the very element that is
    // written.
    if (slots == 2) {
      SmallVector<int> order;
      flatten(loop->body, order);
      auto place = [&](int s) { return llvm::find(order, s) - order.begin(); };
      bool safe = true;
      for (int r : stage.readers)
        for (const Access &access : stages[r].accesses) {
          if (access.stage != stage.id || identicalAt(access, l.axis) || !llvm::is_contained(order, r))
            continue;
          bool own = r == stage.id && stage.kind == StageKind::Map &&
                     llvm::all_of(stage.axes, [&](int a) { return a == l.axis || identicalAt(access, a); });
          safe &= own || place(r) < place(stage.id);
        }
      // Inside a further loop the order of this body says nothing.
      if (safe && own.back() == loop) {
        TALLY("attn-to-tile: a state overwritten in place");
        slots = 1;
      }
    }
    if (slots == 1)
      dropped.insert(l.axis);
    else if (slots && (!graph.axes[l.axis].constant || slots < *graph.axes[l.axis].constant))
      dims[l.axis] = BufferDim{{l.axis}, BufferDim::Ring, slots};
  }

  AxisSet flat;
  SmallVector<int> row = stage.kind == StageKind::Sort   ? stage.made
                         : stage.kind == StageKind::Rank ? stage.inner
                                                         : SmallVector<int>();
  for (int a : row)
    flat.insert(a);
  // Positions of loops outside: one step touches one piece.
  SmallVector<int> order = storageOrder(stage, &kernel);
  std::stable_partition(order.begin(), order.end(),
                        [&](int a) { return llvm::any_of(own, [&](const Node *n) { return n->axis == a; }); });
  for (int a : order)
    if (!dropped.contains(a) && !flat.contains(a))
      buffer.dims.push_back(dims[a]);
  if (!row.empty())
    buffer.dims.push_back(BufferDim{row, BufferDim::Whole, 0});
}

void Plan::chooseBuffers() {
  buffers.resize(stages.size());
  for (Stage &s : stages) {
    if (!s.readable || (s.readers.empty() &&
                        (s.kind == StageKind::Map || s.kind == StageKind::Reduce || s.kind == StageKind::ArgReduce)))
      continue;
    Kernel &kernel = kernels[kernelOf[s.id]];
    Buffer &buffer = buffers[s.id];
    buffer.shared = llvm::any_of(s.readers, [&](int r) { return kernelOf[r] != kernelOf[s.id]; });
    if (buffer.shared)
      TALLY("attn-to-tile: memory that kernels share");
    else
      TALLY("attn-to-tile: memory of one kernel");
    if (!buffer.shared) {
      choosePrivate(s, kernel);
      continue;
    }
    SmallVector<int> row = s.kind == StageKind::Sort   ? s.made
                           : s.kind == StageKind::Rank ? s.inner
                                                       : SmallVector<int>();
    if (row.empty() && !s.outputs.empty()) {
      for (ArrayAttr dim : s.outputs[0].getDims().getAsRange<ArrayAttr>())
        buffer.dims.push_back(BufferDim{graph.list(dim), BufferDim::Whole, 0});
      continue;
    }
    for (int a : storageOrder(s, nullptr))
      if (!llvm::is_contained(row, a))
        buffer.dims.push_back(BufferDim{{a}, BufferDim::Whole, 0});
    if (!row.empty())
      buffer.dims.push_back(BufferDim{row, BufferDim::Whole, 0});
  }
}

/// An elementwise stage overwrites a private operand of the same shape that nothing reads later: exponentials replace
/// scores.
void Plan::shareMemory(const Kernel &kernel) {
  SmallVector<int> order;
  for (auto &n : kernel.schedule)
    if (!n->isLoop())
      order.push_back(n->stage);
  auto place = [&](int s) { return llvm::find(order, s) - order.begin(); };
  for (int id : order) {
    Stage &s = stages[id];
    if (s.kind != StageKind::Map || buffers[id].shared || buffers[id].dims.empty() || !s.readable)
      continue;
    for (Access &access : s.accesses) {
      Stage &t = stages[access.stage];
      auto listed = [&](int stage) {
        SmallVector<int> axes;
        for (const BufferDim &dim : buffers[stage].dims)
          if (dim.kind == BufferDim::Listed)
            axes.push_back(dim.axes[0]);
        llvm::sort(axes);
        return axes;
      };
      bool fits = llvm::is_contained(order, t.id) && !buffers[t.id].shared && t.axes == s.axes &&
                  listed(t.id) == listed(id) && attn::typeOf(t.value) == attn::typeOf(s.value) &&
                  t.kind <= StageKind::ArgReduce && llvm::none_of(inPlaceOf, [&](int o) { return o == t.id; });
      for (int r : t.readers)
        fits &= llvm::is_contained(order, r) && (r == id || place(r) < place(id));
      for (Access &other : s.accesses)
        if (other.stage == t.id)
          fits &= llvm::all_of(other.at, [](auto &p) { return p.first == p.second; });
      if (!fits)
        continue;
      TALLY("attn-to-tile: an operand overwritten in place");
      buffers[id].dims = buffers[t.id].dims;
      inPlaceOf[id] = t.id;
      break;
    }
  }
}

LogicalResult Plan::build() {
  if (failed(chooseStages()) || failed(group()))
    return failure();
  chooseWorklists();
  for (Kernel &k : kernels)
    if (failed(schedule(k.stages, {}, k.schedule)))
      return failure();
  chooseBuffers();
  findNeeded();
  inPlaceOf.assign(stages.size(), -1);
  for (Kernel &k : kernels)
    shareMemory(k);
  return success();
}

} // namespace attnc::totile
