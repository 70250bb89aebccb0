//===- Passes: what each takes, makes and assumes -------------------------===//
#ifndef ATTNC_PASSES
#define ATTNC_PASSES

include "mlir/Pass/PassBase.td"

def DeriveGrad : Pass<"attn-derive-grad", "::attnc::attn::MixerOp"> {
  let summary = "replace attn.grad by the derivative's own ops; drop attn.detach";
  let dependentDialects = ["::attnc::attn::AttnDialect"];
}

def Decompose : Pass<"attn-decompose", "::attnc::attn::MixerOp"> {
  let summary = "write composite ops as primitive ones, in numerically stable forms";
  let dependentDialects = ["::attnc::attn::AttnDialect"];
}

def Simplify : Pass<"attn-simplify", "::attnc::attn::MixerOp"> {
  let summary = "fold constants, reads and guards; share equal ops; erase dead ones";
  let dependentDialects = ["::attnc::attn::AttnDialect"];
}

def AttnToTile : Pass<"attn-to-tile", "::mlir::ModuleOp"> {
  let summary = "choose what is stored, group equations into kernels, write loops and nests";
  let description = [{ Takes primitive attn ops; every mixer becomes a tile.program. }];
  let dependentDialects = ["::attnc::tile::TileDialect", "::mlir::arith::ArithDialect", "::mlir::math::MathDialect"];
}

#endif
