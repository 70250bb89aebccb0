//===- Emitted text to PTX and cubins -------------------------------------===//
#include "codegen/cuda/Nvrtc.h"
#include "codegen/cuda/Device.h"
#include "runtime/cuda/Symbols.h"
#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <dlfcn.h>
#include <fmt/format.h>
#include <mutex>
#include <optional>
#include <regex>

namespace attnc::cuda {

namespace {

using Program = void *;

/// NVRTC's functions by name. Its results are ints here: 0 is success, 5 an invalid option, 6 an error in the text, 7
/// a builtin that cannot be used.
struct Library {
  int (*version)(int *major, int *minor);
  int (*archCount)(int *count);
  int (*archs)(int *list);
  int (*create)(Program *program, const char *text, const char *name, int headers, const char *const *contents,
                const char *const *names);
  int (*destroy)(Program *program);
  int (*compile)(Program program, int options, const char *const *list);
  int (*logSize)(Program program, size_t *bytes);
  int (*log)(Program program, char *text);
  int (*cubinSize)(Program program, size_t *bytes);
  int (*cubin)(Program program, char *data);
  int (*ptxSize)(Program program, size_t *bytes);
  int (*ptx)(Program program, char *data);
  int major = 0, minor = 0;

  /// Null with what was looked for.
  static const Library *get(std::string &looked);

private:
  bool open(std::string &looked);
  void openBuiltins() const;
};

constexpr int kBuiltinFailure = 7;

const Library *Library::get(std::string &looked) {
  static std::mutex mutex;
  static std::optional<Library> library;
  std::lock_guard<std::mutex> lock(mutex);
  if (!library) {
    Library fresh;
    if (!fresh.open(looked))
      return nullptr;
    library = fresh;
  }
  return &*library;
}

bool Library::open(std::string &looked) {
  std::vector<std::string> names;
  if (const char *given = std::getenv("ATTNC_NVRTC")) {
    names = {given};
  } else {
    for (const char *folder : {"", "/usr/local/cuda/lib64/"})
      for (const char *name : {"libnvrtc.so.13", "libnvrtc.so.12"})
        names.push_back(std::string(folder) + name);
  }
  void *handle = nullptr;
  for (const std::string &name : names) {
    handle = dlopen(name.c_str(), RTLD_LAZY | RTLD_LOCAL);
    if (handle)
      break;
    looked += (looked.empty() ? "" : ", ") + name;
  }
  if (!handle)
    return false;
  Symbols symbols(handle);
  symbols.find(version, "nvrtcVersion");
  symbols.find(archCount, "nvrtcGetNumSupportedArchs");
  symbols.find(archs, "nvrtcGetSupportedArchs");
  symbols.find(create, "nvrtcCreateProgram");
  symbols.find(destroy, "nvrtcDestroyProgram");
  symbols.find(compile, "nvrtcCompileProgram");
  symbols.find(logSize, "nvrtcGetProgramLogSize");
  symbols.find(log, "nvrtcGetProgramLog");
  symbols.find(cubinSize, "nvrtcGetCUBINSize");
  symbols.find(cubin, "nvrtcGetCUBIN");
  symbols.find(ptxSize, "nvrtcGetPTXSize");
  symbols.find(ptx, "nvrtcGetPTX");
  if (!symbols.missing.empty() || version(&major, &minor) != 0) {
    looked = fmt::format("a library without {}", symbols.missing.empty() ? "a version" : symbols.missing);
    dlclose(handle);
    return false;
  }
  openBuiltins();
  return true;
}

/// NVRTC looks for its builtins along the loader's path alone; those beside it are found when they are open already.
void Library::openBuiltins() const {
  Dl_info info;
  if (!dladdr(reinterpret_cast<const void *>(version), &info) || !info.dli_fname)
    return;
  std::string path = info.dli_fname;
  size_t slash = path.rfind('/');
  if (slash != std::string::npos)
    dlopen(fmt::format("{}/libnvrtc-builtins.so.{}.{}", path.substr(0, slash), major, minor).c_str(),
           RTLD_LAZY | RTLD_GLOBAL);
}

/// A number in front of `word` in a line of ptxas, 0 where it has none.
int numberBefore(const std::string &line, const char *word) {
  size_t at = line.find(word);
  if (at == std::string::npos || at == 0)
    return 0;
  size_t end = at - 1, begin = end; // one space between
  while (begin > 0 && line[begin - 1] >= '0' && line[begin - 1] <= '9')
    --begin;
  return begin == end ? 0 : std::atoi(line.substr(begin, end - begin).c_str());
}

std::vector<KernelFigures> figuresOf(const std::string &log) {
  std::vector<KernelFigures> kernels;
  for (size_t begin = 0; begin < log.size();) {
    size_t end = std::min(log.find('\n', begin), log.size());
    std::string line = log.substr(begin, end - begin);
    begin = end + 1;
    const std::string entry = "Compiling entry function '";
    if (size_t at = line.find(entry); at != std::string::npos) {
      at += entry.size();
      kernels.emplace_back().name = line.substr(at, line.find('\'', at) - at);
    } else if (kernels.empty()) {
      continue;
    } else if (line.find("bytes stack frame") != std::string::npos) {
      // Of the kernel, then of each function that it calls.
      kernels.back().stackBytes += numberBefore(line, "bytes stack frame");
      kernels.back().spillBytes += numberBefore(line, "bytes spill stores") + numberBefore(line, "bytes spill loads");
    } else if (size_t used = line.find("Used "); used != std::string::npos) {
      kernels.back().registers = std::atoi(line.c_str() + used + 5);
      kernels.back().sharedBytes = numberBefore(line, "bytes smem");
    }
  }
  // ptxas goes through a module in an order of its own.
  std::sort(kernels.begin(), kernels.end(), [](auto &a, auto &b) { return a.name < b.name; });
  return kernels;
}

/// NVRTC's bytes through a pair of functions for size and content, without the 0 that ends text.
std::string bytesOf(Program program, int (*size)(Program, size_t *), int (*content)(Program, char *)) {
  size_t bytes = 0;
  if (size(program, &bytes) != 0 || bytes == 0)
    return {};
  std::string data(bytes, '\0');
  return content(program, data.data()) == 0 ? data : std::string();
}

std::string textOf(std::string bytes) {
  while (!bytes.empty() && (bytes.back() == '\0' || bytes.back() == '\n'))
    bytes.pop_back();
  return bytes;
}

/// Of this thread, in which NVRTC works.
double processorSeconds() {
  timespec t;
  return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0 ? double(t.tv_sec) + 1e-9 * double(t.tv_nsec) : 0;
}

/// "sm_90a" -> 90, 0 for what is no arch.
int numberOf(const std::string &arch) {
  static const std::regex form("sm_([0-9]{2,3})[af]?");
  std::smatch match;
  return std::regex_match(arch, match, form) ? std::atoi(match[1].str().c_str()) : 0;
}

NvrtcResult checkArch(const Library &nvrtc, const std::string &arch, std::string &error) {
  int count = 0;
  std::string list;
  if (nvrtc.archCount(&count) == 0 && count > 0) {
    std::vector<int> archs(size_t(count), 0);
    nvrtc.archs(archs.data());
    for (int a : archs) {
      if (a == numberOf(arch))
        return NvrtcResult::Done;
      list += fmt::format("{}sm_{}", list.empty() ? "" : ", ", a);
    }
  }
  error = fmt::format("NVRTC {}.{} does not compile for {}; it knows {}: choose one of them with --arch, or install a "
                      "CUDA toolkit that knows {}",
                      nvrtc.major, nvrtc.minor, arch, list, arch);
  return NvrtcResult::ArchNotSupported;
}

} // namespace

std::string nvrtcVersion() {
  std::string looked;
  const Library *nvrtc = Library::get(looked);
  return nvrtc ? fmt::format("{}.{}", nvrtc->major, nvrtc->minor) : std::string();
}

NvrtcResult compileWithNvrtc(const std::string &text, const std::string &arch, bool ptx, NvrtcOutput &output,
                             std::string &error) {
  std::string looked;
  const Library *nvrtc = Library::get(looked);
  if (!nvrtc) {
    error = fmt::format("NVRTC, which compiles for CUDA, is not here (looked for {}); install the CUDA toolkit 12 or "
                        "13, or name the library in ATTNC_NVRTC; --emit=cuda and --target cpu work without",
                        looked);
    return NvrtcResult::NotFound;
  }
  if (NvrtcResult known = checkArch(*nvrtc, arch, error); known != NvrtcResult::Done)
    return known;
  // In front of the text as a header, so that NVRTC's messages count the text's lines.
  static const std::string header = std::string(kDeviceTypes) + std::string(kDeviceGpu) + std::string(kDeviceCommon);
  const char *contents[] = {header.c_str()}, *names[] = {"attnc_device.cuh"};
  Program program = nullptr;
  if (nvrtc->create(&program, text.c_str(), "kernels.cu", 1, contents, names) != 0) {
    error = "NVRTC makes no program";
    return NvrtcResult::Rejected;
  }
  std::string target = "--gpu-architecture=" + arch;
  const char *options[] = {target.c_str(), "--std=c++17", "--pre-include=attnc_device.cuh", "--ptxas-options=-v"};
  double begin = processorSeconds();
  int status = nvrtc->compile(program, 4, options);
  output.seconds = processorSeconds() - begin;
  std::string log = textOf(bytesOf(program, nvrtc->logSize, nvrtc->log));
  if (status == 0) {
    output.code = ptx ? textOf(bytesOf(program, nvrtc->ptxSize, nvrtc->ptx)) + "\n"
                      : bytesOf(program, nvrtc->cubinSize, nvrtc->cubin);
    output.kernels = figuresOf(log);
  }
  nvrtc->destroy(&program);
  if (status == kBuiltinFailure) {
    error = fmt::format("NVRTC {0}.{1} does not find libnvrtc-builtins.so.{0}.{1}, a file of the same package; put its "
                        "folder into LD_LIBRARY_PATH ({2})",
                        nvrtc->major, nvrtc->minor, log);
    return NvrtcResult::BuiltinsMissing;
  }
  if (status != 0 || output.code.empty()) {
    error = fmt::format("NVRTC {}.{} refuses emitted text: {}", nvrtc->major, nvrtc->minor, log.substr(0, 2000));
    return NvrtcResult::Rejected;
  }
  return NvrtcResult::Done;
}

} // namespace attnc::cuda
