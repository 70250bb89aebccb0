#!/usr/bin/env python3
"""Many spellings of one computation: each is compiled to the steps of the first of spellings.attn, and verified. Relatives of
attention (relatives.attn): each goes through keys block by block, and is verified.

    test/recognition/run.py [--attnc build/bin/attnc] [--match WORD] [--jobs N]

The steps are those of `attnc explain`: what each nest is, over how much, in which loop, and what is kept. Lines, names, the
order of axes and FLOPs (a factor more or less) may differ.
"""
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import suite  # noqa: E402

SIZES = "b=1,h=2,N=192,M=320,d=64,e=48"
RENAMED = {"axes_renamed": "n=1,heads=2,N=192,M=320,c=64,w=48"}
RELATIVES = dict(h=2, g=2, N=192, M=320, R=40, X=10)
SMALL = "b=2,h=1,N=19,M=133,d=7,e=5"
SMALL_RENAMED = {"axes_renamed": "n=2,heads=1,N=19,M=133,c=7,w=5"}


def steps(attnc, path, mixer):
    done = subprocess.run([attnc, "explain", path, "--mixer", mixer, "--json", "--sizes", RENAMED.get(mixer, SIZES)],
                          capture_output=True, text=True, timeout=60)
    if done.returncode:
        return done.stderr
    explained = json.loads(done.stdout)
    return dict(workspace=explained["workspace_bytes"], kernels=[
        dict(grid=sorted(k["grid"]), loops=k["loops"], streams=k["streams"],
             scratch=sorted(s["bytes"] for s in k["scratch"]),
             nests=[(n["class"], sorted(n["par_extents"]), n["inner_extents"]) for n in k["nests"]])
        for k in explained["kernels"]])


def spelled(attnc, path, mixer, first):
    found = steps(attnc, path, mixer)
    if found != first:
        return f"other steps than the first of {os.path.basename(path)}:\n  {found}\n  {first}"
    return verified(attnc, path, mixer, ["--sizes", SMALL_RENAMED.get(mixer, SMALL)])


def streamed(attnc, path, mixer):
    head = open(path, encoding="utf-8").read().split(f"mixer {mixer}(")[1].split("\n")[0]
    sizes = ",".join(f"{s}={n}" for s, n in RELATIVES.items() if re.search(rf"[\[(:]{s}\b", head))
    done = subprocess.run([attnc, "explain", path, "--mixer", mixer, "--json", "--sizes", sizes], capture_output=True,
                          text=True, timeout=60)
    if done.returncode:
        return done.stderr
    kernels = json.loads(done.stdout)["kernels"]
    if not any(k["streams"] for k in kernels) or any(k["not_streamed"] for k in kernels):
        return f"not streamed: {[k['not_streamed'] for k in kernels]}"
    return verified(attnc, path, mixer, ["--sizes", sizes])


def verified(attnc, path, mixer, options):
    done = subprocess.run([attnc, "verify", path, "--mixer", mixer] + options, capture_output=True, text=True, timeout=120)
    return done.stdout + done.stderr if done.returncode else None


def main():
    args = suite.options(__doc__, "mixers").parse_args()
    spellings, relatives = (os.path.join(HERE, name + ".attn") for name in ("spellings", "relatives"))
    first = steps(args.attnc, spellings, suite.mixers(spellings)[0])
    jobs = [(path, m) for path in (spellings, relatives) for m in suite.mixers(path) if args.match in m]

    def one(job):
        return spelled(args.attnc, *job, first) if job[0] == spellings else streamed(args.attnc, *job)

    return suite.run("spellings and relatives", one, jobs, args.jobs, name=lambda job: job[1])


if __name__ == "__main__":
    sys.exit(main())
