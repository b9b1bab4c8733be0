r"""Exact MDPs over the rationals: evaluation in two encodings, policy iteration, T* and the residual error.

Tables are tuples of `fmpq` with one entry per pair that exists, in the order of `pairs` (s-major). State
vectors have one entry per state. `from_float` converts a float MDP; `fraction_of` says which rational number
a float stands for. Ball arithmetic is in `verify.arithmetic.balls`.

Example:
    >>> mdp = from_float(TabularMDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.9))
    >>> mdp.gamma, optimal_values(mdp)
    (9/10, (9, 10))
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from flint import fmpq, fmpq_mat
from numpy.typing import NDArray

from virel_common.errors import InputError, require
from virel_theory.mdp.tabular import TabularMDP

Vector = tuple[fmpq, ...]
Row = tuple[tuple[int, fmpq], ...]
MAX_DENOMINATOR = 10_000
ZERO, ONE = fmpq(0), fmpq(1)


@dataclass(frozen=True, eq=False)
class ExactMDP:
    """A finite MDP over the rationals.

    `rows[i]` are the successors `(s', p)` of `pairs[i]`, with p > 0 and a sum of exactly 1. Only with
    `stochastic=False`, for floats taken as given, may rows and `initial` sum to about 1.
    """

    n_states: int
    n_actions: int
    pairs: tuple[tuple[int, int], ...]
    rows: tuple[Row, ...]
    reward: Vector
    gamma: fmpq
    initial: Vector
    stochastic: bool = True

    def __post_init__(self) -> None:
        """Check the discount, that every state has an action, and the distributions."""
        require(0 <= self.gamma < 1, "gamma", str(self.gamma), "must lie in [0, 1)")
        require(all(self.of_state), "mask", self.n_states, "must leave an action in every state")
        if self.stochastic:
            for pair, row in zip(self.pairs, self.rows, strict=True):
                _require_distribution([p for _, p in row], f"transition{list(pair)}")
            _require_distribution(self.initial, "initial")

    @property
    def n_pairs(self) -> int:
        """Number |H| of pairs."""
        return len(self.pairs)

    @cached_property
    def of_state(self) -> tuple[tuple[int, ...], ...]:
        """Indices into `pairs` of the actions of each state, in rising order."""
        out: list[list[int]] = [[] for _ in range(self.n_states)]
        for i, (s, _) in enumerate(self.pairs):
            out[s].append(i)
        return tuple(map(tuple, out))

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """Mask `[S, A]`: True where the action exists."""
        out = np.zeros((self.n_states, self.n_actions), np.bool_)
        for pair in self.pairs:
            out[pair] = True
        return out

    def backup(self, v: Sequence[fmpq]) -> Vector:
        """`r + gamma E[v(s')]` per pair."""
        return tuple(
            r + self.gamma * sum((p * v[t] for t, p in row), ZERO)
            for r, row in zip(self.reward, self.rows, strict=True)
        )

    def mean(self, pi: Sequence[fmpq], table: Sequence[fmpq]) -> Vector:
        """`E_pi[table]` per state."""
        return tuple(sum((pi[i] * table[i] for i in own), ZERO) for own in self.of_state)

    def best(self, table: Sequence[fmpq]) -> Vector:
        """`max_a table` per state."""
        return tuple(max(table[i] for i in own) for own in self.of_state)

    def as_json(self) -> dict[str, Any]:
        """The MDP as plain data, with fractions as strings; `from_json` reads it."""
        return {
            "n_states": self.n_states,
            "n_actions": self.n_actions,
            "gamma": str(self.gamma),
            "initial": [str(p) for p in self.initial],
            "pairs": [
                [s, a, str(r), [[t, str(p)] for t, p in row]]
                for (s, a), r, row in zip(self.pairs, self.reward, self.rows, strict=True)
            ],
        }


def from_json(data: dict[str, Any]) -> ExactMDP:
    """The MDP that `ExactMDP.as_json` wrote. Raises: InputError: if a row does not sum to 1."""
    return ExactMDP(
        n_states=data["n_states"],
        n_actions=data["n_actions"],
        pairs=tuple((s, a) for s, a, _, _ in data["pairs"]),
        rows=tuple(tuple((t, fmpq(p)) for t, p in row) for _, _, _, row in data["pairs"]),
        reward=tuple(fmpq(r) for _, _, r, _ in data["pairs"]),
        gamma=fmpq(data["gamma"]),
        initial=tuple(fmpq(p) for p in data["initial"]),
    )


def fraction_of(x: float) -> fmpq:
    """The fraction p/q with q <= 10^4 of which `x` is the correctly rounded value, else `x` itself.

    For |x| < 10^7 there is at most one such fraction: two of them differ by at least 10^-8. `x` itself is a
    dyadic rational.
    """
    exact = Fraction(float(x))
    simple = exact.limit_denominator(MAX_DENOMINATOR)
    chosen = simple if float(simple) == float(x) else exact
    return fmpq(chosen.numerator, chosen.denominator)


def from_float(mdp: TabularMDP) -> ExactMDP:
    """The rational MDP of which a float64 MDP is the rounded view, by `fraction_of` of every entry.

    Raises: InputError: naming the first row whose fractions do not sum to exactly 1.
    """
    return _convert(mdp, fraction_of)


def as_given(mdp: TabularMDP, *, sign: int = 1) -> ExactMDP:
    """The rational MDP with exactly the numbers of a float64 MDP, for certifying solvers.

    Its rows may sum to 1 within a few ulps only. `sign=-1` negates the rewards.
    """
    exact = _convert(mdp, _dyadic, stochastic=False)
    return exact if sign == 1 else replace(exact, reward=tuple(-r for r in exact.reward))


def fractions(values: Any, *, name: str) -> Vector:
    """Fractions of all entries of an array, flattened. Raises: InputError: if one is not finite."""
    flat = np.asarray(values, dtype=np.float64).ravel()
    require(bool(np.isfinite(flat).all()), name, values, "must be finite")
    return tuple(fraction_of(x) for x in flat)


def table_of(mdp: ExactMDP, values: Any, *, name: str) -> Vector:
    """A float table `[S, A]` as one fraction per pair that exists."""
    array = np.asarray(values, dtype=np.float64)
    require(array.shape == (mdp.n_states, mdp.n_actions), name, array.shape, "must have shape [S, A]")
    return fractions([array[pair] for pair in mdp.pairs], name=name)


def policy_of(mdp: ExactMDP, values: Any, *, name: str) -> Vector:
    """A float policy `[S, A]` as one fraction per pair that exists.

    Raises: InputError: if the probabilities of a state do not sum to exactly 1.
    """
    pi = table_of(mdp, values, name=name)
    for s, own in enumerate(mdp.of_state):
        _require_distribution([pi[i] for i in own], f"{name}[{s}]")
    return pi


def distribution_of(values: Any, *, name: str) -> Vector:
    """A float distribution as fractions. Raises: InputError: if it does not sum to exactly 1."""
    d = fractions(values, name=name)
    _require_distribution(d, name)
    return d


def evaluate_states(mdp: ExactMDP, pi: Sequence[fmpq]) -> Vector:
    """State values V^pi, from the S x S system `(I - gamma P_pi) v = r_pi`."""
    return solve_states(mdp, pi, mdp.mean(pi, mdp.reward))


def solve_states(mdp: ExactMDP, pi: Sequence[fmpq], right: Sequence[fmpq]) -> Vector:
    """Solution v of the system `(I - gamma P_pi) v = right`."""
    return _solve(_states_system(mdp, pi), right)


def visits(mdp: ExactMDP, pi: Sequence[fmpq]) -> Vector:
    """Discounted visits of states under a policy, the solution of `rho = p_0 + gamma P_pi^T rho`."""
    return _solve(list(zip(*_states_system(mdp, pi), strict=True)), mdp.initial)


def _states_system(mdp: ExactMDP, pi: Sequence[fmpq]) -> list[list[fmpq]]:
    """The matrix `I - gamma P_pi` over states."""
    n = mdp.n_states
    matrix = [[ONE if s == t else ZERO for t in range(n)] for s in range(n)]
    for (s, _), row, weight in zip(mdp.pairs, mdp.rows, pi, strict=True):
        for t, p in row:
            matrix[s][t] -= mdp.gamma * weight * p
    return matrix


def evaluate_pairs(mdp: ExactMDP, pi: Sequence[fmpq]) -> Vector:
    """Q^pi in the other encoding, from the |H| x |H| system `(I - gamma P Pi) q = r`."""
    n = mdp.n_pairs
    matrix = [[ONE if i == j else ZERO for j in range(n)] for i in range(n)]
    for i, row in enumerate(mdp.rows):
        for t, p in row:
            for j in mdp.of_state[t]:
                matrix[i][j] -= mdp.gamma * p * pi[j]
    return _solve(matrix, mdp.reward)


def greedy_sets(mdp: ExactMDP, q: Sequence[fmpq]) -> tuple[tuple[int, ...], ...]:
    """Maximising pairs of each state, all of them where there are ties."""
    return tuple(
        tuple(i for i in own if q[i] == top) for own, top in zip(mdp.of_state, mdp.best(q), strict=True)
    )


def first_greedy(mdp: ExactMDP, q: Sequence[fmpq]) -> tuple[int, ...]:
    """First maximising pair of each state."""
    return tuple(ties[0] for ties in greedy_sets(mdp, q))


def deterministic(mdp: ExactMDP, chosen: Sequence[int]) -> Vector:
    """Deterministic policy that takes the pairs `chosen`."""
    return tuple(ONE if i in set(chosen) else ZERO for i in range(mdp.n_pairs))


def uniform_over(mdp: ExactMDP, sets: Sequence[Sequence[int]]) -> Vector:
    """Policy that is uniform over the given set of pairs of each state."""
    weight = {i: fmpq(1, len(own)) for own in sets for i in own}
    return tuple(weight.get(i, ZERO) for i in range(mdp.n_pairs))


def policy_iteration(
    mdp: ExactMDP, chosen: Sequence[int], *, n_steps: int | None = None
) -> list[tuple[Vector, tuple[int, ...]]]:
    """Steps `(Q^{pi_{k-1}}, pi_k)` of Howard's policy iteration from the pairs `chosen`.

    There are `n_steps` of them or, if that is None, as many as it takes until the policy repeats.
    """
    steps: list[tuple[Vector, tuple[int, ...]]] = []
    current = tuple(chosen)
    while n_steps is None or len(steps) < n_steps:
        q = mdp.backup(evaluate_states(mdp, deterministic(mdp, current)))
        improved = first_greedy(mdp, q)
        steps.append((q, improved))
        if n_steps is None and improved == current:
            break
        current = improved
    return steps


def optimal_values(mdp: ExactMDP) -> Vector:
    """Optimal table Q*, by policy iteration; that `T* Q = Q` is checked before it is returned."""
    q = policy_iteration(mdp, [own[0] for own in mdp.of_state])[-1][0]
    if optimal_backup(mdp, q) != q:
        raise ArithmeticError("policy iteration ended at a table that is not a fixed point of T*")
    return q


def optimal_backup(mdp: ExactMDP, q: Sequence[fmpq]) -> Vector:
    """Optimal backup `T* Q = r + gamma E[max_a Q(s', a)]`."""
    return mdp.backup(mdp.best(q))


def residual_error(mdp: ExactMDP, q: Sequence[fmpq]) -> fmpq:
    r"""Residual error under T*, (2) with p = 2: `eps = 1/(2|H|) sum (T* Q - Q)^2`."""
    squares = [(x - y) ** 2 for x, y in zip(optimal_backup(mdp, q), q, strict=True)]
    return sum(squares, ZERO) / (2 * mdp.n_pairs)


def _solve(matrix: Sequence[Sequence[fmpq]], right: Sequence[fmpq]) -> Vector:
    """Solution of a linear system over the rationals."""
    n = len(right)
    solved = fmpq_mat(n, n, [x for row in matrix for x in row]).solve(fmpq_mat(n, 1, list(right)))
    return tuple(solved[i, 0] for i in range(n))


def _convert(mdp: TabularMDP, number: Any, *, stochastic: bool = True) -> ExactMDP:
    """A float MDP whose entries `number` turns into fractions."""
    csr = mdp.csr_transition
    pairs = tuple((int(s), int(a)) for s, a in np.argwhere(mdp.available))
    rows = []
    for s, a in pairs:
        low, high = csr.indptr[s * mdp.n_actions + a], csr.indptr[s * mdp.n_actions + a + 1]
        entries = zip(csr.indices[low:high], csr.data[low:high], strict=True)
        rows.append(tuple((int(t), number(p)) for t, p in sorted(entries) if p != 0))
    try:
        return ExactMDP(
            mdp.n_states,
            mdp.n_actions,
            pairs,
            tuple(rows),
            tuple(number(mdp.reward[h]) for h in pairs),
            number(mdp.gamma),
            tuple(number(p) for p in mdp.initial),
            stochastic,
        )
    except InputError as error:
        raise InputError(
            f"{error} (a float stands for the simple fraction of which it is the rounded value)"
        ) from None


def _dyadic(x: float) -> fmpq:
    numerator, denominator = float(x).as_integer_ratio()
    return fmpq(numerator, denominator)


def _require_distribution(p: Sequence[fmpq], name: str) -> None:
    total = sum(p, ZERO)
    require(
        total == 1 and all(x >= 0 for x in p),
        name,
        str(total),
        "must not be negative, and must sum to exactly 1",
    )
