//===- What a user is told ------------------------------------------------===//
#include "runtime/Message.h"
#include <algorithm>
#include <numeric>

namespace attnc {

namespace {

struct MessageInfo {
  const char *name;
  Severity severity;
  std::string_view text;
};

constexpr MessageInfo messages[] = {
#define MSG(id, severity, text) {#id, Severity::severity, text},
#include "runtime/Messages.def"
#undef MSG
};

const MessageInfo &infoOf(Msg id) { return messages[static_cast<size_t>(id)]; }

/// Levenshtein distance in which swapping two neighbours is one step; anything over `limit` counts as limit + 1.
size_t editDistance(std::string_view a, std::string_view b, size_t limit) {
  if (std::max(a.size(), b.size()) - std::min(a.size(), b.size()) > limit)
    return limit + 1;
  std::vector<size_t> before, last(b.size() + 1), row(b.size() + 1);
  std::iota(last.begin(), last.end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = last;
    last = row;
  }
  return last[b.size()];
}

} // namespace

const char *msgName(Msg id) { return infoOf(id).name; }
Severity msgSeverity(Msg id) { return infoOf(id).severity; }

std::string msgText(Msg id, const std::vector<std::string> &args) {
  std::string_view text = infoOf(id).text;
  std::string message;
  size_t arg = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.compare(i, 2, "{}") == 0 && arg < args.size()) {
      message += args[arg++];
      ++i;
    } else {
      message += text[i];
    }
  }
  return message;
}

std::string nearestName(std::string_view name, const std::vector<std::string> &candidates) {
  auto lower = [](std::string_view s) {
    std::string t(s);
    for (char &c : t)
      c = c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
    return t;
  };
  std::string best, lowered = lower(name);
  // Short names are near to everything: one letter for another is a guess only from two letters up.
  size_t limit = name.size() < 2 ? 0 : name.size() < 6 ? 1 : name.size() / 3;
  size_t bestDistance = limit + 1;
  auto digits = [](std::string_view s) {
    std::string t;
    for (char c : s)
      if (c >= '0' && c <= '9')
        t += c;
    std::sort(t.begin(), t.end()); // two that changed places are a typing error
    return t;
  };
  for (const std::string &candidate : candidates) {
    if (candidate == name || digits(candidate) != digits(name)) // `h0` and `h` are two names that somebody chose
      continue;
    size_t distance = lower(candidate) == lowered ? 0 : editDistance(lowered, lower(candidate), limit);
    if (distance < bestDistance) {
      bestDistance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string joined(const std::vector<std::string> &names) {
  std::string text;
  for (const std::string &n : names)
    text += (text.empty() ? "" : ", ") + n;
  return text;
}

std::string suggestion(std::string_view name, const std::vector<std::string> &candidates, std::string_view known) {
  std::string near = nearestName(name, candidates);
  if (!near.empty())
    return fmt::format("did you mean `{}`?", near);
  return candidates.empty() ? std::string() : fmt::format("{} {}", known, joined(candidates));
}

Error Error::rendered(std::string diagnostics, std::string bytes) {
  Error e;
  e.data = std::move(bytes);
  e.text = std::move(diagnostics);
  return e;
}

Error &Error::withHelp(std::string line) {
  help = std::move(line);
  return *this;
}

std::string Error::render() const {
  if (!id)
    return text;
  std::string out = fmt::format("attnc: error[{}]: {}\n", msgName(*id), text);
  if (!help.empty())
    out += fmt::format("  help: {}\n", help);
  return out;
}

} // namespace attnc
