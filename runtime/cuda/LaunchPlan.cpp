//===- What the host does for a program on a GPU --------------------------===//
#include "runtime/cuda/LaunchPlan.h"
#include "runtime/CacheBytes.h"
#include "runtime/Extent.h"
#include <algorithm>

namespace attnc {

//===----------------------------------------------------------------------===//
// Bytes
//===----------------------------------------------------------------------===//

static void write(ByteWriter &w, const std::vector<LaunchPlan::Step> &steps) {
  w.u64(steps.size());
  for (const LaunchPlan::Step &s : steps) {
    w.u8(s.kind);
    for (int v : {s.value, s.kernel, s.instances, s.scratchBytes, s.lo, s.hi, s.step})
      w.i64(v);
    w.u64(s.arguments.size());
    for (const LaunchPlan::Argument &a : s.arguments) {
      w.u8(a.kind);
      w.i64(a.index);
      w.i64(a.rank);
    }
    write(w, s.body);
  }
}

std::string LaunchPlan::serialize() const {
  ByteWriter w;
  w.i64(tensors);
  w.u64(values.size());
  for (const Value &v : values) {
    w.u8(uint8_t(v.op));
    w.i64(v.constant);
    for (int o : v.operands)
      w.i64(o);
  }
  w.u64(buffers.size());
  for (const Buffer &b : buffers) {
    w.i64(b.elementBytes);
    w.u64(b.extents.size());
    for (int e : b.extents)
      w.i64(e);
  }
  w.u64(kernels.size());
  for (const Kernel &k : kernels) {
    w.text(k.name);
    w.i64(k.threads);
  }
  write(w, steps);
  return w.take();
}

namespace {

class PlanReader {
public:
  PlanReader(std::string_view bytes, LaunchPlan &plan) : r_(bytes), plan_(plan) {}

  bool read() {
    plan_ = {};
    plan_.tensors = small(INT32_MAX);
    for (uint64_t n = r_.count(); n > 0 && r_.good(); --n) {
      LaunchPlan::Value v;
      v.op = LaunchPlan::Op(r_.u8());
      v.constant = r_.i64();
      for (int &o : v.operands)
        o = small(std::max<int64_t>(int64_t(plan_.values.size()), 1));
      if (v.op > LaunchPlan::Op::Ge)
        r_.setBad();
      plan_.values.push_back(v);
    }
    int64_t values = int64_t(plan_.values.size());
    for (uint64_t n = r_.count(); n > 0 && r_.good(); --n) {
      LaunchPlan::Buffer b;
      b.elementBytes = small(9);
      for (uint64_t k = r_.count(); k > 0 && r_.good(); --k)
        b.extents.push_back(small(values));
      plan_.buffers.push_back(std::move(b));
    }
    for (uint64_t n = r_.count(); n > 0 && r_.good(); --n) {
      LaunchPlan::Kernel k;
      k.name = r_.text();
      k.threads = small(1025);
      plan_.kernels.push_back(std::move(k));
    }
    steps(plan_.steps, 0);
    return r_.atEnd();
  }

private:
  int small(int64_t below) {
    int64_t v = r_.i64();
    if (v < 0 || v >= below)
      r_.setBad();
    return r_.good() ? int(v) : 0;
  }

  void steps(std::vector<LaunchPlan::Step> &list, int depth) {
    int64_t values = int64_t(plan_.values.size());
    if (depth > 64)
      r_.setBad();
    for (uint64_t n = r_.count(); n > 0 && r_.good(); --n) {
      LaunchPlan::Step s;
      uint8_t kind = r_.u8();
      if (kind > LaunchPlan::Step::For)
        r_.setBad();
      s.kind = LaunchPlan::Step::Kind(kind);
      s.value = small(std::max<int64_t>(values, 1));
      s.kernel = small(std::max<int64_t>(int64_t(plan_.kernels.size()), 1));
      for (int *v : {&s.instances, &s.scratchBytes, &s.lo, &s.hi, &s.step})
        *v = small(std::max<int64_t>(values, 1));
      for (uint64_t k = r_.count(); k > 0 && r_.good(); --k) {
        LaunchPlan::Argument a;
        a.kind = LaunchPlan::Argument::Kind(std::min<uint8_t>(r_.u8(), LaunchPlan::Argument::Stored));
        a.index = small(a.kind == LaunchPlan::Argument::Integer  ? values
                        : a.kind == LaunchPlan::Argument::Tensor ? plan_.tensors
                                                                 : int64_t(plan_.buffers.size()));
        a.rank = small(1 << 16);
        if (a.kind == LaunchPlan::Argument::Stored && r_.good() &&
            size_t(a.rank) != plan_.buffers[size_t(a.index)].extents.size())
          r_.setBad();
        s.arguments.push_back(a);
      }
      steps(s.body, depth + 1);
      if (s.kind != LaunchPlan::Step::Compute &&
          (values == 0 || (s.kind == LaunchPlan::Step::Launch && plan_.kernels.empty())))
        r_.setBad();
      list.push_back(std::move(s));
    }
  }

  ByteReader r_;
  LaunchPlan &plan_;
};

/// The state of one call.
class Follower {
public:
  Follower(const LaunchPlan &plan, const int64_t *symbols) : plan_(plan), symbols_(symbols), at_(plan.values.size()) {}

  void compute(int index) {
    const LaunchPlan::Value &v = plan_.values[size_t(index)];
    using Op = LaunchPlan::Op;
    int64_t a = at_[size_t(v.operands[0])], b = at_[size_t(v.operands[1])], c = at_[size_t(v.operands[2])];
    auto wrap = [](uint64_t x) { return int64_t(x); };
    bool traps = b == 0 || (b == -1 && a == INT64_MIN);
    int64_t r = 0;
    switch (v.op) {
    case Op::Const:
      r = v.constant;
      break;
    case Op::Symbol:
      r = symbols_[v.constant];
      break;
    case Op::Loop:
      return;
    case Op::Add:
      r = wrap(uint64_t(a) + uint64_t(b));
      break;
    case Op::Sub:
      r = wrap(uint64_t(a) - uint64_t(b));
      break;
    case Op::Mul:
      r = wrap(uint64_t(a) * uint64_t(b));
      break;
    case Op::Max:
      r = std::max(a, b);
      break;
    case Op::Min:
      r = std::min(a, b);
      break;
    case Op::And:
      r = a & b;
      break;
    case Op::Or:
      r = a | b;
      break;
    case Op::Xor:
      r = a ^ b;
      break;
    case Op::Shl:
      r = b >= 0 && b < 64 ? wrap(uint64_t(a) << b) : 0;
      break;
    case Op::Shr:
      r = b >= 0 && b < 64 ? a >> b : 0;
      break;
    case Op::FloorDiv:
      r = traps ? 0 : floorDiv(a, b);
      break;
    case Op::Div:
      r = traps ? 0 : a / b;
      break;
    case Op::Rem:
      r = traps ? 0 : a % b;
      break;
    case Op::Select:
      r = a ? b : c;
      break;
    case Op::Eq:
      r = a == b;
      break;
    case Op::Ne:
      r = a != b;
      break;
    case Op::Lt:
      r = a < b;
      break;
    case Op::Le:
      r = a <= b;
      break;
    case Op::Gt:
      r = a > b;
      break;
    case Op::Ge:
      r = a >= b;
      break;
    }
    at_[size_t(index)] = r;
  }

  /// Buffers come before the first launch, and their extents do not move with a loop.
  void prepare() {
    for (const LaunchPlan::Step &s : plan_.steps)
      if (s.kind == LaunchPlan::Step::Compute)
        compute(s.value);
  }

  int64_t bufferBytes(const LaunchPlan::Buffer &b) const {
    int64_t bytes = b.elementBytes;
    for (int e : b.extents)
      if (__builtin_mul_overflow(bytes, std::max<int64_t>(at_[size_t(e)], 1), &bytes))
        return INT64_MAX;
    return bytes > INT64_MAX - 63 ? INT64_MAX : (bytes + 63) / 64 * 64;
  }

  bool follow(const std::vector<LaunchPlan::Step> &steps, const KernelContext &ctx,
              const LaunchPlan::Launcher &launch) {
    for (const LaunchPlan::Step &s : steps) {
      if (s.kind == LaunchPlan::Step::Compute) {
        compute(s.value);
        continue;
      }
      if (s.kind == LaunchPlan::Step::For) {
        int64_t lo = at_[size_t(s.lo)], hi = at_[size_t(s.hi)], step = at_[size_t(s.step)];
        for (int64_t i = lo; step > 0 ? i < hi : step < 0 && i > hi; i += step) {
          at_[size_t(s.value)] = i;
          if (!follow(s.body, ctx, launch))
            return false;
        }
        continue;
      }
      int64_t instances = at_[size_t(s.instances)];
      if (instances <= 0)
        continue;
      arguments_.clear();
      for (const LaunchPlan::Argument &a : s.arguments)
        argument(a, ctx);
      if (!launch(plan_.kernels[size_t(s.kernel)], instances, at_[size_t(s.scratchBytes)], arguments_))
        return false;
    }
    return true;
  }

private:
  void argument(const LaunchPlan::Argument &a, const KernelContext &ctx) {
    if (a.kind == LaunchPlan::Argument::Integer) {
      arguments_.push_back({false, at_[size_t(a.index)]});
      return;
    }
    if (a.kind == LaunchPlan::Argument::Tensor) {
      const KernelArg &tensor = ctx.args[a.index];
      arguments_.push_back({true, int64_t(reinterpret_cast<intptr_t>(tensor.data))});
      for (int d = 0; d < a.rank; ++d)
        arguments_.push_back({false, tensor.strides[d]});
      return;
    }
    int64_t offset = 0;
    for (int i = 0; i < a.index; ++i)
      offset += bufferBytes(plan_.buffers[size_t(i)]);
    arguments_.push_back({true, int64_t(reinterpret_cast<intptr_t>(ctx.workspace + offset))});
    const LaunchPlan::Buffer &buffer = plan_.buffers[size_t(a.index)];
    for (size_t d = 0; d + 1 < buffer.extents.size(); ++d) {
      int64_t stride = 1;
      for (size_t k = d + 1; k < buffer.extents.size(); ++k)
        stride *= std::max<int64_t>(at_[size_t(buffer.extents[k])], 1);
      arguments_.push_back({false, stride});
    }
  }

  const LaunchPlan &plan_;
  const int64_t *symbols_;
  std::vector<int64_t> at_;
  std::vector<LaunchPlan::LaunchArgument> arguments_;
};

} // namespace

bool LaunchPlan::parse(std::string_view bytes, LaunchPlan &plan) { return PlanReader(bytes, plan).read(); }

int64_t LaunchPlan::workspaceBytes(const int64_t *symbols) const {
  Follower f(*this, symbols);
  f.prepare();
  int64_t total = 0;
  for (const Buffer &b : buffers)
    if (__builtin_add_overflow(total, f.bufferBytes(b), &total))
      return INT64_MAX;
  return total;
}

bool LaunchPlan::follow(const KernelContext &ctx, const Launcher &launch) const {
  Follower f(*this, ctx.symbols);
  f.prepare();
  return f.follow(steps, ctx, launch);
}

} // namespace attnc
