r"""Certificates of `virel solve --certify`: one Bellman sweep proves a policy to be within delta of optimal.

The float arrays are the MDP, exactly as given: row sums are 1 within $\delta$
(`virel_theory.solvers.bounds`). For any vector v, with $u = \max(0, \max_s (Tv - v))$, $l = \min(0,
\min_s(T^\pi v - v))$ and $g = \gamma(1+\delta) < 1$: $T(v + c) \le Tv + gc \le v + c$ for $c = u/(1-g)$,
and T is monotone, so $V^* \le v + u/(1-g)$; likewise $V^\pi \ge v + l/(1-g)$. Hence $V^* - V^\pi \le (u -
l)/(1 - g)$. A computed backup is within $\eta$ of the exact one and a computed difference d within
$\epsilon|d|/2$, so u and -l grow by $\eta + \epsilon|d|$. v is the solver's value plus a constant that
centres the residual. The sum is rounded, but any v will do. Scalars are exact fractions; delta is rounded up.

The certificate holds the arrays themselves, packed, and v. `virel recheck` repeats the sweep in rational
numbers. Up to `MAX_EXACT` entries, delta is computed here in rational numbers too.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
from flint import fmpq
from numpy.typing import NDArray

from verify.arithmetic.balls import dyadic
from verify.arithmetic.exact import ExactMDP, as_given
from verify.proofs.certificate import Certificate, write
from verify.proofs.problem import packed, packed_model
from virel_common.errors import require
from virel_theory.checks import Array, as_sign
from virel_theory.mdp.tables import as_actions, as_values
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.solvers.bounds import EPS, backup_error, contraction_interval

Sense = Literal["max", "min"]
MAX_EXACT = 4000
"""Non-zeros plus pairs of the largest MDP whose delta is exact; beyond it, delta is from a float64 sweep."""
MAX_ENTRIES = 10**7
"""Non-zeros plus pairs of the largest MDP: the checker reads files of at most 256 MiB."""


@dataclass(frozen=True, eq=False)
class PolicyBound:
    """Guaranteed bound on a policy's loss `V* - V^pi` in every state, with the vector v that proves it."""

    delta: float
    r"""Bound of $V^*(s) - V^\pi(s)$ in every state; for costs, of $V^\pi(s) - V^*(s)$."""
    witness: Array
    """Vector v of the proof."""
    norm: float
    """Bound of gamma times the largest row sum."""


def policy_bound(
    mdp: TabularMDP, policy: NDArray[np.intp], value: Array, *, sense: Sense = "max"
) -> PolicyBound:
    """Guaranteed bound on a policy's loss `V* - V^pi` in every state, from a solver's float64 state values.

    Args:
        mdp: dense or sparse.
        policy: `[S]` actions.
        value: `[S]`, any finite vector; the better it is, the smaller is the bound.
        sense: whether the MDP has rewards to maximise or costs to minimise.

    Returns:
        The bound; it is infinite if gamma times the row sums is not certainly below 1.

    Raises:
        InputError: if `value` is not a finite vector `[S]`, `policy` takes an action that does not exist, or
            `sense` is neither.
    """
    sign = as_sign(sense)
    v = as_values(value, mdp, name="value")
    policy = as_actions(policy, mdp, name="policy")
    n_terms = _row_length(mdp)
    beta_hi = contraction_interval(mdp.gamma, n_terms)[1]
    if not beta_hi < 1:
        return PolicyBound(np.inf, v, beta_hi)
    v = sign * v
    up, _ = _residuals(mdp, policy, v, sign)
    v = v + 0.5 * float(up.max() + up.min()) / (1 - mdp.gamma)
    up, down = _residuals(mdp, policy, v, sign)
    r_max = float(np.abs(mdp.reward).max())
    eta = Fraction(backup_error(n_terms, r_max=r_max, v_max=float(np.abs(v).max()), beta_hi=beta_hi))
    high, low = Fraction(float(up.max())), Fraction(float(down.min()))
    top = max(Fraction(0), high + abs(high) * Fraction(EPS) + eta)
    bottom = min(Fraction(0), low - abs(low) * Fraction(EPS) - eta)
    return PolicyBound(_round_up((top - bottom) / (1 - Fraction(beta_hi))), sign * v, beta_hi)


def certify_solution(
    mdp: TabularMDP,
    policy: NDArray[np.intp],
    value: Array,
    *,
    path: Path,
    sense: Sense = "max",
) -> float:
    """Write a certificate that a policy is within delta of optimal in every state, and return delta.

    Raises:
        InputError: as `policy_bound` does; if the MDP has more than `MAX_ENTRIES` non-zeros and pairs.
    """
    n_entries = mdp.n_pairs + _n_entries(mdp)
    require(n_entries <= MAX_ENTRIES, "mdp", n_entries, f"must have at most {MAX_ENTRIES} entries to certify")
    bound = policy_bound(mdp, policy, value, sense=sense)
    require(
        bound.delta < np.inf,
        "gamma",
        mdp.gamma,
        "times the largest row sum of `transition` must be below 1 to certify",
    )
    sign = 1 if sense == "max" else -1
    v = sign * bound.witness
    delta = Fraction(bound.delta)
    if n_entries <= MAX_EXACT:
        delta = _exact_delta(as_given(mdp, sign=sign), policy, v)
    write(path, [certificate(mdp, policy, v, delta=delta, norm=bound.norm, sign=sign)])
    return _round_up(delta)


def certificate(
    mdp: TabularMDP, policy: NDArray[np.intp], v: Array, *, delta: Fraction, norm: float, sign: int = 1
) -> Certificate:
    """Certificate of a solved MDP: the packed MDP, the vector v, the policy, delta, and enclosing intervals.

    Costs are stored as negative rewards. With `norm` >= g, the number 1 - g lies in [1 - norm, 1], and
    delta (1 - g) - (u - l) lies in [0, delta].
    """
    model, (states, actions) = packed_model(mdp, sign=sign), np.nonzero(mdp.available)
    chosen = packed(policy[states] == actions, "<f8")
    instance = {"model": model, "v": packed(v, "<f8"), "pi": chosen, "delta": str(delta)}
    contracts = {"enclosure": [_dyadic(1 - Fraction(norm)), "1p0"]}
    bounded = {"enclosure": ["0p0", _dyadic(Fraction(_round_up(delta)))]}
    return Certificate("solve", "policy", instance, [contracts, bounded])


def _exact_delta(exact: ExactMDP, policy: NDArray[np.intp], v: Array) -> Fraction:
    """Exact bound on the loss `V* - V^pi` of a policy `[S]`, proved by the float vector v of state values."""
    index = {pair: i for i, pair in enumerate(exact.pairs)}
    chosen = [index[s, int(a)] for s, a in enumerate(policy)]
    found = exact_delta(exact, chosen, [fmpq(*x.as_integer_ratio()) for x in v.tolist()])
    return Fraction(int(found.p), int(found.q))


def exact_delta(exact: ExactMDP, chosen: list[int], v: list[fmpq]) -> fmpq:
    """Exact bound on a policy's loss `V* - V^pi`, from the Bellman residuals of a vector v of state values.

    It is `(u - l)/(1 - g)` in the letters of this file's docstring; `chosen` are the indices of the policy's
    pairs.
    """
    zero = fmpq(0)
    g = exact.gamma * max(sum((p for _, p in row), zero) for row in exact.rows)
    q = exact.backup(v)
    up = max([zero, *(x - y for x, y in zip(exact.best(q), v, strict=True))])
    down = min([zero, *(q[i] - y for i, y in zip(chosen, v, strict=True))])
    return (up - down) / (1 - g)


def _residuals(mdp: TabularMDP, policy: NDArray[np.intp], v: Array, sign: float) -> tuple[Array, Array]:
    """Bellman residuals `T v - v` (optimal) and `T^pi v - v` (of the policy) of state values v, as floats."""
    q = sign * mdp.reward + mdp.gamma * mdp.expect_next(v)
    best = q.max(axis=1, where=mdp.available, initial=-np.inf)
    return best - v, q[np.arange(len(v)), policy] - v


def _row_length(mdp: TabularMDP) -> int:
    """Number of stored entries in the longest row of an MDP's transition matrix."""
    if isinstance(mdp.transition, np.ndarray):
        return mdp.n_states
    return int(np.diff(mdp.transition.indptr).max())


def _n_entries(mdp: TabularMDP) -> int:
    """Number of non-zero transition probabilities of an MDP."""
    transition = mdp.transition
    return int(np.count_nonzero(transition)) if isinstance(transition, np.ndarray) else int(transition.nnz)


def _dyadic(x: Fraction) -> str:
    return dyadic(fmpq(x.numerator, x.denominator))


def _round_up(x: Fraction) -> float:
    """Smallest float that is at least the fraction `x`."""
    nearest = float(x)
    return nearest if Fraction(nearest) >= x else float(np.nextafter(nearest, np.inf))
