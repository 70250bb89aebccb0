"""One entry, checked and timed on both sides."""
import statistics
import time

import torch

INT = (torch.int32, torch.int64)


def draw(kernel, item):
    """Inputs of an entry by name; what an eager user keeps in another layout comes in the second dict."""
    torch.manual_seed(1)
    tensors = {}
    for a in kernel.inputs:
        if a["optional"] and not axes_known(a, item["sizes"]):
            continue
        shape = [extent(dim, item["sizes"]) for dim in a["dims"]]
        if a["name"] in item["inputs"]:
            t = item["inputs"][a["name"]](shape)
        elif a["dtype"] == torch.bool:
            t = torch.rand(shape) < 0.9
        elif a["dtype"] in INT:
            t = torch.randint(0, item["sizes"][a["index_of"]] if a["index_of"] else 10, shape)
        else:
            t = torch.randn(shape)
        tensors[a["name"]] = t.to(a["dtype"] or torch.float32).contiguous()
    eager = {n: item["layout"][n](t) if n in item["layout"] else t for n, t in tensors.items()}
    return tensors, eager


def axes_known(argument, sizes):
    return all(name.rstrip("'") in sizes for dim in argument["dims"] for name in dim.strip("()").split())


def extent(dim, sizes):
    n = 1
    for name in dim.strip("()").split():
        n *= sizes[name if name in sizes else name.rstrip("'")]
    return n


def difference(ours, theirs, item):
    """Worst error relative to the largest value, after the share of elements that may differ."""
    worst = 0.0
    for o, t in zip(ours, theirs):
        if o.shape != t.shape:
            raise RuntimeError(f"shapes differ: attnc {tuple(o.shape)}, eager {tuple(t.shape)}")
        o, t = o.double().flatten(), t.double().flatten()
        gap = (o - t).abs() / max(1.0, t.abs().nan_to_num(0, 0, 0).max().item())
        gap[(o == t) | (o.isnan() & t.isnan())] = 0
        gap = gap.nan_to_num(float("inf"))
        allowed = int(item["loose"] * gap.numel())
        if allowed:
            gap = gap.sort().values[:-allowed]
        worst = max(worst, gap.max().item())
    return worst


def clock(call, now):
    start = now()
    call()
    return now() - start


def measure(kernel, item, seconds, threads):
    """One thread: time of the processor, which other work on the machine does not add to. More: time on the wall. -> dict(eager, attnc: milliseconds; ratio: eager / attnc, of pairs; error; pairs)"""
    tensors, eager = draw(kernel, item)
    ours, outputs = kernel.bind(tensors)

    def theirs():
        return item["fn"](**eager)

    ours()
    result = theirs()
    result = result if isinstance(result, tuple) else (result,)
    error = difference(outputs.values(), result, item)
    del result
    if error > item["tolerance"]:
        raise RuntimeError(f"results differ by {error:.1e}")
    now = time.process_time if threads == 1 else time.perf_counter
    pairs = []
    begin = time.perf_counter()
    while len(pairs) < 5 or (len(pairs) < 200 and time.perf_counter() - begin < seconds):
        if len(pairs) % 2:  # both orders alike
            a = clock(ours, now)
            e = clock(theirs, now)
        else:
            e = clock(theirs, now)
            a = clock(ours, now)
        pairs.append((e, a))
    return dict(eager=statistics.median(e for e, a in pairs) * 1e3, attnc=statistics.median(a for e, a in pairs) * 1e3,
                ratio=statistics.median(e / a for e, a in pairs), error=error, pairs=len(pairs))
