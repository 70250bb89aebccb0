// Reductions that a comparison of two axes decides.
// RUN: attn-opt %s --attn-one-point --attn-simplify | FileCheck %s

// In the guard: the score is computed for the own block alone.
// CHECK-LABEL: @guard
attn.mixer @guard attributes {symbols = ["N"], axes = {x = "N", c = "N", u = "8", d = "4"}} {
  // CHECK: %[[Q:.+]] = attn.input "q"
  %q = attn.input "q" dims [[x], [d]] storage f32 -> [d, x] f32
  // CHECK: %[[K:.+]] = attn.input "k"
  %k = attn.input "k" dims [[c], [u], [d]] storage f32 -> [c, d, u] f32
  %p = attn.map mul(%q, %k) : [d, x] f32, [c, d, u] f32 -> [c, d, u, x] f32
  %s = attn.reduce sum [d] %p : [c, d, u, x] f32 -> [c, u, x] f32
  // CHECK: %[[OWN:.+]] = attn.read %[[K]] [c = %{{.+}} inside]
  // CHECK: %[[P:.+]] = attn.map mul(%[[Q]], %[[OWN]])
  // CHECK: %[[S:.+]] = attn.reduce sum [d] %[[P]]
  // CHECK: attn.reduce max [u] %[[S]] : [u, x] f32 -> [x] f32
  %ic = attn.index "c"
  %ix = attn.index "x"
  %on = attn.map eq(%ic, %ix) : [c] i64, [x] i64 -> [c, x] i1
  %m = attn.reduce max [c, u] %s guard %on : [c, u, x] f32, [c, x] i1 -> [x] f32
  attn.output "m" %m dims [[x]] storage f32 : [x] f32
}

// A factor that is 0 elsewhere: what is not finite elsewhere makes a NaN.
// CHECK-LABEL: @factor
attn.mixer @factor attributes {symbols = ["N"], axes = {x = "N", c = "N"}} {
  %w = attn.input "w" dims [[x]] storage f32 -> [x] f32
  %v = attn.input "v" dims [[c]] storage f32 -> [c] f32
  %ic = attn.index "c"
  %ix = attn.index "x"
  %zero = attn.const 0.0 : f32
  %on = attn.map eq(%ic, %ix) : [c] i64, [x] i64 -> [c, x] i1
  %p = attn.map select(%on, %w, %zero) : [c, x] i1, [x] f32, [] f32 -> [c, x] f32
  %pv = attn.map mul(%p, %v) : [c, x] f32, [c] f32 -> [c, x] f32
  // CHECK: attn.const 0x7FC00000
  // CHECK: attn.map lt
  // CHECK-NOT: attn.reduce sum [c] %{{.+}} : [c, x]
  %s = attn.reduce sum [c] %pv : [c, x] f32 -> [x] f32
  attn.output "s" %s dims [[x]] storage f32 : [x] f32
}

// Another extent: left as it is.
// CHECK-LABEL: @other
attn.mixer @other attributes {symbols = ["N", "M"], axes = {x = "N", c = "M"}} {
  %v = attn.input "v" dims [[c]] storage f32 -> [c] f32
  %ic = attn.index "c"
  %ix = attn.index "x"
  %on = attn.map eq(%ic, %ix) : [c] i64, [x] i64 -> [c, x] i1
  // CHECK: attn.reduce max [c] %{{.+}} guard
  %m = attn.reduce max [c] %v guard %on : [c] f32, [c, x] i1 -> [x] f32
  attn.output "m" %m dims [[x]] storage f32 : [x] f32
}
