//===- What NVRTC made before ---------------------------------------------===//
#include "codegen/driver/NvrtcCache.h"
#include "runtime/Cache.h"
#include "runtime/CacheBytes.h"
#include <cstdlib>

namespace attnc {

namespace {

std::string serialize(const cuda::NvrtcOutput &output) {
  ByteWriter w;
  w.text(output.code);
  w.real(output.seconds);
  w.u64(output.kernels.size());
  for (const cuda::KernelFigures &k : output.kernels) {
    w.text(k.name);
    w.i64(k.registers);
    w.i64(k.sharedBytes);
    w.i64(k.stackBytes);
    w.i64(k.spillBytes);
  }
  return w.take();
}

bool parse(std::string_view bytes, cuda::NvrtcOutput &output) {
  ByteReader r(bytes);
  output = {};
  output.code = r.text();
  output.seconds = r.real();
  for (uint64_t n = r.count(); n > 0; --n) {
    cuda::KernelFigures &k = output.kernels.emplace_back();
    k.name = r.text();
    k.registers = int(r.i64());
    k.sharedBytes = int(r.i64());
    k.stackBytes = int(r.i64());
    k.spillBytes = int(r.i64());
  }
  return r.atEnd() && !output.code.empty();
}

} // namespace

cuda::NvrtcResult compileCached(const std::string &text, const CompileRequest &request, cuda::NvrtcOutput &output,
                                std::string &error) {
  bool ptx = request.stage == "ptx";
  KernelCache cache = request.cacheDirectory.empty() ? KernelCache::disabled()
                                                     : KernelCache(request.cacheDirectory, request.cacheLimit);
  CacheKey key;
  key.add("nvrtc").add(request.compilerStamp).add(cuda::nvrtcVersion()).add(request.arch).add(ptx).add(text);
  if (const char *nvrtc = std::getenv("ATTNC_NVRTC"))
    key.add(nvrtc);
  std::string known;
  if (cache.read('N', key.finish(), known) && parse(known, output))
    return cuda::NvrtcResult::Done;
  cuda::NvrtcResult result = cuda::compileWithNvrtc(text, request.arch, ptx, output, error);
  if (result == cuda::NvrtcResult::Done)
    cache.write('N', key.finish(), serialize(output));
  return result;
}

} // namespace attnc
