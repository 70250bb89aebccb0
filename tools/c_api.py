"""Structs of the C interface (runtime/include/attnc) for ctypes; bench/eager and tools/gpu_check call it from Python."""
import ctypes as C


class DLTensor(C.Structure):
    _fields_ = [("data", C.c_void_p), ("device_type", C.c_int32), ("device_id", C.c_int32), ("ndim", C.c_int32),
                ("code", C.c_uint8), ("bits", C.c_uint8), ("lanes", C.c_uint16), ("shape", C.POINTER(C.c_int64)),
                ("strides", C.POINTER(C.c_int64)), ("byte_offset", C.c_uint64)]


class DataType(C.Structure):
    _fields_ = [("code", C.c_uint8), ("bits", C.c_uint8), ("lanes", C.c_uint16)]


class Argument(C.Structure):
    _fields_ = [("name", C.c_char_p), ("has_dtype", C.c_bool), ("dtype", DataType), ("rank", C.c_int32),
                ("dims", C.POINTER(C.c_char_p)), ("optional", C.c_bool), ("index_of", C.c_char_p)]


class Call(C.Structure):
    _fields_ = [("size", C.c_size_t), ("workspace", C.c_void_p), ("workspace_size", C.c_size_t),
                ("stream", C.c_void_p)]
