"""Settings of values, posteriors and priors, one class per kind, grouped by design axis; without torch.

Temperatures are in `temperature.py`, data in `data.py`, further kinds in files by what they are for. The
tensor code of a part is in `virel_deep/axes/`, found through `virel_deep/axes/builders/`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from virel_deep.design.fields import Part, added, check_types, demand, demand_at_least, require_kinds

ENTROPY_SHARE = 0.3
"""Default entropy target of a policy over discrete actions, as a share of the largest entropy, log A.

Christodoulou 2019 (arXiv 1910.07207) has 0.98. A soft value pays for every further step with the temperature
times the entropy. So where episodes end, the values of actions differ by more as the temperature grows, and
the entropy need not reach a large target: on CartPole the temperature grew without bound at 0.98, and to 16
at 0.7. 0.3 is what was measured there (docs/deep/discrete.md).
"""

# --- value: what approximates the action value, and how it is evaluated


class Value(Part, axis="value"):
    """Settings of the value: what approximates it, and how a state is evaluated."""

    has_targets = True

    evaluation: Literal["hard", "soft", "optimal"]

    def fit(self, others: Mapping[str, Part]) -> None:
        """Raise `InputError` if a soft value lacks a temperature, or an optimal one a positive one."""
        temperature = others["temperature"]
        meaningful = self.evaluation == "hard" or temperature.kind != "zero"
        demand(self, meaningful, "evaluation", "must be 'hard' if the temperature is 'zero'")
        positive = temperature.kind != "residual" and getattr(temperature, "alpha", 1.0) > 0
        possible = self.evaluation != "optimal" or positive
        demand(self, possible, "evaluation", "must not be 'optimal' if the temperature may be 0")

    @property
    def window(self) -> int:
        """Consecutive transitions that a target reads."""
        return 1

    @property
    def tails(self) -> tuple[str, ...]:
        """Columns that the replay keeps beside those of a plain transition, as `data.replay` names them."""
        return ()

    def rate(self, network: str) -> float | None:  # noqa: ARG002
        """Step size of a network by its name, if it has one of its own; None is the one that all share."""
        return None

    @property
    def outline(self) -> str:
        """Kind and evaluation in a few words, for tables."""
        return f"{self.kind}, {self.evaluation}"


@dataclass(frozen=True)
class Critics(Value):
    """Settings of an action value: how many critics, and how a state value is evaluated."""

    critics: int = 2
    """Critics: 1, or 2 of which the smaller value counts."""
    evaluation: Literal["hard", "soft", "optimal"] = "soft"
    """State value: `hard` is E[Q] (VIREL, TD3), `soft` is E[Q - alpha log pi] (MERL, SAC), `optimal` is the
    largest soft value of any policy, alpha log E[exp(Q / alpha) / pi], the actions being proposals (SQL)."""

    def __post_init__(self) -> None:
        """Raise `InputError` unless the number of critics is 1 or 2."""
        check_types(self)
        demand(self, self.critics in {1, 2}, "critics", "must be 1 or 2")

    @property
    def outline(self) -> str:
        """Kind, number of critics and evaluation in a few words, for tables."""
        return f"{self.kind}, {self.critics} critic{'s' * (self.critics > 1)}, {self.evaluation}"


@dataclass(frozen=True)
class TargetQ(Critics, kind="target-q"):
    """Critics with target copies, which are evaluated at the next state's actions (SAC, TD3)."""

    steps: int = added(1)
    """Rewards that a target adds up before it bootstraps, as far as the episode goes."""
    trace: float | None = added(None)
    """Factor lambda of Retrace's importance weights, in [0, 1]; None, for `hard` values or a single step,
    adds up rewards uncorrected."""

    def __post_init__(self) -> None:
        """Raise `InputError` for steps, trace and evaluation that do not go together."""
        super().__post_init__()
        demand_at_least(self, 1, "steps")
        share = self.trace is None or 0 <= self.trace <= 1
        demand(self, share, "trace", "must be in [0, 1] or None")
        demand(self, self.trace is None or self.steps > 1, "trace", "must be None if `value.steps` is 1")
        # Only Retrace's errors subtract the divergences of the states between the first and the last.
        counted = self.steps == 1 or self.trace is not None or self.evaluation == "hard"
        rule = f"must be 1 if `value.evaluation` is {self.evaluation!r} and `value.trace` is None"
        demand(self, counted, "steps", rule)

    def fit(self, others: Mapping[str, Part]) -> None:
        """Raise `InputError` if the trace needs an action density that the posterior lacks."""
        super().fit(others)
        posterior = others["posterior"]
        assert isinstance(posterior, Posterior)
        weighs = self.trace is None or (posterior.has_density and posterior.stores_density)
        demand(self, weighs, "trace", f"must be None if the posterior is {posterior.kind!r}")

    @property
    def window(self) -> int:
        """Consecutive transitions that a target reads: as many as it has steps."""
        return self.steps

    @property
    def tails(self) -> tuple[str, ...]:
        """Columns for windows (truncation), and for Retrace (actions before the tanh, their densities)."""
        if self.steps == 1:
            return ()
        return ("truncated",) if self.trace is None else ("truncated", "pre", "log_density")


@dataclass(frozen=True)
class VNetwork(Critics, kind="v-network"):
    """Critics and a state-value network V, whose Polyak copy gives the targets (VIREL App. H, SAC 2018)."""


# --- posterior: where actions come from


class Posterior(Part, axis="posterior"):
    """Settings of the posterior (policy): the distribution of actions, which the E-step improves."""

    has_density: ClassVar[bool] = True
    """Whether actions have a density, so that there is an entropy to weigh."""
    stores_density: ClassVar[bool] = True
    """Whether the densities of actions that were taken are stored, which Retrace weighs."""
    has_network: ClassVar[bool] = True
    """Whether a network named `policy` is learned, by the posterior or its prior."""
    on_policy: ClassVar[bool] = False
    """Whether it is improved by the advantages of the actions that the policy took."""
    discrete: ClassVar[bool] = False
    """Whether it chooses among the actions of a discrete space."""

    def entropy_target(self, n_action: int) -> float:
        """Entropy in nats that a dual temperature is tuned to by default: minus A (SAC), or 0.3 log A."""
        return ENTROPY_SHARE * math.log(n_action) if self.discrete else -float(n_action)


@dataclass(frozen=True)
class TanhGaussian(Posterior, kind="tanh-gaussian"):
    """Gaussian policy squashed by tanh; mean and log standard deviation from a network, reparametrised."""

    mean_penalty: float = 0.0
    """Weight of the squared mean before the tanh in the policy loss (published VIREL code: 1e-3)."""
    log_std_penalty: float = 0.0
    """Weight of the squared log standard deviation in the policy loss (published VIREL code: 1e-3)."""
    samples: int = added(1)
    """Actions per state, here and at the next state, whose mean stands for an expectation."""

    def __post_init__(self) -> None:
        """Raise `InputError` for no action, or a penalty weight below 0."""
        check_types(self)
        demand_at_least(self, 1, "samples")
        demand_at_least(self, 0, "mean_penalty", "log_std_penalty")


@dataclass(frozen=True)
class Deterministic(Posterior, kind="deterministic"):
    """Deterministic policy, the tanh of a network, with a target copy of the network (DDPG, TD3)."""

    has_density = False
    has_targets = True

    exploration_noise: float = 0.1
    """Standard deviation of the noise added while acting, in units of the action range [-1, 1]."""
    target_noise: float = 0.0
    """Standard deviation of the noise added to the target policy's action (TD3: 0.2)."""
    target_noise_clip: float = 0.5
    """Largest absolute value of the noise added to the target policy's action."""

    def __post_init__(self) -> None:
        """Raise `InputError` for a standard deviation or clip of the noise below 0."""
        check_types(self)
        demand_at_least(self, 0, "exploration_noise", "target_noise", "target_noise_clip")

    def fit(self, others: Mapping[str, Part]) -> None:
        """Raise `InputError` if another part needs an action density, which a deterministic policy lacks."""
        require_kinds(others, "a deterministic posterior", value=("target-q",), temperature=("zero",))

    def unused(self, others: Mapping[str, Part]) -> dict[str, str]:  # noqa: ARG002
        """The clip of the target policy's noise where there is no noise."""
        if self.target_noise > 0:
            return {}
        rule = "must not be set where `posterior.target_noise` is 0: there is no noise to clip"
        return {"target_noise_clip": rule}


# --- prior: what the posterior is compared with


class Prior(Part, axis="prior"):
    """Settings of the prior: the action distribution that the KL term compares the policy with."""

    means_entropy: ClassVar[bool] = False
    """Whether the divergence from it is minus the policy's entropy, its constant left out."""

    @property
    def blind_to(self) -> tuple[int, ...]:
        """Entries of an observation that it does not see; negative ones count from the end."""
        return ()

    @property
    def tails(self) -> tuple[str, ...]:
        """Columns that the replay keeps beside those of a plain transition, as `data.replay` names them."""
        return ()


@dataclass(frozen=True)
class Uniform(Prior, kind="uniform"):
    """Uniform action prior, left out as a constant: the KL divergence becomes minus the entropy."""

    means_entropy = True
