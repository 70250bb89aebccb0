//===- Checked equations -> attn dialect ----------------------------------===//
//
// Values are made on demand, from the outputs down, one per node; a cycle is made when its first member is needed, with
// placeholders for its members until their bodies exist.
//===----------------------------------------------------------------------===//
#include "dialect/attn/Emit.h"
#include "dialect/attn/Attn.h"
#include "runtime/Tally.h"
#include <unordered_map>

using namespace mlir;

namespace attnc {
namespace {

/// What a value is made of. For bool and int values only Free or not matters.
enum class Class : uint8_t { Free, F32, F64 };

Class join(Class a, Class b) { return std::max(a, b); }

/// Classes of all nodes; those of recurrences by iteration from below.
class Classes {
public:
  Classes(const Program &program, const EmitOptions &options) : program_(program) {
    tensors_.assign(program.tensors.size(), Class::Free);
    bool narrow = false, wide = false;
    for (size_t i = 0; i < program.tensors.size(); ++i) {
      const Tensor &t = program.tensors[i];
      if (!t.isInput)
        continue;
      auto given = options.inputs.find(t.name);
      DType dtype = given != options.inputs.end() ? given->second : t.dtype.value_or(DType::F32);
      tensors_[i] = dtype == DType::F64 ? Class::F64 : Class::F32;
      bool passed = given != options.inputs.end();
      wide |= passed && dtype == DType::F64;
      narrow |= passed && t.kind == Kind::Real && dtype != DType::F64;
    }
    if (wide && !narrow)
      data_ = Class::F64;
    bool changed = true;
    while (changed) {
      changed = false;
      nodes_.clear();
      for (size_t i = 0; i < program.tensors.size(); ++i) {
        const Tensor &t = program.tensors[i];
        if (t.isInput || !t.total)
          continue;
        Class now = of(t.total);
        if (t.cycle >= 0) // a state is a value like another
          now = join(now, t.kind == Kind::Real ? Class::Free : Class::F32);
        if (now != tensors_[i]) {
          tensors_[i] = join(now, tensors_[i]);
          changed = true;
        }
      }
    }
  }

  Class tensor(int t) const { return tensors_[t]; }

  Class of(const Node *n) {
    if (auto it = nodes_.find(n); it != nodes_.end())
      return it->second;
    Class c = compute(n);
    if (n->kind != Kind::Real && c == Class::F64)
      c = Class::F32;
    nodes_[n] = c;
    return c;
  }

private:
  Class compute(const Node *n) {
    Class c = Class::Free;
    // An int or bool operand only says whether there is data; f64 does not pass through it. Where all reals are f64, so
    // is what they make of it.
    auto add = [&](const Node *a) {
      if (a)
        c = join(c, a->kind == Kind::Real ? of(a) : of(a) == Class::Free ? Class::Free : data_);
    };
    for (const Node *a : n->args)
      add(a);
    for (const Node *g : n->guards)
      add(g);
    for (const ReadItem &r : n->reads)
      add(r.index);
    if (n->op == Op::Tensor)
      return tensors_[n->tensor];
    if (n->op == Op::Grad)
      return std::max(tensors_[n->tensor], Class::F32);
    if (n->op == Op::Map && n->fn == Fn::Cast && n->kind == Kind::Real)
      return n->dtype == DType::F64 ? (c == Class::Free ? Class::Free : Class::F64) : Class::F32;
    return c;
  }

  const Program &program_;
  std::vector<Class> tensors_;
  std::unordered_map<const Node *, Class> nodes_;
  Class data_ = Class::F32; ///< of a real made from an int or bool tensor
};

class Emitter {
public:
  Emitter(MLIRContext &context, const Program &program, const EmitOptions &options)
      : program_(program), options_(options), classes_(program, options), b_(&context) {
    for (const Symbol &s : program.signature.symbols)
      symbolNames_.push_back(s.name);
    f32_ = b_.getF32Type();
    f64_ = b_.getF64Type();
    i64_ = b_.getI64Type();
    i1_ = b_.getI1Type();
  }

  OwningOpRef<ModuleOp> run() {
    OwningOpRef<ModuleOp> module = ModuleOp::create(b_.getUnknownLoc());
    b_.setInsertionPointToEnd(module->getBody());
    NamedAttrList axes;
    for (const Axis &a : program_.axes)
      axes.set(a.name, b_.getStringAttr(text(a.extent)));
    SmallVector<StringRef> symbols;
    for (size_t i = 0; i < symbolNames_.size(); ++i)
      if (i >= options_.symbols.size() || options_.symbols[i] < 0)
        symbols.push_back(symbolNames_[i]);
    auto mixer = b_.create<attn::MixerOp>(b_.getUnknownLoc(), b_.getStringAttr(program_.signature.mixer),
                                          b_.getStrArrayAttr(symbols), axes.getDictionary(b_.getContext()));
    b_.createBlock(&mixer.getBodyRegion());
    tensorValues_.resize(program_.tensors.size());
    emitInputs();
    for (const Output &output : program_.outputs)
      emitOutput(output);
    return module;
  }

private:
  const Program &program_;
  const EmitOptions &options_;
  Classes classes_;
  OpBuilder b_;
  std::vector<std::string> symbolNames_;
  std::vector<Value> tensorValues_;
  std::unordered_map<const Node *, Value> values_;
  std::map<std::string, SmallVector<Value>> softmaxes_;
  Type f32_, f64_, i64_, i1_;

  //===--- small things -----------------------------------------------------===//

  std::string text(const ExtentRef &extent) {
    return extentText(extentSpecialise(extent, options_.symbols), symbolNames_);
  }

  Location loc(Span span) {
    if (!span.source)
      return b_.getUnknownLoc();
    auto [line, column] = span.source->lineColumn(span.begin);
    return FileLineColLoc::get(b_.getContext(), span.source->path(), line, column);
  }

  StringAttr axis(AxisId a) { return b_.getStringAttr(program_.axes[a].name); }
  ArrayAttr axesAttr(const std::vector<AxisId> &axes) {
    SmallVector<Attribute> names;
    for (AxisId a : axes)
      names.push_back(axis(a));
    return b_.getArrayAttr(names);
  }
  ArrayAttr dimsAttr(const std::vector<std::vector<AxisId>> &dims) {
    SmallVector<Attribute> list;
    for (const std::vector<AxisId> &dim : dims)
      list.push_back(axesAttr(dim));
    return b_.getArrayAttr(list);
  }
  /// Lengths of ragged dims; empty text elsewhere.
  ArrayAttr lengthsAttr(const Argument &argument) {
    SmallVector<Attribute> list;
    for (const Dim &dim : argument.dims) {
      ExtentRef all = extentConst(1);
      for (const ExtentRef &radix : dim.radix)
        all = extentMake(ExtentOp::Mul, {all, radix});
      bool full = !dim.length || extentEqual(all, dim.length);
      list.push_back(b_.getStringAttr(full ? "" : text(dim.length)));
    }
    return b_.getArrayAttr(list);
  }

  Type elemOf(Class c) { return c == Class::F32 ? f32_ : f64_; }
  Type elemOf(const Node *n) {
    return n->kind == Kind::Bool ? i1_ : n->kind == Kind::Int ? i64_ : elemOf(classes_.of(n));
  }
  Type elemOf(Value v) { return attn::typeOf(v).getElem(); }

  Value map(Location l, attn::MapFn fn, ValueRange args) { return b_.create<attn::MapOp>(l, fn, args); }
  Value real(Location l, double v, Type elem) { return b_.create<attn::ConstOp>(l, v, elem); }
  Value integer(Location l, int64_t v) { return b_.create<attn::ConstOp>(l, v); }
  Value boolean(Location l, bool v) { return b_.create<attn::ConstOp>(l, v); }

  /// The same number as another element type; a real that loses precision is rounded, a bool is != 0.
  Value convert(Value v, Type elem) {
    Type from = elemOf(v);
    if (from == elem)
      return v;
    Location l = v.getLoc();
    if (isa<FloatType>(elem)) {
      if (std::optional<double> c = attn::constReal(v))
        return real(l, elem == f32_ ? static_cast<float>(*c) : *c, elem);
      if (std::optional<int64_t> c = attn::constInt(v))
        return real(l, elem == f32_ ? static_cast<float>(*c) : static_cast<double>(*c), elem);
      // An integer is converted straight: once rounded, and not at all where f64 is wanted.
      if (auto op = v.getDefiningOp<attn::MapOp>();
          op && (op.getFn() == attn::MapFn::ToF64 || op.getFn() == attn::MapFn::ToF32) &&
          !isa<FloatType>(elemOf(op.getArgs()[0])))
        return convert(op.getArgs()[0], elem);
      return map(l, elem == f32_ ? attn::MapFn::ToF32 : attn::MapFn::ToF64, v);
    }
    return map(l, elem == i64_ ? attn::MapFn::ToI64 : attn::MapFn::ToI1, v);
  }

  /// The node's value as this element type.
  Value value(const Node *n, Type elem) { return convert(value(n), elem); }
  /// As a number: i64 for bool.
  Value number(const Node *n) {
    Value v = value(n);
    return elemOf(v) == i1_ ? convert(v, i64_) : v;
  }
  Value guard(const Node *n, size_t i) {
    return i < n->guards.size() && n->guards[i] ? value(n->guards[i], i1_) : Value();
  }

  //===--- inputs, equations, outputs ---------------------------------------===//

  void emitInputs() {
    std::vector<int> order;
    for (size_t i = 0; i < program_.tensors.size(); ++i)
      if (program_.tensors[i].isInput)
        order.push_back(static_cast<int>(i));
    llvm::sort(order, [&](int x, int y) { return program_.tensors[x].argument < program_.tensors[y].argument; });
    for (int i : order) {
      const Tensor &t = program_.tensors[i];
      auto given = options_.inputs.find(t.name);
      DType dtype = given != options_.inputs.end() ? given->second : t.dtype.value_or(DType::F32);
      tensorValues_[i] =
          b_.create<attn::InputOp>(loc(t.span), t.name, dimsAttr(t.dims),
                                   lengthsAttr(program_.signature.inputs[t.argument]), attn::storageOf(dtype));
    }
  }

  void emitOutput(const Output &output) {
    auto given = options_.outputs.find(output.name);
    DType dtype = given != options_.outputs.end() ? given->second : output.declared ? output.dtype : DType::F32;
    Value v = tensor(output.tensor);
    Type compute = attn::computeType(b_.getContext(), dtype);
    // A real is rounded by the store alone.
    if (!isa<FloatType>(compute) || !isa<FloatType>(elemOf(v)))
      v = convert(v, compute);
    size_t number = &output - program_.outputs.data();
    b_.create<attn::OutputOp>(loc(program_.tensors[output.tensor].span), b_.getStringAttr(output.name), v,
                              dimsAttr(output.dims), lengthsAttr(program_.signature.outputs[number]),
                              attn::storageOf(dtype));
  }

  Value tensor(int t) {
    if (tensorValues_[t])
      return tensorValues_[t];
    const Tensor &tensor = program_.tensors[t];
    if (tensor.cycle >= 0)
      emitCycle(tensor.cycle);
    else
      tensorValues_[t] = b_.create<attn::EquationOp>(loc(tensor.span), tensor.name, body(tensor, t));
    return tensorValues_[t];
  }

  Type elemOfTensor(int t) {
    Kind kind = program_.tensors[t].kind;
    return kind == Kind::Bool ? i1_ : kind == Kind::Int ? i64_ : elemOf(classes_.tensor(t));
  }

  attn::TensorType typeOfTensor(int t) {
    attn::Axes axes;
    for (AxisId a : program_.tensors[t].axes)
      axes.push_back(axis(a));
    return attn::TensorType::get(axes, elemOfTensor(t));
  }

  /// The body with exactly the tensor's axes and element type.
  Value body(const Tensor &tensor, int t) {
    Value v = value(tensor.total, elemOfTensor(t));
    for (AxisId a : tensor.axes)
      if (!attn::hasAxis(v, axis(a))) {
        Location l = loc(tensor.span);
        Value here = map(l, attn::MapFn::Ge, {b_.create<attn::IndexOp>(l, axis(a)), integer(l, 0)});
        v = map(l, attn::MapFn::Select, {here, v, v});
      }
    return v;
  }

  void emitCycle(int c) {
    const Cycle &cycle = program_.cycles[c];
    SmallVector<Attribute> axes;
    SmallVector<int64_t> dirs;
    for (const ScanAxis &loop : cycle.loops) {
      axes.push_back(axis(loop.axis));
      dirs.push_back(loop.dir);
    }
    SmallVector<Operation *> placeholders;
    for (int t : cycle.tensors) {
      placeholders.push_back(
          b_.create<UnrealizedConversionCastOp>(b_.getUnknownLoc(), TypeRange(typeOfTensor(t)), ValueRange()));
      tensorValues_[t] = placeholders.back()->getResult(0);
    }
    SmallVector<Value> equations;
    for (int t : cycle.tensors) {
      const Tensor &tensor = program_.tensors[t];
      Value v = body(tensor, t);
      equations.push_back(b_.create<attn::EquationOp>(loc(tensor.span), b_.getStringAttr(tensor.name), v,
                                                      b_.getI64IntegerAttr(c), b_.getArrayAttr(axes),
                                                      b_.getDenseI64ArrayAttr(dirs)));
    }
    for (auto [t, placeholder, equation] : llvm::zip(cycle.tensors, placeholders, equations)) {
      Value old = placeholder->getResult(0);
      old.replaceAllUsesWith(equation);
      tensorValues_[t] = equation;
      for (auto &entry : values_)
        if (entry.second == old)
          entry.second = equation;
      placeholder->erase();
    }
  }

  //===--- nodes ------------------------------------------------------------===//

  Value value(const Node *n) {
    if (n->op == Op::Tensor)
      return tensor(n->tensor);
    if (auto it = values_.find(n); it != values_.end())
      return it->second;
    Value v = compute(n);
    return values_[n] = v;
  }

  Value compute(const Node *n) {
    Location l = loc(n->span);
    switch (n->op) {
    case Op::Const:
      return n->kind == Kind::Bool  ? boolean(l, n->integer != 0)
             : n->kind == Kind::Int ? integer(l, n->integer)
                                    : real(l, n->real, f64_);
    case Op::Index:
      return b_.create<attn::IndexOp>(l, axis(n->axis));
    case Op::Extent: {
      ExtentRef extent = extentSpecialise(n->extent, options_.symbols);
      if (std::optional<int64_t> c = extentAsConst(extent))
        return integer(l, *c);
      return b_.create<attn::ExtentOp>(l, b_.getStringAttr(text(extent)));
    }
    case Op::Map:
      return computeMap(n, l);
    case Op::Reduce:
      return computeReduce(n, l);
    case Op::Softmax:
      return computeSoftmax(n, l);
    case Op::Cum:
      return b_.create<attn::CumOp>(l, reduction(n->red), axesAttr(n->groups[0]), value(n->args[0], elemOf(n)),
                                    guard(n, 0), n->reversed);
    case Op::ArgMax:
    case Op::ArgMin:
      return b_.create<attn::ArgReduceOp>(l, n->op == Op::ArgMax ? attn::Extreme::Max : attn::Extreme::Min,
                                          axesAttr(n->groups[0]), number(n->args[0]), guard(n, 0));
    case Op::TopK:
      return b_.create<attn::TopKOp>(l, axesAttr(n->groups[0]), axesAttr(n->newAxes), number(n->args[0]), guard(n, 0));
    case Op::ArgSort:
      return b_.create<attn::ArgSortOp>(l, axesAttr(n->groups[0]), axesAttr(n->newAxes), number(n->args[0]),
                                        guard(n, 0));
    case Op::Rank:
      return b_.create<attn::RankOp>(l, axesAttr(n->groups[0]), number(n->args[0]), guard(n, 0));
    case Op::Read:
      return computeRead(n, l);
    case Op::Grad: {
      Value loss = value(n->args[0]), wrt = tensor(n->tensor);
      return b_.create<attn::GradOp>(l, convert(loss, isa<FloatType>(elemOf(loss)) ? elemOf(loss) : f32_), wrt,
                                     axesAttr(n->kept));
    }
    case Op::Detach:
      return b_.create<attn::DetachOp>(l, value(n->args[0]), n->tensor >= 0);
    case Op::Tensor:
    case Op::Sort:
    case Op::Where:
    case Op::Fill:
    case Op::Present:
      break;
    }
    llvm_unreachable("not an operation of the total graph");
  }

  static attn::Reduction reduction(RedOp op) { return static_cast<attn::Reduction>(op); }

  //===--- maps -------------------------------------------------------------===//

  static attn::MapFn castOf(DType dtype) {
    switch (dtype) {
    case DType::F32:
      return attn::MapFn::CastF32;
    case DType::F16:
      return attn::MapFn::CastF16;
    case DType::BF16:
      return attn::MapFn::CastBF16;
    case DType::F64:
      return attn::MapFn::CastF64;
    case DType::I32:
      return attn::MapFn::CastI32;
    case DType::I64:
      return attn::MapFn::CastI64;
    case DType::Bool:
      return attn::MapFn::CastBool;
    }
    llvm_unreachable("dtype");
  }

  Value computeMap(const Node *n, Location l) {
    switch (n->fn) {
    case Fn::ToReal:
    case Fn::ToInt:
    case Fn::ToBool:
      return value(n->args[0], elemOf(n));
    case Fn::Cast:
      return map(l, castOf(n->dtype), value(n->args[0]));
    case Fn::Select: {
      Value cond = value(n->args[0], i1_);
      return map(l, attn::MapFn::Select, {cond, value(n->args[1], elemOf(n)), value(n->args[2], elemOf(n))});
    }
    case Fn::Not:
    case Fn::And:
    case Fn::Or:
      return fold(n, l, i1_);
    case Fn::Lt:
    case Fn::Le:
    case Fn::Gt:
    case Fn::Ge:
    case Fn::Eq:
    case Fn::Ne:
    case Fn::IsFinite: {
      // The operands' own type: the result does not say it.
      Class c = Class::Free;
      Kind kind = n->fn == Fn::IsFinite ? Kind::Real : Kind::Int;
      for (const Node *a : n->args)
        if (a->kind == Kind::Real) {
          kind = Kind::Real;
          c = join(c, classes_.of(a));
        } else
          c = join(c, std::min(classes_.of(a), Class::F32));
      return fold(n, l, kind == Kind::Real ? elemOf(c) : i64_);
    }
    default:
      return fold(n, l, elemOf(n));
    }
  }

  /// fn over the args as `elem`; more than two go from the left.
  Value fold(const Node *n, Location l, Type elem) {
    auto fn = static_cast<attn::MapFn>(n->fn);
    SmallVector<Value> args;
    for (const Node *a : n->args)
      args.push_back(value(a, elem));
    if (args.size() <= 2 || n->fn == Fn::Clamp || n->fn == Fn::Min || n->fn == Fn::Max || n->fn == Fn::LogAddExp)
      return map(l, fn, args);
    Value result = args[0];
    for (Value arg : llvm::drop_begin(args))
      result = map(l, fn, {result, arg});
    return result;
  }

  //===--- reads ------------------------------------------------------------===//

  Value computeRead(const Node *n, Location l) {
    Value source = value(n->args[0], elemOf(n));
    SmallVector<StringAttr> axes;
    SmallVector<Value> indices;
    auto add = [&](AxisId a, Value index) {
      if (attn::hasAxis(source, axis(a))) {
        axes.push_back(axis(a));
        indices.push_back(index);
      }
    };
    for (const ReadItem &item : n->reads) {
      Value rest = value(item.index, i64_);
      for (size_t k = item.leaves.size(); k-- > 1;) {
        ExtentRef extent = extentSpecialise(program_.axes[item.leaves[k]].extent, options_.symbols);
        std::optional<int64_t> c = extentAsConst(extent);
        Value radix = c ? integer(l, *c) : b_.create<attn::ExtentOp>(l, b_.getStringAttr(text(extent))).getResult();
        add(item.leaves[k], map(l, attn::MapFn::Mod, {rest, radix}));
        rest = map(l, attn::MapFn::IDiv, {rest, radix});
      }
      add(item.leaves[0], rest);
    }
    if (axes.empty())
      return source;
    return b_.create<attn::ReadOp>(l, source, axes, indices);
  }

  //===--- reductions -------------------------------------------------------===//

  Value computeSoftmax(const Node *n, Location l) {
    Class c = Class::Free;
    std::string key;
    for (size_t i = 0; i < n->args.size(); ++i) {
      c = join(c, classes_.of(n->args[i]));
      const Node *g = i < n->guards.size() ? n->guards[i] : nullptr;
      if (g)
        c = join(c, std::min(classes_.of(g), Class::F32));
      key += std::to_string(n->args[i]->id) + (g ? "g" + std::to_string(g->id) : "") + "[";
      for (AxisId a : n->groups[i])
        key += std::to_string(a) + " ";
    }
    SmallVector<Value> &results = softmaxes_[key];
    if (results.empty()) {
      SmallVector<Value> args, guards;
      for (size_t i = 0; i < n->args.size(); ++i) {
        args.push_back(value(n->args[i], elemOf(c)));
        guards.push_back(guard(n, i));
      }
      auto op = b_.create<attn::SoftmaxOp>(l, ArrayRef<Value>(args), ArrayRef<Value>(guards), dimsAttr(n->groups));
      results.assign(op.getOuts().begin(), op.getOuts().end());
    }
    return convert(results[n->which], elemOf(n));
  }

  /// What a reduction gives over nothing.
  Value identity(Location l, attn::Reduction red, Type elem) {
    double inf = std::numeric_limits<double>::infinity();
    bool isReal = isa<FloatType>(elem);
    switch (red) {
    case attn::Reduction::Prod:
      return isReal ? real(l, 1, elem) : integer(l, 1);
    case attn::Reduction::Max:
    case attn::Reduction::LogSumExp:
      return isReal ? real(l, -inf, elem) : integer(l, std::numeric_limits<int64_t>::min());
    case attn::Reduction::Min:
      return isReal ? real(l, inf, elem) : integer(l, std::numeric_limits<int64_t>::max());
    case attn::Reduction::Any:
      return boolean(l, false);
    case attn::Reduction::All:
      return boolean(l, true);
    default:
      return isReal ? real(l, 0, elem) : integer(l, 0);
    }
  }

  /// One operand of a union, reduced over its own group (an empty one: the operand itself where it is there).
  Value part(Location l, attn::Reduction red, ArrayAttr group, Value v, Value guard) {
    if (!group.empty())
      return b_.create<attn::ReduceOp>(l, red, group, v, guard);
    if (red == attn::Reduction::Count) {
      Value there = elemOf(v) == i1_ ? v : Value();
      if (guard)
        there = there ? map(l, attn::MapFn::And, {there, guard}) : guard;
      return there ? map(l, attn::MapFn::ToI64, there) : integer(l, 1);
    }
    if (red == attn::Reduction::Norm)
      v = map(l, attn::MapFn::Abs, v);
    return guard ? map(l, attn::MapFn::Select, {guard, v, identity(l, red, elemOf(v))}) : v;
  }

  Value combine(Location l, attn::Reduction red, Value x, Value y) {
    switch (red) {
    case attn::Reduction::Prod:
      return map(l, attn::MapFn::Mul, {x, y});
    case attn::Reduction::Max:
      return map(l, attn::MapFn::Max, {x, y});
    case attn::Reduction::Min:
      return map(l, attn::MapFn::Min, {x, y});
    case attn::Reduction::Any:
      return map(l, attn::MapFn::Or, {x, y});
    case attn::Reduction::All:
      return map(l, attn::MapFn::And, {x, y});
    case attn::Reduction::LogSumExp:
      return map(l, attn::MapFn::LogAddExp, {x, y});
    default:
      return map(l, attn::MapFn::Add, {x, y});
    }
  }

  Value computeReduce(const Node *n, Location l) {
    attn::Reduction red = reduction(n->red);
    auto operand = [&](size_t i) {
      switch (red) {
      case attn::Reduction::Count:
        return value(n->args[i]);
      case attn::Reduction::Any:
      case attn::Reduction::All:
        return value(n->args[i], i1_);
      default:
        return value(n->args[i], elemOf(n));
      }
    };
    if (n->args.size() == 1 && !n->groups[0].empty())
      return b_.create<attn::ReduceOp>(l, red, axesAttr(n->groups[0]), operand(0), guard(n, 0));

    // A union: the parts' reductions combined. mean and norm go through sums.
    bool isMean = red == attn::Reduction::Mean, isNorm = red == attn::Reduction::Norm;
    if (isMean)
      TALLY("emit: the mean of a union");
    else if (isNorm)
      TALLY("emit: the norm of a union");
    else if (red == attn::Reduction::Count)
      TALLY("emit: a union counted");
    else
      TALLY("emit: any other reduction of a union");
    attn::Reduction each = isMean ? attn::Reduction::Sum : red;
    Value total, count;
    for (size_t i = 0; i < n->args.size(); ++i) {
      ArrayAttr group = axesAttr(n->groups[i]);
      Value v = operand(i), g = guard(n, i);
      Value one = part(l, each, group, v, g);
      if (isNorm)
        one = map(l, attn::MapFn::Mul, {one, one});
      total = total ? combine(l, each, total, one) : one;
      if (isMean) {
        Value members = part(l, attn::Reduction::Count, group, real(l, 0, elemOf(v)), g);
        count = count ? map(l, attn::MapFn::Add, {count, members}) : members;
      }
    }
    if (isNorm)
      return map(l, attn::MapFn::Sqrt, total);
    if (isMean) {
      count = convert(map(l, attn::MapFn::Max, {count, integer(l, 1)}), elemOf(total));
      return map(l, attn::MapFn::Div, {total, count});
    }
    return total;
  }
};

} // namespace

OwningOpRef<ModuleOp> emitAttn(MLIRContext &context, const Program &program, const EmitOptions &options) {
  context.getOrLoadDialect<attn::AttnDialect>();
  return Emitter(context, program, options).run();
}

} // namespace attnc
