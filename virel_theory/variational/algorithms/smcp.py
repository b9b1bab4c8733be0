r"""Sequential Monte Carlo planning with exact soft values: SAC's values and policy guide a planner that acts.

The text of Piche et al. 2019 was not to be had; this is the algorithm of its summaries (see `parts.plans`):
critic and proposal are those of soft actor-critic, and a planner of N particles takes the actions.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from virel_theory.checks import Array, as_temperature
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
from virel_theory.variational.core.regularised import back_up
from virel_theory.variational.parts.expansion import require_steps
from virel_theory.variational.parts.model_critic import critic
from virel_theory.variational.parts.particles import check_particles, simulate_plans
from virel_theory.variational.parts.plans import Plan, plan_posterior, plan_values

TINY = float(np.finfo(np.float64).tiny)
"""Smallest normal number, 2.2e-308."""

Planner = Callable[[Plan], Array]
"""Function from a plan to the law of its first action in every state, `[S, A]`."""


def smcp(
    mdp: TabularMDP,
    *,
    alpha: float = 1.0,
    horizon: int = 3,
    particles: int | None = None,
    plans: int = 100,
    threshold: float = 0.5,
    seed: int = 0,
    discount: float | None = None,
    prior: ArrayLike | None = None,
    d: ArrayLike | None = None,
    sweeps: int | None = None,
) -> Iterates:
    r"""Iterates of sequential Monte Carlo planning (SMCP) on exact soft values, after Piche et al. 2019.

    Iteration k = 1, 2, ..., from $\pi_0 = p$ and $v_0 = 0$, with a fixed prior p:

    1. V: $v_k$ is the regularised value of $\pi_{k-1}$, exact; or, if `sweeps` is given, what that many
       backups $v \leftarrow E_{\pi_{k-1}}[r + \gamma E_P[v(s')] - \alpha\log(\pi_{k-1}/p)]$ make of
       $v_{k-1}$.
    2. Proposal: $\pi_k(a|s) \propto p(a|s)\exp((r + \gamma E_P[v_k(s')])/\alpha)$, SAC's policy. Particles
       draw from it; where it underflows to 0 but p does not, the smallest normal number of float64 stands
       for it. So rewards may be as large as one likes, compared with alpha.
    3. E: the first action $\mu_k(\cdot|s)$ of a plan of h steps from every state s: a `Plan` with final
       values $v_k$, prior p, proposal $\pi_k$ and temperature alpha. With `particles=None` that of infinitely
       many particles, $\mu_k(a|s) = p(a_0=a|s_0=s,O)$. With N particles the mean over `plans` independent
       plans per state of their estimates: one call of `simulate_plans` per iteration, with `states` =
       `np.repeat(np.arange(S), plans)`; one generator, `np.random.default_rng(seed)`, serves all iterations.

    The planner acts: `policy` and `posterior` are $\mu_k$. `q` are the plan's values $Q_0$, whose posterior
    is the limit. The recursion of $v_k$ and $\pi_k$ is soft policy iteration, whatever the planner does.
    Where dynamics are random $\mu_k$ seeks risk, and its limit is optimal in no regularised sense.

    Args:
        mdp: finite MDP.
        alpha: temperature > 0, reward units.
        horizon: steps h >= 1 of a plan.
        particles: number N >= 1; None: the limit of infinitely many.
        plans: simulated plans per state and iteration, if `particles` is given.
        threshold: resample where ESS < threshold N.
        seed: of the simulation.
        discount: of the rewards inside a plan, in [0, 1]; None: that of the MDP.
        prior: `[S, A]` prior p; None: uniform over the actions that exist.
        d: `[S]` distribution over states, weights of `kl`; None: uniform.
        sweeps: backups per V-step and per evaluation of `policy`; None: exact values by direct solves.

    Returns: an endless iterator of `Iterate`.
    Raises: InputError: on a setting out of its range, as soon as the function is called.

    Example:
        >>> from itertools import islice
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> [step.policy.round(4).tolist() for step in islice(smcp(mdp, alpha=1.0, horizon=1), 2)]
        [[[0.7311, 0.2689]], [[0.7311, 0.2689]]]
    """
    temperature, first = as_temperature(alpha, name="alpha"), first_prior(prior, mdp)
    start = Plan(mdp, np.zeros(mdp.n_states), first, temperature, horizon, discount=discount)
    check_particles(start, 1 if particles is None else particles, threshold)
    require_steps(plans, least=1, name="plans")
    require_steps(seed, name="seed")
    planner = _limit if particles is None else _simulator(particles, plans, threshold, seed)
    return _run(start, planner, state_distribution(d, mdp), as_sweeps(sweeps))


def _limit(plan: Plan) -> Array:
    """Law of the first action of a plan with infinitely many particles in every state, `[S, A]`."""
    out: Array = plan_posterior(plan)[0]
    return out


def _simulator(particles: int, plans: int, threshold: float, seed: int) -> Planner:
    """Function from a `Plan` to the mean estimate of its first action in every state, `[S, A]`."""
    rng = np.random.default_rng(seed)

    def simulated(plan: Plan) -> Array:
        n_states, n_actions = plan.mdp.shape
        states = np.repeat(np.arange(n_states), plans)
        found = simulate_plans(plan, states=states, particles=particles, rng=rng, threshold=threshold)
        means: Array = found.policy.reshape(n_states, plans, n_actions).mean(axis=1)
        means /= means.sum(axis=1, keepdims=True)
        return means

    return simulated


def _as_proposal(pi: Array, prior: Array) -> Array:
    """Proposal `[S, A]` from a policy: positive wherever the prior is, if need be the smallest normal number.

    A lucky plan may begin with an action that the policy, by its mean values, as good as never takes. Its
    weight divides by this number, so that estimates stay unbiased; no sum of a row notices it.
    """
    return np.where(prior > 0, np.maximum(pi, TINY), 0.0)


def _run(start: Plan, planner: Planner, d: Array, sweeps: int | None) -> Iterates:
    """Iterates of `smcp`, from a plan that holds its first values and settings."""
    mdp, prior, alpha, pi, v = start.mdp, start.prior, start.alpha, start.prior, start.v
    returns, step = np.zeros(mdp.n_states), 0
    while step := step + 1:
        v = critic(mdp, v, pi=pi, prior=prior, alpha=alpha, sweeps=sweeps)
        pi = posterior_policy(back_up(mdp, v), prior=prior, alpha=alpha)
        plan = Plan(
            mdp, v, prior, alpha, start.horizon, proposal=_as_proposal(pi, prior), discount=start.discount
        )
        mu = planner(plan)
        returns = evaluate(mdp, policy=mu, v=returns, sweeps=sweeps)
        sure = certified(mdp, policy=mu, v=returns)
        kl = expected_kl(mu, prior, d=d)
        q = plan_values(plan)[0][0]
        yield Iterate(step, q, mu, prior, mu, alpha, kl, sure.value, sure.error, sure.bound)
