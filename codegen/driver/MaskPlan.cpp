//===- Which positions a kernel visits, and which a mask keeps ------------===//
#include "codegen/driver/MaskPlan.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "passes/tile/Mask.h"
#include "runtime/Bind.h"
#include "llvm/ADT/SetVector.h"
#include <algorithm>

using namespace mlir;

namespace attnc {

namespace {

// Beyond these it is not known.
constexpr int64_t kMostSpans = 1 << 20, kMostPoints = 1 << 26, kMostInstances = 1 << 18, kMostElements = 1 << 25;

bool isStream(tile::ForOp loop) { return loop->hasAttr("stream"); }

struct Dim {
  Value lo, hi;
  bool operator==(const Dim &o) const { return lo == o.lo && hi == o.hi; }
};
Dim dimOf(tile::NestOp nest, unsigned at) {
  unsigned n = nest.getNumPar();
  return at < n ? Dim{nest.getParLo()[at], nest.getParHi()[at]}
                : Dim{nest.getInnerLo()[at - n], nest.getInnerHi()[at - n]};
}

class Planner {
public:
  Planner(tile::KernelOp kernel, const Signature &signature, const std::vector<int64_t> &symbols, const MaskData &data)
      : kernel(kernel), program(kernel->getParentOfType<tile::ProgramOp>()), signature(signature), symbols(symbols),
        data(data) {}

  std::optional<MaskPlan> run() {
    kernel.walk([&](tile::ForOp loop) {
      if (isStream(loop))
        addLoop(loop);
    });
    if (loops.empty())
      return std::nullopt;
    findNeeded();
    chooseInstances();
    runProgram();
    finish();
    return std::move(plan);
  }

private:
  struct Loop {
    tile::ForOp op;
    tile::NestOp sum; ///< over the axis, or of the scores
    unsigned dim;     ///< of the axis, among all dims of the nest
    SmallVector<Dim> rows, keys;
    tile::NestOp masked; ///< has the mask
    SmallVector<arith::SelectOp> selects;
    SmallVector<Operation *> slice; ///< what the mask is computed by, in order
  };

  void addLoop(tile::ForOp op) {
    Loop loop{op, {}, 0, {}, {}, {}, {}, {}};
    // Rows are the other dims of a sum over the axis, or of the scores: what has the fewest. A sum of values has
    // theirs.
    unsigned fewest = 0;
    op.walk([&](tile::NestOp nest) {
      unsigned par = nest.getNumPar(), all = par + nest.getNumInner();
      for (unsigned d = 0; d < all; ++d) {
        unsigned others = d < par ? par - 1 : par;
        if ((d >= par && !nest.isReduction()) || !mask::movesWith(op, dimOf(nest, d).lo) ||
            (loop.sum && (others > fewest || (others == fewest && d < par))))
          continue;
        loop.sum = nest;
        loop.dim = d;
        fewest = others;
      }
    });
    if (!loop.sum)
      return;
    bool sums = loop.dim >= loop.sum.getNumPar();
    for (unsigned d = 0; d < loop.sum.getNumPar() + (sums ? loop.sum.getNumInner() : 0); ++d)
      (d != loop.dim && d < loop.sum.getNumPar() ? loop.rows : loop.keys).push_back(dimOf(loop.sum, d));
    op.walk([&](arith::SelectOp select) {
      if (select->hasAttr("mask") && (loop.selects.empty() || select->getBlock() == loop.selects[0]->getBlock())) {
        loop.masked = select->getParentOfType<tile::NestOp>();
        loop.selects.push_back(select);
      }
    });
    if (loop.masked) {
      llvm::DenseSet<Operation *> in;
      SmallVector<Value> todo;
      for (arith::SelectOp s : loop.selects)
        todo.push_back(s.getCondition());
      while (!todo.empty())
        if (Operation *o = todo.pop_back_val().getDefiningOp(); o && loop.masked->isAncestor(o) && in.insert(o).second)
          llvm::append_range(todo, o->getOperands());
      for (Operation &o : *loop.selects[0]->getBlock())
        if (in.contains(&o))
          loop.slice.push_back(&o);
    }
    findSizes(loop);
    plan.planned |= op->hasAttr("blocks");
    loops.push_back(std::move(loop));
  }

  /// Whether something is finite, so that what is multiplied by zero may be left out: taken as true.
  static bool asksForSkip(tile::LoadOp load) {
    return load.getType().isInteger(1) && load.getBuffer().getDefiningOp<tile::AllocOp>() &&
           llvm::all_of(load->getUses(), [](OpOperand &use) {
             return isa<arith::SelectOp>(use.getOwner()) && use.getOperandNumber() == 0;
           });
  }

  /// Nests whose results bounds and masks are made of, loops around them, and grid positions that count.
  void findNeeded() {
    SmallVector<Value> todo;
    auto bounds = [&](tile::ForOp loop) { llvm::append_range(todo, loop->getOperands()); };
    for (Loop &loop : loops) {
      for (Operation *op = loop.op; op != kernel.getOperation(); op = op->getParentOp()) {
        bounds(cast<tile::ForOp>(op));
        around.insert(op);
      }
      for (Dim d : loop.rows)
        llvm::append_range(todo, std::initializer_list<Value>{d.lo, d.hi});
      for (Operation *op : loop.slice)
        if (auto load = dyn_cast<tile::LoadOp>(op))
          buffers.insert(load.getBuffer());
        else
          llvm::append_range(todo, op->getOperands());
    }
    llvm::DenseSet<Value> seen;
    while (!todo.empty()) {
      Value v = todo.pop_back_val();
      if (!seen.insert(v).second)
        continue;
      if (auto arg = dyn_cast<BlockArgument>(v)) {
        if (arg.getOwner() == &kernel.getBody().front())
          decisive.insert(arg.getArgNumber());
        continue;
      }
      Operation *op = v.getDefiningOp();
      if (auto load = dyn_cast<tile::LoadOp>(op)) {
        if (!asksForSkip(load))
          buffers.insert(load.getBuffer()); // which element is another matter: batches have their own
      } else
        llvm::append_range(todo, op->getOperands());
    }
    // Whatever fills those, and what that is made of.
    for (bool more = true; more;) {
      more = false;
      program.walk([&](tile::NestOp nest) {
        if (needed.contains(nest))
          return;
        bool fills = false;
        nest.walk([&](tile::StoreOp store) { fills |= buffers.contains(store.getBuffer()); });
        if (!fills)
          return;
        more = true;
        needed.insert(nest);
        nest.walk([&](tile::LoadOp load) { buffers.insert(load.getBuffer()); });
        for (Operation *op = nest->getParentOp(); op != program.getOperation(); op = op->getParentOp()) {
          around.insert(op);
          auto loop = dyn_cast<tile::ForOp>(op);
          for (Value bound : loop ? ValueRange(loop->getOperands()) : ValueRange())
            if (auto load = bound.getDefiningOp<tile::LoadOp>())
              buffers.insert(load.getBuffer());
        }
      });
    }
  }

  /// Grid positions that neither rows nor loops depend on are batches: one of them is enough.
  void chooseInstances() {
    llvm::DenseSet<Value> seen;
    SmallVector<Value> todo;
    for (Loop &loop : loops)
      for (Dim d : loop.rows)
        llvm::append_range(todo, std::initializer_list<Value>{d.lo, d.hi});
    while (!todo.empty()) {
      Value v = todo.pop_back_val();
      if (!seen.insert(v).second)
        continue;
      if (auto arg = dyn_cast<BlockArgument>(v); arg && arg.getOwner() == &kernel.getBody().front())
        tiles.insert(arg.getArgNumber());
      else if (Operation *op = v.getDefiningOp(); op && !isa<tile::LoadOp>(op))
        llvm::append_range(todo, op->getOperands());
    }
  }

  void runProgram() {
    for (auto [i, name] : llvm::enumerate(program.getSymbols()))
      for (size_t k = 0; k < signature.symbols.size(); ++k)
        if (cast<StringAttr>(name).getValue() == signature.symbols[k].name)
          values.set(program.getBlock()->getArgument(unsigned(i)), symbols[k]);
    for (Operation &op : *program.getBlock()) {
      if (auto arg = dyn_cast<tile::ArgOp>(op)) {
        if (!data.inputs || arg.getKind() != tile::ArgKind::Input || !buffers.contains(arg))
          continue;
        if (auto it = data.inputs->find(arg.getName().str()); it != data.inputs->end())
          values.give(arg, it->second);
      } else if (&op == kernel.getOperation()) {
        instances();
        return;
      } else {
        step(op);
      }
    }
    plan.known = false; // the kernel is in a loop of the program
  }

  void instances() {
    SmallVector<int64_t> extents;
    int64_t looping = 1;
    for (auto [d, e] : llvm::enumerate(kernel.getExtents())) {
      extents.push_back(values.integer(e).value_or(0));
      (decisive.contains(unsigned(d)) ? looping : plan.instances) *= extents.back();
    }
    if (looping > kMostInstances) {
      plan.known = false;
      return;
    }
    int64_t batch = plan.instances > 0 ? data.instance % plan.instances : 0;
    SmallVector<int64_t> at(extents.size());
    for (size_t d = extents.size(); d-- > 0;)
      if (!decisive.contains(unsigned(d))) {
        at[d] = batch % std::max<int64_t>(1, extents[d]);
        batch /= std::max<int64_t>(1, extents[d]);
      }
    auto each = [&](auto &self, size_t d) -> void {
      if (d == extents.size())
        return instance(at, extents);
      if (!decisive.contains(unsigned(d)))
        return self(self, d + 1);
      for (at[d] = 0; at[d] < extents[d]; ++at[d])
        self(self, d + 1);
    };
    each(each, 0);
  }

  void instance(ArrayRef<int64_t> at, ArrayRef<int64_t> extents) {
    Block &body = kernel.getBody().front();
    outerRow = 0;
    outerRows = 1;
    for (unsigned d = 0; d < at.size(); ++d) {
      values.set(body.getArgument(d), at[d]);
      if (decisive.contains(d) && !tiles.contains(d)) {
        outerRow = outerRow * extents[d] + at[d];
        outerRows *= extents[d];
      }
    }
    for (Operation &op : body)
      step(op);
  }

  /// What decides about loops is run; the loops are noted.
  void step(Operation &op) {
    if (auto nest = dyn_cast<tile::NestOp>(op)) {
      if (!data.inputs || !needed.contains(nest))
        return;
      if (values.points() < kMostPoints)
        values.run(nest);
      else
        plan.known = false;
    } else if (auto loop = dyn_cast<tile::ForOp>(op)) {
      auto lo = values.integer(loop.getLo()), hi = values.integer(loop.getHi()), by = values.integer(loop.getStep());
      auto found = llvm::find_if(loops, [&](Loop &l) { return l.op == loop; });
      if (!around.contains(&op))
        return;
      if (!lo || !hi || !by || *by == 0) {
        plan.known = false;
      } else if (found != loops.end()) {
        if (*lo < *hi)
          note(*found, *lo, *hi);
      } else {
        for (int64_t x = *lo; *by > 0 ? x < *hi : x > *hi; x += *by) {
          values.set(loop.getIv(), x);
          for (Operation &inner : loop.getBody().front())
            step(inner);
        }
      }
    } else if (auto other = dyn_cast<tile::KernelOp>(op)) {
      if (around.contains(&op))
        every(other, 0);
    } else if (auto alloc = dyn_cast<tile::AllocOp>(op)) {
      int64_t count = 1;
      for (Value e : alloc.getExtents())
        count = std::min(kMostElements,
                         count * std::clamp<int64_t>(values.integer(e).value_or(kMostElements), 1, kMostElements));
      if (data.inputs && buffers.contains(alloc) && count < kMostElements)
        values.run(op);
    } else if (!op.getNumRegions()) {
      values.run(op);
    }
  }

  /// Another kernel, all of it.
  void every(tile::KernelOp other, unsigned d) {
    Block &body = other.getBody().front();
    if (d < body.getNumArguments()) {
      for (int64_t x = 0, n = values.integer(other.getExtents()[d]).value_or(0); x < n; ++x) {
        values.set(body.getArgument(d), x);
        every(other, d + 1);
      }
      return;
    }
    for (Operation &op : body)
      step(op);
  }

  /// Whether a dim of a nest is this one of the loop's sum. Nests may clip the axis each in their own way.
  static bool isSame(const Loop &loop, tile::NestOp nest, unsigned d, Dim dim) {
    if (dim == dimOf(loop.sum, loop.dim))
      return mask::movesWith(loop.op, dimOf(nest, d).lo);
    return dimOf(nest, d) == dim;
  }

  /// How long the dims are in all, and their names: what is read at their positions says so.
  void findSizes(Loop &loop) {
    for (auto [list, sizes, name] :
         {std::tuple(&loop.rows, &rowSizes, &plan.rowName), std::tuple(&loop.keys, &keySizes, &plan.keyName)}) {
      sizes->resize(std::max(sizes->size(), list->size()));
      std::string names;
      for (auto [k, dim] : llvm::enumerate(*list)) {
        std::string one;
        loop.op.walk([&, k = k, dim = dim, sizes = sizes](tile::NestOp nest) {
          for (unsigned d = 0; d < nest.getNumPar() + nest.getNumInner(); ++d)
            if (isSame(loop, nest, d, dim))
              nest.walk([&](tile::LoadOp load) {
                auto arg = load.getBuffer().getDefiningOp<tile::ArgOp>();
                for (auto [at, index] : llvm::enumerate(load.getIndices()))
                  if (arg && index == nest.getBody().getArgument(d))
                    for (const Argument &a : signature.inputs)
                      if (arg.getName() == a.name && a.dims.size() == load.getIndices().size()) {
                        one = a.dims[at].text;
                        (*sizes)[k] = std::max((*sizes)[k], argumentShape(a, symbols)[at]);
                      }
              });
        });
        names += (names.empty() || one.empty() ? "" : " ") + one;
      }
      if (name->empty())
        *name = names;
    }
  }

  void note(Loop &loop, int64_t lo, int64_t hi) {
    values.set(loop.op.getIv(), lo);
    for (Operation &op : loop.op.getBody().front())
      if (!op.getNumRegions())
        values.run(op);
    // Ranges of the dims; the axis goes as far as the loop does.
    SmallVector<std::pair<int64_t, int64_t>> rows, keys;
    for (auto *list : {&loop.rows, &loop.keys})
      for (auto [d, dim] : llvm::enumerate(*list)) {
        bool axis = dim == dimOf(loop.sum, loop.dim);
        auto from = axis ? std::optional(lo) : values.integer(dim.lo);
        auto to = axis ? std::optional(hi) : values.integer(dim.hi);
        if (!from || !to) {
          plan.known = false;
          return;
        }
        if (*from >= *to)
          return;
        (list == &loop.rows ? rows : keys).push_back({*from, *to});
      }
    plan.blockKeys = std::max(plan.blockKeys, values.integer(loop.op.getStep()).value_or(1));
    if (!rows.empty())
      plan.blockRows = std::max(plan.blockRows, rows.back().second - rows.back().first);
    for (auto [ranges, sizes] : {std::pair(&rows, &rowSizes), std::pair(&keys, &keySizes)})
      for (auto [k, range] : llvm::enumerate(*ranges))
        (*sizes)[k] = std::max((*sizes)[k], range.second);
    bool masked = loop.masked != nullptr;
    eachRow(
        rows, rowSizes,
        [&](int64_t row, int64_t rowEnd) {
          eachRow(keys, keySizes, [&](int64_t key, int64_t keyEnd) {
            if (plan.spans.size() >= kMostSpans)
              plan.known = false;
            else
              plan.spans.push_back({row, rowEnd, key, keyEnd, masked});
          });
        },
        outerRow);
    if (data.elements && masked)
      elements(loop, rows, keys);
  }

  /// Flat ranges of the last dim, at all positions of the others.
  static void eachRow(ArrayRef<std::pair<int64_t, int64_t>> ranges, ArrayRef<int64_t> extents,
                      llvm::function_ref<void(int64_t, int64_t)> body, int64_t outer = 0) {
    auto go = [&](auto &self, size_t d, int64_t at) -> void {
      if (d + 1 >= ranges.size()) {
        if (ranges.empty())
          return body(at, at + 1);
        return body(at * extents[d] + ranges[d].first, at * extents[d] + ranges[d].second);
      }
      for (int64_t x = ranges[d].first; x < ranges[d].second; ++x)
        self(self, d + 1, at * extents[d] + x);
    };
    go(go, 0, outer);
  }

  /// Where the mask holds.
  void elements(Loop &loop, ArrayRef<std::pair<int64_t, int64_t>> rows, ArrayRef<std::pair<int64_t, int64_t>> keys) {
    tile::NestOp nest = loop.masked;
    Block *mask = loop.selects[0]->getBlock(); // the body, or the finish with the par positions
    // The nest's own arguments for the dims of the sum; one that is not there keeps its first position.
    SmallVector<BlockArgument> args;
    for (auto *list : {&loop.rows, &loop.keys})
      for (Dim dim : *list) {
        args.push_back({});
        for (unsigned d = 0; d < nest.getNumPar() + nest.getNumInner(); ++d)
          if (isSame(loop, nest, d, dim))
            if (d < mask->getNumArguments())
              args.back() = mask->getArgument(d);
      }
    SmallVector<std::pair<int64_t, int64_t>> all(rows);
    llvm::append_range(all, keys);
    SmallVector<int64_t> at(all.size());
    auto go = [&](auto &self, size_t d, int64_t row, int64_t key) -> void {
      if (d == all.size()) {
        bool holds = false;
        for (Operation *op : loop.slice)
          values.run(*op);
        for (arith::SelectOp s : loop.selects) {
          auto c = values.integer(s.getCondition());
          elementsKnown &= c.has_value();
          holds |= c.value_or(0) != 0;
        }
        if (!holds)
          return;
        if (!plan.kept.empty() && plan.kept.back().row == row && plan.kept.back().keyEnd == key)
          ++plan.kept.back().keyEnd;
        else
          plan.kept.push_back({row, key, key + 1});
        return;
      }
      for (at[d] = all[d].first; at[d] < all[d].second && looked < kMostPoints; ++at[d]) {
        looked += d + 1 == all.size();
        if (args[d])
          values.set(args[d], at[d]);
        if (d < rows.size())
          self(self, d + 1, row * rowSizes[d] + at[d], key);
        else
          self(self, d + 1, row, key * keySizes[d - rows.size()] + at[d]);
      }
    };
    go(go, 0, outerRow, 0);
  }

  void finish() {
    auto product = [](ArrayRef<int64_t> list) {
      int64_t n = 1;
      for (int64_t e : list)
        n *= e;
      return n;
    };
    plan.rows = outerRows * product(rowSizes);
    plan.keys = product(keySizes);
    plan.planned |= plan.visited() < double(plan.rows) * double(plan.keys);
    plan.keptKnown = data.elements && elementsKnown && plan.known && looked < kMostPoints;
    if (auto at = kernel.getLoc()->findInstanceOf<FileLineColLoc>())
      plan.line = at.getLine();
  }

  tile::KernelOp kernel;
  tile::ProgramOp program;
  const Signature &signature;
  const std::vector<int64_t> &symbols;
  const MaskData &data;
  MaskPlan plan;
  TileRun values;
  std::vector<Loop> loops;
  llvm::DenseSet<Operation *> needed, around;
  llvm::DenseSet<Value> buffers;                 ///< that bounds and masks are made of
  llvm::SmallDenseSet<unsigned> decisive, tiles; ///< dims of the grid
  int64_t outerRow = 0, outerRows = 1, looked = 0;
  SmallVector<int64_t> rowSizes, keySizes;
  bool elementsKnown = true;
};

} // namespace

double MaskPlan::visited() const {
  double n = 0;
  for (const Span &s : spans)
    n += double(s.rowEnd - s.row) * double(s.keyEnd - s.key);
  return n;
}

double MaskPlan::whole() const {
  double n = 0;
  for (const Span &s : spans)
    n += s.masked ? 0 : double(s.rowEnd - s.row) * double(s.keyEnd - s.key);
  return n;
}

double MaskPlan::keptCount() const {
  double n = whole();
  for (const Run &r : kept)
    n += double(r.keyEnd - r.key);
  return n;
}

std::optional<MaskPlan> planOf(tile::KernelOp kernel, const Signature &signature, const std::vector<int64_t> &symbols,
                               const MaskData &data) {
  return Planner(kernel, signature, symbols, data).run();
}

} // namespace attnc
