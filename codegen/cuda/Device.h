//===- The device header: what stands in front of emitted text ------------===//
//
// device/types.cuh, then gpu.cuh for a GPU or emulated.h for the emulator, then common.cuh; kept in the library as
// text, so that nothing has to be found on disk.
//===----------------------------------------------------------------------===//
#pragma once
#include <string_view>

namespace attnc::cuda {

extern const std::string_view kDeviceTypes, kDeviceGpu, kDeviceEmulated, kDeviceCommon;

} // namespace attnc::cuda
