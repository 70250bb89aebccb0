//===- CPU code generation ------------------------------------------------===//
//
//   tile module --lowerTile--> loops and vectors --toLLVMDialect--> LLVM dialect --toLLVM--> LLVM IR
//     LLVM IR --optimise--> --emitAssembly--> text
//                           --emitObject----> ELF
//     loops and vectors --compileModule--> ELF, in parts --linkBlob--> KernelBlob
//
// compileTile does it all. Every function that fails says why in `error`; diagnostics on ops go to the context's
// handler.
//===----------------------------------------------------------------------===//
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "runtime/Blob.h"
#include <memory>
#include <string>

namespace llvm {
class LLVMContext;
class MemoryBuffer;
class Module;
class TargetMachine;
} // namespace llvm
namespace mlir {
class OpPassManager;
}

namespace attnc::cpu {

struct CpuOptions {
  /// native, x86-64-v3 (AVX2, FMA, F16C) or x86-64-v4 (AVX-512 F BW CD DQ VL). native is the better of the two this
  /// machine has.
  std::string arch = "native";
  bool vectorise = true; ///< off: one position at a time, for comparisons in tests
};

/// Dialects and translations that the code generator uses.
void registerCpuDialects(mlir::DialectRegistry &registry);

/// Notes that the last dim of every input has stride 1 (`rows` on a tile.arg): one version of the loops is enough.
void inputsInRows(mlir::ModuleOp module);

/// What `arch` means here; null with `error` set when it is unknown or not available.
struct Target {
  std::unique_ptr<llvm::TargetMachine> machine;
  std::string arch;
  std::vector<std::string> features;
  unsigned vectorBytes = 64;
  bool vectorise = true;
  Target();
  Target(Target &&);
  ~Target();
};
bool makeTarget(const CpuOptions &options, Target &target, std::string &error);
/// A code generator of its own, for another thread; null when there is none.
std::unique_ptr<llvm::TargetMachine> makeMachine(const std::string &arch);

/// Runs the passes from a tile module to functions of loops and vectors.
bool lowerTile(mlir::ModuleOp module, const Target &target, std::string &error);
bool toLLVMDialect(mlir::ModuleOp module, std::string &error);
/// LLVM IR of a module in the LLVM dialect, not optimised yet.
std::unique_ptr<llvm::Module> toLLVM(mlir::ModuleOp module, llvm::LLVMContext &context, llvm::TargetMachine &machine,
                                     std::string &error);
void optimise(llvm::Module &module, llvm::TargetMachine &machine);
std::string emitAssembly(llvm::Module &module, llvm::TargetMachine &machine);
std::string emitObject(llvm::Module &module, llvm::TargetMachine &machine);
/// Objects of functions of loops and vectors, a large module's on two threads. One or two, which refer to each other;
/// where `error` is set they are of no use. Consumes the module.
std::vector<std::string> compileModule(mlir::ModuleOp module, const Target &target, std::string &error);

/// Lays out the sections of x86-64 ELF objects one after the other and applies their relocations.
bool linkBlob(const std::vector<std::string> &objects, KernelBlob &blob, std::string &error);

/// Consumes the module.
bool compileTile(mlir::ModuleOp module, const CpuOptions &options, KernelBlob &blob, std::string &error);

} // namespace attnc::cpu
