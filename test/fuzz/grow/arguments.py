"""What a mixer is given: axes and their extents, inputs, parameters, axes of the body; and how axes are written."""
from .base import Axis


class Arguments:
    def setup(self):
        r = self.r
        self.long = r.random() < 0.08  # more than one block, vector and chunk along a sequence
        size = lambda: 0 if self.empty and r.random() < 0.4 else r.choice([1, 2, 3, 3, 4, 5, 6, 7, 9, 17, 18])
        length = lambda: r.choice([40, 65, 67, 130, 257]) if self.long else size()
        if self.long:
            size = lambda: r.choice([1, 2, 3, 4, 8, 9])
        self.sizes, self.axes, self.comps = {}, {}, {}
        self.empty = r.random() < 0.06  # extents of 0
        batch = [Axis("b", r.choice([1, 2, 3]))]
        if r.random() < 0.2:
            batch = []
        self.attend = r.random() < 0.12
        width = lambda: r.choice([8, 9, 16, 17, 18]) if self.attend and not self.empty else size()
        plain = [Axis("d", width()), Axis("e", width())]
        seq = []
        self.decls = {}
        self.shared = None
        shape = r.random()
        if shape < 0.35 and not self.attend:  # a split, possibly ragged sequence
            u = r.choice([1, 2, 3, 4])
            total = length()
            seq = [Axis("n", -(-total // u)), Axis("u", u)]
            self.comps["t"] = (["n", "u"], total)
            self.decls["t"] = f"t=(n u:{u})" if total % u or r.random() < 0.7 else f"t=(n:{total // u} u:{u})"
            self.sizes["t"] = total
        elif shape < 0.75 or self.attend:
            n = length()
            seq = [Axis("i", n), Axis("j", n)]
            self.decls["i"], self.decls["j"] = "i:N", "j:N"
            self.sizes["N"] = n
            self.shared = "N"
        else:
            seq = [Axis("t", length())]
        for a in batch + plain + seq:
            self.axes[a.name] = a
        for a in batch + plain:
            self.sizes[a.name] = a.size
        if shape >= 0.75 and not self.attend:
            self.sizes["t"] = seq[0].size
        self.batch, self.plain, self.seq = [a.name for a in batch], [a.name for a in plain], [a.name for a in seq]
        self.inputs = []
        for k in range(r.randint(2, 4)):
            self.add_input("real")
        # Every axis is learned from some input.
        seen = set().union(*[set(t[2]) for t in self.tensors])
        rest = [a for a in self.axes if a not in seen]
        if rest:
            self.add_input("real", rest)
        if r.random() < 0.4:
            self.add_input("int")
        if r.random() < 0.4:
            self.add_input("bool")
        if r.random() < 0.2:
            name = self.fresh("p")
            dtype, value = r.choice([("", "2"), ("", "3"), ("", "0.5"), ("", "true"), (": f32", "0.25"), (": i64", "1"), (": bool", "false")])
            self.params.append((name, "bool" if value in ("true", "false") else "real" if "." in value else "int"))
            self.lines.append(f"  param {name}{dtype} = {value}")
        if r.random() < 0.25:
            self.body_axes()
        if r.random() < 0.15:
            a = r.choice(list(self.sizes))
            self.lines.append(f'  require #{a} >= 0, "never fails"' if a != "N" else '  require N >= 0')

    def body_axes(self):
        """Axes that no argument has."""
        r = self.r
        made = []
        for _ in range(r.choice([1, 1, 2])):
            a = r.choice([x for x in self.axes if x not in ("n", "u")])
            form = r.random()
            if form < 0.35 and a + "'" not in self.axes:
                name, text = a + "'", a + "'"
            else:
                name = self.fresh("g")
                text = f"{name}:" + r.choice(["3", f"#{a}", f"(#{a} + 1)", f"(#{a} div 2 + 1)"])
            made.append(text)
            self.axes[name] = Axis(name, 3)
        self.lines.append("  axis " + ", ".join(made))

    def pick_axes(self, most=3):
        r = self.r
        names = self.batch + self.plain + self.seq
        if "t" in self.comps:  # mostly both parts together
            k = r.sample([x for x in names if x not in ("n", "u")] + ["t", "t"], min(most, len(names) - 1))
            out = []
            for x in k:
                for y in (["n", "u"] if x == "t" else [x]):
                    if y not in out:
                        out.append(y)
            return out
        return r.sample(names, min(len(names), r.randint(1, most)))

    def dims(self, axes, shuffle=True):
        r = self.r
        out, rest = [], list(axes)
        if "t" in self.comps and all(p in rest for p in self.comps["t"][0]):
            rest = [a for a in rest if a not in self.comps["t"][0]]
            out.append("t")
        flat = [a for a in rest if a in ("d", "e")]
        if len(flat) == 2 and r.random() < 0.2 and shuffle:
            rest = [a for a in rest if a not in flat]
            out.append("(" + " ".join(flat) + ")")
        out += rest
        if shuffle:
            r.shuffle(out)
        return out

    def add_input(self, kind, axes=None):
        r = self.r
        axes = axes or self.pick_axes()
        name = self.fresh({"real": "x", "int": "y", "bool": "m"}[kind])
        dims = self.dims(axes)
        if any(x in dims for x in ("(d e)", "(e d)")) and not any("d" in i[4] or "e" in i[4] for i in self.inputs):
            dims = self.dims(axes, False)
        promise = ""
        if kind == "int":
            target = r.choice([a for a in self.axes if a not in ("n", "u")] or ["d"])
            promise = f" in {target}"
        default = ""
        dtype = {"real": r.choice([""] * 24 + ["f32", "f64", "f64", "bf16", "f16"]), "int": r.choice(["i64", "i64", "i32"]), "bool": "bool"}[kind]
        if kind == "real" and r.random() < 0.1 and len(self.inputs) > 2:
            default = " = " + r.choice(["0", "0.5", "1 / sqrt(#d)"])
        self.inputs.append((name, dtype, axes, True, dims, promise, default))
        self.tensors.append((name, kind, frozenset(axes), False))
        return name

    def some(self, axes):
        """Some axes of a value to reduce; both parts of a composite as often as one."""
        axes = sorted(axes)
        if not axes:
            return []
        k = self.r.randint(1, min(2, len(axes)))
        return self.r.sample(axes, k)

    def axis_text(self, axes):
        axes = list(axes)
        if "t" in self.comps and set(axes) == {"n", "u"} and self.r.random() < 0.7:
            return "t" if self.r.random() < 0.8 else "(n u)"
        if set(axes) == {"d", "e"} and self.r.random() < 0.3:
            return f"({axes[0]} {axes[1]})"
        return ", ".join(axes)
