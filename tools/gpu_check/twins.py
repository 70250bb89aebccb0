"""The eager PyTorch forms of bench/eager beside packed kernels of the same sizes: results compared, both timed in turn."""
import json
import os
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def missing(device):
    """Why there is nothing to compare with, or None."""
    try:
        import torch
    except ImportError:
        return "PyTorch is not here"
    return None if device == "cpu" or torch.cuda.is_available() else "PyTorch sees no GPU"


def milliseconds(call, device):
    import torch
    if device == "cpu":
        begin = time.process_time()
        call()
        return (time.process_time() - begin) * 1e3
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    call()
    end.record()
    end.synchronize()
    return start.elapsed_time(end)


def compare(library, folder, item, device, repeat):
    """One entry: what is written of it. An eager form that does not run on this device is named, and no failure of attnc."""
    from eager.measure import difference, draw
    with open(os.path.join(folder, "case.json")) as f:
        entry = json.load(f)
    kernel = library.packaged(folder, "cuda")
    tensors, eager = draw(kernel, item)
    ours, outputs = kernel.bind(tensors)

    def theirs():
        return item["fn"](**eager)

    try:
        result = theirs()
    except Exception as e:
        entry["eager_failure"] = str(e).splitlines()[0]
        result = None
    ours()
    if result is not None:
        result = result if isinstance(result, tuple) else (result,)
        entry["error"] = difference(outputs.values(), result, item)
        entry["ok"] = entry["error"] <= item["tolerance"]
    pairs = []
    for k in range(repeat + 3):  # the first ones warm up
        sides = [ours] if result is None else [ours, theirs]
        times = {side: milliseconds(side, device) for side in (sides if k % 2 else sides[::-1])}
        pairs.append([times[side] for side in sides])
    if repeat:
        entry["attnc_ms"] = statistics.median(p[0] for p in pairs[3:])
    if repeat and result is not None:
        entry["eager_ms"] = statistics.median(p[1] for p in pairs[3:])
    return entry


def run(match, device, repeat):
    """Entries by name."""
    import torch
    torch.set_default_device(device)
    torch.set_grad_enabled(False)
    sys.path.insert(0, HERE)
    from eager import bias, conv, dense, heads, linear, mask, memory, rnn, sparse  # noqa: F401 (they register)
    from eager.common import ENTRIES
    from eager.library import Library
    library, found = Library(os.path.join(HERE, "libattnc_runtime.so"), 1), {}
    for name, item in ENTRIES.items():
        folder = os.path.join(HERE, "twins", folder_of(name))
        if match not in folder_of(name) or not os.path.isdir(folder):
            continue
        try:
            entry = compare(library, folder, item, device, repeat)
        except Exception as e:
            entry = {"ok": False, "failure": str(e)}
        found[name] = entry
        print(f"{name}: " + " ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in entry.items()
                                     if k not in ("sizes", "static")), flush=True)
    return found


def folder_of(name):
    """ "dense/kv_cache" or "bias/rope:rope_attention" -> a folder's name. """
    return name.replace("/", ".").replace(":", ".")
