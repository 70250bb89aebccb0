"""The .npy format without numpy, so that what is compared does not depend on who wrote or read it."""
import ast
import math
import struct
from array import array

CODES = {"f4": "f", "f8": "d", "i4": "i", "i8": "q", "b1": "b"}


def read(path):
    """(shape, row-major list of numbers)"""
    with open(path, "rb") as f:
        data = f.read()
    if data[:6] != b"\x93NUMPY":
        raise ValueError(f"{path}: not a .npy file")
    if data[6] == 1:
        length, start = struct.unpack("<H", data[8:10])[0], 10
    else:
        length, start = struct.unpack("<I", data[8:12])[0], 12
    header = ast.literal_eval(data[start:start + length].decode("latin1"))
    shape, descr = header["shape"], header["descr"][1:]
    count = math.prod(shape)
    body = data[start + length:]
    if descr == "f2":
        values = list(struct.unpack(f"<{count}e", body[:2 * count]))
    else:
        values = array(CODES[descr])
        values.frombytes(body[:count * values.itemsize])
        values = values.tolist()
    if header["fortran_order"] and len(shape) > 1:
        strides = [math.prod(shape[:k]) for k in range(len(shape))]
        flat = [0]
        for size, stride in zip(shape, strides):
            flat = [at + k * stride for at in flat for k in range(size)]
        values = [values[at] for at in flat]
    return tuple(shape), values


def encode(shape, values, code="f4"):
    """The bytes of a file; `code` is a key of CODES."""
    descr = ("|" if code == "b1" else "<") + code
    header = "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }" % (descr, "".join(f"{s}, " for s in shape))
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + array(CODES[code], values).tobytes()
