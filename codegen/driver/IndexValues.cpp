//===- Values of index arithmetic in a tile program -----------------------===//
#include "codegen/driver/IndexValues.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "runtime/Extent.h"

using namespace mlir;

namespace attnc {

std::optional<int64_t> indexOp(Operation *op, ArrayRef<std::optional<int64_t>> operands) {
  if (auto c = dyn_cast<arith::ConstantOp>(op)) {
    auto i = dyn_cast<IntegerAttr>(c.getValue());
    return i ? std::optional(i.getValue().getSExtValue()) : std::nullopt;
  }
  if (isa<arith::SelectOp>(op))
    return operands[operands[0].value_or(1) ? 1 : 2];
  if (isa<arith::ExtUIOp, arith::ExtSIOp, arith::IndexCastOp, arith::TruncIOp>(op))
    return operands[0];
  if (isa<math::AbsIOp>(op) && operands[0])
    return *operands[0] < 0 ? int64_t(-uint64_t(*operands[0])) : *operands[0];
  if (operands.size() != 2 || !operands[0] || !operands[1])
    return std::nullopt;
  int64_t a = *operands[0], b = *operands[1];
  if (auto c = dyn_cast<arith::CmpIOp>(op)) {
    switch (c.getPredicate()) {
    case arith::CmpIPredicate::eq:
      return a == b;
    case arith::CmpIPredicate::ne:
      return a != b;
    case arith::CmpIPredicate::slt:
      return a < b;
    case arith::CmpIPredicate::sle:
      return a <= b;
    case arith::CmpIPredicate::sgt:
      return a > b;
    case arith::CmpIPredicate::sge:
      return a >= b;
    default:
      return std::nullopt;
    }
  }
  if (isa<arith::AddIOp>(op))
    return int64_t(uint64_t(a) + uint64_t(b));
  if (isa<arith::SubIOp>(op))
    return int64_t(uint64_t(a) - uint64_t(b));
  if (isa<arith::MulIOp>(op))
    return int64_t(uint64_t(a) * uint64_t(b));
  if (isa<arith::MinSIOp>(op))
    return std::min(a, b);
  if (isa<arith::MaxSIOp>(op))
    return std::max(a, b);
  if (isa<arith::AndIOp>(op))
    return a & b;
  if (isa<arith::OrIOp>(op))
    return a | b;
  if (isa<arith::XOrIOp>(op))
    return a ^ b;
  if (isa<arith::ShRSIOp>(op))
    return b >= 0 && b < 64 ? a >> b : 0;
  if (isa<arith::ShLIOp>(op))
    return b >= 0 && b < 64 ? int64_t(uint64_t(a) << b) : 0;
  bool divides = b != 0 && !(a == INT64_MIN && b == -1);
  if (isa<arith::FloorDivSIOp>(op))
    return divides ? floorDiv(a, b) : 0;
  if (isa<arith::CeilDivSIOp>(op))
    return divides ? -floorDiv(-a, b) : 0;
  if (isa<arith::DivSIOp>(op))
    return divides ? a / b : 0;
  if (isa<arith::RemSIOp>(op))
    return divides ? a % b : 0;
  return std::nullopt;
}

std::optional<int64_t> IndexValues::eval(Value v) const {
  llvm::DenseMap<Value, std::optional<int64_t>> seen; // an operand may be used twice at each of many levels
  return eval(v, seen);
}

std::optional<int64_t> IndexValues::eval(Value v, llvm::DenseMap<Value, std::optional<int64_t>> &seen) const {
  if (auto known = known_.find(v); known != known_.end())
    return known->second;
  Operation *op = v.getDefiningOp();
  if (!op || op->getNumOperands() > 3)
    return std::nullopt;
  if (auto found = seen.find(v); found != seen.end())
    return found->second;
  SmallVector<std::optional<int64_t>, 3> operands;
  for (Value operand : op->getOperands())
    operands.push_back(eval(operand, seen));
  return seen[v] = indexOp(op, operands);
}

} // namespace attnc
