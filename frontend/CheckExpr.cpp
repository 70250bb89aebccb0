//===- Expressions to nodes -----------------------------------------------===//
#include "frontend/Checker.h"
#include "frontend/Foreign.h"
#include "runtime/Tally.h"
#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>

namespace attnc {

std::string spanText(Span span) {
  if (!span.source)
    return {};
  std::string t(span.source->text().substr(span.begin, span.end - span.begin));
  std::string out;
  for (char c : t)
    if (c == '\n' || c == '\t' || c == ' ') {
      if (!out.empty() && out.back() != ' ')
        out += ' ';
    } else
      out += c;
  return out.size() > 60 ? out.substr(0, 57) + "..." : out;
}

Node *Checker::expr(const ast::Expr *e, Scope *s) {
  // An argument of a function is the caller's expression: one node wherever it is used.
  while (e->kind == ast::ExprKind::Name) {
    auto it = s->names.find(e->text);
    if (it == s->names.end() || it->second.kind != Entity::Thunk)
      break;
    e = it->second.expr;
    s = it->second.exprScope;
  }
  std::vector<Node *> r = exprMulti(e, s);
  if (r.empty())
    return nullptr;
  if (r.size() != 1) {
    error(Msg::A201, e->span, {e->text, counted(r.size(), "result", "results")});
    return nullptr;
  }
  return r[0];
}

std::vector<Node *> Checker::exprMulti(const ast::Expr *e, Scope *s) {
  auto key = std::make_pair(e, s);
  if (auto it = memo_.find(key); it != memo_.end())
    return it->second;
  if (failed_)
    return {};
  if (p_->arena.size() > 2000000) {
    fatal(Msg::A202, e->span);
    return {};
  }
  std::vector<Node *> out;
  if (e->kind == ast::ExprKind::Call)
    out = resolveCall(e, s);
  else if (Node *n = resolve(e, s))
    out = {n};
  memo_[key] = out;
  return out;
}

Node *Checker::axisIndexFrom(const std::vector<AxisId> &leaves, const std::map<AxisId, Node *> &at, Span span) {
  Node *flat = nullptr;
  for (AxisId a : leaves) {
    Node *i;
    if (auto it = at.find(a); it != at.end())
      i = it->second;
    else {
      i = p_->make(Op::Index, Kind::Int, {a}, {}, span);
      i->axis = a;
    }
    flat = flat ? map(Fn::Add, Kind::Int,
                      {map(Fn::Mul, Kind::Int, {flat, extentNode(p_->axes[a].extent, span)}, span), i}, span)
                : i;
  }
  return flat;
}

Node *Checker::axisIndex(const AxisValue &a, Span span) { return axisIndexFrom(a.leaves, {}, span); }

Node *Checker::resolveName(const ast::Expr *e, Scope *s) {
  ast::Name name{e->text, e->span};
  if (auto spec = s->specs.find(e->text); spec != s->specs.end()) {
    AxisValue v;
    if (!axisByName(*s, name, v, true))
      return nullptr;
    return axisIndex(v, e->span);
  }
  auto it = s->names.find(e->text);
  if (it != s->names.end()) {
    Entity &n = it->second;
    switch (n.kind) {
    case Entity::Axis:
      return axisIndex(n.axis, e->span);
    case Entity::Sequence:
      if (!n.extent)
        n.extent = extentSymbol(newSymbol(e->text));
      return extentNode(n.extent, e->span);
    case Entity::Constant:
      return constant(n.constKind, n.real, n.integer, e->span);
    case Entity::Tensor:
      return tensorRef(n.tensor, e->span);
    case Entity::Thunk:
      return expr(e, s);
    }
  }
  Diagnostic &d = error(Msg::A120, e->span, {e->text});
  std::vector<std::string> known = namesInScope(*s, false);
  for (auto &[n, spec] : s->specs)
    known.push_back(n);
  std::string plain = e->text.substr(0, e->text.find('\''));
  std::string near = nearestName(e->text, known);
  if (plain != e->text && std::find(known.begin(), known.end(), plain) != known.end())
    d.withHelp(fmt::format("`{}` needs an equation of its own, or is meant to be `{}`", e->text, plain));
  else if (std::vector<std::string> all = builtinNames(); std::find(all.begin(), all.end(), e->text) != all.end())
    d.withHelp(fmt::format("`{0}` is a function: its arguments stand in parentheses, as in `{0}(x)`", e->text));
  else if (std::string_view other = insteadOfName(e->text); !other.empty())
    d.withHelp(std::string(other));
  else if (!near.empty())
    d.withHelp(near);
  else if (s->fn && top_->names.count(e->text))
    d.note(s->fn->name.span, "a function sees its parameters and its own equations only");
  return nullptr;
}

int Checker::anonymousTensor(const ast::Expr *e, Scope *s) {
  auto key = std::make_pair(e, s);
  if (auto it = anonymous_.find(key); it != anonymous_.end())
    return it->second;
  int id = static_cast<int>(p_->tensors.size());
  Tensor t;
  t.span = e->span;
  p_->tensors.push_back(t);
  TensorInfo info;
  info.expr = e;
  info.scope = s;
  info.anonymous = true;
  info_.push_back(info);
  anonymous_[key] = id;
  return id;
}

void Checker::resolveTensor(int id) {
  if (info_[id].state != TensorInfo::Waiting)
    return;
  if (p_->tensors[id].isInput) {
    info_[id].state = TensorInfo::Done;
    return;
  }
  info_[id].state = TensorInfo::Busy;
  const ast::Expr *e = info_[id].expr;
  Scope *scope = info_[id].scope;
  std::vector<Node *> r;
  // A call may give several results; everything else goes through expr(), which follows function arguments.
  if (info_[id].results > 1)
    r = exprMulti(e, scope);
  else if (Node *n = expr(e, scope))
    r = {n};
  Node *init = info_[id].init ? expr(info_[id].init, scope) : nullptr;
  TensorInfo &info = info_[id];
  info.state = TensorInfo::Done;
  if (info.results > 1 && !r.empty() && static_cast<int>(r.size()) != info.results) {
    if (info.result == 0)
      error(Msg::A203, p_->tensors[id].span,
            {counted(info.results, "name", "names"), counted(r.size(), "result", "results")});
    info.broken = !quiet();
    return;
  }
  Node *body = r.empty() ? nullptr : r[info.result];
  if (!body) {
    info.broken = !quiet();
    return;
  }
  Tensor &t = p_->tensors[id];
  AxisSet axes = body->axes;
  Kind kind = std::max(body->kind, info.declared);
  if (init) {
    axes |= init->axes;
    kind = std::max(kind, init->kind);
  }
  axes |= info.annotation;
  if (info.dirtyRead) { // estimates only grow: smallest sets that satisfy all equations
    axes |= info.axes;
    kind = std::max(kind, info.kind);
  }
  if (axes != info.axes || kind != info.kind) {
    if (info.dirtyRead)
      changed_ = true;
    info.axes = axes;
    info.kind = kind;
  }
  t.axes = axes;
  t.kind = kind;
  t.body = toKind(body, kind);
  t.init = init ? toKind(init, kind) : nullptr;
}

Node *Checker::tensorRef(int id, Span span) {
  resolveTensor(id);
  if (info_[id].broken)
    return nullptr;
  if (info_[id].state == TensorInfo::Busy && !info_[id].dirtyRead) {
    info_[id].dirtyRead = true;
    changed_ = true;
  }
  Node *n = p_->make(Op::Tensor, info_[id].kind, info_[id].axes, {}, span);
  n->tensor = id;
  return n;
}

/// Names of axes written anywhere in an index expression, through functions' arguments.
static void axisNames(const ast::Expr *e, std::vector<ast::Name> &out) {
  if (e->kind == ast::ExprKind::Name)
    out.push_back({e->text, e->span});
  for (const ast::Expr *a : e->args)
    axisNames(a, out);
  for (const ast::Subst &sub : e->substs)
    axisNames(sub.value, out);
}

static bool usesLast(const ast::Expr *e) {
  if (e->kind == ast::ExprKind::Last)
    return true;
  if (e->kind == ast::ExprKind::Read) // an inner `last` belongs to the inner index
    return usesLast(e->args[0]);
  for (const ast::Expr *a : e->args)
    if (usesLast(a))
      return true;
  return false;
}

/// Positions of `operand` along `leaf` that exist, the other leaves of a ragged composite standing at `at`.
Node *Checker::countAlong(const Node *operand, AxisId leaf, const std::map<AxisId, Node *> &at, Span span) {
  Node *extent = extentNode(p_->axes[leaf].extent, span);
  int c = p_->axes[leaf].composite;
  if (c < 0)
    return extent;
  const Composite &comp = p_->composites[c];
  for (AxisId a : comp.leaves)
    if (!operand->axes.contains(a))
      return extent;
  ExtentRef weight = extentConst(1);
  Node *others = nullptr;
  ExtentRef w = extentConst(1);
  for (size_t k = comp.leaves.size(); k-- > 0;) {
    AxisId a = comp.leaves[k];
    if (a == leaf)
      weight = w;
    else {
      Node *i = axisIndexFrom({a}, at, span);
      Node *term = map(Fn::Mul, Kind::Int, {i, extentNode(w, span)}, span);
      others = others ? map(Fn::Add, Kind::Int, {others, term}, span) : term;
    }
    w = extentMake(ExtentOp::Mul, {w, p_->axes[a].extent});
  }
  Node *left = map(Fn::Sub, Kind::Int, {extentNode(comp.length, span), others}, span);
  if (extentAsConst(weight) != std::optional<int64_t>(1))
    left = map(
        Fn::IDiv, Kind::Int,
        {map(Fn::Add, Kind::Int, {left, extentNode(extentMake(ExtentOp::Sub, {weight, extentConst(1)}), span)}, span),
         extentNode(weight, span)},
        span);
  return map(Fn::Min, Kind::Int, {extent, left}, span);
}

/// What is read: reads go to tensors, any other expression becomes an equation without a name. `base` becomes what a
/// function's parameter stands for. Null after an error.
Node *Checker::readSource(const ast::Expr *&base, Scope *s) {
  while (base->kind == ast::ExprKind::Name) {
    auto it = s->names.find(base->text);
    if (it == s->names.end() || it->second.kind != Entity::Thunk)
      break;
    base = it->second.expr;
    s = it->second.exprScope;
  }
  if (base->kind == ast::ExprKind::Name && s->names.count(base->text) && s->names[base->text].kind == Entity::Tensor)
    return tensorRef(s->names[base->text].tensor, base->span);
  Node *direct = expr(base, s);
  if (!direct || direct->op == Op::Tensor)
    return direct;
  return tensorRef(anonymousTensor(base, s), base->span);
}

/// "its axes are a b", or `none`.
std::string Checker::axesText(const Node *x, const std::string &none) const {
  std::string have;
  for (AxisId a : x->axes)
    have += (have.empty() ? "" : " ") + p_->axes[a].name;
  return have.empty() ? none : "its axes are " + have;
}

/// Whether `x` has the axis that `sub.axis` names. False after an error.
bool Checker::namedAxis(const ast::Subst &sub, const Node *x, const ast::Expr *base, Replaced &out) {
  out.found = true;
  for (AxisId a : out.axis.leaves)
    if (!x->axes.contains(a)) {
      out.found = false;
      if (quiet())
        return true;
      error(Msg::A121, sub.axis->span, {p_->axes[a].name, spanText(base->span)})
          .withLabel(axesText(x, "it has no axes"));
      return false;
    }
  return true;
}

/// The one axis of `x` that is written in an index without `:=`. False after an error.
bool Checker::impliedAxis(const ast::Subst &sub, const Node *x, const ast::Expr *base, Scope *s, Replaced &out) {
  auto has = [&](const AxisValue &v) {
    return std::all_of(v.leaves.begin(), v.leaves.end(), [&](AxisId a) { return x->axes.contains(a); });
  };
  std::vector<ast::Name> names;
  axisNames(sub.value, names);
  std::vector<AxisValue> hits;
  std::vector<std::string> hitNames;
  for (const ast::Name &n : names) {
    AxisValue v;
    if (!axisByName(*s, n, v, false) || v.leaves.empty() || !has(v))
      continue;
    if (std::none_of(hits.begin(), hits.end(), [&](const AxisValue &h) { return h.leaves == v.leaves; })) {
      hits.push_back(v);
      hitNames.push_back(n.text);
    }
  }
  // `x[c']` is short for `x[c := c']`.
  if (hits.empty() && sub.value->kind == ast::ExprKind::Name) {
    std::string b = sub.value->text;
    while (hits.empty() && !b.empty() && b.back() == '\'') {
      b.pop_back();
      AxisValue v;
      if (axisByName(*s, {b, sub.value->span}, v, false) && has(v))
        hits.push_back(v);
    }
  }
  if (hits.size() == 1) {
    out.axis = hits[0];
    out.found = true;
    return true;
  }
  if (quiet())
    return true;
  auto fix = [&](const std::string &axis) {
    return fmt::format("{}[{} := {}]", spanText(base->span), axis, spanText(sub.span));
  };
  if (!hits.empty()) {
    error(Msg::A123, sub.span, {spanText(sub.span), hitNames[0], hitNames[1]}).withHelp(fix(hitNames[0]));
    return false;
  }
  std::vector<std::string> known = namesInScope(*s, false);
  if (sub.value->kind == ast::ExprKind::Name && !s->specs.count(sub.value->text) &&
      std::find(known.begin(), known.end(), sub.value->text) == known.end())
    return false; // that there is no such name is said where it is looked up
  Diagnostic &d = error(Msg::A122, sub.span, {spanText(sub.span), spanText(base->span)});
  d.withLabel(axesText(x, "the operand has no axes"));
  if (!x->axes.empty())
    d.withHelp(fix(p_->axes[*x->axes.begin()].name));
  return false;
}

/// The indices of a read; those with `last` come second, as what is last depends on the others. False after an error.
bool Checker::readIndices(std::vector<Replaced> &items, const Node *x, Scope *s, std::map<AxisId, Node *> &at) {
  bool ok = true;
  Node *saved = last_;
  for (bool last : {false, true})
    for (Replaced &it : items) {
      const ast::Expr *value = it.sub->value;
      if (usesLast(value) != last)
        continue;
      last_ = nullptr;
      if (last) {
        if (!it.found)
          continue;
        Node *count = it.axis.leaves.size() == 1 ? countAlong(x, it.axis.leaves[0], at, it.sub->span)
                                                 : extentNode(it.axis.length, it.sub->span);
        last_ = map(Fn::Sub, Kind::Int, {count, intConst(1, it.sub->span)}, it.sub->span);
      }
      it.index = expr(value, s);
      if (!it.index) {
        ok = false;
        continue;
      }
      if (it.index->kind != Kind::Int && !quiet()) {
        error(it.index->kind == Kind::Bool ? Msg::A124 : Msg::A125, value->span, {spanText(value->span)})
            .withHelp(fmt::format("i64({})", spanText(value->span)));
        ok = false;
      }
      if (it.found && it.axis.leaves.size() == 1)
        at[it.axis.leaves[0]] = it.index;
    }
  last_ = saved;
  return ok;
}

/// How many positions there are along what is replaced, the others standing at `at`.
Node *Checker::readBound(const Replaced &it, const Node *x, std::map<AxisId, Node *> at) {
  Span span = it.sub->span;
  if (it.axis.leaves.size() > 1)
    return extentNode(it.axis.length, span);
  // Of the replaced leaves of a ragged composite the innermost answers for all of them.
  AxisId leaf = it.axis.leaves[0];
  bool after = false;
  if (int c = p_->axes[leaf].composite; c >= 0)
    for (AxisId a : p_->composites[c].leaves) {
      if (after && at.count(a))
        return extentNode(p_->axes[leaf].extent, span);
      after |= a == leaf;
    }
  at.erase(leaf);
  return countAlong(x, leaf, at, span);
}

Node *Checker::resolveRead(const ast::Expr *e, Scope *s) {
  const ast::Expr *base = e->args[0];
  Node *x = readSource(base, s);
  if (!x)
    return nullptr;
  std::vector<Replaced> items;
  bool ok = true;
  for (const ast::Subst &sub : e->substs) {
    Replaced it;
    it.sub = &sub;
    if (sub.axis && !axisOfRef(*s, *sub.axis, it.axis)) {
      ok = false;
      continue;
    }
    ok &= sub.axis ? namedAxis(sub, x, base, it) : impliedAxis(sub, x, base, s, it);
    items.push_back(it);
  }
  std::map<AxisId, Node *> at;
  ok &= readIndices(items, x, s, at);
  if (!ok)
    return nullptr;
  AxisSet replaced, axes;
  for (Replaced &it : items) {
    if (it.index)
      axes |= it.index->axes;
    if (it.found)
      for (AxisId a : it.axis.leaves) {
        if (replaced.contains(a) && !quiet()) {
          error(Msg::A126, it.sub->span, {p_->axes[a].name});
          return nullptr;
        }
        replaced.insert(a);
      }
  }
  axes |= x->axes - replaced;
  Node *n = p_->make(Op::Read, x->kind, axes, {x}, e->span);
  for (Replaced &it : items) {
    if (!it.found || !it.index)
      continue;
    ReadItem r;
    r.leaves = it.axis.leaves;
    r.index = it.index;
    r.last = it.sub->value->kind == ast::ExprKind::Last;
    r.bound = readBound(it, x, at);
    n->reads.push_back(r);
  }
  return n;
}

Node *Checker::resolveBinary(const ast::Expr *e, Scope *s) {
  Node *a = expr(e->args[0], s);
  if (e->bin == ast::BinOp::And || e->bin == ast::BinOp::Or) {
    Node *b = expr(e->args[1], s);
    if (!a || !b)
      return nullptr;
    return map(e->bin == ast::BinOp::And ? Fn::And : Fn::Or, Kind::Bool, {toKind(a, Kind::Bool), toKind(b, Kind::Bool)},
               e->span);
  }
  Node *b = expr(e->args[1], s);
  if (!a || !b)
    return nullptr;
  auto number = [&](Node *n) { return n->kind == Kind::Bool ? toKind(n, Kind::Int) : n; };
  a = number(a);
  b = number(b);
  if (e->bin == ast::BinOp::Div)
    return map(Fn::Div, Kind::Real, {toKind(a, Kind::Real), toKind(b, Kind::Real)}, e->span);
  if (e->bin == ast::BinOp::Pow) {
    if (a->kind == Kind::Int && b->op == Op::Const && b->kind == Kind::Int && b->integer >= 0)
      return map(Fn::IPow, Kind::Int, {a, b}, e->span);
    return map(Fn::Pow, Kind::Real, {toKind(a, Kind::Real), toKind(b, Kind::Real)}, e->span);
  }
  Kind kind = std::max(a->kind, b->kind);
  Fn fn = e->bin == ast::BinOp::Add    ? Fn::Add
          : e->bin == ast::BinOp::Sub  ? Fn::Sub
          : e->bin == ast::BinOp::Mul  ? Fn::Mul
          : e->bin == ast::BinOp::IDiv ? Fn::IDiv
                                       : Fn::Mod;
  return map(fn, kind, {toKind(a, kind), toKind(b, kind)}, e->span);
}

Node *Checker::resolveCompare(const ast::Expr *e, Scope *s) {
  std::vector<Node *> v;
  for (const ast::Expr *x : e->args) {
    Node *n = expr(x, s);
    if (!n)
      return nullptr;
    v.push_back(n);
  }
  Node *all = nullptr;
  for (size_t i = 0; i + 1 < v.size(); ++i) {
    Kind kind = std::max({v[i]->kind, v[i + 1]->kind, Kind::Int});
    static const Fn fns[] = {Fn::Lt, Fn::Le, Fn::Gt, Fn::Ge, Fn::Eq, Fn::Ne};
    Span span = e->span;
    span.begin = e->args[i]->span.begin;
    span.end = e->args[i + 1]->span.end;
    Node *c = map(fns[static_cast<int>(e->cmps[i])], Kind::Bool, {toKind(v[i], kind), toKind(v[i + 1], kind)}, span);
    all = all ? map(Fn::And, Kind::Bool, {all, c}, e->span) : c;
  }
  return all;
}

Node *Checker::resolve(const ast::Expr *e, Scope *s) {
  using K = ast::ExprKind;
  switch (e->kind) {
  case K::Number:
    return e->isReal ? constant(Kind::Real, e->real, 0, e->span) : intConst(e->integer, e->span);
  case K::Bool:
    return constant(Kind::Bool, 0, e->boolean, e->span);
  case K::Inf:
    return constant(Kind::Real, std::numeric_limits<double>::infinity(), 0, e->span);
  case K::Pi:
    return constant(Kind::Real, M_PI, 0, e->span);
  case K::Last:
    if (!last_) {
      error(Msg::A127, e->span);
      return nullptr;
    }
    return last_;
  case K::Name:
    return resolveName(e, s);
  case K::Tuple:
  case K::ExtentOf: {
    if (e->kind == K::ExtentOf && e->axes.names.size() == 1) {
      auto it = s->names.find(e->axes.names[0].text);
      if (it != s->names.end() && it->second.kind == Entity::Sequence) {
        if (!it->second.extent)
          it->second.extent = extentSymbol(newSymbol(e->axes.names[0].text));
        return extentNode(it->second.extent, e->span);
      }
    }
    AxisValue v;
    if (!axisOfRef(*s, e->axes, v))
      return nullptr;
    return e->kind == K::Tuple ? axisIndex(v, e->span) : extentNode(v.length, e->span);
  }
  case K::Neg: {
    Node *a = expr(e->args[0], s);
    if (!a)
      return nullptr;
    a = a->kind == Kind::Bool ? toKind(a, Kind::Int) : a;
    return map(Fn::Neg, a->kind, {a}, e->span);
  }
  case K::Not: {
    Node *a = expr(e->args[0], s);
    return a ? map(Fn::Not, Kind::Bool, {toKind(a, Kind::Bool)}, e->span) : nullptr;
  }
  case K::Binary:
    return resolveBinary(e, s);
  case K::Compare:
    return resolveCompare(e, s);
  case K::Where: {
    Node *x = expr(e->args[0], s);
    Node *c = expr(e->args[1], s);
    if (!x || !c)
      return nullptr;
    c = toKind(c, Kind::Bool);
    if (c->op == Op::Const && c->integer)
      return x;
    if (e->args[1]->kind == K::Compare && e->args[1]->args.size() > 2)
      TALLY("absence: where, a chain of comparisons");
    return p_->make(Op::Where, x->kind, x->axes | c->axes, {x, c}, e->span);
  }
  case K::If: {
    Node *c = expr(e->args[1], s);
    if (!c)
      return nullptr;
    c = toKind(c, Kind::Bool);
    if (auto d = decided(c))
      return expr(*d ? e->args[0] : e->args[2], s);
    Node *a = expr(e->args[0], s);
    Node *b = expr(e->args[2], s);
    if (!a || !b)
      return nullptr;
    Kind kind = std::max(a->kind, b->kind);
    return map(Fn::Select, kind, {c, toKind(a, kind), toKind(b, kind)}, e->span);
  }
  case K::Read:
    return resolveRead(e, s);
  case K::Call:
    break;
  }
  return nullptr;
}

} // namespace attnc
