//===- What the handles of the C interface are ----------------------------===//
#pragma once
#include "attnc/compile.h"
#include "runtime/Cache.h"
#include "runtime/KernelMixer.h"
#include <memory>
#include <new>
#include <string>
#include <vector>

namespace attnc {

/// attnc_diagnostic with its own strings.
struct DiagnosticData {
  attnc_severity severity;
  std::string id, message, label, help, file;
  uint32_t line = 0, column = 0, endLine = 0, endColumn = 0;
  attnc_diagnostic view() const {
    return {severity,     id.c_str(), message.c_str(), label.c_str(), help.c_str(),
            file.c_str(), line,       column,          endLine,       endColumn};
  }
};
std::string serializeDiagnostics(const std::vector<DiagnosticData> &list);
std::vector<DiagnosticData> parseDiagnostics(std::string_view bytes);

struct EngineData {
  explicit EngineData(const attnc_engine_options &options);
  attnc_engine_options options;
  std::string cacheDirectory;
  ThreadPool pool;
};

attnc_error *makeError(attnc_code code, const Error &error);
attnc_error *outOfMemory();
attnc_code codeOf(MixerStatus status);

/// Runs the body of an API function; no exception gets past it.
template <class F> attnc_error *guarded(F &&body) {
  try {
    return body();
  } catch (const std::bad_alloc &) {
    return outOfMemory();
  } catch (const std::exception &e) {
    return makeError(ATTNC_INTERNAL, Error(Msg::A819, e.what()));
  } catch (...) {
    return makeError(ATTNC_INTERNAL, Error(Msg::A819, "unknown exception"));
  }
}

} // namespace attnc

struct attnc_engine {
  std::shared_ptr<attnc::EngineData> data;
};

struct attnc_error {
  attnc_code code;
  std::string message;
  std::vector<attnc::DiagnosticData> diagnostics;
};

struct attnc_kernel {
  std::shared_ptr<attnc::EngineData> engine;
  std::shared_ptr<attnc::Mixer> mixer;
  std::string warnings;
  std::vector<attnc::DiagnosticData> diagnostics;
  std::vector<std::vector<const char *>> dims; ///< of inputs, then outputs
};
