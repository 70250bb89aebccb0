"""The score or the softmax is changed."""
from .common import *


@entry("bias/adaptive_span", "b=1 h=8 i=j=1024 d=e=64", "8 heads of 64 (the small model's 512), ramp 32; spans to 512",
       z=uniform(0, 512))
def adaptive_span(q, k, v, z):
    m = ((32 + z[:, None, None] - distance(q.shape[2])) / 32).clamp(0, 1)
    return sdpa(q, k, v, attn_mask=m.log().masked_fill_(~causal(q.shape[2]), -INF))


@entry("bias/alibi", "b=1 h=8 i=j=1024 d=e=128", "WikiText-103 model: 8 heads of 128, length 1024")
def alibi(q, k, v):
    h, n = q.shape[1:3]
    slope = 2 ** (-8 * (torch.arange(h) + 1) / h)
    return sdpa(q, k, v, attn_mask=(-slope[:, None, None] * distance(n)).masked_fill_(~causal(n), -INF))


@entry("bias/date", "b=1 g=2 r=4 i=j=1024 d=128 f=64 e=128 m=3", "Qwen2-VL: heads of 128, 28 on 4; 8 on 2 here",
       pos=integers(0, 1000))
def date(q, k, v, pos, comp):
    turn = pos[comp.long()].permute(1, 2, 0) * 10000 ** (-torch.arange(64) / 64)  # b, j, f
    cos, sin = turn.cos()[:, None], turn.sin()[:, None]

    def rotate(x):
        a, b = x.chunk(2, -1)
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

    return sdpa(rotate(q), rotate(k), v, is_causal=True, enable_gqa=True)


@entry("bias/learned_sink", "b=1 g=2 r=8 i=j=1024 d=e=64", "gpt-oss: 64 heads on 8, 64 wide, window 128; 16 on 2")
def learned_sink(q, k, v, sink):
    n = q.shape[2]
    back = distance(n)
    qg, kg = grouped(q, k)
    s = scores(qg, kg, (back >= 0) & (back < 128))
    p, sunk = union(s, sink[..., None, None].expand(*s.shape[:-1], 1))
    return (p @ v.unsqueeze(2)).flatten(1, 2), sunk.squeeze(-1).flatten(1, 2)


@entry("bias/music_transformer", "b=1 h=8 i=j=r=1024 d=e=64", "8 heads of 64, half of the length 2048")
def music_transformer(q, k, v, E):
    n = q.shape[2]
    rel = q @ E.transpose(-1, -2) / math.sqrt(q.shape[-1])
    rel = F.pad(rel, (1, 0)).view(*rel.shape[:2], n + 1, n)[:, :, 1:]  # the paper's skewing
    return sdpa(q, k, v, attn_mask=rel.masked_fill(~causal(n), -INF))


@entry("bias/ntk_attention", "b=1 h=8 i=j=1024 d=e=64", "8 heads of 64, length 1024")
def ntk_attention(q, k, v, Z, z):
    f = F.elu(q / q.shape[-1] ** 0.25) + 1
    n = f @ z.abs()[..., None] + 1e-6
    p, pz = union(scores(q, k, causal(q.shape[2])), n.log())
    return p @ v + pz * (f @ Z) / n


@entry("bias/rope:rope_attention", "b=1 g=2 r=4 i=j=1024 d=e=64", "heads of 64 as in RoFormer, length 1024")
def rope_attention(q, k, v, start):
    pos = (start[:, None] + torch.arange(q.shape[2]))[:, None]
    return sdpa(rope(q, pos), rope(k, pos), v, is_causal=True, enable_gqa=True)


@entry("bias/softcap", "b=1 g=4 r=2 i=j=512 d=e=256", "Gemma 2 2B: 8 heads on 4, 256 wide; length 512")
def softcap(q, k, v):
    qg, kg = grouped(q, k)
    s = (scores(qg, kg) / 50).tanh_().mul_(50).masked_fill_(~causal(q.shape[2]), -INF)
    return (s.softmax(-1) @ v.unsqueeze(2)).flatten(1, 2)


@entry("bias/t5_bias", "b=1 h=12 i=j=512 d=e=64 r=32", "T5-base: 12 heads of 64, length 512, 32 buckets", q=scaled(0.2))
def t5_bias(q, k, v, table):
    n = q.shape[2]
    ahead = torch.arange(-(n - 1), n)
    far = ahead.abs().clamp(min=1).double()
    steps = ((far / 8).log() / math.log(128 / 8) * 8).long()
    bucket = torch.where(ahead > 0, 16, 0) + torch.where(far < 8, ahead.abs(), (8 + steps).clamp(max=15))
    bias = table[:, bucket][:, -distance(n) + n - 1]
    return sdpa(q, k, v, attn_mask=bias, scale=1.0)


def from_the_end(rel):
    """Logits by distance, the largest first, to logits by key: the authors' _rel_shift."""
    n, m = rel.shape[-2:]
    return F.pad(rel, (1, 0)).view(*rel.shape[:2], m + 1, n)[:, :, 1:].view_as(rel)


@entry("bias/transformer_xl", "b=1 h=16 i=384 j=r=768 d=e=64", "the large model: 16 heads of 64, segment and memory 384")
def transformer_xl(q, k, v, R, u, w):
    n, m = q.shape[2], k.shape[2]
    rel = from_the_end((q + w[:, None]) @ R.flip(1).transpose(-1, -2)) / math.sqrt(q.shape[-1])
    seen = torch.ones(n, m, dtype=torch.bool).tril(m - n)
    return sdpa(q + u[:, None], k, v, attn_mask=rel.masked_fill(~seen, -INF))


@entry("bias/compressive", "b=1 i=512 m=512 z=512 c=1024 h=16 d=e=64 r=1536 s=4",
       "16 heads of 64; segment, memory and compressed memory 512, compression by 4",
       Wq=weights, Wk=weights, Wv=weights, f=scaled(1 / 64))
def compressive(x, mem, cmem, Wq, Wk, Wv, R, u, w, f):
    n, past = x.shape[1], torch.cat([cmem, mem, x], 1)
    q, k, v, m = heads(x, Wq), heads(past, Wk), heads(past, Wv), past.shape[1]
    rel = from_the_end((q + w[:, None]) @ R[:, :m].flip(1).transpose(-1, -2)) / math.sqrt(q.shape[-1])
    seen = torch.ones(n, m, dtype=torch.bool).tril(m - n)
    o = sdpa(q + u[:, None], k, v, attn_mask=rel.masked_fill(~seen, -INF))
    old = mem[:, :n]
    new = torch.einsum("bysc,sce->bye", old.unflatten(1, (-1, f.shape[0])), f)
    found, again = (sdpa(q, heads(t, Wk), heads(t, Wv)) for t in (old, new))
    loss = ((found - again) ** 2).sum((1, 2, 3))
    return o, torch.cat([mem, x], 1)[:, n:], torch.cat([cmem, new], 1)[:, new.shape[1]:], loss
