#include "frontend/Program.h"
#include <algorithm>

namespace attnc {

void AxisSet::insert(AxisId a) {
  auto it = std::lower_bound(ids_.begin(), ids_.end(), a);
  if (it == ids_.end() || *it != a)
    ids_.insert(it, a);
}
void AxisSet::erase(AxisId a) {
  auto it = std::lower_bound(ids_.begin(), ids_.end(), a);
  if (it != ids_.end() && *it == a)
    ids_.erase(it);
}
bool AxisSet::contains(AxisId a) const { return std::binary_search(ids_.begin(), ids_.end(), a); }
bool AxisSet::containsAll(const AxisSet &o) const {
  return std::includes(ids_.begin(), ids_.end(), o.ids_.begin(), o.ids_.end());
}
bool AxisSet::intersects(const AxisSet &o) const {
  return std::any_of(o.begin(), o.end(), [&](AxisId a) { return contains(a); });
}
AxisSet AxisSet::operator|(const AxisSet &o) const {
  AxisSet r;
  std::set_union(ids_.begin(), ids_.end(), o.ids_.begin(), o.ids_.end(), std::back_inserter(r.ids_));
  return r;
}
AxisSet AxisSet::operator-(const AxisSet &o) const {
  AxisSet r;
  std::set_difference(ids_.begin(), ids_.end(), o.ids_.begin(), o.ids_.end(), std::back_inserter(r.ids_));
  return r;
}

Node *Program::make(Op op, Kind kind, AxisSet axes, std::vector<Node *> args, Span span) {
  Node &n = arena.emplace_back();
  n.op = op;
  n.kind = kind;
  n.axes = std::move(axes);
  n.args = std::move(args);
  n.span = span;
  n.id = static_cast<unsigned>(arena.size() - 1);
  return &n;
}

} // namespace attnc
