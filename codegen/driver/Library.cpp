//===- The border of libattnc.so as attnc uses it -------------------------===//
#include "codegen/driver/Library.h"
#include "codegen/driver/Compile.h"
#include <cstdlib>
#include <cstring>
#include <new>

#define EXPORT __attribute__((visibility("default")))

EXPORT int attnc_private_compile(const char *request, size_t size, char **answer, size_t *answerSize) {
  *answer = nullptr;
  *answerSize = 0;
  try {
    attnc::CompileRequest q;
    attnc::CompileAnswer a;
    if (attnc::parseRequest({request, size}, q))
      a = attnc::compile(q);
    else
      a.error.report(attnc::Msg::A814, "the compiler's library");
    std::string bytes = attnc::serializeAnswer(a);
    *answer = static_cast<char *>(std::malloc(bytes.size()));
    if (!*answer)
      return 1;
    std::memcpy(*answer, bytes.data(), bytes.size());
    *answerSize = bytes.size();
    return 0;
  } catch (const std::bad_alloc &) {
    return 1;
  }
}

EXPORT void attnc_private_free(char *answer) { std::free(answer); }
