# How lit runs the tests: which files are tests, what they may call, what a test may ask for with REQUIRES.
#
#   attnc, attn-opt, FileCheck, not, split-file   on the PATH
#   %transcript  files, calls and all that they say, to the letter: test/transcript.py; --update refreshes it
#   %python      the interpreter that has numpy
#   %exactly     FileCheck that compares whole lines, blanks included: for rendered diagnostics and trees. The CHECK lines of such
#                a test are refreshed by test/update_checks.py; read the diff like code
#   %attnc       its path, for scripts that start it
#   %fake_cuda   the folder of the stand-ins for CUDA's libraries
#
# Features: compiler (built with MLIR), nvrtc (CUDA's compiler is here), avx2, avx512. A test named *.slow.* runs only with --param slow=1.
import ctypes
import os

import lit.formats

config.name = "attnc"
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.build_dir, "test")
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".attn", ".mlir", ".test"]
config.excludes = ["Inputs", "unit", "fuzz", "recognition"]

if not lit_config.params.get("slow"):
    for _, _, files in os.walk(config.test_source_root):
        config.excludes += [name for name in files if ".slow." in name]

if config.compiler:
    config.available_features.add("compiler")
else:
    config.excludes += ["dialect", "passes", "codegen"]

# Where the compiler looks too (codegen/cuda/Nvrtc.cpp).
for name in ("libnvrtc.so.13", "libnvrtc.so.12", "/usr/local/cuda/lib64/libnvrtc.so.13", "/usr/local/cuda/lib64/libnvrtc.so.12"):
    try:
        ctypes.CDLL(name)
        config.available_features.add("nvrtc")
        break
    except OSError:
        pass
else:
    lit_config.note("no libnvrtc here: what REQUIRES nvrtc is skipped")

try:
    with open("/proc/cpuinfo") as f:
        flags = next((line.split() for line in f if line.startswith("flags")), [])
    config.available_features.update({"avx2"} & set(flags))
    if "avx512f" in flags:
        config.available_features.add("avx512")
except OSError:
    pass

config.environment["PATH"] = os.pathsep.join([os.path.join(config.build_dir, "bin"), config.llvm_tools_dir, os.environ["PATH"]])
# Tests must not see the user's kernel cache, nor leave anything in it.
config.environment["XDG_CACHE_HOME"] = os.path.join(config.test_exec_root, "cache")
for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LD_LIBRARY_PATH"):
    if name in os.environ:
        config.environment[name] = os.environ[name]

config.substitutions.append(("%python", config.python))
config.substitutions.append(("%exactly", "FileCheck --strict-whitespace --match-full-lines --dump-input=fail"))
config.substitutions.append(("%attnc", os.path.join(config.build_dir, "bin", "attnc")))
config.substitutions.append(("%fake_cuda", os.path.join(config.test_exec_root, "fake_cuda")))
config.substitutions.append(("%transcript", f"{config.python} {os.path.join(config.test_source_root, 'transcript.py')}"))
config.substitutions.append(("%test_root", config.test_source_root))
