//===- The most this machine multiplies and adds --------------------------===//
#include "tools/attnc/Peak.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace attnc::cli {

namespace {

constexpr int kRounds = 100000;
constexpr int kChains = 12; // more than latency times throughput of any CPU so far

#if defined(__x86_64__)
// In registers: an array in memory would measure stores. From different values: equal chains would be merged.
#define EACH_CHAIN _Pragma("GCC unroll 12") for (int c = 0; c < kChains; ++c)

// GCC's own headers leave a register undefined on purpose.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
__attribute__((target("avx512f"))) double wide(bool f64) {
  double sum = 0;
  if (f64) {
    __m512d x[kChains], a = _mm512_set1_pd(0.999), b = _mm512_set1_pd(1e-3);
    EACH_CHAIN x[c] = _mm512_set1_pd(1e-3 * c);
    for (int i = 0; i < kRounds; ++i)
      EACH_CHAIN x[c] = _mm512_fmadd_pd(x[c], a, b);
    EACH_CHAIN sum += _mm512_reduce_add_pd(x[c]);
    return sum;
  }
  __m512 x[kChains], a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(1e-3f);
  EACH_CHAIN x[c] = _mm512_set1_ps(1e-3f * float(c));
  for (int i = 0; i < kRounds; ++i)
    EACH_CHAIN x[c] = _mm512_fmadd_ps(x[c], a, b);
  EACH_CHAIN sum += double(_mm512_reduce_add_ps(x[c]));
  return sum;
}

__attribute__((target("avx2,fma"))) double narrow(bool f64) {
  double sum = 0;
  if (f64) {
    __m256d x[kChains], a = _mm256_set1_pd(0.999), b = _mm256_set1_pd(1e-3);
    EACH_CHAIN x[c] = _mm256_set1_pd(1e-3 * c);
    for (int i = 0; i < kRounds; ++i)
      EACH_CHAIN x[c] = _mm256_fmadd_pd(x[c], a, b);
    EACH_CHAIN sum += _mm256_cvtsd_f64(x[c]);
    return sum;
  }
  __m256 x[kChains], a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(1e-3f);
  EACH_CHAIN x[c] = _mm256_set1_ps(1e-3f * float(c));
  for (int i = 0; i < kRounds; ++i)
    EACH_CHAIN x[c] = _mm256_fmadd_ps(x[c], a, b);
  EACH_CHAIN sum += double(_mm256_cvtss_f32(x[c]));
  return sum;
}
#undef EACH_CHAIN
#endif

volatile double discard;

} // namespace

double runPeak(ThreadPool &pool, bool f64) {
#if defined(__x86_64__)
  bool has512 = __builtin_cpu_supports("avx512f");
  double lanes = (has512 ? 16 : 8) / (f64 ? 2 : 1);
  struct Task {
    bool has512, f64;
  } task = {has512, f64};
  auto body = [](void *p, int64_t) {
    const Task &t = *static_cast<const Task *>(p);
    discard = t.has512 ? wide(t.f64) : narrow(t.f64);
  };
  int pieces = pool.threads();
  pool.forEach(pieces, body, &task);
  return double(pieces) * kRounds * kChains * lanes * 2;
#else
  (void)pool, (void)f64;
  return 0;
#endif
}

} // namespace attnc::cli
