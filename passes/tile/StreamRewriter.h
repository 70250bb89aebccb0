//===- Fusing nests over an axis: how they are written --------------------===//
#pragma once
#include "mlir/IR/IRMapping.h"
#include "passes/tile/Stream.h"

namespace attnc::stream {

constexpr int64_t kBlock = 128; ///< positions in a block

class Rewriter : Fusion {
public:
  explicit Rewriter(Fusion found) : Fusion(std::move(found)) { stale = matchStale(*this); }
  void run();

private:
  /// Where the maximum is that a sum refers to, from its par positions.
  llvm::SmallVector<Value> maxPlace(mlir::ImplicitLocOpBuilder &b, const Member &m, ValueRange at) const;
  Value real(mlir::ImplicitLocOpBuilder &b, mlir::Type type, double v) {
    return b.create<mlir::arith::ConstantOp>(b.getFloatAttr(type, v));
  }
  Value identity(mlir::ImplicitLocOpBuilder &b, tile::Combiner kind, mlir::Type type);
  Value join(mlir::ImplicitLocOpBuilder &b, tile::Combiner kind, Value x, Value y);
  llvm::SmallVector<tile::Range> parOf(tile::NestOp nest);
  /// Which par dims of a sum are rows of what it sums; they come last in memory.
  llvm::SmallVector<unsigned> memoryOrder(const Member &m);
  llvm::SmallVector<Value> places(mlir::ImplicitLocOpBuilder &b, tile::NestOp nest, llvm::ArrayRef<unsigned> order,
                                  ValueRange par);
  tile::AllocOp runningBuffer(mlir::ImplicitLocOpBuilder &b, const Member &m, llvm::ArrayRef<unsigned> order,
                              mlir::Type type, llvm::StringRef name);

  void prepare(mlir::ImplicitLocOpBuilder &b);
  void emitMember(mlir::ImplicitLocOpBuilder &b, Member &m, Value lo, Value hi);
  void emitBody(mlir::ImplicitLocOpBuilder &b, Block &from, mlir::IRMapping &map, Value lo,
                llvm::function_ref<bool(Operation &)> instead = nullptr);

  // StreamStale.cpp
  void prepareStale(mlir::ImplicitLocOpBuilder &b);
  void emitBlock(mlir::ImplicitLocOpBuilder &b, Value lo, Value hi);
  void emitBelowStale(mlir::ImplicitLocOpBuilder &b, Value lo, Value hi);
  void emitRaised(mlir::ImplicitLocOpBuilder &b, Value lo, Value hi);
  void emitWeight(mlir::ImplicitLocOpBuilder &b, const mlir::IRMapping &scores, Value lo);
  void emitTest(mlir::ImplicitLocOpBuilder &b, bool raised);
  Value maxUnit(mlir::ImplicitLocOpBuilder &b);

  void finishMember(mlir::ImplicitLocOpBuilder &b, Member &m);
  bool emitReference(mlir::ImplicitLocOpBuilder &b, Operation &op, mlir::IRMapping &map);

  llvm::DenseMap<Value, Value> corrections; ///< by buffer of a maximum: the factor c of this block
  llvm::DenseMap<Value, Value> references;  ///< the maximum, 0 where there is none
  std::optional<Stale> stale;
  Value unitReference; ///< stale: the reference as exp2 takes it
  Value blockSum;      ///< stale: z'
  Value willDo;        ///< stale: i1, whether an old maximum will do
};

} // namespace attnc::stream
