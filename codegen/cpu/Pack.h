//===- Operands of contractions, packed before the kernel -----------------===//
#pragma once
#include "codegen/cpu/Contraction.h"

namespace attnc::cpu {

struct PackTable {
  llvm::DenseMap<mlir::Operation *, PackedOperands> nests;
  /// Kernels that pack an A, which need not run where it can be read where it is.
  llvm::DenseMap<mlir::Operation *, PlainOperand> unless;
  const PackedOperands *find(mlir::Operation *nest) const {
    auto it = nests.find(nest);
    return it == nests.end() ? nullptr : &it->second;
  }
};

/// Adds a kernel before each kernel that would pack the same operand more than once.
PackTable packOperands(tile::ProgramOp program, const Machine &machine);

} // namespace attnc::cpu
