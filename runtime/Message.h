//===- What a user is told ------------------------------------------------===//
//
// Every sentence stands in Messages.def, with a stable id. A mistake in a spec has a place and becomes a Diagnostic
// (frontend/Diagnostic.h); one of a command line, a file or a call has none and becomes an Error.
//===----------------------------------------------------------------------===//
#pragma once
#include <fmt/format.h>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace attnc {

enum class Severity { Error, Warning };

enum class Msg {
#define MSG(id, severity, text) id,
#include "runtime/Messages.def"
#undef MSG
};

const char *msgName(Msg id);
Severity msgSeverity(Msg id);
/// Fills the "{}" of the message in order.
std::string msgText(Msg id, const std::vector<std::string> &args);

/// The candidate nearest to `name` by edit distance, if near enough to be a typing error; else empty.
std::string nearestName(std::string_view name, const std::vector<std::string> &candidates);
/// "did you mean `near`?", or "`name`, `name`, ... are known" in the words of `known` when nothing is near.
std::string suggestion(std::string_view name, const std::vector<std::string> &candidates, std::string_view known);
/// "a, b, c"
std::string joined(const std::vector<std::string> &names);

/// What went wrong, for someone to hand on. Empty until then.
struct Error {
  std::optional<Msg> id; ///< none: `text` is rendered diagnostics of a spec
  std::string text;
  std::string help; ///< what to do; may be empty
  std::string data; ///< rendered diagnostics as bytes, for the C interface (serializeDiagnostics)

  Error() = default;
  template <class... Args>
  explicit Error(Msg m, const Args &...args) : id(m), text(msgText(m, {fmt::format("{}", args)...})) {}
  static Error rendered(std::string diagnostics, std::string data = {});

  Error &withHelp(std::string line);
  /// For functions that answer false after setting it.
  template <class... Args> bool report(Msg m, const Args &...args) {
    *this = Error(m, args...);
    return false;
  }
  explicit operator bool() const { return id || !text.empty(); }
  /// "attnc: error[A910]: ...", with the help on a line of its own; ends in a line break.
  std::string render() const;
};

} // namespace attnc
