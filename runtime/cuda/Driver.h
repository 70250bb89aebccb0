//===- NVIDIA's driver ----------------------------------------------------===//
//
// libcuda.so.1, opened when a kernel for a GPU is first asked for ($ATTNC_CUDA_DRIVER names another file, for tests),
// and one device of it: number $ATTNC_CUDA_DEVICE, 0 if not set. Programs without such kernels never open it.
//===----------------------------------------------------------------------===//
#pragma once
#include "runtime/Message.h"
#include <cstddef>
#include <cstdint>
#include <string>

namespace attnc {

class CudaDriver {
public:
  using Handle = void *; ///< context, module, function, stream
  using Address = unsigned long long;

  /// Opened once; null with an error that says what was looked for, what still works and what to do.
  static const CudaDriver *get(Error &error);

  /// "sm_90" for compute capability 9.0.
  std::string arch() const;
  int capability = 0; ///< 90 for 9.0
  int device = 0;     ///< its number
  int version = 0;    ///< 13000 for CUDA 13.0
  std::string deviceName;
  Handle context = nullptr; ///< the device's primary context, kept as long as the process

  /// "CUDA_ERROR_OUT_OF_MEMORY (out of memory)"
  std::string describe(int status) const;

  int (*init)(unsigned flags);
  int (*driverVersion)(int *version);
  int (*deviceCount)(int *count);
  int (*deviceGet)(int *device, int ordinal);
  int (*deviceGetName)(char *name, int bytes, int device);
  int (*deviceGetAttribute)(int *value, int attribute, int device);
  int (*retainContext)(Handle *context, int device);
  int (*pushContext)(Handle context);
  int (*popContext)(Handle *context);
  int (*moduleLoadData)(Handle *module, const void *image);
  int (*moduleUnload)(Handle module);
  int (*moduleGetFunction)(Handle *function, Handle module, const char *name);
  int (*launchKernel)(Handle function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY,
                      unsigned blockZ, unsigned sharedBytes, Handle stream, void **arguments, void **extra);
  int (*allocate)(Address *address, size_t bytes, Handle stream);
  int (*release)(Address address, Handle stream);
  int (*copyToDevice)(Address to, const void *from, size_t bytes, Handle stream);
  int (*copyToHost)(void *to, Address from, size_t bytes, Handle stream);
  int (*fill)(Address to, unsigned char value, size_t bytes, Handle stream);
  int (*synchronize)(Handle stream);

private:
  enum class Outcome {
    Ready,
    NoDriver,     ///< no libcuda.so.1
    StubDriver,   ///< the toolkit's file to link against
    NoDevice,     ///< a driver without a GPU, or without the one asked for
    DriverTooOld, ///< it lacks functions
    Failed,       ///< the driver refuses to start
  };
  Outcome open(std::string &error);
  int (*errorName)(int status, const char **text);
  int (*errorText)(int status, const char **text);
};

/// The driver's context on this thread, for a scope.
class CudaContext {
public:
  explicit CudaContext(const CudaDriver &driver) : driver_(driver), pushed_(driver.pushContext(driver.context) == 0) {}
  ~CudaContext() {
    CudaDriver::Handle old;
    if (pushed_)
      driver_.popContext(&old);
  }
  CudaContext(const CudaContext &) = delete;
  CudaContext &operator=(const CudaContext &) = delete;

private:
  const CudaDriver &driver_;
  bool pushed_;
};

} // namespace attnc
