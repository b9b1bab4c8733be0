"""Ensemble of networks as a model of the environment: its fit, its elites, and its steps."""

from typing import Any

import torch
from torch import Tensor

from virel_deep.axes.groups import Groups, grouped
from virel_deep.axes.model.gaussian_model import fit_loss, predicted
from virel_deep.axes.model.normaliser import Normaliser
from virel_deep.axes.tensors import Stepped, Transitions, seed_mean, seedwise
from virel_deep.networks.network import Network

HOLD_OUT_RATE = 0.05
"""Weight of a minibatch's hold-out error in its running average."""


class Ensemble:
    """Model of M networks, each with a Gaussian of differences and reward, and a probability of the end.

    Rollouts stay in the range of what was seen, whatever the networks say: a state that leaves it is set back
    to its edge, and a difference or a reward beyond any that was seen counts as the largest that was. So
    values that are expanded have the bounds that rewards and critics give them.

    Args:
        network: M heads, from a normalised state and an action to `2 (O + 1) + 1` outputs.
        n_observation: O.
        elites: number of members that rollouts follow.
    """

    def __init__(self, network: Network, n_observation: int, *, elites: int) -> None:
        """Store the network; before the first minibatch no member has an error, and any are elites."""
        self.network, self.width = network, n_observation
        device = network.flat.device
        self.normaliser = Normaliser(network.seeds, 2 * n_observation + 1, device=device)
        self.error = torch.zeros(network.seeds, network.heads, device=device)
        """Running hold-out error of every member, mean square in normalised columns, `[K, M]`."""
        self._compared = torch.zeros(network.seeds, 1, device=device)
        self._n_elites = elites
        self._copied = Network(network.seeds * elites, 1, network.sizes, device=device)

    @property
    def elites(self) -> Tensor:
        """Members that rollouts follow, `[K, E]`: those with the smallest hold-out error."""
        return self.error.topk(self._n_elites, dim=1, largest=False, sorted=True).indices

    def follow(self, uniform: Tensor) -> "Assigned":
        """Let B rollouts follow the elites as they are now, in groups by numbers `[K, B]` in [0, 1).

        Until the next call: there is one copy of the elites' parameters.
        """
        seed = torch.arange(self.network.seeds, device=uniform.device)[:, None]
        chosen = (seed * self.network.heads + self.elites).flatten()
        for mine, theirs in zip(self._copied.layers, self.network.layers, strict=True):
            mine.weight.copy_(theirs.weight[chosen])
            mine.bias.copy_(theirs.bias[chosen])
        return Assigned(self, self._copied, grouped(uniform, self._n_elites))

    def member(self, uniform: Tensor) -> Tensor:
        """Member `[K, R]` that each of R plans follows, from numbers `[K, R]` in [0, 1)."""
        chosen = (uniform * self._n_elites).long().clamp(max=self._n_elites - 1)
        return self.elites.gather(1, chosen)

    def fit(self, data: Transitions) -> tuple[Tensor, dict[str, Tensor]]:
        """Take a minibatch into the scales; compute the loss `[K]` of all members on it, and metrics."""
        assert data.held_out is not None, "a model is fitted to transitions that are not held out"
        rows = torch.cat((data.state, data.next_state - data.state, data.reward[..., None]), dim=-1)
        self.normaliser.observe(rows)
        action = data.history[..., data.state.shape[-1] :]
        out = self.network.differentiable(self.inputs(data.state, action))
        target = ((rows - self.normaliser.shift) / self.normaliser.size)[..., self.width :]
        loss, error = seedwise(fit_loss, out, target, data.terminated, data.held_out)
        self._compare(error, seed_mean(data.held_out) > 0)
        of_elites = self.error.gather(1, self.elites)
        report = {"model_loss": seed_mean(loss.detach()), "holdout_error": seed_mean(of_elites)}
        return seed_mean(loss) * self.network.heads, report

    def step(self, state: Tensor, action: Tensor, member: Tensor, noise: Tensor) -> Stepped:
        """Step R plans, each by any member; every member is asked for all of them.

        Args:
            state: `[K, R, O]`.
            action: `[K, R, A]`.
            member: the network that each plan follows, `[K, R]`.
            noise: standard normal, `[K, R, O]`.
        """
        out = self.network(self.inputs(state, action))
        place = member[:, None, :, None].expand(-1, 1, -1, out.shape[-1])
        return self.moved(state, out.gather(1, place).squeeze(1), noise)

    def moved(self, state: Tensor, out: Tensor, noise: Tensor) -> Stepped:
        """What networks' outputs `[K, R, 2 (O + 1) + 1]` make of states, within the seen ranges."""
        of, n = self.normaliser, self.width
        scales = (of.shift[..., n:], of.size[..., n:], of.least, of.most)
        return Stepped(*seedwise(_moved, state, out, noise, *scales))

    def inputs(self, state: Tensor, action: Tensor) -> Tensor:
        """Inputs `[K, R, O + A]` of the networks: states are normalised, actions are in [-1, 1] anyway."""
        of, n = self.normaliser, self.width
        return torch.cat(((state - of.shift[..., :n]) / of.size[..., :n], action), dim=-1)

    def _compare(self, error: Tensor, any_held: Tensor) -> None:
        """Take the hold-out errors `[K, M]` of a minibatch into their running averages, if it has any."""
        rate = torch.where(self._compared > 0, HOLD_OUT_RATE, 1.0)
        moved = self.error + rate * (error - self.error)
        self.error.copy_(torch.where(any_held[:, None], moved, self.error))
        self._compared.copy_(torch.where(any_held[:, None], 1.0, self._compared))

    def seed_state(self, k: int) -> dict[str, Any]:
        """Copy seed k's scales and hold-out errors into a dictionary of tensors."""
        errors = {"error": self.error[k].clone(), "compared": self._compared[k].clone()}
        return self.normaliser.seed_state(k) | errors

    def load_seed_state(self, k: int, state: dict[str, Any]) -> None:
        """Restore seed k's scales and hold-out errors from a `seed_state` dictionary."""
        self.normaliser.load_seed_state(k, state)
        self.error[k].copy_(torch.as_tensor(state["error"]))
        self._compared[k].copy_(torch.as_tensor(state["compared"]))


class Assigned:
    """Rollouts through an ensemble, each along one elite from its first step to its last.

    A network is asked for the rollouts that follow it and for no others. Their rows are in groups: see
    `groups`.
    """

    def __init__(self, world: Ensemble, networks: Network, groups: Groups) -> None:
        """Bind the scales, the elites as K E networks of one head, and the groups of B rollouts."""
        self.width, self.groups = world.width, groups
        self._world, self._networks = world, networks

    def step(self, state: Tensor, action: Tensor, noise: Tensor) -> Stepped:
        """Step R rollouts, in groups; differentiable in states and actions, never in the model's parameters.

        Args:
            state: `[K, R, O]`, with R a multiple of the number of places.
            action: `[K, R, A]`.
            noise: standard normal, `[K, R, O]`.
        """
        inputs = self._world.inputs(state, action)
        of_group = inputs.view(self._networks.seeds, -1, inputs.shape[-1])
        out = self._networks.differentiable(of_group, fixed=True)
        return self._world.moved(state, out.reshape(*state.shape[:2], -1), noise)


def _moved(
    state: Tensor, out: Tensor, noise: Tensor, shift: Tensor, size: Tensor, least: Tensor, most: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Next states, rewards and probabilities of the end of one seed's rollouts, within the seen ranges."""
    of, n = predicted(out), state.shape[-1]
    normal = of.mean[..., :n] + (0.5 * of.log_variance[..., :n]).exp() * noise
    delta = (shift[..., :n] + size[..., :n] * normal).clamp(least[..., n : 2 * n], most[..., n : 2 * n])
    after = (state + delta).clamp(least[..., :n], most[..., :n])
    reward = (shift[..., n:] + size[..., n:] * of.mean[..., n:]).clamp(
        least[..., 2 * n :], most[..., 2 * n :]
    )
    return after, reward.squeeze(-1), of.ends.sigmoid()
