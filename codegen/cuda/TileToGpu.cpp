//===- From tile kernels to kernels of the gpu dialect --------------------===//
#include "codegen/cuda/IndexBuilder.h"
#include "codegen/cuda/Sharing.h"
#include "dialect/tile/Combiners.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/SetVector.h"

namespace attnc::cuda {
#define GEN_PASS_DEF_TILETOGPU
#include "codegen/cuda/Passes.h.inc"
} // namespace attnc::cuda

using namespace mlir;
using namespace attnc;
using attnc::cuda::DeviceBuilder;
using attnc::cuda::IndexBuilder;

namespace {

constexpr int64_t kThreads = 256;           ///< of a block; a power of two
constexpr int64_t kManyNests = 8;           ///< more than so many make a large kernel
constexpr int64_t kSharedBytes = 32 * 1024; ///< static shared memory that scratch buffers may take in all

bool isArg(tile::Combiner kind) { return kind == tile::Combiner::ArgMax || kind == tile::Combiner::ArgMin; }

/// What one element is in memory: a bool takes a byte.
Type memoryType(Type elem) { return elem.isInteger(1) ? IntegerType::get(elem.getContext(), 8) : elem; }
int64_t byteSize(Type elem) { return memoryType(elem).getIntOrFloatBitWidth() / 8; }

struct Buffer {
  Value pointer; ///< a memref of rank 1
  SmallVector<Value> strides;
  Type elem;
};

/// What a kernel uses from outside, constants aside, in the order of use; extents of its grid come first.
SmallVector<Value> captured(tile::KernelOp kernel) {
  llvm::SetVector<Value> values;
  auto take = [&](Value v) {
    if (!kernel.getBody().isAncestor(v.getParentRegion()) && !matchPattern(v, m_Constant()))
      values.insert(v);
  };
  for (Value v : kernel.getExtents())
    take(v);
  kernel.getBody().walk([&](Operation *op) {
    for (Value v : op->getOperands())
      take(v);
  });
  return values.takeVector();
}

/// Where a kernel's own buffers lie. The same for all blocks, so the host computes it: in a kernel with many of them it
/// would hold registers from the first line to the last.
struct Scratch {
  struct Place {
    int64_t shared = 0; ///< elements in shared memory; 0: in the block's part of the scratch memory, at `offset`
    Value offset;
    SmallVector<Value> strides;
  };
  llvm::DenseMap<Operation *, Place> places;
  llvm::SetVector<Value> values; ///< of them all, constants aside: arguments of the kernel
  Value bytes;                   ///< that one block needs

  /// Computes where `at` inserts.
  Scratch(IndexBuilder &at, tile::KernelOp kernel) : bytes(at.i64(0)), at(at) {
    int64_t used = 0;
    for (auto alloc : kernel.getBody().getOps<tile::AllocOp>())
      add(alloc, used);
  }

private:
  void add(tile::AllocOp alloc, int64_t &used) {
    Place &place = places[alloc];
    Value count = at.i64(1);
    for (Value e : llvm::reverse(alloc.getExtents())) {
      place.strides.insert(place.strides.begin(), count);
      Value &positive = positive_[e];
      if (!positive)
        positive = at.createOrFold<arith::MaxSIOp>(e, at.i64(1));
      count = product(count, positive);
    }
    int64_t size = byteSize(alloc.getType().getElementType());
    if (fitsShared(alloc, size, used)) {
      place.shared = *IndexBuilder::constantOf(count);
    } else {
      place.offset = bytes;
      // In multiples of 64.
      Value up = at.add(at.mul(count, at.i64(size)), at.i64(63));
      bytes = at.add(bytes, at.mul(at.createOrFold<arith::ShRSIOp>(up, at.i64(6)), at.i64(64)));
      take(place.offset);
    }
    for (Value stride : place.strides)
      take(stride);
  }

  void take(Value v) {
    if (!IndexBuilder::constantOf(v))
      values.insert(v);
  }

  /// Made once: buffers with the same rows share an argument.
  Value product(Value a, Value b) {
    Value &made = products_[{a, b}];
    if (!made)
      made = at.mul(a, b);
    return made;
  }

  static bool fitsShared(tile::AllocOp alloc, int64_t bytes, int64_t &used) {
    for (Value e : alloc.getExtents()) {
      auto c = IndexBuilder::constantOf(e);
      if (!c || *c > kSharedBytes)
        return false;
      bytes *= std::max<int64_t>(*c, 1);
      if (bytes > kSharedBytes)
        return false;
    }
    bytes = (bytes + 15) / 16 * 16;
    if (used + bytes > kSharedBytes)
      return false;
    used += bytes;
    return true;
  }

  IndexBuilder &at;
  llvm::DenseMap<Value, Value> positive_;
  llvm::DenseMap<std::pair<Value, Value>, Value> products_;
};

class KernelEmitter {
public:
  KernelEmitter(OpBuilder &builder, gpu::GPUModuleOp device, tile::KernelOp kernel, ArrayRef<Value> captures,
                const Scratch &scratch, StringRef name)
      : b(kernel.getLoc(), builder, device), kernel(kernel), scratch(scratch) {
    SmallVector<Type> types{b.getI64Type(), MemRefType::get({ShapedType::kDynamic}, b.getI8Type()), b.getI64Type()};
    SmallVector<std::string> names{"instances", "scratch", "scratch_bytes"};
    for (auto [i, v] : llvm::enumerate(captures)) {
      auto buf = dyn_cast<tile::BufType>(v.getType());
      if (!buf) {
        types.push_back(b.getI64Type());
        names.push_back("n" + std::to_string(i));
        continue;
      }
      auto arg = v.getDefiningOp<tile::ArgOp>();
      std::string base = arg ? arg.getName().str() : "w" + std::to_string(i);
      types.push_back(MemRefType::get({ShapedType::kDynamic}, memoryType(buf.getElementType())));
      names.push_back(base);
      for (unsigned d = 0, n = buf.getRank(); d + !arg < n; ++d) {
        types.push_back(b.getI64Type());
        names.push_back(base + "_s" + std::to_string(d));
      }
    }
    types.append(scratch.values.size(), b.getI64Type());
    for (size_t i = 0; i < scratch.values.size(); ++i)
      names.push_back("m" + std::to_string(i));
    b.setInsertionPoint(device.getBody()->getTerminator());
    func = b.create<gpu::GPUFuncOp>(name, b.getFunctionType(types, {}));
    func->setAttr(gpu::GPUDialect::getKernelFuncAttrName(), b.getUnitAttr());
    func.setKnownBlockSizeAttr(b.getDenseI32ArrayAttr({int32_t(kThreads), 1, 1}));
    for (auto [i, n] : llvm::enumerate(names))
      func.setArgAttr(unsigned(i), "attnc.name", b.getStringAttr(n));
    b.setInsertionPointToStart(&func.front());
    unsigned at = 3;
    for (Value v : captures) {
      auto buf = dyn_cast<tile::BufType>(v.getType());
      if (!buf) {
        values.map(v, func.getArgument(at++));
        continue;
      }
      Buffer buffer{func.getArgument(at++), {}, buf.getElementType()};
      bool caller = isa<tile::ArgOp>(v.getDefiningOp());
      for (unsigned d = 0, n = buf.getRank(); d < n; ++d)
        buffer.strides.push_back(caller || d + 1 < n ? Value(func.getArgument(at++)) : b.i64(1));
      buffers[v] = buffer;
    }
    for (Value v : scratch.values)
      values.map(v, func.getArgument(at++));
  }

  void emit() {
    int64_t nests = 0;
    kernel.getBody().walk([&](tile::NestOp) { ++nests; });
    large = nests > kManyNests;
    b.compact = large;
    if (large) // the compiler's time grows with copies of loops
      func->setAttr("attnc.rolled", b.getUnitAttr());
    thread = b.fromIndex(b.create<gpu::ThreadIdOp>(gpu::Dimension::x));
    Value block = b.fromIndex(b.create<gpu::BlockIdOp>(gpu::Dimension::x));
    Value blocks = b.fromIndex(b.create<gpu::GridDimOp>(gpu::Dimension::x));
    Value begin = b.mul(block, func.getArgument(2));
    for (auto alloc : kernel.getBody().getOps<tile::AllocOp>())
      emitAlloc(alloc, scratch.places.find(alloc)->second, begin);
    kernel.getBody().walk([&](Operation *op) {
      if (auto store = dyn_cast<tile::StoreOp>(op))
        written.insert(store.getBuffer());
      if (auto update = dyn_cast<tile::UpdateOp>(op))
        written.insert(update.getBuffer());
      if (auto sort = dyn_cast<tile::SortOp>(op))
        written.insert(sort.getOut());
    });
    SmallVector<Value> extents;
    for (Value e : kernel.getExtents())
      extents.push_back(get(e));
    b.note = "instances of the grid";
    b.walk(block, b.i64(0), func.getArgument(0), blocks, extents, [&](Value, ValueRange positions) {
      for (auto [d, position] : llvm::enumerate(positions))
        values.map(kernel.getBody().getArgument(unsigned(d)), position);
      emitBlock(kernel.getBody().front());
    });
    b.create<gpu::ReturnOp>();
  }

private:
  Value get(Value v) {
    if (values.contains(v))
      return values.lookup(v);
    // A constant from outside: made again here, at its first use.
    return b.clone(*v.getDefiningOp())->getResult(0);
  }

  //===--- Scratch memory ---===//

  /// `block`: the first byte of this block's part.
  void emitAlloc(tile::AllocOp alloc, const Scratch::Place &place, Value block) {
    Buffer buffer{{}, {}, alloc.getType().getElementType()};
    for (Value stride : place.strides)
      buffer.strides.push_back(get(stride));
    Type memory = memoryType(buffer.elem);
    if (place.shared) {
      auto space = gpu::AddressSpaceAttr::get(b.getContext(), gpu::AddressSpace::Workgroup);
      buffer.pointer = func.addWorkgroupAttribution(
          MemRefType::get({place.shared}, memory, MemRefLayoutAttrInterface(), space), alloc.getLoc());
    } else {
      // No more elements than the scratch memory has bytes.
      buffer.pointer =
          b.create<memref::ViewOp>(MemRefType::get({ShapedType::kDynamic}, memory), func.getArgument(1),
                                   b.index(b.add(block, get(place.offset))), ValueRange{b.index(func.getArgument(2))});
    }
    buffers[alloc] = buffer;
  }

  //===--- Statements of a kernel ---===//

  void barrier() { b.create<gpu::BarrierOp>(); }

  void emitBlock(Block &block) {
    bool read = false; // of a buffer that a later nest may write
    for (Operation &op : block) {
      b.setLoc(op.getLoc());
      if (isa<tile::AllocOp>(op))
        continue;
      if (auto load = dyn_cast<tile::LoadOp>(op)) {
        values.map(load.getResult(), this->load(load.getBuffer(), load.getIndices()));
        read |= written.count(load.getBuffer()) > 0;
        continue;
      }
      if (read && isa<tile::NestOp, tile::SortOp, tile::ForOp>(op)) {
        barrier();
        read = false;
      }
      if (auto nest = dyn_cast<tile::NestOp>(op)) {
        emitNest(nest);
        barrier();
      } else if (auto sort = dyn_cast<tile::SortOp>(op)) {
        emitSort(sort);
        barrier();
      } else if (auto loop = dyn_cast<tile::ForOp>(op)) {
        emitFor(loop);
      } else {
        clone(op);
      }
    }
    if (read)
      barrier();
  }

  void clone(Operation &op) {
    IRMapping operands; // constants are made where they are used: none of this stays
    for (Value v : op.getOperands())
      operands.map(v, get(v));
    Operation *made = b.clone(op, operands);
    SmallVector<Value> folded;
    if (succeeded(b.tryFold(made, folded)) && !folded.empty()) {
      values.map(op.getResults(), folded);
      made->erase();
    } else {
      values.map(op.getResults(), made->getResults());
    }
  }

  void emitFor(tile::ForOp loop) {
    Value lo = get(loop.getLo()), hi = get(loop.getHi()), step = get(loop.getStep());
    auto run = [&](Value iv) {
      values.map(loop.getIv(), iv);
      emitBlock(loop.getBody().front());
    };
    b.note = "in order";
    if (auto c = IndexBuilder::constantOf(step); c && *c > 0) {
      b.loop(lo, hi, step, run);
      return;
    }
    Value zero = b.i64(0), down = b.less(step, zero);
    Value distance = b.create<arith::SelectOp>(down, b.sub(lo, hi), b.sub(hi, lo));
    Value size = b.create<arith::SelectOp>(down, b.sub(zero, step), step);
    Value more = b.createOrFold<arith::MaxSIOp>(distance, zero);
    Value count = b.create<arith::DivUIOp>(b.sub(b.add(more, size), b.i64(1)), size);
    b.loop(zero, count, b.i64(1), [&](Value k) { run(b.add(lo, b.mul(k, step))); });
  }

  //===--- Memory ---===//

  Value position(const Buffer &buffer, ValueRange indices) {
    Value at = b.i64(0);
    for (auto [index, stride] : llvm::zip(indices, buffer.strides))
      at = b.add(at, b.mul(get(index), stride));
    return b.index(at);
  }

  Value load(Value from, ValueRange indices) {
    const Buffer &buffer = buffers[from];
    Value v = b.create<memref::LoadOp>(buffer.pointer, position(buffer, indices));
    Type elem = buffer.elem;
    if (elem.isBF16() || elem.isF16())
      return b.create<arith::ExtFOp>(b.getF32Type(), v);
    if (elem.isInteger(32))
      return b.create<arith::ExtSIOp>(b.getI64Type(), v);
    if (elem.isInteger(1))
      return b.create<arith::CmpIOp>(arith::CmpIPredicate::ne, v, b.create<arith::ConstantIntOp>(0, 8));
    return v;
  }

  void store(Value v, Value to, ValueRange indices) {
    const Buffer &buffer = buffers[to];
    Type elem = buffer.elem;
    if (elem.isBF16() || elem.isF16())
      v = b.create<arith::TruncFOp>(elem, v);
    else if (elem.isInteger(32))
      v = b.create<arith::TruncIOp>(elem, v);
    else if (elem.isInteger(1))
      v = b.create<arith::ExtUIOp>(b.getI8Type(), v);
    b.create<memref::StoreOp>(v, buffer.pointer, position(buffer, indices));
  }

  //===--- Nests ---===//

  void point(Block &block) {
    for (Operation &op : block) {
      b.setLoc(op.getLoc());
      if (isa<tile::YieldOp>(op))
        continue;
      if (auto l = dyn_cast<tile::LoadOp>(op)) {
        values.map(l.getResult(), load(l.getBuffer(), l.getIndices()));
      } else if (auto s = dyn_cast<tile::StoreOp>(op)) {
        store(get(s.getValue()), s.getBuffer(), s.getIndices());
      } else if (auto u = dyn_cast<tile::UpdateOp>(op)) {
        auto update = [&] {
          Value old = load(u.getBuffer(), u.getIndices());
          store(tile::combine(b, u.getCombiner(), old, get(u.getValue())), u.getBuffer(), u.getIndices());
        };
        if (u.getCondition())
          b.when(get(u.getCondition()), update);
        else
          update();
      } else {
        clone(op);
      }
    }
  }

  /// In a large kernel: a value from which nothing is computed ahead.
  Value here(Value v) { return large ? b.call("here", v.getType(), v) : v; }

  void bindPar(Block &block, ArrayRef<Value> lo, ValueRange positions) {
    for (auto [d, position] : llvm::enumerate(positions))
      values.map(block.getArgument(unsigned(d)), b.add(lo[d], position));
  }

  static std::string noteOf(tile::NestOp nest) {
    auto dims = [](unsigned n) { return std::to_string(n) + (n == 1 ? " dim" : " dims"); };
    std::string note = "points of " + dims(nest.getNumPar());
    if (!nest.isReduction())
      return nest.getNumInner() ? note + ", " + dims(nest.getNumInner()) + " in order" : note;
    std::string what;
    for (tile::Combiner kind : nest.getCombinerKinds())
      what += (what.empty() ? "" : ", ") + tile::stringifyCombiner(kind).str();
    return note + ": " + what + " over " + dims(nest.getNumInner());
  }

  void emitNest(tile::NestOp nest) {
    Block &body = nest.getBody().front();
    SmallVector<Value> lo, extents;
    Value total = b.i64(1), thread = here(this->thread), threads = b.i64(kThreads);
    for (auto [l, h] : llvm::zip(nest.getParLo(), nest.getParHi())) {
      lo.push_back(get(l));
      extents.push_back(b.count(lo.back(), get(h)));
      total = b.mul(total, extents.back());
    }
    b.note = noteOf(nest);
    if (!nest.isReduction()) {
      b.walk(thread, b.i64(0), total, threads, extents, [&](Value, ValueRange positions) {
        bindPar(body, lo, positions);
        overInner(nest, 0, [&] { point(body); });
      });
      return;
    }
    unsigned last = nest.getNumInner() - 1;
    Value lastLo = get(nest.getInnerLo()[last]), lastHi = get(nest.getInnerHi()[last]);
    Value share =
        b.call("group_size", b.getI64Type(), {total, b.count(lastLo, lastHi), b.i64(cuda::coalescedShare(nest))});
    Value group = b.call("div_share", b.getI64Type(), {thread, share}),
          lane = b.call("mod_share", b.getI64Type(), {thread, share}),
          groups = b.call("div_share", b.getI64Type(), {threads, share});
    b.walk(b.i64(0), group, total, groups, extents, [&](Value p, ValueRange positions) {
      Value active = b.less(p, total);
      SmallVector<tile::Combiner> kinds = nest.getCombinerKinds();
      SmallVector<Value> init = start(nest, kinds), state;
      auto op = b.create<scf::IfOp>(TypeRange(ValueRange(init)), active, /*withElseRegion=*/true);
      {
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPointToStart(op.thenBlock());
        bindPar(body, lo, positions);
        SmallVector<Value> sums = overRed(nest, 0, lastLo, lastHi, lane, share, init);
        b.create<scf::YieldOp>(sums);
        b.setInsertionPointToStart(op.elseBlock());
        b.create<scf::YieldOp>(init);
      }
      state.assign(op.getResults().begin(), op.getResults().end());
      SmallVector<Value> results;
      size_t at = 0;
      for (tile::Combiner kind : kinds) {
        std::string name = ("group_" + tile::stringifyCombiner(kind)).str();
        if (isArg(kind)) {
          results.push_back(b.call(name, b.getI64Type(), {state[at], state[at + 1], state[at + 2], share}));
          at += 3;
        } else {
          results.push_back(b.call(name, state[at].getType(), {state[at], share}));
          ++at;
        }
      }
      Value first = b.create<arith::CmpIOp>(arith::CmpIPredicate::eq, lane, b.i64(0));
      b.when(b.create<arith::AndIOp>(active, first), [&] {
        Block &finish = nest.getFinish().front();
        bindPar(finish, lo, positions);
        for (auto [i, v] : llvm::enumerate(results))
          values.map(finish.getArgument(nest.getNumPar() + unsigned(i)), v);
        point(finish);
      });
    });
  }

  void overInner(tile::NestOp nest, unsigned d, function_ref<void()> visit) {
    if (d == nest.getNumInner())
      return visit();
    b.loop(get(nest.getInnerLo()[d]), get(nest.getInnerHi()[d]), b.i64(1), [&](Value i) {
      values.map(nest.getInnerArgs()[d], i);
      overInner(nest, d + 1, visit);
    });
  }

  SmallVector<Value> overRed(tile::NestOp nest, unsigned d, Value lastLo, Value lastHi, Value lane, Value share,
                             ValueRange state) {
    bool last = d + 1 == nest.getNumInner();
    Value lo = last ? b.add(lastLo, lane) : get(nest.getInnerLo()[d]);
    Value hi = last ? lastHi : get(nest.getInnerHi()[d]), step = last ? share : b.i64(1);
    return b.carry(lo, hi, step, state, [&](Value i, ValueRange carried) {
      values.map(nest.getInnerArgs()[d], i);
      if (!last)
        return overRed(nest, d + 1, lastLo, lastHi, lane, share, carried);
      Block &body = nest.getBody().front();
      point(body);
      SmallVector<Value> yielded, next;
      for (Value v : body.getTerminator()->getOperands())
        yielded.push_back(get(v));
      size_t at = 0;
      for (tile::Combiner kind : nest.getCombinerKinds()) {
        if (!isArg(kind)) {
          next.push_back(tile::combine(b, kind, carried[at], yielded[at]));
          ++at;
          continue;
        }
        // The candidate replaces the best so far where the device header says so.
        SmallVector<Value> args(carried.slice(at, 3));
        args.append(yielded.begin() + at, yielded.begin() + at + 3);
        Value better = b.call((tile::stringifyCombiner(kind) + "_better").str(), b.getI1Type(), args);
        next.push_back(b.create<arith::SelectOp>(better, yielded[at], carried[at]));
        next.push_back(b.create<arith::SelectOp>(better, yielded[at + 1], carried[at + 1]));
        next.push_back(b.create<arith::OrIOp>(carried[at + 2], yielded[at + 2]));
        at += 3;
      }
      return next;
    });
  }

  SmallVector<Value> start(tile::NestOp nest, ArrayRef<tile::Combiner> kinds) {
    SmallVector<Value> state;
    ValueRange yielded = nest.getBody().front().getTerminator()->getOperands();
    size_t at = 0;
    for (tile::Combiner kind : kinds) {
      Type type = yielded[at].getType();
      if (isArg(kind)) {
        state.push_back(b.create<arith::ConstantOp>(b.getZeroAttr(type)));
        state.push_back(b.i64(0));
        state.push_back(b.create<arith::ConstantIntOp>(0, 1));
        at += 3;
      } else {
        state.push_back(tile::identity(b, kind, type));
        ++at;
      }
    }
    return state;
  }

  void emitSort(tile::SortOp op) {
    auto row = [&](Value buffer, ValueRange indices) {
      const Buffer &at = buffers[buffer];
      auto type = cast<MemRefType>(at.pointer.getType());
      Value pointer = at.pointer;
      if (type.getMemorySpace())
        pointer = b.create<memref::MemorySpaceCastOp>(MemRefType::get(type.getShape(), type.getElementType()), pointer);
      if (type.hasStaticShape())
        pointer = b.create<memref::CastOp>(MemRefType::get({ShapedType::kDynamic}, type.getElementType()), pointer);
      Value offset = b.fromIndex(position(at, indices));
      return SmallVector<Value>{pointer, offset, at.strides.back()};
    };
    SmallVector<Value> args = row(op.getKeys(), op.getKeyIndices());
    if (op.getValid())
      args.append(row(op.getValid(), op.getValidIndices()));
    args.push_back(get(op.getLength()));
    args.append(row(op.getOut(), op.getOutIndices()));
    args.push_back(get(op.getCount()));
    args.push_back(b.create<arith::ConstantIntOp>(op.getDescending(), 1));
    args.push_back(b.create<arith::ConstantIntOp>(op.getNan() == tile::NanOrder::Never, 1));
    b.call(op.getValid() ? "sort_valid_row" : "sort_row", {}, args);
  }

  DeviceBuilder b;
  tile::KernelOp kernel;
  const Scratch &scratch;
  gpu::GPUFuncOp func;
  IRMapping values;
  llvm::DenseMap<Value, Buffer> buffers;
  llvm::DenseSet<Value> written;
  Value thread;
  bool large = false;
};

struct TileToGpu : cuda::impl::TileToGpuBase<TileToGpu> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto programs = llvm::to_vector(module.getOps<tile::ProgramOp>());
    if (programs.size() != 1) {
      module.emitError("expected one program, found ") << programs.size();
      return signalPassFailure();
    }
    tile::ProgramOp program = programs[0];
    OpBuilder builder(&getContext());
    builder.setInsertionPointToEnd(module.getBody());
    auto device = builder.create<gpu::GPUModuleOp>(program.getLoc(), "device");
    SmallVector<tile::KernelOp> kernels;
    program.walk([&](tile::KernelOp kernel) { kernels.push_back(kernel); });
    for (auto [i, kernel] : llvm::enumerate(kernels)) {
      SmallVector<Value> captures = captured(kernel);
      std::string name = (program.getSymName() + "_" + std::to_string(i)).str();
      builder.setInsertionPoint(kernel);
      IndexBuilder host(kernel.getLoc(), builder);
      Scratch scratch(host, kernel);
      KernelEmitter(builder, device, kernel, captures, scratch, name).emit();
      launch(host, device, kernel, captures, scratch, name);
    }
  }

  void launch(IndexBuilder &b, gpu::GPUModuleOp device, tile::KernelOp kernel, ArrayRef<Value> captures,
              const Scratch &scratch, StringRef name) {
    Value instances = b.i64(1);
    for (Value e : kernel.getExtents())
      instances = b.mul(instances, b.createOrFold<arith::MaxSIOp>(e, b.i64(0)));
    SmallVector<Value> args{instances, scratch.bytes};
    args.append(captures.begin(), captures.end());
    args.append(scratch.values.begin(), scratch.values.end());
    b.create<func::CallOp>(name, TypeRange(), args);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(device);
    auto declared = b.create<func::FuncOp>(name, b.getFunctionType(TypeRange(ValueRange(args)), {}));
    declared.setPrivate();
    declared->setAttr("attnc.threads", b.getI64IntegerAttr(kThreads));
    kernel.erase();
  }
};

} // namespace
