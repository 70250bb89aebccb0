//===- What is wrong with a file that does not parse ----------------------===//
//
// Each item, and in a body each statement, is parsed alone, so that one mistake gives one error and the next statement
// can be wrong too. The parser says at which token it stopped and what it could have gone on with; from that and the
// tokens around, the message is made. Two things a parser does not see are put right here: where a line ends
// unfinished,
//
//   a = x +
//   b = 3        // the parser stops at this "=", having read `x + b`
//
// the error belongs behind the "+"; and a bracket that is never closed is best reported where the text stops making
// sense.
//===----------------------------------------------------------------------===//
#include "frontend/Foreign.h"
#include "frontend/ParserImpl.h"
#include "runtime/DType.h"
#include <fmt/format.h>

namespace attnc::syntax {

void StopAtError::remember(antlr4::Parser *parser, antlr4::Token *at) {
  if (failed)
    return;
  failed = true;
  tok = at->getTokenIndex();
  antlr4::misc::IntervalSet set = parser->getExpectedTokens();
  for (const antlr4::misc::Interval &i : set.getIntervals())
    for (ssize_t t = i.a; t <= i.b; ++t)
      expected.insert(size_t(t));
  for (antlr4::RuleContext *c = parser->getContext(); c; c = static_cast<antlr4::RuleContext *>(c->parent))
    rules.push_back(c->getRuleIndex());
}

void StopAtError::reportError(antlr4::Parser *parser, const antlr4::RecognitionException &e) {
  remember(parser, e.getOffendingToken());
}

antlr4::Token *StopAtError::recoverInline(antlr4::Parser *parser) {
  remember(parser, parser->getCurrentToken());
  throw antlr4::ParseCancellationException();
}

/// Called where the parser is about to choose. Complaining here, and not where the choice has led, names all that could
/// follow.
void StopAtError::sync(antlr4::Parser *parser) {
  if (!explaining)
    return;
  antlr4::misc::IntervalSet set = parser->getExpectedTokens();
  // The end of the file stands for "whatever may follow this piece".
  if (set.contains(parser->getInputStream()->LA(1)) || set.contains(antlr4::Token::EOF))
    return;
  remember(parser, parser->getCurrentToken());
  throw antlr4::ParseCancellationException();
}

std::string quoted(const Tokens &tokens, size_t tok) {
  size_t type = tokens.toks[tok].type;
  if (type == antlr4::Token::EOF)
    return "the end of the file";
  if (type == P::STRING)
    return "a string";
  std::string_view text = tokens.text(tok);
  return text.size() <= 40 ? fmt::format("`{}`", text) : fmt::format("`{}...`", text.substr(0, 37));
}

namespace {

bool isKeyword(size_t t) { return t >= P::IMPORT && t <= P::UNDERSCORE; }
bool isStatementKeyword(size_t t) { return t == P::AXIS || t == P::PARAM || t == P::REQUIRE || t == P::RETURN; }
bool isOperator(size_t t) {
  return (t >= P::PLUS && t <= P::NE) || t == P::WHERE || t == P::IF || t == P::DIV || t == P::AND || t == P::OR;
}
/// An expression must follow.
bool needsOperand(size_t t) {
  return isOperator(t) || t == P::NOT || t == P::ELSE || t == P::EQUAL || t == P::ASSIGN || t == P::INIT;
}

class Explainer {
public:
  Explainer(Tokens &tokens, P &parser, StopAtError &stop, Diagnostics &diags)
      : t_(tokens), toks_(tokens.toks), parser_(parser), stop_(stop), diags_(diags) {}

  void run() {
    size_t before = diags_.errorCount();
    bool broken = false;
    stop_.explaining = true;
    for (Item &item : t_.items) {
      if (diags_.full())
        return;
      broken = broken || item.broken;
      if (item.broken)
        continue;
      item_ = &item;
      halted_ = false;
      explainItem();
      if (!halted_)
        reportBracket();
    }
    if (diags_.errorCount() == before &&
        !broken) // the whole failed and every part passes: cannot be, but must not be silent
      diags_.report(Msg::A013, t_.span(toks_.size() - 1), {quoted(t_, toks_.size() - 1)});
  }

private:
  // --- driving the parser --------------------------------------------------

  /// Parses one rule at a token. The token behind it, or nothing after an error, which `stop_` then describes.
  template <typename Rule> std::optional<size_t> tryRule(size_t at, Rule rule) {
    stop_.failed = false;
    stop_.expected.clear();
    stop_.rules.clear();
    parser_.reset();
    parser_.setState(antlr4::atn::ATNState::INVALID_STATE_NUMBER); // reset() leaves the last error's
    t_.stream->seek(at);
    try {
      rule();
      return t_.stream->index();
    } catch (const antlr4::ParseCancellationException &) {
      return std::nullopt;
    }
  }

  void explainItem() {
    size_t at = item_->begin;
    std::optional<size_t> next;
    switch (type(at)) {
    case P::IMPORT:
      next = tryRule(at, [&] { parser_.importDecl(); });
      break;
    case P::SCHEDULE:
      next = tryRule(at, [&] { parser_.schedule(); });
      break;
    case P::FN:
      next = tryRule(at, [&] { parser_.fnHead(); });
      if (next && type(*next) == P::EQUAL) {
        next = tryRule(*next + 1, [&] { parser_.expr(0); });
        break;
      }
      explainBlock(next, {P::EQUAL, P::LBRACE});
      return;
    case P::MIXER:
      next = tryRule(at, [&] { parser_.mixerHead(); });
      explainBlock(next, {P::LBRACE});
      return;
    default: {
      Diagnostic &d = fail(Msg::A013, at, {quoted(t_, at)});
      std::string near = nearestName(t_.text(at), {"import", "fn", "mixer", "schedule"});
      if (type(at) == P::HASH)
        d.withHelp(commentHelp);
      else
        d.withHelp(near.empty() ? std::string(insteadOfItem(t_.text(at))) : fmt::format("did you mean `{}`?", near));
      return;
    }
    }
    if (!next)
      explain();
    else
      expectEnd(*next);
  }

  /// The part in braces; the head was right if `next` is set.
  void explainBlock(std::optional<size_t> next, std::set<size_t> expected) {
    if (next && type(*next) != P::LBRACE) {
      stop_.tok = *next;
      stop_.expected = std::move(expected);
      next.reset();
    }
    if (!next) {
      explain();
      if (halted_)
        return;
      // Go on in the body, if it can be found.
      size_t i = item_->begin;
      while (i < item_->end && !(type(i) == P::LBRACE && toks_[i].level == 0))
        ++i;
      if (i >= item_->end || strayIn(item_->begin, i)) {
        halted_ = true;
        return;
      }
      next = i;
    }
    explainBody(*next);
  }

  void explainBody(size_t open) {
    bool isFn = type(item_->begin) == P::FN, returned = false, good = true, afterExpr = false;
    size_t i = open + 1;
    bodyLevel_ = toks_[open].level + 1;
    while (!halted_ && !diags_.full()) {
      size_t now = i < item_->end ? type(i) : size_t(antlr4::Token::EOF);
      if (now == antlr4::Token::EOF) {
        reportBracket();
        return;
      }
      if (now == P::SEMI) {
        ++i;
        afterExpr = false;
        continue;
      }
      if (now == P::RBRACE) {
        if (isFn && !returned && good)
          fail(Msg::A016, i).withHelp("end the body with `return` and the result");
        expectEnd(i + 1);
        return;
      }
      std::optional<size_t> next;
      stop_.tok = i;
      if (item_->stray >= 0 && i >= size_t(item_->stray)) {
        reportBracket();
        return;
      }
      if (afterExpr && lineEndsBadly()) {
        explain();
        i -= 2;
      } else if (now == P::RETURN && isFn && !returned) {
        next = tryRule(i, [&] { parser_.results(); });
        returned = true;
      } else if (now == P::RETURN && !isFn) {
        fail(Msg::A017, i);
      } else if (now == P::NAME || now == P::AXIS || now == P::PARAM || now == P::REQUIRE) {
        if (returned) {
          fail(Msg::A012, i, {"`}`", "`return`", quoted(t_, i)}).withHelp("`return` stands at the end");
        } else {
          next = tryRule(i, [&] { parser_.stmt(); });
          if (!next && now == P::NAME && afterExpr && !toks_[i].firstOnLine && !lineEndsBadly())
            failBetween(i);
          else if (!next)
            explain();
        }
      } else if (isKeyword(now) && looksLikeName(i)) {
        fail(Msg::A010, i, {std::string(t_.text(i))});
      } else if (now == P::EQUAL && afterExpr) {
        fail(Msg::A023, i);
      } else if (afterExpr) {
        Diagnostic &d = fail(Msg::A012, i, {"an operator or a statement", quoted(t_, i - 1), quoted(t_, i)});
        if (now == P::BAR)
          d.withHelp("did you mean `or`?");
        else
          helpForToken(d, now, true);
      } else {
        Diagnostic &d = fail(Msg::A014, i, {quoted(t_, i)});
        if (now == P::HASH || (now == P::SLASH && type(i + 1) == P::STAR))
          d.withHelp(commentHelp);
        else
          d.withHelp(std::string(insteadOfStatement(t_.text(i))));
      }
      if (now == P::RETURN && isFn && !next)
        explain();
      if (next) {
        afterExpr = now != P::AXIS;
        i = *next;
      } else {
        good = false;
        afterExpr = false;
        size_t from = i;
        i = nextStatement(i);
        halted_ = halted_ || strayIn(from, i); // one mistake, most likely
      }
    }
  }

  void failBetween(size_t i) {
    Diagnostic &d = fail(Msg::A015, i, {quoted(t_, i - 1), quoted(t_, i)});
    if (t_.text(i) == "as")
      d.withHelp("a cast is written `f32(x)`");
  }

  void expectEnd(size_t at) {
    if (at >= item_->end || halted_)
      return;
    Diagnostic &d = fail(Msg::A013, at, {quoted(t_, at)});
    if (type(at - 1) == P::RBRACE)
      d.note(t_.span(at - 1), "the body ends here");
    halted_ = true;
  }

  /// The next token behind `i` that surely starts a statement, or the end of the body.
  size_t nextStatement(size_t i) const {
    for (++i; i < item_->end; ++i) {
      if (type(i) == P::RBRACE && toks_[i].level < bodyLevel_)
        return i;
      if (toks_[i].level == bodyLevel_ && (toks_[i].firstOnLine || type(i - 1) == P::SEMI) && startsStatement(i))
        return i;
    }
    return i;
  }

  bool strayIn(size_t from, size_t to) const {
    return item_->stray >= 0 && from <= size_t(item_->stray) && size_t(item_->stray) < to;
  }

  // --- looking at tokens -----------------------------------------------------

  size_t type(size_t i) const { return i < toks_.size() ? toks_[i].type : size_t(antlr4::Token::EOF); }

  /// `a = `, `a, b = `, `a: [`, `axis`, ...
  bool startsStatement(size_t i) const {
    if (isStatementKeyword(type(i)))
      return true;
    if (type(i) != P::NAME)
      return false;
    while (type(i + 1) == P::COMMA && type(i + 2) == P::NAME)
      i += 2;
    return type(i + 1) == P::EQUAL || type(i + 1) == P::COLON;
  }

  /// A keyword used as if it were a name: `in = x`.
  bool looksLikeName(size_t i) const {
    size_t next = type(i + 1);
    return next == P::EQUAL || next == P::COLON || next == P::COMMA;
  }

  /// Whether the text before token `i` is a line that breaks off there.
  bool endsLine(size_t i) const {
    if (i == 0 || i <= item_->begin)
      return false;
    if (i >= item_->end)
      return true;
    return toks_[i].firstOnLine && (type(i) == P::RBRACE || startsStatement(i));
  }

  /// For an unfinished line the parser ran on into the next statement: moves the error back to where the line ended.
  bool lineEndsBadly() {
    size_t start = stop_.tok;
    if (type(start) != P::EQUAL && type(start) != P::COMMA && type(start) != P::COLON)
      return false;
    --start;
    if (start <= item_->begin + 1 || type(start) != P::NAME || !toks_[start].firstOnLine || !startsStatement(start) ||
        !needsOperand(type(start - 1)) || (toks_[start].level != bodyLevel_ && item_->unclosed < 0))
      return false;
    stop_.tok = start;
    stop_.expected = {P::INT, P::REAL, P::NAME};
    return true;
  }

  bool inRule(size_t rule) const { return !stop_.rules.empty() && stop_.rules.front() == rule; }
  /// Directly in the brackets of a read, not in a call within them.
  bool inSubst() const {
    for (size_t rule : stop_.rules)
      if (rule == P::RuleReads || rule == P::RuleCall)
        return rule == P::RuleReads;
    return false;
  }
  bool expects(size_t t) const { return stop_.expected.count(t) > 0; }

  /// The innermost bracket that is open at a token.
  int openerOf(size_t tok) const {
    int depth = 0;
    for (size_t i = tok; i-- > item_->begin;) {
      size_t t = type(i);
      if (t == P::RPAREN || t == P::RSQUARE || t == P::RBRACE)
        ++depth;
      else if ((t == P::LPAREN || t == P::LTUPLE || t == P::LSQUARE || t == P::LBRACE) && depth-- == 0)
        return int(i);
    }
    return -1;
  }

  // --- messages ----------------------------------------------------------------

  /// Reports at a token. An error that an unclosed or stray bracket may have caused is the item's last.
  Diagnostic &fail(Msg id, size_t tok, const std::vector<std::string> &args = {}) {
    return fail(id, tok, t_.span(std::min(tok, toks_.size() - 1)), args);
  }
  Diagnostic &fail(Msg id, size_t tok, Span at, const std::vector<std::string> &args) {
    if ((item_->unclosed >= 0 && tok >= size_t(item_->unclosed)) || (item_->stray >= 0 && tok >= size_t(item_->stray)))
      halted_ = true;
    return diags_.report(id, at, args);
  }

  void reportBracket() {
    if (halted_)
      return;
    halted_ = true;
    if (item_->stray >= 0) {
      size_t at = item_->stray;
      int opener = openerOf(at);
      if (opener < 0 || type(opener) == P::LBRACE)
        diags_.report(Msg::A024, t_.span(at), {std::string(t_.text(at))});
      else
        diags_.report(Msg::A025, t_.span(at), {std::string(t_.text(at)), std::string(t_.text(opener))})
            .note(t_.span(opener), "opened here");
    } else if (item_->unclosed >= 0) {
      size_t at = item_->unclosed;
      auto &d = diags_.report(Msg::A009, t_.span(at), {std::string(t_.text(at))});
      if (item_->end + 1 < toks_.size())
        d.note(t_.span(item_->end), fmt::format("still open before this {}", quoted(t_, item_->end)));
      size_t last = at;
      while (last + 1 < toks_.size() && toks_[last + 1].line == toks_[at].line)
        ++last;
      noteComment(d, last);
    } else {
      halted_ = false;
    }
  }

  /// Where and what the token that cannot stand here is; at the end of a line that breaks off, the place behind it.
  std::pair<Span, std::string> found(size_t tok) const {
    if (!endsLine(tok))
      return {t_.span(tok), quoted(t_, tok)};
    Span at = t_.span(tok - 1);
    at.begin = at.end;
    bool last = tok >= item_->end;
    return {at, !last ? "the end of the line" : tok + 1 >= toks_.size() ? "the end of the file" : quoted(t_, tok)};
  }

  /// Where the text behind a token is a comment that closes a bracket, `//` was meant to divide.
  void noteComment(Diagnostic &d, size_t tok) const {
    std::string_view text = t_.source->text();
    size_t begin = toks_[tok].end;
    std::string_view line = text.substr(begin, text.find('\n', begin) - begin);
    size_t slashes = line.find_first_not_of(" \t");
    if (slashes == line.npos || line.substr(slashes, 2) != "//" || line.find_first_of(")]", slashes) == line.npos)
      return;
    begin += slashes;
    d.note({t_.source, unsigned(begin), unsigned(begin + 2)}, "`//` starts a comment; integer division is `div`");
  }

  std::string before(size_t tok) const { return quoted(t_, tok > 0 ? tok - 1 : 0); }

  void explain() {
    lineEndsBadly();
    stop_.tok = std::min(stop_.tok, item_->end);
    size_t tok = stop_.tok, now = type(tok);
    bool exprNext = expects(P::REAL), operatorNext = expects(P::PLUS);

    if (item_->stray >= 0 && tok >= size_t(item_->stray)) {
      reportBracket();
      return;
    }
    // Nothing but the end of the item is wrong: then the bracket is what is missing.
    if (tok >= item_->end && item_->unclosed >= 0 && !exprNext) {
      reportBracket();
      return;
    }
    auto [at, what] = found(tok);
    if ((now == P::EQUAL || now == P::COLON) && operatorNext && inSubst()) {
      Diagnostic &d = fail(Msg::A022, tok, {std::string(t_.text(tok))});
      if (now == P::COLON && (type(tok - 1) == P::INT || type(tok + 1) == P::RSQUARE || type(tok + 1) == P::COMMA))
        d.withHelp("there are no slices: `x[t := t + 1]` over an axis that is one shorter");
    } else if (now == P::EQUAL && operatorNext) {
      Diagnostic &d = fail(Msg::A023, tok);
      if (inCall(tok) && type(tok - 1) == P::NAME && (type(tok - 2) == P::COMMA || type(tok - 2) == P::LPAREN))
        d.withHelp(argumentHelp);
    } else if (operatorNext && expects(P::ELSE)) {
      Diagnostic &d = fail(Msg::A018, tok, at, {});
      if (int i = ifBefore(tok); i >= 0)
        d.withLabel("expected `else` here").note(t_.span(i), "the `if`");
    } else if (now == P::NAME && inRule(P::RuleAnnotation) && dtypeFromName(t_.text(tok))) {
      fail(Msg::A019, tok).withHelp(fmt::format("cast the value: `{}(...)`", t_.text(tok)));
    } else if (exprNext) {
      Diagnostic &d = fail(Msg::A011, tok, at, {before(tok), what});
      if (!endsLine(tok))
        helpForOperand(d, now);
    } else if (expects(P::NAME) && isKeyword(now) && !operatorNext) {
      fail(Msg::A010, tok, {std::string(t_.text(tok))});
    } else {
      Diagnostic &d = fail(Msg::A012, tok, at, {expectedWords(), before(tok), what});
      int opener = openerOf(tok);
      if (opener >= 0 && type(opener) != P::LBRACE && tok > 0)
        noteComment(d, tok - 1);
      if (opener >= 0 && type(opener) != P::LBRACE && toks_[opener].line != toks_[tok > 0 ? tok - 1 : 0].line)
        d.note(t_.span(opener), "opened here");
      if (!endsLine(tok))
        helpForToken(d, now);
    }
  }

  int ifBefore(size_t tok) const {
    for (size_t i = tok; i-- > item_->begin;)
      if (type(i) == P::IF && toks_[i].level <= toks_[tok - 1].level)
        return int(i);
    return -1;
  }

  /// Directly in the parentheses of a call.
  bool inCall(size_t tok) const {
    int opener = openerOf(tok);
    return opener > 0 && type(opener) == P::LPAREN && (type(opener - 1) == P::CALLEE || type(opener - 1) == P::RSQUARE);
  }

  void helpForOperand(Diagnostic &d, size_t now) const {
    size_t tok = stop_.tok;
    int opener = openerOf(tok);
    bool inRead = opener >= 0 && type(opener) == P::LSQUARE;
    if (now == P::PLUS)
      d.withHelp("there is no unary `+`: leave it out");
    else if (now == P::STRING && opener > 0 && !insteadOfFunction(t_.text(opener - 1)).empty())
      d.withHelp(std::string(insteadOfFunction(t_.text(opener - 1))));
    else if (now == P::STRING)
      d.withHelp("strings stand only after `import` and in `require`");
    else if (now == P::COLON && inRead)
      d.withHelp("axes that are not named stay whole: name the one that is read, as in `x[t := 0]`");
    else if (now == P::IF || now == P::WHERE)
      d.withHelp(now == P::IF ? "`a if condition else b`" : "`x where condition`, or `a if condition else b`");
    else if (now == P::BAR)
      d.withHelp("`abs(x)`, or `norm[d](x)` along an axis");
    else if (now == P::LSQUARE || now == P::LBRACE)
      d.withHelp("there are no lists: a tensor is an input, or comes from an equation with named axes");
    else if (isKeyword(now) && !isOperator(now) && now != P::ELSE) {
      d.withLabel("a reserved word");
      if (type(tok + 1) == P::EQUAL && inCall(tok))
        d.withHelp(argumentHelp);
    }
  }

  void helpForToken(Diagnostic &d, size_t now, bool afterExpr = false) const {
    size_t tok = stop_.tok;
    std::string_view word = tok > 0 ? t_.text(tok - 1) : "";
    bool begins = tok > 0 && type(tok - 1) == P::NAME && toks_[tok - 1].firstOnLine;
    if (now == P::EQ && expects(P::EQUAL))
      d.withHelp("an equation is written with one `=`");
    else if (now == P::ASSIGN && expects(P::EQUAL))
      d.withHelp("an equation is written `=`; `:=` replaces an axis, inside brackets");
    else if (expects(P::EQUAL) && begins && !insteadOfStatement(word).empty())
      d.withHelp(std::string(insteadOfStatement(word)));
    else if (now == P::HASH)
      d.withHelp(commentHelp);
    else if (expects(P::EQUAL) && (now == P::LT || now == P::ARROW || now == P::LE))
      d.withHelp("an equation is written with `=`");
    else if (expects(P::EQUAL) && begins && type(tok + 1) == P::EQUAL)
      d.withHelp(fmt::format("a name has one equation; a running sum is `{0} = {0}[t-1] + ...`", word));
    else if (now == P::LBRACE && (afterExpr || expects(P::PLUS)))
      d.withHelp("an index stands in square brackets, as in `x[t-1]`");
    else if (now == P::NAME && inRule(P::RuleAnnotation))
      d.withHelp("an equation names its axes, `y: [t] = ...`; a cast is `f32(...)`");
    else if (now == P::NAME && tok > 0 && type(tok - 1) == P::ARROW)
      d.withHelp("outputs stand in parentheses, as in `-> (o: [t, d])`");
    else if (now == P::INT && (inRule(P::RuleDims) || inRule(P::RuleDim)))
      d.withHelp(fmt::format("every dim has a name: `u:{}`, or none of it where nothing has that axis", t_.text(tok)));
    else if (now == P::COMMA && afterExpr)
      d.withHelp("each name has an equation of its own; only a function gives several results");
  }

  static constexpr const char *commentHelp = "a comment starts with `//`";
  static constexpr const char *argumentHelp =
      "arguments have no names, and axes stand in brackets, as in `softmax[j](s)`";

  /// "an operator, `,` or `)`": what could stand here, for a reader.
  std::string expectedWords() const {
    std::vector<std::string> words;
    bool operatorNext = expects(P::PLUS);
    if ((inRule(P::RuleHint) || inRule(P::RuleSchedule)) && type(stop_.tok - 1) == P::NAME &&
        type(stop_.tok - 2) == P::NAME && expects(P::RBRACE))
      return "`=`"; // `tile i 64`: after two names nothing else makes sense
    if (expects(P::INT) && expects(P::NAME))
      words.push_back("an extent");
    else if (expects(P::NAME))
      words.push_back(inRule(P::RuleDims) || inRule(P::RuleDim) || inRule(P::RuleParts) || inRule(P::RuleAxis) ||
                              inRule(P::RuleAxisArg) || inRule(P::RuleAxisArgs) || inRule(P::RuleTuple)
                          ? "an axis"
                      : inRule(P::RuleSchedule) && expects(P::RBRACE) ? "a hint"
                                                                      : "a name");
    else if (expects(P::INT))
      words.push_back("an integer");
    if (expects(P::STRING))
      words.push_back("a string");
    if (operatorNext)
      words.push_back("an operator");
    if (expects(P::EQUAL) && expects(P::COLON) && inRule(P::RuleStmt))
      return "`=`"; // "`:`" and "`,`" are possible too, but hardly what is missing
    bool dimEnds = expects(P::COMMA) && (inRule(P::RuleDim) || inRule(P::RuleDims));
    auto covered = [&](size_t t) {
      return t == P::NAME || t == P::INT || t == P::STRING || t == P::CALLEE || t == P::LTUPLE || t == P::LASTCOMMA ||
             t == P::SEMI || (dimEnds && (t == P::COLON || t == P::EQUAL)) || t == antlr4::Token::EOF ||
             (operatorNext && (isOperator(t) || t == P::LSQUARE || t == P::ASSIGN)) ||
             (expects(P::INT) && (t == P::HASH || t == P::LPAREN));
    };
    auto isLast = [](size_t t) { return t == P::COMMA || t == P::RPAREN || t == P::RSQUARE || t == P::RBRACE; };
    for (size_t t : stop_.expected)
      if (!covered(t) && !isLast(t))
        words.push_back(literal(t));
    for (size_t t : {P::COMMA, P::RPAREN, P::RSQUARE, P::RBRACE})
      if (expects(t))
        words.push_back(literal(t));
    if (words.empty())
      words.push_back("something else");
    std::string out = words[0];
    for (size_t i = 1; i < words.size(); ++i)
      out += (i + 1 == words.size() ? " or " : ", ") + words[i];
    return out;
  }

  std::string literal(size_t t) const {
    std::string name = parser_.getVocabulary().getLiteralName(t); // 'x'
    return name.size() > 2 ? fmt::format("`{}`", name.substr(1, name.size() - 2))
                           : parser_.getVocabulary().getSymbolicName(t);
  }

  Tokens &t_;
  const std::vector<Tok> &toks_;
  P &parser_;
  StopAtError &stop_;
  Diagnostics &diags_;
  Item *item_ = nullptr;
  unsigned bodyLevel_ = 0;
  bool halted_ = false; ///< what follows in this item cannot be trusted
};

} // namespace

void explainErrors(Tokens &tokens, P &parser, StopAtError &stop, Diagnostics &diags) {
  Explainer(tokens, parser, stop, diags).run();
}

} // namespace attnc::syntax
