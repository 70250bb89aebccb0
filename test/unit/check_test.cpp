//===- The checker's complaints that no spec alone provokes ---------------===//
#include "frontend/Check.h"
#include <gtest/gtest.h>

using namespace attnc;

namespace {

const char *const twoMixers = "mixer first(x: [i]) -> (o: [i]) { param window = 3 o = window * x }\n"
                              "mixer second(x: [i]) -> (o: [i]) { o = 2 * x }\n";

/// What is said when `mixer` of `text` is checked.
std::string said(const std::string &text, const std::string &mixer = "", const CheckOptions &options = {}) {
  Diagnostics diags;
  auto spec = loadSpecText("spec.attn", text, diags);
  auto program = spec ? checkMixer(*spec, mixer, options, diags) : nullptr;
  EXPECT_EQ(program == nullptr, diags.hasErrors());
  EXPECT_LE(diags.errorCount(), 1u) << "one mistake, one error";
  return diags.render();
}

#define EXPECT_SAID(part, ...)                                                                                         \
  do {                                                                                                                 \
    std::string rendered_ = said(__VA_ARGS__);                                                                         \
    EXPECT_NE(rendered_.find(part), std::string::npos) << rendered_;                                                   \
  } while (false)

TEST(Choice, OfAMixer) {
  EXPECT_SAID("error[A506]: the file has no mixer", "fn f(x) = x");
  EXPECT_SAID("error[A507]: the file has several mixers, choose one of: first, second", twoMixers);
  EXPECT_SAID("error[A508]: no mixer `secnd`; the file has: first, second", twoMixers, "secnd");
  EXPECT_SAID("help: --mixer second", twoMixers, "secnd");
  EXPECT_EQ(said(twoMixers, "second"), "");
}

TEST(Choice, OfAParam) {
  CheckOptions options;
  options.params["windw"] = "4";
  EXPECT_SAID("error[A505]: no param `windw` in mixer `first`", twoMixers, "first", options);
  EXPECT_SAID("help: --set window=4", twoMixers, "first", options);
}

TEST(Files, Unreadable) {
  Diagnostics diags;
  EXPECT_EQ(loadSpec("no/such/file.attn", diags), nullptr);
  EXPECT_EQ(diags.render(), "attnc: error[A515]: `no/such/file.attn` cannot be read: there is no such file\n");
}

TEST(Limits, Axes) {
  std::string body;
  for (int i = 0; i < 2500; ++i)
    body += "axis a" + std::to_string(i) + ":1\n";
  EXPECT_SAID("error[A118]: the spec makes more than 2000 axes", "mixer m(x: [i]) -> (o: [i]) {\n" + body + "o = x }");
}

TEST(Limits, Inlining) {
  // Every function calls the one before it twice.
  std::string text = "fn g0(x) { return x * x }\n";
  for (int i = 1; i <= 40; ++i) {
    std::string g = "g" + std::to_string(i - 1);
    text += "fn g" + std::to_string(i) + "(x) = " + g + "(x + 1) * " + g + "(x + 2)\n";
  }
  EXPECT_SAID("error[A202]: the spec is too large once its functions are inlined",
              text + "mixer m(x: [i]) -> (o: [i]) { o = g40(x) }");
}

TEST(Limits, DeepestExpressionThatParses) {
  std::string chain = "x";
  for (int i = 0; i < 999; ++i)
    chain += " + x";
  EXPECT_EQ(said("mixer m(x: [i]) -> (o: [i]) { o = " + chain + " }"), "");
  std::string nested(250, '('), ends(250, ')');
  EXPECT_EQ(said("mixer m(x: [i]) -> (o: [i]) { o = " + nested + "x" + ends + " }"), "");
}

} // namespace
