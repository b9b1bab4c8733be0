r"""RERPI, relative entropy regularized policy iteration, exact on finite MDPs (Abdolmaleki et al. 2018)."""

import math
from collections.abc import Callable
from itertools import count

import numpy as np
from numpy.typing import ArrayLike

from virel_common.errors import require
from virel_theory.checks import Array, is_one_of
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.core.budget import as_budget, budget_temperature, tempered_posterior
from virel_theory.variational.core.e_step import expected_kl
from virel_theory.variational.core.iterate import (
    Iterate,
    Iterates,
    as_sweeps,
    certified,
    evaluate,
    first_prior,
    state_distribution,
)
from virel_theory.variational.core.m_steps import prior_trust_region
from virel_theory.variational.core.regularised import back_up
from virel_theory.variational.parts.rank_weights import rank_posterior, tie_tolerance

WEIGHTS = ("exp", "rank")


def rerpi(
    mdp: TabularMDP,
    *,
    weights: str = "exp",
    epsilon: float = 0.1,
    trust: float = 0.001,
    prior: ArrayLike | None = None,
    d: ArrayLike | None = None,
    sweeps: int | None = None,
) -> Iterates:
    r"""Iterates of RERPI with all actions in place of samples, RERPI, Algorithm 2.

    With $\pi_0$ the `prior` and $V_0 = V^{\pi_0}$ (by `sweeps` backups from 0, if given), for k = 1, 2, ...:

    - V: $Q_k(s, a) = r + \gamma E_{s'}[V_{k-1}]$.
    - E, weights "exp": $q_k(a|s) \propto \pi_{k-1}(a|s)e^{Q_k(s,a)/\eta_k}$, with $\eta_k$ the root of
      $E_d[KL(q_k\|\pi_{k-1})] = \epsilon$; if the limit $\eta \to 0$ spends at most epsilon, it is taken and
      $\eta_k = 0$.
    - E, weights "rank": $q_k(a|s) \propto \pi_{k-1}(a|s)\ln((N_s + \frac12)/i)$, i = 1 for the best of the
      $N_s$ existing actions of s. Sorted by $Q_k$, an action at most $\tau_k$ below the one before it is
      tied with it; tied actions share the mean of their ranks' weights. Here $\tau_k$ is $10^{-10}$ times
      half the largest spread $\max_aQ_k - \min_aQ_k$ of a state, plus 32 ulps of $\max|Q_k|$. There is no
      temperature: it is nan.
    - M: $\pi_k = (q_k + \lambda\pi_{k-1})/(1 + \lambda)$, the maximiser of $E_d E_{q_k}[\log\pi]$ under
      $E_d[KL(\pi_{k-1}\|\pi)] \le trust$; $\lambda = 0$ if that meets the bound.
    - $V_k = V^{\pi_k}$, or `sweeps` backups $T^{\pi_k}$ from $V_{k-1}$.

    Deviation: 1. a finite policy has no mean and variance to decouple: see `gaussian_m_step`.

    Args:
        mdp: finite MDP, S states and A actions.
        weights: "exp" or "rank".
        epsilon: KL budget of the E-step > 0, in nats (weights "exp").
        trust: bound of the M-step > 0, in nats.
        prior: `[S, A]` first policy; uniform over existing actions if None.
        d: `[S]` state distribution; uniform if None.
        sweeps: backups per evaluation; exact evaluation if None.

    Returns: an endless iterator; the acting policy is the prior after the M-step.
    Raises: InputError: if an argument is out of range, when the function is called.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5)
        >>> first = next(rerpi(mdp, epsilon=0.1, trust=10.0))
        >>> round(first.kl, 12), first.policy.round(3).tolist()
        (0.1, [[0.28, 0.72]])
    """
    require(is_one_of(weights, WEIGHTS), "weights", weights, f"must be one of {', '.join(WEIGHTS)}")
    budget, bound = as_budget(epsilon), as_budget(trust, name="trust")
    start, visits, n = first_prior(prior, mdp), state_distribution(d, mdp), as_sweeps(sweeps)

    def e_step(q: Array, old: Array) -> tuple[Array, float]:
        if weights == "rank":
            return rank_posterior(q, prior=old, tie_tol=tie_tolerance(q)), math.nan
        eta = budget_temperature(q, prior=old, d=visits, epsilon=budget).eta
        return tempered_posterior(q, prior=old, eta=eta), eta

    return _iterates(mdp, start, e_step, visits, bound, n)


def _iterates(
    mdp: TabularMDP,
    policy: Array,
    e_step: Callable[[Array, Array], tuple[Array, float]],
    d: Array,
    trust: float,
    sweeps: int | None,
) -> Iterates:
    v = evaluate(mdp, policy=policy, v=np.zeros(mdp.n_states), sweeps=sweeps)
    for step in count(1):
        q = back_up(mdp, v)
        posterior, eta = e_step(q, policy)
        new = prior_trust_region(posterior, prior=policy, d=d, epsilon=trust)
        kl = expected_kl(posterior, policy, d=d)
        v = evaluate(mdp, policy=new, v=v, sweeps=sweeps)
        found = certified(mdp, policy=new, v=v)
        yield Iterate(step, q, posterior, new, new, eta, kl, found.value, found.error, found.bound)
        policy = new
