"""Interfaces of an algorithm's parts: one protocol each for value, posterior, prior and temperature.

Shapes: K seeds, B states, N actions per state, A action dimensions, C critics. The update by autograd
(`virel_deep/agent/general.py`) sees the parts through these names and those of `abilities.py` only; no part
asks for another's kind.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from torch import Tensor

from virel_deep.axes.groups import Groups
from virel_deep.axes.tensors import Fitted, PriorLoss, Stepped, Transitions, Weighted
from virel_deep.networks.network import Network


class Draw(NamedTuple):
    """Specification of the random numbers to draw per state: how many, and from which distribution."""

    width: int
    law: Literal["normal", "uniform"] = "normal"
    """`normal`: standard normal. `uniform`: from [0, 1)."""


ONE_NUMBER = Draw(1, "uniform")
"""Random number that chooses a discrete action."""

Noise = Mapping[str, Tensor]
"""Random numbers drawn for each `Draw`, by its name, `[K, B, width]`."""


QOf = Callable[[Tensor, Tensor], Tensor]
"""Function from states `[K, B, O]` and actions `[K, B, N, A]` to values `[K, B, N]`."""


class Objective(NamedTuple):
    r"""Objective at each state, $E[Q] - \alpha\,KL(\pi \| p)$ with p the prior: Marino et al., Eq. (16)."""

    q_of: QOf
    """Values of actions at the states of the minibatch, differentiable in the actions."""
    prior: "Prior"
    alpha: Tensor
    """Temperature `[K, 1]`."""
    world: "World | None" = None
    """Model of the environment, for posteriors that plan; None if the value has none."""
    critic: Network | None = None
    """Critics that `q_of` reads, for compiled planners; None if there is no model."""


class World(Protocol):
    """Interface of a model of the environment, for rollouts and plans of each seed."""

    width: int
    """Standard normal numbers that a step needs."""

    def follow(self, uniform: Tensor) -> "AssignedWorld":
        """Let B rollouts follow members of the model, by numbers `[K, B]` in [0, 1)."""

    def member(self, uniform: Tensor) -> Tensor:
        """Member `[K, R]` that each plan follows, from numbers `[K, R]` in [0, 1)."""

    def step(self, state: Tensor, action: Tensor, member: Tensor, noise: Tensor) -> Stepped:
        """Step plans from states `[K, R, O]` by actions `[K, R, A]`, with the noise `[K, R, width]`."""


class AssignedWorld(Protocol):
    """Interface of a model that rollouts follow, each along one member from its first step to its last."""

    width: int
    """Standard normal numbers that a step needs."""
    groups: Groups
    """Order of the rollouts in which `step` takes their rows."""

    def step(self, state: Tensor, action: Tensor, noise: Tensor) -> Stepped:
        """Step from states `[K, R, O]` by actions `[K, R, A]`, with the noise `[K, R, width]`.

        Differentiable in states and actions, never in the model's parameters.
        """


class Following(Protocol):
    """Interface of the posterior at the next states, as a value asks for it; it carries no gradient."""

    noise: Noise
    """Random numbers at the next states, of posterior and value."""

    def walk(self, state: Tensor, noise: Tensor, objective: Objective) -> Weighted:
        """One action at each state, as `abilities.Walking.walk` has it."""

    def __call__(self, state: Tensor) -> Weighted:
        """Infer the posterior at next states `[K, R, O]`; called at most once per minibatch."""

    def log_likelihood(self, state: Tensor, pre: Tensor) -> Tensor:
        """Log densities `[K, R]` of stored actions `[K, R, A]` before the tanh under that posterior."""

    def recall(self, state: Tensor, pre: Tensor) -> Weighted:
        """Stored actions `[K, R, A]` before the tanh as a posterior of one action at each state `[K, R, O]`.

        Differentiable in the policy's parameters if the update improves it.
        """


class Part(Protocol):
    """Interface of a part of an algorithm that may have networks to learn."""

    @property
    def networks(self) -> Mapping[str, Network]:
        """Networks that this part of the algorithm learns, by name; empty if it learns nothing."""

    @property
    def targets(self) -> Mapping[str, Network]:
        """Target networks (Polyak copies) of this part, by the names of their online networks."""


class Prior(Part, Protocol):
    """Interface of the prior: the action distribution that the KL term compares the posterior with."""

    @property
    def reports(self) -> Sequence[str]:
        """Names of the metrics that `tune` returns."""

    def log_density(self, state: Tensor, action: Tensor, pre: Tensor | None) -> Tensor:
        """Log densities `[K, B, N]` of the prior at states `[K, B, O]` and actions `[K, B, N, A]`.

        `pre` are the actions before the tanh, if they have one.
        """

    def divergence(self, state: Tensor, head: Tensor) -> Tensor | None:
        """KL divergence `[K, B]` of Gaussians `head [K, B, 2 A]` from the prior, differentiable in them.

        None if it has no closed form.
        """

    def kl(self, state: Tensor, head: Tensor) -> Tensor | None:
        """Divergences `[K, B, T]` that a trust region bounds, of the prior from a policy's outputs `head`.

        Of Gaussians those by mean and by spread, of categorical policies a single one; None if the prior has
        no trust region.
        """

    def loss(self, state: Tensor, posterior: Weighted) -> PriorLoss | None:
        """Loss that pulls prior and posterior towards each other; None if the prior asks for nothing."""

    def tune(self, kl: Tensor) -> Mapping[str, Tensor]:
        """Take a dual step on the trust region, given the divergences `[K, T]` of `loss`; return metrics."""

    def seed_state(self, k: int) -> dict[str, Any]:
        """Copy what the prior remembers of seed k beside its networks into a dictionary; empty if nothing."""

    def load_seed_state(self, k: int, state: dict[str, Any]) -> None:
        """Restore seed k from a `seed_state` dictionary."""


class Posterior(Part, Protocol):
    """Interface of the posterior: the action distribution (policy), its loss, and how it acts."""

    at_state: bool
    """Whether it is improved at the states s of the minibatch, of windows at their first ones."""
    at_next: bool
    """Whether it is improved where the value hands it over with its actions' values, after each transition,
    or at the actions taken."""

    @property
    def reports(self) -> Sequence[str]:
        """Names of the metrics that `report` returns."""

    @property
    def noise(self) -> Mapping[str, Draw]:
        """Random numbers needed per state to infer the posterior, in the order in which they are drawn."""

    @property
    def acting(self) -> Draw:
        """Random numbers that an exploratory action needs."""

    def infer(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:
        """Infer the posterior at states `[K, B, O]`, differentiable in its parameters."""

    def infer_next(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:
        """Infer the posterior at next states `[K, B, O]` for critic targets, by a target copy if any."""

    def improve(self, posterior: Weighted, q: Tensor, alpha: Tensor) -> Weighted:
        """Posterior of what was inferred, given the values `[K, B, N]` of its actions."""

    def loss(self, posterior: Weighted, q: Tensor, alpha: Tensor) -> Tensor | None:
        """Loss `[K]` of the policy, without penalties; None if no parameters are learnt.

        `q [K, B, N]` is Q at the posterior's actions, differentiable in them; `alpha` is `[K, 1]`.
        """

    def report(self, posterior: Weighted) -> Mapping[str, Tensor]:
        """Metrics `[K]` of an inferred posterior, by the names in `reports`."""


class Value(Part, Protocol):
    """Interface of the action value: its losses, targets and TD errors."""

    reach: int
    """Next states per transition at which targets need the posterior."""
    whole: bool
    """Whether every transition of a window is one of the minibatch, or the first alone."""

    @property
    def reports(self) -> Sequence[str]:
        """Names of the metrics that `fit` reports beside those of every value."""

    def q_of(self, state: Tensor, action: Tensor) -> Tensor:
        """Action values Q `[K, B, N]`, differentiable in the actions; critics receive no gradient."""

    def fit(
        self, data: Transitions, here: Weighted | None, following: Following, objective: Objective
    ) -> Fitted:
        """Compute the losses of critic and value networks on a minibatch, given the posterior at s and at s'.

        `here` is the posterior at s, if it is inferred there. `following` infers the one at next states when
        it is called: a value that needs no action at s' never pays for one.
        """

    def online_td_error(self, data: Transitions, following: Following, objective: Objective) -> Tensor:
        """TD errors `[K, C, N]` of a separate batch, computed with online instead of target networks."""


class Temperature(Protocol):
    """Interface of the temperature per seed; every kind also tracks the residual error eps_omega."""

    eps_omega: Tensor

    @property
    def steps(self) -> int:
        """Dual steps per update."""

    @property
    def reports(self) -> Sequence[str]:
        """Names of the metrics that `report` returns."""

    @property
    def alpha(self) -> Tensor:
        """Temperature alpha `[K, 1]` of the next update's policy loss, in scaled reward units per nat."""

    def observe_residual(self, eps_omega: Tensor, *, first: bool) -> None:
        """Update the tracked residual error eps_omega by a new estimate `[K]`; the first replaces it."""

    def observe_reward(self, reward: Tensor, *, first: bool) -> None:
        """Update the average reward by the scaled rewards `[K, ...]` of a minibatch; the first replaces it.

        A temperature that has none stays as it is.
        """

    def scale_rate(self, factor: float) -> None:
        """Set the step size that it shares with the networks, if any, to this multiple of the first one."""

    def tune(self, log_ratio: Tensor) -> None:
        """Take one dual step on a tuned temperature, given `E log(posterior / prior)` `[K, B]` per state.

        A temperature of another kind stays as it is.
        """

    def report(self, kl: Tensor) -> Mapping[str, Tensor]:
        """Metrics `[K]` of the constraint, given the mean divergence `[K]`, by the names in `reports`."""

    def seed_state(self, k: int) -> dict[str, Any]:
        """Copy seed k's residual error and temperature state into a dictionary of plain numbers."""

    def load_seed_state(self, k: int, state: dict[str, Any]) -> None:
        """Restore seed k's residual error and temperature from a `seed_state` dictionary."""
