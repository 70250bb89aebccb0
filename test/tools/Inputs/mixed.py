"""Inputs of different dtypes in one call: `attnc run` against `attnc eval`. Arguments: the spec, then one dtype per input."""
import json
import subprocess
import sys

import numpy as np

SHAPES = {"q": (2, 67, 16), "k": (2, 67, 16), "v": (2, 67, 24), "bias": (5,), "kind": (67,)}
ALLOWED = {"f64": 1e-9, "f32": 5e-5, "f16": 2.0**-9, "bf16": 2.0**-6}

r = np.random.default_rng(3)
header, data = {}, b""
for (name, shape), dtype in zip(SHAPES.items(), sys.argv[2:] + ["i32"]):
    x = r.integers(-1, 5, shape) if dtype == "i32" else r.standard_normal(shape)
    if dtype == "bf16":
        raw = (x.astype("f4").view("u4") >> 16).astype("u2")
    else:
        raw = x.astype({"f64": "f8", "f32": "f4", "f16": "f2", "i32": "i4"}[dtype])
    header[name] = {"dtype": dtype.upper(), "shape": shape, "data_offsets": [len(data), len(data) + raw.nbytes]}
    data += raw.tobytes()
text = json.dumps(header).encode()
with open("mixed.safetensors", "wb") as f:
    f.write(len(text).to_bytes(8, "little") + text + data)
for mode in ("eval", "run"):
    subprocess.run(["attnc", mode, sys.argv[1], "--in", "all=mixed.safetensors", "--out", f"o={mode}.npy"], check=True)
expected, got = np.load("eval.npy"), np.load("run.npy")
error = np.abs(got - expected).max() / max(1, np.abs(expected).max())
allowed = max(ALLOWED[d] for d in sys.argv[2:])
assert got.shape == (2, 67, 24) and error <= allowed, f"{sys.argv[2:]}: {error} of {allowed}"
