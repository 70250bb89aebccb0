//===- The compiler's plan for a call, as explain shows it ----------------===//
#pragma once
#include "tools/attnc/Session.h"

namespace attnc::cli {

struct Plan {
  std::string json, text;
  double flops = 0, bytes = 0;
};

/// For calls of these values of the symbols, all inputs passed. Exit status.
int makePlan(const Options &options, const Session &session, const std::vector<int64_t> &symbols, Plan &plan);

} // namespace attnc::cli
