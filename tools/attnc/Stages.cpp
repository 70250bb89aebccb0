//===- attnc compile --emit: the stages behind the syntax tree ------------===//
#include "runtime/Bind.h"
#include "tools/attnc/Sample.h"
#include "tools/attnc/Session.h"
#include <fmt/format.h>
#include <unistd.h>

namespace attnc::cli {

int emitPackage(const Options &options); // Package.cpp

/// Without --sizes the text is general: no symbol has a value. With them, it is what a call of these sizes would get.
int emitStage(const Options &options) {
  if (options.emit == "package")
    return emitPackage(options);
  Options actual = options;
  const std::string &stage = options.emit;
  bool gpu = stage == "cuda" || stage == "ptx" || stage == "cubin";
  if (gpu && options.target == "cpu")
    actual.target = "cuda";
  bool code = stage == "ptx" || stage == "cubin" || stage == "kernel";
  if (int status = checkTargetOption(actual, code ? TargetUse::Compiled : TargetUse::Named))
    return status;
  bool binary = stage == "obj" || stage == "kernel" || stage == "cubin";
  if (binary &&
      ((options.output.empty() && isatty(1)) || (options.json && (options.output.empty() || options.output == "-"))))
    return fail(options, Error(Msg::A914, stage).withHelp("-o FILE"));

  Session session(actual);
  if (int status = session.openWithAllInputs())
    return status;
  Error error;
  std::vector<int64_t> symbols(session.signature().symbols.size(), -1);
  if (!options.sizes.empty() && !sampleSizes(session.signature(), options.sizes, 0, symbols, error))
    return fail(options, error);
  CompileRequest q = session.request(session.variantOf(symbols));
  q.stage = stage == "kernel" ? "blob" : stage;
  CompileAnswer answer;
  if (!askCompiler(options, q, answer))
    return kUnavailable;
  if (int status = statusOf(options, answer))
    return status;
  return writeStage(options, session.signature().mixer,
                    stage == "kernel" ? Mixer::package(session.signature(), q.variant, answer.blob) : answer.stage);
}

} // namespace attnc::cli
