//===- Words of the attn dialect ------------------------------------------===//
#ifndef ATTNC_ATTN_ENUMS
#define ATTNC_ATTN_ENUMS

include "mlir/IR/EnumAttr.td"

class AttnEnum<string name, string summary, list<I32EnumAttrCase> cases> : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::attnc::attn";
}

// Up to ToI1 in the order of Fn in frontend/Program.h, with one Cast per dtype and one conversion per element type. The
// slope of gelu brings erfc.
def MapFn : AttnEnum<"MapFn", "elementwise function", [
  I32EnumAttrCase<"Neg", 0, "neg">, I32EnumAttrCase<"Not", 1, "not">, I32EnumAttrCase<"Add", 2, "add">,
  I32EnumAttrCase<"Sub", 3, "sub">, I32EnumAttrCase<"Mul", 4, "mul">, I32EnumAttrCase<"Div", 5, "div">,
  I32EnumAttrCase<"IDiv", 6, "idiv">, I32EnumAttrCase<"Mod", 7, "mod">, I32EnumAttrCase<"Pow", 8, "pow">,
  I32EnumAttrCase<"IPow", 9, "ipow">, I32EnumAttrCase<"And", 10, "and">, I32EnumAttrCase<"Or", 11, "or">,
  I32EnumAttrCase<"Lt", 12, "lt">, I32EnumAttrCase<"Le", 13, "le">, I32EnumAttrCase<"Gt", 14, "gt">,
  I32EnumAttrCase<"Ge", 15, "ge">, I32EnumAttrCase<"Eq", 16, "eq">, I32EnumAttrCase<"Ne", 17, "ne">,
  I32EnumAttrCase<"Select", 18, "select">,
  I32EnumAttrCase<"Exp", 19, "exp">, I32EnumAttrCase<"Exp2", 20, "exp2">, I32EnumAttrCase<"Expm1", 21, "expm1">,
  I32EnumAttrCase<"Log", 22, "log">, I32EnumAttrCase<"Log1p", 23, "log1p">,
  I32EnumAttrCase<"LogAddExp", 24, "logaddexp">, I32EnumAttrCase<"Sqrt", 25, "sqrt">,
  I32EnumAttrCase<"Rsqrt", 26, "rsqrt">, I32EnumAttrCase<"Abs", 27, "abs">, I32EnumAttrCase<"Sign", 28, "sign">,
  I32EnumAttrCase<"Floor", 29, "floor">, I32EnumAttrCase<"Ceil", 30, "ceil">, I32EnumAttrCase<"Round", 31, "round">,
  I32EnumAttrCase<"Min", 32, "min">, I32EnumAttrCase<"Max", 33, "max">, I32EnumAttrCase<"Clamp", 34, "clamp">,
  I32EnumAttrCase<"Sin", 35, "sin">, I32EnumAttrCase<"Cos", 36, "cos">, I32EnumAttrCase<"Tanh", 37, "tanh">,
  I32EnumAttrCase<"Sigmoid", 38, "sigmoid">, I32EnumAttrCase<"LogSigmoid", 39, "logsigmoid">,
  I32EnumAttrCase<"Softplus", 40, "softplus">, I32EnumAttrCase<"Relu", 41, "relu">,
  I32EnumAttrCase<"Silu", 42, "silu">, I32EnumAttrCase<"Gelu", 43, "gelu">,
  I32EnumAttrCase<"GeluTanh", 44, "gelu_tanh">, I32EnumAttrCase<"Erf", 45, "erf">,
  I32EnumAttrCase<"IsFinite", 46, "isfinite">, I32EnumAttrCase<"Ilog2", 47, "ilog2">,
  I32EnumAttrCase<"BitAnd", 48, "bitand">, I32EnumAttrCase<"BitOr", 49, "bitor">,
  I32EnumAttrCase<"BitXor", 50, "bitxor">, I32EnumAttrCase<"Shl", 51, "shl">, I32EnumAttrCase<"Shr", 52, "shr">,
  I32EnumAttrCase<"CastF32", 53, "cast_f32">, I32EnumAttrCase<"CastF16", 54, "cast_f16">,
  I32EnumAttrCase<"CastBF16", 55, "cast_bf16">, I32EnumAttrCase<"CastF64", 56, "cast_f64">,
  I32EnumAttrCase<"CastI32", 57, "cast_i32">, I32EnumAttrCase<"CastI64", 58, "cast_i64">,
  I32EnumAttrCase<"CastBool", 59, "cast_bool">,
  I32EnumAttrCase<"ToF32", 60, "to_f32">, I32EnumAttrCase<"ToF64", 61, "to_f64">,
  I32EnumAttrCase<"ToI64", 62, "to_i64">, I32EnumAttrCase<"ToI1", 63, "to_i1">, I32EnumAttrCase<"Erfc", 64, "erfc">
]>;

def Reduction : AttnEnum<"Reduction", "reduction, as RedOp in frontend/Program.h", [
  I32EnumAttrCase<"Sum", 0, "sum">, I32EnumAttrCase<"Mean", 1, "mean">, I32EnumAttrCase<"Prod", 2, "prod">,
  I32EnumAttrCase<"Max", 3, "max">, I32EnumAttrCase<"Min", 4, "min">, I32EnumAttrCase<"Any", 5, "any">,
  I32EnumAttrCase<"All", 6, "all">, I32EnumAttrCase<"Count", 7, "count">,
  I32EnumAttrCase<"LogSumExp", 8, "logsumexp">, I32EnumAttrCase<"Norm", 9, "norm">
]>;

def Extreme : AttnEnum<"Extreme", "which end", [
  I32EnumAttrCase<"Max", 0, "max">, I32EnumAttrCase<"Min", 1, "min">
]>;

def Storage : AttnEnum<"Storage", "dtype of an argument, numbered as DType in runtime/DType.h", [
  I32EnumAttrCase<"F32", 0, "f32">, I32EnumAttrCase<"F16", 1, "f16">, I32EnumAttrCase<"BF16", 2, "bf16">,
  I32EnumAttrCase<"F64", 3, "f64">, I32EnumAttrCase<"I32", 4, "i32">, I32EnumAttrCase<"I64", 5, "i64">,
  I32EnumAttrCase<"Bool", 6, "bool">
]>;

#endif
