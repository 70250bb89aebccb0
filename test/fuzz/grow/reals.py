"""Real expressions: arithmetic, reductions, scans, absence, conversions, calls."""
from .base import CONSTANT, Val

REAL1 = ["exp", "exp2", "expm1", "log", "log1p", "sqrt", "rsqrt", "abs", "sign", "floor", "ceil", "round", "sin", "cos", "tanh",
         "sigmoid", "logsigmoid", "softplus", "relu", "silu", "gelu", "gelu_tanh", "erf"]
REAL2 = ["min", "max", "logaddexp", "pow"]
REDUCTIONS = ["sum", "mean", "prod", "max", "min", "logsumexp", "norm"]


class Reals:
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

    def int_real(self, d):
        a = self.int_(d)
        return Val(f"(({a.text} % 11) / 4)", a.axes, a.absent)

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
