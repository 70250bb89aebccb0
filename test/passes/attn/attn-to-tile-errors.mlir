// What the pass is not given by the passes before it is named where it stands.
// RUN: attn-opt %s --attn-to-tile --split-input-file --verify-diagnostics

attn.mixer @softmax attributes {symbols = ["N"], axes = {i = "N"}} {
  %x = attn.input "x" dims [[i]] storage f32 -> [i] f32
  // expected-error@+1 {{must be decomposed before it is lowered}}
  %p = attn.softmax (%x [i]) : [i] f32 -> [i] f32
  attn.output "p" %p dims [[i]] storage f32 : [i] f32
}

// -----

attn.mixer @sigmoid attributes {symbols = ["N"], axes = {i = "N"}} {
  %x = attn.input "x" dims [[i]] storage f32 -> [i] f32
  // expected-error@+1 {{elementwise function is not primitive: it must be decomposed before it is lowered}}
  %p = attn.map sigmoid(%x) : [i] f32 -> [i] f32
  attn.output "p" %p dims [[i]] storage f32 : [i] f32
}

// -----

attn.mixer @mean attributes {symbols = ["N"], axes = {i = "N"}} {
  %x = attn.input "x" dims [[i]] storage f32 -> [i] f32
  // expected-error@+1 {{reduction is not primitive: it must be decomposed before it is lowered}}
  %p = attn.reduce mean [i] %x : [i] f32 -> [] f32
  attn.output "p" %p dims [] storage f32 : [] f32
}
