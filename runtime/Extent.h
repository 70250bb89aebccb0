//===- Integer expressions over extents -----------------------------------===//
//
// The length of every axis is an expression over *symbols*, the unknown extents that a call's arguments give
// ("N", "b", ...). Division and remainder floor; by 0 they give 0, as in the language. Comparisons and the logical
// operators give 0 or 1; they occur only in `require` and in preconditions.
//===----------------------------------------------------------------------===//
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace attnc {

enum class ExtentOp : uint8_t {
  Const,
  Symbol,
  Add,
  Sub,
  Mul,
  Div,
  Mod,
  Min,
  Max,
  Ilog2,
  Lt,
  Le,
  Gt,
  Ge,
  Eq,
  Ne,
  And,
  Or,
  Not
};

struct Extent;
using ExtentRef = std::shared_ptr<const Extent>;

/// Immutable; `symbol` indexes Signature::symbols.
struct Extent {
  ExtentOp op = ExtentOp::Const;
  int64_t value = 0;
  int symbol = -1;
  std::vector<ExtentRef> args;
};

ExtentRef extentConst(int64_t value);
ExtentRef extentSymbol(int symbol);
/// Builds and folds (constants, x+0, x*1, x*0, equal subtrees); wraps on overflow like i64.
ExtentRef extentMake(ExtentOp op, std::vector<ExtentRef> args);
std::optional<int64_t> extentAsConst(const ExtentRef &e);
/// Structural equality after putting + - * into a canonical polynomial form.
bool extentEqual(const ExtentRef &a, const ExtentRef &b);
/// Value under `symbols`; a symbol of -1 is unknown and makes the result nullopt.
std::optional<int64_t> extentEval(const ExtentRef &e, const std::vector<int64_t> &symbols);
/// Replaces the symbols that are >= 0 in `values` by constants.
ExtentRef extentSpecialise(const ExtentRef &e, const std::vector<int64_t> &values);
bool extentUses(const ExtentRef &e, int symbol);
/// e == factor * symbol + rest with constants; false when it is not of that form.
bool extentLinear(const ExtentRef &e, int symbol, int64_t &factor, int64_t &rest);
/// Infix text with the language's words, `names[i]` for symbol i: "(N + 15) div 16". Reads back with extentParse.
std::string extentText(const ExtentRef &e, const std::vector<std::string> &names);
std::optional<ExtentRef> extentParse(std::string_view text, const std::vector<std::string> &names);

/// The language's integer arithmetic, shared by everything that folds constants: floor division, by 0 gives 0.
int64_t floorDiv(int64_t a, int64_t b);
int64_t floorMod(int64_t a, int64_t b);
/// floor(log2(x)); 0 for x < 1.
int64_t ilog2(int64_t x);

} // namespace attnc
