//===- Conditions that inputs exercise on one side only -------------------===//
//
// A comparison of kernel and reference says nothing about the branch that no input takes. For every condition of a
// `where` or an `if`, two outputs are added to the reference's program: was it true anywhere, was it false anywhere.
//===----------------------------------------------------------------------===//
#pragma once
#include "frontend/Program.h"
#include "runtime/Tensor.h"
#include <map>
#include <string>
#include <vector>

namespace attnc::cli {

class Conditions {
public:
  /// Adds the outputs. Call once, after the check.
  void addTo(Program &program);
  /// Takes the added outputs of one evaluation out of `outputs`.
  void collect(const Program &program, std::map<std::string, HostTensor> &outputs);
  struct OneSided {
    std::string place, condition; ///< "spec.attn:5:20", "j <= i"
    bool value;
  };
  /// Those that took one side in all evaluations so far.
  std::vector<OneSided> oneSided() const;

private:
  struct Sides {
    bool sawTrue = false, sawFalse = false;
    std::string place, condition;
  };
  std::map<std::string, Sides> sides_; ///< by place in the text: the same condition in several programs counts as one
};

} // namespace attnc::cli
