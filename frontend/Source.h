//===- Spec text and places in it -----------------------------------------===//
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace attnc {

/// A file's text. Line and column are computed only when something is printed.
class Source {
public:
  Source(std::string path, std::string text);
  const std::string &path() const { return path_; }
  std::string_view text() const { return text_; }
  /// 1-based line and column (column in code points) of a byte offset.
  std::pair<unsigned, unsigned> lineColumn(uint32_t offset) const;
  /// The text of a 1-based line, without its end.
  std::string_view line(unsigned number) const;
  /// Byte offset of the code point with this index (ANTLR counts code points).
  uint32_t byteOffset(size_t codePoint) const;

private:
  std::string path_, text_;
  std::vector<uint32_t> lineStarts_;
  std::vector<uint32_t> codePoints_; ///< empty when the text is ASCII
};

/// Two byte offsets into one source.
struct Span {
  const Source *source = nullptr;
  uint32_t begin = 0, end = 0;
};

/// Decodes the code point at `i` and moves past it; U+FFFD for what is not UTF-8.
char32_t nextCodePoint(std::string_view s, size_t &i);

} // namespace attnc
