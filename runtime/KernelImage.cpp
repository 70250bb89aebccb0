//===- Machine code in memory ---------------------------------------------===//
#include "runtime/KernelImage.h"
#include "runtime/cuda/DeviceImage.h"
#include "runtime/cuda/EmulatedImage.h"
#include <cstring>
#include <fmt/format.h>
#include <sys/mman.h>

namespace attnc {

#if defined(__x86_64__)
static bool cpuHas(const std::string &feature) {
#define FEATURE(llvm, gcc)                                                                                             \
  if (feature == llvm)                                                                                                 \
    return __builtin_cpu_supports(gcc);
  FEATURE("sse3", "sse3")
  FEATURE("ssse3", "ssse3")
  FEATURE("sse4.1", "sse4.1")
  FEATURE("sse4.2", "sse4.2")
  FEATURE("popcnt", "popcnt")
  FEATURE("avx", "avx")
  FEATURE("avx2", "avx2")
  FEATURE("fma", "fma")
  FEATURE("f16c", "f16c")
  FEATURE("bmi", "bmi")
  FEATURE("bmi2", "bmi2")
  FEATURE("lzcnt", "lzcnt")
  FEATURE("movbe", "movbe")
  FEATURE("avx512f", "avx512f")
  FEATURE("avx512cd", "avx512cd")
  FEATURE("avx512bw", "avx512bw")
  FEATURE("avx512dq", "avx512dq")
  FEATURE("avx512vl", "avx512vl")
  FEATURE("avx512vnni", "avx512vnni")
  FEATURE("avx512bf16", "avx512bf16")
  FEATURE("x86-64-v2", "x86-64-v2")
  FEATURE("x86-64-v3", "x86-64-v3")
  FEATURE("x86-64-v4", "x86-64-v4")
#undef FEATURE
  return false;
}
#else
static bool cpuHas(const std::string &) { return false; }
#endif

std::string missingCpuFeature(const std::vector<std::string> &features) {
  for (const std::string &f : features)
    if (!cpuHas(f))
      return f;
  return {};
}

namespace {

/// Machine code of this CPU, in memory.
class MachineCode : public KernelImage {
public:
  static std::shared_ptr<const KernelImage> load(const KernelBlob &blob, Error &error) {
    std::string missing = missingCpuFeature(blob.features);
    if (!missing.empty()) {
      error.report(Msg::A808, blob.arch, missing);
      return nullptr;
    }
    if (blob.image.empty() || blob.run >= blob.image.size() || blob.workspaceBytes >= blob.image.size()) {
      error.report(Msg::A806);
      return nullptr;
    }
    std::shared_ptr<MachineCode> code(new MachineCode(blob.buffers));
    void *base = mmap(nullptr, blob.image.size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) {
      error.report(Msg::A800, "the code of the kernel");
      return nullptr;
    }
    code->base_ = static_cast<char *>(base);
    code->size_ = blob.image.size();
    std::memcpy(base, blob.image.data(), blob.image.size());
    if (mprotect(base, code->size_, PROT_READ | PROT_EXEC) != 0) {
      error.report(Msg::A809);
      return nullptr;
    }
    __builtin___clear_cache(code->base_, code->base_ + code->size_);
    code->workspaceBytes_ = reinterpret_cast<WorkspaceBytesFn>(code->base_ + blob.workspaceBytes);
    code->run_ = reinterpret_cast<RunFn>(code->base_ + blob.run);
    return code;
  }
  ~MachineCode() override {
    if (base_)
      munmap(base_, size_);
  }
  int64_t workspaceBytes(const int64_t *symbols) const override { return workspaceBytes_(symbols); }
  Result run(const KernelContext &ctx, Error &) const override {
    run_(&ctx);
    return Result::Done;
  }

private:
  using KernelImage::KernelImage;
  char *base_ = nullptr;
  size_t size_ = 0;
  WorkspaceBytesFn workspaceBytes_ = nullptr;
  RunFn run_ = nullptr;
};

} // namespace

std::shared_ptr<const KernelImage> KernelImage::load(const KernelBlob &blob, Error &error) {
  switch (blob.form) {
  case KernelBlob::Form::MachineCode:
    return MachineCode::load(blob, error);
  case KernelBlob::Form::Emulated:
    return loadEmulated(blob, error);
  case KernelBlob::Form::Cubin:
    return loadOnDevice(blob, error);
  }
  error.report(Msg::A806);
  return nullptr;
}

} // namespace attnc
