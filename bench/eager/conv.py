"""Convolutions along the sequence."""
from .common import *


@entry("conv/causal_conv", "b=4 t=2048 c=1536 w=4 p=3", "Mamba-130M: 1536 channels, width 4; 4 sequences of 2048")
def causal_conv(x, f, bias, past):
    x = torch.cat([past, x], 1).transpose(1, 2)
    return F.silu(F.conv1d(x, f.t()[:, None], bias, groups=x.shape[1])).transpose(1, 2)


@entry("conv/hyena", "b=1 t=1024 c=768 p=33 a=64", "768 channels, 33 position features, filters of width 64; 1024 tokens",
       W1=weights, W2=weights, W3=weights)
def hyena(x0, x1, v, W1, W2, W3, freq, decay, D):
    t, p = x0.shape[1], W1.shape[0]
    pos = torch.arange(t) / (t - 1)
    w = 2 * math.pi * torch.arange(t)[:, None] / t * torch.arange(1, (p + 1) // 2)
    z = torch.cat([pos[:, None], torch.stack([w.cos(), w.sin()], -1).flatten(1)], 1)
    K = ((freq * ((freq * (z @ W1)).sin() @ W2)).sin() @ W3) * (-decay.abs() * pos[:, None]).exp()
    u = x1 * v
    return x0 * (fft_conv(u.transpose(1, 2), K.t()).transpose(1, 2) + D * u)


@entry("conv/tcnca", "b=1 t=4096 c=512 l=3 w=17 a=128 s=2 e=512 r=64", "chunks of 64; 512 channels, filters of 17, 4096 tokens",
       f=scaled(0.2), Wz=weights, Wv=weights)
def tcnca(x, f, Wz, g, o, Wv, bias):
    C, w = 64, f.shape[1]
    xt = x.transpose(1, 2)
    for l in range(3):
        step = 2 ** l
        xt = F.silu(F.conv1d(F.pad(xt, (step * (w - 1), 0)), f[l].flip(0).t()[:, None], dilation=step,
                             groups=xt.shape[1])) + xt
    x = xt.transpose(1, 2)
    z, v = F.silu(x @ Wz).unflatten(1, (-1, C)), F.silu(x @ Wv).unflatten(1, (-1, C))
    back = distance(C)
    b = bias[back.clamp(min=0)].masked_fill(back < 0, -INF)
    return sdpa(z * g[0] + o[0], z * g[1] + o[1], v, attn_mask=b).flatten(1, 2)
