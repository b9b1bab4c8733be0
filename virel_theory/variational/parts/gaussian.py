r"""Gaussian policies and quadratic values at one state: the E-step of MPO and RERPI in closed form.

The policy is $\pi = N(\mu, \sigma^2)$ with independent components, the value
$Q(a) = -\frac12\sum_i c_i(a_i - a^*_i)^2$. It is concave in component i if the curvature $c_i > 0$, convex if
$c_i < 0$. The posterior $q \propto \pi e^{Q/\eta}$ is Gaussian again. With the shrinkage
$t_i = 1/(1 + c_i\sigma_i^2/\eta)$:

$$q = N(m, s^2), \qquad s_i^2 = t_i\sigma_i^2, \qquad m_i = \mu_i + (1 - t_i)(a^*_i - \mu_i).$$

RERPI, Section 5.1, "sphere function", is $c_i = 2$.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from virel_common.errors import require
from virel_theory.checks import (
    Array,
    as_finite,
    as_positive,
    as_real,
    as_temperature,
    read_only_copy,
    require_kind,
)


@dataclass(frozen=True, eq=False)
class GaussianPolicy:
    r"""Gaussian policy $N(\mu, diag\,\sigma^2)$ at one state, RERPI, Section 4.2.1.

    Args: mean: `[D]`, finite. variance: `[D]`, positive and finite.
    Raises: InputError: if the mean is not a finite vector, or the variance not a positive one of its length.

    Example:
        >>> GaussianPolicy([0.0, 1.0], [1.0, 4.0]).spread
        1.5811388300841898
    """

    mean: Array
    variance: Array

    def __post_init__(self) -> None:
        """Check mean and variance, and store read-only copies of them as float64 vectors."""
        mean = as_real(self.mean, name="mean")
        require(mean.ndim == 1 and mean.size > 0, "mean", mean.shape, "must have shape [D] and not be empty")
        variance = as_finite(self.variance, mean.shape, name="variance")
        require(bool((variance > 0).all()), "variance", float(variance.min()), "must be positive")
        object.__setattr__(self, "mean", read_only_copy(as_finite(mean, mean.shape, name="mean")))
        object.__setattr__(self, "variance", read_only_copy(variance))

    @property
    def spread(self) -> float:
        """Root mean square of the standard deviations."""
        return float(np.sqrt(self.variance.mean()))


@dataclass(frozen=True, eq=False)
class GaussianKLParts:
    """Divergence of two Gaussian policies whose means, or variances, alone differ, RERPI, Section 4.2.1.

    Example:
        >>> gaussian_kl_parts(GaussianPolicy([0.0], [1.0]), GaussianPolicy([0.0], [4.0])).mean
        0.0
    """

    mean: float
    spread: float


def gaussian_posterior(
    policy: GaussianPolicy, *, optimum: ArrayLike, curvature: ArrayLike, eta: float
) -> GaussianPolicy:
    r"""E-step $q \propto \pi e^{Q/\eta}$ for a quadratic value and a Gaussian policy, RERPI, Section 4.1.

    $$s_i^2 = t_i\sigma_i^2, \quad m_i = \mu_i + (1 - t_i)(a^*_i - \mu_i), \quad
    t_i = 1/(1 + c_i\sigma_i^2/\eta)$$

    Args:
        policy: the policy $N(\mu, \sigma^2)$ of D components.
        optimum: `[D]` the stationary point $a^*$ of Q.
        curvature: `[D]` $c = -Q''$, of any sign.
        eta: temperature > 0, reward units.

    Returns: the posterior; relative error of 8 ulps in variances if c > 0.
    Raises: InputError: if $1 + c_i\sigma_i^2/\eta \le 0$ for some i: there is no posterior; or if eta is so
        small that a variance is 0 in float64.

    Example:
        >>> q = gaussian_posterior(GaussianPolicy([0.0], [1.0]), optimum=[1.0], curvature=[1.0], eta=1.0)
        >>> q.mean.tolist(), q.variance.tolist()
        ([0.5], [0.5])
    """
    target, c = as_quadratic(policy, optimum, curvature)
    temperature = as_temperature(eta, name="eta")
    with np.errstate(over="ignore"):  # a quotient that overflows leaves the variance 0, or has no posterior
        u = c * policy.variance / temperature
    rule = "must leave curvature sigma^2 / eta above -1 (else e^{Q/eta} outgrows the policy's tails)"
    require(bool((u > -1).all()), "curvature", float(u.min()), rule)
    variance = policy.variance / (1 + u)
    rule = "must be so large that every variance of the posterior is positive in float64"
    require(bool((variance > 0).all()), "eta", eta, rule)
    return GaussianPolicy(policy.mean + u / (1 + u) * (target - policy.mean), variance)


def gaussian_kl(p: GaussianPolicy, q: GaussianPolicy) -> float:
    r"""Divergence $KL(p \| q)$ of two Gaussian policies in nats, MPO 2018, Section 4.2.

    $$\frac12\sum_i\Big[\frac{\sigma_{p,i}^2 + (\mu_{p,i} - \mu_{q,i})^2}{\sigma_{q,i}^2} - 1
    - \log\frac{\sigma_{p,i}^2}{\sigma_{q,i}^2}\Big]$$

    Args: p, q: Gaussian policies of the same number D of components.
    Returns: the divergence; error of 8 D ulps of 1 + its largest term.
    Raises: InputError: if the numbers of components differ.

    Example:
        >>> gaussian_kl(GaussianPolicy([0.0], [1.0]), GaussianPolicy([2.0], [1.0]))
        2.0
    """
    require_same_size(p, q)
    shift = (p.mean - q.mean) ** 2 / q.variance
    return float(np.sum(shift + _log_excess(p.variance / q.variance)) / 2)


def gaussian_kl_parts(old: GaussianPolicy, new: GaussianPolicy) -> GaussianKLParts:
    r"""Divergences from `old` if only the mean, or only the variance, is that of `new`, RERPI, Section 4.2.1.

    $$C_\mu = \frac12\sum_i\frac{(\mu_i - \mu_{old,i})^2}{\sigma_{old,i}^2}, \qquad
    C_\Sigma = \frac12\sum_i\Big[\frac{\sigma_{old,i}^2}{\sigma_i^2} - 1
    - \log\frac{\sigma_{old,i}^2}{\sigma_i^2}\Big]$$

    Args: old, new: Gaussian policies of the same number of components.
    Returns: $KL(N(\mu_{old}, \sigma_{old}^2) \| N(\mu, \sigma_{old}^2))$ and
        $KL(N(\mu_{old}, \sigma_{old}^2) \| N(\mu_{old}, \sigma^2))$.
    Raises: InputError: if the numbers of components differ.

    Example:
        >>> parts = gaussian_kl_parts(GaussianPolicy([0.0], [1.0]), GaussianPolicy([2.0], [1.0]))
        >>> parts.mean, parts.spread
        (2.0, 0.0)
    """
    require_same_size(old, new, names=("old", "new"))
    return GaussianKLParts(
        mean=gaussian_kl(old, GaussianPolicy(new.mean, old.variance)),
        spread=gaussian_kl(old, GaussianPolicy(old.mean, new.variance)),
    )


def gaussian_budget_temperature(
    policy: GaussianPolicy, *, optimum: ArrayLike, curvature: ArrayLike, epsilon: float
) -> float:
    r"""Temperature $\eta$ at which the posterior is `epsilon` nats from the policy, RERPI, Section 4.1.

    With $\beta = 1/\eta$, $\frac{d}{d\beta} KL(q \| \pi) = \beta Var_q[Q] > 0$: there is one root.

    Args:
        policy: the policy $N(\mu, \sigma^2)$ of D components.
        optimum: `[D]` the stationary point of Q.
        curvature: `[D]` $c = -Q''$, not all 0.
        epsilon: KL budget > 0, in nats.

    Returns: the temperature, reward units; the KL there is epsilon within 1e-12 of 1 + epsilon, or of
        1 + epsilon^2 if some curvature is negative: the KL is steep where a variance is about to be infinite.
    Raises: InputError: if all curvatures are 0, the budget is not positive and finite, or no temperature in
        the range of float64 spends it.

    Example:
        >>> policy = GaussianPolicy([0.0], [1.0])
        >>> eta = gaussian_budget_temperature(policy, optimum=[1.0], curvature=[2.0], epsilon=0.1)
        >>> q = gaussian_posterior(policy, optimum=[1.0], curvature=[2.0], eta=eta)
        >>> round(gaussian_kl(q, policy), 12)
        0.1
    """
    target, c = as_quadratic(policy, optimum, curvature)
    budget = as_positive(epsilon, name="epsilon")
    require(bool(c.any()), "curvature", c.tolist(), "must not be 0 in every component")
    slope, shift = c * policy.variance, (target - policy.mean) ** 2 / policy.variance

    def excess(beta: float) -> float:
        return _spent(beta * slope, shift) - budget

    most = _enough(excess, slope)
    require(most is not None, "epsilon", epsilon, "must be a budget that some temperature in float64 spends")
    assert most is not None
    return 1 / brentq(excess, 0.0, most, xtol=1e-300, rtol=1e-15)


def _spent(u: Array, shift: Array) -> float:
    r"""Divergence of the posterior from the policy at `u = c sigma^2 / eta`, by the shrinkage t = 1/(1 + u).

    It is `1/2 sum(t - 1 - log t + shift (1 - t)^2)`, with `shift` the squared distances over sigma^2.
    """
    lost = u / (1 + u)
    return float(np.sum(np.log1p(u) - lost + shift * lost**2) / 2)


def _log_excess(ratio: Array) -> Array:
    """The function `x - 1 - log x >= 0` of a ratio of variances."""
    out: Array = ratio - 1 - np.log(ratio)
    return out


def _enough(excess: Callable[[float], float], slope: Array) -> float | None:
    """An inverse temperature at which the posterior spends more than the budget; None if no float does.

    Where Q is convex, inverse temperatures end at the one whose posterior has infinite variance.
    """
    end = 1 / -float(slope.min()) if slope.min() < 0 else np.inf
    steep = float(slope.max())
    tries = (end * (1 - 2.0**-k) for k in range(1, 54)) if end < np.inf else _growing(steep)
    return next((beta for beta in tries if excess(beta) > 0), None)


def _growing(slope: float) -> Iterator[float]:
    """Inverse temperatures `4^k / slope`, as long as they and their product with the slope are finite."""
    return takewhile(np.isfinite, (4.0**k / slope for k in range(1, 512)))


def as_quadratic(policy: GaussianPolicy, optimum: ArrayLike, curvature: ArrayLike) -> tuple[Array, Array]:
    """Stationary point and curvature of Q as vectors that fit the policy."""
    require_kind(policy, GaussianPolicy, name="policy")
    shape = policy.mean.shape
    return as_finite(optimum, shape, name="optimum"), as_finite(curvature, shape, name="curvature")


def require_same_size(p: GaussianPolicy, q: GaussianPolicy, *, names: tuple[str, str] = ("p", "q")) -> None:
    """Check that two Gaussian policies, the arguments called `names`, have as many components."""
    for name, policy in zip(names, (p, q), strict=True):
        require_kind(policy, GaussianPolicy, name=name)
    rule = f"must have the shape of `{names[0]}`, {p.mean.shape}"
    require(p.mean.shape == q.mean.shape, names[1], q.mean.shape, rule)
