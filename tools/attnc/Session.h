//===- From a spec and inputs to a kernel that can run --------------------===//
//
// The one way that run, verify and bench take. What the cache has is not computed again: with the signature cached
// nothing is parsed, with the kernel cached the compiler's library is not even opened.
//===----------------------------------------------------------------------===//
#pragma once
#include "codegen/driver/Request.h"
#include "runtime/Cache.h"
#include "runtime/KernelMixer.h"
#include "tools/attnc/Files.h"

namespace attnc::cli {

/// Unknown targets and archs (kWrong), targets that are not available here (kUnavailable, with what was looked for);
/// else kDone. To be Compiled for, a GPU need not be here where its arch is given; a target that is only Named need not
/// be available at all.
enum class TargetUse { Run, Compiled, Named };
int checkTargetOption(const Options &options, TargetUse use = TargetUse::Run);

/// Opens libattnc.so and asks it. Answers with messages that were not shown yet; false after a message when there is no
/// library.
bool askCompiler(const Options &options, const CompileRequest &request, CompileAnswer &answer);
/// Shows the messages of an answer and gives the exit status.
int statusOf(const Options &options, const CompileAnswer &answer);
/// Tells builds of attnc and its library apart.
const std::string &compilerStamp();

class Session {
public:
  explicit Session(const Options &options);

  /// The signature when the inputs named `given` are passed; parses and checks unless the cache knows. Exit status.
  int openSignature(const std::set<std::string> &given);
  /// The same when all inputs are passed. Exit status.
  int openWithAllInputs();
  /// Binds inputs and compiles for them. Exit status.
  int openKernel(const Tensors &inputs);
  /// Exit status. `outputs` get memory unless they are there.
  int run(const Tensors &inputs, Tensors &outputs, ThreadPool &pool);

  const Signature &signature() const { return signature_; }
  bool kernelCached() const { return kernelCached_; }
  double compileSeconds() const { return compileSeconds_; }
  /// What is asked of the compiler for calls in which all inputs are passed: these values of the symbols (-1: any) and
  /// the dtypes of the options.
  VariantKey variantOf(const std::vector<int64_t> &symbols) const;
  CompileRequest request(const VariantKey &key) const;

private:
  MixerStatus compile(const VariantKey &key, KernelBlob &blob, bool &generated, Error &error);
  const Options &options_;
  KernelCache cache_;
  std::string text_;
  std::string signatureKey_;
  CachedSignature entry_;
  Signature signature_;
  std::set<std::string> leftOut_;
  std::shared_ptr<Mixer> mixer_;
  std::shared_ptr<const Mixer::Binding> binding_;
  int compilerStatus_ = kDone; ///< of a compilation whose messages were shown already
  struct Workspace {
    void *data = nullptr;
    size_t size = 0;
    ~Workspace();
    bool resize(size_t bytes);
  } workspace_;
  bool kernelCached_ = false;
  double compileSeconds_ = 0;
};

/// On a terminal, says on stderr what goes on once it takes longer than a second.
class Progress {
public:
  explicit Progress(std::string what);
  ~Progress();

private:
  struct State;
  std::unique_ptr<State> state_;
};

} // namespace attnc::cli
