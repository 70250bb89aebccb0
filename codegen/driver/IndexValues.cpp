//===- Values of index arithmetic in a tile program -----------------------===//
#include "codegen/driver/IndexValues.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "runtime/Extent.h"

using namespace mlir;

namespace attnc {

std::optional<int64_t> IndexValues::eval(Value v) const {
  auto known = known_.find(v);
  if (known != known_.end())
    return known->second;
  Operation *op = v.getDefiningOp();
  if (!op)
    return std::nullopt;
  if (auto c = dyn_cast<arith::ConstantOp>(op)) {
    if (auto i = dyn_cast<IntegerAttr>(c.getValue()))
      return i.getValue().getSExtValue();
    return std::nullopt;
  }
  if (auto s = dyn_cast<arith::SelectOp>(op)) {
    // A condition on data asks whether something may be skipped: the usual answer is yes.
    return eval(eval(s.getCondition()).value_or(1) ? s.getTrueValue() : s.getFalseValue());
  }
  if (isa<arith::ExtUIOp, arith::ExtSIOp, arith::IndexCastOp, arith::TruncIOp>(op))
    return eval(op->getOperand(0));
  if (op->getNumOperands() != 2)
    return std::nullopt;
  auto x = eval(op->getOperand(0)), y = eval(op->getOperand(1));
  if (!x || !y)
    return std::nullopt;
  int64_t a = *x, b = *y;
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

} // namespace attnc
