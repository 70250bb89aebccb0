#!/usr/bin/env python3
"""Rewrites the CHECK lines of tests that use %exactly from what the tools print now.

    test/update_checks.py [--bin build/bin] FILE...

Only files with a single RUN line that ends in "| %exactly %s" are touched. Review the diff: a golden text nobody read is no test.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--bin", default="build/bin")
parser.add_argument("files", nargs="+")
options = parser.parse_args()

ENV = dict(os.environ, PATH=os.pathsep.join([os.path.abspath(options.bin), "/usr/lib/llvm-19/bin", os.environ["PATH"]]))


def escape(line):
    """FileCheck reads {{ and [[ as its own."""
    return line.replace("{{", "{{[{][{]}}").replace("[[", "{{[[][[]}}")


for path in options.files:
    text = open(path, encoding="utf-8", newline="").read()
    runs = re.findall(r"// RUN: (.*)\| %exactly %s", text)
    if len(runs) != 1:
        print(f"{path}: skipped", file=sys.stderr)
        continue
    full = os.path.abspath(path)
    with tempfile.NamedTemporaryFile() as temp:
        command = runs[0].replace("%python", "/usr/bin/python3").replace("%s", full).replace("%t", temp.name)
        command = command.replace("%S", os.path.dirname(full))
        out = subprocess.run(command, shell=True, env=ENV, stdout=subprocess.PIPE).stdout.decode()
        out = out.replace(temp.name, "{TEMP}").replace(os.path.dirname(full), "{DIR}")
    kept = [line for line in text.splitlines(True) if not line.startswith("// CHECK")]
    lines = out.splitlines()
    checks, directive = [], "CHECK"
    for line in lines:
        if line:
            line = escape(line).replace("{TEMP}", "{{.*}}").replace("{DIR}/", "{{.*}}")
            checks.append(f"// {directive}:{line}\n")
        else:
            checks.append("// CHECK-EMPTY:\n")
        directive = "CHECK-NEXT"
    checks.append("// CHECK-NOT:{{.+}}\n")
    open(path, "w", encoding="utf-8", newline="").write("".join(kept) + "".join(checks))
