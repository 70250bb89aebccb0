// Extents, tensors, files and argument binding.
#include "runtime/Bind.h"
#include "runtime/DeepStack.h"
#include "runtime/Npy.h"
#include "runtime/Safetensors.h"
#include <atomic>
#include <cmath>
#include <fstream>
#include <gtest/gtest.h>
#include <pthread.h>
#include <random>
#include <sys/stat.h>
#include <unistd.h>

using namespace attnc;

namespace {

ExtentRef c(int64_t v) { return extentConst(v); }
ExtentRef s(int i) { return extentSymbol(i); }
ExtentRef mk(ExtentOp op, ExtentRef a, ExtentRef b) { return extentMake(op, {a, b}); }
const std::vector<std::string> kNames = {"N", "b", "c'", "r.1"};

std::string temp(const std::string &name) {
  return testing::TempDir() + "attnc_base_" + std::to_string(getpid()) + "_" + name;
}
void spit(const std::string &path, const std::string &bytes) { std::ofstream(path, std::ios::binary) << bytes; }
std::string slurp(const std::string &path) {
  std::ifstream f(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(f), {}};
}

/// A frame holds 64 bytes that the caller needs after the call.
int64_t depthOf(int64_t n) {
  volatile int64_t frame[8] = {n};
  return n == 0 ? 0 : depthOf(n - 1) + (frame[0] == n);
}

TEST(DeepStack, HoldsMoreThanAnOrdinaryOne) {
  int64_t depth = 0;
  onDeepStack([&] { depth = depthOf(500000); });
  EXPECT_EQ(depth, 500000);
}

TEST(DeepStack, ThrowsWhatTheBodyThrows) {
  EXPECT_THROW(onDeepStack([] { throw std::string("out"); }), std::string);
}

TEST(DeepStack, IsMadeOnce) {
  pthread_t outside = pthread_self(), outer = outside, inner = outside;
  const char *end = nullptr, *innerEnd = nullptr;
  onDeepStack([&] {
    outer = pthread_self();
    end = stackEnd();
    onDeepStack([&] {
      inner = pthread_self();
      innerEnd = stackEnd();
    });
  });
  EXPECT_FALSE(pthread_equal(outer, outside));
  EXPECT_TRUE(pthread_equal(outer, inner));
  EXPECT_NE(end, nullptr);
  EXPECT_EQ(end, innerEnd);
}

TEST(DeepThread, RunsBesideItsMaker) {
  int64_t depth = 0;
  DeepThread thread([&] { depth = depthOf(500000); });
  EXPECT_EQ(depthOf(10), 10);
  thread.join();
  EXPECT_EQ(depth, 500000);
}

TEST(DeepThread, EndsBeforeItIsDestroyed) {
  std::atomic<bool> done = false;
  {
    DeepThread thread([&] { done = depthOf(500000) > 0; });
  }
  EXPECT_TRUE(done);
}

TEST(DeepThread, ThrowsWhatTheBodyThrows) {
  DeepThread thread([] { throw std::string("out"); });
  EXPECT_THROW(thread.join(), std::string);
}

TEST(Extent, Arithmetic) {
  EXPECT_EQ(floorDiv(-7, 2), -4);
  EXPECT_EQ(floorMod(-7, 2), 1);
  EXPECT_EQ(floorMod(7, -2), -1);
  EXPECT_EQ(floorDiv(5, 0), 0);
  EXPECT_EQ(floorMod(5, 0), 0);
  EXPECT_EQ(floorDiv(INT64_MIN, -1), INT64_MIN);
  EXPECT_EQ(ilog2(0), 0);
  EXPECT_EQ(ilog2(1), 0);
  EXPECT_EQ(ilog2(1023), 9);
  EXPECT_EQ(ilog2(1024), 10);
}

TEST(Extent, FoldsAndCompares) {
  EXPECT_EQ(extentAsConst(mk(ExtentOp::Add, c(2), c(3))), 5);
  EXPECT_EQ(mk(ExtentOp::Mul, s(0), c(1))->op, ExtentOp::Symbol);
  EXPECT_EQ(extentAsConst(mk(ExtentOp::Sub, mk(ExtentOp::Add, s(0), c(3)), s(0))), 3);
  auto square = mk(ExtentOp::Mul, mk(ExtentOp::Add, s(0), s(1)), mk(ExtentOp::Add, s(0), s(1)));
  auto spelled =
      mk(ExtentOp::Add, mk(ExtentOp::Mul, s(0), s(0)),
         mk(ExtentOp::Add, mk(ExtentOp::Mul, c(2), mk(ExtentOp::Mul, s(1), s(0))), mk(ExtentOp::Mul, s(1), s(1))));
  EXPECT_TRUE(extentEqual(square, spelled));
  EXPECT_FALSE(extentEqual(square, mk(ExtentOp::Add, spelled, c(1))));
  auto up = [](ExtentRef x) { return mk(ExtentOp::Div, mk(ExtentOp::Add, x, c(15)), c(16)); };
  EXPECT_TRUE(extentEqual(up(mk(ExtentOp::Add, s(0), s(1))), up(mk(ExtentOp::Add, s(1), s(0)))));
  EXPECT_FALSE(extentEqual(up(s(0)), up(s(1))));
  EXPECT_TRUE(extentEqual(mk(ExtentOp::Lt, s(0), s(1)), mk(ExtentOp::Gt, s(1), s(0))));
  EXPECT_EQ(extentEval(up(s(0)), {17}), 2);
  EXPECT_EQ(extentEval(up(s(0)), {-1}), std::nullopt);
  EXPECT_EQ(extentAsConst(extentSpecialise(up(s(0)), {33})), 3);
}

TEST(Extent, TextReadsBack) {
  std::mt19937 rng(1);
  std::function<ExtentRef(int)> random = [&](int depth) -> ExtentRef {
    if (depth == 0)
      return rng() % 3 ? s(static_cast<int>(rng() % 4)) : c(static_cast<int64_t>(rng() % 9) - 4);
    static const ExtentOp ops[] = {ExtentOp::Add, ExtentOp::Sub, ExtentOp::Mul,   ExtentOp::Div, ExtentOp::Mod,
                                   ExtentOp::Min, ExtentOp::Max, ExtentOp::Ilog2, ExtentOp::Lt,  ExtentOp::Le,
                                   ExtentOp::Gt,  ExtentOp::Ge,  ExtentOp::Eq,    ExtentOp::Ne,  ExtentOp::And,
                                   ExtentOp::Or,  ExtentOp::Not};
    ExtentOp op = ops[rng() % std::size(ops)];
    if (op == ExtentOp::Ilog2 || op == ExtentOp::Not)
      return extentMake(op, {random(depth - 1)});
    return extentMake(op, {random(depth - 1), random(depth - 1)});
  };
  for (int i = 0; i < 2000; ++i) {
    ExtentRef e = random(1 + i % 5);
    std::string text = extentText(e, kNames);
    auto back = extentParse(text, kNames);
    ASSERT_TRUE(back) << text;
    for (int k = 0; k < 5; ++k) {
      std::vector<int64_t> v = {int64_t(rng() % 20), int64_t(rng() % 5), int64_t(rng() % 3), int64_t(rng() % 7)};
      ASSERT_EQ(extentEval(e, v), extentEval(*back, v)) << text;
    }
  }
  EXPECT_EQ(extentText(mk(ExtentOp::Div, mk(ExtentOp::Add, s(0), c(15)), c(16)), kNames), "(N + 15) div 16");
  EXPECT_EQ(extentText(*extentParse("-9223372036854775808", kNames), kNames), "-9223372036854775808");
  for (const char *bad : {"", "N +", "(N", "x", "9223372036854775808", "min(N", "ilog2(N, 1)", "N b", "1.5"})
    EXPECT_FALSE(extentParse(bad, kNames)) << bad;
}

TEST(Tensor, SixteenBitFloats) {
  for (uint32_t b = 0; b < 65536; ++b) {
    auto h = static_cast<uint16_t>(b);
    float f = f16ToFloat(h), g = bf16ToFloat(h);
    if (!std::isnan(f))
      ASSERT_EQ(floatToF16(f), h);
    else
      ASSERT_TRUE(std::isnan(f16ToFloat(floatToF16(f))));
    if (!std::isnan(g))
      ASSERT_EQ(floatToBf16(g), h);
    else
      ASSERT_TRUE(std::isnan(bf16ToFloat(floatToBf16(g))));
    // Half way to the next one goes to the even one; a hair more goes up, even past what f32 can tell.
    float next = f16ToFloat(static_cast<uint16_t>(h + 1));
    if (b < 0x7bff) {
      double half = (double(f) + next) / 2;
      ASSERT_EQ(doubleToF16(half), h % 2 ? h + 1 : h);
      ASSERT_EQ(doubleToF16(std::nextafter(half, 1e9)), h + 1);
      ASSERT_EQ(doubleToF16(std::nextafter(half, -1e9)), h);
      ASSERT_EQ(floatToF16(static_cast<float>(half)), h % 2 ? h + 1 : h);
    }
    if (b < 0x7f7f) {
      double half = (double(g) + bf16ToFloat(static_cast<uint16_t>(h + 1))) / 2;
      ASSERT_EQ(doubleToBf16(half), h % 2 ? h + 1 : h);
      ASSERT_EQ(doubleToBf16(std::nextafter(half, 1e300)), h + 1);
    }
  }
  EXPECT_EQ(floatToF16(65504.0f), 0x7bff);
  EXPECT_EQ(floatToF16(65519.0f), 0x7bff);
  EXPECT_EQ(floatToF16(65520.0f), 0x7c00);
  EXPECT_EQ(floatToF16(1e30f), 0x7c00);
  EXPECT_EQ(floatToBf16(3.4e38f), 0x7f80);
  EXPECT_EQ(floatToBf16(-INFINITY), 0xff80);
}

TEST(Tensor, StridesAndRanges) {
  HostTensor t;
  ASSERT_TRUE(HostTensor::allocate(DType::I32, {2, 3}, t));
  for (int i = 0; i < 6; ++i)
    t.setInt(i, i);
  HostTensor v = t;
  v.shape = {3, 2};
  v.strides = {1, 3};
  EXPECT_EQ(v.getInt(1), 3);
  EXPECT_EQ(v.getInt(2), 1);
  EXPECT_FALSE(HostTensor::allocate(DType::F64, {int64_t(1) << 40, int64_t(1) << 40}, v));
  EXPECT_EQ(realToInt(NAN), 0);
  EXPECT_EQ(realToInt(1e30), INT64_MAX);
  EXPECT_EQ(realToInt(-1e30), INT64_MIN);
  EXPECT_EQ(realToInt(-1.9), -1);
}

TEST(Npy, RoundTrip) {
  std::string path = temp("a.npy");
  Error error;
  for (DType d : {DType::F32, DType::F16, DType::BF16, DType::F64, DType::I32, DType::I64, DType::Bool})
    for (auto shape : std::vector<std::vector<int64_t>>{{}, {3}, {2, 3}, {0, 4}, {1, 2, 3, 4}}) {
      HostTensor t, u;
      ASSERT_TRUE(HostTensor::allocate(d, shape, t));
      for (int64_t i = 0; i < t.count(); ++i)
        t.setInt(i, i * 3 - 2);
      ASSERT_TRUE(writeNpy(path, t, error)) << error.text;
      ASSERT_TRUE(readNpy(path, u, error)) << error.text;
      EXPECT_EQ(u.dtype, d == DType::BF16 ? DType::F32 : d);
      ASSERT_EQ(u.shape, shape);
      for (int64_t i = 0; i < t.count(); ++i)
        EXPECT_EQ(t.getReal(i), u.getReal(i));
    }
  unlink(path.c_str());
}

std::string npy(const std::string &header, const std::string &data, int version = 1) {
  std::string h = std::string("\x93NUMPY") + char(version) + '\0';
  h += char(header.size() & 255);
  h += char(header.size() >> 8);
  if (version > 1)
    h += std::string(2, '\0');
  return h + header + data;
}

TEST(Npy, ReadsWhatNumpyWrites) {
  std::string path = temp("b.npy");
  Error error;
  HostTensor t;
  spit(path,
       npy("{'descr': '<i2', 'fortran_order': True, 'shape': (2, 2), }\n", std::string("\1\0\2\0\3\0\xff\xff", 8), 2));
  ASSERT_TRUE(readNpy(path, t, error)) << error.text;
  EXPECT_EQ(t.dtype, DType::I32);
  EXPECT_EQ(t.getInt(1), 3); // [0, 1] of a column-major array
  EXPECT_EQ(t.getInt(3), -1);
  spit(path, npy("{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", std::string("\x3f\x80\0\0", 4), 3));
  ASSERT_TRUE(readNpy(path, t, error)) << error.text;
  EXPECT_EQ(t.getReal(0), 1.0);
  spit(path, npy("{'shape': (), 'descr': \"|b1\", 'fortran_order': False}", "\x05"));
  ASSERT_TRUE(readNpy(path, t, error)) << error.text;
  EXPECT_EQ(t.getInt(0), 1);
  unlink(path.c_str());
}

TEST(Npy, BadFiles) {
  std::string path = temp("c.npy");
  Error error;
  HostTensor t;
  std::string good = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }\n", std::string(24, '\0'));
  for (size_t n = 0; n < good.size(); ++n) {
    spit(path, good.substr(0, n));
    EXPECT_FALSE(readNpy(path, t, error)) << n;
    EXPECT_NE(error.text.find(path), std::string::npos);
    EXPECT_EQ(error.text.find('\n'), std::string::npos);
  }
  std::mt19937 rng(2);
  for (int i = 0; i < 3000; ++i) { // any damage: an answer, never a crash
    std::string bad = good;
    for (int k = 0; k < 1 + i % 3; ++k)
      bad[rng() % bad.size()] = char(rng());
    spit(path, bad);
    readNpy(path, t, error);
  }
  for (const char *h : {"{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }",
                        "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
                        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999), }",
                        "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,), }",
                        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
                        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }",
                        "{'descr': '<f4', 'shape': (1,), }", "[]"}) {
    spit(path, npy(h, std::string(64, '\0')));
    EXPECT_FALSE(readNpy(path, t, error)) << h;
  }
  EXPECT_FALSE(readNpy(temp("none.npy"), t, error));
  EXPECT_FALSE(readNpy(testing::TempDir(), t, error));
  EXPECT_FALSE(writeNpy(temp("no/such/dir.npy"), t, error));
  unlink(path.c_str());
}

TEST(Safetensors, RoundTrip) {
  std::string path = temp("a.safetensors");
  Error error;
  std::map<std::string, HostTensor> in, out;
  for (DType d : {DType::F32, DType::F16, DType::BF16, DType::F64, DType::I32, DType::I64, DType::Bool}) {
    HostTensor t;
    ASSERT_TRUE(HostTensor::allocate(d, {2, 3}, t));
    for (int i = 0; i < 6; ++i)
      t.setInt(i, i - 2);
    in[std::string("x \"\\\n") + dtypeName(d)] = t;
  }
  HostTensor e;
  ASSERT_TRUE(HostTensor::allocate(DType::F32, {0, 3}, e));
  in["empty"] = e;
  ASSERT_TRUE(writeSafetensors(path, in, error)) << error.text;
  ASSERT_TRUE(readSafetensors(path, out, error)) << error.text;
  ASSERT_EQ(out.size(), in.size());
  for (auto &[name, t] : in) {
    EXPECT_EQ(out[name].dtype, t.dtype);
    ASSERT_EQ(out[name].shape, t.shape);
    for (int64_t i = 0; i < t.count(); ++i)
      EXPECT_EQ(out[name].getReal(i), t.getReal(i));
  }
  std::string good = slurp(path);
  std::mt19937 rng(3);
  for (size_t n = 0; n < good.size(); n += 7) {
    spit(path, good.substr(0, n));
    EXPECT_FALSE(readSafetensors(path, out, error));
  }
  for (int i = 0; i < 2000; ++i) {
    std::string bad = good;
    bad[rng() % 400] = char(rng());
    spit(path, bad);
    readSafetensors(path, out, error);
  }
  unlink(path.c_str());
}

TEST(Safetensors, Headers) {
  std::string path = temp("h.safetensors");
  Error error;
  std::map<std::string, HostTensor> out;
  auto put = [&](const std::string &header, const std::string &data) {
    std::string lead(8, '\0');
    lead[0] = char(header.size());
    lead[1] = char(header.size() >> 8);
    spit(path, lead + header + data);
    return readSafetensors(path, out, error);
  };
  EXPECT_TRUE(
      put(R"({"__metadata__":{"a":"b"},"\u00e9":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}} )", "\x01\xff"))
      << error.text;
  EXPECT_EQ(out["\xc3\xa9"].getInt(1), 255);
  EXPECT_FALSE(put(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "1234"));
  EXPECT_FALSE(put(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", "1234"));
  EXPECT_FALSE(put(R"({"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}})", "1234"));
  EXPECT_FALSE(put(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,4]}})", "1234"));
  EXPECT_FALSE(put(R"({"a":{"shape":[1],"data_offsets":[0,4]}})", "1234"));
  EXPECT_FALSE(put(
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
      "1234"));
  EXPECT_FALSE(put(std::string(R"({"__metadata__":)") + std::string(5000, '[') + "}", ""));
  unlink(path.c_str());
}

//===- Binding ------------------------------------------------------------===//

Dim dim(std::string text, ExtentRef length) { return {text, {text}, {length}, length}; }
Argument arg(std::string name, std::optional<DType> dtype, std::vector<Dim> dims) {
  Argument a;
  a.name = std::move(name);
  a.dtype = dtype;
  a.dims = std::move(dims);
  return a;
}
HostTensor zeros(DType d, std::vector<int64_t> shape) {
  HostTensor t;
  EXPECT_TRUE(HostTensor::allocate(d, std::move(shape), t));
  return t;
}

struct Bind : testing::Test {
  Signature sig;
  std::map<std::string, HostTensor> in;
  std::vector<int64_t> symbols;
  Error error;
  void SetUp() override {
    // q: [b, (g r), i:N, d], k: [b, g, j:N, d], y: i64[b, i] in v, E: [v, d], pk: [p] = 0
    sig.mixer = "m";
    for (const char *n : {"b", "g", "r", "N", "d", "v", "p"})
      sig.symbols.push_back({n, false});
    Dim gr{"(g r)", {"g", "r"}, {s(1), s(2)}, mk(ExtentOp::Mul, s(1), s(2))};
    sig.inputs.push_back(arg("q", {}, {dim("b", s(0)), gr, dim("i", s(3)), dim("d", s(4))}));
    sig.inputs.push_back(arg("k", {}, {dim("b", s(0)), dim("g", s(1)), dim("j", s(3)), dim("d", s(4))}));
    Argument y = arg("y", DType::I64, {dim("b", s(0)), dim("i", s(3))});
    y.indexOf = "v";
    y.indexBound = s(5);
    sig.inputs.push_back(y);
    sig.inputs.push_back(arg("E", DType::F32, {dim("v", s(5)), dim("d", s(4))}));
    Argument pk = arg("pk", {}, {dim("p", s(6))});
    pk.hasDefault = true;
    sig.inputs.push_back(pk);
    in["q"] = zeros(DType::BF16, {2, 6, 5, 4});
    in["k"] = zeros(DType::F32, {2, 3, 5, 4});
    in["y"] = zeros(DType::I64, {2, 5});
    in["E"] = zeros(DType::F32, {7, 4});
  }
  void SetUpAgain() {
    sig = {};
    in.clear();
    SetUp();
  }
  bool bind() { return bindArguments(sig, in, symbols, error); }
};

TEST_F(Bind, Solves) {
  ASSERT_TRUE(bind()) << error.text;
  EXPECT_EQ(symbols, (std::vector<int64_t>{2, 3, 2, 5, 4, 7, 0}));
  EXPECT_EQ(argumentShape(sig.inputs[0], symbols), (std::vector<int64_t>{2, 6, 5, 4}));
  EXPECT_EQ(outputDType(sig, arg("o", {}, {}), in), DType::BF16);
}

TEST_F(Bind, Messages) {
  auto expect = [&](const std::string &text) {
    EXPECT_FALSE(bind());
    EXPECT_EQ(error.render(), "attnc: error" + text + "\n");
    SetUpAgain();
  };
  in["k"] = zeros(DType::F32, {2, 3, 6, 4});
  expect("[A718]: input `k` has extent 6 along j (dimension 2); expected 5, the extent N from input `q`");
  in["q"] = zeros(DType::F32, {2, 7, 5, 4});
  expect("[A715]: input `q` has extent 7 along (g r) (dimension 1); expected a multiple of 3, g * r with g = 3 from "
         "input `k`");
  in["q"] = zeros(DType::I64, {2, 6, 5, 4});
  expect("[A713]: input `q` is i64; expected a floating dtype (f32, f16, bf16 or f64)");
  in["E"] = zeros(DType::F64, {7, 4});
  expect("[A712]: input `E` is f64; expected f32, as declared");
  in["E"] = zeros(DType::F32, {7});
  expect("[A714]: input `E` has 1 dimension, shape [7]; expected 2, [v, d]");
  in["y"].setInt(6, 7);
  expect("[A721]: input `y` has 7 at [1, 1]; expected an index of v, -1 to 6, as declared");
  in["y"].setInt(0, -2);
  expect("[A721]: input `y` has -2 at [0, 0]; expected an index of v, -1 to 6, as declared");
  in.erase("k");
  expect("[A711]: input `k` is missing and has no default; expected a floating tensor with dims [b, g, j, d]");
  in["pq"] = zeros(DType::F32, {1});
  expect("[A710]: mixer m has no input `pq`\n  help: did you mean `q`?");
  in["memory"] = zeros(DType::F32, {1});
  expect("[A710]: mixer m has no input `memory`\n  help: its inputs are q, k, y, E, pk");
  sig.requirements.push_back({mk(ExtentOp::Eq, mk(ExtentOp::Mod, s(3), c(4)), c(0)), "blocks of four"});
  expect("[A720]: blocks of four (N = 5)");
}

TEST_F(Bind, RaggedAndComputed) {
  // x: [t:T=(n u:4)], y: [2*T+1], z: [T div 2]
  Signature r;
  r.mixer = "m";
  r.symbols.push_back({"T", false});
  auto up = mk(ExtentOp::Div, mk(ExtentOp::Add, s(0), c(3)), c(4));
  r.inputs.push_back(arg("z", {}, {dim("z", mk(ExtentOp::Div, s(0), c(2)))}));
  r.inputs.push_back(arg("y", {}, {dim("y", mk(ExtentOp::Add, mk(ExtentOp::Mul, c(2), s(0)), c(1)))}));
  r.inputs.push_back(arg("x", {}, {{"t=(n u:4)", {"n", "u"}, {up, c(4)}, s(0)}}));
  std::map<std::string, HostTensor> a;
  a["x"] = zeros(DType::F32, {6});
  a["y"] = zeros(DType::F32, {13});
  a["z"] = zeros(DType::F32, {3});
  ASSERT_TRUE(bindArguments(r, a, symbols, error)) << error.text;
  EXPECT_EQ(symbols[0], 6);
  a["z"] = zeros(DType::F32, {4});
  EXPECT_FALSE(bindArguments(r, a, symbols, error));
  EXPECT_EQ(error.render(), "attnc: error[A718]: input `z` has extent 4 along z (dimension 0); expected 3, T div 2 "
                            "with T = 6 from input `y`\n");
  a["y"] = zeros(DType::F32, {12});
  EXPECT_FALSE(bindArguments(r, a, symbols, error));
  EXPECT_EQ(error.render(), "attnc: error[A716]: input `y` has extent 12 along y (dimension 0); expected 2 * T + 1, "
                            "which no extent T gives\n");
}

TEST_F(Bind, Adapts) {
  sig.inputs[3].dtype = DType::BF16;
  sig.inputs[2].dtype = DType::I32;
  ASSERT_TRUE(adaptArguments(sig, DType::F16, in, error)) << error.text;
  EXPECT_EQ(in["E"].dtype, DType::BF16);
  EXPECT_EQ(in["y"].dtype, DType::I32);
  EXPECT_EQ(in["q"].dtype, DType::F16);
  SetUpAgain();
  sig.inputs[2].dtype = DType::I32;
  in["y"].setInt(3, int64_t(1) << 40);
  EXPECT_FALSE(adaptArguments(sig, {}, in, error));
}

TEST_F(Bind, AnExtentThatNothingGives) {
  // x: [2 * S + T] alone does not tell S and T apart.
  Signature r;
  r.mixer = "m";
  r.symbols = {{"S", false}, {"T", false}};
  r.inputs.push_back(arg("x", {}, {dim("x", mk(ExtentOp::Add, mk(ExtentOp::Mul, c(2), s(0)), s(1)))}));
  std::map<std::string, HostTensor> a;
  a["x"] = zeros(DType::F32, {6});
  EXPECT_FALSE(bindArguments(r, a, symbols, error));
  EXPECT_EQ(error.render(), "attnc: error[A717]: extent S cannot be told from the arguments: input `x` has extent 6 "
                            "along x (dimension 0)\n");
}

TEST(Message, Rendered) {
  EXPECT_FALSE(Error());
  EXPECT_EQ(Error(Msg::A923, "gpu").withHelp("there is cpu").render(),
            "attnc: error[A923]: unknown target `gpu`\n  help: there is cpu\n");
  EXPECT_EQ(Error::rendered("a.attn:1:1: error[A001]: ...\n").render(), "a.attn:1:1: error[A001]: ...\n");
  EXPECT_EQ(msgText(Msg::A720, {"{} stays"}), "{} stays");
}

TEST(Message, Suggestions) {
  EXPECT_EQ(suggestion("softmx", {"softmax", "sum"}, "there are"), "did you mean `softmax`?");
  EXPECT_EQ(suggestion("x", {"softmax", "sum"}, "there are"), "there are softmax, sum");
  EXPECT_EQ(suggestion("x", {}, "there are"), "");
}

} // namespace
