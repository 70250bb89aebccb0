/*===- attnc: running kernels ----------------------------------------------===
 *
 * C99, usable from any language. This half needs libattnc_runtime alone: no LLVM, no MLIR, no parser. compile.h adds
 *what turns a spec into a kernel (libattnc); attnc.h includes both.
 *
 * Errors. Every function that can fail returns an attnc_error pointer: NULL is success, anything else is owned by the
 *caller and freed with attnc_error_free(). Results come last, named |out_...|, and are untouched on failure. No
 *function throws, aborts, exits, prints, or installs a signal handler.
 *
 * Threads. An engine and a kernel may be used by any number of threads at once, an error or a diagnostic by one at a
 *time.
 *
 * Structs that the caller fills begin with |size|, set to sizeof(the struct), so that later versions can add fields;
 * zero means the default in every field.
 *===----------------------------------------------------------------------===*/
#ifndef ATTNC_RUNTIME_H
#define ATTNC_RUNTIME_H

#include "attnc/dlpack.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define ATTNC_API __attribute__((visibility("default")))
#else
#define ATTNC_API
#endif

/* The version of this interface; attnc_version() gives that of the library. Same major: compatible. */
#define ATTNC_VERSION_MAJOR 0
#define ATTNC_VERSION_MINOR 1

ATTNC_API uint32_t attnc_version(void); /* major << 16 | minor */

typedef struct attnc_engine attnc_engine;
typedef struct attnc_kernel attnc_kernel;
typedef struct attnc_error attnc_error;

/*===- Errors --------------------------------------------------------------===*/

typedef enum {
  ATTNC_INVALID_ARGUMENT = 1, /* the call: a tensor of the wrong rank, dtype, extent; a NULL; an unknown name */
  ATTNC_INVALID_SPEC = 2,     /* the spec: see the diagnostics */
  ATTNC_UNAVAILABLE = 3,      /* the target, CPU feature or file is not there */
  ATTNC_OUT_OF_MEMORY = 4,    /* memory was refused, or the call needs more than the engine's limit */
  ATTNC_INTERNAL = 5          /* a mistake of attnc */
} attnc_code;

typedef enum { ATTNC_SEVERITY_ERROR = 0, ATTNC_SEVERITY_WARNING = 1, ATTNC_SEVERITY_NOTE = 2 } attnc_severity;

/* A diagnostic, or a note that belongs to the diagnostic before it. Strings live as long as what it was asked of. */
typedef struct {
  attnc_severity severity;
  const char *id; /* stable, as in "A130"; empty for notes */
  const char *message;
  const char *label;                           /* under the caret; may be empty */
  const char *help;                            /* text to paste; may be empty */
  const char *file;                            /* empty: no place */
  uint32_t line, column, end_line, end_column; /* from 1, columns in code points */
} attnc_diagnostic;

ATTNC_API attnc_code attnc_error_code(const attnc_error *error);
/* All of it as text, with source lines and carets where it has places in a spec. Lives as long as the error. */
ATTNC_API const char *attnc_error_message(const attnc_error *error);
ATTNC_API size_t attnc_error_diagnostic_count(const attnc_error *error);
/* False when |index| is too large. */
ATTNC_API bool attnc_error_diagnostic(const attnc_error *error, size_t index, attnc_diagnostic *out_diagnostic);
/* NULL is fine. */
ATTNC_API void attnc_error_free(attnc_error *error);

/*===- Engine --------------------------------------------------------------===
 *
 * Threads, memory and the kernel cache that kernels share. Callbacks may be called from any thread that calls into
 *attnc, and must stay valid until the engine and all its kernels are released.
 *===----------------------------------------------------------------------===*/

typedef struct {
  size_t size;
  int32_t threads; /* 0: as many as the process has cores. Results do not depend on it */
  void *user_data; /* handed to the callbacks */
  /* Memory for workspaces that a call does not bring. Both or neither. |alignment| is 64. NULL result: refused. */
  void *(*allocate)(void *user_data, size_t bytes, size_t alignment);
  void (*release)(void *user_data, void *memory, size_t bytes);
  /* Runs body(body_data, i) for every i from 0 to count-1, in any order and on any threads, and returns when all are
   * done. */
  void (*parallel_for)(void *user_data, int64_t count, void (*body)(void *body_data, int64_t index), void *body_data);
  /* One line, without its end: kernels compiled and taken from the cache. */
  void (*log)(void *user_data, const char *line);
  const char *cache_directory; /* NULL: $ATTNC_CACHE_DIR or the XDG cache folder; "": no cache */
  int64_t cache_limit;         /* bytes */
  int64_t workspace_limit;     /* bytes per call; 0: 8 GiB or a quarter of the memory, whichever is less */
} attnc_engine_options;

/* |options| NULL: all defaults. Release with attnc_engine_release(). */
ATTNC_API attnc_error *attnc_engine_create(const attnc_engine_options *options, attnc_engine **out_engine);
/* Kernels keep their engine: it may be released before them. NULL is fine. */
ATTNC_API void attnc_engine_release(attnc_engine *engine);

/*===- Kernels: where they come from ---------------------------------------===
 *
 * A kernel is a mixer that can be called. It serves all lengths; for every combination of dtypes, of optional inputs
 * left out, and of feature extents (head dimensions and the like) code is compiled once, at the first call that needs
 *it. A kernel loaded from bytes has the code that was saved in it, and no compiler.
 *===----------------------------------------------------------------------===*/

/* From attnc_kernel_save() or `attnc compile --emit=kernel`. |data| is copied. */
ATTNC_API attnc_error *attnc_kernel_load(attnc_engine *engine, const void *data, size_t size,
                                         attnc_kernel **out_kernel);
ATTNC_API attnc_error *attnc_kernel_load_file(attnc_engine *engine, const char *path, attnc_kernel **out_kernel);
/* The best code for this machine in a folder of `attnc compile --emit=package`. |target|: "cpu" (NULL) or "cuda". */
ATTNC_API attnc_error *attnc_package_load(attnc_engine *engine, const char *folder, const char *target,
                                          attnc_kernel **out_kernel);
/* All code compiled so far. Free |*out_data| with attnc_free(). */
ATTNC_API attnc_error *attnc_kernel_save(const attnc_kernel *kernel, void **out_data, size_t *out_size);
ATTNC_API void attnc_free(void *data);
/* NULL is fine. */
ATTNC_API void attnc_kernel_release(attnc_kernel *kernel);

/*===- Kernels: what they are ----------------------------------------------===
 *
 * Strings and arrays live as long as the kernel.
 *===----------------------------------------------------------------------===*/

typedef struct {
  const char *name;
  bool has_dtype;   /* false: an input takes any floating dtype, an output that of the first such input */
  DLDataType dtype; /* when declared */
  int32_t rank;
  const char *const *dims; /* as written in the spec: "i", "(g r)" */
  bool optional;           /* an input that may be left out: NULL in a call */
  const char *index_of;    /* values are positions of this axis, or -1; empty: nothing is promised */
} attnc_argument;

typedef struct {
  const char *name; /* a sequence or axis */
  bool specialised; /* code is compiled for its value */
} attnc_extent;

typedef struct {
  const char *name;
  double value; /* exact for integers up to 2^53; false and true are 0 and 1 */
  bool is_integer, is_bool;
} attnc_param;

ATTNC_API const char *attnc_kernel_name(const attnc_kernel *kernel);
ATTNC_API const char *attnc_kernel_doc(const attnc_kernel *kernel);
ATTNC_API size_t attnc_kernel_input_count(const attnc_kernel *kernel);
ATTNC_API size_t attnc_kernel_output_count(const attnc_kernel *kernel);
ATTNC_API size_t attnc_kernel_extent_count(const attnc_kernel *kernel);
ATTNC_API size_t attnc_kernel_param_count(const attnc_kernel *kernel);
/* False when |index| is too large. */
ATTNC_API bool attnc_kernel_input(const attnc_kernel *kernel, size_t index, attnc_argument *out_argument);
ATTNC_API bool attnc_kernel_output(const attnc_kernel *kernel, size_t index, attnc_argument *out_argument);
ATTNC_API bool attnc_kernel_extent(const attnc_kernel *kernel, size_t index, attnc_extent *out_extent);
ATTNC_API bool attnc_kernel_param(const attnc_kernel *kernel, size_t index, attnc_param *out_param);

typedef struct {
  uint64_t compilations; /* times that code was made available: generated, or taken from the cache on disk */
  uint64_t generated;    /* of these, times that code was generated */
  uint64_t calls;        /* runs that succeeded */
} attnc_counters;
ATTNC_API void attnc_kernel_counters(const attnc_kernel *kernel, attnc_counters *out_counters);

/*===- Kernels: calls ------------------------------------------------------===
 *
 * |inputs| has attnc_kernel_input_count() pointers in the order of the signature, NULL for optional inputs left out;
 *|outputs| likewise, all present, with memory of the caller. Any strides are taken, in outputs too as long as no two
 *elements share memory; an output must not overlap an input or another output. Tensors are read and written during the
 *call only. When shapes and dtypes are ones that the kernel has seen before and the call brings a workspace, nothing is
 *allocated.
 *
 *Target cuda: each tensor may be in the memory of the CPU (it is copied) or of the GPU (kDLCUDA), the workspace is
 *memory of the GPU. A call whose tensors are all on the GPU returns when its work is in the stream; where an input
 *promises to hold positions it waits for that one. Failures of kernels show in the next call that waits.
 *===----------------------------------------------------------------------===*/

typedef struct {
  size_t size;
  void *workspace; /* aligned to 64; NULL: taken from the engine's allocator, or from the GPU */
  size_t workspace_size;
  void *stream; /* target cuda: a CUstream, NULL for the default one; else NULL */
} attnc_call;

/* Shape and dtype that output |index| will have. |shape| has room for |capacity| extents; |*out_rank| is what it needs.
 */
ATTNC_API attnc_error *attnc_kernel_output_shape(attnc_kernel *kernel, const DLTensor *const *inputs, size_t index,
                                                 size_t capacity, int64_t *shape, int32_t *out_rank,
                                                 DLDataType *out_dtype);
/* Bytes of workspace that a call with such inputs needs. Compiles if it has to: so it also warms up. */
ATTNC_API attnc_error *attnc_kernel_workspace_size(attnc_kernel *kernel, const DLTensor *const *inputs,
                                                   size_t *out_bytes);
/* |call| NULL: all defaults. */
ATTNC_API attnc_error *attnc_kernel_run(attnc_kernel *kernel, const DLTensor *const *inputs,
                                        const DLTensor *const *outputs, const attnc_call *call);

#ifdef __cplusplus
}
#endif
#endif
