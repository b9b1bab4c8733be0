"""Update of any algorithm by autograd, through the interfaces of its parts: Algorithm 1 of Marino et al."""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from virel_deep.agent.interfaces import Kind, Own
from virel_deep.agent.stacked import StackedAgent
from virel_deep.axes.abilities import Expanding, Likelihood, Looking, Measuring, Recalling, Walking
from virel_deep.axes.interfaces import Noise, Objective, Posterior
from virel_deep.axes.losses import residual_error
from virel_deep.axes.tensors import (
    Evaluated,
    Fitted,
    Transitions,
    Weighted,
    Window,
    joined,
    seed_mean,
    seedwise,
)
from virel_deep.axes.weights import discounted
from virel_deep.networks.clipping import shorten
from virel_deep.networks.network import Network


class GeneralAgent(StackedAgent):
    """K independent agents of any combination of parts, updated by autograd.

    One update: infer the posterior (E), at s or at the next states, or recall the actions that it took; fit
    the value (M); observe the residual; improve the posterior (E) and the prior (M); move the targets; tune
    the temperature and the trust region (dual).
    """

    def compute(self, kind: Kind, batch: Tensor, noise: Noise, own: Own | None) -> None:
        """Compute one training update of every network from tensors alone: Algorithm 1 of Marino et al.

        Arguments as those of `StackedAgent.update`.
        """
        value, posterior, _, temperature = self.parts
        data = self._transitions(batch)
        size = self.draws.here * data.state.shape[1]
        at_s, at_next = (
            {name: x[:, rows] for name, x in noise.items()} for rows in (slice(size), slice(size, None))
        )
        objective = self._objective_at(at_s)

        here: Weighted | None = None
        first: Evaluated | None = None
        follow = partial(_Following, posterior, objective=objective, improves=kind.improves)
        following = follow(at_next)
        if posterior.at_state and not posterior.at_next:
            with torch.set_grad_enabled(kind.improves):
                here = posterior.infer(data.state, at_s, objective)
        fitted = value.fit(data, None if here is None else here.detach(), following, objective)
        if posterior.at_state and posterior.at_next:
            assert isinstance(value, Looking), "weights are those of the values of actions"
            first = value.look(data.state, follow(at_s), objective)
        residual = residual_error(fitted.td_error)
        if kind.observes:
            temperature.observe_reward(data.reward, first=kind.first)
            eps_omega = residual if own is None else self._own_residual(own, objective)
            temperature.observe_residual(eps_omega, first=kind.first)
        self._descend(value.networks, fitted.loss)
        report = {"eps_omega": temperature.eps_omega, "td_error": residual, **fitted.report}
        if kind.improves:
            objective = self._objective_at(at_s)
        with torch.set_grad_enabled(kind.improves):
            found = self._evaluated(data, here, first, fitted, objective)
            here = posterior.improve(found.actions, found.q, objective.alpha)
        rare = self._improve(found._replace(actions=here), objective.alpha, data.age) if kind.improves else {}
        report |= self._tune(found, here)
        measured = posterior.measured if isinstance(posterior, Measuring) else ()
        rare |= {name: report[name] for name in measured if name in report}
        # Reports are means over all updates.
        report |= {name: x * self.algorithm.policy_delay for name, x in rare.items()}
        report["temperature"] = objective.alpha[:, 0]
        self._move_targets(kind)
        zero = torch.zeros(self.seeds, device=self.device)
        self.record(*(report.get(name, zero) for name in self.metrics))

    def _objective_at(self, noise: Noise) -> Objective:
        """Objective at the minibatch's states as it is now, its values expanded if the value has a model."""
        value, posterior, *_ = self.parts
        if not isinstance(value, Expanding):
            return self.objective
        assert isinstance(posterior, Walking), "rollouts of a model follow the posterior"
        return value.expanded(self.objective, posterior, noise)

    def _evaluated(
        self,
        data: Transitions,
        here: Weighted | None,
        first: Evaluated | None,
        fitted: Fitted,
        objective: Objective,
    ) -> Evaluated:
        """Inferred actions with their values, and the states that the posterior is improved at."""
        if here is None:
            assert fitted.following is not None, "the value asked for no posterior"
            return fitted.following if first is None else joined(first, fitted.following)
        return Evaluated(data.state, here, objective.q_of(data.state, here.action))

    def _improve(self, found: Evaluated, alpha: Tensor, age: Tensor | None) -> dict[str, Tensor]:
        """Improve the posterior (E-step) and the prior (M-step), one Adam step of each; returns metrics."""
        _, posterior, prior, _ = self.parts
        here = found.actions
        loss, of_prior = (
            posterior.loss(here, found.q, alpha),
            prior.loss(found.state, self._weighed(here, age)),
        )
        total = loss if loss is None or here.penalty is None else loss + seed_mean(here.penalty)
        report: dict[str, Tensor] = {}
        learnt = dict(posterior.networks)
        if of_prior is not None:
            report |= prior.tune(of_prior.kl)
            if of_prior.loss.requires_grad:  # a frozen prior has none to learn
                total = of_prior.loss if total is None else total + of_prior.loss
                learnt |= prior.networks
        if total is not None:
            self._descend(learnt, total)
            shown = total if loss is None else loss
            report["policy_loss"] = shown.detach()
        return report

    def _weighed(self, here: Weighted, age: Tensor | None) -> Weighted:
        """The posterior as the prior is fitted to it: its states weighed by discounted visits, if at all."""
        if age is None:
            return here
        weigh = partial(discounted, gamma=self.algorithm.gamma)
        return here._replace(log_weight=seedwise(weigh, here.log_weight.detach(), age))

    def _tune(self, found: Evaluated, here: Weighted) -> dict[str, Tensor]:
        """Take the dual steps of the temperature; returns the metrics of the posterior before them."""
        _, posterior, _, temperature = self.parts
        here, inferred, q = here.detach(), found.actions.detach(), found.q.detach()
        report = {
            "entropy": -seed_mean(here.mean(here.log_pi)),
            **posterior.report(here),
            **temperature.report(seed_mean(here.divergence)),
        }
        temperature.tune(here.divergence)
        for _ in range(1, temperature.steps):
            temperature.tune(posterior.improve(inferred, q, temperature.alpha).divergence)
        return report

    def _move_targets(self, kind: Kind) -> None:
        """Average the target networks at every policy step, or copy the networks to them when that is due."""
        if self.algorithm.target_period == 0:
            if kind.improves:
                self.average_targets()
        elif kind.copies:
            self.copy_targets()

    def _own_residual(self, own: Own, objective: Objective) -> Tensor:
        """Estimate the residual error eps_omega `[K]` from a separate batch, with the online networks."""
        following = _Following(self.parts.posterior, own.noise, objective=objective, improves=False)
        with torch.no_grad():
            data = self._transitions(own.batch)
            return residual_error(self.parts.value.online_td_error(data, following, objective))

    def _transitions(self, batch: Tensor) -> Transitions:
        """Minibatch `[K, B, width]`, or `[K, B, n, width]` of windows, as named tensors.

        Of a window the first transition is one of the minibatch, or all are.
        """
        columns, window = self.columns, None
        if batch.dim() == 4:
            window = self._window(batch)
            batch = batch.flatten(1, 2) if self.parts.value.whole else batch[:, :, 0]
        return Transitions(
            state=batch[..., columns.observation],
            history=batch[..., columns.history],
            reward=batch[..., columns.reward] * self.algorithm.reward_scale,
            terminated=batch[..., columns.terminated],
            next_state=batch[..., columns.next_observation],
            window=window,
            held_out=None if columns.held_out is None else batch[..., columns.held_out],
            age=None if columns.age is None else batch[..., columns.age],
        )

    def _window(self, batch: Tensor) -> Window:
        columns = self.columns
        assert columns.truncated is not None
        weighed = columns.action if columns.pre is None else columns.pre
        return Window(
            history=batch[..., columns.history],
            reward=batch[..., columns.reward] * self.algorithm.reward_scale,
            terminated=batch[..., columns.terminated],
            truncated=batch[..., columns.truncated],
            next_state=batch[..., columns.next_observation],
            pre=None if columns.log_density is None else batch[..., weighed],
            log_density=None if columns.log_density is None else batch[..., columns.log_density],
        )

    def _descend(self, networks: Mapping[str, Network], loss: Tensor) -> None:
        """Take one Adam step of some networks on a loss `[K]`, one entry per seed; seeds stay independent."""
        gradients = torch.autograd.grad(loss.sum(), [network.parameters for network in networks.values()])
        for (name, network), gradient in zip(networks.items(), gradients, strict=True):
            if self.algorithm.gradient_norm is not None:
                shorten(network, gradient, self.algorithm.gradient_norm)
            self.adams[name].descend(gradient)


class _Following:
    """Posterior as a value asks for it: at next states, without gradient, or of the actions taken."""

    def __init__(self, posterior: Posterior, noise: Noise, *, objective: Objective, improves: bool) -> None:
        self._posterior, self.noise, self._objective = posterior, noise, objective
        self._improves = improves

    def __call__(self, state: Tensor) -> Weighted:
        with torch.no_grad():
            return self._posterior.infer_next(state, self.noise, self._objective)

    def walk(self, state: Tensor, noise: Tensor, objective: Objective) -> Weighted:
        assert isinstance(self._posterior, Walking), "rollouts of a model follow the posterior"
        return self._posterior.walk(state, noise, objective)

    def log_likelihood(self, state: Tensor, pre: Tensor) -> Tensor:
        assert isinstance(self._posterior, Likelihood), "Retrace weighs stored actions by their densities"
        with torch.no_grad():
            return self._posterior.log_likelihood(state, pre)

    def recall(self, state: Tensor, pre: Tensor) -> Weighted:
        assert isinstance(self._posterior, Recalling), "advantages are of actions that were taken"
        with torch.set_grad_enabled(self._improves):
            return self._posterior.recall(state, pre, self._objective)
