//===- Outputs and states are never absent --------------------------------===//
#include "frontend/Presence.h"
#include "frontend/Prove.h"
#include "runtime/Tally.h"
#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace attnc {

std::string spanText(Span span);

static std::string pastEnd(const Composite &c) {
  return c.name.empty() ? "absent past the end of its last chunk" : fmt::format("absent past the end of `{}`", c.name);
}

namespace {
/// Where a tensor is stored: positions past the end of a ragged dim of its own are not there to be stored.
struct Stored {
  AxisSet domain;
  std::vector<AxisSet> dims; ///< of the caller; a state has none, and holds whatever its axes make up
  bool own(const AxisSet &leaves) const {
    return dims.empty() ? domain.containsAll(leaves) : std::find(dims.begin(), dims.end(), leaves) != dims.end();
  }
};

class PresenceCheck {
public:
  PresenceCheck(Program &p, Diagnostics &diags)
      : p_(p), diags_(diags), declared_(p.signature.requirements), symbols_(p.signature.symbols.size()) {}

  void check(const Tensor &t, const Stored &stored, Msg id, const std::string &name);

private:
  bool proven(const Cause &c, const Stored &stored, std::vector<bool> positive) const;
  void report(const Tensor &t, const Cause &c, Msg id, const std::string &name);
  void require(const Cause &c, const Stored &stored, const std::string &name);

  Program &p_;
  Diagnostics &diags_;
  std::vector<Requirement> declared_; ///< by the spec; what is found here proves nothing further
  size_t symbols_;
};

/// That the cause never comes about, where the symbols in `positive` are at least 1.
bool PresenceCheck::proven(const Cause &c, const Stored &stored, std::vector<bool> positive) const {
  Prover prover(p_);
  auto isPositive = [&](const ExtentRef &e) {
    if (e->op == ExtentOp::Symbol)
      positive[e->symbol] = true;
  };
  for (AxisId a : stored.domain) // a position exists, so its axis has one
    isPositive(p_.axes[a].extent);
  for (const Composite &comp : p_.composites)
    if (comp.ragged && stored.own(AxisSet(comp.leaves)))
      isPositive(comp.length);
  prover.assumePositive(positive);
  for (const Requirement &r : declared_)
    prover.assume(r.condition);
  for (const Composite &comp : p_.composites) {
    if (!comp.ragged || !stored.own(AxisSet(comp.leaves)))
      continue;
    Poly flat;
    for (AxisId a : comp.leaves)
      flat = Prover::add(prover.mul(flat, prover.poly(p_.axes[a].extent)), prover.indexPoly(a));
    prover.assumeNonNegative(Prover::add(Prover::add(prover.poly(comp.length), flat, -1), Prover::constant(-1)));
  }
  return prover.provable(c.pred);
}

void PresenceCheck::report(const Tensor &t, const Cause &c, Msg id, const std::string &name) {
  Diagnostic &d = diags_.report(id, t.span, {name});
  if (c.span.source)
    d.note(c.span, c.ragged >= 0               ? pastEnd(p_.composites[c.ragged])
                   : c.why == Cause::Index     ? "absent where this index is outside its axis"
                   : c.why == Cause::Selection ? "absent where there are fewer elements to choose from"
                                               : "absent where this is false");
  if (c.ragged >= 0) { // no `fill` helps past the end
    const Composite &comp = p_.composites[c.ragged];
    ExtentRef chunk = extentConst(1);
    for (size_t k = 1; k < comp.leaves.size(); ++k)
      chunk = extentMake(ExtentOp::Mul, {chunk, p_.axes[comp.leaves[k]].extent});
    if (auto size = extentAsConst(chunk); size && !comp.name.empty())
      d.withHelp(fmt::format("require #{} % {} == 0", comp.name, *size));
    return;
  }
  std::string body = t.body ? spanText(t.body->span) : std::string();
  bool paste = !body.empty() && body.size() <= 50 && body.find('\n') == body.npos;
  d.withHelp(fmt::format("{} = fill({}, {})", name, paste ? body : "...",
                         t.kind == Kind::Bool        ? "false"
                         : c.why == Cause::Selection ? "-1" // no position
                                                     : "0"));
}

/// What is present only with extents of at least 1: that becomes a precondition, for the fewest extents.
void PresenceCheck::require(const Cause &c, const Stored &stored, const std::string &name) {
  TALLY("absence: ruled out for extents of at least 1");
  std::vector<bool> need(symbols_, true);
  for (size_t s = 0; s < symbols_; ++s) {
    need[s] = false;
    if (!proven(c, stored, need))
      need[s] = true;
  }
  ExtentRef empty; // nothing is stored, so nothing is needed
  for (AxisId a : stored.domain) {
    ExtentRef e = extentMake(ExtentOp::Eq, {p_.axes[a].extent, extentConst(0)});
    empty = empty ? extentMake(ExtentOp::Or, {empty, e}) : e;
  }
  for (size_t s = 0; s < symbols_; ++s)
    if (need[s]) {
      ExtentRef ok = extentMake(ExtentOp::Ge, {extentSymbol(static_cast<int>(s)), extentConst(1)});
      if (empty)
        ok = extentMake(ExtentOp::Or, {ok, empty});
      p_.signature.requirements.push_back({ok, fmt::format("axis {} has extent 0, and `{}` needs an element of it",
                                                           p_.signature.symbols[s].name, name)});
    }
}

/// One error for a tensor: its first cause that is not ruled out.
void PresenceCheck::check(const Tensor &t, const Stored &stored, Msg id, const std::string &name) {
  for (const Cause &c : t.causes) {
    if ((c.ragged >= 0 && stored.own(c.axes)) || proven(c, stored, std::vector<bool>(symbols_, false)))
      continue;
    if (!proven(c, stored, std::vector<bool>(symbols_, true))) {
      report(t, c, id, name);
      return;
    }
    require(c, stored, name);
  }
}

/// The tensors that are read through the shift of a recurrence.
std::vector<bool> states(const Program &p) {
  std::vector<bool> out(p.tensors.size(), false);
  for (const Node &n : p.arena)
    if (n.op == Op::Read && n.args[0]->op == Op::Tensor && p.tensors[n.args[0]->tensor].cycle >= 0)
      for (const ReadItem &r : n.reads)
        if (r.start && !r.last)
          out[n.args[0]->tensor] = true;
  return out;
}
} // namespace

void checkPresence(Program &p, Diagnostics &diags) {
  PresenceCheck presence(p, diags);
  std::set<int> told; // an output that is a state too is told once
  for (const Output &o : p.outputs) {
    Stored stored;
    for (auto &d : o.dims) {
      AxisSet dim(d);
      stored.domain |= dim;
      stored.dims.push_back(dim);
    }
    stored.dims.push_back(AxisSet{-1}); // never empty: the dims decide
    size_t before = diags.all().size();
    presence.check(p.tensors[o.tensor], stored, Msg::A401, o.name);
    if (diags.all().size() > before)
      told.insert(o.tensor);
  }
  std::vector<bool> isState = states(p);
  for (size_t t = 0; t < p.tensors.size(); ++t)
    if (const Tensor &state = p.tensors[t]; isState[t] && !told.count(static_cast<int>(t)))
      presence.check(state, {state.axes, {}}, Msg::A402, state.name.empty() ? spanText(state.span) : state.name);
}

} // namespace attnc
