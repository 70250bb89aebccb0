//===- What a combiner does, as arith ops ---------------------------------===//
#include "dialect/tile/Combiners.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/TypeUtilities.h"
#include <limits>

using namespace mlir;
using namespace attnc;
using namespace attnc::tile;

Value tile::combine(ImplicitLocOpBuilder &b, Combiner kind, Value x, Value y) {
  bool real = isa<FloatType>(getElementTypeOrSelf(x.getType()));
  switch (kind) {
  case Combiner::Sum:
    return real ? Value(b.create<arith::AddFOp>(x, y)) : Value(b.create<arith::AddIOp>(x, y));
  case Combiner::Prod:
    return real ? Value(b.create<arith::MulFOp>(x, y)) : Value(b.create<arith::MulIOp>(x, y));
  case Combiner::Max:
    return real ? Value(b.create<arith::MaximumFOp>(x, y)) : Value(b.create<arith::MaxSIOp>(x, y));
  case Combiner::Min:
    return real ? Value(b.create<arith::MinimumFOp>(x, y)) : Value(b.create<arith::MinSIOp>(x, y));
  case Combiner::Any:
    return b.create<arith::OrIOp>(x, y);
  default:
    return b.create<arith::AndIOp>(x, y);
  }
}

Value tile::identity(ImplicitLocOpBuilder &b, Combiner kind, Type type) {
  auto constant = [&](double real, int64_t integer) -> Value {
    if (auto f = dyn_cast<FloatType>(type))
      return b.create<arith::ConstantOp>(b.getFloatAttr(f, real));
    return b.create<arith::ConstantOp>(b.getIntegerAttr(type, integer));
  };
  constexpr double inf = std::numeric_limits<double>::infinity();
  switch (kind) {
  case Combiner::Prod:
    return constant(1, 1);
  case Combiner::Max:
    return constant(-inf, std::numeric_limits<int64_t>::min());
  case Combiner::Min:
    return constant(inf, std::numeric_limits<int64_t>::max());
  case Combiner::All:
    return constant(1, 1);
  default:
    return constant(0, 0);
  }
}
