#include "dialect/attn/Attn.h"
#include "passes/Passes.h"

namespace attnc {
#define GEN_PASS_DEF_DECOMPOSE
#include "passes/Passes.h.inc"

namespace {
struct Decompose : impl::DecomposeBase<Decompose> {
  using Base::Base;
  void runOnOperation() override {}
};
} // namespace
} // namespace attnc
