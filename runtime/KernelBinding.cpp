//===- A mixer that can be called: binding and running --------------------===//
#include "runtime/KernelBinding.h"
#include "runtime/Bind.h"
#include "runtime/Helpers.h"
#include <algorithm>
#include <cstdlib>
#include <fmt/format.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace attnc {

namespace {

alignas(64) const char kZeros[4096] = {};
alignas(64) thread_local char sink[4096];
const int64_t kNoStrides[kMaxRank] = {};

bool sameShape(const Mixer::Binding::Shape &shape, const TensorView &view) {
  if (shape.given != view.given)
    return false;
  if (!view.given)
    return true;
  return shape.dtype == view.dtype && shape.extents.size() == size_t(view.rank) &&
         std::equal(shape.extents.begin(), shape.extents.end(), view.shape);
}

/// Strides of a view, computed into `compact` when it has none.
const int64_t *stridesOf(const TensorView &view, int64_t *compact) {
  if (view.strides)
    return view.strides;
  int64_t step = 1;
  for (int32_t i = view.rank; i-- > 0;) {
    compact[i] = step;
    step *= view.shape[i];
  }
  return compact;
}

/// Neighbours along the last dim are neighbours in memory. What is empty is read in place of it with strides of 0.
bool inRows(const TensorView &view) {
  return view.rank == 0 ||
         (view.count() > 0 && (!view.strides || view.shape[view.rank - 1] == 1 || view.strides[view.rank - 1] == 1));
}

struct Reach {
  const char *begin, *end;
  Reach(const TensorView &view, const int64_t *strides) {
    int64_t low = 0, high = 0;
    for (int32_t i = 0; i < view.rank; ++i) {
      int64_t reach = (view.shape[i] - 1) * strides[i];
      (reach < 0 ? low : high) += reach;
    }
    int64_t size = int64_t(dtypeSize(view.dtype));
    begin = view.data + low * size;
    end = view.data + (high + 1) * size;
  }
  bool overlaps(const Reach &o) const { return begin < o.end && o.begin < end; }
};

bool overlapsItself(const TensorView &view, const int64_t *strides) {
  std::pair<int64_t, int64_t> dims[kMaxRank];
  int n = 0;
  for (int32_t i = 0; i < view.rank; ++i)
    if (view.shape[i] > 1)
      dims[n++] = {std::abs(strides[i]), view.shape[i]};
  std::sort(dims, dims + n);
  int64_t reach = 0;
  for (int i = 0; i < n; ++i) {
    if (dims[i].first <= reach)
      return true;
    reach += dims[i].first * (dims[i].second - 1);
  }
  return false;
}

/// The first value outside -1 .. bound-1 and its position; false if there is none.
bool brokenPromise(const TensorView &view, const int64_t *strides, int64_t bound, int64_t &value, int64_t *at) {
  std::fill(at, at + kMaxRank, 0);
  for (int64_t left = view.count(); left > 0; --left) {
    int64_t offset = 0;
    for (int32_t i = 0; i < view.rank; ++i)
      offset += at[i] * strides[i];
    value = view.dtype == DType::I32 ? reinterpret_cast<const int32_t *>(view.data)[offset]
                                     : reinterpret_cast<const int64_t *>(view.data)[offset];
    if (value < -1 || value >= bound)
      return true;
    for (int32_t i = view.rank; i-- > 0 && ++at[i] == view.shape[i];)
      at[i] = 0;
  }
  return false;
}

HostTensor hostOf(const TensorView &view) {
  HostTensor t;
  t.dtype = view.dtype;
  t.shape.assign(view.shape, view.shape + view.rank);
  int64_t compact[kMaxRank];
  const int64_t *strides = stridesOf(view, compact);
  t.strides.assign(strides, strides + view.rank);
  t.data = view.data;
  return t;
}

std::string shapeText(const int64_t *shape, size_t rank) {
  std::string text = "[";
  for (size_t i = 0; i < rank; ++i)
    text += fmt::format("{}{}", i ? ", " : "", shape[i]);
  return text + "]";
}

} // namespace

std::shared_ptr<const Mixer::Binding> Mixer::find(const TensorView *inputs) const {
  std::shared_lock<std::shared_mutex> lock(bindingsMutex_);
  for (auto it = bindings_.rbegin(); it != bindings_.rend(); ++it) {
    const Binding &b = **it;
    bool same = true;
    for (size_t i = 0; i < b.inputs.size() && same; ++i)
      same = sameShape(b.inputs[i], inputs[i]) && (!b.rows || !inputs[i].given || inRows(inputs[i]));
    if (same)
      return *it;
  }
  return nullptr;
}

MixerStatus Mixer::bind(const std::vector<TensorView> &inputs, std::shared_ptr<const Binding> &binding, Error &error) {
  if (inputs.size() + signature_.outputs.size() > size_t(kMaxArguments)) {
    error.report(Msg::A723, kMaxArguments);
    return MixerStatus::InvalidArgument;
  }
  std::map<std::string, HostTensor> tensors;
  VariantKey key;
  key.rows = true;
  auto made = std::make_shared<Binding>();
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Argument &a = signature_.inputs[i];
    const TensorView &view = inputs[i];
    if (!view.given) {
      if (!a.hasDefault) {
        error.report(Msg::A711, a.name, a.dtype ? dtypeName(*a.dtype) : "a floating tensor", dimsText(a));
        return MixerStatus::InvalidArgument;
      }
      key.leftOut.insert(a.name);
      made->inputs.emplace_back();
      continue;
    }
    tensors[a.name] = hostOf(view);
    key.dtypes[a.name] = view.dtype;
    key.rows = key.rows && inRows(view);
    made->inputs.push_back({true, view.dtype, {view.shape, view.shape + view.rank}, view.count() == 0});
  }
  std::lock_guard<std::mutex> lock(mutex_);
  const Signature *signature = nullptr;
  MixerStatus status = signatureFor(key.leftOut, signature, error);
  if (status != MixerStatus::Done)
    return status;
  std::vector<int64_t> symbols;
  if (!bindArguments(*signature, tensors, symbols, error))
    return MixerStatus::InvalidArgument;
  for (size_t i = 0; i < signature->symbols.size(); ++i)
    if (signature->symbols[i].feature)
      key.extents[signature->symbols[i].name] = symbols[i];
  VariantKey found;
  status = variantFor(key, found, made->image, error);
  if (status != MixerStatus::Done)
    return status;
  made->rows = found.rows;
  for (size_t i = 0; i < signature->symbols.size(); ++i)
    if (!found.extents.count(signature->symbols[i].name))
      made->symbols.push_back(symbols[i]);
  for (size_t i = 0; i < signature->inputs.size(); ++i) {
    const Argument &a = signature->inputs[i];
    if (!a.indexOf.empty() && inputs[i].given && a.indexBound)
      made->promises.emplace_back(i, extentEval(a.indexBound, symbols).value_or(0));
  }
  for (const Argument &a : signature->outputs) {
    Binding::Shape shape;
    shape.given = true;
    shape.dtype = attnc::outputDType(*signature, a, tensors);
    shape.extents = argumentShape(a, symbols);
    for (int64_t n : shape.extents)
      shape.empty |= n == 0;
    made->outputs.push_back(std::move(shape));
  }
  made->workspace = made->image->workspaceBytes(made->symbols.data());
  made->memory = memoryDetails(*made->image, *signature, symbols);
  binding = made;
  constexpr size_t kKept = 32;
  std::unique_lock<std::shared_mutex> write(bindingsMutex_);
  if (bindings_.size() >= kKept)
    bindings_.erase(bindings_.begin());
  bindings_.push_back(made);
  return MixerStatus::Done;
}

MixerStatus Mixer::run(const Binding &binding, const TensorView *inputs, const TensorView *outputs, const Call &call,
                       Error &error) {
  int64_t limit = call.workspaceLimit > 0 ? call.workspaceLimit : defaultWorkspaceLimit();
  if (binding.workspace < 0 || binding.workspace > limit) {
    error.report(Msg::A801,
                 binding.workspace < 0 ? "more memory than there are addresses" : bytesText(binding.workspace),
                 bytesText(limit), binding.memory);
    return MixerStatus::OverLimit;
  }
  size_t inputCount = binding.inputs.size(), outputCount = binding.outputs.size();
  int64_t compact[kMaxArguments][kMaxRank];
  const int64_t *strides[kMaxArguments];
  for (size_t i = 0; i < inputCount; ++i)
    strides[i] = inputs[i].given ? stridesOf(inputs[i], compact[i]) : kNoStrides;
  for (size_t i = 0; i < outputCount; ++i) {
    const TensorView &view = outputs[i];
    const Binding::Shape &shape = binding.outputs[i];
    const std::string &name = signature_.outputs[i].name;
    if (!sameShape(shape, view)) {
      error.report(Msg::A724, name,
                   view.given ? dtypeName(view.dtype) + shapeText(view.shape, size_t(view.rank)) : "missing",
                   dtypeName(shape.dtype) + shapeText(shape.extents.data(), shape.extents.size()));
      return MixerStatus::InvalidArgument;
    }
    strides[inputCount + i] = stridesOf(view, compact[inputCount + i]);
  }
  bool device = binding.image->onDevice();
  for (size_t i = 0; i < inputCount + outputCount; ++i) {
    const TensorView &view = i < inputCount ? inputs[i] : outputs[i - inputCount];
    if (!device && view.given && view.device >= 0) {
      error.report(Msg::A731, i < inputCount ? "input" : "output",
                   i < inputCount ? signature_.inputs[i].name : signature_.outputs[i - inputCount].name, view.device);
      return MixerStatus::InvalidArgument;
    }
  }
  if (!device && call.stream) {
    error.report(Msg::A728);
    return MixerStatus::InvalidArgument;
  }
  for (auto &[index, bound] : binding.promises) {
    int64_t value = 0, at[kMaxRank];
    TensorView view = inputs[index];
    std::vector<char> copy;
    if (view.device >= 0 && !binding.inputs[index].empty) {
      Reach reach(view, strides[index]);
      copy.resize(size_t(reach.end - reach.begin));
      if (binding.image->copyToHost(copy.data(), reach.begin, copy.size(), call.stream, error) !=
          KernelImage::Result::Done)
        return MixerStatus::Internal;
      view.data = copy.data() + (view.data - reach.begin);
    }
    if (brokenPromise(view, strides[index], bound, value, at)) {
      const Argument &a = signature_.inputs[index];
      error.report(Msg::A721, a.name, value, shapeText(at, size_t(inputs[index].rank)), a.indexOf, bound - 1);
      return MixerStatus::InvalidArgument;
    }
  }
  for (size_t i = 0; i < outputCount; ++i) {
    if (binding.outputs[i].empty)
      continue;
    if (overlapsItself(outputs[i], strides[inputCount + i])) {
      error.report(Msg::A725, signature_.outputs[i].name);
      return MixerStatus::InvalidArgument;
    }
    Reach reach(outputs[i], strides[inputCount + i]);
    for (size_t k = 0; k < inputCount; ++k)
      if (binding.inputs[k].given && !binding.inputs[k].empty && reach.overlaps(Reach(inputs[k], strides[k]))) {
        error.report(Msg::A726, signature_.outputs[i].name, "input", signature_.inputs[k].name);
        return MixerStatus::InvalidArgument;
      }
    for (size_t k = 0; k < i; ++k)
      if (!binding.outputs[k].empty && reach.overlaps(Reach(outputs[k], strides[inputCount + k]))) {
        error.report(Msg::A726, signature_.outputs[i].name, "output", signature_.outputs[k].name);
        return MixerStatus::InvalidArgument;
      }
  }
  bool made = device && !call.workspace; // by the image
  if (!made && (int64_t(call.workspaceSize) < binding.workspace || (binding.workspace > 0 && !call.workspace) ||
                reinterpret_cast<uintptr_t>(call.workspace) % 64 != 0)) {
    error.report(Msg::A727, binding.workspace);
    return MixerStatus::InvalidArgument;
  }

  KernelArg args[kMaxArguments];
  KernelArgShape shapes[kMaxArguments];
  size_t count = 0;
  auto pass = [&](const Binding::Shape &shape, char *empty, const TensorView &view, const int64_t *viewStrides) {
    const int64_t *extents = shape.extents.empty() ? kNoStrides : shape.extents.data(); // a rank of 0 has an element
    shapes[count] = {shape.empty ? nullptr : extents, int32_t(shape.extents.size()), int32_t(dtypeSize(shape.dtype)),
                     view.device, empty == sink};
    args[count++] = shape.empty ? KernelArg{empty, kNoStrides} : KernelArg{view.data, viewStrides};
  };
  for (size_t i = 0; i < inputCount; ++i)
    if (binding.inputs[i].given)
      pass(binding.inputs[i], const_cast<char *>(kZeros), inputs[i], strides[i]);
  for (size_t i = 0; i < outputCount; ++i)
    pass(binding.outputs[i], sink, outputs[i], strides[inputCount + i]);

  RunState state;
  state.pool = call.pool;
  state.scratchLimit = limit;
  KernelContext ctx = {binding.symbols.data(), args,       static_cast<char *>(call.workspace),
                       &kernelHelpers(),       &state,     shapes,
                       int64_t(count),         call.stream};
#if defined(__x86_64__)
  unsigned saved = _mm_getcsr();
  _mm_setcsr(0x1f80);
#endif
  KernelImage::Result ran = binding.image->run(ctx, error);
#if defined(__x86_64__)
  _mm_setcsr(saved);
#endif
  if (ran != KernelImage::Result::Done)
    return ran == KernelImage::Result::OutOfMemory ? MixerStatus::OutOfMemory : MixerStatus::Internal;
  if (int64_t refused = state.scratchRefused.load()) {
    error.report(Msg::A802, bytesText(refused), bytesText(limit), binding.memory);
    return MixerStatus::OverLimit;
  }
  ++calls;
  return MixerStatus::Done;
}

size_t Mixer::workspaceBytes(const Binding &binding) { return size_t(std::max<int64_t>(binding.workspace, 0)); }
size_t Mixer::hostWorkspaceBytes(const Binding &binding) {
  return binding.image->onDevice() ? 0 : workspaceBytes(binding);
}
const std::vector<int64_t> &Mixer::outputShape(const Binding &binding, size_t index) {
  return binding.outputs[index].extents;
}
DType Mixer::outputDType(const Binding &binding, size_t index) { return binding.outputs[index].dtype; }

} // namespace attnc
