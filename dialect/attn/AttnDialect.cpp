//===- attn: dialect, types, axis lists -----------------------------------===//
#include "dialect/attn/Attn.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

#include "dialect/attn/AttnDialect.cpp.inc"
#include "dialect/attn/AttnEnums.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialect/attn/AttnTypes.cpp.inc"

namespace attnc::attn {

void AttnDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialect/attn/AttnTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialect/attn/AttnOps.cpp.inc"
      >();
}

static void sortAxes(Axes &axes) {
  llvm::sort(axes, [](StringAttr a, StringAttr b) { return a.getValue() < b.getValue(); });
  axes.erase(std::unique(axes.begin(), axes.end()), axes.end());
}

TensorType TensorType::get(ArrayRef<StringAttr> axes, Type elem) {
  Axes sorted(axes.begin(), axes.end());
  sortAxes(sorted);
  return Base::get(elem.getContext(), ArrayRef<StringAttr>(sorted), elem);
}

TensorType TensorType::getChecked(function_ref<InFlightDiagnostic()> emitError, ArrayRef<StringAttr> axes, Type elem) {
  Axes sorted(axes.begin(), axes.end());
  sortAxes(sorted);
  return Base::getChecked(emitError, elem.getContext(), ArrayRef<StringAttr>(sorted), elem);
}

LogicalResult TensorType::verify(function_ref<InFlightDiagnostic()> emitError, ArrayRef<StringAttr> axes, Type elem) {
  if (!elem.isF32() && !elem.isF64() && !elem.isInteger(64) && !elem.isInteger(1))
    return emitError() << "element type " << elem << " is not one of f32, f64, i64, i1";
  for (size_t i = 1; i < axes.size(); ++i)
    if (!(axes[i - 1].getValue() < axes[i].getValue()))
      return emitError() << "axes are not sorted: '" << axes[i].getValue() << "' after '" << axes[i - 1].getValue()
                         << "'";
  return success();
}

/// `<[b, "c'"] f32>`
Type TensorType::parse(AsmParser &parser) {
  Axes axes;
  Type elem;
  auto parseName = [&]() -> ParseResult {
    std::string name;
    if (parser.parseKeywordOrString(&name))
      return failure();
    axes.push_back(StringAttr::get(parser.getContext(), name));
    return success();
  };
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() || parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseName) ||
      parser.parseType(elem) || parser.parseGreater())
    return {};
  return Base::getChecked([&] { return parser.emitError(loc); }, parser.getContext(), ArrayRef<StringAttr>(axes), elem);
}

void TensorType::print(AsmPrinter &printer) const {
  printer << "<[";
  llvm::interleaveComma(getAxes(), printer, [&](StringAttr axis) { printer.printKeywordOrString(axis.getValue()); });
  printer << "] " << getElem() << ">";
}

Axes axesFrom(ArrayAttr names) {
  Axes axes;
  for (StringAttr name : names.getAsRange<StringAttr>())
    axes.push_back(name);
  return axes;
}

ArrayAttr axesAttr(MLIRContext *context, ArrayRef<StringAttr> axes) {
  return ArrayAttr::get(context, SmallVector<Attribute>(axes.begin(), axes.end()));
}

Axes axesUnion(ArrayRef<StringAttr> a, ArrayRef<StringAttr> b) {
  Axes result(a.begin(), a.end());
  result.append(b.begin(), b.end());
  sortAxes(result);
  return result;
}

Axes axesMinus(ArrayRef<StringAttr> a, ArrayRef<StringAttr> b) {
  Axes result;
  for (StringAttr axis : a)
    if (!llvm::is_contained(b, axis))
      result.push_back(axis);
  sortAxes(result);
  return result;
}

Type computeType(MLIRContext *context, DType dtype) {
  switch (dtype) {
  case DType::F32:
  case DType::F16:
  case DType::BF16:
    return Float32Type::get(context);
  case DType::F64:
    return Float64Type::get(context);
  case DType::I32:
  case DType::I64:
    return IntegerType::get(context, 64);
  case DType::Bool:
    return IntegerType::get(context, 1);
  }
  return {};
}

std::optional<double> constReal(Value value) {
  if (auto op = value.getDefiningOp<ConstOp>())
    if (auto attr = dyn_cast<FloatAttr>(op.getValue()))
      return attr.getValueAsDouble();
  return {};
}

std::optional<int64_t> constInt(Value value) {
  if (auto op = value.getDefiningOp<ConstOp>())
    if (auto attr = dyn_cast<IntegerAttr>(op.getValue()))
      return attr.getType().isInteger(1) ? attr.getValue().getZExtValue() : attr.getValue().getSExtValue();
  return {};
}

} // namespace attnc::attn
