r"""The model-based cells of Table 1: SAC, an information-asymmetric prior and MPO on values through a model.

All three share their critic, which is exact on the true MDP (or `sweeps` backups of it), and their model, a
`TabularMDP` that may differ from the true one. `horizon = 0` does without the model: `mb_sac` is then soft
policy iteration, `mb_mpo` is MPO with a complete M-step. A wrong model distorts only the values of the
E-step; what it costs is in the returned `value` and `bound`, which the true MDP certifies.
"""

import numpy as np
from numpy.typing import ArrayLike

from virel_common.errors import require
from virel_theory.checks import Array, as_temperature, is_one_of
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.algorithms.iadp import within
from virel_theory.variational.core.budget import as_budget, budget_temperature, tempered_posterior
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
from virel_theory.variational.core.regularised import back_up
from virel_theory.variational.parts.expansion import require_steps
from virel_theory.variational.parts.information import as_observation, require_same_actions
from virel_theory.variational.parts.model_critic import Expansion, critic, expansion, model_or_perturbed
from virel_theory.variational.parts.plans import Plan, plan_posterior, plan_values

ROLLOUTS = ("prior", "posterior")


def mb_sac(
    mdp: TabularMDP,
    *,
    alpha: float = 1.0,
    horizon: int = 2,
    trace: float = 1.0,
    model: TabularMDP | None = None,
    noise: float = 0.0,
    seed: int = 0,
    prior: ArrayLike | None = None,
    d: ArrayLike | None = None,
    sweeps: int | None = None,
) -> Iterates:
    r"""Iterates of soft actor-critic on values expanded through a model, Marino et al., Algorithm 1.

    Iteration k = 1, 2, ..., from $\pi_0 = p$ and $v_0 = 0$, with a fixed prior p:

    1. V: $v_k$ is the regularised value of $\pi_{k-1}$ in `mdp`, exact; or, if `sweeps` is given, what that
       many backups $v \leftarrow E_{\pi_{k-1}}[r + \gamma E_P[v(s')] - \alpha\log(\pi_{k-1}/p)]$ make of
       $v_{k-1}$.
    2. $\hat Q_k$ = `expanded_action_value(model, v_k, pi=pi_{k-1}, prior=p, ...)`, h steps of the model with
       the mixture `trace`; for h = 0 the model-free $r + \gamma E_P[v_k(s')]$ of `mdp`.
    3. E: $\pi_k(a|s) \propto p(a|s)\exp(\hat Q_k(s,a)/\alpha)$; it acts.

    Args:
        mdp: finite MDP, the truth.
        alpha: temperature > 0, reward units.
        horizon: steps h >= 0 through the model.
        trace: $\lambda$ in [0, 1] of the mixture over 1..h steps; 1: h steps.
        model: MDP of the same states, actions and discount; None: `mdp`, perturbed by `noise`.
        noise: probability of a wrong successor, in `perturbed_model`, if `model` is None.
        seed: of `perturbed_model`.
        prior: `[S, A]` prior p; None: uniform over the actions that exist.
        d: `[S]` distribution over states, weights of `kl`; None: uniform.
        sweeps: backups per V-step and per evaluation of `policy`; None: exact values by direct solves.

    Returns: an endless iterator of `Iterate`.
    Raises: InputError: on a setting out of its range, as soon as the function is called.

    Example:
        >>> from itertools import islice
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> [step.policy.round(4).tolist() for step in islice(mb_sac(mdp, alpha=1.0), 2)]
        [[[0.7311, 0.2689]], [[0.7311, 0.2689]]]
    """
    through = expansion(mdp, model_or_perturbed(mdp, model, noise=noise, seed=seed), horizon, trace)
    rest = first_prior(prior, mdp), state_distribution(d, mdp), as_sweeps(sweeps)
    return _asymmetric(
        mdp, through, None, *rest, alpha=as_temperature(alpha, name="alpha"), follow="posterior"
    )


def mb_iadp(
    mdp: TabularMDP,
    *,
    observation: str | ArrayLike | None = None,
    rollout: str = "prior",
    alpha: float = 1.0,
    horizon: int = 2,
    trace: float = 1.0,
    model: TabularMDP | None = None,
    noise: float = 0.0,
    seed: int = 0,
    prior: ArrayLike | None = None,
    d: ArrayLike | None = None,
    sweeps: int | None = None,
) -> Iterates:
    r"""Iterates of a learned prior, blind or not, on values expanded through a model, Marino et al., Eq. (9).

    Iteration k = 1, 2, ..., from $\pi_0 = p_0$ = `prior` and $v_0 = 0$. Rollouts follow $\rho_k$: the prior
    $p_{k-1}$, whose KL is 0, or, with `rollout="posterior"`, the policy $\pi_{k-1}$, at the cost of its KL.

    1. V: $v_k$ is the regularised value of $\rho_k$ under the prior $p_{k-1}$ in `mdp`, exact; or, if
       `sweeps` is given, what that many of its backups make of $v_{k-1}$. For rollouts of the prior it is the
       plain $V^{p_{k-1}}$.
    2. $\hat Q_k$ = `expanded_action_value(model, v_k, pi=rho_k, prior=p_{k-1}, ...)`; for h = 0 the
       model-free $r + \gamma E_P[v_k(s')]$ of `mdp`.
    3. E: $\pi_k(a|s) \propto p_{k-1}(a|s)\exp(\hat Q_k(s,a)/\alpha)$; it acts.
    4. M: $p_k$ = `prior_blind(pi_k, d, observation)`; a copy of $\pi_k$ if nothing is hidden.

    Args:
        mdp: finite MDP, the truth.
        observation: `[S]` integers, what the prior sees of each state, or a text such as `"0,0,1"`; states
            that look alike must have the same actions. None: it sees everything.
        rollout: `"prior"` or `"posterior"`.
        prior: `[S, A]` first prior $p_0$; None: uniform over the actions that exist.
        d: `[S]` distribution over states, weights of the M-step and of `kl`; None: uniform.
        alpha: as in `mb_sac`.
        horizon: as in `mb_sac`.
        trace: as in `mb_sac`.
        model: as in `mb_sac`.
        noise: as in `mb_sac`.
        seed: as in `mb_sac`.
        sweeps: as in `mb_sac`.

    Returns: an endless iterator of `Iterate`; `kl` is that of $\pi_k$ from $p_{k-1}$.
    Raises: InputError: on a setting out of its range, as soon as the function is called.

    Example:
        >>> from itertools import islice
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> [step.prior.round(4).tolist() for step in islice(mb_iadp(mdp, alpha=1.0), 2)]
        [[[0.7311, 0.2689]], [[0.8808, 0.1192]]]
    """
    through = expansion(mdp, model_or_perturbed(mdp, model, noise=noise, seed=seed), horizon, trace)
    require(is_one_of(rollout, ROLLOUTS), "rollout", rollout, f"must be one of {', '.join(ROLLOUTS)}")
    rest = first_prior(prior, mdp), state_distribution(d, mdp), as_sweeps(sweeps)
    cell = as_observation(observation, mdp.n_states)
    require_same_actions(mdp.available, cell)
    return _asymmetric(mdp, through, cell, *rest, alpha=as_temperature(alpha, name="alpha"), follow=rollout)


def mb_mpo(
    mdp: TabularMDP,
    *,
    epsilon: float = 0.1,
    horizon: int = 2,
    model: TabularMDP | None = None,
    noise: float = 0.0,
    seed: int = 0,
    prior: ArrayLike | None = None,
    d: ArrayLike | None = None,
    sweeps: int | None = None,
) -> Iterates:
    r"""Iterates of MPO with plans of h steps as E-step (SPO, exact), after Macfarlane et al. 2024.

    Iteration k = 1, 2, ..., from $\pi_0$ = `prior` and $v_0 = 0$:

    1. V: $v_k = V^{\pi_{k-1}}$ in `mdp`, exact; or, if `sweeps` is given, what that many backups make of
       $v_{k-1}$.
    2. Dual: $\eta_k$ is the root of $E_d KL(q_\eta\|\pi_{k-1}) = \epsilon$ for the one-step posterior
       $q_\eta \propto \pi_{k-1}\exp(Q_k/\eta)$, $Q_k = \hat r + \gamma E_{\hat P}[v_k(s')]$ of the model
       (`budget_temperature`; 0 if the budget does not bind). For h = 0 $Q_k$ is that of `mdp`.
    3. E: $q_k(a|s) = p(a_0=a|s_0=s,O)$, the posterior of the first action of a `Plan` of h steps through the
       model, with final values $v_k$, prior $\pi_{k-1}$ and temperature $\eta_k$; at $\eta_k = 0$ its greedy
       limit. For h = 0 the one-step posterior itself.
    4. M: complete, $\pi_k = q_k$; it acts.

    Deviations from SPO: 1. infinitely many particles; 2. its weights, of one-step advantages without a
    discount, are those of a plan only for gamma = 1 (claim `spo-telescope`): here the discounted return of
    the plan decides. The KL of $q_k$ exceeds or misses epsilon for h > 1 or random dynamics, as in SPO, whose
    dual looks one step ahead and at mean values.

    Args:
        mdp: finite MDP, the truth.
        epsilon: KL budget > 0, nats.
        horizon: steps h >= 0 of a plan.
        model: MDP of the same states, actions and discount; None: `mdp`, perturbed by `noise`.
        noise: probability of a wrong successor, in `perturbed_model`, if `model` is None.
        seed: of `perturbed_model`.
        prior: `[S, A]` first policy; None: uniform over the actions that exist.
        d: `[S]` distribution over states of the budget and of `kl`; None: uniform.
        sweeps: backups per V-step and per evaluation of `policy`; None: exact values by direct solves.

    Returns: an endless iterator of `Iterate`; `q` are the plan's values $Q_0$ (for h = 0 $Q_k$).
    Raises: InputError: on a setting out of its range, as soon as the function is called.

    Example:
        >>> from itertools import islice
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> step = next(mb_mpo(mdp, epsilon=0.1, horizon=1))
        >>> round(step.temperature, 4), step.policy.round(4).tolist()
        (1.0599, [[0.7198, 0.2802]])
    """
    require_steps(horizon, name="horizon")
    through = model_or_perturbed(mdp, model, noise=noise, seed=seed)
    used = through if horizon > 0 else mdp
    rest = first_prior(prior, mdp), state_distribution(d, mdp), as_sweeps(sweeps)
    return _planned(mdp, used, horizon, *rest, epsilon=as_budget(epsilon))


def _asymmetric(
    mdp: TabularMDP,
    through: Expansion,
    seen: ArrayLike | None,
    prior: Array,
    d: Array,
    sweeps: int | None,
    *,
    alpha: float,
    follow: str,
) -> Iterates:
    """Iterates of `mb_sac` (`seen` is None: the prior stays) and of `mb_iadp`."""
    pi, v, returns, step = prior, np.zeros(mdp.n_states), np.zeros(mdp.n_states), 0
    while step := step + 1:
        rolled = within(pi, prior) if follow == "posterior" else prior
        v = critic(mdp, v, pi=rolled, prior=prior, alpha=alpha, sweeps=sweeps)
        q = through(v, pi=rolled, prior=prior, alpha=alpha)
        pi = posterior_policy(q, prior=prior, alpha=alpha)
        kl = expected_kl(pi, prior, d=d)
        prior = prior if seen is None else prior_blind(pi, d=d, observation=seen)
        returns = evaluate(mdp, policy=pi, v=returns, sweeps=sweeps)
        sure = certified(mdp, policy=pi, v=returns)
        yield Iterate(step, q, pi, prior, pi, alpha, kl, sure.value, sure.error, sure.bound)


def _planned(
    mdp: TabularMDP,
    model: TabularMDP,
    horizon: int,
    pi: Array,
    d: Array,
    sweeps: int | None,
    *,
    epsilon: float,
) -> Iterates:
    """Iterates of `mb_mpo`."""
    v, step = np.zeros(mdp.n_states), 0
    v = evaluate(mdp, policy=pi, v=v, sweeps=sweeps)
    while step := step + 1:
        q = back_up(model, v)
        eta = budget_temperature(q, prior=pi, d=d, epsilon=epsilon).eta
        if horizon == 0:
            posterior = tempered_posterior(q, prior=pi, eta=eta)
        else:
            plan = Plan(model, v, pi, eta, horizon)
            q, posterior = plan_values(plan)[0][0], plan_posterior(plan)[0]
        kl = expected_kl(posterior, pi, d=d)
        v = evaluate(mdp, policy=posterior, v=v, sweeps=sweeps)
        sure = certified(mdp, policy=posterior, v=v)
        pi = posterior
        yield Iterate(step, q, posterior, pi, pi, eta, kl, sure.value, sure.error, sure.bound)
