"""Direct evaluation of a mixed policy, with the certificate of `bounds` for a fixed policy."""

import numpy as np
from scipy import sparse

from virel_theory.checks import Array
from virel_theory.solvers import bounds as cert
from virel_theory.solvers.linear import direct_solve
from virel_theory.solvers.problem import Problem, Verdict, peak, solution
from virel_theory.solvers.solution import Solution

N_REFINEMENTS = 1


def evaluate(task: Problem, pi: Array) -> Solution:
    r"""V^pi and Q^pi; one step of iterative refinement takes the solver's own error out."""
    rows, b = mixed_rows(task, pi), task.backups()
    v = direct_solve(rows, task.gamma, mix(pi, task.reward))
    w = np.empty_like(v)
    for _ in range(N_REFINEMENTS):
        b.full(v, w)
        v = v + direct_solve(rows, task.gamma, mix(pi, b.q) - v)
    b.full(v, w)
    table, verdict = _judge(task, pi, v, b.q)
    arrays = (table, mix(pi, table), table.argmax(axis=1))
    return solution(task, arrays, verdict, n_steps=1, method="direct")


def _judge(task: Problem, pi: Array, v: Array, q: Array) -> tuple[Array, Verdict]:
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
    return q, Verdict(bound, 0.0, bound <= task.tolerance(peak(v)), exhausted=True)


def mix(pi: Array, table: Array) -> Array:
    """Sum over actions of pi times table; actions without weight may be `-inf`."""
    out: Array = (pi * np.where(pi > 0, table, 0.0)).sum(axis=1)
    return out


def mixed_rows(task: Problem, pi: Array) -> Array | sparse.csr_array:
    """P_pi `[S, S]`, in the format of the transition."""
    n_states, n_actions = pi.shape
    if isinstance(task.transition, np.ndarray):
        out: Array = np.einsum("sa,sat->st", pi, task.transition)
        return out
    parts = (pi.reshape(-1), np.arange(n_states * n_actions), np.arange(n_states + 1) * n_actions)
    mixer = sparse.csr_array(parts, shape=(n_states, n_states * n_actions))
    return sparse.csr_array(mixer @ task.transition)
