"""The state is learned by gradient steps. Gradients at the start of a chunk are written out for the whole chunk at once;
the recurrence inside the chunk goes token by token where norms or momentum stand in it."""
from .common import *

HEADS = "b=1 h=8 t=512 a=c=64"


def blocks(size, *tensors):
    """Chunks of every [b, h, t, ..], in step."""
    return zip(*(t.split(size, 2) for t in tensors))


@entry("memory/titans", HEADS, "chunks of 16; 8 heads of 64, 512 tokens", W0=weights)
def titans(q, k, v, theta, eta, alpha, W0):
    q, k, theta, eta, keep = unit(q), unit(k), theta.sigmoid(), eta.sigmoid(), 1 - alpha.sigmoid()
    W = W0.expand(q.shape[0], *W0.shape)
    M, out = torch.zeros_like(W), []
    for qc, kc, vc, tc, ec, ac in blocks(16, q, k, v, theta[..., None, None], eta[..., None, None], keep[..., None, None]):
        err = 2 * (kc @ W.transpose(-1, -2) - vc) * tc[..., 0]
        for u in range(qc.shape[2]):
            M = ec[:, :, u] * M - err[:, :, u, :, None] * kc[:, :, u, None]
            W = torch.addcmul(M, ac[:, :, u], W)
            out.append(W @ qc[:, :, u, :, None])
    return torch.stack(out, 2).squeeze(-1), W, M


@entry("memory/memora", HEADS, "chunks of 16; 8 heads of 64, 512 tokens")
def memora(q, k, v, eta, alpha, Z0):
    q, k, eta, alpha = unit(q), unit(k), eta.sigmoid(), alpha.sigmoid()
    Z = Z0.expand(q.shape[0], *Z0.shape)
    W, out = Z.softmax(-1), []
    for qc, kc, vc, ec, ac in blocks(16, q, k, v, eta[..., None], alpha[..., None, None]):
        err = (kc @ W.transpose(-1, -2) - vc) * ec
        for u in range(qc.shape[2]):
            Z = ac[:, :, u] * Z - err[:, :, u, :, None] * kc[:, :, u, None]
            W = Z.softmax(-1)
            out.append(W @ qc[:, :, u, :, None])
    return torch.stack(out, 2).squeeze(-1)


@entry("memory/moneta", HEADS, "chunks of 16; 8 heads of 64, 512 tokens", W0=weights)
def moneta(q, k, v, eta, alpha, W0):
    q, k, eta, alpha = unit(q), unit(k), eta.sigmoid(), alpha.sigmoid()
    A = W = W0.expand(q.shape[0], *W0.shape)
    out = []
    for qc, kc, vc, ec, ac in blocks(16, q, k, v, eta[..., None], alpha[..., None, None]):
        err = kc @ W.transpose(-1, -2) - vc
        err = 3 * err * err.abs() * ec / 8
        for u in range(qc.shape[2]):
            A = ac[:, :, u] * A - err[:, :, u, :, None] * kc[:, :, u, None]
            square = A * A
            W = A / (square * square).sum((-1, -2), keepdim=True).sqrt().clamp(min=1e-3)
            out.append(W @ qc[:, :, u, :, None])
    return torch.stack(out, 2).squeeze(-1)


def decayed_chunk(W, q, k, err, decay):
    """W_t = decay_t W_{t-1} - err_t k_t over one chunk, read by q: -> y, the last W."""
    run = decay.log().cumsum(2)  # b h u
    between = (run[..., :, None] - run[..., None, :]).tril().exp()
    a = ((q @ k.transpose(-1, -2)) * between).tril()
    y = run.exp()[..., None] * (q @ W.transpose(-1, -2)) - a @ err
    last = (run[..., -1:] - run).exp()[..., None]
    return y, run[..., -1, None, None].exp() * W - (err * last).transpose(-1, -2) @ k


@entry("memory/yaad", "b=1 h=8 t=2048 a=c=64", "chunks of 16; 8 heads of 64, 2048 tokens", W0=weights)
def yaad(q, k, v, eta, alpha, delta, W0):
    q, k, far = unit(q), unit(k), F.softplus(delta)[..., None]
    W = W0.expand(q.shape[0], *W0.shape)
    out = []
    for qc, kc, vc, ec, ac, fc in blocks(16, q, k, v, eta.sigmoid()[..., None], alpha.sigmoid(), far):
        err = kc @ W.transpose(-1, -2) - vc
        norm = err.norm(dim=-1, keepdim=True)
        y, W = decayed_chunk(W, qc, kc, torch.where(norm <= fc, err, fc * err / norm) * ec, ac)
        out.append(y)
    return torch.cat(out, 2)


@entry("memory/titans_gate", "b=1 h=8 i=j=t=512 d=e=64 p=16 a=64", "window 64, 16 persistent tokens; 8 heads of 64")
def titans_gate(q, k, v, pk, pv, mq, mk, mv, theta, alpha):
    n = q.shape[2]
    back = distance(n)
    pp, pw = union(scores(q, pk), scores(q, k, (back >= 0) & (back < 64)))
    y = pp @ pv + pw @ v
    # a delta rule with decay: M = (1 - alpha) M - theta (M k - v) k'
    mq, mk, theta, keep = unit(mq), unit(mk), theta.sigmoid(), 1 - alpha.sigmoid()
    M, out = torch.zeros(*v.shape[:2], v.shape[3], mk.shape[3]), []
    for t in range(n):
        kt = mk[:, :, t, :, None]
        err = theta[:, :, t, None, None] * (M @ kt - mv[:, :, t, :, None])
        M = keep[:, :, t, None, None] * M - err * kt.transpose(-1, -2)
        out.append(M @ mq[:, :, t, :, None])
    return rms(y) * F.silu(rms(torch.stack(out, 2).squeeze(-1)))


def layer_back(x, grad):
    """Gradient of layer(x) for x."""
    d = x - x.mean(-1, keepdim=True)
    r = torch.rsqrt((d * d).mean(-1, keepdim=True) + 1e-6)
    n = d * r
    return r * (grad - grad.mean(-1, keepdim=True) - n * (n * grad).mean(-1, keepdim=True))


@entry("memory/ttt_linear", "b=1 h=8 t=2048 c=c'=64", "mini-batches of 16, heads of 64, length 2048; 8 heads", W0=weights)
def ttt_linear(q, k, v, eta, W0, gain, offset):
    gain, offset = gain[:, None], offset[:, None]
    W = W0.expand(q.shape[0], *W0.shape)
    out = []
    for qc, kc, vc, ec in blocks(16, q, k, v, eta.sigmoid()[..., None] / q.shape[-1]):
        x = kc @ W.transpose(-1, -2)
        grad = layer_back(x, 2 * (kc + layer(x) * gain + offset - vc) * gain) * ec
        a = (qc @ kc.transpose(-1, -2)).tril()
        y = qc @ W.transpose(-1, -2) - a @ grad
        W = W - grad.transpose(-1, -2) @ kc
        out.append(qc + layer(y) * gain + offset)
    return torch.cat(out, 2), W


@entry("memory/titans_mlp", "b=1 h=4 t=128 c=64 e=256", "chunks of 16, hidden width four times 64; 4 heads, 128 tokens", theta=scaled(1, -6),
       A0=weights, B0=weights)
def titans_mlp(q, k, v, theta, eta, alpha, A0, B0):
    q, k = unit(q), unit(k)
    A, B = A0.expand(q.shape[0], *A0.shape), B0.expand(q.shape[0], *B0.shape)
    GA, GB, out = torch.zeros_like(A), torch.zeros_like(B), []
    gate = [x[..., None, None] for x in (theta.sigmoid() / 8, eta.sigmoid(), 1 - alpha.sigmoid())]
    for qc, kc, vc, tc, ec, ac in blocks(16, q, k, v, *gate):
        pre = kc @ B.transpose(-1, -2)
        hid = F.gelu(pre)
        low = hid @ A.transpose(-1, -2)
        grad = layer_back(low, 2 * (kc + layer(low) - vc))
        slope = 0.5 * (1 + torch.erf(pre / math.sqrt(2))) + pre * torch.exp(-pre * pre / 2) / math.sqrt(2 * math.pi)
        back = (grad @ A) * slope
        for u in range(qc.shape[2]):
            GA = ec[:, :, u] * GA - (tc[:, :, u] * grad[:, :, u, :, None]) * hid[:, :, u, None]
            GB = ec[:, :, u] * GB - (tc[:, :, u] * back[:, :, u, :, None]) * kc[:, :, u, None]
            A, B = torch.addcmul(GA, ac[:, :, u], A), torch.addcmul(GB, ac[:, :, u], B)
            x = qc[:, :, u, :, None]
            out.append((x + layer((A @ F.gelu(B @ x)).squeeze(-1))[..., None]).squeeze(-1))
    return torch.stack(out, 2)


@entry("memory/titans_context", "b=1 t=512 c=256 p=16 h=4 d=64 a=256", "segments of 64, 16 persistent tokens; 4 heads of 64", {"C": 64},
       Wq=weights, Wk=weights, Wv=weights, Wo=scaled(1 / 16), Mq=weights, Mk=weights, Mv=weights, W0=scaled(1 / 16), theta=scaled(1, -4))
def titans_context(x, P, Wq, Wk, Wv, Wo, Mq, Mk, Mv, theta, eta, alpha, W0):
    theta, eta, keep = theta.sigmoid(), eta.sigmoid(), 1 - alpha.sigmoid()
    persistent, W = (t.expand(x.shape[0], *t.shape) for t in (P, W0))
    M, out = torch.zeros_like(W), []
    for seg, th, et, ke in zip(*(t.split(64, 1) for t in (x, theta, eta, keep))):
        n = seg.shape[1]
        z = torch.cat([persistent, unit(seg @ Mq) @ W.transpose(-1, -2), seg], 1)
        seen = torch.ones(n, z.shape[1], dtype=torch.bool).tril(z.shape[1] - n)
        y = torch.einsum("bhid,hdc->bic", sdpa(heads(seg, Wq), heads(z, Wk), heads(z, Wv), attn_mask=seen), Wo)
        k = unit(y @ Mk)
        err = 2 * (k @ W.transpose(-1, -2) - y @ Mv)
        # What the end of the segment has of every token's step, of the momentum and of the memory before it: numbers.
        m, w = torch.zeros(2, x.shape[0], n + 2)
        m[:, n], w[:, n + 1] = 1, 1
        for u in range(n):
            m = et[:, u, None] * m
            m[:, u] -= th[:, u]
            w = ke[:, u, None] * w + m
        M, W = ((err * c[:, :n, None]).transpose(-1, -2) @ k + c[:, n, None, None] * M + c[:, n + 1, None, None] * W for c in (m, w))
        out.append(y * (unit(y @ Mq) @ W.transpose(-1, -2)))
    return torch.cat(out, 1), W
