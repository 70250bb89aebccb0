// Every op and its text, read and printed back.
// RUN: attn-opt %s | attn-opt | FileCheck %s

// CHECK: attn.mixer @all attributes {axes = {b = "b", "c'" = "4", d = "4", i = "N", j = "N", n = "(N + 15) div 16", r = "8", r.1 = "2", u = "16"}, symbols = ["b", "N"]}
attn.mixer @all attributes {symbols = ["b", "N"], axes = {b = "b", i = "N", j = "N", d = "4", "c'" = "4", n = "(N + 15) div 16", u = "16", r = "8", r.1 = "2"}} {
  // CHECK: %[[X:.+]] = attn.input "x" dims {{\[}}[b], [n, u : "N"], ["c'"]] storage bf16 -> [b, "c'", n, u] f32
  %x = attn.input "x" dims [[b], [n, u : "N"], ["c'"]] storage bf16 -> [b, "c'", n, u] f32
  %s = attn.input "s" dims [[i], [j]] storage f32 -> !attn.t<[i, j] f32>
  // CHECK: attn.const 1.500000e+00 : f32
  %c = attn.const 1.5 : f32
  // CHECK: attn.const 0xFF800000 : f32
  %inf = attn.const 0xFF800000 : f32
  // CHECK: attn.const true
  %t = attn.const true
  %one = attn.const 1 : i64
  // CHECK: attn.index "i"
  %i = attn.index "i"
  %j = attn.index "j"
  %n = attn.index "n"
  // CHECK: attn.extent "N div 2"
  %N = attn.extent "N div 2"
  // CHECK: %[[G:.+]] = attn.map le(%{{.+}}, %{{.+}}) : [j] i64, [i] i64 -> [i, j] i1
  %g = attn.map le(%j, %i) : [j] i64, [i] i64 -> [i, j] i1
  %a = attn.map select(%g, %s, %c) : [i, j] i1, [i, j] f32, [] f32 -> [i, j] f32
  %a64 = attn.map to_f64(%a) : [i, j] f32 -> [i, j] f64
  // CHECK: attn.read %[[X]] [n = %{{.+}}, u = %{{.+}} inside] : [b, "c'", n, u] f32, [i] i64, [] i64 -> [b, "c'", i] f32
  %r = attn.read %x [n = %i, u = %one inside] : [b, "c'", n, u] f32, [i] i64, [] i64 -> [b, "c'", i] f32
  // CHECK: attn.reduce sum [j] %{{.+}} guard %[[G]] : [i, j] f32, [i, j] i1 -> [i] f32
  %sum = attn.reduce sum [j] %s guard %g : [i, j] f32, [i, j] i1 -> [i] f32
  // CHECK: attn.reduce count [i, j] %{{.+}} : [i, j] f32 -> [] i64
  %count = attn.reduce count [i, j] %s : [i, j] f32 -> [] i64
  // CHECK: attn.softmax (%{{.+}} [j] guard %[[G]], %{{.+}} []) : [i, j] f32, [] f32, [i, j] i1 -> [i, j] f32, [i] f32
  %p, %sink = attn.softmax (%s [j] guard %g, %c []) : [i, j] f32, [] f32, [i, j] i1 -> [i, j] f32, [i] f32
  // CHECK: attn.cum sum [n, u] %[[X]] reversed : [b, "c'", n, u] f32 -> [b, "c'", n, u] f32
  %cum = attn.cum sum [n, u] %x reversed : [b, "c'", n, u] f32 -> [b, "c'", n, u] f32
  // CHECK: attn.argreduce max [j] %{{.+}} guard %[[G]] : [i, j] f32, [i, j] i1 -> [i] i64
  %arg = attn.argreduce max [j] %s guard %g : [i, j] f32, [i, j] i1 -> [i] i64
  // CHECK: attn.topk [j] new [r] %{{.+}} : [i, j] f32 -> [i, r] i64
  %top = attn.topk [j] new [r] %s : [i, j] f32 -> [i, r] i64
  // CHECK: attn.argsort [j] new [r, r.1] %{{.+}} : [i, j] f32 -> [i, r, r.1] i64
  %sort = attn.argsort [j] new [r, r.1] %s : [i, j] f32 -> [i, r, r.1] i64
  // CHECK: attn.rank [j] %{{.+}} guard %[[G]] : [i, j] f32, [i, j] i1 -> [i, j] i64
  %rank = attn.rank [j] %s guard %g : [i, j] f32, [i, j] i1 -> [i, j] i64
  // A recurrence: the equation is read before it is defined.
  %before = attn.map sub(%n, %one) : [n] i64, [] i64 -> [n] i64
  %old = attn.read %S [n = %before] : [b, "c'", n, u] f32, [n] i64 -> [b, "c'", n, u] f32
  %new = attn.map add(%old, %x) : [b, "c'", n, u] f32, [b, "c'", n, u] f32 -> [b, "c'", n, u] f32
  // CHECK: attn.equation "S" %{{.+}} cycle 0 loops [n = 1] : [b, "c'", n, u] f32
  %S = attn.equation "S" %new cycle 0 loops [n = 1] : [b, "c'", n, u] f32
  // CHECK: attn.equation "L" %{{.+}} : [i] f32
  %L = attn.equation "L" %sum : [i] f32
  // CHECK: attn.grad %{{.+}} wrt %{{.+}} keep [i] : [i] f32, [i, j] f32 -> [i, j] f32
  %ds = attn.grad %L wrt %s keep [i] : [i] f32, [i, j] f32 -> [i, j] f32
  // CHECK: attn.detach %{{.+}} : [i, j] f32
  %det = attn.detach %ds : [i, j] f32
  // CHECK: attn.output "y" %{{.+}} dims {{\[}}[n, u : "N"], [b], ["c'"]] storage f16 : [b, "c'", n, u] f32
  attn.output "y" %S dims [[n, u : "N"], [b], ["c'"]] storage f16 : [b, "c'", n, u] f32
}
