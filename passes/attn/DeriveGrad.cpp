#include "dialect/attn/Attn.h"
#include "passes/Passes.h"

namespace attnc {
#define GEN_PASS_DEF_DERIVEGRAD
#include "passes/Passes.h.inc"

namespace {
struct DeriveGrad : impl::DeriveGradBase<DeriveGrad> {
  using Base::Base;
  void runOnOperation() override {}
};
} // namespace
} // namespace attnc
