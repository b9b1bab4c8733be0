"""Settings of a learned model of the environment, of values expanded through it, and of planning; no torch.

The axes are those of `virel_deep/design/parts.py`. What the parts compute is in docs/deep/.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from virel_common.errors import require
from virel_deep.design.fields import Part, added, demand, demand_at_least, demand_positive, require_kinds
from virel_deep.design.parts import Critics, TanhGaussian


@dataclass(frozen=True)
class Model(Critics, kind="model"):
    """Critics with target copies, whose values are expanded by steps of a learned model (Marino et al., (9)).

    The model is an ensemble of networks; each rollout has one member from its first step to its last.
    """

    horizon: int = 5
    """Steps of the model before the critics take over; 0, for a posterior that plans, is plain critics."""
    members: int = 4
    """Networks of the ensemble."""
    elites: int | None = None
    """Members that rollouts follow: those with the least error on transitions held out; None is all."""
    model_rate: float = 1e-3
    """Adam step size of the model."""
    rollout: Literal["posterior", "prior"] = added("posterior")
    """Whose actions rollouts and targets have: the policy's, which pays for its divergence where values are
    soft, or a learned prior's, whose divergence is 0; the values are then the prior's."""

    def __post_init__(self) -> None:
        """Raise `InputError` for a negative horizon, no member, or elites that the members can't have."""
        super().__post_init__()
        demand_at_least(self, 0, "horizon")
        demand_at_least(self, 1, "members")
        demand_positive(self, "model_rate")
        if self.elites is not None:
            demand(
                self, self.members > 1, "elites", "must be None for one member, which nothing competes with"
            )
            few = 1 <= self.elites <= self.members
            demand(self, few, "elites", f"must be at least 1 and at most `value.members`, {self.members}")

    def fit(self, others: Mapping[str, Part]) -> None:
        """Raise `InputError` if rollouts can't follow the posterior, or no part needs the model."""
        super().fit(others)
        found, kinds = others["posterior"].kind, ("smc", "tanh-gaussian", "weighted")
        rule = f"must be one of {', '.join(map(repr, kinds))} for a model, whose actions are continuous"
        require(found in kinds, "posterior", found, rule)
        prior = others["prior"].kind
        by_prior = self.rollout == "prior"
        require(
            prior == "asymmetric" or not by_prior, "prior", prior, "must be 'asymmetric' for its rollouts"
        )
        rule = (
            "must be 'uniform', 'fixed' or 'asymmetric' for a model: a policy's gradient does not reach "
            "other priors"
        )
        require(found == "weighted" or prior in {"uniform", "fixed", "asymmetric"}, "prior", prior, rule)
        used = self.horizon >= 1 or found == "smc"
        demand(self, used, "horizon", f"must be at least 1 for a {found} posterior, which does not plan")
        require_kinds(others, "a model", data=("replay",))
        demand(self, self.evaluation != "optimal", "evaluation", "must be 'hard' or 'soft' for a model")

    def unused(self, others: Mapping[str, Part]) -> dict[str, str]:  # noqa: ARG002
        """The evaluation where rollouts and targets have the prior's own actions."""
        if self.rollout == "posterior":
            return {}
        why = "soft values are hard ones, as the prior's divergence from itself is 0"
        return {"evaluation": f"must not be set where `value.rollout` is 'prior': {why}"}

    @property
    def tails(self) -> tuple[str, ...]:
        """Column of the transitions that are held out, by which the members are compared."""
        return ("held_out",)

    def rate(self, network: str) -> float | None:
        """Step size of a network by its name, if it has one of its own: the model's."""
        return self.model_rate if network == "model" else None


@dataclass(frozen=True)
class Smc(TanhGaussian, kind="smc"):
    """Tanh-Gaussian policy that proposes the plans of a particle planner, which acts (Piche et al. 2019)."""

    particles: int = 64
    """Plans that are drawn and weighted side by side."""
    steps: int = 10
    """Steps of a plan through the model."""

    def __post_init__(self) -> None:
        """Raise `InputError` for no particle or no step."""
        super().__post_init__()
        demand_at_least(self, 1, "particles", "steps")

    def fit(self, others: Mapping[str, Part]) -> None:
        """Raise `InputError` if there is no model to plan with, or nothing weighs what plans gain."""
        value, temperature = others["value"].kind, others["temperature"].kind
        require(value == "model", "value", value, "must be 'model' for an smc posterior, which plans")
        positive = temperature in {"dual", "constant"} and getattr(others["temperature"], "alpha", 1.0) > 0
        rule = "must be 'dual' or a positive 'constant' for an smc posterior"
        require(positive, "temperature", temperature, rule)
        require_kinds(others, "an smc posterior", prior=("uniform",))
