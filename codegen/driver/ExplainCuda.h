//===- What is known of a GPU's kernels before they run -------------------===//
#pragma once
#include "codegen/cuda/Nvrtc.h"
#include "runtime/cuda/LaunchPlan.h"
#include <string>

namespace attnc {

/// Appends registers, shared memory, spills and occupancy of each kernel to an explanation, as text and as JSON.
void explainCuda(const cuda::NvrtcOutput &output, const LaunchPlan &plan, const std::string &arch, std::string &text,
                 std::string &json);

} // namespace attnc
