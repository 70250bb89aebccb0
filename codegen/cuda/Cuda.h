//===- CUDA code generation -----------------------------------------------===//
//
//   tile module --lowerTile--> gpu.module and launches --printCuda--> CUDA C++ text
//                                                      \-planLaunches--> what the host does
//
// Every function that fails says why in `error`; diagnostics on ops go to the context's handler.
//===----------------------------------------------------------------------===//
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "runtime/cuda/LaunchPlan.h"
#include <string>

namespace attnc::cuda {

/// Dialects that the code generator uses.
void registerCudaDialects(mlir::DialectRegistry &registry);

bool lowerTile(mlir::ModuleOp module, std::string &error);

/// One translation unit without includes: it expects the device header (Device.h) in front. The same module gives the
/// same text. Fails on an op that the printer has no word for, and names it in `error`.
bool printCuda(mlir::ModuleOp module, std::string &text, std::string &error);

/// Of the program around the launches of a lowered module.
bool planLaunches(mlir::ModuleOp module, LaunchPlan &plan, std::string &error);

/// The name under which a kernel is exported.
std::string kernelName(llvm::StringRef symbol);

} // namespace attnc::cuda
