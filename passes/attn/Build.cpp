//===- Making attn ops, and which of them lie on a cycle -------------------===//
#include "passes/attn/Build.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/SmallVector.h"

using namespace mlir;

namespace attnc::attn {

Operation *Build::placeholder(Type type) {
  return b_.create<UnrealizedConversionCastOp>(loc_, TypeRange(type), ValueRange());
}

Value identityOf(Build &b, Reduction red, Type elem) {
  bool isReal = isa<FloatType>(elem);
  switch (red) {
  case Reduction::Any:
    return b.boolean(false);
  case Reduction::All:
    return b.boolean(true);
  case Reduction::Prod:
    return isReal ? b.real(1, elem) : b.integer(1);
  case Reduction::Max:
  case Reduction::LogSumExp:
    return isReal ? b.real(-Build::inf, elem) : b.integer(std::numeric_limits<int64_t>::min());
  case Reduction::Min:
    return isReal ? b.real(Build::inf, elem) : b.integer(std::numeric_limits<int64_t>::max());
  default:
    return isReal ? b.real(0, elem) : b.integer(0);
  }
}

int64_t freshCycle(MixerOp mixer) {
  int64_t next = 0;
  for (EquationOp equation : mixer.getBody()->getOps<EquationOp>())
    if (std::optional<int64_t> cycle = equation.getCycle())
      next = std::max(next, *cycle + 1);
  return next;
}

/// Tarjan's algorithm from operands to definitions, with the stack of calls kept by hand: graphs may be deep.
llvm::DenseMap<Operation *, unsigned> cycleParts(MixerOp mixer) {
  struct State {
    unsigned index = 0, low = 0;
    bool open = false;
  };
  llvm::DenseMap<Operation *, State> states;
  llvm::DenseMap<Operation *, unsigned> parts;
  SmallVector<Operation *> open;
  SmallVector<std::pair<Operation *, unsigned>> calls;
  unsigned counter = 0, partCount = 0;
  auto enter = [&](Operation *op) {
    State &s = states[op];
    s.index = s.low = ++counter;
    s.open = true;
    open.push_back(op);
    calls.push_back({op, 0});
  };
  for (Operation &root : *mixer.getBody()) {
    if (states.count(&root))
      continue;
    enter(&root);
    while (!calls.empty()) {
      auto &[op, next] = calls.back();
      if (next < op->getNumOperands()) {
        Operation *def = op->getOperand(next++).getDefiningOp();
        if (!def)
          continue;
        auto known = states.find(def);
        if (known == states.end())
          enter(def);
        else if (known->second.open)
          states[op].low = std::min(states[op].low, known->second.index);
        continue;
      }
      Operation *done = op;
      calls.pop_back();
      State s = states[done];
      if (!calls.empty())
        states[calls.back().first].low = std::min(states[calls.back().first].low, s.low);
      if (s.low != s.index)
        continue;
      SmallVector<Operation *> members;
      Operation *member;
      do {
        member = open.pop_back_val();
        states[member].open = false;
        members.push_back(member);
      } while (member != done);
      if (members.size() > 1 ||
          llvm::is_contained(done->getOperands(), Value(done->getNumResults() ? done->getResult(0) : Value()))) {
        for (Operation *m : members)
          parts[m] = partCount;
        ++partCount;
      }
    }
  }
  return parts;
}

} // namespace attnc::attn
