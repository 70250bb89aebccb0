//===- Passes: what each takes, makes and assumes -------------------------===//
#ifndef ATTNC_PASSES
#define ATTNC_PASSES

include "mlir/Pass/PassBase.td"

def DeriveGrad : Pass<"attn-derive-grad", "::attnc::attn::MixerOp"> {
  let summary = "replace attn.grad by the derivative's own ops; drop attn.detach";
  let description = [{
    Reverse mode, innermost grad first. Every value between the variable and the loss gets an adjoint, made of ordinary ops:
    a reduction gives a broadcast, a broadcast a reduction, a read the sum of what was read there (an inverse read where the index
    is a shift or another axis), a recurrence a recurrence the other way round.
    Inside a cycle, reads along its loops are constants. Afterwards there is no attn.grad and no attn.detach.
  }];
  let dependentDialects = ["::attnc::attn::AttnDialect"];
}

def Decompose : Pass<"attn-decompose", "::attnc::attn::MixerOp"> {
  let summary = "write composite ops as primitive ones, in numerically stable forms";
  let description = [{
    Removes softmax, cum, the reductions mean, count, logsumexp, norm, and composite maps. What is left:
    reduce sum prod max min any all; argreduce, topk, argsort, rank; read, index, extent, const, equation; and the maps
      real      neg add sub mul div pow exp exp2 expm1 log log1p sqrt rsqrt abs sign floor ceil round sin cos tanh erf
                min max clamp (NaN spreads), isfinite
      integer   neg add sub mul idiv mod (floor; 0 for a divisor 0) ipow abs sign min max clamp
                ilog2 bitand bitor bitxor shl shr (0 for a shift outside 0 .. 63)
      logic     and or not, lt le gt ge eq ne, select
      dtypes    cast_f32 cast_f16 cast_bf16 cast_f64 cast_i32 cast_i64 cast_bool, to_f32 to_f64 to_i64 to_i1
    min and max have two operands.
  }];
  let dependentDialects = ["::attnc::attn::AttnDialect"];
}

def Simplify : Pass<"attn-simplify", "::attnc::attn::MixerOp"> {
  let summary = "fold constants, reads and guards; share equal ops; erase dead ones";
  let description = [{
    Folds that keep the type of a value: constants, neutral operands, a read of an axis by itself, guards that always hold.
    Marks read indices that are proven inside. Equal ops become one; what no output needs goes (inputs stay).
  }];
  let dependentDialects = ["::attnc::attn::AttnDialect"];
}

def OnePoint : Pass<"attn-one-point", "::attnc::attn::MixerOp"> {
  let summary = "a reduction that meets one position of an axis reads that position";
  let description = [{
    `reduce [c, ..]` under a condition `c == x`, x an axis of the same extent, is taken at c := x.
  }];
  let dependentDialects = ["::attnc::attn::AttnDialect"];
}

def Exponent : Pass<"attn-exponent", "::attnc::attn::MixerOp"> {
  let summary = "write exp of what lies below its own maximum in one form";
  let description = [{
    `exp((x - max [j] x) * c)` becomes `exp(x * c - max [j] (x * c))` for a number c above 0, `exp(min [j] x - x)` becomes
    `exp(-x - max [j] (-x))`.
  }];
  let dependentDialects = ["::attnc::attn::AttnDialect"];
}

def LateScale : Pass<"attn-late-scale", "::attnc::attn::MixerOp"> {
  let summary = "multiply after a sum what the sum does not run over: a softmax is normalised late";
  let description = [{
    `sum [j] (select(g, p * r, 0) * v)` becomes `sum [j] (select(g, p, 0) * v) * r`, where r is 1 over the sum of a softmax
    and nothing else reads the normalised weights.
  }];
  let dependentDialects = ["::attnc::attn::AttnDialect"];
}

def Factor : Pass<"attn-factor", "::attnc::attn::MixerOp"> {
  let summary = "sum an axis among the factors that have it, before the others are multiplied in";
  let description = [{
    A sum over several axes of a product of three or more factors becomes a sum of sums where that saves an axis; a sum of
    matrix products becomes a sum for each of them. Factors made of numbers and extents are multiplied after the sum.
  }];
  let dependentDialects = ["::attnc::attn::AttnDialect"];
}

def SumBeforeRead : Pass<"attn-sum-before-read", "::attnc::attn::MixerOp"> {
  let summary = "sum over what is read at a distance for every row, then read the sums";
  let description = [{
    `sum [d] (x[i, d] * read y[d, r] at r = i - j + c)` becomes `read (sum [d] (x[i, d] * y[d, r])) at r = i - j + c`: a matrix
    product and a shift.
  }];
  let dependentDialects = ["::attnc::attn::AttnDialect"];
}

def AttnToTile : Pass<"attn-to-tile", "::mlir::ModuleOp"> {
  let summary = "choose what is stored, group equations into kernels, write loops and nests";
  let description = [{ Takes primitive attn ops; every mixer becomes a tile.program. }];
  let dependentDialects = ["::attnc::tile::TileDialect", "::mlir::arith::ArithDialect", "::mlir::math::MathDialect"];
}

#endif

def Stream : Pass<"tile-stream", "::attnc::tile::ProgramOp"> {
  let summary = "fuse the nests of a kernel over an axis, block by block: softmax with a running maximum";
  let description = [{
    Where a kernel keeps a value for every position of an axis and sums over it, the nests run block by block in one loop, and
    the memory is that of a block. A maximum that is taken off the argument of exp may be that of the blocks so far: the sums
    are corrected when it rises.
  }];
  let dependentDialects = ["::attnc::tile::TileDialect", "::mlir::arith::ArithDialect", "::mlir::math::MathDialect"];
}

def MaskBlocks : Pass<"tile-mask-blocks", "::attnc::tile::ProgramOp"> {
  let summary = "blocks of a streamed loop that its mask empties are not visited, those that it leaves whole have none";
  let description = [{
    From the ends of a block of rows and of positions it is seen whether a condition holds nowhere or everywhere in it. Where
    the form of the condition allows, that is a few ranges per block of rows; else blocks are looked at one by one, with
    tables of the least and the greatest of what the condition reads along the axis.
  }];
  let dependentDialects = ["::attnc::tile::TileDialect", "::mlir::arith::ArithDialect", "::mlir::math::MathDialect"];
}

def GroupRows : Pass<"tile-group-rows", "::attnc::tile::ProgramOp"> {
  let summary = "where a call has few rows, one instance works on several positions of the grid that read the same";
  let description = [{
    A decode step has one row for each head of a group, and all heads of a group read the same keys. With four rows and fewer an
    instance takes four heads, so that what its sums read is read once for all of them.
  }];
  let dependentDialects = ["::attnc::tile::TileDialect", "::mlir::arith::ArithDialect"];
}
