//===- Positions that data leave ------------------------------------------===//
//
// A condition on data (or on positions in a way that is not linear) leaves scattered positions of an axis. Where it is
// cheap beside the work it guards, every instance first lists the positions that any of its rows needs, and the nests
// run over the list:
//
//   tile.nest par [%i = %i0 to %i1] red [%j = %c0 to %N] { select(cond(i, j), ..) }
// becomes
//   need[j] = any over i0 .. i1 of cond(i, j), or what a zero would be multiplied with is not finite
//   list, n = the j where need[j]
//   tile.nest par [%i = %i0 to %i1] red [%p = %c0 to %n] { %j = list[p]; select(cond(i, j), ..) }
//
// The same list serves all stages between which such elements pass, and what they alone read has a place in memory per
// entry of the list. Rows that are read only where an `if` takes them are listed in the same way.
//
// As with bounds (AttnToTileRange.cpp) the conditions stay in the bodies, so that a list may hold more than is needed.
//===----------------------------------------------------------------------===//
#include "passes/attn/AttnToTilePlan.h"
#include "runtime/Tally.h"
#include <set>

using namespace mlir;

namespace attnc::totile {

namespace {

using Conjunction = std::vector<Guard>;
using Disjunction = std::vector<Conjunction>;

/// Operations under a guard for one to evaluate it, and for one element of a list, at least.
constexpr double kWorthLooking = 8, kWorthListing = 16;
constexpr size_t kAlternatives = 4;

bool sameCondition(const Guard &x, const Guard &y) { return x.holds == y.holds && x.is == y.is; }

bool sameConditions(const Conjunction &x, const Conjunction &y) {
  return x.size() == y.size() && std::is_permutation(x.begin(), x.end(), y.begin(), sameCondition);
}
bool sameConditions(const Disjunction &x, const Disjunction &y) {
  return x.size() == y.size() &&
         std::is_permutation(x.begin(), x.end(), y.begin(),
                             [](const Conjunction &a, const Conjunction &b) { return sameConditions(a, b); });
}

/// Whether all conditions of `x` are in `y`: then y leaves no more than x does.
bool isPartOf(const Conjunction &x, const Conjunction &y) {
  return llvm::all_of(
      x, [&](const Guard &g) { return llvm::any_of(y, [&](const Guard &other) { return sameCondition(g, other); }); });
}
void addChecks(Conjunction &to, const Conjunction &from) {
  for (Guard &guard : to)
    for (const Guard &other : from)
      for (int check : other.finite)
        if (sameCondition(guard, other) && !llvm::is_contained(guard.finite, check))
          guard.finite.push_back(check);
}

/// Joins an alternative; of two the weaker one is enough. More checks only make a condition weaker.
void join(Disjunction &into, Conjunction more) {
  for (Conjunction &known : into)
    if (isPartOf(known, more)) {
      addChecks(known, more);
      return;
    }
  llvm::erase_if(into, [&](const Conjunction &known) {
    bool covered = isPartOf(more, known);
    if (covered)
      addChecks(more, known);
    return covered;
  });
  into.push_back(more);
}

/// The worklists of one kernel.
class Chooser {
public:
  Chooser(Plan &plan, const Kernel &kernel) : plan(plan), graph(plan.graph), kernel(kernel) {
    for (int id : kernel.stages)
      (void)needs(id);
  }

  void choose() {
    SmallVector<int> order;
    for (auto &part : components(kernel.stages, [&](int s) { return readsHere(s); }))
      llvm::append_range(order, part);
    for (int id : llvm::reverse(order)) // readers first
      visit(plan.stages[id]);
    connect();
  }

private:
  Stage &stage(int id) { return plan.stages[id]; }
  bool here(int id) const { return llvm::is_contained(kernel.stages, id); }
  SmallVector<int> readsHere(int id) {
    SmallVector<int> list;
    for (const Access &access : stage(id).accesses)
      if (here(access.stage) && !llvm::is_contained(list, access.stage))
        list.push_back(access.stage);
    return list;
  }
  /// Stages of the kernel that `id` needs, itself among them.
  const llvm::SmallDenseSet<int> &needs(int id) {
    auto [at, fresh] = needs_.try_emplace(id);
    if (fresh) {
      SmallVector<int> todo{id};
      llvm::SmallDenseSet<int> all;
      while (!todo.empty())
        if (int s = todo.pop_back_val(); all.insert(s).second)
          llvm::append_range(todo, readsHere(s));
      needs_[id] = all;
    }
    return needs_[id];
  }

  /// Stages that evaluating the condition reads.
  const std::optional<std::vector<Access>> &readBy(Value condition) {
    auto [at, fresh] = reads_.try_emplace(condition.getAsOpaquePointer());
    if (fresh) {
      Stage alone;
      alone.value = condition;
      alone.axes = graph.axesOf(condition);
      std::vector<Access> found;
      if (plan.accessesOf(alone, found))
        at->second = found;
    }
    return at->second;
  }
  /// Whether it is known before `member` runs.
  bool isBefore(Value condition, int member) {
    const auto &reads = readBy(condition);
    return reads && llvm::all_of(*reads, [&](const Access &access) {
             int k = plan.kernelOf[access.stage], own = plan.kernelOf[member];
             return k == own ? !needs(access.stage).contains(member) : k < own;
           });
  }
  bool isUsable(const Guard &guard, int member) {
    return isBefore(guard.holds, member) && llvm::all_of(guard.finite, [&](int check) {
             return plan.kernelOf[check] < plan.kernelOf[member] &&
                    llvm::all_of(stage(check).axes, [&](int a) { return blockOf(a) == 1; });
           });
  }

  /// 1: an instance has one position; larger: a block; 0: all.
  int64_t blockOf(int axis) const {
    for (GridDim g : kernel.grid)
      if (g.axis == axis)
        return g.block;
    return 0;
  }

  /// Whether tile-stream may take the reductions over the axis block by block: what they read along it does not wait
  /// for another of them, but for a maximum.
  bool mayStream(int axis) {
    auto overAxis = [&](int id) {
      auto reduce = stage(id).core ? stage(id).core.getDefiningOp<attn::ReduceOp>() : attn::ReduceOp();
      return reduce && llvm::is_contained(stage(id).inner, axis) ? reduce : attn::ReduceOp();
    };
    auto waits = [&](int id) {
      attn::ReduceOp reduce = overAxis(id);
      return reduce && reduce.getRed() != attn::Reduction::Max;
    };
    return llvm::none_of(kernel.stages, [&](int id) {
      return overAxis(id) && llvm::any_of(readsHere(id), [&](int read) {
               return stage(read).axes.contains(axis) && llvm::any_of(needs(read), waits);
             });
    });
  }

  /// What a stage needs, given what its readers do.
  void visit(Stage &s) {
    if (s.kind == StageKind::Reduce)
      for (const Guard &guard : s.guards) {
        if (guard.blocks && llvm::all_of(s.inner, [&](int axis) { return mayStream(axis); }))
          continue;
        AxisSet along = graph.axesOf(guard.holds);
        int axis = -1;
        for (int a : s.inner)
          if (along.contains(a) && graph.axes[a].sequence && (axis < 0 || graph.axes[a].size > graph.axes[axis].size))
            axis = a;
        // Where all rows are in one instance, some row needs any position.
        bool blocks = llvm::all_of(
            along, [&](int a) { return !graph.axes[a].sequence || blockOf(a) || llvm::is_contained(s.inner, a); });
        if (axis >= 0 && blocks && isUsable(guard, s.id)) {
          Disjunction &own = specs[{s.id, axis}];
          if (own.empty())
            own.emplace_back();
          own.front().push_back(guard);
        }
      }
    if (!s.readable || s.readers.empty() || !s.outputs.empty() || s.kind > StageKind::ArgReduce ||
        !llvm::all_of(s.readers, [&](int r) { return here(r) && stage(r).kind <= StageKind::ArgReduce; }))
      return;
    for (int a : s.axes)
      if (!kernel.parallel.contains(a) || blockOf(a) > 1)
        if (auto need = neededByReaders(s, a))
          specs[{s.id, a}] = *need;
  }

  std::optional<Disjunction> neededByReaders(Stage &s, int axis) {
    bool row = kernel.parallel.contains(axis);
    Disjunction all;
    for (int r : s.readers) {
      for (const Access &access : stage(r).accesses)
        if (access.stage == s.id && !llvm::all_of(access.at, [](auto &p) { return p.first == p.second; }))
          return std::nullopt;
      Conjunction taken;
      if (row)
        for (const Guard &guard : takenUnder(stage(r), s.value))
          if (graph.axesOf(guard.holds).contains(axis) && kernel.parallel.containsAll(graph.axesOf(guard.holds)))
            taken.push_back(guard);
      auto own = specs.find({r, axis});
      if (own == specs.end() && taken.empty())
        return std::nullopt;
      for (Conjunction with : own == specs.end() ? Disjunction(1) : own->second) {
        for (const Guard &guard : taken)
          if (llvm::none_of(with, [&](const Guard &g) { return sameCondition(g, guard); }))
            with.push_back(guard);
        join(all, with);
      }
    }
    if (all.size() > kAlternatives)
      return std::nullopt;
    for (Conjunction &alternative : all) {
      llvm::erase_if(alternative, [&](const Guard &guard) { return !isUsable(guard, s.id); });
      if (alternative.empty())
        return std::nullopt;
    }
    return all;
  }

  /// Conditions of the `if`s at the root of `reader` under which it reads `source`.
  SmallVector<Guard> takenUnder(const Stage &reader, Value source) {
    SmallVector<Guard> path;
    std::optional<SmallVector<Guard>> found;
    if (reader.core && reader.core != reader.value)
      for (Value operand : reader.core.getDefiningOp()->getOperands())
        if (reads(operand, source))
          return {};
    auto look = [&](auto &&self, Value v) -> void {
      v = resolve(v);
      auto choice = v.getDefiningOp<attn::MapOp>();
      bool own = v == reader.value || plan.stageOf(v) < 0;
      if (!choice || choice.getFn() != attn::MapFn::Select || !own || reads(choice.getOperands()[0], source)) {
        if (!reads(v, source, v == reader.value))
          return;
        if (!found)
          found = path;
        else // read twice: what both have in common
          llvm::erase_if(*found, [&](const Guard &g) {
            return llvm::none_of(path, [&](const Guard &other) { return sameCondition(g, other); });
          });
        return;
      }
      // What another computation replaces, that is; a constant stands for padding.
      for (bool is : {true, false}) {
        bool other = !resolve(choice.getOperands()[is ? 2 : 1]).getDefiningOp<attn::ConstOp>();
        if (other)
          path.push_back({choice.getOperands()[0], is});
        self(self, choice.getOperands()[is ? 1 : 2]);
        if (other)
          path.pop_back();
      }
    };
    if (reader.kind != StageKind::Map && reader.core == reader.value)
      return {};
    look(look, reader.value);
    return found.value_or(SmallVector<Guard>());
  }
  /// Whether `source` is among what `v` is made of inline.
  bool reads(Value v, Value source, bool root = false) {
    llvm::SmallDenseSet<Value> seen;
    SmallVector<Value> todo{resolve(v)};
    while (!todo.empty()) {
      Value at = resolve(todo.pop_back_val());
      if (at == source && !root)
        return true;
      if (seen.insert(at).second && (root || plan.stageOf(at) < 0))
        llvm::append_range(todo, at.getDefiningOp()->getOperands());
      root = false;
    }
    return false;
  }

  /// One list for stages that need the same and pass it to each other.
  void connect() {
    std::set<std::pair<int, int>> listed;
    for (auto &[key, spec] : specs) {
      if (listed.count(key))
        continue;
      SmallVector<int> members, todo{key.first};
      int axis = key.second;
      while (!todo.empty()) {
        int s = todo.pop_back_val();
        if (!listed.insert({s, axis}).second)
          continue;
        members.push_back(s);
        auto same = [&](int t, bool passes) {
          auto other = specs.find({t, axis});
          if (passes && other != specs.end() && sameConditions(other->second, specs[{s, axis}]))
            todo.push_back(t);
        };
        for (int r : stage(s).readers)
          same(r, stage(s).axes.contains(axis));
        for (int t : readsHere(s))
          same(t, stage(t).axes.contains(axis));
      }
      add(axis, members);
    }
  }

  /// Whether rows are listed for a reduction only, whose scores are there for all rows: one pass over blocks of keys is
  /// worth more.
  bool breaksStream(int axis, ArrayRef<int> members) {
    return kernel.parallel.contains(axis) && llvm::any_of(members, [&](int id) {
             return llvm::any_of(stage(id).inner, [&](int inner) {
               return graph.axes[inner].sequence &&
                      llvm::any_of(readsHere(id),
                                   [&](int read) {
                                     const AxisSet &axes = stage(read).axes;
                                     return axes.contains(inner) && axes.contains(axis) &&
                                            !llvm::is_contained(members, read);
                                   }) &&
                      mayStream(inner);
             });
           });
  }

  void add(int axis, ArrayRef<int> members) {
    if (breaksStream(axis, members))
      return;
    Worklist list{axis, {}, SmallVector<int>(members)};
    double work = 0, look = 0;
    for (int id : members) {
      for (const Conjunction &alternative : specs[{id, axis}])
        join(list.any, alternative);
      work += graph.volume(stage(id).domain()) * std::max(stage(id).cost, 1.0);
    }
    llvm::SmallDenseSet<Value> seen;
    for (const Conjunction &alternative : list.any)
      for (const Guard &guard : alternative) {
        if (!llvm::all_of(members, [&](int id) { return isUsable(guard, id); }))
          return;
        if (seen.insert(guard.holds).second)
          look += graph.volume(graph.axesOf(guard.holds)) * plan.costInline(guard.holds);
      }
    AxisSet elements = kernel.parallel;
    elements.insert(axis);
    if (list.any.size() > kAlternatives || work < kWorthLooking * look || work < kWorthListing * graph.volume(elements))
      return;
    TALLY("attn-to-tile: positions that data leave are listed");
    if (kernel.parallel.contains(axis))
      TALLY("attn-to-tile: rows that an if takes are listed");
    for (int id : members) {
      stage(id).work[axis] = plan.worklists.size();
      for (Value condition : seen)
        for (Access access : *readBy(condition)) {
          access.ahead = true;
          stage(id).accesses.push_back(access);
        }
      for (const Conjunction &alternative : list.any)
        for (const Guard &guard : alternative)
          for (int check : guard.finite)
            stage(id).accesses.push_back({check, graph.identity(stage(check).axes), true});
    }
    plan.worklists.push_back(std::move(list));
  }

  Plan &plan;
  Graph &graph;
  const Kernel &kernel;
  std::map<std::pair<int, int>, Disjunction> specs; ///< stage, axis -> what it needs; absent: everything
  std::map<int, llvm::SmallDenseSet<int>> needs_;
  std::map<void *, std::optional<std::vector<Access>>> reads_;
};

} // namespace

bool Plan::accessesOf(const Stage &stage, std::vector<Access> &into) const {
  return walk(stage, [&](Value v, const SymEnv &env) {
    if (int t = stageOf(v); t >= 0)
      into.push_back({t, env});
    return true;
  });
}

void Plan::chooseWorklists() {
  for (const Kernel &kernel : kernels)
    if (loopsOf(kernel.stages).empty())
      Chooser(*this, kernel).choose();
  for (Stage &s : stages)
    for (const Access &access : s.accesses)
      if (!llvm::is_contained(stages[access.stage].readers, s.id))
        stages[access.stage].readers.push_back(s.id);
}

} // namespace attnc::totile
