//===- What conditions read: before a loop, at rows, along an axis --------===//
#include "passes/tile/MaskReads.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "passes/tile/Stream.h"
#include "runtime/Tally.h"

using namespace mlir;

namespace attnc::mask {
namespace {

Value i64(ImplicitLocOpBuilder &b, int64_t v) { return b.create<arith::ConstantIntOp>(v, 64); }
Value add(ImplicitLocOpBuilder &b, Value x, Value y) { return b.createOrFold<arith::AddIOp>(x, y); }

/// Arguments of the block that computes a value, and which dims they are: the body, or the finish, that has the par
/// positions and results.
SmallVector<std::pair<BlockArgument, int>> positionsOf(const Frame &frame, Value v) {
  SmallVector<std::pair<BlockArgument, int>> list;
  Block *block = v.getParentBlock();
  size_t count = block == &frame.nest.getBody().front() ? frame.dims.size() : frame.nest.getNumPar();
  for (auto [arg, dim] : llvm::zip(block->getArguments().take_front(count), frame.dims))
    list.push_back({arg, dim});
  return list;
}

/// A value of the program that is no less than `v`.
Value boundOf(Value v) {
  if (isa<tile::ProgramOp>(v.getParentBlock()->getParentOp()))
    return v;
  Operation *op = v.getDefiningOp();
  if (!op)
    return {};
  if (isa<arith::MinSIOp>(op)) {
    Value x = boundOf(op->getOperand(0)), y = boundOf(op->getOperand(1));
    return x && !stream::constant(x) ? x : y;
  }
  if (!isa<arith::MaxSIOp, arith::SelectOp>(op))
    return {};
  unsigned first = isa<arith::SelectOp>(op) ? 1 : 0;
  Value x = boundOf(op->getOperand(first)), y = boundOf(op->getOperand(first + 1));
  if (!x || !y || x == y)
    return x && y ? x : Value();
  auto c = stream::constant(x), d = stream::constant(y);
  return d && *d <= 0 ? x : c && *c <= 0 ? y : Value();
}

} // namespace

Reads::Reads(tile::ForOp loop, const Terms &terms, const SmallVector<Frame> &frames)
    : loop(loop), kernel(loop->getParentOfType<tile::KernelOp>()), terms(terms), frames(frames) {
  if (kernel && stream::constant(loop.getLo()) == 0 && isa<tile::ProgramOp>(kernel->getParentOp()))
    end = boundOf(loop.getHi());
}

/// A value of a body, or of the kernel too, made again where the map's values are known.
Value Reads::copy(OpBuilder &b, Value v, IRMapping &map, bool kernelToo) {
  if (map.contains(v))
    return map.lookup(v);
  Operation *op = v.getDefiningOp();
  if (!op || isa<tile::AllocOp, tile::ArgOp>(op))
    return v;
  if (!loop->isAncestor(op) && !(kernelToo && kernel->isProperAncestor(op)))
    return v;
  for (Value operand : op->getOperands())
    copy(b, operand, map, kernelToo);
  Operation *made = b.clone(*op, map);
  return made->getResult(0);
}

Value Reads::outside(Id id) {
  auto [at, fresh] = outside_.try_emplace(id);
  if (fresh) {
    OpBuilder before(anchor);
    Value v = copy(before, terms[id].value, outsideMap);
    outside_[id] = v;
  }
  return outside_[id];
}

Interval Reads::read(ImplicitLocOpBuilder &b, Id id, Box &box) {
  return terms[id].key ? readTable(b, id, box) : readRows(b, id, box);
}

/// The nest whose body or finish computes a value.
const Frame &Reads::frameOf(Value v) const {
  return *llvm::find_if(frames, [&](const Frame &f) { return f.nest->isAncestor(stream::defining(v)); });
}

/// Memory of an instance.
Value Reads::memory(int64_t count, Type element, StringRef name) {
  ImplicitLocOpBuilder start(kernel.getLoc(), &kernel.getBody().front(), kernel.getBody().front().begin());
  Value extent = i64(start, count);
  auto made = start.create<tile::AllocOp>(tile::BufType::get(element, 1), ValueRange{extent});
  made->setAttr("name", start.getStringAttr(name));
  return made;
}

/// Its ends over the rows of a box, as a nest where they are needed.
Interval Reads::readRows(ImplicitLocOpBuilder &b, Id id, Box &box) {
  if (auto known = box.data.find(id); known != box.data.end())
    return known->second;
  TALLY("mask blocks: what a mask reads at rows");
  Value v = terms[id].value;
  SmallVector<tile::Range> rows;
  SmallVector<BlockArgument> args;
  for (auto [arg, dim] : positionsOf(frameOf(v), v))
    if (dim >= 0) {
      rows.push_back({box.rows[dim].lo, add(b, box.rows[dim].hi, i64(b, 1))});
      args.push_back(arg);
    }
  // Dims that it does not depend on are left out.
  llvm::DenseSet<Value> reached;
  SmallVector<Value> todo{v};
  while (!todo.empty())
    if (Value at = todo.pop_back_val();
        reached.insert(at).second && at.getDefiningOp() && loop->isAncestor(at.getDefiningOp()))
      llvm::append_range(todo, at.getDefiningOp()->getOperands());
  for (size_t k = args.size(); k-- > 0;)
    if (!reached.contains(args[k])) {
      args.erase(args.begin() + k);
      rows.erase(rows.begin() + k);
    }
  Value ends = memory(2, b.getI64Type(), "mask.rows");
  tile::Combiner kinds[] = {tile::Combiner::Min, tile::Combiner::Max};
  b.create<tile::NestOp>(
      ArrayRef<tile::Range>(), rows,
      [&](OpBuilder &inner, Location loc, ValueRange, ValueRange at) -> SmallVector<Value> {
        IRMapping map;
        for (auto [arg, position] : llvm::zip(args, at))
          map.map(arg, position);
        Value one = copy(inner, v, map);
        if (one.getType().isInteger(1))
          one = inner.create<arith::ExtUIOp>(loc, inner.getI64Type(), one);
        return {one, one};
      },
      kinds,
      [&](OpBuilder &inner, Location loc, ValueRange, ValueRange results) {
        for (auto [k, result] : llvm::enumerate(results)) {
          Value at = inner.create<arith::ConstantIntOp>(loc, k, 64);
          inner.create<tile::StoreOp>(loc, result, ends, at);
        }
      });
  Interval made{b.create<tile::LoadOp>(ends, i64(b, 0)), b.create<tile::LoadOp>(ends, i64(b, 1))};
  return box.data[id] = made;
}

/// A table of the least and the greatest of a value in each part of the axis; none where it is not made from what is
/// read alone.
std::optional<Reads::Table> Reads::makeTable(Value v) {
  BlockArgument position;
  llvm::SetVector<Value> grid;
  llvm::DenseSet<Value> seen;
  SmallVector<Value> todo{v};
  bool ok = true;
  while (!todo.empty()) {
    Value x = todo.pop_back_val();
    if (!seen.insert(x).second)
      continue;
    if (auto arg = dyn_cast<BlockArgument>(x)) {
      if (arg.getOwner() == &kernel.getBody().front())
        grid.insert(arg);
      else if (kernel->isAncestor(arg.getOwner()->getParentOp()))
        position = arg;
      continue;
    }
    if (Operation *op = x.getDefiningOp(); kernel->isProperAncestor(op)) {
      ok &= !isa<tile::AllocOp>(op);
      llvm::append_range(todo, op->getOperands());
    }
  }
  if (!ok || !position)
    return {};
  TALLY("mask blocks: what a mask reads along the axis");
  ImplicitLocOpBuilder p(kernel.getLoc(), kernel);
  SmallVector<Value> extents;
  for (Value g : grid)
    extents.push_back(kernel.getExtents()[cast<BlockArgument>(g).getArgNumber()]);
  Value parts = p.createOrFold<arith::FloorDivSIOp>(add(p, end, i64(p, kPart - 1)), i64(p, kPart));
  SmallVector<Value> sizes(extents);
  sizes.push_back(parts);
  Table table;
  for (auto [name, into] : {std::pair("mask.least", &table.least), std::pair("mask.greatest", &table.greatest)}) {
    auto alloc = p.create<tile::AllocOp>(tile::BufType::get(p.getI64Type(), sizes.size()), sizes);
    alloc->setAttr("name", p.getStringAttr(name));
    alloc->setAttr("why", p.getStringAttr("says which blocks a mask leaves"));
    *into = alloc;
  }
  Value last = add(p, end, i64(p, -1)), part = i64(p, kPart), zero = i64(p, 0);
  auto made = p.create<tile::KernelOp>(extents, [&](OpBuilder &inner, Location loc, ValueRange at) {
    ImplicitLocOpBuilder kb(loc, inner);
    tile::Combiner kinds[] = {tile::Combiner::Min, tile::Combiner::Max};
    kb.create<tile::NestOp>(
        ArrayRef<tile::Range>{{zero, parts}}, ArrayRef<tile::Range>{{zero, part}},
        [&](OpBuilder &inner, Location loc, ValueRange par, ValueRange red) -> SmallVector<Value> {
          ImplicitLocOpBuilder nb(loc, inner);
          IRMapping map;
          for (auto [g, x] : llvm::zip(grid, at))
            map.map(g, x);
          Value here = nb.create<arith::AddIOp>(nb.create<arith::MulIOp>(par[0], part), red[0]);
          map.map(position, nb.create<arith::MinSIOp>(here, last).getResult());
          Value one = copy(nb, v, map, true);
          if (one.getType().isInteger(1))
            one = nb.create<arith::ExtUIOp>(nb.getI64Type(), one);
          return {one, one};
        },
        kinds,
        [&](OpBuilder &inner, Location loc, ValueRange par, ValueRange results) {
          SmallVector<Value> place(at);
          place.push_back(par[0]);
          inner.create<tile::StoreOp>(loc, results[0], table.least, place);
          inner.create<tile::StoreOp>(loc, results[1], table.greatest, place);
        });
  });
  made->setAttr("name", p.getStringAttr("mask.parts"));
  table.at.assign(grid.begin(), grid.end());
  return table;
}

/// Its ends in a part of the axis, from a table.
Interval Reads::readTable(ImplicitLocOpBuilder &b, Id id, Box &box) {
  if (!end || !box.summary)
    return {};
  auto [at, fresh] = tables.try_emplace(id);
  if (fresh)
    at->second = makeTable(terms[id].value);
  const std::optional<Table> &table = at->second;
  if (!table)
    return {};
  SmallVector<Value> place(table->at);
  place.push_back(box.summary);
  return {b.create<tile::LoadOp>(table->least, place), b.create<tile::LoadOp>(table->greatest, place)};
}

/// What positions come in as.
void Reads::findPlaces(Id id, llvm::SmallSetVector<Id, 4> &places) const {
  const Term &term = terms[id];
  if (!term.data && (term.row || term.key))
    places.insert(id);
  else
    for (Id arg : term.args)
      findPlaces(arg, places);
}

/// At all rows of the box and the positions of its block, part by part; at one of them where the places are the same
/// for all, as those of a table of blocks.
Truth Reads::look(ImplicitLocOpBuilder &b, Id id, Box &box, Solver &solver) {
  if (box.part < 0)
    return {b.create<arith::ConstantIntOp>(1, 1), b.create<arith::ConstantIntOp>(0, 1)};
  auto &[some, every] = box.looked[id];
  if (!some) {
    TALLY("mask blocks: a table looked at point by point");
    Value v = terms[id].value;
    int64_t count = *stream::constant(loop.getStep()) / kPart;
    some = memory(count, b.getI1Type(), "mask.some");
    every = memory(count, b.getI1Type(), "mask.every");
    auto both = [&](Value x, Value y) { return b.createOrFold<arith::AndIOp>(x, y); };
    Value oneRow = b.create<arith::ConstantIntOp>(1, 1), oneKey = oneRow;
    llvm::SmallSetVector<Id, 4> places;
    findPlaces(id, places);
    for (int64_t k = 0; k < count; ++k) {
      Box own = box;
      Value lo = add(b, box.block.lo, i64(b, k * kPart)), last = add(b, box.block.hi, i64(b, -1));
      own.key = {b.createOrFold<arith::MinSIOp>(lo, last),
                 b.createOrFold<arith::MinSIOp>(add(b, lo, i64(b, kPart - 1)), last)};
      for (Id place : places) {
        if (k && !terms[place].key)
          continue;
        Interval x = solver.interval(b, place, own);
        Value same = x.lo && x.hi ? b.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::eq, x.lo, x.hi)
                                  : b.create<arith::ConstantIntOp>(0, 1);
        if (terms[place].row)
          oneRow = both(oneRow, same);
        if (terms[place].key)
          oneKey = both(oneKey, same);
      }
    }
    SmallVector<tile::Range> dims;
    SmallVector<BlockArgument> args;
    BlockArgument position;
    for (auto [arg, dim] : positionsOf(frameOf(v), v))
      if (dim >= 0) {
        Interval r = box.rows[dim];
        dims.push_back({r.lo, add(b, b.createOrFold<arith::SelectOp>(oneRow, r.lo, r.hi), i64(b, 1))});
        args.push_back(arg);
      } else if (dim == -1) {
        position = arg;
      }
    Value zero = i64(b, 0), part = i64(b, kPart), last = add(b, box.block.hi, i64(b, -1));
    dims.push_back({zero, b.createOrFold<arith::SelectOp>(oneKey, i64(b, 1), part)});
    tile::Combiner kinds[] = {tile::Combiner::Any, tile::Combiner::All};
    b.create<tile::NestOp>(
        ArrayRef<tile::Range>{{zero, i64(b, count)}}, dims,
        [&](OpBuilder &inner, Location loc, ValueRange par, ValueRange at) -> SmallVector<Value> {
          ImplicitLocOpBuilder nb(loc, inner);
          IRMapping map;
          for (auto [arg, x] : llvm::zip(args, at))
            map.map(arg, x);
          Value start = add(nb, box.block.lo, nb.create<arith::MulIOp>(par[0], part));
          map.map(position, nb.create<arith::MinSIOp>(add(nb, start, at.back()), last).getResult());
          Value one = copy(nb, v, map);
          return {one, one};
        },
        kinds,
        [&](OpBuilder &inner, Location loc, ValueRange par, ValueRange results) {
          inner.create<tile::StoreOp>(loc, results[0], some, par[0]);
          inner.create<tile::StoreOp>(loc, results[1], every, par[0]);
        });
  }
  Value at = i64(b, box.part);
  return {b.create<tile::LoadOp>(some, at), b.create<tile::LoadOp>(every, at)};
}

} // namespace attnc::mask
