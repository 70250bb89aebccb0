//===- What follows from the shapes of a call -----------------------------===//
#pragma once
#include "runtime/KernelMixer.h"

namespace attnc {

constexpr int kMaxArguments = 64;
constexpr int kMaxRank = 32;

struct Mixer::Binding {
  struct Shape {
    bool given = false;
    DType dtype = DType::F32;
    std::vector<int64_t> extents;
    bool empty = false;
  };
  std::vector<Shape> inputs, outputs;
  bool rows = false; ///< the code relies on it that every input is stored row by row
  /// Inputs whose values are promised to be positions: argument number and the bound.
  std::vector<std::pair<size_t, int64_t>> promises;
  std::vector<int64_t> symbols; ///< those the kernel reads
  std::shared_ptr<const KernelImage> image;
  int64_t workspace = 0;
  std::string memory; ///< what a refusal of memory says; made when it was bound
};

} // namespace attnc
