//===- Sums of products with a few rows ------------------------------------===//
//
// A decode step has one query against thousands of keys: what takes time is reading K and V, each element of which
// meets a few rows. So rows, where there are some, share what is loaded, and it is fetched ahead by as much as memory
// takes to come; the hardware does not see far enough across the ends of blocks.
//
// Lanes along the sum (scores, keys in rows of d):
//   for 128 keys: { for 4 rows: for 4 keys: 16 running sums over d; each row's four are joined in one tree and kept }
//   then what ends the sum, in lanes along the keys: exp of 16 scores costs as much as of one.
// Lanes along a result (values, in rows of e):
//   for 4 rows: for 4 vectors of e: 16 running sums over the keys. One row alone takes 8 vectors, whole rows of V where
//   it can.
//===----------------------------------------------------------------------===//
#include "codegen/cpu/FewRows.h"
#include "codegen/cpu/Accumulator.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "runtime/Tally.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace attnc;
using namespace attnc::cpu;

static bool isBlock(Value lo, Value hi) { return !constantOf(hi) && atMost(lo, hi); }

int cpu::fewDim(tile::NestOp nest, ArrayRef<int> among) {
  int few = -1;
  int64_t least = 0;
  for (int d : among) {
    if (d < 0 || d >= int(nest.getNumPar()) || !isBlock(nest.getParLo()[d], nest.getParHi()[d]))
      continue;
    int64_t most = *atMost(nest.getParLo()[d], nest.getParHi()[d]);
    if (few < 0 || most < least) {
      few = d;
      least = most;
    }
  }
  return few;
}

std::optional<FewRows> cpu::matchFewRows(tile::NestOp nest, const NestPlan &plan, int few) {
  int numPar = nest.getNumPar();
  SmallVector<tile::Combiner> kinds = nest.getCombinerKinds();
  if (plan.compact || plan.storeDim >= 0 || plan.vectorDim < 0 || plan.width % 4 || nest.getNumInner() != 1 ||
      kinds.size() != 1 || kinds[0] != tile::Combiner::Sum)
    return std::nullopt;
  Block &body = nest.getBody().front();
  Type type = body.getTerminator()->getOperand(0).getType();
  if (!isa<FloatType>(type))
    return std::nullopt;
  DenseMap<Value, unsigned> on = dependences(body);
  auto has = [&](Value v, int d) { return on.lookup(v) >> d & 1; };
  FewRows found{few, -1, {}};
  unsigned others = 0; // par dims of it but that of the lanes
  for (auto load : body.getOps<tile::LoadOp>()) {
    if (!has(load, plan.vectorDim) || !has(load, numPar) || has(load, few))
      continue;
    if (found.shared)
      return std::nullopt;
    found.shared = load;
    others = on.lookup(load) & ~(1u << plan.vectorDim) & ((1u << numPar) - 1);
  }
  if (!found.shared || plan.vectorDim == few)
    return std::nullopt;
  if (plan.vectorDim < numPar) {
    found.stream = numPar;
  } else {
    for (int d = 0; d < numPar; ++d)
      if (others >> d & 1 && (found.stream < 0 || !constantOf(nest.getParHi()[d])))
        found.stream = d;
    if (found.stream < 0)
      return std::nullopt;
  }
  // Heads of a group are rows as well, and there are always as many.
  for (int d = 0; d < numPar; ++d)
    if (d != few && d != plan.vectorDim && !has(found.shared, d) && has(body.getTerminator()->getOperand(0), d))
      if (auto most = atMost(nest.getParLo()[d], nest.getParHi()[d]); most && *most > 1 && *most <= 16)
        found.row = d;
  return found;
}

namespace {

class Emitter {
public:
  Emitter(Ir &ir, Scope &scope, tile::NestOp nest, const NestPlan &plan, const FewRows &found)
      : ir(ir), scope(scope), nest(nest), plan(plan), found(found), body(nest.getBody().front()), acc(ir, nest),
        numPar(nest.getNumPar()) {
    Point top(ir, scope, 1);
    auto add = [&](Value lo, Value hi) { bounds.push_back({top.scalar(lo), top.scalar(hi)}); };
    for (auto [lo, hi] : llvm::zip(nest.getParLo(), nest.getParHi()))
      add(lo, hi);
    add(nest.getInnerLo()[0], nest.getInnerHi()[0]);
    along = plan.vectorDim >= numPar;
    int beside = along ? found.stream : plan.vectorDim;
    DenseMap<Value, unsigned> on = dependences(body);
    for (Operation &op : body)
      for (Value v : op.getResults()) {
        if (!(on.lookup(v) >> found.row & 1))
          sameInRows.insert(&op);
        if (!(on.lookup(v) >> beside & 1))
          sameBeside.insert(&op);
      }
    for (int d = 0; d < numPar; ++d)
      if (d != found.row && d != beside)
        outer.push_back(d);
  }

  void run() {
    if (along)
      TALLY("cpu: few rows, lanes along the sum");
    else
      TALLY("cpu: few rows, lanes along the result");
    overOuter(Point(ir, scope, plan.width), 0);
  }

private:
  static constexpr int64_t kRows = 4, kKeys = 4, kStrip = 128;
  using Points = std::vector<Point>;
  using Values = SmallVector<Value>;
  using Bounds = std::pair<Value, Value>;
  BlockArgument iv(int dim) { return body.getArgument(dim); }

  void overOuter(Point at, size_t depth) {
    at.emitReady(body, {});
    if (depth == outer.size())
      return along ? overStrips(at) : overRows(at, [&](Points rows) { overChunks(rows); });
    each(bounds[outer[depth]], 1, [&](Value i) {
      Point p = at;
      p.bind(iv(outer[depth]), i);
      overOuter(p, depth + 1);
    });
  }

  void each(Bounds range, int64_t by, function_ref<void(Value)> visit) {
    ir.loop(range.first, range.second, ir.i64(by), {}, [&](Value i, ValueRange) -> Values {
      visit(i);
      return {};
    });
  }
  /// lo .. the end of the last whole block of `by` .. hi
  std::pair<Bounds, Bounds> cut(Bounds range, int64_t by) {
    Value n = ir.max(ir.sub(range.second, range.first), ir.i64(0));
    Value whole = ir.add(range.first, ir.sub(n, ir.createOrFold<arith::RemSIOp>(n, ir.i64(by))));
    return {{range.first, whole}, {whole, range.second}};
  }
  /// kRows rows at a time, then one by one.
  void overRows(const Point &at, function_ref<void(Points)> visit) {
    auto [some, rest] = cut(bounds[found.row], kRows);
    for (auto [range, count] : {std::pair(some, kRows), std::pair(rest, int64_t(1))}) {
      if (auto lo = constantOf(range.first), hi = constantOf(range.second); lo && hi && *lo >= *hi)
        continue;
      int64_t n = count;
      each(range, n, [&](Value i) {
        Points rows;
        for (int64_t k = 0; k < n; ++k) {
          rows.push_back(at);
          rows.back().bind(iv(found.row), ir.add(i, ir.i64(k)));
          if (k)
            rows[k].adopt(rows[0], sameInRows.getArrayRef());
          rows[k].emitReady(body, {});
        }
        visit(std::move(rows));
      });
    }
  }

  /// Points of each row at each of some other positions, one after the other; what is the same is emitted once.
  Values sum(Points &points, size_t rows, ValueRange sums, Value mask) {
    Values next;
    for (size_t i = 0; i < points.size(); ++i) {
      if (i % rows)
        points[i].adopt(points[i - i % rows], sameInRows.getArrayRef());
      if (i >= rows)
        points[i].adopt(points[i % rows], sameBeside.getArrayRef());
      points[i].emitRest(body);
      next.append(acc.step(sums.slice(i, 1), points[i], mask));
    }
    return next;
  }

  /// Whether what is shared is read at a position that is read.
  bool gathers() {
    llvm::SetVector<Value> todo(found.shared.getIndices().begin(), found.shared.getIndices().end());
    for (size_t k = 0; k < todo.size(); ++k)
      if (Operation *op = todo[k].getDefiningOp(); op && op->getBlock() == &body) {
        if (isa<tile::LoadOp>(op))
          return true;
        todo.insert(op->operand_begin(), op->operand_end());
      }
    return false;
  }

  /// Fetches what a point will read some steps later.
  void fetch(const Point &point, Value at) {
    const Buffer buffer = scope.buffers.lookup(found.shared.getBuffer());
    if (!isa<tile::ProgramOp>(found.shared.getBuffer().getParentBlock()->getParentOp()))
      return;
    constexpr int64_t kAhead = 16384, kLine = 64;
    int64_t size = std::max(1u, buffer.elem.getIntOrFloatBitWidth() / 8), lanes = 128;
    if (auto lo = constantOf(bounds[plan.vectorDim].first), hi = constantOf(bounds[plan.vectorDim].second); lo && hi)
      lanes = *hi - *lo;
    int64_t steps = std::clamp<int64_t>(kAhead / std::max<int64_t>(lanes * size, 1), 4, 256);
    Point ahead(ir, scope, plan.width);
    for (BlockArgument arg : body.getArguments())
      if (point.known(arg))
        ahead.bind(arg, const_cast<Point &>(point).get(arg));
    Value later = ir.add(at, ir.i64(steps));
    if (gathers()) // a position that is read itself, and read for: where there is one
      later = ir.min(later, ir.sub(bounds[found.stream].second, ir.i64(1)));
    ahead.bind(iv(found.stream), later);
    auto [place, step] = ahead.place(found.shared.getBuffer(), found.shared.getIndices());
    if (step && constantOf(step) == 1 && plan.width * size <= kLine)
      ir.create<LLVM::Prefetch>(place, 0, 2, 1);
  }

  //===--- lanes along the sum ---------------------------------------------===//

  void overStrips(const Point &at) {
    auto [lo, hi] = bounds[found.stream];
    Type type = body.getTerminator()->getOperand(0).getType();
    sums = onStack(ir, type, kRows * kStrip);
    each({lo, hi}, kStrip, [&, hi = hi](Value base) {
      Bounds strip{base, ir.min(hi, ir.add(base, ir.i64(kStrip)))};
      overRows(at, [&](Points rows) {
        auto [some, rest] = cut(strip, kKeys);
        each(some, kKeys, [&](Value key) { overLanes(rows, key, kKeys, base); });
        each(rest, 1, [&](Value key) { overLanes(rows, key, 1, base); });
        each({ir.i64(0), ir.i64(rows.size())}, 1, [&](Value k) {
          Point p(ir, scope, plan.width);
          for (int d : outer)
            p.bind(iv(d), rows[0].get(iv(d)));
          p.bind(iv(found.row), ir.add(rows[0].scalar(iv(found.row)), k));
          Value from = ir.mul(k, ir.i64(kStrip));
          auto some = [&](Value key, Value mask) {
            p.mask = mask;
            p.bind(iv(found.stream), Lane{Lane::Linear, key, ir.i64(1)});
            Value at = place(ir.add(from, ir.sub(key, base)));
            finish(p, ir.create<LLVM::LoadOp>(VectorType::get({int64_t(plan.width)}, type), at, 4));
          };
          auto [whole, last] = cut(strip, plan.width);
          each(whole, plan.width, [&](Value key) { some(key, {}); });
          each(last, plan.width, [&](Value key) { some(key, ir.lanesBelow(ir.sub(strip.second, key), plan.width)); });
        });
      });
    });
  }
  Value place(Value at) { return ir.offset(body.getTerminator()->getOperand(0).getType(), sums, at); }

  void overLanes(const Points &rows, Value key, int64_t keys, Value base) {
    Points tile;
    for (int64_t k = 0; k < keys; ++k)
      for (const Point &row : rows) {
        tile.push_back(row);
        tile.back().bind(iv(found.stream), ir.add(key, ir.i64(k)));
      }
    Values state;
    for (size_t i = 0; i < tile.size(); ++i)
      state.append(acc.start(plan.width));
    auto step = [&](Value at, ValueRange carried, Value mask) {
      Points points;
      for (auto [i, p] : llvm::enumerate(tile)) {
        points.push_back(p);
        points.back().mask = mask;
        points.back().bind(iv(plan.vectorDim), Lane{Lane::Linear, at, ir.i64(1)});
        if (i % rows.size() == 0 && !mask)
          fetch(points.back(), ir.add(key, ir.i64(i / rows.size())));
      }
      return sum(points, rows.size(), carried, mask);
    };
    auto [whole, last] = cut(bounds[plan.vectorDim], plan.width);
    Value by = ir.i64(plan.width);
    state = ir.loop(whole.first, whole.second, by, state,
                    [&](Value at, ValueRange carried) { return step(at, carried, {}); });
    if (constantOf(ir.sub(last.second, last.first)) != 0)
      state = ir.loop(last.first, last.second, by, state, [&, last = last](Value at, ValueRange carried) {
        return step(at, carried, ir.lanesBelow(ir.sub(last.second, at), plan.width));
      });
    for (size_t r = 0; r < rows.size(); ++r) {
      Value at = place(ir.add(ir.i64(r * kStrip), ir.sub(key, base)));
      Values own;
      for (int64_t k = 0; k < keys; ++k)
        own.push_back(state[k * rows.size() + r]);
      ir.create<LLVM::StoreOp>(keys == 1 ? acc.acrossLanes(own, plan.width)[0] : joined(own), at, 4);
    }
  }

  /// The sums over the lanes of four vectors, as one.
  Value joined(Values v) {
    int64_t width = plan.width;
    // Each step adds halves of two vectors, or of all groups of one: `groups` equal runs of lanes are sums of as many.
    auto shuffle = [&](Value a, Value b, function_ref<int64_t(int64_t)> from) -> Value {
      SmallVector<int64_t> lanes;
      for (int64_t i = 0; i < width; ++i)
        lanes.push_back(from(i));
      return ir.create<vector::ShuffleOp>(a, b, lanes);
    };
    for (int64_t groups = 1; v.size() > 1; groups *= 2) {
      int64_t half = width / groups / 2;
      Values next;
      for (size_t i = 0; i < v.size(); i += 2) {
        // Lanes come out in runs of `half`: first those of a, then those of b.
        auto take = [&](int64_t upper) {
          return shuffle(v[i], v[i + 1], [&](int64_t lane) {
            int64_t run = lane / half, within = lane % half, source = run / groups, group = run % groups;
            return source * width + group * 2 * half + upper * half + within;
          });
        };
        next.append(acc.join(take(0), take(1), {}));
      }
      v = next;
    }
    // Four runs are left.
    int64_t run = width / 4;
    for (int64_t half = run / 2; half; half /= 2)
      v = acc.join(v, shuffle(v[0], v[0], [&](int64_t lane) { return lane / run * run + (lane % run + half) % run; }),
                   {});
    return ir.create<vector::ShuffleOp>(v[0], v[0], ArrayRef<int64_t>{0, run, 2 * run, 3 * run});
  }

  //===--- lanes along the result ------------------------------------------===//

  void overChunks(const Points &rows) {
    auto [lo, hi] = bounds[plan.vectorDim];
    std::optional<int64_t> known = constantOf(ir.sub(hi, lo));
    auto stage = [&](Bounds range, unsigned chunks, bool masked) {
      each(range, chunks * plan.width, [&, hi = hi](Value base) {
        Value mask = masked ? ir.lanesBelow(ir.sub(hi, base), plan.width) : Value();
        Points points;
        for (unsigned c = 0; c < chunks; ++c)
          for (const Point &row : rows) {
            points.push_back(row);
            points.back().mask = mask;
            points.back().bind(iv(plan.vectorDim), Lane{Lane::Linear, ir.add(base, ir.i64(c * plan.width)), ir.i64(1)});
          }
        overSteps(points, rows.size());
      });
    };
    unsigned many = rows.size() > 1 ? 4 : 8;
    while (many > 1 && known && *known < int64_t(many * plan.width))
      many /= 2;
    Bounds rest{lo, hi};
    for (unsigned chunks : {many, 1u}) {
      auto [whole, last] = cut(rest, chunks * plan.width);
      rest = last;
      stage(whole, chunks, false);
      if (constantOf(ir.sub(rest.second, rest.first)) == 0)
        return;
      if (many == 1)
        break;
    }
    stage(rest, 1, true);
  }

  void overSteps(const Points &at, size_t rows) {
    Values state;
    for (size_t i = 0; i < at.size(); ++i)
      state.append(acc.start(plan.width));
    auto [lo, hi] = bounds[found.stream];
    state = ir.loop(lo, hi, ir.i64(1), state, [&](Value i, ValueRange carried) {
      Points points(at);
      for (auto [k, p] : llvm::enumerate(points)) {
        p.bind(iv(found.stream), i);
        if (k % rows == 0 && !p.mask)
          fetch(p, i);
      }
      return sum(points, rows, carried, {});
    });
    for (auto [p, v] : llvm::zip(at, state))
      finish(p, v);
  }

  //===----------------------------------------------------------------------===//

  void finish(const Point &at, Value result) {
    Block &block = nest.getFinish().front();
    Point p(ir, scope, plan.width);
    p.mask = at.mask;
    for (int d = 0; d < numPar; ++d)
      p.bind(block.getArgument(d), const_cast<Point &>(at).get(iv(d)));
    p.bind(block.getArgument(numPar), Lane{Lane::Vector, result, {}});
    p.emitRest(block);
  }

  Ir &ir;
  Scope &scope;
  tile::NestOp nest;
  const NestPlan &plan;
  FewRows found;
  Block &body;
  Accumulator acc;
  int numPar;
  bool along; ///< lanes run along the sum
  SmallVector<Bounds> bounds;
  SmallVector<int> outer;
  llvm::SmallSetVector<Operation *, 16> sameInRows, sameBeside;
  Value sums; ///< on the stack: of each row a strip of keys
};

} // namespace

void cpu::emitFewRows(Ir &ir, Scope &scope, tile::NestOp nest, const NestPlan &plan, const FewRows &found) {
  Emitter(ir, scope, nest, plan, found).run();
}
