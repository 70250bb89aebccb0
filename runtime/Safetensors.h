//===- .safetensors files -------------------------------------------------===//
#pragma once
#include "runtime/Message.h"
#include "runtime/Tensor.h"
#include <map>
#include <string>

namespace attnc {

/// Reads every tensor of the file, by name. I8 I16 U8 U16 become i32, U32 U64 i64. On failure `error` is one sentence.
bool readSafetensors(const std::string &path, std::map<std::string, HostTensor> &out, Error &error);
/// The file appears whole or not at all.
bool writeSafetensors(const std::string &path, const std::map<std::string, HostTensor> &tensors, Error &error);

} // namespace attnc
