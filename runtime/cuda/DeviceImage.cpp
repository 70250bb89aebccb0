//===- A kernel of target cuda, ready to run ------------------------------===//
//
// Everything of a call is put into one stream: tensors of the CPU's memory are copied to the device before the launches
// and outputs back after them; tensors of the device are used where they are. A call that copied waits for the stream,
// one that did not returns when all is queued.
//===----------------------------------------------------------------------===//
#include "runtime/cuda/DeviceImage.h"
#include "runtime/KernelRun.h"
#include "runtime/cuda/Driver.h"
#include "runtime/cuda/LaunchPlan.h"
#include <algorithm>
#include <fmt/format.h>

namespace attnc {

namespace {

constexpr int kOutOfMemory = 2, kNoBinaryForGpu = 209; // CUDA_ERROR_OUT_OF_MEMORY, CUDA_ERROR_NO_BINARY_FOR_GPU
constexpr int64_t kScratchLimit = int64_t(256) << 20;  ///< bytes of all blocks of a launch
constexpr int64_t kMaxBlocks = INT32_MAX;
constexpr size_t kPage = 4096; ///< read, or written, for a tensor without elements

/// The memory and copies of one call.
class Call {
public:
  Call(const CudaDriver &driver, CudaDriver::Handle stream, Error &error)
      : driver_(driver), stream_(stream), error_(error) {}
  ~Call() {
    for (CudaDriver::Address a : owned_)
      driver_.release(a, stream_);
  }
  Call(const Call &) = delete;
  Call &operator=(const Call &) = delete;

  /// 0 with a sentence when the device has no such memory.
  CudaDriver::Address allocate(int64_t bytes, const char *what) {
    CudaDriver::Address address = 0;
    int status = driver_.allocate(&address, size_t(bytes), stream_);
    if (status != 0) {
      result = status == kOutOfMemory ? KernelImage::Result::OutOfMemory : KernelImage::Result::Failed;
      error_.report(Msg::A820, fmt::format("{} has no {} for {}: {}", driver_.deviceName, bytesText(bytes), what,
                                           driver_.describe(status)));
      return 0;
    }
    owned_.push_back(address);
    return address;
  }

  bool check(int status, const std::string &what) {
    if (status == 0)
      return true;
    result = KernelImage::Result::Failed;
    return error_.report(Msg::A820,
                         fmt::format("{} on {} failed: {}", what, driver_.deviceName, driver_.describe(status)));
  }

  /// The argument as the device sees it.
  bool place(const KernelArg &arg, const KernelArgShape &shape, KernelArg &placed) {
    placed = arg;
    if (!shape.extents) {
      if (!page_) {
        page_ = allocate(kPage, "a tensor without elements");
        if (!page_ || !check(driver_.fill(page_, 0, kPage, stream_), "filling memory"))
          return false;
      }
      placed.data = pointer(page_);
      return true;
    }
    if (shape.device >= 0) {
      if (shape.device == driver_.device)
        return true;
      result = KernelImage::Result::Failed;
      return error_.report(Msg::A820, fmt::format("a tensor is in the memory of GPU {}, but kernels run on GPU {} "
                                                  "(ATTNC_CUDA_DEVICE)",
                                                  shape.device, driver_.device));
    }
    int64_t low = 0, high = 0, count = 1;
    for (int d = 0; d < shape.rank; ++d) {
      int64_t reach = (shape.extents[d] - 1) * arg.strides[d];
      (reach < 0 ? low : high) += reach;
      count *= shape.extents[d];
    }
    Copy copy;
    copy.bytes = (high - low + 1) * shape.elementBytes;
    copy.host = static_cast<char *>(arg.data) + low * shape.elementBytes;
    copy.device = allocate(copy.bytes, "a tensor");
    if (!copy.device)
      return false;
    // What lies between the elements of an output goes there and back.
    if ((!shape.output || high - low + 1 != count) &&
        !check(driver_.copyToDevice(copy.device, copy.host, size_t(copy.bytes), stream_), "copying to the device"))
      return false;
    if (shape.output)
      back_.push_back(copy);
    copied_ = true;
    placed.data = pointer(copy.device - CudaDriver::Address(low * shape.elementBytes));
    return true;
  }

  /// Outputs to the CPU's memory; waits where something was copied.
  bool finish() {
    for (const Copy &c : back_)
      if (!check(driver_.copyToHost(c.host, c.device, size_t(c.bytes), stream_), "copying from the device"))
        return false;
    return !copied_ || check(driver_.synchronize(stream_), "a kernel");
  }

  static void *pointer(CudaDriver::Address a) { return reinterpret_cast<void *>(uintptr_t(a)); }

  KernelImage::Result result = KernelImage::Result::Done;

private:
  struct Copy {
    char *host;
    CudaDriver::Address device;
    int64_t bytes;
  };
  const CudaDriver &driver_;
  CudaDriver::Handle stream_;
  Error &error_;
  std::vector<CudaDriver::Address> owned_;
  std::vector<Copy> back_;
  CudaDriver::Address page_ = 0;
  bool copied_ = false;
};

class DeviceImage : public KernelImage {
public:
  static std::shared_ptr<const KernelImage> load(const KernelBlob &blob, Error &error) {
    const CudaDriver *driver = CudaDriver::get(error);
    if (!driver)
      return nullptr;
    std::shared_ptr<DeviceImage> image(new DeviceImage(*driver, blob.buffers));
    if (!LaunchPlan::parse(blob.plan, image->plan_)) {
      error.report(Msg::A806);
      return nullptr;
    }
    CudaContext context(*driver);
    int status = driver->moduleLoadData(&image->module_, blob.image.data());
    if (status != 0) {
      image->module_ = nullptr;
      if (status == kNoBinaryForGpu)
        error = Error(Msg::A821, blob.arch, driver->deviceName, driver->arch()).withHelp("--arch " + driver->arch());
      else
        error.report(Msg::A820, "the driver does not load the kernel: " + driver->describe(status));
      return nullptr;
    }
    for (const LaunchPlan::Kernel &k : image->plan_.kernels) {
      CudaDriver::Handle function = nullptr;
      if (driver->moduleGetFunction(&function, image->module_, k.name.c_str()) != 0) {
        error.report(Msg::A806);
        return nullptr;
      }
      image->functions_.push_back(function);
    }
    return image;
  }
  ~DeviceImage() override {
    CudaContext context(driver_);
    if (module_)
      driver_.moduleUnload(module_);
  }

  bool onDevice() const override { return true; }
  int64_t workspaceBytes(const int64_t *symbols) const override { return plan_.workspaceBytes(symbols); }

  Result copyToHost(void *to, const void *from, size_t bytes, void *stream, Error &error) const override {
    CudaContext context(driver_);
    Call call(driver_, stream, error);
    if (call.check(driver_.copyToHost(to, CudaDriver::Address(reinterpret_cast<uintptr_t>(from)), bytes, stream),
                   "copying from the device"))
      call.check(driver_.synchronize(stream), "copying from the device");
    return call.result;
  }

  Result run(const KernelContext &ctx, Error &error) const override {
    CudaContext context(driver_);
    Call call(driver_, ctx.stream, error);
    std::vector<KernelArg> args(size_t(ctx.argCount), KernelArg{});
    for (size_t i = 0; i < args.size(); ++i)
      if (!call.place(ctx.args[i], ctx.shapes[i], args[i]))
        return call.result;
    KernelContext there = ctx;
    there.args = args.data();
    int64_t bytes = plan_.workspaceBytes(ctx.symbols);
    if (bytes > 0 && !there.workspace) {
      there.workspace = static_cast<char *>(Call::pointer(call.allocate(bytes, "intermediates")));
      if (!there.workspace)
        return call.result;
    }
    bool launched = plan_.follow(there, [&](const LaunchPlan::Kernel &kernel, int64_t instances, int64_t scratchBytes,
                                            const std::vector<LaunchPlan::LaunchArgument> &arguments) {
      return launch(call, ctx.stream, kernel, instances, scratchBytes, arguments);
    });
    if (launched)
      call.finish();
    return call.result;
  }

private:
  DeviceImage(const CudaDriver &driver, std::vector<KernelBlob::Buffer> buffers)
      : KernelImage(std::move(buffers)), driver_(driver) {}

  bool launch(Call &call, CudaDriver::Handle stream, const LaunchPlan::Kernel &kernel, int64_t instances,
              int64_t scratchBytes, const std::vector<LaunchPlan::LaunchArgument> &arguments) const {
    // A block goes from instance to instance, so fewer blocks than instances only cost time.
    int64_t blocks = std::min(instances, kMaxBlocks);
    CudaDriver::Address scratch = 0;
    if (scratchBytes > 0) {
      blocks = std::clamp<int64_t>(kScratchLimit / scratchBytes, 1, blocks);
      scratch = call.allocate(blocks * scratchBytes, "scratch memory of blocks");
      if (!scratch)
        return false;
    }
    std::vector<int64_t> values = {instances, int64_t(scratch), scratchBytes};
    for (const LaunchPlan::LaunchArgument &a : arguments)
      values.push_back(a.value);
    std::vector<void *> pointers;
    for (int64_t &v : values)
      pointers.push_back(&v);
    CudaDriver::Handle function = functions_[size_t(&kernel - plan_.kernels.data())];
    return call.check(driver_.launchKernel(function, unsigned(blocks), 1, 1, unsigned(kernel.threads), 1, 1, 0, stream,
                                           pointers.data(), nullptr),
                      "launching " + kernel.name);
  }

  const CudaDriver &driver_;
  LaunchPlan plan_;
  CudaDriver::Handle module_ = nullptr;
  std::vector<CudaDriver::Handle> functions_;
};

} // namespace

std::shared_ptr<const KernelImage> loadOnDevice(const KernelBlob &blob, Error &error) {
  return DeviceImage::load(blob, error);
}

} // namespace attnc
