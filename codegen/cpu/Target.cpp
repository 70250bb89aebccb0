//===- From the LLVM dialect to machine code ------------------------------===//
//
// A short list of LLVM passes instead of -O3: the code that arrives is already vectorised and hoisted, and a compile
// must stay far under half a second. No pass may invent a library call (memset, memcpy, sinf): the result is linked to
// nothing.
//===----------------------------------------------------------------------===//
#include "codegen/cpu/Cpu.h"
#include "codegen/cpu/Passes.h"
#include "dialect/tile/Tile.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Target/TargetOptions.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/Transforms/InstCombine/InstCombine.h"
#include "llvm/Transforms/Scalar/DCE.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/LICM.h"
#include "llvm/Transforms/Scalar/LoopPassManager.h"
#include "llvm/Transforms/Scalar/Reassociate.h"
#include "llvm/Transforms/Scalar/SROA.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"
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

  const std::string triple = "x86_64-unknown-linux-gnu";
  const llvm::Target *llvmTarget = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!llvmTarget)
    return false;
  llvm::TargetOptions codegen;
  codegen.AllowFPOpFusion = llvm::FPOpFusion::Standard;
  target.machine.reset(llvmTarget->createTargetMachine(triple, arch, "-prefer-256-bit", codegen, llvm::Reloc::PIC_,
                                                       llvm::CodeModel::Small, llvm::CodeGenOptLevel::Default));
  return target.machine != nullptr;
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
  passes.addPass(createCpuToLLVM());
  if (succeeded(passes.run(module)))
    return true;
  error = "code generation for the CPU failed";
  return false;
}

/// InstCombine narrows a minimum or maximum of widened halves to halves, whose lowering in LLVM 19 loses a NaN beside a
/// zero: back to f32.
static void widenHalves(llvm::Function &f) {
  SmallVector<llvm::IntrinsicInst *> calls;
  for (llvm::Instruction &inst : llvm::instructions(f))
    if (auto *call = llvm::dyn_cast<llvm::IntrinsicInst>(&inst);
        call && call->getType()->getScalarType()->isHalfTy() &&
        (call->getIntrinsicID() == llvm::Intrinsic::minimum || call->getIntrinsicID() == llvm::Intrinsic::maximum))
      calls.push_back(call);
  for (llvm::IntrinsicInst *call : calls) {
    llvm::IRBuilder<> b(call);
    llvm::Type *wide = call->getType()->getWithNewType(b.getFloatTy());
    llvm::Value *both[] = {b.CreateFPExt(call->getArgOperand(0), wide), b.CreateFPExt(call->getArgOperand(1), wide)};
    llvm::Value *result = b.CreateIntrinsic(call->getIntrinsicID(), {wide}, both);
    for (llvm::User *user : llvm::make_early_inc_range(call->users()))
      if (auto *ext = llvm::dyn_cast<llvm::FPExtInst>(user); ext && ext->getType() == wide) {
        ext->replaceAllUsesWith(result);
        ext->eraseFromParent();
      }
    if (!call->use_empty())
      call->replaceAllUsesWith(b.CreateFPTrunc(result, call->getType()));
    call->eraseFromParent();
  }
}

/// The list: tidy, then loops in the shape the code generator likes.
static void optimise(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::LoopAnalysisManager lam;
  llvm::FunctionAnalysisManager fam;
  llvm::CGSCCAnalysisManager cgam;
  llvm::ModuleAnalysisManager mam;
  llvm::TargetLibraryInfoImpl library(machine.getTargetTriple());
  library.disableAllFunctions();
  fam.registerPass([&] { return llvm::TargetLibraryAnalysis(library); });
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(mam);
  builder.registerCGSCCAnalyses(cgam);
  builder.registerFunctionAnalyses(fam);
  builder.registerLoopAnalyses(lam);
  builder.crossRegisterProxies(lam, fam, cgam, mam);

  llvm::FunctionPassManager passes;
  passes.addPass(llvm::EarlyCSEPass(/*UseMemorySSA=*/false));
  passes.addPass(llvm::SimplifyCFGPass());
  passes.addPass(llvm::InstCombinePass(llvm::InstCombineOptions().setMaxIterations(1)));
  // Sums of addresses in the order of loops, so that what an outer loop fixes is computed there.
  passes.addPass(llvm::ReassociatePass());
  llvm::LoopPassManager loops;
  loops.addPass(llvm::LICMPass(llvm::LICMOptions()));
  passes.addPass(llvm::createFunctionToLoopPassAdaptor(std::move(loops), /*UseMemorySSA=*/true));
  passes.addPass(llvm::EarlyCSEPass(/*UseMemorySSA=*/true));
  passes.addPass(llvm::SimplifyCFGPass());
  passes.addPass(llvm::DCEPass());
  for (llvm::Function &f : module)
    if (!f.isDeclaration() && !f.hasOptNone()) {
      passes.run(f, fam);
      widenHalves(f);
    }
}

std::unique_ptr<llvm::Module> cpu::toLLVM(ModuleOp module, llvm::LLVMContext &context, const Target &target,
                                          std::string &error) {
  std::unique_ptr<llvm::Module> result =
      translateModuleToLLVMIR(module, context, "attnc", /*disableVerification=*/true);
  if (!result) {
    error = "no LLVM IR could be made of the module";
    return nullptr;
  }
  result->setTargetTriple(target.machine->getTargetTriple().str());
  result->setDataLayout(target.machine->createDataLayout());
  // The translation notes whether there were locations; nothing here uses them.
  if (llvm::NamedMDNode *flags = result->getModuleFlagsMetadata())
    result->eraseNamedMetadata(flags);
  for (llvm::Function &f : *result) {
    if (f.isDeclaration())
      continue;
    f.addFnAttr("prefer-vector-width", "512");
    f.addFnAttr("min-legal-vector-width", "512");
    f.addFnAttr("target-cpu", target.machine->getTargetCPU());
    f.addFnAttr("no-builtins");
    f.addFnAttr(llvm::Attribute::NoUnwind);
    // What runs once in a call is not worth more than the fastest way through the compiler.
    if (f.hasExternalLinkage()) {
      f.addFnAttr(llvm::Attribute::OptimizeNone);
      f.addFnAttr(llvm::Attribute::NoInline);
    }
  }
  optimise(*result, *target.machine);
  return result;
}

namespace {
/// Leaves out what takes time and finds nothing here. Loop strength reduction takes half of the code generator's time
/// on loops with many arrays, whose addresses are already in the shape that it looks for. Of the others some look for
/// what is never made (calls to libraries, exceptions, atomics, locations), some gain nothing that was measured. Left
/// out here, unlike by a gate, their analyses are not computed either; and nothing global is set, as it is by LLVM's
/// command-line options.
class Passes : public llvm::legacy::PassManager {
public:
  void add(llvm::Pass *pass) override {
    static const llvm::StringSet<> leftOut{"Loop Strength Reduction",
                                           "X86 Domain Reassignment Pass",
                                           "Canonicalize Freeze Instructions in Loops",
                                           "Constant Hoisting",
                                           "Exception handling preparation",
                                           "Expand Atomic instructions",
                                           "Expand large div/rem",
                                           "Expand memcmp() to load/stores",
                                           "Expand vector predication intrinsics",
                                           "Interleaved Access Pass",
                                           "Partially inline calls to library functions",
                                           "Replace intrinsics with calls to vector library",
                                           "BreakFalseDeps",
                                           "Control Flow Optimizer",
                                           "Live DEBUG_VALUE analysis",
                                           "Machine InstCombiner",
                                           "Machine Late Instructions Cleanup Pass",
                                           "Shrink Wrapping analysis",
                                           "X86 cmov Conversion",
                                           "X86 Execution Dependency Fix",
                                           "X86 LEA Optimize"};
    if (leftOut.contains(pass->getPassName()))
      delete pass;
    else
      PassManager::add(pass);
  }
};
} // namespace

static std::string emit(llvm::Module &module, llvm::TargetMachine &machine, llvm::CodeGenFileType kind) {
  llvm::SmallString<0> bytes;
  llvm::raw_svector_ostream os(bytes);
  Passes pm;
  llvm::TargetLibraryInfoImpl library(machine.getTargetTriple());
  library.disableAllFunctions();
  pm.add(new llvm::TargetLibraryInfoWrapperPass(library));
  // Only fails for a file type the target cannot write.
  if (machine.addPassesToEmitFile(pm, os, nullptr, kind, /*DisableVerify=*/true))
    return "";
  pm.run(module);
  return std::string(bytes);
}

std::string cpu::emitAssembly(llvm::Module &module, const Target &target) {
  return emit(module, *target.machine, llvm::CodeGenFileType::AssemblyFile);
}

std::string cpu::emitObject(llvm::Module &module, const Target &target) {
  return emit(module, *target.machine, llvm::CodeGenFileType::ObjectFile);
}

bool cpu::compileTile(ModuleOp module, const CpuOptions &options, KernelBlob &blob, std::string &error) {
  Target target;
  if (!makeTarget(options, target, error) || !lowerTile(module, target, error))
    return false;
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> llvmModule = toLLVM(module, context, target, error);
  if (!llvmModule || !linkBlob(emitObject(*llvmModule, target), blob, error))
    return false;
  blob.arch = options.arch;
  blob.features = target.features;
  return true;
}
