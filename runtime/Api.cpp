//===- C interface: engines, errors, what kernels are ---------------------===//
#include "runtime/ApiPrivate.h"
#include "runtime/ApiTypes.h"
#include "runtime/CacheBytes.h"
#include "runtime/CacheSignature.h"
#include "runtime/Package.h"
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>

using namespace attnc;

namespace attnc {

static attnc_error *theOutOfMemory() {
  static attnc_error error = {ATTNC_OUT_OF_MEMORY, {}, {}};
  return &error;
}

attnc_error *outOfMemory() { return theOutOfMemory(); }

attnc_error *makeError(attnc_code code, const Error &error) {
  std::string message = error.render();
  if (!message.empty() && message.back() == '\n')
    message.pop_back();
  std::vector<DiagnosticData> diagnostics = parseDiagnostics(error.data);
  if (error.id) {
    DiagnosticData d = {ATTNC_SEVERITY_ERROR, msgName(*error.id), error.text, {}, error.help, {}};
    diagnostics.push_back(std::move(d));
  }

  auto *made = new (std::nothrow) attnc_error{code, std::move(message), std::move(diagnostics)};
  return made ? made : outOfMemory();
}

attnc_code codeOf(MixerStatus status) {
  switch (status) {
  case MixerStatus::InvalidArgument:
    return ATTNC_INVALID_ARGUMENT;
  case MixerStatus::InvalidSpec:
    return ATTNC_INVALID_SPEC;
  case MixerStatus::Unavailable:
    return ATTNC_UNAVAILABLE;
  case MixerStatus::OverLimit:
  case MixerStatus::OutOfMemory:
    return ATTNC_OUT_OF_MEMORY;
  default:
    return ATTNC_INTERNAL;
  }
}

static ParallelForCallback callbackOf(const attnc_engine_options &options) {
  ParallelForCallback callback;
  callback.run = options.parallel_for;
  callback.userData = options.user_data;
  return callback;
}

EngineData::EngineData(const attnc_engine_options &given)
    : options(given), cacheDirectory(given.cache_directory ? given.cache_directory : KernelCache().directory()),
      pool(given.threads, callbackOf(given)) {
  options.cache_directory = nullptr; // the caller's string need not live on
}

static attnc_error *makeKernel(std::shared_ptr<EngineData> engine, std::shared_ptr<Mixer> mixer, std::string warnings,
                               std::vector<DiagnosticData> diagnostics, attnc_kernel **out) {
  auto kernel = std::make_unique<attnc_kernel>();
  kernel->engine = std::move(engine);
  kernel->mixer = std::move(mixer);
  kernel->warnings = std::move(warnings);
  kernel->diagnostics = std::move(diagnostics);
  for (const auto *list : {&kernel->mixer->signature().inputs, &kernel->mixer->signature().outputs})
    for (const Argument &a : *list) {
      std::vector<const char *> dims;
      for (const Dim &d : a.dims)
        dims.push_back(d.text.c_str());
      kernel->dims.push_back(std::move(dims));
    }
  *out = kernel.release();
  return nullptr;
}

static DLDataType dlpackOf(DType dtype) {
  switch (dtype) {
  case DType::F32:
    return {kDLFloat, 32, 1};
  case DType::F16:
    return {kDLFloat, 16, 1};
  case DType::BF16:
    return {kDLBfloat, 16, 1};
  case DType::F64:
    return {kDLFloat, 64, 1};
  case DType::I32:
    return {kDLInt, 32, 1};
  case DType::I64:
    return {kDLInt, 64, 1};
  default:
    return {kDLBool, 8, 1};
  }
}

static bool fillArgument(const attnc_kernel *kernel, const std::vector<Argument> &list, size_t index, size_t dimsAt,
                         attnc_argument *out) {
  if (index >= list.size() || !out)
    return false;
  const Argument &a = list[index];
  *out = {a.name.c_str(),         a.dtype.has_value(),         a.dtype ? dlpackOf(*a.dtype) : DLDataType{0, 0, 0},
          int32_t(a.dims.size()), kernel->dims[dimsAt].data(), a.hasDefault,
          a.indexOf.c_str()};
  return true;
}

} // namespace attnc

uint32_t attnc_version(void) { return ATTNC_VERSION_MAJOR << 16 | ATTNC_VERSION_MINOR; }

attnc_code attnc_error_code(const attnc_error *error) { return error->code; }

const char *attnc_error_message(const attnc_error *error) {
  return error == theOutOfMemory() ? "attnc: error[A800]: not enough memory for this" : error->message.c_str();
}

size_t attnc_error_diagnostic_count(const attnc_error *error) { return error->diagnostics.size(); }

bool attnc_error_diagnostic(const attnc_error *error, size_t index, attnc_diagnostic *out_diagnostic) {
  if (index >= error->diagnostics.size())
    return false;
  *out_diagnostic = error->diagnostics[index].view();
  return true;
}

void attnc_error_free(attnc_error *error) {
  if (error != theOutOfMemory())
    delete error;
}

attnc_error *attnc_engine_create(const attnc_engine_options *options, attnc_engine **out_engine) {
  return guarded([&]() -> attnc_error * {
    if (!out_engine)
      return makeError(ATTNC_INVALID_ARGUMENT, Error(Msg::A707, "out_engine of attnc_engine_create"));
    attnc_engine_options full = {};
    if (options) {
      if (options->size < sizeof(size_t) || options->size > sizeof full)
        return makeError(ATTNC_INVALID_ARGUMENT, Error(Msg::A709, "attnc_engine_options", options->size, sizeof full));
      std::memcpy(&full, options, options->size);
    }
    if (full.threads < 0 || full.threads > 4096)
      return makeError(ATTNC_INVALID_ARGUMENT, Error(Msg::A729, "threads", full.threads, "a number from 0 to 4096"));
    if (!full.allocate != !full.release)
      return makeError(ATTNC_INVALID_ARGUMENT,
                       Error(Msg::A729, full.allocate ? "release" : "allocate", "NULL",
                             full.allocate ? "a function, as allocate has one" : "a function, as release has one"));
    auto engine = std::make_unique<attnc_engine>();
    engine->data = std::make_shared<EngineData>(full);
    *out_engine = engine.release();
    return nullptr;
  });
}

void attnc_engine_release(attnc_engine *engine) { delete engine; }

attnc_error *attnc_kernel_load(attnc_engine *engine, const void *data, size_t size, attnc_kernel **out_kernel) {
  return guarded([&]() -> attnc_error * {
    if (!engine || !data || !out_kernel)
      return makeError(ATTNC_INVALID_ARGUMENT, Error(Msg::A707, "an argument of attnc_kernel_load"));
    Error error;
    std::shared_ptr<Mixer> mixer = Mixer::load({static_cast<const char *>(data), size}, error);
    if (!mixer)
      return makeError(ATTNC_UNAVAILABLE, error);
    return makeKernel(engine->data, mixer, {}, {}, out_kernel);
  });
}

attnc_error *attnc_kernel_load_file(attnc_engine *engine, const char *path, attnc_kernel **out_kernel) {
  return guarded([&]() -> attnc_error * {
    if (!engine || !path || !out_kernel)
      return makeError(ATTNC_INVALID_ARGUMENT, Error(Msg::A707, "an argument of attnc_kernel_load_file"));
    std::string bytes;
    Error error;
    errno = 0;
    if (!readWhole(path, bytes, size_t(1) << 30))
      return makeError(ATTNC_UNAVAILABLE, Error(Msg::A600, path, errno ? std::strerror(errno) : "it is too large"));
    std::shared_ptr<Mixer> mixer = Mixer::load(bytes, error);
    if (!mixer) {
      error.text = fmt::format("{}: {}", path, error.text);
      return makeError(ATTNC_UNAVAILABLE, error);
    }
    return makeKernel(engine->data, mixer, {}, {}, out_kernel);
  });
}

attnc_error *attnc_package_load(attnc_engine *engine, const char *folder, const char *target,
                                attnc_kernel **out_kernel) {
  return guarded([&]() -> attnc_error * {
    if (!engine || !folder || !out_kernel)
      return makeError(ATTNC_INVALID_ARGUMENT, Error(Msg::A707, "an argument of attnc_package_load"));
    Error error;
    std::shared_ptr<Mixer> mixer = loadPackage(folder, target ? target : "cpu", error);
    if (!mixer)
      return makeError(ATTNC_UNAVAILABLE, error);
    return makeKernel(engine->data, mixer, {}, {}, out_kernel);
  });
}

attnc_error *attnc_kernel_save(const attnc_kernel *kernel, void **out_data, size_t *out_size) {
  return guarded([&]() -> attnc_error * {
    if (!kernel || !out_data || !out_size)
      return makeError(ATTNC_INVALID_ARGUMENT, Error(Msg::A707, "an argument of attnc_kernel_save"));
    std::string bytes = kernel->mixer->save();
    void *data = std::malloc(bytes.size());
    if (!data)
      return outOfMemory();
    std::memcpy(data, bytes.data(), bytes.size());
    *out_data = data;
    *out_size = bytes.size();
    return nullptr;
  });
}

void attnc_free(void *data) { std::free(data); }
void attnc_kernel_release(attnc_kernel *kernel) { delete kernel; }

const char *attnc_kernel_name(const attnc_kernel *kernel) { return kernel->mixer->signature().mixer.c_str(); }
const char *attnc_kernel_doc(const attnc_kernel *kernel) { return kernel->mixer->signature().doc.c_str(); }
size_t attnc_kernel_input_count(const attnc_kernel *kernel) { return kernel->mixer->signature().inputs.size(); }
size_t attnc_kernel_output_count(const attnc_kernel *kernel) { return kernel->mixer->signature().outputs.size(); }
size_t attnc_kernel_extent_count(const attnc_kernel *kernel) { return kernel->mixer->signature().symbols.size(); }
size_t attnc_kernel_param_count(const attnc_kernel *kernel) { return kernel->mixer->signature().params.size(); }

bool attnc_kernel_input(const attnc_kernel *kernel, size_t index, attnc_argument *out_argument) {
  return fillArgument(kernel, kernel->mixer->signature().inputs, index, index, out_argument);
}

bool attnc_kernel_output(const attnc_kernel *kernel, size_t index, attnc_argument *out_argument) {
  const Signature &s = kernel->mixer->signature();
  return fillArgument(kernel, s.outputs, index, s.inputs.size() + index, out_argument);
}

bool attnc_kernel_extent(const attnc_kernel *kernel, size_t index, attnc_extent *out_extent) {
  const Signature &s = kernel->mixer->signature();
  if (index >= s.symbols.size() || !out_extent)
    return false;
  *out_extent = {s.symbols[index].name.c_str(), kernel->mixer->specialises(index)};
  return true;
}

bool attnc_kernel_param(const attnc_kernel *kernel, size_t index, attnc_param *out_param) {
  const Signature &s = kernel->mixer->signature();
  if (index >= s.params.size() || !out_param)
    return false;
  const Param &p = s.params[index];
  *out_param = {p.name.c_str(), p.kind == Param::Real ? p.real : double(p.integer), p.kind == Param::Int,
                p.kind == Param::Bool};
  return true;
}

void attnc_kernel_counters(const attnc_kernel *kernel, attnc_counters *out_counters) {
  *out_counters = {kernel->mixer->compilations.load(), kernel->mixer->generated.load(), kernel->mixer->calls.load()};
}

const char *attnc_kernel_warnings(const attnc_kernel *kernel) { return kernel->warnings.c_str(); }
size_t attnc_kernel_warning_count(const attnc_kernel *kernel) { return kernel->diagnostics.size(); }

bool attnc_kernel_warning(const attnc_kernel *kernel, size_t index, attnc_diagnostic *out_diagnostic) {
  if (index >= kernel->diagnostics.size())
    return false;
  *out_diagnostic = kernel->diagnostics[index].view();
  return true;
}

namespace {

/// Owns the other library's side of a kernel.
struct Compiler {
  attnc_private_compiler table;
  explicit Compiler(const attnc_private_compiler &t) : table(t) {}
  ~Compiler() { table.destroy(table.user); }
  Compiler(const Compiler &) = delete;
  Compiler &operator=(const Compiler &) = delete;

  MixerStatus ask(decltype(attnc_private_compiler::compile) function, const VariantKey &key, std::string &payload,
                  bool &generated, Error &error) const {
    std::string bytes = key.serialize();
    char *answer = nullptr;
    size_t size = 0;
    if (function(table.user, bytes.data(), bytes.size(), &answer, &size) != 0) {
      error.report(Msg::A800, "compiling");
      return MixerStatus::OutOfMemory;
    }
    ByteReader r({answer, size});
    auto status = MixerStatus(std::min<uint8_t>(r.u8(), uint8_t(MixerStatus::Internal)));
    error = Error::rendered(r.text(), r.text());
    payload = r.text();
    generated = r.u8() != 0;
    table.free_answer(answer);
    return r.good() ? status : MixerStatus::Internal;
  }
};

} // namespace

attnc_error *attnc_private_kernel_create(attnc_engine *engine, const char *signature, size_t signature_size,
                                         const attnc_private_compiler *compiler, const char *warnings_text,
                                         const char *diagnostics, size_t diagnostics_size, attnc_kernel **out_kernel) {
  return guarded([&]() -> attnc_error * {
    auto shared = std::make_shared<Compiler>(*compiler);
    std::shared_ptr<EngineData> data = engine->data;
    Signature parsed;
    if (!parseSignature({signature, signature_size}, parsed))
      return makeError(ATTNC_INTERNAL, Error(Msg::A814, "libattnc_runtime"));
    MixerCompiler functions;
    functions.signature = [shared](const std::set<std::string> &leftOut, Signature &made, Error &error) {
      VariantKey key;
      key.leftOut = leftOut;
      std::string payload;
      bool generated = false;
      MixerStatus status = shared->ask(shared->table.signature, key, payload, generated, error);
      if (status == MixerStatus::Done && !parseSignature(payload, made))
        return MixerStatus::Internal;
      return status;
    };
    functions.compile = [shared](const VariantKey &key, KernelBlob &blob, bool &generated, Error &error) {
      std::string payload;
      MixerStatus status = shared->ask(shared->table.compile, key, payload, generated, error);
      if (status == MixerStatus::Done && !parseBlob(payload, blob, error))
        return MixerStatus::Internal;
      return status;
    };
    auto mixer = std::make_shared<Mixer>(std::move(parsed), std::move(functions));
    return makeKernel(std::move(data), std::move(mixer), warnings_text,
                      parseDiagnostics({diagnostics, diagnostics_size}), out_kernel);
  });
}

attnc_error *attnc_private_error_create(int code, const char *message, const char *diagnostics,
                                        size_t diagnostics_size) {
  return guarded([&]() -> attnc_error * {
    if (code == ATTNC_OUT_OF_MEMORY && !*message)
      return outOfMemory();
    return makeError(attnc_code(code), Error::rendered(message, {diagnostics, diagnostics_size}));
  });
}

const char *attnc_private_cache_directory(const attnc_engine *engine, int64_t *out_limit) {
  *out_limit = engine->data->options.cache_limit;
  return engine->data->cacheDirectory.c_str();
}

void attnc_private_log(const attnc_engine *engine, const char *line) {
  const attnc_engine_options &o = engine->data->options;
  if (o.log)
    o.log(o.user_data, line);
}
