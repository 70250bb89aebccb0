//===- A tape of scalar operations ----------------------------------------===//
//
// Records real arithmetic on values that depend on chosen leaves. Operations on constants leave no trace. The backward
// pass is written with the same recorded operations, so a gradient can itself be differentiated: its adjoints are on
// the tape when asked to be.
//===----------------------------------------------------------------------===//
#pragma once
#include "frontend/Program.h"
#include "runtime/Message.h"
#include <cstdint>
#include <vector>

namespace attnc::reference {

struct TapeValue {
  double v = 0;
  int32_t id = -1; ///< -1: constant
};

class Tape {
public:
  enum Code : uint8_t {
    Leaf,
    Copy, ///< a leaf of an inner gradient: a in the outer one
    Lin,  ///< sum of coefficient * variable over terms a .. b-1
    Mul,
    Div,
    PowC,      ///< a ** c
    PowV,      ///< a ** b
    ExpC,      ///< c ** a
    LogSumExp, ///< over terms a .. b-1
    Unary,     ///< fn(a)
  };

  TapeValue leaf(double v, int level);
  TapeValue copy(TapeValue x, int level);
  TapeValue add(TapeValue x, TapeValue y);
  TapeValue sub(TapeValue x, TapeValue y);
  TapeValue scale(TapeValue x, double c);
  TapeValue mul(TapeValue x, TapeValue y);
  TapeValue div(TapeValue x, TapeValue y);
  TapeValue pow(TapeValue x, TapeValue y);
  TapeValue unary(Fn fn, TapeValue x);
  /// `value`, with the derivative of sum(coefficients * xs).
  TapeValue linear(double value, const std::vector<TapeValue> &xs, const std::vector<double> &coefficients);
  /// `value`, the log-sum-exp of xs and of constants.
  TapeValue logSumExp(double value, const std::vector<TapeValue> &xs);

  /// Derivatives of the sum of `results` with respect to every entry from `start` on that belongs to `level`. With
  /// `record` they are tape values themselves.
  std::vector<TapeValue> backward(const std::vector<int32_t> &results, int32_t start, int level, bool record);
  int32_t size() const { return static_cast<int32_t>(entries_.size()); }

private:
  struct Entry {
    Code code;
    uint8_t level; ///< depth of the innermost gradient whose leaves it may depend on
    Fn fn;
    int32_t a, b;
    double v, c;
  };
  TapeValue push(Code code, double v, int32_t a, int32_t b = -1, double c = 0, Fn fn = Fn::Add);
  TapeValue pushTerms(Code code, double v, const std::vector<TapeValue> &xs, const std::vector<double> *coefficients);
  TapeValue derivative(Fn fn, TapeValue x, TapeValue y);
  void limit() const;

  std::vector<Entry> entries_;
  std::vector<int32_t> termId_;
  std::vector<double> termCoefficient_;
};

} // namespace attnc::reference
