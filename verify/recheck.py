"""Is every claim in these files true? `virel recheck FILE...` or `python verify/recheck.py FILE...`.

Independent of the code that wrote them: standard library and python-flint only. Identities are proved, not
evaluated: their sides are linear forms with rational coefficients in log(prime) and log-sum-exp atoms, and
must agree coefficient by coefficient. All else is exact, or decided in ball arithmetic. docs/certificates.md
has formats and statements. Exit status: 0 all true; 1 one false or undecided; 2 unreadable or tampered with.
"""
# ruff: noqa: D102, D103, D105, D107  (names say it; kept short enough to read in one sitting)

import hashlib
import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from flint import arb, ctx, fmpq, fmpz

SCHEMA, MAX_BITS, MAX_BYTES, MAX_ITEMS, MAX_PAIRS, MAX_SECONDS = 1, 4096, 1 << 26, 5000, 4096, 300
NUMBER = re.compile(r"-?[0-9]{1,3000}(/[1-9][0-9]{0,2999})?")
DYADIC = re.compile(r"(-?[0-9]{1,1300})p(-?[0-9]{1,4})")
ZERO, ONE, HUGE = fmpq(0), fmpq(1), 10**6
KINDS = {"mdp": "m", "q": "h", "v": "s", "pi_theta": "p", "pi_phi": "p", "pi": "p", "prior": "p", "d": "d"}
KINDS |= dict.fromkeys(("eps", "alpha", "c", "k1"), "x")  # others are lists
DEADLINE = [float("inf")]
Vec = list[fmpq]


class Problem(Exception):
    """`Problem(why, status)`: 1, a claim is false or undecided; 2, the file is not ours, or was changed."""


def need(ok: object, why: str, status: int = 1) -> None:
    """Stop unless `ok`, or at the file's deadline: every loop over data comes through here."""
    if time.monotonic() > DEADLINE[0]:
        raise Problem("undecided: out of time", 1)
    if not ok:
        raise Problem(why, status)


def numbers(texts: Any, size: int | None = None) -> Vec:
    need(isinstance(texts, list) and size in (None, len(texts)), f"not a list of {size} fractions", 2)
    for text in texts:
        need(isinstance(text, str) and NUMBER.fullmatch(text), f"not a fraction: {str(text)[:40]!r}", 2)
    return [fmpq(text) for text in texts]


def interval(pair: Any) -> tuple[fmpq, fmpq]:
    """A claimed enclosure: two dyadic strings `MpE`, meaning M 2^E."""
    ends = [DYADIC.fullmatch(x) for x in pair if isinstance(x, str)] if isinstance(pair, list) else []
    need(len(ends) == 2 and all(ends), f"not an enclosure: {str(pair)[:80]}", 2)
    low, high = (fmpq(fmpz(m[1])) * fmpq(2) ** int(m[2]) for m in ends if m)
    need(low <= high, "the enclosure is empty")
    return low, high


def distribution(p: Iterable[fmpq]) -> bool:
    p = list(p)
    return all(x >= 0 for x in p) and sum(p, ZERO) == 1


class Form(dict[Any, fmpq]):
    """Coefficients of None, the number 1; ("log", n); ("lse", ((x, w), ...)), log of the sum of w exp(x)."""

    def __add__(self, other: "Form") -> "Form":
        return lin((1, self), (1, other))

    def __sub__(self, other: "Form") -> "Form":
        return lin((1, self), (-1, other))

    def __rmul__(self, c: fmpq | int) -> "Form":
        return lin((c, self))

    def ball(self) -> arb:
        total = arb(self.get(None, ZERO))
        for (kind, x), c in ((atom, c) for atom, c in self.items() if atom is not None):
            inner = [arb(x)] if kind == "log" else [arb(w) * arb(y).exp() for y, w in x]
            total += arb(c) * sum(inner, arb(0)).log()
        return total


def lin(*terms: tuple[fmpq | int, Form]) -> Form:
    out = Form()
    for c, form in terms:
        need(True, "")
        for atom, x in form.items():
            out[atom] = out.get(atom, ZERO) + c * x
    return Form({atom: x for atom, x in out.items() if x})


def const(x: fmpq) -> Form:
    return Form({None: x} if x else {})


def mean(weights: Iterable[fmpq], form: Callable[[int], Form]) -> Form:
    """Sum of w_i form(i); zero weights are skipped, as in 0 log 0 = 0."""
    return lin(*((w, form(i)) for i, w in enumerate(weights) if w))


def log(x: fmpq) -> Form:
    """Logarithm of a rational, over the logarithms of primes."""
    need(x > 0 and max(x.p, x.q) < 10**12, f"the logarithm of {str(x)[:40]}: not positive, or too long", 2)
    parts = [(n, sign) for n, sign in ((x.p, 1), (x.q, -1)) if n > 1]
    return lin(*((sign * int(k), Form({("log", int(p)): ONE})) for n, sign in parts for p, k in n.factor()))


def lse(terms: Iterable[tuple[fmpq, Form]]) -> Form:
    """Log of the sum of w exp(form); canonical: in an atom the largest exponent is 0, of weight 1."""
    weights, bases = dict[fmpq, fmpq](), []
    for w, form in terms:
        need(w > 0 and abs(x := form.get(None, ZERO)) <= HUGE, "a weight or an exponent is out of range", 2)
        bases.append(form - const(x))
        weights[x] = weights.get(x, ZERO) + w
    need(all(b == bases[0] for b in bases), "undecided: exponents that differ by more than a rational number")
    top = max(weights)
    atom = tuple(sorted((x - top, w / weights[top]) for x, w in weights.items()))
    return bases[0] + const(top) + log(weights[top]) + Form({("lse", atom): ONE} if len(atom) > 1 else {})


def settle(ball: Callable[[], arb], test: Callable[[arb], tuple[bool, bool]]) -> bool:
    """Raise the precision until `test` of the enclosure says (surely true, surely false)."""
    for bits in (64 << k for k in range(7)):
        with ctx.workprec(bits):
            need(bits <= MAX_BITS, "")
            yes, no = test(ball())
        if yes or no:
            return bool(yes)
    raise Problem(f"undecided at {MAX_BITS} bits", 1)


def positive(ball: Callable[[], arb]) -> bool:
    return settle(ball, lambda x: (x > 0, x < 0))


def within(ball: Callable[[], arb], ends: tuple[fmpq, fmpq]) -> bool:
    low, high = ends
    return settle(ball, lambda x: (arb(low) <= x <= arb(high), x < arb(low) or x > arb(high)))


def equal(forms: Sequence[Form], result: Any) -> None:
    """Both sides agree exactly; enclosures of the difference contain zero and shrink with the precision."""
    need(not any(forms), "the two sides differ")
    for bits in (64, 128, 256):
        low, high = interval(result[str(bits)])
        need(
            low <= 0 <= high and (high - low) * 2 ** (bits // 2) <= 1,
            f"the enclosure at {bits} bits is wrong",
        )


def differs(forms: Sequence[Form], result: Any) -> None:
    """The two sides differ in a component, by a number in an interval without zero."""
    ends, k = interval(result["enclosure"]), result["component"]
    need(type(k) is int and 0 <= k < len(forms), "no such component", 2)
    need(ends[0] > 0 or ends[1] < 0, "the enclosure does not exclude zero")
    need(within(forms[k].ball, ends), "the difference lies outside its enclosure")


def at_least(forms: Sequence[Form], result: Any) -> None:
    """No difference is negative, and all lie in the enclosure."""
    ends = interval(result["enclosure"])
    for form in forms:
        ok = positive(form.ball) and within(form.ball, ends) if form else ends[0] <= 0 <= ends[1]
        need(ok, "a difference is negative, or outside its enclosure")


class Point:
    """An instance: the MDP (`own[s]`: the indices of s's pairs) and what else `parts` names."""

    def __init__(self, data: Any, parts: str) -> None:
        need(isinstance(data, dict) and set(data) == set(parts.split()), f"the instance must hold {parts}", 2)
        self.n, self.of, self.own, self.x = 0, list[int](), list[list[int]](), dict[str, Vec]()
        for name in parts.split():
            kind, raw = KINDS.get(name, "l"), data[name]
            if kind == "m":
                self.read_mdp(raw, exact=parts != "mdp v")
                continue
            size = {"x": 1, "d": self.n, "s": self.n, "h": len(self.of), "p": len(self.of)}.get(kind)
            x = numbers([raw] if kind == "x" else raw, size)
            groups = [[x[i] for i in own] for own in self.own] if kind == "p" else [x] if kind == "d" else []
            need(all(map(distribution, groups)) and (kind != "x" or x[0] > 0), f"{name} is not valid", 2)
            setattr(self, name, x[0] if kind == "x" else x)

    def read_mdp(self, m: Any, *, exact: bool) -> None:
        """With `exact` all distributions sum to exactly 1; without, to whatever float64 made of them."""
        self.n, (self.gamma,), self.r, self.rows, last = (
            m["n_states"],
            numbers([m["gamma"]]),
            Vec(),
            [],
            (-1, -1),
        )
        need(type(self.n) is int and 0 < self.n <= MAX_PAIRS >= len(m["pairs"]), "too large", 2)
        self.own, self.initial = [[] for _ in range(self.n)], numbers(m["initial"], self.n)
        for s, a, r, row in m["pairs"]:
            to, p = [t for t, _ in row], numbers([w for _, w in row])
            ok = all(type(t) is int and 0 <= t < self.n for t in (s, *to)) and len(set(to)) == len(to) > 0
            ok = ok and type(a) is int and (s, a) > last and 0 <= a < m["n_actions"]
            need(
                ok and all(w > 0 for w in p) and (not exact or distribution(p)),
                f"pair {[s, a]} is not valid",
                2,
            )
            self.own[s].append(len(self.r))
            self.of.append(s)
            self.r.extend(numbers([r]))
            self.rows.append(list(zip(to, p, strict=True)))
            last = (s, a)
        ok = all(self.own) and 0 <= self.gamma < 1 and (not exact or distribution(self.initial))
        need(
            ok and set(m) == {"n_states", "n_actions", "gamma", "initial", "pairs"}, "the MDP is not valid", 2
        )

    def backup(self, v: Sequence[Any]) -> list[Any]:
        need(True, "")
        terms = ([w * v[t] for t, w in row] for row in self.rows)
        return [r + self.gamma * sum(e[1:], e[0]) for r, e in zip(self.r, terms, strict=True)]

    def best(self, q: Vec) -> Vec:
        return [max(q[i] for i in own) for own in self.own]

    def first(self, q: Vec) -> list[int]:
        return [next(i for i in own if q[i] == top) for own, top in zip(self.own, self.best(q), strict=True)]


def gibbs(p: Any) -> Any:
    """Add x = Q/eps, its log-sums over a and h, y = x - max x, u = q_theta, L, KLs, H(d), max L, the ELBO."""
    p.x, p.top = [const(q / p.eps) for q in p.q], [const(top / p.eps) for top in p.best(p.q)]
    p.ls, p.lh = [lse((ONE, p.x[i]) for i in own) for own in p.own], lse((ONE, x) for x in p.x)
    p.y = [x - p.top[s] for x, s in zip(p.x, p.of, strict=True)]
    d, pi = getattr(p, "d", p.initial), getattr(p, "pi_theta", [fmpq(1, len(p.own[s])) for s in p.of])
    p.u = [d[s] * w for s, w in zip(p.of, pi, strict=True)]
    p.L = mean(p.u, lambda i: p.x[i] - log(pi[i]))
    p.kl = mean(p.u, lambda i: log(p.u[i]) - p.x[i] + p.lh)
    p.e_kl = mean(p.u, lambda i: log(pi[i]) - p.x[i] + p.ls[p.of[i]])
    p.h_d, p.max_L = mean(d, lambda s: -1 * log(d[s])), mean(d, lambda s: p.ls[s])
    p.kl_d = mean(d, lambda s: log(d[s]) - p.ls[s] + p.lh)
    p.lower = mean(p.u, lambda i: p.y[i] - log(p.u[i]))
    p.log_y_d = p.h_d - mean(d, lambda s: p.top[s])
    p.evidence = lse((ONE, y) for y in p.y)
    return p


def rest(p: Any, pi: Vec, phi: Vec, *, q: int = 1) -> Form:
    """E[log(p(O|h) pi_phi / q_theta)] less (42), at Q or at 0."""
    u = [p.d[s] * w for s, w in zip(p.of, pi, strict=True)]
    lower = mean(u, lambda i: q * p.y[i] + log(phi[i]) - log(u[i]))
    return lower - mean(u, lambda i: q * p.x[i] - log(pi[i]) + log(phi[i]))


def paths(p: Any) -> Any:
    """Add, for T = 2: paths s1 a1 s2 a2 with their dynamics' probability, J and its bound, soft values."""
    p.path = [
        (p.initial[p.of[i]] * w, i, j) for i, row in enumerate(p.rows) for t, w in row for j in p.own[t]
    ]
    p.prior = getattr(p, "prior", [fmpq(1, len(p.own[s])) for s in p.of])
    p.kl = [log(a / b) for a, b in zip(p.pi, p.prior, strict=True)]
    p.gain = [const(r) - p.alpha * kl for r, kl in zip(p.r, p.kl, strict=True)]
    p.J = lin(*((w * p.pi[i] * p.pi[j], p.gain[i] + p.gain[j]) for w, i, j in p.path))
    returns = [(w * p.prior[i] * p.prior[j], const((p.r[i] + p.r[j]) / p.alpha)) for w, i, j in p.path]
    p.log_evidence = p.alpha * lse(returns)
    p.last = [lin(*((p.pi[i], p.gain[i]) for i in own)) for own in p.own]
    p.later = [lin(*((p.pi[i] * w, p.last[t]) for i in own for t, w in p.rows[i])) for own in p.own]
    return p


def soft_values(p: Any) -> list[Form]:
    """(10): the sum of both steps, less E[Q] - alpha KL, Q = r + E[the last step's value]."""
    q = [const(r) + lin(*((w, p.last[t]) for t, w in row)) for r, row in zip(p.r, p.rows, strict=True)]
    right = [lin(*((p.pi[i], q[i] - p.alpha * p.kl[i]) for i in own)) for own in p.own]
    return [x + y - z for x, y, z in zip(p.last, p.later, right, strict=True)]


def entropy_form(p: Any, seen: Callable[[fmpq, int, int], fmpq]) -> Form:
    """(12): J + 2 alpha log A - E[R - alpha log seen]; `seen`, a path's probability or its policy part."""
    terms = ((w, i, j, const(p.r[i] + p.r[j]) - p.alpha * log(seen(w, i, j))) for w, i, j in p.path)
    entropy = lin(*((w * p.pi[i] * p.pi[j], x) for w, i, j, x in terms))
    return lin((1, p.J), (2 * p.alpha, log(fmpq(len(p.own[0])))), (-1, entropy))


def em_trace(p: Any, result: Any) -> None:
    """Tables solve T^pi Q = Q for the policy before them, policies are lowest greedy; the last is optimal."""
    chosen, before, q = [own[0] for own in p.own], [-1], Vec()
    for step in result["steps"]:
        q, before = numbers(step["q"], len(p.of)), chosen
        need(p.backup([q[i] for i in chosen]) == q, "a table is not the value of the policy before it")
        chosen = p.first(q)
        need(step["pi"] == chosen, "a policy is not the lowest greedy one of its table")
    need(before == chosen and p.backup(p.best(q)) == q, "the last table is not optimal, or its policy is new")


def fixed_target(p: Any, result: Any) -> None:
    """q_1 = T^{pi_0} q_0, pi_0 uniform; then each is T^pi of the one before, pi greedy, and T* of it."""
    q = p.backup([sum((p.q[i] for i in own), ZERO) / len(own) for own in p.own])
    for k, table in enumerate(result["tables"]):
        if k:
            greedy, q = p.backup([q[i] for i in p.first(q)]), p.backup(p.best(q))
            need(greedy == q, "T^pi and T* differ")
        need(numbers(table, len(p.of)) == q, f"table {k + 1} is not the next iterate")
    need(len(result["tables"]) > 1, "no step to check")


def optimum(p: Any, result: Any, *, also: str = "") -> None:
    """T* Q* = Q*, and eps = sum (T* Q - Q)^2 / (2|H|) is 0 exactly if Q = Q* (by T*, a contraction).

    `also`: no choice, so that each policy is optimal and a Dirac, but eps > 0; or unique maxima and eps = 0.
    """
    best, (eps,) = numbers(result["q_star"], len(p.of)), numbers([result["eps"]])
    need(p.backup(p.best(best)) == best, "q_star is not optimal")
    squares = [(x - y) ** 2 for x, y in zip(p.backup(p.best(p.q)), p.q, strict=True)]
    need(eps == sum(squares, ZERO) / (2 * len(squares)), "eps is wrong")
    need((eps == 0) == (best == p.q), "eps is 0 away from Q*, or not 0 there")
    need(also != "no choice" or (len(p.of) == p.n and eps > 0), "there is a choice, or eps = 0")
    unique = sum(p.q[i] == p.best(p.q)[s] for i, s in enumerate(p.of)) == p.n
    need(also != "unique" or (unique and eps == 0), "a maximum is tied, or eps > 0")


def dirac(p: Any, result: Any) -> None:
    """|E[phi] - phi(a*)| <= osc (n - 1) exp(-D/eps): an enclosure of (E[phi] - phi(a*)) exp(D/eps)."""
    top, (low, high) = max(p.f), interval(result["scaled"])
    gap, at = [top - x for x in p.f], p.phi[p.f.index(top)]
    others = [(g, x - at) for g, x in zip(gap, p.phi, strict=True) if g]
    need(len(others) == len(gap) - 1 and max(gap) / p.eps <= HUGE, "no unique maximum, or eps too small", 2)
    limit = (max(p.phi) - min(p.phi)) * len(others)
    need(-limit <= low and high <= limit, "the enclosure does not show the bound")

    def scaled() -> arb:
        mass = sum((-arb(g / p.eps)).exp() for g in gap)
        return sum((arb(x) * arb((min(others)[0] - g) / p.eps).exp() for g, x in others), arb(0)) / mass

    # In [-limit, limit] it is by w_a <= exp(-D/eps) and a mass >= 1; the ends inside have to be shown.
    need(low == -limit or settle(scaled, lambda x: (arb(low) <= x, x < arb(low))), "the enclosure is wrong")
    need(high == limit or settle(scaled, lambda x: (x <= arb(high), x > arb(high))), "the enclosure is wrong")


def cold(p: Any, result: Any) -> None:
    """0 <= max Q - E_pi[Q] <= eps min(log A, (A - 1)/e) in every state: enclosures of the loss over eps."""
    for own, ends in zip(p.own, result["loss"], strict=True):
        gap = [max(p.q[i] for i in own) - p.q[i] for i in own]
        need(max(gap) / p.eps <= HUGE and interval(ends)[0] >= 0, "eps is too small, or the loss negative")

        def loss(xs: Vec = [g / p.eps for g in gap]) -> arb:  # noqa: B006
            ws = [(-arb(x)).exp() for x in xs]
            return sum(map(arb.__mul__, ws, map(arb, xs)), arb(0)) / sum(ws, arb(0))

        n, high = len(own), arb(interval(ends)[1])
        need(
            (not any(gap) and ends == ["0p0", "0p0"]) or within(loss, interval(ends)), "an enclosure is wrong"
        )
        need(n == 1 or (high <= arb(n).log() and high <= arb(n - 1) / arb(1).exp()), "the bound is not shown")


def near_optimal(p: Any, result: Any) -> None:
    """V* <= v + up/(1 - g) and V^pi >= v + down/(1 - g), g = gamma max row sum: T and T^pi are monotone."""
    g = p.gamma * max(sum(w for _, w in row) for row in p.rows)
    need(
        len(result["policy"]) == p.n and all(map(list.__contains__, p.own, result["policy"])), "no policy", 2
    )
    q = p.backup(p.v)
    up = max(ZERO, *(x - v for x, v in zip(p.best(q), p.v, strict=True)))
    down = min(ZERO, *(q[i] - v for i, v in zip(result["policy"], p.v, strict=True)))
    (delta,) = numbers([result["delta"]])
    need(g < 1 and up - down <= delta * (1 - g), "the policy is not shown to be within delta of optimal")


class Map:
    """F(e) = g(omega, e) - e, g = sum beta^2 / (2|H|). As dE_pi[Q]/de = -Var(Q)/e^2, every beta_h falls."""

    def __init__(self, p: Any) -> None:
        self.p, self.top, self.scale = p, p.best(p.q), 2 * len(p.of)
        self.gaps = [[t - p.q[i] for i in own] for t, own in zip(self.top, p.own, strict=True)]
        cold = self.beta([fmpq(0)] * p.n)
        hot = self.beta([sum(gaps, ZERO) / len(gaps) for gaps in self.gaps])
        self.zero = sum(b * b for b in cold) / self.scale
        self.most = sum(max(b * b, c * c) for b, c in zip(cold, hot, strict=True)) / self.scale

    def beta(self, loss: Sequence[Any]) -> list[Any]:
        v = [t - x for t, x in zip(self.top, loss, strict=True)]
        return [b - q for b, q in zip(self.p.backup(v), self.p.q, strict=True)]

    def at(self, e: fmpq) -> list[arb]:
        w = [[(-arb(g / e)).exp() if e else arb(not g) for g in gaps] for gaps in self.gaps]
        return self.beta(
            [sum(map(arb.__mul__, x, map(arb, g))) / sum(x) for x, g in zip(w, self.gaps, strict=True)]
        )

    def sign(self, e: fmpq) -> int:
        if not e:
            return int(self.zero > 0)
        return 1 if positive(lambda: sum(b**2 for b in self.at(e)) / self.scale - arb(e)) else -1

    def variance(self, gaps: Vec, a: fmpq, b: fmpq) -> arb:
        """Var(Q)/e^2 of a state on [a, b]; from 0 on by its bound, the sum of x^2 exp(-x), top at 2."""
        if not a:
            return arb(0).union(
                sum((x**2 * (-x).exp() for g in gaps if g for x in [arb(max(g / b, fmpq(2)))]), arb(0))
            )
        xs = [arb(g) / arb(a).union(arb(b)) for g in gaps]
        ws = [(-x).exp() for x in xs]
        mass = sum(ws, arb(0))
        centre = sum(map(arb.__mul__, ws, xs), arb(0)) / mass
        return sum((w * (x - centre) ** 2 for w, x in zip(ws, xs, strict=True)), arb(0)) / mass

    def holds(self, label: str, a: fmpq, b: fmpq) -> bool:
        """Whether F > 0 ('+'), F < 0 ('-'), F falls or F rises on [a, b]."""
        beta = [x.union(y) for x, y in zip(self.at(a), self.at(b), strict=True)]
        if label in ("+", "-"):
            g = sum(x**2 for x in beta) / self.scale
            return bool(g > arb(b)) if label == "+" else bool(g < arb(a))
        v = [self.variance(gaps, a, b) for gaps in self.gaps]
        flow = [sum(arb(w) * v[t] for t, w in row) for row in self.p.rows]
        slope = -arb(self.p.gamma * 2 / self.scale) * sum(map(arb.__mul__, beta, flow))
        return bool(slope < 1) if label == "falls" else bool(label == "rises" and slope > 1)


def roots(p: Any, result: Any, *, also: str) -> None:
    """All roots in [0, inf): boxes from 0 to beyond max g with one sign or one direction of F each.

    `also`: several; an odd number; or one is positive, though Q = Q*.
    """
    f, runs, start = Map(p), list[list[Any]](), ZERO
    for end, label in result["boxes"]:
        here, start = start, interval([end, end])[0]
        with ctx.workprec(256):
            need(here < start and f.holds(label, here, start), f"F is not as claimed on the box to {end}")
        if runs and runs[-1][2] == label:
            runs[-1][1] = start
        else:
            runs.append([here, start, label])
    need(start > f.most, "the boxes end too early")
    signs = [(a, b, f.sign(a), f.sign(b)) for a, b, label in runs if label in ("falls", "rises")]
    found = [(a, b, left) for a, b, left, right in signs if left != right]
    claimed = [interval(ends) for ends in result["roots"]]
    need(len(found) == len(claimed), f"{len(found)} roots, not {len(claimed)}")
    for (a, b, left), (low, high) in zip(found, claimed, strict=True):
        ok = a == low == high if left == 0 else a <= low < high <= b and f.sign(low) == left == -f.sign(high)
        need(ok, "a root's enclosure is wrong")
    positive_at_optimum = claimed[-1][0] > 0 and p.backup(p.best(p.q)) == p.q
    held = {"several": len(found) > 1, "odd": len(found) % 2 == 1, "positive": positive_at_optimum}
    need(held[also], f"{len(found)} roots: not {also}")


def hidden(p: Any) -> Form:
    """(8), (9): log of the marginal less the bound at the distribution w."""
    need(distribution(p.w) and len(p.w) == len(p.joint), "w is no distribution of this length", 2)
    return log(sum(p.joint, ZERO)) - mean(p.w, lambda i: log(p.joint[i]) - log(p.w[i]))


def kl_hidden(p: Any) -> Form:
    """KL(w || posterior)."""
    return mean(p.w, lambda i: log(p.w[i]) - log(p.joint[i] / sum(p.joint, ZERO)))


def merl(p: Any) -> list[Form]:
    """L at Q^pi + 64 less L at Q^pi + 2^-10, if positive: eps = ((1 - gamma) shift)^2/2."""
    (gamma,) = p.gamma
    need(p.k1.q == 1 and 0 <= gamma < 1, "k1 or gamma is not valid", 2)
    v1, v2 = p.c * lse([(p.k1, Form())]), p.c * lse([(ONE, Form())])
    return [(1 / p.c) * (gamma * v1 - const(ONE) - gamma * v2), gamma * log(p.k1) - const(1 / p.c)]


def far_less_near(p: Any) -> list[Form]:
    """L at Q^pi + 64 less L at Q^pi + 2^-10, if positive: eps = ((1 - gamma) shift)^2/2; H cancels."""
    q = p.backup(p.w)
    need(
        all(sum(p.pi[i] * q[i] for i in own) == w for own, w in zip(p.own, p.w, strict=True)), "w is not V^pi"
    )
    e = sum(d * w for d, w in zip(p.d, p.w, strict=True))
    far, near = (2 * (e + x) / ((1 - p.gamma) * x) ** 2 for x in (fmpq(64), fmpq(1, 1024)))
    return [const(max(ZERO, far - near))]


def value_step(p: Any) -> list[Form]:
    """T* q_1 less (41) as printed, r + E[max q_1]."""
    top = p.best(p.backup([sum((p.q[i] for i in own), ZERO) / len(own) for own in p.own]))
    return [const((p.gamma - 1) * sum(w * top[t] for t, w in row)) for row in p.rows]


G, GD, GQ, GM = "mdp q pi_theta d eps", "mdp q d eps", "mdp q eps", "mdp q pi_theta pi_phi d eps"
DP, DA, EM = "mdp pi prior alpha", "mdp pi alpha", "joint w"
Rule = tuple[Callable[[Any, Any], Any], str, Callable[[Any], Any]]
# fmt: off
RULES: dict[str, Rule] = {
    "eq-05 printed": (equal, G, lambda p: [p.L - p.lh + p.kl + p.h_d]),
    "eq-11 printed": (equal, G, lambda p: [p.L - p.lh + p.kl + p.h_d]),
    "eq-11 step": (differs, G, lambda p: [p.L - p.lh + p.e_kl + p.h_d]),
    "theorem-3 printed": (differs, GD, lambda p: [p.max_L]),
    "theorem-3 corrected": (equal, G, lambda p: [p.L + p.e_kl - p.max_L]),
    "eq-23 printed": (differs, GD, lambda p: [p.max_L + p.h_d - p.kl_d]),
    "eq-23 corrected": (equal, GD, lambda p: [p.max_L - p.lh + p.h_d + p.kl_d]),
    "eq-24 printed": (equal, G, lambda p: [p.kl - p.kl_d - p.e_kl]),
    "app-d4-factorisation printed": (equal, GQ, lambda p: [
        p.ls[s] - p.lh - lse((ONE, p.x[i] - p.lh) for i in own) for s, own in enumerate(p.own)]),
    "eq-10 printed": (equal, GQ, lambda p: [
        lse((ONE, x - p.top[s]) for x, s in zip(p.x, p.of, strict=True)) - log(fmpq(len(p.of)))
        - lse((fmpq(1, len(p.of)), y) for y in p.y)]),
    "app-b-action-posterior printed": (equal, GQ, lambda p: [
        p.y[i] - lse((ONE, p.y[j]) for j in p.own[s]) - p.x[i] + p.ls[s] for i, s in enumerate(p.of)]),
    "app-b-elbo printed": (equal, G, lambda p: [
        mean(p.u, lambda i: log(p.u[i]) - p.y[i] + p.evidence) - p.evidence + p.lower, p.lower - p.L -
        p.log_y_d]),
    "app-g-posterior printed": (equal, "mdp q pi_phi eps", lambda p: [
        y - lse((p.pi_phi[j], p.y[j]) for j in p.own[s]) - x + lse((p.pi_phi[j], p.x[j]) for j in p.own[s])
        for x, y, s in zip(p.x, p.y, p.of, strict=True)]),
    "eq-42 printed": (equal, GM, lambda p: [rest(p, p.pi_theta, p.pi_phi) - rest(p, p.pi_phi, p.pi_theta)]),
    "eq-42-omega printed": (differs, GM, lambda p: [
        rest(p, p.pi_theta, p.pi_phi) - rest(p, p.pi_theta, p.pi_phi, q=0)]),
    "eq-42-omega corrected": (equal, GM, lambda p: [rest(p, p.pi_theta, p.pi_phi) - p.log_y_d]),
    "app-g-m-step-prior printed": (at_least, GM, lambda p: [
        mean(p.u, lambda i: log(p.pi_theta[i]) - log(p.pi_phi[i]))]),
    "eq-09 printed": (equal, EM, lambda p: [hidden(p) - kl_hidden(p)]),
    "design-02 printed": (equal, EM, lambda p: [hidden(p) - kl_hidden(p)]),
    "design-04 printed": (at_least, EM, lambda p: [hidden(p)]),
    "design-05 printed": (differs, "mdp pi", lambda p: [const(sum(p.pi) - 1)]),
    "design-05 corrected": (equal, "mdp pi", lambda p: [
        const(sum(p.initial[s] * w for s, w in zip(p.of, p.pi, strict=True)) - 1)]),
    "design-06 printed": (at_least, DP, lambda p: [p.log_evidence - p.J]),
    "design-07 printed": (equal, DP, lambda p: [p.J - mean(p.initial, lambda s: p.last[s] + p.later[s])]),
    "design-10 printed": (differs, DP, lambda p: [-1 * v for v in p.last]),
    "design-10 corrected": (equal, DP, soft_values),
    "design-12 printed": (differs, DA, lambda p: [entropy_form(p, lambda w, i, j: w * p.pi[i] * p.pi[j])]),
    "design-12 corrected": (equal, DA, lambda p: [entropy_form(p, lambda _, i, j: p.pi[i] * p.pi[j])]),
    "merl-counterexample printed": (equal, "k1 gamma c", lambda p: [merl(p)[0] - merl(p)[1]]),
    "merl-counterexample-threshold printed": (at_least, "k1 gamma c", lambda p: merl(p)[:1]),
    "eq-39 step": (differs, "mdp pi d w", far_less_near), "eq-41 printed": (differs, "mdp q", value_step),
    "eq-39 printed": (em_trace, "mdp", list), "eq-40 printed": (em_trace, "mdp", list),
    "app-f5-policy-iteration printed": (em_trace, "mdp", list),
    "eq-41 corrected": (fixed_target, "mdp q", list),
    "talk-theorem-2-i printed": (optimum, "mdp q", list),
    "talk-theorem-2-ii printed": (partial(optimum, also="unique"), "mdp q", list),
    "corollary-1 corrected": (optimum, "mdp q", list), "corollary-1-hence printed": (optimum, "mdp q", list),
    "corollary-1-ii printed": (partial(optimum, also="no choice"), "mdp q", list),
    "corollary-1 printed": (partial(roots, also="positive"), "mdp q", list),
    "app-c-3 printed": (partial(roots, also="several"), "mdp q", list),
    "app-c-3 corrected": (partial(roots, also="odd"), "mdp q", list),
    "app-c-1 printed": (cold, GQ, list), "theorem-1-finite printed": (dirac, "f phi eps", list),
    "solve policy": (near_optimal, "mdp v", list),
}
# fmt: on


def check(entry: Any) -> None:
    need(
        isinstance(entry, dict) and set(entry) == {"claim", "form", "instance", "result"},
        "not a certificate",
        2,
    )
    name = f"{entry['claim']} {entry['form']}"
    need(name != "solve file", "undecided: the MDP is in a file of its own, not embedded")
    rule = RULES.get(name, (None, "", None))
    kind, parts, forms = rule
    if kind is None or forms is None or not isinstance(entry["result"], dict):
        raise Problem(f"unknown claim {name[:60]!r}", 2)
    point = Point(entry["instance"], parts)
    if "eps" in parts and "q" in parts:
        gibbs(point)
    if "alpha" in parts:
        paths(point)
    kind(point if forms is list else forms(point), entry["result"])


def reject(text: str) -> Any:
    raise Problem(f"the number {text[:40]} is not an integer", 2)


def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    need(len({key for key, _ in pairs}) == len(pairs), "a key is there twice", 2)
    return dict(pairs)


def recheck(path: Path) -> int:
    """Number of true certificates of a file. Raises: Problem."""
    DEADLINE[0] = time.monotonic() + MAX_SECONDS
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        need(len(raw) <= MAX_BYTES, "the file is too large", 2)
        data = json.loads(raw, parse_float=reject, parse_constant=reject, object_pairs_hook=distinct)
        need(
            isinstance(data, dict) and data.get("schema") == SCHEMA, f"not certificates of schema {SCHEMA}", 2
        )
        claimed = data.pop("sha256", None)
        text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        need(hashlib.sha256(text.encode()).hexdigest() == claimed, "the content does not have its hash", 2)
        entries = data["certificates"]
        need(isinstance(entries, list) and 0 < len(entries) <= MAX_ITEMS, "no certificates, or too many", 2)
        for k, entry in enumerate(entries):
            try:
                check(entry)
            except Problem as problem:
                raise Problem(f"certificate {k}: {problem.args[0]}", problem.args[1]) from None
    except OSError as error:
        raise Problem(f"unreadable: {error.strerror}", 2) from None
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        RecursionError,
        ZeroDivisionError,
    ) as error:
        raise Problem(f"malformed: {type(error).__name__}: {str(error)[:80]}", 2) from None
    return len(entries)


def main_recheck(argv: Sequence[str]) -> int:
    """Check every file named; the worst of their exit statuses."""
    if not argv or argv[0] in ("-h", "--help"):
        print(__doc__.strip(), file=sys.stdout if argv else sys.stderr)
        return 0 if argv else 2
    worst = 0
    for name in argv:
        try:
            print(f"{name}: {recheck(Path(name))} certificates, all true")  # noqa: T201
        except Problem as problem:
            why, status = ascii(problem.args[0])[1:201], problem.args[1]
            worst = max(worst, status)
            print(f"{name}: {'not true' if status == 1 else 'rejected'}: {why}", file=sys.stderr)  # noqa: T201
    return worst


if __name__ == "__main__":
    sys.exit(main_recheck(sys.argv[1:]))
