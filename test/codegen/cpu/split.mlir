// A kernel of many nests in a loop: each becomes a function, the loop calls them in order. What is small stays as it is.
// RUN: attn-opt %s --tile-to-vector --cse --cpu-expand-math --cpu-split-functions | FileCheck %s

// CHECK-LABEL: llvm.func @workspace_bytes(
// CHECK-LABEL: llvm.func internal @kernel0(
// CHECK-NOT: llvm.call
// CHECK-LABEL: llvm.func internal @part0(
// CHECK: scf.for
// CHECK-LABEL: llvm.func internal @part7(
// CHECK-LABEL: llvm.func internal @kernel1(
// CHECK: scf.for
// CHECK: scf.for
// CHECK-NEXT: llvm.call @part0(
// CHECK: llvm.call @part1(
// CHECK: llvm.call @part7(
// CHECK-NOT: vector.
// CHECK-LABEL: llvm.func @run(
tile.program @steps symbols ["n", "m"] {
^bb0(%n: i64, %m: i64):
  %c0 = arith.constant 0 : i64
  %c1 = arith.constant 1 : i64
  %x = tile.alloc [%n, %m] : !tile.buf<f32, 2>
  tile.kernel grid [%g = %c1] {
    tile.nest par [%i = %c0 to %n, %j = %c0 to %m] {
      %a = tile.load %x[%i, %j] : !tile.buf<f32, 2>
      %b = math.exp %a : f32
      tile.store %b, %x[%i, %j] : !tile.buf<f32, 2>
    }
  }
  tile.kernel grid [%g = %c1] {
    tile.for %t = %c0 to %n step %c1 {
      tile.nest par [%i = %c0 to %n, %j = %c0 to %m] {
        %a = tile.load %x[%i, %j] : !tile.buf<f32, 2>
        %b = math.exp %a : f32
        %c = arith.addf %a, %b : f32
        tile.store %c, %x[%i, %j] : !tile.buf<f32, 2>
      }
      tile.nest par [%i = %c0 to %n, %j = %c0 to %m] {
        %a = tile.load %x[%i, %j] : !tile.buf<f32, 2>
        %b = math.tanh %a : f32
        %c = arith.addf %a, %b : f32
        tile.store %c, %x[%i, %j] : !tile.buf<f32, 2>
      }
      tile.nest par [%i = %c0 to %n, %j = %c0 to %m] {
        %a = tile.load %x[%i, %j] : !tile.buf<f32, 2>
        %b = math.log %a : f32
        %c = arith.addf %a, %b : f32
        tile.store %c, %x[%i, %j] : !tile.buf<f32, 2>
      }
      tile.nest par [%i = %c0 to %n, %j = %c0 to %m] {
        %a = tile.load %x[%i, %j] : !tile.buf<f32, 2>
        %b = math.sin %a : f32
        %c = arith.addf %a, %b : f32
        tile.store %c, %x[%i, %j] : !tile.buf<f32, 2>
      }
      tile.nest par [%i = %c0 to %n, %j = %c0 to %m] {
        %a = tile.load %x[%i, %j] : !tile.buf<f32, 2>
        %b = math.cos %a : f32
        %c = arith.addf %a, %b : f32
        tile.store %c, %x[%i, %j] : !tile.buf<f32, 2>
      }
      tile.nest par [%i = %c0 to %n, %j = %c0 to %m] {
        %a = tile.load %x[%i, %j] : !tile.buf<f32, 2>
        %b = math.erf %a : f32
        %c = arith.addf %a, %b : f32
        tile.store %c, %x[%i, %j] : !tile.buf<f32, 2>
      }
      tile.nest par [%i = %c0 to %n, %j = %c0 to %m] {
        %a = tile.load %x[%i, %j] : !tile.buf<f32, 2>
        %b = math.log1p %a : f32
        %c = arith.addf %a, %b : f32
        tile.store %c, %x[%i, %j] : !tile.buf<f32, 2>
      }
      tile.nest par [%i = %c0 to %n, %j = %c0 to %m] {
        %a = tile.load %x[%i, %j] : !tile.buf<f32, 2>
        %b = math.expm1 %a : f32
        %c = arith.addf %a, %b : f32
        tile.store %c, %x[%i, %j] : !tile.buf<f32, 2>
      }
    }
  }
}
