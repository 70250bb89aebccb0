//===- A plan as text of the tile dialect ---------------------------------===//
//
// Expressions are emitted under an environment, position of every axis -> i64 scalar. A stored value becomes a load at
// the positions of its axes, an input a load at the caller's dims, everything else is computed on the spot; each value
// once per environment and body. Indices are clamped only where nothing shows that they are inside.
//===----------------------------------------------------------------------===//
#pragma once
#include "dialect/tile/Tile.h"
#include "passes/attn/AttnToTilePlan.h"
#include "passes/attn/AttnToTileScalar.h"

namespace attnc::totile {

/// Position of each axis, sorted by axis.
using Env = llvm::SmallVector<std::pair<int, Value>, 6>;
void assign(Env &env, int axis, Value at);
Value lookup(const Env &env, int axis);

/// One dim of a nest: the flat position over `axes` (none: only says whether there is a point at all).
struct NestDim {
  llvm::SmallVector<int> axes;
  tile::Range range;
  ExtentRef bound;      ///< positions are below it
  Value list = nullptr; ///< positions at the places that the range counts; null: the range counts positions
  /// With the fixed positions `before` of the leaves ahead of it, the flat position is below `length`; null: not said.
  llvm::SmallVector<Value> before = {};
  ExtentRef length = nullptr;
};

class Emitter {
public:
  Emitter(Plan &plan, tile::ProgramOp program);
  mlir::LogicalResult run();

private:
  friend class Body;
  // AttnToTileEmit.cpp: kernels and loops.
  mlir::LogicalResult emitKernel(Kernel &kernel);
  mlir::LogicalResult emitNodes(std::vector<std::unique_ptr<Node>> &nodes, const Env &fixed);
  mlir::LogicalResult emitLoop(Node &node, const Env &fixed);
  /// The rounds of a loop, while its body is emitted; the loops of the last stage that the first round differs in.
  struct Rounds {
    int axis;
    bool up;
    Value start;
    tile::ForOp first, later;
  };
  mlir::LogicalResult emitInRounds(Stage &stage, Rounds &rounds, const Env &env);
  mlir::LogicalResult emitStage(Stage &stage, const Env &fixed);
  // AttnToTileNest.cpp: stages.
  mlir::LogicalResult emitMap(Stage &stage, const Env &fixed);
  mlir::LogicalResult emitReduce(Stage &stage, const Env &fixed);
  void emitCopy(Stage &stage, const Env &fixed); ///< buffer -> outputs
  // AttnToTileSelect.cpp: sorts and scatters.
  mlir::LogicalResult emitSort(Stage &stage, const Env &fixed);
  mlir::LogicalResult emitRows(Stage &stage, const Env &fixed, Value keys, Value valid, Value order);
  mlir::LogicalResult emitScatter(Stage &stage, const Env &fixed);

  llvm::SmallVector<NestDim> dimsOf(Stage &stage, const Env &fixed);
  NestDim dimOver(int axis);
  /// The part of the axis that the stage has to visit.
  NestDim dimOver(Stage &stage, int axis, const Env &fixed);
  std::optional<Value> finite(llvm::ArrayRef<int> checks, int kernel, const Env &fixed);
  Needed neededBy(const Worklist &list) const;
  tile::Range rangeOf(const Needed &need, int kernel, NestDim dim, const Env &fixed);
  // AttnToTileWorkEmit.cpp
  NestDim dimOver(int worklist, NestDim whole, const Env &fixed);
  void emitNeeded(const Worklist &list, NestDim dim, Value flags, const Env &fixed);
  llvm::SmallVector<NestDim> innerDims(Stage &stage, const Env &fixed);
  static llvm::SmallVector<tile::Range> rangesOf(llvm::ArrayRef<NestDim> dims);

  Value extent(const ExtentRef &e);
  Value integer(int64_t x) { return prologue.constant(b.getI64IntegerAttr(x), program.getLoc()); }
  Value extentOf(int axis) { return extent(plan.graph.axes[axis].extent); }
  Value allocate(llvm::ArrayRef<BufferDim> dims, mlir::Type elem, bool shared, llvm::StringRef name,
                 llvm::StringRef why);
  void known(Value position, const ExtentRef &bound) { below_[position] = bound; }

  Plan &plan;
  Graph &graph;
  tile::ProgramOp program;
  Prologue prologue;
  mlir::OpBuilder b;
  mlir::Location loc;

  std::vector<Value> memory_;                      ///< per stage
  llvm::DenseMap<mlir::Operation *, Value> argOf_; ///< attn.input, attn.output -> tile.arg
  std::map<std::string, Value> extents_;
  Kernel *kernel_ = nullptr;
  tile::KernelOp kernelOp_;
  mlir::Operation *lastAlloc_ = nullptr;
  llvm::SmallDenseMap<int, tile::Range> blocks_; ///< axis -> positions of this instance
  llvm::SmallDenseMap<int, NestDim> listed_;     ///< worklists that this instance has made
  llvm::DenseMap<Value, Value> places_;          ///< position -> its place in a worklist

  /// SSA positions that are known to lie in 0 .. bound-1 (0 when the bound is 0).
  llvm::DenseMap<Value, ExtentRef> below_;
  /// Closer bounds of a position along an axis: low .. extent-1-high.
  struct Bounds {
    int64_t low = 0, high = 0;
  };
  llvm::DenseMap<Value, Bounds> bounds_;
  /// Would closer bounds of `at` decide a comparison?
  struct Probe {
    Value at;
    Bounds bounds;
    bool decided;
  };
  std::optional<Probe> probe_;
  mlir::Block dropped_; ///< what was emitted to see that
  /// Positions that are an extent less something.
  llvm::DenseMap<Value, ExtentRef> exact_;
  /// Last leaf of a composite -> all leaves and the length that their flat position is below.
  llvm::DenseMap<Value, std::pair<llvm::SmallVector<Value>, ExtentRef>> existing_;
  /// lo = flat mod radix, hi = flat div radix.
  struct Split {
    Value hi, flat;
    int64_t radix;
  };
  llvm::DenseMap<Value, Split> splits_;
};

std::optional<tile::Combiner> combinerOf(attn::Reduction op);
Value identityOf(Scalars &s, tile::Combiner kind, mlir::Type type);

/// One straight-line body: of a nest, or between nests. AttnToTileBody.cpp
class Body {
public:
  Body(Emitter &e, mlir::OpBuilder &b, mlir::Location loc) : e(e), b(b), s(b, loc, e.prologue), loc(loc) {}

  /// Value of `v`; null after an error, which is reported.
  Value emit(Value v, const Env &env);
  /// The same for the root of a stage: computed although it is stored.
  Value emitRoot(const Stage &stage, const Env &env, Value coreResult);
  /// Gives the axes of the nest's dims their positions.
  Env open(const Env &fixed, llvm::ArrayRef<NestDim> dims, mlir::ValueRange positions);
  Value flatten(llvm::ArrayRef<int> axes, const Env &env);
  llvm::SmallVector<Value> indices(const Stage &stage, const Env &env);
  void store(const Stage &stage, Value v, const Env &env, bool buffer, bool outputs);
  /// Erases what turned out unused.
  static void prune(mlir::Block *block);

  Emitter &e;
  mlir::OpBuilder &b;
  Scalars s;
  mlir::Location loc;

private:
  Value emitOp(mlir::Operation *op, const Env &env);
  /// The largest (or smallest) value of `l` at the positions of `env`, over extents alone.
  std::optional<Linear> limit(const Linear &l, const Env &env, bool largest);
  /// Whether `v` is known to be 0 .. extent(axis)-1 there.
  bool isInside(Value v, const Env &env, int axis);
  /// What a comparison of positions is everywhere in the body, if that is known.
  std::optional<bool> decide(attn::MapOp compare, const Env &env);
  std::optional<bool> compared(attn::MapOp compare, const Env &env);
  Env restrict(const Env &env, Value v);
  std::map<std::pair<void *, std::vector<void *>>, Value> memo_;
  Value core_, coreResult_;
};

} // namespace attnc::totile
