/* Tensors in the memory of a GPU, through the C interface: the driver and NVRTC are stand-ins (test/fake_cuda), given
 * as arguments. */
#include "testing.h"
#include <dlfcn.h>

typedef unsigned long long Address;

static int (*pushContext)(void *), (*popContext)(void **), (*allocate)(Address *, size_t, void *),
    (*toDevice)(Address, const void *, size_t, void *), (*toHost)(void *, Address, size_t, void *),
    (*release)(Address, void *), (*retainContext)(void **, int);

static void find(void *library, const char *name, void *function) {
  void *symbol = dlsym(library, name);
  CHECK(symbol);
  memcpy(function, &symbol, sizeof symbol);
}

static DLTensor onDevice(DLTensor host, Address address) {
  host.data = (void *)(uintptr_t)address;
  host.device.device_type = kDLCUDA;
  return host;
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "cuda_test DRIVER NVRTC\n");
    return 1;
  }
  setenv("ATTNC_CUDA_DRIVER", argv[1], 1);
  setenv("ATTNC_NVRTC", argv[2], 1);
  void *library = dlopen(argv[1], RTLD_NOW);
  CHECK(library);
  if (!library)
    return 1;
  find(library, "cuDevicePrimaryCtxRetain", &retainContext);
  find(library, "cuCtxPushCurrent_v2", &pushContext);
  find(library, "cuCtxPopCurrent_v2", &popContext);
  find(library, "cuMemAllocAsync", &allocate);
  find(library, "cuMemFreeAsync", &release);
  find(library, "cuMemcpyHtoDAsync_v2", &toDevice);
  find(library, "cuMemcpyDtoHAsync_v2", &toHost);

  attnc_engine *engine = NULL;
  attnc_kernel *kernel = NULL, *onCpu = NULL;
  attnc_compile_options options = {0};
  options.size = sizeof options;
  options.target = "cuda";
  const char *text = "mixer m(x: [t:N, c], at: i32[t] in t) -> (y: [t, c], S: [t, c]) {\n"
                     "  S = 0.5 * S[t-1] + x\n"
                     "  y = fill(S[t := at], 0)\n"
                     "}\n";
  enum { N = 6, C = 3 };
  attnc_engine_options plain = uncached(1);
  OK(attnc_engine_create(&plain, &engine));
  OK(attnc_compile_string(engine, "test.attn", text, strlen(text), &options, &kernel));
  OK(compile(engine, text, &onCpu));

  float x[N * C], y[N * C], S[N * C], expectedY[N * C], expectedS[N * C];
  int32_t at[N] = {5, 0, -1, 2, 2, 1};
  int64_t wide[] = {N, C}, narrow[] = {N};
  fill(x, N * C, 7);
  DLTensor tx = floats(x, 2, wide), tat = tensor(at, kDLInt, 32, 1, narrow, NULL), ty = floats(y, 2, wide),
           tS = floats(S, 2, wide), cy = floats(expectedY, 2, wide), cS = floats(expectedS, 2, wide);
  const DLTensor *in[] = {&tx, &tat}, *out[] = {&ty, &tS}, *cpuOut[] = {&cy, &cS};
  OK(attnc_kernel_run(onCpu, in, cpuOut, NULL));

  /* Memory of the CPU is copied there and back. */
  OK(attnc_kernel_run(kernel, in, out, NULL));
  CHECK(!memcmp(y, expectedY, sizeof y) && !memcmp(S, expectedS, sizeof S));

  /* Memory of the device is used where it is; mixed with memory of the CPU too. */
  void *context = NULL;
  CHECK(retainContext(&context, 0) == 0 && pushContext(context) == 0);
  Address dx = 0, dat = 0, dy = 0, workspace = 0;
  CHECK(!allocate(&dx, sizeof x, NULL) && !allocate(&dat, sizeof at, NULL) && !allocate(&dy, sizeof y, NULL));
  CHECK(!toDevice(dx, x, sizeof x, NULL) && !toDevice(dat, at, sizeof at, NULL));
  DLTensor gx = onDevice(tx, dx), gat = onDevice(tat, dat), gy = onDevice(ty, dy);
  const DLTensor *gpuIn[] = {&gx, &gat}, *gpuOut[] = {&gy, &tS};
  memset(S, 0, sizeof S);
  memset(y, 0, sizeof y);
  size_t bytes = 0;
  OK(attnc_kernel_workspace_size(kernel, gpuIn, &bytes));
  attnc_call call = {0};
  call.size = sizeof call;
  CHECK(!allocate(&workspace, bytes ? bytes : 64, NULL));
  call.workspace = (void *)(uintptr_t)workspace;
  call.workspace_size = bytes ? bytes : 64;
  OK(attnc_kernel_run(kernel, gpuIn, gpuOut, &call));
  CHECK(!toHost(y, dy, sizeof y, NULL));
  CHECK(!memcmp(y, expectedY, sizeof y) && !memcmp(S, expectedS, sizeof S));

  /* Promises are kept on the device too. */
  at[3] = N;
  CHECK(!toDevice(dat, at, sizeof at, NULL));
  FAILS(attnc_kernel_run(kernel, gpuIn, gpuOut, NULL), ATTNC_INVALID_ARGUMENT, "[A721]: input `at` has 6 at [3]");
  gx.device.device_id = 1;
  at[3] = 0;
  CHECK(!toDevice(dat, at, sizeof at, NULL));
  FAILS(attnc_kernel_run(kernel, gpuIn, gpuOut, NULL), ATTNC_INTERNAL,
        "[A820]: cuda: a tensor is in the memory of GPU 1");
  gx.device.device_id = 0;
  gx.device.device_type = kDLCUDA;
  FAILS(attnc_kernel_run(onCpu, gpuIn, out, NULL), ATTNC_INVALID_ARGUMENT,
        "[A731]: input `x` is in the memory of GPU 0");
  call.workspace = NULL;
  call.stream = &call;
  FAILS(attnc_kernel_run(onCpu, in, out, &call), ATTNC_INVALID_ARGUMENT, "[A728]");

  CHECK(!release(dx, NULL) && !release(dat, NULL) && !release(dy, NULL) && !release(workspace, NULL));
  popContext(&context);
  attnc_kernel_release(kernel);
  attnc_kernel_release(onCpu);
  attnc_engine_release(engine);
  printf("%d failures\n", failures);
  return failures != 0;
}
