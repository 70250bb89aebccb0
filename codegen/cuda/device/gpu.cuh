// What the emitted text stands on, on a GPU: types, the position of a thread, barriers, exchange within a warp, memory,
// conversions. All inline PTX of attnc is in this file. emulated.h has the same functions for a CPU.
#define DEVICE static __device__ __forceinline__
/// A function whose code stands once, however often it is called: what large kernels call for every nest.
#define FUNCTION static __device__ __noinline__
/// In front of a loop: its body stands once.
#define ROLLED _Pragma("unroll 1")
#define SHARED(type, name, count) __shared__ type name[count]

DEVICE i64 thread() { return threadIdx.x; }
DEVICE i64 threads() { return blockDim.x; }
DEVICE i64 block() { return blockIdx.x; }
DEVICE i64 blocks() { return gridDim.x; }
/// The same value, which counts as a new one where it stands: what is computed from it is not moved in front of loops,
/// where it would hold registers all through the kernel.
DEVICE i64 here(i64 v) {
  asm volatile("" : "+l"(v));
  return v;
}
DEVICE void barrier() { __syncthreads(); }
/// The value of the thread whose number within the warp differs in the bits of `mask`; called by whole warps.
template <class T> DEVICE T exchange(T v, int mask) { return __shfl_xor_sync(0xffffffffu, v, mask); }
DEVICE bool exchange(bool v, int mask) { return __shfl_xor_sync(0xffffffffu, int(v), mask) != 0; }

template <class T> DEVICE T load(const T *p, i64 i) { return p[i]; }
template <class T> DEVICE void store(T *p, i64 i, T v) { p[i] = v; }

DEVICE float f32_bits(u32 bits) { return __uint_as_float(bits); }
DEVICE double f64_bits(u64 bits) { return __longlong_as_double(i64(bits)); }

DEVICE float f32_of_f16(f16 v) {
  float r;
  asm("cvt.f32.f16 %0, %1;" : "=f"(r) : "h"(v.bits));
  return r;
}
DEVICE f16 f16_of_f32(float v) {
  f16 r;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(r.bits) : "f"(v));
  return r;
}
DEVICE f16 f16_of_f64(double v) {
  f16 r;
  asm("cvt.rn.f16.f64 %0, %1;" : "=h"(r.bits) : "d"(v));
  return r;
}
DEVICE float f32_of_bf16(bf16 v) { return __uint_as_float(u32(v.bits) << 16); }
DEVICE bf16 bf16_of_f32(float v) {
  bf16 r;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(r.bits) : "f"(v));
  return r;
}
DEVICE bf16 bf16_of_f64(double v) {
  // Rounded to odd on the way, so that rounding twice is rounding once.
  float f = __double2float_rz(v);
  if (double(f) != v && v == v)
    f = __uint_as_float(__float_as_uint(f) | 1u);
  return bf16_of_f32(f);
}
DEVICE i64 count_leading_zeros(i64 v) { return __clzll(v); }
