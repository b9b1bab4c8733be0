r"""Best policy on a KL budget that is measured from the old policy: the parametric E-step of MPO.

The program is $\max_\pi E_d E_\pi[Q]$ subject to $E_d KL(p\|\pi) \le \epsilon$, p the old policy, over
policies on p's support. With a multiplier $\lambda > 0$, stationarity in $\pi(a|s)$ is $Q - \nu_s + \lambda
p/\pi = 0$:

$$\pi(a|s) = \frac{\lambda p(a|s)}{\nu_s - Q(s, a)} = \frac{p(a|s)}{\tau_s + g(s, a)/\lambda}, \qquad
g = \max_{b: p(b|s) > 0} Q(s, b) - Q(s, a), \quad \nu_s = \max Q + \lambda\tau_s.$$

Inner root. $\sum_a p/(\tau + g/\lambda) = 1$. The sum falls in $\tau$; with B the mass of p on the best
actions it is at least 1 at $\tau = B$ and at most 1 at $\tau = 1$: one root, in [B, 1]. Its reciprocal
$H(\tau)$ is concave and increasing (a weighted harmonic mean of linear functions), so that Newton's method
for $H = 1$ from $\tau = B$ rises to the root and never passes it.

Outer root. $KL_s(\lambda) = \sum_a p\log(\tau + g/\lambda)$ falls in lambda (below). As $\tau \le 1$ it is at
most $\sum_a p\log(1 + g/\lambda) \le E_p[g]/\lambda$, and as $\tau \ge B$ it is at least
$B\log B + \sum_{g > 0}p\log(g/\lambda)$. So with $W = E_d[1 - B]$ and $C = E_d[B\log B + \sum_{g > 0}p\log
g]$

$$(C - \epsilon)/W \le \log\lambda \le \log(E_d E_p[g]/\epsilon)$$

holds at the root. (The lower end is taken smaller by 1: that covers the rounding of B next to 1.) It is
sought in $\log\lambda$, since lambda itself may be below the range of float64; then $\tau = B$ to the last
bit. KL falls in lambda because lambda is the price of divergence: the maximiser of $E_\pi[Q] - \lambda
KL(p\|\pi)$ at a higher price has no larger divergence, and equal ones would need equal policies, which differ
in every state with $g \ne 0$.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from virel_theory.checks import Array, as_distribution, as_rows
from virel_theory.operators.policies import as_action_values
from virel_theory.variational.core.budget import CLOSE, SMALLEST, as_budget, in_range, tempered_posterior
from virel_theory.variational.core.e_step import divergences

NEWTON_STEPS = 100
"""Largest number of Newton steps; some ten suffice, as the logarithm of tau / B at least doubles per step."""


@dataclass(frozen=True, eq=False)
class TrustedPolicy:
    """Best policy on a budget of divergence from the old policy, and its multiplier, MPO, Eq. (7).

    Example:
        >>> found = policy_trust_region([[1.0, 0.0]], prior=[[0.5, 0.5]], d=[1.0], epsilon=0.1)
        >>> bool(found.policy[0, 0] > 0.5), found.multiplier > 0
        (True, True)
    """

    policy: Array
    """`[S, A]` probabilities."""
    multiplier: float
    """Multiplier lambda of the budget, reward units; 0 below float64, or if visited values are equal.

    It is infinite above float64.
    """


def policy_trust_region(q: ArrayLike, *, prior: ArrayLike, d: ArrayLike, epsilon: float) -> TrustedPolicy:
    r"""Best policy in a trust region around the old one, MPO, Eq. (7), option 1, divergence as in Eq. (12).

    $$\arg\max_\pi E_{d(s)}E_\pi[Q(s, a)] \quad\text{subject to}\quad E_{d(s)}KL(p\|\pi) \le \epsilon$$

    $$\pi(a|s) = \frac{\lambda p(a|s)}{\nu_s - Q(s, a)}$$

    Deviation: 1. actions that p excludes stay excluded, as in the non-parametric E-step. 2. States without
        weight get the policy of the same multiplier. 3. If the values are equal in every visited state, the
        budget binds nothing and every policy is best there: the result is the limit lambda = 0, p restricted
        to its best actions.

    Args:
        q: `[S, A]` action values, reward units.
        prior: `[S, A]` old policy p.
        d: `[S]` distribution over states.
        epsilon: budget > 0, nats.

    Returns: a `TrustedPolicy`; the divergence is within 1e-13 of `epsilon`, relative, and its own rounding,
        which is some ulps over the root of epsilon.
    Raises: InputError: if an argument is out of its range, or a distribution does not fit `q`.

    Example:
        >>> found = policy_trust_region([[1.0, 0.0]], prior=[[0.5, 0.5]], d=[1.0], epsilon=0.1)
        >>> found.policy.round(4).tolist(), round(found.multiplier, 4)
        ([[0.7129, 0.2871]], 0.9615)
    """
    table = as_action_values(q)
    old = as_rows(prior, table, name="prior")
    weights, budget = as_distribution(d, len(table), name="d"), as_budget(epsilon)
    scaled, unit = in_range(table)
    gap, size = _in_own_units(_gaps(scaled, old))
    positive = (weights[:, None] * old * (gap > 0)).sum()
    if positive == 0:
        return TrustedPolicy(tempered_posterior(table, prior=old, eta=0.0), 0.0)

    def excess(log_multiplier: float) -> float:
        out = float(weights @ _divergence(gap, old, log_multiplier)) / budget - 1
        return out if abs(out) > CLOSE else 0.0

    low, high = _bracket(gap, old, weights, budget)
    log_multiplier = float(brentq(excess, low, high, xtol=1e-15, rtol=4 * np.finfo(float).eps))
    policy = _on_budget(gap, old, weights, budget, log_multiplier)
    with np.errstate(over="ignore"):
        return TrustedPolicy(policy, float(np.exp(log_multiplier)) * size * unit)


def _gaps(table: Array, old: Array) -> Array:
    """Distance of each action's value from the best among those that `old` takes; 0 at the others."""
    best = np.where(old > 0, table, -np.inf).max(axis=1, keepdims=True)
    return np.where(old > 0, best - np.where(old > 0, table, 0.0), 0.0)


def _in_own_units(gap: Array) -> tuple[Array, float]:
    """Gaps over a power of 2 near their largest, and that power; none that is positive becomes 0."""
    size = float(np.ldexp(1.0, int(np.frexp(gap.max())[1]) - 1)) if gap.any() else 1.0
    return np.where(gap > 0, np.maximum(gap / size, SMALLEST), 0.0), size


def _bracket(gap: Array, old: Array, weights: Array, budget: float) -> tuple[float, float]:
    """Logarithms between which the multiplier lies: see the module."""
    behind, best = np.where(gap > 0, old, 0.0), _best_mass(gap, old)
    cost = best * np.log(best) + (behind * _log(gap)).sum(axis=1)
    low = (weights @ cost - budget) / (weights @ behind.sum(axis=1))
    high = np.log(weights @ (old * gap).sum(axis=1)) - np.log(budget)
    return float(low - 1 - 1e-9 * abs(low)), float(high + 1e-9)


def _best_mass(gap: Array, old: Array) -> Array:
    """Probability B that `old` takes a best action, `[S]`."""
    out: Array = np.where(gap > 0, 0.0, old).sum(axis=1)
    return out


def _log(x: Array) -> Array:
    """Logarithm where x is positive, else 0."""
    out: Array = np.log(x, out=np.zeros_like(x), where=x > 0)
    return out


def _scaled(gap: Array, log_multiplier: float) -> Array:
    """Gaps in units of the multiplier; infinite where that overflows."""
    with np.errstate(over="ignore"):
        return np.where(gap > 0, np.exp(_log(gap) - log_multiplier), 0.0)


def _levels(gap: Array, old: Array, log_multiplier: float) -> Array:
    """The root tau `[S]` of `sum_a p/(tau + gap/lambda) = 1`, by Newton's method from below."""
    x, tau = _scaled(gap, log_multiplier), _best_mass(gap, old)
    for _ in range(NEWTON_STEPS):
        terms = old / (tau[:, None] + x)
        total, slope = terms.sum(axis=1), (terms / (tau[:, None] + x)).sum(axis=1)
        step = (total - 1) * total / slope
        tau = np.minimum(tau + np.maximum(step, 0.0), 1.0)
        if (step <= 2.0**-50 * tau).all():
            break
    return tau


def _divergence(gap: Array, old: Array, log_multiplier: float) -> Array:
    r"""Divergence $KL(p\|\pi)$ of each state `[S]`, as $\sum_a p(\log\rho - 1 + 1/\rho)$.

    Here $\rho = \tau + g/\lambda$. As $\sum_a p/\rho = 1$ that is $\sum_a p\log\rho$; but its terms are not
    negative, and an error of tau enters with the factor $\rho - 1$ only.
    """
    tau, x = _levels(gap, old, log_multiplier)[:, None], _scaled(gap, log_multiplier)
    near = np.abs(tau - 1 + x) < 0.5
    w = np.where(near, tau - 1 + x, 0.0)
    log_ratio = np.where(gap > 0, np.logaddexp(np.log(tau), _log(gap) - log_multiplier), np.log(tau))
    terms = np.where(near, np.log1p(w) - w / (1 + w), log_ratio - 1 + 1 / (tau + x))
    out: Array = (old * terms).sum(axis=1)
    return out


def _on_budget(gap: Array, old: Array, weights: Array, budget: float, log_multiplier: float) -> Array:
    r"""The policy of a multiplier, or one on the budget between those of it and the next number.

    With a best action of small prior mass, $\lambda = g (1 - \pi(\text{best}))$ nearly: its last digit moves
    a small budget by u/epsilon, relative.
    """

    def excess(policy: Array) -> float:
        return float(weights @ divergences(old, policy)) / budget - 1

    here = _policy(gap, old, log_multiplier)
    over = excess(here)
    if abs(over) <= CLOSE:
        return here
    ulp = np.copysign(max(np.spacing(abs(log_multiplier)), 2.0**-53), over)  # a higher price: less divergence
    others = (_policy(gap, old, log_multiplier + ulp * 2**k) for k in range(40))
    other = next((policy for policy in others if excess(policy) * over < 0), None)
    if other is None:
        return here
    share = brentq(
        lambda t: excess(here + t * (other - here)), 0, 1, xtol=1e-16, rtol=4 * np.finfo(float).eps
    )
    out: Array = here + share * (other - here)
    return out


def _policy(gap: Array, old: Array, log_multiplier: float) -> Array:
    """The policy of a multiplier, with rows that sum to 1."""
    tau = _levels(gap, old, log_multiplier)[:, None]
    weights = old / (tau + _scaled(gap, log_multiplier))
    out: Array = weights / weights.sum(axis=1, keepdims=True)
    return out
