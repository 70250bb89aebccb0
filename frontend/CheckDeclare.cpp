//===- What a mixer's names are: params, inputs, outputs, equations -------===//
#include "frontend/Checker.h"
#include <cerrno>
#include <cstdlib>
#include <fmt/format.h>
#include <set>

namespace attnc {

static bool parseValue(const std::string &text, Param::Kind kind, double &real, int64_t &integer) {
  if (kind == Param::Bool) {
    if (text != "true" && text != "false" && text != "1" && text != "0")
      return false;
    integer = text == "true" || text == "1";
    return true;
  }
  char *end = nullptr;
  errno = 0;
  if (kind == Param::Int) {
    integer = std::strtoll(text.c_str(), &end, 10);
    return !text.empty() && !*end && errno == 0;
  }
  real = std::strtod(text.c_str(), &end);
  return !text.empty() && !*end;
}

bool Checker::mentionsData(const ast::Expr *e, Scope &s, bool extentsToo) const {
  if (e->kind == ast::ExprKind::ExtentOf)
    return extentsToo;
  if (e->kind == ast::ExprKind::Name && !s.fn && !s.names.count(e->text)) {
    for (const ast::Decl &d : mixer_.inputs) {
      if (d.name.text == e->text)
        return true;
      for (const ast::DimDecl &dim : d.dims)
        if (extentsToo && dim.name && (dim.name->text == e->text || (dim.extent && dim.extent->text == e->text)))
          return true;
    }
    for (const ast::Stmt &st : mixer_.body)
      if (st.kind == ast::StmtKind::Equation)
        for (const ast::Name &n : st.names)
          if (n.text == e->text)
            return true;
  }
  for (const ast::Expr *a : e->args)
    if (mentionsData(a, s, extentsToo))
      return true;
  return false;
}

void Checker::collectParams(Scope &s, const std::vector<ast::Stmt> &body, bool overridable) {
  for (const ast::Stmt &st : body) {
    if (st.kind != ast::StmtKind::Param)
      continue;
    const ast::Name &name = st.names[0];
    if (s.names.count(name.text) && s.names[name.text].kind != Entity::Sequence) {
      error(Msg::A104, name.span, {name.text}).note(s.names[name.text].span, "the other use is here");
      continue;
    }
    bool data = mentionsData(st.value, s, true);
    Node *v = data ? nullptr : expr(st.value, &s);
    if (!v && !data)
      continue;
    if (data || v->op != Op::Const) {
      error(Msg::A502, st.value->span, {name.text});
      continue;
    }
    Entity e;
    e.kind = Entity::Constant;
    e.span = name.span;
    e.constKind = v->kind;
    e.real = v->real;
    e.integer = v->integer;
    if (st.dtype) {
      Kind kind = isFloat(*st.dtype) ? Kind::Real : *st.dtype == DType::Bool ? Kind::Bool : Kind::Int;
      bool wide = *st.dtype == DType::I32 && v->kind == Kind::Int && v->integer != static_cast<int32_t>(v->integer);
      if (v->kind > kind || wide) {
        error(Msg::A503, st.value->span, {name.text, dtypeName(*st.dtype)});
        continue;
      }
      double r = 0;
      int64_t i = 0;
      fold(Fn::Cast, kind, {v}, *st.dtype, r, i);
      e.constKind = kind;
      e.real = r;
      e.integer = i;
    }
    Param param;
    param.name = name.text;
    param.kind = e.constKind == Kind::Bool ? Param::Bool : e.constKind == Kind::Int ? Param::Int : Param::Real;
    param.dtype = st.dtype;
    if (overridable)
      if (auto it = options_.params.find(name.text); it != options_.params.end()) {
        if (!parseValue(it->second, param.kind, e.real, e.integer)) {
          static const char *const kinds[] = {"true or false", "an integer", "a number"};
          error(Msg::A504, name.span, {name.text, kinds[param.kind], it->second});
          continue;
        }
        if (st.dtype && param.kind == Param::Real) {
          double r = 0;
          int64_t i = 0;
          fold(Fn::Cast, Kind::Real, {constant(Kind::Real, e.real, 0, name.span)}, *st.dtype, r, i);
          e.real = r;
        }
      }
    param.real = e.real;
    param.integer = e.integer;
    if (overridable)
      p_->signature.params.push_back(param);
    s.names[name.text] = e;
  }
  if (!overridable)
    return;
  for (auto &[name, value] : options_.params) {
    bool known = false;
    std::vector<std::string> names;
    for (const ast::Stmt &st : body)
      if (st.kind == ast::StmtKind::Param) {
        known |= st.names[0].text == name;
        names.push_back(st.names[0].text);
      }
    if (!known) {
      Diagnostic &d = error(Msg::A505, mixer_.name.span, {name, mixer_.name.text});
      std::string near = nearestName(name, names);
      if (!near.empty())
        d.withHelp(fmt::format("--set {}={}", near, value));
      else
        d.withHelp(names.empty() ? "it has no params" : "its params are " + joined(names));
    }
  }
}

bool Checker::declareTensor(Scope &s, const ast::Name &name, int tensor) {
  auto it = s.names.find(name.text);
  if (it != s.names.end() || s.specs.count(name.text)) {
    error(Msg::A104, name.span, {name.text})
        .note(it != s.names.end() ? it->second.span : s.specs[name.text].span, "the other use is here");
    return false;
  }
  Entity e;
  e.kind = Entity::Tensor;
  e.span = name.span;
  e.tensor = tensor;
  s.names[name.text] = e;
  return true;
}

bool Checker::dimsOf(const ast::Decl &d, std::vector<std::vector<AxisId>> &dims, std::vector<Dim> &shown) {
  AxisSet seen;
  for (const ast::DimDecl &dd : d.dims) {
    AxisValue v;
    if (!axisOfDim(*top_, dd, v))
      return false;
    for (AxisId a : v.leaves) {
      if (seen.contains(a)) {
        error(Msg::A108, dd.span, {p_->axes[a].name});
        return false;
      }
      seen.insert(a);
    }
    Dim dim;
    dim.text = dd.name ? dd.name->text : spanText(dd.span);
    if (!dd.name) {
      dim.text = "(";
      for (size_t i = 0; i < dd.parts.size(); ++i)
        dim.text += (i ? " " : "") + dd.parts[i].name.text;
      dim.text += ")";
    }
    for (AxisId a : v.leaves) {
      dim.axes.push_back(p_->axes[a].name);
      dim.radix.push_back(p_->axes[a].extent);
    }
    dim.length = v.length;
    dims.push_back(v.leaves);
    shown.push_back(dim);
  }
  return true;
}

void Checker::collectInput(const ast::Decl &d) {
  Argument arg;
  arg.name = d.name.text;
  arg.dtype = d.dtype;
  arg.hasDefault = d.defaultValue;
  Tensor t;
  t.name = d.name.text;
  t.span = d.name.span;
  t.dtype = d.dtype;
  t.kind = !d.dtype || isFloat(*d.dtype) ? Kind::Real : *d.dtype == DType::Bool ? Kind::Bool : Kind::Int;
  if (!dimsOf(d, t.dims, arg.dims))
    return;
  for (auto &dim : t.dims)
    for (AxisId a : dim)
      t.axes.insert(a);
  if (d.promise) {
    AxisValue v;
    if (!axisByName(*top_, *d.promise, v, true))
      return;
    if (t.kind != Kind::Int) {
      error(Msg::A222, d.name.span, {d.name.text});
      return;
    }
    arg.indexOf = d.promise->text;
    arg.indexBound = v.length;
  }
  bool left = options_.leftOut.count(d.name.text) && d.defaultValue;
  t.isInput = !left;
  t.argument = static_cast<int>(p_->signature.inputs.size());
  p_->signature.inputs.push_back(arg);
  TensorInfo info;
  info.axes = t.axes;
  info.kind = t.kind;
  info.scope = top_;
  info.annotation = t.axes;
  if (left) {
    info.expr = d.defaultValue;
    info.declared = t.kind;
  }
  int id = static_cast<int>(p_->tensors.size());
  p_->tensors.push_back(t);
  info_.push_back(info);
  declareTensor(*top_, d.name, id);
}

void Checker::collectOutput(const ast::Decl &d) {
  if (d.promise || d.defaultValue) {
    error(Msg::A132, d.span, {d.name.text});
    return;
  }
  Argument arg;
  arg.name = d.name.text;
  arg.dtype = d.dtype;
  Output out;
  out.name = d.name.text;
  out.declared = d.dtype.has_value();
  out.dtype = d.dtype.value_or(DType::F32);
  if (!dimsOf(d, out.dims, arg.dims))
    return;
  p_->signature.outputs.push_back(arg);
  p_->outputs.push_back(out);
}

void Checker::collectTensors() {
  for (const ast::Decl &d : mixer_.inputs)
    collectInput(d);
  std::set<std::string> outputs;
  for (const ast::Decl &d : mixer_.outputs) {
    auto input = top_->names.find(d.name.text);
    if (outputs.insert(d.name.text).second && input == top_->names.end())
      collectOutput(d);
    else
      error(Msg::A104, d.name.span, {d.name.text})
          .note(input != top_->names.end() ? input->second.span : d.name.span, "the other use is here");
  }
  collectEquations(*top_, mixer_.body);
}

void Checker::collectEquations(Scope &s, const std::vector<ast::Stmt> &body) {
  for (const ast::Stmt &st : body) {
    if (st.kind == ast::StmtKind::Require) {
      requireStmts_.push_back(&st);
      requireScopes_.push_back(&s);
    }
    if (st.kind != ast::StmtKind::Equation)
      continue;
    for (size_t i = 0; i < st.names.size(); ++i) {
      const ast::Name &n = st.names[i];
      if (!declareTensor(s, n, static_cast<int>(p_->tensors.size())))
        continue;
      Tensor t;
      t.name = n.text;
      t.span = n.span;
      p_->tensors.push_back(t);
      TensorInfo info;
      info.expr = st.value;
      info.scope = &s;
      info.result = static_cast<int>(i);
      info.results = static_cast<int>(st.names.size());
      info.init = st.init;
      if (st.init)
        info.initSpan = st.init->span;
      if (st.hasAnnotation) {
        info.annotated = true;
        for (const ast::DimDecl &d : st.annotation) {
          AxisValue v;
          if (axisOfDim(s, d, v))
            for (AxisId a : v.leaves)
              info.annotation.insert(a);
        }
      }
      info_.push_back(info);
    }
  }
}

/// All names of a function's body. Those of a mixer are collected step by step, around its signature (Checker::run).
void Checker::collectFunctionBody(Scope &s, const std::vector<ast::Stmt> &body) {
  for (const ast::Stmt &st : body)
    if (st.kind == ast::StmtKind::Axis)
      for (const ast::DimDecl &d : st.axes) {
        if (d.name && (s.names.count(d.name->text) || s.specs.count(d.name->text)))
          error(Msg::A102, d.span, {d.name->text});
        collectDim(s, d, 2);
      }
  for (const ast::Stmt &st : body) {
    collectMade(s, st.value);
    collectMade(s, st.init);
  }
  collectParams(s, body, false);
  collectEquations(s, body);
}

} // namespace attnc
