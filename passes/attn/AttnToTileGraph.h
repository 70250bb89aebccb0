//===- The graph of a mixer as the lowering to tile sees it ---------------===//
//
// Axes become small numbers; positions become *symbols*. An expression is looked at in an environment that gives every
// axis of it a position. Positions that are not yet SSA values are named by a Sym: either the own position along an
// axis of the stage being looked at, or an index expression of the attn graph in an environment of its own (interned,
// so that equal positions have equal numbers). This is what tells whether a value is read at the reader's own position,
// one step back, or anywhere.
//===----------------------------------------------------------------------===//
#pragma once
#include "dialect/attn/Attn.h"
#include <map>

namespace attnc::totile {

using mlir::Value;

/// Sorted numbers of axes.
class AxisSet {
public:
  AxisSet() = default;
  void insert(int a) {
    auto at = std::lower_bound(ids_.begin(), ids_.end(), a);
    if (at == ids_.end() || *at != a)
      ids_.insert(at, a);
  }
  void erase(int a) {
    auto at = std::lower_bound(ids_.begin(), ids_.end(), a);
    if (at != ids_.end() && *at == a)
      ids_.erase(at);
  }
  bool contains(int a) const { return std::binary_search(ids_.begin(), ids_.end(), a); }
  bool containsAll(const AxisSet &o) const { return std::includes(ids_.begin(), ids_.end(), o.begin(), o.end()); }
  AxisSet operator&(const AxisSet &o) const {
    AxisSet r;
    std::set_intersection(begin(), end(), o.begin(), o.end(), std::back_inserter(r.ids_));
    return r;
  }
  AxisSet operator|(const AxisSet &o) const {
    AxisSet r;
    std::set_union(begin(), end(), o.begin(), o.end(), std::back_inserter(r.ids_));
    return r;
  }
  AxisSet operator-(const AxisSet &o) const {
    AxisSet r;
    std::set_difference(begin(), end(), o.begin(), o.end(), std::back_inserter(r.ids_));
    return r;
  }
  bool operator==(const AxisSet &o) const { return ids_ == o.ids_; }
  bool operator!=(const AxisSet &o) const { return ids_ != o.ids_; }
  bool empty() const { return ids_.empty(); }
  size_t size() const { return ids_.size(); }
  const int *begin() const { return ids_.begin(); }
  const int *end() const { return ids_.end(); }

private:
  llvm::SmallVector<int, 6> ids_;
};

/// One axis of the mixer. `size` is a guess of its extent where that is not constant, for cost comparisons only.
struct AxisInfo {
  mlir::StringAttr name;
  ExtentRef extent;
  std::optional<int64_t> constant;
  double size = 1;
  bool sequence = false; ///< dynamic, and positions along it meet: reduced, shifted, compared or gathered
  bool dynamic() const { return !constant; }
};

/// Axis a: the number a. Expression k: -(k + 1).
using Sym = int;
/// Position of each axis, sorted by axis.
using SymEnv = llvm::SmallVector<std::pair<int, Sym>, 6>;

/// constant + sum of factor * position + sum of factor * extent (by its text).
struct Linear {
  std::map<int, int64_t> axes;
  std::map<std::string, int64_t> extents;
  int64_t constant = 0;

  bool operator==(const Linear &o) const { return axes == o.axes && extents == o.extents && constant == o.constant; }
};

void addTo(Linear &to, const Linear &from, int64_t factor);

/// A dim of two axes, chunks and the places in one, whose last chunk may be short.
struct ChunkedDim {
  int chunk;
  ExtentRef length; ///< of the whole
};

class Graph {
public:
  explicit Graph(attn::MixerOp mixer);

  attn::MixerOp mixer;
  attn::AxisTable table;
  std::vector<AxisInfo> axes;

  int axis(mlir::StringAttr name) const { return ids_.lookup(name); }
  AxisSet axesOf(Value v) const;
  llvm::SmallVector<int> list(mlir::ArrayAttr names) const;
  double volume(const AxisSet &set) const;
  /// The dim that has `axis` as its places in a chunk.
  std::optional<ChunkedDim> chunked(int axis);
  /// Product of the extents along `list`.
  ExtentRef extentOf(llvm::ArrayRef<int> list) const;

  SymEnv identity(const AxisSet &set) const;
  SymEnv restrict(const SymEnv &env, Value v) const;
  /// The position that index value `index` has in `env`.
  Sym position(Value index, const SymEnv &env);
  /// The environment in which the operand of `read` is seen when the read is seen in `env`.
  SymEnv through(attn::ReadOp read, const SymEnv &env);
  std::optional<Linear> linear(Sym sym);
  /// Of the axes of `v` itself.
  std::optional<Linear> linear(Value v) { return linear(position(v, identity(axesOf(v)))); }
  Linear linear(const ExtentRef &e) const;
  /// The position as an expression of extents alone.
  ExtentRef asExtent(Sym sym);
  /// Axes of the stage that the position depends on.
  AxisSet dependsOn(Sym sym);

  struct Expr {
    Value value;
    SymEnv env;
  };
  const Expr &expr(Sym sym) const { return exprs_[-sym - 1]; }

private:
  /// A value as it is seen in an environment.
  using Seen = std::pair<void *, std::vector<std::pair<int, int>>>;
  /// What was found for parts of one expression: a part that is used twice at many levels is looked at once.
  template <typename Result> struct Parts {
    std::map<Seen, Result> known;
    int depth = 0;
    template <typename Find> Result of(Value v, const SymEnv &env, Find find);
  };
  std::optional<Linear> linear(Value v, const SymEnv &env);
  std::optional<Linear> findLinear(Value v, const SymEnv &env);
  ExtentRef asExtent(Value v, const SymEnv &env);
  ExtentRef findExtent(Value v, const SymEnv &env);

  llvm::DenseMap<mlir::StringAttr, int> ids_;
  std::vector<Expr> exprs_;
  std::map<Seen, Sym> interned_;
  Parts<std::optional<Linear>> linears_;
  Parts<ExtentRef> extents_;
};

/// Looks through equations outside cycles and through detach: the same value.
Value resolve(Value v);
inline Sym lookup(const SymEnv &env, int axis) {
  for (auto &[a, s] : env)
    if (a == axis)
      return s;
  llvm_unreachable("axis without a position");
}

} // namespace attnc::totile
