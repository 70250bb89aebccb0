//===- Making attn ops, and which of them lie on a cycle -------------------===//
#include "passes/attn/Build.h"
#include "mlir/IR/BuiltinOps.h"
#include "runtime/Components.h"
#include "llvm/ADT/SmallVector.h"
#include <cmath>

using namespace mlir;

namespace attnc::attn {

Operation *Build::placeholder(Type type) {
  return b_.create<UnrealizedConversionCastOp>(loc_, TypeRange(type), ValueRange());
}

Value identityOf(Build &b, Reduction red, Type elem) {
  bool isReal = isa<FloatType>(elem);
  switch (red) {
  case Reduction::Any:
    return b.boolean(false);
  case Reduction::All:
    return b.boolean(true);
  case Reduction::Prod:
    return isReal ? b.real(1, elem) : b.integer(1);
  case Reduction::Max:
  case Reduction::LogSumExp:
    return isReal ? b.real(-Build::inf, elem) : b.integer(std::numeric_limits<int64_t>::min());
  case Reduction::Min:
    return isReal ? b.real(Build::inf, elem) : b.integer(std::numeric_limits<int64_t>::max());
  default:
    return isReal ? b.real(0, elem) : b.integer(0);
  }
}

Value lookThrough(Value v) {
  for (auto eq = v.getDefiningOp<EquationOp>(); eq && !eq.getCycle(); eq = v.getDefiningOp<EquationOp>())
    v = eq.getBody();
  return v;
}

void addFactors(Value v, SmallVectorImpl<Value> &into) {
  v = lookThrough(v);
  if (auto map = v.getDefiningOp<MapOp>(); map && map.getFn() == MapFn::Mul) {
    for (Value arg : map.getArgs())
      addFactors(arg, into);
    return;
  }
  into.push_back(v);
}

MapOp mapOf(Value v, MapFn fn) {
  auto map = lookThrough(v).getDefiningOp<MapOp>();
  return map && map.getFn() == fn ? map : MapOp();
}

bool isOfExtents(Value v, bool positive) {
  v = lookThrough(v);
  if (v.getDefiningOp<attn::ExtentOp>())
    return true;
  if (std::optional<int64_t> c = constInt(v))
    return *c > 0;
  if (std::optional<double> c = constReal(v))
    return (*c > 0 || !positive) && std::fabs(*c) > 0x1p-60 && std::fabs(*c) < 0x1p60;
  auto map = v.getDefiningOp<MapOp>();
  if (!map)
    return false;
  switch (map.getFn()) {
  case MapFn::Pow:
    if (std::optional<double> c = constReal(lookThrough(map.getArgs()[1])); !c || std::fabs(*c) > 2)
      return false;
    return isOfExtents(map.getArgs()[0], positive);
  case MapFn::Mul:
  case MapFn::Div:
    return isOfExtents(map.getArgs()[0], positive) && isOfExtents(map.getArgs()[1], positive);
  case MapFn::ToF32:
  case MapFn::ToF64:
  case MapFn::Sqrt:
  case MapFn::Rsqrt:
    return isOfExtents(map.getArgs()[0], positive);
  default:
    return false;
  }
}

int64_t freshCycle(MixerOp mixer) {
  int64_t next = 0;
  for (EquationOp equation : mixer.getBody()->getOps<EquationOp>())
    if (std::optional<int64_t> cycle = equation.getCycle())
      next = std::max(next, *cycle + 1);
  return next;
}

llvm::DenseMap<Operation *, unsigned> cycleParts(MixerOp mixer) {
  llvm::DenseMap<Operation *, int> number;
  SmallVector<Operation *> ops;
  SmallVector<int> all;
  for (Operation &op : *mixer.getBody()) {
    all.push_back(int(ops.size()));
    number[&op] = all.back();
    ops.push_back(&op);
  }
  auto readsOf = [&](int n) {
    SmallVector<int> reads;
    for (Value operand : ops[n]->getOperands())
      if (Operation *def = operand.getDefiningOp())
        reads.push_back(number.at(def));
    return reads;
  };
  llvm::DenseMap<Operation *, unsigned> parts;
  unsigned count = 0;
  for (const std::vector<int> &component : components(all, readsOf)) {
    if (component.size() == 1 && !llvm::is_contained(readsOf(component[0]), component[0]))
      continue;
    for (int n : component)
      parts[ops[n]] = count;
    ++count;
  }
  return parts;
}

} // namespace attnc::attn
