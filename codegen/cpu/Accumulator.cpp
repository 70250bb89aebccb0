//===- Running sums of a nest ---------------------------------------------===//
#include "codegen/cpu/Accumulator.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include <limits>

using namespace mlir;
using namespace attnc;
using namespace attnc::cpu;

Value cpu::addTo(Ir &ir, Value a, Value b) {
  if (!isa<FloatType>(getElementTypeOrSelf(a.getType())))
    return ir.create<arith::AddIOp>(a, b);
  return ir.create<arith::AddFOp>(a, b, arith::FastMathFlags::contract);
}

Accumulator::Accumulator(Ir &ir, tile::NestOp nest) : ir(ir), kinds(nest.getCombinerKinds()) {
  llvm::append_range(yielded, nest.getBody().front().getTerminator()->getOperands());
}

SmallVector<Value> Accumulator::start(unsigned width) {
  SmallVector<Value> state;
  size_t at = 0;
  for (tile::Combiner kind : kinds) {
    Type type = yielded[at].getType();
    if (isArg(kind)) {
      Value key =
          isa<FloatType>(type)
              ? Value(ir.create<arith::ConstantOp>(ir.getFloatAttr(type, std::numeric_limits<double>::quiet_NaN())))
              : Value(ir.i64(0));
      for (Value v : {key, ir.i64(0), Value(ir.create<arith::ConstantIntOp>(0, 1))})
        state.push_back(ir.splat(v, width));
    } else {
      state.push_back(ir.splat(tile::identity(ir, kind, type), width));
    }
    at += isArg(kind) ? 3 : 1;
  }
  return state;
}

arith::SelectOp Accumulator::guard() {
  if (kinds.size() != 1 || isArg(kinds[0]))
    return {};
  auto choice = yielded[0].getDefiningOp<arith::SelectOp>();
  auto otherwise = choice ? choice.getFalseValue().getDefiningOp<arith::ConstantOp>() : arith::ConstantOp();
  if (!otherwise || !choice->hasOneUse())
    return {};
  Value same = tile::identity(ir, kinds[0], choice.getType());
  return same.getDefiningOp<arith::ConstantOp>().getValue() == otherwise.getValue() ? choice : arith::SelectOp();
}

SmallVector<Value> Accumulator::step(ValueRange state, Point &point, Value mask) {
  // Keeping the old sum is a masked FMA, adding zeros is three instructions.
  if (auto choice = guard()) {
    Lane c = point.get(choice.getCondition());
    Value on = c.kind == Lane::Vector && mask ? Value(ir.create<arith::AndIOp>(c.value, mask)) : c.value;
    SmallVector<Value> next = join(state, point.full(choice.getTrueValue()), c.kind == Lane::Vector ? Value() : mask);
    return {ir.create<arith::SelectOp>(on, next[0], state[0])};
  }
  SmallVector<Value> values;
  for (Value v : yielded)
    values.push_back(point.full(v));
  return join(state, values, mask);
}

SmallVector<Value> Accumulator::join(ValueRange a, ValueRange b, Value mask) {
  SmallVector<Value> next;
  size_t at = 0;
  for (tile::Combiner kind : kinds) {
    if (isArg(kind)) {
      llvm::append_range(next, joinArg(kind, a.slice(at, 3), b.slice(at, 3), mask));
      at += 3;
      continue;
    }
    Value v = kind == tile::Combiner::Sum ? addTo(ir, a[at], b[at]) : tile::combine(ir, kind, a[at], b[at]);
    // Selecting the old value, not the identity: exact for every combiner, and one blend either way.
    next.push_back(mask ? Value(ir.create<arith::SelectOp>(mask, v, a[at])) : v);
    ++at;
  }
  return next;
}

SmallVector<Value> Accumulator::acrossLanes(ValueRange state, unsigned width) {
  if (width == 1)
    return SmallVector<Value>(state);
  auto lane = [&](unsigned i) {
    SmallVector<Value> values;
    for (Value v : state)
      values.push_back(ir.create<vector::ExtractOp>(v, int64_t(i)));
    return values;
  };
  if (llvm::any_of(kinds, isArg)) {
    SmallVector<Value> all = lane(0);
    for (unsigned i = 1; i < width; ++i)
      all = join(all, lane(i), {});
    return all;
  }
  // Halves on halves: log2(width) vector steps.
  SmallVector<Value> all(state);
  for (unsigned n = width / 2; n; n /= 2) {
    SmallVector<Value> low, high;
    SmallVector<int64_t> lowLanes, highLanes;
    for (unsigned i = 0; i < n; ++i) {
      lowLanes.push_back(i);
      highLanes.push_back(n + i);
    }
    for (Value v : all) {
      low.push_back(ir.create<vector::ShuffleOp>(v, v, lowLanes));
      high.push_back(ir.create<vector::ShuffleOp>(v, v, highLanes));
    }
    all = join(low, high, {});
  }
  for (Value &v : all)
    v = ir.create<vector::ExtractOp>(v, int64_t(0));
  return all;
}

SmallVector<Value> Accumulator::results(ValueRange state) {
  SmallVector<Value> out;
  size_t at = 0;
  for (tile::Combiner kind : kinds) {
    out.push_back(state[isArg(kind) ? at + 1 : at]);
    at += isArg(kind) ? 3 : 1;
  }
  return out;
}

/// A candidate wins when it is valid and: nothing was found yet, or its key is better, or it is a number against a
/// NaN, or it ties at a smaller position. The start key is NaN, so that the first two cases need no test of their
/// own.
SmallVector<Value> Accumulator::joinArg(tile::Combiner kind, ValueRange best, ValueRange next, Value mask) {
  Value key = next[0], bestKey = best[0], better, same;
  bool max = kind == tile::Combiner::ArgMax;
  if (isa<FloatType>(getElementTypeOrSelf(key.getType()))) {
    auto cmp = [&](arith::CmpFPredicate p, Value a, Value b) { return ir.create<arith::CmpFOp>(p, a, b); };
    Value keyNan = cmp(arith::CmpFPredicate::UNO, key, key), bestNan = cmp(arith::CmpFPredicate::UNO, bestKey, bestKey);
    Value keyNumber = cmp(arith::CmpFPredicate::ORD, key, key);
    better = ir.create<arith::OrIOp>(cmp(max ? arith::CmpFPredicate::OGT : arith::CmpFPredicate::OLT, key, bestKey),
                                     ir.create<arith::AndIOp>(keyNumber, bestNan));
    same = ir.create<arith::OrIOp>(cmp(arith::CmpFPredicate::OEQ, key, bestKey),
                                   ir.create<arith::AndIOp>(keyNan, bestNan));
  } else {
    better = ir.create<arith::CmpIOp>(max ? arith::CmpIPredicate::sgt : arith::CmpIPredicate::slt, key, bestKey);
    same = ir.create<arith::CmpIOp>(arith::CmpIPredicate::eq, key, bestKey);
  }
  Value earlier = ir.create<arith::CmpIOp>(arith::CmpIPredicate::slt, next[1], best[1]);
  better = ir.create<arith::OrIOp>(better, ir.create<arith::AndIOp>(same, earlier));
  Value yes = ir.create<arith::ConstantOp>(
      isa<VectorType>(best[2].getType()) ? TypedAttr(DenseElementsAttr::get(cast<VectorType>(best[2].getType()), true))
                                         : TypedAttr(ir.getBoolAttr(true)));
  better = ir.create<arith::OrIOp>(better, ir.create<arith::XOrIOp>(best[2], yes));
  better = ir.create<arith::AndIOp>(better, next[2]);
  if (mask)
    better = ir.create<arith::AndIOp>(better, mask);
  return {ir.create<arith::SelectOp>(better, key, bestKey), ir.create<arith::SelectOp>(better, next[1], best[1]),
          ir.create<arith::OrIOp>(best[2], better)};
}
