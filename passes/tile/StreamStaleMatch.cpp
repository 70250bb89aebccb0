//===- Weights below a stale maximum: where that will do ------------------===//
//
// One maximum, what it is taken of, and the weights made of it; a sum of the weights alone, which says how large they
// are:
//
//   ... nests without sums, the last of them writes scores       before, scores
//   m = max of scores                                            max
//   w = exp(scores - m), or 0 where a condition does not hold    weights
//   z = sum of w                                                 sum
//
// Nothing else may look at the scores or at the maximum, but to ask whether it is infinite, and it must not matter what
// the weights lie below (StreamInvariant.cpp).
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/tile/Stream.h"
#include <limits>

using namespace mlir;

namespace attnc::stream {
namespace {

class Finder {
public:
  explicit Finder(Fusion &f) : f(f) {}

  std::optional<Stale> find() {
    if (f.maxima.size() != 1 || f.exps.size() != 1)
      return std::nullopt;
    Value max = f.maxima.begin()->first;
    found.exp = *f.exps.begin();
    Member *at = f.members.begin();
    for (; at != f.members.end() && !at->nest->isAncestor(found.exp); ++at)
      if (at->max)
        found.max = at;
      else if (at->sums())
        return std::nullopt;
      else
        found.before.push_back(at);
    if (at == f.members.end() || !found.max || found.max->max != max || found.before.empty() || at->nest.isReduction())
      return std::nullopt;
    found.weights = at;
    found.scores = found.before.pop_back_val();
    if (!weightsFit() || !scoresFit() || !unseen(max) || !isInvariant(f))
      return std::nullopt;
    for (++at; at != f.members.end(); ++at)
      if (isSum(*at)) {
        found.sum = at;
        return found;
      }
    return std::nullopt;
  }

private:
  static Block &tail(const Member &m) {
    return m.nest.isReduction() ? m.nest.getFinish().front() : m.nest.getBody().front();
  }

  /// The scores loaded, what is taken off them, and where the weight goes.
  bool weightsFit() {
    Value below = found.exp->getOperand(0);
    if (Value scale = f.maxima.begin()->second.first.scale) {
      auto mul = below.getDefiningOp<arith::MulFOp>();
      if (!mul)
        return false;
      below = mul.getLhs() == scale ? mul.getRhs() : mul.getLhs();
    }
    auto sub = below.getDefiningOp<arith::SubFOp>();
    if (!sub)
      return false;
    found.argument = sub.getLhs();
    for (Operation &op : found.weights->nest.getBody().front()) {
      auto load = dyn_cast<tile::LoadOp>(op);
      if (load && f.rows.count(load.getBuffer())) {
        if (found.load)
          return false;
        found.load = load;
      } else if (auto store = dyn_cast<tile::StoreOp>(op)) {
        if (found.store)
          return false;
        found.store = store;
      }
    }
    if (!found.load || !found.store || !f.rows.count(found.store.getBuffer()) || !found.exp->hasOneUse())
      return false;
    Value weight = found.store.getValue(), on = found.exp->getResult(0);
    auto choice = weight.getDefiningOp<arith::SelectOp>();
    if (choice && choice.getTrueValue() == on && isReal(choice.getFalseValue(), 0))
      condition = choice.getCondition();
    return weight == on || condition;
  }

  bool scoresFit() {
    auto stores = llvm::to_vector(tail(*found.scores).getOps<tile::StoreOp>());
    if (stores.size() != 1 || stores[0].getBuffer() != found.load.getBuffer())
      return false;
    found.score = stores[0];
    return samePlaces(*found.scores, found.score.getIndices(), *found.weights, found.load.getIndices());
  }

  /// Indices of two members that run over the same places of a row, every par dim among them.
  bool samePlaces(const Member &m, ValueRange x, const Member &n, ValueRange y) {
    unsigned matched = 0;
    for (auto [a, b] : llvm::zip(x, y)) {
      auto [p, off] = parts(a);
      auto [q, offOther] = parts(b);
      bool inM = p && p.getOwner()->getParentOp() == m.nest, inN = q && q.getOwner()->getParentOp() == n.nest;
      if (inM != inN)
        return false;
      if (!inM) {
        if (a != b)
          return false;
        continue;
      }
      if (off != offOther)
        return false;
      Dim one = dimOf(m.nest, p.getArgNumber()), other = dimOf(n.nest, q.getArgNumber());
      bool axis = p.getArgNumber() == m.dim;
      if (axis != (q.getArgNumber() == n.dim) || (!axis && (one.lo != other.lo || one.hi != other.hi)))
        return false;
      ++matched;
    }
    return matched == m.nest.getNumPar() + (m.sums() ? 1 : 0) && matched == n.nest.getNumPar() + (n.sums() ? 1 : 0);
  }

  /// Whether no one but the maximum and the weights sees the scores and the maximum.
  bool unseen(Value max) {
    if (!llvm::hasSingleElement(found.max->nest.getFinish().front().getOps<tile::StoreOp>()))
      return false;
    Value scores = found.load.getBuffer(), weights = found.store.getBuffer();
    for (Operation *user : scores.getUsers()) {
      auto nest = user->getParentOfType<tile::NestOp>();
      bool own =
          nest == found.scores->nest ? user == found.score : nest == found.max->nest || nest == found.weights->nest;
      if (!own && !(weights == scores && found.weights->nest->isBeforeInBlock(nest)))
        return false;
    }
    if (weights != scores && llvm::any_of(weights.getUsers(), [&](Operation *user) {
          return user->getParentOfType<tile::NestOp>()->isBeforeInBlock(found.weights->nest);
        }))
      return false;
    // An old maximum is infinite where the true one is.
    auto asksForInf = [](Operation *user) {
      auto cmp = dyn_cast<arith::CmpFOp>(user);
      constexpr double inf = std::numeric_limits<double>::infinity();
      return cmp && (isReal(cmp.getRhs(), inf) || isReal(cmp.getRhs(), -inf));
    };
    return llvm::all_of(max.getUsers(), [&](Operation *user) {
      auto nest = user->getParentOfType<tile::NestOp>();
      return nest == found.max->nest || nest == found.weights->nest ||
             (isa<tile::LoadOp>(user) && llvm::all_of(user->getUsers(), asksForInf));
    });
  }

  /// A sum of the weights, each of them once, wherever they are not 0.
  bool isSum(const Member &m) {
    auto kinds = m.nest.getCombinerKinds();
    if (!m.sums() || kinds.size() != 1 || kinds[0] != tile::Combiner::Sum || m.nest.getNumInner() != 1)
      return false;
    Value v = m.nest.getBody().front().getTerminator()->getOperand(0);
    auto choice = v.getDefiningOp<arith::SelectOp>();
    if (choice && !isReal(choice.getFalseValue(), 0))
      return false;
    auto load = (choice ? choice.getTrueValue() : v).getDefiningOp<tile::LoadOp>();
    if (!load || load.getBuffer() != found.store.getBuffer() ||
        !samePlaces(m, load.getIndices(), *found.weights, found.store.getIndices()))
      return false;
    // Every row has a maximum of its own.
    llvm::SmallDenseSet<Value> rows;
    for (Value index : f.maxIndices(m))
      if (BlockArgument position = parts(index).first; position && position.getOwner()->getParentOp() == m.nest)
        rows.insert(position);
    if (rows.size() != m.nest.getNumPar())
      return false;
    if (choice)
      return condition && same(condition, choice.getCondition(), m);
    Dim own = dimOf(m.nest, m.dim), all = dimOf(found.weights->nest, found.weights->dim);
    return own.lo == all.lo && own.hi == all.hi;
  }

  /// Whether a value of the weights' body and one of another are the same at the same place.
  bool same(Value x, Value y, const Member &m) {
    if (x == y)
      return true;
    if (isa<BlockArgument>(x) || isa<BlockArgument>(y)) {
      auto p = dyn_cast<BlockArgument>(x), q = dyn_cast<BlockArgument>(y);
      return p && q &&
             llvm::any_of(
                 llvm::zip(found.store.getIndices(), loadOf(m.nest, found.store.getBuffer()).getIndices()),
                 [&](auto both) { return parts(std::get<0>(both)).first == p && parts(std::get<1>(both)).first == q; });
    }
    Operation *a = x.getDefiningOp(), *b = y.getDefiningOp();
    if (!found.weights->nest->isAncestor(a) || !m.nest->isAncestor(b) || a->getName() != b->getName() ||
        a->getAttrDictionary() != b->getAttrDictionary() || a->getNumOperands() != b->getNumOperands() ||
        ++looked > kMostOps)
      return false;
    return llvm::all_of(llvm::zip(a->getOperands(), b->getOperands()),
                        [&](auto both) { return same(std::get<0>(both), std::get<1>(both), m); });
  }

  static constexpr int kMostOps = 64; ///< of a condition
  Fusion &f;
  Stale found;
  Value condition; ///< where weights are not 0
  int looked = 0;
};

} // namespace

std::optional<Stale> matchStale(Fusion &f) { return Finder(f).find(); }

} // namespace attnc::stream
