/* Tensors of any layout, in every kind of kernel: what comes out does not depend on how the caller stores it. */
#include "testing.h"
#include <math.h>

enum { kMostRank = 4, kMostTensors = 6, kRoom = 16384 };

typedef struct {
  int rank;
  int64_t shape[kMostRank];
} Shape;

typedef struct {
  const char *text;
  int inputs, outputs;
  Shape shapes[kMostTensors]; /* of the inputs, then of the outputs */
} Spec;

static const Spec kSpecs[] = {
    {"mixer heads(q: [b, (g:2 r), i:N, d], k: [b, g, j:N, d], v: [b, g, j, e]) -> (o: [b, (g r), i, e]) {\n"
     "  o = sum[j](softmax[j](sum[d](q * k) where j <= i) * v)\n"
     "}\n",
     3,
     1,
     {{4, {2, 4, 19, 8}}, {4, {2, 2, 19, 8}}, {4, {2, 2, 19, 5}}, {4, {2, 4, 19, 5}}}},
    {"mixer scan(x: [b, t, c], dt: [b, t, c], A: [c, n], B: [b, t, n]) -> (y: [b, t, c], back: [b, t, c]) {\n"
     "  h = exp(dt * A - 1) * h[t-1] + B * x\n"
     "  r = 0.5 * r[t+1] + x\n"
     "  y = sum[n](h)   back = r\n"
     "}\n",
     4,
     2,
     {{3, {3, 17, 9}}, {3, {3, 17, 9}}, {2, {9, 4}}, {3, {3, 17, 4}}, {3, {3, 17, 9}}, {3, {3, 17, 9}}}},
    {"mixer product(a: [b, i, k], w: [k, j], bias: [j]) -> (y: [b, i, j]) {\n"
     "  y = relu(sum[k](a * w) + bias)\n"
     "}\n",
     3,
     1,
     {{3, {2, 33, 40}}, {2, {40, 37}}, {1, {37}}, {3, {2, 33, 37}}}},
    {"mixer choice(q: [t, d], k: [m, d], v: [m, e]) -> (y: [t, e], back: [m, e]) {\n"
     "  at = topk[m, r:3](sum[d](q * k))\n"
     "  y = sum[r](v[m := at])\n"
     "  back = sum[t, r](y where at == m)\n"
     "}\n",
     3,
     2,
     {{2, {13, 6}}, {2, {11, 6}}, {2, {11, 7}}, {2, {13, 7}}, {2, {11, 7}}}},
    {"mixer filter(x: [b, c, t], w: [c, u]) -> (y: [b, c, t], low: [b, c]) {\n"
     "  y = sum[u](w * x[t - u])\n"
     "  low = min[t](sort[t, t'](x)[t' := t])\n"
     "}\n",
     2,
     2,
     {{3, {2, 5, 31}}, {2, {5, 4}}, {3, {2, 5, 31}}, {2, {2, 5}}}},
};

typedef enum { Compact, Reversed, Gaps, Backwards, Repeated, Offset, kLayouts } Layout;

static float memory[kMostTensors][kRoom], plain[kMostTensors][kRoom];

static int64_t elements(const Shape *s) {
  int64_t n = 1;
  for (int i = 0; i < s->rank; ++i)
    n *= s->shape[i];
  return n;
}

/* Strides of a layout, and the position of element 0 in the tensor's memory. */
static int64_t layOut(Layout layout, const Shape *s, int64_t *strides) {
  int64_t step = layout == Gaps ? 3 : 1, first = layout == Offset || layout == Gaps ? 1 : 0;
  for (int i = 0; i < s->rank; ++i) {
    int a = layout == Reversed ? i : s->rank - 1 - i;
    strides[a] = step;
    step *= s->shape[a] + (layout == Gaps ? 1 : 0);
  }
  if (layout == Repeated)
    strides[0] = 0;
  for (int a = 0; layout == Backwards && a < s->rank; ++a) {
    first += strides[a] * (s->shape[a] - 1);
    strides[a] = -strides[a];
  }
  return first;
}

/* Copies element by element from `from` of this layout to row-major order. */
static void gather(const float *from, const Shape *s, const int64_t *strides, int64_t first, float *to) {
  for (int64_t k = 0; k < elements(s); ++k) {
    int64_t at = first, rest = k;
    for (int a = s->rank - 1; a >= 0; --a) {
      at += rest % s->shape[a] * strides[a];
      rest /= s->shape[a];
    }
    to[k] = from[at];
  }
}

static void check(attnc_kernel *kernel, const Spec *spec, Layout layout) {
  int count = spec->inputs + spec->outputs;
  DLTensor laid[kMostTensors], rows[kMostTensors];
  const DLTensor *laidAt[kMostTensors], *rowsAt[kMostTensors];
  int64_t strides[kMostTensors][kMostRank], first[kMostTensors];
  static float got[kRoom];
  for (int t = 0; t < count; ++t) {
    Shape *s = (Shape *)&spec->shapes[t];
    /* An output whose elements share memory makes no sense. */
    first[t] = layOut(layout == Repeated && t >= spec->inputs ? Compact : layout, s, strides[t]);
    fill(memory[t], kRoom, (unsigned)(t + 1));
    gather(memory[t], s, strides[t], first[t], plain[t]);
    laid[t] = tensor(memory[t], kDLFloat, 32, s->rank, s->shape, strides[t]);
    if (layout == Offset)
      laid[t].byte_offset = (uint64_t)first[t] * sizeof(float);
    else
      laid[t].data = memory[t] + first[t];
    rows[t] = floats(plain[t], s->rank, s->shape);
    laidAt[t] = &laid[t];
    rowsAt[t] = &rows[t];
  }
  OK(attnc_kernel_run(kernel, laidAt, laidAt + spec->inputs, NULL));
  OK(attnc_kernel_run(kernel, rowsAt, rowsAt + spec->inputs, NULL));
  for (int t = spec->inputs; t < count; ++t) {
    gather(memory[t], &spec->shapes[t], strides[t], first[t], got);
    float worst = 0, scale = 1;
    for (int64_t k = 0; k < elements(&spec->shapes[t]); ++k) {
      worst = fmaxf(worst, fabsf(got[k] - plain[t][k]));
      scale = fmaxf(scale, fabsf(plain[t][k]));
    }
    /* Sums may be taken in another order. */
    if (!(worst <= 32 * 1.2e-7f * scale)) {
      fprintf(stderr, "layout %d, output %d of\n%sdiffers by %g\n", (int)layout, t - spec->inputs, spec->text, worst);
      ++failures;
    }
    /* Between the elements nothing is written. */
    static float before[kRoom];
    fill(before, kRoom, (unsigned)(t + 1));
    if (layout == Gaps)
      for (int64_t k = 0; k + 2 < kRoom; k += 3)
        CHECK(memory[t][k] == before[k] && memory[t][k + 2] == before[k + 2]);
  }
}

int main(void) {
  attnc_engine *engine = NULL;
  attnc_engine_options options = uncached(2);
  OK(attnc_engine_create(&options, &engine));
  for (size_t s = 0; s < sizeof kSpecs / sizeof kSpecs[0]; ++s) {
    attnc_kernel *kernel = NULL;
    OK(compile(engine, kSpecs[s].text, &kernel));
    for (int layout = 0; kernel && layout < kLayouts; ++layout)
      check(kernel, &kSpecs[s], (Layout)layout);
    attnc_kernel_release(kernel);
  }
  attnc_engine_release(engine);
  return failures ? 1 : 0;
}
