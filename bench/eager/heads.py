"""Statistics of attention maps, maps changed after the softmax."""
from .common import *


@entry("heads/attention_calibration", "b=1 h=8 i=j=1024 d=e=64", "8 heads of 64, 1024 tokens", loose=1e-3)
def attention_calibration(q, k, v, on):
    n = q.shape[2]
    p = scores(q, k, causal(n)).softmax(-1)
    seen = p.sum(2) / (n - torch.arange(n))
    hot = seen > 5 / n
    sink = (hot & (hot.long().cumsum(-1) > 1))[:, :, None]
    m, r = (p * sink).sum(-1, keepdim=True), (p * ~sink).sum(-1, keepdim=True)
    w = torch.where(sink, 0.4 * p, p * (1 + 0.6 * m / r.clamp(min=1e-30)))
    return torch.where(on[:, None, None], w, p) @ v, seen


@entry("heads/induction", "b=1 h=8 i=j=1024 d=64", "8 heads of 64, 1024 tokens", tok=integers(0, 50))
def induction(q, k, tok):
    n = q.shape[2]
    s = scores(q, k, causal(n))
    p = s.softmax(-1)
    entropy = s.logsumexp(-1) - (p * s.masked_fill(~causal(n), 0)).sum(-1)
    before = tok.roll(1, 1)[:, None] == tok[:, :, None]
    before[:, :, 0] = False
    return entropy, p[..., 0].mean(-1), (p * before[:, None]).sum(-1).mean(-1)


@entry("heads/retrieval_head", "b=1 h=8 t=64 j=4096 d=e=128", "heads of 128, a context of 4096, 64 steps", loose=1e-3,
       lo=integers(1000, 1500), hi=integers(1600, 2000))
def retrieval_head(q, k, v, tok, out, lo, hi, keep):
    s = scores(q, k)
    best = s.argmax(-1)
    hit = (lo[:, None, None] <= best) & (best < hi[:, None, None])
    hit &= tok[:, None].expand(-1, q.shape[1], -1).gather(2, best) == out[:, None]
    score = hit.float().sum(-1) / (hi - lo).clamp(min=1)[:, None]
    return keep[:, None, None] * (s.softmax(-1) @ v), best.to(torch.int32), score


@entry("heads/verbatim_memory", "b=1 h=12 i=j=512 d=e=64", "GPT-2: 12 heads of 64; 512 tokens",
       off=lambda s: torch.arange(s[0]) % 4 == 0)
def verbatim_memory(q, k, v, target, off, shuffle):
    p = scores(q, k, causal(q.shape[2])).softmax(-1)
    off = off[:, None, None]
    moved = torch.where(off, p.gather(3, shuffle.long()[None]), p)
    return p.masked_fill(off, 0) @ v, moved @ v, (p * target[:, None, None]).sum(-1)
