"""Checks of tables, values and policies against the MDP that they belong to."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from virel_common.errors import InputError, require
from virel_theory.checks import Array, as_array, as_finite, as_float_array, as_probabilities, first_bad
from virel_theory.mdp.tabular import TabularMDP


def require_mdp(mdp: TabularMDP, *, name: str = "mdp") -> None:
    """Raise `InputError` unless `mdp`, the argument called `name`, is a `TabularMDP`."""
    is_one = isinstance(mdp, TabularMDP)
    require(is_one, name, mdp, "must be a TabularMDP; `load_mdp` reads one from a file")


def as_table(q: ArrayLike, mdp: TabularMDP, *, name: str) -> Array:
    """Return action values `q` as float64 `[S, A]`: finite, or `-inf` where the action does not exist."""
    require_mdp(mdp)
    out = as_float_array(q, mdp.shape, name=name)
    if mdp.mask is not None:
        out = np.where(mdp.mask, out, -np.inf)
    first_bad(~np.isfinite(out) & mdp.available, out, name=name, rule="must be finite")
    return out


def as_residual(beta: ArrayLike, mdp: TabularMDP, *, name: str) -> Array:
    """Return the Bellman residual `beta` as finite float64 `[S, A]`, 0 where the action does not exist."""
    require_mdp(mdp)
    out = as_float_array(beta, mdp.shape, name=name)
    first_bad(~np.isfinite(out) & mdp.available, out, name=name, rule="must be finite")
    return out if mdp.mask is None else np.where(mdp.mask, out, 0.0)


def as_values(v: ArrayLike, mdp: TabularMDP, *, name: str) -> Array:
    """Return state values `v` as a finite float64 vector `[S]`."""
    require_mdp(mdp)
    return as_finite(v, (mdp.n_states,), name=name)


def as_policy(pi: ArrayLike, mdp: TabularMDP, *, name: str) -> Array:
    """Return the policy `pi` as `[S, A]`: rows are distributions, 0 on actions that do not exist."""
    require_mdp(mdp)
    out = as_float_array(pi, mdp.shape, name=name)
    first_bad((out > 0) & ~mdp.available, out, name=name, rule="must be 0 where the action does not exist")
    return as_probabilities(out, name=name)


def as_actions(policy: ArrayLike, mdp: TabularMDP, *, name: str) -> NDArray[np.intp]:
    """Return a deterministic policy as integers `[S]`: in each state an action that exists there."""
    require_mdp(mdp)
    given = as_array(policy, name=name)
    right = given.dtype.kind in "iu" and given.shape == (mdp.n_states,)
    found = f"{given.dtype} {list(given.shape)}"
    require(right, name, found, f"must be integers of shape [{mdp.n_states}]")
    inside = (given >= 0) & (given < mdp.n_actions)
    exists = inside & mdp.available[np.arange(mdp.n_states), np.where(inside, given, 0).astype(np.intp)]
    if not exists.all():
        state = int(np.argmin(exists))
        raise InputError(f"`{name}` must take actions that exist; found {given[state]} in state {state}")
    return given.astype(np.intp)
