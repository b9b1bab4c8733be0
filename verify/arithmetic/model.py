r"""Second implementation of VIREL's App. E, in plain loops, to check the derivatives of `virel_theory`.

Numbers are floats, mpmath numbers or dual numbers. Nothing here calls a formula of `virel_theory`. A table is
a dictionary from the pairs `(s, a)` that exist to numbers.
"""

from collections.abc import Callable, Sequence

import mpmath
import numpy as np

from verify.arithmetic.dual import Dual, Number, exp, gradient_of, tanh, variables
from virel_theory.checks import Array
from virel_theory.gradients.approximators import Approximator, LinearQ, TabularQ, TanhQ
from virel_theory.mdp.tabular import TabularMDP

Table = dict[tuple[int, int], Number]
DIGITS = 50
"""Decimal digits with which mpmath computes."""
STEP = "1e-15"
"""Step of central differences: truncation of order 1e-30 times third derivatives, rounding of 1e-35."""


def pairs(mdp: TabularMDP) -> list[tuple[int, int]]:
    """State-action pairs `(s, a)` that exist in an MDP, state by state."""
    return [(int(s), int(a)) for s, a in np.argwhere(mdp.available)]


def q_table(mdp: TabularMDP, approximator: Approximator, omega: Sequence[Number]) -> Table:
    r"""Table $\hat Q_\omega$ of an approximator at parameters omega, without code of `virel_theory`."""
    if isinstance(approximator, TabularQ):
        return dict(zip(pairs(mdp), omega, strict=True))
    if isinstance(approximator, LinearQ):
        return {h: _dot(approximator.features[h].tolist(), omega) for h in pairs(mdp)}
    assert isinstance(approximator, TanhQ)
    n_in, n_hidden = approximator.features.shape[2], approximator.n_hidden
    rows = [omega[j * n_in : (j + 1) * n_in] for j in range(n_hidden)]
    out = omega[n_hidden * n_in :]
    return {
        h: _dot([tanh(_dot(approximator.features[h].tolist(), row)) for row in rows], out) for h in pairs(mdp)
    }


def boltzmann(q: Table, eps: Number) -> Table:
    """Boltzmann policy of action values at temperature `eps`; each state's maximum is subtracted first."""
    top: dict[int, Number] = {}
    for (s, _), value in q.items():
        top[s] = value if s not in top or top[s] < value else top[s]
    weight = {(s, a): exp((value - top[s]) / eps) for (s, a), value in q.items()}
    total: dict[int, Number] = {}
    for (s, _), w in weight.items():
        total[s] = total.get(s, 0) + w
    return {(s, a): w / total[s] for (s, a), w in weight.items()}


def state_values(q: Table, pi: Table) -> dict[int, Number]:
    """State values `sum_a pi(a|s) q(s, a)` of a table q of action values under a policy pi, per state."""
    v: dict[int, Number] = {}
    for (s, a), value in q.items():
        v[s] = v.get(s, 0) + pi[s, a] * value
    return v


def greedy_values(q: Table) -> dict[int, Number]:
    """Largest action value `max_a q(s, a)` of a table q, per state."""
    v: dict[int, Number] = {}
    for (s, _), value in q.items():
        v[s] = value if s not in v or v[s] < value else v[s]
    return v


def residual(mdp: TabularMDP, q: Table, v: dict[int, Number]) -> Table:
    """Bellman residual `r + gamma E[v(s')] - q` per pair (s, a), of action values q and state values v."""
    dense = mdp.dense_transition
    return {
        (s, a): mdp.gamma * _dot([float(p) for p in dense[s, a]], [v[t] for t in range(mdp.n_states)])
        + float(mdp.reward[s, a])
        - value
        for (s, a), value in q.items()
    }


def half_mean_square(beta: Table) -> Number:
    """Residual error `(1 / (2 |H|)) sum beta^2`, beta the Bellman residual of the |H| state-action pairs."""
    return _sum([b * b for b in beta.values()]) / (2 * len(beta))


def self_map(mdp: TabularMDP, approximator: Approximator, omega: Sequence[Number], eps: Number) -> Number:
    r"""Map $g(\omega, \varepsilon)$: residual error of $\hat Q_\omega$ for its policy at temperature eps."""
    q = q_table(mdp, approximator, omega)
    return half_mean_square(residual(mdp, q, state_values(q, boltzmann(q, eps))))


def self_consistent_dual(mdp: TabularMDP, approximator: Approximator, omega: Array, eps: float) -> Dual:
    r"""Self-consistent temperature, the root of `eps = g(omega, eps)`, with its gradient in omega.

    The value of the result is `eps` as given; a Newton step in dual numbers computes its gradient.
    """
    n = len(omega)
    *x, t = variables([*omega.tolist(), eps])
    both = self_map(mdp, approximator, x, t)
    slope = float(gradient_of(both, n + 1)[n])  # d g / d eps
    moving = self_map(mdp, approximator, variables(omega), eps)
    step = (moving - eps) / (1 - slope)
    return Dual(eps, gradient_of(step, n))


def self_consistent_mp(
    mdp: TabularMDP, approximator: Approximator, omega: Sequence[Number], eps: float
) -> Number:
    r"""Self-consistent temperature, the root of `e = g(omega, e)` near `eps`, to 40 digits by secants."""
    with mpmath.workdps(DIGITS):
        return mpmath.findroot(
            lambda t: self_map(mdp, approximator, omega, t) - t,
            mpmath.mpf(eps),
            solver="secant",
            tol=mpmath.mpf("1e-80"),
        )


def central_differences(f: Callable[[list[Number]], Number], x: Array) -> Array:
    """Gradient of a function f at x by central differences in 50-digit arithmetic, rounded to float64."""
    with mpmath.workdps(DIGITS):
        h, point = mpmath.mpf(STEP), [mpmath.mpf(float(value)) for value in x]
        slopes = []
        for i in range(len(point)):
            up, down = list(point), list(point)
            up[i], down[i] = up[i] + h, down[i] - h
            slopes.append(float((f(up) - f(down)) / (2 * h)))
    return np.array(slopes)


def _dot(x: Sequence[Number], y: Sequence[Number]) -> Number:
    return _sum([a * b for a, b in zip(x, y, strict=True)])


def _sum(terms: Sequence[Number]) -> Number:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
