r"""Soft Q-learning with exact expectations: soft value iteration, and the Boltzmann policy of every iterate.

The prior is uniform and never moves; prior exponent 0, so that $p^0 = 1$ on all actions that exist.
Enumerated actions need no sampler: the Boltzmann policy is exact.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from virel_theory.checks import Array, as_temperature
from virel_theory.mdp.tables import as_values
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.core.e_step import expected_kl, posterior_policy, soft_maximum
from virel_theory.variational.core.iterate import (
    Iterate,
    as_sweeps,
    certified,
    evaluate,
    first_prior,
    state_distribution,
)
from virel_theory.variational.core.regularised import back_up


def sql(
    mdp: TabularMDP,
    *,
    alpha: float = 1.0,
    v0: ArrayLike | None = None,
    d: ArrayLike | None = None,
    sweeps: int | None = None,
) -> Iterator[Iterate]:
    r"""Soft Q-iteration with the Boltzmann policy of every iterate, Haarnoja et al. 2017, Thm 3.

    From $V_0$ = `v0`, for k = 1, 2, ...

    $$q_k(s, a) = r(s, a) + \gamma E[V_{k-1}(s')], \qquad \pi_k(a|s) = \frac{e^{q_k(s, a)/\alpha}}
    {\sum_b e^{q_k(s, b)/\alpha}}, \qquad V_k(s) = \alpha\log\sum_a e^{q_k(s, a)/\alpha}$$

    E: the Boltzmann policy $\pi_k$, which is `posterior` and `policy`. M: none; `prior` is uniform over the
    actions that exist, in every iterate. V: one soft backup. Dual: none; the temperature is constant. `kl` is
    $E_d KL(\pi_k \| p)$, p the uniform prior. Sums are over the actions that exist.

    Deviation: 1. exact backups in place of gradient steps on sampled ones; 2. sums over actions for
    integrals.

    Args:
        mdp: finite MDP.
        alpha: temperature > 0, reward units per nat.
        v0: `[S]` first values $V_0$; None means 0.
        d: `[S]` distribution over states for `kl`; None is the uniform one.
        sweeps: how the reported return is computed: None solves for $V^{\pi_k}$; an integer n makes n backups
            $T^{\pi_k}$ of the last estimate (0 before step 1). Iterates do not depend on it.

    Returns: the iterates, without end; $\|q_k - q^*\|_\infty$ falls by gamma per step.
    Raises: InputError: if an argument is out of its range, when `sql` is called.

    Example:
        >>> from itertools import islice
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> [x.policy.round(4).tolist() for x in islice(sql(mdp, alpha=1.0), 1)]
        [[[0.7311, 0.2689]]]
    """
    temperature, weights = as_temperature(alpha, name="alpha"), state_distribution(d, mdp)
    v = np.zeros(mdp.n_states) if v0 is None else as_values(v0, mdp, name="v0").copy()
    return _iterates(mdp, temperature, v, weights, as_sweeps(sweeps))


def _iterates(mdp: TabularMDP, alpha: float, v: Array, d: Array, sweeps: int | None) -> Iterator[Iterate]:
    prior, plain, step = first_prior(None, mdp), np.zeros(mdp.n_states), 0
    while True:
        step += 1
        q = back_up(mdp, v)
        pi = posterior_policy(q, prior=prior, alpha=alpha, exponent=0.0)
        v = soft_maximum(q, prior=prior, alpha=alpha, exponent=0.0)
        plain = evaluate(mdp, policy=pi, v=plain, sweeps=sweeps)
        found = certified(mdp, policy=pi, v=plain)
        yield Iterate(
            step=step,
            q=q,
            posterior=pi,
            prior=prior,
            policy=pi,
            temperature=alpha,
            kl=expected_kl(pi, prior, d=d),
            value=found.value,
            error=found.error,
            bound=found.bound,
        )
