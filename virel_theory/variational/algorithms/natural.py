r"""Natural policy gradient ascent on softmax logits with exact gradients, Kakade 2001; Agarwal et al. 2021.

Let the policy be the softmax of logits $\theta(s, a)$, and $\rho(s) > 0$ its discounted visits from any start
distribution with full support. The policy gradient is $g(s, a) = \rho(s)\pi(a|s)A^\pi(s, a)$. The Fisher
matrix has one block per state, $F_s = \rho(s)(\operatorname{diag}\pi - \pi\pi^T)$, whose null space are the
constants. As $F_s A^\pi(s, \cdot) = g(s, \cdot)$, since $E_\pi[A^\pi] = 0$, the direction is the advantage up
to a constant:

$$(F^+ g)(s, a) = A^\pi(s, a) - \frac{1}{|A(s)|}\sum_b A^\pi(s, b)$$

The visits cancel. `verify` computes the left side from F (claim `mpo-natural`).
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from virel_theory.checks import Array, Mask, as_positive
from virel_theory.mdp.policy_system import mix
from virel_theory.mdp.tabular import TabularMDP
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
from virel_theory.variational.core.regularised import back_up

LARGEST = float(np.finfo(np.float64).max)


def natural_policy_gradient(
    mdp: TabularMDP,
    *,
    step: float = 1.0,
    prior: ArrayLike | None = None,
    d: ArrayLike | None = None,
    sweeps: int | None = None,
) -> Iterates:
    r"""Iterates of natural policy gradient ascent, Agarwal et al. 2021, Eq. (15) and Lemma 5.1.

    From $\theta_0 = \log\pi_0$, $\pi_0$ = `prior`, for k = 1, 2, ...:

    $$\theta_k = \theta_{k-1} + c\,F(\theta_{k-1})^+\nabla_\theta V^{\pi_{k-1}}, \qquad
    \pi_k(a|s) = \frac{e^{\theta_k(s, a)}}{\sum_b e^{\theta_k(s, b)}}$$

    with c = `step`, and visits that are not normalised in both F and the gradient. (Agarwal et al. normalise
    them in F: their step size is $\eta = (1 - \gamma)c$.) So $\theta_k$ is $\theta_{k-1} + cA^{\pi_{k-1}}$ up
    to a constant per state, in the states that $\pi_{k-1}$ reaches. It is computed in all states, as if
    episodes could start in each: the direction does not depend on how often. And
    $\pi_k(a|s) \propto \pi_{k-1}(a|s)e^{cA^{\pi_{k-1}}(s, a)}$: MPO at the fixed temperature 1/c. Actions
    that $\pi_0$ excludes stay excluded.

    Args:
        mdp: finite MDP.
        step: step size c > 0, per reward unit.
        prior: `[S, A]` first policy $\pi_0$; None: uniform over the actions that exist.
        d: `[S]` state distribution of `kl`; None: uniform. The direction does not depend on it.
        sweeps: backups per evaluation, as in `mpo`; None: exact evaluation by a direct solve.

    Returns:
        Endless iterator of `Iterate`: `q` $Q^{\pi_{k-1}}$; `posterior`, `prior` and `policy` all $\pi_k$;
        `temperature` 1/c; `kl` $E_d KL(\pi_k\|\pi_{k-1})$.

    Raises:
        InputError: if a setting is out of its range, or does not fit the MDP.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> next(natural_policy_gradient(mdp, step=1.0)).policy.round(4).tolist()
        [[0.7311, 0.2689]]
    """
    rate = as_positive(step, name="step")
    policy, weights = first_prior(prior, mdp), state_distribution(d, mdp)
    return _iterates(mdp, rate, policy, weights, as_sweeps(sweeps))


def _iterates(mdp: TabularMDP, step: float, policy: Array, d: Array, sweeps: int | None) -> Iterates:
    taken = policy > 0
    theta = np.log(policy, out=np.full(policy.shape, -np.inf), where=taken)
    v = evaluate(mdp, policy=policy, v=np.zeros(mdp.n_states), sweeps=sweeps)
    q, k = back_up(mdp, v), 0
    while True:
        k, old = k + 1, policy
        theta = _moved(theta, _advantage(policy, q, taken), step)
        theta = theta - logsumexp(theta, axis=1, keepdims=True)
        policy = np.exp(theta)
        policy = policy / policy.sum(axis=1, keepdims=True)
        v = evaluate(mdp, policy=policy, v=v, sweeps=sweeps)
        found, kl = certified(mdp, policy=policy, v=v), expected_kl(policy, old, d=d)
        yield Iterate(k, q, policy, policy, policy, 1 / step, kl, found.value, found.error, found.bound)
        q = found.q


def _moved(theta: Array, advantage: Array, step: float) -> Array:
    """Logits after a step, up to a constant per state; those below the range of float64 are its lower end."""
    known = theta > -np.inf
    best = np.where(known, advantage, -np.inf).max(axis=1, keepdims=True)
    with np.errstate(over="ignore"):
        moved = theta + step * np.where(known, advantage - best, 0.0)
    return np.where(known, np.maximum(moved, -LARGEST), -np.inf)


def _advantage(policy: Array, q: Array, taken: Mask) -> Array:
    """Advantages of the actions `taken`, 0 elsewhere: the direction $F^+ g$ up to a constant per state."""
    return np.where(taken, np.where(taken, q, 0.0) - mix(policy, q)[:, None], 0.0)
