// Composite ops as primitive ones.
// RUN: attn-opt %s --attn-decompose | FileCheck %s

// The row maximum is replaced by 0 where it is -inf, and 1 / sum by 0 where the sum is 0.
// CHECK-LABEL: @softmax
attn.mixer @softmax attributes {symbols = ["N"], axes = {i = "N", j = "N"}} {
  %s = attn.input "s" dims [[i], [j]] storage f32 -> [i, j] f32
  %g = attn.input "g" dims [[i], [j]] storage bool -> [i, j] i1
  %p = attn.softmax (%s [j] guard %g) : [i, j] f32, [i, j] i1 -> [i, j] f32
  attn.output "p" %p dims [[i], [j]] storage f32 : [i, j] f32
  // CHECK: %[[M:.+]] = attn.reduce max [j] %[[S:.+]] guard %[[G:.+]] :
  // CHECK: %[[DEAD:.+]] = attn.map eq(%[[M]], %{{.+}})
  // CHECK: %[[M0:.+]] = attn.map select(%[[DEAD]], %{{.+}}, %[[M]])
  // CHECK: %[[D:.+]] = attn.map sub(%[[S]], %[[M0]])
  // CHECK: %[[E:.+]] = attn.map exp(%[[D]])
  // CHECK: %[[Z:.+]] = attn.reduce sum [j] %[[E]] guard %[[G]] :
  // CHECK-DAG: %[[NONE:.+]] = attn.map eq(%[[Z]], %{{.+}})
  // CHECK-DAG: %[[INV:.+]] = attn.map div(%{{.+}}, %[[Z]])
  // CHECK: %[[R:.+]] = attn.map select(%[[NONE]], %{{.+}}, %[[INV]])
  // CHECK: %[[P:.+]] = attn.map mul(%[[E]], %[[R]])
  // CHECK: attn.map select(%[[G]], %[[P]], %{{.+}})
}

// One maximum and one sum over all operands; the single logit has the rows of the others.
// CHECK-LABEL: @union
attn.mixer @union attributes {symbols = ["N"], axes = {i = "N", j = "N"}} {
  %s = attn.input "s" dims [[i], [j]] storage f32 -> [i, j] f32
  %sink = attn.input "sink" dims [] storage f32 -> [] f32
  %p, %q = attn.softmax (%s [j], %sink []) : [i, j] f32, [] f32 -> [i, j] f32, [i] f32
  attn.output "q" %q dims [[i]] storage f32 : [i] f32
  // CHECK: %[[M:.+]] = attn.reduce max [j]
  // CHECK: attn.map max(%[[M]], %{{.+}}) : [i] f32, [] f32 -> [i] f32
  // CHECK: %[[Z:.+]] = attn.reduce sum [j]
  // CHECK: attn.map add(%[[Z]], %{{.+}}) : [i] f32, [i] f32 -> [i] f32
}

// CHECK-LABEL: @reductions
attn.mixer @reductions attributes {symbols = ["N"], axes = {i = "N", j = "4"}} {
  %x = attn.input "x" dims [[i], [j]] storage f32 -> [i, j] f32
  %g = attn.input "g" dims [[i]] storage bool -> [i] i1
  // CHECK: %[[N:.+]] = attn.extent "N * 4"
  // CHECK-DAG: attn.map max(%[[N]], %{{.+}})
  // CHECK-DAG: attn.reduce sum [i, j]
  // CHECK: attn.map div
  %mean = attn.reduce mean [i, j] %x : [i, j] f32 -> [] f32
  // Only the axes that the guard has are counted.
  // CHECK: %[[ONE:.+]] = attn.map to_i64(%{{.+}}) : [i] i1
  // CHECK: %[[SOME:.+]] = attn.reduce sum [i] %[[ONE]]
  // CHECK: attn.map mul(%[[SOME]], %{{.+}})
  %count = attn.reduce count [i, j] %x guard %g : [i, j] f32, [i] i1 -> [] i64
  // logsumexp is its maximum where that is not finite.
  // CHECK: %[[M:.+]] = attn.reduce max [j]
  // CHECK-DAG: %[[LOG:.+]] = attn.map log
  // CHECK-DAG: %[[LSE:.+]] = attn.map add(%{{.+}}, %[[LOG]])
  // CHECK-DAG: %[[FINITE:.+]] = attn.map isfinite(%[[M]])
  // CHECK: attn.map select(%[[FINITE]], %[[LSE]], %[[M]])
  %lse = attn.reduce logsumexp [j] %x : [i, j] f32 -> [i] f32
  // CHECK: attn.reduce sum
  // CHECK: attn.map sqrt
  %norm = attn.reduce norm [j] %x : [i, j] f32 -> [i] f32
  attn.output "a" %mean dims [] storage f32 : [] f32
  attn.output "b" %count dims [] storage i64 : [] i64
  attn.output "c" %lse dims [[i]] storage f32 : [i] f32
  attn.output "d" %norm dims [[i]] storage f32 : [i] f32
}

// The logarithm of a softmax: the maximum comes off before the logarithm of the sum does.
// CHECK-LABEL: @log_softmax
attn.mixer @log_softmax attributes {symbols = ["N"], axes = {j = "N"}} {
  %x = attn.input "x" dims [[j]] storage f32 -> [j] f32
  %lse = attn.reduce logsumexp [j] %x : [j] f32 -> [] f32
  %named = attn.equation "lse" %lse : [] f32
  %y = attn.map sub(%x, %named) : [j] f32, [] f32 -> [j] f32
  attn.output "y" %y dims [[j]] storage f32 : [j] f32
  // CHECK: attn.equation "lse"
  // CHECK: %[[M:.+]] = attn.reduce max [j]
  // CHECK: %[[LOG:.+]] = attn.map log
  // CHECK: %[[APART:.+]] = attn.map sub(%{{.+}}, %[[LOG]])
  // CHECK: %[[FINITE:.+]] = attn.map isfinite(%[[M]])
  // CHECK: attn.map select(%[[FINITE]], %[[APART]], %{{.+}})
}

// A running sum along two axes: the digits of the flat position before.
// CHECK-LABEL: @cum
attn.mixer @cum attributes {symbols = ["N"], axes = {n = "N", u = "16"}} {
  %x = attn.input "x" dims [[n, u]] storage f32 -> [n, u] f32
  %c = attn.cum sum [n, u] %x : [n, u] f32 -> [n, u] f32
  attn.output "c" %c dims [[n, u]] storage f32 : [n, u] f32
  // CHECK: %[[T:.+]] = attn.map add(%{{.+}}, %{{.+}}) : [n] i64, [u] i64
  // CHECK: %[[START:.+]] = attn.map eq(%[[T]], %{{.+}})
  // CHECK: %[[BEFORE:.+]] = attn.map sub(%[[T]], %{{.+}})
  // CHECK: %[[UP:.+]] = attn.map mod(%[[BEFORE]], %{{.+}})
  // CHECK: %[[NP:.+]] = attn.map idiv(%[[BEFORE]], %{{.+}})
  // CHECK: %[[OLD:.+]] = attn.read %[[S:.+]] [n = %[[NP]], u = %[[UP]]]
  // CHECK: %[[NEW:.+]] = attn.map add(%[[OLD]], %{{.+}})
  // CHECK: %[[BODY:.+]] = attn.map select(%[[START]], %{{.+}}, %[[NEW]])
  // CHECK: %[[S]] = attn.equation "cum" %[[BODY]] cycle 0 loops [n = 1, u = 1]
}

// Inside a cycle a running sum is a reduction over the positions so far.
// CHECK-LABEL: @nested_cum
attn.mixer @nested_cum attributes {symbols = ["N"], axes = {l = "3", t = "N"}} {
  %x = attn.input "x" dims [[t]] storage f32 -> [t] f32
  %l = attn.index "l"
  %one = attn.const 1 : i64
  %back = attn.map sub(%l, %one) : [l] i64, [] i64 -> [l] i64
  %old = attn.read %S [l = %back] : [l, t] f32, [l] i64 -> [l, t] f32
  %sum = attn.map add(%old, %x) : [l, t] f32, [t] f32 -> [l, t] f32
  // CHECK: %[[UPTO:.+]] = attn.map le(%{{.+}}, %{{.+}}) : [t.1] i64, [t] i64 -> [t, t.1] i1
  // CHECK: attn.reduce sum [t.1] %{{.+}} guard %[[UPTO]]
  // CHECK-NOT: "cum"
  %c = attn.cum sum [t] %sum : [l, t] f32 -> [l, t] f32
  %S = attn.equation "S" %c cycle 0 loops [l = 1] : [l, t] f32
  attn.output "s" %S dims [[l], [t]] storage f32 : [l, t] f32
}

// CHECK-LABEL: @maps
attn.mixer @maps attributes {symbols = [], axes = {i = "4"}} {
  %x = attn.input "x" dims [[i]] storage f32 -> [i] f32
  // Equal operands of logaddexp, infinities too, give x + log 2.
  // CHECK-DAG: %[[APART:.+]] = attn.map add(%{{.+}}, %{{.+}})
  // CHECK-DAG: %[[SAME:.+]] = attn.map eq(%[[X:.+]], %[[X]])
  // CHECK-DAG: attn.map select(%[[SAME]], %{{.+}}, %[[APART]])
  %0 = attn.map logaddexp(%x, %x) : [i] f32, [i] f32 -> [i] f32
  // CHECK-NOT: sigmoid
  // CHECK-NOT: softplus
  // CHECK-NOT: silu
  // CHECK-NOT: gelu
  // CHECK-NOT: relu
  %1 = attn.map sigmoid(%0) : [i] f32 -> [i] f32
  %2 = attn.map softplus(%1) : [i] f32 -> [i] f32
  %3 = attn.map logsigmoid(%2) : [i] f32 -> [i] f32
  %4 = attn.map silu(%3) : [i] f32 -> [i] f32
  %5 = attn.map gelu(%4) : [i] f32 -> [i] f32
  %6 = attn.map gelu_tanh(%5) : [i] f32 -> [i] f32
  %7 = attn.map relu(%6) : [i] f32 -> [i] f32
  attn.output "o" %7 dims [[i]] storage f32 : [i] f32
}
