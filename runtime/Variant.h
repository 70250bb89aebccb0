//===- What code is made for ----------------------------------------------===//
#pragma once
#include "runtime/DType.h"
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace attnc {

/// Calls that one kernel serves: the inputs left out, the dtypes passed, the extents it is specialised on, the strides.
struct VariantKey {
  std::set<std::string> leftOut;
  std::map<std::string, DType> dtypes;    ///< of the inputs passed; a missing one has its declared dtype, else f32
  std::map<std::string, int64_t> extents; ///< symbols that code was specialised on
  bool rows = false;                      ///< the last dim of every input has stride 1; else: any strides
  bool operator<(const VariantKey &o) const;
  std::string serialize() const;
};

bool parseVariantKey(std::string_view bytes, VariantKey &key);

} // namespace attnc
