"""Definition of an algorithm: one part per design axis of Marino et al., plus settings that parts share."""

from dataclasses import dataclass

from virel_deep.design import (  # noqa: F401  (register their kinds of parts)
    discrete,
    improvement,
    inference,
    on_policy,
)
from virel_deep.design.fields import Part, added, check_types, demand, demand_at_least, demand_positive
from virel_deep.design.parts import Data, Posterior, Prior, Replay, Temperature, Uniform, Value


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """Variational RL algorithm as data: one part per design axis, and the settings that parts share.

    Example:
        >>> from virel_deep.design.parts import Dual, TanhGaussian, TargetQ
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
    """Weight tau of the online parameters in each update of the target networks, in (0, 1]."""
    policy_delay: int = 1
    """Critic updates per update of the policy and of the target networks (TD3: 2)."""
    target_period: int = added(0)
    """Updates from one copy of the online parameters to the target networks to the next; 0 averages them."""
    update_every: int = added(1)
    """Transitions per update of the networks."""

    def __post_init__(self) -> None:
        """Check all settings, and that the parts fit together; raise `InputError` otherwise."""
        check_types(self)
        demand(self, 0 <= self.gamma < 1, "gamma", "must be in [0, 1)")
        demand(self, 0 < self.polyak <= 1, "polyak", "must be in (0, 1]")
        demand_positive(self, "reward_scale", "learning_rate")
        demand_at_least(self, 1, "policy_delay", "update_every")
        demand_at_least(self, 0, "target_period")
        demand(
            self, self.hidden != () and min(self.hidden) >= 1, "hidden", "must be layer sizes of at least 1"
        )
        pace = f"must be 1 for {self.data.kind}, which say themselves when updates are due"
        demand(self, self.data.paced or self.update_every == 1, "update_every", pace)
        for part in self.parts.values():
            part.fit(self.parts)

    @property
    def tails(self) -> tuple[str, ...]:
        """Columns that the replay keeps beside those of a plain transition, as `data.replay` names them.

        A discrete action has nothing before a tanh: it is weighed as it is.
        """
        return tuple(name for name in self.value.tails if not (name == "pre" and self.posterior.discrete))

    @property
    def parts(self) -> dict[str, Part]:
        """Parts of the algorithm by design axis: value, posterior, prior, temperature, data."""
        parts = (self.value, self.posterior, self.prior, self.temperature, self.data)
        return {part.axis: part for part in parts}
