//===- From a spec to a kernel, or to any stage on the way ----------------===//
//
//   text -> checked equations -> total graph -> attn dialect -> tile dialect -> target's code
//
// One MLIRContext per call, without threads of its own, so that calls may run in parallel. A mistake in the spec is a
// diagnostic with its place. A pass or code generator that fails otherwise is a bug of ours: the answer then says so,
// names the stage, and a reproducer is written to the system's folder for temporary files.
//===----------------------------------------------------------------------===//
#pragma once
#include "codegen/driver/Request.h"
#include "frontend/Check.h"
#include "frontend/Diagnostic.h"

namespace attnc {

CompileAnswer compile(const CompileRequest &request);
/// The same for a spec that is loaded already; diagnostics of the spec go to `diags` as data, and into the answer as
/// text.
CompileAnswer compile(const CompileRequest &request, const Spec &spec, Diagnostics &diags);

} // namespace attnc
