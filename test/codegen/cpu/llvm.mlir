// The whole way ends in the LLVM dialect.
// RUN: attn-opt %s --tile-to-vector --cpu-expand-math --cpu-to-llvm | FileCheck %s

// CHECK-NOT: arith.
// CHECK-NOT: scf.
// CHECK-NOT: vector.
// CHECK: llvm.func @run
tile.program @p symbols ["n"] {
^bb0(%n: i64):
  %c0 = arith.constant 0 : i64
  %x = tile.arg input 0 "x" : !tile.buf<f32, 1>
  %o = tile.arg output 0 "o" : !tile.buf<f32, 1>
  tile.kernel grid [] {
    tile.nest par [] red [%i = %c0 to %n] {
      %a = tile.load %x[%i] : !tile.buf<f32, 1>
      tile.yield %a : f32
    } combine [max] finish(%acc: f32) {
      tile.store %acc, %o[%c0] : !tile.buf<f32, 1>
    }
  }
}
