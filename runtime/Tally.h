//===- How often parts of the compiler were of use -------------------------===//
//
//   TALLY("simplify: a read at its own position");
//
// counts how often it is passed. With the environment variable ATTNC_TALLY=FILE every library of the process appends
// "count<TAB>name" lines for all its tallies when the process ends, those that stayed 0 included: a tally is known from
// when its library is loaded, whether it is reached or not. The random specs (test/fuzz) demand that none is 0.
//===----------------------------------------------------------------------===//
#pragma once
#include <atomic>
#include <cstdint>
#include <string>

namespace attnc {

/// Lives as long as the process; made at the top level only.
class Tally {
public:
  explicit Tally(const char *name);
  void operator++() { count_.fetch_add(1, std::memory_order_relaxed); }
  const char *name() const { return name_; }
  uint64_t count() const { return count_.load(std::memory_order_relaxed); }

private:
  const char *name_;
  std::atomic<uint64_t> count_{0};
};

template <typename Named> struct TallyOf {
  static inline Tally tally{Named::name()};
};

/// Whether anybody wants to know: what is costly to count is then counted.
bool tallying();
/// For names that are made when the program runs.
void tally(const std::string &name, uint64_t times);

} // namespace attnc

#define TALLY(NAME)                                                                                                    \
  do {                                                                                                                 \
    struct Named {                                                                                                     \
      static const char *name() { return NAME; }                                                                       \
    };                                                                                                                 \
    ++::attnc::TallyOf<Named>::tally;                                                                                  \
  } while (false)
