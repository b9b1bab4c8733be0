r"""E-step of RERPI with weights by rank, as in CMA-ES, over all actions of a state in place of samples."""

import numpy as np
from numpy.typing import ArrayLike

from virel_theory.checks import Array, U, as_non_negative, as_rows
from virel_theory.operators.policies import as_action_values

TIE_TOL = 1e-10
"""Distance of tied values, as a share of half the largest spread of the values of a state."""
ROUNDING = 32 * U
"""Distance of tied values, as a share of the largest value: what their rounding makes of exact ties.

Values that two actions share in exact arithmetic are computed as different sums `r + gamma P v` of n terms of
size at most M = max|q|. Roundings of u = U/2 per term add up to about sqrt(n) u M for one value, and twice
that for a difference. The error of v itself comes from a linear solve, and is large only where it is common
to all states, so that it cancels in differences: it counts for another 2 sqrt(n) u M. An advantage adds the
rounding of the mean and of one difference. That is (4 sqrt(n) + 2) u M: 32 U M = 64 u M has room for n = 240.
"""


def tie_tolerance(q: Array) -> float:
    """Distance of action values up to which RERPI and V-MPO take them to be tied, for all states at once.

    It is 1e-10 times half the largest spread `max_a q - min_a q` of a state, plus 32 ulps of max|q|, the
    rounding of the values. So neither the unit of the rewards plays a role nor what they have in common.
    """
    exists = np.isfinite(q)
    top, low = np.where(exists, q, -np.inf).max(axis=1), np.where(exists, q, np.inf).min(axis=1)
    return TIE_TOL * float((top / 2 - low / 2).max()) + ROUNDING * float(np.abs(q[exists]).max())


def rank_posterior(q: ArrayLike, *, prior: ArrayLike, tie_tol: float = 0.0) -> Array:
    r"""Posterior of weights by rank, $q(a|s) \propto p(a|s)\ln((N + \frac12)/i)$, RERPI, Section 4.1.

    The N actions that exist in a state are sorted by value, the best has rank i = 1. An action within
    `tie_tol` of the one before it is tied with it; tied actions share the mean of their ranks' weights.

    Deviation: 1. all actions in place of N samples of p, so that p appears as their frequency.

    Args:
        q: `[S, A]` values, reward units; `-inf` where the action does not exist.
        prior: `[S, A]` policy p.
        tie_tol: distance of neighbouring values, in reward units, up to which they are tied.

    Returns: `[S, A]` probabilities.
    Raises: InputError: if `prior` is not a policy on the existing actions, or `tie_tol` is negative.

    Example:
        >>> rank_posterior([[1.0, 1.0, 0.0]], prior=[[0.5, 0.25, 0.25]]).round(4).tolist()
        [[0.6309, 0.3154, 0.0537]]
    """
    table = as_action_values(q)
    p = as_rows(prior, table, name="prior")
    weighted = p * _rank_weights(table, as_non_negative(tie_tol, name="tie_tol"))
    out: Array = weighted / weighted.sum(axis=1, keepdims=True)
    return out


def _rank_weights(table: Array, tie_tol: float) -> Array:
    """Weights by rank `[S, A]`, positive; 0 where the action does not exist."""
    n_states, n_actions = table.shape
    order = np.argsort(-table, axis=1, kind="stable")
    values = np.take_along_axis(table, order, axis=1)
    exists = values > -np.inf
    n = exists.sum(axis=1, keepdims=True)
    by_rank = np.where(exists, np.log((n + 0.5) / np.arange(1, n_actions + 1)), 0.0)
    gaps = np.where(exists[:, 1:], values[:, :-1], 0.0) - np.where(exists[:, 1:], values[:, 1:], 0.0)
    starts = np.ones(table.shape, dtype=np.int64)  # of groups of tied actions
    starts[:, 1:] = (gaps > tie_tol) | ~exists[:, 1:]
    group = np.cumsum(starts.ravel()) - 1
    mean = np.bincount(group, by_rank.ravel()) / np.bincount(group)
    out = np.empty_like(table)
    np.put_along_axis(out, order, mean[group].reshape(n_states, n_actions), axis=1)
    return out
