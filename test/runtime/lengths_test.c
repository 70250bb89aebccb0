/* One kernel serves all lengths, whatever the strides and the number of threads; a call with a workspace does not
 * allocate; a saved kernel runs without the compiler. */
#include "testing.h"
#include <math.h>
#include <pthread.h>

#if defined(__SANITIZE_ADDRESS__)
#define COUNT_ALLOCATIONS 0
#else
#define COUNT_ALLOCATIONS 1
static unsigned long allocations;
extern void *__libc_malloc(size_t);
void *malloc(size_t n) {
  ++allocations;
  return __libc_malloc(n);
}
#endif

enum { kMost = 257, kD = 8 };

static const char *const kSpec = "mixer causal(q: [i:N, d], k: [j:N, d], v: [j, d]) -> (o: [i, d]) {\n"
                                 "  o = sum[j](softmax[j](sum[d](q * k) / sqrt(#d) where j <= i) * v)\n"
                                 "}\n";

static float q[kMost * kD], k[kMost * kD], v[kMost * kD], o[kMost * kD], again[kMost * kD];

/* What the spec says for row i. */
static float worst(const float *got, int n) {
  float error = 0;
  for (int i = 0; i < n; ++i) {
    double p[kMost], total = 0, most = -1e30;
    for (int j = 0; j <= i; ++j) {
      p[j] = 0;
      for (int d = 0; d < kD; ++d)
        p[j] += (double)q[i * kD + d] * k[j * kD + d];
      p[j] /= sqrt((double)kD);
      most = p[j] > most ? p[j] : most;
    }
    for (int j = 0; j <= i; ++j)
      total += p[j] = exp(p[j] - most);
    for (int d = 0; d < kD; ++d) {
      double sum = 0;
      for (int j = 0; j <= i; ++j)
        sum += p[j] / total * v[j * kD + d];
      float difference = (float)fabs(sum - got[i * kD + d]);
      error = difference > error ? difference : error;
    }
  }
  return error;
}

static attnc_error *run(attnc_kernel *kernel, int64_t n, float *out, const attnc_call *call) {
  int64_t shape[] = {n, kD};
  DLTensor tq = floats(q, 2, shape), tk = floats(k, 2, shape);
  DLTensor tv = floats(v, 2, shape), to = floats(out, 2, shape);
  const DLTensor *in[] = {&tq, &tk, &tv}, *outputs[] = {&to};
  return attnc_kernel_run(kernel, in, outputs, call);
}

static void *runMany(void *kernel) {
  float mine[kMost * kD];
  for (int n = 200; n < 240; ++n) {
    attnc_error *error = run(kernel, n, mine, NULL);
    if (error || worst(mine, n) > 1e-5f)
      return (void *)1;
  }
  return NULL;
}

static void forEach(void *user, int64_t count, void (*body)(void *, int64_t), void *data) {
  ++*(int *)user;
  for (int64_t i = count; i-- > 0;)
    body(data, i);
}

int main(void) {
  attnc_engine *engine = NULL, *single = NULL;
  attnc_kernel *kernel = NULL, *loaded = NULL;
  attnc_counters counters;
  attnc_engine_options options = uncached(4);
  OK(attnc_engine_create(&options, &engine));
  OK(compile(engine, kSpec, &kernel));
  if (!kernel)
    return 1;
  fill(q, kMost * kD, 1);
  fill(k, kMost * kD, 2);
  fill(v, kMost * kD, 3);

  /* A sweep of lengths costs one compilation; 0 is a length too. */
  for (int n = 0; n <= kMost; ++n) {
    OK(run(kernel, n, o, NULL));
    CHECK(worst(o, n) < 1e-5f);
  }
  attnc_kernel_counters(kernel, &counters);
  CHECK(counters.compilations == 1 && counters.calls == kMost + 1);
  attnc_extent extent;
  CHECK(attnc_kernel_extent_count(kernel) == 2);
  for (size_t i = 0; i < 2; ++i)
    CHECK(attnc_kernel_extent(kernel, i, &extent) && extent.specialised == (strcmp(extent.name, "d") == 0));

  /* Transposed inputs, and an output with gaps, without copies of ours. */
  {
    static float qt[kMost * kD], wide[kMost * 2 * kD];
    int64_t n = 50, shape[] = {n, kD}, transposed[] = {1, n}, gaps[] = {2 * kD, 2}, compact[] = {kD, 1};
    for (int i = 0; i < n; ++i)
      for (int d = 0; d < kD; ++d)
        qt[d * n + i] = q[i * kD + d];
    DLTensor tq = tensor(qt, kDLFloat, 32, 2, shape, transposed), tk = tensor(k, kDLFloat, 32, 2, shape, compact);
    DLTensor tv = floats(v, 2, shape), to = tensor(wide, kDLFloat, 32, 2, shape, gaps);
    const DLTensor *in[] = {&tq, &tk, &tv}, *out[] = {&to};
    OK(attnc_kernel_run(kernel, in, out, NULL));
    for (int i = 0; i < n * kD; ++i)
      o[i] = wide[i / kD * 2 * kD + i % kD * 2];
    CHECK(worst(o, 50) < 1e-5f);
    attnc_kernel_counters(kernel, &counters);
    CHECK(counters.compilations == 1);
  }

  /* The same bits with one thread, and with a caller's parallel-for that goes backwards. */
  OK(run(kernel, kMost, o, NULL));
  options.threads = 1;
  OK(attnc_engine_create(&options, &single));
  void *bytes = NULL;
  size_t size = 0;
  OK(attnc_kernel_save(kernel, &bytes, &size));
  OK(attnc_kernel_load(single, bytes, size, &loaded));
  OK(run(loaded, kMost, again, NULL));
  CHECK(memcmp(o, again, sizeof o) == 0);
  attnc_kernel_release(loaded);
  attnc_engine_release(single);
  int loops = 0;
  options.parallel_for = forEach;
  options.user_data = &loops;
  OK(attnc_engine_create(&options, &single));
  OK(attnc_kernel_load(single, bytes, size, &loaded));
  OK(run(loaded, kMost, again, NULL));
  CHECK(loops > 0 && memcmp(o, again, sizeof o) == 0);
  /* Saved code is for d = 8 alone. */
  {
    int64_t shape[] = {10, 4};
    DLTensor t = floats(q, 2, shape), to = floats(o, 2, shape);
    const DLTensor *in[] = {&t, &t, &t}, *out[] = {&to};
    FAILS(attnc_kernel_run(loaded, in, out, NULL), ATTNC_UNAVAILABLE, "d=8");
  }
  /* Damage is noticed. */
  ((char *)bytes)[size / 2] ^= 1;
  attnc_kernel *broken = NULL;
  FAILS(attnc_kernel_load(single, bytes, size, &broken), ATTNC_UNAVAILABLE, "[A806]");
  FAILS(attnc_kernel_load(single, bytes, size / 3, &broken), ATTNC_UNAVAILABLE, "[A806]");
  attnc_free(bytes);
  attnc_kernel_release(loaded);
  attnc_engine_release(single);

  /* Several threads at once. */
  pthread_t threads[4];
  for (int i = 0; i < 4; ++i)
    CHECK(pthread_create(&threads[i], NULL, runMany, kernel) == 0);
  for (int i = 0; i < 4; ++i) {
    void *bad = NULL;
    pthread_join(threads[i], &bad);
    CHECK(!bad);
  }

  /* With a workspace and a shape seen before, nothing is allocated. */
  {
    int64_t shape[] = {64, kD};
    DLTensor t = floats(q, 2, shape);
    const DLTensor *in[] = {&t, &t, &t};
    attnc_call call;
    memset(&call, 0, sizeof call);
    call.size = sizeof call;
    OK(attnc_kernel_workspace_size(kernel, in, &call.workspace_size));
    call.workspace_size = (call.workspace_size + 64) / 64 * 64;
    call.workspace = aligned_alloc(64, call.workspace_size);
    OK(run(kernel, 64, o, &call));
    OK(run(kernel, 64, o, &call));
#if COUNT_ALLOCATIONS
    unsigned long before = allocations;
    attnc_error *error = run(kernel, 64, o, &call);
    CHECK(!error && allocations == before);
#endif
    free(call.workspace);
  }

  /* Inputs in rows have code of their own, until one comes in another layout; what is saved serves any. */
  {
    attnc_kernel *fresh = NULL, *any = NULL;
    static float qt[kMost * kD], transposedResult[kMost * kD];
    int64_t n = 50, shape[] = {n, kD}, transposed[] = {1, n};
    for (int i = 0; i < n; ++i)
      for (int d = 0; d < kD; ++d)
        qt[d * n + i] = q[i * kD + d];
    DLTensor tq = tensor(qt, kDLFloat, 32, 2, shape, transposed), tk = floats(k, 2, shape), tv = floats(v, 2, shape);
    DLTensor to = floats(transposedResult, 2, shape);
    const DLTensor *in[] = {&tq, &tk, &tv}, *out[] = {&to};
    OK(compile(engine, kSpec, &fresh));
    OK(run(fresh, n, o, NULL));
    CHECK(worst(o, (int)n) < 1e-5f);
    OK(attnc_kernel_save(fresh, &bytes, &size));
    OK(attnc_kernel_load(engine, bytes, size, &any));
    attnc_free(bytes);
    for (int round = 0; round < 2; ++round) {
      memset(transposedResult, 0, sizeof transposedResult);
      OK(attnc_kernel_run(round ? any : fresh, in, out, NULL));
      CHECK(worst(transposedResult, (int)n) < 1e-5f);
      OK(run(round ? any : fresh, n, again, NULL));
      CHECK(memcmp(o, again, (size_t)n * kD * sizeof(float)) == 0);
    }
    attnc_kernel_counters(fresh, &counters);
    CHECK(counters.compilations == 2);
    attnc_kernel_release(any);
    attnc_kernel_release(fresh);
  }
  attnc_engine_release(engine); /* the kernel keeps it alive */
  OK(run(kernel, 3, o, NULL));
  attnc_kernel_release(kernel);
  return failures != 0;
}
