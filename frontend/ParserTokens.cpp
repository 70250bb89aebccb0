//===- Text to tokens -----------------------------------------------------===//
//
// Everything that can be known before parsing: that the text is text, that no bracket or operator nests deeper than the
// parser's stack bears, which bracket belongs to which, and which names are called.
//===----------------------------------------------------------------------===//
#include "frontend/Foreign.h"
#include "frontend/ParserImpl.h"
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fmt/format.h>
#include <set>

namespace attnc::syntax {

namespace {

constexpr size_t maxBytes = 1 << 20;
constexpr unsigned maxBrackets = 256;
/// Operators that make the parser recurse: unary ones, `**`, `if`.
constexpr unsigned maxRecursion = 256;
/// Operators of one expression, whatever their nesting; keeps absurd texts from taking seconds.
constexpr unsigned maxOperators = 20000;

bool isOpening(size_t t) { return t == P::LPAREN || t == P::LSQUARE || t == P::LBRACE; }
bool isClosing(size_t t) { return t == P::RPAREN || t == P::RSQUARE || t == P::RBRACE; }
size_t closingOf(size_t t) { return t == P::LPAREN ? P::RPAREN : t == P::LSQUARE ? P::RSQUARE : P::RBRACE; }
bool isItemKeyword(size_t t) { return t == P::IMPORT || t == P::FN || t == P::MIXER || t == P::SCHEDULE; }

bool endsOperand(size_t t) {
  switch (t) {
  case P::NAME:
  case P::INT:
  case P::REAL:
  case P::STRING:
  case P::TRUE:
  case P::FALSE:
  case P::INF:
  case P::PI:
  case P::LAST:
  case P::RPAREN:
  case P::RSQUARE:
    return true;
  default:
    return false;
  }
}

/// Refuses what is not text: bad UTF-8, control characters. Offsets in bytes.
bool checkText(const Source &source, Diagnostics &diags) {
  std::string_view text = source.text();
  if (text.size() > maxBytes) {
    diags.report(Msg::A001, {&source, 0, 0}, {std::to_string(text.size())});
    return false;
  }
  for (size_t i = 0; i < text.size();) {
    unsigned char c = text[i];
    if (c < 0x80) {
      if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7F) {
        diags.report(Msg::A002, {&source, uint32_t(i), uint32_t(i + 1)},
                     {fmt::format("byte {} is the control character 0x{:02x}", i, c)});
        return false;
      }
      ++i;
      continue;
    }
    unsigned more = c >= 0xF0 && c <= 0xF4 ? 3 : c >= 0xE0 && c < 0xF0 ? 2 : c >= 0xC2 && c < 0xE0 ? 1 : 0;
    char32_t value = c & (0x3F >> more);
    bool good = more > 0 && i + more < text.size();
    for (unsigned k = 1; good && k <= more; ++k) {
      unsigned char d = text[i + k];
      good = (d & 0xC0) == 0x80;
      value = value << 6 | (d & 0x3F);
    }
    // Overlong forms, surrogates, past the last code point.
    good = good && !(more == 2 && value < 0x800) && !(more == 3 && (value < 0x10000 || value > 0x10FFFF)) &&
           !(value >= 0xD800 && value <= 0xDFFF);
    if (!good) {
      diags
          .report(Msg::A002, {&source, uint32_t(i), uint32_t(i + 1)},
                  {fmt::format("byte {} (0x{:02x}) is not valid UTF-8", i, c)})
          .withHelp("save the file as UTF-8");
      return false;
    }
    i += more + 1;
  }
  return true;
}

/// A character with its number unless ASCII: some look like a letter and are none.
std::string shown(std::string_view character) {
  unsigned char c = character[0];
  if (c < 0x80)
    return fmt::format("`{}`", character);
  unsigned value = c & (0x7F >> character.size());
  for (size_t i = 1; i < character.size(); ++i)
    value = value << 6 | (character[i] & 0x3F);
  return fmt::format("`{}` (U+{:04X})", character, value);
}

/// Counts how deep the parser would recurse. One per open bracket, outermost first.
class Recursion {
public:
  /// False: too deep. `previous` is the token before.
  bool add(size_t type, size_t previous) {
    Level &l = levels_.back();
    switch (type) {
    case P::COMMA:
    case P::EQUAL:
    case P::ASSIGN:
    case P::SEMI:
    case P::BAR:
    case P::INIT:
    case P::AXIS:
    case P::PARAM:
    case P::REQUIRE:
    case P::RETURN:
    case P::IMPORT:
    case P::FN:
    case P::MIXER:
    case P::SCHEDULE:
      total_ -= l.tight + l.nots + l.ifs;
      l = {};
      return true;
    case P::POW:
      ++l.tight, ++total_;
      break;
    case P::NOT:
      ++l.nots, ++total_;
      break;
    case P::MINUS:
      if (!endsOperand(previous)) {
        ++l.tight, ++total_;
        break;
      }
      [[fallthrough]];
    case P::PLUS:
    case P::STAR:
    case P::SLASH:
    case P::DIV:
    case P::PERCENT:
    case P::LT:
    case P::LE:
    case P::GT:
    case P::GE:
    case P::EQ:
    case P::NE:
      total_ -= l.tight;
      l.tight = 0;
      break;
    case P::AND:
    case P::OR:
    case P::WHERE:
    case P::ELSE:
    case P::IF:
      total_ -= l.tight + l.nots;
      l.tight = l.nots = 0;
      if (type == P::IF)
        ++l.ifs, ++total_;
      break;
    default:
      return true;
    }
    return total_ <= maxRecursion && ++l.operators <= maxOperators;
  }
  void open() { levels_.emplace_back(); }
  void close() {
    Level &l = levels_.back();
    total_ -= l.tight + l.nots + l.ifs;
    if (levels_.size() > 1)
      levels_.pop_back();
    else
      l = {};
  }
  bool tooManyOperators() const { return levels_.back().operators > maxOperators; }

private:
  struct Level {
    unsigned tight = 0, nots = 0, ifs = 0, operators = 0;
  };
  std::vector<Level> levels_{1};
  unsigned total_ = 0;
};

class Tokenizer {
public:
  Tokenizer(const Source &source, Diagnostics &diags) : source_(source), diags_(diags) {}

  std::unique_ptr<Tokens> run() {
    if (!checkText(source_, diags_))
      return nullptr;
    t_ = std::make_unique<Tokens>();
    t_->source = &source_;
    // ANTLR swallows a byte order mark; its positions then count from behind it.
    bool mark = source_.text().substr(0, 3) == "\xEF\xBB\xBF";
    shift_ = mark ? 1 : 0;
    t_->input = std::make_unique<antlr4::ANTLRInputStream>(std::string(source_.text().substr(mark ? 3 : 0)));
    t_->lexer = std::make_unique<AttnLexer>(t_->input.get());
    t_->lexer->removeErrorListeners();
    if (!lex())
      return nullptr;
    splitItems();
    for (Item &item : t_->items)
      matchBrackets(item);
    reportBadTokens();
    warnOfDivision();
    if (diags_.full())
      return nullptr;
    retag();
    t_->list = std::make_unique<antlr4::ListTokenSource>(std::move(antlr_));
    t_->stream = std::make_unique<antlr4::CommonTokenStream>(t_->list.get());
    t_->stream->fill();
    return std::move(t_);
  }

private:
  bool lex() {
    Recursion recursion;
    unsigned brackets = 0, lastLine = 0;
    size_t previous = 0;
    while (true) {
      std::unique_ptr<antlr4::Token> token = t_->lexer->nextToken();
      Tok tok;
      tok.type = token->getType();
      bool end = tok.type == antlr4::Token::EOF;
      tok.begin = end ? source_.text().size() : source_.byteOffset(token->getStartIndex() + shift_);
      tok.end = end ? tok.begin : source_.byteOffset(token->getStopIndex() + 1 + shift_);
      tok.line = token->getLine();
      if (tok.type == P::DOC) {
        t_->docs.push_back({t_->toks.size(), {&source_, tok.begin, tok.end}});
        continue;
      }
      tok.firstOnLine = tok.line != lastLine;
      lastLine = tok.line;
      Span at{&source_, tok.begin, tok.end};
      if (isOpening(tok.type)) {
        recursion.open();
        if (++brackets > maxBrackets) {
          diags_.report(Msg::A006, at);
          return false;
        }
      } else if (isClosing(tok.type)) {
        recursion.close();
        brackets -= brackets > 0;
      } else if (!recursion.add(tok.type, previous)) {
        diags_.report(Msg::A007, at, {std::to_string(recursion.tooManyOperators() ? maxDepth : maxRecursion)})
            .withHelp("give parts of it names of their own");
        return false;
      }
      previous = tok.type;
      t_->toks.push_back(tok);
      antlr_.push_back(std::move(token));
      if (end)
        return true;
    }
  }

  size_t type(size_t i) const { return i < t_->toks.size() ? t_->toks[i].type : size_t(antlr4::Token::EOF); }

  /// A keyword that opens an item even where brackets are still open: so an unclosed bracket spoils one item only.
  bool surelyOpensItem(size_t i) const {
    if (!t_->toks[i].firstOnLine)
      return false;
    switch (type(i)) {
    case P::IMPORT:
      return type(i + 1) == P::STRING;
    case P::FN:
      return type(i + 1) == P::NAME && (type(i + 2) == P::LPAREN || type(i + 2) == P::LSQUARE);
    case P::MIXER:
      return type(i + 1) == P::NAME && type(i + 2) == P::LPAREN;
    case P::SCHEDULE:
      return type(i + 1) == P::NAME && type(i + 2) == P::NAME;
    default:
      return false;
    }
  }

  void splitItems() {
    auto &toks = t_->toks;
    size_t last = toks.size() - 1;
    int depth = 0;
    for (size_t i = 0; i < last; ++i) {
      bool opens = isItemKeyword(type(i)) && (depth <= 0 || surelyOpensItem(i));
      if (opens || t_->items.empty()) {
        if (!t_->items.empty())
          t_->items.back().end = i;
        t_->items.emplace_back();
        t_->items.back().begin = i;
        depth = 0;
      }
      depth += isOpening(type(i));
      depth -= isClosing(type(i));
    }
    if (!t_->items.empty())
      t_->items.back().end = last;
  }

  /// Pairs the brackets of an item; remembers the first that has no partner.
  void matchBrackets(Item &item) {
    auto &toks = t_->toks;
    std::vector<size_t> open;
    auto note = [&](int &slot, size_t i) {
      if (item.unclosed < 0 && item.stray < 0)
        slot = int(i);
    };
    for (size_t i = item.begin; i < item.end; ++i) {
      toks[i].level = open.size();
      if (isOpening(toks[i].type)) {
        open.push_back(i);
        continue;
      }
      if (!isClosing(toks[i].type))
        continue;
      size_t at = open.size();
      while (at > 0 && closingOf(toks[open[at - 1]].type) != toks[i].type)
        --at;
      // A "}" is surer than others: it closes its "{" whatever is open inside. Any other one that fits only further
      // out is taken for a wrong one, unless it fits at once or nothing but its own kind is skipped.
      if (at > 0 && (at == open.size() || toks[i].type == P::RBRACE)) {
        if (at < open.size())
          note(item.unclosed, open.back());
        toks[open[at - 1]].match = int(i);
        toks[i].match = int(open[at - 1]);
        open.resize(at - 1);
        toks[i].level = open.size();
      } else {
        note(item.stray, i);
        if (!open.empty() && toks[open.back()].type != P::LBRACE)
          open.pop_back();
      }
    }
    if (!open.empty())
      note(item.unclosed, open.back());
  }

  void reportBadTokens() {
    for (Item &item : t_->items)
      for (size_t i = item.begin; i < item.end && !diags_.full(); ++i) {
        std::string_view text = t_->text(i);
        switch (t_->toks[i].type) {
        case P::BAD: {
          item.broken = true;
          size_t last = i; // of a run: `&&`, ``` ``` ```
          while (last + 1 < item.end && t_->text(last + 1) == text && t_->toks[last + 1].begin == t_->toks[last].end)
            ++last;
          diags_.report(Msg::A003, t_->span(i, last), {shown(text)}).withHelp(std::string(insteadOfCharacter(text)));
          i = last;
          break;
        }
        case P::BADSTRING:
          item.broken = true;
          diags_.report(Msg::A004, t_->span(i)).withLabel("a string ends on the line where it starts");
          break;
        case P::BADNUMBER:
          item.broken = true;
          reportBadNumber(i, text);
          break;
        default:
          break;
        }
      }
  }

  /// A number that is none: digits with something else, or what follows a point.
  void reportBadNumber(size_t i, std::string_view text) {
    if (text == ".") {
      diags_.report(Msg::A003, t_->span(i), {"`.`"});
      return;
    }
    if (text[0] == '.' && (text.size() < 2 || text[1] < '0' || text[1] > '9')) {
      std::string_view receiver = i > 0 && t_->toks[i - 1].end == t_->toks[i].begin ? t_->text(i - 1) : "";
      diags_.report(Msg::A028, t_->span(i), {std::string(text)}).withHelp(insteadOfAttribute(receiver, text));
      return;
    }
    Diagnostic &d = diags_.report(Msg::A026, t_->span(i), {quoted(*t_, i)});
    std::string plain(text);
    plain.erase(std::remove(plain.begin(), plain.end(), '_'), plain.end());
    size_t digits = std::min(plain.find_first_not_of("0123456789."), plain.size());
    std::string_view rest = std::string_view(plain).substr(digits);
    char *end = nullptr;
    if (rest.empty() && std::count(plain.begin(), plain.end(), '.') <= 1)
      d.withHelp(plain);
    else if (unsigned long long value = std::strtoull(plain.c_str(), &end, 16);
             (rest[0] == 'x' || rest[0] == 'X') && plain.size() < 18 && !*end)
      d.withHelp(std::to_string(value));
    else if (rest == "e" || rest == "E")
      d.withHelp("an exponent has digits, as in `1e-6`");
    else if (rest == "f" || rest == "j" || rest == "L")
      d.withHelp(plain.substr(0, digits));
    else if (rest.find('.') == rest.npos && digits < plain.size() && digits > 0)
      d.withHelp(fmt::format("{} * {}", plain.substr(0, digits), rest));
  }

  /// `y = x // 2`: what stands behind the slashes would also do as a divisor. Whoever means a comment writes words.
  void warnOfDivision() {
    std::set<std::string_view> names;
    for (size_t i = 0; i < t_->toks.size(); ++i)
      if (type(i) == P::NAME)
        names.insert(t_->text(i));
    std::string_view all = source_.text();
    size_t equationLine = 0, unclosed = all.size(); // where a bracket is lost, the error is about it
    for (const Item &item : t_->items)
      if (item.unclosed >= 0)
        unclosed = std::min<size_t>(unclosed, t_->toks[size_t(item.unclosed)].begin);
    for (size_t i = 0; i + 1 < t_->toks.size() && !diags_.full(); ++i) {
      if (type(i) == P::EQUAL || type(i) == P::ASSIGN)
        equationLine = t_->toks[i].line;
      if (!endsOperand(type(i)) || t_->toks[i].line != equationLine || t_->toks[i].begin >= unclosed)
        continue;
      size_t begin = t_->toks[i].end, end = std::min(all.find_first_of("\r\n", begin), all.size());
      size_t slashes = std::min(all.find_first_not_of(" \t", begin), end);
      if (all.substr(slashes, 2) != "//" || all.substr(slashes, 3) == "///")
        continue;
      if (isDivisor(all.substr(slashes + 2, end - slashes - 2), names))
        diags_.report(Msg::A029, {&source_, uint32_t(slashes), uint32_t(slashes + 2)}).withHelp("div");
    }
  }

  /// Numbers, extents and names of this file with operators between them, and nothing else.
  static bool isDivisor(std::string_view text, const std::set<std::string_view> &names) {
    bool operandNext = true, any = false;
    for (size_t k = 0; k < text.size();) {
      char c = text[k];
      auto word = [](char w) { return std::isalnum(static_cast<unsigned char>(w)) || w == '_' || w == '\''; };
      if (c == ' ' || c == '\t' || c == '(' || c == ')' || c == '#') {
        ++k;
      } else if (word(c)) {
        size_t from = k;
        while (k < text.size() && word(text[k]))
          ++k;
        std::string_view w = text.substr(from, k - from);
        bool number = w.find_first_not_of("0123456789") == w.npos;
        if (!operandNext || (!number && !names.count(w)))
          return false;
        operandNext = false;
        any = true;
      } else if (std::string_view("+-*/%").find(c) != std::string_view::npos) {
        if (operandNext)
          return false;
        operandNext = true;
        ++k;
      } else {
        return false;
      }
    }
    return any && !operandNext;
  }

  /// Gives CALLEE, LTUPLE and LASTCOMMA their types (see Attn.g4).
  void retag() {
    auto &toks = t_->toks;
    auto set = [&](size_t i, size_t type) {
      toks[i].type = type;
      static_cast<antlr4::WritableToken &>(*antlr_[i]).setType(type);
    };
    std::set<size_t> callParens;
    for (size_t i = 0; i + 1 < toks.size(); ++i) {
      if (type(i) != P::NAME)
        continue;
      size_t next = i + 1;
      if (type(next) == P::LSQUARE && toks[next].match > 0)
        next = toks[next].match + 1;
      if (type(next) != P::LPAREN)
        continue;
      set(i, P::CALLEE);
      callParens.insert(next);
    }
    for (size_t i = 0; i + 1 < toks.size(); ++i) {
      if (type(i) == P::LPAREN && type(i + 1) == P::NAME && type(i + 2) == P::NAME && !callParens.count(i) &&
          (i == 0 || type(i - 1) != P::ARROW))
        set(i, P::LTUPLE);
      else if (type(i) == P::COMMA && (type(i + 1) == P::RPAREN || type(i + 1) == P::RSQUARE))
        set(i, P::LASTCOMMA);
    }
  }

  const Source &source_;
  Diagnostics &diags_;
  std::unique_ptr<Tokens> t_;
  std::vector<std::unique_ptr<antlr4::Token>> antlr_;
  size_t shift_ = 0;
};

} // namespace

std::unique_ptr<Tokens> tokenize(const Source &source, Diagnostics &diags) { return Tokenizer(source, diags).run(); }

} // namespace attnc::syntax
