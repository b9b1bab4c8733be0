"""Running mean and variance of observations, and the normalisation by them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

LIMIT = 10.0
"""Largest size of a normalised entry; larger ones are clipped."""
LEAST = 1e-8
"""Added to a variance, so that an entry which never changed is 0 and not 0 / 0."""


class Scaling(NamedTuple):
    """Normalisation of observations in float32, `[O]` each: shift by the mean, divide by the deviation."""

    mean: Floats
    factor: Floats
    """One over the standard deviation."""

    def __call__(self, observation: Floats) -> Floats:
        """Normalised and clipped observations, of the same shape `[..., O]`."""
        scaled: Floats = np.clip((observation - self.mean) * self.factor, -LIMIT, LIMIT)
        return scaled


class Moments:
    r"""Running mean $\mu$ and sum of squared deviations $M$ of observations `[O]`, in float64.

    $$\mu \leftarrow \mu + \delta\,\frac{m}{n + m}, \quad M \leftarrow M + M_m + \delta^2\,\frac{n m}{n + m},
    \quad \delta = \mu_m - \mu,$$ for m new observations with mean $\mu_m$ and sum $M_m$.

    Source: Chan, Golub and LeVeque 1979; of one new observation it is Welford's update.

    Example:
        >>> moments = Moments(1)
        >>> for seen in ([[1.0], [2.0]], [[6.0]]):
        ...     moments.update(np.array(seen))
        >>> moments.mean.tolist(), moments.variance.tolist()
        ([3.0], [4.666666666666667])
    """

    def __init__(self, size: int) -> None:
        """Start without an observation: the normalisation then is the identity, but for the clipping."""
        self.count = 0
        self.mean, self._squares = np.zeros(size), np.zeros(size)

    @property
    def variance(self) -> NDArray[np.float64]:
        """Variance of the observations so far `[O]`, divided by their number; 1 before the first."""
        return self._squares / self.count if self.count else np.ones_like(self._squares)

    @property
    def scaling(self) -> Scaling:
        """Normalisation by the moments so far."""
        factor = 1 / np.sqrt(self.variance + LEAST)
        return Scaling(self.mean.astype(np.float32), factor.astype(np.float32))

    def update(self, observation: NDArray[np.floating[Any]]) -> None:
        """Take in observations `[m, O]`."""
        seen, n, m = observation.astype(np.float64), self.count, len(observation)
        mean = seen.mean(0)
        delta, self.count = mean - self.mean, n + m
        self.mean += delta * (m / self.count)
        self._squares += np.square(seen - mean).sum(0) + np.square(delta) * (n * m / self.count)

    def state(self) -> dict[str, Any]:
        """Number of observations and moments, for a checkpoint."""
        return {"count": self.count, "mean": self.mean.copy(), "squares": self._squares.copy()}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "Moments":
        """Moments from what `state` gave."""
        made = cls(len(state["mean"]))
        made.count = int(state["count"])
        made.mean[:], made._squares[:] = state["mean"], state["squares"]
        return made
