// The last dim runs in lanes, contiguous when the caller's strides say so; what does not move along it stays scalar and stands
// outside; the end is masked. With other strides this little work goes one position at a time.
// RUN: attn-opt %s --tile-to-vector --canonicalize --cse | FileCheck %s

// CHECK-LABEL: @kernel0
// CHECK: scf.if
// CHECK:   scf.for
// CHECK:     llvm.load %{{.*}} : !llvm.ptr -> f32
// CHECK:     scf.for
// CHECK:       llvm.load %{{.*}} : !llvm.ptr -> vector<16xf32>
// CHECK:       llvm.store %{{.*}} : vector<16xf32>
// CHECK:     scf.for
// CHECK:       llvm.intr.masked.load
// CHECK:       llvm.intr.masked.store
// CHECK:   } else {
// CHECK:     llvm.load %{{.*}} : !llvm.ptr -> f32
// CHECK:     llvm.store %{{.*}} : f32
tile.program @p symbols ["n", "m"] {
^bb0(%n: i64, %m: i64):
  %c0 = arith.constant 0 : i64
  %x = tile.arg input 0 "x" : !tile.buf<f32, 2>
  %s = tile.arg input 1 "s" : !tile.buf<f32, 1>
  %o = tile.arg output 0 "o" : !tile.buf<f32, 2>
  tile.kernel grid [] {
    tile.nest par [%i = %c0 to %n, %j = %c0 to %m] {
      %a = tile.load %x[%i, %j] : !tile.buf<f32, 2>
      %b = tile.load %s[%i] : !tile.buf<f32, 1>
      %c = arith.mulf %a, %b : f32
      tile.store %c, %o[%i, %j] : !tile.buf<f32, 2>
    }
  }
}
