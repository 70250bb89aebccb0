// A batch shares its weights: blocks of its rows read them once. Of two such axes the inner one is blocked.
// RUN: attn-opt %s --attn-to-tile --split-input-file | FileCheck %s

// CHECK-LABEL: tile.program @rows
// CHECK: arith.constant 127
// CHECK: %[[BLOCKS:.+]] = arith.shrsi
// CHECK: tile.kernel grid [%{{.+}} = %[[BLOCKS]]]
// CHECK: tile.nest par [%{{.+}} = %{{.+}} to %{{.+}}, %{{.+}} = %c0_i64 to %{{.+}}] red
attn.mixer @rows attributes {symbols = ["i"], axes = {i = "i", j = "64", k = "32"}} {
  %x = attn.input "x" dims [[i], [k]] storage f32 -> [i, k] f32
  %w = attn.input "w" dims [[k], [j]] storage f32 -> [j, k] f32
  %p = attn.map mul(%x, %w) : [i, k] f32, [j, k] f32 -> [i, j, k] f32
  %y = attn.reduce sum [k] %p : [i, j, k] f32 -> [i, j] f32
  attn.output "y" %y dims [[i], [j]] storage f32 : [i, j] f32
}

// -----

// CHECK-LABEL: tile.program @samples
// CHECK: %[[BLOCKS:.+]] = arith.shrsi
// CHECK: tile.kernel grid [%{{.+}} = %z, %{{.+}} = %[[BLOCKS]]]
attn.mixer @samples attributes {symbols = ["z", "i"], axes = {z = "z", i = "i", j = "64", k = "32"}} {
  %x = attn.input "x" dims [[z], [i], [k]] storage f32 -> [i, k, z] f32
  %w = attn.input "w" dims [[k], [j]] storage f32 -> [j, k] f32
  %p = attn.map mul(%x, %w) : [i, k, z] f32, [j, k] f32 -> [i, j, k, z] f32
  %y = attn.reduce sum [k] %p : [i, j, k, z] f32 -> [i, j, z] f32
  attn.output "y" %y dims [[z], [i], [j]] storage f32 : [i, j, z] f32
}

// -----

// Rows of one operand, columns of the other, which look like a batch: both are blocked.
// CHECK-LABEL: tile.program @columns
// CHECK: %[[ROWS:.+]] = arith.shrsi
// CHECK: %[[COLUMNS:.+]] = arith.shrsi
// CHECK: tile.kernel grid [%{{.+}} = %[[ROWS]], %{{.+}} = %[[COLUMNS]]]
attn.mixer @columns attributes {symbols = ["i", "j", "m"], axes = {i = "i", j = "j", k = "64", m = "m"}} {
  %x = attn.input "x" dims [[i], [k]] storage f32 -> [i, k] f32
  %w = attn.input "w" dims [[k], [m]] storage f32 -> [k, m] f32
  %s = attn.input "s" dims [[j]] storage i32 -> [j] i64
  %c = attn.read %w [m = %s] : [k, m] f32, [j] i64 -> [j, k] f32
  %p = attn.map mul(%x, %c) : [i, k] f32, [j, k] f32 -> [i, j, k] f32
  %y = attn.reduce sum [k] %p : [i, j, k] f32 -> [i, j] f32
  attn.output "y" %y dims [[i], [j]] storage f32 : [i, j] f32
}

// -----

// Keys have a batch and no rows, codes of distances rows and no batch, the queries both: neither sum is a product of
// rows and samples, and the batch stays outside.
// CHECK-LABEL: tile.program @distances
// CHECK: %[[ROWS:.+]] = arith.shrsi
// CHECK: tile.kernel grid [%{{.+}} = %b, %{{.+}} = %[[ROWS]]]
attn.mixer @distances attributes {symbols = ["b", "n", "r"], axes = {b = "b", i = "n", j = "n", d = "64", r = "r"}} {
  %q = attn.input "q" dims [[b], [i], [d]] storage f32 -> [b, d, i] f32
  %k = attn.input "k" dims [[b], [j], [d]] storage f32 -> [b, d, j] f32
  %E = attn.input "E" dims [[r], [d]] storage f32 -> [d, r] f32
  %i = attn.index "i"
  %j = attn.index "j"
  %far = attn.map sub(%i, %j) : [i] i64, [j] i64 -> [i, j] i64
  %e = attn.read %E [r = %far] : [d, r] f32, [i, j] i64 -> [d, i, j] f32
  %p = attn.map mul(%q, %k) : [b, d, i] f32, [b, d, j] f32 -> [b, d, i, j] f32
  %t = attn.map mul(%q, %e) : [b, d, i] f32, [d, i, j] f32 -> [b, d, i, j] f32
  %x = attn.reduce sum [d] %p : [b, d, i, j] f32 -> [b, i, j] f32
  %y = attn.reduce sum [d] %t : [b, d, i, j] f32 -> [b, i, j] f32
  %s = attn.map add(%x, %y) : [b, i, j] f32, [b, i, j] f32 -> [b, i, j] f32
  %m = attn.reduce max [j] %s : [b, i, j] f32 -> [b, i] f32
  attn.output "m" %m dims [[b], [i]] storage f32 : [b, i] f32
}
