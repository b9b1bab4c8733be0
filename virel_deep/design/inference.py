"""Settings of posteriors that are inferred with the critic, iteratively or by particles, and a fixed prior.

The axes are those of `virel_deep/design/parts.py`. What the parts compute is in docs/deep/; no torch here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from virel_common.errors import require
from virel_deep.design.fields import (
    Part,
    check_types,
    demand,
    demand_at_least,
    demand_positive,
    require_kinds,
)
from virel_deep.design.parts import Posterior, Prior


@dataclass(frozen=True)
class Fixed(Prior, kind="fixed"):
    """Constant tanh-Gaussian prior with mean 0; the divergence from it has a closed form."""

    std: float = 1.0
    """Standard deviation before the tanh, of every action dimension."""

    def __post_init__(self) -> None:
        """Raise `InputError` for a standard deviation that is not positive and finite."""
        check_types(self)
        demand_positive(self, "std")

    def fit(self, others: Mapping[str, Part]) -> None:
        """Raise `InputError` if the posterior is not a tanh-Gaussian, amortised or inferred."""
        require_kinds(others, "a fixed prior", posterior=("iterative", "tanh-gaussian"))


@dataclass(frozen=True)
class Iterative(Posterior, kind="iterative"):
    """Tanh-Gaussian whose parameters a network improves in several steps, given the objective's gradient.

    Marino et al., Eq. (15). The steps start from the prior's parameters, or with a uniform prior from a mean
    of 0 and a standard deviation of 1 before the tanh.
    """

    steps: int = 2
    """Inference steps, each with one gradient of the objective (16)."""
    stores_density = False

    samples: int = 10
    """Actions per state in each estimate of the objective, and in the critics' targets."""

    def __post_init__(self) -> None:
        """Raise `InputError` for no step or no action."""
        check_types(self)
        demand_at_least(self, 1, "steps", "samples")

    def fit(self, others: Mapping[str, Part]) -> None:
        """Raise `InputError` if the prior moves, or nothing weighs the divergence from it."""
        require_kinds(others, "an iterative posterior", prior=("fixed", "uniform"))
        found = others["temperature"].kind
        require(found != "zero", "temperature", found, "must not be 'zero' for an iterative posterior")


@dataclass(frozen=True)
class Stein(Posterior, kind="stein"):
    """Network of state and noise whose samples Stein variational gradients move towards exp(Q / alpha)."""

    has_density = False

    samples: int = 16
    """Particles per state, of which half move and half stand for the distribution; and proposals per state in
    the critics' targets."""

    def __post_init__(self) -> None:
        """Raise `InputError` for particles that can't be halved."""
        check_types(self)
        demand_at_least(self, 2, "samples")
        demand(self, self.samples % 2 == 0, "samples", "must be even")

    def fit(self, others: Mapping[str, Part]) -> None:
        """Raise `InputError` if a part needs the particles' density, or the temperature is not constant."""
        require_kinds(
            others, "a Stein posterior", value=("target-q",), prior=("uniform",), temperature=("constant",)
        )
        evaluation = getattr(others["value"], "evaluation", None)
        rule = "must be 'optimal' for a Stein posterior"
        require(evaluation == "optimal", "value.evaluation", evaluation, rule)
