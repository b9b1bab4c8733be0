r"""Probabilistic model of App. B: likelihood of optimality, posterior, evidence and its lower bound.

The binary variable O says that an action is optimal under $\hat Q_\omega$. Everything is computed in log
space, so that max|q|/eps of 1e4 and more neither overflows nor underflows before the last step. `-inf` in
`q` marks missing actions.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp, softmax, xlogy

from virel_theory.checks import Array, as_distribution, as_rows, as_temperature
from virel_theory.operators.policies import as_action_values, scaled_differences


def optimality_likelihood(q: ArrayLike, *, eps: float) -> Array:
    r"""Likelihood of optimality $y_\omega(h) = p_\omega(O|h)$, App. B.

    $$y_\omega(h) = \exp\Big(\frac{\hat Q_\omega(h) - \max_{a'}\hat Q_\omega(a',s)}{\varepsilon_\omega}\Big)$$

    Args: q: `[S, A]`, reward units. eps: temperature > 0, reward units.
    Returns: `[S, A]` in [0, 1], 1 on greedy actions, 0 where the action does not exist; relative error
        (2 + |log y|) ulps.
    Raises: InputError: if `eps` is not positive and finite, or `q` is not a table of action values.

    Example:
        >>> optimality_likelihood([[1.0, 0.0]], eps=1.0).round(4).tolist()
        [[1.0, 0.3679]]
    """
    out: Array = np.exp(scaled_differences(as_action_values(q), as_temperature(eps, name="eps")))
    return out


def log_state_normaliser(q: ArrayLike, *, eps: float) -> Array:
    r"""Logarithm of $y_\omega(s) = \exp(-\max_{a'}\hat Q_\omega(a',s)/\varepsilon_\omega)$, in nats, App. B.

    Deviation: 1. the logarithm, because $y_\omega(s)$ itself leaves float64 at max|q|/eps of 709.

    Args: q: `[S, A]`, reward units. eps: temperature > 0, reward units.
    Returns: `[S]` in nats, exact within one ulp; infinite where max|q|/eps leaves float64.
    Raises: InputError: if `eps` is not positive and finite, or `q` is not a table of action values.

    Example:
        >>> log_state_normaliser([[1.0, 0.0]], eps=0.5).tolist()
        [-2.0]
    """
    with np.errstate(over="ignore"):
        out: Array = -as_action_values(q).max(axis=1) / as_temperature(eps, name="eps")
    return out


def posterior_joint(q: ArrayLike, *, eps: float) -> Array:
    r"""Posterior over state-action pairs $p_\omega(h|O)$, Eq. (10).

    $$p_\omega(h|O) \propto \exp(\hat Q_\omega(h)/\varepsilon_\omega)\, y_\omega(s)$$

    Args: q: `[S, A]`, reward units. eps: temperature > 0, reward units.
    Returns: `[S, A]`, sums to 1 over all pairs; relative error (|H| + 8 + 2 max|q|/eps) ulps.
    Raises: InputError: if `eps` is not positive and finite, or `q` is not a table of action values.

    Example:
        >>> posterior_joint([[0.0], [5.0]], eps=1.0).tolist()
        [[0.5], [0.5]]
    """
    log_joint = _log_joint(as_action_values(q), as_temperature(eps, name="eps"))
    out: Array = np.exp(log_joint - logsumexp(log_joint))
    return out


def posterior_action(q: ArrayLike, *, eps: float) -> Array:
    r"""Action posterior $p_\omega(a|s,O) = p_\omega(h|O) / \sum_a p_\omega(h|O)$, App. B.

    Computed from the joint posterior, as in the paper; that it equals the Boltzmann policy (3) is a claim.

    Args: q: `[S, A]`, reward units. eps: temperature > 0, reward units.
    Returns: `[S, A]` probabilities, rows sum to 1; relative error (2 |H| + 16 + 4 max|q|/eps) ulps.
    Raises: InputError: if `eps` is not positive and finite, or `q` is not a table of action values.

    Example:
        >>> posterior_action([[0.0, 0.0], [5.0, 5.0]], eps=1.0).round(4).tolist()
        [[0.5, 0.5], [0.5, 0.5]]
    """
    log_joint = _log_joint(as_action_values(q), as_temperature(eps, name="eps"))
    log_posterior = log_joint - logsumexp(log_joint)
    return np.asarray(softmax(log_posterior, axis=1), dtype=np.float64)


def log_marginal(q: ArrayLike, *, eps: float) -> float:
    r"""Log-evidence of optimality $\ell_\omega$ in nats, App. B.

    $$\ell_\omega = \log\sum_{h \in H}\exp(\hat Q_\omega(h)/\varepsilon_\omega)\, y_\omega(s)$$

    Lies in [log S, log |H|]. As printed it leaves out the uniform prior's constant, -log |H|.

    Args: q: `[S, A]`, reward units. eps: temperature > 0, reward units.
    Returns: the log-evidence; error (|H| + 8 + 2 max|q|/eps) ulps of 1 + log |H|.
    Raises: InputError: if `eps` is not positive and finite, or `q` is not a table of action values.

    Example:
        >>> round(log_marginal([[0.0], [5.0]], eps=1.0), 4)
        0.6931
    """
    return float(logsumexp(_log_joint(as_action_values(q), as_temperature(eps, name="eps"))))


def posterior_elbo(q: ArrayLike, *, pi_theta: ArrayLike, d: ArrayLike, eps: float) -> float:
    r"""Lower bound $L_\omega(\theta)$ of the log-evidence of optimality, App. B.

    $$L_\omega(\theta) = E_{q_\theta(h)}\Big[
    \log\frac{\exp(\hat Q_\omega(h)/\varepsilon_\omega)\, y_\omega(s)}{q_\theta(h)}\Big]$$

    Args:
        q: `[S, A]`, reward units.
        pi_theta: `[S, A]` variational policy, zero where the action does not exist.
        d: `[S]` sampling distribution over states; $q_\theta(h) = d(s)\pi_\theta(a|s)$.
        eps: temperature > 0, reward units.

    Returns: L in nats, with 0 log 0 = 0; error (|H| + 8) ulps of 2 max|q|/eps + log |H|.
    Raises: InputError: on wrong shapes, rows that are not distributions, or a temperature that is not
        positive and finite.

    Example:
        >>> round(posterior_elbo([[1.0, 0.0]], pi_theta=[[0.5, 0.5]], d=[1.0], eps=1.0), 4)
        0.1931
    """
    table = as_action_values(q)
    policy = as_rows(pi_theta, table, name="pi_theta")
    q_theta = as_distribution(d, table.shape[0], name="d")[:, None] * policy
    log_joint = _log_joint(table, as_temperature(eps, name="eps"))
    return float(np.sum(q_theta * np.where(q_theta > 0, log_joint, 0.0) - xlogy(q_theta, q_theta)))


def _log_joint(table: Array, eps: float) -> Array:
    """Unnormalised log-posterior `log(exp(q / eps) y(s))`, `[S, A]`, as a sum of two logarithms.

    Where one of them leaves float64, it is their difference times 1 / eps.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        log_y = -table.max(axis=1, keepdims=True) / eps
        total = table / eps + log_y
    return np.where(np.isfinite(log_y), total, scaled_differences(table, eps))
