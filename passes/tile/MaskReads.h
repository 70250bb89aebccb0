//===- What conditions read -----------------------------------------------===//
//
// Values of the terms of a condition (Mask.h) that are no arithmetic on positions: made before the loop where they are
// the same in all of it, as ends over the rows of a box where they are read at rows, and from a table of the least and
// the greatest of each part of the axis where they are read along it. The table is made by a kernel of its own. What is
// read for pairs of a row and a position is looked at point by point.
//===----------------------------------------------------------------------===//
#pragma once
#include "mlir/IR/IRMapping.h"
#include "passes/tile/Mask.h"
#include "llvm/ADT/SetVector.h"

namespace attnc::mask {

class Reads : public Reader {
public:
  Reads(tile::ForOp loop, const Terms &terms, const llvm::SmallVector<Frame> &frames);

  /// Where the axis ends in the program, known where tables can be made.
  Value axisEnd() const { return end; }
  /// What is the same in all of the loop is made before this.
  void setAnchor(Operation *op) { anchor = op; }
  /// A term that isTable() is to be looked at.
  void lookAt(Id id) { tabular.insert(id); }
  bool looks() const { return !tabular.empty(); }

  Interval read(ImplicitLocOpBuilder &b, Id id, Box &box) override;
  bool looksAt(Id id) const override { return tabular.contains(id); }
  Truth look(ImplicitLocOpBuilder &b, Id id, Box &box, Solver &solver) override;
  Value outside(Id id) override;

private:
  struct Table {
    Value least, greatest;
    llvm::SmallVector<Value> at; ///< positions of the grid
  };

  Value copy(mlir::OpBuilder &b, Value v, mlir::IRMapping &map, bool kernelToo = false);
  Interval readRows(ImplicitLocOpBuilder &b, Id id, Box &box);
  Interval readTable(ImplicitLocOpBuilder &b, Id id, Box &box);
  std::optional<Table> makeTable(Value v);
  void findPlaces(Id id, llvm::SmallSetVector<Id, 4> &places) const;
  const Frame &frameOf(Value v) const;
  Value memory(int64_t count, mlir::Type element, llvm::StringRef name);

  tile::ForOp loop;
  tile::KernelOp kernel;
  const Terms &terms;
  const llvm::SmallVector<Frame> &frames;
  Value end;
  Operation *anchor = nullptr;
  llvm::SmallDenseSet<Id> tabular;
  llvm::DenseMap<Id, Value> outside_;
  llvm::DenseMap<Id, std::optional<Table>> tables;
  mlir::IRMapping outsideMap;
};

} // namespace attnc::mask
