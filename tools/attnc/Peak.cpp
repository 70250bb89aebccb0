//===- The most this machine multiplies and adds --------------------------===//
#include "tools/attnc/Peak.h"
#include <chrono>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace attnc::cli {

namespace {

constexpr int kRounds = 100000;
constexpr int kChains = 12; // more than latency times throughput of any CPU so far

#if defined(__x86_64__)
// GCC's own headers leave a register undefined on purpose.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
__attribute__((target("avx512f"))) double wide(bool f64) {
  if (f64) {
    __m512d x[kChains], a = _mm512_set1_pd(0.999), b = _mm512_set1_pd(1e-3);
    for (auto &v : x)
      v = b;
    for (int i = 0; i < kRounds; ++i)
      for (auto &v : x)
        v = _mm512_fmadd_pd(v, a, b);
    double sum = 0;
    for (auto &v : x)
      sum += _mm512_reduce_add_pd(v);
    return sum;
  }
  __m512 x[kChains], a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(1e-3f);
  for (auto &v : x)
    v = b;
  for (int i = 0; i < kRounds; ++i)
    for (auto &v : x)
      v = _mm512_fmadd_ps(v, a, b);
  double sum = 0;
  for (auto &v : x)
    sum += double(_mm512_reduce_add_ps(v));
  return sum;
}

__attribute__((target("avx2,fma"))) double narrow(bool f64) {
  double lanes[8];
  double sum = 0;
  if (f64) {
    __m256d x[kChains], a = _mm256_set1_pd(0.999), b = _mm256_set1_pd(1e-3);
    for (auto &v : x)
      v = b;
    for (int i = 0; i < kRounds; ++i)
      for (auto &v : x)
        v = _mm256_fmadd_pd(v, a, b);
    for (auto &v : x) {
      _mm256_storeu_pd(lanes, v);
      sum += lanes[0];
    }
    return sum;
  }
  __m256 x[kChains], a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(1e-3f);
  for (auto &v : x)
    v = b;
  for (int i = 0; i < kRounds; ++i)
    for (auto &v : x)
      v = _mm256_fmadd_ps(v, a, b);
  for (auto &v : x) {
    float f[8];
    _mm256_storeu_ps(f, v);
    sum += double(f[0]);
  }
  return sum;
}
#endif

volatile double discard;

} // namespace

double measurePeak(ThreadPool &pool, bool f64) {
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
  auto start = std::chrono::steady_clock::now();
  pool.forEach(pieces, body, &task);
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return double(pieces) * kRounds * kChains * lanes * 2 / seconds;
#else
  (void)pool, (void)f64;
  return 0;
#endif
}

} // namespace attnc::cli
