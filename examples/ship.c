/* Runs a package, which `attnc compile SPEC --emit=package -o DIR` wrote, with the runtime's library alone: no
 * compiler.
 *
 *   cc ship.c -I runtime/include -L build/lib -lattnc_runtime -o ship
 *   ship DIR [cpu|cuda]
 *
 * All inputs are filled with 1 and all lengths are 4: a real program passes its own.
 */
#include "attnc/runtime.h"
#include <stdio.h>
#include <stdlib.h>

enum { kMost = 16, kRank = 8 };

static int failed(attnc_error *error) {
  if (!error)
    return 0;
  fprintf(stderr, "%s\n", attnc_error_message(error));
  attnc_error_free(error);
  return 1;
}

/* Row-major memory for a tensor of this shape, all elements 1 where they are f32. */
static int make(DLTensor *t, int64_t *shape, int32_t rank, DLDataType dtype) {
  int64_t count = 1;
  for (int32_t i = 0; i < rank; ++i)
    count *= shape[i];
  *t = (DLTensor){0};
  t->device.device_type = kDLCPU;
  t->ndim = rank;
  t->shape = shape;
  t->dtype = dtype;
  t->data = calloc((size_t)count + 1, 8);
  for (int64_t i = 0; t->data && i < count && dtype.code == kDLFloat && dtype.bits == 32; ++i)
    ((float *)t->data)[i] = 1;
  return t->data == NULL;
}

int main(int argc, char **argv) {
  attnc_engine *engine = NULL;
  attnc_kernel *kernel = NULL;
  if (argc < 2 || failed(attnc_engine_create(NULL, &engine)) ||
      failed(attnc_package_load(engine, argv[1], argc > 2 ? argv[2] : "cpu", &kernel)))
    return 1;
  size_t inputs = attnc_kernel_input_count(kernel), outputs = attnc_kernel_output_count(kernel);
  if (inputs > kMost || outputs > kMost)
    return 1;
  DLTensor tensors[2 * kMost];
  int64_t shapes[2 * kMost][kRank];
  const DLTensor *in[kMost], *out[kMost];
  int status = 0;
  for (size_t i = 0; i < inputs && !status; ++i) {
    attnc_argument a;
    attnc_kernel_input(kernel, i, &a);
    DLDataType f32 = {kDLFloat, 32, 1};
    for (int32_t d = 0; d < a.rank && d < kRank; ++d)
      shapes[i][d] = 4;
    status = a.rank > kRank || make(&tensors[i], shapes[i], a.rank, a.has_dtype ? a.dtype : f32);
    in[i] = &tensors[i];
  }
  for (size_t i = 0; i < outputs && !status; ++i) {
    DLTensor *t = &tensors[kMost + i];
    int64_t *shape = shapes[kMost + i];
    int32_t rank;
    DLDataType dtype;
    status = failed(attnc_kernel_output_shape(kernel, in, i, kRank, shape, &rank, &dtype)) || rank > kRank ||
             make(t, shape, rank, dtype);
    out[i] = t;
  }
  status = status || failed(attnc_kernel_run(kernel, in, out, NULL));
  for (size_t i = 0; i < outputs && !status; ++i) {
    attnc_argument a;
    attnc_kernel_output(kernel, i, &a);
    printf("%s: rank %d, first element %g\n", a.name, (int)out[i]->ndim, ((const float *)out[i]->data)[0]);
  }
  attnc_kernel_release(kernel);
  attnc_engine_release(engine);
  return status;
}
