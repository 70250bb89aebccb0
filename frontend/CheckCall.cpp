//===- Calls: reductions, selections, elementwise functions, fn -----------===//
//
// A `fn` is inlined by giving its body a scope of its own per call: parameters are thunks (the caller's expression in
// the caller's scope), axis parameters are the caller's axes, local equations become equations of the program. So
// nothing is copied, hygiene is lookup, and a recurrence inside a function is an ordinary one.
//===----------------------------------------------------------------------===//
#include "frontend/Checker.h"
#include "frontend/Foreign.h"
#include "runtime/Tally.h"
#include <algorithm>
#include <fmt/format.h>

namespace attnc {

namespace {
struct Elementwise {
  const char *name;
  Fn fn;
  int min, max;
};
const Elementwise kElementwise[] = {
    {"exp", Fn::Exp, 1, 1},
    {"exp2", Fn::Exp2, 1, 1},
    {"expm1", Fn::Expm1, 1, 1},
    {"log", Fn::Log, 1, 1},
    {"log1p", Fn::Log1p, 1, 1},
    {"logaddexp", Fn::LogAddExp, 2, 99},
    {"sqrt", Fn::Sqrt, 1, 1},
    {"rsqrt", Fn::Rsqrt, 1, 1},
    {"abs", Fn::Abs, 1, 1},
    {"sign", Fn::Sign, 1, 1},
    {"floor", Fn::Floor, 1, 1},
    {"ceil", Fn::Ceil, 1, 1},
    {"round", Fn::Round, 1, 1},
    {"min", Fn::Min, 2, 99},
    {"max", Fn::Max, 2, 99},
    {"clamp", Fn::Clamp, 3, 3},
    {"pow", Fn::Pow, 2, 2},
    {"sin", Fn::Sin, 1, 1},
    {"cos", Fn::Cos, 1, 1},
    {"tanh", Fn::Tanh, 1, 1},
    {"sigmoid", Fn::Sigmoid, 1, 1},
    {"logsigmoid", Fn::LogSigmoid, 1, 1},
    {"softplus", Fn::Softplus, 1, 1},
    {"relu", Fn::Relu, 1, 1},
    {"silu", Fn::Silu, 1, 1},
    {"gelu", Fn::Gelu, 1, 1},
    {"gelu_tanh", Fn::GeluTanh, 1, 1},
    {"erf", Fn::Erf, 1, 1},
    {"isfinite", Fn::IsFinite, 1, 1},
    {"ilog2", Fn::Ilog2, 1, 1},
    {"bitand", Fn::BitAnd, 2, 2},
    {"bitor", Fn::BitOr, 2, 2},
    {"bitxor", Fn::BitXor, 2, 2},
    {"shl", Fn::Shl, 2, 2},
    {"shr", Fn::Shr, 2, 2},
};
struct Reduction {
  const char *name;
  RedOp red;
};
const Reduction kReductions[] = {{"sum", RedOp::Sum},  {"mean", RedOp::Mean},   {"prod", RedOp::Prod},
                                 {"max", RedOp::Max},  {"min", RedOp::Min},     {"any", RedOp::Any},
                                 {"all", RedOp::All},  {"count", RedOp::Count}, {"logsumexp", RedOp::LogSumExp},
                                 {"norm", RedOp::Norm}};
const char *const kOthers[] = {"softmax", "cumsum", "cumprod", "cummax", "topk",  "argsort", "sort",   "rank",
                               "argmax",  "argmin", "grad",    "detach", "given", "fill",    "present"};
} // namespace

bool isBuiltin(const std::string &name) {
  for (const Elementwise &e : kElementwise)
    if (name == e.name)
      return true;
  for (const Reduction &r : kReductions)
    if (name == r.name)
      return true;
  for (const char *o : kOthers)
    if (name == o)
      return true;
  return dtypeFromName(name).has_value();
}

std::vector<std::string> builtinNames() {
  std::vector<std::string> out;
  for (const Elementwise &e : kElementwise)
    out.push_back(e.name);
  for (const Reduction &r : kReductions)
    out.push_back(r.name);
  for (const char *o : kOthers)
    out.push_back(o);
  return out;
}

/// Counts a call of a built-in; the first one makes all of them known. Reductions have brackets, unlike their
/// elementwise namesakes.
static void tallyBuiltin(const std::string &name, bool hasBrackets) {
  auto key = [](const std::string &name, bool reduces) { return "builtin: " + name + (reduces ? "[]" : ""); };
  static const bool known = [&] {
    for (const Elementwise &e : kElementwise)
      tally(key(e.name, false), 0);
    for (const Reduction &r : kReductions)
      tally(key(r.name, true), 0);
    for (const char *o : kOthers)
      tally(key(o, false), 0);
    for (const char *d : {"f32", "f16", "bf16", "f64", "i32", "i64", "bool"})
      tally(key(d, false), 0);
    return true;
  }();
  (void)known;
  bool reduces = std::any_of(std::begin(kReductions), std::end(kReductions), [&](auto &r) { return name == r.name; });
  tally(key(name, hasBrackets && reduces), 1);
}

const ast::Fn *Checker::findFn(const std::string &name, int file, int &owner) const {
  for (const ast::Fn &f : spec_.files[file]->fns)
    if (f.name.text == name) {
      owner = file;
      return &f;
    }
  for (int other : spec_.importsOf[file])
    for (const ast::Fn &f : spec_.files[other]->fns)
      if (f.name.text == name) {
        owner = other;
        return &f;
      }
  return nullptr;
}

std::vector<Node *> Checker::resolveCall(const ast::Expr *e, Scope *s) {
  const std::string &name = e->text;
  if (tallying() && isBuiltin(name))
    tallyBuiltin(name, e->hasBrackets);
  auto one = [](Node *n) { return n ? std::vector<Node *>{n} : std::vector<Node *>{}; };
  auto wantArgs = [&](size_t n) {
    if (e->args.size() == n)
      return true;
    error(Msg::A204, e->nameSpan, {name, counted(n, "argument", "arguments"), std::to_string(e->args.size())});
    return false;
  };
  if (e->hasBrackets)
    for (const Reduction &r : kReductions)
      if (name == r.name)
        return callReduction(e, s, r.red);
  if (name == "softmax")
    return callSoftmax(e, s);
  if (name == "cumsum" || name == "cumprod" || name == "cummax")
    return one(callCum(e, s, name == "cumsum" ? RedOp::Sum : name == "cumprod" ? RedOp::Prod : RedOp::Max));
  if (name == "topk")
    return one(callSelection(e, s, Op::TopK));
  if (name == "argsort")
    return one(callSelection(e, s, Op::ArgSort));
  if (name == "sort")
    return one(callSelection(e, s, Op::Sort));
  if (name == "rank")
    return one(callSelection(e, s, Op::Rank));
  if (name == "argmax" || name == "argmin")
    return one(callSelection(e, s, name == "argmax" ? Op::ArgMax : Op::ArgMin));
  if (name == "grad")
    return one(callGrad(e, s));
  int owner = 0;
  const ast::Fn *fn = findFn(name, s->file, owner);
  if (fn && !isBuiltin(name))
    return callFunction(e, s, *fn, owner);
  for (const Reduction &r : kReductions)
    if (name == r.name && !(name == "min" || name == "max")) {
      error(Msg::A205, e->nameSpan, {name})
          .withHelp(fmt::format("{}[j]({})", name, e->args.empty() ? "x" : spanText(e->args[0]->span)));
      return {};
    }
  if (e->hasBrackets && isBuiltin(name)) {
    error(Msg::A206, e->nameSpan, {name});
    return {};
  }
  if (name == "detach" || name == "present") {
    if (!wantArgs(1))
      return {};
    Node *x = expr(e->args[0], s);
    if (!x)
      return {};
    return {p_->make(name == "detach" ? Op::Detach : Op::Present, name == "detach" ? x->kind : Kind::Bool, x->axes, {x},
                     e->span)};
  }
  if (name == "fill") {
    if (!wantArgs(2))
      return {};
    Node *x = expr(e->args[0], s), *y = expr(e->args[1], s);
    if (!x || !y)
      return {};
    Kind kind = std::max(x->kind, y->kind);
    return {p_->make(Op::Fill, kind, x->axes | y->axes, {toKind(x, kind), toKind(y, kind)}, e->span)};
  }
  if (name == "given") {
    if (!wantArgs(1))
      return {};
    const ast::Expr *a = e->args[0];
    Scope *as = s;
    while (a->kind == ast::ExprKind::Name && as->names.count(a->text) && as->names[a->text].kind == Entity::Thunk) {
      const Entity &t = as->names[a->text];
      a = t.expr;
      as = t.exprScope;
    }
    for (const ast::Decl &d : mixer_.inputs)
      if (a->kind == ast::ExprKind::Name && d.name.text == a->text && !as->fn) {
        if (!d.defaultValue) {
          error(Msg::A207, a->span, {a->text}).note(d.name.span, "it has no default");
          return {};
        }
        return {constant(Kind::Bool, 0, !options_.leftOut.count(a->text), e->span)};
      }
    error(Msg::A208, a->span, {spanText(a->span)});
    return {};
  }
  for (const Elementwise &f : kElementwise)
    if (name == f.name)
      return one(callElementwise(e, s, f.fn, f.min, f.max));
  if (auto dtype = dtypeFromName(name)) {
    if (!wantArgs(1))
      return {};
    Node *x = expr(e->args[0], s);
    if (!x)
      return {};
    Kind kind = isFloat(*dtype) ? Kind::Real : *dtype == DType::Bool ? Kind::Bool : Kind::Int;
    double real = 0;
    int64_t integer = 0;
    if (fold(Fn::Cast, kind, {x}, *dtype, real, integer))
      return {constant(kind, real, integer, e->span)};
    Node *n = p_->make(Op::Map, kind, x->axes, {x}, e->span);
    n->fn = Fn::Cast;
    n->dtype = *dtype;
    return {n};
  }
  std::vector<std::string> known = builtinNames();
  for (const ast::Fn &f : spec_.files[s->file]->fns)
    known.push_back(f.name.text);
  for (int other : spec_.importsOf[s->file])
    for (const ast::Fn &f : spec_.files[other]->fns)
      known.push_back(f.name.text);
  Diagnostic *d;
  bool isMixer = false;
  for (const ast::Mixer &m : spec_.files[s->file]->mixers)
    isMixer |= m.name.text == name;
  if (isMixer) {
    error(Msg::A209, e->nameSpan, {name});
    return {};
  }
  d = &error(Msg::A210, e->nameSpan, {name});
  std::string near = nearestName(name, known);
  if (auto it = s->names.find(name); it != s->names.end() && it->second.kind == Entity::Tensor)
    d->withHelp(fmt::format("`{}` is a tensor: an index stands in square brackets, as in `{}[t-1]`", name, name));
  else if (std::string_view other = insteadOfFunction(name); !other.empty())
    d->withHelp(std::string(other));
  else if (!near.empty())
    d->withHelp(near);
  return {};
}

Node *Checker::callElementwise(const ast::Expr *e, Scope *s, Fn fn, int minArgs, int maxArgs) {
  int n = static_cast<int>(e->args.size());
  if (n < minArgs || n > maxArgs) {
    error(
        Msg::A204, e->nameSpan,
        {e->text,
         minArgs == maxArgs ? counted(minArgs, "argument", "arguments") : fmt::format("{} or more arguments", minArgs),
         std::to_string(n)});
    return nullptr;
  }
  std::vector<Node *> args;
  Kind kind = Kind::Bool;
  for (const ast::Expr *a : e->args) {
    Node *x = expr(a, s);
    if (!x)
      return nullptr;
    args.push_back(x);
    kind = std::max(kind, x->kind);
  }
  kind = std::max(kind, Kind::Int);
  auto all = [&](Kind k) {
    for (Node *&a : args)
      a = toKind(a, k);
  };
  switch (fn) {
  case Fn::Min:
  case Fn::Max:
  case Fn::Clamp:
  case Fn::Abs:
  case Fn::Sign:
  case Fn::Relu:
    all(kind);
    if (fn == Fn::Relu && kind == Kind::Int)
      return map(Fn::Max, Kind::Int, {args[0], intConst(0, e->span)}, e->span);
    return map(fn, kind, args, e->span);
  case Fn::Ilog2:
  case Fn::BitAnd:
  case Fn::BitOr:
  case Fn::BitXor:
  case Fn::Shl:
  case Fn::Shr:
    if (kind == Kind::Real) {
      for (size_t i = 0; i < args.size(); ++i)
        if (args[i]->kind == Kind::Real) {
          error(Msg::A211, e->args[i]->span, {e->text}).withHelp(fmt::format("i64({})", spanText(e->args[i]->span)));
          return nullptr;
        }
    }
    all(Kind::Int);
    return map(fn, Kind::Int, args, e->span);
  case Fn::IsFinite:
    all(Kind::Real);
    return map(fn, Kind::Bool, args, e->span);
  default:
    all(Kind::Real);
    return map(fn, Kind::Real, args, e->span);
  }
}

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

std::vector<Node *> Checker::callReduction(const ast::Expr *e, Scope *s, RedOp red) {
  std::vector<std::vector<AxisId>> groups;
  if (!groupsOf(e, s, groups))
    return {};
  if (groups.size() != e->args.size()) {
    error(Msg::A215, e->nameSpan,
          {e->text, counted(groups.size(), "group of axes", "groups of axes"),
           counted(e->args.size(), "operand", "operands")});
    return {};
  }
  std::vector<Node *> args;
  Kind kind = Kind::Bool;
  AxisSet axes;
  for (size_t i = 0; i < e->args.size(); ++i) {
    Node *x = expr(e->args[i], s);
    if (!x)
      return {};
    checkOperandHas(groups[i], x, e, i);
    kind = std::max(kind, x->kind);
    AxisSet rest = x->axes;
    for (AxisId a : groups[i])
      rest.erase(a);
    axes |= rest;
    args.push_back(x);
  }
  // A union's operands may not leave a reduced axis of another one behind by accident; what is free stays free.
  Kind result = kind;
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
    result = Kind::Real;
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
  if (!groupsOf(e, s, groups))
    return {};
  if (groups.size() != e->args.size()) {
    error(Msg::A215, e->nameSpan,
          {e->text, counted(groups.size(), "group of axes", "groups of axes"),
           counted(e->args.size(), "operand", "operands")});
    return {};
  }
  std::vector<Node *> args;
  AxisSet shared;
  for (size_t i = 0; i < e->args.size(); ++i) {
    Node *x = expr(e->args[i], s);
    if (!x)
      return {};
    checkOperandHas(groups[i], x, e, i);
    args.push_back(toKind(x, Kind::Real));
    AxisSet rest = x->axes;
    for (AxisId a : groups[i])
      rest.erase(a);
    shared |= rest;
  }
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

void Checker::fillScope(Scope &inner, const std::vector<ast::Stmt> &body) {
  if (&inner != top_) { // the mixer's own axes and params come before its signature
    for (const ast::Stmt &st : body)
      if (st.kind == ast::StmtKind::Axis)
        for (const ast::DimDecl &d : st.axes) {
          if (d.name && (inner.names.count(d.name->text) || inner.specs.count(d.name->text)))
            error(Msg::A102, d.span, {d.name->text});
          collectDim(inner, d, 2);
        }
    for (const ast::Stmt &st : body) {
      collectMade(inner, st.value);
      collectMade(inner, st.init);
    }
    collectParams(inner, body, false);
  }
  for (const ast::Stmt &st : body) {
    if (st.kind == ast::StmtKind::Require) {
      requireStmts_.push_back(&st);
      requireScopes_.push_back(&inner);
    }
    if (st.kind != ast::StmtKind::Equation)
      continue;
    for (size_t i = 0; i < st.names.size(); ++i) {
      const ast::Name &n = st.names[i];
      auto it = inner.names.find(n.text);
      if (it != inner.names.end() || inner.specs.count(n.text)) {
        error(Msg::A104, n.span, {n.text})
            .note(it != inner.names.end() ? it->second.span : inner.specs[n.text].span, "the other use is here");
        continue;
      }
      Entity ent;
      ent.kind = Entity::Tensor;
      ent.span = n.span;
      ent.tensor = static_cast<int>(p_->tensors.size());
      inner.names[n.text] = ent;
      Tensor t;
      t.name = n.text;
      t.span = n.span;
      p_->tensors.push_back(t);
      TensorInfo info;
      info.expr = st.value;
      info.scope = &inner;
      info.result = static_cast<int>(i);
      info.results = static_cast<int>(st.names.size());
      info.init = st.init;
      if (st.init)
        info.initSpan = st.init->span;
      if (st.hasAnnotation) {
        info.annotated = true;
        for (const ast::DimDecl &d : st.annotation) {
          AxisValue v;
          if (axisOfDim(inner, d, v))
            for (AxisId a : v.leaves)
              info.annotation.insert(a);
        }
      }
      info_.push_back(info);
    }
  }
}

std::vector<Node *> Checker::callFunction(const ast::Expr *e, Scope *s, const ast::Fn &fn, int file) {
  auto key = std::make_pair(e, s);
  Scope *inner = nullptr;
  if (auto it = instances_.find(key); it != instances_.end())
    inner = it->second;
  else {
    for (Scope *up = s; up; up = up->caller)
      if (up->fn == &fn) {
        fatal(Msg::A501, e->nameSpan, {fn.name.text}).note(fn.name.span, "defined here");
        return {};
      }
    if (s->depth > 200 || scopes_.size() > 20000) {
      fatal(Msg::A202, e->span);
      return {};
    }
    std::vector<const ast::AxisArg *> axisArgs;
    for (const auto &g : e->groups)
      for (const ast::AxisArg &a : g)
        axisArgs.push_back(&a);
    if (axisArgs.size() != fn.axes.size() || e->groups.size() > 1) {
      error(Msg::A221, e->nameSpan,
            {fn.name.text, counted(fn.axes.size(), "axis", "axes"), std::to_string(axisArgs.size())})
          .note(fn.name.span, "defined here");
      return {};
    }
    if (e->args.size() != fn.params.size()) {
      error(Msg::A204, e->nameSpan,
            {fn.name.text, counted(fn.params.size(), "argument", "arguments"), std::to_string(e->args.size())})
          .note(fn.name.span, "defined here");
      return {};
    }
    scopes_.emplace_back();
    inner = &scopes_.back();
    inner->file = file;
    inner->fn = &fn;
    inner->caller = s;
    inner->depth = s->depth + 1;
    for (size_t i = 0; i < axisArgs.size(); ++i) {
      const ast::AxisArg &a = *axisArgs[i];
      if (a.kind != ast::AxisArg::Dim || a.dim.extent) {
        error(Msg::A213, a.span, {fn.name.text});
        return {};
      }
      Entity ent;
      ent.kind = Entity::Axis;
      ent.span = fn.axes[i].span;
      if (!axisOfDim(*s, a.dim, ent.axis))
        return {};
      inner->names[fn.axes[i].text] = ent;
    }
    for (size_t i = 0; i < fn.params.size(); ++i) {
      Entity ent;
      ent.kind = Entity::Thunk;
      ent.span = fn.params[i].span;
      ent.expr = e->args[i];
      ent.exprScope = s;
      if (inner->names.count(fn.params[i].text)) {
        error(Msg::A104, fn.params[i].span, {fn.params[i].text});
        return {};
      }
      inner->names[fn.params[i].text] = ent;
    }
    instances_[key] = inner;
    // Made once, in whichever run comes first: its mistakes are reported at once.
    int quiet = quiet_;
    quiet_ = 0;
    for (const ast::Expr *r : fn.results)
      collectMade(*inner, r);
    fillScope(*inner, fn.body);
    resolveAxes(*inner);
    quiet_ = quiet;
  }
  struct Called {
    std::vector<std::pair<Span, const ast::Fn *>> &calls;
    ~Called() { calls.pop_back(); }
  } called{calls_};
  calls_.emplace_back(e->span, &fn);
  std::vector<Node *> out;
  for (const ast::Expr *r : fn.results) {
    if (fn.results.size() == 1 && r->kind == ast::ExprKind::Call) {
      std::vector<Node *> several = exprMulti(r, inner); // `fn f(x) = g(x)` passes several results on
      out.insert(out.end(), several.begin(), several.end());
      continue;
    }
    Node *n = expr(r, inner);
    if (!n)
      return {};
    out.push_back(n);
  }
  return out;
}

} // namespace attnc
