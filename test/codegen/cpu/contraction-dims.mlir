// Which dims are blocked: rows and columns that fill the tiles, whatever the order of the dims.
// RUN: attn-opt %s --tile-to-vector --canonicalize --cse | FileCheck %s

// Blocks of 64 rows, once per each of at most 17 others, which would leave much of three tiles of 8 rows empty.
// Results are stored along the 17: they would leave much of a panel of 32 columns empty, so columns run along the 64
// which B has next to each other.
// CHECK-LABEL: internal @kernel2
// CHECK: scf.for %{{.+}} = %c0_i64 to %{{.+}} step %c1_i64
// CHECK-NEXT: scf.for %{{.+}} = %{{.+}} to %{{.+}} step %c128_i64
// CHECK: scf.for %{{.+}} = %c0_i64 to %c768_i64 step %c128_i64
// CHECK: scf.for %{{.+}} = %c0_i64 to %c64_i64 step %c32_i64
tile.program @p symbols ["m", "u"] {
^bb0(%m: i64, %u: i64):
  %c0 = arith.constant 0 : i64
  %c17 = arith.constant 17 : i64
  %c63 = arith.constant 63 : i64
  %c64 = arith.constant 64 : i64
  %c768 = arith.constant 768 : i64
  %a = tile.arg input 0 "a" : !tile.buf<f32, 3>
  %b = tile.arg input 1 "b" : !tile.buf<f32, 2>
  %o = tile.arg output 0 "o" : !tile.buf<f32, 3>
  %up = arith.addi %m, %c63 : i64
  %blocks = arith.divsi %up, %c64 : i64
  %least = arith.minsi %u, %c17 : i64
  tile.kernel grid [%g = %blocks] {
    %lo = arith.muli %g, %c64 : i64
    %next = arith.addi %lo, %c64 : i64
    %hi = arith.minsi %next, %m : i64
    tile.nest par [%i = %lo to %hi, %d = %c0 to %c64, %j = %c0 to %least] red [%r = %c0 to %c768] {
      %x = tile.load %a[%i, %j, %r] : !tile.buf<f32, 3>
      %y = tile.load %b[%r, %d] : !tile.buf<f32, 2>
      %p = arith.mulf %x, %y : f32
      tile.yield %p : f32
    } combine [sum] finish(%i: i64, %d: i64, %j: i64, %acc: f32) {
      tile.store %acc, %o[%i, %d, %j] : !tile.buf<f32, 3>
    }
  }
}
