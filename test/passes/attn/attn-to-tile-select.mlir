// Sorting, ranking, scattering.
// RUN: attn-opt %s --attn-to-tile | FileCheck %s

// A row of keys and of what takes part, then its order.
// CHECK-LABEL: tile.program @topk
// CHECK: tile.nest par [%[[J:.+]] = %c0_i64 to %M] {
// CHECK: tile.store %{{.+}}, %[[KEYS:.+]][%[[J]]] : <f32, 1>
// CHECK: tile.store %{{.+}}, %[[VALID:.+]][%[[J]]] : <i1, 1>
// CHECK: tile.sort %[[KEYS]][%c0_i64], %[[VALID]][%c0_i64] length %M -> %{{.+}}[%c0_i64] count %c8_i64 {descending, nan = never}
// CHECK: tile.store %{{.+}}, %sel
attn.mixer @topk attributes {symbols = ["N", "M"], axes = {i = "N", j = "M", r = "8"}} {
  %s = attn.input "s" dims [[i], [j]] storage f32 -> [i, j] f32
  %g = attn.input "g" dims [[i], [j]] storage bool -> [i, j] i1
  %sel = attn.topk [j] new [r] %s guard %g : [i, j] f32, [i, j] i1 -> [i, r] i64
  attn.output "sel" %sel dims [[i], [r]] storage i64 : [i, r] i64
}

// The rank is the inverse of the order, written from the end.
// CHECK-LABEL: tile.program @rank
// CHECK: tile.sort %{{.+}}[%c0_i64] length %N -> %[[ORDER:.+]][%c0_i64] count %N {descending, nan = last}
// CHECK: tile.nest par [] seq [%[[S:.+]] = %c0_i64 to %N] {
// CHECK: %[[PLACE:.+]] = arith.subi %{{.+}}, %[[S]]
// CHECK: %[[AT:.+]] = tile.load %[[ORDER]][%[[PLACE]]]
// CHECK: tile.store %[[PLACE]], %{{.+}}[%[[AT]]]
attn.mixer @rank attributes {symbols = ["N"], axes = {i = "N"}} {
  %s = attn.input "s" dims [[i]] storage f32 -> [i] f32
  %rank = attn.rank [i] %s : [i] f32 -> [i] i64
  attn.output "rank" %rank dims [[i]] storage i64 : [i] i64
}

// Elements are sent to where the key says, not looked for from every place.
// CHECK-LABEL: tile.program @segments
// CHECK: tile.nest par [%{{.+}} = %c0_i64 to %M] {
// CHECK: tile.store %cst, %[[SUM:.+]][%{{.+}}]
// CHECK: tile.nest par [] seq [%[[J:.+]] = %c0_i64 to %N] {
// CHECK: %[[SEG:.+]] = tile.load %seg[%[[J]]]
// CHECK: %[[X:.+]] = tile.load %x[%[[J]]]
// CHECK: tile.update sum %[[X]], %[[SUM]][%{{.+}}] if %{{.+}} : <f32, 1>
attn.mixer @segments attributes {symbols = ["N", "M"], axes = {c = "M", j = "N"}} {
  %x = attn.input "x" dims [[j]] storage f32 -> [j] f32
  %seg = attn.input "seg" dims [[j]] storage i64 -> [j] i64
  %c = attn.index "c"
  %here = attn.map eq(%seg, %c) : [j] i64, [c] i64 -> [c, j] i1
  %sum = attn.reduce sum [j] %x guard %here : [j] f32, [c, j] i1 -> [c] f32
  attn.output "sum" %sum dims [[c]] storage f32 : [c] f32
}

// A flat position of two axes is a place, too.
// CHECK-LABEL: tile.program @chunks
// CHECK: tile.update sum
attn.mixer @chunks attributes {symbols = ["N"], axes = {n = "(N + 3) div 4", u = "4", j = "N"}} {
  %x = attn.input "x" dims [[j]] storage f32 -> [j] f32
  %place = attn.input "place" dims [[j]] storage i64 -> [j] i64
  %n = attn.index "n"
  %u = attn.index "u"
  %four = attn.const 4 : i64
  %n4 = attn.map mul(%n, %four) : [n] i64, [] i64 -> [n] i64
  %flat = attn.map add(%n4, %u) : [n] i64, [u] i64 -> [n, u] i64
  %here = attn.map eq(%flat, %place) : [n, u] i64, [j] i64 -> [j, n, u] i1
  %sum = attn.reduce sum [j] %x guard %here : [j] f32, [j, n, u] i1 -> [n, u] f32
  attn.output "y" %sum dims [[n, u : "N"]] storage f32 : [n, u] f32
}

// The key of an argmax carries its flat position.
// CHECK-LABEL: tile.program @argmax
// CHECK: tile.yield %{{.+}}, %{{.+}}, %true : f32, i64, i1
// CHECK: combine [argmax]
attn.mixer @argmax attributes {symbols = ["N"], axes = {i = "N", a = "4", c = "8"}} {
  %x = attn.input "x" dims [[i], [a], [c]] storage f32 -> [a, c, i] f32
  %at = attn.argreduce max [a, c] %x : [a, c, i] f32 -> [i] i64
  attn.output "at" %at dims [[i]] storage i64 : [i] i64
}

// However many axes run in parallel, an instance has blocks of two of them and one position of each other.
// CHECK-LABEL: tile.program @rows
// CHECK: tile.kernel grid [%{{.+}} = %{{.+}}, %{{.+}} = %b, %{{.+}} = %c, %{{.+}} = %{{.+}}] {
// CHECK-NEXT: tile.alloc [%c128_i64, %c64_i64, %m] {name = "rank"} : <i64, 3>
attn.mixer @rows attributes {symbols = ["a", "b", "c", "d", "m"], axes = {a = "a", b = "b", c = "c", d = "d", m = "m"}} {
  %x = attn.input "x" dims [[a], [b], [m]] storage f32 -> [a, b, m] f32
  %y = attn.input "y" dims [[c], [d], [m]] storage f32 -> [c, d, m] f32
  %s = attn.map add(%x, %y) : [a, b, m] f32, [c, d, m] f32 -> [a, b, c, d, m] f32
  %rank = attn.rank [m] %s : [a, b, c, d, m] f32 -> [a, b, c, d, m] i64
  attn.output "rank" %rank dims [[a], [b], [c], [d], [m]] storage i64 : [a, b, c, d, m] i64
}

// Constant axes are cut as well where an instance would keep too much.
// CHECK-LABEL: tile.program @wide
// CHECK: tile.kernel grid [%{{.+}} = %N, %{{.+}} = %c16_i64, %{{.+}} = %c8_i64] {
// CHECK-NEXT: tile.alloc [%c64_i64, %c32_i64, %c512_i64] {name = "rank"} : <i64, 3>
attn.mixer @wide attributes {symbols = ["N"], axes = {a = "512", b = "512", i = "N", m = "512"}} {
  %x = attn.input "x" dims [[i], [m], [a]] storage f32 -> [a, i, m] f32
  %y = attn.input "y" dims [[b], [m]] storage f32 -> [b, m] f32
  %s = attn.map add(%x, %y) : [a, i, m] f32, [b, m] f32 -> [a, b, i, m] f32
  %rank = attn.rank [m] %s : [a, b, i, m] f32 -> [a, b, i, m] i64
  %one = attn.const 1 : i64
  %y1 = attn.map add(%rank, %one) : [a, b, i, m] i64, [] i64 -> [a, b, i, m] i64
  attn.output "y1" %y1 dims [[i], [a], [b], [m]] storage i64 : [a, b, i, m] i64
}

// Inside a loop only one place is at hand: what is sent elsewhere is left out.
// CHECK-LABEL: tile.program @scatter_in_loop
// CHECK: tile.for %[[T:.+]] = %{{c1_i64|c0_i64}} to %N
// CHECK: %[[KEY:.+]] = arith.addi %{{.+}}, %c1_i64
// CHECK: %[[HERE:.+]] = arith.cmpi eq, %[[KEY]], %[[T]]
// CHECK: %[[IF:.+]] = arith.andi %{{.+}}, %[[HERE]]
// CHECK: tile.update sum %{{.+}}, %{{.+}}[] if %[[IF]]
attn.mixer @scatter_in_loop attributes {symbols = ["N"], axes = {s = "N", t = "N"}} {
  %x = attn.input "x" dims [[t]] storage f32 -> [t] f32
  %t = attn.index "t"
  %s = attn.index "s"
  %one = attn.const 1 : i64
  %next = attn.map add(%s, %one) : [s] i64, [] i64 -> [s] i64
  %here = attn.map eq(%next, %t) : [s] i64, [t] i64 -> [s, t] i1
  %old = attn.read %y [t = %s] : [t] f32, [s] i64 -> [s] f32
  %sum = attn.reduce sum [s] %old guard %here : [s] f32, [s, t] i1 -> [t] f32
  %new = attn.map add(%sum, %x) : [t] f32, [t] f32 -> [t] f32
  %y = attn.equation "y" %new cycle 0 loops [t = 1] : [t] f32
  attn.output "y" %y dims [[t]] storage f32 : [t] f32
}
