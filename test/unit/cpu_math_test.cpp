//===- Accuracy of the math functions in generated code -------------------===//
//
// Every f32 function on about a million floats of every size and both signs, against the C library in f64. An ulp is
// the distance of neighbouring floats at the exact result. Values that callers rely on are tested by name.
//===----------------------------------------------------------------------===//
#include "test/codegen/cpu/Harness.h"
#include <cfenv>
#include <functional>
#include <gtest/gtest.h>

using harness::Array;
using harness::Kernel;

namespace {

std::string unary(const std::string &op, const std::string &type) {
  return R"(
    tile.program @p symbols ["n"] {
    ^bb0(%n: i64):
      %c0 = arith.constant 0 : i64
      %x = tile.arg input 0 "x" : !tile.buf<T, 1>
      %o = tile.arg output 0 "o" : !tile.buf<T, 1>
      tile.kernel grid [] {
        tile.nest par [%i = %c0 to %n] {
          %a = tile.load %x[%i] : !tile.buf<T, 1>
          %r = )" +
         op + R"( : T
          tile.store %r, %o[%i] : !tile.buf<T, 1>
        }
      }
    })";
}

std::string withType(std::string text, const std::string &type) {
  for (size_t at = 0; (at = text.find_first_of("T", at)) != std::string::npos; ++at)
    if (!isalnum(text[at + 1]) && !isalnum(text[at - 1]))
      text.replace(at, 1, type);
  return text;
}

float fromBits(uint32_t u) {
  float f;
  std::memcpy(&f, &u, 4);
  return f;
}

struct Function {
  const char *name;
  double (*exact)(double);
  double ulps;      ///< allowed
  double low, high; ///< range of arguments
};

void PrintTo(const Function &f, std::ostream *os) { *os << f.name; }

double rsqrtExact(double x) { return 1 / std::sqrt(x); }

class CpuMath : public testing::TestWithParam<Function> {};

TEST_P(CpuMath, IsAccurate) {
  const Function &f = GetParam();
  Kernel kernel(withType(unary(std::string("math.") + f.name + " %a", "f32"), "f32"));
  ASSERT_EQ(kernel.error, "");
  std::vector<float> arguments = {0.0f,          -0.0f,          INFINITY, -INFINITY, NAN,    1.0f,    -1.0f,  2.0f,
                                  0.5f,          88.72284f,      -87.5f,   -103.9f,   128.0f, -149.0f, 1e-45f, -1e-45f,
                                  3.4028235e38f, 1.1754944e-38f, 12345.0f, 131071.0f, 1e9f,   3.0e22f};
  for (uint64_t u = 0; u < (uint64_t(1) << 32); u += 4099)
    if (float x = fromBits(uint32_t(u)); x >= f.low && x <= f.high)
      arguments.push_back(x);
  for (float x = -20; x < 20; x += 1e-4f)
    arguments.push_back(x);
  Array<float> x({int64_t(arguments.size())}), o({int64_t(arguments.size())});
  std::copy(arguments.begin(), arguments.end(), x.data.begin());
  kernel.run({int64_t(arguments.size())}, {x.arg(), o.arg()});

  double worst = 0;
  float worstAt = 0;
  for (size_t i = 0; i < arguments.size(); ++i) {
    double want = f.exact(double(arguments[i]));
    float got = o.data[i], rounded = float(want);
    if (std::isnan(want) || std::isinf(rounded) || rounded == 0) {
      bool same = std::isnan(want) ? std::isnan(got) : got == rounded;
      // One ulp around the border to infinity and to zero is fine.
      if (!same && !std::isnan(want))
        same = std::isinf(rounded) ? got == std::copysign(3.4028235e38f, rounded) : std::abs(got) <= 1.5e-45f;
      EXPECT_TRUE(same) << f.name << "(" << arguments[i] << ") = " << got << ", not " << rounded;
      continue;
    }
    double ulp = std::max(std::abs(double(std::nextafter(std::abs(rounded), INFINITY)) - std::abs(rounded)), 1.4e-45);
    if (std::isinf(ulp))
      ulp = std::ldexp(1.0, 104);
    double error = std::abs(got - want) / ulp;
    if (!(error <= worst)) {
      worst = error;
      worstAt = arguments[i];
    }
  }
  printf("%-8s worst error %.2f ulp at %.9g\n", f.name, worst, worstAt);
  EXPECT_LE(worst, f.ulps) << "at " << worstAt;
}

INSTANTIATE_TEST_SUITE_P(Functions, CpuMath,
                         testing::Values(Function{"exp", std::exp, 2, -INFINITY, INFINITY},
                                         Function{"exp2", std::exp2, 2, -INFINITY, INFINITY},
                                         Function{"expm1", std::expm1, 3, -INFINITY, INFINITY},
                                         Function{"log", std::log, 2, -INFINITY, INFINITY},
                                         Function{"log1p", std::log1p, 3, -INFINITY, INFINITY},
                                         Function{"sin", std::sin, 2, -INFINITY, INFINITY},
                                         Function{"cos", std::cos, 2, -INFINITY, INFINITY},
                                         Function{"tanh", std::tanh, 4, -INFINITY, INFINITY},
                                         Function{"erf", std::erf, 3, -INFINITY, INFINITY},
                                         Function{"sqrt", std::sqrt, 0.5001, -INFINITY, INFINITY},
                                         Function{"rsqrt", rsqrtExact, 2, -INFINITY, INFINITY}),
                         [](const testing::TestParamInfo<Function> &info) { return std::string(info.param.name); });

TEST(CpuMathExact, KeepsFixedPoints) {
  for (auto [op, at, want] : {std::tuple("math.exp", 0.0f, 1.0f),
                              {"math.exp", -0.0f, 1.0f},
                              {"math.exp2", 10.0f, 1024.0f},
                              {"math.exp2", -149.0f, 1.4e-45f},
                              {"math.log", 1.0f, 0.0f},
                              {"math.tanh", 0.0f, 0.0f},
                              {"math.tanh", 40.0f, 1.0f},
                              {"math.erf", -40.0f, -1.0f},
                              {"math.expm1", -90.0f, -1.0f}}) {
    Kernel kernel(withType(unary(std::string(op) + " %a", "f32"), "f32"));
    ASSERT_EQ(kernel.error, "");
    Array<float> x({1}), o({1});
    x(0) = at;
    kernel.run({1}, {x.arg(), o.arg()});
    EXPECT_EQ(o(0), want) << op;
  }
}

// What lies below a maximum: results below the smallest normal number are 0, and 1e-7 of 1 is enough far from 0.
TEST(CpuMathExact, ExpBelowAMaximum) {
  for (auto [op, exact] : {std::pair("math.exp %a fastmath<afn>", static_cast<double (*)(double)>(std::exp)),
                           std::pair("math.exp2 %a fastmath<afn>", static_cast<double (*)(double)>(std::exp2))}) {
    Kernel kernel(withType(unary(op, "f32"), "f32"));
    ASSERT_EQ(kernel.error, "");
    std::vector<float> arguments{0.0f, -INFINITY, NAN, INFINITY, -3.4e38f, -1e4f};
    for (float x = -140; x < 60; x += 0.01f)
      arguments.push_back(x);
    Array<float> x({int64_t(arguments.size())}), o({int64_t(arguments.size())});
    std::copy(arguments.begin(), arguments.end(), x.data.begin());
    kernel.run({int64_t(arguments.size())}, {x.arg(), o.arg()});
    EXPECT_EQ(o.data[0], 1.0f);
    EXPECT_EQ(o.data[1], 0.0f);
    EXPECT_TRUE(std::isnan(o.data[2]));
    EXPECT_EQ(o.data[3], INFINITY);
    for (size_t i = 4; i < arguments.size(); ++i) {
      double at = arguments[i], want = exact(at);
      EXPECT_LE(std::abs(o.data[i] - want), want * 1.5e-7 * (2 + std::abs(at)) + 1.2e-38) << op << " at " << at;
    }
  }
}

// The same where the argument is no NaN: what is below the smallest normal number is no longer exact, but 0 from 2^-127
// on.
TEST(CpuMathExact, ExpOfANumberBelowAMaximum) {
  Kernel kernel(withType(unary("math.exp2 %a fastmath<nnan,afn>", "f32"), "f32"));
  ASSERT_EQ(kernel.error, "");
  std::vector<float> arguments{0.0f, -INFINITY, INFINITY, -3.4e38f, -1e4f, -127.0f, 127.0f, 128.0f};
  for (float x = -140; x < 128; x += 0.01f)
    arguments.push_back(x);
  Array<float> x({int64_t(arguments.size())}), o({int64_t(arguments.size())});
  std::copy(arguments.begin(), arguments.end(), x.data.begin());
  kernel.run({int64_t(arguments.size())}, {x.arg(), o.arg()});
  EXPECT_EQ(o.data[0], 1.0f);
  EXPECT_EQ(o.data[1], 0.0f);
  EXPECT_EQ(o.data[2], INFINITY);
  for (size_t i = 3; i < arguments.size(); ++i) {
    double at = arguments[i], want = std::exp2(at);
    if (at <= -127)
      EXPECT_EQ(o.data[i], 0.0f) << at;
    else if (at < 128)
      EXPECT_LE(std::abs(o.data[i] - want), want * 1.5e-7 * 2 + 1.2e-38) << at;
  }
}

// A multiplication that underflows takes many times as long: masks make such logits by the thousand.
TEST(CpuMathExact, LeavesMaskedLogitsWithoutUnderflow) {
  for (const char *op : {"math.exp", "math.exp2"}) {
    Kernel kernel(withType(unary(std::string(op) + " %a", "f32"), "f32"));
    ASSERT_EQ(kernel.error, "");
    std::vector<float> arguments(33, -10000.0f);
    arguments[1] = -INFINITY;
    arguments[2] = -1e9f;
    arguments[3] = -300.0f;
    Array<float> x({33}), o({33});
    std::copy(arguments.begin(), arguments.end(), x.data.begin());
    std::feclearexcept(FE_ALL_EXCEPT);
    kernel.run({33}, {x.arg(), o.arg()});
    EXPECT_FALSE(std::fetestexcept(FE_UNDERFLOW)) << op;
    for (float v : o.data)
      EXPECT_EQ(v, 0.0f) << op;
  }
}

// An f64 is reduced as such, so that angles of far positions are right; what is rounded of it is as exact as an f32.
TEST(CpuMathDouble, IsRoundedToFloat) {
  std::vector<double> arguments{0.0,   -0.0,   INFINITY, -INFINITY, NAN,    1.0,
                                -87.5, -103.9, 88.7228,  1e300,     -1e300, 3.0e22};
  for (double x = -150; x < 150; x += 0.0113)
    arguments.push_back(x);
  for (double x = 0.1; x < 1e13; x *= 1.0173) {
    arguments.push_back(x);
    arguments.push_back(-x);
  }
  int64_t n = int64_t(arguments.size());
  for (auto [name, exact] : {std::pair("sin", static_cast<double (*)(double)>(std::sin)),
                             {"cos", static_cast<double (*)(double)>(std::cos)},
                             {"exp", static_cast<double (*)(double)>(std::exp)},
                             {"exp2", static_cast<double (*)(double)>(std::exp2)}}) {
    Kernel kernel(R"(
      tile.program @p symbols ["n"] {
      ^bb0(%n: i64):
        %c0 = arith.constant 0 : i64
        %x = tile.arg input 0 "x" : !tile.buf<f64, 1>
        %o = tile.arg output 0 "o" : !tile.buf<f32, 1>
        tile.kernel grid [] {
          tile.nest par [%i = %c0 to %n] {
            %a = tile.load %x[%i] : !tile.buf<f64, 1>
            %r = math.)" +
                  std::string(name) + R"( %a : f64
            %s = arith.truncf %r : f64 to f32
            tile.store %s, %o[%i] : !tile.buf<f32, 1>
          }
        }
      })");
    ASSERT_EQ(kernel.error, "");
    Array<double> x({n});
    Array<float> o({n});
    std::copy(arguments.begin(), arguments.end(), x.data.begin());
    kernel.run({n}, {x.arg(), o.arg()});
    for (int64_t i = 0; i < n; ++i) {
      double want = exact(arguments[size_t(i)]);
      float got = o.data[size_t(i)], rounded = float(want);
      if (std::isnan(want) || std::isinf(rounded)) {
        EXPECT_TRUE(std::isnan(want) ? std::isnan(got) : got == rounded) << name << " at " << arguments[size_t(i)];
        continue;
      }
      EXPECT_LE(std::abs(got - want), std::abs(want) * 2.4e-7 + 1.5e-45) << name << " at " << arguments[size_t(i)];
    }
  }
}

TEST(CpuMathExact, RaisesToPowers) {
  Kernel kernel(R"(
    tile.program @p symbols ["n"] {
    ^bb0(%n: i64):
      %c0 = arith.constant 0 : i64
      %x = tile.arg input 0 "x" : !tile.buf<f32, 1>
      %k = tile.arg input 1 "k" : !tile.buf<i64, 1>
      %o = tile.arg output 0 "o" : !tile.buf<f32, 1>
      %ok = tile.arg output 1 "ok" : !tile.buf<i64, 1>
      %or = tile.arg output 2 "or" : !tile.buf<f32, 1>
      %oi = tile.arg output 3 "oi" : !tile.buf<i64, 1>
      tile.kernel grid [] {
        tile.nest par [%i = %c0 to %n] {
          %a = tile.load %x[%i] : !tile.buf<f32, 1>
          %b = tile.load %k[%i] : !tile.buf<i64, 1>
          %y = arith.constant 2.5 : f32
          %r = math.powf %a, %y : f32
          tile.store %r, %o[%i] : !tile.buf<f32, 1>
          %three = arith.constant 3 : i64
          %s = math.ipowi %b, %three : i64
          tile.store %s, %ok[%i] : !tile.buf<i64, 1>
          %m = arith.remf %a, %y : f32
          tile.store %m, %or[%i] : !tile.buf<f32, 1>
          %big = arith.constant 1.0e+18 : f32
          %q = arith.mulf %a, %big : f32
          %int = arith.fptosi %q : f32 to i64
          tile.store %int, %oi[%i] : !tile.buf<i64, 1>
        }
      }
    })");
  ASSERT_EQ(kernel.error, "");
  const int64_t n = 40;
  Array<float> x({n}), o({n}), rem({n});
  Array<int64_t> k({n}), ok({n}), oi({n});
  for (int64_t i = 0; i < n; ++i) {
    x(i) = float(i) - 15.3f;
    k(i) = i - 20;
  }
  x(5) = NAN;
  kernel.run({n}, {x.arg(), k.arg(), o.arg(), ok.arg(), rem.arg(), oi.arg()});
  for (int64_t i = 0; i < n; ++i) {
    float want = std::pow(double(x(i)), 2.5);
    EXPECT_TRUE(std::isnan(want) ? std::isnan(o(i)) : std::abs(o(i) - want) <= 2e-7f * want);
    EXPECT_EQ(ok(i), k(i) * k(i) * k(i));
    float r = std::fmod(x(i), 2.5f);
    EXPECT_TRUE(std::isnan(r) ? std::isnan(rem(i)) : rem(i) == r) << x(i) << " " << rem(i) << " " << r;
    float q = x(i) * 1e18f;
    int64_t whole = q != q ? 0 : q >= 9.3e18f ? INT64_MAX : q <= -9.3e18f ? INT64_MIN : int64_t(q);
    EXPECT_EQ(oi(i), whole);
  }
}

TEST(CpuMathDouble, CallsTheLibrary) {
  for (auto [op, exact] : {std::pair<const char *, double (*)(double)>("math.exp", std::exp),
                           {"math.log", std::log},
                           {"math.sin", std::sin},
                           {"math.tanh", std::tanh},
                           {"math.erf", std::erf},
                           {"math.log1p", std::log1p}}) {
    Kernel kernel(withType(unary(std::string(op) + " %a", "f64"), "f64"));
    ASSERT_EQ(kernel.error, "");
    Array<double> x({19}), o({19});
    for (int i = 0; i < 19; ++i)
      x(i) = 0.3 * i + 0.01;
    kernel.run({19}, {x.arg(), o.arg()});
    for (int i = 0; i < 19; ++i)
      EXPECT_EQ(o(i), exact(x(i))) << op;
  }
}

} // namespace
