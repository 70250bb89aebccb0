//===- Absence into explicit predicates: the rules ------------------------===//
#include "frontend/Presence.h"
#include "frontend/Prove.h"
#include "frontend/TotalNodes.h"
#include "runtime/Tally.h"
#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

namespace attnc {

namespace {

/// A total value and what must hold for it to be there.
struct Value {
  Node *node = nullptr;
  std::vector<Cause> causes;
};

class Totalizer : TotalNodes {
public:
  explicit Totalizer(Program &p) : TotalNodes(p), prover_(p) {
    for (const Requirement &r : p.signature.requirements)
      prover_.assume(r.condition);
  }

  void run() {
    for (Tensor &t : p_.tensors)
      if (t.isInput)
        t.causes = raggedCauses(t.axes, t.span);
    for (int o : p_.order) {
      if (o >= 0) {
        finish(o);
        continue;
      }
      const Cycle &c = p_.cycles[~o];
      // A state is there at every position: until that is checked, its reads take it so.
      for (int t : c.tensors)
        p_.tensors[t].causes = raggedCauses(p_.tensors[t].axes, p_.tensors[t].span);
      for (int t : c.tensors)
        finish(t);
    }
  }

private:
  Prover prover_;
  std::unordered_map<const Node *, bool> always_;
  std::unordered_map<const Node *, Value> memo_;
  std::map<int, bool> derives_;                  // by cycle
  std::map<int, std::vector<Cause>> initCauses_; // of the recurrences that have an init

  // ---- causes ----
  /// True at every position that exists.
  bool always(const Node *pred) {
    auto [it, fresh] = always_.emplace(pred, false);
    if (fresh) {
      std::vector<bool> positive(p_.signature.symbols.size(), false);
      for (AxisId a : pred->axes)
        if (p_.axes[a].extent->op == ExtentOp::Symbol)
          positive[p_.axes[a].extent->symbol] = true;
      prover_.assumePositive(positive);
      it->second = prover_.provable(pred);
    }
    return it->second;
  }
  /// Whether it says anything new.
  bool add(std::vector<Cause> &out, const Cause &c) {
    if (isTrue(c.pred) || (c.ragged < 0 && always(c.pred)))
      return false;
    for (const Cause &o : out)
      if (o.pred == c.pred && o.axes == c.axes)
        return false;
    out.push_back(c);
    return true;
  }
  void add(std::vector<Cause> &out, const std::vector<Cause> &more) {
    for (const Cause &c : more)
      add(out, c);
  }
  Node *present(const std::vector<Cause> &causes, Span s) {
    Node *r = boolean(true, s);
    for (const Cause &c : causes)
      r = map(Fn::And, Kind::Bool, {r, c.pred}, s);
    return r;
  }
  std::vector<Cause> raggedCauses(const AxisSet &axes, Span s) {
    std::vector<Cause> out;
    for (size_t i = 0; i < p_.composites.size(); ++i) {
      const Composite &c = p_.composites[i];
      if (!c.ragged)
        continue;
      AxisSet leaves(c.leaves);
      if (axes.containsAll(leaves) &&
          add(out, Cause{map(Fn::Lt, Kind::Bool, {flatPosition(c.leaves, s), extent(c.length, s)}, s), leaves, s,
                         static_cast<int>(i)}))
        TALLY("absence: past the end of a split sequence");
    }
    return out;
  }

  /// When it is first needed: an init may read what its recurrence has computed before, along other axes.
  Node *initOf(int t) {
    Tensor &tensor = p_.tensors[t];
    if (tensor.init && !tensor.totalInit) {
      Value v = total(tensor.init);
      // An init that may be absent makes the state absent; checkPresence looks at its causes through the tensor.
      initCauses_[t] = v.causes;
      if (!v.causes.empty())
        TALLY("absence: an init");
      tensor.totalInit = v.node;
    }
    return tensor.totalInit;
  }

  void finish(int t) {
    Value v = total(p_.tensors[t].body);
    Tensor &tensor = p_.tensors[t];
    initOf(t);
    tensor.total = broadcast(v.node, tensor.axes);
    std::vector<Cause> causes = v.causes;
    if (auto it = initCauses_.find(t); it != initCauses_.end())
      add(causes, it->second);
    add(causes, raggedCauses(tensor.axes, tensor.span));
    tensor.causes = causes;
  }
  void operandsOfAnd(const Node *c, std::vector<const Node *> &out) {
    if (c->op == Op::Map && c->fn == Fn::And) {
      operandsOfAnd(c->args[0], out);
      operandsOfAnd(c->args[1], out);
      return;
    }
    out.push_back(c);
  }

  const Value &total(const Node *n) {
    auto it = memo_.find(n);
    if (it != memo_.end())
      return it->second;
    Value v = compute(n);
    add(v.causes, raggedCauses(n->axes, n->span));
    return memo_[n] = std::move(v);
  }

  Value compute(const Node *n) {
    Span s = n->span;
    Value out;
    switch (n->op) {
    case Op::Const:
    case Op::Index:
    case Op::Extent: {
      Node c = *n;
      out.node = intern(c);
      return out;
    }
    case Op::Tensor: {
      Node c = *n;
      c.axes = p_.tensors[n->tensor].axes;
      out.node = intern(c);
      out.causes = p_.tensors[n->tensor].causes;
      if (!out.causes.empty())
        TALLY("absence: kept by an equation");
      return out;
    }
    case Op::Where: {
      Value x = total(n->args[0]);
      out.node = x.node;
      out.causes = x.causes;
      std::vector<const Node *> conds;
      operandsOfAnd(n->args[1], conds);
      for (const Node *c : conds) {
        Value v = total(c);
        if (!add(out.causes, Cause{map(Fn::And, Kind::Bool, {v.node, present(v.causes, s)}, s), c->axes, c->span, -1}))
          continue;
        if (conds.size() > 1)
          TALLY("absence: where, one operand of its and");
        else if (c->op == Op::Tensor)
          TALLY("absence: where, a named condition");
        else
          TALLY("absence: where, a single condition");
        if (!v.causes.empty())
          TALLY("absence: where, its condition absent");
      }
      return out;
    }
    case Op::Fill: {
      Value x = total(n->args[0]), y = total(n->args[1]);
      Node *there = present(x.causes, s);
      out.node = isTrue(there) ? x.node : map(Fn::Select, n->kind, {there, x.node, y.node}, s);
      for (const Cause &c : y.causes)
        if (add(out.causes,
                Cause{map(Fn::Or, Kind::Bool, {there, c.pred}, s), c.axes | n->args[0]->axes, c.span, -1, c.why}))
          TALLY("absence: let through by fill");
      return out;
    }
    case Op::Present:
      out.node = present(total(n->args[0]).causes, s);
      if (!isTrue(out.node))
        TALLY("absence: tested by present");
      return out;
    case Op::Map:
      return computeMap(n);
    case Op::Reduce:
      return computeReduce(n);
    case Op::Softmax: {
      Node c = *n;
      c.args.clear();
      c.guards.clear();
      c.axes = {};
      for (size_t i = 0; i < n->args.size(); ++i) {
        Value v = total(n->args[i]);
        Node *guard = present(v.causes, s);
        c.args.push_back(broadcast(v.node, AxisSet(n->groups[i])));
        c.guards.push_back(isTrue(guard) ? nullptr : guard);
        if (c.guards.back())
          TALLY("absence: in a softmax");
      }
      // Every result has the free axes of all operands.
      for (size_t i = 0; i < c.args.size(); ++i) {
        AxisSet a = c.args[i]->axes;
        if (c.guards[i])
          a |= c.guards[i]->axes;
        c.axes |= a - AxisSet(n->groups[i]);
      }
      c.axes |= AxisSet(n->groups[n->which]);
      out.node = intern(c);
      return out;
    }
    case Op::Cum:
    case Op::Rank: {
      Value v = total(n->args[0]);
      Node c = *n;
      Node *guard = present(v.causes, s);
      c.args = {broadcast(v.node, AxisSet(n->groups[0]))};
      c.guards = {isTrue(guard) ? nullptr : guard};
      if (c.guards[0] && n->op == Op::Rank)
        TALLY("absence: in rank");
      else if (c.guards[0])
        TALLY("absence: in a running sum");
      c.axes = c.args[0]->axes | (c.guards[0] ? guard->axes : AxisSet());
      out.node = intern(c);
      if (n->op == Op::Rank) // what is absent has no place
        out.causes = v.causes;
      return out;
    }
    case Op::ArgMax:
    case Op::ArgMin:
    case Op::TopK:
    case Op::ArgSort:
    case Op::Sort:
      return computeSelection(n);
    case Op::Read:
      return computeRead(n);
    case Op::Grad: {
      Value L = total(n->args[0]);
      Node *there = present(L.causes, s);
      if (!isTrue(there))
        TALLY("absence: in the operand of grad");
      Node *l = isTrue(there) ? L.node : map(Fn::Select, Kind::Real, {there, L.node, zero(Kind::Real, s)}, s);
      Node c = *n;
      AxisSet kept(n->kept);
      c.args = {broadcast(l, n->args[0]->axes | kept)};
      c.axes = p_.tensors[n->tensor].axes | kept;
      out.node = intern(c);
      return out;
    }
    case Op::Detach: {
      Value v = total(n->args[0]);
      Node c = *n;
      c.args = {v.node};
      c.axes = v.node->axes;
      out.node = intern(c);
      out.causes = v.causes;
      return out;
    }
    }
    return out;
  }

  /// Positions chosen by value, or the values there: present while there are elements left to choose.
  Value computeSelection(const Node *n) {
    Span s = n->span;
    Value out;
    Value v = total(n->args[0]);
    Node *guard = present(v.causes, s);
    AxisSet need(n->groups[0]);
    Node c = *n;
    c.op = n->op == Op::Sort ? Op::ArgSort : n->op;
    c.kind = Kind::Int;
    c.args = {broadcast(v.node, need)};
    c.guards = {isTrue(guard) ? nullptr : guard};
    if (c.guards[0])
      TALLY("absence: in a selection");
    c.axes = (c.args[0]->axes | (c.guards[0] ? guard->axes : AxisSet())) - need;
    c.axes |= AxisSet(n->newAxes);
    Node *positions = intern(c);
    // How many there are to choose from, where what does not depend on the place lets any be there.
    std::vector<Cause> along, apart;
    for (const Cause &cause : v.causes)
      (cause.pred->axes.intersects(need) ? along : apart).push_back(cause);
    Node *validNumbers = present(along, s);
    if (n->op == Op::TopK && v.node->kind == Kind::Real) {
      // NaN is never chosen.
      Node *number = map(Fn::Eq, Kind::Bool, {v.node, v.node}, s);
      validNumbers = map(Fn::And, Kind::Bool, {validNumbers, number}, s);
    }
    Node k{};
    k.op = Op::Reduce;
    k.red = RedOp::Sum;
    k.kind = Kind::Int;
    k.span = s;
    k.groups = {n->groups[0]};
    k.args = {broadcast(map(Fn::ToInt, Kind::Int, {validNumbers}, s), need)};
    k.guards = {nullptr};
    k.axes = k.args[0]->axes - need;
    Node *count = isTrue(validNumbers) ? productOf(n->groups[0], s) : intern(k);
    Node *place = flatPosition(n->newAxes, s);
    Node *enough = map(Fn::Lt, Kind::Bool, {place, count}, s);
    // Of a short last chunk the first position is there where any is; a proof need not count them.
    bool shortOnly =
        !along.empty() && std::all_of(along.begin(), along.end(), [](const Cause &x) { return x.ragged >= 0; });
    if (n->newAxes.empty() && shortOnly) {
      std::vector<ReadItem> first;
      for (AxisId a : n->groups[0]) {
        first.emplace_back();
        first.back().leaves = {a};
        first.back().index = integer(0, s);
      }
      enough = map(Fn::Or, Kind::Bool, {substitute(validNumbers, first, [](Node *x) { return x; }), enough}, s);
    }
    out.causes.push_back(
        Cause{map(Fn::And, Kind::Bool, {present(apart, s), enough}, s), n->axes, s, -1, Cause::Selection});
    switch (n->op) {
    case Op::TopK:
      TALLY("absence: topk of fewer");
      break;
    case Op::ArgSort:
      TALLY("absence: argsort of fewer");
      break;
    case Op::Sort:
      TALLY("absence: sort of fewer");
      break;
    default:
      TALLY("absence: argmax or argmin of nothing");
    }
    if (n->op == Op::Sort) {
      // The values at those positions; flat positions are taken apart again.
      Node r{};
      r.op = Op::Read;
      r.kind = n->kind;
      r.span = s;
      r.args = {v.node};
      ReadItem item;
      item.leaves = n->groups[0];
      item.index = positions;
      item.bound = productOf(n->groups[0], s);
      r.reads = {item};
      r.axes = (v.node->axes - need) | positions->axes;
      out.node = intern(r);
    } else
      out.node = positions;
    return out;
  }

  Value computeMap(const Node *n) {
    Span s = n->span;
    Value out;
    if (n->fn == Fn::Select) {
      Value c = total(n->args[0]), a = total(n->args[1]), b = total(n->args[2]);
      // An absent condition counts as false.
      Node *cond = map(Fn::And, Kind::Bool, {c.node, present(c.causes, s)}, s);
      if (!c.causes.empty())
        TALLY("absence: if, its condition absent");
      if (cond->op == Op::Const) {
        out = cond->integer ? a : b;
        return out;
      }
      out.node = map(Fn::Select, n->kind, {cond, a.node, b.node}, s);
      Node *no = map(Fn::Not, Kind::Bool, {cond}, s);
      // What an `if` lets through also mentions the axes of its condition.
      const AxisSet &axes = n->args[0]->axes;
      auto on = [](const std::vector<Cause> &causes, const Node *pred) {
        return std::any_of(causes.begin(), causes.end(), [&](const Cause &y) { return y.pred == pred; });
      };
      for (const Cause &x : a.causes) {
        bool either = on(b.causes, x.pred);
        Node *pred = either ? x.pred : map(Fn::Or, Kind::Bool, {no, x.pred}, s);
        if (!add(out.causes, Cause{pred, x.axes | axes, x.span, -1, x.why}))
          continue;
        if (either)
          TALLY("absence: let through by if, on both sides");
        else
          TALLY("absence: let through by if, where it holds");
      }
      for (const Cause &x : b.causes)
        if (!on(a.causes, x.pred) &&
            add(out.causes, Cause{map(Fn::Or, Kind::Bool, {cond, x.pred}, s), x.axes | axes, x.span, -1, x.why}))
          TALLY("absence: let through by if, where it does not hold");
      return out;
    }
    std::vector<Node *> args;
    std::vector<Value> values;
    for (const Node *a : n->args) {
      values.push_back(total(a));
      args.push_back(values.back().node);
    }
    out.node = map(n->fn, n->kind, args, s, n->dtype);
    if (n->fn == Fn::And || n->fn == Fn::Or) {
      // Kleene: an absent operand does not matter where the other one decides.
      for (int k = 0; k < 2; ++k) {
        const Value &other = values[1 - k];
        Node *value = n->fn == Fn::And ? map(Fn::Not, Kind::Bool, {other.node}, s) : other.node;
        Node *decides = map(Fn::And, Kind::Bool, {value, present(other.causes, s)}, s);
        for (const Cause &c : values[k].causes) {
          Cause left{map(Fn::Or, Kind::Bool, {decides, c.pred}, s), c.axes | n->args[1 - k]->axes, c.span, -1, c.why};
          if (!add(out.causes, left))
            continue;
          if (n->fn == Fn::And)
            TALLY("absence: let through by and");
          else
            TALLY("absence: let through by or");
        }
      }
      // The value must not depend on what an absent operand holds.
      if (!values[0].causes.empty() || !values[1].causes.empty()) {
        std::vector<Node *> safe;
        for (const Value &v : values) {
          Node *there = present(v.causes, s);
          safe.push_back(n->fn == Fn::And ? map(Fn::Or, Kind::Bool, {map(Fn::Not, Kind::Bool, {there}, s), v.node}, s)
                                          : map(Fn::And, Kind::Bool, {there, v.node}, s));
        }
        out.node = map(n->fn, Kind::Bool, safe, s);
      }
      return out;
    }
    for (const Value &v : values)
      add(out.causes, v.causes);
    return out;
  }

  Value computeReduce(const Node *n) {
    Span s = n->span;
    Value out;
    bool isUnion = n->args.size() > 1 || n->groups[0].empty();
    Node c = *n;
    c.args.clear();
    c.guards.clear();
    c.axes = {};
    for (size_t i = 0; i < n->args.size(); ++i) {
      Value v = total(n->args[i]);
      AxisSet over(n->groups[i]);
      Node *guard = boolean(true, s);
      for (const Cause &cause : v.causes) {
        if (isUnion || cause.axes.intersects(over)) {
          guard = map(Fn::And, Kind::Bool, {guard, cause.pred}, s);
          if (isUnion)
            TALLY("absence: skipped by a union");
          else
            TALLY("absence: skipped by a reduction");
        } else if (add(out.causes, cause)) {
          TALLY("absence: none of the reduced axes, stays");
        }
      }
      c.args.push_back(broadcast(v.node, over));
      c.guards.push_back(isTrue(guard) ? nullptr : guard);
      AxisSet axes = c.args.back()->axes;
      if (c.guards.back())
        axes |= guard->axes;
      c.axes |= axes - over;
    }
    out.node = intern(c);
    return out;
  }

  /// Which kind of read ran out.
  static void tallyIndex(const Node *n, const ReadItem &r) {
    bool isShift = std::any_of(r.leaves.begin(), r.leaves.end(), [&](AxisId a) { return r.index->axes.contains(a); });
    bool inCycle = std::any_of(n->reads.begin(), n->reads.end(), [](const ReadItem &o) { return o.start != 0; });
    if (inCycle && !r.start)
      TALLY("absence: a shift of a recurrence leaves another axis");
    else if (r.leaves.size() > 1)
      TALLY("absence: index ran out, flat position");
    else if (r.index->op == Op::Const)
      TALLY("absence: index ran out, fixed position");
    else if (r.index->op == Op::Index)
      TALLY("absence: index ran out, another axis");
    else if (r.index->op == Op::Tensor)
      TALLY("absence: index ran out, positions from a tensor");
    else if (isShift)
      TALLY("absence: index ran out, shift or reversal");
    else
      TALLY("absence: index ran out, other arithmetic");
  }

  /// Whether an equation of the cycle has a gradient in it.
  bool derives(int cycle) {
    auto [it, fresh] = derives_.emplace(cycle, false);
    if (!fresh)
      return it->second;
    std::vector<const Node *> todo;
    for (int t : p_.cycles[cycle].tensors)
      todo.push_back(p_.tensors[t].body);
    std::unordered_set<const Node *> seen;
    while (!todo.empty()) {
      const Node *n = todo.back();
      todo.pop_back();
      if (!n || !seen.insert(n).second)
        continue;
      if (n->op == Op::Grad)
        return derives_[cycle] = true;
      todo.insert(todo.end(), n->args.begin(), n->args.end());
      for (const ReadItem &r : n->reads)
        todo.push_back(r.index);
    }
    return false;
  }

  Value computeRead(const Node *n) {
    Span s = n->span;
    Value out;
    Value x = total(n->args[0]);
    const Tensor *recurrence = n->args[0]->op == Op::Tensor ? &p_.tensors[n->args[0]->tensor] : nullptr;
    Node *off = boolean(false, s);
    std::vector<ReadItem> items;
    AxisSet replaced;
    AxisSet startAxes;
    std::vector<Cause> causes;
    std::vector<std::pair<const ReadItem *, Cause>> highs;
    for (const ReadItem &r : n->reads) {
      Value i = total(r.index), b = total(r.bound);
      add(causes, i.causes);
      ReadItem item = r;
      item.index = i.node;
      item.bound = b.node;
      items.push_back(item);
      for (AxisId a : r.leaves)
        replaced.insert(a);
      AxisSet axes = r.index->axes | r.bound->axes; // where a chunk is short depends on the chunk
      Node *low = map(Fn::Ge, Kind::Bool, {i.node, integer(0, s)}, s);
      Node *high = map(Fn::Lt, Kind::Bool, {i.node, b.node}, s);
      if (r.last) {
        if (r.start) {
          TALLY("absence: none for the last state, init instead");
          off = map(Fn::Or, Kind::Bool, {off, map(Fn::Not, Kind::Bool, {low}, s)}, s);
        } else if (add(causes, Cause{low, axes, r.index->span, -1, Cause::Index})) {
          TALLY("absence: last of an empty axis");
        }
      } else {
        bool ranOut = false;
        if (r.start < 0)
          off = map(Fn::Or, Kind::Bool, {off, map(Fn::Not, Kind::Bool, {low}, s)}, s);
        else
          ranOut = add(causes, Cause{low, axes, r.index->span, -1, Cause::Index});
        if (r.start > 0)
          off = map(Fn::Or, Kind::Bool, {off, map(Fn::Not, Kind::Bool, {high}, s)}, s);
        else
          highs.push_back({&r, Cause{high, axes, r.index->span, -1, Cause::Index}});
        if (r.start)
          TALLY("absence: none at the start of a recurrence, init instead");
        if (ranOut)
          tallyIndex(n, r);
      }
      if (r.start)
        for (AxisId a : r.leaves)
          startAxes.insert(a);
    }
    for (auto &[r, cause] : highs) {
      if (r->leaves.size() == 1 && p_.axes[r->leaves[0]].composite >= 0 && !isFalse(off)) {
        // A chunk off the start has no length: any place of a whole one reads init there.
        Node *inside = map(Fn::Lt, Kind::Bool, {total(r->index).node, extent(p_.axes[r->leaves[0]].extent, s)}, s);
        Node *whole = always(inside) ? off : map(Fn::And, Kind::Bool, {off, inside}, s);
        cause.pred = map(Fn::Or, Kind::Bool, {whole, cause.pred}, s);
        cause.axes = cause.axes | off->axes;
      }
      if (add(causes, cause))
        tallyIndex(n, *r);
    }
    auto read = [&](Node *base) -> Node * {
      Node r{};
      r.op = Op::Read;
      r.kind = base->kind;
      r.span = s;
      r.args = {base};
      r.axes = base->axes;
      AxisSet added;
      for (const ReadItem &item : items) {
        bool any = false, allOf = true;
        for (AxisId a : item.leaves) {
          any |= base->axes.contains(a);
          allOf &= base->axes.contains(a);
        }
        if (!any)
          continue;
        if (!allOf) {
          // Some leaves only: take the flat position apart for those.
          for (size_t k = item.leaves.size(); k-- > 0;) {
            AxisId a = item.leaves[k];
            if (!base->axes.contains(a))
              continue;
            ReadItem one;
            one.leaves = {a};
            one.index = leafPosition(item.index, item.leaves, k, s);
            one.bound = extent(p_.axes[a].extent, s);
            r.reads.push_back(one);
            r.axes.erase(a);
            added |= one.index->axes;
          }
          continue;
        }
        r.reads.push_back(item);
        for (AxisId a : item.leaves)
          r.axes.erase(a);
        added |= item.index->axes;
      }
      r.axes |= added;
      return r.reads.empty() ? base : intern(r);
    };
    Node *value = read(x.node);
    if (!isFalse(off)) {
      Node *init = recurrence ? initOf(n->args[0]->tensor) : nullptr;
      init = init ? read(init) : zero(n->kind, s);
      value = map(Fn::Select, n->kind, {off, init, value}, s);
    }
    // What a step reads of earlier ones is a constant for the gradients in it.
    bool isShift = std::any_of(n->reads.begin(), n->reads.end(), [](const ReadItem &r) { return r.start && !r.last; });
    if (recurrence && isShift && n->kind == Kind::Real && derives(recurrence->cycle)) {
      Node d{};
      d.op = Op::Detach;
      d.kind = n->kind;
      d.tensor = n->args[0]->tensor;
      d.args = {value};
      d.axes = value->axes;
      d.span = s;
      value = intern(d);
    }
    out.node = broadcast(value, n->axes);
    // Causes of what is read, at the positions where it is read.
    for (const Cause &c : x.causes) {
      if (c.ragged >= 0) {
        bool touched = false;
        for (AxisId a : p_.composites[c.ragged].leaves)
          touched |= replaced.contains(a);
        if (!touched)
          add(causes, c); // past the end there is no init either
        continue;         // else the index check speaks of positions that exist
      }
      Node *pred = substitute(c.pred, items, read);
      if (pred != c.pred)
        TALLY("absence: of what is read, moved with the read");
      AxisSet axes = c.axes;
      for (const ReadItem &r : n->reads)
        for (AxisId a : r.leaves)
          if (c.axes.contains(a)) {
            axes.erase(a);
            axes |= r.index->axes;
          }
      if (!isFalse(off)) {
        pred = map(Fn::Or, Kind::Bool, {off, pred}, s);
        axes |= off->axes;
      }
      add(causes, Cause{pred, axes, c.span, -1, c.why});
    }
    out.causes = causes;
    return out;
  }
};

} // namespace

void totalize(Program &program) {
  for (const Tensor &t : program.tensors)
    if (t.total)
      return;
  Totalizer(program).run();
}

} // namespace attnc
