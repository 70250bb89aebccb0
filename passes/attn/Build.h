//===- Short names for making attn ops -----------------------------------===//
#pragma once
#include "dialect/attn/Attn.h"
#include <limits>

namespace attnc::attn {

/// Makes ops at one insertion point and location. Operands of an operator have one element type.
class Build {
public:
  Build(mlir::Operation *before) : b_(before), loc_(before->getLoc()) {}
  Build(mlir::OpBuilder b, mlir::Location loc) : b_(b), loc_(loc) {}

  mlir::OpBuilder &builder() { return b_; }
  mlir::Location loc() const { return loc_; }
  mlir::Type f32() { return b_.getF32Type(); }
  mlir::Type f64() { return b_.getF64Type(); }
  mlir::Type i64() { return b_.getI64Type(); }
  mlir::StringAttr name(llvm::StringRef text) { return b_.getStringAttr(text); }
  mlir::ArrayAttr axes(llvm::ArrayRef<mlir::StringAttr> list) { return axesAttr(b_.getContext(), list); }

  mlir::Value real(double v, mlir::Type elem) {
    return b_.create<ConstOp>(loc_, elem.isF32() ? static_cast<float>(v) : v, elem);
  }
  /// As `like`: a real or an integer.
  mlir::Value number(double v, mlir::Value like) {
    mlir::Type elem = typeOf(like).getElem();
    return llvm::isa<mlir::FloatType>(elem) ? real(v, elem) : integer(static_cast<int64_t>(v));
  }
  mlir::Value integer(int64_t v) { return b_.create<ConstOp>(loc_, v); }
  mlir::Value boolean(bool v) { return b_.create<ConstOp>(loc_, v); }
  mlir::Value index(mlir::StringAttr axis) { return b_.create<IndexOp>(loc_, axis); }
  mlir::Value extent(const AxisTable &table, const ExtentRef &e) {
    if (std::optional<int64_t> c = extentAsConst(e))
      return integer(*c);
    return b_.create<ExtentOp>(loc_, b_.getStringAttr(table.text(e)));
  }

  mlir::Value map(MapFn fn, mlir::ValueRange args) { return b_.create<MapOp>(loc_, fn, args); }
  mlir::Value add(mlir::Value x, mlir::Value y) { return map(MapFn::Add, {x, y}); }
  mlir::Value sub(mlir::Value x, mlir::Value y) { return map(MapFn::Sub, {x, y}); }
  mlir::Value mul(mlir::Value x, mlir::Value y) { return map(MapFn::Mul, {x, y}); }
  mlir::Value div(mlir::Value x, mlir::Value y) { return map(MapFn::Div, {x, y}); }
  mlir::Value neg(mlir::Value x) { return map(MapFn::Neg, x); }
  mlir::Value exp(mlir::Value x) { return map(MapFn::Exp, x); }
  mlir::Value min(mlir::Value x, mlir::Value y) { return map(MapFn::Min, {x, y}); }
  mlir::Value max(mlir::Value x, mlir::Value y) { return map(MapFn::Max, {x, y}); }
  mlir::Value lt(mlir::Value x, mlir::Value y) { return map(MapFn::Lt, {x, y}); }
  mlir::Value eq(mlir::Value x, mlir::Value y) { return map(MapFn::Eq, {x, y}); }
  mlir::Value notOf(mlir::Value x) { return map(MapFn::Not, x); }
  /// Null counts as true.
  mlir::Value andOf(mlir::Value x, mlir::Value y) { return !x ? y : !y ? x : map(MapFn::And, {x, y}); }
  mlir::Value select(mlir::Value c, mlir::Value x, mlir::Value y) { return map(MapFn::Select, {c, x, y}); }
  /// x where the guard holds (a null guard always does), else v.
  mlir::Value guarded(mlir::Value guard, mlir::Value x, double v) { return guard ? select(guard, x, number(v, x)) : x; }
  mlir::Value convert(mlir::Value x, mlir::Type elem) {
    if (typeOf(x).getElem() == elem)
      return x;
    return map(elem.isF32()         ? MapFn::ToF32
               : elem.isF64()       ? MapFn::ToF64
               : elem.isInteger(64) ? MapFn::ToI64
                                    : MapFn::ToI1,
               x);
  }
  mlir::Value reduce(Reduction red, llvm::ArrayRef<mlir::StringAttr> over, mlir::Value x, mlir::Value guard = {}) {
    return b_.create<ReduceOp>(loc_, red, axes(over), x, guard);
  }
  mlir::Value read(mlir::Value x, llvm::ArrayRef<mlir::StringAttr> over, mlir::ValueRange indices) {
    return over.empty() ? x : b_.create<ReadOp>(loc_, x, over, indices).getResult();
  }
  /// A stand-in until `fill` is known; it must be replaced before the pass ends.
  mlir::Operation *placeholder(mlir::Type type);

  /// x with these axes added where it lacks them.
  mlir::Value broadcast(mlir::Value x, llvm::ArrayRef<mlir::StringAttr> wanted) {
    for (mlir::StringAttr axis : wanted)
      if (!hasAxis(x, axis)) // true everywhere: nothing but the axis is added
        x = select(map(MapFn::Ge, {index(axis), integer(0)}), x, x);
    return x;
  }

  static constexpr double inf = std::numeric_limits<double>::infinity();

private:
  mlir::OpBuilder b_;
  mlir::Location loc_;
};

/// What a reduction gives over nothing, as an operand that does not change it.
mlir::Value identityOf(Build &b, Reduction red, mlir::Type elem);

/// What equations that only name a value stand for; a member of a cycle is itself.
mlir::Value lookThrough(mlir::Value v);

/// Adds the factors of a product, looking through equations that only name one.
void addFactors(mlir::Value v, llvm::SmallVectorImpl<mlir::Value> &into);

/// The op that computes a value, seen through names of equations, if it is this function.
MapOp mapOf(mlir::Value v, MapFn fn);
/// A number made of extents and literals alone, none of these tiny or huge: #d, rsqrt(#d), converted in any way. 0, inf
/// or NaN only where an extent is 0. `positive`: no literal is below 0.
bool isOfExtents(mlir::Value v, bool positive = false);

/// Numbers of cycles not used so far.
int64_t freshCycle(MixerOp mixer);

/// The ops of one strongly connected part of the graph have the same number; ops in no cycle are not listed.
llvm::DenseMap<mlir::Operation *, unsigned> cycleParts(MixerOp mixer);

} // namespace attnc::attn
