#!/usr/bin/env python3
"""Masks of softmax attention, compiled, against numpy.

    python3 test/reference/masks.py --attnc build/bin/attnc [--match WORD] [--jobs N]

Each mask at lengths around the edges of blocks of rows and keys, with finite inputs and with NaN or infinity at some
positions: of k, which only those see that the mask lets, and of v, which all see, since a weight of 0 is there. What
`attnc show --mask` says of each is compared too: it must visit all that is kept, evaluate the mask wherever something
is not, and count right.
"""
import json
import os
import subprocess
import sys
import tempfile

import numpy

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import suite  # noqa: E402

# Name: condition, further inputs, the same from numpy: i, j are a column and a row of positions, x the inputs.
DOC = ", doc: i32[b, n:N]"
MASKS = {
    "causal": ("j <= i", "", lambda i, j, x: j <= i),
    "strict": ("j < i", "", lambda i, j, x: j < i),
    "anticausal": ("not (j < i)", "", lambda i, j, x: j >= i),
    "window": ("j <= i and i - j < 37", "", lambda i, j, x: (j <= i) & (i - j < 37)),
    "two_sided": ("abs(i - j) <= 50", "", lambda i, j, x: abs(i - j) <= 50),
    "outside_window": ("not (abs(i - j) <= 50)", "", lambda i, j, x: abs(i - j) > 50),
    "dilated": ("j <= i and i - j < 200 and (i - j) % 3 == 0", "",
                lambda i, j, x: (j <= i) & (i - j < 200) & ((i - j) % 3 == 0)),
    "strided": ("j <= i and (i - j < 16 or (i - j) % 128 == 0)", "",
                lambda i, j, x: (j <= i) & ((i - j < 16) | ((i - j) % 128 == 0))),
    "columns": ("j % 100 < 30", "", lambda i, j, x: (j % 100 < 30) & (i >= 0)),
    "prefix": ("j <= i or j < 90", "", lambda i, j, x: (j <= i) | (j < 90)),
    "not_prefix": ("not (j <= i or j < 90)", "", lambda i, j, x: ~((j <= i) | (j < 90))),
    "block_local": ("i div 48 == j div 48", "", lambda i, j, x: i // 48 == j // 48),
    "other_blocks": ("i div 48 != j div 48", "", lambda i, j, x: i // 48 != j // 48),
    "block_causal": ("j div 40 <= i div 40", "", lambda i, j, x: j // 40 <= i // 40),
    "chunked": ("j <= i and j >= i - i % 96", "", lambda i, j, x: (j <= i) & (j >= i - i % 96)),
    "global_window": ("j <= i and (i - j < 40 or j < 9)", "",
                      lambda i, j, x: (j <= i) & ((i - j < 40) | (j < 9))),
    "longformer": ("abs(i - j) <= 20 or j < 5 or i < 5", "",
                   lambda i, j, x: (abs(i - j) <= 20) | (j < 5) | (i < 5)),
    "three_bands": ("abs(i - j) < 9 or abs(i - j - 150) < 9 or abs(j - i - 150) < 9", "",
                    lambda i, j, x: (abs(i - j) < 9) | (abs(i - j - 150) < 9) | (abs(j - i - 150) < 9)),
    "picture": ("abs(i div 20 - j div 20) <= 2 and abs(i % 20 - j % 20) <= 2", "",
                lambda i, j, x: (abs(i // 20 - j // 20) <= 2) & (abs(i % 20 - j % 20) <= 2)),
    "wide_picture": ("abs(i div 150 - j div 150) <= 1 and abs(i % 150 - j % 150) <= 9", "",
                     lambda i, j, x: (abs(i // 150 - j // 150) <= 1) & (abs(i % 150 - j % 150) <= 9)),
    "slope": ("3 * j <= 2 * i + 7", "", lambda i, j, x: 3 * j <= 2 * i + 7),
    "mirrored": ("i + j < #i", "", lambda i, j, x: i + j < i.size),
    "clipped": ("min(j, 60) <= i and max(i, 70) - 33 <= max(j, 12)", "",
                lambda i, j, x: (numpy.minimum(j, 60) <= i) & (numpy.maximum(i, 70) - 33 <= numpy.maximum(j, 12))),
    "nobody": ("j > i + #i", "", lambda i, j, x: j > i + i.size),
    "documents": ("doc[n := i] == doc[n := j]", DOC, lambda i, j, x: x["doc"][:, i] == x["doc"][:, j]),
    "causal_documents": ("doc[n := i] == doc[n := j] and j <= i", DOC,
                         lambda i, j, x: (x["doc"][:, i] == x["doc"][:, j]) & (j <= i)),
    "later_documents": ("doc[n := i] < doc[n := j]", DOC, lambda i, j, x: x["doc"][:, i] < x["doc"][:, j]),
    "not_documents": ("not (doc[n := i] == doc[n := j])", DOC, lambda i, j, x: x["doc"][:, i] != x["doc"][:, j]),
    "padding": ("j < len", ", len: i32[b]", lambda i, j, x: (j < x["len"][:, None, None]) & (i >= 0)),
    "causal_padding": ("j <= i and j < len", ", len: i64[b]", lambda i, j, x: (j <= i) & (j < x["len"][:, None, None])),
    "valid": ("valid[n := j]", ", valid: bool[b, n:N]", lambda i, j, x: x["valid"][:, j] & (i >= 0)),
    "valid_both": ("valid[n := j] and valid[n := i]", ", valid: bool[b, n:N]",
                   lambda i, j, x: x["valid"][:, j] & x["valid"][:, i]),
    "per_row": ("j >= first[n := i] and j < until[n := i]", ", first: i32[b, n:N], until: i32[b, n:N]",
                lambda i, j, x: (j >= x["first"][:, i]) & (j < x["until"][:, i])),
    "far_numbers": ("far[n := i] <= far[n := j]", ", far: i64[b, n:N]", lambda i, j, x: x["far"][:, i] <= x["far"][:, j]),
    "per_head": ("j <= i and i - j < w", ", w: i32[h]", lambda i, j, x: ((j <= i) & (i - j < x["w"][:, None, None]))[None]),
    "any_table": ("table", ", table: bool[i, j]", lambda i, j, x: x["table"][i, j]),
    "block_table": ("blocks[x := i div 32, y := j div 32]", ", blocks: bool[x:X, y:X]",
                    lambda i, j, x: x["blocks"][i // 32, j // 32]),
    "causal_block_table": ("j <= i and not blocks[x := i div 48, y := j div 96]", ", blocks: bool[x:X, y:X]",
                           lambda i, j, x: (j <= i) & ~x["blocks"][i // 48, j // 96]),
    "far_apart": ("abs(at[n := i] - at[n := j]) < 3", ", at: i32[b, n:N]",
                  lambda i, j, x: abs(x["at"][:, i] - x["at"][:, j]) < 3),
    "table_of_numbers": ("span[n := i, y := j div 64] < 4", ", span: i64[n:N, y:X]",
                         lambda i, j, x: x["span"][i, j // 64] < 4),
}
LENGTHS = [1, 31, 64, 65, 129, 300, 517]
B, H, D, E = 2, 2, 8, 5


def spec(name):
    condition, inputs, _ = MASKS[name]
    return (f"mixer {name}(q: [b, h, i:N, d], k: [b, h, j:N, d], v: [b, h, j, e]{inputs})"
            " -> (o: [b, h, i, e], l: [b, h, i]) {\n"
            "  s = sum[d](q * k)\n"
            f"  seen = {condition}\n"
            "  o = sum[j](softmax[j](s where seen) * v)\n"
            "  l = logsumexp[j](s where seen)\n"
            "}\n")


def draw(name, n, special):
    r = numpy.random.default_rng(n)
    x = {a: r.standard_normal((B, H, n, E if a == "v" else D)).astype(numpy.float32) for a in "qkv"}
    cuts = numpy.sort(r.integers(0, n + 1, (B, max(1, n // 60))), axis=1)
    ends = numpy.minimum(numpy.arange(n) + r.integers(0, 90, (B, n)), n)
    more = {
        "doc": numpy.array([numpy.searchsorted(c, numpy.arange(n), "right") for c in cuts], numpy.int32),
        "len": numpy.array([n // 2, max(0, n - 70)]),
        "valid": numpy.arange(n)[None] % 200 < numpy.array([[90], [190]]),
        "first": (ends - r.integers(0, 90, (B, n))).astype(numpy.int32),
        "until": ends.astype(numpy.int32),
        "far": numpy.cumsum(r.integers(0, 2, (B, n)), axis=1) * (2**62 // max(n, 1)) - 2**61,
        "w": numpy.array([10, 100], numpy.int32),
        "table": r.random((n, n)) < 0.3,
        "blocks": r.random((20, 20)) < 0.5,
        "at": r.integers(0, 30, (B, n)).astype(numpy.int32),
        "span": r.integers(0, 9, (n, 20)),
    }
    if "len: i32" in MASKS[name][1]:
        more["len"] = more["len"].astype(numpy.int32)
    x.update({a: value for a, value in more.items() if f", {a}:" in MASKS[name][1]})
    if special:
        for at in (0, n // 3, n - 1):
            x[special][at % B, 0, at, 0] = [numpy.nan, numpy.inf, -numpy.inf][at % 3]
    return x


def seen_by(name, n, x):
    seen = numpy.asarray(MASKS[name][2](numpy.arange(n)[:, None], numpy.arange(n)[None], x))
    if seen.ndim == 2:
        seen = seen[None]
    if seen.ndim == 3:
        seen = seen[:, None]
    return numpy.broadcast_to(seen, (B, H, n, n))


def expected(name, n, x):
    with numpy.errstate(all="ignore"):
        q, k, v = (x[a].astype(numpy.float64) for a in "qkv")
        s = (q[:, :, :, None] * k[:, :, None]).sum(-1)
        seen = seen_by(name, n, x)
        top = numpy.where(seen, s, -numpy.inf).max(-1, keepdims=True)
        e = numpy.where(seen, numpy.exp(s - numpy.where(numpy.isinf(top) & (top < 0), 0, top)), 0)
        z = e.sum(-1, keepdims=True)
        p = numpy.where(z == 0, 0, e / z)
        o = (numpy.where(seen, p, 0)[..., None] * v[:, :, None]).sum(-2)
        l = numpy.where(numpy.isinf(top), top, numpy.where(numpy.isinf(top), 0, top) + numpy.log(z))
        return o, l[..., 0]


def check_drawing(attnc, path, folder, name, n, x):
    """What is wrong with what `attnc show --mask` says, or None."""
    instance = n % (B * H)
    call = [attnc, "show", path, "--mask", "--json", "--instance", str(instance), "--sizes", f"b={B},h={H},N={n},d={D},e={E}"]
    done = subprocess.run(call + ["--in"] + [f"{a}={folder}/{a}.npy" for a in x], capture_output=True, text=True, timeout=120)
    if done.returncode:
        return done.stderr
    masks = json.loads(done.stdout)["masks"]
    if not masks:
        return "no mask is shown"
    seen = seen_by(name, n, x)[instance // H, instance % H]
    for m in masks:
        if m["visited"] is None or (m["rows"], m["keys"]) != (n, n):
            return f"N={n}: the plan is {m}"
        if not m["planned"]:
            return f"N={n}: the mask is not planned"
        visited, whole = numpy.zeros((n, n), int), numpy.zeros((n, n), bool)
        for span in m["spans"]:
            at = slice(*span["rows"]), slice(*span["keys"])
            visited[at] += 1
            whole[at] |= not span["masked"]
        if (seen & (visited == 0)).any() or (whole & ~seen).any() or visited.max(initial=0) > 1:
            return f"N={n}, instance {instance}: the spans do not fit the mask"
        if m["instances"] != B * H or m["kept"] is None or not numpy.isclose(m["kept"], seen.mean()):
            return f"N={n}, instance {instance} of {m['instances']}: keeps {m['kept']}, not {seen.mean()}"
    return None


def check(attnc, name):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "mask.attn")
        with open(path, "w", encoding="utf-8") as f:
            f.write(spec(name))
        for n in LENGTHS:
            for special in ("", "k", "v"):
                x = draw(name, n, special)
                for a, value in x.items():
                    numpy.save(os.path.join(folder, a + ".npy"), value)
                call = [attnc, "run", path, "--threads", "1", "--in"] + [f"{a}={folder}/{a}.npy" for a in x]
                call += ["--out", f"o={folder}/o.npy", f"l={folder}/l.npy"]
                done = subprocess.run(call, capture_output=True, text=True, timeout=120)
                if done.returncode:
                    return done.stderr
                wrong = not special and n in (65, 300) and check_drawing(attnc, path, folder, name, n, x)
                if wrong:
                    return f"show --mask: {wrong}"
                for a, right in zip("ol", expected(name, n, x)):
                    got = numpy.load(os.path.join(folder, a + ".npy"))
                    if not numpy.allclose(got, right, rtol=2e-5, atol=2e-5, equal_nan=True):
                        bad = numpy.argwhere(~numpy.isclose(got, right, rtol=2e-5, atol=2e-5, equal_nan=True))
                        at = tuple(bad[0])
                        return f"N={n}, special {special or 'none'}: {a}{list(map(int, at))} is {got[at]}, not {right[at]}; {len(bad)} such"
    return None


def main():
    parser = suite.options(__doc__, "masks")
    args = parser.parse_args()
    names = [name for name in MASKS if args.match in name]
    return suite.run("masks", lambda name: check(args.attnc, name), names, args.jobs)


if __name__ == "__main__":
    sys.exit(main())
