"""Optimal values by linear programming: an independent check of the other solvers on small MDPs."""

import numpy as np
from scipy import optimize, sparse

from virel_common.arguments import require_flag
from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.solvers.backups import backups
from virel_theory.solvers.kernels import rows as _rows
from virel_theory.solvers.problem import Problem, problem, solution
from virel_theory.solvers.solution import Solution, checked


def linear_program(
    mdp: TabularMDP, *, atol: float, rtol: float = 0.0, sense: str = "max", throw: bool = False
) -> Solution:
    r"""Optimal values as the least superharmonic function, Puterman 1994, Section 6.9.

    $$\min \sum_s V(s) \text{ subject to } V(s) \ge r(s, a) + \gamma\sum_{s'}p(s'|s, a)V(s')$$

    HiGHS works to its own feasibility tolerance (1e-7, here of the largest reward): its V is only a
    candidate. The `error_bound` is that of one certified backup of it, as for every other solver. Where HiGHS
    finds none, near gamma 1, the candidate is the largest reward for ever, which is superharmonic.

    Args:
        mdp: a small MDP: time grows fast beyond some thousand pairs.
        atol: absolute tolerance on the error bound, as in `solve`.
        rtol: relative tolerance, as in `solve`.
        sense: "max" or "min".
        throw: raise `SolverError` unless the tolerance is met.

    Returns:
        A `Solution`; n_steps counts the iterations of HiGHS.

    Raises:
        InputError: as `solve`. SolverError: with `throw`, if the tolerance is not met.

    Example:
        >>> round(linear_program(TabularMDP([[[1.0]]], [[1.0]], 0.5), atol=1e-6).value.item(), 6)
        2.0
    """
    require_flag(throw, name="throw")
    task = problem(mdp, atol=atol, rtol=rtol, sense=sense)
    v, n_steps = _least_superharmonic(task)
    b, w = backups(task), np.empty(mdp.n_states)
    low, high = b.full(v, w)
    outcome = task.judge(v, w, low, high)
    _rows.finish(b.q, outcome.shift, w, b.policy)
    return checked(solution(task, (b.q, w, b.policy), outcome, n_steps=n_steps, method="highs"), throw=throw)


def _least_superharmonic(task: Problem) -> tuple[Array, int]:
    """Least superharmonic values `[S]`, the optimum of the primal program, and the iterations of HiGHS."""
    n_states, n_actions = task.reward.shape
    exists = np.isfinite(task.reward.reshape(-1))
    rows = task.transition
    flat = sparse.csr_array(rows.reshape(-1, n_states)) if isinstance(rows, np.ndarray) else rows
    state = np.repeat(np.arange(n_states), n_actions)[exists]
    pick = sparse.csr_array(
        (np.ones(len(state)), (np.arange(len(state)), state)), shape=(len(state), n_states)
    )
    left = pick - task.gamma * flat[np.flatnonzero(exists)]
    reward = task.reward.reshape(-1)[exists]
    scale, own = np.abs(reward).max() or 1.0, left[np.arange(len(state)), state]
    of_own = sparse.diags_array(1 / own)  # HiGHS takes 1 - gamma for 0 where it is below 1e-9
    found = optimize.linprog(  # type: ignore[call-overload]  # the stubs know dense constraints only
        np.ones(n_states),
        A_ub=-(of_own @ left),
        b_ub=-reward / scale / own,
        bounds=(None, None),
        method="highs",
    )
    if found.x is None:
        return np.full(n_states, reward.max() / (1 - task.gamma)), int(found.nit or 0)
    return scale * np.asarray(found.x), int(found.nit)
