r"""Top share of the state-action pairs and the E-step of V-MPO over it, with exact expectations.

V-MPO keeps the half of a batch with the largest advantages. With exact expectations the batch is the
distribution $p(s, a) = d(s)\pi(a|s)$, and the half is the share `keep` of its mass. Each pair is kept with
a fraction $f(s, a)$ in [0, 1]: 1 above a threshold of the advantage, 0 below it, and the same fraction for
all pairs at the threshold, so that $\sum p f$ is exactly `keep`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from virel_common.errors import require
from virel_theory.checks import Array, as_non_negative, as_number, as_real, first_bad, row_sum_tolerance
from virel_theory.operators.policies import as_action_values
from virel_theory.variational.core.budget import budget_temperature, dual_value, tempered_posterior

SLACK = 1e-12
"""Share of the mass by which the kept mass may miss `keep` through rounding."""


class Kept(NamedTuple):
    """Pairs that V-MPO keeps: those with mass, as one row of a bandit with a single state."""

    where: tuple[NDArray[np.intp], ...]
    """Indices `(s, a)` of the kept pairs, each `[n]`."""
    advantage: Array
    """`[1, n]` advantages, reward units."""
    share: Array
    r"""`[1, n]` distribution $p f / \sum p f$ of the kept mass."""


def top_share(advantage: ArrayLike, *, mass: ArrayLike, keep: float, tie_tol: float = 0.0) -> Array:
    r"""Fraction $f(s, a)$ of each pair in the share `keep` of largest advantages, V-MPO, Eqs. (3)-(4).

    The threshold is the largest advantage x of a pair with mass for which
    $\sum_{A(s,a) \ge x} p(s, a) \ge keep - 10^{-12}$. Pairs within `tie_tol` of it share one fraction,
    $f = \min(1, (keep - \sum_{A > x + tol} p)/\sum_{|A - x| \le tol} p)$; f = 1 above and 0 below them. Pairs
    without mass have f = 0. At keep = 1 all others have f = 1.

    Args:
        advantage: `[S, A]` advantages, reward units; `-inf` where the action does not exist.
        mass: `[S, A]` probabilities $p(s, a)$ of sum 1, 0 where the action does not exist.
        keep: share in (0, 1].
        tie_tol: advantages within this distance of the threshold (reward units) count as tied with it.

    Returns: `[S, A]` fractions in [0, 1]; $\sum p f$ is `keep` within 1e-12.
    Raises: InputError: if `mass` is not a distribution over existing pairs, or `keep` is not in (0, 1].

    Example:
        >>> top_share([[3.0, 1.0], [1.0, 0.0]], mass=[[0.25, 0.25], [0.25, 0.25]], keep=0.5).tolist()
        [[1.0, 0.5], [0.5, 0.0]]
    """
    table = as_action_values(advantage, name="advantage")
    p = _as_mass(mass, table)
    share = as_share(keep)
    tolerance = as_non_negative(tie_tol, name="tie_tol")
    if share == 1:
        return (p > 0).astype(np.float64)  # however little mass a pair has
    x = _threshold(table, p, share)
    above = (p > 0) & (table > x + tolerance)
    tied = (p > 0) & ~above & (table >= x - tolerance)
    out = above.astype(np.float64)
    out[tied] = min(1.0, (share - float(p[above].sum())) / float(p[tied].sum()))
    return out


def top_share_dual(
    advantage: ArrayLike, *, mass: ArrayLike, keep: float, epsilon: float, eta: float, tie_tol: float = 0.0
) -> float:
    r"""Temperature loss $L_\eta(\eta)$ over the kept pairs in reward units, V-MPO, Eq. (4).

    $$\eta\epsilon_\eta + \eta\log\frac{\sum_{s,a} p f e^{A/\eta}}{\sum_{s,a} p f}$$

    Args:
        advantage: `[S, A]` advantages A, reward units; `-inf` where the action does not exist.
        mass: `[S, A]` probabilities p of the pairs.
        keep: share of the mass that is kept, in (0, 1].
        epsilon: KL budget > 0, in nats.
        eta: temperature > 0, reward units.
        tie_tol: see `top_share`.

    Returns: the loss, convex in eta.
    Raises: InputError: as `top_share`, or if a number is not positive and finite.

    Example:
        >>> half = [[0.5, 0.5]]
        >>> top_share_dual([[1.0, 1.0]], mass=half, keep=0.5, epsilon=0.25, eta=2.0)
        1.5
    """
    kept = kept_pairs(advantage, mass=mass, keep=keep, tie_tol=tie_tol)
    return dual_value(kept.advantage, prior=kept.share, d=np.ones(1), epsilon=epsilon, eta=eta)


def top_share_temperature(
    advantage: ArrayLike, *, mass: ArrayLike, keep: float, epsilon: float, tie_tol: float = 0.0
) -> float:
    r"""Temperature that minimises V-MPO's loss $L_\eta(\eta)$, V-MPO, Eq. (4).

    There $KL(\psi \| p f/\sum p f) = \epsilon_\eta$.

    Args: advantage, mass, keep, epsilon, tie_tol: as `top_share_dual`.
    Returns: the temperature, reward units; 0.0 if even the greedy limit spends at most the budget.
    Raises: InputError: as `top_share_dual`.

    Example:
        >>> top_share_temperature([[1.0, 1.0]], mass=[[0.5, 0.5]], keep=0.5, epsilon=0.25)
        0.0
    """
    kept = kept_pairs(advantage, mass=mass, keep=keep, tie_tol=tie_tol)
    return budget_temperature(kept.advantage, prior=kept.share, d=np.ones(1), epsilon=epsilon).eta


def top_share_posterior(
    advantage: ArrayLike, *, mass: ArrayLike, keep: float, eta: float, tie_tol: float = 0.0
) -> Array:
    r"""E-step $\psi(s, a)$ of V-MPO over the kept pairs, V-MPO, Eq. (3).

    $$\psi(s, a) = \frac{p(s, a)f(s, a)e^{A(s,a)/\eta}}{\sum_{s',a'} p(s', a')f(s', a')e^{A(s',a')/\eta}}$$

    Deviation: 1. (3) sums over samples of p, so that p appears in it as their frequency.

    Args:
        advantage: `[S, A]` advantages A, reward units; `-inf` where the action does not exist.
        mass: `[S, A]` probabilities p of the pairs.
        keep: share of the mass that is kept, in (0, 1].
        eta: temperature >= 0, reward units; 0.0 is the limit: the kept mass of the largest advantage.
        tie_tol: see `top_share`.

    Returns: `[S, A]` distribution over pairs, of sum 1 over the whole table.
    Raises: InputError: as `top_share`, or if eta is negative.

    Example:
        >>> quarter = [[0.25, 0.25], [0.25, 0.25]]
        >>> top_share_posterior([[1.0, -1.0], [1.0, -1.0]], mass=quarter, keep=0.5, eta=1.0).tolist()
        [[0.5, 0.0], [0.5, 0.0]]
    """
    kept = kept_pairs(advantage, mass=mass, keep=keep, tie_tol=tie_tol)
    out = np.zeros(np.shape(advantage))
    out[kept.where] = tempered_posterior(kept.advantage, prior=kept.share, eta=eta)[0]
    return out


def kept_pairs(advantage: ArrayLike, *, mass: ArrayLike, keep: float, tie_tol: float) -> Kept:
    """Kept pairs with their advantages and their distribution, as a bandit with a single state."""
    fraction = top_share(advantage, mass=mass, keep=keep, tie_tol=tie_tol)
    weight = np.asarray(mass, dtype=np.float64) * fraction
    where = np.nonzero(weight)
    share = weight[where][None]
    return Kept(where, np.asarray(advantage, dtype=np.float64)[where][None], share / share.sum())


def as_share(keep: float) -> float:
    """Return the share `keep` of the mass as a float in (0, 1]."""
    share = as_number(keep, name="keep")
    require(0 < share <= 1, "keep", keep, "must lie in (0, 1]")
    return share


def _threshold(table: Array, p: Array, share: float) -> float:
    """Largest advantage for which the pairs of at least that advantage have the mass `share`."""
    on = p > 0
    order = np.argsort(-table[on], kind="stable")
    reached = np.cumsum(p[on][order])
    enough = reached >= min(share, reached[-1]) - SLACK
    return float(table[on][order][int(np.argmax(enough))])


def _as_mass(mass: ArrayLike, table: Array) -> Array:
    """Probabilities of pairs as float64 `[S, A]`: non-negative, of sum 1, 0 at missing actions."""
    out = as_real(mass, name="mass")
    require(out.shape == table.shape, "mass", out.shape, f"must have shape {list(table.shape)}")
    first_bad(~(out >= 0), out, name="mass", rule="must be non-negative")
    missing = (out > 0) & np.isneginf(table)
    first_bad(missing, out, name="mass", rule="must be 0 where the action does not exist")
    total = float(out.sum())
    require(abs(total - 1) <= row_sum_tolerance(out.size), "mass", total, "must sum to 1 over all pairs")
    return out
