//===- Worklists as text of the tile dialect ------------------------------===//
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "passes/attn/AttnToTileEmit.h"

using namespace mlir;

namespace attnc::totile {

/// The hull of what its stages need.
Needed Emitter::neededBy(const Worklist &list) const {
  Needed hull{false, {}};
  for (int id : list.members) {
    auto need = plan.stages[id].needed.find(list.axis);
    if (need == plan.stages[id].needed.end())
      return {};
    for (auto &bounds : need->second.any)
      if (!llvm::is_contained(hull.any, bounds))
        hull.any.push_back(bounds);
  }
  return hull;
}

/// Whether any row of the instance needs a position, one flag for each.
void Emitter::emitNeeded(const Worklist &list, NestDim dim, Value flags, const Env &fixed) {
  AxisSet axes;
  for (auto &alternative : list.any)
    for (const Guard &guard : alternative)
      axes = axes | graph.axesOf(guard.holds);
  SmallVector<NestDim> rows;
  for (int a : axes)
    if (a != list.axis && !lookup(fixed, a))
      rows.push_back(dimOver(a));
  int kernel = plan.kernelOf[list.members[0]];

  auto needed = [&](OpBuilder &b, Location loc, const Env &env) {
    Body body(*this, b, loc);
    Value any;
    for (auto &alternative : list.any) {
      Value all;
      for (const Guard &guard : alternative) {
        Value holds = body.emit(guard.holds, env);
        if (!guard.is)
          holds = body.s.map(attn::MapFn::Not, holds, b.getI1Type());
        all = all ? body.s.map(attn::MapFn::And, {all, holds}, b.getI1Type()) : holds;
      }
      any = any ? body.s.map(attn::MapFn::Or, {any, all}, b.getI1Type()) : all;
    }
    return any;
  };
  // Where a zero meets what is not finite, all positions count.
  Scalars s(b, loc, prologue);
  Value always;
  for (auto &alternative : list.any)
    for (const Guard &guard : alternative)
      if (auto known = finite(guard.finite, kernel, fixed)) {
        Value bad = s.map(attn::MapFn::Not, *known, b.getI1Type());
        always = always ? b.create<arith::OrIOp>(loc, always, bad).getResult() : bad;
      }
  auto store = [&](OpBuilder &b, Location loc, Value any, Value at) {
    if (always)
      any = b.create<arith::OrIOp>(loc, any, always);
    b.create<tile::StoreOp>(loc, any, flags, at);
  };
  tile::NestOp nest;
  if (rows.empty())
    nest =
        b.create<tile::NestOp>(loc, ArrayRef<tile::Range>{dim.range}, [&](OpBuilder &b, Location loc, ValueRange at) {
          store(b, loc, needed(b, loc, Body(*this, b, loc).open(fixed, dim, at)), at[0]);
        });
  else
    nest = b.create<tile::NestOp>(
        loc, ArrayRef<tile::Range>{dim.range}, rangesOf(rows),
        [&](OpBuilder &b, Location loc, ValueRange par, ValueRange red) -> SmallVector<Value> {
          Body body(*this, b, loc);
          return {needed(b, loc, body.open(body.open(fixed, dim, par), rows, red))};
        },
        ArrayRef<tile::Combiner>{tile::Combiner::Any},
        [&](OpBuilder &b, Location loc, ValueRange at, ValueRange any) { store(b, loc, any[0], at[0]); });
  Body::prune(&nest.getBody().front());
}

/// The dim over the list instead of over the whole axis; the first stage that visits it makes it.
NestDim Emitter::dimOver(int worklist, NestDim whole, const Env &fixed) {
  if (auto made = listed_.find(worklist); made != listed_.end())
    return made->second;
  const Worklist &list = plan.worklists[worklist];
  NestDim dim = whole;
  if (Needed need = neededBy(list); !need.whole)
    dim.range = rangeOf(need, plan.kernelOf[list.members[0]], whole, fixed);

  BufferDim all{{list.axis}, BufferDim::Whole, 0};
  std::string name = graph.axes[list.axis].name.str();
  Value flags = allocate(all, b.getI1Type(), false, name + ".needed", "");
  Value places = allocate(all, b.getI64Type(), false, name + ".list", "");
  Value count = allocate({}, b.getI64Type(), false, name + ".count", "");
  emitNeeded(list, dim, flags, fixed);
  b.create<tile::NestOp>(loc, ArrayRef<tile::Range>(), [&](OpBuilder &b, Location loc, ValueRange) {
    b.create<tile::StoreOp>(loc, integer(0), count, ValueRange());
  });
  // Every position is written behind the last that counts, and counted if it does.
  b.create<tile::NestOp>(loc, ArrayRef<tile::Range>(), ArrayRef<tile::Range>{dim.range},
                         [&](OpBuilder &b, Location loc, ValueRange, ValueRange at) {
                           Value end = b.create<tile::LoadOp>(loc, count, ValueRange());
                           b.create<tile::StoreOp>(loc, at[0], places, end);
                           Value flag = b.create<tile::LoadOp>(loc, flags, at[0]);
                           b.create<tile::UpdateOp>(loc, tile::Combiner::Sum,
                                                    b.create<arith::ExtUIOp>(loc, b.getI64Type(), flag), count,
                                                    ValueRange(), Value());
                         });
  NestDim result{{list.axis}, {integer(0), b.create<tile::LoadOp>(loc, count, ValueRange())}, whole.bound};
  result.list = places;
  listed_[worklist] = result;
  return result;
}

} // namespace attnc::totile
