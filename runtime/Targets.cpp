//===- What can be compiled for, by name ----------------------------------===//
#include "runtime/Targets.h"
#include <algorithm>

namespace attnc {

static bool oneOf(const std::string &name, const std::vector<std::string> &known) {
  return std::find(known.begin(), known.end(), name) != known.end();
}

bool checkTarget(const std::string &target, const std::string &arch, Error &error) {
  static const std::vector<std::string> targets = {"cpu", "cuda", "cuda-emulated"};
  static const std::vector<std::string> cpus = {"native", "x86-64-v3", "x86-64-v4"};
  static const std::vector<std::string> gpus = {"native",  "sm_75",  "sm_80",   "sm_86",  "sm_87",   "sm_88",
                                                "sm_89",   "sm_90",  "sm_90a",  "sm_100", "sm_100a", "sm_103",
                                                "sm_103a", "sm_110", "sm_110a", "sm_120", "sm_120a", "sm_121"};
  if (!oneOf(target, targets)) {
    error = Error(Msg::A923, target).withHelp(suggestion(target, targets, "there are"));
    return false;
  }
  const std::vector<std::string> &archs = target == "cpu" ? cpus : gpus;
  if (arch.empty() || oneOf(arch, archs))
    return true;
  error = Error(Msg::A930, target, arch).withHelp(suggestion(arch, archs, "there are"));
  return false;
}

} // namespace attnc
