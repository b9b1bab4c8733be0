"""Interfaces of an algorithm's parts: one protocol each for value, posterior, prior and temperature.

Shapes: K seeds, B states, N actions per state, A action dimensions, C critics. The update by autograd
(`virel_deep/agent/general.py`) sees the parts through these names only; no part asks for another's kind.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from virel_deep.axes.tensors import Behaviour, Evaluated, PriorLoss, Stepped, Transitions, Weighted
from virel_deep.networks.network import Network
from virel_deep.networks.perceptron import Floats


class Draw(NamedTuple):
    """Specification of the random numbers to draw per state: how many, and from which distribution."""

    width: int
    law: Literal["normal", "uniform"] = "normal"
    """`normal`: standard normal. `uniform`: from [0, 1)."""


ONE_NUMBER = Draw(1, "uniform")
"""Random number that chooses a discrete action."""

Noise = Mapping[str, Tensor]
"""Random numbers drawn for each `Draw`, by its name, `[K, B, width]`."""


class Objective(NamedTuple):
    r"""Objective at each state, $E[Q] - \alpha\,KL(\pi \| p)$ with p the prior: Marino et al., Eq. (16)."""

    q_of: Callable[[Tensor, Tensor], Tensor]
    """Q `[K, B, N]` at states `[K, B, O]` and actions `[K, B, N, A]`, differentiable in the actions."""
    prior: "Prior"
    alpha: Tensor
    """Temperature `[K, 1]`."""
    world: "World | None" = None
    """Model of the environment, for posteriors that plan; None if the value has none."""
    critic: Network | None = None
    """Critics that `q_of` reads, for compiled planners; None if there is no model."""


class World(Protocol):
    """Interface of a model of the environment, for R rollouts of each seed."""

    width: int
    """Standard normal numbers that a step of a rollout needs."""

    def member(self, uniform: Tensor) -> Tensor:
        """Member `[K, R]` that each rollout follows, from numbers `[K, R]` in [0, 1)."""

    def step(self, state: Tensor, action: Tensor, member: Tensor, noise: Tensor) -> Stepped:
        """Step from states `[K, R, O]` by actions `[K, R, A]`, with the noise `[K, R, width]`.

        Differentiable in states and actions, never in the model's parameters.
        """


class Following(Protocol):
    """Interface of the posterior at the next states, as a value asks for it; it carries no gradient."""

    noise: Noise
    """Random numbers at the next states, of posterior and value."""

    def walk(self, state: Tensor, noise: Tensor, objective: Objective) -> Weighted:
        """One action at each state, as `Walking.walk` has it."""

    def __call__(self, state: Tensor) -> Weighted:
        """Infer the posterior at next states `[K, R, O]`; called at most once per minibatch."""

    def log_likelihood(self, state: Tensor, pre: Tensor) -> Tensor:
        """Log densities `[K, R]` of stored actions `[K, R, A]` before the tanh under that posterior."""

    def recall(self, state: Tensor, pre: Tensor) -> Weighted:
        """Stored actions `[K, R, A]` before the tanh as a posterior of one action at each state `[K, R, O]`.

        Differentiable in the policy's parameters if the update improves it.
        """


class Fitted(NamedTuple):
    """Losses, TD errors and metrics from fitting the value to a minibatch, before networks are updated."""

    loss: Tensor
    """Sum `[K]` of the losses of the value's networks, to be minimised."""
    td_error: Tensor
    """TD errors `[K, C, B]` of the critics, without gradient."""
    report: Mapping[str, Tensor]
    """Values `[K]` to be logged, by their names in `METRICS`."""
    following: Evaluated | None = None
    """Posterior that the value asked for, with its values; None if it asked for none.

    It is the one at next states, with values under the targets, or that of the actions taken at s, with
    their advantages."""


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

    at_next: bool
    """Whether the value hands it over with its actions' values, at next states or of the actions taken.

    Else it is inferred at s itself."""

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


@runtime_checkable
class Amortised(Protocol):
    """Interface of a posterior that acts by its policy network's outputs alone, in numpy."""

    def explore(self, head: Floats, noise: Floats) -> Floats:
        """Exploratory actions `[N, A]` in numpy, from policy network outputs and the noise of `acting`."""


@runtime_checkable
class Deliberate(Protocol):
    """Interface of a posterior that acts by its objective: it needs critics, temperature and prior."""

    def deliberate(self, state: Tensor, noise: Tensor, objective: Objective) -> Tensor:
        """Exploratory actions `[K, N, A]` at states `[K, N, O]`, with the noise that `acting` declares."""


@runtime_checkable
class Settling(Protocol):
    """Interface of a posterior that acts by its objective, and has a deterministic action."""

    def settle(self, state: Tensor, objective: Objective) -> Tensor:
        """Deterministic actions `[K, N, A]` at states `[K, N, O]`."""


@runtime_checkable
class Walking(Protocol):
    """Interface of a posterior that rollouts of a model follow."""

    def walk(self, state: Tensor, noise: Tensor, objective: Objective) -> Weighted:
        """Draw one action at each state `[K, R, O]` with standard normal noise `[K, R, A]`.

        Differentiable in the states, never in the policy's parameters.
        """


@runtime_checkable
class Behaving(Protocol):
    """Interface of a posterior whose actions are stored with their values and densities before the tanh."""

    def behave(self, head: Floats, noise: Floats) -> Behaviour:
        """Exploratory actions as those of `explore`, with their densities."""


@runtime_checkable
class Likelihood(Behaving, Protocol):
    """Interface of a posterior whose actions have a density, so that stored ones can be weighed."""

    def log_likelihood(self, state: Tensor, pre: Tensor) -> Tensor:
        """Log densities `[K, R]` of stored actions `[K, R, A]` before the tanh under the target's policy."""


@runtime_checkable
class Recalling(Behaving, Protocol):
    """Interface of a posterior that is improved by the advantages of the actions that it took."""

    def recall(self, state: Tensor, pre: Tensor, objective: Objective) -> Weighted:
        """Stored actions `[K, R, A]` before the tanh as one weighted action at each state `[K, R, O]`.

        Differentiable in the policy's parameters if it is learnt through its log density.
        """


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


@runtime_checkable
class Expanding(Protocol):
    """Interface of a value whose action values are expanded through a model."""

    world: World
    noise: Mapping[str, Draw]
    """Random numbers that the rollouts from a state need, in the order in which they are drawn."""

    def expanded(self, objective: Objective, posterior: Walking, noise: Noise) -> Objective:
        """Objective with expanded values at B states, given the random numbers of rollouts from each."""


@runtime_checkable
class Remembering(Protocol):
    """Interface of a value or posterior that remembers more of a seed than its networks."""

    def seed_state(self, k: int) -> dict[str, Any]:
        """Copy what is remembered of seed k into a dictionary."""

    def load_seed_state(self, k: int, state: dict[str, Any]) -> None:
        """Restore seed k from a `seed_state` dictionary."""


@runtime_checkable
class Starting(Protocol):
    """Interface of a part whose networks do not begin with drawn weights alone."""

    def start(self) -> None:
        """Change the weights that were drawn, before targets copy them."""


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
