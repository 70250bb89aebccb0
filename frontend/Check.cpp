//===- Checking a mixer, from declarations to ordered equations -----------===//
#include "frontend/Check.h"
#include "frontend/Checker.h"
#include "frontend/Presence.h"
#include "runtime/Bind.h"
#include "runtime/DeepStack.h"
#include "runtime/Tensor.h"
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fmt/format.h>

namespace attnc {

bool isBuiltin(const std::string &name);

Checker::Checker(const Spec &spec, const ast::Mixer &mixer, const CheckOptions &options, Diagnostics &diags)
    : spec_(spec), mixer_(mixer), options_(options), diags_(diags), p_(std::make_unique<Program>()) {}

std::string counted(size_t n, const char *one, const char *many) {
  return fmt::format("{} {}", n, n == 1 ? one : many);
}

std::string Checker::axisList(const AxisSet &axes) const {
  std::string out;
  for (AxisId a : axes)
    out += (out.empty() ? "" : ", ") + p_->axes[a].name;
  return out;
}

std::string Checker::namedAxes(const AxisSet &axes) const {
  return (axes.size() == 1 ? "axis " : "axes ") + axisList(axes);
}

Diagnostic &Checker::error(Msg id, Span at, const std::vector<std::string> &args) {
  if (quiet_ || diags_.full()) {
    scratch_ = Diagnostic{};
    return scratch_;
  }
  // The same place is reached again through other uses of a function or in another run: one mistake, one error.
  for (const Diagnostic &d : diags_.all())
    if (d.id == id && d.span.source == at.source && d.span.begin == at.begin && d.span.end == at.end) {
      scratch_ = Diagnostic{};
      return scratch_;
    }
  Diagnostic &d = diags_.report(id, at, args);
  // A mistake inside a function is often the call's: show that too.
  for (auto &[call, fn] : calls_)
    if (at.source == fn->span.source && at.begin >= fn->span.begin && at.end <= fn->span.end) {
      d.note(call, "in this call");
      break;
    }
  return d;
}

Diagnostic &Checker::fatal(Msg id, Span at, const std::vector<std::string> &args) {
  int quiet = quiet_;
  quiet_ = 0;
  Diagnostic &d = error(id, at, args);
  quiet_ = quiet;
  failed_ = true;
  return d;
}

/// `sum[j](p where j <= i and on)` with on: [h] is absent, not 0, where on is false: often not what was meant.
void Checker::warnMixedConditions() {
  std::function<void(const Node *, std::vector<const Node *> &)> operands = [&](const Node *c,
                                                                                std::vector<const Node *> &out) {
    if (c->op == Op::Map && c->fn == Fn::And) {
      operands(c->args[0], out);
      operands(c->args[1], out);
    } else
      out.push_back(c);
  };
  for (const Node &n : p_->arena) {
    if (n.op != Op::Reduce || n.args.size() != 1 || n.groups[0].empty() || n.args[0]->op != Op::Where)
      continue;
    std::vector<const Node *> conds;
    operands(n.args[0]->args[1], conds);
    AxisSet over;
    for (AxisId a : n.groups[0])
      over.insert(a);
    const Node *with = nullptr, *without = nullptr;
    for (const Node *c : conds)
      (c->axes.intersects(over) ? with : without) = c;
    if (with && without)
      error(Msg::A403, without->span).withHelp(fmt::format("keep = {}", spanText(n.args[0]->args[1]->span)));
  }
}

void Checker::addRequirement(ExtentRef condition, std::string message) {
  p_->signature.requirements.push_back({std::move(condition), std::move(message)});
}

bool Checker::resolveAll() {
  for (int run = 0; run < 60; ++run) {
    changed_ = false;
    memo_.clear();
    p_->arena.clear();
    for (TensorInfo &i : info_)
      i.state = TensorInfo::Waiting;
    ++quiet_;
    for (size_t i = 0; i < info_.size(); ++i)
      resolveTensor(static_cast<int>(i));
    --quiet_;
    if (failed_)
      return false;
    if (!changed_)
      break;
  }
  memo_.clear();
  p_->arena.clear();
  for (TensorInfo &i : info_)
    i.state = TensorInfo::Waiting;
  size_t before = diags_.errorCount();
  for (size_t i = 0; i < info_.size(); ++i)
    resolveTensor(static_cast<int>(i));
  if (diags_.errorCount() != before || failed_)
    return false;
  for (size_t i = 0; i < info_.size(); ++i) {
    Tensor &t = p_->tensors[i];
    if (t.isInput)
      continue;
    if (!t.body) {
      failed_ = true; // said where it went wrong
      return false;
    }
    if (info_[i].annotated && t.axes != info_[i].annotation) {
      AxisSet extra = t.axes - info_[i].annotation;
      error(Msg::A133, t.span,
            {t.name, extra.empty() ? fmt::format("lacks {} of its annotation", namedAxes(info_[i].annotation - t.axes))
                                   : fmt::format("has {}, which its annotation lacks", namedAxes(extra))});
    } else if (info_[i].annotated && !info_[i].dirtyRead) {
      AxisSet missing = info_[i].annotation - (t.body->axes | (t.init ? t.init->axes : AxisSet()));
      if (!missing.empty())
        error(Msg::A133, t.span, {t.name, fmt::format("lacks {} of its annotation", namedAxes(missing))});
    }
  }
  return diags_.errorCount() == before;
}

void Checker::checkDefaults() {
  static const char *const kinds[] = {"bool", "integer", "real"};
  for (const ast::Decl &d : mixer_.inputs) {
    if (!d.defaultValue)
      continue;
    Node *n = expr(d.defaultValue, top_);
    auto it = top_->names.find(d.name.text);
    if (!n || it == top_->names.end())
      continue;
    const Tensor &t = p_->tensors[it->second.tensor];
    Kind declared = !t.dtype || isFloat(*t.dtype) ? Kind::Real : *t.dtype == DType::Bool ? Kind::Bool : Kind::Int;
    AxisSet own;
    for (auto &dim : t.dims)
      for (AxisId a : dim)
        own.insert(a);
    AxisSet extra = n->axes - own;
    std::set<const Node *> seen;
    std::function<const Tensor *(const Node *)> equation = [&](const Node *x) -> const Tensor * {
      if (!x || !seen.insert(x).second)
        return nullptr;
      if (x->op == Op::Tensor && p_->tensors[x->tensor].argument < 0 && !p_->tensors[x->tensor].name.empty())
        return &p_->tensors[x->tensor];
      if (x->op == Op::Tensor && info_[x->tensor].anonymous)
        return equation(p_->tensors[x->tensor].body);
      for (const Node *a : x->args)
        if (const Tensor *e = equation(a))
          return e;
      for (const ReadItem &r : x->reads)
        if (const Tensor *e = equation(r.index))
          return e;
      return nullptr;
    };
    if (const Tensor *e = equation(n))
      error(Msg::A225, d.defaultValue->span, {d.name.text, e->name}).note(e->span, "the equation");
    else if (!extra.empty()) {
      error(Msg::A226, d.defaultValue->span, {d.name.text, axisList(extra)});
    } else if (n->kind > declared)
      error(Msg::A227, d.defaultValue->span, {d.name.text, kinds[int(n->kind)], kinds[int(declared)]});
  }
}

/// The right side of an equation, to paste into a help; "..." when it is long.
static std::string shortText(const Tensor &t) {
  std::string text = t.body ? spanText(t.body->span) : std::string();
  return text.empty() || text.size() > 50 || text.find('\n') != text.npos ? "..." : text;
}

/// `sqrt(d)` or `x / d`, where `d` is an axis: its extent is meant, and the axis is left over.
static const ast::Expr *positionForExtent(const ast::Expr *e, const std::string &axis) {
  if (!e)
    return nullptr;
  auto isAxis = [&](const ast::Expr *x) { return x->kind == ast::ExprKind::Name && x->text == axis; };
  if (e->kind == ast::ExprKind::Call && (e->text == "sqrt" || e->text == "rsqrt") && e->args.size() == 1 &&
      isAxis(e->args[0]))
    return e->args[0];
  if (e->kind == ast::ExprKind::Binary && e->bin == ast::BinOp::Div && isAxis(e->args[1]))
    return e->args[1];
  for (const ast::Expr *a : e->args)
    if (const ast::Expr *found = positionForExtent(a, axis))
      return found;
  return nullptr;
}

void Checker::checkOutputs() {
  for (size_t k = 0; k < p_->outputs.size(); ++k) {
    Output &o = p_->outputs[k];
    const ast::Decl *decl = nullptr;
    for (const ast::Decl &d : mixer_.outputs)
      if (d.name.text == o.name)
        decl = &d;
    auto it = top_->names.find(o.name);
    if (it == top_->names.end() || it->second.kind != Entity::Tensor) {
      error(Msg::A134, decl->name.span, {o.name}).withHelp(fmt::format("{} = ...", o.name));
      continue;
    }
    o.tensor = it->second.tensor;
    const Tensor &t = p_->tensors[o.tensor];
    AxisSet want;
    for (auto &d : o.dims)
      for (AxisId a : d)
        want.insert(a);
    if (AxisSet extra = t.axes - want; !extra.empty()) {
      Diagnostic &d =
          error(Msg::A135, t.span, {o.name, extra.size() == 1 ? "a free axis" : "free axes", axisList(extra)})
              .note(decl->name.span, "declared here");
      const ast::Expr *position = nullptr;
      for (const ast::Stmt &st : mixer_.body)
        for (AxisId a : extra)
          if (!position)
            position = positionForExtent(st.value, p_->axes[a].name);
      if (position)
        d.note(position->span,
               fmt::format("`{0}` is the position along the axis; its extent is `#{0}`", position->text))
            .withHelp("#" + position->text);
      else
        d.withHelp(fmt::format("{} = sum[{}]({})", o.name, axisList(extra), shortText(t)));
      continue;
    }
    if (AxisSet missing = want - t.axes; !missing.empty()) {
      error(Msg::A136, t.span, {o.name, namedAxes(missing)}).note(decl->name.span, "declared here");
      continue;
    }
  }
}

/// After the cycles: where equations only read each other, no kind follows from them.
void Checker::checkOutputKinds() {
  for (size_t k = 0; k < p_->outputs.size(); ++k) {
    const Output &o = p_->outputs[k];
    const Tensor &t = p_->tensors[o.tensor];
    const Span at = std::find_if(mixer_.outputs.begin(), mixer_.outputs.end(), [&](const ast::Decl &d) {
                      return d.name.text == o.name;
                    })->name.span;
    Kind kind = o.declared ? (isFloat(o.dtype)         ? Kind::Real
                              : o.dtype == DType::Bool ? Kind::Bool
                                                       : Kind::Int)
                           : Kind::Real;
    if (!o.declared && t.kind != Kind::Real) {
      error(Msg::A223, at, {o.name, t.kind == Kind::Bool ? "bool" : "integer"})
          .withHelp(fmt::format("{}: {}{}", o.name, t.kind == Kind::Bool ? "bool" : "i64",
                                dimsText(p_->signature.outputs[k])));
      continue;
    }
    if (t.kind > kind) {
      error(Msg::A224, t.span, {o.name, dtypeName(o.dtype), t.kind == Kind::Real ? "real" : "an integer"})
          .note(at, "declared here")
          .withHelp(fmt::format("{} = {}({})", o.name, dtypeName(o.dtype), shortText(t)));
      continue;
    }
  }
}

void Checker::checkRequires() {
  for (size_t i = 0; i < requireStmts_.size(); ++i) {
    const ast::Stmt &st = *requireStmts_[i];
    Node *n = expr(st.value, requireScopes_[i]);
    if (!n)
      continue;
    n = toKind(n, Kind::Bool);
    ExtentRef e = n->axes.empty() ? nodeToExtent(n) : nullptr;
    if (!e) {
      error(Msg::A137, st.value->span, {spanText(st.value->span)});
      continue;
    }
    std::string text = st.message ? *st.message : spanText(st.value->span);
    if (auto c = extentAsConst(e)) {
      if (!*c)
        error(Msg::A138, st.value->span, {text});
      continue;
    }
    addRequirement(e, fmt::format("this call does not meet `require {}`{}", spanText(st.value->span),
                                  st.message ? ": " + *st.message : ""));
  }
}

std::unique_ptr<Program> Checker::run() {
  size_t before = diags_.errorCount();
  p_->signature.mixer = mixer_.name.text;
  p_->signature.doc = mixer_.doc;
  scopes_.emplace_back();
  top_ = &scopes_.back();
  for (size_t f = 0; f < spec_.files.size(); ++f)
    for (const ast::Mixer &m : spec_.files[f]->mixers)
      if (&m == &mixer_)
        top_->file = static_cast<int>(f);
  collectParams(*top_, mixer_.body, true);
  collectAxes();
  if (diags_.errorCount() != before)
    return nullptr;
  resolveAxes(*top_);
  if (diags_.errorCount() != before || failed_)
    return nullptr;
  // Sequences that no axis has are still extents.
  for (auto &[name, e] : top_->names)
    if (e.kind == Entity::Sequence && !e.extent)
      e.extent = extentSymbol(newSymbol(name));
  collectTensors();
  if (diags_.errorCount() != before)
    return nullptr;
  checkDetermined();
  if (!resolveAll())
    return nullptr;
  checkDefaults();
  checkRequires();
  checkOutputs();
  if (diags_.errorCount() != before)
    return nullptr;
  resolveAliases();
  if (!findCycles())
    return nullptr;
  checkOutputKinds();
  markStarts();
  if (diags_.errorCount() != before)
    return nullptr;
  markFeatures();
  warnMixedConditions();
  totalize(*p_);
  checkPresence(*p_, diags_);
  if (diags_.errorCount() != before)
    return nullptr;
  return std::move(p_);
}

std::vector<std::string> mixerNames(const Spec &spec) {
  std::vector<std::string> out;
  for (const ast::Mixer &m : spec.files[0]->mixers)
    out.push_back(m.name.text);
  return out;
}

const ast::Mixer *findMixer(const Spec &spec, const std::string &mixer, Diagnostics &diags) {
  const ast::File &file = *spec.files[0];
  for (const ast::Mixer &m : file.mixers)
    if (mixer.empty() ? file.mixers.size() == 1 : m.name.text == mixer)
      return &m;
  std::vector<std::string> names = mixerNames(spec);
  Span at{file.source, 0, 0};
  if (names.empty())
    diags.report(Msg::A506, at);
  else if (mixer.empty())
    diags.report(Msg::A507, at, {joined(names)}).withHelp("--mixer " + names[0]);
  else {
    Diagnostic &d = diags.report(Msg::A508, at, {mixer, joined(names)});
    std::string near = nearestName(mixer, names);
    if (!near.empty())
      d.withHelp("--mixer " + near);
  }
  return nullptr;
}

std::unique_ptr<Program> checkMixer(const Spec &spec, const std::string &mixer, const CheckOptions &options,
                                    Diagnostics &diags) {
  const ast::Mixer *found = findMixer(spec, mixer, diags);
  if (!found)
    return nullptr;
  // Equations nest as deep as the parser allows, and functions on top of that.
  std::unique_ptr<Program> program;
  onDeepStack([&] { program = Checker(spec, *found, options, diags).run(); });
  return program;
}

void checkSpec(const Spec &spec, Diagnostics &diags) {
  static const char *const kTargets[] = {"cpu", "cuda"};
  static const char *const kHints[] = {"tile", "chunk"};
  for (size_t f = 0; f < spec.files.size(); ++f) {
    const ast::File &file = *spec.files[f];
    std::map<std::string, Span> fns;
    for (const ast::Fn &fn : file.fns) {
      if (isBuiltin(fn.name.text))
        diags.report(Msg::A509, fn.name.span, {fn.name.text});
      else if (auto it = fns.find(fn.name.text); it != fns.end())
        diags.report(Msg::A510, fn.name.span, {fn.name.text}).note(it->second, "first defined here");
      else
        for (int other : spec.importsOf[f])
          for (const ast::Fn &g : spec.files[other]->fns)
            if (g.name.text == fn.name.text && other != static_cast<int>(f))
              diags.report(Msg::A510, fn.name.span, {fn.name.text}).note(g.name.span, "imported from here");
      fns.emplace(fn.name.text, fn.name.span);
    }
    std::map<std::string, Span> imported;
    for (int other : spec.importsOf[f])
      for (const ast::Fn &g : spec.files[other]->fns) {
        if (other == static_cast<int>(f))
          continue;
        auto [it, fresh] = imported.emplace(g.name.text, g.name.span);
        if (!fresh && it->second.source != g.name.span.source)
          diags.report(Msg::A510, g.name.span, {g.name.text}).note(it->second, "also imported from here");
      }
    std::map<std::string, Span> mixers;
    for (const ast::Mixer &m : file.mixers) {
      if (auto it = mixers.find(m.name.text); it != mixers.end())
        diags.report(Msg::A510, m.name.span, {m.name.text}).note(it->second, "first defined here");
      else if (fns.count(m.name.text) || isBuiltin(m.name.text))
        diags.report(isBuiltin(m.name.text) ? Msg::A509 : Msg::A510, m.name.span, {m.name.text});
      mixers.emplace(m.name.text, m.name.span);
    }
    for (const ast::Schedule &s : file.schedules) {
      std::vector<std::string> names;
      for (auto &[n, span] : mixers)
        names.push_back(n);
      if (!mixers.count(s.mixer.text)) {
        Diagnostic &d = diags.report(Msg::A511, s.mixer.span, {s.mixer.text});
        if (std::string near = nearestName(s.mixer.text, names); !near.empty())
          d.withHelp(near);
      }
      bool known = false;
      for (const char *t : kTargets)
        known |= s.target.text == t;
      if (!known)
        diags.report(Msg::A512, s.target.span, {s.target.text}).withHelp("cpu");
      for (const ast::Hint &h : s.hints) {
        bool ok = false;
        for (const char *n : kHints)
          ok |= h.name.text == n;
        if (!ok) {
          Diagnostic &d = diags.report(Msg::A513, h.name.span, {h.name.text});
          std::string near = nearestName(h.name.text, {"tile", "chunk"});
          d.withHelp(near.empty() ? "tile i = 64" : near);
        }
      }
    }
  }
}

} // namespace attnc
