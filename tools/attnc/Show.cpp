//===- attnc show: masks as pictures --------------------------------------===//
#include "runtime/Bind.h"
#include "tools/attnc/Sample.h"
#include "tools/attnc/Session.h"

namespace attnc::cli {

/// Inputs come from --in; those that are left out are random, as for verify.
int runShow(const Options &options) {
  if (int status = checkTargetOption(options, TargetUse::Named))
    return status;
  Error error;
  InputFiles files;
  if (!readInputFiles(options, files, error))
    return fail(options, error);
  Session session(options);
  if (int status = session.openWithAllInputs())
    return status;
  const Signature &signature = session.signature();
  std::vector<std::string> names;
  for (const Argument &a : signature.inputs)
    names.push_back(a.name);
  Tensors inputs, given;
  std::string widened;
  std::vector<int64_t> symbols, bound;
  if (!sampleSizes(signature, options.sizes, 0, symbols, error) ||
      !sampleInputs(signature, symbols, {}, options.dtype.value_or(DType::F32), options.seed, inputs, error) ||
      !selectInputs(files, names, signature.mixer, given, error))
    return fail(options, error);
  for (auto &[name, tensor] : given)
    inputs[name] = tensor;
  // With --sizes or without, the extents of the files are those that count; what is random must fit.
  if (!convertInputs(options, signature, files, inputs, widened, error) ||
      !bindArguments(signature, inputs, bound, error))
    return fail(options, given.empty() ? error : error.withHelp("--sizes with the extents of the files"));

  CompileRequest q = session.request(session.variantOf(bound));
  for (size_t i = 0; i < bound.size(); ++i)
    q.sizes[signature.symbols[i].name] = bound[i];
  for (auto &[name, tensor] : inputs) {
    HostTensor packed;
    if (!HostTensor::allocate(tensor.dtype, tensor.shape, packed))
      return fail(options, Error(Msg::A800, "the inputs"));
    for (int64_t k = 0, n = packed.count(); k < n; ++k)
      isFloat(packed.dtype) ? packed.setReal(k, tensor.getReal(k)) : packed.setInt(k, tensor.getInt(k));
    q.data[name] = packed;
  }
  q.instance = options.instance;
  bool draws = !options.output.empty() && !options.json;
  q.stage = draws ? "mask-svg" : "mask";
  CompileAnswer answer;
  if (!askCompiler(options, q, answer))
    return kUnavailable;
  if (int status = statusOf(options, answer))
    return status;
  const std::string &result = options.json || draws ? answer.stage : answer.explainText;
  if (!options.output.empty()) {
    if (!writeBytes(options.output, draws ? result : result + "\n", error))
      return fail(options, error);
    return draws && options.output != "-" && !printOut(answer.explainText) ? kWrong : kDone;
  }
  return printOut(options.json ? result + "\n" : result) ? kDone : kWrong;
}

} // namespace attnc::cli
