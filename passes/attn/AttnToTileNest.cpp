//===- A stage as a loop nest: which points it visits, what it does at each ===//
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "passes/attn/AttnToTileEmit.h"
#include "runtime/Tally.h"

using namespace mlir;

namespace attnc::totile {

NestDim Emitter::dimOver(int axis) {
  if (auto block = blocks_.find(axis); block != blocks_.end())
    return {{axis}, block->second, graph.axes[axis].extent};
  return {{axis}, {integer(0), extentOf(axis)}, graph.axes[axis].extent};
}

NestDim Emitter::dimOver(Stage &stage, int axis, const Env &fixed) {
  NestDim dim = dimOver(axis);
  if (auto work = stage.work.find(axis); work != stage.work.end())
    return dimOver(work->second, dim, fixed);
  auto need = stage.needed.find(axis);
  if (need == stage.needed.end() || blocks_.count(axis))
    return dim;
  TALLY("attn-to-tile: a part of an axis visited");
  dim.range = rangeOf(need->second, plan.kernelOf[stage.id], dim, fixed);
  return dim;
}

/// Whether what the checks look at is finite here; none: there is nothing to check, false: nothing is known.
std::optional<Value> Emitter::finite(ArrayRef<int> checks, int kernel, const Env &fixed) {
  Scalars s(b, loc, prologue);
  Value all;
  for (int check : checks) {
    Env at;
    for (int a : plan.stages[check].axes)
      assign(at, a, lookup(fixed, a));
    if (plan.kernelOf[check] == kernel || llvm::any_of(at, [](auto &p) { return !p.second; }))
      return s.boolean(false);
    Value one = b.create<tile::LoadOp>(loc, memory_[check], Body(*this, b, loc).indices(plan.stages[check], at));
    all = all ? b.create<arith::AndIOp>(loc, all, one).getResult() : one;
  }
  return all ? std::optional(all) : std::nullopt;
}

/// The part of the dim's range that is needed.
tile::Range Emitter::rangeOf(const Needed &need, int kernel, NestDim dim, const Env &fixed) {
  int axis = dim.axes[0];
  Scalars s(b, loc, prologue);
  // The largest value of the form without the axis, negated: bound of factor * position.
  auto room = [&](const Linear &l) {
    Value sum = integer(-l.constant);
    for (auto &[text, factor] : l.extents)
      sum = s.add(sum, s.mul(extent(graph.table.parse(text)), integer(-factor)));
    for (auto &[a, factor] : l.axes) {
      if (a == axis)
        continue;
      Value at = lookup(fixed, a);
      if (!at) {
        tile::Range range = dimOver(a).range;
        at = factor > 0 ? range.lo : s.sub(range.hi, integer(1));
      }
      sum = s.add(sum, s.mul(at, integer(-factor)));
    }
    return sum;
  };
  Value lo, hi;
  for (auto &bounds : need.any) {
    Value low = dim.range.lo, high = dim.range.hi;
    for (const Bound &bound : bounds) {
      std::optional<Value> when = finite(bound.finite, kernel, fixed);
      if (when && booleanOf(*when))
        continue;
      const Linear &l = bound.form;
      int64_t factor = l.axes.at(axis);
      Value &end = factor > 0 ? high : low;
      Value closer = factor > 0 ? s.min(high, s.add(s.divide(room(l), factor), integer(1)))
                                : s.max(low, s.sub(integer(0), s.divide(room(l), -factor))); // ceil(-room / |factor|)
      end = when ? b.create<arith::SelectOp>(loc, *when, closer, end).getResult() : closer;
    }
    lo = lo ? s.min(lo, low) : low;
    hi = hi ? s.max(hi, high) : high;
  }
  return {lo, s.max(hi, lo)};
}

SmallVector<NestDim> Emitter::innerDims(Stage &stage, const Env &fixed) {
  SmallVector<NestDim> dims;
  for (int a : stage.inner)
    dims.push_back(dimOver(stage, a, fixed));
  return dims;
}

SmallVector<tile::Range> Emitter::rangesOf(ArrayRef<NestDim> dims) {
  SmallVector<tile::Range> ranges;
  for (const NestDim &d : dims)
    ranges.push_back(d.range);
  return ranges;
}

/// Dims of the stage's nest for the axes that are not fixed, in storage order. Where an output's last chunk is short,
/// only the positions that exist are visited.
SmallVector<NestDim> Emitter::dimsOf(Stage &stage, const Env &fixed) {
  Scalars s(b, loc, prologue);
  SmallVector<SmallVector<int>> order;
  AxisSet seen;
  auto take = [&](ArrayRef<int> list) {
    order.push_back(SmallVector<int>(list));
    for (int a : list)
      seen.insert(a);
  };
  SmallVector<std::pair<SmallVector<int>, ExtentRef>> ragged;
  for (attn::OutputOp out : stage.outputs)
    for (auto [dim, length] :
         llvm::zip_equal(out.getDims().getAsRange<ArrayAttr>(), out.getLengths().getAsRange<StringAttr>()))
      if (!length.getValue().empty() && llvm::none_of(ragged, [&](auto &r) { return r.first == graph.list(dim); }))
        ragged.push_back({graph.list(dim), graph.table.parse(length.getValue())});
  if (memory_[stage.id])
    for (BufferDim &dim : plan.buffers[stage.id].dims)
      take(dim.axes);
  else
    for (ArrayAttr dim : stage.outputs[0].getDims().getAsRange<ArrayAttr>())
      take(graph.list(dim));
  for (int a : stage.axes)
    if (!seen.contains(a))
      take({a});

  SmallVector<NestDim> dims;
  AxisSet done;
  for (auto &[leaves, length] : ragged)
    for (int a : leaves)
      done.insert(a);
  auto addRagged = [&](ArrayRef<int> leaves, ExtentRef length) {
    Value len = extent(length), zero = integer(0);
    SmallVector<int> before, free, after;
    for (int a : leaves)
      (lookup(fixed, a) ? (free.empty() ? before : after) : free).push_back(a);
    Value at;
    for (int a : before)
      at = at ? s.add(s.mul(at, extentOf(a)), lookup(fixed, a)) : lookup(fixed, a);
    if (free.empty()) {
      TALLY("attn-to-tile: ragged dim, all leaves fixed");
      Value inside = b.create<arith::CmpIOp>(loc, arith::CmpIPredicate::slt, at, len);
      dims.push_back({{}, {zero, s.convert(inside, b.getI64Type())}, extentConst(1)});
      return;
    }
    if (!after.empty()) {
      TALLY("attn-to-tile: ragged dim, the inner leaf fixed");
      // The first leaf runs, the others are fixed: flat = n * rest + lo < length.
      Value lo;
      for (int a : after)
        lo = lo ? s.add(s.mul(lo, extentOf(a)), lookup(fixed, a)) : lookup(fixed, a);
      int64_t radix = *extentAsConst(graph.extentOf(after));
      Value hi = s.divide(s.add(s.sub(len, lo), integer(radix - 1)), radix);
      hi = b.create<arith::MaxSIOp>(loc, hi, zero);
      NestDim dim = dimOver(free[0]);
      dim.range.hi = b.create<arith::MinSIOp>(loc, dim.range.hi, hi);
      dims.push_back(dim);
      return;
    }
    ExtentRef total = graph.extentOf(free);
    NestDim dim{free, {zero, extent(total)}, total};
    if (auto block = blocks_.find(free[0]); block != blocks_.end()) {
      Value rest = extent(graph.extentOf(ArrayRef(free).drop_front()));
      dim.range = {s.mul(block->second.lo, rest), s.mul(block->second.hi, rest)};
    }
    Value room = len;
    if (at)
      TALLY("attn-to-tile: ragged dim, the outer leaf fixed");
    else
      TALLY("attn-to-tile: ragged dim, flat");
    if (at && free.size() == 1) {
      for (int a : before)
        dim.before.push_back(lookup(fixed, a));
      dim.length = length;
    }
    if (at)
      room = b.create<arith::MaxSIOp>(loc, s.sub(len, s.mul(at, extent(total))), zero);
    else
      dim.bound = length;
    dim.range.hi = b.create<arith::MinSIOp>(loc, dim.range.hi, room);
    dims.push_back(dim);
  };
  for (auto &list : order)
    for (int a : list) {
      auto r = llvm::find_if(ragged, [&](auto &r) { return llvm::is_contained(r.first, a); });
      if (r != ragged.end()) {
        if (r->second)
          addRagged(r->first, r->second);
        r->second = nullptr;
      } else if (!lookup(fixed, a)) {
        dims.push_back(dimOver(stage, a, fixed));
      }
    }
  return dims;
}

LogicalResult Emitter::emitMap(Stage &stage, const Env &fixed) {
  SmallVector<NestDim> dims = dimsOf(stage, fixed);
  bool ok = true;
  auto nest = b.create<tile::NestOp>(loc, rangesOf(dims), [&](OpBuilder &b, Location loc, ValueRange at) {
    Body body(*this, b, loc);
    Env env = body.open(fixed, dims, at);
    Value v = body.emitRoot(stage, env, nullptr);
    if (v)
      body.store(stage, v, env, true, true);
    ok &= bool(v);
  });
  Body::prune(&nest.getBody().front());
  return success(ok);
}

Value identityOf(Scalars &s, tile::Combiner kind, Type type) {
  bool real = isa<FloatType>(type);
  double inf = std::numeric_limits<double>::infinity();
  switch (kind) {
  case tile::Combiner::Sum:
    return real ? s.real(0, type) : s.integer(0);
  case tile::Combiner::Prod:
    return real ? s.real(1, type) : s.integer(1);
  case tile::Combiner::Max:
    return real ? s.real(-inf, type) : s.integer(std::numeric_limits<int64_t>::min());
  case tile::Combiner::Min:
    return real ? s.real(inf, type) : s.integer(std::numeric_limits<int64_t>::max());
  case tile::Combiner::Any:
    return s.boolean(false);
  case tile::Combiner::All:
    return s.boolean(true);
  default:
    return nullptr;
  }
}

std::optional<tile::Combiner> combinerOf(attn::Reduction op) {
  switch (op) {
  case attn::Reduction::Sum:
    return tile::Combiner::Sum;
  case attn::Reduction::Prod:
    return tile::Combiner::Prod;
  case attn::Reduction::Max:
    return tile::Combiner::Max;
  case attn::Reduction::Min:
    return tile::Combiner::Min;
  case attn::Reduction::Any:
    return tile::Combiner::Any;
  case attn::Reduction::All:
    return tile::Combiner::All;
  default:
    return std::nullopt;
  }
}

LogicalResult Emitter::emitReduce(Stage &stage, const Env &fixed) {
  SmallVector<NestDim> par = dimsOf(stage, fixed), red = innerDims(stage, fixed);
  Operation *op = stage.core.getDefiningOp();
  tile::Combiner kind;
  if (auto reduce = dyn_cast<attn::ReduceOp>(op)) {
    auto combiner = combinerOf(reduce.getRed());
    if (!combiner)
      return op->emitError("reduction is not primitive: it must be decomposed before it is lowered");
    kind = *combiner;
  } else {
    kind =
        cast<attn::ArgReduceOp>(op).getWhich() == attn::Extreme::Max ? tile::Combiner::ArgMax : tile::Combiner::ArgMin;
  }
  bool ok = true;
  // Conditions under which zeros are skipped, by what must be finite.
  SmallVector<std::pair<Value, SmallVector<Value>>> absent;
  SmallVector<ArrayRef<int>> checks;
  for (const Guard &guard : stage.absent) {
    auto *at = llvm::find(checks, ArrayRef(guard.finite));
    if (at == checks.end()) {
      std::optional<Value> known = finite(guard.finite, plan.kernelOf[stage.id], fixed);
      if (known && booleanOf(*known))
        continue;
      checks.push_back(guard.finite);
      absent.push_back({*known, {}});
      at = checks.end() - 1;
    }
    absent[at - checks.begin()].second.push_back(guard.holds);
  }
  auto nest = b.create<tile::NestOp>(
      loc, rangesOf(par), rangesOf(red),
      [&](OpBuilder &b, Location loc, ValueRange parAt, ValueRange redAt) -> SmallVector<Value> {
        Body body(*this, b, loc);
        Env env = body.open(body.open(fixed, par, parAt), red, redAt);
        Value x = body.emit(op->getOperand(0), env);
        Value guard = op->getNumOperands() > 1 ? body.emit(op->getOperand(1), env) : Value();
        ok &= x && (guard || op->getNumOperands() == 1);
        if (!ok)
          return {};
        if (auto arg = dyn_cast<attn::ArgReduceOp>(op)) {
          if (x.getType().isInteger(1))
            x = body.s.convert(x, b.getI64Type());
          return {x, body.flatten(stage.inner, env), guard ? guard : body.s.boolean(true)};
        }
        if (guard)
          x = b.create<arith::SelectOp>(loc, guard, x, identityOf(body.s, kind, x.getType()));
        Value counts;
        for (auto &[known, conditions] : absent) {
          Value any = body.s.map(attn::MapFn::Not, known, b.getI1Type()), all;
          for (Value condition : conditions) {
            Value holds = body.emit(condition, env);
            all = all ? body.s.map(attn::MapFn::And, {all, holds}, b.getI1Type()) : holds;
          }
          any = body.s.map(attn::MapFn::Or, {any, all}, b.getI1Type());
          counts = counts ? body.s.map(attn::MapFn::And, {counts, any}, b.getI1Type()) : any;
        }
        if (counts) { // for tile-mask-blocks: both sides are the same
          auto select = b.create<arith::SelectOp>(loc, counts, x, identityOf(body.s, kind, x.getType()));
          select->setAttr("droppable", b.getUnitAttr());
          x = select;
        }
        return {x};
      },
      kind,
      [&](OpBuilder &b, Location loc, ValueRange parAt, ValueRange results) {
        if (!ok)
          return;
        Body body(*this, b, loc);
        Env env = body.open(fixed, par, parAt);
        Value v = body.emitRoot(stage, env, results[0]);
        if (v)
          body.store(stage, v, env, true, true);
        ok &= bool(v);
      });
  if (!ok)
    return failure();
  Body::prune(&nest.getBody().front());
  Body::prune(&nest.getFinish().front());
  return success();
}

void Emitter::emitCopy(Stage &stage, const Env &fixed) {
  if (stage.outputs.empty())
    return;
  TALLY("attn-to-tile: an output copied from its buffer");
  SmallVector<NestDim> dims = dimsOf(stage, fixed);
  auto nest = b.create<tile::NestOp>(loc, rangesOf(dims), [&](OpBuilder &b, Location loc, ValueRange at) {
    Body body(*this, b, loc);
    Env env = body.open(fixed, dims, at);
    Value v = b.create<tile::LoadOp>(loc, memory_[stage.id], body.indices(stage, env));
    body.store(stage, v, env, false, true);
  });
  Body::prune(&nest.getBody().front());
}

} // namespace attnc::totile
