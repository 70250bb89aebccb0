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
// Guards become zeros in the packed operands. 0 * inf is not 0, so where a guard that has m dims zeroes A, the block of
// B must be finite (and the other way round): blocks that are not are summed point by point. Blocks where no guard of A
// holds are skipped, which halves causal attention.
//
// Accumulators start from zero for every block of k and are added to C then: the error of a long sum stays that of a
// short one. Rows and lanes past the end compute on whatever the buffers hold; nothing reads the results.
//
// The buffers are sized for a 1 MB second-level cache: A and B blocks and C together take half of it.
//===----------------------------------------------------------------------===//
#include "codegen/cpu/Contraction.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "runtime/Tally.h"
#include <limits>

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

void flatten(Value v, bool divides, SmallVectorImpl<Contraction::Factor> &factors) {
  if (auto mul = v.getDefiningOp<arith::MulFOp>(); mul && !divides) {
    flatten(mul.getLhs(), false, factors);
    flatten(mul.getRhs(), false, factors);
  } else if (auto div = v.getDefiningOp<arith::DivFOp>(); div && !divides) {
    flatten(div.getLhs(), false, factors);
    flatten(div.getRhs(), true, factors);
  } else {
    factors.push_back({v, divides});
  }
}

/// The operands of a tree of `and`.
void conjuncts(Value v, SmallVectorImpl<Value> &all) {
  if (auto both = v.getDefiningOp<arith::AndIOp>()) {
    conjuncts(both.getLhs(), all);
    conjuncts(both.getRhs(), all);
  } else {
    all.push_back(v);
  }
}

/// Takes `select(c, x, 0)` apart.
Value stripGuards(Value v, SmallVectorImpl<Value> &conditions) {
  auto choice = v.getDefiningOp<arith::SelectOp>();
  if (!choice || !matchPattern(choice.getFalseValue(), m_AnyZeroFloat()))
    return v;
  conjuncts(choice.getCondition(), conditions);
  return stripGuards(choice.getTrueValue(), conditions);
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
  SmallVector<Contraction::Factor> factors;
  SmallVector<Value> conditions;
  if (!isa<FloatType>(yielded.getType()))
    return std::nullopt;
  flatten(stripGuards(yielded, conditions), false, factors);
  if (factors.size() < 2)
    return std::nullopt;

  unsigned numPar = nest.getNumPar(), total = numPar + nest.getNumInner();
  unsigned pars = (1u << numPar) - 1;
  DenseMap<Value, unsigned> on = dependences(body);
  auto parsOf = [&](Value v) { return on.lookup(v) & pars; };
  unsigned common = pars;
  for (auto &f : factors)
    if (parsOf(f.value))
      common &= parsOf(f.value);

  // Factors that share a dim outside `common` belong together.
  SmallVector<unsigned> groups;
  for (auto &f : factors) {
    unsigned dims = parsOf(f.value) & ~common;
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
  for (auto &f : factors) {
    bool toB = parsOf(f.value) & nGroup;
    (toB ? c.b : c.a).push_back(f);
    if (toB)
      bDims |= on.lookup(f.value);
  }
  for (Value v : conditions) {
    bool hasM = parsOf(v) & mGroup, hasN = parsOf(v) & nGroup;
    if (hasM && hasN)
      return std::nullopt;
    if (hasM)
      TALLY("cpu: a contraction with a guard on rows");
    else if (hasN)
      TALLY("cpu: a contraction with a guard on columns");
    else
      TALLY("cpu: a contraction with a guard on neither side");
    (hasM ? c.onA : hasN ? c.onB : c.both).push_back(v);
    if (!hasM)
      bDims |= on.lookup(v);
  }
  // A value to divide needs something to divide: a side of divisors alone is no product.
  for (auto *side : {&c.a, &c.b})
    if (llvm::all_of(*side, [](const Contraction::Factor &f) { return f.divides; }))
      return std::nullopt;
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
  TALLY("cpu: a contraction");
  if (!c.outer.empty())
    TALLY("cpu: a contraction with dims outside");
  if (!c.outerRed.empty())
    TALLY("cpu: a contraction over several reduced dims");
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
    kc = bytes == 4 ? 128 : 64;
    // Rows of A do not start in the same cache set.
    lda = kc + 64 / bytes;
  }
  /// Room for two flags at the end.
  int64_t elements() const { return mc * lda + kc * nc + mc * nc + 64; }
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
    flags = {at(blocking.elements() - 64), {ir.i64(1)}, ir.getI1Type(), false};
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
        if (!c.onA.empty())
          clear({m0, m1}, {n0, n1});
        overRed(0, {n0, n1}, {m0, m1});
        finish({m0, m1}, {n0, n1});
      });
    });
  }

  void overRed(size_t at, Bounds n, Bounds m) {
    if (at < c.outerRed.size())
      return each(c.outerRed[at], [&](Value) { overRed(at + 1, n, m); });
    blocks(c.k, blocking.kc, [&](Value k0, Value k1) {
      Bounds k{k0, k1};
      // B first: it may stay packed although this block of A is skipped.
      ir.when(mustPackB(n.first, m.first), [&] { packB(n, k); });
      auto work = [&] {
        packA(m, k);
        Value first = c.onA.empty() ? isFirst(k0) : Value(ir.create<arith::ConstantIntOp>(0, 1));
        auto blocked = [&] { tiles(ir.sub(m.second, m.first), ir.sub(n.second, n.first), ir.sub(k1, k0), first); };
        if (c.onA.empty() && c.onB.empty())
          return blocked();
        Value bad = ir.create<arith::ConstantIntOp>(0, 1);
        for (auto [guards, flag] : {std::pair(&c.onA, kBadB), std::pair(&c.onB, kBadA)})
          if (!guards->empty())
            bad = ir.createOrFold<arith::OrIOp>(bad, loadFlag(flag));
        ir.when(bad, [&] { pointByPoint(m, n, k, first); }, blocked);
      };
      if (c.onA.empty())
        return work();
      anyOnA(m, k);
      ir.when(loadFlag(kAny), work);
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

  //===--- Flags ---===//

  enum Flag : int64_t { kAny, kBadA, kBadB };

  Value loadFlag(Flag flag) { return Point(ir, scope, 1).load(flags, Lane{Lane::Uniform, ir.i64(flag), {}}).value; }
  void setFlag(Flag flag, bool to) {
    Value v = ir.create<arith::ConstantIntOp>(to, 1);
    Point(ir, scope, 1).store(v, true, flags, Lane{Lane::Uniform, ir.i64(flag), {}}, {});
  }

  /// flag = flag or any of `test` over the points [first, second].
  void orInto(Flag flag, int first, Bounds over1, int second, Bounds over2, ArrayRef<Buffer> buffers,
              function_ref<Value(OpBuilder &, IRMapping &, ValueRange at, ValueRange buffers)> test) {
    SmallVector<Buffer> all(buffers);
    all.push_back(flags);
    Location loc = nest.getLoc();
    emitSynthetic(all, false, {over1.first, over1.second, over2.first, over2.second},
                  [&](OpBuilder &b, ValueRange buf) {
                    return b.create<tile::NestOp>(
                        loc, ArrayRef<tile::Range>{},
                        ArrayRef<tile::Range>{{over1.first, over1.second}, {over2.first, over2.second}},
                        [&](OpBuilder &b, Location, ValueRange, ValueRange at) {
                          IRMapping map;
                          map.map(body.getArgument(first), at[0]);
                          map.map(body.getArgument(second), at[1]);
                          return SmallVector<Value>{test(b, map, at, buf)};
                        },
                        ArrayRef<tile::Combiner>{tile::Combiner::Any},
                        [&](OpBuilder &b, Location, ValueRange, ValueRange found) {
                          Value at = b.create<arith::ConstantIntOp>(loc, flag, 64);
                          Value old = b.create<tile::LoadOp>(loc, buf.back(), at);
                          b.create<tile::StoreOp>(loc, b.create<arith::OrIOp>(loc, old, found[0]), buf.back(), at);
                        });
                  });
  }

  /// Whether any guard of A holds in the block.
  void anyOnA(Bounds m, Bounds k) {
    setFlag(kAny, false);
    orInto(kAny, c.m, m, c.k, k, {},
           [&](OpBuilder &b, IRMapping &map, ValueRange, ValueRange) { return conjunction(b, map, c.onA); });
  }

  /// Whether a packed operand has a NaN or an infinity.
  void checkFinite(Flag flag, const Buffer &packed, int first, Bounds over1, int second, Bounds over2) {
    orInto(flag, first, over1, second, over2, packed, [&](OpBuilder &b, IRMapping &, ValueRange at, ValueRange buf) {
      Location loc = nest.getLoc();
      Value x = b.create<tile::LoadOp>(loc, buf[0],
                                       ValueRange{relative(b, at[0], over1.first), relative(b, at[1], over2.first)});
      Value inf = b.create<arith::ConstantOp>(loc, b.getFloatAttr(elem, std::numeric_limits<double>::infinity()));
      return b.create<arith::CmpFOp>(loc, arith::CmpFPredicate::UGE, b.create<math::AbsFOp>(loc, x), inf).getResult();
    });
  }

  //===--- Nests made on the way ---===//

  /// Emits a nest that `make` builds beside the original, in a scope where outer positions, `outside` and dummies for
  /// `buffers` are known.
  void emitSynthetic(ArrayRef<Buffer> buffers, bool inFinish, ArrayRef<Value> outside,
                     function_ref<tile::NestOp(OpBuilder &, ValueRange buffers)> make) {
    OpBuilder tile(nest);
    Scope inner = scope;
    SmallVector<Value> dummies;
    for (const Buffer &buffer : buffers) {
      auto type = tile::BufType::get(buffer.elem, buffer.strides.size());
      dummies.push_back(tile.create<tile::AllocOp>(nest.getLoc(), type, ValueRange()));
      inner.buffers[dummies.back()] = buffer;
    }
    for (Value v : outside)
      inner.values.map(v, v);
    Block &original = inFinish ? nest.getFinish().front() : body;
    for (auto [dim, place] : places)
      if (dim < int(inFinish ? numPar : bounds.size()))
        inner.values.map(original.getArgument(dim), place);
    tile::NestOp made = make(tile, dummies);
    emitNest(ir, inner, machine, made, {});
    made.erase();
    for (Value v : dummies)
      v.getDefiningOp()->erase();
  }

  /// `par [first, second] { fill }`; `fill` gets a mapping of the original positions.
  void emitNestOver(int first, Bounds over1, int second, Bounds over2, ArrayRef<Buffer> buffers, bool inFinish,
                    function_ref<void(OpBuilder &, IRMapping &, ValueRange, ValueRange)> fill) {
    Block &original = inFinish ? nest.getFinish().front() : body;
    emitSynthetic(
        buffers, inFinish, {over1.first, over1.second, over2.first, over2.second}, [&](OpBuilder &b, ValueRange buf) {
          return b.create<tile::NestOp>(nest.getLoc(),
                                        ArrayRef<tile::Range>{{over1.first, over1.second}, {over2.first, over2.second}},
                                        [&](OpBuilder &b, Location, ValueRange at) {
                                          IRMapping map;
                                          map.map(original.getArgument(first), at[0]);
                                          map.map(original.getArgument(second), at[1]);
                                          fill(b, map, at, buf);
                                        });
        });
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

  Value conjunction(OpBuilder &b, IRMapping &map, ArrayRef<Value> conditions) {
    Value all;
    for (Value c : conditions) {
      Value v = copy(b, map, c);
      all = all ? Value(b.create<arith::AndIOp>(nest.getLoc(), all, v)) : v;
    }
    return all;
  }

  /// One side of the product, 0 where its conditions do not hold.
  Value product(OpBuilder &b, IRMapping &map, ArrayRef<Contraction::Factor> factors, ArrayRef<Value> own) {
    Value p, by;
    Location loc = nest.getLoc();
    for (auto &f : factors) {
      Value v = copy(b, map, f.value);
      Value &to = f.divides ? by : p;
      to = to ? Value(b.create<arith::MulFOp>(loc, to, v)) : v;
    }
    if (by)
      p = b.create<arith::DivFOp>(loc, p, by);
    SmallVector<Value> conditions(own);
    llvm::append_range(conditions, c.both);
    if (Value on = conjunction(b, map, conditions))
      p = b.create<arith::SelectOp>(loc, on, p, b.create<arith::ConstantOp>(loc, b.getFloatAttr(elem, 0)));
    return p;
  }

  /// position - begin, as an index into a packing buffer.
  Value relative(OpBuilder &b, Value at, Value begin) { return b.create<arith::SubIOp>(nest.getLoc(), at, begin); }

  void packA(Bounds m, Bounds k) {
    Buffer rows{aBase, {ir.i64(blocking.lda), ir.i64(1)}, elem, false};
    emitNestOver(c.m, m, c.k, k, rows, false, [&](OpBuilder &b, IRMapping &map, ValueRange at, ValueRange buf) {
      Value p = product(b, map, c.a, c.onA);
      b.create<tile::StoreOp>(nest.getLoc(), p, buf[0],
                              ValueRange{relative(b, at[0], m.first), relative(b, at[1], k.first)});
    });
    if (c.onB.empty())
      return;
    setFlag(kBadA, false);
    checkFinite(kBadA, rows, c.m, m, c.k, k);
  }

  void packB(Bounds n, Bounds k) {
    if (!c.onA.empty())
      setFlag(kBadB, false);
    ir.loop(n.first, n.second, ir.i64(blocking.panel), {}, [&](Value p0, ValueRange) -> SmallVector<Value> {
      Value p1 = ir.min(ir.add(p0, ir.i64(blocking.panel)), n.second);
      Value base = ir.offset(elem, bBase, ir.mul(ir.sub(p0, n.first), ir.i64(blocking.kc)));
      Buffer panel{base, {ir.i64(blocking.panel), ir.i64(1)}, elem, false};
      emitNestOver(c.k, k, c.n, {p0, p1}, panel, false,
                   [&](OpBuilder &b, IRMapping &map, ValueRange at, ValueRange buf) {
                     Value p = product(b, map, c.b, c.onB);
                     b.create<tile::StoreOp>(nest.getLoc(), p, buf[0],
                                             ValueRange{relative(b, at[0], k.first), relative(b, at[1], p0)});
                   });
      if (!c.onA.empty())
        checkFinite(kBadB, panel, c.k, k, c.n, {p0, p1});
      return {};
    });
  }

  void finish(Bounds m, Bounds n) {
    Block &block = nest.getFinish().front();
    emitNestOver(c.m, m, c.n, n, sums(), true, [&](OpBuilder &b, IRMapping &map, ValueRange at, ValueRange buf) {
      Value acc = b.create<tile::LoadOp>(nest.getLoc(), buf[0],
                                         ValueRange{relative(b, at[0], m.first), relative(b, at[1], n.first)});
      map.map(block.getArgument(numPar), acc);
      for (Operation &op : block.without_terminator())
        b.clone(op, map);
    });
  }

  Buffer sums() { return {cBase, {ir.i64(blocking.nc), ir.i64(1)}, elem, false}; }

  void clear(Bounds m, Bounds n) {
    emitNestOver(c.m, m, c.n, n, sums(), false, [&](OpBuilder &b, IRMapping &, ValueRange at, ValueRange buf) {
      Value zero = b.create<arith::ConstantOp>(nest.getLoc(), b.getFloatAttr(elem, 0));
      b.create<tile::StoreOp>(nest.getLoc(), zero, buf[0],
                              ValueRange{relative(b, at[0], m.first), relative(b, at[1], n.first)});
    });
  }

  /// The block as written, added to C.
  void pointByPoint(Bounds m, Bounds n, Bounds k, Value first) {
    Location loc = nest.getLoc();
    SmallVector<Value> known{m.first, m.second, n.first, n.second, k.first, k.second, first};
    emitSynthetic(sums(), false, known, [&](OpBuilder &b, ValueRange buf) {
      return b.create<tile::NestOp>(
          loc, ArrayRef<tile::Range>{{m.first, m.second}, {n.first, n.second}},
          ArrayRef<tile::Range>{{k.first, k.second}},
          [&](OpBuilder &b, Location, ValueRange par, ValueRange red) {
            IRMapping map;
            map.map(body.getArgument(c.m), par[0]);
            map.map(body.getArgument(c.n), par[1]);
            map.map(body.getArgument(c.k), red[0]);
            return SmallVector<Value>{copy(b, map, body.getTerminator()->getOperand(0))};
          },
          ArrayRef<tile::Combiner>{tile::Combiner::Sum},
          [&](OpBuilder &b, Location, ValueRange par, ValueRange sum) {
            SmallVector<Value> at{relative(b, par[0], m.first), relative(b, par[1], n.first)};
            Value old = b.create<tile::LoadOp>(loc, buf[0], at);
            Value zero = b.create<arith::ConstantOp>(loc, b.getFloatAttr(elem, 0));
            old = b.create<arith::SelectOp>(loc, first, zero, old);
            b.create<tile::StoreOp>(loc, b.create<arith::AddFOp>(loc, old, sum[0]), buf[0], at);
          });
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
  Buffer flags;
};

} // namespace

int64_t cpu::contractionScratch(const Machine &machine, Type elem) {
  return Blocking(machine, elem).elements() * (elem.getIntOrFloatBitWidth() / 8);
}

void cpu::emitContraction(Ir &ir, Scope &scope, const Machine &machine, tile::NestOp nest, const Contraction &c,
                          Value scratch) {
  Emitter(ir, scope, machine, nest, c, scratch).emit();
}
