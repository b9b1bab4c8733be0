"""Is every claim in these files true? `virel recheck FILE...` or `python verify/recheck.py FILE...`.

Independent of the code that wrote them: standard library and python-flint only. Identities are proved: their
sides are linear forms with rational coefficients in log(prime) and log-sum-exp atoms that agree coefficient
by coefficient. All else is exact, or decided in ball arithmetic: docs/certificates.md has the statements.
Exit status: 0 all true; 1 one false or undecided; 2 unreadable or tampered with.
"""

# ruff: noqa: D102, D103, D105, D107  (names say it; a definition of one line is written on one line)
# fmt: off
import hashlib
import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from flint import arb, ctx, fmpq

SCHEMA, MAX_BYTES, MAX_ITEMS, MAX_PAIRS, MAX_SECONDS, MAX_BITS = 1, 1 << 26, 5000, 4096, 300, 4096
PATTERNS = r"-?[0-9]{1,3000}(/[1-9][0-9]{0,2999})?", r"(-?[0-9]{1,1300})p(-?[0-9]{1,4})"
NUMBER, DYADIC = map(re.compile, PATTERNS)
ZERO, ONE, HUGE, DEADLINE = fmpq(0), fmpq(1), 10**6, [float("inf")]
SCALARS, POLICIES = {"eps", "alpha", "c", "k1"}, {"pi", "pi_theta", "pi_phi", "prior"}
Vec = list[fmpq]
Ball = Callable[[], arb]
KEYS = re.compile(r"\w+|128,256,64|component,enclosure|eps,q_star|boxes,roots|delta,policy")
class Problem(Exception):
    """`Problem(why, status)`: 1, a claim is false or undecided; 2, the file is not ours, or was changed."""
def need(ok: object, why: str = "", status: int = 1) -> None:
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
    ends = [match for x in pair for match in [DYADIC.fullmatch(x)] if match]
    need(len(ends) == len(pair) == 2, f"not an enclosure: {str(pair)[:80]}", 2)
    low, high = (fmpq(match[1]) * fmpq(2) ** int(match[2]) for match in ends)
    return low, high

class Form(dict[Any, fmpq]):
    """Coefficients of None, the number 1, and of atoms ((x, w), ...), log of the sum of w exp(x)."""
    def __add__(self, other: "Form") -> "Form": return lin([(1, self), (1, other)])
    def __sub__(self, other: "Form") -> "Form": return lin([(1, self), (-1, other)])
    def __rmul__(self, c: fmpq | int) -> "Form": return lin([(c, self)])
    def __call__(self) -> arb:
        """An enclosure at the working precision."""
        logs = (c * sum((w * arb(x).exp() for x, w in a), arb(0)).log() for a, c in self.items() if a)
        return sum(logs, arb(self.get(None, ZERO)))

def lin(terms: Iterable[tuple[fmpq | int, Form]]) -> Form:
    out = Form()
    for c, form in terms:
        need(True)
        for atom, x in form.items():
            out[atom] = out.get(atom, ZERO) + c * x
    return Form({atom: x for atom, x in out.items() if x})

def const(x: fmpq) -> Form: return Form({None: x} if x else {})
def mean(weights: Vec, form: Callable[[int], Form]) -> Form:
    """Sum of w_i form(i); zero weights are skipped, as in 0 log 0 = 0."""
    return lin((w, form(i)) for i, w in enumerate(weights) if w)
def kl(p: Vec, log_q: Callable[[int], Form]) -> Form: return mean(p, lambda i: log(p[i]) - log_q(i))
def log(x: fmpq) -> Form:
    """Logarithm of a rational, over the logarithms of primes."""
    need(x > 0 and max(x.p, x.q) < 10**12, f"the logarithm of {str(x)[:40]}: not positive, or too long", 2)
    parts = [(n, sign) for n, sign in ((x.p, 1), (x.q, -1)) if n > 1]
    return lin((sign * int(k), Form({((0, int(p)),): ONE})) for n, sign in parts for p, k in n.factor())
def lse(forms: Sequence[Form], weights: Sequence[fmpq] = ()) -> Form:
    """Log of the sum of w exp(form); canonical: in an atom the largest exponent is 0, of weight 1."""
    at, base = dict[fmpq, fmpq](), forms[0] - const(forms[0].get(None, ZERO))
    for form, w in zip(forms, weights or [ONE] * len(forms), strict=True):
        need(w > 0 and abs(x := form.get(None, ZERO)) <= HUGE, "a weight or an exponent is out of range", 2)
        need(form - const(x) == base, "undecided: exponents that differ by more than a rational number")
        at[x] = at.get(x, ZERO) + w
    top = max(at)
    atom = tuple(sorted((x - top, w / at[top]) for x, w in at.items()))
    return base + const(top) + log(at[top]) + Form({atom: ONE} if len(atom) > 1 else {})

def average(xs: Sequence[Any], values: Sequence[Any]) -> arb:
    """Mean of `values` with weights exp(-x)."""
    weights = [(-arb(x)).exp() for x in xs]
    return sum((w * v for w, v in zip(weights, values, strict=True)), arb(0)) / sum(weights, arb(0))

def settle(ball: Ball, yes: Callable[[arb], bool], no: Callable[[arb], bool]) -> bool:
    """Raise the precision until the enclosure says surely yes or surely no."""
    for bits in (64 << k for k in range(7)):
        with ctx.workprec(bits):
            need(bits <= MAX_BITS)
            if yes(x := ball()) or no(x):
                return yes(x)
    raise Problem(f"undecided at {MAX_BITS} bits", 1)

def within(ball: Ball, low: fmpq, high: fmpq) -> bool:
    return settle(ball, lambda x: arb(low) <= x <= arb(high), lambda x: x < arb(low) or x > arb(high))

def equal(forms: Sequence[Form], result: Any) -> None:
    """Both sides agree exactly; enclosures of the difference contain zero and shrink with the precision."""
    need(not any(forms), "the two sides differ")
    for bits in (64, 128, 256):
        low, high = interval(result[str(bits)])
        ok = low <= 0 <= high and (high - low) * 2 ** (bits // 2) <= 1
        need(ok, f"the enclosure at {bits} bits is wrong")

def differs(balls: Sequence[Ball], result: Any) -> None:
    """The two sides differ in a component, by a number in an interval without zero."""
    (low, high), k = interval(result["enclosure"]), result["component"]
    need(type(k) is int and 0 <= k < len(balls), "no such component", 2)
    need(low > 0 or high < 0, "the enclosure does not exclude zero")
    need(within(balls[k], low, high), "the difference lies outside its enclosure")

def at_least(balls: Sequence[Ball], result: Any) -> None:
    """All differences lie in an interval without negative numbers."""
    low, high = interval(result["enclosure"])
    need(low >= 0 and all(within(x, low, high) for x in balls), "a difference is negative, or not enclosed")

def distribution(p: Vec) -> bool: return min(p) >= 0 and sum(p, ZERO) == 1
def half_mean_square(xs: Sequence[Any]) -> Any: return sum(x * x for x in xs) / (2 * len(xs))

class Point:
    """An instance: the MDP (`own[s]`: the indices of s's pairs) and what else `parts` names."""
    q: Vec
    own: list[list[int]]
    def __init__(self, data: Any, parts: str) -> None:
        need(set(data) == set(parts.split()), f"the instance must hold {parts}", 2)
        if "mdp" in data:
            self.read_mdp(data["mdp"], exact=parts != "mdp v")
        for name in set(data) - {"mdp"}:
            size = len(self.own) if name in ("d", "v") else len(self.r) if name in {"q", *POLICIES} else None
            x = numbers([data[name]] if name in SCALARS else data[name], size)
            ok = all(map(distribution, self.split(x) if name in POLICIES else [x] if name == "d" else []))
            need(ok and (name not in SCALARS or x[0] > 0), f"{name} is not valid", 2)
            setattr(self, name, x[0] if name in SCALARS else x)
    def read_mdp(self, m: Any, *, exact: bool) -> None:
        """With `exact` all distributions sum to exactly 1; without, to whatever float64 made of them."""
        n, pairs = m["n_states"], [(s, a) for s, a, _, _ in m["pairs"]]
        need(set(m) == {"n_states", "n_actions", "gamma", "initial", "pairs"}, "not an MDP", 2)
        need(type(n) is int and 0 < n <= MAX_PAIRS >= len(pairs), "no states, or too large", 2)
        (self.gamma,), self.initial = numbers([m["gamma"]]), numbers(m["initial"], n)
        self.r, self.rows, self.own = numbers([r for _, _, r, _ in m["pairs"]]), [], [[] for _ in range(n)]
        for k, (s, a, _, row) in enumerate(m["pairs"]):
            to, p = [t for t, _ in row], numbers([w for _, w in row])
            ok = all(type(t) is int and 0 <= t < n for t in (s, *to)) and len(set(to)) == len(to) > 0
            ok = ok and type(a) is int and 0 <= a < m["n_actions"] and min(p) > 0
            need(ok and (not exact or distribution(p)), f"pair {[s, a]} is not valid", 2)
            self.rows.append(list(zip(to, p, strict=True)))
            self.own[s].append(k)
        need(pairs == sorted(set(pairs)) and all(self.own), "pairs are not rising, or a state has none", 2)
        need(0 <= self.gamma < 1 and (not exact or distribution(self.initial)), "the MDP is not valid", 2)
        self.of = [s for s, _ in pairs]
    def split(self, xs: Sequence[Any]) -> list[list[Any]]: return [[xs[i] for i in own] for own in self.own]
    def expect(self, v: Sequence[Any]) -> list[Any]:
        need(True)
        return [sum(w * v[t] for t, w in row) for row in self.rows]
    def backup(self, v: Sequence[Any]) -> list[Any]:
        return [r + self.gamma * x for r, x in zip(self.r, self.expect(v), strict=True)]
    def best(self, q: Vec) -> Vec: return [max(own) for own in self.split(q)]
    def first(self, q: Vec) -> list[int]: return [max(own, key=q.__getitem__) for own in self.own]  # greedy
    def gaps(self) -> list[Vec]: return [[max(own) - q for q in own] for own in self.split(self.q)]
    def uniform(self) -> Vec: return [sum(own, ZERO) / len(own) for own in self.split(self.q)]
    def short(self, loss: Sequence[Any]) -> Any:
        """Residuals of q, if V falls short of max q by `loss`."""
        v = [top - x for top, x in zip(self.best(self.q), loss, strict=True)]
        return [x - q for x, q in zip(self.backup(v), self.q, strict=True)]

def joint(p: Any, d: Vec, pi: Vec) -> Vec: return [d[s] * w for s, w in zip(p.of, pi, strict=True)]
def gibbs(p: Any) -> None:
    """Add x = Q/eps, its log-sums over a and h, y = x - max x, u = q_theta, L, KLs, H(d), max L, the ELBO."""
    d, pi = getattr(p, "d", p.initial), getattr(p, "pi_theta", [fmpq(1, len(p.own[s])) for s in p.of])
    p.x, p.top = [const(q / p.eps) for q in p.q], [const(top / p.eps) for top in p.best(p.q)]
    p.y, p.u = [x - p.top[s] for x, s in zip(p.x, p.of, strict=True)], joint(p, d, pi)
    p.ls, p.lh, p.evidence = [lse(x) for x in p.split(p.x)], lse(p.x), lse(p.y)
    p.L, p.max_L = mean(p.u, lambda i: p.x[i] - log(pi[i])), mean(d, p.ls.__getitem__)
    p.kl, p.kl_d = kl(p.u, lambda i: p.x[i] - p.lh), kl(d, lambda s: p.ls[s] - p.lh)
    p.e_kl = mean(p.u, lambda i: log(pi[i]) - p.x[i] + p.ls[p.of[i]])
    p.h_d, p.log_y_d = mean(d, lambda s: -1 * log(d[s])), mean(d, lambda s: -1 * p.top[s] - log(d[s]))
    p.lower = mean(p.u, lambda i: p.y[i] - log(p.u[i]))
def rest(p: Any, *, q: int = 1, swap: bool = False) -> Form:
    """E[log(p(O|h) pi_phi / q_theta)] less (42), at Q or at 0, or with the policies swapped."""
    pi, phi = (p.pi_phi, p.pi_theta) if swap else (p.pi_theta, p.pi_phi)
    u = joint(p, p.d, pi)
    lower = mean(u, lambda i: q * p.y[i] + log(phi[i]) - log(u[i]))
    return lower - mean(u, lambda i: q * p.x[i] - log(pi[i]) + log(phi[i]))

def paths(p: Any) -> None:
    """Add, for T = 2: paths s1 a1 s2 a2 with their dynamics' probability, J and its bound, soft values."""
    p.path = [(p.initial[s] * w, i, j) for i, s in enumerate(p.of) for t, w in p.rows[i] for j in p.own[t]]
    p.prior = getattr(p, "prior", [fmpq(1, len(p.own[s])) for s in p.of])
    p.gain = [const(r) - p.alpha * (log(a) - log(b)) for r, a, b in zip(p.r, p.pi, p.prior, strict=True)]
    p.J = lin((w * p.pi[i] * p.pi[j], p.gain[i] + p.gain[j]) for w, i, j in p.path)
    seen = [(w * p.prior[i] * p.prior[j], const((p.r[i] + p.r[j]) / p.alpha)) for w, i, j in p.path if w]
    p.log_evidence = p.alpha * lse([x for _, x in seen], [w for w, _ in seen])
    p.last = [lin((p.pi[i], p.gain[i]) for i in own) for own in p.own]
    p.later = [lin((p.pi[i] * w, p.last[t]) for i in own for t, w in p.rows[i]) for own in p.own]
    soft = [x + lin((w, p.last[t]) for t, w in row) for x, row in zip(p.gain, p.rows, strict=True)]
    p.soft = [lin((p.pi[i], soft[i]) for i in own) for own in p.own]  # E[Q] - alpha KL, Q = r + E[last]
def entropy_form(p: Any, seen: Callable[[fmpq, fmpq], fmpq]) -> Form:
    """(12): J + 2 alpha log A - E[R - alpha log seen]; `seen`, a path's probability or its policy part."""
    each = [(w, p.pi[i] * p.pi[j], const(p.r[i] + p.r[j])) for w, i, j in p.path]
    entropy = lin((w * pi, r - p.alpha * log(seen(w, pi))) for w, pi, r in each)
    return lin([(ONE, p.J), (2 * p.alpha, log(fmpq(len(p.own[0])))), (-1, entropy)])

def hidden(p: Any) -> tuple[Form, Form]:
    """(8), (9): log of the marginal less the bound at the distribution w; KL(w || posterior)."""
    need(distribution(p.w) and len(p.w) == len(p.joint), "w is no distribution of this length", 2)
    total = sum(p.joint, ZERO)
    return log(total) + kl(p.w, lambda i: log(p.joint[i])), kl(p.w, lambda i: log(p.joint[i] / total))
def merl(p: Any) -> tuple[Form, Form]:
    """Logit of pi(a1|s0): by soft values (s1: k1 free actions; s2: one; a2 pays 1); in closed form."""
    (gamma,) = p.gamma
    need(p.k1.q == 1 and 0 <= gamma < 1, "k1 or gamma is not valid", 2)
    v1, v2, pays = p.c * lse([Form()], [p.k1]), p.c * lse([Form()]), const(1 / p.c)
    return gamma / p.c * v1 - pays - gamma / p.c * v2, gamma * log(p.k1) - pays
def far_less_near(p: Any) -> list[Form]:
    """L at Q^pi + 64 less L at Q^pi + 2^-10, if positive: eps = ((1 - gamma) shift)^2/2; H cancels."""
    q, e = p.backup(p.w), sum(d * w for d, w in zip(p.d, p.w, strict=True))
    need([sum(p.pi[i] * q[i] for i in own) for own in p.own] == p.w, "w is not V^pi")
    far, near = (2 * (e + x) / ((1 - p.gamma) * x) ** 2 for x in (fmpq(64), fmpq(1, 1024)))
    return [const(max(ZERO, far - near))]

def e_pi(p: Any, f: Sequence[Any]) -> list[arb]:
    """E[f] of every state under the Boltzmann policy."""
    return [average([g / p.eps for g in gaps], fs) for gaps, fs in zip(p.gaps(), p.split(f), strict=True)]
def cov(p: Any, f: Vec) -> list[arb]:
    """E[Q M f], the covariance with Q, of every state; E[Q] moves by it if Q/eps in pi does by f."""
    both, on_f, on_q = (e_pi(p, xs) for xs in ([x * q for x, q in zip(f, p.q, strict=True)], f, p.q))
    return [x - y * z for x, y, z in zip(both, on_f, on_q, strict=True)]
def policy_gradient(p: Any) -> list[tuple[Ball, Ball]]:
    """By each Q_j at gamma = 0 (there eps = E[(r - Q)^2]/2): Theorem 4 as printed; its left side."""
    beta, n = [r - q for r, q in zip(p.r, p.q, strict=True)], len(p.q)
    need(p.gamma == 0 and p.eps == half_mean_square(beta), "gamma is not 0, or eps no residual error")
    def ee(f: Vec) -> arb: return sum(map(arb.__mul__, p.expect(cov(p, f)), map(arb, beta)), arb(0)) / n
    def printed(e: Vec, d_eps: fmpq) -> Any: return (p.eps * d_eps * ee(p.q) + ee(e)) / p.eps**2
    def true(e: Vec, d_eps: fmpq) -> arb:
        return ee([x / p.eps - d_eps * q / p.eps**2 for x, q in zip(e, p.q, strict=True)])
    at = [([fmpq(i == j) for i in range(n)], -beta[j] / n) for j in range(n)]  # dQ/dQ_j, deps/dQ_j
    return [(partial(printed, *x), partial(true, *x)) for x in at]
def eq_31(p: Any) -> list[Ball]:
    """By h and Q_j: (31) as printed (its policy term has mean 0) less the derivative of gamma E[V] - Q(h)."""
    def by(h: int, j: int) -> arb:
        e = [fmpq(i == j) for i in range(len(p.q))]
        both = zip(e_pi(p, e), cov(p, e), strict=True)
        return arb(p.expect([x - p.gamma * (x + c / p.eps) for x, c in both])[h])
    return [partial(by, h, j) for h in range(len(p.q)) for j in range(len(p.q))]

def em_trace(p: Any, result: Any) -> None:
    """Tables solve T^pi Q = Q for the policy before them, policies are lowest greedy; the last is optimal."""
    chosen, before, q = [own[0] for own in p.own], [-1], Vec()
    for step in result["steps"]:
        need(before != chosen, "a step follows the one that repeats its policy")
        q, before = numbers(step["q"], len(p.of)), chosen
        need(p.backup([q[i] for i in chosen]) == q, "a table is not the value of the policy before it")
        chosen = p.first(q)
        need(step["pi"] == chosen, "a policy is not the lowest greedy one of its table")
    need(before == chosen and p.backup(p.best(q)) == q, "the last table is not optimal, or its policy is new")

def fixed_target(p: Any, result: Any) -> None:
    """q_1 = T^{pi_0} q_0, pi_0 uniform; then each is T^pi of the one before, pi greedy, and T* of it."""
    q, *tables = [numbers(table, len(p.of)) for table in result["tables"]]
    need(tables and q == p.backup(p.uniform()), "table 1 is not the first iterate, or the only one")
    for table in tables:
        need(p.backup([q[i] for i in p.first(q)]) == p.backup(p.best(q)) == table, "not the next iterate")
        q = table

def optimum(p: Any, result: Any, *, also: str = "") -> None:
    """T* Q* = Q*, and eps = sum (T* Q - Q)^2 / (2|H|) is 0 exactly if Q = Q* (by T*, a contraction).

    `also`: no choice, so that each policy is optimal and a Dirac, but eps > 0; or unique maxima and eps = 0.
    """
    best, (eps,) = numbers(result["q_star"], len(p.of)), numbers([result["eps"]])
    need(p.backup(p.best(best)) == best, "q_star is not optimal")
    need(eps == half_mean_square(p.short([ZERO] * len(p.own))), "eps is wrong")
    need((eps == 0) == (best == p.q), "eps is 0 away from Q*, or not 0 there")
    need(also != "no choice" or (len(p.of) == len(p.own) and eps > 0), "there is a choice, or eps = 0")
    ties = any(gaps.count(ZERO) > 1 for gaps in p.gaps())
    need(also != "unique" or (not ties and eps == 0), "a maximum is tied, or eps > 0")

def dirac(p: Any, result: Any) -> None:
    """|E[phi] - phi(a*)| <= osc (n - 1) exp(-D/eps): an enclosure of (E[phi] - phi(a*)) exp(D/eps)."""
    (low, high), at = interval(result["scaled"]), p.phi[p.f.index(max(p.f))]
    gaps, phi = [(max(p.f) - x) / p.eps for x in p.f], [x - at for x in p.phi]
    need(gaps.count(ZERO) == 1 and max(gaps) <= HUGE, "no unique maximum, or eps too small", 2)
    limit, delta = (max(phi) - min(phi)) * (len(gaps) - 1), arb(min((g for g in gaps if g), default=ZERO))
    need(-limit <= low and high <= limit, "the enclosure does not show the bound")
    # It is in [-limit, limit], by w_a <= exp(-D/eps) and a mass >= 1: only ends inside have to be shown.
    shown = within(lambda: average(gaps, phi) * delta.exp(), low - (low == -limit), high + (high == limit))
    need(shown, "the enclosure is wrong")

def cold(p: Any, result: Any) -> None:
    """0 <= max Q - E_pi[Q] <= eps min(log A, (A - 1)/e) in every state: enclosures of the loss over eps."""
    for gaps, (low, high) in zip(p.gaps(), map(interval, result["loss"]), strict=True):
        xs, n = [g / p.eps for g in gaps], len(gaps)
        need(max(xs) <= HUGE and low >= 0, "eps is too small, or the loss negative")
        need(within(partial(average, xs, xs), low, high), "an enclosure is wrong")
        need(arb(high) <= arb(n).log() and arb(high) <= (n - 1) / arb(1).exp(), "the bound is not shown")

def near_optimal(p: Any, result: Any) -> None:
    """V* <= v + up/(1 - g) and V^pi >= v + down/(1 - g), g = gamma max row sum: T and T^pi are monotone."""
    chosen, (delta,) = result["policy"], numbers([result["delta"]])
    need(len(chosen) == len(p.own) and all(map(list.__contains__, p.own, chosen)), "no policy", 2)
    q, g = p.backup(p.v), p.gamma * max(p.expect([ONE] * len(p.own)))
    up = max(ZERO, *(x - v for x, v in zip(p.best(q), p.v, strict=True)))
    down = min(ZERO, *(q[i] - v for i, v in zip(chosen, p.v, strict=True)))
    need(g < 1 and up - down <= delta * (1 - g), "the policy is not shown to be within delta of optimal")

class Map:
    """F(e) = g(omega, e) - e, g = sum beta^2 / (2|H|). As dE_pi[Q]/de = -Var(Q)/e^2, every beta_h falls."""
    def __init__(self, p: Any) -> None:
        self.p, self.gaps, self.cold = p, p.gaps(), p.short([ZERO] * len(p.own))
        hot = p.short([sum(gaps, ZERO) / len(gaps) for gaps in self.gaps])
        self.most = half_mean_square([max(abs(b), abs(c)) for b, c in zip(self.cold, hot, strict=True)])
    def at(self, e: fmpq) -> Any:
        """The residuals at a temperature."""
        return self.p.short([average([g / e for g in gaps], gaps) if e else arb(0) for gaps in self.gaps])
    def sign(self, e: fmpq) -> int:
        if not e:
            return int(any(self.cold))
        return 1 if settle(lambda: half_mean_square(self.at(e)) - e, lambda x: x > 0, lambda x: x < 0) else -1
    def variance(self, gaps: Vec, a: fmpq, b: fmpq) -> arb:
        """Var(Q)/e^2 of a state on [a, b]; from 0 on by its bound, the sum of x^2 exp(-x), top at 2."""
        if not a:
            tops = [arb(max(g / b, fmpq(2))) for g in gaps if g]
            return arb(0).union(sum((x**2 * (-x).exp() for x in tops), arb(0)))
        xs = [arb(g) / arb(a).union(arb(b)) for g in gaps]
        return average(xs, [(x - average(xs, xs)) ** 2 for x in xs])
    def holds(self, label: str, a: fmpq, b: fmpq) -> bool:
        """Whether F > 0 ('+'), F < 0 ('-'), F falls or F rises on [a, b]."""
        beta = [x.union(y) for x, y in zip(self.at(a), self.at(b), strict=True)]
        if label in ("+", "-"):
            return bool(half_mean_square(beta) > b if label == "+" else half_mean_square(beta) < a)
        flow = self.p.expect([self.variance(gaps, a, b) for gaps in self.gaps])
        slope = -self.p.gamma / len(beta) * sum(map(arb.__mul__, beta, flow))
        return bool({"falls": slope < 1, "rises": slope > 1}[label])

def roots(p: Any, result: Any, *, also: str) -> None:
    """All roots in [0, inf): boxes from 0 to beyond max g with one sign or one direction of F each.

    `also`: several; an odd number; or one is positive, though Q = Q*.
    """
    f, runs, start = Map(p), list[list[Any]](), ZERO
    for end, label in result["boxes"]:
        here, (start, _) = start, interval([end, end])
        with ctx.workprec(256):
            need(here < start and f.holds(label, here, start), f"F is not as claimed on the box to {end}")
        here = runs.pop()[0] if runs and runs[-1][2] == label else here
        runs.append([here, start, label])
    need(start > f.most, "the boxes end too early")
    signs = [(a, b, f.sign(a), f.sign(b)) for a, b, label in runs if label in ("falls", "rises")]
    found = [(a, b, left) for a, b, left, right in signs if left != right]
    claimed = [interval(ends) for ends in result["roots"]]
    need(len(found) == len(claimed), f"{len(found)} roots, not {len(claimed)}")
    for (a, b, left), (low, high) in zip(found, claimed, strict=True):
        ok = a == low == high if left == 0 else a <= low < high <= b and f.sign(low) == left == -f.sign(high)
        need(ok, "a root's enclosure is wrong")
    positive = claimed[-1][0] > 0 and not any(f.cold)
    held = {"several": len(found) > 1, "odd": len(found) % 2 == 1, "positive": positive}
    need(held[also], f"{len(found)} roots: not {also}")

G, GD, GQ, GM = "mdp q pi_theta d eps", "mdp q d eps", "mdp q eps", "mdp q pi_theta pi_phi d eps"
DP, DA, EM, MERL = "mdp pi prior alpha", "mdp pi alpha", "joint w", "k1 gamma c"
RULES: dict[str, tuple[Any, ...]] = {  # claims and form: kind, parts of the instance, left less right
    "eq-05 eq-11 printed": (equal, G, lambda p: [p.L - p.lh + p.kl + p.h_d]),
    "eq-11 step": (differs, G, lambda p: [p.L - p.lh + p.e_kl + p.h_d]),
    "theorem-3 printed": (differs, GD, lambda p: [p.max_L]),
    "theorem-3 corrected": (equal, G, lambda p: [p.L + p.e_kl - p.max_L]),
    "eq-23 printed": (differs, GD, lambda p: [p.max_L + p.h_d - p.kl_d]),
    "eq-23 corrected": (equal, GD, lambda p: [p.max_L - p.lh + p.h_d + p.kl_d]),
    "eq-24 printed": (equal, G, lambda p: [p.kl - p.kl_d - p.e_kl]),
    "app-d4-factorisation printed": (equal, GQ, lambda p: [
        p.ls[s] - p.lh - lse([x - p.lh for x in xs]) for s, xs in enumerate(p.split(p.x))]),
    "eq-10 printed": (equal, GQ, lambda p: [
        p.evidence - log(fmpq(len(p.y))) - lse(p.y, [fmpq(1, len(p.y))] * len(p.y))]),
    "app-b-action-posterior printed": (equal, GQ, lambda p: [
        p.y[i] - lse([p.y[j] for j in p.own[s]]) - p.x[i] + p.ls[s] for i, s in enumerate(p.of)]),
    "app-b-elbo printed": (equal, G, lambda p: [
        kl(p.u, lambda i: p.y[i] - p.evidence) - p.evidence + p.lower, p.lower - p.L - p.log_y_d]),
    "app-g-posterior printed": (equal, "mdp q pi_phi eps", lambda p: [
        p.y[i] - lse(ys, phi) - p.x[i] + lse(xs, phi) for own, xs, ys, phi in
        zip(p.own, *map(p.split, (p.x, p.y, p.pi_phi)), strict=True) for i in own]),
    "eq-42 printed": (equal, GM, lambda p: [rest(p) - rest(p, swap=True)]),
    "eq-42-omega printed": (differs, GM, lambda p: [rest(p) - rest(p, q=0)]),
    "eq-42-omega corrected": (equal, GM, lambda p: [rest(p) - p.log_y_d]),
    "app-g-m-step-prior printed": (at_least, GM, lambda p: [
        mean(p.u, lambda i: log(p.pi_theta[i]) - log(p.pi_phi[i]))]),
    "eq-09 design-02 printed": (equal, EM, lambda p: [hidden(p)[0] - hidden(p)[1]]),
    "design-04 printed": (at_least, EM, lambda p: hidden(p)[:1]),
    "design-05 printed": (differs, "mdp pi", lambda p: [const(sum(p.pi) - ONE)]),
    "design-05 corrected": (equal, "mdp pi", lambda p: [const(sum(joint(p, p.initial, p.pi)) - ONE)]),
    "design-06 printed": (at_least, DP, lambda p: [p.log_evidence - p.J]),
    "design-07 printed": (equal, DP, lambda p: [p.J - mean(p.initial, lambda s: p.last[s] + p.later[s])]),
    "design-10 printed": (differs, DP, lambda p: [x - y for x, y in zip(p.later, p.soft, strict=True)]),
    "design-10 corrected": (equal, DP, lambda p: [p.last[s] + p.later[s] - x for s, x in enumerate(p.soft)]),
    "design-12 printed": (differs, DA, lambda p: [entropy_form(p, lambda w, pi: w * pi)]),
    "design-12 corrected": (equal, DA, lambda p: [entropy_form(p, lambda _, pi: pi)]),
    "merl-counterexample printed": (equal, MERL, lambda p: [merl(p)[0] - merl(p)[1]]),
    "merl-counterexample-threshold printed": (at_least, MERL, lambda p: merl(p)[:1]),
    "theorem-4 printed": (differs, GQ, lambda p: [lambda x=x, y=y: x() - y() for x, y in policy_gradient(p)]),
    "eq-30 printed": (differs, GQ, lambda p: [x for x, _ in policy_gradient(p)]),  # deps/dQ_j on both sides
    "eq-31 printed": (differs, GQ, eq_31),
    "eq-39 step": (differs, "mdp pi d w", far_less_near),
    "eq-39 eq-40 app-f5-policy-iteration printed": (em_trace, "mdp"),
    "eq-41 printed": (differs, "mdp q", lambda p: [
        const((p.gamma - 1) * x) for x in p.expect(p.best(p.backup(p.uniform())))]),
    "eq-41 corrected": (fixed_target, "mdp q"),
    "talk-theorem-2-i corollary-1-hence printed": (optimum, "mdp q"),
    "corollary-1 corrected": (optimum, "mdp q"),
    "talk-theorem-2-ii printed": (partial(optimum, also="unique"), "mdp q"),
    "corollary-1-ii printed": (partial(optimum, also="no choice"), "mdp q"),
    "corollary-1 printed": (partial(roots, also="positive"), "mdp q"),
    "app-c-3 printed": (partial(roots, also="several"), "mdp q"),
    "app-c-3 corrected": (partial(roots, also="odd"), "mdp q"),
    "app-c-1 printed": (cold, GQ), "theorem-1-finite printed": (dirac, "f phi eps"),
    "solve policy": (near_optimal, "mdp v"),
}

def check(entry: Any) -> None:
    need(set(entry) == {"claim", "form", "instance", "result"}, "not a certificate", 2)
    name = f"{entry['claim']} {entry['form']}"
    need(name != "solve file", "undecided: the MDP is in a file of its own, not embedded")
    rules = {f"{x} {key.split()[-1]}": rule for key, rule in RULES.items() for x in key.split()[:-1]}
    need(name in rules and isinstance(entry["result"], dict), f"unknown claim {name[:60]!r}", 2)
    need(KEYS.fullmatch(",".join(sorted(entry["result"]))), "the result holds what is never read", 2)
    kind, parts, *forms = rules[name]
    point = Point(entry["instance"], parts)
    if parts.startswith("mdp q") and parts.endswith("eps"):
        gibbs(point)
    if parts.endswith("alpha"):
        paths(point)
    kind(forms[0](point) if forms else point, entry["result"])

def reject(text: str) -> None: raise Problem(f"the number {text[:40]} is not an integer", 2)
def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    need(len({key for key, _ in pairs}) == len(pairs), "a key is there twice", 2)
    return dict(pairs)

def recheck(path: Path) -> int:
    """Number of true certificates of a file. Raises: Problem."""
    DEADLINE[0], where = time.monotonic() + MAX_SECONDS, ""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        need(len(raw) <= MAX_BYTES, "the file is too large", 2)
        data = json.loads(raw, parse_float=reject, parse_constant=reject, object_pairs_hook=distinct)
        need(data["schema"] == SCHEMA, f"not certificates of schema {SCHEMA}", 2)
        claimed, entries = data.pop("sha256"), data["certificates"]
        text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        need(hashlib.sha256(text.encode()).hexdigest() == claimed, "the content does not have its hash", 2)
        need(isinstance(entries, list) and 0 < len(entries) <= MAX_ITEMS, "no certificates, or too many", 2)
        for k, entry in enumerate(entries):
            where = f"certificate {k}: "
            check(entry)
    except Problem as problem:
        raise Problem(where + problem.args[0], problem.args[1]) from None
    except OSError as error:
        raise Problem(f"unreadable: {error.strerror}", 2) from None
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, ArithmeticError) as error:
        raise Problem(f"{where}malformed: {type(error).__name__}: {str(error)[:80]}", 2) from None
    return len(entries)

def main_recheck(argv: Sequence[str]) -> int:
    """Check every file named; the worst of their exit statuses."""
    if not argv or argv[0] in ("-h", "--help"):
        print(__doc__.strip(), file=sys.stdout if argv else sys.stderr)
        return 0 if argv else 2
    worst, given = 0, [Path(name) for name in argv]  # results.json: the certificates beside it
    paths = [[p] if p.name != "results.json" else sorted(p.parent.glob("certificates/*.json")) for p in given]
    for name in dict.fromkeys(path for group in paths for path in group) or argv:
        try:
            print(f"{name}: {recheck(Path(name))} certificates, all true")  # noqa: T201
        except Problem as problem:
            why, status = ascii(problem.args[0])[1:201], problem.args[1]
            worst = max(worst, status)
            print(f"{name}: {'not true' if status == 1 else 'rejected'}: {why}", file=sys.stderr)  # noqa: T201
    return worst

if __name__ == "__main__":
    sys.exit(main_recheck(sys.argv[1:]))
