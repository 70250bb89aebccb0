//===- Weights below a stale maximum --------------------------------------===//
//
// Where weights are summed by themselves (StreamStaleMatch.cpp), the maximum need not be known: the scores of a block
// become weights where they are made, below the maximum that an earlier block left (0 at first), and nothing is
// corrected. The sum says whether that will do, for a weight above kHigh or a sum below kLow does not; then the block
// is done again as in Stream.cpp, and as long as the maximum goes on rising so far, blocks are done like that at once:
//
//   for blocks of j:
//     if stale:      S = min(exp2(q[i] k[j] c - m c), 2^127), a NaN among them;  z' = sum of S
//                    stale = all(kLow <= z + z' <= kHigh)
//     if not stale:  as there but for o; stale = all(maximum not risen by so much, and z + z' inside)
//     z = z + z';  o = o + sum of S v
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/tile/StreamRewriter.h"

using namespace mlir;

namespace attnc::stream {

/// Of a sum of weights below a stale maximum: well within the range of f32, so that products with values are, too.
constexpr double kLow = 0x1p-32, kHigh = 0x1p32;

/// Whether a value is the same at all points of the nest whose block is given.
static bool isSame(Value v, Block *block) {
  DenseSet<Value> seen;
  SmallVector<Value> todo{v};
  while (!todo.empty()) {
    Value at = todo.pop_back_val();
    if (at.getParentBlock() != block || !seen.insert(at).second)
      continue;
    if (!at.getDefiningOp() || isa<tile::LoadOp>(at.getDefiningOp()))
      return false;
    llvm::append_range(todo, at.getDefiningOp()->getOperands());
  }
  return true;
}

/// Buffers that blocks below a stale maximum need.
void Rewriter::prepareStale(ImplicitLocOpBuilder &b) {
  Member &z = *stale->sum;
  blockSum = runningBuffer(b, z, memoryOrder(z), z.nest.getFinish().front().getArguments().back().getType(), "block");
  auto flag = b.create<tile::AllocOp>(tile::BufType::get(b.getI1Type(), 0), ValueRange());
  flag->setAttr("name", b.getStringAttr("stale"));
  flag->setAttr(tile::kOverRows, b.getUnitAttr());
  willDo = flag;
  b.create<tile::NestOp>(ArrayRef<tile::Range>{}, [&](OpBuilder &inner, Location loc, ValueRange) {
    ImplicitLocOpBuilder nb(loc, inner);
    nb.create<tile::StoreOp>(nb.create<arith::ConstantIntOp>(1, 1), willDo, ValueRange());
  });
}

/// What a difference to the maximum is multiplied by for exp2.
Value Rewriter::maxUnit(ImplicitLocOpBuilder &b) {
  Value scale = maxima.begin()->second.first.scale;
  if (!isa<math::ExpOp>(stale->exp) && scale)
    return scale;
  Value unit = real(b, stale->exp->getResult(0).getType(), isa<math::ExpOp>(stale->exp) ? 1.4426950408889634 : 1);
  return scale ? Value(b.create<arith::MulFOp>(unit, scale)) : unit;
}

/// A weight below the stale maximum in place of its score; `scores`: of the nest that makes the score.
void Rewriter::emitWeight(ImplicitLocOpBuilder &b, const IRMapping &scores, Value lo) {
  tile::NestOp nest = stale->weights->nest;
  IRMapping map;
  for (auto [its, own] : llvm::zip(stale->score.getIndices(), stale->load.getIndices()))
    if (BlockArgument position = parts(own).first)
      map.map(position, scores.lookupOrDefault(parts(its).first));
  map.map(stale->load.getResult(), scores.lookupOrDefault(stale->score.getValue()));
  auto copy = [&](auto &copy, Value v) -> Value {
    Operation *op = v.getDefiningOp();
    if (map.contains(v) || !op || !nest->isAncestor(op))
      return map.lookupOrDefault(v);
    if (op != stale->exp) {
      for (Value operand : op->getOperands())
        copy(copy, operand);
      b.clone(*op, map);
      return map.lookup(v);
    }
    // A factor of all scores takes in that of exp2.
    Value score = copy(copy, stale->argument), unit = maxUnit(b);
    if (auto mul = score.getDefiningOp<arith::MulFOp>(); mul && isSame(mul.getRhs(), b.getInsertionBlock())) {
      unit = b.create<arith::MulFOp>(mul.getRhs(), unit);
      score = mul.getLhs();
    }
    SmallVector<Value> place;
    for (Value index : loadOf(nest, stale->max->max).getIndices())
      place.push_back(copy(copy, index));
    Value below = b.create<tile::LoadOp>(unitReference, place);
    Value x = b.create<arith::MulFOp>(score, unit);
    x = b.create<arith::SubFOp>(x, below);
    Value most = real(b, x.getType(), 127); // also for a NaN: the sum is then out of range
    x = b.create<arith::SelectOp>(b.create<arith::CmpFOp>(arith::CmpFPredicate::OLT, x, most), x, most);
    map.map(v, b.create<math::Exp2Op>(x, arith::FastMathFlags::afn | arith::FastMathFlags::nnan).getResult());
    return map.lookup(v);
  };
  const Row &row = rows.find(stale->store.getBuffer())->second;
  SmallVector<Value> at;
  for (unsigned k : row.order) {
    Value index = stale->store.getIndices()[k];
    at.push_back(k == row.dim ? Value(b.create<arith::SubIOp>(copy(copy, parts(index).first), lo)) : copy(copy, index));
  }
  b.create<tile::StoreOp>(copy(copy, stale->store.getValue()), row.now, at);
}

/// The weights of a block below the stale maximum, and their sum.
void Rewriter::emitBelowStale(ImplicitLocOpBuilder &b, Value lo, Value hi) {
  for (Member *m : stale->before)
    emitMember(b, *m, lo, hi);
  tile::NestOp scores = stale->scores->nest, sum = stale->sum->nest;
  Dim axis = dimOf(stale->weights->nest, stale->weights->dim);
  tile::Range range{b.createOrFold<arith::MaxSIOp>(axis.lo, lo), b.createOrFold<arith::MinSIOp>(axis.hi, hi)};
  SmallVector<tile::Range> par = parOf(scores), red;
  par[stale->scores->dim] = range;
  unsigned numPar = scores.getNumPar();
  auto withWeights = [&](ImplicitLocOpBuilder &nb, Block &from, IRMapping &map) {
    emitBody(nb, from, map, lo, [&](Operation &op) {
      if (&op != stale->score)
        return false;
      emitWeight(nb, map, lo);
      return true;
    });
  };
  Block &body = scores.getBody().front();
  if (!scores.isReduction()) {
    b.create<tile::NestOp>(par, [&](OpBuilder &inner, Location loc, ValueRange at) {
      ImplicitLocOpBuilder nb(loc, inner);
      IRMapping map;
      map.map(body.getArguments(), at);
      withWeights(nb, body, map);
    });
  } else {
    for (unsigned d = numPar; d < numPar + scores.getNumInner(); ++d)
      red.push_back({dimOf(scores, d).lo, dimOf(scores, d).hi});
    b.create<tile::NestOp>(
        par, red,
        [&](OpBuilder &inner, Location loc, ValueRange at, ValueRange over) {
          ImplicitLocOpBuilder nb(loc, inner);
          IRMapping map;
          map.map(body.getArguments().take_front(numPar), at);
          map.map(body.getArguments().drop_front(numPar), over);
          emitBody(nb, body, map, lo);
          return llvm::map_to_vector(body.getTerminator()->getOperands(),
                                     [&](Value v) { return map.lookupOrDefault(v); });
        },
        scores.getCombinerKinds(),
        [&](OpBuilder &inner, Location loc, ValueRange at, ValueRange results) {
          ImplicitLocOpBuilder nb(loc, inner);
          IRMapping map;
          map.map(scores.getFinish().front().getArguments().take_front(numPar), at);
          map.map(scores.getFinish().front().getArguments().drop_front(numPar), results);
          withWeights(nb, scores.getFinish().front(), map);
        });
  }
  Block &weights = sum.getBody().front();
  b.create<tile::NestOp>(
      parOf(sum), range,
      [&](OpBuilder &inner, Location loc, ValueRange at, ValueRange over) {
        ImplicitLocOpBuilder nb(loc, inner);
        IRMapping map;
        map.map(weights.getArguments().take_front(at.size()), at);
        map.map(weights.getArguments().drop_front(at.size()), over);
        emitBody(nb, weights, map, lo);
        Value weight = map.lookupOrDefault(weights.getTerminator()->getOperand(0));
        // Where a condition leaves a weight out it is 0: for MaskBlocks.cpp.
        if (auto select = weight.getDefiningOp<arith::SelectOp>())
          select->setAttr("droppable", nb.getUnitAttr());
        return SmallVector<Value>{weight};
      },
      tile::Combiner::Sum,
      [&](OpBuilder &inner, Location loc, ValueRange at, ValueRange results) {
        ImplicitLocOpBuilder nb(loc, inner);
        nb.create<tile::StoreOp>(results[0], blockSum, places(nb, sum, memoryOrder(*stale->sum), at));
      });
  emitTest(b, /*raised=*/false);
}

/// The same with the maximum raised to that of the block, and what was summed so far corrected.
void Rewriter::emitRaised(ImplicitLocOpBuilder &b, Value lo, Value hi) {
  for (Member &m : members) {
    emitMember(b, m, lo, hi);
    if (&m == stale->weights)
      break;
  }
  emitMember(b, *stale->sum, lo, hi);
  for (Member &m : members) {
    if (!m.sums() || m.max || m.degree.kind != Degree::Linear)
      continue;
    b.create<tile::NestOp>(parOf(m.nest), [&](OpBuilder &inner, Location loc, ValueRange par) {
      ImplicitLocOpBuilder nb(loc, inner);
      SmallVector<Value> place = places(nb, m.nest, memoryOrder(m), par);
      Value by = nb.create<tile::LoadOp>(corrections.lookup(m.degree.max), maxPlace(nb, m, par));
      for (Value running : m.running)
        nb.create<tile::StoreOp>(nb.create<arith::MulFOp>(nb.create<tile::LoadOp>(running, place), by), running, place);
    });
  }
  emitTest(b, /*raised=*/true);
}

/// Whether the old maximum did or, where it was raised, would have done.
void Rewriter::emitTest(ImplicitLocOpBuilder &b, bool raised) {
  Member &z = *stale->sum;
  b.create<tile::NestOp>(
      ArrayRef<tile::Range>{}, parOf(z.nest),
      [&](OpBuilder &inner, Location loc, ValueRange, ValueRange at) {
        ImplicitLocOpBuilder nb(loc, inner);
        SmallVector<Value> place = places(nb, z.nest, memoryOrder(z), at);
        Value sum = nb.create<tile::LoadOp>(z.running[0], place);
        sum = nb.create<arith::AddFOp>(sum, nb.create<tile::LoadOp>(blockSum, place));
        auto is = [&](Value v, arith::CmpFPredicate than, double limit) {
          return nb.create<arith::CmpFOp>(than, v, real(nb, v.getType(), limit));
        };
        Value inside = is(sum, arith::CmpFPredicate::OGE, kLow);
        inside = nb.create<arith::AndIOp>(inside, is(sum, arith::CmpFPredicate::OLE, kHigh));
        if (raised) {
          Value by = nb.create<tile::LoadOp>(corrections.lookup(stale->max->max), maxPlace(nb, z, at));
          inside = nb.create<arith::AndIOp>(inside, is(by, arith::CmpFPredicate::OGE, kLow));
        }
        return SmallVector<Value>{inside};
      },
      tile::Combiner::All,
      [&](OpBuilder &inner, Location loc, ValueRange, ValueRange results) {
        inner.create<tile::StoreOp>(loc, results[0], willDo, ValueRange());
      });
}

void Rewriter::emitBlock(ImplicitLocOpBuilder &b, Value lo, Value hi) {
  Value zero = b.create<arith::ConstantIntOp>(0, 64), one = b.create<arith::ConstantIntOp>(1, 64);
  auto when = [&](bool stale, void (Rewriter::*emit)(ImplicitLocOpBuilder &, Value, Value)) {
    Value old = b.create<tile::LoadOp>(willDo, ValueRange());
    Value times = b.create<arith::SelectOp>(old, stale ? one : zero, stale ? zero : one);
    auto loop = b.create<tile::ForOp>(zero, times, one, [&](OpBuilder &inner, Location loc, Value) {
      ImplicitLocOpBuilder nb(loc, inner);
      (this->*emit)(nb, lo, hi);
    });
    if (!stale)
      loop.walk([](tile::NestOp nest) { nest->setAttr(tile::kRare, UnitAttr::get(nest.getContext())); });
  };
  when(true, &Rewriter::emitBelowStale);
  when(false, &Rewriter::emitRaised);
  Member &z = *stale->sum;
  b.create<tile::NestOp>(parOf(z.nest), [&](OpBuilder &inner, Location loc, ValueRange par) {
    ImplicitLocOpBuilder nb(loc, inner);
    SmallVector<Value> place = places(nb, z.nest, memoryOrder(z), par), top = maxPlace(nb, z, par);
    Value sum = nb.create<tile::LoadOp>(z.running[0], place);
    sum = nb.create<arith::AddFOp>(sum, nb.create<tile::LoadOp>(blockSum, place));
    nb.create<tile::StoreOp>(sum, z.running[0], place);
    // What is summed says whether there was anything.
    Value none = nb.create<arith::CmpFOp>(arith::CmpFPredicate::OEQ, sum, real(nb, sum.getType(), 0));
    Value reference = nb.create<tile::LoadOp>(references.lookup(stale->max->max), top);
    Value lowest = identity(nb, tile::Combiner::Max, reference.getType());
    nb.create<tile::StoreOp>(nb.create<arith::SelectOp>(none, lowest, reference), stale->max->max, top);
  });
  bool later = false;
  for (Member &m : members) {
    if (later && &m != stale->sum)
      emitMember(b, m, lo, hi);
    later |= &m == stale->weights;
  }
}

} // namespace attnc::stream
