// Sums over what is read at a distance.
// RUN: attn-opt %s --attn-sum-before-read | FileCheck %s

// CHECK-LABEL: @distances
attn.mixer @distances attributes {symbols = ["b", "N", "R"], axes = {b = "b", i = "N", j = "N", r = "R", d = "8"}} {
  // CHECK: %[[Q:.+]] = attn.input "q"
  // CHECK: %[[T:.+]] = attn.input "t"
  %q = attn.input "q" dims [[b], [i], [d]] storage f32 -> [b, d, i] f32
  %t = attn.input "t" dims [[r], [d]] storage f32 -> [d, r] f32
  %i = attn.index "i"
  %j = attn.index "j"
  // CHECK: %[[AT:.+]] = attn.map sub
  %at = attn.map sub(%i, %j) : [i] i64, [j] i64 -> [i, j] i64
  // CHECK: %[[P:.+]] = attn.map mul(%[[Q]], %[[T]]) {{.+}} -> [b, d, i, r] f32
  // CHECK: %[[S:.+]] = attn.reduce sum [d] %[[P]] {{.+}} -> [b, i, r] f32
  // CHECK: %[[READ:.+]] = attn.read %[[S]] [r = %[[AT]] inside] {{.+}} -> [b, i, j] f32
  %row = attn.read %t [r = %at inside] : [d, r] f32, [i, j] i64 -> [d, i, j] f32
  %p = attn.map mul(%q, %row) : [b, d, i] f32, [d, i, j] f32 -> [b, d, i, j] f32
  %s = attn.reduce sum [d] %p : [b, d, i, j] f32 -> [b, i, j] f32
  // CHECK: attn.output "s" %[[READ]]
  attn.output "s" %s dims [[b], [i], [j]] storage f32 : [b, i, j] f32
}

// A row that data choose: there may be far more rows than are read.
// CHECK-LABEL: @chosen
attn.mixer @chosen attributes {symbols = ["N", "K", "R"], axes = {i = "N", k = "K", r = "R", d = "8"}} {
  %q = attn.input "q" dims [[i], [d]] storage f32 -> [d, i] f32
  %t = attn.input "t" dims [[r], [d]] storage f32 -> [d, r] f32
  %at = attn.input "at" dims [[i], [k]] storage i64 -> [i, k] i64
  // CHECK: attn.read
  // CHECK: attn.reduce
  // CHECK-NOT: attn.read
  %row = attn.read %t [r = %at] : [d, r] f32, [i, k] i64 -> [d, i, k] f32
  %p = attn.map mul(%q, %row) : [d, i] f32, [d, i, k] f32 -> [d, i, k] f32
  %s = attn.reduce sum [d] %p : [d, i, k] f32 -> [i, k] f32
  attn.output "s" %s dims [[i], [k]] storage f32 : [i, k] f32
}

// The taps of a convolution, which the sum is over; and a few taps of a long table.
// CHECK-LABEL: @taps
attn.mixer @taps attributes {symbols = ["N", "W"], axes = {t = "N", c = "8", s = "N", w = "4", a = "W"}} {
  %f = attn.input "f" dims [[a], [c]] storage f32 -> [a, c] f32
  %x = attn.input "x" dims [[s], [c]] storage f32 -> [c, s] f32
  %y = attn.input "y" dims [[t], [c]] storage f32 -> [c, t] f32
  // CHECK: attn.read
  // CHECK: attn.reduce
  // CHECK: attn.read
  // CHECK: attn.reduce
  // CHECK-NOT: attn.read
  %t = attn.index "t"
  %a = attn.index "a"
  %w = attn.index "w"
  %at = attn.map sub(%t, %a) : [t] i64, [a] i64 -> [a, t] i64
  %tap = attn.read %x [s = %at] : [c, s] f32, [a, t] i64 -> [a, c, t] f32
  %p = attn.map mul(%f, %tap) : [a, c] f32, [a, c, t] f32 -> [a, c, t] f32
  %s = attn.reduce sum [a] %p : [a, c, t] f32 -> [c, t] f32
  attn.output "o" %s dims [[t], [c]] storage f32 : [c, t] f32
  %near = attn.map sub(%t, %w) : [t] i64, [w] i64 -> [t, w] i64
  %few = attn.read %x [s = %near] : [c, s] f32, [t, w] i64 -> [c, t, w] f32
  %m = attn.map mul(%y, %few) : [c, t] f32, [c, t, w] f32 -> [c, t, w] f32
  %n = attn.reduce sum [c] %m : [c, t, w] f32 -> [t, w] f32
  attn.output "n" %n dims [[t], [w]] storage f32 : [t, w] f32
}
