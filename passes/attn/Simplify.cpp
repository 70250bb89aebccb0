#include "dialect/attn/Attn.h"
#include "passes/Passes.h"

namespace attnc {
#define GEN_PASS_DEF_SIMPLIFY
#include "passes/Passes.h.inc"

namespace {
struct Simplify : impl::SimplifyBase<Simplify> {
  using Base::Base;
  void runOnOperation() override {}
};
} // namespace
} // namespace attnc
