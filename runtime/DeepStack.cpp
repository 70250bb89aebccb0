//===- A stack with room for deep recursion -------------------------------===//
#include "runtime/DeepStack.h"
#include <cstddef>
#include <utility>

namespace attnc {

namespace {
constexpr size_t kSizes[] = {size_t(1) << 30, size_t(1) << 28, size_t(1) << 26};
} // namespace

void *DeepThread::work(void *self) {
  auto *thread = static_cast<DeepThread *>(self);
  try {
    thread->body_();
  } catch (...) {
    thread->thrown_ = std::current_exception();
  }
  return nullptr;
}

DeepThread::DeepThread(std::function<void()> body) : body_(std::move(body)) {
  for (size_t bytes : kSizes) {
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0)
      return;
    started_ =
        pthread_attr_setstacksize(&attributes, bytes) == 0 && pthread_create(&thread_, &attributes, work, this) == 0;
    pthread_attr_destroy(&attributes);
    if (started_)
      return;
  }
}

void DeepThread::join() {
  if (!std::exchange(started_, false))
    return body_();
  pthread_join(thread_, nullptr);
  if (thrown_)
    std::rethrow_exception(thrown_);
}

DeepThread::~DeepThread() {
  if (started_)
    pthread_join(thread_, nullptr);
}

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
  DeepThread(body).join();
}

} // namespace attnc
