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

    Returns: `[S, A]` new policy; its divergence is `trust` within 1e-12 if the bound is active.
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
    """The policy at a value of the multiplier."""
    top = psi + multiplier * d[:, None] * old
    below = psi.sum(axis=1) + multiplier * d
    on = below > 0
    rows = np.where(on[:, None], top, old) / np.where(on, below, 1.0)[:, None]
    out: Array = rows / rows.sum(axis=1, keepdims=True)  # else rounding adds up over iterations
    return out


def _multiplier(psi: Array, old: Array, d: Array, trust: float) -> float:
    """Multiplier of the trust region: the root in its logarithm, bracketed by powers of 16."""

    def excess(log_multiplier: float) -> float:
        return _divergence(psi, old, d, float(np.exp(log_multiplier))) - trust

    if _divergence(psi, old, d, 0.0) <= trust:
        return 0.0
    step = np.log(16.0)
    low = next(k * step for k in range(0, -300, -1) if excess(k * step) > 0)
    high = next(low + k * step for k in range(1, 600) if excess(low + k * step) <= 0)
    return float(np.exp(brentq(excess, high - step, high, xtol=1e-14, rtol=1e-15)))


def _divergence(psi: Array, old: Array, d: Array, multiplier: float) -> float:
    """Divergence `E_d[KL(old || new)]` of the policy at a value of the multiplier, in nats."""
    on = d > 0
    return float(d[on] @ kl_divergence(old[on], _fit(psi, old, d, multiplier)[on]))
