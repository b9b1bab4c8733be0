"""Direct evaluation of a mixed policy, with the error bound of `bounds` for a fixed policy."""

import numpy as np

from virel_theory.checks import Array
from virel_theory.mdp.policy_system import SingularError, direct_solver, mix, mixed_rows
from virel_theory.solvers import bounds as cert
from virel_theory.solvers.backups import backups
from virel_theory.solvers.kernels.rows import peak
from virel_theory.solvers.problem import Outcome, Problem, solution
from virel_theory.solvers.solution import Solution

N_REFINEMENTS = 1


def evaluate(task: Problem, pi: Array) -> Solution:
    r"""Evaluate a policy: $V^\pi$ and $Q^\pi$ by a direct solve, with a step of iterative refinement."""
    rows, b, gain = mixed_rows(task.transition, pi), backups(task), mix(pi, task.reward)
    w, solve = np.empty_like(gain), direct_solver(rows, task.gamma)
    try:
        v = solve(gain)
        for _ in range(N_REFINEMENTS):
            b.full(v, w)
            v = v + solve(mix(pi, b.q) - v)
    except SingularError:  # gamma is 1 to rounding: no bound exists, as the status says
        v = gain
    b.full(v, w)
    table, outcome = _judge_policy(task, pi, v, b.q)
    arrays = (table, mix(pi, table), table.argmax(axis=1))
    return solution(task, arrays, outcome, n_steps=1, method="direct")


def _judge_policy(task: Problem, pi: Array, v: Array, q: Array) -> tuple[Array, Outcome]:
    r"""Add MacQueen's shift to the backup `q` of `v`, in place, and bound its distance from $Q^\pi$.

    Returns the shifted table and its `Outcome`.
    """
    n_actions = pi.shape[1]
    slack = cert.row_sum_slack(n_actions)
    beta = cert.contraction_interval(task.gamma, task.n_terms, n_mixed=n_actions)
    n_terms = task.n_terms + n_actions + 4
    eta = cert.backup_error(n_terms, r_max=task.r_max, v_max=peak(v), beta_hi=beta[1]) * (1 + 2 * slack)
    d = mix(pi, q) - v
    found = cert.bracket(float(d.min()), float(d.max()), beta=beta, eta=eta)
    q_max = task.r_max + beta[1] * peak(v) + abs(found.mid)
    bound = cert.total_bound(found.radius, eta=eta, q_max=q_max)
    bound = bound * (1 + slack) + cert.dot_error(n_actions + 6) * q_max
    q += found.mid
    return q, Outcome(bound, 0.0, bound <= task.tolerance(v), exhausted=True)
