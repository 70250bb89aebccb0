//===- attnc run: a kernel on files ---------------------------------------===//
#include "runtime/Bind.h"
#include "tools/attnc/Sample.h"
#include "tools/attnc/Session.h"
#include <chrono>
#include <fmt/format.h>

namespace attnc::cli {

int runRun(const Options &options) {
  if (int status = checkTargetOption(options))
    return status;
  Error error;
  InputFiles files;
  if (!readInputFiles(options, files, error))
    return fail(options, error);
  std::set<std::string> given;
  for (auto &t : files.named)
    given.insert(t.first);
  for (auto &t : files.fromAll)
    given.insert(t.first);

  Session session(options);
  if (int status = session.openSignature(given))
    return status;
  const Signature &signature = session.signature();
  std::vector<std::string> inputNames, outputNames;
  for (const Argument &a : signature.inputs)
    inputNames.push_back(a.name);
  for (const Argument &a : signature.outputs)
    outputNames.push_back(a.name);
  Tensors inputs, outputs;
  std::string widened;
  if (!selectInputs(files, inputNames, signature.mixer, inputs, error) || !checkOutputs(options, outputNames, error) ||
      !convertInputs(options, signature, files, inputs, widened, error))
    return fail(options, error);
  if (std::vector<int64_t> symbols; !options.sizes.empty() && (!bindArguments(signature, inputs, symbols, error) ||
                                                               !sizesAgree(signature, options.sizes, symbols, error)))
    return fail(options, error);
  if (int status = session.openKernel(inputs))
    return status;
  if (!widened.empty())
    warn(Msg::A730, widened);

  ThreadPool pool(options.threads);
  auto start = std::chrono::steady_clock::now();
  {
    Progress progress("running");
    if (int status = session.run(inputs, outputs, pool))
      return status;
  }
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (!writeOutputs(options, outputs, error))
    return fail(options, error);

  if (options.json) {
    Json json;
    json.beginObject().field("ok", true).field("mixer", signature.mixer).field("cached", session.kernelCached());
    json.field("compile_ms", session.compileSeconds() * 1e3).field("run_ms", seconds * 1e3).key("outputs").beginArray();
    for (const Argument &a : signature.outputs)
      statisticsJson(json, a.name, outputs.at(a.name));
    json.endArray().endObject();
    return printOut(json.text() + "\n") ? kDone : kWrong;
  }
  if (options.out.empty())
    for (const Argument &a : signature.outputs)
      if (!printOut(statisticsLine(a.name, outputs.at(a.name)) + "\n"))
        return kWrong;
  return kDone;
}

} // namespace attnc::cli
