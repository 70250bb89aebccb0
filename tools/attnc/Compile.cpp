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
  return writeStage(options, "", dumpAst(*spec->files[0]));
}

int writeStage(const Options &options, const std::string &mixer, const std::string &bytes) {
  Error error;
  bool toFile = !options.output.empty() && options.output != "-";
  if ((toFile || !options.json) && !writeBytes(options.output, bytes, error))
    return fail(options, error);
  if (!options.json)
    return kDone;
  Json json;
  json.beginObject().field("ok", true).field("stage", options.emit);
  if (!mixer.empty())
    json.field("mixer", mixer);
  if (toFile)
    json.field("file", options.output).field("bytes", int64_t(bytes.size()));
  else
    json.field("text", bytes);
  json.endObject();
  return printOut(json.text() + "\n") ? kDone : kWrong;
}

#ifndef ATTNC_HAS_COMPILER
static int emitStage(const Options &options) {
  return fail(options, Error(Msg::A924, "--emit=" + options.emit).withHelp(kNoCompiler), kUnavailable);
}
#else
int emitStage(const Options &options); // Stages.cpp
#endif

int runCompile(const Options &options) { return options.emit == "ast" ? emitAst(options) : emitStage(options); }

} // namespace attnc::cli
