// What takes long at the end of a sum is done for a tile while the next one is summed: a row of it before each eighth of the steps.
// RUN: attn-opt %s --tile-to-vector --canonicalize --cse | FileCheck %s

// CHECK-LABEL: internal @kernel0
// One round more than there are tiles.
// CHECK: scf.for %[[M:.+]] = %c0_i64 to %{{.+}} step %c8_i64
// CHECK: %[[SUMS:.+]]:16 = scf.for %[[R:.+]] = %c0_i64 to %c8_i64 step %c1_i64
// CHECK: scf.if
// CHECK: llvm.load
// CHECK-COUNT-2: math.exp2
// CHECK: %{{.+}}:16 = scf.for
// CHECK-COUNT-16: math.fma
// CHECK: scf.yield
// CHECK: scf.yield
// Sums are kept until then.
// CHECK: llvm.store %[[SUMS]]#0
tile.program @p symbols ["m", "n", "k"] {
^bb0(%m: i64, %n: i64, %k: i64):
  %c0 = arith.constant 0 : i64
  %c64 = arith.constant 64 : i64
  %a = tile.arg input 0 "a" : !tile.buf<f32, 2>
  %b = tile.arg input 1 "b" : !tile.buf<f32, 2>
  %o = tile.arg output 0 "o" : !tile.buf<f32, 2>
  tile.kernel grid [] {
    %w = tile.alloc [%m, %c64] : !tile.buf<f32, 2>
    %end = arith.minsi %n, %c64 : i64
    tile.nest par [%i = %c0 to %m, %j = %c0 to %end] red [%r = %c0 to %k] {
      %x = tile.load %a[%i, %r] : !tile.buf<f32, 2>
      %y = tile.load %b[%r, %j] : !tile.buf<f32, 2>
      %p = arith.mulf %x, %y : f32
      tile.yield %p : f32
    } combine [sum] finish(%i: i64, %j: i64, %acc: f32) {
      %e = math.exp2 %acc : f32
      tile.store %e, %w[%i, %j] : !tile.buf<f32, 2>
    }
    tile.nest par [%i = %c0 to %m, %j = %c0 to %end] {
      %e = tile.load %w[%i, %j] : !tile.buf<f32, 2>
      tile.store %e, %o[%i, %j] : !tile.buf<f32, 2>
    }
  }
}
