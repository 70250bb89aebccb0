"""Scores between two positions of a sequence, and sums over them."""
import random

from .base import Val


class Attention:
    def attention(self):
        """Scores between two positions of a sequence, with a mask, and sums of products over them."""
        if not self.shared:
            return
        r = self.r
        batch = self.batch if r.random() < 0.5 else []
        more = r.random() < 0.2  # several contracted axes
        own = ["d", "e"] if more else ["d"]
        q, k = self.add_input("real", batch + ["i"] + own), self.add_input("real", batch + ["j"] + own)
        v = self.add_input("real", batch + ["j", "e"])
        s, p, o = self.fresh("v"), self.fresh("v"), self.fresh("v")
        mask = r.choice(["j <= i", "j <= i", "j < i", "i - 3 < j <= i", "i <= j", "j <= i and i % 2 == j % 2", "j != 2"])
        self.lines.append(f"  {s} = sum[{self.axis_text(own)}]({q} * {k}) / sqrt(#d)" + ("" if r.random() < 0.3 else f" where {mask}"))
        self.lines.append(f"  {p} = " + r.choice([f"softmax[j]({s})", f"fill(sigmoid({s}), 0)", f"fill(exp(min({s}, 2)), 0)"]))
        product = f"{p} * {v}" + (" / 9" if r.random() < 0.5 else "")
        guard = r.choice(["", "", f" where {mask}", " where j <= i", " where j != e", f" where {v} > 0", " where j % 3 != 1"])
        self.lines.append(f"  {o} = sum[j]({product}{guard})")
        if r.random() < 0.3:
            self.lines[-1] = f"  {o} = sum[j]({product}{guard}) / (1 + sum[j]({p}))"
        axes = frozenset(batch + ["i", "e"])
        self.tensors += [(p, "real", frozenset(batch + ["i", "j"]), False), (o, "real", axes, True)]
        # By numbers of its own, so that what a seed gives otherwise does not depend on it.
        self.r = random.Random(f"rows {self.seed}")
        if self.r.random() < 0.25:
            self.rows(batch, v, o)
        if self.r.random() < 0.15:
            self.distances(batch)
        self.r = random.Random(f"gates {self.seed}")
        if self.r.random() < 0.15:
            self.gates(batch)
        self.r = random.Random(f"masks {self.seed}")
        if self.r.random() < 0.2:
            self.masks(batch, v)
        self.r = random.Random(f"forms {self.seed}")
        if self.r.random() < 0.15:
            self.forms(batch, v)
        self.r = random.Random(f"peaks {self.seed}")
        if self.r.random() < 0.1:
            self.peaks(batch, v)
        self.r = r

    def masks(self, batch, v):
        """A softmax whose weights nothing else reads, under conditions of every form on two positions."""
        r = self.r
        q, k = self.add_input("real", batch + ["i", "d"]), self.add_input("real", batch + ["j", "d"])
        seg = self.add_input("int", ["j"])

        def condition(depth):
            if depth and r.random() < 0.6:
                x, y = condition(depth - 1), condition(depth - 1)
                return r.choice([f"({x} and {y})", f"({x} or {y})", f"(not {x})"])
            n = r.choice([1, 2, 5, 9])
            return r.choice([
                "j <= i", f"i - j < {n}", f"abs(i - j) <= {n}", f"abs(i - j - {n}) < 2", f"j < {n}", f"i div {n} == j div {n}",
                f"(i - j) % {n + 1} == 0", f"j % {16 * n} < {n}", f"{n} * j <= i + {n}", f"min(j, {n}) <= i - 1", f"{seg}[j := i] == {seg}",
                f"{seg} <= {n}", f"j < {seg}[j := i] + {n}", f"{seg}[j := i] < {seg}", f"j != i - {n}"])

        o = self.fresh("v")
        self.lines.append(f"  {o} = sum[j](softmax[j](sum[d]({q} * {k}) where {condition(2)}) * {v})")
        self.tensors.append((o, "real", frozenset(batch + ["i", "e"]), True))
        self.wanted.append(Val(o, batch + ["i", "e"]))

    def forms(self, batch, v):
        """Weights below a maximum in other words, and over two sets of keys."""
        r = self.r
        q, k = self.add_input("real", batch + ["i", "d"]), self.add_input("real", batch + ["j", "d"])
        s, p, o = (self.fresh("v") for _ in range(3))
        self.lines.append(f"  {s} = sum[d]({q} * {k}) / #d")
        if r.random() < 0.5:
            weight = r.choice([f"exp(({s} - max[j]({s})) * {r.choice([0.5, 2])})", f"exp(min[j]({s}) - {s})"])
            self.lines.append(f"  {p} = {weight}")
            self.lines.append(f"  {o} = sum[j]({p} * {v}) / sum[j]({p})")
        else:
            far = self.fresh("v")
            self.lines.append(f"  {far}, {p} = softmax[j | j]({s}, {s} * {r.choice([0.5, 2])} where j <= i)")
            self.lines.append(f"  {o} = sum[j]({p} * {v}) + sum[j]({far} * {v}) * 2")
        self.tensors.append((o, "real", frozenset(batch + ["i", "e"]), True))
        self.wanted.append(Val(o, batch + ["i", "e"]))

    def peaks(self, batch, v):
        """A softmax, and the maximum that its weights lie below."""
        q, k = self.add_input("real", batch + ["i", "d"]), self.add_input("real", batch + ["j", "d"])
        s, m, o = (self.fresh("v") for _ in range(3))
        self.lines.append(f"  {s} = sum[d]({q} * {k})")
        self.lines.append(f"  {m} = max[j]({s})")
        self.lines.append(f"  {o} = sum[j](softmax[j]({s}) * {v})")
        self.tensors.append((o, "real", frozenset(batch + ["i", "e"]), True))
        self.wanted.append(Val(o, batch + ["i", "e"]))
        self.stored.append((m, frozenset(batch + ["i"])))

    def rows(self, batch, v, other):
        """Keys that data leave, and an `if` that takes rows from one attention or the other."""
        r = self.r
        q, k = self.add_input("real", batch + ["i", "d"]), self.add_input("real", batch + ["j", "d"])
        seg = self.add_input("int", ["j"])
        s, p, o, chosen = (self.fresh("v") for _ in range(4))
        mask = r.choice([f"{seg}[j := i] == {seg}", f"j <= i and {seg}[j := i] == {seg}", f"{seg} + i > 2", "j <= i"])
        self.lines.append(f"  {s} = sum[d]({q} * {k}) where {mask}")
        self.lines.append(f"  {p} = softmax[j]({s})")
        self.lines.append(f"  {o} = sum[j]({p} * {v})")
        self.lines.append(f"  {chosen} = {o} if {r.choice(['i % 3 == 1', f'{seg}[j := i] > 0'])} else {other}")
        self.tensors.append((chosen, "real", frozenset(batch + ["i", "e"]), True))
        if r.random() < 0.5:
            self.stored.append((chosen, frozenset(batch + ["i", "e"])))

    def distances(self, batch):
        """Queries against a row for every distance."""
        r = self.r
        q, x = self.add_input("real", batch + ["i", "d"]), self.add_input("real", ["d"])
        table, s, p = (self.fresh("v") for _ in range(3))
        self.lines.append("  axis far:(#i + #j)")
        self.lines.append(f"  {table} = cos(far / {r.choice([3, 7])}) * {x}")
        at = r.choice(["i - j + #j", "#j - 1 - i + j", "i - j", "2 * i - j"])
        self.lines.append(f"  {s} = sum[d]({q} * {table}[far := {at}])")
        self.lines.append(f"  {p} = " + r.choice([f"softmax[j]({s} where j <= i)", f"fill(sigmoid({s}), 0)"]))
        self.tensors.append((p, "real", frozenset(batch + ["i", "j"]), False))
        if r.random() < 0.5:
            self.wanted.append(Val(p, batch + ["i", "j"]))

    def gates(self, batch):
        """One sum over what two matrix products have in common."""
        r = self.r
        h, g = self.add_input("real", batch + ["i", "d"]), self.add_input("real", batch + ["i", "d"])
        u, w = self.add_input("real", ["e", "d"]), self.add_input("real", ["e", "d"])
        o = self.fresh("v")
        self.lines.append(f"  {o} = sum[d]({u} * {h} {r.choice('+-')} {w} * {g}) / 4")
        self.tensors.append((o, "real", frozenset(batch + ["i", "e"]), True))
        if r.random() < 0.5:
            self.wanted.append(Val(o, batch + ["i", "e"]))
