//===- Large functions in parts -------------------------------------------===//
//
//   kernel0: for steps { loops over A, n ... loops over B, m ... }
//   =>
//   kernel0: for steps { call @part0(A, n) ... call @part1(B, m) ... }
//
// The time that LLVM's register allocator takes grows faster than a function: a recurrence whose step is thirty nests
// takes twice as long in one piece. A nest computes for longer than a call takes, and nothing that it needs in
// registers is alive before it.
//
// Pinned by test/codegen/cpu/split.mlir.
//===----------------------------------------------------------------------===//
#include "codegen/cpu/Outline.h"
#include "codegen/cpu/Passes.h"
#include "runtime/Tally.h"

namespace attnc::cpu {
#define GEN_PASS_DEF_CPUSPLITFUNCTIONS
#include "codegen/cpu/Passes.h.inc"
} // namespace attnc::cpu

using namespace mlir;
using namespace attnc::cpu;

namespace {

/// Operations: of functions that are split; of the parts.
constexpr unsigned kLarge = 800, kLeast = 80, kMost = 400;

class Splitter {
public:
  void run(ModuleOp module) {
    SmallVector<LLVM::LLVMFuncOp> large;
    for (auto function : module.getOps<LLVM::LLVMFuncOp>()) {
      Sketch all = sketch(function, [&](Operation *op, const Sketch &s) { sizes[op] = s; });
      if (all.operations > kLarge)
        large.push_back(function);
    }
    for (LLVM::LLVMFuncOp function : large)
      split(function);
  }

private:
  /// The outermost parts that are not too large; what carries values on is looked into only.
  void split(Operation *op) {
    for (Region &region : op->getRegions())
      for (Block &block : region)
        for (Operation &inner : llvm::make_early_inc_range(block)) {
          auto it = sizes.find(&inner);
          if (it == sizes.end() || it->second.operations > kMost) {
            split(&inner);
          } else if (it->second.operations >= kLeast && it->second.loops) {
            TALLY("cpu: a part of a large function");
            outliner.outline(&inner);
          }
        }
  }

  DenseMap<Operation *, Sketch> sizes;
  Outliner outliner{"part"};
};

struct CpuSplitFunctions : attnc::cpu::impl::CpuSplitFunctionsBase<CpuSplitFunctions> {
  using Base::Base;
  void runOnOperation() override { Splitter().run(getOperation()); }
};

} // namespace
