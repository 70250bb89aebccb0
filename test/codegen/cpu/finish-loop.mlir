// What follows the sums of several chunks of lanes stands once, in a loop over the sums in memory; a store alone is left
// as it is.
// RUN: attn-opt %s --tile-to-vector --canonicalize --cse | FileCheck %s

// CHECK-LABEL: @kernel0
// CHECK: %[[SUMS:.*]] = llvm.alloca %{{.*}} x vector<16xf32>
// CHECK: :4 = scf.for
// CHECK: scf.for
// CHECK: math.exp
// CHECK-NOT: math.exp
// CHECK: llvm.return
// CHECK-LABEL: @kernel1
// CHECK-NOT: llvm.alloca
// CHECK: :4 = scf.for
tile.program @p symbols ["t"] {
^bb0(%t: i64):
  %c0 = arith.constant 0 : i64
  %c64 = arith.constant 64 : i64
  %v = tile.alloc [%t, %c64] : !tile.buf<f32, 2>
  %y = tile.alloc [%c64] : !tile.buf<f32, 1>
  %z = tile.alloc [%c64] : !tile.buf<f32, 1>
  tile.kernel grid [] {
    tile.nest par [%c = %c0 to %c64] red [%j = %c0 to %t] {
      %b = tile.load %v[%j, %c] : !tile.buf<f32, 2>
      tile.yield %b : f32
    } combine [sum] finish(%c: i64, %acc: f32) {
      %e = math.exp %acc : f32
      %s = arith.addf %e, %acc : f32
      tile.store %s, %y[%c] : !tile.buf<f32, 1>
    }
  }
  tile.kernel grid [] {
    tile.nest par [%c = %c0 to %c64] red [%j = %c0 to %t] {
      %b = tile.load %v[%j, %c] : !tile.buf<f32, 2>
      tile.yield %b : f32
    } combine [sum] finish(%c: i64, %acc: f32) {
      tile.store %acc, %z[%c] : !tile.buf<f32, 1>
    }
  }
}
