#!/usr/bin/env python3
"""Packs every example for a GPU, with inputs and expected outputs, into one folder that check.py runs there.

    python3 tools/gpu_check/pack.py --attnc build/bin/attnc -o FOLDER [--arch sm_90a] [--match WORD] [--limit MIB]

The first `// verify:` line of each mixer gives its sizes.
"""
import argparse
import glob
import json
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def call(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: status {done.returncode}\n{done.stderr}")
    return done.stdout


def cases(match):
    """(path, mixer, arguments of its first verify line)"""
    for path in sorted(glob.glob(os.path.join(ROOT, "examples", "*", "*.attn"))):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        lines = [line.split() for line in re.findall(r"^// verify:(.*)$", text, re.M)]
        for mixer in re.findall(r"^mixer\s+(\w+)", text, re.M):
            mine = [a for a in lines if "--mixer" not in a or a[a.index("--mixer") + 1] == mixer]
            if mine and match in f"{path}:{mixer}":
                yield path, mixer, mine[0] if "--mixer" in mine[0] else ["--mixer", mixer, *mine[0]]


def sizes_of(case):
    return ",".join(f"{name}={value}" for name, value in case["sizes"].items())


def pack(attnc, arch, path, mixer, arguments, folder):
    found = json.loads(call(attnc, "verify", path, *arguments, "--json", "--save", folder))
    case = found["cases"][0]
    for extra in glob.glob(os.path.join(folder, "*.safetensors")):
        if not os.path.basename(extra).startswith("0."):
            os.remove(extra)
    params = [a for i, a in enumerate(arguments) if a == "--set" or (i and arguments[i - 1] == "--set")]
    common = [path, "--mixer", mixer, "--sizes", sizes_of(case), *params]
    call(attnc, "compile", *common, "--emit=package", "--arch", arch, "-o", folder)
    os.remove(os.path.join(folder, f"{arch}.cubin"))  # it is in the .kernel too
    plan = json.loads(call(attnc, "explain", *common, "--target", "cuda", "--arch", arch, "--json"))
    with open(os.path.join(folder, "case.json"), "w") as f:
        json.dump({"sizes": case["sizes"], "outputs": case["outputs"], "flops": plan["flops"], "bytes": plan["bytes"],
                   "static": plan.get("cuda")}, f, indent=1)


def libraries(attnc):
    """The runtime's library, and what it needs that a machine may lack."""
    runtime = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(attnc))), "lib", "libattnc_runtime.so")
    needed = [line.split()[2] for line in call("ldd", runtime).splitlines() if "libfmt" in line and "=>" in line]
    return [runtime, *needed]


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("--attnc", required=True)
    a.add_argument("-o", dest="folder", required=True)
    a.add_argument("--arch", default="sm_90a")
    a.add_argument("--match", default="")
    a.add_argument("--limit", type=float, default=60, help="MiB of the folder")
    a = a.parse_args()
    os.makedirs(a.folder, exist_ok=True)
    packed, failed = 0, []
    for path, mixer, arguments in cases(a.match):
        name = os.path.splitext(os.path.relpath(path, os.path.join(ROOT, "examples")))[0].replace("/", ".") + "." + mixer
        folder = os.path.join(a.folder, "cases", name)
        os.makedirs(folder, exist_ok=True)
        try:
            pack(os.path.abspath(a.attnc), a.arch, path, mixer, arguments, folder)
            packed += 1
        except RuntimeError as e:
            shutil.rmtree(folder)
            failed.append(name)
            print(f"{name}: {e}", flush=True)
    for library in libraries(a.attnc):
        shutil.copy(library, a.folder)
    for script in (os.path.join(HERE, "check.py"), os.path.join(ROOT, "tools", "c_api.py")):
        shutil.copy(script, a.folder)
    total = sum(os.path.getsize(os.path.join(d, f)) for d, _, files in os.walk(a.folder) for f in files) / 2**20
    print(f"{packed} packed, {len(failed)} failed; {total:.1f} MiB of {a.limit:g}")
    return 1 if failed or not packed or total > a.limit else 0


if __name__ == "__main__":
    sys.exit(main())
