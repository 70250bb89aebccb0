//===- The border between libattnc and libattnc_runtime -------------------===//
//
// Plain C and bytes, so that the two may be built with different C++ libraries. Private: versioned by attnc_version().
//===----------------------------------------------------------------------===//
#pragma once
#include "attnc/compile.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Where a kernel's code comes from. Answers are ByteWriter's: u8 MixerStatus, text error, text payload, u8 generated;
/// freed with free_answer. Return 0, or 1 when memory is refused. Called by one thread at a time.
typedef struct {
  void *user;
  int (*signature)(void *user, const char *key, size_t size, char **answer,
                   size_t *answer_size);                                                        ///< payload: signature
  int (*compile)(void *user, const char *key, size_t size, char **answer, size_t *answer_size); ///< payload: blob
  void (*free_answer)(char *answer);
  void (*destroy)(void *user);
} attnc_private_compiler;

/// Takes over `compiler` also on failure. `diagnostics`: see ApiTypes.h.
ATTNC_API attnc_error *attnc_private_kernel_create(attnc_engine *engine, const char *signature, size_t signature_size,
                                                   const attnc_private_compiler *compiler, const char *warnings_text,
                                                   const char *diagnostics, size_t diagnostics_size,
                                                   attnc_kernel **out_kernel);
ATTNC_API attnc_error *attnc_private_error_create(int code, const char *message, const char *diagnostics,
                                                  size_t diagnostics_size);
/// Folder that the engine keeps kernels in, "" for none, and its limit in bytes.
ATTNC_API const char *attnc_private_cache_directory(const attnc_engine *engine, int64_t *out_limit);
ATTNC_API void attnc_private_log(const attnc_engine *engine, const char *line);

#ifdef __cplusplus
}
#endif
