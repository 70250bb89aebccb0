//===- Sums of products as register-blocked kernels -----------------------===//
//
//   sum over k of A(m, k) B(k, n), A and B any expressions
//
//   for blocks of n, blocks of m:
//     for blocks of k:
//       pack A: rows of k                  [m][k]        \  nests of their own, planned and
//       pack B: panels of two vectors of n [panel][k][n] /  vectorised as any other
//       for panels, for MR rows: MR x 2 accumulators over k, added to a block of C
//     finish on the block of C
//
// A that is an element of a tensor is read where it is, if neighbours in m or in k are neighbours in memory. B may come
// packed, when others need it too (Pack.cpp).
//
// Guards become zeros in the packed operands. 0 * inf is not 0, so where a guard that has m dims zeroes A, the block of
// B must be finite (and the other way round): blocks that are not are summed point by point. Blocks where no guard of A
// holds are skipped, which halves causal attention.
//
// Accumulators start from zero for every block of k and are added to C then: the error of a long sum stays that of a
// short one. Rows and lanes past the end compute on whatever the buffers hold; nothing reads the results.
//
// What ends a sum: ContractionFinish.cpp.
//
// The buffers are sized for a 1 MB second-level cache: A and B blocks and C together take half of it.
//===----------------------------------------------------------------------===//
#include "codegen/cpu/Contraction.h"
#include "codegen/cpu/ContractionFinish.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "runtime/Tally.h"
#include <limits>

using namespace mlir;
using namespace attnc;
using namespace attnc::cpu;

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
  int64_t elements() const { return mc * lda + kc * nc + mc * nc + rows * panel + 64; }
};

class Emitter {
public:
  Emitter(Ir &ir, Scope &scope, const Machine &machine, tile::NestOp nest, const Contraction &c, Value scratch,
          const PackedOperands *packed)
      : ir(ir), scope(scope), machine(machine), nest(nest), c(c), packed(packed), body(nest.getBody().front()),
        elem(body.getTerminator()->getOperand(0).getType()), blocking(machine, elem), numPar(nest.getNumPar()) {
    for (auto [lo, hi] : llvm::zip(nest.getParLo(), nest.getParHi()))
      bounds.push_back({outside(lo), outside(hi)});
    for (auto [lo, hi] : llvm::zip(nest.getInnerLo(), nest.getInnerHi()))
      bounds.push_back({outside(lo), outside(hi)});
    auto at = [&](int64_t elements) { return ir.offset(elem, scratch, ir.i64(elements)); };
    aBase = scratch;
    bBase = at(blocking.mc * blocking.lda);
    cBase = at(blocking.mc * blocking.lda + blocking.kc * blocking.nc);
    oneTile = at(blocking.elements() - 64 - blocking.rows * blocking.panel);
    flags = {at(blocking.elements() - 64), {ir.i64(1)}, ir.getI1Type(), false};
    isPacked = packed && packed->b
                   ? ir.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::ne, outside(packed->b->use), ir.i64(0))
                   : Value(ir.create<arith::ConstantIntOp>(0, 1));
    findA();
    directB = plainB(nest, c, blocking.panel);
    inRegisters = c.onA.empty() && c.onB.empty() && finishesInLanes(nest, c.n);
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
        if (!inRegisters)
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
      if (!directB)
        ir.when(both(negate(isPacked), mustPackB(n.first, m.first)), [&] { packB(n, k); });
      auto work = [&] {
        ir.when(negate(ir.createOrFold<arith::OrIOp>(isDirect, isPackedA)), [&] { packA(m, k); });
        Value first = c.onA.empty() ? isFirst(k0) : Value(ir.create<arith::ConstantIntOp>(0, 1));
        auto blocked = [&] { tiles(m, n, k, first); };
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

  Value negate(Value v) { return ir.createOrFold<arith::XOrIOp>(v, Value(ir.create<arith::ConstantIntOp>(1, 1))); }
  Value choose(Value condition, Value yes, Value no) { return ir.createOrFold<arith::SelectOp>(condition, yes, no); }
  Value both(Value a, Value b) { return ir.createOrFold<arith::AndIOp>(a, b); }
  Value equal(Value a, Value b) { return ir.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::eq, a, b); }

  /// Whether this block of k is the first one added to C.
  Value isFirst(Value k0) {
    Value first = equal(k0, bounds[c.k].first);
    for (int d : c.outerRed)
      first = both(first, equal(places[d], bounds[d].first));
    return first;
  }

  /// Whether this block of k is the last one.
  Value isLast(Value k1) {
    Value last = equal(k1, bounds[c.k].second);
    for (int d : c.outerRed)
      last = both(last, equal(ir.add(places[d], ir.i64(1)), bounds[d].second));
    return last;
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
    return cpu::conjunction(b, nest.getLoc(), conditions, [&](Value v) { return copy(b, map, v); });
  }

  Value product(OpBuilder &b, IRMapping &map, ArrayRef<Contraction::Factor> factors, ArrayRef<Value> own) {
    SmallVector<Value> conditions(own);
    llvm::append_range(conditions, c.both);
    return cpu::product(b, nest.getLoc(), elem, factors, conditions, [&](Value v) { return copy(b, map, v); });
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

  //===--- Operands where they are ---===//

  /// Where A may be read.
  void findA() {
    Value no = ir.create<arith::ConstantIntOp>(0, 1);
    isDirect = no;
    isPackedA = packed && packed->a
                    ? ir.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::ne, outside(packed->a->use), ir.i64(0))
                    : no;
    plain = plainA(nest, c);
    if (!plain)
      return;
    TALLY("cpu: an operand read where it is");
    const Buffer &buffer = scope.buffers.lookup(plain->load.getBuffer());
    directRows = step(ir, buffer, plain->m);
    directColumns = step(ir, buffer, plain->k);
    Value inRows = near(ir, directColumns);
    isPackedA = both(negate(inRows), isPackedA);
    isDirect = both(negate(isPackedA), ir.createOrFold<arith::OrIOp>(inRows, near(ir, directRows)));
  }

  /// Element (m, k) of A is at base + (m - m0) * row + (k - k0) * column.
  struct Rows {
    Value base, row, column;
  };
  Rows rowsOfA(Value m0, Value k0) {
    Rows own{aBase, ir.i64(blocking.lda), ir.i64(1)};
    if (packed && packed->a) {
      const Packed &a = *packed->a;
      const Buffer &buffer = scope.buffers.lookup(a.buffer);
      size_t d = a.dims.size();
      Value at = ir.add(inDims(a), ir.mul(ir.sub(m0, outside(a.rowLo)), buffer.strides[d]));
      at = ir.add(at, ir.sub(k0, outside(a.kLo)));
      own = {choose(isPackedA, ir.offset(elem, buffer.base, at), own.base),
             choose(isPackedA, buffer.strides[d], own.row), own.column};
    }
    if (!plain)
      return own;
    Point point(ir, scope, 1);
    for (auto [dim, place] : places)
      point.bind(body.getArgument(dim), place);
    point.bind(body.getArgument(c.m), m0);
    point.bind(body.getArgument(c.k), k0);
    return {choose(isDirect, point.place(plain->load.getBuffer(), plain->load.getIndices()).first, own.base),
            choose(isDirect, directRows, own.row), choose(isDirect, directColumns, own.column)};
  }

  /// Where the part of a packed operand begins that belongs to the positions around.
  Value inDims(const Packed &p) {
    Value at = ir.i64(0);
    for (auto [d, stride] : llvm::zip(p.dims, scope.buffers.lookup(p.buffer).strides)) {
      Value place = d.grid ? outside(d.grid) : places.lookup(d.nest);
      at = ir.add(at, ir.mul(ir.sub(place, outside(d.lo)), stride));
    }
    return at;
  }

  /// Element (k, n) of B is at base + (n - n0) / panel * stride + (k - k0) * row + (n - n0) % panel.
  struct Panels {
    Value base, stride, row;
  };
  Panels panelsOfB(Value n0, Value k0) {
    Panels own{bBase, ir.i64(blocking.kc * blocking.panel), ir.i64(blocking.panel)};
    if (directB) {
      Point point(ir, scope, 1);
      for (auto [dim, place] : places)
        point.bind(body.getArgument(dim), place);
      point.bind(body.getArgument(c.n), n0);
      point.bind(body.getArgument(c.k), k0);
      return {point.place(directB->load.getBuffer(), directB->load.getIndices()).first, ir.i64(blocking.panel),
              step(ir, scope.buffers.lookup(directB->load.getBuffer()), directB->k)};
    }
    if (!packed || !packed->b)
      return own;
    const Packed &p = *packed->b;
    const Buffer &buffer = scope.buffers.lookup(p.buffer);
    size_t d = p.dims.size();
    Value panel = ir.createOrFold<arith::DivSIOp>(ir.sub(n0, outside(p.rowLo)), ir.i64(blocking.panel));
    Value at = ir.add(inDims(p), ir.mul(panel, buffer.strides[d]));
    at = ir.add(at, ir.mul(ir.sub(k0, outside(p.kLo)), ir.i64(blocking.panel)));
    return {choose(isPacked, ir.offset(elem, buffer.base, at), own.base),
            choose(isPacked, buffer.strides[d], own.stride), own.row};
  }

  //===--- Register tiles ---===//

  /// Whether A, whether B may be elsewhere than in the kernel's own packing buffer.
  bool readsRows() const { return plain || (packed && packed->a); }
  bool hasPanels() const { return packed && packed->b && !directB; }

  /// In a function of its own, called by all contractions of the kind: what is constant in one of them is not known in
  /// it.
  void tiles(Bounds mBounds, Bounds nBounds, Bounds kBounds, Value first) {
    Rows rows = rowsOfA(mBounds.first, kBounds.first);
    Panels panels = panelsOfB(nBounds.first, kBounds.first);
    TileFinish ends(ir, scope, nest, c, blocking.width, places, mBounds.first, nBounds.first);
    Value begins = isFirst(kBounds.first);
    std::pair streams(ends.rows(false, begins, cBase), ends.rows(true, begins, cBase));
    if (inRegisters) {
      ends.begin(isLast(kBounds.second));
      emitTiles(rows, panels, cBase, ir.sub(mBounds.second, mBounds.first), ir.sub(nBounds.second, nBounds.first),
                ir.sub(kBounds.second, kBounds.first), first, streams, &ends);
      return;
    }
    SmallVector<Value> args{rows.base,
                            panels.base,
                            cBase,
                            ir.sub(mBounds.second, mBounds.first),
                            ir.sub(nBounds.second, nBounds.first),
                            ir.sub(kBounds.second, kBounds.first),
                            first};
    for (const EndRows &s : {streams.first, streams.second})
      args.append({s.isFirst, s.base, s.row});
    if (readsRows())
      args.append({rows.row, rows.column});
    if (hasPanels())
      args.push_back(panels.stride);
    if (directB)
      args.push_back(panels.row);
    std::string name = elem.isF32() ? "tiles_f32" : "tiles_f64";
    name += readsRows() ? "_direct" : "";
    name += hasPanels() ? "_packed" : directB ? "_in_place" : "";
    auto module = nest->getParentOfType<ModuleOp>();
    auto func = module.lookupSymbol<LLVM::LLVMFuncOp>(name);
    if (!func) {
      OpBuilder::InsertionGuard guard(ir);
      ir.setInsertionPointToStart(module.getBody());
      auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(ir.getContext()),
                                              llvm::to_vector(ValueRange(args).getTypes()));
      func = ir.create<LLVM::LLVMFuncOp>(name, type, LLVM::Linkage::Internal, /*dsoLocal=*/true);
      ir.setInsertionPointToStart(func.addEntryBlock(ir));
      auto at = func.getArguments();
      Rows a{at[0], readsRows() ? Value(at[13]) : ir.i64(blocking.lda), readsRows() ? Value(at[14]) : ir.i64(1)};
      Panels b{at[1], ir.i64(directB ? blocking.panel : blocking.kc * blocking.panel), ir.i64(blocking.panel)};
      if (hasPanels())
        b.stride = at.back();
      if (directB)
        b.row = at.back();
      emitTiles(a, b, at[2], at[3], at[4], at[5], at[6], {{at[7], at[8], at[9]}, {at[10], at[11], at[12]}}, nullptr);
      ir.create<LLVM::ReturnOp>(ValueRange());
    }
    ir.create<LLVM::CallOp>(func, args);
  }

  void emitTiles(Rows rows, Panels panels, Value sums, Value mCount, Value nCount, Value kCount, Value first,
                 std::pair<EndRows, EndRows> streams, const TileFinish *ends) {
    ir.loop(ir.i64(0), nCount, ir.i64(blocking.panel), {}, [&](Value n, ValueRange) -> SmallVector<Value> {
      Value panel = ir.createOrFold<arith::DivSIOp>(n, ir.i64(blocking.panel));
      Value b = ir.offset(elem, panels.base, ir.mul(panel, panels.stride));
      Value next = choose(ir.less(ir.add(n, ir.i64(blocking.panel)), nCount), ir.offset(elem, b, panels.stride),
                          ir.offset(elem, panels.base, ir.mul(kCount, ir.i64(blocking.panel))));
      std::optional<TileFinish> inPanel;
      if (ends)
        inPanel.emplace(ends->inPanel(n, nCount));
      if (inPanel && inPanel->isLong()) {
        emitOverlapped(rows, b, panels.row, next, ir.offset(elem, sums, n), mCount, kCount, first, *inPanel);
        return {};
      }
      ir.loop(ir.i64(0), mCount, ir.i64(blocking.rows), {}, [&](Value m, ValueRange) -> SmallVector<Value> {
        Rows at{ir.offset(elem, rows.base, ir.mul(m, rows.row)), rows.row, rows.column};
        Value to = ir.offset(elem, sums, ir.add(ir.mul(m, ir.i64(blocking.nc)), n));
        streams.first.fetch(ir, elem, m, n, blocking.rows, blocking.width, false);
        streams.second.fetch(ir, elem, m, n, blocking.rows, blocking.width, true);
        SmallVector<Value> acc = tile(at, ir.sub(mCount, m), b, panels.row, next, kCount);
        if (inPanel)
          end(acc, to, first, m, ir.sub(mCount, m), *inPanel);
        else
          ir.when(first, [&] { store(acc, to); }, [&] { store(addStored(acc, to), to); });
        return {};
      });
      return {};
    });
  }

  /// The tiles of a panel; what ends the sums of one is done between the steps of the next, where arithmetic units
  /// other than those for products are free.
  void emitOverlapped(Rows rows, Value b, Value bRow, Value ahead, Value sums, Value mCount, Value kCount, Value first,
                      const TileFinish &ends) {
    TALLY("cpu: a tile is finished while the next is summed");
    // Sums that no later block of k adds to stay in one place, in the nearest cache.
    Value once = both(first, ends.last());
    Value stride = choose(once, ir.i64(blocking.panel), ir.i64(blocking.nc));
    auto place = [&](Value m) { return choose(once, oneTile, ir.offset(elem, sums, ir.mul(m, ir.i64(blocking.nc)))); };
    Value count = ir.i64(blocking.rows), none = ir.i64(0);
    Value share = ir.createOrFold<arith::DivSIOp>(ir.add(kCount, ir.i64(blocking.rows - 1)), count);
    // One round more, for what ends the last tile.
    ir.loop(none, ir.add(mCount, count), count, {}, [&](Value m, ValueRange) -> SmallVector<Value> {
      Value exists = ir.less(m, mCount), before = ir.sub(m, count);
      Value left = choose(both(ends.last(), ir.less(none, m)), ir.sub(mCount, before), none);
      Rows at{ir.offset(elem, rows.base, ir.mul(m, rows.row)), rows.row, rows.column};
      Value from = place(before);
      auto between = [&](Value r) {
        ir.when(ir.less(r, left), [&] {
          SmallVector<Value> two;
          for (int64_t v : {int64_t(0), blocking.width})
            two.push_back(ir.create<LLVM::LoadOp>(vector(), ir.offset(elem, from, ir.add(ir.mul(r, stride), ir.i64(v))),
                                                  machine.vectorBytes));
          ends.emitRow(two, ir.add(before, r));
        });
      };
      SmallVector<Value> acc =
          tile(at, ir.sub(mCount, m), b, bRow, ahead, choose(exists, kCount, none), share, between);
      ir.when(exists, [&] {
        Value to = place(m);
        ir.when(first, [&] { store(acc, to, stride); }, [&] { store(addStored(acc, to, stride), to, stride); });
      });
      return {};
    });
  }

  Type vector() { return VectorType::get({blocking.width}, elem); }

  /// `between`: what to do before each row's share of the steps.
  SmallVector<Value> tile(Rows a, Value left, Value b, Value bRow, Value ahead, Value kCount, Value share = {},
                          function_ref<void(Value)> between = nullptr) {
    // A tensor ends at its last row, a packing buffer does not.
    SmallVector<Value> rowAt;
    for (int64_t r = 0; r < blocking.rows; ++r) {
      Value row = ir.i64(r);
      if (readsRows())
        row = ir.min(row, ir.sub(left, ir.i64(1)));
      rowAt.push_back(ir.mul(row, a.row));
    }
    unsigned align = elem.getIntOrFloatBitWidth() / 8;
    Type type = vector();
    Value zero = ir.create<arith::ConstantOp>(ir.getZeroAttr(type));
    SmallVector<Value> start(2 * blocking.rows, zero);
    auto step = [&](Value k, ValueRange acc) {
      Value row = ir.offset(elem, b, ir.mul(k, bRow));
      Value b0 = ir.create<LLVM::LoadOp>(type, row, directB ? align : 64);
      Value b1 = ir.create<LLVM::LoadOp>(type, ir.offset(elem, row, ir.i64(blocking.width)),
                                         directB ? align : machine.vectorBytes);
      if (hasPanels()) {
        Value r = ir.offset(elem, ahead, ir.mul(k, ir.i64(blocking.panel)));
        ir.create<LLVM::Prefetch>(r, 0, 2, 1);
        ir.create<LLVM::Prefetch>(ir.offset(elem, r, ir.i64(blocking.width)), 0, 2, 1);
      }
      Value column = ir.offset(elem, a.base, ir.mul(k, a.column));
      SmallVector<Value> next;
      for (int64_t r = 0; r < blocking.rows; ++r) {
        Value x = ir.create<LLVM::LoadOp>(elem, ir.offset(elem, column, rowAt[r]), align);
        Value v = ir.splat(x, blocking.width);
        next.push_back(ir.create<math::FmaOp>(v, b0, acc[2 * r]));
        next.push_back(ir.create<math::FmaOp>(v, b1, acc[2 * r + 1]));
      }
      return next;
    };
    if (!between)
      return ir.loop(ir.i64(0), kCount, ir.i64(1), start, step);
    return ir.loop(ir.i64(0), ir.i64(blocking.rows), ir.i64(1), start, [&](Value r, ValueRange acc) {
      between(r);
      Value from = ir.mul(r, share);
      return ir.loop(from, ir.min(ir.add(from, share), kCount), ir.i64(1), acc, step);
    });
  }

  Value placeInTile(Value base, Value stride, size_t i) {
    return ir.offset(elem, base,
                     ir.add(ir.mul(ir.i64(int64_t(i / 2)), stride), ir.i64(int64_t(i % 2) * blocking.width)));
  }
  void store(ArrayRef<Value> sums, Value to, Value stride = {}) {
    for (auto [i, v] : llvm::enumerate(sums))
      ir.create<LLVM::StoreOp>(v, placeInTile(to, stride ? stride : ir.i64(blocking.nc), i), machine.vectorBytes);
  }
  SmallVector<Value> addStored(ArrayRef<Value> sums, Value to, Value stride = {}) {
    SmallVector<Value> all;
    for (auto [i, v] : llvm::enumerate(sums)) {
      Value old = ir.create<LLVM::LoadOp>(v.getType(), placeInTile(to, stride ? stride : ir.i64(blocking.nc), i),
                                          machine.vectorBytes);
      all.push_back(ir.create<arith::AddFOp>(old, v));
    }
    return all;
  }

  /// The sums of a tile: kept in C until the last block of k, then finished where they are.
  void end(ArrayRef<Value> acc, Value to, Value first, Value m, Value left, const TileFinish &ends) {
    auto old = ir.create<scf::IfOp>(ValueRange(acc).getTypes(), first, /*withElseRegion=*/true);
    {
      OpBuilder::InsertionGuard guard(ir);
      ir.setInsertionPointToStart(old.thenBlock());
      ir.create<scf::YieldOp>(acc);
      ir.setInsertionPointToStart(old.elseBlock());
      ir.create<scf::YieldOp>(addStored(acc, to));
    }
    SmallVector<Value> sums(old.getResults());
    ir.when(ends.last(), [&] { ends.emit(sums, m, left, blocking.rows); }, [&] { store(sums, to); });
  }

  Ir &ir;
  Scope &scope;
  const Machine &machine;
  tile::NestOp nest;
  const Contraction &c;
  const PackedOperands *packed;
  Block &body;
  Type elem;
  Blocking blocking;
  unsigned numPar;
  SmallVector<Bounds> bounds;
  DenseMap<int, Value> places; ///< positions of the dims that loops outside have fixed
  Value aBase, bBase, cBase;
  Value oneTile;  ///< memory for the sums of a tile
  Value isPacked; ///< whether B is
  Value isPackedA;
  Value isDirect; ///< whether A is read where it is
  std::optional<PlainOperand> plain;
  std::optional<PlainOperand> directB; ///< B, read where it is
  bool inRegisters;                    ///< what ends a sum is done before it is stored
  Value directRows, directColumns;     ///< elements from one m, from one k to the next
  Buffer flags;
};

} // namespace

int64_t cpu::contractionScratch(const Machine &machine, Type elem) {
  return Blocking(machine, elem).elements() * (elem.getIntOrFloatBitWidth() / 8);
}

void cpu::emitContraction(Ir &ir, Scope &scope, const Machine &machine, tile::NestOp nest, const Contraction &c,
                          Value scratch, const PackedOperands *packed) {
  Emitter(ir, scope, machine, nest, c, scratch, packed).emit();
}
