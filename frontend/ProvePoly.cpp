//===- Integer expressions as polynomials ---------------------------------===//
#include "frontend/Prove.h"
#include <algorithm>

namespace attnc {

Poly Prover::constant(int64_t c) { return c ? Poly{{{}, c}} : Poly{}; }

namespace {
void addTo(Poly &r, const std::vector<int> &m, int64_t c) {
  auto it = r.try_emplace(m, 0).first;
  it->second += c;
  if (it->second == 0)
    r.erase(it);
}
} // namespace

Poly Prover::add(const Poly &a, const Poly &b, int64_t scale) {
  Poly r = a;
  for (auto &[m, c] : b)
    addTo(r, m, c * scale);
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
      addTo(r, mn, c * d);
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
    if (std::find(m.begin(), m.end(), atomId) == m.end()) {
      addTo(r, m, c);
      continue;
    }
    Poly term = constant(c);
    for (int id : m)
      term = mul(term, id == atomId ? by : atomPoly(id));
    for (auto &[n, d] : term)
      addTo(r, n, d);
  }
  return r;
}

} // namespace attnc
