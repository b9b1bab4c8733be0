"""Interfaces of an algorithm's parts: one protocol each for value, posterior, prior and temperature.

Shapes: K seeds, B states, N actions per state, A action dimensions, C critics. The update by autograd
(`virel_deep/agent/general.py`) sees the parts through these names only; no part asks for another's kind.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from virel_deep.networks.network import Network
from virel_deep.networks.perceptron import Floats


def seedwise(f: Callable[..., Any], *tensors: Tensor) -> Any:
    """Apply `f` to tensors `[K, ...]`: seed by seed on the CPU, in one call on a GPU.

    Everything whose rounding may depend on a tensor's size goes through it: transcendental functions, whose
    vectorised loops and scalar tails differ, and sums. `f` must take any leading axes, or none. It returns a
    tensor or a tuple of them.
    """
    if tensors[0].is_cuda:
        return f(*tensors)
    of_each = [f(*of_seed) for of_seed in zip(*(x.unbind() for x in tensors), strict=True)]
    if isinstance(of_each[0], tuple):
        return tuple(torch.stack(parts) for parts in zip(*of_each, strict=True))
    return torch.stack(of_each)


def seed_mean(x: Tensor) -> Tensor:
    """Mean `[K]` per seed, over all other axes of `x [K, ...]`."""
    mean: Tensor = seedwise(lambda rows: rows.mean(-1), x.flatten(1))
    return mean


class Draw(NamedTuple):
    """Specification of the random numbers to draw per state: how many, and from which distribution."""

    width: int
    law: Literal["normal", "uniform"] = "normal"
    """`normal`: standard normal. `uniform`: from [0, 1)."""


Noise = Mapping[str, Tensor]
"""Random numbers drawn for each `Draw`, by its name, `[K, B, width]`."""


class Weighted(NamedTuple):
    """Policy distribution at B states as a set of weighted actions; expectations are weighted sums."""

    action: Tensor
    """Actions `[K, B, N, A]` in [-1, 1]."""
    log_weight: Tensor
    """Logarithms `[K, B, N]` of weights that sum to 1 over N."""
    log_pi: Tensor
    """Log densities of the actions under the posterior, `[K, B, N]`, nats."""
    log_prior: Tensor
    """Log densities of the actions under the prior, `[K, B, N]`, nats."""
    penalty: Tensor | None = None
    """Penalty on the posterior's parameters, added to the policy loss, `[K, B]`; None is no penalty."""

    @property
    def log_ratio(self) -> Tensor:
        """Log density ratio `log(posterior / prior)` of the actions, `[K, B, N]`; its mean is the KL."""
        return self.log_pi - self.log_prior

    def mean(self, x: Tensor) -> Tensor:
        """Expectation `[K, B]` over the weighted actions of a function with values `x [K, B, N]`."""
        mean: Tensor = seedwise(lambda log_weight, y: (log_weight.exp() * y).sum(-1), self.log_weight, x)
        return mean

    def detach(self) -> "Weighted":
        """Copy of the weighted actions that carries no gradient."""
        penalty = None if self.penalty is None else self.penalty.detach()
        action, log_weight, log_pi, log_prior = (x.detach() for x in self[:4])
        return Weighted(action, log_weight, log_pi, log_prior, penalty)


class Transitions(NamedTuple):
    """Minibatch of transitions, `[K, B, ...]`, with scaled rewards."""

    state: Tensor
    history: Tensor
    """State and action, `[K, B, O + A]`."""
    reward: Tensor
    terminated: Tensor
    next_state: Tensor


class Objective(NamedTuple):
    r"""Objective at each state, $E[Q] - \alpha\,KL(\pi \| p)$ with p the prior: Marino et al., Eq. (16)."""

    q_of: Callable[[Tensor, Tensor], Tensor]
    """Q `[K, B, N]` at states `[K, B, O]` and actions `[K, B, N, A]`, differentiable in the actions."""
    prior: "Prior"
    alpha: Tensor
    """Temperature `[K, 1]`."""


class Fitted(NamedTuple):
    """Losses, TD errors and metrics from fitting the value to a minibatch, before networks are updated."""

    loss: Tensor
    """Sum `[K]` of the losses of the value's networks, to be minimised."""
    td_error: Tensor
    """TD errors `[K, C, B]` of the critics, without gradient."""
    report: Mapping[str, Tensor]
    """Values `[K]` to be logged, by their names in `METRICS`."""


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

    def log_density(self, state: Tensor, action: Tensor) -> Tensor:
        """Log densities `[K, B, N]` of the prior at states `[K, B, O]` and actions `[K, B, N, A]`."""

    def loss(self, state: Tensor, posterior: Weighted) -> Tensor | None:
        """Loss `[K]` that pulls the prior towards the posterior; None if the prior is fixed."""


class Posterior(Part, Protocol):
    """Interface of the posterior: the action distribution (policy), its loss, and how it acts."""

    @property
    def noise(self) -> Mapping[str, Draw]:
        """Random numbers needed per state to infer the posterior, in the order in which they are drawn."""

    def infer(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:
        """Infer the posterior at states `[K, B, O]`, differentiable in its parameters."""

    def infer_next(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:
        """Infer the posterior at next states `[K, B, O]` for critic targets, by a target copy if any."""

    def loss(self, posterior: Weighted, q: Tensor, alpha: Tensor) -> Tensor | None:
        """Loss `[K]` of the policy, without penalties; None if no parameters are learnt.

        `q [K, B, N]` is Q at the posterior's actions, differentiable in them; `alpha` is `[K, 1]`.
        """

    def explore(self, head: Floats, noise: Floats) -> Floats:
        """Exploratory actions `[N, A]` in numpy, from policy network outputs and standard normal noise."""


class Value(Part, Protocol):
    """Interface of the action value: its losses, targets and TD errors."""

    def q_of(self, state: Tensor, action: Tensor) -> Tensor:
        """Action values Q `[K, B, N]`, differentiable in the actions; critics receive no gradient."""

    def fit(
        self, data: Transitions, here: Weighted, following: Callable[[], Weighted], objective: Objective
    ) -> Fitted:
        """Compute the losses of critic and value networks on a minibatch, given the posterior at s and at s'.

        `here` is the posterior at s. `following` infers the one at s' when it is called: a value that needs
        no action at s' never pays for one.
        """

    def online_td_error(
        self, data: Transitions, following: Callable[[], Weighted], objective: Objective
    ) -> Tensor:
        """TD errors `[K, C, N]` of a separate batch, computed with online instead of target networks."""


class Temperature(Protocol):
    """Interface of the temperature per seed; every kind also tracks the residual error eps_omega."""

    eps_omega: Tensor

    @property
    def alpha(self) -> Tensor:
        """Temperature alpha `[K, 1]` of the next update's policy loss, in scaled reward units per nat."""

    def observe_residual(self, eps_omega: Tensor, *, first: bool) -> None:
        """Update the tracked residual error eps_omega by a new estimate `[K]`; the first replaces it."""

    def observe_reward(self, reward: Tensor, *, first: bool) -> None:
        """Update the average reward by the scaled rewards `[K, ...]` of a minibatch; the first replaces it.

        A temperature that has none stays as it is.
        """

    def tune(self, log_ratio: Tensor) -> None:
        """Take one dual step on a tuned temperature, given `E log(posterior / prior)` `[K, B]` per state.

        A temperature of another kind stays as it is.
        """

    def seed_state(self, k: int) -> dict[str, Any]:
        """Copy seed k's residual error and temperature state into a dictionary of plain numbers."""

    def load_seed_state(self, k: int, state: dict[str, Any]) -> None:
        """Restore seed k's residual error and temperature from a `seed_state` dictionary."""
