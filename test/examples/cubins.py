#!/usr/bin/env python3
"""Compiles every example to cubins with NVRTC, and looks at what it says of the kernels. Needs no GPU; skips itself without NVRTC.

    python3 test/examples/cubins.py --attnc build/bin/attnc [--arch sm_80 sm_90a sm_120] [--match WORD] [--every N] [--jobs N] [--general]

Each mixer is compiled for the sizes of its first `// verify:` line; with --general also once for sizes that only the call names.
A case fails when NVRTC refuses its text, when registers are spilled to memory, or when NVRTC takes more than two seconds of
processor time per kernel; kernels above the half second that is aimed at are listed, as time varies with what else the machine
does. Results come from the kernel cache where it has them, with the time that they took.
"""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import suite  # noqa: E402
from run import cases  # noqa: E402

SECONDS, AIM = 2.0, 0.5  # of NVRTC, per kernel


def first_lines(path):
    """Per mixer the arguments of its first `// verify:` line."""
    lines = {}
    for line in cases(path):
        lines.setdefault(line[line.index("--mixer") + 1] if "--mixer" in line else "", line)
    return lines.values()


def general(line):
    """The same without sizes."""
    return [a for i, a in enumerate(line) if a != "--sizes" and (i == 0 or line[i - 1] != "--sizes")]


def main():
    parser = suite.options(__doc__, "files")
    parser.add_argument("--arch", nargs="*", default=["sm_80", "sm_90a", "sm_120"])
    parser.add_argument("--every", type=int, default=1, help="only each Nth mixer, a sample")
    parser.add_argument("--general", action="store_true", help="also without sizes")
    parser.add_argument("--verbose", action="store_true", help="what was seen, case by case")
    args = parser.parse_args()
    lines = [(path, line) for path in suite.examples(args.match) for line in first_lines(path)][:: args.every]
    jobs = [[args.attnc, "explain", path, *line, "--target", "cuda", "--arch", arch, "--json"]
            for path, line in lines for arch in args.arch]
    if args.general:  # only that NVRTC takes them: `explain` needs sizes
        jobs += [[args.attnc, "compile", path, *general(line), "--emit=cubin", "--arch", arch, "-o", os.devnull]
                 for path, line in lines for arch in args.arch]
    if jobs:
        probe = subprocess.run([*jobs[0]], capture_output=True, text=True)
        if probe.returncode == 3 and "NVRTC" in probe.stdout + probe.stderr:
            print(f"skipped: {(json.loads(probe.stdout)['error'])}")
            return 0
    seen = []

    def one(job):
        done = subprocess.run(job, capture_output=True, text=True, errors="replace", timeout=300)
        if done.returncode:
            return f"status {done.returncode}\n{done.stdout}{done.stderr}"
        if job[1] == "compile":
            return None
        found = json.loads(done.stdout)["cuda"]
        kernels, seconds = found["kernels"], found["nvrtc_seconds"]
        seen.append((seconds / len(kernels), len(kernels), max(k["registers"] for k in kernels), job))
        wrong = [f"{k['name']} spills {k['spill_bytes']} bytes" for k in kernels if k["spill_bytes"]]
        if seconds > SECONDS * len(kernels):
            wrong.append(f"NVRTC took {seconds:.2f} s for {len(kernels)} kernels")
        return "; ".join(wrong) or None

    def name(job):
        return " ".join([os.path.relpath(job[2], suite.ROOT)] + job[3:])

    status = suite.run("examples, cubins", one, jobs, args.jobs, name, args.verbose)
    if seen:
        kernels, seconds = sum(s[1] for s in seen), sum(s[0] * s[1] for s in seen)
        print(f"{kernels} kernels, {seconds / kernels:.2f} s of NVRTC each; static, not run on hardware. Above {AIM} s:")
        for per, count, registers, job in sorted(seen, key=lambda s: -s[0]):
            if per > AIM:
                print(f"  {per:.2f} s each of {count}, up to {registers} registers: {name(job)}")
    return status


if __name__ == "__main__":
    sys.exit(main())
