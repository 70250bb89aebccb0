//===- What ends a sum of products ----------------------------------------===//
//
// Where it lies in memory of the program along the lanes, it is done on the accumulators of a tile before they are
// stored; elsewhere it is a nest over the block of sums (Contraction.cpp).
// What takes long is done for a tile while the next one is summed.
//
// What finish reads and writes outside the kernel at every point is fetched while tiles run: rows of a tile lie in as
// many pages, where the processor fetches nothing ahead by itself.
//===----------------------------------------------------------------------===//
#include "codegen/cpu/ContractionFinish.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "runtime/Tally.h"

using namespace mlir;
using namespace attnc;
using namespace attnc::cpu;

bool cpu::finishesInLanes(tile::NestOp nest, int n) {
  constexpr size_t kMost = 64; // it is written for every register of the tile
  Block &block = nest.getFinish().front();
  if (n >= int(nest.getNumPar()) || block.getOperations().size() > kMost)
    return false;
  BlockArgument at = block.getArgument(n);
  for (Operation &op : block.without_terminator()) {
    Value buffer;
    ValueRange indices;
    if (auto load = dyn_cast<tile::LoadOp>(op))
      std::tie(buffer, indices) = std::tuple(load.getBuffer(), load.getIndices());
    else if (auto store = dyn_cast<tile::StoreOp>(op))
      std::tie(buffer, indices) = std::tuple(store.getBuffer(), store.getIndices());
    else if (op.getNumRegions())
      return false;
    if (!buffer)
      continue;
    bool moves = false;
    for (auto [d, index] : llvm::enumerate(indices)) {
      std::optional<int64_t> s = slope(index, at);
      bool last = d + 1 == indices.size();
      if (!s || (*s && !(last && *s == 1)))
        return false;
      moves |= *s;
    }
    if ((moves || isa<tile::StoreOp>(op)) && (!moves || !buffer.getDefiningOp<tile::AllocOp>()))
      return false;
  }
  return true;
}

namespace {

/// What finish reads or writes outside the kernel. Every index moves with m by so much.
struct EndOperand {
  Value buffer;
  ValueRange indices;
  SmallVector<int64_t> m;
};

std::optional<EndOperand> endOperand(tile::NestOp nest, const Contraction &c, bool write) {
  Block &block = nest.getFinish().front();
  auto still = [](int64_t slope) { return slope == 0; };
  for (Operation &op : block) {
    EndOperand end;
    if (auto load = dyn_cast<tile::LoadOp>(op); load && !write) {
      end.buffer = load.getBuffer();
      end.indices = load.getIndices();
    } else if (auto st = dyn_cast<tile::StoreOp>(op); st && write) {
      end.buffer = st.getBuffer();
      end.indices = st.getIndices();
    }
    if (!end.buffer || end.buffer.getParentRegion()->getParentOfType<tile::KernelOp>() ||
        cast<tile::BufType>(end.buffer.getType()).getElementType() != block.getArguments().back().getType())
      continue;
    auto m = slopes(end.indices, block.getArgument(c.m)), n = slopes(end.indices, block.getArgument(c.n));
    auto sum = slopes(end.indices, block.getArguments().back());
    if (!m || !n || !sum || llvm::all_of(*m, still) || !llvm::all_of(*sum, still) || n->back() != 1 ||
        !llvm::all_of(ArrayRef(*n).drop_back(), still))
      continue;
    end.m = *m;
    return end;
  }
  return std::nullopt;
}

/// Whether all of what finish reads and stores may be read and stored for whole panels.
bool staysInside(tile::NestOp nest, int n, int64_t panel) {
  auto inside = [&](Value buffer, ValueRange indices) {
    return indices.empty() || slope(indices.back(), nest.getFinish().getArgument(n)) == 0 ||
           wholePanels(nest, n, buffer, indices.back(), panel);
  };
  return llvm::all_of(nest.getFinish().front(), [&](Operation &op) {
    if (auto load = dyn_cast<tile::LoadOp>(op))
      return inside(load.getBuffer(), load.getIndices());
    auto store = dyn_cast<tile::StoreOp>(op);
    return !store || inside(store.getBuffer(), store.getIndices());
  });
}

} // namespace

EndRows TileFinish::rows(bool write, Value isFirst, Value none) const {
  std::optional<EndOperand> end = endOperand(nest, c, write);
  if (!end)
    return {ir.create<arith::ConstantIntOp>(0, 1), none, ir.i64(0)};
  TALLY("cpu: what ends a contraction is fetched ahead");
  Block &block = nest.getFinish().front();
  Point point(ir, scope, 1);
  for (auto [dim, place] : places)
    if (dim < int(nest.getNumPar()))
      point.bind(block.getArgument(dim), place);
  point.bind(block.getArgument(c.m), m0);
  point.bind(block.getArgument(c.n), n0);
  return {isFirst, point.place(end->buffer, end->indices).first, step(ir, scope.buffers.lookup(end->buffer), end->m)};
}

void EndRows::fetch(Ir &ir, Type elem, Value m, Value n, int64_t rows, int64_t width, bool write) const {
  ir.when(isFirst, [&] {
    ir.loop(ir.i64(0), ir.i64(rows), ir.i64(1), {}, [&](Value r, ValueRange) -> SmallVector<Value> {
      Value at = ir.add(ir.mul(ir.add(m, r), row), n);
      for (int64_t part : {int64_t(0), width})
        ir.create<LLVM::Prefetch>(ir.offset(elem, base, ir.add(at, ir.i64(part))), write, 2, 1);
      return {};
    });
  });
}

void TileFinish::begin(Value last) {
  complete = last;
  Block &block = nest.getFinish().front();
  block.walk([&](tile::StoreOp st) { written.insert(st.getBuffer()); });
  points.emplace_back(ir, scope, width);
  for (auto [dim, place] : places)
    if (dim < int(nest.getNumPar()))
      points[0].bind(block.getArgument(dim), place);
  points[0].emitReady(block, written);
}

TileFinish TileFinish::inPanel(Value n, Value count) const {
  TileFinish panel = *this;
  panel.points.push_back(points[0]);
  for (auto [v, point] : llvm::enumerate(panel.points)) {
    Value from = ir.add(n, ir.i64(v * width));
    point.bind(nest.getFinish().getArgument(c.n), Lane{Lane::Linear, ir.add(n0, from), ir.i64(1)});
    if (!staysInside(nest, c.n, 2 * width))
      point.mask = ir.lanesBelow(ir.sub(count, from), width);
    point.emitReady(nest.getFinish().front(), written);
  }
  return panel;
}

void TileFinish::emit(ArrayRef<Value> sums, Value m, Value left, int64_t rows) const {
  for (int64_t r = 0; r < rows; ++r)
    ir.when(ir.less(ir.i64(r), left), [&] { emitRow(sums.slice(2 * r, 2), ir.add(m, ir.i64(r))); });
}

void TileFinish::emitRow(ArrayRef<Value> sums, Value m) const {
  Block &block = nest.getFinish().front();
  for (auto [inPanel, sum] : llvm::zip(points, sums)) {
    Point point = inPanel;
    point.bind(block.getArgument(c.m), ir.add(m0, m));
    point.bind(block.getArgument(nest.getNumPar()), Lane{Lane::Vector, sum, {}});
    point.emitRest(block);
  }
}

bool TileFinish::isLong() const {
  Block &block = nest.getFinish().front();
  DenseMap<Value, unsigned> on = dependences(block);
  return llvm::any_of(block, [&](Operation &op) {
    return isa<math::MathDialect>(op.getDialect()) && on.lookup(op.getResult(0)) >> nest.getNumPar() & 1;
  });
}
