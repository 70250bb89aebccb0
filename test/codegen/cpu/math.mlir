// f32 functions become arithmetic, f64 functions calls through the helper table, bf16 conversions integer operations.
// RUN: attn-opt %s --tile-to-vector=vectorise=false --cpu-expand-math | FileCheck %s

// CHECK-LABEL: @kernel0
// CHECK-NOT: math.exp
// CHECK: math.fma
// CHECK-NOT: math.tanh
// CHECK: llvm.call %{{.*}}(%{{.*}}) : !llvm.ptr, (f64) -> f64
// CHECK-NOT: arith.truncf {{.*}} to bf16
// CHECK: arith.shrui
tile.program @p symbols [] {
  %c0 = arith.constant 0 : i64
  %x = tile.arg input 0 "x" : !tile.buf<f32, 1>
  %y = tile.arg input 1 "y" : !tile.buf<f64, 1>
  %o = tile.arg output 0 "o" : !tile.buf<bf16, 1>
  %p = tile.arg output 1 "p" : !tile.buf<f64, 1>
  tile.kernel grid [] {
    tile.nest par [] {
      %a = tile.load %x[%c0] : !tile.buf<f32, 1>
      %b = math.exp %a : f32
      %c = tile.load %y[%c0] : !tile.buf<f64, 1>
      %d = math.tanh %c : f64
      tile.store %d, %p[%c0] : !tile.buf<f64, 1>
      tile.store %b, %o[%c0] : !tile.buf<bf16, 1>
    }
  }
}
