//===- Between which bounds a value lies ----------------------------------===//
#include "frontend/Prove.h"
#include <algorithm>
#include <utility>

namespace attnc {

namespace {
/// Answers that one prover looks for; published mixers need less than a fifth of it. Sums of many minima could ask
/// for a case per choice; a proof that is given up fails.
constexpr int kMostAnswers = 5000;
} // namespace

/// The lesser (Min) or greater (Max) of two bounds.
Poly Prover::extreme(AtomKind kind, const Poly &x, const Poly &y) {
  // What is remembered has to hold whatever extents are assumed later.
  std::vector<bool> assumed;
  assumed.swap(positive_);
  Answers *known = std::exchange(known_, &answers_[positive_]);
  bool xIsLess = direct(add(y, x, -1)), yIsLess = direct(add(x, y, -1));
  positive_.swap(assumed);
  known_ = known;
  if (xIsLess || yIsLess)
    return xIsLess == (kind == AtomKind::Min) ? x : y;
  std::string k = std::to_string(static_cast<int>(kind)) + "(" + key(x) + "," + key(y) + ",)";
  return atomPoly(atom(k, Atom{kind, -1, {x, y}, nullptr, {}, {}}));
}

/// Of a value that lies in one range or in the other.
Prover::Bounds Prover::either(const Bounds &x, const Bounds &y) {
  if (x.own || y.own)
    return x.own ? y : x;
  Bounds r;
  if (x.lower && y.lower)
    r.lower = extreme(AtomKind::Min, *x.lower, *y.lower);
  if (x.upper && y.upper)
    r.upper = extreme(AtomKind::Max, *x.upper, *y.upper);
  return r;
}

/// Of the lesser or the greater of two values.
Prover::Bounds Prover::extremeOf(bool least, const Bounds &x, const Bounds &y) {
  AtomKind kind = least ? AtomKind::Min : AtomKind::Max;
  // On one side either operand is a bound, on the other one both have to be known.
  auto one = [&](const std::optional<Poly> &a, const std::optional<Poly> &b) {
    if (!a || !b)
      return a ? a : b;
    Poly closer = extreme(kind, *a, *b);
    if (closer == *a || closer == *b)
      return std::optional(closer);
    auto isConstant = [](const Poly &p) { return p.empty() || (p.size() == 1 && p.begin()->first.empty()); };
    return isConstant(*b) || (b->size() <= 1 && a->size() > 1) ? b : a;
  };
  auto both = [&](const std::optional<Poly> &a, const std::optional<Poly> &b) {
    return a && b ? std::optional(extreme(kind, *a, *b)) : std::nullopt;
  };
  Bounds r;
  r.lower = least ? both(x.lower, y.lower) : one(x.lower, y.lower);
  r.upper = least ? one(x.upper, y.upper) : both(x.upper, y.upper);
  return r;
}

/// The least or greatest value of p over all positions, in extents alone.
std::optional<Poly> Prover::reach(const Poly &p, bool up) {
  if (p.size() == 1 && p.begin()->first.size() == 1 && p.begin()->second == 1)
    if (const Atom &a = atoms_[p.begin()->first[0]];
        a.kind == AtomKind::Min || a.kind == AtomKind::Max || a.kind == AtomKind::Select) {
      std::optional<Poly> r = reach(a.args[0], up);
      for (size_t i = 1; r && i < a.args.size(); ++i) {
        std::optional<Poly> x = reach(a.args[i], up);
        AtomKind kind = a.kind != AtomKind::Select ? a.kind : up ? AtomKind::Max : AtomKind::Min;
        r = x ? std::optional<Poly>(extreme(kind, *r, *x)) : std::nullopt;
      }
      return r;
    }
  Poly r;
  for (auto &[m, c] : p) {
    bool high = (c > 0) == up;
    Poly term = constant(c);
    bool single = true;
    for (int id : m) {
      const Atom &a = atoms_[id];
      if (a.kind == AtomKind::Symbol) {
        term = mul(term, atomPoly(id));
        continue;
      }
      // A product of several is bounded by those of its factors where these are never negative.
      if ((a.kind != AtomKind::Index && a.kind != AtomKind::Opaque) || (!single && a.kind != AtomKind::Index))
        return std::nullopt;
      single &= a.kind == AtomKind::Index;
      const std::optional<Poly> &bound = high ? a.upper : a.lower;
      if (!bound || (m.size() > 1 && !(a.lower && direct(*a.lower))))
        return std::nullopt;
      if (p.size() == 1 && m.size() == 1 && c == 1)
        return bound; // alone it may be a min or max
      term = mul(term, *bound);
    }
    r = add(r, term);
  }
  return r;
}

/// No less than floor(x / by) for by >= 1; null: unknown. Both in extents alone.
std::optional<Poly> Prover::quotient(const Poly &x, const Poly &by) {
  if (x.size() == 1 && x.begin()->first.size() == 1 && x.begin()->second == 1)
    if (const Atom &a = atoms_[x.begin()->first[0]]; a.kind == AtomKind::Min || a.kind == AtomKind::Max) {
      std::optional<Poly> r = quotient(a.args[0], by);
      for (size_t i = 1; r && i < a.args.size(); ++i) {
        std::optional<Poly> q = quotient(a.args[i], by);
        r = q ? std::optional<Poly>(extreme(a.kind, *r, *q)) : std::nullopt;
      }
      return r;
    }
  if (by.size() == 1 && by.begin()->second > 0) {
    auto &[divisor, scale] = *by.begin();
    Poly whole, rest;
    for (auto &[m, c] : x)
      if (c % scale == 0 && std::includes(m.begin(), m.end(), divisor.begin(), divisor.end())) {
        std::vector<int> left;
        std::set_difference(m.begin(), m.end(), divisor.begin(), divisor.end(), std::back_inserter(left));
        whole[left] = c / scale;
      } else if (m.empty() && divisor.empty()) {
        whole[m] = floorDiv(c, scale);
        rest[m] = floorMod(c, scale);
      } else {
        rest[m] = c;
      }
    if (direct(add(constant(-1), rest, -1)))
      return add(whole, constant(-1));
    if (direct(add(add(by, constant(-1)), rest, -1)))
      return whole;
  }
  if (direct(x))
    return x;
  return std::nullopt;
}

/// Interval arithmetic on one operation of integers.
Prover::Bounds Prover::boundsOfMap(const Node *n, int depth) {
  auto of = [&](size_t i) { return naturalBounds(n->args[i], depth + 1); };
  auto sum = [&](const std::optional<Poly> &x, const std::optional<Poly> &y, int64_t scale) {
    return x && y ? std::optional<Poly>(add(*x, *y, scale)) : std::nullopt;
  };
  auto atLeastZero = [&](const Bounds &b) { return b.lower && direct(*b.lower); };
  switch (n->fn) {
  case Fn::ToInt:
    return n->args[0]->kind == Kind::Bool ? Bounds{Poly{}, constant(1)} : Bounds{};
  case Fn::Abs:
    return {Poly{}, std::nullopt};
  case Fn::Ilog2:
    return {Poly{}, constant(63)};
  case Fn::Select:
    return either(naturalBounds(n->args[1], depth + 1), naturalBounds(n->args[2], depth + 1));
  case Fn::Neg: {
    Bounds x = of(0);
    return {sum(Poly{}, x.upper, -1), sum(Poly{}, x.lower, -1)};
  }
  case Fn::Add: {
    Bounds x = of(0), y = of(1);
    return {sum(x.lower, y.lower, 1), sum(x.upper, y.upper, 1)};
  }
  case Fn::Sub: {
    Bounds x = of(0), y = of(1);
    return {sum(x.lower, y.upper, -1), sum(x.upper, y.lower, -1)};
  }
  case Fn::Mul: {
    Bounds x = of(0), y = of(1);
    if (!atLeastZero(x) || !atLeastZero(y)) {
      if (!x.lower || !x.upper || !y.lower || !y.upper)
        return {};
      Bounds r{mul(*x.lower, *y.lower), mul(*x.lower, *y.lower)};
      for (const Poly &corner : {mul(*x.lower, *y.upper), mul(*x.upper, *y.lower), mul(*x.upper, *y.upper)})
        r = either(r, {corner, corner});
      return r;
    }
    return {mul(*x.lower, *y.lower), x.upper && y.upper ? std::optional<Poly>(mul(*x.upper, *y.upper)) : std::nullopt};
  }
  case Fn::IDiv: {
    Bounds x = of(0), y = of(1);
    if (!atLeastZero(x) || !atLeastZero(y))
      return {};
    return {Poly{}, x.upper ? quotient(*x.upper, *y.lower) : std::nullopt};
  }
  case Fn::Mod: {
    Bounds y = of(1);
    if (!atLeastZero(y) || !y.upper)
      return {};
    return {Poly{}, add(*y.upper, constant(1), -1)};
  }
  case Fn::Min:
  case Fn::Max: {
    Bounds r = of(0);
    for (size_t i = 1; i < n->args.size(); ++i)
      r = extremeOf(n->fn == Fn::Min, r, of(i));
    return r;
  }
  case Fn::Clamp:
    return extremeOf(true, extremeOf(false, of(0), of(1)), of(2));
  default:
    return {};
  }
}

/// What is known of a value that is no polynomial.
Prover::Bounds Prover::naturalBounds(const Node *n, int depth) {
  if (depth == 0)
    boundSteps_ = 0;
  if (depth > 40 || ++boundSteps_ > 1000 || (n->kind == Kind::Real && n->op != Op::Fill))
    return {};
  auto below = [&](const ExtentRef &e) { return Bounds{Poly{}, add(poly(e), constant(1), -1)}; };
  auto product = [&](const std::vector<AxisId> &axes) {
    Poly r = constant(1);
    for (AxisId x : axes)
      r = mul(r, poly(p_.axes[x].extent));
    return r;
  };
  switch (n->op) {
  case Op::ArgMax:
  case Op::ArgMin:
  case Op::TopK:
  case Op::ArgSort:
  case Op::Rank: {
    // A position along a named composite stays below its length.
    for (const Composite &c : p_.composites)
      if (c.leaves == n->groups[0])
        return below(c.length);
    return {Poly{}, add(product(n->groups[0]), constant(1), -1)};
  }
  case Op::Reduce:
    if (n->red == RedOp::Count) {
      std::vector<AxisId> all;
      for (auto &g : n->groups)
        all.insert(all.end(), g.begin(), g.end());
      return {Poly{}, product(all)};
    }
    if ((n->red == RedOp::Max || n->red == RedOp::Min) && n->args.size() == 1 && n->kind == Kind::Int) {
      // max over nothing is the smallest i64, so only the far bound is safe.
      Bounds b = naturalBounds(n->args[0], depth + 1);
      (n->red == RedOp::Max ? b.lower : b.upper).reset();
      return b;
    }
    return {};
  case Op::Tensor: {
    const Tensor &t = p_.tensors[n->tensor];
    if (t.isInput) {
      if (const ExtentRef &bound = p_.signature.inputs[t.argument].indexBound)
        return {constant(-1), below(bound).upper};
      return t.kind == Kind::Bool ? Bounds{Poly{}, constant(1)} : Bounds{};
    }
    // Earlier values of a recurrence lie where the others do (by induction).
    if (bounding_.count(n->tensor)) {
      Bounds own;
      own.own = t.cycle >= 0;
      return own;
    }
    const Node *body = t.total ? t.total : t.body;
    if (!body)
      return {};
    bounding_.insert(n->tensor);
    Bounds b = naturalBounds(body, depth + 1);
    if (t.cycle >= 0) { // off the start it is `init`, or 0
      const Node *init = t.totalInit ? t.totalInit : t.init;
      b = either(b, init ? naturalBounds(init, depth + 1) : Bounds{Poly{}, Poly{}});
    }
    bounding_.erase(n->tensor);
    return b;
  }
  case Op::Read:
  case Op::Where:
  case Op::Detach:
    return naturalBounds(n->args[0], depth + 1);
  case Op::Fill:
    return either(naturalBounds(n->args[0], depth + 1), naturalBounds(n->args[1], depth + 1));
  case Op::Const:
    return {constant(n->integer), constant(n->integer)};
  case Op::Index:
    return below(p_.axes[n->axis].extent);
  case Op::Extent:
    return {poly(n->extent), poly(n->extent)};
  case Op::Map:
    return boundsOfMap(n, depth);
  default:
    return {};
  }
}

bool Prover::direct(const Poly &p) {
  // One question leads to the same others at every use of an index: bounds of bounds.
  if (auto it = known_->find(p); it != known_->end())
    return it->second;
  if (asked_ >= kMostAnswers)
    return false;
  ++asked_;
  bool answer = directly(p);
  if (answer || asked_ < kMostAnswers) // a refusal may be for want of answers
    known_->emplace(p, answer);
  return answer;
}

size_t Prover::Hash::operator()(const Poly &p) const {
  size_t h = p.size();
  auto mix = [&](int64_t x) { h = (h ^ static_cast<size_t>(x)) * 0x9e3779b97f4a7c15u; };
  for (auto &[m, c] : p) {
    for (int id : m)
      mix(id);
    mix(c);
    h ^= h >> 32;
  }
  return h;
}

/// Interval arithmetic: replaces every atom by the bound its sign asks for, extents last.
bool Prover::directly(Poly p) {
  // An integer is at least 0 when c times it is above -c: lets quotients be replaced by their bounds.
  for (int round = 0; round < 3; ++round) {
    int64_t scale = 0;
    if (std::any_of(p.begin(), p.end(), [](auto &term) { return term.second >> 40 != term.second >> 63; }))
      break; // larger factors could overflow
    for (auto &[m, c] : p)
      if (m.size() == 1 && atoms_[m[0]].kind == AtomKind::Div) {
        const Poly &d = atoms_[m[0]].args[1];
        int64_t by = d.size() == 1 && d.begin()->first.empty() ? d.begin()->second : 0;
        if (by > 1 && by < 1000000 && c % by != 0)
          scale = by;
      }
    if (!scale)
      break;
    p = add(add({}, p, scale), constant(scale - 1));
  }
  // c * (x div c) lies in x - c + 1 .. x, which may cancel other terms: x % c is x - c * (x div c).
  Poly apart = p;
  for (auto &[m, k] : p)
    if (m.size() == 1 && atoms_[m[0]].kind == AtomKind::Div) {
      const std::vector<Poly> &args = atoms_[m[0]].args;
      int64_t c = args[1].size() == 1 && args[1].begin()->first.empty() ? args[1].begin()->second : 0;
      if (c < 1 || k % c)
        continue;
      apart.erase(m);
      apart = add(apart, k > 0 ? add(args[0], constant(c - 1), -1) : args[0], k / c);
    }
  if (apart != p && direct(apart))
    return true;
  for (int round = 0; round < 64; ++round) {
    int pick = -1;
    int rank = 100;
    for (auto &[m, c] : p)
      for (int id : m) {
        const Atom &a = atoms_[id];
        // Positions first: their bounds bring in extents, whose quotients come next.
        int r = a.kind == AtomKind::Index ? 0 : a.kind == AtomKind::Opaque ? 1 : a.kind == AtomKind::Symbol ? 50 : 2;
        if (r < rank || (r == rank && id > pick)) {
          rank = r;
          pick = id;
        }
      }
    if (pick < 0 || rank == 50)
      break;
    const Atom &a = atoms_[pick];
    bool nonNeg = true, nonPos = true;
    for (auto &[m, c] : p) {
      int times = static_cast<int>(std::count(m.begin(), m.end(), pick));
      if (!times)
        continue;
      if (times > 1)
        return false;
      // The rest of the monomial is a product of positions and extents, never negative; opaque atoms may be.
      for (int id : m)
        if (id != pick && atoms_[id].kind != AtomKind::Index && atoms_[id].kind != AtomKind::Symbol)
          return false;
      nonNeg &= c > 0;
      nonPos &= c < 0;
    }
    if (!nonNeg && !nonPos)
      return false;
    if (a.kind == AtomKind::Min || a.kind == AtomKind::Max) {
      auto holds = [&](const Poly &x) { return direct(substitute(p, pick, x)); };
      // Each of them is a bound on one side; on the other side it is one of them.
      return (a.kind == AtomKind::Max ? nonNeg : nonPos) ? std::any_of(a.args.begin(), a.args.end(), holds)
                                                         : std::all_of(a.args.begin(), a.args.end(), holds);
    }
    if (a.kind == AtomKind::Div) {
      auto c = a.args[1].size() == 1 && a.args[1].begin()->first.empty() ? a.args[1].begin()->second : 0;
      if (c > 0 && nonNeg) {
        // A quotient is at least 0 when the dividend is, and at least 1 when it reaches c.
        int64_t low = direct(add(a.args[0], constant(c), -1)) ? 1 : 0;
        if (!low && !direct(a.args[0]))
          return false;
        p = substitute(p, pick, constant(low));
        continue;
      }
      if (c > 0 && nonPos) {
        // At most the quotient of the greatest dividend; x div c <= x for x >= 0.
        std::optional<Poly> end = reach(a.args[0], true), bound = end ? quotient(*end, a.args[1]) : std::nullopt;
        if (bound && direct(substitute(p, pick, *bound)))
          return true;
        if (!direct(a.args[0]))
          return false;
        p = substitute(p, pick, a.args[0]);
        continue;
      }
      if (c || !direct(add(a.args[1], constant(1), -1)))
        return false;
      std::optional<Poly> end = reach(a.args[0], !nonNeg), bound = Poly{};
      if (!end || (nonNeg ? !direct(*end) : !(bound = quotient(*end, a.args[1]))))
        return false;
      p = substitute(p, pick, *bound);
      continue;
    }
    if (a.kind == AtomKind::Mod) {
      bool divisorPositive = direct(add(a.args[1], constant(1), -1));
      if (!divisorPositive)
        return false;
      p = substitute(p, pick, nonNeg ? Poly{} : add(a.args[1], constant(1), -1));
      continue;
    }
    const std::optional<Poly> &bound = nonNeg ? a.lower : a.upper;
    if (!bound)
      return false;
    p = substitute(p, pick, *bound);
  }
  // Only extents are left: s = least + s', s' >= 0.
  for (int round = 0; round < 64; ++round) {
    int pick = -1;
    for (auto &[m, c] : p)
      for (int id : m)
        if (atoms_[id].kind == AtomKind::Symbol && atoms_[id].id < static_cast<int>(positive_.size()) &&
            positive_[atoms_[id].id])
          pick = std::max(pick, id);
    if (pick < 0)
      break;
    // Renamed so that the loop ends.
    int fresh = atom("s'" + std::to_string(pick), Atom{AtomKind::Symbol, 1 << 30, {}, nullptr, {}, {}});
    p = substitute(p, pick, add(atomPoly(fresh), constant(1)));
  }
  for (auto &[m, c] : p) {
    for (int id : m)
      if (atoms_[id].kind != AtomKind::Symbol)
        return false;
    if (c < 0)
      return false;
  }
  return true;
}

} // namespace attnc
