#include "frontend/Prove.h"
#include <algorithm>

namespace attnc {

Poly Prover::constant(int64_t c) { return c ? Poly{{{}, c}} : Poly{}; }

Poly Prover::add(const Poly &a, const Poly &b, int64_t scale) {
  Poly r = a;
  for (auto &[m, c] : b) {
    int64_t &x = r[m];
    x += c * scale;
    if (x == 0)
      r.erase(m);
  }
  return r;
}

Poly Prover::mul(const Poly &a, const Poly &b) {
  Poly r;
  for (auto &[m, c] : a)
    for (auto &[n, d] : b) {
      std::vector<int> mn;
      std::merge(m.begin(), m.end(), n.begin(), n.end(), std::back_inserter(mn));
      if (mn.size() > 6)
        continue; // beyond what specs need; callers only lose a proof
      int64_t &x = r[mn];
      x += c * d;
      if (x == 0)
        r.erase(mn);
    }
  return r;
}

std::string Prover::key(const Poly &p) {
  std::string s;
  for (auto &[m, c] : p) {
    s += std::to_string(c);
    for (int a : m)
      s += "*" + std::to_string(a);
    s += "+";
  }
  return s;
}

int Prover::atom(const std::string &k, Atom a) {
  auto it = byKey_.find(k);
  if (it != byKey_.end())
    return it->second;
  int id = static_cast<int>(atoms_.size());
  atoms_.push_back(std::move(a));
  byKey_[k] = id;
  return id;
}

Poly Prover::indexPoly(AxisId a) {
  std::string k = "i" + std::to_string(a);
  if (auto it = byKey_.find(k); it != byKey_.end())
    return atomPoly(it->second);
  Atom x{AtomKind::Index, a, {}, nullptr, Poly{}, add(poly(p_.axes[a].extent), constant(1), -1)};
  return atomPoly(atom(k, x));
}

Poly Prover::poly(const ExtentRef &e) {
  auto arg = [&](size_t i) { return poly(e->args[i]); };
  switch (e->op) {
  case ExtentOp::Const:
    return constant(e->value);
  case ExtentOp::Symbol:
    return atomPoly(atom("s" + std::to_string(e->symbol), Atom{AtomKind::Symbol, e->symbol, {}, nullptr, {}, {}}));
  case ExtentOp::Add:
    return add(arg(0), arg(1));
  case ExtentOp::Sub:
    return add(arg(0), arg(1), -1);
  case ExtentOp::Mul:
    return mul(arg(0), arg(1));
  case ExtentOp::Div:
  case ExtentOp::Mod:
  case ExtentOp::Min:
  case ExtentOp::Max: {
    std::vector<Poly> args{arg(0), arg(1)};
    AtomKind kind = e->op == ExtentOp::Div   ? AtomKind::Div
                    : e->op == ExtentOp::Mod ? AtomKind::Mod
                    : e->op == ExtentOp::Min ? AtomKind::Min
                                             : AtomKind::Max;
    std::string k = std::to_string(static_cast<int>(kind)) + "(" + key(args[0]) + "," + key(args[1]) + ")";
    return atomPoly(atom(k, Atom{kind, -1, args, nullptr, {}, {}}));
  }
  case ExtentOp::Ilog2: {
    Poly a = arg(0);
    return atomPoly(atom("ilog2(" + key(a) + ")", Atom{AtomKind::Opaque, -1, {}, nullptr, Poly{}, constant(63)}));
  }
  default:
    return atomPoly(
        atom("bool" + std::to_string(byKey_.size()), Atom{AtomKind::Opaque, -1, {}, nullptr, Poly{}, constant(1)}));
  }
}

const Node *Prover::bodyOf(const Node *n) const {
  const Tensor &t = p_.tensors[n->tensor];
  if (t.isInput || open_.count(n->tensor))
    return nullptr;
  return t.total ? t.total : t.body;
}

/// The lesser (Min) or greater (Max) of two bounds.
Poly Prover::extreme(AtomKind kind, const Poly &x, const Poly &y) {
  // What is remembered has to hold whatever extents are assumed later.
  std::vector<bool> assumed;
  assumed.swap(positive_);
  bool xIsLess = direct(add(y, x, -1)), yIsLess = direct(add(x, y, -1));
  positive_.swap(assumed);
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

/// The least or greatest value of p over all positions, in extents alone.
std::optional<Poly> Prover::reach(const Poly &p, bool up) {
  if (p.size() == 1 && p.begin()->first.size() == 1 && p.begin()->second == 1)
    if (const Atom a = atoms_[p.begin()->first[0]];
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
      const Atom a = atoms_[id];
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
    if (const Atom a = atoms_[x.begin()->first[0]]; a.kind == AtomKind::Min || a.kind == AtomKind::Max) {
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
    if (!atLeastZero(x) || !atLeastZero(y))
      return {};
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
    bool least = n->fn == Fn::Min;
    for (size_t i = 1; i < n->args.size(); ++i) {
      Bounds x = of(i);
      auto &one = least ? r.upper : r.lower; // any operand bounds it on this side
      auto &all = least ? r.lower : r.upper;
      auto &oneX = least ? x.upper : x.lower;
      auto &allX = least ? x.lower : x.upper;
      if (!one || (oneX && oneX->size() <= 1 && one->size() > 1))
        one = oneX;
      all =
          all && allX ? std::optional<Poly>(extreme(least ? AtomKind::Min : AtomKind::Max, *all, *allX)) : std::nullopt;
    }
    r.own = false;
    return r;
  }
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

std::string Prover::nodeKey(const Node *n) {
  if (n->op == Op::Tensor)
    return "t" + std::to_string(n->tensor);
  if (n->op == Op::Read && n->args[0]->op == Op::Tensor) {
    std::string k = "r" + std::to_string(n->args[0]->tensor);
    for (const ReadItem &r : n->reads) {
      for (AxisId a : r.leaves)
        k += "," + std::to_string(a);
      k += ":=" + key(poly(r.index));
    }
    return k;
  }
  return "n" + std::to_string(n->id);
}

Poly Prover::poly(const Node *n) {
  if (auto it = memo_.find(n); it != memo_.end())
    return it->second;
  if (++depth_ > 300) {
    --depth_;
    return atomPoly(atom("n" + std::to_string(n->id), Atom{AtomKind::Opaque, -1, {}, nullptr, {}, {}}));
  }
  auto arg = [&](size_t i) { return poly(n->args[i]); };
  auto make = [&](AtomKind kind, std::vector<Poly> args, const Node *cond = nullptr) {
    std::string k = std::to_string(static_cast<int>(kind)) + "(";
    if (cond)
      k += "c" + std::to_string(cond->id) + ";";
    for (const Poly &a : args)
      k += key(a) + ",";
    return atomPoly(atom(k + ")", Atom{kind, -1, args, cond, {}, {}}));
  };
  Poly r;
  bool opaque = false;
  if (n->kind == Kind::Real)
    opaque = true;
  else
    switch (n->op) {
    case Op::Const:
      r = constant(n->integer);
      break;
    case Op::Index:
      r = indexPoly(n->axis);
      break;
    case Op::Extent:
      r = poly(n->extent);
      break;
    case Op::Tensor:
      if (const Node *b = n->kind == Kind::Int ? bodyOf(n) : nullptr; b && b->kind == Kind::Int) {
        open_.insert(n->tensor);
        r = poly(b);
        open_.erase(n->tensor);
      } else
        opaque = true;
      break;
    case Op::Where:
    case Op::Detach:
      r = arg(0);
      break;
    case Op::Map:
      switch (n->fn) {
      case Fn::Neg:
        r = add({}, arg(0), -1);
        break;
      case Fn::Add:
        r = add(arg(0), arg(1));
        break;
      case Fn::Sub:
        r = add(arg(0), arg(1), -1);
        break;
      case Fn::Mul:
        r = mul(arg(0), arg(1));
        break;
      case Fn::IDiv:
        r = make(AtomKind::Div, {arg(0), arg(1)});
        break;
      case Fn::Mod: {
        // x % c as x - c * (x div c), so that flat positions taken apart come together again.
        Poly c = arg(1);
        if (c.size() == 1 && c.begin()->first.empty() && c.begin()->second > 0)
          r = add(arg(0), mul(c, make(AtomKind::Div, {arg(0), c})), -1);
        else
          r = make(AtomKind::Mod, {arg(0), c});
        break;
      }
      case Fn::Min:
      case Fn::Max: {
        std::vector<Poly> args;
        for (size_t i = 0; i < n->args.size(); ++i)
          args.push_back(arg(i));
        r = make(n->fn == Fn::Min ? AtomKind::Min : AtomKind::Max, args);
        break;
      }
      case Fn::Clamp:
        r = make(AtomKind::Min, {make(AtomKind::Max, {arg(0), arg(1)}), arg(2)});
        break;
      case Fn::Select:
        r = make(AtomKind::Select, {arg(1), arg(2)}, n->args[0]);
        break;
      case Fn::Shl:
        if (n->args[1]->op == Op::Const && n->args[1]->integer >= 0 && n->args[1]->integer < 62)
          r = mul(arg(0), constant(int64_t(1) << n->args[1]->integer));
        else
          opaque = true;
        break;
      case Fn::Shr:
        if (n->args[1]->op == Op::Const && n->args[1]->integer >= 0 && n->args[1]->integer < 62)
          r = make(AtomKind::Div, {arg(0), constant(int64_t(1) << n->args[1]->integer)});
        else
          opaque = true;
        break;
      default:
        opaque = true;
      }
      break;
    default:
      opaque = true;
    }
  if (opaque) {
    Bounds b = naturalBounds(n, 0);
    r = atomPoly(atom(nodeKey(n), Atom{AtomKind::Opaque, -1, {}, nullptr, b.lower, b.upper}));
  }
  --depth_;
  memo_[n] = r;
  return r;
}

bool Prover::mentions(const Poly &p, AxisId a) const {
  for (auto &[m, c] : p)
    for (int id : m) {
      const Atom &x = atoms_[id];
      if (x.kind == AtomKind::Index && x.id == a)
        return true;
      for (const Poly &q : x.args)
        if (mentions(q, a))
          return true;
    }
  return false;
}

Poly Prover::substitute(const Poly &p, int atomId, const Poly &by) {
  Poly r;
  for (auto &[m, c] : p) {
    Poly term = constant(c);
    for (int id : m)
      term = mul(term, id == atomId ? by : atomPoly(id));
    r = add(r, term);
  }
  return r;
}

/// Interval arithmetic: replaces every atom by the bound its sign asks for, extents last.
bool Prover::direct(Poly p) {
  // An integer is at least 0 when c times it is above -c: lets quotients be replaced by their bounds.
  for (int round = 0; round < 3; ++round) {
    int64_t scale = 0;
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
    const Atom a = atoms_[pick];
    bool nonNeg = true, nonPos = true;
    int64_t linear = 0;
    bool onlyLinear = true;
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
      if (m.size() == 1)
        linear = c;
      else
        onlyLinear = false;
      nonNeg &= c > 0;
      nonPos &= c < 0;
    }
    if (!nonNeg && !nonPos)
      return false;
    if (a.kind == AtomKind::Min || a.kind == AtomKind::Max) // it is one of them
      return std::all_of(a.args.begin(), a.args.end(), [&](const Poly &x) { return direct(substitute(p, pick, x)); });
    if (a.kind == AtomKind::Div) {
      auto c = a.args[1].size() == 1 && a.args[1].begin()->first.empty() ? a.args[1].begin()->second : 0;
      if (c > 0 && onlyLinear && linear % c == 0) {
        // c * (x div c) lies in x - c + 1 .. x.
        Poly rest = p;
        rest.erase({pick});
        int64_t k = linear / c;
        p = k > 0 ? add(rest, add(a.args[0], constant(c - 1), -1), k) : add(rest, a.args[0], k);
        continue;
      }
      if (c > 0 && nonNeg) {
        // A quotient is at least 0 when the dividend is, and at least 1 when it reaches c.
        int64_t low = direct(add(a.args[0], constant(c), -1)) ? 1 : 0;
        if (!low && !direct(a.args[0]))
          return false;
        p = substitute(p, pick, constant(low));
        continue;
      }
      if (c > 0 && nonPos) { // x div c <= x for x >= 0
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
      const Atom a = atoms_[id];
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
  if (depth > 20)
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
    return nonNegative(add(add(poly(n->args[i]), poly(n->args[j]), -1), constant(c)), facts, 0);
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
