//===- The tile dialect: how a program runs ------------------------------------------------------------------------===//
//
// Kernels over a grid, sequential loops, and loop nests whose bodies compute scalars with arith and math ops. Every loop and
// every buffer is visible; no axis name, equation or presence rule is left, and nothing says lanes, registers or threads.
//
// Scalars are f32, f64, i64 and i1. Between the tile ops, arith ops on i64 compute bounds and positions.
//===---------------------------------------------------------------------------------------------------------------===//
#ifndef ATTNC_TILE_OPS
#define ATTNC_TILE_OPS

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def TileDialect : Dialect {
  let name = "tile";
  let cppNamespace = "::attnc::tile";
  let summary = "kernels over a grid, loops, loop nests with scalar bodies, buffers";
  let useDefaultTypePrinterParser = 1;
}

//===- Types and enums ---------------------------------------------------------------------------------------------===//

def BufType : TypeDef<TileDialect, "Buf"> {
  let mnemonic = "buf";
  let summary = "memory with a storage type and a rank; extents and strides belong to its arg or alloc";
  let description = [{
    Storage types are f32 f16 bf16 f64 i32 i64 and i1 (one byte, 0 or 1). Loads give the compute type: f16 and bf16 become f32, i32
    becomes i64.
  }];
  let parameters = (ins "::mlir::Type":$elementType, "unsigned":$rank);
  let assemblyFormat = "`<` $elementType `,` $rank `>`";
  let genVerifyDecl = 1;
  let builders = [TypeBuilderWithInferredContext<(ins "::mlir::Type":$elementType, "unsigned":$rank), [{
    return $_get(elementType.getContext(), elementType, rank);
  }]>];
  let extraClassDeclaration = [{
    /// The scalar type that loads give and stores take.
    ::mlir::Type getComputeType();
  }];
}

def ArgKind : I32EnumAttr<"ArgKind", "direction of a program argument", [
    I32EnumAttrCase<"Input", 0, "input">, I32EnumAttrCase<"Output", 1, "output">]> {
  let cppNamespace = "::attnc::tile";
}

def Combiner : I32EnumAttr<"Combiner", "how a reduction joins values", [
    I32EnumAttrCase<"Sum", 0, "sum">, I32EnumAttrCase<"Prod", 1, "prod">, I32EnumAttrCase<"Max", 2, "max">,
    I32EnumAttrCase<"Min", 3, "min">, I32EnumAttrCase<"Any", 4, "any">, I32EnumAttrCase<"All", 5, "all">,
    I32EnumAttrCase<"ArgMax", 6, "argmax">, I32EnumAttrCase<"ArgMin", 7, "argmin">]> {
  let cppNamespace = "::attnc::tile";
}
def CombinerArray : TypedArrayAttrBase<Combiner, "combiners">;

def NanOrder : I32EnumAttr<"NanOrder", "place of NaN in a sort", [
    I32EnumAttrCase<"Last", 0, "last">, I32EnumAttrCase<"Never", 1, "never">]> {
  let cppNamespace = "::attnc::tile";
}

def Scalar : AnyTypeOf<[F32, F64, I64, I1], "scalar f32, f64, i64 or i1">;

class Named<string method> : DeclareOpInterfaceMethods<OpAsmOpInterface, [method]>;
def NamesResults : Named<"getAsmResultNames">;
def NamesArguments : Named<"getAsmBlockArgumentNames">;

/// The value stored has the compute type of the buffer.
def HoldsValue : TypesMatchWith<"value has the compute type of the buffer", "buffer", "value",
                                "::llvm::cast<::attnc::tile::BufType>($_self).getComputeType()">;

class TileOp<string mnemonic, list<Trait> traits = []> : Op<TileDialect, mnemonic, traits>;

//===- Structure ---------------------------------------------------------------------------------------------------===//

def ProgramOp : TileOp<"program", [NamesArguments, IsolatedFromAbove, NoTerminator, SingleBlock, Symbol]> {
  let summary = "everything one call does";
  let description = [{
    Block arguments are the symbols that the program was not specialised for, all i64, at least 0. Holds args, shared allocs, i64
    arithmetic, kernels, and loops around kernels; they run in order.
    ```mlir
    tile.program @causal symbols ["b", "N"] {
    ^bb0(%b: i64, %N: i64):
      ...
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, StrArrayAttr:$symbols);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name `symbols` $symbols $body attr-dict";
  let hasVerifier = 1;
  let skipDefaultBuilders = 1;
  let builders = [OpBuilder<(ins "::llvm::StringRef":$name, "::llvm::ArrayRef<::llvm::StringRef>":$symbols)>];
  let extraClassDeclaration = [{
    ::mlir::Block *getBlock() { return &getBody().front(); }
  }];
}

def ArgOp : TileOp<"arg", [NamesResults, HasParent<"ProgramOp">]> {
  let summary = "a tensor of the caller, with the caller's strides";
  let description = [{
    Inputs are numbered 0 .. n-1, then outputs 0 .. m-1, each without gaps: an input that is passed but not used is declared too. A left-out
    input has no number. Inputs and outputs do not overlap.
  }];
  let arguments = (ins ArgKind:$kind, I64Attr:$index, StrAttr:$name);
  let results = (outs BufType:$result);
  let assemblyFormat = "$kind $index $name attr-dict `:` type($result)";
}

def AllocOp : TileOp<"alloc", [NamesResults, MemoryEffects<[MemAlloc]>, ParentOneOf<["ProgramOp", "KernelOp"]>]> {
  let summary = "row-major memory; in a program shared by later kernels, in a kernel private to the instance";
  let description = [{
    Each extent below 1 is taken as 1. The contents are arbitrary at first. Extents of an alloc in a kernel may not depend on the grid
    position: the caller sizes scratch memory once per kernel.
  }];
  let arguments = (ins Variadic<I64>:$extents);
  let results = (outs BufType:$result);
  let assemblyFormat = "` ` `[` $extents `]` attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def KernelOp : TileOp<"kernel", [NamesArguments, NoTerminator, SingleBlock, RecursiveMemoryEffects, ParentOneOf<["ProgramOp", "ForOp"]>]> {
  let summary = "independent instances over a grid of 0 .. extent-1 in each dim, any order, in parallel";
  let description = [{
    ```mlir
    tile.kernel grid [%g0 = %b, %g1 = %n] { ... }
    ```
  }];
  let arguments = (ins Variadic<I64>:$extents);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let skipDefaultBuilders = 1;
  let builders = [OpBuilder<(ins "::mlir::ValueRange":$extents,
      CArg<"::llvm::function_ref<void(::mlir::OpBuilder &, ::mlir::Location, ::mlir::ValueRange)>", "nullptr">:$body)>];
}

def ForOp : TileOp<"for", [NamesArguments, NoTerminator, SingleBlock, RecursiveMemoryEffects, ParentOneOf<["ProgramOp", "KernelOp", "ForOp"]>]> {
  let summary = "a loop in order";
  let description = [{
    lo, lo + step, ... while below hi; with a negative step while above hi. step is never 0.
    ```mlir
    tile.for %t = %lo to %hi step %c1 { ... }
    ```
  }];
  let arguments = (ins I64:$lo, I64:$hi, I64:$step);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let skipDefaultBuilders = 1;
  let builders = [OpBuilder<(ins "::mlir::Value":$lo, "::mlir::Value":$hi, "::mlir::Value":$step,
      CArg<"::llvm::function_ref<void(::mlir::OpBuilder &, ::mlir::Location, ::mlir::Value)>", "nullptr">:$body)>];
  let extraClassDeclaration = [{
    ::mlir::Value getIv() { return getBody().front().getArgument(0); }
  }];
}

def NestOp : TileOp<"nest", [NamesArguments, AttrSizedOperandSegments, SingleBlockImplicitTerminator<"YieldOp">, RecursiveMemoryEffects,
                             ParentOneOf<["KernelOp", "ForOp"]>]> {
  let summary = "a rectangular loop nest with a scalar body";
  let description = [{
    `par` points are independent. Then one of
    * nothing: the body stores, each point its own elements;
    * `red` dims: the body yields scalars, each reduced over all red points by its combiner, in any order, from the
      combiner's identity; `finish` runs once per par point, gets the par positions and the results, and stores;
    * `seq` dims: run in order, last fastest, for each par point; the body stores or updates.

    argmax and argmin take three yielded values (key, position: i64, valid: i1) and give one i64: the position of the best
    valid key that is not a NaN, else of a valid NaN, else 0; the smallest position among equals. A nest over no par point does nothing.
    ```mlir
    tile.nest par [%i = %c0 to %n] red [%d = %c0 to %c64] {
      ...
      tile.yield %x : f32
    } combine [sum] finish(%i: i64, %acc: f32) {
      tile.store %acc, %s[%i] : !tile.buf<f32, 1>
    }
    ```
  }];
  let arguments = (ins Variadic<I64>:$parLo, Variadic<I64>:$parHi, Variadic<I64>:$innerLo, Variadic<I64>:$innerHi,
                       UnitAttr:$sequential, DefaultValuedAttr<CombinerArray, "{}">:$combiners);
  let regions = (region SizedRegion<1>:$body, AnyRegion:$finish);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let skipDefaultBuilders = 1;
  let builders = [
    /// Elementwise: the callback gets the par positions and stores.
    OpBuilder<(ins "::llvm::ArrayRef<::attnc::tile::Range>":$par, "::attnc::tile::PointBuilder":$body)>,
    /// Reduction: body gets par and red positions and returns what it yields; finish gets par positions and results.
    OpBuilder<(ins "::llvm::ArrayRef<::attnc::tile::Range>":$par, "::llvm::ArrayRef<::attnc::tile::Range>":$red,
                   "::attnc::tile::YieldBuilder":$body, "::llvm::ArrayRef<::attnc::tile::Combiner>":$combiners,
                   "::attnc::tile::PairBuilder":$finish)>,
    /// In order over the seq dims: body gets par and seq positions and stores or updates.
    OpBuilder<(ins "::llvm::ArrayRef<::attnc::tile::Range>":$par, "::llvm::ArrayRef<::attnc::tile::Range>":$seq,
                   "::attnc::tile::PairBuilder":$body)>];
  let extraClassDeclaration = [{
    unsigned getNumPar() { return getParLo().size(); }
    unsigned getNumInner() { return getInnerLo().size(); }
    bool isReduction() { return getNumInner() && !getSequential(); }
    ::mlir::Block::BlockArgListType getParArgs() { return getBody().getArguments().take_front(getNumPar()); }
    ::mlir::Block::BlockArgListType getInnerArgs() { return getBody().getArguments().drop_front(getNumPar()); }
    ::llvm::SmallVector<::attnc::tile::Combiner> getCombinerKinds();
  }];
}

def YieldOp : TileOp<"yield", [Pure, ReturnLike, Terminator, HasParent<"NestOp">]> {
  let summary = "values of one red point; nothing elsewhere";
  let arguments = (ins Variadic<Scalar>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
  let builders = [OpBuilder<(ins), [{ build($_builder, $_state, ::mlir::ValueRange()); }]>];
}

//===- Memory ------------------------------------------------------------------------------------------------------===//

def LoadOp : TileOp<"load", [DeclareOpInterfaceMethods<InferTypeOpInterface>, MemoryEffects<[MemRead]>]> {
  let summary = "one element, in the compute type; in a nest, or in a kernel for a bound or position";
  let arguments = (ins BufType:$buffer, Variadic<I64>:$indices);
  let results = (outs Scalar:$result);
  let assemblyFormat = "$buffer `[` $indices `]` attr-dict `:` type($buffer)";
  let hasVerifier = 1;
}

def StoreOp : TileOp<"store", [HoldsValue, MemoryEffects<[MemWrite]>, HasParent<"NestOp">]> {
  let summary = "one element; rounds to the storage type (floats to nearest even; i64 to i32 by dropping bits)";
  let arguments = (ins Scalar:$value, BufType:$buffer, Variadic<I64>:$indices);
  let assemblyFormat = "$value `,` $buffer `[` $indices `]` attr-dict `:` type($buffer)";
  let hasVerifier = 1;
}

def UpdateOp : TileOp<"update", [AttrSizedOperandSegments, HoldsValue, MemoryEffects<[MemRead, MemWrite]>, HasParent<"NestOp">]> {
  let summary = "buffer element = element OP value, where the condition holds; only under seq dims";
  let arguments = (ins Combiner:$combiner, Scalar:$value, BufType:$buffer, Variadic<I64>:$indices, Optional<I1>:$condition);
  let assemblyFormat = "$combiner $value `,` $buffer `[` $indices `]` (`if` $condition^)? attr-dict `:` type($buffer)";
  let hasVerifier = 1;
}

def SortOp : TileOp<"sort", [AttrSizedOperandSegments, MemoryEffects<[MemRead, MemWrite]>, ParentOneOf<["KernelOp", "ForOp"]>]> {
  let summary = "order of one row";
  let description = [{
    The row runs along the last dim of each buffer from the index given. Writes positions 0 .. length-1 of the valid keys (all, without
    a valid buffer) in order, stable, to out; 0 past the valid ones.
    ```mlir
    tile.sort %keys[%i, %c0], %valid[%i, %c0] length %n -> %out[%i, %c0] count %k {descending, nan = never}
        : !tile.buf<f32, 2>, !tile.buf<i1, 2> -> !tile.buf<i64, 2>
    ```
  }];
  let arguments = (ins BufType:$keys, Variadic<I64>:$keyIndices, Optional<BufType>:$valid, Variadic<I64>:$validIndices,
                       I64:$length, BufType:$out, Variadic<I64>:$outIndices, I64:$count, UnitAttr:$descending, NanOrder:$nan);
  let assemblyFormat = [{
    $keys `[` $keyIndices `]` (`,` $valid^ `[` $validIndices `]`)? `length` $length `->` $out `[` $outIndices `]`
    `count` $count ` ` `{` `` (`descending` $descending^ `,`)? `nan` `=` $nan `}` attr-dict
    `:` type($keys) (`,` type($valid)^)? `->` type($out)
  }];
  let hasVerifier = 1;
}

#endif
