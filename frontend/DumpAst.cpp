//===- The syntax tree as indented text -----------------------------------===//
//
// One statement or expression node per line, children indented by two. Dims and their extents are short and stay on one
// line, in the language's own syntax with every operator in brackets.
//===----------------------------------------------------------------------===//
#include "frontend/Parser.h"
#include <fmt/format.h>

namespace attnc {

namespace {

using namespace ast;

const char *spelled(BinOp op) {
  switch (op) {
  case BinOp::Or:
    return "or";
  case BinOp::And:
    return "and";
  case BinOp::Add:
    return "+";
  case BinOp::Sub:
    return "-";
  case BinOp::Mul:
    return "*";
  case BinOp::Div:
    return "/";
  case BinOp::IDiv:
    return "div";
  case BinOp::Mod:
    return "%";
  case BinOp::Pow:
    return "**";
  }
  return "?";
}

const char *spelled(CmpOp op) {
  switch (op) {
  case CmpOp::Lt:
    return "<";
  case CmpOp::Le:
    return "<=";
  case CmpOp::Gt:
    return ">";
  case CmpOp::Ge:
    return ">=";
  case CmpOp::Eq:
    return "==";
  case CmpOp::Ne:
    return "!=";
  }
  return "?";
}

std::string number(const Expr &e) {
  if (!e.isReal)
    return std::to_string(e.integer);
  std::string s = fmt::format("{}", e.real);
  return s.find_first_of(".en") == std::string::npos ? s + ".0" : s;
}

std::string names(const std::vector<Name> &ns, const char *between) {
  std::string out;
  for (const Name &n : ns)
    out += (out.empty() ? "" : between) + n.text;
  return out;
}

std::string text(const AxisRef &r) {
  return r.names.size() == 1 ? r.names[0].text : fmt::format("({})", names(r.names, " "));
}

std::string quotedString(const std::string &s) {
  std::string out = "\"";
  for (char c : s)
    out += c == '\n' ? std::string("\\n") : c == '"' || c == '\\' ? std::string{'\\', c} : std::string(1, c);
  return out + '"';
}

std::string inLine(const Expr &e);

std::string dims(const std::vector<DimDecl> &ds);
std::string dim(const DimDecl &d) {
  std::string out = d.name ? d.name->text : "";
  if (d.extent)
    out += ":" + inLine(*d.extent);
  if (d.parts.empty())
    return out;
  if (d.name)
    out += "=";
  for (size_t i = 0; i < d.parts.size(); ++i) {
    out += (i ? " " : "(") + d.parts[i].name.text;
    if (d.parts[i].extent)
      out += ":" + inLine(*d.parts[i].extent);
  }
  return out + ")";
}

std::string dims(const std::vector<DimDecl> &ds) {
  std::string out;
  for (const DimDecl &d : ds)
    out += (out.empty() ? "" : ", ") + dim(d);
  return out;
}

std::string brackets(const Expr &call) {
  if (!call.hasBrackets)
    return "";
  std::string out = "[";
  for (size_t g = 0; g < call.groups.size(); ++g) {
    out += g ? " | " : "";
    for (size_t i = 0; i < call.groups[g].size(); ++i) {
      const AxisArg &a = call.groups[g][i];
      out += i ? ", " : "";
      out += a.kind == AxisArg::Single ? "_" : a.kind == AxisArg::Reversed ? "-" + a.dim.name->text : dim(a.dim);
    }
  }
  return out + "]";
}

/// What the node itself says, without its children.
std::string head(const Expr &e) {
  switch (e.kind) {
  case ExprKind::Number:
    return "number " + number(e);
  case ExprKind::Bool:
    return e.boolean ? "true" : "false";
  case ExprKind::Inf:
    return "inf";
  case ExprKind::Pi:
    return "pi";
  case ExprKind::Last:
    return "last";
  case ExprKind::Name:
    return "name " + e.text;
  case ExprKind::Tuple:
    return "tuple " + text(e.axes);
  case ExprKind::ExtentOf:
    return "extent #" + text(e.axes);
  case ExprKind::Call:
    return "call " + e.text + brackets(e);
  case ExprKind::Neg:
    return "neg";
  case ExprKind::Not:
    return "not";
  case ExprKind::Binary:
    return spelled(e.bin);
  case ExprKind::Where:
    return "where";
  case ExprKind::If:
    return "if";
  case ExprKind::Read:
    return "read";
  case ExprKind::Compare: {
    std::string out = "compare";
    for (CmpOp op : e.cmps)
      out += fmt::format(" {}", spelled(op));
    return out;
  }
  }
  return "?";
}

/// Extents, in one line.
std::string inLine(const Expr &e) {
  auto arg = [&](size_t i) { return inLine(*e.args[i]); };
  switch (e.kind) {
  case ExprKind::Number:
    return number(e);
  case ExprKind::Name:
    return e.text;
  case ExprKind::Tuple:
    return text(e.axes);
  case ExprKind::ExtentOf:
    return "#" + text(e.axes);
  case ExprKind::Neg:
    return fmt::format("(-{})", arg(0));
  case ExprKind::Not:
    return fmt::format("(not {})", arg(0));
  case ExprKind::Binary:
    return fmt::format("({} {} {})", arg(0), spelled(e.bin), arg(1));
  case ExprKind::Where:
    return fmt::format("({} where {})", arg(0), arg(1));
  case ExprKind::If:
    return fmt::format("({} if {} else {})", arg(0), arg(1), arg(2));
  case ExprKind::Compare: {
    std::string out = "(" + arg(0);
    for (size_t i = 0; i < e.cmps.size(); ++i)
      out += fmt::format(" {} {}", spelled(e.cmps[i]), arg(i + 1));
    return out + ")";
  }
  case ExprKind::Call: {
    std::string out = e.text + brackets(e) + "(";
    for (size_t i = 0; i < e.args.size(); ++i)
      out += (i ? ", " : "") + arg(i);
    return out + ")";
  }
  case ExprKind::Read: {
    std::string out = arg(0) + "[";
    for (size_t i = 0; i < e.substs.size(); ++i)
      out += (i ? ", " : "") + (e.substs[i].axis ? text(*e.substs[i].axis) + " := " : "") + inLine(*e.substs[i].value);
    return out + "]";
  }
  default:
    return head(e);
  }
}

class Dumper {
public:
  std::string run(const File &f) {
    for (const Import &i : f.imports)
      line("import " + quotedString(i.path));
    for (const Fn &fn : f.fns) {
      doc(fn.doc);
      std::string axes = fn.axes.empty() ? "" : "[" + names(fn.axes, ", ") + "]";
      line("fn " + fn.name.text + axes + "(" + names(fn.params, ", ") + ")");
      Indent in(*this);
      body(fn.body);
      for (const Expr *e : fn.results)
        child("return", e);
    }
    for (const Mixer &m : f.mixers) {
      doc(m.doc);
      line("mixer " + m.name.text);
      Indent in(*this);
      for (const Decl &d : m.inputs)
        decl("input", d);
      for (const Decl &d : m.outputs)
        decl("output", d);
      body(m.body);
    }
    for (const Schedule &s : f.schedules) {
      line("schedule " + s.mixer.text + " " + s.target.text);
      Indent in(*this);
      for (const Hint &h : s.hints) {
        std::string out = h.name.text;
        for (size_t i = 0; i < h.values.size(); ++i)
          out += fmt::format("{} {} = {}", i ? "," : "", h.values[i].first.text, h.values[i].second);
        line(out);
      }
    }
    return std::move(out_);
  }

private:
  struct Indent {
    explicit Indent(Dumper &d) : d(d) { ++d.depth_; }
    ~Indent() { --d.depth_; }
    Dumper &d;
  };

  void line(const std::string &text) {
    out_.append(depth_ * 2, ' ');
    out_ += text;
    out_ += '\n';
  }

  void doc(const std::string &text) {
    for (size_t i = 0; i < text.size();) {
      size_t end = std::min(text.find('\n', i), text.size());
      line(end == i ? "///" : "/// " + text.substr(i, end - i));
      i = end + 1;
    }
  }

  void child(const std::string &what, const Expr *e) {
    line(what);
    Indent in(*this);
    expr(*e);
  }

  void decl(const char *what, const Decl &d) {
    line(fmt::format("{} {}: {}[{}]{}", what, d.name.text, d.dtype ? dtypeName(*d.dtype) : "", dims(d.dims),
                     d.promise ? " in " + d.promise->text : ""));
    Indent in(*this);
    if (d.defaultValue)
      child("default", d.defaultValue);
  }

  void body(const std::vector<Stmt> &stmts) {
    for (const Stmt &s : stmts) {
      switch (s.kind) {
      case StmtKind::Axis:
        line("axis " + dims(s.axes));
        continue;
      case StmtKind::Param:
        line("param " + s.names[0].text + (s.dtype ? fmt::format(": {}", dtypeName(*s.dtype)) : ""));
        break;
      case StmtKind::Require:
        line("require" + (s.message ? " " + quotedString(*s.message) : ""));
        break;
      case StmtKind::Equation:
        line("equation " + names(s.names, ", ") + (s.hasAnnotation ? ": [" + dims(s.annotation) + "]" : ""));
        break;
      }
      Indent in(*this);
      expr(*s.value);
      if (s.init)
        child("init", s.init);
    }
  }

  void expr(const Expr &e) {
    line(head(e));
    Indent in(*this);
    for (const Expr *a : e.args)
      expr(*a);
    for (const Subst &s : e.substs) {
      if (s.axis)
        child(text(*s.axis) + " :=", s.value);
      else
        child("at", s.value);
    }
  }

  std::string out_;
  size_t depth_ = 0;
};

} // namespace

std::string dumpAst(const ast::File &file) { return Dumper().run(file); }

} // namespace attnc
