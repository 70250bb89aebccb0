//===- Spans of the tree, and texts that no test file can hold ------------===//
#include "frontend/Parser.h"
#include <gtest/gtest.h>
#include <random>

using namespace attnc;

namespace {

std::string textOf(Span s) { return std::string(s.source->text().substr(s.begin, s.end - s.begin)); }

TEST(Spans, OfExpressions) {
  Source source("a", "\xEF\xBB\xBF// é\nfn f(x, c) = (x + 1) * -x[t := 2] where sum[j](c) < 3 <= c ");
  Diagnostics diags;
  auto file = parse(source, diags);
  ASSERT_TRUE(file) << diags.render();
  const ast::Fn &fn = file->fns.at(0);
  EXPECT_EQ(textOf(fn.name.span), "f");
  EXPECT_EQ(textOf(fn.params.at(1).span), "c");
  EXPECT_EQ(textOf(fn.span), "fn f(x, c) = (x + 1) * -x[t := 2] where sum[j](c) < 3 <= c");
  const ast::Expr *where = fn.results.at(0);
  ASSERT_EQ(where->kind, ast::ExprKind::Where);
  EXPECT_EQ(textOf(where->nameSpan), "where");
  const ast::Expr *product = where->args.at(0);
  EXPECT_EQ(textOf(product->span), "(x + 1) * -x[t := 2]");
  EXPECT_EQ(textOf(product->nameSpan), "*");
  EXPECT_EQ(textOf(product->args.at(0)->span), "x + 1");
  const ast::Expr *read = product->args.at(1)->args.at(0);
  ASSERT_EQ(read->kind, ast::ExprKind::Read);
  EXPECT_EQ(textOf(read->span), "x[t := 2]");
  EXPECT_EQ(textOf(read->substs.at(0).span), "t := 2");
  EXPECT_EQ(textOf(read->substs.at(0).axis->span), "t");
  const ast::Expr *compare = where->args.at(1);
  ASSERT_EQ(compare->kind, ast::ExprKind::Compare);
  EXPECT_EQ(compare->args.size(), 3u);
  EXPECT_EQ(textOf(compare->span), "sum[j](c) < 3 <= c");
  EXPECT_EQ(textOf(compare->nameSpan), "<");
  EXPECT_EQ(textOf(compare->args.at(0)->span), "sum[j](c)");
  EXPECT_EQ(textOf(compare->args.at(0)->nameSpan), "sum");
}

TEST(Spans, OfDeclarations) {
  Source source("a",
                "/// d\nmixer m(q: f16[(g r), t=(n u:16)] in v = 0) -> (o: []) {\r\n  axis m:#n\r\n  o = 1 init 2 }");
  Diagnostics diags;
  auto file = parse(source, diags);
  ASSERT_TRUE(file) << diags.render();
  const ast::Mixer &mixer = file->mixers.at(0);
  EXPECT_EQ(mixer.doc, "d");
  const ast::Decl &q = mixer.inputs.at(0);
  EXPECT_EQ(textOf(q.span), "q: f16[(g r), t=(n u:16)] in v = 0");
  EXPECT_EQ(textOf(q.dims.at(0).span), "(g r)");
  EXPECT_EQ(textOf(q.dims.at(1).span), "t=(n u:16)");
  EXPECT_EQ(textOf(q.dims.at(1).parts.at(1).extent->span), "16");
  EXPECT_EQ(textOf(q.promise->span), "v");
  EXPECT_EQ(textOf(mixer.body.at(0).span), "axis m:#n");
  EXPECT_EQ(textOf(mixer.body.at(1).span), "o = 1 init 2");
}

/// Whatever the text is, parse() returns a file, or null and an error that can be printed.
void expectAnswer(const std::string &text) {
  Source source("a", text);
  Diagnostics diags;
  auto file = parse(source, diags);
  EXPECT_EQ(file == nullptr, diags.hasErrors());
  EXPECT_LE(diags.errorCount(), 21u);
  diags.render();
  if (file)
    dumpAst(*file);
}

TEST(Robust, RandomBytes) {
  std::mt19937 random(1);
  for (int i = 0; i < 300; ++i) {
    std::string text;
    for (int k = 0; k < 200; ++k)
      text += char(random());
    expectAnswer(text);
  }
}

TEST(Robust, RandomTokens) {
  const char *words[] = {"mixer", "fn",  "m",   "q",   "(",  ")",     "[",      "]",    "{",       "}",  "->",
                         ":",     ",",   "=",   ":=",  "+",  "-",     "**",     "<",    "where",   "if", "else",
                         "i",     "j",   "3",   "1.5", "\n", ";",     "axis",   "init", "last",    "_",  "|",
                         "#",     "not", "and", "in",  "or", "\"s\"", "return", "==",   "schedule"};
  std::mt19937 random(2);
  for (int i = 0; i < 2000; ++i) {
    std::string text = i % 2 ? "mixer m(q: [i]) -> (o: [i]) {\n" : "";
    for (int k = random() % 60; k > 0; --k) {
      text += words[random() % std::size(words)];
      text += ' ';
    }
    expectAnswer(text);
  }
}

TEST(Robust, DamagedSpecs) {
  const std::string good =
      "/// doc\nfn rms[c](x) = x * rsqrt(mean[c](x * x) + 1e-6)\n"
      "mixer m(q: [b, (g r), i:N, d], k: f16[b, j:N=(c u:64), d] = 0) -> (o: [b]) {\n"
      "  axis m:#n; param W = 3\n  require #b > 0, \"text\"\n"
      "  s, z: [b] = softmax[j | _](q[t-1] where not j <= i < 3, (x if a else b)[m := last]) init 0\n"
      "  o = -s ** 2\n}\nschedule m cpu { tile i = 64, j = 2; fuse }\n";
  for (size_t i = 0; i < good.size(); ++i) {
    expectAnswer(good.substr(0, i));
    expectAnswer(good.substr(0, i) + good.substr(i + 1));
    expectAnswer(good.substr(0, i) + ")" + good.substr(i));
    expectAnswer(good.substr(0, i) + " = " + good.substr(i));
    expectAnswer(good.substr(0, i) + "\n" + good.substr(i));
  }
}

} // namespace
