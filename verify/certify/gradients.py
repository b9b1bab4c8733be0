r"""Refutations of Theorem 4, (30) and (31) as printed, for tabular Q, in ball arithmetic.

Truth by automatic differentiation of the definitions (power series with ball coefficients, cut off after
the first power): at $\gamma = 0$ the self-consistent temperature is explicit, $\varepsilon(Q) =
\frac{1}{2|H|}\sum_h (r(h) - Q(h))^2$, and so rational; $\varepsilon_k$ of (31) is a constant. The checker
has closed forms instead (covariances under the policy). Components: $j$, the entry of Q; (31): $h|H| + j$.
"""

from collections.abc import Sequence
from typing import Any

from flint import arb, arb_series, fmpq

from verify.balls import boltzmann, total
from verify.certify.instance import Exact, exactly
from verify.exact import fraction_of
from virel_theory._validate import require
from virel_theory.approximators import TabularQ


def tabular(instance: dict[str, Any]) -> Exact:
    """`mdp`, `q`, `eps` of an instance of the gradient claims. Raises: InputError: if Q is not tabular."""
    approximator, omega = instance["model"]
    require(isinstance(approximator, TabularQ), "model", approximator, "must be tabular to be certified")
    x = exactly({"mdp": instance["mdp"], "q": approximator.value(omega)})
    return x.with_parts(eps=fraction_of(instance["eps_k" if "eps_k" in instance else "eps"]))


def explicit(instance: dict[str, Any]) -> Exact:
    """`tabular` at gamma = 0 with the exact temperature. Raises: InputError: elsewhere."""
    x = tabular(instance)
    _require_explicit(x)
    return x


def theorem_4(x: Exact) -> list[arb]:
    """Theorem 4 as printed less its left side. Raises: InputError: where the temperature is not explicit."""
    _require_explicit(x)
    return [a - b for a, b in zip(_printed(x), _left_side(x), strict=True)]


def theorem_4_corrected(x: Exact) -> list[arb]:
    """The corrected theorem less the same left side (its teeth: this must not be certified to differ)."""
    f, grad = _fixed(x), _policy_part(x)
    on_q = _double(x, x.q)
    right = [(x.eps * g - d * on_q) / x.eps**2 for g, d in zip(grad, f, strict=True)]  # gamma = 0
    return [a - b for a, b in zip(right, _left_side(x), strict=True)]


def eq_30(x: Exact) -> list[arb]:
    """(30) as printed less the derivative of the temperature. Raises: InputError: as `theorem_4`."""
    _require_explicit(x)
    right = [a + b for a, b in zip(_printed(x), _fixed(x), strict=True)]
    return [a - _temperature(x, j)[1] for j, a in enumerate(right)]


def eq_31(x: Exact) -> list[arb]:
    """(31) as printed less the derivative of the residual at a constant temperature."""
    out = []
    for h, row in enumerate(x.mdp.rows):
        for j in range(x.mdp.n_pairs):
            q, log_pi, pi = _moved(x, j, arb_series([arb(x.eps)], prec=2))
            values = [total(p * (log_pi[i][1] + q[i][1]) for i, p in own) for own in _by_state(x, pi)]
            moved = [_sum(log_pi[i].exp() * q[i] for i in own) for own in x.mdp.of_state]
            printed = total(p * values[t] for t, p in row) - q[h][1]
            out.append(printed - (x.mdp.gamma * total(p * moved[t][1] for t, p in row) - q[h][1]))
    return out


def _require_explicit(x: Exact) -> None:
    require(x.mdp.gamma == 0, "gamma", x.mdp.gamma, "must be 0, where the temperature is rational")
    found = _mean([b * b for b in _residual(x)]) / 2
    require(x.eps == found, "eps", x.eps, f"must be the residual error {found}")


def _residual(x: Exact) -> list[fmpq]:
    """At gamma = 0."""
    return [r - q for r, q in zip(x.mdp.reward, x.q, strict=True)]


def _mean(values: Sequence[Any]) -> Any:
    return sum(values) / len(values)


def _by_state(x: Exact, pi: Sequence[arb]) -> list[list[tuple[int, arb]]]:
    return [[(i, pi[i]) for i in own] for own in x.mdp.of_state]


def _sum(terms: Any) -> arb_series:
    return sum(terms, arb_series([0], prec=2))


def _moved(x: Exact, j: int, eps: arb_series) -> tuple[list[arb_series], list[arb_series], list[arb]]:
    """Q + t e_j, log pi as a series in t, and pi at t = 0."""
    q = [arb_series([arb(value), arb(int(i == j))], prec=2) for i, value in enumerate(x.q)]
    log_pi = list(q)
    for own in x.mdp.of_state:
        top = max(x.q[i] for i in own)
        scaled = {i: (q[i] - arb(top)) / eps for i in own}
        mass = _sum(y.exp() for y in scaled.values()).log()
        for i in own:
            log_pi[i] = scaled[i] - mass
    return q, log_pi, boltzmann(x.mdp, x.q, x.eps)


def _temperature(x: Exact, j: int) -> arb_series:
    """The self-consistent temperature at Q + t e_j, gamma = 0."""
    n = x.mdp.n_pairs
    moved = (arb_series([arb(b), arb(-int(i == j))], prec=2) for i, b in enumerate(_residual(x)))
    return _sum(b * b for b in moved) / arb(2 * n)


def _left_side(x: Exact) -> list[arb]:
    """E[beta E_w[(d log pi / dQ_j) Q]]."""
    out = []
    for j in range(x.mdp.n_pairs):
        _, log_pi, pi = _moved(x, j, _temperature(x, j))
        v = [total(p * log_pi[i][1] * x.q[i] for i, p in own) for own in _by_state(x, pi)]
        out.append(_mean([b * e for b, e in zip(_residual(x), _next(x, v), strict=True)]))
    return out


def _next(x: Exact, v: Sequence[arb]) -> list[arb]:
    return [total(p * v[t] for t, p in row) for row in x.mdp.rows]


def _double(x: Exact, f: Sequence[fmpq]) -> arb:
    """E[beta E_w[Q M_w f]] as printed."""
    pi, v = boltzmann(x.mdp, x.q, x.eps), []
    for own in x.mdp.of_state:
        centre = total(pi[i] * f[i] for i in own)
        v.append(total(pi[i] * x.q[i] * (f[i] - centre) for i in own))
    return arb(_mean([b * e for b, e in zip(_residual(x), _next(x, v), strict=True)]))


def _policy_part(x: Exact) -> list[arb]:
    n = x.mdp.n_pairs
    return [_double(x, [fmpq(int(i == j)) for i in range(n)]) for j in range(n)]


def _fixed(x: Exact) -> list[fmpq]:
    """E[beta Gamma] at gamma = 0."""
    return [-b / x.mdp.n_pairs for b in _residual(x)]


def _printed(x: Exact) -> list[arb]:
    """Right side of Theorem 4 as printed at gamma = 0, where its denominator is eps^2."""
    on_q = _double(x, x.q)
    return [(x.eps * d * on_q + g) / x.eps**2 for d, g in zip(_fixed(x), _policy_part(x), strict=True)]
