// Positions that move with the lanes are compared in 32 bits: the number of the lane with how far the other side is
// ahead. So is what was read as i32.
// RUN: attn-opt %s --tile-to-vector --canonicalize --cse | FileCheck %s
// CHECK-LABEL: internal @kernel0
// CHECK:         arith.minui
// CHECK:         arith.cmpi sle, %{{.*}}, %{{.*}} : vector<16xi32>
// CHECK:         arith.cmpi eq, %{{.*}}, %{{.*}} : vector<16xi32>
// CHECK-LABEL: func @run
tile.program @compared symbols ["n"] {
^bb0(%n: i64):
  %c0 = arith.constant 0 : i64
  %zero = arith.constant 0.0 : f32
  %x = tile.arg input 0 "x" {rows} : !tile.buf<f32, 2>
  %doc = tile.arg input 1 "doc" {rows} : !tile.buf<i32, 1>
  %o = tile.arg output 0 "o" {rows} : !tile.buf<f32, 2>
  tile.kernel grid [] {
    tile.nest par [%j = %c0 to %n, %i = %c0 to %n] {
      %v = tile.load %x[%j, %i] : !tile.buf<f32, 2>
      %c = arith.cmpi sle, %j, %i : i64
      %d = tile.load %doc[%j] : !tile.buf<i32, 1>
      %e = tile.load %doc[%i] : !tile.buf<i32, 1>
      %same = arith.cmpi eq, %d, %e : i64
      %both = arith.andi %c, %same : i1
      %s = arith.select %both, %v, %zero : f32
      tile.store %s, %o[%j, %i] : !tile.buf<f32, 2>
    }
  }
}
