//===- What an architecture means, and the passes for it ------------------===//
#include "codegen/cpu/Cpu.h"
#include "codegen/cpu/Passes.h"
#include "dialect/tile/Tile.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Target/TargetOptions.h"
#include "llvm/TargetParser/Host.h"
#include <mutex>

using namespace mlir;
using namespace attnc;
using namespace attnc::cpu;

Target::Target() = default;
Target::Target(Target &&) = default;
Target::~Target() = default;

void cpu::registerCpuDialects(DialectRegistry &registry) {
  registry.insert<tile::TileDialect, arith::ArithDialect, math::MathDialect, scf::SCFDialect, vector::VectorDialect,
                  cf::ControlFlowDialect, LLVM::LLVMDialect>();
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
}

static constexpr const char *kTriple = "x86_64-unknown-linux-gnu";
static const std::vector<std::string> kV3 = {"avx2", "fma", "f16c", "bmi", "bmi2"};
static const std::vector<std::string> kV4 = {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"};

bool cpu::makeTarget(const CpuOptions &options, Target &target, std::string &error) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
  });
  std::string arch = options.arch;
  if (arch == "native") {
    llvm::StringMap<bool> host = llvm::sys::getHostCPUFeatures();
    auto has = [&](const std::vector<std::string> &names) {
      return llvm::all_of(names, [&](const std::string &f) { return host.lookup(f); });
    };
    if (!has(kV3)) {
      error = "this CPU lacks AVX2 or FMA: at least x86-64-v3 is needed";
      return false;
    }
    arch = has(kV4) ? "x86-64-v4" : "x86-64-v3";
  }
  if (arch != "x86-64-v3" && arch != "x86-64-v4") {
    error = "unknown CPU architecture '" + options.arch + "': native, x86-64-v3 and x86-64-v4 are known";
    return false;
  }
  target.arch = arch;
  target.vectorise = options.vectorise;
  target.features = kV3;
  target.vectorBytes = 32;
  if (arch == "x86-64-v4") {
    target.features.insert(target.features.end(), kV4.begin(), kV4.end());
    target.vectorBytes = 64;
  }

  target.machine = makeMachine(arch);
  if (!target.machine)
    error = "LLVM has no code generator for " + std::string(kTriple);
  return target.machine != nullptr;
}

std::unique_ptr<llvm::TargetMachine> cpu::makeMachine(const std::string &arch) {
  std::string error;
  const llvm::Target *llvmTarget = llvm::TargetRegistry::lookupTarget(kTriple, error);
  if (!llvmTarget)
    return nullptr;
  llvm::TargetOptions codegen;
  codegen.AllowFPOpFusion = llvm::FPOpFusion::Standard;
  return std::unique_ptr<llvm::TargetMachine>(llvmTarget->createTargetMachine(kTriple, arch, "-prefer-256-bit", codegen,
                                                                              llvm::Reloc::PIC_, llvm::CodeModel::Small,
                                                                              llvm::CodeGenOptLevel::Default));
}

bool cpu::lowerTile(ModuleOp module, const Target &target, std::string &error) {
  TileToVectorOptions options;
  options.vectorBytes = target.vectorBytes;
  options.vectorise = target.vectorise;
  PassManager passes(module.getContext(), ModuleOp::getOperationName());
  // Verifying what is made would be a tenth of these passes; test/stages does that.
  passes.enableVerifier(false);
  passes.addPass(createTileToVector(options));
  passes.addPass(createCSEPass());
  passes.addPass(createCpuExpandMath());
  passes.addPass(createCpuShareLoops());
  passes.addPass(createCpuSplitFunctions());
  if (succeeded(passes.run(module)))
    return true;
  error = "code generation for the CPU failed";
  return false;
}

bool cpu::toLLVMDialect(ModuleOp module, std::string &error) {
  PassManager passes(module.getContext(), ModuleOp::getOperationName());
  passes.enableVerifier(false);
  passes.addPass(createCpuToLLVM());
  if (succeeded(passes.run(module)))
    return true;
  error = "what the CPU code is made of did not become LLVM's dialect";
  return false;
}
