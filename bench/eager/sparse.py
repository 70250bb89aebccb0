"""The data choose what is attended to. Where the kept part is no small share of the keys, a mask over all of them is
what is fast in eager PyTorch, and what the authors' reference code does; blocks are gathered where it pays."""
from .common import *


def spread(kept, size, n):
    """Blocks to keys along the last axis, cut to n."""
    return kept.repeat_interleave(size, -1)[..., :n]


def chosen(score, count):
    """True at the `count` largest along the last axis, never at -inf."""
    best, at = score.topk(min(count, score.shape[-1]))
    return torch.zeros(score.shape, dtype=torch.bool).scatter_(-1, at, best > -INF)


@entry("sparse/block_topk", "b=1 g=1 r=4 i=j=2048 d=e=64 n=8", "8 blocks of 64; 4 heads of 64 and 2048 tokens", loose=1e-3)
def block_topk(q, k, v):
    n, d = q.shape[2:]
    own = torch.arange(n)[:, None] // 64
    block = torch.arange(n // 64)
    gate = (q.mean(1, keepdim=True) @ k.unflatten(2, (-1, 64)).mean(3).transpose(-1, -2))
    gate = gate.masked_fill(block == own, INF).masked_fill(block > own, -INF)
    best, pick = gate.topk(8)
    kept = torch.zeros(gate.shape, dtype=torch.bool).scatter_(-1, pick, best > -INF)
    o = sdpa(q, k, v, attn_mask=spread(kept, 64, n) & causal(n), enable_gqa=True)
    return o, pick.masked_fill(best == -INF, -1).to(torch.int32)


@entry("sparse/combiner", "b=1 h=8 i=j=2048 d=e=64", "blocks of 32, heads of 64; 8 heads of 2048 tokens")
def combiner(q, k, v):
    qb, kb, vb = (t.unflatten(2, (-1, 32)) for t in (q, k, v))
    value = (scores(qb.amax(3, keepdim=True), kb).softmax(-1) @ vb).squeeze(3)
    token = scores(qb, kb, causal(32)).flatten(2, 3)
    x = torch.arange(qb.shape[2])
    whole = scores(q, kb.amax(3), x < (torch.arange(q.shape[2]) // 32)[:, None])
    pt, pw = union(token, whole)
    return (pt.unflatten(2, (-1, 32)) @ vb).flatten(2, 3) + pw @ value


@entry("sparse/dhsa", "b=1 h=8 i=j=1024 d=e=64 c=64", "64 chunks, blocks of 32, 128 tokens kept; 8 heads of 1024 tokens",
       loose=0.02, own=lambda s: (torch.arange(s[-1]) * 64 // s[-1]).expand(s))
def dhsa(q, k, v, own):
    b, _, n, d = q.shape
    own = own.long()
    count = torch.zeros(b, 64).scatter_add_(1, own, torch.ones(b, n)).clamp(min=1)
    kc = torch.zeros(b, 64, d).scatter_add_(1, own[..., None].expand(-1, -1, d), k.mean(1)) / count.sqrt()[..., None]
    qx = q.mean(1).unflatten(1, (-1, 32)).mean(2) * math.sqrt(32)
    score = (qx @ kc.transpose(1, 2)).gather(2, own[:, None].expand(-1, qx.shape[1], -1))
    j, end = torch.arange(n), 32 * torch.arange(1, qx.shape[1] + 1)[:, None]
    score = score.masked_fill(j >= end - 32, INF).masked_fill(j >= end, -INF)
    kept = torch.zeros(score.shape, dtype=torch.bool)
    order = score.sort(dim=-1, descending=True, stable=True)  # ties to the smaller position
    kept.scatter_(-1, order.indices[..., :128], order.values[..., :128] > -INF)
    return sdpa(q, k, v, attn_mask=kept.repeat_interleave(32, 1)[:, None] & causal(n))


@entry("sparse/flexprefill", "b=1 h=4 i=j=2048 d=e=64", "blocks of 128, gamma 0.9, tau 0.1; 4 heads of 2048 tokens",
       loose=0.02, q=scaled(0.5))
def flexprefill(q, k, v):
    n, B, gamma = q.shape[2], 128, 0.9
    x = n // B
    c, row = torch.arange(x), torch.arange(x)[:, None]
    p = scores(q[:, :, -B:], k, causal(n)[-B:]).softmax(-1)
    vert = p.unflatten(-1, (x, B)).sum(-1).mean(2)
    back = (torch.arange(n - B, n)[:, None] - torch.arange(n)).div(B, rounding_mode="floor")
    slash = torch.stack([(p * (back == t)).sum(-1).mean(-1) for t in range(x)], -1)
    kc, qm = k.unflatten(2, (x, B)).mean(3), q.unflatten(2, (x, B)).mean(3)
    est = scores(qm[:, :, -1:], kc).softmax(-1).squeeze(2)
    mid = ((est + vert) / 2).clamp(min=1e-30)
    js = ((est * (est.clamp(min=1e-30) / mid).log()) + vert * (vert.clamp(min=1e-30) / mid).log()).sum(-1) / 2
    aware = js.clamp(min=0).sqrt() < 0.1

    def covering(w, share):
        """Place of every element in the order of size, and how many cover the share."""
        order = w.sort(dim=-1, descending=True, stable=True)
        place = order.indices.argsort(-1)
        return place, (order.values.cumsum(-1) <= share).sum(-1, keepdim=True)

    place_v, nv = covering(vert, gamma)
    place_s, ns = covering(slash, gamma)
    A = scores(qm, kc, c <= row).softmax(-1)
    place_a, na = covering(A.flatten(-2), gamma * x)
    edge = (c == 0) | (c == row)
    cols = edge | (place_v < nv + 1)[:, :, None] | ((place_s < ns + 1)[..., (row - c).clamp(min=0)] & (row >= c))
    keep = torch.where(aware[..., None, None], edge | (place_a < na).unflatten(-1, (x, x)), cols)
    mask = spread(keep, B, n).repeat_interleave(B, -2) & causal(n)
    return sdpa(q, k, v, attn_mask=mask), aware


@entry("sparse/hip", "b=1 h=2 i=j=2048 d=e=64", "blocks of 32 and 8, window 64, 4 sinks; 32 of 256 key blocks kept",
       dict(M=32, R=3), loose=0.02)
def hip(q, k, v):
    n, Q, B, M, R, none = q.shape[2], 32, 8, 32, 3, 10**9
    qb, kb = q.unflatten(2, (-1, Q)), k.unflatten(2, (-1, B))
    b, h, x, c = *qb.shape[:3], kb.shape[2]
    i = torch.arange(n).view(x, Q)
    first = (torch.arange(M) << R).expand(b, h, x, M)
    at = torch.arange(b)[:, None, None, None], torch.arange(h)[:, None, None]
    for l in range(R):
        half = torch.stack([first, first + (1 << (R - 1 - l))], -1).flatten(-2)  # b h x p
        s = qb @ kb[at[0], at[1], half.clamp(max=c - 1)].flatten(-3, -2).transpose(-1, -2)
        where = (half[..., None] * B + torch.arange(B)).flatten(-2)[..., None, :]
        s = s.masked_fill((where > i[..., None]) | (where >= n), -INF).unflatten(-1, (-1, B)).amax((-1, -3))
        s = s.masked_fill(half * B >= Q * torch.arange(1, x + 1)[:, None], -INF)
        best, top = s.topk(M)
        first = half.gather(-1, top).masked_fill(best == -INF, none)
    found = torch.zeros(b, h, x, c + 1, dtype=torch.bool).scatter_(-1, first.clamp(max=c), True)[..., :c]
    back = distance(n)
    mask = spread(found, B, n).repeat_interleave(Q, -2) | (back < 64) | (torch.arange(n) < 4)
    return sdpa(q, k, v, attn_mask=mask & (back >= 0))


@entry("sparse/hyperattention", "b=1 h=4 i=j=4096 d=e=64 w=7 r=256", "blocks and samples of 256, 7 bits; 4 heads of 4096",
       dict(B=256), loose=0.02)
def hyperattention(q, k, v, P, smp):
    B, bits = 256, 2 ** torch.arange(P.shape[-1])
    at = torch.arange(q.shape[1])[:, None]

    def order(x):
        code = ((x @ P > 0) * bits).sum(-1)
        return (code ^ (code >> 1)).argsort(dim=-1, stable=True)

    qi, kj, smp = order(q), order(k), smp[0].long()
    qs = q[0, at, qi[0]].unflatten(1, (-1, B))
    kb, vb = (t[0, at, kj[0]].unflatten(1, (-1, B)) for t in (k, v))
    kr, vr = (t[0, at, kj[0].gather(1, smp)][:, None] for t in (k, v))
    other = (smp[:, None] // B != torch.arange(qs.shape[1])[:, None])[:, :, None]
    s2 = scores(qs, kr) + math.log(k.shape[2] / smp.shape[1])
    p1, p2 = union(scores(qs, kb), s2.masked_fill(~other, -INF))
    oz = (p1 @ vb + p2 @ vr).flatten(1, 2)
    return torch.empty_like(oz).scatter_(1, qi[0][..., None].expand_as(oz), oz)[None]


@entry("sparse/infllm", "b=1 h=8 i=64 j=2048 z=128 p=16384 d=e=64",
       "memory blocks of 128, 16 kept, 4 representatives, 128 first tokens; a chunk of 64 over half of the local 4096",
       loose=1e-3, mass=uniform(0, 1))
def infllm(q, qm, k, v, ik, iv, mk, mv, mass):
    mk, mv = mk.unflatten(2, (-1, 128)), mv.unflatten(2, (-1, 128))
    best = mass.unflatten(2, (-1, 128)).topk(4).indices[..., None].expand(-1, -1, -1, -1, mk.shape[-1])
    rep = mk.gather(3, best).mean(3)
    pick = (qm.mean(2)[:, :, None] * rep).sum((1, 3)).topk(16).indices
    mk, mv = (t.transpose(1, 2)[torch.arange(1)[:, None], pick].transpose(1, 2).flatten(2, 3) for t in (mk, mv))
    n, m = q.shape[2], k.shape[2]
    back = torch.arange(n)[:, None] + m - n - torch.arange(m)
    pz, pm, pl = union(scores(qm, ik), scores(qm, mk), scores(q, k, (back >= 0) & (back < 4096)))
    return pz @ iv + pm @ mv + pl @ v, pl.sum(2)


@entry("sparse/landmark", "b=1 h=8 i=j=1020 d=e=64", "blocks of 51; 8 heads of 64 and 1020 tokens")
def landmark(q, k, v):
    n, B = q.shape[2], 51
    x = torch.arange(n // B)
    own_block = torch.arange(n)[:, None] // B
    s = scores(q, k, causal(n)).unflatten(-1, (-1, B))
    s = torch.cat([s[..., :-1], torch.full_like(s[..., :1], -INF)], -1), s[..., -1]
    inside = softmax0(s[0])
    own = s[0].masked_fill((x != own_block)[..., None], -INF).flatten(-2)
    own, mark = union(own, s[1].masked_fill(x >= own_block, -INF))
    return (own + (mark[..., None] * inside).flatten(-2)) @ v


@entry("sparse/longheads", "b=1 h=2 i=j=1024 d=64", "16 chunks of 256 there; here 4 of 8 chunks of 128, 2 heads", loose=1e-2,
       params=dict(W=128, K=4))
def longheads(q, k, v):
    W, K, (h, n, d) = 128, 4, q.shape[1:]
    qc, kc, vc = (t[0].unflatten(1, (-1, W)) for t in (q, k, v))
    u, x = torch.arange(W), torch.arange(n) // W
    c = torch.arange(n // W)
    kr, qr = rope(kc, u), rope(qc, u)
    mid = (scores(qr, kr).softmax(-1) @ vc).mean(2, keepdim=True)
    rep = (scores(mid, kr).softmax(-1) @ kr).squeeze(2)
    gate = q[0] @ rep.transpose(-1, -2)
    gate = gate.masked_fill((c == 0) | (c >= x[:, None] - 1), INF).masked_fill(c > x[:, None], -INF)
    best, pick = gate.topk(K)
    seq = pick.masked_fill(best == -INF, n).sort(-1).values
    gone, seq = seq == n, seq.clamp(max=n // W - 1)
    out, at = [], torch.arange(h)[:, None, None]
    for lo in range(0, n, 128):  # the gathered keys of all queries would not fit a cache
        rows = slice(lo, lo + 128)
        kk = rope(kc[at, seq[:, rows]].flatten(2, 3), torch.arange(K * W))
        qq = rope(q[0, :, rows], (torch.clamp(x[rows] + 1, max=K) - 1) * W + torch.arange(lo, lo + 128) % W)
        s = (kk @ qq[..., None]).squeeze(-1) / math.sqrt(d)
        where = seq[:, rows, :, None] * W + u
        s = s.unflatten(-1, (K, W)).masked_fill(gone[:, rows, :, None] | (where > torch.arange(n)[rows, None, None]), -INF)
        out.append((s.flatten(-2).softmax(-1)[:, :, None] @ vc[at, seq[:, rows]].flatten(2, 3)).squeeze(2))
    return torch.cat(out, 1)[None]


@entry("sparse/moba", "b=1 h=2 i=j=4096 d=e=64", "blocks of 512, 3 kept; 2 heads of 64 and 4096 tokens", loose=1e-3)
def moba(q, k, v):
    n = q.shape[2]
    own, block = torch.arange(n)[:, None] // 512, torch.arange(n // 512)
    gate = q @ k.unflatten(2, (-1, 512)).mean(3).transpose(-1, -2)
    kept = chosen(gate.masked_fill(block == own, INF).masked_fill(block > own, -INF), 3)
    return sdpa(q, k, v, attn_mask=spread(kept, 512, n) & causal(n))


@entry("sparse/nsa", "b=1 g=1 r=4 i=j=2048 d=e=64", "blocks of 64, 16 kept, window 512; 4 heads of 64 and 2048 tokens",
       loose=5e-3)
def nsa(q, kc, vc, ks, vs, kw, vw, gc, gs, gw):
    n, B = q.shape[2], 64
    i, c = torch.arange(n)[:, None], torch.arange(n // B)
    kc, vc = kc.unflatten(2, (-1, B)).mean(3), vc.unflatten(2, (-1, B)).mean(3)
    pc = softmax0(scores(q, kc, (c + 1) * B - 1 <= i))
    gate = pc.sum(1, keepdim=True).masked_fill((c == 0) | (i // B - c <= 1), INF).masked_fill(c > i // B, -INF)
    os = sdpa(q, ks, vs, attn_mask=spread(chosen(gate, 16), B, n) & causal(n), enable_gqa=True)
    ow = banded(q, kw, vw, 511)
    return gc.sigmoid()[..., None] * (pc @ vc) + gs.sigmoid()[..., None] * os + gw.sigmoid()[..., None] * ow


@entry("sparse/probsparse", "b=2 h=8 i=j=720 d=e=64 r=35", "720 steps, factor 5 (35 samples, 35 queries), 8 heads",
       dict(U=35), loose=1e-2)
def probsparse(q, k, v, smp):
    x = torch.einsum("bhid,bhird->bhir", q, k[:, :, smp.long()])
    top = (x.amax(-1) - x.sum(-1) / k.shape[2]).topk(35).indices[..., None].expand(-1, -1, -1, q.shape[-1])
    o = v.mean(2, keepdim=True).repeat(1, 1, q.shape[2], 1)
    return o.scatter_(2, top, sdpa(q.gather(2, top), k, v))


@entry("sparse/recycled:full_step", "b=2 g=8 r=4 j=8192 d=e=128 n=64", "Llama 3: 32 heads on 8 of 128; a cache of 8192",
       loose=1e-3)
def full_step(q, k, v):
    p = scores(q.unflatten(1, (k.shape[1], -1)), k).softmax(-1)
    return (p @ v).flatten(1, 2), p.amax(2).topk(64).indices.to(torch.int32)


@entry("sparse/recycled:recycled_step", "b=2 g=8 r=4 j=16384 n=4096 t=50 d=e=128", "4096 keys kept, steps of 50")
def recycled_step(q, k, v, sel, nk, nv, q0):
    qg = q.unflatten(1, (k.shape[1], -1))
    at = sel.long()[..., None].expand(-1, -1, -1, k.shape[-1])
    ps, pn = union(scores(qg, k.gather(2, at)), scores(qg, nk))
    a, c = q.mean(1), q0.mean(1)
    like = (a * c).sum(-1) / (a.norm(dim=-1) * c.norm(dim=-1)).clamp(min=1e-6)
    return (ps @ v.gather(2, at) + pn @ nv).flatten(1, 2), like


@entry("sparse/routing", "b=1 h=8 i=j=4096 d=e=64 c=64", "heads of 64; 64 clusters of the 64 best of 4096", dict(W=64),
       loose=1e-2, mu=lambda s: F.normalize(torch.randn(s), dim=-1))
def routing(q, k, v, mu):
    qn, kn = unit(q), unit(k)
    sq, sk = qn @ mu.transpose(-1, -2), kn @ mu.transpose(-1, -2)  # b h i c
    qi, kj = (s.transpose(-1, -2).topk(64).indices for s in (sq, sk))

    def pick(t, at):
        return t.gather(2, at.flatten(2)[..., None].expand(-1, -1, -1, t.shape[-1])).unflatten(2, at.shape[2:])

    a = softmax0(scores(pick(q, qi), pick(k, kj), kj[..., None, :] <= qi[..., None])) @ pick(v, kj)
    at = qi.flatten(2)
    o = torch.zeros_like(v).scatter_add_(2, at[..., None].expand(-1, -1, -1, v.shape[-1]), a.flatten(2, 3))
    o /= torch.zeros(at.shape[:2] + q.shape[2:3]).scatter_add_(2, at, torch.ones(at.shape)).clamp(min=1)[..., None]
    m = torch.zeros_like(mu)
    for t, s in ((qn, sq), (kn, sk)):
        to = s.argmax(-1).transpose(0, 1).flatten(1)[..., None].expand(-1, -1, mu.shape[-1])
        m.scatter_add_(1, to, t.transpose(0, 1).flatten(1, 2))
    moved = torch.where(m.norm(dim=-1, keepdim=True) > 0, unit(m), mu)
    return o, 0.999 * mu + 0.001 * moved


@entry("sparse/seer_attention", "b=1 h=4 i=j=1024 d=e=128 a=128 p=3", "blocks of 64, heads and gate of 128", loose=1e-2,
       Wq=weights, Wk=weights)
def seer_attention(q, k, v, Wq, Wk):
    n, B = q.shape[2], 64
    c = torch.arange(n // B)
    kb = k.unflatten(2, (-1, B))
    pool = torch.stack([kb.amax(3), kb.amin(3), kb.mean(3)], 2)
    kc = rope((pool @ Wk).sum(2), c * B)
    qx = rope(q.unflatten(2, (-1, B)).mean(3) @ Wq, c * B)
    keep = scores(qx, kc, c <= c[:, None]).softmax(-1) > 0.005
    pos = torch.arange(n)
    w = scores(rope(q, pos), rope(k, pos), spread(keep, B, n).repeat_interleave(B, -2) & causal(n)).softmax(-1)
    w = w.nan_to_num(0.0)
    return w @ v, keep, w.unflatten(2, (-1, B)).unflatten(4, (-1, B)).amax((3, 5))


@entry("sparse/reformer", "b=1 h=8 i=2048 d=e=64 r=4 m=16", "4 rounds of 32 buckets, chunks of 64; 8 heads of 64 and 2048 tokens",
       loose=0.02)
def reformer(q, v, R):
    n, size = q.shape[2], 64
    x = torch.einsum("bhid,hrdm->bhrim", q, R)
    bucket = torch.cat([x, -x], -1).argmax(-1)  # [b, h, r, i]
    at = bucket.sort(dim=-1, stable=True).indices
    place = at.argsort(-1)

    def rows(t, i):
        return t.unsqueeze(2).expand(*i.shape[:3], -1, -1).gather(3, i[..., None].expand(*i.shape, t.shape[-1]))

    def chunked(t):
        return t.unflatten(3, (-1, size))

    def pairs(t):
        """Of a chunk's queries; of its keys and those of the chunk before."""
        return t[..., :, None], torch.cat([t, t.roll(1, 3)], 4)[..., None, :]

    i, j = pairs(chunked(at))
    seen = (j <= i) & torch.eq(*pairs(chunked(bucket.gather(3, at))))
    met = torch.zeros(seen.shape)
    for z in range(R.shape[1]):  # in how many rounds a pair meets
        other, chunk = (rows(t[:, :, z, :, None], at).squeeze(-1) for t in (bucket, place // size))
        a, c = pairs(chunked(chunk))
        met += torch.eq(*pairs(chunked(other))) & ((a - c) % (n // size) <= 1)
    k, values = chunked(rows(unit(q), at)), chunked(rows(v, at))
    k, values = (torch.cat([t, t.roll(1, 3)], 4) for t in (k, values))
    s = chunked(rows(q, at)) @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) - met.clamp_(min=1).log_() - 1e5 * (i == j)
    s.masked_fill_(~seen, -INF)
    total = s.logsumexp(-1)
    o = ((s - total[..., None]).exp() @ values).flatten(3, 4)
    o = o.gather(3, place[..., None].expand(*place.shape, v.shape[-1]))
    return (total.flatten(3).gather(3, place).softmax(2)[..., None] * o).sum(2)


@entry("sparse/sea", "b=1 h=12 i=j=512 d=e=64 m=128 r=512 f=64 l=128 s=2 x=32 y=z=3",
       "128 cells, 64 keys a row; 12 heads of 64 and 512 tokens", loose=0.02, q=scaled(0.125),
       W1p=weights, W1c=weights, W1v=weights, W2=scaled(0.1), K1=scaled(0.07), K2=scaled(0.07), K3=scaled(0.2),
       Wa=scaled(0.1), Wb=scaled(0.1))
def sea(q, k, v, P, p, W1p, W1c, W1v, W2, K1, K2, K3, Wa, Wb):
    b, h, n, d = q.shape
    fq, fk = ((t @ P / d ** 0.25).relu() + 1e-3 for t in (q, k))
    a = (fq @ fk.transpose(-1, -2)).tril()  # at this length the square is fast
    a /= a.sum(-1, keepdim=True)
    t = F.gelu(layer(a @ p[:n] @ W1p + a @ v @ W1c + v @ W1v))
    c = layer(torch.einsum("bhil,lsx->bhsix", t, W2)).flatten(1, 2)
    for K in (K1, K2):
        w = K.flatten(0, 1).flatten(1, 2).transpose(0, 1).flip(2)  # [to, from, rows, places], the present row last
        c = F.conv2d(F.pad(c, (2, 2, 4, 0)), w, dilation=2).relu()
    c = torch.einsum("bcix,ch->bhix", c, K3.flatten(0, 1))
    est = layer(c.repeat_interleave(4, -1)).softmax(-1)
    cells, i, j = est.shape[-1], torch.arange(n)[:, None], torch.arange(n)
    budget = (h * 64 * cells / (i + 1)).round().clamp(min=1)
    rank = est.transpose(1, 2).flatten(2).sort(dim=-1, descending=True, stable=True).indices.argsort(-1)
    chosen = (rank < budget).unflatten(2, (h, cells)).transpose(1, 2)
    cell = ((j + 0.5).double() / (i + 1) * cells - 1e-4).floor().long()
    keep = chosen.gather(3, cell.clamp(max=cells - 1).expand(b, h, -1, -1)) & (j <= i)
    o = softmax0((q @ k.transpose(-1, -2)).masked_fill(~keep, -INF)) @ v
    gate, so_far = (t @ Wb).sigmoid()[..., None], v.cumsum(2) / (i + 1)
    return gate * (t @ Wa).sigmoid()[..., None] * o + (1 - gate) * so_far
