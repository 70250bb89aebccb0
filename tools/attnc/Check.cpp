//===- attnc check --------------------------------------------------------===//
#include "tools/attnc/Sample.h"
#include <algorithm>
#include <cstdio>
#include <fmt/format.h>

namespace attnc::cli {

namespace {

void dimsJson(Json &json, const std::vector<Dim> &dims) {
  json.key("dims").beginArray();
  for (const Dim &d : dims)
    json.value(d.text);
  json.endArray();
}

void argumentsJson(Json &json, const std::vector<Argument> &arguments) {
  json.beginArray();
  for (const Argument &a : arguments) {
    json.beginObject().field("name", a.name);
    json.key("dtype");
    if (a.dtype)
      json.value(dtypeName(*a.dtype));
    else
      json.raw("null");
    dimsJson(json, a.dims);
    json.field("optional", a.hasDefault);
    if (!a.indexOf.empty())
      json.field("index_of", a.indexOf);
    json.endObject();
  }
  json.endArray();
}

void mixerJson(Json &json, const Signature &s) {
  json.beginObject().field("name", s.mixer).field("doc", s.doc);
  json.key("inputs");
  argumentsJson(json, s.inputs);
  json.key("outputs");
  argumentsJson(json, s.outputs);
  json.key("params").beginArray();
  for (const Param &p : s.params) {
    json.beginObject().field("name", p.name).key("value");
    if (p.kind == Param::Real)
      json.value(p.real);
    else if (p.kind == Param::Bool)
      json.value(p.integer != 0);
    else
      json.value(p.integer);
    json.endObject();
  }
  json.endArray().endObject();
}

bool hasParam(const ast::Mixer &mixer, const std::string &param) {
  for (const ast::Stmt &stmt : mixer.body)
    if (stmt.kind == ast::StmtKind::Param && stmt.names[0].text == param)
      return true;
  return false;
}

/// The params among those of --set that the mixer has: with several mixers, each is meant for those that know it.
std::map<std::string, std::string> paramsFor(const std::vector<const ast::Mixer *> &mixers, const ast::Mixer &mixer,
                                             const std::map<std::string, std::string> &given) {
  if (mixers.size() == 1)
    return given;
  std::map<std::string, std::string> own;
  for (auto &p : given)
    if (hasParam(mixer, p.first))
      own.insert(p);
  return own;
}

/// Params that none of several mixers has.
void reportUnknownParams(const Spec &spec, const std::vector<const ast::Mixer *> &mixers, const Options &options,
                         Diagnostics &diags) {
  if (mixers.size() < 2)
    return; // the check of the one reports it
  std::vector<std::string> known;
  for (const ast::Mixer *mixer : mixers)
    for (const ast::Stmt &stmt : mixer->body)
      if (stmt.kind == ast::StmtKind::Param)
        known.push_back(stmt.names[0].text);
  for (auto &[name, value] : options.params) {
    if (std::find(known.begin(), known.end(), name) != known.end())
      continue;
    Diagnostic &d = diags.report(Msg::A915, {spec.sources[0].get(), 0, 0}, {name});
    std::string near = nearestName(name, known);
    if (!near.empty())
      d.withHelp(fmt::format("--set {}={}", near, value));
    else
      d.withHelp(known.empty() ? "there are no params" : "there are " + joined(known));
  }
}

/// --sizes of a mixer that checks: the names exist, and lengths and `require` allow them.
bool checkSizes(const Options &options, const Signature &signature, Error &error) {
  std::vector<int64_t> symbols;
  return options.sizes.empty() || sampleSizes(signature, options.sizes, 0, symbols, error);
}

/// Checks one file; a mistake in a function that several mixers use is reported once.
bool checkFile(const Options &options, const std::string &path, Json &json) {
  Diagnostics diags;
  std::vector<Signature> signatures;
  std::vector<Error> errors;
  std::unique_ptr<Spec> spec = loadSpec(path, diags);
  if (spec && !diags.hasErrors()) {
    std::vector<const ast::Mixer *> mixers;
    if (options.mixer.empty()) {
      for (const ast::Mixer &mixer : spec->files[0]->mixers)
        mixers.push_back(&mixer);
    } else if (const ast::Mixer *mixer = findMixer(*spec, options.mixer, diags)) {
      mixers.push_back(mixer);
    }
    checkSpec(*spec, diags);
    for (const ast::Mixer *mixer : mixers) {
      CheckOptions check;
      check.params = paramsFor(mixers, *mixer, options.params);
      size_t before = diags.errorCount();
      std::unique_ptr<Program> program = checkMixer(*spec, mixer->name.text, check, diags);
      if (!program || diags.errorCount() != before)
        continue;
      Error error;
      if (!checkSizes(options, program->signature, error))
        errors.push_back(error);
      else
        signatures.push_back(program->signature);
    }
    reportUnknownParams(*spec, mixers, options, diags);
  }
  std::set<std::string> shown;
  for (const Diagnostic &d : diags.all()) {
    std::string text = renderDiagnostic(d);
    if (shown.insert(text).second)
      std::fwrite(text.data(), 1, text.size(), stderr);
  }
  for (const Error &error : errors)
    std::fputs(error.render().c_str(), stderr);
  bool ok = !diags.hasErrors() && errors.empty();
  json.beginObject().field("path", path).field("ok", ok).key("mixers").beginArray();
  for (const Signature &s : signatures)
    mixerJson(json, s);
  json.endArray().key("diagnostics");
  diagnosticsJson(json, diags, errors);
  json.endObject();
  return ok;
}

} // namespace

/// Silent when all is well, as compilers are; --json lists what the specs contain.
int runCheck(const Options &options) {
  if (int status = checkTargetNames(options))
    return status;
  bool ok = true;
  Json json;
  json.beginObject().key("files").beginArray();
  for (const std::string &path : options.specs)
    ok &= checkFile(options, path, json);
  json.endArray().field("ok", ok).endObject();
  if (options.json && !printOut(json.text() + "\n"))
    return kWrong;
  return ok ? kDone : kWrong;
}

} // namespace attnc::cli
