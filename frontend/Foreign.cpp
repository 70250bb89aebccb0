//===- What people bring from other languages -----------------------------===//
#include "frontend/Foreign.h"
#include <fmt/format.h>

namespace attnc {

namespace {

struct Row {
  std::string_view words; ///< between blanks
  std::string_view help;
};

template <size_t N> std::string_view find(const Row (&rows)[N], std::string_view word) {
  for (const Row &row : rows)
    for (size_t at = 0; at < row.words.size();) {
      size_t end = row.words.find(' ', at);
      end = end == row.words.npos ? row.words.size() : end;
      if (row.words.substr(at, end - at) == word)
        return row.help;
      at = end + 1;
    }
  return {};
}

constexpr std::string_view noOrder = "axes have names and no order: use the tensor as it is";
constexpr std::string_view noLoops =
    "there are no loops: `sum[t](x)` adds up along an axis, `h = a * h[t-1] + x` steps along it";
constexpr std::string_view oneEquation = "an equation is written `y = ...`";
constexpr std::string_view castHelp = "a cast is written `f32(x)`";

constexpr Row functions[] = {
    {"maximum fmax", "`max(a, b)`"},
    {"minimum fmin", "`min(a, b)`"},
    {"mod fmod remainder", "`a % b`"},
    {"floordiv floor_divide idiv", "`a div b`"},
    {"pow power", "`a ** b`"},
    {"ln", "`log(x)`"},
    {"clip", "`clamp(x, low, high)`"},
    {"masked_fill masked_where select", "`a if condition else b`; `x where condition` leaves elements out"},
    {"matmul dot mm bmm einsum tensordot inner vdot linear", "`sum[d](a * b)`, where `d` is the axis that both have"},
    {"outer", "`a * b`: operands broadcast by the names of their axes"},
    {"concat concatenate cat stack hstack vstack",
     "one axis over both: `axis k:(#p + #t)`, and `a[p := k] if k < #p else b[t := k - #p]`"},
    {"reshape view flatten rearrange split chunk", "`x: [(g r)]` in the signature has an axis `g` and an axis `r`"},
    {"transpose permute swapaxes unsqueeze squeeze expand expand_dims broadcast_to repeat tile", noOrder},
    {"arange range linspace iota", "the name of an axis is its index: `t`"},
    {"zeros ones full zeros_like ones_like full_like", "a number broadcasts: `0`"},
    {"len shape size numel", "`#t` is the extent of axis `t`"},
    {"roll", "`x[t := (t - 1) % #t]`"},
    {"shift", "`fill(x[t-1], 0)`"},
    {"flip", "`x[t := #t - 1 - t]`"},
    {"gather take index_select take_along_axis take_along_dim embedding", "`x[t := index]`"},
    {"scatter scatter_add index_add bincount segment_sum", "`sum[i](x where index == m)`"},
    {"tril triu causal_mask", "`x where j <= i`"},
    {"log_softmax", "`x - logsumexp[j](x)`"},
    {"var std variance", "`mean[c]((x - mean[c](x)) ** 2)`"},
    {"float double half bfloat16 float32 float16 float64 int long int32 int64", castHelp},
    {"conv1d conv convolve", "`sum[w](f * x[t - w])`"},
    {"scan associative_scan fori_loop while_loop reduce map vmap", noLoops},
    {"dropout rand randn random", "nothing is random: make it an input"},
};

constexpr Row statements[] = {
    {"for while loop do repeat foreach", noLoops},
    {"let var const auto val mut constexpr local final tensor Tensor float double int f32 f16 bf16 f64 i32 i64 bool",
     oneEquation},
    {"def fn function func fun", "a function stands beside the mixers: `fn f(x) = ...`"},
    {"assert", "`require #t > 0, \"why\"`"},
    {"if when switch match", "`y = a if condition else b`"},
    {"print printf echo", "nothing is printed: make it an output"},
    {"input output in out", "inputs and outputs stand in the signature: `mixer m(x: [t]) -> (y: [t])`"},
};

constexpr Row items[] = {
    {"def function func fun define lambda", "`fn f(x) = ...`"},
    {"kernel module class op layer attention model program", "`mixer m(x: [t]) -> (y: [t]) { ... }`"},
    {"include use using from require load", "`import \"file.attn\"`"},
    {"let var const param axis for if return", "this stands in the body of a mixer or function"},
};

constexpr Row names[] = {
    {"None null nil", "elements that are not there come from `where`; `fill(x, 0)` replaces them"},
    {"nan NaN NAN", "`0 / 0`"},
    {"infinity Infinity Inf INFINITY", "`inf`"},
    {"True TRUE", "`true`"},
    {"False FALSE", "`false`"},
    {"PI Pi", "`pi`"},
};

constexpr Row characters[] = {
    {"& ∧", "did you mean `and`?"},
    {"! ~ ¬", "did you mean `not`?"},
    {"∨", "did you mean `or`?"},
    {"^", "did you mean `**`?"},
    {"@", "`sum[d](a * b)`, where `d` is the axis that both have"},
    {"?", "`a if condition else b`"},
    {"× · ∗ ⋅", "did you mean `*`?"},
    {"− – —", "did you mean `-`?"},
    {"÷ ∕", "did you mean `/`?"},
    {"≤", "did you mean `<=`?"},
    {"≥", "did you mean `>=`?"},
    {"≠", "did you mean `!=`?"},
    {"∞", "did you mean `inf`?"},
    {"π", "did you mean `pi`?"},
    {"→ ⟶", "did you mean `->`?"},
    {"“ ” „ « »", "did you mean `\"`?"},
    {"′ ’ ‘", "did you mean `'`?"},
    {"'", "strings stand in `\"`"},
    {"√", "did you mean `sqrt`?"},
    {"Σ ∑", "did you mean `sum`?"},
    {"∏ Π", "did you mean `prod`?"},
    {"\u00A0 \u2002 \u2003 \u2009 \u202F \u3000", "did you mean a blank?"},
    {"\u200B \u200C \u200D \u2060 \uFEFF", "nothing shows here: delete it"},
    {"（", "did you mean `(`?"},
    {"）", "did you mean `)`?"},
    {"，", "did you mean `,`?"},
    {"：", "did you mean `:`?"},
};

constexpr Row dtypes[] = {
    {"float float32 fp32 single real Float Float32", "f32"},
    {"half float16 fp16 Half", "f16"},
    {"bfloat16 bfloat BFloat16", "bf16"},
    {"double float64 fp64 Double", "f64"},
    {"int int32 integer Int Int32", "i32"},
    {"long int64 Long Int64", "i64"},
    {"boolean Bool", "bool"},
    {"Tensor tensor array", "leave it out: a tensor without a dtype takes the floating dtype of the caller"},
};

constexpr Row attributes[] = {
    {"T mT H t transpose permute swapaxes reshape view unsqueeze squeeze expand contiguous flatten", noOrder},
    {"shape size ndim dim numel", "`#t` is the extent of axis `t`"},
    {"float half double to type astype int long bool bfloat16", castHelp},
};

constexpr std::string_view modules = " torch np numpy jnp jax F nn tf math mx scipy xp functional tl lax ";

} // namespace

std::string_view insteadOfFunction(std::string_view name) { return find(functions, name); }
std::string_view insteadOfStatement(std::string_view word) { return find(statements, word); }
std::string_view insteadOfItem(std::string_view word) { return find(items, word); }
std::string_view insteadOfDtype(std::string_view name) { return find(dtypes, name); }
std::string_view insteadOfName(std::string_view name) { return find(names, name); }

std::string_view insteadOfCharacter(std::string_view character) {
  if (std::string_view help = find(characters, character); !help.empty())
    return help;
  // A letter of another alphabet, or one that only looks like ours.
  return static_cast<unsigned char>(character[0]) >= 0x80
             ? std::string_view("names have ASCII letters, digits and `_`, and may end in `'`")
             : std::string_view();
}

std::string insteadOfAttribute(std::string_view receiver, std::string_view attribute) {
  if (attribute == "..." || attribute == "..")
    return "axes that are not named stay as they are: leave it out";
  std::string_view name = attribute.substr(1);
  if (modules.find(fmt::format(" {} ", receiver)) != modules.npos)
    return fmt::format("leave out `{}.`; axes stand in brackets, as in `softmax[j](s)`", receiver);
  if (std::string_view help = find(attributes, name); !help.empty())
    return std::string(help);
  return fmt::format("`{}(x)`, or `{}[t](x)` along an axis, if there is such a function", name, name);
}

} // namespace attnc
