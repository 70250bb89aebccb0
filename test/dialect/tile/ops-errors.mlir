// One mistake each, with what the verifier says.
// RUN: attn-opt %s --split-input-file --verify-diagnostics

tile.program @p symbols ["n"] {
^bb0(%n: i64):
  // expected-error @+1 {{number 1 leaves a gap: there are 1 inputs}}
  %x = tile.arg input 1 "x" : !tile.buf<f32, 1>
}

// -----

tile.program @p symbols ["n"] {
^bb0(%n: i64):
  // expected-error @+1 {{has 1 extents for rank 2}}
  %w = tile.alloc [%n] : !tile.buf<f32, 2>
}

// -----

tile.program @p symbols ["n"] {
^bb0(%n: i64):
  tile.kernel grid [%g = %n] {
    // expected-error @+1 {{extent depends on the grid position or on memory}}
    %w = tile.alloc [%g] : !tile.buf<f32, 1>
  }
}

// -----

tile.program @p symbols ["n"] {
^bb0(%n: i64):
  %c0 = arith.constant 0 : i64
  %x = tile.arg input 0 "x" : !tile.buf<f32, 1>
  tile.kernel grid [] {
    // expected-error @+1 {{combiner any does not take 'f32'}}
    tile.nest par [] red [%i = %c0 to %n] {
      %a = tile.load %x[%i] : !tile.buf<f32, 1>
      tile.yield %a : f32
    } combine [any] finish(%acc: f32) {
    }
  }
}

// -----

tile.program @p symbols ["n"] {
^bb0(%n: i64):
  %c0 = arith.constant 0 : i64
  %x = tile.arg output 0 "x" : !tile.buf<f32, 1>
  tile.kernel grid [] {
    tile.nest par [%i = %c0 to %n] {
      %a = arith.constant 1.0 : f32
      // expected-error @+1 {{needs seq dims around it}}
      tile.update sum %a, %x[%i] : !tile.buf<f32, 1>
    }
  }
}

// -----

tile.program @p symbols [] {
  // expected-error @+1 {{element type is f32, f16, bf16, f64, i32, i64 or i1, not 'i7'}}
  %x = tile.arg input 0 "x" : !tile.buf<i7, 1>
}
