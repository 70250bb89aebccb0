//===- How many threads share a point of a reduction ----------------------===//
#pragma once
#include "dialect/tile/Tile.h"

namespace attnc::cuda {

/// How many neighbouring threads should share a point along the last red dim so that what they load lies side by side:
/// as many elements as a sector of 32 bytes holds where rows are read along that dim, 1 where they are read across it.
int64_t coalescedShare(tile::NestOp nest);

} // namespace attnc::cuda
