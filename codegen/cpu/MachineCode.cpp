//===- From loops and vectors to machine code -----------------------------===//
//
// A short list of LLVM passes instead of -O3: the code that arrives is already vectorised and hoisted, and a compile
// must stay far under half a second. No pass may invent a library call (memset, memcpy, sinf): the result is linked to
// nothing.
//
// Most of a compile is spent here, function by function. The functions of a large module are compiled in two parts side
// by side, each an object; which function is in which part depends on the module alone, so the image is the same
// wherever it is made.
//===----------------------------------------------------------------------===//
#include "codegen/cpu/Cpu.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "runtime/DeepStack.h"
#include "runtime/Tally.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/InstCombine/InstCombine.h"
#include "llvm/Transforms/Scalar/DCE.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/LICM.h"
#include "llvm/Transforms/Scalar/LoopPassManager.h"
#include "llvm/Transforms/Scalar/Reassociate.h"
#include "llvm/Transforms/Scalar/SROA.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"

using namespace mlir;
using namespace attnc;
using namespace attnc::cpu;

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
void cpu::optimise(llvm::Module &module, llvm::TargetMachine &machine) {
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

std::unique_ptr<llvm::Module> cpu::toLLVM(ModuleOp module, llvm::LLVMContext &context, llvm::TargetMachine &machine,
                                          std::string &error) {
  std::unique_ptr<llvm::Module> result =
      translateModuleToLLVMIR(module, context, "attnc", /*disableVerification=*/true);
  if (!result) {
    error = "no LLVM IR could be made of the module";
    return nullptr;
  }
  result->setTargetTriple(machine.getTargetTriple().str());
  result->setDataLayout(machine.createDataLayout());
  // The translation notes whether there were locations; nothing here uses them.
  if (llvm::NamedMDNode *flags = result->getModuleFlagsMetadata())
    result->eraseNamedMetadata(flags);
  for (llvm::Function &f : *result) {
    if (f.isDeclaration())
      continue;
    f.addFnAttr("prefer-vector-width", "512");
    f.addFnAttr("min-legal-vector-width", "512");
    f.addFnAttr("target-cpu", machine.getTargetCPU());
    f.addFnAttr("no-builtins");
    f.addFnAttr(llvm::Attribute::NoUnwind);
    // What runs once in a call is not worth more than the fastest way through the compiler.
    if (f.hasExternalLinkage() && !f.hasHiddenVisibility()) {
      f.addFnAttr(llvm::Attribute::OptimizeNone);
      f.addFnAttr(llvm::Attribute::NoInline);
    }
  }
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

std::string cpu::emitAssembly(llvm::Module &module, llvm::TargetMachine &machine) {
  return emit(module, machine, llvm::CodeGenFileType::AssemblyFile);
}

std::string cpu::emitObject(llvm::Module &module, llvm::TargetMachine &machine) {
  return emit(module, machine, llvm::CodeGenFileType::ObjectFile);
}

/// Operations of a module that is compiled in two parts: less is not worth a thread.
constexpr size_t kLarge = 2500;

/// About half of the functions, by operations, or none where there are few of these.
static DenseSet<Operation *> halfOf(ModuleOp module) {
  SmallVector<std::pair<size_t, Operation *>> functions;
  size_t all = 0;
  for (auto f : module.getOps<LLVM::LLVMFuncOp>()) {
    size_t operations = 0;
    f.walk([&](Operation *) { ++operations; });
    functions.push_back({operations, f});
    all += operations;
  }
  DenseSet<Operation *> half;
  if (all < kLarge)
    return half;
  llvm::stable_sort(functions, [](auto &a, auto &b) { return a.first > b.first; });
  size_t here = 0, there = 0;
  for (auto [size, f] : functions)
    if (there < here) {
      half.insert(f);
      there += size;
    } else {
      here += size;
    }
  return half;
}

/// Moves functions into a module of their own. What one module calls in the other is declared there.
static OwningOpRef<ModuleOp> takeOut(ModuleOp module, const DenseSet<Operation *> &functions) {
  OwningOpRef<ModuleOp> other = ModuleOp::create(module.getLoc());
  (*other)->setAttrs(module->getAttrs());
  llvm::StringMap<LLVM::LLVMFuncOp> byName;
  for (auto f : llvm::make_early_inc_range(module.getOps<LLVM::LLVMFuncOp>())) {
    byName[f.getSymName()] = f;
    if (f.getLinkage() == LLVM::Linkage::Internal) {
      f.setLinkage(LLVM::Linkage::External);
      f.setVisibility_(LLVM::Visibility::Hidden); // no table of addresses
    }
    if (functions.contains(f))
      f->moveBefore(other->getBody(), other->getBody()->end());
  }
  for (ModuleOp part : {module, *other}) {
    llvm::SetVector<StringRef> wanted;
    part.walk([&](Operation *op) {
      if (auto call = dyn_cast<LLVM::CallOp>(op); call && call.getCallee())
        wanted.insert(*call.getCallee());
      else if (auto address = dyn_cast<LLVM::AddressOfOp>(op))
        wanted.insert(address.getGlobalName());
    });
    OpBuilder b = OpBuilder::atBlockBegin(part.getBody());
    for (StringRef name : wanted)
      if (auto f = byName.find(name); f != byName.end() && f->second->getParentOp() != part)
        b.insert(f->second->cloneWithoutRegions());
  }
  return other;
}

/// An object of a module of loops and vectors.
static std::string objectOf(ModuleOp module, llvm::TargetMachine &machine, std::string &error) {
  llvm::LLVMContext context;
  if (!cpu::toLLVMDialect(module, error))
    return "";
  std::unique_ptr<llvm::Module> llvmModule = cpu::toLLVM(module, context, machine, error);
  if (!llvmModule)
    return "";
  cpu::optimise(*llvmModule, machine);
  return cpu::emitObject(*llvmModule, machine);
}

std::vector<std::string> cpu::compileModule(ModuleOp module, const Target &target, std::string &error) {
  DenseSet<Operation *> half = halfOf(module);
  if (half.empty())
    return {objectOf(module, *target.machine, error)};
  TALLY("cpu: a module compiled in two parts");
  MLIRContext *context = module.getContext();
  context->loadDialect<cf::ControlFlowDialect, LLVM::LLVMDialect, vector::VectorDialect>();
  OwningOpRef<ModuleOp> other = takeOut(module, half);
  std::vector<std::string> objects(2);
  std::string otherError;
  bool threads = context->isMultithreadingEnabled();
  context->enableMultithreading();
  {
    DeepThread thread([&] { objects[1] = objectOf(*other, *makeMachine(target.arch), otherError); });
    objects[0] = objectOf(module, *target.machine, error);
    thread.join();
  }
  context->enableMultithreading(threads);
  if (error.empty())
    error = otherError;
  return objects;
}

bool cpu::compileTile(ModuleOp module, const CpuOptions &options, KernelBlob &blob, std::string &error) {
  Target target;
  if (!makeTarget(options, target, error) || !lowerTile(module, target, error))
    return false;
  std::vector<std::string> objects = compileModule(module, target, error);
  if (!error.empty() || !linkBlob(objects, blob, error))
    return false;
  blob.arch = options.arch;
  blob.features = target.features;
  return true;
}
