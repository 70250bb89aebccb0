//===- Conditions that inputs exercise on one side only -------------------===//
#include "tools/attnc/Conditions.h"
#include <fmt/format.h>
#include <set>

namespace attnc::cli {

namespace {

constexpr const char *kPrefix = "?"; // no name of a spec starts so

std::string placeOf(const Span &span) {
  auto [line, column] = span.source->lineColumn(span.begin);
  return fmt::format("{}:{}:{}", span.source->path(), line, column);
}

/// Conditions reachable from the equations, each once.
std::vector<Node *> conditionsOf(const Program &program) {
  std::vector<Node *> found, stack;
  std::set<const Node *> seen, taken;
  auto push = [&](Node *n) {
    if (n && seen.insert(n).second)
      stack.push_back(n);
  };
  for (const Tensor &t : program.tensors) {
    push(t.body);
    push(t.init);
  }
  while (!stack.empty()) {
    Node *n = stack.back();
    stack.pop_back();
    Node *condition = n->op == Op::Where ? n->args[1] : n->op == Op::Map && n->fn == Fn::Select ? n->args[0] : nullptr;
    if (condition && condition->op != Op::Const && condition->span.source && taken.insert(condition).second)
      found.push_back(condition);
    for (Node *a : n->args)
      push(a);
    for (const ReadItem &r : n->reads) {
      push(r.index);
      push(r.bound);
    }
  }
  return found;
}

} // namespace

void Conditions::addTo(Program &program) {
  int number = 0;
  for (Node *condition : conditionsOf(program)) {
    std::string place = placeOf(condition->span);
    Span span = condition->span;
    sides_[place].place = place;
    sides_[place].condition = span.source->text().substr(span.begin, span.end - span.begin);
    Node *no = program.make(Op::Const, Kind::Bool, {}, {}, span);
    Node *present =
        program.make(Op::Fill, Kind::Bool, condition->axes, {condition, no}, span); // an absent one counts as false
    Node *negated = program.make(Op::Map, Kind::Bool, condition->axes, {present}, span);
    negated->fn = Fn::Not;
    for (Node *side : {present, negated}) {
      Node *body = side;
      if (!condition->axes.empty()) {
        body = program.make(Op::Reduce, Kind::Bool, {}, {side}, span);
        body->red = RedOp::Any;
        body->groups.push_back({condition->axes.begin(), condition->axes.end()});
      }
      Tensor tensor;
      tensor.name = fmt::format("{}{}{}", kPrefix, number, side == present ? "true" : "false");
      tensor.kind = Kind::Bool;
      tensor.span = span;
      tensor.body = body;
      Output output;
      output.name = tensor.name;
      output.tensor = int(program.tensors.size());
      output.dtype = DType::Bool;
      output.declared = true;
      program.order.push_back(output.tensor);
      program.tensors.push_back(std::move(tensor));
      program.outputs.push_back(std::move(output));
    }
    ++number;
  }
}

void Conditions::collect(const Program &program, std::map<std::string, HostTensor> &outputs) {
  for (const Output &o : program.outputs) {
    if (o.name.compare(0, 1, kPrefix) != 0)
      continue;
    auto it = outputs.find(o.name);
    if (it == outputs.end())
      continue;
    Sides &sides = sides_[placeOf(program.tensors[size_t(o.tensor)].span)];
    bool value = it->second.count() > 0 && it->second.getInt(0) != 0;
    (o.name.back() == 'e' && o.name[o.name.size() - 4] == 't' ? sides.sawTrue : sides.sawFalse) |= value;
    outputs.erase(it);
  }
}

std::vector<Conditions::OneSided> Conditions::oneSided() const {
  std::vector<OneSided> list;
  for (auto &[place, sides] : sides_)
    if (sides.sawTrue != sides.sawFalse)
      list.push_back({sides.place, sides.condition, sides.sawTrue});
  return list;
}

} // namespace attnc::cli
