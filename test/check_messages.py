#!/usr/bin/env python3
"""Every message has a test that provokes it: lists the ids of Messages.def that no CHECK line, no transcript and no unit test names. None may be left.

    test/check_messages.py MESSAGES.DEF FOLDER...
"""
import os
import re
import sys

ids = re.findall(r"^MSG\((A\d+),", open(sys.argv[1]).read(), re.M)
twice = sorted({i for i in ids if ids.count(i) > 1})
seen = set()
for folder in sys.argv[2:]:
    for root, _, files in os.walk(folder):
        for name in files:
            if not name.endswith((".attn", ".test", ".cpp", ".c")):
                continue
            with open(os.path.join(root, name), encoding="utf-8", errors="replace") as f:
                text = f.read()
            # In transcripts and C++ anything but a comment counts, in lit tests what FileCheck looks for.
            mark = r"(?!#)" if "RUN: %transcript" in text or name.endswith((".cpp", ".c")) else r"(// |# )?(?!RUN)[A-Z][A-Z0-9]*(-[A-Z]+)?:"
            for line in text.splitlines():
                if re.match(mark, line):
                    seen.update(re.findall(r"\[(A\d+)\]", line))

# Exceptions that nothing known throws.
unprovoked = {"A819"}
missing = [i for i in ids if i not in seen | unprovoked]
unknown = sorted(seen - set(ids))
for i in twice:
    print(f"{i} is defined twice")
for i in missing:
    print(f"{i} has no test")
for i in unknown:
    print(f"{i} is tested and does not exist")
sys.exit(1 if missing or twice or unknown else 0)
