#!/usr/bin/env python3
"""Attention of attnc beside every peer that is installed: one table and one plot.

    env/bin/python bench/peers.py --markdown bench/peers.md --plot bench/peers.svg
    env/bin/python bench/peers.py --only "full N 1024" decode --dtypes float32 --threads 1

Every result is first held against float64. Then all sides run in turn, round by round. What the machine can do is measured
by bench-machine, between the rows of the same run. Each number of threads has a process of its own, because some peers
choose theirs once.
"""
import argparse
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--only", nargs="*", default=[], help="rows whose name contains one of these")
    p.add_argument("--dtypes", nargs="*", default=["float32", "bfloat16"], choices=["float32", "bfloat16"])
    p.add_argument("--threads", nargs="*", type=int, default=[1, 2])
    p.add_argument("--seconds", type=float, default=2, help="at least this long per row")
    p.add_argument("--build", default=os.path.join(ROOT, "build"))
    p.add_argument("--markdown", help="write the table there")
    p.add_argument("--plot", help="write the plot there")
    p.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    return p.parse_args()


def machine(options, threads):
    """What the machine can do, as measured now."""
    done = subprocess.run([os.path.join(options.build, "bin", "bench-machine"), str(threads)], check=True,
                          capture_output=True, text=True)
    return json.loads(done.stdout)


def worker(options, threads):
    """Measures the rows of one number of threads; a line of JSON for each."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin would take the other sides' cores
    os.environ["XLA_FLAGS"] = (os.environ.get("XLA_FLAGS", "") +
                               (" --xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1" if threads == 1 else ""))
    import torch
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    sys.path.insert(0, HERE)
    from eager.library import Library
    from peers.measure import row
    from peers.sides import available
    from peers.workloads import all_work

    sides, missing = available(Library(os.path.join(options.build, "lib", "libattnc.so"), threads), threads)
    versions = [f"PyTorch {torch.__version__}"]
    for name in ("onnxruntime", "jax"):
        if name in sys.modules:
            versions.append(f"{name} {sys.modules[name].__version__}")
    print(json.dumps(dict(versions=", ".join(versions), missing=missing)), flush=True)
    since = 0
    for dtype in options.dtypes:
        for work in all_work():
            if options.only and not any(part in work.name for part in options.only):
                continue
            if since % 8 == 0:
                print(json.dumps(dict(machine=machine(options, threads), threads=threads)), flush=True)
            since += 1
            print(json.dumps(dict(row=row(work, sides, getattr(torch, dtype), threads, options.seconds))), flush=True)
    print(json.dumps(dict(machine=machine(options, threads), threads=threads)), flush=True)


def main():
    options = arguments()
    if options.worker:
        return worker(options, options.worker)
    sys.path.insert(0, HERE)
    from peers import report
    rows, machines, versions, missing = [], {}, "", []
    for threads in options.threads:
        command = [sys.executable, os.path.abspath(__file__), "--worker", str(threads), "--seconds", str(options.seconds),
                   "--build", options.build, "--dtypes", *options.dtypes] + (["--only", *options.only] if options.only else [])
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for text in process.stdout:
            if not text.startswith("{"):
                continue
            said = json.loads(text)
            versions = said.get("versions", versions)
            missing = said.get("missing", missing)
            if "machine" in said:  # the best that was seen: other work on the machine only takes away
                best = machines.setdefault(str(threads), said["machine"])
                for key, value in said["machine"].items():
                    best[key] = max(best[key], value)
            if "row" in said:
                rows.append(said["row"])
                print(f"{threads} {said['row']['dtype']:9}", report.line(said["row"], machines), flush=True)
                for side, why in said["row"]["sides"].items():
                    if isinstance(why, str):
                        print(f"      {side}: {why}")
        if process.wait():
            return 1
    from eager.common import processor
    about = dict(processor=processor(), versions=versions)
    if options.markdown:
        with open(options.markdown, "w") as f:
            f.write(report.markdown(rows, machines, about, missing))
    if options.plot:
        with open(options.plot, "w") as f:
            f.write(report.plot(rows, machines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
