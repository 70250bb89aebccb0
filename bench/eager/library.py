"""The C interface of attnc (runtime/include/attnc) through ctypes, for torch tensors."""
import ctypes as C
import os
import sys

import torch

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
from c_api import Argument, Call, DataType, DLTensor  # noqa: E402


class EngineOptions(C.Structure):
    _fields_ = [("size", C.c_size_t), ("threads", C.c_int32), ("user_data", C.c_void_p), ("allocate", C.c_void_p),
                ("release", C.c_void_p), ("parallel_for", C.c_void_p), ("log", C.c_void_p),
                ("cache_directory", C.c_char_p), ("cache_limit", C.c_int64), ("workspace_limit", C.c_int64)]


class CompileOptions(C.Structure):
    _fields_ = [("size", C.c_size_t), ("mixer", C.c_char_p), ("target", C.c_char_p), ("arch", C.c_char_p),
                ("names", C.POINTER(C.c_char_p)), ("values", C.POINTER(C.c_char_p)), ("count", C.c_size_t)]


DTYPES = {torch.float32: (2, 32), torch.float64: (2, 64), torch.bfloat16: (4, 16), torch.float16: (2, 16),
          torch.int32: (0, 32), torch.int64: (0, 64), torch.bool: (6, 8)}
TORCH = {pair: dtype for dtype, pair in DTYPES.items()}


def tensor(t):
    """A DLTensor over the memory of `t`, which the caller keeps alive."""
    code, bits = DTYPES[t.dtype]
    shape = (C.c_int64 * max(t.dim(), 1))(*t.shape)
    strides = (C.c_int64 * max(t.dim(), 1))(*t.stride())
    device = (2, t.device.index or 0) if t.is_cuda else (1, 0)
    return DLTensor(t.data_ptr(), *device, t.dim(), code, bits, 1, shape, strides, 0)


class Library:
    """libattnc, or libattnc_runtime, with one engine of so many threads."""

    def __init__(self, file, threads):
        self.c = C.CDLL(file)
        for name in ("attnc_engine_create", "attnc_package_load", "attnc_kernel_run", "attnc_kernel_workspace_size",
                     "attnc_kernel_output_shape"):
            getattr(self.c, name).restype = C.c_void_p
        self.c.attnc_error_message.restype = C.c_char_p
        self.c.attnc_error_message.argtypes = [C.c_void_p]
        for name in ("attnc_kernel_input_count", "attnc_kernel_output_count"):
            getattr(self.c, name).restype = C.c_size_t
        for name in ("attnc_kernel_input", "attnc_kernel_output"):
            getattr(self.c, name).restype = C.c_bool
            getattr(self.c, name).argtypes = [C.c_void_p, C.c_size_t, C.c_void_p]
        options = EngineOptions(size=C.sizeof(EngineOptions), threads=threads)
        self.engine = C.c_void_p()
        self.check(self.c.attnc_engine_create(C.byref(options), C.byref(self.engine)))

    def check(self, error):
        if error:
            raise RuntimeError(self.c.attnc_error_message(error).decode())

    def compiled(self, path, mixer=None, params=None):
        """The kernel of a spec; libattnc alone can."""
        params = params or {}
        names = (C.c_char_p * max(len(params), 1))(*[n.encode() for n in params])
        values = (C.c_char_p * max(len(params), 1))(*[str(v).encode() for v in params.values()])
        options = CompileOptions(size=C.sizeof(CompileOptions), mixer=mixer.encode() if mixer else None, names=names,
                                 values=values, count=len(params))
        handle = C.c_void_p()
        self.c.attnc_compile_file.restype = C.c_void_p
        self.check(self.c.attnc_compile_file(self.engine, path.encode(), C.byref(options), C.byref(handle)))
        return Kernel(self, handle, own_workspace=True)

    def packaged(self, folder, target):
        """The kernel of a package. Its intermediates are memory of the engine, or of the GPU's driver."""
        handle = C.c_void_p()
        self.check(self.c.attnc_package_load(self.engine, folder.encode(), target.encode(), C.byref(handle)))
        return Kernel(self, handle, own_workspace=False)


class Kernel:
    def __init__(self, library, handle, own_workspace):
        self.lib, self.handle, self.own_workspace = library, handle, own_workspace
        self.inputs = self.arguments("input")
        self.outputs = self.arguments("output")

    def arguments(self, kind):
        found = []
        count = getattr(self.lib.c, f"attnc_kernel_{kind}_count")(self.handle)
        for i in range(count):
            a = Argument()
            getattr(self.lib.c, f"attnc_kernel_{kind}")(self.handle, i, C.byref(a))
            found.append(dict(name=a.name.decode(), dims=[a.dims[d].decode() for d in range(a.rank)],
                              dtype=TORCH[a.dtype.code, a.dtype.bits] if a.has_dtype else None, optional=a.optional,
                              index_of=a.index_of.decode() if a.index_of else ""))
        return found

    def bind(self, tensors):
        """Compiles for these tensors (a dict by name) and returns (call, outputs): call() runs the kernel."""
        c = self.lib.c
        ins = [tensor(tensors[a["name"]]) if a["name"] in tensors else None for a in self.inputs]
        inp = (C.POINTER(DLTensor) * max(len(ins), 1))(*[C.pointer(t) if t else None for t in ins])
        bytes_ = C.c_size_t()
        self.lib.check(c.attnc_kernel_workspace_size(self.handle, inp, C.byref(bytes_)))
        outputs = {}
        for i, a in enumerate(self.outputs):
            shape, rank, dtype = (C.c_int64 * 16)(), C.c_int32(), DataType()
            self.lib.check(c.attnc_kernel_output_shape(self.handle, inp, C.c_size_t(i), C.c_size_t(16), shape,
                                                       C.byref(rank), C.byref(dtype)))
            outputs[a["name"]] = torch.empty(list(shape[:rank.value]), dtype=TORCH[dtype.code, dtype.bits])
        outs = [tensor(t) for t in outputs.values()]
        out = (C.POINTER(DLTensor) * len(outs))(*[C.pointer(t) for t in outs])
        call, memory = Call(size=C.sizeof(Call)), None
        if self.own_workspace:
            memory = torch.empty(bytes_.value + 64, dtype=torch.uint8)
            call.workspace, call.workspace_size = -(-memory.data_ptr() // 64) * 64, bytes_.value
        keep = (tensors, ins, inp, outs, out, memory, call)

        def run():
            error = c.attnc_kernel_run(self.handle, inp, out, C.byref(call))
            if error:
                self.lib.check(error)
            return keep and outputs

        return run, outputs
