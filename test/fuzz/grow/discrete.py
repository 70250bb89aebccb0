"""Conditions and integers."""
from .base import Val

INT2 = ["bitand", "bitor", "bitxor", "shl", "shr", "min", "max"]


class Discrete:
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
