"""Damaged specs, files and command lines: attnc has to refuse or to work, never to crash, hang or be silent.

    python3 test/fuzz/mutate.py --attnc build/bin/attnc --count 1500 [--seed 1] [--jobs 2] [--keep DIR] [--no-compiler]

Every number from --seed on is one mutation, the same on every machine: an example whose tokens, lines or bytes were
changed, checked and sometimes evaluated or compiled; or a sound call whose input files or arguments were changed.

A mutation fails when attnc ends by a signal or with a status other than 0 and 1, needs more than --seconds of processor
time, fails without a message, with something on stdout or with an output file left behind, or when the message about a spec
does not name file, line and column. --no-compiler: only what a build without the compiler can do.
"""
import array
import json
import os
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import npy  # noqa: E402
import suite  # noqa: E402

TOKEN = re.compile(rb"//[^\n]*|\"[^\"\n]*\"|[A-Za-z_][A-Za-z0-9_]*'*|\d+\.?\d*(?:[eE][-+]?\d+)?|:=|->|\*\*|[<>=!]=|\s+|.", re.S)
NUMBERS = [b"0", b"1", b"-1", b"2", b"63", b"64", b"65536", b"2147483648", b"9223372036854775807", b"9223372036854775808",
           b"99999999999999999999999999", b"1e400", b"1e-400", b"0.5", b"1.", b"1e", b"007"]
WORDS = [b"where", b"if", b"else", b"init", b"axis", b"param", b"require", b"last", b"inf", b"true", b"not", b"and", b"or", b"div",
         b"mixer", b"fn", b"import", b"schedule", b"return", b"in", b"_", b"#", b":=", b"->", b"(", b")", b"[", b"]", b"{", b"}", b",", b":", b"|", b"%",
         b"**", b"-", b"i64", b"bool", b"bf16", b"softmax", b"topk", b"argsort", b"sort", b"rank", b"cumsum", b"grad", b"sum", b"max", b"mean", b"norm",
         b"logsumexp", b"fill", b"present", b"detach", b"given", b"clamp", b"shl", b"count", b"any", b"'"]
# What can stand in for each other and often still makes sense.
ALIKE = [set(g.split()) for g in (b"+ - * /", b"div %", b"< <= > >= == !=", b"and or", b"sum max min mean prod norm logsumexp count any all argmax argmin",
                                  b"softmax cumsum cummax cumprod rank", b"exp log sqrt tanh sigmoid relu silu abs sign floor round softplus gelu sin log1p erf isfinite detach",
                                  b"f32 f16 bf16 f64", b"i32 i64 bool f32", b"0 1 2 3 4 7 16 64", b"last 0", b"where if", b"topk argsort sort")]


class Case:
    """What is run and what it must not do."""

    def __init__(self, kind, command, names_place=False, outputs=()):
        self.kind, self.command, self.names_place, self.outputs = kind, command, names_place, outputs


def mutate_tokens(rng, text, others):
    """A few tokens deleted, doubled, swapped, replaced, moved."""
    tokens = [t for t in TOKEN.findall(text)]
    solid = [k for k, t in enumerate(tokens) if not t.isspace() and not t.startswith(b"//")]
    if not solid:
        return text
    for _ in range(rng.choice([1, 1, 1, 2, 3, 6])):
        k = rng.choice(solid)
        how = rng.randrange(14)
        if how == 0:
            tokens[k] = b""
        elif how == 1:
            tokens[k] += b" " + tokens[k]
        elif how == 2:
            m = rng.choice(solid)
            tokens[k], tokens[m] = tokens[m], tokens[k]
        elif how == 3:
            tokens[k] = rng.choice(WORDS)
        elif how == 4:
            numbers = [m for m in solid if tokens[m][:1].isdigit()]
            tokens[rng.choice(numbers or [k])] = rng.choice(NUMBERS)
        elif how == 5:  # a name for another of the same file: axes and tensors change places
            names = [m for m in solid if re.match(rb"[A-Za-z_]", tokens[m])]
            if names:
                tokens[rng.choice(names)] = tokens[rng.choice(names)]
        elif how == 6:
            tokens[k] += b" " + rng.choice(WORDS) + b" "
        elif how == 7:  # a stretch, repeated
            m = min(len(tokens), k + rng.randrange(1, 30))
            tokens[k:m] = tokens[k:m] * rng.choice([2, 2, 3, 50])
            solid = [q for q, t in enumerate(tokens) if not t.isspace()]
        elif how < 13:
            places = [(m, g) for m in solid for g in ALIKE if tokens[m] in g]
            if places:
                k, group = rng.choice(places)
                tokens[k] = rng.choice(sorted(group))
        else:
            other = TOKEN.findall(rng.choice(others))
            m = rng.randrange(len(other))
            tokens[k] += b" " + b"".join(other[m:m + rng.randrange(1, 12)]) + b" "
    return b"".join(tokens)


def mutate_lines(rng, text):
    lines = text.split(b"\n")
    for _ in range(rng.choice([1, 1, 2])):
        k, m = rng.randrange(len(lines)), rng.randrange(len(lines))
        how = rng.randrange(3)
        if how == 0 and len(lines) > 1:
            del lines[k]
        elif how == 1:
            lines.insert(m, lines[k])
        else:
            lines[k], lines[m] = lines[m], lines[k]
    return b"\n".join(lines)


def mutate_bytes(rng, text, most=8):
    """Bits flipped, bytes put in or taken out, the end cut off."""
    data = bytearray(text)
    how = rng.randrange(4)
    if how == 0:
        return bytes(data[:rng.randrange(len(data) + 1)])
    for _ in range(rng.randrange(1, most)):
        if not data:
            break
        k = rng.randrange(len(data))
        if how == 1:
            data[k] ^= 1 << rng.randrange(8)
        elif how == 2:
            data[k:k] = bytes(rng.choice([0, 9, 10, 13, 34, 39, 40, 91, 123, 127, 128, 195, 255]) for _ in range(rng.choice([1, 1, 2, 300])))
        else:
            del data[k:k + rng.choice([1, 2, 8])]
    return bytes(data)


def safetensors(tensors):
    header, body = {}, b""
    for name, (shape, values) in tensors.items():
        data = array.array("f", values).tobytes()
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


CALL = b"""mixer call(q: [i, d], k: [j, d], v: [j, e], at: i64[i] in j = 0, on: bool[j] = true) -> (o: [i, e], best: i64[i]) {
  param W = 3
  s = sum[d](q * k) where on and j < W
  o = sum[j](softmax[j](s) * v) + fill(v[j := at], 0)
  best = fill(argmax[j](s), -1)
}
"""
SHAPES = {"q": (3, 4), "k": (5, 4), "v": (5, 2)}


def mutate_header(rng, data):
    """A number or a word of a header changed, lengths kept as they are or not."""
    words = list(re.finditer(rb"\d+|<f4|<i8|F32|False|True|shape|descr|dtype|data_offsets|[{}\[\](),:'\"]", data[:400]))
    w = rng.choice(words)
    new = rng.choice(NUMBERS + [b"", b"-", b"True", b"<f8", b">f4", b"<U7", b"|O", b"BF16", b"F64", b"I64", b"BOOL", b"F8_E4M3", b"[", b"]", b"{", b"}", b"(", b")",
                                b"'", b"\"", b"null", b"1e3", b"\\u0000", b"18446744073709551615", b"4611686018427387904", b"3,4,5"])
    return data[:w.start()] + new + data[w.end():]


def call_case(rng, folder, compiler):
    """A sound call of CALL with one thing changed."""
    with open(os.path.join(folder, "call.attn"), "wb") as f:
        f.write(CALL)
    values = {n: [rng.uniform(-1, 1) for _ in range(s[0] * s[1])] for n, s in SHAPES.items()}
    files = {n + ".npy": npy.encode(SHAPES[n], values[n]) for n in SHAPES}
    files["at.npy"] = npy.encode((3,), [0, -1, 4], "i8")
    files["on.npy"] = npy.encode((5,), [1, 0, 1, 1, 1], "b1")
    files["all.safetensors"] = safetensors({n: (SHAPES[n], values[n]) for n in SHAPES})
    packed = rng.random() < 0.4
    command = ["run" if compiler and rng.random() < 0.5 else "eval", "call.attn"]
    command += ["--in", "all=all.safetensors"] if packed else ["--in"] + [f"{n}={n}.npy" for n in SHAPES]
    command += rng.choice([[], ["--in", "at=at.npy"], ["--in", "on=on.npy", "at=at.npy"]])
    command += rng.choice([["--out", "o=o.npy"], ["--out", "all=out.safetensors"], ["--out", "o=o.npy", "best=best.npy"], [], ["--json"]])
    command += rng.choice([[], [], ["--set", "W=2"], ["--threads", "2"], ["--dtype", "f16"], ["--mixer", "call"], ["--workspace-limit", "1M"]])
    kind = rng.choice(["bytes", "header", "header", "arguments", "arguments"])
    if kind == "arguments":
        mutate_arguments(rng, command)
    else:
        name = rng.choice(["all.safetensors"] if packed and rng.random() < 0.8 else list(files))
        files[name] = mutate_header(rng, files[name]) if kind == "header" else mutate_bytes(rng, files[name])
    for name, data in files.items():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data)
    return Case("call: " + kind, command, outputs=["o.npy", "best.npy", "out.safetensors"])


# No size between what is small and what is sure to be refused, so that nothing takes long for good reasons.
VALUES = ["", "x", "0", "-1", "1", "2", "1.5", "1e9", "nan", "4611686018427387904", "99999999999999999999", "i=", "i=0", "i=-1", "i=4611686018427387904", "q=1",
          "W=0", "W=1e400", "W=true", "W=99999999999999999999", "all", "all=", "q=", "=q.npy", "q=q.npy", "q=none.npy", "q=.", "f32", "f64", "bf16", "i32", "cpu",
          "cuda", "call", "o=o.npy", "o=missing/o.npy", "o=q.txt"]
OPTIONS = ["--in", "--out", "--set", "--sizes", "--dtype", "--threads", "--mixer", "--seed", "--json", "--target", "--arch", "--workspace-limit", "--no-cache", "--help",
           "--emit", "--", "-", "-o", "--i", "--in=q=q.npy", "--sets", "--threads=", "--no-cache=1"]


def mutate_arguments(rng, command):
    for _ in range(rng.choice([1, 1, 2, 3])):
        k = rng.randrange(len(command))
        how = rng.randrange(6)
        if how == 0:
            del command[k]
        elif how == 1:
            command.insert(k, command[k])
        elif how == 2:
            m = rng.randrange(len(command))
            command[k], command[m] = command[m], command[k]
        elif how == 3:
            command[k] = rng.choice(VALUES)
        elif how == 4:
            command[k:k] = [rng.choice(OPTIONS), rng.choice(VALUES)][:rng.choice([1, 2])]
        elif command[k]:
            m = rng.randrange(len(command[k]))
            command[k] = command[k][:m] + rng.choice(["", "=", "x", ",", "\u00e9", "."]) + command[k][m + 1:]
        if not command:
            command.append("check")


def spec_case(rng, folder, specs, compiler):
    path = rng.choice(sorted(specs))
    text, others = specs[path], list(specs.values())
    how = rng.randrange(8)
    if how < 5:
        text = mutate_tokens(rng, text, others)
    elif how < 6:
        text = mutate_lines(rng, text)
    else:
        text = mutate_bytes(rng, text)
    with open(os.path.join(folder, "spec.attn"), "wb") as f:
        f.write(text)
    # The files that examples import stand beside them.
    if not os.path.exists(os.path.join(folder, "..", "lib")):
        shutil.copytree(os.path.join(suite.ROOT, "examples", "lib"), os.path.join(folder, "..", "lib"), dirs_exist_ok=True)
    command = ["check", "spec.attn"]
    if compiler and rng.random() < 0.3:
        mixer = re.search(rb"mixer\s+(\w+)", text)
        command = ["compile", "spec.attn", "--emit", rng.choice(["tile", "obj"]), "-o", "out.obj"]
        if mixer:
            command += ["--mixer", mixer.group(1).decode()]
    return Case("spec: " + command[0], command, names_place=command[0] == "check", outputs=["out.obj"])


def one(seed, args, specs, root):
    """The case, the status, and what went wrong, or None."""
    rng = random.Random(seed)
    folder = os.path.join(root, str(seed))
    os.mkdir(folder)
    compiler = not args.no_compiler
    case = spec_case(rng, folder, specs, compiler) if rng.random() < 0.75 else call_case(rng, folder, compiler)
    before = set(os.listdir(folder))
    wrong = None
    try:
        done = subprocess.run([args.attnc] + case.command, cwd=folder, capture_output=True, timeout=20 * args.seconds, stdin=subprocess.DEVNULL,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (args.seconds, args.seconds)))
        status, out, err = done.returncode, done.stdout, done.stderr.decode("utf-8", "replace")
        if status in (-signal.SIGXCPU, -signal.SIGKILL):
            wrong = f"no end after {args.seconds} s"
        elif status not in (0, 1) and not (status == 3 and "target" in err):
            wrong = f"status {status}"
        elif status and not err:
            wrong = "no message"
        elif status and out and b'"ok": false' not in out:
            wrong = "a failure with something on stdout"
        elif status and case.names_place and not re.search(r"^\S+\.attn:\d+:\d+: error\[A\d+\]: ", err, re.M):
            wrong = "no file:line:col"
        elif status and set(os.listdir(folder)) - before:
            wrong = "a failure that left " + ", ".join(sorted(set(os.listdir(folder)) - before))
        if wrong:
            wrong += "\n" + err[-1500:]
    except subprocess.TimeoutExpired:
        status, wrong = 1, f"no end after {20 * args.seconds} s of waiting"
    if wrong and args.keep:
        shutil.copytree(folder, os.path.join(args.keep, str(seed)), dirs_exist_ok=True)
    shutil.rmtree(folder)
    return case, status, wrong


def main():
    parser = suite.options(__doc__)
    parser.add_argument("--count", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--keep", default="", help="folder for what failed")
    parser.add_argument("--no-compiler", action="store_true")
    args = parser.parse_args()
    args.attnc = os.path.abspath(args.attnc)
    specs = {}
    for path in suite.examples():
        with open(path, "rb") as f:
            specs[os.path.relpath(path, suite.ROOT)] = f.read()
    failed, kinds = 0, {}
    with tempfile.TemporaryDirectory() as root:
        seeds = range(args.seed, args.seed + args.count)
        for seed, (case, status, wrong) in suite.side_by_side(lambda s: one(s, args, specs, root), seeds, args.jobs):
            seen = kinds.setdefault(case.kind, [0, 0])
            seen[status != 0] += 1
            if wrong:
                failed += 1
                print(f"FAILED mutation {seed} ({case.kind}): attnc {' '.join(case.command)}\n{wrong}", flush=True)
    for kind, (fine, refused) in sorted(kinds.items()):
        print(f"  {kind:20} {fine:6} accepted {refused:6} refused")
    return suite.report("mutations", args.count - failed, failed)


if __name__ == "__main__":
    sys.exit(main())
