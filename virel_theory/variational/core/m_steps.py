r"""M-steps for the prior: copied from the posterior, fitted in a trust region, distilled, or blind.

With the posterior pi fixed, the prior enters the objective (7) only through $E_d E_\pi[\log p(a|s)]$. Its
maximum over all policies is a copy of pi; the functions here are the maxima under a constraint.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from virel_common.errors import require
from virel_theory.checks import (
    Array,
    as_array,
    as_distribution,
    as_float_array,
    as_plain_policy,
    as_probabilities,
    as_rows,
    first_bad,
)
from virel_theory.variational.core.budget import CLOSE, as_budget
from virel_theory.variational.core.e_step import divergences, expected_kl

TINY = float(np.finfo(np.float64).tiny)
"""Smallest normal number, 2.2e-308: the smallest multiplier that is tried."""
SMALLEST = float(np.finfo(np.float64).smallest_subnormal)
"""Smallest positive number, 5e-324: no action that the old prior takes gets less."""


def prior_trust_region(pi: ArrayLike, *, prior: ArrayLike, d: ArrayLike, epsilon: float) -> Array:
    r"""Best prior within a trust region around the old one, MPO, Eq. (12).

    $$\arg\max_p E_d E_{\pi}[\log p(a|s)] \quad\text{subject to}\quad E_d KL(p_{old}\|p) \le \epsilon$$

    The Lagrangian's maximum is the mixture $(\pi + \lambda p_{old})/(1 + \lambda)$, with one multiplier
    $\lambda \ge 0$ for all states: 0, a copy of pi, if that meets the constraint, else such that it binds. So
    $p = p_{old} + w(\pi - p_{old})$ with $w = 1/(1 + \lambda)$. The root is found in $\log\lambda$, as w has
    no digits where it is close to 1. It is at most $-\log(e^\epsilon - 1)$: as $p \ge (1 - w)p_{old}$, the
    divergence is at most $-\log(1 - w) = \log(1 + 1/\lambda)$.

    Deviation: 1. no action that the old prior takes gets a probability below 5e-324, and lambda is at least
        2.2e-308: a bound that only smaller numbers could spend is met and not spent.

    Args:
        pi: `[S, A]` posterior policy.
        prior: `[S, A]` old prior $p_{old}$.
        d: `[S]` distribution over states.
        epsilon: bound on the KL divergence > 0, nats.

    Returns: `[S, A]` new prior; where the constraint binds it holds with equality, within 1e-13 of `epsilon`,
        relative, and the rounding of a divergence (`expected_kl`).
    Raises: InputError: if an argument is out of its range, or shapes differ.

    Example:
        >>> p = prior_trust_region([[1.0, 0.0]], prior=[[0.5, 0.5]], d=[1.0], epsilon=0.1)
        >>> p.round(4).tolist()
        [[0.7129, 0.2871]]
    """
    policy = as_plain_policy(pi, name="pi")
    old = as_rows(prior, np.zeros(policy.shape), name="prior")
    weights, bound = as_distribution(d, len(policy), name="d"), as_budget(epsilon)
    if expected_kl(old, policy, d=weights) <= bound * (1 + CLOSE):
        return policy.copy()

    def excess(log_multiplier: float) -> float:
        kl = float(weights @ divergences(old, _mixture(old, policy, float(np.exp(log_multiplier)))))
        out = float(np.log(max(kl, SMALLEST)) - np.log(bound))
        return out if abs(out) > CLOSE else 0.0

    low, high = float(np.log(TINY)), -bound - float(np.log(-np.expm1(-bound))) + 1
    found = low
    if excess(low) > 0:
        found = brentq(excess, low, min(high, -low), xtol=1e-16, rtol=4 * np.finfo(float).eps)
    mixture = _mixture(old, policy, float(np.exp(found)))
    out: Array = mixture / mixture.sum(axis=1, keepdims=True)  # else roundings add up over iterations
    return out


def prior_distilled(policies: ArrayLike, *, weights: ArrayLike) -> Array:
    r"""Prior distilled from the policies of several tasks, Distral, Eq. (7).

    $$p(a|s) = \frac{\sum_i d_i(s)\pi_i(a|s)}{\sum_i d_i(s)}, \quad\text{the maximiser of}\quad
    \sum_i E_{d_i}E_{\pi_i}[\log p(a|s)]$$

    Args: policies: `[N, S, A]`, one policy per task. weights: `[N, S]` state weights $d_i(s) \ge 0$, such as
        discounted visits.
    Returns: `[S, A]` prior; where no task has weight, the plain mean of the policies.
    Raises: InputError: if shapes differ, a policy is none, or a weight is negative or not finite.

    Example:
        >>> prior_distilled([[[1.0, 0.0]], [[0.0, 1.0]]], weights=[[3.0], [1.0]]).tolist()
        [[0.75, 0.25]]
    """
    stack = as_probabilities(policies, name="policies")
    require(stack.ndim == 3, "policies", stack.shape, "must have shape [N, S, A]")
    d = as_float_array(weights, stack.shape[:2], name="weights")
    first_bad(~((d >= 0) & (d < np.inf)), d, name="weights", rule="must be non-negative and finite")
    most = d.max(axis=0)
    shares = np.where(most > 0, d / np.where(most > 0, most, 1.0), 1.0)  # at most 1: their sum is finite
    out: Array = np.einsum("ns,nsa->sa", shares / shares.sum(axis=0), stack)
    return out


def prior_blind(pi: ArrayLike, *, d: ArrayLike, observation: ArrayLike) -> Array:
    r"""Best prior that sees only a part of the state, Galashov et al. 2019 (IADP), Eq. (2).

    $$p(a|x) = \frac{\sum_{s: o(s) = x} d(s)\pi(a|s)}{\sum_{s: o(s) = x} d(s)},$$

    the maximiser of $E_d E_\pi[\log p(a|o(s))]$.

    Args:
        pi: `[S, A]` posterior policy.
        d: `[S]` distribution over states.
        observation: `[S]` integers o(s), what the prior sees of each state.

    Returns: `[S, A]` prior, the same row in all states of one observation; where an observation has no mass
        under `d`, the plain mean over its states.
    Raises: InputError: if an argument is no distribution or shapes differ, or `observation` is not integer.

    Example:
        >>> prior_blind([[1.0, 0.0], [0.0, 1.0]], d=[0.75, 0.25], observation=[0, 0]).tolist()
        [[0.75, 0.25], [0.75, 0.25]]
    """
    policy = as_plain_policy(pi, name="pi")
    weights = as_distribution(d, len(policy), name="d")
    seen = as_array(observation, name="observation")
    right = seen.dtype.kind in "iu" and seen.shape == weights.shape
    require(right, "observation", f"{seen.dtype} {seen.shape}", f"must be integers of shape [{len(policy)}]")
    _, group = np.unique(seen, return_inverse=True)
    mass = np.bincount(group, weights)
    shares = np.where(mass[group] > 0, weights, 1.0)
    shares /= np.bincount(group, shares)[group]
    rows = np.zeros((len(mass), policy.shape[1]))
    np.add.at(rows, group, shares[:, None] * policy)
    return rows[group]


def _mixture(old: Array, policy: Array, multiplier: float) -> Array:
    r"""Mixture $(\pi + \lambda p)/(1 + \lambda)$ `[S, A]` with the old prior p, from the nearer of the two.

    So small steps keep their digits, and so does what is left of the old prior after large ones.
    """
    if multiplier > 1:
        return old + (policy - old) / (1 + multiplier)
    mixture = policy + multiplier / (1 + multiplier) * (old - policy)
    return np.maximum(mixture, np.where(old > 0, SMALLEST, 0.0))
