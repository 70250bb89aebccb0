//===- Bodies of nests, evaluated in lanes --------------------------------===//
#include "codegen/cpu/Point.h"
#include "codegen/cpu/ClampedLoad.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"
#include "runtime/Tally.h"

using namespace mlir;
using namespace attnc;
using namespace attnc::cpu;

//===----------------------------------------------------------------------===//
// Ir
//===----------------------------------------------------------------------===//

std::optional<int64_t> cpu::constantOf(Value v) {
  APInt c;
  if (v && matchPattern(v, m_ConstantInt(&c)))
    return c.getSExtValue();
  return std::nullopt;
}

/// What one element of a storage type is in memory: bool takes a byte. Halves move as integers: for vectors of them
/// LLVM has masked accesses, for vectors of bf16 it falls back to conversions through a library.
static Type memoryType(Type elem) {
  if (elem.isInteger(1))
    return IntegerType::get(elem.getContext(), 8);
  return elem.isBF16() || elem.isF16() ? IntegerType::get(elem.getContext(), 16) : elem;
}

static unsigned byteSize(Type elem) { return memoryType(elem).getIntOrFloatBitWidth() / 8; }

Value Ir::offset(Type elem, Value base, Value offset) {
  if (constantOf(offset) == 0)
    return base;
  return create<LLVM::GEPOp>(ptr(), memoryType(elem), base, ArrayRef<LLVM::GEPArg>{offset});
}

// Folding looks for the constant on the right.
Value Ir::add(Value a, Value b) {
  return constantOf(a) && !constantOf(b) ? createOrFold<arith::AddIOp>(b, a) : createOrFold<arith::AddIOp>(a, b);
}
Value Ir::mul(Value a, Value b) {
  return constantOf(a) && !constantOf(b) ? createOrFold<arith::MulIOp>(b, a) : createOrFold<arith::MulIOp>(a, b);
}

Value Ir::iota(unsigned width) {
  SmallVector<int64_t> lanes(width);
  for (unsigned i = 0; i < width; ++i)
    lanes[i] = i;
  return create<arith::ConstantOp>(getI64VectorAttr(lanes));
}

Value Ir::splat(Value scalar, unsigned width) {
  if (width == 1)
    return scalar;
  return create<vector::SplatOp>(VectorType::get({int64_t(width)}, scalar.getType()), scalar);
}

Value Ir::lanesBelow(Value count, unsigned width) {
  return lanesThat(arith::CmpIPredicate::slt,
                   create<arith::TruncIOp>(getI32Type(), max(min(count, i64(width)), i64(0))), width);
}

Value Ir::lanesThat(arith::CmpIPredicate predicate, Value bound, unsigned width) {
  // In 32 bits, one register of 16 lanes.
  SmallVector<int32_t> lanes(width);
  for (unsigned i = 0; i < width; ++i)
    lanes[i] = i;
  return create<arith::CmpIOp>(predicate, create<arith::ConstantOp>(getI32VectorAttr(lanes)), splat(bound, width));
}

SmallVector<Value> Ir::loop(Value lo, Value hi, Value step, ValueRange init,
                            function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  auto op = create<scf::ForOp>(lo, hi, step, init);
  OpBuilder::InsertionGuard guard(*this);
  if (init.empty())
    setInsertionPoint(op.getBody()->getTerminator());
  else
    setInsertionPointToStart(op.getBody());
  SmallVector<Value> next = body(op.getInductionVar(), op.getRegionIterArgs());
  if (!init.empty())
    create<scf::YieldOp>(next);
  return SmallVector<Value>(op.getResults());
}

void Ir::when(Value condition, function_ref<void()> then, function_ref<void()> otherwise) {
  if (auto c = constantOf(condition)) {
    if (*c)
      then();
    else if (otherwise)
      otherwise();
    return;
  }
  auto op = create<scf::IfOp>(condition, bool(otherwise));
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPoint(op.thenYield());
  then();
  if (otherwise) {
    setInsertionPoint(op.elseYield());
    otherwise();
  }
}

//===----------------------------------------------------------------------===//
// Lanes
//===----------------------------------------------------------------------===//

Lane Point::get(Value v) {
  auto it = lanes.find(v);
  if (it != lanes.end())
    return it->second;
  if (scope.values.contains(v))
    return {Lane::Uniform, scope.values.lookup(v), {}};
  // A constant from outside: made again here, folding merges the copies.
  Operation *copy = ir.clone(*v.getDefiningOp());
  Lane lane{Lane::Uniform, copy->getResult(0), {}};
  lanes[v] = lane;
  return lane;
}

SmallVector<Lane> Point::getAll(ValueRange values) {
  SmallVector<Lane> all;
  for (Value v : values)
    all.push_back(get(v));
  return all;
}

Value Point::full(Lane lane) {
  if (width == 1 || lane.kind == Lane::Vector)
    return lane.value;
  Value base = ir.splat(lane.value, width);
  if (lane.kind == Lane::Uniform)
    return base;
  return ir.create<arith::AddIOp>(base, ir.create<arith::MulIOp>(ir.iota(width), ir.splat(lane.step, width)));
}

/// Sums, differences and multiples of linear values stay linear; null kind Vector with no value: not of this form.
Lane Point::emitInteger(Operation *op) {
  Lane a = get(op->getOperand(0)), b = get(op->getOperand(1));
  Lane none{Lane::Vector, {}, {}};
  if (a.kind == Lane::Vector || b.kind == Lane::Vector)
    return none;
  auto step = [&](const Lane &l) { return l.kind == Lane::Linear ? l.step : ir.i64(0); };
  if (isa<arith::AddIOp>(op))
    return {Lane::Linear, ir.add(a.value, b.value), ir.add(step(a), step(b))};
  if (isa<arith::SubIOp>(op))
    return {Lane::Linear, ir.sub(a.value, b.value), ir.sub(step(a), step(b))};
  if (isa<arith::MulIOp>(op) && (a.kind == Lane::Uniform || b.kind == Lane::Uniform)) {
    Value factor = a.kind == Lane::Uniform ? a.value : b.value;
    Value s = a.kind == Lane::Uniform ? step(b) : step(a);
    return {Lane::Linear, ir.mul(a.value, b.value), ir.mul(s, factor)};
  }
  return none;
}

/// The other way round: x p y is y q x.
static std::optional<arith::CmpIPredicate> turned(arith::CmpIPredicate p) {
  using P = arith::CmpIPredicate;
  switch (p) {
  case P::eq:
  case P::ne:
    return p;
  case P::slt:
    return P::sgt;
  case P::sle:
    return P::sge;
  case P::sgt:
    return P::slt;
  case P::sge:
    return P::sle;
  default:
    return std::nullopt;
  }
}

/// A comparison of integers in 32 bits, where that is the same; else null.
Value Point::emitNarrow(arith::CmpIOp op) {
  Lane a = get(op.getLhs()), b = get(op.getRhs());
  std::optional<arith::CmpIPredicate> predicate = op.getPredicate(), other = turned(*predicate);
  if (!other || !op.getLhs().getType().isInteger(64))
    return {};
  if (a.kind == Lane::Uniform) {
    std::swap(a, b);
    std::swap(predicate, other);
  }
  std::optional<int64_t> step = a.kind == Lane::Linear ? constantOf(a.step) : std::nullopt;
  if (b.kind == Lane::Uniform && step && (*step == 1 || *step == -1)) {
    // position + lane p bound, so lane p bound - position; position - lane p bound, so lane q position - bound.
    Value most = *step > 0 ? b.value : a.value, least = *step > 0 ? a.value : b.value;
    Value n = ir.create<arith::MinUIOp>(ir.sub(most, least), ir.i64(width));
    n = ir.createOrFold<arith::SelectOp>(ir.less(most, least), ir.i64(-1), n);
    return ir.lanesThat(*step > 0 ? *predicate : *other, ir.create<arith::TruncIOp>(ir.getI32Type(), n), width);
  }
  auto narrow = [&](const Lane &lane) -> Value {
    auto from = lane.kind == Lane::Linear ? arith::ExtSIOp() : lane.value.getDefiningOp<arith::ExtSIOp>();
    if (!from || !getElementTypeOrSelf(from.getIn()).isInteger(32))
      return {};
    return lane.kind == Lane::Uniform ? ir.splat(from.getIn(), width) : from.getIn();
  };
  Value x = narrow(a), y = x ? narrow(b) : Value();
  return y ? Value(ir.create<arith::CmpIOp>(*predicate, x, y)) : Value();
}

void Point::emit(Operation *op) {
  done.insert(op);
  if (isa<tile::YieldOp>(op))
    return;
  if (auto load = dyn_cast<tile::LoadOp>(op))
    return emitLoad(load);
  if (auto st = dyn_cast<tile::StoreOp>(op)) {
    Lane value = get(st.getValue());
    bool uniform = value.kind == Lane::Uniform;
    return store(uniform ? value.value : full(value), uniform, scope.buffers.lookup(st.getBuffer()),
                 getAll(st.getIndices()), {});
  }
  if (auto update = dyn_cast<tile::UpdateOp>(op))
    return emitUpdate(update);

  bool uniform = llvm::all_of(op->getOperands(), [&](Value v) { return get(v).kind == Lane::Uniform; });
  if (!uniform && op->getNumOperands() == 2 && op->getResult(0).getType().isInteger(64)) {
    Lane lane = emitInteger(op);
    if (lane.value && constantOf(lane.step) == 0)
      lane = {Lane::Uniform, lane.value, {}};
    if (lane.value)
      return bind(op->getResult(0), lane);
  }
  if (auto compare = dyn_cast<arith::CmpIOp>(op); compare && !uniform)
    if (Value lanes = emitNarrow(compare))
      return bind(op->getResult(0), Lane{Lane::Vector, lanes, {}});
  // The same op on scalars or on whole vectors: every op allowed in a body is elementwise.
  OperationState state(ir.getLoc(), op->getName());
  for (Value v : op->getOperands())
    state.addOperands(uniform ? get(v).value : full(v));
  for (Type type : op->getResultTypes())
    state.addTypes(uniform ? type : Type(VectorType::get({int64_t(width)}, type)));
  state.attributes.append(op->getAttrDictionary().begin(), op->getAttrDictionary().end());
  // Contraction to fma is the one liberty taken with float arithmetic; NaN and inf behave as written.
  if (isa<arith::AddFOp, arith::SubFOp, arith::MulFOp>(op))
    state.attributes.set("fastmath", arith::FastMathFlagsAttr::get(op->getContext(), arith::FastMathFlags::contract));
  Operation *made = ir.create(state);
  for (auto [old, value] : llvm::zip(op->getResults(), made->getResults()))
    bind(old, Lane{uniform ? Lane::Uniform : Lane::Vector, value, {}});
}

void Point::emitReady(Block &block, const DenseSet<Value> &written) {
  for (Operation &op : block) {
    if (done.count(&op) || isa<tile::StoreOp, tile::UpdateOp, tile::YieldOp>(op))
      continue;
    if (auto load = dyn_cast<tile::LoadOp>(op); load && written.count(load.getBuffer()))
      continue;
    if (llvm::all_of(op.getOperands(), [&](Value v) { return isa<tile::BufType>(v.getType()) || known(v); }))
      emit(&op);
  }
}

void Point::adopt(const Point &other, ArrayRef<Operation *> ops) {
  for (Operation *op : ops)
    if (other.done.count(op) && done.insert(op).second)
      for (Value v : op->getResults())
        bind(v, other.lanes.lookup(v));
}

void Point::emitRest(Block &block) {
  for (Operation &op : block)
    if (!done.count(&op))
      emit(&op);
}

void Point::emitBefore(Operation *end) {
  for (Operation *op = &end->getBlock()->front(); op != end; op = op->getNextNode())
    if (!done.count(op))
      emit(op);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Point::Address Point::address(const Buffer &buffer, ArrayRef<Lane> indices) {
  Value base = ir.i64(0), stride, offsets;
  for (auto [d, index] : llvm::enumerate(indices)) {
    Value s = buffer.strides[d];
    if (index.kind == Lane::Vector) {
      Value term = constantOf(s) == 1 ? index.value : ir.create<arith::MulIOp>(index.value, ir.splat(s, width));
      offsets = offsets ? ir.create<arith::AddIOp>(offsets, term) : term;
      continue;
    }
    base = ir.add(base, ir.mul(index.value, s));
    if (index.kind == Lane::Linear) {
      Value term = ir.mul(index.step, s);
      stride = stride ? ir.add(stride, term) : term;
    }
  }
  if (stride && constantOf(stride) == 0)
    stride = {};
  Address a{ir.offset(buffer.elem, buffer.base, base), stride, offsets};
  if (offsets && stride) {
    a.offsets = ir.create<arith::AddIOp>(offsets, ir.create<arith::MulIOp>(ir.iota(width), ir.splat(stride, width)));
    a.stride = {};
  }
  return a;
}

Value Point::pointers(const Address &a, Type memory) {
  Value offsets = a.offsets
                      ? a.offsets
                      : ir.create<arith::MulIOp>(ir.iota(width), ir.splat(a.stride ? a.stride : ir.i64(0), width));
  auto type = LLVM::LLVMFixedVectorType::get(ir.ptr(), width);
  return ir.create<LLVM::GEPOp>(type, memory, a.ptr, ArrayRef<LLVM::GEPArg>{offsets});
}

/// From memory to the compute type.
static Value widen(Ir &ir, Value v, Type elem) {
  auto like = [&](Type t) -> Type {
    if (auto vec = dyn_cast<VectorType>(v.getType()))
      return VectorType::get(vec.getShape(), t);
    return t;
  };
  if (elem.isBF16() || elem.isF16())
    return ir.create<arith::ExtFOp>(like(ir.getF32Type()), Value(ir.create<arith::BitcastOp>(like(elem), v)));
  if (elem.isInteger(32))
    return ir.create<arith::ExtSIOp>(like(ir.getI64Type()), v);
  if (elem.isInteger(1))
    return ir.create<arith::CmpIOp>(arith::CmpIPredicate::ne, v,
                                    ir.create<arith::ConstantOp>(ir.getZeroAttr(v.getType())));
  return v;
}

/// From the compute type to memory.
static Value narrow(Ir &ir, Value v, Type elem) {
  auto like = [&](Type t) -> Type {
    if (auto vec = dyn_cast<VectorType>(v.getType()))
      return VectorType::get(vec.getShape(), t);
    return t;
  };
  if (elem.isBF16() || elem.isF16())
    return ir.create<arith::BitcastOp>(like(ir.getIntegerType(16)), Value(ir.create<arith::TruncFOp>(like(elem), v)));
  if (elem.isInteger(32))
    return ir.create<arith::TruncIOp>(like(elem), v);
  if (elem.isInteger(1))
    return ir.create<arith::ExtUIOp>(like(ir.getI8Type()), v);
  return v;
}

void Point::emitNeeded(Value v) {
  if (known(v))
    return;
  for (Value operand : v.getDefiningOp()->getOperands())
    if (!isa<tile::BufType>(operand.getType()))
      emitNeeded(operand);
  emit(v.getDefiningOp());
}

std::pair<Value, Value> Point::place(Value buffer, ValueRange indices) {
  for (Value index : indices)
    emitNeeded(index);
  Address a = address(scope.buffers.lookup(buffer), getAll(indices));
  return {a.ptr, a.stride};
}

void Point::store(tile::StoreOp op, Value value) {
  for (Value index : op.getIndices())
    emitNeeded(index);
  store(value, false, scope.buffers.lookup(op.getBuffer()), getAll(op.getIndices()), {});
}

void Point::emitLoad(tile::LoadOp op) {
  const Buffer buffer = scope.buffers.lookup(op.getBuffer());
  SmallVector<Lane> indices = getAll(op.getIndices());
  // A clamp in the last index alone: its neighbours are neighbours in memory without it.
  if (width > 1 && !indices.empty() && indices.back().kind == Lane::Vector && constantOf(buffer.strides.back()) == 1 &&
      llvm::all_of(ArrayRef(indices).drop_back(), [](const Lane &lane) { return lane.kind == Lane::Uniform; }))
    if (auto clamped = clampedIndex(op, indices.size() - 1, [&](Value v) { return get(v).kind != Lane::Uniform; }))
      if (Lane at = get(clamped->position); at.kind == Lane::Linear && constantOf(at.step) == 1)
        return bind(op, loadClamped(buffer, indices, *clamped));
  bind(op, load(buffer, indices));
}

Lane Point::loadClamped(const Buffer &buffer, SmallVector<Lane> indices, const ClampedIndex &clamped) {
  TALLY("cpu: a masked load instead of a clamped one");
  Lane position = get(clamped.position);
  Value inside = mask, otherwise;
  ArrayRef<ClampedIndex::Clamp> clamps = clamped.clamps;
  /// `at` after the outermost `count` clamps.
  auto apply = [&](Value at, size_t count) {
    for (const ClampedIndex::Clamp &clamp : llvm::reverse(clamps.take_front(count))) {
      Value bound = get(clamp.bound).value;
      at = clamp.most ? ir.min(at, bound) : ir.max(at, bound);
    }
    return at;
  };
  for (auto [i, clamp] : llvm::enumerate(clamps)) {
    Value holds;
    if (clamp.condition) {
      emitNeeded(clamp.condition);
      holds = full(clamp.condition);
    } else {
      Value bound = get(clamp.bound).value;
      holds = ir.create<arith::CmpIOp>(clamp.most ? arith::CmpIPredicate::sle : arith::CmpIPredicate::sge,
                                       full(position), ir.splat(bound, width));
      // The element at the bound may not be touched, or not exist, where no lane is past it.
      Value kept =
          mask ? Value(ir.create<arith::OrIOp>(
                     holds, ir.create<arith::XOrIOp>(mask, ir.splat(ir.create<arith::ConstantIntOp>(1, 1), width))))
               : holds;
      Value none = ir.create<vector::ReductionOp>(vector::CombiningKind::AND, kept);
      Value at = ir.createOrFold<arith::SelectOp>(none, apply(position.value, clamps.size()), apply(bound, i));
      indices.back() = {Lane::Uniform, at, {}};
      Value there =
          ir.create<LLVM::LoadOp>(memoryType(buffer.elem), address(buffer, indices).ptr, byteSize(buffer.elem));
      there = ir.splat(there, width);
      otherwise = otherwise ? Value(ir.create<arith::SelectOp>(holds, otherwise, there)) : there;
    }
    inside = inside ? Value(ir.create<arith::AndIOp>(inside, holds)) : holds;
  }
  indices.back() = position;
  Value all = std::exchange(mask, inside);
  Lane loaded = load(buffer, indices, otherwise);
  mask = all;
  return loaded;
}

Lane Point::load(const Buffer &buffer, ArrayRef<Lane> indices, Value otherwise) {
  Address a = address(buffer, indices);
  Type memory = memoryType(buffer.elem);
  unsigned align = byteSize(buffer.elem);
  if (width == 1 || (!a.stride && !a.offsets))
    return {Lane::Uniform, widen(ir, ir.create<LLVM::LoadOp>(memory, a.ptr, align), buffer.elem), {}};
  auto type = VectorType::get({int64_t(width)}, memory);
  Value v;
  if (!a.offsets && constantOf(a.stride) == 1) {
    if (mask)
      TALLY("cpu: a masked load");
    else
      TALLY("cpu: a load of neighbours");
    if (!otherwise)
      otherwise = ir.create<arith::ConstantOp>(ir.getZeroAttr(type));
    if (mask)
      v = ir.create<LLVM::MaskedLoadOp>(type, a.ptr, mask, otherwise, align);
    else
      v = ir.create<LLVM::LoadOp>(type, a.ptr, align);
  } else if (!a.offsets && !mask) {
    // One by one: a third of the time of a gather.
    TALLY("cpu: a load of equal steps");
    SmallVector<Value> lanes;
    // A cache line for each element, it may be, which is more than the hardware has under way by itself.
    constexpr int64_t kAhead = 8;
    if (scope.streams && !constantOf(a.stride))
      for (unsigned i = 0; i < width; ++i)
        ir.create<LLVM::Prefetch>(ir.offset(memory, a.ptr, ir.mul(a.stride, ir.i64(kAhead * width + i))), 0, 3, 1);
    for (unsigned i = 0; i < width; ++i)
      lanes.push_back(ir.create<LLVM::LoadOp>(memory, ir.offset(memory, a.ptr, ir.mul(a.stride, ir.i64(i))), align));
    v = ir.create<vector::FromElementsOp>(type, lanes);
  } else {
    Value on = mask ? mask : ir.splat(ir.create<arith::ConstantIntOp>(1, 1), width);
    TALLY("cpu: a gather");
    v = ir.create<LLVM::masked_gather>(type, pointers(a, memory), on,
                                       ir.create<arith::ConstantOp>(ir.getZeroAttr(type)).getResult(), align);
  }
  return {Lane::Vector, widen(ir, v, buffer.elem), {}};
}

void Point::store(Value value, bool uniform, const Buffer &buffer, ArrayRef<Lane> indices, Value condition) {
  Address a = address(buffer, indices);
  Type memory = memoryType(buffer.elem);
  unsigned align = byteSize(buffer.elem);
  Value stored = narrow(ir, value, buffer.elem);
  if (width == 1) {
    if (!condition) {
      ir.create<LLVM::StoreOp>(stored, a.ptr, align);
      return;
    }
    ir.when(condition, [&] { ir.create<LLVM::StoreOp>(stored, a.ptr, align); });
    return;
  }
  if (uniform)
    stored = ir.splat(stored, width);
  Value on = mask && condition ? Value(ir.create<arith::AndIOp>(mask, condition)) : mask ? mask : condition;
  if (!a.offsets && a.stride && constantOf(a.stride) == 1) {
    if (on)
      TALLY("cpu: a masked store");
    else
      TALLY("cpu: a store of neighbours");
    if (on)
      ir.create<LLVM::MaskedStoreOp>(stored, a.ptr, on, align);
    else
      ir.create<LLVM::StoreOp>(stored, a.ptr, align);
    return;
  }
  if (!on && !a.offsets) {
    // One by one, as loads are.
    TALLY("cpu: a store of equal steps");
    for (unsigned i = 0; i < width; ++i)
      ir.create<LLVM::StoreOp>(Value(ir.create<vector::ExtractOp>(stored, int64_t(i))),
                               ir.offset(memory, a.ptr, ir.mul(a.stride ? a.stride : ir.i64(0), ir.i64(i))), align);
    return;
  }
  if (!on)
    on = ir.splat(ir.create<arith::ConstantIntOp>(1, 1), width);
  TALLY("cpu: a store lane by lane");
  ir.create<LLVM::masked_scatter>(stored, pointers(a, memory), on, align);
}

void Point::emitUpdate(tile::UpdateOp op) {
  const Buffer buffer = scope.buffers.lookup(op.getBuffer());
  SmallVector<Lane> indices = getAll(op.getIndices());
  Lane old = load(buffer, indices);
  TALLY("cpu: an update");
  Value condition;
  if (op.getCondition()) {
    Lane c = get(op.getCondition());
    condition = width == 1 ? c.value : full(c);
  }
  Value value = tile::combine(ir, op.getCombiner(), full(old), full(op.getValue()));
  store(value, false, buffer, indices, condition);
}
