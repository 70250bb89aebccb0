// An operand that several instances or rounds of a kernel would pack is packed before it, in a kernel of its own.
// RUN: attn-opt %s --split-input-file --tile-to-vector --canonicalize --cse | FileCheck %s

// B is the same for every block of rows. Where there is only one block it is packed in place, so both ways are there.
// It is packed along what is nearer in memory, which the caller's strides say: a few rows of memory at a time, fetched
// ahead, by the first kernel or the second.
// CHECK-LABEL: internal @kernel0
// CHECK:         llvm.intr.prefetch
// CHECK-NOT:     llvm.call @tiles
// CHECK-LABEL: internal @kernel1
// CHECK-NOT:     llvm.call @tiles
// CHECK-LABEL: internal @kernel2
// CHECK:         llvm.call @tiles
// CHECK-LABEL: func @run
// CHECK:         %[[NEARER:.*]] = arith.cmpi slt
// CHECK:         arith.select %[[NEARER]], %{{.*}}, %c0_i64
// CHECK:         llvm.call
// CHECK:         arith.select %[[NEARER]], %c0_i64, %{{.*}}
// CHECK:         llvm.call
// CHECK:         llvm.call
tile.program @shared symbols ["m", "n", "k"] {
^bb0(%m: i64, %n: i64, %k: i64):
  %c0 = arith.constant 0 : i64
  %c6 = arith.constant 6 : i64
  %c63 = arith.constant 63 : i64
  %c64 = arith.constant 64 : i64
  %a = tile.arg input 0 "a" : !tile.buf<f32, 2>
  %b = tile.arg input 1 "b" : !tile.buf<f32, 2>
  %o = tile.arg output 0 "o" : !tile.buf<f32, 2>
  %up = arith.addi %m, %c63 : i64
  %blocks = arith.shrsi %up, %c6 : i64
  tile.kernel grid [%g = %blocks] {
    %lo = arith.muli %g, %c64 : i64
    %next = arith.addi %lo, %c64 : i64
    %hi = arith.minsi %next, %m : i64
    tile.nest par [%i = %lo to %hi, %j = %c0 to %n] red [%r = %c0 to %k] {
      %x = tile.load %a[%i, %r] : !tile.buf<f32, 2>
      %y = tile.load %b[%r, %j] : !tile.buf<f32, 2>
      %p = arith.mulf %x, %y : f32
      tile.yield %p : f32
    } combine [sum] finish(%i: i64, %j: i64, %acc: f32) {
      tile.store %acc, %o[%i, %j] : !tile.buf<f32, 2>
    }
  }
}

// -----

// In a loop: always packed before.
// CHECK-LABEL: internal @kernel1
// CHECK-NOT:     llvm.call @tiles
// CHECK-LABEL: internal @kernel2
// CHECK:         llvm.call @tiles
tile.program @rounds symbols ["t", "n", "k"] {
^bb0(%t: i64, %n: i64, %k: i64):
  %c0 = arith.constant 0 : i64
  %c1 = arith.constant 1 : i64
  %c16 = arith.constant 16 : i64
  %a = tile.arg input 0 "a" : !tile.buf<f32, 3>
  %b = tile.arg input 1 "b" : !tile.buf<f32, 2>
  %o = tile.arg output 0 "o" : !tile.buf<f32, 3>
  tile.kernel grid [] {
    tile.for %s = %c0 to %t step %c1 {
      tile.nest par [%i = %c0 to %c16, %j = %c0 to %n] red [%r = %c0 to %k] {
        %x = tile.load %a[%s, %i, %r] : !tile.buf<f32, 3>
        %y = tile.load %b[%r, %j] : !tile.buf<f32, 2>
        %p = arith.mulf %x, %y : f32
        tile.yield %p : f32
      } combine [sum] finish(%i: i64, %j: i64, %acc: f32) {
        tile.store %acc, %o[%s, %i, %j] : !tile.buf<f32, 3>
      }
    }
  }
}

// -----

// What the kernel itself writes is not there yet.
// CHECK-LABEL: internal @kernel0
// CHECK:         llvm.call @tiles
// CHECK-NOT:   internal @kernel1
// CHECK-LABEL: func @run
tile.program @written symbols ["t", "n"] {
^bb0(%t: i64, %n: i64):
  %c0 = arith.constant 0 : i64
  %c1 = arith.constant 1 : i64
  %c16 = arith.constant 16 : i64
  %a = tile.arg input 0 "a" : !tile.buf<f32, 2>
  %o = tile.arg output 0 "o" : !tile.buf<f32, 2>
  %w = tile.alloc [%n, %n] : !tile.buf<f32, 2>
  tile.kernel grid [] {
    tile.for %s = %c0 to %t step %c1 {
      tile.nest par [%i = %c0 to %n, %j = %c0 to %n] {
        %x = tile.load %a[%i, %s] : !tile.buf<f32, 2>
        tile.store %x, %w[%i, %j] : !tile.buf<f32, 2>
      }
      tile.nest par [%i = %c0 to %c16, %j = %c0 to %n] red [%r = %c0 to %n] {
        %x = tile.load %a[%i, %r] : !tile.buf<f32, 2>
        %y = tile.load %w[%r, %j] : !tile.buf<f32, 2>
        %p = arith.mulf %x, %y : f32
        tile.yield %p : f32
      } combine [sum] finish(%i: i64, %j: i64, %acc: f32) {
        tile.store %acc, %o[%i, %j] : !tile.buf<f32, 2>
      }
    }
  }
}

// -----

// Two contractions with the same B share its panels.
// CHECK-LABEL: func @run
// CHECK-COUNT-3: llvm.mlir.addressof
// CHECK-NOT:     llvm.mlir.addressof
tile.program @both symbols ["t", "n", "k"] {
^bb0(%t: i64, %n: i64, %k: i64):
  %c0 = arith.constant 0 : i64
  %c1 = arith.constant 1 : i64
  %c16 = arith.constant 16 : i64
  %a = tile.arg input 0 "a" : !tile.buf<f32, 3>
  %b = tile.arg input 1 "b" : !tile.buf<f32, 2>
  %o = tile.arg output 0 "o" : !tile.buf<f32, 3>
  %u = tile.arg output 1 "u" : !tile.buf<f32, 3>
  tile.kernel grid [] {
    tile.for %s = %c0 to %t step %c1 {
      tile.nest par [%i = %c0 to %c16, %j = %c0 to %n] red [%r = %c0 to %k] {
        %x = tile.load %a[%s, %i, %r] : !tile.buf<f32, 3>
        %y = tile.load %b[%r, %j] : !tile.buf<f32, 2>
        %p = arith.mulf %x, %y : f32
        tile.yield %p : f32
      } combine [sum] finish(%i: i64, %j: i64, %acc: f32) {
        tile.store %acc, %o[%s, %i, %j] : !tile.buf<f32, 3>
      }
      tile.nest par [%i = %c0 to %c16, %j = %c0 to %n] red [%r = %c0 to %k] {
        %y = tile.load %b[%r, %j] : !tile.buf<f32, 2>
        %x = tile.load %a[%s, %r, %i] : !tile.buf<f32, 3>
        %p = arith.mulf %y, %x : f32
        tile.yield %p : f32
      } combine [sum] finish(%i: i64, %j: i64, %acc: f32) {
        tile.store %acc, %u[%s, %i, %j] : !tile.buf<f32, 3>
      }
    }
  }
}

// -----

// Blocks of rows and of columns: both operands are shared. A is packed only if it cannot be read where it is.
// CHECK-LABEL: func @run
// CHECK:         %[[NEAR:.*]] = arith.cmpi ule
// CHECK:         arith.select %[[NEAR]], %c0_i64
// CHECK-COUNT-5: llvm.call
tile.program @blocks symbols ["m", "n", "k"] {
^bb0(%m: i64, %n: i64, %k: i64):
  %c0 = arith.constant 0 : i64
  %c6 = arith.constant 6 : i64
  %c63 = arith.constant 63 : i64
  %c64 = arith.constant 64 : i64
  %a = tile.arg input 0 "a" : !tile.buf<f32, 2>
  %b = tile.arg input 1 "b" : !tile.buf<f32, 2>
  %o = tile.arg output 0 "o" : !tile.buf<f32, 2>
  %up = arith.addi %m, %c63 : i64
  %blocks = arith.shrsi %up, %c6 : i64
  %upn = arith.addi %n, %c63 : i64
  %blocksn = arith.shrsi %upn, %c6 : i64
  tile.kernel grid [%g = %blocks, %h = %blocksn] {
    %lo = arith.muli %g, %c64 : i64
    %next = arith.addi %lo, %c64 : i64
    %hi = arith.minsi %next, %m : i64
    %lon = arith.muli %h, %c64 : i64
    %nextn = arith.addi %lon, %c64 : i64
    %hin = arith.minsi %nextn, %n : i64
    tile.nest par [%i = %lo to %hi, %j = %lon to %hin] red [%r = %c0 to %k] {
      %x = tile.load %a[%i, %r] : !tile.buf<f32, 2>
      %y = tile.load %b[%r, %j] : !tile.buf<f32, 2>
      %p = arith.mulf %x, %y : f32
      tile.yield %p : f32
    } combine [sum] finish(%i: i64, %j: i64, %acc: f32) {
      tile.store %acc, %o[%i, %j] : !tile.buf<f32, 2>
    }
  }
}

// -----

// B has the rows of one instance: it packs them for itself, once, before the loops; blocks of fewer rows are panels of
// those.
// CHECK-LABEL: internal @kernel0
// CHECK-COUNT-2: llvm.call @transpose
// CHECK-NOT:     llvm.call @transpose
// CHECK-LABEL: func @run
// CHECK:         llvm.mlir.addressof
// CHECK-NOT:     llvm.mlir.addressof
tile.program @inside symbols ["m", "n"] {
^bb0(%m: i64, %n: i64):
  %c0 = arith.constant 0 : i64
  %c6 = arith.constant 6 : i64
  %c32 = arith.constant 32 : i64
  %c63 = arith.constant 63 : i64
  %c64 = arith.constant 64 : i64
  %a = tile.arg input 0 "a" {rows} : !tile.buf<f32, 2>
  %b = tile.arg input 1 "b" {rows} : !tile.buf<f32, 2>
  %o = tile.arg output 0 "o" : !tile.buf<f32, 3>
  %up = arith.addi %n, %c63 : i64
  %blocks = arith.shrsi %up, %c6 : i64
  tile.kernel grid [%g = %blocks] {
    %w = tile.alloc [%c64, %c64] : !tile.buf<f32, 2>
    %lo = arith.muli %g, %c64 : i64
    %next = arith.addi %lo, %c64 : i64
    %hi = arith.minsi %next, %n : i64
    tile.for %s = %c0 to %m step %c64 {
      %e = arith.addi %s, %c64 : i64
      %end = arith.minsi %e, %m : i64
      tile.nest par [%j = %lo to %hi, %i = %s to %end] red [%r = %c0 to %c64] {
        %x = tile.load %a[%i, %r] : !tile.buf<f32, 2>
        %y = tile.load %b[%j, %r] : !tile.buf<f32, 2>
        %p = arith.mulf %x, %y : f32
        tile.yield %p : f32
      } combine [sum] finish(%j: i64, %i: i64, %acc: f32) {
        %at = arith.subi %j, %lo : i64
        %row = arith.subi %i, %s : i64
        tile.store %acc, %w[%row, %at] : !tile.buf<f32, 2>
      }
    }
    tile.for %q = %lo to %hi step %c32 {
      %e = arith.addi %q, %c32 : i64
      %end = arith.minsi %e, %hi : i64
      tile.nest par [%j = %q to %end, %i = %c0 to %c32] red [%r = %c0 to %c64] {
        %x = tile.load %a[%i, %r] : !tile.buf<f32, 2>
        %y = tile.load %b[%j, %r] : !tile.buf<f32, 2>
        %p = arith.mulf %x, %y : f32
        tile.yield %p : f32
      } combine [sum] finish(%j: i64, %i: i64, %acc: f32) {
        %at = arith.subi %j, %lo : i64
        tile.store %acc, %w[%i, %at] : !tile.buf<f32, 2>
      }
    }
  }
}

// -----

// B in memory of the kernel is read where it is, also for blocks of fewer rows that begin with a panel of it.
// CHECK-LABEL: internal @kernel0
// CHECK:         llvm.call @tiles_f32_direct_in_place
tile.program @panels symbols ["n"] {
^bb0(%n: i64):
  %c0 = arith.constant 0 : i64
  %c6 = arith.constant 6 : i64
  %c32 = arith.constant 32 : i64
  %c63 = arith.constant 63 : i64
  %c64 = arith.constant 64 : i64
  %a = tile.arg input 0 "a" {rows} : !tile.buf<f32, 2>
  %b = tile.arg input 1 "b" {rows} : !tile.buf<f32, 2>
  %o = tile.arg output 0 "o" {rows} : !tile.buf<f32, 2>
  %up = arith.addi %n, %c63 : i64
  %blocks = arith.shrsi %up, %c6 : i64
  tile.kernel grid [%g = %blocks] {
    %w = tile.alloc [%c64, %c64] : !tile.buf<f32, 2>
    %lo = arith.muli %g, %c64 : i64
    %next = arith.addi %lo, %c64 : i64
    %hi = arith.minsi %next, %n : i64
    tile.nest par [%r = %c0 to %c64, %j = %lo to %hi] {
      %x = tile.load %b[%r, %j] : !tile.buf<f32, 2>
      %at = arith.subi %j, %lo : i64
      tile.store %x, %w[%r, %at] : !tile.buf<f32, 2>
    }
    tile.for %q = %lo to %hi step %c32 {
      %e = arith.addi %q, %c32 : i64
      %end = arith.minsi %e, %hi : i64
      tile.nest par [%i = %c0 to %c64, %j = %q to %end] red [%r = %c0 to %c64] {
        %at = arith.subi %j, %lo : i64
        %x = tile.load %a[%i, %r] : !tile.buf<f32, 2>
        %y = tile.load %w[%r, %at] : !tile.buf<f32, 2>
        %p = arith.mulf %x, %y : f32
        tile.yield %p : f32
      } combine [sum] finish(%i: i64, %j: i64, %acc: f32) {
        tile.store %acc, %o[%i, %j] : !tile.buf<f32, 2>
      }
    }
  }
}
