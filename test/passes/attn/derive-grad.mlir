// Gradients as ordinary ops; simplified, so that only what matters is left.
// RUN: attn-opt %s --attn-derive-grad --attn-simplify | FileCheck %s

// A contraction: what the other operand brings is summed over the axes that W lacks.
// CHECK-LABEL: @contraction
attn.mixer @contraction attributes {symbols = ["N"], axes = {i = "N", j = "N", d = "8"}} {
  %q = attn.input "q" dims [[i], [d]] storage f32 -> [d, i] f32
  // CHECK: %[[K:.+]] = attn.input "k"
  %k = attn.input "k" dims [[j], [d]] storage f32 -> [d, j] f32
  // CHECK: %[[C:.+]] = attn.input "c"
  %c = attn.input "c" dims [[i], [j]] storage f32 -> [i, j] f32
  %p = attn.map mul(%q, %k) : [d, i] f32, [d, j] f32 -> [d, i, j] f32
  %s = attn.reduce sum [d] %p : [d, i, j] f32 -> [i, j] f32
  %l = attn.map mul(%s, %c) : [i, j] f32, [i, j] f32 -> [i, j] f32
  %g = attn.grad %l wrt %q keep [] : [i, j] f32, [d, i] f32 -> [d, i] f32
  // CHECK: %[[P:.+]] = attn.map mul(%[[C]], %[[K]])
  // CHECK: %[[G:.+]] = attn.reduce sum [j] %[[P]] : [d, i, j] f32 -> [d, i] f32
  // CHECK: attn.output "g" %[[G]]
  attn.output "g" %g dims [[i], [d]] storage f32 : [d, i] f32
}

// An axis that the variable lacks and nothing touches is kept by not summing it.
// CHECK-LABEL: @keep
attn.mixer @keep attributes {symbols = ["N"], axes = {a = "8", t = "N"}} {
  %w = attn.input "w" dims [[a]] storage f32 -> [a] f32
  %x = attn.input "x" dims [[t], [a]] storage f32 -> [a, t] f32
  %p = attn.map mul(%w, %x) : [a] f32, [a, t] f32 -> [a, t] f32
  %l = attn.reduce sum [a] %p : [a, t] f32 -> [t] f32
  %g = attn.grad %l wrt %w keep [t] : [t] f32, [a] f32 -> [a, t] f32
  // CHECK: %[[X:.+]] = attn.input "x"
  // CHECK-NOT: attn.reduce
  // CHECK: attn.output
  attn.output "g" %g dims [[t], [a]] storage f32 : [a, t] f32
}

// A shift is read the other way, where that is inside.
// CHECK-LABEL: @shift
attn.mixer @shift attributes {symbols = ["N"], axes = {t = "N"}} {
  %x = attn.input "x" dims [[t]] storage f32 -> [t] f32
  // CHECK: %[[C:.+]] = attn.input "c"
  %c = attn.input "c" dims [[t]] storage f32 -> [t] f32
  %t = attn.index "t"
  %one = attn.const 1 : i64
  %zero = attn.const 0 : i64
  %none = attn.const 0.0 : f32
  %before = attn.map sub(%t, %one) : [t] i64, [] i64 -> [t] i64
  %start = attn.map lt(%before, %zero) : [t] i64, [] i64 -> [t] i1
  %r = attn.read %x [t = %before] : [t] f32, [t] i64 -> [t] f32
  %y = attn.map select(%start, %none, %r) : [t] i1, [] f32, [t] f32 -> [t] f32
  %l = attn.map mul(%y, %c) : [t] f32, [t] f32 -> [t] f32
  %g = attn.grad %l wrt %x keep [] : [t] f32, [t] f32 -> [t] f32
  // CHECK: %[[NEXT:.+]] = attn.map add(%{{.+}}, %{{.+}}) : [t] i64
  // CHECK: %[[IN:.+]] = attn.map lt(%[[NEXT]], %{{.+}})
  // CHECK: %[[R:.+]] = attn.read %[[C]] [t = %[[NEXT]]]
  // CHECK: attn.map select(%[[IN]], %[[R]], %{{.+}})
  attn.output "g" %g dims [[t]] storage f32 : [t] f32
}

// A shift of the flat position of a composite is one back, not a search among all positions.
// CHECK-LABEL: @flat_shift
attn.mixer @flat_shift attributes {symbols = ["N"], axes = {n = "N", u = "4", v = "3"}} {
  %x = attn.input "x" dims [[n, u, v]] storage f32 -> [n, u, v] f32
  // CHECK: %[[C:.+]] = attn.input "c"
  %c = attn.input "c" dims [[n, u, v]] storage f32 -> [n, u, v] f32
  %n = attn.index "n"
  %u = attn.index "u"
  %v = attn.index "v"
  %four = attn.const 4 : i64
  %three = attn.const 3 : i64
  %two = attn.const 2 : i64
  %nu = attn.map mul(%n, %four) : [n] i64, [] i64 -> [n] i64
  %m = attn.map add(%nu, %u) : [n] i64, [u] i64 -> [n, u] i64
  %mv = attn.map mul(%m, %three) : [n, u] i64, [] i64 -> [n, u] i64
  %t = attn.map add(%mv, %v) : [n, u] i64, [v] i64 -> [n, u, v] i64
  %s = attn.map sub(%t, %two) : [n, u, v] i64, [] i64 -> [n, u, v] i64
  %vs = attn.map mod(%s, %three) : [n, u, v] i64, [] i64 -> [n, u, v] i64
  %ms = attn.map idiv(%s, %three) : [n, u, v] i64, [] i64 -> [n, u, v] i64
  %us = attn.map mod(%ms, %four) : [n, u, v] i64, [] i64 -> [n, u, v] i64
  %ns = attn.map idiv(%ms, %four) : [n, u, v] i64, [] i64 -> [n, u, v] i64
  %r = attn.read %x [n = %ns, u = %us, v = %vs] : [n, u, v] f32, [n, u, v] i64, [n, u, v] i64, [n, u, v] i64 -> [n, u, v] f32
  %l = attn.map mul(%r, %c) : [n, u, v] f32, [n, u, v] f32 -> [n, u, v] f32
  %g = attn.grad %l wrt %x keep [] : [n, u, v] f32, [n, u, v] f32 -> [n, u, v] f32
  // CHECK: %[[NEXT:.+]] = attn.map add(%{{.+}}, %{{.+}}) : [n, u, v] i64, [] i64
  // CHECK: %[[V:.+]] = attn.map mod(%[[NEXT]], %{{.+}})
  // CHECK: %[[M:.+]] = attn.map idiv(%[[NEXT]], %{{.+}})
  // CHECK: %[[U:.+]] = attn.map mod(%[[M]], %{{.+}})
  // CHECK: %[[N:.+]] = attn.map idiv(%[[M]], %{{.+}})
  // CHECK: %[[IN:.+]] = attn.map lt(%[[NEXT]], %{{.+}})
  // CHECK-NOT: attn.reduce
  // CHECK: %[[R:.+]] = attn.read %[[C]] [n = %[[N]], u = %[[U]] inside, v = %[[V]] inside]
  // CHECK: attn.map select(%[[IN]], %[[R]], %{{.+}})
  attn.output "g" %g dims [[n, u, v]] storage f32 : [n, u, v] f32
}

// One axis that is read at the flat position of a composite: its digits.
// CHECK-LABEL: @flat_to_axis
attn.mixer @flat_to_axis attributes {symbols = ["N", "M"], axes = {n = "N", u = "4", t = "M"}} {
  %x = attn.input "x" dims [[t]] storage f32 -> [t] f32
  // CHECK: %[[C:.+]] = attn.input "c"
  %c = attn.input "c" dims [[n, u]] storage f32 -> [n, u] f32
  %n = attn.index "n"
  %u = attn.index "u"
  %four = attn.const 4 : i64
  %nu = attn.map mul(%n, %four) : [n] i64, [] i64 -> [n] i64
  %at = attn.map add(%nu, %u) : [n] i64, [u] i64 -> [n, u] i64
  %r = attn.read %x [t = %at] : [t] f32, [n, u] i64 -> [n, u] f32
  %l = attn.map mul(%r, %c) : [n, u] f32, [n, u] f32 -> [n, u] f32
  %g = attn.grad %l wrt %x keep [] : [n, u] f32, [t] f32 -> [t] f32
  // CHECK: %[[T:.+]] = attn.index "t"
  // CHECK: %[[U:.+]] = attn.map mod(%[[T]], %{{.+}})
  // CHECK: %[[N:.+]] = attn.map idiv(%[[T]], %{{.+}})
  // CHECK: %[[IN:.+]] = attn.map lt(%[[T]], %{{.+}})
  // CHECK-NOT: attn.reduce
  // CHECK: %[[R:.+]] = attn.read %[[C]] [n = %[[N]], u = %[[U]] inside]
  // CHECK: attn.map select(%[[IN]], %[[R]], %{{.+}})
  attn.output "g" %g dims [[t]] storage f32 : [t] f32
}

// A gather becomes a scatter: a sum over the reading side where the index is the position.
// CHECK-LABEL: @gather
attn.mixer @gather attributes {symbols = ["N", "M"], axes = {i = "N", j = "M"}} {
  %x = attn.input "x" dims [[j]] storage f32 -> [j] f32
  // CHECK: %[[S:.+]] = attn.input "s"
  %s = attn.input "s" dims [[i]] storage i32 -> [i] i64
  // CHECK: %[[C:.+]] = attn.input "c"
  %c = attn.input "c" dims [[i]] storage f32 -> [i] f32
  %r = attn.read %x [j = %s] : [j] f32, [i] i64 -> [i] f32
  %l = attn.map mul(%r, %c) : [i] f32, [i] f32 -> [i] f32
  %g = attn.grad %l wrt %x keep [] : [i] f32, [j] f32 -> [j] f32
  // CHECK: %[[J:.+]] = attn.index "j"
  // CHECK: %[[HIT:.+]] = attn.map eq(%[[S]], %[[J]]) : [i] i64, [j] i64 -> [i, j] i1
  // CHECK: attn.reduce sum [i] %[[C]] guard %[[HIT]]
  attn.output "g" %g dims [[j]] storage f32 : [j] f32
}

// A recurrence as a whole: one recurrence back.
// CHECK-LABEL: @recurrence
attn.mixer @recurrence attributes {symbols = ["N"], axes = {t = "N"}} {
  // CHECK: %[[X:.+]] = attn.input "x"
  %x = attn.input "x" dims [[t]] storage f32 -> [t] f32
  // CHECK: %[[A:.+]] = attn.input "a"
  %a = attn.input "a" dims [[t]] storage f32 -> [t] f32
  %t = attn.index "t"
  %one = attn.const 1 : i64
  %zero = attn.const 0 : i64
  %none = attn.const 0.0 : f32
  %before = attn.map sub(%t, %one) : [t] i64, [] i64 -> [t] i64
  %start = attn.map lt(%before, %zero) : [t] i64, [] i64 -> [t] i1
  %r = attn.read %h [t = %before] : [t] f32, [t] i64 -> [t] f32
  %old = attn.map select(%start, %none, %r) : [t] i1, [] f32, [t] f32 -> [t] f32
  %p = attn.map mul(%a, %old) : [t] f32, [t] f32 -> [t] f32
  %new = attn.map add(%p, %x) : [t] f32, [t] f32 -> [t] f32
  %h = attn.equation "h" %new cycle 0 loops [t = 1] : [t] f32
  %ga = attn.grad %h wrt %a keep [] : [t] f32, [t] f32 -> [t] f32
  %gx = attn.grad %h wrt %x keep [] : [t] f32, [t] f32 -> [t] f32
  // Both gradients share it.
  // CHECK: attn.map mul(%[[H:.+]], %[[A]])
  // CHECK: %[[BACK:.+]] = attn.equation "back" %{{.+}} cycle 1 loops [t = -1]
  // CHECK: attn.read %[[BACK]]
  // CHECK: %[[H]] = attn.equation "h.grad" %{{.+}} cycle 1 loops [t = -1]
  // CHECK-NOT: attn.equation
  // CHECK: attn.output "gx" %[[H]]
  attn.output "ga" %ga dims [[t]] storage f32 : [t] f32
  attn.output "gx" %gx dims [[t]] storage f32 : [t] f32
}

// In a cycle what is read of earlier steps (init included) is a constant: only the direct use of W counts.
// CHECK-LABEL: @in_cycle
attn.mixer @in_cycle attributes {symbols = ["N"], axes = {t = "N"}} {
  // CHECK: %[[X:.+]] = attn.input "x"
  %x = attn.input "x" dims [[t]] storage f32 -> [t] f32
  %t = attn.index "t"
  %one = attn.const 1 : i64
  %before = attn.map sub(%t, %one) : [t] i64, [] i64 -> [t] i64
  %earlier = attn.read %w [t = %before] : [t] f32, [t] i64 -> [t] f32
  %r = attn.detach step %earlier : [t] f32
  %v = attn.equation "v" %r cycle 0 loops [t = 1] : [t] f32
  %a = attn.map mul(%v, %x) : [t] f32, [t] f32 -> [t] f32
  %l = attn.map mul(%a, %r) : [t] f32, [t] f32 -> [t] f32
  %g = attn.grad %l wrt %v keep [] : [t] f32, [t] f32 -> [t] f32
  // CHECK: %[[R:.+]] = attn.read
  // CHECK: %[[G:.+]] = attn.map mul(%[[R]], %[[X]])
  // CHECK: attn.map sub(%{{.+}}, %[[G]])
  %new = attn.map sub(%v, %g) : [t] f32, [t] f32 -> [t] f32
  %w = attn.equation "w" %new cycle 0 loops [t = 1] : [t] f32
  attn.output "w" %w dims [[t]] storage f32 : [t] f32
}

// What is read at another place of the same step is no constant: y'(u) takes part.
// CHECK-LABEL: @within_step
attn.mixer @within_step attributes {symbols = ["N"], axes = {n = "N", u = "4", l = "4"}} {
  // CHECK: %[[X:.+]] = attn.input "x"
  %x = attn.input "x" dims [[n], [u]] storage f32 -> [n, u] f32
  %n = attn.index "n"
  %l = attn.index "l"
  %one = attn.const 1 : i64
  %before = attn.map sub(%n, %one) : [n] i64, [] i64 -> [n] i64
  %earlier = attn.read %w [n = %before] : [n] f32, [n] i64 -> [n] f32
  %r = attn.detach step %earlier : [n] f32
  %v = attn.equation "v" %r cycle 0 loops [n = 1, u = 1] : [n] f32
  %m = attn.map mul(%v, %x) : [n] f32, [n, u] f32 -> [n, u] f32
  %a = attn.equation "a" %m cycle 0 loops [n = 1, u = 1] : [n, u] f32
  %p = attn.read %a [u = %l] : [n, u] f32, [l] i64 -> [l, n] f32
  %s = attn.reduce sum [l] %p : [l, n] f32 -> [n] f32
  %g = attn.grad %s wrt %v keep [] : [n] f32, [n] f32 -> [n] f32
  // CHECK: attn.reduce sum [u] %{{.+}} : [n, u] f32 -> [n] f32
  // CHECK-NOT: attn.grad
  %new = attn.map sub(%v, %g) : [n] f32, [n] f32 -> [n] f32
  %w = attn.equation "w" %new cycle 0 loops [n = 1, u = 1] : [n] f32
  attn.output "w" %w dims [[n]] storage f32 : [n] f32
}

// The inner gradient comes first; x ** 3 has the second derivative 6 x.
// CHECK-LABEL: @nested
attn.mixer @nested attributes {symbols = [], axes = {i = "4"}} {
  %x = attn.input "x" dims [[i]] storage f32 -> [i] f32
  %three = attn.const 3.0 : f32
  %p = attn.map pow(%x, %three) : [i] f32, [] f32 -> [i] f32
  %g = attn.grad %p wrt %x keep [] : [i] f32, [i] f32 -> [i] f32
  %h = attn.grad %g wrt %x keep [] : [i] f32, [i] f32 -> [i] f32
  // CHECK-NOT: attn.grad
  attn.output "h" %h dims [[i]] storage f32 : [i] f32
}

// The derivative of log is never formed where log is not chosen: 0 / 0 would be NaN.
// CHECK-LABEL: @chosen
attn.mixer @chosen attributes {symbols = [], axes = {i = "4"}} {
  // CHECK: %[[X:.+]] = attn.input "x"
  %x = attn.input "x" dims [[i]] storage f32 -> [i] f32
  %zero = attn.const 0.0 : f32
  // CHECK: %[[C:.+]] = attn.map gt
  %c = attn.map gt(%x, %zero) : [i] f32, [] f32 -> [i] i1
  %log = attn.map log(%x) : [i] f32 -> [i] f32
  %y = attn.map select(%c, %log, %zero) : [i] i1, [i] f32, [] f32 -> [i] f32
  %g = attn.grad %y wrt %x keep [] : [i] f32, [i] f32 -> [i] f32
  // CHECK: %[[SLOPE:.+]] = attn.map div(%{{.+}}, %[[X]])
  // CHECK: attn.map select(%[[C]], %[[SLOPE]], %[[ZERO:.+]])
  attn.output "g" %g dims [[i]] storage f32 : [i] f32
}

// What does not depend on the variable, or is detached, has the derivative 0.
// CHECK-LABEL: @none
attn.mixer @none attributes {symbols = [], axes = {i = "4"}} {
  %x = attn.input "x" dims [[i]] storage f32 -> [i] f32
  %d = attn.detach %x : [i] f32
  %y = attn.map exp(%d) : [i] f32 -> [i] f32
  %g = attn.grad %y wrt %x keep [] : [i] f32, [i] f32 -> [i] f32
  // CHECK: attn.const 0.000000e+00 : f32
  // CHECK-NOT: attn.map exp
  attn.output "g" %g dims [[i]] storage f32 : [i] f32
}
