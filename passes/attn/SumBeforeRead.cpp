//===- Sums of what is read at a distance ---------------------------------===//
//
//   reduce sum [d] (q[i, d] * R[r := c + i - j, d])
// has no factor that stays the same along i: it is no matrix product, as every pair (i, j) reads a row of its own,
// though there are only as many rows as distances. Summed before it is read,
//   (reduce sum [d] (q[i, d] * R[r, d]))[r := c + i - j]
// is one, and the same for all stretches of a sequence that have their distances from one R.
//
// The same products are summed; rows that nothing reads are summed as well, but change nothing. One axis of the index
// belongs to the other factors, one to the index alone, and the index meets different rows along it: there are about as
// many rows as positions. Sums inside recurrences are left alone: their steps are scheduled as they are written.
// Assumes attn-decompose. Pinned by test/passes/attn/sum-before-read.mlir.
//===----------------------------------------------------------------------===//
#include "passes/Passes.h"
#include "passes/attn/Build.h"
#include "runtime/Tally.h"

using namespace mlir;

namespace attnc {
#define GEN_PASS_DEF_SUMBEFOREREAD
#include "passes/Passes.h.inc"

using namespace attn;
namespace {

struct SumBeforeRead : impl::SumBeforeReadBase<SumBeforeRead> {
  using Base::Base;
  void runOnOperation() override;
};

/// Adds factor times what `v` is of positions, by axis; false where it is more than a sum of them and of extents.
bool addSteps(Value v, int64_t factor, llvm::DenseMap<StringAttr, int64_t> &into) {
  v = lookThrough(v);
  Operation *op = v.getDefiningOp();
  if (auto index = dyn_cast<IndexOp>(op)) {
    into[index.getAxisAttr()] += factor;
    return true;
  }
  auto map = dyn_cast<MapOp>(op);
  if (!map)
    return isa<ConstOp, attn::ExtentOp>(op);
  switch (map.getFn()) {
  case MapFn::Neg:
    return addSteps(map.getArgs()[0], -factor, into);
  case MapFn::Add:
  case MapFn::Sub:
    return addSteps(map.getArgs()[0], factor, into) &&
           addSteps(map.getArgs()[1], map.getFn() == MapFn::Add ? factor : -factor, into);
  default:
    return axesOf(v).empty();
  }
}

/// Whether there may be many more rows than positions that read them.
bool areMany(const AxisTable &table, StringAttr rows, StringAttr positions) {
  constexpr int64_t kMany = 8; // a matrix product is about as much faster
  auto have = extentAsConst(table.extent(rows)), need = extentAsConst(table.extent(positions));
  return need && (!have || *have > kMany * *need);
}

Value sumFirst(ReduceOp op, const AxisTable &table) {
  if (op.getRed() != Reduction::Sum || op.getGuard() || !typeOf(op.getSource()).isFloat())
    return {};
  Axes reduced = axesFrom(op.getAxes());
  SmallVector<Value> factors;
  addFactors(op.getSource(), factors);
  for (size_t k = 0; k < factors.size() && factors.size() > 1; ++k) {
    auto read = factors[k].getDefiningOp<ReadOp>();
    if (!read || read.getIndices().size() != 1)
      continue;
    auto rows = cast<StringAttr>(read.getAxes()[0]);
    Value index = read.getIndices()[0];
    Axes others;
    for (size_t other = 0; other < factors.size(); ++other)
      if (other != k)
        others = axesUnion(others, axesOf(factors[other]));
    llvm::DenseMap<StringAttr, int64_t> steps;
    StringAttr fresh;
    bool fits = addSteps(index, 1, steps) && axesOf(index).size() == 2 && !llvm::is_contained(others, rows);
    for (StringAttr a : axesOf(index)) {
      fits &= !llvm::is_contained(reduced, a) && a != rows && !hasAxis(read.getSource(), a);
      if (!llvm::is_contained(others, a)) {
        fits &= !fresh && std::abs(steps.lookup(a)) == 1;
        fresh = a;
      }
    }
    bool contracts = llvm::any_of(reduced, [&](StringAttr a) { return hasAxis(read.getSource(), a); });
    if (!fits || !fresh || !contracts || areMany(table, rows, fresh))
      continue;
    Build b(op);
    Value product = read.getSource();
    for (size_t other = 0; other < factors.size(); ++other)
      if (other != k)
        product = b.mul(factors[other], product);
    Value sum = b.reduce(Reduction::Sum, reduced, product);
    auto at = b.builder().create<ReadOp>(b.loc(), sum, ArrayRef(rows), ValueRange(index));
    at.setInside(read.getInside());
    return at;
  }
  return {};
}

void SumBeforeRead::runOnOperation() {
  MixerOp mixer = getOperation();
  AxisTable table(mixer);
  llvm::DenseMap<Operation *, unsigned> cyclic = cycleParts(mixer);
  for (ReduceOp op : llvm::make_early_inc_range(mixer.getBody()->getOps<ReduceOp>())) {
    Value with = cyclic.count(op) ? Value() : sumFirst(op, table);
    if (!with || with.getType() != op.getType())
      continue;
    TALLY("sum-before-read: a sum at every distance, then a read");
    op.getResult().replaceAllUsesWith(with);
    op.erase();
  }
}

} // namespace
} // namespace attnc
