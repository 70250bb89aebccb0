//===- How many threads share a point of a reduction ----------------------===//
#include "codegen/cuda/Sharing.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace attnc::cuda {

namespace {

constexpr int64_t kSectorBytes = 32;

/// What follows a position in the body of a nest.
struct Followers {
  llvm::DenseSet<Value> all;   ///< depends on it in any way
  llvm::DenseSet<Value> steps; ///< moves by one where it does, clamps aside

  Followers(Block &body, Value position) : all{position}, steps{position} {
    for (Operation &op : body) {
      auto any = [&](OperandRange operands, const llvm::DenseSet<Value> &set) {
        return llvm::any_of(operands, [&](Value v) { return set.contains(v); });
      };
      if (any(op.getOperands(), all))
        all.insert(op.result_begin(), op.result_end());
      bool passes = isa<arith::AddIOp, arith::SubIOp, arith::MaxSIOp, arith::MinSIOp, arith::SelectOp>(op);
      if (passes && any(op.getOperands().take_front(isa<arith::SubIOp>(op) ? 1 : op.getNumOperands()), steps))
        steps.insert(op.getResult(0));
    }
  }
};

} // namespace

int64_t coalescedShare(tile::NestOp nest) {
  if (!nest.isReduction() || nest.getNumPar() == 0)
    return 1;
  Block &body = nest.getBody().front();
  Followers par(body, nest.getParArgs().back()), red(body, nest.getInnerArgs().back());
  int along = 0, across = 0;
  int64_t bytes = 1;
  for (auto load : body.getOps<tile::LoadOp>()) {
    OperandRange indices = load.getIndices();
    if (indices.empty())
      continue;
    auto rows = [&](const Followers &f) {
      return llvm::any_of(indices.drop_back(), [&](Value v) { return f.all.contains(v); });
    };
    if (red.steps.contains(indices.back()) && rows(par)) {
      ++along;
      bytes = std::max<int64_t>(bytes, load.getBuffer().getType().getElementType().getIntOrFloatBitWidth() / 8);
    } else if (rows(red)) {
      ++across;
    }
  }
  return along > across ? kSectorBytes / bytes : 1;
}

} // namespace attnc::cuda
