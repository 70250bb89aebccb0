//===- What the subcommands share -----------------------------------------===//
#include "tools/attnc/Common.h"
#include "runtime/Targets.h"
#include <cmath>
#include <cstdio>
#include <fmt/format.h>

namespace attnc::cli {

static std::string failureJson(const std::string &text, const std::string &diagnostics) {
  Json json;
  json.beginObject().field("ok", false).field("error", text).key("diagnostics").raw(diagnostics).endObject();
  return json.text() + "\n";
}

int fail(const Options &options, const Error &error, int status) {
  std::string text = error.render();
  std::fwrite(text.data(), 1, text.size(), stderr);
  if (options.json) {
    Json json;
    diagnosticsJson(json, {}, error.id ? std::vector<Error>{error} : std::vector<Error>());
    printOut(failureJson(text, json.text()));
  }
  return status;
}

static void spanJson(Json &json, const Span &span) {
  if (!span.source)
    return;
  auto [line, column] = span.source->lineColumn(span.begin);
  auto [endLine, endColumn] = span.source->lineColumn(span.end);
  json.field("file", span.source->path()).field("line", int64_t(line)).field("column", int64_t(column));
  json.field("end_line", int64_t(endLine)).field("end_column", int64_t(endColumn));
}

void diagnosticsJson(Json &json, const Diagnostics &diags, const std::vector<Error> &errors) {
  json.beginArray();
  for (const Diagnostic &d : diags.all()) {
    json.beginObject();
    json.field("severity", d.severity == Severity::Error ? "error" : "warning")
        .field("id", msgName(d.id))
        .field("message", d.message);
    spanJson(json, d.span);
    json.field("label", d.label).field("help", d.help).key("notes").beginArray();
    for (const Note &n : d.notes) {
      json.beginObject().field("message", n.text);
      spanJson(json, n.span);
      json.endObject();
    }
    json.endArray().endObject();
  }
  for (const Error &e : errors) {
    json.beginObject().field("severity", "error").field("id", msgName(*e.id)).field("message", e.text);
    json.field("label", "").field("help", e.help).key("notes").beginArray().endArray().endObject();
  }
  json.endArray();
}

void show(const Options &options, const Diagnostics &diags) {
  std::string text = diags.render();
  std::fwrite(text.data(), 1, text.size(), stderr);
  if (options.json && diags.hasErrors()) {
    Json json;
    diagnosticsJson(json, diags);
    printOut(failureJson(text, json.text()));
  }
}

bool printOut(const std::string &text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0)
    return true;
  std::string said = Error(Msg::A916).render();
  std::fwrite(said.data(), 1, said.size(), stderr);
  return false;
}

static std::vector<std::string> namesOf(const std::vector<ast::Decl> &decls) {
  std::vector<std::string> names;
  for (const ast::Decl &d : decls)
    names.push_back(d.name.text);
  return names;
}

std::vector<std::string> Chosen::inputNames() const { return namesOf(mixer->inputs); }
std::vector<std::string> Chosen::outputNames() const { return namesOf(mixer->outputs); }

int checkTargetNames(const Options &options) {
  Error error;
  return checkTarget(options.target, options.arch, error) ? kDone : fail(options, error);
}

int chooseMixer(const Options &options, Chosen &chosen) {
  Diagnostics diags;
  chosen.spec = loadSpec(options.specs[0], diags);
  if (chosen.spec && !diags.hasErrors())
    checkSpec(*chosen.spec, diags);
  if (chosen.spec && !diags.hasErrors())
    chosen.mixer = findMixer(*chosen.spec, options.mixer, diags);
  show(options, diags);
  chosen.saidSomething |= !diags.all().empty();
  return chosen.mixer ? kDone : kWrong;
}

std::unique_ptr<Program> checkChosen(const Options &options, const Chosen &chosen,
                                     const std::set<std::string> &leftOut) {
  Diagnostics diags;
  CheckOptions check;
  check.params = options.params;
  check.leftOut = leftOut;
  std::unique_ptr<Program> program = checkMixer(*chosen.spec, chosen.mixer->name.text, check, diags);
  show(options, diags);
  chosen.saidSomething |= !diags.all().empty();
  return diags.hasErrors() ? nullptr : std::move(program);
}

Statistics statisticsOf(const HostTensor &tensor) {
  Statistics s;
  int64_t count = tensor.count(), finite = 0;
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    double v = tensor.getReal(i);
    if (std::isnan(v)) {
      ++s.nans;
      continue;
    }
    s.infs += std::isinf(v);
    if (finite == 0 || v < s.min)
      s.min = v;
    if (finite == 0 || v > s.max)
      s.max = v;
    sum += v;
    ++finite;
  }
  s.mean = finite ? sum / double(finite) : 0;
  return s;
}

std::string shapeText(const std::vector<int64_t> &shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i)
    text += fmt::format("{}{}", i ? ", " : "", shape[i]);
  return text + "]";
}

std::string statisticsLine(const std::string &name, const HostTensor &tensor) {
  std::string line = fmt::format("{}: {}{}", name, dtypeName(tensor.dtype), shapeText(tensor.shape));
  if (tensor.count() == 0)
    return line + " empty";
  Statistics s = statisticsOf(tensor);
  if (s.nans < tensor.count())
    line += fmt::format(" min {:.6g} max {:.6g} mean {:.6g}", s.min, s.max, s.mean);
  if (s.nans)
    line += fmt::format(" nan {}", s.nans);
  if (s.infs)
    line += fmt::format(" inf {}", s.infs);
  return line;
}

void statisticsJson(Json &json, const std::string &name, const HostTensor &tensor) {
  Statistics s = statisticsOf(tensor);
  json.beginObject().field("name", name).field("dtype", dtypeName(tensor.dtype)).field("shape", tensor.shape);
  json.field("min", s.min)
      .field("max", s.max)
      .field("mean", s.mean)
      .field("nan", s.nans)
      .field("inf", s.infs)
      .endObject();
}

} // namespace attnc::cli
