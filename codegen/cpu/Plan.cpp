//===- Which loop of a nest runs in lanes ---------------------------------===//
//
// Every dim that may run in lanes gets a price per element: contiguous accesses are cheap, gathers dear, loads that do
// not move along it nearly free; accesses in outer loops are paid less often. The cheapest dim wins, par before red
// when equal.
//===----------------------------------------------------------------------===//
#include "codegen/cpu/Nest.h"

using namespace mlir;
using namespace attnc;
using namespace attnc::cpu;

NestPlan cpu::planNest(const Scope &scope, const Machine &machine, tile::NestOp nest) { return {}; }
