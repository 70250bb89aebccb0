//===- Conditions on positions, and where they can hold -------------------===//
//
// A condition of a nest's body as a term over the rows of an instance, the position along the axis that a loop walks,
// and what is the same for all of them. Equal terms of different nests are one. Over a box of rows and positions the
// values of a term have an interval, which is made as i64 arithmetic of the kernel; no point of the box is looked at.
//===----------------------------------------------------------------------===//
#pragma once
#include "dialect/tile/Tile.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include <map>
#include <optional>

namespace attnc::mask {

using mlir::ImplicitLocOpBuilder;
using mlir::Operation;
using mlir::Value;

/// Number of a term.
using Id = int;

enum class Kind {
  Constant, ///< number
  Outside,  ///< value: the same in all of the loop
  Row,      ///< number: of the dim
  Key,      ///< the position along the axis
  Other,    ///< anything else: nothing is known about it
  Not,      ///< of what is neither of the following
  And,
  Or,
  Less, ///< args 0 < args 1
  AtMost,
  Equal,
  Differ,
  Mod, ///< args 0 mod args 1, a constant
  Op   ///< op on args
};

struct Term {
  Kind kind;
  int64_t number = 0;
  Value value; ///< what it stands for in one of the bodies
  llvm::SmallVector<Id> args;
  bool row = false, key = false, other = false; ///< what it depends on
  bool data = false;                            ///< something is read for it
  /// Of the term written out; it says no more than that this is large, from there on.
  int64_t size = 1;
  static constexpr int64_t kLarge = 1000;
  bool fixed() const { return !row && !key && !other; }
  /// Read from memory as one value, for rows alone or for positions alone.
  bool isData() const { return data && row != key && !other; }
  /// Read for pairs of a row and a position, as a table of a mask is: what holds in a box is seen at each of its
  /// points.
  bool isTable() const { return data && row && key && !other && value && value.getType().isInteger(1); }
};

/// The dims of a nest: which row, the axis (-1), or none of both (-2).
struct Frame {
  mutable tile::NestOp nest;
  llvm::SmallVector<int> dims;
};

/// Whether a bound in the loop moves with its position.
bool movesWith(tile::ForOp loop, Value bound);

class Terms {
public:
  explicit Terms(tile::ForOp loop) : loop(loop) {}
  Id of(Value v, const Frame &frame);
  Id conjunction(llvm::ArrayRef<Id> parts) { return logic(Kind::And, parts); }
  Id disjunction(llvm::ArrayRef<Id> parts) { return logic(Kind::Or, parts); }
  Id negation(Id id);
  Id constant(int64_t number);
  const Term &operator[](Id id) const { return terms[id]; }

private:
  Id logic(Kind kind, llvm::ArrayRef<Id> parts);
  Id add(Term term, const void *name = nullptr, const void *attributes = nullptr);
  Id build(Value v, const Frame &frame);

  tile::ForOp loop;
  std::vector<Term> terms;
  std::map<std::tuple<int, int64_t, const void *, const void *, std::vector<Id>>, Id> known;
  llvm::DenseMap<Value, Id> of_;
};

/// Both ends belong to it; null: there is none.
struct Interval {
  Value lo, hi;
};
/// Whether a condition holds anywhere, and everywhere.
struct Truth {
  Value some, all;
};
/// Positions of the axis that have one entry in a table, and that are looked at together.
constexpr int64_t kPart = 32;
/// lo .. hi-1
using Span = tile::Range;

/// Rows and positions that are looked at together, none empty.
struct Box {
  llvm::SmallVector<Interval> rows;
  Span keys;
  Interval key;  ///< the same, both ends belonging to it
  Value summary; ///< the place of the positions in summaries along the axis
  Span block;    ///< of parts of kPart positions, of which this is one, if it has a number
  int part = -1;
  /// Of terms that isTable(): whether they hold for some and for all, by part.
  llvm::DenseMap<Id, std::pair<Value, Value>> looked;
  llvm::DenseMap<Id, Interval> data; ///< what is read at the rows
};

class Solver;

/// The source of values that are no arithmetic on positions.
struct Reader {
  /// The least and the greatest of a term that isData() in a box; true is 1. Null: not known.
  virtual Interval read(ImplicitLocOpBuilder &b, Id id, Box &box) = 0;
  /// Whether a term that isTable() is looked at point by point, where the box is a part of a block.
  virtual bool looksAt(Id id) const = 0;
  virtual Truth look(ImplicitLocOpBuilder &b, Id id, Box &box, Solver &solver) = 0;
  /// The value of a term that is fixed().
  virtual Value outside(Id id) = 0;
  virtual ~Reader() = default;
};

/// Writes arithmetic on intervals.
class Solver {
public:
  Solver(Terms &terms, Reader &reader) : terms(terms), reader(reader) {}

  Interval interval(ImplicitLocOpBuilder &b, Id id, Box &box);
  Truth truth(ImplicitLocOpBuilder &b, Id id, Box &box);
  /// Positions along the axis of the box outside of which the condition holds for none of the rows; in no order.
  llvm::SmallVector<Span> possible(ImplicitLocOpBuilder &b, Id id, Box &box);

private:
  Span within(ImplicitLocOpBuilder &b, Id id, Interval wanted, Box &box);

  Terms &terms;
  Reader &reader;
};

} // namespace attnc::mask
