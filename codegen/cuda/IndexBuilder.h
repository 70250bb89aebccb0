//===- What the emitter of kernels is written in --------------------------===//
#pragma once
#include "codegen/cuda/Passes.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include <optional>
#include <string>

namespace attnc::cuda {

/// i64 arithmetic of indices, which never overflows and folds constants; loops.
class IndexBuilder : public mlir::ImplicitLocOpBuilder {
public:
  using Value = mlir::Value;
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;

  static std::optional<int64_t> constantOf(Value v);
  Value i64(int64_t v) { return create<mlir::arith::ConstantIntOp>(v, 64); }
  Value add(Value a, Value b);
  Value sub(Value a, Value b);
  Value mul(Value a, Value b);
  Value less(Value a, Value b) { return create<mlir::arith::CmpIOp>(mlir::arith::CmpIPredicate::slt, a, b); }
  Value count(Value lo, Value hi) { return createOrFold<mlir::arith::MaxSIOp>(sub(hi, lo), i64(0)); }
  Value index(Value v) { return create<mlir::arith::IndexCastOp>(getIndexType(), v); }
  Value fromIndex(Value v) { return create<mlir::arith::IndexCastOp>(getI64Type(), v); }

  /// Of the next loop or condition: a comment of the text.
  std::string note;
  void loop(Value lo, Value hi, Value step, mlir::function_ref<void(Value)> body);
  mlir::SmallVector<Value> carry(Value lo, Value hi, Value step, mlir::ValueRange init,
                                 mlir::function_ref<mlir::SmallVector<Value>(Value, mlir::ValueRange)> body);
  void when(Value condition, mlir::function_ref<void()> body);

private:
  void takeNote(mlir::Operation *op);
};

/// In a kernel: calls of the device header, and walks over points.
class DeviceBuilder : public IndexBuilder {
public:
  DeviceBuilder(mlir::Location loc, mlir::OpBuilder &builder, mlir::gpu::GPUModuleOp device)
      : IndexBuilder(loc, builder), device_(device) {}

  /// A function of the device header, overloaded by the types of its arguments: the symbol spells them out.
  Value call(mlir::StringRef name, mlir::Type result, mlir::ArrayRef<Value> args);

  /// Little text instead: the positions are computed for each point, by calls.
  bool compact = false;

  /// A quotient whose dividend is a number of threads or blocks: below 2^31. The divisor may be anything.
  Value divSmall(Value a, Value b);

  /// Goes over the points first + offset, first + offset + step, ... while the part without `offset` is below `end`,
  /// and gives their positions along dims of these extents, last fastest. Divides once, before the loop; from point to
  /// point it counts, unless `compact`. first + offset and step are below 2^31, first is at least 0.
  void walk(Value first, Value offset, Value end, Value step, mlir::ArrayRef<Value> extents,
            mlir::function_ref<void(Value point, mlir::ValueRange positions)> body);

private:
  /// The positions of one point, which is below 2^31 unless `any`.
  mlir::SmallVector<Value> digits(Value point, mlir::ArrayRef<Value> extents, bool any = false);

  mlir::gpu::GPUModuleOp device_;
};

} // namespace attnc::cuda
