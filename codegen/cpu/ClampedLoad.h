//===- Loads at clamped positions -----------------------------------------===//
#pragma once
#include "dialect/tile/Tile.h"

namespace attnc::cpu {

/// An index `max(min(position, last), first)` of a load.
struct ClampedIndex {
  struct Clamp {
    mlir::Value bound;
    bool most;             ///< min(.., bound)
    mlir::Value condition; ///< says that the clamp does nothing; where it is false, the load does not matter. Or null
  };
  mlir::Value position;
  llvm::SmallVector<Clamp, 2> clamps; ///< outermost first
};

/// Null: the index is not clamped. `moves`: what changes along the lanes, as the position does and bounds do not.
std::optional<ClampedIndex> clampedIndex(tile::LoadOp load, unsigned index,
                                         llvm::function_ref<bool(mlir::Value)> moves);

} // namespace attnc::cpu
