//===- NumPy's .npy files -------------------------------------------------===//
#pragma once
#include "runtime/Message.h"
#include "runtime/Tensor.h"
#include <string>

namespace attnc {

/// Reads versions 1 to 3, either byte order, either element order. i1 i2 u1 u2 become i32, u4 u8 i64. On failure
/// `error` is one sentence that names the file.
bool readNpy(const std::string &path, HostTensor &out, Error &error);
/// Writes row-major; bf16, which .npy lacks, as f32. The file appears whole or not at all.
bool writeNpy(const std::string &path, const HostTensor &tensor, Error &error);

} // namespace attnc
