//===- A stack of its own that runs until it suspends ---------------------===//
//
// The switch saves what the x86-64 calling convention lets a callee keep. It costs some nanoseconds; swapcontext, which
// other processors get, has a system call in it.
//===----------------------------------------------------------------------===//
#include "runtime/cuda/Fiber.h"
#include <new>
#include <sys/mman.h>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace attnc {

static constexpr size_t kStack = 128 * 1024, kGuard = 4096;

static void *makeStack() {
  void *memory = mmap(nullptr, kStack + kGuard, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    throw std::bad_alloc();
  mprotect(memory, kGuard, PROT_NONE);
  return memory;
}

Fiber::~Fiber() {
  if (memory_)
    munmap(memory_, kStack + kGuard);
#if !defined(__x86_64__)
  delete static_cast<ucontext_t *>(own_);
  delete static_cast<ucontext_t *>(caller_);
#endif
}

Fiber::Fiber(Fiber &&other) noexcept : memory_(other.memory_), own_(other.own_), caller_(other.caller_) {
  other.memory_ = other.own_ = other.caller_ = nullptr;
}

#if defined(__x86_64__)

extern "C" void attnc_fiber_switch(void **from, void *to);
extern "C" void attnc_fiber_enter();
asm(R"(
.text
.hidden attnc_fiber_switch
.type attnc_fiber_switch, @function
attnc_fiber_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size attnc_fiber_switch, .-attnc_fiber_switch
.hidden attnc_fiber_enter
.type attnc_fiber_enter, @function
attnc_fiber_enter:
  movq %r12, %rdi
  callq *%r13
  ud2
.size attnc_fiber_enter, .-attnc_fiber_enter
)");

void Fiber::start(void (*function)(void *), void *argument) {
  if (!memory_)
    memory_ = makeStack();
  auto top = reinterpret_cast<void **>(static_cast<char *>(memory_) + kGuard + kStack);
  *--top = nullptr;
  *--top = nullptr; // two, so that the stack is aligned at the call in attnc_fiber_enter
  *--top = reinterpret_cast<void *>(&attnc_fiber_enter);
  *--top = nullptr;                            // rbp
  *--top = nullptr;                            // rbx
  *--top = argument;                           // r12
  *--top = reinterpret_cast<void *>(function); // r13
  *--top = nullptr;                            // r14
  *--top = nullptr;                            // r15
  own_ = top;
}

void Fiber::resume() { attnc_fiber_switch(&caller_, own_); }
void Fiber::suspend() { attnc_fiber_switch(&own_, caller_); }

#else

static void enter(unsigned f0, unsigned f1, unsigned a0, unsigned a1) {
  auto join = [](unsigned lo, unsigned hi) { return uintptr_t(lo) | uintptr_t(hi) << 32; };
  reinterpret_cast<void (*)(void *)>(join(f0, f1))(reinterpret_cast<void *>(join(a0, a1)));
}

void Fiber::start(void (*function)(void *), void *argument) {
  if (!memory_) {
    memory_ = makeStack();
    own_ = new ucontext_t;
    caller_ = new ucontext_t;
  }
  auto own = static_cast<ucontext_t *>(own_);
  getcontext(own);
  own->uc_stack.ss_sp = static_cast<char *>(memory_) + kGuard;
  own->uc_stack.ss_size = kStack;
  own->uc_link = nullptr;
  auto f = reinterpret_cast<uintptr_t>(function), a = reinterpret_cast<uintptr_t>(argument);
  makecontext(own, reinterpret_cast<void (*)()>(&enter), 4, unsigned(f), unsigned(f >> 32), unsigned(a),
              unsigned(a >> 32));
}

void Fiber::resume() { swapcontext(static_cast<ucontext_t *>(caller_), static_cast<ucontext_t *>(own_)); }
void Fiber::suspend() { swapcontext(static_cast<ucontext_t *>(own_), static_cast<ucontext_t *>(caller_)); }

#endif

} // namespace attnc
