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

void checkPresence(Program &p, Diagnostics &diags) {
  size_t symbols = p.signature.symbols.size();
  std::vector<std::string> names;
  for (const Symbol &s : p.signature.symbols)
    names.push_back(s.name);
  std::vector<Requirement> declared = p.signature.requirements;
  std::set<const Tensor *> told; // an output that is a state too is told once
  auto check = [&](const Tensor &t, const AxisSet &domain, Msg id, const std::string &name,
                   const std::vector<AxisSet> &stored) {
    for (const Cause &c : t.causes) {
      // Positions past the end of a ragged dim of this very tensor are not there to be stored.
      auto own = [&](const AxisSet &leaves) {
        return stored.empty() ? domain.containsAll(leaves)
                              : std::find(stored.begin(), stored.end(), leaves) != stored.end();
      };
      if (c.ragged >= 0 && own(c.axes))
        continue;
      auto proven = [&](const std::vector<bool> &positive) {
        Prover prover(p);
        std::vector<bool> all = positive;
        for (AxisId a : domain) // a position exists, so its axis has one
          if (p.axes[a].extent->op == ExtentOp::Symbol)
            all[p.axes[a].extent->symbol] = true;
        for (const Composite &comp : p.composites) {
          if (!comp.ragged || !own(AxisSet(comp.leaves)))
            continue;
          if (comp.length->op == ExtentOp::Symbol)
            all[comp.length->symbol] = true;
        }
        prover.assumePositive(all);
        for (const Requirement &r : declared)
          prover.assume(r.condition);
        for (const Composite &comp : p.composites) {
          if (!comp.ragged || !own(AxisSet(comp.leaves)))
            continue;
          Poly flat;
          for (AxisId a : comp.leaves)
            flat = Prover::add(prover.mul(flat, prover.poly(p.axes[a].extent)), prover.indexPoly(a));
          prover.assumeNonNegative(Prover::add(Prover::add(prover.poly(comp.length), flat, -1), Prover::constant(-1)));
        }
        return prover.provable(c.pred);
      };
      if (proven(std::vector<bool>(symbols, false)))
        continue;
      if (!proven(std::vector<bool>(symbols, true))) {
        Diagnostic &d = diags.report(id, t.span, {name});
        told.insert(&t);
        if (c.span.source)
          d.note(c.span, c.ragged >= 0               ? pastEnd(p.composites[c.ragged])
                         : c.why == Cause::Index     ? "absent where this index is outside its axis"
                         : c.why == Cause::Selection ? "absent where there are fewer elements to choose from"
                                                     : "absent where this is false");
        if (c.ragged >= 0) { // no `fill` helps past the end
          const Composite &comp = p.composites[c.ragged];
          ExtentRef chunk = extentConst(1);
          for (size_t k = 1; k < comp.leaves.size(); ++k)
            chunk = extentMake(ExtentOp::Mul, {chunk, p.axes[comp.leaves[k]].extent});
          if (auto size = extentAsConst(chunk); size && !comp.name.empty())
            d.withHelp(fmt::format("require #{} % {} == 0", comp.name, *size));
          break;
        }
        std::string body = t.body ? spanText(t.body->span) : std::string();
        bool paste = !body.empty() && body.size() <= 50 && body.find('\n') == body.npos;
        d.withHelp(fmt::format("{} = fill({}, {})", name, paste ? body : "...",
                               t.kind == Kind::Bool        ? "false"
                               : c.why == Cause::Selection ? "-1" // no position
                                                           : "0"));
        break;
      }
      TALLY("absence: ruled out for extents of at least 1");
      // Only with extents of at least 1: that becomes a precondition, for the fewest extents.
      std::vector<bool> need(symbols, true);
      for (size_t s = 0; s < symbols; ++s) {
        need[s] = false;
        if (!proven(need))
          need[s] = true;
      }
      ExtentRef empty; // nothing is stored, so nothing is needed
      for (AxisId a : domain) {
        ExtentRef e = extentMake(ExtentOp::Eq, {p.axes[a].extent, extentConst(0)});
        empty = empty ? extentMake(ExtentOp::Or, {empty, e}) : e;
      }
      for (size_t s = 0; s < symbols; ++s)
        if (need[s]) {
          ExtentRef ok = extentMake(ExtentOp::Ge, {extentSymbol(static_cast<int>(s)), extentConst(1)});
          if (empty)
            ok = extentMake(ExtentOp::Or, {ok, empty});
          p.signature.requirements.push_back(
              {ok, fmt::format("axis {} has extent 0, and `{}` needs an element of it", names[s], name)});
        }
    }
  };
  std::vector<bool> isState(p.tensors.size(), false);
  for (const Node &n : p.arena)
    if (n.op == Op::Read && n.args[0]->op == Op::Tensor && p.tensors[n.args[0]->tensor].cycle >= 0)
      for (const ReadItem &r : n.reads)
        if (r.start && !r.last)
          isState[n.args[0]->tensor] = true;
  for (const Output &o : p.outputs) {
    AxisSet domain;
    std::vector<AxisSet> stored;
    for (auto &d : o.dims) {
      AxisSet dim(d);
      domain |= dim;
      stored.push_back(dim);
    }
    stored.push_back(AxisSet{-1}); // never empty: the dims decide
    check(p.tensors[o.tensor], domain, Msg::A401, o.name, stored);
  }
  for (size_t t = 0; t < p.tensors.size(); ++t)
    if (isState[t] && !told.count(&p.tensors[t]))
      check(p.tensors[t], p.tensors[t].axes, Msg::A402,
            p.tensors[t].name.empty() ? spanText(p.tensors[t].span) : p.tensors[t].name, {});
}

} // namespace attnc
