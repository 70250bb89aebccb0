//===- Requests and answers as bytes --------------------------------------===//
#include "codegen/driver/Request.h"
#include "runtime/Cache.h"
#include "runtime/CacheBytes.h"
#include "runtime/cuda/Driver.h"
#include <cstdlib>

namespace attnc {

namespace {

void writeTensor(ByteWriter &w, const HostTensor &t) {
  w.text(dtypeName(t.dtype));
  w.u64(t.shape.size());
  for (int64_t e : t.shape)
    w.i64(e);
  w.text({static_cast<const char *>(t.data), size_t(t.count()) * dtypeSize(t.dtype)});
}

bool readTensor(ByteReader &r, HostTensor &t) {
  std::optional<DType> dtype = dtypeFromName(r.text());
  std::vector<int64_t> shape;
  int64_t count = 1;
  for (uint64_t n = r.count(); n > 0; --n) {
    shape.push_back(r.i64());
    if (shape.back() < 0 || __builtin_mul_overflow(count, shape.back(), &count))
      return false;
  }
  std::string_view bytes = r.view();
  if (!r.good() || !dtype || bytes.size() != size_t(count) * dtypeSize(*dtype) ||
      !HostTensor::allocate(*dtype, shape, t))
    return false;
  if (!bytes.empty())
    std::memcpy(t.data, bytes.data(), bytes.size());
  return true;
}

} // namespace

std::string serializeRequest(const CompileRequest &q) {
  ByteWriter w;
  w.text(q.path);
  w.text(q.text);
  w.text(q.mixer);
  w.u64(q.params.size());
  for (auto &[name, value] : q.params) {
    w.text(name);
    w.text(value);
  }
  w.text(q.variant.serialize());
  w.numbers(q.sizes);
  w.u64(q.data.size());
  for (auto &[name, tensor] : q.data) {
    w.text(name);
    writeTensor(w, tensor);
  }
  w.i64(q.instance);
  w.text(q.target);
  w.text(q.arch);
  w.text(q.stage);
  w.text(q.cacheDirectory);
  w.i64(q.cacheLimit);
  w.text(q.compilerStamp);
  return w.take();
}

bool parseRequest(std::string_view bytes, CompileRequest &q) {
  ByteReader r(bytes);
  q = {};
  q.path = r.text();
  q.text = r.text();
  q.mixer = r.text();
  for (uint64_t n = r.count(); n > 0; --n) {
    std::string name = r.text();
    q.params[name] = r.text();
  }
  if (!parseVariantKey(r.view(), q.variant))
    r.setBad();
  q.sizes = r.numbers();
  for (uint64_t n = r.count(); n > 0; --n) {
    std::string name = r.text();
    if (!readTensor(r, q.data[name]))
      r.setBad();
  }
  q.instance = r.i64();
  q.target = r.text();
  q.arch = r.text();
  q.stage = r.text();
  q.cacheDirectory = r.text();
  q.cacheLimit = r.i64();
  q.compilerStamp = r.text();
  return r.atEnd();
}

std::string serializeAnswer(const CompileAnswer &a) {
  ByteWriter w;
  w.u8(a.status);
  w.text(a.messages);
  w.u64(a.error.id ? uint64_t(*a.error.id) + 1 : 0);
  w.text(a.error.text);
  w.text(a.error.help);
  w.text(a.irHash);
  w.text(a.stage);
  w.text(a.blob.image.empty() ? std::string() : serializeBlob(a.blob));
  w.u8(a.blobCached);
  w.text(a.explainText);
  w.real(a.flops);
  w.real(a.bytes);
  return w.take();
}

bool parseAnswer(std::string_view bytes, CompileAnswer &a) {
  ByteReader r(bytes);
  a = {};
  uint8_t status = r.u8();
  a.status = status <= CompileAnswer::Internal ? CompileAnswer::Status(status) : CompileAnswer::Internal;
  a.messages = r.text();
  if (uint64_t id = r.u64())
    a.error.id = Msg(id - 1);
  a.error.text = r.text();
  a.error.help = r.text();
  a.irHash = r.text();
  a.stage = r.text();
  std::string_view blob = r.view();
  a.blobCached = r.u8() != 0;
  a.explainText = r.text();
  a.flops = r.real();
  a.bytes = r.real();
  Error error;
  return r.atEnd() && (blob.empty() || parseBlob(blob, a.blob, error));
}

std::string blobKey(const std::string &irHash, const CompileRequest &request) {
  CacheKey key;
  key.add("blob").add(request.compilerStamp).add(irHash).add(request.target).add(request.arch);
  // The library that makes cubins, where one is asked for by name.
  if (const char *nvrtc = std::getenv("ATTNC_NVRTC"); nvrtc && request.target == "cuda")
    key.add(nvrtc);
  if (request.arch == "native" || request.arch.empty())
    key.add(hostCpuStamp());
  return key.finish();
}

bool resolveArch(const std::string &target, std::string &arch, Error &error) {
  if (target != "cuda" || (!arch.empty() && arch != "native"))
    return true;
  const CudaDriver *driver = CudaDriver::get(error);
  if (!driver)
    return false;
  arch = driver->arch();
  return true;
}

} // namespace attnc
