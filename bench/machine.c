/* What the machine can do, as JSON: independent FMAs of f32, dot products of pairs of bf16 (0 where the CPU has none),
 * one plain sequential read of far more than the caches hold (one stream, no prefetch, the page size that malloc
 * gives), each with as many threads at once as asked for.
 *
 *     bench-machine [THREADS]
 *
 * One thread is timed by its processor time, several by the wall. Best of some rounds: this is what rates are held
 * against. */
#include <immintrin.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { Rounds = 9, Chains = 16, Steps = 400000 };
static const size_t Bytes = (size_t)256 << 20;

static double now(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

__attribute__((target("avx512f"))) static double fma512(void) {
  __m512 acc[Chains], x = _mm512_set1_ps(0.999f), y = _mm512_set1_ps(0.001f);
  for (int c = 0; c < Chains; ++c)
    acc[c] = _mm512_set1_ps((float)c);
  for (int s = 0; s < Steps; ++s)
#pragma GCC unroll 16
    for (int c = 0; c < Chains; ++c)
      acc[c] = _mm512_fmadd_ps(acc[c], x, y);
  for (int c = 1; c < Chains; ++c)
    acc[0] = _mm512_add_ps(acc[0], acc[c]);
  volatile float keep = _mm512_reduce_add_ps(acc[0]);
  (void)keep;
  return 2.0 * 16 * Chains * Steps;
}

__attribute__((target("avx2,fma"))) static double fma256(void) {
  __m256 acc[Chains - 4], x = _mm256_set1_ps(0.999f), y = _mm256_set1_ps(0.001f);
  for (int c = 0; c < Chains - 4; ++c)
    acc[c] = _mm256_set1_ps((float)c);
  for (int s = 0; s < Steps; ++s)
#pragma GCC unroll 12
    for (int c = 0; c < Chains - 4; ++c)
      acc[c] = _mm256_fmadd_ps(acc[c], x, y);
  for (int c = 1; c < Chains - 4; ++c)
    acc[0] = _mm256_add_ps(acc[0], acc[c]);
  volatile float keep = _mm256_cvtss_f32(acc[0]);
  (void)keep;
  return 2.0 * 8 * (Chains - 4) * Steps;
}

__attribute__((target("avx512f,avx512bf16"))) static double dots(void) {
  __m512 acc[Chains];
  __m512i bits = _mm512_set1_epi16(0x3c00);
  __m512bh x;
  memcpy(&x, &bits, sizeof x);
  for (int c = 0; c < Chains; ++c)
    acc[c] = _mm512_set1_ps((float)c);
  for (int s = 0; s < Steps; ++s)
#pragma GCC unroll 16
    for (int c = 0; c < Chains; ++c)
      acc[c] = _mm512_dpbf16_ps(acc[c], x, x);
  for (int c = 1; c < Chains; ++c)
    acc[0] = _mm512_add_ps(acc[0], acc[c]);
  volatile float keep = _mm512_reduce_add_ps(acc[0]);
  (void)keep;
  return 4.0 * 16 * Chains * Steps;
}

static double fmas(void) { return __builtin_cpu_supports("avx512f") ? fma512() : fma256(); }
static double pairs(void) { return __builtin_cpu_supports("avx512bf16") ? dots() : 0; }

static __thread uint64_t *memory; /* of the thread, filled by it */
__attribute__((target("avx2"))) static double reads(void) {
  __m256i sum[4] = {0};
  for (size_t k = 0; k < Bytes; k += 128)
    for (int c = 0; c < 4; ++c)
      sum[c] = _mm256_xor_si256(sum[c], _mm256_load_si256((const __m256i *)((const char *)memory + k + 32 * c)));
  sum[0] = _mm256_xor_si256(_mm256_xor_si256(sum[0], sum[1]), _mm256_xor_si256(sum[2], sum[3]));
  volatile long long keep = _mm256_extract_epi64(sum[0], 0);
  (void)keep;
  return (double)Bytes;
}

static double (*const kinds[])(void) = {fmas, pairs, reads};
static pthread_barrier_t together;
static int threads = 1;
static double best[3]; /* per second, of all threads together */

static void *work(void *argument) {
  int first = argument == NULL;
  memory = aligned_alloc(4096, Bytes);
  if (!memory)
    exit(1);
  memset(memory, 1, Bytes);
  for (int kind = 0; kind < 3; ++kind)
    for (int round = 0; round < Rounds; ++round) {
      clockid_t clock = threads == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
      pthread_barrier_wait(&together);
      double start = now(clock), done = kinds[kind]();
      pthread_barrier_wait(&together);
      double rate = done * threads / (now(clock) - start);
      if (first && rate > best[kind])
        best[kind] = rate;
    }
  free(memory);
  return NULL;
}

int main(int argc, char **argv) {
  threads = argc > 1 ? atoi(argv[1]) : 1;
  if (threads < 1 || threads > 256)
    return 1;
  pthread_barrier_init(&together, NULL, (unsigned)threads);
  pthread_t others[256];
  for (int t = 1; t < threads; ++t)
    if (pthread_create(&others[t], NULL, work, &threads))
      return 1;
  work(NULL);
  for (int t = 1; t < threads; ++t)
    pthread_join(others[t], NULL);
  printf("{\"threads\": %d, \"f32_gflops\": %.1f, \"bf16_gflops\": %.1f, \"read_gbytes\": %.1f}\n", threads,
         best[0] * 1e-9, best[1] * 1e-9, best[2] * 1e-9);
  return 0;
}
