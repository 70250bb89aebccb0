"""Recurrences linear in their state: by chunks or as convolutions where that is how an eager user makes them fast, one
token at a time where there is no such form."""
from .common import *


@entry("linear/aaren:aaren", "b=8 h=8 j=t=1024 d=e=64", "8 heads of 64; 8 sequences of 1024")
def aaren(q, k, v):
    """As it is written there: a softmax over j <= t for every t. The scan is the next one."""
    s = (k @ q[..., None]).transpose(-1, -2) / math.sqrt(q.shape[-1])
    return s.masked_fill(~causal(k.shape[2]), -INF).softmax(-1) @ v


@entry("linear/aaren:aaren_scan", "b=8 h=8 t=1024 d=e=64", "8 heads of 64; 8 sequences of 1024")
def aaren_scan(q, k, v):
    s = (k @ q[..., None]).squeeze(-1) / math.sqrt(q.shape[-1])
    w = (s - s.amax(-1, keepdim=True)).exp()[..., None]
    return (w * v).cumsum(2) / w.cumsum(2)


@entry("linear/deltanet", "b=1 h=8 t=2048 a=c=128", "heads of 128, length 2048, as in the paper's 1.3B model; 8 of 16")
def deltanet(q, k, v, beta):
    q, k = unit(q), unit(k)
    return delta_chunked(q, k, v, beta.sigmoid())[0] / math.sqrt(q.shape[-1])


@entry("linear/gated_deltanet", "b=1 t=1024 g=4 r=2 a=c=128", "Qwen3-Next: 16 key heads of 128, twice as many value heads; 4",
       A_log=scaled(0.5))
def gated_deltanet(q, k, v, beta, dt, A_log, bias, z, S0):
    q, k = (unit(x).transpose(1, 2).repeat_interleave(2, 1) for x in (q, k))
    gate = (-A_log.exp() * F.softplus(dt + bias)).transpose(1, 2)
    o, S = delta_chunked(q, k, v.transpose(1, 2), beta.sigmoid().transpose(1, 2), gate, state=S0)
    return rms(o.transpose(1, 2) / math.sqrt(q.shape[-1])) * F.silu(z), S


@entry("linear/gla", "b=1 h=4 t=2048 a=128 c=256", "the 340M model: 4 heads, keys 128, values 256, length 2048")
def gla(q, k, v, g, r, S0):
    o, S = gated_chunked(q, k, v, F.logsigmoid(g) / 16, state=S0)
    return rms(o / math.sqrt(q.shape[-1])) * F.silu(r), S


@entry("linear/hgrn:hgrn", "b=8 t=1024 c=1024", "1024 wide, length 1024 there and here; a batch of 8")
def hgrn(x, f, z, low):
    lb = low.sigmoid()
    lam = lb + (1 - lb) * f.sigmoid()
    add = (1 - lam) * F.silu(x)
    h, out = torch.zeros_like(x[:, 0]), []
    for t in range(x.shape[1]):
        h = torch.addcmul(add[:, t], lam[:, t], h)
        out.append(h)
    return z.sigmoid() * torch.stack(out, 1)


@entry("linear/hgrn:hgrn2", "b=1 h=8 t=2048 a=c=128", "heads of 128, length 2048")
def hgrn2(q, f, v, low):
    lb = low.sigmoid()[:, None]
    lam = lb + (1 - lb) * f.sigmoid()
    return gated_chunked(F.silu(q), 1 - lam, v, lam.log(), size=32)[0]


@entry("linear/jrt", "b=1 h=4 t=2048 m=1024 a=16 e=64", "16 features, prompt of 1024, length 2048; 4 heads of 64")
def jrt(q, k, v, ke, ve):
    a = q.shape[-1]

    def weight(s):
        s = s / math.sqrt(a)
        return 1 + s + s * s / 2

    past, own = weight(q @ ke.transpose(-1, -2)), weight(q @ k.transpose(-1, -2)).tril()
    return (past @ ve + own @ v) / (past.sum(-1, keepdim=True) + own.sum(-1, keepdim=True))


@entry("linear/linear_self_attention", "b=4096 i=41 c=21", "20 features and the label, 40 examples and the query")
def linear_self_attention(E, P, Q):
    s = E @ Q @ E.transpose(1, 2)  # E' Q E: token i' against token i
    return E + s.transpose(1, 2) @ (E @ P.transpose(0, 1)) / (E.shape[1] - 1)


@entry("linear/linear_transformer", "b=1 h=8 t=4096 a=c=64", "8 heads of 64; 4096 tokens")
def linear_transformer(q, k, v):
    q, k = F.elu(q) + 1, F.elu(k) + 1
    return linear_chunked(q, k, v)[0] / (q * k.cumsum(2)).sum(-1, keepdim=True)


@entry("linear/mamba", "b=1 t=512 c=1536 n=16 w=4", "Mamba-130M: 1536 channels, 16 states; 512 tokens", A_log=scaled(0.5),
       dt=scaled(1, -2))
def mamba(x, z, dt, A_log, B, C, D, f, fb):
    c = x.shape[2]
    u = F.silu(F.conv1d(x.transpose(1, 2), f.t()[:, None], fb, padding=3, groups=c)[..., :x.shape[1]].transpose(1, 2))
    s = F.softplus(dt)
    dA = (s[..., None] * -A_log.exp()).exp()
    dBu = (s * u)[..., None] * B[:, :, None]
    h, ys = torch.zeros_like(dA[:, 0]), []
    for t in range(x.shape[1]):
        h = torch.addcmul(dBu[:, t], dA[:, t], h)
        ys.append((h @ C[:, t, :, None]).squeeze(-1))
    return (torch.stack(ys, 1) + D * u) * F.silu(z), h


@entry("linear/mamba2", "b=1 t=1024 g=1 r=24 p=64 n=128", "Mamba2-130M: 24 heads of 64, 128 states, one group; 1024 tokens",
       dt=scaled(1, -2), A_log=scaled(0.5))
def mamba2(x, z, dt, A_log, B, C, D, w):
    s = F.softplus(dt)
    q, k = (t.transpose(1, 2) for t in (C, B))
    o, S = linear_chunked(q, k, (s[..., None] * x).transpose(1, 2), (-s * A_log.exp()).transpose(1, 2))
    o = (o.transpose(1, 2) + D[:, None] * x) * F.silu(z)
    return o * torch.rsqrt((o * o).mean((-1, -2), keepdim=True) + 1e-6) * w, S


@entry("linear/mega:mega_ema", "b=2 t=2048 c=512 n=16 z=2", "512 wide, 16 averages a channel; 2 sequences of 2048")
def mega_ema(x, p, q, beta, gamma, omega):
    t = x.shape[1]
    f = 1 - p.sigmoid() * q.sigmoid()
    K = torch.einsum("zcn,zcnt->zct", gamma * p.sigmoid() * beta / math.sqrt(p.shape[-1]),
                     (f.log()[..., None] * torch.arange(t)).exp())
    xt, n = x.transpose(1, 2), 2 * t
    K = F.pad(K[0], (0, t)) + F.pad(K[1].flip(-1), (t, 0)).roll(1, -1)  # the second one looks ahead
    y = torch.fft.irfft(torch.fft.rfft(xt, n=n) * torch.fft.rfft(K, n=n), n=n)[..., :t]
    return F.silu(y.transpose(1, 2) + omega * x)


@entry("linear/qlstm:qlstm", "b=8 t=1024 c=768", "768 wide; 8 sequences of 1024")
def qlstm(x, f, i, o, al):
    a, add = (-al.abs() * F.softplus(f)).exp(), i.sigmoid() * x
    h, out = torch.zeros_like(x[:, 0]), []
    for t in range(x.shape[1]):
        h = torch.addcmul(add[:, t], a[:, t], h)
        out.append(h)
    return o.sigmoid() * torch.stack(out, 1)


@entry("linear/qlstm:normalised_attention", "b=1 h=8 t=4096 a=c=64", "8 heads of 64; 4096 tokens")
def normalised_attention(q, k, v, n):
    return linear_chunked(q, k, v)[0] / n.exp()[..., None]


@entry("linear/rat", "b=1 h=8 t=4096 d=e=64", "chunks of 16, length 4096; 8 heads of 64")
def rat(q, k, v, f, fv, z):
    n = torch.arange(q.shape[2] // 16)

    def run(x, f):
        x, f = (1 - f.sigmoid()) * x, f.sigmoid()
        x, f = x.unflatten(2, (-1, 16)), f.unflatten(2, (-1, 16))
        h, out = torch.zeros_like(x[:, :, :, 0]), []
        for u in range(16):
            h = torch.addcmul(x[:, :, :, u], f[:, :, :, u], h)
            out.append(h)
        return torch.stack(out, 3)

    K, V = run(k, f), run(v, fv)
    kr, qr = rope(K, n[:, None]), rope(q.unflatten(2, (-1, 16)), n[:, None]).flatten(2, 3)
    far = scores(qr, kr[:, :, :, -1], n < (torch.arange(q.shape[2]) // 16)[:, None])
    near = (qr * kr.flatten(2, 3)).sum(-1, keepdim=True) / math.sqrt(q.shape[-1])
    pf, pn = union(far, near)
    return z.sigmoid() * (pf @ V[:, :, :, -1] + pn * V.flatten(2, 3))


@entry("linear/retnet:retention", "b=1 h=4 t=2048 d=128 c=256", "values twice as wide as keys; 4 heads of 128, length 2048")
def retention(q, k, v, z):
    h, t, d = q.shape[1:]
    pos = torch.arange(t)
    decay = (1 - 2 ** (-5.0 - torch.arange(h))).log()[:, None].expand(1, h, t)
    o = linear_chunked(rope(q, pos), rope(k, pos), v, decay)[0] / math.sqrt(d)
    return F.silu(z) * rms(o)


@entry("linear/rwkv6", "b=1 h=16 t=1024 a=c=64", "heads of 64; half of the 32 heads of the 1.6B model, 1024 tokens")
def rwkv6(r, k, v, w, u):
    return gated_chunked(r, k, v, -w.exp(), size=16, pairwise=True, bonus=u[:, None])[0]


@entry("linear/rwkv7", "b=1 h=16 t=512 d=c=64", "heads of 64; 16 heads, 512 tokens")
def rwkv7(r, w, k, v, a, kk, ka, rk):
    rate = a.sigmoid()
    out = unit(k * kk[:, None])
    key = k * (1 + (rate - 1) * ka[:, None])
    decay, back = (-math.exp(-0.5) * w.sigmoid()).exp(), out * rate
    S, ys = torch.zeros(*r.shape[:2], r.shape[-1], v.shape[-1]), []
    for t in range(r.shape[2]):
        S = S * decay[:, :, t, :, None] - back[:, :, t, :, None] * (out[:, :, t, None] @ S)
        S = torch.addcmul(S, key[:, :, t, :, None], v[:, :, t, None])
        ys.append(r[:, :, t, None] @ S)
    return layer(torch.cat(ys, 2)) + (r * key * rk[:, None]).sum(-1, keepdim=True) * v


@entry("linear/s4d", "b=2 t=2048 c=256 n=32", "64 real states (32 pairs), 256 channels; 2 sequences of 2048",
       log_dt=scaled(0.5, -4), log_re=scaled(0.3, -0.7), im=uniform(0, 20))
def s4d(x, log_dt, log_re, im, Cr, Ci, D):
    t = x.shape[1]
    w = torch.complex(-log_re.exp(), im)
    dtw = w * log_dt.exp()[:, None]
    c = torch.complex(Cr, Ci) * (dtw.exp() - 1) / w
    K = 2 * torch.einsum("cn,cnt->ct", c, (dtw[..., None] * torch.arange(t)).exp()).real
    return F.gelu(fft_conv(x.transpose(1, 2), K).transpose(1, 2) + D * x)


@entry("linear/transnormer", "b=1 h=8 t=2048 a=c=128", "heads of 128, length 2048; 8 heads", s=uniform(0, 0.5))
def transnormer(q, k, v, u, s):
    decay = -s.abs()[:, None].expand(q.shape[:3])
    o = linear_chunked(F.silu(q), F.silu(k), v, decay)[0]
    return u * o * torch.rsqrt((o * o).mean((1, 3), keepdim=True) + 1e-6)


@entry("linear/vig:bigla", "b=64 h=3 t=196 a=32 c=64", "ViG-T: 3 heads, keys 32, values 64, 14 x 14 patches; 64 pictures")
def bigla(q, k, v, gf, gb):
    o = gated_chunked(q, k, v, F.logsigmoid(gf) / 16, size=49)[0]
    q, k, v, gb = (x.flip(2) for x in (q, k, v, gb))
    o += gated_chunked(q, k, v, F.logsigmoid(gb) / 16, size=49)[0].flip(2)
    return o / (2 * math.sqrt(q.shape[-1]))


@entry("linear/vig:local_mixing", "b=320 t=196 c=192 y=z=3", "ViG-T: 192 channels, 14 x 14 patches; 320 pictures")
def local_mixing(x, w):
    x = x.transpose(1, 2).unflatten(2, (14, 14))
    return F.conv2d(x, w.permute(2, 0, 1)[:, None], padding=1, groups=x.shape[1]).flatten(2).transpose(1, 2)


@entry("linear/vig:locality_injection", "b=64 h=3 t=196 c=64", "ViG-T: 3 heads of 64, 14 x 14 patches; 64 pictures")
def locality_injection(o, l, s, wo, wl):
    g = s.sigmoid()
    return g * rms(o) * wo + (1 - g) * rms(l) * wl
