"""Softmax over all keys, and what replaces it at the same place."""
from .common import *


@entry("dense/bert4rec", "b=128 h=2 i=j=200 d=e=32", "ML-1m: length 200, 64 wide, 2 heads; half of the batch of 256")
def bert4rec(q, k, v, ok):
    return sdpa(q, k, v, attn_mask=torch.where(ok, 0.0, -10000.0)[:, None, None])


@entry("dense/causal_gqa", "b=1 g=2 r=8 i=j=1024 d=e=64", "T5-XXL's GQA-8 has 8 groups of 8 heads of 64; 2 groups")
def causal_gqa(q, k, v):
    r = q.shape[1] // k.shape[1]
    o, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        q, k.repeat_interleave(r, 1), v.repeat_interleave(r, 1), is_causal=True)
    return o, lse


@entry("dense/collap", "x=y=128 s=32 c=512", "512 wide embeddings, a batch of 128 recordings and texts")
def collap(a, t):
    sim = torch.einsum("xsc,yc->xys", unit(a), unit(t))
    w = (sim / 0.07).softmax(-1)
    return (w * sim).sum(-1), w


@entry("dense/cosformer", "b=1 h=8 i=j=4096 d=e=64", "Long Range Arena: length 4096; 8 heads of 64")
def cosformer(q, k, v):
    at = math.pi / 2 * torch.arange(q.shape[2]) / max(q.shape[2], k.shape[2])
    cos, sin = at.cos()[:, None], at.sin()[:, None]
    q, k = q.relu(), k.relu()
    q, k = torch.cat([q * cos, q * sin], -1), torch.cat([k * cos, k * sin], -1)
    return q @ (k.transpose(-1, -2) @ v) / (q @ k.sum(-2)[..., None]).clamp(min=1e-6)


@entry("dense/dare", "b=4096 j=200 f=16 c=64", "history 200, attention embeddings 16 wide, 64 for the representation")
def dare(qa, ka, qr, vr, ok):
    s = (ka @ qa[..., None]).squeeze(-1) / math.sqrt(qa.shape[-1])
    best, top = s.masked_fill(~ok, -INF).topk(20)
    picked = vr.gather(1, top[..., None].expand(-1, -1, vr.shape[-1]))
    return (best.softmax(-1)[:, None] @ picked).squeeze(1) * qr


@entry("dense/kv_cache", "b=2 g=8 r=4 i=j=1 p=8192 d=e=128", "a decode step of 32 query and 8 key heads over 8192 tokens")
def kv_cache(q, k, v, pk, pv):
    q = q.unflatten(1, (k.shape[1], -1)).flatten(2, 3)  # one query per head: no mask
    po, pn = union(scores(q, pk), scores(q, k))
    return (po @ pv + pn @ v).flatten(1, 2)[:, :, None]


@entry("dense/lama", "b=32 j=512 c=512 m=16", "documents of 512 words, states of a bidirectional GRU of 256")
def lama(x, g, P, Q, ok):
    a = ((g @ P)[:, None] * (x @ Q)).tanh()
    s = F.normalize(a, dim=-1, eps=1e-12).masked_fill(~ok[..., None], -INF)
    return s.softmax(1).transpose(1, 2) @ x


@entry("dense/linformer", "b=1 h=12 i=j=1024 m=256 d=e=64", "the paper's length 1024 and k 256; 12 heads of 64",
       E=lambda s: torch.randn(s) / 32, F=lambda s: torch.randn(s) / 32)
def linformer(q, k, v, E, F):
    return sdpa(q, E @ k, F @ v)


@entry("dense/nystromformer", "b=1 h=8 i=j=4096 d=e=64", "Long Range Arena: length 4096, 64 landmarks", dict(L=64))
def nystromformer(q, k, v):
    ql, kl = q.unflatten(2, (-1, 64)).mean(3), k.unflatten(2, (-1, 64)).mean(3)
    f, a, g = scores(q, kl).softmax(-1), scores(ql, kl).softmax(-1), scores(ql, k).softmax(-1)
    eye = torch.eye(a.shape[-1])
    z = a.transpose(-1, -2) / (a.sum(-2).amax(-1) * a.sum(-1).amax(-1))[..., None, None]
    for _ in range(6):
        p = a @ z
        z = 0.25 * z @ (13 * eye - p @ (15 * eye - p @ (7 * eye - p)))
    return f @ (z @ (g @ v))


def gates(u):
    """[w, q', q] -> [q', (w q)]"""
    return u.permute(1, 0, 2).flatten(1).contiguous()


def cell(a, c):
    i, f, g, o = a.chunk(4, -1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


@entry("dense/order_matters", "b=128 i=20 q=256 w=4", "sets of 20, 5 steps; 256 units", U=weights, V=weights,
       layout=dict(U=gates, V=gates, bias=lambda t: t.flatten()))
def order_matters(m, ok, U, V, bias):
    h = r = c = torch.zeros(m.shape[0], m.shape[2])
    for _ in range(5):
        h, c = cell(torch.addmm(torch.addmm(bias, h, U), r, V), c)
        s = (m @ h[..., None]).squeeze(-1).masked_fill(~ok, -INF)
        r = (softmax0(s)[:, None] @ m).squeeze(1)
    return h, r


@entry("dense/palm", "b=1 h=8 i=j=512 d=e=64", "8 heads of 64, sequences of 512", src=integers(200, 256))
def palm(q, k, v, q2, k2, v2, src):
    n = q.shape[2]
    inside = torch.arange(n) < src[:, None, None, None]
    a = scores(q, k, causal(n) | (inside.transpose(-1, -2) & inside)).softmax(-1)
    return a @ v, sdpa(q2, k2, v2, attn_mask=inside), (a * inside).sum(-1)


@entry("dense/performer", "b=1 h=2 i=j=4096 m=256 d=e=64", "256 features, heads of 64; 2 heads of 4096 tokens")
def performer(q, k, v, w):
    q, k = q / q.shape[-1] ** 0.25, k / k.shape[-1] ** 0.25
    gq, gk = q @ w.transpose(-1, -2), k @ w.transpose(-1, -2)
    fq = (gq - (q * q).sum(-1, keepdim=True) / 2 - gq.amax(-1, keepdim=True)).exp() + 1e-4
    fk = (gk - (k * k).sum(-1, keepdim=True) / 2 - gk.amax((-1, -2), keepdim=True)).exp() + 1e-4
    return fq @ (fk.transpose(-1, -2) @ v) / (fq @ fk.sum(-2)[..., None]).clamp(min=1e-6)


@entry("dense/pointer_network", "b=16 j=t=50 q=a=256", "50 points, 256 units; a batch of 16", W1=weights, W2=weights,
       v=scaled(0.1))
def pointer_network(enc, dec, W1, W2, v, ok):
    u = ((enc @ W1)[:, None] + (dec @ W2)[:, :, None]).tanh_() @ v
    u = u.masked_fill(~ok[:, None], -INF)
    return u.softmax(-1), u.argmax(-1).to(torch.int32)


@entry("dense/shard_merge", "b=1 h=8 i=j=1024 d=e=64", "8 heads of 64; 4 shards of 256 keys", dict(S=256),
       i0=integers(5, 9), j0=integers(0, 5))
def shard_merge(q, k, v, i0, j0):
    mask = torch.arange(k.shape[2]) + j0 <= torch.arange(q.shape[2])[:, None] + i0
    mask = mask.unflatten(1, (-1, 256)).transpose(0, 1)
    k, v = k.unflatten(2, (-1, 256)), v.unflatten(2, (-1, 256))
    s = scores(q[:, :, None], k, mask)
    oz, lz = softmax0(s) @ v, s.logsumexp(-1)
    return (lz.softmax(2)[..., None] * oz).sum(2), lz.logsumexp(2)


@entry("dense/timeaudio", "b=1 t=1496 c=e=768 r=88 d=64", "30 s at 50 frames a second, in windows of 17; 768 wide",
       Wk=weights, Wv=weights)
def timeaudio(x, E, q, Wk, Wv):
    f = x.unflatten(1, (-1, 17)) + E[:, None]
    p = (f @ Wk @ q / math.sqrt(q.shape[0])).softmax(-1)
    return (p[..., None, :] @ (f @ Wv)).squeeze(-2)


@entry("dense/funnel:funnel", "b=1 j=513 c=768 h=12 d=e=64 n=257 r=1026", "the base model: 12 heads of 64; 513 tokens to 257",
       Wq=weights, Wk=weights, Wv=weights)
def funnel(x, Wq, Wk, Wv, R, u, w):
    n = x.shape[1]
    pooled = torch.cat([x[:, :1], F.avg_pool1d(x[:, 1:].transpose(1, 2), 2, ceil_mode=True).transpose(1, 2)], 1)
    q, k, v = heads(pooled, Wq), heads(x, Wk), heads(x, Wv)
    at = 2 * torch.arange(pooled.shape[1])[:, None] - 1 - torch.arange(n) + n
    rel = ((q + w[:, None]) @ R.transpose(-1, -2)).gather(-1, at.expand(*q.shape[:2], -1, -1))
    return sdpa(q + u[:, None], k, v, attn_mask=rel / math.sqrt(q.shape[-1])), pooled


@entry("dense/funnel:funnel_up", "b=24 t=513 c=768 n=257", "513 tokens from 257; a batch of 24")
def funnel_up(x, y):
    return x + torch.cat([y[:, :1], y[:, 1:].repeat_interleave(2, 1)[:, :x.shape[1] - 1]], 1)
