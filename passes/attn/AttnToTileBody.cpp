//===- Expressions as scalar ops of a body --------------------------------===//
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "passes/attn/AttnToTileEmit.h"
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
  std::optional<bool> known = compared(compare, env);
  if (known || !e.probe_ || e.probe_->decided)
    return known;
  e.bounds_[e.probe_->at] = e.probe_->bounds;
  e.probe_->decided = compared(compare, env).has_value();
  e.bounds_.erase(e.probe_->at);
  return std::nullopt;
}

std::optional<bool> Body::compared(attn::MapOp compare, const Env &env) {
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
    } else if (dim.kind == BufferDim::Listed) {
      TALLY("attn-to-tile: memory of listed positions");
      at = e.places_.lookup(at);
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
    if (dim.list) {
      Value position = b.create<tile::LoadOp>(loc, dim.list, at);
      e.places_[position] = at;
      at = position;
    }
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

} // namespace attnc::totile
