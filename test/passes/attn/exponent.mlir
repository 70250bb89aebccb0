// What lies below its maximum, in one form.
// RUN: attn-opt %s --attn-exponent | FileCheck %s

// Scaled after the maximum is taken off: scaled before it. The maximum of the products is a new one.
// CHECK-LABEL: @scaled
attn.mixer @scaled attributes {symbols = ["N"], axes = {i = "N", j = "N"}} {
  // CHECK: %[[S:.+]] = attn.input "s"
  %s = attn.input "s" dims [[i], [j]] storage f32 -> [i, j] f32
  // CHECK: %[[X:.+]] = attn.map mul(%[[S]], %
  // CHECK-NEXT: %[[M:.+]] = attn.reduce max [j] %[[X]]
  // CHECK-NEXT: %[[D:.+]] = attn.map sub(%[[X]], %[[M]])
  // CHECK-NEXT: attn.map exp(%[[D]])
  %c = attn.const 1.250000e-01 : f32
  %m = attn.reduce max [j] %s : [i, j] f32 -> [i] f32
  %d = attn.map sub(%s, %m) : [i, j] f32, [i] f32 -> [i, j] f32
  %x = attn.map mul(%d, %c) : [i, j] f32, [] f32 -> [i, j] f32
  %p = attn.map exp(%x) : [i, j] f32 -> [i, j] f32
  attn.output "p" %p dims [[i], [j]] storage f32 : [i, j] f32
}

// The least is the greatest of what is negated. A guard stays.
// CHECK-LABEL: @least
attn.mixer @least attributes {symbols = ["N"], axes = {i = "N", j = "N"}} {
  // CHECK: %[[S:.+]] = attn.input "s"
  %s = attn.input "s" dims [[i], [j]] storage f32 -> [i, j] f32
  %i = attn.index "i"
  %j = attn.index "j"
  // CHECK: %[[G:.+]] = attn.map le
  %g = attn.map le(%j, %i) : [j] i64, [i] i64 -> [i, j] i1
  // CHECK: %[[X:.+]] = attn.map neg(%[[S]])
  // CHECK-NEXT: %[[M:.+]] = attn.reduce max [j] %[[X]] guard %[[G]]
  // CHECK-NEXT: %[[D:.+]] = attn.map sub(%[[X]], %[[M]])
  // CHECK-NEXT: attn.map exp2(%[[D]])
  %m = attn.reduce min [j] %s guard %g : [i, j] f32, [i, j] i1 -> [i] f32
  %d = attn.map sub(%m, %s) : [i] f32, [i, j] f32 -> [i, j] f32
  %p = attn.map exp2(%d) : [i, j] f32 -> [i, j] f32
  attn.output "p" %p dims [[i], [j]] storage f32 : [i, j] f32
}

// A number below 0 turns the order round: it stays.
// CHECK-LABEL: @negative
attn.mixer @negative attributes {symbols = ["N"], axes = {i = "N", j = "N"}} {
  %s = attn.input "s" dims [[i], [j]] storage f32 -> [i, j] f32
  // CHECK-COUNT-1: attn.reduce max
  // CHECK-NOT: attn.reduce max
  %c = attn.const -1.250000e-01 : f32
  %m = attn.reduce max [j] %s : [i, j] f32 -> [i] f32
  %d = attn.map sub(%s, %m) : [i, j] f32, [i] f32 -> [i, j] f32
  %x = attn.map mul(%d, %c) : [i, j] f32, [] f32 -> [i, j] f32
  %p = attn.map exp(%x) : [i, j] f32 -> [i, j] f32
  attn.output "p" %p dims [[i], [j]] storage f32 : [i, j] f32
}
