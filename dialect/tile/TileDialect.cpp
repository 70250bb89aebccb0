//===- The tile dialect: registration and types ---------------------------===//
#include "dialect/tile/Tile.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace attnc::tile;

#include "dialect/tile/TileDialect.cpp.inc"
#include "dialect/tile/TileEnums.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialect/tile/TileTypes.cpp.inc"

void TileDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialect/tile/TileTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialect/tile/TileOps.cpp.inc"
      >();
}

Type attnc::tile::computeType(Type storage) {
  Builder b(storage.getContext());
  if (storage.isF16() || storage.isBF16())
    return b.getF32Type();
  if (storage.isInteger(32))
    return b.getI64Type();
  return storage;
}

Type BufType::getComputeType() { return computeType(getElementType()); }

LogicalResult BufType::verify(llvm::function_ref<InFlightDiagnostic()> emitError, Type elem, unsigned rank) {
  if (elem.isF32() || elem.isF16() || elem.isBF16() || elem.isF64() || elem.isInteger(32) || elem.isInteger(64) ||
      elem.isInteger(1))
    return success();
  return emitError() << "element type is f32, f16, bf16, f64, i32, i64 or i1, not " << elem;
}
