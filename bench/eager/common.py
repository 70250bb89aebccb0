"""What the entries share: how an entry is registered, masks, softmaxes over unions, chunked linear recurrences."""
import math

import torch
import torch.nn.functional as F

ENTRIES = {}


def entry(name, sizes, note, params=None, layout=None, loose=0.0, tolerance=1e-4, **inputs):
    """Registers the eager form of one mixer: `name` is "folder/file" or "folder/file:mixer".

    sizes   "b=1 i=j=1024 ...", extents of the axes of the signature;  note  where they come from
    params  as for --set;  inputs  how to draw an input: a function of its shape, by default normal numbers, positions
            of the promised axis, or nine true in ten
    layout  per input, how an eager user would keep it (weights transposed, say): done before the clock starts
    loose   share of elements that may differ, where near ties decide a selection
    The function gets the inputs by name and gives the outputs in the order of the signature.
    """
    def register(fn):
        extents = {}
        for group in sizes.split():
            *names, value = group.split("=")
            extents.update({n: int(value) for n in names})
        ENTRIES[name] = dict(name=name, fn=fn, sizes=extents, text=sizes, note=note, params=params or {},
                             layout=layout or {}, loose=loose, tolerance=tolerance, inputs=inputs)
        return fn

    return register


# Inputs


def uniform(lo, hi):
    return lambda shape: torch.empty(shape).uniform_(lo, hi)


def scaled(by, plus=0.0):
    return lambda shape: torch.randn(shape) * by + plus


def weights(shape):
    """Normal, at the scale of a layer as wide as the axis before the last."""
    return torch.randn(shape) / math.sqrt(shape[-2])


def integers(lo, hi):
    return lambda shape: torch.randint(lo, hi, shape, dtype=torch.int32)


def segments(length):
    """Sequence of ids that go up by one about every `length` places."""
    return lambda shape: (torch.rand(shape) < 1 / length).cumsum(-1).to(torch.int32)


def true_at(*places):
    def draw(shape):
        t = torch.zeros(shape, dtype=torch.bool)
        t[..., list(places)] = True
        return t

    return draw


# Attention

INF = float("inf")
sdpa = F.scaled_dot_product_attention


def causal(n, m=None):
    """True where key j may be seen: j <= i."""
    return torch.ones(n, m or n, dtype=torch.bool).tril()


def distance(n):
    p = torch.arange(n)
    return p[:, None] - p


def additive(mask):
    return torch.zeros(mask.shape).masked_fill_(~mask, -INF)


def grouped(q, k):
    """Heads of q as (group, head of the group): [b, g, r, i, d]; k with an axis for r."""
    return q.unflatten(1, (k.shape[1], -1)), k.unsqueeze(2)


def scores(q, k, mask=None):
    s = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    return s if mask is None else s.masked_fill_(~mask, -INF)


def union(*logits):
    """One softmax over the last axes of all."""
    return torch.cat(logits, -1).softmax(-1).split([t.shape[-1] for t in logits], -1)


def heads(x, W):
    """[batch, position, c] through a projection per head [h, c, d] -> [batch, h, position, d]."""
    return torch.einsum("bic,hcd->bhid", x, W)


def softmax0(s, dim=-1):
    """Zeros where everything is masked."""
    return s.softmax(dim).nan_to_num_(0.0)


def banded(q, k, v, back, ahead=0, block=256, first=0, extra=None):
    """Attention to keys i - back .. i + ahead and to the first `first`, in blocks of queries over the keys that any of
    them sees. `extra` may narrow the mask: a function of (queries, keys) slices."""
    n, out = q.shape[-2], []
    for lo in range(0, n, block):
        hi = min(n, lo + block)
        a, z = max(0, lo - back), min(k.shape[-2], hi + ahead)
        i, j = torch.arange(lo, hi)[:, None], torch.arange(a, z)
        mask = (j >= i - back) & (j <= i + ahead)
        kk, vv = k[..., a:z, :], v[..., a:z, :]
        if first and a:
            f = min(first, a)
            kk, vv = torch.cat([k[..., :f, :], kk], -2), torch.cat([v[..., :f, :], vv], -2)
            mask = torch.cat([torch.ones(hi - lo, f, dtype=torch.bool), mask], -1)
        elif first:
            mask |= (j < first) & (j <= i)
        out.append(sdpa(q[..., lo:hi, :], kk, vv, attn_mask=mask, enable_gqa=q.shape[1] != k.shape[1]))
    return torch.cat(out, -2)


def rope(x, pos):
    """Halves of the last axis turned; `pos` broadcasts against the axes of x before the last."""
    half = x.shape[-1] // 2
    angle = pos[..., None] * 10000 ** (-torch.arange(half) / half)
    cos, sin = angle.cos(), angle.sin()
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def unit(x, dim=-1):
    return F.normalize(x, dim=dim, eps=1e-6)


def rms(x):
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-6)


def layer(x):
    return F.layer_norm(x, x.shape[-1:], eps=1e-6)


# Linear recurrences, chunk by chunk


def chunks(x, size):
    """[.., t, d] -> [.., n, size, d], the end padded with zeros."""
    return F.pad(x, (0, 0, 0, -x.shape[-2] % size)).unflatten(-2, (-1, size))


def linear_chunked(q, k, v, decay=None, size=64, state=None):
    """o_t = q_t S_t, S_t = decay_t S_{t-1} + k_t v_t. `decay` is a logarithm per token [.., t] or None. -> o, S."""
    t = q.shape[-2]
    q, k, v = chunks(q, size), chunks(k, size), chunks(v, size)
    a = (q @ k.transpose(-1, -2)).tril()
    if decay is not None:
        run = chunks(decay[..., None], size).squeeze(-1).cumsum(-1)
        a = a * (run[..., :, None] - run[..., None, :]).tril().exp()
        q = q * run.exp()[..., None]
        k = k * (run[..., -1:] - run).exp()[..., None]
        total = run[..., -1].exp()[..., None, None]
    o = a @ v
    kv = k.transpose(-1, -2) @ v
    s = torch.zeros_like(kv[..., 0, :, :]) if state is None else state
    before = []
    for n in range(kv.shape[-3]):
        before.append(s)
        s = (s if decay is None else s * total[..., n, :, :]) + kv[..., n, :, :]
    o += q @ torch.stack(before, -3)
    return o.flatten(-3, -2)[..., :t, :], s


def gated_chunked(q, k, v, gate, size=64, state=None, pairwise=False, bonus=None):
    """The same with a decay per key channel: gate is its logarithm [.., t, a]. `pairwise` forms every exp(G_i - G_j) of
    a chunk, for gates so strong that exp(-G_j) overflows. With `bonus` [.., 1, a], the present token is read through
    it instead of through the state, and the state before the step is read (RWKV)."""
    t = q.shape[-2]
    q, k, v, run = chunks(q, size), chunks(k, size), chunks(v, size), chunks(gate, size).cumsum(-2)
    seen = run if bonus is None else F.pad(run[..., :-1, :], (0, 0, 1, 0))
    lower = -1 if bonus is not None else 0
    if pairwise:
        keep = torch.ones(size, size, dtype=torch.bool).tril(lower)
        between = (seen[..., :, None, :] - run[..., None, :, :]).masked_fill_(~keep[..., None], -INF).exp_()
        a = torch.einsum("...ia,...ja,...ija->...ij", q, k, between)
    else:
        a = ((q * seen.exp()) @ (k * (-run).exp()).transpose(-1, -2)).tril(lower)
    o = a @ v
    if bonus is not None:
        o += (q * bonus.unsqueeze(-2) * k).sum(-1, keepdim=True) * v
    kv = (k * (run[..., -1:, :] - run).exp()).transpose(-1, -2) @ v
    total = run[..., -1, :].exp()[..., None]
    s = torch.zeros_like(kv[..., 0, :, :]) if state is None else state
    before = []
    for n in range(kv.shape[-3]):
        before.append(s)
        s = s * total[..., n, :, :] + kv[..., n, :, :]
    o += (q * seen.exp()) @ torch.stack(before, -3)
    return o.flatten(-3, -2)[..., :t, :], s


def delta_chunked(q, k, v, beta, gate=None, size=64, state=None):
    """The (gated) delta rule by chunks, as in the public eager form of Gated DeltaNet. -> o, S."""
    t = q.shape[-2]
    gate = torch.zeros_like(beta) if gate is None else gate
    q, k, v = chunks(q, size), chunks(k, size), chunks(v, size)
    beta = chunks(beta[..., None], size)
    run = chunks(gate[..., None], size).squeeze(-1).cumsum(-1)
    decay = (run[..., :, None] - run[..., None, :]).tril().exp().tril()
    kb = k * beta
    lower = ((kb @ k.transpose(-1, -2)) * decay).tril(-1) + torch.eye(size)
    v = torch.linalg.solve_triangular(lower, v * beta, upper=False, unitriangular=True)
    kc = torch.linalg.solve_triangular(lower, kb * run.exp()[..., None], upper=False, unitriangular=True)
    s = torch.zeros(*q.shape[:-3], q.shape[-1], v.shape[-1]) if state is None else state
    out = []
    for n in range(q.shape[-3]):
        qi, ki, g = q[..., n, :, :], k[..., n, :, :], run[..., n, :]
        a = (qi @ ki.transpose(-1, -2)) * decay[..., n, :, :]
        vn = v[..., n, :, :] - kc[..., n, :, :] @ s
        out.append((qi * g[..., None].exp()) @ s + a @ vn)
        s = s * g[..., -1:, None].exp() + (ki * (g[..., -1:] - g).exp()[..., None]).transpose(-1, -2) @ vn
    return torch.cat(out, -2)[..., :t, :], s


def fft_conv(x, kernel):
    """Causal convolution along the last axis by FFT."""
    n = 2 * x.shape[-1]
    return torch.fft.irfft(torch.fft.rfft(x, n=n) * torch.fft.rfft(kernel, n=n), n=n)[..., :x.shape[-1]]


def processor():
    """The model of the CPU."""
    try:
        with open("/proc/cpuinfo") as f:
            return next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), "unknown")
    except OSError:
        return "unknown"
