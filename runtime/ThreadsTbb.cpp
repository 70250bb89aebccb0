//===- libattnc_tbb: oneTBB behind three C functions ----------------------===//
//
// The only file that includes TBB. Exceptions stay inside.
//===----------------------------------------------------------------------===//
#include <algorithm>
#include <cstdint>
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT void *attnc_tbb_open(int threads) {
  try {
    // More than oneTBB has workers for makes it print a warning.
    auto *arena = new tbb::task_arena(std::min(threads, tbb::info::default_concurrency()));
    arena->initialize();
    return arena;
  } catch (...) {
    return nullptr;
  }
}

EXPORT void attnc_tbb_close(void *arena) { delete static_cast<tbb::task_arena *>(arena); }

/// Body has no exceptions. Returns 0 when nothing was run.
EXPORT int attnc_tbb_for(void *arena, int64_t count, void (*body)(void *, int64_t), void *data) {
  try {
    static_cast<tbb::task_arena *>(arena)->execute([&] {
      tbb::parallel_for(
          tbb::blocked_range<int64_t>(0, count, 1),
          [&](const tbb::blocked_range<int64_t> &range) {
            for (int64_t i = range.begin(); i != range.end(); ++i)
              body(data, i);
          },
          tbb::auto_partitioner());
    });
    return 1;
  } catch (...) {
    return 0;
  }
}
