//===- Bytes to and from plain data ---------------------------------------===//
//
// The encoding of cache entries and of what crosses between the two libraries: little endian, lengths before contents.
// A reader never looks past the end: it turns bad instead and then gives zeros, so that callers check once, at the end.
//===----------------------------------------------------------------------===//
#pragma once
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <string_view>

namespace attnc {

class ByteWriter {
public:
  void u8(uint8_t v) { bytes_ += char(v); }
  void u64(uint64_t v) {
    char raw[8];
    std::memcpy(raw, &v, 8);
    bytes_.append(raw, 8);
  }
  void i64(int64_t v) { u64(uint64_t(v)); }
  void real(double v) {
    uint64_t bits;
    std::memcpy(&bits, &v, 8);
    u64(bits);
  }
  void text(std::string_view s) {
    u64(s.size());
    bytes_.append(s.data(), s.size());
  }
  void numbers(const std::map<std::string, int64_t> &map) {
    u64(map.size());
    for (auto &[name, value] : map) {
      text(name);
      i64(value);
    }
  }
  std::string take() { return std::move(bytes_); }
  const std::string &bytes() const { return bytes_; }

private:
  std::string bytes_;
};

class ByteReader {
public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}
  uint8_t u8() {
    std::string_view s = eat(1);
    return s.empty() ? 0 : uint8_t(s[0]);
  }
  uint64_t u64() {
    std::string_view s = eat(8);
    uint64_t v = 0;
    if (!s.empty())
      std::memcpy(&v, s.data(), 8);
    return v;
  }
  int64_t i64() { return int64_t(u64()); }
  double real() {
    uint64_t bits = u64();
    double v;
    std::memcpy(&v, &bits, 8);
    return v;
  }
  std::string text() { return std::string(view()); }
  std::string_view view() { return eat(u64()); }
  /// A length of things that take at least one byte each.
  uint64_t count() {
    uint64_t n = u64();
    if (n > rest_.size())
      good_ = false;
    return good_ ? n : 0;
  }
  std::map<std::string, int64_t> numbers() {
    std::map<std::string, int64_t> map;
    for (uint64_t n = count(); n > 0; --n) {
      std::string name = text();
      map[name] = i64();
    }
    return map;
  }
  bool good() const { return good_; }
  bool atEnd() const { return good_ && rest_.empty(); }
  void setBad() { good_ = false; }

private:
  std::string_view eat(uint64_t n) {
    if (!good_ || n > rest_.size()) {
      good_ = false;
      return {};
    }
    std::string_view s = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return s;
  }
  std::string_view rest_;
  bool good_ = true;
};

/// SHA-256, as 64 hexadecimal digits.
std::string sha256(std::string_view bytes);

} // namespace attnc
