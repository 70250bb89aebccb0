//===- A stack with room for deep recursion -------------------------------===//
#include "runtime/DeepStack.h"
#include <cstddef>
#include <exception>
#include <pthread.h>

namespace attnc {

namespace {
constexpr size_t kSizes[] = {size_t(1) << 30, size_t(1) << 28, size_t(1) << 26};

struct Job {
  const std::function<void()> &body;
  std::exception_ptr thrown;
};

void *work(void *argument) {
  Job &job = *static_cast<Job *>(argument);
  try {
    job.body();
  } catch (...) {
    job.thrown = std::current_exception();
  }
  return nullptr;
}

bool startedWith(size_t bytes, Job &job) {
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0)
    return false;
  pthread_t thread;
  bool started =
      pthread_attr_setstacksize(&attributes, bytes) == 0 && pthread_create(&thread, &attributes, work, &job) == 0;
  pthread_attr_destroy(&attributes);
  if (started)
    pthread_join(thread, nullptr);
  return started;
}
} // namespace

const char *stackEnd() {
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0)
    return nullptr;
  void *lowest = nullptr;
  size_t bytes = 0;
  bool known = pthread_attr_getstack(&attributes, &lowest, &bytes) == 0;
  pthread_attr_destroy(&attributes);
  return known ? static_cast<const char *>(lowest) : nullptr;
}

void onDeepStack(const std::function<void()> &body) {
  const char *here = static_cast<const char *>(__builtin_frame_address(0)), *end = stackEnd();
  if (end && size_t(here - end) > kSizes[0] - kSizes[0] / 16)
    return body();
  Job job{body, nullptr};
  for (size_t bytes : kSizes)
    if (startedWith(bytes, job)) {
      if (job.thrown)
        std::rethrow_exception(job.thrown);
      return;
    }
  body();
}

} // namespace attnc
