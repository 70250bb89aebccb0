//===- Building the total graph -------------------------------------------===//
#include "frontend/TotalNodes.h"
#include <algorithm>
#include <fmt/format.h>

namespace attnc {

Node *TotalNodes::intern(Node proto) {
  std::string k =
      fmt::format("{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}", int(proto.op), int(proto.kind), int(proto.fn), int(proto.red),
                  proto.axis, proto.tensor, int(proto.dtype), proto.which, proto.reversed, proto.real, proto.integer);
  if (proto.extent)
    k += "|e" + std::to_string(reinterpret_cast<uintptr_t>(proto.extent.get()));
  for (Node *a : proto.args)
    k += fmt::format(",{}", a->id);
  for (Node *g : proto.guards)
    k += g ? fmt::format(";{}", g->id) : ";-";
  for (auto &g : proto.groups) {
    k += "[";
    for (AxisId a : g)
      k += fmt::format("{} ", a);
  }
  for (AxisId a : proto.newAxes)
    k += fmt::format("<{}", a);
  for (AxisId a : proto.kept)
    k += fmt::format(">{}", a);
  for (const ReadItem &r : proto.reads) {
    k += "@";
    for (AxisId a : r.leaves)
      k += fmt::format("{} ", a);
    k += fmt::format(":{}", r.index->id);
  }
  auto it = interned_.find(k);
  if (it != interned_.end())
    return it->second;
  Node *n = p_.make(proto.op, proto.kind, proto.axes, proto.args, proto.span);
  unsigned id = n->id;
  *n = std::move(proto);
  n->id = id;
  interned_[k] = n;
  return n;
}

Node *TotalNodes::literal(Kind kind, int64_t v, Span s) {
  Node n{};
  n.op = Op::Const;
  n.kind = kind;
  n.integer = v;
  n.span = s;
  return intern(n);
}

Node *TotalNodes::index(AxisId a, Span s) {
  Node n{};
  n.op = Op::Index;
  n.kind = Kind::Int;
  n.axis = a;
  n.axes = {a};
  n.span = s;
  return intern(n);
}

Node *TotalNodes::extent(const ExtentRef &e, Span s) {
  if (auto c = extentAsConst(e))
    return integer(*c, s);
  Node n{};
  n.op = Op::Extent;
  n.kind = Kind::Int;
  n.extent = e;
  n.span = s;
  return intern(n);
}

Node *TotalNodes::map(Fn fn, Kind kind, std::vector<Node *> args, Span s, DType dtype) {
  if (fn == Fn::And || fn == Fn::Or) {
    bool neutral = fn == Fn::And;
    for (int k = 0; k < 2; ++k) {
      if (neutral ? isTrue(args[k]) : isFalse(args[k]))
        return args[1 - k];
      if (neutral ? isFalse(args[k]) : isTrue(args[k]))
        return args[k];
    }
    if (args[0] == args[1])
      return args[0];
  }
  if (fn == Fn::Not) {
    if (args[0]->op == Op::Const)
      return boolean(!args[0]->integer, s);
    if (args[0]->op == Op::Map && args[0]->fn == Fn::Not)
      return args[0]->args[0];
  }
  Node n{};
  n.op = Op::Map;
  n.fn = fn;
  n.kind = kind;
  n.dtype = dtype;
  n.span = s;
  for (Node *a : args)
    n.axes |= a->axes;
  n.args = std::move(args);
  return intern(n);
}

Node *TotalNodes::broadcast(Node *x, const AxisSet &axes) {
  AxisSet missing = axes - x->axes;
  for (AxisId a : missing)
    x = map(Fn::Select, x->kind,
            {map(Fn::Ge, Kind::Bool, {index(a, x->span), integer(0, x->span)}, x->span), x, zero(x->kind, x->span)},
            x->span);
  return x;
}

Node *TotalNodes::productOf(const std::vector<AxisId> &axes, Span s) {
  for (const Composite &c : p_.composites)
    if (c.leaves == axes)
      return extent(c.length, s);
  ExtentRef e = extentConst(1);
  for (AxisId a : axes)
    e = extentMake(ExtentOp::Mul, {e, p_.axes[a].extent});
  return extent(e, s);
}

Node *TotalNodes::flatPosition(const std::vector<AxisId> &axes, Span s) {
  Node *flat = nullptr;
  for (AxisId a : axes)
    flat = flat ? map(Fn::Add, Kind::Int,
                      {map(Fn::Mul, Kind::Int, {flat, extent(p_.axes[a].extent, s)}, s), index(a, s)}, s)
                : index(a, s);
  return flat ? flat : integer(0, s);
}

Node *TotalNodes::leafPosition(Node *flat, const std::vector<AxisId> &leaves, size_t k, Span s) {
  for (size_t i = leaves.size(); --i > k;)
    flat = map(Fn::IDiv, Kind::Int, {flat, extent(p_.axes[leaves[i]].extent, s)}, s);
  return k == 0 ? flat : map(Fn::Mod, Kind::Int, {flat, extent(p_.axes[leaves[k]].extent, s)}, s);
}

Node *TotalNodes::substitute(Node *n, const std::vector<ReadItem> &items, const std::function<Node *(Node *)> &read) {
  std::unordered_map<const Node *, Node *> done;
  return substitute(n, items, read, done);
}

Node *TotalNodes::substitute(Node *n, const std::vector<ReadItem> &items, const std::function<Node *(Node *)> &read,
                             std::unordered_map<const Node *, Node *> &done) {
  bool touched = false;
  for (const ReadItem &r : items)
    for (AxisId a : r.leaves)
      touched |= n->axes.contains(a);
  if (!touched)
    return n;
  if (auto it = done.find(n); it != done.end())
    return it->second;
  Node *out = nullptr;
  if (n->op == Op::Map) {
    std::vector<Node *> args;
    for (Node *a : n->args)
      args.push_back(substitute(a, items, read, done));
    out = map(n->fn, n->kind, args, n->span, n->dtype);
  } else if (n->op == Op::Index) {
    for (const ReadItem &r : items) {
      auto it = std::find(r.leaves.begin(), r.leaves.end(), n->axis);
      if (it != r.leaves.end())
        out = leafPosition(r.index, r.leaves, size_t(it - r.leaves.begin()), n->span);
    }
  } else
    out = read(n);
  return done[n] = out;
}

} // namespace attnc
