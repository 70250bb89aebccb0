// RUN: attn-opt %s -tile-to-gpu -cse | FileCheck %s
// Where the buffers of a kernel lie in its scratch memory, and their strides, are arguments that the host computes: in a
// kernel of many buffers they would hold registers all through it. Equal strides are one argument.

// CHECK: %[[N:.*]] = arith.maxsi %N, %c1_i64
// CHECK: %[[NN:.*]] = arith.muli %[[N]], %[[N]]
// CHECK: %[[AT:.*]] = arith.muli %{{.*}}, %c64_i64
// CHECK: call @rows_0(%{{.*}}, %{{.*}}, %N, %y, %[[N]], %[[AT]], %[[NN]])
// CHECK: gpu.func @rows_0
// CHECK: %[[BEGIN:.*]] = arith.muli %{{.*}}, %arg2
// CHECK-NOT: arith.maxsi
// CHECK: memref.view
// CHECK: arith.addi %[[BEGIN]], %arg{{[0-9]+}}
// CHECK-NOT: arith.maxsi
// CHECK: memref.view
// CHECK: scf.for
tile.program @rows symbols ["N"] {
^bb0(%N: i64):
  %y = tile.arg output 0 "y" : !tile.buf<f32, 1>
  %c0 = arith.constant 0 : i64
  tile.kernel grid [%g = %N] {
    %s = tile.alloc [%N, %N] : !tile.buf<f32, 2>
    %t = tile.alloc [%N, %N, %N] : !tile.buf<f32, 3>
    tile.nest par [%i = %c0 to %N, %j = %c0 to %N] {
      %v = arith.constant 1.0 : f32
      tile.store %v, %s[%i, %j] : !tile.buf<f32, 2>
      tile.store %v, %t[%i, %i, %j] : !tile.buf<f32, 3>
    }
    tile.nest par [%i = %c0 to %N] {
      %v = tile.load %s[%i, %i] : !tile.buf<f32, 2>
      %w = tile.load %t[%i, %i, %i] : !tile.buf<f32, 3>
      %x = arith.addf %v, %w : f32
      tile.store %x, %y[%g] : !tile.buf<f32, 1>
    }
  }
}
