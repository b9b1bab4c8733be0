r"""MPO with exact expectations on finite MDPs, with a non-parametric and with a parametric E-step.

Both evaluate the acting policy *without* its KL terms, MPO, Eq. (5): with exact evaluation
$v_k = V^{\pi_k}$, else $v_k$ is `sweeps` backups $T^{\pi_k}$ of $v_{k-1}$, from $v_{-1} = 0$. The action
values of an E-step are $Q_k = r + \gamma E[v_k(s')]$, `-inf` at actions that do not exist.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from virel_theory.checks import Array, as_temperature
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
from virel_theory.variational.parts.policy_trust_region import policy_trust_region


def mpo(
    mdp: TabularMDP,
    *,
    epsilon: float = 0.1,
    eta: float | None = None,
    trust: float | None = None,
    prior: ArrayLike | None = None,
    d: ArrayLike | None = None,
    sweeps: int | None = None,
) -> Iterates:
    r"""Iterates of MPO with a non-parametric E-step, MPO, Eqs. (5)-(12).

    From $\pi_0$ = `prior`, for k = 1, 2, ...:

    * values: $Q_{k-1} = r + \gamma E[v_{k-1}(s')]$, $v_{k-1} = V^{\pi_{k-1}}$ (see the module for `sweeps`);
    * dual: $\eta_k$ = `eta` if that is given; else the root of $E_d KL(q_\eta\|\pi_{k-1}) = \epsilon$ where
      $q_\eta(a|s) \propto \pi_{k-1}(a|s)e^{Q_{k-1}(s,a)/\eta}$, and 0 if even the greedy limit $q_0$ (below)
      has $E_d KL(q_0\|\pi_{k-1}) \le \epsilon$;
    * E: the posterior $q_k = q_{\eta_k}$; at $\eta_k = 0$ it is $\pi_{k-1}$ restricted to the actions of
      largest $Q_{k-1}$ among those that $\pi_{k-1}$ takes, and renormalised;
    * M: $\pi_k = q_k$; with `trust`, $\pi_k = \pi_{k-1} + w(q_k - \pi_{k-1})$ with the largest w in [0, 1]
      for which $E_d KL(\pi_{k-1}\|\pi_k) \le$ `trust`.

    The same $\eta_k$ and w serve all states, those without weight under d too. Actions whose probability
    is 0 stay at 0: a step at $\eta_k = 0$ with a complete M-step loses all but the greedy actions for good,
    be they the best or not. So a budget has to bind until the policy is nearly optimal.

    Args:
        mdp: finite MDP.
        epsilon: KL budget of the E-step > 0, nats; not used if `eta` is given.
        eta: fixed temperature > 0, reward units; None: the dual on the budget.
        trust: bound on the KL divergence of the M-step > 0, nats; None: a complete M-step.
        prior: `[S, A]` first policy $\pi_0$; None: uniform over the actions that exist.
        d: `[S]` state distribution of both constraints; None: uniform.
        sweeps: backups per evaluation; None: exact evaluation by a direct solve.

    Returns:
        Endless iterator of `Iterate`: `q` $Q_{k-1}$, `posterior` $q_k$, `prior` and `policy` $\pi_k$,
        `temperature` $\eta_k$, `kl` $E_d KL(q_k\|\pi_{k-1})$.

    Raises:
        InputError: if a setting is out of its range, or does not fit the MDP.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> first = next(mpo(mdp, epsilon=0.1))
        >>> first.policy.round(3).tolist(), round(first.temperature, 3), round(first.value, 3)
        ([[0.72, 0.28]], 1.06, 1.44)
    """
    fixed = None if eta is None else as_temperature(eta, name="eta")
    bound = None if trust is None else as_budget(trust, name="trust")
    budget, start = as_budget(epsilon), _start(mdp, prior, d, sweeps)

    def step(q: Array, old: Array) -> _Step:
        found = fixed
        if found is None:
            found = budget_temperature(q, prior=old, d=start.d, epsilon=budget).eta
        posterior = tempered_posterior(q, prior=old, eta=found)
        if bound is None:
            return _Step(posterior, posterior, found)
        return _Step(posterior, prior_trust_region(posterior, prior=old, d=start.d, epsilon=bound), found)

    return _iterates(start, step)


def mpo_parametric(
    mdp: TabularMDP,
    *,
    trust: float = 0.1,
    prior: ArrayLike | None = None,
    d: ArrayLike | None = None,
    sweeps: int | None = None,
) -> Iterates:
    r"""Iterates of MPO with a parametric E-step and no separate M-step, MPO, Eq. (7) and App. D.4.

    From $\pi_0$ = `prior`, for k = 1, 2, ..., with $Q_{k-1}$ as in `mpo`:

    $$\pi_k = \arg\max_\pi E_d E_\pi[Q_{k-1}] \quad\text{subject to}\quad E_d KL(\pi_{k-1}\|\pi) \le
    \epsilon$$

    $$\pi_k(a|s) = \frac{\lambda_k\pi_{k-1}(a|s)}{\nu_{k,s} - Q_{k-1}(s, a)}, \qquad
    \nu_{k,s} > \max_{b: \pi_{k-1}(b|s) > 0} Q_{k-1}(s, b),$$

    with $\nu_{k,s}$ such that the row sums to 1, and one $\lambda_k > 0$ for all states such that the
    constraint is met with equality. If $Q_{k-1}(s, \cdot)$ is constant over the actions of $\pi_{k-1}$ in
    every state of positive weight, $\lambda_k = 0$ and $\pi_k$ is $\pi_{k-1}$ restricted to its best actions
    in every state.

    Deviation: 1. over all tabular policies the program of (7), whose divergence is $KL(q\|\pi_i)$, has the
        solution of `mpo`; so the divergence here is that of the bounds on a parametric policy, (12) and (27),
        $KL(\pi_i\|\pi)$. That makes the tabular form of TRPO's step.

    Args:
        mdp: finite MDP.
        trust: bound $\epsilon$ on the KL divergence > 0, nats.
        prior: `[S, A]` first policy $\pi_0$; None: uniform over the actions that exist.
        d: `[S]` state distribution of the constraint; None: uniform.
        sweeps: backups per evaluation; None: exact evaluation by a direct solve.

    Returns:
        Endless iterator of `Iterate`: `q` $Q_{k-1}$; `posterior`, `prior` and `policy` all $\pi_k$;
        `temperature` $\lambda_k$; `kl` $E_d KL(\pi_k\|\pi_{k-1})$, the other way round than the constraint.

    Raises:
        InputError: if a setting is out of its range, or does not fit the MDP.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> first = next(mpo_parametric(mdp, trust=0.1))
        >>> first.policy.round(3).tolist(), round(first.temperature, 3)
        ([[0.713, 0.287]], 0.961)
    """
    bound, start = as_budget(trust, name="trust"), _start(mdp, prior, d, sweeps)

    def step(q: Array, old: Array) -> _Step:
        found = policy_trust_region(q, prior=old, d=start.d, epsilon=bound)
        return _Step(found.policy, found.policy, found.multiplier)

    return _iterates(start, step)


@dataclass(frozen=True, eq=False)
class _Start:
    """Checked common settings: the MDP, the first policy, the state distribution, sweeps per evaluation."""

    mdp: TabularMDP
    policy: Array
    d: Array
    sweeps: int | None


@dataclass(frozen=True, eq=False)
class _Step:
    """Result of an E-step and M-step: posterior, new policy, temperature."""

    posterior: Array
    policy: Array
    temperature: float


def _start(mdp: TabularMDP, prior: ArrayLike | None, d: ArrayLike | None, sweeps: int | None) -> _Start:
    return _Start(mdp, first_prior(prior, mdp), state_distribution(d, mdp), as_sweeps(sweeps))


def _iterates(start: _Start, step: Callable[[Array, Array], _Step]) -> Iterates:
    """Evaluate the policy, take `step(q, policy)`, again and again."""
    mdp, policy = start.mdp, start.policy
    v = evaluate(mdp, policy=policy, v=np.zeros(mdp.n_states), sweeps=start.sweeps)
    q, k = back_up(mdp, v), 0
    while True:
        new, k = step(q, policy), k + 1
        kl = expected_kl(new.posterior, policy, d=start.d)
        policy = new.policy
        v = evaluate(mdp, policy=policy, v=v, sweeps=start.sweeps)
        found = certified(mdp, policy=policy, v=v)
        yield Iterate(
            k,
            q,
            new.posterior,
            policy,
            policy,
            float(new.temperature),
            kl,
            found.value,
            found.error,
            found.bound,
        )
        q = found.q
