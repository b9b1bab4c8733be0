"""What the parts of an algorithm show each other and the update: weighted actions, and one protocol per axis.

Shapes: K seeds, B states, N actions per state, A action dimensions, C critics. The update of the general road
(`virel_deep/agent/general.py`) sees the parts through these names only; no part asks for another's kind.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from virel_deep.networks.network import Network
from virel_deep.networks.perceptron import Floats


def seedwise(f: Callable[..., Any], *tensors: Tensor) -> Any:
    """`f` of tensors `[K, ...]`, seed by seed on the CPU and in one call on a GPU.

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
    """Mean `[K]` of everything that belongs to a seed in `x [K, ...]`."""
    mean: Tensor = seedwise(lambda rows: rows.mean(-1), x.flatten(1))
    return mean


class Draw(NamedTuple):
    """Random numbers that a part needs for each state: how many, and from which law."""

    width: int
    law: Literal["normal", "uniform"] = "normal"
    """`normal`: standard normal. `uniform`: from [0, 1)."""


Noise = Mapping[str, Tensor]
"""What was drawn for each `Draw` by its name, `[K, B, width]`."""


class Weighted(NamedTuple):
    """A posterior at B states as a set of weighted actions; expectations under it are weighted sums."""

    action: Tensor
    """Actions `[K, B, N, A]` in [-1, 1]."""
    log_weight: Tensor
    """Logarithms `[K, B, N]` of weights that sum to 1 over N."""
    log_pi: Tensor
    """Log densities of the actions under the posterior, `[K, B, N]`, nats."""
    log_prior: Tensor
    """Log densities of the actions under the prior, `[K, B, N]`, nats."""
    penalty: Tensor | None = None
    """What the posterior's own parameters cost beside the objective, `[K, B]`; None is nothing."""

    @property
    def log_ratio(self) -> Tensor:
        """`log(posterior / prior)` of the actions, `[K, B, N]`; its mean is the KL divergence."""
        return self.log_pi - self.log_prior

    def mean(self, x: Tensor) -> Tensor:
        """Expectation `[K, B]` of a function of the action, given its values `x [K, B, N]`."""
        mean: Tensor = seedwise(lambda log_weight, y: (log_weight.exp() * y).sum(-1), self.log_weight, x)
        return mean

    def detach(self) -> "Weighted":
        """The same set without its gradients."""
        penalty = None if self.penalty is None else self.penalty.detach()
        action, log_weight, log_pi, log_prior = (x.detach() for x in self[:4])
        return Weighted(action, log_weight, log_pi, log_prior, penalty)


class Transitions(NamedTuple):
    """A minibatch of transitions, `[K, B, ...]`; rewards are scaled."""

    state: Tensor
    history: Tensor
    """State and action, `[K, B, O + A]`."""
    reward: Tensor
    terminated: Tensor
    next_state: Tensor


class Objective(NamedTuple):
    r"""What a posterior maximises at a state, $E[Q] - \alpha\,KL(\pi \| p)$: Marino et al., Eq. (16)."""

    q_of: Callable[[Tensor, Tensor], Tensor]
    """Q `[K, B, N]` at states `[K, B, O]` and actions `[K, B, N, A]`, differentiable in the actions."""
    prior: "Prior"
    alpha: Tensor
    """Temperature `[K, 1]`."""


class Fitted(NamedTuple):
    """What fitting the value to a minibatch comes to, before its networks move."""

    loss: Tensor
    """Sum `[K]` of the losses of its networks, to be descended."""
    td_error: Tensor
    """TD errors `[K, C, B]` of the critics, without gradient."""
    report: Mapping[str, Tensor]
    """Values `[K]` to be logged, by their names in `METRICS`."""


class Part(Protocol):
    """A part that may have networks of its own."""

    @property
    def networks(self) -> Mapping[str, Network]:
        """Networks that the part learns, by name; none where it has nothing to learn."""

    @property
    def targets(self) -> Mapping[str, Network]:
        """Target copies of some of its networks, by the same names."""


class Prior(Part, Protocol):
    """The distribution that the posterior is compared with."""

    def log_density(self, state: Tensor, action: Tensor) -> Tensor:
        """Log densities `[K, B, N]` at states `[K, B, O]` and actions `[K, B, N, A]`."""

    def loss(self, state: Tensor, posterior: Weighted) -> Tensor | None:
        """Loss `[K]` that moves the prior towards the posterior; None where the prior stays as it is."""


class Posterior(Part, Protocol):
    """The distribution of actions, and how it acts."""

    @property
    def noise(self) -> Mapping[str, Draw]:
        """Random numbers that one inference needs per state, in the order in which they are drawn."""

    def infer(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:
        """The posterior at states `[K, B, O]`, differentiable in its parameters."""

    def infer_next(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:
        """The posterior at next states `[K, B, O]`, for a target: of the target copy, where there is one."""

    def loss(self, posterior: Weighted, q: Tensor, alpha: Tensor) -> Tensor | None:
        """Loss `[K]` that improves the posterior, without its penalty; None where nothing is learnt.

        `q [K, B, N]` is Q at the posterior's actions, differentiable in them; `alpha` is `[K, 1]`.
        """

    def explore(self, head: Floats, noise: Floats) -> Floats:
        """Actions `[N, A]` for training, in numpy: from the network's output and standard normal noise."""


class Value(Part, Protocol):
    """The action value."""

    def q_of(self, state: Tensor, action: Tensor) -> Tensor:
        """Q `[K, B, N]`, as `Objective.q_of`; no gradient reaches the critics."""

    def fit(
        self, data: Transitions, here: Weighted, following: Callable[[], Weighted], objective: Objective
    ) -> Fitted:
        """Losses of the value's networks on a minibatch; `here`, `following`: the posterior at s, and at s'.

        `following` infers when it is called: a value that needs no action at s' never pays for one.
        """

    def online_td_error(
        self, data: Transitions, following: Callable[[], Weighted], objective: Objective
    ) -> Tensor:
        """TD errors `[K, C, N]` of other transitions, with the online networks in place of their copies."""


class Temperature(Protocol):
    """The temperature of each seed, and the residual error eps_omega that every kind keeps track of."""

    eps_omega: Tensor

    @property
    def alpha(self) -> Tensor:
        """Temperature `[K, 1]` of the next step, in scaled reward units per nat."""

    def observe_residual(self, eps_omega: Tensor, *, first: bool) -> None:
        """Take in an estimate `[K]` of eps_omega; the first one as it stands."""

    def tune(self, log_ratio: Tensor) -> None:
        """One dual step from `E log(posterior / prior)` at each state, `[K, B]`; nothing unless tuned."""

    def seed_state(self, k: int) -> dict[str, Any]:
        """What seed k remembers, as plain numbers."""

    def load_seed_state(self, k: int, state: dict[str, Any]) -> None:
        """Make seed k what `seed_state` saved."""
