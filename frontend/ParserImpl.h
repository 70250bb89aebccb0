//===- The parser's parts (private to Parser*.cpp, the border with ANTLR) -===//
//
//   ParserTokens.cpp  text -> tokens: limits, characters, brackets; splits the file into items at its top-level
//   keywords Parser.cpp        tokens -> ANTLR's tree -> Ast.h. Stops at the first syntax error and knows nothing about
//   it ParserErrors.cpp  only then: parses item by item and statement by statement, and says what is wrong where
//
// These are the only files that include antlr4: its headers undefine EOF and its code throws.
//===----------------------------------------------------------------------===//
#pragma once
#include "frontend/AttnLexer.h"
#include "frontend/AttnParser.h"
#include "frontend/Diagnostic.h"
#include <antlr4-runtime.h>
#include <optional>
#include <set>

namespace attnc::syntax {

using attnc_grammar::AttnLexer;
using P = attnc_grammar::AttnParser;

struct Tok {
  size_t type = 0;
  uint32_t begin = 0, end = 0; ///< bytes
  unsigned line = 0;
  bool firstOnLine = false;
  unsigned level = 0; ///< brackets open before it, inside its item
  int match = -1;     ///< the other bracket
};

/// The tokens from one top-level keyword to the next.
struct Item {
  size_t begin = 0, end = 0;
  /// A token that is wrong by itself was reported: parsing the item would only repeat it.
  bool broken = false;
  int unclosed = -1; ///< a bracket that is not closed, unreported: the parser may find a better place
  int stray = -1;    ///< a closing bracket that does not fit, unreported
};

struct Tokens {
  const Source *source = nullptr;
  std::vector<Tok> toks; ///< the last one is the end of the file
  std::vector<Item> items;
  std::vector<std::pair<size_t, Span>> docs; ///< `///` comments, with the token that follows
  std::unique_ptr<antlr4::CommonTokenStream> stream;

  Span span(size_t first, size_t last) const { return {source, toks[first].begin, toks[last].end}; }
  Span span(size_t tok) const { return span(tok, tok); }
  std::string_view text(size_t tok) const {
    return source->text().substr(toks[tok].begin, toks[tok].end - toks[tok].begin);
  }

  // Owners of what the stream reads.
  std::unique_ptr<antlr4::ANTLRInputStream> input;
  std::unique_ptr<AttnLexer> lexer;
  std::unique_ptr<antlr4::ListTokenSource> list;
};

/// Operators inside each other that an expression may have; what reads the tree recurses this deep.
constexpr unsigned maxDepth = 1000;

/// Null after an error that leaves nothing to parse; other errors are reported and mark their item.
std::unique_ptr<Tokens> tokenize(const Source &source, Diagnostics &diags);

/// Stops at the first error and remembers what the parser could have gone on with.
class StopAtError : public antlr4::BailErrorStrategy {
public:
  bool explaining = false; ///< look closer, at the price of time
  bool failed = false;
  size_t tok = 0;
  std::set<size_t> expected;
  std::vector<size_t> rules; ///< innermost first

  void reportError(antlr4::Parser *parser, const antlr4::RecognitionException &e) override;
  antlr4::Token *recoverInline(antlr4::Parser *parser) override;
  void sync(antlr4::Parser *parser) override;

private:
  void remember(antlr4::Parser *parser, antlr4::Token *at);
};

/// Finds and reports the syntax errors of a file that did not parse.
void explainErrors(Tokens &tokens, P &parser, StopAtError &stop, Diagnostics &diags);

/// Counts what of the grammar a file uses.
void tallyProductions(P &parser, antlr4::ParserRuleContext *root);

/// "`x`", "a string", "the end of the file": a token in a sentence.
std::string quoted(const Tokens &tokens, size_t tok);

} // namespace attnc::syntax
