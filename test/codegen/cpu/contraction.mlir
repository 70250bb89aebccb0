// A sum of products becomes tiles of 8 rows by two vectors, accumulated in registers.
// RUN: attn-opt %s --tile-to-vector --canonicalize --cse | FileCheck %s

// CHECK-LABEL: internal @tiles_f32
// CHECK: %[[SUMS:.*]]:16 = scf.for
// CHECK-COUNT-16: math.fma {{.*}} : vector<16xf32>
// CHECK: scf.if
tile.program @p symbols ["m", "n", "k"] {
^bb0(%m: i64, %n: i64, %k: i64):
  %c0 = arith.constant 0 : i64
  %a = tile.arg input 0 "a" : !tile.buf<bf16, 2>
  %b = tile.arg input 1 "b" : !tile.buf<f32, 2>
  %o = tile.arg output 0 "o" : !tile.buf<f32, 2>
  tile.kernel grid [] {
    tile.nest par [%i = %c0 to %m, %j = %c0 to %n] red [%r = %c0 to %k] {
      %x = tile.load %a[%i, %r] : !tile.buf<bf16, 2>
      %y = tile.load %b[%r, %j] : !tile.buf<f32, 2>
      %p = arith.mulf %x, %y : f32
      tile.yield %p : f32
    } combine [sum] finish(%i: i64, %j: i64, %acc: f32) {
      tile.store %acc, %o[%i, %j] : !tile.buf<f32, 2>
    }
  }
}
