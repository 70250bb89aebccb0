/* What a kernel tells about itself, and the errors a caller can make. */
#include "testing.h"

static const char *const kSpec = "/// Scores and their maximum.\n"
                                 "mixer scores(q: [b, (g r), d], k: f32[b, g, d], y: i64[b] in d, w: [b] = 1)"
                                 " -> (s: [b, (g r)], n: i32[b]) {\n"
                                 "  param scale = 2.0\n"
                                 "  s = sum[d](q * k) * scale * w\n"
                                 "  n = i32(y + 1)\n"
                                 "}\n";

static void introspection(attnc_engine *engine) {
  attnc_kernel *kernel = NULL;
  attnc_argument a;
  attnc_param p;
  OK(compile(engine, kSpec, &kernel));
  if (!kernel)
    return;
  CHECK(strcmp(attnc_kernel_name(kernel), "scores") == 0);
  CHECK(strstr(attnc_kernel_doc(kernel), "maximum"));
  CHECK(attnc_kernel_input_count(kernel) == 4 && attnc_kernel_output_count(kernel) == 2);
  CHECK(attnc_kernel_input(kernel, 0, &a) && strcmp(a.name, "q") == 0 && !a.has_dtype && a.rank == 3);
  CHECK(strcmp(a.dims[0], "b") == 0 && strcmp(a.dims[1], "(g r)") == 0);
  CHECK(attnc_kernel_input(kernel, 1, &a) && a.has_dtype && a.dtype.code == kDLFloat && a.dtype.bits == 32);
  CHECK(attnc_kernel_input(kernel, 2, &a) && strcmp(a.index_of, "d") == 0 && a.dtype.code == kDLInt &&
        a.dtype.bits == 64);
  CHECK(attnc_kernel_input(kernel, 3, &a) && a.optional);
  CHECK(!attnc_kernel_input(kernel, 4, &a));
  CHECK(attnc_kernel_output(kernel, 1, &a) && strcmp(a.name, "n") == 0 && a.dtype.bits == 32);
  CHECK(attnc_kernel_param_count(kernel) == 1 && attnc_kernel_param(kernel, 0, &p) && p.value == 2.0 && !p.is_integer);
  attnc_kernel_release(kernel);
}

static void calls(attnc_engine *engine) {
  attnc_kernel *kernel = NULL;
  float q[2 * 6 * 3], k[2 * 3 * 3], w[2] = {1, 2}, s[2 * 6];
  int64_t y[2] = {0, -1};
  int32_t n[2];
  int64_t sq[] = {2, 6, 3}, sk[] = {2, 3, 3}, sy[] = {2}, ss[] = {2, 6};
  fill(q, 36, 1);
  fill(k, 18, 2);
  DLTensor tq = floats(q, 3, sq), tk = floats(k, 3, sk);
  DLTensor ty = tensor(y, kDLInt, 64, 1, sy, NULL), tw = floats(w, 1, sy);
  DLTensor ts = floats(s, 2, ss), tn = tensor(n, kDLInt, 32, 1, sy, NULL);
  const DLTensor *in[] = {&tq, &tk, &ty, &tw}, *out[] = {&ts, &tn};
  OK(compile(engine, kSpec, &kernel));
  if (!kernel)
    return;
  OK(attnc_kernel_run(kernel, in, out, NULL));
  CHECK(n[0] == 1 && n[1] == 0);
  for (int b = 0; b < 2; ++b)
    for (int h = 0; h < 6; ++h) {
      float sum = 0;
      for (int d = 0; d < 3; ++d)
        sum += q[(b * 6 + h) * 3 + d] * k[(b * 3 + h / 2) * 3 + d];
      float difference = s[b * 6 + h] - sum * 2 * w[b];
      CHECK(difference < 1e-5f && difference > -1e-5f);
    }

  int64_t shape[4];
  int32_t rank = 0;
  DLDataType dtype;
  size_t bytes = 1;
  OK(attnc_kernel_output_shape(kernel, in, 0, 4, shape, &rank, &dtype));
  CHECK(rank == 2 && shape[0] == 2 && shape[1] == 6 && dtype.bits == 32);
  OK(attnc_kernel_workspace_size(kernel, in, &bytes));

  /* A left-out optional input; another variant. */
  in[3] = NULL;
  OK(attnc_kernel_run(kernel, in, out, NULL));
  /* Every error names the argument. */
  in[1] = NULL;
  FAILS(attnc_kernel_run(kernel, in, out, NULL), ATTNC_INVALID_ARGUMENT, "[A711]: input `k`");
  in[1] = &tk;
  sk[2] = 4;
  FAILS(attnc_kernel_run(kernel, in, out, NULL), ATTNC_INVALID_ARGUMENT, "[A718]: input `k`");
  sk[2] = 3;
  ty.dtype.bits = 32;
  FAILS(attnc_kernel_run(kernel, in, out, NULL), ATTNC_INVALID_ARGUMENT, "[A712]: input `y`");
  ty.dtype.bits = 8;
  FAILS(attnc_kernel_run(kernel, in, out, NULL), ATTNC_INVALID_ARGUMENT, "[A701]: input `y`");
  ty.dtype.bits = 64;
  y[1] = 3;
  FAILS(attnc_kernel_run(kernel, in, out, NULL), ATTNC_INVALID_ARGUMENT, "[A721]: input `y` has 3 at [1]");
  y[1] = -1;
  tq.device.device_type = (DLDeviceType)8; /* Metal */
  FAILS(attnc_kernel_run(kernel, in, out, NULL), ATTNC_INVALID_ARGUMENT, "[A700]: input `q`");
  tq.device.device_type = kDLCPU;
  tq.data = NULL;
  FAILS(attnc_kernel_run(kernel, in, out, NULL), ATTNC_INVALID_ARGUMENT, "[A705]: input `q`");
  tq.data = (char *)q + 1;
  FAILS(attnc_kernel_run(kernel, in, out, NULL), ATTNC_INVALID_ARGUMENT, "[A706]: input `q`");
  tq.data = q;
  tq.ndim = 33;
  FAILS(attnc_kernel_run(kernel, in, out, NULL), ATTNC_INVALID_ARGUMENT, "[A702]: input `q`");
  tq.ndim = 3;
  sq[1] = sq[2] = (int64_t)1 << 40;
  FAILS(attnc_kernel_run(kernel, in, out, NULL), ATTNC_INVALID_ARGUMENT, "[A704]: input `q`");
  sq[1] = 6;
  sq[2] = 3;
  sq[0] = -1;
  FAILS(attnc_kernel_run(kernel, in, out, NULL), ATTNC_INVALID_ARGUMENT, "[A703]: input `q`");
  sq[0] = 2;
  ss[1] = 5;
  FAILS(attnc_kernel_run(kernel, in, out, NULL), ATTNC_INVALID_ARGUMENT, "[A724]: output `s` is f32[2, 5]");
  ss[1] = 6;
  ts.data = q;
  FAILS(attnc_kernel_run(kernel, in, out, NULL), ATTNC_INVALID_ARGUMENT,
        "[A726]: output `s` shares memory with input `q`");
  ts.data = s;
  int64_t broadcast[] = {0, 1};
  ts.strides = broadcast;
  FAILS(attnc_kernel_run(kernel, in, out, NULL), ATTNC_INVALID_ARGUMENT, "[A725]: output `s`");
  ts.strides = NULL;
  out[1] = NULL;
  FAILS(attnc_kernel_run(kernel, in, out, NULL), ATTNC_INVALID_ARGUMENT, "[A724]: output `n` is missing");
  out[1] = &tn;
  attnc_call call;
  memset(&call, 0, sizeof call);
  call.size = 1;
  FAILS(attnc_kernel_run(kernel, in, out, &call), ATTNC_INVALID_ARGUMENT, "[A709]: attnc_call.size is 1");
  call.size = sizeof call;
  call.stream = &call;
  FAILS(attnc_kernel_run(kernel, in, out, &call), ATTNC_INVALID_ARGUMENT, "[A728]");
  call.stream = NULL;
  call.workspace = (char *)q + 4;
  call.workspace_size = 64;
  FAILS(attnc_kernel_run(kernel, in, out, &call), ATTNC_INVALID_ARGUMENT, "[A727]");
  FAILS(attnc_kernel_run(NULL, in, out, NULL), ATTNC_INVALID_ARGUMENT, "[A707]");
  FAILS(attnc_kernel_run(kernel, NULL, out, NULL), ATTNC_INVALID_ARGUMENT, "[A707]: inputs");
  FAILS(attnc_kernel_output_shape(kernel, in, 2, 4, shape, &rank, &dtype), ATTNC_INVALID_ARGUMENT, "[A708]");
  /* The same as data. */
  sk[2] = 4;
  attnc_error *error = attnc_kernel_run(kernel, in, out, NULL);
  attnc_diagnostic d;
  CHECK(error && attnc_error_diagnostic_count(error) == 1 && attnc_error_diagnostic(error, 0, &d));
  CHECK(error && strcmp(d.id, "A718") == 0 && d.severity == ATTNC_SEVERITY_ERROR && d.file[0] == 0 && d.line == 0);
  CHECK(error && strncmp(d.message, "input `k` has extent 4", 22) == 0);
  attnc_error_free(error);
  sk[2] = 3;
  OK(attnc_kernel_run(kernel, in, out, NULL));
  attnc_kernel_release(kernel);
}

/* Small integers: exact in every dtype. */
static void encode(const int *from, size_t n, int code, int bits, void *to) {
  for (size_t i = 0; i < n; ++i)
    if (bits == 64) {
      ((double *)to)[i] = from[i];
    } else if (bits == 32) {
      ((float *)to)[i] = (float)from[i];
    } else if (code == kDLBfloat) {
      float f = (float)from[i];
      uint32_t word;
      memcpy(&word, &f, sizeof word);
      ((uint16_t *)to)[i] = (uint16_t)(word >> 16);
    } else { /* f16 of 0 to 3 */
      static const uint16_t kHalf[] = {0, 0x3c00, 0x4000, 0x4200};
      ((uint16_t *)to)[i] = kHalf[from[i]];
    }
}

/* One kernel, called with inputs of any mixture of dtypes; an undeclared output has that of the first one. */
static void mixtures(attnc_engine *engine) {
  static const struct {
    int code, bits;
  } kReal[] = {{kDLFloat, 32}, {kDLBfloat, 16}, {kDLFloat, 16}, {kDLFloat, 64}};
  static const int kQ[] = {1, 2, 0, 3, 1, 1}, kK[] = {1, 0, 2, 2, 3, 1, 1, 1}, kV[] = {3, 1, 2, 0, 1, 2, 2, 3};
  attnc_kernel *kernel = NULL;
  int64_t sq[] = {3, 2}, sk[] = {4, 2}, ss[] = {3}, so[] = {3, 2};
  int32_t at[] = {2, -1, 1};
  double q[6], k[8], v[8], o[6];
  OK(compile(engine,
             "mixer m(q: [i, d], k: [j, d], v: [j, e], at: i32[i] in j) -> (o: [i, e]) {\n"
             "  require #i <= #j\n  o = fill(sum[d](q * k[j := at]), 1) * v[j := i]\n}\n",
             &kernel));
  for (int mixture = 0; kernel && mixture < 64; ++mixture) {
    int a = mixture % 4, b = mixture / 4 % 4, c = mixture / 16;
    encode(kQ, 6, kReal[a].code, kReal[a].bits, q);
    encode(kK, 8, kReal[b].code, kReal[b].bits, k);
    encode(kV, 8, kReal[c].code, kReal[c].bits, v);
    DLTensor tq = tensor(q, kReal[a].code, kReal[a].bits, 2, sq, NULL);
    DLTensor tk = tensor(k, kReal[b].code, kReal[b].bits, 2, sk, NULL);
    DLTensor tv = tensor(v, kReal[c].code, kReal[c].bits, 2, sk, NULL);
    DLTensor ta = tensor(at, kDLInt, 32, 1, ss, NULL), to = tensor(o, kReal[a].code, kReal[a].bits, 2, so, NULL);
    const DLTensor *in[] = {&tq, &tk, &tv, &ta}, *out[] = {&to};
    OK(attnc_kernel_run(kernel, in, out, NULL));
    /* q . k[2] = 5, absent: 1, q . k[1] = 4; times v. */
    static const int kExpected[] = {15, 5, 2, 0, 4, 8};
    for (int n = 0; n < 6; ++n) {
      double got = 0;
      if (kReal[a].bits == 64)
        got = o[n];
      else if (kReal[a].bits == 32)
        got = ((float *)o)[n];
      else {
        uint16_t half = ((uint16_t *)o)[n];
        uint32_t word = (uint32_t)half << 16;
        float f;
        memcpy(&f, &word, sizeof f);
        got = f;
        if (kReal[a].code == kDLFloat) /* a number from 1 on, or 0 */
          got = half ? (double)(1024 + (half & 1023)) / 1024 * (1 << ((half >> 10) - 15)) : 0;
      }
      CHECK(got == kExpected[n]);
    }
  }
  attnc_kernel_release(kernel);
}

static void specs(attnc_engine *engine) {
  attnc_kernel *kernel = NULL;
  attnc_diagnostic d;
  attnc_error *error = compile(engine, "mixer m(x: [t]) -> (y: [t]) {\n  y = exq(x)\n}\n", &kernel);
  CHECK(error && attnc_error_code(error) == ATTNC_INVALID_SPEC && attnc_error_diagnostic_count(error) >= 1);
  if (error) {
    CHECK(attnc_error_diagnostic(error, 0, &d) && d.severity == ATTNC_SEVERITY_ERROR && d.line == 2 && d.column == 7);
    CHECK(d.id[0] == 'A' && strcmp(d.file, "test.attn") == 0);
    CHECK(strstr(attnc_error_message(error), "test.attn:2:7: error["));
    CHECK(!attnc_error_diagnostic(error, 1000, &d));
  }
  attnc_error_free(error);
  CHECK(kernel == NULL);
  FAILS(attnc_compile_file(engine, "/nonexistent.attn", NULL, &kernel), ATTNC_INVALID_SPEC,
        "[A515]: `/nonexistent.attn`");
  attnc_compile_options options;
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  options.target = "gpu";
  FAILS(attnc_compile_string(engine, "t", kSpec, strlen(kSpec), &options, &kernel), ATTNC_INVALID_ARGUMENT,
        "[A923]: unknown target `gpu`");
  options.target = "cuda";
  FAILS(attnc_compile_string(engine, "t", kSpec, strlen(kSpec), &options, &kernel), ATTNC_UNAVAILABLE,
        "[A815]: target cuda");
  options.target = NULL;
  options.mixer = "nope";
  FAILS(attnc_compile_string(engine, "t", kSpec, strlen(kSpec), &options, &kernel), ATTNC_INVALID_ARGUMENT,
        "[A508]: no mixer `nope`; the file has: scores");
  options.mixer = NULL;
  const char *names[] = {"scale"}, *values[] = {"3.5"};
  options.param_names = names;
  options.param_values = values;
  options.param_count = 1;
  OK(attnc_compile_string(engine, "t", kSpec, strlen(kSpec), &options, &kernel));
  attnc_param p;
  CHECK(kernel && attnc_kernel_param(kernel, 0, &p) && p.value == 3.5);
  attnc_kernel_release(kernel);
  FAILS(attnc_compile_string(NULL, "t", "", 0, NULL, &kernel), ATTNC_INVALID_ARGUMENT, "[A707]");
  FAILS(attnc_kernel_load(engine, "garbage", 7, &kernel), ATTNC_UNAVAILABLE, "[A805]");
}

static void *refuse(void *user_data, size_t bytes, size_t alignment) {
  (void)user_data, (void)bytes, (void)alignment;
  return NULL;
}
static void release(void *user_data, void *memory, size_t bytes) { (void)user_data, (void)memory, (void)bytes; }

/* Memory that the caller's allocator refuses; more arguments than a call takes; a kernel saved without what is asked.
 */
static void limits(void) {
  attnc_engine *engine = NULL;
  attnc_kernel *kernel = NULL, *saved = NULL;
  attnc_engine_options options;
  float x[6 * 4], o[6 * 4], w[4];
  int64_t shape[] = {6, 4}, length[] = {4};
  DLTensor tx = tensor(x, kDLFloat, 32, 2, shape, NULL), to = tensor(o, kDLFloat, 32, 2, shape, NULL);
  DLTensor tw = tensor(w, kDLFloat, 32, 1, length, NULL);
  const DLTensor *in[] = {&tx, &tw}, *out[] = {&to};
  void *data = NULL;
  size_t size = 0, bytes = 0;
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  options.cache_directory = "";
  options.allocate = refuse;
  FAILS(attnc_engine_create(&options, &engine), ATTNC_INVALID_ARGUMENT, "[A729]: attnc_engine_options.release is NULL");
  options.release = release;
  OK(attnc_engine_create(&options, &engine));
  OK(compile(engine,
             "mixer m(x: [i, j], w: [j] = 1) -> (o: [i, j]) { a = cumsum[i](softmax[j](x))  o = w * a / sum[i](a) }",
             &kernel));
  if (!kernel)
    return;
  fill(x, 24, 1);
  fill(w, 4, 2);
  OK(attnc_kernel_workspace_size(kernel, in, &bytes));
  CHECK(bytes > 0);
  FAILS(attnc_kernel_run(kernel, in, out, NULL), ATTNC_OUT_OF_MEMORY, "[A800]: not enough memory for ");
  OK(attnc_kernel_save(kernel, &data, &size));
  OK(attnc_kernel_load(engine, data, size, &saved));
  tx.dtype.bits = 16;
  FAILS(attnc_kernel_run(saved, in, out, NULL), ATTNC_UNAVAILABLE, "[A812]: kernel m was saved without code for ");
  tx.dtype.bits = 32;
  in[1] = NULL;
  FAILS(attnc_kernel_run(saved, in, out, NULL), ATTNC_UNAVAILABLE, "[A813]");
  attnc_kernel_release(saved);
  attnc_kernel_release(kernel);
  FAILS(attnc_kernel_load(engine, data, size - 1, &saved), ATTNC_UNAVAILABLE, "[A806]");
  attnc_free(data);
  FAILS(attnc_kernel_load_file(engine, "/nonexistent", &saved), ATTNC_UNAVAILABLE,
        "[A600]: /nonexistent cannot be read");

  char text[4000] = "mixer many(x0: [t]";
  for (int i = 1; i < 70; ++i)
    sprintf(text + strlen(text), ", x%d: [t] = 0", i);
  strcat(text, ") -> (y: [t]) { y = x0 }");
  kernel = NULL;
  OK(compile(engine, text, &kernel));
  const DLTensor *many[70] = {&tw};
  out[0] = &tw;
  FAILS(attnc_kernel_run(kernel, many, out, NULL), ATTNC_INVALID_ARGUMENT, "[A723]");
  attnc_kernel_release(kernel);
  attnc_engine_release(engine);
}

int main(void) {
  attnc_engine *engine = NULL;
  attnc_engine_options options = uncached(-1);
  FAILS(attnc_engine_create(&options, &engine), ATTNC_INVALID_ARGUMENT, "[A729]: attnc_engine_options.threads is -1");
  options.threads = 2;
  OK(attnc_engine_create(&options, &engine));
  CHECK(attnc_version() == (ATTNC_VERSION_MAJOR << 16 | ATTNC_VERSION_MINOR));
  introspection(engine);
  calls(engine);
  mixtures(engine);
  specs(engine);
  limits();
  attnc_engine_release(engine);
  attnc_engine_release(NULL);
  attnc_kernel_release(NULL);
  attnc_error_free(NULL);
  return failures != 0;
}
