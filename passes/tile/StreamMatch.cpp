//===- Fusing nests over an axis: which may be ----------------------------===//
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "passes/tile/Stream.h"
#include <limits>

using namespace mlir;

namespace attnc::stream {

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
static bool ofProgram(Value v) { return isa<tile::ProgramOp>(v.getParentBlock()->getParentOp()); }

std::optional<int64_t> Dim::block() const {
  if (auto l = constant(lo), h = constant(hi); l && h)
    return std::max<int64_t>(*h - *l, 0);
  auto least = hi.getDefiningOp<arith::MinSIOp>();
  for (Value v : least ? ValueRange(least->getOperands()) : ValueRange(hi))
    if (auto add = v.getDefiningOp<arith::AddIOp>(); add && add.getLhs() == lo)
      if (auto size = constant(add.getRhs()))
        return size;
  return std::nullopt;
}

Value Dim::total(ImplicitLocOpBuilder &b) const {
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

Dim dimOf(tile::NestOp nest, unsigned at) {
  unsigned par = nest.getNumPar();
  return at < par ? Dim{nest.getParLo()[at], nest.getParHi()[at]}
                  : Dim{nest.getInnerLo()[at - par], nest.getInnerHi()[at - par]};
}

std::pair<Value, ValueRange> access(Operation *op) {
  if (auto load = dyn_cast<tile::LoadOp>(op))
    return {load.getBuffer(), load.getIndices()};
  if (auto store = dyn_cast<tile::StoreOp>(op))
    return {store.getBuffer(), store.getIndices()};
  return {Value(), ValueRange()};
}

int positionOf(tile::NestOp nest, Value index) {
  if (auto sub = index.getDefiningOp<arith::SubIOp>(); sub && !nest->isAncestor(defining(sub.getRhs())))
    index = sub.getLhs();
  auto arg = dyn_cast<BlockArgument>(index);
  if (!arg || arg.getOwner()->getParentOp() != nest)
    return -1;
  bool finish = arg.getOwner() != &nest.getBody().front();
  return finish && arg.getArgNumber() >= nest.getNumPar() ? -1 : int(arg.getArgNumber());
}

Operation *defining(Value v) { return v.getDefiningOp() ? v.getDefiningOp() : v.getParentBlock()->getParentOp(); }

std::pair<BlockArgument, Value> parts(Value index) {
  Value off;
  if (auto sub = index.getDefiningOp<arith::SubIOp>(); sub && isa<BlockArgument>(sub.getLhs())) {
    off = sub.getRhs();
    index = sub.getLhs();
  }
  return {dyn_cast<BlockArgument>(index), off};
}

tile::LoadOp loadOf(tile::NestOp nest, Value buffer) {
  for (auto load : nest.getBody().getOps<tile::LoadOp>())
    if (load.getBuffer() == buffer)
      return load;
  return {};
}

Value Fusion::rowsInAll(ImplicitLocOpBuilder &b) const {
  Value all;
  for (Dim d : rowDims) {
    Value one = d.total(b);
    if (!one)
      return {};
    all = all ? b.createOrFold<arith::MulIOp>(all, one) : one;
  }
  return all;
}

SmallVector<Value> Fusion::maxIndices(const Member &m) const {
  if (auto load = loadOf(m.nest, m.degree.max))
    return llvm::to_vector(load.getIndices());
  for (auto &[buffer, row] : rows)
    if (auto load = loadOf(m.nest, buffer); load && row.degree.max == m.degree.max)
      return llvm::map_to_vector(row.atMax, [&](const std::pair<unsigned, Value> &index) {
        return index.second ? index.second : load.getIndices()[index.first];
      });
  return {};
}

namespace {

constexpr StringLiteral kNeedsSums = "a sum or maximum over all of the axis is needed for each of its positions";
constexpr StringLiteral kDegree = "the weights are used in another way than of the first degree, in sums";

bool dependsOn(Value v, tile::NestOp nest, unsigned position) {
  llvm::DenseSet<Value> seen;
  SmallVector<Value> todo{v};
  while (!todo.empty()) {
    Value at = todo.pop_back_val();
    if (!seen.insert(at).second)
      continue;
    if (auto arg = dyn_cast<BlockArgument>(at)) {
      if (arg.getOwner()->getParentOp() == nest && arg.getArgNumber() == position)
        return true;
    } else if (nest->isAncestor(at.getDefiningOp())) {
      llvm::append_range(todo, at.getDefiningOp()->getOperands());
    }
  }
  return false;
}

} // namespace

/// Whether x has a position of the nest that the load of its maximum lacks.
static bool moves(Value x, tile::LoadOp max, tile::NestOp nest) {
  for (unsigned d = 0; d < nest.getNumPar() + nest.getNumInner(); ++d)
    if (dependsOn(x, nest, d) &&
        llvm::none_of(max.getIndices(), [&](Value index) { return dependsOn(index, nest, d); }))
      return true;
  return false;
}

tile::NestOp softmaxIn(tile::KernelOp kernel) {
  auto isMax = [](Value buffer) {
    return llvm::any_of(buffer.getUsers(), [](Operation *user) {
      auto store = dyn_cast<tile::StoreOp>(user);
      auto nest = store ? store->getParentOfType<tile::NestOp>() : tile::NestOp();
      return nest && nest.isReduction() && llvm::is_contained(nest.getCombinerKinds(), tile::Combiner::Max);
    });
  };
  tile::NestOp found;
  kernel.walk([&](Operation *op) {
    if (found || !isa<math::ExpOp, math::Exp2Op>(op))
      return;
    for (Operation *around = op->getParentOp(); around != kernel; around = around->getParentOp())
      if (around->hasAttr("stream"))
        return;
    auto below = op->getOperand(0).getDefiningOp<arith::SubFOp>();
    Value max = below ? below.getRhs() : Value();
    if (auto choice = max ? max.getDefiningOp<arith::SelectOp>() : arith::SelectOp())
      max = choice.getFalseValue();
    auto load = max ? max.getDefiningOp<tile::LoadOp>() : tile::LoadOp();
    auto nest = op->getParentOfType<tile::NestOp>();
    if (load && isMax(load.getBuffer()) && moves(below.getLhs(), load, nest))
      found = nest;
  });
  return found;
}

namespace {

class Matcher : public Fusion {
public:
  explicit Matcher(tile::KernelOp of) {
    kernel = of;
    body = &kernel.getBody().front();
  }

  /// Why what came closest could not be, of what a softmax outside of all loops over blocks reads and writes.
  StringRef why;

  /// Finds what can be fused; changes nothing.
  bool match() {
    tile::NestOp softmax = softmaxIn(kernel);
    for (auto nest : body->getOps<tile::NestOp>())
      for (tile::AllocOp seed : body->getOps<tile::AllocOp>())
        for (unsigned d = 0; d < seed.getExtents().size(); ++d)
          if (!constant(seed.getExtents()[d]) && nest == firstUser(seed)) {
            noting_ = softmax && llvm::any_of(seed->getUsers(), [&](Operation *op) { return softmax->isAncestor(op); });
            if (matchFrom(seed, d))
              return true;
          }
    return false;
  }

private:
  /// Notes what is in the way; what is found later came closer.
  bool no(int stage, StringRef reason) {
    if (noting_ && stage > closest_) {
      closest_ = stage;
      why = reason;
    }
    return false;
  }
  bool slides = false; ///< something else than an element is read where row and key together say
  int closest_ = 0;
  bool noting_ = false;

  tile::NestOp firstUser(tile::AllocOp alloc) {
    tile::NestOp first;
    for (Operation *user : alloc->getUsers())
      if (auto nest = user->getParentOfType<tile::NestOp>();
          nest && nest->getBlock() == body && (!first || nest->isBeforeInBlock(first)))
        first = nest;
    return first;
  }

  bool matchFrom(tile::AllocOp seed, unsigned dim) {
    members.clear();
    rows.clear();
    maxima.clear();
    exps.clear();
    rowDims.clear();
    return collect(seed, dim) && arrange() && degrees() && layOut();
  }

  /// All nests that the buffer's dim leads to, and all buffers that these lead to.
  bool collect(tile::AllocOp seed, unsigned dim) {
    SmallVector<std::pair<tile::AllocOp, unsigned>> todo{{seed, dim}};
    DenseMap<tile::NestOp, unsigned> dims;
    while (!todo.empty()) {
      auto [alloc, d] = todo.pop_back_val();
      auto [at, fresh] = rows.insert({alloc.getResult(), Row{d, {}, false, {}, {}, {}}});
      if (!fresh && at->second.dim != d)
        return false;
      if (!fresh)
        continue;
      for (Operation *user : alloc->getUsers()) {
        auto nest = user->getParentOfType<tile::NestOp>();
        auto [buffer, indices] = access(user);
        if (!buffer || !nest || nest->getBlock() != body || nest.getSequential())
          return no(1, "scores are read by what is no loop over them: a sort, a scatter, a recurrence");
        int position = positionOf(nest, indices[d]);
        if (position < 0 || (dims.count(nest) && dims[nest] != unsigned(position)))
          return no(1, "scores are read at other positions than their own");
        if (!dims.try_emplace(nest, position).second)
          continue;
        // Other private buffers at the same position.
        bool all = true;
        nest->walk([&](Operation *op) {
          auto [other, at] = access(op);
          auto its = other ? other.getDefiningOp<tile::AllocOp>() : tile::AllocOp();
          if (!its || its->getBlock() != body)
            return;
          for (auto [k, index] : llvm::enumerate(at))
            if (positionOf(nest, index) == position)
              todo.push_back({its, unsigned(k)});
            else if (dependsOn(index, nest, position))
              all = false;
        });
        if (!all)
          return no(1, "scores are read at other positions than their own");
      }
    }
    for (auto nest : body->getOps<tile::NestOp>())
      if (dims.count(nest))
        members.push_back({nest, dims[nest], {}, {}, {}});
    return llvm::any_of(members, [](const Member &m) { return m.sums(); }) &&
           llvm::any_of(members, [](const Member &m) { return !m.sums(); });
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
    before.clear();
    after.clear();
    llvm::SmallSetVector<Value, 8> read, written, lateRead, lateWritten, sunkRead, sunkWritten;
    auto meets = [](auto &x, auto &y) { return llvm::any_of(x, [&](Value v) { return y.contains(v); }); };
    auto add = [](auto &to, auto &from) { to.insert(from.begin(), from.end()); };
    Operation *first = members.front().nest, *last = members.back().nest;
    for (Operation *op = first;; op = op->getNextNode()) {
      llvm::SmallSetVector<Value, 8> r, w;
      auto member = llvm::find_if(members, [&](const Member &m) { return m.nest == op; });
      if (member != members.end()) {
        for (Operation &inner : member->nest.getBody().front())
          buffersOf(&inner, r, w);
        llvm::SmallSetVector<Value, 8> endRead, endWritten;
        if (member->nest.isReduction())
          for (Operation &inner : member->nest.getFinish().front())
            buffersOf(&inner, endRead, endWritten);
        if (member->sums()) {
          add(lateRead, endRead);
          add(lateWritten, endWritten);
          after.push_back(op);
        } else {
          add(r, endRead);
          add(w, endWritten);
        }
        if (meets(r, sunkWritten) || meets(w, sunkWritten) || meets(w, sunkRead))
          return no(2, kNeedsSums);
        add(read, r);
        add(written, w);
      } else {
        buffersOf(op, r, w);
        bool early = !meets(r, written) && !meets(r, lateWritten) && !meets(r, sunkWritten) && !meets(w, read) &&
                     !meets(w, written) && !meets(w, lateRead) && !meets(w, lateWritten) && !meets(w, sunkRead) &&
                     !meets(w, sunkWritten);
        if (early || isa<tile::AllocOp>(op)) {
          before.push_back(op);
        } else if (isa<tile::NestOp, tile::ForOp, tile::SortOp>(op)) {
          after.push_back(op);
          add(sunkRead, r);
          add(sunkWritten, w);
        } else {
          return no(2, kNeedsSums); // a bound made of what the members store
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
    for (Member &m : members) {
      DenseMap<Value, Degree> of;
      Block &body = m.nest.getBody().front();
      auto visit = [&](Block &block, bool finishOfSum) -> bool {
        for (Operation &op : block.without_terminator()) {
          if (auto load = dyn_cast<tile::LoadOp>(op)) {
            Value buffer = load.getBuffer();
            if (auto row = rows.find(buffer); row != rows.end()) {
              if (!row->second.written || finishOfSum)
                return no(3, "scores are read where a sum over them ends");
              of[load] = row->second.degree;
            } else if (auto kept = keeps.find(buffer); kept != keeps.end() && !finishOfSum) {
              if (!isPlainMax(*kept->second))
                return no(3, kNeedsSums);
              of[load] = {Degree::Reference, buffer, {}};
            } else if (made.contains(buffer)) {
              return no(3, kNeedsSums);
            }
          } else if (auto store = dyn_cast<tile::StoreOp>(op)) {
            Value buffer = store.getBuffer();
            Degree degree = of.lookup(store.getValue());
            if (auto row = rows.find(buffer); row != rows.end()) {
              if (degree.kind != Degree::Free && degree.kind != Degree::Linear)
                return no(3, kDegree);
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
                return no(3, "the weights themselves are stored, and their maximum is known last");
            }
          } else if (!finishOfSum && !transfer(op, of, m.nest)) {
            return no(3, kDegree);
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
          return no(3, "a largest or smallest of the weights is taken, or a place of one");
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
    for (Member &m : members)
      for (auto &[max, keeper] : keeps)
        if (keeper == &m && maxima.contains(max))
          m.max = max;
    return true;
  }

  /// Notes where the maximum is that a row refers to.
  bool placeMax(tile::NestOp nest, Value max, tile::StoreOp store, Row &row) {
    auto load = loadOf(nest, max);
    if (!load) { // it came with another row, at the same place
      for (auto &[buffer, other] : rows)
        if (auto from = loadOf(nest, buffer); from && other.degree.max == max && !other.atMax.empty()) {
          if (&other == &row)
            return llvm::equal(from.getIndices(), store.getIndices(),
                               [](Value x, Value y) { return parts(x) == parts(y); });
          row.atMax.clear();
          for (auto [dim, value] : other.atMax)
            if (value)
              row.atMax.push_back({0, value});
            else if (auto k = sameIndex(from.getIndices()[dim], store.getIndices(), row.dim))
              row.atMax.push_back({*k, {}});
          return row.atMax.size() == other.atMax.size();
        }
      return false;
    }
    row.atMax.clear();
    for (Value index : load.getIndices())
      if (!nest->isAncestor(defining(index)))
        row.atMax.push_back({0, index});
      else if (auto k = sameIndex(index, store.getIndices(), row.dim))
        row.atMax.push_back({*k, {}});
    return row.atMax.size() == load.getIndices().size();
  }

  static std::optional<unsigned> sameIndex(Value index, ValueRange among, unsigned except) {
    auto [position, off] = parts(index);
    for (auto [k, other] : llvm::enumerate(among))
      if (auto [p, o] = parts(other);
          k != except && position && p && p.getArgNumber() == position.getArgNumber() && o == off)
        return unsigned(k);
    return std::nullopt;
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
      auto [at, fresh] = maxima.insert({in[0].max, {linear, &op}});
      if (!fresh && (!(at->second.first == linear) || at->second.second->getName() != op.getName()))
        return false;
      of[result] = linear;
      exps.insert(&op);
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

  /// The maximum of each row, stored as it is; in outputs too.
  bool isPlainMax(const Member &m) const {
    auto kinds = m.nest.getCombinerKinds();
    if (!m.sums() || kinds.size() != 1 || kinds[0] != tile::Combiner::Max || m.degree.kind != Degree::Free)
      return false;
    Block &finish = m.nest.getFinish().front();
    unsigned kept = 0;
    for (auto store : finish.getOps<tile::StoreOp>()) {
      auto alloc = store.getBuffer().getDefiningOp<tile::AllocOp>();
      if (store.getValue() != finish.getArguments().back() || !isa<FloatType>(store.getValue().getType()) ||
          (alloc && alloc->getBlock() != body))
        return false;
      kept += alloc ? 1 : 0;
    }
    return kept == 1;
  }

  /// Whether something is read for every row and position of the axis that has no rows side by side in memory: a bias.
  bool readsAlong() {
    return llvm::any_of(members, [&](const Member &m) {
      bool found = false;
      m.nest->walk([&](tile::LoadOp load) {
        if (rows.count(load.getBuffer()) || load.getIndices().empty())
          return;
        Value last = load.getIndices().back();
        bool ofAxis = false, ofRow = false, rowLast = false;
        for (Value index : load.getIndices()) {
          bool along = dependsOn(index, m.nest, m.dim);
          ofAxis |= along;
          for (unsigned d = 0; d < m.nest.getNumPar(); ++d)
            if (d != m.dim && isRowDim(m, d) && dependsOn(index, m.nest, d)) {
              ofRow = true;
              slides |= along && index != last;
              rowLast |= index == last;
            }
        }
        found |= ofAxis && ofRow && !rowLast && positionOf(m.nest, last) == int(m.dim);
      });
      return found;
    });
  }

  /// Whether a par dim is one of the rows that a member reads or writes.
  bool isRowDim(const Member &m, unsigned dim) {
    bool is = false;
    m.nest->walk([&](Operation *op) {
      auto [buffer, indices] = access(op);
      auto row = buffer ? rows.find(buffer) : rows.end();
      if (row == rows.end())
        return;
      for (auto [k, index] : llvm::enumerate(indices))
        is |= k != row->second.dim && positionOf(m.nest, index) == int(dim);
    });
    return is;
  }

  /// The dims beside the axis in the buffers of rows, from the nest that writes the first of them.
  bool layOut() {
    slides = false;
    rowsLast = !readsAlong();
    if (slides) // codes of relative positions: whole products of long rows are faster
      return no(4, "a vector is read for every distance between rows and keys");
    for (auto &[buffer, row] : rows) {
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
      if (dims.size() > rowDims.size())
        rowDims = dims;
      row.order.clear();
      for (unsigned k = 0; k < cast<tile::BufType>(buffer.getType()).getRank(); ++k)
        if (k != row.dim || !rowsLast)
          row.order.push_back(k);
      if (!rowsLast)
        continue;
      longestLast(row.order, [&](unsigned k) { return lengths.lookup(k); });
      row.order.insert(row.order.begin(), row.dim);
    }
    for (const Member &m : members)
      for (unsigned d = 0; m.sums() && d < m.nest.getNumPar(); ++d)
        if (Dim dim = dimOf(m.nest, d); !dim.block() && !(ofProgram(dim.lo) && ofProgram(dim.hi)))
          return no(4, "the rows have no bound"); // for its memory
    return !rowDims.empty();
  }
};

} // namespace

std::optional<Fusion> matchFusion(tile::KernelOp kernel, StringRef &why) {
  Matcher matcher(kernel);
  bool found = matcher.match();
  why = matcher.why;
  return found ? std::optional<Fusion>(matcher) : std::nullopt;
}

} // namespace attnc::stream
