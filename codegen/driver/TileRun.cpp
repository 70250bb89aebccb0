//===- Running parts of a tile program, one scalar at a time --------------===//
#include "codegen/driver/TileRun.h"
#include "codegen/driver/IndexValues.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <cmath>

using namespace mlir;

namespace attnc {

namespace {

bool isReal(Type t) { return isa<FloatType>(t); }

/// Two known numbers compared.
bool compare(arith::CmpFPredicate p, double x, double y) {
  using P = arith::CmpFPredicate;
  bool unordered = std::isnan(x) || std::isnan(y);
  switch (p) {
  case P::AlwaysFalse:
    return false;
  case P::OEQ:
    return !unordered && x == y;
  case P::OGT:
    return !unordered && x > y;
  case P::OGE:
    return !unordered && x >= y;
  case P::OLT:
    return !unordered && x < y;
  case P::OLE:
    return !unordered && x <= y;
  case P::ONE:
    return !unordered && x != y;
  case P::ORD:
    return !unordered;
  case P::UEQ:
    return unordered || x == y;
  case P::UGT:
    return unordered || x > y;
  case P::UGE:
    return unordered || x >= y;
  case P::ULT:
    return unordered || x < y;
  case P::ULE:
    return unordered || x <= y;
  case P::UNE:
    return unordered || x != y;
  case P::UNO:
    return unordered;
  case P::AlwaysTrue:
    return true;
  }
  return false;
}

/// What an op on known real numbers gives; none for one that is not in this list.
std::optional<double> realOp(Operation &op, ArrayRef<double> x) {
  if (isa<arith::AddFOp>(op))
    return x[0] + x[1];
  if (isa<arith::SubFOp>(op))
    return x[0] - x[1];
  if (isa<arith::MulFOp>(op))
    return x[0] * x[1];
  if (isa<arith::DivFOp>(op))
    return x[0] / x[1];
  if (isa<arith::NegFOp>(op))
    return -x[0];
  if (isa<arith::MaximumFOp, arith::MinimumFOp>(op) && (std::isnan(x[0]) || std::isnan(x[1])))
    return NAN;
  if (isa<arith::MaximumFOp, arith::MaxNumFOp>(op))
    return std::fmax(x[0], x[1]);
  if (isa<arith::MinimumFOp, arith::MinNumFOp>(op))
    return std::fmin(x[0], x[1]);
  if (isa<math::FmaOp>(op))
    return std::fma(x[0], x[1], x[2]);
  if (isa<math::AbsFOp>(op))
    return std::fabs(x[0]);
  if (isa<math::FloorOp>(op))
    return std::floor(x[0]);
  if (isa<math::CeilOp>(op))
    return std::ceil(x[0]);
  if (isa<math::SqrtOp>(op))
    return std::sqrt(x[0]);
  if (isa<math::ExpOp>(op))
    return std::exp(x[0]);
  if (isa<math::LogOp>(op))
    return std::log(x[0]);
  if (isa<math::TanhOp>(op))
    return std::tanh(x[0]);
  if (isa<arith::ExtFOp, arith::TruncFOp>(op))
    return x[0];
  return std::nullopt;
}

Scalar joined(tile::Combiner kind, bool real, Scalar x, Scalar y) {
  if (!x.known || !y.known)
    return {};
  switch (kind) {
  case tile::Combiner::Sum:
    return {true, int64_t(uint64_t(x.integer) + uint64_t(y.integer)), x.real + y.real};
  case tile::Combiner::Prod:
    return {true, int64_t(uint64_t(x.integer) * uint64_t(y.integer)), x.real * y.real};
  case tile::Combiner::Max:
    return {true, std::max(x.integer, y.integer),
            real && (std::isnan(x.real) || std::isnan(y.real)) ? NAN : std::fmax(x.real, y.real)};
  case tile::Combiner::Min:
    return {true, std::min(x.integer, y.integer),
            real && (std::isnan(x.real) || std::isnan(y.real)) ? NAN : std::fmin(x.real, y.real)};
  case tile::Combiner::Any:
    return {true, x.integer | y.integer, 0};
  case tile::Combiner::All:
    return {true, x.integer & y.integer, 0};
  default:
    return {}; // a position of the best: no bound is made of it
  }
}

} // namespace

void TileRun::give(Value buffer, const HostTensor &tensor) {
  Buffer &b = buffers_[buffer];
  b.extents = tensor.shape;
  b.elements.clear();
  for (int64_t k = 0, n = tensor.count(); k < n; ++k)
    b.elements.push_back(isFloat(tensor.dtype) ? Scalar{true, 0, tensor.getReal(k)}
                                               : Scalar{true, tensor.getInt(k), 0});
}

Scalar TileRun::value(Value v) const {
  auto it = values_.find(v);
  return it == values_.end() ? Scalar() : it->second;
}

std::optional<int64_t> TileRun::integer(Value v) const {
  Scalar s = value(v);
  return s.known ? std::optional(s.integer) : std::nullopt;
}

int64_t TileRun::place(const Buffer &buffer, ValueRange indices) const {
  int64_t at = 0;
  for (auto [extent, index] : llvm::zip(buffer.extents, indices)) {
    std::optional<int64_t> i = integer(index);
    if (!i || *i < 0 || *i >= extent)
      return -1;
    at = at * extent + *i;
  }
  return at;
}

Scalar TileRun::load(tile::LoadOp op) const {
  auto buffer = buffers_.find(op.getBuffer());
  if (buffer == buffers_.end())
    return {};
  int64_t at = place(buffer->second, op.getIndices());
  return at < 0 ? Scalar() : buffer->second.elements[size_t(at)];
}

void TileRun::store(Value buffer, ValueRange indices, Scalar x) {
  auto it = buffers_.find(buffer);
  if (it == buffers_.end())
    return;
  if (int64_t at = place(it->second, indices); at >= 0)
    it->second.elements[size_t(at)] = x;
}

Scalar TileRun::apply(Operation &op) const {
  if (auto load = dyn_cast<tile::LoadOp>(op))
    return this->load(load);
  Type type = op.getResult(0).getType();
  SmallVector<Scalar, 3> operands;
  bool known = true;
  for (Value v : op.getOperands()) {
    operands.push_back(value(v));
    known &= operands.back().known;
  }
  if (auto c = dyn_cast<arith::ConstantOp>(op))
    if (auto f = dyn_cast<FloatAttr>(c.getValue()))
      return {true, 0, f.getValueAsDouble()};
  if (isa<arith::SelectOp>(op) && isReal(type))
    return operands[!operands[0].known || operands[0].integer ? 1 : 2];
  if (auto c = dyn_cast<arith::CmpFOp>(op))
    return known ? Scalar{true, compare(c.getPredicate(), operands[0].real, operands[1].real), 0} : Scalar();
  if (isa<arith::FPToSIOp>(op))
    return known ? Scalar{true, realToInt(operands[0].real), 0} : Scalar();
  if (!isReal(type)) {
    SmallVector<std::optional<int64_t>, 3> integers;
    for (auto [s, v] : llvm::zip(operands, op.getOperands()))
      integers.push_back(s.known && !isReal(v.getType()) ? std::optional(s.integer) : std::nullopt);
    // What is false or true whatever the other is.
    if (isa<arith::AndIOp, arith::OrIOp>(op) && type.isInteger(1))
      for (auto &x : integers)
        if (x && (*x != 0) == isa<arith::OrIOp>(op))
          return {true, isa<arith::OrIOp>(op), 0};
    std::optional<int64_t> x = indexOp(&op, integers);
    return x ? Scalar{true, type.isInteger(1) ? *x & 1 : *x, 0} : Scalar();
  }
  if (!known)
    return {};
  std::optional<double> x;
  if (isa<arith::SIToFPOp>(op)) {
    x = double(operands[0].integer);
  } else {
    SmallVector<double, 3> reals;
    for (Scalar s : operands)
      reals.push_back(s.real);
    x = realOp(op, reals);
  }
  return x ? Scalar{true, 0, type.isF32() ? double(float(*x)) : *x} : Scalar();
}

void TileRun::run(Operation &op) {
  if (auto alloc = dyn_cast<tile::AllocOp>(op)) {
    Buffer &b = buffers_[alloc.getResult()];
    b.extents.clear();
    size_t count = 1;
    for (Value e : alloc.getExtents()) {
      b.extents.push_back(std::max<int64_t>(1, integer(e).value_or(1)));
      count *= size_t(b.extents.back());
    }
    b.elements.assign(count, Scalar());
  } else if (auto store = dyn_cast<tile::StoreOp>(op)) {
    this->store(store.getBuffer(), store.getIndices(), value(store.getValue()));
  } else if (op.getNumResults() == 1) {
    values_[op.getResult(0)] = apply(op);
  }
}

/// Over all positions, last fastest; false where a bound is not known.
bool TileRun::each(OperandRange lo, OperandRange hi, Block::BlockArgListType args, llvm::function_ref<void()> body) {
  SmallVector<std::pair<int64_t, int64_t>> ranges;
  for (auto [l, h] : llvm::zip(lo, hi)) {
    auto from = integer(l), to = integer(h);
    if (!from || !to)
      return false;
    if (*from >= *to)
      return true;
    ranges.push_back({*from, *to});
  }
  SmallVector<int64_t> at;
  for (auto &r : ranges)
    at.push_back(r.first);
  while (true) {
    for (auto [arg, x] : llvm::zip(args, at))
      set(arg, x);
    body();
    size_t d = at.size();
    while (d > 0 && ++at[d - 1] == ranges[d - 1].second) {
      at[d - 1] = ranges[d - 1].first;
      --d;
    }
    if (d == 0)
      return true;
  }
}

void TileRun::run(tile::NestOp nest) {
  Block &body = nest.getBody().front();
  SmallVector<tile::Combiner> kinds = nest.getCombinerKinds();
  each(nest.getParLo(), nest.getParHi(), nest.getParArgs(), [&] {
    SmallVector<Scalar> results(kinds.size());
    bool first = true;
    auto point = [&] {
      ++points_;
      for (Operation &op : body)
        run(op);
      if (!nest.isReduction())
        return;
      for (auto [k, kind] : llvm::enumerate(kinds)) {
        Value v = body.getTerminator()->getOperand(unsigned(k));
        results[k] = first ? value(v) : joined(kind, isReal(v.getType()), results[k], value(v));
      }
      first = false;
    };
    each(nest.getInnerLo(), nest.getInnerHi(), nest.getInnerArgs(), point);
    if (nest.getFinish().empty())
      return;
    Block &finish = nest.getFinish().front();
    for (auto [arg, from] : llvm::zip(finish.getArguments(), nest.getParArgs()))
      values_[arg] = value(from);
    for (auto [arg, x] : llvm::zip(finish.getArguments().drop_front(nest.getNumPar()), results))
      values_[arg] = x;
    for (Operation &op : finish)
      run(op);
  });
}

} // namespace attnc
