//===- Syntax tree of a spec ----------------------------------------------===//
//
// One struct per production, each with the span of its text. Names are unresolved. Nodes live in the File's arena and
// are immutable once parsed.
//===----------------------------------------------------------------------===//
#pragma once
#include "frontend/Source.h"
#include "runtime/DType.h"
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace attnc::ast {

struct Expr;

struct Name {
  std::string text;
  Span span;
};

/// INT | NAME | "#" NAME | "(" expr ")"; always kept as an expression.
struct AxisDecl { // axis = NAME [":" extent]
  Name name;
  Expr *extent = nullptr;
};

/// dim = NAME [":" extent] | [NAME [":" extent] "="] "(" axis axis {axis} ")"
struct DimDecl {
  std::optional<Name> name;    ///< the axis, or the name of the whole composite
  Expr *extent = nullptr;      ///< after the name
  std::vector<AxisDecl> parts; ///< empty: a single axis; else at least two
  Span span;
};

struct AxisRef { // NAME | "(" NAME NAME {NAME} ")"
  std::vector<Name> names;
  Span span;
};

struct AxisArg { // dim | "-" NAME | "_"
  enum Kind { Dim, Reversed, Single } kind = Dim;
  DimDecl dim; ///< Dim: the dim; Reversed: dim.name is the axis
  Span span;
};

struct Subst { // axisref ":=" expr | expr
  std::optional<AxisRef> axis;
  Expr *value = nullptr;
  Span span;
};

enum class ExprKind {
  Number,
  Bool,
  Inf,
  Pi,
  Last,
  Name,
  Tuple,
  ExtentOf,
  Call,
  Neg,
  Not,
  Binary,
  Compare,
  Where,
  If,
  Read
};
enum class BinOp { Or, And, Add, Sub, Mul, Div, IDiv, Mod, Pow };
enum class CmpOp { Lt, Le, Gt, Ge, Eq, Ne };

struct Expr {
  ExprKind kind;
  Span span;
  // Number: integer unless isReal (text has '.', 'e'); integers out of i64 are refused by the parser.
  bool isReal = false;
  double real = 0;
  int64_t integer = 0;
  bool boolean = false;
  std::string text;                         ///< Name, Call: the name
  Span nameSpan;                            ///< Call: of the name; Binary, Compare: of the (first) operator
  AxisRef axes;                             ///< Tuple, ExtentOf
  bool hasBrackets = false;                 ///< Call
  std::vector<std::vector<AxisArg>> groups; ///< Call: groups separated by "|", each a comma list
  BinOp bin = BinOp::Add;
  std::vector<CmpOp> cmps;   ///< Compare: args.size() - 1 of them
  std::vector<Subst> substs; ///< Read
  /// Call: arguments. Neg, Not: 1. Binary: 2. Compare: 2 or more. Where: value, condition. If: then, condition, else.
  /// Read: base.
  std::vector<Expr *> args;
};

struct Decl { // NAME ":" [DTYPE] "[" dims "]" ["in" NAME] ["=" expr]
  Name name;
  std::optional<DType> dtype;
  std::vector<DimDecl> dims;
  std::optional<Name> promise;
  Expr *defaultValue = nullptr;
  Span span;
};

enum class StmtKind { Axis, Param, Require, Equation };
struct Stmt {
  StmtKind kind;
  Span span;
  std::vector<DimDecl> axes;          ///< Axis
  std::vector<Name> names;            ///< Param: 1; Equation: 1 or more
  std::optional<DType> dtype;         ///< Param
  bool hasAnnotation = false;         ///< Equation
  std::vector<DimDecl> annotation;    ///< Equation
  Expr *value = nullptr;              ///< Param, Require, Equation
  Expr *init = nullptr;               ///< Equation
  std::optional<std::string> message; ///< Require
};

struct Fn {
  Name name;
  std::string doc;
  std::vector<Name> axes;
  std::vector<Name> params;
  std::vector<Stmt> body;      ///< "= expr" form: empty
  std::vector<Expr *> results; ///< at least 1
  Span span;
};

struct Mixer {
  Name name;
  std::string doc;
  std::vector<Decl> inputs, outputs;
  std::vector<Stmt> body;
  Span span;
};

struct Hint { // NAME [NAME "=" INT {"," ...}]
  Name name;
  std::vector<std::pair<Name, int64_t>> values;
};
struct Schedule {
  Name mixer, target;
  std::vector<Hint> hints;
  Span span;
};

struct Import {
  std::string path;
  Span span;
};

struct File {
  const Source *source = nullptr;
  std::vector<Import> imports;
  std::vector<Fn> fns;
  std::vector<Mixer> mixers;
  std::vector<Schedule> schedules;
  std::deque<Expr> arena;
};

} // namespace attnc::ast
