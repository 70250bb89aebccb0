// What is read along one dim and stored along another goes through a tile: rows of it in, transposed, rows of it out. Blocks
// that fill a tile are stored straight from registers, the others row by row under a mask.
// RUN: attn-opt %s --tile-to-vector --canonicalize --cse | FileCheck %s

// CHECK-LABEL: @transpose_f32_16(%{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr, %{{.*}}: i64)
// CHECK-COUNT-16: llvm.load
// CHECK-COUNT-64: vector.shuffle
// CHECK-COUNT-16: llvm.store
// CHECK-LABEL: @kernel0
// CHECK: %[[TILE:.+]] = llvm.alloca %c256_i64 x f32 {alignment = 64 : i64}
// CHECK: scf.for
// CHECK:   scf.for
// CHECK:     scf.for
// CHECK:       llvm.load %{{.*}} : !llvm.ptr -> vector<16xf32>
// CHECK:       llvm.store
// CHECK:     scf.if
// CHECK:       llvm.call @transpose_f32_16(%[[TILE]], %{{.*}}, %{{.*}})
// CHECK:     } else {
// CHECK:       llvm.call @transpose_f32_16(%[[TILE]], %[[TILE]], %c16_i64)
// CHECK:       scf.for
// CHECK:         llvm.load %{{.*}} : !llvm.ptr -> vector<16xf32>
// CHECK:         llvm.intr.masked.store
// CHECK:   scf.for
// CHECK:     scf.for
// CHECK:       llvm.intr.masked.load
tile.program @p symbols ["n", "m"] {
^bb0(%n: i64, %m: i64):
  %c0 = arith.constant 0 : i64
  %x = tile.arg input 0 "x" : !tile.buf<f32, 2>
  %o = tile.arg output 0 "o" : !tile.buf<f32, 2>
  tile.kernel grid [] {
    tile.nest par [%i = %c0 to %n, %j = %c0 to %m] {
      %a = tile.load %x[%i, %j] : !tile.buf<f32, 2>
      %b = arith.mulf %a, %a : f32
      tile.store %b, %o[%j, %i] : !tile.buf<f32, 2>
    }
  }
}
