//===- Tile programs to functions -----------------------------------------===//
//
//   tile.program @p symbols [...] {         llvm.func @workspace_bytes(symbols) -> i64   sum of the shared allocs
//     %w = tile.alloc ...               =>  llvm.func @run(ctx)                          lays out the workspace, calls
//     tile.kernel grid [...] { ... }                                                     parallelFor for each kernel
//   }                                       llvm.func internal @kernel0(ctx, begin, end, scratch, data)
//
// A kernel function gets what its body uses from outside (positions, pointers, strides) in an array on run's stack,
// passed as `data`. Private allocs are laid out in `scratch`, followed by the packing buffers of its contractions.
//
// Pinned by test/codegen/cpu/program.mlir.
//===----------------------------------------------------------------------===//
#include "codegen/cpu/Cpu.h"
#include "codegen/cpu/Nest.h"
#include "codegen/cpu/Pack.h"
#include "codegen/cpu/Passes.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "runtime/Tally.h"
#include "llvm/ADT/SetVector.h"

namespace attnc::cpu {
#define GEN_PASS_DEF_TILETOVECTOR
#include "codegen/cpu/Passes.h.inc"
} // namespace attnc::cpu

using namespace mlir;
using namespace attnc;
using namespace attnc::cpu;

namespace {

// Byte offsets in the structs of runtime/Kernel.h.
constexpr int64_t kSymbols = 0, kArgs = 8, kWorkspace = 16, kHelpers = 24;
constexpr int64_t kArgSize = 16, kArgStrides = 8;
constexpr int64_t kParallelFor = 0, kSortRow = 8;
constexpr int64_t kAlign = 64;

int64_t byteSize(Type elem) { return elem.isInteger(1) ? 1 : elem.getIntOrFloatBitWidth() / 8; }

class ProgramEmitter {
public:
  ProgramEmitter(tile::ProgramOp program, const Machine &machine)
      : ir(program.getLoc(), program.getContext()), program(program), machine(machine) {}

  void emit() {
    packs = packOperands(program, machine);
    ir.setInsertionPoint(program);
    emitWorkspaceBytes();
    emitRun();
    program.erase();
  }

private:
  //===--- Small things ---===//

  Type i64Type() { return ir.getI64Type(); }
  Value field(Value base, int64_t bytes) { return ir.offset(ir.getI8Type(), base, ir.i64(bytes)); }
  Value loadAt(Value base, int64_t bytes, Type type) { return ir.create<LLVM::LoadOp>(type, field(base, bytes), 8); }

  /// Opens a function; the builder stands in its entry block.
  LLVM::LLVMFuncOp open(StringRef name, Type result, ArrayRef<Type> args, LLVM::Linkage linkage) {
    auto type = LLVM::LLVMFunctionType::get(result ? result : LLVM::LLVMVoidType::get(ir.getContext()), args);
    auto func = ir.create<LLVM::LLVMFuncOp>(name, type, linkage, /*dsoLocal=*/true);
    ir.setInsertionPointToStart(func.addEntryBlock(ir));
    return func;
  }

  void bindSymbols(Scope &scope, Value symbols) {
    for (BlockArgument arg : program.getBody().getArguments())
      scope.values.map(arg, loadAt(symbols, 8 * arg.getArgNumber(), i64Type()));
  }

  /// A pure value of the tile level in this scope, its operands with it.
  Value slice(Scope &scope, Value v) {
    if (scope.values.contains(v))
      return scope.values.lookup(v);
    Operation *def = v.getDefiningOp();
    for (Value operand : def->getOperands())
      slice(scope, operand);
    ir.clone(*def, scope.values);
    return scope.values.lookup(v);
  }

  SmallVector<Value> extents(Scope &scope, tile::AllocOp alloc) {
    SmallVector<Value> all;
    for (Value e : alloc.getExtents())
      all.push_back(ir.max(slice(scope, e), ir.i64(1)));
    return all;
  }

  /// Bytes of an alloc, a multiple of the alignment. Saturates when asked to.
  Value allocBytes(Scope &scope, tile::AllocOp alloc, bool saturate) {
    Value bytes = ir.i64(byteSize(alloc.getType().getElementType()));
    for (Value e : extents(scope, alloc))
      bytes = saturate ? saturating(bytes, e, /*multiply=*/true) : ir.mul(bytes, e);
    if (saturate)
      bytes = ir.min(bytes, ir.i64(std::numeric_limits<int64_t>::max() - kAlign));
    return ir.createOrFold<arith::AndIOp>(ir.add(bytes, ir.i64(kAlign - 1)), ir.i64(-kAlign));
  }

  /// a * b or a + b of values >= 0, at most the largest i64.
  Value saturating(Value a, Value b, bool multiply) {
    auto pair = LLVM::LLVMStructType::getLiteral(ir.getContext(), {i64Type(), ir.getI1Type()});
    Value r = multiply ? Value(ir.create<LLVM::SMulWithOverflowOp>(pair, a, b))
                       : Value(ir.create<LLVM::SAddWithOverflowOp>(pair, a, b));
    return ir.create<arith::SelectOp>(ir.create<LLVM::ExtractValueOp>(r, 1),
                                      ir.i64(std::numeric_limits<int64_t>::max()),
                                      ir.create<LLVM::ExtractValueOp>(r, 0));
  }

  Buffer allocAt(Scope &scope, tile::AllocOp alloc, Value base) {
    Buffer buffer{base, {}, alloc.getType().getElementType(), false};
    SmallVector<Value> sizes = extents(scope, alloc);
    Value stride = ir.i64(1);
    for (Value e : llvm::reverse(sizes)) {
      buffer.strides.insert(buffer.strides.begin(), stride);
      stride = ir.mul(stride, e);
    }
    return buffer;
  }

  void emitFor(Scope &scope, tile::ForOp op, function_ref<void()> body) {
    Value lo = slice(scope, op.getLo()), hi = slice(scope, op.getHi()), step = slice(scope, op.getStep());
    auto run = [&](Value iv) {
      scope.values.map(op.getIv(), iv);
      body();
    };
    if (auto c = constantOf(step); c && *c > 0) {
      ir.loop(lo, hi, step, {}, [&](Value iv, ValueRange) -> SmallVector<Value> {
        run(iv);
        return {};
      });
      return;
    }
    Value zero = ir.i64(0), down = ir.less(step, zero);
    Value distance = ir.createOrFold<arith::SelectOp>(down, ir.sub(lo, hi), ir.sub(hi, lo));
    Value size = ir.createOrFold<arith::SelectOp>(down, ir.sub(zero, step), step);
    Value count = ir.createOrFold<arith::CeilDivSIOp>(ir.max(distance, zero), size);
    ir.loop(zero, count, ir.i64(1), {}, [&](Value k, ValueRange) -> SmallVector<Value> {
      run(ir.add(lo, ir.mul(k, step)));
      return {};
    });
  }

  //===--- Entry points ---===//

  void emitWorkspaceBytes() {
    OpBuilder::InsertionGuard guard(ir);
    auto func = open("workspace_bytes", i64Type(), {ir.ptr()}, LLVM::Linkage::External);
    Scope scope;
    bindSymbols(scope, func.getArgument(0));
    Value total = ir.i64(0);
    for (auto alloc : program.getBody().getOps<tile::AllocOp>())
      total = saturating(total, allocBytes(scope, alloc, /*saturate=*/true), /*multiply=*/false);
    ir.create<LLVM::ReturnOp>(total);
  }

  void emitRun() {
    OpBuilder::InsertionGuard guard(ir);
    runFunc = open("run", {}, {ir.ptr()}, LLVM::Linkage::External);
    Value ctx = runFunc.getArgument(0);
    Scope scope;
    bindSymbols(scope, loadAt(ctx, kSymbols, ir.ptr()));
    helpers = loadAt(ctx, kHelpers, ir.ptr());

    int64_t inputs = 0;
    for (auto arg : program.getBody().getOps<tile::ArgOp>())
      inputs += arg.getKind() == tile::ArgKind::Input;
    Value args = loadAt(ctx, kArgs, ir.ptr());
    for (auto arg : program.getBody().getOps<tile::ArgOp>()) {
      int64_t at = kArgSize * (arg.getIndex() + (arg.getKind() == tile::ArgKind::Output ? inputs : 0));
      Buffer buffer{loadAt(args, at, ir.ptr()), {}, arg.getType().getElementType(), true};
      unsigned rank = arg.getType().getRank();
      Value strides = rank ? loadAt(args, at + kArgStrides, ir.ptr()) : Value();
      for (unsigned d = 0; d < rank; ++d)
        buffer.strides.push_back(arg->hasAttr(kRows) && d + 1 == rank ? ir.i64(1) : loadAt(strides, 8 * d, i64Type()));
      scope.buffers[arg] = buffer;
    }
    Value place = loadAt(ctx, kWorkspace, ir.ptr());
    for (auto alloc : program.getBody().getOps<tile::AllocOp>()) {
      scope.buffers[alloc] = allocAt(scope, alloc, place);
      place = ir.offset(ir.getI8Type(), place, allocBytes(scope, alloc, false));
    }
    emitProgramBlock(scope, program.getBody().front());
    ir.create<LLVM::ReturnOp>(ValueRange());
  }

  void emitProgramBlock(Scope &scope, Block &block) {
    for (Operation &op : block) {
      if (isa<tile::ArgOp, tile::AllocOp>(op))
        continue;
      if (auto kernel = dyn_cast<tile::KernelOp>(op))
        emitLaunch(scope, kernel);
      else if (auto loop = dyn_cast<tile::ForOp>(op))
        emitFor(scope, loop, [&] { emitProgramBlock(scope, loop.getBody().front()); });
      else if (!scope.values.contains(op.getResult(0)))
        ir.clone(op, scope.values);
    }
  }

  //===--- Kernels ---===//

  /// What the kernel uses from outside, constants aside.
  SmallVector<Value> captured(tile::KernelOp kernel) {
    llvm::SetVector<Value> values;
    kernel.getBody().walk([&](Operation *op) {
      if (const PackedOperands *packed = packs.find(op))
        for (Value v : packed->values())
          if (!kernel.getBody().isAncestor(v.getParentRegion()) && !matchPattern(v, m_Constant()))
            values.insert(v);
      for (Value v : op->getOperands())
        if (!kernel.getBody().isAncestor(v.getParentRegion()) && !matchPattern(v, m_Constant()))
          values.insert(v);
    });
    for (Value v : kernel.getExtents())
      if (!matchPattern(v, m_Constant()))
        values.insert(v);
    return values.takeVector();
  }

  void emitLaunch(Scope &scope, tile::KernelOp kernel) {
    SmallVector<Value> captures = captured(kernel);
    int64_t packBytes = 0;
    LLVM::LLVMFuncOp func = emitKernel(kernel, captures, packBytes);

    SmallVector<Value> slots;
    for (Value v : captures) {
      if (!isa<tile::BufType>(v.getType())) {
        slots.push_back(slice(scope, v));
        continue;
      }
      Buffer &buffer = scope.buffers[v];
      slots.push_back(buffer.base);
      llvm::append_range(slots, buffer.strides);
    }
    Value data;
    {
      // On the stack once, also when the launch is in a loop.
      OpBuilder::InsertionGuard guard(ir);
      ir.setInsertionPointToStart(&runFunc.getBody().front());
      data = ir.create<LLVM::AllocaOp>(ir.ptr(), i64Type(), ir.i64(std::max<size_t>(slots.size(), 1)), 8);
    }
    for (auto [i, v] : llvm::enumerate(slots))
      ir.create<LLVM::StoreOp>(v, field(data, 8 * i), 8);

    Value count = ir.i64(1), scratch = ir.i64(packBytes);
    for (Value e : kernel.getExtents())
      count = ir.mul(count, ir.max(slice(scope, e), ir.i64(0)));
    if (auto when = packs.when.find(kernel); when != packs.when.end()) {
      auto moves = [&](PlainOperand &plain, ArrayRef<int64_t> slopes) {
        return step(ir, scope.buffers.lookup(plain.load.getBuffer()), slopes);
      };
      if (auto &plain = when->second.notInPlace)
        count = ir.createOrFold<arith::SelectOp>(near(ir, moves(*plain, plain->k)), ir.i64(0), count);
      if (auto &plain = when->second.strides) {
        auto distance = [&](Value step) { return ir.max(step, ir.sub(ir.i64(0), step)); };
        Value row = ir.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::slt, distance(moves(*plain, plain->m)),
                                                   distance(moves(*plain, plain->k)));
        count = when->second.rowNearer ? ir.createOrFold<arith::SelectOp>(row, count, ir.i64(0))
                                       : ir.createOrFold<arith::SelectOp>(row, ir.i64(0), count);
      }
    }
    Scope inner = scope;
    for (auto alloc : kernel.getBody().getOps<tile::AllocOp>())
      scratch = ir.add(scratch, allocBytes(inner, alloc, false));
    Type p = ir.ptr(), i = i64Type();
    auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(ir.getContext()), {p, i, i, i, p, i});
    Value callee = loadAt(helpers, kParallelFor, p);
    ir.create<LLVM::CallOp>(type, ValueRange{callee, runFunc.getArgument(0), count, ir.i64(grain(kernel)), scratch,
                                             ir.create<LLVM::AddressOfOp>(func), ir.create<LLVM::PtrToIntOp>(i, data)});
  }

  /// Instances per piece: enough that handing out a piece costs little beside it. From static extents only, so that
  /// pieces do not depend on the machine.
  int64_t grain(tile::KernelOp kernel) {
    double work = 0;
    kernel.getBody().walk([&](Operation *op) {
      double times = 1;
      for (Operation *at = op; at != kernel; at = at->getParentOp()) {
        if (auto nest = dyn_cast<tile::NestOp>(at)) {
          for (auto [lo, hi] :
               {std::pair(nest.getParLo(), nest.getParHi()), std::pair(nest.getInnerLo(), nest.getInnerHi())})
            for (auto [l, h] : llvm::zip(lo, hi))
              times *= constantOf(l) && constantOf(h) ? std::max<int64_t>(*constantOf(h) - *constantOf(l), 0) : 64;
        } else if (auto loop = dyn_cast<tile::ForOp>(at)) {
          times *= 16;
        }
      }
      work += times;
    });
    constexpr double kPiece = 1e5; // scalar operations; some 20 microseconds
    return std::clamp<int64_t>(kPiece / std::max(work, 1.0), 1, 4096);
  }

  LLVM::LLVMFuncOp emitKernel(tile::KernelOp kernel, ArrayRef<Value> captures, int64_t &packBytes) {
    OpBuilder::InsertionGuard guard(ir);
    ir.setInsertionPoint(runFunc);
    Type p = ir.ptr(), i = i64Type();
    auto func = open("kernel" + std::to_string(kernels++), {}, {p, i, i, p, i}, LLVM::Linkage::Internal);
    Value ctx = func.getArgument(0), begin = func.getArgument(1), end = func.getArgument(2);
    Value place = func.getArgument(3), data = ir.create<LLVM::IntToPtrOp>(p, func.getArgument(4));

    Scope scope;
    int64_t at = 0;
    for (Value v : captures) {
      if (auto type = dyn_cast<tile::BufType>(v.getType())) {
        auto arg = v.getDefiningOp<tile::ArgOp>();
        bool caller = arg && !arg->hasAttr(kRows);
        Buffer buffer{loadAt(data, at, p), {}, type.getElementType(), caller};
        for (unsigned d = 0; d < type.getRank(); ++d) {
          at += 8;
          buffer.strides.push_back(!caller && d + 1 == type.getRank() ? ir.i64(1) : loadAt(data, at, i));
        }
        scope.buffers[v] = buffer;
      } else {
        scope.values.map(v, loadAt(data, at, i));
      }
      at += 8;
    }
    for (auto alloc : kernel.getBody().getOps<tile::AllocOp>()) {
      scope.buffers[alloc] = allocAt(scope, alloc, place);
      place = ir.offset(ir.getI8Type(), place, allocBytes(scope, alloc, false));
    }
    // Constants from outside, here where they dominate every use.
    kernel.getBody().walk([&](Operation *op) {
      for (Value v : op->getOperands())
        if (!kernel.getBody().isAncestor(v.getParentRegion()) && matchPattern(v, m_Constant()))
          slice(scope, v);
    });
    pack = place;
    kernel.getBody().walk([&](tile::NestOp nest) { packBytes = std::max(packBytes, nestScratch(machine, nest)); });
    kernelHelpers = loadAt(ctx, kHelpers, p);
    SmallVector<Value> grid;
    for (Value e : kernel.getExtents())
      grid.push_back(slice(scope, e));
    scope.streams = packs.when.contains(kernel);

    ir.loop(begin, end, ir.i64(1), {}, [&](Value linear, ValueRange) -> SmallVector<Value> {
      Value rest = linear;
      for (unsigned d = grid.size(); d-- > 0;) {
        scope.values.map(kernel.getBody().getArgument(d), d ? ir.createOrFold<arith::RemUIOp>(rest, grid[d]) : rest);
        if (d)
          rest = ir.createOrFold<arith::DivUIOp>(rest, grid[d]);
      }
      emitKernelBlock(scope, kernel.getBody().front());
      return {};
    });
    ir.create<LLVM::ReturnOp>(ValueRange());
    return func;
  }

  void emitKernelBlock(Scope &scope, Block &block) {
    for (Operation &op : block) {
      if (isa<tile::AllocOp>(op))
        continue;
      if (auto nest = dyn_cast<tile::NestOp>(op)) {
        emitNest(ir, scope, machine, nest, pack, packs.find(nest));
      } else if (auto loop = dyn_cast<tile::ForOp>(op)) {
        emitFor(scope, loop, [&] { emitKernelBlock(scope, loop.getBody().front()); });
      } else if (auto sort = dyn_cast<tile::SortOp>(op)) {
        emitSort(scope, sort);
      } else if (auto load = dyn_cast<tile::LoadOp>(op)) {
        Point point(ir, scope, 1);
        point.emit(load);
        scope.values.map(load.getResult(), point.scalar(load));
      } else {
        for (Value v : op.getOperands())
          slice(scope, v);
        ir.clone(op, scope.values);
      }
    }
  }

  void emitSort(Scope &scope, tile::SortOp op) {
    auto row = [&](Value buffer, ValueRange indices) {
      const Buffer &b = scope.buffers[buffer];
      Value at = ir.i64(0);
      for (auto [index, stride] : llvm::zip(indices, b.strides))
        at = ir.add(at, ir.mul(slice(scope, index), stride));
      return std::pair(ir.offset(b.elem, b.base, at), b.strides.back());
    };
    auto [keys, keyStride] = row(op.getKeys(), op.getKeyIndices());
    auto [out, outStride] = row(op.getOut(), op.getOutIndices());
    Value valid = ir.create<LLVM::ZeroOp>(ir.ptr()), validStride = ir.i64(0);
    if (op.getValid())
      std::tie(valid, validStride) = row(op.getValid(), op.getValidIndices());
    TALLY("cpu: a sort");
    Type key = op.getKeys().getType().getElementType();
    int64_t type = key.isF32() ? 0 : key.isF64() ? 1 : 2;
    int64_t flags = (op.getDescending() ? 1 : 0) | (op.getNan() == tile::NanOrder::Never ? 2 : 0);
    Type p = ir.ptr(), i = i64Type();
    auto callee = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(ir.getContext()), {p, i, i, p, i, i, p, i, i, i});
    ir.create<LLVM::CallOp>(callee, ValueRange{loadAt(kernelHelpers, kSortRow, p), keys, keyStride, ir.i64(type), valid,
                                               validStride, slice(scope, op.getLength()), out, outStride,
                                               slice(scope, op.getCount()), ir.i64(flags)});
  }

  Ir ir;
  tile::ProgramOp program;
  const Machine &machine;
  LLVM::LLVMFuncOp runFunc;
  Value helpers, kernelHelpers, pack;
  unsigned kernels = 0;
  PackTable packs;
};

struct TileToVector : cpu::impl::TileToVectorBase<TileToVector> {
  using Base::Base;
  void runOnOperation() override {
    Machine machine{vectorBytes, vectorise};
    auto programs = llvm::to_vector(getOperation().getOps<tile::ProgramOp>());
    if (programs.size() > 1) {
      programs[1].emitError("one program per module: entry points have fixed names");
      return signalPassFailure();
    }
    for (tile::ProgramOp program : programs)
      ProgramEmitter(program, machine).emit();
  }
};

} // namespace

void cpu::inputsInRows(ModuleOp module) {
  module.walk([](tile::ArgOp arg) {
    if (arg.getKind() == tile::ArgKind::Input)
      arg->setAttr(kRows, UnitAttr::get(arg.getContext()));
  });
}
