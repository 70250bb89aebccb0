//===- Axes, composites, sequences and their extents ----------------------===//
//
// Everything said about an axis name is collected first (AxisSpec), then resolved on demand, because an extent may use
// other axes (`c:#a`, `axis k:(#p + #t)`). A named composite whose first part is free has the length of the caller's
// dim and rounds that part up: it may be ragged. Anonymous composites divide exactly.
//===----------------------------------------------------------------------===//
#include "frontend/Checker.h"
#include <algorithm>
#include <fmt/format.h>

namespace attnc {

int Checker::newSymbol(const std::string &name) {
  p_->signature.symbols.push_back({name, false});
  return static_cast<int>(p_->signature.symbols.size() - 1);
}

AxisId Checker::newAxis(const std::string &name, ExtentRef extent, Span span) {
  std::string unique = name;
  auto taken = [&](const std::string &n) {
    return std::any_of(p_->axes.begin(), p_->axes.end(), [&](const Axis &a) { return a.name == n; });
  };
  for (int k = 1; taken(unique); ++k)
    unique = fmt::format("{}.{}", name, k);
  Axis a;
  a.name = unique;
  a.extent = std::move(extent);
  a.span = span;
  p_->axes.push_back(std::move(a));
  if (p_->axes.size() > 2000 && !failed_) {
    fatal(Msg::A118, span);
  }
  return static_cast<AxisId>(p_->axes.size() - 1);
}

ExtentRef Checker::productOf(const std::vector<AxisId> &leaves) const {
  ExtentRef e = extentConst(1);
  for (AxisId a : leaves)
    e = extentMake(ExtentOp::Mul, {e, p_->axes[a].extent});
  return e;
}

int Checker::newComposite(const std::string &name, const std::vector<AxisId> &leaves, ExtentRef length, bool ragged,
                          Span span) {
  for (size_t i = 0; i < p_->composites.size(); ++i)
    if (p_->composites[i].leaves == leaves && (name.empty() || p_->composites[i].name == name))
      return static_cast<int>(i);
  Composite c{name, leaves, std::move(length), ragged, span};
  int id = static_cast<int>(p_->composites.size());
  if (ragged)
    for (AxisId a : leaves)
      p_->axes[a].composite = id;
  p_->composites.push_back(std::move(c));
  return id;
}

void Checker::collectDim(Scope &s, const ast::DimDecl &d, int where, const ast::AxisArg *source) {
  auto mention = [&](const ast::Name &n, const ast::Expr *extent) -> AxisSpec & {
    AxisSpec &spec = s.specs[n.text];
    if (spec.name.empty()) {
      spec.name = n.text;
      spec.span = n.span;
    }
    if (extent) {
      spec.extents.push_back(extent);
      // A name that is nothing else names a sequence.
      if (extent->kind == ast::ExprKind::Name && where < 2) {
        auto it = s.names.find(extent->text);
        if (it == s.names.end()) {
          Entity e;
          e.kind = Entity::Sequence;
          e.span = extent->span;
          s.names.emplace(extent->text, e);
        }
      }
    }
    (where == 0 ? spec.inInput : where == 1 ? spec.inOutput : where == 2 ? spec.inBody : spec.made) = true;
    if (where == 2)
      spec.bodySpan = n.span;
    return spec;
  };
  if (d.parts.empty()) {
    AxisSpec &spec = mention(*d.name, d.extent);
    if (source && !spec.source)
      spec.source = source;
    return;
  }
  bool wholeKnown = d.name.has_value();
  if (wholeKnown) {
    AxisSpec &spec = mention(*d.name, d.extent);
    if (spec.isComposite) {
      bool same = spec.parts.size() == d.parts.size();
      for (size_t i = 0; same && i < d.parts.size(); ++i)
        same = spec.parts[i].name.text == d.parts[i].name.text;
      if (!same)
        error(Msg::A101, d.span, {d.name->text}).note(spec.span, "first split here");
    } else {
      spec.isComposite = true;
      spec.parts = d.parts;
      spec.span = d.name->span;
      if (source)
        spec.source = source;
    }
  }
  for (size_t i = 0; i < d.parts.size(); ++i) {
    // A part of a dim of an input is not by itself learned from an input when the whole is named: then `where` 4 says
    // so.
    AxisSpec &spec = s.specs[d.parts[i].name.text];
    bool inInput = spec.inInput;
    mention(d.parts[i].name, d.parts[i].extent);
    if (wholeKnown) {
      spec.inInput = inInput;
      if (i == 0)
        spec.firstOf = d.name->text;
    }
  }
}

void Checker::collectMade(Scope &s, const ast::Expr *e) {
  if (!e)
    return;
  if (e->kind == ast::ExprKind::Call && e->hasBrackets && e->groups.size() == 1 &&
      (e->text == "topk" || e->text == "argsort" || e->text == "sort") && e->groups[0].size() >= 2) {
    const ast::AxisArg &made = e->groups[0].back();
    if (made.kind == ast::AxisArg::Dim) {
      bool simple = made.dim.name && made.dim.parts.empty() && !made.dim.extent;
      const std::string *name = made.dim.name ? &made.dim.name->text : nullptr;
      bool known = simple && (s.names.count(*name) ||
                              (s.specs.count(*name) && (s.specs[*name].inInput || s.specs[*name].inBody)));
      if (!known)
        collectDim(s, made.dim, 3, e->text == "topk" ? nullptr : &e->groups[0].front());
    }
  }
  for (const ast::Expr *a : e->args)
    collectMade(s, a);
  for (const ast::Subst &sub : e->substs)
    collectMade(s, sub.value);
}

void Checker::collectAxes() {
  Scope &s = *top_;
  for (const ast::Decl &d : mixer_.inputs)
    for (const ast::DimDecl &dim : d.dims)
      collectDim(s, dim, 0);
  for (const ast::Decl &d : mixer_.outputs)
    for (const ast::DimDecl &dim : d.dims)
      collectDim(s, dim, 1);
  for (const ast::Stmt &st : mixer_.body)
    if (st.kind == ast::StmtKind::Axis)
      for (const ast::DimDecl &dim : st.axes) {
        if (dim.name) {
          auto it = s.specs.find(dim.name->text);
          if (it != s.specs.end() &&
              (it->second.inInput || (it->second.inOutput && !it->second.extents.empty()) || it->second.inBody))
            error(Msg::A102, dim.span, {dim.name->text}).note(it->second.span, "declared here");
        }
        collectDim(s, dim, 2);
      }
  for (const ast::Stmt &st : mixer_.body) {
    collectMade(s, st.value);
    collectMade(s, st.init);
  }
}

void Checker::resolveAxes(Scope &s) {
  std::vector<std::string> names;
  for (auto &[name, spec] : s.specs)
    names.push_back(name);
  for (const std::string &name : names)
    resolveAxis(s, name);
}

static std::string primeBase(const std::string &name) {
  return name.back() == '\'' ? name.substr(0, name.size() - 1) : std::string();
}

bool Checker::resolveAxis(Scope &s, const std::string &name) {
  auto it = s.specs.find(name);
  if (it == s.specs.end())
    return false;
  AxisSpec &spec = it->second;
  if (spec.state == AxisSpec::Done)
    return true;
  if (spec.state == AxisSpec::Failed)
    return false;
  if (spec.state == AxisSpec::Busy) {
    error(Msg::A103, spec.span, {name});
    spec.state = AxisSpec::Failed;
    return false;
  }
  spec.state = AxisSpec::Busy;
  auto fail = [&] {
    spec.state = AxisSpec::Failed;
    return false;
  };
  auto clash = s.names.find(name);
  if (clash != s.names.end() && clash->second.kind != Entity::Axis) {
    error(Msg::A104, spec.span, {name}).note(clash->second.span, "the other use is here");
    return fail();
  }
  if (spec.isComposite) {
    bool ok = resolveComposite(s, spec);
    spec.state = ok ? AxisSpec::Done : AxisSpec::Failed;
    return ok;
  }
  ExtentRef extent;
  for (const ast::Expr *e : spec.extents) {
    ExtentRef x = extentFromExpr(e, s);
    if (!x)
      return fail();
    if (auto c = extentAsConst(x); c && *c < 0) {
      error(Msg::A105, e->span, {name, std::to_string(*c)});
      return fail();
    }
    if (!extent)
      extent = x;
    else if (!extentEqual(extent, x)) {
      auto a = extentAsConst(extent), b = extentAsConst(x);
      if (a && b) {
        error(Msg::A106, e->span, {name, std::to_string(*a), std::to_string(*b)})
            .note(spec.extents.front()->span, "the other extent is here");
        return fail();
      }
      addRequirement(extentMake(ExtentOp::Eq, {extent, x}),
                     fmt::format("axis {} has two extents that must be equal", name));
      if (b)
        extent = x;
    }
  }
  if (!extent && !primeBase(name).empty()) {
    AxisValue base;
    std::string b = primeBase(name);
    if (s.specs.count(b) ? resolveAxis(s, b) : s.names.count(b) && s.names[b].kind == Entity::Axis) {
      base = s.names[b].axis;
      extent = base.length;
    }
  }
  if (!extent && !spec.firstOf.empty() &&
      (s.specs[spec.firstOf].inInput || !s.specs[spec.firstOf].extents.empty() || s.specs[spec.firstOf].source ||
       !spec.inInput)) {
    AxisSpec &whole = s.specs[spec.firstOf];
    if (whole.state == AxisSpec::Waiting) {
      spec.state = AxisSpec::Waiting; // resolveComposite comes back for this axis
      resolveAxis(s, spec.firstOf);
      return spec.state == AxisSpec::Done;
    }
    return fail();
  }
  if (!extent && spec.source) {
    AxisValue from;
    if (axisOfDim(s, spec.source->dim, from))
      extent = from.length;
    else
      return fail();
  }
  if (!extent && spec.inInput)
    extent = extentSymbol(newSymbol(name));
  if (!extent) {
    error(Msg::A107, spec.span, {name}).withHelp(fmt::format("axis {}:16", name));
    return fail();
  }
  Entity e;
  e.kind = Entity::Axis;
  e.span = spec.span;
  e.axis.leaves = {newAxis(name, extent, spec.span)};
  e.axis.length = extent;
  s.names[name] = e;
  spec.state = AxisSpec::Done;
  return true;
}

bool Checker::resolveComposite(Scope &s, AxisSpec &spec) {
  AxisSpec &first = s.specs[spec.parts[0].name.text];
  // The inner parts first: the length needs them.
  std::vector<AxisId> inner;
  for (size_t i = 1; i < spec.parts.size(); ++i) {
    AxisValue v;
    if (!axisByName(s, spec.parts[i].name, v, true))
      return false;
    inner.insert(inner.end(), v.leaves.begin(), v.leaves.end());
  }
  ExtentRef innerProduct = productOf(inner), length;
  for (const ast::Expr *x : spec.extents) {
    ExtentRef e = extentFromExpr(x, s);
    if (!e)
      return false;
    if (!length)
      length = e;
    else if (!extentEqual(length, e)) {
      auto a = extentAsConst(length), b = extentAsConst(e);
      if (a && b)
        return error(Msg::A106, x->span, {spec.name, std::to_string(*a), std::to_string(*b)}), false;
      addRequirement(extentMake(ExtentOp::Eq, {length, e}),
                     fmt::format("axis {} has two extents that must be equal", spec.name));
    }
  }
  if (!length && spec.source) {
    AxisValue from;
    if (!axisOfDim(s, spec.source->dim, from))
      return false;
    length = from.length;
  }
  bool ragged = false;
  bool free = first.extents.empty() && first.state != AxisSpec::Done && !first.isComposite;
  if (free && !length && spec.inInput)
    length = extentSymbol(newSymbol(spec.name));
  if (free && length) {
    // Also beside an input `x: [n, ...]`: n follows from the whole, and that argument is checked against it.
    first.state = AxisSpec::Busy;
    ExtentRef n = extentMake(
        ExtentOp::Div,
        {extentMake(ExtentOp::Add, {length, extentMake(ExtentOp::Sub, {innerProduct, extentConst(1)})}), innerProduct});
    Entity e;
    e.kind = Entity::Axis;
    e.span = first.span;
    e.axis.leaves = {newAxis(first.name, n, first.span)};
    e.axis.length = n;
    if (s.names.count(first.name))
      return error(Msg::A104, first.span, {first.name}).note(s.names[first.name].span, "the other use is here"), false;
    s.names[first.name] = e;
    first.state = AxisSpec::Done;
    ragged = extentAsConst(innerProduct) != std::optional<int64_t>(1);
  } else {
    std::string save = first.firstOf;
    first.firstOf.clear();
    bool ok = first.state == AxisSpec::Done || resolveAxis(s, first.name);
    first.firstOf = save;
    if (!ok)
      return false;
  }
  std::vector<AxisId> leaves = s.names[first.name].axis.leaves;
  leaves.insert(leaves.end(), inner.begin(), inner.end());
  ExtentRef product = productOf(leaves);
  if (!ragged) {
    if (length && !extentEqual(length, product)) {
      auto a = extentAsConst(length), b = extentAsConst(product);
      if (a && b)
        return error(Msg::A106, spec.span, {spec.name, std::to_string(*a), std::to_string(*b)}), false;
      addRequirement(extentMake(ExtentOp::Eq, {length, product}),
                     fmt::format("{} must be as long as its parts", spec.name));
    }
    length = product;
  }
  Entity e;
  e.kind = Entity::Axis;
  e.span = spec.span;
  e.axis.leaves = leaves;
  e.axis.length = length;
  e.axis.composite = newComposite(spec.name, leaves, length, ragged, spec.span);
  auto clash = s.names.find(spec.name);
  if (clash != s.names.end())
    return error(Msg::A104, spec.span, {spec.name}).note(clash->second.span, "the other use is here"), false;
  s.names[spec.name] = e;
  return true;
}

bool Checker::compositeOf(Scope &s, const std::vector<ast::AxisDecl> &parts, Span span, AxisValue &out) {
  out.leaves.clear();
  for (const ast::AxisDecl &a : parts) {
    AxisValue v;
    if (!axisByName(s, a.name, v, true))
      return false;
    out.leaves.insert(out.leaves.end(), v.leaves.begin(), v.leaves.end());
  }
  for (size_t i = 0; i < out.leaves.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      if (out.leaves[i] == out.leaves[j]) {
        error(Msg::A108, span, {p_->axes[out.leaves[i]].name});
        return false;
      }
  // The parts of a named composite, written out, are that composite.
  for (size_t c = 0; c < p_->composites.size(); ++c)
    if (p_->composites[c].leaves == out.leaves) {
      out.composite = static_cast<int>(c);
      out.length = p_->composites[c].length;
      return true;
    }
  out.length = productOf(out.leaves);
  out.composite = newComposite("", out.leaves, out.length, false, span);
  return true;
}

ExtentRef Checker::nodeToExtent(Node *n) {
  if (!n)
    return nullptr;
  if (n->op == Op::Const)
    return extentConst(n->kind == Kind::Real ? static_cast<int64_t>(n->real) : n->integer);
  if (n->op == Op::Extent)
    return n->extent;
  if (n->op == Op::Map) {
    std::vector<ExtentRef> args;
    for (Node *a : n->args) {
      ExtentRef e = nodeToExtent(a);
      if (!e)
        return nullptr;
      args.push_back(e);
    }
    auto fold2 = [&](ExtentOp op) {
      ExtentRef e = args[0];
      for (size_t i = 1; i < args.size(); ++i)
        e = extentMake(op, {e, args[i]});
      return e;
    };
    switch (n->fn) {
    case Fn::Add:
      return fold2(ExtentOp::Add);
    case Fn::Sub:
      return fold2(ExtentOp::Sub);
    case Fn::Mul:
      return fold2(ExtentOp::Mul);
    case Fn::IDiv:
      return n->kind == Kind::Int ? fold2(ExtentOp::Div) : nullptr;
    case Fn::Mod:
      return n->kind == Kind::Int ? fold2(ExtentOp::Mod) : nullptr;
    case Fn::Min:
      return fold2(ExtentOp::Min);
    case Fn::Max:
      return fold2(ExtentOp::Max);
    case Fn::Neg:
      return extentMake(ExtentOp::Sub, {extentConst(0), args[0]});
    case Fn::Ilog2:
      return extentMake(ExtentOp::Ilog2, args);
    case Fn::Lt:
      return fold2(ExtentOp::Lt);
    case Fn::Le:
      return fold2(ExtentOp::Le);
    case Fn::Gt:
      return fold2(ExtentOp::Gt);
    case Fn::Ge:
      return fold2(ExtentOp::Ge);
    case Fn::Eq:
      return fold2(ExtentOp::Eq);
    case Fn::Ne:
      return fold2(ExtentOp::Ne);
    case Fn::And:
      return fold2(ExtentOp::And);
    case Fn::Or:
      return fold2(ExtentOp::Or);
    case Fn::Not:
      return extentMake(ExtentOp::Not, args);
    case Fn::ToInt:
    case Fn::ToBool:
      return args[0];
    default:
      return nullptr;
    }
  }
  return nullptr;
}

ExtentRef Checker::extentFromExpr(const ast::Expr *e, Scope &s) {
  if (e->kind == ast::ExprKind::Name) {
    auto it = s.names.find(e->text);
    if (it != s.names.end() && it->second.kind == Entity::Sequence) {
      if (!it->second.extent)
        it->second.extent = extentSymbol(newSymbol(e->text));
      return it->second.extent;
    }
    if ((it != s.names.end() && it->second.kind == Entity::Axis) || s.specs.count(e->text)) {
      error(Msg::A109, e->span, {e->text}).withHelp("#" + e->text);
      return nullptr;
    }
  }
  bool data = mentionsData(e, s, false);
  Node *n = data ? nullptr : expr(e, &s);
  if (!n && !data)
    return nullptr;
  if (data || n->kind == Kind::Real || !n->axes.empty()) {
    error(Msg::A110, e->span, {spanText(e->span)});
    return nullptr;
  }
  ExtentRef x = nodeToExtent(n);
  if (!x)
    error(Msg::A110, e->span, {spanText(e->span)});
  return x;
}

std::vector<std::string> Checker::namesInScope(Scope &s, bool axesOnly) const {
  std::vector<std::string> out;
  for (auto &[n, e] : s.names)
    if (!axesOnly || e.kind == Entity::Axis)
      out.push_back(n);
  return out;
}

bool Checker::axisByName(Scope &s, const ast::Name &name, AxisValue &out, bool loud) {
  auto spec = s.specs.find(name.text);
  if (spec != s.specs.end() && spec->second.state != AxisSpec::Done) {
    if (spec->second.state == AxisSpec::Failed || !resolveAxis(s, name.text))
      return failed_ = true, false;
  }
  auto it = s.names.find(name.text);
  if (it != s.names.end() && it->second.kind == Entity::Axis) {
    out = it->second.axis;
    return true;
  }
  if (!loud)
    return false;
  if (it != s.names.end()) {
    error(Msg::A111, name.span, {name.text}).note(it->second.span, "declared here");
    return false;
  }
  std::string base = primeBase(name.text);
  Diagnostic &d = error(Msg::A112, name.span, {name.text});
  std::string near = nearestName(name.text, namesInScope(s, true));
  if (!base.empty() && s.names.count(base))
    d.withHelp(fmt::format("axis {}", name.text));
  else if (!near.empty())
    d.withHelp(near);
  return false;
}

bool Checker::axisOfDim(Scope &s, const ast::DimDecl &d, AxisValue &out) {
  if (d.name)
    return axisByName(s, *d.name, out, true);
  return compositeOf(s, d.parts, d.span, out);
}

bool Checker::axisOfRef(Scope &s, const ast::AxisRef &r, AxisValue &out) {
  if (r.names.size() == 1)
    return axisByName(s, r.names[0], out, true);
  std::vector<ast::AxisDecl> parts;
  for (const ast::Name &n : r.names)
    parts.push_back({n, nullptr});
  return compositeOf(s, parts, r.span, out);
}

/// Solves the symbols the way the runtime will, with every input passed, and complains about those that stay unknown.
void Checker::checkDetermined() {
  std::vector<bool> known(p_->signature.symbols.size(), false);
  auto unknownIn = [&](const ExtentRef &e, auto &&self) -> int {
    if (e->op == ExtentOp::Symbol)
      return known[e->symbol] ? 0 : 1;
    int n = 0;
    for (const ExtentRef &a : e->args)
      n += self(a, self);
    return n;
  };
  auto solvable = [&](const ExtentRef &e, auto &&self) -> int { // the one symbol e gives, -1 none
    if (e->op == ExtentOp::Symbol)
      return known[e->symbol] ? -1 : e->symbol;
    if (e->op == ExtentOp::Mul && unknownIn(e, unknownIn) == 1)
      for (const ExtentRef &a : e->args)
        if (int s = self(a, self); s >= 0)
          return s;
    return -1;
  };
  bool progress = true;
  while (progress) {
    progress = false;
    for (const Argument &a : p_->signature.inputs)
      for (const Dim &d : a.dims)
        if (int s = solvable(d.length, solvable); s >= 0) {
          known[s] = true;
          progress = true;
        }
  }
  for (size_t i = 0; i < known.size(); ++i) {
    if (known[i])
      continue;
    // One unknown of a composite is told, not each.
    for (const Argument &a : p_->signature.inputs)
      for (const Dim &d : a.dims)
        if (extentUses(d.length, static_cast<int>(i)))
          for (size_t j = i + 1; j < known.size(); ++j)
            if (extentUses(d.length, static_cast<int>(j)))
              known[j] = true;
    Span at = mixer_.name.span;
    for (auto &[name, spec] : top_->specs)
      if (name == p_->signature.symbols[i].name)
        at = spec.span;
    if (auto it = top_->names.find(p_->signature.symbols[i].name); it != top_->names.end())
      at = it->second.span;
    error(Msg::A113, at, {p_->signature.symbols[i].name});
  }
}

/// Kernels are specialised on feature axes: contracted ones, or those that lie innermost in an operand of a contraction
/// or in a state; untouched by shifts, comparisons, softmax, scans and selections, and no sequence. Lengths never
/// qualify, so a kernel serves all of them.
void Checker::markFeatures() {
  size_t axes = p_->axes.size(), symbols = p_->signature.symbols.size();
  std::vector<bool> touched(axes, false), contracted(axes, false), state(axes, false), innermost(axes, false),
      beside(axes, false), given(axes, false);
  std::set<const Node *> renamings;
  for (const Node &n : p_->arena)
    for (const ReadItem &r : n.reads)
      if (r.leaves.size() == 1 && r.index->op == Op::Index)
        renamings.insert(r.index);
  for (const Node &n : p_->arena) {
    switch (n.op) {
    case Op::Index:
      touched[n.axis] = touched[n.axis] || !renamings.count(&n);
      break;
    case Op::Softmax:
    case Op::Cum:
    case Op::ArgMax:
    case Op::ArgMin:
    case Op::TopK:
    case Op::ArgSort:
    case Op::Sort:
    case Op::Rank:
      for (auto &g : n.groups)
        for (AxisId a : g)
          touched[a] = true;
      for (AxisId a : n.newAxes)
        touched[a] = true;
      break;
    case Op::Read:
      for (const ReadItem &r : n.reads)
        for (AxisId a : r.leaves)
          if (r.leaves.size() > 1 || r.index->op != Op::Index) // a renaming leaves a feature axis one
            touched[a] = true;
      break;
    case Op::Reduce:
      if (n.red == RedOp::Sum || n.red == RedOp::Mean || n.red == RedOp::Norm)
        for (auto &g : n.groups)
          for (AxisId a : g)
            contracted[a] = true;
      break;
    default:
      break;
    }
  }
  for (const Cycle &c : p_->cycles) {
    for (const ScanAxis &s : c.loops)
      touched[s.axis] = true;
    for (int t : c.tensors)
      for (AxisId a : p_->tensors[t].axes)
        state[a] = true;
  }
  for (const Tensor &t : p_->tensors) {
    if (!t.isInput || t.dims.empty())
      continue;
    bool any = false;
    for (AxisId a : t.axes) {
      any |= contracted[a];
      given[a] = true;
    }
    for (AxisId a : t.dims.back()) {
      if (t.dims.size() == 1 && !contracted[a])
        continue; // a vector says nothing: it may well run over the batch
      innermost[a] = true;
      beside[a] = beside[a] || any;
    }
  }
  for (size_t s = 0; s < symbols; ++s) {
    bool used = false, all = true;
    for (size_t a = 0; a < axes; ++a) {
      const ExtentRef &e = p_->axes[a].extent;
      if (!extentUses(e, static_cast<int>(s)))
        continue;
      used = true;
      bool renamed = !given[a] && !touched[a] && contracted[a]; // a primed copy
      all &= e->op == ExtentOp::Symbol && !touched[a] &&
             ((innermost[a] && (contracted[a] || state[a] || beside[a])) || renamed);
    }
    p_->signature.symbols[s].feature = used && all;
  }
}

} // namespace attnc
