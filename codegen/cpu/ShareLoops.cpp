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
#include "codegen/cpu/Outline.h"
#include "codegen/cpu/Passes.h"
#include "runtime/Tally.h"
#include "llvm/ADT/MapVector.h"

namespace attnc::cpu {
#define GEN_PASS_DEF_CPUSHARELOOPS
#include "codegen/cpu/Passes.h.inc"
} // namespace attnc::cpu

using namespace mlir;
using namespace attnc::cpu;

namespace {

/// Operations from which on a part is worth a function.
constexpr unsigned kLeast = 40;

class Sharer {
public:
  explicit Sharer(ModuleOp module) : module(module) {}

  void run() {
    llvm::MapVector<size_t, SmallVector<std::pair<Operation *, unsigned>>> alike;
    sketch(module, [&](Operation *op, const Sketch &s) {
      if (s.operations >= kLeast && s.loops > 1)
        alike[s.hash].push_back({op, s.operations});
    });
    for (auto &[hash, places] : alike)
      if (places.size() > 1)
        for (auto [op, operations] : places) {
          size_t id = ids.try_emplace(Shape(op).words, parts.size()).first->second;
          if (id == parts.size())
            parts.push_back({operations, {}});
          parts[id].places.push_back(op);
          standing.insert(op);
        }
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
    LLVM::LLVMFuncOp function = outliner.outline(places[0]);
    for (Operation *op : places.drop_front()) {
      op->walk([&](Operation *inner) { standing.erase(inner); });
      Outliner::call(op, function, Shape(op));
    }
  }

  ModuleOp module;
  std::map<std::vector<uint64_t>, size_t> ids; ///< of parts; words have addresses in them, whose order means nothing
  std::vector<Part> parts;
  DenseSet<Operation *> standing; ///< not yet replaced by a call
  Outliner outliner{"loops"};
};

struct CpuShareLoops : attnc::cpu::impl::CpuShareLoopsBase<CpuShareLoops> {
  using Base::Base;
  void runOnOperation() override { Sharer(getOperation()).run(); }
};

} // namespace
