// Recurrences: loops, memory of states, read-outs.
// RUN: attn-opt %s --attn-to-tile | FileCheck %s

// The state is overwritten in place; the gate and the read-out run in the same step. What the first step computes in its own
// way, and that alone, is written twice, so that the others need no condition for the init. The last state is copied after
// the loop.
// CHECK-LABEL: tile.program @gla
// CHECK: tile.kernel grid [%{{.+}} = %b] {
// CHECK: %[[S:.+]] = tile.alloc [%c16_i64, %c16_i64] {name = "S"} : <f32, 2>
// CHECK: %[[G:.+]] = tile.alloc [%c16_i64] {name = "exp"} : <f32, 1>
// CHECK: tile.for %[[T:.+]] = %c0_i64 to %t step %c1_i64 {
// CHECK: tile.load %g[%{{.+}}, %[[T]], %{{.+}}]
// CHECK: math.exp
// CHECK: tile.store %{{.+}}, %[[G]]
// CHECK: %[[NEXT:.+]] = arith.addi %[[T]], %c1_i64
// CHECK: %[[END:.+]] = arith.minsi %[[NEXT]], %c1_i64
// CHECK: %[[LATER:.+]] = arith.maxsi %[[T]], %c1_i64
// CHECK: tile.for %{{.+}} = %[[T]] to %[[END]] step %c1_i64 {
// CHECK-NOT: tile.load %[[S]][
// CHECK: tile.load %k[%{{.+}}, %c0_i64, %{{.+}}]
// CHECK: tile.store %{{.+}}, %[[S]]
// CHECK: tile.for %{{.+}} = %[[LATER]] to %[[NEXT]] step %c1_i64 {
// CHECK-NOT: arith.select
// CHECK-NOT: math.exp
// CHECK: tile.load %[[S]][%[[A:.+]], %[[C:.+]]]
// CHECK: tile.store %{{.+}}, %[[S]][%[[A]], %[[C]]]
// CHECK: tile.nest par [%{{.+}} = %c0_i64 to %c16_i64] red [%{{.+}} = %c0_i64 to %c16_i64]
// CHECK: tile.store %{{.+}}, %o
// CHECK: }
// CHECK: tile.nest par
// CHECK: tile.store %{{.+}}, %S_last
attn.mixer @gla attributes {symbols = ["b", "t"], axes = {b = "b", t = "t", a = "16", c = "16"}} {
  %q = attn.input "q" dims [[b], [t], [a]] storage f32 -> [a, b, t] f32
  %k = attn.input "k" dims [[b], [t], [a]] storage f32 -> [a, b, t] f32
  %v = attn.input "v" dims [[b], [t], [c]] storage f32 -> [b, c, t] f32
  %g = attn.input "g" dims [[b], [t], [a]] storage f32 -> [a, b, t] f32
  %zero = attn.const 0.0 : f32
  %one = attn.const 1 : i64
  %zi = attn.const 0 : i64
  %t = attn.index "t"
  %tm = attn.map sub(%t, %one) : [t] i64, [] i64 -> [t] i64
  %off = attn.map lt(%tm, %zi) : [t] i64, [] i64 -> [t] i1
  %before = attn.read %S [t = %tm] : [a, b, c, t] f32, [t] i64 -> [a, b, c, t] f32
  %old = attn.map select(%off, %zero, %before) : [t] i1, [] f32, [a, b, c, t] f32 -> [a, b, c, t] f32
  %gate = attn.map exp(%g) : [a, b, t] f32 -> [a, b, t] f32
  %x = attn.map mul(%gate, %old) : [a, b, t] f32, [a, b, c, t] f32 -> [a, b, c, t] f32
  %kv = attn.map mul(%k, %v) : [a, b, t] f32, [b, c, t] f32 -> [a, b, c, t] f32
  %new = attn.map add(%x, %kv) : [a, b, c, t] f32, [a, b, c, t] f32 -> [a, b, c, t] f32
  %S = attn.equation "S" %new cycle 0 loops [t = 1] : [a, b, c, t] f32
  %qs = attn.map mul(%q, %S) : [a, b, t] f32, [a, b, c, t] f32 -> [a, b, c, t] f32
  %o = attn.reduce sum [a] %qs : [a, b, c, t] f32 -> [b, c, t] f32
  attn.output "o" %o dims [[b], [t], [c]] storage f32 : [b, c, t] f32
  %n = attn.extent "t"
  %last = attn.map sub(%n, %one) : [] i64, [] i64 -> [] i64
  %sl = attn.read %S [t = %last] : [a, b, c, t] f32, [] i64 -> [a, b, c] f32
  attn.output "S_last" %sl dims [[b], [a], [c]] storage f32 : [a, b, c] f32
}

// A scan from the end walks down. Two steps back take three slots.
// CHECK-LABEL: tile.program @back
// CHECK: %[[S:.+]] = tile.alloc [%c3_i64] {name = "S"} : <f32, 1>
// CHECK: tile.for %[[T:.+]] = %{{.+}} to %c-1_i64 step %c-1_i64 {
attn.mixer @back attributes {symbols = ["b", "t"], axes = {b = "b", t = "t"}} {
  %x = attn.input "x" dims [[b], [t]] storage f32 -> [b, t] f32
  %two = attn.const 2 : i64
  %zero = attn.const 0.0 : f32
  %n = attn.extent "t"
  %t = attn.index "t"
  %tp = attn.map add(%t, %two) : [t] i64, [] i64 -> [t] i64
  %off = attn.map ge(%tp, %n) : [t] i64, [] i64 -> [t] i1
  %before = attn.read %S [t = %tp] : [b, t] f32, [t] i64 -> [b, t] f32
  %old = attn.map select(%off, %zero, %before) : [t] i1, [] f32, [b, t] f32 -> [b, t] f32
  %new = attn.map add(%old, %x) : [b, t] f32, [b, t] f32 -> [b, t] f32
  %S = attn.equation "S" %new cycle 0 loops [t = -1] : [b, t] f32
  attn.output "y" %S dims [[b], [t]] storage f32 : [b, t] f32
}

// A wavefront keeps whole rows of the inner axis, and two of the outer one.
// CHECK-LABEL: tile.program @wavefront
// CHECK: tile.alloc [%c2_i64, %M] {name = "H"} : <f32, 2>
// CHECK: tile.for
// CHECK: tile.for
attn.mixer @wavefront attributes {symbols = ["N", "M"], axes = {i = "N", j = "M"}} {
  %w = attn.input "w" dims [[i], [j]] storage f32 -> [i, j] f32
  %one = attn.const 1 : i64
  %i = attn.index "i"
  %j = attn.index "j"
  %im = attn.map sub(%i, %one) : [i] i64, [] i64 -> [i] i64
  %jm = attn.map sub(%j, %one) : [j] i64, [] i64 -> [j] i64
  %up = attn.read %H [i = %im] : [i, j] f32, [i] i64 -> [i, j] f32
  %left = attn.read %H [j = %jm] : [i, j] f32, [j] i64 -> [i, j] f32
  %sum = attn.map add(%up, %left) : [i, j] f32, [i, j] f32 -> [i, j] f32
  %new = attn.map add(%sum, %w) : [i, j] f32, [i, j] f32 -> [i, j] f32
  %H = attn.equation "H" %new cycle 0 loops [i = 1, j = 1] : [i, j] f32
  attn.output "y" %H dims [[i], [j]] storage f32 : [i, j] f32
}

// States of two recurrences are read out one by one: neither is kept for all positions.
// CHECK-LABEL: tile.program @both
// CHECK: tile.alloc [%b, %t, %c16_i64] {name = "sum"
// CHECK-NOT: %t, %c16_i64, %c16_i64
// CHECK: tile.kernel
// CHECK: tile.for
// CHECK: tile.kernel
// CHECK: tile.for
attn.mixer @both attributes {symbols = ["b", "t"], axes = {b = "b", t = "t", a = "16", c = "16"}} {
  %q = attn.input "q" dims [[b], [t], [a]] storage f32 -> [a, b, t] f32
  %v = attn.input "v" dims [[b], [t], [c]] storage f32 -> [b, c, t] f32
  %one = attn.const 1 : i64
  %t = attn.index "t"
  %tm = attn.map sub(%t, %one) : [t] i64, [] i64 -> [t] i64
  %tp = attn.map add(%t, %one) : [t] i64, [] i64 -> [t] i64
  %qv = attn.map mul(%q, %v) : [a, b, t] f32, [b, c, t] f32 -> [a, b, c, t] f32
  %fb = attn.read %F [t = %tm] : [a, b, c, t] f32, [t] i64 -> [a, b, c, t] f32
  %fn = attn.map add(%fb, %qv) : [a, b, c, t] f32, [a, b, c, t] f32 -> [a, b, c, t] f32
  %F = attn.equation "F" %fn cycle 0 loops [t = 1] : [a, b, c, t] f32
  %rb = attn.read %R [t = %tp] : [a, b, c, t] f32, [t] i64 -> [a, b, c, t] f32
  %rn = attn.map add(%rb, %qv) : [a, b, c, t] f32, [a, b, c, t] f32 -> [a, b, c, t] f32
  %R = attn.equation "R" %rn cycle 1 loops [t = -1] : [a, b, c, t] f32
  %s = attn.map add(%F, %R) : [a, b, c, t] f32, [a, b, c, t] f32 -> [a, b, c, t] f32
  %qs = attn.map mul(%q, %s) : [a, b, t] f32, [a, b, c, t] f32 -> [a, b, c, t] f32
  %o = attn.reduce sum [a] %qs : [a, b, c, t] f32 -> [b, c, t] f32
  attn.output "o" %o dims [[b], [t], [c]] storage f32 : [b, c, t] f32
}
