//===- Reading a spec and what it imports ---------------------------------===//
#include "frontend/Check.h"
#include "frontend/Parser.h"
#include <filesystem>
#include <fmt/format.h>
#include <fstream>

namespace attnc {

namespace fs = std::filesystem;

namespace {
constexpr uintmax_t kMaxBytes = 1 << 20;

bool readFile(const std::string &path, std::string &text, std::string &why) {
  std::error_code ec;
  fs::file_status st = fs::status(path, ec);
  if (ec || !fs::exists(st)) {
    why = "there is no such file";
    return false;
  }
  if (fs::is_directory(st)) {
    why = "it is a folder";
    return false;
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    why = "it cannot be opened";
    return false;
  }
  // One byte over the limit is enough to know; the parser says so.
  text.resize(kMaxBytes + 1);
  in.read(&text[0], static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  return true;
}

struct Loader {
  Spec &spec;
  Diagnostics &diags;
  bool ok = true;

  int add(const std::string &path, std::string text, const std::string &key) {
    spec.sources.push_back(std::make_unique<Source>(path, std::move(text)));
    int id = static_cast<int>(spec.files.size());
    spec.files.push_back(nullptr);
    spec.importsOf.emplace_back();
    spec.imports[key] = {id};
    std::unique_ptr<ast::File> file = parse(*spec.sources[id], diags);
    if (!file) {
      ok = false;
      return id;
    }
    spec.files[id] = std::move(file);
    std::string dir = fs::path(path).parent_path().string();
    for (const ast::Import &i : spec.files[id]->imports) {
      std::string target = (fs::path(dir) / i.path).lexically_normal().string();
      std::error_code ec;
      std::string canonical = fs::weakly_canonical(target, ec).string();
      if (ec)
        canonical = target;
      if (auto it = spec.imports.find(canonical); it != spec.imports.end()) {
        spec.importsOf[id].push_back(it->second[0]);
        continue;
      }
      if (spec.files.size() > 200) {
        diags.report(Msg::A514, i.span, {i.path, "more than 200 files are imported"});
        ok = false;
        return id;
      }
      std::string imported, why;
      if (!readFile(target, imported, why)) {
        diags.report(Msg::A514, i.span, {i.path, why});
        ok = false;
        continue;
      }
      int other = add(target, std::move(imported), canonical);
      spec.importsOf[id].push_back(other);
    }
    return id;
  }
};
} // namespace

std::unique_ptr<Spec> loadSpecText(const std::string &path, std::string text, Diagnostics &diags) {
  std::unique_ptr<Spec> spec = std::make_unique<Spec>();
  Loader loader{*spec, diags};
  std::error_code ec;
  std::string key = fs::weakly_canonical(path, ec).string();
  loader.add(path, std::move(text), ec ? path : key);
  if (!loader.ok || diags.hasErrors()) {
    diags.keepAlive(std::shared_ptr<const Spec>(std::move(spec)));
    return nullptr;
  }
  return spec;
}

std::unique_ptr<Spec> loadSpec(const std::string &path, Diagnostics &diags) {
  std::string text, why;
  if (!readFile(path, text, why)) {
    // No text to point into: a source of its own names the file.
    static const Span none;
    diags.report(Msg::A515, none, {path, why});
    return nullptr;
  }
  return loadSpecText(path, std::move(text), diags);
}

} // namespace attnc
