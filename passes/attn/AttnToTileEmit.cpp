//===- A plan as text of the tile dialect ---------------------------------===//
#include "passes/attn/AttnToTileEmit.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "runtime/Tally.h"

using namespace mlir;

namespace attnc::totile {

void assign(Env &env, int axis, Value at) {
  auto it = llvm::lower_bound(env, axis, [](auto &p, int a) { return p.first < a; });
  if (it != env.end() && it->first == axis)
    it->second = at;
  else
    env.insert(it, {axis, at});
}

Value lookup(const Env &env, int axis) {
  for (auto &[a, v] : env)
    if (a == axis)
      return v;
  return nullptr;
}

//===--- bodies -----------------------------------------------------------===//

Env Body::restrict(const Env &env, Value v) {
  Env own;
  for (int a : e.graph.axesOf(v))
    own.push_back({a, lookup(env, a)});
  return own;
}

Value Body::emit(Value v, const Env &env) {
  v = resolve(v);
  if (v == core_)
    return coreResult_;
  Env own = restrict(env, v);
  std::vector<void *> positions;
  for (auto &[a, p] : own) {
    assert(p && "axis without a position");
    positions.push_back(p.getAsOpaquePointer());
  }
  auto key = std::pair(v.getAsOpaquePointer(), positions);
  if (auto at = memo_.find(key); at != memo_.end())
    return at->second;
  Value result;
  if (int stage = e.plan.stageOf(v); stage >= 0) {
    const Stage &stored = e.plan.stages[stage];
    result = b.create<tile::LoadOp>(loc, e.memory_[stage], indices(stored, own));
  } else {
    result = emitOp(v.getDefiningOp(), own);
  }
  return memo_[key] = result;
}

Value Body::emitRoot(const Stage &stage, const Env &env, Value coreResult) {
  core_ = stage.core;
  coreResult_ = coreResult;
  if (stage.core == stage.value)
    return coreResult;
  return stage.readable ? emitOp(stage.value.getDefiningOp(), env) : emit(stage.value, env);
}

std::optional<Linear> Body::limit(const Linear &l, const Env &env, bool largest) {
  Linear result;
  result.extents = l.extents;
  result.constant = l.constant;
  for (auto &[a, factor] : l.axes) {
    Value at = lookup(env, a);
    Linear end;
    if (auto c = constantOf(at)) {
      end.constant = *c;
    } else if (auto exact = e.exact_.find(at); exact != e.exact_.end()) {
      end = e.graph.linear(exact->second);
    } else {
      auto known = e.below_.find(at);
      if (known == e.below_.end())
        return std::nullopt;
      Emitter::Bounds bounds = e.bounds_.lookup(at);
      if ((factor > 0) == largest) {
        end = e.graph.linear(known->second);
        end.constant -= 1 + bounds.high;
      } else {
        end.constant = bounds.low;
      }
    }
    addTo(result, end, factor);
  }
  return result;
}

/// Extents are at least 0.
static bool negative(const std::optional<Linear> &l) {
  return l && l->constant < 0 && llvm::all_of(l->extents, [](auto &e) { return e.second <= 0; });
}
static bool positive(const std::optional<Linear> &l, int64_t least) {
  return l && l->constant >= least && llvm::all_of(l->extents, [](auto &e) { return e.second >= 0; });
}

bool Body::isInside(Value v, const Env &env, int axis) {
  auto l = e.graph.linear(v);
  if (!l || !positive(limit(*l, env, false), 0))
    return false;
  auto top = limit(*l, env, true);
  if (top)
    addTo(*top, e.graph.linear(e.graph.axes[axis].extent), -1);
  return negative(top);
}

std::optional<bool> Body::decide(attn::MapOp compare, const Env &env) {
  using F = attn::MapFn;
  F fn = compare.getFn();
  if (fn < F::Lt || fn > F::Ne || !attn::typeOf(compare.getOperands()[0]).isInt())
    return std::nullopt;
  auto x = e.graph.linear(compare.getOperands()[0]), y = e.graph.linear(compare.getOperands()[1]);
  if (!x || !y)
    return std::nullopt;
  bool swap = fn == F::Gt || fn == F::Ge; // x > y as y < x
  Linear d;
  addTo(d, *x, swap ? -1 : 1);
  addTo(d, *y, swap ? 1 : -1);
  auto low = limit(d, env, false), high = limit(d, env, true);
  bool below = negative(high), above = positive(low, 1);
  switch (fn) {
  case F::Lt:
  case F::Gt:
    return below ? std::optional(true) : positive(low, 0) ? std::optional(false) : std::nullopt;
  case F::Le:
  case F::Ge: {
    if (high)
      high->constant -= 1;
    return negative(high) ? std::optional(true) : above ? std::optional(false) : std::nullopt;
  }
  default:
    return below || above ? std::optional(fn == F::Ne) : std::nullopt;
  }
}

Value Body::emitOp(Operation *op, const Env &env) {
  Graph &graph = e.graph;
  if (auto constant = dyn_cast<attn::ConstOp>(op))
    return e.prologue.constant(constant.getValue(), loc);
  if (auto index = dyn_cast<attn::IndexOp>(op))
    return lookup(env, graph.axis(index.getAxisAttr()));
  if (auto extent = dyn_cast<attn::ExtentOp>(op))
    return e.extent(graph.table.parse(extent.getText()));
  if (auto eq = dyn_cast<attn::EquationOp>(op))
    return emit(eq.getBody(), env);
  if (auto input = dyn_cast<attn::InputOp>(op)) {
    SmallVector<Value> at;
    for (auto [dim, length] :
         llvm::zip_equal(input.getDims().getAsRange<ArrayAttr>(), input.getLengths().getAsRange<StringAttr>())) {
      Value flat = flatten(graph.list(dim), env);
      if (!length.getValue().empty()) {
        // Past the end of a short last chunk anything may be read, but not outside.
        ExtentRef bound = graph.table.parse(length.getValue());
        auto at = e.below_.find(flat);
        bool inside = at != e.below_.end() && extentEqual(at->second, bound);
        SmallVector<Value> leaves;
        for (int a : graph.list(dim))
          leaves.push_back(lookup(env, a));
        if (auto there = e.existing_.find(leaves.back()); there != e.existing_.end())
          inside |= there->second.first == leaves && extentEqual(there->second.second, bound);
        if (!inside) {
          TALLY("attn-to-tile: a ragged input clamped");
          flat = s.clamp(flat, e.extent(bound));
          e.known(flat, bound);
        }
      }
      at.push_back(flat);
    }
    Value v = b.create<tile::LoadOp>(loc, e.argOf_.lookup(op), at);
    return s.convert(v, attn::typeOf(input.getResult()).getElem());
  }
  if (auto read = dyn_cast<attn::ReadOp>(op)) {
    Env through;
    SmallVector<int> replaced = graph.list(read.getAxes());
    for (int a : graph.axesOf(read.getSource())) {
      auto at = llvm::find(replaced, a);
      if (at == replaced.end()) {
        through.push_back({a, lookup(env, a)});
        continue;
      }
      size_t i = at - replaced.begin();
      Value index = emit(read.getIndices()[i], env);
      if (!index)
        return nullptr;
      const ExtentRef &bound = graph.axes[a].extent;
      auto known = e.below_.find(index);
      bool inside = read.isInside(i) || (known != e.below_.end() && extentEqual(known->second, bound)) ||
                    isInside(read.getIndices()[i], env, a);
      if (inside)
        TALLY("attn-to-tile: an index proven inside");
      if (!inside) {
        TALLY("attn-to-tile: an index clamped");
        index = s.clamp(index, e.extentOf(a));
        if (!constantOf(index))
          e.known(index, bound);
      }
      through.push_back({a, index});
    }
    return emit(read.getSource(), through);
  }
  auto map = dyn_cast<attn::MapOp>(op);
  if (!map) {
    op->emitError("cannot be computed inside an expression");
    return nullptr;
  }
  if (auto known = decide(map, env)) {
    TALLY("attn-to-tile: a comparison of positions decided");
    return s.boolean(*known);
  }
  SmallVector<Value> args;
  for (Value operand : map.getOperands()) {
    // Of a decided select only one side is computed.
    if (map.getFn() == attn::MapFn::Select && args.size() == 1)
      if (auto condition = booleanOf(args[0])) {
        TALLY("attn-to-tile: a decided select");
        return emit(map.getOperands()[*condition ? 1 : 2], env);
      }
    args.push_back(emit(operand, env));
    if (!args.back())
      return nullptr;
  }
  // hi * radix + lo of a flat position is that position.
  if (map.getFn() == attn::MapFn::Add)
    for (int side : {0, 1})
      if (auto split = e.splits_.find(args[side]); split != e.splits_.end())
        if (auto times = args[1 - side].getDefiningOp<arith::MulIOp>())
          for (int k : {0, 1})
            if (times->getOperand(k) == split->second.hi &&
                constantOf(times->getOperand(1 - k)) == split->second.radix) {
              TALLY("attn-to-tile: a flat position put together again");
              return split->second.flat;
            }
  Value result = s.map(map.getFn(), args, attn::typeOf(map.getResult()).getElem());
  if (!result)
    op->emitError("elementwise function is not primitive: it must be decomposed before it is lowered");
  return result;
}

Value Body::flatten(ArrayRef<int> axes, const Env &env) {
  Value flat;
  for (int a : axes) {
    Value at = lookup(env, a);
    if (!flat) {
      flat = at;
      continue;
    }
    auto split = e.splits_.find(at);
    if (split != e.splits_.end() && split->second.hi == flat && e.graph.axes[a].constant == split->second.radix)
      flat = split->second.flat;
    else
      flat = s.add(s.mul(flat, e.extentOf(a)), at);
  }
  return flat ? flat : s.integer(0);
}

SmallVector<Value> Body::indices(const Stage &stage, const Env &env) {
  SmallVector<Value> result;
  for (const BufferDim &dim : e.plan.buffers[stage.id].dims) {
    Value at = flatten(dim.axes, env);
    if (dim.kind == BufferDim::Block) {
      TALLY("attn-to-tile: memory of one block");
      at = s.sub(at, e.blocks_.lookup(dim.axes[0]).lo);
    } else if (dim.kind == BufferDim::Ring) {
      TALLY("attn-to-tile: memory of a few steps");
      at = s.remainder(at, dim.size);
    }
    result.push_back(at);
  }
  return result;
}

void Body::store(const Stage &stage, Value v, const Env &env, bool buffer, bool outputs) {
  if (buffer && e.memory_[stage.id])
    b.create<tile::StoreOp>(loc, v, e.memory_[stage.id], indices(stage, env));
  if (!outputs)
    return;
  for (attn::OutputOp out : stage.outputs) {
    SmallVector<Value> at;
    for (ArrayAttr dim : out.getDims().getAsRange<ArrayAttr>())
      at.push_back(flatten(e.graph.list(dim), env));
    Value arg = e.argOf_.lookup(out);
    b.create<tile::StoreOp>(loc, s.convert(v, cast<tile::BufType>(arg.getType()).getComputeType()), arg, at);
  }
}

Env Body::open(const Env &fixed, ArrayRef<NestDim> dims, ValueRange positions) {
  Env env = fixed;
  for (auto [dim, at] : llvm::zip_equal(dims, positions)) {
    if (dim.axes.empty())
      continue;
    e.known(at, dim.bound);
    if (dim.length) {
      e.existing_[at] = {dim.before, dim.length};
      e.existing_[at].first.push_back(at);
    }
    Value flat = at;
    for (size_t k = dim.axes.size(); k-- > 1;) {
      int64_t radix = *e.graph.axes[dim.axes[k]].constant;
      Value lo = s.remainder(flat, radix), hi = s.divide(flat, radix);
      e.splits_[lo] = {hi, flat, radix};
      e.known(lo, e.graph.axes[dim.axes[k]].extent);
      assign(env, dim.axes[k], lo);
      flat = hi;
    }
    if (dim.axes.size() > 1)
      e.known(flat, e.graph.axes[dim.axes[0]].extent);
    assign(env, dim.axes[0], flat);
  }
  return env;
}

void Body::prune(Block *block) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(*block)))
    if (isOpTriviallyDead(&op))
      op.erase();
}

//===--- nests ------------------------------------------------------------===//

NestDim Emitter::dimOver(int axis) {
  if (auto block = blocks_.find(axis); block != blocks_.end())
    return {{axis}, block->second, graph.axes[axis].extent};
  return {{axis}, {integer(0), extentOf(axis)}, graph.axes[axis].extent};
}

NestDim Emitter::dimOver(Stage &stage, int axis, const Env &fixed) {
  NestDim dim = dimOver(axis);
  auto need = stage.needed.find(axis);
  if (need == stage.needed.end() || blocks_.count(axis))
    return dim;
  TALLY("attn-to-tile: a part of an axis visited");
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
  // Whether the bound holds here; none: it does, false: nothing is known.
  auto holds = [&](const Bound &bound) -> std::optional<Value> {
    Value all;
    for (int check : bound.finite) {
      Env at;
      for (int a : plan.stages[check].axes)
        assign(at, a, lookup(fixed, a));
      if (plan.kernelOf[check] == plan.kernelOf[stage.id] || llvm::any_of(at, [](auto &p) { return !p.second; }))
        return s.boolean(false);
      Value one = b.create<tile::LoadOp>(loc, memory_[check], Body(*this, b, loc).indices(plan.stages[check], at));
      all = all ? b.create<arith::AndIOp>(loc, all, one).getResult() : one;
    }
    return all ? std::optional(all) : std::nullopt;
  };
  Value lo, hi;
  for (auto &bounds : need->second.any) {
    Value low = dim.range.lo, high = dim.range.hi;
    for (const Bound &bound : bounds) {
      std::optional<Value> when = holds(bound);
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
  dim.range = {lo, s.max(hi, lo)};
  return dim;
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

//===--- kernels ----------------------------------------------------------===//

Emitter::Emitter(Plan &plan, tile::ProgramOp program)
    : plan(plan), graph(plan.graph), program(program), prologue(program.getBlock()), b(program.getContext()),
      loc(program.getLoc()), memory_(plan.stages.size()) {}

Value Emitter::extent(const ExtentRef &e) {
  Scalars s(prologue.b, program.getLoc(), prologue);
  if (auto c = extentAsConst(e))
    return s.integer(*c);
  if (e->op == attnc::ExtentOp::Symbol)
    return program.getBody().getArgument(e->symbol);
  std::string text = graph.table.text(e);
  if (auto known = extents_.find(text); known != extents_.end())
    return known->second;
  // The scalar functions guard divisors.
  static const std::map<attnc::ExtentOp, attn::MapFn> functions = {
      {attnc::ExtentOp::Add, attn::MapFn::Add}, {attnc::ExtentOp::Sub, attn::MapFn::Sub},
      {attnc::ExtentOp::Mul, attn::MapFn::Mul}, {attnc::ExtentOp::Min, attn::MapFn::Min},
      {attnc::ExtentOp::Max, attn::MapFn::Max}, {attnc::ExtentOp::Div, attn::MapFn::IDiv},
      {attnc::ExtentOp::Mod, attn::MapFn::Mod}, {attnc::ExtentOp::Ilog2, attn::MapFn::Ilog2},
      {attnc::ExtentOp::Lt, attn::MapFn::Lt},   {attnc::ExtentOp::Le, attn::MapFn::Le},
      {attnc::ExtentOp::Gt, attn::MapFn::Gt},   {attnc::ExtentOp::Ge, attn::MapFn::Ge},
      {attnc::ExtentOp::Eq, attn::MapFn::Eq},   {attnc::ExtentOp::Ne, attn::MapFn::Ne},
      {attnc::ExtentOp::And, attn::MapFn::And}, {attnc::ExtentOp::Or, attn::MapFn::Or},
      {attnc::ExtentOp::Not, attn::MapFn::Not}};
  bool logic = e->op == attnc::ExtentOp::And || e->op == attnc::ExtentOp::Or || e->op == attnc::ExtentOp::Not;
  SmallVector<Value> args;
  for (const ExtentRef &a : e->args)
    args.push_back(logic ? s.convert(extent(a), b.getI1Type()) : extent(a));
  return extents_[text] = s.convert(s.map(functions.at(e->op), args, b.getI64Type()), b.getI64Type());
}

Value Emitter::allocate(ArrayRef<BufferDim> dims, Type elem, bool shared, StringRef name, StringRef why) {
  SmallVector<Value> sizes;
  for (const BufferDim &dim : dims)
    sizes.push_back(dim.kind == BufferDim::Whole ? extent(graph.extentOf(dim.axes)) : integer(dim.size));
  auto make = [&](OpBuilder &b, Location loc) {
    auto alloc = b.create<tile::AllocOp>(loc, tile::BufType::get(b.getContext(), elem, dims.size()), sizes);
    alloc->setAttr("name", b.getStringAttr(name));
    if (!why.empty())
      alloc->setAttr("why", b.getStringAttr(why));
    return alloc;
  };
  if (shared)
    return make(prologue.b, loc);
  OpBuilder::InsertionGuard guard(b);
  if (lastAlloc_)
    b.setInsertionPointAfter(lastAlloc_);
  else
    b.setInsertionPointToStart(&kernelOp_.getBody().front());
  auto alloc = make(b, loc);
  lastAlloc_ = alloc;
  return alloc;
}

LogicalResult Emitter::emitStage(Stage &stage, const Env &fixed) {
  loc = stage.value.getLoc();
  switch (stage.kind) {
  case StageKind::Map:
    TALLY("attn-to-tile: elementwise stage");
    return emitMap(stage, fixed);
  case StageKind::Reduce:
    TALLY("attn-to-tile: reducing stage");
    return emitReduce(stage, fixed);
  case StageKind::ArgReduce:
    TALLY("attn-to-tile: argmax or argmin stage");
    return emitReduce(stage, fixed);
  case StageKind::Sort:
    TALLY("attn-to-tile: sorting stage");
    return emitSort(stage, fixed);
  case StageKind::Rank:
    TALLY("attn-to-tile: ranking stage");
    return emitSort(stage, fixed);
  case StageKind::Scatter:
    TALLY("attn-to-tile: scattering stage");
    return emitScatter(stage, fixed);
  }
  return failure();
}

/// Stages in the body of a loop whose first round is written out.
static constexpr size_t kPeeled = 40;

LogicalResult Emitter::emitNodes(std::vector<std::unique_ptr<Node>> &nodes, const Env &fixed) {
  for (auto &node : nodes) {
    if (!node->isLoop()) {
      if (failed(emitStage(plan.stages[node->stage], fixed)))
        return failure();
      continue;
    }
    if (node->dir > 0)
      TALLY("attn-to-tile: a loop upwards");
    else
      TALLY("attn-to-tile: a loop downwards");
    if (llvm::any_of(node->body, [](auto &inside) { return inside->isLoop(); }))
      TALLY("attn-to-tile: a loop in a loop");
    // The first round of an innermost loop stands by itself: there, and only there, reads one step back go to the init.
    Scalars top(prologue.b, loc, prologue);
    const AxisInfo &axis = graph.axes[node->axis];
    Value n = extentOf(node->axis), zero = integer(0), one = integer(1), minus = integer(-1);
    bool up = node->dir > 0;
    bool peel =
        node->body.size() <= kPeeled && llvm::none_of(node->body, [](auto &inside) { return inside->isLoop(); });
    Value start = up ? zero : top.sub(n, one), end = up ? n : minus, step = up ? one : minus, second = start;
    auto round = [&](Value lo, Value hi, Value at) -> LogicalResult {
      auto loop = b.create<tile::ForOp>(loc, lo, hi, step);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToEnd(&loop.getBody().front());
      Env env = fixed;
      assign(env, node->axis, at ? at : loop.getIv());
      known(loop.getIv(), axis.extent);
      if (peel)
        bounds_[loop.getIv()] = up ? Bounds{1, 0} : Bounds{0, 1};
      return emitNodes(node->body, env);
    };
    if (peel) {
      TALLY("attn-to-tile: the first round of a loop by itself");
      if (up) {
        second = top.min(n, one);
        if (failed(round(zero, second, zero)))
          return failure();
      } else {
        second = top.sub(start, one);
        Value only = top.max(second, minus);
        if (!constantOf(start)) {
          known(start, axis.extent);
          exact_[start] = extentMake(attnc::ExtentOp::Sub, {axis.extent, extentConst(1)});
        }
        if (failed(round(start, only, start)))
          return failure();
      }
    }
    if (failed(round(peel && up ? one : second, end, nullptr)))
      return failure();
  }
  return success();
}

LogicalResult Emitter::emitKernel(Kernel &kernel) {
  kernel_ = &kernel;
  lastAlloc_ = nullptr;
  blocks_.clear();
  loc = plan.stages[kernel.stages[0]].value.getLoc();
  Scalars s(b, loc, prologue);
  SmallVector<Value> extents;
  for (GridDim g : kernel.grid) {
    ExtentRef blocks = graph.axes[g.axis].extent;
    if (g.block > 1)
      blocks = extentMake(attnc::ExtentOp::Div,
                          {extentMake(attnc::ExtentOp::Add, {blocks, extentConst(g.block - 1)}), extentConst(g.block)});
    extents.push_back(extent(blocks));
  }
  auto op = b.create<tile::KernelOp>(loc, extents);
  if (!kernelOp_)
    prologue.endAt(op);
  kernelOp_ = op;
  std::string names;
  for (int id : kernel.stages)
    names += (names.empty() ? "" : " ") + plan.stages[id].name;
  op->setAttr("name", b.getStringAttr(names));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToEnd(&op.getBody().front());
  for (int id : kernel.stages) {
    Stage &stage = plan.stages[id];
    Buffer &buffer = plan.buffers[id];
    bool stored = stage.readable && (!stage.readers.empty() || stage.kind == StageKind::Sort ||
                                     stage.kind == StageKind::Rank || stage.kind == StageKind::Scatter);
    if (stored && !buffer.shared && plan.inPlaceOf[id] < 0)
      memory_[id] = allocate(buffer.dims, attn::typeOf(stage.value).getElem(), false, stage.name, "");
  }
  for (int id : kernel.stages) {
    int owner = id;
    while (plan.inPlaceOf[owner] >= 0)
      owner = plan.inPlaceOf[owner];
    memory_[id] = memory_[owner];
  }
  Env fixed;
  for (auto [g, at] : llvm::zip_equal(kernel.grid, op.getBody().getArguments())) {
    if (g.block == 1) {
      TALLY("attn-to-tile: a grid of single positions");
      assign(fixed, g.axis, at);
      known(at, graph.axes[g.axis].extent);
      continue;
    }
    TALLY("attn-to-tile: a grid of blocks");
    Value size = integer(g.block);
    Value lo = b.create<arith::MulIOp>(loc, at, size);
    Value hi = b.create<arith::MinSIOp>(loc, b.create<arith::AddIOp>(loc, lo, size), extentOf(g.axis));
    blocks_[g.axis] = {lo, hi};
  }
  return emitNodes(kernel.schedule, fixed);
}

LogicalResult Emitter::run() {
  Builder types(program.getContext());
  auto storageType = [&](attn::Storage storage) -> Type {
    switch (storage) {
    case attn::Storage::F32:
      return types.getF32Type();
    case attn::Storage::F16:
      return types.getF16Type();
    case attn::Storage::BF16:
      return types.getBF16Type();
    case attn::Storage::F64:
      return types.getF64Type();
    case attn::Storage::I32:
      return types.getI32Type();
    case attn::Storage::I64:
      return types.getI64Type();
    case attn::Storage::Bool:
      return types.getI1Type();
    }
    llvm_unreachable("storage");
  };
  auto declare = [&](auto op, tile::ArgKind kind) {
    auto type = tile::BufType::get(program.getContext(), storageType(op.getStorage()), op.getDims().size());
    argOf_[op] = prologue.b.create<tile::ArgOp>(op.getLoc(), type, kind, op.argumentNumber(), op.getArg());
  };
  for (auto op : graph.mixer.getBody()->getOps<attn::InputOp>())
    declare(op, tile::ArgKind::Input);
  for (auto op : graph.mixer.getBody()->getOps<attn::OutputOp>())
    declare(op, tile::ArgKind::Output);
  b.setInsertionPointToEnd(program.getBlock());
  for (Stage &stage : plan.stages)
    if (plan.buffers[stage.id].shared)
      memory_[stage.id] =
          allocate(plan.buffers[stage.id].dims, attn::typeOf(stage.value).getElem(), true, stage.name, stage.why);
  for (Kernel &kernel : plan.kernels)
    if (failed(emitKernel(kernel)))
      return failure();
  return success();
}

} // namespace attnc::totile
