"""Random specs, compiled against the reference.

    python3 test/fuzz/run.py --attnc build/bin/attnc --count 2000 [--seed 1] [--jobs 2] [--keep DIR] [--target cuda-emulated]

Each spec of generate.py goes through `attnc verify`. A mismatch in float32 counts when it comes back with other
inputs or in float64: a comparison that a rounding error decides differently does not. Every failure is reduced to a
small file. At the end: how often each production of the grammar, each builtin, each cause of absence and each rule of
the passes was of use in specs that were verified, as the compiler counts them (runtime/Tally.h). With --complete none
may be zero.
"""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import generate  # noqa: E402
import suite  # noqa: E402


# The id of errors that are the compiler's own.
INTERNAL = "A818"

# What no valid spec can reach, and why.
UNREACHABLE = {
    "grammar: name NAME": "a name that no parenthesis follows: only there for the message",
}


TARGET = "cpu"


def verify(attnc, text, sizes, seed, folder, dtype=None, name="spec", tally=None):
    path = os.path.join(folder, f"{name}.attn")
    with open(path, "w") as f:
        f.write(text)
    cmd = [attnc, "verify", path, "--sizes", ",".join(f"{k}={v}" for k, v in sizes.items()), "--seed", str(seed), "--target", TARGET]
    if TARGET == "cpu":
        cmd += ["--threads", "1"]
    if dtype:
        cmd += ["--dtype", dtype]
    try:
        env = dict(os.environ, ATTNC_TALLY=tally) if tally else None
        p = subprocess.run(cmd, capture_output=True, text=True, timeout=120, env=env)
        return p.returncode, p.stdout + p.stderr
    except subprocess.TimeoutExpired:
        return 124, "no result after 120 s"


def failing(attnc, text, sizes, folder, name, tally=None):
    """The way a spec fails, or None; 1 is a refusal by the checker."""
    rc, out = verify(attnc, text, sizes, 1, folder, name=name, tally=tally)
    if rc == 2:
        again, _ = verify(attnc, text, sizes, 2, folder, name=name)
        exact, why = verify(attnc, text, sizes, 1, folder, "f64", name)
        if again != 2 and exact == 0:
            return None, "sensitive"
        return 2, why if exact == 2 else out
    return (None, "") if rc == 0 else (rc, out)


def parts(text):
    """Replacements for a text: each bracketed expression by one of its operands, each statement by nothing."""
    lines = text.split("\n")
    for i, line in enumerate(lines):
        if line.startswith("  ") and "=" in line and not re.match(r"\s*o\d+\b", line):
            yield "\n".join(lines[:i] + lines[i + 1:])
    outs = re.search(r"-> \((.*)\) \{", text)
    if outs:
        items = re.findall(r"(o\d+): (?:i64|bool)?\[[^\]]*\]", outs.group(1))
        if len(items) > 1:
            for o in items:
                t = re.sub(rf"(, )?{o}: (i64|bool)?\[[^\]]*\]", "", text)
                t = re.sub(rf"\n  {o} = .*", "", t).replace("-> (, ", "-> (")
                yield t
    start = text.index("{") if "{" in text else 0
    for m in re.finditer(r"\(", text[start:]):
        i = start + m.start()
        depth, j = 0, i
        while j < len(text):
            depth += text[j] in "(["
            depth -= text[j] in ")]"
            if depth == 0:
                break
            j += 1
        inner = text[i + 1:j]
        for piece in re.split(r" [-+*/] | if | else | where | and | or |, ", inner):
            if piece and piece != inner:
                yield text[:i] + "(" + piece + ")" + text[j + 1:]
        name = re.search(r"[a-z_0-9]+(\[[^\[\]]*\])?$", text[:i])
        if name:
            yield text[:name.start()] + "(" + inner + ")" + text[j + 1:]


def reduce(attnc, text, sizes, rc, folder, name, budget=150):
    changed = True
    while changed and budget > 0:
        changed = False
        for t in parts(text):
            if len(t) >= len(text):
                continue
            budget -= 1
            if budget <= 0:
                break
            got, out = failing(attnc, t, sizes, folder, name)
            if got == rc and not (rc == 1 and "error[A" in out and INTERNAL not in out):
                text, changed = t, True
                break
    return text


def one(attnc, seed, folder):
    text, sizes = generate.spec(seed)
    counts = os.path.join(folder, f"s{seed}.tally")
    rc, out = failing(attnc, text, sizes, folder, f"s{seed}", counts)
    os.unlink(os.path.join(folder, f"s{seed}.attn"))
    hits = {}
    if os.path.exists(counts):
        with open(counts) as f:
            for line in f:
                times, what = line.rstrip("\n").split("\t")
                hits[what] = hits.get(what, 0) + int(times)
        os.unlink(counts)
    return rc, out, hits


def known_seeds():
    """Seeds that are known to fail, and why: `SEED what` in known.txt."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "known.txt")) as f:
        return {int(line.split()[0]): line.split(None, 1)[1].strip() for line in f if line.strip() and line[0] != "#"}


def reproducible(seeds=200):
    """Whether a seed gives the same spec in every process: text must not follow the order of a set."""
    code = "import generate, hashlib; print(hashlib.sha256(repr([generate.spec(s) for s in range(%d)]).encode()).hexdigest())" % seeds
    folder = os.path.dirname(os.path.abspath(__file__))
    digests = {subprocess.run([sys.executable, "-c", code], cwd=folder, env=dict(os.environ, PYTHONHASHSEED=h), check=True,
                              capture_output=True).stdout for h in "12"}
    return len(digests) == 1


def main():
    a = suite.options(__doc__)
    a.add_argument("--count", type=int, default=2000)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--keep", default="", help="folder for reduced failures")
    a.add_argument("--first", action="store_true", help="stop at the first failure, without reducing it")
    a.add_argument("--all", action="store_true", help="also the seeds that are known to fail (known.txt)")
    a.add_argument("--complete", action="store_true", help="fail when something was never of use")
    a.add_argument("--target", default="cpu", help="what verify compiles for")
    a = a.parse_args()
    global TARGET
    TARGET = a.target
    passed, refused, sensitive, failures, hits = 0, 0, 0, [], {}
    reasons = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, text in generate.LIBRARY.items():
            with open(os.path.join(folder, name), "w") as f:
                f.write(text)
        known = {} if a.all else known_seeds()
        seeds = [s for s in range(a.seed, a.seed + a.count) if s not in known]
        for seed, (rc, out, used) in suite.side_by_side(lambda s: one(a.attnc, s, folder), seeds, a.jobs):
            for k, v in used.items():
                hits[k] = hits.get(k, 0) + (v if rc is None else 0)
            if rc is None:
                passed += 1
                sensitive += out == "sensitive"
            elif rc == 1 and (m := re.search(r"error\[(A\d+)\]", out)) and m.group(1) != INTERNAL:
                refused += 1
                reasons[m.group(1)] = reasons.get(m.group(1), 0) + 1
            else:
                failures.append((seed, rc, out))
                if a.first:
                    print(f"seed {seed}: status {rc}", flush=True)
                    return 1
        print("failing seeds:", " ".join(str(f[0]) for f in failures) or "none", flush=True)
        for seed, rc, out in failures[:10]:
            text, sizes = generate.spec(seed)
            small = reduce(a.attnc, text, sizes, rc, folder, "reduce")
            _, out = verify(a.attnc, small, sizes, 1, folder, name="reduce")
            print(f"seed {seed}: status {rc}, sizes {sizes}\n{small}\n{out[-1500:]}\n")
            if a.keep:
                os.makedirs(a.keep, exist_ok=True)
                with open(os.path.join(a.keep, f"seed{seed}.attn"), "w") as f:
                    f.write(f"// seed {seed}, sizes {sizes}\n{small}")
    print("of use in verified specs:")
    for k in sorted(hits):
        print(f"  {k:60} {hits[k]}")
    zero = sorted(k for k in hits if hits[k] == 0 and k not in UNREACHABLE)
    for k in zero:
        print("never of use:", k)
    if refused:
        print("refused by the checker:", reasons)
    same = reproducible()
    if not same:
        print("a seed does not give the same spec in every process")
    bad = (not same) + len(failures) + (len(zero) if a.complete else 0) + (1 if refused > a.count // 20 else 0)
    print(f"sensitive to rounding: {sensitive}, refused: {refused}")
    return suite.report("random specs", passed, bad)


if __name__ == "__main__":
    sys.exit(main())
