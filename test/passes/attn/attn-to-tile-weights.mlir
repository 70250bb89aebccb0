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
