r"""Solvers for discounted MDPs; every `Solution` carries a guaranteed bound (derived in `_certificate`).

| method | name | good for |
| --- | --- | --- |
| `vi` | value iteration, stopped by the span | fast-mixing MDPs |
| `pi` | policy iteration, direct inner solves | small MDPs, gamma close to 1 |
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.sparse import linalg as sparse_linalg

from virel_theory import _certificate as cert
from virel_theory._validate import Array, as_policy, as_table, require
from virel_theory.mdp import TabularMDP
from virel_theory.solution import Solution, SolverError, Status, checked

__all__ = [
    "Solution",
    "SolverError",
    "Status",
    "policy_evaluation",
    "policy_iteration",
    "policy_iteration_iterates",
    "solve",
    "value_iteration",
    "value_iteration_iterates",
]

METHODS = ("vi", "pi")


def solve(
    mdp: TabularMDP,
    *,
    atol: float,
    rtol: float = 0.0,
    method: str = "auto",
    sense: str = "max",
    max_steps: int | None = None,
    throw: bool = False,
) -> Solution:
    r"""Optimal values $Q^* = T^* Q^*$ with a guaranteed error bound, Puterman 1994, Chapter 6.

    Args:
        mdp: the MDP; its arrays are taken as given, exactly.
        atol, rtol: the bound to reach is `atol + rtol * max|Q|`, in reward units.
        method: one of `METHODS`, or "auto".
        sense: "max" (rewards) or "min" (costs).
        max_steps: sweeps or improvement steps; None: a limit that is safe for the method.
        throw: raise `SolverError` unless the tolerance is met.

    Returns: a `Solution`; its `error_bound` is true whatever the status says.
    Raises: InputError: on an unknown method or sense, or tolerances that are negative or not finite.
        SolverError: with `throw`, if the tolerance is not met.

    Example:
        >>> mdp = TabularMDP([[[1.0]], ], [[1.0]], 0.5)
        >>> solve(mdp, atol=1e-9).value.tolist()
        [2.0]
    """
    require(
        method == "auto" or method in METHODS, "method", method, f"must be 'auto' or one of {list(METHODS)}"
    )
    if method == "auto":
        method = "pi" if mdp.n_states <= 2000 else "vi"
    run = {"vi": value_iteration, "pi": policy_iteration}[method]
    return run(mdp, atol=atol, rtol=rtol, sense=sense, max_steps=max_steps, throw=throw)


def value_iteration(
    mdp: TabularMDP,
    *,
    atol: float,
    rtol: float = 0.0,
    sense: str = "max",
    max_steps: int | None = None,
    throw: bool = False,
) -> Solution:
    r"""Optimal values by value iteration $V \leftarrow T^* V$ stopped by the span of the residual, Puterman 1994, Section 6.6.

    Args, Returns, Raises: as `solve`.
    Example:
        >>> value_iteration(TabularMDP([[[1.0]]], [[1.0]], 0.5), atol=1e-9).q.tolist()
        [[2.0]]
    """
    problem = _problem(mdp, atol=atol, rtol=rtol, sense=sense, max_steps=max_steps, default_steps=100_000)
    v = np.zeros(mdp.n_states)
    best = np.inf
    stale = 0
    for step in range(1, problem.max_steps + 1):
        table, bound, q_v = problem.certify(v)
        if problem.within(bound, table) or stale >= 50:
            break
        stale = 0 if bound < best * 0.999 else stale + 1
        best = min(best, bound)
        v = q_v.max(axis=1)
    return checked(problem.solution(table, bound, step, "vi", stalled=stale >= 50), throw=throw)


def policy_iteration(
    mdp: TabularMDP,
    *,
    atol: float = 1e-9,
    rtol: float = 0.0,
    sense: str = "max",
    max_steps: int | None = None,
    throw: bool = False,
) -> Solution:
    r"""Optimal values by policy iteration with direct solves of $(I - \gamma P_\pi)V = r_\pi$, Puterman 1994, Section 6.4.

    Args, Returns, Raises: as `solve`.
    Example:
        >>> policy_iteration(TabularMDP([[[1.0]]], [[1.0]], 0.5)).value.tolist()
        [2.0]
    """
    problem = _problem(mdp, atol=atol, rtol=rtol, sense=sense, max_steps=max_steps, default_steps=1000)
    policy = problem.reward.argmax(axis=1)
    for step in range(1, problem.max_steps + 1):
        v = _policy_values(problem, policy)
        table, bound, q_v = problem.certify(v)
        improved = _improve(q_v, policy)
        done = bool((improved == policy).all())
        if problem.within(bound, table) or done:
            break
        policy = improved
    return checked(problem.solution(table, bound, step, "pi", stalled=done), throw=throw)


def policy_evaluation(
    mdp: TabularMDP, *, pi: ArrayLike, atol: float = 1e-9, rtol: float = 0.0, throw: bool = False
) -> Solution:
    r"""Values of a policy, $Q^\pi = T^\pi Q^\pi$, by a direct solve, Eq. (1).

    Args:
        mdp: the MDP.
        pi: `[S, A]` policy, zero where the action does not exist.
        atol, rtol: tolerance, as in `solve`.
        throw: raise `SolverError` unless the tolerance is met.

    Returns: a `Solution` with `q` = Q^pi, `value` = V^pi and `policy` = the greedy improvement of pi; `error_bound` bounds both tables.
    Raises: InputError: if `pi` is no policy. SolverError: with `throw`, if the tolerance is not met.
    Example:
        >>> policy_evaluation(TabularMDP([[[1.0]]], [[1.0]], 0.5), pi=[[1.0]]).value.tolist()
        [2.0]
    """
    problem = _problem(mdp, atol=atol, rtol=rtol, sense="max", max_steps=1, default_steps=1)
    weights = as_policy(pi, mdp, name="pi")
    v = _mixed_values(mdp, weights)
    table, bound = problem.certify_policy(v, weights)
    value = _mix(weights, table)
    out = problem.solution(table, bound, 1, "direct", stalled=True)
    return checked(Solution(value, out.q, out.policy, out.status, 1, bound, "direct"), throw=throw)


def policy_iteration_iterates(
    mdp: TabularMDP, *, policy0: ArrayLike, n_steps: int, tie_tol: float = 0.0
) -> list[tuple[np.ndarray, Array]]:
    r"""Iterates $(\pi_k, Q^{\pi_k})$ of textbook policy iteration, Puterman 1994, Section 6.4.

    Args:
        mdp: the MDP.
        policy0: `[S]` first policy, one existing action a state.
        n_steps: number of improvement steps; the list has `n_steps + 1` entries.
        tie_tol: actions within this of the maximum (reward units) count as tied; the lowest index is taken.

    Returns: list of `(policy [S], q [S, A])`; q within rounding of a direct solve.
    Raises: InputError: if `policy0` takes an action that does not exist, or `n_steps` or `tie_tol` is negative.
    Example:
        >>> [p.tolist() for p, q in policy_iteration_iterates(TabularMDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5), policy0=[0], n_steps=1)]
        [[0], [1]]
    """
    policy = _as_actions(policy0, mdp)
    require(n_steps >= 0, "n_steps", n_steps, "must be non-negative")
    require(0 <= tie_tol < np.inf, "tie_tol", tie_tol, "must be non-negative and finite")
    problem = _problem(mdp, atol=0.0, rtol=0.0, sense="max", max_steps=None, default_steps=1)
    out = []
    for _ in range(n_steps + 1):
        q = problem.backup(_policy_values(problem, policy))
        out.append((policy, q))
        policy = (q >= q.max(axis=1, keepdims=True) - tie_tol).argmax(axis=1)
    return out


def value_iteration_iterates(mdp: TabularMDP, *, q0: ArrayLike, n_steps: int) -> list[Array]:
    r"""Iterates $Q_{k+1} = T^* Q_k$ of plain value iteration, Puterman 1994, Section 6.3.

    Args: mdp: the MDP. q0: `[S, A]` first table. n_steps: number of applications of T*.
    Returns: list of `n_steps + 1` tables `[S, A]`, the first a copy of `q0`; one backup's rounding a step.
    Raises: InputError: if `q0` is no finite table, or `n_steps` is negative.
    Example:
        >>> [float(q[0, 0]) for q in value_iteration_iterates(TabularMDP([[[1.0]]], [[1.0]], 0.5), q0=[[0.0]], n_steps=2)]
        [0.0, 1.0, 1.5]
    """
    require(n_steps >= 0, "n_steps", n_steps, "must be non-negative")
    problem = _problem(mdp, atol=0.0, rtol=0.0, sense="max", max_steps=None, default_steps=1)
    out = [as_table(q0, mdp, name="q0").copy()]
    for _ in range(n_steps):
        out.append(problem.backup(out[-1].max(axis=1)))
    return out


@dataclass(frozen=True, eq=False)
class _Problem:
    """A maximisation problem with checked arguments; `reward` is `-inf` where the action does not exist."""

    mdp: TabularMDP
    reward: Array
    sign: float
    atol: float
    rtol: float
    max_steps: int
    n_terms: int
    r_max: float

    def backup(self, v: Array) -> Array:
        out: Array = self.reward + self.mdp.gamma * self.mdp.expect_next(v)
        return out

    def certify(self, v: Array) -> tuple[Array, float, Array]:
        """The shifted table, its error bound, and the plain backup of v."""
        q_v = self.backup(v)
        beta = cert.contraction_interval(self.mdp.gamma, self.n_terms)
        d = q_v.max(axis=1) - v
        eta = cert.backup_error(self.n_terms, r_max=self.r_max, v_max=float(np.abs(v).max()), beta_hi=beta[1])
        found = cert.bracket(float(d.min()), float(d.max()), beta=beta, eta=eta)
        table = q_v + found.mid
        return table, cert.total_bound(found.radius, eta=eta, q_max=_finite_max(table)), q_v

    def certify_policy(self, v: Array, pi: Array) -> tuple[Array, float]:
        n_mixed = self.mdp.n_actions
        q_v = self.backup(v)
        beta = cert.contraction_interval(self.mdp.gamma, self.n_terms, n_mixed=n_mixed)
        d = _mix(pi, q_v) - v
        n_terms = self.n_terms + n_mixed + 2
        eta = cert.backup_error(n_terms, r_max=self.r_max, v_max=float(np.abs(v).max()), beta_hi=beta[1])
        eta *= 1 + cert.row_sum_slack(n_mixed)
        found = cert.bracket(float(d.min()), float(d.max()), beta=beta, eta=eta)
        table = q_v + found.mid
        q_max = _finite_max(table)
        bound = cert.total_bound(found.radius, eta=eta, q_max=q_max)
        return table, bound * (1 + cert.row_sum_slack(n_mixed)) + cert.dot_error(n_mixed + 6) * q_max

    def within(self, bound: float, table: Array) -> bool:
        return bound <= self.tolerance(table)

    def tolerance(self, table: Array) -> float:
        return self.atol + (self.rtol * _finite_max(table) if self.rtol else 0.0)

    def solution(self, table: Array, bound: float, n_steps: int, method: str, *, stalled: bool) -> Solution:
        if self.within(bound, table):
            status = Status.CONVERGED
        elif not np.isfinite(bound):
            status = Status.NOT_CONTRACTING
        else:
            status = Status.ROUNDING_LIMIT if stalled else Status.MAX_STEPS
        policy = table.argmax(axis=1)
        value = table.max(axis=1)
        return Solution(self.sign * value, self.sign * table, policy, status, n_steps, bound, method)


def _problem(
    mdp: TabularMDP, *, atol: float, rtol: float, sense: str, max_steps: int | None, default_steps: int
) -> _Problem:
    require(sense in ("max", "min"), "sense", sense, "must be 'max' (rewards) or 'min' (costs)")
    require(0 <= atol < np.inf, "atol", atol, "must be non-negative and finite")
    require(0 <= rtol < np.inf, "rtol", rtol, "must be non-negative and finite")
    steps = default_steps if max_steps is None else max_steps
    require(steps >= 1, "max_steps", max_steps, "must be at least 1")
    sign = 1.0 if sense == "max" else -1.0
    reward = sign * mdp.reward
    r_max = float(np.abs(reward).max())
    if mdp.mask is not None:
        reward = np.where(mdp.mask, reward, -np.inf)
    return _Problem(mdp, reward, sign, float(atol), float(rtol), steps, _row_length(mdp), r_max)


def _row_length(mdp: TabularMDP) -> int:
    if isinstance(mdp.transition, np.ndarray):
        return int(np.count_nonzero(mdp.transition, axis=2).max())
    return int(np.diff(mdp.transition.indptr).max())


def _finite_max(table: Array) -> float:
    return float(np.abs(table, where=np.isfinite(table), out=np.zeros_like(table)).max())


def _mix(pi: Array, table: Array) -> Array:
    out: Array = (pi * np.where(pi > 0, table, 0.0)).sum(axis=1)
    return out


def _improve(q: Array, policy: np.ndarray) -> np.ndarray:
    """Greedy actions; the old one stays unless another is better by more than rounding (so that PI cannot cycle)."""
    states = np.arange(len(policy))
    margin = 1e-12 * (1 + np.abs(q[states, policy]))
    return np.where(q.max(axis=1) > q[states, policy] + margin, q.argmax(axis=1), policy)


def _policy_values(problem: _Problem, policy: np.ndarray) -> Array:
    states = np.arange(problem.mdp.n_states)
    reward = problem.reward[states, policy]
    transition = problem.mdp.transition
    if isinstance(transition, np.ndarray):
        return np.linalg.solve(np.eye(len(states)) - problem.mdp.gamma * transition[states, policy], reward)
    rows = transition[states * problem.mdp.n_actions + policy]
    return _sparse_solve(problem.mdp.gamma, sparse.csr_array(rows), reward)


def _mixed_values(mdp: TabularMDP, pi: Array) -> Array:
    reward = (pi * mdp.reward).sum(axis=1)
    transition = mdp.transition
    if isinstance(transition, np.ndarray):
        matrix = np.eye(mdp.n_states) - mdp.gamma * np.einsum("sa,sat->st", pi, transition)
        return np.linalg.solve(matrix, reward)
    n_states, n_actions = mdp.shape
    parts = (pi.ravel(), np.arange(n_states * n_actions), np.arange(n_states + 1) * n_actions)
    mixer = sparse.csr_array(parts, shape=(n_states, n_states * n_actions))
    return _sparse_solve(mdp.gamma, sparse.csr_array(mixer @ transition), reward)


def _sparse_solve(gamma: float, rows: sparse.csr_array, reward: Array) -> Array:
    matrix = sparse.csc_array(sparse.eye_array(len(reward), format="csr") - gamma * rows)
    return np.asarray(sparse_linalg.spsolve(matrix, reward)).reshape(len(reward))


def _as_actions(policy: ArrayLike, mdp: TabularMDP) -> np.ndarray:
    actions = np.asarray(policy)
    require(
        actions.dtype.kind in "iu" and actions.shape == (mdp.n_states,),
        "policy0",
        actions.shape,
        "must be [S] integers",
    )
    require(
        bool(((actions >= 0) & (actions < mdp.n_actions)).all()),
        "policy0",
        actions,
        "must hold actions in [0, A)",
    )
    ok = mdp.available[np.arange(mdp.n_states), actions]
    require(
        bool(ok.all()),
        "policy0",
        f"a missing action in state {int(np.argmin(ok))}",
        "must take actions that exist",
    )
    return actions.astype(np.intp)
