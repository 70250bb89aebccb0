//===- Operands of contractions, packed before the kernel -----------------===//
#pragma once
#include "codegen/cpu/Contraction.h"

namespace attnc::cpu {

struct PackTable {
  llvm::DenseMap<mlir::Operation *, PackedOperands> nests;
  /// When a kernel that packs is of use, by strides that are known when the program runs.
  struct When {
    std::optional<PlainOperand> notInPlace; ///< not where this A can be read where it is
    std::optional<PlainOperand> strides;    ///< only where its rows are nearer in memory than its positions along k,
    bool rowNearer = false;                 ///< or the other way round
  };
  llvm::DenseMap<mlir::Operation *, When> when;
  const PackedOperands *find(mlir::Operation *nest) const {
    auto it = nests.find(nest);
    return it == nests.end() ? nullptr : &it->second;
  }
};

/// Adds a kernel before each kernel that would pack the same operand more than once.
PackTable packOperands(tile::ProgramOp program, const Machine &machine);

} // namespace attnc::cpu
