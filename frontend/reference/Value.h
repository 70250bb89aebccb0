//===- Values that may be absent ------------------------------------------===//
//
// A value is a number, or it is absent for one or more causes, each a set of axes. Cause lists are interned: a value
// carries a number, 0 for "present", and the operations on lists are looked up in tables, since a program has few
// distinct lists but meets them at every masked element.
//===----------------------------------------------------------------------===//
#pragma once
#include "frontend/Program.h"
#include <map>
#include <unordered_map>

namespace attnc::reference {

/// Index of an interned list of causes; 0: none, the value is there.
using CauseList = uint32_t;

struct Value {
  union {
    double r;  ///< Kind::Real
    int64_t i; ///< Kind::Int; Kind::Bool as 0 or 1
  };
  CauseList absent;

  static Value real(double v) {
    Value x;
    x.r = v;
    x.absent = 0;
    return x;
  }
  static Value integer(int64_t v) {
    Value x;
    x.i = v;
    x.absent = 0;
    return x;
  }
  static Value missing(CauseList causes) {
    Value x;
    x.i = 0;
    x.absent = causes;
    return x;
  }
};

inline double asReal(Value v, Kind kind) { return kind == Kind::Real ? v.r : static_cast<double>(v.i); }

class Causes {
public:
  Causes();
  unsigned axes(const AxisSet &set);
  CauseList single(const AxisSet &set);
  CauseList unite(CauseList a, CauseList b) { return a == b || b == 0 ? a : a == 0 ? b : uniteSlow(a, b); }
  /// Every cause also mentions the axes `set` (an index from axes()).
  CauseList join(CauseList list, unsigned set);
  /// The causes that have none of the axes `set`; 0 when all have one.
  CauseList staying(CauseList list, unsigned set);
  /// What the causes are on the reading side: replaced axes give way to those of their index.
  CauseList substitute(CauseList list, const Node &read);

private:
  CauseList intern(std::vector<unsigned> sets);
  CauseList uniteSlow(CauseList a, CauseList b);

  std::vector<AxisSet> sets_;
  std::map<std::vector<AxisId>, unsigned> setIndex_;
  std::vector<std::vector<unsigned>> lists_;
  std::map<std::vector<unsigned>, CauseList> listIndex_;
  std::unordered_map<uint64_t, CauseList> unite_, join_, staying_, substitute_;
};

} // namespace attnc::reference
