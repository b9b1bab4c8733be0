"""Settings of a hierarchy: a latent of a high level, and a low level that policy and prior share; no torch.

The axes are those of `virel_deep/design/parts.py`. What the parts compute is in docs/deep/.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from virel_common.errors import require
from virel_deep.design.fields import Part, added, check_types, demand, demand_at_least, require_kinds
from virel_deep.design.parts import Posterior
from virel_deep.design.priors import Blind


@dataclass(frozen=True)
class Hierarchy(Posterior):
    """Settings of a policy with two levels, whose low level belongs to its prior."""

    has_density = False

    latents: int = 4
    """Values of the latent z, each with a low level of its own."""

    def __post_init__(self) -> None:
        """Raise `InputError` for no latent."""
        check_types(self)
        demand_at_least(self, 1, "latents")

    def fit(self, others: Mapping[str, Part]) -> None:
        """Raise `InputError` if a part cannot work with a policy of two levels."""
        values = ("target-q", "v-network")
        require_kinds(
            others, "a latent posterior", value=values, prior=("latent",), temperature=("constant",)
        )
        evaluation = getattr(others["value"], "evaluation", None)
        rule = "must be 'hard' or 'soft' for a latent posterior"
        require(evaluation in {"hard", "soft"}, "value.evaluation", evaluation, rule)


@dataclass(frozen=True)
class Latent(Hierarchy, kind="latent"):
    """High level pi(z|s), from a network, and a tanh-Gaussian low level per latent, the prior's (HDP)."""


@dataclass(frozen=True)
class LatentCategorical(Hierarchy, kind="latent-categorical"):
    """High level pi(z|s), from a network, and a categorical low level per latent, the prior's (HDP)."""

    discrete = True


@dataclass(frozen=True)
class LatentPrior(Blind, kind="latent"):
    """Default p(z|s) of the high level, fitted to it, and the low level; neither sees the hidden entries.

    `frozen` is of both. An earlier run gives the low level alone (`--prior`); the default begins uniform.
    """

    exponent: float = added(1.0)
    """Power of the default in the objective, in [0, 1], normalised again; 0 is a uniform default."""
    low_alpha: float = added(0.0)
    """Temperature of the low level: weight of its divergence from the form that it begins with, in which each
    latent prefers an action of its own, in the policy's loss; scaled reward units per nat."""

    def __post_init__(self) -> None:
        """Raise `InputError` for a power outside [0, 1], a negative temperature, or as `Blind` does."""
        super().__post_init__()
        demand(self, 0 <= self.exponent <= 1, "exponent", "must be in [0, 1]")
        demand_at_least(self, 0, "low_alpha")

    def fit(self, others: Mapping[str, Part]) -> None:
        """Raise `InputError` if the policy has no levels."""
        found = others["posterior"].kind
        rule = "must be 'latent' or 'latent-categorical' for a latent prior"
        require(isinstance(others["posterior"], Hierarchy), "posterior", found, rule)
