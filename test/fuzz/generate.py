"""Random well-formed specs.

spec(seed) gives the text of one mixer and extents for its symbols. Expressions are grown by type: a kind (real, int,
bool) and the axes that may occur; every value carries its axes and whether it may be absent, so that what is stored can
be filled. Values stay of order one (recurrences contract, arguments of exp are bounded), so that float32 and float64
stay comparable.

Files that a spec may import are in LIBRARY.
"""
import random
import re

REAL1 = ["exp", "exp2", "expm1", "log", "log1p", "sqrt", "rsqrt", "abs", "sign", "floor", "ceil", "round", "sin", "cos", "tanh",
         "sigmoid", "logsigmoid", "softplus", "relu", "silu", "gelu", "gelu_tanh", "erf"]
REAL2 = ["min", "max", "logaddexp", "pow"]
REDUCTIONS = ["sum", "mean", "prod", "max", "min", "logsumexp", "norm"]
LIBRARY = {"library.attn": "fn halve(x) = x / 2\nfn center[a](x) = x - mean[a](x)\n"}
CONSTANT = re.compile(r"\b(true|false|given|p\d+)\b")  # conditions that the checker may decide
INT2 = ["bitand", "bitor", "bitxor", "shl", "shr", "min", "max"]


class Axis:
    def __init__(self, name, size, parts=(), ragged=False):
        self.name, self.size, self.parts, self.ragged = name, size, parts, ragged


class Val:
    """An expression: its text (already in parentheses where that matters), its leaf axes, whether it may be absent."""

    def __init__(self, text, axes, absent=False):
        self.text, self.axes, self.absent = text, frozenset(axes), absent


class Gen:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.rare = seed % 40 == 0  # forms that hardly come about by themselves
        self.lines, self.head = [], []
        self.tensors = []  # (name, kind, axes, absent)
        self.count = 0
        self.fns, self.params = [], []
        self.focus = []   # names of tensors to take more often than others
        self.tail = lambda: "," if self.r.random() < 0.05 else ""
        self.states = []
        self.wanted = []  # values to put out
        self.stored = []  # states that are outputs themselves

    def fresh(self, prefix):
        self.count += 1
        return f"{prefix}{self.count}"

    # -- axes and inputs ------------------------------------------------------------------------------------------
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

    # -- expressions ----------------------------------------------------------------------------------------------
    def tensor(self, kind, allowed=None):
        c = [t for t in self.tensors if t[1] == kind and (allowed is None or t[2] <= set(allowed))]
        if not c:
            return None
        near = [t for t in c if t[0] in self.focus]
        if near and self.r.random() < 0.6:
            c = near
        name, _, axes, absent = self.r.choice(c)
        return Val(name, axes, absent)

    def real(self, depth):
        r = self.r
        if depth <= 0 or r.random() < 0.12:
            v = self.tensor("real") if r.random() < 0.85 else None
            if v:
                return v
            c = r.random()
            numbers = [n for n, kind in self.params if kind != "bool"]
            if c < 0.2 and numbers:
                return Val(r.choice(numbers), ())
            if c < 0.5:
                return Val(r.choice(["0.5", "1.25", "2", "3.0e-1", "pi"]), ())
            if c < 0.55 and "d" in self.axes and "e" in self.axes:
                return Val("((d e) / 40)", ["d", "e"])
            a = r.choice(list(self.axes))
            return Val(f"({a} / 3)", [a])
        f = r.choice([self.arith, self.arith, self.arith, self.unary, self.unary, self.reduce, self.reduce, self.reduce, self.if_, self.where, self.where,
                      self.read, self.read, self.read, self.softmax, self.cum, self.filled, self.cast, self.logical_number, self.contraction, self.contraction,
                      self.call, self.detach, self.sorted_, self.int_real, self.union, self.scatter, self.equation, self.own, self.infinite, self.pair])
        return f(depth - 1)

    def arith(self, d):
        a, b = self.real(d), self.real(d)
        op = self.r.choice(["+", "-", "*", "*", "/"] * 4 + ["%", "div"])
        text = f"({a.text} {op} {b.text})"
        if op == "/":
            text = f"({a.text} / (abs({b.text}) + 1.5))"
        elif op in ("%", "div"):
            text = f"(({a.text} + 0.01) {op} (abs({b.text}) + 1.7))"
        return Val(text, a.axes | b.axes, a.absent or b.absent)

    def unary(self, d, a=None):
        a = a or self.real(d)
        f = self.r.choice(REAL1 + REAL2 + ["neg", "clamp", "**"])
        x = a.text
        if f in ("exp", "exp2", "expm1"):
            x = f"min({x}, 2)"
        if f in ("log", "sqrt", "rsqrt"):
            x = f"(abs({x}) + 0.5)"
        if f == "log1p":
            x = f"abs({x})"
        if f == "neg":
            return Val(f"(-{x})", a.axes, a.absent)
        if f == "pow" and self.r.random() < 0.5:
            b = self.real(d - 1)
            return Val(f"pow(abs({x}) + 0.5, tanh({b.text}))", a.axes | b.axes, a.absent or b.absent)
        if f == "clamp" and self.r.random() < 0.5:
            b = self.real(d - 1)
            return Val(f"clamp({x}, {b.text} - 0.5, {b.text} + 0.75)", a.axes | b.axes, a.absent or b.absent)
        if f == "clamp":
            return Val(f"clamp({x}, -0.75, 1.5)", a.axes, a.absent)
        if f == "**":
            return Val(f"(tanh({x}) ** {self.r.choice(['2', '3'])})", a.axes, a.absent)
        if f == "pow":
            return Val(f"pow(abs({x}) + 0.5, 1.5)", a.axes, a.absent)
        if f in ("min", "max", "logaddexp") and self.r.random() < 0.3:
            b, c = self.real(d - 1), self.real(d - 2)
            return Val(f"{f}({x}, {b.text}, {c.text}{self.tail()})", a.axes | b.axes | c.axes, a.absent or b.absent or c.absent)
        if f in REAL2:
            b = self.real(d - 1)
            return Val(f"{f}({x}, {b.text})", a.axes | b.axes, a.absent or b.absent)
        if f in ("floor", "ceil", "round", "sign"):
            x = f"({x} * 3.1)"
        return Val(f"{f}({x})", a.axes, a.absent)

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

    def reduce(self, d, a=None):
        a = a or self.real(d)
        over = self.some(a.axes)
        if not over:
            return a
        f = self.r.choice(REDUCTIONS + ["sum", "mean"])
        text = a.text if f != "prod" else f"(0.9 + 0.1 * tanh({a.text}))"
        return Val(f"{f}[{self.axis_text(over)}{self.tail()}]({text}{self.tail()})", a.axes - set(over), a.absent)

    def contraction(self, d):
        a, b = self.tensor("real"), self.tensor("real")
        both = a.axes & b.axes
        if not both:
            return self.arith(d)
        over = self.some(both)
        return Val(f"(sum[{self.axis_text(over)}]({a.text} * {b.text}) / 3)", (a.axes | b.axes) - set(over), a.absent or b.absent)

    def union(self, d, a=None):
        a, b = a or self.real(d), self.real(d)
        ga, gb = self.some(a.axes), self.some(b.axes)
        # What one operand reduces must not stay free in the other.
        if not ga or set(ga) & (b.axes - set(gb)) or set(gb) & (a.axes - set(ga)):
            return self.arith(d)
        f = self.r.choice(["logsumexp", "max", "sum", "min", "prod", "mean", "norm", "count", "any", "all"])
        tb = self.axis_text(gb) if gb else "_"
        x, y = (a.text, b.text) if f != "prod" else (f"(0.9 + 0.1 * tanh({a.text}))", f"(0.9 + 0.1 * tanh({b.text}))")
        if f in ("any", "all"):
            x, y = f"{a.text} > 0.3", f"{b.text} > 0.3"
        text = f"{f}[{self.axis_text(ga)} | {tb}]({x}, {y})"
        return Val(f"({text} / 3)" if f in ("count", "any", "all") else text, (a.axes | b.axes) - set(ga) - set(gb))

    def softmax(self, d, a=None):
        a = a or self.real(d)
        over = self.some(a.axes)
        if not over:
            return a
        if self.r.random() < 0.3:
            b = self.real(d - 1)
            if not (set(over) & b.axes):
                p, q = self.fresh("p"), self.fresh("p")
                self.lines.append(f"  {p}, {q} = softmax[{self.axis_text(over)} | _]({a.text}, {b.text})")
                self.tensors.append((p, "real", a.axes | b.axes, False))
                self.tensors.append((q, "real", (a.axes - set(over)) | b.axes, False))
                return Val(p, a.axes | b.axes)
        return Val(f"softmax[{self.axis_text(over)}]({a.text})", a.axes)

    def cum(self, d, a=None):
        a = a or self.real(d)
        over = self.some(a.axes)
        if not over:
            return a
        name = "t" if "t" in self.comps and {"n", "u"} <= a.axes and self.r.random() < 0.5 else over[0]
        f = self.r.choice(["cumsum", "cumprod", "cummax"])
        sign = self.r.choice(["", "", "-"])
        text = a.text if f != "cumprod" else f"(0.9 + 0.1 * tanh({a.text}))"
        return Val(f"{f}[{sign}{name}]({text})", a.axes)

    def cond(self, depth, axes=None):
        r = self.r
        c = r.random()
        if depth <= 0 or c < 0.25:
            v = self.tensor("bool", axes)
            if v and r.random() < 0.5:
                return v
            pool = sorted(axes if axes is not None else self.axes)
            known = [n for n, kind in self.params if kind == "bool"]
            if known and r.random() < 0.5:
                return Val(r.choice(known), ())
            optional = [i[0] for i in self.inputs if i[6]]
            if optional and r.random() < 0.5:
                return Val(f"given({r.choice(optional)})", ())
            if r.random() < 0.15:
                a = r.choice([x for x in self.axes if x not in ("n", "u")])
                known = r.choice([f"#{a} {r.choice(['<', '>=', '=='])} {r.choice('134')}", f"#{a} / 3 > 0.9", f"bool(#{a} - 2)"])
                if r.random() < 0.4:
                    x = self.cond(0, axes)
                    return Val(f"({known} {r.choice(['and', 'or', 'or'])} {x.text})", x.axes, x.absent)
                return Val(f"({known})", ())
            if not pool:
                return Val("(1 < 2)", ())
            a = r.choice(pool)
            b = r.choice(pool + ["1", "2"])
            op = r.choice(["<", "<=", ">", ">=", "==", "!="])
            return Val(f"({a} {op} {b})", {x for x in (a, b) if x in self.axes})
        if c < 0.4:
            x, y = self.cond(depth - 1, axes), self.cond(depth - 1, axes)
            op = r.choice(["and", "or"])
            return Val(f"({x.text} {op} {y.text})", x.axes | y.axes, x.absent or y.absent)
        if c < 0.5:
            x = self.cond(depth - 1, axes)
            return Val(f"(not {x.text})", x.axes, x.absent)
        if c < 0.6 and axes is None:
            x = self.real(depth - 1)
            over = self.some(x.axes)
            if over:
                f = r.choice(["any", "all"])
                return Val(f"{f}[{self.axis_text(over)}](0 * {' + 0 * '.join(over)} + {x.text} > 0.3)", x.axes - set(over), x.absent)
        if c < 0.68 and axes is None:
            x = self.real(depth - 1)
            return Val(f"present({x.text})", x.axes)
        if c < 0.72:
            return Val(r.choice(["true", "false"]), ())
        if c < 0.8 and len(self.axes) > 1:
            pool = sorted(axes if axes is not None else self.axes)
            if len(pool) > 1:
                x, y = r.sample(pool, 2)
                return Val(f"({x} - 2 < {y} <= {x})", {x, y})
        if c < 0.84:
            x, y = self.int_(1, axes), self.int_(1, axes)
            return Val(f"({x.text} {r.choice(['<', '<=', '==', '!='])} {y.text})", x.axes | y.axes, x.absent or y.absent)
        x = self.real(depth - 1)
        if c > 0.96 and (axes is None or x.axes <= set(axes)):
            return Val(f"isfinite({x.text})", x.axes, x.absent)
        if axes is not None and not x.axes <= set(axes):
            return self.cond(0, axes)
        return Val(f"({x.text} > 0.25)", x.axes, x.absent)

    def where(self, d):
        a = self.real(d)
        c = self.cond(min(d, 2))
        if self.r.random() < 0.12 and len(self.axes) > 1:
            x, y = self.r.sample(sorted(self.axes), 2)
            chain = self.r.choice([f"{x} - 2 < {y} <= {x}", f"0 < {x} < {y} + 3", f"1 <= {y} != {x}"])
            return Val(f"({a.text} where {chain})", a.axes | {x, y}, True)
        if self.r.random() < 0.25:
            name = self.fresh("k")
            self.lines.append(f"  {name} = {c.text}")
            self.tensors.append((name, "bool", c.axes, c.absent))
            c = Val(name, c.axes, c.absent)
        if self.r.random() < 0.3:
            c2 = self.cond(1)
            return Val(f"({a.text} where {c.text} and {c2.text})", a.axes | c.axes | c2.axes, True)
        return Val(f"({a.text} where {c.text})", a.axes | c.axes, True)

    def if_(self, d):
        a, b, c = self.real(d), self.real(d), self.cond(min(d, 2))
        if CONSTANT.search(c.text):  # one side is dropped, and its axes with it
            b = Val(f"({a.text} * 0.5)", a.axes, a.absent)
        return Val(f"({a.text} if {c.text} else {b.text})", a.axes | b.axes | c.axes, a.absent or b.absent)

    def filled(self, d):
        a, b = self.real(d), self.real(d - 1)
        return Val(f"fill({a.text}, {b.text})", a.axes | b.axes, b.absent)

    def cast(self, d):
        a = self.real(d)
        f = self.r.choice(["f32", "f64", "bf16", "f16", "i64", "i32", "bool"])
        if f in ("bf16", "f16"):  # rounding is a step: keep it away from what differs between f32 and f64
            t = self.tensor("real")
            return Val(f"{f}({t.text})" if not t.text.startswith("s") else t.text, t.axes, t.absent)
        if f in ("i64", "i32"):
            return Val(f"f32({f}({a.text} * 3.3))", a.axes, a.absent)
        if f == "bool":
            return Val(f"f32(bool({a.text}))", a.axes, a.absent)
        return Val(f"{f}({a.text})", a.axes, a.absent)

    def logical_number(self, d):
        c = self.cond(d)
        return Val(f"(0.5 + {c.text})", c.axes, c.absent)

    def int_(self, depth, axes=None):
        r = self.r
        pool = sorted(axes if axes is not None else self.axes)
        c = r.random()
        if depth <= 0 or c < 0.3:
            v = self.tensor("int", axes)
            if v and r.random() < 0.5:
                return v
            counts = [n for n, kind in self.params if kind == "int"]
            if counts and r.random() < 0.3:
                return Val(r.choice(counts), ())
            if pool and r.random() < 0.8:
                a = r.choice(pool)
                return Val(a, [a])
            return Val(r.choice(["0", "1", "2"]), ())
        if c < 0.6:
            a, b = self.int_(depth - 1, axes), self.int_(depth - 1, axes)
            op = r.choice(["+", "-", "*", "div", "%"])
            return Val(f"({a.text} {op} {b.text})", a.axes | b.axes, a.absent or b.absent)
        if c < 0.7:
            a, b = self.int_(depth - 1, axes), self.int_(depth - 1, axes)
            f = r.choice(INT2)
            return Val(f"{f}({a.text}, {b.text})" if f not in ("shl", "shr") else f"{f}({a.text} % 9, {b.text} % 5)", a.axes | b.axes, a.absent or b.absent)
        if c < 0.76:
            a = self.int_(depth - 1, axes)
            text = r.choice(["ilog2({0})", "ilog2({0})", "({0} ** 2)", "(({0} % 5) ** 3)", "abs({0})", "sign({0})", "(-{0})", "({0} + 1 - 3)", "({0} - (-2))",
                             "({0} + 0)", "({0} * 1)", "({0} div 1)", "clamp({0}, 1, 4)", "i32({0})", "max({0}, 1, 2)"]).format(a.text)
            return Val(text, a.axes, a.absent)
        if c < 0.83:
            a = r.choice([x for x in self.axes if x not in ("n", "u")])
            if pool and r.random() < 0.5:
                b = r.choice([x for x in pool])
                return Val(r.choice([f"({b} % #{b})", f"({b} div #{a})", f"({b} + #{a} - 1)"]), [b])
            return Val("#(d e)" if r.random() < 0.2 else f"#{a}", ())
        if axes is None:
            x = self.real(depth - 1)
            over = self.some(x.axes)
            if over:
                f = r.choice(["argmax", "argmin", "count", "rank"])
                if f == "rank":
                    return Val(f"rank[{self.axis_text(over)}]({x.text})", x.axes, x.absent)
                return Val(f"{f}[{self.axis_text(over)}]({x.text})", x.axes - set(over), True)
        return self.int_(0, axes)

    def int_real(self, d):
        a = self.int_(d)
        return Val(f"(({a.text} % 11) / 4)", a.axes, a.absent)

    def read(self, d, a=None):
        r = self.r
        a = a or (self.tensor("real") if r.random() < 0.7 else self.real(d))
        axes = sorted(a.axes)
        if not axes:
            return a
        x = r.choice(axes)
        c = r.random()
        if "t" in self.comps and {"n", "u"} <= a.axes and r.random() < 0.4:
            k = r.choice(["t - 1", "t + 1", "#t - 1 - t", "last", "0"])
            ax = {"n", "u"} if "t" in k.replace("#t", "").replace("last", "") else set()
            return Val(f"{a.text}[t := {k}]", (a.axes - {"n", "u"}) | ax, True)
        if c < 0.3:
            again = f"[{x} {r.choice('+-')} 1]" if r.random() < 0.2 else ""
            return Val(f"{a.text}[{x} {r.choice('+-')} {r.choice('12')}{self.tail()}]{again}", a.axes, True)
        if c < 0.4:
            return Val(f"{a.text}[{x} := last]", a.axes - {x}, x in ("n", "u"))
        if c < 0.5:
            return Val(f"{a.text}[{x} := 0]", a.axes - {x}, True)
        if c < 0.65:
            others = [y for y in self.axes if y not in a.axes]
            if others:
                y = r.choice(others)
                if y == x + "'":
                    return Val(f"{a.text}[{y}]", (a.axes - {x}) | {y}, True)
                if len(axes) > 1 and r.random() < 0.3:
                    z = r.choice([w for w in axes if w != x])
                    return Val(f"{a.text}[{x} := {y}, {z} := {r.choice(['0', 'last', y])}]", (a.axes - {x, z}) | {y}, True)
                return Val(f"{a.text}[{x} := {y}]", (a.axes - {x}) | {y}, True)
        if c < 0.75:
            return Val(f"{a.text}[{x} := #{x} - 1 - {x}]", a.axes, True)
        i = self.int_(min(d, 1))
        if {"d", "e"} <= a.axes and r.random() < 0.3:
            return Val(f"{a.text}[(d e) := {i.text}]", (a.axes - {"d", "e"}) | i.axes, True)
        return Val(f"{a.text}[{x} := {i.text}]", (a.axes - {x}) | i.axes, True)

    def sorted_(self, d):
        r = self.r
        a = self.real(d)
        axes = sorted(a.axes)
        if not axes:
            return a
        x = r.choice(axes)
        name = self.fresh("z")
        f = r.choice(["topk", "argsort", "sort"])
        k = r.randint(1, 4)
        over, gone = x, {x}
        if "t" in self.comps and {"n", "u"} <= a.axes and r.random() < 0.7:
            over, gone = "t", {"n", "u"}
        elif {"d", "e"} <= a.axes and r.random() < 0.4:
            over, gone = "(d e)", {"d", "e"}
        self.axes[name] = Axis(name, k)
        extent = f":{k}" if f == "topk" or r.random() < 0.5 else ""
        sel = self.fresh("s")
        self.lines.append(f"  {sel} = {f}[{over}, {name}{extent}]({a.text})")
        kind = "real" if f == "sort" else "int"
        self.tensors.append((sel, kind, (a.axes - gone) | {name}, True))
        if kind == "real":
            return Val(sel, (a.axes - gone) | {name}, True)
        v = self.tensor("real")
        if len(gone) > 1 and gone <= v.axes:
            return Val(f"{v.text}[{over} := {sel}]", (v.axes - gone) | (a.axes - gone) | {name}, True)
        return Val(f"{v.text}[{x} := {sel}]", (v.axes - {x}) | (a.axes - gone) | {name}, True) if x in v.axes else Val(f"({sel} / 3)", (a.axes - gone) | {name}, True)

    def scatter(self, d):
        """What goes to a place that an index tensor names: one axis, or all of a composite."""
        r = self.r
        v = self.tensor("real")
        places = [[x] for x in self.axes if x not in ("n", "u", "b") and x not in v.axes]
        if "t" in self.comps and not v.axes & {"n", "u"}:
            places += [["n", "u"]] * len(places or "-")
        if not places:
            return self.arith(d)
        place = r.choice(places)
        to = "t" if len(place) > 1 else place[0]
        ys = [t for t in self.tensors if t[1] == "int" and t[2] and not t[2] & set(place)]
        rest = [x for x in self.batch + self.plain + self.seq if x not in place and x not in ("n", "u")]
        if not ys and not rest:
            return self.arith(d)
        if ys:
            y, over = r.choice(ys)[0], None
            over = sorted(next(t[2] for t in ys if t[0] == y))
        else:
            over = sorted(r.sample(rest, min(len(rest), r.randint(1, 2))))
            y = self.add_input("int", over)
        key = r.choice([y, y, f"({y} + 1)"])
        where = r.choice([f"{key} == {to}", f"{to} == {key}"])
        c = self.cond(1, set(over) | set(place)) if r.random() < 0.3 else None
        if c:
            where += f" and {c.text}"
        f = r.choice(["sum", "sum", "max", "min", "prod", "any", "all", "count", "of conditions"])
        red = self.axis_text(over)
        axes = (v.axes | set(place)) - set(over)
        if f == "any":
            return Val(f"f32(any[{red}]({where}))", set(place))
        if f == "all":
            return Val(f"f32(all[{red}]({v.text} > 0 where {where}))", axes, v.absent)
        if f == "count":
            return Val(f"f32(count[{red}]({where}))", set(place))
        if f == "of conditions":
            return Val(f"(sum[{red}]({where}) / 4)", set(place))
        text = f"{f}[{red}]({v.text} where {where})"
        if f == "prod":
            text = f"{f}[{red}](0.9 + 0.1 * tanh({v.text}) where {where})"
        if f in ("max", "min"):
            text = f"clamp({text}, -4, 4)"
        return Val(text, axes, v.absent)

    def own(self, d):
        """Reads at the own position, alone or beside another."""
        r = self.r
        a = self.tensor("real")
        axes = sorted(a.axes)
        if not axes:
            return a
        x = r.choice(axes)
        if len(axes) > 1 and r.random() < 0.5:
            y = r.choice([z for z in axes if z != x])
            return Val(f"{a.text}[{x} := {x}, {y} := {r.choice(['0', 'last'])}]", a.axes - {y}, True)
        return Val(f"{a.text}[{x} := {x}]", a.axes, a.absent or x in ("n", "u"))

    def infinite(self, d):
        """Infinities as bounds and as scores that do not count."""
        r = self.r
        a = self.real(d)
        over = self.some(a.axes)
        f = r.choice(["bound", "bound", "softmax", "logsumexp", "max"])
        if f == "bound" or not over:
            return Val(r.choice([f"min({a.text}, inf)", f"max({a.text}, -inf)", f"logaddexp({a.text}, -inf)"]), a.axes, a.absent)
        c = self.cond(1, a.axes)
        if CONSTANT.search(c.text):
            return a
        text = f"{f}[{self.axis_text(over)}]({a.text} if {c.text} else -inf)"
        if f == "softmax":
            return Val(text, a.axes)
        return Val(f"clamp({text}, -4, 4)", a.axes - set(over), a.absent)

    def pair(self, d):
        """A fn of two axes, two values and two results; an imported fn."""
        r = self.r
        a = self.real(d)
        if len(a.axes) < 2:
            if r.random() < 0.5 and a.axes:
                return Val(f"center[{r.choice(sorted(a.axes))}]({a.text})", a.axes, a.absent)
            return Val(f"halve({a.text})", a.axes, a.absent)
        b = self.tensor("real")
        x, y = r.sample(sorted(a.axes), 2)
        f, p, q = self.fresh("h"), self.fresh("v"), self.fresh("v")
        semi = r.choice(["", "", ";"])
        self.fns.append(f"fn {f}[a, b{self.tail()}](x, y{self.tail()}) {{\n  m = max[a](x) - mean[b](x){semi}\n  return m * y, tanh(m)\n}}")
        self.lines.append(f"  {p}, {q} = {f}[{x}, {y}]({a.text}, {b.text})")
        both = (a.axes - {x, y}) | (a.axes - {x}) | (a.axes - {y})
        self.tensors.append((p, "real", both | b.axes, a.absent or b.absent))
        self.tensors.append((q, "real", both, a.absent))
        return Val(q, both, a.absent)

    def detach(self, d):
        a = self.real(d)
        return Val(f"detach({a.text})", a.axes, a.absent)

    def call(self, d):
        r = self.r
        a = self.real(d)
        if not a.axes:
            return a
        x = r.choice(sorted(a.axes))
        name = self.fresh("h")
        body, keeps, absent = r.choice([
            ("x * rsqrt(mean[a](x * x) + 1e-2)", True, a.absent), ("x - max[a](x)", True, a.absent), ("sum[a](x * x) / 4", False, a.absent),
            ("fill(x[a - 1], 0.5) + x", True, a.absent)])
        if r.random() < 0.4:
            self.fns.append(f"fn {name}[a](x) {{\n  m = {body}\n  w = m * 0.5\n  return m + w\n}}")
        else:
            self.fns.append(f"fn {name}[a](x) = {body}")
        return Val(f"tanh({name}[{x}]({a.text}))", a.axes if keeps else a.axes - {x}, absent)

    def equation(self, d):
        a = self.real(d)
        name = self.fresh("v")
        note = ""
        if self.r.random() < 0.2:
            note = ": [" + ", ".join(sorted(a.axes)) + "]"
        self.lines.append(f"  {name}{note} = {a.text}")
        self.tensors.append((name, "real", a.axes, a.absent))
        return Val(name, a.axes, a.absent)

    # -- recurrences and gradients ------------------------------------------------------------------------------------
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
            self.last = Val(f"{name}[{over} := last]", axes - ({"n", "u"} if flat else {scan}), True)
            n = self.fresh("v")
            self.lines.append(f"  {n} = {self.last.text}")
            self.tensors.append((n, "real", self.last.axes, True))

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

    def chunk_end(self):
        """All of a chunk sees the end of the one before."""
        x = self.tensor("real")
        w, e = self.fresh("W"), self.fresh("P")
        self.lines += [f"  {e} = {w}[n - 1, u := last]", f"  {w} = 0.5 * {w}[t - 1] + 0.3 * tanh({e}) + fill({x.text}, 0) / 3"]
        self.tensors.append((w, "real", x.axes | {"n", "u"}, False))
        self.states.append(w)

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
        self.lines += [f"  {p} = {last}", f"  {l} = sum[e]((sum[d]({p} * tanh({key})) - e / 7) ** 2) / 8",
                       f"  {name} = 0.9 * {name}[{scan} - 1] - 0.1 * {grad}({l}, {p})  init 0.25 + 0 * d + 0 * e"]
        axes = next(t[2] for t in self.tensors if t[0] == key)
        self.tensors.append((name, "real", axes | {"e"}, False))
        self.states.append(name)

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

    # -- the whole ------------------------------------------------------------------------------------------------
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
        outs = []
        if r.random() < 0.1 and not self.empty:
            t = self.tensor("real")
            a = [x for x in t.axes if x in self.plain + self.batch]
            if a and not t.absent:
                o = self.fresh("o")
                self.lines.append(f"  {o} = f32({t.text}[{a[0]} := {r.choice(['0', 'last'])}])")
                self.stored.append((o, t.axes - {a[0]}))
        for name, axes in self.stored:
            outs.append(f"{name}: [{', '.join(self.dims(axes))}]")
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
            default = {"real": "-1", "int": "-1", "bool": "false"}[kind]
            self.lines.append(f"  {o} = fill({v.text}, {default}{self.tail()})")
            dtype = {"real": r.choice([""] * 24 + ["f32", "f64", "bf16", "f16"]), "int": r.choice(["i64", "i64", "i32"]), "bool": "bool"}[kind]
            if dtype == "i32":
                self.lines[-1] = f"  {o} = i32(fill({v.text}, {default}))"
            outs.append(f"{o}: {dtype}[{', '.join(self.dims(v.axes))}]")
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
        lines = [line + (";" if r.random() < 0.02 else "") for line in self.lines]
        head = 'import "library.attn"\n' if any("halve(" in x or "center[" in x for x in lines) else ""
        hints = "schedule m cpu { tile i = 64, j = 128; chunk }\n" if r.random() < 0.03 else ""
        return head + "".join(f + "\n" for f in self.fns) + f"mixer m(\n  {', '.join(decl)}{self.tail()}\n) -> ({', '.join(outs)}) {{\n" + "\n".join(lines) + "\n}\n" + hints


def spec(seed):
    g = Gen(seed)
    return g.spec(), g.sizes


if __name__ == "__main__":
    import sys
    text, sizes = spec(int(sys.argv[1]))
    print(text, "//", sizes)
