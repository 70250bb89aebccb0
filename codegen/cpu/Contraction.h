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

/// An operand packed as a whole: A as buffer[dims..., m, k], B as buffer[dims..., panel of n, k, n in the panel].
struct Packed {
  /// A dim of the nest, or a grid position of the kernel (`grid`); its first position is row 0 of the buffer.
  struct Dim {
    int nest = -1;
    mlir::Value grid, lo;
  };
  mlir::Value buffer;  ///< tile.alloc of the program, or of the kernel
  bool inside = false; ///< of the kernel: an instance packs for itself
  mlir::Value use;     ///< i64 of the program; 0: the kernel does without
  llvm::SmallVector<Dim> dims;
  mlir::Value rowLo, kLo; ///< first m or n, first k
};

/// Of a plain A only used where its neighbours along k do not share cache lines.
struct PackedOperands {
  std::optional<Packed> a, b;
  /// All that the kernel needs of the program.
  llvm::SmallVector<mlir::Value> values() const;
};

/// An element of a tensor; every index moves with m (n of a B) and with k by so much.
struct PlainOperand {
  tile::LoadOp load;
  llvm::SmallVector<int64_t> m, k;

  /// Whether it lies in rows in memory, as far as the compiler knows: memory of the program does.
  bool known() const;
  /// Along m neighbours are nearer than along k, where it lies in rows.
  bool rowNearer() const;
  /// Known to be side by side along k.
  bool inRows() const;
};
/// What a load is, by two dims of a nest; nothing: an index moves in unequal steps.
std::optional<PlainOperand> plainOperand(tile::NestOp nest, tile::LoadOp load, int rowDim, int kDim);
/// A where it is nothing but that.
std::optional<PlainOperand> plainA(tile::NestOp nest, const Contraction &c);

/// How an index moves with a position of its block; nothing: not in equal steps.
std::optional<int64_t> slope(mlir::Value index, mlir::BlockArgument position);
std::optional<llvm::SmallVector<int64_t>> slopes(mlir::ValueRange indices, mlir::BlockArgument position);

/// Whether `lo` is `from`, or goes on from there in steps of whole panels.
bool beginsPanel(mlir::Value lo, mlir::Value from, int64_t panel);

/// Whether `last` is n - lo or n less what `lo` began with, along the last dim of memory of the kernel whose rows are
/// whole panels: a panel that begins below hi ends in its row.
bool wholePanels(tile::NestOp nest, int n, mlir::Value buffer, mlir::Value last, int64_t panel);

/// B that is an element of memory of the kernel with neighbours along n, in rows of whole panels.
std::optional<PlainOperand> plainB(tile::NestOp nest, const Contraction &c, int64_t panel);

/// Elements from one position to the next.
mlir::Value step(Ir &ir, const Buffer &buffer, llvm::ArrayRef<int64_t> slopes);
/// Whether elements so far apart share cache lines.
mlir::Value near(Ir &ir, mlir::Value step);

std::optional<Contraction> matchContraction(tile::NestOp nest);

/// All conditions, from copies of them.
mlir::Value conjunction(mlir::OpBuilder &b, mlir::Location loc, llvm::ArrayRef<mlir::Value> conditions,
                        llvm::function_ref<mlir::Value(mlir::Value)> copy);
/// One side of the product, 0 where a condition does not hold, from copies of values of the body.
mlir::Value product(mlir::OpBuilder &b, mlir::Location loc, mlir::Type elem,
                    llvm::ArrayRef<Contraction::Factor> factors, llvm::ArrayRef<mlir::Value> conditions,
                    llvm::function_ref<mlir::Value(mlir::Value)> copy);

/// Scratch memory that emitContraction needs beside the kernel's own.
int64_t contractionScratch(const Machine &machine, mlir::Type elem);

/// Emits the blocked form. The caller has checked that blocking pays. `packed`: its B, if it is packed before the
/// kernel.
void emitContraction(Ir &ir, Scope &scope, const Machine &machine, tile::NestOp nest, const Contraction &c,
                     mlir::Value scratch, const PackedOperands *packed);

} // namespace attnc::cpu
