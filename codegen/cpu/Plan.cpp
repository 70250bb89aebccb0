//===- Which loop of a nest runs in lanes ---------------------------------===//
//
// For every dim that may run in lanes, the cycles of the whole nest are estimated: each op runs as often as the loops
// it has to stand in turn (ops move out as far as their operands allow), the lanes' loop counting in chunks; a
// contiguous access costs one instruction, a gather one per lane. The cheapest dim wins; scalar code competes too.
//
// Extents without a known bound are taken as 256. Loads and stores of a caller's tensor along its last dim are taken as
// contiguous; emitNest makes a second version for other strides, planned without that.
//===----------------------------------------------------------------------===//
#include "codegen/cpu/ClampedLoad.h"
#include "codegen/cpu/Nest.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/SetVector.h"
#include <cmath>

using namespace mlir;
using namespace attnc;
using namespace attnc::cpu;

/// A bound on a size made of comparisons: 1 + (N <= 4) * 3.
static std::optional<int64_t> mostOf(Value v, int depth = 4) {
  if (auto c = constantOf(v))
    return c;
  Operation *op = v.getDefiningOp();
  if (!op || !depth)
    return std::nullopt;
  if (isa<arith::ExtUIOp>(op) && op->getOperand(0).getType().isInteger(1))
    return 1;
  if (!isa<arith::AddIOp, arith::MulIOp>(op))
    return std::nullopt;
  auto a = mostOf(op->getOperand(0), depth - 1), b = constantOf(op->getOperand(1));
  if (!a || !b || *b < 0)
    return std::nullopt;
  return isa<arith::AddIOp>(op) ? *a + *b : *a * *b;
}

std::optional<int64_t> cpu::atMost(Value lo, Value hi, int depth) {
  auto a = constantOf(lo), b = constantOf(hi);
  if (a && b)
    return *b - *a;
  if (lo == hi)
    return 0;
  Operation *op = hi.getDefiningOp();
  if (!op || !depth)
    return std::nullopt;
  if (a && isa<arith::ExtUIOp>(op) && op->getOperand(0).getType().isInteger(1))
    return 1 - *a;
  if (op->getNumOperands() != 2)
    return std::nullopt;
  Value x = op->getOperand(0), y = op->getOperand(1);
  if (auto c = mostOf(y); c && isa<arith::AddIOp>(op)) {
    auto n = atMost(lo, x, depth - 1);
    return n ? std::optional(*n + *c) : std::nullopt;
  }
  auto n = atMost(lo, x, depth - 1), m = atMost(lo, y, depth - 1);
  if (isa<arith::MinSIOp>(op))
    return n && m ? std::min(*n, *m) : n ? n : m;
  if (isa<arith::MaxSIOp>(op))
    return n && m ? std::optional(std::max(*n, *m)) : std::nullopt;
  return std::nullopt;
}

DenseMap<Value, unsigned> cpu::dependences(Block &body) {
  DenseMap<Value, unsigned> on;
  for (BlockArgument arg : body.getArguments())
    on[arg] = 1u << arg.getArgNumber();
  for (Operation &op : body)
    for (Value r : op.getResults())
      for (Value v : op.getOperands())
        on[r] |= on.lookup(v);
  return on;
}

void cpu::conjuncts(Value v, SmallVectorImpl<Value> &all) {
  if (auto both = v.getDefiningOp<arith::AndIOp>()) {
    conjuncts(both.getLhs(), all);
    conjuncts(both.getRhs(), all);
  } else {
    all.push_back(v);
  }
}

namespace {

/// How a position moves from one lane to the next.
struct Step {
  enum Kind { None, Constant, Strided, Irregular } kind = None;
  int64_t by = 0;
};

class Planner {
public:
  Planner(const Scope &scope, const Machine &machine, tile::NestOp nest, bool callerUnit, int shortDim)
      : scope(scope), machine(machine), nest(nest), callerUnit(callerUnit) {
    numPar = nest.getNumPar();
    for (auto [lo, hi] : {std::pair(nest.getParLo(), nest.getParHi()), std::pair(nest.getInnerLo(), nest.getInnerHi())})
      for (auto [l, h] : llvm::zip(lo, hi))
        extents.push_back(std::max<double>(double(atMost(l, h).value_or(256)), 1));
    constexpr double kFew = 2;
    if (shortDim >= 0)
      extents[shortDim] = std::min(extents[shortDim], kFew);
    for (BlockArgument arg : nest.getBody().getArguments())
      depends[arg] = 1u << arg.getArgNumber();
    if (!nest.getFinish().empty())
      for (BlockArgument arg : nest.getFinish().getArguments())
        depends[arg] = arg.getArgNumber() < numPar ? 1u << arg.getArgNumber() : (1u << numPar) - 1;
    for (Region *region : {&nest.getBody(), &nest.getFinish()})
      for (Operation &op : region->getOps())
        for (Value v : op.getResults()) {
          unsigned on = 0;
          for (Value operand : op.getOperands())
            on |= depends.lookup(operand);
          depends[v] = on;
          wide |= v.getType().isF64();
          narrow |= v.getType().isF32();
        }
  }

  NestPlan best() {
    NestPlan plan;
    if (!machine.vectorise || extents.size() > 31)
      return plan;
    double least = cost(-1, 1);
    unsigned lane = wide || !narrow ? 8 : 4;
    unsigned width = machine.vectorBytes / lane;
    for (int d = 0; d < int(extents.size()); ++d) {
      if (d >= int(numPar) && nest.getSequential())
        break;
      double c = cost(d, width);
      if (c < least) {
        least = c;
        plan.vectorDim = d;
        plan.width = width;
      }
    }
    tryTransposed(plan, least, width);
    if (plan.vectorDim >= 0)
      collectUnitBuffers(plan);
    return plan;
  }

private:
  Step step(Value v, unsigned dim) {
    if (!(depends.lookup(v) >> dim & 1))
      return {};
    // Remembered: a value that is used twice at each of many levels has as many paths to it as there are leaves of a
    // tree.
    if (auto known = steps.find({v, dim}); known != steps.end())
      return known->second;
    Step found = findStep(v, dim);
    steps[{v, dim}] = found;
    return found;
  }

  Step findStep(Value v, unsigned dim) {
    auto arg = dyn_cast<BlockArgument>(v);
    if (arg)
      return {Step::Constant, 1};
    Operation *op = v.getDefiningOp();
    if (!isa<arith::AddIOp, arith::SubIOp, arith::MulIOp>(op))
      return {Step::Irregular, 0};
    Step a = step(op->getOperand(0), dim), b = step(op->getOperand(1), dim);
    if (a.kind == Step::Irregular || b.kind == Step::Irregular)
      return {Step::Irregular, 0};
    if (isa<arith::MulIOp>(op)) {
      if (a.kind != Step::None && b.kind != Step::None)
        return {Step::Irregular, 0};
      Step moving = a.kind == Step::None ? b : a;
      auto factor = constantOf(op->getOperand(a.kind == Step::None ? 0 : 1));
      if (moving.kind == Step::Constant && factor)
        return {*factor ? Step::Constant : Step::None, int64_t(uint64_t(moving.by) * uint64_t(*factor))};
      return {Step::Strided, 0};
    }
    if (a.kind == Step::Strided || b.kind == Step::Strided)
      return {Step::Strided, 0};
    uint64_t x = a.by, y = b.by; // wraps, as the positions do
    int64_t by = isa<arith::AddIOp>(op) ? x + y : x - y;
    return {by ? Step::Constant : Step::None, by};
  }

  /// Along the lanes' dim: does not move, contiguous, lane by lane with no dim of the nest nearer in memory, or lane by
  /// lane.
  enum class Access { Still, Unit, Near, Scattered };
  Access access(Value buffer, ValueRange indices, unsigned dim, tile::LoadOp load = {}) {
    Access all = Access::Still;
    for (auto [d, index] : llvm::enumerate(indices)) {
      Step s = step(index, dim);
      // A masked load: see Point::emitLoad.
      if (s.kind == Step::Irregular && load && d + 1 == indices.size() && all == Access::Still)
        if (auto clamped = clampedIndex(load, d, [&](Value v) { return depends.lookup(v) >> dim & 1; }))
          s = step(clamped->position, dim);
      if (s.kind == Step::None)
        continue;
      if (s.kind != Step::Constant || s.by != 1 ||
          llvm::any_of(indices.drop_front(d + 1), [&](Value v) { return depends.lookup(v) != 0; }))
        return Access::Scattered;
      auto it = scope.buffers.find(buffer);
      bool unit =
          callerUnit || it == scope.buffers.end() || !it->second.caller || constantOf(it->second.strides.back()) == 1;
      all = unit && d + 1 == indices.size() ? Access::Unit : Access::Near;
    }
    return all;
  }

  /// Whether a store moves along a dim by as much every time: not to listed places.
  bool inEqualSteps(tile::StoreOp st, unsigned dim) {
    bool moves = false;
    for (Value index : st.getIndices()) {
      Step s = step(index, dim);
      if (s.kind == Step::Irregular)
        return false;
      moves |= s.kind != Step::None;
    }
    return moves;
  }

  /// Lanes along one dim with stores along another, where that is cheaper.
  void tryTransposed(NestPlan &plan, double least, unsigned width) {
    auto stores = nest.getBody().getOps<tile::StoreOp>();
    if (!llvm::hasSingleElement(stores) || nest.getNumInner() || numPar < 2)
      return;
    tile::StoreOp st = *stores.begin();
    auto reads = [&](tile::LoadOp load) { return load.getBuffer() == st.getBuffer(); };
    if (!isa<FloatType>(st.getValue().getType()) || llvm::any_of(nest.getBody().getOps<tile::LoadOp>(), reads))
      return;
    for (int along = 0; along < int(numPar); ++along) {
      if (access(st.getBuffer(), st.getIndices(), along) != Access::Unit)
        continue;
      for (int d = 0; d < int(numPar); ++d) {
        if (d == along || !inEqualSteps(st, d))
          continue;
        storeDim = along;
        double c = cost(d, width);
        storeDim = -1;
        if (c >= least)
          continue;
        least = c;
        plan.vectorDim = d;
        plan.storeDim = along;
        plan.width = width;
      }
    }
  }

  /// Cycles of one op for `width` lanes.
  double price(Operation &op, int dim, unsigned width) {
    bool moves = dim >= 0 && llvm::any_of(op.getOperands(), [&](Value v) { return depends.lookup(v) >> dim & 1; });
    auto memory = [&](Value buffer, ValueRange indices, double one, double perLane, tile::LoadOp load = {}) {
      if (dim < 0)
        return one;
      switch (access(buffer, indices, dim, load)) {
      case Access::Still:
        return one;
      case Access::Unit:
        return 1.2 * one;
      case Access::Near:
        // Each cache line once, instead of again for every position along the dim that is stored along.
        return (storeDim >= 0 ? 0.5 : 1) * perLane * width;
      case Access::Scattered:
        return perLane * width;
      }
      return one;
    };
    if (auto load = dyn_cast<tile::LoadOp>(op))
      return memory(load.getBuffer(), load.getIndices(), 0.5, 1.6, load);
    if (auto st = dyn_cast<tile::StoreOp>(op))
      // Through a tile: a share of the stores of all its rows, however few of them there are.
      return storeDim >= 0 ? 0.6 * width * std::ceil(extents[storeDim] / width) * width / extents[storeDim]
                           : memory(st.getBuffer(), st.getIndices(), 1, 1.4);
    if (auto up = dyn_cast<tile::UpdateOp>(op))
      return memory(up.getBuffer(), up.getIndices(), 2, 3);
    if (isa<tile::YieldOp>(op))
      return 0.5 * op.getNumOperands();
    bool integer = op.getNumResults() && op.getResult(0).getType().isInteger(64);
    if (moves && isa<arith::DivSIOp, arith::RemSIOp, arith::DivUIOp, arith::RemUIOp>(op))
      return 12.0 * width;
    if (isa<math::MathDialect>(op.getDialect()) && !isa<math::AbsFOp, math::FloorOp, math::CeilOp, math::FmaOp>(op))
      return op.getResult(0).getType().isF64() ? 25.0 * (moves ? width : 1) : 14;
    if (integer && moves)
      if (Step s = step(op.getResult(0), dim); s.kind == Step::Constant || s.kind == Step::Strided)
        return 0.2; // stays scalar
    return integer && moves ? 1.5 : 0.5;
  }

  double cost(int dim, unsigned width) {
    SmallVector<int> order;
    for (int d = 0; d < int(numPar); ++d)
      if (d != dim)
        order.push_back(d);
    if (dim >= 0 && dim < int(numPar))
      order.push_back(dim);
    for (int d = numPar; d < int(extents.size()); ++d)
      if (d != dim)
        order.push_back(d);
    if (dim >= int(numPar))
      order.push_back(dim);

    auto turns = [&](unsigned on) {
      double times = 1, all = 1;
      for (int d : order) {
        all *= d == dim ? std::ceil(extents[d] / width) : extents[d];
        if (on >> d & 1)
          times = all;
      }
      return times;
    };
    unsigned everything = (1u << extents.size()) - 1, pars = (1u << numPar) - 1;
    double total = 0;
    for (Operation &op : nest.getBody().getOps()) {
      unsigned on = 0;
      for (Value v : op.getOperands())
        on |= depends.lookup(v);
      if (isa<tile::StoreOp, tile::UpdateOp, tile::YieldOp>(op))
        on = everything;
      total += turns(on) * price(op, dim, width);
    }
    if (nest.isReduction()) {
      for (Operation &op : nest.getFinish().getOps())
        total += turns(pars) * price(op, dim < int(numPar) ? dim : -1, width);
      if (dim >= int(numPar))
        total += turns(pars) * 12 * nest.getCombiners().size();
    }
    // One chain of dependent operations: a scalar sum takes the latency of an addition per point.
    if (nest.isReduction() && dim < 0)
      total += turns(everything) * 3;
    // The loops themselves.
    return total + turns(everything) * 0.5;
  }

  void collectUnitBuffers(NestPlan &plan) {
    llvm::SmallSetVector<Value, 4> buffers;
    unsigned dim = plan.vectorDim;
    auto visit = [&](Value buffer, ValueRange indices, int along, tile::LoadOp load = {}) {
      auto it = scope.buffers.find(buffer);
      if (it != scope.buffers.end() && it->second.caller && access(buffer, indices, along, load) == Access::Unit)
        buffers.insert(buffer);
    };
    for (Region *region : {&nest.getBody(), &nest.getFinish()}) {
      if (region == &nest.getFinish() && dim >= numPar)
        break;
      for (Operation &op : region->getOps()) {
        if (auto load = dyn_cast<tile::LoadOp>(op))
          visit(load.getBuffer(), load.getIndices(), dim, load);
        else if (auto st = dyn_cast<tile::StoreOp>(op))
          visit(st.getBuffer(), st.getIndices(), plan.storeDim >= 0 ? plan.storeDim : int(dim));
        else if (auto up = dyn_cast<tile::UpdateOp>(op))
          visit(up.getBuffer(), up.getIndices(), dim);
      }
    }
    plan.unitBuffers.append(buffers.begin(), buffers.end());
  }

  const Scope &scope;
  const Machine &machine;
  tile::NestOp nest;
  bool callerUnit;
  int storeDim = -1; ///< of the plan that is looked at
  unsigned numPar;
  SmallVector<double> extents;
  DenseMap<std::pair<Value, unsigned>, Step> steps;
  DenseMap<Value, unsigned> depends; ///< dims a value depends on, as bits
  bool wide = false, narrow = false;
};

} // namespace

NestPlan cpu::planNest(const Scope &scope, const Machine &machine, tile::NestOp nest, bool callerUnit, int shortDim) {
  return Planner(scope, machine, nest, callerUnit, shortDim).best();
}
