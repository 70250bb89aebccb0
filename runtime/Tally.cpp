//===- How often parts of the compiler were of use -------------------------===//
#include "runtime/Tally.h"
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <vector>

namespace attnc {

namespace {

/// All tallies of one library. It is made by the first of them and goes after the last.
class Tallies {
public:
  ~Tallies() {
    const char *path = std::getenv("ATTNC_TALLY");
    std::FILE *file = path ? std::fopen(path, "a") : nullptr;
    if (!file)
      return;
    for (const Tally *t : fixed_)
      std::fprintf(file, "%llu\t%s\n", static_cast<unsigned long long>(t->count()), t->name());
    for (const auto &[name, times] : named_)
      std::fprintf(file, "%llu\t%s\n", static_cast<unsigned long long>(times), name.c_str());
    std::fclose(file);
  }
  void add(const Tally *t) {
    std::lock_guard<std::mutex> lock(mutex_);
    fixed_.push_back(t);
  }
  void add(const std::string &name, uint64_t times) {
    std::lock_guard<std::mutex> lock(mutex_);
    named_[name] += times;
  }

private:
  std::mutex mutex_;
  std::vector<const Tally *> fixed_;
  std::map<std::string, uint64_t> named_;
};

Tallies &all() {
  static Tallies tallies;
  return tallies;
}

} // namespace

Tally::Tally(const char *name) : name_(name) { all().add(this); }

bool tallying() {
  static const bool asked = std::getenv("ATTNC_TALLY") != nullptr;
  return asked;
}

void tally(const std::string &name, uint64_t times) {
  if (tallying())
    all().add(name, times);
}

} // namespace attnc
