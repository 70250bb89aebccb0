//===- The tile dialect: assembly, builders and verifiers -----------------===//
#include "dialect/tile/Tile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace attnc::tile;

#define GET_OP_CLASSES
#include "dialect/tile/TileOps.cpp.inc"

static SmallVector<Type> i64s(Builder &b, size_t n) { return SmallVector<Type>(n, b.getI64Type()); }

/// Adds a block with `args` to a new region of the op being built, and leaves the insertion point at its end.
static Block *addBlock(OpBuilder &b, OperationState &state, TypeRange args) {
  Region *region = state.addRegion();
  return b.createBlock(region, {}, args, SmallVector<Location>(args.size(), state.location));
}

//===----------------------------------------------------------------------===//
// Names in printed text
//===----------------------------------------------------------------------===//

void ProgramOp::getAsmBlockArgumentNames(Region &region, OpAsmSetValueNameFn set) {
  for (auto [arg, name] : llvm::zip(region.getArguments(), getSymbols()))
    set(arg, cast<StringAttr>(name));
}
void ArgOp::getAsmResultNames(OpAsmSetValueNameFn set) { set(getResult(), getName()); }
void AllocOp::getAsmResultNames(OpAsmSetValueNameFn set) { set(getResult(), "buf"); }
void KernelOp::getAsmBlockArgumentNames(Region &region, OpAsmSetValueNameFn set) {
  for (BlockArgument arg : region.getArguments())
    set(arg, "g");
}
void ForOp::getAsmBlockArgumentNames(Region &region, OpAsmSetValueNameFn set) { set(region.getArgument(0), "t"); }
void NestOp::getAsmBlockArgumentNames(Region &region, OpAsmSetValueNameFn set) {
  bool body = &region == &getBody();
  for (BlockArgument arg : region.getArguments())
    set(arg, arg.getArgNumber() < getNumPar() ? "i" : body ? "r" : "acc");
}

//===----------------------------------------------------------------------===//
// program
//===----------------------------------------------------------------------===//

void ProgramOp::build(OpBuilder &b, OperationState &state, StringRef name, ArrayRef<StringRef> symbols) {
  state.addAttribute("sym_name", b.getStringAttr(name));
  state.addAttribute("symbols", b.getStrArrayAttr(symbols));
  OpBuilder::InsertionGuard guard(b);
  addBlock(b, state, i64s(b, symbols.size()));
}

LogicalResult ProgramOp::verify() {
  if (getBody().getNumArguments() != getSymbols().size())
    return emitOpError("has ") << getSymbols().size() << " symbols but " << getBody().getNumArguments()
                               << " block arguments";
  for (BlockArgument arg : getBody().getArguments())
    if (!arg.getType().isInteger(64))
      return emitOpError("block arguments are i64");
  // Every passed argument is declared, so that the position of an output in the call's argument list is known.
  for (ArgKind kind : {ArgKind::Input, ArgKind::Output}) {
    SmallVector<ArgOp> args;
    for (ArgOp arg : getBody().getOps<ArgOp>())
      if (arg.getKind() == kind)
        args.push_back(arg);
    SmallVector<bool> seen(args.size(), false);
    for (ArgOp arg : args) {
      if (arg.getIndex() >= args.size())
        return arg.emitOpError("number ")
               << arg.getIndex() << " leaves a gap: there are " << args.size() << " " << stringifyArgKind(kind) << "s";
      if (seen[arg.getIndex()])
        return arg.emitOpError("number ") << arg.getIndex() << " is declared twice";
      seen[arg.getIndex()] = true;
    }
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Lists of loops: `[%i = %lo to %hi, ...]` and `[%g = %extent, ...]`
//===----------------------------------------------------------------------===//

using Unresolved = OpAsmParser::UnresolvedOperand;

static ParseResult parseLoops(OpAsmParser &p, SmallVectorImpl<OpAsmParser::Argument> &ivs,
                              SmallVectorImpl<Unresolved> &lo, SmallVectorImpl<Unresolved> *hi) {
  Type i64 = p.getBuilder().getI64Type();
  return p.parseCommaSeparatedList(OpAsmParser::Delimiter::Square, [&]() -> ParseResult {
    OpAsmParser::Argument iv;
    if (p.parseArgument(iv) || p.parseEqual() || p.parseOperand(lo.emplace_back()))
      return failure();
    if (hi && (p.parseKeyword("to") || p.parseOperand(hi->emplace_back())))
      return failure();
    iv.type = i64;
    ivs.push_back(iv);
    return success();
  });
}

static void printLoops(OpAsmPrinter &p, ArrayRef<BlockArgument> ivs, ValueRange lo, ValueRange hi) {
  p << "[";
  for (size_t i = 0; i < ivs.size(); ++i) {
    p << (i ? ", " : "") << ivs[i] << " = " << lo[i];
    if (!hi.empty())
      p << " to " << hi[i];
  }
  p << "]";
}

static LogicalResult verifyIvs(Operation *op, Region &body, size_t count) {
  if (body.getNumArguments() != count)
    return op->emitOpError("body has ") << body.getNumArguments() << " arguments for " << count << " loops";
  for (BlockArgument arg : body.getArguments())
    if (!arg.getType().isInteger(64))
      return op->emitOpError("loop positions are i64");
  return success();
}

//===----------------------------------------------------------------------===//
// alloc, kernel, for
//===----------------------------------------------------------------------===//

LogicalResult AllocOp::verify() {
  if (getExtents().size() != getType().getRank())
    return emitOpError("has ") << getExtents().size() << " extents for rank " << getType().getRank();
  auto kernel = dyn_cast<KernelOp>((*this)->getParentOp());
  if (!kernel)
    return success();
  // Looks through the pure arithmetic inside the kernel for a grid position.
  SmallVector<Value> todo(getExtents());
  while (!todo.empty()) {
    Value v = todo.pop_back_val();
    if (!kernel.getBody().isAncestor(v.getParentRegion()))
      continue;
    Operation *def = v.getDefiningOp();
    if (!def || !isMemoryEffectFree(def))
      return emitOpError("extent depends on the grid position or on memory");
    todo.append(def->operand_begin(), def->operand_end());
  }
  return success();
}

void KernelOp::build(OpBuilder &b, OperationState &state, ValueRange extents,
                     function_ref<void(OpBuilder &, Location, ValueRange)> body) {
  state.addOperands(extents);
  OpBuilder::InsertionGuard guard(b);
  Block *block = addBlock(b, state, i64s(b, extents.size()));
  if (body)
    body(b, state.location, block->getArguments());
}

ParseResult KernelOp::parse(OpAsmParser &p, OperationState &result) {
  SmallVector<OpAsmParser::Argument> ivs;
  SmallVector<Unresolved> extents;
  if (p.parseKeyword("grid") || parseLoops(p, ivs, extents, nullptr) ||
      p.resolveOperands(extents, p.getBuilder().getI64Type(), result.operands) ||
      p.parseRegion(*result.addRegion(), ivs) || p.parseOptionalAttrDict(result.attributes))
    return failure();
  if (result.regions[0]->empty()) {
    Block &block = result.regions[0]->emplaceBlock();
    block.addArguments(i64s(p.getBuilder(), ivs.size()), SmallVector<Location>(ivs.size(), result.location));
  }
  return success();
}

void KernelOp::print(OpAsmPrinter &p) {
  p << " grid ";
  printLoops(p, llvm::to_vector_of<BlockArgument>(getBody().getArguments()), getExtents(), {});
  p << " ";
  p.printRegion(getBody(), /*printEntryBlockArgs=*/false);
  p.printOptionalAttrDict((*this)->getAttrs());
}

LogicalResult KernelOp::verify() { return verifyIvs(*this, getBody(), getExtents().size()); }

void ForOp::build(OpBuilder &b, OperationState &state, Value lo, Value hi, Value step,
                  function_ref<void(OpBuilder &, Location, Value)> body) {
  state.addOperands({lo, hi, step});
  OpBuilder::InsertionGuard guard(b);
  Block *block = addBlock(b, state, i64s(b, 1));
  if (body)
    body(b, state.location, block->getArgument(0));
}

ParseResult ForOp::parse(OpAsmParser &p, OperationState &result) {
  OpAsmParser::Argument iv;
  Unresolved lo, hi, step;
  iv.type = p.getBuilder().getI64Type();
  if (p.parseArgument(iv) || p.parseEqual() || p.parseOperand(lo) || p.parseKeyword("to") || p.parseOperand(hi) ||
      p.parseKeyword("step") || p.parseOperand(step) ||
      p.resolveOperands(ArrayRef<Unresolved>{lo, hi, step}, iv.type, result.operands) ||
      p.parseRegion(*result.addRegion(), iv) || p.parseOptionalAttrDict(result.attributes))
    return failure();
  if (result.regions[0]->empty())
    result.regions[0]->emplaceBlock().addArgument(iv.type, result.location);
  return success();
}

void ForOp::print(OpAsmPrinter &p) {
  p << " " << getIv() << " = " << getLo() << " to " << getHi() << " step " << getStep() << " ";
  p.printRegion(getBody(), /*printEntryBlockArgs=*/false);
  p.printOptionalAttrDict((*this)->getAttrs());
}

LogicalResult ForOp::verify() {
  if (auto constant = getStep().getDefiningOp<arith::ConstantIntOp>(); constant && constant.value() == 0)
    return emitOpError("step is 0");
  return verifyIvs(*this, getBody(), 1);
}

//===----------------------------------------------------------------------===//
// nest
//===----------------------------------------------------------------------===//

static void addRanges(OpBuilder &b, OperationState &state, ArrayRef<attnc::tile::Range> par,
                      ArrayRef<attnc::tile::Range> inner) {
  for (auto list : {par, inner}) {
    for (const attnc::tile::Range &r : list)
      state.addOperands(r.lo);
    for (const attnc::tile::Range &r : list)
      state.addOperands(r.hi);
  }
  int32_t p = par.size(), r = inner.size();
  state.addAttribute(NestOp::getOperandSegmentSizeAttr(), b.getDenseI32ArrayAttr({p, p, r, r}));
}

static Attribute combinerArray(Builder &b, ArrayRef<Combiner> kinds) {
  SmallVector<Attribute> attrs;
  for (Combiner kind : kinds)
    attrs.push_back(CombinerAttr::get(b.getContext(), kind));
  return b.getArrayAttr(attrs);
}

static bool isArg(Combiner kind) { return kind == Combiner::ArgMax || kind == Combiner::ArgMin; }

/// Types of the results for yielded `types`.
static SmallVector<Type> resultTypes(ArrayRef<Combiner> kinds, TypeRange types) {
  SmallVector<Type> results;
  size_t at = 0;
  for (Combiner kind : kinds) {
    results.push_back(types[isArg(kind) ? at + 1 : at]);
    at += isArg(kind) ? 3 : 1;
  }
  return results;
}

SmallVector<Combiner> NestOp::getCombinerKinds() {
  SmallVector<Combiner> kinds;
  for (Attribute a : getCombiners())
    kinds.push_back(cast<CombinerAttr>(a).getValue());
  return kinds;
}

void NestOp::build(OpBuilder &b, OperationState &state, ArrayRef<attnc::tile::Range> par, PointBuilder body) {
  addRanges(b, state, par, {});
  state.addAttribute("combiners", b.getArrayAttr({}));
  OpBuilder::InsertionGuard guard(b);
  Block *block = addBlock(b, state, i64s(b, par.size()));
  body(b, state.location, block->getArguments());
  ensureTerminator(*state.regions[0], b, state.location);
  state.addRegion();
}

void NestOp::build(OpBuilder &b, OperationState &state, ArrayRef<attnc::tile::Range> par,
                   ArrayRef<attnc::tile::Range> red, YieldBuilder body, ArrayRef<Combiner> combiners,
                   PairBuilder finish) {
  addRanges(b, state, par, red);
  state.addAttribute("combiners", combinerArray(b, combiners));
  OpBuilder::InsertionGuard guard(b);
  Block *block = addBlock(b, state, i64s(b, par.size() + red.size()));
  SmallVector<Value> args(block->getArguments());
  SmallVector<Value> values =
      body(b, state.location, ArrayRef(args).take_front(par.size()), ArrayRef(args).drop_front(par.size()));
  b.create<YieldOp>(state.location, values);
  SmallVector<Type> types = i64s(b, par.size());
  llvm::append_range(types, resultTypes(combiners, ValueRange(values).getTypes()));
  Block *last = addBlock(b, state, types);
  args.assign(last->args_begin(), last->args_end());
  finish(b, state.location, ArrayRef(args).take_front(par.size()), ArrayRef(args).drop_front(par.size()));
  ensureTerminator(*state.regions[1], b, state.location);
}

void NestOp::build(OpBuilder &b, OperationState &state, ArrayRef<attnc::tile::Range> par,
                   ArrayRef<attnc::tile::Range> seq, PairBuilder body) {
  addRanges(b, state, par, seq);
  state.addAttribute("combiners", b.getArrayAttr({}));
  state.addAttribute("sequential", b.getUnitAttr());
  OpBuilder::InsertionGuard guard(b);
  Block *block = addBlock(b, state, i64s(b, par.size() + seq.size()));
  SmallVector<Value> args(block->getArguments());
  body(b, state.location, ArrayRef(args).take_front(par.size()), ArrayRef(args).drop_front(par.size()));
  ensureTerminator(*state.regions[0], b, state.location);
  state.addRegion();
}

ParseResult NestOp::parse(OpAsmParser &p, OperationState &result) {
  SmallVector<OpAsmParser::Argument> ivs, finishArgs;
  SmallVector<Unresolved> lo, hi, innerLo, innerHi;
  Builder &b = p.getBuilder();
  if (p.parseKeyword("par") || parseLoops(p, ivs, lo, &hi))
    return failure();
  bool seq = succeeded(p.parseOptionalKeyword("seq"));
  if ((seq || succeeded(p.parseOptionalKeyword("red"))) && parseLoops(p, ivs, innerLo, &innerHi))
    return failure();
  for (auto *list : {&lo, &hi, &innerLo, &innerHi})
    if (p.resolveOperands(*list, b.getI64Type(), result.operands))
      return failure();
  int32_t par = lo.size(), inner = innerLo.size();
  result.addAttribute(getOperandSegmentSizeAttr(), b.getDenseI32ArrayAttr({par, par, inner, inner}));
  if (seq)
    result.addAttribute("sequential", b.getUnitAttr());
  if (p.parseRegion(*result.addRegion(), ivs))
    return failure();
  ensureTerminator(*result.regions[0], b, result.location);

  SmallVector<Combiner> kinds;
  Region *finish = result.addRegion();
  if (succeeded(p.parseOptionalKeyword("combine"))) {
    auto parseKind = [&]() -> ParseResult {
      StringRef word;
      SMLoc loc = p.getCurrentLocation();
      if (p.parseKeyword(&word))
        return failure();
      std::optional<Combiner> kind = symbolizeCombiner(word);
      if (!kind)
        return p.emitError(loc, "unknown combiner ") << word;
      kinds.push_back(*kind);
      return success();
    };
    if (p.parseCommaSeparatedList(OpAsmParser::Delimiter::Square, parseKind) || p.parseKeyword("finish") ||
        p.parseArgumentList(finishArgs, OpAsmParser::Delimiter::Paren, /*allowType=*/true) ||
        p.parseRegion(*finish, finishArgs))
      return failure();
    ensureTerminator(*finish, b, result.location);
  }
  result.addAttribute("combiners", combinerArray(b, kinds));
  return p.parseOptionalAttrDict(result.attributes);
}

void NestOp::print(OpAsmPrinter &p) {
  p << " par ";
  printLoops(p, llvm::to_vector_of<BlockArgument>(getParArgs()), getParLo(), getParHi());
  if (getNumInner()) {
    p << (getSequential() ? " seq " : " red ");
    printLoops(p, llvm::to_vector_of<BlockArgument>(getInnerArgs()), getInnerLo(), getInnerHi());
  }
  p << " ";
  p.printRegion(getBody(), /*printEntryBlockArgs=*/false, /*printBlockTerminators=*/isReduction());
  if (!getFinish().empty()) {
    p << " combine [";
    llvm::interleaveComma(getCombinerKinds(), p, [&](Combiner kind) { p << stringifyCombiner(kind); });
    p << "] finish(";
    llvm::interleaveComma(getFinish().getArguments(), p, [&](BlockArgument a) { p << a << ": " << a.getType(); });
    p << ") ";
    p.printRegion(getFinish(), /*printEntryBlockArgs=*/false, /*printBlockTerminators=*/false);
  }
  p.printOptionalAttrDict((*this)->getAttrs(), {getOperandSegmentSizeAttr(), "combiners", "sequential"});
}

/// What a nest may compute with: pure scalar ops of arith and math.
static LogicalResult verifyPoint(NestOp nest, Region &region) {
  for (Operation &op : region.front()) {
    if (isa<LoadOp, StoreOp, UpdateOp, YieldOp>(op))
      continue;
    StringRef dialect = op.getName().getDialectNamespace();
    if ((dialect != "arith" && dialect != "math") || op.getNumRegions())
      return op.emitOpError("is not allowed in a tile.nest: only arith, math and tile memory ops are");
  }
  return success();
}

LogicalResult NestOp::verify() {
  if (getParLo().size() != getParHi().size() || getInnerLo().size() != getInnerHi().size())
    return emitOpError("has as many lower as upper bounds");
  if (failed(verifyIvs(*this, getBody(), getNumPar() + getNumInner())) || failed(verifyPoint(*this, getBody())))
    return failure();
  auto yielded = cast<YieldOp>(getBody().front().getTerminator()).getValues();
  if (getSequential() && !getNumInner())
    return emitOpError("is sequential over no dim");
  for (Operation &op : getBody().front()) {
    if (isa<UpdateOp>(op) && !getSequential())
      return op.emitOpError("needs seq dims around it");
    if (isa<StoreOp>(op) && isReduction())
      return op.emitOpError("under red dims: store in finish");
  }
  if (!isReduction()) {
    if (!yielded.empty() || !getCombiners().empty() || !getFinish().empty())
      return emitOpError("without red dims yields nothing, combines nothing and has no finish");
    return success();
  }
  if (getFinish().empty())
    return emitOpError("with red dims needs combine and finish");

  SmallVector<Combiner> kinds = getCombinerKinds();
  if (kinds.empty())
    return emitOpError("with red dims needs a combiner");
  size_t at = 0;
  for (Combiner kind : kinds) {
    size_t take = isArg(kind) ? 3 : 1;
    if (at + take > yielded.size())
      return emitOpError("yields ") << yielded.size() << " values, too few for its combiners";
    Type type = yielded[at].getType();
    bool logic = kind == Combiner::Any || kind == Combiner::All;
    if (logic != type.isInteger(1))
      return emitOpError("combiner ") << stringifyCombiner(kind) << " does not take " << type;
    if (isArg(kind) && !(yielded[at + 1].getType().isInteger(64) && yielded[at + 2].getType().isInteger(1)))
      return emitOpError("combiner ") << stringifyCombiner(kind) << " takes key, position: i64 and valid: i1";
    at += take;
  }
  if (at != yielded.size())
    return emitOpError("yields ") << yielded.size() << " values, its combiners take " << at;
  if (failed(verifyPoint(*this, getFinish())))
    return failure();
  if (!cast<YieldOp>(getFinish().front().getTerminator()).getValues().empty())
    return emitOpError("finish yields nothing");
  SmallVector<Type> types(getNumPar(), IntegerType::get(getContext(), 64));
  llvm::append_range(types, resultTypes(kinds, yielded.getTypes()));
  if (TypeRange(types) != TypeRange(getFinish().getArgumentTypes()))
    return emitOpError("finish takes the par positions and one result per combiner");
  return success();
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

LogicalResult LoadOp::inferReturnTypes(MLIRContext *, std::optional<Location>, ValueRange operands, DictionaryAttr,
                                       OpaqueProperties, RegionRange, SmallVectorImpl<Type> &types) {
  auto buf = operands.empty() ? BufType() : dyn_cast<BufType>(operands[0].getType());
  if (!buf)
    return failure();
  types.push_back(buf.getComputeType());
  return success();
}

static LogicalResult verifyAccess(Operation *op, TypedValue<BufType> buffer, ValueRange indices, Type value) {
  if (indices.size() != buffer.getType().getRank())
    return op->emitOpError("has ") << indices.size() << " indices for rank " << buffer.getType().getRank();
  if (value && value != buffer.getType().getComputeType())
    return op->emitOpError("holds ") << buffer.getType().getComputeType() << ", not " << value;
  return success();
}

LogicalResult LoadOp::verify() {
  if (!isa<NestOp, KernelOp, ForOp>((*this)->getParentOp()) || !(*this)->getParentOfType<KernelOp>())
    return emitOpError("is only allowed in a kernel");
  return verifyAccess(*this, getBuffer(), getIndices(), getType());
}
LogicalResult StoreOp::verify() { return verifyAccess(*this, getBuffer(), getIndices(), getValue().getType()); }

LogicalResult UpdateOp::verify() {
  if (isArg(getCombiner()))
    return emitOpError("cannot update by ") << stringifyCombiner(getCombiner());
  bool logic = getCombiner() == Combiner::Any || getCombiner() == Combiner::All;
  if (logic != getValue().getType().isInteger(1))
    return emitOpError("combiner ") << stringifyCombiner(getCombiner()) << " does not take " << getValue().getType();
  return verifyAccess(*this, getBuffer(), getIndices(), getValue().getType());
}

LogicalResult SortOp::verify() {
  Type key = getKeys().getType().getElementType();
  if (!key.isF32() && !key.isF64() && !key.isInteger(64))
    return emitOpError("keys are f32, f64 or i64");
  if (!getOut().getType().getElementType().isInteger(64))
    return emitOpError("writes i64 positions");
  auto valid = cast_or_null<TypedValue<BufType>>(getValid());
  if (valid && !valid.getType().getElementType().isInteger(1))
    return emitOpError("valid is a buffer of i1");
  if (!getKeys().getType().getRank() || !getOut().getType().getRank())
    return emitOpError("orders a row: buffers have at least one dim");
  if (failed(verifyAccess(*this, getKeys(), getKeyIndices(), {})) ||
      failed(verifyAccess(*this, getOut(), getOutIndices(), {})))
    return failure();
  if (!valid)
    return getValidIndices().empty() ? success() : emitOpError("has indices without a valid buffer");
  if (!valid.getType().getRank())
    return emitOpError("orders a row: buffers have at least one dim");
  return verifyAccess(*this, valid, getValidIndices(), {});
}
