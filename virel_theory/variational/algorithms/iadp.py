r"""IADP, exact: a learned prior that can't see a part of the state, Galashov et al. 2019 (arXiv 1905.01240).

$$J(\pi, p) = E_\pi\Big[\sum_t\gamma^t\Big(r - \alpha\log\frac{\pi(a|x)}{p(a|x^D)}\Big)\Big]$$

The paper's text beyond its abstract was not at hand; the alternation is ours.
"""

import numpy as np
from numpy.typing import ArrayLike

from virel_theory.checks import Array, as_temperature, first_bad
from virel_theory.mdp.tables import require_mdp
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.core.e_step import expected_kl, posterior_policy
from virel_theory.variational.core.iterate import (
    Iterate,
    Iterates,
    as_sweeps,
    certified,
    evaluate,
    first_prior,
    state_distribution,
)
from virel_theory.variational.core.m_steps import prior_blind
from virel_theory.variational.core.regularised import bellman_regularised_policy, regularised_action_value
from virel_theory.variational.parts.information import Ints, as_observation, require_same_actions
from virel_theory.variational.parts.optimum import state_weights


def iadp(
    mdp: TabularMDP,
    *,
    alpha: float = 1.0,
    observation: str | ArrayLike | None = None,
    prior: ArrayLike | None = None,
    d: ArrayLike | None = None,
    sweeps: int | None = None,
) -> Iterates:
    r"""Iterates of IADP: a policy, and the prior learned from it behind a curtain, Galashov et al. 2019.

    Step k = 1, 2, ..., from $p_0$ = `prior` and $\pi_0 = p_0$:

    * V: $Q_k = Q_{\pi_{k-1}}$ of (9) with the prior $p_{k-1}$, the fixed point of
      $BQ = r + \gamma P(E_{\pi_{k-1}}Q - \alpha KL(\pi_{k-1}\|p_{k-1}))$. With `sweeps` = n it is
      $B^nQ_{k-1}$, $Q_0 = 0$.
    * E: $\pi_k = p_{k-1}e^{Q_k/\alpha}/Z$.
    * M: $p_k(a|x) = \sum_yd_k(y)\pi_k(a|y)/\sum_yd_k(y)$ over the states y with the observation of x. Here
      $d_k = (1 - \gamma)\sum_t\gamma^tP(s_t = s|\pi_k)$; with `sweeps` = n, n backups
      $d \leftarrow (1 - \gamma)p_0 + \gamma P_{\pi_k}^\top d$ of $d_{k-1}$, the initial distribution at
      first; or `d` if given. For an observation without weight, $d_k(y) = 1$.

    J never falls (without `sweeps` and `d`): E is a soft policy improvement, M maximises J over blind priors.
    Where nothing is hidden, $p_k = \pi_k$ and $Q_k = Q^{\pi_{k-1}}$: the iterates of MPO with a fixed
    temperature.

    Args:
        mdp: the MDP.
        alpha: temperature > 0, reward units.
        observation: `[S]` integers, what the prior sees of each state, or a text such as `"0,0,1"`; None:
            all.
        prior: `[S, A]` first prior, equal in states with one observation; None: uniform over existing
            actions.
        d: `[S]` weights of states in the M-step and in `kl`; None: the visits, as above.
        sweeps: backups per step; None: exact values and visits.

    Returns: endless iterator of `Iterate`; `policy` is the posterior, `kl` is $E_{d_k}KL(\pi_k\|p_{k-1})$.
    Raises: InputError: on an observation shared by states with different actions, a prior that tells such
        states apart, or a setting out of range.

    Example:
        >>> mdp = TabularMDP([[[1.0, 0.0]] * 2, [[0.0, 1.0]] * 2], [[1.0, 0.0], [0.0, 1.0]], 0.0)
        >>> blind, seeing = (next(iadp(mdp, observation=x)) for x in ("0,0", "0,1"))
        >>> blind.prior[0].tolist(), seeing.prior[0].round(4).tolist()
        ([0.5, 0.5], [0.7311, 0.2689])
    """
    require_mdp(mdp)
    cell = as_observation(observation, mdp.n_states)
    require_same_actions(mdp.available, cell)
    p = first_prior(prior, mdp)
    first = np.unique(cell, return_index=True)[1][cell]
    first_bad(p != p[first], p, name="prior", rule="must be equal in states with one observation")
    weights = None if d is None else state_distribution(d, mdp)
    return _iterates(mdp, as_temperature(alpha, name="alpha"), cell, p=p, d=weights, sweeps=as_sweeps(sweeps))


def _iterates(
    mdp: TabularMDP, alpha: float, cell: Ints, *, p: Array, d: Array | None, sweeps: int | None
) -> Iterates:
    """Yield IADP's steps; the arguments are checked."""
    q, pi = np.where(mdp.available, 0.0, -np.inf), p
    w, v, step = mdp.initial, np.zeros(mdp.n_states), 0
    while True:
        step += 1
        q = policy_values(mdp, q, pi=within(pi, p), prior=p, alpha=alpha, sweeps=sweeps)
        pi = posterior_policy(q, prior=p, alpha=alpha)
        w = state_weights(mdp, pi, w, d=d, sweeps=sweeps)
        kl = expected_kl(pi, p, d=w)
        p = prior_blind(pi, d=w, observation=cell)
        v = evaluate(mdp, policy=pi, v=v, sweeps=sweeps)
        judged = certified(mdp, policy=pi, v=v)
        yield Iterate(step, q, pi, p, pi, alpha, kl, judged.value, judged.error, judged.bound)


def policy_values(
    mdp: TabularMDP, q: Array, *, pi: Array, prior: Array, alpha: float, sweeps: int | None
) -> Array:
    """Regularised action values (9) of a policy: exact, or `sweeps` backups of `q`."""
    if sweeps is None:
        return regularised_action_value(mdp, pi=pi, prior=prior, alpha=alpha)
    for _ in range(sweeps):
        q = bellman_regularised_policy(mdp, q, pi=pi, prior=prior, alpha=alpha)
    return q


def within(pi: Array, prior: Array) -> Array:
    """Policy without the actions that the prior lacks; the prior itself where it has nothing else.

    It differs from `pi` only where probabilities have underflowed to 0 in the states that have weight.
    """
    kept = np.where(prior > 0, pi, 0.0)
    mass = kept.sum(axis=1, keepdims=True)
    found: Array = np.where(mass > 0, kept / np.where(mass > 0, mass, 1.0), prior)
    return np.where((kept == pi).all(axis=1, keepdims=True), pi, found)
