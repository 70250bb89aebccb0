//===- Parallel loops over fixed pieces -----------------------------------===//
//
// A loop is cut into pieces whose size the compiler fixed, never by the number of threads, so that results keep their
// bits on any machine. Pieces go to oneTBB, which lives in a library of its own (libattnc_tbb) and is opened by the
// first loop that is long enough: starting it costs 1 to 2 ms, more than many calls need in all. Without that library,
// or with one thread, pieces run one after the other.
//===----------------------------------------------------------------------===//
#pragma once
#include "runtime/Kernel.h"
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>

namespace attnc {

/// Cores this process may use.
int availableThreads();

/// A caller's own parallel-for: runs body(bodyData, i) for i in 0 .. count-1, in any order and thread, returns when all
/// are done.
struct ParallelForCallback {
  void (*run)(void *userData, int64_t count, void (*body)(void *bodyData, int64_t index), void *bodyData) = nullptr;
  void *userData = nullptr;
};

/// Thread-safe; several calls may run loops at once.
class ThreadPool {
public:
  /// threads 0: availableThreads().
  explicit ThreadPool(int threads, ParallelForCallback callback = {});
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;
  int threads() const { return threads_; }
  /// Opens what the first long loop would open, so that it does not count into a measurement.
  void warm();
  void forEach(int64_t count, void (*body)(void *data, int64_t index), void *data);

private:
  bool startArena();
  int threads_;
  ParallelForCallback callback_;
  std::once_flag started_;
  void *arena_ = nullptr;
  std::atomic<bool> running_{false};
};

/// What KernelContext::pool points to: the pool and what went wrong inside one call, where nothing can be returned.
struct RunState {
  ThreadPool *pool = nullptr;
  int64_t scratchLimit = 0;               ///< bytes per thread
  std::atomic<int64_t> scratchRefused{0}; ///< bytes that one piece asked for and did not get
};

/// KernelHelpers::parallelFor.
void kernelParallelFor(const KernelContext *ctx, int64_t count, int64_t grain, int64_t scratchBytes, KernelBody body,
                       int64_t kernelData);

} // namespace attnc
