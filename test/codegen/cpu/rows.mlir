// A convolution per channel: in a box of 8 rows and 8 steps the filter's 8 vectors and the input's 15 are loaded once, and
// where the box lies inside neither the guard nor the clamp is left.
// RUN: attn-opt %s --tile-to-vector --canonicalize --cse | FileCheck %s

// CHECK-LABEL: @kernel0
// CHECK: llvm.alloca {{.*}} x vector<16xf32>
// CHECK: %[[INSIDE:.*]] = arith.andi
// CHECK: scf.if %[[INSIDE]] {
// CHECK-COUNT-8: llvm.load %{{.*}} {alignment = 64 : i64} : !llvm.ptr -> vector<16xf32>
// CHECK-COUNT-23: llvm.load %{{.*}} {alignment = 4 : i64} : !llvm.ptr -> vector<16xf32>
// CHECK-NOT: llvm.load
// CHECK-COUNT-8: llvm.store
// CHECK: } else {
// CHECK: arith.select
tile.program @p symbols ["t"] {
^bb0(%t: i64):
  %c0 = arith.constant 0 : i64
  %c64 = arith.constant 64 : i64
  %zero = arith.constant 0.0 : f32
  %k = tile.alloc [%t, %c64] : !tile.buf<f32, 2>
  %u = tile.alloc [%t, %c64] : !tile.buf<f32, 2>
  %y = tile.alloc [%t, %c64] : !tile.buf<f32, 2>
  tile.kernel grid [%g = %t] {
    %lo = arith.muli %g, %c64 : i64
    %end = arith.addi %lo, %c64 : i64
    %hi = arith.minsi %end, %t : i64
    tile.nest par [%i = %lo to %hi, %c = %c0 to %c64] red [%r = %c0 to %hi] {
      %a = tile.load %k[%r, %c] : !tile.buf<f32, 2>
      %back = arith.subi %i, %r : i64
      %at = arith.maxsi %back, %c0 : i64
      %b = tile.load %u[%at, %c] : !tile.buf<f32, 2>
      %ab = arith.mulf %a, %b : f32
      %there = arith.cmpi sge, %back, %c0 : i64
      %term = arith.select %there, %ab, %zero : f32
      tile.yield %term : f32
    } combine [sum] finish(%i: i64, %c: i64, %acc: f32) {
      tile.store %acc, %y[%i, %c] : !tile.buf<f32, 2>
    }
  }
}
