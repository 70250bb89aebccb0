//===- Modules in parts and the image that is made of them ----------------===//
#include "codegen/cpu/Cpu.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Target/TargetMachine.h"
#include <cstring>
#include <gtest/gtest.h>
#include <sys/mman.h>

using namespace attnc;

namespace {

/// What LLVM finds no closed form of.
uint64_t mixed(uint64_t x, int steps) {
  for (int i = 0; i < steps; ++i)
    x = (x ^ (x >> 7)) * 0x9E3779B97F4A7C15u;
  return x;
}

std::string mixing(const std::string &name, int steps) {
  std::string text = "llvm.func internal @" + name +
                     "(%x0: i64) -> i64 attributes {dso_local} {\n  %seven = arith.constant 7 : i64\n"
                     "  %factor = arith.constant -7046029254386353131 : i64\n";
  for (int i = 0; i < steps; ++i) {
    std::string n = std::to_string(i), next = std::to_string(i + 1);
    text += "  %s" + n + " = arith.shrui %x" + n + ", %seven : i64\n  %y" + n + " = arith.xori %x" + n + ", %s" + n +
            " : i64\n  %x" + next + " = arith.muli %y" + n + ", %factor : i64\n";
  }
  return text + "  llvm.return %x" + std::to_string(steps) + " : i64\n}\n";
}

/// run(x) is both functions after one another.
std::string program(int steps, const std::string &called = "second") {
  return mixing("first", steps) + mixing("second", steps) +
         "llvm.func @run(%x: i64) -> i64 {\n  %a = llvm.call @first(%x) : (i64) -> i64\n  %b = llvm.call @" + called +
         "(%a) : (i64) -> i64\n  llvm.return %b : i64\n}\n"
         "llvm.func @workspace_bytes() -> i64 {\n  %c = arith.constant 0 : i64\n  llvm.return %c : i64\n}\n";
}

std::vector<std::string> compiled(const std::string &text) {
  cpu::Target target;
  std::string error;
  EXPECT_TRUE(cpu::makeTarget({}, target, error)) << error;
  mlir::DialectRegistry registry;
  cpu::registerCpuDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  EXPECT_TRUE(module);
  if (!module)
    return {};
  std::vector<std::string> objects = cpu::compileModule(*module, target, error);
  EXPECT_EQ(error, "");
  return objects;
}

TEST(MachineCode, SmallModulesAreOnePart) { EXPECT_EQ(compiled(program(10)).size(), 1u); }

TEST(MachineCode, PartsOfALargeModuleCallEachOther) {
  std::vector<std::string> objects = compiled(program(1000));
  ASSERT_EQ(objects.size(), 2u);
  EXPECT_EQ(objects, compiled(program(1000)));
  // About half of the code is in each.
  EXPECT_LT(objects[0].size(), 2 * objects[1].size());
  EXPECT_LT(objects[1].size(), 2 * objects[0].size());

  KernelBlob blob;
  std::string error;
  ASSERT_TRUE(cpu::linkBlob(objects, blob, error)) << error;
  void *image = mmap(nullptr, blob.image.size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(image, MAP_FAILED);
  std::memcpy(image, blob.image.data(), blob.image.size());
  mprotect(image, blob.image.size(), PROT_READ | PROT_EXEC);
  auto run = reinterpret_cast<uint64_t (*)(uint64_t)>(static_cast<char *>(image) + blob.run);
  EXPECT_EQ(run(42), mixed(42, 2000));
  munmap(image, blob.image.size());
}

TEST(MachineCode, SaysWhatAnImageLacks) {
  KernelBlob blob;
  std::string error;
  std::vector<std::string> objects = compiled(program(1000));
  ASSERT_EQ(objects.size(), 2u);
  EXPECT_FALSE(cpu::linkBlob({objects[0]}, blob, error));
  EXPECT_NE(error.find("which does not exist in a kernel"), std::string::npos) << error;
  EXPECT_FALSE(cpu::linkBlob({objects[1]}, blob, error));
  EXPECT_FALSE(cpu::linkBlob({objects[0], ""}, blob, error)); // the code generator failed
  EXPECT_FALSE(error.empty());
  EXPECT_FALSE(cpu::linkBlob(compiled("llvm.func @sinf(i64) -> i64\n" + program(10, "sinf")), blob, error));
  EXPECT_NE(error.find("'sinf'"), std::string::npos) << error;
}

} // namespace
