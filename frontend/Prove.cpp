//===- What follows from facts: inequalities, conditions ------------------===//
#include "frontend/Prove.h"

namespace attnc {

bool Prover::nonNegative(const Poly &p) {
  steps_ = 0;
  return nonNegative(p, facts_, 0);
}

bool Prover::nonNegative(const Poly &p, const Facts &facts, int depth) {
  if (++steps_ > 4000 || depth > 10)
    return false;
  if (direct(p))
    return true;
  for (auto &[m, c] : p) {
    for (int id : m) {
      const Atom &a = atoms_[id];
      if (a.kind != AtomKind::Min && a.kind != AtomKind::Max && a.kind != AtomKind::Select)
        continue;
      int64_t sign = c;
      if (m.size() != 1)
        return false;
      // The facts speak of the same case; one that contradicts them needs no proof.
      auto inCase = [&](const Poly &value, const Facts &more) {
        Facts all;
        for (const Facts *from : {&facts, &more})
          for (const Poly &f : *from) {
            all.push_back(substitute(f, id, value));
            if (direct(add(add({}, all.back(), -1), constant(-1))))
              return true;
          }
        return nonNegative(substitute(p, id, value), all, depth + 1);
      };
      if (a.kind == AtomKind::Select) {
        for (int side = 0; side < 2; ++side)
          for (Facts &more : consequences(a.cond, side == 0, 0))
            if (!inCase(a.args[side], more))
              return false;
        return true;
      }
      bool every = (a.kind == AtomKind::Min) == (sign > 0);
      for (size_t k = 0; k < a.args.size(); ++k) {
        Facts more;
        for (size_t j = 0; every && j < a.args.size(); ++j)
          if (j != k) // this case is the one where args[k] is the extreme
            more.push_back(a.kind == AtomKind::Min ? add(a.args[j], a.args[k], -1) : add(a.args[k], a.args[j], -1));
        // Where one of them is enough it is a bound, not a case: the facts stay.
        bool ok = every ? inCase(a.args[k], more) : nonNegative(substitute(p, id, a.args[k]), facts, depth + 1);
        if (ok && !every)
          return true;
        if (!ok && every)
          return false;
      }
      return every;
    }
  }
  for (size_t i = 0; i < facts.size(); ++i) {
    Poly q = add(p, facts[i], -1);
    if (direct(q))
      return true;
    for (auto &[m, f] : facts[i]) // as often as cancels a term: chunks of c positions
      if (auto it = p.find(m); !m.empty() && it != p.end() && it->second / f > 1 && it->second % f == 0 &&
                               direct(add(p, facts[i], -(it->second / f))))
        return true;
    for (size_t j = 0; j < facts.size(); ++j)
      if (direct(add(q, facts[j], -1)))
        return true;
    if (depth < 2) {
      // A fact may itself hold a min or max (a bound of a ragged chunk).
      for (auto &[m, c] : facts[i])
        for (int id : m)
          if (atoms_[id].kind == AtomKind::Min || atoms_[id].kind == AtomKind::Max) {
            if (nonNegative(q, Facts{}, depth + 4))
              return true;
            break;
          }
    }
  }
  return false;
}

std::vector<Prover::Facts> Prover::consequences(const Node *n, bool positive, int depth) {
  constexpr int kDeep = 20, kVisits = 2048; // conditions that use others twice have many paths
  visits_ = depth ? visits_ + 1 : 0;
  if (depth > kDeep || visits_ > kVisits)
    return {Facts{}};
  if (n->op == Op::Tensor)
    if (const Node *b = bodyOf(n))
      return consequences(b, positive, depth + 1);
  if (n->op == Op::Where && positive)
    return consequences(n->args[0], positive, depth + 1);
  if (n->op != Op::Map)
    return {Facts{}};
  switch (n->fn) {
  case Fn::Not:
    return consequences(n->args[0], !positive, depth + 1);
  case Fn::And:
  case Fn::Or: {
    auto a = consequences(n->args[0], positive, depth + 1), b = consequences(n->args[1], positive, depth + 1);
    bool both = (n->fn == Fn::And) == positive;
    if (!both) {
      a.insert(a.end(), b.begin(), b.end());
      return a.size() > 16 ? std::vector<Facts>{Facts{}} : a;
    }
    std::vector<Facts> out;
    for (const Facts &x : a)
      for (const Facts &y : b) {
        Facts xy = x;
        xy.insert(xy.end(), y.begin(), y.end());
        out.push_back(xy);
      }
    return out.size() > 16 ? std::vector<Facts>{Facts{}} : out;
  }
  default:
    break;
  }
  bool ints = n->args.size() == 2 && n->args[0]->kind != Kind::Real && n->args[1]->kind != Kind::Real;
  if (!ints)
    return {Facts{}};
  auto diff = [&](int i, int j, int64_t c) { return add(add(poly(n->args[i]), poly(n->args[j]), -1), constant(c)); };
  switch (n->fn) { // facts: polynomials >= 0
  case Fn::Lt:
    return {{positive ? diff(1, 0, -1) : diff(0, 1, 0)}};
  case Fn::Le:
    return {{positive ? diff(1, 0, 0) : diff(0, 1, -1)}};
  case Fn::Gt:
    return {{positive ? diff(0, 1, -1) : diff(1, 0, 0)}};
  case Fn::Ge:
    return {{positive ? diff(0, 1, 0) : diff(1, 0, -1)}};
  case Fn::Eq:
  case Fn::Ne:
    if (positive == (n->fn == Fn::Eq))
      return {{diff(0, 1, 0), diff(1, 0, 0)}};
    return {{diff(0, 1, -1)}, {diff(1, 0, -1)}};
  default:
    return {Facts{}};
  }
}

bool Prover::provable(const Node *pred) {
  steps_ = 0;
  return prove(pred, true, facts_, 0);
}

bool Prover::prove(const Node *n, bool positive, const Facts &facts, int depth) {
  if (depth > 24 || ++steps_ > 4000)
    return false;
  if (n->op == Op::Const)
    return (n->integer != 0) == positive;
  if (n->op == Op::Tensor)
    if (const Node *b = bodyOf(n))
      return prove(b, positive, facts, depth + 1);
  if (n->op != Op::Map)
    return false;
  auto under = [&](const Node *goal, bool goalSign, const Node *given, bool givenSign) {
    for (Facts &more : consequences(given, givenSign, 0)) {
      Facts all = facts;
      all.insert(all.end(), more.begin(), more.end());
      if (!prove(goal, goalSign, all, depth + 1))
        return false;
    }
    return true;
  };
  switch (n->fn) {
  case Fn::Not:
    return prove(n->args[0], !positive, facts, depth + 1);
  case Fn::And:
  case Fn::Or: {
    bool both = (n->fn == Fn::And) == positive;
    if (both)
      return prove(n->args[0], positive, facts, depth + 1) && prove(n->args[1], positive, facts, depth + 1);
    return prove(n->args[0], positive, facts, depth + 1) || prove(n->args[1], positive, facts, depth + 1) ||
           under(n->args[1], positive, n->args[0], !positive) || under(n->args[0], positive, n->args[1], !positive);
  }
  case Fn::Select:
    return under(n->args[1], positive, n->args[0], true) && under(n->args[2], positive, n->args[0], false);
  default:
    break;
  }
  if (n->args.size() != 2 || n->args[0]->kind == Kind::Real || n->args[1]->kind == Kind::Real)
    return false;
  auto diff = [&](int i, int j, int64_t c) {
    if (nonNegative(add(add(poly(n->args[i]), poly(n->args[j]), -1), constant(c)), facts, 0))
      return true;
    // Step by step, each operation by itself: a product of remainders is no sum of positions.
    Bounds x = naturalBounds(n->args[i], 0), y = naturalBounds(n->args[j], 0);
    return x.lower && y.upper && direct(add(add(*x.lower, *y.upper, -1), constant(c)));
  };
  switch (n->fn) {
  case Fn::Lt:
    return positive ? diff(1, 0, -1) : diff(0, 1, 0);
  case Fn::Le:
    return positive ? diff(1, 0, 0) : diff(0, 1, -1);
  case Fn::Gt:
    return positive ? diff(0, 1, -1) : diff(1, 0, 0);
  case Fn::Ge:
    return positive ? diff(0, 1, 0) : diff(1, 0, -1);
  case Fn::Eq:
  case Fn::Ne:
    if (positive == (n->fn == Fn::Eq))
      return diff(0, 1, 0) && diff(1, 0, 0);
    return diff(0, 1, -1) || diff(1, 0, -1);
  default:
    return false;
  }
}

void Prover::assume(const ExtentRef &e) {
  if (e->op == ExtentOp::And) {
    assume(e->args[0]);
    assume(e->args[1]);
    return;
  }
  if (e->args.size() != 2)
    return;
  // A multiple of c is c times its quotient rounded up: no chunk is short.
  if (const ExtentRef &m = e->args[0]; e->op == ExtentOp::Eq && m->op == ExtentOp::Mod &&
                                       extentEqual(e->args[1], extentConst(0)) && m->args[1]->op == ExtentOp::Const &&
                                       m->args[1]->value > 0) {
    int64_t c = m->args[1]->value;
    ExtentRef up = extentMake(ExtentOp::Add, {m->args[0], extentConst(c - 1)});
    facts_.push_back(add(poly(m->args[0]), poly(extentMake(ExtentOp::Div, {up, m->args[1]})), -c));
  }
  Poly a = poly(e->args[0]), b = poly(e->args[1]);
  switch (e->op) {
  case ExtentOp::Lt:
    facts_.push_back(add(add(b, a, -1), constant(-1)));
    break;
  case ExtentOp::Le:
    facts_.push_back(add(b, a, -1));
    break;
  case ExtentOp::Gt:
    facts_.push_back(add(add(a, b, -1), constant(-1)));
    break;
  case ExtentOp::Ge:
    facts_.push_back(add(a, b, -1));
    break;
  case ExtentOp::Eq:
    facts_.push_back(add(a, b, -1));
    facts_.push_back(add(b, a, -1));
    break;
  default:
    break;
  }
}

} // namespace attnc
