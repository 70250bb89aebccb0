//===- Calls: what a name in front of parentheses means; functions ---------===//
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
  if (e->hasBrackets)
    for (const Reduction &r : kReductions)
      if (name == r.name)
        return callReduction(e, s, r.red);
  if (name == "softmax")
    return callSoftmax(e, s);
  if (name == "cumsum" || name == "cumprod" || name == "cummax")
    return one(callCum(e, s, name == "cumsum" ? RedOp::Sum : name == "cumprod" ? RedOp::Prod : RedOp::Max));
  static const std::pair<const char *, Op> selections[] = {{"topk", Op::TopK},     {"argsort", Op::ArgSort},
                                                           {"sort", Op::Sort},     {"rank", Op::Rank},
                                                           {"argmax", Op::ArgMax}, {"argmin", Op::ArgMin}};
  for (auto [selection, op] : selections)
    if (name == selection)
      return one(callSelection(e, s, op));
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
  if (name == "detach" || name == "present" || name == "fill")
    return one(callPresence(e, s));
  if (name == "given")
    return one(callGiven(e, s));
  for (const Elementwise &f : kElementwise)
    if (name == f.name)
      return one(callElementwise(e, s, f.fn, f.min, f.max));
  if (auto dtype = dtypeFromName(name))
    return one(callCast(e, s, *dtype));
  unknownFunction(e, s);
  return {};
}

bool Checker::wantArguments(const ast::Expr *e, size_t n) {
  if (e->args.size() == n)
    return true;
  error(Msg::A204, e->nameSpan, {e->text, counted(n, "argument", "arguments"), std::to_string(e->args.size())});
  return false;
}

Node *Checker::callPresence(const ast::Expr *e, Scope *s) {
  bool isFill = e->text == "fill";
  if (!wantArguments(e, isFill ? 2 : 1))
    return nullptr;
  Node *x = expr(e->args[0], s), *y = isFill ? expr(e->args[1], s) : nullptr;
  if (!x || (isFill && !y))
    return nullptr;
  if (e->text == "detach")
    return p_->make(Op::Detach, x->kind, x->axes, {x}, e->span);
  if (e->text == "present")
    return p_->make(Op::Present, Kind::Bool, x->axes, {x}, e->span);
  Kind kind = std::max(x->kind, y->kind);
  return p_->make(Op::Fill, kind, x->axes | y->axes, {toKind(x, kind), toKind(y, kind)}, e->span);
}

Node *Checker::callGiven(const ast::Expr *e, Scope *s) {
  if (!wantArguments(e, 1))
    return nullptr;
  const ast::Expr *a = e->args[0];
  Scope *as = s;
  while (a->kind == ast::ExprKind::Name && as->names.count(a->text) && as->names[a->text].kind == Entity::Thunk) {
    const Entity &t = as->names[a->text];
    a = t.expr;
    as = t.exprScope;
  }
  for (const ast::Decl &d : mixer_.inputs)
    if (a->kind == ast::ExprKind::Name && d.name.text == a->text && !as->fn) {
      if (d.defaultValue)
        return constant(Kind::Bool, 0, !options_.leftOut.count(a->text), e->span);
      error(Msg::A207, a->span, {a->text}).note(d.name.span, "it has no default");
      return nullptr;
    }
  error(Msg::A208, a->span, {spanText(a->span)});
  return nullptr;
}

Node *Checker::callCast(const ast::Expr *e, Scope *s, DType dtype) {
  if (!wantArguments(e, 1))
    return nullptr;
  Node *x = expr(e->args[0], s);
  if (!x)
    return nullptr;
  Kind kind = isFloat(dtype) ? Kind::Real : dtype == DType::Bool ? Kind::Bool : Kind::Int;
  double real = 0;
  int64_t integer = 0;
  if (fold(Fn::Cast, kind, {x}, dtype, real, integer))
    return constant(kind, real, integer, e->span);
  Node *n = p_->make(Op::Map, kind, x->axes, {x}, e->span);
  n->fn = Fn::Cast;
  n->dtype = dtype;
  return n;
}

void Checker::unknownFunction(const ast::Expr *e, Scope *s) {
  const std::string &name = e->text;
  for (const ast::Mixer &m : spec_.files[s->file]->mixers)
    if (m.name.text == name) {
      error(Msg::A209, e->nameSpan, {name});
      return;
    }
  std::vector<std::string> known = builtinNames();
  for (const ast::Fn &f : spec_.files[s->file]->fns)
    known.push_back(f.name.text);
  for (int other : spec_.importsOf[s->file])
    for (const ast::Fn &f : spec_.files[other]->fns)
      known.push_back(f.name.text);
  Diagnostic &d = error(Msg::A210, e->nameSpan, {name});
  std::string near = nearestName(name, known);
  if (auto it = s->names.find(name); it != s->names.end() && it->second.kind == Entity::Tensor)
    d.withHelp(fmt::format("`{}` is a tensor: an index stands in square brackets, as in `{}[t-1]`", name, name));
  else if (std::string_view other = insteadOfFunction(name); !other.empty())
    d.withHelp(std::string(other));
  else if (!near.empty())
    d.withHelp(near);
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
    collectFunctionBody(*inner, fn.body);
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
