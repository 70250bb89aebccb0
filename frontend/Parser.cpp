//===- Text to syntax tree: the only border with ANTLR --------------------===//
//
// parse() runs the generated parser once over the whole file, in its fast (SLL) mode, and turns its tree into ours. A
// file with a syntax error is then parsed again piece by piece, in ParserErrors.cpp, only to find good messages.
//===----------------------------------------------------------------------===//
#include "frontend/Parser.h"
#include "frontend/Foreign.h"
#include "frontend/ParserImpl.h"
#include <cmath>
#include <fmt/format.h>
#include <unordered_map>

namespace attnc {

using namespace syntax;

namespace {

using Node = antlr4::ParserRuleContext;
using Terminal = antlr4::tree::TerminalNode;

class Builder {
public:
  Builder(const Tokens &tokens, Diagnostics &diags) : t_(tokens), diags_(diags), file_(new ast::File) {
    file_->source = tokens.source;
  }

  std::unique_ptr<ast::File> run(P::FileContext *root) {
    for (antlr4::tree::ParseTree *child : root->children) {
      if (auto *c = dynamic_cast<P::ImportDeclContext *>(child))
        file_->imports.push_back({string(c->STRING()), span(c)});
      else if (auto *c = dynamic_cast<P::FnContext *>(child))
        file_->fns.push_back(fn(c));
      else if (auto *c = dynamic_cast<P::MixerContext *>(child))
        file_->mixers.push_back(mixer(c));
      else if (auto *c = dynamic_cast<P::ScheduleContext *>(child))
        file_->schedules.push_back(schedule(c));
    }
    return std::move(file_);
  }

private:
  // --- places and leaves -------------------------------------------------

  static size_t index(antlr4::Token *t) { return t->getTokenIndex(); }
  static size_t index(Terminal *t) { return t->getSymbol()->getTokenIndex(); }
  Span span(Node *c) const {
    size_t first = index(c->start), last = c->stop ? index(c->stop) : first;
    return t_.span(first, std::max(first, last));
  }
  Span span(Terminal *t) const { return t_.span(index(t)); }
  std::string text(Terminal *t) const { return std::string(t_.text(index(t))); }

  ast::Name name(Terminal *t) const { return {text(t), span(t)}; }
  ast::Name name(P::NameContext *c) const {
    size_t i = index(c->start);
    return {std::string(t_.text(i)), t_.span(i)};
  }
  std::vector<ast::Name> names(const std::vector<Terminal *> &ts) const {
    std::vector<ast::Name> out;
    for (Terminal *t : ts)
      out.push_back(name(t));
    return out;
  }

  int64_t integer(Terminal *t) {
    std::string digits = text(t);
    errno = 0;
    long long value = std::strtoll(digits.c_str(), nullptr, 10);
    if (errno == ERANGE)
      diags_.report(Msg::A008, span(t), {quoted(t_, index(t)), "an integer of 64 bits"});
    return value;
  }

  double real(Terminal *t) {
    std::string digits = text(t);
    double value = std::strtod(digits.c_str(), nullptr);
    if (!std::isfinite(value))
      diags_.report(Msg::A008, span(t), {quoted(t_, index(t)), "a 64-bit float"}).withHelp("infinity is written `inf`");
    return value;
  }

  std::string string(Terminal *t) {
    std::string_view raw = t_.text(index(t));
    std::string out;
    for (size_t i = 1; i + 1 < raw.size(); ++i) {
      if (raw[i] != '\\') {
        out += raw[i];
        continue;
      }
      char c = raw[++i];
      if (c == 'n')
        out += '\n';
      else if (c == '"' || c == '\\')
        out += c;
      else {
        uint32_t at = t_.toks[index(t)].begin + i;
        uint32_t end = at + 1;
        while (end < t_.source->text().size() && (static_cast<unsigned char>(t_.source->text()[end]) & 0xC0) == 0x80)
          ++end;
        diags_.report(Msg::A005, {t_.source, at - 1, end}, {std::string(t_.source->text().substr(at, end - at))})
            .withHelp("strings know `\\\"`, `\\\\` and `\\n`");
      }
    }
    return out;
  }

  std::optional<DType> dtype(P::DtypeContext *c) {
    if (!c)
      return std::nullopt;
    std::string word = text(c->NAME());
    std::optional<DType> type = dtypeFromName(word);
    if (!type) {
      auto &d = diags_.report(Msg::A027, span(c), {word});
      std::string near = nearestName(word, {"f32", "f16", "bf16", "f64", "i32", "i64", "bool"});
      std::string_view other = insteadOfDtype(word);
      d.withHelp(!other.empty() ? std::string(other)
                 : near.empty() ? "dtypes are f32, f16, bf16, f64, i32, i64 and bool"
                                : fmt::format("did you mean `{}`?", near));
      return DType::F32;
    }
    return type;
  }

  std::string doc(size_t keyword) const {
    std::string out;
    auto at =
        std::lower_bound(t_.docs.begin(), t_.docs.end(), keyword, [](const auto &d, size_t k) { return d.first < k; });
    for (; at != t_.docs.end() && at->first == keyword; ++at) {
      std::string_view line = t_.source->text().substr(at->second.begin, at->second.end - at->second.begin).substr(3);
      if (!line.empty() && line[0] == ' ')
        line.remove_prefix(1);
      while (!line.empty() && (line.back() == ' ' || line.back() == '\t' || line.back() == '\r'))
        line.remove_suffix(1);
      if (!out.empty())
        out += '\n';
      out += line;
    }
    return out;
  }

  // --- dims --------------------------------------------------------------

  ast::AxisRef tuple(P::TupleContext *c) const { return {names(c->NAME()), span(c)}; }

  ast::Expr *extent(P::ExtentContext *c) {
    if (!c)
      return nullptr;
    if (P::ExprContext *inner = c->expr())
      return expr(inner);
    if (c->HASH()) {
      ast::Expr *e = make(ast::ExprKind::ExtentOf, span(c));
      e->axes = {{name(c->NAME())}, span(c->NAME())};
      return e;
    }
    if (c->INT())
      return number(c->INT());
    ast::Expr *e = make(ast::ExprKind::Name, span(c));
    e->text = text(c->NAME());
    return e;
  }

  ast::DimDecl dim(P::DimContext *c) {
    ast::DimDecl d;
    d.span = span(c);
    if (c->NAME())
      d.name = name(c->NAME());
    d.extent = extent(c->extent());
    if (P::PartsContext *parts = c->parts()) {
      for (P::AxisContext *a : parts->axis())
        d.parts.push_back({name(a->NAME()), extent(a->extent())});
      if (d.parts.size() < 2)
        diags_.report(Msg::A020, span(parts))
            .withHelp(d.name ? fmt::format("write `{}` alone, or name a second axis", d.name->text)
                             : fmt::format("write `{}` without the brackets", d.parts[0].name.text));
    }
    return d;
  }

  template <typename Contexts> std::vector<ast::DimDecl> dims(const Contexts &cs) {
    std::vector<ast::DimDecl> out;
    for (P::DimContext *c : cs)
      out.push_back(dim(c));
    return out;
  }

  // --- items -------------------------------------------------------------

  std::vector<ast::Decl> decls(P::DeclsContext *c) {
    std::vector<ast::Decl> out;
    for (P::DeclContext *d : c->decl()) {
      ast::Decl decl;
      decl.name = name(d->NAME());
      decl.dtype = dtype(d->dtype());
      decl.dims = dims(d->dims()->dim());
      if (P::PromiseContext *p = d->promise())
        decl.promise = name(p->NAME());
      if (d->expr())
        decl.defaultValue = expr(d->expr());
      decl.span = span(d);
      out.push_back(std::move(decl));
    }
    return out;
  }

  ast::Stmt stmt(P::StmtContext *c) {
    ast::Stmt s;
    s.span = span(c);
    if (auto *axis = dynamic_cast<P::AxisStmtContext *>(c)) {
      s.kind = ast::StmtKind::Axis;
      s.axes = dims(axis->dim());
    } else if (auto *param = dynamic_cast<P::ParamStmtContext *>(c)) {
      s.kind = ast::StmtKind::Param;
      s.names = {name(param->NAME())};
      s.dtype = dtype(param->dtype());
      s.value = expr(param->expr());
    } else if (auto *require = dynamic_cast<P::RequireStmtContext *>(c)) {
      s.kind = ast::StmtKind::Require;
      s.value = expr(require->expr());
      if (require->STRING())
        s.message = string(require->STRING());
    } else {
      auto *equation = static_cast<P::EquationContext *>(c);
      s.kind = ast::StmtKind::Equation;
      s.names = names(equation->NAME());
      if (P::AnnotationContext *a = equation->annotation()) {
        s.hasAnnotation = true;
        s.annotation = dims(a->dims()->dim());
      }
      s.value = expr(equation->expr(0));
      if (equation->INIT())
        s.init = expr(equation->expr(1));
    }
    return s;
  }

  ast::Fn fn(P::FnContext *c) {
    P::FnHeadContext *head = c->fnHead();
    ast::Fn f;
    f.name = name(head->name());
    f.doc = doc(index(c->start));
    f.span = span(c);
    for (Terminal *t : head->NAME()) { // axes stand before the "(", params behind it
      bool axis = index(t) < index(head->LPAREN());
      (axis ? f.axes : f.params).push_back(name(t));
    }
    for (P::StmtContext *s : c->stmt())
      f.body.push_back(stmt(s));
    if (P::ResultsContext *r = c->results())
      for (P::ExprContext *e : r->expr())
        f.results.push_back(expr(e));
    else
      f.results.push_back(expr(c->expr()));
    return f;
  }

  ast::Mixer mixer(P::MixerContext *c) {
    ast::Mixer m;
    m.name = name(c->mixerHead()->name());
    m.doc = doc(index(c->start));
    m.span = span(c);
    m.inputs = decls(c->mixerHead()->decls(0));
    m.outputs = decls(c->mixerHead()->decls(1));
    for (P::StmtContext *s : c->stmt())
      m.body.push_back(stmt(s));
    return m;
  }

  ast::Schedule schedule(P::ScheduleContext *c) {
    ast::Schedule s{name(c->NAME(0)), name(c->NAME(1)), {}, span(c)};
    for (P::HintContext *h : c->hint()) {
      ast::Hint hint{name(h->NAME()), {}};
      for (P::HintValueContext *v : h->hintValue())
        hint.values.push_back({name(v->NAME()), integer(v->INT())});
      s.hints.push_back(std::move(hint));
    }
    return s;
  }

  // --- expressions -------------------------------------------------------

  ast::Expr *make(ast::ExprKind kind, Span at) {
    file_->arena.emplace_back();
    ast::Expr *e = &file_->arena.back();
    e->kind = kind;
    e->span = at;
    return e;
  }

  /// To be called when the children are in place. What reads the tree recurses, so it may not be too deep.
  ast::Expr *done(ast::Expr *e) {
    unsigned depth = 0;
    auto look = [&](const ast::Expr *child) {
      auto it = child ? depth_.find(child) : depth_.end();
      if (it != depth_.end())
        depth = std::max(depth, it->second);
    };
    for (const ast::Expr *a : e->args)
      look(a);
    for (const ast::Subst &s : e->substs)
      look(s.value);
    for (const auto &group : e->groups)
      for (const ast::AxisArg &a : group) {
        look(a.dim.extent);
        for (const ast::AxisDecl &part : a.dim.parts)
          look(part.extent);
      }
    depth += 1 + (e->cmps.empty() ? 0 : e->cmps.size() - 1); // a chain is as deep as the `and` it stands for
    depth_[e] = depth;
    if (depth > maxDepth && !tooDeep_) {
      tooDeep_ = true;
      diags_.report(Msg::A007, e->span, {std::to_string(maxDepth)}).withHelp("give parts of it names of their own");
    }
    return e;
  }

  ast::Expr *number(Terminal *t) {
    ast::Expr *e = make(ast::ExprKind::Number, span(t));
    if (t->getSymbol()->getType() == P::INT) {
      e->integer = integer(t);
    } else {
      e->isReal = true;
      e->real = real(t);
    }
    return e;
  }

  static bool isComparison(size_t op) { return op >= P::LT && op <= P::NE; }

  /// Chains to the left (`a + a + a ...`) are walked in a loop: they may be long, while all that makes this recurse was
  /// counted.
  ast::Expr *expr(P::ExprContext *c) {
    std::vector<P::ExprContext *> chain;
    while (c->op && c->children.size() == 3 && c->op->getType() != P::POW) {
      chain.push_back(c);
      c = c->expr(0);
    }
    ast::Expr *left = tight(c);
    size_t below = 0; // operator of the chain link before
    for (auto it = chain.rbegin(); it != chain.rend(); ++it) {
      size_t op = (*it)->op->getType();
      ast::Expr *right = expr((*it)->expr(1));
      if (isComparison(op) && isComparison(below)) {
        left->cmps.push_back(comparison(op));
        left->args.push_back(right);
        left->span = span(*it);
        done(left);
      } else {
        left = binary(*it, left, right);
      }
      below = op;
    }
    return left;
  }

  static ast::CmpOp comparison(size_t op) {
    switch (op) {
    case P::LT:
      return ast::CmpOp::Lt;
    case P::LE:
      return ast::CmpOp::Le;
    case P::GT:
      return ast::CmpOp::Gt;
    case P::GE:
      return ast::CmpOp::Ge;
    case P::EQ:
      return ast::CmpOp::Eq;
    default:
      return ast::CmpOp::Ne;
    }
  }

  ast::Expr *binary(P::ExprContext *c, ast::Expr *left, ast::Expr *right) {
    ast::Expr *e = make(ast::ExprKind::Binary, span(c));
    e->args = {left, right};
    e->nameSpan = t_.span(index(c->op));
    switch (c->op->getType()) {
    case P::POW:
      e->bin = ast::BinOp::Pow;
      break;
    case P::STAR:
      e->bin = ast::BinOp::Mul;
      break;
    case P::SLASH:
      e->bin = ast::BinOp::Div;
      break;
    case P::DIV:
      e->bin = ast::BinOp::IDiv;
      break;
    case P::PERCENT:
      e->bin = ast::BinOp::Mod;
      break;
    case P::PLUS:
      e->bin = ast::BinOp::Add;
      break;
    case P::MINUS:
      e->bin = ast::BinOp::Sub;
      break;
    case P::AND:
      e->bin = ast::BinOp::And;
      break;
    case P::OR:
      e->bin = ast::BinOp::Or;
      break;
    case P::WHERE:
      e->kind = ast::ExprKind::Where;
      break;
    default:
      e->kind = ast::ExprKind::Compare;
      e->cmps = {comparison(c->op->getType())};
    }
    return done(e);
  }

  /// What is no link of a chain: operand, unary operator, `**`, `if`.
  ast::Expr *tight(P::ExprContext *c) {
    if (P::PostfixContext *p = c->postfix())
      return postfix(p);
    size_t op = c->op->getType();
    if (op == P::POW) {
      ast::Expr *base = expr(c->expr(0)), *exponent = expr(c->expr(1));
      return binary(c, base, exponent);
    }
    bool isIf = op == P::IF;
    ast::Expr *e = make(isIf ? ast::ExprKind::If : op == P::NOT ? ast::ExprKind::Not : ast::ExprKind::Neg, span(c));
    e->nameSpan = t_.span(index(c->op));
    for (P::ExprContext *child : c->expr())
      e->args.push_back(expr(child));
    return done(e);
  }

  ast::Expr *postfix(P::PostfixContext *c) {
    ast::Expr *e = primary(c->primary());
    for (P::ReadsContext *r : c->reads()) {
      ast::Expr *read = make(ast::ExprKind::Read, t_.span(index(c->start), index(r->stop)));
      read->args = {e};
      for (P::SubstContext *s : r->subst())
        read->substs.push_back(subst(s));
      e = done(read);
    }
    return e;
  }

  ast::Subst subst(P::SubstContext *c) {
    ast::Subst s;
    s.span = span(c);
    ast::Expr *first = expr(c->expr(0));
    if (!c->ASSIGN()) {
      s.value = first;
      return s;
    }
    if (first->kind == ast::ExprKind::Name)
      s.axis = ast::AxisRef{{{first->text, first->span}}, first->span};
    else if (first->kind == ast::ExprKind::Tuple)
      s.axis = first->axes;
    else
      diags_.report(Msg::A021, span(c->expr(0)));
    s.value = expr(c->expr(1));
    return s;
  }

  ast::Expr *primary(P::PrimaryContext *c) {
    if (P::CallContext *k = c->call())
      return call(k);
    if (P::ExprContext *inner = c->expr())
      return expr(inner);
    if (c->HASH() || c->tuple()) {
      ast::Expr *e = make(c->HASH() ? ast::ExprKind::ExtentOf : ast::ExprKind::Tuple, span(c));
      e->axes = c->tuple() ? tuple(c->tuple()) : ast::AxisRef{{name(c->NAME())}, span(c->NAME())};
      return e;
    }
    auto *t = static_cast<Terminal *>(c->children[0]);
    switch (t->getSymbol()->getType()) {
    case P::INT:
    case P::REAL:
      return number(t);
    case P::TRUE:
    case P::FALSE: {
      ast::Expr *e = make(ast::ExprKind::Bool, span(c));
      e->boolean = t->getSymbol()->getType() == P::TRUE;
      return e;
    }
    case P::INF:
      return make(ast::ExprKind::Inf, span(c));
    case P::PI:
      return make(ast::ExprKind::Pi, span(c));
    case P::LAST:
      return make(ast::ExprKind::Last, span(c));
    default: {
      ast::Expr *e = make(ast::ExprKind::Name, span(c));
      e->text = text(t);
      return e;
    }
    }
  }

  ast::Expr *call(P::CallContext *c) {
    ast::Expr *e = make(ast::ExprKind::Call, span(c));
    e->text = text(c->CALLEE());
    e->nameSpan = span(c->CALLEE());
    if (P::AxisArgsContext *brackets = c->axisArgs()) {
      e->hasBrackets = true;
      e->groups.emplace_back();
      for (antlr4::tree::ParseTree *child : brackets->children) {
        if (auto *arg = dynamic_cast<P::AxisArgContext *>(child))
          e->groups.back().push_back(axisArg(arg));
        else if (static_cast<Terminal *>(child)->getSymbol()->getType() == P::BAR)
          e->groups.emplace_back();
      }
    }
    for (P::ExprContext *a : c->expr())
      e->args.push_back(expr(a));
    return done(e);
  }

  ast::AxisArg axisArg(P::AxisArgContext *c) {
    ast::AxisArg a;
    a.span = span(c);
    if (c->dim()) {
      a.dim = dim(c->dim());
    } else if (c->MINUS()) {
      a.kind = ast::AxisArg::Reversed;
      a.dim.name = name(c->NAME());
      a.dim.span = span(c->NAME());
    } else {
      a.kind = ast::AxisArg::Single;
    }
    return a;
  }

  const Tokens &t_;
  Diagnostics &diags_;
  std::unique_ptr<ast::File> file_;
  std::unordered_map<const ast::Expr *, unsigned> depth_;
  bool tooDeep_ = false;
};

std::unique_ptr<ast::File> parseTokens(Tokens &tokens, bool clean, Diagnostics &diags) {
  P parser(tokens.stream.get());
  auto stop = std::make_shared<StopAtError>();
  parser.removeErrorListeners();
  parser.setErrorHandler(stop);
  // The grammar has no decision that needs the full context, so the fast mode is exact.
  parser.getInterpreter<antlr4::atn::ParserATNSimulator>()->setPredictionMode(antlr4::atn::PredictionMode::SLL);
  if (clean) {
    try {
      P::FileContext *root = parser.file();
      tallyProductions(parser, root);
      size_t before = diags.errorCount();
      std::unique_ptr<ast::File> file = Builder(tokens, diags).run(root);
      return diags.errorCount() == before ? std::move(file) : nullptr;
    } catch (const antlr4::ParseCancellationException &) {
    }
  }
  explainErrors(tokens, parser, *stop, diags);
  return nullptr;
}

} // namespace

std::unique_ptr<ast::File> parse(const Source &source, Diagnostics &diags) {
  // Only the allocator throws here, for a reason that is no fault of the text; still nothing may escape.
  try {
    size_t before = diags.errorCount();
    std::unique_ptr<Tokens> tokens = tokenize(source, diags);
    if (!tokens)
      return nullptr;
    bool clean = diags.errorCount() == before;
    for (const Item &item : tokens->items)
      clean = clean && item.unclosed < 0 && item.stray < 0;
    return parseTokens(*tokens, clean, diags);
  } catch (const std::exception &e) {
    diags.report(Msg::A002, {&source, 0, 0}, {e.what()});
    return nullptr;
  }
}

} // namespace attnc
