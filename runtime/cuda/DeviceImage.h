//===- A kernel of target cuda, ready to run ------------------------------===//
#pragma once
#include "runtime/KernelImage.h"

namespace attnc {

/// Loads the blob's cubin into the driver. Null with one sentence in `error`.
std::shared_ptr<const KernelImage> loadOnDevice(const KernelBlob &blob, Error &error);

} // namespace attnc
