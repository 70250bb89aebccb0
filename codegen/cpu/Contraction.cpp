//===- Sums of products as register-blocked kernels -----------------------===//
//
//   sum over k of A(m, k) B(k, n), A and B any expressions
//
//   for blocks of n, blocks of m:
//     for blocks of k:
//       pack A: rows of k                        [m][k]        \  nests of their own, planned and vectorised as any
//       other pack B: panels of two vectors of n       [panel][k][n] / for panels, for MR rows: MR x 2 accumulators
//       over k, added to a block of C
//     finish on the block of C
//
// Accumulators start from zero for every block of k and are added to C then: the error of a long sum stays that of a
// short one. Rows and lanes past the end compute on whatever the buffers hold; nothing reads the results.
//
// The buffers are sized for a 1 MB second-level cache: A and B blocks and C together take half of it.
//===----------------------------------------------------------------------===//
#include "codegen/cpu/Contraction.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace attnc;
using namespace attnc::cpu;

//===----------------------------------------------------------------------===//
// Recognition
//===----------------------------------------------------------------------===//

namespace {

/// Dims (as bits) that each value of the body depends on.
DenseMap<Value, unsigned> dependences(Block &body) {
  DenseMap<Value, unsigned> on;
  for (BlockArgument arg : body.getArguments())
    on[arg] = 1u << arg.getArgNumber();
  for (Operation &op : body)
    for (Value r : op.getResults())
      for (Value v : op.getOperands())
        on[r] |= on.lookup(v);
  return on;
}

void flatten(Value v, SmallVectorImpl<Value> &factors) {
  if (auto mul = v.getDefiningOp<arith::MulFOp>()) {
    flatten(mul.getLhs(), factors);
    flatten(mul.getRhs(), factors);
  } else {
    factors.push_back(v);
  }
}

/// The par dim along which finish stores to neighbours, or -1.
int storeDim(tile::NestOp nest) {
  int dim = -1;
  for (auto st : nest.getFinish().getOps<tile::StoreOp>()) {
    if (st.getIndices().empty())
      continue;
    Value last = st.getIndices().back();
    // Through sums: the position may be offset.
    while (auto add = last.getDefiningOp<arith::AddIOp>())
      last = isa<BlockArgument>(add.getLhs()) || !isa<BlockArgument>(add.getRhs()) ? add.getLhs() : add.getRhs();
    if (auto arg = dyn_cast<BlockArgument>(last))
      if (arg.getOwner() == &nest.getFinish().front() && arg.getArgNumber() < nest.getNumPar())
        dim = arg.getArgNumber();
  }
  return dim;
}

} // namespace

std::optional<Contraction> cpu::matchContraction(const Scope &scope, tile::NestOp nest) {
  SmallVector<tile::Combiner> kinds = nest.getCombinerKinds();
  if (!nest.isReduction() || kinds.size() != 1 || kinds[0] != tile::Combiner::Sum ||
      nest.getNumPar() + nest.getNumInner() > 31)
    return std::nullopt;
  Block &body = nest.getBody().front();
  Value yielded = body.getTerminator()->getOperand(0);
  SmallVector<Value> factors;
  if (!isa<FloatType>(yielded.getType()))
    return std::nullopt;
  flatten(yielded, factors);
  if (factors.size() < 2)
    return std::nullopt;

  unsigned numPar = nest.getNumPar(), total = numPar + nest.getNumInner();
  unsigned pars = (1u << numPar) - 1;
  DenseMap<Value, unsigned> on = dependences(body);
  auto parsOf = [&](Value v) { return on.lookup(v) & pars; };
  unsigned common = pars;
  for (Value f : factors)
    if (parsOf(f))
      common &= parsOf(f);

  // Factors that share a dim outside `common` belong together.
  SmallVector<unsigned> groups;
  for (Value f : factors) {
    unsigned dims = parsOf(f) & ~common;
    if (!dims)
      continue;
    SmallVector<unsigned> rest;
    for (unsigned g : groups)
      if (g & dims)
        dims |= g;
      else
        rest.push_back(g);
    rest.push_back(dims);
    groups = rest;
  }
  if (groups.size() < 2)
    return std::nullopt;

  auto extent = [&](int d) -> std::optional<int64_t> {
    bool par = d < int(numPar);
    auto lo = constantOf(par ? nest.getParLo()[d] : nest.getInnerLo()[d - numPar]);
    auto hi = constantOf(par ? nest.getParHi()[d] : nest.getInnerHi()[d - numPar]);
    return lo && hi ? std::optional<int64_t>(*hi - *lo) : std::nullopt;
  };
  // Of several dims the last one that is not small.
  auto pick = [&](unsigned dims) {
    int best = -1;
    for (int d = 0; d < int(total); ++d) {
      if (!(dims >> d & 1))
        continue;
      int64_t mine = extent(d).value_or(256), theirs = best < 0 ? -1 : extent(best).value_or(256);
      if (std::min<int64_t>(mine, 64) >= std::min<int64_t>(theirs, 64))
        best = d;
    }
    return best;
  };

  Contraction c;
  int stored = storeDim(nest);
  unsigned nGroup = groups.back();
  for (unsigned g : groups)
    if (stored >= 0 && g >> stored & 1)
      nGroup = g;
  c.n = stored >= 0 && nGroup >> stored & 1 ? stored : pick(nGroup);
  if (extent(c.n).value_or(256) < 8)
    c.n = pick(nGroup);
  unsigned mGroup = 0;
  for (unsigned g : groups)
    if (g != nGroup)
      mGroup |= g;
  c.m = pick(mGroup);
  c.k = pick(((1u << total) - 1) & ~pars);
  // Too small to be worth packing.
  if (extent(c.m).value_or(256) < 4 || extent(c.n).value_or(256) < 8 || extent(c.k).value_or(256) < 4)
    return std::nullopt;

  unsigned bDims = 0;
  for (Value f : factors) {
    bool toB = parsOf(f) & nGroup;
    (toB ? c.b : c.a).push_back(f);
    if (toB)
      bDims |= on.lookup(f);
  }
  for (bool ofB : {true, false})
    for (int d = 0; d < int(numPar); ++d)
      if (d != c.m && d != c.n && bool(bDims >> d & 1) == ofB) {
        c.outer.push_back(d);
        if (!ofB)
          c.sameB.push_back(d);
      }
  for (int d = numPar; d < int(total); ++d)
    if (d != c.k)
      c.outerRed.push_back(d);
  return c;
}

//===----------------------------------------------------------------------===//
// Emission
//===----------------------------------------------------------------------===//

namespace {

/// Shape of blocks, in elements.
struct Blocking {
  int64_t width, rows, panel; ///< lanes of a vector, rows and columns of a register tile
  int64_t mc, nc = 256, kc, lda;
  Blocking(const Machine &machine, Type elem) {
    int64_t bytes = elem.getIntOrFloatBitWidth() / 8;
    width = machine.vectorBytes / bytes;
    rows = machine.vectorBytes == 64 ? 8 : 6; // 16 or 12 accumulators
    panel = 2 * width;
    mc = 16 * rows;
    kc = bytes == 4 ? 256 : 128;
    // Rows of A do not start in the same cache set.
    lda = kc + 64 / bytes;
  }
  int64_t elements() const { return mc * lda + kc * nc + mc * nc; }
};

class Emitter {
public:
  Emitter(Ir &ir, Scope &scope, const Machine &machine, tile::NestOp nest, const Contraction &c, Value scratch)
      : ir(ir), scope(scope), machine(machine), nest(nest), c(c), body(nest.getBody().front()),
        elem(body.getTerminator()->getOperand(0).getType()), blocking(machine, elem), numPar(nest.getNumPar()) {
    for (auto [lo, hi] : llvm::zip(nest.getParLo(), nest.getParHi()))
      bounds.push_back({outside(lo), outside(hi)});
    for (auto [lo, hi] : llvm::zip(nest.getInnerLo(), nest.getInnerHi()))
      bounds.push_back({outside(lo), outside(hi)});
    auto at = [&](int64_t elements) { return ir.offset(elem, scratch, ir.i64(elements)); };
    aBase = scratch;
    bBase = at(blocking.mc * blocking.lda);
    cBase = at(blocking.mc * blocking.lda + blocking.kc * blocking.nc);
  }

  void emit() { overOuter(0); }

private:
  using Bounds = std::pair<Value, Value>;

  Value outside(Value v) { return Point(ir, scope, 1).scalar(v); }

  void each(int dim, function_ref<void(Value)> f) {
    ir.loop(bounds[dim].first, bounds[dim].second, ir.i64(1), {}, [&](Value i, ValueRange) -> SmallVector<Value> {
      places[dim] = i;
      f(i);
      return {};
    });
  }
  /// Blocks of at most `size`: f(begin, end).
  void blocks(int dim, int64_t size, function_ref<void(Value, Value)> f) {
    auto [lo, hi] = bounds[dim];
    ir.loop(lo, hi, ir.i64(size), {}, [&, hi = hi](Value begin, ValueRange) -> SmallVector<Value> {
      f(begin, ir.min(ir.add(begin, ir.i64(size)), hi));
      return {};
    });
  }

  void overOuter(size_t at) {
    if (at < c.outer.size())
      return each(c.outer[at], [&](Value) { overOuter(at + 1); });
    blocks(c.n, blocking.nc, [&](Value n0, Value n1) {
      blocks(c.m, blocking.mc, [&](Value m0, Value m1) {
        overRed(0, n0, n1, m0, m1);
        finish({m0, m1}, {n0, n1});
      });
    });
  }

  void overRed(size_t at, Value n0, Value n1, Value m0, Value m1) {
    if (at < c.outerRed.size())
      return each(c.outerRed[at], [&](Value) { overRed(at + 1, n0, n1, m0, m1); });
    blocks(c.k, blocking.kc, [&](Value k0, Value k1) {
      packA({m0, m1}, {k0, k1});
      ir.when(mustPackB(n0, m0), [&] { packB({n0, n1}, {k0, k1}); });
      tiles(ir.sub(m1, m0), ir.sub(n1, n0), ir.sub(k1, k0), isFirst(k0));
    });
  }

  Value both(Value a, Value b) { return ir.createOrFold<arith::AndIOp>(a, b); }
  Value equal(Value a, Value b) { return ir.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::eq, a, b); }

  /// Whether this block of k is the first one added to C.
  Value isFirst(Value k0) {
    Value first = equal(k0, bounds[c.k].first);
    for (int d : c.outerRed)
      first = both(first, equal(places[d], bounds[d].first));
    return first;
  }

  /// With one block of k, B stays packed while m blocks go by; with one block of n too, while outer dims B lacks go by.
  Value mustPackB(Value n0, Value m0) {
    Value yes = ir.create<arith::ConstantIntOp>(1, 1);
    if (!c.outerRed.empty())
      return yes;
    auto many = [&](int dim, int64_t size) {
      return ir.less(ir.i64(size), ir.sub(bounds[dim].second, bounds[dim].first));
    };
    Value again = equal(m0, bounds[c.m].first);
    Value outerFirst = yes;
    for (int d : c.sameB)
      outerFirst = both(outerFirst, equal(places[d], bounds[d].first));
    again = both(again, ir.createOrFold<arith::OrIOp>(outerFirst, many(c.n, blocking.nc)));
    return ir.createOrFold<arith::OrIOp>(again, many(c.k, blocking.kc));
  }

  //===--- Nests made on the way ---===//

  /// Emits `par [first, second] { fill }` as a nest of its own, in a scope where outer positions are known. `fill` gets
  /// a builder in the body and a mapping of the original positions; `buffers` are addressed by the dummy values it is
  /// given.
  void emitNestOver(int first, Bounds over1, int second, Bounds over2, ArrayRef<Buffer> buffers, bool inFinish,
                    function_ref<void(OpBuilder &, IRMapping &, ValueRange, ValueRange)> fill) {
    OpBuilder tile(nest);
    Location loc = nest.getLoc();
    Scope inner = scope;
    SmallVector<Value> dummies;
    SmallVector<Operation *> made;
    for (const Buffer &buffer : buffers) {
      auto alloc =
          tile.create<tile::AllocOp>(loc, tile::BufType::get(buffer.elem, buffer.strides.size()), ValueRange());
      dummies.push_back(alloc);
      made.push_back(alloc);
      inner.buffers[alloc] = buffer;
    }
    for (Value v : {over1.first, over1.second, over2.first, over2.second})
      inner.values.map(v, v);
    Block &original = inFinish ? nest.getFinish().front() : body;
    for (auto [dim, place] : places)
      if (dim < int(inFinish ? numPar : bounds.size()))
        inner.values.map(original.getArgument(dim), place);
    auto sub =
        tile.create<tile::NestOp>(loc, ArrayRef<tile::Range>{{over1.first, over1.second}, {over2.first, over2.second}},
                                  [&](OpBuilder &b, Location, ValueRange at) {
                                    IRMapping map;
                                    map.map(original.getArgument(first), at[0]);
                                    map.map(original.getArgument(second), at[1]);
                                    fill(b, map, at, dummies);
                                  });
    emitNest(ir, inner, machine, sub, {});
    sub.erase();
    for (Operation *op : made)
      op->erase();
  }

  /// Copies the ops a value of the body needs.
  Value copy(OpBuilder &b, IRMapping &map, Value v) {
    Operation *def = v.getDefiningOp();
    if (map.contains(v))
      return map.lookup(v);
    if (!def || def->getBlock() != &body)
      return v;
    for (Value operand : def->getOperands())
      copy(b, map, operand);
    b.clone(*def, map);
    return map.lookup(v);
  }

  Value product(OpBuilder &b, IRMapping &map, ArrayRef<Value> factors) {
    Value p;
    for (Value f : factors) {
      Value v = copy(b, map, f);
      p = p ? Value(b.create<arith::MulFOp>(nest.getLoc(), p, v)) : v;
    }
    return p;
  }

  /// position - begin, as an index into a packing buffer.
  Value relative(OpBuilder &b, Value at, Value begin) { return b.create<arith::SubIOp>(nest.getLoc(), at, begin); }

  void packA(Bounds m, Bounds k) {
    Buffer rows{aBase, {ir.i64(blocking.lda), ir.i64(1)}, elem, false};
    emitNestOver(c.m, m, c.k, k, rows, false, [&](OpBuilder &b, IRMapping &map, ValueRange at, ValueRange buf) {
      Value p = product(b, map, c.a);
      b.create<tile::StoreOp>(nest.getLoc(), p, buf[0],
                              ValueRange{relative(b, at[0], m.first), relative(b, at[1], k.first)});
    });
  }

  void packB(Bounds n, Bounds k) {
    ir.loop(n.first, n.second, ir.i64(blocking.panel), {}, [&](Value p0, ValueRange) -> SmallVector<Value> {
      Value p1 = ir.min(ir.add(p0, ir.i64(blocking.panel)), n.second);
      Value base = ir.offset(elem, bBase, ir.mul(ir.sub(p0, n.first), ir.i64(blocking.kc)));
      Buffer panel{base, {ir.i64(blocking.panel), ir.i64(1)}, elem, false};
      emitNestOver(c.k, k, c.n, {p0, p1}, panel, false,
                   [&](OpBuilder &b, IRMapping &map, ValueRange at, ValueRange buf) {
                     Value p = product(b, map, c.b);
                     b.create<tile::StoreOp>(nest.getLoc(), p, buf[0],
                                             ValueRange{relative(b, at[0], k.first), relative(b, at[1], p0)});
                   });
      return {};
    });
  }

  void finish(Bounds m, Bounds n) {
    Block &block = nest.getFinish().front();
    Buffer sums{cBase, {ir.i64(blocking.nc), ir.i64(1)}, elem, false};
    emitNestOver(c.m, m, c.n, n, sums, true, [&](OpBuilder &b, IRMapping &map, ValueRange at, ValueRange buf) {
      Value acc = b.create<tile::LoadOp>(nest.getLoc(), buf[0],
                                         ValueRange{relative(b, at[0], m.first), relative(b, at[1], n.first)});
      map.map(block.getArgument(numPar), acc);
      for (Operation &op : block.without_terminator())
        b.clone(op, map);
    });
  }

  //===--- Register tiles ---===//

  void tiles(Value mCount, Value nCount, Value kCount, Value first) {
    ir.loop(ir.i64(0), nCount, ir.i64(blocking.panel), {}, [&](Value n, ValueRange) -> SmallVector<Value> {
      Value b = ir.offset(elem, bBase, ir.mul(n, ir.i64(blocking.kc)));
      ir.loop(ir.i64(0), mCount, ir.i64(blocking.rows), {}, [&](Value m, ValueRange) -> SmallVector<Value> {
        Value a = ir.offset(elem, aBase, ir.mul(m, ir.i64(blocking.lda)));
        Value to = ir.offset(elem, cBase, ir.add(ir.mul(m, ir.i64(blocking.nc)), n));
        tile(a, b, to, kCount, first);
        return {};
      });
      return {};
    });
  }

  void tile(Value a, Value b, Value to, Value kCount, Value first) {
    unsigned align = elem.getIntOrFloatBitWidth() / 8;
    auto type = VectorType::get({blocking.width}, elem);
    Value zero = ir.create<arith::ConstantOp>(ir.getZeroAttr(type));
    SmallVector<Value> start(2 * blocking.rows, zero);
    SmallVector<Value> sums = ir.loop(ir.i64(0), kCount, ir.i64(1), start, [&](Value k, ValueRange acc) {
      Value row = ir.offset(elem, b, ir.mul(k, ir.i64(blocking.panel)));
      Value b0 = ir.create<LLVM::LoadOp>(type, row, 64);
      Value b1 = ir.create<LLVM::LoadOp>(type, ir.offset(elem, row, ir.i64(blocking.width)), machine.vectorBytes);
      Value column = ir.offset(elem, a, k);
      SmallVector<Value> next;
      for (int64_t r = 0; r < blocking.rows; ++r) {
        Value x = ir.create<LLVM::LoadOp>(elem, ir.offset(elem, column, ir.i64(r * blocking.lda)), align);
        Value v = ir.splat(x, blocking.width);
        next.push_back(ir.create<math::FmaOp>(v, b0, acc[2 * r]));
        next.push_back(ir.create<math::FmaOp>(v, b1, acc[2 * r + 1]));
      }
      return next;
    });
    auto place = [&](size_t i) { return ir.offset(elem, to, ir.i64(i / 2 * blocking.nc + i % 2 * blocking.width)); };
    ir.when(
        first,
        [&] {
          for (auto [i, v] : llvm::enumerate(sums))
            ir.create<LLVM::StoreOp>(v, place(i), machine.vectorBytes);
        },
        [&] {
          for (auto [i, v] : llvm::enumerate(sums)) {
            Value old = ir.create<LLVM::LoadOp>(type, place(i), machine.vectorBytes);
            ir.create<LLVM::StoreOp>(Value(ir.create<arith::AddFOp>(old, v)), place(i), machine.vectorBytes);
          }
        });
  }

  Ir &ir;
  Scope &scope;
  const Machine &machine;
  tile::NestOp nest;
  const Contraction &c;
  Block &body;
  Type elem;
  Blocking blocking;
  unsigned numPar;
  SmallVector<Bounds> bounds;
  DenseMap<int, Value> places; ///< positions of the dims that loops outside have fixed
  Value aBase, bBase, cBase;
};

} // namespace

int64_t cpu::contractionScratch(const Machine &machine, Type elem) {
  return Blocking(machine, elem).elements() * (elem.getIntOrFloatBitWidth() / 8);
}

void cpu::emitContraction(Ir &ir, Scope &scope, const Machine &machine, tile::NestOp nest, const Contraction &c,
                          Value scratch) {
  Emitter(ir, scope, machine, nest, c, scratch).emit();
}
