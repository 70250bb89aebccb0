"""Cases for run.py: every rule of the language that `attnc eval` has to follow, with values worked out by hand or by the
few lines of Python beside them. A case is (name, spec, inputs, outputs); lists are tensors, `i`, `f` and `b` mark other dtypes.
"""

import math

INF, NAN = math.inf, math.nan
exp, log, sqrt, erf, tanh = math.exp, math.log, math.sqrt, math.erf, math.tanh


class Typed:
    def __init__(self, code, data):
        self.code, self.data = code, data


def i(data):
    return Typed("i8", data)


def b(data):
    return Typed("b1", data)


class Shaped:
    """A tensor without elements."""

    def __init__(self, *shape):
        self.shape = shape


def sigmoid(x):
    return 1 / (1 + exp(-x))


def softmax(xs):
    es = [exp(x) for x in xs]
    return [e / sum(es) for e in es]


CASES = []


def case(name, spec, inputs, outputs):
    CASES.append((name, spec, inputs, outputs))


def body(name, decls, outs, text, inputs, outputs):
    case(name, f"mixer m({decls}) -> ({outs}) {{\n{text}\n}}\n", inputs, outputs)


def unary(name, call, fn, xs):
    body(name, "x: [t]", "y: [t]", f"y = {call}", {"x": xs}, {"y": [fn(x) for x in xs]})


# ---- Elementwise functions ----
X = [-3.5, -1.25, -0.5, 0.0, 0.5, 2.5, 4.0]
P = [0.25, 1.0, 2.5, 9.0]
unary("exp", "exp(x)", exp, X)
unary("exp2", "exp2(x)", lambda x: 2**x, X)
unary("expm1", "expm1(x * 1e-9)", lambda x: math.expm1(x * 1e-9), X)
unary("log", "log(x)", log, P)
unary("log1p", "log1p(x)", math.log1p, P)
unary("sqrt_rsqrt", "sqrt(x) + rsqrt(x)", lambda x: sqrt(x) + 1 / sqrt(x), P)
unary("abs_sign", "abs(x) * 10 + sign(x)", lambda x: abs(x) * 10 + (x > 0) - (x < 0), X)
unary("floor_ceil", "floor(x) * 100 + ceil(x)", lambda x: math.floor(x) * 100 + math.ceil(x), X)
unary("round_half_even", "round(x)", round, [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5, 2.4])
unary("sin_cos_tanh", "sin(x) + 2 * cos(x) + 3 * tanh(x)", lambda x: math.sin(x) + 2 * math.cos(x) + 3 * tanh(x), X)
unary("sigmoid", "sigmoid(x)", sigmoid, X)
unary("logsigmoid", "logsigmoid(x)", lambda x: log(sigmoid(x)), X)
unary("logsigmoid_far", "logsigmoid(x * 1000)", lambda x: min(x * 1000, 0.0) if x else -log(2), X)
unary("softplus", "softplus(x)", lambda x: log(1 + exp(x)), X)
unary("relu_silu", "relu(x) + 10 * silu(x)", lambda x: max(x, 0) + 10 * x * sigmoid(x), X)
unary("gelu_is_erf", "gelu(x)", lambda x: x / 2 * (1 + erf(x / sqrt(2))), X)
unary("gelu_tanh", "gelu_tanh(x)", lambda x: x / 2 * (1 + tanh(sqrt(2 / math.pi) * (x + 0.044715 * x**3))), X)
unary("erf", "erf(x)", erf, X)
unary("clamp", "clamp(x, -1, 2)", lambda x: min(max(x, -1), 2), X)
unary("min_max_many", "min(x, 1, 3) + 10 * max(x, 0, -1)", lambda x: min(x, 1) + 10 * max(x, 0), X)
unary("pow_right", "2 ** x ** 2", lambda x: 2 ** (x**2), [0.0, 1.0, 1.5])
unary("pow_precedence", "-x ** 2", lambda x: -(x**2), X)
unary("real_division", "3 / 2 + 0 * x", lambda x: 1.5, X)
unary("logaddexp", "logaddexp(x, 0, 1)", lambda x: log(exp(x) + 1 + exp(1)), X)
unary("pi_inf", "min(inf, x) + pi", lambda x: x + math.pi, X)
body("logaddexp_infinite", "x: [t]", "y: [t]", "y = logaddexp(x, x)", {"x": [-INF, INF, NAN]}, {"y": [-INF, INF, NAN]})
body("isfinite", "x: [t]", "y: bool[t]", "y = isfinite(x)", {"x": [1.0, INF, -INF, NAN]}, {"y": [1, 0, 0, 0]})
body("nan_wins_max", "x: [t], z: [t]", "y: [t], w: [t]", "y = max(x, z)  w = min(x, z)",
     {"x": [NAN, 1.0, 3.0], "z": [1.0, NAN, 2.0]}, {"y": [NAN, NAN, 3.0], "w": [NAN, NAN, 2.0]})
body("bf16_cast", "x: [t]", "y: [t]", "y = bf16(x)", {"x": [1 + 1 / 256, 1 + 3 / 256, 1 + 1 / 256 + 1e-9, 3.5e38]},
     {"y": [1.0, 1 + 4 / 256, 1 + 2 / 256, INF]})
body("f16_f32_cast", "x: [t]", "y: [t], z: [t]", "y = f16(x)  z = f32(x)", {"x": [1 + 2**-11, 1 + 3 * 2**-11, 70000.0, 1 + 2**-25]},
     {"y": [1.0, 1 + 4 * 2**-11, INF, 1.0], "z": [1 + 2**-11, 1 + 3 * 2**-11, 70000.0, 1.0]})
body("casts_to_int", "x: [t]", "y: i64[t], z: i32[t], w: bool[t]", "y = i64(x)  z = i32(x)  w = bool(x)",
     {"x": [-1.9, 1.9, NAN, 1e30, -1e30, 0.0]},
     {"y": [-1, 1, 0, 2**63 - 1, -(2**63), 0], "z": [-1, 1, 0, 2**31 - 1, -(2**31), 0], "w": [1, 1, 1, 1, 1, 0]})

# ---- Integers ----
N = [-7, -1, 0, 1, 7, 8, 1000]
body("int_division", "n: i64[t]", "d: i64[t], r: i64[t], z: i64[t], w: i64[t]", "d = n div 3  r = n % 3  z = n div 0 + n % 0  w = n % -3",
     {"n": i(N)}, {"d": [x // 3 for x in N], "r": [x % 3 for x in N], "z": [0] * 7, "w": [x % -3 for x in N]})
body("ilog2", "n: i64[t]", "y: i64[t]", "y = ilog2(n)", {"n": i(N)}, {"y": [0, 0, 0, 0, 2, 3, 9]})
body("bits", "n: i64[t], k: i64[t]", "a: i64[t], o: i64[t], x: i64[t]", "a = bitand(n, k)  o = bitor(n, k)  x = bitxor(n, k)",
     {"n": i(N), "k": i([5] * 7)}, {"a": [x & 5 for x in N], "o": [x | 5 for x in N], "x": [x ^ 5 for x in N]})
body("shifts", "n: i64[t], k: i64[t]", "l: i64[t], r: i64[t]", "l = shl(n, k)  r = shr(n, k)",
     {"n": i([1, 1, 1, -8, -8, 3]), "k": i([3, -1, 64, 1, 64, 63])}, {"l": [8, 0, 0, -16, 0, -(2**63)], "r": [0, 0, 0, -4, 0, 0]})
body("int_wraps", "n: i64[t]", "a: i64[t], m: i64[t], g: i64[t]", "a = n + 1  m = n * n  g = -n", {"n": i([2**63 - 1, -(2**63)])},
     {"a": [-(2**63), -(2**63) + 1], "m": [1, 0], "g": [-(2**63) + 1, -(2**63)]})
body("int_power", "n: i64[t]", "y: i64[t], r: [t]", "y = n ** 3  r = 2 ** -n", {"n": i([-2, 0, 3])}, {"y": [-8, 0, 27], "r": [4.0, 1.0, 0.125]})
body("bool_counts", "f: bool[t]", "y: i64[t], n: i32[]", "y = f + 2 * f  n = sum[t](f)", {"f": b([1, 0, 1])}, {"y": [3, 0, 3], "n": 2})
body("number_as_condition", "x: [t], n: i64[t]", "y: i64[t], z: i64[]", "y = 1 if x else 2  z = count[t](n where n)",
     {"x": [0.0, 3.0, NAN], "n": i([0, 5, -1])}, {"y": [2, 1, 1], "z": 2})
body("index_kinds", "x: [t]", "y: [t], n: i64[t]", "y = t / 2  n = t * #t + 0 * i64(x)", {"x": [0.0, 0.0, 0.0]}, {"y": [0.0, 0.5, 1.0], "n": [0, 3, 6]})
body("chained_comparison", "x: [t]", "y: bool[t]", "y = 0 <= x < 2 != t", {"x": [0.0, 1.0, 1.0, -1.0]}, {"y": [1, 1, 0, 0]})
body("not_and_or", "x: bool[t], z: bool[t]", "y: bool[t]", "y = not x and z or x and not z", {"x": b([0, 0, 1, 1]), "z": b([0, 1, 0, 1])}, {"y": [0, 1, 1, 0]})

# ---- Axes, composites ----
body("split_dimension", "x: [(g r), d], s: [g]", "y: [g, r], z: [(g r)], w: [r, d, g]", "y = sum[d](x) * s  z = sum[d](x)  w = x",
     {"x": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]], "s": [1.0, 10.0]},
     {"y": [[3.0, 7.0], [110.0, 150.0]], "z": [3.0, 7.0, 11.0, 15.0], "w": [[[1.0, 5.0], [2.0, 6.0]], [[3.0, 7.0], [4.0, 8.0]]]})
body("ragged_chunks", "x: [t=(n u:3)]", "s: [n], c: i64[n], l: [n], m: [n], f: i64[t], y: [t], p: i64[t]",
     "s = sum[u](x)  c = count[u](x)  l = x[u := last]  m = mean[u](x)  f = t  y = x - m  p = fill(argmax[u](x), -1) + 0 * u",
     {"x": [1.0, 2.0, 3.0, 4.0, 6.0]},
     {"s": [6.0, 10.0], "c": [3, 2], "l": [3.0, 6.0], "m": [2.0, 5.0], "f": [0, 1, 2, 3, 4], "y": [-1.0, 0.0, 1.0, -1.0, 1.0], "p": [2, 2, 2, 1, 1]})
body("ragged_argmax", "x: [t=(n u:3)]", "a: i64[], b: i64[n], v: [n]", "a = argmax[t](x)  b = argmin[u](x)  v = fill(x[u := argmin[u](x)], 0)",
     {"x": [1.0, 2.0, 3.0, 5.0, 4.0]}, {"a": 3, "b": [0, 1], "v": [1.0, 4.0]})
body("ragged_softmax", "x: [t=(n u:2)]", "p: [t], q: [t], a: bool[n]", "p = softmax[u](x)  q = softmax[t](x)  a = all[u](x > 0)",
     {"x": [1.0, 2.0, 3.0]}, {"p": softmax([1, 2]) + [1.0], "q": softmax([1, 2, 3]), "a": [1, 1]})
body("inside_by_intervals", "x: [t], y: [s:4], z: [m:3]", "a: [t], b: [t], c: [t], d: [t], e: [t], f: [p], g: [t], h: [t]",
     "axis p:(min(#t, 3))  a = y[s := t % 4]  b = y[s := 3 - t % 4]  c = z[m := (t % 2) * (t % 3)]  d = x[t := (t div 3) * 3]"
     "  e = x[t := t - t % 4]  f = x[t := #t - 1 - p]  g = y[s := min((t % 9) div 3 + t % 2, 3)]"
     "  h = y[s := 3 - clamp(t - 2, 0, 1) * (t % 4)]",
     {"x": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "y": [0.0, 10.0, 20.0, 30.0], "z": [7.0, 8.0, 9.0]},
     {"a": [0.0, 10.0, 20.0, 30.0, 0.0, 10.0], "b": [30.0, 20.0, 10.0, 0.0, 30.0, 20.0], "c": [7.0, 8.0, 7.0, 7.0, 7.0, 9.0],
      "d": [1.0, 1.0, 1.0, 4.0, 4.0, 4.0], "e": [1.0, 1.0, 1.0, 1.0, 5.0, 5.0], "f": [6.0, 5.0, 4.0],
      "g": [0.0, 10.0, 0.0, 20.0, 10.0, 20.0], "h": [30.0, 30.0, 30.0, 0.0, 30.0, 20.0]})
body("flat_reads", "x: [t=(n u:2)]", "y: [t], z: [t]", "y = fill(x[t-1], -1)  z = x[t := #t - 1 - t]",
     {"x": [1.0, 2.0, 3.0]}, {"y": [-1.0, 1.0, 2.0], "z": [3.0, 2.0, 1.0]})
body("two_splits", "q: [i:N=(x y:2)], k: [j:N=(c u:2)]", "o: [i], s: [x]", "o = sum[u](k)[c := x] + q  s = k[c := x, u := last]",
     {"q": [1.0, 2.0, 3.0], "k": [10.0, 20.0, 30.0]}, {"o": [31.0, 32.0, 33.0], "s": [20.0, 30.0]})
body("primes", "x: [c], W: [c', c]", "y: [c], z: [c, c']", "y = sum[c'](W * x[c'])  z = x - x[c']",
     {"x": [1.0, 10.0], "W": [[1.0, 2.0], [3.0, 4.0]]}, {"y": [31.0, 42.0], "z": [[0.0, -9.0], [9.0, 0.0]]})
body("concatenation", "a: [p], b: [q]", "y: [k]", "axis k:(#p + #q)  y = a[p := k] if k < #p else b[q := k - #p]",
     {"a": [1.0, 2.0], "b": [3.0]}, {"y": [1.0, 2.0, 3.0]})
body("rotation", "x: [d]", "y: [d]", "y = x[d := (d + #d div 2) % #d]", {"x": [1.0, 2.0, 3.0, 4.0]}, {"y": [3.0, 4.0, 1.0, 2.0]})
body("gather_flat", "x: [(n e)], s: [n], f: i64[r]", "y: [r]", "y = fill(x[(n e) := f], 0)",
     {"x": [1.0, 2.0, 3.0, 4.0], "s": [0.0, 0.0], "f": i([3, 0, -1, 4])}, {"y": [4.0, 1.0, 0.0, 0.0]})
body("left_out_input", "x: [t], k: [p] = 0, c: [] = 1 / sqrt(#t)", "y: [t], n: i64[], g: bool[]", "y = x * c + sum[p](k)  n = #p  g = given(k)",
     {"x": [1.0, 2.0, 3.0, 4.0]}, {"y": [0.5, 1.0, 1.5, 2.0], "n": 0, "g": 0})
body("scatter", "x: [c], sel: i64[c], m: bool[c]", "y: [z], h: bool[z], d: [z]",
     "axis z:3  y = sum[c](x where sel == z)  h = any[c](sel == z)  d = max[c](x where sel == z)",
     {"x": [1.0, 2.0, 4.0], "sel": i([2, 0, 2]), "m": b([1, 1, 0])}, {"y": [2.0, 0.0, 5.0], "h": [1, 0, 1], "d": [2.0, -INF, 4.0]})

# ---- Reductions ----
V = [[1.0, -2.0, 3.0], [0.5, 0.5, 0.5]]
body("reductions", "x: [b, t]", "s: [b], m: [b], p: [b], a: [b], i: [b], l: [b], n: [b], c: i64[b], y: bool[b], z: bool[b]",
     "s = sum[t](x) m = mean[t](x) p = prod[t](x) a = max[t](x) i = min[t](x) l = logsumexp[t](x) n = norm[t](x) c = count[t](x > 0) y = any[t](x < 0) z = all[t](x > 0)",
     {"x": V}, {"s": [2.0, 1.5], "m": [2 / 3, 0.5], "p": [-6.0, 0.125], "a": [3.0, 0.5], "i": [-2.0, 0.5],
                "l": [log(sum(map(exp, r))) for r in V], "n": [sqrt(14), sqrt(0.75)], "c": [2, 3], "y": [1, 0], "z": [0, 1]})
body("over_nothing", "x: [t], n: i64[t]",
     "s: [], p: [], a: [], i: [], l: [], m: [], n2: [], c: i64[], y: bool[], z: bool[], ia: i64[], ii: i64[], k: i64[]",
     """e = x where t < 0  f = n where t < 0
     s = sum[t](e) p = prod[t](e) a = max[t](e) i = min[t](e) l = logsumexp[t](e) m = mean[t](e) n2 = norm[t](e) c = count[t](e)
     y = any[t](e > 0) z = all[t](e > 0) ia = max[t](f) ii = min[t](f) k = fill(argmax[t](e), -1)""",
     {"x": [1.0, 2.0], "n": i([1, 2])},
     {"s": 0.0, "p": 1.0, "a": -INF, "i": INF, "l": -INF, "m": 0.0, "n2": 0.0, "c": 0, "y": 0, "z": 1, "ia": -(2**63), "ii": 2**63 - 1, "k": -1})
body("nan_passes", "x: [t]", "a: [], i: [], s: [], l: [], p: [t], c: i64[]",
     "a = max[t](x) i = min[t](x) s = sum[t](x) l = logsumexp[t](x) p = softmax[t](x) c = count[t](x)",
     {"x": [1.0, NAN, 2.0]}, {"a": NAN, "i": NAN, "s": NAN, "l": NAN, "p": [NAN, NAN, NAN], "c": 3})
body("nan_only_if_present", "x: [t]", "a: [], p: [t], s: []", "y = x where t != 1  a = max[t](y)  p = softmax[t](y)  s = sum[t](y)",
     {"x": [1.0, NAN, 1.0]}, {"a": 1.0, "p": [0.5, 0.0, 0.5], "s": 2.0})
body("softmax_edges", "x: [b, t]", "p: [b, t]", "p = softmax[t](x where t < 2)",
     {"x": [[1.0, 1.0, 9.0], [-INF, -INF, 0.0], [-INF, 0.0, 0.0], [800.0, 800.0, 0.0], [INF, 0.0, 0.0]]},
     {"p": [[0.5, 0.5, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.5, 0.5, 0.0], [NAN, NAN, 0.0]]})
body("softmax_union", "a: [t], c: [m], s: []", "p: [t], q: [m], r: [], l: [], h: []",
     "p, q, r = softmax[t | m | _](a where t > 0, c, s)  l = logsumexp[t | _](a where t > 0, s)  h = max[t | m](a, c)",
     {"a": [5.0, 1.0], "c": [2.0], "s": 3.0},
     {"p": [0.0, softmax([1, 2, 3])[0]], "q": [softmax([1, 2, 3])[1]], "r": softmax([1, 2, 3])[2], "l": log(exp(1) + exp(3)), "h": 5.0})
body("union_skips_all", "a: [t], on: bool[], s: []", "l: [], n: i64[]", "l = logsumexp[t | _](a where on, s)  n = 1", {"a": [1.0, 2.0], "on": b(0), "s": 3.0}, {"l": 3.0, "n": 1})
body("running", "x: [t]", "s: [t], r: [t], p: [t], m: [t], w: [t]",
     "s = cumsum[t](x) r = cumsum[-t](x) p = cumprod[t](x) m = cummax[t](x) w = cumsum[t](x where t % 2 == 1)",
     {"x": [1.0, 3.0, -2.0, 4.0]}, {"s": [1.0, 4.0, 2.0, 6.0], "r": [6.0, 5.0, 2.0, 4.0], "p": [1.0, 3.0, -6.0, -24.0], "m": [1.0, 3.0, 3.0, 4.0], "w": [0.0, 3.0, 3.0, 7.0]})
body("running_composite", "x: [t=(n u:2)]", "s: [t], c: [t], m: [t]", "s = cumsum[t](x) c = cumsum[u](x) m = cummax[-t](x where t > 0)",
     {"x": [1.0, 2.0, 3.0]}, {"s": [1.0, 3.0, 6.0], "c": [1.0, 3.0, 3.0], "m": [3.0, 3.0, 3.0]})
body("empty_sequences", "x: [b, t], y: [b]", "s: [b], p: [b, t], c: [b, t], h: [b]", "s = sum[t](x) + y p = softmax[t](x) c = cumsum[t](x) H = H[t-1] + x init y h = H[t := last]",
     {"x": Shaped(2, 0), "y": [1.0, 2.0]}, {"s": [1.0, 2.0], "p": Shaped(2, 0), "c": Shaped(2, 0), "h": [1.0, 2.0]})

# ---- Absence ----
body("causal_row", "x: [j:N], q: [i:N]", "o: [i], c: i64[i]", "o = sum[j](x where j < i) + 0 * q  c = count[j](x where j <= i)",
     {"x": [1.0, 2.0, 4.0], "q": [0.0, 0.0, 0.0]}, {"o": [0.0, 1.0, 3.0], "c": [1, 2, 3]})
body("a_missing_key_has_no_score", "q: [d], k: [c, d], sel: i64[r]", "s: [r], has: bool[r], n: i64[]",
     "e = sum[d](q * k[c := sel])  s = fill(e, -9)  has = present(e)  n = count[r](e)",
     {"q": [1.0, 1.0], "k": [[1.0, 2.0], [3.0, 4.0]], "sel": i([1, -1, 2])}, {"s": [7.0, -9.0, -9.0], "has": [1, 0, 0], "n": 1})
body("cause_stays_over_nothing", "x: [h, j], on: bool[h], sel: i64[r]", "a: [h], e: [h], k: [h], m: i64[], o: [h], g: [r], f: [h], c: [h]",
     """a = fill(sum[j](x where on), -1)
     z = exp(x where on)                      // kept
     e = fill(max[j](z), -1)
     k = fill(mean[j](rank[j](z)), -1)
     m = fill(argmax[h](sum[j](z)), -1)
     o = sum[j](softmax[j](z))                // present everywhere
     g = fill(sum[h, j](x[h := sel] + 0 * h), -1) // the index has nothing to do with h and j
     f = fill(norm[j](x where on and j < h), -1)
     S = S[j-1] * 0.5 + x
     c = fill(sum[j](S where on), -1)""",
     {"x": Shaped(3, 0), "on": b([1, 0, 1]), "sel": i([2, -1])},
     {"a": [0.0, -1.0, 0.0], "e": [-INF, -1.0, -INF], "k": [0.0, -1.0, 0.0], "m": 0, "o": [0.0] * 3, "g": [0.0, -1.0], "f": [0.0, -1.0, 0.0], "c": [0.0, -1.0, 0.0]})
body("unreduced_cause_stays", "x: [h, j], on: bool[h]", "a: [h], z: [h], n: [h], m: [h]",
     """a = fill(sum[j](x where on), -1)          // absent where on is false
     z = fill(sum[j](x where j <= 0 and on), -1) // the operands of a written-out `and` count one by one
     both = j <= 0 and on
     n = fill(sum[j](x where both), -1)          // a named condition is one
     m = fill(max[j](x where j < 0), -1)""",
     {"x": [[1.0, 2.0], [3.0, 4.0]], "on": b([1, 0])}, {"a": [3.0, -1.0], "z": [1.0, -1.0], "n": [1.0, 0.0], "m": [-INF, -INF]})
body("or_is_one_condition", "x: [h, j], on: bool[h]", "a: [h]", "a = fill(sum[j](x where not (j > 0 or on)), -1)",
     {"x": [[1.0, 2.0], [3.0, 4.0]], "on": b([1, 0])}, {"a": [0.0, 3.0]})
body("where_of_where", "x: [h, j], on: bool[h]", "a: [h], c: i64[]", "y = x where on where j < 1  a = fill(sum[j](y), -1)  c = count[h, j](y)",
     {"x": [[1.0, 2.0], [3.0, 4.0]], "on": b([1, 0])}, {"a": [1.0, -1.0], "c": 1})
body("chain_is_an_and", "x: [i, j], q: [i]", "a: [i], c: [i]", "a = fill(sum[j](x where 0 < i < j + 1), -1)  c = fill(sum[j](x where 0 < i and i < j + 1), -1) + 0 * q",
     {"x": [[1.0, 2.0], [3.0, 4.0]], "q": [0.0, 0.0]}, {"a": [-1.0, 4.0], "c": [-1.0, 4.0]})
body("if_takes_one_side", "x: [t], f: bool[t]", "y: [t], s: []", "y = x[t-1] if t > 0 else 0  s = sum[t](x[t-1] if f else x)",
     {"x": [1.0, 2.0, 3.0], "f": b([1, 1, 0])}, {"y": [0.0, 1.0, 2.0], "s": 4.0})
body("if_mentions_its_condition", "x: [h, j], on: bool[h], f: bool[j]", "a: [h]", "a = fill(sum[j]((x where on) if f else x), -1)",
     {"x": [[1.0, 2.0], [3.0, 4.0]], "on": b([1, 0]), "f": b([1, 0])}, {"a": [3.0, 4.0]})
body("absent_condition_is_false", "x: [t]", "y: i64[t], c: i64[]", "y = 1 if x[t-1] > 0 else 2  c = count[t](x where x[t-1] > 0)",
     {"x": [1.0, 1.0, -1.0, 1.0]}, {"y": [2, 1, 1, 2], "c": 2})
body("kleene", "x: [t], f: bool[t]", "o: bool[t], a: bool[t], n: bool[t], d: bool[t]",
     "up = x > x[t-1]  o = fill(up or f, false)  a = fill(up and f, true)  n = fill(not up, true)  d = present(up or f)",
     {"x": [1.0, 2.0, 1.0], "f": b([1, 0, 1])}, {"o": [1, 1, 1], "a": [1, 0, 0], "n": [1, 0, 1], "d": [1, 1, 1]})
body("kleene_absent", "x: [t], f: bool[t]", "d: bool[t], e: bool[t]", "up = x > x[t-1]  d = present(up or f)  e = present(up and f)",
     {"x": [1.0, 2.0], "f": b([0, 0])}, {"d": [0, 1], "e": [1, 1]})
body("or_mentions_the_other", "x: [h], f: bool[h, j], on: bool[h]", "a: i64[h]",
     "a = fill(count[j](((x where on) > 0) or f), -1)",
     {"x": [1.0, 1.0, -1.0], "f": b([[1, 0], [1, 0], [1, 0]]), "on": b([1, 0, 1])}, {"a": [2, 1, 1]})
body("fill_with_absent", "x: [h, j], y: [h], on: bool[h]", "a: [h]", "a = fill(sum[j](fill(x where j < 1, y where on)), -1)",
     {"x": [[1.0, 2.0], [3.0, 4.0]], "y": [10.0, 20.0], "on": b([1, 0])}, {"a": [11.0, 3.0]})
body("read_takes_causes_along", "x: [c], k: i64[i, r]", "a: [i], z: [i]", "y = x where c > 0  a = sum[r](y[c := k])  z = fill(y[c := 0 * i], 5) + 0 * sum[r](k)",
     {"x": [1.0, 2.0, 4.0], "k": i([[0, 1], [2, 2]])}, {"a": [2.0, 8.0], "z": [5.0, 5.0]})
body("absent_outside_an_axis_for_another_cause_too", "x: [t], on: bool[]", "s: [], p: bool[]",
     "z = sum[t]((x where on)[t+1])  s = fill(z, 9)  p = present(sum[t](x[t+1]))",
     {"x": [1.0], "on": b(False)}, {"s": 9.0, "p": True})
body("read_outside_is_absent", "x: [t], k: i64[r]", "y: [r], s: []", "y = fill(x[t := k], -1)  s = sum[r](x[t := k])",
     {"x": [1.0, 2.0], "k": i([-1, 0, 1, 2])}, {"y": [-1.0, 1.0, 2.0, -1.0], "s": 3.0})
body("absent_index", "x: [t], k: i64[r]", "y: [r]", "y = fill(x[t := k where r > 0], -1)", {"x": [1.0, 2.0], "k": i([0, 0, 1])}, {"y": [-1.0, 1.0, 2.0]})
body("promised_indices", "E: [v], y: i64[t] in v", "o: [t]", "o = E[v := y] if y >= 0 else 7", {"E": [1.0, 2.0], "y": i([1, -1, 0])}, {"o": [2.0, 7.0, 1.0]})
body("substitution_of_any_expression", "s: [i, j]", "p: [i], q: [i]", "p = softmax[j](s)[j := 0]  q = (s + j)[j := last]",
     {"s": [[1.0, 2.0], [0.0, 0.0]]}, {"p": [softmax([1, 2])[0], 0.5], "q": [3.0, 1.0]})

# ---- Recurrences ----
body("shift_and_init", "x: [t], s: []", "h: [t], g: [t], r: [t], l: [], n: []",
     "h = 0.5 * h[t-1] + x  g = 0.5 * g[t-1] + x init s  r = r[t+1] + x init s  l = g[t := last]  n = r[t := 0]",
     {"x": [1.0, 2.0, 3.0], "s": 8.0}, {"h": [1.0, 2.5, 4.25], "g": [5.0, 4.5, 5.25], "r": [14.0, 13.0, 11.0], "l": 5.25, "n": 14.0})
body("init_from_outside", "x: [t]", "y: [t], z: [t]", "h = h[t-1] + x init 100  y = h[t-1]  z = h[t-2]", {"x": [1.0, 2.0, 3.0]}, {"y": [100.0, 101.0, 103.0], "z": [100.0, 100.0, 101.0]})
body("chunk_restarts", "x: [t=(n u:2)]", "a: [t], c: [t], e: [n]", "a = a[t-1] + x  c = c[u-1] + x  e = fill(c[n-1, u := last], -1)",
     {"x": [1.0, 2.0, 3.0, 4.0, 5.0]}, {"a": [1.0, 3.0, 6.0, 10.0, 15.0], "c": [1.0, 3.0, 3.0, 7.0, 5.0], "e": [-1.0, 3.0, 7.0]})
body("chunk_memory", "x: [t=(n u:2)]", "w: [t]", "start = w[n-1, u := last]  w = w[t-1] + x * (1 + start) init 0.5",
     {"x": [1.0, 2.0, 3.0]}, {"w": [2.0, 5.0, 23.0]})
body("coupled", "x: [t]", "a: [t], c: [t]", "a = a[t-1] + c[t-1] + x  c = a - c[t-1] init 1", {"x": [1.0, 1.0, 1.0]}, {"a": [2.0, 4.0, 8.0], "c": [1.0, 3.0, 5.0]})
body("flat_position_taken_apart", "c: [p, v], x: [p], y: [v]", "o: [k], w: []",
     "top = fill(topk[(p v), k:2](c), 0)  o = x[p := top div #v] + y[v := top % #v]  w = x[p := argmax[p, v](c) div #v]",
     {"c": [[1.0, 5.0], [7.0, 2.0]], "x": [10.0, 20.0], "y": [1.0, 2.0]}, {"o": [21.0, 12.0], "w": 20.0})
body("back_trace", "c: [t, p:3, z]", "o: i64[t, k:3]",
     "from = (k + argmax[p](c[z := 0])) % 3  o = k if t == #t - 1 else from[t := t + 1, k := o[t + 1]]",
     {"c": [[[9.0], [1.0], [1.0]], [[1.0], [9.0], [1.0]], [[1.0], [1.0], [9.0]]]},
     {"o": [[0, 1, 2], [2, 0, 1], [0, 1, 2]]})
body("start_of_the_next_chunk", "x: [t=(n u:3)]", "w: [t], c: [n]", "w = w[t+1] + x + w[n+1, u := 0] init 1  Z = Z[n+1, u := 0] + x  c = Z[u := 0]",
     {"x": [1.0, 2.0, 3.0, 3.0]}, {"w": [26.0, 20.0, 13.0, 5.0], "c": [4.0, 3.0]})
body("rounds_in_a_step", "x: [t]", "h: [t], g: [t]", "axis l:3, m:2  X = 2 * X[l-1] init h[t-1] + x  Y = Y[m-1] + 1 init X[l := last]  h = Y[m := last]"
     "  P = x + g[t-1] if l == 0 else Q[l-1]  Q = 2 * P  g = Q[l := last] init 1",
     {"x": [1.0, 2.0]}, {"h": [10.0, 98.0], "g": [16.0, 144.0]})
body("two_steps", "x: [t]", "f: [t]", "f = f[t-1] + f[t-2] + x init 1", {"x": [0.0] * 5}, {"f": [2.0, 3.0, 5.0, 8.0, 13.0]})
body("taps", "x: [t], a: [r]", "y: [t]", "y = x + sum[r](a * y[t - 1 - r])", {"x": [1.0, 0.0, 0.0, 0.0], "a": [0.5, 0.25]}, {"y": [1.0, 0.5, 0.5, 0.375]})
body("cycle_moves_along_no_axis_more_than_it_needs", "x: [t, u]", "a: [t, u]",
     "p = a[t-1]; a = x + fill(p[u-1], 100) + fill(p[u-2], 1000)",
     {"x": [[1, 1, 1], [1, 1, 1]]}, {"a": [[1101, 1001, 1], [1101, 2102, 2103]]})
body("wavefront", "w: [i, j]", "H: [i, j]", "H = w + max(H[i-1, j-1], H[i-1] - 1, H[j-1] - 1) init 0",
     {"w": [[1.0, 2.0], [3.0, 4.0]]}, {"H": [[1.0, 2.0], [3.0, 6.0]]})
body("leaving_another_axis", "x: [t, c]", "h: [t, c]", "h = x + fill(h[t-1, c := c-1], 10) init 5", {"x": [[1.0, 2.0], [3.0, 4.0]]}, {"h": [[11.0, 7.0], [13.0, 15.0]]})
body("rounds", "x: [d]", "y: [d]", "axis l:3  z = 2 * z[l-1] + 1 init x  y = z[l := last]", {"x": [0.0, 1.0]}, {"y": [7.0, 15.0]})
body("another_name", "x: [t]", "y: [t]", "S = S[t-1] + x init 3  h = S  y = h[t-1]", {"x": [1.0, 2.0]}, {"y": [3.0, 4.0]})
body("shift_by_param", "x: [t]", "h: [t]", "param dir = -1  h = h[t - dir] + x", {"x": [1.0, 2.0, 3.0]}, {"h": [6.0, 5.0, 3.0]})
case("function_with_recurrence", """fn ema[t](x, g, s0) {
  h = g * h[t-1] + (1 - g) * x  init s0
  return h, h[t := last]
}
fn rms[c](x) = x * rsqrt(mean[c](x * x))
mixer m(x: [t], g: [t]) -> (y: [t], l: [], r: [t]) { y, l = ema[t](x, g, 4)  r = rms[t](x) }
""", {"x": [2.0, 6.0], "g": [0.5, 0.25]}, {"y": [3.0, 5.25], "l": 5.25, "r": [2 / sqrt(20), 6 / sqrt(20)]})

# ---- Selection ----
S = [1.0, 3.0, NAN, 3.0, -INF, 2.0]
body("topk", "x: [m]", "s: i64[r:7], v: [r]", "k = topk[m, r](x)  s = fill(k, -1)  v = fill(x[m := k], 9)", {"x": S},
     {"s": [1, 3, 5, 0, 4, -1, -1], "v": [3.0, 3.0, 2.0, 1.0, -INF, 9.0, 9.0]})
body("topk_masked", "x: [m]", "s: i64[r:2], n: i64[]", "k = topk[m, r](x where m > 2)  s = fill(k, -1)  n = count[r](k)", {"x": [1.0, 3.0, 5.0, 3.0]}, {"s": [3, -1], "n": 1})
body("topk_composite", "x: [t=(n u:2)]", "s: i64[r:4]", "s = fill(topk[t, r](x), -1)", {"x": [1.0, 3.0, 2.0]}, {"s": [1, 2, 0, -1]})
body("topk_int", "x: i64[m]", "s: i64[r:2]", "s = fill(topk[m, r](x), -1)", {"x": i([5, 7, 7])}, {"s": [1, 2]})
body("argsort_sort_rank", "x: [m]", "a: i64[k], s: [k], r: i64[m]", "a = argsort[m, k](x)  s = sort[m, k](x)  r = rank[m](x)", {"x": S},
     {"a": [4, 0, 5, 1, 3, 2], "s": [-INF, 1.0, 2.0, 3.0, 3.0, NAN], "r": [3, 0, 5, 1, 4, 2]})
body("rank_counts_present", "x: [m], n: i64[]", "s: [], r: i64[m]", "y = x where m != 1  s = sum[m](x where rank[m](y) < n)  r = fill(rank[m](y), -1)",
     {"x": [1.0, 9.0, 3.0, 2.0], "n": i(2)}, {"s": 5.0, "r": [2, -1, 0, 1]})
body("argmax_argmin", "x: [b, m]", "a: i64[b], i: i64[b]", "a = fill(argmax[m](x), -1)  i = fill(argmin[m](x), -1)",
     {"x": [[1.0, 3.0, 3.0, 1.0], [NAN, -INF, NAN, INF], [NAN, NAN, NAN, NAN]]}, {"a": [1, 3, 0], "i": [0, 1, 0]})
body("argmax_masked", "x: [b, m], on: bool[b]", "a: i64[b], p: i64[]", "a = fill(argmax[m](x where m > 0 where on), -1)  p = fill(argmax[b, m](x where on), -1)",
     {"x": [[5.0, 1.0], [7.0, 2.0]], "on": b([1, 0])}, {"a": [1, -1], "p": 0})

# ---- grad ----
body("grad_basic", "x: [t], w: [t]", "g: [t], h: [t]", "L = sum[t](x * x * w)  g = grad(L, x)  h = grad(x ** 3, x)", {"x": [1.0, -2.0], "w": [3.0, 5.0]}, {"g": [6.0, -20.0], "h": [3.0, 12.0]})
body("grad_kept", "x: [t], W: [c]", "g: [t, c]", "g = grad[t](x * sum[c](W * W), W)", {"x": [1.0, 2.0], "W": [3.0, 4.0]}, {"g": [[6.0, 8.0], [12.0, 16.0]]})
body("grad_sums_broadcast", "x: [t], w: []", "g: []", "g = grad(x * w, w)", {"x": [1.0, 2.0, 4.0], "w": 3.0}, {"g": 7.0})
body("grad_of_equation", "x: [t]", "g: [t]", "y = exp(x)  g = grad(y * y, y)", {"x": [0.0, 1.0]}, {"g": [2.0, 2 * exp(1)]})
_p = softmax([1, 2, 3])
body("grad_softmax", "x: [t]", "g: [t], l: [t]", "p = softmax[t](x)  g = grad(sum[t](p * t), x)  l = grad(logsumexp[t](x), x)", {"x": [1.0, 2.0, 3.0]},
     {"g": [_p[k] * (k - sum(_p[q] * q for q in range(3))) for k in range(3)], "l": _p})
body("grad_through_scan", "x: [t], a: []", "g: [], d: [t]", "h = a * h[t-1] + x  g = grad(h[t := last], a)  d = grad(h[t := last], x)",
     {"x": [1.0, 2.0, 3.0], "a": 0.5}, {"g": 2 * 0.5 * 1 + 2.0, "d": [0.25, 0.5, 1.0]})
body("grad_through_gather", "E: [v], y: i64[t]", "g: [v]", "g = grad(fill(E[v := y], 0) * (t + 1), E)", {"E": [1.0, 1.0, 1.0], "y": i([2, 0, 2, -1])}, {"g": [2.0, 0.0, 4.0]})
body("grad_ties", "x: [t]", "a: [t], m: [t], z: [t], n: [t], c: [t], r: [t]",
     "a = grad(max[t](x), x) m = grad(max(x, 1), x) z = grad(abs(x) , x) n = grad(norm[t](x * 0), x) c = grad(clamp(x, 0, 1), x) r = grad(relu(x), x)",
     {"x": [1.0, 1.0, 0.0, -2.0]},
     {"a": [0.5, 0.5, 0.0, 0.0], "m": [0.5, 0.5, 0.0, 0.0], "z": [1.0, 1.0, 0.0, -1.0], "n": [0.0] * 4, "c": [1.0, 1.0, 1.0, 0.0], "r": [1.0, 1.0, 0.0, 0.0]})
body("grad_constants", "x: [t]", "f: [t], d: [t], s: [t]", "f = grad(floor(x) * x, x) d = grad(x * detach(x) * x, x) s = grad(x[t := argmax[t](x)] * x, x)",
     {"x": [1.5, 2.5]}, {"f": [1.0, 2.0], "d": [4.5, 12.5], "s": [2.5, 2.5 + 4.0]})
body("grad_absent", "x: [t]", "g: [t]", "g = grad(x * x where t > 0, x)", {"x": [3.0, 4.0]}, {"g": [0.0, 8.0]})
body("grad_second_order", "x: [t]", "g: [t]", "g = grad(grad(x ** 4, x), x)", {"x": [1.0, 2.0]}, {"g": [12.0, 48.0]})
body("grad_second_order_softmax", "x: [t], y: []", "g: []", "s = logsumexp[t](x * y)  g = grad(grad(s, y), y)", {"x": [1.0, 2.0, 3.0], "y": 1.0},
     {"g": sum(_p[k] * (k + 1) ** 2 for k in range(3)) - sum(_p[k] * (k + 1) for k in range(3)) ** 2})
body("grad_sort_cum", "x: [t]", "a: [t], c: [t], p: [t], m: [t]",
     "a = grad(sum[k](sort[t, k](x) * (k + 1)), x)  c = grad(cumsum[t](x) * (t + 1), x)  p = grad(cumprod[t](x), x)  m = grad(cummax[t](x), x)",
     {"x": [3.0, 1.0, 2.0]}, {"a": [3.0, 1.0, 2.0], "c": [6.0, 5.0, 3.0], "p": [1 + 1 + 2.0, 3 + 6.0, 3.0], "m": [3.0, 0.0, 0.0]})
body("grad_prod_with_zero", "x: [t]", "g: [t]", "g = grad(prod[t](x), x)", {"x": [0.0, 2.0, 3.0]}, {"g": [6.0, 0.0, 0.0]})
body("memory_step", "k: [t], v: [t], W0: []", "w: [t]",
     "P = W[t-1]  W = W[t-1] - 0.5 * grad((P * k - v) ** 2 / 2, P) init W0  w = W", {"k": [1.0, 2.0], "v": [1.0, 0.0], "W0": 3.0}, {"w": [2.0, -2.0]})
body("memory_chunk", "k: [t=(n u:2)], v: [t], W0: []", "w: [t]",
     "P = W[n-1, u := last]  W = W[t-1] - grad[u](P * P * k, P) init W0  w = W + 0 * v", {"k": [1.0, 1.0, 1.0], "v": [0.0] * 3, "W0": 1.0},
     {"w": [-1.0, -3.0, 3.0]})
# W' = W - a (W - v), W(0) = w0: the memory after two steps is w0 (1-a)^2 + ..., whose derivative by w0 goes through the inner gradient.
body("grad_through_inner_gradient", "v: [t], a: [], w0: []", "g: [], h: []",
     "P = W[t-1]  W = W[t-1] - a * grad((P - v) ** 2 / 2, P) init w0  y = W[t := last]  g = grad(y, w0)  h = grad(y, a)",
     {"v": [1.0, 2.0], "a": 0.25, "w0": 5.0}, {"g": 0.75**2, "h": -0.75 * (5 - 1) - (5 - 0.25 * 4 - 2)})

# A choice inside a cycle has its natural bounds too, whether it is made now or was made a step ago.
body("index_chosen_in_a_cycle", "x: [m], s: [m]", "y: [l], total: []",
     """axis l:3
  left: [l, m] = left[l-1] and m != pick  init s > 0
  pick = fill(argmax[m](s where left[l-1]), -1)
  S = S[l-1] + (x[m := pick] if pick >= 0 else 0)
  y = S  total = S[l := last]""", {"x": [1.0, 10.0, 100.0], "s": [5.0, -1.0, 7.0]}, {"y": [100.0, 101.0, 101.0], "total": 101.0})
body("index_from_a_step_ago", "next: [m, m'], x: [m]", "y: [l]",
     "axis l:4  at = fill(argmax[m'](next[m := at[l-1]]), 0)  y = x[m := at] + x[m := at[l-1]] * 100 if l > 0 else 0",
     {"next": [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], "x": [1.0, 2.0, 3.0]}, {"y": [0.0, 203.0, 301.0, 102.0]})


def _numeric(fn, x, h=1e-5):
    return (8 * (fn(x + h) - fn(x - h)) - (fn(x + 2 * h) - fn(x - 2 * h))) / (12 * h)


_Z = [0.3, 0.7, 1.4]
for _name, _call, _fn in [
    ("exp", "exp(x)", exp), ("exp2", "exp2(x)", lambda x: 2**x), ("expm1", "expm1(x)", math.expm1), ("log", "log(x)", log), ("log1p", "log1p(x)", math.log1p),
    ("sqrt", "sqrt(x)", sqrt), ("rsqrt", "rsqrt(x)", lambda x: 1 / sqrt(x)), ("sin", "sin(x)", math.sin), ("cos", "cos(x)", math.cos), ("tanh", "tanh(x)", tanh),
    ("sigmoid", "sigmoid(x)", sigmoid), ("logsigmoid", "logsigmoid(x)", lambda x: log(sigmoid(x))), ("softplus", "softplus(x)", lambda x: math.log1p(exp(x))),
    ("silu", "silu(x)", lambda x: x * sigmoid(x)), ("gelu", "gelu(x)", lambda x: x / 2 * (1 + erf(x / sqrt(2)))),
    ("gelu_tanh", "gelu_tanh(x)", lambda x: x / 2 * (1 + tanh(sqrt(2 / math.pi) * (x + 0.044715 * x**3)))), ("erf", "erf(x)", erf),
    ("pow", "x ** 2.5", lambda x: x**2.5), ("pow_base", "2 ** x", lambda x: 2**x), ("pow_self", "x ** x", lambda x: x**x), ("div", "x / (1 + x * x)", lambda x: x / (1 + x * x)),
    ("logaddexp", "logaddexp(x, 2 * x, 0)", lambda x: log(exp(x) + exp(2 * x) + 1)), ("mod", "(2 * x) % 0.5", lambda x: (2 * x) % 0.5),
    ("norm", "norm[r](x * (r + 1))", lambda x: abs(x) * sqrt(5)), ("mean", "mean[r](x ** (r + 1))", lambda x: (x + x * x) / 2),
]:
    _decl = "x: [t], e: [r]" if "[r]" in _call else "x: [t]"
    _in = {"x": _Z} | ({"e": [0.0, 0.0]} if "[r]" in _call else {})
    body("slope_" + _name, _decl, "g: [t]", f"g = grad({_call}, x)", _in, {"g": ("near", [_numeric(_fn, x) for x in _Z])})
    body("curve_" + _name, _decl, "g: [t]", f"g = grad(grad({_call}, x), x)", _in, {"g": ("near", [_numeric(lambda y: _numeric(_fn, y, 1e-3), x, 1e-3) for x in _Z])})
