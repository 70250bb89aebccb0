//===- A compiled kernel as bytes -----------------------------------------===//
//
// What code generation hands over and the cache keeps: one image of position-independent machine code and constants,
// with two entry points as offsets, and what the machine that runs it must have. The image needs no relocation and no
// import; it is mapped as a whole, readable and executable, at an address aligned to a page.
//===----------------------------------------------------------------------===//
#pragma once
#include "runtime/Message.h"
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace attnc {

struct KernelBlob {
  enum class Form : uint8_t {
    MachineCode, ///< image: code; entry points by offset
    Emulated,    ///< image: a shared library for the emulator; plan: what the host does around its kernels
    Cubin        ///< image: a cubin for the driver; plan as above
  };
  Form form = Form::MachineCode;
  std::string image;
  std::string plan;            ///< a serialized LaunchPlan, where the form has one
  uint64_t workspaceBytes = 0; ///< offset of a WorkspaceBytesFn
  uint64_t run = 0;            ///< offset of a RunFn
  std::string arch;            ///< what it was compiled for, as a user would write it: "x86-64-v4", "native", "sm_90"
  /// CPU features the code uses, by LLVM's names ("avx2", "avx512f", ...); the loader refuses a CPU that lacks one.
  std::vector<std::string> features;
  /// Buffers of the program, biggest first, for messages: the text of a size over the symbols, and where it comes from.
  struct Buffer {
    std::string name;  ///< equation it holds, if known
    std::string bytes; ///< extentText over the symbols, e.g. "b * N * 256"
  };
  std::vector<Buffer> buffers;
};

/// Writes and reads the form kept on disk: magic, ABI, length and checksum first, so that a cut or foreign file is told
/// apart.
std::string serializeBlob(const KernelBlob &blob);
bool parseBlob(std::string_view bytes, KernelBlob &blob, Error &error);

/// The envelope of everything attnc keeps on disk: magic, checksum, kernel ABI, a letter for the kind ('K' kernel, 'S'
/// signature, ...).
std::string sealBytes(char kind, std::string_view payload);
bool unsealBytes(char kind, std::string_view bytes, std::string_view &payload, Error &error);

} // namespace attnc
