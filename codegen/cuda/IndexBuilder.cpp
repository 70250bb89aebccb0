//===- What the emitter of kernels is written in --------------------------===//
#include "codegen/cuda/IndexBuilder.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace attnc::cuda {

std::optional<int64_t> IndexBuilder::constantOf(Value v) {
  APInt c;
  if (matchPattern(v, m_ConstantInt(&c)))
    return c.getSExtValue();
  return std::nullopt;
}

Value IndexBuilder::add(Value a, Value b) {
  if (constantOf(a) == 0)
    return b;
  return constantOf(b) == 0 ? a : createOrFold<arith::AddIOp>(a, b, arith::IntegerOverflowFlags::nsw);
}

Value IndexBuilder::sub(Value a, Value b) {
  return constantOf(b) == 0 ? a : createOrFold<arith::SubIOp>(a, b, arith::IntegerOverflowFlags::nsw);
}

Value IndexBuilder::mul(Value a, Value b) {
  if (constantOf(a) == 1)
    return b;
  if (constantOf(a) == 0)
    return a;
  return constantOf(b) == 1 ? a : createOrFold<arith::MulIOp>(a, b, arith::IntegerOverflowFlags::nsw);
}

void IndexBuilder::takeNote(Operation *op) {
  if (!note.empty())
    op->setAttr("attnc.note", getStringAttr(note));
  note.clear();
}

void IndexBuilder::loop(Value lo, Value hi, Value step, function_ref<void(Value)> body) {
  auto op = create<scf::ForOp>(lo, hi, step);
  takeNote(op);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPoint(op.getBody()->getTerminator());
  body(op.getInductionVar());
}

SmallVector<Value> IndexBuilder::carry(Value lo, Value hi, Value step, ValueRange init,
                                       function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  auto op = create<scf::ForOp>(lo, hi, step, init);
  takeNote(op);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(op.getBody());
  SmallVector<Value> next = body(op.getInductionVar(), op.getRegionIterArgs());
  create<scf::YieldOp>(next);
  return SmallVector<Value>(op.getResults());
}

void IndexBuilder::when(Value condition, function_ref<void()> body) {
  auto op = create<scf::IfOp>(condition, /*withElseRegion=*/false);
  takeNote(op);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPoint(op.thenYield());
  body();
}

Value DeviceBuilder::call(StringRef name, Type result, ArrayRef<Value> args) {
  std::string symbol = name.str();
  llvm::raw_string_ostream os(symbol);
  for (Value v : args) {
    Type type = v.getType();
    if (auto memory = dyn_cast<MemRefType>(type))
      type = memory.getElementType();
    os << "_" << type;
  }
  SmallVector<Type> results;
  if (result)
    results.push_back(result);
  if (!device_.lookupSymbol(symbol)) {
    OpBuilder::InsertionGuard guard(*this);
    setInsertionPointToStart(device_.getBody());
    auto declared = create<func::FuncOp>(symbol, getFunctionType(TypeRange(ValueRange(args)), results));
    declared.setPrivate();
    declared->setAttr("attnc.name", getStringAttr(name));
  }
  auto op = create<func::CallOp>(symbol, results, args);
  return result ? op.getResult(0) : Value();
}

Value DeviceBuilder::divSmall(Value a, Value b) {
  auto n = constantOf(a), by = constantOf(b);
  if (by == 1)
    return a;
  return n && by && *by > 0 ? i64(*n / *by) : call("div_small", getI64Type(), {a, b});
}

SmallVector<Value> DeviceBuilder::digits(Value point, ArrayRef<Value> extents, bool any) {
  SmallVector<Value> out(extents.size());
  if (out.empty())
    return out;
  for (size_t d = extents.size(); d-- > 1;) {
    Value rest = any ? call("div_point", getI64Type(), {point, extents[d]}) : divSmall(point, extents[d]);
    out[d] = sub(point, mul(rest, extents[d]));
    point = rest;
  }
  out[0] = point;
  return out;
}

void DeviceBuilder::walk(Value first, Value offset, Value end, Value step, ArrayRef<Value> extents,
                         function_ref<void(Value, ValueRange)> body) {
  auto last = constantOf(end), width = constantOf(step);
  if (last && width && *last <= *width && constantOf(offset) == 0) { // one round is enough
    when(less(first, end), [&] { body(first, digits(first, extents)); });
    return;
  }
  if (extents.size() < 2) {
    loop(first, end, step, [&](Value i) {
      Value point = add(i, offset);
      body(point, extents.empty() ? ValueRange() : ValueRange(point));
    });
    return;
  }
  if (compact) { // counting is fast, but some thirty lines for three dims
    loop(first, end, step, [&](Value i) {
      Value point = add(i, offset);
      body(point, digits(point, extents, /*any=*/true));
    });
    return;
  }
  SmallVector<Value> by = digits(step, extents);
  carry(first, end, step, digits(add(first, offset), extents), [&](Value i, ValueRange at) {
    body(add(i, offset), at);
    SmallVector<Value> next(extents.size());
    Value over = i64(0);
    for (size_t d = extents.size(); d-- > 1;) {
      Value sum = add(add(at[d], by[d]), over), within = less(sum, extents[d]);
      next[d] = create<arith::SelectOp>(within, sum, sub(sum, extents[d]));
      over = create<arith::SelectOp>(within, i64(0), i64(1));
    }
    next[0] = add(add(at[0], by[0]), over);
    return next;
  });
}

} // namespace attnc::cuda
