//===- Rows of scores in one pass, block by block --------------------------===//
//
//   S[i, j] = q[i] k[j]              nests over all j, a buffer with a place for every j
//   m[i]    = max over j of S
//   S[i, j] = exp(S[i, j] - m[i])
//   z[i]    = sum over j of S;  o[i, e] = sum over j of S[i, j] v[j, e];  finish: o / z
// becomes
//   m = -inf, z = 0, o = 0
//   for blocks of j:
//     S[j, i] = q[i] k[j];  m' = max(m, max of S);  c = exp(m - m');  m = m'
//     S = exp(S - m);  z = z c + sum of S;  o = o c + sum of S v
//   finish
//
// A kernel may have its nests over an axis fused like this where every buffer with a place for each position is read
// and written at the nest's own position alone, and no nest needs a sum over the whole axis, but for one thing: a
// maximum that is taken off the argument of exp. What is computed with a maximum so far is off by the factor c when the
// maximum rises; everything that depends on it must be of the first degree in exp (the *reference* of a value is the
// maximum in it), so that the sums are corrected by c.
//
// Online softmax: Milakov and Gimelshein, 2018, arXiv 1805.02867; attention: Rabe and Staats, 2021, arXiv 2112.05682.
//
// The rows of the buffers come last in memory, so that a code generator may put them in lanes, unless other memory that
// the nests read has positions of the axis side by side. Where there are known to be few of them that is no gain, and
// the kernel stays as it is.
//
// Sums are restarted in every block: the error of a long sum is that of a short one.
// Assumes attn-to-tile. Pinned by test/passes/tile/stream.mlir.
//===----------------------------------------------------------------------===//
#include "dialect/tile/Tile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Matchers.h"
#include "passes/Passes.h"
#include "runtime/Tally.h"
#include "llvm/ADT/SetVector.h"
#include <limits>

using namespace mlir;

namespace attnc {
#define GEN_PASS_DEF_STREAM
#include "passes/Passes.h.inc"

namespace {

constexpr int64_t kBlock = 128; ///< positions in a block
constexpr int64_t kRows = 16;   ///< rows that make it worth while

std::optional<int64_t> constant(Value v) {
  APInt c;
  if (v && matchPattern(v, m_ConstantInt(&c)))
    return c.getSExtValue();
  return std::nullopt;
}

bool isReal(Value v, double wanted) {
  FloatAttr c;
  return matchPattern(v, m_Constant(&c)) && c.getValueAsDouble() == wanted;
}

/// A value known in the whole program: of symbols and constants.
bool ofProgram(Value v) { return isa<tile::ProgramOp>(v.getParentBlock()->getParentOp()); }

/// Positions of one dim of a nest.
struct Dim {
  Value lo, hi;
  /// A constant bound on hi - lo: g * size .. min(g * size + size, end).
  std::optional<int64_t> block() const {
    if (auto l = constant(lo), h = constant(hi); l && h)
      return std::max<int64_t>(*h - *l, 0);
    auto least = hi.getDefiningOp<arith::MinSIOp>();
    for (Value v : least ? ValueRange(least->getOperands()) : ValueRange(hi))
      if (auto add = v.getDefiningOp<arith::AddIOp>(); add && add.getLhs() == lo)
        if (auto size = constant(add.getRhs()))
          return size;
    return std::nullopt;
  }
  /// A guess where there is no bound.
  int64_t length() const { return block().value_or(48); }
  /// What all instances together run over, or null.
  Value total(ImplicitLocOpBuilder &b) const {
    if (ofProgram(lo) && ofProgram(hi))
      return b.createOrFold<arith::SubIOp>(hi, lo);
    auto least = hi.getDefiningOp<arith::MinSIOp>();
    for (Value v : least ? ValueRange(least->getOperands()) : ValueRange())
      if (ofProgram(v) && !constant(v))
        return v;
    if (auto size = block())
      return b.create<arith::ConstantIntOp>(*size, 64);
    return {};
  }
};

Dim dimOf(tile::NestOp nest, unsigned at) {
  unsigned par = nest.getNumPar();
  return at < par ? Dim{nest.getParLo()[at], nest.getParHi()[at]}
                  : Dim{nest.getInnerLo()[at - par], nest.getInnerHi()[at - par]};
}

/// The one to have in lanes comes last: the longest, as far as is known.
template <typename T, typename Length> void longestLast(SmallVectorImpl<T> &dims, Length lengthOf) {
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
  Operation *exp = nullptr;
  bool operator==(const Degree &o) const { return kind == o.kind && max == o.max && scale == o.scale; }
};

class Streamer {
public:
  explicit Streamer(tile::KernelOp kernel) : kernel_(kernel), body_(&kernel.getBody().front()) {}

  /// Finds what can be fused; changes nothing.
  bool match() {
    for (auto nest : body_->getOps<tile::NestOp>())
      for (tile::AllocOp seed : body_->getOps<tile::AllocOp>())
        for (unsigned d = 0; d < seed.getExtents().size(); ++d)
          if (!constant(seed.getExtents()[d]) && nest == firstUser(seed) && matchFrom(seed, d))
            return true;
    return false;
  }

  /// How many rows an instance has at most in all of a call, as a value of the program; null: not known.
  Value rowsInAll(ImplicitLocOpBuilder &b) const {
    Value all;
    for (Dim d : rowDims_) {
      Value one = d.total(b);
      if (!one)
        return {};
      all = all ? b.createOrFold<arith::MulIOp>(all, one) : one;
    }
    return all;
  }

  void rewrite();

private:
  /// A nest over the axis; `dim`: which of its dims that is.
  struct Member {
    mutable tile::NestOp nest;
    unsigned dim;
    bool sums() const { return dim >= nest.getNumPar(); }
    Value max;                  ///< the buffer of the maximum that it keeps, if it is one that others refer to
    Degree degree;              ///< of the sums
    SmallVector<Value> running; ///< buffers of the sums so far
  };
  /// A buffer with a place for every position.
  struct Row {
    unsigned dim;
    Degree degree;
    bool written = false;
    /// Linear: where its maximum is kept; each index is that of a dim of this buffer, or a value outside of the nests.
    SmallVector<std::pair<unsigned, Value>> atMax;
    Value now;                   ///< the buffer of one block
    SmallVector<unsigned> order; ///< its dims in memory
  };

  tile::NestOp firstUser(tile::AllocOp alloc) {
    tile::NestOp first;
    for (Operation *user : alloc->getUsers())
      if (auto nest = user->getParentOfType<tile::NestOp>();
          nest && nest->getBlock() == body_ && (!first || nest->isBeforeInBlock(first)))
        first = nest;
    return first;
  }

  bool matchFrom(tile::AllocOp seed, unsigned dim) {
    members_.clear();
    rows_.clear();
    maxima_.clear();
    exps_.clear();
    rowDims_.clear();
    return collect(seed, dim) && arrange() && degrees() && rows();
  }

  static std::pair<Value, ValueRange> access(Operation *op) {
    if (auto load = dyn_cast<tile::LoadOp>(op))
      return {load.getBuffer(), load.getIndices()};
    if (auto store = dyn_cast<tile::StoreOp>(op))
      return {store.getBuffer(), store.getIndices()};
    return {Value(), ValueRange()};
  }

  /// The dim of the nest that an index is the position of, but for an offset; -1: it is another expression.
  static int positionOf(tile::NestOp nest, Value index) {
    if (auto sub = index.getDefiningOp<arith::SubIOp>(); sub && !nest->isAncestor(defining(sub.getRhs())))
      index = sub.getLhs();
    auto arg = dyn_cast<BlockArgument>(index);
    if (!arg || arg.getOwner()->getParentOp() != nest)
      return -1;
    bool finish = arg.getOwner() != &nest.getBody().front();
    return finish && arg.getArgNumber() >= nest.getNumPar() ? -1 : int(arg.getArgNumber());
  }
  static Operation *defining(Value v) {
    return v.getDefiningOp() ? v.getDefiningOp() : v.getParentBlock()->getParentOp();
  }

  /// All nests that the buffer's dim leads to, and all buffers that these lead to.
  bool collect(tile::AllocOp seed, unsigned dim) {
    SmallVector<std::pair<tile::AllocOp, unsigned>> todo{{seed, dim}};
    DenseMap<tile::NestOp, unsigned> dims;
    while (!todo.empty()) {
      auto [alloc, d] = todo.pop_back_val();
      auto [at, fresh] = rows_.insert({alloc.getResult(), Row{d, {}, false, {}, {}, {}}});
      if (!fresh && at->second.dim != d)
        return false;
      if (!fresh)
        continue;
      for (Operation *user : alloc->getUsers()) {
        auto nest = user->getParentOfType<tile::NestOp>();
        auto [buffer, indices] = access(user);
        if (!buffer || !nest || nest->getBlock() != body_ || nest.getSequential())
          return false;
        int position = positionOf(nest, indices[d]);
        if (position < 0 || (dims.count(nest) && dims[nest] != unsigned(position)))
          return false;
        if (!dims.try_emplace(nest, position).second)
          continue;
        // Other private buffers at the same position.
        bool all = true;
        nest->walk([&](Operation *op) {
          auto [other, at] = access(op);
          auto its = other ? other.getDefiningOp<tile::AllocOp>() : tile::AllocOp();
          if (!its || its->getBlock() != body_)
            return;
          for (auto [k, index] : llvm::enumerate(at))
            if (positionOf(nest, index) == position)
              todo.push_back({its, unsigned(k)});
            else if (dependsOn(index, nest, position))
              all = false;
        });
        if (!all)
          return false;
      }
    }
    for (auto nest : body_->getOps<tile::NestOp>())
      if (dims.count(nest))
        members_.push_back({nest, dims[nest], {}, {}, {}});
    return llvm::any_of(members_, [](const Member &m) { return m.sums(); }) &&
           llvm::any_of(members_, [](const Member &m) { return !m.sums(); });
  }

  static bool dependsOn(Value v, tile::NestOp nest, unsigned position) {
    if (auto arg = dyn_cast<BlockArgument>(v))
      return arg.getOwner()->getParentOp() == nest && arg.getArgNumber() == position;
    Operation *def = v.getDefiningOp();
    return nest->isAncestor(def) &&
           llvm::any_of(def->getOperands(), [&](Value o) { return dependsOn(o, nest, position); });
  }

  static void buffersOf(Operation *op, llvm::SmallSetVector<Value, 8> &read, llvm::SmallSetVector<Value, 8> &written) {
    op->walk([&](Operation *inner) {
      if (auto load = dyn_cast<tile::LoadOp>(inner))
        read.insert(load.getBuffer());
      else if (auto store = dyn_cast<tile::StoreOp>(inner))
        written.insert(store.getBuffer());
      else
        for (Value operand : inner->getOperands())
          if (isa<tile::BufType>(operand.getType()))
            written.insert(operand);
    });
  }

  /// What stands between the members and is none must run before or after all of them; so does what ends a sum, after.
  bool arrange() {
    before_.clear();
    after_.clear();
    llvm::SmallSetVector<Value, 8> read, written, lateRead, lateWritten, sunkRead, sunkWritten;
    auto meets = [](auto &x, auto &y) { return llvm::any_of(x, [&](Value v) { return y.contains(v); }); };
    auto add = [](auto &to, auto &from) { to.insert(from.begin(), from.end()); };
    Operation *first = members_.front().nest, *last = members_.back().nest;
    for (Operation *op = first;; op = op->getNextNode()) {
      llvm::SmallSetVector<Value, 8> r, w;
      auto member = llvm::find_if(members_, [&](const Member &m) { return m.nest == op; });
      if (member != members_.end()) {
        for (Operation &inner : member->nest.getBody().front())
          buffersOf(&inner, r, w);
        llvm::SmallSetVector<Value, 8> endRead, endWritten;
        if (member->nest.isReduction())
          for (Operation &inner : member->nest.getFinish().front())
            buffersOf(&inner, endRead, endWritten);
        if (member->sums()) {
          add(lateRead, endRead);
          add(lateWritten, endWritten);
          after_.push_back(op);
        } else {
          add(r, endRead);
          add(w, endWritten);
        }
        if (meets(r, sunkWritten) || meets(w, sunkWritten) || meets(w, sunkRead))
          return false;
        add(read, r);
        add(written, w);
      } else {
        buffersOf(op, r, w);
        bool early = !meets(r, written) && !meets(r, lateWritten) && !meets(r, sunkWritten) && !meets(w, read) &&
                     !meets(w, written) && !meets(w, lateRead) && !meets(w, lateWritten) && !meets(w, sunkRead) &&
                     !meets(w, sunkWritten);
        if (early || isa<tile::AllocOp>(op)) {
          before_.push_back(op);
        } else if (isa<tile::NestOp, tile::ForOp, tile::SortOp>(op)) {
          after_.push_back(op);
          add(sunkRead, r);
          add(sunkWritten, w);
        } else {
          return false; // a bound made of what the members store
        }
      }
      if (op == last)
        return true;
    }
  }

  /// Follows what depends on maxima.
  bool degrees() {
    DenseMap<Value, Member *> keeps; // buffers written where sums end
    llvm::SmallDenseSet<Value> made; // other buffers that members write
    for (Member &m : members_) {
      DenseMap<Value, Degree> of;
      Block &body = m.nest.getBody().front();
      auto visit = [&](Block &block, bool finishOfSum) -> bool {
        for (Operation &op : block.without_terminator()) {
          if (auto load = dyn_cast<tile::LoadOp>(op)) {
            Value buffer = load.getBuffer();
            if (auto row = rows_.find(buffer); row != rows_.end()) {
              if (!row->second.written || finishOfSum)
                return false;
              of[load] = row->second.degree;
            } else if (auto kept = keeps.find(buffer); kept != keeps.end() && !finishOfSum) {
              if (!isPlainMax(*kept->second))
                return false;
              of[load] = {Degree::Reference, buffer, {}};
            } else if (made.contains(buffer)) {
              return false;
            }
          } else if (auto store = dyn_cast<tile::StoreOp>(op)) {
            Value buffer = store.getBuffer();
            Degree degree = of.lookup(store.getValue());
            if (auto row = rows_.find(buffer); row != rows_.end()) {
              if (degree.kind != Degree::Free && degree.kind != Degree::Linear)
                return false;
              row->second.degree = degree;
              row->second.written = true;
              if (degree.kind == Degree::Linear && !placeMax(m.nest, degree.max, store, row->second))
                return false;
            } else if (finishOfSum) {
              if (!keeps.try_emplace(buffer, &m).second)
                return false;
            } else {
              made.insert(buffer);
              if (degree.kind != Degree::Free)
                return false;
            }
          } else if (!finishOfSum && !transfer(op, of, m.nest)) {
            return false;
          }
        }
        return true;
      };
      if (!visit(body, false))
        return false;
      if (!m.nest.isReduction())
        continue;
      for (auto [i, v] : llvm::enumerate(body.getTerminator()->getOperands())) {
        Degree degree = of.lookup(v);
        if (degree.kind == Degree::Zero)
          degree = {};
        if (degree.kind != Degree::Free && degree.kind != Degree::Linear)
          return false;
        auto kinds = m.nest.getCombinerKinds();
        bool select =
            llvm::is_contained(kinds, tile::Combiner::ArgMax) || llvm::is_contained(kinds, tile::Combiner::ArgMin);
        if (m.sums() && (select || (degree.kind == Degree::Linear && kinds[i] != tile::Combiner::Sum) ||
                         (i && !(degree == m.degree))))
          return false;
        m.degree = degree;
        if (!m.sums()) {
          if (degree.kind == Degree::Linear)
            return false;
        }
      }
      if (m.sums() && m.degree.kind == Degree::Linear && !oneMax(m))
        return false;
      if (!visit(m.nest.getFinish().front(), m.sums()))
        return false;
    }
    for (Member &m : members_)
      for (auto &[max, keeper] : keeps)
        if (keeper == &m && maxima_.contains(max))
          m.max = max;
    return true;
  }

  /// An index as a position and what is taken off it; the position is null where it is no plain one.
  static std::pair<BlockArgument, Value> parts(Value index) {
    Value off;
    if (auto sub = index.getDefiningOp<arith::SubIOp>(); sub && isa<BlockArgument>(sub.getLhs())) {
      off = sub.getRhs();
      index = sub.getLhs();
    }
    return {dyn_cast<BlockArgument>(index), off};
  }

  /// Notes where the maximum is that a row refers to.
  bool placeMax(tile::NestOp nest, Value max, tile::StoreOp store, Row &row) {
    row.atMax.clear();
    auto load = loadOf(nest, max);
    if (!load) { // it came with another row, at the same place
      for (auto &[buffer, other] : rows_)
        if (auto from = loadOf(nest, buffer); from && other.degree.max == max && !other.atMax.empty()) {
          if (&other == &row)
            return true;
          for (auto [dim, value] : other.atMax)
            if (value)
              row.atMax.push_back({0, value});
            else if (auto k = sameIndex(from.getIndices()[dim], store.getIndices(), row.dim))
              row.atMax.push_back({*k, {}});
          return row.atMax.size() == other.atMax.size();
        }
      return false;
    }
    for (Value index : load.getIndices())
      if (!nest->isAncestor(defining(index)))
        row.atMax.push_back({0, index});
      else if (auto k = sameIndex(index, store.getIndices(), row.dim))
        row.atMax.push_back({*k, {}});
    return row.atMax.size() == load.getIndices().size();
  }

  static tile::LoadOp loadOf(tile::NestOp nest, Value buffer) {
    for (auto load : nest.getBody().getOps<tile::LoadOp>())
      if (load.getBuffer() == buffer)
        return load;
    return {};
  }

  static std::optional<unsigned> sameIndex(Value index, ValueRange among, unsigned except) {
    auto [position, off] = parts(index);
    for (auto [k, other] : llvm::enumerate(among))
      if (auto [p, o] = parts(other);
          k != except && position && p && p.getArgNumber() == position.getArgNumber() && o == off)
        return unsigned(k);
    return std::nullopt;
  }

  /// Where the maximum is that a sum refers to, as indices in its body.
  SmallVector<Value> maxIndices(const Member &m) const {
    if (auto load = loadOf(m.nest, m.degree.max))
      return llvm::to_vector(load.getIndices());
    for (auto &[buffer, row] : rows_)
      if (auto load = loadOf(m.nest, buffer); load && row.degree.max == m.degree.max)
        return llvm::map_to_vector(row.atMax, [&](const std::pair<unsigned, Value> &index) {
          return index.second ? index.second : load.getIndices()[index.first];
        });
    return {};
  }

  /// The same from its par positions.
  SmallVector<Value> maxPlace(ImplicitLocOpBuilder &b, const Member &m, ValueRange at) const {
    return llvm::map_to_vector(maxIndices(m), [&](Value index) {
      auto [position, off] = parts(index);
      Value v = position ? at[position.getArgNumber()] : index;
      return off ? b.createOrFold<arith::SubIOp>(v, off) : v;
    });
  }

  /// One sum never adds what refers to several maxima.
  bool oneMax(const Member &m) const {
    return llvm::all_of(maxIndices(m), [&](Value index) {
      BlockArgument position = parts(index).first;
      return position ? position.getArgNumber() < m.nest.getNumPar() : !m.nest->isAncestor(defining(index));
    });
  }

  /// One op of a body; false: what depends on a maximum is used in a way that cannot be corrected.
  bool transfer(Operation &op, DenseMap<Value, Degree> &of, tile::NestOp nest) {
    if (op.getNumResults() != 1)
      return op.getNumResults() == 0;
    Value result = op.getResult(0);
    if (isReal(result, 0)) {
      of[result] = {Degree::Zero, {}, {}};
      return true;
    }
    auto degree = [&](Value v) {
      Degree d = of.lookup(v);
      return d.kind == Degree::Free && isReal(v, 0) ? Degree{Degree::Zero, {}, {}} : d;
    };
    SmallVector<Degree> in;
    bool free = true;
    for (Value v : op.getOperands()) {
      in.push_back(degree(v));
      free &= in.back().kind == Degree::Free || in.back().kind == Degree::Zero;
    }
    auto is = [&](unsigned i, Degree::Kind kind) { return in[i].kind == kind; };
    auto isFree = [&](unsigned i) { return is(i, Degree::Free) || is(i, Degree::Zero); };
    if (isa<arith::SelectOp>(op) && is(0, Degree::Free)) {
      // One side may be 0.
      if (is(1, Degree::Zero) && is(2, Degree::Zero))
        of[result] = in[1];
      else if (is(1, Degree::Zero) && is(2, Degree::Linear))
        of[result] = in[2];
      else if (is(1, Degree::Linear) && (is(2, Degree::Zero) || in[1] == in[2]))
        of[result] = in[1];
      else
        return free;
      return true;
    }
    if (free)
      return true;
    if (isa<arith::CmpFOp>(op) && is(0, Degree::Reference) &&
        isReal(op.getOperand(1), -std::numeric_limits<double>::infinity())) {
      of[result] = {Degree::IsLowest, in[0].max, {}};
      return true;
    }
    if (isa<arith::SelectOp>(op) && is(0, Degree::IsLowest) && is(1, Degree::Zero) && is(2, Degree::Reference) &&
        in[0].max == in[2].max) {
      of[result] = in[2];
      return true;
    }
    if (isa<arith::SubFOp>(op) && isFree(0) && is(1, Degree::Reference)) {
      of[result] = {Degree::Shifted, in[1].max, {}};
      return true;
    }
    if (isa<arith::MulFOp>(op) && (is(0, Degree::Shifted) || is(1, Degree::Shifted))) {
      unsigned other = is(0, Degree::Shifted) ? 1 : 0;
      Value scale = op.getOperand(other);
      if (nest->isAncestor(defining(scale)) || in[1 - other].scale)
        return false;
      of[result] = {Degree::Shifted, in[1 - other].max, scale};
      return true;
    }
    if (isa<math::ExpOp, math::Exp2Op>(op) && is(0, Degree::Shifted)) {
      Degree linear{Degree::Linear, in[0].max, in[0].scale};
      auto [at, fresh] = maxima_.insert({in[0].max, {linear, &op}});
      if (!fresh && (!(at->second.first == linear) || at->second.second->getName() != op.getName()))
        return false;
      of[result] = linear;
      exps_.insert(&op);
      return true;
    }
    bool product = (isa<arith::MulFOp>(op) && (isFree(0) || isFree(1))) || (isa<arith::DivFOp>(op) && isFree(1));
    if (product && (is(0, Degree::Linear) || is(1, Degree::Linear))) {
      of[result] = is(0, Degree::Linear) ? in[0] : in[1];
      return true;
    }
    bool sum = isa<arith::AddFOp, arith::SubFOp>(op) && is(0, Degree::Linear) && in[0] == in[1];
    if ((sum || isa<arith::NegFOp>(op)) && is(0, Degree::Linear)) {
      of[result] = in[0];
      return true;
    }
    return false;
  }

  /// The maximum of each row, stored as it is.
  bool isPlainMax(const Member &m) const {
    auto kinds = m.nest.getCombinerKinds();
    if (!m.sums() || kinds.size() != 1 || kinds[0] != tile::Combiner::Max || m.degree.kind != Degree::Free)
      return false;
    Block &finish = m.nest.getFinish().front();
    auto stores = llvm::to_vector(finish.getOps<tile::StoreOp>());
    return stores.size() == 1 && stores[0].getValue() == finish.getArguments().back() &&
           isa<FloatType>(stores[0].getValue().getType()) && stores[0].getBuffer().getDefiningOp<tile::AllocOp>() &&
           stores[0].getBuffer().getDefiningOp<tile::AllocOp>()->getBlock() == body_;
  }

  /// Whether something is read for every row and position of the axis that has no rows side by side in memory: a bias.
  bool readsAlong() {
    return llvm::any_of(members_, [&](const Member &m) {
      bool found = false;
      m.nest->walk([&](tile::LoadOp load) {
        if (rows_.count(load.getBuffer()) || load.getIndices().empty())
          return;
        Value last = load.getIndices().back();
        bool ofAxis = false, ofRow = false, rowLast = false;
        for (Value index : load.getIndices()) {
          ofAxis |= dependsOn(index, m.nest, m.dim);
          for (unsigned d = 0; d < m.nest.getNumPar(); ++d)
            if (d != m.dim && isRowDim(m, d) && dependsOn(index, m.nest, d)) {
              ofRow = true;
              rowLast |= index == last;
            }
        }
        found |= ofAxis && ofRow && (!rowLast || dependsOn(last, m.nest, m.dim));
      });
      return found;
    });
  }

  /// Whether a par dim is one of the rows that a member reads or writes.
  bool isRowDim(const Member &m, unsigned dim) {
    bool is = false;
    m.nest->walk([&](Operation *op) {
      auto [buffer, indices] = access(op);
      auto row = buffer ? rows_.find(buffer) : rows_.end();
      if (row == rows_.end())
        return;
      for (auto [k, index] : llvm::enumerate(indices))
        is |= k != row->second.dim && positionOf(m.nest, index) == int(dim);
    });
    return is;
  }

  /// The dims beside the axis in the buffers of rows, from the nest that writes the first of them.
  bool rows() {
    rowsLast_ = !readsAlong();
    for (auto &[buffer, row] : rows_) {
      SmallVector<Dim> dims;
      DenseMap<unsigned, int64_t> lengths;
      for (Operation *user : buffer.getUsers())
        if (auto store = dyn_cast<tile::StoreOp>(user)) {
          auto nest = store->getParentOfType<tile::NestOp>();
          dims.clear();
          for (auto [k, index] : llvm::enumerate(store.getIndices())) {
            int position = k == row.dim ? -1 : positionOf(nest, index);
            if (position < 0)
              continue;
            dims.push_back(dimOf(nest, position));
            lengths[k] = std::max(lengths.lookup(k), dims.back().length());
          }
        }
      row.order.clear();
      for (unsigned k = 0; k < cast<tile::BufType>(buffer.getType()).getRank(); ++k)
        if (k != row.dim || !rowsLast_)
          row.order.push_back(k);
      if (!rowsLast_)
        continue;
      longestLast(row.order, [&](unsigned k) { return lengths.lookup(k); });
      row.order.insert(row.order.begin(), row.dim);
      if (dims.size() > rowDims_.size())
        rowDims_ = dims;
    }
    for (const Member &m : members_)
      for (unsigned d = 0; m.sums() && d < m.nest.getNumPar(); ++d)
        if (Dim dim = dimOf(m.nest, d); !dim.block() && !(ofProgram(dim.lo) && ofProgram(dim.hi)))
          return false; // no bound for its memory
    return !rowDims_.empty();
  }

  //===--- Rewriting ---===//

  Value real(ImplicitLocOpBuilder &b, Type type, double v) {
    return b.create<arith::ConstantOp>(b.getFloatAttr(type, v));
  }

  Value identity(ImplicitLocOpBuilder &b, tile::Combiner kind, Type type) {
    constexpr double inf = std::numeric_limits<double>::infinity();
    if (!isa<FloatType>(type)) {
      bool one = kind == tile::Combiner::All || kind == tile::Combiner::Prod;
      int64_t v = type.isInteger(1)             ? one
                  : kind == tile::Combiner::Max ? std::numeric_limits<int64_t>::min()
                  : kind == tile::Combiner::Min ? std::numeric_limits<int64_t>::max()
                                                : one;
      return b.create<arith::ConstantOp>(b.getIntegerAttr(type, v));
    }
    return real(b, type,
                kind == tile::Combiner::Max   ? -inf
                : kind == tile::Combiner::Min ? inf
                                              : kind == tile::Combiner::Prod);
  }

  Value join(ImplicitLocOpBuilder &b, tile::Combiner kind, Value x, Value y) {
    bool isFloat = isa<FloatType>(x.getType());
    switch (kind) {
    case tile::Combiner::Sum:
      return isFloat ? Value(b.create<arith::AddFOp>(x, y)) : Value(b.create<arith::AddIOp>(x, y));
    case tile::Combiner::Prod:
      return isFloat ? Value(b.create<arith::MulFOp>(x, y)) : Value(b.create<arith::MulIOp>(x, y));
    case tile::Combiner::Max:
      return isFloat ? Value(b.create<arith::MaximumFOp>(x, y)) : Value(b.create<arith::MaxSIOp>(x, y));
    case tile::Combiner::Min:
      return isFloat ? Value(b.create<arith::MinimumFOp>(x, y)) : Value(b.create<arith::MinSIOp>(x, y));
    case tile::Combiner::Any:
      return b.create<arith::OrIOp>(x, y);
    default:
      return b.create<arith::AndIOp>(x, y);
    }
  }

  SmallVector<tile::Range> parOf(tile::NestOp nest) {
    SmallVector<tile::Range> par;
    for (auto [lo, hi] : llvm::zip(nest.getParLo(), nest.getParHi()))
      par.push_back({lo, hi});
    return par;
  }

  /// Which par dims of a sum are rows of what it sums; they come last in memory.
  SmallVector<unsigned> memoryOrder(const Member &m) {
    if (!rowsLast_)
      return llvm::to_vector(llvm::seq<unsigned>(0, m.nest.getNumPar()));
    llvm::SmallSetVector<unsigned, 4> rows;
    m.nest.getBody().walk([&](tile::LoadOp load) {
      auto row = rows_.find(load.getBuffer());
      if (row == rows_.end())
        return;
      for (auto [k, index] : llvm::enumerate(load.getIndices()))
        if (int position = positionOf(m.nest, index);
            k != row->second.dim && position >= 0 && position < int(m.nest.getNumPar()))
          rows.insert(position);
    });
    SmallVector<unsigned> order;
    for (unsigned d = 0; d < m.nest.getNumPar(); ++d)
      if (!rows.contains(d))
        order.push_back(d);
    SmallVector<unsigned> last(rows.begin(), rows.end());
    longestLast(last, [&](unsigned d) { return dimOf(m.nest, d).length(); });
    order.append(last);
    return order;
  }

  SmallVector<Value> places(ImplicitLocOpBuilder &b, tile::NestOp nest, ArrayRef<unsigned> order, ValueRange par) {
    SmallVector<Value> at;
    for (unsigned d : order)
      at.push_back(b.createOrFold<arith::SubIOp>(par[d], nest.getParLo()[d]));
    return at;
  }

  tile::AllocOp runningBuffer(ImplicitLocOpBuilder &b, const Member &m, ArrayRef<unsigned> order, Type type,
                              StringRef name) {
    SmallVector<Value> extents;
    ImplicitLocOpBuilder outside(kernel_.getLoc(), kernel_); // where memory is sized
    for (unsigned d : order) {
      Dim dim = dimOf(m.nest, d);
      extents.push_back(dim.block() ? outside.create<arith::ConstantIntOp>(*dim.block(), 64).getResult()
                                    : outside.createOrFold<arith::SubIOp>(dim.hi, dim.lo));
    }
    auto alloc = b.create<tile::AllocOp>(tile::BufType::get(type, extents.size()), extents);
    alloc->setAttr("name", b.getStringAttr(name));
    return alloc;
  }

  void prepare(ImplicitLocOpBuilder &b);
  void emitMember(ImplicitLocOpBuilder &b, Member &m, Value lo, Value hi);
  void emitBody(ImplicitLocOpBuilder &b, Block &from, IRMapping &map, Value lo);
  void finishMember(ImplicitLocOpBuilder &b, Member &m);
  bool emitReference(ImplicitLocOpBuilder &b, Operation &op, IRMapping &map);

  tile::KernelOp kernel_;
  Block *body_;
  SmallVector<Member, 0> members_;
  llvm::MapVector<Value, Row> rows_;
  DenseMap<Value, std::pair<Degree, Operation *>> maxima_; ///< by buffer: how exp refers to it
  DenseSet<Operation *> exps_;                             ///< of what lies below a maximum
  DenseMap<Value, Value> corrections_;                     ///< by buffer of a maximum: the factor c of this block
  DenseMap<Value, Value> references_;                      ///< the maximum, 0 where there is none
  SmallVector<Dim> rowDims_;
  bool rowsLast_ = true; ///< in memory, for lanes; else what lies along the axis
  SmallVector<Operation *> before_, after_;
};

/// Buffers of one block and of what is summed so far, with what these begin with.
void Streamer::prepare(ImplicitLocOpBuilder &b) {
  for (auto &[buffer, row] : rows_) {
    auto alloc = buffer.getDefiningOp<tile::AllocOp>();
    ImplicitLocOpBuilder outside(kernel_.getLoc(), kernel_);
    SmallVector<Value> extents;
    for (unsigned k : row.order)
      extents.push_back(k == row.dim ? outside.create<arith::ConstantIntOp>(kBlock, 64).getResult()
                                     : alloc.getExtents()[k]);
    auto now = b.create<tile::AllocOp>(alloc.getType(), extents);
    now->setAttrs(alloc->getAttrs());
    row.now = now;
  }
  for (Member &m : members_) {
    if (!m.sums())
      continue;
    Block &finish = m.nest.getFinish().front();
    unsigned numPar = m.nest.getNumPar();
    SmallVector<unsigned> order = memoryOrder(m);
    if (m.max) {
      auto alloc = m.max.getDefiningOp<tile::AllocOp>();
      alloc->moveBefore(body_, body_->begin());
      auto c = b.create<tile::AllocOp>(alloc.getType(), alloc.getExtents());
      c->setAttr("name", b.getStringAttr("correction"));
      corrections_[m.max] = c;
      auto reference = b.create<tile::AllocOp>(alloc.getType(), alloc.getExtents());
      reference->setAttr("name", b.getStringAttr("reference"));
      references_[m.max] = reference;
    } else {
      for (auto [k, result] : llvm::enumerate(finish.getArguments().drop_front(numPar)))
        m.running.push_back(runningBuffer(b, m, order, result.getType(), "running"));
    }
    b.create<tile::NestOp>(parOf(m.nest), [&](OpBuilder &inner, Location loc, ValueRange par) {
      ImplicitLocOpBuilder nb(loc, inner);
      for (auto [k, kind] : llvm::enumerate(m.nest.getCombinerKinds())) {
        Value start = identity(nb, kind, finish.getArgument(numPar + k).getType());
        if (!m.max) {
          nb.create<tile::StoreOp>(start, m.running[k], places(nb, m.nest, order, par));
          continue;
        }
        IRMapping map;
        map.map(finish.getArguments().take_front(numPar), par);
        map.map(finish.getArgument(numPar), start);
        emitBody(nb, finish, map, {});
      }
    });
  }
}

/// The ops of a body at other positions; rows are read and written in the buffers of the block that begins at `lo`.
void Streamer::emitBody(ImplicitLocOpBuilder &b, Block &from, IRMapping &map, Value lo) {
  auto nest = cast<tile::NestOp>(from.getParentOp());
  for (Operation &op : from.without_terminator()) {
    auto [buffer, indices] = access(&op);
    auto row = buffer ? rows_.find(buffer) : rows_.end();
    if (row == rows_.end()) {
      if (lo && emitReference(b, op, map))
        continue;
      Operation *copy = b.clone(op, map);
      if (exps_.contains(&op)) // far below 0 it need not be exact
        copy->setAttr("fastmath", arith::FastMathFlagsAttr::get(b.getContext(), arith::FastMathFlags::afn));
      continue;
    }
    SmallVector<Value> at;
    for (unsigned k : row->second.order)
      if (k == row->second.dim) {
        BlockArgument position = from.getArgument(positionOf(nest, indices[k]));
        at.push_back(b.create<arith::SubIOp>(map.lookup(position), lo));
      } else {
        at.push_back(map.lookupOrDefault(indices[k]));
      }
    if (auto store = dyn_cast<tile::StoreOp>(op))
      b.create<tile::StoreOp>(map.lookupOrDefault(store.getValue()), row->second.now, at);
    else
      map.map(op.getResult(0), b.create<tile::LoadOp>(row->second.now, at).getResult());
  }
}

/// What a body makes of a maximum, max == -inf ? 0 : max, is stored beside it.
bool Streamer::emitReference(ImplicitLocOpBuilder &b, Operation &op, IRMapping &map) {
  auto isMax = [&](Value v) {
    auto load = v.getDefiningOp<tile::LoadOp>();
    return load && references_.count(load.getBuffer());
  };
  if (op.getNumResults() == 1 && isMax(op.getResult(0))) {
    auto load = cast<tile::LoadOp>(op);
    auto at = llvm::map_to_vector(load.getIndices(), [&](Value index) { return map.lookupOrDefault(index); });
    map.map(load.getResult(), b.create<tile::LoadOp>(references_.lookup(load.getBuffer()), at).getResult());
    return true;
  }
  if (isa<arith::CmpFOp>(op) && isMax(op.getOperand(0)))
    return true;
  if (!isa<arith::SelectOp>(op) || !isMax(op.getOperand(2)) || map.contains(op.getOperand(0)))
    return false;
  map.map(op.getResult(0), map.lookup(op.getOperand(2)));
  return true;
}

void Streamer::emitMember(ImplicitLocOpBuilder &b, Member &m, Value lo, Value hi) {
  tile::NestOp nest = m.nest;
  Dim own = dimOf(nest, m.dim);
  auto within = [&](unsigned d, tile::Range whole) -> tile::Range {
    if (d != m.dim)
      return whole;
    return {b.createOrFold<arith::MaxSIOp>(own.lo, lo), b.createOrFold<arith::MinSIOp>(own.hi, hi)};
  };
  unsigned numPar = nest.getNumPar();
  SmallVector<tile::Range> par, red;
  for (auto [d, range] : llvm::enumerate(parOf(nest)))
    par.push_back(within(d, range));
  for (unsigned d = numPar; d < numPar + nest.getNumInner(); ++d) {
    Dim dim = dimOf(nest, d);
    red.push_back(within(d, {dim.lo, dim.hi}));
  }
  Block &body = nest.getBody().front();
  if (!nest.isReduction()) {
    b.create<tile::NestOp>(par, [&](OpBuilder &inner, Location loc, ValueRange at) {
      ImplicitLocOpBuilder nb(loc, inner);
      IRMapping map;
      map.map(body.getArguments(), at);
      emitBody(nb, body, map, lo);
    });
    return;
  }
  Block &finish = nest.getFinish().front();
  SmallVector<tile::Combiner> kinds = nest.getCombinerKinds();
  b.create<tile::NestOp>(
      par, red,
      [&](OpBuilder &inner, Location loc, ValueRange at, ValueRange over) {
        ImplicitLocOpBuilder nb(loc, inner);
        IRMapping map;
        map.map(body.getArguments().take_front(numPar), at);
        map.map(body.getArguments().drop_front(numPar), over);
        emitBody(nb, body, map, lo);
        return llvm::map_to_vector(body.getTerminator()->getOperands(),
                                   [&](Value v) { return map.lookupOrDefault(v); });
      },
      kinds,
      [&](OpBuilder &inner, Location loc, ValueRange at, ValueRange results) {
        ImplicitLocOpBuilder nb(loc, inner);
        IRMapping map;
        map.map(finish.getArguments().take_front(numPar), at);
        if (!m.sums()) {
          map.map(finish.getArguments().drop_front(numPar), results);
          emitBody(nb, finish, map, lo);
          return;
        }
        auto read = [&](Value buffer, ValueRange place) { return nb.create<tile::LoadOp>(buffer, place).getResult(); };
        if (m.max) {
          auto store = *finish.getOps<tile::StoreOp>().begin();
          for (Operation &op : finish.without_terminator())
            if (&op != store)
              nb.clone(op, map);
          SmallVector<Value> place;
          for (Value index : store.getIndices())
            place.push_back(map.lookupOrDefault(index));
          Value old = read(m.max, place), now = nb.create<arith::MaximumFOp>(old, results[0]);
          auto [degree, exp] = maxima_.lookup(m.max);
          Value by = nb.create<arith::SubFOp>(old, now);
          if (degree.scale)
            by = nb.create<arith::MulFOp>(by, degree.scale);
          auto flags = arith::FastMathFlags::afn;
          by = isa<math::ExpOp>(exp) ? Value(nb.create<math::ExpOp>(by, flags))
                                     : Value(nb.create<math::Exp2Op>(by, flags));
          // From nothing, and between equal infinities, nothing changes.
          Value same = nb.create<arith::CmpFOp>(arith::CmpFPredicate::OEQ, old,
                                                identity(nb, tile::Combiner::Max, old.getType()));
          by = nb.create<arith::SelectOp>(same, real(nb, by.getType(), 1), by);
          Value none = nb.create<arith::CmpFOp>(arith::CmpFPredicate::OEQ, now,
                                                identity(nb, tile::Combiner::Max, now.getType()));
          Value reference = nb.create<arith::SelectOp>(none, real(nb, now.getType(), 0), now);
          nb.create<tile::StoreOp>(now, m.max, place);
          nb.create<tile::StoreOp>(reference, references_.lookup(m.max), place);
          nb.create<tile::StoreOp>(by, corrections_.lookup(m.max), place);
          return;
        }
        SmallVector<Value> place = places(nb, nest, memoryOrder(m), at);
        Value by;
        if (m.degree.kind == Degree::Linear)
          by = read(corrections_.lookup(m.degree.max), maxPlace(nb, m, at));
        for (auto [k, result] : llvm::enumerate(results)) {
          Value old = read(m.running[k], place);
          if (by)
            old = nb.create<arith::MulFOp>(old, by);
          nb.create<tile::StoreOp>(join(nb, kinds[k], old, result), m.running[k], place);
        }
      });
}

/// What stood at the end of a sum, once it is complete.
void Streamer::finishMember(ImplicitLocOpBuilder &b, Member &m) {
  if (!m.sums() || m.max)
    return;
  Block &finish = m.nest.getFinish().front();
  unsigned numPar = m.nest.getNumPar();
  b.create<tile::NestOp>(parOf(m.nest), [&](OpBuilder &inner, Location loc, ValueRange par) {
    ImplicitLocOpBuilder nb(loc, inner);
    IRMapping map;
    map.map(finish.getArguments().take_front(numPar), par);
    SmallVector<Value> place = places(nb, m.nest, memoryOrder(m), par);
    for (auto [k, result] : llvm::enumerate(finish.getArguments().drop_front(numPar)))
      map.map(result, nb.create<tile::LoadOp>(m.running[k], place).getResult());
    emitBody(nb, finish, map, {});
  });
}

void Streamer::rewrite() {
  Operation *first = members_.front().nest;
  for (Operation *op : before_)
    op->moveBefore(first);
  ImplicitLocOpBuilder b(kernel_.getLoc(), first);
  prepare(b);
  Value lo, hi;
  for (Member &m : members_) {
    Dim dim = dimOf(m.nest, m.dim);
    lo = !lo || lo == dim.lo ? dim.lo : b.createOrFold<arith::MinSIOp>(lo, dim.lo);
    hi = !hi || hi == dim.hi ? dim.hi : b.createOrFold<arith::MaxSIOp>(hi, dim.hi);
  }
  Value step = b.create<arith::ConstantIntOp>(kBlock, 64);
  b.create<tile::ForOp>(lo, hi, step, [&](OpBuilder &inner, Location loc, Value at) {
    ImplicitLocOpBuilder nb(loc, inner);
    Value end = nb.create<arith::MinSIOp>(nb.create<arith::AddIOp>(at, step), hi);
    for (Member &m : members_)
      emitMember(nb, m, at, end);
  });
  // In the order in which they stood.
  for (Operation *op : after_)
    if (auto member = llvm::find_if(members_, [&](const Member &m) { return m.nest == op; }); member != members_.end())
      finishMember(b, *member);
    else
      op->moveBefore(first);
  for (Member &m : llvm::reverse(members_))
    m.nest.erase();
  for (auto &[buffer, row] : rows_)
    buffer.getDefiningOp()->erase();
}

struct Stream : impl::StreamBase<Stream> {
  using Base::Base;
  void runOnOperation() override {
    SmallVector<tile::KernelOp> kernels;
    getOperation().walk([&](tile::KernelOp kernel) { kernels.push_back(kernel); });
    for (tile::KernelOp kernel : kernels) {
      Streamer found(kernel);
      if (!found.match())
        continue;
      ImplicitLocOpBuilder b(kernel.getLoc(), kernel);
      Value rows = found.rowsInAll(b);
      std::optional<int64_t> known = constant(rows);
      if (!rows || (known && *known < kRows))
        continue;
      TALLY("stream: nests over an axis fused block by block");
      found.rewrite();
    }
  }
};

} // namespace
} // namespace attnc
