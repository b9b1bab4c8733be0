"""Settings of the parts of MPO and its kin: a weighted posterior, policies as priors, a KL budget; no torch.

The axes are those of `virel_deep/design/parts.py`. What the parts compute is in docs/deep/.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from virel_common.errors import require
from virel_deep.design.fields import (
    Part,
    added,
    check_types,
    demand,
    demand_at_least,
    demand_positive,
    require_kinds,
)
from virel_deep.design.parts import Posterior, Prior
from virel_deep.design.temperature import Temperature

Weights = Literal["softmax", "rank"]
"""How actions are weighed by their values."""


def kept(samples: int, keep: float) -> int:
    """Number of actions with weight among `samples`: a share `keep` of them, rounded up, at least one."""
    return max(1, math.ceil(keep * samples - 1e-9))


@dataclass(frozen=True)
class Weighted(Posterior, kind="weighted"):
    """Actions drawn from the prior's lagging copy, with weights by their values: E-step of MPO and RERPI."""

    samples: int = 20
    """Actions per state; those at the next states serve the E-step and the critics' targets alike."""
    keep: float = 1.0
    """Share of a state's actions, those of largest Q, that has weight, in (0, 1]; at least one."""
    weights: Literal["softmax", "rank"] = added("softmax")
    """`softmax` gives weights exp(Q / alpha), MPO's Eq. (8); `rank` gives ln((N + 1/2) / rank) among the N
    actions of a state (RERPI), and wants `temperature=zero`, as there is none."""

    def __post_init__(self) -> None:
        """Raise `InputError` for no samples, a share outside (0, 1], or a share of weights by rank."""
        check_types(self)
        demand_at_least(self, 1, "samples")
        demand(self, 0 < self.keep <= 1, "keep", "must be in (0, 1]")
        demand(self, self.weights == "softmax" or self.keep == 1, "keep", "must be 1 for weights by rank")

    def fit(self, others: Mapping[str, Part]) -> None:
        """Raise `InputError` if a part cannot work with actions of the prior, weighted by their values."""
        fit_weights("a weighted posterior", "learned", self.weights, others)
        budget = others["temperature"]
        if isinstance(budget, Budget):
            n = kept(self.samples, self.keep)
            few = "samples" if self.samples == 1 else "keep"
            demand(self, n > 1, few, "must leave at least 2 actions with weight for a KL budget")
            rule = f"must be below log {n} for {n} actions with weight, whose divergence is at most that"
            require(budget.epsilon < math.log(n), "temperature.epsilon", budget.epsilon, rule)


def fit_weights(posterior: str, prior: str, weights: Weights, others: Mapping[str, Part]) -> None:
    """Raise `InputError` if a part cannot work with a posterior of weighted actions.

    Args:
        posterior: what the posterior is called in messages.
        prior: kind of the prior that proposes its actions.
        weights: how the actions are weighed.
        others: parts of the algorithm by axis.
    """
    if weights == "rank":
        require_kinds(others, "weights by rank, which have none", temperature=("zero",))
    tempered = ("budget", "constant", "residual") if weights == "softmax" else ("zero",)
    require_kinds(others, posterior, value=("model", "target-q"), prior=(prior,), temperature=tempered)
    evaluation = getattr(others["value"], "evaluation", None)
    require(evaluation == "hard", "value.evaluation", evaluation, f"must be 'hard' for {posterior}")
    alpha = getattr(others["temperature"], "alpha", 1.0)
    require(alpha > 0, "temperature.alpha", alpha, f"must be positive for {posterior}")


@dataclass(frozen=True)
class TrustRegion(Prior):
    """Settings of a prior with a trust region: bounds on the KL divergence by mean and by spread."""

    has_targets = True

    trust_mean: float | None = None
    """Bound on the KL divergence that a change of the means makes, in nats; None is no bound."""
    trust_spread: float | None = None
    """Bound on the KL divergence that a change of the deviations makes, in nats; None is no bound."""
    price_mean: float = 10.0
    """First Lagrange multiplier of the bound by mean, in units of the policy loss per nat."""
    price_spread: float = 1000.0
    """First Lagrange multiplier of the bound by spread, in units of the policy loss per nat."""
    price_rate: float = 1e-2
    """Adam step size on the Lagrange multipliers, in units of their first values."""

    def __post_init__(self) -> None:
        """Raise `InputError` for a bound, multiplier or step size that is not positive and finite."""
        check_types(self)
        bounds = [name for name in ("trust_mean", "trust_spread") if getattr(self, name) is not None]
        demand_positive(self, *bounds, "price_mean", "price_spread", "price_rate")

    def unused(self, others: Mapping[str, Part]) -> dict[str, str]:  # noqa: ARG002
        """The multipliers of bounds that are not there, and their step size where there is none at all."""
        rule = "must not be set where {} None: there is no bound"
        without = [of for of, (bound, _) in self.bounds.items() if bound is None]
        out = {f"price_{of}": rule.format(f"`prior.trust_{of}` is") for of in without}
        if len(without) == len(self.bounds):
            out["price_rate"] = rule.format("`prior.trust_mean` and `prior.trust_spread` are")
        return out

    @property
    def bounds(self) -> dict[str, tuple[float | None, float]]:
        """Bound and first multiplier by mean and by spread, under the names that their metrics have."""
        return {"mean": (self.trust_mean, self.price_mean), "spread": (self.trust_spread, self.price_spread)}


@dataclass(frozen=True)
class Learned(TrustRegion, kind="learned"):
    """Policy network that is fitted to the posterior in a trust region; it acts (MPO's M-step, Eq. (12))."""

    likelihood: Literal["joint", "decoupled"] = "joint"
    """`joint` fits means and deviations at once (MPO), `decoupled` each with the old other (RERPI)."""

    def fit(self, others: Mapping[str, Part]) -> None:
        """Raise `InputError` if the posterior is not made of the prior's own actions."""
        require_kinds(others, "a learned prior", posterior=("weighted", "top-share"))


@dataclass(frozen=True)
class Previous(TrustRegion, kind="previous"):
    """Target copy of the policy as its own prior: steps from it cost a KL divergence, or are bounded."""

    def fit(self, others: Mapping[str, Part]) -> None:
        """Raise `InputError` if the policy is not a tanh-Gaussian, whose divergence has a closed form."""
        require_kinds(others, "a previous prior", posterior=("tanh-gaussian",))


@dataclass(frozen=True)
class Budget(Temperature, kind="budget"):
    """Temperature tuned by dual descent until the posterior is a given KL divergence from the prior (MPO)."""

    epsilon: float = 0.1
    """Budget: mean KL divergence of the posterior from the prior, in nats."""
    initial: float = 10.0
    """First temperature, in scaled reward units per nat."""
    rate: float = 1e-2
    """Adam step size on the logarithm of the temperature."""
    steps: int = 1
    """Dual steps per update, all on the update's own minibatch."""

    def __post_init__(self) -> None:
        """Raise `InputError` for a budget, temperature or step size that is not positive, or no dual step."""
        check_types(self)
        demand_positive(self, "epsilon", "initial", "rate")
        demand_at_least(self, 1, "steps")

    def fit(self, others: Mapping[str, Part]) -> None:
        """Raise `InputError` if the prior is uniform: its budget is an entropy, which `dual` has."""
        found = others["prior"].kind
        require(
            found != "uniform",
            "prior",
            found,
            "must not be 'uniform' for a KL budget",
        )
