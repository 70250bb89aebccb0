"""Rows as Markdown and as a plot."""
import datetime
import html

SIDES = ["attnc", "SDPA", "FlexAttention", "ONNX Runtime", "JAX"]
COLOURS = ["#1b6ca8", "#d1495b", "#edae49", "#66a182", "#8d6a9f"]
DTYPES = {"float32": "f32", "bfloat16": "bf16"}


def title(row):
    return f"{row['name']}, {DTYPES[row['dtype']]}, {row['threads']} thread{'s' if row['threads'] > 1 else ''}"


def limits(row, machines):
    machine = machines[str(row["threads"])]
    peak = machine["f32_gflops" if row["dtype"] == "float32" else "bf16_gflops"] or machine["f32_gflops"]
    return peak, machine["read_gbytes"]


def rate(row, side, machines):
    """(text, part of the limit): GB/s of keys and values where those bound it, else GFLOP/s of the pairs that are left."""
    peak, read = limits(row, machines)
    if row["kind"] == "decode":
        gbytes = row["key_bytes"] / side["ms"] * 1e-6
        return f"{gbytes:.1f} GB/s, {100 * gbytes / read:.0f} % of a read", gbytes / read
    gflops = row["flops"] / side["ms"] * 1e-6
    return f"{gflops:.0f} GFLOP/s, {100 * gflops / peak:.0f} %", gflops / peak


def markdown(rows, machines, about, missing):
    lines = ["# Attention beside its peers", "",
             f"Written by `bench/peers.py` on {datetime.date.today()}: {about['processor']}, {about['versions']}.",
             "Medians of rounds in which all sides run in turn, of processor time with one thread, of the wall with more; in brackets",
             "the time of a peer over that of attnc, the median over rounds: below 1 attnc loses, and the row says so. Per cent are of the",
             "peak of FMAs (f32) or of dot products of bf16; for decoding GB/s of keys and values, held against one plain read.",
             "Rates count the pairs that a mask leaves. Every result was first held against float64.", ""]
    for threads, machine in machines.items():
        lines.append(f"Machine, {threads} thread{'s' if int(threads) > 1 else ''}: FMA f32 {machine['f32_gflops']} GFLOP/s, dots of "
                     f"bf16 {machine['bf16_gflops']} GFLOP/s, plain read {machine['read_gbytes']} GB/s.")
    lines += ["", *[f"Not installed: {m}." for m in missing]]
    for dtype in DTYPES:
        for threads in sorted({r["threads"] for r in rows}):
            part = [r for r in rows if r["dtype"] == dtype and r["threads"] == threads]
            if not part:
                continue
            lines += ["", f"## {DTYPES[dtype]}, {threads} thread{'s' if threads > 1 else ''}", "",
                      "| work | attnc ms | rate | " + " | ".join(SIDES[1:]) + " | |", "|---|---:|---|" + "---:|" * (len(SIDES) - 1) + "---|"]
            for r in part:
                lines.append(line(r, machines))
    reasons = sorted({f"{side}: {why}" for r in rows for side, why in r["sides"].items() if isinstance(why, str)})
    lines += ["", "Not measured (-):", "", *[f"- {reason}" for reason in reasons]] if reasons else []
    return "\n".join(lines) + "\n"


def line(r, machines):
    ours = r["sides"].get("attnc")
    if not isinstance(ours, dict):
        return f"| {r['name']} | - | {ours} |" + " |" * len(SIDES)
    cells, lost = [], []
    for name in SIDES[1:]:
        side = r["sides"].get(name)
        if not isinstance(side, dict):
            cells.append("-")
            continue
        cells.append(f"{side['ms']:.2f} ({side['ratio']:.2f})")
        if side["ratio"] < 1:
            lost.append(name)
    verdict = f"**slower than {', '.join(lost)}**" if lost else ""
    return f"| {r['name']} | {ours['ms']:.2f} | {rate(r, ours, machines)[0]} | {' | '.join(cells)} | {verdict} |"


def plot(rows, machines):
    """An SVG: for each row a bar per side, the part of what the machine can do."""
    bar, gap, left, width, top = 7, 9, 330, 620, 60
    height = top + sum(gap + bar * len(SIDES) for _ in rows) + 20
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 60}" height="{height}" font-family="sans-serif" '
           'font-size="11"><rect width="100%" height="100%" fill="white"/>',
           f'<text x="{left}" y="16">Part of the peak of FMAs or dot products; decoding: of one plain read</text>']
    for k, (name, colour) in enumerate(zip(SIDES, COLOURS)):
        out.append(f'<rect x="{left + 120 * k}" y="24" width="10" height="10" fill="{colour}"/>'
                   f'<text x="{left + 120 * k + 14}" y="33">{name}</text>')
    whole = max([1.0] + [rate(r, s, machines)[1] for r in rows for s in r["sides"].values() if isinstance(s, dict)])
    for part in range(0, int(whole * 4) + 1):
        x = left + part / 4 / whole * width
        out.append(f'<line x1="{x:.0f}" y1="{top - 8}" x2="{x:.0f}" y2="{height - 12}" stroke="#ddd"/>'
                   f'<text x="{x:.0f}" y="{top - 12}" text-anchor="middle">{part * 25} %</text>')
    y = top
    for r in rows:
        out.append(f'<text x="{left - 8}" y="{y + bar * len(SIDES) / 2 + 4:.0f}" text-anchor="end">{html.escape(title(r))}</text>')
        for k, name in enumerate(SIDES):
            side = r["sides"].get(name)
            if isinstance(side, dict):
                out.append(f'<rect x="{left}" y="{y + bar * k}" width="{rate(r, side, machines)[1] / whole * width:.1f}" '
                           f'height="{bar - 1}" fill="{COLOURS[k]}"/>')
        y += gap + bar * len(SIDES)
    return "\n".join(out + ["</svg>"]) + "\n"
