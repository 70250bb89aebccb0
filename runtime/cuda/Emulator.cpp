//===- Blocks of GPU threads on a CPU, checked ----------------------------===//
#include "runtime/cuda/Emulator.h"
#include "runtime/cuda/Fiber.h"
#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <unordered_map>

namespace attnc {

namespace {

constexpr char kPoison = char(0xff); ///< NaN and -1: what was never written shows
constexpr int kBlocks = 4;           ///< resident at once, on the real thing: so many take turns over the instances

enum class Wait : uint8_t { Ready, Barrier, Exchange, Done };

struct Thread {
  Fiber fiber;
  Wait wait = Wait::Ready;
  void *value = nullptr; ///< of an exchange
  long long bytes = 0;
  int mask = 0;
};

struct Region {
  std::string name;
  uintptr_t begin = 0, end = 0;
  bool shared = false; ///< of one block; the next one gets the same addresses
};

/// Who touched an address last.
struct Touch {
  uint64_t writeEpoch = 0, readEpoch = 0;  ///< 0: never in this launch
  int writer = -1, reader = -1;            ///< thread; reader -2: several
  int64_t writeBlock = -1, readBlock = -1; ///< readBlock -2: several
};

} // namespace

struct Emulator::State {
  uint64_t random;
  std::vector<Region> regions, given;
  std::unordered_map<uintptr_t, Touch> touched;
  std::unordered_map<const void *, std::vector<char>> sharedMemory; ///< by the place that declares it
  std::vector<Thread> threads;
  std::string kernel, failure;
  int64_t block = 0, blocks = 1;
  int current = -1;
  uint64_t epoch = 0;
  size_t lastRegion = 0;
  Entry entry = nullptr;
  void **arguments = nullptr;

  uint64_t draw() { // xorshift64*
    random ^= random >> 12;
    random ^= random << 25;
    random ^= random >> 27;
    return random * 2685821657736338717ull;
  }

  void fail(const std::string &what) {
    if (failure.empty())
      failure = fmt::format("kernel {}, block {}, thread {}: {}", kernel, block, current, what);
  }

  const Region *find(uintptr_t at) {
    if (lastRegion < regions.size() && at >= regions[lastRegion].begin && at < regions[lastRegion].end)
      return &regions[lastRegion];
    for (size_t i = regions.size(); i-- > 0;)
      if (at >= regions[i].begin && at < regions[i].end) {
        lastRegion = i;
        return &regions[i];
      }
    return nullptr;
  }

  std::string place(const Region &r, uintptr_t at) const { return fmt::format("{} at byte {}", r.name, at - r.begin); }

  void access(uintptr_t at, long long bytes, bool write) {
    const Region *r = find(at);
    if (!r || at + uintptr_t(bytes) > r->end) {
      fail(fmt::format("{} {} bytes outside every buffer of the launch", write ? "writes" : "reads", bytes));
      leave();
    }
    Touch &t = touched[at];
    if (r->shared && t.writeBlock != block)
      t.writeEpoch = 0;
    if (r->shared && t.readBlock != block)
      t.readEpoch = 0;
    bool otherWrote = t.writeEpoch != 0 && (t.writeBlock != block || (t.writeEpoch == epoch && t.writer != current));
    bool otherRead = t.readEpoch != 0 && (t.readBlock != block || (t.readEpoch == epoch && t.reader != current));
    if (otherWrote || (write && otherRead)) {
      bool blockToo = otherWrote ? t.writeBlock != block : t.readBlock != block;
      fail(fmt::format("{} {}, which {} {} {}", write ? "writes" : "reads", place(*r, at),
                       blockToo ? "another block" : "another thread", otherWrote ? "writes" : "reads",
                       blockToo ? "in the same launch" : "with no barrier between"));
      leave();
    }
    if (write) {
      t.writeEpoch = epoch;
      t.writer = current;
      t.writeBlock = block;
    } else {
      t.reader = t.readEpoch == epoch && t.reader != current ? -2 : current;
      t.readBlock = t.readEpoch != 0 && t.readBlock != block ? -2 : block;
      t.readEpoch = epoch;
    }
  }

  /// Out of the fiber for good.
  void leave() {
    threads[size_t(current)].wait = Wait::Done;
    threads[size_t(current)].fiber.suspend();
  }

  void pause(Wait why) {
    threads[size_t(current)].wait = why;
    threads[size_t(current)].fiber.suspend();
  }

  void *shared(const void *site, long long bytes) {
    std::vector<char> &memory = sharedMemory[site];
    if (memory.empty()) {
      memory.assign(size_t(bytes), kPoison);
      uintptr_t begin = reinterpret_cast<uintptr_t>(memory.data());
      regions.push_back({"shared memory", begin, begin + uintptr_t(bytes), true});
    }
    return memory.data();
  }

  /// Lets waiting threads go on whose condition is met. False when nobody can.
  bool release() {
    int n = int(threads.size());
    bool any = false;
    // A warp exchanges when all its threads are there.
    for (int warp = 0; warp < n; warp += 32) {
      int end = std::min(warp + 32, n);
      bool all = true;
      for (int i = warp; i < end; ++i)
        all &= threads[size_t(i)].wait == Wait::Exchange && threads[size_t(i)].mask == threads[size_t(warp)].mask &&
               threads[size_t(i)].bytes == threads[size_t(warp)].bytes;
      if (!all)
        continue;
      std::vector<std::string> values;
      for (int i = warp; i < end; ++i)
        values.emplace_back(static_cast<char *>(threads[size_t(i)].value), size_t(threads[size_t(i)].bytes));
      for (int i = warp; i < end; ++i) {
        int from = (i - warp) ^ threads[size_t(i)].mask;
        if (from < end - warp)
          std::memcpy(threads[size_t(i)].value, values[size_t(from)].data(), values[size_t(from)].size());
        threads[size_t(i)].wait = Wait::Ready;
      }
      any = true;
    }
    if (any)
      return true;
    bool barrier = true;
    for (Thread &t : threads)
      barrier &= t.wait == Wait::Barrier;
    if (!barrier)
      return false;
    for (Thread &t : threads)
      t.wait = Wait::Ready;
    ++epoch;
    return true;
  }

  /// What each kind of thread waits for, when nobody can go on.
  std::string stuck() const {
    int counts[4] = {0, 0, 0, 0}, first[4] = {-1, -1, -1, -1};
    for (size_t i = 0; i < threads.size(); ++i) {
      int w = int(threads[i].wait);
      if (counts[w]++ == 0)
        first[w] = int(i);
    }
    const char *words[] = {"can run", "wait at a barrier", "wait for an exchange with their warp", "have ended"};
    std::string text;
    for (int w = 1; w < 4; ++w)
      if (counts[w])
        text += fmt::format("{}{} {} (thread {} first)", text.empty() ? "" : ", ", counts[w], words[w], first[w]);
    return text;
  }

  bool runBlock() {
    for (auto &site : sharedMemory)
      std::fill(site.second.begin(), site.second.end(), kPoison);
    lastRegion = 0;
    ++epoch;
    for (Thread &t : threads)
      t.wait = Wait::Ready;
    for (size_t i = 0; i < threads.size(); ++i)
      threads[i].fiber.start(&State::threadMain, this);
    std::vector<int> ready;
    while (failure.empty()) {
      ready.clear();
      bool done = true;
      for (size_t i = 0; i < threads.size(); ++i) {
        if (threads[i].wait == Wait::Ready)
          ready.push_back(int(i));
        done &= threads[i].wait == Wait::Done;
      }
      if (done)
        return true;
      if (ready.empty()) {
        if (release())
          continue;
        current = -1;
        failure = fmt::format("kernel {}, block {}: no thread can go on: {}", kernel, block, stuck());
        break;
      }
      // In random order, each until it waits.
      for (size_t i = ready.size(); i > 1; --i)
        std::swap(ready[i - 1], ready[size_t(draw() % i)]);
      for (int i : ready) {
        current = i;
        threads[size_t(i)].fiber.resume();
        if (!failure.empty())
          break;
      }
    }
    return false;
  }

  static void threadMain(void *self);
  /// The one that runs on this thread; emulated code has no other way to it.
  static thread_local State *running;
};

thread_local Emulator::State *Emulator::State::running = nullptr;

void Emulator::State::threadMain(void *self) {
  State *s = static_cast<State *>(self);
  s->entry(s->arguments);
  s->leave();
}

EmulatorApi *Emulator::api() {
  static EmulatorApi api = {
      [](int what) -> int64_t {
        switch (what) {
        case 0:
          return State::running->current;
        case 1:
          return int64_t(State::running->threads.size());
        case 2:
          return State::running->block;
        default:
          return State::running->blocks;
        }
      },
      [] { State::running->pause(Wait::Barrier); },
      [](void *value, long long bytes, int mask) {
        Thread &t = State::running->threads[size_t(State::running->current)];
        t.value = value;
        t.bytes = bytes;
        t.mask = mask;
        State::running->pause(Wait::Exchange);
      },
      [](const void *p, long long bytes, int write) {
        State::running->access(reinterpret_cast<uintptr_t>(p), bytes, write != 0);
      },
      [](const void *site, long long bytes) { return State::running->shared(site, bytes); },
  };
  return &api;
}

Emulator::Emulator(uint64_t seed) : state_(std::make_unique<State>()) { state_->random = seed * 2 + 1; }
Emulator::~Emulator() = default;

void Emulator::addTensor(const std::string &name, const void *data, const int64_t *strides, const int64_t *extents,
                         int rank, int elementBytes) {
  int64_t lo = 0, hi = 0;
  for (int d = 0; extents && d < rank; ++d)
    (strides[d] < 0 ? lo : hi) += strides[d] * (extents[d] - 1);
  uintptr_t base = reinterpret_cast<uintptr_t>(data);
  state_->given.push_back(
      {name, base + uintptr_t(lo * elementBytes), base + uintptr_t((hi + 1) * elementBytes), false});
}

void Emulator::addMemory(const std::string &name, const void *data, int64_t bytes) {
  uintptr_t base = reinterpret_cast<uintptr_t>(data);
  if (bytes > 0)
    state_->given.push_back({name, base, base + uintptr_t(bytes), false});
}

bool Emulator::launch(const std::string &kernel, Entry entry, int threads, int64_t instances, int64_t scratchBytes,
                      const std::vector<int64_t> &arguments, Error &error) {
  int64_t blocks = std::min<int64_t>(instances, kBlocks);
  std::vector<char> scratch;
  size_t given = state_->given.size();
  if (scratchBytes > 0) {
    scratch.assign(size_t(scratchBytes * blocks), kPoison);
    addMemory("scratch memory", scratch.data(), int64_t(scratch.size()));
  }
  void *scratchData = scratch.data();
  int64_t values[] = {instances, scratchBytes};
  std::vector<int64_t> rest = arguments;
  std::vector<void *> pointers = {&values[0], &scratchData, &values[1]};
  for (int64_t &v : rest)
    pointers.push_back(&v);
  bool ran = launchGrid(kernel, entry, threads, blocks, pointers.data(), error);
  state_->given.resize(given);
  return ran;
}

bool Emulator::launchGrid(const std::string &kernel, Entry entry, int threads, int64_t blocks, void **arguments,
                          Error &error) {
  State &s = *state_;
  s.kernel = kernel;
  s.entry = entry;
  s.failure.clear();
  s.touched.clear();
  s.blocks = blocks;
  if (s.threads.size() != size_t(threads))
    s.threads = std::vector<Thread>(size_t(threads));
  s.arguments = arguments;
  State *before = State::running;
  State::running = &s;
  s.sharedMemory.clear();
  s.regions = s.given;
  for (s.block = 0; s.block < s.blocks && s.runBlock(); ++s.block)
    ;
  State::running = before;
  if (s.failure.empty())
    return true;
  error.report(Msg::A811, s.failure);
  return false;
}

} // namespace attnc
