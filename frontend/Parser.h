//===- Text to syntax tree: the only border with ANTLR --------------------===//
#pragma once
#include "frontend/Ast.h"
#include "frontend/Diagnostic.h"

namespace attnc {

/// Parses `source`. Reports and returns null on a syntax error, a text over 1 MiB, or nesting deeper than 256. Never
/// throws.
std::unique_ptr<ast::File> parse(const Source &source, Diagnostics &diags);
/// The tree as indented text, for `--emit=ast`. Deterministic.
std::string dumpAst(const ast::File &file);

} // namespace attnc
