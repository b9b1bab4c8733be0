r"""E-step of variational RL in closed form: the posterior policy (11), and the objective of one step (16).

Tables are `[S, A]`; `-inf` in `q` marks an action that does not exist. The *prior exponent* rho in [0, 1] is
all that Distral's extra entropy adds to the objective: with $c_{KL} KL(\pi\|p) - c_{Ent}\mathcal H(\pi)$,
rho is $c_{KL}/(c_{KL} + c_{Ent})$ and the temperature $\alpha = c_{KL} + c_{Ent}$. At rho = 1 the
regulariser is $\alpha KL(\pi\|p)$; at rho = 0 it is $-\alpha\mathcal H(\pi)$, whatever the prior: $p^0 = 1$
on all actions that exist.

Rounding, of every function here: (A + 8) ulps of max|q| + alpha (1 + max|log p|) over the prior's support;
probabilities have that error divided by alpha, as a relative error.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import xlogy

from virel_theory.checks import (
    Array,
    as_distribution,
    as_float_array,
    as_non_negative,
    as_plain_policy,
    as_probabilities,
    as_probability,
    as_rows,
    as_temperature,
)
from virel_theory.operators.policies import as_action_values
from virel_theory.variational.core import kernels


def posterior_policy(q: ArrayLike, *, prior: ArrayLike, alpha: float, exponent: float = 1.0) -> Array:
    r"""Posterior policy, prior times exponentiated values, Marino et al., Eq. (11).

    $$\pi^B(a|s, O) = \frac{p(a|s)^\rho\exp(Q(s, a)/\alpha)}{\sum_b p(b|s)^\rho\exp(Q(s, b)/\alpha)}$$

    The maximiser of `one_step_objective`.

    Args:
        q: `[S, A]` action values, reward units.
        prior: `[S, A]` prior policy $p$.
        alpha: temperature > 0, reward units per nat.
        exponent: prior exponent rho in [0, 1].

    Returns: `[S, A]` probabilities; rounding: see the module.
    Raises: InputError: if an argument is out of its range, or `prior` is not a policy on the actions of `q`.

    Example:
        >>> posterior_policy([[1.0, 1.0]], prior=[[0.25, 0.75]], alpha=1.0).round(4).tolist()
        [[0.25, 0.75]]
    """
    table, log_p = log_prior_weights(q, prior, exponent)
    out = np.empty_like(table)
    kernels.temper(table, log_p, as_temperature(alpha, name="alpha"), out)
    return out


def soft_maximum(q: ArrayLike, *, prior: ArrayLike, alpha: float, exponent: float = 1.0) -> Array:
    r"""Largest value of the one-step objective in each state, Marino et al., normaliser of Eq. (11).

    $$V(s) = \alpha\log\sum_a p(a|s)^\rho\exp(Q(s, a)/\alpha) = \max_\pi \tilde J(\pi; s)$$

    Args: q, prior, alpha, exponent: as in `posterior_policy`.
    Returns: `[S]`, reward units; rounding: see the module.
    Raises: InputError: as `posterior_policy`.

    Example:
        >>> soft_maximum([[1.0, 1.0]], prior=[[0.25, 0.75]], alpha=1.0).tolist()
        [1.0]
    """
    table, log_p = log_prior_weights(q, prior, exponent)
    out = np.empty(len(table))
    kernels.soft_maxima(table, log_p, as_temperature(alpha, name="alpha"), out)
    return out


def one_step_objective(
    q: ArrayLike, *, pi: ArrayLike, prior: ArrayLike, alpha: float, exponent: float = 1.0
) -> Array:
    r"""Objective of inference in one state $\tilde J(\pi; s)$, Marino et al., Eq. (16).

    $$\tilde J(\pi; s) = E_{\pi}[Q(s, a)] - \alpha\sum_a\pi(a|s)\log\frac{\pi(a|s)}{p(a|s)^\rho}$$

    Deviation: 1. prior exponent rho; (16) is rho = 1. 2. `alpha = 0` is allowed: the mean value.

    Args:
        q: `[S, A]` action values, reward units.
        pi: `[S, A]` policy.
        prior: `[S, A]` prior policy $p$.
        alpha: temperature >= 0, reward units per nat.
        exponent: prior exponent rho in [0, 1].

    Returns: `[S]`, reward units; `-inf` where `pi` has mass that $p^\rho$ lacks.
    Raises: InputError: if an argument is out of its range, or a policy does not fit the actions of `q`.

    Example:
        >>> half = [[0.5, 0.5]]
        >>> one_step_objective([[1.0, 0.0]], pi=half, prior=half, alpha=1.0).tolist()
        [0.5]
    """
    table, log_p = log_prior_weights(q, prior, exponent)
    policy = as_rows(pi, table, name="pi")
    mean = (policy * np.where(policy > 0, table, 0.0)).sum(axis=1)
    return np.asarray(mean - penalty(policy, log_p, as_non_negative(alpha, name="alpha")))


def expected_kl(pi: ArrayLike, prior: ArrayLike, *, d: ArrayLike) -> float:
    r"""Mean KL divergence between two policies, $E_{d(s)}[KL(\pi(\cdot|s)\|p(\cdot|s))]$, MPO, Eq. (7).

    Args: pi, prior: `[S, A]` policies. d: `[S]` distribution over states.
    Returns: nats; infinite if `pi` has mass, in a state of positive `d`, that `prior` lacks; relative error
        of some ulps, divided by the square root of the divergence if that is below 1.
    Raises: InputError: if `pi`, `prior` or `d` are not distributions of the same shape.

    Example:
        >>> round(expected_kl([[1.0, 0.0]], [[0.5, 0.5]], d=[1.0]), 4)
        0.6931
    """
    policy = as_plain_policy(pi, name="pi")
    reference = as_probabilities(as_float_array(prior, policy.shape, name="prior"), name="prior")
    weights = as_distribution(d, len(policy), name="d")
    if ((policy > 0) & (reference == 0) & (weights > 0)[:, None]).any():
        return np.inf
    return float(weights @ divergences(policy, reference))


def divergences(pi: Array, prior: Array) -> Array:
    r"""Divergences $KL(\pi\|p)$ `[S]` in nats, of the actions that both policies take (see the kernel)."""
    out = np.empty(len(pi))
    kernels.divergences(np.ascontiguousarray(pi), np.ascontiguousarray(prior), out)
    return out


def log_prior_weights(q: ArrayLike, prior: ArrayLike, exponent: float) -> tuple[Array, Array]:
    r"""Checked action values `q`, and the logarithms $\rho\log p$ of the prior's weights, `-inf` for none."""
    table = as_action_values(q)
    policy, rho = as_rows(prior, table, name="prior"), as_exponent(exponent)
    if rho == 0:
        return table, np.where(np.isneginf(table), -np.inf, 0.0)
    logs: Array = np.log(policy, out=np.full(policy.shape, -np.inf), where=policy > 0)
    return table, logs if rho == 1 else rho * logs


def as_exponent(exponent: float) -> float:
    """Return the prior `exponent` rho as a float in [0, 1]."""
    return as_probability(exponent, name="exponent")


def penalty(policy: Array, log_p: Array, alpha: float) -> Array:
    r"""Regulariser $\alpha\sum_a\pi\log(\pi/p^\rho)$, `[S]`; infinite where pi has mass that p lacks."""
    if alpha == 0:
        return np.zeros(len(policy))
    on = policy > 0
    cross = np.where(on, policy * np.where(on, log_p, 0.0), 0.0).sum(axis=1)
    out: Array = alpha * (xlogy(policy, policy).sum(axis=1) - cross)
    return out
