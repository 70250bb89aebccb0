//===- NVIDIA's driver ----------------------------------------------------===//
#include "runtime/cuda/Driver.h"
#include "runtime/cuda/Symbols.h"
#include <cstdlib>
#include <dlfcn.h>
#include <fmt/format.h>
#include <mutex>

namespace attnc {

namespace {

constexpr int kStubLibrary = 34, kNoDevice = 100; // CUDA_ERROR_STUB_LIBRARY, CUDA_ERROR_NO_DEVICE
constexpr int kCapabilityMajor = 75, kCapabilityMinor = 76;
constexpr int kOldest = 11020; // the first with memory that is allocated in a stream's order

constexpr const char *kStillWorks = "--target cpu works, and --emit=cubin where NVRTC is";

} // namespace

const CudaDriver *CudaDriver::get(Error &error) {
  static std::mutex mutex;
  static CudaDriver driver;
  static bool tried = false;
  static Outcome result = Outcome::Failed;
  static std::string sentence;
  std::lock_guard<std::mutex> lock(mutex);
  if (!tried)
    result = driver.open(sentence);
  tried = true;
  if (result == Outcome::Ready)
    return &driver;
  error.report(Msg::A815, "cuda", sentence);
  return nullptr;
}

CudaDriver::Outcome CudaDriver::open(std::string &error) {
  const char *given = std::getenv("ATTNC_CUDA_DRIVER");
  // Never the name without a version: the toolkit's stub has it.
  const char *name = given ? given : "libcuda.so.1";
  void *handle = dlopen(name, RTLD_LAZY | RTLD_LOCAL);
  if (!handle) {
    error = fmt::format("it needs NVIDIA's driver (looked for {}); install it on a machine with a GPU of "
                        "theirs; {}",
                        name, kStillWorks);
    return Outcome::NoDriver;
  }
  Symbols symbols(handle);
  symbols.find(init, "cuInit");
  symbols.find(driverVersion, "cuDriverGetVersion");
  symbols.find(errorName, "cuGetErrorName");
  symbols.find(errorText, "cuGetErrorString");
  symbols.find(deviceCount, "cuDeviceGetCount");
  symbols.find(deviceGet, "cuDeviceGet");
  symbols.find(deviceGetName, "cuDeviceGetName");
  symbols.find(deviceGetAttribute, "cuDeviceGetAttribute");
  symbols.find(retainContext, "cuDevicePrimaryCtxRetain");
  symbols.find(pushContext, "cuCtxPushCurrent_v2");
  symbols.find(popContext, "cuCtxPopCurrent_v2");
  symbols.find(moduleLoadData, "cuModuleLoadData");
  symbols.find(moduleUnload, "cuModuleUnload");
  symbols.find(moduleGetFunction, "cuModuleGetFunction");
  symbols.find(launchKernel, "cuLaunchKernel");
  symbols.find(copyToDevice, "cuMemcpyHtoDAsync_v2");
  symbols.find(copyToHost, "cuMemcpyDtoHAsync_v2");
  symbols.find(fill, "cuMemsetD8Async");
  symbols.find(synchronize, "cuStreamSynchronize");
  symbols.find(allocate, "cuMemAllocAsync");
  symbols.find(release, "cuMemFreeAsync");
  auto tooOld = [&](const std::string &why) {
    error = fmt::format("the driver {} is too old for attnc: {}; install a driver for CUDA 11.2 or later; {}", name,
                        why, kStillWorks);
    return Outcome::DriverTooOld;
  };
  if (!symbols.missing.empty())
    return tooOld("it has no " + symbols.missing);
  int status = init(0), count = 0;
  if (status == kStubLibrary) {
    error = fmt::format("{} is the toolkit's stub, a file to link against, not a driver; take its folder out of "
                        "LD_LIBRARY_PATH, or install NVIDIA's driver; {}",
                        name, kStillWorks);
    return Outcome::StubDriver;
  }
  if (status == 0 && driverVersion(&version) == 0 && version < kOldest)
    return tooOld(fmt::format("it is for CUDA {}.{}", version / 1000, version % 1000 / 10));
  const char *chosen = std::getenv("ATTNC_CUDA_DEVICE");
  int ordinal = chosen ? std::atoi(chosen) : 0;
  if (status == 0)
    status = deviceCount(&count);
  if (status == kNoDevice || (status == 0 && (ordinal < 0 || ordinal >= count))) {
    error = count > 0
                ? fmt::format("there is no GPU {} (ATTNC_CUDA_DEVICE): the driver has 0 .. {}", ordinal, count - 1)
                : fmt::format("the driver finds no GPU; look at nvidia-smi and CUDA_VISIBLE_DEVICES; {}", kStillWorks);
    return Outcome::NoDevice;
  }
  char text[256] = "";
  int major = 0, minor = 0;
  auto then = [&](int next) { status = status ? status : next; };
  if (status == 0)
    then(deviceGet(&device, ordinal));
  if (status == 0)
    then(deviceGetName(text, sizeof text, device));
  if (status == 0)
    then(deviceGetAttribute(&major, kCapabilityMajor, device));
  if (status == 0)
    then(deviceGetAttribute(&minor, kCapabilityMinor, device));
  if (status == 0)
    then(retainContext(&context, device));
  if (status != 0) {
    error = fmt::format("NVIDIA's driver does not start: {}; look at nvidia-smi; {}", describe(status), kStillWorks);
    return Outcome::Failed;
  }
  deviceName = text;
  capability = major * 10 + minor;
  return Outcome::Ready;
}

std::string CudaDriver::arch() const { return fmt::format("sm_{}", capability); }

std::string CudaDriver::describe(int status) const {
  const char *name = nullptr, *text = nullptr;
  if (errorName(status, &name) != 0 || !name)
    return fmt::format("error {}", status);
  return errorText(status, &text) == 0 && text ? fmt::format("{} ({})", name, text) : std::string(name);
}

} // namespace attnc
