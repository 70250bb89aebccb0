//===- A strided tensor in host memory ------------------------------------===//
#pragma once
#include "runtime/DType.h"
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace attnc {

struct HostTensor {
  DType dtype = DType::F32;
  std::vector<int64_t> shape;
  std::vector<int64_t> strides; ///< in elements
  std::shared_ptr<void> owner;  ///< keeps `data` alive; may be null for a view
  void *data = nullptr;

  int64_t count() const;
  /// Zeroed, row-major, 64-byte aligned. Returns false when memory is refused.
  static bool allocate(DType dtype, std::vector<int64_t> shape, HostTensor &out);
  /// Element at a row-major flat position, widened.
  double getReal(int64_t flat) const;
  int64_t getInt(int64_t flat) const;
  void setReal(int64_t flat, double v); ///< rounds to the dtype, nearest even
  void setInt(int64_t flat, int64_t v);
};

float bf16ToFloat(uint16_t bits);
uint16_t floatToBf16(float v); ///< nearest even; NaN stays NaN
float f16ToFloat(uint16_t bits);
uint16_t floatToF16(float v);
uint16_t doubleToBf16(double v); ///< rounded once
uint16_t doubleToF16(double v);
/// Truncates and saturates; NaN gives 0.
int64_t realToInt(double v);

} // namespace attnc
