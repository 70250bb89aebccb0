"""Writes extreme texts into a folder, or checks each and prints the first line of what is said.

    limits.py FOLDER, limits.py --check FOLDER
"""
import os
import subprocess
import sys

HEAD = b"fn f(q, i) =\n    "


def fn(expression):
    return HEAD + expression


CASES = {
    "more_than_1_mib": b"//" + b"x" * ((1 << 20) - 1),
    "exactly_1_mib": b"//" + b"x" * ((1 << 20) - 2),
    "invalid_utf8": b"//\n// h\xff",
    "truncated_utf8": b"//\xe2\x88",
    "overlong_utf8": b"//\xc0\xaf",
    "surrogate": b"//\xed\xa0\x80",
    "nul": b"//\0",
    "escape": b"// \x1b[31m",
    "empty": b"",
    "byte_order_mark": b"\xef\xbb\xbffn f(x) = x",
    "carriage_returns": b"fn f(x) = x // c\r\nfn g(x) = x\r\n",
    "parens_256": fn(b"(" * 256 + b"q" + b")" * 256),
    "parens_257": fn(b"(" * 257 + b"q" + b")" * 257),
    "parens_100000": fn(b"(" * 100000),
    "brackets_100000": fn(b"q[" * 100000),
    "calls_256": fn(b"exp(" * 256 + b"q" + b")" * 256),
    "sum_999": fn(b"q" + b"+q" * 999),
    "sum_5000": fn(b"q" + b"+q" * 5000),
    "sum_200000": fn(b"q" + b"+q" * 200000),
    "products_600": fn(b"+".join([b"q*q"] * 600)),
    "where_5000": fn(b"q" + b" where i" * 5000),
    "reads_5000": fn(b"q" + b"[i:=0]" * 5000),
    "comparisons_5000": fn(b"q" + b"<q" * 5000),
    "minus_200": fn(b"-" * 200 + b"q"),
    "minus_100000": fn(b"-" * 100000 + b"q"),
    "not_100000": fn(b"not " * 100000 + b"q"),
    "powers_100000": fn(b"**".join([b"q"] * 100000)),
    "ifs_50000": fn(b"q if i else " * 50000 + b"q"),
    "nested_ifs_50000": fn(b"q if " * 50000),
    "arguments_100000": fn(b"f(" + b"q," * 100000 + b")"),
    "many_errors": b"mixer m(q: [i]) -> (o: [i]) {\n" + b"  o = q *\n" * 200 + b"}\n",
    "long_name": b"x" * (1 << 19),
}

check = sys.argv[1] == "--check"
folder = sys.argv[-1]
os.makedirs(folder, exist_ok=True)
for name, text in CASES.items():
    path = os.path.join(folder, name + ".attn")
    if not check:
        with open(path, "wb") as f:
            f.write(text)
        continue
    done = subprocess.run(["attnc", "compile", "--emit=ast", path], capture_output=True, timeout=60)
    said = done.stderr.decode().splitlines()
    if done.returncode == 0 and not said:
        print(f"{name}: ok")
    else:
        errors = sum("error[" in line for line in said)
        print(f"{name}: {said[0] if said else 'silent'} (exit {done.returncode}) ({errors} errors)")
