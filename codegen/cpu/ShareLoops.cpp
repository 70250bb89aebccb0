//===- Loops that stand more than once ------------------------------------===//
//
//   kernel0: ... loops over A, n ...        kernel0: ... call @loops0(A, n) ...
//   kernel1: ... loops over B, m ...   =>   kernel1: ... call @loops0(B, m) ...
//                                           @loops0(x, k): loops over x, k
//
// Kernels are made of few patterns: packing an operand, the register tiles of a contraction, a sum in lanes. Loops (and
// branches around them) that differ only in the values they use from outside are compiled once. The largest such parts
// are taken; what is small stays where it is, since a call would show.
//
// Pinned by test/codegen/cpu/share.mlir.
//===----------------------------------------------------------------------===//
#include "codegen/cpu/Passes.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "runtime/Tally.h"

namespace attnc::cpu {
#define GEN_PASS_DEF_CPUSHARELOOPS
#include "codegen/cpu/Passes.h.inc"
} // namespace attnc::cpu

using namespace mlir;

namespace {

/// Operations from which on a part is worth a function.
constexpr unsigned kLeast = 40;

bool isConstant(Operation *op) { return op && op->hasTrait<OpTrait::ConstantLike>(); }

/// What an operation does, with everything in it, whatever the values are that it uses from outside. It does not matter
/// where a constant stands.
struct Shape {
  std::vector<uint64_t> words;
  SmallVector<Value> outside; ///< in the order of their first use
  unsigned operations = 0;
  bool loops = false; ///< a loop in a loop

  explicit Shape(Operation *root) { add(root, 0); }

private:
  void add(Operation *op, unsigned depth) {
    if (isConstant(op))
      return;
    ++operations;
    if (isa<scf::ForOp>(op))
      loops |= ++depth > 1;
    add(op->getName().getAsOpaquePointer());
    add(op->getAttrDictionary().getAsOpaquePointer());
    for (Value v : op->getOperands())
      use(v);
    for (Value v : op->getResults())
      define(v);
    for (Region &region : op->getRegions())
      for (Block &block : region) {
        for (Value v : block.getArguments())
          define(v);
        for (Operation &inner : block)
          add(&inner, depth);
        words.push_back(kEnd);
      }
  }
  void add(const void *p) { words.push_back(reinterpret_cast<uintptr_t>(p)); }
  void define(Value v) {
    add(v.getType().getAsOpaquePointer());
    numbers.try_emplace(v, numbers.size());
  }
  void use(Value v) {
    if (Operation *def = v.getDefiningOp(); isConstant(def)) {
      words.push_back(kConstant);
      add(def->getAttrDictionary().getAsOpaquePointer());
      add(v.getType().getAsOpaquePointer());
      return;
    }
    auto [it, fresh] = numbers.try_emplace(v, numbers.size());
    words.push_back(it->second);
    if (!fresh)
      return;
    add(v.getType().getAsOpaquePointer());
    outside.push_back(v);
  }

  static constexpr uint64_t kEnd = ~0ull, kConstant = kEnd - 1;
  DenseMap<Value, unsigned> numbers;
};

class Sharer {
public:
  explicit Sharer(ModuleOp module) : module(module) {}

  void run() {
    module.walk([&](Operation *op) {
      if (!isa<scf::ForOp, scf::IfOp>(op) || op->getNumResults())
        return;
      Shape shape(op);
      if (shape.operations < kLeast || !shape.loops)
        return;
      size_t id = ids.try_emplace(std::move(shape.words), parts.size()).first->second;
      if (id == parts.size())
        parts.emplace_back();
      Part &part = parts[id];
      part.operations = shape.operations;
      part.places.push_back(op);
      standing.insert(op);
    });
    // The largest first: a part that is shared takes with it what is in it.
    std::vector<Part *> order;
    for (Part &part : parts)
      if (part.places.size() > 1)
        order.push_back(&part);
    llvm::stable_sort(order, [](Part *x, Part *y) { return x->operations > y->operations; });
    for (Part *part : order) {
      llvm::erase_if(part->places, [&](Operation *op) { return !standing.contains(op); });
      if (part->places.size() > 1)
        share(part->places);
    }
  }

private:
  struct Part {
    unsigned operations = 0;
    SmallVector<Operation *> places;
  };

  void share(ArrayRef<Operation *> places) {
    TALLY("cpu: loops shared");
    LLVM::LLVMFuncOp function = makeFunction(places[0], Shape(places[0]));
    for (Operation *op : places) {
      Shape shape(op);
      OpBuilder(op).create<LLVM::CallOp>(op->getLoc(), function, shape.outside);
      if (op == places[0]) {
        outline(op, shape, function);
        continue;
      }
      op->walk([&](Operation *inner) { standing.erase(inner); });
      op->erase();
    }
  }

  LLVM::LLVMFuncOp makeFunction(Operation *op, const Shape &shape) {
    OpBuilder b(op->getParentOfType<LLVM::LLVMFuncOp>());
    SmallVector<Type> types;
    for (Value v : shape.outside)
      types.push_back(v.getType());
    auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()), types);
    return b.create<LLVM::LLVMFuncOp>(op->getLoc(), "loops" + std::to_string(functions++), type,
                                      LLVM::Linkage::Internal, /*dsoLocal=*/true);
  }

  /// Moves the part into its function.
  static void outline(Operation *op, const Shape &shape, LLVM::LLVMFuncOp func) {
    OpBuilder b(func);
    Block *entry = func.addEntryBlock(b);
    b.setInsertionPointToStart(entry);
    IRMapping inside;
    inside.map(ValueRange(shape.outside), entry->getArguments());
    auto end = b.create<LLVM::ReturnOp>(op->getLoc(), ValueRange());
    op->moveBefore(end);
    b.setInsertionPointToStart(entry);
    op->walk([&](Operation *inner) {
      for (OpOperand &operand : inner->getOpOperands()) {
        Operation *def = operand.get().getDefiningOp();
        if (isConstant(def) && !op->isAncestor(def) && !inside.contains(operand.get()))
          b.clone(*def, inside);
        operand.set(inside.lookupOrDefault(operand.get()));
      }
    });
  }

  ModuleOp module;
  std::map<std::vector<uint64_t>, size_t> ids; ///< of parts; words have addresses in them, whose order means nothing
  std::vector<Part> parts;
  DenseSet<Operation *> standing; ///< not yet replaced by a call
  unsigned functions = 0;
};

struct CpuShareLoops : attnc::cpu::impl::CpuShareLoopsBase<CpuShareLoops> {
  using Base::Base;
  void runOnOperation() override { Sharer(getOperation()).run(); }
};

} // namespace
