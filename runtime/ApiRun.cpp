//===- C interface: calls -------------------------------------------------===//
#include "runtime/ApiTypes.h"
#include "runtime/KernelBinding.h"
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>

using namespace attnc;

namespace {

bool dtypeOf(DLDataType type, DType &dtype) {
  if (type.lanes != 1)
    return false;
  switch (type.code) {
  case kDLFloat:
    dtype = type.bits == 32 ? DType::F32 : type.bits == 16 ? DType::F16 : DType::F64;
    return type.bits == 16 || type.bits == 32 || type.bits == 64;
  case kDLBfloat:
    dtype = DType::BF16;
    return type.bits == 16;
  case kDLInt:
    dtype = type.bits == 32 ? DType::I32 : DType::I64;
    return type.bits == 32 || type.bits == 64;
  case kDLBool:
    dtype = DType::Bool;
    return type.bits == 8;
  default:
    return false;
  }
}

/// False with a sentence in `error`, which is only written then.
bool viewOf(const DLTensor *tensor, const char *kind, const std::string &name, TensorView &view, Error &error) {
  view = {};
  if (!tensor)
    return true;
  switch (tensor->device.device_type) {
  case kDLCPU:
  case kDLCUDAHost:
    break;
  case kDLCUDA:
  case kDLCUDAManaged:
    view.device = tensor->device.device_id;
    break;
  default:
    return error.report(Msg::A700, kind, name, int(tensor->device.device_type));
  }
  if (!dtypeOf(tensor->dtype, view.dtype)) {
    return error.report(Msg::A701, kind, name, tensor->dtype.code, tensor->dtype.bits, tensor->dtype.lanes);
  }
  if (tensor->ndim < 0 || tensor->ndim > kMaxRank || (tensor->ndim > 0 && !tensor->shape)) {
    return error.report(Msg::A702, kind, name, tensor->ndim, kMaxRank);
  }
  int64_t size = int64_t(dtypeSize(view.dtype)), total = size;
  bool empty = false, tooLarge = false;
  for (int32_t i = 0; i < tensor->ndim; ++i) {
    int64_t extent = tensor->shape[i];
    if (extent < 0) {
      return error.report(Msg::A703, kind, name, extent, i);
    }
    empty |= extent == 0;
    tooLarge |= __builtin_mul_overflow(total, extent, &total);
  }
  if (tooLarge && !empty) {
    return error.report(Msg::A704, kind, name);
  }
  view.given = true;
  view.rank = tensor->ndim;
  view.shape = tensor->shape;
  view.strides = tensor->strides;
  view.data = static_cast<char *>(tensor->data) + tensor->byte_offset;
  if (!empty && !tensor->data) {
    return error.report(Msg::A705, kind, name);
  }
  if (!empty && reinterpret_cast<uintptr_t>(view.data) % uintptr_t(size) != 0) {
    return error.report(Msg::A706, kind, name, size);
  }
  return true;
}

attnc_error *viewsOf(const std::vector<Argument> &arguments, const DLTensor *const *tensors, const char *kind,
                     TensorView *views) {
  if (arguments.size() > size_t(kMaxArguments))
    return makeError(ATTNC_INVALID_ARGUMENT, Error(Msg::A723, kMaxArguments));
  if (!tensors && !arguments.empty())
    return makeError(ATTNC_INVALID_ARGUMENT, Error(Msg::A707, fmt::format("{}s", kind)));
  for (size_t i = 0; i < arguments.size(); ++i) {
    Error error;
    if (!viewOf(tensors[i], kind, arguments[i].name, views[i], error))
      return makeError(ATTNC_INVALID_ARGUMENT, error);
  }
  return nullptr;
}

/// The binding for these inputs, known or made now.
attnc_error *bindingOf(attnc_kernel *kernel, const TensorView *views, std::shared_ptr<const Mixer::Binding> &binding) {
  binding = kernel->mixer->find(views);
  if (binding)
    return nullptr;
  Error error;
  std::vector<TensorView> list(views, views + kernel->mixer->signature().inputs.size());
  uint64_t before = kernel->mixer->compilations;
  MixerStatus status = kernel->mixer->bind(list, binding, error);
  if (status != MixerStatus::Done)
    return makeError(codeOf(status), error);
  const attnc_engine_options &o = kernel->engine->options;
  if (o.log && kernel->mixer->compilations != before)
    o.log(o.user_data, fmt::format("compiled {}", kernel->mixer->signature().mixer).c_str());
  return nullptr;
}

/// Memory for one call from the engine's allocator.
class Workspace {
public:
  Workspace(const attnc_engine_options &options, size_t bytes) : options_(options), bytes_((bytes + 63) & ~size_t(63)) {
    if (bytes_ == 0)
      return;
    data_ = options_.allocate ? options_.allocate(options_.user_data, bytes_, 64) : std::aligned_alloc(64, bytes_);
  }
  ~Workspace() {
    if (data_ && options_.allocate)
      options_.release(options_.user_data, data_, bytes_);
    else
      std::free(data_);
  }
  Workspace(const Workspace &) = delete;
  Workspace &operator=(const Workspace &) = delete;
  void *data() const { return data_; }
  size_t bytes() const { return bytes_; }

private:
  const attnc_engine_options &options_;
  size_t bytes_;
  void *data_ = nullptr;
};

} // namespace

attnc_error *attnc_kernel_output_shape(attnc_kernel *kernel, const DLTensor *const *inputs, size_t index,
                                       size_t capacity, int64_t *shape, int32_t *out_rank, DLDataType *out_dtype) {
  return guarded([&]() -> attnc_error * {
    if (!kernel || !out_rank || !out_dtype || (capacity && !shape))
      return makeError(ATTNC_INVALID_ARGUMENT, Error(Msg::A707, "an argument of attnc_kernel_output_shape"));
    if (index >= kernel->mixer->signature().outputs.size())
      return makeError(ATTNC_INVALID_ARGUMENT, Error(Msg::A708, attnc_kernel_name(kernel), index));
    TensorView views[kMaxArguments];
    if (attnc_error *error = viewsOf(kernel->mixer->signature().inputs, inputs, "input", views))
      return error;
    std::shared_ptr<const Mixer::Binding> binding;
    if (attnc_error *error = bindingOf(kernel, views, binding))
      return error;
    const std::vector<int64_t> &extents = Mixer::outputShape(*binding, index);
    for (size_t i = 0; i < extents.size() && i < capacity; ++i)
      shape[i] = extents[i];
    *out_rank = int32_t(extents.size());
    switch (Mixer::outputDType(*binding, index)) {
    case DType::F32:
      *out_dtype = {kDLFloat, 32, 1};
      break;
    case DType::F16:
      *out_dtype = {kDLFloat, 16, 1};
      break;
    case DType::BF16:
      *out_dtype = {kDLBfloat, 16, 1};
      break;
    case DType::F64:
      *out_dtype = {kDLFloat, 64, 1};
      break;
    case DType::I32:
      *out_dtype = {kDLInt, 32, 1};
      break;
    case DType::I64:
      *out_dtype = {kDLInt, 64, 1};
      break;
    case DType::Bool:
      *out_dtype = {kDLBool, 8, 1};
      break;
    }
    return nullptr;
  });
}

attnc_error *attnc_kernel_workspace_size(attnc_kernel *kernel, const DLTensor *const *inputs, size_t *out_bytes) {
  return guarded([&]() -> attnc_error * {
    if (!kernel || !out_bytes)
      return makeError(ATTNC_INVALID_ARGUMENT, Error(Msg::A707, "an argument of attnc_kernel_workspace_size"));
    TensorView views[kMaxArguments];
    if (attnc_error *error = viewsOf(kernel->mixer->signature().inputs, inputs, "input", views))
      return error;
    std::shared_ptr<const Mixer::Binding> binding;
    if (attnc_error *error = bindingOf(kernel, views, binding))
      return error;
    *out_bytes = Mixer::workspaceBytes(*binding);
    return nullptr;
  });
}

attnc_error *attnc_kernel_run(attnc_kernel *kernel, const DLTensor *const *inputs, const DLTensor *const *outputs,
                              const attnc_call *call) {
  return guarded([&]() -> attnc_error * {
    if (!kernel)
      return makeError(ATTNC_INVALID_ARGUMENT, Error(Msg::A707, "the kernel of attnc_kernel_run"));
    attnc_call full = {};
    if (call) {
      if (call->size < sizeof(size_t) || call->size > sizeof full)
        return makeError(ATTNC_INVALID_ARGUMENT, Error(Msg::A709, "attnc_call", call->size, sizeof full));
      std::memcpy(&full, call, call->size);
    }
    const Signature &signature = kernel->mixer->signature();
    TensorView in[kMaxArguments], out[kMaxArguments];
    if (attnc_error *error = viewsOf(signature.inputs, inputs, "input", in))
      return error;
    if (attnc_error *error = viewsOf(signature.outputs, outputs, "output", out))
      return error;
    std::shared_ptr<const Mixer::Binding> binding;
    if (attnc_error *error = bindingOf(kernel, in, binding))
      return error;
    const EngineData &engine = *kernel->engine;
    Mixer::Call request;
    request.pool = const_cast<ThreadPool *>(&engine.pool);
    request.workspaceLimit = engine.options.workspace_limit;
    request.workspace = full.workspace;
    request.workspaceSize = full.workspace_size;
    request.stream = full.stream;
    size_t bytes = full.workspace ? 0 : Mixer::hostWorkspaceBytes(*binding);
    int64_t limit = request.workspaceLimit > 0 ? request.workspaceLimit : defaultWorkspaceLimit();
    Workspace own(engine.options, int64_t(bytes) <= limit ? bytes : 0);
    if (!full.workspace) {
      if (own.bytes() && !own.data())
        return makeError(ATTNC_OUT_OF_MEMORY,
                         Error(Msg::A800, fmt::format("{} of intermediates", bytesText(int64_t(bytes)))));
      request.workspace = own.data();
      request.workspaceSize = own.bytes();
    }
    Error error;
    MixerStatus status = kernel->mixer->run(*binding, in, out, request, error);
    return status == MixerStatus::Done ? nullptr : makeError(codeOf(status), error);
  });
}
