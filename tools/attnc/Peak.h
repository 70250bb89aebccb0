//===- The most this machine multiplies and adds --------------------------===//
#pragma once
#include "runtime/Threads.h"

namespace attnc::cli {

/// Floating-point operations per second of independent FMAs in registers, f64 or f32, on all threads of the pool: about
/// a millisecond of work. Uses AVX-512 or AVX2 where the CPU has it.
double measurePeak(ThreadPool &pool, bool f64);

} // namespace attnc::cli
