r"""Iterative inference of a Gaussian policy on a quadratic action value: optimum, gaps and gradient steps.

One state, one action on the real line: $Q(a) = -\frac{k}{2}(a - m)^2$ with $k \ge 0$, prior
$N(\mu_0, \sigma_0^2)$, posterior $N(\mu, \sigma^2)$. Up to a constant, (16) is

$$\tilde J(\mu, \sigma) = -\tfrac{k}{2}\big((\mu - m)^2 + \sigma^2\big)
    - \alpha\Big(\log\tfrac{\sigma_0}{\sigma} + \tfrac{\sigma^2 + (\mu - \mu_0)^2}{2\sigma_0^2}
    - \tfrac12\Big).$$

With $c = k + \alpha/\sigma_0^2$ the maximiser is $\mu^* = (km + \alpha\mu_0/\sigma_0^2)/c$,
$\sigma^{*2} = \alpha/c$.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from virel_common.errors import require
from virel_theory.checks import Array, as_finite_number, as_positive, as_real, first_bad, require_kind
from virel_theory.variational.parts.amortisation import as_iterations

TINY = float(np.finfo(np.float64).tiny)
"""Smallest normal number, below which a quotient loses digits."""


@dataclass(frozen=True)
class GaussianTask:
    r"""E-step of one state with a quadratic action value and a Gaussian prior, cf. Marino et al. Eq. (16).

    Args:
        curvature: k >= 0 of Q, reward units per squared action.
        peak: m, the best action.
        prior_mean: mean of the prior.
        prior_std: standard deviation of the prior, > 0.
        alpha: temperature > 0, reward units.

    Raises: InputError: naming the number that is out of range.

    Example:
        >>> GaussianTask(curvature=3.0, peak=4.0, prior_mean=0.0, prior_std=1.0, alpha=1.0).best
        (3.0, 0.5)
    """

    curvature: float
    peak: float
    prior_mean: float
    prior_std: float
    alpha: float

    def __post_init__(self) -> None:
        """Check that every number is finite, the curvature not negative, spread and temperature positive."""
        for name, value in vars(self).items():
            object.__setattr__(self, name, as_finite_number(value, name=name))
        require(self.curvature >= 0, "curvature", self.curvature, "must not be negative: Q must be concave")
        require(self.prior_std > 0, "prior_std", self.prior_std, "must be positive")
        require(self.alpha > 0, "alpha", self.alpha, "must be positive")
        square = self.prior_std * self.prior_std
        fits = 0 < square < np.inf and self.alpha / square > 0 and self.precision < np.inf
        rule = "must be such that its square, and curvature + alpha over that, are positive and finite"
        require(fits, "prior_std", self.prior_std, rule)

    @property
    def pull(self) -> float:
        r"""Curvature of the prior's part of the objective, $\alpha/\sigma_0^2$, reward units per action^2."""
        return self.alpha / self.prior_std**2

    @property
    def precision(self) -> float:
        r"""Curvature of the objective in the mean, $c = k + \alpha/\sigma_0^2$, reward units per action^2."""
        return self.curvature + self.pull

    @property
    def best(self) -> tuple[float, float]:
        r"""Mean and standard deviation of the optimal posterior, $(\mu^*, \sigma^*)$."""
        c = self.precision
        mean = self.curvature / c * self.peak + self.pull / c * self.prior_mean
        return mean, math.sqrt(self.alpha) / math.sqrt(c)


def gaussian_objective(task: GaussianTask, *, mean: ArrayLike, std: ArrayLike) -> Array:
    r"""E-step objective of a Gaussian posterior on a quadratic action value, Eq. (16).

    Args: task: the state. mean, std: parameters of the posterior, std > 0; arrays of one shape, or numbers.
    Returns: reward units, in that shape; error 16 ulps of the terms.
    Raises: InputError: if a standard deviation is not positive.

    Example:
        >>> task = GaussianTask(curvature=2.0, peak=1.0, prior_mean=0.0, prior_std=1.0, alpha=1.0)
        >>> gaussian_objective(task, mean=0.0, std=1.0).item()  # the prior: no KL, E[Q] = -(1 + 1)
        -2.0
    """
    require_kind(task, GaussianTask, name="task")
    mu, sigma = as_real(mean, name="mean"), _spread(std)
    fits = mu.shape == sigma.shape or 0 in {mu.ndim, sigma.ndim}
    require(fits, "std", sigma.shape, f"must have the shape of `mean`, {mu.shape}")
    reward = -task.curvature / 2 * ((mu - task.peak) ** 2 + sigma**2)
    moved = (sigma**2 + (mu - task.prior_mean) ** 2) / (2 * task.prior_std**2)
    return np.asarray(reward - task.alpha * (np.log(task.prior_std / sigma) + moved - 0.5))


def gaussian_family_gap(task: GaussianTask, *, std: float) -> float:
    r"""Family gap of Gaussians of one fixed width, $\max\tilde J - \max_\mu\tilde J(\mu, \sigma)$, Eq. (16).

    $$\alpha\,KL\big(N(\mu^*, \sigma^2) \| N(\mu^*, \sigma^{*2})\big)
    = \alpha\big(\log(\sigma^*/\sigma) + \sigma^2/(2\sigma^{*2}) - 1/2\big)$$

    Args: task: the state. std: the width that every policy of the family has, > 0.
    Returns: reward units, >= 0 but for rounding; error 16 ulps of alpha (1 + the ratio of variances).
    Raises: InputError: if `std` is not positive and finite, or so large that the gap is not finite.

    Example:
        >>> task = GaussianTask(curvature=3.0, peak=4.0, prior_mean=0.0, prior_std=1.0, alpha=1.0)
        >>> gaussian_family_gap(task, std=0.5), round(gaussian_family_gap(task, std=1.0), 4)
        (0.0, 0.8069)
    """
    require_kind(task, GaussianTask, name="task")
    width, best = as_positive(std, name="std"), task.best[1]
    ratio = width / best
    log_ratio = math.log(ratio) if TINY < ratio < np.inf else math.log(width) - math.log(best)
    gap = task.alpha * ratio * ratio / 2 - task.alpha * (0.5 + log_ratio)
    require(gap < np.inf, "std", std, "must be so small that the gap is finite in float64")
    return gap


def gaussian_safe_step(task: GaussianTask) -> float:
    r"""Length of gradient steps in mean and log-spread that never lower the objective, Eq. (16).

    $$t = 1/(c\max(1, 2\sigma_0^2))$$

    The objective is $-\frac{c}{2}(\mu - \mu^*)^2 - \frac{c}{2}\sigma^2 + \alpha\log\sigma$ plus a constant:
    curvature c in $\mu$ and $2c\sigma^2 \le 2c\sigma_0^2$ in $\log\sigma$, as steps of at most
    $1/(2c\sigma_0^2)$ from $\sigma_0 \ge \sigma^*$ never pass $\sigma^*$.

    Args: task: the state.
    Returns: the length, > 0; error 8 ulps.
    Raises: InputError: if the length is 0 in float64.

    Example:
        >>> gaussian_safe_step(GaussianTask(3.0, 4.0, 0.0, 1.0, 1.0))
        0.125
    """
    require_kind(task, GaussianTask, name="task")
    length = 1 / (task.precision * max(1.0, 2 * task.prior_std**2))
    require(length > 0, "task", task, "must have steps that are positive in float64")
    return length


def gaussian_inference(task: GaussianTask, *, iterations: int, step: float) -> tuple[Array, Array]:
    r"""Gaussian posteriors of iterative inference by gradient steps in $(\mu, \log\sigma)$, Eqs. (15), (16).

    From the prior on, gate 0: $\mu' = \mu - tc(\mu - \mu^*)$ and
    $\log\sigma' = \log\sigma + t(\alpha - c\sigma^2)$.

    Args: task: the state. iterations: number n >= 0 of steps. step: length t > 0, per reward unit.
    Returns: means and standard deviations, `[n + 1]` each, the prior first. For steps that are safe
        (`gaussian_safe_step`) the error is 8 (n + 1) ulps: of the largest |mean| in means, the peak and the
        prior's included, and of each times 1 + the largest |log std| in standard deviations.
    Raises: InputError: on a negative number of steps or a length that is not positive and finite.

    Example:
        >>> task = GaussianTask(curvature=3.0, peak=4.0, prior_mean=0.0, prior_std=1.0, alpha=1.0)
        >>> gaussian_inference(task, iterations=2, step=0.125)[0].tolist()
        [0.0, 1.5, 2.25]
    """
    require_kind(task, GaussianTask, name="task")
    n, t = as_iterations(iterations), as_positive(step, name="step")
    mean, log_std = np.full(n + 1, float(task.prior_mean)), np.full(n + 1, float(np.log(task.prior_std)))
    for j in range(n):
        pull = task.pull * (task.prior_mean - mean[j])
        mean[j + 1] = mean[j] + t * (task.curvature * (task.peak - mean[j]) + pull)
        log_std[j + 1] = log_std[j] + t * (task.alpha - task.precision * np.exp(2 * log_std[j]))
    return mean, np.exp(log_std)


def _spread(std: ArrayLike) -> Array:
    out = as_real(std, name="std")
    first_bad(~(out > 0), out, name="std", rule="must be positive")
    return out
