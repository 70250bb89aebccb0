"""What the test scripts have in common: options, jobs side by side, the examples, the line that scripts/test.sh counts."""
import argparse
import concurrent.futures
import glob
import os
import re
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def options(doc, match=""):
    """A parser with what every suite takes. `match`: what --match chooses among; none: there is no such option."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--attnc", default=os.path.join(ROOT, "build", "bin", "attnc"))
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many run at a time")
    if match:
        parser.add_argument("--match", default="", help=f"only {match} whose name contains this")
    return parser


def examples(match=""):
    return sorted(p for p in glob.glob(os.path.join(ROOT, "examples", "*", "*.attn")) if match in p)


def mixers(path):
    with open(path, encoding="utf-8") as f:
        return re.findall(r"^mixer\s+(\w+)", f.read(), re.M)


def side_by_side(work, jobs, threads):
    """(job, work(job)) in the order of the jobs; whoever stops listening stops the rest."""
    jobs = list(jobs)
    pool = concurrent.futures.ThreadPoolExecutor(max(1, threads))
    try:
        yield from zip(jobs, pool.map(work, jobs))
    finally:
        pool.shutdown(cancel_futures=True)


def report(title, passed, failed):
    """The last line of a suite; its exit status. A suite that had nothing to do has failed."""
    if not passed and not failed:
        print("no case was run")
    print(f"{title}: {passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def run(title, work, jobs, threads, name=str, verbose=False, failed=0):
    """Does every job and says which went wrong: work(job) is None, or says what is. Exit status."""

    def one(job):
        try:
            return work(job)
        except subprocess.TimeoutExpired as e:
            return f"no end after {e.timeout:.0f} s"

    passed = 0
    for job, wrong in side_by_side(one, jobs, threads):
        passed += wrong is None
        failed += wrong is not None
        if wrong is not None:
            print(f"FAILED {name(job)}: {wrong}", flush=True)
        elif verbose:
            print(f"ok     {name(job)}", flush=True)
    return report(title, passed, failed)
