// A dim whose bounds show that it has one step at most is no choice for lanes: the sum runs along the contiguous dim.
// RUN: attn-opt %s --tile-to-vector --canonicalize --cse | FileCheck %s

// CHECK-LABEL: @kernel0
// CHECK-NOT: llvm.intr.masked.scatter
// CHECK: llvm.load %{{.*}} : !llvm.ptr -> vector<16xf32>
// CHECK-NOT: llvm.intr.masked.scatter
tile.program @p symbols ["n", "m", "t"] {
^bb0(%n: i64, %m: i64, %t: i64):
  %c0 = arith.constant 0 : i64
  %c64 = arith.constant 64 : i64
  %x = tile.arg input 0 "x" : !tile.buf<f32, 1>
  %o = tile.alloc [%t, %c64] : !tile.buf<f32, 2>
  %w = tile.alloc [%c64, %c64] : !tile.buf<f32, 2>
  tile.kernel grid [] {
    %there = arith.cmpi slt, %n, %t : i64
    %one = arith.extui %there : i1 to i64
    tile.nest par [%i = %c0 to %one, %j = %c0 to %c64] red [%r = %c0 to %c64] {
      %a = tile.load %w[%r, %j] : !tile.buf<f32, 2>
      %b = tile.load %x[%r] : !tile.buf<f32, 1>
      %c = arith.mulf %a, %b : f32
      tile.yield %c : f32
    } combine [sum] finish(%i: i64, %j: i64, %acc: f32) {
      tile.store %acc, %o[%n, %j] : !tile.buf<f32, 2>
    }
  }
}
