#!/usr/bin/env python3
"""Runs the programs in the documentation.

    python3 test/docs/run.py --attnc build/bin/attnc docs/language.md ...

A block that opens with ```attn is a whole file and must pass `attnc check`; ```attn error must fail it with a diagnostic that has
a place and a number. A ```try block after a program holds inputs (`x = [1, 2]`, `n: i32 = [0, -1]`), options (`--set W=3`) and results
(`-> y = 3`): `attnc eval` must give them, and with --run `attnc run` too. Numbers are compared to 1e-4 of the largest, because
the text shows four decimals.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

import numpy as np

DTYPES = {"f32": np.float32, "f64": np.float64, "f16": np.float16, "i32": np.int32, "i64": np.int64, "bool": np.bool_}


def blocks(path):
    """Yields (line, info, text) of every fenced block."""
    info, start, lines = None, 0, []
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if line.startswith("```"):
                if info is None:
                    info, start, lines = line[3:].strip(), number, []
                else:
                    yield start, info, "".join(lines)
                    info = None
            elif info is not None:
                lines.append(line)


def values(text):
    return json.loads(re.sub(r"\binf\b", "Infinity", re.sub(r"\bnan\b", "NaN", text)))


def run_try(tool, spec, text, folder, commands):
    """Returns None, or what went wrong."""
    ins, outs, options = [], {}, []
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("--"):
            options += line.split()
        elif line.startswith("->"):
            name, value = line[2:].split("=", 1)
            outs[name.strip()] = np.array(values(value), dtype=np.float64)
        else:
            name, value = line.split("=", 1)
            name, _, dtype = (p.strip() for p in name.partition(":"))
            file = os.path.join(folder, f"in_{name}.npy")
            np.save(file, np.array(values(value), dtype=DTYPES[dtype or "f32"]))
            ins += ["--in", f"{name}={file}"]
    for command in commands:
        files = {n: os.path.join(folder, f"{command}_{n}.npy") for n in outs}
        args = [tool, command, spec] + options + ins
        for n, file in files.items():
            args += ["--out", f"{n}={file}"]
        done = subprocess.run(args, capture_output=True, text=True)
        if done.returncode:
            return f"attnc {command} exits with {done.returncode}:\n{done.stderr}"
        for n, file in files.items():
            got, want = np.load(file).astype(np.float64), outs[n]
            if got.shape != want.shape:
                return f"attnc {command}: {n} has shape {got.shape}, the text shows {want.shape}"
            finite = want[np.isfinite(want)]
            scale = max([1.0] + list(np.abs(finite).ravel()))
            if not np.allclose(got, want, rtol=0, atol=1e-4 * scale, equal_nan=True):
                return f"attnc {command}: {n} is\n{got}\nthe text shows\n{want}"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attnc", default="build/bin/attnc")
    parser.add_argument("--run", action="store_true", help="compile and run the programs too")
    parser.add_argument("--extract", metavar="DIR", help="write the programs there and stop")
    parser.add_argument("files", nargs="+")
    args = parser.parse_args()
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for path in args.files:
            spec, ok = None, False
            for line, info, text in blocks(path):
                kind = info.split()[:1]
                if kind == ["attn"]:
                    folder_ = args.extract or folder
                    stem = os.path.splitext(os.path.basename(path))[0]
                    spec = os.path.join(folder_, f"{stem}_{line:04d}.attn")
                    os.makedirs(folder_, exist_ok=True)
                    with open(spec, "w", encoding="utf-8") as f:
                        f.write(text)
                    if args.extract:
                        continue
                    done = subprocess.run([args.attnc, "check", spec], capture_output=True, text=True)
                    if "error" in info.split():
                        ok = done.returncode == 1 and re.search(r":\d+:\d+: error\[\w+\]: ", done.stderr)
                        problem = f"expected a diagnostic, got status {done.returncode}:\n{done.stderr}"
                    else:
                        ok = done.returncode == 0
                        problem = done.stderr
                elif kind == ["try"] and not args.extract:
                    if not ok:
                        continue  # the program's own failure is counted already
                    problem = run_try(args.attnc, spec, text, folder, ["eval"] + ["run"] * args.run)
                    if problem:
                        failed += 1
                        print(f"{path}:{line}: {problem}")
                    else:
                        passed += 1
                    continue
                else:
                    continue
                if ok:
                    passed += 1
                else:
                    failed += 1
                    print(f"{path}:{line}: {problem}")
    if not args.extract:
        print(f"docs: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
