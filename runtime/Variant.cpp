//===- What code is made for ----------------------------------------------===//
#include "runtime/Variant.h"
#include "runtime/CacheBytes.h"
#include <tuple>

namespace attnc {

bool VariantKey::operator<(const VariantKey &o) const {
  return std::tie(leftOut, dtypes, extents, rows) < std::tie(o.leftOut, o.dtypes, o.extents, o.rows);
}

std::string VariantKey::serialize() const {
  ByteWriter w;
  w.u64(leftOut.size());
  for (const std::string &name : leftOut)
    w.text(name);
  w.u64(dtypes.size());
  for (auto &[name, dtype] : dtypes) {
    w.text(name);
    w.u8(uint8_t(dtype));
  }
  w.numbers(extents);
  w.u8(rows);
  return w.take();
}

bool parseVariantKey(std::string_view bytes, VariantKey &key) {
  ByteReader r(bytes);
  key = {};
  for (uint64_t n = r.count(); n > 0; --n)
    key.leftOut.insert(r.text());
  for (uint64_t n = r.count(); n > 0; --n) {
    std::string name = r.text();
    uint8_t dtype = r.u8();
    if (dtype > uint8_t(DType::Bool))
      r.setBad();
    else
      key.dtypes[name] = DType(dtype);
  }
  key.extents = r.numbers();
  key.rows = r.u8() != 0;
  return r.atEnd();
}

} // namespace attnc
