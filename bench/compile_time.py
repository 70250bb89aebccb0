#!/usr/bin/env python3
"""From text to result: how long `attnc run` takes for every example, as a whole process.

    python3 bench/compile_time.py [--attnc build/bin/attnc] [--match WORD] [--rounds 3]

Inputs are random, of the extents that `attnc explain` chooses. Every mixer runs with an empty kernel cache (cold), then again (cached); of the
rounds the shortest counts. `cpu` is user and system time of the process: on a loaded machine it says what `wall` would be on a free one.
A large kernel is compiled on two threads, so that `wall` may be the less. Marked: cold above 500 ms, cached above 100 ms,
both in the lesser of the two.
"""
import argparse
import glob
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time

import numpy

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COLD, CACHED = 500, 100  # milliseconds


def output_of(command):
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def options_of(text, mixer, only):
    """The arguments of the first `// verify:` line for the mixer that set params."""
    for line in re.findall(r"^// verify:(.*)$", text, re.M):
        words = line.split()
        if only or (mixer in words):
            return [w for i, w in enumerate(words) if w == "--set" or (i and words[i - 1] == "--set")]
    return []


def write_inputs(folder, mixer, sizes, text):
    """One .npy file for every input that has to be given."""
    params = {p["name"]: p["value"] for p in mixer["params"]}
    known = {**params, **sizes}
    spelled = dict(re.findall(r"(\w+'*):(\w+)", text))  # i:N, a:16, u:W

    chunks = {c[1]: (c[0], c[2:]) for c in re.findall(r"(\w+)(?::\w+)?=\((\w+) (\w+):\w+\)", text)}  # t=(n u:16)

    def extent(axis):
        axis = axis.rstrip("'")
        if axis in known:
            return int(known[axis])
        if axis in spelled:
            return int(spelled[axis]) if spelled[axis].isdigit() else extent(spelled[axis])
        whole, parts = chunks[axis]
        return -(-extent(whole) // extent(parts[0]))

    random = numpy.random.default_rng(1)
    files = []
    for a in mixer["inputs"]:
        if a["optional"]:
            continue
        shape = [int(numpy.prod([extent(x) for x in dim.strip("()").split()])) for dim in a["dims"]]
        below = extent(a["index_of"]) if a.get("index_of") else 4
        if a["dtype"] in ("i32", "i64"):
            data = random.integers(0, below, shape).astype("int32" if a["dtype"] == "i32" else "int64")
        elif a["dtype"] == "bool":
            data = random.integers(0, 2, shape).astype(bool)
        else:
            data = (random.standard_normal(shape) / 2).astype("float64" if a["dtype"] == "f64" else "float32")
        path = os.path.join(folder, f"{a['name']}.npy")
        numpy.save(path, data)
        files.append(f"{a['name']}={path}")
    return files


def timed(command, cache):
    """Milliseconds of wall and processor time."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, env={**os.environ, "ATTNC_CACHE_DIR": cache}, capture_output=True, text=True)
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return wall * 1e3, (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attnc", default=os.path.join(ROOT, "build/bin/attnc"))
    parser.add_argument("--match", default="", help="only files whose path contains this")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    rows = []
    for path in sorted(glob.glob(os.path.join(ROOT, "examples", "*", "*.attn"))):
        if args.match not in path or os.path.basename(os.path.dirname(path)) == "lib":
            continue
        with open(path, encoding="utf-8") as f:
            text = f.read()
        mixers = output_of([args.attnc, "check", path, "--json"])["files"][0]["mixers"]
        for mixer in mixers:
            settings = options_of(text, mixer["name"], len(mixers) == 1)
            which = ["--mixer", mixer["name"]] + settings
            sizes = output_of([args.attnc, "explain", path, "--json"] + which)["sizes"]
            signature = output_of([args.attnc, "check", path, "--json"] + settings)["files"][0]["mixers"]
            signature = next(m for m in signature if m["name"] == mixer["name"])
            with tempfile.TemporaryDirectory() as folder:
                files = write_inputs(folder, signature, sizes, text)
                command = [args.attnc, "run", path] + which + ["--in"] + files if files else [args.attnc, "run", path] + which
                cold, cached = [], []
                for i in range(args.rounds):
                    cache = os.path.join(folder, f"cache{i}")
                    cold.append(timed(command, cache))
                    cached.append(timed(command, cache))
            rows.append((f"{os.path.relpath(path, os.path.join(ROOT, 'examples'))} {mixer['name']}",
                         *[min(x[k] for x in times) for times in (cold, cached) for k in (0, 1)]))
    rows.sort(key=lambda row: -row[2])
    print(f"{'':48}{'cold wall':>10}{'cpu':>7}{'cached wall':>13}{'cpu':>7}   (ms)")
    for name, wall, cpu, cached_wall, cached_cpu in rows:
        print(f"{name:48}{wall:10.0f}{cpu:7.0f}{cached_wall:13.0f}{cached_cpu:7.0f}{'   <' if min(wall, cpu) > COLD or min(cached_wall, cached_cpu) > CACHED else ''}")
    slow = sum(min(r[1:3]) > COLD for r in rows), sum(min(r[3:5]) > CACHED for r in rows)
    print(f"{len(rows)} mixers: {slow[0]} above {COLD} ms cold, {slow[1]} above {CACHED} ms cached; "
          f"{sum(r[2] > COLD for r in rows)} above {COLD} ms of processor time")
    return 1 if any(slow) else 0


if __name__ == "__main__":
    sys.exit(main())
