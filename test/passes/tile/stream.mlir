// Nests over an axis run block by block in one loop, with a running maximum.
// RUN: attn-opt %s --pass-pipeline='builtin.module(tile.program(tile-stream))' | FileCheck %s

// CHECK-LABEL: tile.program @attention
// CHECK: tile.kernel
// CHECK-NOT: tile.alloc [%{{.+}}, %M]
// CHECK-DAG: %[[W:.+]] = tile.alloc [%c128_i64, %c64_i64{{.*}}] {name = "w"} : <f32, 2>
// CHECK-DAG: %[[REF:.+]] = tile.alloc [%c64_i64{{.*}}] {name = "reference"} : <f32, 1>
// CHECK-DAG: %[[REF2:.+]] = tile.alloc [%c64_i64{{.*}}] {name = "reference2"} : <f32, 1>
// CHECK: %[[SUM:.+]] = tile.alloc [%c64_i64{{.*}}] {name = "block"} : <f32, 1>
// CHECK: %[[STALE:.+]] = tile.alloc [] {name = "stale", over_rows} : <i1, 0>
// CHECK: tile.for %[[AT:.+]] = %{{.+}} to %M
// Weights where the scores are made, rows last in memory; a NaN is a weight out of range.
// CHECK: %[[DO:.+]] = tile.load %[[STALE]][]
// CHECK: %[[TIMES:.+]] = arith.select %[[DO]], %c1
// CHECK: tile.for %{{.+}} = %{{.+}} to %[[TIMES]]
// CHECK: combine [sum] finish(%{{.+}}: i64, %{{.+}}: i64, %[[ACC:.+]]: f32)
// CHECK: %[[R:.+]] = tile.load %[[REF2]]
// CHECK: %[[S:.+]] = arith.mulf %[[ACC]],
// CHECK: %[[X:.+]] = arith.subf %[[S]], %[[R]]
// CHECK: %[[LESS:.+]] = arith.cmpf olt, %[[X]], %[[MOST:.+]] : f32
// CHECK: arith.select %[[LESS]], %[[X]], %[[MOST]]
// CHECK: math.exp2 %{{.+}} fastmath<nnan,afn>
// CHECK: tile.store %{{.+}}, %[[W]][%{{.+}}, %{{.+}}]
// Their sum says whether that will do.
// CHECK: combine [sum] finish(%{{.+}}: i64, %{{.+}}: f32)
// CHECK: tile.store %{{.+}}, %[[SUM]]
// CHECK: arith.cmpf oge
// CHECK: arith.cmpf ole
// CHECK: combine [all]
// CHECK: tile.store %{{.+}}, %[[STALE]][]
// CHECK: }
// If not, the block is done again below its own maximum.
// CHECK: %[[DID:.+]] = tile.load %[[STALE]][]
// CHECK: %[[AGAIN:.+]] = arith.select %[[DID]], %c0
// CHECK: tile.for %{{.+}} = %{{.+}} to %[[AGAIN]]
// CHECK: combine [max] finish
// CHECK: tile.store %{{.+}}, %[[REF]]
// CHECK: tile.store %{{.+}}, %[[REF2]]
// CHECK: } {rare}
// CHECK: math.exp %{{.+}} fastmath<afn>
// CHECK: combine [all]
// CHECK: tile.store %{{.+}}, %[[STALE]][]
// CHECK: }
// Sums need no correction.
// CHECK: combine [sum] finish(%{{.+}}: i64, %{{.+}}: i64, %[[PV:.+]]: f32)
// CHECK-NOT: arith.mulf
// CHECK: arith.addf %{{.+}}, %[[PV]]
// What stood at the end of the sums comes after the loop.
// CHECK: }
// CHECK: arith.divf
// CHECK: tile.store %{{.+}}, %o
tile.program @attention symbols ["N", "M", "d", "e"] {
^bb0(%N: i64, %M: i64, %d: i64, %e: i64):
  %q = tile.arg input 0 "q" : !tile.buf<f32, 2>
  %k = tile.arg input 1 "k" : !tile.buf<f32, 2>
  %v = tile.arg input 2 "v" : !tile.buf<f32, 2>
  %o = tile.arg output 0 "o" : !tile.buf<f32, 2>
  %c0 = arith.constant 0 : i64
  %c63 = arith.constant 63 : i64
  %c64 = arith.constant 64 : i64
  %zero = arith.constant 0.0 : f32
  %lowest = arith.constant 0xFF800000 : f32
  %up = arith.addi %N, %c63 : i64
  %blocks = arith.divsi %up, %c64 : i64
  tile.kernel grid [%g = %blocks] {
    %m = tile.alloc [%c64] {name = "max"} : !tile.buf<f32, 1>
    %w = tile.alloc [%c64, %M] {name = "w"} : !tile.buf<f32, 2>
    %z = tile.alloc [%c64] {name = "z"} : !tile.buf<f32, 1>
    %i0 = arith.muli %g, %c64 : i64
    %i2 = arith.addi %i0, %c64 : i64
    %i1 = arith.minsi %i2, %N : i64
    tile.nest par [%i = %i0 to %i1, %j = %c0 to %M] red [%r = %c0 to %d] {
      %a = tile.load %q[%i, %r] : !tile.buf<f32, 2>
      %b = tile.load %k[%j, %r] : !tile.buf<f32, 2>
      %p = arith.mulf %a, %b : f32
      tile.yield %p : f32
    } combine [sum] finish(%i: i64, %j: i64, %s: f32) {
      %p = arith.subi %i, %i0 : i64
      tile.store %s, %w[%p, %j] : !tile.buf<f32, 2>
    }
    tile.nest par [%i = %i0 to %i1] red [%j = %c0 to %M] {
      %p = arith.subi %i, %i0 : i64
      %s = tile.load %w[%p, %j] : !tile.buf<f32, 2>
      tile.yield %s : f32
    } combine [max] finish(%i: i64, %s: f32) {
      %p = arith.subi %i, %i0 : i64
      tile.store %s, %m[%p] : !tile.buf<f32, 1>
    }
    tile.nest par [%i = %i0 to %i1, %j = %c0 to %M] {
      %p = arith.subi %i, %i0 : i64
      %s = tile.load %w[%p, %j] : !tile.buf<f32, 2>
      %top = tile.load %m[%p] : !tile.buf<f32, 1>
      %none = arith.cmpf oeq, %top, %lowest : f32
      %by = arith.select %none, %zero, %top : f32
      %t = arith.subf %s, %by : f32
      %x = math.exp %t : f32
      tile.store %x, %w[%p, %j] : !tile.buf<f32, 2>
    }
    tile.nest par [%i = %i0 to %i1] red [%j = %c0 to %M] {
      %p = arith.subi %i, %i0 : i64
      %s = tile.load %w[%p, %j] : !tile.buf<f32, 2>
      tile.yield %s : f32
    } combine [sum] finish(%i: i64, %s: f32) {
      %p = arith.subi %i, %i0 : i64
      tile.store %s, %z[%p] : !tile.buf<f32, 1>
    }
    tile.nest par [%i = %i0 to %i1, %f = %c0 to %e] red [%j = %c0 to %M] {
      %p = arith.subi %i, %i0 : i64
      %s = tile.load %w[%p, %j] : !tile.buf<f32, 2>
      %b = tile.load %v[%j, %f] : !tile.buf<f32, 2>
      %y = arith.mulf %s, %b : f32
      tile.yield %y : f32
    } combine [sum] finish(%i: i64, %f: i64, %s: f32) {
      %p = arith.subi %i, %i0 : i64
      %by = tile.load %z[%p] : !tile.buf<f32, 1>
      %y = arith.divf %s, %by : f32
      tile.store %y, %o[%i, %f] : !tile.buf<f32, 2>
    }
  }
}

// Where the maximum itself is wanted, it is kept in every block.
// CHECK-LABEL: tile.program @seen
// CHECK: tile.kernel
// CHECK-NOT: tile.alloc [%{{.+}}, %M]
// CHECK-DAG: %[[W:.+]] = tile.alloc [%c128_i64, %c64_i64{{.*}}] {name = "w"} : <f32, 2>
// CHECK-DAG: %[[MAX:.+]] = tile.alloc [%c64_i64{{.*}}] {name = "max"} : <f32, 1>
// CHECK-DAG: %[[C:.+]] = tile.alloc [%c64_i64{{.*}}] {name = "correction"} : <f32, 1>
// CHECK-DAG: %[[REF:.+]] = tile.alloc [%c64_i64{{.*}}] {name = "reference"} : <f32, 1>
// CHECK: tile.for %[[AT:.+]] = %{{.+}} to %M
// The scores of a block, rows last in memory.
// CHECK: tile.nest par [%{{.+}}, %{{.+}} = %{{.+}} to %{{.+}}] red [
// CHECK: tile.store %{{.+}}, %[[W]][%{{.+}}, %{{.+}}]
// CHECK: combine [max] finish
// CHECK: %[[OLD:.+]] = tile.load %[[MAX]]
// CHECK: %[[NOW:.+]] = arith.maximumf %[[OLD]],
// CHECK: %[[BY:.+]] = arith.subf %[[OLD]], %[[NOW]]
// CHECK: math.exp %[[BY]] fastmath<afn>
// CHECK: tile.store %[[NOW]], %[[MAX]]
// CHECK: tile.store %{{.+}}, %[[REF]]
// CHECK: tile.store %{{.+}}, %[[C]]
// What a weight is below is kept beside the maximum.
// CHECK: tile.load %[[REF]]
// CHECK-NOT: arith.select
// CHECK: math.exp %{{.+}} fastmath<afn>
// CHECK: combine [sum] finish(%{{.+}}: i64, %[[SUM:.+]]: f32)
// CHECK: tile.load %[[C]]
// CHECK: arith.mulf
// CHECK: arith.addf %{{.+}}, %[[SUM]]
// CHECK: combine [sum] finish(%{{.+}}: i64, %{{.+}}: i64, %[[ACC:.+]]: f32)
// CHECK: tile.load %[[C]]
// CHECK: arith.addf %{{.+}}, %[[ACC]]
// What stood at the end of the sums comes after the loop.
// CHECK: }
// CHECK: arith.divf
// CHECK: tile.store %{{.+}}, %o
tile.program @seen symbols ["N", "M", "d", "e"] {
^bb0(%N: i64, %M: i64, %d: i64, %e: i64):
  %q = tile.arg input 0 "q" : !tile.buf<f32, 2>
  %k = tile.arg input 1 "k" : !tile.buf<f32, 2>
  %v = tile.arg input 2 "v" : !tile.buf<f32, 2>
  %o = tile.arg output 0 "o" : !tile.buf<f32, 2>
  %c0 = arith.constant 0 : i64
  %c63 = arith.constant 63 : i64
  %c64 = arith.constant 64 : i64
  %zero = arith.constant 0.0 : f32
  %lowest = arith.constant 0xFF800000 : f32
  %up = arith.addi %N, %c63 : i64
  %blocks = arith.divsi %up, %c64 : i64
  tile.kernel grid [%g = %blocks] {
    %m = tile.alloc [%c64] {name = "max"} : !tile.buf<f32, 1>
    %w = tile.alloc [%c64, %M] {name = "w"} : !tile.buf<f32, 2>
    %z = tile.alloc [%c64] {name = "z"} : !tile.buf<f32, 1>
    %i0 = arith.muli %g, %c64 : i64
    %i2 = arith.addi %i0, %c64 : i64
    %i1 = arith.minsi %i2, %N : i64
    tile.nest par [%i = %i0 to %i1, %j = %c0 to %M] red [%r = %c0 to %d] {
      %a = tile.load %q[%i, %r] : !tile.buf<f32, 2>
      %b = tile.load %k[%j, %r] : !tile.buf<f32, 2>
      %p = arith.mulf %a, %b : f32
      tile.yield %p : f32
    } combine [sum] finish(%i: i64, %j: i64, %s: f32) {
      %p = arith.subi %i, %i0 : i64
      tile.store %s, %w[%p, %j] : !tile.buf<f32, 2>
    }
    tile.nest par [%i = %i0 to %i1] red [%j = %c0 to %M] {
      %p = arith.subi %i, %i0 : i64
      %s = tile.load %w[%p, %j] : !tile.buf<f32, 2>
      tile.yield %s : f32
    } combine [max] finish(%i: i64, %s: f32) {
      %p = arith.subi %i, %i0 : i64
      tile.store %s, %m[%p] : !tile.buf<f32, 1>
    }
    tile.nest par [%i = %i0 to %i1, %j = %c0 to %M] {
      %p = arith.subi %i, %i0 : i64
      %s = tile.load %w[%p, %j] : !tile.buf<f32, 2>
      %top = tile.load %m[%p] : !tile.buf<f32, 1>
      %none = arith.cmpf oeq, %top, %lowest : f32
      %by = arith.select %none, %zero, %top : f32
      %t = arith.subf %s, %by : f32
      %x = math.exp %t : f32
      tile.store %x, %w[%p, %j] : !tile.buf<f32, 2>
    }
    tile.nest par [%i = %i0 to %i1] red [%j = %c0 to %M] {
      %p = arith.subi %i, %i0 : i64
      %s = tile.load %w[%p, %j] : !tile.buf<f32, 2>
      tile.yield %s : f32
    } combine [sum] finish(%i: i64, %s: f32) {
      %p = arith.subi %i, %i0 : i64
      tile.store %s, %z[%p] : !tile.buf<f32, 1>
    }
    tile.nest par [%i = %i0 to %i1, %f = %c0 to %e] red [%j = %c0 to %M] {
      %p = arith.subi %i, %i0 : i64
      %s = tile.load %w[%p, %j] : !tile.buf<f32, 2>
      %b = tile.load %v[%j, %f] : !tile.buf<f32, 2>
      %y = arith.mulf %s, %b : f32
      tile.yield %y : f32
    } combine [sum] finish(%i: i64, %f: i64, %s: f32) {
      %p = arith.subi %i, %i0 : i64
      %by = tile.load %z[%p] : !tile.buf<f32, 1>
      %x = arith.divf %s, %by : f32
      %top = tile.load %m[%p] : !tile.buf<f32, 1>
      %y = arith.addf %x, %top : f32
      tile.store %y, %o[%i, %f] : !tile.buf<f32, 2>
    }
  }
}

// A weight that needs the whole sum before it is used; the square of a weight, of the second degree; fewer rows than pay.
// CHECK-LABEL: tile.program @stays
// CHECK-NOT: tile.for
tile.program @stays symbols ["N", "M"] {
^bb0(%N: i64, %M: i64):
  %x = tile.arg input 0 "x" : !tile.buf<f32, 2>
  %o = tile.arg output 0 "o" : !tile.buf<f32, 1>
  %c0 = arith.constant 0 : i64
  %c4 = arith.constant 4 : i64
  %c64 = arith.constant 64 : i64
  tile.kernel grid [%g = %N] {
    %w = tile.alloc [%c64, %M] : !tile.buf<f32, 2>
    %z = tile.alloc [%c64] : !tile.buf<f32, 1>
    tile.nest par [%i = %c0 to %c64, %j = %c0 to %M] {
      %s = tile.load %x[%i, %j] : !tile.buf<f32, 2>
      tile.store %s, %w[%i, %j] : !tile.buf<f32, 2>
    }
    tile.nest par [%i = %c0 to %c64] red [%j = %c0 to %M] {
      %s = tile.load %w[%i, %j] : !tile.buf<f32, 2>
      tile.yield %s : f32
    } combine [sum] finish(%i: i64, %s: f32) {
      tile.store %s, %z[%i] : !tile.buf<f32, 1>
    }
    tile.nest par [%i = %c0 to %c64] red [%j = %c0 to %M] {
      %s = tile.load %w[%i, %j] : !tile.buf<f32, 2>
      %by = tile.load %z[%i] : !tile.buf<f32, 1>
      %y = arith.divf %s, %by : f32
      tile.yield %y : f32
    } combine [max] finish(%i: i64, %s: f32) {
      tile.store %s, %o[%i] : !tile.buf<f32, 1>
    }
  }
  tile.kernel grid [%g = %N] {
    %w = tile.alloc [%c64, %M] : !tile.buf<f32, 2>
    %m = tile.alloc [%c64] : !tile.buf<f32, 1>
    tile.nest par [%i = %c0 to %c64, %j = %c0 to %M] {
      %s = tile.load %x[%i, %j] : !tile.buf<f32, 2>
      tile.store %s, %w[%i, %j] : !tile.buf<f32, 2>
    }
    tile.nest par [%i = %c0 to %c64] red [%j = %c0 to %M] {
      %s = tile.load %w[%i, %j] : !tile.buf<f32, 2>
      tile.yield %s : f32
    } combine [max] finish(%i: i64, %s: f32) {
      tile.store %s, %m[%i] : !tile.buf<f32, 1>
    }
    tile.nest par [%i = %c0 to %c64] red [%j = %c0 to %M] {
      %s = tile.load %w[%i, %j] : !tile.buf<f32, 2>
      %by = tile.load %m[%i] : !tile.buf<f32, 1>
      %t = arith.subf %s, %by : f32
      %e = math.exp %t : f32
      %y = arith.mulf %e, %e : f32
      tile.yield %y : f32
    } combine [sum] finish(%i: i64, %s: f32) {
      tile.store %s, %o[%i] : !tile.buf<f32, 1>
    }
  }
  tile.kernel grid [%g = %N] {
    %w = tile.alloc [%c4, %M] : !tile.buf<f32, 2>
    tile.nest par [%i = %c0 to %c4, %j = %c0 to %M] {
      %s = tile.load %x[%i, %j] : !tile.buf<f32, 2>
      tile.store %s, %w[%i, %j] : !tile.buf<f32, 2>
    }
    tile.nest par [%i = %c0 to %c4] red [%j = %c0 to %M] {
      %s = tile.load %w[%i, %j] : !tile.buf<f32, 2>
      tile.yield %s : f32
    } combine [sum] finish(%i: i64, %s: f32) {
      tile.store %s, %o[%i] : !tile.buf<f32, 1>
    }
  }
}
