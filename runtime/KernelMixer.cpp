//===- A mixer that can be called: signatures, variants, packages ---------===//
#include "runtime/KernelMixer.h"
#include "runtime/CacheBytes.h"
#include "runtime/CacheSignature.h"
#include "runtime/KernelBinding.h"
#include <fmt/format.h>

namespace attnc {

int64_t TensorView::count() const {
  int64_t n = 1;
  for (int32_t i = 0; i < rank; ++i)
    n *= shape[i];
  return n;
}

TensorView viewOf(const HostTensor &t) {
  return {true, t.dtype, int32_t(t.shape.size()), t.shape.data(), t.strides.data(), static_cast<char *>(t.data), -1};
}

Mixer::Mixer(Signature signature, MixerCompiler compiler)
    : signature_(std::move(signature)), compiler_(std::move(compiler)) {
  signatures_[{}] = signature_;
}

MixerStatus Mixer::signatureFor(const std::set<std::string> &leftOut, const Signature *&signature, Error &error) {
  auto it = signatures_.find(leftOut);
  if (it == signatures_.end()) {
    if (!compiler_.signature) {
      error.report(Msg::A813, signature_.mixer);
      return MixerStatus::Unavailable;
    }
    Signature made;
    MixerStatus status = compiler_.signature(leftOut, made, error);
    if (status != MixerStatus::Done)
      return status;
    it = signatures_.emplace(leftOut, std::move(made)).first;
  }
  signature = &it->second;
  return MixerStatus::Done;
}

MixerStatus Mixer::addVariant(VariantKey key, KernelBlob blob, Error &error) {
  key.rows &= blob.form == KernelBlob::Form::MachineCode; // the others read any strides
  Variant variant;
  variant.image = KernelImage::load(blob, error);
  if (!variant.image)
    return MixerStatus::Unavailable;
  variant.blob = std::move(blob);
  variants_[key] = std::move(variant);
  return MixerStatus::Done;
}

MixerStatus Mixer::compileVariant(const VariantKey &key, Error &error) {
  KernelBlob blob;
  bool fresh = false;
  MixerStatus status = compiler_.compile(key, blob, fresh, error);
  if (status == MixerStatus::Done)
    status = addVariant(key, std::move(blob), error);
  if (status == MixerStatus::Done) {
    ++compilations;
    generated += fresh;
  }
  return status;
}

MixerStatus Mixer::variantFor(const VariantKey &key, VariantKey &found, std::shared_ptr<const KernelImage> &image,
                              Error &error) {
  auto known = [&] {
    auto it = variants_.find(key);
    if (it == variants_.end() && key.rows) { // code for any strides will do
      VariantKey any = key;
      any.rows = false;
      it = variants_.find(any);
    }
    return it;
  };
  auto it = known();
  if (it == variants_.end() && compiler_.compile) {
    if (MixerStatus status = compileVariant(key, error); status != MixerStatus::Done)
      return status;
    it = known();
  }
  // Saved code may be specialised on fewer extents than the compiler would choose.
  if (it == variants_.end())
    for (auto v = variants_.begin(); v != variants_.end() && it == variants_.end(); ++v) {
      bool fits = v->first.leftOut == key.leftOut && v->first.dtypes == key.dtypes && (key.rows || !v->first.rows);
      for (auto &[name, value] : v->first.extents)
        fits = fits && key.extents.count(name) && key.extents.at(name) == value;
      if (fits)
        it = v;
    }
  if (it == variants_.end()) {
    std::string wanted, has;
    for (auto &[name, dtype] : key.dtypes)
      wanted += fmt::format("{}{}: {}", wanted.empty() ? "" : ", ", name, dtypeName(dtype));
    for (auto &[name, value] : key.extents)
      wanted += fmt::format(", {}={}", name, value);
    for (auto &v : variants_) {
      has += has.empty() ? "" : "; or ";
      std::string one;
      for (auto &[name, dtype] : v.first.dtypes)
        one += fmt::format("{}{}: {}", one.empty() ? "" : ", ", name, dtypeName(dtype));
      for (auto &[name, value] : v.first.extents)
        one += fmt::format(", {}={}", name, value);
      has += one;
    }
    error.report(Msg::A812, signature_.mixer, wanted, has);
    return MixerStatus::Unavailable;
  }
  found = it->first;
  image = it->second.image;
  return MixerStatus::Done;
}

bool Mixer::specialises(size_t symbol) const {
  if (compiler_.compile)
    return signature_.symbols[symbol].feature;
  std::lock_guard<std::mutex> lock(mutex_);
  for (auto &v : variants_)
    if (v.first.extents.count(signature_.symbols[symbol].name))
      return true;
  return false;
}

static std::string serializePackage(const std::map<std::set<std::string>, Signature> &signatures,
                                    const std::vector<std::pair<VariantKey, const KernelBlob *>> &variants) {
  ByteWriter w;
  w.u64(signatures.size());
  for (auto &[leftOut, signature] : signatures) {
    VariantKey key;
    key.leftOut = leftOut;
    w.text(key.serialize());
    w.text(serializeSignature(signature));
  }
  w.u64(variants.size());
  for (auto &[key, blob] : variants) {
    w.text(key.serialize());
    w.text(serializeBlob(*blob));
  }
  return sealBytes('P', w.bytes());
}

std::string Mixer::package(const Signature &signature, const VariantKey &key, const KernelBlob &blob) {
  std::map<std::set<std::string>, Signature> signatures;
  signatures[{}] = signature;
  signatures[key.leftOut] = signature;
  return serializePackage(signatures, {{key, &blob}});
}

std::string Mixer::save() {
  std::lock_guard<std::mutex> lock(mutex_);
  auto anyStrides = [](VariantKey key) {
    key.rows = false;
    return key;
  };
  std::vector<VariantKey> wanted;
  for (auto &v : variants_)
    if (!variants_.count(anyStrides(v.first)))
      wanted.push_back(anyStrides(v.first));
  Error error; // where it cannot be compiled, what there is is saved
  for (const VariantKey &key : wanted)
    compileVariant(key, error);
  std::vector<std::pair<VariantKey, const KernelBlob *>> variants;
  for (auto &[key, variant] : variants_)
    if (!key.rows || !variants_.count(anyStrides(key)))
      variants.emplace_back(key, &variant.blob);
  return serializePackage(signatures_, variants);
}

std::shared_ptr<Mixer> Mixer::load(std::string_view bytes, Error &error) {
  std::string_view payload;
  if (!unsealBytes('P', bytes, payload, error))
    return nullptr;
  ByteReader r(payload);
  std::map<std::set<std::string>, Signature> signatures;
  for (uint64_t n = r.count(); n > 0 && r.good(); --n) {
    VariantKey key;
    Signature signature;
    if (!parseVariantKey(r.view(), key) || !parseSignature(r.view(), signature))
      r.setBad();
    signatures[key.leftOut] = std::move(signature);
  }
  if (!r.good() || !signatures.count({})) {
    error.report(Msg::A806);
    return nullptr;
  }
  auto mixer = std::make_shared<Mixer>(signatures[{}], MixerCompiler{});
  mixer->signatures_ = std::move(signatures);
  for (uint64_t n = r.count(); n > 0 && r.good(); --n) {
    VariantKey key;
    KernelBlob blob;
    bool good = parseVariantKey(r.view(), key) && parseBlob(r.view(), blob, error);
    if (!good) {
      r.setBad();
      break;
    }
    if (mixer->addVariant(key, std::move(blob), error) != MixerStatus::Done)
      return nullptr;
  }
  if (!r.atEnd() || mixer->variants_.empty()) {
    if (!error)
      error.report(Msg::A806);
    return nullptr;
  }
  return mixer;
}

} // namespace attnc
