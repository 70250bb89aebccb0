//===- Calls over axes: reductions, softmax, scans, selections, grad ------===//
#include "frontend/Checker.h"
#include <algorithm>
#include <fmt/format.h>

namespace attnc {

bool Checker::groupsOf(const ast::Expr *e, Scope *s, std::vector<std::vector<AxisId>> &groups) {
  for (const auto &g : e->groups) {
    std::vector<AxisId> axes;
    for (const ast::AxisArg &a : g) {
      if (a.kind == ast::AxisArg::Single) {
        if (g.size() > 1) {
          error(Msg::A212, a.span);
          return false;
        }
        continue;
      }
      if (a.kind == ast::AxisArg::Reversed) {
        error(Msg::A213, a.span, {e->text});
        return false;
      }
      if (a.dim.extent) {
        error(Msg::A214, a.span, {e->text});
        return false;
      }
      AxisValue v;
      if (!axisOfDim(*s, a.dim, v))
        return false;
      for (AxisId x : v.leaves) {
        if (std::find(axes.begin(), axes.end(), x) != axes.end()) {
          error(Msg::A126, a.span, {p_->axes[x].name});
          return false;
        }
        axes.push_back(x);
      }
    }
    groups.push_back(axes);
  }
  return true;
}

void Checker::checkOperandHas(const std::vector<AxisId> &axes, Node *x, const ast::Expr *call, size_t which) {
  if (quiet())
    return;
  for (AxisId a : axes)
    if (!x->axes.contains(a)) {
      std::string have;
      for (AxisId b : x->axes)
        have += (have.empty() ? "" : " ") + p_->axes[b].name;
      // The caret goes under the axis where it is written.
      Span at = call->nameSpan;
      for (const auto &g : call->groups)
        for (const ast::AxisArg &arg : g)
          if (arg.kind != ast::AxisArg::Single && arg.dim.name && arg.dim.name->text == p_->axes[a].name)
            at = arg.span;
      error(Msg::A130, at, {p_->axes[a].name, call->text})
          .note(call->args[which]->span, have.empty() ? "it has no axes" : "its axes are " + have);
      return;
    }
}

bool Checker::groupsFitOperands(const ast::Expr *e) {
  if (e->groups.size() == e->args.size())
    return true;
  Diagnostic &d = error(Msg::A215, e->nameSpan,
                        {e->text, counted(e->groups.size(), "group of axes", "groups of axes"),
                         counted(e->args.size(), "operand", "operands")});
  std::vector<std::string> groups, operands;
  for (const auto &g : e->groups)
    groups.push_back(g.empty() ? "_" : spanText({g.front().span.source, g.front().span.begin, g.back().span.end}));
  for (const ast::Expr *a : e->args)
    operands.push_back(spanText(a->span));
  std::string help;
  bool single = std::count(groups.begin(), groups.end(), "_") > 0;
  if (operands.size() == 1 && !single) { // its axes are one group
    help = fmt::format("{}[{}]({})", e->text, fmt::join(groups, ", "), operands[0]);
  } else if (e->text == "sum" && groups.size() == 1 && !single && !operands.empty()) { // a product is meant
    for (size_t i = 0; i < operands.size(); ++i)
      if (e->args[i]->kind != ast::ExprKind::Name)
        operands[i] = fmt::format("({})", operands[i]);
    help = fmt::format("sum[{}]({})", groups[0], fmt::join(operands, " * "));
  } else if (groups.size() < operands.size()) { // single values beside the axes
    groups.resize(operands.size(), "_");
    help = fmt::format("{}[{}]({})", e->text, fmt::join(groups, " | "), fmt::join(operands, ", "));
  }
  if (!help.empty() && help.size() <= 80 && help.find('\n') == help.npos)
    d.withHelp(help);
  return false;
}

bool Checker::operandsOf(const ast::Expr *e, Scope *s, std::vector<std::vector<AxisId>> &groups,
                         std::vector<Node *> &operands, AxisSet &free) {
  if (!groupsOf(e, s, groups) || !groupsFitOperands(e))
    return false;
  for (size_t i = 0; i < e->args.size(); ++i) {
    Node *x = expr(e->args[i], s);
    if (!x)
      return false;
    checkOperandHas(groups[i], x, e, i);
    AxisSet rest = x->axes;
    for (AxisId a : groups[i])
      rest.erase(a);
    free |= rest;
    operands.push_back(x);
  }
  return true;
}

std::vector<Node *> Checker::callReduction(const ast::Expr *e, Scope *s, RedOp red) {
  std::vector<std::vector<AxisId>> groups;
  std::vector<Node *> args;
  AxisSet axes;
  if (!operandsOf(e, s, groups, args, axes))
    return {};
  Kind kind = Kind::Bool;
  for (const Node *x : args)
    kind = std::max(kind, x->kind);
  Kind result = Kind::Real;
  switch (red) {
  case RedOp::Sum:
  case RedOp::Prod:
  case RedOp::Max:
  case RedOp::Min:
    result = std::max(kind, Kind::Int);
    break;
  case RedOp::Mean:
  case RedOp::LogSumExp:
  case RedOp::Norm:
    break;
  case RedOp::Any:
  case RedOp::All:
    result = Kind::Bool;
    break;
  case RedOp::Count:
    result = Kind::Int;
    break;
  }
  if (red != RedOp::Count)
    for (Node *&x : args)
      x = toKind(x, result);
  Node *n = p_->make(Op::Reduce, result, axes, args, e->span);
  n->red = red;
  n->groups = groups;
  return {n};
}

std::vector<Node *> Checker::callSoftmax(const ast::Expr *e, Scope *s) {
  if (!e->hasBrackets) {
    error(Msg::A205, e->nameSpan, {e->text})
        .withHelp(fmt::format("softmax[j]({})", e->args.empty() ? "s" : spanText(e->args[0]->span)));
    return {};
  }
  std::vector<std::vector<AxisId>> groups;
  std::vector<Node *> args;
  AxisSet shared;
  if (!operandsOf(e, s, groups, args, shared))
    return {};
  for (Node *&x : args)
    x = toKind(x, Kind::Real);
  std::vector<Node *> out;
  for (size_t i = 0; i < args.size(); ++i) {
    AxisSet axes = shared;
    for (AxisId a : groups[i])
      axes.insert(a);
    Node *n = p_->make(Op::Softmax, Kind::Real, axes, args, e->span);
    n->groups = groups;
    n->which = static_cast<int>(i);
    out.push_back(n);
  }
  return out;
}

Node *Checker::callCum(const ast::Expr *e, Scope *s, RedOp red) {
  if (!e->hasBrackets || e->groups.size() != 1 || e->groups[0].size() != 1 ||
      e->groups[0][0].kind == ast::AxisArg::Single) {
    error(Msg::A216, e->nameSpan, {e->text})
        .withHelp(fmt::format("{}[t]({})", e->text, e->args.empty() ? "x" : spanText(e->args[0]->span)));
    return nullptr;
  }
  if (e->args.size() != 1) {
    error(Msg::A204, e->nameSpan, {e->text, "1 argument", std::to_string(e->args.size())});
    return nullptr;
  }
  const ast::AxisArg &a = e->groups[0][0];
  AxisValue v;
  if (!axisOfDim(*s, a.dim, v))
    return nullptr;
  Node *x = expr(e->args[0], s);
  if (!x)
    return nullptr;
  checkOperandHas(v.leaves, x, e, 0);
  Kind kind = std::max(x->kind, Kind::Int);
  AxisSet axes = x->axes;
  for (AxisId l : v.leaves)
    axes.insert(l);
  Node *n = p_->make(Op::Cum, kind, axes, {toKind(x, kind)}, e->span);
  n->red = red;
  n->groups = {v.leaves};
  n->reversed = a.kind == ast::AxisArg::Reversed;
  return n;
}

Node *Checker::callSelection(const ast::Expr *e, Scope *s, Op op) {
  bool makes = op == Op::TopK || op == Op::ArgSort || op == Op::Sort;
  size_t want = makes ? 2 : 1;
  if (!e->hasBrackets || e->groups.size() != 1 || e->groups[0].size() < want || (makes && e->groups[0].size() != 2)) {
    error(makes ? Msg::A217 : Msg::A205, e->nameSpan, {e->text});
    return nullptr;
  }
  if (e->args.size() != 1) {
    error(Msg::A204, e->nameSpan, {e->text, "1 argument", std::to_string(e->args.size())});
    return nullptr;
  }
  std::vector<AxisId> leaves;
  size_t count = makes ? e->groups[0].size() - 1 : e->groups[0].size();
  for (size_t i = 0; i < count; ++i) {
    const ast::AxisArg &a = e->groups[0][i];
    if (a.kind != ast::AxisArg::Dim) {
      error(Msg::A213, a.span, {e->text});
      return nullptr;
    }
    AxisValue v;
    if (!axisOfDim(*s, a.dim, v))
      return nullptr;
    leaves.insert(leaves.end(), v.leaves.begin(), v.leaves.end());
  }
  Node *x = expr(e->args[0], s);
  if (!x)
    return nullptr;
  checkOperandHas(leaves, x, e, 0);
  if (x->kind == Kind::Bool)
    x = toKind(x, Kind::Int);
  AxisSet axes = x->axes;
  Node *n = p_->make(op, op == Op::Sort ? x->kind : Kind::Int, axes, {x}, e->span);
  n->groups = {leaves};
  if (op == Op::Rank) {
    for (AxisId a : leaves)
      n->axes.insert(a);
    return n;
  }
  for (AxisId a : leaves)
    n->axes.erase(a);
  if (!makes)
    return n;
  const ast::AxisArg &made = e->groups[0].back();
  if (made.kind != ast::AxisArg::Dim) {
    error(Msg::A217, made.span, {e->text});
    return nullptr;
  }
  AxisValue v;
  if (made.dim.parts.empty() || made.dim.name) {
    if (!axisByName(*s, *made.dim.name, v, true))
      return nullptr;
  } else if (!compositeOf(*s, made.dim.parts, made.dim.span, v))
    return nullptr;
  for (AxisId a : v.leaves)
    if (n->axes.contains(a) && !quiet()) {
      error(Msg::A131, made.span, {p_->axes[a].name, e->text});
      return nullptr;
    }
  for (AxisId a : v.leaves)
    n->axes.insert(a);
  n->newAxes = v.leaves;
  return n;
}

Node *Checker::callGrad(const ast::Expr *e, Scope *s) {
  if (e->args.size() != 2) {
    error(Msg::A204, e->nameSpan, {"grad", "2 arguments", std::to_string(e->args.size())});
    return nullptr;
  }
  std::vector<std::vector<AxisId>> groups;
  if (e->hasBrackets && !groupsOf(e, s, groups))
    return nullptr;
  std::vector<AxisId> kept;
  for (auto &g : groups)
    kept.insert(kept.end(), g.begin(), g.end());
  Node *L = expr(e->args[0], s);
  const ast::Expr *we = e->args[1];
  Node *W = expr(we, s);
  if (!L || !W)
    return nullptr;
  if (W->op != Op::Tensor || info_[W->tensor].anonymous) {
    error(Msg::A218, we->span, {spanText(we->span)});
    return nullptr;
  }
  if (!quiet() && W->kind != Kind::Real) {
    error(Msg::A219, we->span, {spanText(we->span)});
    return nullptr;
  }
  if (!quiet() && L->kind != Kind::Real)
    L = toKind(L, Kind::Real);
  checkOperandHas(kept, L, e, 0);
  AxisSet axes = W->axes;
  for (AxisId a : kept) {
    if (!quiet() && W->axes.contains(a)) {
      error(Msg::A220, e->nameSpan, {p_->axes[a].name, spanText(we->span)});
      return nullptr;
    }
    axes.insert(a);
  }
  Node *n = p_->make(Op::Grad, Kind::Real, axes, {L}, e->span);
  n->tensor = W->tensor;
  n->kept = kept;
  return n;
}

} // namespace attnc
