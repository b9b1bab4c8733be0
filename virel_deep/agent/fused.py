"""Fast update of SAC-like algorithms: every gradient is written out by hand, without autograd.

The update by autograd (`general.py`) is its specification: tests run every preset on both and compare them.
docs/deep/settings.md calls them the fast and the general road.
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
from virel_deep.networks import placement
from virel_deep.networks.network import SIMD, Network, Pass
from virel_deep.networks.stacks import by_compiled


class Actions(NamedTuple):
    """Actions `[K, B, A]` and their log densities `[K, B]`, for K seeds and B states."""

    action: Tensor
    log_pi: Tensor


class Drawn(NamedTuple):
    """Forward pass and random sample that gave a batch of actions, kept to compute the policy gradient."""

    policy: Pass
    """Forward pass of the policy network."""
    head: Tensor
    """Outputs of the policy network at s, `[K, B, ...]`."""
    sample: Sample | None
    """Sample of a tanh-Gaussian; None for a deterministic policy."""


class ByHand(Protocol):
    """Interface of a posterior's hand-written gradients: draw actions, then differentiate through them."""

    def at_s(self, s: Tensor, noise: Tensor) -> tuple[Actions, Drawn]:
        """Draw the policy's actions at the states s, and keep what its gradient needs."""

    def at_both(self, s: Tensor, s_next: Tensor, noise: Tensor) -> tuple[Actions, Actions, Drawn]:
        """Draw actions at s, with what their gradient needs, and at next states s'; `noise [K, 2 B, A]`."""

    def untraced(self, s: Tensor, noise: Tensor) -> Actions:
        """Draw the online policy's actions at the states s, keeping nothing for a gradient."""

    def d_head(self, now: Actions, drawn: Drawn, by_action: Tensor, by_log_pi: Tensor) -> Tensor:
        """Gradient of the policy loss w.r.t. the network's outputs, from that w.r.t. action and log density.

        `by_action` is `[K, B, A]`, `by_log_pi` `[K, 1]`.
        """


class GaussianByHand:
    """Hand-written gradients of a tanh-Gaussian policy."""

    def __init__(self, posterior: TanhGaussian) -> None:
        """Store the policy network and the penalty weights of a tanh-Gaussian posterior."""
        self._policy = posterior.networks["policy"]
        self._settings = posterior.settings

    def at_s(self, s: Tensor, noise: Tensor) -> tuple[Actions, Drawn]:
        """Draw one tanh-Gaussian action per state s, and keep what its gradient needs."""
        policy = self._policy.traced(s)
        head = policy.output.squeeze(1)
        sample = _gaussian(head, noise[:, : s.shape[1]])
        return Actions(sample.action, sample.log_pi), Drawn(policy, head, sample)

    def at_both(self, s: Tensor, s_next: Tensor, noise: Tensor) -> tuple[Actions, Actions, Drawn]:
        """Draw one action per s and per s' in one pass; only the half for s keeps what a gradient needs."""
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
        """Draw one tanh-Gaussian action per state, keeping nothing for a gradient."""
        sample = _gaussian(self._policy(s).squeeze(1), noise)
        return Actions(sample.action, sample.log_pi)

    def d_head(self, now: Actions, drawn: Drawn, by_action: Tensor, by_log_pi: Tensor) -> Tensor:
        """Gradient of the policy loss, penalties included, w.r.t. the Gaussian's means and log deviations."""
        del now
        assert drawn.sample is not None
        action, _, pushed, inside = drawn.sample
        by_head = tanh_gaussian.gradient(action, pushed, inside, by_action, by_log_pi)
        of_mean, of_log_std = self._settings.mean_penalty, self._settings.log_std_penalty
        if of_mean or of_log_std:
            by_head += losses.d_penalty(drawn.head, inside, mean_weight=of_mean, log_std_weight=of_log_std)
        return by_head


class DeterministicByHand:
    """Hand-written gradients of a deterministic policy, whose log density counts as 0."""

    def __init__(self, posterior: Deterministic) -> None:
        """Store the networks and the target noise of a deterministic posterior."""
        self._policy, self._target = posterior.networks["policy"], posterior.targets["policy"]
        self._smooth = posterior.smooth

    def at_s(self, s: Tensor, noise: Tensor) -> tuple[Actions, Drawn]:
        """Compute the deterministic policy's action at each state s, and keep what its gradient needs."""
        del noise
        policy = self._policy.traced(s)
        head = policy.output.squeeze(1)
        return Actions(deterministic(head), torch.zeros_like(head[..., 0])), Drawn(policy, head, None)

    def at_both(self, s: Tensor, s_next: Tensor, noise: Tensor) -> tuple[Actions, Actions, Drawn]:
        """Compute the policy's action at each s, and the target policy's noisy action at each s'."""
        now, drawn = self.at_s(s, noise)
        calm = deterministic(self._target(s_next).squeeze(1))
        return now, Actions(self._smooth(calm, noise[:, s.shape[1] :]), now.log_pi), drawn

    def untraced(self, s: Tensor, noise: Tensor) -> Actions:
        """Compute the deterministic policy's action at each state, keeping nothing for a gradient."""
        del noise
        head = self._policy(s).squeeze(1)
        return Actions(deterministic(head), torch.zeros_like(head[..., 0]))

    def d_head(self, now: Actions, drawn: Drawn, by_action: Tensor, by_log_pi: Tensor) -> Tensor:
        """Policy gradient w.r.t. outputs before the tanh: that w.r.t. actions times `1 - action^2`."""
        del drawn, by_log_pi
        return by_action * (1 - now.action.square())


class FusedAgent(StackedAgent):
    """K independent agents of a SAC-like algorithm, updated by hand-written gradients.

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
        """Build all networks of the algorithm, and the hand-written gradients of its posterior."""
        super().__init__(algorithm, n_observation, n_action, generators, device=device)
        self.critic = self.networks["critic"]
        self.value: Network | None = self.networks.get("value")
        self._posterior = by_hand(self.parts.posterior)
        self._soft = algorithm.value.evaluation == "soft"

    def compute(self, kind: Kind, batch: Tensor, noise: Noise, own: Own | None) -> None:
        """Compute one training update of every network from tensors alone, so that CUDA can capture it."""
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
            self.temperature.observe_reward(reward, first=kind.first)
            eps_omega = residual if own is None else losses.residual_error(self._online_td_error(own, alpha))
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
        """Draw actions at s, and compute the value `[K, B]` at s' that critics bootstrap from."""
        if self.value is not None:  # V_phibar, which takes no action at s'
            now, drawn = self._posterior.at_s(s, noise)
            return now, self.targets["value"](s_next)[:, 0, :, 0], drawn
        now, following, drawn = self._posterior.at_both(s, s_next, noise)
        return now, self._sampled_value(self.targets["critic"], s_next, following, alpha), drawn

    def _sampled_value(self, critic: Network, s: Tensor, actions: Actions, alpha: Tensor) -> Tensor:
        """State value `[K, B]` estimated from one action of the policy, by the smaller of the critics."""
        q = critic(torch.cat((s, actions.action), dim=-1)).squeeze(-1).amin(1)
        return losses.state_value(q, actions.log_pi, alpha, soft=self._soft)

    def _online_td_error(self, own: Own, alpha: Tensor) -> Tensor:
        """TD errors `[K, C, N]` of a separate batch, by the online networks instead of target copies."""
        columns, batch = self.columns, own.batch
        s_next = batch[..., columns.next_observation]
        if self.value is not None:
            v_next = self.value(s_next)[:, 0, :, 0]
        else:
            actions = self._posterior.untraced(s_next, own.noise["action"])
            v_next = self._sampled_value(self.critic, s_next, actions, alpha)
        reward = batch[..., columns.reward] * self.algorithm.reward_scale
        target = losses.td_target(reward, batch[..., columns.terminated], v_next, gamma=self.algorithm.gamma)
        return target[:, None] - self.critic(batch[..., columns.history]).squeeze(-1)

    def _m_step_v(self, network: Network, s: Tensor, now: Actions, alpha: Tensor) -> Tensor:
        """M-step on J^V: one Adam step of the state-value network; returns the loss `[K]`."""
        target = self._sampled_value(self.critic, s, now, alpha)
        value = network.traced(s)
        v = value.output[:, 0, :, 0]
        by_v = losses.d_squared_loss(v, target)
        self.adams["value"].descend(value.by_parameters(by_v[:, None, :, None]))
        return losses.v_loss(v, target).mean(-1)

    def _e_step(self, s: Tensor, now: Actions, alpha: Tensor, drawn: Drawn) -> Tensor:
        """E-step on J_virel or J_beta: one Adam step of the policy, critic held fixed; returns the loss."""
        size = s.shape[1]
        critic = self.critic.traced(torch.cat((s, now.action), dim=-1))
        q = critic.output.squeeze(-1)
        smaller = losses.d_smaller(q)
        if placement.on_gpu(q) or q.shape[1] == 1:
            by_action = critic.by_inputs(smaller[..., None] * (-1 / size), self.columns.action)
        else:
            by_action = critic.by_inputs_of_chosen(smaller, self.columns.action) * (-1 / size)
        by_head = self._posterior.d_head(now, drawn, by_action, alpha / size)
        self.adams["policy"].descend(drawn.policy.by_parameters(by_head[:, None]))
        return losses.policy_loss(q.amin(1), now.log_pi, alpha).mean(-1)


def _gaussian(head: Tensor, noise: Tensor) -> Sample:
    """Sample a tanh-Gaussian for K seeds; seed by seed where one call's rounding would depend on K."""
    if by_compiled() and not placement.on_gpu(noise):
        from virel_deep.agent import fused_kernels  # noqa: PLC0415  (brings numba)

        return fused_kernels.sample(head, noise)
    if placement.on_gpu(noise) or noise[0].numel() % SIMD == 0:
        return tanh_gaussian.sample(head, noise)
    return Sample(*map(torch.stack, zip(*map(tanh_gaussian.sample, head, noise), strict=True)))
