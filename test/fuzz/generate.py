"""Random well-formed specs.

spec(seed) gives the text of one mixer, extents for its symbols, and which productions, builtins and causes of absence
it uses. Expressions are grown by type: a kind (real, int, bool) and the axes that may occur; every value carries its
axes and whether it may be absent, so that what is stored can be filled. Values stay of order one (recurrences
contract, arguments of exp are bounded), so that float32 and float64 stay comparable.
"""
import random

REAL1 = ["exp", "exp2", "expm1", "log", "log1p", "sqrt", "rsqrt", "abs", "sign", "floor", "ceil", "round", "sin", "cos", "tanh",
         "sigmoid", "logsigmoid", "softplus", "relu", "silu", "gelu", "gelu_tanh", "erf"]
REAL2 = ["min", "max", "logaddexp", "pow"]
REDUCTIONS = ["sum", "mean", "prod", "max", "min", "logsumexp", "norm"]
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
        self.hits = {}
        self.lines, self.head = [], []
        self.tensors = []  # (name, kind, axes, absent)
        self.count = 0
        self.fns, self.params, self.body_axes, self.requires = [], [], [], []
        self.made = []

    def hit(self, what):
        self.hits[what] = self.hits.get(what, 0) + 1

    def fresh(self, prefix):
        self.count += 1
        return f"{prefix}{self.count}"

    # -- axes and inputs ------------------------------------------------------------------------------------------
    def setup(self):
        r = self.r
        size = lambda: 0 if self.empty and r.random() < 0.4 else r.choice([1, 2, 3, 3, 4, 5, 6, 7, 9, 17, 18])
        self.sizes, self.axes, self.comps = {}, {}, {}
        self.empty = r.random() < 0.06  # extents of 0
        batch = [Axis("b", r.choice([1, 2, 3]))]
        if r.random() < 0.2:
            batch = []
        plain = [Axis("d", size()), Axis("e", size())]
        seq = []
        self.decls = {}
        self.shared = None
        shape = r.random()
        if shape < 0.35:  # a split, possibly ragged sequence
            u = r.choice([1, 2, 3, 4])
            total = size()
            seq = [Axis("n", -(-total // u)), Axis("u", u)]
            self.comps["t"] = (["n", "u"], total)
            self.decls["t"] = f"t=(n u:{u})"
            self.sizes["t"] = total
            self.hit("composite")
            if total % u:
                self.hit("ragged")
        elif shape < 0.75:
            n = size()
            seq = [Axis("i", n), Axis("j", n)]
            self.decls["i"], self.decls["j"] = "i:N", "j:N"
            self.sizes["N"] = n
            self.shared = "N"
            self.hit("sequence")
        else:
            seq = [Axis("t", size())]
        for a in batch + plain + seq:
            self.axes[a.name] = a
        for a in batch + plain:
            self.sizes[a.name] = a.size
        if shape >= 0.75:
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
            value = r.choice(["2", "3", "0.5", "true"])
            self.params.append((name, value))
            self.lines.append(f"  param {name} = {value}")
            self.hit("param")
        if r.random() < 0.15:
            a = r.choice(list(self.sizes))
            self.lines.append(f'  require #{a} >= 0, "never fails"' if a != "N" else '  require N >= 0')
            self.hit("require")

    def pick_axes(self, most=3):
        r = self.r
        names = list(self.axes)
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
            self.hit("anonymous composite")
        out += rest
        if shuffle:
            r.shuffle(out)
        return out

    def add_input(self, kind, axes=None):
        r = self.r
        axes = axes or self.pick_axes()
        name = self.fresh({"real": "x", "int": "y", "bool": "m"}[kind])
        dims = self.dims(axes)
        if "(d e)" in dims and not any(t[3] for t in self.inputs if "d" in t[2] and "e" in t[2]):
            dims = self.dims(axes, False)
        promise = ""
        if kind == "int":
            target = r.choice([a for a in self.axes if a not in ("n", "u")] or ["d"])
            promise = f" in {target}"
            self.hit("in")
        default = ""
        if kind == "real" and r.random() < 0.1 and len(self.inputs) > 2:
            default = " = " + r.choice(["0", "0.5", "1 / sqrt(#d)"])
            self.hit("default")
        self.inputs.append((name, kind, axes, True, dims, promise, default))
        self.tensors.append((name, kind, frozenset(axes), False))

    # -- expressions ----------------------------------------------------------------------------------------------
    def tensor(self, kind, allowed=None):
        c = [t for t in self.tensors if t[1] == kind and (allowed is None or t[2] <= set(allowed))]
        if not c:
            return None
        name, _, axes, absent = self.r.choice(c)
        return Val(name, axes, absent)

    def real(self, depth):
        r = self.r
        if depth <= 0 or r.random() < 0.12:
            v = self.tensor("real") if r.random() < 0.85 else None
            if v:
                return v
            c = r.random()
            if c < 0.5:
                self.hit("literal")
                return Val(r.choice(["0.5", "1.25", "2", "3.0e-1", "pi"]), ())
            self.hit("index value")
            a = r.choice(list(self.axes))
            return Val(f"({a} / 3)", [a])
        f = r.choice([self.arith, self.arith, self.arith, self.unary, self.unary, self.reduce, self.reduce, self.reduce, self.if_, self.where, self.where,
                      self.read, self.read, self.read, self.softmax, self.cum, self.filled, self.cast, self.logical_number, self.contraction, self.contraction,
                      self.call, self.detach, self.sorted_, self.int_real, self.union, self.scatter, self.equation])
        return f(depth - 1)

    def arith(self, d):
        a, b = self.real(d), self.real(d)
        op = self.r.choice(["+", "-", "*", "*", "/"])
        self.hit("op " + op)
        text = f"({a.text} / (abs({b.text}) + 1.5))" if op == "/" else f"({a.text} {op} {b.text})"
        return Val(text, a.axes | b.axes, a.absent or b.absent)

    def unary(self, d):
        a = self.real(d)
        f = self.r.choice(REAL1 + REAL2 + ["neg", "clamp", "**"])
        self.hit("fn " + f)
        x = a.text
        if f in ("exp", "exp2", "expm1"):
            x = f"min({x}, 2)"
        if f in ("log", "sqrt", "rsqrt"):
            x = f"(abs({x}) + 0.5)"
        if f == "log1p":
            x = f"abs({x})"
        if f == "neg":
            return Val(f"(-{x})", a.axes, a.absent)
        if f == "clamp":
            return Val(f"clamp({x}, -0.75, 1.5)", a.axes, a.absent)
        if f == "**":
            return Val(f"(tanh({x}) ** {self.r.choice(['2', '3'])})", a.axes, a.absent)
        if f == "pow":
            return Val(f"pow(abs({x}) + 0.5, 1.5)", a.axes, a.absent)
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
            return "t"
        return ", ".join(axes)

    def reduce(self, d):
        a = self.real(d)
        over = self.some(a.axes)
        if not over:
            return a
        f = self.r.choice(REDUCTIONS + ["sum", "mean"])
        self.hit("reduce " + f)
        text = a.text if f != "prod" else f"(0.9 + 0.1 * tanh({a.text}))"
        return Val(f"{f}[{self.axis_text(over)}]({text})", a.axes - set(over), a.absent)

    def contraction(self, d):
        a, b = self.tensor("real"), self.tensor("real")
        both = a.axes & b.axes
        if not both:
            return self.arith(d)
        over = self.some(both)
        self.hit("contraction")
        return Val(f"(sum[{self.axis_text(over)}]({a.text} * {b.text}) / 3)", (a.axes | b.axes) - set(over), a.absent or b.absent)

    def union(self, d):
        a, b = self.real(d), self.real(d)
        ga, gb = self.some(a.axes), self.some(b.axes)
        # What one operand reduces must not stay free in the other.
        if not ga or set(ga) & (b.axes - set(gb)) or set(gb) & (a.axes - set(ga)):
            return self.arith(d)
        f = self.r.choice(["logsumexp", "max", "sum", "min"])
        self.hit("union " + f)
        tb = self.axis_text(gb) if gb else "_"
        return Val(f"{f}[{self.axis_text(ga)} | {tb}]({a.text}, {b.text})", (a.axes | b.axes) - set(ga) - set(gb))

    def softmax(self, d):
        a = self.real(d)
        over = self.some(a.axes)
        if not over:
            return a
        if self.r.random() < 0.3:
            b = self.real(d - 1)
            if not (set(over) & b.axes):
                p, q = self.fresh("p"), self.fresh("p")
                self.lines.append(f"  {p}, {q} = softmax[{self.axis_text(over)} | _]({a.text}, {b.text})")
                self.hit("softmax union")
                self.tensors.append((p, "real", a.axes | b.axes, False))
                self.tensors.append((q, "real", (a.axes - set(over)) | b.axes, False))
                return Val(p, a.axes | b.axes)
        self.hit("softmax")
        return Val(f"softmax[{self.axis_text(over)}]({a.text})", a.axes)

    def cum(self, d):
        a = self.real(d)
        over = self.some(a.axes)
        if not over:
            return a
        name = "t" if "t" in self.comps and {"n", "u"} <= a.axes and self.r.random() < 0.5 else over[0]
        f = self.r.choice(["cumsum", "cumprod", "cummax"])
        sign = self.r.choice(["", "", "-"])
        self.hit(f + sign)
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
            if not pool:
                return Val("(1 < 2)", ())
            a = r.choice(pool)
            b = r.choice(pool + ["1", "2"])
            op = r.choice(["<", "<=", ">", ">=", "==", "!="])
            self.hit("cmp " + op)
            return Val(f"({a} {op} {b})", {x for x in (a, b) if x in self.axes})
        if c < 0.4:
            x, y = self.cond(depth - 1, axes), self.cond(depth - 1, axes)
            op = r.choice(["and", "or"])
            self.hit(op)
            return Val(f"({x.text} {op} {y.text})", x.axes | y.axes, x.absent or y.absent)
        if c < 0.5:
            x = self.cond(depth - 1, axes)
            self.hit("not")
            return Val(f"(not {x.text})", x.axes, x.absent)
        if c < 0.6 and axes is None:
            x = self.real(depth - 1)
            over = self.some(x.axes)
            if over:
                f = r.choice(["any", "all"])
                self.hit("reduce " + f)
                return Val(f"{f}[{self.axis_text(over)}](0 * {' + 0 * '.join(over)} + {x.text} > 0.3)", x.axes - set(over), x.absent)
        if c < 0.68 and axes is None:
            x = self.real(depth - 1)
            self.hit("present")
            return Val(f"present({x.text})", x.axes)
        if c < 0.72:
            self.hit("bool literal")
            return Val(r.choice(["true", "false"]), ())
        if c < 0.8 and len(self.axes) > 1:
            pool = sorted(axes if axes is not None else self.axes)
            if len(pool) > 1:
                x, y = r.sample(pool, 2)
                self.hit("chain")
                return Val(f"({x} - 2 < {y} <= {x})", {x, y})
        x = self.real(depth - 1)
        if axes is not None and not x.axes <= set(axes):
            return self.cond(0, axes)
        return Val(f"({x.text} > 0.25)", x.axes, x.absent)

    def where(self, d):
        a = self.real(d)
        c = self.cond(min(d, 2))
        self.hit("where")
        if self.r.random() < 0.25:
            name = self.fresh("k")
            self.lines.append(f"  {name} = {c.text}")
            self.tensors.append((name, "bool", c.axes, c.absent))
            self.hit("where named")
            c = Val(name, c.axes, c.absent)
        if self.r.random() < 0.3:
            c2 = self.cond(1)
            self.hit("where and")
            return Val(f"({a.text} where {c.text} and {c2.text})", a.axes | c.axes | c2.axes, True)
        return Val(f"({a.text} where {c.text})", a.axes | c.axes, True)

    def if_(self, d):
        a, b, c = self.real(d), self.real(d), self.cond(min(d, 2))
        self.hit("if")
        return Val(f"({a.text} if {c.text} else {b.text})", a.axes | b.axes | c.axes, a.absent or b.absent)

    def filled(self, d):
        a, b = self.real(d), self.real(d - 1)
        self.hit("fill")
        return Val(f"fill({a.text}, {b.text})", a.axes | b.axes, b.absent)

    def cast(self, d):
        a = self.real(d)
        f = self.r.choice(["f32", "f64", "bf16", "f16", "i64", "bool"])
        self.hit("cast " + f)
        if f in ("bf16", "f16"):  # rounding is a step: keep it away from what differs between f32 and f64
            t = self.tensor("real")
            return Val(f"{f}({t.text})" if not t.text.startswith("s") else t.text, t.axes, t.absent)
        if f == "i64":
            return Val(f"f32(i64({a.text} * 3.3))", a.axes, a.absent)
        if f == "bool":
            return Val(f"f32(bool({a.text}))", a.axes, a.absent)
        return Val(f"{f}({a.text})", a.axes, a.absent)

    def logical_number(self, d):
        c = self.cond(d)
        self.hit("bool as number")
        return Val(f"(0.5 + {c.text})", c.axes, c.absent)

    def int_(self, depth, axes=None):
        r = self.r
        pool = sorted(axes if axes is not None else self.axes)
        c = r.random()
        if depth <= 0 or c < 0.3:
            v = self.tensor("int", axes)
            if v and r.random() < 0.5:
                return v
            if pool and r.random() < 0.8:
                a = r.choice(pool)
                return Val(a, [a])
            return Val(r.choice(["0", "1", "2"]), ())
        if c < 0.6:
            a, b = self.int_(depth - 1, axes), self.int_(depth - 1, axes)
            op = r.choice(["+", "-", "*", "div", "%"])
            self.hit("int " + op)
            return Val(f"({a.text} {op} {b.text})", a.axes | b.axes, a.absent or b.absent)
        if c < 0.7:
            a, b = self.int_(depth - 1, axes), self.int_(depth - 1, axes)
            f = r.choice(INT2)
            self.hit("int " + f)
            return Val(f"{f}({a.text}, {b.text})" if f not in ("shl", "shr") else f"{f}({a.text} % 9, {b.text} % 5)", a.axes | b.axes, a.absent or b.absent)
        if c < 0.75:
            a = self.int_(depth - 1, axes)
            self.hit("ilog2")
            return Val(f"ilog2({a.text})", a.axes, a.absent)
        if c < 0.8:
            a = r.choice(list(self.sizes) if self.shared is None else [x for x in self.axes])
            self.hit("extent")
            return Val(f"#{a}", ())
        if axes is None:
            x = self.real(depth - 1)
            over = self.some(x.axes)
            if over:
                f = r.choice(["argmax", "argmin", "count", "rank"])
                self.hit(f)
                if f == "rank":
                    return Val(f"rank[{over[0]}]({x.text})", x.axes, x.absent)
                return Val(f"{f}[{self.axis_text(over)}]({x.text})", x.axes - set(over), True)
        return self.int_(0, axes)

    def int_real(self, d):
        a = self.int_(d)
        self.hit("int as real")
        return Val(f"(({a.text} % 11) / 4)", a.axes, a.absent)

    def read(self, d):
        r = self.r
        a = self.tensor("real") if r.random() < 0.7 else self.real(d)
        axes = sorted(a.axes)
        if not axes:
            return a
        x = r.choice(axes)
        c = r.random()
        if "t" in self.comps and {"n", "u"} <= a.axes and r.random() < 0.4:
            self.hit("read flat")
            k = r.choice(["t - 1", "t + 1", "#t - 1 - t", "last", "0"])
            ax = {"n", "u"} if "t" in k.replace("#t", "").replace("last", "") else set()
            return Val(f"{a.text}[t := {k}]", (a.axes - {"n", "u"}) | ax, True)
        if c < 0.3:
            self.hit("shift")
            return Val(f"{a.text}[{x} {r.choice('+-')} {r.choice('12')}]", a.axes, True)
        if c < 0.4:
            self.hit("last")
            return Val(f"{a.text}[{x} := last]", a.axes - {x}, x in ("n", "u"))
        if c < 0.5:
            self.hit("read 0")
            return Val(f"{a.text}[{x} := 0]", a.axes - {x}, True)
        if c < 0.65:
            others = [y for y in self.axes if y not in a.axes]
            if others:
                y = r.choice(others)
                self.hit("rename")
                return Val(f"{a.text}[{x} := {y}]", (a.axes - {x}) | {y}, True)
        if c < 0.75:
            self.hit("reverse")
            return Val(f"{a.text}[{x} := #{x} - 1 - {x}]", a.axes, True)
        i = self.int_(min(d, 1))
        self.hit("gather")
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
        self.hit(f)
        over = "t" if "t" in self.comps and {"n", "u"} <= a.axes and r.random() < 0.5 else x
        gone = {"n", "u"} if over == "t" and "t" in self.comps else {x}
        self.axes[name] = Axis(name, k)
        extent = f":{k}" if f == "topk" or r.random() < 0.5 else ""
        sel = self.fresh("s")
        self.lines.append(f"  {sel} = {f}[{over}, {name}{extent}]({a.text})")
        kind = "real" if f == "sort" else "int"
        self.tensors.append((sel, kind, (a.axes - gone) | {name}, True))
        if kind == "real":
            return Val(sel, (a.axes - gone) | {name}, True)
        v = self.tensor("real")
        return Val(f"{v.text}[{x} := {sel}]", (v.axes - {x}) | (a.axes - gone) | {name}, True) if x in v.axes else Val(f"({sel} / 3)", (a.axes - gone) | {name}, True)

    def scatter(self, d):
        r = self.r
        y = self.tensor("int")
        v = self.tensor("real")
        if not y or not y.axes or not v:
            return self.arith(d)
        free = [x for x in self.axes if x not in y.axes | v.axes]
        if not free:
            return self.arith(d)
        x = r.choice(free)
        over = sorted(y.axes)
        f = r.choice(["sum", "max", "min"])
        self.hit("scatter " + f)
        text = f"{f}[{self.axis_text(over)}]({v.text} where {y.text} == {x})"
        axes = (v.axes | {x}) - set(over)
        if f != "sum":
            text = f"clamp({text}, -4, 4)"
        return Val(text, axes, v.absent)

    def detach(self, d):
        a = self.real(d)
        self.hit("detach")
        return Val(f"detach({a.text})", a.axes, a.absent)

    def call(self, d):
        r = self.r
        a = self.real(d)
        if not a.axes:
            return a
        x = r.choice(sorted(a.axes))
        name = self.fresh("f")
        body, keeps, absent = r.choice([
            ("x * rsqrt(mean[a](x * x) + 1e-2)", True, a.absent), ("x - max[a](x)", True, a.absent), ("sum[a](x * x) / 4", False, a.absent),
            ("fill(x[a - 1], 0.5) + x", True, a.absent)])
        self.hit("fn")
        if r.random() < 0.4:
            self.hit("fn body")
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
            self.hit("annotation")
        self.lines.append(f"  {name}{note} = {a.text}")
        self.hit("equation")
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
            self.hit("init")
        kind = r.random()
        read = f"{name}[{over} {step}]"
        self.hit("recurrence" + (" flat" if flat else "") + (" back" if "+" in step else ""))
        fill = lambda v: f"fill({v.text}, 0.25)" if v.absent else v.text
        if kind < 0.5:
            self.lines.append(f"  {name} = sigmoid({fill(g)}) * {read} + tanh({fill(a)}) * fill({x.text}, 0)*0.5{init}")
        elif kind < 0.75:
            other = self.fresh("S")
            self.hit("recurrence mutual")
            self.lines.append(f"  {other} = tanh({read} + {fill(a)})")
            self.lines.append(f"  {name} = 0.5 * {other} + fill({x.text}, 0) + 0 * {fill(g)}{init}")
            self.tensors.append((other, "real", axes, False))
        else:
            inner = [y for y in sorted(axes) if y != scan and y not in ("n", "u")]
            if not inner or flat:
                self.lines.append(f"  {name} = 0.6 * {read} + tanh({fill(a)} + fill({x.text}, 0) + 0 * {fill(g)}){init}")
            else:
                y = r.choice(inner)
                self.hit("recurrence contraction")
                self.lines.append(f"  {name} = tanh(mean[{y}]({read}) + {fill(a)} + fill({x.text}, 0) + 0 * {fill(g)}){init}")
        self.tensors.append((name, "real", axes, False))
        if r.random() < 0.4:
            self.hit("state last")
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
        self.hit("wavefront")
        self.lines.append(f"  {name} = tanh({t[0]}) + 0.4 * max({name}[{a} - 1, {b} - 1], {name}[{a} - 1] - 0.5, {name}[{b} - 1] - 0.25)  init 0.75")
        self.tensors.append((name, "real", t[2], False))

    def memory(self):
        """A gradient step on a matrix per position, at the memory of the step before."""
        reals = [t for t in self.tensors if t[1] == "real" and not t[3] and t[2]]
        if "t" in self.axes and "t" not in self.comps:
            scan = "t"
        elif "i" in self.axes:
            scan = "i"
        else:
            return
        k = [t for t in reals if scan in t[2] and "d" in t[2] and "e" not in t[2]]
        if not k:
            return
        name, p, l = self.fresh("W"), self.fresh("P"), self.fresh("L")
        key = self.r.choice(k)[0]
        self.hit("grad in recurrence")
        self.lines += [f"  {p} = {name}[{scan} - 1]", f"  {l} = sum[e]((sum[d]({p} * tanh({key})) - e / 7) ** 2) / 8",
                       f"  {name} = 0.9 * {p} - 0.1 * grad({l}, {p})  init 0.25 + 0 * d + 0 * e"]
        axes = next(t[2] for t in reals if t[0] == key)
        self.tensors.append((name, "real", axes | {"e"}, False))

    def gradient(self):
        r = self.r
        names = [t for t in self.tensors if t[1] == "real" and t[2] and not t[3]]
        if not names:
            return
        w = r.choice(names)
        L = self.real(2)
        if w[0] not in L.text:
            L = Val(f"(tanh({w[0]}) * {L.text})", L.axes | w[2], L.absent)
        name = self.fresh("G")
        keep = [a for a in L.axes if a not in w[2]]
        if keep and r.random() < 0.3:
            k = r.choice(sorted(keep))
            self.hit("grad keep")
            self.lines.append(f"  {name} = grad[{k}]({L.text}, {w[0]})")
            self.tensors.append((name, "real", w[2] | {k}, False))
        else:
            self.hit("grad")
            self.lines.append(f"  {name} = grad({L.text}, {w[0]})")
            self.tensors.append((name, "real", w[2], False))

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
        if r.random() < 0.15:
            self.gradient()
        outs = []
        for _ in range(r.randint(1, 2)):
            kind = r.choice(["real", "real", "real", "int", "bool"])
            v = self.real(r.randint(1, 4)) if kind == "real" else self.int_(2) if kind == "int" else self.cond(2)
            if kind == "real":
                v = Val(f"f32({v.text})", v.axes, v.absent)  # an expression of positions alone is an integer
            while len(v.axes) > 5:
                a = sorted(v.axes)[0]
                v = Val(f"max[{a}]({v.text})", v.axes - {a}, v.absent)
            o = self.fresh("o")
            if kind == "real" and "max[" in v.text or "min[" in v.text:
                v = Val(f"clamp({v.text}, -1000, 1000)", v.axes, v.absent)
            default = {"real": "-1", "int": "-1", "bool": "false"}[kind]
            self.lines.append(f"  {o} = fill({v.text}, {default})")
            dtype = {"real": "", "int": "i64", "bool": "bool"}[kind]
            outs.append(f"{o}: {dtype}[{', '.join(self.dims(v.axes))}]")
        decl = []
        shown = set()
        dt = {"real": "", "int": "i64", "bool": "bool"}
        for name, kind, axes, _, dims, promise, default in self.inputs:
            text = []
            for x in dims:
                if x in self.decls and x not in shown:
                    shown.add(x)
                    text.append(self.decls[x])
                else:
                    text.append(x)
            decl.append(f"{name}: {dt[kind]}[{', '.join(text)}]{promise}{default}")
        return "".join(f + "\n" for f in self.fns) + f"mixer m(\n  {', '.join(decl)}\n) -> ({', '.join(outs)}) {{\n" + "\n".join(self.lines) + "\n}\n"


def spec(seed):
    g = Gen(seed)
    return g.spec(), g.sizes, g.hits


if __name__ == "__main__":
    import sys
    text, sizes, hits = spec(int(sys.argv[1]))
    print(text, "//", sizes)
