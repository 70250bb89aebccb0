//===- Checked equations --------------------------------------------------===//
//
// What `check` makes of one mixer, for given params and a given set of passed inputs: names resolved, functions
// inlined, params folded, composites split into leaf axes, sugar gone, recurrences ordered. Two graphs live in it:
//
//   surface   the equations as the language means them, absence included (Where, Fill, Present, Read that may leave its
//             axis). The reference evaluator reads this graph and nothing else.
//   total     the same values without absence (see Presence.h): every node has a value at every position, reads are
//             clamped, reductions carry explicit guards. The attn dialect is made from this graph alone.
//
// Nodes form a DAG: a node may be used many times, also under different reads. All are owned by the Program.
//===----------------------------------------------------------------------===//
#pragma once
#include "frontend/Source.h"
#include "runtime/Signature.h"
#include <deque>
#include <string>
#include <vector>

namespace attnc {

using AxisId = int;

/// Sorted, without repetition.
class AxisSet {
public:
  AxisSet() = default;
  AxisSet(std::initializer_list<AxisId> ids) {
    for (AxisId a : ids)
      insert(a);
  }
  explicit AxisSet(const std::vector<AxisId> &ids) {
    for (AxisId a : ids)
      insert(a);
  }
  void insert(AxisId a);
  void erase(AxisId a);
  bool contains(AxisId a) const;
  bool containsAll(const AxisSet &o) const;
  bool intersects(const AxisSet &o) const;
  AxisSet operator|(const AxisSet &o) const;
  AxisSet operator-(const AxisSet &o) const;
  AxisSet &operator|=(const AxisSet &o) { return *this = *this | o; }
  bool operator==(const AxisSet &o) const { return ids_ == o.ids_; }
  bool operator!=(const AxisSet &o) const { return ids_ != o.ids_; }
  bool empty() const { return ids_.empty(); }
  size_t size() const { return ids_.size(); }
  auto begin() const { return ids_.begin(); }
  auto end() const { return ids_.end(); }

private:
  std::vector<AxisId> ids_;
};

enum class Kind : uint8_t { Bool, Int, Real };

enum class Op : uint8_t {
  Const,  ///< real, integer or boolean (in `integer`) by kind
  Index,  ///< position along the leaf axis `axis`, 0-based; int
  Extent, ///< value of `extent`; int
  Tensor, ///< input or equation `tensor`, at the positions of its own axes
  Map,    ///< elementwise `fn` of args
  // Both graphs; in the total graph `guards` runs parallel to args (null: always there).
  Reduce,  ///< `red` over groups[i] of args[i]; more than one arg, or an empty group: a union
  Softmax, ///< result `which` of a softmax over groups[i] of args[i]
  Cum,     ///< `red` (Sum, Prod, Max) along groups[0] taken as one flat axis, inclusive; from the end when `reversed`
  ArgMax,
  ArgMin,  ///< flat position over groups[0]; first of equals; int
  TopK,    ///< flat positions over groups[0] of the largest, along the new axes `newAxes`
  ArgSort, ///< flat positions over groups[0] in ascending order, along newAxes; stable, NaN last
  Sort,    ///< values of args[0] in ArgSort's order, along newAxes (surface graph only)
  Rank,    ///< place of each element of args[0] in TopK's order along groups[0]: largest first, NaN last
  Read,    ///< args[0] with axes replaced, see ReadItem
  Grad,    ///< derivative of the sum of args[0] with respect to tensor `tensor`, axes `kept` not summed
  Detach,  ///< args[0], a constant for Grad; with a `tensor` only for a Grad inside that one's recurrence (total graph)
  // Surface graph only.
  Where,   ///< args[0], absent where the condition args[1] is not true
  Fill,    ///< args[0], or args[1] where it is absent
  Present, ///< bool
};

enum class RedOp : uint8_t { Sum, Mean, Prod, Max, Min, Any, All, Count, LogSumExp, Norm };

enum class Fn : uint8_t {
  Neg,
  Not,
  Add,
  Sub,
  Mul,
  Div,
  IDiv,
  Mod,
  Pow,
  IPow,
  And,
  Or,
  Lt,
  Le,
  Gt,
  Ge,
  Eq,
  Ne,
  Select, ///< args: condition, then, else. Surface: `a if c else b`
  Exp,
  Exp2,
  Expm1,
  Log,
  Log1p,
  LogAddExp,
  Sqrt,
  Rsqrt,
  Abs,
  Sign,
  Floor,
  Ceil,
  Round,
  Min,
  Max,
  Clamp,
  Sin,
  Cos,
  Tanh,
  Sigmoid,
  LogSigmoid,
  Softplus,
  Relu,
  Silu,
  Gelu,
  GeluTanh,
  Erf,
  IsFinite,
  Ilog2,
  BitAnd,
  BitOr,
  BitXor,
  Shl,
  Shr,
  Cast, ///< to `dtype`: rounds, saturates; the node's kind follows
  ToReal,
  ToInt,
  ToBool, ///< kind conversions the checker inserts: bool -> int -> real; number -> `!= 0`
};

/// One substitution of a Read. The `leaves` (one axis, or all of a composite, last fastest) get the position `index`.
/// An index outside 0 .. bound-1 is absent, for a cause with the axes of `index` and `bound`, except on the side
/// `start`, where the read gives the init of the recurrence it reads.
struct Node;
struct ReadItem {
  std::vector<AxisId> leaves;
  Node *index = nullptr; ///< int; axes of the reading side
  Node *bound = nullptr; ///< int; number of positions that exist there (in a ragged chunk fewer than the extent)
  int start = 0;         ///< -1: index < 0 reads init; +1: index >= bound reads init
  bool last = false;     ///< index is `last`: inside whenever bound >= 1
};

struct Node {
  Op op;
  Kind kind = Kind::Real;
  AxisSet axes; ///< free axes
  Span span;
  std::vector<Node *> args;
  std::vector<Node *> guards;              ///< total graph: bool nodes or null, parallel to args
  std::vector<std::vector<AxisId>> groups; ///< leaf axes, in order, last fastest
  std::vector<AxisId> newAxes;             ///< TopK, ArgSort, Sort
  std::vector<ReadItem> reads;
  double real = 0;
  int64_t integer = 0;
  AxisId axis = -1;
  ExtentRef extent;
  int tensor = -1;
  Fn fn = Fn::Add;
  RedOp red = RedOp::Sum;
  DType dtype = DType::F32;
  int which = 0;
  bool reversed = false;
  std::vector<AxisId> kept; ///< Grad
  unsigned id = 0;          ///< order of creation
};

/// A leaf axis.
struct Axis {
  std::string name; ///< unique in the program; axes made by inlined functions get a suffix (r, r.1)
  ExtentRef extent;
  int composite = -1; ///< the composite whose positions may not all exist, -1: none
  Span span;
};

/// Leaf axes taken as one; `length` positions exist (all of them unless ragged).
struct Composite {
  std::string name; ///< empty: anonymous
  std::vector<AxisId> leaves;
  ExtentRef length;
  bool ragged = false;
  Span span;
};

/// A condition that must hold for a value to be there. `pred` is a total bool node.
struct Cause {
  Node *pred = nullptr;
  AxisSet axes;
  Span span;
  int ragged = -1; ///< the composite past whose end positions do not exist; pred then says so
  enum Why { Condition, Index, Selection } why = Condition; ///< what `span` shows
};

/// A scan axis of a recurrence. dir +1: from 0 up; -1: from the end.
struct ScanAxis {
  AxisId axis;
  int dir;
};

/// An input (also a left-out one: then it has a body, its default) or an equation.
struct Tensor {
  std::string name;
  Span span;
  bool isInput = false; ///< passed by the caller
  int argument = -1;    ///< isInput: index in signature.inputs
  Kind kind = Kind::Real;
  std::optional<DType> dtype; ///< declared
  AxisSet axes;
  std::vector<std::vector<AxisId>> dims; ///< isInput: leaf axes of each dim of the caller
  Node *body = nullptr;                  ///< surface
  Node *init = nullptr;                  ///< surface; null: 0. Only when in a cycle
  int cycle = -1;                        ///< index in Program::cycles, -1: not recurrent
  // Made by totalize():
  Node *total = nullptr;
  Node *totalInit = nullptr;
  std::vector<Cause> causes;
};

/// Equations that read each other through shifts, and the loops that order them, outermost first.
struct Cycle {
  std::vector<int> tensors; ///< in an order in which, within one position, each reads only earlier ones
  std::vector<ScanAxis> loops;
};

struct Output {
  std::string name;
  int tensor = -1;
  DType dtype = DType::F32; ///< valid when declared
  bool declared = false;
  std::vector<std::vector<AxisId>> dims;
};

struct Program {
  Signature signature;
  std::vector<Axis> axes;
  std::vector<Composite> composites;
  std::vector<Tensor> tensors;
  std::vector<Cycle> cycles;
  /// Evaluation order: >= 0 a tensor outside cycles, < 0 the cycle ~value.
  std::vector<int> order;
  std::vector<Output> outputs;
  std::deque<Node> arena;

  Node *make(Op op, Kind kind, AxisSet axes, std::vector<Node *> args, Span span);
};

} // namespace attnc
