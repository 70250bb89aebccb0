//===- Extents and random inputs for verify, bench and explain ------------===//
#include "tools/attnc/Sample.h"
#include "runtime/Bind.h"
#include <cmath>
#include <fmt/format.h>

namespace attnc::cli {

namespace {

/// splitmix64: small, and the same on every system.
class Random {
public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15 + 0x243f6a8885a308d3) {}
  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  int64_t below(int64_t n) { return n > 0 ? int64_t(next() % uint64_t(n)) : 0; }
  double uniform() { return double(next() >> 11) * 0x1p-53; }
  double normal() { return std::sqrt(-2 * std::log(uniform() + 0x1p-54)) * std::cos(6.283185307179586 * uniform()); }

private:
  uint64_t state_;
};

class SizeSolver {
public:
  SizeSolver(const Signature &signature, std::vector<int64_t> &symbols, Error &error)
      : sig_(signature), symbols_(symbols), error_(error) {}

  bool run(const std::map<std::string, int64_t> &sizes, int set) {
    symbols_.assign(sig_.symbols.size(), -1);
    if (!fixAll(sizes))
      return false;
    std::vector<int64_t> fixed = symbols_;
    // Defaults by order of declaration: batch and heads come first in most signatures.
    static const int64_t outer[kSizeSets][6] = {
        {3, 5, 13, 7, 11, 9}, {2, 3, 67, 37, 21, 13}, {35, 3, 5, 19, 2, 7}, {1, 1, 1, 1, 1, 1}};
    static const int64_t inner[kSizeSets][6] = {
        {7, 5, 9, 11, 3, 13}, {8, 16, 5, 6, 4, 7}, {17, 3, 8, 5, 9, 2}, {1, 2, 3, 1, 2, 3}};
    size_t outerCount = 0, innerCount = 0;
    for (size_t i = 0; i < symbols_.size(); ++i)
      if (symbols_[i] < 0)
        symbols_[i] = sig_.symbols[i].feature ? inner[set][innerCount++ % 6] : outer[set][outerCount++ % 6];
    if (fits())
      return true;
    Random random(uint64_t(set) + 1);
    for (int trial = 0; trial < 20000; ++trial) {
      int64_t top = trial < 2000 ? 16 : trial < 8000 ? 64 : 256;
      for (size_t i = 0; i < symbols_.size(); ++i)
        symbols_[i] = fixed[i] >= 0 ? fixed[i] : 1 + random.below(top);
      if (fits())
        return true;
    }
    error_ = Error(Msg::A922, sig_.mixer, sizes.empty() ? "" : " and these --sizes")
                 .withHelp(sizes.empty() ? "give --sizes" : "give other or more --sizes");
    return false;
  }

  /// Takes what --sizes says; what is known already must agree.
  bool fixAll(const std::map<std::string, int64_t> &sizes) {
    for (auto &[name, value] : sizes)
      if (!fix(name, value))
        return false;
    return true;
  }

private:
  /// Solves e == value for its one unknown symbol.
  bool solve(const ExtentRef &e, const std::string &name, int64_t value) {
    if (auto known = extentEval(e, symbols_)) {
      if (*known == value)
        return true;
      return error_.report(Msg::A919, name, value, *known);
    }
    ExtentRef rest = extentSpecialise(e, symbols_);
    for (size_t i = 0; i < symbols_.size(); ++i) {
      int64_t factor = 0, offset = 0;
      if (symbols_[i] >= 0 || !extentUses(rest, int(i)) || !extentLinear(rest, int(i), factor, offset) || factor == 0)
        continue;
      if ((value - offset) % factor != 0 || (value - offset) / factor < 0)
        return error_.report(Msg::A920, name, value, extentText(rest, names()));
      symbols_[i] = (value - offset) / factor;
      return true;
    }
    return error_.report(Msg::A921, name, value, extentText(rest, names()));
  }

  bool fix(const std::string &name, int64_t value) {
    for (size_t i = 0; i < sig_.symbols.size(); ++i)
      if (sig_.symbols[i].name == name)
        return solve(extentSymbol(int(i)), name, value);
    std::vector<std::string> known = names();
    for (const auto *list : {&sig_.inputs, &sig_.outputs})
      for (const Argument &a : *list)
        for (const Dim &d : a.dims) {
          if (d.text == name)
            return solve(d.length, name, value);
          for (size_t k = 0; k < d.axes.size(); ++k) {
            if (d.axes[k] == name)
              return solve(d.axes.size() == 1 ? d.length : d.radix[k], name, value);
            known.push_back(d.axes[k]);
          }
        }
    std::string near = nearestName(name, known);
    error_ = Error(Msg::A918, name, value, sig_.mixer)
                 .withHelp(near.empty() ? suggestion(name, names(), "its extents are")
                                        : fmt::format("did you mean `{}`?", near));
    return false;
  }

  std::vector<std::string> names() const {
    std::vector<std::string> list;
    for (const Symbol &s : sig_.symbols)
      list.push_back(s.name);
    return list;
  }

  bool fits() const {
    for (const Requirement &r : sig_.requirements)
      if (extentEval(r.condition, symbols_).value_or(0) == 0)
        return false;
    for (const auto *list : {&sig_.inputs, &sig_.outputs})
      for (const Argument &a : *list) {
        for (int64_t n : argumentShape(a, symbols_))
          if (n < 0)
            return false;
        if (a.indexBound && extentEval(a.indexBound, symbols_).value_or(0) < 0)
          return false;
      }
    return true;
  }

  const Signature &sig_;
  std::vector<int64_t> &symbols_;
  Error &error_;
};

} // namespace

bool sampleSizes(const Signature &signature, const std::map<std::string, int64_t> &sizes, int set,
                 std::vector<int64_t> &symbols, Error &error) {
  return SizeSolver(signature, symbols, error).run(sizes, set);
}

bool sizesAgree(const Signature &signature, const std::map<std::string, int64_t> &sizes, std::vector<int64_t> symbols,
                Error &error) {
  return SizeSolver(signature, symbols, error).fixAll(sizes);
}

bool sampleInputs(const Signature &signature, const std::vector<int64_t> &symbols, const std::set<std::string> &leftOut,
                  DType undeclared, uint64_t seed, Tensors &inputs, Error &error) {
  uint64_t index = 0;
  for (const Argument &a : signature.inputs) {
    Random random(seed * 1000 + ++index);
    if (leftOut.count(a.name))
      continue;
    HostTensor t;
    if (!HostTensor::allocate(a.dtype.value_or(undeclared), argumentShape(a, symbols), t))
      return error.report(Msg::A800, fmt::format("input `{}`", a.name));
    int64_t count = t.count();
    int64_t bound = a.indexBound ? extentEval(a.indexBound, symbols).value_or(0) : 5;
    for (int64_t i = 0; i < count; ++i) {
      if (isFloat(t.dtype))
        t.setReal(i, random.normal() / 2);
      else if (t.dtype == DType::Bool)
        t.setInt(i, random.below(4) != 0);
      else if (!a.indexOf.empty())
        t.setInt(i, bound == 0 || random.below(10) == 0 ? -1 : random.below(bound));
      else
        t.setInt(i, random.below(bound));
    }
    inputs[a.name] = t;
  }
  return true;
}

std::string sizesText(const Signature &signature, const std::vector<int64_t> &symbols) {
  std::string text;
  for (size_t i = 0; i < signature.symbols.size(); ++i)
    text += fmt::format("{}{}={}", i ? ", " : "", signature.symbols[i].name, symbols[i]);
  return text;
}

} // namespace attnc::cli
