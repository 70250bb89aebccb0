#!/usr/bin/env python3
"""Rule by rule: small specs through `attnc eval`, compared with values worked out by hand (rules.py).

    python3 test/reference/run.py --attnc build/bin/attnc [--match WORD]
"""

import math
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import npy  # noqa: E402
import rules  # noqa: E402
import suite  # noqa: E402


def flatten(data):
    """(shape, values) of nested lists"""
    if isinstance(data, rules.Shaped):
        return tuple(data.shape), []
    if not isinstance(data, list):
        return (), [data]
    parts = [flatten(d) for d in data]
    return (len(data),) + (parts[0][0] if parts else ()), [v for p in parts for v in p[1]]


def same(got, expected, tolerance):
    if math.isnan(expected) or math.isinf(expected):
        return got == expected or (math.isnan(got) and math.isnan(expected))
    return abs(got - expected) <= tolerance * max(1.0, abs(expected))


def run(case, attnc):
    name, spec, inputs, outputs = case
    with tempfile.TemporaryDirectory(prefix="attnc-rules-") as d:
        with open(os.path.join(d, "m.attn"), "w") as f:
            f.write(spec)
        command = [attnc, "eval", os.path.join(d, "m.attn")]
        for key, data in inputs.items():
            code = data.code if isinstance(data, rules.Typed) else "f8"
            shape, values = flatten(data.data if isinstance(data, rules.Typed) else data)
            with open(os.path.join(d, f"in_{key}.npy"), "wb") as f:
                f.write(npy.encode(shape, values, code))
            command += ["--in", f"{key}={d}/in_{key}.npy"]
        for key in outputs:
            command += ["--out", f"{key}={d}/out_{key}.npy"]
        result = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if result.returncode != 0:
            return f"exit status {result.returncode}: {result.stderr.strip()}"
        for key, data in outputs.items():
            tolerance = 1e-12
            if isinstance(data, tuple):
                data, tolerance = data[1], 2e-6
            shape, expected = flatten(data)
            got_shape, got = npy.read(f"{d}/out_{key}.npy")
            if got_shape != shape:
                return f"{key} has shape {got_shape}, expected {shape}"
            if not all(same(a, e, tolerance) for a, e in zip(got, expected)):
                return f"{key} is {got}, expected {expected}"
    return None


def main():
    options = suite.options(__doc__, "rules").parse_args()
    cases = [c for c in rules.CASES if options.match in c[0]]
    return suite.run("rules", lambda c: run(c, options.attnc), cases, options.jobs, lambda c: c[0])


if __name__ == "__main__":
    sys.exit(main())
