//===- Helpers of compiled kernels: sorting and f64 functions -------------===//
//
// Keys of any type become unsigned integers in the wanted order: for floats the sign-magnitude bits flip into two's
// complement order, -0 counts as 0, NaN is the largest in either direction. Then (key, position) pairs are all
// different, ties resolve to the smaller position by themselves, and an unstable partial sort gives the stable answer.
//===----------------------------------------------------------------------===//
#include "runtime/Helpers.h"
#include "runtime/Threads.h"
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

namespace attnc {

namespace {

constexpr int64_t kDescending = 1, kNanNever = 2;

struct Keys {
  const void *keys;
  int64_t stride, type;
  const uint8_t *valid;
  int64_t validStride;
  bool descending, nanNever;

  /// Key of position i, smallest first; false where the position does not take part.
  bool get(int64_t i, uint64_t &key) const {
    if (valid && !valid[i * validStride])
      return false;
    if (type == 2) {
      int64_t v = static_cast<const int64_t *>(keys)[i * stride];
      key = uint64_t(v) ^ (uint64_t(1) << 63);
      if (descending)
        key = ~key;
      return true;
    }
    double v = type == 0 ? double(static_cast<const float *>(keys)[i * stride])
                         : static_cast<const double *>(keys)[i * stride];
    if (std::isnan(v)) {
      key = UINT64_MAX;
      return !nanNever;
    }
    if (v == 0)
      v = 0; // -0
    uint64_t bits;
    std::memcpy(&bits, &v, 8);
    key = bits >> 63 ? ~bits : bits | (uint64_t(1) << 63);
    if (descending)
      key = ~key;
    return true;
  }
};

struct Entry {
  uint64_t key;
  int64_t position;
  bool operator<(const Entry &o) const { return key != o.key ? key < o.key : position < o.position; }
};

/// The same without memory: finds the next larger entry again and again.
int64_t selectSlowly(const Keys &keys, int64_t n, int64_t *out, int64_t outStride, int64_t count) {
  Entry last = {0, -1};
  for (int64_t r = 0; r < count; ++r) {
    bool found = false;
    Entry best = {0, 0};
    for (int64_t i = 0; i < n; ++i) {
      Entry e = {0, i};
      if (keys.get(i, e.key) && (r == 0 || last < e) && (!found || e < best)) {
        best = e;
        found = true;
      }
    }
    if (!found)
      return r;
    out[r * outStride] = best.position;
    last = best;
  }
  return count;
}

} // namespace

void sortRow(const void *data, int64_t keyStride, int64_t keyType, const uint8_t *valid, int64_t validStride, int64_t n,
             int64_t *out, int64_t outStride, int64_t count, int64_t flags) {
  Keys keys = {data, keyStride, keyType, valid, validStride, (flags & kDescending) != 0, (flags & kNanNever) != 0};
  int64_t taken = 0;
  constexpr int64_t kSmall = 256;
  Entry small[kSmall];
  Entry *entries = n <= kSmall ? small : static_cast<Entry *>(std::malloc(size_t(n) * sizeof(Entry)));
  if (entries || n <= 0) {
    int64_t m = 0;
    for (int64_t i = 0; i < n; ++i)
      if (keys.get(i, entries[m].key))
        entries[m++].position = i;
    taken = std::min(m, count);
    if (taken < m)
      std::nth_element(entries, entries + taken, entries + m);
    std::sort(entries, entries + taken);
    for (int64_t r = 0; r < taken; ++r)
      out[r * outStride] = entries[r].position;
    if (entries != small)
      std::free(entries);
  } else {
    taken = selectSlowly(keys, n, out, outStride, count);
  }
  for (int64_t r = taken; r < count; ++r)
    out[r * outStride] = 0;
}

const KernelHelpers &kernelHelpers() {
  static const KernelHelpers table = [] {
    KernelHelpers h = {};
    h.parallelFor = kernelParallelFor;
    h.sortRow = sortRow;
    h.math1[kExp] = std::exp;
    h.math1[kExp2] = std::exp2;
    h.math1[kExpm1] = std::expm1;
    h.math1[kLog] = std::log;
    h.math1[kLog1p] = std::log1p;
    h.math1[kSin] = std::sin;
    h.math1[kCos] = std::cos;
    h.math1[kTanh] = std::tanh;
    h.math1[kErf] = std::erf;
    h.math2[kPow] = std::pow;
    h.math2[kAtan2] = std::atan2;
    return h;
  }();
  return table;
}

} // namespace attnc
