//===- Requests and answers as bytes --------------------------------------===//
#include "codegen/driver/Request.h"
#include "frontend/Diagnostic.h"
#include "runtime/Cache.h"
#include "runtime/CacheBytes.h"
#include "runtime/cuda/Driver.h"
#include <cstdlib>
#include <fmt/format.h>

namespace attnc {

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
  a.irHash = r.text();
  a.stage = r.text();
  std::string_view blob = r.view();
  a.blobCached = r.u8() != 0;
  a.explainText = r.text();
  a.flops = r.real();
  a.bytes = r.real();
  std::string error;
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

static bool oneOf(const std::string &name, const std::vector<std::string> &known, const char *what,
                  std::string &error) {
  std::string list;
  for (const std::string &k : known) {
    if (k == name)
      return true;
    list += (list.empty() ? "" : ", ") + k;
  }
  std::string best = nearestName(name, known);
  error = fmt::format("unknown {} '{}'{}; there are {}", what, name,
                      best.empty() ? "" : fmt::format(", did you mean '{}'?", best), list);
  return false;
}

bool checkTarget(const std::string &target, const std::string &arch, std::string &error) {
  static const std::vector<std::string> targets = {"cpu", "cuda", "cuda-emulated"};
  static const std::vector<std::string> cpus = {"native", "x86-64-v3", "x86-64-v4"};
  static const std::vector<std::string> gpus = {"native",  "sm_75",  "sm_80",   "sm_86",  "sm_87",   "sm_88",
                                                "sm_89",   "sm_90",  "sm_90a",  "sm_100", "sm_100a", "sm_103",
                                                "sm_103a", "sm_110", "sm_110a", "sm_120", "sm_120a", "sm_121"};
  if (!oneOf(target, targets, "target", error))
    return false;
  return arch.empty() ||
         oneOf(arch, target == "cpu" ? cpus : gpus, fmt::format("arch of target {}", target).c_str(), error);
}

bool resolveArch(const std::string &target, std::string &arch, std::string &error) {
  if (target != "cuda" || (!arch.empty() && arch != "native"))
    return true;
  CudaDriver::Outcome outcome;
  const CudaDriver *driver = CudaDriver::get(outcome, error);
  if (driver)
    arch = driver->arch();
  return driver != nullptr;
}

} // namespace attnc
