"""Settings of the parts for discrete actions, whose expectations are sums over all actions; no torch.

The axes are those of `virel_deep/design/parts.py`. `virel_deep/design/adapt.py` puts these parts in the place
of those for continuous actions. What the parts compute is in docs/deep/.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from virel_deep.design.fields import Part, added, check_types, demand, demand_positive, require_kinds
from virel_deep.design.improvement import fit_weights
from virel_deep.design.on_policy import fit_score, fit_top_share
from virel_deep.design.parts import Posterior, Prior


@dataclass(frozen=True)
class Categorical(Posterior, kind="categorical"):
    """Probabilities of the A actions of a discrete space, from a network; expectations are exact sums."""

    discrete = True


@dataclass(frozen=True)
class Enumerated(Posterior, kind="enumerated"):
    """All A actions of a discrete space, with weights by probability and value: E-step of MPO and RERPI."""

    discrete = True

    weights: Literal["softmax", "rank"] = added("softmax")
    """`softmax` gives weights p exp(Q / alpha), MPO's Eq. (8); `rank` gives p ln((A + 1/2) / rank) (RERPI),
    and wants `temperature=zero`, as there is none."""

    def __post_init__(self) -> None:
        """Raise `InputError` for weights of no known kind."""
        check_types(self)

    def fit(self, others: Mapping[str, Part]) -> None:
        """Raise `InputError` if a part cannot work with actions that are weighted by their values."""
        fit_weights("an enumerated posterior", "learned-categorical", self.weights, others)


@dataclass(frozen=True)
class TopShareCategorical(Posterior, kind="top-share-categorical"):
    """Weights exp(advantage / alpha) on a rollout's pairs of largest advantage, for discrete actions."""

    on_policy = True
    discrete = True

    keep: float = 0.5
    """Share of the rollout's state-action pairs, those of largest advantage, that has weight, in (0, 1]."""

    def __post_init__(self) -> None:
        """Raise `InputError` for a share outside (0, 1]."""
        check_types(self)
        demand(self, 0 < self.keep <= 1, "keep", "must be in (0, 1]")

    def fit(self, others: Mapping[str, Part]) -> None:
        """Raise `InputError` if a part cannot work with weights on the pairs of a rollout."""
        fit_top_share("learned-categorical", others)


@dataclass(frozen=True)
class ScoreCategorical(Posterior, kind="score-categorical"):
    """Categorical policy that climbs advantages by its score, grad log pi of the actions taken (ERPG)."""

    on_policy = True
    discrete = True

    def fit(self, others: Mapping[str, Part]) -> None:
        """Raise `InputError` if advantages are missing, or would be those of an older policy."""
        fit_score(others)


@dataclass(frozen=True)
class CategoricalTrustRegion(Prior):
    """Settings of a categorical prior with a trust region: one bound, as there is no mean and no spread."""

    has_targets = True

    trust: float | None = None
    """Bound on the KL divergence of the lagging policy from the new one, in nats; None is no bound."""
    price: float = 10.0
    """First Lagrange multiplier of the bound, in units of the policy loss per nat."""
    price_rate: float = 1e-2
    """Adam step size on the Lagrange multiplier, in units of its first value."""

    def __post_init__(self) -> None:
        """Raise `InputError` for a bound, multiplier or step size that is not positive and finite."""
        check_types(self)
        demand_positive(self, *([] if self.trust is None else ["trust"]), "price", "price_rate")

    def unused(self, others: Mapping[str, Part]) -> dict[str, str]:  # noqa: ARG002
        """The multiplier and its step size where there is no bound."""
        rule = "must not be set where `prior.trust` is None: there is no bound"
        return dict.fromkeys(("price", "price_rate"), rule) if self.trust is None else {}

    @property
    def bounds(self) -> dict[str, tuple[float | None, float]]:
        """The one bound, with the first multiplier, by the name `policy`, which its metrics have."""
        return {"policy": (self.trust, self.price)}


@dataclass(frozen=True)
class LearnedCategorical(CategoricalTrustRegion, kind="learned-categorical"):
    """Categorical policy that is fitted to the posterior in a trust region; it acts (MPO's M-step)."""

    def fit(self, others: Mapping[str, Part]) -> None:
        """Raise `InputError` if the posterior does not weigh the prior's own actions."""
        kinds = ("enumerated", "top-share-categorical")
        require_kinds(others, "a learned categorical prior", posterior=kinds)


@dataclass(frozen=True)
class PreviousCategorical(CategoricalTrustRegion, kind="previous-categorical"):
    """Target copy of a categorical policy as its own prior: steps from it are bounded, or cost something."""

    def fit(self, others: Mapping[str, Part]) -> None:
        """Raise `InputError` if the policy is not categorical."""
        require_kinds(others, "a previous categorical prior", posterior=("categorical",))
