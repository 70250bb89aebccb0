//===- Nests of every kind against plain loops ----------------------------===//
//
// Each test is tile text, run on odd extents and odd strides, vectorised and not, for both instruction sets where the
// machine has them, and compared with the same thing in C++.
//===----------------------------------------------------------------------===//
#include "test/codegen/cpu/Harness.h"
#include <gtest/gtest.h>
#include <limits>

using harness::Array;
using harness::Kernel;

namespace {

const std::vector<int64_t> kExtents = {0, 1, 3, 16, 17, 100};

/// Values that are all different, small, of both signs.
float value(int64_t i) { return float((i * 37 + 11) % 101) / 25.0f - 2.0f; }

template <typename T> void fill(Array<T> &a, int64_t seed = 0) {
  a.each([&](T &x, int64_t i) { x = T(value(i + seed)); });
}

uint16_t toBf16(float f) {
  uint32_t u;
  std::memcpy(&u, &f, 4);
  if (f != f)
    return uint16_t(u >> 16 | 0x40);
  return uint16_t((u + 0x7FFF + (u >> 16 & 1)) >> 16);
}
float fromBf16(uint16_t h) {
  uint32_t u = uint32_t(h) << 16;
  float f;
  std::memcpy(&f, &u, 4);
  return f;
}

struct Mode {
  const char *name, *arch;
  bool vectorise;
};

void PrintTo(const Mode &mode, std::ostream *os) { *os << mode.name; }

class CpuCodegen : public testing::TestWithParam<Mode> {
protected:
  /// Compiles; `header` and `body` are wrapped in the usual text.
  std::unique_ptr<Kernel> compile(const std::string &text) {
    auto kernel = std::make_unique<Kernel>(text, GetParam().arch, GetParam().vectorise);
    EXPECT_EQ(kernel->error, "");
    return kernel->error.empty() ? std::move(kernel) : nullptr;
  }
};

bool machineHasAvx512() { return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl"); }

std::vector<Mode> modes() {
  std::vector<Mode> all = {{"scalar", "x86-64-v3", false}, {"avx2", "x86-64-v3", true}};
  if (machineHasAvx512())
    all.push_back({"avx512", "x86-64-v4", true});
  return all;
}

INSTANTIATE_TEST_SUITE_P(Modes, CpuCodegen, testing::ValuesIn(modes()),
                         [](const testing::TestParamInfo<Mode> &info) { return std::string(info.param.name); });

//===--- Elementwise ---===//

TEST_P(CpuCodegen, AddsWithAnyStrides) {
  auto kernel = compile(R"(
    tile.program @p symbols ["n", "m"] {
    ^bb0(%n: i64, %m: i64):
      %c0 = arith.constant 0 : i64
      %x = tile.arg input 0 "x" : !tile.buf<f32, 2>
      %y = tile.arg input 1 "y" : !tile.buf<f32, 1>
      %o = tile.arg output 0 "o" : !tile.buf<f32, 2>
      tile.kernel grid [%g = %n] {
        tile.nest par [%j = %c0 to %m] {
          %a = tile.load %x[%g, %j] : !tile.buf<f32, 2>
          %b = tile.load %y[%j] : !tile.buf<f32, 1>
          %s = arith.addf %a, %b : f32
          tile.store %s, %o[%g, %j] : !tile.buf<f32, 2>
        }
      }
    })");
  ASSERT_TRUE(kernel);
  for (int64_t n : kExtents)
    for (int64_t m : kExtents)
      for (int layout = 0; layout < 3; ++layout) {
        std::vector<int> order = layout == 1 ? std::vector<int>{1, 0} : std::vector<int>{0, 1};
        Array<float> x({n, m}, order, layout == 2), y({m}), o({n, m}, order), want({n, m}, order);
        fill(x);
        fill(y, 5);
        for (int64_t i = 0; i < n; ++i)
          for (int64_t j = 0; j < m; ++j)
            want(i, j) = x(i, j) + y(j);
        kernel->run({n, m}, {x.arg(), y.arg(), o.arg()});
        ASSERT_EQ(o.data, want.data) << n << " " << m << " layout " << layout;
      }
}

TEST_P(CpuCodegen, ConvertsEveryStorageType) {
  auto kernel = compile(R"(
    tile.program @p symbols ["n"] {
    ^bb0(%n: i64):
      %c0 = arith.constant 0 : i64
      %a = tile.arg input 0 "a" : !tile.buf<bf16, 1>
      %b = tile.arg input 1 "b" : !tile.buf<f16, 1>
      %c = tile.arg input 2 "c" : !tile.buf<f64, 1>
      %d = tile.arg input 3 "d" : !tile.buf<i32, 1>
      %e = tile.arg input 4 "e" : !tile.buf<i64, 1>
      %f = tile.arg input 5 "f" : !tile.buf<i1, 1>
      %oa = tile.arg output 0 "oa" : !tile.buf<bf16, 1>
      %ob = tile.arg output 1 "ob" : !tile.buf<f16, 1>
      %oc = tile.arg output 2 "oc" : !tile.buf<f64, 1>
      %od = tile.arg output 3 "od" : !tile.buf<i32, 1>
      %oe = tile.arg output 4 "oe" : !tile.buf<i64, 1>
      %of = tile.arg output 5 "of" : !tile.buf<i1, 1>
      tile.kernel grid [] {
        tile.nest par [%i = %c0 to %n] {
          %xa = tile.load %a[%i] : !tile.buf<bf16, 1>
          %xb = tile.load %b[%i] : !tile.buf<f16, 1>
          %xc = tile.load %c[%i] : !tile.buf<f64, 1>
          %xd = tile.load %d[%i] : !tile.buf<i32, 1>
          %xe = tile.load %e[%i] : !tile.buf<i64, 1>
          %xf = tile.load %f[%i] : !tile.buf<i1, 1>
          %third = arith.constant 3.3333e-01 : f32
          %sa = arith.mulf %xa, %third : f32
          tile.store %sa, %oa[%i] : !tile.buf<bf16, 1>
          tile.store %xb, %ob[%i] : !tile.buf<f16, 1>
          %wide = arith.extf %xa : f32 to f64
          %sc = arith.addf %xc, %wide : f64
          tile.store %sc, %oc[%i] : !tile.buf<f64, 1>
          %sd = arith.addi %xd, %xe : i64
          tile.store %sd, %od[%i] : !tile.buf<i32, 1>
          %se = arith.select %xf, %xe, %xd : i64
          tile.store %se, %oe[%i] : !tile.buf<i64, 1>
          %true = arith.constant true
          %sf = arith.xori %xf, %true : i1
          tile.store %sf, %of[%i] : !tile.buf<i1, 1>
        }
      }
    })");
  ASSERT_TRUE(kernel);
  for (int64_t n : kExtents) {
    Array<uint16_t> a({n}), b({n}), oa({n}), ob({n});
    Array<double> c({n}), oc({n});
    Array<int32_t> d({n}), od({n});
    Array<int64_t> e({n}), oe({n});
    Array<uint8_t> f({n}), of({n});
    for (int64_t i = 0; i < n; ++i) {
      a(i) = toBf16(value(i));
      b(i) = uint16_t(0x3C00 + i);
      c(i) = i * 0.1;
      d(i) = int32_t(i * 7 - 50);
      e(i) = (i - 20) * 10000000000;
      f(i) = i % 3 == 0;
    }
    if (n > 2)
      a(2) = 0x7F81; // a signalling NaN stays NaN
    kernel->run({n}, {a.arg(), b.arg(), c.arg(), d.arg(), e.arg(), f.arg(), oa.arg(), ob.arg(), oc.arg(), od.arg(),
                      oe.arg(), of.arg()});
    for (int64_t i = 0; i < n; ++i) {
      float x = fromBf16(a(i));
      if (x != x) {
        EXPECT_TRUE(std::isnan(fromBf16(oa(i))));
        EXPECT_TRUE(std::isnan(oc(i)));
      } else {
        EXPECT_EQ(oa(i), toBf16(x * 0.33333f));
        EXPECT_EQ(oc(i), c(i) + double(x));
      }
      EXPECT_EQ(ob(i), b(i));
      EXPECT_EQ(od(i), int32_t(uint64_t(d(i)) + uint64_t(e(i))));
      EXPECT_EQ(oe(i), f(i) ? e(i) : d(i));
      EXPECT_EQ(of(i), !f(i));
    }
  }
}

TEST_P(CpuCodegen, ReadsThroughIndices) {
  // o[i, j] = x[idx[j], n-1-i]: a gather along j, a backward walk along i.
  auto kernel = compile(R"(
    tile.program @p symbols ["n", "m"] {
    ^bb0(%n: i64, %m: i64):
      %c0 = arith.constant 0 : i64
      %c1 = arith.constant 1 : i64
      %x = tile.arg input 0 "x" : !tile.buf<f32, 2>
      %idx = tile.arg input 1 "idx" : !tile.buf<i32, 1>
      %o = tile.arg output 0 "o" : !tile.buf<f32, 2>
      tile.kernel grid [] {
        tile.nest par [%i = %c0 to %n, %j = %c0 to %m] {
          %k = tile.load %idx[%j] : !tile.buf<i32, 1>
          %last = arith.subi %n, %c1 : i64
          %r = arith.subi %last, %i : i64
          %a = tile.load %x[%k, %r] : !tile.buf<f32, 2>
          tile.store %a, %o[%i, %j] : !tile.buf<f32, 2>
        }
      }
    })");
  ASSERT_TRUE(kernel);
  for (int64_t n : kExtents)
    for (int64_t m : kExtents) {
      Array<float> x({5, n}), o({n, m}), want({n, m});
      Array<int32_t> idx({m});
      fill(x);
      for (int64_t j = 0; j < m; ++j)
        idx(j) = int32_t(j * 3 % 5);
      for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < m; ++j)
          want(i, j) = x(idx(j), n - 1 - i);
      kernel->run({n, m}, {x.arg(), idx.arg(), o.arg()});
      ASSERT_EQ(o.data, want.data) << n << " " << m;
    }
}

//===--- Reductions ---===//

TEST_P(CpuCodegen, ReducesAlongTheLastDim) {
  auto kernel = compile(R"(
    tile.program @p symbols ["n", "m"] {
    ^bb0(%n: i64, %m: i64):
      %c0 = arith.constant 0 : i64
      %x = tile.arg input 0 "x" : !tile.buf<f32, 2>
      %o = tile.arg output 0 "o" : !tile.buf<f32, 2>
      %oi = tile.arg output 1 "oi" : !tile.buf<i64, 2>
      %ob = tile.arg output 2 "ob" : !tile.buf<i1, 2>
      tile.kernel grid [] {
        tile.nest par [%i = %c0 to %n] red [%j = %c0 to %m] {
          %a = tile.load %x[%i, %j] : !tile.buf<f32, 2>
          %zero = arith.constant 0.0 : f32
          %pos = arith.cmpf ogt, %a, %zero : f32
          %half = arith.constant 0.5 : f32
          %f = arith.mulf %a, %half : f32
          tile.yield %a, %f, %a, %a, %pos, %pos, %j, %a, %j, %pos, %a, %j, %pos : f32, f32, f32, f32, i1, i1, i64, f32, i64, i1, f32, i64, i1
        } combine [sum, prod, max, min, any, all, sum, argmax, argmin] finish(%i: i64, %sum: f32, %prod: f32, %max: f32, %min: f32, %any: i1, %all: i1, %js: i64, %amax: i64, %amin: i64) {
          %k0 = arith.constant 0 : i64
          %k1 = arith.constant 1 : i64
          %k2 = arith.constant 2 : i64
          %k3 = arith.constant 3 : i64
          tile.store %sum, %o[%i, %k0] : !tile.buf<f32, 2>
          tile.store %prod, %o[%i, %k1] : !tile.buf<f32, 2>
          tile.store %max, %o[%i, %k2] : !tile.buf<f32, 2>
          tile.store %min, %o[%i, %k3] : !tile.buf<f32, 2>
          tile.store %any, %ob[%i, %k0] : !tile.buf<i1, 2>
          tile.store %all, %ob[%i, %k1] : !tile.buf<i1, 2>
          tile.store %js, %oi[%i, %k0] : !tile.buf<i64, 2>
          tile.store %amax, %oi[%i, %k1] : !tile.buf<i64, 2>
          tile.store %amin, %oi[%i, %k2] : !tile.buf<i64, 2>
        }
      }
    })");
  ASSERT_TRUE(kernel);
  for (int64_t n : kExtents)
    for (int64_t m : {0, 1, 3, 16, 17, 100, 333})
      for (int transposed = 0; transposed < 2; ++transposed) {
        Array<float> x({n, m}, transposed ? std::vector<int>{1, 0} : std::vector<int>{0, 1}), o({n, 4});
        Array<int64_t> oi({n, 3});
        Array<uint8_t> ob({n, 2});
        fill(x, m);
        // Row 1 has NaN at a place; row 2 has nothing valid.
        if (n > 1 && m > 2)
          x(1, m / 2) = std::numeric_limits<float>::quiet_NaN();
        for (int64_t j = 0; n > 2 && j < m; ++j)
          x(2, j) = -1;
        kernel->run({n, m}, {x.arg(), o.arg(), oi.arg(), ob.arg()});
        for (int64_t i = 0; i < n; ++i) {
          double sum = 0, prod = 1;
          float max = -INFINITY, min = INFINITY;
          bool any = false, all = true, nan = false;
          int64_t amax = 0, amin = 0;
          bool found = false;
          for (int64_t j = 0; j < m; ++j) {
            float a = x(i, j);
            nan |= a != a;
            sum += a;
            prod *= a * 0.5f;
            max = std::max(max, a);
            min = std::min(min, a);
            any |= a > 0;
            all &= a > 0;
            if (a > 0) {
              if (!found || a > x(i, amax))
                amax = j;
              if (!found || a < x(i, amin))
                amin = j;
              found = true;
            }
          }
          SCOPED_TRACE(testing::Message() << n << " " << m << " row " << i);
          if (nan) {
            EXPECT_TRUE(std::isnan(o(i, 0)) && std::isnan(o(i, 2)) && std::isnan(o(i, 3)));
          } else {
            EXPECT_NEAR(o(i, 0), sum, 1e-4);
            EXPECT_NEAR(o(i, 1), prod, 1e-4 * std::abs(prod) + 1e-37);
            EXPECT_EQ(o(i, 2), max);
            EXPECT_EQ(o(i, 3), min);
          }
          EXPECT_EQ(ob(i, 0), any);
          EXPECT_EQ(ob(i, 1), all);
          EXPECT_EQ(oi(i, 0), m * (m - 1) / 2);
          EXPECT_EQ(oi(i, 1), amax);
          EXPECT_EQ(oi(i, 2), amin);
        }
      }
}

TEST_P(CpuCodegen, ReducesAcrossRows) {
  // The contiguous dim stays: lanes along it.
  auto kernel = compile(R"(
    tile.program @p symbols ["n", "m", "k"] {
    ^bb0(%n: i64, %m: i64, %k: i64):
      %c0 = arith.constant 0 : i64
      %x = tile.arg input 0 "x" : !tile.buf<f32, 3>
      %o = tile.arg output 0 "o" : !tile.buf<f32, 1>
      tile.kernel grid [] {
        tile.nest par [%j = %c0 to %m] red [%i = %c0 to %n, %l = %c0 to %k] {
          %a = tile.load %x[%i, %l, %j] : !tile.buf<f32, 3>
          tile.yield %a, %a : f32, f32
        } combine [sum, max] finish(%j: i64, %s: f32, %t: f32) {
          %d = arith.subf %s, %t : f32
          tile.store %d, %o[%j] : !tile.buf<f32, 1>
        }
      }
    })");
  ASSERT_TRUE(kernel);
  for (int64_t n : {1, 3, 17})
    for (int64_t m : kExtents)
      for (int64_t k : {1, 2, 5}) {
        Array<float> x({n, k, m}), o({m});
        fill(x);
        kernel->run({n, m, k}, {x.arg(), o.arg()});
        for (int64_t j = 0; j < m; ++j) {
          float sum = 0, max = -INFINITY;
          for (int64_t i = 0; i < n; ++i)
            for (int64_t l = 0; l < k; ++l) {
              sum += x(i, l, j);
              max = std::max(max, x(i, l, j));
            }
          EXPECT_NEAR(o(j), sum - max, 1e-4);
        }
      }
}

//===--- Contractions ---===//

/// o[g, r, i, j] = 2 * sum over k, l of a[g, r, i, k, l] * s[k] * b[g, ...] + i: a batch dim, a dim only a has, two red
/// dims.
std::string contraction(const std::string &type, bool bTransposed) {
  std::string text = R"(
    tile.program @p symbols ["g", "r", "m", "n", "k", "l"] {
    ^bb0(%G: i64, %R: i64, %M: i64, %N: i64, %K: i64, %L: i64):
      %c0 = arith.constant 0 : i64
      %a = tile.arg input 0 "a" : !tile.buf<TYPE, 5>
      %b = tile.arg input 1 "b" : !tile.buf<TYPE, 4>
      %s = tile.arg input 2 "s" : !tile.buf<TYPE, 1>
      %o = tile.arg output 0 "o" : !tile.buf<TYPE, 4>
      tile.kernel grid [%g = %G] {
        tile.nest par [%r = %c0 to %R, %i = %c0 to %M, %j = %c0 to %N] red [%l = %c0 to %L, %k = %c0 to %K] {
          %x = tile.load %a[%g, %r, %i, %k, %l] : !tile.buf<TYPE, 5>
          %y = tile.load %b[%g, BAT, %l] : !tile.buf<TYPE, 4>
          %z = tile.load %s[%k] : !tile.buf<TYPE, 1>
          %p = arith.mulf %x, %z : COMP
          %q = arith.mulf %p, %y : COMP
          tile.yield %q : COMP
        } combine [sum] finish(%r: i64, %i: i64, %j: i64, %acc: COMP) {
          %two = arith.constant 2.0 : COMP
          %d = arith.mulf %acc, %two : COMP
          %f = arith.sitofp %i : i64 to COMP
          %e = arith.addf %d, %f : COMP
          tile.store %e, %o[%g, %r, %i, %j] : !tile.buf<TYPE, 4>
        }
      }
    })";
  auto put = [&](const std::string &word, const std::string &by) {
    for (size_t at; (at = text.find(word)) != std::string::npos;)
      text.replace(at, word.size(), by);
  };
  put("TYPE", type);
  put("COMP", type == "f64" ? "f64" : "f32");
  put("BAT", bTransposed ? "%j, %k" : "%k, %j");
  return text;
}

template <typename T>
void checkContraction(Kernel &kernel, bool bTransposed, const std::vector<int64_t> &e, int layout) {
  int64_t G = e[0], R = e[1], M = e[2], N = e[3], K = e[4], L = e[5];
  std::vector<int> order5 = {0, 1, 2, 3, 4}, order4 = {0, 1, 2, 3};
  if (layout == 1)
    order5 = {4, 3, 0, 2, 1}, order4 = {3, 0, 2, 1};
  Array<T> a({G, R, M, K, L}, order5),
      b(bTransposed ? std::vector<int64_t>{G, N, K, L} : std::vector<int64_t>{G, K, N, L}, order4);
  Array<T> s({K}), o({G, R, M, N}, order4);
  fill(a);
  fill(b, 3);
  fill(s, 7);
  kernel.run(e, {a.arg(), b.arg(), s.arg(), o.arg()});
  for (int64_t g = 0; g < G; ++g)
    for (int64_t r = 0; r < R; ++r)
      for (int64_t i = 0; i < M; ++i)
        for (int64_t j = 0; j < N; ++j) {
          double sum = 0;
          for (int64_t k = 0; k < K; ++k)
            for (int64_t l = 0; l < L; ++l)
              sum += double(a(g, r, i, k, l)) * s(k) * (bTransposed ? b(g, j, k, l) : b(g, k, j, l));
          double want = 2 * sum + double(i), tolerance = (sizeof(T) == 8 ? 1e-13 : 1e-5) * double(K * L + 10);
          ASSERT_NEAR(double(o(g, r, i, j)), want, tolerance) << "g " << g << " r " << r << " i " << i << " j " << j;
        }
}

TEST_P(CpuCodegen, Contracts) {
  for (bool transposed : {false, true})
    for (const char *type : {"f32", "f64"}) {
      auto kernel = compile(contraction(type, transposed));
      ASSERT_TRUE(kernel);
      for (const std::vector<int64_t> &e : std::vector<std::vector<int64_t>>{{1, 1, 8, 32, 16, 1},
                                                                             {2, 3, 17, 33, 5, 2},
                                                                             {1, 1, 1, 100, 17, 1},
                                                                             {1, 2, 4, 8, 0, 1},
                                                                             {1, 2, 5, 9, 4, 0},
                                                                             {0, 1, 5, 9, 4, 1},
                                                                             {1, 2, 140, 270, 30, 1},
                                                                             {2, 2, 131, 9, 261, 2},
                                                                             {1, 1, 100, 100, 300, 1},
                                                                             {1, 100, 6, 17, 9, 1}})
        for (int layout : {0, 1}) {
          SCOPED_TRACE(testing::Message() << type << " extents " << testing::PrintToString(e) << " layout " << layout
                                          << " transposed " << transposed);
          if (std::string(type) == "f64")
            checkContraction<double>(*kernel, transposed, e, layout);
          else
            checkContraction<float>(*kernel, transposed, e, layout);
        }
    }
}

TEST_P(CpuCodegen, ContractsUnderGuards) {
  // o[i, j] = sum over k <= i, k % 3 != 1, j != 5 of a[i, k] / d[i] * b[k, j]: what is left out may be NaN or infinite.
  auto kernel = compile(R"(
    tile.program @p symbols ["m", "n", "k"] {
    ^bb0(%M: i64, %N: i64, %K: i64):
      %c0 = arith.constant 0 : i64
      %a = tile.arg input 0 "a" : !tile.buf<f32, 2>
      %b = tile.arg input 1 "b" : !tile.buf<f32, 2>
      %d = tile.arg input 2 "d" : !tile.buf<f32, 1>
      %o = tile.arg output 0 "o" : !tile.buf<f32, 2>
      tile.kernel grid [] {
        tile.nest par [%i = %c0 to %M, %j = %c0 to %N] red [%k = %c0 to %K] {
          %x = tile.load %a[%i, %k] : !tile.buf<f32, 2>
          %y = tile.load %b[%k, %j] : !tile.buf<f32, 2>
          %z = tile.load %d[%i] : !tile.buf<f32, 1>
          %e = arith.divf %x, %z : f32
          %p = arith.mulf %e, %y : f32
          %before = arith.cmpi sle, %k, %i : i64
          %c1 = arith.constant 1 : i64
          %c3 = arith.constant 3 : i64
          %c5 = arith.constant 5 : i64
          %r = arith.remsi %k, %c3 : i64
          %odd = arith.cmpi ne, %r, %c1 : i64
          %col = arith.cmpi ne, %j, %c5 : i64
          %both = arith.andi %before, %odd : i1
          %all = arith.andi %both, %col : i1
          %zero = arith.constant 0.0 : f32
          %q = arith.select %all, %p, %zero : f32
          tile.yield %q : f32
        } combine [sum] finish(%i: i64, %j: i64, %acc: f32) {
          tile.store %acc, %o[%i, %j] : !tile.buf<f32, 2>
        }
      }
    })");
  ASSERT_TRUE(kernel);
  for (const std::vector<int64_t> &e :
       std::vector<std::vector<int64_t>>{{8, 8, 8}, {17, 33, 17}, {300, 40, 300}, {5, 9, 300}})
    for (int bad = 0; bad < 3; ++bad) {
      int64_t M = e[0], N = e[1], K = e[2];
      Array<float> a({M, K}), b({K, N}), d({M}), o({M, N});
      fill(a);
      fill(b, 3);
      for (int64_t i = 0; i < M; ++i)
        d(i) = 1.0f + float(i % 3);
      if (bad) // only in places that are left out, or reach one row
        b(K - 1, 2) = INFINITY, b(4, 3) = NAN, a(3, 4) = NAN;
      if (bad == 2)
        b(0, 4) = INFINITY;
      kernel->run(e, {a.arg(), b.arg(), d.arg(), o.arg()});
      for (int64_t i = 0; i < M; ++i)
        for (int64_t j = 0; j < N; ++j) {
          double want = 0;
          for (int64_t k = 0; k < K; ++k)
            if (k <= i && k % 3 != 1 && j != 5)
              want += double(a(i, k)) / d(i) * b(k, j);
          SCOPED_TRACE(testing::Message() << testing::PrintToString(e) << " bad " << bad);
          if (std::isfinite(want))
            EXPECT_NEAR(o(i, j), want, 1e-3) << i << " " << j;
          else
            EXPECT_FALSE(std::isfinite(o(i, j))) << i << " " << j;
        }
    }
}

//===--- In order ---===//

TEST_P(CpuCodegen, ConvolvesAcrossChannels) {
  // Clamped positions under a guard; rows of h share what is loaded. An infinite weight counts only where it is used.
  auto kernel = compile(R"(
    tile.program @p symbols ["h", "n", "k"] {
    ^bb0(%h: i64, %n: i64, %k: i64):
      %c0 = arith.constant 0 : i64
      %c1 = arith.constant 1 : i64
      %c2 = arith.constant 2 : i64
      %zero = arith.constant 0.0 : f32
      %w = tile.arg input 0 "w" : !tile.buf<f32, 3>
      %x = tile.arg input 1 "x" : !tile.buf<f32, 2>
      %o = tile.arg output 0 "o" : !tile.buf<f32, 2>
      tile.kernel grid [] {
        tile.nest par [%i = %c0 to %h, %j = %c0 to %n] red [%g = %c0 to %h, %r = %c0 to %k] {
          %a = tile.load %w[%g, %i, %r] : !tile.buf<f32, 3>
          %by = arith.muli %c2, %r : i64
          %up = arith.addi %j, %by : i64
          %down = arith.subi %up, %k : i64
          %p = arith.addi %down, %c1 : i64
          %last = arith.subi %n, %c1 : i64
          %most = arith.minsi %p, %last : i64
          %at = arith.maxsi %most, %c0 : i64
          %b = tile.load %x[%g, %at] : !tile.buf<f32, 2>
          %ab = arith.mulf %a, %b : f32
          %above = arith.cmpi sge, %p, %c0 : i64
          %below = arith.cmpi sgt, %n, %p : i64
          %in = arith.andi %above, %below : i1
          %v = arith.select %in, %ab, %zero : f32
          tile.yield %v : f32
        } combine [sum] finish(%i: i64, %j: i64, %s: f32) {
          tile.store %s, %o[%i, %j] : !tile.buf<f32, 2>
        }
      }
    })");
  ASSERT_TRUE(kernel);
  for (int64_t h : {1, 3, 6})
    for (int64_t n : kExtents)
      for (int64_t k : {1, 3, 5}) {
        Array<float> w({h, h, k}), x({h, n}), o({h, n});
        fill(w);
        fill(x, 5);
        w(0, 0, 0) = INFINITY;
        kernel->run({h, n, k}, {w.arg(), x.arg(), o.arg()});
        for (int64_t i = 0; i < h; ++i)
          for (int64_t j = 0; j < n; ++j) {
            float sum = 0;
            for (int64_t g = 0; g < h; ++g)
              for (int64_t r = 0; r < k; ++r)
                if (int64_t p = j + 2 * r - k + 1; p >= 0 && p < n)
                  sum += w(g, i, r) * x(g, p);
            if (std::isfinite(sum))
              EXPECT_NEAR(o(i, j), sum, 1e-4);
            else
              EXPECT_EQ(std::isnan(o(i, j)) ? 0 : o(i, j), std::isnan(sum) ? 0 : sum);
          }
      }
}

TEST_P(CpuCodegen, ReadsPastBothEnds) {
  // Bounds that no guard knows of, one of them past the end of the tensor where no lane is.
  auto kernel = compile(R"(
    tile.program @p symbols ["n", "lo", "hi"] {
    ^bb0(%n: i64, %lo: i64, %hi: i64):
      %c0 = arith.constant 0 : i64
      %c3 = arith.constant 3 : i64
      %x = tile.arg input 0 "x" : !tile.buf<f32, 1>
      %o = tile.arg output 0 "o" : !tile.buf<f32, 1>
      tile.kernel grid [] {
        tile.nest par [%j = %c0 to %n] {
          %p = arith.subi %j, %c3 : i64
          %most = arith.minsi %p, %hi : i64
          %at = arith.maxsi %lo, %most : i64
          %v = tile.load %x[%at] : !tile.buf<f32, 1>
          tile.store %v, %o[%j] : !tile.buf<f32, 1>
        }
      }
    })");
  ASSERT_TRUE(kernel);
  for (int64_t n : kExtents)
    for (int64_t lo : {0, 2})
      for (int64_t hi : {2, 15, 16, 40, 1000000000}) {
        if (lo >= n) // nothing to read
          continue;
        Array<float> x({n}), o({n});
        fill(x);
        kernel->run({n, lo, hi}, {x.arg(), o.arg()});
        for (int64_t j = 0; j < n; ++j)
          EXPECT_EQ(o(j), x(std::max(lo, std::min(j - 3, hi)))) << n << " " << lo << " " << hi << " " << j;
      }
}

TEST_P(CpuCodegen, ScattersInOrder) {
  auto kernel = compile(R"(
    tile.program @p symbols ["n", "m"] {
    ^bb0(%n: i64, %m: i64):
      %c0 = arith.constant 0 : i64
      %c1 = arith.constant 1 : i64
      %c7 = arith.constant 7 : i64
      %x = tile.arg input 0 "x" : !tile.buf<f32, 2>
      %idx = tile.arg input 1 "idx" : !tile.buf<i64, 1>
      %o = tile.arg output 0 "o" : !tile.buf<f32, 2>
      %run = tile.arg output 1 "run" : !tile.buf<f32, 2>
      tile.kernel grid [] {
        %acc = tile.alloc [%m] : !tile.buf<f32, 1>
        tile.nest par [%i = %c0 to %c7, %j = %c0 to %m] {
          %zero = arith.constant 0.0 : f32
          tile.store %zero, %o[%i, %j] : !tile.buf<f32, 2>
        }
        tile.nest par [%j = %c0 to %m] {
          %zero = arith.constant 0.0 : f32
          tile.store %zero, %acc[%j] : !tile.buf<f32, 1>
        }
        tile.nest par [%j = %c0 to %m] seq [%i = %c0 to %n] {
          %k = tile.load %idx[%i] : !tile.buf<i64, 1>
          %a = tile.load %x[%i, %j] : !tile.buf<f32, 2>
          %zero = arith.constant 0.0 : f32
          %pos = arith.cmpf ogt, %a, %zero : f32
          tile.update sum %a, %o[%k, %j] if %pos : !tile.buf<f32, 2>
          %before = tile.load %acc[%j] : !tile.buf<f32, 1>
          %after = arith.addf %before, %a : f32
          tile.store %after, %acc[%j] : !tile.buf<f32, 1>
          tile.store %after, %run[%i, %j] : !tile.buf<f32, 2>
        }
      }
    })");
  ASSERT_TRUE(kernel);
  for (int64_t n : kExtents)
    for (int64_t m : kExtents) {
      Array<float> x({n, m}), o({7, m}), run({n, m}), want({7, m}), sums({n, m});
      Array<int64_t> idx({n});
      fill(x);
      for (int64_t i = 0; i < n; ++i)
        idx(i) = i * 5 % 7;
      for (int64_t j = 0; j < m; ++j) {
        float sum = 0;
        for (int64_t i = 0; i < n; ++i) {
          if (x(i, j) > 0)
            want(idx(i), j) += x(i, j);
          sums(i, j) = sum += x(i, j);
        }
      }
      kernel->run({n, m}, {x.arg(), idx.arg(), o.arg(), run.arg()});
      EXPECT_EQ(o.data, want.data) << n << " " << m;
      EXPECT_EQ(run.data, sums.data) << n << " " << m;
    }
}

TEST_P(CpuCodegen, SortsRows) {
  auto kernel = compile(R"(
    tile.program @p symbols ["n"] {
    ^bb0(%n: i64):
      %c0 = arith.constant 0 : i64
      %c3 = arith.constant 3 : i64
      %x = tile.arg input 0 "x" : !tile.buf<f32, 1>
      %o = tile.arg output 0 "o" : !tile.buf<i64, 1>
      tile.kernel grid [] {
        %valid = tile.alloc [%n] : !tile.buf<i1, 1>
        tile.nest par [%i = %c0 to %n] {
          %zero = arith.constant 0.0 : f32
          %a = tile.load %x[%i] : !tile.buf<f32, 1>
          %p = arith.cmpf ogt, %a, %zero : f32
          tile.store %p, %valid[%i] : !tile.buf<i1, 1>
        }
        tile.sort %x[%c0], %valid[%c0] length %n -> %o[%c0] count %c3 {descending, nan = never}
          : !tile.buf<f32, 1>, !tile.buf<i1, 1> -> !tile.buf<i64, 1>
      }
    })");
  ASSERT_TRUE(kernel);
  Array<float> x({6});
  x.data = {1, -5, 4, 4, 2, -1};
  Array<int64_t> o({3});
  kernel->run({6}, {x.arg(), o.arg()});
  EXPECT_EQ(o(0), 2);
  EXPECT_EQ(o(1), 3);
  EXPECT_EQ(o(2), 4);
  Array<float> none({2});
  none.data = {-1, -1};
  kernel->run({2}, {none.arg(), o.arg()});
  EXPECT_EQ(o(0), 0);
}

//===--- Structure ---===//

TEST_P(CpuCodegen, PassesWorkspaceBetweenKernelsAndLoopsAroundThem) {
  // t = 2 .. 0 downwards: w[i] = 2 w[i] + x[i, t], one launch per step.
  auto kernel = compile(R"(
    tile.program @p symbols ["n"] {
    ^bb0(%n: i64):
      %c0 = arith.constant 0 : i64
      %c2 = arith.constant 2 : i64
      %m1 = arith.constant -1 : i64
      %x = tile.arg input 0 "x" : !tile.buf<f32, 2>
      %o = tile.arg output 0 "o" : !tile.buf<f32, 1>
      %dummy = tile.alloc [%n, %n] : !tile.buf<f64, 2>
      %w = tile.alloc [%n] : !tile.buf<f32, 1>
      tile.kernel grid [%i = %n] {
        tile.nest par [] {
          %zero = arith.constant 0.0 : f32
          tile.store %zero, %w[%i] : !tile.buf<f32, 1>
        }
      }
      tile.for %t = %c2 to %m1 step %m1 {
        tile.kernel grid [%i = %n] {
          tile.nest par [] {
            %a = tile.load %w[%i] : !tile.buf<f32, 1>
            %b = tile.load %x[%i, %t] : !tile.buf<f32, 2>
            %two = arith.constant 2.0 : f32
            %c = arith.mulf %a, %two : f32
            %d = arith.addf %c, %b : f32
            tile.store %d, %w[%i] : !tile.buf<f32, 1>
          }
        }
      }
      tile.kernel grid [] {
        tile.nest par [%i = %c0 to %n] {
          %a = tile.load %w[%i] : !tile.buf<f32, 1>
          tile.store %a, %o[%i] : !tile.buf<f32, 1>
        }
      }
    })");
  ASSERT_TRUE(kernel);
  for (int64_t n : kExtents) {
    Array<float> x({n, 3}), o({n});
    fill(x);
    kernel->run({n}, {x.arg(), o.arg()});
    for (int64_t i = 0; i < n; ++i)
      EXPECT_NEAR(o(i), 4 * x(i, 2) + 2 * x(i, 1) + x(i, 0), 1e-5);
    int64_t symbols[] = {n};
    int64_t least = std::max<int64_t>(n * n * 8, 8) + std::max<int64_t>(n * 4, 4);
    EXPECT_GE(kernel->workspaceBytes(symbols), least);
    EXPECT_LE(kernel->workspaceBytes(symbols), least + 128);
  }
  int64_t huge[] = {int64_t(1) << 40};
  EXPECT_GT(kernel->workspaceBytes(huge), int64_t(1) << 62) << "saturates instead of wrapping around";
}

TEST_P(CpuCodegen, LoadsBoundsInsideKernels) {
  // Row g sums len[g] elements; positions from a grid of two dims.
  auto kernel = compile(R"(
    tile.program @p symbols ["n", "m"] {
    ^bb0(%n: i64, %m: i64):
      %c0 = arith.constant 0 : i64
      %c1 = arith.constant 1 : i64
      %len = tile.arg input 0 "len" : !tile.buf<i32, 1>
      %x = tile.arg input 1 "x" : !tile.buf<f32, 3>
      %o = tile.arg output 0 "o" : !tile.buf<f32, 2>
      tile.kernel grid [%g = %n, %h = %m] {
        %l = tile.load %len[%g] : !tile.buf<i32, 1>
        %s = tile.alloc [%c1] : !tile.buf<f32, 1>
        tile.nest par [%i = %c0 to %c1] {
          %zero = arith.constant 0.0 : f32
          tile.store %zero, %s[%i] : !tile.buf<f32, 1>
        }
        tile.for %t = %c0 to %l step %c1 {
          tile.nest par [%i = %c0 to %c1] {
            %a = tile.load %s[%i] : !tile.buf<f32, 1>
            %b = tile.load %x[%g, %h, %t] : !tile.buf<f32, 3>
            %c = arith.addf %a, %b : f32
            tile.store %c, %s[%i] : !tile.buf<f32, 1>
          }
        }
        tile.nest par [] {
          %a = tile.load %s[%c0] : !tile.buf<f32, 1>
          tile.store %a, %o[%g, %h] : !tile.buf<f32, 2>
        }
      }
    })");
  ASSERT_TRUE(kernel);
  for (int64_t n : kExtents)
    for (int64_t m : {1, 3, 17}) {
      Array<int32_t> len({n});
      Array<float> x({n, m, 9}), o({n, m});
      fill(x);
      for (int64_t g = 0; g < n; ++g)
        len(g) = int32_t(g % 10);
      kernel->run({n, m}, {len.arg(), x.arg(), o.arg()});
      for (int64_t g = 0; g < n; ++g)
        for (int64_t h = 0; h < m; ++h) {
          float sum = 0;
          for (int t = 0; t < len(g); ++t)
            sum += x(g, h, t);
          EXPECT_EQ(o(g, h), sum);
        }
    }
}

} // namespace
