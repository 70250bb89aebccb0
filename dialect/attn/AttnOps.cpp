//===- attn ops: builders, result types, verifiers ------------------------===//
#include "dialect/attn/AttnAssembly.h"

using namespace mlir;

namespace attnc::attn {

static Type i64(MLIRContext *context) { return IntegerType::get(context, 64); }
static Type i1(MLIRContext *context) { return IntegerType::get(context, 1); }

static Axes operandAxes(Value source, Value guard) {
  Axes axes(axesOf(source));
  return guard ? axesUnion(axes, axesOf(guard)) : axes;
}

static LogicalResult verifyGuard(Operation *op, Value guard) {
  if (guard && !typeOf(guard).isBool())
    return op->emitOpError() << "guard has element type " << typeOf(guard).getElem() << ", expected i1";
  return success();
}

/// No axis twice.
static LogicalResult verifyDistinct(Operation *op, ArrayAttr axes) {
  llvm::SmallDenseSet<Attribute> seen;
  for (Attribute axis : axes)
    if (!seen.insert(axis).second)
      return op->emitOpError() << "axis " << axis << " is named twice";
  return success();
}

static LogicalResult verifyNumeric(Operation *op, Value value) {
  if (typeOf(value).isBool())
    return op->emitOpError() << "operand is i1, expected a number";
  return success();
}

//===--- mixer ------------------------------------------------------------===//

RegionKind MixerOp::getRegionKind(unsigned) { return RegionKind::Graph; }

/// Axes are known and their extents readable. Here, and not in each op, so that the extents are read once.
LogicalResult MixerOp::verifyRegions() {
  std::vector<std::string> symbols;
  for (StringAttr symbol : getSymbols().getAsRange<StringAttr>())
    symbols.push_back(symbol.str());
  for (NamedAttribute axis : getAxes()) {
    auto text = dyn_cast<StringAttr>(axis.getValue());
    if (!text || !extentParse(text.getValue(), symbols))
      return emitOpError() << "extent of axis '" << axis.getName().getValue()
                           << "' is not readable: " << axis.getValue();
  }
  DictionaryAttr known = getAxes();
  auto check = [&](Operation &op, StringAttr axis) -> LogicalResult {
    if (known.contains(axis))
      return success();
    return op.emitOpError() << "axis '" << axis.getValue() << "' is not an axis of the mixer";
  };
  for (Operation &op : *getBody()) {
    for (Type type : op.getResultTypes())
      for (StringAttr axis : cast<TensorType>(type).getAxes())
        if (failed(check(op, axis)))
          return failure();
    if (auto equation = dyn_cast<EquationOp>(op))
      for (StringAttr axis : equation.getLoopAxes().getAsRange<StringAttr>())
        if (failed(check(op, axis)))
          return failure();
    if (auto array = op.getAttrOfType<ArrayAttr>("axes"))
      for (StringAttr axis : array.getAsRange<StringAttr>())
        if (failed(check(op, axis)))
          return failure();
    if (auto extent = dyn_cast<ExtentOp>(op))
      if (!extentParse(extent.getText(), symbols))
        return op.emitOpError() << "not an extent: " << extent.getTextAttr();
  }
  return success();
}

//===--- input, output ----------------------------------------------------===//

static LogicalResult verifyDims(Operation *op, ArrayAttr dims, ArrayAttr lengths, Axes &axes) {
  if (dims.size() != lengths.size())
    return op->emitOpError("has another number of lengths than of dims");
  for (ArrayAttr dim : dims.getAsRange<ArrayAttr>())
    for (StringAttr axis : dim.getAsRange<StringAttr>()) {
      if (llvm::is_contained(axes, axis))
        return op->emitOpError() << "axis " << axis << " is named twice";
      axes.push_back(axis);
    }
  return success();
}

template <typename OpT> static unsigned numberAmong(OpT op) {
  unsigned number = 0;
  for (OpT other : op->getBlock()->template getOps<OpT>()) {
    if (other == op)
      return number;
    ++number;
  }
  return number;
}

unsigned InputOp::argumentNumber() { return numberAmong(*this); }
unsigned OutputOp::argumentNumber() { return numberAmong(*this); }

void InputOp::build(OpBuilder &b, OperationState &state, StringRef arg, ArrayAttr dims, ArrayAttr lengths,
                    Storage storage) {
  Axes axes;
  for (ArrayAttr dim : dims.getAsRange<ArrayAttr>())
    axes.append(axesFrom(dim));
  build(b, state, TensorType::get(axes, computeType(b.getContext(), dtypeOf(storage))), b.getStringAttr(arg), dims,
        lengths, storage);
}

LogicalResult InputOp::verify() {
  Axes axes;
  if (failed(verifyDims(*this, getDims(), getLengths(), axes)))
    return failure();
  auto expected = TensorType::get(axes, computeType(getContext(), dtypeOf(getStorage())));
  if (getType() != expected)
    return emitOpError() << "type should be " << expected;
  return success();
}

LogicalResult OutputOp::verify() {
  Axes axes;
  if (failed(verifyDims(*this, getDims(), getLengths(), axes)))
    return failure();
  for (StringAttr axis : axesOf(getValue()))
    if (!llvm::is_contained(axes, axis))
      return emitOpError() << "axis '" << axis.getValue() << "' of the value is in no dim";
  Type elem = computeType(getContext(), dtypeOf(getStorage()));
  if (isa<FloatType>(elem) != typeOf(getValue()).isFloat() ||
      (!isa<FloatType>(elem) && elem != typeOf(getValue()).getElem()))
    return emitOpError() << "a value of " << typeOf(getValue()).getElem() << " cannot be stored as "
                         << stringifyStorage(getStorage());
  return success();
}

//===--- const, index, extent ---------------------------------------------===//

void ConstOp::build(OpBuilder &b, OperationState &state, double value, Type elem) {
  build(b, state, cast<TypedAttr>(b.getFloatAttr(elem, value)));
}
void ConstOp::build(OpBuilder &b, OperationState &state, int64_t value) {
  build(b, state, cast<TypedAttr>(b.getI64IntegerAttr(value)));
}
void ConstOp::build(OpBuilder &b, OperationState &state, bool value) {
  build(b, state, cast<TypedAttr>(b.getBoolAttr(value)));
}

LogicalResult ConstOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc, Adaptor adaptor,
                                        SmallVectorImpl<Type> &types) {
  Type elem = adaptor.getValue().getType();
  if (!elem.isF32() && !elem.isF64() && !elem.isInteger(64) && !elem.isInteger(1))
    return emitOptionalError(loc, "constant is none of f32, f64, i64, i1");
  types.push_back(TensorType::get({}, elem));
  return success();
}

LogicalResult IndexOp::inferReturnTypes(MLIRContext *context, std::optional<Location>, Adaptor adaptor,
                                        SmallVectorImpl<Type> &types) {
  types.push_back(TensorType::get({adaptor.getAxisAttr()}, i64(context)));
  return success();
}

LogicalResult ExtentOp::inferReturnTypes(MLIRContext *context, std::optional<Location>, Adaptor,
                                         SmallVectorImpl<Type> &types) {
  types.push_back(TensorType::get({}, i64(context)));
  return success();
}

//===--- map --------------------------------------------------------------===//

namespace {
/// What a function takes and gives.
struct MapRule {
  enum Args { Bool, Int, Real, Number, Any, Choice } args; ///< Choice: (i1, x, x)
  unsigned count;
  enum Result { Same, I1, I64, F32, F64 } result;
};
} // namespace

static MapRule ruleOf(MapFn fn) {
  switch (fn) {
  case MapFn::Not:
    return {MapRule::Bool, 1, MapRule::I1};
  case MapFn::And:
  case MapFn::Or:
    return {MapRule::Bool, 2, MapRule::I1};
  case MapFn::Lt:
  case MapFn::Le:
  case MapFn::Gt:
  case MapFn::Ge:
  case MapFn::Eq:
  case MapFn::Ne:
    return {MapRule::Any, 2, MapRule::I1};
  case MapFn::Select:
    return {MapRule::Choice, 3, MapRule::Same};
  case MapFn::Add:
  case MapFn::Sub:
  case MapFn::Mul:
  case MapFn::Min:
  case MapFn::Max:
    return {MapRule::Number, 2, MapRule::Same};
  case MapFn::Div:
  case MapFn::Pow:
  case MapFn::LogAddExp:
    return {MapRule::Real, 2, MapRule::Same};
  case MapFn::IDiv:
  case MapFn::Mod:
    return {MapRule::Number, 2, MapRule::Same};
  case MapFn::IPow:
  case MapFn::BitAnd:
  case MapFn::BitOr:
  case MapFn::BitXor:
  case MapFn::Shl:
  case MapFn::Shr:
    return {MapRule::Int, 2, MapRule::Same};
  case MapFn::Ilog2:
    return {MapRule::Int, 1, MapRule::Same};
  case MapFn::Clamp:
    return {MapRule::Number, 3, MapRule::Same};
  case MapFn::Neg:
  case MapFn::Abs:
  case MapFn::Sign:
  case MapFn::Relu:
  case MapFn::Floor:
  case MapFn::Ceil:
  case MapFn::Round:
    return {MapRule::Number, 1, MapRule::Same};
  case MapFn::IsFinite:
    return {MapRule::Real, 1, MapRule::I1};
  case MapFn::CastF32:
  case MapFn::CastF16:
  case MapFn::CastBF16:
  case MapFn::ToF32:
    return {MapRule::Any, 1, MapRule::F32};
  case MapFn::CastF64:
  case MapFn::ToF64:
    return {MapRule::Any, 1, MapRule::F64};
  case MapFn::CastI32:
  case MapFn::CastI64:
  case MapFn::ToI64:
    return {MapRule::Any, 1, MapRule::I64};
  case MapFn::CastBool:
  case MapFn::ToI1:
    return {MapRule::Any, 1, MapRule::I1};
  default:
    return {MapRule::Real, 1, MapRule::Same};
  }
}

LogicalResult MapOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc, Adaptor adaptor,
                                      SmallVectorImpl<Type> &types) {
  Axes axes;
  for (Value arg : adaptor.getArgs())
    axes.append(axesOf(arg).begin(), axesOf(arg).end());
  if (adaptor.getArgs().empty())
    return emitOptionalError(loc, "map without operands");
  Type elem = typeOf(adaptor.getArgs().back()).getElem();
  switch (ruleOf(adaptor.getFn()).result) {
  case MapRule::Same:
    break;
  case MapRule::I1:
    elem = i1(context);
    break;
  case MapRule::I64:
    elem = i64(context);
    break;
  case MapRule::F32:
    elem = Float32Type::get(context);
    break;
  case MapRule::F64:
    elem = Float64Type::get(context);
    break;
  }
  types.push_back(TensorType::get(axes, elem));
  return success();
}

LogicalResult MapOp::verify() {
  MapRule rule = ruleOf(getFn());
  StringRef name = stringifyMapFn(getFn());
  bool many = getFn() == MapFn::Min || getFn() == MapFn::Max || getFn() == MapFn::LogAddExp;
  if (many ? getArgs().size() < rule.count : getArgs().size() != rule.count)
    return emitOpError() << name << " takes " << rule.count << " operands, found " << getArgs().size();
  Type first = typeOf(getArgs()[rule.args == MapRule::Choice ? 1 : 0]).getElem();
  for (auto [i, arg] : llvm::enumerate(getArgs())) {
    TensorType type = typeOf(arg);
    if (rule.args == MapRule::Choice && i == 0) {
      if (!type.isBool())
        return emitOpError() << "condition of select is " << type.getElem() << ", expected i1";
      continue;
    }
    if (type.getElem() != first)
      return emitOpError() << name << " has operands of " << first << " and " << type.getElem();
    if ((rule.args == MapRule::Bool && !type.isBool()) || (rule.args == MapRule::Int && !type.isInt()) ||
        (rule.args == MapRule::Real && !type.isFloat()) || (rule.args == MapRule::Number && type.isBool()))
      return emitOpError() << name << " does not take " << type.getElem();
  }
  return success();
}

//===--- read -------------------------------------------------------------===//

void ReadOp::build(OpBuilder &b, OperationState &state, Value source, ArrayRef<StringAttr> axes, ValueRange indices) {
  build(b, state, source, indices, axesAttr(b.getContext(), axes), DenseBoolArrayAttr());
}

LogicalResult ReadOp::inferReturnTypes(MLIRContext *context, std::optional<Location>, Adaptor adaptor,
                                       SmallVectorImpl<Type> &types) {
  Axes axes = axesMinus(axesOf(adaptor.getSource()), axesFrom(adaptor.getAxes()));
  for (Value index : adaptor.getIndices())
    axes.append(axesOf(index).begin(), axesOf(index).end());
  types.push_back(TensorType::get(axes, typeOf(adaptor.getSource()).getElem()));
  return success();
}

LogicalResult ReadOp::verify() {
  if (getAxes().size() != getIndices().size())
    return emitOpError("has another number of axes than of indices");
  if (failed(verifyDistinct(*this, getAxes())))
    return failure();
  for (auto [axis, index] : llvm::zip(getAxes().getAsRange<StringAttr>(), getIndices())) {
    if (!hasAxis(getSource(), axis))
      return emitOpError() << "replaces axis '" << axis.getValue() << "', which the value does not have";
    if (!typeOf(index).isInt())
      return emitOpError() << "index for axis '" << axis.getValue() << "' is " << typeOf(index).getElem()
                           << ", expected i64";
  }
  return success();
}

//===--- reductions -------------------------------------------------------===//

LogicalResult ReduceOp::inferReturnTypes(MLIRContext *context, std::optional<Location>, Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  Axes axes = axesMinus(operandAxes(adaptor.getSource(), adaptor.getGuard()), axesFrom(adaptor.getAxes()));
  Type elem = typeOf(adaptor.getSource()).getElem();
  types.push_back(TensorType::get(axes, adaptor.getRed() == Reduction::Count ? i64(context) : elem));
  return success();
}

LogicalResult ReduceOp::verify() {
  if (failed(verifyGuard(*this, getGuard())) || failed(verifyDistinct(*this, getAxes())))
    return failure();
  TensorType type = typeOf(getSource());
  bool ok = true;
  switch (getRed()) {
  case Reduction::Any:
  case Reduction::All:
    ok = type.isBool();
    break;
  case Reduction::Count:
    break;
  case Reduction::Mean:
  case Reduction::LogSumExp:
  case Reduction::Norm:
    ok = type.isFloat();
    break;
  default:
    ok = !type.isBool();
  }
  if (!ok)
    return emitOpError() << stringifyReduction(getRed()) << " does not take " << type.getElem();
  return success();
}

LogicalResult CumOp::inferReturnTypes(MLIRContext *, std::optional<Location>, Adaptor adaptor,
                                      SmallVectorImpl<Type> &types) {
  Axes axes = axesUnion(operandAxes(adaptor.getSource(), adaptor.getGuard()), axesFrom(adaptor.getAxes()));
  types.push_back(TensorType::get(axes, typeOf(adaptor.getSource()).getElem()));
  return success();
}

LogicalResult CumOp::verify() {
  if (getRed() != Reduction::Sum && getRed() != Reduction::Prod && getRed() != Reduction::Max)
    return emitOpError() << "running " << stringifyReduction(getRed()) << " does not exist; expected sum, prod or max";
  if (failed(verifyGuard(*this, getGuard())) || failed(verifyDistinct(*this, getAxes())))
    return failure();
  return verifyNumeric(*this, getSource());
}

LogicalResult ArgReduceOp::inferReturnTypes(MLIRContext *context, std::optional<Location>, Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  Axes axes = axesMinus(operandAxes(adaptor.getSource(), adaptor.getGuard()), axesFrom(adaptor.getAxes()));
  types.push_back(TensorType::get(axes, i64(context)));
  return success();
}

LogicalResult ArgReduceOp::verify() {
  if (failed(verifyGuard(*this, getGuard())) || failed(verifyDistinct(*this, getAxes())))
    return failure();
  return verifyNumeric(*this, getSource());
}

template <typename Adaptor>
static LogicalResult inferPositions(MLIRContext *context, Adaptor adaptor, SmallVectorImpl<Type> &types) {
  Axes axes = axesMinus(operandAxes(adaptor.getSource(), adaptor.getGuard()), axesFrom(adaptor.getAxes()));
  types.push_back(TensorType::get(axesUnion(axes, axesFrom(adaptor.getNewAxes())), i64(context)));
  return success();
}

template <typename OpT> static LogicalResult verifyPositions(OpT op) {
  if (failed(verifyGuard(op, op.getGuard())) || failed(verifyDistinct(op, op.getAxes())) ||
      failed(verifyDistinct(op, op.getNewAxes())))
    return failure();
  Axes operand = axesMinus(operandAxes(op.getSource(), op.getGuard()), axesFrom(op.getAxes()));
  for (StringAttr axis : op.getNewAxes().template getAsRange<StringAttr>())
    if (llvm::is_contained(operand, axis))
      return op.emitOpError() << "new axis '" << axis.getValue() << "' is an axis of the operand";
  return verifyNumeric(op, op.getSource());
}

LogicalResult TopKOp::inferReturnTypes(MLIRContext *context, std::optional<Location>, Adaptor adaptor,
                                       SmallVectorImpl<Type> &types) {
  return inferPositions(context, adaptor, types);
}
LogicalResult TopKOp::verify() { return verifyPositions(*this); }

LogicalResult ArgSortOp::inferReturnTypes(MLIRContext *context, std::optional<Location>, Adaptor adaptor,
                                          SmallVectorImpl<Type> &types) {
  return inferPositions(context, adaptor, types);
}
LogicalResult ArgSortOp::verify() { return verifyPositions(*this); }

LogicalResult RankOp::inferReturnTypes(MLIRContext *context, std::optional<Location>, Adaptor adaptor,
                                       SmallVectorImpl<Type> &types) {
  Axes axes = axesUnion(operandAxes(adaptor.getSource(), adaptor.getGuard()), axesFrom(adaptor.getAxes()));
  types.push_back(TensorType::get(axes, i64(context)));
  return success();
}

LogicalResult RankOp::verify() {
  if (failed(verifyGuard(*this, getGuard())) || failed(verifyDistinct(*this, getAxes())))
    return failure();
  return verifyNumeric(*this, getSource());
}

//===--- softmax ----------------------------------------------------------===//

void SoftmaxOp::build(OpBuilder &b, OperationState &state, ArrayRef<Value> args, ArrayRef<Value> guards,
                      ArrayAttr groups) {
  SmallVector<Value> present;
  SmallVector<int64_t> guardOf;
  for (auto [i, guard] : llvm::enumerate(guards))
    if (guard) {
      present.push_back(guard);
      guardOf.push_back(i);
    }
  build(b, state, ValueRange(args), ValueRange(present), groups, b.getDenseI64ArrayAttr(guardOf));
}

Value SoftmaxOp::guard(unsigned i) {
  for (auto [k, of] : llvm::enumerate(getGuardOf()))
    if (of == int64_t(i))
      return getGuards()[k];
  return {};
}

/// Axes of the operands and guards that are not reduced.
template <typename Adaptor> static Axes softmaxRows(Adaptor &adaptor) {
  Axes rows;
  for (auto [arg, group] : llvm::zip(adaptor.getArgs(), adaptor.getGroups().template getAsRange<ArrayAttr>()))
    rows = axesUnion(rows, axesMinus(axesOf(arg), axesFrom(group)));
  for (auto [guard, of] : llvm::zip(adaptor.getGuards(), adaptor.getGuardOf()))
    if (of >= 0 && of < int64_t(adaptor.getGroups().size()))
      rows = axesUnion(rows, axesMinus(axesOf(guard), axesFrom(cast<ArrayAttr>(adaptor.getGroups()[of]))));
  return rows;
}

Axes SoftmaxOp::rowAxes() { return softmaxRows(*this); }

LogicalResult SoftmaxOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc, Adaptor adaptor,
                                          SmallVectorImpl<Type> &types) {
  if (adaptor.getGroups().size() != adaptor.getArgs().size() ||
      adaptor.getGuardOf().size() != adaptor.getGuards().size())
    return emitOptionalError(loc, "softmax needs one group per operand and one owner per guard");
  Axes rows = softmaxRows(adaptor);
  for (auto [arg, group] : llvm::zip(adaptor.getArgs(), adaptor.getGroups().getAsRange<ArrayAttr>()))
    types.push_back(TensorType::get(axesUnion(rows, axesFrom(group)), typeOf(arg).getElem()));
  return success();
}

LogicalResult SoftmaxOp::verify() {
  if (getArgs().empty())
    return emitOpError("has no operand");
  Axes rows = rowAxes();
  for (auto [arg, group] : llvm::zip(getArgs(), getGroups().getAsRange<ArrayAttr>())) {
    if (!typeOf(arg).isFloat() || typeOf(arg).getElem() != typeOf(getArgs().front()).getElem())
      return emitOpError() << "has operands of " << typeOf(getArgs().front()).getElem() << " and "
                           << typeOf(arg).getElem() << ", expected one real type";
    if (failed(verifyDistinct(*this, group)))
      return failure();
    for (StringAttr axis : group.getAsRange<StringAttr>())
      if (llvm::is_contained(rows, axis))
        return emitOpError() << "axis '" << axis.getValue() << "' is reduced in one operand and free in another";
  }
  for (auto [guard, of] : llvm::zip(getGuards(), getGuardOf())) {
    if (of < 0 || of >= int64_t(getArgs().size()))
      return emitOpError() << "guard belongs to operand " << of << ", which does not exist";
    if (failed(verifyGuard(*this, guard)))
      return failure();
  }
  return success();
}

//===--- equation, grad, detach -------------------------------------------===//

void EquationOp::build(OpBuilder &b, OperationState &state, StringRef label, Value body) {
  build(b, state, b.getStringAttr(label), body, IntegerAttr(), b.getArrayAttr({}), b.getDenseI64ArrayAttr({}));
}

LogicalResult EquationOp::inferReturnTypes(MLIRContext *, std::optional<Location>, Adaptor adaptor,
                                           SmallVectorImpl<Type> &types) {
  types.push_back(adaptor.getBody().getType());
  return success();
}

LogicalResult EquationOp::verify() {
  if (getLoopAxes().size() != getLoopDirs().size())
    return emitOpError("has another number of loop axes than of directions");
  if (getCycle().has_value() == getLoopAxes().empty())
    return emitOpError(getCycle() ? "is in a cycle but has no loops" : "has loops but is in no cycle");
  for (auto [axis, dir] : llvm::zip(getLoopAxes().getAsRange<StringAttr>(), getLoopDirs())) {
    if (dir != 1 && dir != -1)
      return emitOpError() << "direction of loop '" << axis.getValue() << "' is " << dir << ", expected 1 or -1";
  }
  return verifyDistinct(*this, getLoopAxes());
}

LogicalResult GradOp::inferReturnTypes(MLIRContext *, std::optional<Location>, Adaptor adaptor,
                                       SmallVectorImpl<Type> &types) {
  TensorType wrt = typeOf(adaptor.getWrt());
  types.push_back(TensorType::get(axesUnion(wrt.getAxes(), axesFrom(adaptor.getKeep())), wrt.getElem()));
  return success();
}

LogicalResult GradOp::verify() {
  if (!typeOf(getLoss()).isFloat())
    return emitOpError() << "derives a value of " << typeOf(getLoss()).getElem() << ", expected a real";
  if (!isa_and_nonnull<EquationOp, InputOp>(getWrt().getDefiningOp()) || !typeOf(getWrt()).isFloat())
    return emitOpError("derives with respect to something that is neither a real equation nor a real input");
  return verifyDistinct(*this, getKeep());
}

LogicalResult DetachOp::inferReturnTypes(MLIRContext *, std::optional<Location>, Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  types.push_back(adaptor.getSource().getType());
  return success();
}

} // namespace attnc::attn

using namespace attnc::attn;
#define GET_OP_CLASSES
#include "dialect/attn/AttnOps.cpp.inc"
