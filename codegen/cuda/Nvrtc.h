//===- Emitted text to PTX and cubins -------------------------------------===//
//
// NVRTC, opened when it is first asked for: $ATTNC_NVRTC, libnvrtc.so.13 or .12 where the loader finds them, then the
// toolkit's usual folder. Needs no driver, no GPU and no header of CUDA.
//===----------------------------------------------------------------------===//
#pragma once
#include <string>
#include <vector>

namespace attnc::cuda {

enum class NvrtcResult {
  Done,
  NotFound,        ///< no library, or one that lacks a function
  BuiltinsMissing, ///< libnvrtc-builtins is not beside it
  ArchNotSupported,
  Rejected, ///< an error in the text: a mistake of the printer
};

/// What ptxas says of a kernel. Static: nothing ran.
struct KernelFigures {
  std::string name;
  int registers = 0;   ///< per thread
  int sharedBytes = 0; ///< per block
  int stackBytes = 0;  ///< per thread
  int spillBytes = 0;  ///< stores and loads, per thread
};

struct NvrtcOutput {
  std::string code;                   ///< PTX text, or a cubin
  std::vector<KernelFigures> kernels; ///< of a cubin, in the order of the text
  double seconds = 0;                 ///< of processor time that it took
};

/// Compiles text behind the device header (Device.h) for `arch`, "sm_90a". `error` says what was looked for, or what
/// NVRTC said, and what to do. The same text gives the same bytes.
NvrtcResult compileWithNvrtc(const std::string &text, const std::string &arch, bool ptx, NvrtcOutput &output,
                             std::string &error);

/// "13.0", empty where there is none: a part of the key of what is kept on disk.
std::string nvrtcVersion();

} // namespace attnc::cuda
