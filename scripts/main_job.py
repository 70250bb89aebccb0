#!/usr/bin/env python3
"""The main job: a photograph and a text through five sequence mixers, and a picture of what came out.

    python3 scripts/main_job.py [--attnc build/bin/attnc] [--command run|eval] [--out out]

No mixer is trained: what goes in is made from the data by hand, so that the result can be judged by eye.
  picture  patches of 4 x 4 pixels are a sequence. ViG's bidirectional scan carries colour along it, row by row and column by column;
           its gates close at edges, so colour should spread inside surfaces and stop at outlines.
  text     every word asks for the places where the words before it stood before: full causal attention should light up after repeats,
           block top-k attention should find the same with two blocks, Mamba and a bidirectional scan keep a fading memory of the words.
Writes OUT/main.png and prints what each step took.
"""
import argparse
import os
import re
import subprocess
import sys
import time
import zlib

import numpy as np

import png

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PATCH = 4


class Mixers:
    """Calls attnc on arrays."""

    def __init__(self, tool, command, folder):
        self.tool, self.command, self.folder = tool, command, folder
        os.makedirs(folder, exist_ok=True)

    def __call__(self, spec, outs, mixer=None, params=(), **inputs):
        args = [self.tool, self.command, os.path.join(HERE, "examples", spec)]
        args += ["--mixer", mixer] if mixer else []
        for p in params:
            args += ["--set", p]
        for name, value in inputs.items():
            file = os.path.join(self.folder, f"in_{name}.npy")
            np.save(file, np.ascontiguousarray(value, np.float32 if value.dtype.kind == "f" else value.dtype))
            args += ["--in", f"{name}={file}"]
        files = {n: os.path.join(self.folder, f"out_{n}.npy") for n in outs}
        for name, file in files.items():
            args += ["--out", f"{name}={file}"]
        start = time.time()
        done = subprocess.run(args, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(f"failed with status {done.returncode}: {' '.join(args)}")
        sizes = " ".join(f"{n}{list(v.shape)}" for n, v in list(inputs.items())[:3])
        print(f"  {spec:28} {time.time() - start:6.2f} s   {sizes}")
        result = [np.load(file).astype(np.float64) for file in files.values()]
        if not all(np.isfinite(r).all() for r in result):
            sys.exit(f"{spec}: the result is not finite")
        return result if len(result) > 1 else result[0]


# --- picture -------------------------------------------------------------------------------------------------------------

def patches(picture):
    """Mean colour [rows, columns, 3] and edge strength [rows, columns] of every patch."""
    r, c = picture.shape[0] // PATCH, picture.shape[1] // PATCH
    x = picture[:r * PATCH, :c * PATCH].astype(np.float64) / 255
    colour = x.reshape(r, PATCH, c, PATCH, 3).mean((1, 3))
    step = np.zeros((r, c))
    step[:, 1:] = np.abs(colour[:, 1:] - colour[:, :-1]).sum(-1)
    down = np.zeros((r, c))
    down[1:] = np.abs(colour[1:] - colour[:-1]).sum(-1)
    return colour, step, down


def spread(mixers, colour, edge):
    """One bidirectional scan over the patches, row by row. The last channel is 1 everywhere: its result is the weight to divide by."""
    rows, columns = edge.shape
    value = np.concatenate([colour, np.ones((rows, columns, 1))], -1).reshape(1, 1, -1, 4)
    # A gate opens (log-gate near 0) between like patches and closes at an edge and at the start of a row. The forward scan
    # crosses the border in front of a patch, the backward scan the one behind it.
    before = edge.copy()
    before[:, 0] = 9
    after = np.full_like(edge, 9)
    after[:, :-1] = edge[:, 1:]

    def gate(e):
        return (9 - 150 * e).reshape(1, 1, -1, 1)  # logsigmoid(.) / 16 is taken inside

    ones = np.ones((1, 1, rows * columns, 1))
    o = mixers("linear/vig.attn", ["o"], mixer="bigla", q=ones, k=ones, v=value, gf=gate(before), gb=gate(after))
    o = o.reshape(rows, columns, 4)
    return o[..., :3] / o[..., 3:], o[..., 3]


# --- text ----------------------------------------------------------------------------------------------------------------

def embed(word, width=64):
    """A vector of unit length for a word: signs from a hash, the same for the same word."""
    seed = zlib.crc32(re.sub(r"[^a-z]", "", word.lower()).encode())
    v = np.random.RandomState(seed).randn(width)
    return v / np.linalg.norm(v)


def contexts(words):
    """What was just read, at every word: it and, fainter, the two before."""
    e = np.stack([embed(w) for w in words])
    x = e.copy()
    x[1:] += 0.6 * e[:-1]
    x[2:] += 0.3 * e[:-2]
    return x / np.linalg.norm(x, axis=1, keepdims=True)


# --- drawing -------------------------------------------------------------------------------------------------------------

class Canvas:
    def __init__(self, rows, columns):
        self.a = np.full((rows, columns, 3), 255.0)
        self.font = png.read(os.path.join(HERE, "examples", "data", "font.png"))[..., 0] / 255.0

    def text(self, y, x, s, colour=(30, 30, 30)):
        for n, ch in enumerate(s):
            at = 7 * (min(max(ord(ch), 32), 126) - 32)
            box = self.a[y:y + 15, x + 7 * n:x + 7 * n + 7]
            ink = self.font[:box.shape[0], at:at + box.shape[1], None]
            box[:] = box * (1 - ink) + np.array(colour) * ink

    def image(self, y, x, rgb, scale=1):
        big = rgb.repeat(scale, 0).repeat(scale, 1)
        self.a[y:y + big.shape[0], x:x + big.shape[1]] = big

    def save(self, path):
        png.write(path, np.clip(self.a + 0.5, 0, 255).astype(np.uint8))


STOPS = np.array([[255, 255, 255], [253, 212, 158], [239, 101, 72], [127, 0, 0]], float)


def heat(x):
    """0 .. 1 to white, orange, dark red."""
    x = np.clip(np.nan_to_num(x), 0, 1) * (len(STOPS) - 1)
    low = np.minimum(x.astype(int), len(STOPS) - 2)
    return STOPS[low] + (STOPS[low + 1] - STOPS[low]) * (x - low)[..., None]


def words_shaded(canvas, y, x, width, words, weight, current):
    """The text with every word on a background as dark as its weight; the word that asks in a frame. Returns the next row."""
    at = x
    for n, w in enumerate(words):
        size = 7 * len(w)
        if at + size > x + width:
            at, y = x, y + 17
        box = canvas.a[y:y + 16, at - 2:at + size + 2]
        box[:] = heat(weight[n]) * 0.85 + 255 * 0.15 if weight[n] > 0.02 else 255
        if n == current:
            box[:] = (190, 215, 255)
        canvas.text(y, at, w, (150, 150, 150) if n > current else (20, 20, 20))
        at += size + 7
    return y + 17


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attnc", default=os.path.join(HERE, "build", "bin", "attnc"))
    parser.add_argument("--command", choices=["run", "eval"], default="run", help="the compiled kernels, or the float64 reference")
    parser.add_argument("--out", default=os.path.join(HERE, "out"))
    args = parser.parse_args()
    mixers = Mixers(args.attnc, args.command, os.path.join(args.out, "arrays"))
    started = time.time()

    picture = png.read(os.path.join(HERE, "examples", "data", "chelsea.png"))
    colour, step, down = patches(picture)
    print(f"picture: {picture.shape[1]} x {picture.shape[0]} pixels, {colour.shape[0]} x {colour.shape[1]} patches")
    by_row, weight_row = spread(mixers, colour, step)
    by_column, weight_column = spread(mixers, colour.transpose(1, 0, 2), down.T)
    by_column, weight_column = by_column.transpose(1, 0, 2), weight_column.T

    with open(os.path.join(HERE, "examples", "data", "gettysburg.txt"), encoding="utf-8") as f:
        words = f.read().split()
    n = len(words)
    print(f"text: {n} words")
    x = contexts(words)
    query = 48 * x[None, None]
    key = np.zeros_like(query)
    key[0, 0, 1:] = x[:-1]                  # a key says what stood before the word
    each = np.eye(n)[None, None]            # values of one word each: the result is the attention map
    full = mixers("dense/causal_gqa.attn", ["o", "lse"], q=query, k=key, v=each)
    block = 8
    few, sel = mixers("sparse/block_topk.attn", ["o", "sel"], params=[f"B={block}", "K=3"], q=query, k=key, v=each)
    channels = 24
    u = np.stack([embed(w, channels) for w in words])[None] * np.sqrt(channels)
    speed = np.linspace(-4, 0, channels)     # slow channels above, fast ones below
    state = mixers(
        "linear/mamba.attn", ["y"], x=u, z=np.full_like(u, 3.0), dt=np.broadcast_to(speed, u.shape), A_log=np.zeros((channels, 1)),
        B=np.ones((1, n, 1)), C=np.ones((1, n, 1)), D=np.zeros(channels), f=np.eye(4)[3][:, None] * np.ones(channels),
        fb=np.zeros(channels))[0]
    which = ["here", "nation", "dedicat", "people"]
    marks = np.array([[float(w.lower().startswith(k)) for k in which] for w in words])
    one = np.ones((1, 1, n, 1))
    memory = mixers("linear/vig.attn", ["o"], mixer="bigla", q=one, k=one, v=marks[None, None], gf=-3 * one, gb=-60 * one)[0, 0]

    how = {"run": "compiled", "eval": "reference"}[args.command]
    draw(args.out, how, picture, colour, by_row, weight_row, by_column, weight_column, words, full[0][0, 0], few[0, 0], sel[0, 0],
         block, state, memory, which)
    print(f"{os.path.join(args.out, 'main.png')} after {time.time() - started:.1f} s")


def draw(out, how, picture, colour, by_row, weight_row, by_column, weight_column, words, full, few, sel, block, state, memory, which):
    n = len(words)
    canvas = Canvas(1360, 1400)
    canvas.text(12, 20, f"attnc: a photograph and a text through sequence mixers; every map is the output of a spec in examples/ ({how})")
    scale = 2
    rows, columns = picture.shape[:2]
    wide = columns * scale + 12
    canvas.text(36, 20, "picture")
    canvas.image(54, 20, picture.astype(float), scale)
    canvas.text(36, 20 + wide, "scan along rows, both directions (linear/vig.attn)")
    canvas.image(54, 20 + wide, by_row * 255, PATCH * scale)
    canvas.text(36, 20 + 2 * wide, "scan along columns, both directions")
    canvas.image(54, 20 + 2 * wide, by_column * 255, PATCH * scale)
    y = 54 + rows * scale + 10
    canvas.text(y, 20, "patches: what goes in")
    canvas.image(y + 18, 20, colour * 255, PATCH * scale)
    for k, (name, w) in enumerate([("row", weight_row), ("column", weight_column)]):
        canvas.text(y, 20 + (k + 1) * wide, f"how far a patch sees along its {name}")
        canvas.image(y + 18, 20 + (k + 1) * wide, heat(np.sqrt(w / w.max())), PATCH * scale)
    y += 18 + rows * scale + 16

    # Two words whose past repeats: the attention row of each over the text.
    pairs = list(zip(words, words[1:]))
    asked = [n - 2 - pairs[::-1].index(("we", "can")) + 1, n - 2 - pairs[::-1].index(("for", "the")) + 1]
    top = y
    for at in asked:
        canvas.text(y, 20, f'"{words[at - 1]} {words[at]}" (blue) attends to what followed it before (dark)')
        y = words_shaded(canvas, y + 20, 20, 620, words, full[at] / max(full[at].max(), 1e-9), at) + 8
    canvas.text(top, 680, "causal attention, all words")
    canvas.image(top + 18, 680, heat(np.sqrt(full)))
    canvas.text(top, 680 + n + 20, "the same with 3 blocks of 8")
    canvas.image(top + 18, 680 + n + 20, heat(np.sqrt(few)))
    picked = np.zeros((n, (n + block - 1) // block))
    for i in range(n):
        picked[i, sel[i][sel[i] >= 0].astype(int)] = 1
    canvas.text(top, 680 + 2 * n + 40, "blocks taken")
    canvas.image(top + 18, 680 + 2 * n + 40, heat(picked * 0.7).repeat(3, 1))
    z = top + 18 + n + 12
    canvas.text(z, 680, "state of Mamba over the text, slow channels above (linear/mamba.attn)")
    size = state / np.abs(state).max(0)
    strip = np.where((size > 0)[..., None], heat(np.abs(size)), 255 - (255 - heat(np.abs(size)))[..., ::-1]).transpose(1, 0, 2)
    canvas.image(z + 18, 680, strip.repeat(3, 0).repeat(2, 1))
    z += 18 + 3 * strip.shape[0] + 12
    canvas.text(z, 680, "fading memory of four words, from both sides: " + ", ".join(w + "..." * (w == "dedicat") for w in which))
    bars = heat(memory / memory.max(0)).transpose(1, 0, 2)
    canvas.image(z + 18, 680, bars.repeat(14, 0).repeat(2, 1))
    canvas.save(os.path.join(out, "main.png"))


if __name__ == "__main__":
    main()
