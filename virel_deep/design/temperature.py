"""Settings of temperatures, the weight of the divergence from the prior, one class per kind."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from virel_deep.design.fields import (
    OrAuto,
    Part,
    added,
    check_types,
    demand,
    demand_at_least,
    demand_positive,
    require_kinds,
)
from virel_deep.design.parts import Prior


class Estimate(NamedTuple):
    """How the residual error eps_omega (mean squared TD error) is estimated from minibatches."""

    batch: int = 0
    period: int = 1
    smoothing: float = 0.0


class Temperature(Part, axis="temperature"):
    """Settings of the temperature alpha of the policy loss, in scaled reward units per nat."""

    @property
    def estimate(self) -> Estimate:
        """How the residual error eps_omega is estimated: by default from every update's minibatch."""
        return Estimate()


@dataclass(frozen=True)
class Constant(Temperature, kind="constant"):
    """Constant temperature."""

    alpha: float = 1.0
    """The temperature, in scaled reward units per nat."""

    def __post_init__(self) -> None:
        """Raise `InputError` for a temperature below 0."""
        check_types(self)
        demand_at_least(self, 0, "alpha")


@dataclass(frozen=True)
class Residual(Temperature, kind="residual"):
    """Temperature `lambda eps_omega` of VIREL, proportional to the residual error (mean squared TD error)."""

    scale: OrAuto = 4e-3
    """Factor lambda = (1 - gamma) / r_avg of eps_omega, in 1 / reward units; `auto` is that quotient with a
    running r_avg, the average size of a scaled reward."""
    batch: int = 0
    """Size of a separate batch for eps_omega, with the online V; 0 reuses the minibatch (Algorithm 2)."""
    period: int = 1
    """Updates from one estimate of eps_omega to the next."""
    smoothing: float = 0.0
    """Weight of the old eps_omega in an exponential average, in [0, 1)."""

    def __post_init__(self) -> None:
        """Raise `InputError` for an invalid scale, batch, period or smoothing of the residual temperature."""
        check_types(self)
        demand_at_least(self, 0, "batch", *([] if self.scale == "auto" else ["scale"]))
        demand_at_least(self, 1, "period")
        demand(self, 0 <= self.smoothing < 1, "smoothing", "must be in [0, 1)")

    @property
    def estimate(self) -> Estimate:
        """How the residual error eps_omega is estimated: batch, period and smoothing of these settings."""
        return Estimate(self.batch, self.period, self.smoothing)


@dataclass(frozen=True)
class Dual(Temperature, kind="dual"):
    """Temperature tuned by dual descent until the policy has a given entropy or KL divergence (SAC)."""

    initial: float = 1.0
    """First temperature, in scaled reward units per nat."""
    target_entropy: float | None = None
    """Entropy that the temperature is tuned to, in nats, below that of uniform actions: A log 2 for A action
    dimensions, and log A for a discrete space of A actions. None is -A, and 0.3 log A."""
    epsilon: float | None = added(None)
    """KL divergence from a fixed prior that it is tuned to, in nats; None is A (1 + log 2), for A action
    dimensions: what an entropy of -A is as a divergence from the uniform distribution."""

    def __post_init__(self) -> None:
        """Raise `InputError` for a first temperature or budget not above 0, or an infinite target entropy."""
        check_types(self)
        demand_positive(self, "initial", *([] if self.epsilon is None else ["epsilon"]))
        finite = self.target_entropy is None or math.isfinite(self.target_entropy)
        demand(self, finite, "target_entropy", "must be finite or None")

    def fit(self, others: Mapping[str, Part]) -> None:
        """Raise `InputError` if the prior moves, or if the target is not one of its kind."""
        prior = others["prior"]
        assert isinstance(prior, Prior)
        require_kinds(others, "a dual temperature", prior=("fixed", "uniform"))
        unused = "epsilon" if prior.means_entropy else "target_entropy"
        demand(self, getattr(self, unused) is None, unused, f"must be None for a {prior.kind} prior")


@dataclass(frozen=True)
class Zero(Temperature, kind="zero"):
    """No temperature: the policy maximises Q alone (DDPG, TD3)."""
