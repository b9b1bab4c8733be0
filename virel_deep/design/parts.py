"""Settings of an algorithm's parts, one class per kind, grouped by design axis; without torch.

The tensor code of a part is in `virel_deep/axes/`, found through `virel_deep/axes/build.py`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, NamedTuple

from virel_common.errors import require
from virel_deep.design.fields import (
    OrAuto,
    Part,
    added,
    check_types,
    demand,
    demand_at_least,
    demand_positive,
)

# --- value: what approximates the action value, and how it is evaluated


class Value(Part, axis="value"):
    """Settings of the value: what approximates it, and how a state is evaluated."""

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
    """Factor lambda of Retrace's importance weights, in [0, 1]; None adds up rewards uncorrected."""

    def __post_init__(self) -> None:
        """Raise `InputError` for less than one step, or a trace that is not a share or has nothing to cut."""
        super().__post_init__()
        demand_at_least(self, 1, "steps")
        share = self.trace is None or 0 <= self.trace <= 1
        demand(self, share, "trace", "must be in [0, 1] or None")
        demand(self, self.trace is None or self.steps > 1, "trace", "must be None if `value.steps` is 1")

    def fit(self, others: Mapping[str, Part]) -> None:
        """Raise `InputError` if the trace needs an action density that the posterior lacks."""
        super().fit(others)
        posterior = others["posterior"]
        assert isinstance(posterior, Posterior)
        weighs = self.trace is None or posterior.has_density
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
    on_policy: ClassVar[bool] = False
    """Whether it is improved by the advantages of the actions that the policy took."""
    discrete: ClassVar[bool] = False
    """Whether it chooses among the actions of a discrete space."""

    def entropy_target(self, n_action: int) -> float:
        """Entropy in nats that a dual temperature is tuned to by default: minus A (SAC)."""
        return -float(n_action)


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
        for axis, kind in (("value", "target-q"), ("temperature", "zero")):
            found = others[axis].kind
            require(found == kind, axis, found, f"must be {kind!r} for a deterministic posterior")


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


# --- temperature: the weight of the divergence from the prior


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
    """Entropy that the temperature is tuned to, in nats; None is minus the number of action dimensions A, and
    0.3 log A for a discrete space of A actions."""
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
        kinds = {"uniform", "fixed"}
        require(prior.kind in kinds, "prior", prior.kind, "must be 'fixed', 'uniform' for a dual temperature")
        unused = "epsilon" if prior.means_entropy else "target_entropy"
        demand(self, getattr(self, unused) is None, unused, f"must be None for a {prior.kind} prior")


@dataclass(frozen=True)
class Zero(Temperature, kind="zero"):
    """No temperature: the policy maximises Q alone (DDPG, TD3)."""


# --- data: where minibatches come from, and when


class Data(Part, ABC, axis="data"):
    """Settings of the training data: which transitions are kept, what a minibatch is, when updates are due.

    E copies of the environment step at once; a step counts the transitions of all.
    """

    paced: ClassVar[bool] = True
    """Whether `update_every` says when updates are due."""

    @property
    @abstractmethod
    def warmup(self) -> int:
        """Environment steps with uniform actions and no update."""

    @abstractmethod
    def kept(self, *, capacity: int, copies: int) -> int:
        """Number of transitions that are kept, of at most `capacity`."""

    @abstractmethod
    def shape(self, window: int, copies: int) -> tuple[int, ...]:
        """Leading sizes of a minibatch, `(B,)` transitions, or `(B, n)` windows of transitions."""

    @abstractmethod
    def transitions(self, copies: int) -> int:
        """Number of transitions of a minibatch at which targets begin."""

    @abstractmethod
    def updates(self, step: int, *, window: int, copies: int, every: int, ratio: float = 1.0) -> int:
        """Number of updates that are due at `step`, the last `copies` of whose transitions are new."""

    @abstractmethod
    def idle(self, steps: int, copies: int) -> str | None:
        """Reason why a run of so many steps makes no update; None if there is none."""

    @abstractmethod
    def without_warmup(self) -> "Data":
        """These settings without a warm-up."""


@dataclass(frozen=True)
class Replay(Data, kind="replay"):
    """Minibatches drawn uniformly, with replacement, from the replay buffer of the run's last transitions."""

    batch: int = 256
    """Transitions per minibatch and seed."""
    warmup: int = 5000
    """Environment steps with uniform actions and no update; at least one batch is always collected."""

    def __post_init__(self) -> None:
        """Raise `InputError` for a minibatch without transitions, or a negative warm-up."""
        check_types(self)
        demand_at_least(self, 1, "batch")
        demand_at_least(self, 0, "warmup")

    def kept(self, *, capacity: int, copies: int) -> int:  # noqa: ARG002
        """Number of transitions that are kept: the capacity."""
        return capacity

    def shape(self, window: int, copies: int) -> tuple[int, ...]:  # noqa: ARG002
        """Leading sizes of a minibatch: B transitions, or B windows."""
        return (self.batch,) if window == 1 else (self.batch, window)

    def transitions(self, copies: int) -> int:  # noqa: ARG002
        """Number of transitions of a minibatch at which targets begin, B."""
        return self.batch

    def updates(self, step: int, *, window: int, copies: int, every: int, ratio: float = 1.0) -> int:
        """Number of updates due: `ratio` per `every` transitions, once there are a batch and a window.

        Example:
            >>> data = Replay(batch=1, warmup=0)
            >>> [data.updates(step, window=1, copies=1, every=1, ratio=0.5) for step in range(1, 5)]
            [0, 1, 0, 1]
        """
        if step <= self.warmup or step < max(self.batch, (window - 1) * copies + 1):
            return 0
        return int(step // every * ratio) - int((step - copies) // every * ratio)

    def idle(self, steps: int, copies: int) -> str | None:  # noqa: ARG002
        """Reason why a run of so many steps makes no update: its warm-up is as long."""
        return f"`data.warmup` is {self.warmup}" if steps <= self.warmup else None

    def without_warmup(self) -> "Replay":
        """These settings with a warm-up of no steps."""
        return replace(self, warmup=0)
