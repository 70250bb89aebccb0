// A softmax is normalised after the sum over its keys.
// RUN: attn-opt %s --attn-decompose --attn-simplify --attn-late-scale | FileCheck %s

// The weights, 0 where the guard is false, are what both sums take.
// CHECK-LABEL: @guarded
attn.mixer @guarded attributes {symbols = ["N", "d"], axes = {i = "N", j = "N", d = "d"}} {
  %s = attn.input "s" dims [[i], [j]] storage f32 -> [i, j] f32
  // CHECK: %[[V:.+]] = attn.input "v"
  %v = attn.input "v" dims [[j], [d]] storage f32 -> [d, j] f32
  %i = attn.index "i"
  %j = attn.index "j"
  %g = attn.map le(%j, %i) : [j] i64, [i] i64 -> [i, j] i1
  // CHECK: %[[E:.+]] = attn.map exp
  // CHECK: %[[Z:.+]] = attn.reduce sum [j] %[[W:.+]] guard %[[G:.+]] : [i, j] f32
  // CHECK: %[[R:.+]] = attn.map select(%{{.+}}, %{{.+}}, %{{.+}}) : [i] i1, [] f32, [i] f32
  // CHECK: %[[W]] = attn.map select(%[[G]], %[[E]], %{{.+}})
  // CHECK: %[[P:.+]] = attn.map mul(%[[W]], %[[V]])
  // CHECK: %[[O:.+]] = attn.reduce sum [j] %[[P]]
  // CHECK: %[[N:.+]] = attn.map mul(%[[O]], %[[R]])
  // CHECK: attn.output "o" %[[N]]
  %w = attn.softmax (%s [j] guard %g) : [i, j] f32, [i, j] i1 -> [i, j] f32
  %p = attn.map mul(%w, %v) : [i, j] f32, [d, j] f32 -> [d, i, j] f32
  %o = attn.reduce sum [j] %p : [d, i, j] f32 -> [d, i] f32
  attn.output "o" %o dims [[i], [d]] storage f32 : [d, i] f32
}

// Each set of a union lies below its own maximum, and is brought below that of all afterwards. Over no key a sum stays 0.
// CHECK-LABEL: @union
attn.mixer @union attributes {symbols = ["N", "M", "d"], axes = {i = "N", j = "N", m = "M", d = "d"}} {
  // CHECK: %[[S:.+]] = attn.input "s"
  %s = attn.input "s" dims [[i], [j]] storage f32 -> [i, j] f32
  // CHECK: %[[T:.+]] = attn.input "t"
  %t = attn.input "t" dims [[i], [m]] storage f32 -> [i, m] f32
  %v = attn.input "v" dims [[j], [d]] storage f32 -> [d, j] f32
  // CHECK: %[[M:.+]] = attn.reduce max [j] %[[S]]
  // CHECK: %[[MT:.+]] = attn.reduce max [m] %[[T]]
  // CHECK: %[[ALL:.+]] = attn.map max(%[[M]], %[[MT]])
  // CHECK: %[[REF:.+]] = attn.map select(%{{.+}}, %{{.+}}, %[[ALL]])
  // CHECK: %[[OWN:.+]] = attn.map select(%{{.+}}, %{{.+}}, %[[M]])
  // CHECK: %[[D:.+]] = attn.map sub(%[[S]], %[[OWN]])
  // CHECK: %[[E:.+]] = attn.map exp(%[[D]])
  // CHECK: %[[BELOW:.+]] = attn.map sub(%[[M]], %[[REF]])
  // CHECK: %[[C:.+]] = attn.map exp(%[[BELOW]])
  // CHECK: %[[Z:.+]] = attn.reduce sum [j] %[[E]]
  // CHECK: %[[ZC:.+]] = attn.map mul(%[[Z]], %[[C]])
  // CHECK: %[[ZT:.+]] = attn.reduce sum [m]
  // CHECK: %[[ZTC:.+]] = attn.map mul(%[[ZT]],
  // CHECK: attn.map add(%[[ZC]], %[[ZTC]])
  // CHECK: %[[P:.+]] = attn.map mul(%[[E]],
  // CHECK: %[[O:.+]] = attn.reduce sum [j] %[[P]] : [d, i, j] f32
  // CHECK: %[[OC:.+]] = attn.map mul(%[[O]], %[[C]])
  // CHECK-DAG: %[[NONE:.+]] = attn.map eq(%[[M]],
  // CHECK-DAG: %[[N:.+]] = attn.map mul(%[[OC]],
  // CHECK: attn.map select(%[[NONE]], %[[OC]], %[[N]])
  %w:2 = attn.softmax (%s [j], %t [m]) : [i, j] f32, [i, m] f32 -> [i, j] f32, [i, m] f32
  %p = attn.map mul(%w#0, %v) : [i, j] f32, [d, j] f32 -> [d, i, j] f32
  %o = attn.reduce sum [j] %p : [d, i, j] f32 -> [d, i] f32
  attn.output "o" %o dims [[i], [d]] storage f32 : [d, i] f32
}

// Divided by their own sum; over no key the result stays 0.
// CHECK-LABEL: @divided
attn.mixer @divided attributes {symbols = ["N", "d"], axes = {i = "N", j = "N", d = "d"}} {
  %s = attn.input "s" dims [[i], [j]] storage f32 -> [i, j] f32
  %v = attn.input "v" dims [[j], [d]] storage f32 -> [d, j] f32
  // CHECK: %[[E:.+]] = attn.map exp
  // CHECK: %[[Z:.+]] = attn.reduce sum [j] %[[E]]
  // CHECK: %[[P:.+]] = attn.map mul(%[[E]], %{{.+}})
  // CHECK: %[[O:.+]] = attn.reduce sum [j] %[[P]]
  // CHECK: %[[N:.+]] = attn.map div(%[[O]], %[[Z]])
  // CHECK: attn.map select(%{{.+}}, %[[N]], %{{.+}}) : [] i1,
  %e = attn.map exp(%s) : [i, j] f32 -> [i, j] f32
  %z = attn.reduce sum [j] %e : [i, j] f32 -> [i] f32
  %w = attn.map div(%e, %z) : [i, j] f32, [i] f32 -> [i, j] f32
  %p = attn.map mul(%w, %v) : [i, j] f32, [d, j] f32 -> [d, i, j] f32
  %o = attn.reduce sum [j] %p : [d, i, j] f32 -> [d, i] f32
  attn.output "o" %o dims [[i], [d]] storage f32 : [d, i] f32
}

// A sum over some of the keys: where none of them is left it is 0, and 0 * NaN is not.
// CHECK-LABEL: @some
attn.mixer @some attributes {symbols = ["N", "d"], axes = {i = "N", j = "N", d = "d"}} {
  %s = attn.input "s" dims [[i], [j]] storage f32 -> [i, j] f32
  %i = attn.index "i"
  %j = attn.index "j"
  %g = attn.map lt(%j, %i) : [j] i64, [i] i64 -> [i, j] i1
  // CHECK: %[[W:.+]] = attn.map mul(%{{.+}}, %{{.+}}) : [i, j] f32, [i] f32
  // CHECK: %[[O:.+]] = attn.reduce sum [j] %[[W]] guard
  // CHECK: attn.output "o" %[[O]]
  %w = attn.softmax (%s [j]) : [i, j] f32 -> [i, j] f32
  %o = attn.reduce sum [j] %w guard %g : [i, j] f32, [i, j] i1 -> [i] f32
  attn.output "o" %o dims [[i]] storage f32 : [i] f32
}

// Others read the normalised weights; another factor may be an infinity.
// CHECK-LABEL: @stays
attn.mixer @stays attributes {symbols = ["N", "d"], axes = {i = "N", j = "N", d = "d"}} {
  %s = attn.input "s" dims [[i], [j]] storage f32 -> [i, j] f32
  // CHECK: %[[V:.+]] = attn.input "v"
  %v = attn.input "v" dims [[j], [d]] storage f32 -> [d, j] f32
  // CHECK: %[[X:.+]] = attn.input "x"
  %x = attn.input "x" dims [[i]] storage f32 -> [i] f32
  // CHECK: %[[W:.+]] = attn.map mul(%{{.+}}, %{{.+}}) : [i, j] f32, [i] f32
  // CHECK: %[[A:.+]] = attn.map mul(%[[W]], %[[X]])
  // CHECK: %[[P:.+]] = attn.map mul(%[[A]], %[[V]])
  // CHECK: %[[O:.+]] = attn.reduce sum [j] %[[P]]
  // CHECK: attn.output "o" %[[O]]
  // CHECK: attn.output "w" %[[W]]
  %w = attn.softmax (%s [j]) : [i, j] f32 -> [i, j] f32
  %a = attn.map mul(%w, %x) : [i, j] f32, [i] f32 -> [i, j] f32
  %p = attn.map mul(%a, %v) : [i, j] f32, [d, j] f32 -> [d, i, j] f32
  %o = attn.reduce sum [j] %p : [d, i, j] f32 -> [d, i] f32
  attn.output "o" %o dims [[i], [d]] storage f32 : [d, i] f32
  attn.output "w" %w dims [[i], [j]] storage f32 : [i, j] f32
}

// By a sum that is kept above a number: it may be another one that 0 weights would give.
// CHECK-LABEL: @clamped
attn.mixer @clamped attributes {symbols = ["N", "d"], axes = {i = "N", j = "N", d = "d"}} {
  // CHECK: %[[S:.+]] = attn.input "s"
  %s = attn.input "s" dims [[i], [j]] storage f32 -> [i, j] f32
  %v = attn.input "v" dims [[j], [d]] storage f32 -> [d, j] f32
  // CHECK: %[[Z:.+]] = attn.map max
  // CHECK: %[[P:.+]] = attn.map mul(%[[S]],
  // CHECK: %[[O:.+]] = attn.reduce sum [j] %[[P]]
  // CHECK: %[[N:.+]] = attn.map div(%[[O]], %[[Z]])
  // CHECK: attn.output "o" %[[N]]
  %one = attn.const 1.000000e+00 : f32
  %z = attn.reduce sum [j] %s : [i, j] f32 -> [i] f32
  %a = attn.map abs(%z) : [i] f32 -> [i] f32
  %n = attn.map max(%a, %one) : [i] f32, [] f32 -> [i] f32
  %w = attn.map div(%s, %n) : [i, j] f32, [i] f32 -> [i, j] f32
  %p = attn.map mul(%w, %v) : [i, j] f32, [d, j] f32 -> [d, i, j] f32
  %o = attn.reduce sum [j] %p : [d, i, j] f32 -> [d, i] f32
  attn.output "o" %o dims [[i], [d]] storage f32 : [d, i] f32
}

// Under a guard, below the maximum under that guard: 0 is the sum of none.
// CHECK-LABEL: @by_hand
attn.mixer @by_hand attributes {symbols = ["N", "d"], axes = {i = "N", j = "N", d = "d"}} {
  %s = attn.input "s" dims [[i], [j]] storage f32 -> [i, j] f32
  %v = attn.input "v" dims [[j], [d]] storage f32 -> [d, j] f32
  %i = attn.index "i"
  %j = attn.index "j"
  %g = attn.map lt(%j, %i) : [j] i64, [i] i64 -> [i, j] i1
  // CHECK: %[[E:.+]] = attn.map exp
  // CHECK: %[[Z:.+]] = attn.reduce sum [j] %[[E]] guard
  // CHECK: %[[P:.+]] = attn.map mul(%[[E]],
  // CHECK: %[[O:.+]] = attn.reduce sum [j] %[[P]] guard
  // CHECK: %[[N:.+]] = attn.map div(%[[O]], %[[Z]])
  // CHECK: %[[NONE:.+]] = attn.map eq(%[[Z]],
  // CHECK: attn.map select(%[[NONE]], %{{.+}}, %[[N]])
  %one = attn.const 1.000000e+00 : f32
  %m = attn.reduce max [j] %s guard %g : [i, j] f32, [i, j] i1 -> [i] f32
  %d = attn.map sub(%s, %m) : [i, j] f32, [i] f32 -> [i, j] f32
  %e = attn.map exp(%d) : [i, j] f32 -> [i, j] f32
  %z = attn.reduce sum [j] %e guard %g : [i, j] f32, [i, j] i1 -> [i] f32
  %r = attn.map div(%one, %z) : [] f32, [i] f32 -> [i] f32
  %w = attn.map mul(%r, %e) : [i] f32, [i, j] f32 -> [i, j] f32
  %p = attn.map mul(%w, %v) : [i, j] f32, [d, j] f32 -> [d, i, j] f32
  %o = attn.reduce sum [j] %p guard %g : [d, i, j] f32, [i, j] i1 -> [d, i] f32
  attn.output "o" %o dims [[i], [d]] storage f32 : [d, i] f32
}
