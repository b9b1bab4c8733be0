r"""Functions of state-action pairs: means over actions, successors and pairs, centring, input checks.

Shapes: `f [S, A]` or `[S, A, N]`, policies `[S, A]`. An action that does not exist holds `-inf` in a table.
"""

import numpy as np
from numpy.typing import ArrayLike

from virel_common.errors import require
from virel_theory.checks import Array, Mask, as_probabilities, as_real, first_bad
from virel_theory.mdp.tables import as_policy, require_mdp
from virel_theory.mdp.tabular import TabularMDP


def centre_actions(f: ArrayLike, *, pi: ArrayLike) -> Array:
    r"""Centring operator $\mathcal M_\omega[f](a,s) = f(a,s) - E_{a \sim \pi(a|s)}[f]$, Thm 4.

    Args: f: `[S, A]` or `[S, A, N]`. pi: `[S, A]`.
    Returns: of the shape of `f`; 0 where `f` is `-inf`.
    Raises: InputError: if `f` lacks the leading shape of `pi` or holds NaN or +inf, or `pi` is not a policy.

    Example:
        >>> centre_actions([[3.0, 1.0]], pi=[[0.5, 0.5]]).tolist()
        [[1.0, -1.0]]
    """
    policy, table = as_probabilities(pi, name="pi"), _as_function(f)
    require(
        table.shape[:2] == policy.shape,
        "f",
        table.shape,
        f"must have the leading shape {list(policy.shape)} of `pi`",
    )
    finite = np.isfinite(table)
    filled = np.where(finite, table, 0.0)
    out: Array = np.where(finite, filled - action_mean(filled, policy)[:, None], 0.0)
    return out


def expect_next(mdp: TabularMDP, f: ArrayLike, *, pi: ArrayLike) -> Array:
    r"""Successor expectation $E_\omega[f(h')] = E_{p(s'|h)\,\pi(a'|s')}[f(h')]$, App. E.3.

    Args: mdp: finite MDP. f: `[S, A]` or `[S, A, N]`. pi: `[S, A]`.
    Returns: of the shape of `f`.
    Raises: InputError: if a shape does not fit the MDP, `f` holds NaN or +inf, or `pi` is not a policy.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.5)
        >>> expect_next(mdp, [[3.0, 1.0]], pi=[[0.5, 0.5]]).tolist()
        [[2.0, 2.0]]
    """
    table, policy = _as_function(f), as_policy(pi, mdp, name="pi")
    require(
        table.shape[:2] == mdp.shape and table.ndim <= 3,
        "f",
        table.shape,
        f"must have the leading shape {list(mdp.shape)} of the MDP, and at most one more axis",
    )
    v = action_mean(np.where(np.isfinite(table), table, 0.0), policy)
    if v.ndim == 1:
        return mdp.expect_next(v)
    return np.stack([mdp.expect_next(column) for column in v.T], axis=-1)


def action_mean(f: Array, pi: Array) -> Array:
    r"""Mean over actions $E_{a \sim \pi(a|s)}[f]$, `[S, ...]` from `f [S, A, ...]`, App. E.3."""
    out: Array = np.einsum("sa,sa...->s...", pi, f)
    return out


def mean_over_pairs(mdp: TabularMDP, f: Array) -> Array:
    r"""Mean $E_{h \sim U(h)}[f]$ over the pairs that exist, `[...]` from `[S, A, ...]`, App. E.3."""
    out: Array = f[mdp.available].sum(axis=0) / mdp.n_pairs
    return out


def as_jacobian(b_omega: ArrayLike, mdp: TabularMDP, *, name: str = "b_omega") -> Array:
    """Return Q's gradients `b_omega` as finite float64 `[S, A, N]`, 0 at missing actions, App. F.1."""
    require_mdp(mdp)
    return as_jacobian_of(b_omega, mdp.available, name=name)


def as_jacobian_of(b_omega: ArrayLike, exists: Mask, *, name: str) -> Array:
    """Return Q's gradients `b_omega` as finite float64 `[S, A, N]`, 0 where `exists` is False, App. F.1."""
    b = as_real(b_omega, name=name)
    fits = b.ndim == 3 and b.shape[:2] == exists.shape
    require(fits, name, b.shape, f"must have shape [{exists.shape[0]}, {exists.shape[1]}, N]")
    out = np.where(exists[:, :, None], b, 0.0)
    first_bad(~np.isfinite(out), out, name=name, rule="must be finite")
    return out


def finite(q: Array) -> Array:
    """Copy of the action values `q` with 0 in place of the `-inf` of missing actions, App. F.1."""
    return np.where(np.isfinite(q), q, 0.0)


def one_hot_argmax(q: Array) -> Array:
    """Deterministic policy `[S, A]` of the first maximiser of each row of `q`, App. E.3."""
    out: Array = np.eye(q.shape[1])[q.argmax(axis=1)]
    return out


def _as_function(f: ArrayLike) -> Array:
    """Return `f`, a function of pairs, as float64: finite, or `-inf` where the action does not exist."""
    out = as_real(f, name="f")
    first_bad(~(out < np.inf), out, name="f", rule="must be finite (or -inf where the action does not exist)")
    return out
