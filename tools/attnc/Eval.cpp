//===- attnc eval: the reference on files ---------------------------------===//
#include "frontend/reference/Reference.h"
#include "runtime/Bind.h"
#include "tools/attnc/Sample.h"
#include <fmt/format.h>

namespace attnc::cli {

int runEval(const Options &options) {
  if (int status = checkTargetNames(options))
    return status;
  Error error;
  Chosen chosen;
  if (int status = chooseMixer(options, chosen))
    return status;
  const std::string &mixer = chosen.mixer->name.text;
  InputFiles files;
  Tensors inputs;
  std::set<std::string> leftOut;
  if (!checkOutputs(options, chosen.outputNames(), error) || !readInputFiles(options, files, error) ||
      !selectInputs(files, chosen.inputNames(), mixer, inputs, error) ||
      !leftOutInputs(*chosen.mixer, inputs, leftOut, error))
    return fail(options, error);
  std::unique_ptr<Program> program = checkChosen(options, chosen, leftOut);
  if (!program)
    return kWrong;

  std::string widened; // of no interest here: the reference always computes in float64
  std::vector<int64_t> symbols;
  if (!convertInputs(options, program->signature, files, inputs, widened, error) ||
      !bindArguments(program->signature, inputs, symbols, error) ||
      !sizesAgree(program->signature, options.sizes, symbols, error))
    return fail(options, error);
  Tensors outputs;
  if (!evaluateReference(*program, symbols, inputs, outputs, error))
    return fail(options, error);
  if (!writeOutputs(options, outputs, error))
    return fail(options, error);

  if (options.json) {
    Json json;
    json.beginObject().field("ok", true).field("mixer", mixer).key("outputs").beginArray();
    for (const Argument &a : program->signature.outputs)
      statisticsJson(json, a.name, outputs.at(a.name));
    json.endArray().endObject();
    return printOut(json.text() + "\n") ? kDone : kWrong;
  }
  if (options.out.empty())
    for (const Argument &a : program->signature.outputs)
      if (!printOut(statisticsLine(a.name, outputs.at(a.name)) + "\n"))
        return kWrong;
  return kDone;
}

} // namespace attnc::cli
