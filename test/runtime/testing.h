/* What the C tests share: checks that say where they failed, and tensors on small arrays. */
#ifndef ATTNC_TESTING_H
#define ATTNC_TESTING_H

#include "attnc/attnc.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures = 0;

#define CHECK(condition)                                                                                               \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                                        \
      ++failures;                                                                                                      \
    }                                                                                                                  \
  } while (0)

/* The call succeeds. */
#define OK(call)                                                                                                       \
  do {                                                                                                                 \
    attnc_error *error_ = (call);                                                                                      \
    if (error_) {                                                                                                      \
      fprintf(stderr, "%s:%d: %s failed: %s\n", __FILE__, __LINE__, #call, attnc_error_message(error_));               \
      attnc_error_free(error_);                                                                                        \
      ++failures;                                                                                                      \
    }                                                                                                                  \
  } while (0)

/* The call fails with this code, and its message has this text in it. */
#define FAILS(call, wanted, text)                                                                                      \
  do {                                                                                                                 \
    attnc_error *error_ = (call);                                                                                      \
    if (!error_) {                                                                                                     \
      fprintf(stderr, "%s:%d: %s succeeded\n", __FILE__, __LINE__, #call);                                             \
      ++failures;                                                                                                      \
    } else {                                                                                                           \
      if (attnc_error_code(error_) != (wanted) || !strstr(attnc_error_message(error_), text)) {                        \
        fprintf(stderr, "%s:%d: %s: code %d, %s\n", __FILE__, __LINE__, #call, (int)attnc_error_code(error_),          \
                attnc_error_message(error_));                                                                          \
        ++failures;                                                                                                    \
      }                                                                                                                \
      attnc_error_free(error_);                                                                                        \
    }                                                                                                                  \
  } while (0)

static inline DLTensor tensor(void *data, int code, int bits, int rank, int64_t *shape, int64_t *strides) {
  DLTensor t;
  memset(&t, 0, sizeof t);
  t.data = data;
  t.device.device_type = kDLCPU;
  t.ndim = rank;
  t.dtype.code = (uint8_t)code;
  t.dtype.bits = (uint8_t)bits;
  t.dtype.lanes = 1;
  t.shape = shape;
  t.strides = strides;
  return t;
}

/* f32, row-major. */
static inline DLTensor floats(float *data, int rank, int64_t *shape) {
  return tensor(data, kDLFloat, 32, rank, shape, NULL);
}

/* Nothing is read from or written to the cache. */
static inline attnc_engine_options uncached(int threads) {
  attnc_engine_options options;
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  options.cache_directory = "";
  options.threads = threads;
  return options;
}

static inline attnc_error *compile(attnc_engine *engine, const char *text, attnc_kernel **out) {
  return attnc_compile_string(engine, "test.attn", text, strlen(text), NULL, out);
}

/* Numbers in -1 .. 1 that look random. */
static inline void fill(float *data, size_t n, unsigned seed) {
  for (size_t i = 0; i < n; ++i) {
    seed = seed * 1664525u + 1013904223u;
    data[i] = (float)((int)(seed >> 8) % 2001 - 1000) / 1000.0f;
  }
}

#endif
