// Folds, one each.
// RUN: attn-opt %s --attn-simplify | FileCheck %s

// CHECK-LABEL: @constants
attn.mixer @constants attributes {symbols = [], axes = {i = "4"}} {
  %x = attn.input "x" dims [[i]] storage f32 -> [i] f32
  %d = attn.extent "8 * 8"
  %r = attn.map to_f64(%d) : [] i64 -> [] f64
  %s = attn.map sqrt(%r) : [] f64 -> [] f64
  %f = attn.map to_f32(%s) : [] f64 -> [] f32
  // CHECK: %[[EIGHT:.+]] = attn.const 8.000000e+00 : f32
  // CHECK: attn.map div(%{{.+}}, %[[EIGHT]])
  %y = attn.map div(%x, %f) : [i] f32, [] f32 -> [i] f32
  attn.output "y" %y dims [[i]] storage f32 : [i] f32
}

// A product with 0 is not 0 for reals (NaN), with 1 it is itself.
// CHECK-LABEL: @neutral
attn.mixer @neutral attributes {symbols = [], axes = {i = "4"}} {
  // CHECK: %[[X:.+]] = attn.input
  %x = attn.input "x" dims [[i]] storage f32 -> [i] f32
  %one = attn.const 1.0 : f32
  // CHECK: %[[ZERO:.+]] = attn.const 0
  %zero = attn.const 0.0 : f32
  %a = attn.map mul(%x, %one) : [i] f32, [] f32 -> [i] f32
  // CHECK: %[[Y:.+]] = attn.map mul(%[[X]], %[[ZERO]])
  %b = attn.map mul(%a, %zero) : [i] f32, [] f32 -> [i] f32
  // CHECK: attn.output "y" %[[Y]]
  attn.output "y" %b dims [[i]] storage f32 : [i] f32
}

// A select between equals keeps an axis that only its condition has.
// CHECK-LABEL: @axes_stay
attn.mixer @axes_stay attributes {symbols = [], axes = {i = "4"}} {
  %x = attn.input "x" dims [] storage f32 -> [] f32
  %i = attn.index "i"
  %z = attn.const 0 : i64
  %c = attn.map ge(%i, %z) : [i] i64, [] i64 -> [i] i1
  // CHECK: attn.map select
  %y = attn.map select(%c, %x, %x) : [i] i1, [] f32, [] f32 -> [i] f32
  attn.output "y" %y dims [[i]] storage f32 : [i] f32
}

// CHECK-LABEL: @reads
attn.mixer @reads attributes {symbols = ["N"], axes = {i = "N", j = "N", n = "N", u = "16"}} {
  // CHECK: %[[X:.+]] = attn.input "x"
  %x = attn.input "x" dims [[i]] storage f32 -> [i] f32
  %y = attn.input "y" dims [[n], [u]] storage f32 -> [n, u] f32
  %i = attn.index "i"
  %j = attn.index "j"
  %k = attn.const 16 : i64
  %one = attn.const 1 : i64
  %same = attn.read %x [i = %i] : [i] f32, [i] i64 -> [i] f32
  // CHECK: attn.output "a" %[[X]]
  attn.output "a" %same dims [[i]] storage f32 : [i] f32
  // An axis of the same extent, and a remainder, are inside; i - 1 is not.
  // CHECK: attn.read %[[X]] [i = %{{.+}} inside]
  %moved = attn.read %x [i = %j] : [i] f32, [j] i64 -> [j] f32
  %rest = attn.map mod(%i, %k) : [i] i64, [] i64 -> [i] i64
  %before = attn.map sub(%i, %one) : [i] i64, [] i64 -> [i] i64
  // CHECK: [n = %{{[0-9]+}}, u = %{{.+}} inside]
  %flat = attn.read %y [n = %before, u = %rest] : [n, u] f32, [i] i64, [i] i64 -> [i] f32
  attn.output "b" %moved dims [[j]] storage f32 : [j] f32
  attn.output "c" %flat dims [[i]] storage f32 : [i] f32
}

// Equal ops are one; what nothing needs goes, a dead recurrence too; inputs stay.
// CHECK-LABEL: @share_erase
attn.mixer @share_erase attributes {symbols = ["N"], axes = {t = "N"}} {
  // CHECK: attn.input "unused"
  %unused = attn.input "unused" dims [[t]] storage f32 -> [t] f32
  %x = attn.input "x" dims [[t]] storage f32 -> [t] f32
  // CHECK-NOT: "S"
  %t = attn.index "t"
  %old = attn.read %S [t = %t] : [t] f32, [t] i64 -> [t] f32
  %new = attn.map add(%old, %x) : [t] f32, [t] f32 -> [t] f32
  %S = attn.equation "S" %new cycle 0 loops [t = 1] : [t] f32
  // CHECK: %[[E:.+]] = attn.map exp
  // CHECK-NOT: attn.map exp
  %a = attn.map exp(%x) : [t] f32 -> [t] f32
  %b = attn.map exp(%x) : [t] f32 -> [t] f32
  // CHECK: attn.map mul(%[[E]], %[[E]])
  %c = attn.map mul(%a, %b) : [t] f32, [t] f32 -> [t] f32
  attn.output "c" %c dims [[t]] storage f32 : [t] f32
}

// CHECK-LABEL: @guards
attn.mixer @guards attributes {symbols = ["N"], axes = {i = "N", j = "N"}} {
  %x = attn.input "x" dims [[i]] storage f32 -> [i] f32
  %true = attn.const true
  // CHECK: attn.reduce sum [i] %{{.+}} : [i] f32 -> [] f32
  %s = attn.reduce sum [i] %x guard %true : [i] f32, [] i1 -> [] f32
  attn.output "s" %s dims [] storage f32 : [] f32
}

// Small whole powers are products, other powers stay.
// CHECK-LABEL: @powers
attn.mixer @powers attributes {symbols = [], axes = {i = "4"}} {
  // CHECK: %[[X:.+]] = attn.input
  %x = attn.input "x" dims [[i]] storage f32 -> [i] f32
  %three = attn.const 3.0 : f32
  %half = attn.const 0.5 : f32
  // CHECK: %[[SQUARE:.+]] = attn.map mul(%[[X]], %[[X]])
  // CHECK: %[[CUBE:.+]] = attn.map mul(%[[X]], %[[SQUARE]])
  %p = attn.map pow(%x, %three) : [i] f32, [] f32 -> [i] f32
  // CHECK: attn.map pow(%[[CUBE]],
  %q = attn.map pow(%p, %half) : [i] f32, [] f32 -> [i] f32
  attn.output "q" %q dims [[i]] storage f32 : [i] f32
}

// The digits of a position, put together again; not by 0, where both are 0.
// CHECK-LABEL: @digits
attn.mixer @digits attributes {symbols = ["N"], axes = {t = "N"}} {
  // CHECK: %[[X:.+]] = attn.input "x"
  %x = attn.input "x" dims [[t]] storage i64 -> [t] i64
  %three = attn.const 3 : i64
  %zero = attn.const 0 : i64
  %div = attn.map idiv(%x, %three) : [t] i64, [] i64 -> [t] i64
  %mod = attn.map mod(%x, %three) : [t] i64, [] i64 -> [t] i64
  %times = attn.map mul(%div, %three) : [t] i64, [] i64 -> [t] i64
  %y = attn.map add(%times, %mod) : [t] i64, [t] i64 -> [t] i64
  %none = attn.map idiv(%x, %zero) : [t] i64, [] i64 -> [t] i64
  %rest = attn.map mod(%x, %zero) : [t] i64, [] i64 -> [t] i64
  %nothing = attn.map mul(%none, %zero) : [t] i64, [] i64 -> [t] i64
  %z = attn.map add(%nothing, %rest) : [t] i64, [t] i64 -> [t] i64
  // CHECK: attn.output "y" %[[X]]
  // CHECK-NOT: attn.output "z" %[[X]]
  attn.output "y" %y dims [[t]] storage i64 : [t] i64
  attn.output "z" %z dims [[t]] storage i64 : [t] i64
}
