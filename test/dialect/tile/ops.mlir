// Every op, printed and parsed again.
// RUN: attn-opt %s | attn-opt | FileCheck %s

// CHECK-LABEL: tile.program @all symbols ["b", "N"] {
tile.program @all symbols ["b", "N"] {
^bb0(%b: i64, %N: i64):
  %c0 = arith.constant 0 : i64
  %c1 = arith.constant 1 : i64
  %c64 = arith.constant 64 : i64
  // CHECK: tile.arg input 0 "q" : <bf16, 2>
  %q = tile.arg input 0 "q" : !tile.buf<bf16, 2>
  %m = tile.arg input 1 "m" : !tile.buf<i1, 1>
  // CHECK: tile.arg output 0 "o" : <f32, 1>
  %o = tile.arg output 0 "o" : !tile.buf<f32, 1>
  // CHECK: tile.alloc [%{{.*}}, %{{.*}}] : <i64, 2>
  %w = tile.alloc [%b, %N] : !tile.buf<i64, 2>
  // CHECK: tile.kernel grid [%[[G:.*]] = %{{.*}}] {
  tile.kernel grid [%g = %b] {
    %s = tile.alloc [%N] : !tile.buf<f32, 1>
    // CHECK: tile.for %{{.*}} = %{{.*}} to %{{.*}} step %{{.*}} {
    tile.for %t = %c0 to %N step %c1 {
      // CHECK: tile.nest par [%[[I:.*]] = %{{.*}} to %{{.*}}] red [%[[D:.*]] = %{{.*}} to %{{.*}}] {
      tile.nest par [%i = %c0 to %N] red [%d = %c0 to %c64] {
        // CHECK: %[[X:.*]] = tile.load %{{.*}}[%[[G]], %[[D]]] : <bf16, 2>
        %x = tile.load %q[%g, %d] : !tile.buf<bf16, 2>
        %p = arith.mulf %x, %x : f32
        %v = tile.load %m[%d] : !tile.buf<i1, 1>
        // CHECK: tile.yield %{{.*}}, %[[X]], %[[D]], %{{.*}} : f32, f32, i64, i1
        tile.yield %p, %x, %d, %v : f32, f32, i64, i1
        // CHECK: } combine [sum, argmax] finish(%[[J:.*]]: i64, %[[ACC:.*]]: f32, %{{.*}}: i64) {
      } combine [sum, argmax] finish(%i: i64, %acc: f32, %best: i64) {
        // CHECK: tile.store %[[ACC]], %{{.*}}[%[[J]]] : <f32, 1>
        tile.store %acc, %s[%i] : !tile.buf<f32, 1>
        tile.store %best, %w[%g, %i] : !tile.buf<i64, 2>
      }
    }
    // CHECK: tile.nest par [%{{.*}}] seq [%{{.*}}] {
    tile.nest par [%i = %c0 to %c1] seq [%j = %c0 to %N] {
      %x = tile.load %s[%j] : !tile.buf<f32, 1>
      %v = tile.load %m[%j] : !tile.buf<i1, 1>
      // CHECK: tile.update sum %{{.*}}, %{{.*}}[%{{.*}}] if %{{.*}} : <f32, 1>
      tile.update sum %x, %o[%i] if %v : !tile.buf<f32, 1>
      tile.update max %x, %o[%i] : !tile.buf<f32, 1>
    }
    // CHECK: tile.nest par [] {
    tile.nest par [] {
      %x = tile.load %q[%g, %c0] : !tile.buf<bf16, 2>
      tile.store %x, %o[%g] : !tile.buf<f32, 1>
    }
    // CHECK: tile.sort %{{.*}}[%{{.*}}], %{{.*}}[%{{.*}}] length %{{.*}} -> %{{.*}}[%{{.*}}, %{{.*}}] count %{{.*}} {descending, nan = never}
    tile.sort %s[%c0], %m[%c0] length %N -> %w[%g, %c0] count %c64 {descending, nan = never}
      : !tile.buf<f32, 1>, !tile.buf<i1, 1> -> !tile.buf<i64, 2>
    // CHECK: tile.sort %{{.*}}[%{{.*}}] length %{{.*}} -> %{{.*}} count %{{.*}} { nan = last}
    tile.sort %s[%c0] length %N -> %w[%g, %c0] count %c64 {nan = last} : !tile.buf<f32, 1> -> !tile.buf<i64, 2>
  }
}
