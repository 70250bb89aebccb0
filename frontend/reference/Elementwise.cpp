//===- The reference: scalar functions ------------------------------------===//
#include "frontend/reference/Evaluator.h"
#include <algorithm>
#include <cmath>

namespace attnc::reference {

double rounded(double v, DType dtype) {
  switch (dtype) {
  case DType::F32:
    return static_cast<double>(static_cast<float>(v));
  case DType::F16:
    return f16ToFloat(doubleToF16(v));
  case DType::BF16:
    return bf16ToFloat(doubleToBf16(v));
  default:
    return v;
  }
}

static double sigmoid(double x) {
  if (x >= 0)
    return 1 / (1 + std::exp(-x));
  double e = std::exp(x);
  return e / (1 + e);
}

double realFn(Fn fn, double x) {
  constexpr double kSqrt2 = 1.41421356237309504880, kSqrt2OverPi = 0.79788456080286535588;
  switch (fn) {
  case Fn::Neg:
    return -x;
  case Fn::Exp:
    return std::exp(x);
  case Fn::Exp2:
    return std::exp2(x);
  case Fn::Expm1:
    return std::expm1(x);
  case Fn::Log:
    return std::log(x);
  case Fn::Log1p:
    return std::log1p(x);
  case Fn::Sqrt:
    return std::sqrt(x);
  case Fn::Rsqrt:
    return 1 / std::sqrt(x);
  case Fn::Abs:
    return std::fabs(x);
  case Fn::Sign:
    return std::isnan(x) ? x : static_cast<double>((x > 0) - (x < 0));
  case Fn::Floor:
    return std::floor(x);
  case Fn::Ceil:
    return std::ceil(x);
  case Fn::Round:
    return std::nearbyint(x); // half to even
  case Fn::Sin:
    return std::sin(x);
  case Fn::Cos:
    return std::cos(x);
  case Fn::Tanh:
    return std::tanh(x);
  case Fn::Sigmoid:
    return sigmoid(x);
  case Fn::LogSigmoid:
    return std::isnan(x) ? x : std::min(x, 0.0) - std::log1p(std::exp(-std::fabs(x)));
  case Fn::Softplus:
    return std::isnan(x) ? x : std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x)));
  case Fn::Relu:
    return x < 0 ? 0.0 : x;
  case Fn::Silu:
    return x * sigmoid(x);
  case Fn::Gelu:
    return 0.5 * x * std::erfc(-x / kSqrt2);
  case Fn::GeluTanh:
    return x * sigmoid(2 * kSqrt2OverPi * (x + 0.044715 * x * x * x)); // 1 + tanh would cancel
  case Fn::Erf:
    return std::erf(x);
  default:
    return x;
  }
}

static int64_t wrapped(uint64_t v) { return static_cast<int64_t>(v); }

static int64_t power(int64_t base, int64_t exponent) {
  uint64_t r = 1, b = static_cast<uint64_t>(base);
  for (; exponent > 0; exponent >>= 1) {
    if (exponent & 1)
      r *= b;
    b *= b;
  }
  return wrapped(r);
}

static double floorDivReal(double a, double b) { return std::floor(a / b); }
static double floorModReal(double a, double b) {
  double r = std::fmod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

/// numpy's maximum and minimum: a NaN wins.
static double larger(double a, double b) { return std::isnan(a) || a > b ? a : b; }
static double smaller(double a, double b) { return std::isnan(a) || a < b ? a : b; }

static Value cast(Value v, Kind kind, DType to) {
  bool real = kind == Kind::Real;
  switch (to) {
  case DType::Bool:
    return Value::integer(real ? v.r != 0 : v.i != 0);
  case DType::I64:
    return Value::integer(real ? realToInt(v.r) : v.i);
  case DType::I32:
    if (!real)
      return Value::integer(static_cast<int32_t>(v.i)); // wraps
    return Value::integer(std::clamp<int64_t>(realToInt(v.r), INT32_MIN, INT32_MAX));
  default:
    return Value::real(rounded(asReal(v, kind), to));
  }
}

/// All operands are there.
Value Evaluator::applyMap(const ENode &e, const Value *a, size_t n) const {
  auto R = [&](size_t k) { return asReal(a[k], e.args[k]->kind); };
  auto I = [&](size_t k) { return a[k].i; };
  auto U = [&](size_t k) { return static_cast<uint64_t>(a[k].i); };
  bool anyReal = false;
  for (size_t k = 0; k < n; ++k)
    anyReal |= e.args[k]->kind == Kind::Real;

  switch (e.fn) {
  case Fn::Lt:
    return Value::integer(anyReal ? R(0) < R(1) : I(0) < I(1));
  case Fn::Le:
    return Value::integer(anyReal ? R(0) <= R(1) : I(0) <= I(1));
  case Fn::Gt:
    return Value::integer(anyReal ? R(0) > R(1) : I(0) > I(1));
  case Fn::Ge:
    return Value::integer(anyReal ? R(0) >= R(1) : I(0) >= I(1));
  case Fn::Eq:
    return Value::integer(anyReal ? R(0) == R(1) : I(0) == I(1));
  case Fn::Ne:
    return Value::integer(anyReal ? R(0) != R(1) : I(0) != I(1));
  case Fn::Not:
    return Value::integer(anyReal ? R(0) == 0 : I(0) == 0);
  case Fn::IsFinite:
    return Value::integer(!anyReal || std::isfinite(R(0)));
  case Fn::Cast:
    return cast(a[0], e.args[0]->kind, e.dtype);
  case Fn::ToReal:
    return Value::real(R(0));
  case Fn::ToInt:
    return Value::integer(anyReal ? realToInt(a[0].r) : I(0));
  case Fn::ToBool:
    return Value::integer(anyReal ? a[0].r != 0 : I(0) != 0);
  default:
    break;
  }

  if (e.kind == Kind::Real) {
    switch (e.fn) {
    case Fn::Add:
      return Value::real(R(0) + R(1));
    case Fn::Sub:
      return Value::real(R(0) - R(1));
    case Fn::Mul:
      return Value::real(R(0) * R(1));
    case Fn::Div:
      return Value::real(R(0) / R(1));
    case Fn::IDiv:
      return Value::real(floorDivReal(R(0), R(1)));
    case Fn::Mod:
      return Value::real(floorModReal(R(0), R(1)));
    case Fn::Pow:
    case Fn::IPow:
      return Value::real(std::pow(R(0), R(1)));
    case Fn::Clamp:
      return Value::real(smaller(larger(R(0), R(1)), R(2)));
    case Fn::Min:
    case Fn::Max: {
      double v = R(0);
      for (size_t k = 1; k < n; ++k)
        v = e.fn == Fn::Max ? larger(R(k), v) : smaller(R(k), v);
      return Value::real(v);
    }
    case Fn::LogAddExp: {
      double m = R(0), s = 0;
      for (size_t k = 1; k < n; ++k)
        m = larger(R(k), m);
      if (std::isinf(m) || std::isnan(m))
        return Value::real(m);
      for (size_t k = 0; k < n; ++k)
        s += std::exp(R(k) - m);
      return Value::real(m + std::log(s));
    }
    default:
      return Value::real(realFn(e.fn, R(0)));
    }
  }

  switch (e.fn) {
  case Fn::Neg:
    return Value::integer(wrapped(0 - U(0)));
  case Fn::Add:
    return Value::integer(wrapped(U(0) + U(1)));
  case Fn::Sub:
    return Value::integer(wrapped(U(0) - U(1)));
  case Fn::Mul:
    return Value::integer(wrapped(U(0) * U(1)));
  case Fn::IDiv:
    return Value::integer(floorDiv(I(0), I(1)));
  case Fn::Mod:
    return Value::integer(floorMod(I(0), I(1)));
  case Fn::Pow:
  case Fn::IPow:
    return Value::integer(power(I(0), I(1)));
  case Fn::Abs:
    return Value::integer(I(0) < 0 ? wrapped(0 - U(0)) : I(0));
  case Fn::Sign:
    return Value::integer((I(0) > 0) - (I(0) < 0));
  case Fn::Relu:
    return Value::integer(std::max<int64_t>(I(0), 0));
  case Fn::Clamp:
    return Value::integer(std::min(std::max(I(0), I(1)), I(2)));
  case Fn::Min:
  case Fn::Max: {
    int64_t v = I(0);
    for (size_t k = 1; k < n; ++k)
      v = e.fn == Fn::Max ? std::max(v, I(k)) : std::min(v, I(k));
    return Value::integer(v);
  }
  case Fn::Ilog2:
    return Value::integer(ilog2(I(0)));
  case Fn::BitAnd:
    return Value::integer(I(0) & I(1));
  case Fn::BitOr:
    return Value::integer(I(0) | I(1));
  case Fn::BitXor:
    return Value::integer(I(0) ^ I(1));
  case Fn::Shl:
    return Value::integer(I(1) < 0 || I(1) > 63 ? 0 : wrapped(U(0) << I(1)));
  case Fn::Shr:
    return Value::integer(I(1) < 0 || I(1) > 63 ? 0 : I(0) >> I(1));
  default:
    return a[0]; // floor, ceil, round of an integer
  }
}

Value Evaluator::evalMap(ENode &e) {
  auto truth = [](Value v, Kind kind) { return kind == Kind::Real ? v.r != 0 : v.i != 0; };
  if (e.fn == Fn::Select) {
    Value c = eval(*e.args[0]);
    // A condition that is absent counts as false.
    ENode &side = *e.args[!c.absent && truth(c, e.args[0]->kind) ? 1 : 2];
    Value v = eval(side);
    if (v.absent)
      v.absent = causes_.join(v.absent, e.args[0]->axesIndex);
    else if (e.kind == Kind::Real && side.kind != Kind::Real)
      v.r = asReal(v, side.kind);
    return v;
  }
  if (e.fn == Fn::And || e.fn == Fn::Or) {
    // Kleene: a deciding operand decides even when another is absent; otherwise that absence depends on the other as
    // well.
    int64_t decides = e.fn == Fn::Or;
    CauseList absent = 0;
    for (size_t k = 0; k < e.args.size(); ++k) {
      Value v = eval(*e.args[k]);
      if (!v.absent && truth(v, e.args[k]->kind) == (decides != 0))
        return Value::integer(decides);
      for (size_t other = 0; v.absent && other < e.args.size(); ++other)
        if (other != k)
          v.absent = causes_.join(v.absent, e.args[other]->axesIndex);
      absent = causes_.unite(absent, v.absent);
    }
    return absent ? Value::missing(absent) : Value::integer(!decides);
  }

  constexpr size_t kFew = 4;
  Value few[kFew];
  std::vector<Value> many;
  size_t n = e.args.size();
  Value *a = few;
  if (n > kFew) {
    many.resize(n);
    a = many.data();
  }
  CauseList absent = 0;
  for (size_t k = 0; k < n; ++k) {
    a[k] = eval(*e.args[k]);
    absent = causes_.unite(absent, a[k].absent);
  }
  if (absent)
    return Value::missing(absent);
  if (n == 2 && e.kind == Kind::Real && e.args[0]->kind == Kind::Real && e.args[1]->kind == Kind::Real) {
    switch (e.fn) { // most of all evaluations
    case Fn::Add:
      return Value::real(a[0].r + a[1].r);
    case Fn::Sub:
      return Value::real(a[0].r - a[1].r);
    case Fn::Mul:
      return Value::real(a[0].r * a[1].r);
    case Fn::Div:
      return Value::real(a[0].r / a[1].r);
    default:
      break;
    }
  }
  return applyMap(e, a, n);
}

} // namespace attnc::reference
