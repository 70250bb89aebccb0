"""Recurrences not linear in their state. An eager user keeps the weights as torch.nn.LSTM does, [(w q), p]."""
from .common import *
from .dense import cell, gates


def rows(w):
    """[w, p, q] -> [(w q), p]"""
    return w.transpose(1, 2).flatten(0, 1).contiguous()


def both(w):
    return [rows(x) for x in w]


LSTM = dict(W=rows, U=rows, bias=lambda t: t.flatten())
TWO = dict(W=both, U=both, bias=lambda t: [x.flatten() for x in t])


def lstm_layer(x, W, U, bias, h, c):
    weights = [W, U, bias, torch.zeros_like(bias)]
    return torch.lstm(x, (h[None], c[None]), weights, True, 1, 0.0, False, False, True)


@entry("rnn/lstm", "b=32 t=64 p=q=256 w=4", "256 units; a batch of 32, 64 steps", layout=LSTM, W=weights, U=weights)
def lstm(x, W, U, bias, h0, c0):
    h, hn, cn = lstm_layer(x, W, U, bias, h0, c0)
    return h, hn[0], cn[0]


@entry("rnn/bilstm", "b=32 t=64 p=q=256 z=2 w=4", "256 units; a batch of 32, 64 steps", layout=TWO, W=weights, U=weights)
def bilstm(x, W, U, bias):
    zero = torch.zeros(2, x.shape[0], bias[0].shape[0] // 4)
    flat = [t for z in range(2) for t in (W[z], U[z], bias[z], torch.zeros_like(bias[z]))]
    h = torch.lstm(x, (zero, zero), flat, True, 1, 0.0, False, True, True)[0]
    return h.unflatten(2, (2, -1)).sum(2)


@entry("rnn/gru_decoder", "b=32 t=30 j=30 p=128 q=f=a=256 w=3", "256 units; 30 words, a batch of 32", Wy=weights,
       Wc=weights, U=weights, Ae=weights, As=weights, va=scaled(0.1))
def gru_decoder(y, e, ok, Wy, Wc, U, bias, Ae, As, va, s0):
    q = s0.shape[-1]
    inp = torch.einsum("btp,wpq->btwq", y, Wy) + bias
    keys, s, ss, ats = e @ Ae, s0, [], []
    Wc, Ug = gates(Wc), gates(U[:2])
    for t in range(y.shape[1]):
        at = ((keys + (s @ As)[:, None]).tanh() @ va).masked_fill(~ok, -INF).softmax(-1)
        ctx = (at[:, None] @ e).squeeze(1)
        a = inp[:, t].flatten(1) + ctx @ Wc
        r, z = (a[:, :2 * q] + s @ Ug).sigmoid().chunk(2, -1)
        s = torch.lerp((a[:, 2 * q:] + (r * s) @ U[2]).tanh(), s, z)
        ss.append(s)
        ats.append(at)
    return torch.stack(ss, 1), torch.stack(ats, 1)


@entry("rnn/neural_semantic_encoder", "b=16 t=40 q=256 z=2 w=4", "256 units; 40 words, a batch of 16", W=weights,
       U=weights, Co=weights, Cr=weights, layout=dict(W=lambda t: [gates(x) for x in t], U=lambda t: [gates(x) for x in t]))
def neural_semantic_encoder(x, W, U, bias, Co, Cr, cb):
    bias = bias.flatten(1)
    M, inp, hs = x, x @ W[0] + bias[0], []
    o = c1 = h = c2 = torch.zeros_like(x[:, 0])
    for t in range(x.shape[1]):
        o, c1 = cell(torch.addmm(inp[:, t], o, U[0]), c1)
        at = (M @ o[..., None]).softmax(1)
        r = (at.transpose(1, 2) @ M).squeeze(1)
        c = torch.addmm(torch.addmm(cb, o, Co), r, Cr).relu()
        h, c2 = cell(torch.addmm(torch.addmm(bias[1], c, W[1]), h, U[1]), c2)
        M = torch.lerp(M, h[:, None], at)
        hs.append(h)
    return torch.stack(hs, 1), M


@entry("rnn/seq2seq", "b=32 s=t=30 p=q=256 z=2 w=4", "sentences of 30 words; 256 of the 1000 units, a batch of 32", layout=TWO,
       W=weights, U=weights)
def seq2seq(x, y, W, U, bias):
    zero = torch.zeros_like(x[:, 0])
    _, hn, cn = lstm_layer(x.flip(1), W[0], U[0], bias[0], zero, zero)
    return lstm_layer(y, W[1], U[1], bias[1], hn[0], cn[0])[0], hn[0]
