//===- Signatures as bytes ------------------------------------------------===//
//
// Field by field; extents as trees in prefix order. What comes back is checked as far as using it could go wrong:
// symbol numbers, operand counts, depth.
//===----------------------------------------------------------------------===//
#include "runtime/CacheSignature.h"
#include "runtime/CacheBytes.h"

namespace attnc {

namespace {

void writeExtent(ByteWriter &w, const ExtentRef &e) {
  if (!e) {
    w.u8(255);
    return;
  }
  w.u8(uint8_t(e->op));
  w.i64(e->value);
  w.i64(e->symbol);
  w.u64(e->args.size());
  for (const ExtentRef &a : e->args)
    writeExtent(w, a);
}

struct SignatureReader {
  ByteReader r;
  size_t symbols = 0;

  ExtentRef extent(int depth = 0) {
    uint8_t op = r.u8();
    if (op == 255 || !r.good())
      return nullptr;
    auto e = std::make_shared<Extent>();
    e->op = ExtentOp(op);
    e->value = r.i64();
    int64_t symbol = r.i64();
    e->symbol = int(symbol);
    uint64_t n = r.count();
    bool leaf = e->op == ExtentOp::Const || e->op == ExtentOp::Symbol;
    if (op > uint8_t(ExtentOp::Not) || depth > 1000 || leaf != (n == 0) ||
        (e->op == ExtentOp::Symbol && (symbol < 0 || uint64_t(symbol) >= symbols))) {
      r.setBad();
      return nullptr;
    }
    for (; n > 0; --n) {
      e->args.push_back(extent(depth + 1));
      if (!e->args.back()) {
        r.setBad();
        return nullptr;
      }
    }
    return e;
  }
  std::optional<DType> dtype() {
    uint8_t v = r.u8();
    if (v <= uint8_t(DType::Bool))
      return DType(v);
    if (v != 255)
      r.setBad();
    return std::nullopt;
  }
};

void writeDType(ByteWriter &w, const std::optional<DType> &dtype) { w.u8(dtype ? uint8_t(*dtype) : 255); }

void writeArguments(ByteWriter &w, const std::vector<Argument> &list) {
  w.u64(list.size());
  for (const Argument &a : list) {
    w.text(a.name);
    writeDType(w, a.dtype);
    w.u64(a.dims.size());
    for (const Dim &d : a.dims) {
      w.text(d.text);
      w.u64(d.axes.size());
      for (const std::string &axis : d.axes)
        w.text(axis);
      w.u64(d.radix.size());
      for (const ExtentRef &e : d.radix)
        writeExtent(w, e);
      writeExtent(w, d.length);
    }
    w.u8(a.hasDefault);
    w.text(a.indexOf);
    writeExtent(w, a.indexBound);
  }
}

std::vector<Argument> readArguments(SignatureReader &s) {
  std::vector<Argument> list;
  for (uint64_t n = s.r.count(); n > 0 && s.r.good(); --n) {
    Argument a;
    a.name = s.r.text();
    a.dtype = s.dtype();
    for (uint64_t m = s.r.count(); m > 0 && s.r.good(); --m) {
      Dim d;
      d.text = s.r.text();
      for (uint64_t k = s.r.count(); k > 0; --k)
        d.axes.push_back(s.r.text());
      for (uint64_t k = s.r.count(); k > 0 && s.r.good(); --k)
        d.radix.push_back(s.extent());
      d.length = s.extent();
      a.dims.push_back(std::move(d));
    }
    a.hasDefault = s.r.u8() != 0;
    a.indexOf = s.r.text();
    a.indexBound = s.extent();
    list.push_back(std::move(a));
  }
  return list;
}

} // namespace

std::string serializeSignature(const Signature &s) {
  ByteWriter w;
  w.text(s.mixer);
  w.text(s.doc);
  w.u64(s.symbols.size());
  for (const Symbol &symbol : s.symbols) {
    w.text(symbol.name);
    w.u8(symbol.feature);
  }
  writeArguments(w, s.inputs);
  writeArguments(w, s.outputs);
  w.u64(s.requirements.size());
  for (const Requirement &q : s.requirements) {
    writeExtent(w, q.condition);
    w.text(q.message);
  }
  w.u64(s.params.size());
  for (const Param &p : s.params) {
    w.text(p.name);
    w.u8(p.kind);
    w.real(p.real);
    w.i64(p.integer);
    writeDType(w, p.dtype);
  }
  return w.take();
}

bool parseSignature(std::string_view bytes, Signature &signature) {
  SignatureReader s{ByteReader(bytes)};
  signature = {};
  signature.mixer = s.r.text();
  signature.doc = s.r.text();
  for (uint64_t n = s.r.count(); n > 0 && s.r.good(); --n) {
    Symbol symbol;
    symbol.name = s.r.text();
    symbol.feature = s.r.u8() != 0;
    signature.symbols.push_back(std::move(symbol));
  }
  s.symbols = signature.symbols.size();
  signature.inputs = readArguments(s);
  signature.outputs = readArguments(s);
  for (uint64_t n = s.r.count(); n > 0 && s.r.good(); --n) {
    Requirement q;
    q.condition = s.extent();
    q.message = s.r.text();
    if (!q.condition)
      s.r.setBad();
    signature.requirements.push_back(std::move(q));
  }
  for (uint64_t n = s.r.count(); n > 0 && s.r.good(); --n) {
    Param p;
    p.name = s.r.text();
    uint8_t kind = s.r.u8();
    p.kind = kind <= Param::Real ? Param::Kind(kind) : Param::Int;
    p.real = s.r.real();
    p.integer = s.r.i64();
    p.dtype = s.dtype();
    signature.params.push_back(std::move(p));
  }
  return s.r.atEnd();
}

} // namespace attnc
