//===- Text of attn ops ---------------------------------------------------===//
//
// Custom directives of AttnOps.td and the three ops with operands inside brackets.
//===----------------------------------------------------------------------===//
#include "dialect/attn/AttnAssembly.h"

using namespace mlir;

namespace attnc::attn {

static ParseResult parseName(OpAsmParser &parser, SmallVectorImpl<Attribute> &names) {
  std::string name;
  if (parser.parseKeywordOrString(&name))
    return failure();
  names.push_back(parser.getBuilder().getStringAttr(name));
  return success();
}

/// `[b, "c'"]`
ParseResult parseAxes(OpAsmParser &parser, ArrayAttr &axes) {
  SmallVector<Attribute> names;
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&] { return parseName(parser, names); }))
    return failure();
  axes = parser.getBuilder().getArrayAttr(names);
  return success();
}

void printAxes(OpAsmPrinter &p, Operation *, ArrayAttr axes) {
  p << "[";
  llvm::interleaveComma(axes.getAsRange<StringAttr>(), p,
                        [&](StringAttr axis) { p.printKeywordOrString(axis.getValue()); });
  p << "]";
}

/// `[b, i] f32` or `!attn.t<[b, i] f32>`
ParseResult parseT(OpAsmParser &parser, Type &type) {
  OptionalParseResult full = parser.parseOptionalType(type);
  if (full.has_value())
    return *full;
  ArrayAttr names;
  Type elem;
  SMLoc loc = parser.getCurrentLocation();
  if (parseAxes(parser, names) || parser.parseType(elem))
    return failure();
  type = TensorType::getChecked([&] { return parser.emitError(loc); }, axesFrom(names), elem);
  return failure(!type);
}

void printT(OpAsmPrinter &p, Operation *, Type type) {
  auto tensor = cast<TensorType>(type);
  p << "[";
  llvm::interleaveComma(tensor.getAxes(), p, [&](StringAttr axis) { p.printKeywordOrString(axis.getValue()); });
  p << "] " << tensor.getElem();
}

/// Types separated by commas; none at all when the next token starts no type.
ParseResult parseTs(OpAsmParser &parser, SmallVectorImpl<Type> &types) {
  return parser.parseCommaSeparatedList([&] { return parseT(parser, types.emplace_back()); });
}

template <typename Range> static void printTypes(OpAsmPrinter &p, Range &&types) {
  llvm::interleaveComma(types, p, [&](Type type) { printT(p, nullptr, type); });
}

void printTs(OpAsmPrinter &p, Operation *, TypeRange types) { printTypes(p, types); }

ParseResult parseGuardedTypes(OpAsmParser &parser, Type &operand, Type &guard) {
  if (parseT(parser, operand))
    return failure();
  return succeeded(parser.parseOptionalComma()) ? parseT(parser, guard) : ParseResult(success());
}

void printGuardedTypes(OpAsmPrinter &p, Operation *op, Type operand, Type guard) {
  printT(p, op, operand);
  if (guard) {
    p << ", ";
    printT(p, op, guard);
  }
}

/// `[[b], [n, u : "N"]]`
ParseResult parseDims(OpAsmParser &parser, ArrayAttr &dims, ArrayAttr &lengths) {
  SmallVector<Attribute> dimList, lengthList;
  auto parseDim = [&]() -> ParseResult {
    SmallVector<Attribute> names;
    std::string length;
    if (parser.parseLSquare())
      return failure();
    if (failed(parser.parseOptionalRSquare())) {
      if (parser.parseCommaSeparatedList([&] { return parseName(parser, names); }))
        return failure();
      if (succeeded(parser.parseOptionalColon()) && parser.parseString(&length))
        return failure();
      if (parser.parseRSquare())
        return failure();
    }
    dimList.push_back(parser.getBuilder().getArrayAttr(names));
    lengthList.push_back(parser.getBuilder().getStringAttr(length));
    return success();
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseDim))
    return failure();
  dims = parser.getBuilder().getArrayAttr(dimList);
  lengths = parser.getBuilder().getArrayAttr(lengthList);
  return success();
}

void printDims(OpAsmPrinter &p, Operation *, ArrayAttr dims, ArrayAttr lengths) {
  p << "[";
  for (auto [i, dim] : llvm::enumerate(dims.getAsRange<ArrayAttr>())) {
    p << (i ? ", [" : "[");
    llvm::interleaveComma(dim.getAsRange<StringAttr>(), p,
                          [&](StringAttr axis) { p.printKeywordOrString(axis.getValue()); });
    if (i < lengths.size() && !cast<StringAttr>(lengths[i]).empty())
      p << " : " << lengths[i];
    p << "]";
  }
  p << "]";
}

//===--- read -------------------------------------------------------------===//

ParseResult ReadOp::parse(OpAsmParser &parser, OperationState &state) {
  OpAsmParser::UnresolvedOperand source;
  SmallVector<OpAsmParser::UnresolvedOperand> indices;
  SmallVector<Attribute> names;
  SmallVector<bool> inside;
  SmallVector<Type> types;
  Type result;
  auto parseItem = [&]() -> ParseResult {
    if (parseName(parser, names) || parser.parseEqual() || parser.parseOperand(indices.emplace_back()))
      return failure();
    inside.push_back(succeeded(parser.parseOptionalKeyword("inside")));
    return success();
  };
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseOperand(source) || parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseItem) ||
      parser.parseOptionalAttrDict(state.attributes) || parser.parseColon() || parseTs(parser, types) ||
      parser.parseArrow() || parseT(parser, result))
    return failure();
  indices.insert(indices.begin(), source);
  if (parser.resolveOperands(indices, types, loc, state.operands))
    return failure();
  Properties &properties = state.getOrAddProperties<Properties>();
  properties.axes = parser.getBuilder().getArrayAttr(names);
  if (llvm::is_contained(inside, true))
    properties.inside = parser.getBuilder().getDenseBoolArrayAttr(inside);
  state.addTypes(result);
  return success();
}

void ReadOp::print(OpAsmPrinter &p) {
  p << " " << getSource() << " [";
  for (auto [i, index] : llvm::enumerate(getIndices())) {
    p << (i ? ", " : "");
    p.printKeywordOrString(cast<StringAttr>(getAxes()[i]).getValue());
    p << " = " << index << (isInside(i) ? " inside" : "");
  }
  p << "]";
  p.printOptionalAttrDict((*this)->getAttrs(), {"axes", "inside"});
  p << " : ";
  printTypes(p, (*this)->getOperandTypes());
  p << " -> ";
  printT(p, *this, getType());
}

//===--- softmax ----------------------------------------------------------===//

ParseResult SoftmaxOp::parse(OpAsmParser &parser, OperationState &state) {
  SmallVector<OpAsmParser::UnresolvedOperand> operands, guards;
  SmallVector<Attribute> groups;
  SmallVector<int64_t> guardOf;
  SmallVector<Type> types;
  auto parseItem = [&]() -> ParseResult {
    ArrayAttr group;
    if (parser.parseOperand(operands.emplace_back()) || parseAxes(parser, group))
      return failure();
    groups.push_back(group);
    if (succeeded(parser.parseOptionalKeyword("guard"))) {
      guardOf.push_back(operands.size() - 1);
      return parser.parseOperand(guards.emplace_back());
    }
    return success();
  };
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Paren, parseItem) ||
      parser.parseOptionalAttrDict(state.attributes) || parser.parseColon() || parseTs(parser, types) ||
      parser.parseArrow() || parseTs(parser, state.types))
    return failure();
  Properties &properties = state.getOrAddProperties<Properties>();
  properties.groups = parser.getBuilder().getArrayAttr(groups);
  properties.guardOf = parser.getBuilder().getDenseI64ArrayAttr(guardOf);
  properties.operandSegmentSizes = {static_cast<int32_t>(operands.size()), static_cast<int32_t>(guards.size())};
  operands.append(guards);
  return parser.resolveOperands(operands, types, loc, state.operands);
}

void SoftmaxOp::print(OpAsmPrinter &p) {
  p << " (";
  for (auto [i, operand] : llvm::enumerate(getArgs())) {
    p << (i ? ", " : "") << operand << " ";
    printAxes(p, *this, cast<ArrayAttr>(getGroups()[i]));
    if (Value g = guard(i))
      p << " guard " << g;
  }
  p << ")";
  p.printOptionalAttrDict((*this)->getAttrs(), {"groups", "guardOf", "operandSegmentSizes"});
  p << " : ";
  printTypes(p, (*this)->getOperandTypes());
  p << " -> ";
  printTypes(p, (*this)->getResultTypes());
}

//===--- equation ---------------------------------------------------------===//

ParseResult EquationOp::parse(OpAsmParser &parser, OperationState &state) {
  StringAttr name;
  OpAsmParser::UnresolvedOperand body;
  Type type;
  Properties &properties = state.getOrAddProperties<Properties>();
  if (parser.parseAttribute(name) || parser.parseOperand(body))
    return failure();
  properties.label = name;
  if (succeeded(parser.parseOptionalKeyword("cycle"))) {
    int64_t cycle;
    SmallVector<Attribute> names;
    SmallVector<int64_t> dirs;
    auto parseLoop = [&]() -> ParseResult {
      return failure(parseName(parser, names) || parser.parseEqual() || parser.parseInteger(dirs.emplace_back()));
    };
    if (parser.parseInteger(cycle) || parser.parseKeyword("loops") ||
        parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseLoop))
      return failure();
    properties.cycle = parser.getBuilder().getI64IntegerAttr(cycle);
    properties.loopAxes = parser.getBuilder().getArrayAttr(names);
    properties.loopDirs = parser.getBuilder().getDenseI64ArrayAttr(dirs);
  }
  if (parser.parseOptionalAttrDict(state.attributes) || parser.parseColon() || parseT(parser, type) ||
      parser.resolveOperand(body, type, state.operands))
    return failure();
  state.addTypes(type);
  return success();
}

void EquationOp::print(OpAsmPrinter &p) {
  p << " " << getLabelAttr() << " " << getBody();
  if (std::optional<int64_t> cycle = getCycle()) {
    p << " cycle " << *cycle << " loops [";
    for (auto [i, axis] : llvm::enumerate(getLoopAxes().getAsRange<StringAttr>())) {
      p << (i ? ", " : "");
      p.printKeywordOrString(axis.getValue());
      p << " = " << getLoopDirs()[i];
    }
    p << "]";
  }
  p.printOptionalAttrDict((*this)->getAttrs(), {"label", "cycle", "loopAxes", "loopDirs"});
  p << " : ";
  printT(p, *this, getType());
}

} // namespace attnc::attn
