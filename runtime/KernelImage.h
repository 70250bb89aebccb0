//===- Machine code in memory ---------------------------------------------===//
//
// A blob's image copied to fresh pages, which are then made executable and no longer writable. Immutable, shared by all
// calls.
//===----------------------------------------------------------------------===//
#pragma once
#include "runtime/Blob.h"
#include "runtime/Kernel.h"
#include <memory>
#include <string>
#include <vector>

namespace attnc {

class KernelImage {
public:
  /// Null with one sentence in `error`: the CPU lacks a feature, or memory is refused.
  static std::shared_ptr<const KernelImage> load(const KernelBlob &blob, std::string &error);
  ~KernelImage();
  KernelImage(const KernelImage &) = delete;
  KernelImage &operator=(const KernelImage &) = delete;

  int64_t workspaceBytes(const int64_t *symbols) const { return workspaceBytes_(symbols); }
  void run(const KernelContext *ctx) const { run_(ctx); }
  const std::vector<KernelBlob::Buffer> &buffers() const { return buffers_; }

private:
  KernelImage() = default;
  void *base_ = nullptr;
  size_t size_ = 0;
  WorkspaceBytesFn workspaceBytes_ = nullptr;
  RunFn run_ = nullptr;
  std::vector<KernelBlob::Buffer> buffers_;
};

/// The first of the features that this CPU lacks, empty if none. A feature nobody here knows is taken as lacking.
std::string missingCpuFeature(const std::vector<std::string> &features);

} // namespace attnc
