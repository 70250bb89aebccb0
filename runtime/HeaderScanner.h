//===- What the readers of .npy and .safetensors headers share ------------===//
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

namespace attnc {

/// A text and a position in it. Nothing here looks past the end, and numbers that i64 cannot hold are refused.
class HeaderScanner {
public:
  explicit HeaderScanner(std::string_view s) : s_(s) {}

protected:
  /// The next character that is no white space; 0 at the end.
  char peek() {
    while (at_ < s_.size() && (s_[at_] == ' ' || s_[at_] == '\n' || s_[at_] == '\t' || s_[at_] == '\r'))
      ++at_;
    return at_ < s_.size() ? s_[at_] : '\0';
  }
  bool accept(char c) {
    if (peek() != c)
      return false;
    ++at_;
    return true;
  }
  /// One more extent of a shape, without a sign.
  bool extent(std::vector<int64_t> &shape) {
    constexpr size_t kMaxRank = 64;
    int64_t v = 0;
    bool digits = false;
    for (peek(); at_ < s_.size() && s_[at_] >= '0' && s_[at_] <= '9'; ++at_, digits = true)
      if (__builtin_mul_overflow(v, int64_t(10), &v) || __builtin_add_overflow(v, int64_t(s_[at_] - '0'), &v))
        return false;
    if (!digits || shape.size() == kMaxRank)
      return false;
    shape.push_back(v);
    return true;
  }

  std::string_view s_;
  size_t at_ = 0;
};

} // namespace attnc
