#!/usr/bin/env python3
"""Runs the conformance cases through `attnc eval` or `attnc run` and compares with the expected outputs.

The cases stand outside the repository (../shared/conformance, or --cases); without them this test skips itself.
A case passes when shapes and non-finite values agree and max|out - expected| <= tolerance * max(1, max|expected|):
1e-9 for eval, the case's own tolerance for run. Needs nothing but Python: .npy files are read below.
"""

import argparse
import ast
import concurrent.futures
import json
import math
import os
import struct
import subprocess
import sys
import tempfile
import time
from array import array

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CODES = {"f4": "f", "f8": "d", "i4": "i", "i8": "q", "b1": "b", "f2": None}


def read_npy(path):
    """(shape, row-major list of numbers)"""
    with open(path, "rb") as f:
        data = f.read()
    if data[:6] != b"\x93NUMPY":
        raise ValueError(f"{path}: not a .npy file")
    if data[6] == 1:
        length, start = struct.unpack("<H", data[8:10])[0], 10
    else:
        length, start = struct.unpack("<I", data[8:12])[0], 12
    header = ast.literal_eval(data[start : start + length].decode("latin1"))
    shape, descr = header["shape"], header["descr"][1:]
    count = math.prod(shape)
    body = data[start + length :]
    if descr == "f2":
        values = list(struct.unpack(f"<{count}e", body[: 2 * count]))
    else:
        values = array(CODES[descr])
        values.frombytes(body[: count * values.itemsize])
        values = values.tolist()
    if header["fortran_order"] and len(shape) > 1:
        strides = [math.prod(shape[:k]) for k in range(len(shape))]
        flat = [0]
        for size, stride in zip(shape, strides):
            flat = [at + k * stride for at in flat for k in range(size)]
        values = [values[at] for at in flat]
    return tuple(shape), values


def compare(path, expected_path, tolerance):
    """None, or what is wrong."""
    shape, got = read_npy(path)
    expected_shape, expected = read_npy(expected_path)
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
        begin = time.time()
        try:
            result = subprocess.run(command + extra, capture_output=True, text=True, timeout=timeout)
        except subprocess.TimeoutExpired:
            return f"no answer in {timeout} s", timeout
        seconds = time.time() - begin
        if result.returncode != 0:
            return f"exit status {result.returncode}: {result.stderr.strip()[:2000]}", seconds
        tolerance = 1e-9 if mode == "eval" else case["tolerance"]
        for name in case["outputs"]:
            try:
                problem = compare(os.path.join(out, name + ".npy"), os.path.join(data, f"out_{name}.npy"), tolerance)
            except OSError as e:
                problem = str(e)
            if problem:
                return f"output {name}: {problem}", seconds
    return None, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attnc", default=os.path.join(ROOT, "build", "bin", "attnc"))
    parser.add_argument("--mode", choices=["eval", "run"], default="eval")
    parser.add_argument("--cases", default=os.path.join(ROOT, "..", "shared", "conformance"))
    parser.add_argument("--filter", default="", help="only cases whose name contains this")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=300)
    parser.add_argument("--times", action="store_true", help="print the ten slowest cases")
    parser.add_argument("extra", nargs="*", help="after --: more options for attnc")
    options = parser.parse_args()
    manifest = os.path.join(options.cases, "manifest.json")
    if not os.path.exists(manifest):
        print(f"skipped: the conformance cases are not there (looked for {os.path.normpath(manifest)})")
        return 0
    with open(manifest) as f:
        cases = [c for c in json.load(f) if options.filter in c["name"]]
    failed, times = 0, []
    with concurrent.futures.ThreadPoolExecutor(max(1, options.jobs)) as pool:
        jobs = [pool.submit(run_case, c, options.cases, options.attnc, options.mode, options.extra, options.timeout) for c in cases]
        for case, job in zip(cases, jobs):
            problem, seconds = job.result()
            times.append((seconds, case["name"]))
            if problem:
                failed += 1
                print(f"FAIL {case['name']} ({case['spec']}): {problem}", flush=True)
    if options.times:
        for seconds, name in sorted(times, reverse=True)[:10]:
            print(f"{seconds:8.2f} s  {name}")
    print(f"{len(cases) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
