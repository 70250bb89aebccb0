//===- Parallel loops over fixed pieces -----------------------------------===//
#include "runtime/Threads.h"
#include <chrono>
#include <cstdlib>
#include <dlfcn.h>
#include <new>
#include <sched.h>
#include <thread>
#include <vector>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace attnc {

namespace {

/// libattnc_tbb, opened once per process and kept.
struct Tbb {
  void *(*open)(int) = nullptr;
  void (*close)(void *) = nullptr;
  int (*run)(void *, int64_t, void (*)(void *, int64_t), void *) = nullptr;
};

const Tbb *openTbb() {
  static const Tbb tbb = [] {
    Tbb t;
    // Beside whatever this code is linked into, then in ../lib, then where the system looks.
    std::string names[3] = {"", "", "libattnc_tbb.so"};
    Dl_info info;
    if (dladdr(reinterpret_cast<const void *>(&kernelParallelFor), &info) && info.dli_fname) {
      std::string self = info.dli_fname;
      if (char *real = realpath(info.dli_fname, nullptr)) { // argv[0] may be a bare name or a link
        self = real;
        std::free(real);
      } else if (char *exe = realpath("/proc/self/exe", nullptr)) {
        self = exe;
        std::free(exe);
      }
      size_t slash = self.rfind('/');
      std::string folder = slash == std::string::npos ? "." : self.substr(0, slash);
      names[0] = folder + "/libattnc_tbb.so";
      names[1] = folder + "/../lib/libattnc_tbb.so";
    }
    for (const std::string &name : names) {
      void *library = name.empty() ? nullptr : dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
      if (!library)
        continue;
      t.open = reinterpret_cast<decltype(t.open)>(dlsym(library, "attnc_tbb_open"));
      t.close = reinterpret_cast<decltype(t.close)>(dlsym(library, "attnc_tbb_close"));
      t.run = reinterpret_cast<decltype(t.run)>(dlsym(library, "attnc_tbb_for"));
      if (t.open && t.close && t.run)
        return t;
      t = {};
    }
    return t;
  }();
  return tbb.run ? &tbb : nullptr;
}

/// Scratch memory of a thread: one block per nesting depth, kept until the thread ends.
struct ScratchStack {
  struct Block {
    char *data = nullptr;
    int64_t size = 0;
  };
  std::vector<Block> blocks;
  size_t depth = 0;
  ~ScratchStack() {
    for (Block &b : blocks)
      std::free(b.data);
  }
  /// Null when memory is refused.
  char *enter(int64_t bytes) {
    try {
      if (depth == blocks.size())
        blocks.emplace_back();
    } catch (const std::bad_alloc &) {
      return nullptr;
    }
    Block &b = blocks[depth];
    if (b.size < bytes) {
      std::free(b.data);
      int64_t rounded = (bytes + 63) & ~int64_t(63);
      b.data = static_cast<char *>(std::aligned_alloc(64, size_t(rounded)));
      b.size = b.data ? rounded : 0;
      if (!b.data)
        return nullptr;
    }
    ++depth;
    return b.data;
  }
  void leave() { --depth; }
};
thread_local ScratchStack scratchStack;

struct Loop {
  const KernelContext *ctx;
  RunState *state;
  int64_t count, grain, scratchBytes;
  KernelBody body;
  int64_t kernelData;
  int64_t firstPiece;
};

void runPiece(void *data, int64_t index) {
  const Loop &loop = *static_cast<const Loop *>(data);
  char *scratch = scratchStack.enter(loop.scratchBytes > 0 ? loop.scratchBytes : 64);
  if (!scratch) {
    loop.state->scratchRefused.store(loop.scratchBytes, std::memory_order_relaxed);
    return;
  }
#if defined(__x86_64__)
  // A worker may have inherited flush-to-zero from whoever started it; results must not depend on that.
  unsigned saved = _mm_getcsr();
  _mm_setcsr(0x1f80);
#endif
  int64_t begin = (loop.firstPiece + index) * loop.grain;
  int64_t end = loop.count - begin < loop.grain ? loop.count : begin + loop.grain;
  loop.body(loop.ctx, begin, end, scratch, loop.kernelData);
#if defined(__x86_64__)
  _mm_setcsr(saved);
#endif
  scratchStack.leave();
}

} // namespace

int availableThreads() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
    return CPU_COUNT(&set);
  unsigned n = std::thread::hardware_concurrency();
  return n ? int(n) : 1;
}

ThreadPool::ThreadPool(int threads, ParallelForCallback callback)
    : threads_(threads > 0 ? threads : availableThreads()), callback_(callback) {}

ThreadPool::~ThreadPool() {
  if (arena_)
    openTbb()->close(arena_);
}

bool ThreadPool::startArena() {
  std::call_once(started_, [this] {
    if (const Tbb *tbb = openTbb())
      arena_ = tbb->open(threads_);
    running_.store(true, std::memory_order_release);
  });
  return arena_ != nullptr;
}

void ThreadPool::warm() {
  if (threads_ > 1 && !callback_.run)
    startArena();
}

void ThreadPool::forEach(int64_t count, void (*body)(void *, int64_t), void *data) {
  if (callback_.run && count > 1) {
    callback_.run(callback_.userData, count, body, data);
    return;
  }
  int64_t done = 0;
  if (threads_ > 1 && count > 1) {
    // Until oneTBB runs, work for a while without it: most small calls end before it would have started.
    if (!running_.load(std::memory_order_acquire)) {
      auto start = std::chrono::steady_clock::now();
      while (done < count && std::chrono::steady_clock::now() - start < std::chrono::microseconds(300))
        body(data, done++);
    }
    if (count - done > 1 && startArena()) {
      struct Rest {
        void (*body)(void *, int64_t);
        void *data;
        int64_t first;
      } rest = {body, data, done};
      auto shifted = [](void *p, int64_t i) {
        const Rest &r = *static_cast<const Rest *>(p);
        r.body(r.data, r.first + i);
      };
      if (openTbb()->run(arena_, count - done, shifted, &rest))
        return;
    }
  }
  for (; done < count; ++done)
    body(data, done);
}

void kernelParallelFor(const KernelContext *ctx, int64_t count, int64_t grain, int64_t scratchBytes, KernelBody body,
                       int64_t kernelData) {
  auto *state = static_cast<RunState *>(ctx->pool);
  if (count <= 0)
    return;
  if (grain < 1)
    grain = 1;
  if (scratchBytes < 0 || scratchBytes > state->scratchLimit) {
    state->scratchRefused.store(scratchBytes < 0 ? INT64_MAX : scratchBytes, std::memory_order_relaxed);
    return;
  }
  Loop loop = {ctx, state, count, grain, scratchBytes, body, kernelData, 0};
  state->pool->forEach((count - 1) / grain + 1, runPiece, &loop);
}

} // namespace attnc
