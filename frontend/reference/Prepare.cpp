//===- The reference: nodes made ready ------------------------------------===//
//
// Extents become numbers, cause lists are interned, and three facts are found over the whole graph: what can be absent
// at all (so that the rest need not be looked at under a failed condition), what is shared and costly, what depends on
// a tensor.
//===----------------------------------------------------------------------===//
#include "frontend/reference/Evaluator.h"
#include <algorithm>
#include <cstdlib>
#include <fmt/format.h>
#include <functional>

namespace attnc::reference {

namespace {
constexpr int64_t kMemoLimit = int64_t(4) << 30;
/// A reduction inside a larger expression keeps its values only when they are few.
constexpr int64_t kInnerMemo = int64_t(64) << 20;

bool keepsRow(Op op) {
  return op == Op::Softmax || op == Op::Cum || op == Op::TopK || op == Op::ArgSort || op == Op::Sort ||
         op == Op::Rank || op == Op::Grad;
}
} // namespace

Memo::~Memo() { std::free(values); }

Evaluator::Evaluator(const Program &program, const std::vector<int64_t> &symbols,
                     const std::map<std::string, HostTensor> &inputs)
    : program_(program), symbols_(symbols), inputs_(inputs) {
  for (const Axis &a : program.axes)
    extents_.push_back(std::max<int64_t>(0, extentEval(a.extent, symbols).value_or(0)));
  pos_.assign(extents_.size(), 0);
  nodes_.resize(program.arena.size());
  cycleState_.assign(program.cycles.size(), 0);
}

Group Evaluator::groupOf(const std::vector<AxisId> &leaves) const {
  Group g;
  g.leaves = leaves;
  for (AxisId a : leaves) {
    g.radix.push_back(extents_[a]);
    g.count *= extents_[a];
  }
  return g;
}

bool Evaluator::isEmpty(const AxisSet &axes) const {
  return std::any_of(axes.begin(), axes.end(), [&](AxisId a) { return extents_[a] == 0; });
}

std::vector<Ragged> Evaluator::raggedOf(const AxisSet &axes) {
  std::vector<Ragged> result;
  for (const Composite &c : program_.composites) {
    AxisSet leaves;
    for (AxisId a : c.leaves)
      leaves.insert(a);
    if (!c.ragged || !axes.containsAll(leaves))
      continue;
    Group g = groupOf(c.leaves);
    int64_t length = extentEval(c.length, symbols_).value_or(0);
    if (length < g.count)
      result.push_back({g.leaves, g.radix, length, causes_.single(leaves)});
  }
  return result;
}

std::unique_ptr<Memo> Evaluator::makeMemo(const std::vector<AxisId> &axes, const std::string &what) {
  auto m = std::make_unique<Memo>();
  m->axes = axes;
  m->strides.assign(axes.size(), 0);
  int64_t size = 1;
  bool overflow = false;
  for (size_t k = axes.size(); k-- > 0;) {
    m->strides[k] = size;
    overflow |= __builtin_mul_overflow(size, std::max<int64_t>(extents_[axes[k]], 1), &size);
  }
  int64_t bytes = 0;
  overflow |=
      __builtin_mul_overflow(size, static_cast<int64_t>(sizeof(Value)), &bytes) || memoBytes_ + bytes > kMemoLimit;
  if (overflow)
    throw EvalError{Error(Msg::A817, fmt::format("more than {} GiB would be needed for {}", kMemoLimit >> 30, what))
                        .withHelp("use smaller extents")};
  memoBytes_ += bytes;
  m->values = static_cast<Value *>(std::calloc(static_cast<size_t>(size), sizeof(Value)));
  if (!m->values)
    throw EvalError{Error(Msg::A800, fmt::format("holding {}", what))};
  return m;
}

ENode *Evaluator::prepare(Node *node) {
  if (!node)
    return nullptr;
  ENode &e = nodes_[node->id];
  if (!e.ready) {
    checkStack();
    e.ready = true;
    e.src = node;
    fill(e);
    reached_.push_back(&e);
  }
  return &e;
}

void Evaluator::fill(ENode &e) {
  const Node &n = *e.src;
  e.op = n.op;
  e.kind = n.kind;
  e.fn = n.fn;
  e.red = n.red;
  e.axis = n.axis;
  e.tensor = n.tensor;
  e.which = n.which;
  e.reversed = n.reversed;
  e.dtype = n.dtype;
  e.kept = n.kept;
  for (Node *a : n.args)
    e.args.push_back(prepare(a));
  e.ragged = raggedOf(n.axes);
  e.empty = isEmpty(n.axes);
  e.axesIndex = causes_.axes(n.axes);
  if (n.op == Op::Const)
    e.constant = n.kind == Kind::Real ? Value::real(n.real) : Value::integer(n.integer);
  if (n.op == Op::Extent) {
    e.op = Op::Const;
    e.constant = Value::integer(extentEval(n.extent, symbols_).value_or(0));
  }
  AxisSet reduced;
  for (const std::vector<AxisId> &g : n.groups) {
    e.groups.push_back(groupOf(g));
    for (AxisId a : g)
      reduced.insert(a);
  }
  e.groupsIndex = causes_.axes(reduced);
  e.isUnion = n.groups.size() > 1 || (n.groups.size() == 1 && n.groups[0].empty());
  e.newAxes = groupOf(n.newAxes);
  e.own = causes_.single(n.axes);
  for (const ReadItem &r : n.reads) {
    EItem item;
    Group g = groupOf(r.leaves);
    item.leaves = g.leaves;
    item.radix = g.radix;
    item.index = prepare(r.index);
    item.bound = prepare(r.bound);
    item.start = r.start;
    item.last = r.last;
    // How many positions exist may depend on more axes than the index does: the short last chunk is one of several.
    item.cause = causes_.single(r.bound ? r.index->axes | r.bound->axes : r.index->axes);
    e.readLeaves += item.leaves.size();
    e.reads.push_back(std::move(item));
  }
  if (n.op == Op::Where) {
    std::function<void(Node *)> split = [&](Node *c) {
      if (c->op == Op::Map && c->fn == Fn::And) {
        for (Node *a : c->args)
          split(a);
        return;
      }
      e.conditions.push_back(prepare(c));
      e.conditionCauses.push_back(causes_.single(c->axes));
    };
    split(n.args[1]);
  }
}

void Evaluator::prepareTensors() {
  tensors_.resize(program_.tensors.size());
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const Tensor &src = program_.tensors[i];
    ETensor &t = tensors_[i];
    t.src = &src;
    t.isInput = src.isInput;
    t.kind = src.kind;
    t.ragged = raggedOf(src.axes);
    t.empty = isEmpty(src.axes);
    t.axes.assign(src.axes.begin(), src.axes.end());
    if (src.isInput) {
      auto it = inputs_.find(src.name);
      if (it == inputs_.end())
        throw EvalError{Error(Msg::A817, fmt::format("input `{}` is missing", src.name))};
      loadInput(t, it->second);
      continue;
    }
    t.body = prepare(src.body);
    t.init = prepare(src.init);
    t.delegates = t.body && keepsRow(t.body->op);
  }
  findAbsence();
  findSharing();
  tagGradients();
}

void Evaluator::loadInput(ETensor &t, const HostTensor &data) {
  t.memo = makeMemo(t.axes, fmt::format("input `{}`", t.src->name));
  std::vector<Group> dims;
  for (const std::vector<AxisId> &d : t.src->dims)
    dims.push_back(groupOf(d));
  forEach(t.axes, [&] {
    int64_t flat = 0;
    for (size_t d = 0; d < dims.size(); ++d) {
      int64_t at = 0;
      for (size_t k = 0; k < dims[d].leaves.size(); ++k)
        at = at * dims[d].radix[k] + pos_[dims[d].leaves[k]];
      if (at >= data.shape[d])
        return; // past the end of a ragged dimension
      flat = flat * data.shape[d] + at;
    }
    Value v = t.kind == Kind::Real ? Value::real(data.getReal(flat)) : Value::integer(data.getInt(flat));
    v.absent = 1;
    t.memo->values[offset(*t.memo)] = v;
  });
}

/// An index that is another axis of no larger extent: a renaming.
bool Evaluator::inside(const EItem &item) const {
  if (item.leaves.size() != 1 || item.index->op != Op::Index || item.bound->op != Op::Const || item.index->canBeAbsent)
    return false;
  return extents_[item.index->axis] <= item.bound->constant.i;
}

bool Evaluator::mayBeAbsent(const ENode &e) const {
  auto any = [](const std::vector<ENode *> &v) {
    return std::any_of(v.begin(), v.end(), [](ENode *a) { return a->canBeAbsent; });
  };
  if (!e.ragged.empty())
    return true;
  switch (e.op) {
  case Op::Const:
  case Op::Index:
  case Op::Extent:
  case Op::Softmax:
  case Op::Cum:
  case Op::Present:
    return false;
  case Op::Tensor:
    return tensors_[e.tensor].canBeAbsent;
  case Op::Map:
  case Op::Rank:
  case Op::Detach:
    return any(e.args);
  case Op::Reduce:
    return !e.isUnion && any(e.args);
  case Op::Fill:
    return e.args[1]->canBeAbsent;
  case Op::Read:
    if (e.args[0]->canBeAbsent)
      return true;
    return !std::all_of(e.reads.begin(), e.reads.end(), [&](const EItem &i) { return inside(i); });
  default:
    return true;
  }
}

void Evaluator::findAbsence() {
  for (ENode *e : reached_)
    e->canBeAbsent = false;
  for (bool changed = true; changed;) {
    changed = false;
    for (ENode *e : reached_)
      if (!e->canBeAbsent && mayBeAbsent(*e))
        changed = e->canBeAbsent = true;
    for (ETensor &t : tensors_)
      if (!t.canBeAbsent && (!t.ragged.empty() || (t.body && t.body->canBeAbsent)))
        changed = t.canBeAbsent = true;
  }
}

void Evaluator::findSharing() {
  for (ENode *e : reached_) {
    std::vector<ENode *> children = e->op == Op::Where ? std::vector<ENode *>{e->args[0]} : e->args;
    children.insert(children.end(), e->conditions.begin(), e->conditions.end());
    for (EItem &r : e->reads) {
      children.push_back(r.index);
      children.push_back(r.bound);
    }
    for (ENode *c : children) {
      ++c->uses;
      e->treeSize += c->treeSize;
      e->inCycle |= c->inCycle || (c->op == Op::Tensor && program_.tensors[c->tensor].cycle >= 0);
    }
  }
  std::vector<char> isBody(nodes_.size(), 0);
  for (ETensor &t : tensors_)
    if (t.body)
      isBody[t.body->src->id] = 1;
  for (ENode *e : reached_) {
    std::vector<AxisId> axes(e->src->axes.begin(), e->src->axes.end());
    bool walks = e->op == Op::Reduce || e->op == Op::ArgMax || e->op == Op::ArgMin;
    if (walks && !isBody[e->src->id]) {
      double bytes = sizeof(Value);
      for (AxisId a : axes)
        bytes *= static_cast<double>(extents_[a]);
      if (bytes <= kInnerMemo && memoBytes_ + bytes <= kMemoLimit / 2)
        e->memo = makeMemo(axes, "a reduction");
    }
    bool keeps = e->memo || keepsRow(e->op) || e->op == Op::Tensor || e->op == Op::Const || e->op == Op::Index;
    e->remember = e->uses >= 2 && e->treeSize >= 12 && !keeps;
  }
}

void Evaluator::tagGradients() {
  for (size_t i = 0; i < tensors_.size(); ++i) {
    int cycle = program_.tensors[i].cycle;
    if (cycle < 0 || !tensors_[i].body)
      continue;
    std::vector<char> seen(nodes_.size(), 0);
    std::vector<ENode *> todo = {tensors_[i].body};
    while (!todo.empty()) {
      ENode *e = todo.back();
      todo.pop_back();
      if (!e || seen[e->src->id])
        continue;
      seen[e->src->id] = 1;
      if (e->op == Op::Grad)
        e->cycle = cycle;
      todo.insert(todo.end(), e->args.begin(), e->args.end());
      for (EItem &r : e->reads)
        todo.push_back(r.index);
    }
  }
}

const std::vector<char> &Evaluator::dependsOn(int tensor) {
  auto [it, fresh] = depends_.emplace(tensor, std::vector<char>());
  if (!fresh)
    return it->second;
  std::vector<char> &node = it->second;
  node.assign(nodes_.size(), 0);
  std::vector<char> whole(tensors_.size(), 0);
  whole[tensor] = 1;
  for (bool changed = true; changed;) {
    changed = false;
    for (ENode *e : reached_) {
      if (node[e->src->id] || e->kind != Kind::Real || e->op == Op::Detach)
        continue;
      bool d = e->op == Op::Tensor && whole[e->tensor];
      if (e->op == Op::Grad)
        d |= whole[e->tensor] != 0;
      if (e->op == Op::Read && e->args[0]->op == Op::Tensor && tensors_[e->args[0]->tensor].init)
        d |= node[tensors_[e->args[0]->tensor].init->src->id] != 0;
      for (ENode *a : e->args)
        d |= node[a->src->id] != 0;
      if (d)
        changed = (node[e->src->id] = 1) != 0;
    }
    for (size_t t = 0; t < tensors_.size(); ++t)
      if (!whole[t] && tensors_[t].body && node[tensors_[t].body->src->id])
        changed = (whole[t] = 1) != 0;
  }
  return node;
}

} // namespace attnc::reference
