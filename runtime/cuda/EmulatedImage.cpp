//===- A kernel of target cuda-emulated, ready to run ---------------------===//
//
// The image is a shared library: the kernels' text compiled for this CPU behind device/emulated.h. It is opened from
// memory. Each kernel NAME has an entry NAME_entry(void **arguments).
//===----------------------------------------------------------------------===//
#include "runtime/cuda/EmulatedImage.h"
#include "runtime/cuda/Emulator.h"
#include "runtime/cuda/LaunchPlan.h"
#include <cstdlib>
#include <dlfcn.h>
#include <fmt/format.h>
#include <mutex>
#include <sys/mman.h>
#include <unistd.h>

namespace attnc {

namespace {

class EmulatedImage : public KernelImage {
public:
  static std::shared_ptr<const KernelImage> load(const KernelBlob &blob, Error &error) {
    std::shared_ptr<EmulatedImage> image(new EmulatedImage(blob.buffers));
    if (!LaunchPlan::parse(blob.plan, image->plan_)) {
      error.report(Msg::A806);
      return nullptr;
    }
    // Open as long as the library is: the loader knows libraries by their path, and would take the next one for this.
    int fd = image->file_ = memfd_create("attnc-emulated", MFD_CLOEXEC);
    bool written = fd >= 0 && write(fd, blob.image.data(), blob.image.size()) == ssize_t(blob.image.size());
    image->library_ = written ? dlopen(fmt::format("/proc/self/fd/{}", fd).c_str(), RTLD_NOW | RTLD_LOCAL) : nullptr;
    const char *why = written && !image->library_ ? dlerror() : nullptr;
    if (!image->library_) {
      error.report(Msg::A810, why ? why : std::strerror(errno));
      return nullptr;
    }
    auto api = static_cast<EmulatorApi **>(dlsym(image->library_, "attnc_emulator"));
    for (const LaunchPlan::Kernel &k : image->plan_.kernels)
      image->entries_.push_back(reinterpret_cast<Emulator::Entry>(dlsym(image->library_, (k.name + "_entry").c_str())));
    bool whole = api != nullptr;
    for (Emulator::Entry e : image->entries_)
      whole &= e != nullptr;
    if (!whole) {
      error.report(Msg::A806);
      return nullptr;
    }
    *api = Emulator::api();
    return image;
  }
  ~EmulatedImage() override {
    if (library_)
      dlclose(library_);
    if (file_ >= 0)
      close(file_);
  }

  int64_t workspaceBytes(const int64_t *symbols) const override { return plan_.workspaceBytes(symbols); }

  Result run(const KernelContext &ctx, Error &error) const override {
    static std::mutex one; // the library's shared variables serve one call
    std::lock_guard<std::mutex> lock(one);
    const char *seed = std::getenv("ATTNC_EMULATOR_SEED");
    Emulator emulator(seed ? std::strtoull(seed, nullptr, 10) : 1);
    for (int64_t i = 0; i < ctx.argCount; ++i)
      emulator.addTensor(fmt::format("argument {}", i), ctx.args[i].data, ctx.args[i].strides, ctx.shapes[i].extents,
                         ctx.shapes[i].rank, ctx.shapes[i].elementBytes);
    emulator.addMemory("the workspace", ctx.workspace, plan_.workspaceBytes(ctx.symbols));
    bool ran = plan_.follow(ctx, [&](const LaunchPlan::Kernel &kernel, int64_t instances, int64_t scratchBytes,
                                     const std::vector<LaunchPlan::LaunchArgument> &arguments) {
      std::vector<int64_t> values;
      for (const LaunchPlan::LaunchArgument &a : arguments)
        values.push_back(a.value);
      Emulator::Entry entry = entries_[size_t(&kernel - plan_.kernels.data())];
      return emulator.launch(kernel.name, entry, kernel.threads, instances, scratchBytes, values, error);
    });
    return ran ? Result::Done : Result::Failed;
  }

private:
  using KernelImage::KernelImage;
  LaunchPlan plan_;
  int file_ = -1;
  void *library_ = nullptr;
  std::vector<Emulator::Entry> entries_;
};

} // namespace

std::shared_ptr<const KernelImage> loadEmulated(const KernelBlob &blob, Error &error) {
  return EmulatedImage::load(blob, error);
}

} // namespace attnc
