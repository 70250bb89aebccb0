// A mask that lacks the heads does not make a sequence of them: every head is a kernel instance of its own, and nothing
// is kept for a block of heads.
// RUN: attn-opt %s --attn-to-tile | FileCheck %s

// CHECK: tile.kernel grid [%{{.+}} = %b, %{{.+}} = %h,
// CHECK-NOT: tile.alloc [%{{.+}}, %{{.+}}, %{{.+}}, %{{.+}}]
attn.mixer @masked attributes {symbols = ["b", "h", "I", "J"], axes = {b = "b", h = "h", i = "I", j = "J", d = "64"}} {
  %q = attn.input "q" dims [[b], [h], [i], [d]] storage f32 -> [b, d, h, i] f32
  %k = attn.input "k" dims [[b], [h], [j], [d]] storage f32 -> [b, d, h, j] f32
  %ok = attn.input "ok" dims [[b], [j]] storage bool -> [b, j] i1
  %p = attn.map mul(%q, %k) : [b, d, h, i] f32, [b, d, h, j] f32 -> [b, d, h, i, j] f32
  %s = attn.reduce sum [d] %p : [b, d, h, i, j] f32 -> [b, h, i, j] f32
  %m = attn.reduce max [j] %s guard %ok : [b, h, i, j] f32, [b, j] i1 -> [b, h, i] f32
  attn.output "m" %m dims [[b], [h], [i]] storage f32 : [b, h, i] f32
}
