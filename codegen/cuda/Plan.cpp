//===- The host's part of a lowered program, as data ----------------------===//
#include "codegen/cuda/Cuda.h"
#include "codegen/cuda/Passes.h"
#include "dialect/tile/Tile.h"
#include <fmt/format.h>

using namespace mlir;

namespace attnc::cuda {

namespace {

class Planner {
public:
  LaunchPlan plan;
  std::string error;

  bool program(tile::ProgramOp op) {
    for (BlockArgument symbol : op.getBlock()->getArguments())
      values_[symbol] = add({LaunchPlan::Op::Symbol, int64_t(symbol.getArgNumber()), {}}, plan.steps);
    int inputs = 0;
    for (auto arg : op.getBlock()->getOps<tile::ArgOp>())
      inputs += arg.getKind() == tile::ArgKind::Input;
    for (auto arg : op.getBlock()->getOps<tile::ArgOp>()) {
      tensors_[arg] = int(arg.getIndex()) + (arg.getKind() == tile::ArgKind::Output ? inputs : 0);
      plan.tensors = std::max(plan.tensors, tensors_[arg] + 1);
    }
    return block(*op.getBlock(), plan.steps);
  }

private:
  int add(LaunchPlan::Value v, std::vector<LaunchPlan::Step> &steps) {
    plan.values.push_back(v);
    LaunchPlan::Step s;
    s.value = int(plan.values.size()) - 1;
    steps.push_back(s);
    return s.value;
  }

  static std::optional<LaunchPlan::Op> opOf(Operation &op) {
    using Op = LaunchPlan::Op;
    if (auto c = dyn_cast<arith::CmpIOp>(op)) {
      switch (c.getPredicate()) {
      case arith::CmpIPredicate::eq:
        return Op::Eq;
      case arith::CmpIPredicate::ne:
        return Op::Ne;
      case arith::CmpIPredicate::slt:
        return Op::Lt;
      case arith::CmpIPredicate::sle:
        return Op::Le;
      case arith::CmpIPredicate::sgt:
        return Op::Gt;
      case arith::CmpIPredicate::sge:
        return Op::Ge;
      default:
        return std::nullopt;
      }
    }
    return llvm::StringSwitch<std::optional<Op>>(op.getName().stripDialect())
        .Case("addi", Op::Add)
        .Case("subi", Op::Sub)
        .Case("muli", Op::Mul)
        .Case("maxsi", Op::Max)
        .Case("minsi", Op::Min)
        .Case("andi", Op::And)
        .Case("ori", Op::Or)
        .Case("xori", Op::Xor)
        .Case("shli", Op::Shl)
        .Case("shrsi", Op::Shr)
        .Case("floordivsi", Op::FloorDiv)
        .Case("divsi", Op::Div)
        .Case("remsi", Op::Rem)
        .Case("select", Op::Select)
        .Default(std::nullopt);
  }

  bool block(Block &b, std::vector<LaunchPlan::Step> &steps) {
    for (Operation &op : b) {
      if (isa<tile::ArgOp>(op))
        continue;
      if (auto alloc = dyn_cast<tile::AllocOp>(op)) {
        LaunchPlan::Buffer buffer;
        buffer.elementBytes = std::max(1u, alloc.getType().getElementType().getIntOrFloatBitWidth() / 8);
        for (Value e : alloc.getExtents())
          buffer.extents.push_back(values_.lookup(e));
        buffers_[alloc] = int(plan.buffers.size());
        plan.buffers.push_back(std::move(buffer));
        continue;
      }
      if (auto loop = dyn_cast<tile::ForOp>(op)) {
        LaunchPlan::Step s;
        s.kind = LaunchPlan::Step::For;
        s.lo = values_.lookup(loop.getLo());
        s.hi = values_.lookup(loop.getHi());
        s.step = values_.lookup(loop.getStep());
        s.value = int(plan.values.size());
        plan.values.push_back({LaunchPlan::Op::Loop, 0, {}});
        values_[loop.getIv()] = s.value;
        if (!block(loop.getBody().front(), s.body))
          return false;
        steps.push_back(std::move(s));
        continue;
      }
      if (auto call = dyn_cast<func::CallOp>(op)) {
        launch(call, steps);
        continue;
      }
      LaunchPlan::Value v;
      if (auto c = dyn_cast<arith::ConstantOp>(op)) {
        auto integer = dyn_cast<IntegerAttr>(c.getValue());
        if (!integer)
          continue; // a float: kernels make their own
        v.constant = integer.getType().isInteger(1) ? integer.getValue().getZExtValue() : integer.getInt();
      } else if (auto kind = opOf(op)) {
        v.op = *kind;
        for (auto [i, o] : llvm::enumerate(op.getOperands()))
          v.operands[i] = values_.lookup(o);
      } else if (isa<arith::ExtUIOp, arith::IndexCastOp>(op)) {
        values_[op.getResult(0)] = values_.lookup(op.getOperand(0));
        continue;
      } else {
        error = fmt::format("the host has no word for {}", op.getName().getStringRef().str());
        return false;
      }
      values_[op.getResult(0)] = add(v, steps);
    }
    return true;
  }

  void launch(func::CallOp call, std::vector<LaunchPlan::Step> &steps) {
    auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(call, call.getCalleeAttr());
    LaunchPlan::Step s;
    s.kind = LaunchPlan::Step::Launch;
    s.kernel = int(plan.kernels.size());
    plan.kernels.push_back(
        {kernelName(call.getCallee()), int(callee->getAttrOfType<IntegerAttr>("attnc.threads").getInt())});
    s.instances = values_.lookup(call.getOperand(0));
    s.scratchBytes = values_.lookup(call.getOperand(1));
    for (Value v : call.getOperands().drop_front(2)) {
      LaunchPlan::Argument a;
      if (auto type = dyn_cast<tile::BufType>(v.getType())) {
        auto tensor = tensors_.find(v);
        a.kind = tensor != tensors_.end() ? LaunchPlan::Argument::Tensor : LaunchPlan::Argument::Stored;
        a.index = tensor != tensors_.end() ? tensor->second : buffers_.lookup(v);
        a.rank = int(type.getRank());
      } else {
        a.index = values_.lookup(v);
      }
      s.arguments.push_back(a);
    }
    steps.push_back(std::move(s));
  }

  llvm::DenseMap<Value, int> values_, tensors_, buffers_;
};

} // namespace

bool planLaunches(ModuleOp module, LaunchPlan &plan, std::string &error) {
  for (auto program : module.getOps<tile::ProgramOp>()) {
    Planner p;
    if (!p.program(program)) {
      error = p.error;
      return false;
    }
    plan = std::move(p.plan);
  }
  return true;
}

} // namespace attnc::cuda
