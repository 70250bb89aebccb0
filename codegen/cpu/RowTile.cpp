//===- Sums whose rows share operands -------------------------------------===//
//
// y[i, c] = sum over r of K[r, c] * u[i - r, c], a convolution per channel, with the channels in lanes: no operand is
// the same along all lanes, so it is no matrix product, but K is the same for all rows i, and u for all i and r of one
// difference. In a box of 8 rows and 8 steps of r the 64 points load 8 + 15 vectors instead of 128. They are emitted
// together, and what has the same operands is emitted once; positions are kept as value + constant, so that (i + 2) -
// (r + 1) and (i + 3) - (r + 2) are seen to be the same.
//
// Guards (i - r >= 0) and clamps (max(i - r, 0)) would make every point different. Whether they do anything in a box
// shows at its corners, when it runs: the positions in them are sums of dims, so that intervals of the dims give
// intervals of the positions.
//===----------------------------------------------------------------------===//
#include "codegen/cpu/RowTile.h"
#include "codegen/cpu/Accumulator.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace attnc;
using namespace attnc::cpu;

static bool isOrder(arith::CmpIPredicate p) {
  return p == arith::CmpIPredicate::slt || p == arith::CmpIPredicate::sle || p == arith::CmpIPredicate::sgt ||
         p == arith::CmpIPredicate::sge;
}

std::optional<RowTile> cpu::matchRowTile(tile::NestOp nest, const NestPlan &plan) {
  constexpr int64_t kMostRows = 256, kMostOps = 32;
  int numPar = nest.getNumPar(), numInner = nest.getNumInner();
  if (plan.compact || plan.vectorDim < 0 || plan.vectorDim >= numPar || !nest.isReduction() || numPar + numInner > 31)
    return std::nullopt;
  SmallVector<tile::Combiner> kinds = nest.getCombinerKinds();
  Block &body = nest.getBody().front();
  Value yielded = body.getTerminator()->getOperand(0);
  if (kinds.size() != 1 || kinds[0] != tile::Combiner::Sum || !isa<FloatType>(yielded.getType()) ||
      std::distance(body.begin(), body.end()) > kMostOps)
    return std::nullopt;
  auto most = atMost(nest.getInnerLo().back(), nest.getInnerHi().back());
  if (most && *most < 2 * RowTile::kSteps)
    return std::nullopt;
  RowTile tile;
  tile.red = numPar + numInner - 1;
  DenseMap<Value, unsigned> on = dependences(body);
  auto has = [&](Value v, int dim) { return on.lookup(v) >> dim & 1; };

  // A matrix product that is too small to be packed has few rows, often one.
  if (llvm::any_of(body.getOps<tile::LoadOp>(), [&](tile::LoadOp load) {
        return isa<FloatType>(load.getType()) && has(load, tile.red) && !has(load, plan.vectorDim);
      }))
    return std::nullopt;
  tile.row = -1;
  for (int d = 0; d < numPar; ++d) {
    auto rows = atMost(nest.getParLo()[d], nest.getParHi()[d]);
    if (d == plan.vectorDim || !rows || *rows < RowTile::kRows || *rows > kMostRows)
      continue;
    bool shares = llvm::any_of(body.getOps<tile::LoadOp>(), [&](tile::LoadOp load) {
      return has(load, plan.vectorDim) && has(load, tile.red) && !has(load, d);
    });
    if (shares)
      tile.row = d;
  }
  if (tile.row < 0)
    return std::nullopt;

  auto moves = [&](Value v) { return has(v, tile.row) || has(v, tile.red); };
  /// Whether the ends of a position are those at the corners of a box.
  std::function<bool(Value)> monotone = [&](Value v) -> bool {
    if (!v.getType().isInteger(64) || has(v, plan.vectorDim))
      return false;
    if (!moves(v) || isa<BlockArgument>(v))
      return true;
    Operation *op = v.getDefiningOp();
    if (isa<arith::MulIOp>(op) && moves(op->getOperand(0)) && moves(op->getOperand(1)))
      return false;
    return isa<arith::AddIOp, arith::SubIOp, arith::MulIOp, arith::MinSIOp, arith::MaxSIOp>(op) &&
           monotone(op->getOperand(0)) && monotone(op->getOperand(1));
  };
  for (Operation &op : body) {
    if (isa<arith::DivSIOp, arith::RemSIOp, arith::FloorDivSIOp, arith::CeilDivSIOp>(op) && moves(op.getResult(0)))
      return std::nullopt;
    if (op.getName().getDialectNamespace() == "math" && moves(op.getResult(0)))
      return std::nullopt;
    if (!isa<arith::MinSIOp, arith::MaxSIOp>(op) || !monotone(op.getResult(0)))
      continue;
    Value x = op.getOperand(0), y = op.getOperand(1);
    if (moves(x) != moves(y))
      tile.clamps.push_back({&op, moves(x) ? x : y});
  }
  auto choice = yielded.getDefiningOp<arith::SelectOp>();
  if (choice && matchPattern(choice.getFalseValue(), m_AnyZeroFloat())) {
    tile.guard = choice;
    conjuncts(choice.getCondition(), tile.conditions);
    for (Value c : tile.conditions) {
      auto cmp = c.getDefiningOp<arith::CmpIOp>();
      if (!cmp || !isOrder(cmp.getPredicate()) || !monotone(cmp.getLhs()) || !monotone(cmp.getRhs()))
        return std::nullopt;
    }
  }
  return tile;
}

RowBox::RowBox(Ir &ir, tile::NestOp nest, const RowTile &tile, Point &at, Value row, Value red)
    : ir(ir), nest(nest), tile(tile), at(at), row(row), red(red) {}

RowBox::Interval RowBox::interval(Value v) {
  auto &body = nest.getBody().front();
  if (v == body.getArgument(tile.row))
    return {row, ir.add(row, ir.i64(RowTile::kRows - 1))};
  if (v == body.getArgument(tile.red))
    return {red, ir.add(red, ir.i64(RowTile::kSteps - 1))};
  if (at.known(v)) {
    Value x = at.scalar(v);
    return {x, x};
  }
  Operation *op = v.getDefiningOp();
  Interval a = interval(op->getOperand(0)), b = interval(op->getOperand(1));
  if (isa<arith::AddIOp>(op))
    return {ir.add(a.lo, b.lo), ir.add(a.hi, b.hi)};
  if (isa<arith::SubIOp>(op))
    return {ir.sub(a.lo, b.hi), ir.sub(a.hi, b.lo)};
  if (isa<arith::MinSIOp>(op))
    return {ir.min(a.lo, b.lo), ir.min(a.hi, b.hi)};
  if (isa<arith::MaxSIOp>(op))
    return {ir.max(a.lo, b.lo), ir.max(a.hi, b.hi)};
  // A product with what does not move.
  Value x = ir.mul(a.lo, b.lo), y = ir.mul(a.hi, b.hi);
  return {ir.min(x, y), ir.max(x, y)};
}

/// Whether `c` (x < y and the like) holds in all of the box, or fails in all of it.
static Value everywhere(Ir &ir, arith::CmpIPredicate p, Value xLo, Value xHi, Value yLo, Value yHi, bool holds) {
  bool less = p == arith::CmpIPredicate::slt || p == arith::CmpIPredicate::sle;
  if (!holds)
    p = arith::invertPredicate(p);
  return ir.createOrFold<arith::CmpIOp>(p, less == holds ? xHi : xLo, less == holds ? yLo : yHi);
}

Value RowBox::inside() {
  Value all;
  auto also = [&](Value v) { all = all ? Value(ir.createOrFold<arith::AndIOp>(all, v)) : v; };
  for (Value c : tile.conditions) {
    auto cmp = c.getDefiningOp<arith::CmpIOp>();
    Interval x = interval(cmp.getLhs()), y = interval(cmp.getRhs());
    also(everywhere(ir, cmp.getPredicate(), x.lo, x.hi, y.lo, y.hi, true));
  }
  for (auto [op, kept] : tile.clamps) {
    Interval x = interval(kept), y = interval(op->getOperand(op->getOperand(0) == kept ? 1 : 0));
    auto p = isa<arith::MinSIOp>(op) ? arith::CmpIPredicate::sle : arith::CmpIPredicate::sge;
    also(everywhere(ir, p, x.lo, x.hi, y.lo, y.hi, true));
  }
  return all;
}

Value RowBox::outside() {
  Value any;
  for (Value c : tile.conditions) {
    auto cmp = c.getDefiningOp<arith::CmpIOp>();
    Interval x = interval(cmp.getLhs()), y = interval(cmp.getRhs());
    Value v = everywhere(ir, cmp.getPredicate(), x.lo, x.hi, y.lo, y.hi, false);
    any = any ? Value(ir.createOrFold<arith::OrIOp>(any, v)) : v;
  }
  return any;
}

RowBox::Split RowBox::split(Value v) {
  if (auto c = constantOf(v))
    return {Value(), *c};
  auto it = splits.find(v.getAsOpaquePointer());
  return it != splits.end() ? it->second : Split{v, 0};
}

Value RowBox::join(Split s) {
  Value &v = joined[{s.first.getAsOpaquePointer(), s.second}];
  if (v)
    return v;
  v = !s.first ? ir.i64(s.second) : s.second ? ir.add(s.first, ir.i64(s.second)) : s.first;
  if (s.first && s.second)
    splits[v.getAsOpaquePointer()] = s;
  return v;
}

/// Sums, differences and multiples of positions; null: not of this form.
std::optional<RowBox::Split> RowBox::integer(Operation *op, Point &point) {
  if (!isa<arith::AddIOp, arith::SubIOp, arith::MulIOp>(op) || !op->getResult(0).getType().isInteger(64))
    return std::nullopt;
  Lane x = point.get(op->getOperand(0)), y = point.get(op->getOperand(1));
  if (x.kind != Lane::Uniform || y.kind != Lane::Uniform)
    return std::nullopt;
  Split a = split(x.value), b = split(y.value);
  auto base = [&](Value p, Value q) {
    Value &v = bases[{op, p.getAsOpaquePointer(), q.getAsOpaquePointer()}];
    if (!v)
      v = isa<arith::AddIOp>(op) ? ir.add(p, q) : isa<arith::SubIOp>(op) ? ir.sub(p, q) : ir.mul(p, q);
    return v;
  };
  if (isa<arith::MulIOp>(op)) {
    if (a.first && b.first)
      return std::nullopt;
    if (!a.first)
      std::swap(a, b);
    return Split{a.first ? base(a.first, join(b)) : Value(), a.second * b.second};
  }
  int64_t constant = isa<arith::AddIOp>(op) ? a.second + b.second : a.second - b.second;
  if (isa<arith::SubIOp>(op) && !a.first && b.first)
    return std::nullopt;
  return Split{a.first && b.first ? base(a.first, b.first) : a.first ? a.first : b.first, constant};
}

void RowBox::emit(Operation *op, Point &point) {
  if (op == tile.guard)
    return point.bind(op->getResult(0), point.get(cast<arith::SelectOp>(op).getTrueValue()));
  for (auto [clamp, kept] : tile.clamps)
    if (op == clamp)
      return point.bind(op->getResult(0), point.get(kept));
  if (auto s = integer(op, point))
    return point.bind(op->getResult(0), join(*s));
  std::vector<void *> operands;
  for (Value v : op->getOperands())
    if (!isa<tile::BufType>(v.getType())) {
      Lane lane = point.get(v);
      operands.push_back(lane.value.getAsOpaquePointer());
      operands.push_back(lane.step.getAsOpaquePointer());
    }
  auto [it, fresh] = made.try_emplace({op, operands});
  if (!fresh)
    return point.bind(op->getResult(0), it->second);
  point.emit(op);
  it->second = point.get(op->getResult(0));
}

SmallVector<Value> RowBox::sum(ValueRange rows) {
  Block &body = nest.getBody().front();
  Value yielded = body.getTerminator()->getOperand(0);
  // What the sum still needs without guards and clamps.
  DenseSet<Value> needed{yielded};
  SmallVector<Operation *> ops;
  for (Operation &op : llvm::reverse(body)) {
    if (!op.getNumResults() || !needed.count(op.getResult(0)) || at.known(op.getResult(0)))
      continue;
    ops.push_back(&op);
    auto clamp = llvm::find_if(tile.clamps, [&](auto &c) { return c.first == &op; });
    if (&op == tile.guard)
      needed.insert(cast<arith::SelectOp>(op).getTrueValue());
    else if (clamp != tile.clamps.end())
      needed.insert(clamp->second);
    else
      needed.insert(op.getOperands().begin(), op.getOperands().end());
  }
  SmallVector<Value> sums(rows);
  for (int r = 0; r < RowTile::kSteps; ++r)
    for (int i = 0; i < RowTile::kRows; ++i) {
      Point point = at;
      point.bind(body.getArgument(tile.row), join({row, i}));
      point.bind(body.getArgument(tile.red), join({red, r}));
      for (Operation *op : llvm::reverse(ops))
        emit(op, point);
      sums[i] = addTo(ir, sums[i], point.full(yielded));
    }
  return sums;
}
