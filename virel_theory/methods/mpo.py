r"""MPO recovered from VIREL: a learned prior policy in place of the uniform one, App. G.

The prior is $p_\phi(h) = U(s)\pi_\phi(a|s)$; with $\pi_\phi$ uniform everything here reduces to VIREL's own
objective up to a constant log A. `-inf` in `q` marks missing actions, on which policies are 0.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp, softmax

from virel_theory.checks import (
    Array,
    as_distribution,
    as_float_array,
    as_plain_policy,
    as_rows,
    as_temperature,
    first_bad,
)
from virel_theory.operators.policies import as_action_values, scaled_differences


def mpo_objective(q: ArrayLike, *, pi_theta: ArrayLike, pi_phi: ArrayLike, d: ArrayLike, eps: float) -> float:
    r"""MPO's objective $L(\omega,\theta,\phi)$ in nats, Eq. (42).

    $$E_{d(s)}\big[E_{\pi_\theta}[\hat Q_\omega(h)/\varepsilon_\omega]
    - KL(\pi_\theta(a|s) \| \pi_\phi(a|s))\big]$$

    Args:
        q: `[S, A]` values, reward units.
        pi_theta: `[S, A]` variational policy.
        pi_phi: `[S, A]` prior policy.
        d: `[S]` sampling distribution over states.
        eps: temperature > 0, reward units.

    Returns: L, `-inf` where `pi_theta` has mass (under d) that `pi_phi` lacks, infinite where it is out of
        the range of float64; error (|H| + 8) ulps of
        max|q|/eps + max|log pi_phi| over the support.
    Raises: InputError: on wrong shapes, rows that are not distributions, or a temperature that is not
        positive and finite.

    Example:
        >>> half = [[0.5, 0.5]]
        >>> mpo_objective([[1.0, 0.0]], pi_theta=half, pi_phi=half, d=[1.0], eps=0.5)
        1.0
    """
    table = as_action_values(q)
    policy, prior = as_rows(pi_theta, table, name="pi_theta"), as_rows(pi_phi, table, name="pi_phi")
    weights = as_distribution(d, table.shape[0], name="d")[:, None] * policy
    on = weights > 0
    if (prior[on] == 0).any():
        return -np.inf
    log_ratio = np.log(policy[on]) - np.log(prior[on])
    mean = float(weights[on] @ table[on])
    return mean / as_temperature(eps, name="eps") - float(weights[on] @ log_ratio)


def mpo_posterior(q: ArrayLike, *, pi_phi: ArrayLike, eps: float) -> Array:
    r"""Action posterior $p_{\omega,\phi}(a|s,O)$, the non-parametric E-step of MPO, App. G.

    $$p_{\omega,\phi}(a|s,O) \propto \exp(\hat Q_\omega(h)/\varepsilon_\omega)\,\pi_\phi(a|s)$$

    Args: q: `[S, A]`, reward units. pi_phi: `[S, A]` prior policy. eps: temperature > 0, reward units.
    Returns: `[S, A]` probabilities; relative error (A + 8 + 2 max|q|/eps + max|log pi_phi|) ulps.
    Raises: InputError: on wrong shapes, rows that are not distributions, or a temperature that is not
        positive and finite.

    Example:
        >>> mpo_posterior([[1.0, 1.0]], pi_phi=[[0.25, 0.75]], eps=1.0).round(4).tolist()
        [[0.25, 0.75]]
    """
    table = as_action_values(q)
    prior = as_rows(pi_phi, table, name="pi_phi")
    on = prior > 0
    scores = scaled_differences(np.where(on, table, -np.inf), as_temperature(eps, name="eps"))
    scores = scores + np.log(prior, out=np.zeros_like(prior), where=on)
    return np.asarray(softmax(scores, axis=1), dtype=np.float64)


def mpo_e_step_gradient(
    q: ArrayLike, *, theta: ArrayLike, pi_phi: ArrayLike, d: ArrayLike, eps: float
) -> Array:
    r"""Gradient $\varepsilon_{\omega_k}\nabla_\theta L$ of MPO's E-step for softmax logits theta, Eq. (43).

    $$E_{d(s)}\big[E_{\pi_\theta}[\hat Q_{\omega_k}(h)\nabla_\theta\log\pi_\theta(a|s)]
    - \varepsilon_{\omega_k}\nabla_\theta KL(\pi_\theta(a|s) \| \pi_{\phi_k}(a|s))\big]$$

    Here $\pi_\theta(a|s) = \exp(\theta_{sa})/\sum_b\exp(\theta_{sb})$ and
    $\partial\log\pi_\theta(a|s)/\partial\theta_{sb} = 1[a = b] - \pi_\theta(b|s)$.

    Args:
        q: `[S, A]` values, reward units.
        theta: `[S, A]` logits (ignored where the action does not exist).
        pi_phi: `[S, A]` prior policy, positive on every existing action.
        d: `[S]` sampling distribution over states.
        eps: temperature > 0, reward units.

    Returns: `[S, A]` gradient in reward units, 0 where the action does not exist; error (A + 16) ulps of
        max|q| + eps max|log(pi_theta/pi_phi)|.
    Raises: InputError: on wrong shapes, rows that are not distributions, a prior without full support, or a
        bad temperature.

    Example:
        >>> half = [[0.5, 0.5]]
        >>> mpo_e_step_gradient([[1.0, 0.0]], theta=[[0.0, 0.0]], pi_phi=half, d=[1.0], eps=1.0).tolist()
        [[0.25, -0.25]]
    """
    table = as_action_values(q)
    prior = as_rows(pi_phi, table, name="pi_phi")
    exists = np.isfinite(table)
    first_bad(exists & (prior == 0), prior, name="pi_phi", rule="must be positive on every existing action")
    logits = np.where(exists, as_float_array(theta, table.shape, name="theta"), -np.inf)
    first_bad(exists & ~np.isfinite(logits), logits, name="theta", rule="must be finite")
    weights = as_distribution(d, table.shape[0], name="d")[:, None]
    policy = softmax(logits, axis=1)
    log_policy = np.where(exists, logits - logsumexp(logits, axis=1, keepdims=True), 0.0)
    log_prior = np.log(prior, out=np.zeros_like(prior), where=exists)
    reward_term = _score_mean(policy, np.where(exists, table, 0.0))
    kl_term = _score_mean(policy, log_policy - log_prior)  # E_pi[grad log pi] = 0 takes care of the rest
    out: Array = weights * (reward_term - as_temperature(eps, name="eps") * kl_term)
    return out


def mpo_m_step_prior(pi_theta: ArrayLike) -> Array:
    r"""Prior policy of MPO's M-step, $\pi_\phi = \pi_{\theta_{k+1}} = \arg\max_\phi L$, App. G.

    Unique in the states that d visits, whatever `q` and `eps`.

    Args: pi_theta: `[S, A]` variational policy of the E-step.
    Returns: `[S, A]`, a copy.
    Raises: InputError: if a row is not a distribution.

    Example:
        >>> mpo_m_step_prior([[0.25, 0.75]]).tolist()
        [[0.25, 0.75]]
    """
    return as_plain_policy(pi_theta, name="pi_theta").copy()


def _score_mean(policy: Array, f: Array) -> Array:
    """Mean over actions of `f` times the softmax score, `E_{a ~ pi}[f(a) d log pi(a) / d theta_b]`.

    It is `pi(b) (f(b) - E_pi[f])`.
    """
    out: Array = policy * (f - (policy * f).sum(axis=1, keepdims=True))
    return out
