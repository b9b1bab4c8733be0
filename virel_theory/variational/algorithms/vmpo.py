r"""V-MPO, on-policy maximum a posteriori policy optimization, exact on finite MDPs (Song et al. 2019)."""

from collections.abc import Callable
from itertools import count

import numpy as np
from numpy.typing import ArrayLike

from virel_theory.checks import Array, as_non_negative
from virel_theory.mdp.policy_system import mix
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.core.budget import as_budget
from virel_theory.variational.core.e_step import expected_kl
from virel_theory.variational.core.iterate import (
    Iterate,
    Iterates,
    as_sweeps,
    certified,
    evaluate,
    first_prior,
)
from virel_theory.variational.core.regularised import back_up
from virel_theory.variational.parts.joint_fit import joint_m_step
from virel_theory.variational.parts.optimum import state_weights
from virel_theory.variational.parts.rank_weights import tie_tolerance
from virel_theory.variational.parts.top_share import as_share, top_share_posterior, top_share_temperature


def vmpo(
    mdp: TabularMDP,
    *,
    keep: float = 0.5,
    epsilon: float = 0.02,
    eta: float | None = None,
    trust: float | None = None,
    prior: ArrayLike | None = None,
    sweeps: int | None = None,
) -> Iterates:
    r"""Iterates of V-MPO with exact expectations in place of a batch, V-MPO, Section 4.2.

    With $\pi_0$ the `prior` and $V_0 = V^{\pi_0}$ (by `sweeps` backups from 0, if given), for k = 1, 2, ...:

    - V: $Q_k(s, a) = r + \gamma E_{s'}[V_{k-1}]$ and $A_k(s, a) = Q_k(s, a) - E_{\pi_{k-1}}[Q_k(s, \cdot)]$,
      set to 0 where it is at most $\tau_k$ in size: $10^{-10}$ times half the largest spread $\max_aQ_k -
      \min_aQ_k$ of a state, plus 32 ulps of $\max|Q_k|$.
    - Batch: $p_k(s, a) = d_k(s)\pi_{k-1}(a|s)$ with the occupancy
      $d_k = (1 - \gamma)(I - \gamma P_{\pi_{k-1}}^T)^{-1}p_0$, scaled to sum 1. With `sweeps`, $d_k$ is
      $d \leftarrow (1 - \gamma)p_0 + \gamma P_{\pi_{k-1}}^T d$ as many times from $d_{k-1}$, $d_0 = p_0$.
    - Top share: the fractions $f_k(s, a)$ of `top_share`, with ties within the same distance.
    - E: $\psi_k(s, a) \propto p_k f_k e^{A_k/\eta_k}$ over all pairs. $\eta_k$ is `eta` or, if that is None,
      the root of $KL(\psi_k\|p_k f_k/\sum p_k f_k) = \epsilon$; if the limit $\eta \to 0$ spends at most
      epsilon, it is taken and $\eta_k = 0$.
    - M: $\pi_k(a|s) = (\psi_k(s, a) + \lambda d_k(s)\pi_{k-1}(a|s))/(\psi_k(s) + \lambda d_k(s))$ with
      $\lambda$ of `joint_m_step`: the root of $E_{d_k}[KL(\pi_{k-1}\|\pi_k)] = trust$, or 0 if `trust` is
      None. Where the denominator is 0, $\pi_k = \pi_{k-1}$.
    - $V_k = V^{\pi_k}$, or `sweeps` backups $T^{\pi_k}$ from $V_{k-1}$.

    The posterior of an iterate is $\psi_k(a|s)$, or $\pi_{k-1}(a|s)$ where $\psi_k(s) = 0$; its KL is
    $E_{d_k}[KL(\psi_k(\cdot|s)\|\pi_{k-1})]$.

    Args:
        mdp: finite MDP, S states and A actions.
        keep: share of the mass with the largest advantages that is kept, in (0, 1].
        epsilon: KL budget of the E-step > 0, in nats; unused if `eta` is given.
        eta: temperature >= 0, reward units; None: from the budget.
        trust: bound of the M-step > 0, in nats; None: no bound.
        prior: `[S, A]` first policy; uniform over existing actions if None.
        sweeps: backups per evaluation, of values and of the occupancy; exact if None.

    Returns: an endless iterator; the acting policy is the prior after the M-step.
    Raises: InputError: if an argument is out of range, when the function is called.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5)
        >>> next(vmpo(mdp, keep=0.75, eta=1.0)).policy.round(3).tolist()
        [[0.155, 0.845]]
    """
    share, budget, n = as_share(keep), as_budget(epsilon), as_sweeps(sweeps)
    fixed = None if eta is None else as_non_negative(eta, name="eta")
    bound = None if trust is None else as_budget(trust, name="trust")

    def e_step(advantage: Array, mass: Array, tol: float) -> tuple[Array, float]:
        found = fixed
        if found is None:
            found = top_share_temperature(advantage, mass=mass, keep=share, epsilon=budget, tie_tol=tol)
        return top_share_posterior(advantage, mass=mass, keep=share, eta=found, tie_tol=tol), found

    return _iterates(mdp, first_prior(prior, mdp), e_step, bound, n)


def _iterates(
    mdp: TabularMDP,
    policy: Array,
    e_step: Callable[[Array, Array, float], tuple[Array, float]],
    trust: float | None,
    sweeps: int | None,
) -> Iterates:
    v, d = evaluate(mdp, policy=policy, v=np.zeros(mdp.n_states), sweeps=sweeps), mdp.initial
    for step in count(1):
        q = back_up(mdp, v)
        d = state_weights(mdp, policy, d, d=None, sweeps=sweeps)
        mass, tol = d[:, None] * policy, tie_tolerance(q)
        advantage = q - mix(policy, q)[:, None]
        advantage[np.abs(advantage) <= tol] = 0.0
        psi, eta = e_step(advantage, mass / mass.sum(), tol)
        posterior = joint_m_step(psi, policy=policy, d=d, trust=None)
        new = joint_m_step(psi, policy=policy, d=d, trust=trust)
        kl = expected_kl(posterior, policy, d=d)
        v = evaluate(mdp, policy=new, v=v, sweeps=sweeps)
        found = certified(mdp, policy=new, v=v)
        yield Iterate(step, q, posterior, new, new, eta, kl, found.value, found.error, found.bound)
        policy = new
