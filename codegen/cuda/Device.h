//===- The device header: what stands in front of emitted text ------------===//
//
// device/gpu.cuh and device/common.cuh for a GPU, device/emulated.h and device/common.cuh for the emulator; kept in the
// library as text, so that nothing has to be found on disk.
//===----------------------------------------------------------------------===//
#pragma once
#include <string_view>

namespace attnc::cuda {

extern const std::string_view kDeviceGpu, kDeviceEmulated, kDeviceCommon;

} // namespace attnc::cuda
