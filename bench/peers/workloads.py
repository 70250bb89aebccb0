"""What is measured: shapes, and what each mask leaves, for all sides."""
import torch


class Work:
    """Attention of `heads` query heads on `groups` key heads. `mask`: bool [queries, keys] or None; `causal`: it is j <= i."""

    def __init__(self, kind, queries, keys, dim, heads=8, groups=8, window=0, prefix=0, docs=0, slopes=False, cap=0.0,
                 name=None):
        self.kind, self.queries, self.keys, self.dim = kind, queries, keys, dim
        self.heads, self.groups, self.window, self.prefix, self.cap = heads, groups, window, prefix, cap
        self.slopes = torch.tensor([2.0 ** (-8 * (h + 1) / heads) for h in range(heads)]) if slopes else None
        self.causal = kind in ("causal", "alibi", "softcap", "grouped")
        self.doc = documents(keys, docs) if docs else None
        self.name = name or f"{kind} N {queries} D {dim}"

    def keeps(self, i, j):
        """Whether key j is left to query i, of positions in any form; None: all are."""
        if self.kind in ("full", "decode"):
            return None
        left = j <= i
        if self.window:
            return left & (i - j < self.window)
        if self.prefix:
            return left | (j < self.prefix)
        if self.doc is not None:
            return left & (self.doc[i] == self.doc[j])
        return left

    def mask(self):
        kept = self.keeps(torch.arange(self.queries)[:, None], torch.arange(self.keys)[None, :])
        return kept

    def pairs(self):
        mask = self.mask()
        return self.queries * self.keys if mask is None else int(mask.sum())

    def flops(self):
        return 4.0 * self.heads * self.pairs() * self.dim

    def key_bytes(self, dtype):
        return 2.0 * self.groups * self.keys * self.dim * dtype.itemsize

    def draw(self, dtype):
        torch.manual_seed(1)
        q = torch.randn(1, self.heads, self.queries, self.dim)
        k, v = (torch.randn(1, self.groups, self.keys, self.dim) for _ in range(2))
        return tuple(t.to(dtype) for t in (q, k, v))


def documents(length, mean):
    """Numbers of documents whose lengths are exponentially distributed."""
    generator = torch.Generator().manual_seed(7)
    number, at, doc = 0, 0, torch.zeros(length, dtype=torch.int32)
    while at < length:
        n = max(1, int(torch.empty(1).exponential_(1 / mean, generator=generator).item()))
        doc[at:at + n] = number
        at, number = at + n, number + 1
    return doc


def all_work():
    work = [Work(kind, n, n, d) for kind in ("full", "causal") for n in (256, 1024, 4096) for d in (64, 80, 128, 192)]
    work += [
        Work("window", 8192, 8192, 64, window=512, name="window 512 of 8192 D 64"),
        Work("documents", 8192, 8192, 64, docs=512, name="documents, mean 512, of 8192 D 64"),
        Work("prefix", 4096, 4096, 64, prefix=1024, name="prefix-LM 1024 of 4096 D 64"),
        Work("alibi", 4096, 4096, 64, slopes=True, name="ALiBi N 4096 D 64"),
        Work("softcap", 4096, 4096, 64, cap=50.0, name="softcap N 4096 D 64"),
        Work("grouped", 4096, 4096, 64, heads=8, groups=1, name="GQA 8:1 N 4096 D 64"),
        Work("full", 64, 4096, 64, name="cross-attention 64 x 4096 D 64"),
        Work("decode", 1, 8192, 128, heads=32, groups=8, name="decode, 8192 keys, 32/8 heads, D 128"),
    ]
    return work
