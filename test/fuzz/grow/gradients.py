"""Derivatives."""
from .base import CONSTANT, Val


class Gradients:
    def gradient(self):
        """A derivative: of an expression in which the variable occurs often, through a recurrence, of several variables,
        or of what has a derivative in it."""
        r = self.r
        names = [t for t in self.tensors if t[1] == "real" and t[2] and not t[3]]
        if not names:
            return
        w = r.choice(names)
        inputs = [t for t in names if any(t[0] == i[0] for i in self.inputs)]
        form = r.random()
        self.focus = [w[0]]
        before = len(self.tensors)
        if form < 0.25:
            before_states = len(self.states)
            r.choice([self.recurrence, self.recurrence, self.wavefront] + [self.chunk_end] * (2 * len(self.comps)))()
            if len(self.states) > before_states:
                self.focus = [self.states[-1], w[0]]
        elif form < 0.4 and len(inputs) > 1:
            self.focus = [t[0] for t in r.sample(inputs, 2)]
        if form >= 0.4 or len(self.focus) == 1:
            L = Val(w[0], w[2], w[3])
        else:
            L = self.real(1)
        for _ in range(r.randint(1, 4)):
            L = r.choice([self.unary, self.unary, self.unary, self.unary, self.reduce, self.reduce, self.softmax, self.cum, self.read, self.union, self.mix, self.mask])(1, L)
        if self.rare:
            b = self.contraction(1)
            if r.random() < 0.5:  # a product of three, of which two have a reduced axis alone
                own = self.leaves(self.scan_axis())
                x, y, z = self.add_input("real", own + ["d"]), self.add_input("real", ["d", "e"]), self.add_input("real", ["e"])
                b = Val(f"(sum[d, e]({x} * {y} * {z}) / 9)", own)
            L = Val(f"(clamp({b.text}, {L.text} - 0.5, {L.text} + 0.75) where #{r.choice('de')})", L.axes | b.axes, True)
        if len(L.axes) > 5:
            L = Val(f"sum[{sorted(L.axes)[0]}]({L.text})", L.axes - {sorted(L.axes)[0]}, L.absent)
        for name in self.focus:
            if name not in L.text:
                axes = next(t[2] for t in self.tensors if t[0] == name)
                L = Val(f"(tanh({name}) * {L.text})", L.axes | axes, L.absent)
        if len(self.focus) > 1 and form >= 0.25:
            loss = self.fresh("l")
            self.lines.append(f"  {loss} = {L.text}")
            made = [self.derive(Val(loss, L.axes, L.absent), next(t for t in self.tensors if t[0] == name), False) for name in self.focus]
            self.focus = []
            self.wanted.append(Val(f"({made[0][0]} * cos({made[1][0]}))", made[0][2] | made[1][2]))
            return
        self.focus = []
        if form > 0.85 and self.seed % 4 == 0:  # a derivative that has a function of its own
            L = Val(f"(gelu({w[0]}) * {L.text})", L.axes | w[2], L.absent)
        G = self.derive(L, w)
        if form > 0.85:
            again = Val(f"(tanh({G[0]}) * {w[0]} + sin({G[0]}))", G[2] | w[2])
            G = self.derive(again, w)
        self.wanted.append(Val(G[0], G[2]))

    def mix(self, d, a):
        b = self.real(d)
        return Val(f"({a.text} {self.r.choice('+-**')} {b.text})", a.axes | b.axes, a.absent or b.absent)

    def mask(self, d, a):
        c = self.cond(1)
        if self.r.random() < 0.5 or CONSTANT.search(c.text):
            return Val(f"({a.text} where {c.text})", a.axes | c.axes, True)
        return Val(f"({a.text} if {c.text} else sin({a.text}))", a.axes | c.axes, a.absent)

    def derive(self, L, w, keeps=True):
        r = self.r
        name = self.fresh("G")
        keep = [a for a in L.axes if a not in w[2] and a not in ("n", "u")]
        if keep and keeps and r.random() < 0.4:
            k = r.choice(sorted(keep))
            self.lines.append(f"  {name} = grad[{k}]({L.text}, {w[0]})")
            self.tensors.append((name, "real", w[2] | {k}, False))
        else:
            self.lines.append(f"  {name} = grad({L.text}, {w[0]})")
            self.tensors.append((name, "real", w[2], False))
        return self.tensors[-1]
