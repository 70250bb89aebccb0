//===- Blocks that a mask leaves ------------------------------------------===//
//
//   for blocks of j: { m[i] = max over j of select(c(i, j), s, -inf); z[i] = sum of select(c(i, j), p, 0); .. }
// becomes, where c can be seen to hold nowhere or everywhere from the ends of i and j alone,
//   for blocks of j in the part where c holds for all rows: { m[i] = max of s; z[i] = sum of p; .. }
//   for blocks of i, for blocks of j in the parts where c holds for some of these rows: { as before }
//
// An element changes nothing where no sum of the loop takes it: every sum is of select(c, x, identity). attn-to-tile
// says of a sum of p v, where p is 0 and v finite, that it is such a select, {droppable} since both of its sides are
// the same.
//
// What is left of the axis comes from the form of c, as a few ranges per block of rows (MaskSolve.cpp): comparisons of
// positions, of their quotients, with values of the rows. Where c reads something along the axis, or a remainder, the
// ranges are walked in blocks, and each is looked at in parts of 32: what is read there has its least and greatest
// value in a table (MaskReads.cpp).
//
// {blocks = "full"} and {blocks = "partial"} on the loops, and {mask} on what masks in the latter, are for explain and
// show (codegen/driver/MaskPlan.cpp).
//
// Assumes tile-stream, which marks its loops: positions may come in any order and in any blocks of at most the step.
// Pinned by test/passes/tile/mask_blocks.mlir.
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "passes/Passes.h"
#include "passes/tile/MaskReads.h"
#include "passes/tile/Stream.h"
#include "runtime/Tally.h"
#include <limits>

using namespace mlir;

namespace attnc {
#define GEN_PASS_DEF_MASKBLOCKS
#include "passes/Passes.h.inc"

using namespace mask;
namespace {

constexpr int64_t kRows = 32;      ///< rows that a block is cut into where the mask is evaluated
constexpr int64_t kTerm = 300;     ///< operations of conditions that are looked at
constexpr int64_t kRemainder = 64; ///< divisors below leave nothing to see in a part

bool isDroppable(Operation *op) { return isa<arith::SelectOp>(op) && op->hasAttr("droppable"); }

/// Erases what is of no use any more.
void prune(tile::NestOp nest) {
  for (Region &region : nest->getRegions())
    for (Block &block : region)
      for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
        if (isOpTriviallyDead(&op))
          op.erase();
}

bool isIdentity(Value v, tile::Combiner kind) {
  constexpr double inf = std::numeric_limits<double>::infinity();
  if (isa<FloatType>(v.getType()))
    return stream::isReal(v, kind == tile::Combiner::Max   ? -inf
                             : kind == tile::Combiner::Min ? inf
                                                           : double(kind == tile::Combiner::Prod));
  std::optional<int64_t> c = stream::constant(v);
  if (!c)
    return false;
  switch (kind) {
  case tile::Combiner::Sum:
    return *c == 0;
  case tile::Combiner::Prod:
    return *c == 1;
  case tile::Combiner::Max:
    return *c == std::numeric_limits<int64_t>::min();
  case tile::Combiner::Min:
    return *c == std::numeric_limits<int64_t>::max();
  case tile::Combiner::Any:
    return *c == 0;
  case tile::Combiner::All:
    return *c != 0;
  default:
    return false;
  }
}

class Blocks {
public:
  explicit Blocks(tile::ForOp loop)
      : loop(loop), kernel(loop->getParentOfType<tile::KernelOp>()), terms(loop), reads(loop, terms, frames),
        solver(terms, reads), top(loop.getLoc(), loop) {}
  bool match();
  void rewrite();

private:
  // What is found.
  bool findEnd();
  bool staysInside(tile::NestOp nest);
  void addNest(tile::NestOp nest);
  bool isBounded(Id id);
  void findTables(Id id);
  bool isUseful(Id id);
  bool isRough(Id id);
  void chooseRows();

  // What is written.
  SmallVector<Span> rangesOf(Box &box);
  void eachOf(ArrayRef<Span> spans, function_ref<void(ImplicitLocOpBuilder &, Span)> emit);
  Span whereAll(Box &box, Span span);
  void emitFull(ImplicitLocOpBuilder &b, Span span);
  void emitPartial(ImplicitLocOpBuilder &b, Box &box, Span span, Value unless,
                   function_ref<Span(ImplicitLocOpBuilder &, Box &)> trim);
  void emitParts(ImplicitLocOpBuilder &b, Box &box, Span span);
  Span partsOf(ImplicitLocOpBuilder &b, Box &box, Value *everywhere);
  void clone(ImplicitLocOpBuilder &b, Value at, Value end, bool full, std::optional<Span> rows);

  Value i64(ImplicitLocOpBuilder &b, int64_t v) { return b.create<arith::ConstantIntOp>(v, 64); }
  Value least(ImplicitLocOpBuilder &b, Value x, Value y) { return b.createOrFold<arith::MinSIOp>(x, y); }
  Value greatest(ImplicitLocOpBuilder &b, Value x, Value y) { return b.createOrFold<arith::MaxSIOp>(x, y); }
  Value add(ImplicitLocOpBuilder &b, Value x, Value y) { return b.createOrFold<arith::AddIOp>(x, y); }
  Value less(ImplicitLocOpBuilder &b, Value x, Value y) {
    return b.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::slt, x, y);
  }
  Value choose(ImplicitLocOpBuilder &b, Value c, Value x, Value y) {
    if (auto known = stream::constant(c))
      return *known ? x : y;
    return x == y ? x : b.createOrFold<arith::SelectOp>(c, x, y);
  }
  Box boxOf(ImplicitLocOpBuilder &b, Span keys);

  tile::ForOp loop;
  tile::KernelOp kernel;
  Terms terms;
  SmallVector<Frame> frames;
  Reads reads;
  Solver solver;
  ImplicitLocOpBuilder top;
  arith::MinSIOp end; ///< of a block
  SmallVector<std::pair<Value, Value>> rowDims;
  SmallVector<arith::SelectOp> masks; ///< their condition is one of `inside`
  llvm::SmallSetVector<Id, 4> inside;
  SmallVector<std::pair<arith::SelectOp, Id>> selects;
  Id keep = -1, all = -1; ///< whether some sum takes an element; whether no mask leaves it out
  bool rough = false;
  int cut = -1; ///< the rows that are cut into smaller blocks
  int64_t cutSize = 0;
};

//===- Matching -----------------------------------------------------------===//

/// The end of a block is min(position + step, end of the loop).
bool Blocks::findEnd() {
  for (auto op : loop.getBody().getOps<arith::MinSIOp>())
    for (int side : {0, 1})
      if (auto sum = op->getOperand(side).getDefiningOp<arith::AddIOp>(); sum && sum.getLhs() == loop.getIv() &&
                                                                          sum.getRhs() == loop.getStep() &&
                                                                          op->getOperand(1 - side) == loop.getHi()) {
        end = op;
        return true;
      }
  return false;
}

void Blocks::addNest(tile::NestOp nest) {
  Frame frame{nest, {}};
  unsigned numPar = nest.getNumPar();
  llvm::SmallDenseMap<std::pair<Value, Value>, int> times;
  for (unsigned d = 0; d < numPar + nest.getNumInner(); ++d) {
    stream::Dim dim = stream::dimOf(nest, d);
    if (movesWith(loop, dim.lo) || movesWith(loop, dim.hi)) {
      frame.dims.push_back(-1);
      continue;
    }
    bool own = llvm::any_of(ValueRange{dim.lo, dim.hi}, [&](Value v) { return loop->isAncestor(stream::defining(v)); });
    // A second dim over the same range is another row.
    if (own || times[{dim.lo, dim.hi}]++) {
      frame.dims.push_back(-2);
      continue;
    }
    auto *at = llvm::find(rowDims, std::pair(dim.lo, dim.hi));
    if (at == rowDims.end()) {
      rowDims.push_back({dim.lo, dim.hi});
      at = rowDims.end() - 1;
    }
    frame.dims.push_back(int(at - rowDims.begin()));
  }
  frames.push_back(frame);
}

/// Whether the term has ends in a box that say something.
bool Blocks::isBounded(Id id) {
  const Term term = terms[id];
  switch (term.kind) {
  case Kind::Constant:
  case Kind::Row:
  case Kind::Key:
  case Kind::Outside:
    return true;
  case Kind::Mod:
    return terms[term.args[1]].number >= kRemainder && isBounded(term.args[0]);
  case Kind::Op:
    break;
  default:
    return false;
  }
  if (term.other)
    return false;
  if (term.fixed() || (term.isData() && term.row))
    return true;
  if (term.isData())
    return reads.axisEnd() != nullptr;
  Operation *op = term.value.getDefiningOp();
  return isa<arith::AddIOp, arith::SubIOp, arith::MulIOp, arith::FloorDivSIOp, arith::ShRSIOp, arith::MinSIOp,
             arith::MaxSIOp, math::AbsIOp, arith::SelectOp>(op) &&
         llvm::all_of(term.args, [&](Id arg) {
           const Term &a = terms[arg];
           return isBounded(arg) || (a.value && a.value.getType().isInteger(1));
         });
}

/// Marks what is seen at each point only.
void Blocks::findTables(Id id) {
  const Term term = terms[id];
  if (term.kind == Kind::And || term.kind == Kind::Or || term.kind == Kind::Not) {
    for (Id arg : term.args)
      findTables(arg);
    return;
  }
  bool compares = term.kind >= Kind::Less && term.kind <= Kind::Differ;
  if (term.isTable() && !(compares && isBounded(term.args[0]) && isBounded(term.args[1])))
    reads.lookAt(id);
}

/// Whether where the condition holds may be seen from ends.
bool Blocks::isUseful(Id id) {
  const Term term = terms[id];
  if (reads.looksAt(id))
    return true;
  auto useful = [&](Id arg) { return isUseful(arg); };
  switch (term.kind) {
  case Kind::And:
    return llvm::any_of(term.args, useful);
  case Kind::Or:
    return llvm::all_of(term.args, [&](Id arg) { return terms[arg].fixed() || isUseful(arg); });
  case Kind::Not:
    return isUseful(term.args[0]);
  case Kind::Less:
  case Kind::AtMost:
  case Kind::Equal:
    return term.key && isBounded(term.args[0]) && isBounded(term.args[1]);
  case Kind::Differ:
    return false;
  default:
    return term.isData() && term.key && reads.axisEnd();
  }
}

/// Whether ranges alone do not say where the condition holds.
bool Blocks::isRough(Id id) {
  const Term term = terms[id];
  if (reads.looksAt(id))
    return true;
  if (term.key && (term.isData() || term.kind == Kind::Mod || term.kind == Kind::Differ))
    return true;
  return llvm::any_of(term.args, [&](Id arg) { return isRough(arg); });
}

/// The rows that smaller blocks are made of.
void Blocks::chooseRows() {
  llvm::SmallDenseSet<int> used;
  SmallVector<Id> todo{keep, all};
  llvm::SmallDenseSet<Id> seen;
  while (!todo.empty()) {
    Id id = todo.pop_back_val();
    if (!seen.insert(id).second)
      continue;
    if (terms[id].kind == Kind::Row)
      used.insert(int(terms[id].number));
    llvm::append_range(todo, terms[id].args);
  }
  for (auto [k, dim] : llvm::enumerate(rowDims)) {
    std::optional<int64_t> size = stream::Dim{dim.first, dim.second}.block();
    if (!used.contains(int(k)) || stream::constant(dim.first) || !size || *size < 2)
      continue;
    // A sum over these rows and the axis, or one that does not have them, would be taken once for each block.
    bool may = llvm::all_of(frames, [&](Frame &f) {
      auto dims = ArrayRef(f.dims);
      auto inner = dims.drop_front(f.nest.getNumPar());
      return !llvm::is_contained(inner, -1) || llvm::is_contained(dims.take_front(f.nest.getNumPar()), int(k));
    });
    if (!may)
      continue;
    cut = int(k);
    cutSize = std::max<int64_t>(1, *size / 2);
    return;
  }
}

/// What the nest stores is read in the loop alone: where nothing is taken of it, it need not be.
bool Blocks::staysInside(tile::NestOp nest) {
  WalkResult result = nest.walk([&](tile::StoreOp store) {
    auto alloc = store.getBuffer().getDefiningOp<tile::AllocOp>();
    bool inside = alloc && llvm::all_of(alloc->getUsers(), [&](Operation *user) { return loop->isAncestor(user); });
    return inside ? WalkResult::advance() : WalkResult::interrupt();
  });
  return !result.wasInterrupted();
}

bool Blocks::match() {
  std::optional<int64_t> step = stream::constant(loop.getStep());
  if (!kernel || loop->getParentOp() != kernel || !step || *step % kPart || !findEnd())
    return false;
  loop.walk([&](tile::NestOp nest) { addNest(nest); });
  SmallVector<Id> taken;
  for (const Frame &frame : frames) {
    tile::NestOp nest = frame.nest;
    Block &body = nest.getBody().front();
    nest->walk([&](arith::SelectOp select) { selects.push_back({select, terms.of(select.getCondition(), frame)}); });
    if (!nest.isReduction() || !llvm::is_contained(ArrayRef(frame.dims).drop_front(nest.getNumPar()), -1)) {
      if (llvm::is_contained(frame.dims, -1) && !staysInside(nest))
        return false;
      continue;
    }
    for (auto [v, kind] : llvm::zip(body.getTerminator()->getOperands(), nest.getCombinerKinds())) {
      auto select = v.getDefiningOp<arith::SelectOp>();
      if (!select || !isIdentity(select.getFalseValue(), kind)) {
        taken.push_back(terms.constant(1));
        continue;
      }
      Id condition = terms.of(select.getCondition(), frame);
      taken.push_back(condition);
      if (!isDroppable(select))
        inside.insert(condition);
    }
  }
  keep = terms.disjunction(taken);
  all = terms.conjunction(inside.getArrayRef());
  for (auto [select, condition] : selects)
    if (inside.contains(condition) && !isDroppable(select))
      masks.push_back(select);
  // Whoever reads a term reads it as if it was written out.
  if (terms[keep].size + terms[all].size > kTerm)
    return false;
  findTables(keep);
  findTables(all);
  Id none = terms.negation(all);
  if (taken.empty() || (!isUseful(keep) && !isUseful(none)))
    return false;
  rough = isRough(keep) || isRough(all);
  if (!reads.looks())
    chooseRows();
  return true;
}

Box Blocks::boxOf(ImplicitLocOpBuilder &b, Span keys) {
  Box box;
  Value minus = i64(b, -1);
  for (auto [lo, hi] : rowDims)
    box.rows.push_back({lo, add(b, hi, minus)});
  box.keys = keys;
  box.key = {keys.lo, add(b, keys.hi, minus)};
  return box;
}

//===- Ranges -------------------------------------------------------------===//

/// The parts of the axis that any row needs, none of them twice.
SmallVector<Span> Blocks::rangesOf(Box &box) {
  SmallVector<Span> spans = solver.possible(top, keep, box);
  if (spans.size() < 2)
    return spans;
  TALLY("mask blocks: several ranges");
  // In order of where they begin, empty ones at the end of the axis.
  for (Span &s : spans) {
    s.lo = choose(top, less(top, s.lo, s.hi), s.lo, box.keys.hi);
    s.hi = greatest(top, s.lo, s.hi);
  }
  for (size_t n = spans.size(); n-- > 1;)
    for (size_t k = 0; k < n; ++k) {
      Value swap = less(top, spans[k + 1].lo, spans[k].lo);
      Span x = spans[k], y = spans[k + 1];
      spans[k] = {choose(top, swap, y.lo, x.lo), choose(top, swap, y.hi, x.hi)};
      spans[k + 1] = {choose(top, swap, x.lo, y.lo), choose(top, swap, x.hi, y.hi)};
    }
  // What begins in another goes on after it.
  for (size_t k = 0; k + 1 < spans.size(); ++k) {
    Span &x = spans[k], &y = spans[k + 1];
    Value joined = top.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::sle, y.lo, x.hi);
    Value hi = greatest(top, x.hi, y.hi);
    // The later one takes all, so that it goes on with the next.
    Span later{choose(top, joined, x.lo, y.lo), choose(top, joined, hi, y.hi)};
    x.hi = choose(top, joined, x.lo, x.hi);
    y = later;
  }
  return spans;
}

/// The longest part of a range where the mask leaves out nothing, as far as that is seen.
Span Blocks::whereAll(Box &box, Span span) {
  Value lo = span.lo, hi = span.hi;
  for (Span gap : solver.possible(top, terms.negation(all), box)) {
    if (gap.lo == box.keys.lo && gap.hi == box.keys.hi)
      return {span.lo, span.lo};
    Value from = greatest(top, gap.lo, lo), to = least(top, gap.hi, hi);
    Value some = less(top, from, to);
    Value before = top.createOrFold<arith::SubIOp>(from, lo), after = top.createOrFold<arith::SubIOp>(hi, to);
    Value first = top.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::sge, before, after);
    Value newLo = choose(top, some, choose(top, first, lo, to), lo);
    hi = choose(top, some, choose(top, first, from, hi), hi);
    lo = newLo;
  }
  // Blocks that begin anywhere cost a short one more.
  auto aligned = [&](Value x, Value end, int64_t more) {
    Value at = top.createOrFold<arith::MulIOp>(
        top.createOrFold<arith::FloorDivSIOp>(add(top, x, i64(top, more)), i64(top, kPart)), i64(top, kPart));
    return choose(top, top.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::eq, x, end), x, at);
  };
  lo = least(top, aligned(lo, span.lo, kPart - 1), span.hi);
  hi = aligned(hi, span.hi, 0);
  return {lo, greatest(top, lo, hi)};
}

/// The same code for all of several ranges.
void Blocks::eachOf(ArrayRef<Span> spans, function_ref<void(ImplicitLocOpBuilder &, Span)> emit) {
  if (spans.empty())
    return;
  if (spans.size() == 1)
    return emit(top, spans[0]);
  top.create<tile::ForOp>(i64(top, 0), i64(top, int64_t(spans.size())), i64(top, 1),
                          [&](OpBuilder &inner, Location loc, Value at) {
                            ImplicitLocOpBuilder b(loc, inner);
                            Span here = spans.back();
                            for (size_t k = spans.size() - 1; k-- > 0;) {
                              Value is = b.create<arith::CmpIOp>(arith::CmpIPredicate::eq, at, i64(b, int64_t(k)));
                              here = {choose(b, is, spans[k].lo, here.lo), choose(b, is, spans[k].hi, here.hi)};
                            }
                            emit(b, here);
                          });
}

//===- Loops --------------------------------------------------------------===//

/// A block of the loop, from `at` to `end`.
void Blocks::clone(ImplicitLocOpBuilder &b, Value at, Value stop, bool full, std::optional<Span> rows) {
  IRMapping map;
  map.map(loop.getIv(), at);
  map.map(end.getResult(), stop);
  for (Operation &op : loop.getBody().front())
    if (&op != end &&
        !(op.getNumResults() && llvm::all_of(op.getUsers(), [&](Operation *user) { return user == end; })))
      b.clone(op, map);
  auto drop = [&](arith::SelectOp select) {
    auto made = map.lookup(select.getResult()).getDefiningOp<arith::SelectOp>();
    made.replaceAllUsesWith(made.getTrueValue());
    made.erase();
  };
  for (arith::SelectOp select : masks)
    if (full)
      drop(select);
    else
      map.lookup(select.getResult()).getDefiningOp()->setAttr("mask", b.getUnitAttr());
  for (const Frame &frame : frames) {
    auto nest = cast<tile::NestOp>(map.lookup(frame.nest.getOperation()));
    frame.nest->walk([&](arith::SelectOp select) {
      if (isDroppable(select))
        drop(select);
    });
    prune(nest);
    if (!rows)
      continue;
    for (auto [d, dim] : llvm::enumerate(frame.dims)) {
      unsigned numPar = nest.getNumPar();
      if (dim != cut)
        continue;
      auto lo = d < numPar ? nest.getParLoMutable() : nest.getInnerLoMutable();
      auto hi = d < numPar ? nest.getParHiMutable() : nest.getInnerHiMutable();
      lo[d < numPar ? d : d - numPar].set(rows->lo);
      hi[d < numPar ? d : d - numPar].set(rows->hi);
    }
  }
}

void Blocks::emitFull(ImplicitLocOpBuilder &b, Span span) {
  auto made = b.create<tile::ForOp>(span.lo, span.hi, loop.getStep(), [&](OpBuilder &inner, Location loc, Value at) {
    ImplicitLocOpBuilder nb(loc, inner);
    clone(nb, at, least(nb, add(nb, at, loop.getStep()), span.hi), true, {});
  });
  made->setAttrs(loop->getAttrs());
  made->setAttr("blocks", b.getStringAttr("full"));
}

/// For fewer rows at a time, what `trim` leaves of a range; nothing where `unless` holds.
void Blocks::emitPartial(ImplicitLocOpBuilder &b, Box &box, Span span, Value unless,
                         function_ref<Span(ImplicitLocOpBuilder &, Box &)> trim) {
  auto blocks = [&](ImplicitLocOpBuilder &b, Span left, std::optional<Span> rows) {
    auto made = b.create<tile::ForOp>(left.lo, left.hi, loop.getStep(), [&](OpBuilder &inner, Location loc, Value at) {
      ImplicitLocOpBuilder nb(loc, inner);
      clone(nb, at, least(nb, add(nb, at, loop.getStep()), left.hi), false, rows);
    });
    made->setAttrs(loop->getAttrs());
    made->setAttr("blocks", b.getStringAttr("partial"));
  };
  if (cut < 0)
    return blocks(b, {unless ? choose(b, unless, span.hi, span.lo) : span.lo, span.hi}, {});
  auto [lo, hi] = rowDims[cut];
  Value from = unless ? choose(b, unless, hi, lo) : lo;
  b.create<tile::ForOp>(from, hi, i64(b, cutSize), [&](OpBuilder &inner, Location loc, Value at) {
    ImplicitLocOpBuilder nb(loc, inner);
    Span rows{at, least(nb, add(nb, at, i64(nb, cutSize)), hi)};
    Box own = box;
    own.data.clear();
    own.looked.clear();
    own.keys = span;
    own.key = {span.lo, add(nb, span.hi, i64(nb, -1))};
    own.rows[cut] = {rows.lo, add(nb, rows.hi, i64(nb, -1))};
    blocks(nb, trim(nb, own), rows);
  });
}

/// From the first part of a block in which some row takes something to the last; whether all rows take all of it.
Span Blocks::partsOf(ImplicitLocOpBuilder &b, Box &box, Value *everywhere) {
  int64_t count = *stream::constant(loop.getStep()) / kPart;
  Span block = box.keys;
  SmallVector<Span> parts;
  SmallVector<Value> some, every;
  Value place = reads.axisEnd() ? b.createOrFold<arith::FloorDivSIOp>(block.lo, i64(b, kPart)) : Value();
  Value last = reads.axisEnd() ? b.createOrFold<arith::FloorDivSIOp>(add(b, reads.axisEnd(), i64(b, -1)), i64(b, kPart))
                               : Value();
  for (int64_t k = 0; k < count; ++k) {
    Span part{add(b, block.lo, i64(b, k * kPart)), least(b, add(b, block.lo, i64(b, (k + 1) * kPart)), block.hi)};
    Box own = box;
    own.keys = part;
    own.key = {part.lo, add(b, part.hi, i64(b, -1))};
    own.block = block;
    own.part = int(k);
    if (reads.axisEnd())
      own.summary = least(b, add(b, place, i64(b, k)), last);
    Truth t = solver.truth(b, keep, own);
    box.data = own.data;
    box.looked = own.looked;
    some.push_back(b.createOrFold<arith::AndIOp>(t.some, less(b, part.lo, block.hi)));
    if (everywhere) {
      every.push_back(solver.truth(b, all, own).all);
      box.data = own.data;
      box.looked = own.looked;
    }
    parts.push_back(part);
  }
  Span left{block.hi, block.lo};
  for (int64_t k = count; k-- > 0;)
    left.lo = choose(b, some[k], parts[k].lo, left.lo);
  for (int64_t k = 0; k < count; ++k)
    left.hi = choose(b, some[k], parts[k].hi, left.hi);
  if (everywhere) {
    *everywhere = b.create<arith::ConstantIntOp>(1, 1);
    for (int64_t k = 0; k < count; ++k) {
      auto beyond = [&](Value x, Value y) { return b.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::sge, x, y); };
      Value out = b.createOrFold<arith::OrIOp>(beyond(parts[k].lo, left.hi), beyond(left.lo, parts[k].hi));
      *everywhere = b.createOrFold<arith::AndIOp>(*everywhere, b.createOrFold<arith::OrIOp>(every[k], out));
    }
  }
  return left;
}

/// A range block by block, each as far as it is needed.
void Blocks::emitParts(ImplicitLocOpBuilder &b, Box &box, Span span) {
  b.create<tile::ForOp>(span.lo, span.hi, loop.getStep(), [&](OpBuilder &inner, Location loc, Value at) {
    ImplicitLocOpBuilder nb(loc, inner);
    Span block{at, least(nb, add(nb, at, loop.getStep()), span.hi)};
    Box own = box;
    own.keys = block;
    own.key = {block.lo, add(nb, block.hi, i64(nb, -1))};
    Value everywhere;
    Span left = partsOf(nb, own, &everywhere);
    emitFull(nb, {left.lo, choose(nb, everywhere, left.hi, left.lo)});
    emitPartial(nb, own, left,
                nb.createOrFold<arith::OrIOp>(
                    everywhere, nb.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::sge, left.lo, left.hi)),
                [&](ImplicitLocOpBuilder &to, Box &rows) {
                  rows.keys = block;
                  return partsOf(to, rows, nullptr);
                });
  });
}

void Blocks::rewrite() {
  reads.setAnchor(i64(top, 0).getDefiningOp());
  Box box = boxOf(top, {loop.getLo(), loop.getHi()});
  SmallVector<Span> ranges = rangesOf(box);
  if (rough) {
    TALLY("mask blocks: blocks looked at one by one");
    for (Span &range : ranges) // the places of a table
      if (reads.axisEnd())
        range.lo = top.createOrFold<arith::MulIOp>(top.createOrFold<arith::FloorDivSIOp>(range.lo, i64(top, kPart)),
                                                   i64(top, kPart));
    // What is read at rows is the same for all blocks.
    Box rows = box;
    (void)solver.truth(top, keep, rows);
    (void)solver.truth(top, all, rows);
    box.data = rows.data;
    eachOf(ranges, [&](ImplicitLocOpBuilder &b, Span range) { emitParts(b, box, range); });
  } else {
    SmallVector<Span> full, partial;
    auto push = [](SmallVector<Span> &to, Span s) {
      if (s.lo != s.hi)
        to.push_back(s);
    };
    for (Span range : ranges) {
      Span inner = whereAll(box, range);
      push(full, inner);
      push(partial, {range.lo, inner.lo});
      push(partial, {inner.hi, range.hi});
    }
    if (!full.empty())
      TALLY("mask blocks: blocks without a mask");
    eachOf(full, [&](ImplicitLocOpBuilder &b, Span span) { emitFull(b, span); });
    eachOf(partial, [&](ImplicitLocOpBuilder &b, Span span) {
      emitPartial(b, box, span, {}, [&](ImplicitLocOpBuilder &to, Box &rows) {
        SmallVector<Span> left = solver.possible(to, keep, rows);
        if (left.size() == 1)
          return left[0];
        Span hull{rows.keys.hi, rows.keys.lo};
        for (Span s : left) {
          Value some = less(to, s.lo, s.hi);
          hull.lo = choose(to, some, least(to, hull.lo, s.lo), hull.lo);
          hull.hi = choose(to, some, greatest(to, hull.hi, s.hi), hull.hi);
        }
        return hull;
      });
    });
  }
  loop.erase();
}

struct MaskBlocks : impl::MaskBlocksBase<MaskBlocks> {
  using Base::Base;
  void runOnOperation() override {
    SmallVector<tile::ForOp> loops;
    getOperation().walk([&](tile::ForOp loop) {
      if (loop->hasAttr("stream"))
        loops.push_back(loop);
    });
    for (tile::ForOp loop : loops) {
      Blocks blocks(loop);
      if (!blocks.match())
        continue;
      TALLY("mask blocks: a loop over the blocks that a mask leaves");
      blocks.rewrite();
    }
    // They said all that they had to say.
    getOperation().walk([](tile::NestOp nest) {
      SmallVector<arith::SelectOp> droppable;
      nest.walk([&](arith::SelectOp select) {
        if (isDroppable(select))
          droppable.push_back(select);
      });
      for (arith::SelectOp select : droppable) {
        select.replaceAllUsesWith(select.getTrueValue());
        select.erase();
      }
      if (!droppable.empty())
        prune(nest);
    });
  }
};

} // namespace
} // namespace attnc
