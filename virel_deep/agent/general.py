"""Update of any algorithm by autograd, through the interfaces of its parts: Algorithm 1 of Marino et al."""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from virel_deep.agent.interfaces import METRICS, Kind, Own
from virel_deep.agent.stacked import StackedAgent
from virel_deep.axes.interfaces import Noise, Objective, Transitions, Weighted, seed_mean
from virel_deep.axes.losses import residual_error
from virel_deep.networks.network import Network


class GeneralAgent(StackedAgent):
    """K independent agents of any combination of parts, updated by autograd.

    One update: infer the posterior at s (E); fit the value to the posterior at s' (M); observe the residual;
    improve the posterior (E) and the prior (M); average the targets; tune the temperature (dual).
    """

    def compute(self, kind: Kind, batch: Tensor, noise: Noise, own: Own | None) -> None:
        """Compute one training update of every network from tensors alone: Algorithm 1 of Marino et al.

        Arguments as those of `StackedAgent.update`.
        """
        value, posterior, prior, temperature = self.parts
        data = self._transitions(batch)
        size = batch.shape[1]
        at_s, at_next = (
            {name: x[:, rows] for name, x in noise.items()} for rows in (slice(size), slice(size, None))
        )
        objective = Objective(value.q_of, prior, temperature.alpha)

        with torch.set_grad_enabled(kind.improves):
            here = posterior.infer(data.state, at_s, objective)
        fitted = value.fit(data, here.detach(), partial(self._beyond, data, at_next, objective), objective)
        residual = residual_error(fitted.td_error)
        if kind.observes:
            temperature.observe_reward(data.reward, first=kind.first)
            eps_omega = residual if own is None else self._own_residual(own, objective)
            temperature.observe_residual(eps_omega, first=kind.first)
        self._descend(value.networks, fitted.loss)
        report = {"eps_omega": temperature.eps_omega, "td_error": residual, **fitted.report}
        if kind.improves:
            objective = objective._replace(alpha=temperature.alpha)
            report["policy_loss"] = self._improve(data.state, here, objective) * self.algorithm.policy_delay
            self.average_targets()
        here = here.detach()
        temperature.tune(here.mean(here.log_ratio))
        report |= {"temperature": objective.alpha[:, 0], "entropy": -seed_mean(here.mean(here.log_pi))}
        zero = torch.zeros(self.seeds, device=self.device)
        self.record(*(report.get(name, zero) for name in METRICS))

    def _improve(self, state: Tensor, here: Weighted, objective: Objective) -> Tensor:
        """Improve the posterior (E-step), then the prior (M-step); returns the policy loss `[K]`, or 0."""
        _, posterior, prior, _ = self.parts
        loss = posterior.loss(here, objective.q_of(state, here.action), objective.alpha)
        if loss is not None:
            penalised = loss if here.penalty is None else loss + seed_mean(here.penalty)
            self._descend(posterior.networks, penalised)
        of_prior = prior.loss(state, here.detach())
        if of_prior is not None:
            self._descend(prior.networks, of_prior)
        return torch.zeros(self.seeds, device=self.device) if loss is None else loss.detach()

    def _beyond(self, data: Transitions, noise: Noise, objective: Objective) -> Weighted:
        """Infer the posterior (policy) at the next states, without gradient, for the critics' targets."""
        with torch.no_grad():
            return self.parts.posterior.infer_next(data.next_state, noise, objective)

    def _own_residual(self, own: Own, objective: Objective) -> Tensor:
        """Estimate the residual error eps_omega `[K]` from a separate batch, with the online networks."""
        data = self._transitions(own.batch)
        following = partial(self._beyond, data, own.noise, objective)
        with torch.no_grad():
            return residual_error(self.parts.value.online_td_error(data, following, objective))

    def _transitions(self, batch: Tensor) -> Transitions:
        columns = self.columns
        return Transitions(
            state=batch[..., columns.observation],
            history=batch[..., columns.history],
            reward=batch[..., columns.reward] * self.algorithm.reward_scale,
            terminated=batch[..., columns.terminated],
            next_state=batch[..., columns.next_observation],
        )

    def _descend(self, networks: Mapping[str, Network], loss: Tensor) -> None:
        """Take one Adam step of some networks on a loss `[K]`, one entry per seed; seeds stay independent."""
        gradients = torch.autograd.grad(loss.sum(), [network.parameters for network in networks.values()])
        for name, gradient in zip(networks, gradients, strict=True):
            self.adams[name].descend(gradient)
