// Taps of a picture, 192 channels: positions and the condition are computed once for 12 chunks of lanes, and a branch leaves
// out what lies outside.
// RUN: attn-opt %s --tile-to-vector --canonicalize --cse | FileCheck %s

// CHECK-LABEL: @kernel0
// CHECK: scf.for
// CHECK: scf.for
// CHECK: arith.cmpi slt
// CHECK: scf.if
// CHECK-COUNT-24: llvm.load %{{.*}} : !llvm.ptr -> vector<16xf32>
// CHECK-NOT: llvm.load
// CHECK: } else {
tile.program @p symbols ["t"] {
^bb0(%t: i64):
  %c0 = arith.constant 0 : i64
  %c1 = arith.constant 1 : i64
  %c3 = arith.constant 3 : i64
  %c192 = arith.constant 192 : i64
  %zero = arith.constant 0.0 : f32
  %w = tile.alloc [%c3, %c192] : !tile.buf<f32, 2>
  %x = tile.alloc [%t, %c192] : !tile.buf<f32, 2>
  %y = tile.alloc [%t, %c192] : !tile.buf<f32, 2>
  tile.kernel grid [] {
    tile.nest par [%i = %c0 to %t, %c = %c0 to %c192] red [%r = %c0 to %c3] {
      %a = tile.load %w[%r, %c] : !tile.buf<f32, 2>
      %next = arith.addi %i, %r : i64
      %p = arith.subi %next, %c1 : i64
      %last = arith.subi %t, %c1 : i64
      %low = arith.minsi %p, %last : i64
      %at = arith.maxsi %low, %c0 : i64
      %b = tile.load %x[%at, %c] : !tile.buf<f32, 2>
      %ab = arith.mulf %a, %b : f32
      %before = arith.cmpi sge, %p, %c0 : i64
      %after = arith.cmpi slt, %p, %t : i64
      %there = arith.andi %before, %after : i1
      %term = arith.select %there, %ab, %zero : f32
      tile.yield %term : f32
    } combine [sum] finish(%i: i64, %c: i64, %acc: f32) {
      tile.store %acc, %y[%i, %c] : !tile.buf<f32, 2>
    }
  }
}
