//===- Blocks of GPU threads on a CPU, checked ----------------------------===//
//
// Every thread of a block is a fiber; which one runs next is drawn at random from a seed. Barriers and exchanges within
// a warp are met by all threads or the run stops with a sentence. Every access through load() and store() of the device
// header is checked: inside a buffer that the kernel was given, and ordered by a barrier against accesses of other
// threads to the same address (by the end of the launch against those of other blocks).
//===----------------------------------------------------------------------===//
#pragma once
#include "runtime/Message.h"
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace attnc {

/// What emulated code calls; order as in codegen/cuda/device/emulated.h.
struct EmulatorApi {
  int64_t (*position)(int what); ///< 0 thread, 1 threads, 2 block, 3 blocks
  void (*barrier)();
  void (*exchange)(void *value, long long bytes, int mask);
  void (*access)(const void *p, long long bytes, int write);
  void *(*shared)(const void *site, long long bytes);
};

class Emulator {
public:
  using Entry = void (*)(void **arguments);

  explicit Emulator(uint64_t seed);
  ~Emulator();

  static EmulatorApi *api();

  /// Memory that kernels may touch. Extents may be null: a tensor without elements, readable at index 0.
  void addTensor(const std::string &name, const void *data, const int64_t *strides, const int64_t *extents, int rank,
                 int elementBytes);
  void addMemory(const std::string &name, const void *data, int64_t bytes);

  /// Runs all blocks of one launch. `arguments`: what comes after instances, scratch memory and its bytes per block.
  /// False with a sentence that names kernel, block and thread.
  bool launch(const std::string &kernel, Entry entry, int threads, int64_t instances, int64_t scratchBytes,
              const std::vector<int64_t> &arguments, Error &error);
  /// The same with the grid and the arguments as the driver takes them: pointers to all of them.
  bool launchGrid(const std::string &kernel, Entry entry, int threads, int64_t blocks, void **arguments, Error &error);

private:
  struct State;
  std::unique_ptr<State> state_;
};

} // namespace attnc
