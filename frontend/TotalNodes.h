//===- Building the total graph -------------------------------------------===//
//
// Nodes of the total graph (Presence.h), shared when equal and simplified as far as conditions that hold everywhere
// must disappear: a predicate that is plainly true is the constant.
//===----------------------------------------------------------------------===//
#pragma once
#include "frontend/Program.h"
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

namespace attnc {

class TotalNodes {
public:
  explicit TotalNodes(Program &p) : p_(p) {}

  /// The node that equals `proto`; made when there is none.
  Node *intern(Node proto);

  Node *boolean(bool b, Span s) { return literal(Kind::Bool, b, s); }
  Node *integer(int64_t v, Span s) { return literal(Kind::Int, v, s); }
  Node *zero(Kind kind, Span s) { return literal(kind, 0, s); }
  Node *index(AxisId a, Span s);
  Node *extent(const ExtentRef &e, Span s);
  Node *map(Fn fn, Kind kind, std::vector<Node *> args, Span s, DType dtype = DType::F32);
  static bool isTrue(const Node *n) { return n->op == Op::Const && n->kind == Kind::Bool && n->integer; }
  static bool isFalse(const Node *n) { return n->op == Op::Const && n->kind == Kind::Bool && !n->integer; }

  /// The same value with at least these axes.
  Node *broadcast(Node *x, const AxisSet &axes);
  /// The number of positions of these axes together: of a composite, its length.
  Node *productOf(const std::vector<AxisId> &axes, Span s);
  /// The flat position over these axes, last fastest.
  Node *flatPosition(const std::vector<AxisId> &axes, Span s);
  /// The position along leaves[k] where `flat` is the flat position over the leaves.
  Node *leafPosition(Node *flat, const std::vector<AxisId> &leaves, size_t k, Span s);

  /// `n` at the positions of `items`: through arithmetic, so that proofs see the new indices; other nodes through
  /// `read`.
  Node *substitute(Node *n, const std::vector<ReadItem> &items, const std::function<Node *(Node *)> &read);

protected:
  Program &p_;

private:
  Node *literal(Kind kind, int64_t v, Span s);
  Node *substitute(Node *n, const std::vector<ReadItem> &items, const std::function<Node *(Node *)> &read,
                   std::unordered_map<const Node *, Node *> &done);
  std::unordered_map<std::string, Node *> interned_;
};

} // namespace attnc
