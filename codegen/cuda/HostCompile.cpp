//===- Emitted text compiled for this CPU, to be emulated -----------------===//
#include "codegen/cuda/HostCompile.h"
#include "codegen/cuda/Device.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include <cstdlib>
#include <fmt/format.h>
#include <optional>

namespace attnc::cuda {

namespace {

/// Removed with everything in it.
struct TemporaryFolder {
  llvm::SmallString<128> path;
  bool made = !llvm::sys::fs::createUniqueDirectory("attnc-emulated", path);
  ~TemporaryFolder() {
    if (made)
      llvm::sys::fs::remove_directories(path);
  }
  std::string file(const char *name) const {
    llvm::SmallString<128> p = path;
    llvm::sys::path::append(p, name);
    return std::string(p);
  }
};

std::optional<std::string> hostCompiler(std::string &looked) {
  std::vector<std::string> names = {"c++", "g++", "clang++"};
  if (const char *given = std::getenv("ATTNC_HOST_CXX"))
    names = {given};
  for (const std::string &name : names) {
    if (auto found = llvm::sys::findProgramByName(name))
      return *found;
    looked += (looked.empty() ? "" : ", ") + name;
  }
  return std::nullopt;
}

std::string contents(const std::string &path) {
  auto buffer = llvm::MemoryBuffer::getFile(path);
  return buffer ? (*buffer)->getBuffer().str() : std::string();
}

} // namespace

HostResult compileForEmulator(const std::string &text, const LaunchPlan &plan, std::string &library,
                              std::string &error) {
  std::string looked;
  auto compiler = hostCompiler(looked);
  if (!compiler) {
    error = fmt::format("it needs a C++ compiler (looked for {}); install one or name it in ATTNC_HOST_CXX", looked);
    return HostResult::NoCompiler;
  }
  TemporaryFolder folder;
  std::string source = folder.file("kernels.cpp"), output = folder.file("kernels.so"), log = folder.file("log");
  if (folder.made) {
    std::error_code ec;
    llvm::raw_fd_ostream os(source, ec);
    os << kDeviceTypes << kDeviceEmulated << kDeviceCommon << text;
    for (const LaunchPlan::Kernel &k : plan.kernels)
      os << "EMULATED_ENTRY(" << k.name << ")\n";
  }
  std::vector<llvm::StringRef> args = {*compiler, "-std=c++17",        "-O1",  "-w", "-fPIC", "-shared",
                                       "-fwrapv", "-ffp-contract=off", source, "-o", output};
  std::optional<llvm::StringRef> redirects[] = {llvm::StringRef(""), llvm::StringRef(log), llvm::StringRef(log)};
  std::string why;
  int status = llvm::sys::ExecuteAndWait(*compiler, args, std::nullopt, redirects, /*SecondsToWait=*/120,
                                         /*MemoryLimit=*/0, &why);
  library = contents(output);
  if (status == 0 && !library.empty())
    return HostResult::Done;
  error = fmt::format("{} failed on emitted text: {}", *compiler, why.empty() ? contents(log).substr(0, 2000) : why);
  return HostResult::Failed;
}

} // namespace attnc::cuda
