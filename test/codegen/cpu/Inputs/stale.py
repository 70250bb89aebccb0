"""Weights below a maximum of earlier blocks: scores of every size, `attnc run` against `attnc eval`. Argument: the spec."""
import subprocess
import sys

import numpy as np

N, M, D, E = 150, 420, 3, 9
r = np.random.default_rng(5)
ONE = np.ones(N)


def normal(std):
    return lambda: (r.standard_normal(N) * std, r.standard_normal(M))


def of_keys(f, row=ONE):
    """Scores row[i] * f(j)."""
    return lambda: (row, f(np.arange(M)))


def at(places, value, f=lambda j: np.sin(j)):
    def scores(j):
        s = f(j) * 1.0
        s[places] = value
        return s
    return of_keys(scores)


CASES = {
    "std 1": normal(1), "std 8": normal(8), "std 30": normal(30), "huge": normal(1e5),
    "rising": of_keys(lambda j: 40.0 * (j // 128)), "rising slowly": of_keys(lambda j: 0.1 * j), "steps": of_keys(lambda j: 15.0 * (j // 64)),
    "falling": of_keys(lambda j: -40.0 * (j // 128)), "alternating": of_keys(lambda j: 90.0 * (j // 128 % 2)),
    "far below": of_keys(lambda j: np.sin(j) - 1000), "far above": of_keys(lambda j: np.sin(j) + 1000),
    "some rows": of_keys(lambda j: 0.3 * j, np.where(np.arange(N) % 50 == 7, 1.0, 0.01)),
    "NaN": at([200], np.nan), "NaN first": at([0], np.nan), "inf": at([150, 300], np.inf), "-inf": at([3, 140, 400], -np.inf),
    "-inf first": at(np.arange(130), -np.inf), "-inf alone": at(np.arange(M), -np.inf), "inf and NaN": at([10, 11], [np.inf, np.nan]),
    "last": at([M - 1], 500.0), "just before": at([0], 22.2), "just past": at([130], 22.3), "edge": at([300], 127 * np.log(2)),
}
VALUES = {"normal": lambda: r.standard_normal((M, E)), "large": lambda: r.standard_normal((M, E)) * 1e24, "tiny": lambda: r.standard_normal((M, E)) * 1e-30}


def run(mode, mixer, outputs, inputs):
    files = [f"{o}={mode}-{o}.npy" for o in outputs]
    subprocess.run(["attnc", mode, sys.argv[1], "--mixer", mixer, "--in", *(f"{n}={n}.npy" for n in inputs), "--out", *files], check=True, timeout=60)
    return [np.load(f"{mode}-{o}.npy") for o in outputs]


def check(name, mixer, outputs=("o",), **inputs):
    for n, x in inputs.items():
        np.save(f"{n}.npy", x.astype("f4"))
    for expected, got in zip(run("eval", mixer, outputs, inputs), run("run", mixer, outputs, inputs)):
        special = ~np.isfinite(expected)
        assert np.array_equal(got[special], expected[special].astype("f4"), equal_nan=True), f"{mixer}, {name}: special values"
        scale = np.abs(expected[~special]).max(initial=0) or 1
        error = np.abs(got[~special] - expected[~special]).max(initial=0) / scale
        assert error < 2e-4, f"{mixer}, {name}: error {error}"


with np.errstate(all="ignore"):
    for name, scores in CASES.items():
        a, b = scores()
        q, k = np.zeros((N, D)), np.zeros((M, D))
        q[:, 0], k[:, 0] = a, b
        v = r.standard_normal((M, E))
        for mixer in ("plain", "causal", "window", "logsumexp_off"):
            check(name, mixer, q=q, k=k, v=v)
        check(name, "unnormalised", ("o", "z"), q=q, k=k, v=v)
        bias = r.standard_normal((M, N))
        bias[:, 17] = -np.inf
        bias[:300, 90] = -np.inf
        check(name, "bias", q=q, k=k, v=v, b=bias)
    for name, values in VALUES.items():
        check(name, "plain", q=r.standard_normal((N, D)), k=r.standard_normal((M, D)) * 3, v=values())

# No less exact than f32 sums of blocks of keys, one product after the other, below the true maximum.
n = 512
q, k, v = (r.standard_normal((n, 64)).astype("f4") for _ in range(3))
q /= np.float32(8)
check("accuracy", "plain", q=q, k=k, v=v)
s = sum(np.outer(q[:, c], k[:, c]) for c in range(64))
p = np.exp(s - s.max(axis=1, keepdims=True))
o, z = np.zeros((n, 64), "f4"), np.zeros((n, 1), "f4")
for b in range(0, n, 128):
    z += sum(p[:, j:j + 1] for j in range(b, b + 128))
    o += sum(p[:, j:j + 1] * v[j:j + 1] for j in range(b, b + 128))
expected = np.load("eval-o.npy")
own, blocked = (np.abs(x - expected).max() for x in (np.load("run-o.npy"), o / z))
assert own < 2 * blocked, f"accuracy: {own}, in blocks {blocked}"
print("all cases agree")
