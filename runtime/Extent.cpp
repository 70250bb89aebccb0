//===- Extent expressions: folding, equality, text ------------------------===//
//
// Equality puts + - * into a polynomial: a map from products of *atoms* to coefficients, where an atom is a symbol or
// an operator that polynomials do not know (div, %, min, ...), named by the canonical text of its operands. Two extents
// are equal when these maps are. Coefficients wrap, as the values do, so equality of polynomials implies equality of
// values.
//===----------------------------------------------------------------------===//
#include "runtime/Extent.h"
#include <algorithm>
#include <cctype>
#include <map>

namespace attnc {

//===- Arithmetic ---------------------------------------------------------===//

static int64_t wrapAdd(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
static int64_t wrapSub(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}
static int64_t wrapMul(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}

int64_t floorDiv(int64_t a, int64_t b) {
  if (b == 0)
    return 0;
  if (b == -1)
    return wrapSub(0, a); // INT64_MIN / -1 traps on x86
  int64_t q = a / b;
  return q * b != a && (a < 0) != (b < 0) ? q - 1 : q;
}

int64_t floorMod(int64_t a, int64_t b) {
  if (b == 0 || b == -1)
    return 0;
  int64_t r = a % b;
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

int64_t ilog2(int64_t x) {
  int64_t r = 0;
  while (x > 1) {
    x >>= 1;
    ++r;
  }
  return r;
}

/// The operators are applied from left to right when there are more than two operands.
static int64_t apply(ExtentOp op, int64_t a, int64_t b) {
  switch (op) {
  case ExtentOp::Add:
    return wrapAdd(a, b);
  case ExtentOp::Sub:
    return wrapSub(a, b);
  case ExtentOp::Mul:
    return wrapMul(a, b);
  case ExtentOp::Div:
    return floorDiv(a, b);
  case ExtentOp::Mod:
    return floorMod(a, b);
  case ExtentOp::Min:
    return std::min(a, b);
  case ExtentOp::Max:
    return std::max(a, b);
  case ExtentOp::Lt:
    return a < b;
  case ExtentOp::Le:
    return a <= b;
  case ExtentOp::Gt:
    return a > b;
  case ExtentOp::Ge:
    return a >= b;
  case ExtentOp::Eq:
    return a == b;
  case ExtentOp::Ne:
    return a != b;
  case ExtentOp::And:
    return a != 0 && b != 0;
  case ExtentOp::Or:
    return a != 0 || b != 0;
  default:
    return 0;
  }
}

static int64_t applyUnary(ExtentOp op, int64_t a) {
  switch (op) {
  case ExtentOp::Ilog2:
    return ilog2(a);
  case ExtentOp::Not:
    return a == 0;
  case ExtentOp::Sub:
    return wrapSub(0, a);
  default:
    return a;
  }
}

//===- Canonical polynomials ----------------------------------------------===//

namespace {
using Monomial = std::vector<std::string>; // sorted atoms
using Poly = std::map<Monomial, int64_t>;
constexpr size_t kMaxTerms = 256; // beyond that a product stays an atom

std::string polyKey(const Poly &p) {
  std::string s;
  for (auto &[m, c] : p) {
    s += '{' + std::to_string(c);
    for (const std::string &atom : m)
      s += '*' + atom;
    s += '}';
  }
  return s;
}

void addTerm(Poly &p, const Monomial &m, int64_t c) {
  int64_t &slot = p[m];
  slot = wrapAdd(slot, c);
  if (slot == 0)
    p.erase(m);
}

/// Of one expression and all in it: parts that are used twice at many levels are looked at once.
using Polys = std::map<const Extent *, Poly>;
const Poly &toPoly(const ExtentRef &e, Polys &known);
Poly toPoly(const ExtentRef &e) {
  Polys known;
  return toPoly(e, known);
}

Poly atomOf(const ExtentRef &e, Polys &known) {
  std::vector<std::string> keys;
  for (const ExtentRef &a : e->args)
    keys.push_back(polyKey(toPoly(a, known)));
  ExtentOp op = e->op;
  if (op == ExtentOp::Gt || op == ExtentOp::Ge) { // one spelling for both directions
    std::reverse(keys.begin(), keys.end());
    op = op == ExtentOp::Gt ? ExtentOp::Lt : ExtentOp::Le;
  }
  switch (op) {
  case ExtentOp::Mul:
  case ExtentOp::Min:
  case ExtentOp::Max:
  case ExtentOp::Eq:
  case ExtentOp::Ne:
  case ExtentOp::And:
  case ExtentOp::Or:
    std::sort(keys.begin(), keys.end());
    break;
  default:
    break;
  }
  std::string atom = "(" + std::to_string(static_cast<int>(op));
  for (const std::string &k : keys)
    atom += ' ' + k;
  Poly p;
  p[{atom + ')'}] = 1;
  return p;
}

Poly polyOf(const ExtentRef &e, Polys &known) {
  Poly p;
  switch (e->op) {
  case ExtentOp::Const:
    if (e->value != 0)
      p[{}] = e->value;
    return p;
  case ExtentOp::Symbol:
    p[{"s" + std::to_string(e->symbol)}] = 1;
    return p;
  case ExtentOp::Add:
  case ExtentOp::Sub:
    for (size_t i = 0; i < e->args.size(); ++i) {
      bool minus = e->op == ExtentOp::Sub && (i > 0 || e->args.size() == 1);
      for (auto &[m, c] : toPoly(e->args[i], known))
        addTerm(p, m, minus ? wrapSub(0, c) : c);
    }
    return p;
  case ExtentOp::Mul: {
    p[{}] = 1;
    for (const ExtentRef &a : e->args) {
      const Poly &q = toPoly(a, known);
      Poly r;
      if (p.size() * q.size() > kMaxTerms)
        return atomOf(e, known);
      for (auto &[m1, c1] : p)
        for (auto &[m2, c2] : q) {
          Monomial m(m1);
          m.insert(m.end(), m2.begin(), m2.end());
          std::sort(m.begin(), m.end());
          addTerm(r, m, wrapMul(c1, c2));
        }
      p = std::move(r);
    }
    return p;
  }
  default:
    return atomOf(e, known);
  }
}

const Poly &toPoly(const ExtentRef &e, Polys &known) {
  auto at = known.find(e.get());
  if (at == known.end())
    at = known.emplace(e.get(), polyOf(e, known)).first;
  return at->second;
}

bool isSum(ExtentOp op) { return op == ExtentOp::Add || op == ExtentOp::Sub || op == ExtentOp::Mul; }
} // namespace

bool extentEqual(const ExtentRef &a, const ExtentRef &b) {
  if (a == b)
    return true;
  if (!isSum(a->op) && !isSum(b->op) &&
      (a->op == ExtentOp::Const || a->op == ExtentOp::Symbol || b->op == ExtentOp::Const || b->op == ExtentOp::Symbol))
    return a->op == b->op && a->value == b->value && a->symbol == b->symbol;
  return toPoly(a) == toPoly(b);
}

bool extentLinear(const ExtentRef &e, int symbol, int64_t &factor, int64_t &rest) {
  factor = rest = 0;
  std::string atom = "s" + std::to_string(symbol);
  for (auto &[m, c] : toPoly(e)) {
    if (m.empty())
      rest = c;
    else if (m.size() == 1 && m[0] == atom)
      factor = c;
    else
      return false;
  }
  return true;
}

//===- Building -----------------------------------------------------------===//

ExtentRef extentConst(int64_t value) {
  auto e = std::make_shared<Extent>();
  e->value = value;
  return e;
}

ExtentRef extentSymbol(int symbol) {
  auto e = std::make_shared<Extent>();
  e->op = ExtentOp::Symbol;
  e->symbol = symbol;
  return e;
}

std::optional<int64_t> extentAsConst(const ExtentRef &e) {
  if (e && e->op == ExtentOp::Const)
    return e->value;
  return std::nullopt;
}

ExtentRef extentMake(ExtentOp op, std::vector<ExtentRef> args) {
  bool allConst = true;
  for (const ExtentRef &a : args)
    allConst &= a->op == ExtentOp::Const;
  if (allConst && !args.empty()) {
    if (args.size() == 1)
      return extentConst(applyUnary(op, args[0]->value));
    int64_t v = args[0]->value;
    for (size_t i = 1; i < args.size(); ++i)
      v = apply(op, v, args[i]->value);
    return extentConst(v);
  }
  if (args.size() == 2) {
    const ExtentRef &a = args[0], &b = args[1];
    auto ca = extentAsConst(a), cb = extentAsConst(b);
    switch (op) {
    case ExtentOp::Add:
      if (ca == 0)
        return b;
      if (cb == 0)
        return a;
      // (x + 1) + 2: one constant, at the end.
      if (cb && a->op == ExtentOp::Add && a->args.size() == 2)
        if (auto inner = extentAsConst(a->args[1]))
          return extentMake(op, {a->args[0], extentConst(wrapAdd(*inner, *cb))});
      break;
    case ExtentOp::Sub:
      if (cb == 0)
        return a;
      {
        Poly p = toPoly(a);
        for (auto &[m, c] : toPoly(b))
          addTerm(p, m, wrapSub(0, c));
        if (p.empty())
          return extentConst(0);
        if (p.size() == 1 && p.begin()->first.empty())
          return extentConst(p.begin()->second);
      }
      break;
    case ExtentOp::Mul:
      if (ca == 0 || cb == 0)
        return extentConst(0);
      if (ca == 1)
        return b;
      if (cb == 1)
        return a;
      break;
    case ExtentOp::Div:
      if (cb == 1)
        return a;
      if (cb == 0 || ca == 0)
        return extentConst(0);
      break;
    case ExtentOp::Mod:
      if (cb == 1 || cb == 0 || ca == 0)
        return extentConst(0);
      break;
    case ExtentOp::Min:
    case ExtentOp::Max:
      if (extentEqual(a, b))
        return a;
      break;
    case ExtentOp::Le:
    case ExtentOp::Ge:
    case ExtentOp::Eq:
      if (extentEqual(a, b))
        return extentConst(1);
      break;
    case ExtentOp::Lt:
    case ExtentOp::Gt:
    case ExtentOp::Ne:
      if (extentEqual(a, b))
        return extentConst(0);
      break;
    case ExtentOp::And:
      if (ca == 0 || cb == 0)
        return extentConst(0);
      break;
    case ExtentOp::Or:
      if ((ca && *ca != 0) || (cb && *cb != 0))
        return extentConst(1);
      break;
    default:
      break;
    }
  }
  auto e = std::make_shared<Extent>();
  e->op = op;
  e->args = std::move(args);
  return e;
}

//===- Evaluating ---------------------------------------------------------===//

namespace {
/// What a function of an expression gives for its parts: those that are used twice at many levels are looked at once.
/// The first parts are not worth remembering.
template <typename Result> class Parts {
public:
  template <typename Find> Result of(const ExtentRef &e, Find find) {
    constexpr int kFew = 64;
    if (++seen_ <= kFew)
      return find();
    if (auto at = known_.find(e.get()); at != known_.end())
      return at->second;
    Result result = find();
    known_[e.get()] = result;
    return result;
  }

private:
  int seen_ = 0;
  std::map<const Extent *, Result> known_;
};

std::optional<int64_t> eval(const ExtentRef &e, const std::vector<int64_t> &symbols,
                            Parts<std::optional<int64_t>> &parts) {
  if (e->op == ExtentOp::Const)
    return e->value;
  if (e->op == ExtentOp::Symbol) {
    if (e->symbol < 0 || e->symbol >= static_cast<int>(symbols.size()) || symbols[e->symbol] == -1)
      return std::nullopt;
    return symbols[e->symbol];
  }
  return parts.of(e, [&]() -> std::optional<int64_t> {
    std::optional<int64_t> v;
    for (size_t i = 0; i < e->args.size(); ++i) {
      std::optional<int64_t> a = eval(e->args[i], symbols, parts);
      if (!a)
        return std::nullopt;
      if (e->args.size() == 1)
        return applyUnary(e->op, *a);
      v = i == 0 ? *a : apply(e->op, *v, *a);
    }
    return v;
  });
}

ExtentRef specialise(const ExtentRef &e, const std::vector<int64_t> &values, Parts<ExtentRef> &parts) {
  if (e->op == ExtentOp::Const)
    return e;
  if (e->op == ExtentOp::Symbol) {
    bool known = e->symbol >= 0 && e->symbol < static_cast<int>(values.size()) && values[e->symbol] >= 0;
    return known ? extentConst(values[e->symbol]) : e;
  }
  return parts.of(e, [&] {
    std::vector<ExtentRef> args;
    for (const ExtentRef &a : e->args)
      args.push_back(specialise(a, values, parts));
    return extentMake(e->op, std::move(args));
  });
}

bool uses(const ExtentRef &e, int symbol, Parts<bool> &parts) {
  if (e->op == ExtentOp::Symbol)
    return e->symbol == symbol;
  return parts.of(e, [&] {
    return std::any_of(e->args.begin(), e->args.end(), [&](const ExtentRef &a) { return uses(a, symbol, parts); });
  });
}
} // namespace

std::optional<int64_t> extentEval(const ExtentRef &e, const std::vector<int64_t> &symbols) {
  Parts<std::optional<int64_t>> parts;
  return eval(e, symbols, parts);
}

ExtentRef extentSpecialise(const ExtentRef &e, const std::vector<int64_t> &values) {
  Parts<ExtentRef> parts;
  return specialise(e, values, parts);
}

bool extentUses(const ExtentRef &e, int symbol) {
  Parts<bool> parts;
  return uses(e, symbol, parts);
}

//===- Text ---------------------------------------------------------------===//

namespace {
// Loosest first, as in the language.
enum Level { kOr, kAnd, kNot, kCompare, kSum, kProduct, kUnary, kPrimary };

Level levelOf(const Extent &e) {
  switch (e.op) {
  case ExtentOp::Or:
    return kOr;
  case ExtentOp::And:
    return kAnd;
  case ExtentOp::Not:
    return kNot;
  case ExtentOp::Lt:
  case ExtentOp::Le:
  case ExtentOp::Gt:
  case ExtentOp::Ge:
  case ExtentOp::Eq:
  case ExtentOp::Ne:
    return kCompare;
  case ExtentOp::Add:
    return kSum;
  case ExtentOp::Sub:
    return e.args.size() == 1 ? kUnary : kSum;
  case ExtentOp::Mul:
  case ExtentOp::Div:
  case ExtentOp::Mod:
    return kProduct;
  case ExtentOp::Const:
    return e.value < 0 ? kUnary : kPrimary;
  default:
    return kPrimary;
  }
}

const char *wordOf(ExtentOp op) {
  switch (op) {
  case ExtentOp::Add:
    return "+";
  case ExtentOp::Sub:
    return "-";
  case ExtentOp::Mul:
    return "*";
  case ExtentOp::Div:
    return "div";
  case ExtentOp::Mod:
    return "%";
  case ExtentOp::Min:
    return "min";
  case ExtentOp::Max:
    return "max";
  case ExtentOp::Ilog2:
    return "ilog2";
  case ExtentOp::Lt:
    return "<";
  case ExtentOp::Le:
    return "<=";
  case ExtentOp::Gt:
    return ">";
  case ExtentOp::Ge:
    return ">=";
  case ExtentOp::Eq:
    return "==";
  case ExtentOp::Ne:
    return "!=";
  case ExtentOp::And:
    return "and";
  case ExtentOp::Or:
    return "or";
  case ExtentOp::Not:
    return "not";
  default:
    return "?";
  }
}

void write(std::string &s, const Extent &e, const std::vector<std::string> &names, int least) {
  int level = levelOf(e);
  bool parens = level < least;
  if (parens)
    s += '(';
  switch (e.op) {
  case ExtentOp::Const:
    s += std::to_string(e.value);
    break;
  case ExtentOp::Symbol:
    s += e.symbol >= 0 && e.symbol < static_cast<int>(names.size()) ? names[e.symbol] : "?" + std::to_string(e.symbol);
    break;
  case ExtentOp::Min:
  case ExtentOp::Max:
  case ExtentOp::Ilog2:
    s += wordOf(e.op);
    s += '(';
    for (size_t i = 0; i < e.args.size(); ++i) {
      s += i ? ", " : "";
      write(s, *e.args[i], names, kOr);
    }
    s += ')';
    break;
  default:
    if (e.args.size() == 1) {
      s += e.op == ExtentOp::Not ? "not " : "-";
      write(s, *e.args[0], names, level + (e.op == ExtentOp::Not ? 0 : 1));
      break;
    }
    for (size_t i = 0; i < e.args.size(); ++i) {
      if (i) {
        s += ' ';
        s += wordOf(e.op);
        s += ' ';
      }
      // Left to right; comparisons do not chain here, so both sides are tighter.
      write(s, *e.args[i], names, i == 0 && level != kCompare ? level : level + 1);
    }
  }
  if (parens)
    s += ')';
}

class Parser {
public:
  Parser(std::string_view text, const std::vector<std::string> &names) : text_(text), names_(names) {}
  std::optional<ExtentRef> parse() {
    ExtentRef e = level(kOr);
    skip();
    if (!e || at_ != text_.size())
      return std::nullopt;
    return e;
  }

private:
  void skip() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])))
      ++at_;
  }
  static bool isWord(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '\'' || c == '.';
  }
  std::string_view peek() {
    skip();
    size_t end = at_;
    if (end < text_.size() && isWord(text_[end]))
      while (end < text_.size() && isWord(text_[end]))
        ++end;
    else if (end < text_.size())
      end += end + 1 < text_.size() && text_[end + 1] == '=' &&
                     std::string_view("<>=!").find(text_[end]) != std::string_view::npos
                 ? 2
                 : 1;
    return text_.substr(at_, end - at_);
  }
  bool accept(std::string_view token) {
    if (peek() != token)
      return false;
    at_ += token.size();
    return true;
  }
  ExtentRef level(int l) {
    if (++depth_ > 4096)
      return nullptr;
    ExtentRef e = levelInner(l);
    --depth_;
    return e;
  }
  ExtentRef levelInner(int l) {
    static const std::vector<ExtentOp> binary[] = {
        {ExtentOp::Or},
        {ExtentOp::And},
        {},
        {ExtentOp::Le, ExtentOp::Ge, ExtentOp::Eq, ExtentOp::Ne, ExtentOp::Lt, ExtentOp::Gt},
        {ExtentOp::Add, ExtentOp::Sub},
        {ExtentOp::Mul, ExtentOp::Div, ExtentOp::Mod}};
    if (l == kNot) {
      if (!accept("not"))
        return level(kCompare);
      ExtentRef e = level(kNot);
      return e ? extentMake(ExtentOp::Not, {e}) : nullptr;
    }
    if (l == kUnary) {
      if (!accept("-"))
        return level(kPrimary);
      std::string_view token = peek();
      if (!token.empty() && std::isdigit(static_cast<unsigned char>(token[0])))
        return number(true);
      ExtentRef e = level(kUnary);
      return e ? extentMake(ExtentOp::Sub, {extentConst(0), e}) : nullptr;
    }
    if (l == kPrimary)
      return primary();
    ExtentRef e = level(l + 1);
    while (e) {
      const ExtentOp *found = nullptr;
      for (const ExtentOp &op : binary[l])
        if (accept(wordOf(op))) {
          found = &op;
          break;
        }
      if (!found)
        break;
      ExtentRef right = level(l + 1);
      if (!right)
        return nullptr;
      e = extentMake(*found, {e, right});
    }
    return e;
  }
  ExtentRef number(bool negative) {
    std::string_view token = peek();
    uint64_t v = 0, limit = static_cast<uint64_t>(INT64_MAX) + (negative ? 1 : 0);
    for (char c : token) {
      if (!std::isdigit(static_cast<unsigned char>(c)) || v > (limit - (c - '0')) / 10)
        return nullptr;
      v = v * 10 + (c - '0');
    }
    at_ += token.size();
    return extentConst(static_cast<int64_t>(negative ? 0 - v : v));
  }
  ExtentRef primary() {
    if (accept("(")) {
      ExtentRef e = level(kOr);
      return e && accept(")") ? e : nullptr;
    }
    std::string_view token = peek();
    if (token.empty() || !isWord(token[0]))
      return nullptr;
    if (std::isdigit(static_cast<unsigned char>(token[0])))
      return number(false);
    at_ += token.size();
    for (ExtentOp op : {ExtentOp::Min, ExtentOp::Max, ExtentOp::Ilog2}) {
      if (token != wordOf(op) || !accept("("))
        continue;
      std::vector<ExtentRef> args;
      do {
        args.push_back(level(kOr));
        if (!args.back())
          return nullptr;
      } while (accept(","));
      if (!accept(")") || (op == ExtentOp::Ilog2) != (args.size() == 1))
        return nullptr;
      return extentMake(op, std::move(args));
    }
    for (size_t i = 0; i < names_.size(); ++i)
      if (names_[i] == token)
        return extentSymbol(static_cast<int>(i));
    return nullptr;
  }

  std::string_view text_;
  const std::vector<std::string> &names_;
  size_t at_ = 0;
  int depth_ = 0;
};
} // namespace

std::string extentText(const ExtentRef &e, const std::vector<std::string> &names) {
  std::string s;
  write(s, *e, names, kOr);
  return s;
}

std::optional<ExtentRef> extentParse(std::string_view text, const std::vector<std::string> &names) {
  return Parser(text, names).parse();
}

} // namespace attnc
