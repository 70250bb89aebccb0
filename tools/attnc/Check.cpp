//===- attnc check --------------------------------------------------------===//
#include "tools/attnc/Common.h"
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

} // namespace

/// Silent when all is well, as compilers are; --json lists what the specs contain.
int runCheck(const Options &options) {
  bool ok = true;
  Json json;
  json.beginObject().key("files").beginArray();
  for (const std::string &path : options.specs) {
    Diagnostics diags;
    std::unique_ptr<Spec> spec = loadSpec(path, diags);
    std::vector<Signature> signatures;
    if (spec && !diags.hasErrors()) {
      CheckOptions check;
      check.params = options.params;
      if (options.params.empty())
        checkSpec(*spec, diags);
      if (!diags.hasErrors())
        for (const std::string &mixer : mixerNames(*spec)) {
          // What checkSpec has said is not said again: only the signature is wanted here, unless params change the
          // answer.
          Diagnostics again;
          std::unique_ptr<Program> program = checkMixer(*spec, mixer, check, options.params.empty() ? again : diags);
          if (!program)
            continue;
          totalize(*program);
          checkPresence(*program, options.params.empty() ? again : diags);
          signatures.push_back(program->signature);
        }
    }
    std::string text = diags.render();
    std::fwrite(text.data(), 1, text.size(), stderr);
    ok &= !diags.hasErrors();
    json.beginObject().field("path", path).field("ok", !diags.hasErrors()).key("mixers").beginArray();
    for (const Signature &s : signatures)
      mixerJson(json, s);
    json.endArray().key("diagnostics");
    diagnosticsJson(json, diags);
    json.endObject();
  }
  json.endArray().field("ok", ok).endObject();
  if (options.json && !printOut(json.text() + "\n"))
    return kWrong;
  return ok ? kDone : kWrong;
}

} // namespace attnc::cli
