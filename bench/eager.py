#!/usr/bin/env python3
"""Every example against the same mathematics in eager PyTorch, on as many threads: one table.

Each entry of eager/ is first checked against attnc on the same inputs, then both are timed in turn; the ratio is the
median of the pairs. The peak for FMA is measured between the rows.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--only", nargs="*", default=[], help="entries whose name contains one of these")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--seconds", type=float, default=1.5, help="at least this long per entry")
    p.add_argument("--build", default=os.path.join(ROOT, "build"))
    p.add_argument("--markdown", help="also write the table there")
    return p.parse_args()


def peak(options):
    """GFLOP/s of independent FMAs, as attnc bench measures it."""
    spec = os.path.join(ROOT, "examples", "linear", "qlstm.attn")
    text = subprocess.run([os.path.join(options.build, "bin", "attnc"), "bench", spec, "--mixer", "qlstm", "--json",
                           "--sizes", "b=1,t=64,c=64", "--threads", str(options.threads)],
                          check=True, capture_output=True, text=True).stdout
    return json.loads(text)["peak_gflops"]


def main():
    options = arguments()
    # Threads that spin after a parallel region would take the other side's cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import torch
    torch.set_num_threads(options.threads)
    torch.set_grad_enabled(False)
    sys.path.insert(0, HERE)
    from eager import bias, conv, dense, heads, linear, mask, memory, rnn, sparse  # noqa: F401 (they register)
    from eager.common import ENTRIES
    from eager.library import Library
    from eager.measure import measure

    library = Library(os.path.join(options.build, "lib", "libattnc.so"), options.threads)
    rows, peaks, failed = [], [peak(options)], 0
    print(f"{'example':34} {'eager ms':>9} {'attnc ms':>9} {'ratio':>7}  error", flush=True)
    for name, item in ENTRIES.items():
        if options.only and not any(part in name for part in options.only):
            continue
        file, _, mixer = name.partition(":")
        path = os.path.join(ROOT, "examples", file + ".attn")
        try:
            m = measure(library.compiled(path, mixer or None, item["params"]), item, options.seconds, options.threads)
        except Exception as problem:
            failed += 1
            print(f"{name:34} {problem}", flush=True)
            continue
        flag = "  attnc loses" if m["ratio"] < 1 else "  short" if m["attnc"] < 10 and m["eager"] < 10 else ""
        print(f"{name:34} {m['eager']:9.2f} {m['attnc']:9.2f} {m['ratio']:7.2f}  {m['error']:.0e}{flag}", flush=True)
        rows.append((name, item, m))
        if len(rows) % 25 == 0:
            peaks.append(peak(options))
    peaks.append(peak(options))
    lost = sum(m["ratio"] < 1 for _, _, m in rows)
    summary = f"{len(rows)} measured, attnc slower in {lost}, {failed} failed; FMA peak {statistics.median(peaks):.1f} GFLOP/s"
    print(summary)
    if options.markdown:
        write(options, rows, summary, torch.__version__)
    return 1 if failed else 0


def write(options, rows, summary, version):
    import datetime
    from eager.common import processor
    with open(options.markdown, "w") as f:
        f.write(f"# Examples against eager PyTorch\n\nWritten by `bench/eager.py` on {datetime.date.today()}: "
                f"{processor()}, {options.threads} thread{'s' if options.threads > 1 else ''}, PyTorch {version}, f32.\n"
                f"Medians of runs in turn; the ratio is eager / attnc, the median over pairs. {summary}.\n\n"
                "| example | sizes | from | eager ms | attnc ms | ratio |\n|---|---|---|---:|---:|---:|\n")
        for name, item, m in rows:
            ratio = f"{m['ratio']:.2f}" + (" **slower**" if m["ratio"] < 1 else "")
            f.write(f"| {name} | {item['text']} | {item['note']} | {m['eager']:.1f} | {m['attnc']:.1f} | {ratio} |\n")


if __name__ == "__main__":
    sys.exit(main())
