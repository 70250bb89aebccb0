//===- Math functions without a library -----------------------------------===//
//
// f32 functions become straight-line arithmetic that works on scalars and vectors alike, exact where callers rely on it
// (exp(0) = 1, tanh(0) = 0, log(1) = 0), right for inf, NaN and denormals, within a few ulp elsewhere. f64 functions,
// and f32 pow, are called through the helper table lane by lane; but for sin, cos and exp of an f64 that are rounded to
// f32, as angles and decays of positions are: there only the argument's reduction is in f64. Conversions from and to
// bf16 become integer arithmetic, to nearest even: the CPU's own bf16 instructions flush denormals.
//
// Errors are pinned by test/unit/cpu_math_test.cpp.
//===----------------------------------------------------------------------===//
#include "codegen/cpu/Passes.h"
#include "codegen/cpu/Point.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"
#include "runtime/Kernel.h"
#include "runtime/Tally.h"

namespace attnc::cpu {
#define GEN_PASS_DEF_CPUEXPANDMATH
#include "codegen/cpu/Passes.h.inc"
} // namespace attnc::cpu

using namespace mlir;
using namespace attnc;
using namespace attnc::cpu;

namespace {

/// Arithmetic on values of one shape: `like` is a scalar or a vector; constants take its shape.
class Formula {
public:
  Formula(Ir &ir, Type like) : ir(ir), like(like) {}

  Type of(Type elem) const {
    if (auto vec = dyn_cast<VectorType>(like))
      return VectorType::get(vec.getShape(), elem);
    return elem;
  }
  Type f32() const { return of(ir.getF32Type()); }
  Type f64() const { return of(ir.getF64Type()); }
  Type i32() const { return of(ir.getI32Type()); }

  Value constant(Type type, double v) {
    Type elem = getElementTypeOrSelf(type);
    TypedAttr attr =
        isa<FloatType>(elem) ? TypedAttr(ir.getFloatAttr(elem, v)) : TypedAttr(ir.getIntegerAttr(elem, int64_t(v)));
    if (auto vec = dyn_cast<VectorType>(type))
      attr = DenseElementsAttr::get(vec, Attribute(attr));
    return ir.create<arith::ConstantOp>(attr);
  }
  Value f(double v) { return constant(f32(), v); }
  Value d(double v) { return constant(f64(), v); }
  Value i(int64_t v) { return constant(i32(), v); }

  Value add(Value a, Value b) { return ir.create<arith::AddFOp>(a, b); }
  Value sub(Value a, Value b) { return ir.create<arith::SubFOp>(a, b); }
  Value mul(Value a, Value b) { return ir.create<arith::MulFOp>(a, b); }
  Value div(Value a, Value b) { return ir.create<arith::DivFOp>(a, b); }
  Value neg(Value a) { return ir.create<arith::NegFOp>(a); }
  Value abs(Value a) { return ir.create<math::AbsFOp>(a); }
  Value sign(Value magnitude, Value from) { return ir.create<math::CopySignOp>(magnitude, from); }
  Value fma(Value a, Value b, Value c) { return ir.create<math::FmaOp>(a, b, c); }
  Value cmp(arith::CmpFPredicate p, Value a, Value b) { return ir.create<arith::CmpFOp>(p, a, b); }
  Value lt(Value a, Value b) { return cmp(arith::CmpFPredicate::OLT, a, b); }
  Value gt(Value a, Value b) { return cmp(arith::CmpFPredicate::OGT, a, b); }
  Value eq(Value a, Value b) { return cmp(arith::CmpFPredicate::OEQ, a, b); }
  Value nan(Value a) { return cmp(arith::CmpFPredicate::UNO, a, a); }
  Value select(Value c, Value a, Value b) { return ir.create<arith::SelectOp>(c, a, b); }
  Value bits(Value a) { return ir.create<arith::BitcastOp>(i32(), a); }
  Value real(Value a) { return ir.create<arith::BitcastOp>(f32(), a); }
  Value iadd(Value a, Value b) { return ir.create<arith::AddIOp>(a, b); }
  Value isub(Value a, Value b) { return ir.create<arith::SubIOp>(a, b); }
  Value iand(Value a, Value b) { return ir.create<arith::AndIOp>(a, b); }
  Value shl(Value a, int n) { return ir.create<arith::ShLIOp>(a, i(n)); }
  Value sar(Value a, int n) { return ir.create<arith::ShRSIOp>(a, i(n)); }

  /// c[0] x^n + c[1] x^(n-1) + ...
  Value horner(Value x, ArrayRef<double> c) {
    Type type = x.getType();
    Value r = constant(type, c[0]);
    for (double k : c.drop_front())
      r = fma(r, x, constant(type, k));
    return r;
  }

  Ir &ir;
  Type like;
};

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kMagic = 12582912.0; // 1.5 * 2^23: adding it rounds to an integer, which sits in the low bits

/// e^r - 1 = r + r^2 P(r) for |r| <= ln 2 / 2; exactly 0 at 0.
Value expm1Core(Formula &m, Value r) {
  Value p = m.horner(r, {1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5});
  return m.fma(m.mul(r, r), p, r);
}

/// Rounds t to an integer n; returns n as float and as i32.
std::pair<Value, Value> roundToInt(Formula &m, Value t) {
  Value shifted = m.add(t, m.f(kMagic));
  return {m.sub(shifted, m.f(kMagic)), m.isub(m.bits(shifted), m.i(0x4B400000))};
}

/// 2^n for -126 <= n <= 127, 0 for n = -127.
Value power2(Formula &m, Value n) { return m.real(m.shl(m.iadd(n, m.i(127)), 23)); }

/// (1 + q) 2^n, -254 <= n <= 250: two steps, so that denormal results and overflow come out right.
Value scale(Formula &m, Value p, Value n) {
  Value half = m.sar(n, 1);
  return m.mul(m.mul(p, power2(m, half)), power2(m, m.isub(n, half)));
}

/// Keeps NaN, limits the rest.
Value limit(Formula &m, Value x, double lo, double hi) {
  x = m.select(m.lt(x, m.f(lo)), m.f(lo), x);
  return m.select(m.gt(x, m.f(hi)), m.f(hi), x);
}

constexpr double kLn2Hi = 0.693145751953125, kLn2Lo = 1.428606765330187045e-06;

struct ExpParts {
  Value n, q; ///< e^x = (1 + q) 2^n
};
ExpParts splitExp(Formula &m, Value x) {
  auto [nf, n] = roundToInt(m, m.mul(x, m.f(1.4426950408889634)));
  Value r = m.fma(nf, m.f(-kLn2Hi), x);
  return {n, expm1Core(m, m.fma(nf, m.f(-kLn2Lo), r))};
}

/// Arguments whose result is far below the smallest number, as masked logits have, are limited to where both steps of
/// scale() are 0: a product that underflows takes many times as long as one with 0.
constexpr int kFarBelow = -254;

Value exp(Formula &m, Value x) {
  ExpParts e = splitExp(m, limit(m, x, kFarBelow * 0.6931471805599453, 89));
  return scale(m, m.add(e.q, m.f(1)), e.n);
}

Value exp2(Formula &m, Value x) {
  x = limit(m, x, kFarBelow, 129);
  auto [nf, n] = roundToInt(m, x);
  Value q = expm1Core(m, m.mul(m.sub(x, nf), m.f(0.6931471805599453)));
  return scale(m, m.add(q, m.f(1)), n);
}

/// The same of an f64.
Value expOfWide(Formula &m, Value x, double log2OfBase) {
  double ln = 0.69314718055994530942;
  x = m.mul(x, m.d(log2OfBase));
  x = m.select(m.lt(x, m.d(kFarBelow)), m.d(kFarBelow), x);
  x = m.select(m.gt(x, m.d(129)), m.d(129), x);
  Value n = m.ir.create<math::RoundEvenOp>(x);
  Value r = m.ir.create<arith::TruncFOp>(m.f32(), m.mul(m.sub(x, n), m.d(ln)));
  // A NaN has no integer; r is one already.
  Value whole = m.ir.create<arith::FPToSIOp>(m.i32(), m.select(m.nan(n), m.d(0), n));
  return scale(m, m.add(expm1Core(m, r), m.f(1)), whole);
}

/// The constant that all lanes are.
std::optional<double> constantReal(Value v) {
  while (Operation *op = v.getDefiningOp()) {
    if (!isa<vector::SplatOp, vector::BroadcastOp>(op))
      break;
    v = op->getOperand(0);
  }
  DenseElementsAttr all;
  FloatAttr one;
  if (matchPattern(v, m_Constant(&all)) && all.isSplat() && isa<FloatType>(all.getElementType()))
    return all.getSplatValue<APFloat>().convertToDouble();
  return matchPattern(v, m_Constant(&one)) ? std::optional(one.getValueAsDouble()) : std::nullopt;
}

/// Whether v is x < c ? x : c.
bool isAtMost(Value v, double top) {
  auto choice = v.getDefiningOp<arith::SelectOp>();
  auto less = choice ? choice.getCondition().getDefiningOp<arith::CmpFOp>() : arith::CmpFOp();
  std::optional<double> c = less ? constantReal(choice.getFalseValue()) : std::nullopt;
  return c && *c <= top && less.getPredicate() == arith::CmpFPredicate::OLT && less.getLhs() == choice.getTrueValue() &&
         constantReal(less.getRhs()) == c;
}

/// 2^x to 1e-7, for what lies below a maximum: results below 2^-126 are 0. Exactly 1 at 0.
Value exp2Polynomial(Formula &m, Value f) {
  return m.horner(f, {1.3264727e-3, 9.6715128e-3, 5.5507337e-2, 0.24022242, 0.69314698, 1});
}
Value exp2Below(Formula &m, Value x) {
  x = limit(m, x, -127, 128);
  auto [nf, n] = roundToInt(m, x);
  return m.mul(exp2Polynomial(m, m.sub(x, nf)), power2(m, n));
}

/// The same where x is no NaN: the exponent is added to the bits. Results below 2^-126 are at most that.
Value exp2BelowNumber(Formula &m, Value x) {
  if (!isAtMost(x, 128))
    x = m.select(m.lt(x, m.f(128)), x, m.f(128));
  x = m.select(m.gt(x, m.f(-127)), x, m.f(-127)); // there the sum is 0
  Value shifted = m.add(x, m.f(kMagic));
  Value p = exp2Polynomial(m, m.sub(x, m.sub(shifted, m.f(kMagic))));
  return m.real(m.iadd(m.bits(p), m.shl(m.bits(shifted), 23))); // kMagic leaves nothing there
}

Value expm1(Formula &m, Value x) {
  ExpParts e = splitExp(m, limit(m, x, -30, 89));
  // Half of it, so that 2^128 does not overflow early.
  Value s = power2(m, m.isub(e.n, m.i(1)));
  Value half = m.fma(e.q, s, m.sub(s, m.f(0.5)));
  Value r = m.add(half, half);
  return m.select(m.eq(x, m.f(0)), x, r); // keeps -0
}

/// log of a positive normal number given its bits: (m in [1/sqrt 2, sqrt 2), exponent).
Value logCore(Formula &m, Value x, Value exponentShift) {
  // Subtracting the bits of sqrt(1/2) puts the binade border there.
  Value t = m.isub(m.bits(x), m.i(0x3F3504F3));
  Value e = m.sar(t, 23);
  Value mant = m.real(m.iadd(m.iand(t, m.i(0x007FFFFF)), m.i(0x3F3504F3)));
  Value f = m.sub(mant, m.f(1));
  Value z = m.mul(f, f);
  Value p = m.horner(f, {7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
                         -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1});
  Value n = m.add(m.ir.create<arith::SIToFPOp>(m.f32(), e), exponentShift);
  Value r = m.fma(n, m.f(-2.12194440e-4), m.mul(m.mul(f, z), p));
  r = m.fma(z, m.f(-0.5), r);
  return m.fma(n, m.f(0.693359375), m.add(f, r));
}

Value log(Formula &m, Value x) {
  Value tiny = m.lt(x, m.f(1.17549435e-38));
  Value r = logCore(m, m.select(tiny, m.mul(x, m.f(8388608.0)), x), m.select(tiny, m.f(-23), m.f(0)));
  r = m.select(m.eq(x, m.f(kInf)), x, r);
  r = m.select(m.eq(x, m.f(0)), m.f(-kInf), r);
  r = m.select(m.lt(x, m.f(0)), m.f(kNan), r);
  return m.select(m.nan(x), x, r);
}

/// log(u) corrected by what rounding 1 + x lost.
Value log1p(Formula &m, Value x) {
  Value one = m.f(1), u = m.add(one, x);
  Value lost = m.select(m.gt(x, one), m.sub(one, m.sub(u, x)), m.sub(x, m.sub(u, one)));
  Value r = m.add(logCore(m, u, m.f(0)), m.div(lost, u));
  r = m.select(m.eq(u, one), x, r);
  r = m.select(m.eq(x, m.f(kInf)), x, r);
  r = m.select(m.eq(x, m.f(-1)), m.f(-kInf), r);
  r = m.select(m.lt(x, m.f(-1)), m.f(kNan), r);
  return m.select(m.nan(x), x, r);
}

/// -e / (e + 2) with e = expm1(-2 |x|).
Value tanh(Formula &m, Value x) {
  Value e = expm1(m, m.mul(m.abs(x), m.f(-2)));
  return m.sign(m.div(m.neg(e), m.add(e, m.f(2))), x);
}

/// Near 0 a polynomial in x^2; outside 1 - exp(polynomial).
Value erf(Formula &m, Value x) {
  Value t = m.abs(x), s = m.mul(x, x);
  Value r = m.fma(m.f(-1.72853470e-5), t, m.f(3.83197126e-4));
  r = m.fma(r, s, m.fma(m.f(-3.88396438e-3), t, m.f(2.42546219e-2)));
  for (double c : {-1.06777877e-1, -6.34846687e-1, -1.28717512e-1})
    r = m.fma(r, t, m.f(c));
  Value far = m.sign(m.sub(m.f(1), exp(m, m.fma(r, t, m.neg(t)))), x);
  far = m.select(m.gt(t, m.f(4)), m.sign(m.f(1), x), far);
  Value near =
      m.horner(s, {-5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1, -3.76125336e-1, 1.28379166e-1});
  near = m.fma(near, x, x);
  return m.select(m.gt(t, m.f(0.927734375)), far, near);
}

/// sin(x) or, with quadrant 1, cos(x) = sin(x + pi/2), of an f64, which is right up to 2^45.
Value sinCos(Formula &m, Value wide, int quadrant) {
  Ir &ir = m.ir;
  Value n = ir.create<math::RoundEvenOp>(m.mul(wide, m.d(0.63661977236758134308)));
  Value r64 = m.fma(n, m.d(-1.57079632679489655800), wide);
  r64 = m.fma(n, m.d(-6.12323399573676603587e-17), r64);
  Value r = ir.create<arith::TruncFOp>(m.f32(), r64);
  // n mod 4 by arithmetic: n may exceed i32.
  Value k = m.fma(ir.create<math::FloorOp>(m.mul(n, m.d(0.25))), m.d(-4), n);
  // NaN and inf have no integer: 0 keeps the conversion defined, r is NaN already.
  k = m.select(m.nan(k), m.d(0), k);
  Value q = m.iadd(ir.create<arith::FPToSIOp>(m.i32(), k), m.i(quadrant));

  Value z = m.mul(r, r);
  Value s = m.fma(m.mul(m.horner(z, {-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1}), z), r, r);
  Value c = m.horner(z, {2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2});
  c = m.fma(m.mul(c, z), z, m.fma(z, m.f(-0.5), m.f(1)));
  Value odd = ir.create<arith::CmpIOp>(arith::CmpIPredicate::ne, m.iand(q, m.i(1)), m.i(0));
  Value v = m.select(odd, c, s);
  // Bit 1 of the quadrant is the sign.
  return m.real(ir.create<arith::XOrIOp>(m.bits(v), m.shl(m.iand(q, m.i(2)), 30)));
}

/// x - trunc(x / y) y, through f64.
Value remainder(Formula &m, Value x, Value y) {
  Ir &ir = m.ir;
  bool wide = getElementTypeOrSelf(x.getType()).isF64();
  Value a = wide ? x : Value(ir.create<arith::ExtFOp>(m.f64(), x));
  Value b = wide ? y : Value(ir.create<arith::ExtFOp>(m.f64(), y));
  Value n = ir.create<math::TruncOp>(m.div(a, b));
  Value r = m.fma(m.neg(n), b, a);
  // The quotient may have been rounded up to an integer: then r has the wrong sign.
  Value wrong = m.lt(m.mul(r, m.sign(m.d(1), a)), m.d(0));
  r = m.select(wrong, m.add(r, m.sign(m.abs(b), a)), r);
  // Infinite y leaves x.
  Value finite = m.lt(m.abs(a), m.d(kInf));
  r = m.select(ir.create<arith::AndIOp>(m.eq(m.abs(b), m.d(kInf)), finite), a, r);
  r = m.sign(r, a);
  return wide ? r : Value(ir.create<arith::TruncFOp>(m.f32(), r));
}

/// bf16 <-> f32 on the bits.
Value fromBf16(Formula &m, Value v) {
  Value bits = m.ir.create<arith::BitcastOp>(m.of(m.ir.getIntegerType(16)), v);
  return m.real(m.shl(m.ir.create<arith::ExtUIOp>(m.i32(), bits), 16));
}
Value toBf16(Formula &m, Value v) {
  Ir &ir = m.ir;
  Value bits = m.bits(v);
  Value high = ir.create<arith::ShRUIOp>(bits, m.i(16));
  Value rounded = m.iadd(bits, m.iadd(m.iand(high, m.i(1)), m.i(0x7FFF)));
  rounded = ir.create<arith::ShRUIOp>(rounded, m.i(16));
  // A NaN stays one: its quiet bit is set.
  rounded = m.select(m.nan(v), ir.create<arith::OrIOp>(high, m.i(0x40)), rounded);
  Value half = ir.create<arith::TruncIOp>(m.of(ir.getIntegerType(16)), rounded);
  return ir.create<arith::BitcastOp>(m.of(ir.getBF16Type()), half);
}

/// f64 -> f32 by rounding to odd, so that rounding again to fewer bits rounds as if once.
Value roundToOdd(Formula &m, Value x) {
  Ir &ir = m.ir;
  Value y = ir.create<arith::TruncFOp>(m.f32(), x);
  Value back = m.abs(ir.create<arith::ExtFOp>(m.f64(), y)), exact = m.abs(x);
  Value bits = m.bits(y);
  bits = m.select(m.gt(back, exact), m.isub(bits, m.i(1)), bits);
  bits = m.select(m.eq(back, exact), bits, ir.create<arith::OrIOp>(bits, m.i(1)));
  return m.select(m.nan(x), y, m.real(bits));
}

/// Truncation that saturates, NaN gives 0: LLVM leaves out-of-range conversions undefined.
Value toInteger(Formula &m, arith::FPToSIOp op) {
  Ir &ir = m.ir;
  Value x = op.getIn();
  Type real = x.getType(), integer = op.getType();
  unsigned bits = getElementTypeOrSelf(integer).getIntOrFloatBitWidth();
  double top = std::ldexp(1.0, bits - 1);
  Value low = m.cmp(arith::CmpFPredicate::OLT, x, m.constant(real, -top));
  Value high = m.cmp(arith::CmpFPredicate::OGE, x, m.constant(real, top));
  Value out = ir.create<arith::OrIOp>(ir.create<arith::OrIOp>(low, high), m.nan(x));
  Value r = ir.create<arith::FPToSIOp>(integer, m.select(out, m.constant(real, 0), x));
  auto whole = [&](APInt v) -> Value {
    TypedAttr attr = ir.getIntegerAttr(getElementTypeOrSelf(integer), v);
    if (auto vec = dyn_cast<VectorType>(integer))
      attr = DenseElementsAttr::get(vec, Attribute(attr));
    return ir.create<arith::ConstantOp>(attr);
  };
  r = m.select(low, whole(APInt::getSignedMinValue(bits)), r);
  return m.select(high, whole(APInt::getSignedMaxValue(bits)), r);
}

/// Calls entries of the helper table, lane by lane.
class Helpers {
public:
  /// Function `index` of math1 (one argument) or math2 (two), f64.
  Value call(Ir &ir, int index, ValueRange args) {
    Value fn = entry(ir, args.size() == 1 ? 16 + 8 * index : 16 + 24 * 8 + 8 * index);
    Type f64 = ir.getF64Type();
    auto type = LLVM::LLVMFunctionType::get(f64, SmallVector<Type>(args.size(), f64));
    auto one = [&](ValueRange scalars) -> Value {
      SmallVector<Value> operands{fn};
      for (Value v : scalars)
        operands.push_back(v.getType().isF64() ? v : Value(ir.create<arith::ExtFOp>(f64, v)));
      Value r = ir.create<LLVM::CallOp>(type, operands).getResult();
      return scalars[0].getType().isF64() ? r : Value(ir.create<arith::TruncFOp>(scalars[0].getType(), r));
    };
    auto vec = dyn_cast<VectorType>(args[0].getType());
    if (!vec)
      return one(args);
    Value result = ir.create<arith::ConstantOp>(ir.getZeroAttr(vec));
    return ir.loop(ir.i64(0), ir.i64(vec.getNumElements()), ir.i64(1), result, [&](Value lane, ValueRange carried) {
      SmallVector<Value> scalars;
      for (Value v : args)
        scalars.push_back(ir.create<LLVM::ExtractElementOp>(v, lane));
      return SmallVector<Value>{ir.create<LLVM::InsertElementOp>(carried[0], one(scalars), lane)};
    })[0];
  }

private:
  /// Loaded once at the top of the function.
  Value entry(Ir &ir, int64_t offset) {
    auto func = ir.getInsertionBlock()->getParentOp()->getParentOfType<LLVM::LLVMFuncOp>();
    if (auto self = dyn_cast<LLVM::LLVMFuncOp>(ir.getInsertionBlock()->getParentOp()))
      func = self;
    Value &v = entries[{func, offset}];
    if (v)
      return v;
    OpBuilder::InsertionGuard guard(ir);
    ir.setInsertionPointToStart(&func.getBody().front());
    auto load = [&](Value base, int64_t at) {
      return ir.create<LLVM::LoadOp>(ir.ptr(), ir.offset(ir.getI8Type(), base, ir.i64(at)), 8);
    };
    return v = load(load(func.getArgument(0), 24), offset);
  }
  DenseMap<std::pair<Operation *, int64_t>, Value> entries;
};

/// x to an integer power by squaring; a power below 1 gives 1.
Value integerPower(Ir &ir, Value base, Value exponent) {
  auto one = [&](Value b, Value e) -> Value {
    // 63 bits at most; multiplying in the ones.
    return ir.loop(ir.i64(0), ir.i64(63), ir.i64(1), ValueRange{ir.i64(1), b}, [&](Value bit, ValueRange carried) {
      Value on = ir.create<arith::AndIOp>(ir.create<arith::ShRSIOp>(e, bit), ir.i64(1));
      Value set = ir.create<arith::CmpIOp>(arith::CmpIPredicate::ne, on, ir.i64(0));
      Value r = ir.create<arith::SelectOp>(set, ir.mul(carried[0], carried[1]), carried[0]);
      return SmallVector<Value>{r, ir.mul(carried[1], carried[1])};
    })[0];
  };
  Value zero = ir.create<arith::ConstantOp>(ir.getZeroAttr(exponent.getType()));
  exponent = ir.create<arith::MaxSIOp>(exponent, zero);
  auto vec = dyn_cast<VectorType>(base.getType());
  if (!vec)
    return one(base, exponent);
  Value start = ir.create<arith::ConstantOp>(ir.getZeroAttr(vec));
  return ir.loop(ir.i64(0), ir.i64(vec.getNumElements()), ir.i64(1), start, [&](Value lane, ValueRange carried) {
    Value r = one(ir.create<LLVM::ExtractElementOp>(base, lane), ir.create<LLVM::ExtractElementOp>(exponent, lane));
    return SmallVector<Value>{ir.create<LLVM::InsertElementOp>(carried[0], r, lane)};
  })[0];
}

/// The value an op is replaced by, or null when it stays.
Value expand(Ir &ir, Operation *op, Helpers &helpers) {
  Value x = op->getNumOperands() ? op->getOperand(0) : Value();
  if (!x || op->getNumResults() != 1)
    return {};
  Formula m(ir, op->getResult(0).getType());
  Type elem = getElementTypeOrSelf(op->getResult(0).getType());
  if (auto ext = dyn_cast<arith::ExtFOp>(op)) {
    if (!getElementTypeOrSelf(x.getType()).isBF16())
      return {};
    TALLY("cpu: bf16 widened");
    Value v = fromBf16(m, x);
    return elem.isF32() ? v : Value(ir.create<arith::ExtFOp>(op->getResult(0).getType(), v));
  }
  if (isa<arith::TruncFOp>(op)) {
    bool wide = getElementTypeOrSelf(x.getType()).isF64();
    if (wide)
      TALLY("cpu: f64 rounded to 16 bits");
    if (elem.isBF16())
      TALLY("cpu: rounded to bf16");
    if (elem.isBF16())
      return toBf16(m, wide ? roundToOdd(m, x) : x);
    // Also for f16: the CPU has no such conversion.
    return elem.isF16() && wide ? Value(ir.create<arith::TruncFOp>(op->getResult(0).getType(), roundToOdd(m, x)))
                                : Value();
  }
  if (isa<arith::FPToSIOp>(op))
    TALLY("cpu: real to integer");
  if (auto toInt = dyn_cast<arith::FPToSIOp>(op))
    return elem.isInteger(64) ? toInteger(m, toInt) : Value();
  if (isa<arith::RemFOp>(op))
    return remainder(m, x, op->getOperand(1));
  if (isa<math::IPowIOp>(op))
    return integerPower(ir, x, op->getOperand(1));
  if (isa<math::RsqrtOp>(op))
    return m.div(m.constant(x.getType(), 1), ir.create<math::SqrtOp>(x));
  if (isa<math::PowFOp>(op))
    return helpers.call(ir, kPow, op->getOperands());
  if (isa<math::Atan2Op>(op))
    return helpers.call(ir, kAtan2, op->getOperands());

  // An f64 of which only the rounded value is used: an f32, made f64 until then.
  bool rounded = elem.isF64() && !op->use_empty() && llvm::all_of(op->getUsers(), [](Operation *user) {
                   return isa<arith::TruncFOp>(user) && getElementTypeOrSelf(user->getResult(0).getType()).isF32();
                 });
  auto widened = [&](Value v) -> Value {
    TALLY("cpu: a function of f64 whose result is rounded");
    return ir.create<arith::ExtFOp>(op->getResult(0).getType(), v);
  };
  auto choose = [&](int index, function_ref<Value(Formula &, Value)> f32) {
    if (elem.isF32())
      TALLY("cpu: a function of f32 inline");
    else
      TALLY("cpu: a function of f64 from the library");
    return elem.isF32() ? f32(m, x) : helpers.call(ir, index, x);
  };
  // The reduction of the argument holds up to 2^45; beyond that, rare as it is, the library's is exact.
  auto trig = [&](int index, int quadrant) -> Value {
    if (!elem.isF32() && !rounded)
      return helpers.call(ir, index, x);
    Value wide = elem.isF64() ? x : Value(ir.create<arith::ExtFOp>(m.f64(), x));
    Value near = sinCos(m, wide, quadrant);
    if (rounded)
      near = widened(near);
    Value far = ir.create<arith::AndIOp>(m.gt(m.abs(wide), m.d(3.5e13)), m.lt(m.abs(wide), m.d(kInf)));
    Value any =
        isa<VectorType>(far.getType()) ? Value(ir.create<vector::ReductionOp>(vector::CombiningKind::OR, far)) : far;
    auto branch = ir.create<scf::IfOp>(TypeRange(x.getType()), any, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(ir);
    ir.setInsertionPointToStart(branch.thenBlock());
    ir.create<scf::YieldOp>(m.select(far, helpers.call(ir, index, x), near));
    ir.setInsertionPointToStart(branch.elseBlock());
    ir.create<scf::YieldOp>(near);
    return branch.getResult(0);
  };
  auto below = [&](auto exponential) {
    return elem.isF32() && bitEnumContainsAll(exponential.getFastmath(), arith::FastMathFlags::afn);
  };
  if (isa<math::ExpOp, math::Exp2Op>(op) && rounded)
    return widened(expOfWide(m, x, isa<math::ExpOp>(op) ? 1.4426950408889634074 : 1));
  if (auto exponential = dyn_cast<math::ExpOp>(op)) {
    if (!below(exponential))
      return choose(kExp, exp);
    TALLY("cpu: exp below a maximum");
    return exp2Below(m, m.mul(x, m.f(1.4426950408889634)));
  }
  if (auto exponential = dyn_cast<math::Exp2Op>(op)) {
    bool number = bitEnumContainsAll(exponential.getFastmath(), arith::FastMathFlags::nnan);
    if (!below(exponential))
      return choose(kExp2, exp2);
    return number ? exp2BelowNumber(m, x) : exp2Below(m, x);
  }
  if (isa<math::ExpM1Op>(op))
    return choose(kExpm1, expm1);
  if (isa<math::LogOp>(op))
    return choose(kLog, log);
  if (isa<math::Log1pOp>(op))
    return choose(kLog1p, log1p);
  if (isa<math::TanhOp>(op))
    return choose(kTanh, tanh);
  if (isa<math::ErfOp>(op))
    return choose(kErf, erf);
  if (isa<math::SinOp>(op))
    return trig(kSin, 0);
  if (isa<math::CosOp>(op))
    return trig(kCos, 1);
  return {};
}

struct CpuExpandMath : cpu::impl::CpuExpandMathBase<CpuExpandMath> {
  using Base::Base;
  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) {
      if (isa<math::MathDialect>(op->getDialect()) ||
          isa<arith::ExtFOp, arith::TruncFOp, arith::FPToSIOp, arith::RemFOp>(op))
        ops.push_back(op);
    });
    Helpers helpers;
    for (Operation *op : ops) {
      Ir ir(op->getLoc(), op);
      if (Value v = expand(ir, op, helpers)) {
        op->getResult(0).replaceAllUsesWith(v);
        op->erase();
      }
    }
  }
};

} // namespace
