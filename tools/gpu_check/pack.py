#!/usr/bin/env python3
"""Packs every example for a GPU, with inputs and expected outputs, into one folder that check.py runs there.

    python3 tools/gpu_check/pack.py --attnc build/bin/attnc -o FOLDER [--arch sm_90a] [--match WORD] [--limit MIB] [--no-twins]

The first `// verify:` line of each mixer gives its sizes. For the eager PyTorch forms of bench/eager there are kernels of their
sizes as well; --no-twins leaves them out.
"""
import argparse
import ast
import glob
import json
import os
import re
import shutil
import subprocess
import sys

from twins import folder_of

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
EAGER = os.path.join(ROOT, "bench", "eager")


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


def twins(match):
    """(name, path, mixer, sizes, params) of the entries of bench/eager, read without PyTorch."""
    for file in sorted(glob.glob(os.path.join(EAGER, "*.py"))):
        with open(file, encoding="utf-8") as f:
            body = ast.parse(f.read()).body
        named = {n.targets[0].id: n.value for n in body if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Name)}
        decorators = (d for n in body if isinstance(n, ast.FunctionDef) for d in n.decorator_list if isinstance(d, ast.Call))
        for entry in (d for d in decorators if d.func.id == "entry"):
            name, sizes = (ast.literal_eval(named[a.id] if isinstance(a, ast.Name) else a) for a in entry.args[:2])
            params = next((k.value for k in entry.keywords if k.arg == "params"), None)
            params = {k.arg: ast.literal_eval(k.value) for k in params.keywords} if params else {}
            if match in folder_of(name):
                path, _, mixer = name.partition(":")
                yield name, os.path.join(ROOT, "examples", path + ".attn"), mixer, sizes, params


def pack_twin(attnc, arch, path, mixer, sizes, params, folder):
    common = [path, *(["--mixer", mixer] if mixer else [])]
    for name, value in params.items():
        common += ["--set", f"{name}={str(value).lower() if isinstance(value, bool) else value}"]
    extents = [f"{n}={group.split('=')[-1]}" for group in sizes.split() for n in group.split("=")[:-1]]
    while True:  # entries name extents of auxiliary axes too, which are no sizes of a call
        try:
            call(attnc, "explain", *common, "--sizes", ",".join(extents))
            break
        except RuntimeError as e:
            refused = re.search(r"\[A9(?:18|21)\]: `--sizes ([^`]*)`", str(e))
            if not refused or refused.group(1) not in extents:
                raise
            extents.remove(refused.group(1))
    common += ["--sizes", ",".join(extents)]
    call(attnc, "compile", *common, "--emit=package", "--arch", arch, "-o", folder)
    os.remove(os.path.join(folder, f"{arch}.cubin"))
    plan = json.loads(call(attnc, "explain", *common, "--target", "cuda", "--arch", arch, "--json"))
    with open(os.path.join(folder, "case.json"), "w") as f:
        json.dump({"sizes": sizes, "flops": plan["flops"], "bytes": plan["bytes"], "static": plan.get("cuda")}, f, indent=1)


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
    a.add_argument("--no-twins", action="store_true", help="without what is compared with PyTorch")
    a = a.parse_args()
    attnc = os.path.abspath(a.attnc)
    os.makedirs(a.folder, exist_ok=True)
    packed, failed = 0, []

    def attempt(name, make, *arguments):
        nonlocal packed
        folder = os.path.join(a.folder, name)
        os.makedirs(folder, exist_ok=True)
        try:
            make(attnc, a.arch, *arguments, folder)
            packed += 1
        except RuntimeError as e:
            shutil.rmtree(folder)
            failed.append(name)
            print(f"{name}: {e}", flush=True)

    for path, mixer, arguments in cases(a.match):
        name = os.path.splitext(os.path.relpath(path, os.path.join(ROOT, "examples")))[0].replace("/", ".") + "." + mixer
        attempt("cases/" + name, pack, path, mixer, arguments)
    for name, path, mixer, sizes, params in [] if a.no_twins else twins(a.match):
        attempt("twins/" + folder_of(name), pack_twin, path, mixer, sizes, params)
    for library in libraries(a.attnc):
        shutil.copy(library, a.folder)
    for script in (os.path.join(HERE, "check.py"), os.path.join(HERE, "twins.py"), os.path.join(ROOT, "tools", "c_api.py")):
        shutil.copy(script, a.folder)
    shutil.copytree(EAGER, os.path.join(a.folder, "eager"), dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    total = sum(os.path.getsize(os.path.join(d, f)) for d, _, files in os.walk(a.folder) for f in files) / 2**20
    print(f"{packed} packed, {len(failed)} failed; {total:.1f} MiB of {a.limit:g}")
    return 1 if failed or not packed or total > a.limit else 0


if __name__ == "__main__":
    sys.exit(main())
