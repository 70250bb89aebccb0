//===- One call of a kernel -----------------------------------------------===//
#include "runtime/KernelRun.h"
#include "runtime/Helpers.h"
#include <algorithm>
#include <cstdlib>
#include <fmt/format.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace attnc {

namespace {

/// What an input without elements points to. Kernels read index 0 of it, a whole vector at most.
alignas(64) const char kZeros[4096] = {};
/// The same for outputs; nothing is stored there, but a masked store needs an address.
alignas(64) thread_local char sink[4096];

/// Addresses from first to last byte of a tensor, for any signs of strides.
struct Range {
  const char *begin, *end;
  explicit Range(const HostTensor &t) {
    int64_t low = 0, high = 0;
    for (size_t i = 0; i < t.shape.size(); ++i) {
      int64_t reach = (t.shape[i] - 1) * t.strides[i];
      (reach < 0 ? low : high) += reach;
    }
    int64_t size = int64_t(dtypeSize(t.dtype));
    begin = static_cast<const char *>(t.data) + low * size;
    end = static_cast<const char *>(t.data) + (high + 1) * size;
  }
  bool overlaps(const Range &o) const { return begin < o.end && o.begin < end; }
};

/// Whether two positions may share memory: sorted by stride, each must step over all that the smaller ones reach.
bool overlapsItself(const HostTensor &t) {
  std::vector<std::pair<int64_t, int64_t>> dims;
  for (size_t i = 0; i < t.shape.size(); ++i)
    if (t.shape[i] > 1)
      dims.emplace_back(std::abs(t.strides[i]), t.shape[i]);
  std::sort(dims.begin(), dims.end());
  int64_t reach = 0;
  for (auto &[stride, length] : dims) {
    if (stride <= reach)
      return true;
    reach += stride * (length - 1);
  }
  return false;
}

bool checkAliasing(const std::map<std::string, HostTensor> &inputs, const std::map<std::string, HostTensor> &outputs,
                   std::string &error) {
  for (auto it = outputs.begin(); it != outputs.end(); ++it) {
    if (it->second.count() == 0)
      continue;
    if (overlapsItself(it->second)) {
      error = fmt::format("output '{}' has strides with which two of its elements share memory", it->first);
      return false;
    }
    Range range(it->second);
    for (auto &in : inputs)
      if (in.second.count() && range.overlaps(Range(in.second))) {
        error = fmt::format("output '{}' shares memory with input '{}'", it->first, in.first);
        return false;
      }
    for (auto other = std::next(it); other != outputs.end(); ++other)
      if (other->second.count() && range.overlaps(Range(other->second))) {
        error = fmt::format("outputs '{}' and '{}' share memory", it->first, other->first);
        return false;
      }
  }
  return true;
}

struct FreeDeleter {
  void operator()(void *p) const { std::free(p); }
};

} // namespace

int64_t defaultWorkspaceLimit() {
  int64_t memory = int64_t(sysconf(_SC_PHYS_PAGES)) * int64_t(sysconf(_SC_PAGESIZE));
  int64_t limit = int64_t(8) << 30;
  return memory > 0 ? std::min(limit, memory / 4) : limit;
}

std::string bytesText(int64_t bytes) {
  const char *units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double v = double(bytes);
  int unit = 0;
  while (v >= 1024 && unit < 6) {
    v /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} bytes", bytes) : fmt::format("{:.1f} {}", v, units[unit]);
}

std::vector<int64_t> kernelSymbols(const Signature &signature, const std::vector<int64_t> &symbols) {
  std::vector<int64_t> list;
  for (size_t i = 0; i < signature.symbols.size(); ++i)
    if (!signature.symbols[i].feature)
      list.push_back(symbols[i]);
  return list;
}

bool workspaceNeeded(const KernelImage &image, const Signature &signature, const std::vector<int64_t> &symbols,
                     int64_t limit, int64_t &bytes, std::string &error) {
  std::vector<int64_t> given = kernelSymbols(signature, symbols);
  bytes = image.workspaceBytes(given.data());
  if (limit <= 0)
    limit = defaultWorkspaceLimit();
  if (bytes >= 0 && bytes <= limit)
    return true;
  std::vector<std::string> names;
  std::string extents;
  for (size_t i = 0; i < signature.symbols.size(); ++i) {
    names.push_back(signature.symbols[i].name);
    extents += fmt::format("{}{}={}", i ? ", " : "", names.back(), symbols[i]);
  }
  std::vector<std::pair<int64_t, std::string>> sizes;
  for (const KernelBlob::Buffer &b : image.buffers())
    if (auto extent = extentParse(b.bytes, names))
      if (auto value = extentEval(*extent, symbols))
        sizes.emplace_back(*value, b.name.empty() ? "an intermediate" : b.name);
  std::sort(sizes.begin(), sizes.end(), [](auto &a, auto &b) { return a.first > b.first; });
  std::string biggest;
  for (size_t i = 0; i < sizes.size() && i < 3; ++i)
    biggest += fmt::format("{}{} {}", i ? ", " : "; the biggest: ", sizes[i].second, bytesText(sizes[i].first));
  error = fmt::format("this call needs {} for intermediates, above the limit of {} ({}){}",
                      bytes < 0 ? "more memory than there are addresses" : bytesText(bytes), bytesText(limit), extents,
                      biggest);
  return false;
}

bool allocateOutputs(const Signature &signature, const std::vector<int64_t> &symbols,
                     const std::map<std::string, HostTensor> &inputs, std::map<std::string, HostTensor> &outputs,
                     std::string &error) {
  for (const Argument &a : signature.outputs) {
    HostTensor tensor;
    if (!HostTensor::allocate(outputDType(signature, a, inputs), argumentShape(a, symbols), tensor)) {
      error = fmt::format("not enough memory for output '{}'", a.name);
      return false;
    }
    outputs[a.name] = tensor;
  }
  return true;
}

bool runKernel(const KernelImage &image, const Signature &signature, const std::vector<int64_t> &symbols,
               const std::map<std::string, HostTensor> &inputs, const std::map<std::string, HostTensor> &outputs,
               const CallOptions &options, std::string &error) {
  if (!checkAliasing(inputs, outputs, error))
    return false;
  int64_t bytes = 0;
  int64_t limit = options.workspaceLimit > 0 ? options.workspaceLimit : defaultWorkspaceLimit();
  if (!workspaceNeeded(image, signature, symbols, limit, bytes, error))
    return false;
  std::unique_ptr<void, FreeDeleter> own;
  void *workspace = options.workspace;
  if (workspace) {
    if (options.workspaceSize < bytes || reinterpret_cast<uintptr_t>(workspace) % 64 != 0) {
      error = fmt::format("the workspace must have {} bytes and be aligned to 64; it has {} bytes", bytes,
                          options.workspaceSize);
      return false;
    }
  } else if (bytes > 0) {
    own.reset(std::aligned_alloc(64, size_t((bytes + 63) & ~int64_t(63))));
    workspace = own.get();
    if (!workspace) {
      error = fmt::format("not enough memory: this call needs {} for intermediates", bytesText(bytes));
      return false;
    }
  }

  std::vector<KernelArg> args;
  static const int64_t noStrides[64] = {};
  auto add = [&](const Argument &a, const std::map<std::string, HostTensor> &tensors, void *empty) {
    auto it = tensors.find(a.name);
    if (it == tensors.end())
      return; // a left-out input
    const HostTensor &t = it->second;
    if (t.count() == 0)
      args.push_back({empty, noStrides});
    else
      args.push_back({t.data, t.strides.data()});
  };
  for (const Argument &a : signature.inputs)
    add(a, inputs, const_cast<char *>(kZeros));
  for (const Argument &a : signature.outputs)
    add(a, outputs, sink);

  std::vector<int64_t> given = kernelSymbols(signature, symbols);
  RunState state;
  state.pool = options.pool;
  state.scratchLimit = limit;
  KernelContext ctx = {given.data(), args.data(), static_cast<char *>(workspace), &kernelHelpers(), &state};
#if defined(__x86_64__)
  unsigned saved = _mm_getcsr();
  _mm_setcsr(0x1f80);
#endif
  image.run(&ctx);
#if defined(__x86_64__)
  _mm_setcsr(saved);
#endif
  if (int64_t refused = state.scratchRefused.load()) {
    error = fmt::format("not enough memory: each thread of this call needs {} for intermediates", bytesText(refused));
    return false;
  }
  return true;
}

} // namespace attnc
