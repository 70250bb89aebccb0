//===- Memory of a call: limits and sentences about them ------------------===//
#pragma once
#include "runtime/KernelImage.h"
#include "runtime/Signature.h"
#include <string>
#include <vector>

namespace attnc {

/// 8 GiB or a quarter of the memory, whichever is less.
int64_t defaultWorkspaceLimit();

/// What a refusal of memory ends with: "b=2, N=100000; the biggest intermediates: s 37.3 GiB, p 37.3 GiB".
std::string memoryDetails(const KernelImage &image, const Signature &signature, const std::vector<int64_t> &symbols);

/// "3.2 GiB"
std::string bytesText(int64_t bytes);

} // namespace attnc
