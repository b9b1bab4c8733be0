"""What the parts of an algorithm pass to each other: weighted actions, transitions, windows; sums per seed.

Shapes: K seeds, B states, N actions per state, A action dimensions, n transitions of a window.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from virel_deep.networks import placement
from virel_deep.networks.perceptron import Floats


def seedwise(f: Callable[..., Any], *tensors: Tensor) -> Any:
    """Apply `f` to tensors `[K, ...]`: seed by seed on the CPU, in one call on a GPU.

    Everything whose rounding may depend on a tensor's size goes through it: transcendental functions, whose
    vectorised loops and scalar tails differ, and sums. `f` must take any leading axes, or none; the tensors
    must broadcast against each other with the seeds' axis as they do without it. It returns a tensor or a
    tuple of them.
    """
    if placement.on_gpu(tensors[0]):
        return f(*tensors)
    of_each = [f(*of_seed) for of_seed in zip(*(x.unbind() for x in tensors), strict=True)]
    if isinstance(of_each[0], tuple):
        return tuple(torch.stack(parts) for parts in zip(*of_each, strict=True))
    return torch.stack(of_each)


def seed_mean(x: Tensor) -> Tensor:
    """Mean `[K]` per seed, over all other axes of `x [K, ...]`."""
    mean: Tensor = seedwise(lambda rows: rows.mean(-1), x.flatten(1))
    return mean


class Inferred(NamedTuple):
    """Gaussian parameters that an objective was climbed in, step by step."""

    head: Tensor
    """Means and log standard deviations before the tanh after the last step, `[K, B, 2 A]`."""
    earlier: Tensor
    """Sum `[K, B]` of the objectives after the steps before the last."""
    slope: Tensor | None = None
    """Gradient of the objective in `head`, `[K, B, 2 A]`; None before it is computed."""
    gap: Tensor | None = None
    """Estimated distance of the objective from its maximum, `[K, B]`, scaled reward units; or None."""

    def detach(self) -> "Inferred":
        """Copy of the parameters that carries no gradient."""
        return self._replace(head=self.head.detach(), earlier=self.earlier.detach())


class Weighted(NamedTuple):
    """Policy distribution at B states as a set of weighted actions; expectations are weighted sums."""

    action: Tensor
    """Actions `[K, B, N, A]` in [-1, 1]; of a discrete space, unit vectors (one-hot)."""
    log_weight: Tensor
    """Logarithms `[K, B, N]` of weights that sum to 1 over N.

    Where states have weights too (V-MPO), the sums are these: 1 in the mean over the B states."""
    log_pi: Tensor
    """Log densities of the actions under the posterior (discrete: probabilities), `[K, B, N]`, nats."""
    log_prior: Tensor
    """Log densities of the actions under the prior, `[K, B, N]`, nats."""
    penalty: Tensor | None = None
    """Penalty on the posterior's parameters, added to the policy loss, `[K, B]`; None is no penalty."""
    pre: Tensor | None = None
    """Actions before the tanh, `[K, B, N, A]`; None if there is no tanh."""
    kl: Tensor | None = None
    """Divergences that a trust region bounds, `[K, B, T]`, by mean and by spread or a single one; or None."""
    exact_divergence: Tensor | None = None
    """KL divergence from the prior in closed form, `[K, B]`, nats; None if the actions estimate it."""
    log_latent: Tensor | None = None
    """Log probabilities of the latents that the actions come from, `[K, B, Z]`; None if there are none."""
    inferred: Inferred | None = None
    """Parameters that were inferred step by step; None if a network has put them out at once."""

    @property
    def divergence(self) -> Tensor:
        """KL divergence from the prior at each state, `[K, B]`, nats: exact if known, else estimated."""
        return self.mean(self.log_ratio) if self.exact_divergence is None else self.exact_divergence

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
        return Weighted(*(None if x is None else x.detach() for x in self))  # type: ignore[arg-type]


class Window(NamedTuple):
    """Windows of n consecutive transitions of one environment copy, `[K, B, n, ...]`, with scaled rewards."""

    history: Tensor
    """States and actions, `[K, B, n, O + A]`."""
    reward: Tensor
    terminated: Tensor
    truncated: Tensor
    """1.0 where a time limit ended the episode, so that the target bootstraps, `[K, B, n]`."""
    next_state: Tensor
    """States after each, `[K, B, n, O]`."""
    pre: Tensor | None
    """Stored actions before the tanh, or one-hot ones, `[K, B, n, A]`; None if no target weighs them."""
    log_density: Tensor | None
    """Log densities that `pre` was drawn with (discrete: probabilities), `[K, B, n]`, nats; or None."""

    @property
    def following(self) -> Tensor:
        """States `[K, B, n, O]` after each transition, at which posteriors are wanted: see `followed`."""
        state = self.history[..., : self.next_state.shape[-1]]
        return followed(state, self.next_state, self.terminated)


class Transitions(NamedTuple):
    """Minibatch of transitions, `[K, B, ...]`, with scaled rewards; each may begin a window of them."""

    state: Tensor
    history: Tensor
    """State and action, `[K, B, O + A]`."""
    reward: Tensor
    terminated: Tensor
    next_state: Tensor
    window: Window | None = None
    """The n transitions that begin with each, or the rollouts that all are of; None if targets read one."""
    held_out: Tensor | None = None
    """1.0 for transitions that a model is not fitted to, `[K, B]`; None if there is no model."""
    age: Tensor | None = None
    """Steps of the episode before each, `[K, B]`; None if no part asks for them."""

    @property
    def following(self) -> Tensor:
        """States `[K, B, O]` after each transition, at which posteriors are wanted: see `followed`."""
        return followed(self.state, self.next_state, self.terminated)


def followed(state: Tensor, next_state: Tensor, terminated: Tensor) -> Tensor:
    """Next states `[..., O]`, but where the episode ended the state before: no action is taken after it.

    Targets do not read the value there. A posterior that is improved at next states would be improved by
    values that were never learnt.

    Example:
        >>> import torch
        >>> followed(torch.zeros(2, 1), torch.ones(2, 1), torch.tensor([0.0, 1.0])).tolist()
        [[1.0], [0.0]]
    """
    return torch.where(terminated[..., None] > 0, state, next_state)


class Stepped(NamedTuple):
    """What a model makes of a step of R rollouts."""

    state: Tensor
    """States after the step, `[K, R, O]`."""
    reward: Tensor
    """Expected scaled rewards, `[K, R]`."""
    ends: Tensor
    """Probabilities that the step ends the episode, `[K, R]`."""


class Evaluated(NamedTuple):
    """Actions at some states with their values; these carry no gradient."""

    state: Tensor
    """States `[K, R, O]`."""
    actions: Weighted
    q: Tensor
    """Values `[K, R, N]` of the actions, or their advantages."""


def joined(first: Evaluated, then: Evaluated) -> Evaluated:
    """Actions at the states of both, with their values."""
    both = zip(first.actions, then.actions, strict=True)
    pieces = (torch.cat(pair, dim=1) if isinstance(pair[0], Tensor) else None for pair in both)  # type: ignore[arg-type]
    state, q = (torch.cat(pair, dim=1) for pair in ((first.state, then.state), (first.q, then.q)))
    return Evaluated(state, Weighted(*pieces), q)  # type: ignore[arg-type]


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


class PriorLoss(NamedTuple):
    """Loss that a prior adds to an update, and the divergences that its trust region bounds."""

    loss: Tensor
    """Loss `[K]`, to be minimised over the networks of prior and posterior."""
    kl: Tensor
    """Mean divergences, `[K, T]`, by mean and by spread or a single one, nats, without gradient."""


class Behaviour(NamedTuple):
    """Exploratory actions in numpy, with what a replay keeps of the distribution that they came from."""

    action: Floats
    """Actions `[..., A]` in [-1, 1]; of a discrete space, one-hot."""
    pre: Floats
    """The same before the tanh, `[..., A]`; of a discrete space, the same."""
    log_density: Floats
    """Log densities of `pre`, `[...]`, nats."""
