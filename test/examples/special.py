#!/usr/bin/env python3
"""NaN and infinity in the inputs of examples: `attnc run` against `attnc eval`.

    python3 test/examples/special.py --attnc build/bin/attnc [--match WORD] [--jobs N]

Each case puts a few of them at random places of one input, seen by some queries or steps and masked for others. NaN
and infinity have to come out at the same places, and the rest has to agree as usual.
"""
import json
import os
import re
import subprocess
import sys
import tempfile

import numpy

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import suite  # noqa: E402

# File, sizes, further arguments. Long enough for several blocks of rows, so that bounds of loops matter.
EXAMPLES = [
    ("dense/causal_gqa", "b=2,g=1,r=2,N=150,d=8,e=9", []),
    ("dense/kv_cache", "b=1,g=2,r=2,N=70,p=29,d=8,e=8", []),
    ("dense/palm", "b=1,h=2,N=140,d=8,e=5", []),
    ("mask/sliding_window", "b=1,g=2,r=1,N=200,d=8,e=8", ["--set", "W=20"]),
    ("mask/documents", "b=2,g=1,r=2,N=130,d=8,e=8", []),
    ("mask/streaming_llm", "b=1,g=2,r=2,N=150,d=8,e=8", ["--set", "W=20"]),
    ("mask/bigbird", "b=1,h=2,N=135,d=8,e=8,r=2,x=17", ["--set", "B=8"]),
    ("bias/learned_sink", "b=1,g=2,r=2,N=131,d=8,e=5", ["--set", "W=30"]),
    ("sparse/block_topk", "b=1,g=2,r=2,N=93,d=8,e=5", ["--set", "B=4", "--set", "K=3"]),
    ("sparse/moba", "b=1,h=2,N=100,d=8,e=5", ["--set", "B=8"]),
    ("sparse/nsa", "b=1,g=2,r=2,N=91,d=8,e=5", ["--set", "B=4", "--set", "K=4", "--set", "W=6"]),
    ("sparse/combiner", "b=1,h=2,N=93,d=8,e=5", ["--set", "S=6"]),
    ("sparse/landmark", "b=1,h=2,N=93,d=8,e=5", ["--set", "B=8"]),
    ("linear/gla", "b=1,h=2,t=45,a=8,c=5", []),
    ("linear/mamba", "b=2,t=39,c=6,n=4,w=4", []),
    ("linear/retnet", "b=1,h=2,t=41,d=8,c=5", []),
    ("linear/deltanet", "b=1,h=2,t=38,a=8,c=5", []),
    ("memory/titans", "b=1,h=2,t=24,a=6,c=5", ["--set", "C=4"]),
    ("conv/causal_conv", "b=2,t=23,c=6,w=4,p=3", []),
]
SPECIALS = [numpy.nan, numpy.inf, -numpy.inf]
TOLERANCE = 5e-5


def signature(attnc, path):
    done = subprocess.run([attnc, "check", "--json", path], capture_output=True, text=True, check=True)
    mixer = json.loads(done.stdout)["files"][0]["mixers"][0]
    return mixer["inputs"], [o["name"] for o in mixer["outputs"]]


def draw(inputs, sizes, seed):
    """Values of order one for every input, with NaN or infinity at a few places of one of them."""
    r = numpy.random.default_rng(seed)
    for axis in ("i", "j"):
        sizes.setdefault(axis, sizes.get("N"))
    reals = [i["name"] for i in inputs if i["dtype"] is None]
    chosen = reals[seed % len(reals)]
    arrays = {}
    for i in inputs:
        shape = [int(numpy.prod([sizes[a] for a in re.findall(r"\w+", dim)])) for dim in i["dims"]]
        if i["dtype"] is None:
            x = r.standard_normal(shape).astype(numpy.float32)
            if i["name"] == chosen:
                for place in r.integers(0, x.size, r.integers(1, 4)):
                    x.flat[place] = SPECIALS[(seed // len(reals)) % 3]
        else:  # documents and the like: few, in order
            x = numpy.sort(r.integers(0, 3, shape).astype(numpy.int32), axis=-1)
        arrays[i["name"]] = x
    return arrays, chosen


def difference(got, expected):
    """None, or what is wrong."""
    special = ~numpy.isfinite(expected)
    if got.shape != expected.shape:
        return f"shape {got.shape}, expected {expected.shape}"
    if not numpy.array_equal(got[special], expected[special].astype(got.dtype), equal_nan=True) or not numpy.isfinite(got[~special]).all():
        at = numpy.argwhere(numpy.where(special, (got != expected) & ~(numpy.isnan(got) & numpy.isnan(expected)), ~numpy.isfinite(got)))
        return f"{len(at)} special values differ, the first at {at[0].tolist()}: {got[tuple(at[0])]} instead of {expected[tuple(at[0])]}"
    scale = max(1.0, numpy.abs(expected[~special]).max(initial=0))
    worst = numpy.abs(got[~special] - expected[~special]).max(initial=0) / scale
    return f"error {worst:.2g}" if worst > TOLERANCE else None


def one(job):
    attnc, name, text, args, inputs, outputs, seed = job
    path = os.path.join(suite.ROOT, "examples", name + ".attn")
    arrays, chosen = draw(inputs, dict((k, int(v)) for k, v in (s.split("=") for s in text.split(","))), seed)
    with tempfile.TemporaryDirectory(prefix="attnc-special-") as d:
        for k, x in arrays.items():
            numpy.save(f"{d}/{k}.npy", x)
        results = {}
        for mode in ("eval", "run"):
            files = {o: f"{d}/{mode}-{o}.npy" for o in outputs}
            command = [attnc, mode, path, *args, "--in", *(f"{k}={d}/{k}.npy" for k in arrays), "--out", *(f"{o}={f}" for o, f in files.items())]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120)
            if done.returncode:
                return f"attnc {mode}: {done.stderr.strip()}"
            results[mode] = {o: numpy.load(f) for o, f in files.items()}
        for o, expected in results["eval"].items():
            wrong = difference(results["run"][o], expected)
            if wrong:
                return f"{o} with special values in {chosen}: {wrong}"
    return None


def main():
    parser = suite.options(__doc__, "examples")
    parser.add_argument("--rounds", type=int, default=1, help="how often each input meets each special value")
    args = parser.parse_args()
    jobs = []
    for name, sizes, more in EXAMPLES:
        if args.match in name:
            inputs, outputs = signature(args.attnc, os.path.join(suite.ROOT, "examples", name + ".attn"))
            count = 3 * sum(i["dtype"] is None for i in inputs)
            jobs += [(args.attnc, name, sizes, more, inputs, outputs, seed) for seed in range(count * args.rounds)]
    return suite.run("special values", one, jobs, args.jobs, lambda job: f"{job[1]} (seed {job[-1]})")


if __name__ == "__main__":
    sys.exit(main())
