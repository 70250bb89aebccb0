//===- From a spec and inputs to a kernel that can run --------------------===//
#include "tools/attnc/Session.h"
#include "codegen/driver/Library.h"
#include "runtime/CacheBytes.h"
#include "runtime/CacheSignature.h"
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <fmt/format.h>
#include <mutex>
#include <thread>
#include <unistd.h>

namespace attnc::cli {

namespace {

std::string folderOfSelf() {
  std::string folder = ".";
  if (char *exe = realpath("/proc/self/exe", nullptr)) {
    folder = exe;
    std::free(exe);
    folder = folder.substr(0, folder.rfind('/'));
  }
  return folder;
}

/// Path of libattnc.so; the bare name when it is not beside attnc.
const std::string &libraryPath() {
  static const std::string path = [] {
    std::string folder = folderOfSelf();
    for (const std::string &candidate : {folder + "/../lib/libattnc.so", folder + "/libattnc.so"})
      if (access(candidate.c_str(), R_OK) == 0)
        return candidate;
    return std::string("libattnc.so");
  }();
  return path;
}

std::string folderOf(const std::string &path) {
  std::string folder = path.find('/') == std::string::npos ? "." : path.substr(0, path.rfind('/') + 1);
  if (char *real = realpath(folder.c_str(), nullptr)) {
    folder = real;
    std::free(real);
  }
  return folder;
}

std::vector<TensorView> viewsOf(const std::vector<Argument> &arguments, const Tensors &tensors) {
  std::vector<TensorView> views;
  for (const Argument &a : arguments) {
    auto it = tensors.find(a.name);
    views.push_back(it == tensors.end() ? TensorView{} : viewOf(it->second));
  }
  return views;
}

} // namespace

const std::string &compilerStamp() {
  static const std::string stamp = fileStamp("/proc/self/exe") + "+" + fileStamp(libraryPath());
  return stamp;
}

int checkTargetOption(const Options &options, TargetUse use) {
  if (int status = checkTargetNames(options))
    return status;
  Error error;
  std::string arch = options.arch;
  if (use == TargetUse::Named || resolveArch(options.target, arch, error))
    return kDone;
  if (use == TargetUse::Compiled)
    error.withHelp("to compile for a GPU that is not here, name its arch: --arch sm_90a");
  return fail(options, error, kUnavailable);
}

bool askCompiler(const Options &options, const CompileRequest &request, CompileAnswer &answer) {
  using Compile = decltype(&attnc_private_compile);
  using Free = decltype(&attnc_private_free);
  static void *library = dlopen(libraryPath().c_str(), RTLD_LAZY | RTLD_LOCAL);
  if (!library) {
    const char *why = dlerror();
    fail(options, Error(Msg::A816, why ? why : libraryPath()).withHelp(kNoCompiler), kUnavailable);
    return false;
  }
  auto compile = reinterpret_cast<Compile>(dlsym(library, "attnc_private_compile"));
  auto release = reinterpret_cast<Free>(dlsym(library, "attnc_private_free"));
  if (!compile || !release) {
    fail(options, Error(Msg::A814, libraryPath()), kUnavailable);
    return false;
  }
  std::string bytes = serializeRequest(request);
  char *data = nullptr;
  size_t size = 0;
  Progress progress("compiling");
  int failed = compile(bytes.data(), bytes.size(), &data, &size);
  bool good = !failed && parseAnswer({data, size}, answer);
  release(data);
  if (!good)
    fail(options, failed ? Error(Msg::A800, "compiling") : Error(Msg::A814, libraryPath()));
  return good;
}

int statusOf(const Options &options, const CompileAnswer &answer) {
  if (answer.error || answer.status == CompileAnswer::Done)
    std::fwrite(answer.messages.data(), 1, answer.messages.size(), stderr);
  if (answer.status == CompileAnswer::Done)
    return kDone;
  return fail(options, answer.error ? answer.error : Error::rendered(answer.messages),
              answer.status == CompileAnswer::Unavailable ? kUnavailable : kWrong);
}

Session::Session(const Options &options)
    : options_(options), cache_(options.noCache ? KernelCache::disabled() : KernelCache()) {}

int Session::openSignature(const std::set<std::string> &given) {
  // A file that cannot be read, or is too large, is left to the parser: it says so in its words.
  constexpr size_t kLimit = size_t(1) << 20;
  bool haveText = readWhole(options_.specs[0], text_, kLimit);
  if (haveText) {
    CacheKey key;
    key.add("signature").add(compilerStamp()).add(text_).add(options_.mixer);
    // Imports are named relative to the spec.
    key.add(text_.find("import") == std::string::npos ? "" : folderOf(options_.specs[0]));
    for (auto &[name, value] : options_.params)
      key.add(name).add(value);
    key.add("given");
    for (const std::string &name : given)
      key.add(name);
    signatureKey_ = key.finish();
    if (readSignature(cache_, signatureKey_, entry_) && parseSignature(entry_.signature, signature_)) {
      for (const Argument &a : signature_.inputs)
        if (a.hasDefault && !given.count(a.name))
          leftOut_.insert(a.name);
      return kDone;
    }
  }
  Chosen chosen;
  if (int status = chooseMixer(options_, chosen))
    return status;
  Tensors names;
  for (const std::string &name : given)
    names[name];
  Error error;
  if (!leftOutInputs(*chosen.mixer, names, leftOut_, error))
    return fail(options_, error);
  std::unique_ptr<Program> program = checkChosen(options_, chosen, leftOut_);
  if (!program)
    return kWrong;
  signature_ = program->signature;
  text_ = std::string(chosen.spec->sources[0]->text());
  entry_ = {};
  entry_.signature = serializeSignature(signature_);
  for (size_t i = 1; i < chosen.spec->sources.size(); ++i) {
    const Source &source = *chosen.spec->sources[i];
    entry_.imports.emplace_back(source.path(), sha256(source.text()));
  }
  // Where the check had something to say, it says it again next time.
  if (haveText && !chosen.saidSomething)
    writeSignature(cache_, signatureKey_, entry_);
  return kDone;
}

int Session::openWithAllInputs() {
  Chosen chosen;
  if (int status = chooseMixer(options_, chosen))
    return status;
  const std::vector<std::string> names = chosen.inputNames();
  return openSignature({names.begin(), names.end()});
}

VariantKey Session::variantOf(const std::vector<int64_t> &symbols) const {
  VariantKey key;
  for (const Argument &a : signature_.inputs)
    key.dtypes[a.name] = a.dtype ? *a.dtype : options_.dtype.value_or(DType::F32);
  for (size_t i = 0; i < symbols.size(); ++i)
    if (signature_.symbols[i].feature && symbols[i] >= 0)
      key.extents[signature_.symbols[i].name] = symbols[i];
  return key;
}

CompileRequest Session::request(const VariantKey &key) const {
  CompileRequest q;
  q.path = options_.specs[0];
  q.text = text_;
  q.mixer = signature_.mixer;
  q.params = options_.params;
  q.variant = key;
  q.variant.leftOut = leftOut_;
  q.target = options_.target;
  q.arch = options_.arch.empty() ? "native" : options_.arch;
  Error error; // was looked at in checkTargetOption
  resolveArch(q.target, q.arch, error);
  q.cacheDirectory = cache_.directory();
  q.compilerStamp = compilerStamp();
  return q;
}

MixerStatus Session::compile(const VariantKey &variant, KernelBlob &blob, bool &generated, Error &error) {
  CompileRequest q = request(variant);
  CacheKey key;
  key.add("kernel")
      .add(signatureKey_)
      .add(q.path)
      .add(q.target)
      .add(q.arch)
      .add(hostCpuStamp())
      .add(variant.serialize());
  for (auto &[path, hash] : entry_.imports)
    key.add(hash);
  std::string mapKey = key.finish(), payload, bytes;
  if (!signatureKey_.empty() && cache_.read('M', mapKey, payload)) {
    ByteReader r(payload);
    std::string irHash = r.text(), messages = r.text();
    Error damage;
    if (r.atEnd() && cache_.read('K', blobKey(irHash, q), bytes) && parseBlob(bytes, blob, damage)) {
      std::fwrite(messages.data(), 1, messages.size(), stderr);
      kernelCached_ = true;
      return MixerStatus::Done;
    }
  }
  CompileAnswer answer;
  compilerStatus_ = askCompiler(options_, q, answer) ? statusOf(options_, answer) : kUnavailable;
  if (compilerStatus_ != kDone)
    return MixerStatus::Unavailable;
  blob = std::move(answer.blob);
  kernelCached_ = answer.blobCached;
  generated = !answer.blobCached;
  ByteWriter w;
  w.text(answer.irHash);
  w.text(answer.messages);
  if (!signatureKey_.empty())
    cache_.write('M', mapKey, w.bytes());
  return MixerStatus::Done;
}

int Session::openKernel(const Tensors &inputs) {
  auto start = std::chrono::steady_clock::now();
  if (!mixer_) {
    MixerCompiler compiler;
    compiler.signature = [this](const std::set<std::string> &, Signature &signature, Error &) {
      signature = signature_;
      return MixerStatus::Done;
    };
    compiler.compile = [this](const VariantKey &key, KernelBlob &blob, bool &generated, Error &error) {
      return compile(key, blob, generated, error);
    };
    mixer_ = std::make_shared<Mixer>(signature_, std::move(compiler));
  }
  std::vector<TensorView> views = viewsOf(signature_.inputs, inputs);
  Error error;
  MixerStatus status = mixer_->bind(views, binding_, error);
  if (status != MixerStatus::Done)
    return compilerStatus_ != kDone ? compilerStatus_
                                    : fail(options_, error, status == MixerStatus::Unavailable ? kUnavailable : kWrong);
  compileSeconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return kDone;
}

int Session::run(const Tensors &inputs, Tensors &outputs, ThreadPool &pool) {
  int64_t limit = options_.workspaceLimit > 0 ? options_.workspaceLimit : defaultWorkspaceLimit();
  size_t bytes = Mixer::hostWorkspaceBytes(*binding_);
  if (bytes > workspace_.size && int64_t(bytes) <= limit && !workspace_.resize(bytes))
    return fail(options_, Error(Msg::A800, fmt::format("{} of intermediates", bytesText(int64_t(bytes)))));
  if (outputs.empty() && int64_t(bytes) <= limit)
    for (size_t i = 0; i < signature_.outputs.size(); ++i) {
      HostTensor tensor;
      const std::string &name = signature_.outputs[i].name;
      if (!HostTensor::allocate(Mixer::outputDType(*binding_, i), Mixer::outputShape(*binding_, i), tensor))
        return fail(options_, Error(Msg::A800, fmt::format("output `{}`", name)));
      outputs[name] = tensor;
    }
  Mixer::Call call;
  call.pool = &pool;
  call.workspace = workspace_.data;
  call.workspaceSize = workspace_.size;
  call.workspaceLimit = limit;
  std::vector<TensorView> in = viewsOf(signature_.inputs, inputs), out = viewsOf(signature_.outputs, outputs);
  Error error;
  MixerStatus status = mixer_->run(*binding_, in.data(), out.data(), call, error);
  if (status == MixerStatus::Done)
    return kDone;
  if (status == MixerStatus::OverLimit)
    error.withHelp("--workspace-limit raises it");
  return fail(options_, error);
}

Session::Workspace::~Workspace() { std::free(data); }

bool Session::Workspace::resize(size_t bytes) {
  std::free(data);
  size = (bytes + 63) & ~size_t(63);
  data = std::aligned_alloc(64, size);
  if (!data)
    size = 0;
  return data != nullptr;
}

struct Progress::State {
  std::mutex mutex;
  std::condition_variable done;
  bool finished = false;
  bool shown = false;
  std::thread thread;
};

Progress::Progress(std::string what) {
  if (!isatty(2))
    return;
  state_ = std::make_unique<State>();
  State *s = state_.get();
  try {
    s->thread = std::thread([s, what = std::move(what)] {
      std::unique_lock<std::mutex> lock(s->mutex);
      for (int seconds = 1; !s->done.wait_for(lock, std::chrono::seconds(1), [s] { return s->finished; }); ++seconds) {
        std::fprintf(stderr, "\r%s: %d s ", what.c_str(), seconds);
        s->shown = true;
      }
      if (s->shown)
        std::fprintf(stderr, "\r\x1b[K");
    });
  } catch (...) {
    state_.reset(); // no thread to be had: no progress shown
  }
}

Progress::~Progress() {
  if (!state_)
    return;
  {
    std::lock_guard<std::mutex> lock(state_->mutex);
    state_->finished = true;
  }
  state_->done.notify_one();
  state_->thread.join();
}

} // namespace attnc::cli
