//===- How many blocks fit on a multiprocessor ----------------------------===//
#pragma once
#include "codegen/cuda/Nvrtc.h"

namespace attnc::cuda {

struct Occupancy {
  int blocks = 0;         ///< resident at once
  double fraction = 0;    ///< of the threads that a multiprocessor can hold
  const char *limit = ""; ///< what keeps it from more: "registers", "shared memory", "threads", "blocks"
};

/// By the limits of the arch alone ("sm_90a"): what may be, not what is reached. 0 blocks for an arch that is not
/// known.
Occupancy occupancyOf(const KernelFigures &kernel, int threads, const std::string &arch);

} // namespace attnc::cuda
