#!/usr/bin/env python3
"""Every example through every stage as text.

    python3 test/stages/run.py --attnc build/bin/attnc [--match WORD] [--jobs N] [--keep DIR]

`attnc compile` runs all passes on one module in memory. Here each mixer of examples/ is printed in the attn dialect,
and then one pass at a time reads text and writes text (attn-opt, attn-translate, which lie beside attnc). What they
come to at the tile dialect, at LLVM IR and at the object has to be, byte by byte, what `attnc compile --emit=...`
gives: whatever a stage needs is in its text.
"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import suite  # noqa: E402

ARCH, VECTOR_BYTES = "x86-64-v3", 32  # the same on every machine
# In the order of buildTilePipeline (codegen/driver/Compile.cpp) and cpu::lowerTile (codegen/cpu/Target.cpp): a pass
# that is missing here shows as a difference.
PASSES = [
    ("derive-grad", "builtin.module(attn.mixer(attn-derive-grad))"),
    ("decompose", "builtin.module(attn.mixer(attn-decompose))"),
    ("one-point", "builtin.module(attn.mixer(attn-one-point))"),
    ("factor", "builtin.module(attn.mixer(attn-factor))"),
    ("exponent", "builtin.module(attn.mixer(attn-exponent))"),
    ("sum-before-read", "builtin.module(attn.mixer(attn-sum-before-read))"),
    ("simplify", "builtin.module(attn.mixer(attn-simplify))"),
    ("late-scale", "builtin.module(attn.mixer(attn-late-scale))"),
    ("tile", "builtin.module(attn-to-tile)"),
    ("stream", "builtin.module(tile.program(tile-stream))"),
    ("mask-blocks", "builtin.module(tile.program(tile-mask-blocks))"),
    ("group-rows", "builtin.module(tile.program(tile-group-rows))"),
    ("vector", f"builtin.module(tile-to-vector{{vector-bytes={VECTOR_BYTES}}})"),
    ("cse", "builtin.module(cse)"),
    ("math", "builtin.module(cpu-expand-math)"),
    ("share-loops", "builtin.module(cpu-share-loops)"),
    ("split-functions", "builtin.module(cpu-split-functions)"),
    ("llvm-dialect", "builtin.module(cpu-to-llvm)"),
]


class Failed(Exception):
    pass


def call(command, text=None):
    done = subprocess.run(command, input=text, capture_output=True, timeout=300)
    if done.returncode:
        raise Failed(f"{' '.join(command)}: status {done.returncode}\n{done.stderr.decode(errors='replace')[-2000:]}")
    return done.stdout


def compare(stage, got, expected):
    if got == expected:
        return
    a, b = got.splitlines(), expected.splitlines()
    at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    show = lambda lines: lines[at].decode(errors="replace")[:300] if at < len(lines) else "(no more lines)"
    raise Failed(f"{stage} differs at line {at + 1}\n  stage by stage: {show(a)}\n  direct:         {show(b)}")


def check(args, path, mixer):
    tools = os.path.dirname(args.attnc)

    def direct(stage):
        return call([args.attnc, "compile", path, "--mixer", mixer, "--arch", ARCH, f"--emit={stage}"])

    text = direct("attn")
    for name, pipeline in PASSES:
        text = call([os.path.join(tools, "attn-opt"), f"--pass-pipeline={pipeline}"], text)
        if args.keep:
            with open(os.path.join(args.keep, f"{mixer}.{name}.mlir"), "wb") as f:
                f.write(text)
        if name == "group-rows":
            compare("tile", text, direct("tile"))
    for stage in ("llvm", "obj"):
        compare(stage, call([os.path.join(tools, "attn-translate"), f"--to={stage}", f"--arch={ARCH}"], text), direct(stage))


def main():
    parser = suite.options(__doc__, "files")
    parser.add_argument("--keep", default="", help="folder for the text of every stage")
    args = parser.parse_args()
    if args.keep:
        os.makedirs(args.keep, exist_ok=True)
    jobs = [(path, mixer) for path in suite.examples(args.match) for mixer in suite.mixers(path)]

    def one(job):
        try:
            return check(args, *job)
        except Failed as e:
            return str(e)

    return suite.run("stage by stage", one, jobs, args.jobs, lambda job: f"{os.path.relpath(job[0], suite.ROOT)} {job[1]}")


if __name__ == "__main__":
    sys.exit(main())
