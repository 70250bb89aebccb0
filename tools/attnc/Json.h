//===- A writer of JSON ---------------------------------------------------===//
//
// Appends to a string; commas and quotes are its business. Numbers that JSON lacks (NaN, infinities) become strings.
//===----------------------------------------------------------------------===//
#pragma once
#include "frontend/Source.h"
#include <cmath>
#include <cstdint>
#include <fmt/format.h>
#include <string>
#include <string_view>
#include <vector>

namespace attnc::cli {

class Json {
public:
  Json &beginObject() { return open('{'); }
  Json &endObject() { return close('}'); }
  Json &beginArray() { return open('['); }
  Json &endArray() { return close(']'); }
  Json &key(std::string_view name) {
    separate();
    quote(name);
    text_ += ": ";
    fresh_ = true;
    return *this;
  }
  Json &value(std::string_view s) {
    separate();
    quote(s);
    return *this;
  }
  Json &value(const char *s) { return value(std::string_view(s)); }
  Json &value(bool b) { return raw(b ? "true" : "false"); }
  Json &value(double v) {
    if (std::isfinite(v))
      return raw(fmt::format("{}", v));
    return value(std::string_view(std::isnan(v) ? "nan" : v > 0 ? "inf" : "-inf"));
  }
  Json &value(int64_t v) { return raw(fmt::format("{}", v)); }
  Json &value(int v) { return value(int64_t(v)); }
  Json &value(const std::vector<int64_t> &list) {
    beginArray();
    for (int64_t v : list)
      value(v);
    return endArray();
  }
  template <class T> Json &field(std::string_view name, const T &v) { return key(name).value(v); }
  /// Text that already is JSON.
  Json &raw(std::string_view json) {
    separate();
    text_ += json;
    return *this;
  }
  const std::string &text() const { return text_; }

private:
  Json &open(char c) {
    separate();
    text_ += c;
    fresh_ = true;
    return *this;
  }
  Json &close(char c) {
    text_ += c;
    fresh_ = false;
    return *this;
  }
  void separate() {
    if (!fresh_)
      text_ += ", ";
    fresh_ = false;
  }
  void quote(std::string_view s) {
    text_ += '"';
    for (size_t i = 0; i < s.size();) {
      size_t at = i;
      char32_t point = nextCodePoint(s, i);
      unsigned char c = s[at];
      if (point == 0xFFFD) { // bytes of a spec or a file's name that are not UTF-8
        text_ += "\uFFFD";
        continue;
      }
      if (point >= 0x80) {
        text_ += s.substr(at, i - at);
        continue;
      }
      if (c == '"' || c == '\\')
        (text_ += '\\') += char(c);
      else if (c == '\n')
        text_ += "\\n";
      else if (c < 0x20)
        text_ += fmt::format("\\u{:04x}", c);
      else
        text_ += char(c);
    }
    text_ += '"';
  }
  std::string text_;
  bool fresh_ = true;
};

} // namespace attnc::cli
