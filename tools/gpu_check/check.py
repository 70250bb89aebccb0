#!/usr/bin/env python3
"""Runs what pack.py packed on this machine's GPU: compares with the reference, times, and writes a JSON file.

    python3 check.py [--out result.json] [--match WORD] [--repeat N] [--no-sanitizer] [--eager cuda|cpu|no]

Needs NVIDIA's driver and numpy, and nothing else; where PyTorch is, the eager forms of the same sizes are timed beside the kernels. Exit status: 0 all right, 1 something is wrong, 3 no GPU here.
"""
import argparse
import ctypes as C
import datetime
import glob
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import twins
from c_api import Argument, DataType, DLTensor  # packed beside this file, as twins is

HERE = os.path.dirname(os.path.abspath(__file__))
TYPES = {"F32": (np.float32, 2, 32), "F64": (np.float64, 2, 64), "F16": (np.float16, 2, 16), "BF16": (np.uint16, 4, 16),
         "I32": (np.int32, 0, 32), "I64": (np.int64, 0, 64), "BOOL": (np.uint8, 6, 8)}


def tensors_of(path):
    """name -> (numpy array of the stored bits, safetensors' dtype)"""
    with open(path, "rb") as f:
        size = int.from_bytes(f.read(8), "little")
        header = json.loads(f.read(size))
        body = f.read()
    out = {}
    for name, info in header.items():
        if name != "__metadata__":
            lo, hi = info["data_offsets"]
            out[name] = (np.frombuffer(body[lo:hi], TYPES[info["dtype"]][0]).reshape(info["shape"]), info["dtype"])
    return out


def real(array, kind):
    if kind == "BF16":
        return (array.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return array.astype(np.float64)


class Driver:
    """The few functions of libcuda that timing needs."""

    def __init__(self):
        name = os.environ.get("ATTNC_CUDA_DRIVER", "libcuda.so.1")
        try:
            self.c = C.CDLL(name)
        except OSError:
            raise SystemExit3(f"no NVIDIA driver here (looked for {name})")
        if self.c.cuInit(0) != 0:
            raise SystemExit3("NVIDIA's driver finds no GPU here")
        context, text, version = C.c_void_p(), C.create_string_buffer(256), C.c_int()
        self.check(self.c.cuDevicePrimaryCtxRetain(C.byref(context), 0))
        self.check(self.c.cuCtxPushCurrent_v2(context))
        self.check(self.c.cuDeviceGetName(text, 256, 0))
        self.check(self.c.cuDriverGetVersion(C.byref(version)))
        self.name, self.version = text.value.decode(), version.value

    def check(self, status):
        if status:
            raise RuntimeError(f"the driver answers {status}")

    def allocate(self, size):
        address = C.c_uint64()
        self.check(self.c.cuMemAllocAsync(C.byref(address), C.c_size_t(max(size, 8)), None))
        return address.value

    def upload(self, array):
        address = self.allocate(array.nbytes)
        if array.nbytes:
            self.check(self.c.cuMemcpyHtoDAsync_v2(C.c_uint64(address), array.ctypes.data_as(C.c_void_p),
                                                   C.c_size_t(array.nbytes), None))
        return address

    def free(self, address):
        self.check(self.c.cuMemFreeAsync(C.c_uint64(address), None))

    def milliseconds(self, work, repeat):
        """Median of `repeat` runs by events; None where the driver has none."""
        if not hasattr(self.c, "cuEventCreate"):
            return None
        start, end, list_ = C.c_void_p(), C.c_void_p(), []
        self.check(self.c.cuEventCreate(C.byref(start), 0))
        self.check(self.c.cuEventCreate(C.byref(end), 0))
        for _ in range(repeat + 3):  # the first ones warm up
            self.check(self.c.cuEventRecord(start, None))
            work()
            self.check(self.c.cuEventRecord(end, None))
            self.check(self.c.cuEventSynchronize(end))
            t = C.c_float()
            self.check(self.c.cuEventElapsedTime(C.byref(t), start, end))
            list_.append(t.value)
        return sorted(list_[3:])[repeat // 2]


class SystemExit3(Exception):
    pass


class Runtime:
    def __init__(self):
        for library in glob.glob(os.path.join(HERE, "libfmt.so*")):
            C.CDLL(library, mode=C.RTLD_GLOBAL)
        self.c = C.CDLL(os.path.join(HERE, "libattnc_runtime.so"))
        for name in ("attnc_engine_create", "attnc_package_load", "attnc_kernel_run", "attnc_kernel_output_shape"):
            getattr(self.c, name).restype = C.c_void_p
        self.c.attnc_error_message.restype = C.c_char_p
        self.c.attnc_kernel_input_count.restype = self.c.attnc_kernel_output_count.restype = C.c_size_t
        self.c.attnc_kernel_input.restype = self.c.attnc_kernel_output.restype = C.c_bool
        self.engine = C.c_void_p()
        self.ok(self.c.attnc_engine_create(None, C.byref(self.engine)))

    def ok(self, error):
        if error:
            text = self.c.attnc_error_message(C.c_void_p(error)).decode()
            self.c.attnc_error_free(C.c_void_p(error))
            raise RuntimeError(text)


def descriptor(shape, kind, address, on_device):
    _, code, bits = TYPES[kind]
    return DLTensor(address, 2 if on_device else 1, 0, len(shape), code, bits, 1, (C.c_int64 * max(len(shape), 1))(*shape), None, 0)


KINDS = {(2, 32): "F32", (2, 64): "F64", (2, 16): "F16", (4, 16): "BF16", (0, 32): "I32", (0, 64): "I64", (6, 8): "BOOL"}


class Case:
    def __init__(self, runtime, folder):
        self.r, self.folder = runtime, folder
        with open(os.path.join(folder, "case.json")) as f:
            self.info = json.load(f)
        self.kernel = C.c_void_p()
        runtime.ok(runtime.c.attnc_package_load(runtime.engine, folder.encode(), b"cuda", C.byref(self.kernel)))
        self.inputs = tensors_of(os.path.join(folder, "0.inputs.safetensors"))
        self.expected = tensors_of(os.path.join(folder, "0.expected.safetensors"))
        self.in_names = self.names(runtime.c.attnc_kernel_input_count, runtime.c.attnc_kernel_input)
        self.out_names = self.names(runtime.c.attnc_kernel_output_count, runtime.c.attnc_kernel_output)
        self.host = [descriptor(self.inputs[n][0].shape, self.inputs[n][1], self.inputs[n][0].ctypes.data, False)
                     if n in self.inputs else None for n in self.in_names]
        self.kinds = []
        for i in range(len(self.out_names)):
            shape, rank, dtype = (C.c_int64 * 32)(), C.c_int32(), DataType()
            self.r.ok(self.r.c.attnc_kernel_output_shape(self.kernel, self.pointers(self.host), C.c_size_t(i), C.c_size_t(32), shape,
                                                         C.byref(rank), C.byref(dtype)))
            self.kinds.append((tuple(shape[: rank.value]), KINDS[(dtype.code, dtype.bits)]))

    def close(self):
        self.r.c.attnc_kernel_release(self.kernel)

    def names(self, count, get):
        out = []
        for i in range(count(self.kernel)):
            a = Argument()
            get(self.kernel, C.c_size_t(i), C.byref(a))
            out.append(a.name.decode())
        return out

    @staticmethod
    def pointers(tensors):
        return (C.POINTER(DLTensor) * max(len(tensors), 1))(*[C.pointer(t) if t else None for t in tensors])

    def run(self, inputs, outputs):
        self.r.ok(self.r.c.attnc_kernel_run(self.kernel, self.pointers(inputs), self.pointers(outputs), None))

    def compare(self):
        """Errors by output, over what is allowed; raises when the run fails."""
        arrays = [np.zeros(shape, TYPES[kind][0]) for shape, kind in self.kinds]
        self.run(self.host, [descriptor(shape, kind, a.ctypes.data, False) for a, (shape, kind) in zip(arrays, self.kinds)])
        allowed = {o["name"]: o["allowed"] for o in self.info["outputs"]}
        result, right = {}, True
        for name, array, (_, kind) in zip(self.out_names, arrays, self.kinds):
            got, want = real(array, kind), real(*self.expected[name])
            finite = np.isfinite(want)
            scale = max(1.0, np.abs(want[finite]).max(initial=0))
            same = (np.isnan(got) & np.isnan(want)) | (got == want)
            with np.errstate(invalid="ignore"):
                error = float(np.where(same, 0, np.where(np.isfinite(got) & finite, np.abs(got - want) / scale, np.inf)).max(initial=0))
            result[name] = {"error": error, "allowed": allowed[name]}
            right &= error <= allowed[name]
        return right, result

    def time(self, driver, repeat):
        addresses = [driver.upload(self.inputs[n][0]) if n in self.inputs else 0 for n in self.in_names]
        inputs = [descriptor(self.inputs[n][0].shape, self.inputs[n][1], a, True) if n in self.inputs else None
                  for n, a in zip(self.in_names, addresses)]
        sizes = [int(np.prod(shape, dtype=np.int64)) * TYPES[kind][2] // 8 for shape, kind in self.kinds]
        outs = [driver.allocate(size) for size in sizes]
        outputs = [descriptor(shape, kind, a, True) for (shape, kind), a in zip(self.kinds, outs)]
        ms = driver.milliseconds(lambda: self.run(inputs, outputs), repeat)
        for a in filter(None, [*addresses, *outs]):
            driver.free(a)
        return ms


def sanitize(match):
    """The last lines of compute-sanitizer over this script; None where it is not installed."""
    tool = shutil.which("compute-sanitizer")
    if not tool:
        return None
    done = subprocess.run([tool, "--tool", "memcheck", "--error-exitcode", "9", sys.executable, os.path.abspath(__file__), "--no-sanitizer",
                           "--eager", "no", "--repeat", "0", "--match", match], capture_output=True, text=True)
    return {"status": done.returncode, "tail": done.stdout[-2000:]}


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("--out")
    a.add_argument("--match", default="")
    a.add_argument("--repeat", type=int, default=20, help="timed runs; 0: none")
    a.add_argument("--no-sanitizer", action="store_true")
    a.add_argument("--eager", choices=["cuda", "cpu", "no"], default="cuda",
                   help="where the eager forms run; cpu: as the tests do, against a stand-in for the driver")
    a = a.parse_args()
    try:
        driver = Driver()
    except SystemExit3 as e:
        print(f"{e}; nothing was run")
        return 3
    runtime = Runtime()
    cases, wrong = {}, 0
    for folder in sorted(glob.glob(os.path.join(HERE, "cases", "*"))):
        name = os.path.basename(folder)
        if a.match not in name:
            continue
        entry = cases[name] = {"ok": False}
        try:
            case = Case(runtime, folder)
            entry.update({k: case.info[k] for k in ("sizes", "flops", "bytes", "static")})
            entry["ok"], entry["outputs"] = case.compare()
            if a.repeat and entry["ok"]:
                entry["ms"] = case.time(driver, a.repeat)
            case.close()
        except RuntimeError as e:
            entry["failure"] = str(e)
        wrong += not entry["ok"]
        print(f"{name}: {'right' if entry['ok'] else 'WRONG'} {entry.get('failure', '')}"
              + (f" {entry['ms']:.3f} ms" if entry.get("ms") else ""), flush=True)
    absent = "not asked for" if a.eager == "no" else twins.missing(a.eager)
    eager = {"absent": absent} if absent else twins.run(a.match, a.eager, a.repeat)
    if absent:
        print(f"no comparison with PyTorch: {absent}")
    else:
        wrong += sum(not e.get("ok", True) for e in eager.values())
    result = {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "gpu": driver.name,
              "cuda": driver.version, "cases": cases, "eager": eager, "sanitizer": None if a.no_sanitizer else sanitize(a.match)}
    if a.out:
        with open(a.out, "w") as f:
            json.dump(result, f, indent=1)
            f.write("\n")
    done = len(cases) + (0 if absent else len(eager))
    print(f"{driver.name}: {done - wrong} passed, {wrong} failed")
    return 1 if wrong or not done else 0


if __name__ == "__main__":
    sys.exit(main())
