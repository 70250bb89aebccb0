//===- A plan as kernels, loops and buffers of the tile dialect -----------===//
#include "passes/attn/AttnToTileEmit.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "runtime/Tally.h"

using namespace mlir;

namespace attnc::totile {

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
    sizes.push_back(dim.size ? integer(dim.size) : extent(graph.extentOf(dim.axes)));
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

LogicalResult Emitter::emitNodes(std::vector<std::unique_ptr<Node>> &nodes, const Env &fixed) {
  for (auto &node : nodes)
    if (failed(node->isLoop() ? emitLoop(*node, fixed) : emitStage(plan.stages[node->stage], fixed)))
      return failure();
  return success();
}

LogicalResult Emitter::emitLoop(Node &node, const Env &fixed) {
  bool up = node.dir > 0;
  if (up)
    TALLY("attn-to-tile: a loop upwards");
  else
    TALLY("attn-to-tile: a loop downwards");
  if (llvm::any_of(node.body, [](auto &inside) { return inside->isLoop(); }))
    TALLY("attn-to-tile: a loop in a loop");
  Scalars top(prologue.b, loc, prologue);
  Value n = extentOf(node.axis), zero = integer(0), one = integer(1), minus = integer(-1);
  Rounds rounds{node.axis, up, up ? zero : top.sub(n, one), {}, {}};
  if (plan.endsWithChunk.contains(&node)) {
    TALLY("attn-to-tile: a loop that ends where a short chunk does");
    ChunkedDim dim = *graph.chunked(node.axis);
    Scalars s(b, loc, prologue);
    n = s.min(n, s.sub(extent(dim.length), s.mul(lookup(fixed, dim.chunk), n)));
  }
  auto loop = b.create<tile::ForOp>(loc, rounds.start, up ? n : minus, up ? one : minus);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToEnd(&loop.getBody().front());
  known(loop.getIv(), graph.axes[node.axis].extent);
  Env env = fixed;
  assign(env, node.axis, loop.getIv());
  for (auto &inside : node.body) {
    if (inside->isLoop()) {
      rounds.first = rounds.later = {};
      if (failed(emitLoop(*inside, env)))
        return failure();
    } else if (failed(emitInRounds(plan.stages[inside->stage], rounds, env))) {
      return failure();
    }
  }
  return success();
}

LogicalResult Emitter::emitInRounds(Stage &stage, Rounds &rounds, const Env &env) {
  Value at = lookup(env, rounds.axis), step = integer(rounds.up ? 1 : -1);
  const ExtentRef &extent = graph.axes[rounds.axis].extent;
  Block *block = b.getInsertionBlock();
  Operation *last = block->empty() ? nullptr : &block->back();
  probe_ = Probe{at, rounds.up ? Bounds{1, 0} : Bounds{0, 1}, false};
  LogicalResult result = emitStage(stage, env);
  bool depends = probe_->decided;
  probe_ = std::nullopt;
  if (failed(result))
    return failure();
  if (!depends) {
    rounds.first = rounds.later = {};
    return success();
  }
  // Positions are remembered by address: what is not kept must not be freed before the end.
  while (!block->empty() && &block->back() != last)
    block->back().moveBefore(&dropped_, dropped_.begin());
  if (!rounds.later) {
    // Loops of one round or none: the first round's, and that of the others.
    Scalars s(b, loc, prologue), top(prologue.b, loc, prologue);
    Value next = s.add(at, step), second = top.add(rounds.start, step);
    Value end = rounds.up ? s.min(next, second) : s.max(next, second);
    Value begin = rounds.up ? s.max(at, second) : s.min(at, second);
    rounds.first = b.create<tile::ForOp>(loc, at, end, step);
    rounds.later = b.create<tile::ForOp>(loc, begin, next, step);
    Value iv = rounds.later.getIv();
    known(iv, extent);
    bounds_[iv] = rounds.up ? Bounds{1, 0} : Bounds{0, 1};
    if (!constantOf(rounds.start)) {
      known(rounds.start, extent);
      exact_[rounds.start] = extentMake(attnc::ExtentOp::Sub, {extent, extentConst(1)});
    }
  }
  TALLY("attn-to-tile: the first round of a stage by itself");
  auto emitIn = [&](tile::ForOp loop, Value position) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(&loop.getBody().front());
    Env own = env;
    assign(own, rounds.axis, position);
    return emitStage(stage, own);
  };
  return success(succeeded(emitIn(rounds.first, rounds.start)) &&
                 succeeded(emitIn(rounds.later, rounds.later.getIv())));
}

LogicalResult Emitter::emitKernel(Kernel &kernel) {
  kernel_ = &kernel;
  lastAlloc_ = nullptr;
  blocks_.clear();
  listed_.clear();
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
  if (failed(emitNodes(kernel.schedule, fixed)))
    return failure();
  // Of versions that were dropped.
  for (auto alloc : llvm::make_early_inc_range(op.getBody().getOps<tile::AllocOp>()))
    if (alloc->use_empty())
      alloc.erase();
  return success();
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
