//===- Axes and symbolic positions of a mixer -----------------------------===//
#include "passes/attn/AttnToTileGraph.h"

using namespace mlir;

namespace attnc::totile {

Value resolve(Value v) {
  while (true) {
    if (auto eq = v.getDefiningOp<attn::EquationOp>(); eq && !eq.getCycle())
      v = eq.getBody();
    else if (auto detach = v.getDefiningOp<attn::DetachOp>())
      v = detach.getSource();
    else
      return v;
  }
}

/// Unknown extents are guessed as long for sequences and short for axes that only run in parallel (batch, heads).
static constexpr double kSequence = 1024, kBatch = 4;

Graph::Graph(attn::MixerOp mixer) : mixer(mixer), table(mixer) {
  for (NamedAttribute a : mixer.getAxes()) {
    ids_[a.getName()] = axes.size();
    AxisInfo info;
    info.name = a.getName();
    info.extent = table.extent(a.getName());
    info.constant = extentAsConst(info.extent);
    axes.push_back(info);
  }

  // An axis along which positions meet is a sequence, and so is one that most inputs lack: queries that no key has.
  // What remains runs in parallel everywhere. Axes that share a symbol share the guess.
  std::vector<bool> meets(axes.size());
  auto mark = [&](ArrayAttr names) {
    for (int a : list(names))
      meets[a] = true;
  };
  // The second of two dynamic axes in one dim subdivides the first (query heads of a group): not a sequence by itself.
  AxisSet divided;
  for (auto input : mixer.getBody()->getOps<attn::InputOp>())
    for (ArrayAttr dim : input.getDims().getAsRange<ArrayAttr>())
      if (dim.size() > 1 && llvm::all_of(list(dim), [&](int a) { return axes[a].dynamic(); }))
        for (int a : list(dim))
          divided.insert(a);
  // `index >= 0` only gives a value the axis.
  auto broadcasts = [](Operation *user) {
    auto map = dyn_cast<attn::MapOp>(user);
    return map && map.getFn() == attn::MapFn::Ge && attn::constInt(map.getOperands()[1]) == 0;
  };
  for (Operation &op : *mixer.getBody()) {
    if (auto index = dyn_cast<attn::IndexOp>(op)) {
      int a = axis(index.getAxisAttr());
      if (!divided.contains(a) && !llvm::all_of(op.getUsers(), broadcasts))
        meets[a] = true;
    } else if (auto eq = dyn_cast<attn::EquationOp>(op)) {
      mark(eq.getLoopAxes());
    } else if (auto names = op.getAttrOfType<ArrayAttr>("axes")) {
      mark(names);
    }
  }
  // Inputs without any axis that may run in parallel are weights: what they lack says nothing, and neither does what a
  // mask or an index lacks. A tensor of many axes weighs more than a scale or a bias per head.
  AxisSet parallel;
  for (size_t a = 0; a < axes.size(); ++a)
    if (axes[a].dynamic() && !meets[a] && !divided.contains(a))
      parallel.insert(a);
  std::vector<size_t> having(axes.size()), lacking(axes.size());
  for (auto input : mixer.getBody()->getOps<attn::InputOp>()) {
    AxisSet own = axesOf(input.getResult());
    if (!attn::typeOf(input.getResult()).isFloat() || (own & parallel).empty())
      continue;
    for (int a : parallel)
      (own.contains(a) ? having : lacking)[a] += own.size();
  }
  for (int a : parallel)
    meets[a] = lacking[a] > 0 && having[a] <= lacking[a];
  std::vector<int64_t> guess(table.symbols().size(), int64_t(kBatch));
  for (size_t i = 0; i < guess.size(); ++i)
    for (size_t a = 0; a < axes.size(); ++a)
      if (meets[a] && extentUses(axes[a].extent, i))
        guess[i] = int64_t(kSequence);
  for (size_t a = 0; a < axes.size(); ++a) {
    axes[a].size = std::max<double>(1, extentEval(axes[a].extent, guess).value_or(1));
    // A guess divided by a guess says little.
    if (axes[a].dynamic() && meets[a])
      axes[a].size = std::max(axes[a].size, 4 * kBatch);
    axes[a].sequence = axes[a].dynamic() && axes[a].size > 2 * kBatch;
  }
}

AxisSet Graph::axesOf(Value v) const {
  AxisSet set;
  for (StringAttr a : attn::axesOf(v))
    set.insert(axis(a));
  return set;
}

SmallVector<int> Graph::list(ArrayAttr names) const {
  SmallVector<int> result;
  for (StringAttr a : names.getAsRange<StringAttr>())
    result.push_back(axis(a));
  return result;
}

double Graph::volume(const AxisSet &set) const {
  double v = 1;
  for (int a : set)
    v *= axes[a].size;
  return v;
}

std::optional<ChunkedDim> Graph::chunked(int axis) {
  for (auto input : mixer.getBody()->getOps<attn::InputOp>())
    for (auto [dim, length] :
         llvm::zip_equal(input.getDims().getAsRange<ArrayAttr>(), input.getLengths().getAsRange<StringAttr>()))
      if (dim.size() == 2 && !length.getValue().empty() && list(dim)[1] == axis && axes[axis].constant)
        return ChunkedDim{list(dim)[0], table.parse(length.getValue())};
  return std::nullopt;
}

ExtentRef Graph::extentOf(ArrayRef<int> list) const {
  ExtentRef e = extentConst(1);
  for (int a : list)
    e = extentMake(attnc::ExtentOp::Mul, {e, axes[a].extent});
  return e;
}

SymEnv Graph::identity(const AxisSet &set) const {
  SymEnv env;
  for (int a : set)
    env.push_back({a, a});
  return env;
}

SymEnv Graph::restrict(const SymEnv &env, Value v) const {
  SymEnv result;
  for (int a : axesOf(v))
    result.push_back({a, lookup(env, a)});
  return result;
}

Sym Graph::position(Value index, const SymEnv &env) {
  index = resolve(index);
  if (auto op = index.getDefiningOp<attn::IndexOp>())
    return lookup(env, axis(op.getAxisAttr()));
  if (auto read = index.getDefiningOp<attn::ReadOp>()) {
    // A renamed index is a position itself.
    Value source = resolve(read.getSource());
    if (source.getDefiningOp<attn::IndexOp>())
      return position(source, through(read, env));
  }
  SymEnv own = restrict(env, index);
  auto [at, fresh] = interned_.try_emplace(
      {index.getAsOpaquePointer(), std::vector<std::pair<int, int>>(own.begin(), own.end())}, -int(exprs_.size()) - 1);
  if (fresh)
    exprs_.push_back({index, own});
  return at->second;
}

SymEnv Graph::through(attn::ReadOp read, const SymEnv &env) {
  SymEnv result;
  SmallVector<int> replaced = list(read.getAxes());
  for (int a : axesOf(read.getSource())) {
    auto at = llvm::find(replaced, a);
    Sym s = at == replaced.end() ? lookup(env, a) : position(read.getIndices()[at - replaced.begin()], env);
    result.push_back({a, s});
  }
  return result;
}

void addTo(Linear &to, const Linear &from, int64_t factor) {
  for (auto &[a, f] : from.axes)
    if ((to.axes[a] += f * factor) == 0)
      to.axes.erase(a);
  for (auto &[e, f] : from.extents)
    if ((to.extents[e] += f * factor) == 0)
      to.extents.erase(e);
  to.constant += from.constant * factor;
}

/// Sums of extents are taken apart, so that N - 1 and the extent N have N in common.
Linear Graph::linear(const ExtentRef &e) const {
  Linear l;
  if (auto c = extentAsConst(e)) {
    l.constant = *c;
  } else if (e->op == attnc::ExtentOp::Add || e->op == attnc::ExtentOp::Sub) {
    addTo(l, linear(e->args[0]), 1);
    addTo(l, linear(e->args[1]), e->op == attnc::ExtentOp::Add ? 1 : -1);
  } else {
    l.extents[table.text(e)] = 1;
  }
  return l;
}

std::optional<Linear> Graph::linear(Sym sym) {
  if (sym < 0) {
    Expr e = expr(sym);
    return linear(e.value, e.env);
  }
  Linear l;
  l.axes[sym] = 1;
  return l;
}

template <typename Result>
template <typename Find>
Result Graph::Parts<Result>::of(Value v, const SymEnv &env, Find find) {
  if (depth == 0)
    known.clear();
  Seen key{v.getAsOpaquePointer(), {env.begin(), env.end()}};
  if (auto at = known.find(key); at != known.end())
    return at->second;
  ++depth;
  Result result = find();
  --depth;
  known[key] = result;
  return result;
}

std::optional<Linear> Graph::linear(Value v, const SymEnv &env) {
  v = resolve(v);
  if (!v.getDefiningOp<attn::MapOp>())
    return findLinear(v, env);
  return linears_.of(v, env, [&] { return findLinear(v, env); });
}

std::optional<Linear> Graph::findLinear(Value v, const SymEnv &env) {
  Linear l;
  Operation *op = v.getDefiningOp();
  if (auto constant = attn::constInt(v)) {
    l.constant = *constant;
    return l;
  }
  if (auto index = dyn_cast<attn::IndexOp>(op))
    return linear(lookup(env, axis(index.getAxisAttr())));
  if (auto extent = dyn_cast<attn::ExtentOp>(op))
    return linear(table.parse(extent.getText()));
  if (auto read = dyn_cast<attn::ReadOp>(op))
    return linear(read.getSource(), through(read, env));
  auto map = dyn_cast<attn::MapOp>(op);
  if (!map)
    return std::nullopt;
  SmallVector<std::optional<Linear>> args;
  switch (map.getFn()) {
  case attn::MapFn::Neg:
  case attn::MapFn::Add:
  case attn::MapFn::Sub:
  case attn::MapFn::Mul:
    for (Value arg : map.getOperands()) {
      args.push_back(linear(arg, env));
      if (!args.back())
        return std::nullopt;
    }
    break;
  default:
    return std::nullopt;
  }
  if (map.getFn() == attn::MapFn::Neg) {
    addTo(l, *args[0], -1);
    return l;
  }
  if (map.getFn() == attn::MapFn::Mul) {
    for (int side : {0, 1})
      if (args[side]->axes.empty() && args[side]->extents.empty()) {
        addTo(l, *args[1 - side], args[side]->constant);
        return l;
      }
    return std::nullopt;
  }
  addTo(l, *args[0], 1);
  addTo(l, *args[1], map.getFn() == attn::MapFn::Sub ? -1 : 1);
  return l;
}

ExtentRef Graph::asExtent(Sym sym) {
  if (sym >= 0)
    return nullptr;
  Expr e = expr(sym);
  return asExtent(e.value, e.env);
}

ExtentRef Graph::asExtent(Value v, const SymEnv &env) {
  v = resolve(v);
  return extents_.of(v, env, [&] { return findExtent(v, env); });
}

ExtentRef Graph::findExtent(Value v, const SymEnv &env) {
  if (auto constant = attn::constInt(v))
    return extentConst(*constant);
  if (auto extent = v.getDefiningOp<attn::ExtentOp>())
    return table.parse(extent.getText());
  auto map = v.getDefiningOp<attn::MapOp>();
  if (!map || map.getOperands().size() != 2)
    return nullptr;
  attnc::ExtentOp op;
  switch (map.getFn()) {
  case attn::MapFn::Add:
    op = attnc::ExtentOp::Add;
    break;
  case attn::MapFn::Sub:
    op = attnc::ExtentOp::Sub;
    break;
  case attn::MapFn::Mul:
    op = attnc::ExtentOp::Mul;
    break;
  case attn::MapFn::IDiv:
    op = attnc::ExtentOp::Div;
    break;
  case attn::MapFn::Mod:
    op = attnc::ExtentOp::Mod;
    break;
  case attn::MapFn::Min:
    op = attnc::ExtentOp::Min;
    break;
  case attn::MapFn::Max:
    op = attnc::ExtentOp::Max;
    break;
  default:
    return nullptr;
  }
  ExtentRef a = asExtent(map.getOperands()[0], env), b = asExtent(map.getOperands()[1], env);
  return a && b ? extentMake(op, {a, b}) : nullptr;
}

AxisSet Graph::dependsOn(Sym sym) {
  AxisSet set;
  if (sym >= 0) {
    set.insert(sym);
    return set;
  }
  for (auto &[a, s] : SymEnv(expr(sym).env))
    set = set | dependsOn(s);
  return set;
}

} // namespace attnc::totile
