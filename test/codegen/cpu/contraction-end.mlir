// Rows that finish reads and writes outside the kernel are fetched for each tile, with the first block of k: two lines of
// each of 8 rows, for reading and for writing.
// RUN: attn-opt %s --tile-to-vector --canonicalize --cse | FileCheck %s

// CHECK-LABEL: internal @tiles_f32
// CHECK-SAME: i1, %[[READ:arg[0-9]+]]: i1, %{{arg[0-9]+}}: !llvm.ptr, %{{arg[0-9]+}}: i64, %[[WRITE:arg[0-9]+]]: i1
// CHECK: scf.if %[[READ]] {
// CHECK: scf.for %{{.+}} = %c0_i64 to %c8_i64
// CHECK-COUNT-2: "llvm.intr.prefetch"(%{{.+}}) <{cache = 1 : i32, hint = 2 : i32, rw = 0 : i32}>
// CHECK: scf.if %[[WRITE]] {
// CHECK: scf.for %{{.+}} = %c0_i64 to %c8_i64
// CHECK-COUNT-2: "llvm.intr.prefetch"(%{{.+}}) <{cache = 1 : i32, hint = 2 : i32, rw = 1 : i32}>
// CHECK: %{{.+}}:16 = scf.for
// CHECK: llvm.call @tiles_f32{{[a-z_]*}}({{.*}}, %[[FIRST:[0-9]+]], %[[FIRST]], %[[O:[0-9]+]], %[[ROW:[0-9]+]], %[[FIRST]], %[[O]], %[[ROW]],
tile.program @p symbols ["m", "n", "k"] {
^bb0(%m: i64, %n: i64, %k: i64):
  %c0 = arith.constant 0 : i64
  %a = tile.arg input 0 "a" : !tile.buf<f32, 2>
  %b = tile.arg input 1 "b" : !tile.buf<f32, 2>
  %o = tile.arg output 0 "o" : !tile.buf<f32, 2>
  tile.kernel grid [] {
    tile.nest par [%i = %c0 to %m, %j = %c0 to %n] red [%r = %c0 to %k] {
      %x = tile.load %a[%i, %r] : !tile.buf<f32, 2>
      %y = tile.load %b[%r, %j] : !tile.buf<f32, 2>
      %p = arith.mulf %x, %y : f32
      tile.yield %p : f32
    } combine [sum] finish(%i: i64, %j: i64, %acc: f32) {
      %old = tile.load %o[%i, %j] : !tile.buf<f32, 2>
      %new = arith.addf %old, %acc : f32
      tile.store %new, %o[%i, %j] : !tile.buf<f32, 2>
    }
  }
}
