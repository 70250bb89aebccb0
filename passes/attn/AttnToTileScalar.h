//===- Elementwise functions as arith and math ops on scalars -------------===//
//
// Total as the language wants it: integer division by 0 gives 0, shifts out of range give 0, a real that an integer
// cannot hold saturates. f64 and f32 alike; constants are made once, at the top of the program.
//===----------------------------------------------------------------------===//
#pragma once
#include "dialect/attn/Attn.h"
#include "mlir/IR/Builders.h"

namespace attnc::totile {

/// The top of the program, ahead of its kernels: arguments, constants, extents, shared memory.
class Prologue {
public:
  explicit Prologue(mlir::Block *block) : b(block->getParentOp()->getContext()) { b.setInsertionPointToEnd(block); }
  /// From now on insert ahead of `kernel`, the first one.
  void endAt(mlir::Operation *kernel) { b.setInsertionPoint(kernel); }
  mlir::Value constant(mlir::TypedAttr value, mlir::Location loc);

  mlir::OpBuilder b;

private:
  llvm::DenseMap<mlir::Attribute, mlir::Value> constants_;
};

class Scalars {
public:
  Scalars(mlir::OpBuilder &b, mlir::Location loc, Prologue &prologue) : b(b), loc(loc), prologue(prologue) {}

  /// `fn` of scalars; null where it is not a primitive function.
  mlir::Value map(attn::MapFn fn, mlir::ValueRange args, mlir::Type result);
  /// The value as another of f32 f64 i64 i1; a real becomes an integer as a cast does.
  mlir::Value convert(mlir::Value v, mlir::Type to);
  mlir::Value real(double x, mlir::Type type) { return prologue.constant(b.getFloatAttr(type, x), loc); }
  mlir::Value integer(int64_t x) { return prologue.constant(b.getI64IntegerAttr(x), loc); }
  mlir::Value boolean(bool x) { return prologue.constant(b.getBoolAttr(x), loc); }

  mlir::Value add(mlir::Value x, mlir::Value y);
  mlir::Value sub(mlir::Value x, mlir::Value y);
  mlir::Value mul(mlir::Value x, mlir::Value y);
  mlir::Value min(mlir::Value x, mlir::Value y);
  mlir::Value max(mlir::Value x, mlir::Value y);
  /// Floor division and its remainder by a positive constant.
  mlir::Value divide(mlir::Value x, int64_t by);
  mlir::Value remainder(mlir::Value x, int64_t by);
  mlir::Value clamp(mlir::Value x, mlir::Value extent);

private:
  mlir::Value compare(attn::MapFn fn, mlir::Value x, mlir::Value y);
  mlir::Value divideAny(mlir::Value x, mlir::Value y, bool remainder);
  mlir::Value power(mlir::Value x, mlir::Value n);
  mlir::Value toInteger(mlir::Value x, int bits);

  mlir::OpBuilder &b;
  mlir::Location loc;
  Prologue &prologue;
};

/// The constant an SSA integer is, if it is one.
std::optional<int64_t> constantOf(mlir::Value v);
std::optional<bool> booleanOf(mlir::Value v);

} // namespace attnc::totile
