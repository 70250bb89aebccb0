"""Values taken from, or sent to, other positions: reads, sorted places, scatters."""
from .base import Axis, Val


class Places:
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
