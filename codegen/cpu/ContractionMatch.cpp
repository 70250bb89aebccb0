//===- Which nests are sums of products ------------------------------------===//
#include "codegen/cpu/Contraction.h"
#include "codegen/cpu/Nest.h"
#include "mlir/IR/Matchers.h"
#include "runtime/Tally.h"

using namespace mlir;
using namespace attnc;
using namespace attnc::cpu;

namespace {

/// Columns of a register tile with the widest vectors.
constexpr int64_t kPanel = 32;

void flatten(Value v, bool divides, SmallVectorImpl<Contraction::Factor> &factors) {
  if (auto mul = v.getDefiningOp<arith::MulFOp>(); mul && !divides) {
    flatten(mul.getLhs(), false, factors);
    flatten(mul.getRhs(), false, factors);
  } else if (auto div = v.getDefiningOp<arith::DivFOp>(); div && !divides) {
    flatten(div.getLhs(), false, factors);
    flatten(div.getRhs(), true, factors);
  } else {
    factors.push_back({v, divides});
  }
}

/// Takes `select(c, x, 0)` apart.
Value stripGuards(Value v, SmallVectorImpl<Value> &conditions) {
  auto choice = v.getDefiningOp<arith::SelectOp>();
  if (!choice || !matchPattern(choice.getFalseValue(), m_AnyZeroFloat()))
    return v;
  conjuncts(choice.getCondition(), conditions);
  return stripGuards(choice.getTrueValue(), conditions);
}

/// The par dim along which finish stores to neighbours, or -1.
int storeDim(tile::NestOp nest) {
  int dim = -1;
  for (auto st : nest.getFinish().getOps<tile::StoreOp>()) {
    if (st.getIndices().empty())
      continue;
    Value last = st.getIndices().back();
    // Through sums and differences: the position may be offset.
    while (Operation *op = last.getDefiningOp()) {
      if (isa<arith::AddIOp>(op) && isa<BlockArgument>(op->getOperand(1)) && !isa<BlockArgument>(op->getOperand(0)))
        last = op->getOperand(1);
      else if (isa<arith::AddIOp, arith::SubIOp>(op))
        last = op->getOperand(0);
      else
        break;
    }
    if (auto arg = dyn_cast<BlockArgument>(last))
      if (arg.getOwner() == &nest.getFinish().front() && arg.getArgNumber() < nest.getNumPar())
        dim = arg.getArgNumber();
  }
  return dim;
}

} // namespace

std::optional<Contraction> cpu::matchContraction(tile::NestOp nest) {
  SmallVector<tile::Combiner> kinds = nest.getCombinerKinds();
  if (!nest.isReduction() || kinds.size() != 1 || kinds[0] != tile::Combiner::Sum ||
      nest.getNumPar() + nest.getNumInner() > 31)
    return std::nullopt;
  Block &body = nest.getBody().front();
  Value yielded = body.getTerminator()->getOperand(0);
  SmallVector<Contraction::Factor> factors;
  SmallVector<Value> conditions;
  if (!isa<FloatType>(yielded.getType()))
    return std::nullopt;
  flatten(stripGuards(yielded, conditions), false, factors);
  if (factors.size() < 2)
    return std::nullopt;

  unsigned numPar = nest.getNumPar(), total = numPar + nest.getNumInner();
  unsigned pars = (1u << numPar) - 1;
  DenseMap<Value, unsigned> on = dependences(body);
  auto parsOf = [&](Value v) { return on.lookup(v) & pars; };
  unsigned common = pars;
  for (auto &f : factors)
    if (parsOf(f.value))
      common &= parsOf(f.value);

  // Factors that share a dim outside `common` belong together.
  SmallVector<unsigned> groups;
  for (auto &f : factors) {
    unsigned dims = parsOf(f.value) & ~common;
    if (!dims)
      continue;
    SmallVector<unsigned> rest;
    for (unsigned g : groups)
      if (g & dims)
        dims |= g;
      else
        rest.push_back(g);
    rest.push_back(dims);
    groups = rest;
  }
  if (groups.size() < 2)
    return std::nullopt;

  auto range = [&](int d) {
    bool par = d < int(numPar);
    return std::pair(par ? nest.getParLo()[d] : nest.getInnerLo()[d - numPar],
                     par ? nest.getParHi()[d] : nest.getInnerHi()[d - numPar]);
  };
  auto extent = [&](int d) -> std::optional<int64_t> {
    auto lo = constantOf(range(d).first), hi = constantOf(range(d).second);
    return lo && hi ? std::optional<int64_t>(*hi - *lo) : std::nullopt;
  };
  auto most = [&](int d) { return atMost(range(d).first, range(d).second).value_or(256); };
  // Of several dims the last one that is not small.
  auto pick = [&](unsigned dims) {
    int best = -1;
    for (int d = 0; d < int(total); ++d)
      if (dims >> d & 1 && std::min<int64_t>(most(d), 64) >= (best < 0 ? -1 : std::min<int64_t>(most(best), 64)))
        best = d;
    return best;
  };

  Contraction c;
  int stored = storeDim(nest);
  unsigned nGroup = groups.back();
  for (unsigned g : groups)
    if (stored >= 0 && g >> stored & 1)
      nGroup = g;
  c.n = stored >= 0 && nGroup >> stored & 1 ? stored : pick(nGroup);
  if (extent(c.n).value_or(256) < 8)
    c.n = pick(nGroup);
  // Columns come in tiles of kPanel: where those along which results are stored leave much of them empty, others that
  // fill them are taken, neighbours in memory first. Results are then stored across.
  auto fill = [&](int d) {
    std::optional<int64_t> n = atMost(range(d).first, range(d).second);
    return n && *n ? double(*n) / llvm::alignTo(*n, kPanel) : 0.0;
  };
  auto isUnit = [&](int d) {
    return llvm::any_of(body.getOps<tile::LoadOp>(), [&](tile::LoadOp load) {
      return !load.getIndices().empty() && load.getIndices().back() == body.getArgument(d);
    });
  };
  if (double own = fill(c.n); own > 0 && own < 0.6)
    for (bool unit : {false, true})
      for (unsigned g : groups)
        if (int d = pick(g); fill(d) > 0.9 && (!unit || isUnit(d))) {
          nGroup = g;
          c.n = d;
        }
  unsigned mGroup = 0;
  for (unsigned g : groups)
    if (g != nGroup)
      mGroup |= g;
  c.m = pick(mGroup);
  c.k = pick(((1u << total) - 1) & ~pars);
  // Too small to be worth packing.
  if (extent(c.m).value_or(256) < 4 || extent(c.n).value_or(256) < 8 || extent(c.k).value_or(256) < 4)
    return std::nullopt;

  unsigned bDims = 0;
  for (auto &f : factors) {
    bool toB = parsOf(f.value) & nGroup;
    (toB ? c.b : c.a).push_back(f);
    if (toB)
      bDims |= on.lookup(f.value);
  }
  for (Value v : conditions) {
    bool hasM = parsOf(v) & mGroup, hasN = parsOf(v) & nGroup;
    if (hasM && hasN)
      return std::nullopt;
    if (hasM)
      TALLY("cpu: a contraction with a guard on rows");
    else if (hasN)
      TALLY("cpu: a contraction with a guard on columns");
    else
      TALLY("cpu: a contraction with a guard on neither side");
    (hasM ? c.onA : hasN ? c.onB : c.both).push_back(v);
    if (!hasM)
      bDims |= on.lookup(v);
  }
  // A value to divide needs something to divide: a side of divisors alone is no product.
  for (auto *side : {&c.a, &c.b})
    if (llvm::all_of(*side, [](const Contraction::Factor &f) { return f.divides; }))
      return std::nullopt;
  for (bool ofB : {true, false})
    for (int d = 0; d < int(numPar); ++d)
      if (d != c.m && d != c.n && bool(bDims >> d & 1) == ofB) {
        c.outer.push_back(d);
        if (!ofB)
          c.sameB.push_back(d);
      }
  for (int d = numPar; d < int(total); ++d)
    if (d != c.k)
      c.outerRed.push_back(d);
  TALLY("cpu: a contraction");
  if (!c.outer.empty())
    TALLY("cpu: a contraction with dims outside");
  if (!c.outerRed.empty())
    TALLY("cpu: a contraction over several reduced dims");
  return c;
}

Value cpu::conjunction(OpBuilder &b, Location loc, ArrayRef<Value> conditions, function_ref<Value(Value)> copy) {
  Value all;
  for (Value c : conditions) {
    Value v = copy(c);
    all = all ? Value(b.create<arith::AndIOp>(loc, all, v)) : v;
  }
  return all;
}

Value cpu::product(OpBuilder &b, Location loc, Type elem, ArrayRef<Contraction::Factor> factors,
                   ArrayRef<Value> conditions, function_ref<Value(Value)> copy) {
  Value p, by;
  for (auto &f : factors) {
    Value v = copy(f.value);
    Value &to = f.divides ? by : p;
    to = to ? Value(b.create<arith::MulFOp>(loc, to, v)) : v;
  }
  if (by)
    p = b.create<arith::DivFOp>(loc, p, by);
  if (Value on = conjunction(b, loc, conditions, copy))
    p = b.create<arith::SelectOp>(loc, on, p, b.create<arith::ConstantOp>(loc, b.getFloatAttr(elem, 0)));
  return p;
}

/// How an index moves with a position; nothing: not in equal steps.
static std::optional<int64_t> slopeOf(Value v, BlockArgument position, DenseMap<Value, std::optional<int64_t>> &known) {
  if (v == position)
    return 1;
  Operation *op = v.getDefiningOp();
  if (!op || op->getBlock() != position.getOwner())
    return 0;
  if (auto at = known.find(v); at != known.end())
    return at->second;
  SmallVector<uint64_t> slopes; // they wrap, as the positions do
  for (Value operand : op->getOperands()) {
    if (isa<tile::BufType>(operand.getType()))
      continue;
    std::optional<int64_t> s = slopeOf(operand, position, known);
    if (!s)
      return std::nullopt;
    slopes.push_back(*s);
  }
  std::optional<int64_t> all;
  if (llvm::all_of(slopes, [](uint64_t s) { return s == 0; }))
    all = 0;
  else if (isa<arith::AddIOp>(op))
    all = int64_t(slopes[0] + slopes[1]);
  else if (isa<arith::SubIOp>(op))
    all = int64_t(slopes[0] - slopes[1]);
  known[v] = all;
  return all;
}

std::optional<int64_t> cpu::slope(Value v, BlockArgument position) {
  DenseMap<Value, std::optional<int64_t>> known;
  return slopeOf(v, position, known);
}

std::optional<SmallVector<int64_t>> cpu::slopes(ValueRange indices, BlockArgument position) {
  SmallVector<int64_t> all;
  for (Value index : indices) {
    std::optional<int64_t> s = slope(index, position);
    if (!s)
      return std::nullopt;
    all.push_back(*s);
  }
  return all;
}

bool PlainOperand::known() const {
  auto arg = tile::LoadOp(load).getBuffer().getDefiningOp<tile::ArgOp>();
  return !arg || arg->hasAttr(kRows);
}

bool PlainOperand::rowNearer() const {
  // The last index that moves with only one of them, or more with one.
  for (auto [row, depth] : llvm::zip(llvm::reverse(m), llvm::reverse(k)))
    if (int64_t r = std::abs(row), d = std::abs(depth); r != d)
      return r && (!d || r < d);
  return false;
}

bool PlainOperand::inRows() const {
  return known() && k.back() == 1 && llvm::all_of(ArrayRef(k).drop_back(), [](int64_t s) { return s == 0; });
}

std::optional<PlainOperand> cpu::plainOperand(tile::NestOp nest, tile::LoadOp load, int rowDim, int kDim) {
  Block &body = nest.getBody().front();
  auto row = slopes(load.getIndices(), body.getArgument(rowDim));
  auto k = slopes(load.getIndices(), body.getArgument(kDim));
  if (!row || !k)
    return std::nullopt;
  return PlainOperand{load, *row, *k};
}

std::optional<PlainOperand> cpu::plainA(tile::NestOp nest, const Contraction &c) {
  tile::LoadOp load;
  if (c.a.size() == 1 && !c.a[0].divides && c.onA.empty() && c.onB.empty() && c.both.empty())
    load = c.a[0].value.getDefiningOp<tile::LoadOp>();
  if (!load || load->getBlock() != &nest.getBody().front() ||
      load.getBuffer().getType().getElementType() != load.getType())
    return std::nullopt;
  return plainOperand(nest, load, c.m, c.k);
}

bool cpu::wholePanels(tile::NestOp nest, int n, Value buffer, Value last, int64_t panel) {
  auto alloc = buffer.getDefiningOp<tile::AllocOp>();
  auto sub = last.getDefiningOp<arith::SubIOp>();
  std::optional<int64_t> extent = alloc ? constantOf(alloc.getExtents().back()) : std::nullopt;
  return extent && *extent % panel == 0 && isa<tile::KernelOp>(alloc->getParentOp()) && sub &&
         beginsPanel(nest.getParLo()[n], sub.getRhs(), panel);
}

bool cpu::beginsPanel(Value lo, Value from, int64_t panel) {
  auto arg = dyn_cast<BlockArgument>(lo);
  auto loop = arg ? dyn_cast<tile::ForOp>(arg.getOwner()->getParentOp()) : tile::ForOp();
  if (lo == from || !loop || loop.getLo() != from)
    return lo == from;
  int64_t step = constantOf(loop.getStep()).value_or(0);
  return step > 0 && step % panel == 0;
}

std::optional<PlainOperand> cpu::plainB(tile::NestOp nest, const Contraction &c, int64_t panel) {
  Block &body = nest.getBody().front();
  PlainOperand plain;
  if (c.b.size() == 1 && !c.b[0].divides && c.onA.empty() && c.onB.empty() && c.both.empty())
    plain.load = c.b[0].value.getDefiningOp<tile::LoadOp>();
  if (!plain.load || plain.load->getBlock() != &body || c.n >= int(nest.getNumPar()) ||
      plain.load.getBuffer().getType().getElementType() != plain.load.getType() ||
      !wholePanels(nest, c.n, plain.load.getBuffer(), plain.load.getIndices().back(), panel))
    return std::nullopt;
  for (Value index : plain.load.getIndices()) {
    std::optional<int64_t> k = slope(index, body.getArgument(c.k)), n = slope(index, body.getArgument(c.n));
    bool last = index == plain.load.getIndices().back();
    if (!k || n != int64_t(last) || (last && *k))
      return std::nullopt;
    plain.k.push_back(*k);
  }
  TALLY("cpu: columns read where they are");
  return plain;
}

Value cpu::step(Ir &ir, const Buffer &buffer, ArrayRef<int64_t> slopes) {
  Value step = ir.i64(0);
  for (auto [slope, stride] : llvm::zip(slopes, buffer.strides))
    step = ir.add(step, ir.mul(stride, ir.i64(slope)));
  return step;
}

Value cpu::near(Ir &ir, Value step) {
  // 0 <= step <= 3 in one comparison.
  return ir.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::ule, step, ir.i64(3));
}
