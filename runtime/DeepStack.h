//===- A stack with room for deep recursion -------------------------------===//
//
// Specs make trees and graphs that are walked recursively; a long chain of equations is deep. So whatever starts such
// work gives it a stack that is large, and costs nothing until it is used.
//===----------------------------------------------------------------------===//
#pragma once
#include <functional>

namespace attnc {

/// Runs `body` to its end on a large stack: this thread's when that is large already, else one made for it, the
/// largest to be had; this thread's where none is. What `body` throws is thrown here.
void onDeepStack(const std::function<void()> &body);

/// The last address that this thread's stack may grow to; null when it cannot be told.
const char *stackEnd();

} // namespace attnc
