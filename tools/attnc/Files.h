//===- Tensors from and to files ------------------------------------------===//
//
// Reading: `--in name=file.npy`, `--in name=file.safetensors` (the tensor of that name), `--in all=file.safetensors`
// (every tensor whose name is an input's). Writing: results gather in an OutputFiles; nothing exists under its final
// name before all of them are written in full, and when anything fails nothing is left behind.
//===----------------------------------------------------------------------===//
#pragma once
#include "tools/attnc/Common.h"
#include <utility>
#include <vector>

namespace attnc::cli {

/// All tensors that `--in` names, before it is known which inputs the mixer has.
struct InputFiles {
  Tensors named;                            ///< --in name=file
  Tensors fromAll;                          ///< tensors of --in all=file.safetensors
  std::map<std::string, std::string> paths; ///< file of each; of one given in both ways, that of all=
};
bool readInputFiles(const Options &options, InputFiles &files, Error &error);

/// Picks the inputs the mixer has; a name it lacks is an error. Missing inputs are left to the caller.
bool selectInputs(const InputFiles &files, const std::vector<std::string> &inputNames, const std::string &mixer,
                  Tensors &inputs, Error &error);

/// adaptArguments with --dtype. `widened`: the first file whose float64 values make the kernel compute in float64.
bool convertInputs(const Options &options, const Signature &signature, const InputFiles &files, Tensors &inputs,
                   std::string &widened, Error &error);

/// Inputs with a default that are not in `given`, and an error for one without a default that is missing.
bool leftOutInputs(const ast::Mixer &mixer, const Tensors &given, std::set<std::string> &leftOut, Error &error);
/// `--out` names must be outputs, each file once, in a folder that exists: checked before any work.
bool checkOutputs(const Options &options, const std::vector<std::string> &outputNames, Error &error);

/// Writes what --out asks for.
bool writeOutputs(const Options &options, const Tensors &outputs, Error &error);
/// Writes one file of bytes the same careful way; "-" or empty is standard output.
bool writeBytes(const std::string &path, const std::string &bytes, Error &error);

} // namespace attnc::cli
