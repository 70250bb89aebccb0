//===- Folders of kernels, an arch each -----------------------------------===//
#include "runtime/Package.h"
#include "runtime/Cache.h"
#include "runtime/cuda/Driver.h"
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <unistd.h>

namespace attnc {

namespace {

/// Best first; false with a sentence when the target is not here.
bool archsOf(const std::string &target, std::vector<std::string> &archs, Error &error) {
  if (target == "cpu") {
    archs = {"native", "x86-64-v4", "x86-64-v3"};
    return true;
  }
  if (target != "cuda") {
    error = Error(Msg::A923, target).withHelp("packages are for cpu and cuda");
    return false;
  }
  const CudaDriver *driver = CudaDriver::get(error);
  if (!driver)
    return false;
  archs = {driver->arch() + "a"};
  // A cubin runs on GPUs of its generation that are not older.
  for (int capability = driver->capability; capability >= driver->capability / 10 * 10; --capability)
    archs.push_back(fmt::format("sm_{}", capability));
  return true;
}

} // namespace

std::shared_ptr<Mixer> loadPackage(const std::string &folder, const std::string &target, Error &error) {
  std::vector<std::string> archs;
  if (!archsOf(target, archs, error))
    return nullptr;
  std::string looked;
  Error refused;
  for (const std::string &arch : archs) {
    std::string path = fmt::format("{}/{}.kernel", folder, arch), bytes;
    Error why;
    looked += fmt::format("{}{}.kernel", looked.empty() ? "" : ", ", arch);
    if (access(path.c_str(), F_OK) != 0)
      continue;
    if (!readWhole(path, bytes, size_t(1) << 30))
      why.report(Msg::A600, path, std::strerror(errno));
    else if (std::shared_ptr<Mixer> mixer = Mixer::load(bytes, why))
      return mixer;
    if (!refused) {
      refused = why;
      refused.text = fmt::format("{}: {}", path, why.text);
    }
  }
  error =
      refused ? refused : Error(Msg::A822, folder, target, looked).withHelp("attnc compile --emit=package makes it");
  return nullptr;
}

} // namespace attnc
