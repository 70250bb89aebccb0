//===- The kernel cache on disk -------------------------------------------===//
//
// Entries are files named by key and kind, written under a temporary name and renamed, so that any number of processes
// can share a folder. Three kinds lead from a spec's text to machine code:
//
//   S  text, params, inputs passed          -> imports with their hashes, signature
//   M  key of S, dtypes, extents, target    -> hash of the IR
//   K  hash of the IR, target               -> machine code
//
// so that a changed comment costs a parse and no compilation, and argument errors need no compiler. One more, N, keeps
// what NVRTC made of emitted CUDA text. An entry that is cut, damaged, of another version, filed under a wrong name, or
// that someone else could have written counts as missing. A cache that cannot be used (no folder, disk full) is a cache
// that always misses; nothing is reported.
//===----------------------------------------------------------------------===//
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace attnc {

class KernelCache {
public:
  /// Folder: `directory`, else $ATTNC_CACHE_DIR, else $XDG_CACHE_HOME/attnc, else ~/.cache/attnc. `limit` bytes in all;
  /// 0: $ATTNC_CACHE_SIZE (500M, 2G), else 512 MiB.
  explicit KernelCache(std::string directory = {}, int64_t limit = 0);
  /// One that always misses.
  static KernelCache disabled();

  bool read(char kind, const std::string &key, std::string &payload) const;
  void write(char kind, const std::string &key, std::string_view payload) const;
  const std::string &directory() const { return directory_; }

private:
  void evict() const;
  std::string directory_; ///< empty: disabled
  int64_t limit_ = 0;
};

/// Collects what a key depends on; order and boundaries count.
class CacheKey {
public:
  CacheKey &add(std::string_view part);
  CacheKey &add(int64_t part);
  /// 32 hexadecimal digits.
  std::string finish() const;

private:
  std::string parts_;
};

/// What S holds.
struct CachedSignature {
  std::vector<std::pair<std::string, std::string>> imports; ///< path, hash of the content
  std::string signature;                                    ///< serializeSignature
};
/// Misses too when an imported file has changed.
bool readSignature(const KernelCache &cache, const std::string &key, CachedSignature &entry);
void writeSignature(const KernelCache &cache, const std::string &key, const CachedSignature &entry);

/// Size and time of a file as text, to tell builds of the compiler apart; empty when there is none.
std::string fileStamp(const std::string &path);
/// Model and features of this CPU.
std::string hostCpuStamp();
/// Whole file; false when it cannot be read or is larger than `limit`.
bool readWhole(const std::string &path, std::string &text, size_t limit);

} // namespace attnc
