//===- attnc compile: one stage as text or bytes --------------------------===//
#include "frontend/Parser.h"
#include "tools/attnc/Files.h"
#include <fmt/format.h>

namespace attnc::cli {

/// The syntax tree needs no mixer and no check, so that it also shows for a spec that does not check yet.
static int emitAst(const Options &options) {
  Diagnostics diags;
  std::unique_ptr<Spec> spec = loadSpec(options.specs[0], diags);
  show(options, diags);
  if (!spec || diags.hasErrors())
    return kWrong;
  std::string error;
  if (!writeBytes(options.output, dumpAst(*spec->files[0]), error))
    return fail(options, error);
  return kDone;
}

#ifndef ATTNC_HAS_COMPILER
static int emitStage(const Options &options) {
  return fail(options,
              fmt::format("this attnc was built without its compiler (ATTNC_COMPILER=OFF); --emit={} is not built in, "
                          "--emit=ast, check and eval are",
                          options.emit),
              kUnavailable);
}
#else
int emitStage(const Options &options); // Stages.cpp
#endif

int runCompile(const Options &options) { return options.emit == "ast" ? emitAst(options) : emitStage(options); }

} // namespace attnc::cli
