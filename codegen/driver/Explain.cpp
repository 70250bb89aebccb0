//===- What a tile program does, in numbers -------------------------------===//
#include "codegen/driver/Explain.h"
#include "codegen/driver/Buffers.h"
#include "dialect/tile/Tile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "runtime/Bind.h"
#include "runtime/KernelRun.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"
#include <fmt/format.h>

using namespace mlir;

namespace attnc {

namespace {

struct Work {
  double flops = 0, points = 0, stores = 0;
  Work &operator+=(const Work &o) {
    flops += o.flops;
    points += o.points;
    stores += o.stores;
    return *this;
  }
  Work operator*(double n) const { return {flops * n, points * n, stores * n}; }
};

class Explainer {
public:
  Explainer(tile::ProgramOp program, const Signature &signature, const std::vector<int64_t> &symbols)
      : program_(program), signature_(signature) {
    for (auto [i, name] : llvm::enumerate(program.getSymbols()))
      for (size_t k = 0; k < signature.symbols.size(); ++k)
        if (cast<StringAttr>(name).getValue() == signature.symbols[k].name)
          values_[program.getBlock()->getArgument(unsigned(i))] = symbols[k];
    auto sizes = [&](const std::vector<Argument> &list, std::vector<double> &out) {
      for (const Argument &a : list) {
        double n = 1;
        for (int64_t e : argumentShape(a, symbols))
          n *= double(e);
        out.push_back(n);
      }
    };
    sizes(signature.inputs, inputElements_);
    sizes(signature.outputs, outputElements_);
    for (size_t k = 0; k < symbols.size(); ++k)
      sizes_[signature.symbols[k].name] = symbols[k];
  }

  Explanation run() {
    llvm::json::Array kernels;
    Explanation result;
    text_ = fmt::format("mixer {} with {}\n", signature_.mixer, sizesText());
    block(*program_.getBlock(), 1, kernels, result.flops, result.bytes);
    llvm::json::Object sizes;
    for (auto &[name, value] : sizes_)
      sizes[name] = value;
    text_ +=
        fmt::format("workspace {}; {} FLOPs, {} in all{}\n", bytesText(int64_t(workspace_)), countText(result.flops),
                    bytesText(int64_t(result.bytes)), approximate_ ? "; approximate: some bounds depend on data" : "");
    llvm::raw_string_ostream os(result.json);
    os << llvm::json::Value(llvm::json::Object{{"mixer", signature_.mixer},
                                               {"sizes", std::move(sizes)},
                                               {"kernels", std::move(kernels)},
                                               {"buffers", std::move(buffers_)},
                                               {"workspace_bytes", int64_t(workspace_)},
                                               {"flops", result.flops},
                                               {"bytes", result.bytes},
                                               {"approximate", approximate_}});
    result.text = std::move(text_);
    return result;
  }

private:
  std::string sizesText() const {
    std::string text;
    for (auto &[name, value] : sizes_)
      text += fmt::format("{}{}={}", text.empty() ? "" : ", ", name, value);
    return text.empty() ? "no extents to choose" : text;
  }
  static std::string countText(double n) {
    const char *units[] = {"", "k", "M", "G", "T", "P"};
    int unit = 0;
    while (n >= 10000 && unit < 5) {
      n /= 1000;
      ++unit;
    }
    return fmt::format("{:.4g}{}", n, units[unit]);
  }

  /// Value of an i64, if it follows from the extents and the loop positions in force.
  std::optional<int64_t> eval(Value v) {
    auto known = values_.find(v);
    if (known != values_.end())
      return known->second;
    Operation *op = v.getDefiningOp();
    if (!op)
      return std::nullopt;
    if (auto c = dyn_cast<arith::ConstantOp>(op)) {
      if (auto i = dyn_cast<IntegerAttr>(c.getValue()))
        return i.getValue().getSExtValue();
      return std::nullopt;
    }
    if (auto s = dyn_cast<arith::SelectOp>(op)) {
      auto c = eval(s.getCondition());
      return !c ? std::nullopt : eval(*c ? s.getTrueValue() : s.getFalseValue());
    }
    if (isa<arith::ExtUIOp, arith::ExtSIOp, arith::IndexCastOp, arith::TruncIOp>(op))
      return eval(op->getOperand(0));
    if (op->getNumOperands() != 2)
      return std::nullopt;
    auto x = eval(op->getOperand(0)), y = eval(op->getOperand(1));
    if (!x || !y)
      return std::nullopt;
    int64_t a = *x, b = *y;
    if (auto c = dyn_cast<arith::CmpIOp>(op)) {
      switch (c.getPredicate()) {
      case arith::CmpIPredicate::eq:
        return a == b;
      case arith::CmpIPredicate::ne:
        return a != b;
      case arith::CmpIPredicate::slt:
        return a < b;
      case arith::CmpIPredicate::sle:
        return a <= b;
      case arith::CmpIPredicate::sgt:
        return a > b;
      case arith::CmpIPredicate::sge:
        return a >= b;
      default:
        return std::nullopt;
      }
    }
    if (isa<arith::AddIOp>(op))
      return int64_t(uint64_t(a) + uint64_t(b));
    if (isa<arith::SubIOp>(op))
      return int64_t(uint64_t(a) - uint64_t(b));
    if (isa<arith::MulIOp>(op))
      return int64_t(uint64_t(a) * uint64_t(b));
    if (isa<arith::MinSIOp>(op))
      return std::min(a, b);
    if (isa<arith::MaxSIOp>(op))
      return std::max(a, b);
    if (isa<arith::AndIOp>(op))
      return a & b;
    if (isa<arith::OrIOp>(op))
      return a | b;
    if (isa<arith::XOrIOp>(op))
      return a ^ b;
    if (isa<arith::ShRSIOp>(op))
      return b >= 0 && b < 64 ? a >> b : 0;
    if (isa<arith::ShLIOp>(op))
      return b >= 0 && b < 64 ? int64_t(uint64_t(a) << b) : 0;
    bool divides = b != 0 && !(a == INT64_MIN && b == -1);
    if (isa<arith::FloorDivSIOp>(op))
      return divides ? floorDiv(a, b) : 0;
    if (isa<arith::CeilDivSIOp>(op))
      return divides ? -floorDiv(-a, b) : 0;
    if (isa<arith::DivSIOp>(op))
      return divides ? a / b : 0;
    if (isa<arith::RemSIOp>(op))
      return divides ? a % b : 0;
    return std::nullopt;
  }

  int64_t evalOr(Value v, int64_t fallback) {
    if (auto known = eval(v))
      return *known;
    approximate_ = true;
    return fallback;
  }

  /// Positions to look at in a loop of n, and how many each stands for.
  static std::vector<std::pair<int64_t, double>> sample(int64_t n, int64_t most) {
    std::vector<std::pair<int64_t, double>> list;
    if (n <= most) {
      for (int64_t i = 0; i < n; ++i)
        list.emplace_back(i, 1);
      return list;
    }
    for (int64_t k = 0; k < most; ++k)
      list.emplace_back((2 * k + 1) * n / (2 * most), double(n) / double(most));
    return list;
  }

  static double flopsOf(Block &body) {
    double n = 0;
    for (Operation &op : body) {
      bool real = op.getNumResults() == 1 && isa<FloatType>(op.getResult(0).getType());
      StringRef dialect = op.getName().getDialectNamespace();
      if (!real ||
          isa<arith::ConstantOp, arith::SelectOp, arith::ExtFOp, arith::TruncFOp, arith::SIToFPOp, arith::BitcastOp>(
              op))
        continue;
      if (dialect == "arith" || dialect == "math")
        n += isa<math::FmaOp>(op) ? 2 : 1;
    }
    return n;
  }

  Work nest(tile::NestOp op) {
    double par = 1, inner = 1;
    for (auto [lo, hi] : llvm::zip(op.getParLo(), op.getParHi()))
      par *= double(std::max<int64_t>(0, evalOr(hi, 1) - evalOr(lo, 0)));
    for (auto [lo, hi] : llvm::zip(op.getInnerLo(), op.getInnerHi()))
      inner *= double(std::max<int64_t>(0, evalOr(hi, 1) - evalOr(lo, 0)));
    Work w;
    w.points = par * inner;
    double combine = 0;
    for (tile::Combiner c : op.getCombinerKinds())
      combine += c != tile::Combiner::Any && c != tile::Combiner::All ? 1 : 0;
    w.flops = par * inner * (flopsOf(op.getBody().front()) + (op.isReduction() ? combine : 0));
    if (!op.getFinish().empty())
      w.flops += par * flopsOf(op.getFinish().front());
    return w;
  }

  Work body(Block &b, int64_t most) {
    Work total;
    for (Operation &op : b) {
      if (auto n = dyn_cast<tile::NestOp>(op)) {
        total += nest(n);
      } else if (auto loop = dyn_cast<tile::ForOp>(op)) {
        int64_t lo = evalOr(loop.getLo(), 0), hi = evalOr(loop.getHi(), 1), step = evalOr(loop.getStep(), 1);
        int64_t trips = step > 0   ? (hi > lo ? (hi - lo - 1) / step + 1 : 0)
                        : step < 0 ? (lo > hi ? (lo - hi - 1) / -step + 1 : 0)
                                   : 0;
        for (auto [i, weight] : sample(trips, most)) {
          values_[loop.getIv()] = lo + i * step;
          total += body(loop.getBody().front(), std::max<int64_t>(4, most / 2)) * weight;
        }
        values_.erase(loop.getIv());
      }
    }
    return total;
  }

  /// Work of all instances of a kernel.
  Work grid(tile::KernelOp kernel, unsigned dim, int64_t most) {
    if (dim == kernel.getExtents().size())
      return body(kernel.getBody().front(), 16);
    Work total;
    BlockArgument position = kernel.getBody().front().getArgument(dim);
    for (auto [i, weight] : sample(evalOr(kernel.getExtents()[dim], 1), most)) {
      values_[position] = i;
      total += grid(kernel, dim + 1, std::max<int64_t>(3, most / 2)) * weight;
    }
    values_.erase(position);
    return total;
  }

  double elements(Value buffer) {
    if (auto alloc = buffer.getDefiningOp<tile::AllocOp>()) {
      double n = 1;
      for (Value e : alloc.getExtents())
        n *= double(std::max<int64_t>(1, evalOr(e, 1)));
      return n;
    }
    auto arg = buffer.getDefiningOp<tile::ArgOp>();
    const std::vector<Argument> &list = arg.getKind() == tile::ArgKind::Input ? signature_.inputs : signature_.outputs;
    const std::vector<double> &counts = arg.getKind() == tile::ArgKind::Input ? inputElements_ : outputElements_;
    for (size_t i = 0; i < list.size(); ++i)
      if (arg.getName() == list[i].name)
        return counts[i];
    return 0;
  }
  static double elementBytes(Value buffer) {
    return std::max(1u, cast<tile::BufType>(buffer.getType()).getElementType().getIntOrFloatBitWidth() / 8);
  }

  static llvm::json::Value place(Location loc) {
    if (auto at = loc->findInstanceOf<FileLineColLoc>())
      return int64_t(at.getLine());
    return nullptr;
  }

  static const char *kindOf(tile::NestOp op) {
    return op.getNumInner() == 0 ? "map" : op.getSequential() ? "scatter" : "reduce";
  }

  llvm::json::Object kernel(tile::KernelOp op, double times, double &flops, double &bytes) {
    Work work = grid(op, 0, 16) * times;
    llvm::json::Array extents, nests, scratch;
    double instances = 1;
    for (Value e : op.getExtents()) {
      int64_t n = evalOr(e, 1);
      extents.push_back(n);
      instances *= double(n);
    }
    llvm::SetVector<Value> touched;
    int64_t loops = 0;
    op.walk([&](Operation *inner) {
      if (isa<tile::ForOp>(inner))
        ++loops;
      if (auto n = dyn_cast<tile::NestOp>(inner))
        nests.push_back(llvm::json::Object{{"kind", kindOf(n)},
                                           {"par", int64_t(n.getNumPar())},
                                           {"inner", int64_t(n.getNumInner())},
                                           {"line", place(n.getLoc())}});
      if (auto a = dyn_cast<tile::AllocOp>(inner))
        scratch.push_back(llvm::json::Object{{"name", bufferName(a)}, {"bytes", elements(a) * elementBytes(a)}});
      for (Value operand : inner->getOperands())
        if (isa<tile::BufType>(operand.getType()) && operand.getDefiningOp() &&
            !op->isAncestor(operand.getDefiningOp()))
          touched.insert(operand);
    });
    double kernelBytes = 0;
    llvm::json::Array names;
    for (Value b : touched) {
      kernelBytes += elements(b) * elementBytes(b);
      if (auto arg = b.getDefiningOp<tile::ArgOp>())
        names.push_back(arg.getName().str());
      else
        names.push_back(bufferName(b.getDefiningOp<tile::AllocOp>()));
    }
    kernelBytes *= times;
    std::string grid, around, line;
    for (Value e : op.getExtents())
      grid += fmt::format("{}{}", grid.empty() ? "" : " x ", evalOr(e, 1));
    for (llvm::json::Value &n : names)
      around +=
          fmt::format("{}{}", around.empty() ? "" : ", ", n.getAsString()->empty() ? "-" : n.getAsString()->str());
    if (times != 1)
      line = fmt::format(", {} times in order", times);
    text_ += fmt::format("kernel {}: grid {}{}, {} FLOPs, {}\n  touches {}\n", number_++, grid.empty() ? "1" : grid,
                         line, countText(work.flops), bytesText(int64_t(kernelBytes)), around);
    op.walk([&](tile::NestOp n) {
      std::string at;
      if (auto loc = n.getLoc()->findInstanceOf<FileLineColLoc>())
        at = fmt::format(" (line {})", loc.getLine());
      int depth = 0;
      for (Operation *p = n->getParentOp(); p != op.getOperation(); p = p->getParentOp())
        ++depth;
      text_ += fmt::format("  {}{} over {} par, {} inner dims{}\n", std::string(size_t(depth) * 2, ' '), kindOf(n),
                           n.getNumPar(), n.getNumInner(), at);
    });
    flops += work.flops;
    bytes += kernelBytes;
    return llvm::json::Object{{"grid", std::move(extents)},
                              {"instances", instances},
                              {"times", times},
                              {"loops", loops},
                              {"nests", std::move(nests)},
                              {"scratch", std::move(scratch)},
                              {"touches", std::move(names)},
                              {"line", place(op.getLoc())},
                              {"flops", work.flops},
                              {"bytes", kernelBytes},
                              {"points", work.points}};
  }

  void block(Block &b, double times, llvm::json::Array &kernels, double &flops, double &bytes) {
    for (Operation &op : b) {
      if (auto k = dyn_cast<tile::KernelOp>(op)) {
        kernels.push_back(kernel(k, times, flops, bytes));
      } else if (auto loop = dyn_cast<tile::ForOp>(op)) {
        int64_t lo = evalOr(loop.getLo(), 0), hi = evalOr(loop.getHi(), 1), step = evalOr(loop.getStep(), 1);
        int64_t trips = step == 0 ? 0 : std::max<int64_t>(0, (hi - lo + step - (step > 0 ? 1 : -1)) / step);
        values_[loop.getIv()] = lo + trips / 2 * step;
        block(loop.getBody().front(), times * double(trips), kernels, flops, bytes);
        values_.erase(loop.getIv());
      } else if (auto alloc = dyn_cast<tile::AllocOp>(op)) {
        double size = elements(alloc) * elementBytes(alloc);
        workspace_ += size;
        buffers_.push_back(llvm::json::Object{{"name", bufferName(alloc)}, {"bytes", size}});
      }
    }
  }

  tile::ProgramOp program_;
  const Signature &signature_;
  llvm::DenseMap<Value, int64_t> values_;
  std::vector<double> inputElements_, outputElements_;
  std::map<std::string, int64_t> sizes_;
  llvm::json::Array buffers_;
  std::string text_;
  int number_ = 0;
  double workspace_ = 0;
  bool approximate_ = false;
};

} // namespace

Explanation explainProgram(ModuleOp module, const Signature &signature, const std::vector<int64_t> &symbols) {
  for (auto program : module.getOps<tile::ProgramOp>())
    return Explainer(program, signature, symbols).run();
  return {};
}

} // namespace attnc
