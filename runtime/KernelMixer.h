//===- A mixer that can be called -----------------------------------------===//
//
// Behind attnc_kernel: the signature, and the code compiled so far. Code is made for a *variant*: the optional inputs
// left out, the dtypes passed, the feature extents, whether inputs are stored row by row; one variant serves all
// lengths. What a call needs beyond that follows from its shapes alone, is worked out once, and is kept as a *binding*:
// a call whose shapes and dtypes were seen before only compares numbers, checks promised indices, and runs, without
// allocating anything.
//
// Thread-safe; compiling is one at a time per mixer, calls are not held up by it.
//===----------------------------------------------------------------------===//
#pragma once
#include "runtime/KernelRun.h"
#include "runtime/Signature.h"
#include "runtime/Tensor.h"
#include "runtime/Threads.h"
#include "runtime/Variant.h"
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <string>
#include <vector>

namespace attnc {

/// A caller's tensor. Null data with no shape: left out.
struct TensorView {
  bool given = false;
  DType dtype = DType::F32;
  int32_t rank = 0;
  const int64_t *shape = nullptr;
  const int64_t *strides = nullptr; ///< in elements; null: compact, row-major
  char *data = nullptr;
  int32_t device = -1; ///< number of the GPU in whose memory the data is, -1: the CPU's
  int64_t count() const;
};
TensorView viewOf(const HostTensor &tensor); ///< valid as long as the tensor's shape and strides

enum class MixerStatus { Done, InvalidArgument, InvalidSpec, Unavailable, OverLimit, OutOfMemory, Internal };

/// Where code comes from; none for a mixer loaded from bytes.
struct MixerCompiler {
  /// Signature with these inputs left out.
  std::function<MixerStatus(const std::set<std::string> &leftOut, Signature &signature, Error &error)> signature;
  std::function<MixerStatus(const VariantKey &key, KernelBlob &blob, bool &generated, Error &error)> compile;
};

class Mixer {
public:
  Mixer(Signature signature, MixerCompiler compiler);

  /// With nothing left out.
  const Signature &signature() const { return signature_; }

  struct Binding;
  /// Works out everything about a call with these inputs; compiles if it has to. Inputs in the signature's order.
  MixerStatus bind(const std::vector<TensorView> &inputs, std::shared_ptr<const Binding> &binding, Error &error);
  /// As bind(), but only looks among what is known; null if it is not. Allocates nothing.
  std::shared_ptr<const Binding> find(const TensorView *inputs) const;

  struct Call {
    ThreadPool *pool = nullptr;
    void *workspace = nullptr;
    size_t workspaceSize = 0;
    int64_t workspaceLimit = 0;
    void *stream = nullptr; ///< of the GPU
  };
  /// Outputs in the signature's order. `error` is written on failure only.
  MixerStatus run(const Binding &binding, const TensorView *inputs, const TensorView *outputs, const Call &call,
                  Error &error);

  static size_t workspaceBytes(const Binding &binding);
  /// The same, 0 where it is memory of a GPU, which run() makes when it is given none.
  static size_t hostWorkspaceBytes(const Binding &binding);
  static const std::vector<int64_t> &outputShape(const Binding &binding, size_t index);
  static DType outputDType(const Binding &binding, size_t index);

  /// All variants, as bytes; and back. What is saved serves any strides; that may have to be compiled first.
  std::string save();
  static std::shared_ptr<Mixer> load(std::string_view bytes, Error &error);
  /// A package of one variant, as `attnc compile --emit=kernel` writes it.
  static std::string package(const Signature &signature, const VariantKey &key, const KernelBlob &blob);
  /// Whether extents in which `symbol` is specialised occur among the variants, or will.
  bool specialises(size_t symbol) const;

  std::atomic<uint64_t> compilations{0}, generated{0}, calls{0};

private:
  struct Variant {
    KernelBlob blob; ///< kept for save()
    std::shared_ptr<const KernelImage> image;
  };
  MixerStatus signatureFor(const std::set<std::string> &leftOut, const Signature *&signature, Error &error);
  MixerStatus variantFor(const VariantKey &key, VariantKey &found, std::shared_ptr<const KernelImage> &image,
                         Error &error);
  MixerStatus addVariant(VariantKey key, KernelBlob blob, Error &error);
  MixerStatus compileVariant(const VariantKey &key, Error &error);

  Signature signature_;
  MixerCompiler compiler_;
  mutable std::mutex mutex_; ///< guards signatures_ and variants_, and compiling
  std::map<std::set<std::string>, Signature> signatures_;
  std::map<VariantKey, Variant> variants_;
  mutable std::shared_mutex bindingsMutex_;
  std::vector<std::shared_ptr<const Binding>> bindings_; ///< oldest first
};

} // namespace attnc
