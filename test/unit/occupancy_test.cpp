//===- Blocks that fit on a multiprocessor --------------------------------===//
#include "codegen/cuda/Occupancy.h"
#include <gtest/gtest.h>

using namespace attnc::cuda;

static KernelFigures kernel(int registers, int sharedBytes) {
  KernelFigures k;
  k.registers = registers;
  k.sharedBytes = sharedBytes;
  return k;
}

// Registers per warp are taken in steps of 256: 255 a thread are 8192, 167 are 5376.
TEST(Occupancy, Registers) {
  Occupancy o = occupancyOf(kernel(255, 0), 128, "sm_80");
  EXPECT_EQ(o.blocks, 2);
  EXPECT_DOUBLE_EQ(o.fraction, 0.125);
  EXPECT_STREQ(o.limit, "registers");
  EXPECT_EQ(occupancyOf(kernel(167, 0), 128, "sm_80").blocks, 3);
  EXPECT_DOUBLE_EQ(occupancyOf(kernel(167, 0), 128, "sm_80").fraction, 0.1875);
  EXPECT_EQ(occupancyOf(kernel(128, 0), 512, "sm_90a").blocks, 1);
}

TEST(Occupancy, ThreadsBlocksAndSharedMemory) {
  EXPECT_EQ(occupancyOf(kernel(32, 0), 256, "sm_90").blocks, 8);
  EXPECT_STREQ(occupancyOf(kernel(32, 0), 256, "sm_90").limit, "threads");
  EXPECT_EQ(occupancyOf(kernel(16, 0), 32, "sm_80").blocks, 32);
  EXPECT_STREQ(occupancyOf(kernel(16, 0), 32, "sm_80").limit, "blocks");
  // 48 KiB and the system's 1 KiB: three of them in 164 KiB.
  EXPECT_EQ(occupancyOf(kernel(32, 48 * 1024), 128, "sm_80").blocks, 3);
  EXPECT_STREQ(occupancyOf(kernel(32, 48 * 1024), 128, "sm_80").limit, "shared memory");
}

TEST(Occupancy, UnknownArch) { EXPECT_EQ(occupancyOf(kernel(32, 0), 256, "sm_999").blocks, 0); }
