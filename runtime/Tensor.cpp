#include "runtime/Tensor.h"
#include <cmath>
#include <cstdlib>
#include <cstring>

namespace attnc {

//===- 16-bit floats ------------------------------------------------------===//

static float fromBits(uint32_t bits) {
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}
static uint32_t toBits(float f) {
  uint32_t bits;
  std::memcpy(&bits, &f, 4);
  return bits;
}

float bf16ToFloat(uint16_t bits) { return fromBits(static_cast<uint32_t>(bits) << 16); }

uint16_t floatToBf16(float v) {
  uint32_t b = toBits(v);
  if ((b & 0x7fffffff) > 0x7f800000)
    return static_cast<uint16_t>((b >> 16) | 0x40); // keep NaN a NaN when its payload is cut
  return static_cast<uint16_t>((b + 0x7fff + ((b >> 16) & 1)) >> 16);
}

float f16ToFloat(uint16_t bits) {
  uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16, exponent = (bits >> 10) & 31, mantissa = bits & 0x3ff;
  if (exponent == 31)
    return fromBits(sign | 0x7f800000 | (mantissa << 13));
  if (exponent == 0) {
    float f = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -f : f;
  }
  return fromBits(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

uint16_t floatToF16(float v) {
  uint32_t b = toBits(v), sign = (b >> 16) & 0x8000, a = b & 0x7fffffff;
  if (a > 0x7f800000)
    return static_cast<uint16_t>(sign | 0x7e00 | ((a >> 13) & 0x3ff));
  if (a >= 0x47800000) // 65536 and above
    return static_cast<uint16_t>(sign | 0x7c00);
  if (a < 0x38800000) { // below the smallest normal: adding 0.5 leaves exactly the wanted bits, rounded by the FPU
    uint32_t r = toBits(fromBits(a) + 0.5f) - toBits(0.5f);
    return static_cast<uint16_t>(sign | r);
  }
  // Rounding may carry into the exponent, and up to infinity: both come out right.
  return static_cast<uint16_t>(sign | ((a - (112u << 23) + 0xfff + ((a >> 13) & 1)) >> 13));
}

/// Truncates to float but keeps "there was more" in the last bit, so that a second rounding to fewer bits is still
/// right.
static float roundToOdd(double v) {
  float f = static_cast<float>(v);
  if (std::isnan(v) || static_cast<double>(f) == v)
    return f;
  if (std::fabs(static_cast<double>(f)) > std::fabs(v))
    f = std::nextafterf(f, 0.0f);
  return fromBits(toBits(f) | 1);
}

uint16_t doubleToBf16(double v) { return floatToBf16(roundToOdd(v)); }
uint16_t doubleToF16(double v) { return floatToF16(roundToOdd(v)); }

int64_t realToInt(double v) {
  if (std::isnan(v))
    return 0;
  if (v >= 0x1p63)
    return INT64_MAX;
  if (v < -0x1p63)
    return INT64_MIN;
  return static_cast<int64_t>(v);
}

//===- HostTensor ---------------------------------------------------------===//

int64_t HostTensor::count() const {
  int64_t n = 1;
  for (int64_t s : shape)
    n *= s;
  return n;
}

bool HostTensor::allocate(DType dtype, std::vector<int64_t> shape, HostTensor &out) {
  uint64_t bytes = dtypeSize(dtype), elements = 1;
  bool empty = false;
  for (int64_t s : shape) {
    if (s < 0)
      return false;
    empty |= s == 0;
  }
  for (int64_t s : shape)
    if (!empty && __builtin_mul_overflow(elements, static_cast<uint64_t>(s), &elements))
      return false;
  if (empty)
    elements = 0;
  if (__builtin_mul_overflow(bytes, elements, &bytes) || bytes > (uint64_t(1) << 62))
    return false;
  bytes = (bytes + 63) / 64 * 64;
  void *memory = std::aligned_alloc(64, bytes ? bytes : 64);
  if (!memory)
    return false;
  std::memset(memory, 0, bytes ? bytes : 64);
  out.dtype = dtype;
  out.strides.assign(shape.size(), 0);
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    out.strides[i] = stride;
    stride *= empty ? 0 : shape[i];
  }
  out.shape = std::move(shape);
  out.owner = std::shared_ptr<void>(memory, std::free);
  out.data = memory;
  return true;
}

static int64_t offsetOf(const HostTensor &t, int64_t flat) {
  int64_t offset = 0;
  for (size_t i = t.shape.size(); i-- > 0;) {
    offset += flat % t.shape[i] * t.strides[i];
    flat /= t.shape[i];
  }
  return offset;
}

template <typename T> static T load(const HostTensor &t, int64_t flat) {
  T v;
  std::memcpy(&v, static_cast<const char *>(t.data) + offsetOf(t, flat) * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return v;
}
template <typename T> static void store(HostTensor &t, int64_t flat, T v) {
  std::memcpy(static_cast<char *>(t.data) + offsetOf(t, flat) * static_cast<int64_t>(sizeof(T)), &v, sizeof(T));
}

double HostTensor::getReal(int64_t flat) const {
  switch (dtype) {
  case DType::F32:
    return load<float>(*this, flat);
  case DType::F16:
    return f16ToFloat(load<uint16_t>(*this, flat));
  case DType::BF16:
    return bf16ToFloat(load<uint16_t>(*this, flat));
  case DType::F64:
    return load<double>(*this, flat);
  default:
    return static_cast<double>(getInt(flat));
  }
}

int64_t HostTensor::getInt(int64_t flat) const {
  switch (dtype) {
  case DType::I32:
    return load<int32_t>(*this, flat);
  case DType::I64:
    return load<int64_t>(*this, flat);
  case DType::Bool:
    return load<uint8_t>(*this, flat) != 0;
  default:
    return realToInt(getReal(flat));
  }
}

void HostTensor::setReal(int64_t flat, double v) {
  switch (dtype) {
  case DType::F32:
    return store(*this, flat, static_cast<float>(v));
  case DType::F16:
    return store(*this, flat, doubleToF16(v));
  case DType::BF16:
    return store(*this, flat, doubleToBf16(v));
  case DType::F64:
    return store(*this, flat, v);
  case DType::Bool:
    return store(*this, flat, static_cast<uint8_t>(v != 0));
  default:
    return setInt(flat, realToInt(v));
  }
}

void HostTensor::setInt(int64_t flat, int64_t v) {
  switch (dtype) {
  case DType::I32:
    return store(*this, flat, static_cast<int32_t>(v));
  case DType::I64:
    return store(*this, flat, v);
  case DType::Bool:
    return store(*this, flat, static_cast<uint8_t>(v != 0));
  default:
    return setReal(flat, static_cast<double>(v));
  }
}

} // namespace attnc
