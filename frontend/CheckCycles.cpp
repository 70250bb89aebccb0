//===- Recurrences: which equations form one, and in which order it runs --===//
//
// Tensors that read each other form a cycle (a strongly connected component). It is legal when there are loops, each an
// axis with a direction, such that every read goes to an earlier position. Loops are added from the outside in, only
// while the reads that are not yet strictly earlier still form a circle; a flat shift over (n u) is settled once n and
// then u are loops.
//===----------------------------------------------------------------------===//
#include "frontend/Checker.h"
#include "frontend/Prove.h"
#include "runtime/Components.h"
#include <algorithm>
#include <fmt/format.h>
#include <optional>
#include <set>

namespace attnc {

namespace {
/// `from` reads `to`; `read` null: at its own position. `bound`: axes that a reduction or the like runs over at that
/// place. `shift`: the read stands in the init that this read of `from` falls back to.
struct Edge {
  int from, to;
  const Node *read;
  AxisSet bound;
  Span span;
  std::set<AxisId> settled = {}; ///< leaves of a flat shift that are loops already
  const Node *shift = nullptr;
  int recurrence = -1; ///< the tensor whose init it is
};

void walk(const Program &p, const Node *n, const AxisSet &bound, int from, std::vector<Edge> &out,
          std::set<std::pair<const Node *, std::vector<AxisId>>> &seen) {
  if (!n)
    return;
  std::vector<AxisId> key(bound.begin(), bound.end());
  if (!seen.insert({n, key}).second)
    return;
  auto with = [&](const std::vector<AxisId> &axes) {
    AxisSet b = bound;
    for (AxisId a : axes)
      b.insert(a);
    return b;
  };
  switch (n->op) {
  case Op::Tensor:
    out.push_back({from, n->tensor, nullptr, bound, n->span});
    return;
  case Op::Read:
    if (n->args[0]->op == Op::Tensor)
      out.push_back({from, n->args[0]->tensor, n, bound, n->span});
    for (const ReadItem &r : n->reads) {
      walk(p, r.index, bound, from, out, seen);
      walk(p, r.bound, bound, from, out, seen);
    }
    return;
  case Op::Grad: {
    AxisSet b = bound | (n->args[0]->axes - p.tensors[n->tensor].axes);
    for (AxisId a : n->kept)
      if (!bound.contains(a))
        b.erase(a);
    out.push_back({from, n->tensor, nullptr, bound, n->span});
    walk(p, n->args[0], b, from, out, seen);
    return;
  }
  default:
    break;
  }
  for (size_t i = 0; i < n->args.size(); ++i) {
    if (n->groups.empty())
      walk(p, n->args[i], bound, from, out, seen);
    else
      walk(p, n->args[i], with(n->groups[std::min(i, n->groups.size() - 1)]), from, out, seen);
  }
}

/// Components of the graph `edges` over `nodes`, in dependency order (what is read comes first).
std::vector<std::vector<int>> componentsOf(const std::vector<int> &nodes, const std::vector<Edge> &edges) {
  std::map<int, std::vector<int>> reads;
  for (const Edge &e : edges)
    reads[e.from].push_back(e.to);
  return components(nodes, [&](int t) { return reads[t]; });
}

bool isCircle(const std::vector<int> &comp, const std::vector<Edge> &edges) {
  if (comp.size() > 1)
    return true;
  for (const Edge &e : edges)
    if (e.from == comp[0] && e.to == comp[0])
      return true;
  return false;
}

enum class Rel { Same, Earlier, Flat, Unknown };

struct Relation {
  Rel rel = Rel::Unknown;
  int dir = 0;
  const ReadItem *item = nullptr;
};

Relation relation(const Program &p, Prover &prover, const Edge &e, AxisId a) {
  const Tensor &from = p.tensors[e.from], &to = p.tensors[e.to];
  if (!from.axes.contains(a) || !to.axes.contains(a) || e.bound.contains(a))
    return {};
  if (e.shift) // an init is read at the place of the shift
    for (const ReadItem &r : e.shift->reads)
      if (std::find(r.leaves.begin(), r.leaves.end(), a) != r.leaves.end())
        return {};
  if (e.read)
    for (const ReadItem &r : e.read->reads) {
      if (std::find(r.leaves.begin(), r.leaves.end(), a) == r.leaves.end())
        continue;
      Poly here;
      for (AxisId l : r.leaves)
        here = Prover::add(prover.mul(here, prover.poly(p.axes[l].extent)), prover.indexPoly(l));
      Poly d = Prover::add(prover.poly(r.index), here, -1);
      Rel rel = r.leaves.size() > 1 ? Rel::Flat : Rel::Earlier;
      if (d.empty())
        return {Rel::Same, 0, &r};
      if (prover.nonNegative(Prover::add(Prover::add({}, d, -1), Prover::constant(-1))))
        return {rel, 1, &r};
      if (prover.nonNegative(Prover::add(d, Prover::constant(-1))))
        return {rel, -1, &r};
      return {};
    }
  return {Rel::Same, 0, nullptr};
}
/// What the members read of each other.
std::vector<Edge> edgesAmong(const Program &p, const std::vector<int> &members) {
  std::set<int> in(members.begin(), members.end());
  auto readsOf = [&](int t, const Node *expr) {
    std::set<std::pair<const Node *, std::vector<AxisId>>> seen;
    std::vector<Edge> all, inside;
    walk(p, expr, {}, t, all, seen);
    std::copy_if(all.begin(), all.end(), std::back_inserter(inside), [&](const Edge &e) { return in.count(e.to) > 0; });
    return inside;
  };
  std::vector<Edge> edges;
  for (int t : members)
    for (const Edge &e : readsOf(t, p.tensors[t].body))
      edges.push_back(e);
  // Who reads a state through a shift reads its init too, and what that reads.
  std::set<std::pair<int, const Node *>> told;
  for (size_t k = 0; k < edges.size(); ++k) {
    const Edge by = edges[k];
    if (!by.read || !p.tensors[by.to].init || !told.insert({by.from, by.read}).second)
      continue;
    for (Edge e : readsOf(by.from, p.tensors[by.to].init)) {
      e.shift = by.read;
      e.recurrence = by.to;
      e.bound |= by.bound;
      edges.push_back(e);
    }
  }
  return edges;
}

/// A loop and what it makes of every edge.
struct Loop {
  ScanAxis scan{-1, 0};
  int gain = 0;
  std::vector<Relation> relations;
};

/// The loop along `a`: no gain when it would leave an edge the wrong way round, or none in order.
Loop loopAlong(const Program &p, Prover &prover, AxisId a, const std::vector<std::vector<int>> &comps,
               const std::vector<Edge> &edges) {
  // Each circle that is left gets the loop, unless a member is without the axis: then it runs outside the loop.
  // What passes from one circle to another orders neither; one is computed before the other.
  std::vector<bool> has(comps.size(), true);
  std::map<int, size_t> componentOf;
  for (size_t k = 0; k < comps.size(); ++k)
    for (int t : comps[k]) {
      has[k] = has[k] && p.tensors[t].axes.contains(a);
      componentOf[t] = k;
    }
  Loop loop;
  loop.scan.axis = a;
  for (const Edge &e : edges) {
    size_t k = componentOf[e.from];
    Relation r{Rel::Same, 0, nullptr};
    if (has[k] && componentOf[e.to] == k)
      r = relation(p, prover, e, a);
    loop.relations.push_back(r);
    bool ok = r.rel != Rel::Unknown && (!r.dir || !loop.scan.dir || r.dir == loop.scan.dir);
    if (r.rel == Rel::Flat)
      for (AxisId l : r.item->leaves) { // outer leaves first
        if (l == a)
          break;
        ok &= e.settled.count(l) > 0;
      }
    if (!ok)
      return {};
    if (r.dir) {
      loop.scan.dir = r.dir;
      loop.gain += r.rel == Rel::Earlier || r.item->leaves.back() == a ? 2 : 1;
    }
  }
  return loop;
}

/// The edges that are not yet strictly earlier inside the loop.
std::vector<Edge> edgesLeft(std::vector<Edge> edges, const Loop &loop) {
  std::vector<Edge> rest;
  for (size_t k = 0; k < edges.size(); ++k) {
    const Relation &r = loop.relations[k];
    if (r.rel == Rel::Earlier || (r.rel == Rel::Flat && r.item->leaves.back() == loop.scan.axis))
      continue;
    if (r.rel == Rel::Flat)
      edges[k].settled.insert(loop.scan.axis);
    rest.push_back(edges[k]);
  }
  return rest;
}

/// Loops from the outside in, and what is left inside them: a circle, or an order of the members.
struct Nest {
  std::vector<ScanAxis> loops;
  std::vector<Edge> edges; ///< not yet strictly earlier
  std::vector<int> order, circle;
  int gain = 0; ///< of the last loop
};

void close(const std::vector<int> &members, Nest &nest) {
  nest.order.clear();
  nest.circle.clear();
  for (const std::vector<int> &c : componentsOf(members, nest.edges)) {
    if (nest.circle.empty() && isCircle(c, nest.edges))
      nest.circle = c;
    nest.order.push_back(c[0]);
  }
}

/// Puts a loop along `a` inside; false if that orders nothing.
bool extend(const Program &p, Prover &prover, const std::vector<int> &members, AxisId a, Nest &nest) {
  Loop loop = loopAlong(p, prover, a, componentsOf(members, nest.edges), nest.edges);
  if (!loop.gain)
    return false;
  nest.loops.push_back(loop.scan);
  nest.edges = edgesLeft(std::move(nest.edges), loop);
  nest.gain = loop.gain;
  close(members, nest);
  return true;
}

/// The nest that a cycle needs. One loop where one is enough: what leaves an axis that is none of the loops' is absent,
/// and would be read from init else. If one is not enough, whatever orders most goes outside, and a loop that the ones
/// inside it make needless goes.
Nest fewestLoops(const Program &p, Prover &prover, const std::vector<int> &members, const std::vector<Edge> &edges,
                 const std::vector<AxisId> &candidates) {
  Nest none;
  none.edges = edges;
  close(members, none);
  Nest nest = none;
  std::vector<AxisId> unused = candidates;
  while (!nest.circle.empty()) {
    std::optional<Nest> best;
    for (AxisId a : unused) {
      Nest next = nest;
      if (!extend(p, prover, members, a, next))
        continue;
      if (next.circle.empty()) { // enough; of several such axes the one shifted first in the text
        best = std::move(next);
        break;
      }
      if (!best || next.gain > best->gain)
        best = std::move(next);
    }
    if (!best)
      return nest;
    nest = std::move(*best);
    unused.erase(std::find(unused.begin(), unused.end(), nest.loops.back().axis));
  }
  for (size_t without = 0; without + 1 < nest.loops.size();) {
    Nest fewer = none;
    bool ok = true;
    for (size_t k = 0; k < nest.loops.size() && ok; ++k)
      ok = k == without || extend(p, prover, members, nest.loops[k].axis, fewer);
    if (ok && fewer.circle.empty())
      nest = std::move(fewer);
    else
      ++without;
  }
  return nest;
}

/// A read of the ring that no axis can order: the one to show. Else any.
const Edge *culprit(const Program &p, Prover &prover, const std::vector<Edge> &ring, const std::vector<AxisId> &axes) {
  for (const Edge &e : ring) {
    auto orders = [&](AxisId a) { return relation(p, prover, e, a).dir != 0; };
    if (e.read && std::none_of(axes.begin(), axes.end(), orders))
      return &e;
  }
  return &ring[0];
}

/// The shortest way that begins with `first` and comes back to where it began.
std::vector<int> trailThrough(const Edge &first, const std::vector<Edge> &ring) {
  std::map<int, int> before{{first.to, first.from}};
  std::vector<int> reached{first.to};
  for (size_t k = 0; k < reached.size(); ++k)
    for (const Edge &e : ring)
      if (e.from == reached[k] && before.insert({e.to, e.from}).second)
        reached.push_back(e.to);
  std::vector<int> trail{first.from};
  for (int t = first.from; t != first.to; trail.push_back(t))
    t = before[t];
  trail.push_back(first.from);
  std::reverse(trail.begin(), trail.end());
  return trail;
}
} // namespace

void Checker::resolveAliases() {
  std::vector<int> alias(p_->tensors.size());
  for (size_t i = 0; i < alias.size(); ++i) {
    const Tensor &t = p_->tensors[i];
    alias[i] = !t.isInput && t.body && t.body->op == Op::Tensor && !t.init && t.axes == t.body->axes
                   ? t.body->tensor
                   : static_cast<int>(i);
  }
  auto target = [&](int i) {
    for (size_t steps = 0; alias[i] != i && steps < alias.size(); ++steps)
      i = alias[i];
    return i;
  };
  for (size_t i = 0; i < alias.size(); ++i)
    if (int t = target(static_cast<int>(i)); alias[t] != t) // y = y, or a ring of names
      alias[i] = static_cast<int>(i);
  for (Node &n : p_->arena)
    if (n.tensor >= 0 && (n.op == Op::Tensor || n.op == Op::Grad))
      n.tensor = target(n.tensor);
}

bool Checker::orderCycle(const std::vector<int> &members, Cycle &cycle) {
  Prover prover(*p_);
  prover.assumePositive(std::vector<bool>(p_->signature.symbols.size(), true));
  std::vector<Edge> edges = edgesAmong(*p_, members);
  // In the order of the text, whatever the order of the equations' numbers.
  std::vector<const Node *> reads;
  for (const Edge &e : edges)
    if (e.read)
      reads.push_back(e.read);
  std::stable_sort(reads.begin(), reads.end(),
                   [](const Node *a, const Node *b) { return a->span.begin < b->span.begin; });
  std::vector<AxisId> candidates;
  for (const Node *read : reads)
    for (const ReadItem &r : read->reads)
      for (AxisId a : r.leaves)
        if (std::find(candidates.begin(), candidates.end(), a) == candidates.end())
          candidates.push_back(a);
  Nest nest = fewestLoops(*p_, prover, members, edges, candidates);
  if (nest.circle.empty()) {
    cycle.loops = nest.loops;
    cycle.tensors = nest.order;
    return true;
  }
  std::set<int> in(nest.circle.begin(), nest.circle.end());
  for (const Edge &e : nest.edges)
    if (e.shift && in.count(e.from) && in.count(e.to)) {
      error(Msg::A302, e.span, {p_->tensors[e.recurrence].name}).note(p_->tensors[e.recurrence].span, "the recurrence");
      return false;
    }
  std::vector<Edge> ring;
  std::copy_if(nest.edges.begin(), nest.edges.end(), std::back_inserter(ring),
               [&](const Edge &e) { return in.count(e.from) && in.count(e.to); });
  const Edge *first = culprit(*p_, prover, ring, candidates);
  reportCircle(trailThrough(*first, ring), first->span, candidates);
  return false;
}

/// `trail` reads its next member each, `span` being the first read.
void Checker::reportCircle(const std::vector<int> &trail, Span span, const std::vector<AxisId> &candidates) {
  auto label = [&](int t) { return p_->tensors[t].name.empty() ? spanText(p_->tensors[t].span) : p_->tensors[t].name; };
  std::string path;
  for (size_t k = 0; k < trail.size() && k < 8; ++k) {
    path += (k ? " -> " : "") + label(trail[k]);
    if (k && trail[k] == trail[0])
      break;
  }
  Diagnostic &d = error(Msg::A301, span, {path});
  d.note(p_->tensors[trail[0]].span, "the equation");
  int to = trail.size() > 1 ? trail[1] : trail[0];
  // Without a shift anywhere, the axis is a guess: tensors are mostly written [batch, sequence, features].
  std::vector<AxisId> axes(p_->tensors[to].axes.begin(), p_->tensors[to].axes.end());
  std::sort(axes.begin(), axes.end(),
            [&](AxisId a, AxisId b) { return p_->axes[a].span.begin < p_->axes[b].span.begin; });
  if (!axes.empty()) {
    AxisId axis = !candidates.empty() ? candidates[0] : axes[axes.size() - std::min<size_t>(2, axes.size())];
    d.withHelp(fmt::format("{}[{}-1]", label(to), p_->axes[axis].name));
  }
}

bool Checker::findCycles() {
  std::vector<int> all;
  std::vector<Edge> edges;
  for (size_t t = 0; t < p_->tensors.size(); ++t) {
    all.push_back(static_cast<int>(t));
    std::set<std::pair<const Node *, std::vector<AxisId>>> seen;
    if (p_->tensors[t].isInput)
      continue;
    walk(*p_, p_->tensors[t].body, {}, static_cast<int>(t), edges, seen);
    walk(*p_, p_->tensors[t].init, {}, static_cast<int>(t), edges, seen);
  }
  bool ok = true;
  for (auto &comp : componentsOf(all, edges)) {
    std::vector<Edge> own;
    std::set<int> in(comp.begin(), comp.end());
    for (const Edge &e : edges)
      if (in.count(e.from) && in.count(e.to))
        own.push_back(e);
    if (!isCircle(comp, own)) {
      if (!p_->tensors[comp[0]].isInput)
        p_->order.push_back(comp[0]);
      continue;
    }
    Cycle c;
    if (!orderCycle(comp, c)) {
      ok = false;
      continue;
    }
    int id = static_cast<int>(p_->cycles.size());
    for (int t : c.tensors)
      p_->tensors[t].cycle = id;
    p_->cycles.push_back(c);
    p_->order.push_back(~id);
  }
  return ok;
}

void Checker::markStarts() {
  Prover prover(*p_);
  prover.assumePositive(std::vector<bool>(p_->signature.symbols.size(), true));
  for (Node &n : p_->arena) {
    if (n.op != Op::Read || n.args[0]->op != Op::Tensor)
      continue;
    int id = n.args[0]->tensor;
    const Tensor &t = p_->tensors[id];
    if (t.cycle < 0)
      continue;
    const Cycle &c = p_->cycles[t.cycle];
    auto dirOf = [&](AxisId a) {
      for (const ScanAxis &s : c.loops)
        if (s.axis == a)
          return s.dir;
      return 0;
    };
    for (ReadItem &r : n.reads) {
      int dir = dirOf(r.leaves.back());
      for (AxisId a : r.leaves)
        if (dirOf(a) != dir)
          dir = 0;
      if (!dir)
        continue;
      if (r.last) {
        r.start = -1; // of an empty axis
        info_[id].shifted = true;
        continue;
      }
      Poly here;
      for (AxisId l : r.leaves)
        here = Prover::add(prover.mul(here, prover.poly(p_->axes[l].extent)), prover.indexPoly(l));
      Poly d = Prover::add(prover.poly(r.index), here, -1);
      bool earlier = prover.nonNegative(Prover::add(Prover::add({}, d, -1), Prover::constant(-1)));
      bool later = prover.nonNegative(Prover::add(d, Prover::constant(-1)));
      if (dir > 0 && earlier)
        r.start = -1;
      else if (dir < 0 && later)
        r.start = 1;
      info_[id].shifted = info_[id].shifted || r.start != 0;
    }
  }
  // The axes along which each state is read at an earlier position.
  std::vector<AxisSet> moved(p_->tensors.size());
  for (const Node &n : p_->arena)
    if (n.op == Op::Read && n.args[0]->op == Op::Tensor)
      for (const ReadItem &r : n.reads)
        if (r.start)
          for (AxisId a : r.leaves)
            moved[n.args[0]->tensor].insert(a);
  std::map<const ast::Expr *, bool> used;
  for (size_t i = 0; i < info_.size(); ++i)
    if (info_[i].init)
      used[info_[i].init] = used[info_[i].init] || (info_[i].shifted && p_->tensors[i].cycle >= 0);
  std::set<const ast::Expr *> told;
  for (size_t i = 0; i < info_.size(); ++i) {
    const Tensor &t = p_->tensors[i];
    if (!info_[i].init || !t.body)
      continue;
    if (!used[info_[i].init]) {
      if (told.insert(info_[i].init).second)
        error(Msg::A303, info_[i].init->span, {t.name}).note(t.span, "nothing reads it through a shift");
      continue;
    }
    if (t.cycle >= 0 && t.init)
      for (AxisId a : moved[i])
        if (t.init->axes.contains(a) && told.insert(info_[i].init).second)
          error(Msg::A304, info_[i].init->span, {p_->axes[a].name}).note(t.span, "the recurrence");
  }
}

} // namespace attnc
