r"""Temperature on a KL budget: the dual of MPO's E-step and its root, in log space.

The E-step of MPO maximises $E_d E_q[Q]$ over policies q with $E_d KL(q\|p) \le \epsilon$. Its solution is
the posterior at the temperature eta that minimises the convex dual $g(\eta)$ (`dual_value`). With $KL(\eta)
:= E_d KL(p e^{Q/\eta}/Z \| p)$, $g'(\eta) = \epsilon - KL(\eta)$ and $KL$ falls from that of the greedy
limit, $-E_d\log p(\arg\max Q)$, at eta = 0 to 0 at infinity. So there is one root if epsilon lies below the
greedy KL, and else the constraint does not bind and the best policy is the greedy limit, eta = 0.

Bracket of the root, derived before the first run: with spread $R = \max_s(\max Q - \min Q)$ over the prior's
support, $KL(\eta) = \int_0^{1/\eta} t\,E_d Var_t(Q)\,dt \le R^2/(8\eta^2)$, as a variance on an interval is
at most $R^2/4$. So the root is at most $R/\sqrt{8\epsilon}$; from there eta falls until KL exceeds epsilon.
`log KL` is close to linear in `log eta`, with slope -2 for large eta: Brent's method on these two finds the
root to its last bits in some eight evaluations. The slope is at most 2 + R/eta in size: it is that of
$Var(Q/\eta)/KL$, and $y^2e^y \le (2 + \max(y, 0))(ye^y - e^y + 1)$ for log-ratios y, which R/eta bounds.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from virel_common.errors import require
from virel_theory.checks import Array, as_distribution, as_non_negative, as_number, as_rows, as_temperature
from virel_theory.operators.policies import as_action_values
from virel_theory.variational.core import kernels
from virel_theory.variational.core.e_step import posterior_policy

Divergence = Callable[[float], float]
"""Mean KL divergence of the posterior from the prior, as a function of the logarithm of eta over R."""
TINY = float(np.finfo(np.float64).tiny)
"""Smallest normal number, 2.2e-308, and the smallest temperature that is tried."""
LARGEST = float(np.finfo(np.float64).max)
SMALLEST = float(np.finfo(np.float64).smallest_subnormal)
HUGE = 1e300
"""Size of values above which they are computed in another unit, as their differences may overflow."""
CLOSE = 2.0**-46
"""Relative distance from the budget at which a divergence meets it: 64 ulps, some times its rounding."""


@dataclass(frozen=True)
class Budget:
    """Temperature that meets a KL budget, MPO, Eq. (9).

    Example:
        >>> found = budget_temperature([[1.0, 0.0]], prior=[[0.5, 0.5]], d=[1.0], epsilon=0.1)
        >>> found.kl <= 0.1 + 1e-12
        True
    """

    eta: float
    """Temperature in reward units; 0 if the budget does not bind, where the posterior is the greedy limit."""
    kl: float
    """Mean KL divergence of the posterior from the prior, nats; at most the budget within rounding."""
    n_evaluations: int
    """Number of evaluations of the mean KL divergence."""


def dual_value(q: ArrayLike, *, prior: ArrayLike, d: ArrayLike, epsilon: float, eta: float) -> float:
    r"""Dual function of the E-step on a KL budget, MPO, Eq. (9).

    $$g(\eta) = \eta\epsilon + \eta\,E_{d(s)}\log\sum_a p(a|s)\exp(Q(s, a)/\eta)$$

    Args:
        q: `[S, A]` action values, reward units.
        prior: `[S, A]` prior policy.
        d: `[S]` distribution over states.
        epsilon: KL budget > 0, nats.
        eta: temperature > 0, reward units.

    Returns: reward units; error (S + A + 8) ulps of max|q| + eta.
    Raises: InputError: if an argument is out of its range, or a distribution does not fit `q`.

    Example:
        >>> dual_value([[1.0, 1.0]], prior=[[0.5, 0.5]], d=[1.0], epsilon=0.1, eta=2.0)
        1.2
    """
    table, policy, weights, unit = _parts(q, prior, d)
    temperature = as_temperature(eta, name="eta")
    _, value = kernels.mean_kl(table, policy, weights, max(temperature / unit, SMALLEST))
    return float(temperature * as_budget(epsilon) + unit * value)


def budget_temperature(q: ArrayLike, *, prior: ArrayLike, d: ArrayLike, epsilon: float) -> Budget:
    r"""Temperature of the E-step on a KL budget, the minimiser of the dual, MPO, Eq. (9).

    $$E_{d(s)}\,KL\Big(\frac{p\,e^{Q/\eta}}{Z}\Big\|p\Big) = \epsilon$$

    Args: q, prior, d, epsilon: as in `dual_value`.
    Returns: a `Budget`; unless the budget does not bind, `kl` is within 1e-13 (1 + R/eta) of `epsilon`,
        relative, R the largest spread of the values in a state, and the rounding of a mean over states. A
        budget that only a temperature below 2.2e-308 spends is not spent: that temperature is returned.
    Raises: InputError: as `dual_value`, or if no temperature in the range of float64 is large enough.

    Example:
        >>> found = budget_temperature([[1.0, 0.0]], prior=[[0.5, 0.5]], d=[1.0], epsilon=0.1)
        >>> round(found.eta, 4), round(found.kl, 12)
        (1.0599, 0.1)
        >>> budget_temperature([[1.0, 0.0]], prior=[[0.5, 0.5]], d=[1.0], epsilon=1.0).eta
        0.0
    """
    table, policy, weights, unit = _parts(q, prior, d)
    budget = as_budget(epsilon)
    mass = np.empty(len(table))
    spread = kernels.greedy_masses(table, policy, weights, mass)
    greedy = float(weights @ -np.log(mass))
    if not budget < greedy:
        return Budget(0.0, greedy, 0)
    seen: dict[float, float] = {}  # Brent's method asks for the ends of its bracket again

    def eta(log_share: float) -> float:
        root = float(np.exp(log_share / 2))  # the square may underflow where its product with R does not
        return float(min(max(spread * root * root, TINY), LARGEST / unit))

    def kl(log_share: float) -> float:
        if log_share not in seen:
            seen[log_share] = float(kernels.mean_kl(table, policy, weights, eta(log_share))[0])
        return seen[log_share]

    high = -float(np.log(8.0) + np.log(budget)) / 2
    rule = "must be so large that a temperature in the range of float64 meets it"
    require(kl(high) <= budget * (1 + CLOSE), "epsilon", epsilon, rule)
    low, above = _bracket(kl, high, budget, least=float(np.log(TINY) - np.log(spread)))
    found = low if kl(low) <= budget else _root(kl, low, above, budget)
    return Budget(unit * eta(found), kl(found), len(seen))


def tempered_posterior(q: ArrayLike, *, prior: ArrayLike, eta: float) -> Array:
    r"""Posterior policy at a temperature that may be 0, the greedy limit, MPO, Eq. (8).

    $$q(a|s) \propto p(a|s)\exp(Q(s, a)/\eta), \qquad \eta \to 0:\quad q(a|s) \propto p(a|s)\,
    1[Q(s, a) = \max_{b: p(b|s) > 0} Q(s, b)]$$

    Args: q, prior: as in `posterior_policy`. eta: temperature >= 0, reward units.
    Returns: `[S, A]` probabilities.
    Raises: InputError: as `posterior_policy`.

    Example:
        >>> tempered_posterior([[1.0, 1.0, 0.0]], prior=[[0.125, 0.375, 0.5]], eta=0.0).tolist()
        [[0.25, 0.75, 0.0]]
    """
    temperature = as_non_negative(eta, name="eta")
    if temperature > 0:
        return posterior_policy(q, prior=prior, alpha=temperature)
    table = as_action_values(q)
    policy = as_rows(prior, table, name="prior")
    best = np.where(_is_best(table, policy), policy, 0.0)
    out: Array = best / best.sum(axis=1, keepdims=True)
    return out


def in_range(table: Array) -> tuple[Array, float]:
    """Values in a unit, 1 or 16 reward units, in which their differences do not overflow; the unit."""
    largest = np.abs(table, out=np.zeros_like(table), where=table > -np.inf).max()
    return (table / 16, 16.0) if largest > HUGE else (table, 1.0)


def as_budget(epsilon: float, *, name: str = "epsilon") -> float:
    """Return the KL budget `epsilon` as a positive, finite float, in nats."""
    value = as_number(epsilon, name=name)
    require(0 < value < np.inf, name, epsilon, "must be positive and finite, a KL divergence in nats")
    return value


def _parts(q: ArrayLike, prior: ArrayLike, d: ArrayLike) -> tuple[Array, Array, Array, float]:
    """Checked values, in a unit (the last number) in which differences do not overflow; prior; weights."""
    table = as_action_values(q)
    policy = np.ascontiguousarray(as_rows(prior, table, name="prior"))
    scaled, unit = in_range(table)
    return scaled, policy, as_distribution(d, len(table), name="d"), unit


def _is_best(table: Array, policy: Array) -> Array:
    """Which actions have the largest value among those that the prior takes, `[S, A]`."""
    among = np.where(policy > 0, table, -np.inf)
    out: Array = among == among.max(axis=1, keepdims=True)
    return out


def _bracket(kl: Divergence, high: float, budget: float, *, least: float) -> tuple[float, float]:
    """Log-temperatures at which the mean KL divergence is at least (but at `least`), and less than, `budget`.

    The first guess takes `log KL` for linear in `log eta` with slope -2. The curve flattens towards eta = 0:
    each further guess goes 2, 4, 8, ... times as far as the line through the last two points asks for.
    """
    factor = 1.0
    low = high + (np.log(kl(high)) - np.log(budget)) / 2 if kl(high) > 0 else high
    while low > least and kl(low) < budget:
        factor, gained = 2 * factor, np.log(kl(low)) - np.log(max(kl(high), TINY)) if kl(low) > 0 else 0.0
        slope = gained / (high - low) if high > low else 0.0
        step = (np.log(budget) - np.log(max(kl(low), TINY))) / slope if slope > 0 else 1.0
        low, high = low - factor * step, low
    return float(max(low, least)), high


def _root(kl: Divergence, low: float, high: float, budget: float) -> float:
    """Log-temperature in [low, high] at which the mean KL divergence is `budget`, by Brent's method."""
    target = np.log(budget)

    def excess(log_eta: float) -> float:
        out = float(np.log(max(kl(log_eta), TINY)) - target)
        return out if abs(out) > CLOSE else 0.0

    if excess(high) >= 0:
        return high
    return float(brentq(excess, low, high, xtol=1e-16, rtol=4 * np.finfo(float).eps))
