#include "runtime/File.h"
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace attnc {

FileHandle openToRead(const std::string &path, int64_t &size, Error &error) {
  FileHandle f(std::fopen(path.c_str(), "rb"));
  struct stat st{};
  if (!f || fstat(fileno(f.get()), &st) != 0) {
    error.report(Msg::A600, path, std::strerror(errno));
    return nullptr;
  }
  if (S_ISDIR(st.st_mode)) {
    error.report(Msg::A600, path, "it is a folder");
    return nullptr;
  }
  size = S_ISREG(st.st_mode) ? static_cast<int64_t>(st.st_size) : -1;
  return f;
}

bool writeFileAtomically(const std::string &path, const std::function<bool(std::FILE *)> &body, Error &error) {
  static std::atomic<unsigned> counter{0};
  std::string target = path;
  // A link stays a link: what it points to is replaced.
  if (char *real = realpath(path.c_str(), nullptr)) {
    target = real;
    std::free(real);
  }
  struct stat st{};
  bool exists = stat(target.c_str(), &st) == 0;
  if (exists && S_ISDIR(st.st_mode))
    return error.report(Msg::A601, path, "it is a folder");
  bool inPlace = exists && !S_ISREG(st.st_mode);
  std::string temporary = inPlace ? target : fmt::format("{}.tmp{}-{}", target, getpid(), counter++);
  std::FILE *f = std::fopen(temporary.c_str(), "wb");
  bool ok = f && body(f);
  int code = errno;
  if (f && std::fclose(f) != 0 && ok) {
    ok = false;
    code = errno;
  }
  if (ok && exists && !inPlace)
    (void)!chmod(temporary.c_str(), st.st_mode & 07777);
  if (ok && !inPlace && std::rename(temporary.c_str(), target.c_str()) != 0) {
    ok = false;
    code = errno;
  }
  if (!ok) {
    error.report(Msg::A601, path, std::strerror(code));
    if (f && !inPlace)
      std::remove(temporary.c_str());
  }
  return ok;
}

bool writeElements(const HostTensor &tensor, DType dtype, std::FILE *f) {
  int64_t count = tensor.count(), expected = 1;
  bool contiguous = tensor.dtype == dtype;
  for (size_t i = tensor.shape.size(); i-- > 0;) {
    contiguous &= tensor.shape[i] == 1 || tensor.strides[i] == expected;
    expected *= tensor.shape[i];
  }
  size_t size = dtypeSize(dtype);
  if (contiguous || count == 0)
    return std::fwrite(tensor.data, size, static_cast<size_t>(count), f) == static_cast<size_t>(count);
  constexpr int64_t kBlock = 1 << 16;
  HostTensor block;
  if (!HostTensor::allocate(dtype, {std::min(count, kBlock)}, block))
    return false;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    int64_t n = std::min(kBlock, count - begin);
    for (int64_t i = 0; i < n; ++i) {
      if (isFloat(dtype))
        block.setReal(i, tensor.getReal(begin + i));
      else
        block.setInt(i, tensor.getInt(begin + i));
    }
    if (std::fwrite(block.data, size, static_cast<size_t>(n), f) != static_cast<size_t>(n))
      return false;
  }
  return true;
}

} // namespace attnc
