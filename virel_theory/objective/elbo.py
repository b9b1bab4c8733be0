r"""VIREL's objective $L$, Eq. (4); the log-partition $\ell$ and the joint Boltzmann distribution, Eq. (5)."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from virel_theory.checks import Array, as_distribution, as_rows, as_temperature
from virel_theory.operators.policies import as_action_values, entropy


def elbo(q: ArrayLike, *, pi_theta: ArrayLike, d: ArrayLike, eps: float) -> float:
    r"""VIREL's objective $L(\omega,\theta)$ in nats, Eq. (4).

    $$L(\omega,\theta) = E_{s \sim d(s)}\big[E_{a \sim \pi_\theta}[\hat Q_\omega(h)/\varepsilon_\omega] +
    \mathcal H(\pi_\theta(a|s))\big]$$

    Args:
        q: `[S, A]` values, reward units (`-inf` where the action does not exist).
        pi_theta: `[S, A]` variational policy, zero where the action does not exist.
        d: `[S]` sampling distribution over states.
        eps: temperature $\varepsilon_\omega > 0$, reward units.

    Returns: L, infinite where it is out of the range of float64. Rounding error: (S + A + 8) ulps of
        max|q|/eps + log A.
    Raises: InputError: on wrong shapes, rows that are not distributions, or a temperature that is not
        positive and finite.

    Example:
        >>> round(elbo([[1.0, 0.0]], pi_theta=[[0.5, 0.5]], d=[1.0], eps=1.0), 4)
        1.1931
    """
    table = as_action_values(q)
    policy = as_rows(pi_theta, table, name="pi_theta")
    weights = as_distribution(d, table.shape[0], name="d")
    mean = float(weights @ (policy * np.where(policy > 0, table, 0.0)).sum(axis=1))
    return mean / as_temperature(eps, name="eps") + float(weights @ entropy(policy))


def log_partition(q: ArrayLike, *, eps: float) -> float:
    r"""Log-partition function $\ell(\omega)$ in nats, Eq. (5).

    $$\ell(\omega) = \log\sum_{h \in H}\exp(\hat Q_\omega(h)/\varepsilon_\omega)$$

    Deviation: 1. the integral over H is a sum over the pairs that exist.

    Args: q: `[S, A]`. eps: temperature > 0.
    Returns: l, within a few ulps of max|q|/eps + log|H|.
    Raises: InputError: if `eps` is not positive and finite, or `q` is not a table of action values.

    Example:
        >>> round(log_partition([[0.0, 0.0]], eps=1.0), 4)
        0.6931
    """
    return float(logsumexp(as_action_values(q) / as_temperature(eps, name="eps")))


def boltzmann_joint(q: ArrayLike, *, eps: float) -> Array:
    r"""Joint Boltzmann distribution over pairs $p_\omega(h)$, Eq. (5).

    $$p_\omega(h) = \exp(\hat Q_\omega(h)/\varepsilon_\omega - \ell(\omega))$$

    Args: q: `[S, A]`. eps: temperature > 0.
    Returns: `[S, A]` probabilities that sum to 1 over all pairs.
    Raises: InputError: if `eps` is not positive and finite, or `q` is not a table of action values.

    Example:
        >>> boltzmann_joint([[0.0], [0.0]], eps=1.0).tolist()
        [[0.5], [0.5]]
    """
    table, temperature = as_action_values(q), as_temperature(eps, name="eps")
    with np.errstate(over="ignore"):
        scaled = (table - table.max()) / temperature  # dividing first could overflow
    out: Array = np.exp(scaled - logsumexp(scaled))
    return out
