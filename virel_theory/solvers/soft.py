r"""Entropy-regularised MDPs: soft value iteration and soft policy iteration with guaranteed bounds.

The soft operator $T_c V(s) = c\log\sum_a\exp(Q_V(s, a)/c)$ is monotone, and $T_c(V + k) = T_cV + \gamma k$
for constants k (row sums of exactly 1): all that the bounds of `bounds` use. They hold with the
rounding of the soft maximum added to that of the backup.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from virel_theory.checks import Array, as_temperature, require
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.operators import soft_kernels
from virel_theory.operators.policies import entropy
from virel_theory.solvers import bounds as cert
from virel_theory.solvers.backups import Backups
from virel_theory.solvers.evaluate import mix, mixed_rows
from virel_theory.solvers.linear import direct_solve
from virel_theory.solvers.policy_methods import default_steps
from virel_theory.solvers.problem import Problem, Verdict, check_scale, peak, problem, solution
from virel_theory.solvers.solution import Solution, checked

Step = Callable[["_Run", float], None]


def soft_value_iteration(
    mdp: TabularMDP,
    *,
    c: float,
    atol: float,
    rtol: float = 0.0,
    sense: str = "max",
    max_steps: int | None = None,
    throw: bool = False,
) -> Solution:
    r"""Soft optimal values $Q = r + \gamma P\,c\log\sum_a e^{Q/c}$ by value iteration, Haarnoja et al. 2017.

    MacQueen's shift is added at every step.

    Args:
        mdp: the MDP.
        c: temperature > 0, reward units per nat of entropy.
        atol: absolute tolerance on the error bound, reward units.
        rtol: tolerance relative to max|V|.
        sense: "max" (rewards) or "min" (costs).
        max_steps: sweeps at most.
        throw: raise `SolverError` unless the tolerance is met.

    Returns:
        A `Solution` whose `value` is the soft value; `policy` is the mode of the soft policy (`merl_policy(q,
        c=c)`). `error_bound` bounds the error of both tables.

    Raises:
        InputError: if `c` is not positive and finite, or as `solve`.
        SolverError: with `throw`, if the tolerance is not met.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.5)
        >>> soft_value_iteration(mdp, c=1.0, atol=1e-9).value.round(9).tolist()  # 2 log 2
        [1.386294361]
    """
    task = problem(mdp, atol=atol, rtol=rtol, sense=sense)
    return checked(_iterate(task, c, max_steps, _advance_values, "soft-vi"), throw=throw)


def soft_policy_iteration(
    mdp: TabularMDP,
    *,
    c: float,
    atol: float = 1e-9,
    rtol: float = 0.0,
    sense: str = "max",
    max_steps: int | None = None,
    throw: bool = False,
) -> Solution:
    r"""Soft optimal values by policy iteration (Newton's method), Haarnoja et al. 2018, Section 4.2.

    Every step solves $(I - \gamma P_\pi)V = r_\pi + c\mathcal H(\pi)$ for $\pi \propto e^{Q/c}$ directly.

    Args:
        mdp: the MDP.
        c: temperature > 0, reward units per nat of entropy.
        atol: absolute tolerance, as in `soft_value_iteration`.
        rtol: relative tolerance, as in `soft_value_iteration`.
        sense: "max" or "min".
        max_steps: improvement steps at most.
        throw: raise `SolverError` unless the tolerance is met.

    Returns:
        A `Solution`, as `soft_value_iteration`.

    Raises:
        InputError: as `soft_value_iteration`.
        SolverError: as `soft_value_iteration`.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.5)
        >>> soft_policy_iteration(mdp, c=1.0).value.round(9).tolist()
        [1.386294361]
    """
    task = problem(mdp, atol=atol, rtol=rtol, sense=sense)
    return checked(_iterate(task, c, max_steps, _advance_policy, "soft-pi"), throw=throw)


@dataclass(frozen=True, eq=False)
class _Run:
    """A point `v`, its soft backup `w`, and what they belong to."""

    task: Problem
    b: Backups
    v: Array
    w: Array
    c: float


def _iterate(task: Problem, c: float, max_steps: int | None, advance: Step, method: str) -> Solution:
    temperature = as_temperature(c, name="c")
    gain = task.r_max + temperature * float(np.log(task.reward.shape[1]))
    check_scale(gain, task.gamma, name="c", what="(max|r| + c log A)")
    require(max_steps is None or max_steps >= 1, "max_steps", max_steps, "must be at least 1")
    last = default_steps(task.gamma) if max_steps is None else max_steps
    n_states = len(task.reward)
    x = _Run(task, task.backups(), np.zeros(n_states), np.empty(n_states), temperature)
    for step in range(1, last + 1):
        x.b.full(x.v, x.w)
        soft_kernels.soft_max(x.b.q, temperature, x.w)
        verdict = _judge(x)
        if verdict.met or verdict.exhausted or step == last:
            break
        advance(x, verdict.shift)
    x.b.q[:] += verdict.shift
    soft_kernels.soft_max(x.b.q, temperature, x.w)
    return solution(task, (x.b.q, x.w, x.b.q.argmax(axis=1)), verdict, n_steps=step, method=method)


def _judge(x: _Run) -> Verdict:
    """`Problem.judge` with the rounding of the soft maximum: of w, and once more of the returned values."""
    task, v_max, d = x.task, peak(x.v), x.w - x.v
    rounding = soft_kernels.soft_error(x.b.q.shape[1], c=x.c, v_max=max(v_max, peak(x.w)))
    eta = cert.backup_error(task.n_terms, r_max=task.r_max, v_max=v_max, beta_hi=task.beta[1])
    low, high = float(d.min()), float(d.max())
    found = cert.bracket(low, high, beta=task.beta, eta=eta + rounding)
    q_max = task.r_max + task.beta[1] * v_max + abs(found.mid)
    last = 2 * rounding + 4 * cert.UNIT * abs(found.mid)
    bound = cert.total_bound(found.radius, eta=eta + last, q_max=q_max)
    exhausted = high - low <= 2 * (eta + rounding) or not np.isfinite(bound)
    return Verdict(bound, found.mid, bound <= task.tolerance(peak(x.w) - abs(found.mid)), exhausted)


def _advance_values(x: _Run, shift: float) -> None:
    np.add(x.w, shift, out=x.v)


def _advance_policy(x: _Run, shift: float) -> None:  # noqa: ARG001  # the same signature as the other
    pi = np.empty_like(x.b.q)
    soft_kernels.soft_weights(x.b.q, x.c, pi)
    gain = mix(pi, x.task.reward) + x.c * entropy(pi)
    x.v[:] = direct_solve(mixed_rows(x.task, pi), x.task.gamma, gain)
