//===- Memory of a call: limits and sentences about them ------------------===//
#include "runtime/KernelRun.h"
#include <algorithm>
#include <fmt/format.h>
#include <unistd.h>

namespace attnc {

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

std::string memoryDetails(const KernelImage &image, const Signature &signature, const std::vector<int64_t> &symbols) {
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
    biggest +=
        fmt::format("{}{} {}", i ? ", " : "; the biggest intermediates: ", sizes[i].second, bytesText(sizes[i].first));
  return extents + biggest;
}

} // namespace attnc
