//===- The evaluator of the reference (private to frontend/reference) -----===//
//
// Every node is a function of the positions of its free axes. `pos_` holds the current position of every axis;
// eval(node) gives the node's value there, recursively. Loops set positions and put them back. Tensors and the nodes
// that walk a whole row (softmax, running sums, selections, gradients) keep their values; elementwise nodes are
// computed again at each use.
//
// Along an axis without positions a reduction still asks its operand once, at position 0, for the absence that does not
// come from that axis. What cannot be computed there counts as a present 0.
//
// Files: Prepare.cpp (nodes made ready, memory), Eval.cpp (the rules, node by node), Elementwise.cpp (scalar
// functions), Rows.cpp (softmax, running sums, selection), Tape.cpp and Grad.cpp (gradients), Reference.cpp (inputs,
// outputs).
//===----------------------------------------------------------------------===//
#pragma once
#include "frontend/reference/Tape.h"
#include "frontend/reference/Value.h"
#include "runtime/Message.h"
#include "runtime/Tensor.h"
#include <string>
#include <utility>

namespace attnc::reference {

/// Ends an evaluation; caught in evaluateReference.
struct EvalError {
  Error error;
};

/// Values kept over the positions of some axes. Untouched pages cost nothing.
struct Memo {
  std::vector<AxisId> axes;
  std::vector<int64_t> strides;
  Value *values = nullptr; ///< `absent` is one more than the cause list; 0: not computed yet
  Memo() = default;
  Memo(const Memo &) = delete;
  Memo &operator=(const Memo &) = delete;
  ~Memo();
};

/// A composite whose last positions do not exist, seen from a node that has all of its leaves.
struct Ragged {
  std::vector<AxisId> leaves;
  std::vector<int64_t> radix;
  int64_t length = 0;
  CauseList cause = 0;
};

struct Group {
  std::vector<AxisId> leaves;
  std::vector<int64_t> radix;
  int64_t count = 1;
};

struct ENode;
struct EItem {
  std::vector<AxisId> leaves;
  std::vector<int64_t> radix;
  ENode *index = nullptr, *bound = nullptr;
  int start = 0;
  bool last = false;
  CauseList cause = 0; ///< of running out
};

/// A node made ready: extents and cause lists looked up.
struct ENode {
  const Node *src = nullptr;
  Op op = Op::Const;
  Kind kind = Kind::Real;
  Fn fn = Fn::Add;
  RedOp red = RedOp::Sum;
  bool ready = false;
  bool canBeAbsent = true;
  bool inCycle = false; ///< it reads a recurrence
  bool isUnion = false;
  bool empty = false;    ///< some axis has no positions
  bool remember = false; ///< shared and costly: the last value is kept
  unsigned uses = 0;
  double treeSize = 1; ///< nodes when written out without sharing, up to tensors
  std::vector<ENode *> args;
  std::vector<Ragged> ragged;
  Value constant{};
  AxisId axis = -1;
  int tensor = -1;
  std::vector<Group> groups;
  Group newAxes;
  std::vector<EItem> reads;
  size_t readLeaves = 0;
  std::vector<ENode *> conditions; ///< Where: operands of the written-out `and`
  std::vector<CauseList> conditionCauses;
  unsigned axesIndex = 0;   ///< causes_.axes(src->axes)
  unsigned groupsIndex = 0; ///< of all reduced axes
  CauseList own = 0;        ///< cause of a selection's own absence
  int which = 0;
  bool reversed = false;
  DType dtype = DType::F32;
  std::vector<AxisId> kept;
  std::vector<AxisId> fixed; ///< Grad: see fixedAxes()
  enum { Unknown, Searching, Known } fixedState = Unknown;
  int cycle = -1; ///< Grad: of the equation it stands in
  std::unique_ptr<Memo> memo;
  std::vector<int64_t> lastAt;
  Value lastValue{};
};

struct ETensor {
  const Tensor *src = nullptr;
  bool isInput = false;
  Kind kind = Kind::Real;
  ENode *body = nullptr, *init = nullptr;
  std::vector<Ragged> ragged;
  std::vector<AxisId> axes;
  bool delegates = false; ///< the body keeps its values itself
  bool empty = false;     ///< some axis has no positions
  std::unique_ptr<Memo> memo;
  bool canBeAbsent = false;
};

/// Where a Read goes. New positions of its leaves lie in scratch_ from `base`.
struct ReadTarget {
  enum { Absent, Inside, Init } kind = Inside;
  CauseList absent = 0;
  size_t base = 0;
};

class Evaluator;

/// Evaluation with respect to one independent tensor, whose elements are leaves of the tape.
struct Session {
  int tensor = -1;
  const std::vector<char> *depends = nullptr; ///< by node id
  Session *parent = nullptr;                  ///< the gradient this one is inside of
  Tape *tape = nullptr;
  int depth = 1;
  int cycle = -1; ///< shifts of this recurrence are constants
  int32_t start = 0;
  std::unordered_map<int64_t, int32_t> leaves; ///< flat position in `tensor` -> tape
  std::unordered_map<uint64_t, TapeValue> memo;
};

class Evaluator {
public:
  Evaluator(const Program &program, const std::vector<int64_t> &symbols,
            const std::map<std::string, HostTensor> &inputs);
  void run(std::map<std::string, HostTensor> &outputs);
  void setStackLimit(const char *limit) { stackLimit_ = limit; }

private:
  // Prepare.cpp
  ENode *prepare(Node *node);
  void fill(ENode &e);
  Group groupOf(const std::vector<AxisId> &leaves) const;
  bool isEmpty(const AxisSet &axes) const;
  std::vector<Ragged> raggedOf(const AxisSet &axes);
  std::unique_ptr<Memo> makeMemo(const std::vector<AxisId> &axes, const std::string &what);
  void prepareTensors();
  void loadInput(ETensor &t, const HostTensor &data);
  void findAbsence();
  bool mayBeAbsent(const ENode &e) const;
  bool inside(const EItem &item) const;
  void findSharing();
  void tagGradients();
  const std::vector<char> &dependsOn(int tensor);

  // Eval.cpp
  Value eval(ENode &e);
  Value evalNode(ENode &e);
  Value evalTensor(ETensor &t);
  Value evalRead(ENode &e);
  Value evalWhere(ENode &e);
  Value evalReduce(ENode &e);
  void runCycle(int cycle);
  ReadTarget resolveRead(ENode &e);
  CauseList causesOutside(ENode &e, const ReadTarget &target);
  void enterRead(ENode &e, const ReadTarget &target); ///< swaps pos_ and scratch_; a second call puts back
  bool pastEnd(const std::vector<Ragged> &ragged, CauseList &cause);
  void checkStack() const;

  // Elementwise.cpp
  Value evalMap(ENode &e);
  Value applyMap(const ENode &e, const Value *a, size_t n) const;

  // Rows.cpp
  Value evalRow(ENode &e);
  void softmaxRow(ENode &e);
  void cumRow(ENode &e);
  void selectionRow(ENode &e);
  Value evalArg(ENode &e);
  /// Flat positions of the present elements of args[0], ordered as the node asks, and the values of all elements.
  void orderRow(ENode &e, std::vector<int64_t> &order, std::vector<Value> &values);
  void putInMemo(ENode &e, Value v);

  // Grad.cpp
  Value evalGrad(ENode &e);
  TapeValue taped(ENode &e, Session *s); ///< of a value that is present
  TapeValue tapedNode(ENode &e, Session &s);
  TapeValue tapedMap(ENode &e, Session &s);
  TapeValue tapedReduce(ENode &e, Session &s);
  TapeValue tapedSoftmax(ENode &e, Session &s);
  TapeValue tapedCum(ENode &e, Session &s);
  TapeValue tapedGrad(ENode &e, Session &s);
  TapeValue tapedLeaf(ENode &e, Session &s);
  TapeValue adjointAt(const Session &s, const std::vector<TapeValue> &adjoints) const;
  std::vector<TapeValue> differentiate(ENode &e, Session &s);
  const std::vector<AxisId> &fixedAxes(ENode &e);
  void searchFixed(ENode &e);
  bool isConstantShift(const ENode &e, int cycle) const;
  uint64_t memoKey(const ENode &e, bool row = false) const;
  int64_t flatOf(const std::vector<AxisId> &axes) const;

  template <typename F> void forEach(const std::vector<AxisId> &leaves, F body);
  template <typename F> void atFirst(const std::vector<AxisId> &leaves, F body);
  void setFlat(const Group &g, int64_t flat);
  int64_t offset(const Memo &m) const {
    int64_t at = 0;
    for (size_t k = 0; k < m.axes.size(); ++k)
      at += pos_[m.axes[k]] * m.strides[k];
    return at;
  }

  const Program &program_;
  const std::vector<int64_t> &symbols_;
  const std::map<std::string, HostTensor> &inputs_;
  Causes causes_;
  std::vector<int64_t> extents_; ///< by axis
  std::vector<int64_t> pos_;     ///< by axis
  std::deque<ENode> nodes_;      ///< by Node::id
  std::vector<ENode *> reached_; ///< prepared ones, arguments first
  std::vector<ETensor> tensors_;
  std::vector<char> cycleState_; ///< 0 not begun, 1 running or done
  std::map<int, std::vector<char>> depends_;
  std::vector<int64_t> scratch_;
  int64_t memoBytes_ = 0;
  const char *stackLimit_ = nullptr;
};

/// Calls body at every position of the leaves, last fastest, and puts the positions back.
template <typename F> void Evaluator::forEach(const std::vector<AxisId> &leaves, F body) {
  if (leaves.size() == 1) { // the common case, without an odometer
    AxisId a = leaves[0];
    int64_t old = pos_[a];
    for (int64_t k = 0, n = extents_[a]; k < n; ++k) {
      pos_[a] = k;
      body();
    }
    pos_[a] = old;
    return;
  }
  for (AxisId a : leaves)
    if (extents_[a] == 0)
      return;
  std::vector<int64_t> old;
  for (AxisId a : leaves) {
    old.push_back(pos_[a]);
    pos_[a] = 0;
  }
  for (;;) {
    body();
    size_t k = leaves.size();
    while (k > 0 && ++pos_[leaves[k - 1]] == extents_[leaves[k - 1]])
      pos_[leaves[--k]] = 0;
    if (k == 0)
      break;
  }
  for (size_t k = 0; k < leaves.size(); ++k)
    pos_[leaves[k]] = old[k];
}

/// Calls body with all leaves at position 0, existing or not, and puts the positions back.
template <typename F> void Evaluator::atFirst(const std::vector<AxisId> &leaves, F body) {
  std::vector<int64_t> old;
  for (AxisId a : leaves)
    old.push_back(std::exchange(pos_[a], 0));
  body();
  for (size_t k = 0; k < leaves.size(); ++k)
    pos_[leaves[k]] = old[k];
}

double rounded(double v, DType dtype);
double realFn(Fn fn, double x);

} // namespace attnc::reference
