//===- Absence into explicit predicates -----------------------------------===//
//
// totalize() gives every tensor of a checked program its total body and its causes of absence, by the rules of
// docs/language.md ("absent elements"). From there on nobody asks how a condition was spelled.
// Total nodes are: Const, Index, Extent, Tensor, Map, Reduce, Softmax, Cum, ArgMax, ArgMin, TopK, ArgSort, Rank, Read,
// Grad, Detach; operands may hold any value where their guard is false, and must not influence the result there. A
// total Read clamps: an index outside 0 .. bound-1 reads some position inside, and never memory outside. A read of a
// recurrence off its start becomes Select(off the start, init, Read).
//===----------------------------------------------------------------------===//
#pragma once
#include "frontend/Diagnostic.h"
#include "frontend/Program.h"

namespace attnc {

void totalize(Program &program);

/// Checks that no output and no state may be absent (error with a `fill` to paste); adds to signature.requirements the
/// preconditions that proofs needed (extents taken as at least 1). Call after totalize().
void checkPresence(Program &program, Diagnostics &diags);

} // namespace attnc
