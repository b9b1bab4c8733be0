r"""Entropy-regularised MDPs: soft value iteration and soft policy iteration with guaranteed bounds.

The soft operator $T_c V(s) = c\log\sum_a\exp(Q_V(s, a)/c)$ is monotone, and $T_c(V + k) = T_cV + \gamma k$
for constants k (row sums of exactly 1): that is all that the bounds of `bounds` use. They hold with the
rounding of the soft maximum added to that of the backup.

Rounding of $c\log\sum_a e^{q_a/c}$, computed as $m + c\log\sum_a e^{x_a}$ with $m = \max q$ and
$x_a = (q_a - m)/c \le 0$, exp and log within 4 ulp (8u): $x_a$ is off by $2u|x_a|$, which moves the sum S by
$\sum 2u|x_a|e^{x_a} \le 2uA/e$; exp adds $8uS$, the additions $(A - 1)uS$. As $S \ge 1$, log S is off by
$(2A + 8)u + 8u\log A$; times c, plus one rounding of the product and one of the sum: at most
$cu(2A + 10 + 10\log A) + u|V|$. `soft_error` takes twice the constants.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Unpack

import numpy as np

from virel_common.arguments import require_flag
from virel_theory.checks import Array, as_temperature
from virel_theory.mdp.policy_system import direct_solve, mix, mixed_rows
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.operators import kernels
from virel_theory.operators.policies import entropy
from virel_theory.solvers import bounds as cert
from virel_theory.solvers.backups import Backups, backups
from virel_theory.solvers.kernels.rows import peak
from virel_theory.solvers.point import default_steps
from virel_theory.solvers.problem import (
    Outcome,
    Problem,
    SolveOptions,
    check_scale,
    check_steps,
    problem,
    solution,
)
from virel_theory.solvers.solution import Solution, checked

SoftAdvance = Callable[["_SoftPoint", float], None]
"""Step of a soft method from one point to the next, given the shift of the outcome there."""


def soft_value_iteration(
    mdp: TabularMDP, *, c: float, atol: float, **options: Unpack[SolveOptions]
) -> Solution:
    r"""Soft optimal values $Q = r + \gamma P\,c\log\sum_a e^{Q/c}$ by value iteration, Haarnoja et al. 2017.

    MacQueen's shift is added at every step.

    Args:
        mdp: the MDP.
        c: temperature > 0, reward units per nat of entropy.
        atol: absolute tolerance on the error bound, reward units.
        options: `rtol`, `sense`, `max_steps` (sweeps) and `throw`, as in `solve`.

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
    return _iterate(mdp, c, _advance_values, method="soft-vi", atol=atol, **options)


def soft_policy_iteration(
    mdp: TabularMDP, *, c: float, atol: float = 1e-9, **options: Unpack[SolveOptions]
) -> Solution:
    r"""Soft optimal values by policy iteration (Newton's method), Haarnoja et al. 2018, Section 4.2.

    Every step solves $(I - \gamma P_\pi)V = r_\pi + c\mathcal H(\pi)$ for $\pi \propto e^{Q/c}$ directly.

    Args:
        mdp: the MDP.
        c: temperature > 0, reward units per nat of entropy.
        atol: absolute tolerance on the error bound, reward units.
        options: `rtol`, `sense`, `max_steps` (improvement steps) and `throw`, as in `solve`.

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
    return _iterate(mdp, c, _advance_policy, method="soft-pi", atol=atol, **options)


@dataclass(frozen=True, eq=False)
class _SoftPoint:
    """State of a soft method: values `v` and their soft backup `w` at temperature `c`.

    `b` makes backups of `task`.
    """

    task: Problem
    b: Backups
    v: Array
    w: Array
    c: float


def _iterate(
    mdp: TabularMDP,
    c: float,
    advance: SoftAdvance,
    *,
    method: str,
    atol: float,
    rtol: float = 0.0,
    sense: str = "max",
    max_steps: int | None = None,
    throw: bool = False,
) -> Solution:
    """Run a soft method: certified soft backups alternate with `advance` until done or out of steps."""
    require_flag(throw, name="throw")
    task = problem(mdp, atol=atol, rtol=rtol, sense=sense)
    temperature = as_temperature(c, name="c")
    gain = task.r_max + temperature * float(np.log(task.reward.shape[1]))
    check_scale(gain, task.gamma, name="c", what="(max|r| + c log A)")
    check_steps(max_steps)
    last = default_steps(task.gamma) if max_steps is None else max_steps
    n_states = len(task.reward)
    x = _SoftPoint(task, backups(task), np.zeros(n_states), np.empty(n_states), temperature)
    for step in range(1, last + 1):
        x.b.full(x.v, x.w)
        kernels.soft_max(x.b.q, temperature, x.w)
        outcome = _judge_soft(x)
        if outcome.met or outcome.exhausted or step == last:
            break
        advance(x, outcome.shift)
    x.b.q[:] += outcome.shift
    kernels.soft_max(x.b.q, temperature, x.w)
    arrays = (x.b.q, x.w, x.b.q.argmax(axis=1))
    return checked(solution(task, arrays, outcome, n_steps=step, method=method), throw=throw)


def soft_error(n_actions: int, *, c: float, v_max: float) -> float:
    """Bound on the rounding error of a computed soft maximum, for values up to `v_max` in size."""
    return cert.UNIT * (c * (4 * n_actions + 20 + 20 * float(np.log(n_actions))) + 2 * v_max)


def _judge_soft(x: _SoftPoint) -> Outcome:
    """Guaranteed error of a soft backup: as `Problem.judge`, with the rounding of two soft maxima added.

    One is that of w, the other that of the returned values.
    """
    task, v_max, d = x.task, peak(x.v), x.w - x.v
    rounding = soft_error(x.b.q.shape[1], c=x.c, v_max=max(v_max, peak(x.w)))
    eta = cert.backup_error(task.n_terms, r_max=task.r_max, v_max=v_max, beta_hi=task.beta[1])
    low, high = float(d.min()), float(d.max())
    found = cert.bracket(low, high, beta=task.beta, eta=eta + rounding)
    q_max = task.r_max + task.beta[1] * v_max + abs(found.mid)
    last = 2 * rounding + 4 * cert.UNIT * abs(found.mid)
    bound = cert.total_bound(found.radius, eta=eta + last, q_max=q_max)
    exhausted = high - low <= 2 * (eta + rounding) or not np.isfinite(bound)
    return Outcome(bound, found.mid, bound <= task.tolerance(x.w, found.mid), exhausted)


def _advance_values(x: _SoftPoint, shift: float) -> None:
    """Take a step of soft value iteration, `v <- w + shift`."""
    np.add(x.w, shift, out=x.v)


def _advance_policy(x: _SoftPoint, shift: float) -> None:  # noqa: ARG001  # the same signature as the other
    """Take a step of soft policy iteration: `v <-` the soft values of the last backup's Boltzmann policy."""
    pi = np.empty_like(x.b.q)
    kernels.soft_weights(x.b.q, x.c, pi)
    gain = mix(pi, x.task.reward) + x.c * entropy(pi)
    x.v[:] = direct_solve(mixed_rows(x.task.transition, pi), x.task.gamma, gain)
