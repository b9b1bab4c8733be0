"""The update of the SAC family by hand, the fast road: every gradient is written out, and no autograd runs.

The general road (`general.py`) is its specification: tests run every preset on both and compare them.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from virel_deep.agent.interfaces import Kind, Own
from virel_deep.agent.stacked import StackedAgent
from virel_deep.axes import losses
from virel_deep.axes.interfaces import Noise
from virel_deep.axes.posterior import tanh_gaussian
from virel_deep.axes.posterior.deterministic import Deterministic, deterministic
from virel_deep.axes.posterior.tanh_gaussian import Sample, TanhGaussian
from virel_deep.design.algorithm import Algorithm
from virel_deep.networks.network import SIMD, Network, Pass


class Actions(NamedTuple):
    """Actions `[K, B, A]` and their log densities `[K, B]`."""

    action: Tensor
    log_pi: Tensor


class Drawn(NamedTuple):
    """Where the actions at s came from, for the gradient of the E-step."""

    policy: Pass
    """The pass of the policy network."""
    head: Tensor
    """Outputs of the policy at s, `[K, B, ...]`."""
    sample: Sample | None
    """What a tanh-Gaussian drew; None for a deterministic policy."""


class ByHand(Protocol):
    """The gradients of one kind of posterior, written out."""

    def at_s(self, s: Tensor, noise: Tensor) -> tuple[Actions, Drawn]:
        """Actions at s alone."""

    def at_both(self, s: Tensor, s_next: Tensor, noise: Tensor) -> tuple[Actions, Actions, Drawn]:
        """Actions at s and at s'; `noise [K, 2 B, A]`."""

    def untraced(self, s: Tensor, noise: Tensor) -> Actions:
        """Actions of the online policy at s, without what a gradient needs."""

    def d_head(self, now: Actions, drawn: Drawn, by_action: Tensor, by_log_pi: Tensor) -> Tensor:
        """Gradient by the policy's output at s, from those by action `[K, B, A]` and log density `[K, 1]`."""


class GaussianByHand:
    """Gradients of a tanh-Gaussian posterior, written out."""

    def __init__(self, posterior: TanhGaussian) -> None:
        """Read its network and its penalties."""
        self._policy = posterior.networks["policy"]
        self._settings = posterior.settings

    def at_s(self, s: Tensor, noise: Tensor) -> tuple[Actions, Drawn]:
        """One action at each s."""
        policy = self._policy.traced(s)
        head = policy.output.squeeze(1)
        sample = _gaussian(head, noise[:, : s.shape[1]])
        return Actions(sample.action, sample.log_pi), Drawn(policy, head, sample)

    def at_both(self, s: Tensor, s_next: Tensor, noise: Tensor) -> tuple[Actions, Actions, Drawn]:
        """One action at each s and s', from one pass of which only the first half is differentiated."""
        size = s.shape[1]
        policy = self._policy.traced(torch.cat((s, s_next), dim=1), rows=size)
        head = policy.output.squeeze(1)
        both = _gaussian(head, noise)
        here, beyond = (Sample(*(x[:, rows] for x in both)) for rows in (slice(size), slice(size, None)))
        return (
            Actions(here.action, here.log_pi),
            Actions(beyond.action, beyond.log_pi),
            Drawn(policy, head[:, :size], here),
        )

    def untraced(self, s: Tensor, noise: Tensor) -> Actions:
        """One action at each s, without what a gradient needs."""
        sample = _gaussian(self._policy(s).squeeze(1), noise)
        return Actions(sample.action, sample.log_pi)

    def d_head(self, now: Actions, drawn: Drawn, by_action: Tensor, by_log_pi: Tensor) -> Tensor:
        """Gradient by means and log standard deviations, with that of the penalties."""
        del now
        assert drawn.sample is not None
        action, _, pushed, inside = drawn.sample
        by_head = tanh_gaussian.gradient(action, pushed, inside, by_action, by_log_pi)
        of_mean, of_log_std = self._settings.mean_penalty, self._settings.log_std_penalty
        if of_mean or of_log_std:
            by_head += losses.d_penalty(drawn.head, inside, mean_weight=of_mean, log_std_weight=of_log_std)
        return by_head


class DeterministicByHand:
    """Gradients of a deterministic posterior, written out; its log density counts as 0."""

    def __init__(self, posterior: Deterministic) -> None:
        """Read its networks and its noise."""
        self._policy, self._target = posterior.networks["policy"], posterior.targets["policy"]
        self._smooth = posterior.smooth

    def at_s(self, s: Tensor, noise: Tensor) -> tuple[Actions, Drawn]:
        """The policy's action at each s; it takes no noise."""
        del noise
        policy = self._policy.traced(s)
        head = policy.output.squeeze(1)
        return Actions(deterministic(head), torch.zeros_like(head[..., 0])), Drawn(policy, head, None)

    def at_both(self, s: Tensor, s_next: Tensor, noise: Tensor) -> tuple[Actions, Actions, Drawn]:
        """The policy's action at each s, and its target copy's with clipped noise at each s'."""
        now, drawn = self.at_s(s, noise)
        calm = deterministic(self._target(s_next).squeeze(1))
        return now, Actions(self._smooth(calm, noise[:, s.shape[1] :]), now.log_pi), drawn

    def untraced(self, s: Tensor, noise: Tensor) -> Actions:
        """The policy's action at each s, without what a gradient needs."""
        del noise
        head = self._policy(s).squeeze(1)
        return Actions(deterministic(head), torch.zeros_like(head[..., 0]))

    def d_head(self, now: Actions, drawn: Drawn, by_action: Tensor, by_log_pi: Tensor) -> Tensor:
        """Gradient through the tanh."""
        del drawn, by_log_pi
        return by_action * (1 - now.action.square())


class FusedAgent(StackedAgent):
    """K independent agents of an algorithm of the SAC family.

    Args:
        algorithm, n_observation, n_action, generators, device: as for `StackedAgent`.
        by_hand: makes the gradients of the posterior, of whose kind it must be.
    """

    def __init__(
        self,
        algorithm: Algorithm,
        n_observation: int,
        n_action: int,
        generators: Sequence[torch.Generator],
        *,
        by_hand: Callable[[Any], ByHand],
        device: torch.device,
    ) -> None:
        """Build the parts; read the networks that the update names."""
        super().__init__(algorithm, n_observation, n_action, generators, device=device)
        self.critic = self.networks["critic"]
        self.value: Network | None = self.networks.get("value")
        self._posterior = by_hand(self.parts.posterior)
        self._soft = algorithm.value.evaluation == "soft"

    def compute(self, kind: Kind, batch: Tensor, noise: Noise, own: Own | None) -> None:
        """The tensors' part of `update`: no host synchronisation, no branch on data."""
        algorithm, columns = self.algorithm, self.columns
        s, s_next = batch[..., columns.observation], batch[..., columns.next_observation]
        reward = batch[..., columns.reward] * algorithm.reward_scale
        alpha = self.temperature.alpha

        now, v_next, drawn = self._actions(s, s_next, noise["action"], alpha)
        target = losses.td_target(reward, batch[..., columns.terminated], v_next, gamma=algorithm.gamma)
        target = target[:, None]  # the same for every critic
        critic = self.critic.traced(batch[..., columns.history])
        q = critic.output.squeeze(-1)  # [K, C, B]
        residual = losses.residual_error(target - q)
        if kind.observes:
            eps_omega = residual if own is None else losses.residual_error(self._online_td_error(own))
            self.temperature.observe_residual(eps_omega, first=kind.first)

        reported = torch.zeros(2, self.seeds, device=self.device)  # policy and V loss, where there are any
        if self.value is not None:
            reported[1] = self._m_step_v(self.value, s, now, alpha)
        by_q = losses.d_squared_loss(q, target)
        self.adams["critic"].descend(critic.by_parameters(by_q[..., None]))
        if kind.improves:
            alpha = self.temperature.alpha  # a new eps_omega may have changed it
            # Reports are means over all updates.
            reported[0] = self._e_step(s, now, alpha, drawn) * algorithm.policy_delay
            self.average_targets()
        self.temperature.tune(now.log_pi)
        self.record(
            self.temperature.eps_omega,
            alpha[:, 0],
            -now.log_pi.mean(-1),
            q.mean((1, 2)),
            residual,
            losses.q_loss(q, target).mean(-1).sum(1),
            *reported,
        )

    def _actions(
        self, s: Tensor, s_next: Tensor, noise: Tensor, alpha: Tensor
    ) -> tuple[Actions, Tensor, Drawn]:
        """Actions at s, the target value `[K, B]` at s', and where the actions at s came from."""
        if self.value is not None:  # V_phibar, which takes no action at s'
            now, drawn = self._posterior.at_s(s, noise)
            return now, self.targets["value"](s_next)[:, 0, :, 0], drawn
        now, following, drawn = self._posterior.at_both(s, s_next, noise)
        return now, self._sampled_value(self.targets["critic"], s_next, following, alpha), drawn

    def _sampled_value(self, critic: Network, s: Tensor, actions: Actions, alpha: Tensor) -> Tensor:
        """The smaller critic's state value `[K, B]` at one action of the policy."""
        q = critic(torch.cat((s, actions.action), dim=-1)).squeeze(-1).amin(1)
        return losses.state_value(q, actions.log_pi, alpha, soft=self._soft)

    def _online_td_error(self, own: Own) -> Tensor:
        """TD errors `[K, C, N]` of a separate batch, with the online networks."""
        columns, batch = self.columns, own.batch
        s_next = batch[..., columns.next_observation]
        if self.value is not None:
            v_next = self.value(s_next)[:, 0, :, 0]
        else:
            actions = self._posterior.untraced(s_next, own.noise["action"])
            v_next = self._sampled_value(self.critic, s_next, actions, self.temperature.alpha)
        reward = batch[..., columns.reward] * self.algorithm.reward_scale
        target = losses.td_target(reward, batch[..., columns.terminated], v_next, gamma=self.algorithm.gamma)
        return target[:, None] - self.critic(batch[..., columns.history]).squeeze(-1)

    def _m_step_v(self, network: Network, s: Tensor, now: Actions, alpha: Tensor) -> Tensor:
        """M-step on J^V; returns the loss `[K]`."""
        target = self._sampled_value(self.critic, s, now, alpha)
        value = network.traced(s)
        v = value.output[:, 0, :, 0]
        by_v = losses.d_squared_loss(v, target)
        self.adams["value"].descend(value.by_parameters(by_v[:, None, :, None]))
        return losses.v_loss(v, target).mean(-1)

    def _e_step(self, s: Tensor, now: Actions, alpha: Tensor, drawn: Drawn) -> Tensor:
        """E-step on J_virel or J_beta with the critic held fixed; returns the loss `[K]`."""
        size = s.shape[1]
        critic = self.critic.traced(torch.cat((s, now.action), dim=-1))
        q = critic.output.squeeze(-1)
        smaller = losses.d_smaller(q)
        if q.is_cuda or q.shape[1] == 1:
            by_action = critic.by_inputs(smaller[..., None] * (-1 / size), self.columns.action)
        else:
            by_action = critic.by_inputs_of_chosen(smaller, self.columns.action) * (-1 / size)
        by_head = self._posterior.d_head(now, drawn, by_action, alpha / size)
        self.adams["policy"].descend(drawn.policy.by_parameters(by_head[:, None]))
        return losses.policy_loss(q.amin(1), now.log_pi, alpha).mean(-1)


def _gaussian(head: Tensor, noise: Tensor) -> Sample:
    """`tanh_gaussian.sample` of `[K, B, 2 A]`; seed by seed where a whole stack would leave a loop's tail."""
    if noise.is_cuda or noise[0].numel() % SIMD == 0:
        return tanh_gaussian.sample(head, noise)
    return Sample(*map(torch.stack, zip(*map(tanh_gaussian.sample, head, noise), strict=True)))
