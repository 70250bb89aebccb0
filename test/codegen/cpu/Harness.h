//===- Compiles tile text and runs it in this process ---------------------===//
//
// A plain stand-in for the runtime: maps the image, runs every piece in order on the calling thread, sorts naively.
//===----------------------------------------------------------------------===//
#pragma once
#include "codegen/cpu/Cpu.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "runtime/Kernel.h"
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>
#include <sys/mman.h>
#include <vector>

namespace harness {

inline void parallelFor(const attnc::KernelContext *ctx, int64_t count, int64_t grain, int64_t scratchBytes,
                        attnc::KernelBody body, int64_t data) {
  std::vector<char> memory(scratchBytes + 64, char(0xAB));
  char *scratch = memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64) % 64;
  for (int64_t at = 0; at < count; at += grain)
    body(ctx, at, std::min(count, at + grain), scratch, data);
}

inline void sortRow(const void *keys, int64_t stride, int64_t type, const uint8_t *valid, int64_t validStride,
                    int64_t n, int64_t *out, int64_t outStride, int64_t count, int64_t flags) {
  auto key = [&](int64_t i) -> double {
    switch (type) {
    case 0:
      return static_cast<const float *>(keys)[i * stride];
    case 1:
      return static_cast<const double *>(keys)[i * stride];
    default:
      return double(static_cast<const int64_t *>(keys)[i * stride]);
    }
  };
  std::vector<int64_t> order;
  for (int64_t i = 0; i < n; ++i)
    if ((!valid || valid[i * validStride]) && !(flags & 2 && std::isnan(key(i))))
      order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    double x = key(a), y = key(b);
    if (std::isnan(x) || std::isnan(y))
      return !std::isnan(x) && std::isnan(y);
    return flags & 1 ? x > y : x < y;
  });
  for (int64_t i = 0; i < count; ++i)
    out[i * outStride] = i < int64_t(order.size()) ? order[i] : 0;
}

inline const attnc::KernelHelpers &helpers() {
  static attnc::KernelHelpers table = [] {
    attnc::KernelHelpers h{};
    h.parallelFor = parallelFor;
    h.sortRow = sortRow;
    h.math1[attnc::kExp] = std::exp;
    h.math1[attnc::kExp2] = std::exp2;
    h.math1[attnc::kExpm1] = std::expm1;
    h.math1[attnc::kLog] = std::log;
    h.math1[attnc::kLog1p] = std::log1p;
    h.math1[attnc::kSin] = std::sin;
    h.math1[attnc::kCos] = std::cos;
    h.math1[attnc::kTanh] = std::tanh;
    h.math1[attnc::kErf] = std::erf;
    h.math2[attnc::kPow] = std::pow;
    h.math2[attnc::kAtan2] = std::atan2;
    return h;
  }();
  return table;
}

/// A tensor with any strides; elements of type T.
template <typename T> struct Array {
  std::vector<int64_t> dims, strides;
  std::vector<T> data;

  explicit Array(std::vector<int64_t> d, std::vector<int> order = {}, int64_t pad = 0) : dims(std::move(d)) {
    // `order`: dims from outermost to innermost in memory; `pad`: elements between neighbours along the innermost, less
    // one.
    if (order.empty())
      for (size_t i = 0; i < dims.size(); ++i)
        order.push_back(i);
    strides.resize(dims.size());
    int64_t at = 1 + pad;
    for (size_t i = order.size(); i-- > 0;) {
      strides[order[i]] = at;
      at *= std::max<int64_t>(dims[order[i]], 1);
    }
    data.resize(at + 1);
  }
  template <typename... I> T &operator()(I... index) {
    int64_t at = 0, d = 0;
    ((at += strides[d++] * int64_t(index)), ...);
    return data[at];
  }
  /// Calls f(element, linear position) for all elements in row-major order.
  template <typename F> void each(F f) {
    int64_t n = 1;
    for (int64_t d : dims)
      n *= d;
    for (int64_t linear = 0; linear < n; ++linear) {
      int64_t rest = linear, at = 0;
      for (size_t d = dims.size(); d-- > 0; rest /= dims[d])
        at += rest % dims[d] * strides[d];
      f(data[at], linear);
    }
  }
  attnc::KernelArg arg() { return {data.data(), strides.data()}; }
};

class Kernel {
public:
  explicit Kernel(const std::string &text, const std::string &arch = "native", bool vectorise = true) {
    mlir::DialectRegistry registry;
    attnc::cpu::registerCpuDialects(registry);
    mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
    auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    if (!module) {
      error = "does not parse";
      return;
    }
    attnc::KernelBlob blob;
    attnc::cpu::CpuOptions options;
    options.arch = arch;
    options.vectorise = vectorise;
    if (!attnc::cpu::compileTile(*module, options, blob, error))
      return;
    size = blob.image.size();
    image = static_cast<char *>(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    std::memcpy(image, blob.image.data(), size);
    mprotect(image, size, PROT_READ | PROT_EXEC);
    workspaceBytes = reinterpret_cast<attnc::WorkspaceBytesFn>(image + blob.workspaceBytes);
    entry = reinterpret_cast<attnc::RunFn>(image + blob.run);
  }
  ~Kernel() {
    if (image)
      munmap(image, size);
  }
  Kernel(const Kernel &) = delete;

  void run(const std::vector<int64_t> &symbols, const std::vector<attnc::KernelArg> &args) {
    int64_t bytes = workspaceBytes(symbols.data());
    workspace.resize(bytes + 64);
    char *aligned = workspace.data() + (64 - reinterpret_cast<uintptr_t>(workspace.data()) % 64) % 64;
    attnc::KernelContext ctx{symbols.data(), args.data(), aligned, &helpers(), nullptr};
    entry(&ctx);
  }

  std::string error;
  attnc::WorkspaceBytesFn workspaceBytes = nullptr;
  attnc::RunFn entry = nullptr;
  size_t size = 0;

private:
  char *image = nullptr;
  std::vector<char> workspace;
};

} // namespace harness
