//===- The buffers of a tile program --------------------------------------===//
#pragma once
#include "dialect/tile/Tile.h"
#include "mlir/IR/BuiltinOps.h"
#include "runtime/Blob.h"
#include <string>
#include <vector>

namespace attnc {

/// The equation that a buffer holds, empty when the program does not say.
std::string bufferName(tile::AllocOp alloc);

/// Buffers, shared and per thread, with their sizes as text over the symbols, of which `symbols` are the names; those
/// that the program is specialised on do not occur.
std::vector<KernelBlob::Buffer> buffersOf(mlir::ModuleOp module, const std::vector<std::string> &symbols);

} // namespace attnc
