//===- Whole files, without half-written ones -----------------------------===//
#pragma once
#include "runtime/Message.h"
#include "runtime/Tensor.h"
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>

namespace attnc {

struct FileCloser {
  void operator()(std::FILE *f) const { std::fclose(f); }
};
using FileHandle = std::unique_ptr<std::FILE, FileCloser>;

/// Opens for reading. `size`: bytes of a regular file, -1 for a pipe. Null with a sentence in `error`; a directory is
/// refused.
FileHandle openToRead(const std::string &path, int64_t &size, Error &error);

/// Calls `body` on a temporary file beside `path` and renames it to `path` when all was written; otherwise removes it.
/// What is not a regular file (a pipe, /dev/null) is written in place.
bool writeFileAtomically(const std::string &path, const std::function<bool(std::FILE *)> &body, Error &error);

/// Writes the elements row-major, converted to `dtype` (floats only to floats).
bool writeElements(const HostTensor &tensor, DType dtype, std::FILE *f);

} // namespace attnc
