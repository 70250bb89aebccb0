//===- Signatures as bytes ------------------------------------------------===//
#pragma once
#include "runtime/Signature.h"
#include <string>
#include <string_view>

namespace attnc {

std::string serializeSignature(const Signature &signature);
/// False when the bytes are not what serializeSignature wrote.
bool parseSignature(std::string_view bytes, Signature &signature);

} // namespace attnc
