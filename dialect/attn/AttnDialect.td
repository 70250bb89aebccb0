//===- The attn dialect: what is computed, over named axes ----------------===//
#ifndef ATTNC_ATTN_DIALECT
#define ATTNC_ATTN_DIALECT

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"

def AttnDialect : Dialect {
  let name = "attn";
  let cppNamespace = "::attnc::attn";
  let summary = "sequence mixers as equations over named axes";
  let description = [{
    A mixer is one graph region of total values: every value exists at every combination of positions of its axes.
    Nothing here says how, where or in which order something is computed.
  }];
  let useDefaultTypePrinterParser = 1;
}

def AttnTensor : TypeDef<AttnDialect, "Tensor"> {
  let mnemonic = "t";
  let summary = "a value at every combination of positions of its axes";
  let description = [{
    `!attn.t<[b, i, "c'"] f32>`. Axes are sorted by name; the element is the type it is computed in: f32 f64 i64 i1.
  }];
  let parameters = (ins ArrayRefParameter<"::mlir::StringAttr">:$axes, "::mlir::Type":$elem);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let builders = [
    // Any order, repetitions allowed.
    TypeBuilderWithInferredContext<(ins "::llvm::ArrayRef<::mlir::StringAttr>":$axes, "::mlir::Type":$elem)>
  ];
  let skipDefaultBuilders = 1;
  let extraClassDeclaration = [{
    bool hasAxis(::mlir::StringAttr axis) const { return ::llvm::is_contained(getAxes(), axis); }
    TensorType withElem(::mlir::Type elem) const { return get(getAxes(), elem); }
    bool isFloat() const { return ::llvm::isa<::mlir::FloatType>(getElem()); }
    bool isBool() const { return getElem().isInteger(1); }
    bool isInt() const { return getElem().isInteger(64); }
  }];
}

#endif
