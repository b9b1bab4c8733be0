"""Settings of learned priors that do not see all of an observation, and of Distral's posterior; no torch.

The axes are those of `virel_deep/design/parts.py`. What the parts compute is in docs/deep/.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from virel_common.errors import require
from virel_deep.design.fields import Part, check_types, demand, demand_at_least, require_kinds
from virel_deep.design.parts import Posterior, Prior


@dataclass(frozen=True)
class Blind(Prior):
    """Settings of a prior network that is fitted to the posterior and does not see some entries."""

    blind: tuple[int, ...] = ()
    """Entries of an observation that the prior does not see, from 0; -1 is the last one."""
    blind_last: int = 0
    """Entries at the end of an observation that it does not see either; with several tasks `virel train` sets
    it to their number, so that the prior does not see the task."""
    frozen: bool = False
    """Whether the prior stays as it is, such as one of an earlier run (`--prior`)."""

    def __post_init__(self) -> None:
        """Raise `InputError` for a negative number of entries."""
        check_types(self)
        demand_at_least(self, 0, "blind_last")

    @property
    def blind_to(self) -> tuple[int, ...]:
        """Entries that the prior does not see; negative ones count from the end."""
        return (*self.blind, *range(-self.blind_last, 0))


@dataclass(frozen=True)
class Distilled(Blind, kind="distilled"):
    """Categorical policy distilled from those of all tasks, which is raised to a power (Distral)."""

    exponent: float = 0.5
    """Power rho of the prior in the objective, in [0, 1]: 0 leaves it out, 1 leaves no entropy bonus."""
    discounted: bool = False
    """Whether a state that an episode reached after t steps has the weight gamma^t in the fit."""

    def __post_init__(self) -> None:
        """Raise `InputError` for a power outside [0, 1], or as `Blind` does."""
        super().__post_init__()
        demand(self, 0 <= self.exponent <= 1, "exponent", "must be in [0, 1]")

    @property
    def tails(self) -> tuple[str, ...]:
        """Column of the replay that tells how far an episode was, if weights depend on it."""
        return ("age",) if self.discounted else ()

    def fit(self, others: Mapping[str, Part]) -> None:
        """Raise `InputError` if the posterior is not the one in closed form."""
        require_kinds(others, "a distilled prior", posterior=("tilted",))


@dataclass(frozen=True)
class Tilted(Posterior, kind="tilted"):
    """All A actions of a discrete space with weights p^rho exp(Q / alpha) / Z: Distral's task policies.

    With a uniform prior it is the Boltzmann policy of soft Q-learning.
    """

    discrete = True
    has_density = False
    has_network = False

    def fit(self, others: Mapping[str, Part]) -> None:
        """Raise `InputError` if a part cannot work with a posterior in closed form."""
        priors = ("distilled", "uniform")
        require_kinds(
            others, "a tilted posterior", value=("target-q",), prior=priors, temperature=("constant",)
        )
        evaluation = getattr(others["value"], "evaluation", None)
        rule = "must be 'optimal' for a tilted posterior"
        require(evaluation == "optimal", "value.evaluation", evaluation, rule)


@dataclass(frozen=True)
class Asymmetric(Blind, kind="asymmetric"):
    """Tanh-Gaussian prior that sees less than the policy, and is fitted to its actions (IADP)."""

    def fit(self, others: Mapping[str, Part]) -> None:
        """Raise `InputError` if the policy is not a tanh-Gaussian, whose divergence has a closed form."""
        _require_policy("tanh-gaussian", "an asymmetric prior", others)


@dataclass(frozen=True)
class AsymmetricCategorical(Blind, kind="asymmetric-categorical"):
    """Categorical prior that sees less than the policy, and is fitted to its probabilities (IADP)."""

    def fit(self, others: Mapping[str, Part]) -> None:
        """Raise `InputError` if the policy is not categorical."""
        _require_policy("categorical", "an asymmetric categorical prior", others)


def _require_policy(kind: str, whom: str, others: Mapping[str, Part]) -> None:
    """Raise `InputError` unless the posterior is of a kind, and something weighs the divergence."""
    require_kinds(others, whom, posterior=(kind,))
    found = others["temperature"].kind
    require(found != "zero", "temperature", found, f"must not be 'zero' for {whom}")
