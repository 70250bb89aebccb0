//===- Places, rendering, near names --------------------------------------===//
#include "frontend/Diagnostic.h"
#include <gtest/gtest.h>

using namespace attnc;

namespace {

Span find(const Source &source, std::string_view what) {
  size_t at = source.text().find(what);
  return {&source, uint32_t(at), uint32_t(at + what.size())};
}

std::string rendered(const Source &source, Span at) {
  Diagnostics diags;
  diags.report(Msg::A003, at, {"`x`"});
  return diags.render();
}

TEST(Source, LinesAndColumns) {
  Source s("a", "ab\n\ncd\r\ne");
  EXPECT_EQ(s.lineColumn(0), std::make_pair(1u, 1u));
  EXPECT_EQ(s.lineColumn(2), std::make_pair(1u, 3u));
  EXPECT_EQ(s.lineColumn(3), std::make_pair(2u, 1u));
  EXPECT_EQ(s.lineColumn(5), std::make_pair(3u, 2u));
  EXPECT_EQ(s.lineColumn(9), std::make_pair(4u, 2u));
  EXPECT_EQ(s.lineColumn(1000), std::make_pair(4u, 2u));
  EXPECT_EQ(s.line(1), "ab");
  EXPECT_EQ(s.line(2), "");
  EXPECT_EQ(s.line(3), "cd");
  EXPECT_EQ(s.line(4), "e");
  EXPECT_EQ(s.line(5), "");
  EXPECT_EQ(s.line(0), "");
}

TEST(Source, ColumnsCountCodePoints) {
  Source s("a", "é∞x\n∞y");
  EXPECT_EQ(s.lineColumn(5), std::make_pair(1u, 3u));
  EXPECT_EQ(s.lineColumn(10), std::make_pair(2u, 2u));
  EXPECT_EQ(s.byteOffset(0), 0u);
  EXPECT_EQ(s.byteOffset(2), 5u);
  EXPECT_EQ(s.byteOffset(5), 10u);
  EXPECT_EQ(s.byteOffset(99), 11u);
}

TEST(Source, AnyBytes) {
  Source s("a", std::string("\xff\0\xe2\x88", 4) + "\n\xf0");
  EXPECT_EQ(s.lineColumn(5), std::make_pair(2u, 1u));
  EXPECT_EQ(s.line(2), "\xf0");
}

TEST(Source, Empty) {
  Source s("a", "");
  EXPECT_EQ(s.lineColumn(0), std::make_pair(1u, 1u));
  EXPECT_EQ(rendered(s, {&s, 0, 0}), "a:1:1: error[A003]: unexpected character `x`\n"
                                     "  1 |\n"
                                     "    | ^\n");
}

TEST(Render, LabelNotesHelp) {
  Source s("w.attn", "input K\n\n\n\n\n\n\n\n\n  mask = window(4096)\n");
  Source other("other.attn", "fn f(x) = x\n");
  Diagnostics diags;
  diags.report(Msg::A012, find(s, "window(4096)"), {"less", "more", "K"})
      .withLabel("asks for 4096 keys")
      .withHelp("use window(1024)")
      .note(find(s, "K"), "K has 1024")
      .note({}, "keys are counted from 0")
      .note(find(other, "f(x)"), "from here");
  EXPECT_EQ(diags.render(), "w.attn:10:10: error[A012]: expected less after more, found K\n"
                            "  10 |   mask = window(4096)\n"
                            "     |          ^^^^^^^^^^^^ asks for 4096 keys\n"
                            "   1 | input K\n"
                            "     |       ^ note: K has 1024\n"
                            "  note: keys are counted from 0\n"
                            "  other.attn:1:4:\n"
                            "   1 | fn f(x) = x\n"
                            "     |    ^^^^ note: from here\n"
                            "  help: use window(1024)\n");
}

TEST(Render, TabsAndWideCharacters) {
  Source s("a", "\ta\tb 幅 c");
  EXPECT_EQ(rendered(s, find(s, "b")), "a:1:4: error[A003]: unexpected character `x`\n"
                                       "  1 |     a   b 幅 c\n"
                                       "    |         ^\n");
  EXPECT_EQ(rendered(s, find(s, "幅 c")), "a:1:6: error[A003]: unexpected character `x`\n"
                                          "  1 |     a   b 幅 c\n"
                                          "    |           ^^^^\n");
}

TEST(Render, ControlCharactersAreReplaced) {
  Source s("a", "a\x1b[31m\xff b");
  EXPECT_EQ(rendered(s, find(s, "b")), "a:1:9: error[A003]: unexpected character `x`\n"
                                       "  1 | a\xEF\xBF\xBD[31m\xEF\xBF\xBD b\n"
                                       "    |         ^\n");
}

TEST(Render, SpanOverSeveralLinesEndsWithTheFirst) {
  Source s("a", "ab cd\nef\n");
  EXPECT_EQ(rendered(s, find(s, "cd\nef")), "a:1:4: error[A003]: unexpected character `x`\n"
                                            "  1 | ab cd\n"
                                            "    |    ^^\n");
}

TEST(Render, LongLinesShowThePartAroundTheCaret) {
  Source s("a", std::string(100000, 'x') + "HERE" + std::string(100000, 'y'));
  std::string out = rendered(s, find(s, "HERE"));
  EXPECT_LT(out.size(), 500u);
  size_t caret = out.find("^^^^"), line = out.find("  1 |"), gutter = out.find("    |");
  ASSERT_NE(caret, std::string::npos);
  EXPECT_EQ(out.substr(line + (caret - gutter), 4), "HERE");
}

TEST(Render, CaretBehindTheLine) {
  Source s("a", "ab\ncd");
  EXPECT_EQ(rendered(s, {&s, 2, 2}), "a:1:3: error[A003]: unexpected character `x`\n"
                                     "  1 | ab\n"
                                     "    |   ^\n");
}

TEST(Render, WithoutAPlace) {
  Diagnostics diags;
  diags.report(Msg::A003, {}, {"`x`"});
  EXPECT_EQ(diags.render(), "attnc: error[A003]: unexpected character `x`\n");
}

TEST(NearestName, TypingErrors) {
  std::vector<std::string> names = {"softmax", "sum", "logsumexp", "k", "Keys", "q_rot"};
  EXPECT_EQ(nearestName("sofmax", names), "softmax");
  EXPECT_EQ(nearestName("sotfmax", names), "softmax");
  EXPECT_EQ(nearestName("smu", names), "sum");
  EXPECT_EQ(nearestName("keys", names), "Keys");
  EXPECT_EQ(nearestName("K", names), "k");
  EXPECT_EQ(nearestName("j", names), "");
  EXPECT_EQ(nearestName("attention", names), "");
  EXPECT_EQ(nearestName("q_rto", names), "q_rot");
  EXPECT_EQ(nearestName("", names), "");
  EXPECT_EQ(nearestName("sum", names), "");
}

} // namespace
