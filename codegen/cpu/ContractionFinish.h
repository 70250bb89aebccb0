//===- What ends a sum of products ----------------------------------------===//
#pragma once
#include "codegen/cpu/Contraction.h"
#include <vector>

namespace attnc::cpu {

/// Whether what ends a sum may run in lanes along par dim n: what it reads and stores there are neighbours in memory of
/// the program.
bool finishesInLanes(tile::NestOp nest, int n);

/// Memory outside the kernel that finish reads or writes at every point, row by row with neighbours along n: element
/// (m, n) is at base + (m - m0) * row + n - n0.
struct EndRows {
  mlir::Value isFirst; ///< whether it is to be fetched now: with the first block of k
  mlir::Value base, row;
  /// Of the tile at (m, n), two vectors wide. Rows past the end do no harm.
  void fetch(Ir &ir, mlir::Type elem, mlir::Value m, mlir::Value n, int64_t rows, int64_t width, bool write) const;
};

/// What ends the sums of a block of m and n.
class TileFinish {
public:
  TileFinish(Ir &ir, Scope &scope, tile::NestOp nest, const Contraction &c, unsigned width,
             const llvm::DenseMap<int, mlir::Value> &places, mlir::Value m0, mlir::Value n0)
      : ir(ir), scope(scope), nest(nest), c(c), places(places), width(width), m0(m0), n0(n0) {}

  /// What is read or, with `write`, stored outside the kernel; `none`: an address that will do where nothing is.
  EndRows rows(bool write, mlir::Value isFirst, mlir::Value none) const;

  /// Emits what is the same for all of the block. `last`: whether sums are complete after this block of k.
  void begin(mlir::Value last);
  /// For the two vectors of columns at n0 + n; also emits what is the same for all rows.
  TileFinish inPanel(mlir::Value n, mlir::Value count) const;
  mlir::Value last() const { return complete; }
  /// For the sums of a tile at m0 + m, of which `left` rows exist.
  void emit(llvm::ArrayRef<mlir::Value> sums, mlir::Value m, mlir::Value left, int64_t rows) const;
  /// For the two vectors of one row, m0 + m.
  void emitRow(llvm::ArrayRef<mlir::Value> sums, mlir::Value m) const;
  /// Whether what is done with a sum takes so long that the tile is better finished while the next one is summed.
  bool isLong() const;

private:
  Ir &ir;
  Scope &scope;
  mutable tile::NestOp nest; ///< its accessors are not const
  const Contraction &c;
  const llvm::DenseMap<int, mlir::Value> &places;
  unsigned width;
  mlir::Value m0, n0, complete;
  std::vector<Point> points; ///< one after begin, one for each vector in a panel
  llvm::DenseSet<mlir::Value> written;
};

} // namespace attnc::cpu
