//===- Whether it matters what weights lie below ---------------------------===//
//
// Where the weights exp(s - m) of a row lie below another m, all its sums of them are so many times as large:
//
//   z = sum of w;  o = sum of w v          degree 1
//   r = z == 0 ? 0 : 1 / z                 degree -1
//   o * r                                  degree 0, the same whatever m is
//
// What leaves the program must be of degree 0, and what meets must be of one row. Where m is infinite, sums may be
// replaced by anything: what stands in for m is infinite there, too, and the sums are 0 or NaN. Every nest is looked at
// in the order of the text; what is read of a degree that it gets only later (in another round of a loop) does not
// pass.
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/tile/Stream.h"
#include <limits>

using namespace mlir;

namespace attnc::stream {
namespace {

class Follower {
public:
  explicit Follower(const Fusion &f) : f(f) {}

  bool holds() {
    for (const Member &m : f.members) {
      if (!m.sums() || m.degree.kind != Degree::Linear)
        continue;
      Block &finish = m.nest.getFinish().front();
      Scaled sum{1, {}};
      for (Value index : f.maxIndices(m)) {
        BlockArgument position = parts(index).first;
        if (position && position.getOwner()->getParentOp() == m.nest)
          sum.row.push_back(finish.getArgument(position.getArgNumber()));
      }
      for (Value v : finish.getArguments().drop_front(m.nest.getNumPar()))
        scaled[v] = sum;
    }
    bool fine = true;
    f.kernel->getParentOfType<tile::ProgramOp>().walk<WalkOrder::PreOrder>([&](tile::NestOp nest) {
      fine = fine && visit(nest);
      return fine ? WalkResult::advance() : WalkResult::interrupt();
    });
    // Whoever reads such a buffer has been seen to.
    for (auto &[buffer, held] : kept)
      for (Operation *user : buffer.getUsers())
        fine &= !held.degree || isa<tile::StoreOp>(user) || seen.contains(user);
    return fine;
  }

private:
  /// A value, and the positions in its nest of the row that it is of.
  struct Scaled {
    int degree = 0;
    SmallVector<Value> row;
  };
  /// What a buffer holds, which of its dims the rows are, and which are at one place of the kernel.
  struct Held {
    int degree = 0;
    SmallVector<unsigned> dims;
    SmallVector<Value> offsets;
    SmallVector<std::pair<unsigned, Value>> fixed;
  };

  bool visit(tile::NestOp nest) {
    bool member = llvm::any_of(f.members, [&](const Member &m) { return m.nest == nest; });
    if (!member && !visit(nest.getBody().front()))
      return false;
    if (!nest.isReduction())
      return true;
    if (!member &&
        llvm::any_of(nest.getBody().front().getTerminator()->getOperands(), [&](Value v) { return scaled.count(v); }))
      return false;
    return visit(nest.getFinish().front());
  }

  bool visit(Block &block) {
    for (Operation &op : block.without_terminator())
      if (!visit(op))
        return false;
    return true;
  }

  bool visit(Operation &op) {
    if (auto load = dyn_cast<tile::LoadOp>(op))
      return visitLoad(load);
    if (auto store = dyn_cast<tile::StoreOp>(op))
      return visitStore(store);
    if (llvm::none_of(op.getOperands(), [&](Value v) { return scaled.count(v); }))
      return true;
    if (op.getNumResults() != 1)
      return false;
    Scaled result;
    std::optional<int> common;
    bool same = true;
    auto choice = dyn_cast<arith::SelectOp>(op);
    for (Value v : op.getOperands().drop_front(choice ? 1 : 0)) {
      // Of 0 any degree is right.
      if (isReal(v, 0) || (choice && v == choice.getTrueValue() && asksForInf(choice.getCondition())))
        continue;
      auto at = scaled.find(v);
      int degree = at == scaled.end() ? 0 : at->second.degree;
      same &= !common || common == degree;
      common = degree;
    }
    for (Value v : op.getOperands())
      if (auto at = scaled.find(v); at != scaled.end()) {
        if (!result.row.empty() && result.row != at->second.row)
          return false;
        result.row = at->second.row;
      }
    auto degreeOf = [&](unsigned i) {
      auto at = scaled.find(op.getOperand(i));
      return at == scaled.end() ? 0 : at->second.degree;
    };
    if (isa<arith::MulFOp>(op))
      result.degree = degreeOf(0) + degreeOf(1);
    else if (isa<arith::DivFOp>(op))
      result.degree = degreeOf(0) - degreeOf(1);
    else if (isa<arith::AddFOp, arith::SubFOp, arith::MaximumFOp, arith::MinimumFOp, arith::SelectOp, arith::NegFOp,
                 arith::TruncFOp, arith::ExtFOp, math::AbsFOp>(op) &&
             same && common)
      result.degree = *common;
    else if (!isa<arith::CmpFOp>(op) || !same)
      return false;
    if (result.degree)
      scaled[op.getResult(0)] = result;
    return true;
  }

  /// Whether a maximum is infinite.
  bool asksForInf(Value v) {
    auto cmp = v.getDefiningOp<arith::CmpFOp>();
    auto load = cmp ? cmp.getLhs().getDefiningOp<tile::LoadOp>() : tile::LoadOp();
    constexpr double inf = std::numeric_limits<double>::infinity();
    return load && cmp.getPredicate() == arith::CmpFPredicate::OEQ && f.maxima.count(load.getBuffer()) &&
           (isReal(cmp.getRhs(), inf) || isReal(cmp.getRhs(), -inf));
  }

  bool visitLoad(tile::LoadOp load) {
    auto at = kept.find(load.getBuffer());
    if (at == kept.end() || !at->second.degree)
      return true;
    Scaled value{at->second.degree, {}};
    for (auto [dim, offset] : llvm::zip(at->second.dims, at->second.offsets)) {
      auto [position, off] = parts(load.getIndices()[dim]);
      if (!position || off != offset)
        return false;
      value.row.push_back(position);
    }
    for (auto [dim, place] : at->second.fixed)
      if (load.getIndices()[dim] != place)
        return false;
    scaled[load] = value;
    seen.insert(load);
    return true;
  }

  bool visitStore(tile::StoreOp store) {
    if (isReal(store.getValue(), 0))
      return true;
    Held held;
    if (auto at = scaled.find(store.getValue()); at != scaled.end()) {
      auto alloc = store.getBuffer().getDefiningOp<tile::AllocOp>();
      if (!alloc || alloc->getParentOfType<tile::KernelOp>() != f.kernel)
        return false;
      held.degree = at->second.degree;
      for (Value row : at->second.row) {
        auto index = llvm::find_if(store.getIndices(), [&](Value v) { return parts(v).first == row; });
        if (index == store.getIndices().end())
          return false;
        held.dims.push_back(index - store.getIndices().begin());
        held.offsets.push_back(parts(*index).second);
      }
      for (auto [dim, index] : llvm::enumerate(store.getIndices()))
        if (!parts(index).first || parts(index).first.getOwner()->getParentOp() != store->getParentOp())
          held.fixed.push_back({unsigned(dim), index});
    }
    auto [at, fresh] = kept.insert({store.getBuffer(), held});
    return fresh ||
           (at->second.degree == held.degree && at->second.dims == held.dims && at->second.offsets == held.offsets);
  }

  const Fusion &f;
  llvm::DenseMap<Value, Scaled> scaled; ///< values in bodies whose degree is not 0
  llvm::MapVector<Value, Held> kept;
  llvm::DenseSet<Operation *> seen; ///< loads of buffers whose degree is not 0
};

} // namespace

bool isInvariant(const Fusion &f) { return Follower(f).holds(); }

} // namespace attnc::stream
