//===- Heads that share their keys are worked on together where rows are few ==//
//
//   kernel grid [g, r, blocks of i] { nests over i and keys, which read k[g, ...] for every r }
// becomes
//   size = N <= 4 ? 4 : 1
//   kernel grid [g, blocks of r, blocks of i] { the same nests, also over the r of the block }
//
// where i runs over N rows in blocks. With many rows a block of keys meets 64 of them each time it is read; with few,
// reading it is all that takes time, and every r reads it again. Memory of an instance gets a dim for the r of a block.
// With many rows there is one r in a block, and all is as before.
//
// Only where r is used in nests alone: no bound of a loop depends on it. What is kept for bounds of loops must be
// marked kOverRows: then one value for all rows will do, which the nest that makes it takes over all r.
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/Passes.h"
#include "passes/tile/Stream.h"
#include "runtime/Tally.h"

using namespace mlir;

namespace attnc {
#define GEN_PASS_DEF_GROUPROWS
#include "passes/Passes.h.inc"

namespace {
using stream::constant;

constexpr int64_t kFew = 4;      ///< rows
constexpr int64_t kTogether = 4; ///< positions of r in a block then

class Grouper {
public:
  explicit Grouper(tile::KernelOp kernel) : kernel(kernel), body(&kernel.getBody().front()) {}

  bool run() {
    findRows();
    // In a loop around kernels memory would have to be sized again and again.
    if (!rows || !isa<tile::ProgramOp>(kernel->getParentOp()) || !collect())
      return false;
    for (unsigned at = body->getNumArguments(); at-- > 0;)
      if (pays(body->getArgument(at))) {
        rewrite(at);
        return true;
      }
    return false;
  }

private:
  static bool ofProgram(Value v) { return isa<tile::ProgramOp>(v.getParentBlock()->getParentOp()); }

  /// The dim of the grid that has blocks: g * size .. min(g * size + size, N), N not known.
  void findRows() {
    for (Operation &op : *body)
      if (auto least = dyn_cast<arith::MinSIOp>(op)) {
        auto add = least.getLhs().getDefiningOp<arith::AddIOp>();
        auto mul = add ? add.getLhs().getDefiningOp<arith::MulIOp>() : arith::MulIOp();
        auto grid = mul ? dyn_cast<BlockArgument>(mul.getLhs()) : BlockArgument();
        if (grid && grid.getOwner() == body && constant(mul.getRhs()) == constant(add.getRhs()) &&
            constant(add.getRhs()).value_or(0) > kFew && ofProgram(least.getRhs()) && !constant(least.getRhs())) {
          if (rows)
            rows = {};
          else if (!seenRows)
            rows = least.getRhs();
          seenRows = true;
          rowGrid = grid;
        }
      }
  }

  /// All nests, and memory that is read for bounds.
  bool collect() {
    bool fine = true;
    kernel.getBody().walk([&](Operation *op) {
      if (auto nest = dyn_cast<tile::NestOp>(op)) {
        nests.push_back(nest);
        fine &= !nest.getSequential() && nest.getNumPar() + nest.getNumInner() < 24;
      } else if (isa<tile::SortOp, tile::UpdateOp>(op)) {
        fine = false;
      } else if (auto load = dyn_cast<tile::LoadOp>(op); load && !load->getParentOfType<tile::NestOp>()) {
        if (auto alloc = load.getBuffer().getDefiningOp<tile::AllocOp>(); alloc && alloc->getBlock() == body) {
          forBounds.insert(alloc);
          fine &= alloc->hasAttr(tile::kOverRows);
        }
      }
    });
    // What is kept for bounds is made by sums over rows, or is the same for all.
    for (Value buffer : forBounds)
      for (Operation *user : buffer.getUsers()) {
        auto nest = user->getParentOfType<tile::NestOp>();
        fine &= !nest || (isa<tile::StoreOp>(user) && nest.getNumPar() == 0);
      }
    return fine;
  }

  /// Whether v depends on a position of the grid.
  bool dependsOn(Value v, Value position) {
    llvm::DenseSet<Value> seen;
    SmallVector<Value> todo{v};
    while (!todo.empty()) {
      Value at = todo.pop_back_val();
      if (at == position)
        return true;
      if (!seen.insert(at).second)
        continue;
      if (Operation *op = at.getDefiningOp())
        llvm::append_range(todo, op->getOperands());
      else if (auto nest = dyn_cast<tile::NestOp>(at.getParentBlock()->getParentOp())) {
        unsigned d = cast<BlockArgument>(at).getArgNumber();
        if (d < nest.getNumPar() + nest.getNumInner() &&
            (at.getParentBlock() == &nest.getBody().front() || d < nest.getNumPar())) {
          stream::Dim dim = stream::dimOf(nest, d);
          todo.append({dim.lo, dim.hi});
        }
      } else if (auto loop = dyn_cast<tile::ForOp>(at.getParentBlock()->getParentOp())) {
        todo.append({loop.getLo(), loop.getHi()});
      }
    }
    return false;
  }

  /// Whether sums read much that is the same for all r and rows, and r is used in nests alone.
  bool pays(BlockArgument r) {
    Value extent = kernel.getExtents()[r.getArgNumber()];
    if (r == rowGrid || constant(extent) || !onlyInNests(r))
      return false;
    return llvm::any_of(nests, [&](tile::NestOp nest) {
      if (!nest.isReduction())
        return false;
      Block &inside = nest.getBody().front();
      auto own = [&](Value v) { return isa<FloatType>(v.getType()); };
      bool shared = false, moves = false;
      for (auto load : inside.getOps<tile::LoadOp>()) {
        if (!own(load.getResult()))
          continue;
        auto depends = [&](Value position) {
          return llvm::any_of(load.getIndices(), [&](Value index) { return dependsOn(index, position); });
        };
        auto alloc = load.getBuffer().getDefiningOp<tile::AllocOp>();
        bool local = alloc && alloc->getBlock() == body;
        bool ofR = local || depends(r), ofRows = depends(rowGrid);
        // A matrix at least, with a side that is long.
        unsigned moving = 0, open = 0;
        for (unsigned d = 0; d < nest.getNumPar() + nest.getNumInner(); ++d) {
          BlockArgument position = inside.getArgument(d);
          if (!llvm::any_of(load.getIndices(), [&](Value index) { return movesWith(index, position); }))
            continue;
          stream::Dim dim = stream::dimOf(nest, d);
          ++moving;
          open += !constant(dim.hi) || !constant(dim.lo);
        }
        shared |= !ofR && !ofRows && moving >= 2 && open >= 1;
        moves |= ofR && ofRows;
      }
      return shared && moves;
    });
  }

  static bool movesWith(Value v, BlockArgument position) {
    if (v == position)
      return true;
    Operation *op = v.getDefiningOp();
    return op && op->getBlock() == position.getOwner() &&
           llvm::any_of(op->getOperands(), [&](Value operand) { return movesWith(operand, position); });
  }

  bool onlyInNests(BlockArgument r) {
    return llvm::all_of(r.getUsers(), [](Operation *user) { return user->getParentOfType<tile::NestOp>() != nullptr; });
  }

  void rewrite(unsigned at) {
    TALLY("group-rows: heads that share keys in one instance");
    BlockArgument r = body->getArgument(at);
    ImplicitLocOpBuilder b(kernel.getLoc(), kernel);
    auto i64 = [&](int64_t v) { return b.create<arith::ConstantIntOp>(v, 64); };
    Value few = b.create<arith::CmpIOp>(arith::CmpIPredicate::sle, rows, i64(kFew));
    Value more = b.create<arith::MulIOp>(b.create<arith::ExtUIOp>(b.getI64Type(), few), i64(kTogether - 1));
    Value size = b.create<arith::AddIOp>(more, i64(1));
    Value extent = kernel.getExtents()[at];
    kernel.getExtentsMutable()[at].assign(b.create<arith::DivSIOp>(b.create<arith::AddIOp>(extent, more), size));

    b.setInsertionPointToStart(body);
    Value lo = b.create<arith::MulIOp>(r, size);
    Value hi = b.create<arith::MinSIOp>(b.create<arith::AddIOp>(lo, size), extent);
    llvm::SmallPtrSet<Operation *, 1> bounds{lo.getDefiningOp()};
    DenseSet<Value> widened;
    for (auto alloc : llvm::make_early_inc_range(body->getOps<tile::AllocOp>())) {
      if (forBounds.contains(alloc))
        continue;
      SmallVector<Value> extents{size};
      llvm::append_range(extents, alloc.getExtents());
      ImplicitLocOpBuilder place(alloc.getLoc(), alloc);
      auto type = tile::BufType::get(alloc.getType().getElementType(), extents.size());
      auto wide = place.create<tile::AllocOp>(type, extents);
      wide->setAttrs(alloc->getAttrs());
      alloc->replaceAllUsesWith(wide);
      widened.insert(wide);
      alloc.erase();
    }
    for (tile::NestOp nest : nests) {
      bool uses = false;
      nest->walk([&](Operation *op) {
        uses |= llvm::is_contained(op->getOperands(), r) ||
                llvm::any_of(op->getOperands(), [&](Value v) { return widened.contains(v); });
      });
      if (!uses)
        continue;
      bool joins = false;
      nest->walk([&](tile::StoreOp store) { joins |= forBounds.contains(store.getBuffer()); });
      BlockArgument inBody, inFinish;
      Block &inside = nest.getBody().front();
      auto prepend = [&](MutableOperandRange range, Value v) {
        SmallVector<Value> all{v};
        for (OpOperand &operand : range)
          all.push_back(operand.get());
        range.assign(all);
      };
      if (joins) {
        inBody = inside.insertArgument(nest.getNumPar(), b.getI64Type(), nest.getLoc());
        prepend(nest.getInnerLoMutable(), lo);
        prepend(nest.getInnerHiMutable(), hi);
      } else {
        inBody = inside.insertArgument(0u, b.getI64Type(), nest.getLoc());
        if (!nest.getFinish().empty())
          inFinish = nest.getFinish().front().insertArgument(0u, b.getI64Type(), nest.getLoc());
        prepend(nest.getParLoMutable(), lo);
        prepend(nest.getParHiMutable(), hi);
      }
      for (auto [region, own] : {std::pair(&nest.getBody(), inBody), std::pair(&nest.getFinish(), inFinish)}) {
        if (region->empty() || !own)
          continue;
        region->walk([&, own = own](Operation *op) {
          for (OpOperand &operand : op->getOpOperands())
            if (operand.get() == r)
              operand.set(own);
        });
        SmallVector<Operation *> accesses;
        for (Operation &op : region->front())
          if (isa<tile::LoadOp, tile::StoreOp>(op) && widened.contains(stream::access(&op).first))
            accesses.push_back(&op);
        for (Operation *op : accesses) {
          ImplicitLocOpBuilder inner(op->getLoc(), op);
          Value index = inner.create<arith::SubIOp>(own, lo);
          if (auto load = dyn_cast<tile::LoadOp>(op))
            prepend(load.getIndicesMutable(), index);
          else
            prepend(cast<tile::StoreOp>(op).getIndicesMutable(), index);
        }
      }
    }
  }

  tile::KernelOp kernel;
  Block *body;
  Value rows; ///< how many there are in a call
  bool seenRows = false;
  BlockArgument rowGrid;
  SmallVector<tile::NestOp> nests;
  llvm::SetVector<Value> forBounds;
};

struct GroupRows : impl::GroupRowsBase<GroupRows> {
  using Base::Base;
  void runOnOperation() override {
    SmallVector<tile::KernelOp> kernels;
    getOperation().walk([&](tile::KernelOp kernel) { kernels.push_back(kernel); });
    for (tile::KernelOp kernel : kernels)
      Grouper(kernel).run();
  }
};

} // namespace
} // namespace attnc
