//===- An NVRTC for tests -------------------------------------------------===//
//
// Compiles the text for the CPU behind the emulator's device header, with the C++ compiler that is there: its "cubins"
// are shared libraries that FakeDriver.cpp runs. ATTNC_FAKE_NVRTC_FAILS=N: compiling ends with status N. Its log has
// the form of ptxas's: every kernel calls a function that spills.
//===----------------------------------------------------------------------===//
#include "codegen/cuda/HostCompile.h"
#include <cstdlib>
#include <cstring>
#include <regex>
#include <string>

#define EXPORT extern "C" __attribute__((visibility("default")))

using namespace attnc;

namespace {

struct Program {
  std::string text, code, log;
};

int give(const std::string &from, char *to) {
  std::memcpy(to, from.c_str(), from.size() + 1);
  return 0;
}

} // namespace

EXPORT int nvrtcVersion(int *major, int *minor) {
  *major = 13;
  *minor = 0;
  return 0;
}
EXPORT int nvrtcGetNumSupportedArchs(int *count) {
  *count = 2;
  return 0;
}
EXPORT int nvrtcGetSupportedArchs(int *archs) {
  archs[0] = 80;
  archs[1] = 90;
  return 0;
}
EXPORT int nvrtcCreateProgram(void **out, const char *text, const char *, int, const char *const *,
                              const char *const *) {
  *out = new Program{text, {}, {}};
  return 0;
}
EXPORT int nvrtcDestroyProgram(void **program) {
  delete static_cast<Program *>(*program);
  *program = nullptr;
  return 0;
}
EXPORT int nvrtcCompileProgram(void *program, int, const char *const *) {
  Program &p = *static_cast<Program *>(program);
  if (const char *fails = std::getenv("ATTNC_FAKE_NVRTC_FAILS")) {
    p.log = "as the test wants it";
    return std::atoi(fails);
  }
  LaunchPlan plan; // for the names of the kernels
  static const std::regex entry("__global__ void __launch_bounds__\\(([0-9]+), 1\\) (\\w+)\\(");
  for (std::sregex_iterator it(p.text.begin(), p.text.end(), entry), end; it != end; ++it)
    plan.kernels.push_back({(*it)[2].str(), std::atoi((*it)[1].str().c_str())});
  if (cuda::compileForEmulator(p.text, plan, p.code, p.log) != cuda::HostResult::Done)
    return 6;
  for (const LaunchPlan::Kernel &k : plan.kernels)
    p.log += "ptxas info    : Compiling entry function '" + k.name + "' for 'sm_90'\n" +
             "ptxas info    : Function properties for " + k.name + "\n" +
             "ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
             "ptxas info    : Used 40 registers, used 1 barriers, 32 bytes smem\n"
             "ptxas info    : Function properties for group\n"
             "ptxas         .     16 bytes stack frame, 8 bytes spill stores, 4 bytes spill loads\n"
             "ptxas info    : Function properties for group_size\n"
             "ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n";
  return 0;
}
EXPORT int nvrtcGetProgramLogSize(void *program, size_t *bytes) {
  *bytes = static_cast<Program *>(program)->log.size() + 1;
  return 0;
}
EXPORT int nvrtcGetProgramLog(void *program, char *text) { return give(static_cast<Program *>(program)->log, text); }
EXPORT int nvrtcGetCUBINSize(void *program, size_t *bytes) {
  *bytes = static_cast<Program *>(program)->code.size();
  return 0;
}
EXPORT int nvrtcGetCUBIN(void *program, char *data) {
  const std::string &code = static_cast<Program *>(program)->code;
  std::memcpy(data, code.data(), code.size());
  return 0;
}
EXPORT int nvrtcGetPTXSize(void *program, size_t *bytes) {
  *bytes = sizeof "// no PTX";
  (void)program;
  return 0;
}
EXPORT int nvrtcGetPTX(void *program, char *text) {
  (void)program;
  return give("// no PTX", text);
}
