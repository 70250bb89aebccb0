"""PNG files to and from numpy arrays: 8 bits, grey or RGB, not interlaced. No library but zlib."""
import struct
import zlib

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def read(path):
    """The picture as uint8 [rows, columns, channels]."""
    with open(path, "rb") as f:
        data = f.read()
    if data[:8] != SIGNATURE:
        raise ValueError(f"{path} is not a PNG file")
    at, packed, palette = 8, b"", None
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        if kind == b"IHDR":
            columns, rows, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", body)
            if depth != 8 or colour not in (0, 2) or interlaced:
                raise ValueError(f"{path}: only 8-bit grey or RGB pictures are read")
        elif kind == b"IDAT":
            packed += body
        at += 12 + size
    channels = 3 if colour == 2 else 1
    lines = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(rows, 1 + columns * channels)
    out = np.zeros((rows + 1, columns + 1, channels), np.int32)  # one row and one column of zeros in front
    for r in range(rows):
        kind, line = lines[r, 0], lines[r, 1:].reshape(columns, channels).astype(np.int32)
        here, up = out[r + 1], out[r]
        if kind == 0:
            here[1:] = line
        elif kind == 1:
            here[1:] = np.cumsum(line, axis=0) & 255
        elif kind == 2:
            here[1:] = (line + up[1:]) & 255
        else:
            for c in range(columns):
                a, b, d = here[c], up[c + 1], up[c]
                if kind == 3:
                    guess = (a + b) >> 1
                else:
                    p = a + b - d
                    pa, pb, pd = abs(p - a), abs(p - b), abs(p - d)
                    guess = np.where((pa <= pb) & (pa <= pd), a, np.where(pb <= pd, b, d))
                here[c + 1] = (line[c] + guess) & 255
    return out[1:, 1:].astype(np.uint8)


def write(path, picture):
    """Writes uint8 [rows, columns, 3]."""
    rows, columns, channels = picture.shape
    assert channels == 3 and picture.dtype == np.uint8
    up = np.concatenate([np.zeros((1, columns, 3), np.uint8), picture[:-1]])
    lines = np.concatenate([np.full((rows, 1), 2, np.uint8), (picture - up).reshape(rows, -1)], axis=1)

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    with open(path, "wb") as f:
        f.write(SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)))
        f.write(chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)) + chunk(b"IEND", b""))
