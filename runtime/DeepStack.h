//===- A stack with room for deep recursion -------------------------------===//
//
// Specs make trees and graphs that are walked recursively; a long chain of equations is deep. So whatever starts such
// work gives it a stack that is large, and costs nothing until it is used.
//===----------------------------------------------------------------------===//
#pragma once
#include <exception>
#include <functional>
#include <pthread.h>

namespace attnc {

/// Runs `body` to its end on a large stack: this thread's when that is large already, else one made for it, the
/// largest to be had; this thread's where none is. What `body` throws is thrown here.
void onDeepStack(const std::function<void()> &body);

/// Runs `body` at the same time as what follows, until join(), which throws what `body` throws. Where no thread can be
/// started, join() runs it.
class DeepThread {
public:
  explicit DeepThread(std::function<void()> body);
  ~DeepThread();
  DeepThread(const DeepThread &) = delete;
  void join();

private:
  static void *work(void *self);
  std::function<void()> body_;
  std::exception_ptr thrown_;
  pthread_t thread_;
  bool started_ = false;
};

/// The last address that this thread's stack may grow to; null when it cannot be told.
const char *stackEnd();

} // namespace attnc
