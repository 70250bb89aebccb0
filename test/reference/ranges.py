#!/usr/bin/env python3
"""Every built-in over its whole range, compiled against the reference, in f64, f32, bf16 and f16.

    python3 test/reference/ranges.py --attnc build/bin/attnc [--dtype f32] [--worst]

Arguments run from the smallest denormal to the largest number of the dtype, with both zeros, infinities, NaN and the
neighbourhood of each function's special points. Compiled code computes in f32 (f64 for f64); what it may be off by is
a number of ulps of the result in that type, stated per function below, or of a scale where the function has zeros that
no rounding of its argument hits. NaN and infinity have to come out at the same places. What selects, compares or casts
has to be exact. The list of built-ins is read from the compiler, so a new one has to get its line here.
"""
import json
import os
import re
import subprocess
import sys
import tempfile

import numpy

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import suite  # noqa: E402

FLOATS = {  # largest, smallest normal, smallest, distance from 1 to the next
    "f64": (numpy.finfo("f8").max, 2.0**-1022, 2.0**-1074, 2.0**-52),
    "f32": (float(numpy.finfo("f4").max), 2.0**-126, 2.0**-149, 2.0**-23),
    "bf16": (float.fromhex("0x1.fep127"), 2.0**-126, 2.0**-133, 2.0**-7),
    "f16": (65504.0, 2.0**-14, 2.0**-24, 2.0**-10),
}

LOST = "lost"  # where 1 / (1 + exp) is below the least normal number it may come out as 0
TAIL = "tail"  # e^(-x^2 / 2) until it vanishes: rounding x^2 / 2 costs that many ulps

# name -> (ulps, absolute scale): |error| <= ulps * eps * max(|result|, scale).
UNARY = {
    "exp": (4, 0), "exp2": (4, 0), "expm1": (4, 0), "log": (4, 0), "log1p": (4, 0), "sqrt": (1, 0), "rsqrt": (3, 0),
    "sin": (2, 1), "cos": (2, 1), "tanh": (8, 0), "erf": (8, 0), "sigmoid": (8, LOST), "logsigmoid": (8, 0),
    "softplus": (8, 0), "silu": (8, LOST), "gelu": (TAIL, 0), "gelu_tanh": (TAIL, LOST), "relu": (0, 0), "abs": (0, 0),
    "sign": (0, 0), "floor": (0, 0), "ceil": (0, 0), "round": (0, 0), "isfinite": (0, 0),
}
BINARY = {  # expression, ulps, absolute scale
    "min": ("min(x, y)", 0, 0), "max": ("max(x, y)", 0, 0), "pow": ("pow(x, y)", 2, 0),
    "logaddexp": ("logaddexp(x, y)", 8, 1), "clamp": ("clamp(x, min(y, -y), max(y, 1))", 0, 0),
    "plus": ("x + y", 1, 0), "minus": ("x - y", 1, 0), "times": ("x * y", 1, 0), "over": ("x / y", 1, 0),
    "less": ("x < y", 0, 0), "same": ("x == y", 0, 0),
}
INTEGER = {
    "ilog2": "ilog2(n)", "bitand": "bitand(n, k)", "bitor": "bitor(n, k)", "bitxor": "bitxor(n, k)", "shl": "shl(n, k)",
    "shr": "shr(n, k)", "abs": "abs(n)", "sign": "sign(n)", "quotient": "n div k", "rest": "n % k",
}
# Derivatives; where the function is flat they cancel, so the scale is 1.
GRADS = {
    "exp": (4, 0), "exp2": (4, 0), "expm1": (4, 0), "log": (2, 0), "log1p": (2, 0), "sqrt": (2, 0), "rsqrt": (4, 0),
    "sin": (2, 1), "cos": (2, 1), "tanh": (4, 1), "erf": (TAIL, 0), "sigmoid": (8, LOST), "logsigmoid": (8, LOST),
    "softplus": (8, LOST), "silu": (8, 1), "gelu": (8, 1), "gelu_tanh": (16, 1), "relu": (0, 0), "abs": (0, 0),
}
REDUCTIONS = ["sum", "mean", "max", "min", "any", "all", "count", "logsumexp", "norm", "prod"]
OTHERS = ["softmax", "cumsum", "cumprod", "cummax", "topk", "argsort", "sort", "rank", "argmax", "argmin", "grad", "detach",
          "given", "fill", "present"]


def known_builtins():
    """Names in the tables of frontend/CheckCall.cpp."""
    with open(os.path.join(suite.ROOT, "frontend", "CheckCall.cpp")) as f:
        text = f.read()
    tables = text[text.index("kElementwise[] ="):text.index("} // namespace")]
    return set(re.findall(r'"(\w+)"', tables))


def points(dtype):
    """Arguments of functions of one variable."""
    top, normal, tiny, eps = FLOATS[dtype]
    special = [0.0, tiny, 3 * tiny, normal, normal * (1 - eps), top, top * (1 - eps), numpy.inf]
    special += [10.0**e for e in range(-300, 308, 6)] + [2.0**e for e in (-149, -126, -24, 24, 63, 64, 127)]
    special += [a * (1 + k * eps) for a in (0.5, 1, 1.5, 2, 2.5, 3, numpy.pi / 2, numpy.pi, 4, 5.5, 9, 88.7, 89, 103, 104, 128, 150, 709, 745)
                for k in (-1, 0, 1)]
    special += list(numpy.linspace(0, 20, 161)) + list(numpy.geomspace(1e-8, 1e5, 120))
    x = numpy.array(special + [-v for v in special] + [numpy.nan])
    return numpy.unique(x[~(numpy.abs(x) > top) | numpy.isinf(x)])


def rows(dtype):
    """Rows of 9 for reductions: every order of magnitude, and each special value among ordinary ones."""
    top, normal, tiny, _ = FLOATS[dtype]
    r = numpy.random.default_rng(1)
    base = [r.standard_normal(9) for _ in range(6)] + [numpy.arange(9.0), numpy.ones(9), numpy.linspace(-1, 1, 9) ** 3]
    magnitudes = [tiny, 8 * tiny, normal, 1e-30, 1e-18, 1e-4, 1, 30, 1e3, 1e4, 1e18, 1e30, top / 64]
    out = [b * m for b in base for m in magnitudes if m <= top / 64]
    for values in ([numpy.inf], [-numpy.inf], [numpy.nan], [numpy.inf, -numpy.inf], [numpy.inf, numpy.nan], [0.0, -0.0], [top / 64, -top / 64],
                   [1e3, -1e3], [1e30, 1e-30]):
        for b in base[:3]:
            row = b.copy()
            for k, v in enumerate(values):
                row[(3 * k + len(out)) % 9] = v
            out.append(row)
    out += [numpy.full(9, v) for v in (0.0, -0.0, numpy.inf, -numpy.inf, numpy.nan, top / 64, -1e3)]
    x = numpy.array(out)
    return x[(~(numpy.abs(x) > top) | numpy.isinf(x)).all(axis=1)]


def stored(x, dtype):
    """The values as the dtype has them, in float64, and what a file holds."""
    if dtype == "bf16":
        f = x.astype("f4")
        bits = f.view("u4").astype("u8")
        rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
        rounded = numpy.where(numpy.isnan(f), 0x7FC0, rounded).astype("u2")
        return (rounded.astype("u4") << 16).view("f4").astype("f8"), rounded
    raw = x.astype({"f64": "f8", "f32": "f4", "f16": "f2", "i64": "i8", "i32": "i4"}[dtype])
    return raw.astype("f8") if raw.dtype.kind == "f" else raw, raw


def write_safetensors(path, tensors):
    """{name: (dtype, raw array)}"""
    header, at, data = {}, 0, b""
    for name, (dtype, raw) in tensors.items():
        header[name] = {"dtype": dtype.upper(), "shape": list(raw.shape), "data_offsets": [at, at + raw.nbytes]}
        at += raw.nbytes
        data += raw.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text + data)


class Case:
    """One spec: inputs {name: (declaration, dtype, values)}, outputs {name: (declaration, expression, ulps, scale)}."""

    def __init__(self, title, inputs, outputs, before=""):
        self.title, self.inputs, self.outputs, self.before = title, inputs, outputs, before

    def text(self):
        ins = ", ".join(f"{n}: {d}" for n, (d, _, _) in self.inputs.items())
        outs = ", ".join(f"{n}: {d}" for n, (d, *_) in self.outputs.items())
        body = "\n".join(f"  {n} = {e}" for n, (_, e, *_) in self.outputs.items())
        return f"mixer m({ins}) -> ({outs}) {{\n{self.before}{body}\n}}\n"


def cases(dtype):
    real = "f64" if dtype == "f64" else "f32"
    x = stored(points(dtype), dtype)[0]
    one = {"x": ("[t] = 0", dtype, x)}
    yield Case("functions", one, {f"{n}_": (f"{real if n != 'isfinite' else 'bool'}[t]", f"{n}(x)", u, s) for n, (u, s) in UNARY.items()})
    yield Case("derivatives", one, {f"{n}_": (f"{real}[t]", f"grad({n}(x), x)", u, s) for n, (u, s) in GRADS.items()})
    casts = {f"{n}_": (f"{real}[t]", f"{n}(x)", 0, 0) for n in ("f16", "bf16", "f32")} | {f"{n}_": (f"{n}[t]", f"{n}(x)", 0, 0) for n in ("i32", "i64", "bool")}
    casts["detach_"] = (f"{real}[t]", "detach(x)", 0, 0)
    casts["f64_"] = ("f64[t]", "f64(x)", 0, 0)
    casts["given_"] = ("bool[t]", "x == x if given(x) else false", 0, 0)
    casts["fill_"] = (f"{real}[t]", "fill(x where x > 1, -1)", 0, 0)
    casts["present_"] = ("bool[t]", "present(x where x > 1)", 0, 0)
    yield Case("casts", one, casts)

    few = x[:: max(1, len(x) // 30)]
    few = numpy.concatenate([few, [0.0, -0.0, 1, -1, 2, -2, 3, 0.5, numpy.inf, -numpy.inf, numpy.nan]])
    a, b = numpy.meshgrid(few, few)
    yield Case("pairs", {"x": ("[t]", dtype, a.ravel()), "y": ("[t]", dtype, b.ravel())},
               {f"{n}_": (f"{'bool' if n in ('less', 'same') else real}[t]", e, u, s) for n, (e, u, s) in BINARY.items()})

    r = stored(rows(dtype), dtype)[0]
    size = numpy.where(numpy.isfinite(r), numpy.abs(r), 0)
    total, largest = size.sum(axis=1), size.max(axis=1)
    outs = {}
    for n in REDUCTIONS:
        scale = {"sum": total, "mean": total / 9, "logsumexp": numpy.maximum(largest, 1)}.get(n, 0)
        kind = {"any": "bool", "all": "bool", "count": "i64"}.get(n, real)
        outs[f"{n}_"] = (f"{kind}[t]", f"{n}[r](x)", {"sum": 9, "mean": 10, "logsumexp": 4, "norm": 4, "prod": 9}.get(n, 0), scale)
    outs["softmax_"] = (f"{real}[t, r]", "softmax[r](x)", 800 if real == "f64" else 120, 0)
    # The reference rounds the logsumexp before it subtracts.
    scale = numpy.maximum(1, largest * FLOATS["f64"][3] / FLOATS[real][3])
    outs["log_softmax_"] = (f"{real}[t, r]", "x - logsumexp[r](x)", 8, scale[:, None])
    outs["loss_"] = (f"{real}[t]", "logsumexp[r](x) - x[r := 3]", 8, scale)
    outs["union_"] = (f"{real}[t]", "logsumexp[r | _](x, 0)", 4, numpy.maximum(largest, 1))
    outs["cumsum_"] = (f"{real}[t, r]", "cumsum[r](x)", 9, total[:, None])
    outs["cummax_"] = (f"{real}[t, r]", "cummax[r](x)", 0, 0)
    outs["cumback_"] = (f"{real}[t, r]", "cumsum[-r](x)", 9, total[:, None])
    unit = {"prod_", "cumprod_"}
    yield Case("reductions", {"x": ("[t, r:9]", dtype, r)}, {k: v for k, v in outs.items() if k not in unit})
    # Products leave the range on the way unless all orders of magnitude are near 1.
    mild = r[((size < 1e2) & ((size > 1e-2) | (size == 0))).all(axis=1)]
    yield Case("products", {"x": ("[t, r]", dtype, mild)},
               {"prod_": (f"{real}[t]", "prod[r](x)", 9, 0), "cumprod_": (f"{real}[t, r]", "cumprod[r](x)", 9, 0)})
    few = numpy.concatenate([r, numpy.round(r * 2) / 2, numpy.where(r > 0, numpy.nan, r)])
    yield Case("orders", {"x": ("[t, r]", dtype, stored(few, dtype)[0])}, {
        "rank_": ("i64[t, r]", "rank[r](x)", 0, 0), "argsort_": ("i64[t, p]", "fill(argsort[r, p](x), -1)", 0, 0),
        "sort_": (f"{real}[t, p]", "fill(sort[r, p](x), -1)", 0, 0), "topk_": ("i64[t, q]", "fill(topk[r, q:4](x), -1)", 0, 0),
        "argmax_": ("i64[t]", "argmax[r](x)", 0, 0), "argmin_": ("i64[t]", "argmin[r](x)", 0, 0)})


def integer_cases():
    edge = [0, 1, 2, 3, 5, 7, 8, 63, 64, 65, 255, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**62, 2**63 - 1]
    for dtype in ("i32", "i64"):
        bits = int(dtype[1:])
        n = numpy.array([v for v in edge + [-v for v in edge] + [-2**63, -2**31] if -(2 ** (bits - 1)) <= v < 2 ** (bits - 1)], dtype=f"i{bits // 8}")
        a, b = numpy.meshgrid(n, n)
        yield dtype, Case("integers", {"n": (f"{dtype}[t]", dtype, a.ravel()), "k": (f"{dtype}[t]", dtype, b.ravel())},
                          {f"{k}_": ("i64[t]", e, 0, 0) for k, e in INTEGER.items()})


def difference(got, expected, ulps, scale, dtype):
    """(None or what is wrong, worst error as a part of what is allowed)."""
    if got.dtype.kind != "f":
        wrong = got.astype("i8") != expected.astype("i8")
        return (f"{wrong.sum()} differ" if wrong.any() else None), wrong
    top, normal, tiny, eps = FLOATS["f64" if dtype == "f64" else "f32"]
    if ulps == TAIL:
        ulps = -2 * numpy.log(tiny)
    if isinstance(scale, str):
        scale = 128 * normal / eps
    got, expected = got.astype("f8"), expected.astype("f8")
    with numpy.errstate(all="ignore"):
        allowed = ulps * eps * numpy.maximum(numpy.abs(expected), scale) + ulps * tiny
        # Beyond the largest number there is infinity, a factor before it or after it.
        rounded = numpy.where(numpy.abs(expected) > top * (1 + eps / 4), numpy.sign(expected) * numpy.inf, expected)
        same = (got == rounded) | (numpy.isnan(got) & numpy.isnan(expected))
        near = numpy.abs(numpy.clip(got, -top, top) - numpy.clip(expected, -top, top)) <= allowed
        near &= ~numpy.isinf(got) & ~numpy.isinf(expected)
        near |= (got == numpy.sign(expected) * numpy.inf) & (numpy.abs(expected) > top / 2)
        if ulps == 0:  # the type of the result alone rounds
            near |= got == expected.astype("f8" if dtype == "f64" else "f4").astype("f8")
        part = numpy.where(same, 0, numpy.abs(got - expected) / numpy.maximum(allowed, tiny))
    return (None if (same | near).all() else f"{(~(same | near)).sum()} of {got.size} differ"), numpy.where(same | near, part, numpy.inf)


def run(attnc, dtype, case, folder):
    """(worst part of what is allowed, lines about what is wrong) for every output."""
    spec = os.path.join(folder, "m.attn")
    with open(spec, "w") as f:
        f.write(case.text())
    write_safetensors(f"{folder}/in.safetensors", {n: (t, stored(v, t)[1]) for n, (_, t, v) in case.inputs.items()})
    results = {}
    for mode in ("eval", "run"):
        files = [f"{n}={folder}/{mode}-{n}.npy" for n in case.outputs]
        done = subprocess.run([attnc, mode, spec, "--in", f"all={folder}/in.safetensors", "--out", *files], capture_output=True, text=True)
        if done.returncode:
            yield case.title, 0, done.stderr.strip()
            return
        results[mode] = {n: numpy.load(f"{folder}/{mode}-{n}.npy") for n in case.outputs}
    for n, (_, expression, ulps, scale) in case.outputs.items():
        got, expected = results["run"][n], results["eval"][n]
        wrong, part = difference(got, expected, ulps, scale, dtype)
        what = None
        if wrong:
            at = tuple(numpy.argwhere(part == part.max())[0])
            given = ", ".join(f"{k} = {v[at[: v.ndim]] if v.ndim >= len(at) else v[at[:v.ndim]]!r}" for k, (_, _, v) in case.inputs.items())
            what = f"{expression}: {wrong}, as at {given}: {got[at]!r} instead of {expected[at]!r}"
        yield n.rstrip("_"), float(part.max(initial=0)), what


def main():
    parser = suite.options(__doc__)
    parser.add_argument("--dtype", nargs="*", default=list(FLOATS))
    parser.add_argument("--worst", action="store_true", help="print each function's largest error, as a part of what is allowed")
    args = parser.parse_args()
    passed, wrong = 0, []
    covered = set(UNARY) | set(BINARY) | set(INTEGER) | set(REDUCTIONS) | set(OTHERS)
    for name in sorted(known_builtins() - covered):
        wrong.append(f"{name}: no range is tested")

    def one(job):
        with tempfile.TemporaryDirectory(prefix="attnc-ranges-") as folder:
            return list(run(args.attnc, *job, folder))

    jobs = [(d, c) for d in args.dtype for c in cases(d)] + list(integer_cases())
    for (dtype, case), results in suite.side_by_side(one, jobs, args.jobs):
        for name, part, what in results:
            if args.worst:
                print(f"{dtype:5} {case.title:12} {name:12} {part:.2f}")
            if what:
                wrong.append(f"{dtype} {case.title}, {what}")
            else:
                passed += 1
    for w in wrong:
        print(w)
    return suite.report("ranges", passed, len(wrong))


if __name__ == "__main__":
    sys.exit(main())
