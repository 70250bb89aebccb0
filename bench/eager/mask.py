"""Masks known from positions, or from ids in the input."""
from .common import *


@entry("mask/bigbird", "b=1 h=4 i=j=2048 d=e=64 x=c=32 r=3", "blocks of 64, 3 drawn, heads of 64; half of the length 4096")
def bigbird(q, k, v, rnd):
    h, n, d = q.shape[1:]
    x = n // 64
    qb, kb, vb = (t[0].unflatten(1, (x, 64)) for t in (q, k, v))
    row = torch.arange(x)
    fixed = torch.stack([row * 0, row * 0 + x - 1, row - 1, row, row + 1], -1).expand(h, -1, -1)
    pick = torch.cat([fixed, rnd.long()], -1)
    bad = (pick < 0) | (pick >= x)
    for a in range(1, pick.shape[-1]):  # a block counts once
        bad[..., a] |= (pick[..., a:a + 1] == pick[..., :a]).any(-1)
    pick = pick.clamp(0, x - 1)
    at = torch.arange(h)[:, None, None]
    o = sdpa(qb, kb[at, pick].flatten(2, 3), vb[at, pick].flatten(2, 3),
             attn_mask=~bad.repeat_interleave(64, -1)[:, :, None])
    for edge in (0, x - 1):
        o[:, edge] = sdpa(qb[:, edge], k[0], v[0])
    return o.flatten(1, 2)[None]


@entry("mask/documents", "b=1 g=2 r=4 i=j=2048 d=e=64", "packed sequences of 2048, documents of about 300", doc=segments(300))
def documents(q, k, v, doc):
    mask = (doc[:, :, None] == doc[:, None]) & causal(q.shape[2])
    return sdpa(q, k, v, attn_mask=mask[:, None], enable_gqa=True)


@entry("mask/dual_scale", "b=64 h=8 i=j=60 d=e=64", "clips of 30 s in 60 segments; 8 heads of 64, a batch of 64")
def dual_scale(q, k, v):
    s, far = scores(q, k), distance(q.shape[2]).abs()
    ps, pl = s.masked_fill(far > 3, -INF).softmax(-1), s.masked_fill(far > 30, -INF).softmax(-1)
    diagonal = [p.diagonal(dim1=-2, dim2=-1).mean((0, 1)) for p in (ps, pl)]
    return (ps @ v + pl @ v).sigmoid(), *diagonal


@entry("mask/logsparse", "b=1 h=8 i=j=768 d=e=64", "the paper's history of 768 steps, 8 heads")
def logsparse(q, k, v):
    back = distance(q.shape[2])
    return sdpa(q, k, v, attn_mask=(back >= 0) & (back & (back - 1) == 0))


@entry("mask/masformer", "b=1 g=1 r=2 i=j=4096 d=e=64", "blocks of 1024 and heads of 64; half of the length 8192")
def masformer(q, k, v):
    out = []
    for lo in range(0, q.shape[2], 1024):
        a, hi = max(0, lo - 1024), lo + 1024
        mask = torch.ones(1024, hi - a, dtype=torch.bool).tril(lo - a)
        out.append(sdpa(q[:, :, lo:hi], k[:, :, a:hi], v[:, :, a:hi], attn_mask=mask, enable_gqa=True))
    return torch.cat(out, 2)


@entry("mask/prefix_lm", "b=2 h=12 i=j=512 d=e=64", "T5-base: 12 heads of 64, length 512", prefix=integers(100, 400))
def prefix_lm(q, k, v, prefix):
    n = q.shape[2]
    return sdpa(q, k, v, attn_mask=(causal(n) | (torch.arange(n) < prefix[:, None, None]))[:, None])


@entry("mask/recformer", "b=1 h=12 i=j=1024 d=e=64", "1024 tokens, window 64, 12 heads of 64, one global token",
       glob=true_at(0), ok=lambda s: torch.arange(s[-1]).expand(s) < s[-1] - 50)
def recformer(q, k, v, qg, kg, vg, glob, ok):
    n, half, block, out = q.shape[2], 32, 128, []
    common = glob[0].nonzero().squeeze(-1)
    for lo in range(0, n, block):
        hi, a, z = lo + block, max(0, lo - half), min(n, lo + block + half)
        j = torch.cat([common, torch.arange(a, z)])
        band = (distance(n)[lo:hi, a:z].abs() <= half) & ~glob[:, a:z] & ok[:, a:z]
        mask = torch.cat([ok[:, common].expand(block, -1), band], -1)
        out.append(softmax0(scores(q[:, :, lo:hi], k[:, :, j], mask)) @ v[:, :, j])
    o = torch.cat(out, 2)
    o[:, :, common] = sdpa(qg[:, :, common], kg, vg, attn_mask=ok[:, None, None])
    return o * ok[:, None, :, None]


@entry("mask/share_question", "b=1 h=8 i=j=1024 d=e=64", "8 heads of 64, length 1024, answers of about 100",
       doc=segments(100))
def share_question(q, k, v, doc):
    mask = ((doc[:, None] == 0) | (doc[:, :, None] == doc[:, None])) & causal(q.shape[2])
    return sdpa(q, k, v, attn_mask=mask[:, None])


@entry("mask/sliding_window", "b=1 g=1 r=4 i=j=2048 d=e=128", "Mistral: 32 heads on 8, 128 wide; a window of 512 of 2048",
       dict(W=512))
def sliding_window(q, k, v):
    return banded(q, k, v, 511)


@entry("mask/sparse_transformer:strided", "b=1 h=2 i=j=3072 d=e=128", "CIFAR-10: length 3072, 2 heads of 128, stride 128")
def strided(q, k, v):
    back = distance(q.shape[2])
    return sdpa(q, k, v, attn_mask=(back >= 0) & ((back < 128) | (back % 128 == 0)))


@entry("mask/sparse_transformer:fixed", "b=1 h=8 i=j=1024 d=e=64", "stride 128 and 8 columns; 8 heads of 64")
def fixed(q, k, v):
    n = q.shape[2]
    block = torch.arange(n) // 128
    mask = causal(n) & ((block[:, None] == block) | (torch.arange(n) % 128 >= 120))
    return sdpa(q, k, v, attn_mask=mask)


@entry("mask/streaming_llm", "b=1 g=1 r=4 i=j=2048 d=e=128", "heads of 128, 4 sinks, window 1020; 4 heads of 2048 tokens")
def streaming_llm(q, k, v):
    return banded(q, k, v, 1019, first=4)
