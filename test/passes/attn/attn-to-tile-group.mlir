// Which stages share a kernel: none gives up the rows of another for something small.
// RUN: attn-opt %s --attn-to-tile | FileCheck %s

// Keys that are projected here are stored once, and attention runs over blocks of queries.
// CHECK-LABEL: @projected
// CHECK: tile.kernel
// CHECK: name = "keys"
// CHECK: tile.kernel grid [%{{.+}} = %b, %[[BLOCK:.+]] = %{{.+}}] {
// CHECK: tile.alloc [%c64_i64, %N]
// CHECK: name = "scores largest"
attn.mixer @projected attributes {symbols = ["b", "N", "M", "D"], axes = {b = "b", i = "N", j = "N", c = "M", d = "D"}} {
  %q = attn.input "q" dims [[b], [i], [d]] storage f32 -> [b, d, i] f32
  %x = attn.input "x" dims [[b], [j], [c]] storage f32 -> [b, c, j] f32
  %w = attn.input "w" dims [[c], [d]] storage f32 -> [c, d] f32
  %xw = attn.map mul(%x, %w) : [b, c, j] f32, [c, d] f32 -> [b, c, d, j] f32
  %k = attn.reduce sum [c] %xw : [b, c, d, j] f32 -> [b, d, j] f32
  %keys = attn.equation "keys" %k : [b, d, j] f32
  %p = attn.map mul(%q, %keys) : [b, d, i] f32, [b, d, j] f32 -> [b, d, i, j] f32
  %s = attn.reduce sum [d] %p : [b, d, i, j] f32 -> [b, i, j] f32
  %scores = attn.equation "scores" %s : [b, i, j] f32
  %m = attn.reduce max [j] %scores : [b, i, j] f32 -> [b, i] f32
  %largest = attn.equation "largest" %m : [b, i] f32
  attn.output "m" %largest dims [[b], [i]] storage f32 : [b, i] f32
}

// Keys chosen by all heads together: the choice is a kernel of its own, and attention keeps its heads.
// CHECK-LABEL: @together
// CHECK: tile.kernel grid [%{{.+}} = %b, %{{.+}} = %{{[^h].*}}] {
// CHECK: tile.sort
// CHECK: tile.kernel grid [%{{.+}} = %b, %{{.+}} = %h, %{{.+}} = %{{.+}}] {
attn.mixer @together attributes {symbols = ["b", "h", "N"], axes = {b = "b", h = "h", i = "N", j = "N", d = "64"}} {
  %q = attn.input "q" dims [[b], [h], [i], [d]] storage f32 -> [b, d, h, i] f32
  %k = attn.input "k" dims [[b], [h], [j], [d]] storage f32 -> [b, d, h, j] f32
  %g = attn.input "g" dims [[b], [h], [i], [j]] storage f32 -> [b, h, i, j] f32
  %rank = attn.rank [h, j] %g : [b, h, i, j] f32 -> [b, h, i, j] i64
  %c9 = attn.const 9 : i64
  %keep = attn.map lt(%rank, %c9) : [b, h, i, j] i64, [] i64 -> [b, h, i, j] i1
  %p = attn.map mul(%q, %k) : [b, d, h, i] f32, [b, d, h, j] f32 -> [b, d, h, i, j] f32
  %s = attn.reduce sum [d] %p : [b, d, h, i, j] f32 -> [b, h, i, j] f32
  %m = attn.reduce max [j] %s guard %keep : [b, h, i, j] f32, [b, h, i, j] i1 -> [b, h, i] f32
  attn.output "m" %m dims [[b], [h], [i]] storage f32 : [b, h, i] f32
}

// Heads that something sums over are no rows: blocks are of queries, which share their keys.
// CHECK-LABEL: @summed
// CHECK: tile.kernel grid [%{{.+}} = %b, %{{.+}} = %h, %[[BLOCK:.+]] = %{{.+}}] {
// CHECK-NEXT: tile.alloc [%c64_i64, %N, %c32_i64]
attn.mixer @summed attributes {symbols = ["b", "h", "N"], axes = {b = "b", h = "h", x = "(N + 31) div 32", y = "32", j = "N", d = "64"}} {
  %q = attn.input "q" dims [[b], [h], [x, y : "N"], [d]] storage f32 -> [b, d, h, x, y] f32
  %k = attn.input "k" dims [[b], [h], [j], [d]] storage f32 -> [b, d, h, j] f32
  %p = attn.map mul(%q, %k) : [b, d, h, x, y] f32, [b, d, h, j] f32 -> [b, d, h, j, x, y] f32
  %s = attn.reduce sum [d] %p : [b, d, h, j, x, y] f32 -> [b, h, j, x, y] f32
  %m = attn.reduce max [j, y] %s : [b, h, j, x, y] f32 -> [b, h, x] f32
  attn.output "m" %m dims [[b], [h], [x]] storage f32 : [b, h, x] f32
  %all = attn.reduce sum [h, x] %q : [b, d, h, x, y] f32 -> [b, d, y] f32
  attn.output "all" %all dims [[b], [d], [y]] storage f32 : [b, d, y] f32
}

// A stretch whose length is one extent divided by another is as good a sequence as any: weights are read for a block.
// CHECK-LABEL: @divided
// CHECK: tile.kernel grid [%{{.+}} = %b, %[[COLUMNS:.+]] = %{{.+}}, %[[ROWS:.+]] = %{{.+}}] {
attn.mixer @divided attributes {symbols = ["b", "N", "S", "M"], axes = {b = "b", y = "N div S", s = "S", c = "M", d = "M"}} {
  %x = attn.input "x" dims [[b], [y, s], [c]] storage f32 -> [b, c, s, y] f32
  %f = attn.input "f" dims [[s], [c], [d]] storage f32 -> [c, d, s] f32
  %w = attn.input "w" dims [[y]] storage f32 -> [y] f32
  %p = attn.map mul(%x, %f) : [b, c, s, y] f32, [c, d, s] f32 -> [b, c, d, s, y] f32
  %o = attn.reduce sum [c, s] %p : [b, c, d, s, y] f32 -> [b, d, y] f32
  attn.output "o" %o dims [[b], [y], [d]] storage f32 : [b, d, y] f32
  %all = attn.reduce sum [y] %w : [y] f32 -> [] f32
  attn.output "all" %all dims [] storage f32 : [] f32
}

// A mean over samples and heads of what is left of each row: the rows of scores keep their samples and heads.
// CHECK-LABEL: @spread
// CHECK: tile.kernel grid [%{{.+}} = %b, %{{.+}} = %h, %{{.+}} = %{{.+}}] {
// CHECK: tile.store %{{.*}}, %buf
// CHECK: tile.kernel grid
// CHECK: name = "near"
attn.mixer @spread attributes {symbols = ["b", "h", "N"], axes = {b = "b", h = "h", i = "N", j = "N", d = "64"}} {
  %q = attn.input "q" dims [[b], [h], [i], [d]] storage f32 -> [b, d, h, i] f32
  %k = attn.input "k" dims [[b], [h], [j], [d]] storage f32 -> [b, d, h, j] f32
  %p = attn.map mul(%q, %k) : [b, d, h, i] f32, [b, d, h, j] f32 -> [b, d, h, i, j] f32
  %s = attn.reduce sum [d] %p : [b, d, h, i, j] f32 -> [b, h, i, j] f32
  %m = attn.reduce max [j] %s : [b, h, i, j] f32 -> [b, h, i] f32
  %largest = attn.equation "largest" %m : [b, h, i] f32
  %n = attn.reduce sum [b, h] %largest : [b, h, i] f32 -> [i] f32
  %near = attn.equation "near" %n : [i] f32
  attn.output "near" %near dims [[i]] storage f32 : [i] f32
}
