// The reference on equations built by hand, without parser and checker.
#include "frontend/reference/Reference.h"
#include <gtest/gtest.h>

using namespace attnc;

namespace {

struct Reference : testing::Test {
  Program p;
  std::map<std::string, HostTensor> in, out;
  Error error;

  AxisId axis(const std::string &name, int64_t extent) {
    Axis a;
    a.name = name;
    a.extent = extentConst(extent);
    p.axes.push_back(a);
    return static_cast<AxisId>(p.axes.size() - 1);
  }
  int input(const std::string &name, std::vector<AxisId> axes, std::vector<double> values) {
    Tensor t;
    t.name = name;
    t.isInput = true;
    std::vector<int64_t> shape;
    for (AxisId a : axes) {
      t.axes.insert(a);
      t.dims.push_back({a});
      shape.push_back(*extentAsConst(p.axes[a].extent));
    }
    HostTensor data;
    EXPECT_TRUE(HostTensor::allocate(DType::F64, shape, data));
    for (size_t k = 0; k < values.size(); ++k)
      data.setReal(static_cast<int64_t>(k), values[k]);
    in[name] = data;
    p.tensors.push_back(t);
    return static_cast<int>(p.tensors.size() - 1);
  }
  int equation(const std::string &name, Node *body, AxisSet axes) {
    Tensor t;
    t.name = name;
    t.body = body;
    t.axes = axes;
    t.kind = body ? body->kind : Kind::Real;
    p.tensors.push_back(t);
    return static_cast<int>(p.tensors.size() - 1);
  }
  void output(int tensor, std::vector<AxisId> dims) {
    Output o;
    o.name = p.tensors[tensor].name;
    o.tensor = tensor;
    for (AxisId a : dims)
      o.dims.push_back({a});
    p.outputs.push_back(o);
  }
  Node *ref(int tensor) {
    Node *n = p.make(Op::Tensor, p.tensors[tensor].kind, p.tensors[tensor].axes, {}, {});
    n->tensor = tensor;
    return n;
  }
  Node *index(AxisId a) {
    Node *n = p.make(Op::Index, Kind::Int, {a}, {}, {});
    n->axis = a;
    return n;
  }
  Node *number(int64_t v) {
    Node *n = p.make(Op::Const, Kind::Int, {}, {}, {});
    n->integer = v;
    return n;
  }
  Node *map(Fn fn, Kind kind, std::vector<Node *> args) {
    AxisSet axes;
    for (Node *a : args)
      axes |= a->axes;
    Node *n = p.make(Op::Map, kind, axes, std::move(args), {});
    n->fn = fn;
    return n;
  }
  Node *reduce(RedOp red, std::vector<AxisId> over, Node *x) {
    AxisSet axes = x->axes;
    for (AxisId a : over)
      axes.erase(a);
    Node *n = p.make(Op::Reduce, Kind::Real, axes, {x}, {});
    n->red = red;
    n->groups = {over};
    return n;
  }
  Node *shifted(int tensor, AxisId a, int64_t by, int64_t extent) {
    Node *n = p.make(Op::Read, p.tensors[tensor].kind, p.tensors[tensor].axes, {ref(tensor)}, {});
    ReadItem item;
    item.leaves = {a};
    item.index = map(Fn::Sub, Kind::Int, {index(a), number(by)});
    item.bound = number(extent);
    item.start = -1;
    n->reads = {item};
    return n;
  }
  bool eval() { return evaluateReference(p, {}, in, out, error); }
};

TEST_F(Reference, LongRecurrence) {
  constexpr int64_t kLength = 200'000;
  AxisId t = axis("t", kLength);
  int x = input("x", {t}, std::vector<double>(kLength, 1.0));
  int h = equation("h", nullptr, {t});
  p.tensors[h].body = map(Fn::Add, Kind::Real, {shifted(h, t, 1, kLength), ref(x)});
  p.tensors[h].cycle = 0;
  p.cycles.push_back({{h}, {{t, 1}}});
  output(h, {t});
  ASSERT_TRUE(eval()) << error.text;
  EXPECT_EQ(out["h"].getReal(kLength - 1), static_cast<double>(kLength));
}

TEST_F(Reference, GradientAlongALongRecurrence) {
  constexpr int64_t kLength = 20'000;
  AxisId t = axis("t", kLength);
  int x = input("x", {t}, std::vector<double>(kLength, 1.0));
  int h = equation("h", nullptr, {t});
  p.tensors[h].body = map(Fn::Add, Kind::Real, {shifted(h, t, 1, kLength), ref(x)});
  p.tensors[h].cycle = 0;
  p.cycles.push_back({{h}, {{t, 1}}});
  Node *g = p.make(Op::Grad, Kind::Real, {t}, {ref(h)}, {});
  g->tensor = x;
  output(equation("g", g, {t}), {t});
  ASSERT_TRUE(eval()) << error.text;
  EXPECT_EQ(out["g"].getReal(0), static_cast<double>(kLength)); // x[0] is part of every h
  EXPECT_EQ(out["g"].getReal(kLength - 1), 1.0);
}

/// Expressions that use each operand twice, fifty deep: shared nodes are computed once.
TEST_F(Reference, SharedNodes) {
  AxisId t = axis("t", 3);
  int x = input("x", {t}, {1, 2, 3});
  Node *n = ref(x);
  for (int k = 0; k < 50; ++k)
    n = map(Fn::Add, Kind::Real, {n, n});
  output(equation("y", n, {t}), {t});
  ASSERT_TRUE(eval()) << error.text;
  EXPECT_EQ(out["y"].getReal(2), 3 * 0x1p50);
}

/// Twenty thousand equations, each reading the one before.
TEST_F(Reference, LongChainOfEquations) {
  AxisId t = axis("t", 2);
  int last = input("x", {t}, {0, 1});
  Node *one = p.make(Op::Const, Kind::Real, {}, {}, {});
  one->real = 1;
  for (int k = 0; k < 20'000; ++k)
    last = equation("y" + std::to_string(k), map(Fn::Add, Kind::Real, {ref(last), one}), {t});
  output(last, {t});
  ASSERT_TRUE(eval()) << error.text;
  EXPECT_EQ(out["y19999"].getReal(1), 20001.0);
}

TEST_F(Reference, AnAbsentOutputIsAnError) {
  AxisId t = axis("t", 3);
  int x = input("x", {t}, {1, 2, 3});
  Node *w = p.make(Op::Where, Kind::Real, {t}, {ref(x), map(Fn::Lt, Kind::Bool, {index(t), number(2)})}, {});
  output(equation("y", w, {t}), {t});
  EXPECT_FALSE(eval());
  EXPECT_EQ(error.render(), "attnc: error[A804]: output `y` is absent at [2]\n");
}

TEST_F(Reference, AnEquationThatNeedsItself) {
  AxisId t = axis("t", 3);
  int y = equation("y", nullptr, {t});
  p.tensors[y].body = map(Fn::Neg, Kind::Real, {ref(y)});
  output(y, {t});
  EXPECT_FALSE(eval());
  EXPECT_EQ(error.render(),
            "attnc: error[A817]: the reference cannot evaluate this: equation `y` needs its own value\n");
}

TEST_F(Reference, MemoryIsLimited) {
  AxisId a = axis("a", 100'000), b = axis("b", 100'000);
  int x = input("x", {}, {1});
  Node *body =
      map(Fn::Add, Kind::Real, {ref(x), map(Fn::ToReal, Kind::Real, {map(Fn::Add, Kind::Int, {index(a), index(b)})})});
  int y = equation("y", body, {a, b});
  output(equation("s", reduce(RedOp::Sum, {a, b}, ref(y)), {}), {});
  EXPECT_FALSE(eval());
  EXPECT_EQ(error.render(),
            "attnc: error[A817]: the reference cannot evaluate this: more than 4 GiB would be needed for "
            "`y`\n  help: use smaller extents\n");
}

} // namespace
