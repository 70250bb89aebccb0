//===- What compiled kernels may call -------------------------------------===//
#pragma once
#include "runtime/Kernel.h"

namespace attnc {

/// The one table; lives as long as the process.
const KernelHelpers &kernelHelpers();

/// KernelHelpers::sortRow. Takes memory for the keys; where that is refused it goes on without, slowly, since a kernel
/// cannot report failure in the middle.
void sortRow(const void *keys, int64_t keyStride, int64_t keyType, const uint8_t *valid, int64_t validStride, int64_t n,
             int64_t *out, int64_t outStride, int64_t count, int64_t flags);

} // namespace attnc
