//===- What is asked of the compiler, and its answer ----------------------===//
//
// Plain data, so that a program which finds its kernel in the cache needs neither MLIR nor LLVM: it knows these
// structs, and opens the compiler's library only when there is something to compile. They cross the border as bytes
// (see Library.h).
//===----------------------------------------------------------------------===//
#pragma once
#include "runtime/Blob.h"
#include "runtime/Message.h"
#include "runtime/Tensor.h"
#include "runtime/Variant.h"
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace attnc {

struct CompileRequest {
  std::string path;                          ///< of the spec; imports are looked for beside it
  std::string text;                          ///< its content
  std::string mixer;                         ///< empty: the only one
  std::map<std::string, std::string> params; ///< as written
  VariantKey variant;
  std::map<std::string, int64_t> sizes;   ///< explain, mask: values of all symbols
  std::map<std::string, HostTensor> data; ///< mask: inputs, row-major
  int64_t instance = 0;                   ///< mask: which of the batches and heads is drawn
  std::string target = "cpu";
  std::string arch = "native";
  /// attn, tile, llvm, asm, obj, cuda, ptx, cubin: a stage as text or bytes. hash: the IR's hash alone. blob: the
  /// kernel. explain; mask, mask-svg: what masks leave to visit, drawn.
  std::string stage = "blob";
  std::string cacheDirectory; ///< where kernels are kept by IR hash; empty: nowhere
  int64_t cacheLimit = 0;     ///< bytes; 0: the default
  std::string compilerStamp;  ///< tells builds of the compiler apart in the cache
};

struct CompileAnswer {
  enum Status : uint8_t { Done, Wrong, Unavailable, Internal } status = Internal;
  std::string messages;        ///< rendered diagnostics; may hold warnings when done
  Error error;                 ///< what went wrong beside them
  std::string irHash;          ///< of the tile program; with target and arch it determines the blob
  std::string stage;           ///< the text or bytes asked for
  std::string explainText;     ///< explain, mask: for people; `stage` has it as JSON, or as SVG
  double flops = 0, bytes = 0; ///< explain: of one call
  KernelBlob blob;
  bool blobCached = false; ///< the IR was known; no code was generated
};

std::string serializeRequest(const CompileRequest &request);
bool parseRequest(std::string_view bytes, CompileRequest &request);
std::string serializeAnswer(const CompileAnswer &answer);
bool parseAnswer(std::string_view bytes, CompileAnswer &answer);

/// Key of a kernel in the cache.
std::string blobKey(const std::string &irHash, const CompileRequest &request);

/// What "native" means: for target cuda the arch of the GPU that is here, false with an error when there is none.
bool resolveArch(const std::string &target, std::string &arch, Error &error);

} // namespace attnc
