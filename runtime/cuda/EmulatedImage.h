//===- A kernel of target cuda-emulated, ready to run ---------------------===//
#pragma once
#include "runtime/KernelImage.h"

namespace attnc {

/// Null with one sentence in `error`.
std::shared_ptr<const KernelImage> loadEmulated(const KernelBlob &blob, Error &error);

} // namespace attnc
