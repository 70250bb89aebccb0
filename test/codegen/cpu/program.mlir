// A program becomes entry points and one function per kernel; what a kernel uses from outside is passed in an array.
// RUN: attn-opt %s --tile-to-vector=vectorise=false | FileCheck %s

// CHECK-LABEL: llvm.func @workspace_bytes(%{{.*}}: !llvm.ptr) -> i64
// CHECK: llvm.intr.smul.with.overflow
// CHECK: llvm.intr.sadd.with.overflow

// CHECK-LABEL: llvm.func internal @kernel0(
// CHECK-SAME: %[[CTX:.*]]: !llvm.ptr, %[[BEGIN:.*]]: i64, %[[END:.*]]: i64, %[[SCRATCH:.*]]: !llvm.ptr, %[[DATA:.*]]: i64)
// CHECK: llvm.inttoptr %[[DATA]]
// CHECK: scf.for %{{.*}} = %[[BEGIN]] to %[[END]]
// CHECK:   llvm.load
// CHECK:   arith.mulf
// CHECK:   llvm.store

// CHECK-LABEL: llvm.func @run(%{{.*}}: !llvm.ptr)
// CHECK: llvm.mlir.addressof @kernel0
// CHECK: llvm.call
tile.program @p symbols ["n"] {
^bb0(%n: i64):
  %c0 = arith.constant 0 : i64
  %x = tile.arg input 0 "x" : !tile.buf<f32, 2>
  %w = tile.alloc [%n] : !tile.buf<f32, 1>
  tile.kernel grid [%g = %n] {
    tile.nest par [] {
      %a = tile.load %x[%g, %c0] : !tile.buf<f32, 2>
      %b = arith.mulf %a, %a : f32
      tile.store %b, %w[%g] : !tile.buf<f32, 1>
    }
  }
}
