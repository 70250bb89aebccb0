//===- Rows of scores in one pass, block by block --------------------------===//
//
//   S[i, j] = q[i] k[j]              nests over all j, a buffer with a place for every j
//   m[i]    = max over j of S
//   S[i, j] = exp(S[i, j] - m[i])
//   z[i]    = sum over j of S;  o[i, e] = sum over j of S[i, j] v[j, e];  finish: o / z
// becomes
//   m = -inf, z = 0, o = 0
//   for blocks of j:
//     S[j, i] = q[i] k[j];  m' = max(m, max of S);  c = exp(m - m');  m = m'
//     S = exp(S - m);  z = z c + sum of S;  o = o c + sum of S v
//   finish
//
// A kernel may have its nests over an axis fused like this where every buffer with a place for each position is read
// and written at the nest's own position alone, and no nest needs a sum over the whole axis, but for one thing: a
// maximum that is taken off the argument of exp. What is computed with a maximum so far is off by the factor c when the
// maximum rises; everything that depends on it must be of the first degree in exp (the *reference* of a value is the
// maximum in it), so that the sums are corrected by c.
//
// Online softmax: Milakov and Gimelshein, 2018, arXiv 1805.02867; attention: Rabe and Staats, 2021, arXiv 2112.05682.
//
// The rows of the buffers come last in memory, so that a code generator may put them in lanes, unless other memory that
// the nests read has positions of the axis side by side. Where there are known to be few of them that is no gain, and
// the kernel stays as it is.
//
// What the loop is stays with it as `stream`, what is in the way of a softmax that is none with the kernel as `apart`:
// for `explain` alone.
//
// Sums are restarted in every block: the error of a long sum is that of a short one.
// What may be fused is found in StreamMatch.cpp, which maxima need not be taken in every block in
// StreamStale.cpp. Assumes attn-to-tile. Pinned by test/passes/tile/stream.mlir.
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/Passes.h"
#include "passes/tile/StreamRewriter.h"
#include "runtime/Tally.h"
#include <limits>

using namespace mlir;

namespace attnc {
#define GEN_PASS_DEF_STREAM
#include "passes/Passes.h.inc"

constexpr int64_t kRows = 16; ///< rows that make it worth while

namespace stream {

/// Of a maximum, where it is kept.
static tile::StoreOp storeOf(const Member &m) {
  auto stores = m.nest.getFinish().front().getOps<tile::StoreOp>();
  return *llvm::find_if(stores, [&](tile::StoreOp store) { return store.getBuffer() == m.max; });
}

SmallVector<Value> Rewriter::maxPlace(ImplicitLocOpBuilder &b, const Member &m, ValueRange at) const {
  return llvm::map_to_vector(maxIndices(m), [&](Value index) {
    auto [position, off] = parts(index);
    Value v = position ? at[position.getArgNumber()] : index;
    return off ? b.createOrFold<arith::SubIOp>(v, off) : v;
  });
}

Value Rewriter::identity(ImplicitLocOpBuilder &b, tile::Combiner kind, Type type) {
  constexpr double inf = std::numeric_limits<double>::infinity();
  if (!isa<FloatType>(type)) {
    bool one = kind == tile::Combiner::All || kind == tile::Combiner::Prod;
    int64_t v = type.isInteger(1)             ? one
                : kind == tile::Combiner::Max ? std::numeric_limits<int64_t>::min()
                : kind == tile::Combiner::Min ? std::numeric_limits<int64_t>::max()
                                              : one;
    return b.create<arith::ConstantOp>(b.getIntegerAttr(type, v));
  }
  return real(b, type,
              kind == tile::Combiner::Max   ? -inf
              : kind == tile::Combiner::Min ? inf
                                            : kind == tile::Combiner::Prod);
}

Value Rewriter::join(ImplicitLocOpBuilder &b, tile::Combiner kind, Value x, Value y) {
  bool isFloat = isa<FloatType>(x.getType());
  switch (kind) {
  case tile::Combiner::Sum:
    return isFloat ? Value(b.create<arith::AddFOp>(x, y)) : Value(b.create<arith::AddIOp>(x, y));
  case tile::Combiner::Prod:
    return isFloat ? Value(b.create<arith::MulFOp>(x, y)) : Value(b.create<arith::MulIOp>(x, y));
  case tile::Combiner::Max:
    return isFloat ? Value(b.create<arith::MaximumFOp>(x, y)) : Value(b.create<arith::MaxSIOp>(x, y));
  case tile::Combiner::Min:
    return isFloat ? Value(b.create<arith::MinimumFOp>(x, y)) : Value(b.create<arith::MinSIOp>(x, y));
  case tile::Combiner::Any:
    return b.create<arith::OrIOp>(x, y);
  default:
    return b.create<arith::AndIOp>(x, y);
  }
}

SmallVector<tile::Range> Rewriter::parOf(tile::NestOp nest) {
  SmallVector<tile::Range> par;
  for (auto [lo, hi] : llvm::zip(nest.getParLo(), nest.getParHi()))
    par.push_back({lo, hi});
  return par;
}

SmallVector<unsigned> Rewriter::memoryOrder(const Member &m) {
  if (!rowsLast)
    return llvm::to_vector(llvm::seq<unsigned>(0, m.nest.getNumPar()));
  llvm::SmallSetVector<unsigned, 4> ofRows;
  m.nest.getBody().walk([&](tile::LoadOp load) {
    auto row = rows.find(load.getBuffer());
    if (row == rows.end())
      return;
    for (auto [k, index] : llvm::enumerate(load.getIndices()))
      if (int position = positionOf(m.nest, index);
          k != row->second.dim && position >= 0 && position < int(m.nest.getNumPar()))
        ofRows.insert(position);
  });
  SmallVector<unsigned> order;
  for (unsigned d = 0; d < m.nest.getNumPar(); ++d)
    if (!ofRows.contains(d))
      order.push_back(d);
  SmallVector<unsigned> last(ofRows.begin(), ofRows.end());
  longestLast(last, [&](unsigned d) { return dimOf(m.nest, d).length(); });
  order.append(last);
  return order;
}

SmallVector<Value> Rewriter::places(ImplicitLocOpBuilder &b, tile::NestOp nest, ArrayRef<unsigned> order,
                                    ValueRange par) {
  SmallVector<Value> at;
  for (unsigned d : order)
    at.push_back(b.createOrFold<arith::SubIOp>(par[d], nest.getParLo()[d]));
  return at;
}

tile::AllocOp Rewriter::runningBuffer(ImplicitLocOpBuilder &b, const Member &m, ArrayRef<unsigned> order, Type type,
                                      StringRef name) {
  SmallVector<Value> extents;
  ImplicitLocOpBuilder outside(kernel.getLoc(), kernel); // where memory is sized
  for (unsigned d : order) {
    Dim dim = dimOf(m.nest, d);
    extents.push_back(dim.block() ? outside.create<arith::ConstantIntOp>(*dim.block(), 64).getResult()
                                  : outside.createOrFold<arith::SubIOp>(dim.hi, dim.lo));
  }
  auto alloc = b.create<tile::AllocOp>(tile::BufType::get(type, extents.size()), extents);
  alloc->setAttr("name", b.getStringAttr(name));
  return alloc;
}

/// Buffers of one block and of what is summed so far, with what these begin with.
void Rewriter::prepare(ImplicitLocOpBuilder &b) {
  for (auto &[buffer, row] : rows) {
    auto alloc = buffer.getDefiningOp<tile::AllocOp>();
    ImplicitLocOpBuilder outside(kernel.getLoc(), kernel);
    SmallVector<Value> extents;
    for (unsigned k : row.order)
      extents.push_back(k == row.dim ? outside.create<arith::ConstantIntOp>(kBlock, 64).getResult()
                                     : alloc.getExtents()[k]);
    auto now = b.create<tile::AllocOp>(alloc.getType(), extents);
    now->setAttrs(alloc->getAttrs());
    row.now = now;
  }
  for (Member &m : members) {
    if (!m.sums())
      continue;
    Block &finish = m.nest.getFinish().front();
    unsigned numPar = m.nest.getNumPar();
    SmallVector<unsigned> order = memoryOrder(m);
    if (m.max) {
      auto alloc = m.max.getDefiningOp<tile::AllocOp>();
      alloc->moveBefore(body, body->begin());
      auto c = b.create<tile::AllocOp>(alloc.getType(), alloc.getExtents());
      c->setAttr("name", b.getStringAttr("correction"));
      corrections[m.max] = c;
      auto reference = b.create<tile::AllocOp>(alloc.getType(), alloc.getExtents());
      reference->setAttr("name", b.getStringAttr("reference"));
      references[m.max] = reference;
      if (stale) {
        unitReference = b.create<tile::AllocOp>(alloc.getType(), alloc.getExtents());
        unitReference.getDefiningOp()->setAttr("name", b.getStringAttr("reference2"));
      }
    } else {
      for (auto [k, result] : llvm::enumerate(finish.getArguments().drop_front(numPar)))
        m.running.push_back(runningBuffer(b, m, order, result.getType(), "running"));
    }
    b.create<tile::NestOp>(parOf(m.nest), [&](OpBuilder &inner, Location loc, ValueRange par) {
      ImplicitLocOpBuilder nb(loc, inner);
      for (auto [k, kind] : llvm::enumerate(m.nest.getCombinerKinds())) {
        Value start = identity(nb, kind, finish.getArgument(numPar + k).getType());
        if (!m.max) {
          nb.create<tile::StoreOp>(start, m.running[k], places(nb, m.nest, order, par));
          continue;
        }
        IRMapping map;
        map.map(finish.getArguments().take_front(numPar), par);
        map.map(finish.getArgument(numPar), start);
        emitBody(nb, finish, map, {});
        if (!stale)
          continue;
        SmallVector<Value> place;
        for (Value index : (*finish.getOps<tile::StoreOp>().begin()).getIndices())
          place.push_back(map.lookupOrDefault(index));
        for (Value buffer : {references.lookup(m.max), unitReference})
          nb.create<tile::StoreOp>(real(nb, start.getType(), 0), buffer, place);
      }
    });
  }
  if (stale)
    prepareStale(b);
}

/// The ops of a body at other positions; rows are read and written in the buffers of the block that begins at `lo`.
void Rewriter::emitBody(ImplicitLocOpBuilder &b, Block &from, IRMapping &map, Value lo,
                        function_ref<bool(Operation &)> instead) {
  auto nest = cast<tile::NestOp>(from.getParentOp());
  for (Operation &op : from.without_terminator()) {
    if (instead && instead(op))
      continue;
    auto [buffer, indices] = access(&op);
    auto row = buffer ? rows.find(buffer) : rows.end();
    if (row == rows.end()) {
      if (lo && emitReference(b, op, map))
        continue;
      Operation *copy = b.clone(op, map);
      if (exps.contains(&op)) // far below 0 it need not be exact
        copy->setAttr("fastmath", arith::FastMathFlagsAttr::get(b.getContext(), arith::FastMathFlags::afn));
      continue;
    }
    SmallVector<Value> at;
    for (unsigned k : row->second.order)
      if (k == row->second.dim) {
        BlockArgument position = from.getArgument(positionOf(nest, indices[k]));
        at.push_back(b.create<arith::SubIOp>(map.lookup(position), lo));
      } else {
        at.push_back(map.lookupOrDefault(indices[k]));
      }
    if (auto store = dyn_cast<tile::StoreOp>(op))
      b.create<tile::StoreOp>(map.lookupOrDefault(store.getValue()), row->second.now, at);
    else
      map.map(op.getResult(0), b.create<tile::LoadOp>(row->second.now, at).getResult());
  }
}

/// What a body makes of a maximum, max == -inf ? 0 : max, is stored beside it.
bool Rewriter::emitReference(ImplicitLocOpBuilder &b, Operation &op, IRMapping &map) {
  auto isMax = [&](Value v) {
    auto load = v.getDefiningOp<tile::LoadOp>();
    return load && references.count(load.getBuffer());
  };
  if (op.getNumResults() == 1 && isMax(op.getResult(0))) {
    auto load = cast<tile::LoadOp>(op);
    auto at = llvm::map_to_vector(load.getIndices(), [&](Value index) { return map.lookupOrDefault(index); });
    map.map(load.getResult(), b.create<tile::LoadOp>(references.lookup(load.getBuffer()), at).getResult());
    return true;
  }
  if (isa<arith::CmpFOp>(op) && isMax(op.getOperand(0)))
    return true;
  if (!isa<arith::SelectOp>(op) || !isMax(op.getOperand(2)) || map.contains(op.getOperand(0)))
    return false;
  map.map(op.getResult(0), map.lookup(op.getOperand(2)));
  return true;
}

void Rewriter::emitMember(ImplicitLocOpBuilder &b, Member &m, Value lo, Value hi) {
  tile::NestOp nest = m.nest;
  Dim own = dimOf(nest, m.dim);
  auto within = [&](unsigned d, tile::Range whole) -> tile::Range {
    if (d != m.dim)
      return whole;
    return {b.createOrFold<arith::MaxSIOp>(own.lo, lo), b.createOrFold<arith::MinSIOp>(own.hi, hi)};
  };
  unsigned numPar = nest.getNumPar();
  SmallVector<tile::Range> par, red;
  for (auto [d, range] : llvm::enumerate(parOf(nest)))
    par.push_back(within(d, range));
  for (unsigned d = numPar; d < numPar + nest.getNumInner(); ++d) {
    Dim dim = dimOf(nest, d);
    red.push_back(within(d, {dim.lo, dim.hi}));
  }
  Block &body = nest.getBody().front();
  if (!nest.isReduction()) {
    b.create<tile::NestOp>(par, [&](OpBuilder &inner, Location loc, ValueRange at) {
      ImplicitLocOpBuilder nb(loc, inner);
      IRMapping map;
      map.map(body.getArguments(), at);
      emitBody(nb, body, map, lo);
    });
    return;
  }
  Block &finish = nest.getFinish().front();
  SmallVector<tile::Combiner> kinds = nest.getCombinerKinds();
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
      kinds,
      [&](OpBuilder &inner, Location loc, ValueRange at, ValueRange results) {
        ImplicitLocOpBuilder nb(loc, inner);
        IRMapping map;
        map.map(finish.getArguments().take_front(numPar), at);
        if (!m.sums()) {
          map.map(finish.getArguments().drop_front(numPar), results);
          emitBody(nb, finish, map, lo);
          return;
        }
        auto read = [&](Value buffer, ValueRange place) { return nb.create<tile::LoadOp>(buffer, place).getResult(); };
        if (m.max) {
          auto store = storeOf(m);
          for (Operation &op : finish.without_terminator())
            if (!isa<tile::StoreOp>(op))
              nb.clone(op, map);
          SmallVector<Value> place;
          for (Value index : store.getIndices())
            place.push_back(map.lookupOrDefault(index));
          Value old = read(m.max, place), now = nb.create<arith::MaximumFOp>(old, results[0]);
          auto [degree, exp] = maxima.lookup(m.max);
          Value by = nb.create<arith::SubFOp>(old, now);
          if (degree.scale)
            by = nb.create<arith::MulFOp>(by, degree.scale);
          auto flags = arith::FastMathFlags::afn;
          by = isa<math::ExpOp>(exp) ? Value(nb.create<math::ExpOp>(by, flags))
                                     : Value(nb.create<math::Exp2Op>(by, flags));
          // From nothing, and between equal infinities, nothing changes.
          Value same = nb.create<arith::CmpFOp>(arith::CmpFPredicate::OEQ, old,
                                                identity(nb, tile::Combiner::Max, old.getType()));
          by = nb.create<arith::SelectOp>(same, real(nb, by.getType(), 1), by);
          Value none = nb.create<arith::CmpFOp>(arith::CmpFPredicate::OEQ, now,
                                                identity(nb, tile::Combiner::Max, now.getType()));
          Value reference = nb.create<arith::SelectOp>(none, real(nb, now.getType(), 0), now);
          nb.create<tile::StoreOp>(now, m.max, place);
          nb.create<tile::StoreOp>(reference, references.lookup(m.max), place);
          if (stale)
            nb.create<tile::StoreOp>(nb.create<arith::MulFOp>(reference, maxUnit(nb)), unitReference, place);
          nb.create<tile::StoreOp>(by, corrections.lookup(m.max), place);
          return;
        }
        SmallVector<Value> place = places(nb, nest, memoryOrder(m), at);
        if (stale && &m == stale->sum) {
          nb.create<tile::StoreOp>(results[0], blockSum, place);
          return;
        }
        Value by;
        if (m.degree.kind == Degree::Linear && !stale)
          by = read(corrections.lookup(m.degree.max), maxPlace(nb, m, at));
        for (auto [k, result] : llvm::enumerate(results)) {
          Value old = read(m.running[k], place);
          if (by)
            old = nb.create<arith::MulFOp>(old, by);
          nb.create<tile::StoreOp>(join(nb, kinds[k], old, result), m.running[k], place);
        }
      });
}

/// What stood at the end of a sum, once it is complete.
void Rewriter::finishMember(ImplicitLocOpBuilder &b, Member &m) {
  Block &finish = m.nest.getFinish().front();
  unsigned numPar = m.nest.getNumPar();
  if (m.max && !llvm::hasSingleElement(finish.getOps<tile::StoreOp>())) {
    TALLY("stream: a maximum that is an output too");
    auto kept = storeOf(m);
    b.create<tile::NestOp>(parOf(m.nest), [&](OpBuilder &inner, Location loc, ValueRange par) {
      IRMapping map;
      map.map(finish.getArguments().take_front(numPar), par);
      for (Operation &op : finish.without_terminator())
        if (!isa<tile::StoreOp>(op))
          inner.clone(op, map);
      SmallVector<Value> place;
      for (Value index : kept.getIndices())
        place.push_back(map.lookupOrDefault(index));
      map.map(finish.getArguments().back(), inner.create<tile::LoadOp>(loc, m.max, place).getResult());
      for (auto store : finish.getOps<tile::StoreOp>())
        if (store != kept)
          inner.clone(*store, map);
    });
  }
  if (!m.sums() || m.max)
    return;
  b.create<tile::NestOp>(parOf(m.nest), [&](OpBuilder &inner, Location loc, ValueRange par) {
    ImplicitLocOpBuilder nb(loc, inner);
    IRMapping map;
    map.map(finish.getArguments().take_front(numPar), par);
    SmallVector<Value> place = places(nb, m.nest, memoryOrder(m), par);
    for (auto [k, result] : llvm::enumerate(finish.getArguments().drop_front(numPar)))
      map.map(result, nb.create<tile::LoadOp>(m.running[k], place).getResult());
    emitBody(nb, finish, map, {});
  });
}

void Rewriter::run() {
  Operation *first = members.front().nest;
  for (Operation *op : before)
    op->moveBefore(first);
  ImplicitLocOpBuilder b(kernel.getLoc(), first);
  prepare(b);
  Value lo, hi;
  for (Member &m : members) {
    Dim dim = dimOf(m.nest, m.dim);
    lo = !lo || lo == dim.lo ? dim.lo : b.createOrFold<arith::MinSIOp>(lo, dim.lo);
    hi = !hi || hi == dim.hi ? dim.hi : b.createOrFold<arith::MaxSIOp>(hi, dim.hi);
  }
  Value step = b.create<arith::ConstantIntOp>(kBlock, 64);
  auto loop = b.create<tile::ForOp>(lo, hi, step, [&](OpBuilder &inner, Location loc, Value at) {
    ImplicitLocOpBuilder nb(loc, inner);
    Value end = nb.create<arith::MinSIOp>(nb.create<arith::AddIOp>(at, step), hi);
    if (stale)
      return emitBlock(nb, at, end);
    for (Member &m : members)
      emitMember(nb, m, at, end);
  });
  loop->setAttr("stream", b.getStringAttr(maxima.empty() ? "sums" : "softmax"));
  // In the order in which they stood.
  for (Operation *op : after)
    if (auto member = llvm::find_if(members, [&](const Member &m) { return m.nest == op; }); member != members.end())
      finishMember(b, *member);
    else
      op->moveBefore(first);
  for (Member &m : llvm::reverse(members))
    m.nest.erase();
  for (auto &[buffer, row] : rows)
    buffer.getDefiningOp()->erase();
}

} // namespace stream

namespace {
using namespace stream;

struct Stream : impl::StreamBase<Stream> {
  using Base::Base;
  void runOnOperation() override {
    SmallVector<tile::KernelOp> kernels;
    getOperation().walk([&](tile::KernelOp kernel) { kernels.push_back(kernel); });
    for (tile::KernelOp kernel : kernels) {
      StringRef why;
      while (std::optional<Fusion> found = matchFusion(kernel, why)) { // one axis after the other
        ImplicitLocOpBuilder b(kernel.getLoc(), kernel);
        Value rows = found->rowsInAll(b);
        std::optional<int64_t> known = constant(rows);
        if (!rows || (known && *known < kRows)) {
          why = "there are few rows";
          break;
        }
        TALLY("stream: nests over an axis fused block by block");
        Rewriter(std::move(*found)).run();
      }
      if (softmaxIn(kernel))
        kernel->setAttr(
            "apart", StringAttr::get(&getContext(), why.empty() ? "its steps are in several kernels or loops" : why));
    }
  }
};

} // namespace
} // namespace attnc
