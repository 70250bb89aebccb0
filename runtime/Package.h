//===- Folders of kernels, an arch each -----------------------------------===//
#pragma once
#include "runtime/KernelMixer.h"

namespace attnc {

/// The best code for this machine in a folder that `attnc compile --emit=package` wrote. Null with an
/// error: what was looked for, or what is wrong with it.
std::shared_ptr<Mixer> loadPackage(const std::string &folder, const std::string &target, Error &error);

} // namespace attnc
