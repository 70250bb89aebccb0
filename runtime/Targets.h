//===- What can be compiled for, by name ----------------------------------===//
#pragma once
#include "runtime/Message.h"

namespace attnc {

/// The targets there are, and the archs of each; false with an error that names the nearest. An empty arch is the
/// target's default.
bool checkTarget(const std::string &target, const std::string &arch, Error &error);

} // namespace attnc
