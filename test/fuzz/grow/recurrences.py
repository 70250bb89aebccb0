"""Equations that read themselves at earlier positions."""
import random

from .base import Val


class Recurrences:
    def recurrence(self):
        r = self.r
        x = self.tensor("real")
        if not x.axes:
            return
        name = self.fresh("S")
        g = self.real(1)
        a = self.real(1)
        axes = x.axes | g.axes | a.axes
        scan = r.choice(sorted(axes))
        flat = "t" in self.comps and {"n", "u"} <= axes and r.random() < 0.5
        over = "t" if flat else scan
        step = r.choice(["- 1", "- 1", "+ 1", "- 2"])
        init = ""
        if r.random() < 0.4:
            init = "  init " + r.choice(["0.5", "1", "#d / 7"])
            moved = {"n", "u"} if over == "t" and "t" in self.comps else {scan}
            start = self.tensor("real", [y for y in self.axes if y not in moved])
            if start and not start.absent and r.random() < 0.5:
                init = f"  init {start.text}"
                axes = axes | start.axes
        kind = r.random()
        read = f"{name}[{over} {step}]"
        fill = lambda v: f"fill({v.text}, 0.25)" if v.absent else v.text
        others = [y for y in sorted(axes) if y != scan and y not in ("n", "u")]
        if others and not flat and r.random() < 0.15:  # a step that may leave another axis
            read = f"fill({name}[{scan} {step}, {r.choice(others)} - 1], 0.25)"
        if kind < 0.5:
            self.lines.append(f"  {name} = sigmoid({fill(g)}) * {read} + tanh({fill(a)}) * fill({x.text}, 0)*0.5{init}")
        elif kind < 0.75:
            other = self.fresh("S")
            self.lines.append(f"  {other} = tanh({read} + {fill(a)})")
            self.lines.append(f"  {name} = 0.5 * {other} + fill({x.text}, 0) + 0 * {fill(g)}{init}")
            self.tensors.append((other, "real", axes, False))
        else:
            inner = [y for y in sorted(axes) if y != scan and y not in ("n", "u")]
            if not inner or flat:
                self.lines.append(f"  {name} = 0.6 * {read} + tanh({fill(a)} + fill({x.text}, 0) + 0 * {fill(g)}){init}")
            else:
                y = r.choice(inner)
                mix = r.choice(["mean[{0}]({1})", "mean[{0}]({1})", "(cumsum[{0}]({1}) / 9)", "cummax[-{0}]({1})", "softmax[{0}]({1})", "max[{0}]({1})"])
                self.lines.append(f"  {name} = tanh({mix.format(y, read)} + {fill(a)} + fill({x.text}, 0) + 0 * {fill(g)}){init}")
        self.tensors.append((name, "real", axes, False))
        self.states.append(name)
        if r.random() < 0.3 and len(axes) < 6 and name not in [o for o, _ in self.stored]:
            self.stored.append((name, axes))
        if r.random() < 0.4:
            n = self.fresh("v")
            self.lines.append(f"  {n} = {name}[{over} := last]")
            self.tensors.append((n, "real", axes - ({"n", "u"} if flat else {scan}), True))

    def wavefront(self):
        axes = [a for a in self.axes if a not in ("n", "u")]
        pairs = [t for t in self.tensors if t[1] == "real" and len([a for a in t[2] if a in axes]) >= 2 and not t[3]]
        if not pairs:
            return
        t = self.r.choice(pairs)
        a, b = self.r.sample(sorted(x for x in t[2] if x in axes), 2)
        name = self.fresh("H")
        if self.r.random() < 0.5:
            self.lines.append(f"  {name} = tanh({t[0]}) + 0.4 * max({name}[{a} - 1, {b} - 1], {name}[{a} - 1] - 0.5, {name}[{b} - 1] - 0.25)  init 0.75")
        else:  # what one row leaves is known to the next
            row = self.fresh("R")
            self.lines.append(f"  {name} = tanh({t[0]} + 0.3 * {name}[{a} - 1] + 0.2 * {row}[{a} - 1])")
            self.lines.append(f"  {row} = tanh(mean[{b}]({name}))")
        self.tensors.append((name, "real", t[2], False))
        self.states.append(name)

    def scan_axis(self):
        return "t" if "t" in self.axes or "t" in self.comps else "i"

    def leaves(self, axis):
        return list(self.comps[axis][0]) if axis in self.comps else [axis]

    def bidirectional(self):
        """Two states that run against each other, read together."""
        t = self.scan_axis()
        k, v, g = self.add_input("real", self.leaves(t) + ["d"]), self.add_input("real", self.leaves(t) + ["e"]), self.add_input("real", self.leaves(t))
        f, b, o = self.fresh("F"), self.fresh("B"), self.fresh("v")
        self.lines.append(f"  {f} = sigmoid({g}) * {f}[{t} - 1] + {k} * {v} / 4")
        self.lines.append(f"  {b} = sigmoid({g}) * {b}[{t} + 1] + {k} * {v} / 4")
        self.lines.append(f"  {o} = sum[d]({k} * ({f} + {b})) / 4")
        self.tensors.append((o, "real", frozenset(self.leaves(t) + ["e"]), False))
        self.states.append(o)

    def chunked(self):
        """States that start afresh in every chunk, and later chunks that read their ends."""
        if "t" not in self.comps:
            return
        r = self.r
        k, g = self.add_input("real", ["n", "u", "d"]), self.add_input("real", ["n", "u"])
        s, m, far, o = self.fresh("K"), self.fresh("g"), self.fresh("v"), self.fresh("v")
        self.lines.append(f"  axis {m}:#n")
        self.lines.append(f"  {s} = sigmoid({g}) * {s}[u - 1] + {k} / 2")
        self.lines.append(f"  {far} = sum[d]({k} * {s}[n := {m}, u := last]) / 2 where {m} < n")
        self.lines.append(f"  {o} = sum[{m}](softmax[{m}]({far}) * {s}[n := {m}, u := last])")
        self.tensors.append((o, "real", frozenset(["n", "u", "d"]), False))
        self.states.append(o)
        if r.random() < 0.6:
            self.stored.append((s, frozenset(["n", "u", "d"])))
        # By numbers of its own, so that what a seed gives otherwise does not depend on it.
        self.r = random.Random(f"ends {self.seed}")
        if self.r.random() < 0.4:
            self.carried()
        self.r = r

    def carried(self):
        """A state of which only the end of every chunk is read."""
        k, w = self.add_input("real", ["n", "u", "d"]), self.add_input("real", ["d", "e"])
        p, s, end, o = self.fresh("P"), self.fresh("K"), self.fresh("E"), self.fresh("v")
        self.lines += [f"  {p} = {end}[n - 1]", f"  {s} = 0.5 * {s}[u - 1] + {k} * tanh(sum[d]({p} * {k})) / 4   init {p}",
                       f"  {end} = {s}[u := last]   init {w}", f"  {o} = sum[d]({p} * {k}) / 4"]
        self.tensors += [(o, "real", frozenset(["n", "u", "e"]), False), (end, "real", frozenset(["n", "d", "e"]), False)]
        self.wanted.append(Val(o, ["n", "u", "e"]))

    def chunk_end(self):
        """All of a chunk sees the end of the one before."""
        x = self.tensor("real")
        w, e = self.fresh("W"), self.fresh("P")
        self.lines += [f"  {e} = {w}[n - 1, u := last]", f"  {w} = 0.5 * {w}[t - 1] + 0.3 * tanh({e}) + fill({x.text}, 0) / 3"]
        self.tensors.append((w, "real", x.axes | {"n", "u"}, False))
        self.states.append(w)

    def memory(self):
        """A gradient step on a matrix per position, at the memory of the step before."""
        reals = [t for t in self.tensors if t[1] == "real" and not t[3] and t[2]]
        scan = self.scan_axis()
        if scan not in self.axes and scan not in self.comps:
            return
        own = set(self.leaves(scan))
        k = [t for t in reals if own <= t[2] and "d" in t[2] and "e" not in t[2]]
        if not k:
            k = [(self.add_input("real", self.leaves(scan) + ["d"]), "real", frozenset(own | {"d"}))]
        name, p, l = self.fresh("W"), self.fresh("P"), self.fresh("L")
        key = self.r.choice(k)[0]
        last, grad = f"{name}[{scan} - 1]", "grad"
        if scan in self.comps and self.r.random() < 0.6:  # gradients at the start of the chunk
            last, grad = f"{name}[n - 1, u := last]", "grad[u]"
        what = f"tanh({key})"
        form = self.r.random()
        if form < 0.3:  # what an earlier step made of the memory is a constant,
            m = self.fresh("M")
            self.lines.append(f"  {m} = sum[e](tanh({p}) * {key}) / 4")
            what = f"({what} + 0.2 * {m}[{scan} - 1])"
        elif form < 0.6 and grad == "grad[u]":  # what other places of this step make of it is not
            m, j = self.fresh("M"), self.fresh("g")
            self.lines += [f"  axis {j}:#u", f"  {m} = sum[e](tanh({p}) * {key}) / 4"]
            what = f"({what} + 0.2 * sum[{j}]({m}[u := {j}] where {j} <= u))"
        self.lines += [f"  {p} = {last}", f"  {l} = sum[e]((sum[d]({p} * {what}) - e / 7) ** 2) / 8",
                       f"  {name} = 0.9 * {name}[{scan} - 1] - 0.1 * {grad}({l}, {p})  init 0.25 + 0 * d + 0 * e"]
        axes = next(t[2] for t in self.tensors if t[0] == key)
        self.tensors.append((name, "real", axes | {"e"}, False))
        self.states.append(name)
