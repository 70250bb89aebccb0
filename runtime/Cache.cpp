//===- The kernel cache on disk -------------------------------------------===//
#include "runtime/Cache.h"
#include "runtime/Blob.h"
#include "runtime/CacheBytes.h"
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace attnc {

namespace {

constexpr int64_t kDefaultLimit = int64_t(512) << 20;
constexpr int64_t kMaxEntry = int64_t(256) << 20;

int64_t limitFromEnvironment() {
  const char *text = std::getenv("ATTNC_CACHE_SIZE");
  if (!text || *text < '0' || *text > '9')
    return kDefaultLimit;
  char *end = nullptr;
  int64_t v = std::strtoll(text, &end, 10);
  int shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
  return v > (INT64_MAX >> shift) ? INT64_MAX : v << shift;
}

bool makeFolders(const std::string &path) {
  for (size_t at = 1; at <= path.size(); ++at)
    if (at == path.size() || path[at] == '/')
      mkdir(path.substr(0, at).c_str(), 0700);
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

bool isEntryName(const std::string &name) {
  return name.size() >= 34 && name[32] == '.' && name.find_first_not_of("0123456789abcdef") == 32;
}

} // namespace

bool readWhole(const std::string &path, std::string &text, size_t limit) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return false;
  struct stat info;
  bool ok = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && uint64_t(info.st_size) <= limit;
  if (ok) {
    text.resize(size_t(info.st_size));
    size_t done = 0;
    while (ok && done < text.size()) {
      ssize_t n = ::read(fd, &text[done], text.size() - done);
      ok = n > 0;
      done += ok ? size_t(n) : 0;
    }
  }
  close(fd);
  return ok;
}

KernelCache::KernelCache(std::string directory, int64_t limit) : directory_(std::move(directory)), limit_(limit) {
  if (limit_ <= 0)
    limit_ = limitFromEnvironment();
  if (!directory_.empty())
    return;
  auto variable = [](const char *name) {
    const char *v = std::getenv(name);
    return std::string(v ? v : "");
  };
  directory_ = variable("ATTNC_CACHE_DIR");
  if (!directory_.empty())
    return;
  std::string base = variable("XDG_CACHE_HOME");
  if (base.empty() || base[0] != '/') {
    base = variable("HOME");
    if (base.empty())
      return;
    base += "/.cache";
  }
  directory_ = base + "/attnc";
}

KernelCache KernelCache::disabled() {
  KernelCache cache("-", 1);
  cache.directory_.clear();
  return cache;
}

bool KernelCache::read(char kind, const std::string &key, std::string &payload) const {
  if (directory_.empty())
    return false;
  std::string path = fmt::format("{}/{}.{}", directory_, key, kind);
  struct stat info;
  if (stat(path.c_str(), &info) != 0)
    return false;
  // Entries become executable code: take only what this user (or root) wrote and nobody else may change.
  if ((info.st_uid != geteuid() && info.st_uid != 0) || (info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return false;
  std::string bytes;
  Error error;
  std::string_view content;
  if (!readWhole(path, bytes, size_t(kMaxEntry)) || !unsealBytes(kind, bytes, content, error))
    return false;
  if (content.substr(0, key.size()) != key)
    return false;
  payload = std::string(content.substr(key.size()));
  // Used entries stay; the time is renewed once an hour at most, so that a hit seldom writes.
  if (time(nullptr) - info.st_mtime > 3600)
    utimensat(AT_FDCWD, path.c_str(), nullptr, 0);
  return true;
}

void KernelCache::write(char kind, const std::string &key, std::string_view payload) const {
  static std::atomic<unsigned> counter{0};
  if (directory_.empty() || int64_t(payload.size()) > std::min(limit_, kMaxEntry) || !makeFolders(directory_))
    return;
  std::string path = fmt::format("{}/{}.{}", directory_, key, kind);
  std::string temporary = fmt::format("{}.tmp{}-{}", path, getpid(), counter++);
  std::string bytes = sealBytes(kind, key + std::string(payload));
  int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0)
    return;
  size_t done = 0;
  bool ok = true;
  while (ok && done < bytes.size()) {
    ssize_t n = ::write(fd, bytes.data() + done, bytes.size() - done);
    ok = n > 0;
    done += ok ? size_t(n) : 0;
  }
  ok = close(fd) == 0 && ok;
  if (!ok || rename(temporary.c_str(), path.c_str()) != 0)
    unlink(temporary.c_str());
  else
    evict();
}

void KernelCache::evict() const {
  struct Entry {
    int64_t time, size;
    std::string name;
  };
  std::vector<Entry> entries;
  int64_t total = 0;
  DIR *folder = opendir(directory_.c_str());
  if (!folder)
    return;
  int64_t now = int64_t(time(nullptr));
  while (dirent *item = readdir(folder)) {
    std::string name = item->d_name;
    if (!isEntryName(name)) // never touches what is not its own
      continue;
    struct stat info;
    if (fstatat(dirfd(folder), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode))
      continue;
    bool leftover = name.find(".tmp") != std::string::npos;
    if (leftover && now - int64_t(info.st_mtime) < 3600)
      continue; // another process is writing it
    int64_t when = leftover ? 0 : int64_t(info.st_mtim.tv_sec) * 1000000000 + info.st_mtim.tv_nsec;
    entries.push_back({when, int64_t(info.st_size), name});
    total += info.st_size;
  }
  std::sort(entries.begin(), entries.end(), [](const Entry &a, const Entry &b) { return a.time < b.time; });
  int64_t goal = total > limit_ ? limit_ - limit_ / 5 : limit_;
  for (const Entry &e : entries) {
    if (total <= goal && e.time != 0)
      break;
    if (unlinkat(dirfd(folder), e.name.c_str(), 0) == 0)
      total -= e.size;
  }
  closedir(folder);
}

CacheKey &CacheKey::add(std::string_view part) {
  parts_ += fmt::format("{}:", part.size());
  parts_ += part;
  return *this;
}

CacheKey &CacheKey::add(int64_t part) { return add(std::to_string(part)); }

std::string CacheKey::finish() const { return sha256(parts_).substr(0, 32); }

bool readSignature(const KernelCache &cache, const std::string &key, CachedSignature &entry) {
  std::string payload;
  if (!cache.read('S', key, payload))
    return false;
  ByteReader r(payload);
  entry = {};
  for (uint64_t n = r.count(); n > 0; --n) {
    std::string path = r.text(), hash = r.text(), text;
    if (!readWhole(path, text, size_t(4) << 20) || sha256(text) != hash)
      return false;
    entry.imports.emplace_back(std::move(path), std::move(hash));
  }
  entry.signature = r.text();
  return r.atEnd();
}

void writeSignature(const KernelCache &cache, const std::string &key, const CachedSignature &entry) {
  ByteWriter w;
  w.u64(entry.imports.size());
  for (auto &[path, hash] : entry.imports) {
    w.text(path);
    w.text(hash);
  }
  w.text(entry.signature);
  cache.write('S', key, w.bytes());
}

std::string fileStamp(const std::string &path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0)
    return {};
  return fmt::format("{}-{}.{}", int64_t(info.st_size), int64_t(info.st_mtim.tv_sec), int64_t(info.st_mtim.tv_nsec));
}

std::string hostCpuStamp() {
#if defined(__x86_64__)
  std::string stamp = "x86";
  unsigned a, b, c, d;
  if (__get_cpuid(1, &a, &b, &c, &d)) // ebx names the core we happen to be on; osxsave bit and the rest are stable
    stamp += fmt::format("-{:x}.{:x}.{:x}", a, c, d);
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d))
    stamp += fmt::format("-{:x}.{:x}.{:x}", b, c, d);
  if (__get_cpuid_count(7, 1, &a, &b, &c, &d))
    stamp += fmt::format("-{:x}", a);
  return stamp;
#else
  return "other";
#endif
}

} // namespace attnc
