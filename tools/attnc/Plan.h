//===- The compiler's plan for a call, as explain shows it ----------------===//
#pragma once
#include "tools/attnc/Session.h"

namespace attnc::cli {

struct Plan {
  std::string json, text;
  double flops = 0, bytes = 0;
};

/// For the sizes of the options; what --sizes leaves out gets defaults. Exit status.
int makePlan(const Options &options, Plan &plan);

} // namespace attnc::cli
