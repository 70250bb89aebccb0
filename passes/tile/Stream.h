//===- Fusing nests over an axis: what is found ---------------------------===//
#pragma once
#include "dialect/tile/Tile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include <optional>

namespace attnc::stream {

using mlir::Block;
using mlir::Operation;
using mlir::Value;
using mlir::ValueRange;

std::optional<int64_t> constant(Value v);
bool isReal(Value v, double wanted);

/// Positions of one dim of a nest.
struct Dim {
  Value lo, hi;
  /// A constant bound on hi - lo: g * size .. min(g * size + size, end).
  std::optional<int64_t> block() const;
  /// A guess where there is no bound.
  int64_t length() const { return block().value_or(48); }
  /// What all instances together run over, or null.
  Value total(mlir::ImplicitLocOpBuilder &b) const;
};
Dim dimOf(tile::NestOp nest, unsigned at);

/// Buffer and indices of a load or a store; null for any other op.
std::pair<Value, ValueRange> access(Operation *op);
/// The dim of the nest that an index is the position of, but for an offset; -1: it is another expression.
int positionOf(tile::NestOp nest, Value index);
/// The op that defines a value, or that has it as an argument.
Operation *defining(Value v);
/// An index as a position and what is taken off it; the position is null where it is no plain one.
std::pair<mlir::BlockArgument, Value> parts(Value index);
/// A load of the buffer in the body.
tile::LoadOp loadOf(tile::NestOp nest, Value buffer);

/// The one to have in lanes comes last: the longest, as far as is known.
template <typename T, typename Length> void longestLast(llvm::SmallVectorImpl<T> &dims, Length lengthOf) {
  auto last = dims.end();
  for (auto d = dims.begin(); d != dims.end(); ++d)
    if (last == dims.end() || lengthOf(*d) >= lengthOf(*last))
      last = d;
  if (last != dims.end())
    std::rotate(last, last + 1, dims.end());
}

/// What a value is, as far as a maximum that may still rise goes.
struct Degree {
  enum Kind { Free, Zero, Reference, IsLowest, Shifted, Linear } kind = Free;
  Value max, scale; ///< the buffer of the maximum; Shifted, Linear: what the difference is multiplied by, or null
  bool operator==(const Degree &o) const { return kind == o.kind && max == o.max && scale == o.scale; }
};

/// A nest over the axis; `dim`: which of its dims that is.
struct Member {
  mutable tile::NestOp nest;
  unsigned dim;
  bool sums() const { return dim >= nest.getNumPar(); }
  Value max;                        ///< the buffer of the maximum that it keeps, if it is one that others refer to
  Degree degree;                    ///< of the sums
  llvm::SmallVector<Value> running; ///< buffers of the sums so far
};
/// A buffer with a place for every position.
struct Row {
  unsigned dim;
  Degree degree;
  bool written = false;
  /// Linear: where its maximum is kept; each index is that of a dim of this buffer, or a value outside of the nests.
  llvm::SmallVector<std::pair<unsigned, Value>> atMax;
  Value now;                         ///< the buffer of one block
  llvm::SmallVector<unsigned> order; ///< its dims in memory
};

/// The nests of a kernel over one axis, and all that they keep a place for every position of it for.
struct Fusion {
  tile::KernelOp kernel;
  Block *body;
  llvm::SmallVector<Member, 0> members;
  llvm::MapVector<Value, Row> rows;
  llvm::DenseMap<Value, std::pair<Degree, Operation *>> maxima; ///< by buffer: how exp refers to it
  llvm::DenseSet<Operation *> exps;                             ///< of what lies below a maximum
  llvm::SmallVector<Dim> rowDims;
  bool rowsLast = true; ///< in memory, for lanes; else what lies along the axis
  llvm::SmallVector<Operation *> before, after;

  /// How many rows an instance has at most in all of a call, as a value of the program; null: not known.
  Value rowsInAll(mlir::ImplicitLocOpBuilder &b) const;
  /// Where the maximum is that a sum refers to, as indices in its body.
  llvm::SmallVector<Value> maxIndices(const Member &m) const;
};

/// Members whose weights may lie below an older maximum; see StreamStaleMatch.cpp.
struct Stale {
  llvm::SmallVector<Member *> before; ///< what else comes before the scores
  Member *scores = nullptr, *max = nullptr, *weights = nullptr, *sum = nullptr;
  tile::StoreOp score, store; ///< of a score, of a weight
  tile::LoadOp load;          ///< of a score, for a weight
  Operation *exp = nullptr;
  Value argument; ///< of the weights' body: what the maximum is taken off
};
std::optional<Stale> matchStale(Fusion &f);

/// Whether results stay the same where all weights of the fusion lie below something else than their maximum; see
/// StreamInvariant.cpp.
bool isInvariant(const Fusion &f);

/// Finds what can be fused; changes nothing. `why`: what is in the way of what came closest.
std::optional<Fusion> matchFusion(tile::KernelOp kernel, llvm::StringRef &why);

/// A nest with exp of what lies below a maximum, outside of the loops over blocks; or null.
tile::NestOp softmaxIn(tile::KernelOp kernel);

} // namespace attnc::stream
