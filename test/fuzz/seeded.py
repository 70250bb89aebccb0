#!/usr/bin/env python3
"""Mistakes put into the compiler on purpose, to see that the random specs find them.

    python3 test/fuzz/seeded.py --check                      every patch of seeded/ still applies
    python3 test/fuzz/seeded.py --work DIR [--match WORD]    apply, build, and run seeds until one fails

The second form takes a copy of the tracked files in DIR, where the build of one patch is the next one's start. A seed
counts when it fails with the patch and passes without it. The last line counts the bugs that were found; one line each
says with which seed, for the table in seeded/README.md.
"""
import argparse
import glob
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def call(command, cwd, **more):
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, **more)


def check(patches):
    failed = 0
    for patch in patches:
        done = call(["git", "apply", "--check", patch], ROOT)
        if done.returncode:
            failed += 1
            print(f"{os.path.basename(patch)} does not apply:\n{done.stderr}")
    print(f"seeded bugs that apply: {len(patches) - failed} passed, {failed} failed")
    return failed


class Copy:
    def __init__(self, work, jobs):
        self.tree, self.clean, self.jobs = os.path.join(work, "tree"), os.path.join(work, "clean"), jobs
        shutil.rmtree(self.clean, ignore_errors=True)
        os.makedirs(self.tree, exist_ok=True)
        names = call(["git", "ls-files", "-z"], ROOT, check=True).stdout.split("\0")
        for name in filter(None, names):
            source, to = os.path.join(ROOT, name), os.path.join(self.tree, name)
            if os.path.exists(source) and not (os.path.exists(to) and open(source, "rb").read() == open(to, "rb").read()):
                os.makedirs(os.path.dirname(to), exist_ok=True)
                shutil.copy(source, to)
        self.env = dict(os.environ, CCACHE_BASEDIR=self.tree, ATTNC_CACHE_DIR=os.path.join(work, "cache"))
        call(["cmake", "-B", "build", "-G", "Ninja"], self.tree, env=self.env, check=True)
        if not self.build():
            sys.exit("the tree does not build without a patch")
        for part in ("bin", "lib"):
            shutil.copytree(os.path.join(self.tree, "build", part), os.path.join(self.clean, part))

    def build(self):
        shutil.rmtree(self.env["ATTNC_CACHE_DIR"], ignore_errors=True)
        done = call(["ninja", "-C", "build", f"-j{self.jobs}", "attnc"], self.tree, env=self.env)
        if done.returncode:
            print(done.stdout[-2000:])
        return done.returncode == 0

    def first(self, attnc, seed, count):
        """The first seed of a range that fails, or None."""
        done = call([sys.executable, os.path.join(HERE, "run.py"), "--attnc", attnc, "--seed", str(seed), "--count", str(count),
                     "--jobs", str(self.jobs), "--first", "--all"], ROOT, env=self.env)
        found = re.search(r"^seed (\d+): status", done.stdout, re.M)
        return int(found.group(1)) if found else None

    def find(self, count):
        seed = 1
        while seed <= count:
            seed = self.first(os.path.join(self.tree, "build/bin/attnc"), seed, count - seed + 1)
            if seed is None:
                return None
            if self.first(os.path.join(self.clean, "bin/attnc"), seed, 1) is None:
                return seed
            seed += 1
        return None


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("--check", action="store_true")
    a.add_argument("--work", help="folder for a copy of the tree and its build")
    a.add_argument("--match", default="", help="only patches whose name contains this")
    a.add_argument("--count", type=int, default=1000, help="seeds until a bug counts as not found")
    a.add_argument("--jobs", type=int, default=os.cpu_count())
    a = a.parse_args()
    patches = [p for p in sorted(glob.glob(os.path.join(HERE, "seeded", "*.patch"))) if a.match in p]
    if a.check or not a.work:
        return 1 if check(patches) or not patches else 0
    copy = Copy(os.path.abspath(a.work), a.jobs)
    found = 0
    for patch in patches:
        name = os.path.basename(patch)[:-len(".patch")]
        call(["git", "apply", patch], copy.tree, check=True, env=dict(copy.env, GIT_CEILING_DIRECTORIES=os.path.dirname(copy.tree)))
        seed = copy.find(a.count) if copy.build() else None
        call(["git", "apply", "-R", patch], copy.tree, check=True, env=dict(copy.env, GIT_CEILING_DIRECTORIES=os.path.dirname(copy.tree)))
        found += seed is not None
        print(f"{name}: " + (f"found by seed {seed}" if seed is not None else "not found"), flush=True)
    print(f"seeded bugs: {found} passed, {len(patches) - found} failed")
    return 1 if found < len(patches) else 0


if __name__ == "__main__":
    sys.exit(main())
