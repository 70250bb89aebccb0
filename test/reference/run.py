#!/usr/bin/env python3
"""Rule by rule: small specs through `attnc eval`, compared with values worked out by hand (rules.py).

    python3 test/reference/run.py --attnc build/bin/attnc [--filter word]
"""

import argparse
import concurrent.futures
import math
import os
import struct
import subprocess
import sys
import tempfile
from array import array

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.dirname(HERE))
import rules  # noqa: E402
from conformance import ROOT, read_npy  # noqa: E402


def flatten(data):
    """(shape, values) of nested lists"""
    if isinstance(data, rules.Shaped):
        return tuple(data.shape), []
    if not isinstance(data, list):
        return (), [data]
    parts = [flatten(d) for d in data]
    return (len(data),) + (parts[0][0] if parts else ()), [v for p in parts for v in p[1]]


def write_npy(path, shape, values, code):
    descr = {"d": "<f8", "q": "<i8", "b": "|b1"}[code]
    header = "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }" % (descr, "".join(f"{s}, " for s in shape))
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + array(code, values).tobytes())


def same(got, expected, tolerance):
    if math.isnan(expected) or math.isinf(expected):
        return got == expected or (math.isnan(got) and math.isnan(expected))
    return abs(got - expected) <= tolerance * max(1.0, abs(expected))


def run(case, attnc):
    name, spec, inputs, outputs = case
    with tempfile.TemporaryDirectory(prefix="attnc-rules-") as d:
        with open(os.path.join(d, "m.attn"), "w") as f:
            f.write(spec)
        command = [attnc, "eval", os.path.join(d, "m.attn")]
        for key, data in inputs.items():
            code = data.code if isinstance(data, rules.Typed) else "d"
            shape, values = flatten(data.data if isinstance(data, rules.Typed) else data)
            write_npy(os.path.join(d, f"in_{key}.npy"), shape, values, code)
            command += ["--in", f"{key}={d}/in_{key}.npy"]
        for key in outputs:
            command += ["--out", f"{key}={d}/out_{key}.npy"]
        result = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if result.returncode != 0:
            return f"exit status {result.returncode}: {result.stderr.strip()}"
        for key, data in outputs.items():
            tolerance = 1e-12
            if isinstance(data, tuple):
                data, tolerance = data[1], 2e-6
            shape, expected = flatten(data)
            got_shape, got = read_npy(f"{d}/out_{key}.npy")
            if got_shape != shape:
                return f"{key} has shape {got_shape}, expected {shape}"
            if not all(same(a, e, tolerance) for a, e in zip(got, expected)):
                return f"{key} is {got}, expected {expected}"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attnc", default=os.path.join(ROOT, "build", "bin", "attnc"))
    parser.add_argument("--filter", default="")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    cases = [c for c in rules.CASES if options.filter in c[0]]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(max(1, options.jobs)) as pool:
        for case, problem in zip(cases, pool.map(lambda c: run(c, options.attnc), cases)):
            if problem:
                failed += 1
                print(f"FAIL {case[0]}: {problem}")
    print(f"{len(cases) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
