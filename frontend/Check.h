//===- Syntax tree to checked equations -----------------------------------===//
#pragma once
#include "frontend/Ast.h"
#include "frontend/Diagnostic.h"
#include "frontend/Program.h"
#include <map>
#include <set>

namespace attnc {

/// A spec with the files it imports, parsed.
struct Spec {
  std::vector<std::unique_ptr<Source>> sources;    ///< [0]: the spec itself
  std::vector<std::unique_ptr<ast::File>> files;   ///< parallel to sources
  std::map<std::string, std::vector<int>> imports; ///< canonical path -> file; see Load.cpp
  std::vector<std::vector<int>> importsOf;         ///< per file, the files it imports
};

/// Reads and parses `path` and what it imports. Null after an error, which is reported.
std::unique_ptr<Spec> loadSpec(const std::string &path, Diagnostics &diags);
/// The same from memory; imports are looked for beside `path`.
std::unique_ptr<Spec> loadSpecText(const std::string &path, std::string text, Diagnostics &diags);

struct CheckOptions {
  std::map<std::string, std::string> params; ///< `--set` values, as written
  /// Inputs with defaults that the caller leaves out.
  std::set<std::string> leftOut;
};

/// Names of the file's mixers, in order.
std::vector<std::string> mixerNames(const Spec &spec);
/// The mixer of this name; the only one when `mixer` is empty. Null after an error.
const ast::Mixer *findMixer(const Spec &spec, const std::string &mixer, Diagnostics &diags);
/// Checks one mixer, absence included: its tensors are total. Null after an error. `mixer` empty: the only one.
std::unique_ptr<Program> checkMixer(const Spec &spec, const std::string &mixer, const CheckOptions &options,
                                    Diagnostics &diags);
/// Everything that needs no data and no mixer choice: all mixers, schedules, unused functions.
void checkSpec(const Spec &spec, Diagnostics &diags);

} // namespace attnc
