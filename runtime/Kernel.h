//===- The border between compiled code and the runtime -------------------===//
//
// Plain C structs: compiled kernels know their layout by heart, so a change here bumps kKernelAbi. A kernel is one
// block of position-independent code and constants, relocated when it was compiled; it imports nothing and reaches
// everything through KernelContext.
//===----------------------------------------------------------------------===//
#pragma once
#include <cstdint>

namespace attnc {

constexpr uint32_t kKernelAbi = 1;

struct KernelContext;

/// One work item range of a tile.kernel: linear grid positions begin .. end-1. `scratch`: as many bytes as asked for,
/// 64-byte aligned, private to this call.
using KernelBody = void (*)(const KernelContext *ctx, int64_t begin, int64_t end, char *scratch, int64_t kernelData);

/// What compiled code may call. Order is ABI.
struct KernelHelpers {
  /// Runs body over 0 .. count-1 in pieces of `grain` (fixed by the compiler, so results do not depend on threads).
  void (*parallelFor)(const KernelContext *ctx, int64_t count, int64_t grain, int64_t scratchBytes, KernelBody body,
                      int64_t kernelData);
  /// Positions 0 .. n-1 of the valid keys in order, into out[0 .. count-1] (outStride in elements); 0 past the valid
  /// ones. keyType: 0 f32, 1 f64, 2 i64. valid: one byte per element, or null. flags: 1 descending, 2 NaN is never
  /// chosen (else NaN after all numbers). Ties go to the smaller position.
  void (*sortRow)(const void *keys, int64_t keyStride, int64_t keyType, const uint8_t *valid, int64_t validStride,
                  int64_t n, int64_t *out, int64_t outStride, int64_t count, int64_t flags);
  /// f64 functions from the C library, f32 where only pow needs one; see mathIndex.
  double (*math1[24])(double);
  double (*math2[4])(double, double);
};

enum MathIndex1 : int { kExp, kExp2, kExpm1, kLog, kLog1p, kSin, kCos, kTanh, kErf };
enum MathIndex2 : int { kPow, kAtan2 };

struct KernelArg {
  void *data;
  const int64_t *strides; ///< in elements, one per dim of the caller; all 0 for a tensor without elements
};

/// For targets that check or copy; compiled code of the CPU does not look at it.
struct KernelArgShape {
  const int64_t *extents; ///< one per dim; null for a tensor without elements
  int32_t rank;
  int32_t elementBytes;
  int32_t device; ///< number of the GPU in whose memory it is, -1: the CPU's
  bool output;
};

struct KernelContext {
  const int64_t *symbols; ///< the block arguments of tile.program, in order
  const KernelArg *args;  ///< inputs, then outputs; a left-out input is not listed
  char *workspace;        ///< workspaceBytes() bytes, 64-byte aligned
  const KernelHelpers *helpers;
  void *pool;                             ///< for parallelFor
  const KernelArgShape *shapes = nullptr; ///< one per arg
  int64_t argCount = 0;
  void *stream = nullptr; ///< of the GPU, null for its default
};

/// Entry points of a kernel, as offsets in the blob.
using WorkspaceBytesFn = int64_t (*)(const int64_t *symbols);
using RunFn = void (*)(const KernelContext *ctx);

} // namespace attnc
