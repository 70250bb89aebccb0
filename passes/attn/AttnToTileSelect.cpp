//===- Sorting and scattering stages --------------------------------------===//
//
// A sort works row by row: keys (and which take part) go to a buffer of one row, tile.sort gives their order. rank is
// the inverse of that order, written by a scatter. A scattering reduction first fills its buffer with the identity,
// then sends every element to its place.
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "passes/attn/AttnToTileEmit.h"
#include "runtime/Tally.h"

using namespace mlir;

namespace attnc::totile {

LogicalResult Emitter::emitSort(Stage &stage, const Env &fixed) {
  Operation *op = stage.core.getDefiningOp();
  bool rank = stage.kind == StageKind::Rank;
  bool guard = op->getNumOperands() > 1;
  if (guard)
    TALLY("attn-to-tile: a sort of those that take part");
  if (stage.inner.size() > 1)
    TALLY("attn-to-tile: a sort along a composite");
  Type key = attn::typeOf(op->getOperand(0)).getElem();
  if (key.isInteger(1))
    key = b.getI64Type();
  BufferDim row{stage.inner, BufferDim::Whole, 0};
  Value keys = allocate(row, key, false, stage.name + ".keys", "");
  Value valid = guard ? allocate(row, b.getI1Type(), false, stage.name + ".valid", "") : Value();
  Value order = rank ? allocate(row, b.getI64Type(), false, stage.name + ".order", "") : Value();

  if (failed(emitRows(stage, fixed, keys, valid, order)))
    return failure();
  emitCopy(stage, fixed);
  return success();
}

/// One loop per axis of the rows; inside, the keys of a row and its order.
LogicalResult Emitter::emitRows(Stage &stage, const Env &fixed, Value keys, Value valid, Value order) {
  Operation *op = stage.core.getDefiningOp();
  bool rank = stage.kind == StageKind::Rank;
  OpBuilder::InsertionGuard restore(b);
  Env env = fixed;
  ArrayRef<int> own = rank ? ArrayRef(stage.inner) : ArrayRef(stage.made);
  Value one = integer(1), zero = integer(0);
  for (BufferDim &dim : plan.buffers[stage.id].dims)
    for (int a : dim.axes) {
      if (llvm::is_contained(own, a) || lookup(fixed, a))
        continue;
      tile::Range range = dimOver(a).range;
      auto loop = b.create<tile::ForOp>(loc, range.lo, range.hi, one);
      b.setInsertionPointToEnd(&loop.getBody().front());
      assign(env, a, loop.getIv());
      known(loop.getIv(), graph.axes[a].extent);
    }

  SmallVector<NestDim> dims = innerDims(stage, fixed);
  bool ok = true;
  auto nest = b.create<tile::NestOp>(loc, rangesOf(dims), [&](OpBuilder &b, Location loc, ValueRange at) {
    Body body(*this, b, loc);
    Env point = body.open(env, dims, at);
    Value place = body.flatten(stage.inner, point);
    Value x = body.emit(op->getOperand(0), point);
    if (!(ok &= bool(x)))
      return;
    b.create<tile::StoreOp>(loc, body.s.convert(x, cast<tile::BufType>(keys.getType()).getElementType()), keys, place);
    if (!valid)
      return;
    Value g = body.emit(op->getOperand(1), point);
    if (ok &= bool(g))
      b.create<tile::StoreOp>(loc, g, valid, place);
  });
  if (!ok)
    return failure();
  Body::prune(&nest.getBody().front());

  Body body(*this, b, loc);
  Value length = extent(graph.extentOf(stage.inner)), count = rank ? length : extent(graph.extentOf(stage.made));
  Env first = env;
  for (int a : own)
    assign(first, a, zero);
  SmallVector<Value> out = rank ? SmallVector<Value>{zero} : body.indices(stage, first);
  bool descending = rank || isa<attn::TopKOp>(op);
  b.create<tile::SortOp>(loc, keys, zero, valid, valid ? ValueRange(zero) : ValueRange(), length,
                         rank ? order : memory_[stage.id], out, count, descending,
                         isa<attn::TopKOp>(op) ? tile::NanOrder::Never : tile::NanOrder::Last);
  if (rank) {
    // Past those that take part the order says 0: from the end, so that element 0 keeps its own place.
    tile::Range range{zero, length};
    b.create<tile::NestOp>(loc, ArrayRef<tile::Range>(), range,
                           [&](OpBuilder &b, Location loc, ValueRange, ValueRange at) {
                             Body body(*this, b, loc);
                             Value place = body.s.sub(body.s.sub(length, one), at[0]);
                             Value element = b.create<tile::LoadOp>(loc, order, place);
                             Env to = env;
                             Value rest = element;
                             for (size_t k = stage.inner.size(); k-- > 1;) {
                               Value lo, hi;
                               if (auto radix = graph.axes[stage.inner[k]].constant) {
                                 lo = body.s.remainder(rest, *radix);
                                 hi = body.s.divide(rest, *radix);
                                 splits_[lo] = {hi, rest, *radix};
                               } else { // not 0: the row has an element
                                 Value n = extentOf(stage.inner[k]);
                                 hi = b.create<arith::FloorDivSIOp>(loc, rest, n);
                                 lo = body.s.sub(rest, body.s.mul(hi, n));
                               }
                               assign(to, stage.inner[k], lo);
                               rest = hi;
                             }
                             assign(to, stage.inner[0], rest);
                             b.create<tile::StoreOp>(loc, place, memory_[stage.id], body.indices(stage, to));
                             Body::prune(b.getInsertionBlock());
                           });
  }
  return success();
}

LogicalResult Emitter::emitScatter(Stage &stage, const Env &fixed) {
  ScatterInfo &scatter = *stage.scatter;
  auto reduce = stage.core.getDefiningOp<attn::ReduceOp>();
  auto kind = combinerOf(reduce.getRed());
  if (!kind)
    return reduce.emitError("reduction is not primitive: it must be decomposed before it is lowered");
  // The whole buffer, also where an output's last chunk is short: places are sent to from everywhere.
  SmallVector<NestDim> all;
  for (BufferDim &dim : plan.buffers[stage.id].dims)
    for (int a : dim.axes)
      if (!lookup(fixed, a))
        all.push_back(dimOver(a));
  Type elem = attn::typeOf(stage.value).getElem();
  b.create<tile::NestOp>(loc, rangesOf(all), [&](OpBuilder &b, Location loc, ValueRange at) {
    Body body(*this, b, loc);
    body.store(stage, identityOf(body.s, *kind, elem), body.open(fixed, all, at), true, false);
  });

  SmallVector<NestDim> par, seq = innerDims(stage, fixed);
  for (NestDim &dim : all)
    if (!llvm::is_contained(scatter.axes, dim.axes[0]))
      par.push_back(dim);
  bool ok = true;
  auto nest = b.create<tile::NestOp>(
      loc, rangesOf(par), rangesOf(seq), [&](OpBuilder &b, Location loc, ValueRange parAt, ValueRange seqAt) {
        Body body(*this, b, loc);
        Env env = body.open(body.open(fixed, par, parAt), seq, seqAt);
        Value key = body.emit(scatter.key, env);
        if (!(ok &= bool(key)))
          return;
        Value size = extent(graph.extentOf(scatter.axes));
        Value inside =
            b.create<arith::AndIOp>(loc, b.create<arith::CmpIOp>(loc, arith::CmpIPredicate::sge, key, integer(0)),
                                    b.create<arith::CmpIOp>(loc, arith::CmpIPredicate::slt, key, size));
        // Everything is evaluated at the place it is sent to.
        Env to = env;
        for (auto [a, p] : llvm::zip_equal(scatter.axes, scatter.positions)) {
          Value at = body.emit(p, env);
          if (!(ok &= bool(at)))
            return;
          // Along a loop outside only one place is at hand.
          if (Value here = lookup(fixed, a)) {
            Value same = b.create<arith::CmpIOp>(loc, arith::CmpIPredicate::eq, at, here);
            inside = b.create<arith::AndIOp>(loc, inside, same);
            continue;
          }
          at = body.s.clamp(at, extentOf(a));
          if (!constantOf(at))
            known(at, graph.axes[a].extent);
          assign(to, a, at);
        }
        for (Value condition : scatter.conditions) {
          Value c = body.emit(condition, to);
          if (!(ok &= bool(c)))
            return;
          inside = b.create<arith::AndIOp>(loc, inside, c);
        }
        Value v = scatter.value ? body.emit(scatter.value, to) : body.s.boolean(true);
        if (ok &= bool(v))
          b.create<tile::UpdateOp>(loc, *kind, v, memory_[stage.id], body.indices(stage, to), inside);
      });
  if (!ok)
    return failure();
  Body::prune(&nest.getBody().front());
  emitCopy(stage, fixed);
  return success();
}

} // namespace attnc::totile
