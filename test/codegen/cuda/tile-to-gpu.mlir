// RUN: attn-opt %s -tile-to-gpu -cse | FileCheck %s
// Points are dealt to the threads; a sum is shared by a group of threads; barriers follow every nest; scratch of few bytes is
// shared memory. The program calls what it launches.

// CHECK: tile.program @rows
// CHECK: call @rows_0(%{{.*}}, %{{.*}}, %N, %x, %y)
// CHECK: func.func private @rows_0(i64, i64, i64, !tile.buf<f16, 2>, !tile.buf<f32, 1>) attributes {attnc.threads = 256 : i64}
// CHECK: gpu.module @device
// CHECK: gpu.func @rows_0
// CHECK-SAME: workgroup(%[[S:.*]] : memref<4xf32, #gpu.address_space<workgroup>>)
// CHECK: gpu.block_id
// CHECK: scf.for
// CHECK: %[[G:.*]] = func.call @group_size_i64_i64_i64
// CHECK: scf.for
// CHECK: scf.if
// CHECK: scf.for {{.*}} iter_args
// CHECK: memref.load {{.*}} : memref<?xf16>
// CHECK: arith.extf
// CHECK: func.call @group_sum_f32_i64(%{{.*}}, %[[G]])
// CHECK: scf.if
// CHECK: memref.store %{{.*}}, %[[S]]
// CHECK: gpu.barrier
// No more points than threads: no loop.
// CHECK: scf.if
// CHECK: memref.load %[[S]]
// CHECK: memref.store {{.*}} : memref<?xf32>
// CHECK: gpu.barrier
tile.program @rows symbols ["N"] {
^bb0(%N: i64):
  %x = tile.arg input 0 "x" : !tile.buf<f16, 2>
  %y = tile.arg output 0 "y" : !tile.buf<f32, 1>
  %c0 = arith.constant 0 : i64
  %c4 = arith.constant 4 : i64
  tile.kernel grid [%g = %N] {
    %s = tile.alloc [%c4] : !tile.buf<f32, 1>
    tile.nest par [%i = %c0 to %c4] red [%r = %c0 to %N] {
      %v = tile.load %x[%g, %r] : !tile.buf<f16, 2>
      tile.yield %v : f32
    } combine [sum] finish(%i: i64, %acc: f32) {
      tile.store %acc, %s[%i] : !tile.buf<f32, 1>
    }
    tile.nest par [%i = %c0 to %c4] {
      %v = tile.load %s[%i] : !tile.buf<f32, 1>
      tile.store %v, %y[%g] : !tile.buf<f32, 1>
    }
  }
}
