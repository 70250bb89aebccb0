//===- The border of libattnc.so as attnc uses it -------------------------===//
//
// Three C functions, found with dlopen: bytes in, bytes out (Request.h). The public C API stands beside them in the
// same library; these are private, and versioned by being built together.
//===----------------------------------------------------------------------===//
#pragma once
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/// serializeRequest -> serializeAnswer. `*answer` is freed with attnc_private_free. 0: done; else out of memory.
int attnc_private_compile(const char *request, size_t size, char **answer, size_t *answerSize);
void attnc_private_free(char *answer);

#ifdef __cplusplus
}
#endif
