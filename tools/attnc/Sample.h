//===- Extents and random inputs for verify, bench and explain ------------===//
//
// Extents come from --sizes, by symbol ("N"), axis ("i") or composite ("t"); what is left out gets a small odd number,
// chosen so that `require` and all lengths are satisfied. Inputs: floats normal with deviation 1/2 (rounded to their
// dtype), index inputs declared `in` mostly valid with a few -1, other integers 0 to 4, bools true three times out of
// four.
//===----------------------------------------------------------------------===//
#pragma once
#include "tools/attnc/Files.h"

namespace attnc::cli {

/// Number of sets of default extents; set 0 is the smallest with all extents different.
constexpr int kSizeSets = 4;

/// Values of all symbols. False with an error when a name is unknown or nothing fits.
bool sampleSizes(const Signature &signature, const std::map<std::string, int64_t> &sizes, int set,
                 std::vector<int64_t> &symbols, Error &error);

/// Whether --sizes says what the arguments say: `symbols` are those of bindArguments().
bool sizesAgree(const Signature &signature, const std::map<std::string, int64_t> &sizes, std::vector<int64_t> symbols,
                Error &error);

/// Inputs of the signature except `leftOut`.
bool sampleInputs(const Signature &signature, const std::vector<int64_t> &symbols, const std::set<std::string> &leftOut,
                  DType undeclared, uint64_t seed, Tensors &inputs, Error &error);

/// "b=2, N=5"
std::string sizesText(const Signature &signature, const std::vector<int64_t> &symbols);

} // namespace attnc::cli
