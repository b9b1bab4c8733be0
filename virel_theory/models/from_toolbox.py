"""MDPs in the conventions of other toolboxes: one matrix per action, rewards of transitions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from virel_common.arguments import require_flag
from virel_common.errors import InputError, require
from virel_theory.checks import Array, Mask, as_real
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.models.assemble import build
from virel_theory.models.choices import warn_of_rescaling

DENSE_UP_TO = 4_000_000  # entries of `[S, A, S]`, 32 MB; larger ones become CSR


def from_toolbox(
    transition: Any, reward: Any, *, gamma: float, normalise: bool = False, sparse_result: bool | None = None
) -> TabularMDP:
    r"""MDP from arrays in the order of pymdptoolbox, action by action, Chades et al. 2014, Table 1.

    $P[a][s, s'] = p(s'|s, a)$, where `TabularMDP` has $p[s, a, s']$. Rewards are $r(s)$, $r(s, a)$ or, one
    matrix per action, $r(s, a, s')$, which is averaged over $p(s'|s, a)$. A reward of `-inf`, as QuantEcon
    marks it, means that the action does not exist.

    Args:
        transition: `[A, S, S]`, or a sequence of A matrices `[S, S]`, dense or sparse.
        reward: `[S]`, `[S, A]`, `[A, S, S]`, or a sequence of A matrices `[S, S]`.
        gamma: discount in [0, 1).
        normalise: whether to divide every row by its sum, for rows that were rounded in print or are float32;
            a warning says by how much the sums differed from 1, and more than 0.1 is an error.
        sparse_result: whether to store CSR; None: if there are more than 4 million entries `[S, A, S]`.

    Returns: the MDP; it starts uniformly.
    Raises: InputError: if the shapes do not fit, or a row is no distribution.

    Example:
        >>> stay, move = [[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]
        >>> from_toolbox([stay, move], [[0.0, 1.0], [2.0, 0.0]], gamma=0.5).transition[0].tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    rows = _as_matrices(transition, name="transition")
    n_actions, n_states = len(rows), rows[0].shape[0]
    shapes = [row.shape for row in rows]
    square = all(shape == (n_states, n_states) for shape in shapes)
    rule = f"must hold one matrix [S, S] per action, all of one size{_other_order(shapes)}"
    require(square, "transition", shapes, rule)
    rewards, exists = _as_rewards(reward, rows)
    require_flag(normalise, name="normalise")
    if normalise:
        rows = [_normalised(row, exists[:, a]) for a, row in enumerate(rows)]
        rewards, exists = _as_rewards(reward, rows)  # means over successors are those of the rows in use
    stacked = sparse.csr_array(sparse.vstack(rows, format="csr"))
    order = np.arange(n_states * n_actions).reshape(n_actions, n_states).T.ravel()  # to row s A + a
    table = sparse.csr_array(stacked[order])
    table = sparse.csr_array(table.multiply(exists.reshape(-1, 1)))
    table.eliminate_zeros()
    mask = None if exists.all() else exists
    is_sparse = n_states * n_actions * n_states > DENSE_UP_TO if sparse_result is None else sparse_result
    return build(table, rewards, gamma=gamma, mask=mask, is_sparse=is_sparse)


def _as_matrices(given: Any, *, name: str) -> list[sparse.csr_array]:
    """Return one CSR matrix per action from an array `[A, S, S]`, or from a sequence of matrices."""
    if sparse.issparse(given):
        raise InputError(f"`{name}` must be one matrix [S, S] per action; found a single sparse matrix")
    if _is_list(given) and any(sparse.issparse(one) for one in given):
        return [_as_matrix(one, name=name) for one in given]
    dense = as_real(given, name=name)
    require(dense.ndim == 3 and dense.size > 0, name, dense.shape, "must have shape [A, S, S]")
    return [sparse.csr_array(one) for one in dense]


def _is_list(given: Any) -> bool:
    """Whether there may be one matrix per action, in a sequence or an array of objects."""
    return isinstance(given, Sequence) or (
        isinstance(given, np.ndarray) and given.dtype == object and given.ndim > 0
    )


def _as_matrix(given: Any, *, name: str) -> sparse.csr_array:
    """Return one matrix, sparse or dense, as float64 CSR of its own, with one entry per place."""
    one: Any = given if sparse.issparse(given) else as_real(given, name=name)
    fits = one.ndim == 2 and one.dtype.kind in "biuf"
    require(fits, name, given, "must be one matrix [S, S] of real numbers per action")
    own = sparse.csr_array(one).astype(np.float64)
    own.sum_duplicates()
    return own


def _other_order(shapes: Sequence[tuple[int, ...]]) -> str:
    """Hint for an array in the order of another convention, split along its first axis."""
    n, (rows, columns) = len(shapes), shapes[0]
    if len(set(shapes)) == 1 and n == columns:
        return "; `TabularMDP` reads [S, A, S]"
    if len(set(shapes)) == 1 and n == rows:
        return "; [S, S, A] is the order of MATLAB and R: pass np.moveaxis(transition, 2, 0)"
    return ""


def _as_rewards(reward: Any, rows: list[sparse.csr_array]) -> tuple[Array, Mask]:
    """Return expected rewards `[S, A]`, 0 at missing actions, and which actions exist."""
    n_states, n_actions = rows[0].shape[0], len(rows)
    if _is_list(reward) and any(sparse.issparse(one) for one in reward):
        per_action = _as_matrices(reward, name="reward")
        table = _averaged(per_action, rows)
    else:
        found = as_real(reward, name="reward")
        if found.ndim == 3:
            table = _averaged(_as_matrices(found, name="reward"), rows)
        elif found.shape == (n_states,):
            table = np.repeat(found[:, None], n_actions, axis=1)
        else:
            rule = f"must have shape [S], [S, A] or [A, S, S], with S = {n_states} and A = {n_actions}"
            require(found.shape == (n_states, n_actions), "reward", found.shape, rule)
            table = found
    exists = ~np.isneginf(table)
    return np.where(exists, table, 0.0), exists


def _averaged(rewards: list[sparse.csr_array], rows: list[sparse.csr_array]) -> Array:
    """Rewards `r(s, a, s')` averaged over the successors, `[S, A]`."""
    fits = len(rewards) == len(rows) and all(r.shape == p.shape for r, p in zip(rewards, rows, strict=False))
    n_states, n_actions = rows[0].shape[0], len(rows)
    by_state = [r.shape for r in rewards] == [(n_actions, n_states)] * n_states
    hint = "; [S, A, S] is another order: pass np.moveaxis(reward, 1, 0)" if by_state else ""
    require(fits, "reward", [r.shape for r in rewards], f"must have the shapes of `transition`{hint}")
    return np.stack([_mean_reward(r, p) for r, p in zip(rewards, rows, strict=True)], axis=1)


def _mean_reward(reward: sparse.csr_array, row: sparse.csr_array) -> Array:
    """Mean `[S]` of the rewards of one action; `-inf` where it does not exist.

    A reward that has probability 0 plays no role, unless all of a state are `-inf`: such rows may be empty.
    """
    n_states = row.shape[0]
    state, successor = row.nonzero()
    terms = row[state, successor] * reward[state, successor]
    mean = np.bincount(state, weights=terms, minlength=n_states)
    listed = reward.tocoo()
    missing = np.bincount(listed.row[np.isneginf(listed.data)], minlength=n_states) == n_states
    return np.where(missing, -np.inf, mean)


def _normalised(row: sparse.csr_array, exists: Mask) -> sparse.csr_array:
    """Rows divided by their sums, with a warning that says how far these were from 1."""
    sums: Array = np.asarray(row.sum(axis=1), dtype=np.float64).ravel()
    usable = exists & (sums > 0)
    warn_of_rescaling(sums[usable], name="transition")
    scale = np.where(usable, 1 / np.where(usable, sums, 1.0), 1.0)
    return sparse.csr_array(row.multiply(scale[:, None]))
