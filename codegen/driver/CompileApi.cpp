//===- C interface: from a spec to a kernel -------------------------------===//
//
// Checks here; hands the runtime's library a table through which it asks for signatures and code later.
//===----------------------------------------------------------------------===//
#include "codegen/driver/Compile.h"
#include "runtime/ApiPrivate.h"
#include "runtime/ApiTypes.h"
#include "runtime/Cache.h"
#include "runtime/CacheBytes.h"
#include "runtime/CacheSignature.h"
#include "runtime/DeepStack.h"
#include "runtime/KernelBinding.h"
#include "runtime/Targets.h"
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fmt/format.h>
#include <functional>

using namespace attnc;

namespace {

DiagnosticData dataOf(const Error &error) {
  return {ATTNC_SEVERITY_ERROR, msgName(*error.id), error.text, {}, error.help, {}};
}

std::vector<DiagnosticData> dataOf(const Diagnostics &diags, const Error &error = {}) {
  std::vector<DiagnosticData> list;
  auto add = [&](attnc_severity severity, const char *id, const std::string &message, const std::string &label,
                 const std::string &help, const Span &span) {
    DiagnosticData d;
    d.severity = severity;
    d.id = id;
    d.message = message;
    d.label = label;
    d.help = help;
    if (span.source) {
      d.file = span.source->path();
      std::tie(d.line, d.column) = span.source->lineColumn(span.begin);
      std::tie(d.endLine, d.endColumn) = span.source->lineColumn(span.end);
    }
    list.push_back(std::move(d));
  };
  for (const attnc::Diagnostic &d : diags.all()) {
    add(d.severity == Severity::Error ? ATTNC_SEVERITY_ERROR : ATTNC_SEVERITY_WARNING, msgName(d.id), d.message,
        d.label, d.help, d.span);
    for (const Note &n : d.notes)
      add(ATTNC_SEVERITY_NOTE, "", n.text, "", "", n.span);
  }
  if (error.id)
    list.push_back(dataOf(error));
  return list;
}

attnc_error *errorOf(int code, const Diagnostics &diags, const Error &error = {}) {
  std::string bytes = serializeDiagnostics(dataOf(diags, error)), message = diags.render() + error.render();
  if (!message.empty() && message.back() == '\n')
    message.pop_back();
  return attnc_private_error_create(code, message.c_str(), bytes.data(), bytes.size());
}

attnc_error *errorOf(int code, const Error &error) { return errorOf(code, Diagnostics(), error); }

std::string libraryStamp() {
  Dl_info info;
  return dladdr(reinterpret_cast<const void *>(&libraryStamp), &info) && info.dli_fname ? fileStamp(info.dli_fname)
                                                                                        : std::string();
}

/// What a kernel of the runtime's library keeps here.
struct KernelSource {
  CompileRequest request;
  std::unique_ptr<Spec> spec;
};

struct Reply {
  MixerStatus status = MixerStatus::Internal;
  Error error;
  std::string payload;
  bool generated = false;
  /// 0, or 1 when memory is refused.
  int send(char **answer, size_t *size) const {
    ByteWriter w;
    w.u8(uint8_t(status));
    w.text(error.render());
    w.text(error.id ? serializeDiagnostics({dataOf(error)}) : error.data);
    w.text(payload);
    w.u8(generated);
    *size = w.bytes().size();
    *answer = static_cast<char *>(std::malloc(*size));
    if (!*answer)
      return 1;
    std::memcpy(*answer, w.bytes().data(), *size);
    return 0;
  }
};

std::unique_ptr<Program> checked(const KernelSource &source, const std::set<std::string> &leftOut, Diagnostics &diags) {
  CheckOptions options;
  options.params = source.request.params;
  options.leftOut = leftOut;
  std::unique_ptr<Program> program = checkMixer(*source.spec, source.request.mixer, options, diags);
  return diags.hasErrors() ? nullptr : std::move(program);
}

/// Runs `body` on a key; nothing it throws gets out.
template <class F> int answerTo(const char *bytes, size_t size, char **answer, size_t *answerSize, F body) {
  try {
    Reply reply;
    VariantKey key;
    if (parseVariantKey({bytes, size}, key)) {
      try {
        onDeepStack([&] { body(key, reply); });
      } catch (const std::bad_alloc &) {
        reply.status = MixerStatus::OutOfMemory;
        reply.error.report(Msg::A800, "compiling");
      } catch (const std::exception &e) {
        reply.status = MixerStatus::Internal;
        reply.error.report(Msg::A819, e.what());
      }
    }
    return reply.send(answer, answerSize);
  } catch (...) {
    return 1;
  }
}

int askSignature(void *user, const char *bytes, size_t size, char **answer, size_t *answerSize) {
  return answerTo(bytes, size, answer, answerSize, [&](const VariantKey &key, Reply &reply) {
    Diagnostics diags;
    std::unique_ptr<Program> program = checked(*static_cast<KernelSource *>(user), key.leftOut, diags);
    reply.status = program ? MixerStatus::Done : MixerStatus::InvalidSpec;
    reply.error = Error::rendered(diags.render(), serializeDiagnostics(dataOf(diags)));
    if (program)
      reply.payload = serializeSignature(program->signature);
  });
}

int askCode(void *user, const char *bytes, size_t size, char **answer, size_t *answerSize) {
  return answerTo(bytes, size, answer, answerSize, [&](const VariantKey &key, Reply &reply) {
    const KernelSource &source = *static_cast<KernelSource *>(user);
    CompileRequest request = source.request;
    request.variant = key;
    Diagnostics diags;
    CompileAnswer made = compile(request, *source.spec, diags);
    reply.error = Error::rendered(made.messages + made.error.render(), serializeDiagnostics(dataOf(diags, made.error)));
    switch (made.status) {
    case CompileAnswer::Done:
      reply.status = MixerStatus::Done;
      reply.payload = serializeBlob(made.blob);
      reply.generated = !made.blobCached;
      break;
    case CompileAnswer::Wrong:
      reply.status = MixerStatus::InvalidSpec;
      break;
    case CompileAnswer::Unavailable:
      reply.status = MixerStatus::Unavailable;
      break;
    case CompileAnswer::Internal:
      reply.status = MixerStatus::Internal;
      break;
    }
  });
}

void freeAnswer(char *answer) { std::free(answer); }
void destroySource(void *user) { delete static_cast<KernelSource *>(user); }

attnc_error *compileSpec(attnc_engine *engine, std::unique_ptr<KernelSource> source, bool fromFile,
                         const attnc_compile_options *given, attnc_kernel **out) {
  attnc_compile_options options = {};
  if (given) {
    if (given->size < sizeof(size_t) || given->size > sizeof options)
      return errorOf(ATTNC_INVALID_ARGUMENT, Error(Msg::A709, "attnc_compile_options", given->size, sizeof options));
    std::memcpy(&options, given, given->size);
  }
  CompileRequest &request = source->request;
  request.mixer = options.mixer ? options.mixer : "";
  request.target = options.target ? options.target : "cpu";
  request.arch = options.arch ? options.arch : "native";
  for (size_t i = 0; i < options.param_count; ++i)
    request.params[options.param_names[i]] = options.param_values[i];
  request.cacheDirectory = attnc_private_cache_directory(engine, &request.cacheLimit);
  request.compilerStamp = libraryStamp();
  Error error;
  if (!checkTarget(request.target, request.arch, error))
    return errorOf(ATTNC_INVALID_ARGUMENT, error);
  if (!resolveArch(request.target, request.arch, error))
    return errorOf(ATTNC_UNAVAILABLE, error);

  Diagnostics diags;
  std::unique_ptr<Program> program;
  bool noMixer = false;
  onDeepStack([&] {
    source->spec = fromFile ? loadSpec(request.path, diags) : loadSpecText(request.path, request.text, diags);
    if (!source->spec || diags.hasErrors())
      return;
    request.text = std::string(source->spec->sources[0]->text());
    const ast::Mixer *mixer = findMixer(*source->spec, request.mixer, diags);
    if (!mixer) {
      noMixer = true;
      return;
    }
    request.mixer = mixer->name.text;
    checkSpec(*source->spec, diags);
    if (!diags.hasErrors())
      program = checked(*source, {}, diags);
  });
  if (!program)
    return errorOf(noMixer ? ATTNC_INVALID_ARGUMENT : ATTNC_INVALID_SPEC, diags);
  std::string signature = serializeSignature(program->signature), warnings = serializeDiagnostics(dataOf(diags)),
              text = diags.render();
  attnc_private_compiler table = {source.release(), askSignature, askCode, freeAnswer, destroySource};
  return attnc_private_kernel_create(engine, signature.data(), signature.size(), &table, text.c_str(), warnings.data(),
                                     warnings.size(), out);
}

template <class F> attnc_error *shielded(F body) {
  try {
    return body();
  } catch (const std::bad_alloc &) {
    return attnc_private_error_create(ATTNC_OUT_OF_MEMORY, "", nullptr, 0);
  } catch (const std::exception &e) {
    return errorOf(ATTNC_INTERNAL, Error(Msg::A819, e.what()));
  } catch (...) {
    return errorOf(ATTNC_INTERNAL, Error(Msg::A819, "unknown exception"));
  }
}

} // namespace

attnc_error *attnc_compile_string(attnc_engine *engine, const char *path, const char *text, size_t text_size,
                                  const attnc_compile_options *options, attnc_kernel **out_kernel) {
  return shielded([&]() -> attnc_error * {
    if (!engine || !path || (!text && text_size) || !out_kernel)
      return errorOf(ATTNC_INVALID_ARGUMENT, Error(Msg::A707, "an argument of attnc_compile_string"));
    auto source = std::make_unique<KernelSource>();
    source->request.path = path;
    source->request.text.assign(text ? text : "", text_size);
    return compileSpec(engine, std::move(source), false, options, out_kernel);
  });
}

attnc_error *attnc_compile_file(attnc_engine *engine, const char *path, const attnc_compile_options *options,
                                attnc_kernel **out_kernel) {
  return shielded([&]() -> attnc_error * {
    if (!engine || !path || !out_kernel)
      return errorOf(ATTNC_INVALID_ARGUMENT, Error(Msg::A707, "an argument of attnc_compile_file"));
    auto source = std::make_unique<KernelSource>();
    source->request.path = path;
    return compileSpec(engine, std::move(source), true, options, out_kernel);
  });
}
