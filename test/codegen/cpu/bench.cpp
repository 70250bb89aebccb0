//===- Speed of generated kernels -----------------------------------------===//
//
// cpu_bench [filter]: rates of typical nests on one core, and how long they took to compile. Contractions are shown as
// a fraction of the peak of fused multiply-adds, measured first.
//===----------------------------------------------------------------------===//
#include "test/codegen/cpu/Harness.h"
#include <ctime>

using harness::Array;
using harness::Kernel;

namespace {

/// Time of this thread on a core: others may use the machine.
double now() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}

/// 32 multiply-adds a turn, 16 of them independent, in assembly so that no compiler flag matters.
double peak() {
  double best = 0;
  for (int repeat = 0; repeat < 9; ++repeat) {
    const int64_t n = 1000000;
    double start = now();
    for (int64_t i = 0; i < n; ++i)
      asm volatile(".irp r,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n vfmadd231ps %%zmm30,%%zmm31,%%zmm\\r\n .endr\n"
                   ".irp r,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n vfmadd231ps %%zmm30,%%zmm31,%%zmm\\r\n .endr" ::
                       : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
                         "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    best = std::max(best, n * 32 * 32 / (now() - start) / 1e9);
  }
  return best;
}

struct Case {
  std::string name, text;
  std::vector<int64_t> symbols;
  std::vector<Array<float>> arrays;
  double work; ///< flops or bytes
  bool flops;
};

double seconds(Kernel &kernel, Case &c) {
  std::vector<attnc::KernelArg> args;
  for (auto &a : c.arrays)
    args.push_back(a.arg());
  kernel.run(c.symbols, args);
  double best = 1e9;
  for (int i = 0; i < 15; ++i) {
    double start = now();
    kernel.run(c.symbols, args);
    best = std::min(best, now() - start);
  }
  return best;
}

/// o[i, j] = finish(sum over k of pre(a[aAt]) * b[bAt]) for batch g.
std::string contraction(const std::string &aAt, const std::string &bAt, const std::string &pre = "",
                        const std::string &post = "", const std::string &type = "f32") {
  return R"(
    tile.program @p symbols ["g", "m", "n", "k"] {
    ^bb0(%G: i64, %M: i64, %N: i64, %K: i64):
      %c0 = arith.constant 0 : i64
      %one = arith.constant 1.0 : f32
      %a = tile.arg input 0 "a" : !tile.buf<)" +
         type + R"(, 3>
      %b = tile.arg input 1 "b" : !tile.buf<)" +
         type + R"(, 3>
      %o = tile.arg output 0 "o" : !tile.buf<f32, 3>
      tile.kernel grid [%g = %G] {
        tile.nest par [%i = %c0 to %M, %j = %c0 to %N] red [%k = %c0 to %K] {
          %x = tile.load %a[%g, )" +
         aAt + R"(] : !tile.buf<)" + type + R"(, 3>
          %y = tile.load %b[%g, )" +
         bAt + R"(] : !tile.buf<)" + type + R"(, 3>
          )" +
         (pre.empty() ? "%p = arith.mulf %x, %y : f32" : pre) +
         R"(
          tile.yield %p : f32
        } combine [sum] finish(%i: i64, %j: i64, %acc: f32) {
          )" +
         (post.empty() ? "tile.store %acc, %o[%g, %i, %j] : !tile.buf<f32, 3>" : post) + R"(
        }
      }
    })";
}

std::vector<Case> cases() {
  std::vector<Case> all;
  auto gemm = [&](const std::string &name, int64_t g, int64_t m, int64_t n, int64_t k, const std::string &aAt,
                  const std::string &bAt, const std::string &pre = "", const std::string &post = "",
                  std::vector<int> order = {}, const std::string &type = "f32") {
    std::vector<int64_t> a = aAt[1] == 'i' ? std::vector<int64_t>{g, m, k} : std::vector<int64_t>{g, k, m};
    std::vector<int64_t> b = bAt[1] == 'k' ? std::vector<int64_t>{g, k, n} : std::vector<int64_t>{g, n, k};
    Case c{name, contraction(aAt, bAt, pre, post, type), {g, m, n, k}, {}, 2.0 * g * m * n * k, true};
    c.arrays = {Array<float>(a, order), Array<float>(b, order), Array<float>({g, m, n}, order)};
    for (auto &x : c.arrays)
      x.each([](float &v, int64_t i) { v = float(i * 37 % 101) / 101 - 0.5f; });
    all.push_back(std::move(c));
  };
  for (int64_t s : {64, 128, 256, 512, 1024, 1536})
    gemm("gemm " + std::to_string(s), 1, s, s, s, "%i, %k", "%k, %j");
  gemm("gemm 509 511 513", 1, 509, 511, 513, "%i, %k", "%k, %j");
  gemm("A^T B 512", 1, 512, 512, 512, "%k, %i", "%k, %j");
  gemm("A B^T 512", 1, 512, 512, 512, "%i, %k", "%j, %k");
  gemm("A^T B^T 512", 1, 512, 512, 512, "%k, %i", "%j, %k");
  gemm("strided 512 (batch inside)", 2, 512, 512, 512, "%i, %k", "%k, %j", "", "", {1, 2, 0});
  gemm("batched 8x256", 8, 256, 256, 256, "%i, %k", "%k, %j");
  gemm("scores 8 heads 1024x1024x64", 8, 1024, 1024, 64, "%i, %k", "%j, %k");
  gemm("values 8 heads 1024x64x1024", 8, 1024, 64, 1024, "%i, %k", "%k, %j");
  gemm("bf16 512", 1, 512, 512, 512, "%i, %k", "%k, %j", "", "", {}, "bf16");
  gemm("exp before, tanh after 512", 1, 512, 512, 512, "%i, %k", "%k, %j",
       "%e = math.exp %x : f32\n %p = arith.mulf %e, %y : f32",
       "%t = math.tanh %acc : f32\n tile.store %t, %o[%g, %i, %j] : !tile.buf<f32, 3>");
  gemm("few rows 4x1024x1024", 1, 4, 1024, 1024, "%i, %k", "%k, %j");
  gemm("one row 1x1024x1024", 1, 1, 1024, 1024, "%i, %k", "%k, %j");
  gemm("one row, B^T", 1, 1, 1024, 1024, "%i, %k", "%j, %k");

  auto map = [&](const std::string &name, const std::string &op, int64_t bytesPer, std::vector<int> order = {}) {
    std::string text = R"(
      tile.program @p symbols ["n", "m"] {
      ^bb0(%n: i64, %m: i64):
        %c0 = arith.constant 0 : i64
        %x = tile.arg input 0 "x" : !tile.buf<f32, 2>
        %o = tile.arg output 0 "o" : !tile.buf<f32, 2>
        tile.kernel grid [%g = %n] {
          tile.nest par [%j = %c0 to %m] {
            %a = tile.load %x[%g, %j] : !tile.buf<f32, 2>
            %r = )" + op +
                       R"( : f32
            tile.store %r, %o[%g, %j] : !tile.buf<f32, 2>
          }
        }
      })";
    Case c{name, text, {64, 4096}, {}, double(64 * 4096), false};
    c.arrays = {Array<float>({64, 4096}, order), Array<float>({64, 4096}, order)};
    c.arrays[0].each([](float &v, int64_t i) { v = float(i * 37 % 1001) / 101; });
    all.push_back(std::move(c));
  };
  map("map mul", "arith.mulf %a, %a", 8);
  map("map mul, strided", "arith.mulf %a, %a", 8, {1, 0});
  for (const char *f : {"exp", "log", "tanh", "sin", "erf", "log1p", "sqrt"})
    map(std::string("map ") + f, std::string("math.") + f + " %a", 8);

  auto reduce = [&](const std::string &name, const std::string &at, const std::string &kind,
                    std::vector<int64_t> dims) {
    Case c{name,
           R"(
      tile.program @p symbols ["n", "m"] {
      ^bb0(%n: i64, %m: i64):
        %c0 = arith.constant 0 : i64
        %x = tile.arg input 0 "x" : !tile.buf<f32, 2>
        %o = tile.arg output 0 "o" : !tile.buf<f32, 1>
        tile.kernel grid [] {
          tile.nest par [%i = %c0 to %n] red [%j = %c0 to %m] {
            %a = tile.load %x[)" +
               at + R"(] : !tile.buf<f32, 2>
            tile.yield %a : f32
          } combine [)" +
               kind + R"(] finish(%i: i64, %s: f32) {
            tile.store %s, %o[%i] : !tile.buf<f32, 1>
          }
        }
      })",
           {512, 512},
           {},
           512.0 * 512,
           false};
    c.arrays = {Array<float>(dims), Array<float>({512})};
    all.push_back(std::move(c));
  };
  reduce("sum along rows", "%i, %j", "sum", {512, 512});
  reduce("max along rows", "%i, %j", "max", {512, 512});
  reduce("sum across rows", "%j, %i", "sum", {512, 512});
  return all;
}

} // namespace

int main(int argc, char **argv) {
  double top = __builtin_cpu_supports("avx512f") ? peak() : 0;
  printf("peak %.1f GF/s\n", top);
  for (Case &c : cases()) {
    if (argc > 1 && c.name.find(argv[1]) == std::string::npos)
      continue;
    double start = now();
    Kernel kernel(c.text);
    double compile = now() - start;
    if (!kernel.error.empty()) {
      printf("%-32s %s\n", c.name.c_str(), kernel.error.c_str());
      continue;
    }
    double t = seconds(kernel, c);
    if (c.flops)
      printf("%-32s %7.1f GF/s %5.1f %%", c.name.c_str(), c.work / t / 1e9, top ? 100 * c.work / t / 1e9 / top : 0);
    else
      printf("%-32s %7.2f G elements/s ", c.name.c_str(), c.work / t / 1e9);
    printf("  compile %3.0f ms, %zu bytes\n", 1000 * compile, kernel.size);
  }
}
