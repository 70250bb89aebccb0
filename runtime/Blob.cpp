//===- A compiled kernel as bytes -----------------------------------------===//
//
// On disk: magic, ABI, checksum of the rest, then the fields. Signatures and blobs share the envelope, so that one
// reader tells apart what is cut, damaged, of another version or of another kind.
//===----------------------------------------------------------------------===//
#include "runtime/Blob.h"
#include "runtime/CacheBytes.h"
#include "runtime/Kernel.h"
#include <fmt/format.h>

namespace attnc {

static constexpr std::string_view kMagic = "attnc\r\n\x1a";
static constexpr size_t kChecksum = 64;

std::string sealBytes(char kind, std::string_view payload) {
  ByteWriter w;
  w.u8(uint8_t(kind));
  w.u64(kKernelAbi);
  w.text(payload);
  std::string body = w.take();
  return std::string(kMagic) + sha256(body) + body;
}

bool unsealBytes(char kind, std::string_view bytes, std::string_view &payload, Error &error) {
  if (bytes.substr(0, kMagic.size()) != kMagic)
    return error.report(Msg::A805);
  bytes.remove_prefix(kMagic.size());
  if (bytes.size() < kChecksum || sha256(bytes.substr(kChecksum)) != bytes.substr(0, kChecksum))
    return error.report(Msg::A806);
  ByteReader r(bytes.substr(kChecksum));
  char found = char(r.u8());
  uint64_t abi = r.u64();
  if (abi != kKernelAbi)
    return error.report(Msg::A807, abi, kKernelAbi);
  if (found != kind)
    return error.report(Msg::A805);
  payload = r.view();
  if (!r.atEnd())
    return error.report(Msg::A806);
  return true;
}

std::string serializeBlob(const KernelBlob &blob) {
  ByteWriter w;
  w.u8(uint8_t(blob.form));
  w.text(blob.image);
  w.text(blob.plan);
  w.u64(blob.workspaceBytes);
  w.u64(blob.run);
  w.text(blob.arch);
  w.u64(blob.features.size());
  for (const std::string &f : blob.features)
    w.text(f);
  w.u64(blob.buffers.size());
  for (const KernelBlob::Buffer &b : blob.buffers) {
    w.text(b.name);
    w.text(b.bytes);
  }
  return sealBytes('K', w.bytes());
}

bool parseBlob(std::string_view bytes, KernelBlob &blob, Error &error) {
  std::string_view payload;
  if (!unsealBytes('K', bytes, payload, error))
    return false;
  ByteReader r(payload);
  blob = {};
  blob.form = KernelBlob::Form(r.u8());
  blob.image = r.text();
  blob.plan = r.text();
  blob.workspaceBytes = r.u64();
  blob.run = r.u64();
  blob.arch = r.text();
  for (uint64_t n = r.count(); n > 0; --n)
    blob.features.push_back(r.text());
  for (uint64_t n = r.count(); n > 0; --n) {
    KernelBlob::Buffer b;
    b.name = r.text();
    b.bytes = r.text();
    blob.buffers.push_back(std::move(b));
  }
  bool offsets = blob.form != KernelBlob::Form::MachineCode ||
                 (blob.workspaceBytes < blob.image.size() && blob.run < blob.image.size());
  if (!r.atEnd() || !offsets || blob.form > KernelBlob::Form::Cubin)
    return error.report(Msg::A806);
  return true;
}

} // namespace attnc
