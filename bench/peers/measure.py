"""One row: all sides checked against float64, then timed in turn."""
import statistics
import time

import torch

from peers.sides import CannotError


def exact(work, q, k, v, rows):
    """Some rows in float64."""
    r = work.heads // work.groups
    q, k, v = q.double()[:, :, rows], k.double().repeat_interleave(r, 1), v.double().repeat_interleave(r, 1)
    s = q @ k.transpose(2, 3) / work.dim ** 0.5
    j = torch.arange(work.keys)
    if work.cap:
        s = work.cap * torch.tanh(s / work.cap)
    if work.slopes is not None:
        s = s - work.slopes.double()[:, None, None] * (rows[:, None] - j)
    kept = work.keeps(rows[:, None], j[None, :])
    if kept is not None:
        s = s.masked_fill(~kept, -torch.inf)
    return s.softmax(-1) @ v


def row(work, sides, dtype, threads, seconds):
    """dict(name, dtype, threads, flops, key_bytes, sides: {name: dict(ms, ratio, error) or why not}); the ratio is of pairs."""
    q, k, v = work.draw(dtype)
    rows = torch.linspace(0, work.queries - 1, min(work.queries, 16)).long()
    wanted = exact(work, q, k, v, rows)
    calls, found = {}, {}
    tolerance = 2e-5 if dtype == torch.float32 else 3e-2
    for side in sides:
        try:
            call = side.call(work, q, k, v)
            result = call()
            result = getattr(call, "result", lambda r: r)(result)
            error = ((result[:, :, rows].double() - wanted).abs().max() / wanted.abs().max().clamp(min=1)).item()
            if not error <= tolerance:
                raise CannotError(f"wrong by {error:.0e}")
            call()
            calls[side.name] = call
            found[side.name] = dict(error=error)
        except CannotError as why:
            found[side.name] = str(why)
        except Exception as why:  # a peer's own error belongs in the table
            found[side.name] = f"{type(why).__name__}: {str(why).strip().splitlines()[0][:60]}"
    now = time.process_time if threads == 1 else time.perf_counter
    rounds, begin, order = {name: [] for name in calls}, time.perf_counter(), list(calls)
    done = 0
    while order and (done < 5 or (done < 100 and time.perf_counter() - begin < seconds)):
        for name in order:
            start = now()
            calls[name]()
            rounds[name].append(now() - start)
        done += 1
        if done == 2:  # who is far behind need not be known to the per cent
            least = min(map(statistics.median, rounds.values()))
            order = [name for name in order if name == "attnc" or statistics.median(rounds[name]) < 8 * least]
        order = order[1:] + order[:1]  # nobody is always the one after the slowest
    ours = rounds.get("attnc")
    for name, times in rounds.items():
        found[name]["ms"] = statistics.median(times) * 1e3
        if ours:
            found[name]["ratio"] = statistics.median(t / a for t, a in zip(times, ours))
    return dict(name=work.name, kind=work.kind, dtype=str(dtype).split(".")[1], threads=threads, flops=work.flops(),
                key_bytes=work.key_bytes(dtype), sides=found)
