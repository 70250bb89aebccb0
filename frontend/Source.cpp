//===- Spec text and places in it -----------------------------------------===//
#include "frontend/Source.h"
#include <algorithm>

namespace attnc {

/// Bytes of the code point at `i`; 1 for a byte that starts none, so that any text can be walked.
static size_t codePointSize(std::string_view text, size_t i) {
  unsigned char c = text[i];
  size_t size = c < 0xC0 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF8 ? 4 : 1;
  for (size_t k = 1; k < size; ++k)
    if (i + k >= text.size() || (static_cast<unsigned char>(text[i + k]) & 0xC0) != 0x80)
      return 1;
  return size;
}

Source::Source(std::string path, std::string text) : path_(std::move(path)), text_(std::move(text)) {
  bool ascii = true;
  lineStarts_.push_back(0);
  for (size_t i = 0; i < text_.size(); ++i) {
    if (text_[i] == '\n')
      lineStarts_.push_back(i + 1);
    ascii = ascii && static_cast<unsigned char>(text_[i]) < 0x80;
  }
  if (ascii)
    return;
  for (size_t i = 0; i < text_.size(); i += codePointSize(text_, i))
    codePoints_.push_back(i);
}

std::pair<unsigned, unsigned> Source::lineColumn(uint32_t offset) const {
  offset = std::min<uint32_t>(offset, text_.size());
  unsigned line = std::upper_bound(lineStarts_.begin(), lineStarts_.end(), offset) - lineStarts_.begin();
  uint32_t start = lineStarts_[line - 1];
  if (codePoints_.empty())
    return {line, offset - start + 1};
  auto at = [&](uint32_t byte) { return std::lower_bound(codePoints_.begin(), codePoints_.end(), byte); };
  return {line, static_cast<unsigned>(at(offset) - at(start)) + 1};
}

std::string_view Source::line(unsigned number) const {
  if (number == 0 || number > lineStarts_.size())
    return {};
  size_t begin = lineStarts_[number - 1];
  size_t end = number < lineStarts_.size() ? lineStarts_[number] - 1 : text_.size();
  if (end > begin && text_[end - 1] == '\r')
    --end;
  return std::string_view(text_).substr(begin, end - begin);
}

uint32_t Source::byteOffset(size_t codePoint) const {
  if (codePoints_.empty())
    return std::min(codePoint, text_.size());
  return codePoint < codePoints_.size() ? codePoints_[codePoint] : text_.size();
}

char32_t nextCodePoint(std::string_view s, size_t &i) {
  unsigned char c = s[i++];
  if (c < 0x80)
    return c;
  unsigned more = c >= 0xF0 && c < 0xF8 ? 3 : c >= 0xE0 && c < 0xF0 ? 2 : c >= 0xC2 && c < 0xE0 ? 1 : 0;
  if (!more || i + more > s.size())
    return 0xFFFD;
  char32_t value = c & (0x3F >> more);
  for (unsigned k = 0; k < more; ++k) {
    unsigned char d = s[i + k];
    if ((d & 0xC0) != 0x80)
      return 0xFFFD;
    value = value << 6 | (d & 0x3F);
  }
  constexpr char32_t least[] = {0, 0x80, 0x800, 0x10000};
  if (value < least[more] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
    return 0xFFFD;
  i += more;
  return value;
}

} // namespace attnc
