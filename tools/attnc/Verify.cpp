//===- attnc verify: compiled against reference, on random inputs ---------===//
//
// Per output: max |compiled - reference| / max(1, max |reference|), with infinities and NaN at the same places, below a
// bound that follows from the coarsest dtype among its inputs and itself, or, where that is passed, from how far one
// rounding of the inputs moves the reference; integers and bools are compared exactly. Without --sizes, several sets of
// extents, among them ones that no block size divides and all ones; optional inputs all passed, then all left out.
//===----------------------------------------------------------------------===//
#include "frontend/reference/Reference.h"
#include "runtime/Bind.h"
#include "runtime/Safetensors.h"
#include "tools/attnc/Conditions.h"
#include "tools/attnc/Sample.h"
#include "tools/attnc/Session.h"
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <sys/stat.h>

namespace attnc::cli {

namespace {

double toleranceOf(DType dtype) {
  switch (dtype) {
  case DType::BF16:
    return 0x1p-6; // 4 roundings of 2^-8
  case DType::F16:
    return 0x1p-9;
  case DType::F64:
    return 1e-9;
  case DType::F32:
    return 5e-5;
  default:
    return 0;
  }
}

struct Comparison {
  double error = 0, allowed = 0;
  bool ok = true;
  std::string where; ///< of the worst element
};

Comparison compare(const HostTensor &got, const HostTensor &expected, double allowed) {
  Comparison c;
  c.allowed = isFloat(got.dtype) ? allowed : 0;
  int64_t count = expected.count(), worst = -1;
  if (got.shape != expected.shape) {
    c.ok = false;
    c.error = INFINITY;
    c.where = fmt::format("shape {} instead of {}", shapeText(got.shape), shapeText(expected.shape));
    return c;
  }
  double scale = 1;
  for (int64_t i = 0; i < count; ++i)
    if (double e = std::abs(expected.getReal(i)); std::isfinite(e))
      scale = std::max(scale, e);
  // Beyond the largest number of its dtype a finite reference rightly becomes infinite.
  double largest = got.dtype == DType::F16 ? 65504 : got.dtype == DType::F64 ? 1.7e308 : 3.3e38;
  for (int64_t i = 0; i < count; ++i) {
    double g, e, difference;
    if (isFloat(got.dtype)) {
      g = got.getReal(i), e = expected.getReal(i);
      if (std::isfinite(e) && std::abs(e) > largest && std::isinf(g))
        continue;
      if (std::isfinite(g) && std::isfinite(e))
        difference = std::abs(g - e) / scale;
      else
        difference = (std::isnan(g) && std::isnan(e)) || g == e ? 0 : INFINITY;
    } else {
      g = double(got.getInt(i)), e = double(expected.getInt(i));
      difference = got.getInt(i) == expected.getInt(i) ? 0 : std::max(1.0, std::abs(g - e));
    }
    if (worst < 0 || difference > c.error) {
      worst = i;
      c.error = difference;
      if (difference > c.allowed)
        c.where = fmt::format("element {}: {} instead of {}", i, g, e);
    }
  }
  c.ok = c.error <= c.allowed;
  return c;
}

/// A kernel rounds many times where the inputs were rounded once.
constexpr double kSlack = 32;

class Verifier {
public:
  explicit Verifier(const Options &options) : options_(options), pool_(options.threads) {}

  int run() {
    if (int status = chooseMixer(options_, chosen_))
      return status;
    std::set<std::string> optional;
    for (const ast::Decl &d : chosen_.mixer->inputs)
      if (d.defaultValue)
        optional.insert(d.name.text);
    json_.beginObject().field("mixer", chosen_.mixer->name.text).key("cases").beginArray();
    if (int status = sweep({}, false))
      return status;
    // Leaving out may be refused (a `require given(...)`, an extent that only it gives); that is not what is verified
    // here.
    if (!optional.empty())
      if (int status = sweep(optional, true))
        return status;
    if (calls_ == 0)
      return fail(options_,
                  refused_ ? refused_ : Error(Msg::A922, chosen_.mixer->name.text, "").withHelp("give --sizes"));
    json_.endArray();
    std::vector<Conditions::OneSided> oneSided = conditions_.oneSided();
    json_.key("one_sided").beginArray();
    for (const Conditions::OneSided &s : oneSided)
      json_.value(fmt::format("{}: `{}` was {} on all inputs", s.place, s.condition, s.value));
    json_.endArray().field("ok", ok_).endObject();
    if (options_.json && !printOut(json_.text() + "\n"))
      return kWrong;
    for (const Conditions::OneSided &s : oneSided)
      fmt::print(stderr, "{}: warning[{}]: {}\n", s.place, msgName(Msg::A929),
                 msgText(Msg::A929, {s.condition, s.value ? "true" : "false"}));
    if (!options_.json &&
        !printOut(fmt::format("{} {}: {} calls, {}\n", ok_ ? "verified" : "FAILED", chosen_.mixer->name.text, calls_,
                              ok_ ? fmt::format("worst error {:.2g} of the {:.2g} allowed", worst_, worstAllowed_)
                                  : "see above")))
      return kWrong;
    return ok_ ? kDone : kMismatch;
  }

private:
  /// All sizes with these inputs left out.
  int sweep(const std::set<std::string> &leftOut, bool mayFail) {
    Diagnostics diags;
    CheckOptions check;
    check.params = options_.params;
    check.leftOut = leftOut;
    std::unique_ptr<Program> program = checkMixer(*chosen_.spec, chosen_.mixer->name.text, check, diags);
    if (!program || diags.hasErrors()) {
      if (mayFail)
        return kDone;
      show(options_, diags);
      return kWrong;
    }
    conditions_.addTo(*program);
    std::set<std::string> given;
    for (const std::string &name : chosen_.inputNames())
      if (!leftOut.count(name))
        given.insert(name);
    Session session(options_);
    if (int status = session.openSignature(given))
      return status;
    int sets = options_.sizes.empty() ? kSizeSets : 1;
    for (int set = 0; set < sets; ++set) {
      bool optionalCase = mayFail || set > 0;
      if (int status = one(*program, session, leftOut, set, optionalCase))
        return status;
      if (referenceSeconds_ > 2)
        break; // larger ones would take minutes
    }
    return kDone;
  }

  /// How far the reference's outputs move when every input moves by one rounding of its dtype. Some dynamics magnify
  /// any rounding, and a kernel cannot be more exact than its inputs.
  std::map<std::string, double> sensitivity(const Program &program, const std::vector<int64_t> &symbols,
                                            const Tensors &inputs, const Tensors &expected) {
    Tensors moved, outputs;
    Error error;
    std::map<std::string, double> change;
    uint64_t state = options_.seed + 1;
    for (auto &[name, tensor] : inputs) {
      moved[name] = tensor;
      if (!isFloat(tensor.dtype))
        continue;
      HostTensor wide;
      if (!HostTensor::allocate(DType::F64, tensor.shape, wide))
        continue;
      double step = tensor.dtype == DType::BF16  ? 0x1p-9
                    : tensor.dtype == DType::F16 ? 0x1p-12
                    : tensor.dtype == DType::F64 ? 0x1p-53
                                                 : 0x1p-24;
      for (int64_t i = 0; i < tensor.count(); ++i) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        wide.setReal(i, tensor.getReal(i) * (state >> 63 ? 1 + step : 1 - step));
      }
      moved[name] = wide;
    }
    for (auto &t : expected)
      change[t.first] = 0;
    if (evaluateReference(program, symbols, moved, outputs, error))
      for (auto &[name, tensor] : expected)
        if (isFloat(tensor.dtype))
          change[name] = compare(outputs.at(name), tensor, 0).error;
    return change;
  }

  int one(const Program &program, Session &session, const std::set<std::string> &leftOut, int set, bool mayFail) {
    const Signature &signature = session.signature();
    Error error;
    std::vector<int64_t> symbols, bound;
    Tensors inputs, expected, outputs;
    if (!sampleSizes(signature, options_.sizes, set, symbols, error))
      return mayFail ? kDone : fail(options_, error);
    if (!sampleInputs(signature, symbols, leftOut, options_.dtype.value_or(DType::F32),
                      options_.seed + 97 * unsigned(set), inputs, error))
      return fail(options_, error);
    if (!bindArguments(signature, inputs, bound, error))
      return mayFail ? kDone : fail(options_, error);
    {
      Progress progress(fmt::format("reference with {}", sizesText(signature, bound)));
      auto start = std::chrono::steady_clock::now();
      if (!evaluateReference(program, bound, inputs, expected, error)) {
        refused_ = error; // too large for it, most often: other sizes may do
        return mayFail || options_.sizes.empty() ? kDone : fail(options_, error);
      }
      referenceSeconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    }
    conditions_.collect(program, expected);
    if (!options_.save.empty() && !save(inputs, expected, error))
      return fail(options_, error);
    if (int status = session.openKernel(inputs))
      return status;
    if (int status = session.run(inputs, outputs, pool_))
      return status;
    ++calls_;

    double coarsest = 0;
    for (auto &[name, tensor] : inputs)
      coarsest = std::max(coarsest, toleranceOf(tensor.dtype));
    json_.beginObject().key("sizes").beginObject();
    for (size_t i = 0; i < signature.symbols.size(); ++i)
      json_.field(signature.symbols[i].name, bound[i]);
    json_.endObject().key("left_out").beginArray();
    for (const std::string &name : leftOut)
      json_.value(name);
    json_.endArray().key("outputs").beginArray();
    std::string line =
        fmt::format("{}{}:", sizesText(signature, bound), leftOut.empty() ? "" : " (optional inputs left out)");
    for (const Argument &a : signature.outputs) {
      const HostTensor &got = outputs.at(a.name);
      Comparison c = compare(got, expected.at(a.name), std::max({coarsest, toleranceOf(got.dtype), 1e-9}));
      if (!c.ok && isFloat(got.dtype) && std::isfinite(c.error)) {
        double change = sensitivity(program, bound, inputs, expected).at(a.name);
        if (c.error <= kSlack * change) {
          c.allowed = kSlack * change;
          c.ok = true;
          line += fmt::format(" (one rounding of the inputs moves the reference by {:.2g})", change);
        }
      }
      ok_ &= c.ok;
      line += fmt::format(" {} {:.2g}{}", a.name, c.error, c.ok ? "" : fmt::format(" WRONG ({})", c.where));
      json_.beginObject().field("name", a.name).field("error", c.error).field("allowed", c.allowed).field("ok", c.ok);
      json_.field("where", c.where).endObject();
      if (c.allowed > 0 && (worstAllowed_ == 0 || c.error / c.allowed > worst_ / worstAllowed_)) {
        worst_ = c.error;
        worstAllowed_ = c.allowed;
      }
    }
    json_.endArray().endObject();
    if (!options_.json && !printOut(line + "\n"))
      return kWrong;
    return kDone;
  }

  /// As DIR/CALL.inputs.safetensors and DIR/CALL.expected.safetensors, calls counted from 0 as in --json.
  bool save(const Tensors &inputs, const Tensors &expected, Error &error) const {
    if (mkdir(options_.save.c_str(), 0777) != 0 && errno != EEXIST)
      return error.report(Msg::A601, options_.save, std::strerror(errno));
    std::string name = fmt::format("{}/{}", options_.save, calls_);
    return writeSafetensors(name + ".inputs.safetensors", inputs, error) &&
           writeSafetensors(name + ".expected.safetensors", expected, error);
  }

  const Options &options_;
  ThreadPool pool_;
  Chosen chosen_;
  Conditions conditions_;
  Json json_;
  Error refused_;
  bool ok_ = true;
  int calls_ = 0;
  double worst_ = 0, worstAllowed_ = 0, referenceSeconds_ = 0;
};

} // namespace

int runVerify(const Options &options) {
  if (int status = checkTargetOption(options))
    return status;
  return Verifier(options).run();
}

} // namespace attnc::cli
