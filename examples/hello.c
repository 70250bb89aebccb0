/* Causal attention from C: compile a spec, run it on the caller's memory, print the result.
 *
 *   cc hello.c -I runtime/include -L build/lib -lattnc -lattnc_runtime -o hello
 */
#include "attnc/attnc.h"
#include <stdio.h>

static const char *const kSpec = "mixer causal(q: [i:N, d], k: [j:N, d], v: [j, e]) -> (o: [i, e]) {\n"
                                 "  s = sum[d](q * k) / sqrt(#d)\n"
                                 "  o = sum[j](softmax[j](s where j <= i) * v)\n"
                                 "}\n";

static int failed(attnc_error *error) {
  if (!error)
    return 0;
  fprintf(stderr, "%s\n", attnc_error_message(error));
  attnc_error_free(error);
  return 1;
}

/* A compact row-major f32 matrix. */
static DLTensor matrix(float *data, int64_t *shape) {
  DLTensor t = {0};
  t.data = data;
  t.device.device_type = kDLCPU;
  t.ndim = 2;
  t.dtype.code = kDLFloat;
  t.dtype.bits = 32;
  t.dtype.lanes = 1;
  t.shape = shape;
  return t;
}

int main(void) {
  float q[] = {1, 0, 0, 1, 1, 1}, k[] = {1, 0, 0, 1, 1, 1}, v[] = {1, 2, 4}, o[3];
  int64_t wide[] = {3, 2}, narrow[] = {3, 1};
  DLTensor tq = matrix(q, wide), tk = matrix(k, wide), tv = matrix(v, narrow), to = matrix(o, narrow);
  const DLTensor *inputs[] = {&tq, &tk, &tv}, *outputs[] = {&to};

  attnc_engine *engine = NULL;
  attnc_kernel *kernel = NULL;
  size_t length = 0;
  while (kSpec[length])
    ++length;
  int status = failed(attnc_engine_create(NULL, &engine)) ||
               failed(attnc_compile_string(engine, "hello.attn", kSpec, length, NULL, &kernel)) ||
               failed(attnc_kernel_run(kernel, inputs, outputs, NULL));
  if (!status)
    printf("%s: %.4f %.4f %.4f\n", attnc_kernel_name(kernel), o[0], o[1], o[2]);
  attnc_kernel_release(kernel);
  attnc_engine_release(engine);
  return status;
}
