//===- What NVRTC made before ---------------------------------------------===//
#pragma once
#include "codegen/cuda/Nvrtc.h"
#include "codegen/driver/Request.h"

namespace attnc {

/// compileWithNvrtc for the request's arch and stage; a text that the cache knows is not compiled again. Unlike the
/// cache of kernels this serves every stage, and keeps the figures.
cuda::NvrtcResult compileCached(const std::string &text, const CompileRequest &request, cuda::NvrtcOutput &output,
                                std::string &error);

} // namespace attnc
