//===- Parts of functions that become functions ---------------------------===//
#pragma once
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include <cstdint>
#include <vector>

namespace attnc::cpu {

/// What an operation does, with everything in it, whatever the values are that it uses from outside. It does not matter
/// where a constant stands.
class Shape {
public:
  explicit Shape(mlir::Operation *root) { add(root); }

  std::vector<uint64_t> words;
  llvm::SmallVector<mlir::Value> outside; ///< in the order of their first use

private:
  void add(mlir::Operation *op);
  void add(const void *p) { words.push_back(reinterpret_cast<uintptr_t>(p)); }
  void define(mlir::Value v);
  void use(mlir::Value v);

  llvm::DenseMap<mlir::Value, unsigned> numbers;
};

/// The same for a first look, whatever values are used where; equal shapes have equal hashes.
struct Sketch {
  unsigned operations = 0; ///< constants aside
  unsigned loops = 0;      ///< how deep they are nested
  llvm::hash_code hash{0};
};

/// Of an operation and all in it; `visit` sees each that may become a function, the inner ones first.
Sketch sketch(mlir::Operation *op, llvm::function_ref<void(mlir::Operation *, const Sketch &)> visit);

/// Makes functions with the names PREFIX0, PREFIX1, ...
class Outliner {
public:
  explicit Outliner(llvm::StringRef prefix) : prefix(prefix) {}
  /// Moves the part to a function of its own, before the one it stands in, and calls it.
  mlir::LLVM::LLVMFuncOp outline(mlir::Operation *part);
  /// Calls the function instead of an equal part.
  static void call(mlir::Operation *part, mlir::LLVM::LLVMFuncOp function, const Shape &shape);

private:
  llvm::StringRef prefix;
  unsigned made = 0;
};

} // namespace attnc::cpu
