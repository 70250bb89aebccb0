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

// Over the keys of one set of a union, a sum over no key stays 0.
// CHECK-LABEL: @union
attn.mixer @union attributes {symbols = ["N", "M", "d"], axes = {i = "N", j = "N", m = "M", d = "d"}} {
  %s = attn.input "s" dims [[i], [j]] storage f32 -> [i, j] f32
  %t = attn.input "t" dims [[i], [m]] storage f32 -> [i, m] f32
  %v = attn.input "v" dims [[j], [d]] storage f32 -> [d, j] f32
  // CHECK: %[[M:.+]] = attn.reduce max [j] %{{.+}} : [i, j] f32 -> [i] f32
  // CHECK: %[[O:.+]] = attn.reduce sum [j] %{{.+}} : [d, i, j] f32
  // CHECK-DAG: %[[NONE:.+]] = attn.map eq(%[[M]],
  // CHECK-DAG: %[[N:.+]] = attn.map mul(%[[O]],
  // CHECK: attn.map select(%[[NONE]], %[[O]], %[[N]])
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
