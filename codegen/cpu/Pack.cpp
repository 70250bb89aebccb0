//===- Operands of contractions, packed before the kernel -----------------===//
//
//   tile.kernel { nest: C += A B }   =>   tile.kernel { B in panels, into memory of the program }
//                                         tile.kernel { nest: C += A B }
//
// A contraction packs blocks of B where it stands, which is once per instance of its kernel and once per round of the
// loops around it. Where B is the same in several of them it is packed here, once, as a whole.
// An A that is an element of a tensor is packed in the same way, where its neighbours along k are far apart in memory.
// That asks for:
//
//   * the operand is a function of positions of the nest and of the grid alone, over ranges that all instances together
//   cover;
//   * it reads nothing that the kernel writes;
//   * it is at most as large as a tensor that it reads: some load has an index of its own for every position.
//
// Whether there are several rounds may depend on extents; `use` says so when the program runs.
//
// A B whose rows are those of one instance is packed by the instance, once, before the loop around the contraction:
// into memory of the kernel, which stays in the cache.
//
// An instance reads a few long runs of memory side by side, for the sake of the hardware's prefetching: a few rows
// where elements along them are the nearer ones in memory, else a few columns. Where strides are known only when the
// program runs there are two kernels, one of which does nothing.
//===----------------------------------------------------------------------===//
#include "codegen/cpu/Pack.h"
#include "mlir/IR/Matchers.h"
#include "runtime/Tally.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace attnc;
using namespace attnc::cpu;

SmallVector<Value> PackedOperands::values() const {
  SmallVector<Value> all;
  for (const std::optional<Packed> &p : {a, b}) {
    if (!p)
      continue;
    all.append({p->buffer, p->use, p->rowLo, p->kLo});
    for (const Packed::Dim &d : p->dims)
      all.push_back(d.lo);
  }
  return all;
}

namespace {

/// Rows, of A and of memory along k, that an instance packs: few enough that all of them stream.
constexpr int64_t kRowsOfA = 16, kRowsOfK = 4;

/// Where one that packs is of use.
enum class Nearer { Any, Row, K };

class Packer {
public:
  Packer(tile::KernelOp kernel, tile::NestOp nest, const Contraction &c, const Machine &machine)
      : kernel(kernel), nest(nest), c(c), machine(machine), body(nest.getBody().front()), b(nest.getLoc(), kernel) {
    kernel.getBody().walk([&](Operation *op) {
      if (auto st = dyn_cast<tile::StoreOp>(op))
        written.insert(st.getBuffer());
      else if (auto up = dyn_cast<tile::UpdateOp>(op))
        written.insert(up.getBuffer());
      else if (auto sort = dyn_cast<tile::SortOp>(op))
        written.insert(sort.getOut());
    });
  }

  /// Columns of a register tile.
  static int64_t panelOf(tile::NestOp nest, const Machine &machine) {
    Type elem = nest.getBody().front().getTerminator()->getOperand(0).getType();
    return 2 * machine.vectorBytes / (elem.getIntOrFloatBitWidth() / 8);
  }

  std::optional<Packed> packB() {
    // The other side's guards need to know whether B is finite.
    if (!c.onA.empty())
      return std::nullopt;
    SmallVector<Value> roots(c.onB);
    llvm::append_range(roots, c.both);
    for (auto &f : c.b)
      roots.push_back(f.value);
    int64_t panel = panelOf(nest, machine);
    if (std::optional<Packed> own = inside(roots, panel))
      return own;
    dims.clear();
    loads.clear();
    collected.clear();
    std::optional<Packed> p = begin(roots, c.n, panel);
    if (!p)
      return std::nullopt;
    allocate(*p, {blocksOf(sub(row.hi, row.lo), panel), sub(k.hi, k.lo), i64(panel)});
    bothWays(c.n, [&](Nearer nearer) {
      if (nearer == Nearer::K)
        return kernelOf(*p, row, panel, [&](ImplicitLocOpBuilder &kb, ValueRange at, Bounds rows) {
          fillPanel(kb, *p, panel, at, {k.lo, k.hi}, rows.first);
        });
      return kernelOf(*p, k, nearer == Nearer::Row ? kRowsOfK : 16,
                      [&](ImplicitLocOpBuilder &kb, ValueRange at, Bounds depth) {
                        kb.create<tile::ForOp>(row.lo, row.hi, i64(panel), [&](OpBuilder &inner, Location, Value lo) {
                          ImplicitLocOpBuilder pb(kb.getLoc(), inner);
                          fillPanel(pb, *p, panel, at, depth, lo);
                        });
                      });
    });
    return p;
  }

  /// For an A that is an element of a tensor.
  std::optional<Packed> packA() {
    std::optional<Packed> p = begin(c.a[0].value, c.m, 1);
    if (!p)
      return std::nullopt;
    // Rows do not start in the same cache set.
    allocate(*p, {sub(row.hi, row.lo), b.createOrFold<arith::AddIOp>(sub(k.hi, k.lo), i64(16))});
    auto fillRows = [&](ImplicitLocOpBuilder &kb, ValueRange at, Bounds rows, Bounds depth) {
      fill(kb, *p, at, {c.m, c.k}, {rows, depth}, c.a, {}, [&](ImplicitLocOpBuilder &to, ValueRange par) {
        return SmallVector<Value>{to.create<arith::SubIOp>(par[0], row.lo), to.create<arith::SubIOp>(par[1], k.lo)};
      });
    };
    bothWays(c.m, [&](Nearer nearer) {
      if (nearer == Nearer::Row)
        return kernelOf(*p, k, kRowsOfA, [&](ImplicitLocOpBuilder &kb, ValueRange at, Bounds depth) {
          fillRows(kb, at, {row.lo, row.hi}, depth);
        });
      return kernelOf(*p, row, kRowsOfA, [&](ImplicitLocOpBuilder &kb, ValueRange at, Bounds rows) {
        fillRows(kb, at, rows, {k.lo, k.hi});
      });
    });
    return p;
  }

  /// The kernels that were made.
  SmallVector<std::pair<tile::KernelOp, PackTable::When>, 0> made;

private:
  using Bounds = std::pair<Value, Value>;

  /// What a dim runs over in all instances together; `by`: the grid position that deals it out in blocks of `size`.
  struct Total {
    Value lo, hi, by;
    int64_t size = 0;
  };

  /// B before the loop that the contraction stands in, where the loop does not move it.
  std::optional<Packed> inside(ArrayRef<Value> roots, int64_t panel) {
    constexpr int64_t kMost = 256; // rows
    Operation *loop = nest;
    while (loop->getParentOp() != kernel)
      loop = loop->getParentOp();
    row = {nest.getParLo()[c.n], nest.getParHi()[c.n], {}, 0};
    k = {nest.getInnerLo()[c.k - nest.getNumPar()], nest.getInnerHi()[c.k - nest.getNumPar()], {}, 0};
    std::optional<int64_t> most = atMost(row.lo, row.hi);
    Value rowArg = body.getArgument(c.n), kArg = body.getArgument(c.k);
    if (loop == nest || !most || *most > kMost || !symbolic(k.lo) || !symbolic(k.hi) ||
        llvm::any_of(ValueRange{row.lo, row.hi},
                     [&](Value v) { return loop->isAncestor(v.getParentBlock()->getParentOp()); }) ||
        !llvm::all_of(roots, [&](Value v) { return collect(v); }) || !dims.contains(rowArg) || !dims.contains(kArg) ||
        llvm::any_of(dims,
                     [&](Value d) { return cast<BlockArgument>(d).getOwner() == &body && d != rowArg && d != kArg; }))
      return std::nullopt;
    TALLY("cpu: an operand packed once by an instance");
    Packed p;
    p.use = i64(1);
    p.rowLo = row.lo;
    p.kLo = k.lo;
    p.inside = true;
    SmallVector<Value> sizes{i64(llvm::divideCeil(*most, panel)), sub(k.hi, k.lo), i64(panel)};
    ImplicitLocOpBuilder kb(nest.getLoc(), loop);
    p.buffer = kb.create<tile::AllocOp>(tile::BufType::get(elem(), sizes.size()), sizes);
    map.clear();
    for (Value g : kernel.getBody().getArguments())
      map.map(g, g);
    kb.create<tile::ForOp>(row.lo, row.hi, i64(panel), [&](OpBuilder &inner, Location loc, Value lo) {
      ImplicitLocOpBuilder pb(loc, inner);
      fillPanel(pb, p, panel, lo, {k.lo, k.hi}, lo);
    });
    return p;
  }

  /// The panel of B that begins with row `lo`. `at`: the dims before it, and one position more.
  void fillPanel(ImplicitLocOpBuilder &pb, const Packed &p, int64_t panel, ValueRange at, Bounds depth, Value lo) {
    Value hi = pb.create<arith::MinSIOp>(pb.create<arith::AddIOp>(lo, i64(panel)), row.hi);
    Value number = pb.create<arith::DivSIOp>(pb.create<arith::SubIOp>(lo, row.lo), i64(panel));
    fill(pb, p, at, {c.k, c.n}, {depth, {lo, hi}}, c.b, c.onB, [&](ImplicitLocOpBuilder &to, ValueRange par) {
      return SmallVector<Value>{number, to.create<arith::SubIOp>(par[0], k.lo), to.create<arith::SubIOp>(par[1], lo)};
    });
  }

  Type elem() { return body.getTerminator()->getOperand(0).getType(); }
  Value i64(int64_t v) { return b.create<arith::ConstantIntOp>(v, 64); }
  Value sub(Value x, Value y) { return b.createOrFold<arith::SubIOp>(x, y); }
  bool inKernel(Value v) { return kernel.getBody().isAncestor(v.getParentRegion()); }

  /// Notes the positions that a value of the body depends on; false: it depends on more than positions.
  bool collect(Value v) {
    if (matchPattern(v, m_Constant()) || !inKernel(v) || dims.contains(v) || collected.contains(v))
      return true;
    if (!isa<BlockArgument>(v))
      collected.insert(v); // what is wrong with it was said at the first time
    if (auto arg = dyn_cast<BlockArgument>(v)) {
      if (arg.getOwner() != &body && arg.getOwner() != &kernel.getBody().front())
        return false;
      dims.insert(v);
      return true;
    }
    Operation *op = v.getDefiningOp();
    if (auto load = dyn_cast<tile::LoadOp>(op)) {
      if (op->getBlock() != &body || inKernel(load.getBuffer()) || written.contains(load.getBuffer()))
        return false;
      loads.insert(load);
      return llvm::all_of(load.getIndices(), [&](Value i) { return collect(i); });
    }
    return llvm::all_of(op->getOperands(), [&](Value o) { return collect(o); });
  }

  /// The positions that one value depends on.
  void positions(Value v, llvm::SmallSetVector<Value, 4> &on) {
    DenseSet<Value> seen;
    SmallVector<Value> todo{v};
    while (!todo.empty()) {
      Value at = todo.pop_back_val();
      if (!seen.insert(at).second)
        continue;
      if (isa<BlockArgument>(at)) {
        if (dims.contains(at))
          on.insert(at);
      } else if (inKernel(at)) {
        llvm::append_range(todo, at.getDefiningOp()->getOperands());
      }
    }
  }

  /// Some load has an index of its own for every position.
  bool bounded() {
    return llvm::any_of(loads, [&](Operation *op) {
      llvm::SmallSetVector<Value, 4> all;
      for (Value i : cast<tile::LoadOp>(op).getIndices()) {
        llvm::SmallSetVector<Value, 4> own;
        positions(i, own);
        if (own.size() > 1)
          return false;
        all.insert(own.begin(), own.end());
      }
      return all.size() == dims.size();
    });
  }

  /// Made of symbols alone, as the extents of memory must be.
  bool symbolic(Value v) {
    if (auto arg = dyn_cast<BlockArgument>(v))
      return isa<tile::ProgramOp>(arg.getOwner()->getParentOp());
    return !inKernel(v) && llvm::all_of(v.getDefiningOp()->getOperands(), [&](Value o) { return symbolic(o); });
  }

  std::optional<Total> total(Value d) {
    auto arg = cast<BlockArgument>(d);
    unsigned at = arg.getArgNumber();
    if (arg.getOwner() != &body) {
      Value extent = kernel.getExtents()[at];
      return symbolic(extent) ? std::optional<Total>({i64(0), extent, d, 1}) : std::nullopt;
    }
    bool par = at < nest.getNumPar();
    Value lo = par ? nest.getParLo()[at] : nest.getInnerLo()[at - nest.getNumPar()];
    Value hi = par ? nest.getParHi()[at] : nest.getInnerHi()[at - nest.getNumPar()];
    if (symbolic(lo) && symbolic(hi))
      return Total{lo, hi, {}, 0};
    return dealt(lo, hi);
  }

  /// lo = g * size, hi = min(lo + size, end), g along a grid that has room for just `end`.
  std::optional<Total> dealt(Value lo, Value hi) {
    auto mul = lo.getDefiningOp<arith::MulIOp>();
    if (!mul)
      return std::nullopt;
    auto g = dyn_cast<BlockArgument>(mul.getLhs());
    std::optional<int64_t> size = constantOf(mul.getRhs());
    if (!g || g.getOwner() != &kernel.getBody().front() || !size || *size < 1)
      return std::nullopt;
    Value extent = kernel.getExtents()[g.getArgNumber()];
    auto next = [&](Value v) {
      auto add = v.getDefiningOp<arith::AddIOp>();
      return add && add.getLhs() == lo && constantOf(add.getRhs()) == *size;
    };
    if (next(hi) && symbolic(extent))
      return Total{i64(0), b.createOrFold<arith::MulIOp>(extent, i64(*size)), g, *size};
    auto least = hi.getDefiningOp<arith::MinSIOp>();
    if (!least)
      return std::nullopt;
    Value end = next(least.getLhs()) ? least.getRhs() : next(least.getRhs()) ? least.getLhs() : Value();
    if (!end || !symbolic(end) || !holds(extent, end, *size))
      return std::nullopt;
    return Total{i64(0), end, g, *size};
  }

  /// blocks == ceil(end / size)
  bool holds(Value blocks, Value end, int64_t size) {
    auto n = constantOf(blocks), e = constantOf(end);
    if (n && e)
      return *n == (*e + size - 1) / size;
    Operation *div = blocks.getDefiningOp();
    if (!div || !isa<arith::ShRSIOp, arith::DivSIOp>(div))
      return false;
    std::optional<int64_t> by = constantOf(div->getOperand(1));
    auto add = div->getOperand(0).getDefiningOp<arith::AddIOp>();
    return by && (isa<arith::DivSIOp>(div) ? *by == size : *by < 62 && int64_t(1) << *by == size) && add &&
           add.getLhs() == end && constantOf(add.getRhs()) == size - 1;
  }

  /// i64, 1 where several instances or rounds share the operand; null: none can.
  Value reused(const DenseSet<Value> &partition) {
    Value enough = i64(1);
    if (std::optional<Total> m = total(body.getArgument(c.m)))
      enough = atLeast(sub(m->hi, m->lo), 4);
    if (!isa<tile::KernelOp>(nest->getParentOp()))
      return enough;
    Value times;
    for (auto [g, extent] : llvm::zip(kernel.getBody().getArguments(), kernel.getExtents()))
      if (!partition.contains(g) && constantOf(extent) != 1)
        times = times ? b.createOrFold<arith::MulIOp>(times, extent) : extent;
    return times ? b.createOrFold<arith::AndIOp>(enough, atLeast(times, 2)) : Value();
  }

  Value atLeast(Value v, int64_t least) {
    Value yes = b.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::sge, v, i64(least));
    return b.createOrFold<arith::ExtUIOp>(b.getI64Type(), yes);
  }

  /// A value of the kernel, made again elsewhere.
  Value copy(OpBuilder &to, IRMapping &map, Value v) {
    if (map.contains(v) || !inKernel(v))
      return map.lookupOrDefault(v);
    Operation *op = v.getDefiningOp();
    for (Value operand : op->getOperands())
      copy(to, map, operand);
    to.clone(*op, map);
    return map.lookup(v);
  }

  using Body = function_ref<void(ImplicitLocOpBuilder &, ValueRange, Bounds)>;

  /// How an element of the operand moves in memory along its rows and along k, if that is known of any.
  std::optional<PlainOperand> strided(int rowDim) {
    for (Operation *op : loads)
      if (std::optional<PlainOperand> both = plainOperand(nest, cast<tile::LoadOp>(op), rowDim, c.k))
        return both;
    return std::nullopt;
  }

  /// One kernel where it is known along which dim elements are nearer, or not at all; else one for each.
  void bothWays(int rowDim, function_ref<tile::KernelOp(Nearer)> make) {
    std::optional<PlainOperand> strides = strided(rowDim);
    if (!strides) {
      made.push_back({make(Nearer::Any), {}});
    } else if (strides->known()) {
      made.push_back({make(strides->rowNearer() ? Nearer::Row : Nearer::K), {}});
    } else {
      TALLY("cpu: an operand packed along what is nearer in memory");
      made.push_back({make(Nearer::Row), {{}, *strides, /*rowNearer=*/true}});
      made.push_back({make(Nearer::K), {{}, *strides, /*rowNearer=*/false}});
    }
  }

  /// What both operands have in common: dims, extents and whether it pays. `multiple`: blocks of rows are whole ones.
  std::optional<Packed> begin(ArrayRef<Value> roots, int rowDim, int64_t multiple) {
    for (Value v : roots)
      if (!collect(v))
        return std::nullopt;
    Value rowArg = body.getArgument(rowDim), kArg = body.getArgument(c.k);
    if (!dims.contains(rowArg) || !dims.contains(kArg) || !bounded())
      return std::nullopt;
    DenseMap<Value, Total> totals;
    DenseSet<Value> partition;
    for (Value d : dims) {
      std::optional<Total> t = total(d);
      if (!t)
        return std::nullopt;
      totals[d] = *t;
      partition.insert(t->by);
    }
    row = totals[rowArg];
    k = totals[kArg];
    if (k.by || (row.by && row.size % multiple))
      return std::nullopt;
    Packed p;
    p.use = reused(partition);
    if (!p.use)
      return std::nullopt;
    p.rowLo = row.lo;
    p.kLo = k.lo;
    for (Value d : dims) {
      if (d == rowArg || d == kArg)
        continue;
      auto arg = cast<BlockArgument>(d);
      bool ofNest = arg.getOwner() == &body;
      p.dims.push_back({ofNest ? int(arg.getArgNumber()) : -1, ofNest ? Value() : d, totals[d].lo});
      grid.push_back(sub(totals[d].hi, totals[d].lo));
      extents.push_back(grid.back());
    }
    return p;
  }

  Value blocksOf(Value count, int64_t size) {
    return b.createOrFold<arith::DivSIOp>(b.createOrFold<arith::AddIOp>(count, i64(size - 1)), i64(size));
  }

  void allocate(Packed &p, ArrayRef<Value> rows) {
    TALLY("cpu: an operand packed once, before the kernel");
    extents.append(rows.begin(), rows.end());
    p.buffer = b.create<tile::AllocOp>(tile::BufType::get(elem(), extents.size()), extents);
  }

  /// A kernel whose instances have `size` positions each of what it is dealt.
  tile::KernelOp kernelOf(const Packed &p, const Total &dealt, int64_t size, Body body) {
    SmallVector<Value> all(grid);
    all.push_back(b.createOrFold<arith::MulIOp>(blocksOf(sub(dealt.hi, dealt.lo), size), p.use));
    return b.create<tile::KernelOp>(all, [&](OpBuilder &inner, Location loc, ValueRange at) {
      ImplicitLocOpBuilder kb(loc, inner);
      map.clear();
      for (auto [d, place] : llvm::zip(p.dims, at))
        map.map(d.grid ? d.grid : Value(this->body.getArgument(d.nest)), kb.createOrFold<arith::AddIOp>(place, d.lo));
      Value begin = kb.create<arith::AddIOp>(kb.create<arith::MulIOp>(at.back(), i64(size)), dealt.lo);
      body(kb, at, {begin, kb.create<arith::MinSIOp>(kb.create<arith::AddIOp>(begin, i64(size)), dealt.hi)});
    });
  }

  void fill(ImplicitLocOpBuilder &kb, const Packed &p, ValueRange at, std::pair<int, int> over,
            std::pair<Bounds, Bounds> bounds, ArrayRef<Contraction::Factor> factors, ArrayRef<Value> own,
            function_ref<SmallVector<Value>(ImplicitLocOpBuilder &, ValueRange)> place) {
    tile::Range first{bounds.first.first, bounds.first.second}, second{bounds.second.first, bounds.second.second};
    kb.create<tile::NestOp>(ArrayRef<tile::Range>{first, second}, [&](OpBuilder &inner, Location loc, ValueRange par) {
      ImplicitLocOpBuilder to(loc, inner);
      map.map(body.getArgument(over.first), par[0]);
      map.map(body.getArgument(over.second), par[1]);
      SmallVector<Value> conditions(own);
      llvm::append_range(conditions, c.both);
      Value v = product(to, loc, elem(), factors, conditions, [&](Value v) { return copy(to, map, v); });
      SmallVector<Value> indices(at.drop_back());
      llvm::append_range(indices, place(to, par));
      to.create<tile::StoreOp>(v, p.buffer, indices);
    });
  }

  tile::KernelOp kernel;
  tile::NestOp nest;
  const Contraction &c;
  const Machine &machine;
  Block &body;
  ImplicitLocOpBuilder b;
  DenseSet<Value> written;
  llvm::SetVector<Value> dims; ///< positions, of the nest and of the grid, that the operand depends on
  llvm::SetVector<Operation *> loads;
  DenseSet<Value> collected;
  Total row, k;
  SmallVector<Value> extents, grid; ///< of the memory, of the kernel that packs
  IRMapping map;
};

} // namespace

/// Whether [lo, hi] is within [from, to] and begins with a panel of it.
static bool isWithin(Value lo, Value hi, Value from, Value to, int64_t panel) {
  auto least = hi.getDefiningOp<arith::MinSIOp>();
  return lo != from && beginsPanel(lo, from, panel) && least && llvm::is_contained(least->getOperands(), to);
}

/// Whether two nests of one kernel have the same B over the same ranges, or the second over panels of the first; their
/// dims may be numbered differently.
static bool sameOperand(tile::NestOp first, const Contraction &c, tile::NestOp second, const Contraction &d,
                        const Packed &packed, int64_t panel, SmallVectorImpl<Packed::Dim> &numbered) {
  if (first->getParentOfType<tile::KernelOp>() != second->getParentOfType<tile::KernelOp>() ||
      isa<tile::KernelOp>(first->getParentOp()) != isa<tile::KernelOp>(second->getParentOp()) ||
      c.b.size() != d.b.size() || c.onB.size() != d.onB.size() || c.both.size() != d.both.size() || !d.onA.empty())
    return false;
  Block &one = first.getBody().front(), &other = second.getBody().front();
  DenseMap<Value, Value> paired{{one.getArgument(c.n), other.getArgument(d.n)},
                                {one.getArgument(c.k), other.getArgument(d.k)},
                                {one.getArgument(c.m), other.getArgument(d.m)}};
  auto same = [&](auto &same, Value x, Value y) -> bool {
    if (x == y || paired.lookup(x) == y)
      return true;
    if (isa<BlockArgument>(x) || isa<BlockArgument>(y)) {
      auto p = dyn_cast<BlockArgument>(x), q = dyn_cast<BlockArgument>(y);
      bool fresh = p && q && p.getOwner() == &one && q.getOwner() == &other && !paired.contains(x);
      if (fresh)
        paired[x] = y;
      return fresh;
    }
    Operation *f = x.getDefiningOp(), *g = y.getDefiningOp();
    if (f->getName() != g->getName() || f->getAttrDictionary() != g->getAttrDictionary() || f->getNumOperands() == 0 ||
        f->getNumOperands() != g->getNumOperands())
      return matchPattern(x, m_Constant()) && f->getName() == g->getName() &&
             f->getAttrDictionary() == g->getAttrDictionary();
    return llvm::all_of(llvm::zip(f->getOperands(), g->getOperands()),
                        [&](auto both) { return same(same, std::get<0>(both), std::get<1>(both)); });
  };
  auto all = [&](ArrayRef<Value> x, ArrayRef<Value> y) {
    return llvm::all_of(llvm::zip(x, y), [&](auto both) { return same(same, std::get<0>(both), std::get<1>(both)); });
  };
  for (auto [x, y] : llvm::zip(c.b, d.b))
    if (x.divides != y.divides || !same(same, x.value, y.value))
      return false;
  if (!all(c.onB, d.onB) || !all(c.both, d.both))
    return false;
  auto range = [](tile::NestOp nest, unsigned at) {
    bool par = at < nest.getNumPar();
    return SmallVector<Value>{par ? nest.getParLo()[at] : nest.getInnerLo()[at - nest.getNumPar()],
                              par ? nest.getParHi()[at] : nest.getInnerHi()[at - nest.getNumPar()]};
  };
  for (auto [x, y] : paired) {
    auto its = range(first, cast<BlockArgument>(x).getArgNumber());
    auto other = range(second, cast<BlockArgument>(y).getArgNumber());
    bool isM = x == one.getArgument(c.m), isN = x == one.getArgument(c.n);
    bool may = packed.inside && (isM || (isN && isWithin(other[0], other[1], its[0], its[1], panel)));
    if (!may && !all(its, other))
      return false;
  }
  numbered.assign(packed.dims.begin(), packed.dims.end());
  for (Packed::Dim &dim : numbered)
    if (!dim.grid)
      dim.nest = int(cast<BlockArgument>(paired.lookup(one.getArgument(dim.nest))).getArgNumber());
  return true;
}

PackTable cpu::packOperands(tile::ProgramOp program, const Machine &machine) {
  PackTable table;
  if (!machine.vectorise)
    return table;
  SmallVector<std::pair<tile::NestOp, Contraction>, 0> done;
  program.walk([&](tile::NestOp nest) {
    std::optional<Contraction> c = matchContraction(nest);
    if (!c)
      return;
    PackedOperands packed;
    auto kernel = nest->getParentOfType<tile::KernelOp>();
    std::optional<PlainOperand> plain = plainA(nest, *c);
    bool element = c->a.size() == 1 && !c->a[0].divides && c->a[0].value.getDefiningOp<tile::LoadOp>() &&
                   c->onA.empty() && c->onB.empty() && c->both.empty();
    if (element && !(plain && plain->inRows())) {
      Packer packer(kernel, nest, *c, machine);
      packed.a = packer.packA();
      for (auto &[made, when] : packer.made) {
        when.notInPlace = plain;
        table.when[made] = when;
      }
    }
    for (auto &[first, its] : done) {
      packed.b = table.nests[first].b;
      SmallVector<Packed::Dim> numbered;
      if (sameOperand(first, its, nest, *c, *packed.b, Packer::panelOf(nest, machine), numbered)) {
        packed.b->dims = numbered;
        table.nests[nest] = packed;
        return;
      }
    }
    Packer packer(kernel, nest, *c, machine);
    packed.b = packer.packB();
    for (auto &[made, when] : packer.made)
      table.when[made] = when;
    if (packed.b)
      done.push_back({nest, *c});
    if (packed.a || packed.b)
      table.nests[nest] = packed;
  });
  return table;
}
