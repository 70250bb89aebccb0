// What is stored, how stages share a kernel, and how elementwise values follow the loops of their readers.
// RUN: attn-opt %s --attn-to-tile | FileCheck %s

// An output is a stage of its own; the bf16 input is computed with in f32, blocks of 64 make the grid.
// CHECK-LABEL: tile.program @scale symbols ["N"]
// CHECK: tile.kernel grid [%{{.+}} = %{{.+}}] {
// CHECK: tile.nest par [%[[I:.+]] = %{{.+}} to %{{.+}}] {
// CHECK: %[[X:.+]] = tile.load %x[%[[I]]] : <bf16, 1>
// CHECK: %[[E:.+]] = math.exp %[[X]] : f32
// CHECK: tile.store %[[E]], %y[%[[I]]] : <f32, 1>
attn.mixer @scale attributes {symbols = ["N"], axes = {i = "N"}} {
  %x = attn.input "x" dims [[i]] storage bf16 -> [i] f32
  %y = attn.map exp(%x) : [i] f32 -> [i] f32
  attn.output "y" %y dims [[i]] storage f32 : [i] f32
}

// Scores of a block of queries are private to it. The mask bounds the keys, the exponentials overwrite the scores, and
// what follows a reduction is computed where it ends. Keys whose weight is 0 are skipped while all of v is finite.
// CHECK-LABEL: tile.program @causal
// CHECK: %[[OK:.+]] = tile.alloc [%b, %h] {name = "v.finite", why = "loops skip zeros where it is true"} : <i1, 2>
// CHECK: %[[BLOCKS:.+]] = arith.shrsi
// CHECK: tile.kernel grid [%[[VB:.+]] = %b, %[[VH:.+]] = %h] {
// CHECK: combine [all]
// CHECK: tile.store %{{.+}}, %[[OK]][%[[VB]], %[[VH]]]
// CHECK: {name = "v.finite"}
// CHECK-NOT: tile.kernel
// CHECK-NOT: tile.alloc
// CHECK: tile.kernel grid [%[[B:.+]] = %b, %[[H:.+]] = %h, %{{.+}} = %[[BLOCKS]]] {
// CHECK: %[[M:.+]] = tile.alloc [%c64_i64] {name = "max"} : <f32, 1>
// CHECK: %[[L:.+]] = tile.alloc [%c64_i64] {name = "l"} : <f32, 1>
// CHECK: %[[S:.+]] = tile.alloc [%c64_i64, %N] {name = "s"} : <f32, 2>
// CHECK-NOT: tile.alloc
// CHECK: tile.nest par [%{{.+}} = %[[LO:.+]] to %[[HI:.+]], %{{.+}} = %c0_i64 to %{{.+}}] red [%{{.+}} = %c0_i64 to %c16_i64] {
// CHECK: finish(%{{.+}}: i64, %{{.+}}: i64, %[[DOT:.+]]: f32)
// CHECK: %[[SCALED:.+]] = arith.mulf %[[DOT]], %cst
// CHECK: tile.store %[[SCALED]], %[[S]]
// CHECK: %[[ROOM:.+]] = arith.addi %{{.+}}, %c1_i64
// CHECK: %[[LIMIT:.+]] = arith.minsi %N, %[[ROOM]]
// CHECK: %[[END:.+]] = arith.maxsi %[[LIMIT]], %c0_i64
// CHECK: tile.nest par [%{{.+}} = %[[LO]] to %[[HI]]] red [%{{.+}} = %c0_i64 to %[[END]]] {
// CHECK: combine [max]
// CHECK: math.exp
// CHECK: tile.store %{{.+}}, %[[S]]
// CHECK: combine [sum]
// CHECK: %[[SKIP:.+]] = tile.load %[[OK]][%[[B]], %[[H]]] : <i1, 2>
// CHECK: %[[PART:.+]] = arith.minsi %N, %{{.+}}
// CHECK: %[[KEYS:.+]] = arith.select %[[SKIP]], %[[PART]], %N : i64
// CHECK: %[[LAST:.+]] = arith.maxsi %[[KEYS]], %c0_i64
// CHECK: %{{.+}} = %c0_i64 to %[[LAST]]] {
// CHECK: tile.load %[[S]]
// CHECK: tile.load %v[%[[B]], %[[H]], %{{.+}}, %{{.+}}]
// CHECK: tile.store %{{.+}}, %o[%[[B]], %[[H]], %{{.+}}, %{{.+}}]
attn.mixer @causal attributes {symbols = ["b", "h", "N"], axes = {b = "b", h = "h", i = "N", j = "N", d = "16", e = "16"}} {
  %q = attn.input "q" dims [[b], [h], [i], [d]] storage f32 -> [b, d, h, i] f32
  %k = attn.input "k" dims [[b], [h], [j], [d]] storage f32 -> [b, d, h, j] f32
  %v = attn.input "v" dims [[b], [h], [j], [e]] storage f32 -> [b, e, h, j] f32
  %c = attn.const 0.25 : f32
  %z = attn.const 0.0 : f32
  %i = attn.index "i"
  %j = attn.index "j"
  %g = attn.map le(%j, %i) : [j] i64, [i] i64 -> [i, j] i1
  %qk = attn.map mul(%q, %k) : [b, d, h, i] f32, [b, d, h, j] f32 -> [b, d, h, i, j] f32
  %dot = attn.reduce sum [d] %qk : [b, d, h, i, j] f32 -> [b, h, i, j] f32
  %s0 = attn.map mul(%dot, %c) : [b, h, i, j] f32, [] f32 -> [b, h, i, j] f32
  %s = attn.equation "s" %s0 : [b, h, i, j] f32
  %m = attn.reduce max [j] %s guard %g : [b, h, i, j] f32, [i, j] i1 -> [b, h, i] f32
  %sm = attn.map sub(%s, %m) : [b, h, i, j] f32, [b, h, i] f32 -> [b, h, i, j] f32
  %ex = attn.map exp(%sm) : [b, h, i, j] f32 -> [b, h, i, j] f32
  %eg = attn.map select(%g, %ex, %z) : [i, j] i1, [b, h, i, j] f32, [] f32 -> [b, h, i, j] f32
  %l0 = attn.reduce sum [j] %eg : [b, h, i, j] f32 -> [b, h, i] f32
  %l = attn.equation "l" %l0 : [b, h, i] f32
  %p = attn.map div(%eg, %l) : [b, h, i, j] f32, [b, h, i] f32 -> [b, h, i, j] f32
  %pg = attn.map select(%g, %p, %z) : [i, j] i1, [b, h, i, j] f32, [] f32 -> [b, h, i, j] f32
  %pv = attn.map mul(%pg, %v) : [b, h, i, j] f32, [b, e, h, j] f32 -> [b, e, h, i, j] f32
  %o = attn.reduce sum [j] %pv : [b, e, h, i, j] f32 -> [b, e, h, i] f32
  attn.output "o" %o dims [[b], [h], [i], [e]] storage f32 : [b, e, h, i] f32
}

// A table that every query reads is computed once, ahead.
// CHECK-LABEL: tile.program @table
// CHECK: tile.alloc [%N, %c16_i64] {name = "w", why = "expensive and read in a larger domain"} : <f32, 2>
// CHECK: tile.kernel
// CHECK: math.cos
// CHECK: {name = "w"}
// CHECK: tile.kernel
// CHECK-NOT: math.cos
attn.mixer @table attributes {symbols = ["b", "h", "N"], axes = {b = "b", h = "h", i = "N", d = "16"}} {
  %x = attn.input "x" dims [[b], [h], [i], [d]] storage f32 -> [b, d, h, i] f32
  %i = attn.index "i"
  %d = attn.index "d"
  %pos = attn.map mul(%i, %d) : [i] i64, [d] i64 -> [d, i] i64
  %real = attn.map to_f32(%pos) : [d, i] i64 -> [d, i] f32
  %cos = attn.map cos(%real) : [d, i] f32 -> [d, i] f32
  %w = attn.equation "w" %cos : [d, i] f32
  %y = attn.map mul(%x, %w) : [b, d, h, i] f32, [d, i] f32 -> [b, d, h, i] f32
  attn.output "y" %y dims [[b], [h], [i], [d]] storage f32 : [b, d, h, i] f32
}

// Positions past the end of a short last chunk are not visited.
// CHECK-LABEL: tile.program @ragged
// CHECK: tile.kernel grid [%[[N:.+]] = %{{.+}}] {
// CHECK: %[[LEFT:.+]] = arith.subi %t, %{{.+}}
// CHECK: %[[SOME:.+]] = arith.maxsi %[[LEFT]], %c0_i64
// CHECK: %[[END:.+]] = arith.minsi %c16_i64, %[[SOME]]
// CHECK: tile.nest par [%[[U:.+]] = %c0_i64 to %[[END]]] {
// CHECK-NOT: arith.minsi
// CHECK: tile.load %x[%{{.+}}]
// CHECK: tile.store %{{.+}}, %y[%{{.+}}]
attn.mixer @ragged attributes {symbols = ["t"], axes = {n = "(t + 15) div 16", u = "16"}} {
  %x = attn.input "x" dims [[n, u : "t"]] storage f32 -> [n, u] f32
  %y = attn.map add(%x, %x) : [n, u] f32, [n, u] f32 -> [n, u] f32
  attn.output "y" %y dims [[n, u : "t"]] storage f32 : [n, u] f32
}

// An index that may lie outside is clamped, one that cannot is not.
// CHECK-LABEL: tile.program @gather
// CHECK: %[[AT:.+]] = tile.load %at
// CHECK: %[[LOW:.+]] = arith.minsi %[[AT]], %{{.+}}
// CHECK: %[[IN:.+]] = arith.maxsi %[[LOW]], %c0_i64
// CHECK: tile.load %x[%[[IN]]]
// CHECK: tile.load %x[%{{.+}}]
attn.mixer @gather attributes {symbols = ["N"], axes = {i = "N", j = "N"}} {
  %x = attn.input "x" dims [[j]] storage f32 -> [j] f32
  %at = attn.input "at" dims [[i]] storage i64 -> [i] i64
  %i = attn.index "i"
  %a = attn.read %x [j = %at] : [j] f32, [i] i64 -> [i] f32
  %b = attn.read %x [j = %i] : [j] f32, [i] i64 -> [i] f32
  %y = attn.map add(%a, %b) : [i] f32, [i] f32 -> [i] f32
  attn.output "y" %y dims [[i]] storage f32 : [i] f32
}

// What is absent is never looked at: no check, and the bound holds whatever v is.
// CHECK-LABEL: tile.program @absent
// CHECK-NOT: finite
// CHECK: %[[END:.+]] = arith.maxsi %{{.+}}, %c0_i64
// CHECK: red [%{{.+}} = %c0_i64 to %[[END]]] {
// Neither is a zero skipped where a look at the other factor costs as much as the sum.
// CHECK-LABEL: tile.program @pairs
// CHECK-NOT: finite
// CHECK: red [%{{.+}} = %c0_i64 to %N] {
attn.mixer @absent attributes {symbols = ["N"], axes = {e = "16", i = "N", j = "N"}} {
  %v = attn.input "v" dims [[j], [e]] storage f32 -> [e, j] f32
  %w = attn.input "w" dims [[j], [e]] storage f32 -> [e, j] f32
  %i = attn.index "i"
  %j = attn.index "j"
  %g = attn.map le(%j, %i) : [j] i64, [i] i64 -> [i, j] i1
  %vw = attn.map mul(%v, %w) : [e, j] f32, [e, j] f32 -> [e, j] f32
  %o = attn.reduce sum [j] %vw guard %g : [e, j] f32, [i, j] i1 -> [e, i] f32
  attn.output "o" %o dims [[i], [e]] storage f32 : [e, i] f32
}
attn.mixer @pairs attributes {symbols = ["N"], axes = {i = "N", j = "N"}} {
  %x = attn.input "x" dims [[i], [j]] storage f32 -> [i, j] f32
  %i = attn.index "i"
  %j = attn.index "j"
  %g = attn.map le(%j, %i) : [j] i64, [i] i64 -> [i, j] i1
  %m = attn.map to_f32(%g) : [i, j] i1 -> [i, j] f32
  %p = attn.map mul(%m, %x) : [i, j] f32, [i, j] f32 -> [i, j] f32
  %o = attn.reduce sum [j] %p : [i, j] f32 -> [i] f32
  attn.output "o" %o dims [[i]] storage f32 : [i] f32
}
