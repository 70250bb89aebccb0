//===- Elementwise functions as arith and math ops on scalars -------------===//
#include "passes/attn/AttnToTileScalar.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace attnc::totile {

Value Prologue::constant(TypedAttr value, Location loc) {
  Value &known = constants_[value];
  if (!known)
    known = b.create<arith::ConstantOp>(loc, value);
  return known;
}

std::optional<int64_t> constantOf(Value v) {
  APInt value;
  if (v.getType().isInteger(64) && matchPattern(v, m_ConstantInt(&value)))
    return value.getSExtValue();
  return std::nullopt;
}

std::optional<bool> booleanOf(Value v) {
  APInt value;
  if (v.getType().isInteger(1) && matchPattern(v, m_ConstantInt(&value)))
    return !value.isZero();
  return std::nullopt;
}

Value Scalars::min(Value x, Value y) {
  auto cx = constantOf(x), cy = constantOf(y);
  return cx && cy ? integer(std::min(*cx, *cy)) : b.create<arith::MinSIOp>(loc, x, y).getResult();
}

Value Scalars::max(Value x, Value y) {
  auto cx = constantOf(x), cy = constantOf(y);
  return cx && cy ? integer(std::max(*cx, *cy)) : b.create<arith::MaxSIOp>(loc, x, y).getResult();
}

Value Scalars::add(Value x, Value y) {
  auto cx = constantOf(x), cy = constantOf(y);
  if (cx && cy)
    return integer(int64_t(uint64_t(*cx) + uint64_t(*cy)));
  if (cx && *cx == 0)
    return y;
  if (cy && *cy == 0)
    return x;
  return b.create<arith::AddIOp>(loc, x, y);
}

Value Scalars::sub(Value x, Value y) {
  auto cx = constantOf(x), cy = constantOf(y);
  if (cx && cy)
    return integer(int64_t(uint64_t(*cx) - uint64_t(*cy)));
  if (cy && *cy == 0)
    return x;
  return b.create<arith::SubIOp>(loc, x, y);
}

Value Scalars::mul(Value x, Value y) {
  auto cx = constantOf(x), cy = constantOf(y);
  if (cx && cy)
    return integer(int64_t(uint64_t(*cx) * uint64_t(*cy)));
  if ((cx && *cx == 1) || (cy && *cy == 0))
    return y;
  if ((cy && *cy == 1) || (cx && *cx == 0))
    return x;
  return b.create<arith::MulIOp>(loc, x, y);
}

Value Scalars::divide(Value x, int64_t by) {
  if (auto c = constantOf(x))
    return integer(floorDiv(*c, by));
  if (by == 1)
    return x;
  if ((by & (by - 1)) == 0)
    return b.create<arith::ShRSIOp>(loc, x, integer(ilog2(by)));
  return b.create<arith::FloorDivSIOp>(loc, x, integer(by));
}

Value Scalars::remainder(Value x, int64_t by) {
  if (auto c = constantOf(x))
    return integer(floorMod(*c, by));
  if (by == 1)
    return integer(0);
  if ((by & (by - 1)) == 0)
    return b.create<arith::AndIOp>(loc, x, integer(by - 1));
  return b.create<arith::SubIOp>(loc, x, mul(divide(x, by), integer(by)));
}

/// Into 0 .. extent-1, and 0 for an extent of 0.
Value Scalars::clamp(Value x, Value extent) {
  auto cx = constantOf(x), ce = constantOf(extent);
  if (cx && ce)
    return integer(std::max<int64_t>(0, std::min(*cx, *ce - 1)));
  if (!(cx && *cx <= 0)) {
    Value last = sub(extent, integer(1));
    x = b.create<arith::MinSIOp>(loc, x, last);
  }
  return b.create<arith::MaxSIOp>(loc, x, integer(0));
}

Value Scalars::compare(attn::MapFn fn, Value x, Value y) {
  static constexpr arith::CmpFPredicate reals[] = {arith::CmpFPredicate::OLT, arith::CmpFPredicate::OLE,
                                                   arith::CmpFPredicate::OGT, arith::CmpFPredicate::OGE,
                                                   arith::CmpFPredicate::OEQ, arith::CmpFPredicate::UNE};
  static constexpr arith::CmpIPredicate ints[] = {arith::CmpIPredicate::slt, arith::CmpIPredicate::sle,
                                                  arith::CmpIPredicate::sgt, arith::CmpIPredicate::sge,
                                                  arith::CmpIPredicate::eq,  arith::CmpIPredicate::ne};
  static constexpr arith::CmpIPredicate bools[] = {arith::CmpIPredicate::ult, arith::CmpIPredicate::ule,
                                                   arith::CmpIPredicate::ugt, arith::CmpIPredicate::uge,
                                                   arith::CmpIPredicate::eq,  arith::CmpIPredicate::ne};
  unsigned i = unsigned(fn) - unsigned(attn::MapFn::Lt);
  if (isa<FloatType>(x.getType()))
    return b.create<arith::CmpFOp>(loc, reals[i], x, y);
  return b.create<arith::CmpIOp>(loc, x.getType().isInteger(1) ? bools[i] : ints[i], x, y);
}

/// Floor division or remainder. By 0 it is 0; by -1 the hardware would trap on the smallest integer.
Value Scalars::divideAny(Value x, Value y, bool wantRemainder) {
  if (auto c = constantOf(y); c && *c > 0)
    return wantRemainder ? remainder(x, *c) : divide(x, *c);
  Value zero = integer(0), one = integer(1), minus = integer(-1);
  Value isZero = b.create<arith::CmpIOp>(loc, arith::CmpIPredicate::eq, y, zero);
  Value isMinus = b.create<arith::CmpIOp>(loc, arith::CmpIPredicate::eq, y, minus);
  Value odd = b.create<arith::OrIOp>(loc, isZero, isMinus);
  Value by = b.create<arith::SelectOp>(loc, odd, one, y);
  Value q = b.create<arith::FloorDivSIOp>(loc, x, by);
  if (wantRemainder)
    return b.create<arith::SubIOp>(loc, x, b.create<arith::MulIOp>(loc, q, by)); // by 1: 0, as wanted for 0 and -1
  Value negated = b.create<arith::SubIOp>(loc, zero, x);
  q = b.create<arith::SelectOp>(loc, isMinus, negated, q);
  return b.create<arith::SelectOp>(loc, isZero, zero, q);
}

/// x ** n for a constant n >= 0, by squaring.
Value Scalars::power(Value x, Value n) {
  auto c = constantOf(n);
  if (!c || *c < 0)
    return nullptr;
  bool real = isa<FloatType>(x.getType());
  auto times = [&](Value p, Value q) -> Value {
    return real ? b.create<arith::MulFOp>(loc, p, q).getResult() : b.create<arith::MulIOp>(loc, p, q).getResult();
  };
  Value result = nullptr;
  for (uint64_t e = *c; e; e >>= 1) {
    if (e & 1)
      result = result ? times(result, x) : x;
    if (e > 1)
      x = times(x, x);
  }
  return result ? result : real ? this->real(1, x.getType()) : integer(1);
}

/// Towards zero, saturating at `bits` bits; NaN gives 0.
Value Scalars::toInteger(Value x, int bits) {
  Type type = x.getType();
  double limit = std::ldexp(1.0, bits - 1);
  Value high = real(limit, type), low = real(-limit, type);
  Value over = b.create<arith::CmpFOp>(loc, arith::CmpFPredicate::OGE, x, high);
  Value under = b.create<arith::CmpFOp>(loc, arith::CmpFPredicate::OLT, x, low);
  Value nan = b.create<arith::CmpFOp>(loc, arith::CmpFPredicate::UNO, x, x);
  Value odd = b.create<arith::OrIOp>(loc, b.create<arith::OrIOp>(loc, over, under), nan);
  Value safe = b.create<arith::SelectOp>(loc, odd, real(0, type), x);
  Value result = b.create<arith::FPToSIOp>(loc, b.getI64Type(), safe);
  int64_t max = bits == 64 ? std::numeric_limits<int64_t>::max() : (int64_t(1) << (bits - 1)) - 1;
  result = b.create<arith::SelectOp>(loc, over, integer(max), result);
  return b.create<arith::SelectOp>(loc, under, integer(-max - 1), result);
}

Value Scalars::convert(Value v, Type to) {
  Type from = v.getType();
  if (from == to)
    return v;
  if (isa<FloatType>(from)) {
    if (isa<FloatType>(to))
      return from.getIntOrFloatBitWidth() < to.getIntOrFloatBitWidth()
                 ? b.create<arith::ExtFOp>(loc, to, v).getResult()
                 : b.create<arith::TruncFOp>(loc, to, v).getResult();
    if (to.isInteger(1))
      return b.create<arith::CmpFOp>(loc, arith::CmpFPredicate::UNE, v, real(0, from));
    return toInteger(v, 64);
  }
  if (isa<FloatType>(to))
    return from.isInteger(1) ? b.create<arith::UIToFPOp>(loc, to, v).getResult()
                             : b.create<arith::SIToFPOp>(loc, to, v).getResult();
  if (from.isInteger(1))
    return b.create<arith::ExtUIOp>(loc, to, v);
  return b.create<arith::CmpIOp>(loc, arith::CmpIPredicate::ne, v, integer(0));
}

Value Scalars::map(attn::MapFn fn, ValueRange args, Type result) {
  using F = attn::MapFn;
  Value x = args[0], y = args.size() > 1 ? args[1] : Value();
  Type type = x.getType();
  bool isReal = isa<FloatType>(type), isBool = type.isInteger(1);
#define UNARY(OP) return b.create<OP>(loc, x)
#define BINARY(REAL, INT) return isReal ? b.create<REAL>(loc, x, y).getResult() : b.create<INT>(loc, x, y).getResult()
  switch (fn) {
  case F::Neg:
    return isReal ? b.create<arith::NegFOp>(loc, x).getResult() : sub(integer(0), x);
  case F::Not:
    if (auto c = booleanOf(x))
      return boolean(!*c);
    return b.create<arith::XOrIOp>(loc, x, boolean(true));
  case F::Add:
    return isReal ? b.create<arith::AddFOp>(loc, x, y).getResult() : add(x, y);
  case F::Sub:
    return isReal ? b.create<arith::SubFOp>(loc, x, y).getResult() : sub(x, y);
  case F::Mul:
    return isReal ? b.create<arith::MulFOp>(loc, x, y).getResult() : mul(x, y);
  case F::Div:
    return isReal ? b.create<arith::DivFOp>(loc, x, y).getResult() : Value();
  case F::IDiv:
    return divideAny(x, y, false);
  case F::Mod:
    return divideAny(x, y, true);
  case F::Pow:
    return isReal ? b.create<math::PowFOp>(loc, x, y).getResult() : Value();
  case F::IPow:
    return power(x, y);
  case F::And:
  case F::Or:
    // The neutral side leaves the other, the absorbing one decides.
    for (auto [one, other] : {std::pair(x, y), std::pair(y, x)})
      if (auto c = booleanOf(one))
        return *c == (fn == F::And) ? other : one;
    return fn == F::And ? b.create<arith::AndIOp>(loc, x, y).getResult()
                        : b.create<arith::OrIOp>(loc, x, y).getResult();
  case F::Lt:
  case F::Le:
  case F::Gt:
  case F::Ge:
  case F::Eq:
  case F::Ne:
    return compare(fn, x, y);
  case F::Select:
    return b.create<arith::SelectOp>(loc, x, y, args[2]);
  case F::Exp:
    UNARY(math::ExpOp);
  case F::Exp2:
    UNARY(math::Exp2Op);
  case F::Expm1:
    UNARY(math::ExpM1Op);
  case F::Log:
    UNARY(math::LogOp);
  case F::Log1p:
    UNARY(math::Log1pOp);
  case F::Sqrt:
    UNARY(math::SqrtOp);
  case F::Rsqrt:
    return b.create<arith::DivFOp>(loc, real(1, type), b.create<math::SqrtOp>(loc, x));
  case F::Abs:
    return isReal ? b.create<math::AbsFOp>(loc, x).getResult() : b.create<math::AbsIOp>(loc, x).getResult();
  case F::Floor:
    UNARY(math::FloorOp);
  case F::Ceil:
    UNARY(math::CeilOp);
  case F::Round:
    UNARY(math::RoundEvenOp);
  case F::Sin:
    UNARY(math::SinOp);
  case F::Cos:
    UNARY(math::CosOp);
  case F::Tanh:
    UNARY(math::TanhOp);
  case F::Erf:
    UNARY(math::ErfOp);
  case F::Min:
    if (isBool)
      return b.create<arith::AndIOp>(loc, x, y);
    BINARY(arith::MinimumFOp, arith::MinSIOp);
  case F::Max:
    if (isBool)
      return b.create<arith::OrIOp>(loc, x, y);
    BINARY(arith::MaximumFOp, arith::MaxSIOp);
  case F::Clamp:
    if (isReal)
      return b.create<arith::MinimumFOp>(loc, b.create<arith::MaximumFOp>(loc, x, y), args[2]);
    return b.create<arith::MinSIOp>(loc, b.create<arith::MaxSIOp>(loc, x, y), args[2]);
  case F::Sign: {
    if (!isReal) {
      Value positive = convert(b.create<arith::CmpIOp>(loc, arith::CmpIPredicate::sgt, x, integer(0)), type);
      Value negative = convert(b.create<arith::CmpIOp>(loc, arith::CmpIPredicate::slt, x, integer(0)), type);
      return sub(positive, negative);
    }
    Value zero = real(0, type); // 0 and NaN are themselves
    Value up = b.create<arith::CmpFOp>(loc, arith::CmpFPredicate::OGT, x, zero);
    Value down = b.create<arith::CmpFOp>(loc, arith::CmpFPredicate::OLT, x, zero);
    Value r = b.create<arith::SelectOp>(loc, down, real(-1, type), x);
    return b.create<arith::SelectOp>(loc, up, real(1, type), r);
  }
  case F::IsFinite: {
    Value size = b.create<math::AbsFOp>(loc, x);
    return b.create<arith::CmpFOp>(loc, arith::CmpFPredicate::OLT, size,
                                   real(std::numeric_limits<double>::infinity(), type));
  }
  case F::Ilog2: {
    Value zeros = b.create<math::CountLeadingZerosOp>(loc, x);
    Value log = b.create<arith::SubIOp>(loc, integer(63), zeros);
    Value positive = b.create<arith::CmpIOp>(loc, arith::CmpIPredicate::sgt, x, integer(0));
    return b.create<arith::SelectOp>(loc, positive, log, integer(0));
  }
  case F::BitAnd:
    return b.create<arith::AndIOp>(loc, x, y);
  case F::BitOr:
    return b.create<arith::OrIOp>(loc, x, y);
  case F::BitXor:
    return b.create<arith::XOrIOp>(loc, x, y);
  case F::Shl:
  case F::Shr: {
    auto make = [&](Value by) -> Value {
      return fn == F::Shl ? b.create<arith::ShLIOp>(loc, x, by).getResult()
                          : b.create<arith::ShRSIOp>(loc, x, by).getResult();
    };
    if (auto c = constantOf(y))
      return *c < 0 || *c > 63 ? integer(0) : make(y);
    Value fits = b.create<arith::CmpIOp>(loc, arith::CmpIPredicate::ule, y, integer(63));
    Value by = b.create<arith::SelectOp>(loc, fits, y, integer(0));
    return b.create<arith::SelectOp>(loc, fits, make(by), integer(0));
  }
  case F::CastF32:
  case F::CastF64:
    return convert(x, result);
  case F::CastF16:
  case F::CastBF16: {
    // f64 goes there in one step: rounding twice would differ.
    Type half = fn == F::CastF16 ? Type(b.getF16Type()) : Type(b.getBF16Type());
    if (!isReal)
      x = convert(x, result);
    return b.create<arith::ExtFOp>(loc, result, b.create<arith::TruncFOp>(loc, half, x).getResult());
  }
  case F::CastI32:
    if (isReal)
      return toInteger(x, 32);
    x = convert(x, result);
    return b.create<arith::ExtSIOp>(loc, result, b.create<arith::TruncIOp>(loc, b.getI32Type(), x).getResult());
  case F::CastI64:
  case F::CastBool:
  case F::ToF32:
  case F::ToF64:
  case F::ToI64:
  case F::ToI1:
    return convert(x, result);
  case F::LogAddExp:
  case F::Sigmoid:
  case F::LogSigmoid:
  case F::Softplus:
  case F::Relu:
  case F::Silu:
  case F::Gelu:
  case F::GeluTanh:
  case F::Erfc:
    return nullptr;
  }
#undef UNARY
#undef BINARY
  return nullptr;
}

} // namespace attnc::totile
