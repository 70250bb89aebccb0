//===- Bodies of nests, evaluated in lanes --------------------------------===//
//
// A Point holds the values that the ops of a nest's body have at one place of the generated loops: `width` neighbouring
// positions along one loop at once, or a single position (width 1). A value is
//
//   Uniform  the same in every lane: a scalar
//   Linear   value + lane * step, integers only: kept as scalars, so that loads along it are seen to be contiguous
//   Vector   a vector of `width` lanes
//
// Copying a Point and emitting into the copy is how loops nest: what an outer level computed is known inside, never the
// other way round. An op is emitted at the outermost level that knows all its operands.
//===----------------------------------------------------------------------===//
#pragma once
#include "dialect/tile/Combiners.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace attnc::cpu {

struct ClampedIndex;

/// What the generated code may use.
struct Machine {
  unsigned vectorBytes = 64;
  bool vectorise = true;
};

/// Attribute of a tile.arg whose last dim has stride 1.
constexpr llvm::StringLiteral kRows = "rows";

/// Builder with the arithmetic of addresses; folds constants as it goes.
struct Ir : mlir::ImplicitLocOpBuilder {
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;
  mlir::Value i64(int64_t v) { return create<mlir::arith::ConstantIntOp>(v, 64); }
  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value sub(mlir::Value a, mlir::Value b) { return createOrFold<mlir::arith::SubIOp>(a, b); }
  mlir::Value mul(mlir::Value a, mlir::Value b);
  mlir::Value min(mlir::Value a, mlir::Value b) { return createOrFold<mlir::arith::MinSIOp>(a, b); }
  mlir::Value max(mlir::Value a, mlir::Value b) { return createOrFold<mlir::arith::MaxSIOp>(a, b); }
  mlir::Value less(mlir::Value a, mlir::Value b) {
    return createOrFold<mlir::arith::CmpIOp>(mlir::arith::CmpIPredicate::slt, a, b);
  }
  mlir::LLVM::LLVMPointerType ptr() { return mlir::LLVM::LLVMPointerType::get(getContext()); }
  /// base + offset elements of `elem`.
  mlir::Value offset(mlir::Type elem, mlir::Value base, mlir::Value offset);
  /// 0, 1, ... width-1 as i64.
  mlir::Value iota(unsigned width);
  /// Lanes below `count`.
  mlir::Value lanesBelow(mlir::Value count, unsigned width);
  /// The lanes whose numbers compare so with an i32.
  mlir::Value lanesThat(mlir::arith::CmpIPredicate predicate, mlir::Value bound, unsigned width);
  mlir::Value splat(mlir::Value scalar, unsigned width);
  /// Loop over lo, lo + step, ... < hi (step > 0) with carried values; returns their last values.
  llvm::SmallVector<mlir::Value>
  loop(mlir::Value lo, mlir::Value hi, mlir::Value step, mlir::ValueRange init,
       llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value iv, mlir::ValueRange carried)> body);
  void when(mlir::Value condition, llvm::function_ref<void()> then, llvm::function_ref<void()> otherwise = nullptr);
};

/// The constant an integer value is, if it is one.
std::optional<int64_t> constantOf(mlir::Value v);

/// Memory of a tile.buf: element address = base + sum of index * stride.
struct Buffer {
  mlir::Value base;
  llvm::SmallVector<mlir::Value> strides;
  mlir::Type elem;     ///< storage type of the buffer
  bool caller = false; ///< all strides come from the caller: which dim is contiguous is known when it runs
};

struct Lane {
  enum Kind { Uniform, Linear, Vector } kind = Uniform;
  mlir::Value value;
  mlir::Value step; ///< Linear
};

/// Values outside the nests of one generated function.
struct Scope {
  mlir::IRMapping values; ///< tile-level scalars -> generated ones
  llvm::DenseMap<mlir::Value, Buffer> buffers;
  bool streams = false; ///< what is read is read once, row by row: worth fetching ahead
};

class Point {
public:
  Point(Ir &ir, Scope &scope, unsigned width) : width(width), ir(ir), scope(scope) {}

  void bind(mlir::Value v, Lane lane) { lanes[v] = lane; }
  void bind(mlir::Value v, mlir::Value uniform) { lanes[v] = {Lane::Uniform, uniform, {}}; }
  bool known(mlir::Value v) const { return lanes.count(v) || scope.values.contains(v) || isOuterConstant(v); }
  Lane get(mlir::Value v);
  /// As one vector (a scalar when width is 1).
  mlir::Value full(mlir::Value v) { return full(get(v)); }
  mlir::Value full(Lane lane);
  mlir::Value scalar(mlir::Value v) { return get(v).value; }

  /// Emits one op of a body whose operands are known. Loads, stores and updates obey `mask`.
  void emit(mlir::Operation *op);
  /// Emits every op of the block that can be emitted and is not yet, except stores, updates, and loads from `written`
  /// buffers.
  void emitReady(mlir::Block &block, const llvm::DenseSet<mlir::Value> &written);
  void emitOnce(mlir::Operation *op) {
    if (!done.count(op))
      emit(op);
  }
  /// Takes over what another point has emitted of `ops`, which come out the same here.
  void adopt(const Point &other, llvm::ArrayRef<mlir::Operation *> ops);
  /// Emits what is left, in order.
  void emitRest(mlir::Block &block);
  /// Emits what is left before `op`.
  void emitBefore(mlir::Operation *op);

  /// Where the first lane of a load or store is, and how far the next one, in elements (null: at the same place); emits
  /// what the indices need. No index is a vector.
  std::pair<mlir::Value, mlir::Value> place(mlir::Value buffer, mlir::ValueRange indices);
  /// Stores `value` in the place of `op`'s.
  void store(tile::StoreOp op, mlir::Value value);
  /// Element of a buffer at these lanes, in the compute type. `otherwise`: of lanes outside `mask`, where lanes are
  /// neighbours; as in memory.
  Lane load(const Buffer &buffer, llvm::ArrayRef<Lane> indices, mlir::Value otherwise = {});
  void store(mlir::Value value, bool uniform, const Buffer &buffer, llvm::ArrayRef<Lane> indices,
             mlir::Value condition);

  unsigned width;
  mlir::Value mask; ///< which lanes exist; null: all

private:
  struct Address {
    mlir::Value ptr;     ///< of lane 0, or common base
    mlir::Value stride;  ///< between lanes, in elements; null: all lanes at ptr
    mlir::Value offsets; ///< per lane, in elements
  };
  bool isOuterConstant(mlir::Value v) const { return v.getDefiningOp<mlir::arith::ConstantOp>() != nullptr; }
  Address address(const Buffer &buffer, llvm::ArrayRef<Lane> indices);
  mlir::Value pointers(const Address &a, mlir::Type memory);
  Lane emitInteger(mlir::Operation *op);
  mlir::Value emitNarrow(mlir::arith::CmpIOp op);
  /// Emits an op of the body with the operands that it needs.
  void emitNeeded(mlir::Value v);
  void emitLoad(tile::LoadOp op);
  Lane loadClamped(const Buffer &buffer, llvm::SmallVector<Lane> indices, const ClampedIndex &clamped);
  void emitUpdate(tile::UpdateOp op);
  llvm::SmallVector<Lane> getAll(mlir::ValueRange values);

  Ir &ir;
  Scope &scope;
  llvm::DenseMap<mlir::Value, Lane> lanes;
  llvm::DenseSet<mlir::Operation *> done;
};

} // namespace attnc::cpu
