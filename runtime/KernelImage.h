//===- A kernel that can run ----------------------------------------------===//
//
// A blob made ready, by what its target needs: for the CPU its image is copied to fresh pages, which are then made
// executable and no longer writable; for the other targets see cuda/DeviceImage.cpp and cuda/EmulatedImage.cpp.
// Immutable, shared by all calls.
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
  static std::shared_ptr<const KernelImage> load(const KernelBlob &blob, Error &error);
  virtual ~KernelImage() = default;
  KernelImage(const KernelImage &) = delete;
  KernelImage &operator=(const KernelImage &) = delete;

  virtual int64_t workspaceBytes(const int64_t *symbols) const = 0;
  /// Whether tensors and workspace may be memory of the GPU; a null workspace is then made by run().
  virtual bool onDevice() const { return false; }
  enum class Result { Done, OutOfMemory, Failed };
  /// From the device's memory, when what is queued before is done; only where there is a device.
  virtual Result copyToHost(void *, const void *, size_t, void * /*stream*/, Error &) const { return Result::Failed; }
  /// Sets `error` where the target can fail while it runs.
  virtual Result run(const KernelContext &ctx, Error &error) const = 0;
  const std::vector<KernelBlob::Buffer> &buffers() const { return buffers_; }

protected:
  explicit KernelImage(std::vector<KernelBlob::Buffer> buffers) : buffers_(std::move(buffers)) {}

private:
  std::vector<KernelBlob::Buffer> buffers_;
};

/// The first of the features that this CPU lacks, empty if none. A feature nobody here knows is taken as lacking.
std::string missingCpuFeature(const std::vector<std::string> &features);

} // namespace attnc
