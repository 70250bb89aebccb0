//===- Loops of a nest ----------------------------------------------------===//
//
// Elementwise:  for outer pars { for chunks of the vector dim { body } }, the last chunk masked.
// Reduction:    along a par dim in lanes, one accumulator per chunk over all red loops; along a red dim in lanes, a few
//               independent accumulators, joined at the end.
// In order:     for outer pars { for chunks of the vector par dim { for seq dims { body } } }.
//===----------------------------------------------------------------------===//
#include "codegen/cpu/Nest.h"
#include "codegen/cpu/Accumulator.h"
#include "codegen/cpu/Contraction.h"
#include "codegen/cpu/FewRows.h"
#include "codegen/cpu/RowTile.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "runtime/Tally.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace attnc;
using namespace attnc::cpu;

namespace {

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
    rows = chooseRows();
    if (rows >= 0) {
      TALLY("cpu: a few rows at a time");
      llvm::erase(parOrder, rows);
      DenseMap<Value, unsigned> on = dependences(body);
      for (Operation &op : body)
        if (op.getNumResults() && !(on.lookup(op.getResult(0)) >> rows & 1))
          sameInRows.insert(&op);
    }
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
    auto lanes = [&](Points rows) {
      overLanes(rows, {}, [&](Points points, ValueRange) -> SmallVector<Value> {
        atPar(points);
        return {};
      });
    };
    if (rows < 0)
      return lanes(Points(&outer, 1));
    auto some = [&](Value from, Value to, unsigned count) {
      rowsNow = count;
      ir.loop(from, to, ir.i64(count), {}, [&](Value i, ValueRange) -> SmallVector<Value> {
        SmallVector<Point> points;
        for (unsigned k = 0; k < count; ++k) {
          points.push_back(outer);
          points[k].bind(iv(rows), ir.add(i, ir.i64(k)));
        }
        emitReady(points);
        lanes(points);
        return {};
      });
    };
    auto [lo, hi] = bounds[rows];
    Value whole = wholeOf(lo, hi, kRows);
    some(lo, whole, kRows);
    some(whole, hi, 1);
  }

  /// The end of the last whole block of `by`.
  Value wholeOf(Value lo, Value hi, int64_t by) {
    Value n = ir.max(ir.sub(hi, lo), ir.i64(0));
    return ir.add(lo, ir.sub(n, ir.createOrFold<arith::RemSIOp>(n, ir.i64(by))));
  }

  /// Chunks along the vector dim: `unroll` at a time, then one by one, then one that is masked. Carries values through.
  SmallVector<Value> overLanes(Points outer, ValueRange init,
                               function_ref<SmallVector<Value>(Points, ValueRange)> chunks) {
    auto [lo, hi] = bounds[plan.vectorDim];
    auto run = [&](unsigned count, Value base, Value mask, ValueRange carried) {
      SmallVector<Point> points;
      for (unsigned i = 0; i < count; ++i) {
        Lane chunk{Lane::Linear, ir.add(base, ir.i64(i * plan.width)), ir.i64(1)};
        for (Point &row : outer) {
          points.push_back(row);
          points.back().mask = mask;
          points.back().bind(iv(plan.vectorDim), chunk);
        }
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
    unsigned many = outer.size() > 1 ? std::min(kRowChunks, unroll) : unroll; // rows are chains enough
    if (many > 1)
      stage(many);
    // What does not fill an unrolled round runs masked, chunk by chunk: a third copy of the body is not worth its time
    // in the compiler.
    bool whole = known && *known % plan.width == 0;
    bool left = known ? many == 1 || *known % (many * plan.width) >= plan.width : many == 1;
    if (left && (whole || !plan.compact))
      stage(1);
    if (whole)
      return state;
    // A loop also where it is one round at most, so that the carried values need no second mechanism.
    return ir.loop(from, hi, ir.i64(plan.width), state, [&](Value base, ValueRange carried) {
      return run(1, base, ir.lanesBelow(ir.sub(hi, base), plan.width), carried);
    });
  }

  /// What rows share is emitted once for all of them.
  void emitReady(Points points) {
    for (auto [i, p] : llvm::enumerate(points)) {
      adoptFromRow(points, i);
      p.emitReady(body, written);
    }
  }
  void adoptFromRow(Points points, size_t i) {
    if (i % rowsNow)
      points[i].adopt(points[i - i % rowsNow], sameInRows.getArrayRef());
  }

  /// One par point, or chunks of them.
  void atPar(Points points) {
    emitReady(points);
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
          adoptFromRow(at, i);
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
      SmallVector<SmallVector<Value>> results;
      for (unsigned i = 0; i < shares; ++i)
        results.push_back(acc.results(share(state, i)));
      return finishAll(points, results);
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
    int64_t most = *atMost(nest.getParLo()[tile->row], nest.getParHi()[tile->row]);
    Value sums = onStack(ir, start[0].getType(), most);
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
    Value rows = wholeOf(lo, hi, RowTile::kRows), steps = wholeOf(from, to, RowTile::kSteps);
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
      return plan.vectorDim >= int(numPar) ? overLanes(outer.take_front(), init, visit) : visit(outer, init);
    int d = innerOrder[at];
    return ir.loop(bounds[d].first, bounds[d].second, ir.i64(1), init, [&](Value i, ValueRange carried) {
      SmallVector<Point> points(outer.begin(), outer.end());
      for (Point &p : points)
        p.bind(iv(d), i);
      // The last of them is left to `visit`, which may put a branch around it.
      if (at + 1 < innerOrder.size() || still.empty())
        emitReady(points);
      return overInner(points, at + 1, carried, visit);
    });
  }

  /// One after the other; where that would be much code in a loop, with the results in memory.
  void finishAll(Points points, ArrayRef<SmallVector<Value>> results) {
    Block &block = nest.getFinish().front();
    size_t operations = points.size() * std::distance(block.begin(), block.end());
    bool bits = llvm::any_of(results[0], [](Value v) { return getElementTypeOrSelf(v.getType()).isInteger(1); });
    if (operations <= kFinish || bits) { // bits have no places of their own in memory
      for (auto [p, r] : llvm::zip(points, results))
        finish(p, r);
      return;
    }
    TALLY("cpu: finishes in a loop");
    SmallVector<Value> memory;
    auto place = [&](size_t result, Value i) {
      return ir.create<LLVM::GEPOp>(ir.ptr(), results[0][result].getType(), memory[result], ArrayRef<LLVM::GEPArg>{i});
    };
    for (Value v : results[0])
      memory.push_back(onStack(ir, v.getType(), points.size()));
    for (auto [i, all] : llvm::enumerate(results))
      for (auto [k, v] : llvm::enumerate(all))
        ir.create<LLVM::StoreOp>(v, place(k, ir.i64(i)), kVectorAlign);
    auto each = [&](int64_t n, function_ref<void(Value)> visit) {
      ir.loop(ir.i64(0), ir.i64(n), ir.i64(1), {}, [&](Value i, ValueRange) -> SmallVector<Value> {
        visit(i);
        return {};
      });
    };
    // Points are chunks of lanes, the rows of each next to each other.
    each(rowsNow, [&](Value row) {
      each(points.size() / rowsNow, [&](Value chunk) {
        Point p = points[0];
        if (rowsNow > 1)
          p.bind(iv(rows), ir.add(p.scalar(iv(rows)), row));
        Lane lanes = p.get(iv(plan.vectorDim));
        lanes.value = ir.add(lanes.value, ir.mul(chunk, ir.i64(plan.width)));
        p.bind(iv(plan.vectorDim), lanes);
        Value at = ir.add(ir.mul(chunk, ir.i64(rowsNow)), row);
        SmallVector<Value> all;
        for (auto [k, v] : llvm::enumerate(results[0]))
          all.push_back(ir.create<LLVM::LoadOp>(v.getType(), place(k, at), kVectorAlign));
        finish(p, all);
      });
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

  /// A par dim, of unknown extent or a block of one, whose rows share what is loaded along the lanes: what a product
  /// has that is too small to be packed. -1: none.
  int chooseRows() {
    if (tile || !vectorPar || plan.compact || !still.empty() || !nest.isReduction() ||
        nest.getCombiners().size() != 1 || isArg(nest.getCombinerKinds()[0]))
      return -1;
    DenseMap<Value, unsigned> on = dependences(body);
    // What a row adds to the body.
    auto isSmall = [&](int d) {
      return unroll >= 4 || llvm::count_if(body, [&](Operation &op) {
                              return !op.getNumResults() || on.lookup(op.getResult(0)) >> d & 1;
                            }) <= 6;
    };
    unsigned inner = ((1u << bounds.size()) - 1) & ~((1u << numPar) - 1);
    // A few rows that are known, such as heads of a group, are not enough; the rows of a block are.
    auto isLong = [&](int d) {
      Value lo = nest.getParLo()[d], hi = nest.getParHi()[d];
      auto most = atMost(lo, hi);
      return !most || (*most >= 4 * int64_t(kRows) && !constantOf(hi));
    };
    for (int d = numPar; d-- > 0;)
      if (d != plan.vectorDim && isLong(d) && isSmall(d) &&
          llvm::any_of(body.getOps<tile::LoadOp>(), [&](tile::LoadOp load) {
            unsigned with = on.lookup(load);
            return with >> plan.vectorDim & 1 && with & inner && !(with >> d & 1);
          }))
        return d;
    return -1;
  }

  Ir &ir;
  Scope &scope;
  tile::NestOp nest;
  const NestPlan &plan;
  Block &body;
  unsigned numPar;
  bool vectorPar;
  static constexpr unsigned kWide = 6;
  static constexpr size_t kFinish = 12;       ///< operations of finishes that stand one after the other
  static constexpr int64_t kVectorAlign = 32; ///< of the shortest vectors
  unsigned unroll;
  llvm::SmallSetVector<Operation *, 16> still; ///< ops that are the same for all chunks worked on together
  std::optional<RowTile> tile;
  static constexpr unsigned kRows = 4;
  static constexpr unsigned kRowChunks = 2; ///< of each of the rows
  int rows;                                 ///< par dim worked on kRows at a time
  unsigned rowsNow = 1;                     ///< points of one chunk that follow each other
  llvm::SmallSetVector<Operation *, 16> sameInRows;
  SmallVector<std::pair<Value, Value>> bounds;
  SmallVector<int> parOrder, innerOrder;
  DenseSet<Value> written;
};

} // namespace

void cpu::emitLoops(Ir &ir, Scope &scope, tile::NestOp nest, const NestPlan &plan, int few) {
  if (plan.storeDim >= 0)
    return emitTransposed(ir, scope, nest, plan);
  if (few >= 0)
    if (auto found = matchFewRows(nest, plan, few))
      return emitFewRows(ir, scope, nest, plan, *found);
  Loops(ir, scope, nest, plan);
}

/// The planned loops, in two versions when contiguity depends on the caller's strides.
static void emitPlanned(Ir &ir, Scope &scope, const Machine &machine, tile::NestOp nest, int shortDim = -1) {
  NestPlan plan = planNest(scope, machine, nest, /*callerUnit=*/true, shortDim);
  plan.compact |= nest->hasAttr(tile::kRare);
  Value unit;
  for (Value buffer : plan.unitBuffers) {
    Value one =
        ir.create<arith::CmpIOp>(arith::CmpIPredicate::eq, scope.buffers.lookup(buffer).strides.back(), ir.i64(1));
    unit = unit ? Value(ir.create<arith::AndIOp>(unit, one)) : one;
  }
  if (!unit)
    return emitLoops(ir, scope, nest, plan, shortDim);
  TALLY("cpu: a version for unit strides");
  Scope contiguous = scope;
  for (Value buffer : plan.unitBuffers)
    contiguous.buffers[buffer].strides.back() = ir.i64(1);
  NestPlan strided = planNest(scope, machine, nest, /*callerUnit=*/false, shortDim);
  // A small body may stand twice.
  strided.compact = std::distance(nest.getBody().front().begin(), nest.getBody().front().end()) > 8;
  ir.when(unit, [&] { emitLoops(ir, contiguous, nest, plan, shortDim); }, [&] { emitLoops(ir, scope, nest, strided); });
}

Value cpu::onStack(Ir &ir, Type type, int64_t count) {
  OpBuilder::InsertionGuard guard(ir);
  auto function = ir.getInsertionBlock()->getParentOp();
  while (!isa<FunctionOpInterface>(function))
    function = function->getParentOp();
  ir.setInsertionPointToStart(&function->getRegion(0).front());
  return ir.create<LLVM::AllocaOp>(ir.ptr(), type, ir.i64(count), /*alignment=*/64);
}

void cpu::emitNest(Ir &ir, Scope &scope, const Machine &machine, tile::NestOp nest, Value scratch,
                   const PackedOperands *packed) {
  std::optional<Contraction> c;
  if (machine.vectorise && scratch)
    c = matchContraction(nest);
  if (!c)
    return emitPlanned(ir, scope, machine, nest);
  // Few rows do not pay for packing B, few columns leave the lanes empty; an empty sum never touches the block of
  // results.
  auto extent = [&](int dim) {
    unsigned par = nest.getNumPar();
    Point at(ir, scope, 1);
    return dim < int(par) ? ir.sub(at.scalar(nest.getParHi()[dim]), at.scalar(nest.getParLo()[dim]))
                          : ir.sub(at.scalar(nest.getInnerHi()[dim - par]), at.scalar(nest.getInnerLo()[dim - par]));
  };
  auto atLeast = [&](int dim, int64_t least) {
    return ir.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::sge, extent(dim), ir.i64(least));
  };
  constexpr int64_t kFew = 5;
  Value pays = ir.createOrFold<arith::AndIOp>(atLeast(c->m, kFew),
                                              ir.createOrFold<arith::AndIOp>(atLeast(c->n, kFew), atLeast(c->k, 4)));
  for (int d : c->outerRed)
    pays = ir.createOrFold<arith::AndIOp>(pays, atLeast(d, 1));
  // A block of rows may have few: a decode step has one.
  int few = nest->hasAttr(tile::kRare) ? -1 : fewDim(nest, {c->n, c->m});
  auto asPlanned = [&] {
    if (few < 0)
      return emitPlanned(ir, scope, machine, nest);
    ir.when(
        atLeast(few, kFew), [&] { emitPlanned(ir, scope, machine, nest); },
        [&] { emitPlanned(ir, scope, machine, nest, few); });
  };
  ir.when(pays, [&] { emitContraction(ir, scope, machine, nest, *c, scratch, packed); }, asPlanned);
}

int64_t cpu::nestScratch(const Machine &machine, tile::NestOp nest) {
  if (!machine.vectorise || !matchContraction(nest))
    return 0;
  return contractionScratch(machine, nest.getBody().front().getTerminator()->getOperand(0).getType());
}
