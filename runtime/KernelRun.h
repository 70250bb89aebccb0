//===- One call of a kernel -----------------------------------------------===//
//
// Arguments are bound before (Bind.h), so extents are known; what is left is memory: aliasing, the workspace and its
// limit, tensors without elements. Strides go to the kernel as they are.
//===----------------------------------------------------------------------===//
#pragma once
#include "runtime/Bind.h"
#include "runtime/KernelImage.h"
#include "runtime/Threads.h"
#include <map>
#include <string>

namespace attnc {

/// 8 GiB or a quarter of the memory, whichever is less.
int64_t defaultWorkspaceLimit();

struct CallOptions {
  ThreadPool *pool = nullptr; ///< required
  int64_t workspaceLimit = 0; ///< bytes; 0: the default
  void *workspace = nullptr;  ///< 64-byte aligned memory of the caller; null: taken for the call
  int64_t workspaceSize = 0;
};

/// Extents that the kernel reads: those of `symbols` that it is not specialised on.
std::vector<int64_t> kernelSymbols(const Signature &signature, const std::vector<int64_t> &symbols);
/// Bytes of workspace a call with these extents needs; an error names the biggest buffers when it is above the limit.
bool workspaceNeeded(const KernelImage &image, const Signature &signature, const std::vector<int64_t> &symbols,
                     int64_t limit, int64_t &bytes, std::string &error);

/// `outputs` have their memory, shapes and dtypes; an output that overlaps another argument or itself is refused.
bool runKernel(const KernelImage &image, const Signature &signature, const std::vector<int64_t> &symbols,
               const std::map<std::string, HostTensor> &inputs, const std::map<std::string, HostTensor> &outputs,
               const CallOptions &options, std::string &error);

/// Allocates all outputs of the signature.
bool allocateOutputs(const Signature &signature, const std::vector<int64_t> &symbols,
                     const std::map<std::string, HostTensor> &inputs, std::map<std::string, HostTensor> &outputs,
                     std::string &error);

/// "3.2 GiB"
std::string bytesText(int64_t bytes);

} // namespace attnc
