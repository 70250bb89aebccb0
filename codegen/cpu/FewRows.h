//===- Sums of products with a few rows ------------------------------------===//
#pragma once
#include "codegen/cpu/Nest.h"

namespace attnc::cpu {

/// A sum whose `shared` operand is the same for all rows, of which there are few when it runs: the time goes into
/// reading it.
struct FewRows {
  int row;    ///< par dim worked on a few at a time
  int stream; ///< dim along which the operand is read on and on: a par dim where lanes are summed, else the red dim
  tile::LoadOp shared;
};
/// `few`: a par dim that has a few positions.
std::optional<FewRows> matchFewRows(tile::NestOp nest, const NestPlan &plan, int few);
void emitFewRows(Ir &ir, Scope &scope, tile::NestOp nest, const NestPlan &plan, const FewRows &found);

/// The par dim of a product that has blocks of rows, of which a call may have few; -1: none.
int fewDim(tile::NestOp nest, llvm::ArrayRef<int> among);

} // namespace attnc::cpu
