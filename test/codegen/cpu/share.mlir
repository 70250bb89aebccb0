// Two kernels that multiply matrices. The register tiles are a function that all contractions call: 16 FMAs for one k, once.
// The packing of B, which differs in nothing but memory, is compiled once as well.
// RUN: attn-opt %s --tile-to-vector --cse --cpu-expand-math --cpu-share-loops | FileCheck %s

// CHECK-LABEL: llvm.func internal @tiles_f32{{.*}}(
// CHECK-COUNT-16: math.fma %{{.*}} : vector<16xf32>
// CHECK-NOT: math.fma %{{.*}} : vector<16xf32>
// CHECK-LABEL: llvm.func internal @loops0(
// CHECK-LABEL: llvm.func internal @kernel0(
// CHECK: llvm.call @[[LOOPS:loops[0-9]+]](
// CHECK-NOT: math.fma %{{.*}} : vector<16xf32>
// CHECK-LABEL: llvm.func internal @kernel1(
// CHECK: llvm.call @[[LOOPS]](
// CHECK-NOT: math.fma %{{.*}} : vector<16xf32>
// CHECK-LABEL: llvm.func @run(
tile.program @two symbols ["n"] {
^bb0(%n: i64):
  %c0 = arith.constant 0 : i64
  %c1 = arith.constant 1 : i64
  %x = tile.arg input 0 "x" : !tile.buf<f32, 2>
  %y = tile.arg input 1 "y" : !tile.buf<f32, 2>
  %w = tile.arg input 2 "w" : !tile.buf<f32, 2>
  %z = tile.arg output 0 "z" : !tile.buf<f32, 2>
  %u = tile.arg output 1 "u" : !tile.buf<f32, 2>
  tile.kernel grid [%g = %c1] {
    tile.nest par [%i = %c0 to %n, %j = %c0 to %n] red [%k = %c0 to %n] {
      %a = tile.load %x[%i, %k] : !tile.buf<f32, 2>
      %b = tile.load %y[%k, %j] : !tile.buf<f32, 2>
      %p = arith.mulf %a, %b : f32
      tile.yield %p : f32
    } combine [sum] finish(%i: i64, %j: i64, %sum: f32) {
      tile.store %sum, %u[%i, %j] : !tile.buf<f32, 2>
    }
  }
  tile.kernel grid [%g = %c1] {
    tile.nest par [%i = %c0 to %n, %j = %c0 to %n] red [%k = %c0 to %n] {
      %a = tile.load %w[%i, %k] : !tile.buf<f32, 2>
      %b = tile.load %y[%k, %j] : !tile.buf<f32, 2>
      %p = arith.mulf %a, %b : f32
      tile.yield %p : f32
    } combine [sum] finish(%i: i64, %j: i64, %sum: f32) {
      %t = math.absf %sum : f32
      tile.store %t, %z[%i, %j] : !tile.buf<f32, 2>
    }
  }
}
