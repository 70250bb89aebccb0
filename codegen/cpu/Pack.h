//===- Operands of contractions, packed before the kernel -----------------===//
#pragma once
#include "codegen/cpu/Contraction.h"

namespace attnc::cpu {

/// By nest.
using PackTable = llvm::DenseMap<mlir::Operation *, Packed>;

/// Adds a kernel before each kernel that would pack the same operand more than once.
PackTable packOperands(tile::ProgramOp program, const Machine &machine);

} // namespace attnc::cpu
