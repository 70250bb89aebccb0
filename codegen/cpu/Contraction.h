//===- Sums of products as register-blocked kernels -----------------------===//
#pragma once
#include "codegen/cpu/Nest.h"

namespace attnc::cpu {

/// A nest that sums, over its red dims, a product whose factors fall into two groups with different par dims; where a
/// guard is given, over the points where it holds.
struct Contraction {
  struct Factor {
    mlir::Value value;
    bool divides;
  };
  llvm::SmallVector<Factor> a, b;          ///< `a` has the m dims, `b` the n dims
  llvm::SmallVector<mlir::Value> both;     ///< conditions without m and n dims
  llvm::SmallVector<mlir::Value> onA, onB; ///< conditions with m dims, with n dims
  int m = -1, n = -1, k = -1;              ///< the dims that are blocked, numbered par first, then red
  llvm::SmallVector<int> outer;            ///< the other par dims, those that b has first
  llvm::SmallVector<int> sameB;            ///< those of `outer` that b does not have
  llvm::SmallVector<int> outerRed;         ///< the other red dims
};

std::optional<Contraction> matchContraction(const Scope &scope, tile::NestOp nest);

/// Scratch memory that emitContraction needs beside the kernel's own.
int64_t contractionScratch(const Machine &machine, mlir::Type elem);

/// Emits the blocked form. The caller has checked that blocking pays.
void emitContraction(Ir &ir, Scope &scope, const Machine &machine, tile::NestOp nest, const Contraction &c,
                     mlir::Value scratch);

} // namespace attnc::cpu
