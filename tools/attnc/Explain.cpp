//===- attnc explain: the kernels formed, in numbers ----------------------===//
#include "tools/attnc/Plan.h"
#include "tools/attnc/Sample.h"
#include <fmt/format.h>

namespace attnc::cli {

int makePlan(const Options &options, const Session &session, const std::vector<int64_t> &symbols, Plan &plan) {
  CompileRequest q = session.request(session.variantOf(symbols));
  for (size_t i = 0; i < symbols.size(); ++i)
    q.sizes[session.signature().symbols[i].name] = symbols[i];
  q.stage = "explain";
  CompileAnswer answer;
  if (!askCompiler(options, q, answer))
    return kUnavailable;
  if (int status = statusOf(options, answer))
    return status;
  plan = {answer.stage, answer.explainText, answer.flops, answer.bytes};
  return kDone;
}

int runExplain(const Options &options) {
  if (int status = checkTargetOption(options, TargetUse::Compiled))
    return status;
  Session session(options);
  if (int status = session.openWithAllInputs())
    return status;
  Error error;
  std::vector<int64_t> symbols;
  if (!sampleSizes(session.signature(), options.sizes, 0, symbols, error))
    return fail(options, error);
  Plan plan;
  if (int status = makePlan(options, session, symbols, plan))
    return status;
  return printOut(options.json ? plan.json + "\n" : plan.text) ? kDone : kWrong;
}

} // namespace attnc::cli
