//===- The most this machine multiplies and adds --------------------------===//
#pragma once
#include "runtime/Threads.h"

namespace attnc::cli {

/// Runs independent FMAs in registers, f64 or f32, on all threads of the pool, about a millisecond of work, and returns
/// how many floating-point operations they are; the caller takes the time. Uses AVX-512 or AVX2 where the CPU has it.
double runPeak(ThreadPool &pool, bool f64);

} // namespace attnc::cli
