// What the verifiers refuse, one mistake each.
// RUN: attn-opt %s --split-input-file --verify-diagnostics

attn.mixer @a attributes {symbols = ["N"], axes = {i = "N"}} {
  // expected-error @below {{axis 'j' is not an axis of the mixer}}
  %0 = attn.index "j"
}

// -----

// expected-error @below {{extent of axis 'i' is not readable: "M"}}
attn.mixer @a attributes {symbols = ["N"], axes = {i = "M"}} {
}

// -----

attn.mixer @a attributes {symbols = ["N"], axes = {i = "N"}} {
  // expected-error @below {{not an extent: "N +"}}
  %0 = attn.extent "N +"
}

// -----

attn.mixer @a attributes {symbols = [], axes = {i = "4"}} {
  %i = attn.index "i"
  %x = attn.const 1.0 : f32
  // expected-error @below {{add has operands of 'i64' and 'f32'}}
  %0 = attn.map add(%i, %x) : [i] i64, [] f32 -> [i] f32
}

// -----

attn.mixer @a attributes {symbols = [], axes = {i = "4"}} {
  %i = attn.index "i"
  // expected-error @below {{exp does not take 'i64'}}
  %0 = attn.map exp(%i) : [i] i64 -> [i] i64
}

// -----

attn.mixer @a attributes {symbols = [], axes = {i = "4"}} {
  %i = attn.index "i"
  // expected-error @below {{add takes 2 operands, found 1}}
  %0 = attn.map add(%i) : [i] i64 -> [i] i64
}

// -----

attn.mixer @a attributes {symbols = [], axes = {i = "4", j = "4"}} {
  %i = attn.index "i"
  %j = attn.index "j"
  // expected-error @below {{inferred type(s) '!attn.t<[i, j] i64>' are incompatible with return type(s) of operation '!attn.t<[i] i64>'}}
  // expected-error @below {{failed to infer returned types}}
  %0 = attn.map add(%i, %j) : [i] i64, [j] i64 -> [i] i64
}

// -----

attn.mixer @a attributes {symbols = [], axes = {i = "4", j = "4"}} {
  %i = attn.index "i"
  // expected-error @below {{replaces axis 'j', which the value does not have}}
  %0 = attn.read %i [j = %i] : [i] i64, [i] i64 -> [i] i64
}

// -----

attn.mixer @a attributes {symbols = [], axes = {i = "4"}} {
  %i = attn.index "i"
  // expected-error @below {{guard has element type 'i64', expected i1}}
  %0 = attn.reduce sum [i] %i guard %i : [i] i64, [i] i64 -> [] i64
}

// -----

attn.mixer @a attributes {symbols = [], axes = {i = "4"}} {
  %i = attn.index "i"
  // expected-error @below {{logsumexp does not take 'i64'}}
  %0 = attn.reduce logsumexp [i] %i : [i] i64 -> [] i64
}

// -----

attn.mixer @a attributes {symbols = [], axes = {i = "4", j = "4"}} {
  %a = attn.input "a" dims [[i], [j]] storage f32 -> [i, j] f32
  // expected-error @below {{axis 'j' is reduced in one operand and free in another}}
  %p, %q = attn.softmax (%a [j], %a [i]) : [i, j] f32, [i, j] f32 -> [i, j] f32, [i, j] f32
}

// -----

attn.mixer @a attributes {symbols = [], axes = {i = "4", j = "4"}} {
  %a = attn.input "a" dims [[i], [j]] storage f32 -> [i, j] f32
  // expected-error @below {{new axis 'i' is an axis of the operand}}
  %p = attn.topk [j] new [i] %a : [i, j] f32 -> [i] i64
}

// -----

attn.mixer @a attributes {symbols = [], axes = {i = "4"}} {
  %a = attn.input "a" dims [[i]] storage f32 -> [i] f32
  // expected-error @below {{direction of loop 'i' is 2, expected 1 or -1}}
  %s = attn.equation "S" %a cycle 0 loops [i = 2] : [i] f32
}

// -----

attn.mixer @a attributes {symbols = [], axes = {i = "4"}} {
  %a = attn.input "a" dims [[i]] storage f32 -> [i] f32
  // expected-error @below {{axis 'i' of the value is in no dim}}
  attn.output "o" %a dims [] storage f32 : [i] f32
}

// -----

attn.mixer @a attributes {symbols = [], axes = {i = "4"}} {
  // expected-error @below {{type should be '!attn.t<[i] i64>'}}
  %a = attn.input "a" dims [[i]] storage i32 -> [i] f32
}

// -----

attn.mixer @a attributes {symbols = [], axes = {i = "4"}} {
  %a = attn.input "a" dims [[i]] storage f32 -> [i] f32
  // expected-error @below {{a value of 'f32' cannot be stored as i32}}
  attn.output "o" %a dims [[i]] storage i32 : [i] f32
}

// -----

// expected-error @below {{axes are not sorted: 'a' after 'b'}}
attn.mixer @a attributes {symbols = [], axes = {a = "4"}, x = !attn.t<[b, a] f32>} {
}

// -----

// expected-error @below {{element type 'bf16' is not one of f32, f64, i64, i1}}
attn.mixer @a attributes {symbols = [], axes = {a = "4"}, x = !attn.t<[a] bf16>} {
}
