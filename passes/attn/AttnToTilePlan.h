//===- What is stored, and which kernels compute it -----------------------===//
//
// A *stage* computes one value and stores it: a reduction, a selection, a state of a recurrence, an output, or an
// elementwise value that would otherwise be computed again and again. Everything between stages is recomputed inline.
// A *kernel* is a group of stages over a common grid; its stages and loops form a *schedule*.
//===----------------------------------------------------------------------===//
#pragma once
#include "passes/attn/AttnToTileGraph.h"
#include "runtime/Components.h"
#include "llvm/ADT/SmallPtrSet.h"
#include <memory>

namespace attnc::totile {

enum class StageKind { Map, Reduce, ArgReduce, Sort, Rank, Scatter };

/// A stage reads the value of another one; `at` gives the position of each of its axes (sorted).
struct Access {
  int stage;
  SymEnv at;
  bool ahead = false; ///< by a worklist, before the reader's own loops
};

/// A stage reads an input.
struct InputAccess {
  attn::InputOp input;
  SymEnv at;
};

/// A reduction in which a condition `position along axes == key` singles out the elements of every position: each
/// element is sent to its place instead of being looked for from there.
struct ScatterInfo {
  llvm::SmallVector<int> axes;         ///< one axis of the result, or a composite, last fastest
  Value key;                           ///< flat position, i64, without these axes
  llvm::SmallVector<Value> positions;  ///< of each axis, made from key
  llvm::SmallVector<Value> conditions; ///< further conditions
  Value value;                         ///< what is sent; null: true
};

/// `form` must be <= 0 for an element to matter, provided that the stages `finite` are true.
struct Bound {
  Linear form;
  llvm::SmallVector<int> finite;
  bool operator==(const Bound &o) const { return form == o.form && finite == o.finite; }
};

/// A condition that says nothing linear: data, or positions in another way. `holds` is `is` for an element to matter,
/// provided that the stages `finite` are true.
struct Guard {
  Value holds;
  bool is = true;
  llvm::SmallVector<int> finite = {};
  /// tile-mask-blocks may see from the ends of blocks where it holds: positions are not listed.
  bool blocks = false;
};

/// Positions along an axis that matter to some row of a block, listed when an instance runs; see AttnToTileWork.cpp.
struct Worklist {
  int axis;
  std::vector<std::vector<Guard>> any; ///< conjunctions; an element where none holds does not matter
  llvm::SmallVector<int> members;      ///< stages that visit these positions only
};

/// Where along an axis of a nest there is anything to do: the hull of `any`, each a conjunction of bounds.
struct Needed {
  bool whole = true;
  std::vector<std::vector<Bound>> any;
};

struct Stage {
  int id = -1;
  StageKind kind = StageKind::Map;
  Value value; ///< what is stored
  Value core;  ///< the reduction or selection in it; `value` is computed from its result. Null for Map
  std::string name, why;
  AxisSet axes;                 ///< of the stored value
  llvm::SmallVector<int> inner; ///< reduced axes in order; for Sort and Rank those of a row
  llvm::SmallVector<int> made;  ///< Sort: the new axes
  std::optional<ScatterInfo> scatter;
  llvm::SmallVector<attn::OutputOp> outputs;
  bool readable = false;     ///< others may read it (a pure output stage is not)
  bool check = false;        ///< says whether something is finite
  std::vector<Bound> bounds; ///< Reduce: elements outside change nothing
  std::vector<Guard> guards; ///< Reduce: nor do those where one of these does not hold
  std::vector<Guard> absent; ///< all such conditions that the source does not show: what they leave out is 0 there

  std::vector<Access> accesses;
  std::vector<InputAccess> inputs;
  std::map<int, Needed> needed;   ///< by axis; absent: the whole axis
  std::map<int, int> work;        ///< by axis: the worklist that the nest runs over
  llvm::SmallVector<int> readers; ///< stages, each once
  double cost = 1;                ///< operations per point

  /// Axes over which the stage may be cut into independent pieces.
  AxisSet parallel() const {
    AxisSet set = axes;
    for (int a : made)
      set.erase(a);
    if (kind == StageKind::Rank)
      for (int a : inner)
        set.erase(a);
    if (scatter)
      for (int a : scatter->axes)
        set.erase(a);
    return set;
  }
  /// All axes that its nests run over.
  AxisSet domain() const {
    AxisSet set = axes;
    for (int a : inner)
      set.insert(a);
    return set;
  }
};

/// Stages in order and loops around stages.
struct Node {
  int stage = -1; ///< or a loop:
  int axis = -1, dir = 1;
  std::vector<std::unique_ptr<Node>> body;
  bool isLoop() const { return stage < 0; }
};

/// One grid dim: blocks of `block` positions along the axis; 1: a single position.
struct GridDim {
  int axis;
  int64_t block;
};

struct Kernel {
  std::vector<int> stages;
  AxisSet parallel; ///< every stage may be cut along these
  llvm::SmallVector<GridDim> grid;
  std::vector<std::unique_ptr<Node>> schedule;

  Kernel() = default;
  Kernel(Kernel &&) = default;
  Kernel &operator=(Kernel &&) = default;
};

/// How one list of axes is kept in a buffer.
struct BufferDim {
  llvm::SmallVector<int> axes; ///< several: flat, last fastest
  enum Kind { Whole, Block, Ring, Listed } kind = Whole;
  int64_t size = 0; ///< Block: positions per block; Ring: slots; Listed: places, 0 for as many as there are positions
};

struct Buffer {
  bool shared = false; ///< program level: other kernels read it
  llvm::SmallVector<BufferDim> dims;
};

struct Loop {
  int axis, dir;
};

/// Loops around a stage, outermost first; whether it was found.
bool pathTo(const std::vector<std::unique_ptr<Node>> &nodes, int stage, llvm::SmallVectorImpl<const Node *> &path);

class Plan {
public:
  explicit Plan(Graph &graph) : graph(graph) {}
  mlir::LogicalResult build();

  Graph &graph;
  std::vector<Stage> stages;
  std::vector<Kernel> kernels; ///< in an order in which they may run
  std::vector<int> inPlaceOf;  ///< per stage: the stage whose buffer it overwrites, -1: its own
  std::vector<Buffer> buffers; ///< per stage; no dims and not readable: none
  std::vector<int> kernelOf;   ///< per stage
  std::vector<Worklist> worklists;
  /// Loops over the places in a chunk that are left where a short last chunk ends.
  llvm::SmallPtrSet<const Node *, 4> endsWithChunk;

  /// The stage that stores `v`, or -1. `v` is resolved.
  int stageOf(Value v) const {
    auto at = stageOf_.find(v);
    return at == stageOf_.end() ? -1 : at->second;
  }
  /// Stages that `stage` reads, and where; false when there are too many.
  bool accessesOf(const Stage &stage, std::vector<Access> &into) const;
  /// Guess of the operations that evaluating `v` inline takes.
  double costInline(Value v) const;
  /// Loops of the recurrence among `stages`, outermost first.
  llvm::SmallVector<Loop> loopsOf(llvm::ArrayRef<int> stages) const;

private:
  // AttnToTileStore.cpp: what is stored.
  using Visitor = llvm::function_ref<bool(Value, const SymEnv &)>;
  mlir::LogicalResult chooseStages();
  int addStage(Value v, llvm::StringRef why);
  /// Visits the expressions that the stage evaluates inline, each once per environment; the visitor says whether to
  /// look inside. False when there are too many.
  bool walk(const Stage &stage, Visitor visit) const;
  void storeAfterReductions();
  bool storeShared();
  bool storeRecomputed();
  void findAccesses();
  void fuseEpilogues();
  // AttnToTileFinite.cpp: what a zero may be multiplied with unseen.
  bool checkFinite(int stage, Value condition, llvm::ArrayRef<Value> factors, llvm::SmallVectorImpl<int> &checks);
  // AttnToTileGroup.cpp: kernels and their grids.
  mlir::LogicalResult group();
  AxisSet parallelOf(llvm::ArrayRef<int> stages) const;
  bool worthMerging(const Stage &from, const Stage &to, const Kernel &producer, const Kernel &consumer,
                    const Kernel &merged) const;
  bool sharesOperand(const Stage &stage, int axis, int has) const;
  bool sharesOperand(const Kernel &kernel, int axis) const;
  bool isProduct(const Kernel &kernel, int row, int column) const;
  void chooseGrid(Kernel &kernel);
  void limitHeld(Kernel &kernel, const AxisSet &axes);
  // AttnToTileSchedule.cpp: loops and buffers.
  using Nodes = std::vector<std::unique_ptr<Node>>;
  mlir::LogicalResult schedule(llvm::ArrayRef<int> stages, llvm::ArrayRef<Loop> open, Nodes &into);
  bool carried(const Access &access, llvm::ArrayRef<Loop> open, bool allOpen) const;
  void chooseBuffers();
  void shareMemory(const Kernel &kernel);
  // AttnToTileRange.cpp: parts of an axis that a condition leaves.
  void findBounds();
  /// Made of positions and of what inputs hold along one axis: then the ends of blocks may say where it holds
  /// (passes/tile/MaskBlocks.cpp). What is computed, as buckets are, is rarely in order.
  bool inBlocks(Value condition) const;
  /// Such a value for all pairs of positions, which is not worth memory.
  bool isMask(Value v) const;
  void findNeeded();
  // AttnToTileWork.cpp: positions that data leave.
  void chooseWorklists();
  void choosePrivate(Stage &stage, const Kernel &kernel);
  int unitStride(const Stage &stage, int axis) const;
  bool reducedLater(const Stage &stage, int axis, int depth = 2) const;
  llvm::SmallVector<int> storageOrder(const Stage &stage, const Kernel *kernel) const;

  llvm::DenseMap<Value, int> stageOf_;
  std::map<std::pair<void *, std::vector<int>>, int> checks_; ///< value, axes it is reduced over -> stage
};

/// How many positions before the reader's own an access lies along a loop.
struct Distance {
  int64_t least;
  std::optional<int64_t> most;
};
/// Null when it is not known, or may lie ahead.
std::optional<Distance> distanceAlong(Graph &graph, const Access &access, Loop loop);
/// Null when it is not known to be at least one.
std::optional<Distance> distanceBefore(Graph &graph, const Access &access, Loop loop);

/// Whether the access is at the reader's own position along `axis`.
inline bool identicalAt(const Access &access, int axis) {
  for (auto &[a, s] : access.at)
    if (a == axis)
      return s == axis;
  return false;
}

/// A readable name: that of an input, of an equation that is this value, or of the operation.
std::string nameOf(Value v);
/// The operands of nested `and`.
void addConjuncts(Value v, llvm::SmallVectorImpl<Value> &into);
/// Whether `v` is the constant that changes nothing under `op`.
bool isIdentity(Value v, attn::Reduction op);

/// Takes sums over states of different recurrences apart; see AttnToTileSplit.cpp.
void splitReadOuts(Graph &graph);
/// Rewrites `reduce` as a scatter where it is one; see AttnToTileScatter.cpp.
std::optional<ScatterInfo> matchScatter(Graph &graph, attn::ReduceOp reduce);

} // namespace attnc::totile
