//===- Directives that the assembly formats of AttnOps.td name -------------===//
#pragma once
#include "dialect/attn/Attn.h"

namespace attnc::attn {

mlir::ParseResult parseAxes(mlir::OpAsmParser &parser, mlir::ArrayAttr &axes);
void printAxes(mlir::OpAsmPrinter &p, mlir::Operation *op, mlir::ArrayAttr axes);
mlir::ParseResult parseT(mlir::OpAsmParser &parser, mlir::Type &type);
void printT(mlir::OpAsmPrinter &p, mlir::Operation *op, mlir::Type type);
mlir::ParseResult parseTs(mlir::OpAsmParser &parser, llvm::SmallVectorImpl<mlir::Type> &types);
void printTs(mlir::OpAsmPrinter &p, mlir::Operation *op, mlir::TypeRange types);
mlir::ParseResult parseGuardedTypes(mlir::OpAsmParser &parser, mlir::Type &operand, mlir::Type &guard);
void printGuardedTypes(mlir::OpAsmPrinter &p, mlir::Operation *op, mlir::Type operand, mlir::Type guard);
mlir::ParseResult parseDims(mlir::OpAsmParser &parser, mlir::ArrayAttr &dims, mlir::ArrayAttr &lengths);
void printDims(mlir::OpAsmPrinter &p, mlir::Operation *op, mlir::ArrayAttr dims, mlir::ArrayAttr lengths);

} // namespace attnc::attn
