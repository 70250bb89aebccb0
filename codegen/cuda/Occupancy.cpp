//===- How many blocks fit on a multiprocessor ----------------------------===//
#include "codegen/cuda/Occupancy.h"
#include <algorithm>
#include <cstdlib>

namespace attnc::cuda {

namespace {

/// Of a multiprocessor: CUDA C++ Programming Guide, technical specifications per compute capability.
struct Limits {
  int arch, threads, blocks, sharedKiB;
};
constexpr Limits kLimits[] = {{75, 1024, 16, 64},   {80, 2048, 32, 164},  {86, 1536, 16, 100},  {87, 1536, 16, 164},
                              {88, 1536, 24, 100},  {89, 1536, 24, 100},  {90, 2048, 32, 228},  {100, 2048, 32, 228},
                              {103, 2048, 32, 228}, {110, 1536, 24, 228}, {120, 1536, 24, 100}, {121, 1536, 24, 100}};
constexpr int kRegisters = 65536;
constexpr int kWarpRegisters = 256; ///< a warp takes them in steps of so many
constexpr int kSystemShared = 1024; ///< a block's, since sm_80; from 9.0 on ptxas counts it
constexpr int kSharedStep = 128;

} // namespace

Occupancy occupancyOf(const KernelFigures &kernel, int threads, const std::string &arch) {
  int number = arch.size() > 3 ? std::atoi(arch.c_str() + 3) : 0;
  auto at = std::find_if(std::begin(kLimits), std::end(kLimits), [&](const Limits &l) { return l.arch == number; });
  if (at == std::end(kLimits) || threads <= 0)
    return {};
  int warps = (threads + 31) / 32;
  int perWarp = (std::max(kernel.registers, 1) * 32 + kWarpRegisters - 1) / kWarpRegisters * kWarpRegisters;
  int shared = kernel.sharedBytes + (number >= 80 && number < 90 ? kSystemShared : 0);
  shared = std::max((shared + kSharedStep - 1) / kSharedStep * kSharedStep, 1);
  struct {
    int blocks;
    const char *what;
  } bounds[] = {{at->threads / (warps * 32), "threads"},
                {kRegisters / perWarp / warps, "registers"},
                {at->sharedKiB * 1024 / shared, "shared memory"},
                {at->blocks, "blocks"}};
  Occupancy o{bounds[0].blocks, 0, bounds[0].what};
  for (auto &b : bounds)
    if (b.blocks < o.blocks) {
      o.blocks = b.blocks;
      o.limit = b.what;
    }
  o.fraction = double(o.blocks * warps * 32) / at->threads;
  return o;
}

} // namespace attnc::cuda
