//===- What the subcommands share -----------------------------------------===//
#pragma once
#include "frontend/Check.h"
#include "runtime/Tensor.h"
#include "tools/attnc/Json.h"
#include "tools/attnc/Options.h"
#include <map>
#include <memory>
#include <string>

namespace attnc::cli {

// Subcommands, one file each; they return the exit status.
int runCheck(const Options &options);
int runEval(const Options &options);
int runRun(const Options &options);
int runVerify(const Options &options);
int runCompile(const Options &options);
int runExplain(const Options &options);
int runShow(const Options &options);
int runBench(const Options &options);

/// Shows an error on stderr; gives `status`. With --json it also goes to stdout, as every failure does: {"ok": false,
/// "error": all that was said, "diagnostics": [...]}.
int fail(const Options &options, const Error &error, int status = kWrong);
/// The same for a warning without a place.
template <class... Args> void warn(Msg id, const Args &...args) {
  fmt::print(stderr, "attnc: warning[{}]: {}\n", msgName(id), msgText(id, {fmt::format("{}", args)...}));
}

/// Renders diagnostics to stderr; with --json and errors among them, to stdout too.
void show(const Options &options, const Diagnostics &diags);
void diagnosticsJson(Json &json, const Diagnostics &diags, const std::vector<Error> &errors = {});
/// What an attnc without its compiler can do.
inline constexpr const char *kNoCompiler = "`check`, `eval` and `compile --emit=ast` work without";

/// What `compile` answers: to -o, or to stdout, there as JSON when asked for. `mixer`: empty for the syntax tree.
int writeStage(const Options &options, const std::string &mixer, const std::string &bytes);

/// Writes all of `text` to stdout; false (after a message) when it does not take it.
bool printOut(const std::string &text);

using Tensors = std::map<std::string, HostTensor>;

/// kWrong after a message when there is no such target or arch; else kDone.
int checkTargetNames(const Options &options);

/// A spec read and one of its mixers chosen.
struct Chosen {
  std::unique_ptr<Spec> spec;
  const ast::Mixer *mixer = nullptr;
  mutable bool saidSomething = false; ///< diagnostics were shown, warnings too
  std::vector<std::string> inputNames() const;
  std::vector<std::string> outputNames() const;
};
/// Returns kDone or, after a message, the exit status.
int chooseMixer(const Options &options, Chosen &chosen);

/// Checks the mixer with the given inputs left out, to total graph and presence. Null after messages.
std::unique_ptr<Program> checkChosen(const Options &options, const Chosen &chosen,
                                     const std::set<std::string> &leftOut);

/// Values of one output as a line: "o: f32[2, 3] min -1.2 max 3.4 mean 0.1".
struct Statistics {
  double min = 0, max = 0, mean = 0;
  int64_t nans = 0, infs = 0;
};
Statistics statisticsOf(const HostTensor &tensor);
std::string shapeText(const std::vector<int64_t> &shape);
std::string statisticsLine(const std::string &name, const HostTensor &tensor);
void statisticsJson(Json &json, const std::string &name, const HostTensor &tensor);

} // namespace attnc::cli
