#!/usr/bin/env python3
"""Runs the conformance cases through `attnc eval` or `attnc run` and compares with the expected outputs.

The cases stand outside the repository (../shared/conformance, or --cases); without them this test skips itself.
A case passes when shapes and non-finite values agree and max|out - expected| <= tolerance * max(1, max|expected|):
1e-9 for eval, the case's own tolerance for run.
"""

import json
import math
import os
import subprocess
import sys
import tempfile
import time

import npy
import suite


def compare(path, expected_path, tolerance):
    """None, or what is wrong."""
    shape, got = npy.read(path)
    expected_shape, expected = npy.read(expected_path)
    if shape != expected_shape:
        return f"shape {list(shape)}, expected {list(expected_shape)}"
    worst, at, scale, wrong = 0.0, -1, 1.0, None
    for k, (a, b) in enumerate(zip(got, expected)):
        if not math.isfinite(b) or not math.isfinite(a):
            if not (a == b or (math.isnan(a) and math.isnan(b))) and wrong is None:
                wrong = k
            continue
        scale = max(scale, abs(b))
        if abs(a - b) > worst:
            worst, at = abs(a - b), k
    if wrong is None and worst <= tolerance * scale:
        return None
    k = at if wrong is None else wrong
    position, rest = [], k
    for size in reversed(shape):
        position.insert(0, rest % size)
        rest //= size
    return f"{got[k]!r} at {position}, expected {expected[k]!r}; largest error {worst:.3g}, allowed {tolerance * scale:.3g}"


def run_case(case, cases, attnc, mode, extra, timeout):
    data = os.path.join(cases, "data", case["name"])
    with tempfile.TemporaryDirectory(prefix="attnc-conformance-") as out:
        command = [attnc, mode, os.path.join(cases, "specs", case["spec"])]
        if case.get("mixer"):
            command += ["--mixer", case["mixer"]]
        for name, value in case.get("params", {}).items():
            command += ["--set", f"{name}={str(value).lower() if isinstance(value, bool) else value}"]
        for name in case["inputs"]:
            command += ["--in", f"{name}={os.path.join(data, f'in_{name}.npy')}"]
        for name in case["outputs"]:
            command += ["--out", f"{name}={os.path.join(out, name + '.npy')}"]
        result = subprocess.run(command + extra, capture_output=True, text=True, timeout=timeout)
        if result.returncode != 0:
            return f"exit status {result.returncode}: {result.stderr.strip()[:2000]}"
        tolerance = 1e-9 if mode == "eval" else case["tolerance"]
        for name in case["outputs"]:
            try:
                problem = compare(os.path.join(out, name + ".npy"), os.path.join(data, f"out_{name}.npy"), tolerance)
            except OSError as e:
                problem = str(e)
            if problem:
                return f"output {name}: {problem}"
    return None


def main():
    parser = suite.options(__doc__, "cases")
    parser.add_argument("--mode", choices=["eval", "run"], default="eval")
    parser.add_argument("--cases", default=os.path.join(suite.ROOT, "..", "shared", "conformance"))
    parser.add_argument("--timeout", type=float, default=300)
    parser.add_argument("--times", action="store_true", help="print the ten slowest cases")
    parser.add_argument("extra", nargs="*", help="after --: more options for attnc")
    options = parser.parse_args()
    manifest = os.path.join(options.cases, "manifest.json")
    if not os.path.exists(manifest):
        print(f"skipped: the conformance cases are not there (looked for {os.path.normpath(manifest)})")
        return 0
    with open(manifest) as f:
        cases = [c for c in json.load(f) if options.match in c["name"]]
    times = []

    def one(case):
        begin = time.time()
        try:
            return run_case(case, options.cases, options.attnc, options.mode, options.extra, options.timeout)
        finally:
            times.append((time.time() - begin, case["name"]))

    status = suite.run(f"conformance ({options.mode})", one, cases, options.jobs, lambda c: f"{c['name']} ({c['spec']})")
    if options.times:
        for seconds, name in sorted(times, reverse=True)[:10]:
            print(f"{seconds:8.2f} s  {name}")
    return status


if __name__ == "__main__":
    sys.exit(main())
