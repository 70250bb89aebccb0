/*===- attnc: from a spec to a kernel --------------------------------------===
 *
 * Link libattnc (which brings libattnc_runtime). The rules of runtime.h on errors, threads and ownership hold here too.
 *===----------------------------------------------------------------------===*/
#ifndef ATTNC_COMPILE_H
#define ATTNC_COMPILE_H

#include "attnc/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  size_t size;
  const char *mixer;              /* NULL: the only one of the file */
  const char *target;             /* NULL: "cpu" */
  const char *arch;               /* NULL: "native" */
  const char *const *param_names; /* |param_count| names, and values as they would be written in the spec */
  const char *const *param_values;
  size_t param_count;
} attnc_compile_options;

/* Checks the spec; code is compiled by the first call, when dtypes and feature extents are known
 * (attnc_kernel_workspace_size() does it ahead). |path| is used in messages, and imports are looked for beside it.
 * |text| need not end in 0; it is copied. */
ATTNC_API attnc_error *attnc_compile_string(attnc_engine *engine, const char *path, const char *text, size_t text_size,
                                            const attnc_compile_options *options, attnc_kernel **out_kernel);
ATTNC_API attnc_error *attnc_compile_file(attnc_engine *engine, const char *path, const attnc_compile_options *options,
                                          attnc_kernel **out_kernel);
/* Warnings of the check, as one text and as data; they live as long as the kernel. */
ATTNC_API const char *attnc_kernel_warnings(const attnc_kernel *kernel);
ATTNC_API size_t attnc_kernel_warning_count(const attnc_kernel *kernel);
ATTNC_API bool attnc_kernel_warning(const attnc_kernel *kernel, size_t index, attnc_diagnostic *out_diagnostic);

#ifdef __cplusplus
}
#endif
#endif
