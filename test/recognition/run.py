#!/usr/bin/env python3
"""Many spellings of one computation: each is compiled to the steps of the first of its file, and verified.

    test/recognition/run.py [--attnc build/bin/attnc] [--match WORD] [--jobs N]

The steps are those of `attnc explain`: what each nest is, over how much, in which loop, and what is kept. Lines, names, the
order of axes and FLOPs (a factor more or less) may differ.
"""
import glob
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import suite  # noqa: E402

SIZES = "b=1,h=2,N=192,M=320,d=64,e=48"
RENAMED = {"axes_renamed": "n=1,heads=2,N=192,M=320,c=64,w=48"}
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


def main():
    args = suite.options(__doc__, "mixers").parse_args()
    jobs, firsts = [], {}
    for path in sorted(glob.glob(os.path.join(HERE, "*.attn"))):
        mixers = suite.mixers(path)
        firsts[path] = steps(args.attnc, path, mixers[0])
        jobs += [(path, m) for m in mixers if args.match in m]

    def one(job):
        path, mixer = job
        found = steps(args.attnc, path, mixer)
        if found != firsts[path]:
            return f"other steps than the first of {os.path.basename(path)}:\n  {found}\n  {firsts[path]}"
        done = subprocess.run([args.attnc, "verify", path, "--mixer", mixer, "--sizes", SMALL_RENAMED.get(mixer, SMALL)],
                              capture_output=True, text=True, timeout=120)
        return done.stdout + done.stderr if done.returncode else None

    return suite.run("spellings", one, jobs, args.jobs, name=lambda job: job[1])


if __name__ == "__main__":
    sys.exit(main())
