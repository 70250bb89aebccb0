//===- Modules in parts and the image that is made of them ----------------===//
#include "codegen/cpu/Cpu.h"
#include "llvm/AsmParser/Parser.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/SourceMgr.h"
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
  std::string text = "define internal i64 @" + name + "(i64 %x0) noinline {\n";
  for (int i = 0; i < steps; ++i) {
    std::string n = std::to_string(i), next = std::to_string(i + 1);
    text += "  %s" + n + " = lshr i64 %x" + n + ", 7\n  %y" + n + " = xor i64 %x" + n + ", %s" + n + "\n  %x" + next +
            " = mul i64 %y" + n + ", -7046029254386353131\n";
  }
  return text + "  ret i64 %x" + std::to_string(steps) + "\n}\n";
}

/// run(x) is both functions after one another.
std::string program(int steps, const std::string &called = "second") {
  return mixing("first", steps) + mixing("second", steps) +
         "define i64 @run(i64 %x) {\n  %a = call i64 @first(i64 %x)\n  %b = call i64 @" + called +
         "(i64 %a)\n  ret i64 %b\n}\ndefine i64 @workspace_bytes() {\n  ret i64 0\n}\n";
}

std::vector<std::string> compiled(const std::string &text) {
  cpu::Target target;
  std::string error;
  EXPECT_TRUE(cpu::makeTarget({}, target, error)) << error;
  llvm::LLVMContext context;
  llvm::SMDiagnostic diagnostic;
  std::unique_ptr<llvm::Module> module = llvm::parseAssemblyString(text, diagnostic, context);
  EXPECT_TRUE(module) << diagnostic.getMessage().str();
  if (!module)
    return {};
  module->setTargetTriple(target.machine->getTargetTriple().str());
  module->setDataLayout(target.machine->createDataLayout());
  return cpu::compileModule(*module, target);
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
  EXPECT_FALSE(cpu::linkBlob(compiled("declare i64 @sinf(i64)\n" + program(10, "sinf")), blob, error));
  EXPECT_NE(error.find("'sinf'"), std::string::npos) << error;
}

} // namespace
