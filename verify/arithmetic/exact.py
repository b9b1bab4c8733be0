r"""Finite MDPs in rational numbers: policy evaluation, policy iteration, Bellman backup T*, residual error.

Tables are tuples of `fmpq` with one entry per pair that exists, in the order of `pairs` (s-major). State
vectors have one entry per state. `from_float` converts a float MDP; `fraction_of` says which rational number
a float stands for. Ball arithmetic is in `verify.arithmetic.balls`.

Example:
    >>> mdp = from_float(TabularMDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.9))
    >>> mdp.gamma, optimal_values(mdp)
    (9/10, (9, 10))
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, lru_cache
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
    """Finite MDP whose probabilities, rewards and discount are rational numbers.

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
        """Check that the discount lies in [0, 1), every state has an action, and probabilities sum to 1."""
        require(0 <= self.gamma < 1, "gamma", str(self.gamma), "must lie in [0, 1)")
        require(all(self.of_state), "pairs", self.pairs, f"must cover each of {self.n_states} states")
        if self.stochastic:
            for pair, row in zip(self.pairs, self.rows, strict=True):
                _require_distribution([p for _, p in row], f"transition{list(pair)}")
            _require_distribution(self.initial, "initial")

    @property
    def n_pairs(self) -> int:
        """Number |H| of state-action pairs that exist in the MDP."""
        return len(self.pairs)

    @cached_property
    def of_state(self) -> tuple[tuple[int, ...], ...]:
        """Indices of each state's actions in the list of state-action pairs, in ascending order."""
        out: list[list[int]] = [[] for _ in range(self.n_states)]
        for i, (s, _) in enumerate(self.pairs):
            out[s].append(i)
        return tuple(map(tuple, out))

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """Boolean array `[S, A]`: True where the action exists in the state."""
        out = np.zeros((self.n_states, self.n_actions), np.bool_)
        for pair in self.pairs:
            out[pair] = True
        return out

    def backup(self, v: Sequence[fmpq]) -> Vector:
        """Bellman backup `r + gamma E[v(s')]` of state values v, per state-action pair."""
        return tuple(
            r + self.gamma * sum((p * v[t] for t, p in row), ZERO)
            for r, row in zip(self.reward, self.rows, strict=True)
        )

    def mean(self, pi: Sequence[fmpq], table: Sequence[fmpq]) -> Vector:
        """Expectation `sum_a pi(a|s) f(s, a)` of a table f under a policy pi, per state."""
        return tuple(sum((pi[i] * table[i] for i in own), ZERO) for own in self.of_state)

    def best(self, table: Sequence[fmpq]) -> Vector:
        """Largest entry `max_a f(s, a)` of a table f, per state."""
        return tuple(max(table[i] for i in own) for own in self.of_state)

    def as_json(self) -> dict[str, Any]:
        """Plain data (JSON) of a rational MDP, with fractions as strings, for `from_json` to read."""
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
    """Rebuild a rational MDP from the plain data that `ExactMDP.as_json` wrote.

    Raises: InputError: if a row does not sum to 1.
    """
    return ExactMDP(
        n_states=data["n_states"],
        n_actions=data["n_actions"],
        pairs=tuple((s, a) for s, a, _, _ in data["pairs"]),
        rows=tuple(tuple((t, fmpq(p)) for t, p in row) for _, _, _, row in data["pairs"]),
        reward=tuple(fmpq(r) for _, _, r, _ in data["pairs"]),
        gamma=fmpq(data["gamma"]),
        initial=tuple(fmpq(p) for p in data["initial"]),
    )


@lru_cache(1 << 14)
def fraction_of(x: float) -> fmpq:
    """Fraction p/q with q <= 10^4 that rounds to the float `x`; if there is none, the exact value of `x`.

    For |x| < 10^7 there is at most one such fraction: two of them differ by at least 10^-8. `x` itself is a
    dyadic rational.
    """
    exact = Fraction(float(x))
    simple = exact.limit_denominator(MAX_DENOMINATOR)
    chosen = simple if float(simple) == float(x) else exact
    return fmpq(chosen.numerator, chosen.denominator)


def from_float(mdp: TabularMDP) -> ExactMDP:
    """Convert a float64 MDP to a rational one, reading each float as the simple fraction that rounds to it.

    Each entry is read by `fraction_of`.

    Raises: InputError: naming the first row whose fractions do not sum to exactly 1.
    """
    return _convert(mdp, fraction_of)


def as_given(mdp: TabularMDP, *, sign: int = 1) -> ExactMDP:
    """Convert a float64 MDP to a rational MDP with exactly the same numbers, to certify a solver's result.

    Its rows may sum to 1 within a few ulps only. `sign=-1` negates the rewards.
    """
    exact = _convert(mdp, _dyadic, stochastic=False)
    return exact if sign == 1 else replace(exact, reward=tuple(-r for r in exact.reward))


def fractions(values: Any, *, name: str) -> Vector:
    """Flatten a float array and convert each entry to the simple fraction that rounds to it.

    Raises: InputError: if an entry is not finite.
    """
    flat = np.asarray(values, dtype=np.float64).ravel()
    require(bool(np.isfinite(flat).all()), name, values, "must be finite")
    return tuple(fraction_of(x) for x in flat)


def table_of(mdp: ExactMDP, values: Any, *, name: str) -> Vector:
    """Convert a float table `[S, A]` to simple fractions, one per state-action pair of the MDP."""
    array = np.asarray(values, dtype=np.float64)
    require(array.shape == (mdp.n_states, mdp.n_actions), name, array.shape, "must have shape [S, A]")
    return fractions([array[pair] for pair in mdp.pairs], name=name)


def policy_of(mdp: ExactMDP, values: Any, *, name: str) -> Vector:
    """Convert a float policy `[S, A]` to simple fractions, one per state-action pair of the MDP.

    Raises: InputError: if the probabilities of a state do not sum to exactly 1.
    """
    pi = table_of(mdp, values, name=name)
    for s, own in enumerate(mdp.of_state):
        _require_distribution([pi[i] for i in own], f"{name}[{s}]")
    return pi


def distribution_of(values: Any, *, name: str) -> Vector:
    """Convert a float probability distribution to simple fractions, and check that these sum to exactly 1.

    Raises: InputError: if they do not sum to exactly 1, or one is negative.
    """
    d = fractions(values, name=name)
    _require_distribution(d, name)
    return d


def evaluate_states(mdp: ExactMDP, pi: Sequence[fmpq]) -> Vector:
    """State values V^pi in rational numbers, from the S x S system `(I - gamma P_pi) v = r_pi`."""
    return solve_states(mdp, pi, mdp.mean(pi, mdp.reward))


def solve_states(mdp: ExactMDP, pi: Sequence[fmpq], right: Sequence[fmpq]) -> Vector:
    """Solve `(I - gamma P_pi) v = right` in rational numbers, P_pi the state transitions of a policy pi."""
    return _solve(_states_system(mdp, pi), right)


def visits(mdp: ExactMDP, pi: Sequence[fmpq]) -> Vector:
    """Discounted state visits rho of a policy pi: the rational solution of `rho = p_0 + gamma P_pi^T rho`."""
    return _solve(list(zip(*_states_system(mdp, pi), strict=True)), mdp.initial)


def _states_system(mdp: ExactMDP, pi: Sequence[fmpq]) -> list[list[fmpq]]:
    """Rational matrix `I - gamma P_pi` of a Bellman system, P_pi the state transitions under a policy pi."""
    n = mdp.n_states
    matrix = [[ONE if s == t else ZERO for t in range(n)] for s in range(n)]
    for (s, _), row, weight in zip(mdp.pairs, mdp.rows, pi, strict=True):
        for t, p in row:
            matrix[s][t] -= mdp.gamma * weight * p
    return matrix


def evaluate_pairs(mdp: ExactMDP, pi: Sequence[fmpq]) -> Vector:
    """Action values Q^pi in rational numbers, from the linear system `(I - gamma P Pi) q = r` over pairs."""
    n = mdp.n_pairs
    matrix = [[ONE if i == j else ZERO for j in range(n)] for i in range(n)]
    for i, row in enumerate(mdp.rows):
        for t, p in row:
            for j in mdp.of_state[t]:
                matrix[i][j] -= mdp.gamma * p * pi[j]
    return _solve(matrix, mdp.reward)


def greedy_sets(mdp: ExactMDP, q: Sequence[fmpq]) -> tuple[tuple[int, ...], ...]:
    """Greedy actions of a table in each state, with all ties, as indices of state-action pairs."""
    return tuple(
        tuple(i for i in own if q[i] == top) for own, top in zip(mdp.of_state, mdp.best(q), strict=True)
    )


def first_greedy(mdp: ExactMDP, q: Sequence[fmpq]) -> tuple[int, ...]:
    """First greedy action of a table in each state, as an index of a state-action pair."""
    return tuple(ties[0] for ties in greedy_sets(mdp, q))


def deterministic(mdp: ExactMDP, chosen: Sequence[int]) -> Vector:
    """Deterministic policy that takes the state-action pairs with the indices `chosen`."""
    return tuple(ONE if i in set(chosen) else ZERO for i in range(mdp.n_pairs))


def uniform_over(mdp: ExactMDP, sets: Sequence[Sequence[int]]) -> Vector:
    """Policy that is uniform over a given set of actions in each state."""
    weight = {i: fmpq(1, len(own)) for own in sets for i in own}
    return tuple(weight.get(i, ZERO) for i in range(mdp.n_pairs))


def policy_iteration(
    mdp: ExactMDP, chosen: Sequence[int], *, n_steps: int | None = None
) -> list[tuple[Vector, tuple[int, ...]]]:
    """Run Howard's policy iteration in rational numbers; return its steps `(Q^{pi_{k-1}}, pi_k)`.

    It starts from the deterministic policy that takes the pairs `chosen`. It makes `n_steps` steps or, if
    that is None, as many as it takes until the policy repeats.
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
    """Optimal action values Q* in rational numbers, by policy iteration; `T* Q = Q` is checked at the end."""
    q = policy_iteration(mdp, [own[0] for own in mdp.of_state])[-1][0]
    if optimal_backup(mdp, q) != q:
        raise ArithmeticError("exact policy iteration ended at a table with `T* Q != Q`: a bug in verify")
    return q


def optimal_backup(mdp: ExactMDP, q: Sequence[fmpq]) -> Vector:
    """Optimal Bellman backup `T* Q = r + gamma E[max_a Q(s', a)]` of a rational table."""
    return mdp.backup(mdp.best(q))


def residual_error(mdp: ExactMDP, q: Sequence[fmpq]) -> fmpq:
    r"""Residual error of a table under T*, VIREL's Eq. (2) with p = 2: `1/(2|H|) sum (T* Q - Q)^2`."""
    squares = [(x - y) ** 2 for x, y in zip(optimal_backup(mdp, q), q, strict=True)]
    return sum(squares, ZERO) / (2 * mdp.n_pairs)


def _solve(matrix: Sequence[Sequence[fmpq]], right: Sequence[fmpq]) -> Vector:
    """Solve a linear system with rational coefficients exactly."""
    n = len(right)
    solved = fmpq_mat(n, n, [x for row in matrix for x in row]).solve(fmpq_mat(n, 1, list(right)))
    return tuple(solved[i, 0] for i in range(n))


def _convert(mdp: TabularMDP, number: Any, *, stochastic: bool = True) -> ExactMDP:
    """Convert a float MDP to a rational one by applying the function `number` to every entry."""
    pairs = tuple((int(s), int(a)) for s, a in np.argwhere(mdp.available))
    rows = [tuple((t, number(p)) for t, p in sorted(_successors(mdp, *pair)) if p != 0) for pair in pairs]
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
            f"{error} (each float is read as the fraction p/q, q <= {MAX_DENOMINATOR}, that rounds to it)"
        ) from None


def _successors(mdp: TabularMDP, s: int, a: int) -> Iterable[tuple[int, float]]:
    """Successors of a pair with their probabilities; some may be 0, and a successor may come twice."""
    rows = mdp.transition
    if isinstance(rows, np.ndarray):
        return enumerate(rows[s, a].tolist())
    low, high = rows.indptr[s * mdp.n_actions + a : s * mdp.n_actions + a + 2]
    return zip(rows.indices[low:high].tolist(), rows.data[low:high].tolist(), strict=True)


def _dyadic(x: float) -> fmpq:
    numerator, denominator = float(x).as_integer_ratio()
    return fmpq(numerator, denominator)


def _require_distribution(p: Sequence[fmpq], name: str) -> None:
    total = sum(p, ZERO)
    require(
        total == 1 and all(x >= 0 for x in p),
        name,
        f"the sum {total}",
        "must have no negative entry, and must sum to exactly 1",
    )
