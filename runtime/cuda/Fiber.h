//===- A stack of its own that runs until it suspends ---------------------===//
#pragma once
#include <cstddef>
#include <cstdint>

namespace attnc {

/// start() sets a function up, resume() runs it until suspend() is called on its stack. A fiber whose function has not
/// ended may be started anew or destroyed: nothing on its stack is unwound.
class Fiber {
public:
  Fiber() = default;
  ~Fiber();
  Fiber(Fiber &&other) noexcept;
  Fiber(const Fiber &) = delete;
  Fiber &operator=(const Fiber &) = delete;

  /// `function` must not return.
  void start(void (*function)(void *), void *argument);
  void resume();
  void suspend();

private:
  void *memory_ = nullptr;                  ///< with a guard page below
  void *own_ = nullptr, *caller_ = nullptr; ///< stack pointers while not running
};

} // namespace attnc
