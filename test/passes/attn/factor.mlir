// Sums of products of three factors, and of several products.
// RUN: attn-opt %s --attn-factor | FileCheck %s

// CHECK-LABEL: @bilinear
attn.mixer @bilinear attributes {symbols = ["N", "M"], axes = {i = "N", j = "M", c = "8", p = "8"}} {
  %x = attn.input "x" dims [[i], [c]] storage f32 -> [c, i] f32
  %q = attn.input "q" dims [[c], [p]] storage f32 -> [c, p] f32
  // CHECK: %[[Y:.+]] = attn.input "y"
  %y = attn.input "y" dims [[j], [p]] storage f32 -> [j, p] f32
  // CHECK: %[[SUM:.+]] = attn.reduce sum [c] %{{.+}} : [c, i, p] f32
  // CHECK: %[[OUTER:.+]] = attn.map mul(%[[SUM]], %[[Y]])
  // CHECK: attn.reduce sum [p] %[[OUTER]]
  %a = attn.map mul(%x, %q) : [c, i] f32, [c, p] f32 -> [c, i, p] f32
  %b = attn.map mul(%a, %y) : [c, i, p] f32, [j, p] f32 -> [c, i, j, p] f32
  %s = attn.reduce sum [c, p] %b : [c, i, j, p] f32 -> [i, j] f32
  attn.output "s" %s dims [[i], [j]] storage f32 : [i, j] f32
}

// A scale that lacks the reduced axis, and factors that share all axes: nothing is saved.
// CHECK-LABEL: @plain
attn.mixer @plain attributes {symbols = ["N", "M"], axes = {i = "N", j = "M", c = "8"}} {
  %x = attn.input "x" dims [[i], [c]] storage f32 -> [c, i] f32
  %y = attn.input "y" dims [[j], [c]] storage f32 -> [c, j] f32
  %z = attn.input "z" dims [[j]] storage f32 -> [j] f32
  // CHECK-COUNT-1: attn.reduce
  // CHECK-NOT: attn.reduce
  %a = attn.map mul(%x, %y) : [c, i] f32, [c, j] f32 -> [c, i, j] f32
  %b = attn.map mul(%a, %z) : [c, i, j] f32, [j] f32 -> [c, i, j] f32
  %s = attn.reduce sum [c] %b : [c, i, j] f32 -> [i, j] f32
  attn.output "s" %s dims [[i], [j]] storage f32 : [i, j] f32
}

// Each term is a matrix product.
// CHECK-LABEL: @gates
attn.mixer @gates attributes {symbols = ["B", "Q"], axes = {b = "B", q = "Q", c = "64"}} {
  %u = attn.input "u" dims [[q], [c]] storage f32 -> [c, q] f32
  %h = attn.input "h" dims [[b], [c]] storage f32 -> [b, c] f32
  %v = attn.input "v" dims [[q], [c]] storage f32 -> [c, q] f32
  %r = attn.input "r" dims [[b], [c]] storage f32 -> [b, c] f32
  // CHECK: %[[U:.+]] = attn.map mul
  // CHECK: %[[V:.+]] = attn.map mul
  // CHECK: %[[SU:.+]] = attn.reduce sum [c] %[[U]]
  // CHECK: %[[SV:.+]] = attn.reduce sum [c] %[[V]]
  // CHECK: attn.map sub(%[[SU]], %[[SV]])
  %a = attn.map mul(%u, %h) : [c, q] f32, [b, c] f32 -> [b, c, q] f32
  %b = attn.map mul(%v, %r) : [c, q] f32, [b, c] f32 -> [b, c, q] f32
  %d = attn.map sub(%a, %b) : [b, c, q] f32, [b, c, q] f32 -> [b, c, q] f32
  %s = attn.reduce sum [c] %d : [b, c, q] f32 -> [b, q] f32
  attn.output "s" %s dims [[b], [q]] storage f32 : [b, q] f32
}

// One product and a bias: nothing is gained by two sums.
// CHECK-LABEL: @bias
attn.mixer @bias attributes {symbols = ["B", "Q"], axes = {b = "B", q = "Q", c = "64"}} {
  %u = attn.input "u" dims [[q], [c]] storage f32 -> [c, q] f32
  %h = attn.input "h" dims [[b], [c]] storage f32 -> [b, c] f32
  // CHECK-COUNT-1: attn.reduce
  // CHECK-NOT: attn.reduce
  %a = attn.map mul(%u, %h) : [c, q] f32, [b, c] f32 -> [b, c, q] f32
  %d = attn.map add(%a, %u) : [b, c, q] f32, [c, q] f32 -> [b, c, q] f32
  %s = attn.reduce sum [c] %d : [b, c, q] f32 -> [b, q] f32
  attn.output "s" %s dims [[b], [q]] storage f32 : [b, q] f32
}

// Numbers of the call come after the sum; over nothing it stays 0.
// CHECK-LABEL: @scale
attn.mixer @scale attributes {symbols = ["N", "M", "C"], axes = {i = "N", j = "M", c = "C"}} {
  // CHECK: %[[X:.+]] = attn.input "x"
  %x = attn.input "x" dims [[i], [c]] storage f32 -> [c, i] f32
  // CHECK: %[[Y:.+]] = attn.input "y"
  %y = attn.input "y" dims [[j], [c]] storage f32 -> [c, j] f32
  %n = attn.extent "C"
  %f = attn.map to_f32(%n) : [] i64 -> [] f32
  // CHECK: %[[R:.+]] = attn.map sqrt
  %r = attn.map sqrt(%f) : [] f32 -> [] f32
  // CHECK: %[[P:.+]] = attn.map mul(%[[X]], %[[Y]])
  // CHECK: %[[SUM:.+]] = attn.reduce sum [c] %[[P]]
  // CHECK: %[[ALL:.+]] = attn.map div(%[[SUM]], %[[R]])
  // CHECK: %[[SOME:.+]] = attn.map gt
  // CHECK: attn.map select(%[[SOME]], %[[ALL]],
  %a = attn.map div(%x, %r) : [c, i] f32, [] f32 -> [c, i] f32
  %b = attn.map mul(%a, %y) : [c, i] f32, [c, j] f32 -> [c, i, j] f32
  %s = attn.reduce sum [c] %b : [c, i, j] f32 -> [i, j] f32
  attn.output "s" %s dims [[i], [j]] storage f32 : [i, j] f32
}
