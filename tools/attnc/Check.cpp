//===- attnc check --------------------------------------------------------===//
#include "tools/attnc/Common.h"
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

/// The params among `given` that the mixer has: with several mixers in a file, --set is meant for those that know the
/// name.
std::map<std::string, std::string> paramsOf(const ast::Mixer &mixer, const std::map<std::string, std::string> &given) {
  std::map<std::string, std::string> own;
  for (const ast::Stmt &stmt : mixer.body)
    if (stmt.kind == ast::StmtKind::Param)
      for (const ast::Name &name : stmt.names)
        if (auto it = given.find(name.text); it != given.end())
          own.insert(*it);
  return own;
}

/// Checks one file; a mistake in a function that several mixers use is reported once.
bool checkFile(const Options &options, const std::string &path, Json &json) {
  Diagnostics diags;
  std::vector<Signature> signatures;
  bool unknownParam = false;
  std::unique_ptr<Spec> spec = loadSpec(path, diags);
  if (spec && !diags.hasErrors()) {
    checkSpec(*spec, diags);
    std::set<std::string> used;
    const auto &mixers = spec->files[0]->mixers;
    for (const ast::Mixer &mixer : mixers) {
      CheckOptions check;
      check.params = mixers.size() == 1 ? options.params : paramsOf(mixer, options.params);
      for (auto &p : check.params)
        used.insert(p.first);
      size_t before = diags.errorCount();
      std::unique_ptr<Program> program = checkMixer(*spec, mixer.name.text, check, diags);
      if (program && diags.errorCount() == before)
        signatures.push_back(program->signature);
    }
    for (auto &p : options.params)
      if (!used.count(p.first) && !mixers.empty()) {
        fmt::print(stderr, "attnc: error: {}: no mixer has a param '{}'\n", path, p.first);
        unknownParam = true;
      }
  }
  std::set<std::string> shown;
  for (const Diagnostic &d : diags.all()) {
    std::string text = renderDiagnostic(d);
    if (shown.insert(text).second)
      std::fwrite(text.data(), 1, text.size(), stderr);
  }
  json.beginObject().field("path", path).field("ok", !diags.hasErrors() && !unknownParam).key("mixers").beginArray();
  for (const Signature &s : signatures)
    mixerJson(json, s);
  json.endArray().key("diagnostics");
  diagnosticsJson(json, diags);
  json.endObject();
  return !diags.hasErrors() && !unknownParam;
}

} // namespace

/// Silent when all is well, as compilers are; --json lists what the specs contain.
int runCheck(const Options &options) {
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
