//===- Diagnostics: collected as data, rendered by one function -----------===//
//
// The sentences stand in runtime/Messages.def, each with a stable id. Code reports (id, span, arguments) and may
// add notes at second places and one help line; nothing here prints.
//===----------------------------------------------------------------------===//
#pragma once
#include "frontend/Source.h"
#include "runtime/Message.h"
#include <deque>
#include <string>
#include <vector>

namespace attnc {

struct Note {
  Span span; ///< span.source may be null: then it is a plain sentence
  std::string text;
};

struct Diagnostic {
  Msg id;
  Severity severity;
  std::string message;
  Span span;
  std::string label; ///< under the caret; may be empty
  std::vector<Note> notes;
  std::string help; ///< a line to paste; may be empty

  Diagnostic &note(Span at, std::string text);
  Diagnostic &withLabel(std::string text);
  Diagnostic &withHelp(std::string text);
};

class Diagnostics {
public:
  /// Fills the "{}" of the message in order.
  Diagnostic &report(Msg id, Span at, const std::vector<std::string> &args = {});
  bool hasErrors() const { return errors_ > 0; }
  size_t errorCount() const { return errors_; }
  const std::deque<Diagnostic> &all() const { return all_; }
  /// "file:line:col: error[A031]: ..." with source lines, carets, notes and help. See docs/diagnostics.md.
  std::string render() const;
  /// Keeps what the spans point into alive as long as the diagnostics.
  void keepAlive(std::shared_ptr<const void> sources) { kept_.push_back(std::move(sources)); }
  /// Too many errors to go on usefully (20).
  bool full() const { return errors_ >= 20; }

private:
  std::deque<Diagnostic> all_;
  std::vector<std::shared_ptr<const void>> kept_;
  size_t errors_ = 0;
};

std::string renderDiagnostic(const Diagnostic &d);

} // namespace attnc
