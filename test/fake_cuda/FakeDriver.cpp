//===- A driver of NVIDIA's for tests -------------------------------------===//
//
// The functions of libcuda.so.1 that attnc calls, over the CPU's memory. Kernels that FakeNvrtc.cpp made run in the
// emulator; launches of real cubins are checked and counted, and nothing runs. What a real driver would not forgive
// comes back as a status: memory that is not there or freed, a context that is not current, a launch over the limits.
//
//   ATTNC_FAKE_CUDA_LOG=FILE       a line per call: JSON, without addresses
//   ATTNC_FAKE_CUDA_STATUS=N       of cuInit (0)
//   ATTNC_FAKE_CUDA_DEVICES=N      GPUs there are (1)
//   ATTNC_FAKE_CUDA_CAPABILITY=N   of the GPU (90)
//   ATTNC_FAKE_CUDA_VERSION=N      of CUDA (13000)
//   ATTNC_FAKE_CUDA_MEMORY=BYTES   of the GPU (1 GiB)
//===----------------------------------------------------------------------===//
#include "runtime/cuda/Emulator.h"
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <fmt/format.h>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT extern "C" __attribute__((visibility("default")))

using namespace attnc;

namespace {

enum Status : int {
  kSuccess = 0,
  kInvalidValue = 1,
  kOutOfMemory = 2,
  kNoDevice = 100,
  kInvalidImage = 200,
  kInvalidContext = 201,
  kNoBinary = 209,
  kNotFound = 500,
  kIllegalAddress = 700,
};

int64_t setting(const char *name, int64_t otherwise) {
  const char *text = std::getenv(name);
  return text ? std::atoll(text) : otherwise;
}

struct Function {
  std::string name;
  Emulator::Entry entry = nullptr; ///< null: of a real cubin
  int64_t parameterBytes = 0;      ///< of a real cubin
};

struct Module {
  void *library = nullptr;
  int file = -1;
  std::map<std::string, Function> functions;
};

/// One process, one GPU.
struct Device {
  std::mutex mutex;
  std::map<uintptr_t, size_t> memory; ///< live allocations
  size_t used = 0;
  std::map<Module *, std::unique_ptr<Module>> modules;
  std::string failure; ///< of a launch; every later wait says it

  ~Device() {
    for (auto &[address, bytes] : memory) {
      log(fmt::format("\"leak\": \"memory\", \"bytes\": {}", bytes));
      std::free(reinterpret_cast<void *>(address));
    }
    if (!modules.empty())
      log(fmt::format("\"leak\": \"modules\", \"count\": {}", modules.size()));
  }

  void log(const std::string &fields) {
    if (const char *path = std::getenv("ATTNC_FAKE_CUDA_LOG"))
      std::ofstream(path, std::ios::app) << "{" << fields << "}\n";
  }

  /// Whether all of it lies in one live allocation.
  bool holds(uintptr_t address, size_t bytes) const {
    auto it = memory.upper_bound(address);
    if (it == memory.begin())
      return false;
    --it;
    return address + bytes <= it->first + it->second;
  }
};

Device &device() {
  static Device d;
  return d;
}

thread_local int contexts = 0;

/// Locks the device; bad without a current context.
struct Guard {
  std::lock_guard<std::mutex> lock{device().mutex};
  bool bad = contexts == 0;
};

//===----------------------------------------------------------------------===//
// Modules
//===----------------------------------------------------------------------===//

size_t elfBytes(const char *image) {
  Elf64_Ehdr header;
  std::memcpy(&header, image, sizeof header);
  size_t end = size_t(header.e_shoff) + size_t(header.e_shnum) * header.e_shentsize;
  for (int i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr p;
    std::memcpy(&p, image + header.e_phoff + size_t(i) * header.e_phentsize, sizeof p);
    end = std::max(end, size_t(p.p_offset + p.p_filesz));
  }
  return end;
}

/// Functions of a cubin are its sections .text.NAME; .nv.info.NAME says how many bytes of parameters each takes.
void readCubin(const char *image, Module &module) {
  Elf64_Ehdr header;
  std::memcpy(&header, image, sizeof header);
  auto section = [&](int i) {
    Elf64_Shdr s;
    std::memcpy(&s, image + header.e_shoff + size_t(i) * header.e_shentsize, sizeof s);
    return s;
  };
  const char *names = image + section(header.e_shstrndx).sh_offset;
  for (int i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr s = section(i);
    std::string name = names + s.sh_name;
    if (name.rfind(".text.", 0) == 0)
      module.functions[name.substr(6)].name = name.substr(6);
    if (name.rfind(".nv.info.", 0) != 0)
      continue;
    constexpr unsigned char kSized = 4, kParameterBytes = 0x19; // format with a size; CBANK_PARAM_SIZE, an inline value
    for (size_t at = 0; at + 4 <= s.sh_size;) {
      const unsigned char *attribute = reinterpret_cast<const unsigned char *>(image) + s.sh_offset + at;
      unsigned value = attribute[2] | unsigned(attribute[3]) << 8;
      if (attribute[1] == kParameterBytes)
        module.functions[name.substr(9)].parameterBytes = value;
      at += 4 + (attribute[0] == kSized ? value : 0);
    }
  }
}

int loadModule(const char *image, std::unique_ptr<Module> &module) {
  if (std::memcmp(image, ELFMAG, SELFMAG) != 0)
    return kInvalidImage;
  Elf64_Ehdr header;
  std::memcpy(&header, image, sizeof header);
  module = std::make_unique<Module>();
  constexpr int kCuda = 190; // EM_CUDA
  if (header.e_machine == kCuda) {
    // Byte 1 of the flags is the arch since CUDA 13, byte 0 before.
    unsigned arch = header.e_flags >> 8 & 0xff, older = header.e_flags & 0xff;
    unsigned here = unsigned(setting("ATTNC_FAKE_CUDA_CAPABILITY", 90));
    if (arch != here && older != here)
      return kNoBinary;
    readCubin(image, *module);
    return kSuccess;
  }
  size_t bytes = elfBytes(image);
  module->file = memfd_create("fake-cubin", MFD_CLOEXEC);
  if (module->file < 0 || write(module->file, image, bytes) != ssize_t(bytes))
    return kInvalidImage;
  module->library = dlopen(fmt::format("/proc/self/fd/{}", module->file).c_str(), RTLD_NOW | RTLD_LOCAL);
  auto api = module->library ? static_cast<EmulatorApi **>(dlsym(module->library, "attnc_emulator")) : nullptr;
  if (!api)
    return kInvalidImage;
  *api = Emulator::api();
  return kSuccess;
}

} // namespace

//===----------------------------------------------------------------------===//
// The driver's functions
//===----------------------------------------------------------------------===//

EXPORT int cuInit(unsigned) {
  if (int64_t status = setting("ATTNC_FAKE_CUDA_STATUS", 0))
    return int(status);
  return setting("ATTNC_FAKE_CUDA_DEVICES", 1) > 0 ? kSuccess : kNoDevice;
}
EXPORT int cuDriverGetVersion(int *version) {
  *version = int(setting("ATTNC_FAKE_CUDA_VERSION", 13000));
  return kSuccess;
}
EXPORT int cuDeviceGetCount(int *count) {
  *count = int(setting("ATTNC_FAKE_CUDA_DEVICES", 1));
  return kSuccess;
}
EXPORT int cuDeviceGet(int *d, int ordinal) {
  *d = ordinal;
  return kSuccess;
}
EXPORT int cuDeviceGetName(char *name, int bytes, int) {
  std::strncpy(name, "fake GPU (no hardware)", size_t(bytes));
  return kSuccess;
}
EXPORT int cuDeviceGetAttribute(int *value, int attribute, int) {
  int capability = int(setting("ATTNC_FAKE_CUDA_CAPABILITY", 90));
  if (attribute != 75 && attribute != 76)
    return kInvalidValue;
  *value = attribute == 75 ? capability / 10 : capability % 10;
  return kSuccess;
}
EXPORT int cuDevicePrimaryCtxRetain(void **context, int) {
  *context = &device();
  return kSuccess;
}
EXPORT int cuCtxPushCurrent_v2(void *context) {
  if (context != &device())
    return kInvalidContext;
  ++contexts;
  return kSuccess;
}
EXPORT int cuCtxPopCurrent_v2(void **context) {
  if (contexts == 0)
    return kInvalidContext;
  --contexts;
  *context = &device();
  return kSuccess;
}

EXPORT int cuModuleLoadData(void **out, const void *image) {
  Guard guard;
  if (guard.bad)
    return kInvalidContext;
  std::unique_ptr<Module> module;
  int status = loadModule(static_cast<const char *>(image), module);
  device().log(fmt::format("\"call\": \"load\", \"status\": {}", status));
  if (status != kSuccess)
    return status;
  *out = module.get();
  device().modules[module.get()] = std::move(module);
  return kSuccess;
}
EXPORT int cuModuleUnload(void *handle) {
  Guard guard;
  auto it = device().modules.find(static_cast<Module *>(handle));
  if (guard.bad || it == device().modules.end())
    return kInvalidContext;
  if (it->second->library)
    dlclose(it->second->library);
  if (it->second->file >= 0)
    close(it->second->file);
  device().modules.erase(it);
  device().log("\"call\": \"unload\"");
  return kSuccess;
}
EXPORT int cuModuleGetFunction(void **function, void *handle, const char *name) {
  Guard guard;
  auto it = device().modules.find(static_cast<Module *>(handle));
  if (guard.bad || it == device().modules.end())
    return kInvalidContext;
  Module &module = *it->second;
  if (module.library) {
    void *entry = dlsym(module.library, (std::string(name) + "_entry").c_str());
    if (!entry)
      return kNotFound;
    module.functions[name] = {name, reinterpret_cast<Emulator::Entry>(entry), 0};
  }
  auto found = module.functions.find(name);
  if (found == module.functions.end())
    return kNotFound;
  *function = &found->second;
  return kSuccess;
}

EXPORT int cuLaunchKernel(void *handle, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX,
                          unsigned blockY, unsigned blockZ, unsigned sharedBytes, void *, void **arguments, void **) {
  Guard guard;
  if (guard.bad || !handle)
    return kInvalidContext;
  const Function &f = *static_cast<Function *>(handle);
  bool fits = gridX >= 1 && gridX <= 0x7fffffffu && gridY == 1 && gridZ == 1 && blockX >= 1 && blockX <= 1024 &&
              blockY == 1 && blockZ == 1 && sharedBytes <= 48 * 1024;
  device().log(fmt::format("\"call\": \"launch\", \"kernel\": \"{}\", \"blocks\": {}, \"threads\": {}{}", f.name, gridX,
                           blockX, f.entry ? "" : fmt::format(", \"parameters\": {}", f.parameterBytes)));
  if (!fits)
    return kInvalidValue;
  if (!f.entry || !device().failure.empty())
    return kSuccess;
  const char *seed = std::getenv("ATTNC_EMULATOR_SEED");
  Emulator emulator(seed ? std::strtoull(seed, nullptr, 10) : 1);
  for (auto &[address, bytes] : device().memory)
    emulator.addMemory("memory of the device", reinterpret_cast<void *>(address), int64_t(bytes));
  attnc::Error error;
  emulator.launchGrid(f.name, f.entry, int(blockX), gridX, arguments, error);
  device().failure = error.text;
  return kSuccess; // as the real one: the next wait tells
}

EXPORT int cuMemAllocAsync(unsigned long long *address, size_t bytes, void *) {
  Guard guard;
  if (guard.bad || bytes == 0)
    return guard.bad ? kInvalidContext : kInvalidValue;
  if (bytes > size_t(setting("ATTNC_FAKE_CUDA_MEMORY", int64_t(1) << 30)) - device().used)
    return kOutOfMemory;
  size_t rounded = (bytes + 255) / 256 * 256;
  void *p = std::aligned_alloc(256, rounded);
  if (!p)
    return kOutOfMemory;
  std::memset(p, 0xff, rounded); // NaN and -1: what was never written shows
  device().memory[reinterpret_cast<uintptr_t>(p)] = bytes;
  device().used += bytes;
  device().log(fmt::format("\"call\": \"allocate\", \"bytes\": {}", bytes));
  *address = reinterpret_cast<uintptr_t>(p);
  return kSuccess;
}
EXPORT int cuMemFreeAsync(unsigned long long address, void *) {
  Guard guard;
  auto it = device().memory.find(uintptr_t(address));
  if (guard.bad || it == device().memory.end())
    return guard.bad ? kInvalidContext : kInvalidValue;
  device().used -= it->second;
  device().log(fmt::format("\"call\": \"free\", \"bytes\": {}", it->second));
  std::free(reinterpret_cast<void *>(it->first));
  device().memory.erase(it);
  return kSuccess;
}

static int copy(void *to, const void *from, size_t bytes, uintptr_t there, const char *what) {
  Guard guard;
  if (guard.bad || !device().holds(there, bytes))
    return guard.bad ? kInvalidContext : kInvalidValue;
  std::memcpy(to, from, bytes);
  device().log(fmt::format("\"call\": \"{}\", \"bytes\": {}", what, bytes));
  return kSuccess;
}
EXPORT int cuMemcpyHtoDAsync_v2(unsigned long long to, const void *from, size_t bytes, void *) {
  return copy(reinterpret_cast<void *>(uintptr_t(to)), from, bytes, uintptr_t(to), "to device");
}
EXPORT int cuMemcpyDtoHAsync_v2(void *to, unsigned long long from, size_t bytes, void *) {
  return copy(to, reinterpret_cast<const void *>(uintptr_t(from)), bytes, uintptr_t(from), "to host");
}
EXPORT int cuMemsetD8Async(unsigned long long to, unsigned char value, size_t bytes, void *) {
  Guard guard;
  if (guard.bad || !device().holds(uintptr_t(to), bytes))
    return guard.bad ? kInvalidContext : kInvalidValue;
  std::memset(reinterpret_cast<void *>(uintptr_t(to)), value, bytes);
  return kSuccess;
}
EXPORT int cuStreamSynchronize(void *) {
  Guard guard;
  return guard.bad ? kInvalidContext : device().failure.empty() ? kSuccess : kIllegalAddress;
}

EXPORT int cuGetErrorName(int status, const char **text) {
  static const std::map<int, const char *> names = {{kInvalidValue, "CUDA_ERROR_INVALID_VALUE"},
                                                    {kOutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY"},
                                                    {kNoDevice, "CUDA_ERROR_NO_DEVICE"},
                                                    {kInvalidImage, "CUDA_ERROR_INVALID_IMAGE"},
                                                    {kInvalidContext, "CUDA_ERROR_INVALID_CONTEXT"},
                                                    {kNoBinary, "CUDA_ERROR_NO_BINARY_FOR_GPU"},
                                                    {kNotFound, "CUDA_ERROR_NOT_FOUND"},
                                                    {kIllegalAddress, "CUDA_ERROR_ILLEGAL_ADDRESS"}};
  auto it = names.find(status);
  *text = it == names.end() ? nullptr : it->second;
  return *text ? kSuccess : kInvalidValue;
}
EXPORT int cuGetErrorString(int status, const char **text) {
  *text = status == kIllegalAddress ? device().failure.c_str() : "by the fake driver";
  return kSuccess;
}
