"""Scores between two positions of a sequence, and sums over them."""


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
