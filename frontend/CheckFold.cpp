//===- Node construction with constant folding ----------------------------===//
//
// Params are constants before anything is checked, so everything made of params and literals folds here, by the
// language's arithmetic. Reals fold in double; casts round.
//===----------------------------------------------------------------------===//
#include "frontend/Checker.h"
#include "runtime/Tensor.h"
#include <cmath>
#include <limits>

namespace attnc {

Node *Checker::constant(Kind kind, double real, int64_t integer, Span span) {
  Node *n = p_->make(Op::Const, kind, {}, {}, span);
  n->real = real;
  n->integer = integer;
  return n;
}

Node *Checker::extentNode(ExtentRef e, Span span) {
  if (auto c = extentAsConst(e))
    return intConst(*c, span);
  Node *n = p_->make(Op::Extent, Kind::Int, {}, {}, span);
  n->extent = std::move(e);
  return n;
}

static double realOf(const Node *n) { return n->kind == Kind::Real ? n->real : static_cast<double>(n->integer); }

static int64_t saturate(double v) {
  if (std::isnan(v))
    return 0;
  v = std::trunc(v);
  if (v >= 9223372036854775808.0)
    return std::numeric_limits<int64_t>::max();
  if (v < -9223372036854775808.0)
    return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(v);
}

static int64_t wrapMul(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}

bool Checker::fold(Fn fn, Kind kind, const std::vector<Node *> &args, DType dtype, double &real,
                   int64_t &integer) const {
  for (Node *a : args)
    if (a->op != Op::Const)
      return false;
  auto r = [&](size_t i) { return realOf(args[i]); };
  auto i = [&](size_t k) { return args[k]->kind == Kind::Real ? saturate(args[k]->real) : args[k]->integer; };
  bool ints = true;
  for (Node *a : args)
    ints &= a->kind != Kind::Real;
  auto u = [&](size_t k) { return static_cast<uint64_t>(i(k)); };
  switch (fn) {
  case Fn::Neg:
    ints ? void(integer = static_cast<int64_t>(0 - u(0))) : void(real = -r(0));
    return true;
  case Fn::Not:
    integer = !i(0);
    return true;
  case Fn::Add:
    ints ? void(integer = static_cast<int64_t>(u(0) + u(1))) : void(real = r(0) + r(1));
    return true;
  case Fn::Sub:
    ints ? void(integer = static_cast<int64_t>(u(0) - u(1))) : void(real = r(0) - r(1));
    return true;
  case Fn::Mul:
    ints ? void(integer = wrapMul(i(0), i(1))) : void(real = r(0) * r(1));
    return true;
  case Fn::Div:
    real = r(0) / r(1);
    return true;
  case Fn::IDiv:
    ints ? void(integer = floorDiv(i(0), i(1))) : void(real = std::floor(r(0) / r(1)));
    return true;
  case Fn::Mod:
    ints ? void(integer = floorMod(i(0), i(1))) : void(real = r(0) - r(1) * std::floor(r(0) / r(1)));
    return true;
  case Fn::Pow:
    real = std::pow(r(0), r(1));
    return true;
  case Fn::IPow: {
    int64_t result = 1, base = i(0);
    for (uint64_t e = u(1); e; e >>= 1, base = wrapMul(base, base))
      if (e & 1)
        result = wrapMul(result, base);
    integer = result;
    return true;
  }
  case Fn::And:
    integer = i(0) && i(1);
    return true;
  case Fn::Or:
    integer = i(0) || i(1);
    return true;
  case Fn::Lt:
    integer = ints ? i(0) < i(1) : r(0) < r(1);
    return true;
  case Fn::Le:
    integer = ints ? i(0) <= i(1) : r(0) <= r(1);
    return true;
  case Fn::Gt:
    integer = ints ? i(0) > i(1) : r(0) > r(1);
    return true;
  case Fn::Ge:
    integer = ints ? i(0) >= i(1) : r(0) >= r(1);
    return true;
  case Fn::Eq:
    integer = ints ? i(0) == i(1) : r(0) == r(1);
    return true;
  case Fn::Ne:
    integer = ints ? i(0) != i(1) : r(0) != r(1);
    return true;
  case Fn::Min:
  case Fn::Max:
    integer = i(0), real = r(0);
    for (size_t k = 1; k < args.size(); ++k) {
      bool take = ints ? (fn == Fn::Min ? i(k) < integer : i(k) > integer)
                       : (std::isnan(r(k)) || (fn == Fn::Min ? r(k) < real : r(k) > real));
      if (take)
        integer = i(k), real = r(k);
    }
    return true;
  case Fn::Clamp:
    if (ints)
      integer = std::min(std::max(i(0), i(1)), i(2));
    else
      real = std::isnan(r(0)) ? r(0) : std::min(std::max(r(0), r(1)), r(2));
    return true;
  case Fn::Abs:
    ints ? void(integer = i(0) < 0 ? static_cast<int64_t>(0 - u(0)) : i(0)) : void(real = std::fabs(r(0)));
    return true;
  case Fn::Sign:
    ints ? void(integer = (i(0) > 0) - (i(0) < 0)) : void(real = std::isnan(r(0)) ? r(0) : (r(0) > 0) - (r(0) < 0));
    return true;
  case Fn::Exp:
    real = std::exp(r(0));
    return true;
  case Fn::Exp2:
    real = std::exp2(r(0));
    return true;
  case Fn::Log:
    real = std::log(r(0));
    return true;
  case Fn::Sqrt:
    real = std::sqrt(r(0));
    return true;
  case Fn::Rsqrt:
    real = 1 / std::sqrt(r(0));
    return true;
  case Fn::Sin:
    real = std::sin(r(0));
    return true;
  case Fn::Cos:
    real = std::cos(r(0));
    return true;
  case Fn::Floor:
    real = std::floor(r(0));
    return true;
  case Fn::Ceil:
    real = std::ceil(r(0));
    return true;
  case Fn::Round:
    real = std::nearbyint(r(0));
    return true;
  case Fn::Ilog2:
    integer = ilog2(i(0));
    return true;
  case Fn::BitAnd:
    integer = i(0) & i(1);
    return true;
  case Fn::BitOr:
    integer = i(0) | i(1);
    return true;
  case Fn::BitXor:
    integer = i(0) ^ i(1);
    return true;
  case Fn::Shl:
    integer = i(1) < 0 || i(1) > 63 ? 0 : static_cast<int64_t>(u(0) << i(1));
    return true;
  case Fn::Shr:
    integer = i(1) < 0 || i(1) > 63 ? 0 : i(0) >> i(1);
    return true;
  case Fn::ToReal:
    real = r(0);
    return true;
  case Fn::ToInt:
    integer = i(0);
    return true;
  case Fn::ToBool:
    integer = ints ? i(0) != 0 : r(0) != 0;
    return true;
  case Fn::Cast:
    switch (dtype) {
    case DType::F32:
      real = static_cast<float>(r(0));
      return true;
    case DType::F16:
      real = f16ToFloat(floatToF16(static_cast<float>(r(0))));
      return true;
    case DType::BF16:
      real = bf16ToFloat(floatToBf16(static_cast<float>(r(0))));
      return true;
    case DType::F64:
      real = r(0);
      return true;
    case DType::I64:
      integer = i(0);
      return true;
    case DType::I32:
      integer = std::min<int64_t>(std::max<int64_t>(i(0), INT32_MIN), INT32_MAX);
      if (ints)
        integer = static_cast<int32_t>(i(0));
      return true;
    case DType::Bool:
      integer = ints ? i(0) != 0 : r(0) != 0;
      return true;
    }
    return false;
  default:
    return false;
  }
  (void)kind;
}

Node *Checker::map(Fn fn, Kind kind, std::vector<Node *> args, Span span) {
  double real = 0;
  int64_t integer = 0;
  if (fn != Fn::Select && fn != Fn::Cast && fold(fn, kind, args, DType::F32, real, integer))
    return constant(kind, real, kind == Kind::Bool ? integer != 0 : integer, span);
  // An `or` with a false param is not there at all. One that decides stays: the other operand still gives its axes.
  if ((fn == Fn::And || fn == Fn::Or) && args.size() == 2)
    for (int k = 0; k < 2; ++k)
      if (args[k]->op == Op::Const && (args[k]->integer != 0) == (fn == Fn::And))
        return args[1 - k];
  // Integer expressions of extents stay extents, so that bounds and lengths are recognised.
  auto extentOp = [&]() -> std::optional<ExtentOp> {
    switch (fn) {
    case Fn::Add:
      return ExtentOp::Add;
    case Fn::Sub:
      return ExtentOp::Sub;
    case Fn::Mul:
      return ExtentOp::Mul;
    case Fn::IDiv:
      return ExtentOp::Div;
    case Fn::Mod:
      return ExtentOp::Mod;
    case Fn::Min:
      return ExtentOp::Min;
    case Fn::Max:
      return ExtentOp::Max;
    case Fn::Ilog2:
      return ExtentOp::Ilog2;
    case Fn::Lt:
      return ExtentOp::Lt;
    case Fn::Le:
      return ExtentOp::Le;
    case Fn::Gt:
      return ExtentOp::Gt;
    case Fn::Ge:
      return ExtentOp::Ge;
    case Fn::Eq:
      return ExtentOp::Eq;
    case Fn::Ne:
      return ExtentOp::Ne;
    case Fn::And:
      return ExtentOp::And;
    case Fn::Or:
      return ExtentOp::Or;
    case Fn::Not:
      return ExtentOp::Not;
    default:
      return std::nullopt;
    }
  }();
  if (extentOp && kind == Kind::Int) {
    std::vector<ExtentRef> parts;
    for (Node *a : args) {
      if (a->op == Op::Extent && a->kind == Kind::Int)
        parts.push_back(a->extent);
      else if (a->op == Op::Const && a->kind == Kind::Int)
        parts.push_back(extentConst(a->integer));
      else
        break;
    }
    if (parts.size() == args.size()) {
      ExtentRef e = parts[0];
      if (args.size() == 1)
        e = extentMake(*extentOp, {e});
      for (size_t k = 1; k < parts.size(); ++k)
        e = extentMake(*extentOp, {e, parts[k]});
      return extentNode(e, span);
    }
  }
  AxisSet axes;
  for (Node *a : args)
    axes |= a->axes;
  Node *n = p_->make(Op::Map, kind, std::move(axes), std::move(args), span);
  n->fn = fn;
  return n;
}

/// The truth of a condition that params and `given` decide, whatever its other operands are.
std::optional<bool> Checker::decided(const Node *n) const {
  if (n->op == Op::Const)
    return n->kind == Kind::Real ? n->real != 0 : n->integer != 0;
  if (n->op == Op::Map && (n->fn == Fn::And || n->fn == Fn::Or))
    for (const Node *a : n->args)
      if (auto d = decided(a); d && *d == (n->fn == Fn::Or))
        return d;
  if (n->op == Op::Map && n->fn == Fn::Not)
    if (auto d = decided(n->args[0]))
      return !*d;
  return std::nullopt;
}

Node *Checker::toKind(Node *n, Kind kind) {
  if (n->kind == kind)
    return n;
  return map(kind == Kind::Real ? Fn::ToReal : kind == Kind::Int ? Fn::ToInt : Fn::ToBool, kind, {n}, n->span);
}

} // namespace attnc
