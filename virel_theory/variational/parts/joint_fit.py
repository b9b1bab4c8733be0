r"""M-step of V-MPO: a policy fitted to a distribution over pairs, near the old policy."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from virel_theory.checks import (
    Array,
    as_distribution,
    as_float_array,
    as_plain_policy,
    as_positive,
    first_bad,
)
from virel_theory.operators.policies import kl_divergence
from virel_theory.variational.core.budget import SMALLEST

WITHIN = 1e-12
"""Nats that a divergence may be above its bound, by rounding."""
LOWEST = -268
"""Exponent of 16 of the smallest multiplier."""


def joint_m_step(psi: ArrayLike, *, policy: ArrayLike, d: ArrayLike, trust: float | None) -> Array:
    r"""Policy that fits $\psi(s, a)$ best within a trust region around the old one, V-MPO, Eq. (13).

    $$\arg\max_\pi\sum_{s,a}\psi(s, a)\log\pi(a|s) \text{ s.t. } E_d[KL(\pi_{old}\|\pi)] \le trust:\quad
    \pi(a|s) = \frac{\psi(s, a) + \lambda d(s)\pi_{old}(a|s)}{\psi(s) + \lambda d(s)}, \quad
    \psi(s) = \sum_a\psi(s, a)$$

    The multiplier is $\lambda = 0$ if that meets the bound or there is none, else the root of
    $E_d[KL(\pi_{old}\|\pi)] = trust$, whose left side falls with $\lambda$. Where the denominator is 0,
    $\pi = \pi_{old}$.

    Args:
        psi: `[S, A]` distribution over pairs, 0 where the old policy is.
        policy: `[S, A]` old policy.
        d: `[S]` state distribution.
        trust: bound > 0 on the divergence, in nats; None: no bound.

    Returns: `[S, A]` new policy; its divergence is `trust` within 1e-12 if the bound is active. A bound that
        only probabilities below 1e-300 spend is met and not quite spent, as they have few digits.
    Raises: InputError: if `psi` is not a distribution over pairs that the old policy takes, or has mass where
        `d` has none; if `trust` is not positive.

    Example:
        >>> joint_m_step([[0.75, 0.0]], policy=[[0.5, 0.5]], d=[1.0], trust=None)
        Traceback (most recent call last):
        virel_common.errors.InputError: `psi` must sum to 1; found 0.75
        >>> joint_m_step([[1.0, 0.0]], policy=[[0.5, 0.5]], d=[1.0], trust=None).tolist()
        [[1.0, 0.0]]
    """
    old = as_plain_policy(policy, name="policy")
    weight = as_float_array(psi, old.shape, name="psi")
    first_bad((weight > 0) & (old == 0), weight, name="psi", rule="must be 0 where the old policy is")
    as_distribution(weight.ravel(), weight.size, name="psi")
    visits = as_distribution(d, len(old), name="d")
    first_bad(
        (weight.sum(axis=1) > 0) & (visits == 0),
        visits,
        name="d",
        rule="must be positive where `psi` has mass",
    )
    if trust is None:
        return _fit(weight, old, visits, 0.0)
    bound = as_positive(trust, name="trust")
    return _fit(weight, old, visits, _multiplier(weight, old, visits, bound))


def _fit(psi: Array, old: Array, d: Array, multiplier: float) -> Array:
    r"""The policy at a value of the multiplier: a mixture of psi's own and the old one, from the nearer one.

    Below, $t = \lambda d(s) / \psi(s)$. With a positive multiplier no action of the old policy gets less than
    5e-324.
    """
    mass = psi.sum(axis=1)
    on = (mass > 0)[:, None]
    mass = np.where(mass > 0, mass, 1.0)
    best = np.where(on, psi / mass[:, None], old)
    rows = best
    if multiplier > 0:
        with np.errstate(over="ignore", invalid="ignore"):
            t = (d / mass * multiplier)[:, None]
            near_best = best + (old - best) * (t / (1 + t))
        rows = np.where(t > 1, old + (best - old) / (1 + t), near_best)
        rows = np.where(on, np.maximum(rows, np.where(old > 0, SMALLEST, 0.0)), old)
    out: Array = rows / rows.sum(axis=1, keepdims=True)  # else rounding adds up over iterations
    return out


def _multiplier(psi: Array, old: Array, d: Array, trust: float) -> float:
    """Multiplier of the trust region: the root in its logarithm, bracketed by powers of 16."""

    def excess(log_multiplier: float) -> float:
        return _divergence(psi, old, d, float(np.exp(log_multiplier))) - trust

    if _divergence(psi, old, d, 0.0) <= trust:
        return 0.0
    step = np.log(16.0)
    low = next((k * step for k in range(0, LOWEST, -1) if excess(k * step) > 0), None)
    if low is None:
        return float(np.exp(LOWEST * step))
    high = next(low + k * step for k in range(1, 600) if excess(low + k * step) <= 0)
    root = brentq(excess, high - step, high, xtol=1e-14, rtol=1e-15)
    met = (root + k / 64 for k in range(2**16))  # the first, but where probabilities have few digits
    return float(np.exp(next(x for x in met if excess(x) <= WITHIN)))


def _divergence(psi: Array, old: Array, d: Array, multiplier: float) -> float:
    """Divergence `E_d[KL(old || new)]` of the policy at a value of the multiplier, in nats."""
    on = d > 0
    return float(d[on] @ kl_divergence(old[on], _fit(psi, old, d, multiplier)[on]))
