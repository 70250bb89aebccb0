//===- Folders of kernels, an arch each -----------------------------------===//
#include "runtime/Package.h"
#include "runtime/Cache.h"
#include "runtime/cuda/Driver.h"
#include <fmt/format.h>
#include <unistd.h>

namespace attnc {

namespace {

/// Best first; false with a sentence when the target is not here.
bool archsOf(const std::string &target, std::vector<std::string> &archs, std::string &error) {
  if (target == "cpu") {
    archs = {"native", "x86-64-v4", "x86-64-v3"};
    return true;
  }
  if (target != "cuda") {
    error = fmt::format("unknown target '{}' of a package; there are cpu, cuda", target);
    return false;
  }
  CudaDriver::Outcome outcome;
  const CudaDriver *driver = CudaDriver::get(outcome, error);
  if (!driver)
    return false;
  archs = {driver->arch() + "a"};
  // A cubin runs on GPUs of its generation that are not older.
  for (int capability = driver->capability; capability >= driver->capability / 10 * 10; --capability)
    archs.push_back(fmt::format("sm_{}", capability));
  return true;
}

} // namespace

std::shared_ptr<Mixer> loadPackage(const std::string &folder, const std::string &target, std::string &error) {
  std::vector<std::string> archs;
  if (!archsOf(target, archs, error))
    return nullptr;
  std::string looked, refused;
  for (const std::string &arch : archs) {
    std::string path = fmt::format("{}/{}.kernel", folder, arch), bytes, why;
    looked += fmt::format("{}{}.kernel", looked.empty() ? "" : ", ", arch);
    if (access(path.c_str(), F_OK) != 0)
      continue;
    if (!readWhole(path, bytes, size_t(1) << 30))
      why = "cannot be read";
    else if (std::shared_ptr<Mixer> mixer = Mixer::load(bytes, why))
      return mixer;
    refused += fmt::format("{}{}: {}", refused.empty() ? "" : "; ", path, why);
  }
  error = !refused.empty() ? refused
                           : fmt::format("{} has no code for target {} on this machine (looked for {}); make it with "
                                         "attnc compile --emit=package",
                                         folder, target, looked);
  return nullptr;
}

} // namespace attnc
