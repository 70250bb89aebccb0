// RUN: attn-opt %s --attn-to-tile --split-input-file | FileCheck %s

// Keys of the same kind: each block of rows lists the keys that any row needs, or all while v is not finite. What
// only this list reads has one place for each of its entries.
// CHECK-LABEL: @kinds
// CHECK: %[[FINITE:.+]] = tile.alloc [%b, %h] {name = "v.finite"
// CHECK: tile.kernel grid [%[[B:.+]] = %b, %[[H:.+]] = %h, %{{.+}} = %{{.+}}] {
// CHECK: %[[S:.+]] = tile.alloc [%N, %c64_i64] {name = "select"} : <f32, 2>
// CHECK: %[[NEED:.+]] = tile.alloc [%N] {name = "j.needed"}
// CHECK: %[[LIST:.+]] = tile.alloc [%N] {name = "j.list"}
// CHECK: %[[COUNT:.+]] = tile.alloc [] {name = "j.count"}
// CHECK: %[[OK:.+]] = tile.load %[[FINITE]][%[[B]], %[[H]]]
// CHECK: %[[ALL:.+]] = arith.xori %[[OK]], %true
// CHECK: tile.nest par [%[[J:.+]] = %c0_i64 to %N] red [%[[I:.+]] = %[[LO:.+]] to %[[HI:.+]]] {
// CHECK:   %[[X:.+]] = tile.load %kind[%[[B]], %[[I]]]
// CHECK:   %[[Y:.+]] = tile.load %kind[%[[B]], %[[J]]]
// CHECK:   arith.cmpf oeq, %[[X]], %[[Y]]
// CHECK: } combine [any] finish(%[[AT:.+]]: i64, %[[ANY:.+]]: i1) {
// CHECK:   %[[FLAG:.+]] = arith.ori %[[ANY]], %[[ALL]]
// CHECK:   tile.store %[[FLAG]], %[[NEED]][%[[AT]]]
// CHECK: tile.nest par [] seq [%[[R:.+]] = %c0_i64 to %N] {
// CHECK:   %[[END:.+]] = tile.load %[[COUNT]][]
// CHECK:   tile.store %[[R]], %[[LIST]][%[[END]]]
// CHECK:   tile.update sum %{{.+}}, %[[COUNT]][]
// CHECK: %[[N:.+]] = tile.load %[[COUNT]][]
// CHECK: tile.nest par [%[[P:.+]] = %c0_i64 to %[[N]], %[[ROW:.+]] = %[[LO]] to %[[HI]]] red [%{{.+}} = %c0_i64 to %c64_i64] {
// CHECK:   %[[KEY:.+]] = tile.load %[[LIST]][%[[P]]]
// CHECK:   tile.load %k[%[[B]], %[[H]], %[[KEY]],
// CHECK: } combine [sum] finish(%[[P2:.+]]: i64, %{{.+}}: i64, %{{.+}}: f32) {
// CHECK:   tile.store %{{.+}}, %[[S]][%[[P2]],
// CHECK: tile.nest par [{{.*}}] red [%[[P3:.+]] = %c0_i64 to %[[N]]] {
// CHECK:   %[[KEY3:.+]] = tile.load %[[LIST]][%[[P3]]]
// CHECK:   tile.load %[[S]][%[[P3]],
// CHECK:   tile.load %v[%[[B]], %[[H]], %[[KEY3]],
attn.mixer @kinds attributes {symbols = ["b", "h", "N"], axes = {b = "b", h = "h", i = "N", j = "N", d = "64", e = "64"}} {
  %q = attn.input "q" dims [[b], [h], [i], [d]] storage f32 -> [b, d, h, i] f32
  %k = attn.input "k" dims [[b], [h], [j], [d]] storage f32 -> [b, d, h, j] f32
  %v = attn.input "v" dims [[b], [h], [j], [e]] storage f32 -> [b, e, h, j] f32
  %kind = attn.input "kind" dims [[b], [i]] storage f32 -> [b, i] f32
  %j = attn.index "j"
  %own = attn.read %kind [i = %j inside] : [b, i] f32, [j] i64 -> [b, j] f32
  %same = attn.map eq(%kind, %own) : [b, i] f32, [b, j] f32 -> [b, i, j] i1
  %p = attn.map mul(%q, %k) : [b, d, h, i] f32, [b, d, h, j] f32 -> [b, d, h, i, j] f32
  %s = attn.reduce sum [d] %p : [b, d, h, i, j] f32 -> [b, h, i, j] f32
  %zero = attn.const 0.0 : f32
  %w = attn.map select(%same, %s, %zero) : [b, i, j] i1, [b, h, i, j] f32, [] f32 -> [b, h, i, j] f32
  %wv = attn.map mul(%w, %v) : [b, h, i, j] f32, [b, e, h, j] f32 -> [b, e, h, i, j] f32
  %o = attn.reduce sum [j] %wv : [b, e, h, i, j] f32 -> [b, e, h, i] f32
  attn.output "o" %o dims [[b], [h], [i], [e]] storage f32 : [b, e, h, i] f32
}

// -----

// What all rows leave out alike, as padding, is rarely much: no list.
// CHECK-LABEL: @padding
// CHECK-NOT: .list"
attn.mixer @padding attributes {symbols = ["b", "h", "N"], axes = {b = "b", h = "h", i = "N", j = "N", d = "64", e = "64"}} {
  %q = attn.input "q" dims [[b], [h], [i], [d]] storage f32 -> [b, d, h, i] f32
  %k = attn.input "k" dims [[b], [h], [j], [d]] storage f32 -> [b, d, h, j] f32
  %v = attn.input "v" dims [[b], [h], [j], [e]] storage f32 -> [b, e, h, j] f32
  %ok = attn.input "ok" dims [[b], [j]] storage bool -> [b, j] i1
  %p = attn.map mul(%q, %k) : [b, d, h, i] f32, [b, d, h, j] f32 -> [b, d, h, i, j] f32
  %s = attn.reduce sum [d] %p : [b, d, h, i, j] f32 -> [b, h, i, j] f32
  %zero = attn.const 0.0 : f32
  %w = attn.map select(%ok, %s, %zero) : [b, j] i1, [b, h, i, j] f32, [] f32 -> [b, h, i, j] f32
  %wv = attn.map mul(%w, %v) : [b, h, i, j] f32, [b, e, h, j] f32 -> [b, e, h, i, j] f32
  %o = attn.reduce sum [j] %wv : [b, e, h, i, j] f32 -> [b, e, h, i] f32
  attn.output "o" %o dims [[b], [h], [i], [e]] storage f32 : [b, e, h, i] f32
}

// -----

// A condition on the scores themselves is known only after all of them: the sum alone runs over the list.
// CHECK-LABEL: @threshold
// CHECK: %[[S:.+]] = tile.alloc [%c64_i64, %N] {name = "sum"} : <f32, 2>
// CHECK: tile.nest par [%{{.+}} = %{{.+}} to %{{.+}}, %{{.+}} = %c0_i64 to %N] red [%{{.+}} = %c0_i64 to %c64_i64] {
// CHECK: tile.nest par [%{{.+}} = %c0_i64 to %N] red [%{{.+}} = %{{.+}} to %{{.+}}] {
// CHECK:   tile.load %[[S]][
// CHECK: } combine [any]
// CHECK: tile.update
// CHECK: %[[N:.+]] = tile.load %{{.+}}[]
// CHECK: tile.nest par [{{.*}}] red [%{{.+}} = %c0_i64 to %[[N]]] {
// CHECK: %[[KEY:.+]] = tile.load
// CHECK: tile.load %[[S]][%{{.+}}, %[[KEY]]]
attn.mixer @threshold attributes {symbols = ["b", "h", "N"], axes = {b = "b", h = "h", i = "N", j = "N", d = "64", e = "64"}} {
  %q = attn.input "q" dims [[b], [h], [i], [d]] storage f32 -> [b, d, h, i] f32
  %k = attn.input "k" dims [[b], [h], [j], [d]] storage f32 -> [b, d, h, j] f32
  %v = attn.input "v" dims [[b], [h], [j], [e]] storage f32 -> [b, e, h, j] f32
  %p = attn.map mul(%q, %k) : [b, d, h, i] f32, [b, d, h, j] f32 -> [b, d, h, i, j] f32
  %s = attn.reduce sum [d] %p : [b, d, h, i, j] f32 -> [b, h, i, j] f32
  %zero = attn.const 0.0 : f32
  %on = attn.map gt(%s, %zero) : [b, h, i, j] f32, [] f32 -> [b, h, i, j] i1
  %w = attn.map select(%on, %s, %zero) : [b, h, i, j] i1, [b, h, i, j] f32, [] f32 -> [b, h, i, j] f32
  %wv = attn.map mul(%w, %v) : [b, h, i, j] f32, [b, e, h, j] f32 -> [b, e, h, i, j] f32
  %o = attn.reduce sum [j] %wv : [b, e, h, i, j] f32 -> [b, e, h, i] f32
  attn.output "o" %o dims [[b], [h], [i], [e]] storage f32 : [b, e, h, i] f32
}

// -----

// Rows that an `if` takes: scores with the other projection are computed for those alone.
// CHECK-LABEL: @rows
// CHECK: %[[LIST:.+]] = tile.alloc [%N] {name = "i.list"}
// CHECK: tile.nest par [%[[I:.+]] = %[[LO:.+]] to %[[HI:.+]]] {
// CHECK:   tile.load %glob[%{{.+}}, %[[I]]]
// CHECK: tile.update
// CHECK: %[[N:.+]] = tile.load %{{.+}}[]
// CHECK: tile.nest par [%[[P:.+]] = %c0_i64 to %[[N]], %{{.+}} = %c0_i64 to %N] red
// CHECK:   %[[ROW:.+]] = tile.load %[[LIST]][%[[P]]]
// CHECK:   tile.load %qg[%{{.+}}, %[[ROW]],
// CHECK: tile.nest par [%{{.+}} = %c0_i64 to %N, %{{.+}} = %[[LO]] to %[[HI]]] red
// CHECK:   tile.load %q[
attn.mixer @rows attributes {symbols = ["b", "N"], axes = {b = "b", i = "N", j = "N", d = "64", e = "64"}} {
  %q = attn.input "q" dims [[b], [i], [d]] storage f32 -> [b, d, i] f32
  %qg = attn.input "qg" dims [[b], [i], [d]] storage f32 -> [b, d, i] f32
  %k = attn.input "k" dims [[b], [j], [d]] storage f32 -> [b, d, j] f32
  %glob = attn.input "glob" dims [[b], [i]] storage bool -> [b, i] i1
  %pg = attn.map mul(%qg, %k) : [b, d, i] f32, [b, d, j] f32 -> [b, d, i, j] f32
  %sg = attn.reduce sum [d] %pg : [b, d, i, j] f32 -> [b, i, j] f32
  %mg = attn.reduce max [j] %sg : [b, i, j] f32 -> [b, i] f32
  %p = attn.map mul(%q, %k) : [b, d, i] f32, [b, d, j] f32 -> [b, d, i, j] f32
  %s = attn.reduce sum [d] %p : [b, d, i, j] f32 -> [b, i, j] f32
  %m = attn.reduce max [j] %s : [b, i, j] f32 -> [b, i] f32
  %o = attn.map select(%glob, %mg, %m) : [b, i] i1, [b, i] f32, [b, i] f32 -> [b, i] f32
  attn.output "o" %o dims [[b], [i]] storage f32 : [b, i] f32
}

// -----

// |i - j| <= 8 is a stretch of keys, which needs no list.
// CHECK-LABEL: @window
// CHECK-NOT: .list"
// CHECK: %[[ROOM:.+]] = arith.addi %c8_i64, %{{.+}} : i64
// CHECK: %[[FIRST:.+]] = arith.subi %c0_i64, %[[ROOM]]
// CHECK: %[[LO:.+]] = arith.maxsi %c0_i64, %[[FIRST]]
// CHECK: %[[LAST:.+]] = arith.addi %c8_i64, %{{.+}} : i64
// CHECK: %[[END:.+]] = arith.addi %[[LAST]], %c1_i64
// CHECK: arith.minsi %N, %[[END]]
// CHECK: tile.nest par [%{{.+}}, %{{.+}} = %[[LO]] to
attn.mixer @window attributes {symbols = ["b", "N"], axes = {b = "b", i = "N", j = "N", d = "64"}} {
  %q = attn.input "q" dims [[b], [i], [d]] storage f32 -> [b, d, i] f32
  %k = attn.input "k" dims [[b], [j], [d]] storage f32 -> [b, d, j] f32
  %i = attn.index "i"
  %j = attn.index "j"
  %z = attn.map sub(%i, %j) : [i] i64, [j] i64 -> [i, j] i64
  %far = attn.map abs(%z) : [i, j] i64 -> [i, j] i64
  %c8 = attn.const 8 : i64
  %near = attn.map le(%far, %c8) : [i, j] i64, [] i64 -> [i, j] i1
  %p = attn.map mul(%q, %k) : [b, d, i] f32, [b, d, j] f32 -> [b, d, i, j] f32
  %s = attn.reduce sum [d] %p : [b, d, i, j] f32 -> [b, i, j] f32
  %m = attn.reduce max [j] %s guard %near : [b, i, j] f32, [i, j] i1 -> [b, i] f32
  attn.output "m" %m dims [[b], [i]] storage f32 : [b, i] f32
}
