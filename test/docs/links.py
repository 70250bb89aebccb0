#!/usr/bin/env python3
"""Checks what the documentation says about the tree: relative links in every .md file lead somewhere, and file names in
backquotes in a folder's README exist (a trailing * stands for anything).

    python3 test/docs/links.py
"""
import glob
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FILE = re.compile(r"`([\w./*-]+\.(?:cpp|h|td|g4|def|py|sh|md|attn|c|png|txt)|[\w./-]+/)`")


def main():
    passed = failed = 0
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.split():
        here = os.path.dirname(os.path.join(ROOT, name))
        with open(os.path.join(ROOT, name), encoding="utf-8") as f:
            text = re.sub(r"^```.*?^```", "", f.read(), flags=re.M | re.S)
        targets = [(t, [here]) for t in re.findall(r"\]\((?!\w+:)([^)#]+)", re.sub(r"`[^`]*`", "", text))]
        if name.endswith("README.md"):
            targets += [(t, [here, ROOT]) for t in FILE.findall(text) if not t.startswith(("build", "out/"))]
        for target, places in targets:
            if any(glob.glob(os.path.join(p, target)) for p in places):
                passed += 1
            else:
                failed += 1
                print(f"{name}: there is no {target}")
    print(f"links: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
