// gpu.cuh for a CPU: the same functions, every one that touches memory or other threads through the emulator
// (runtime/cuda/Emulator.h), which runs each thread as a fiber and checks what it does.
#include <math.h>
#include <string.h>
#define DEVICE static inline
#define FUNCTION static inline
#define ROLLED
#define __global__
#define __launch_bounds__(...)

struct EmulatorApi { // order as in runtime/cuda/Emulator.h
  i64 (*position)(int what);
  void (*barrier)();
  void (*exchange)(void *value, i64 bytes, int mask);
  void (*access)(const void *p, i64 bytes, int write);
  void *(*shared)(const void *site, i64 bytes);
};
extern "C" __attribute__((visibility("default"))) EmulatorApi *attnc_emulator;
EmulatorApi *attnc_emulator;

#define SHARED(type, name, count)                                                                                      \
  static char name##_site;                                                                                             \
  type *const name = (type *)attnc_emulator->shared(&name##_site, sizeof(type) * (count))

DEVICE i64 thread() { return attnc_emulator->position(0); }
DEVICE i64 threads() { return attnc_emulator->position(1); }
DEVICE i64 block() { return attnc_emulator->position(2); }
DEVICE i64 blocks() { return attnc_emulator->position(3); }
DEVICE i64 here(i64 v) { return v; }
DEVICE void barrier() { attnc_emulator->barrier(); }
template <class T> DEVICE T exchange(T v, int mask) {
  attnc_emulator->exchange(&v, sizeof v, mask);
  return v;
}

template <class T> DEVICE T load(const T *p, i64 i) {
  attnc_emulator->access(p + i, sizeof(T), 0);
  return p[i];
}
template <class T> DEVICE void store(T *p, i64 i, T v) {
  attnc_emulator->access(p + i, sizeof(T), 1);
  p[i] = v;
}

DEVICE float f32_bits(u32 bits) {
  float v;
  memcpy(&v, &bits, 4);
  return v;
}
DEVICE u32 bits_f32(float v) {
  u32 bits;
  memcpy(&bits, &v, 4);
  return bits;
}
DEVICE double f64_bits(u64 bits) {
  double v;
  memcpy(&v, &bits, 8);
  return v;
}

DEVICE float f32_of_f16(f16 v) {
  u32 sign = u32(v.bits & 0x8000) << 16, exponent = (v.bits >> 10) & 31, fraction = v.bits & 1023;
  if (exponent == 31)
    return f32_bits(sign | 0x7f800000u | fraction << 13);
  float magnitude = exponent ? ldexpf(float(fraction | 1024), int(exponent) - 25) : ldexpf(float(fraction), -24);
  return sign ? -magnitude : magnitude;
}
DEVICE f16 f16_of_f64(double v) {
  f16 r = {0};
  if (v != v) {
    r.bits = 0x7fff;
    return r;
  }
  unsigned short sign = signbit(v) ? 0x8000 : 0;
  double a = fabs(v);
  if (a >= 65520) {
    r.bits = sign | 0x7c00;
    return r;
  }
  int exponent = 0;
  frexp(a, &exponent);
  int unit = exponent - 11 < -24 ? -24 : exponent - 11; // of the last place
  double n = rint(ldexp(a, -unit));
  if (n >= 2048) {
    n /= 2;
    ++unit;
  }
  unsigned bits = n < 1024 ? unsigned(n) : unsigned(unit + 25) << 10 | (unsigned(n) - 1024);
  r.bits = sign | (unsigned short)bits;
  return r;
}
DEVICE f16 f16_of_f32(float v) { return f16_of_f64(v); }
DEVICE float f32_of_bf16(bf16 v) { return f32_bits(u32(v.bits) << 16); }
DEVICE bf16 bf16_of_f32(float v) {
  bf16 r = {0x7fff};
  if (v != v)
    return r;
  u32 bits = bits_f32(v);
  r.bits = (unsigned short)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
  return r;
}
DEVICE bf16 bf16_of_f64(double v) {
  float f = float(v);
  if (f == f && !isinf(f) && double(f) != v) {
    // Rounded to odd on the way, so that rounding twice is rounding once.
    if (fabs(double(f)) > fabs(v))
      f = nextafterf(f, 0);
    f = f32_bits(bits_f32(f) | 1u);
  }
  return bf16_of_f32(f);
}
DEVICE i64 count_leading_zeros(i64 v) { return v ? __builtin_clzll(u64(v)) : 64; }

// The arguments of a launch, as the driver takes them, to a call.
template <int... I> struct Indices {};
template <int N, int... I> struct IndicesBelow : IndicesBelow<N - 1, N - 1, I...> {};
template <int... I> struct IndicesBelow<0, I...> {
  typedef Indices<I...> type;
};
template <class... A, int... I> void call_unpacked(void (*f)(A...), void **args, Indices<I...>) { f(*(A *)args[I]...); }
template <class... A> void call_unpacked(void (*f)(A...), void **args) {
  call_unpacked(f, args, typename IndicesBelow<sizeof...(A)>::type());
}
#define EMULATED_ENTRY(kernel)                                                                                         \
  extern "C" __attribute__((visibility("default"))) void kernel##_entry(void **args) { call_unpacked(kernel, args); }
