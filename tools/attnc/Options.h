//===- The command line as a struct ---------------------------------------===//
//
// Parsed by hand: every mistake is one error with the nearest spelling, and the only exit status for it is 1.
// Options take their value as `--name value` or `--name=value`; `--in`, `--out`, `--set`, `--sizes` may be repeated,
// and several `name=file` may follow one `--in` or `--out`.
//===----------------------------------------------------------------------===//
#pragma once
#include "runtime/DType.h"
#include "runtime/Message.h"
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace attnc::cli {

/// The only exit statuses; see docs/cli.md.
enum Exit : int { kDone = 0, kWrong = 1, kMismatch = 2, kUnavailable = 3 };

struct Options {
  std::string command;
  std::vector<std::string> specs;
  std::string mixer;
  std::vector<std::pair<std::string, std::string>> in, out; ///< name, file; in the order given
  std::map<std::string, std::string> params;                ///< --set, as written
  std::map<std::string, int64_t> sizes;
  std::string target = "cpu";
  std::string arch; ///< empty: the target's default
  int threads = 0;  ///< 0: as many as there are cores
  std::optional<DType> dtype;
  uint64_t seed = 0;
  std::string emit;
  std::string output; ///< -o
  std::string save;   ///< folder for what verify compares
  bool mask = false;
  int64_t instance = 0; ///< show
  bool json = false;
  bool noCache = false;
  int64_t workspaceLimit = 0; ///< bytes; 0: the default of runtime/Kernel.h
};

/// Fills `options`; false on failure. `help` is set when the user asked for the usage.
bool parseOptions(int argc, char **argv, Options &options, bool &help, Error &error);
/// Usage of one subcommand, or of all when `command` is empty.
std::string usage(const std::string &command);
const std::vector<std::string> &commandNames();

} // namespace attnc::cli
