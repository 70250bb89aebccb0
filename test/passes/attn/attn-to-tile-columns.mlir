// Channels of unknown number look like a batch, but they are neighbours in memory, and nothing else is: they stay inside a
// kernel instance, in wide blocks.
// RUN: attn-opt %s --attn-to-tile | FileCheck %s

// CHECK: tile.kernel grid [%{{.+}} = %b, %{{.+}} = %{{[0-9]+}}, %{{.+}} = %{{[0-9]+}}]
// CHECK: tile.nest par [%{{.+}} = %{{[0-9]+}} to %{{[0-9]+}}, %{{.+}} = %{{[0-9]+}} to %{{[0-9]+}}]
attn.mixer @every_other attributes {symbols = ["b", "t", "n", "c"], axes = {b = "b", t = "t", n = "n", c = "c"}} {
  %x = attn.input "x" dims [[b], [t], [c]] storage f32 -> [b, c, t] f32
  %y = attn.input "y" dims [[b], [n], [c]] storage f32 -> [b, c, n] f32
  %t = attn.index "t"
  %two = attn.const 2 : i64
  %at = attn.map idiv(%t, %two) : [t] i64, [] i64 -> [t] i64
  %z = attn.read %y [n = %at] : [b, c, n] f32, [t] i64 -> [b, c, t] f32
  %g = attn.map add(%x, %z) : [b, c, t] f32, [b, c, t] f32 -> [b, c, t] f32
  attn.output "g" %g dims [[b], [t], [c]] storage f32 : [b, c, t] f32
}
