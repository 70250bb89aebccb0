//===- attn-translate: the LLVM dialect to LLVM IR and machine code, for tests ------------------------------------===//
//
//   attn-translate --to=llvm|asm|obj --arch=x86-64-v3 kernel.mlir
//
// What attn-opt cannot do, because it is no pass: the last steps of `attnc compile`, on text.
//===----------------------------------------------------------------------===//
#include "codegen/cpu/Cpu.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/raw_ostream.h"

namespace cl = llvm::cl;
using namespace attnc;

int main(int argc, char **argv) {
  enum Stage { IR, Assembly, Object };
  cl::opt<std::string> input(cl::Positional, cl::desc("FILE"), cl::init("-"));
  cl::opt<Stage> to("to", cl::desc("what to write to stdout"), cl::init(IR),
                    cl::values(clEnumValN(IR, "llvm", "optimised LLVM IR"), clEnumValN(Assembly, "asm", "assembly"),
                               clEnumValN(Object, "obj", "an ELF object")));
  cl::opt<std::string> arch("arch", cl::desc("native, x86-64-v3 or x86-64-v4"), cl::init("native"));
  cl::ParseCommandLineOptions(argc, argv, "attnc's last steps\n");

  mlir::DialectRegistry registry;
  cpu::registerCpuDialects(registry);
  mlir::MLIRContext context(registry);
  mlir::OwningOpRef<mlir::ModuleOp> module = mlir::parseSourceFile<mlir::ModuleOp>(input, &context);
  if (!module)
    return 1;
  cpu::Target target;
  cpu::CpuOptions options;
  options.arch = arch;
  std::string error;
  llvm::LLVMContext llvmContext;
  std::unique_ptr<llvm::Module> ir;
  if (cpu::makeTarget(options, target, error))
    ir = cpu::toLLVM(*module, llvmContext, *target.machine, error);
  if (!ir) {
    llvm::errs() << "attn-translate: " << error << "\n";
    return 1;
  }
  cpu::optimise(*ir, *target.machine);
  if (to == IR)
    ir->print(llvm::outs(), nullptr);
  else
    llvm::outs() << (to == Assembly ? cpu::emitAssembly(*ir, *target.machine) : cpu::emitObject(*ir, *target.machine));
  return 0;
}
