//===- CUDA C++ text of a gpu.module --------------------------------------===//
//
// One statement per op, in order; names are numbered per kernel. Nothing is decided here: an op either has a word in
// CUDA C++ or is a call of the device header.
//===----------------------------------------------------------------------===//
#include "codegen/cuda/Cuda.h"
#include "codegen/cuda/Passes.h"
#include "llvm/ADT/StringSet.h"
#include <fmt/format.h>

using namespace mlir;

namespace attnc::cuda {

/// Words of C++ and of the device header are not free: every name ends in an underscore.
static std::string identifier(llvm::StringRef s) {
  std::string out;
  for (char c : s)
    out += isalnum((unsigned char)c) || c == '_' ? std::string(1, c) : fmt::format("_u{:02x}", (unsigned char)c);
  return out + "_";
}

std::string kernelName(llvm::StringRef symbol) { return identifier(symbol); }

namespace {

class Printer {
public:
  std::string text, error;

  bool module(ModuleOp module) {
    for (auto device : module.getOps<gpu::GPUModuleOp>())
      for (auto func : device.getOps<gpu::GPUFuncOp>())
        if (!kernel(func))
          return false;
    return true;
  }

private:
  static std::string typeName(Type type) {
    if (type.isF32())
      return "float";
    if (type.isF64())
      return "double";
    if (type.isF16())
      return "f16";
    if (type.isBF16())
      return "bf16";
    if (type.isInteger(1))
      return "bool";
    if (type.isIndex())
      return "i64";
    return fmt::format("i{}", type.getIntOrFloatBitWidth());
  }

  std::string name(Value v) { return names_.lookup(v); }

  /// The same as an operand of `sign`, in brackets where it is an expression that binds less.
  std::string operand(Value v, char sign, bool right) {
    auto found = binding_.find(v);
    bool sum = found != binding_.end() && found->second == 1, product = found != binding_.end() && !sum;
    bool bracket = (sum && (sign == '*' || (right && sign == '-'))) || (product && right && sign == '*');
    return bracket ? "(" + name(v) + ")" : name(v);
  }

  /// Index arithmetic that is used once, where it stands, needs no name. What a yield hands on keeps one: it would be
  /// read after variables have changed.
  static bool inlined(Operation &op) {
    if (!op.getResult(0).hasOneUse() || !op.getResult(0).getType().isInteger(64))
      return false;
    Operation *user = *op.getResult(0).user_begin();
    if (isa<arith::IndexCastOp>(user) && user->getResult(0).hasOneUse())
      user = *user->getResult(0).user_begin();
    return user->getBlock() == op.getBlock() &&
           isa<arith::AddIOp, arith::SubIOp, arith::MulIOp, memref::LoadOp, memref::StoreOp>(user) && plain(*user);
  }

  /// Not an addition that may wrap.
  static bool plain(Operation &op) {
    auto flags = dyn_cast<arith::ArithIntegerOverflowFlagsInterface>(op);
    return !flags || bitEnumContainsAny(flags.getOverflowAttr().getValue(), arith::IntegerOverflowFlags::nsw);
  }

  void line(const std::string &s) { text += std::string(size_t(depth_) * 2, ' ') + s + "\n"; }

  /// A name for a value, from the letter of its type.
  std::string fresh(Value v) {
    Type type = v.getType();
    const char *letter = isa<MemRefType>(type) ? "p" : isa<FloatType>(type) ? "x" : type.isInteger(1) ? "c" : "k";
    return names_[v] = fmt::format("{}{}", letter, next_++);
  }

  void define(Value v, const std::string &expression) {
    Type type = v.getType();
    std::string id = fresh(v);
    line(fmt::format("const {} {} = {};", typeName(type), id, expression));
  }

  bool kernel(gpu::GPUFuncOp func) {
    names_.clear();
    binding_.clear();
    next_ = 0;
    rolled_ = func->hasAttr("attnc.rolled");
    std::string params;
    llvm::StringSet<> taken;
    for (BlockArgument arg : func.getArguments().take_front(func.getNumArguments())) {
      auto given = func.getArgAttrOfType<StringAttr>(arg.getArgNumber(), "attnc.name");
      std::string id = identifier(given ? given.getValue().str() : fmt::format("a{}", arg.getArgNumber()));
      // A tensor may have the name that a stride or an extent got.
      while (!taken.insert(id).second)
        id += "x";
      names_[arg] = id;
      std::string type = isa<MemRefType>(arg.getType())
                             ? typeName(cast<MemRefType>(arg.getType()).getElementType()) + " *"
                             : typeName(arg.getType()) + " ";
      params += fmt::format("{}{}{}", params.empty() ? "" : ", ", type, id);
    }
    int64_t threads = func.getKnownBlockSize() ? (*func.getKnownBlockSize())[0] : 256;
    text += fmt::format("extern \"C\" __global__ void __launch_bounds__({}, 1) {}({}) {{\n", threads,
                        kernelName(func.getName()), params);
    depth_ = 1;
    for (BlockArgument shared : func.getWorkgroupAttributions()) {
      auto type = cast<MemRefType>(shared.getType());
      names_[shared] = fmt::format("s{}", next_++);
      line(fmt::format("SHARED({}, {}, {});", typeName(type.getElementType()), names_[shared], type.getNumElements()));
    }
    if (!block(func.front()))
      return false;
    text += "}\n\n";
    return true;
  }

  bool block(Block &b) {
    for (Operation &op : b) {
      if (!operation(op))
        return false;
    }
    return true;
  }

  std::string constant(TypedAttr attr) {
    if (auto f = dyn_cast<FloatAttr>(attr)) {
      APInt bits = f.getValue().bitcastToAPInt();
      const char *of = attr.getType().isF64() ? "f64_bits" : "f32_bits";
      SmallString<32> plain;
      f.getValue().toString(plain, 9, 0, true);
      return fmt::format("{}(0x{}) /* {} */", of, llvm::utohexstr(bits.getZExtValue(), true), plain.str().str());
    }
    APInt v = cast<IntegerAttr>(attr).getValue();
    if (attr.getType().isInteger(1))
      return v.isZero() ? "false" : "true";
    if (v.isMinSignedValue() && v.getBitWidth() == 64)
      return "(-9223372036854775807ll - 1)";
    return v.getBitWidth() == 64 ? fmt::format("{}ll", v.getSExtValue()) : std::to_string(v.getSExtValue());
  }

  static const char *comparison(arith::CmpIPredicate p) {
    switch (p) {
    case arith::CmpIPredicate::eq:
      return "==";
    case arith::CmpIPredicate::ne:
      return "!=";
    case arith::CmpIPredicate::slt:
    case arith::CmpIPredicate::ult:
      return "<";
    case arith::CmpIPredicate::sle:
    case arith::CmpIPredicate::ule:
      return "<=";
    case arith::CmpIPredicate::sgt:
    case arith::CmpIPredicate::ugt:
      return ">";
    default:
      return ">=";
    }
  }

  std::string compare(arith::CmpIOp op) {
    std::string a = name(op.getLhs()), b = name(op.getRhs());
    bool isUnsigned = op.getPredicate() >= arith::CmpIPredicate::ult && !op.getLhs().getType().isInteger(1);
    return isUnsigned ? fmt::format("(u64){} {} (u64){}", a, comparison(op.getPredicate()), b)
                      : fmt::format("{} {} {}", a, comparison(op.getPredicate()), b);
  }

  std::string compare(arith::CmpFOp op) {
    std::string a = name(op.getLhs()), b = name(op.getRhs());
    switch (op.getPredicate()) {
    case arith::CmpFPredicate::OEQ:
      return a + " == " + b;
    case arith::CmpFPredicate::UNE:
      return a + " != " + b;
    case arith::CmpFPredicate::OLT:
      return a + " < " + b;
    case arith::CmpFPredicate::OLE:
      return a + " <= " + b;
    case arith::CmpFPredicate::OGT:
      return a + " > " + b;
    case arith::CmpFPredicate::OGE:
      return a + " >= " + b;
    case arith::CmpFPredicate::ORD:
      return fmt::format("!is_nan({}) && !is_nan({})", a, b);
    case arith::CmpFPredicate::UNO:
      return fmt::format("is_nan({}) || is_nan({})", a, b);
    default:
      return {};
    }
  }

  /// What stands between two operands.
  static const char *infix(Operation &op) {
    StringRef n = op.getName().stripDialect();
    return llvm::StringSwitch<const char *>(n)
        .Case("addf", "+")
        .Case("subf", "-")
        .Case("mulf", "*")
        .Case("divf", "/")
        .Cases("andi", "andb", "&")
        .Case("ori", "|")
        .Case("xori", "^")
        .Default(nullptr);
  }

  static const char *wrappingName(char sign) { return sign == '+' ? "add_i64" : sign == '-' ? "sub_i64" : "mul_i64"; }

  static const char *wrapping(Operation &op) {
    return llvm::StringSwitch<const char *>(op.getName().stripDialect())
        .Case("addi", "+")
        .Case("subi", "-")
        .Case("muli", "*")
        .Default(nullptr);
  }

  /// Functions of the device header, or of CUDA, by op and type.
  static std::string function(Operation &op) {
    Type type = op.getNumOperands() ? op.getOperand(0).getType() : Type();
    const char *f = type && type.isF32() ? "f" : "";
    StringRef dialect = op.getName().getDialectNamespace(), n = op.getName().stripDialect();
    if (dialect == "math") {
      std::string c = llvm::StringSwitch<std::string>(n)
                          .Cases("exp", "exp2", "expm1", "log", "log1p", n.str())
                          .Cases("sqrt", "sin", "cos", "tanh", "erf", n.str())
                          .Cases("floor", "ceil", n.str())
                          .Case("absf", "fabs")
                          .Case("roundeven", "rint")
                          .Case("powf", "pow")
                          .Default("");
      if (!c.empty())
        return c + f;
      return llvm::StringSwitch<std::string>(n)
          .Case("absi", "abs_i64")
          .Case("ctlz", "clz_i64")
          .Case("fma", std::string("fma") + f)
          .Default("");
    }
    return llvm::StringSwitch<std::string>(n)
        .Case("maximumf", "max_nan")
        .Case("minimumf", "min_nan")
        .Case("maxsi", "max_i64")
        .Case("minsi", "min_i64")
        .Case("floordivsi", "floor_div")
        .Case("divui", "div_u64")
        .Case("shli", "shl_i64")
        .Case("shrsi", "shr_i64")
        .Default("");
  }

  std::string castText(Operation &op) {
    Type from = op.getOperand(0).getType(), to = op.getResult(0).getType();
    std::string v = name(op.getOperand(0));
    if (from.isBF16() || from.isF16() || to.isBF16() || to.isF16())
      return fmt::format("{}_of_{}({})", shortName(to), shortName(from), v);
    return fmt::format("({}){}", typeName(to), v);
  }
  static std::string shortName(Type t) { return t.isF32() ? "f32" : t.isF64() ? "f64" : t.isF16() ? "f16" : "bf16"; }

  bool operation(Operation &op) {
    if (isa<scf::YieldOp, gpu::ReturnOp>(op))
      return true;
    if (auto c = dyn_cast<arith::ConstantOp>(op)) {
      // Integers stand where they are used; floats get a name.
      if (isa<FloatType>(c.getType()))
        define(c, constant(c.getValue()));
      else
        names_[c] = constant(c.getValue());
      return true;
    }
    if (isa<arith::IndexCastOp>(op)) {
      names_[op.getResult(0)] = name(op.getOperand(0));
      return true;
    }
    if (isa<memref::CastOp, memref::MemorySpaceCastOp>(op)) {
      names_[op.getResult(0)] = name(op.getOperand(0));
      return true;
    }
    if (auto id = dyn_cast<gpu::ThreadIdOp>(op))
      return define(id, "thread()"), true;
    if (auto id = dyn_cast<gpu::BlockDimOp>(op))
      return define(id, "threads()"), true;
    if (auto id = dyn_cast<gpu::BlockIdOp>(op))
      return define(id, "block()"), true;
    if (auto id = dyn_cast<gpu::GridDimOp>(op))
      return define(id, "blocks()"), true;
    if (isa<gpu::BarrierOp>(op))
      return line("barrier();"), true;
    if (auto view = dyn_cast<memref::ViewOp>(op)) {
      std::string type = typeName(view.getType().getElementType());
      std::string id = fresh(view);
      line(fmt::format("{} *const {} = ({} *)({} + {});", type, id, type, name(view.getSource()),
                       name(view.getByteShift())));
      return true;
    }
    if (auto load = dyn_cast<memref::LoadOp>(op))
      return define(load, fmt::format("load({}, {})", name(load.getMemref()), name(load.getIndices()[0]))), true;
    if (auto store = dyn_cast<memref::StoreOp>(op)) {
      line(fmt::format("store({}, {}, {});", name(store.getMemref()), name(store.getIndices()[0]),
                       name(store.getValue())));
      return true;
    }
    if (auto call = dyn_cast<func::CallOp>(op)) {
      auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(call, call.getCalleeAttr());
      std::string args;
      for (Value v : call.getOperands())
        args += (args.empty() ? "" : ", ") + name(v);
      std::string expression =
          fmt::format("{}({})", callee->getAttrOfType<StringAttr>("attnc.name").getValue().str(), args);
      if (call.getNumResults())
        define(call.getResult(0), expression);
      else
        line(expression + ";");
      return true;
    }
    if (auto c = dyn_cast<arith::CmpIOp>(op))
      return define(c, compare(c)), true;
    if (auto c = dyn_cast<arith::CmpFOp>(op)) {
      std::string expression = compare(c);
      return expression.empty() ? refuse(op) : (define(c, expression), true);
    }
    if (auto s = dyn_cast<arith::SelectOp>(op))
      return define(s, fmt::format("{} ? {} : {}", name(s.getCondition()), name(s.getTrueValue()),
                                   name(s.getFalseValue()))),
             true;
    if (isa<arith::ExtFOp, arith::TruncFOp, arith::ExtSIOp, arith::ExtUIOp, arith::TruncIOp, arith::SIToFPOp,
            arith::UIToFPOp, arith::FPToSIOp>(op))
      return define(op.getResult(0), castText(op)), true;
    if (auto n = dyn_cast<arith::NegFOp>(op))
      return define(n, "-" + name(n.getOperand())), true;
    if (auto loop = dyn_cast<scf::ForOp>(op))
      return forLoop(loop);
    if (auto choice = dyn_cast<scf::IfOp>(op))
      return ifElse(choice);
    if (op.getNumResults() == 1 && op.getNumOperands() == 2) {
      std::string a = name(op.getOperand(0)), b = name(op.getOperand(1));
      if (const char *sign = infix(op)) {
        bool logic = op.getResult(0).getType().isInteger(1);
        const char *shown = !logic ? sign : *sign == '&' ? "&" : *sign == '|' ? "|" : "!=";
        define(op.getResult(0), fmt::format("{} {} {}", a, shown, b));
        return true;
      }
      if (const char *sign = wrapping(op)) {
        if (!plain(op)) {
          define(op.getResult(0), fmt::format("{}({}, {})", wrappingName(*sign), a, b));
          return true;
        }
        std::string expression = fmt::format("{} {} {}", operand(op.getOperand(0), *sign, false), sign,
                                             operand(op.getOperand(1), *sign, true));
        if (inlined(op)) {
          names_[op.getResult(0)] = expression;
          binding_[op.getResult(0)] = *sign == '*' ? 2 : 1;
        } else {
          define(op.getResult(0), expression);
        }
        return true;
      }
    }
    if (std::string f = function(op); !f.empty() && op.getNumResults() == 1) {
      std::string args;
      for (Value v : op.getOperands())
        args += (args.empty() ? "" : ", ") + name(v);
      define(op.getResult(0), fmt::format("{}({})", f, args));
      return true;
    }
    return refuse(op);
  }

  bool refuse(Operation &op) {
    error = fmt::format("there is no CUDA text for {}", op.getName().getStringRef().str());
    return false;
  }

  /// Gives the variables `to` the values `from`; through copies where one of `to` is among `from`.
  void assign(ValueRange to, ValueRange from) {
    bool crossing = false;
    for (auto [i, f] : llvm::enumerate(from))
      for (auto [k, t] : llvm::enumerate(to))
        crossing |= i != k && f == t;
    SmallVector<std::string> sources;
    for (Value f : from) {
      sources.push_back(name(f));
      if (crossing) {
        std::string id = fmt::format("t{}", next_++);
        line(fmt::format("const {} {} = {};", typeName(f.getType()), id, sources.back()));
        sources.back() = id;
      }
    }
    for (auto [t, s] : llvm::zip(to, sources))
      if (name(t) != s)
        line(fmt::format("{} = {};", name(t), s));
  }

  void comment(Operation *op) {
    if (auto note = op->getAttrOfType<StringAttr>("attnc.note")) {
      auto at = op->getLoc()->findInstanceOf<FileLineColLoc>();
      line(fmt::format("// {}{}", at ? fmt::format("line {}: ", at.getLine()) : "", note.getValue().str()));
    }
  }

  bool forLoop(scf::ForOp loop) {
    comment(loop);
    for (auto [arg, init, result] : llvm::zip(loop.getRegionIterArgs(), loop.getInitArgs(), loop.getResults())) {
      std::string id = fresh(arg);
      names_[result] = id;
      line(fmt::format("{} {} = {};", typeName(arg.getType()), id, name(init)));
    }
    std::string i = fresh(loop.getInductionVar());
    line(fmt::format("{4}for (i64 {0} = {1}; {0} < {2}; {0} += {3}) {{", i, name(loop.getLowerBound()),
                     name(loop.getUpperBound()), name(loop.getStep()), rolled_ ? "ROLLED " : ""));
    ++depth_;
    if (!block(*loop.getBody()))
      return false;
    if (loop.getNumResults())
      assign(loop.getRegionIterArgs(), loop.getBody()->getTerminator()->getOperands());
    --depth_;
    line("}");
    return true;
  }

  bool ifElse(scf::IfOp choice) {
    comment(choice);
    for (Value r : choice.getResults()) {
      std::string id = fresh(r);
      line(fmt::format("{} {};", typeName(r.getType()), id));
    }
    line(fmt::format("if ({}) {{", name(choice.getCondition())));
    ++depth_;
    if (!block(*choice.thenBlock()))
      return false;
    if (choice.getNumResults())
      assign(choice.getResults(), choice.thenYield().getOperands());
    --depth_;
    if (choice.elseBlock()) {
      line("} else {");
      ++depth_;
      if (!block(*choice.elseBlock()))
        return false;
      if (choice.getNumResults())
        assign(choice.getResults(), choice.elseYield().getOperands());
      --depth_;
    }
    line("}");
    return true;
  }

  llvm::DenseMap<Value, std::string> names_;
  llvm::DenseMap<Value, int> binding_; ///< of names that are expressions: 1 sums, 2 products
  int next_ = 0, depth_ = 0;
  bool rolled_ = false;
};

} // namespace

bool printCuda(ModuleOp module, std::string &text, std::string &error) {
  Printer p;
  if (!p.module(module)) {
    error = p.error;
    return false;
  }
  text = std::move(p.text);
  return true;
}

} // namespace attnc::cuda
