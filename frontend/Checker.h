//===- The checker's working state (private to Check*.cpp) ----------------===//
//
// Equations may stand in any order and read each other in circles, so axes and kinds are found by a fixpoint: the same
// resolver runs over all equations, silently, until the axes and kinds of tensors that are read before they are
// finished no longer change; then once more, aloud. Scopes, axes and tensor numbers survive from run to run, nodes do
// not.
//===----------------------------------------------------------------------===//
#pragma once
#include "frontend/Check.h"
#include <functional>
#include <map>
#include <unordered_map>

namespace attnc {

/// "1 axis", "3 axes": how messages count.
std::string counted(size_t n, const char *one, const char *many);

/// An axis as the text names it: one leaf, or a composite.
struct AxisValue {
  std::vector<AxisId> leaves;
  ExtentRef length;
  int composite = -1;
};

struct Scope;

struct Entity {
  enum Kind { Axis, Sequence, Constant, Tensor, Thunk } kind = Axis;
  Span span;
  AxisValue axis;                           // Axis, once resolved
  ExtentRef extent;                         // Sequence
  attnc::Kind constKind = attnc::Kind::Int; // Constant
  double real = 0;
  int64_t integer = 0;
  int tensor = -1;
  const ast::Expr *expr = nullptr; // Thunk: an argument, in its caller's scope
  Scope *exprScope = nullptr;
};

/// All that is said about an axis name in one scope, before its extent is known.
struct AxisSpec {
  std::string name;
  std::vector<const ast::Expr *> extents;
  bool inInput = false, inOutput = false, inBody = false, made = false;
  bool isComposite = false;
  std::vector<ast::AxisDecl> parts;
  std::string firstOf;                  ///< named composite whose first part this is
  const ast::AxisArg *source = nullptr; ///< made by argsort, sort: the axis that gives the default extent
  Span span, bodySpan;
  enum { Waiting, Busy, Done, Failed } state = Waiting;
};

struct Scope {
  int file = 0;
  const ast::Fn *fn = nullptr; ///< null: the mixer's scope
  Scope *caller = nullptr;
  unsigned depth = 0;
  std::map<std::string, Entity> names;
  std::map<std::string, AxisSpec> specs;
  std::vector<const ast::Expr *> results;
};

struct TensorInfo {
  const ast::Expr *expr = nullptr;
  Scope *scope = nullptr;
  int result = 0, results = 1; ///< which of several results of expr
  const ast::Expr *init = nullptr;
  bool anonymous = false;
  bool annotated = false;
  AxisSet annotation;
  AxisSet axes;
  Kind kind = Kind::Bool;
  Kind declared = Kind::Bool; ///< of a left-out input: an integer default of a floating one is floating
  bool dirtyRead = false;     ///< read while in progress: part of a circle
  bool broken = false;        ///< said aloud: what reads it says nothing more
  bool shifted = false;       ///< read through a shift somewhere
  Span initSpan;
  enum { Waiting, Busy, Done } state = Waiting;
};

class Checker {
public:
  Checker(const Spec &spec, const ast::Mixer &mixer, const CheckOptions &options, Diagnostics &diags);
  std::unique_ptr<Program> run();

private:
  // CheckAxes.cpp
  void collectAxes();
  void collectDim(Scope &s, const ast::DimDecl &d, int where /*0 input 1 output 2 body 3 made*/,
                  const ast::AxisArg *source = nullptr);
  void collectMade(Scope &s, const ast::Expr *e);
  void resolveAxes(Scope &s);
  bool resolveAxis(Scope &s, const std::string &name);
  bool resolveComposite(Scope &s, AxisSpec &spec);
  bool compositeOf(Scope &s, const std::vector<ast::AxisDecl> &parts, Span span, AxisValue &out);
  ExtentRef extentFromExpr(const ast::Expr *e, Scope &s);
  ExtentRef nodeToExtent(Node *n);
  AxisId newAxis(const std::string &name, ExtentRef extent, Span span);
  int newSymbol(const std::string &name);
  int newComposite(const std::string &name, const std::vector<AxisId> &leaves, ExtentRef length, bool ragged,
                   Span span);
  ExtentRef productOf(const std::vector<AxisId> &leaves) const;
  bool axisByName(Scope &s, const ast::Name &name, AxisValue &out, bool loud);
  bool axisOfDim(Scope &s, const ast::DimDecl &d, AxisValue &out);
  bool axisOfRef(Scope &s, const ast::AxisRef &r, AxisValue &out);
  void checkDetermined();
  void markFeatures();
  std::vector<std::string> namesInScope(Scope &s, bool axesOnly) const;

  // CheckExpr.cpp
  Node *expr(const ast::Expr *e, Scope *s);
  std::vector<Node *> exprMulti(const ast::Expr *e, Scope *s);
  Node *resolve(const ast::Expr *e, Scope *s);
  Node *resolveName(const ast::Expr *e, Scope *s);
  Node *resolveRead(const ast::Expr *e, Scope *s);
  /// One substitution of a read: the axis of the operand that is replaced, and by what.
  struct Replaced {
    const ast::Subst *sub = nullptr;
    AxisValue axis;
    bool found = false;
    Node *index = nullptr;
  };
  Node *readSource(const ast::Expr *&base, Scope *s);
  bool namedAxis(const ast::Subst &sub, const Node *x, const ast::Expr *base, Replaced &out);
  bool impliedAxis(const ast::Subst &sub, const Node *x, const ast::Expr *base, Scope *s, Replaced &out);
  bool readIndices(std::vector<Replaced> &items, const Node *x, Scope *s, std::map<AxisId, Node *> &at);
  Node *readBound(const Replaced &it, const Node *x, std::map<AxisId, Node *> at);
  std::string axesText(const Node *x, const std::string &none) const;
  Node *resolveBinary(const ast::Expr *e, Scope *s);
  Node *resolveCompare(const ast::Expr *e, Scope *s);
  Node *tensorRef(int id, Span span);
  void resolveTensor(int id);
  int anonymousTensor(const ast::Expr *e, Scope *s);
  Node *axisIndex(const AxisValue &a, Span span);
  Node *axisIndexFrom(const std::vector<AxisId> &leaves, const std::map<AxisId, Node *> &at, Span span);
  Node *countAlong(const Node *operand, AxisId leaf, const std::map<AxisId, Node *> &at, Span span);

  // CheckCall.cpp
  std::vector<Node *> resolveCall(const ast::Expr *e, Scope *s);
  std::vector<Node *> callFunction(const ast::Expr *e, Scope *s, const ast::Fn &fn, int file);
  Node *callElementwise(const ast::Expr *e, Scope *s, Fn fn, int minArgs, int maxArgs);
  Node *callPresence(const ast::Expr *e, Scope *s);
  Node *callGiven(const ast::Expr *e, Scope *s);
  Node *callCast(const ast::Expr *e, Scope *s, DType dtype);
  bool wantArguments(const ast::Expr *e, size_t n);
  void unknownFunction(const ast::Expr *e, Scope *s);
  const ast::Fn *findFn(const std::string &name, int file, int &owner) const;

  // CheckReduce.cpp
  bool groupsOf(const ast::Expr *e, Scope *s, std::vector<std::vector<AxisId>> &groups);
  bool groupsFitOperands(const ast::Expr *e);
  /// The operands of a reduction or a softmax, the axes of each that it runs over, and those that are left.
  bool operandsOf(const ast::Expr *e, Scope *s, std::vector<std::vector<AxisId>> &groups, std::vector<Node *> &operands,
                  AxisSet &free);
  void checkOperandHas(const std::vector<AxisId> &axes, Node *x, const ast::Expr *call, size_t which);
  std::vector<Node *> callReduction(const ast::Expr *e, Scope *s, RedOp red);
  Node *callSelection(const ast::Expr *e, Scope *s, Op op);
  Node *callGrad(const ast::Expr *e, Scope *s);
  Node *callCum(const ast::Expr *e, Scope *s, RedOp red);
  std::vector<Node *> callSoftmax(const ast::Expr *e, Scope *s);

  // CheckFold.cpp
  Node *constant(Kind kind, double real, int64_t integer, Span span);
  Node *intConst(int64_t v, Span span) { return constant(Kind::Int, 0, v, span); }
  Node *map(Fn fn, Kind kind, std::vector<Node *> args, Span span);
  Node *toKind(Node *n, Kind kind);
  std::optional<bool> decided(const Node *n) const;
  Node *extentNode(ExtentRef e, Span span);
  bool fold(Fn fn, Kind kind, const std::vector<Node *> &args, DType dtype, double &real, int64_t &integer) const;

  // CheckCycles.cpp
  bool findCycles();
  bool orderCycle(const std::vector<int> &members, Cycle &cycle);
  void reportCircle(const std::vector<int> &trail, Span span, const std::vector<AxisId> &candidates);
  void resolveAliases();
  void markStarts();

  // CheckDeclare.cpp
  void collectParams(Scope &s, const std::vector<ast::Stmt> &body, bool overridable);
  void collectTensors();
  void collectInput(const ast::Decl &d);
  void collectOutput(const ast::Decl &d);
  void collectEquations(Scope &s, const std::vector<ast::Stmt> &body);
  void collectFunctionBody(Scope &s, const std::vector<ast::Stmt> &body);
  bool declareTensor(Scope &s, const ast::Name &name, int tensor);
  bool dimsOf(const ast::Decl &d, std::vector<std::vector<AxisId>> &dims, std::vector<Dim> &shown);
  /// A name in `e` that is data, or an extent when `extentsToo`: neither is there when params and extents are read.
  bool mentionsData(const ast::Expr *e, Scope &s, bool extentsToo) const;

  // Check.cpp
  bool resolveAll();
  void checkDefaults();
  void checkOutputs();
  void checkOutputKinds();
  void checkRequires();
  void addRequirement(ExtentRef condition, std::string message);
  std::string axisList(const AxisSet &axes) const;  ///< "i, j"
  std::string namedAxes(const AxisSet &axes) const; ///< "axis i", "axes i, j"
  Diagnostic &error(Msg id, Span at, const std::vector<std::string> &args = {});
  /// An error that ends the check at once, aloud in whichever run it is met.
  Diagnostic &fatal(Msg id, Span at, const std::vector<std::string> &args = {});
  void warnMixedConditions();
  bool quiet() const { return quiet_ > 0; }

  const Spec &spec_;
  const ast::Mixer &mixer_;
  const CheckOptions &options_;
  Diagnostics &diags_;
  std::unique_ptr<Program> p_;
  std::deque<Scope> scopes_;
  Scope *top_ = nullptr;
  std::vector<TensorInfo> info_; ///< parallel to p_->tensors
  std::map<std::pair<const ast::Expr *, Scope *>, std::vector<Node *>> memo_;
  std::map<std::pair<const ast::Expr *, Scope *>, Scope *> instances_;
  std::map<std::pair<const ast::Expr *, Scope *>, int> anonymous_;
  std::vector<const ast::Stmt *> requireStmts_;
  std::vector<Scope *> requireScopes_;
  Diagnostic scratch_{};
  int quiet_ = 0;
  bool changed_ = false, failed_ = false;
  std::vector<std::pair<Span, const ast::Fn *>> calls_; ///< functions being inlined, outermost first
  Node *last_ = nullptr;                                ///< what `last` means in the index being resolved
};

std::vector<std::string> builtinNames();
/// The text of a node for messages: "sel", "j <= i".
std::string spanText(Span span);

} // namespace attnc
