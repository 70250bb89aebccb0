//===- The attn dialect ---------------------------------------------------===//
#pragma once
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/RegionKindInterface.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "runtime/DType.h"
#include "runtime/Extent.h"

#include "dialect/attn/AttnDialect.h.inc"
#include "dialect/attn/AttnEnums.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialect/attn/AttnTypes.h.inc"
#define GET_OP_CLASSES
#include "dialect/attn/AttnOps.h.inc"

namespace attnc::attn {

using Axes = llvm::SmallVector<mlir::StringAttr>;

/// Type and axes of a value of this dialect.
inline TensorType typeOf(mlir::Value value) { return llvm::cast<TensorType>(value.getType()); }
inline llvm::ArrayRef<mlir::StringAttr> axesOf(mlir::Value value) { return typeOf(value).getAxes(); }
inline bool hasAxis(mlir::Value value, mlir::StringAttr axis) { return typeOf(value).hasAxis(axis); }

/// Axis lists as attributes hold them, in their order.
Axes axesFrom(mlir::ArrayAttr names);
mlir::ArrayAttr axesAttr(mlir::MLIRContext *context, llvm::ArrayRef<mlir::StringAttr> axes);
/// Sorted union and difference.
Axes axesUnion(llvm::ArrayRef<mlir::StringAttr> a, llvm::ArrayRef<mlir::StringAttr> b);
Axes axesMinus(llvm::ArrayRef<mlir::StringAttr> a, llvm::ArrayRef<mlir::StringAttr> b);

inline DType dtypeOf(Storage storage) { return static_cast<DType>(storage); }
inline Storage storageOf(DType dtype) { return static_cast<Storage>(dtype); }
/// The type that values of this storage are computed in.
mlir::Type computeType(mlir::MLIRContext *context, DType dtype);

/// The constant of a value, if it is one (looking through nothing).
std::optional<double> constReal(mlir::Value value);
std::optional<int64_t> constInt(mlir::Value value); ///< i64, and i1 as 0 or 1

/// Extents of one mixer, parsed once. Make one per pass; it does not see axes added later, except through addAxis().
class AxisTable {
public:
  explicit AxisTable(MixerOp mixer);
  const std::vector<std::string> &symbols() const { return symbols_; }
  ExtentRef extent(mlir::StringAttr axis) const { return extents_.lookup(axis); }
  ExtentRef parse(llvm::StringRef text) const;
  std::string text(const ExtentRef &extent) const { return extentText(extent, symbols_); }
  /// A new axis in the mixer and here; the name may get a suffix.
  mlir::StringAttr addAxis(llvm::StringRef hint, const ExtentRef &extent);
  /// Number of positions that exist along dim `dim` of an input or output.
  ExtentRef dimLength(mlir::ArrayAttr dims, mlir::ArrayAttr lengths, unsigned dim) const;

private:
  MixerOp mixer_;
  std::vector<std::string> symbols_;
  llvm::DenseMap<mlir::StringAttr, ExtentRef> extents_;
};

} // namespace attnc::attn
