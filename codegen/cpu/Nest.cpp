//===- Loops of a nest ----------------------------------------------------===//
//
// Elementwise:  for outer pars { for chunks of the vector dim { body } }, the last chunk masked.
// Reduction:    along a par dim in lanes, one accumulator per chunk over all red loops; along a red dim in lanes, a few
//               independent accumulators, joined at the end.
// In order:     for outer pars { for chunks of the vector par dim { for seq dims { body } } }.
//===----------------------------------------------------------------------===//
#include "codegen/cpu/Nest.h"
#include "codegen/cpu/Contraction.h"
#include "codegen/cpu/RowTile.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "runtime/Tally.h"
#include "llvm/ADT/SetVector.h"
#include <limits>

using namespace mlir;
using namespace attnc;
using namespace attnc::cpu;

Value cpu::addTo(Ir &ir, Value a, Value b) {
  if (!isa<FloatType>(getElementTypeOrSelf(a.getType())))
    return ir.create<arith::AddIOp>(a, b);
  return ir.create<arith::AddFOp>(a, b, arith::FastMathFlags::contract);
}

namespace {

bool isArg(tile::Combiner kind) { return kind == tile::Combiner::ArgMax || kind == tile::Combiner::ArgMin; }

/// The running state of all combiners of a nest: one value each, three for argmax and argmin (key, position, found).
class Accumulator {
public:
  Accumulator(Ir &ir, tile::NestOp nest) : ir(ir), kinds(nest.getCombinerKinds()) {
    yielded = nest.getBody().front().getTerminator()->getOperands();
  }

  SmallVector<Value> start(unsigned width) {
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

  /// `select(condition, term, identity)`, which is all that is combined.
  arith::SelectOp guard() {
    if (kinds.size() != 1 || isArg(kinds[0]))
      return {};
    auto choice = yielded[0].getDefiningOp<arith::SelectOp>();
    auto otherwise = choice ? choice.getFalseValue().getDefiningOp<arith::ConstantOp>() : arith::ConstantOp();
    if (!otherwise || !choice->hasOneUse())
      return {};
    Value same = tile::identity(ir, kinds[0], choice.getType());
    return same.getDefiningOp<arith::ConstantOp>().getValue() == otherwise.getValue() ? choice : arith::SelectOp();
  }

  /// State after one more point (per lane); lanes outside `mask` keep theirs.
  SmallVector<Value> step(ValueRange state, Point &point, Value mask) {
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

  /// Joins two states (or a state and yielded values).
  SmallVector<Value> join(ValueRange a, ValueRange b, Value mask) {
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

  /// Over the lanes; scalars of the same layout.
  SmallVector<Value> acrossLanes(ValueRange state, unsigned width) {
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

  /// What finish gets: one value per combiner.
  SmallVector<Value> results(ValueRange state) {
    SmallVector<Value> out;
    size_t at = 0;
    for (tile::Combiner kind : kinds) {
      out.push_back(state[isArg(kind) ? at + 1 : at]);
      at += isArg(kind) ? 3 : 1;
    }
    return out;
  }

private:
  /// A candidate wins when it is valid and: nothing was found yet, or its key is better, or it is a number against a
  /// NaN, or it ties at a smaller position. The start key is NaN, so that the first two cases need no test of their
  /// own.
  SmallVector<Value> joinArg(tile::Combiner kind, ValueRange best, ValueRange next, Value mask) {
    Value key = next[0], bestKey = best[0], better, same;
    bool max = kind == tile::Combiner::ArgMax;
    if (isa<FloatType>(getElementTypeOrSelf(key.getType()))) {
      auto cmp = [&](arith::CmpFPredicate p, Value a, Value b) { return ir.create<arith::CmpFOp>(p, a, b); };
      Value keyNan = cmp(arith::CmpFPredicate::UNO, key, key),
            bestNan = cmp(arith::CmpFPredicate::UNO, bestKey, bestKey);
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
    Value yes =
        ir.create<arith::ConstantOp>(isa<VectorType>(best[2].getType())
                                         ? TypedAttr(DenseElementsAttr::get(cast<VectorType>(best[2].getType()), true))
                                         : TypedAttr(ir.getBoolAttr(true)));
    better = ir.create<arith::OrIOp>(better, ir.create<arith::XOrIOp>(best[2], yes));
    better = ir.create<arith::AndIOp>(better, next[2]);
    if (mask)
      better = ir.create<arith::AndIOp>(better, mask);
    return {ir.create<arith::SelectOp>(better, key, bestKey), ir.create<arith::SelectOp>(better, next[1], best[1]),
            ir.create<arith::OrIOp>(best[2], better)};
  }

  Ir &ir;
  SmallVector<tile::Combiner> kinds;
  SmallVector<Value> yielded;
};

/// Emits the loops of one nest.
class Loops {
public:
  Loops(Ir &ir, Scope &scope, tile::NestOp nest, const NestPlan &plan)
      : ir(ir), scope(scope), nest(nest), plan(plan), body(nest.getBody().front()), numPar(nest.getNumPar()) {
    for (auto [lo, hi] : llvm::zip(nest.getParLo(), nest.getParHi()))
      bounds.push_back({value(lo), value(hi)});
    for (auto [lo, hi] : llvm::zip(nest.getInnerLo(), nest.getInnerHi()))
      bounds.push_back({value(lo), value(hi)});
    nest.getBody().walk([&](Operation *op) {
      if (auto st = dyn_cast<tile::StoreOp>(op))
        written.insert(st.getBuffer());
      if (auto up = dyn_cast<tile::UpdateOp>(op))
        written.insert(up.getBuffer());
    });
    tallyKind();
    for (int d = 0; d < int(bounds.size()); ++d)
      if (d != plan.vectorDim)
        (d < int(numPar) ? parOrder : innerOrder).push_back(d);
    vectorPar = plan.vectorDim >= 0 && plan.vectorDim < int(numPar);
    tile = matchRowTile(nest, plan);
    if (tile) {
      TALLY("cpu: rows that share operands");
      llvm::erase(parOrder, tile->row);
      innerOrder.pop_back();
    }
    unroll = tile ? 1 : chooseUnroll();
    if (unroll > 1)
      TALLY("cpu: several chunks of lanes at a time");
    Point top(ir, scope, plan.width);
    overPars(top, 0);
  }

private:
  void tallyKind() {
    if (plan.vectorDim < 0)
      TALLY("cpu: a nest without lanes");
    else if (plan.vectorDim >= int(numPar))
      TALLY("cpu: lanes along a reduced dim");
    else if (nest.isReduction())
      TALLY("cpu: a reduction with lanes along its result");
    else if (nest.getSequential())
      TALLY("cpu: a scatter in lanes");
    else
      TALLY("cpu: an elementwise nest in lanes");
    for (tile::Combiner kind : nest.getCombinerKinds())
      if (isArg(kind) && plan.vectorDim >= 0)
        TALLY("cpu: argmax or argmin in lanes");
  }
  Value value(Value v) {
    Point p(ir, scope, 1);
    return p.scalar(v);
  }
  BlockArgument iv(int dim) { return body.getArgument(dim); }

  /// Neighbouring chunks of lanes that are worked on together.
  using Points = MutableArrayRef<Point>;

  /// The par loops that do not run in lanes, then the lanes.
  void overPars(Point outer, size_t at) {
    outer.emitReady(body, written);
    if (at < parOrder.size()) {
      int d = parOrder[at];
      ir.loop(bounds[d].first, bounds[d].second, ir.i64(1), {}, [&](Value i, ValueRange) -> SmallVector<Value> {
        Point p = outer;
        p.bind(iv(d), i);
        overPars(p, at + 1);
        return {};
      });
      return;
    }
    if (!vectorPar)
      return atPar(Points(&outer, 1));
    overLanes(outer, {}, [&](Points points, ValueRange) -> SmallVector<Value> {
      atPar(points);
      return {};
    });
  }

  /// Chunks along the vector dim: `unroll` at a time, then one by one, then one that is masked. Carries values through.
  SmallVector<Value> overLanes(Point &outer, ValueRange init,
                               function_ref<SmallVector<Value>(Points, ValueRange)> chunks) {
    auto [lo, hi] = bounds[plan.vectorDim];
    auto run = [&](unsigned count, Value base, Value mask, ValueRange carried) {
      SmallVector<Point> points;
      for (unsigned i = 0; i < count; ++i) {
        points.push_back(outer);
        points[i].mask = mask;
        points[i].bind(iv(plan.vectorDim), Lane{Lane::Linear, ir.add(base, ir.i64(i * plan.width)), ir.i64(1)});
      }
      return chunks(points, carried);
    };
    Value count = ir.max(ir.sub(hi, lo), ir.i64(0)), from = lo;
    std::optional<int64_t> known = constantOf(count);
    SmallVector<Value> state(init);
    auto stage = [&](unsigned n) {
      int64_t size = n * plan.width;
      if (known && *known < size)
        return;
      Value to = ir.add(lo, ir.sub(count, ir.createOrFold<arith::RemSIOp>(count, ir.i64(size))));
      state = ir.loop(from, to, ir.i64(size), state,
                      [&](Value base, ValueRange carried) { return run(n, base, {}, carried); });
      from = to;
    };
    if (unroll > 1)
      stage(unroll);
    // What does not fill an unrolled round runs masked, chunk by chunk: a third copy of the body is not worth its time
    // in the compiler.
    bool whole = known && *known % plan.width == 0;
    bool left = known ? unroll == 1 || *known % (unroll * plan.width) >= plan.width : unroll == 1;
    if (left && (whole || !plan.compact))
      stage(1);
    if (whole)
      return state;
    // A loop also where it is one round at most, so that the carried values need no second mechanism.
    return ir.loop(from, hi, ir.i64(plan.width), state, [&](Value base, ValueRange carried) {
      return run(1, base, ir.lanesBelow(ir.sub(hi, base), plan.width), carried);
    });
  }

  /// One par point, or chunks of them.
  void atPar(Points points) {
    for (Point &p : points)
      p.emitReady(body, written);
    if (!nest.getNumInner()) {
      for (Point &p : points)
        p.emitRest(body);
      return;
    }
    if (tile)
      return overRows(points[0]);
    if (nest.getSequential()) {
      overInner(points, 0, {}, [&](Points at, ValueRange) -> SmallVector<Value> {
        for (Point &p : at)
          p.emitRest(body);
        return {};
      });
      return;
    }
    // One accumulator per chunk: of its own points along a par dim, of a share of them along a red dim.
    Accumulator acc(ir, nest);
    arith::SelectOp guard = unroll >= kWide ? acc.guard() : arith::SelectOp();
    unsigned shares = vectorPar ? points.size() : unroll;
    SmallVector<Value> one = acc.start(plan.width), state;
    for (unsigned i = 0; i < shares; ++i)
      state.append(one);
    auto share = [&](ValueRange all, unsigned i) { return all.slice(i * one.size(), one.size()); };
    state = overInner(points, 0, state, [&](Points at, ValueRange carried) {
      auto step = [&] {
        SmallVector<Value> next;
        for (unsigned i = 0; i < shares; ++i) {
          if (i >= at.size()) {
            llvm::append_range(next, share(carried, i));
            continue;
          }
          at[i].emitRest(body);
          // Lanes past the end of a par dim may hold anything: finish does not store them.
          next.append(acc.step(share(carried, i), at[i], vectorPar ? Value() : at[i].mask));
        }
        return next;
      };
      shareStill(at);
      // Many chunks under one condition: a branch costs less than what it leaves out.
      if (!guard || !still.contains(guard.getCondition().getDefiningOp()))
        return step();
      auto choice = ir.create<scf::IfOp>(ValueRange(carried).getTypes(), at[0].scalar(guard.getCondition()), true);
      OpBuilder::InsertionGuard insertion(ir);
      ir.setInsertionPointToStart(choice.thenBlock());
      for (Point &p : at)
        p.bind(guard.getCondition(), ir.create<arith::ConstantIntOp>(1, 1));
      ir.create<scf::YieldOp>(step());
      ir.setInsertionPointToStart(choice.elseBlock());
      ir.create<scf::YieldOp>(carried);
      return SmallVector<Value>(choice.getResults());
    });
    if (vectorPar) {
      for (auto [i, p] : llvm::enumerate(points))
        finish(p, acc.results(share(state, i)));
      return;
    }
    SmallVector<Value> all(share(state, 0));
    for (unsigned i = 1; i < shares; ++i)
      all = acc.join(all, share(state, i), {});
    finish(points[0], acc.results(acc.acrossLanes(all, plan.width)));
  }

  /// All rows of one chunk, their sums in memory; see RowTile.cpp.
  void overRows(Point &chunk) {
    Accumulator acc(ir, nest);
    SmallVector<Value> start = acc.start(plan.width);
    auto [lo, hi] = bounds[tile->row];
    Value sums;
    {
      OpBuilder::InsertionGuard guard(ir);
      auto function = ir.getInsertionBlock()->getParentOp();
      while (!isa<FunctionOpInterface>(function))
        function = function->getParentOp();
      ir.setInsertionPointToStart(&function->getRegion(0).front());
      int64_t rows = *atMost(nest.getParLo()[tile->row], nest.getParHi()[tile->row]);
      sums = ir.create<LLVM::AllocaOp>(ir.ptr(), start[0].getType(), ir.i64(rows), /*alignment=*/64);
    }
    auto place = [&, lo = lo](Value i) {
      return ir.create<LLVM::GEPOp>(ir.ptr(), start[0].getType(), sums, ArrayRef<LLVM::GEPArg>{ir.sub(i, lo)});
    };
    auto load = [&](Value i) -> Value { return ir.create<LLVM::LoadOp>(start[0].getType(), place(i), 64); };
    auto each = [&](Value from, Value to, function_ref<void(Value)> visit) {
      ir.loop(from, to, ir.i64(1), {}, [&](Value i, ValueRange) -> SmallVector<Value> {
        visit(i);
        return {};
      });
    };
    each(lo, hi, [&](Value i) { ir.create<LLVM::StoreOp>(start[0], place(i), 64); });
    overInner(Points(&chunk, 1), 0, {}, [&](Points points, ValueRange) -> SmallVector<Value> {
      overSteps(points[0], place, acc);
      return {};
    });
    each(lo, hi, [&](Value i) {
      Point p = chunk;
      p.bind(iv(tile->row), i);
      finish(p, load(i));
    });
  }

  /// The last red dim, in boxes as far as rows and steps go and point by point at the ends.
  void overSteps(Point &at, function_ref<Value(Value)> place, Accumulator &acc) {
    auto [lo, hi] = bounds[tile->row];
    auto [from, to] = bounds[tile->red];
    Type type =
        ir.splat(tile::identity(ir, tile::Combiner::Sum, body.getTerminator()->getOperand(0).getType()), plan.width)
            .getType();
    auto load = [&](Value i) -> Value { return ir.create<LLVM::LoadOp>(type, place(i), 64); };
    auto store = [&](Value v, Value i) { ir.create<LLVM::StoreOp>(v, place(i), 64); };
    auto whole = [&](Value lo, Value hi, int64_t by) {
      Value n = ir.max(ir.sub(hi, lo), ir.i64(0));
      return ir.add(lo, ir.sub(n, ir.createOrFold<arith::RemSIOp>(n, ir.i64(by))));
    };
    auto pointwise = [&](Value lo, Value hi, Value from, Value to) {
      ir.loop(lo, hi, ir.i64(1), {}, [&](Value i, ValueRange) -> SmallVector<Value> {
        Point row = at;
        row.bind(iv(tile->row), i);
        row.emitReady(body, written);
        store(ir.loop(from, to, ir.i64(1), load(i),
                      [&](Value r, ValueRange sum) {
                        Point p = row;
                        p.bind(iv(tile->red), r);
                        p.emitRest(body);
                        return acc.step(sum, p, {});
                      })[0],
              i);
        return {};
      });
    };
    Value rows = whole(lo, hi, RowTile::kRows), steps = whole(from, to, RowTile::kSteps);
    ir.loop(from, steps, ir.i64(RowTile::kSteps), {}, [&, lo = lo, hi = hi](Value r, ValueRange) -> SmallVector<Value> {
      Value end = ir.add(r, ir.i64(RowTile::kSteps));
      ir.loop(lo, rows, ir.i64(RowTile::kRows), {}, [&](Value i, ValueRange) -> SmallVector<Value> {
        RowBox box(ir, nest, *tile, at, i, r);
        auto one = [&] { pointwise(i, ir.add(i, ir.i64(RowTile::kRows)), r, end); };
        auto all = [&] {
          SmallVector<Value> sums;
          for (int k = 0; k < RowTile::kRows; ++k)
            sums.push_back(load(ir.add(i, ir.i64(k))));
          for (auto [k, v] : llvm::enumerate(box.sum(sums)))
            store(v, ir.add(i, ir.i64(k)));
        };
        auto rest = [&] {
          if (Value none = box.outside())
            ir.when(none, [] {}, one);
          else
            one();
        };
        // Few lanes are not worth the code of a box.
        if (at.mask)
          rest();
        else if (Value inside = box.inside())
          ir.when(inside, all, rest);
        else
          all();
        return {};
      });
      pointwise(rows, hi, r, end);
      return {};
    });
    pointwise(lo, hi, steps, to);
  }

  /// Emits what does not move along the lanes once for all chunks.
  void shareStill(Points points) {
    if (still.empty())
      return;
    for (Operation &op : body)
      if (still.contains(&op))
        points[0].emitOnce(&op);
    for (Point &p : points.drop_front())
      p.adopt(points[0], still.getArrayRef());
  }

  SmallVector<Value> overInner(Points outer, size_t at, ValueRange init,
                               function_ref<SmallVector<Value>(Points, ValueRange)> visit) {
    if (at == innerOrder.size())
      return plan.vectorDim >= int(numPar) ? overLanes(outer[0], init, visit) : visit(outer, init);
    int d = innerOrder[at];
    return ir.loop(bounds[d].first, bounds[d].second, ir.i64(1), init, [&](Value i, ValueRange carried) {
      SmallVector<Point> points(outer.begin(), outer.end());
      for (Point &p : points) {
        p.bind(iv(d), i);
        // The last of them is left to `visit`, which may put a branch around it.
        if (at + 1 < innerOrder.size() || still.empty())
          p.emitReady(body, written);
      }
      return overInner(points, at + 1, carried, visit);
    });
  }

  void finish(Point &at, ArrayRef<Value> results) {
    Block &block = nest.getFinish().front();
    Point p(ir, scope, vectorPar ? plan.width : 1);
    p.mask = vectorPar ? at.mask : Value();
    for (unsigned d = 0; d < numPar; ++d)
      p.bind(block.getArgument(d), at.get(iv(d)));
    for (auto [i, v] : llvm::enumerate(results))
      p.bind(block.getArgument(numPar + i), Lane{isa<VectorType>(v.getType()) ? Lane::Vector : Lane::Uniform, v, {}});
    p.emitRest(block);
  }

  /// Chunks at a time: enough independent chains to hide the latency of the combiners, few enough to stay in registers.
  unsigned chooseUnroll() {
    if (plan.compact || plan.vectorDim < 0 || !nest.isReduction() || llvm::any_of(nest.getCombinerKinds(), isArg))
      return 1;
    size_t work = 0, moving = 0;
    DenseMap<Value, unsigned> on = dependences(body);
    for (Operation &op : body) {
      size_t cost = isa<math::MathDialect>(op.getDialect()) ? 12 : 1;
      work += cost;
      if (!op.getNumResults() || on.lookup(op.getResult(0)) >> plan.vectorDim & 1)
        moving += cost;
    }
    size_t results = nest.getCombiners().size();
    // Positions that take more than the lanes do are shared by as many chunks as registers allow.
    if (vectorPar && results == 1 && moving <= 6 && work >= 2 * moving)
      for (unsigned n : {12, 8, 6})
        if (auto count = atMost(nest.getParLo()[plan.vectorDim], nest.getParHi()[plan.vectorDim]);
            count && *count % (n * plan.width) == 0) {
          for (Operation &op : body)
            if (op.getNumResults() && !(on.lookup(op.getResult(0)) >> plan.vectorDim & 1))
              still.insert(&op);
          return n;
        }
    return results <= 2 && work <= 12 ? 4 : results <= 4 && work <= 24 ? 2 : 1;
  }

  Ir &ir;
  Scope &scope;
  tile::NestOp nest;
  const NestPlan &plan;
  Block &body;
  unsigned numPar;
  bool vectorPar;
  static constexpr unsigned kWide = 6;
  unsigned unroll;
  llvm::SmallSetVector<Operation *, 16> still; ///< ops that are the same for all chunks worked on together
  std::optional<RowTile> tile;
  SmallVector<std::pair<Value, Value>> bounds;
  SmallVector<int> parOrder, innerOrder;
  DenseSet<Value> written;
};

} // namespace

void cpu::emitLoops(Ir &ir, Scope &scope, tile::NestOp nest, const NestPlan &plan) {
  if (plan.storeDim >= 0)
    return emitTransposed(ir, scope, nest, plan);
  Loops(ir, scope, nest, plan);
}

/// The planned loops, in two versions when contiguity depends on the caller's strides.
static void emitPlanned(Ir &ir, Scope &scope, const Machine &machine, tile::NestOp nest) {
  NestPlan plan = planNest(scope, machine, nest, /*callerUnit=*/true);
  Value unit;
  for (Value buffer : plan.unitBuffers) {
    Value one =
        ir.create<arith::CmpIOp>(arith::CmpIPredicate::eq, scope.buffers.lookup(buffer).strides.back(), ir.i64(1));
    unit = unit ? Value(ir.create<arith::AndIOp>(unit, one)) : one;
  }
  if (!unit)
    return emitLoops(ir, scope, nest, plan);
  TALLY("cpu: a version for unit strides");
  Scope contiguous = scope;
  for (Value buffer : plan.unitBuffers)
    contiguous.buffers[buffer].strides.back() = ir.i64(1);
  NestPlan strided = planNest(scope, machine, nest, /*callerUnit=*/false);
  // A small body may stand twice.
  strided.compact = std::distance(nest.getBody().front().begin(), nest.getBody().front().end()) > 8;
  ir.when(unit, [&] { emitLoops(ir, contiguous, nest, plan); }, [&] { emitLoops(ir, scope, nest, strided); });
}

void cpu::emitNest(Ir &ir, Scope &scope, const Machine &machine, tile::NestOp nest, Value scratch,
                   const PackedOperands *packed) {
  std::optional<Contraction> c;
  if (machine.vectorise && scratch)
    c = matchContraction(nest);
  if (!c)
    return emitPlanned(ir, scope, machine, nest);
  // Few rows do not pay for packing B; an empty sum never touches the block of results.
  auto extent = [&](int dim) {
    unsigned par = nest.getNumPar();
    Point at(ir, scope, 1);
    return dim < int(par) ? ir.sub(at.scalar(nest.getParHi()[dim]), at.scalar(nest.getParLo()[dim]))
                          : ir.sub(at.scalar(nest.getInnerHi()[dim - par]), at.scalar(nest.getInnerLo()[dim - par]));
  };
  auto atLeast = [&](int dim, int64_t least) {
    return ir.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::sge, extent(dim), ir.i64(least));
  };
  Value pays = ir.createOrFold<arith::AndIOp>(atLeast(c->m, 4),
                                              ir.createOrFold<arith::AndIOp>(atLeast(c->n, 4), atLeast(c->k, 4)));
  for (int d : c->outerRed)
    pays = ir.createOrFold<arith::AndIOp>(pays, atLeast(d, 1));
  ir.when(
      pays, [&] { emitContraction(ir, scope, machine, nest, *c, scratch, packed); },
      [&] { emitPlanned(ir, scope, machine, nest); });
}

int64_t cpu::nestScratch(const Machine &machine, tile::NestOp nest) {
  if (!machine.vectorise || !matchContraction(nest))
    return 0;
  return contractionScratch(machine, nest.getBody().front().getTerminator()->getOperand(0).getType());
}
