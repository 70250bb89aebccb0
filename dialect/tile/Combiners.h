//===- What a combiner does, as arith ops ---------------------------------===//
#pragma once
#include "dialect/tile/Tile.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace attnc::tile {

/// Two values, scalars or vectors, joined; not for argmax and argmin.
mlir::Value combine(mlir::ImplicitLocOpBuilder &b, Combiner kind, mlir::Value x, mlir::Value y);
/// What changes nothing when it is joined.
mlir::Value identity(mlir::ImplicitLocOpBuilder &b, Combiner kind, mlir::Type scalar);

} // namespace attnc::tile
