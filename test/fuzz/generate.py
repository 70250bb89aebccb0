"""Random well-formed specs; the modules of grow/ make their parts.

spec(seed) gives the text of one mixer and extents for its symbols. Expressions are grown by type: a kind (real, int,
bool) and the axes that may occur; every value carries its axes and whether it may be absent, so that what is stored can
be filled. Values stay of order one (recurrences contract, arguments of exp are bounded), so that float32 and float64
stay comparable.

Files that a spec may import are in LIBRARY.
"""
import random

from grow.base import Val
from grow.arguments import Arguments
from grow.attention import Attention
from grow.discrete import Discrete
from grow.gradients import Gradients
from grow.places import Places
from grow.reals import Reals
from grow.recurrences import Recurrences

LIBRARY = {"library.attn": "fn halve(x) = x / 2\nfn center[a](x) = x - mean[a](x)\n"}


class Gen(Arguments, Reals, Discrete, Places, Recurrences, Attention, Gradients):
    def __init__(self, seed):
        self.seed, self.r = seed, random.Random(seed)
        self.rare = seed % 40 == 0  # forms that hardly come about by themselves
        self.lines = []
        self.tensors = []  # (name, kind, axes, absent)
        self.count = 0
        self.fns, self.params = [], []
        self.focus = []  # names of tensors to take more often than others
        self.tail = lambda: "," if self.r.random() < 0.05 else ""
        self.states = []
        self.wanted = []  # values to put out
        self.stored = []  # states that are outputs themselves

    def fresh(self, prefix):
        self.count += 1
        return f"{prefix}{self.count}"

    def spec(self):
        r = self.r
        self.setup()
        for _ in range(r.randint(0, 2)):
            self.equation(2)
        if r.random() < 0.35:
            self.recurrence()
        if r.random() < 0.1:
            self.wavefront()
        if r.random() < 0.1:
            self.memory()
        if self.attend:
            self.attention()
        if r.random() < 0.05:
            self.bidirectional()
        if r.random() < 0.15:
            self.chunked()
        if self.rare or r.random() < 0.3:
            self.gradient()
        outs = self.outputs()
        decl = self.declarations()
        lines = [line + (";" if r.random() < 0.02 else "") for line in self.lines]
        head = 'import "library.attn"\n' if any("halve(" in x or "center[" in x for x in lines) else ""
        hints = "schedule m cpu { tile i = 64, j = 128; chunk }\n" if r.random() < 0.03 else ""
        return head + "".join(f + "\n" for f in self.fns) + f"mixer m(\n  {', '.join(decl)}{self.tail()}\n) -> ({', '.join(outs)}) {{\n" + "\n".join(lines) + "\n}\n" + hints

    def outputs(self):
        """Writes the last equations; declarations of what is put out."""
        r = self.r
        outs = []
        if r.random() < 0.1 and not self.empty:
            t = self.tensor("real")
            a = [x for x in sorted(t.axes) if x in self.plain + self.batch]
            if a and not t.absent:
                o = self.fresh("o")
                self.lines.append(f"  {o} = f32({t.text}[{a[0]} := {r.choice(['0', 'last'])}])")
                self.stored.append((o, t.axes - {a[0]}))
        for name, axes in self.stored:
            outs.append(f"{name}: [{', '.join(self.dims(sorted(axes)))}]")
        for _ in range(r.randint(1, 2)):
            kind = r.choice(["real", "real", "real", "int", "bool"])
            recent = [t for t in self.tensors if t[1] == "real" and t[0][0] in "Gv"]
            if recent and r.random() < 0.6:  # what has been prepared is of use
                self.focus = [recent[-1][0]]
            if self.wanted and r.random() < 0.85:
                kind = "real"
                v = self.wanted.pop()
                if r.random() < 0.3:
                    v = self.reduce(1, v)
            else:
                v = self.real(r.randint(1, 2 if self.long else 4)) if kind == "real" else self.int_(2) if kind == "int" else self.cond(2)
            if kind == "real":
                v = Val(f"f32({v.text})", v.axes, v.absent)  # an expression of positions alone is an integer
            while len(v.axes) > 5:
                a = sorted(v.axes)[0]
                v = Val(f"{'any' if kind == 'bool' else 'max'}[{a}]({v.text})", v.axes - {a}, v.absent)
            o = self.fresh("o")
            if kind == "real" and ("max[" in v.text or "min[" in v.text):
                v = Val(f"clamp({v.text}, -1000, 1000)", v.axes, v.absent)
            # Either truth value, so that an absent condition shows whatever is computed in its place.
            default = "-1" if kind != "bool" else ("true", "false")[len(v.text) % 2]
            self.lines.append(f"  {o} = fill({v.text}, {default}{self.tail()})")
            dtype = {"real": r.choice([""] * 24 + ["f32", "f64", "bf16", "f16"]), "int": r.choice(["i64", "i64", "i32"]), "bool": "bool"}[kind]
            if dtype == "i32":
                self.lines[-1] = f"  {o} = i32(fill({v.text}, {default}))"
            outs.append(f"{o}: {dtype}[{', '.join(self.dims(sorted(v.axes)))}]")
        return outs

    def declarations(self):
        """Of the inputs."""
        decl = []
        shown = set()
        for name, dtype, axes, _, dims, promise, default in self.inputs:
            text = []
            for x in dims:
                if x in self.decls and x not in shown:
                    shown.add(x)
                    text.append(self.decls[x])
                else:
                    text.append(x)
            decl.append(f"{name}: {dtype}[{', '.join(text)}{self.tail() if text else ''}]{promise}{default}")
        return decl


def spec(seed):
    g = Gen(seed)
    return g.spec(), g.sizes


if __name__ == "__main__":
    import sys
    text, sizes = spec(int(sys.argv[1]))
    print(text, "//", sizes)
