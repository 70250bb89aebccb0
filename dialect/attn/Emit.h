//===- Checked equations -> attn dialect ----------------------------------===//
//
// One op per node of the total graph, each at the place in the spec that it comes from. Decides the type that each real
// value is computed in:
//   f64   where a real operand is f64 (an input stored so, or a value computed from one), and for expressions of
//         indices, extents, params and literals alone, which are rounded once (to_f32) where they meet f32 values;
//   f32   everywhere else, whatever the storage.
//===----------------------------------------------------------------------===//
#pragma once
#include "frontend/Program.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include <map>

namespace attnc {

struct EmitOptions {
  /// Dtypes of the caller's tensors by name. What is missing here has its declared dtype, or f32.
  std::map<std::string, DType> inputs, outputs;
  /// Values of the symbols that the kernel is specialised on; -1 (or past the end): stays unknown.
  std::vector<int64_t> symbols;
};

/// A module with one attn.mixer. `program` is totalized and has no errors. Loads the dialect.
mlir::OwningOpRef<mlir::ModuleOp> emitAttn(mlir::MLIRContext &context, const Program &program,
                                           const EmitOptions &options);

} // namespace attnc
