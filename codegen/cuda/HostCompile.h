//===- Emitted text compiled for this CPU, to be emulated -----------------===//
#pragma once
#include "runtime/cuda/LaunchPlan.h"
#include <string>

namespace attnc::cuda {

enum class HostResult { Done, NoCompiler, Failed };

/// Compiles the text of a program's kernels behind device/emulated.h with the C++ compiler that is there
/// ($ATTNC_HOST_CXX, c++, g++ or clang++) to a shared library with an entry for each kernel of the plan. `error` says
/// what was looked for, or what the compiler said.
HostResult compileForEmulator(const std::string &text, const LaunchPlan &plan, std::string &library,
                              std::string &error);

} // namespace attnc::cuda
