//===- The emulator finds what is planted, and nothing else ---------------===//
#include "codegen/cuda/HostCompile.h"
#include "runtime/KernelImage.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace attnc;

namespace {

/// Compiles `body` as kernel k_(instances, scratch, scratch_bytes, x, stride) for blocks of 64 threads and runs it on
/// `data`; the emulator's sentence, empty when it had nothing to say.
std::string run(const std::string &body, std::vector<float> &data, int64_t instances = 2, int64_t scratchBytes = 0) {
  LaunchPlan plan;
  plan.tensors = 1;
  plan.kernels.push_back({"k_", 64});
  LaunchPlan::Step launch;
  launch.kind = LaunchPlan::Step::Launch;
  for (int64_t v : {instances, scratchBytes}) {
    LaunchPlan::Step compute;
    compute.value = int(plan.values.size());
    plan.values.push_back({LaunchPlan::Op::Const, v, {}});
    plan.steps.push_back(compute);
  }
  launch.instances = 0;
  launch.scratchBytes = 1;
  launch.arguments.push_back({LaunchPlan::Argument::Tensor, 0, 1});
  plan.steps.push_back(launch);

  KernelBlob blob;
  blob.form = KernelBlob::Form::Emulated;
  blob.plan = plan.serialize();
  std::string reason, text = "extern \"C\" __global__ void k_(i64 instances, i8 *scratch, i64 scratch_bytes, float *x, "
                             "i64 stride) {\n" +
                             body + "}\n";
  if (cuda::compileForEmulator(text, plan, blob.image, reason) != cuda::HostResult::Done)
    return reason;
  Error error;
  std::shared_ptr<const KernelImage> image = KernelImage::load(blob, error);
  if (!image)
    return error.render();
  int64_t stride = 1, extent = int64_t(data.size());
  KernelArg arg{data.data(), &stride};
  KernelArgShape shape{&extent, 1, 4, -1, true};
  KernelContext ctx{nullptr, &arg, nullptr, nullptr, nullptr, &shape, 1, nullptr};
  image->run(ctx, error);
  return error.render();
}

/// Each block turns its 64 elements around, through shared memory.
std::string reverse(const std::string &barrier, const std::string &from = "63 - thread()") {
  return "SHARED(float, s, 64);\n"
         "for (i64 i = block(); i < instances; i += blocks()) {\n"
         "  store(s, thread(), load(x, i * 64 + thread()));\n  " +
         barrier + "\n  store(x, i * 64 + thread(), load(s, " + from + "));\n  barrier();\n}\n";
}

std::vector<float> ramp(int n) {
  std::vector<float> v;
  for (int i = 0; i < n; ++i)
    v.push_back(float(i));
  return v;
}

TEST(Emulator, RightKernelIsRight) {
  for (const char *seed : {"1", "2", "3"}) {
    setenv("ATTNC_EMULATOR_SEED", seed, 1);
    std::vector<float> data = ramp(6 * 64); // more instances than blocks
    EXPECT_EQ(run(reverse("barrier();"), data, 6), "");
    for (int i = 0; i < 6 * 64; ++i)
      EXPECT_EQ(data[size_t(i)], float(i / 64 * 64 + 63 - i % 64));
  }
  unsetenv("ATTNC_EMULATOR_SEED");
}

/// How many threads of a block of 64 share a point, by the definition: doubled while threads are left, and elements.
float groupSize(int64_t points, int64_t length, int64_t least) {
  int64_t size = 1;
  while (size < length && size < 64 && (size * 2 * points <= 64 || size < least))
    size *= 2;
  return float(size);
}

TEST(DeviceHeader, GroupsAndSmallQuotients) {
  const int64_t sizes[] = {1, 2, 3, 5, 8, 31, 32, 33, 64, 65, 1000, int64_t(1) << 40};
  std::string text;
  std::vector<float> expected;
  auto expect = [&](const std::string &call, float value) {
    text += "if (!thread()) store(x, " + std::to_string(expected.size()) + ", float(" + call + "));\n";
    expected.push_back(value);
  };
  for (int64_t points : sizes)
    for (int64_t length : sizes)
      for (int64_t least : {1, 8}) {
        std::string args = std::to_string(points) + "ll, " + std::to_string(length) + "ll, " + std::to_string(least);
        expect("group_size(" + args + ")", groupSize(points, length, least));
      }
  expect("group_size(5, 0, 8)", 1); // nothing to add
  expect("div_small(100, 7)", 14);
  expect("div_small(100, 0)", 100);
  expect("div_small(100, 1ll << 40)", 0);
  expect("div_small(0x7fffffff, 0x7fffffff)", 1);
  expect("div_point(100, 7)", 14);
  expect("div_point(100, 0)", 100);
  expect("div_point(7ll << 40, 7)", 1ll << 40);
  expect("div_point(7ll << 40, 1ll << 40)", 7);
  expect("div_point(7ll << 40, 0)", 7ll << 40);
  expect("div_share(100, 1)", 100);
  expect("div_share(100, 32)", 3);
  expect("mod_share(100, 1)", 0);
  expect("mod_share(100, 32)", 4);
  expect("here(7)", 7);
  std::vector<float> data(expected.size(), -1.0f);
  EXPECT_EQ(run(text, data, 1), "");
  EXPECT_EQ(data, expected);
}

TEST(Emulator, ImagesThatAreNone) {
  KernelBlob blob;
  blob.form = KernelBlob::Form::Emulated;
  Error error;
  blob.plan = "damaged";
  EXPECT_FALSE(KernelImage::load(blob, error));
  EXPECT_EQ(error.render(), "attnc: error[A806]: the kernel is cut short or damaged\n");
  blob.plan = LaunchPlan().serialize();
  blob.image = "no library";
  EXPECT_FALSE(KernelImage::load(blob, error));
  EXPECT_NE(error.render().find("error[A810]: the emulated kernels cannot be opened: /proc/self/fd/"),
            std::string::npos)
      << error.text;
}

TEST(Emulator, MissingBarrier) {
  std::vector<float> data = ramp(128);
  std::string said = run(reverse(""), data);
  EXPECT_NE(said.find("no barrier between"), std::string::npos) << said;
  EXPECT_NE(said.find("shared memory"), std::string::npos) << said;
  EXPECT_NE(said.find("kernel k_, block 0, thread "), std::string::npos) << said;
}

TEST(Emulator, IndexOffByOne) {
  std::vector<float> data = ramp(128);
  std::string said = run(reverse("barrier();", "64 - thread()"), data);
  EXPECT_NE(said.find("thread 0: reads 4 bytes outside every buffer"), std::string::npos) << said;
  EXPECT_NE(said.find("attnc: error[A811]: cuda-emulated: "), std::string::npos) << said;
}

TEST(Emulator, MissingMask) {
  std::vector<float> data = ramp(100); // the second block has 36 elements only
  std::string said = run(reverse("barrier();"), data);
  EXPECT_NE(said.find("outside every buffer"), std::string::npos) << said;
  EXPECT_NE(said.find("block 1"), std::string::npos) << said;
}

TEST(Emulator, BarrierThatSomeThreadsMiss) {
  std::vector<float> data = ramp(64);
  std::string said = run("if (thread() < 3)\n  barrier();\n", data, 1);
  EXPECT_NE(said.find("no thread can go on: 3 wait at a barrier"), std::string::npos) << said;
  EXPECT_NE(said.find("61 have ended"), std::string::npos) << said;
}

TEST(Emulator, ExchangeOfHalfAWarp) {
  std::vector<float> data = ramp(64);
  std::string said = run("if (thread() % 32 < 16)\n  exchange(1.0f, 1);\n", data, 1);
  EXPECT_NE(said.find("wait for an exchange with their warp"), std::string::npos) << said;
}

TEST(Emulator, BlocksThatShareAnElement) {
  std::vector<float> data = ramp(64);
  std::string said = run("if (thread() == 0)\n  store(x, 0, float(block()));\n", data, 2);
  EXPECT_NE(said.find("another block writes in the same launch"), std::string::npos) << said;
}

TEST(Emulator, SumsOfEveryGroup) {
  for (int size = 1; size <= 64; size *= 2) {
    std::vector<float> data = ramp(64);
    EXPECT_EQ(run("store(x, thread(), group_sum(load(x, thread()), " + std::to_string(size) + "));\n", data, 1), "");
    for (int i = 0; i < 64; ++i) {
      int first = i / size * size;
      EXPECT_EQ(data[size_t(i)], float(size * first + size * (size - 1) / 2)) << size << " " << i;
    }
  }
}

/// Half types, against what rounding to nearest even gives.
TEST(Emulator, HalfTypes) {
  struct Case {
    const char *what;
    float want;
  } cases[] = {
      {"f32_of_f16(f16_of_f32(65519.0f))", 65504.0f},
      {"f32_of_f16(f16_of_f32(65520.0f))", INFINITY},
      {"f32_of_f16(f16_of_f32(2049.0f))", 2048.0f},
      {"f32_of_f16(f16_of_f32(2051.0f))", 2052.0f},
      {"f32_of_f16(f16_of_f32(-5.9604645e-8f))", -5.9604645e-8f},
      {"f32_of_f16(f16_of_f32(2.9802322e-8f))", 0.0f},
      {"f32_of_f16(f16_of_f32(6.1035156e-5f))", 6.1035156e-5f},
      {"f32_of_bf16(bf16_of_f32(257.0f))", 256.0f},
      {"f32_of_bf16(bf16_of_f32(259.0f))", 260.0f},
      {"f32_of_bf16(bf16_of_f64(1.00390625 + 1e-12))", 1.0078125f}, // in two steps it would be 1
      {"f32_of_bf16(bf16_of_f64(1.00390625))", 1.0f},
  };
  for (const Case &c : cases) {
    std::vector<float> data = {0};
    EXPECT_EQ(run(std::string("if (thread() == 0)\n  store(x, 0, ") + c.what + ");\n", data, 1), "") << c.what;
    EXPECT_EQ(data[0], c.want) << c.what;
  }
}

} // namespace
