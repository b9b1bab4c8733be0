"""Definition of an algorithm: one part per design axis of Marino et al., plus settings that parts share."""

from dataclasses import dataclass
from typing import Any

from virel_common.errors import require
from virel_deep.design import (  # noqa: F401  (register their kinds of parts)
    discrete,
    hierarchy,
    improvement,
    inference,
    model,
    on_policy,
    priors,
)
from virel_deep.design.data import Data, Replay
from virel_deep.design.fields import (
    Part,
    added,
    check_types,
    demand,
    demand_at_least,
    demand_positive,
    dotted_name,
)
from virel_deep.design.parts import Posterior, Prior, Uniform, Value
from virel_deep.design.temperature import Temperature

POLICY = frozenset({"policy", "low"})
"""Names of the networks that the policy consists of: `low` is the low level of a hierarchy."""


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """Variational RL algorithm as data: one part per design axis, and the settings that parts share.

    Example:
        >>> from virel_deep.design.parts import TanhGaussian, TargetQ
        >>> from virel_deep.design.temperature import Dual
        >>> sac = Algorithm(value=TargetQ(), posterior=TanhGaussian(), temperature=Dual())
        >>> sac.prior.kind, sac.value.critics
        ('uniform', 2)
    """

    value: Value
    posterior: Posterior
    prior: Prior = Uniform()  # noqa: RUF009  (frozen)
    temperature: Temperature
    data: Data = Replay()  # noqa: RUF009  (frozen)
    gamma: float = 0.99
    """Discount factor, in [0, 1)."""
    reward_scale: float = 1.0
    """Factor of rewards in training; evaluation reports unscaled returns."""
    hidden: tuple[int, ...] = (256, 256)
    """Sizes of the hidden layers, the same in every network."""
    learning_rate: float = 3e-4
    """Adam step size, shared by every network and by a tuned temperature."""
    polyak: float = 0.005
    """Weight tau of the online parameters in each update of target networks that are averaged, in (0, 1]."""
    policy_delay: int = 1
    """Critic updates per update of the policy, and of target networks that are averaged (TD3: 2)."""
    target_period: int = added(0)
    """Updates from one copy of the online parameters to the target networks to the next; 0 averages them."""
    update_every: int = added(1)
    """Transitions per update of the networks."""
    updates_per_step: float = added(1.0)
    """Updates for every `update_every` transitions, on average; 4 makes four at once, 0.25 one in four."""
    learning_rate_end: float | None = added(None)
    """Adam step size that a straight line reaches after `learning_rate_updates` updates; None: constant."""
    learning_rate_updates: int = added(0)
    """Updates until the step size is `learning_rate_end`, whatever the run's goal; then it stays."""
    policy_learning_rate: float | None = added(None)
    """Adam step size of the policy alone, which shrinks in the same proportion; None is `learning_rate`."""
    gradient_norm: float | None = added(None)
    """Largest Euclidean norm of a network's gradient, which is shortened to it; None: as long as it is."""

    def __post_init__(self) -> None:
        """Check all settings, and that the parts fit together; raise `InputError` otherwise."""
        check_types(self)
        demand(self, 0 <= self.gamma < 1, "gamma", "must be in [0, 1)")
        demand(self, 0 < self.polyak <= 1, "polyak", "must be in (0, 1]")
        given = [
            name for name in ("policy_learning_rate", "gradient_norm") if getattr(self, name) is not None
        ]
        demand_positive(self, "reward_scale", "learning_rate", "updates_per_step", *given)
        demand_at_least(self, 1, "policy_delay", "update_every")
        demand_at_least(self, 0, "target_period")
        if self.learning_rate_end is not None:
            demand_at_least(self, 0, "learning_rate_end")
        scheduled = self.learning_rate_end is not None
        demand(
            self, (self.learning_rate_updates >= 1) == scheduled, "learning_rate_updates",
            f"must be {'at least 1 with' if scheduled else '0 without'} a `learning_rate_end`",
        )  # fmt: skip
        demand(
            self, self.hidden != () and min(self.hidden) >= 1, "hidden", "must be layer sizes of at least 1"
        )
        pace = f"must be 1 for {self.data.kind}, which say themselves when updates are due"
        for name in ("update_every", "updates_per_step"):
            demand(self, self.data.paced or getattr(self, name) == 1, name, pace)
        used = self.policy_learning_rate is None or self.posterior.has_network
        demand(self, used, "policy_learning_rate", f"must be None for a {self.posterior.kind} posterior")
        for part in self.parts.values():
            part.fit(self.parts)

    def rate(self, network: str) -> float:
        """First Adam step size of a network by its name, such as `policy` or `critic`."""
        own = self.policy_learning_rate if network in POLICY else self.value.rate(network)
        return self.learning_rate if own is None else own

    def rate_factor(self, updates: int) -> float:
        """Factor of all step sizes after this many updates: 1, or on a line to its end.

        Example:
            >>> from virel_deep.design.presets import PRESETS
            >>> from virel_deep.design.records import changed
            >>> falls = {"learning_rate": 4e-4, "learning_rate_end": 1e-4, "learning_rate_updates": 100}
            >>> falling = changed(PRESETS["sac"].algorithm, falls)
            >>> falling.rate_factor(0), falling.rate_factor(50), falling.rate_factor(1000)
            (1.0, 0.625, 0.25)
        """
        if self.learning_rate_end is None:
            return 1.0
        done = min(updates / self.learning_rate_updates, 1.0)
        return 1 - done + done * self.learning_rate_end / self.learning_rate

    @property
    def tails(self) -> tuple[str, ...]:
        """Columns that the replay keeps beside those of a plain transition, as `data.replay` names them.

        A discrete action has nothing before a tanh: it is weighed as it is.
        """
        names = (*self.value.tails, *self.prior.tails)
        return tuple(name for name in names if not (name == "pre" and self.posterior.discrete))

    @property
    def unused(self) -> dict[str, str]:
        """Settings that change nothing in this algorithm, by dotted name, with the rule that refuses them.

        Example:
            >>> from virel_deep.design.presets import PRESETS
            >>> list(PRESETS["sac"].algorithm.unused), list(PRESETS["mpo"].algorithm.unused)
            ([], ['polyak'])
        """
        parts = self.parts
        out = {
            dotted_name(part, name): x for part in parts.values() for name, x in part.unused(parts).items()
        }
        if not any(part.has_targets for part in parts.values()):
            out |= dict.fromkeys(("polyak", "target_period"), "must not be set: there are no target networks")
        elif self.target_period > 0:
            how = f"copied (`target_period` is {self.target_period}), not averaged"
            out["polyak"] = f"must not be set where target networks are {how}"
        return out

    def require_used(self, before: "Algorithm") -> None:
        """Raise `InputError` for a setting that was changed though it has no effect in this algorithm.

        A preset may have such a setting, and a recorded run may: what is as it was is not refused.

        Args:
            before: the algorithm before its changes; a part of another kind had its defaults.
        """
        for name, rule in self.unused.items():
            axis, _, setting = name.rpartition(".")
            now: Any = self.parts[axis] if axis else self
            was: Any = before.parts[axis] if axis else before
            found = getattr(now, setting)
            same = was if type(was) is type(now) else type(now)()
            require(found == getattr(same, setting), name, found, rule)

    @property
    def blind_to(self) -> tuple[int, ...]:
        """Entries of an observation that the prior does not see; negative ones count from the end."""
        return self.prior.blind_to

    @property
    def parts(self) -> dict[str, Part]:
        """Parts of the algorithm by design axis: value, posterior, prior, temperature, data."""
        parts = (self.value, self.posterior, self.prior, self.temperature, self.data)
        return {part.axis: part for part in parts}
