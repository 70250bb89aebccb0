// Few rows are no product worth packing for: four of them share what is loaded along the lanes, 4 x 2 sums in registers.
// RUN: attn-opt %s --tile-to-vector --canonicalize --cse | FileCheck %s

// CHECK-LABEL: @kernel0
// CHECK: scf.for %[[I:.*]] = %{{.*}} step %c4_i64
// CHECK: :8 = scf.for
// CHECK: scf.yield
// CHECK: scf.for %{{.*}} step %c1_i64
// CHECK: :4 = scf.for
tile.program @p symbols ["t", "r"] {
^bb0(%t: i64, %r: i64):
  %c0 = arith.constant 0 : i64
  %c64 = arith.constant 64 : i64
  %p = tile.alloc [%t, %r] : !tile.buf<f32, 2>
  %v = tile.alloc [%t, %c64] : !tile.buf<f32, 2>
  %y = tile.alloc [%r, %c64] : !tile.buf<f32, 2>
  tile.kernel grid [] {
    tile.nest par [%i = %c0 to %r, %c = %c0 to %c64] red [%j = %c0 to %t] {
      %a = tile.load %p[%j, %i] : !tile.buf<f32, 2>
      %b = tile.load %v[%j, %c] : !tile.buf<f32, 2>
      %ab = arith.mulf %a, %b : f32
      tile.yield %ab : f32
    } combine [sum] finish(%i: i64, %c: i64, %acc: f32) {
      tile.store %acc, %y[%i, %c] : !tile.buf<f32, 2>
    }
  }
}
