//===- Which productions of the grammar a text uses -----------------------===//
//
// "grammar: RULE PART": a tree has a node of RULE with PART below it, a token or another rule. What there is to count
// is read off ANTLR's automaton, so the grammar is the only list.
//===----------------------------------------------------------------------===//
#include "frontend/ParserImpl.h"
#include "runtime/Tally.h"

namespace attnc::syntax {

namespace {

class Productions {
public:
  explicit Productions(P &parser) : parser_(parser) {
    for (antlr4::atn::ATNState *state : parser.getATN().states)
      for (antlr4::atn::Transition *t : state->transitions) {
        if (t->getSerializationType() == antlr4::atn::Transition::RULE)
          add(state->ruleIndex, rule(t->target->ruleIndex), 0);
        else if (!t->isEpsilon())
          for (ssize_t token : t->label().toList())
            add(state->ruleIndex, this->token(static_cast<size_t>(token)), 0);
      }
  }

  void count(antlr4::ParserRuleContext *root) {
    std::vector<antlr4::ParserRuleContext *> todo{root};
    while (!todo.empty()) {
      antlr4::ParserRuleContext *node = todo.back();
      todo.pop_back();
      for (antlr4::tree::ParseTree *child : node->children) {
        if (auto *inner = dynamic_cast<antlr4::ParserRuleContext *>(child)) {
          add(node->getRuleIndex(), rule(inner->getRuleIndex()), 1);
          todo.push_back(inner);
        } else if (auto *leaf = dynamic_cast<antlr4::tree::TerminalNode *>(child)) {
          add(node->getRuleIndex(), token(leaf->getSymbol()->getType()), 1);
        }
      }
    }
  }

private:
  std::string rule(size_t index) const { return parser_.getRuleNames()[index]; }
  std::string token(size_t type) const { return parser_.getVocabulary().getSymbolicName(type); }
  void add(size_t in, const std::string &part, uint64_t times) { tally("grammar: " + rule(in) + " " + part, times); }

  P &parser_;
};

} // namespace

void tallyProductions(P &parser, antlr4::ParserRuleContext *root) {
  if (tallying())
    Productions(parser).count(root);
}

} // namespace attnc::syntax
