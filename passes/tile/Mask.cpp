//===- Conditions on positions as terms -----------------------------------===//
#include "passes/tile/Mask.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace attnc::mask {

static std::optional<int64_t> constantOf(Value v) {
  APInt c;
  if (!matchPattern(v, m_ConstantInt(&c)))
    return std::nullopt;
  return v.getType().isInteger(1) ? int64_t(!c.isZero()) : c.getSExtValue();
}

bool movesWith(tile::ForOp loop, Value bound) {
  SmallVector<Value> todo{bound};
  llvm::DenseSet<Value> seen;
  while (!todo.empty()) {
    Value v = todo.pop_back_val();
    if (v == loop.getIv())
      return true;
    if (Operation *op = v.getDefiningOp(); op && loop->isProperAncestor(op) && seen.insert(v).second)
      llvm::append_range(todo, op->getOperands());
  }
  return false;
}

Id Terms::add(Term term, const void *name, const void *attributes) {
  auto key =
      std::tuple(int(term.kind), term.number, name, attributes, std::vector<Id>(term.args.begin(), term.args.end()));
  auto [at, fresh] = known.try_emplace(key, Id(terms.size()));
  if (!fresh)
    return at->second;
  for (Id arg : term.args) {
    term.row |= terms[arg].row;
    term.key |= terms[arg].key;
    term.other |= terms[arg].other;
    term.data |= terms[arg].data;
    term.size = std::min(term.size + terms[arg].size, Term::kLarge);
  }
  terms.push_back(std::move(term));
  return at->second;
}

Id Terms::constant(int64_t number) { return add({Kind::Constant, number, {}, {}}); }

Id Terms::negation(Id id) {
  const Term term = terms[id];
  auto make = [&](Kind kind, ArrayRef<Id> args) { return add({kind, 0, {}, SmallVector<Id>(args)}); };
  switch (term.kind) {
  case Kind::Constant:
    return constant(!term.number);
  case Kind::Not:
    return term.args[0];
  case Kind::And:
  case Kind::Or:
    return logic(term.kind == Kind::And ? Kind::Or : Kind::And,
                 llvm::map_to_vector(term.args, [&](Id arg) { return negation(arg); }));
  case Kind::Less:
    return make(Kind::AtMost, {term.args[1], term.args[0]});
  case Kind::AtMost:
    return make(Kind::Less, {term.args[1], term.args[0]});
  case Kind::Equal:
    return make(Kind::Differ, term.args);
  case Kind::Differ:
    return make(Kind::Equal, term.args);
  default:
    return add({Kind::Not, 0, {}, {id}});
  }
}

/// Flat, sorted, each operand once.
Id Terms::logic(Kind kind, ArrayRef<Id> parts) {
  SmallVector<Id> all;
  for (Id part : parts)
    if (terms[part].kind == kind)
      llvm::append_range(all, terms[part].args);
    else
      all.push_back(part);
  bool conjunction = kind == Kind::And;
  llvm::sort(all);
  all.erase(std::unique(all.begin(), all.end()), all.end());
  llvm::erase_if(all, [&](Id id) { return terms[id].kind == Kind::Constant && bool(terms[id].number) == conjunction; });
  for (Id id : all)
    if (terms[id].kind == Kind::Constant)
      return constant(!conjunction);
  if (all.empty())
    return constant(conjunction);
  return all.size() == 1 ? all[0] : add({kind, 0, {}, all});
}

Id Terms::of(Value v, const Frame &frame) {
  if (auto at = of_.find(v); at != of_.end())
    return at->second;
  Id id = build(v, frame);
  return of_[v] = id;
}

Id Terms::build(Value v, const Frame &frame) {
  if (auto c = constantOf(v))
    return constant(*c);
  Operation *op = v.getDefiningOp();
  auto leaf = [&](Kind kind) {
    Term term{kind, 0, v, {}};
    term.other = kind == Kind::Other;
    return add(term, v.getAsOpaquePointer());
  };
  if (!op) {
    auto arg = cast<BlockArgument>(v);
    Block *finish = frame.nest.getFinish().empty() ? nullptr : &frame.nest.getFinish().front();
    bool position = arg.getOwner() == &frame.nest.getBody().front() ||
                    (arg.getOwner() == finish && arg.getArgNumber() < frame.nest.getNumPar());
    if (position) {
      int dim = frame.dims[arg.getArgNumber()];
      if (dim == -2)
        return leaf(Kind::Other);
      Term term{dim < 0 ? Kind::Key : Kind::Row, std::max(dim, 0), v, {}};
      term.row = dim >= 0;
      term.key = dim < 0;
      return add(term);
    }
    return leaf(loop->isAncestor(arg.getOwner()->getParentOp()) ? Kind::Other : Kind::Outside);
  }
  if (!loop->isAncestor(op))
    return leaf(Kind::Outside);
  if (!frame.nest->isAncestor(op) || op->getNumResults() != 1 || op->getNumRegions())
    return leaf(Kind::Other);
  SmallVector<Id> args;
  if (auto load = dyn_cast<tile::LoadOp>(op)) {
    // Memory of an instance changes while it runs.
    auto alloc = load.getBuffer().getDefiningOp<tile::AllocOp>();
    if (alloc && isa<tile::KernelOp>(alloc->getParentOp()))
      return leaf(Kind::Other);
    args.push_back(add({Kind::Outside, 0, load.getBuffer(), {}}, load.getBuffer().getAsOpaquePointer()));
    for (Value index : load.getIndices())
      args.push_back(of(index, frame));
    Term term{Kind::Op, 0, v, args};
    term.data = true;
    return add(term, op->getName().getAsOpaquePointer());
  }
  for (Value operand : op->getOperands())
    args.push_back(of(operand, frame));
  bool logical = v.getType().isInteger(1);
  if (logical && isa<arith::AndIOp>(op))
    return logic(Kind::And, args);
  if (logical && isa<arith::OrIOp>(op))
    return logic(Kind::Or, args);
  if (logical && isa<arith::XOrIOp>(op))
    for (int side : {0, 1})
      if (const Term &c = terms[args[side]]; c.kind == Kind::Constant)
        return c.number ? negation(args[1 - side]) : args[1 - side];
  if (auto compare = dyn_cast<arith::CmpIOp>(op); compare && compare.getLhs().getType().isInteger(64)) {
    using P = arith::CmpIPredicate;
    auto make = [&](Kind kind, Id x, Id y) { return add({kind, 0, v, {x, y}}); };
    switch (compare.getPredicate()) {
    case P::eq:
      return make(Kind::Equal, std::min(args[0], args[1]), std::max(args[0], args[1]));
    case P::ne:
      return make(Kind::Differ, std::min(args[0], args[1]), std::max(args[0], args[1]));
    case P::slt:
      return make(Kind::Less, args[0], args[1]);
    case P::sle:
      return make(Kind::AtMost, args[0], args[1]);
    case P::sgt:
      return make(Kind::Less, args[1], args[0]);
    case P::sge:
      return make(Kind::AtMost, args[1], args[0]);
    default:
      break;
    }
  }
  // x - x div m * m, and the lowest bits.
  if (auto sub = dyn_cast<arith::SubIOp>(op))
    if (auto times = sub.getRhs().getDefiningOp<arith::MulIOp>())
      if (auto div = times.getLhs().getDefiningOp<arith::FloorDivSIOp>();
          div && div.getLhs() == sub.getLhs() && div.getRhs() == times.getRhs())
        if (auto m = constantOf(div.getRhs()); m && *m > 0)
          return add({Kind::Mod, 0, v, {args[0], constant(*m)}});
  if (isa<arith::AndIOp>(op) && !logical)
    if (auto m = constantOf(op->getOperand(1)); m && *m >= 0 && ((*m + 1) & *m) == 0)
      return add({Kind::Mod, 0, v, {args[0], constant(*m + 1)}});
  return add({Kind::Op, 0, v, args}, op->getName().getAsOpaquePointer(), op->getAttrDictionary().getAsOpaquePointer());
}

} // namespace attnc::mask
