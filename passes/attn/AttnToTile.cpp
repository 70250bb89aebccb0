//===- attn to tile -------------------------------------------------------===//
//
// A mixer of primitive ops becomes a program: a plan says what is stored, which stages share a kernel and in which
// loops they run (AttnToTileStore, -Scatter, -Group, -Schedule); then the plan is written as tile ops (AttnToTileEmit:
// kernels and loops, -Nest and -Select: a stage, -Body: expressions, -Scalar: single functions).
//
//   attn.mixer @scale symbols [N] axes {i = "N"} {
//     %x = attn.input "x" dims [[i]] storage bf16 -> [i] f32
//     %y = attn.map exp(%x) : [i] f32 -> [i] f32
//     attn.output "y" %y dims [[i]] storage f32 : [i] f32
//   }
// becomes
//   tile.program @scale symbols ["N"] {
//   ^bb0(%N: i64):
//     %x = tile.arg input 0 "x" : !tile.buf<bf16, 1>
//     %y = tile.arg output 0 "y" : !tile.buf<f32, 1>
//     tile.kernel grid [%g = (N + 63) div 64] {
//       tile.nest par [%i = 64 * %g to min(64 * %g + 64, N)] {
//         %a = tile.load %x[%i]
//         %b = math.exp %a
//         tile.store %b, %y[%i]
//       }
//     }
//   }
//
// Assumes attn-derive-grad, attn-decompose and attn-simplify. Pinned by test/passes/attn/attn-to-tile*.mlir.
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/BuiltinOps.h"
#include "passes/Passes.h"
#include "passes/attn/AttnToTileEmit.h"

using namespace mlir;

namespace attnc {
#define GEN_PASS_DEF_ATTNTOTILE
#include "passes/Passes.h.inc"

namespace {

struct AttnToTile : impl::AttnToTileBase<AttnToTile> {
  using Base::Base;
  void runOnOperation() override {
    for (auto mixer : llvm::make_early_inc_range(getOperation().getOps<attn::MixerOp>())) {
      totile::Graph graph(mixer);
      totile::Plan plan(graph);
      if (failed(plan.build()))
        return signalPassFailure();
      OpBuilder b(mixer);
      SmallVector<StringRef> symbols(mixer.getSymbols().getAsValueRange<StringAttr>());
      auto program = b.create<tile::ProgramOp>(mixer.getLoc(), mixer.getSymName(), symbols);
      if (failed(totile::Emitter(plan, program).run())) {
        program.erase();
        return signalPassFailure();
      }
      mixer.erase();
    }
  }
};

} // namespace
} // namespace attnc
