//===- Parts of functions that become functions ---------------------------===//
#include "codegen/cpu/Outline.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace attnc::cpu;

namespace {
constexpr uint64_t kEnd = ~0ull, kConstant = kEnd - 1;
bool isConstant(Operation *op) { return op && op->hasTrait<OpTrait::ConstantLike>(); }
} // namespace

void Shape::add(Operation *op) {
  if (isConstant(op))
    return;
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
        add(&inner);
      words.push_back(kEnd);
    }
}

void Shape::define(Value v) {
  add(v.getType().getAsOpaquePointer());
  numbers.try_emplace(v, numbers.size());
}

void Shape::use(Value v) {
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

Sketch attnc::cpu::sketch(Operation *op, function_ref<void(Operation *, const Sketch &)> visit) {
  if (isConstant(op))
    return {};
  Sketch s;
  s.operations = 1;
  s.hash =
      llvm::hash_combine(op->getName(), op->getNumOperands(), op->hashProperties(), op->getDiscardableAttrDictionary());
  for (Type type : op->getResultTypes())
    s.hash = llvm::hash_combine(s.hash, type);
  for (Region &region : op->getRegions())
    for (Block &block : region)
      for (Operation &inner : block) {
        Sketch t = sketch(&inner, visit);
        s.operations += t.operations;
        s.loops = std::max(s.loops, t.loops);
        if (t.operations)
          s.hash = llvm::hash_combine(s.hash, t.hash);
      }
  s.loops += isa<scf::ForOp>(op);
  if (isa<scf::ForOp, scf::IfOp>(op) && !op->getNumResults())
    visit(op, s);
  return s;
}

LLVM::LLVMFuncOp Outliner::outline(Operation *part) {
  Shape shape(part);
  OpBuilder b(part->getParentOfType<LLVM::LLVMFuncOp>());
  SmallVector<Type> types;
  for (Value v : shape.outside)
    types.push_back(v.getType());
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()), types);
  auto function = b.create<LLVM::LLVMFuncOp>(part->getLoc(), prefix.str() + std::to_string(made++), type,
                                             LLVM::Linkage::Internal, /*dsoLocal=*/true);
  OpBuilder(part).create<LLVM::CallOp>(part->getLoc(), function, shape.outside);
  Block *entry = function.addEntryBlock(b);
  b.setInsertionPointToStart(entry);
  IRMapping inside;
  inside.map(ValueRange(shape.outside), entry->getArguments());
  auto end = b.create<LLVM::ReturnOp>(part->getLoc(), ValueRange());
  part->moveBefore(end);
  b.setInsertionPointToStart(entry);
  part->walk([&](Operation *inner) {
    for (OpOperand &operand : inner->getOpOperands()) {
      Operation *def = operand.get().getDefiningOp();
      if (isConstant(def) && !part->isAncestor(def) && !inside.contains(operand.get()))
        b.clone(*def, inside);
      operand.set(inside.lookupOrDefault(operand.get()));
    }
  });
  return function;
}

void Outliner::call(Operation *part, LLVM::LLVMFuncOp function, const Shape &shape) {
  OpBuilder(part).create<LLVM::CallOp>(part->getLoc(), function, shape.outside);
  part->erase();
}
