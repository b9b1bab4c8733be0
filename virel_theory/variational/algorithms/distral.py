r"""Distral, exact: task policies around one distilled policy, Teh et al. 2017 (arXiv 1707.04175).

$$J(\pi_0, \{\pi_i\}) = \sum_iE_{\pi_i}\Big[\sum_t\gamma^t\big(r_i - \alpha\log(\pi_i/\pi_0^\rho)\big)\Big],
\qquad \alpha = c_{KL} + c_{Ent},\quad \rho = c_{KL}/(c_{KL} + c_{Ent}).$$

The paper's text beyond its introduction was not at hand. The objective was read in notes on it; the
alternation is ours: each block of J is maximised in closed form.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from virel_common.errors import require
from virel_theory.checks import Array, as_temperature
from virel_theory.mdp.tables import require_mdp
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.core.e_step import as_exponent, expected_kl, posterior_policy
from virel_theory.variational.core.iterate import (
    Certified,
    Iterate,
    Iterates,
    as_sweeps,
    certified,
    evaluate,
    first_prior,
    state_distribution,
)
from virel_theory.variational.core.m_steps import prior_distilled
from virel_theory.variational.core.regularised import bellman_regularised
from virel_theory.variational.parts.optimum import (
    regularised_optimum,
    state_weights,
)


def distral(
    mdps: Sequence[TabularMDP],
    *,
    alpha: float = 1.0,
    exponent: float = 0.5,
    prior: ArrayLike | None = None,
    d: ArrayLike | None = None,
    sweeps: int | None = None,
) -> Iterates:
    r"""Iterates of Distral: one policy per task, and the policy distilled from them, Teh et al. 2017.

    Step k = 1, 2, ..., from $p_0$ = `prior`:

    * V: $Q_i$ is the fixed point of $B_i Q = r_i + \gamma P_i\,\alpha\log\sum_ap_{k-1}^\rho e^{Q/\alpha}$.
      With `sweeps` = n it is $B_i^n$ of the $Q_i$ of the step before, 0 at first.
    * E: $\pi_i = p_{k-1}^\rho e^{Q_i/\alpha}/Z$.
    * M: $p_k(a|s) = \sum_iw_i(s)\pi_i(a|s)/\sum_iw_i(s)$,
      $w_i = (1 - \gamma)\sum_t\gamma^tP(s_t = s|\pi_i)$. With `sweeps` = n it is n backups
      $w \leftarrow (1 - \gamma)p_0^i + \gamma P_{\pi_i}^\top w$ of the $w_i$ of the step before, the task's
      initial distribution $p_0^i$ at first. With `d`, $w_i = d$. Where no task has weight, $w_i(s) = 1$.

    Both blocks are maximisers of J with the other one fixed, so that J never falls (without `sweeps` and
    `d`).
    Deviation: 1. expectations are exact, so that there is no policy memory.

    Args:
        mdps: tasks with the same shape, actions and discount.
        alpha: temperature > 0, reward units.
        exponent: prior exponent rho in [0, 1]: 0 has no distilled policy in the objective, 1 no entropy.
        prior: `[S, A]` first distilled policy; None: uniform over existing actions.
        d: `[S]` weights of states in the M-step and in `kl`; None: the visits, as above.
        sweeps: backups per step; None: exact values and visits.

    Returns: endless iterator of `Iterate`: `q`, `posterior`, `policy` `[N, S, A]` (equal policies), `prior`
        `[S, A]`, shared by the tasks. `kl` is the mean over tasks of $E_{w_i}KL(\pi_i\|p_{k-1})$, `inf`
        where $p_{k-1}$ lacks an action that $\pi_i$ has (rho = 0). `value` and `error` are means over tasks,
        `bound` the largest.
    Raises: InputError: on no task, tasks of different shapes, actions or discounts, or a setting out of
        range.

    Example:
        >>> left, right = (TabularMDP([[[1.0], [1.0]]], [r], 0.0) for r in ([1.0, 0.0], [0.0, 1.0]))
        >>> first = next(distral([left, right], alpha=1.0, exponent=1.0))
        >>> first.policy[:, 0, 0].round(4).tolist(), first.prior.tolist()
        ([0.7311, 0.2689], [[0.5, 0.5]])
    """
    tasks = _as_tasks(mdps)
    p = first_prior(prior, tasks[0])
    weights = None if d is None else state_distribution(d, tasks[0])
    temperature, rho = as_temperature(alpha, name="alpha"), as_exponent(exponent)
    return _iterates(tasks, temperature, rho, p=p, d=weights, sweeps=as_sweeps(sweeps))


def _iterates(
    tasks: list[TabularMDP], alpha: float, rho: float, *, p: Array, d: Array | None, sweeps: int | None
) -> Iterates:
    """Yield Distral's steps; the arguments are checked."""
    q = np.stack([np.where(task.available, 0.0, -np.inf) for task in tasks])
    w, v = np.stack([task.initial for task in tasks]), np.zeros((len(tasks), tasks[0].n_states))
    step = 0
    while True:
        step += 1
        found = [_e_step(task, x, p, alpha, rho, sweeps) for task, x in zip(tasks, q, strict=True)]
        q, pi = np.stack([x for x, _ in found]), np.stack([x for _, x in found])
        w = np.stack([state_weights(*x, d=d, sweeps=sweeps) for x in zip(tasks, pi, w, strict=True)])
        kl = float(np.mean([expected_kl(x, p, d=y) for x, y in zip(pi, w, strict=True)]))
        p = prior_distilled(pi, weights=w)
        v = np.stack(
            [evaluate(t, policy=x, v=y, sweeps=sweeps) for t, x, y in zip(tasks, pi, v, strict=True)]
        )
        judged = [certified(t, policy=x, v=y) for t, x, y in zip(tasks, pi, v, strict=True)]
        yield Iterate(step, q, pi, p, pi, alpha, kl, *_over_tasks(judged))


def _e_step(
    task: TabularMDP, q: Array, p: Array, alpha: float, rho: float, sweeps: int | None
) -> tuple[Array, Array]:
    """Action values of one task, exact or after `sweeps` backups of `q`, and their posterior."""
    if sweeps is None:
        return regularised_optimum(task, prior=p, alpha=alpha, exponent=rho)
    for _ in range(sweeps):
        q = bellman_regularised(task, q, prior=p, alpha=alpha, exponent=rho)
    return q, posterior_policy(q, prior=p, alpha=alpha, exponent=rho)


def _over_tasks(judged: list[Certified]) -> tuple[float, float, float]:
    """Mean value, mean error and largest bound over tasks."""
    value, error = (float(np.mean([getattr(x, name) for x in judged])) for name in ("value", "error"))
    return value, error, max(x.bound for x in judged)


def _as_tasks(mdps: Sequence[TabularMDP]) -> list[TabularMDP]:
    """Return the tasks as a list: at least one, all with the same shape, actions and discount."""
    is_list = isinstance(mdps, Sequence) and not isinstance(mdps, str | bytes)
    require(is_list, "mdps", mdps, "must be a list of MDPs, one per task")
    tasks = list(mdps)
    require(len(tasks) > 0, "mdps", tasks, "must have at least one task")
    for i, task in enumerate(tasks):
        require_mdp(task, name=f"mdps[{i}]")
    for i, task in enumerate(tasks):
        first = tasks[0]
        require(
            task.shape == first.shape,
            f"mdps[{i}]",
            task.shape,
            f"must have the shape of mdps[0], {first.shape}",
        )
        same = bool((task.available == first.available).all())
        require(same, f"mdps[{i}]", "others", "must have the actions of mdps[0] in every state")
        require(
            task.gamma == first.gamma,
            f"mdps[{i}]",
            task.gamma,
            f"must have the discount of mdps[0], {first.gamma}",
        )
    return tasks
