// Lanes at clamped positions are neighbours in memory as far as the clamp leaves them: a masked load instead of a gather.
// A guard that drops what the clamp moves gives the mask. Rows share the load and its mask, though the positions take
// more than the products.
// RUN: attn-opt %s --tile-to-vector --canonicalize --cse | FileCheck %s

// CHECK-LABEL: @kernel0
// CHECK: scf.for %{{.*}} step %c4_i64
// CHECK: :8 = scf.for
// CHECK: %[[IN:.*]] = arith.andi %{{.*}} : vector<16xi1>
// CHECK: llvm.intr.masked.load %{{.*}}, %[[IN]]
// CHECK-COUNT-1: llvm.intr.masked.load
// CHECK-NOT: llvm.intr.masked
// CHECK: scf.yield
tile.program @p symbols ["h", "x", "z"] {
^bb0(%h: i64, %x: i64, %z: i64):
  %c0 = arith.constant 0 : i64
  %c1 = arith.constant 1 : i64
  %zero = arith.constant 0.0 : f32
  %w = tile.alloc [%h, %z] : !tile.buf<f32, 2>
  %u = tile.alloc [%x] : !tile.buf<f32, 1>
  %y = tile.alloc [%h, %x] : !tile.buf<f32, 2>
  tile.kernel grid [] {
    tile.nest par [%i = %c0 to %h, %j = %c0 to %x] red [%r = %c0 to %z] {
      %k = tile.load %w[%i, %r] : !tile.buf<f32, 2>
      %shifted = arith.subi %j, %r : i64
      %p = arith.addi %shifted, %c1 : i64
      %last = arith.subi %x, %c1 : i64
      %most = arith.minsi %p, %last : i64
      %at = arith.maxsi %most, %c0 : i64
      %v = tile.load %u[%at] : !tile.buf<f32, 1>
      %kv = arith.mulf %k, %v : f32
      %above = arith.cmpi sge, %p, %c0 : i64
      %below = arith.cmpi slt, %p, %x : i64
      %in = arith.andi %above, %below : i1
      %term = arith.select %in, %kv, %zero : f32
      tile.yield %term : f32
    } combine [sum] finish(%i: i64, %j: i64, %acc: f32) {
      tile.store %acc, %y[%i, %j] : !tile.buf<f32, 2>
    }
  }
  // Without such a guard lanes past the bound get the element there, which is read only if there are such lanes.
  // CHECK-LABEL: @kernel1
  // CHECK-NOT: llvm.intr.masked.gather
  // CHECK: %[[IN:.*]] = arith.cmpi sge, {{.*}} : vector<16xi64>
  // CHECK: %[[ALL:.*]] = vector.reduction <and>, %[[IN]]
  // CHECK: arith.select %[[ALL]]
  // CHECK: %[[FIRST:.*]] = vector.splat %{{.*}} : vector<16xf32>
  // CHECK: llvm.intr.masked.load %{{.*}}, %[[IN]], %[[FIRST]]
  // CHECK-NOT: llvm.intr.masked.gather
  tile.kernel grid [] {
    tile.nest par [%j = %c0 to %x] red [%r = %c0 to %z] {
      %p = arith.subi %j, %r : i64
      %at = arith.maxsi %p, %c0 : i64
      %v = tile.load %u[%at] : !tile.buf<f32, 1>
      %above = arith.cmpi sgt, %p, %c1 : i64
      %term = arith.select %above, %v, %zero : f32
      tile.yield %term : f32
    } combine [sum] finish(%j: i64, %acc: f32) {
      tile.store %acc, %y[%c0, %j] : !tile.buf<f32, 2>
    }
  }
}
