//===- Elementwise nests that read along one dim and store along another ---===//
//
//   par [x, y]: out[y, x] = f(in[x, y])
//
//   for blocks of x, chunks of y:
//     for x in the block: tile[x, y lanes] = f          loads are contiguous
//     tile = transposed tile                            in registers
//     for y in the chunk: out[y, x lanes] = tile[y]     stores are contiguous
//
// Packing operands of contractions and storing their results are such nests. Lanes along x alone would load every
// element from a cache line of its own, again for every y, and with a power of two between them from few cache sets.
//===----------------------------------------------------------------------===//
#include "codegen/cpu/Contraction.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "runtime/Tally.h"

using namespace mlir;
using namespace attnc;
using namespace attnc::cpu;

namespace {

class Transposer {
public:
  Transposer(Ir &ir, Scope &scope, tile::NestOp nest, const NestPlan &plan)
      : ir(ir), scope(scope), plan(plan), body(nest.getBody().front()), st(*body.getOps<tile::StoreOp>().begin()),
        elem(st.getValue().getType()), width(plan.width) {
    Point top(ir, scope, 1);
    for (auto [lo, hi] : llvm::zip(nest.getParLo(), nest.getParHi()))
      bounds.push_back({top.scalar(lo), top.scalar(hi)});
    for (int d = 0; d < int(bounds.size()); ++d)
      if (d != plan.vectorDim && d != plan.storeDim)
        outer.push_back(d);
    written.insert(st.getBuffer());
    makeTile();
  }

  void emit() { overOuter(Point(ir, scope, width), 0); }

private:
  using Loop = std::pair<Value, Value>;

  /// On the stack, in the entry block: one for all such nests of a function.
  void makeTile() {
    Operation *around = ir.getInsertionBlock()->getParentOp();
    auto func = dyn_cast<LLVM::LLVMFuncOp>(around);
    Block &entry = (func ? func : around->getParentOfType<LLVM::LLVMFuncOp>()).front();
    for (auto alloca : entry.getOps<LLVM::AllocaOp>())
      if (alloca.getElemType() == elem)
        tile = alloca;
    if (tile)
      return;
    constexpr int64_t kMost = 16;
    OpBuilder::InsertionGuard guard(ir);
    ir.setInsertionPointToStart(&entry);
    tile = ir.create<LLVM::AllocaOp>(ir.ptr(), elem, ir.i64(kMost * kMost), 64);
  }

  Value rowOfTile(Value row) { return ir.offset(elem, tile, ir.mul(row, ir.i64(width))); }
  unsigned rowAlign() const { return width * elem.getIntOrFloatBitWidth() / 8; }

  void each(Value lo, Value hi, int64_t step, function_ref<void(Value)> f) {
    ir.loop(lo, hi, ir.i64(step), {}, [&](Value i, ValueRange) -> SmallVector<Value> {
      f(i);
      return {};
    });
  }

  BlockArgument position(int dim) { return body.getArgument(dim); }

  void overOuter(Point point, size_t at) {
    point.emitReady(body, written);
    if (at < outer.size()) {
      auto [lo, hi] = bounds[outer[at]];
      return each(lo, hi, 1, [&](Value i) {
        Point inner = point;
        inner.bind(position(outer[at]), i);
        overOuter(inner, at + 1);
      });
    }
    // Few rows at a time: all of them stream.
    auto [lo, hi] = bounds[plan.storeDim];
    each(lo, hi, width, [&, hi = hi](Value x) { overLanes(point, x, ir.sub(hi, x)); });
  }

  /// Whole chunks of the dim that is read along, then one that is masked.
  void overLanes(const Point &point, Value x, Value left) {
    auto [lo, hi] = bounds[plan.vectorDim];
    Value count = ir.max(ir.sub(hi, lo), ir.i64(0)), from = lo;
    if (!plan.compact) {
      Value to = ir.add(lo, ir.sub(count, ir.createOrFold<arith::RemSIOp>(count, ir.i64(width))));
      each(lo, to, width, [&](Value y) { block(point, x, left, y, {}); });
      from = to;
    }
    each(from, hi, width, [&, hi = hi](Value y) { block(point, x, left, y, hi); });
  }

  /// `end`: of a chunk that may be short.
  void block(Point chunk, Value x, Value left, Value y, Value end) {
    if (end)
      chunk.mask = ir.lanesBelow(ir.sub(end, y), width);
    chunk.bind(position(plan.vectorDim), Lane{Lane::Linear, y, ir.i64(1)});
    chunk.emitReady(body, written);
    each(ir.i64(0), ir.min(left, ir.i64(width)), 1, [&](Value row) {
      Point p = chunk;
      p.bind(position(plan.storeDim), ir.add(x, row));
      fetchAhead(p);
      p.emitBefore(st);
      ir.create<LLVM::StoreOp>(p.full(st.getValue()), rowOfTile(row), rowAlign());
    });
    store(chunk, x, left, y, end);
  }

  /// What the next block of rows reads outside the kernel: so many rows side by side are no stream that the processor
  /// sees.
  void fetchAhead(Point p) {
    auto still = [](int64_t slope) { return slope == 0; };
    for (auto load : body.getOps<tile::LoadOp>()) {
      if (load.getBuffer().getParentRegion()->getParentOfType<tile::KernelOp>())
        continue;
      auto along = slopes(load.getIndices(), position(plan.vectorDim));
      auto across = slopes(load.getIndices(), position(plan.storeDim));
      if (!along || !across || along->empty() || along->back() != 1 ||
          !llvm::all_of(ArrayRef(*along).drop_back(), still) || llvm::all_of(*across, still))
        continue;
      Value here = p.place(load.getBuffer(), load.getIndices()).first;
      const Buffer &buffer = scope.buffers.lookup(load.getBuffer());
      ir.create<LLVM::Prefetch>(ir.offset(buffer.elem, here, ir.mul(step(ir, buffer, *across), ir.i64(int64_t(width)))),
                                0, 3, 1);
    }
  }

  void store(const Point &chunk, Value x, Value left, Value y, Value end) {
    const Buffer &buffer = scope.buffers.lookup(st.getBuffer());
    auto byRows = [&] {
      transpose(tile, ir.i64(width));
      Value stop = ir.add(y, ir.i64(width));
      if (end)
        stop = ir.min(stop, end);
      each(y, stop, 1, [&](Value at) {
        Point q(ir, scope, width);
        q.mask = ir.lanesBelow(left, width);
        bindOuter(q, chunk);
        q.bind(position(plan.vectorDim), at);
        q.bind(position(plan.storeDim), Lane{Lane::Linear, x, ir.i64(1)});
        auto type = VectorType::get({int64_t(width)}, elem);
        q.store(st, ir.create<LLVM::LoadOp>(type, rowOfTile(ir.sub(at, y)), rowAlign()));
      });
    };
    if (end || buffer.elem != elem || constantOf(buffer.strides.back()) != 1)
      return byRows();
    auto straight = [&] {
      Point q(ir, scope, width);
      bindOuter(q, chunk);
      q.bind(position(plan.storeDim), x);
      q.bind(position(plan.vectorDim), Lane{Lane::Linear, y, ir.i64(1)});
      auto [to, stride] = q.place(st.getBuffer(), st.getIndices());
      transpose(to, stride);
    };
    Value whole = ir.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::sge, left, ir.i64(width));
    ir.when(whole, straight, byRows);
  }

  /// The positions that loops outside have fixed.
  void bindOuter(Point &to, Point from) {
    for (int d : outer)
      to.bind(position(d), from.get(position(d)));
  }

  /// The tile, transposed, to rows that are `stride` elements apart; in a function of its own.
  void transpose(Value to, Value stride) {
    std::string name = (elem.isF32() ? "transpose_f32_" : "transpose_f64_") + std::to_string(width);
    auto module = st->getParentOfType<ModuleOp>();
    auto func = module.lookupSymbol<LLVM::LLVMFuncOp>(name);
    if (!func) {
      OpBuilder::InsertionGuard guard(ir);
      ir.setInsertionPointToStart(module.getBody());
      auto type =
          LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(ir.getContext()), {ir.ptr(), ir.ptr(), ir.getI64Type()});
      func = ir.create<LLVM::LLVMFuncOp>(name, type, LLVM::Linkage::Internal, /*dsoLocal=*/true);
      Block *entry = func.addEntryBlock(ir);
      ir.setInsertionPointToStart(entry);
      emitTranspose(entry->getArgument(0), entry->getArgument(1), entry->getArgument(2));
      ir.create<LLVM::ReturnOp>(ValueRange());
    }
    ir.create<LLVM::CallOp>(func, ValueRange{tile, to, stride});
  }

  void emitTranspose(Value from, Value to, Value stride) {
    auto type = VectorType::get({int64_t(width)}, elem);
    SmallVector<Value> rows;
    for (unsigned r = 0; r < width; ++r)
      rows.push_back(ir.create<LLVM::LoadOp>(type, ir.offset(elem, from, ir.i64(r * width)), rowAlign()));
    // Rows whose numbers differ in one bit exchange the lanes whose numbers differ in it.
    for (unsigned d = 1; d < width; d *= 2) {
      SmallVector<int64_t> low, high;
      for (unsigned l = 0; l < width; ++l) {
        low.push_back(l & d ? width + l - d : l);
        high.push_back(l & d ? width + l : l + d);
      }
      for (unsigned r = 0; r < width; ++r) {
        if (r & d)
          continue;
        Value a = rows[r], b = rows[r + d];
        rows[r] = ir.create<vector::ShuffleOp>(a, b, low);
        rows[r + d] = ir.create<vector::ShuffleOp>(a, b, high);
      }
    }
    for (unsigned r = 0; r < width; ++r)
      ir.create<LLVM::StoreOp>(rows[r], ir.offset(elem, to, ir.mul(stride, ir.i64(r))),
                               elem.getIntOrFloatBitWidth() / 8);
  }

  Ir &ir;
  Scope &scope;
  const NestPlan &plan;
  Block &body;
  tile::StoreOp st;
  Type elem;
  unsigned width;
  SmallVector<Loop> bounds;
  SmallVector<int> outer;
  DenseSet<Value> written;
  Value tile;
};

} // namespace

void cpu::emitTransposed(Ir &ir, Scope &scope, tile::NestOp nest, const NestPlan &plan) {
  TALLY("cpu: read along one dim, stored along another");
  Transposer(ir, scope, nest, plan).emit();
}
