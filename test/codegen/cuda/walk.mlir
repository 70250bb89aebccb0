// RUN: attn-opt %s -split-input-file -tile-to-gpu -cse | FileCheck %s

// Points of two dims: positions are divided out once and then counted. Rows read along the red dim are shared by eight
// threads, the f32s of a sector.
// CHECK-LABEL: gpu.func @scores_0
// CHECK: %[[LEAST:.*]] = arith.constant 8 : i64
// CHECK: %[[SHARE:.*]] = func.call @group_size_i64_i64_i64(%{{.*}}, %{{.*}}, %[[LEAST]])
// CHECK: %[[GROUP:.*]] = func.call @div_share_i64_i64(%{{.*}}, %[[SHARE]])
// CHECK: scf.for {{.*}} iter_args(%[[I:.*]] = %{{.*}}, %[[J:.*]] = %{{.*}}) -> (i64, i64)
// CHECK-NOT: div_small
// CHECK: %[[SUM:.*]] = arith.addi %[[J]]
// CHECK: %[[WITHIN:.*]] = arith.cmpi slt, %[[SUM]]
// CHECK: arith.select %[[WITHIN]], %[[SUM]]
// CHECK: scf.yield
// CHECK-NOT: attnc.rolled
tile.program @scores symbols ["N"] {
^bb0(%N: i64):
  %q = tile.arg input 0 "q" : !tile.buf<f32, 2>
  %k = tile.arg input 1 "k" : !tile.buf<f32, 2>
  %s = tile.arg output 0 "s" : !tile.buf<f32, 2>
  %c0 = arith.constant 0 : i64
  %c64 = arith.constant 64 : i64
  tile.kernel grid [] {
    tile.nest par [%i = %c0 to %N, %j = %c0 to %N] red [%d = %c0 to %c64] {
      %a = tile.load %q[%i, %d] : !tile.buf<f32, 2>
      %b = tile.load %k[%j, %d] : !tile.buf<f32, 2>
      %p = arith.mulf %a, %b : f32
      tile.yield %p : f32
    } combine [sum] finish(%i: i64, %j: i64, %acc: f32) {
      tile.store %acc, %s[%i, %j] : !tile.buf<f32, 2>
    }
  }
}

// -----

// Read across the red dim, neighbouring threads have neighbouring elements already.
// CHECK-LABEL: gpu.func @values_0
// CHECK: %[[LEAST:.*]] = arith.constant 1 : i64
// CHECK: func.call @group_size_i64_i64_i64(%{{.*}}, %{{.*}}, %[[LEAST]])
tile.program @values symbols ["N"] {
^bb0(%N: i64):
  %v = tile.arg input 0 "v" : !tile.buf<f32, 2>
  %o = tile.arg output 0 "o" : !tile.buf<f32, 1>
  %c0 = arith.constant 0 : i64
  %c64 = arith.constant 64 : i64
  tile.kernel grid [] {
    tile.nest par [%e = %c0 to %c64] red [%j = %c0 to %N] {
      %a = tile.load %v[%j, %e] : !tile.buf<f32, 2>
      tile.yield %a : f32
    } combine [sum] finish(%e: i64, %acc: f32) {
      tile.store %acc, %o[%e] : !tile.buf<f32, 1>
    }
  }
}

// -----

// In a kernel of many nests loops are not unrolled, nothing that a nest needs is computed ahead, and positions are divided
// out for each point, which takes a third of the text of counting.
// CHECK-LABEL: gpu.func @many_0
// CHECK-SAME: attnc.rolled
// CHECK-COUNT-9: func.call @here_i64
// CHECK: scf.for %[[P:.*]] = {{.*}} {
// CHECK: %[[ROW:.*]] = func.call @div_point_i64_i64(%[[P]], %[[N:.*]]) :
// CHECK-NEXT: %[[ROWS:.*]] = arith.muli %[[ROW]], %[[N]]
// CHECK-NEXT: %[[COLUMN:.*]] = arith.subi %[[P]], %[[ROWS]]
// CHECK: memref.store %[[COLUMN]]
tile.program @many symbols ["N"] {
^bb0(%N: i64):
  %x = tile.arg output 0 "x" : !tile.buf<i64, 1>
  %c0 = arith.constant 0 : i64
  tile.kernel grid [] {
    tile.nest par [%i = %c0 to %N] {
      tile.store %i, %x[%i] : !tile.buf<i64, 1>
    }
    tile.nest par [%i = %c0 to %N] {
      tile.store %i, %x[%i] : !tile.buf<i64, 1>
    }
    tile.nest par [%i = %c0 to %N] {
      tile.store %i, %x[%i] : !tile.buf<i64, 1>
    }
    tile.nest par [%i = %c0 to %N] {
      tile.store %i, %x[%i] : !tile.buf<i64, 1>
    }
    tile.nest par [%i = %c0 to %N] {
      tile.store %i, %x[%i] : !tile.buf<i64, 1>
    }
    tile.nest par [%i = %c0 to %N] {
      tile.store %i, %x[%i] : !tile.buf<i64, 1>
    }
    tile.nest par [%i = %c0 to %N] {
      tile.store %i, %x[%i] : !tile.buf<i64, 1>
    }
    tile.nest par [%i = %c0 to %N] {
      tile.store %i, %x[%i] : !tile.buf<i64, 1>
    }
    tile.nest par [%i = %c0 to %N, %j = %c0 to %N] {
      tile.store %j, %x[%i] : !tile.buf<i64, 1>
    }
  }
}
