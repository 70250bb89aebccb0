//===- What can be proven of integer expressions --------------------------===//
//
// Polynomials over positions, extents and the results of div, %, min, max and selections, bounded by intervals. Used to
// find shifts (`t - e`, e >= 1) and to show that a value is always there. A proof fails on the safe side.
//===----------------------------------------------------------------------===//
#pragma once
#include "frontend/Program.h"
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

namespace attnc {

/// Sum of coefficient times product of atoms; the key is the sorted list of atom numbers.
using Poly = std::map<std::vector<int>, int64_t>;

class Prover {
public:
  explicit Prover(const Program &program) : p_(program) {}
  Prover(const Prover &) = delete;

  /// Symbols taken as at least 1; the others as at least 0.
  void assumePositive(std::vector<bool> symbols) {
    positive_ = std::move(symbols);
    known_ = &answers_[positive_];
  }
  /// Holds everywhere: from `require`, and that the positions of a domain exist.
  void assumeNonNegative(Poly p) { facts_.push_back(std::move(p)); }
  void assume(const ExtentRef &condition);
  void clearFacts() { facts_.clear(); }

  Poly poly(const Node *n);
  Poly poly(const ExtentRef &e);
  Poly indexPoly(AxisId a);
  static Poly add(const Poly &a, const Poly &b, int64_t scale = 1);
  static Poly constant(int64_t c);
  Poly mul(const Poly &a, const Poly &b);

  /// `pred`, a total bool node, is true wherever it is evaluated.
  bool provable(const Node *pred);
  bool nonNegative(const Poly &p);
  /// Axes whose positions occur in p.
  bool mentions(const Poly &p, AxisId a) const;

private:
  enum class AtomKind { Index, Symbol, Div, Mod, Min, Max, Select, Opaque };
  struct Atom {
    AtomKind kind;
    int id = -1; ///< axis or symbol
    std::vector<Poly> args;
    const Node *cond = nullptr;
    std::optional<Poly> lower, upper;
  };
  using Facts = std::vector<Poly>;
  // ProvePoly.cpp: integer expressions as polynomials.
  int atom(const std::string &key, Atom a);
  Poly atomPoly(int id) { return Poly{{{id}, 1}}; }
  static std::string key(const Poly &p);
  std::string nodeKey(const Node *n);
  const Node *bodyOf(const Node *tensorNode) const;
  Poly substitute(const Poly &p, int atom, const Poly &by);
  // ProveBounds.cpp: intervals.
  struct Bounds {
    std::optional<Poly> lower, upper;
    bool own = false; ///< nothing but earlier values of the recurrence whose bounds are sought
  };
  Bounds naturalBounds(const Node *n, int depth);
  Bounds boundsOfMap(const Node *n, int depth);
  std::optional<Poly> reach(const Poly &p, bool up);
  std::optional<Poly> quotient(const Poly &x, const Poly &by);
  Bounds either(const Bounds &x, const Bounds &y);
  Bounds extremeOf(bool least, const Bounds &x, const Bounds &y);
  Poly extreme(AtomKind kind, const Poly &x, const Poly &y);
  bool direct(const Poly &p); ///< p >= 0 by the bounds of what is in it
  bool directly(Poly p);
  // Prove.cpp: what follows from facts.
  bool prove(const Node *pred, bool positive, const Facts &facts, int depth);
  int visits_ = 0; ///< of consequences(), in one call from outside
  std::vector<Facts> consequences(const Node *pred, bool positive, int depth);
  bool nonNegative(const Poly &p, const Facts &facts, int depth);

  const Program &p_;
  std::deque<Atom> atoms_; ///< stay where they are when there are more
  std::map<std::string, int> byKey_;
  std::map<const Node *, Poly> memo_;
  std::vector<bool> positive_;
  struct Hash {
    size_t operator()(const Poly &p) const;
  };
  using Answers = std::unordered_map<Poly, bool, Hash>;
  /// What direct() answered, for each positive_ it was asked under: an answer depends on nothing else.
  std::map<std::vector<bool>, Answers> answers_;
  Answers *known_ = &answers_[positive_]; ///< under this one
  Facts facts_;
  std::set<int> open_;     ///< tensors whose equations are being looked at
  std::set<int> bounding_; ///< tensors whose bounds are sought
  int depth_ = 0, steps_ = 0, boundSteps_ = 0, asked_ = 0;
};

} // namespace attnc
