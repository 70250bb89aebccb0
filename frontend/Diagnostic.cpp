//===- Diagnostics: collected as data, rendered by one function -----------===//
//
//   window.attn:7:24: error[A031]: window is wider than the keys it can see
//     7 |   mask = causal & window(4096)
//       |                   ^^^^^^^^^^^^ asks for 4096 keys
//     3 | input K: f16[B, H, 1024, D]
//       |                    ^^^^ note: K has 1024
//     help: use window(1024)
//
// Carets must stand under the text in any terminal: lines are printed with tabs widened, characters that do not print
// replaced, wide characters counted as two, and only the part around the caret of a very long line.
//===----------------------------------------------------------------------===//
#include "frontend/Diagnostic.h"
#include <algorithm>
#include <fmt/format.h>

namespace attnc {

namespace {

constexpr unsigned tabWidth = 4;
constexpr unsigned maxColumns = 160; ///< of a source line; more is cut out around the caret

struct Range {
  char32_t first, last;
};

bool inAny(char32_t c, const Range *begin, const Range *end) {
  return std::any_of(begin, end, [c](Range r) { return r.first <= c && c <= r.last; });
}

unsigned displayWidth(char32_t c) {
  static constexpr Range none[] = {{0x300, 0x36F},   {0x483, 0x489},   {0x591, 0x5BD},   {0x610, 0x61A},
                                   {0x64B, 0x65F},   {0x200B, 0x200F}, {0x202A, 0x202E}, {0x2060, 0x206F},
                                   {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}, {0xFEFF, 0xFEFF}};
  static constexpr Range wide[] = {{0x1100, 0x115F},   {0x2E80, 0x303E},   {0x3041, 0xA4CF},  {0xAC00, 0xD7A3},
                                   {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},  {0xFFE0, 0xFFE6},
                                   {0x1F300, 0x1F64F}, {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD}};
  if (inAny(c, std::begin(none), std::end(none)))
    return 0;
  return inAny(c, std::begin(wide), std::end(wide)) ? 2 : 1;
}

/// A line as it is printed, with the column of each byte offset (and of its end).
struct ShownLine {
  std::string text;
  size_t caretBegin = 0, caretEnd = 0; ///< columns
};

ShownLine showLine(std::string_view line, size_t begin, size_t end) {
  struct Cell {
    std::string text;
    size_t column, width;
  };
  std::vector<Cell> cells;
  ShownLine out;
  size_t column = 0;
  for (size_t i = 0; i < line.size();) {
    size_t at = i;
    if (at == begin)
      out.caretBegin = column;
    if (at == end)
      out.caretEnd = column;
    char32_t c = nextCodePoint(line, i);
    Cell cell{std::string(line.substr(at, i - at)), column, displayWidth(c)};
    if (c == '\t')
      cell.text.assign(cell.width = tabWidth - column % tabWidth, ' ');
    else if (c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0xFFFD || (c >= 0x202A && c <= 0x202E) || c == 0xFEFF)
      cell.text = "\xEF\xBF\xBD", cell.width = 1; // would not print, or reorder the line
    column += cell.width;
    cells.push_back(std::move(cell));
  }
  if (begin >= line.size())
    out.caretBegin = column + (begin - line.size() > 0 ? 1 : 0);
  if (end >= line.size())
    out.caretEnd = column;
  out.caretEnd = std::max(out.caretEnd, out.caretBegin + 1);

  size_t from = 0, to = column;
  if (column > maxColumns) {
    from = out.caretBegin > maxColumns / 2 ? out.caretBegin - maxColumns / 2 : 0;
    to = std::min(column, from + maxColumns);
  }
  std::string head = from > 0 ? "..." : "", tail = to < column ? "..." : "";
  out.text = head;
  for (const Cell &cell : cells) {
    if (cell.column < from)
      out.caretBegin -= cell.width, out.caretEnd -= cell.width;
    else if (cell.column < to)
      out.text += cell.text;
  }
  out.text += tail;
  out.caretBegin += head.size();
  out.caretEnd = std::min(out.caretEnd + head.size(), head.size() + (to - from) + 1);
  return out;
}

unsigned lineOf(const Span &s) { return s.source->lineColumn(s.begin).first; }

/// The line with a gutter, and the carets under it; only the first line of a longer span.
void renderPlace(std::string &out, const Span &at, const std::string &label, size_t gutter) {
  unsigned number = lineOf(at);
  std::string_view line = at.source->line(number);
  size_t start = line.data() - at.source->text().data();
  if (line.data() == nullptr)
    start = at.source->text().size();
  ShownLine shown = showLine(line, at.begin - start, std::max(at.end, at.begin) - start);
  while (!shown.text.empty() && shown.text.back() == ' ')
    shown.text.pop_back();
  out += fmt::format("  {:>{}} |{}{}\n", number, gutter, shown.text.empty() ? "" : " ", shown.text);
  out += fmt::format("  {:>{}} | {}{}{}{}\n", "", gutter, std::string(shown.caretBegin, ' '),
                     std::string(shown.caretEnd - shown.caretBegin, '^'), label.empty() ? "" : " ", label);
}

} // namespace

Diagnostic &Diagnostic::note(Span at, std::string text) {
  notes.push_back({at, std::move(text)});
  return *this;
}
Diagnostic &Diagnostic::withLabel(std::string text) {
  label = std::move(text);
  return *this;
}
Diagnostic &Diagnostic::withHelp(std::string text) {
  help = std::move(text);
  return *this;
}

Diagnostic &Diagnostics::report(Msg id, Span at, const std::vector<std::string> &args) {
  Severity severity = msgSeverity(id);
  errors_ += severity == Severity::Error;
  all_.push_back({id, severity, msgText(id, args), at, "", {}, ""});
  return all_.back();
}

std::string renderDiagnostic(const Diagnostic &d) {
  std::string out;
  const Source *source = d.span.source;
  if (source) {
    auto [line, column] = source->lineColumn(d.span.begin);
    out += fmt::format("{}:{}:{}: ", source->path(), line, column);
  } else {
    out += "attnc: ";
  }
  out += fmt::format("{}[{}]: {}\n", d.severity == Severity::Error ? "error" : "warning", msgName(d.id), d.message);

  unsigned longest = source ? lineOf(d.span) : 1;
  for (const Note &n : d.notes)
    if (n.span.source)
      longest = std::max(longest, lineOf(n.span));
  size_t gutter = std::to_string(longest).size();
  if (source)
    renderPlace(out, d.span, d.label, gutter);
  for (const Note &n : d.notes) {
    if (!n.span.source) {
      out += fmt::format("  note: {}\n", n.text);
      continue;
    }
    if (n.span.source != source) {
      auto [line, column] = n.span.source->lineColumn(n.span.begin);
      out += fmt::format("  {}:{}:{}:\n", n.span.source->path(), line, column);
    }
    renderPlace(out, n.span, "note: " + n.text, gutter);
  }
  if (!d.help.empty())
    out += fmt::format("  help: {}\n", d.help);
  return out;
}

std::string Diagnostics::render() const {
  std::string out;
  for (const Diagnostic &d : all_)
    out += renderDiagnostic(d);
  return out;
}

} // namespace attnc
