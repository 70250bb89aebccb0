#!/usr/bin/env python3
"""Runs the programs in the documentation.

    python3 test/docs/run.py --attnc build/bin/attnc docs/language.md ...

A block that opens with ```attn is a whole file and must pass `attnc check`; ```attn error must fail it with a diagnostic that has
a place and a number. A ```try block after a program holds inputs (`x = [1, 2]`, `n: i32 = [0, -1]`), options (`--set W=3`) and results
(`-> y = 3`): `attnc eval` must give them, and with --run `attnc run` too. Numbers are compared to 1e-4 of the largest, because
the text shows four decimals.
"""
import json
import os
import re
import subprocess
import sys
import tempfile

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import suite  # noqa: E402

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


def check(tool, spec, wrong):
    """None, or what is wrong: a program passes; one that is `wrong` is refused at a place, with a number."""
    done = subprocess.run([tool, "check", spec], capture_output=True, text=True)
    if not wrong:
        return None if done.returncode == 0 else done.stderr
    if done.returncode == 1 and re.search(r":\d+:\d+: error\[\w+\]: ", done.stderr):
        return None
    return f"expected a diagnostic, got status {done.returncode}:\n{done.stderr}"


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
    parser = suite.options(__doc__)
    parser.add_argument("--run", action="store_true", help="compile and run the programs too")
    parser.add_argument("files", nargs="+")
    args = parser.parse_args()
    commands = ["eval"] + ["run"] * args.run
    jobs = []  # (place, what to do)
    with tempfile.TemporaryDirectory() as root:
        for path in args.files:
            spec = None
            for line, info, text in blocks(path):
                kind, place = info.split()[:1], f"{path}:{line}"
                folder = os.path.join(root, str(len(jobs)))
                if kind == ["attn"]:
                    os.mkdir(folder)
                    spec = os.path.join(folder, "program.attn")
                    with open(spec, "w", encoding="utf-8") as f:
                        f.write(text)
                    jobs.append((place, lambda spec=spec, info=info: check(args.attnc, spec, "error" in info.split())))
                elif kind == ["try"]:
                    os.mkdir(folder)
                    jobs.append((place, lambda spec=spec, text=text, folder=folder: run_try(args.attnc, spec, text, folder, commands)))
        return suite.run("docs", lambda job: job[1](), jobs, args.jobs, lambda job: job[0])


if __name__ == "__main__":
    sys.exit(main())
