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
int runBench(const Options &options);

/// "attnc: error: ..." on stderr; gives kWrong. With --json the sentence also goes to stdout as {"ok": false, "error":
/// ...}.
int fail(const Options &options, const std::string &sentence, int status = kWrong);
void warn(const std::string &sentence);

/// Renders diagnostics to stderr. With --json and errors among them, prints {"ok": false, "diagnostics": [...]} to
/// stdout.
void show(const Options &options, const Diagnostics &diags);
void diagnosticsJson(Json &json, const Diagnostics &diags);

/// Writes all of `text` to stdout; false (after a message) when it does not take it.
bool printOut(const std::string &text);

using Tensors = std::map<std::string, HostTensor>;

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
