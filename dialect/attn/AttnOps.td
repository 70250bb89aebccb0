//===- Operations of the attn dialect -------------------------------------===//
//
// Text: types are written short, `[b, i] f32` for `!attn.t<[b, i] f32>` (both are read), operands first, result after `->`.
// Result types follow from operands and attributes; builders infer them, verifiers compare.
//===----------------------------------------------------------------------===//
#ifndef ATTNC_ATTN_OPS
#define ATTNC_ATTN_OPS

include "dialect/attn/AttnDialect.td"
include "dialect/attn/AttnEnums.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def AxesAttr : TypedArrayAttrBase<StrAttr, "axis names">;
def AxisGroupsAttr : TypedArrayAttrBase<AxesAttr, "lists of axis names">;

class AttnOp<string mnemonic, list<Trait> traits = []>
    : Op<AttnDialect, mnemonic, !listconcat(traits, [HasParent<"::attnc::attn::MixerOp">])>;
/// A value without side effects whose type follows from what it is made of.
class AttnValueOp<string mnemonic, list<Trait> traits = []>
    : AttnOp<mnemonic, !listconcat(traits, [Pure, InferTypeOpAdaptor])>;

def MixerOp : Op<AttnDialect, "mixer", [
    IsolatedFromAbove, NoTerminator, SingleBlock, Symbol, NoRegionArguments,
    DeclareOpInterfaceMethods<RegionKindInterface>]> {
  let summary = "one mixer: a graph of values";
  let description = [{
    Order of the ops is free, except that inputs and outputs stand in the order of the caller's arguments; cycles go through
    `attn.equation`. `symbols` names the unknown extents; `axes` gives the extent of every axis in the words of extentText().
    A symbol that is specialised does not occur in any extent.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, StrArrayAttr:$symbols, DictionaryAttr:$axes);
  let regions = (region SizedRegion<1>:$bodyRegion);
  let assemblyFormat = "$sym_name attr-dict-with-keyword $bodyRegion";
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    /// Declares an axis; `hint` gets a suffix when it is taken. Returns the name.
    ::mlir::StringAttr addAxis(::llvm::StringRef hint, ::llvm::StringRef extent);
  }];
}

def InputOp : AttnOp<"input"> {
  let summary = "argument of the caller";
  let description = [{
    `attn.input "q" dims [[b], [n, u : "N"]] storage bf16 -> [b, n, u] f32`. A dim with several axes is flat in the caller, last
    fastest. A length after the axes says how many positions exist where that is not the product of the extents; past
    it the value is arbitrary, but reading is safe. Never erased: the n-th input op is the caller's n-th input.
  }];
  let arguments = (ins StrAttr:$arg, AxisGroupsAttr:$dims, StrArrayAttr:$lengths, Storage:$storage);
  let results = (outs AttnTensor:$result);
  let assemblyFormat = "$arg `dims` custom<Dims>($dims, $lengths) `storage` $storage attr-dict `->` custom<T>(type($result))";
  let hasVerifier = 1;
  let builders = [OpBuilder<(ins "::llvm::StringRef":$arg, "::mlir::ArrayAttr":$dims, "::mlir::ArrayAttr":$lengths,
                                 "Storage":$storage)>];
  let extraClassDeclaration = [{
    /// Position among the caller's inputs.
    unsigned argumentNumber();
  }];
}

def OutputOp : AttnOp<"output"> {
  let summary = "result for the caller";
  let description = [{
    `attn.output "o" %x dims [[b], [n, u : "N"]] storage f32 : [b, n, u] f32`. The value may lack axes of dims (it is the
    same along them). Positions past a length are not stored. The n-th output op is the caller's n-th output.
  }];
  let arguments = (ins StrAttr:$arg, AttnTensor:$value, AxisGroupsAttr:$dims, StrArrayAttr:$lengths, Storage:$storage);
  let assemblyFormat =
    "$arg $value `dims` custom<Dims>($dims, $lengths) `storage` $storage attr-dict `:` custom<T>(type($value))";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    unsigned argumentNumber();
  }];
}

def ConstOp : AttnValueOp<"const"> {
  let summary = "scalar constant";
  let arguments = (ins TypedAttrInterface:$value);
  let results = (outs AttnTensor:$result);
  let assemblyFormat = "$value attr-dict";
  let builders = [OpBuilder<(ins "double":$value, "::mlir::Type":$elem)>, OpBuilder<(ins "int64_t":$value)>,
                  OpBuilder<(ins "bool":$value)>];
}

def IndexOp : AttnValueOp<"index"> {
  let summary = "position along an axis, from 0";
  let arguments = (ins StrAttr:$axis);
  let results = (outs AttnTensor:$result);
  let assemblyFormat = "$axis attr-dict";
}

def ExtentOp : AttnValueOp<"extent"> {
  let summary = "an extent, as text of the words of extentText()";
  let arguments = (ins StrAttr:$text);
  let results = (outs AttnTensor:$result);
  let assemblyFormat = "$text attr-dict";
}

def MapOp : AttnValueOp<"map"> {
  let summary = "elementwise function; operands broadcast by axis name";
  let description = [{
    `attn.map mul(%a, %b) : [i] f32, [j] f32 -> [i, j] f32`. Arithmetic wants operands of one element type; `select` takes
    (i1, x, x); comparisons, `and`, `or`, `not`, `isfinite` give i1; `div` is real, `idiv` and `mod` floor and give 0 for a divisor 0;
    `cast_X` rounds (saturates) to dtype X and gives f32 (f64 for cast_f64, i64, i1); `to_X` changes the element type only.
    `min`, `max` and `logaddexp` take two operands or more (two after attn-decompose), `clamp` (x, low, high).
  }];
  let arguments = (ins MapFn:$fn, Variadic<AttnTensor>:$args);
  let results = (outs AttnTensor:$result);
  let assemblyFormat = "$fn `(` $args `)` attr-dict `:` custom<Ts>(type($args)) `->` custom<T>(type($result))";
  let hasVerifier = 1;
}

def ReadOp : AttnValueOp<"read"> {
  let summary = "a value with axes replaced by positions";
  let description = [{
    `attn.read %x [n = %m, u = %e inside] : [b, n, u] f32, [m] i64, [i] i64 -> [b, i, m] f32`. Every index is clamped to
    0 .. extent-1; `inside` says that it is known to be there already. Axes of the indices take the place of those replaced.
  }];
  let arguments = (ins AttnTensor:$source, Variadic<AttnTensor>:$indices, AxesAttr:$axes,
                       DefaultValuedAttr<DenseBoolArrayAttr, "{}">:$inside);
  let results = (outs AttnTensor:$result);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let builders = [OpBuilder<(ins "::mlir::Value":$source, "::llvm::ArrayRef<::mlir::StringAttr>":$axes,
                                 "::mlir::ValueRange":$indices)>];
  let extraClassDeclaration = [{
    bool isInside(unsigned i) { return i < getInside().size() && getInside()[i]; }
  }];
}

def ReduceOp : AttnValueOp<"reduce"> {
  let summary = "reduction over axes";
  let description = [{
    `attn.reduce sum [j] %x guard %g : [i, j] f32, [i, j] i1 -> [i] f32`. Elements whose guard is false do not take part. An
    operand that lacks a reduced axis is the same along it. `count` gives i64: of a bool the true ones, else those that
    take part. Over nothing: sum 0, prod 1, max -inf (smallest i64), min inf, mean 0, norm 0, logsumexp -inf, any false, all true, count 0.
  }];
  let arguments = (ins Reduction:$red, AxesAttr:$axes, AttnTensor:$source, Optional<AttnTensor>:$guard);
  let results = (outs AttnTensor:$result);
  let assemblyFormat = [{
    $red custom<Axes>($axes) $source (`guard` $guard^)? attr-dict `:`
    custom<GuardedTypes>(type($source), type($guard)) `->` custom<T>(type($result))
  }];
  let hasVerifier = 1;
}

def SoftmaxOp : AttnValueOp<"softmax", [AttrSizedOperandSegments]> {
  let summary = "one softmax over a union of operands, each over its own axes";
  let description = [{
    `%p, %s = attn.softmax (%a [j] guard %g, %b []) : [i, j] f32, [] f32, [i, j] i1 -> [i, j] f32, [i] f32`: one result per
    operand (types: operands, then guards). The rows are the union of all axes that are not reduced; every result has them.
    0 where the guard is false, and everywhere in a row where nothing is present or all present are -inf. NaN spreads.
    `guardOf[k]` is the operand that guard k belongs to.
  }];
  let arguments = (ins Variadic<AttnTensor>:$args, Variadic<AttnTensor>:$guards, AxisGroupsAttr:$groups,
                       DenseI64ArrayAttr:$guardOf);
  let results = (outs Variadic<AttnTensor>:$outs);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let builders = [
    // `guards` parallel to `args`, null where there is none.
    OpBuilder<(ins "::llvm::ArrayRef<::mlir::Value>":$args, "::llvm::ArrayRef<::mlir::Value>":$guards,
                   "::mlir::ArrayAttr":$groups)>];
  let extraClassDeclaration = [{
    /// The guard of operand i, or null.
    ::mlir::Value guard(unsigned i);
    /// Axes that are not reduced, sorted.
    ::llvm::SmallVector<::mlir::StringAttr> rowAxes();
  }];
}

def CumOp : AttnValueOp<"cum"> {
  let summary = "inclusive running reduction along axes taken as one flat axis, last fastest";
  let description = [{
    `attn.cum sum [t] %x guard %g reversed : ...`. Sum, prod or max; elements whose guard is false are passed over. From the end when
    reversed.
  }];
  let arguments = (ins Reduction:$red, AxesAttr:$axes, AttnTensor:$source, Optional<AttnTensor>:$guard, UnitAttr:$reversed);
  let results = (outs AttnTensor:$result);
  let assemblyFormat = [{
    $red custom<Axes>($axes) $source (`guard` $guard^)? (`reversed` $reversed^)? attr-dict `:`
    custom<GuardedTypes>(type($source), type($guard)) `->` custom<T>(type($result))
  }];
  let hasVerifier = 1;
}

def ArgReduceOp : AttnValueOp<"argreduce"> {
  let summary = "flat position of the largest or smallest";
  let description = [{
    First of equals; NaN only when nothing else takes part; some position inside when nothing does.
  }];
  let arguments = (ins Extreme:$which, AxesAttr:$axes, AttnTensor:$source, Optional<AttnTensor>:$guard);
  let results = (outs AttnTensor:$result);
  let assemblyFormat = [{
    $which custom<Axes>($axes) $source (`guard` $guard^)? attr-dict `:`
    custom<GuardedTypes>(type($source), type($guard)) `->` custom<T>(type($result))
  }];
  let hasVerifier = 1;
}

class AttnPositionsOp<string mnemonic> : AttnValueOp<mnemonic> {
  let arguments = (ins AxesAttr:$axes, AxesAttr:$newAxes, AttnTensor:$source, Optional<AttnTensor>:$guard);
  let results = (outs AttnTensor:$result);
  let assemblyFormat = [{
    custom<Axes>($axes) `new` custom<Axes>($newAxes) $source (`guard` $guard^)? attr-dict `:`
    custom<GuardedTypes>(type($source), type($guard)) `->` custom<T>(type($result))
  }];
  let hasVerifier = 1;
}
def TopKOp : AttnPositionsOp<"topk"> {
  let summary = "flat positions of the largest, best first, along new axes";
  let description = [{
    Ties to the smaller position; NaN is never chosen. Some position inside past those that take part.
  }];
}
def ArgSortOp : AttnPositionsOp<"argsort"> {
  let summary = "flat positions in ascending order, along new axes";
  let description = [{
    Stable; NaN after all numbers; some position inside past those that take part.
  }];
}

def RankOp : AttnValueOp<"rank"> {
  let summary = "place of each element in the order best first, from 0";
  let description = [{
    Descending, ties to the smaller position, NaN after all numbers. Arbitrary where the guard is false.
  }];
  let arguments = (ins AxesAttr:$axes, AttnTensor:$source, Optional<AttnTensor>:$guard);
  let results = (outs AttnTensor:$result);
  let assemblyFormat = [{
    custom<Axes>($axes) $source (`guard` $guard^)? attr-dict `:`
    custom<GuardedTypes>(type($source), type($guard)) `->` custom<T>(type($result))
  }];
  let hasVerifier = 1;
}

def EquationOp : AttnValueOp<"equation"> {
  let summary = "a named value";
  let description = [{
    `attn.equation "S" %body cycle 0 loops [n = 1, u = -1] : [b, n, u] f32`. Transparent. Members of one cycle have the same number
    and loops (outermost first; 1 up from 0, -1 down from the end); one that lacks a loop axis is the same along it. Inside the cycle they are read at earlier positions of the
    loops, or at the same position when defined earlier there. Such a read may lead to a value defined later in the text.
  }];
  let arguments = (ins StrAttr:$label, AttnTensor:$body, OptionalAttr<I64Attr>:$cycle,
                       DefaultValuedAttr<StrArrayAttr, "{}">:$loopAxes, DefaultValuedAttr<DenseI64ArrayAttr, "{}">:$loopDirs);
  let results = (outs AttnTensor:$result);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let builders = [OpBuilder<(ins "::llvm::StringRef":$label, "::mlir::Value":$body)>];
}

def GradOp : AttnValueOp<"grad"> {
  let summary = "derivative of the sum of a value with respect to an equation or input";
  let description = [{
    `attn.grad %L wrt %W keep [u] : [u] f32, [a, c] f32 -> [a, c, u] f32`. W is an independent variable; the axes of `keep` are not
    summed: each element along them is derived separately.
  }];
  let arguments = (ins AttnTensor:$loss, AttnTensor:$wrt, AxesAttr:$keep);
  let results = (outs AttnTensor:$result);
  let assemblyFormat = [{
    $loss `wrt` $wrt `keep` custom<Axes>($keep) attr-dict `:` custom<T>(type($loss)) `,` custom<T>(type($wrt)) `->`
    custom<T>(type($result))
  }];
  let hasVerifier = 1;
}

def DetachOp : AttnValueOp<"detach"> {
  let summary = "identity; constant for grad";
  let description = [{
    `attn.detach %x : [a] f32`. With `step` (`attn.detach step %x`), which stands around what a cycle reads of earlier steps, only for
    the gradients that are part of the same cycle.
  }];
  let arguments = (ins AttnTensor:$source, UnitAttr:$step);
  let results = (outs AttnTensor:$result);
  let assemblyFormat = "(`step` $step^)? $source attr-dict `:` custom<T>(type($source))";
}

#endif
