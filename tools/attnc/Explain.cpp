//===- attnc explain: the kernels formed, in numbers ----------------------===//
#include "tools/attnc/Plan.h"
#include "tools/attnc/Sample.h"
#include <fmt/format.h>

namespace attnc::cli {

int makePlan(const Options &options, Plan &plan) {
  Chosen chosen;
  if (int status = chooseMixer(options, chosen))
    return status;
  std::set<std::string> given;
  for (const std::string &name : chosen.inputNames())
    given.insert(name);
  Session session(options);
  if (int status = session.openSignature(given))
    return status;
  std::string error;
  std::vector<int64_t> symbols;
  if (!sampleSizes(session.signature(), options.sizes, 0, symbols, error))
    return fail(options, error);
  CompileRequest q = session.request({});
  for (const Argument &a : session.signature().inputs)
    q.dtypes[a.name] = a.dtype ? *a.dtype : options.dtype.value_or(DType::F32);
  for (size_t i = 0; i < symbols.size(); ++i) {
    const Symbol &symbol = session.signature().symbols[i];
    q.sizes[symbol.name] = symbols[i];
    if (symbol.feature)
      q.extents[symbol.name] = symbols[i];
  }
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
  if (int status = checkTargetOption(options))
    return status;
  Plan plan;
  if (int status = makePlan(options, plan))
    return status;
  return printOut(options.json ? plan.json + "\n" : plan.text) ? kDone : kWrong;
}

} // namespace attnc::cli
