//===- Element types of tensors -------------------------------------------===//
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace attnc {

enum class DType : uint8_t { F32, F16, BF16, F64, I32, I64, Bool };

/// The name used in specs and messages: "f32", "bool", ...
const char *dtypeName(DType type);
std::optional<DType> dtypeFromName(std::string_view name);
/// Bytes per element; Bool is one byte.
size_t dtypeSize(DType type);
inline bool isFloat(DType t) { return t <= DType::F64; }

} // namespace attnc
