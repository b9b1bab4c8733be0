"""Posterior inferred step by step from the gradient of its objective: iterative amortised inference."""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from virel_deep.axes.interfaces import Draw, Noise, Objective
from virel_deep.axes.posterior.steps import (
    Measured,
    amortisation_gap,
    drawn,
    features,
    gated_update,
    linearised,
    measured,
    objective_of,
)
from virel_deep.axes.posterior.tanh_gaussian import split
from virel_deep.axes.tensors import Inferred, Weighted, seed_mean, seedwise
from virel_deep.design import inference
from virel_deep.networks.network import Network


class Iterate(NamedTuple):
    """Parameters after some inference steps, with the objective measured at them; None after the last."""

    head: Tensor
    at_head: Measured | None


class Iterative:
    """Tanh-Gaussian whose parameters a network moves in n steps, from the prior's: Marino et al., Eq. (15).

    The network reads the state, the parameters and the gradient of the objective in them, both without
    gradient of their own. Its loss is minus the mean of the objective after steps 1 to n.

    Args:
        settings: numbers of steps and of actions per estimate.
        policy: network from a state and `4 A` features to `4 A` outputs.
        first_std: standard deviation before the tanh that inference starts from; the mean is 0.
    """

    at_state, at_next = True, False
    reports = measured = ("amortisation_gap",)

    def __init__(self, settings: inference.Iterative, policy: Network, *, first_std: float) -> None:
        """Store the network, declare the noise, and draw the noise of deterministic actions."""
        self.networks = {"policy": policy}
        self.targets: Mapping[str, Network] = {}
        self.n_action = policy.sizes[-1] // 4
        self.steps, self.samples = settings.steps, settings.samples
        of_step = self.samples * self.n_action
        self.noise = {"action": Draw((self.steps + 1) * of_step)}
        self.acting = Draw(self.steps * of_step + self.n_action)
        self._first_log_std = math.log(first_std)
        fixed = torch.Generator().manual_seed(0)
        shape = (self.steps, self.samples, self.n_action)
        self._settled = torch.randn(shape, generator=fixed).to(policy.flat)

    def infer(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:
        """Infer the parameters at each state and draw actions with them, differentiable in the network's."""
        xi = noise["action"].view(*state.shape[:2], self.steps + 1, self.samples, self.n_action)
        _, *between, last = self.iterates(state, xi[:, :, :-1], objective)
        earlier = state.new_zeros(state.shape[:2])
        for head, at_head in between:
            assert at_head is not None
            earlier = earlier + linearised(at_head, head)
        found = drawn(state, last.head, xi[:, :, -1], objective)
        return found._replace(inferred=Inferred(last.head, earlier))

    def infer_next(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:
        """Infer the posterior at next states in the same way, with the online critics."""
        return self.infer(state, noise, objective)

    def initial(self, state: Tensor) -> Tensor:
        """Parameters `[K, B, 2 A]` that inference starts from."""
        mean = state.new_zeros(*state.shape[:2], self.n_action)
        return torch.cat((mean, torch.full_like(mean, self._first_log_std)), dim=-1)

    def iterates(self, state: Tensor, noise: Tensor, objective: Objective) -> Iterator[Iterate]:
        """Yield the parameters after 0, 1, ..., n steps, all but the last with the objective at them.

        Args:
            state: `[K, B, O]`.
            noise: standard normal, `[K, B, n, N, A]`, for each of n steps.
            objective: that is climbed.
        """
        head = self.initial(state)
        for xi in noise.unbind(2):
            at_head = measured(state, head, xi, objective)
            yield Iterate(head, at_head)
            before = head.detach()
            inputs = torch.cat((state, seedwise(features, before, at_head.slope)), dim=-1)
            output = self.networks["policy"].differentiable(inputs).squeeze(1)
            head = seedwise(gated_update, before, output)
        yield Iterate(head, None)

    def improve(self, posterior: Weighted, q: Tensor, alpha: Tensor) -> Weighted:
        """Measure the gradient of the objective at the last parameters, from the values of its actions."""
        if not q.requires_grad:
            return posterior
        assert posterior.inferred is not None
        head = posterior.inferred.head
        (slope,) = torch.autograd.grad(objective_of(posterior, q, alpha).sum(), head)
        gap = seedwise(amortisation_gap, head.detach(), slope, alpha)
        return posterior._replace(inferred=posterior.inferred._replace(slope=slope, gap=gap))

    def loss(self, posterior: Weighted, q: Tensor, alpha: Tensor) -> Tensor:
        """Minus the mean objective after steps 1 to n, `[K]`."""
        inferred = posterior.inferred
        assert inferred is not None
        assert inferred.slope is not None
        value = objective_of(posterior, q, alpha).detach()
        last = linearised(Measured(value, inferred.slope), inferred.head)
        return -seed_mean(inferred.earlier + last) / self.steps

    def report(self, posterior: Weighted) -> Mapping[str, Tensor]:
        """Estimated gap to the best Gaussian; nothing where an update does not measure it."""
        inferred = posterior.inferred
        if inferred is None or inferred.gap is None:
            return {}
        return {"amortisation_gap": seed_mean(inferred.gap)}

    def deliberate(self, state: Tensor, noise: Tensor, objective: Objective) -> Tensor:
        """Infer the parameters and draw one action at each state, to explore."""
        xi = noise[..., : -self.n_action].reshape(*state.shape[:2], self.steps, self.samples, self.n_action)
        head, last = self._inferred(state, xi, objective), noise[:, :, None, -self.n_action :]
        return drawn(state, head, last, objective).action[:, :, 0]

    def settle(self, state: Tensor, objective: Objective) -> Tensor:
        """Infer the parameters with noise that is always the same, and act by the mean."""
        xi = self._settled.expand(*state.shape[:2], *self._settled.shape)
        head = self._inferred(state, xi, objective)
        action: Tensor = seedwise(lambda x: split(x).mean.tanh(), head)
        return action

    def _inferred(self, state: Tensor, noise: Tensor, objective: Objective) -> Tensor:
        """Parameters `[K, B, 2 A]` after the last step, without gradient."""
        with torch.no_grad():
            *_, last = self.iterates(state, noise, objective)
        return last.head
