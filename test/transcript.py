#!/usr/bin/env python3
"""Runs a transcript: files, calls, and all that the calls say, to the letter.

    test/transcript.py [--update] FILE...

    # RUN: %transcript %s
    # A comment.
    == spec.attn            the lines up to the next line of this column go into a file
    mixer m(x: [t]) -> (y: [t]) { y = x }
    % np.save("x.npy", np.zeros(3, "f4"))       Python, with numpy as np
    $ attnc eval spec.attn --in y=x.npy         bash; then stdout and stderr
    attnc: error[A710]: mixer m has no input `y`
      help: did you mean `x`?
    [1]                     the exit status, unless 0

Every transcript runs in an empty folder. A call of attnc that fails must leave the folder as it was. A line of a file that
begins like one of the above, or is empty at its end, cannot be written: use Python. In expected output `...` on a line of
its own stands for any lines, and within a line for any text. --update writes what is said now: read the difference as a user would.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile


def parts(text):
    """(kind, head, body lines, raw lines of head)"""
    lines = text.split("\n")
    k = 0
    while k < len(lines):
        line = lines[k]
        kind = line[:2] if line[:2] in ("==", "% ", "$ ") else "#"
        k += 1
        body = []
        if kind in ("==", "$ "):
            while k < len(lines) and not re.match(r"== |% |\$ |# |#$", lines[k]):
                body.append(lines[k])
                k += 1
        yield kind, line, body


def matches(expected, said):
    if "..." not in expected:
        return expected == said
    pattern = "".join(".*\n" if line == "...\n" else ".*".join(map(re.escape, line.split("..."))) for line in expected.splitlines(True))
    pattern = pattern.replace(".*\n", "(?:.*\n)*")
    return re.fullmatch(pattern, said) is not None


def listing(folder):
    return sorted((os.path.relpath(os.path.join(root, f), folder), os.stat(os.path.join(root, f)).st_mtime_ns)
                  for root, _, files in os.walk(folder) for f in files)


def run(path, update):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    out, wrong, calls = [], 0, 0
    here = os.path.dirname(os.path.abspath(path))
    with tempfile.TemporaryDirectory() as folder:
        env = dict(os.environ, ATTNC_CACHE_DIR=os.path.join(folder, "..", os.path.basename(folder) + "-cache"), HERE=here, LC_ALL="C.UTF-8", TMPDIR=folder + "-tmp")
        os.mkdir(env["TMPDIR"])
        for kind, head, body in parts(text):
            blank = 0
            while body and not body[-1]:
                body.pop()
                blank += 1
            out.append(head)
            if kind == "==":
                with open(os.path.join(folder, head[3:]), "w", encoding="utf-8", newline="") as f:
                    f.write("\n".join(body) + "\n")
                out += body
            elif kind == "% ":
                subprocess.run([sys.executable, "-c", "import os, sys, struct, json\nimport numpy as np\n" + head[2:]], cwd=folder, check=True, env=env)
            elif kind == "$ ":
                calls += 1
                before = listing(folder)
                done = subprocess.run(["bash", "-c", head[2:]], cwd=folder, env=env, capture_output=True, stdin=subprocess.DEVNULL, timeout=120)
                said = (done.stdout + done.stderr).decode("utf-8", "backslashreplace").replace(folder + "/", "").replace(folder, ".")
                # A sanitizer that lets memory be refused (scripts/test.sh) tells of it.
                said = re.sub(r"==\d+==WARNING: AddressSanitizer failed to allocate .*\n", "", said)
                if said and not said.endswith("\n"):
                    said += "(no line break)\n"
                if done.returncode:
                    said += f"[{done.returncode}]\n"
                expected = "".join(line + "\n" for line in body)
                if done.returncode and listing(folder) != before:
                    wrong += 1
                    print(f"{path}: {head}\n  failed and changed the folder")
                if matches(expected, said):
                    out += body
                else:
                    out += said.split("\n")[:-1]
                    if not update:
                        wrong += 1
                        print(f"{path}: {head}\n--- expected\n{expected}--- said\n{said}")
            out += [""] * blank
        subprocess.run(["rm", "-rf", env["ATTNC_CACHE_DIR"], env["TMPDIR"]])
    if update:
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(out))
    return calls, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--bin", default="", help="folder of attnc, before those of PATH")
    parser.add_argument("files", nargs="+")
    args = parser.parse_args()
    if args.bin:
        os.environ["PATH"] = os.path.abspath(args.bin) + os.pathsep + os.environ["PATH"]
    passed = failed = 0
    for path in args.files:
        calls, wrong = run(path, args.update)
        passed, failed = passed + calls - wrong, failed + wrong
    print(f"transcripts: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
