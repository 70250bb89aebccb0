//===- What is stored -----------------------------------------------------===//
//
// Reductions, selections, states of recurrences and outputs are stored because they must be. An elementwise value is
// stored when recomputing it costs more than memory:
//   * it is expensive and several stages evaluate it (the exponentials of a softmax: their sum and their weighted sum);
//   * it is expensive and one stage evaluates it in a larger domain (a rotary table or a rotated key, read by every
//     query; exp(gate[a]) under a state [a, c]), or through reads that meet the same element many times.
// The outermost such expression is chosen, so that what is cheap between it and its reader is still inline.
//===----------------------------------------------------------------------===//
#include "passes/attn/AttnToTilePlan.h"
#include "runtime/Tally.h"
#include "llvm/ADT/SetVector.h"
#include <set>

using namespace mlir;

namespace attnc::totile {

/// Guess of the operations that one point of `op` takes.
static double costOf(Operation *op) {
  if (isa<attn::ConstOp, attn::IndexOp, attn::ExtentOp>(op))
    return 0;
  auto map = dyn_cast<attn::MapOp>(op);
  if (!map)
    return 1;
  bool f64 = attn::typeOf(map.getResult()).getElem().isF64();
  double cost = 1;
  switch (map.getFn()) {
  case attn::MapFn::Exp:
  case attn::MapFn::Exp2:
  case attn::MapFn::Log:
    cost = 12;
    break;
  case attn::MapFn::Expm1:
  case attn::MapFn::Log1p:
  case attn::MapFn::Tanh:
  case attn::MapFn::Erf:
    cost = 20;
    break;
  case attn::MapFn::Sin:
  case attn::MapFn::Cos:
  case attn::MapFn::Pow:
    cost = 30;
    break;
  case attn::MapFn::Div:
  case attn::MapFn::Sqrt:
  case attn::MapFn::Rsqrt:
    if (attn::typeOf(map.getResult()).isFloat()) {
      cost = 10;
      break;
    }
    [[fallthrough]];
  case attn::MapFn::IDiv:
  case attn::MapFn::Mod:
    cost = 4;
    break;
  default:
    // Positions and conditions go along with the loops.
    return attn::typeOf(map.getResult()).isFloat() ? cost : 0.25;
  }
  return f64 ? 2 * cost : cost;
}
static constexpr double kExpensive = 10;

static bool mustStore(Operation *op) {
  if (auto eq = dyn_cast<attn::EquationOp>(op))
    return eq.getCycle().has_value();
  return isa<attn::ReduceOp, attn::ArgReduceOp, attn::TopKOp, attn::ArgSortOp, attn::RankOp>(op);
}

std::string nameOf(Value v) {
  if (auto input = v.getDefiningOp<attn::InputOp>())
    return input.getArg().str();
  SmallVector<Value> todo{v};
  while (!todo.empty()) {
    Value at = todo.pop_back_val();
    if (auto eq = at.getDefiningOp<attn::EquationOp>())
      return eq.getLabel().str();
    for (Operation *user : at.getUsers())
      if (auto eq = dyn_cast<attn::EquationOp>(user); eq && !eq.getCycle())
        todo.push_back(eq.getResult());
  }
  if (auto map = v.getDefiningOp<attn::MapOp>())
    return attn::stringifyMapFn(map.getFn()).str();
  if (auto reduce = v.getDefiningOp<attn::ReduceOp>())
    return attn::stringifyReduction(reduce.getRed()).str();
  return v.getDefiningOp()->getName().stripDialect().str();
}

int Plan::addStage(Value v, StringRef why) {
  if (int known = stageOf(v); known >= 0)
    return known;
  Stage s;
  s.id = stages.size();
  s.value = v;
  s.name = nameOf(v);
  s.why = why.str();
  s.axes = graph.axesOf(v);
  s.readable = true;
  Operation *op = v.getDefiningOp();
  auto core = [&](StageKind kind, ArrayAttr inner) {
    s.kind = kind;
    s.core = v;
    s.inner = graph.list(inner);
  };
  if (auto reduce = dyn_cast<attn::ReduceOp>(op)) {
    core(StageKind::Reduce, reduce.getAxes());
    if ((s.scatter = matchScatter(graph, reduce)))
      s.kind = StageKind::Scatter;
  } else if (auto arg = dyn_cast<attn::ArgReduceOp>(op)) {
    core(StageKind::ArgReduce, arg.getAxes());
  } else if (auto top = dyn_cast<attn::TopKOp>(op)) {
    core(StageKind::Sort, top.getAxes());
    s.made = graph.list(top.getNewAxes());
  } else if (auto sort = dyn_cast<attn::ArgSortOp>(op)) {
    core(StageKind::Sort, sort.getAxes());
    s.made = graph.list(sort.getNewAxes());
  } else if (auto rank = dyn_cast<attn::RankOp>(op)) {
    core(StageKind::Rank, rank.getAxes());
  }
  stageOf_[v] = s.id;
  stages.push_back(std::move(s));
  return stages.back().id;
}

LogicalResult Plan::chooseStages() {
  splitReadOuts(graph);
  // What outputs reach, in a steady order.
  llvm::SetVector<Operation *> reached;
  SmallVector<Operation *> todo;
  for (auto out : graph.mixer.getBody()->getOps<attn::OutputOp>())
    todo.push_back(out);
  while (!todo.empty()) {
    Operation *op = todo.pop_back_val();
    if (!reached.insert(op))
      continue;
    for (Value operand : llvm::reverse(op->getOperands()))
      todo.push_back(operand.getDefiningOp());
  }
  for (Operation &op : *graph.mixer.getBody()) {
    if (!reached.contains(&op))
      continue;
    if (isa<attn::SoftmaxOp, attn::CumOp, attn::GradOp>(op))
      return op.emitError("must be decomposed before it is lowered");
    if (mustStore(&op))
      addStage(op.getResult(0), isa<attn::EquationOp>(op) ? "a state" : "its result is read as a whole");
  }
  for (auto out : graph.mixer.getBody()->getOps<attn::OutputOp>()) {
    Value v = resolve(out.getValue());
    AxisSet axes;
    for (ArrayAttr dim : out.getDims().getAsRange<ArrayAttr>())
      for (int a : graph.list(dim))
        axes.insert(a);
    int id = stageOf(v);
    if (id < 0)
      for (Stage &s : stages)
        if (!s.readable && s.value == v && s.axes == axes)
          id = s.id;
    if (id < 0 || stages[id].axes != axes) {
      Stage s;
      s.id = id = stages.size();
      s.value = v;
      s.name = out.getArg().str();
      s.axes = axes;
      stages.push_back(std::move(s));
    }
    stages[id].outputs.push_back(out);
  }
  storeAfterReductions();
  while (storeShared() || storeRecomputed())
    ;
  findAccesses();
  fuseEpilogues();
  findBounds();
  findAccesses();
  return success();
}

/// What alone uses a reduction is kept in its place: the scale of a score is applied once, where the sum ends.
void Plan::storeAfterReductions() {
  for (size_t i = 0, n = stages.size(); i < n; ++i) {
    if (stages[i].kind != StageKind::Reduce || !stages[i].readable || !stages[i].outputs.empty())
      continue;
    Value v = stages[i].value, kept = v;
    bool stored = false; // an output keeps it anyway
    while (true) {
      // The users, looking through equations.
      SmallVector<Operation *> users;
      SmallVector<Value> todo{v};
      while (!todo.empty())
        for (Operation *user : todo.pop_back_val().getUsers())
          if (resolve(user->getNumResults() ? user->getResult(0) : Value(v)) == v && user->getNumResults())
            todo.push_back(user->getResult(0));
          else if (!llvm::is_contained(users, user))
            users.push_back(user);
      stored = llvm::all_of(users, [](Operation *user) { return isa<attn::OutputOp>(user); });
      auto map = users.size() == 1 ? dyn_cast<attn::MapOp>(users[0]) : attn::MapOp();
      if (!map || attn::axesOf(map.getResult()) != attn::axesOf(v) || stageOf(map.getResult()) >= 0)
        break;
      kept = v = map.getResult();
    }
    if (kept == stages[i].value || stored)
      continue;
    TALLY("attn-to-tile: stored after what ends a reduction");
    addStage(kept, stages[i].why);
  }
}

bool Plan::walk(const Stage &stage, Visitor visit) const {
  std::set<std::pair<void *, std::vector<std::pair<int, int>>>> seen;
  SmallVector<std::pair<Value, SymEnv>> todo;
  auto push = [&](Value v, const SymEnv &env) {
    v = resolve(v);
    todo.push_back({v, graph.restrict(env, v)});
  };
  auto look = [&](Value v, const SymEnv &env) {
    Operation *op = v.getDefiningOp();
    if (auto read = dyn_cast<attn::ReadOp>(op)) {
      push(read.getSource(), graph.through(read, env));
      for (Value index : read.getIndices())
        push(index, env);
    } else {
      for (Value operand : op->getOperands())
        push(operand, env);
    }
  };

  SymEnv own = graph.identity(stage.axes);
  if (stage.core) {
    SymEnv env = graph.identity(stage.domain() - [&] {
      AxisSet made;
      for (int a : stage.made)
        made.insert(a);
      return made;
    }());
    if (stage.scatter) {
      // Axes that are sent to have the position that the key gives.
      AxisSet free = stage.domain();
      for (int a : stage.scatter->axes)
        free.erase(a);
      SymEnv at = graph.identity(free);
      env = at;
      for (auto [a, p] : llvm::zip_equal(stage.scatter->axes, stage.scatter->positions))
        env.push_back({a, graph.position(p, at)});
      llvm::sort(env);
      push(stage.scatter->key, at);
      for (Value c : stage.scatter->conditions)
        push(c, env);
      if (stage.scatter->value)
        push(stage.scatter->value, env);
    } else {
      for (Value operand : stage.core.getDefiningOp()->getOperands())
        push(operand, env);
    }
  }
  if (stage.core != stage.value) {
    if (stage.readable)
      look(stage.value, own);
    else
      push(stage.value, own);
  }
  for (size_t count = 0; !todo.empty(); ++count) {
    auto [v, env] = todo.pop_back_val();
    if (v == stage.core || !seen.insert({v.getAsOpaquePointer(), {env.begin(), env.end()}}).second)
      continue;
    if (count > 20000)
      return false;
    if (visit(v, env) && stageOf(v) < 0)
      look(v, env);
  }
  return true;
}

/// Operations that evaluating v inline takes, counted up to `limit`.
static double costOf(Value v, double limit, llvm::function_ref<bool(Value)> stored) {
  llvm::SmallDenseSet<Value> seen;
  SmallVector<Value> todo{v};
  double cost = 0;
  while (!todo.empty() && cost < limit) {
    Value at = resolve(todo.pop_back_val());
    if (!seen.insert(at).second)
      continue;
    Operation *op = at.getDefiningOp();
    cost += costOf(op);
    if (at == v || !stored(at))
      for (Value operand : op->getOperands())
        todo.push_back(operand);
  }
  return cost;
}
static bool costs(Value v, double limit, llvm::function_ref<bool(Value)> stored) {
  return costOf(v, limit, stored) >= limit;
}
double Plan::costInline(Value v) const {
  return costOf(v, std::numeric_limits<double>::infinity(), [&](Value x) { return stageOf(x) >= 0; });
}

static bool isLeaf(Value v) {
  return isa<attn::ConstOp, attn::IndexOp, attn::ExtentOp, attn::InputOp>(v.getDefiningOp());
}

/// Stores the outermost expensive values that several stages, or one in many environments, evaluate. Returns whether it
/// did.
bool Plan::storeShared() {
  llvm::DenseMap<Value, double> points;
  llvm::DenseMap<Value, unsigned> times;
  auto stored = [&](Value v) { return stageOf(v) >= 0; };
  for (Stage &s : stages)
    walk(s, [&](Value v, const SymEnv &env) {
      AxisSet depends;
      for (auto &[a, sym] : env)
        depends = depends | graph.dependsOn(sym);
      points[v] += graph.volume(depends);
      ++times[v];
      return true;
    });
  llvm::SetVector<Value> found;
  for (Stage &s : stages)
    walk(s, [&](Value v, const SymEnv &env) {
      if (isLeaf(v) || stored(v) || graph.axesOf(v).empty() || found.contains(v))
        return !found.contains(v);
      bool often = times[v] > 1 && points[v] > 1.9 * graph.volume(graph.axesOf(v)) && costs(v, kExpensive, stored);
      // Reads in reads multiply; past a point even cheap values are better stored.
      if ((often || (times[v] > 32 && costs(v, 3, stored))) && !isMask(v))
        found.insert(v);
      return !found.contains(v);
    });
  // One is enough when it holds the others: look again after it is stored.
  for (Value v : found) {
    TALLY("attn-to-tile: stored as several stages evaluate it");
    addStage(v, "expensive and evaluated by several stages");
  }
  return !found.empty();
}

/// Stores the outermost expensive values that a stage evaluates for more points than they have. Returns whether it did.
bool Plan::storeRecomputed() {
  auto stored = [&](Value v) { return stageOf(v) >= 0; };
  llvm::SetVector<Value> found;
  for (Stage &s : stages) {
    double domain = graph.volume(s.domain());
    walk(s, [&](Value v, const SymEnv &env) {
      if (isLeaf(v) || stored(v) || found.contains(v))
        return !found.contains(v);
      AxisSet axes = graph.axesOf(v), depends;
      if (axes.empty())
        return true;
      for (auto &[a, sym] : env)
        depends = depends | graph.dependsOn(sym);
      double points = graph.volume(depends), own = graph.volume(axes);
      // Elements that are read several times are stored once, not once for every read.
      if (auto read = v.getDefiningOp<attn::ReadOp>()) {
        Value source = resolve(read.getSource());
        if (graph.volume(graph.axesOf(source)) < own && costs(source, kExpensive, stored))
          return true;
      }
      bool larger = domain >= 8 * points && own <= points;
      bool again = points >= 4 * own;
      if ((larger || again) && costs(v, kExpensive, stored) && !isMask(v))
        found.insert(v);
      return !found.contains(v);
    });
  }
  for (Value v : found) {
    TALLY("attn-to-tile: stored as it is read in a larger domain");
    addStage(v, "expensive and read in a larger domain");
  }
  return !found.empty();
}

void Plan::findAccesses() {
  for (Stage &s : stages) {
    s.accesses.clear();
    s.inputs.clear();
    s.readers.clear();
    s.cost = 0;
    walk(s, [&](Value v, const SymEnv &env) {
      s.cost += costOf(v.getDefiningOp());
      if (int t = stageOf(v); t >= 0)
        s.accesses.push_back({t, env});
      if (auto input = v.getDefiningOp<attn::InputOp>())
        s.inputs.push_back({input, env});
      return true;
    });
    auto reads = [&](ArrayRef<int> checks) {
      for (int t : checks)
        if (llvm::none_of(s.accesses, [&](const Access &a) { return a.stage == t; }))
          s.accesses.push_back({t, graph.identity(stages[t].axes)});
    };
    for (const Bound &bound : s.bounds)
      reads(bound.finite);
    for (const Guard &guard : llvm::concat<const Guard>(s.guards, s.absent))
      reads(guard.finite);
  }
  for (Stage &s : stages)
    for (Access &a : s.accesses)
      if (!llvm::is_contained(stages[a.stage].readers, s.id))
        stages[a.stage].readers.push_back(s.id);
}

/// An elementwise stage that alone reads a reduction, at its own position, is computed where the reduction ends.
void Plan::fuseEpilogues() {
  SmallVector<bool> dead(stages.size(), false);
  for (Stage &v : stages) {
    if (v.kind != StageKind::Map)
      continue;
    int best = -1;
    for (Access &access : v.accesses) {
      Stage &r = stages[access.stage];
      bool fits = (r.kind == StageKind::Reduce || r.kind == StageKind::ArgReduce) && r.value == r.core &&
                  r.outputs.empty() && r.readers.size() == 1 && r.axes == v.axes && !dead[r.id];
      for (Access &other : v.accesses)
        if (other.stage == r.id)
          fits &= llvm::all_of(r.axes, [&](int a) { return identicalAt(other, a); });
      if (fits && (best < 0 || graph.volume(r.domain()) > graph.volume(stages[best].domain())))
        best = r.id;
    }
    if (best < 0)
      continue;
    Stage &r = stages[best];
    TALLY("attn-to-tile: computed where a reduction ends");
    dead[best] = true;
    stageOf_.erase(r.value);
    v.kind = r.kind;
    v.core = r.core;
    v.inner = r.inner;
  }
  // A state that is nothing but such a stage takes its place.
  for (Stage &v : stages) {
    if (v.kind != StageKind::Map || v.accesses.size() != 1 || !v.inputs.empty() ||
        !v.value.getDefiningOp<attn::EquationOp>())
      continue;
    Stage &r = stages[v.accesses[0].stage];
    auto eq = v.value.getDefiningOp<attn::EquationOp>();
    bool looksBack = llvm::any_of(r.accesses, [&](const Access &access) { return access.stage == v.id; });
    if (r.kind != StageKind::Reduce || resolve(eq.getBody()) != r.value || r.axes != v.axes || dead[r.id] ||
        !r.outputs.empty() || r.readers.size() != 1 || looksBack)
      continue;
    TALLY("attn-to-tile: a state stored where a reduction ends");
    dead[r.id] = true;
    stageOf_.erase(r.value);
    v.kind = r.kind;
    v.core = r.core;
    v.inner = r.inner;
  }
  std::vector<Stage> kept;
  for (Stage &s : stages)
    if (!dead[s.id])
      kept.push_back(std::move(s));
  stages = std::move(kept);
  for (size_t i = 0; i < stages.size(); ++i) {
    stages[i].id = i;
    if (stages[i].readable)
      stageOf_[stages[i].value] = i;
  }
  findAccesses();
}

} // namespace attnc::totile
