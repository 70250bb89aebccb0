//===- Loads at clamped positions, under a guard --------------------------===//
#pragma once
#include "dialect/tile/Tile.h"

namespace attnc::cpu {

/// An index `max(min(position, last), first)` of a load whose value matters only where `inside` hold, which say that
/// the clamp does nothing.
struct GuardedIndex {
  mlir::Value position;
  llvm::SmallVector<mlir::Value, 2> inside;
};

/// Null: the index is not clamped, or what the clamp gives may matter.
std::optional<GuardedIndex> guardedIndex(tile::LoadOp load, unsigned index);

} // namespace attnc::cpu
