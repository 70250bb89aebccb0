//===- What a tile program does, in numbers -------------------------------===//
#include "codegen/driver/Explain.h"
#include "codegen/driver/Buffers.h"
#include "codegen/driver/IndexValues.h"
#include "codegen/driver/MaskPlan.h"
#include "dialect/tile/Tile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "runtime/Bind.h"
#include "runtime/KernelRun.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"
#include <fmt/format.h>
#include <fmt/ranges.h>

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
  Explainer(tile::ProgramOp program, const Signature &signature, const std::vector<int64_t> &symbols,
            const char *worker)
      : program_(program), signature_(signature), symbols_(symbols), worker_(worker) {
    for (auto [i, name] : llvm::enumerate(program.getSymbols()))
      for (size_t k = 0; k < signature.symbols.size(); ++k)
        if (cast<StringAttr>(name).getValue() == signature.symbols[k].name)
          values_.set(program.getBlock()->getArgument(unsigned(i)), symbols[k]);
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
    llvm::json::Array stored = buffers();
    text_ +=
        fmt::format("workspace {}; {} FLOPs, {} in all{}\n", bytesText(int64_t(workspace_)), countText(result.flops),
                    bytesText(int64_t(result.bytes)), approximate_ ? "; approximate: some bounds depend on data" : "");
    llvm::raw_string_ostream os(result.json);
    os << llvm::json::Value(llvm::json::Object{{"mixer", signature_.mixer},
                                               {"sizes", std::move(sizes)},
                                               {"kernels", std::move(kernels)},
                                               {"buffers", std::move(stored)},
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

  int64_t evalOr(Value v, int64_t fallback) {
    if (auto known = values_.eval(v))
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
          values_.set(loop.getIv(), lo + i * step);
          total += body(loop.getBody().front(), std::max<int64_t>(4, most / 2)) * weight;
        }
        values_.forget(loop.getIv());
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
      values_.set(position, i);
      total += grid(kernel, dim + 1, std::max<int64_t>(3, most / 2)) * weight;
    }
    values_.forget(position);
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

  /// The par dims (bit 0 the first) and whether loaded data decide about a value inside a nest.
  static std::pair<uint64_t, bool> reach(tile::NestOp nest, Value v,
                                         llvm::DenseMap<Value, std::pair<uint64_t, bool>> &seen) {
    if (auto found = seen.find(v); found != seen.end())
      return found->second;
    std::pair<uint64_t, bool> r{0, false};
    if (auto arg = dyn_cast<BlockArgument>(v)) {
      if (arg.getOwner() == &nest.getBody().front() && arg.getArgNumber() < nest.getNumPar())
        r.first = uint64_t(1) << std::min(63u, arg.getArgNumber());
    } else if (Operation *op = v.getDefiningOp(); nest->isAncestor(op)) {
      r.second = isa<tile::LoadOp>(op);
      for (Value operand : op->getOperands()) {
        auto [dims, data] = reach(nest, operand, seen);
        r.first |= dims;
        r.second |= data;
      }
    }
    return seen[v] = r;
  }

  /// What a nest is in the words of the field.
  static std::string classOf(tile::NestOp nest) {
    if (nest.getSequential())
      return "scatter";
    llvm::DenseMap<Value, std::pair<uint64_t, bool>> seen;
    llvm::SmallVector<uint64_t> loads;
    bool gathers = false;
    nest.getBody().walk([&](tile::LoadOp load) {
      uint64_t dims = 0;
      for (Value index : load.getIndices()) {
        auto [d, data] = reach(nest, index, seen);
        dims |= d;
        gathers |= data;
      }
      loads.push_back(dims);
    });
    const char *how = gathers ? ", gathers" : "";
    if (!nest.isReduction())
      return fmt::format("elementwise{}", how);
    SmallVector<tile::Combiner> combiners = nest.getCombinerKinds();
    Operation *yielded = nest.getBody().front().getTerminator()->getOperand(0).getDefiningOp();
    if (auto choice = dyn_cast_or_null<arith::SelectOp>(yielded))
      yielded = choice.getTrueValue().getDefiningOp();
    if (combiners.size() == 1 && combiners[0] == tile::Combiner::Sum && isa_and_nonnull<arith::MulFOp>(yielded))
      for (uint64_t a : loads)
        for (uint64_t b : loads)
          if ((a & ~b) && (b & ~a))
            return fmt::format("contraction{}", how);
    std::string names;
    for (tile::Combiner c : combiners)
      names += (names.empty() ? "" : ", ") + tile::stringifyCombiner(c).str();
    return fmt::format("reduction ({}){}", names, how);
  }

  llvm::json::Array extents(OperandRange lo, OperandRange hi, std::string &text) {
    llvm::json::Array list;
    for (auto [a, b] : llvm::zip(lo, hi)) {
      auto from = values_.eval(a), to = values_.eval(b);
      bool known = from && to;
      int64_t n = known ? std::max<int64_t>(0, *to - *from) : 0;
      list.push_back(known ? llvm::json::Value(n) : llvm::json::Value(nullptr));
      text += fmt::format("{}{}", text.empty() ? "" : " x ", known ? std::to_string(n) : "?");
    }
    return list;
  }

  int64_t tripsOf(tile::ForOp loop) {
    int64_t lo = evalOr(loop.getLo(), 0), hi = evalOr(loop.getHi(), 1), step = evalOr(loop.getStep(), 1);
    return step == 0 ? 0 : std::max<int64_t>(0, (hi - lo + step - (step > 0 ? 1 : -1)) / step);
  }

  /// Sets a loop variable to the middle of its range.
  void enterMiddle(tile::ForOp loop) {
    values_.set(loop.getIv(), evalOr(loop.getLo(), 0) + tripsOf(loop) / 2 * evalOr(loop.getStep(), 1));
  }

  /// Lists what a kernel does, in order, with the extents that its middle instance has.
  void steps(Block &b, int depth, llvm::json::Array &nests) {
    std::string indent(size_t(depth) * 2 + 2, ' ');
    for (Operation &op : b) {
      llvm::json::Value at = place(op.getLoc());
      std::string line = at.getAsInteger() ? fmt::format("  line {}", *at.getAsInteger()) : "";
      if (auto loop = dyn_cast<tile::ForOp>(op)) {
        if (auto what = loop->getAttrOfType<StringAttr>("stream"))
          text_ += fmt::format("{}streamed {}, one pass in blocks of {}, {} steps:\n", indent, what.getValue().str(),
                               evalOr(loop.getStep(), 1), tripsOf(loop));
        else
          text_ += fmt::format("{}in order, {} steps:\n", indent, tripsOf(loop));
        enterMiddle(loop);
        steps(loop.getBody().front(), depth + 1, nests);
        values_.forget(loop.getIv());
      } else if (auto n = dyn_cast<tile::NestOp>(op)) {
        std::string par, inner, kind = classOf(n);
        llvm::json::Array parExtents = extents(n.getParLo(), n.getParHi(), par);
        llvm::json::Array innerExtents = extents(n.getInnerLo(), n.getInnerHi(), inner);
        text_ += fmt::format("{}{}: {}{}{}\n", indent, kind, par.empty() ? "1" : par,
                             inner.empty() ? "" : " over " + inner, line);
        nests.push_back(llvm::json::Object{{"kind", kindOf(n)},
                                           {"class", kind},
                                           {"par", int64_t(n.getNumPar())},
                                           {"inner", int64_t(n.getNumInner())},
                                           {"par_extents", std::move(parExtents)},
                                           {"inner_extents", std::move(innerExtents)},
                                           {"line", std::move(at)}});
      } else if (isa<tile::SortOp>(op)) {
        text_ += fmt::format("{}sort of one row{}\n", indent, line);
      }
    }
  }

  std::string nameOf(Value buffer) {
    if (auto arg = buffer.getDefiningOp<tile::ArgOp>())
      return arg.getName().str();
    std::string name = bufferName(buffer.getDefiningOp<tile::AllocOp>());
    return name.empty() ? "an intermediate" : name;
  }
  std::string namesText(llvm::ArrayRef<Value> buffers) {
    std::string text;
    for (Value b : buffers)
      text += (text.empty() ? "" : ", ") + nameOf(b);
    return text;
  }
  llvm::json::Array namesJson(llvm::ArrayRef<Value> buffers) {
    llvm::json::Array list;
    for (Value b : buffers)
      list.push_back(nameOf(b));
    return list;
  }

  /// Which blocks a mask leaves to visit.
  llvm::json::Value maskOf(tile::KernelOp op) {
    std::optional<MaskPlan> plan = planOf(op, signature_, symbols_, {});
    if (!plan || !plan->planned)
      return nullptr;
    if (!plan->known) {
      text_ += "  mask: the blocks that it leaves depend on data; `attnc show --mask` draws them\n";
      return llvm::json::Object{{"visited", nullptr}, {"whole", nullptr}};
    }
    double all = std::max(1.0, double(plan->rows) * double(plan->keys));
    text_ +=
        fmt::format("  mask: visits {:.3g} % of {} x {} positions, evaluates it at {:.3g} %\n",
                    100 * plan->visited() / all, plan->rows, plan->keys, 100 * (plan->visited() - plan->whole()) / all);
    return llvm::json::Object{{"visited", plan->visited() / all}, {"whole", plan->whole() / all}};
  }

  llvm::json::Object kernel(tile::KernelOp op, double times, double &flops, double &bytes) {
    Work work = grid(op, 0, 16) * times;
    llvm::json::Array sizes, nests, scratch;
    std::string grid;
    double instances = 1;
    for (auto [i, e] : llvm::enumerate(op.getExtents())) {
      int64_t n = evalOr(e, 1);
      sizes.push_back(n);
      instances *= double(n);
      grid += fmt::format("{}{}", grid.empty() ? "" : " x ", n);
      values_.set(op.getBody().front().getArgument(unsigned(i)), n / 2);
    }
    llvm::SetVector<Value> touched, read, written;
    int64_t loops = 0;
    double scratchBytes = 0, kernelBytes = 0;
    op.walk([&](Operation *inner) {
      loops += isa<tile::ForOp>(inner);
      if (auto a = dyn_cast<tile::AllocOp>(inner)) {
        double size = elements(a) * elementBytes(a);
        scratchBytes += size;
        scratch.push_back(llvm::json::Object{{"name", bufferName(a)}, {"bytes", size}});
      }
      auto touch = [&](Value buffer, llvm::SetVector<Value> &set) {
        if (!buffer || op->isAncestor(buffer.getDefiningOp()))
          return;
        touched.insert(buffer);
        if (set.insert(buffer))
          (&set == &read ? readBy_ : writtenBy_)[buffer].push_back(number_);
      };
      if (auto load = dyn_cast<tile::LoadOp>(inner))
        touch(load.getBuffer(), read);
      if (auto store = dyn_cast<tile::StoreOp>(inner))
        touch(store.getBuffer(), written);
      if (auto update = dyn_cast<tile::UpdateOp>(inner))
        touch(update.getBuffer(), written);
      if (auto sort = dyn_cast<tile::SortOp>(inner)) {
        touch(sort.getKeys(), read);
        touch(sort.getValid(), read);
        touch(sort.getOut(), written);
      }
    });
    for (Value b : touched)
      kernelBytes += elements(b) * elementBytes(b);
    kernelBytes *= times;
    double intensity = kernelBytes > 0 ? work.flops / kernelBytes : 0;
    const char *bound = intensity > kBalance ? "arithmetic" : "memory";
    text_ += fmt::format("kernel {}: grid {}{}, {} FLOPs, {}, bound by {} ({:.3g} FLOPs per byte)\n", number_,
                         grid.empty() ? "1" : grid, times != 1 ? fmt::format(", {} times in order", times) : "",
                         countText(work.flops), bytesText(int64_t(kernelBytes)), bound, intensity);
    if (!read.empty())
      text_ += fmt::format("  reads {}\n", namesText(read.getArrayRef()));
    if (!written.empty())
      text_ += fmt::format("  writes {}\n", namesText(written.getArrayRef()));
    if (scratchBytes > 0)
      text_ += fmt::format("  scratch {} per {}\n", bytesText(int64_t(scratchBytes)), worker_);
    auto apart = op->getAttrOfType<StringAttr>("apart");
    if (apart)
      text_ += fmt::format("  softmax with a place for every score, not streamed: {}\n", apart.getValue().str());
    llvm::json::Array streams;
    op.walk([&](tile::ForOp loop) {
      if (auto what = loop->getAttrOfType<StringAttr>("stream"))
        streams.push_back(what.getValue());
    });
    llvm::json::Value mask = maskOf(op);
    steps(op.getBody().front(), 0, nests);
    for (BlockArgument position : op.getBody().front().getArguments())
      values_.forget(position);
    ++number_;
    flops += work.flops;
    bytes += kernelBytes;
    return llvm::json::Object{
        {"grid", std::move(sizes)},
        {"instances", instances},
        {"times", times},
        {"loops", loops},
        {"nests", std::move(nests)},
        {"streams", std::move(streams)},
        {"not_streamed", apart ? llvm::json::Value(apart.getValue()) : llvm::json::Value(nullptr)},
        {"mask", std::move(mask)},
        {"scratch", std::move(scratch)},
        {"touches", namesJson(touched.getArrayRef())},
        {"reads", namesJson(read.getArrayRef())},
        {"writes", namesJson(written.getArrayRef())},
        {"line", place(op.getLoc())},
        {"flops", work.flops},
        {"bytes", kernelBytes},
        {"bound", bound},
        {"points", work.points}};
  }

  void block(Block &b, double times, llvm::json::Array &kernels, double &flops, double &bytes) {
    for (Operation &op : b) {
      if (auto k = dyn_cast<tile::KernelOp>(op)) {
        kernels.push_back(kernel(k, times, flops, bytes));
      } else if (auto loop = dyn_cast<tile::ForOp>(op)) {
        enterMiddle(loop);
        block(loop.getBody().front(), times * double(tripsOf(loop)), kernels, flops, bytes);
        values_.forget(loop.getIv());
      } else if (auto alloc = dyn_cast<tile::AllocOp>(op)) {
        stored_.push_back(alloc);
      }
    }
  }

  /// Every buffer between kernels, and who needs it: the reason why it is stored.
  llvm::json::Array buffers() {
    llvm::json::Array list;
    auto numbers = [](llvm::ArrayRef<int> kernels) {
      return fmt::format("kernel{} {}", kernels.size() == 1 ? "" : "s", fmt::join(kernels, ", "));
    };
    for (tile::AllocOp alloc : stored_) {
      double size = elements(alloc) * elementBytes(alloc);
      workspace_ += size;
      auto &writers = writtenBy_[alloc.getResult()], &readers = readBy_[alloc.getResult()];
      text_ += fmt::format("stored {}: {}, written by {}, read by {}\n", nameOf(alloc), bytesText(int64_t(size)),
                           numbers(writers), numbers(readers));
      list.push_back(llvm::json::Object{{"name", bufferName(alloc)},
                                        {"bytes", size},
                                        {"written_by", llvm::json::Array(writers)},
                                        {"read_by", llvm::json::Array(readers)}});
    }
    return list;
  }

  /// FLOPs that a core does in the time that a byte takes from memory, roughly: 60 GFLOP/s beside 8 GB/s.
  static constexpr double kBalance = 8;

  tile::ProgramOp program_;
  const Signature &signature_;
  const std::vector<int64_t> &symbols_;
  const char *worker_;
  IndexValues values_;
  std::vector<double> inputElements_, outputElements_;
  std::map<std::string, int64_t> sizes_;
  std::vector<tile::AllocOp> stored_;                          ///< buffers between kernels
  llvm::DenseMap<Value, std::vector<int>> readBy_, writtenBy_; ///< kernels by number
  std::string text_;
  int number_ = 0;
  double workspace_ = 0;
  bool approximate_ = false;
};

} // namespace

Explanation explainProgram(ModuleOp module, const Signature &signature, const std::vector<int64_t> &symbols,
                           const char *worker) {
  for (auto program : module.getOps<tile::ProgramOp>())
    return Explainer(program, signature, symbols, worker).run();
  return {};
}

} // namespace attnc
