#!/usr/bin/env python3
"""Runs every example.

    python3 test/examples/run.py --attnc build/bin/attnc [--command check|verify] [--dtype DT ...] [--target TARGET]
                                 [--match WORD] [--every N] [--jobs N]

check: `attnc check` on every file. verify: the `// verify:` lines that end each example are given to `attnc verify`, which compiles the mixer and
compares it with the reference on random inputs. Every example has such a line, and every mixer of a file is named by one.
With --dtype the inputs are stored so; the first line of each mixer is run for each dtype.
"""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import suite  # noqa: E402


def cases(path):
    """The `// verify:` lines of a file, split into arguments; raises when a mixer has none."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    mixers = re.findall(r"^mixer\s+(\w+)", text, re.M)
    lines = [m.split() for m in re.findall(r"^// verify:(.*)$", text, re.M)]
    named = {a[a.index("--mixer") + 1] if "--mixer" in a else mixers[0] for a in lines} if mixers else set()
    if set(mixers) != named or (len(mixers) > 1 and not all("--mixer" in a for a in lines)):
        raise ValueError(f"no `// verify:` line for {', '.join(sorted(set(mixers) - named)) or 'a mixer by name'}")
    return lines


def main():
    parser = suite.options(__doc__, "files")
    parser.add_argument("--command", choices=["check", "verify"], default="verify")
    parser.add_argument("--dtype", nargs="*", choices=["f32", "bf16", "f16", "f64"], default=[])
    parser.add_argument("--target", default="cpu", help="what verify compiles for")
    parser.add_argument("--every", type=int, default=1, help="only each Nth case, a sample")
    parser.add_argument("--timeout", type=int, default=300, help="seconds for one case")
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    jobs, failed = [], 0
    for path in suite.examples(args.match):
        try:
            lines = cases(path)
        except ValueError as e:
            failed += 1
            print(f"{os.path.relpath(path, suite.ROOT)}: {e}")
            continue
        if args.command == "check":
            jobs.append([args.attnc, "check", path])
        elif args.dtype:
            first = {line[line.index("--mixer") + 1] if "--mixer" in line else "": line for line in reversed(lines)}
            jobs += [[args.attnc, "verify", path] + line + ["--dtype", d] for line in first.values() for d in args.dtype]
        else:
            jobs += [[args.attnc, "verify", path, "--target", args.target] + line for line in lines]

    def one(job):
        done = subprocess.run(job, capture_output=True, text=True, errors="replace", timeout=args.timeout)
        text = done.stdout + done.stderr
        # A warning is a failure as well: the examples are what people copy. A929 speaks of the inputs of a call, not of the spec.
        return None if done.returncode == 0 and not re.search(r"warning\[(?!A929)", text) else f"status {done.returncode}\n{text}"

    def name(job):
        return " ".join([job[1], os.path.relpath(job[2], suite.ROOT)] + job[3:])

    title = f"examples ({' '.join([args.command] + args.dtype)})"
    return suite.run(title, one, jobs[:: args.every], args.jobs, name, args.verbose, failed)


if __name__ == "__main__":
    sys.exit(main())
