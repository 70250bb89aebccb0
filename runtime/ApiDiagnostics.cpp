//===- Diagnostics as bytes, for the border between the libraries ---------===//
#include "runtime/ApiTypes.h"
#include "runtime/CacheBytes.h"

namespace attnc {

std::string serializeDiagnostics(const std::vector<DiagnosticData> &list) {
  ByteWriter w;
  w.u64(list.size());
  for (const DiagnosticData &d : list) {
    w.u8(uint8_t(d.severity));
    for (const std::string *s : {&d.id, &d.message, &d.label, &d.help, &d.file})
      w.text(*s);
    for (uint32_t v : {d.line, d.column, d.endLine, d.endColumn})
      w.u64(v);
  }
  return w.take();
}

std::vector<DiagnosticData> parseDiagnostics(std::string_view bytes) {
  ByteReader r(bytes);
  std::vector<DiagnosticData> list;
  for (uint64_t n = r.count(); n > 0 && r.good(); --n) {
    DiagnosticData d;
    d.severity = attnc_severity(r.u8());
    for (std::string *s : {&d.id, &d.message, &d.label, &d.help, &d.file})
      *s = r.text();
    for (uint32_t *v : {&d.line, &d.column, &d.endLine, &d.endColumn})
      *v = uint32_t(r.u64());
    list.push_back(std::move(d));
  }
  return list;
}

} // namespace attnc
