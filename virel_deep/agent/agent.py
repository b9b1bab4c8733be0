"""The agent: K seeds' networks, optimisers, temperatures; how they act; one update (Algorithms 1 and 2)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from virel_deep.axes import gradients, inference, losses
from virel_deep.axes.inference import Sample, deterministic, smoothed_target
from virel_deep.axes.temperature import TemperatureState
from virel_deep.data.replay import Columns
from virel_deep.design.algorithm import Algorithm
from virel_deep.networks.network import SIMD, Network, Pass
from virel_deep.networks.optimiser import Adam
from virel_deep.networks.perceptron import Floats, perceptron


class Kind(NamedTuple):
    """What an update does beside its M-step on the critic: known beforehand, so that it can be captured."""

    improves: bool
    """E-step and Polyak average (every `policy_delay` updates)."""
    observes: bool
    """A new estimate of eps_omega (every `residual_period` updates)."""
    first: bool
    """No estimate of eps_omega was made before."""


class Actions(NamedTuple):
    """Actions `[K, B, A]` and their log densities `[K, B]`."""

    action: Tensor
    log_pi: Tensor


class Drawn(NamedTuple):
    """Where the actions at s came from: the policy's pass, and of a tanh-Gaussian its head and sample."""

    policy: Pass
    head: Tensor
    sample: Sample | None


METRICS = ("eps_omega", "temperature", "entropy", "q", "td_error", "q_loss", "policy_loss", "v_loss")
"""What an update reports of each seed, in this order. `td_error` is a mean square until it is reported."""


class Agent:
    """K independent agents of the same algorithm.

    Args:
        algorithm: Point on the design axes.
        n_observation: O.
        n_action: A.
        generators: One a seed, for the initial weights.
        device: Where everything lives.
    """

    def __init__(
        self,
        algorithm: Algorithm,
        n_observation: int,
        n_action: int,
        generators: Sequence[torch.Generator],
        *,
        device: torch.device,
    ) -> None:
        """Draw the weights; targets start as copies."""
        self.algorithm, self.n_observation, self.n_action = algorithm, n_observation, n_action
        self.seeds, self.device = len(generators), device
        self.columns = Columns.of(n_observation, n_action)
        self.gaussian = algorithm.posterior == "tanh-gaussian"
        self.policy = self._network(1, n_observation, n_action * (2 if self.gaussian else 1))
        self.critic = self._network(algorithm.critics, n_observation + n_action, 1)
        self.networks = {"policy": self.policy, "critic": self.critic}
        if algorithm.value == "v-network":
            self.networks["value"] = self.value = self._network(1, n_observation, 1)
        for network in self.networks.values():
            network.initialise(generators)
        self.adams = {
            name: Adam(network.flat, algorithm.learning_rate) for name, network in self.networks.items()
        }
        averaged = ["value"] if algorithm.value == "v-network" else ["critic"]
        self.targets = {name: self._copy(name) for name in averaged + ["policy"] * (not self.gaussian)}
        self.temperature = TemperatureState(algorithm, self.seeds, n_action, device=device)
        if device.type == "cpu":  # views of the parameters, for acting
            layers = [tuple(block.numpy() for block in layer) for layer in self.policy.layers]
            self._policies = [[(w[k], b[k]) for w, b in layers] for k in range(self.seeds)]
        self.updates = 0
        self._sums = torch.zeros(len(METRICS), self.seeds, device=device)
        self._summed = 0

    def _network(self, heads: int, n_in: int, n_out: int) -> Network:
        sizes = (n_in, *self.algorithm.hidden, n_out)
        return Network(self.seeds, heads, sizes, device=self.device)

    def _copy(self, name: str) -> Network:
        source = self.networks[name]
        target = Network(source.seeds, source.heads, source.sizes, device=self.device)
        target.flat.copy_(source.flat)
        return target

    def act(self, observation: Floats, noise: Floats) -> Floats:
        """Actions `[K, N, A]` in [-1, 1] at `observation [K, N, O]`, with standard normal `noise [K, N, A]`.

        Seed by seed, so that bits do not depend on K.
        """
        action = np.empty_like(noise)
        for k, head in enumerate(self._heads(observation)):
            action[k] = self._explore(head, noise[k])
        return action

    def _heads(self, observation: Floats) -> list[Floats]:
        """Outputs of each seed's policy `[N, A or 2 A]`."""
        if self.device.type != "cpu":
            return list(self.policy(torch.from_numpy(observation).to(self.device)).squeeze(1).cpu().numpy())
        return [perceptron(*of_seed) for of_seed in zip(self._policies, observation, strict=True)]

    def _explore(self, head: Floats, noise: Floats) -> Floats:
        if self.gaussian:
            return inference.explore(head, noise)
        noisy = np.tanh(head) + self.algorithm.exploration_noise * noise
        action: Floats = np.minimum(np.maximum(noisy, -1), 1)
        return action

    @property
    def kind(self) -> Kind:
        """What the next update does."""
        algorithm = self.algorithm
        observes = self.updates % algorithm.residual_period == 0
        return Kind(self.updates % algorithm.policy_delay == 0, observes, self.updates == 0)

    def update(self, batch: Tensor, noise: Tensor, own: tuple[Tensor, Tensor] | None = None) -> None:
        """One gradient step of every network: M-steps, E-step, Polyak average; Algorithms 1 and 2.

        Args:
            batch: `[K, B, width]` rows of the replay.
            noise: `[K, 2 B, A]` standard normal: for the actions at s, then for those at s'.
            own: A batch of its own for eps_omega `[K, N, width]` and its noise `[K, N, A]`, where there is
                one; read when `kind.observes`.
        """
        self.compute(self.kind, batch, noise, own)
        self.count()

    def count(self) -> None:
        """Note that an update was computed."""
        self.updates += 1
        self._summed += 1

    def compute(self, kind: Kind, batch: Tensor, noise: Tensor, own: tuple[Tensor, Tensor] | None) -> None:
        """The tensors' part of `update`: no host synchronisation, no branch on data."""
        algorithm, columns = self.algorithm, self.columns
        s, s_next = batch[..., columns.observation], batch[..., columns.next_observation]
        reward = batch[..., columns.reward] * algorithm.reward_scale
        alpha = self.temperature.alpha

        now, following, drawn = self._actions(s, s_next, noise)
        self.temperature.tune(now.log_pi)
        v_next = self._v_next(s_next, following, alpha)
        target = losses.td_target(reward, batch[..., columns.terminated], v_next, gamma=algorithm.gamma)
        target = target[:, None]  # the same for every critic
        critic = self.critic.traced(batch[..., columns.history])
        q = critic.output.squeeze(-1)  # [K, C, B]
        residual = losses.residual_error(target - q)
        if kind.observes:
            eps_omega = residual if own is None else losses.residual_error(self._online_td_error(*own))
            self.temperature.observe_residual(eps_omega, first=kind.first)

        reported = torch.zeros(2, self.seeds, device=self.device)  # policy and V loss, where there are any
        if "value" in self.networks:
            reported[1] = self._m_step_v(s, now, alpha)
        by_q = gradients.squared_loss(q, target)
        self.adams["critic"].descend(critic.by_parameters(by_q[..., None]))
        if kind.improves:
            alpha = self.temperature.alpha if algorithm.temperature == "residual" else alpha
            # Reports are means over all updates.
            reported[0] = self._e_step(s, now, alpha, drawn) * algorithm.policy_delay
            self._average_targets()
        self._record(
            self.temperature.eps_omega,
            alpha[:, 0],
            -now.log_pi.mean(-1),
            q.mean((1, 2)),
            residual,
            losses.q_loss(q, target).mean(-1).sum(1),
            *reported,
        )

    def _actions(self, s: Tensor, s_next: Tensor, noise: Tensor) -> tuple[Actions, Actions | None, Drawn]:
        """Actions at s, at s' (None: a V-network has no need of them), and where those at s came from."""
        size = s.shape[1]
        if not self.gaussian:
            policy = self.policy.traced(s)
            head = policy.output.squeeze(1)
            calm = deterministic(self.targets["policy"](s_next).squeeze(1))
            std, clip = self.algorithm.target_noise, self.algorithm.target_noise_clip
            following = smoothed_target(calm, noise[:, size:], std=std, clip=clip)
            zero = torch.zeros_like(head[..., 0])
            return Actions(deterministic(head), zero), Actions(following, zero), Drawn(policy, head, None)
        if "value" in self.networks:
            policy = self.policy.traced(s)
            head = policy.output.squeeze(1)
            sample = _gaussian(head, noise[:, :size])
            return Actions(sample.action, sample.log_pi), None, Drawn(policy, head, sample)
        # One pass over s and s', of which only the first half is differentiated.
        policy = self.policy.traced(torch.cat((s, s_next), dim=1), rows=size)
        head = policy.output.squeeze(1)
        both = _gaussian(head, noise)
        here, beyond = (Sample(*(x[:, rows] for x in both)) for rows in (slice(size), slice(size, None)))
        return (
            Actions(here.action, here.log_pi),
            Actions(beyond.action, beyond.log_pi),
            Drawn(policy, head[:, :size], here),
        )

    def _v_next(self, s_next: Tensor, following: Actions | None, alpha: Tensor) -> Tensor:
        """Target value `[K, B]` at s': V_phibar, or the smaller target Q at an action of the policy."""
        if following is None:
            return self.targets["value"](s_next)[:, 0, :, 0]
        return self._sampled_value(self.targets["critic"], s_next, following, alpha)

    def _sampled_value(self, critic: Network, s: Tensor, actions: Actions, alpha: Tensor) -> Tensor:
        q = critic(torch.cat((s, actions.action), dim=-1)).squeeze(-1).amin(1)
        return losses.state_value(q, actions.log_pi, alpha, soft=self.algorithm.evaluation == "soft")

    def _online_td_error(self, batch: Tensor, noise: Tensor) -> Tensor:
        columns, s_next = self.columns, batch[..., self.columns.next_observation]
        if "value" in self.networks:
            v_next = self.value(s_next)[:, 0, :, 0]
        else:
            sample = _gaussian(self.policy(s_next).squeeze(1), noise)
            actions = Actions(sample.action, sample.log_pi)
            v_next = self._sampled_value(self.critic, s_next, actions, self.temperature.alpha)
        reward = batch[..., columns.reward] * self.algorithm.reward_scale
        target = losses.td_target(reward, batch[..., columns.terminated], v_next, gamma=self.algorithm.gamma)
        return target[:, None] - self.critic(batch[..., columns.history]).squeeze(-1)

    def _m_step_v(self, s: Tensor, now: Actions, alpha: Tensor) -> Tensor:
        """M-step on J^V; returns the loss `[K]`."""
        target = self._sampled_value(self.critic, s, now, alpha)
        value = self.value.traced(s)
        v = value.output[:, 0, :, 0]
        by_v = gradients.squared_loss(v, target)
        self.adams["value"].descend(value.by_parameters(by_v[:, None, :, None]))
        return losses.v_loss(v, target).mean(-1)

    def _e_step(self, s: Tensor, now: Actions, alpha: Tensor, drawn: Drawn) -> Tensor:
        """E-step on J_virel or J_beta with the critic held fixed; returns the loss `[K]`."""
        size = s.shape[1]
        critic = self.critic.traced(torch.cat((s, now.action), dim=-1))
        q = critic.output.squeeze(-1)
        smaller = gradients.smaller(q)
        if q.is_cuda or q.shape[1] == 1:
            by_action = critic.by_inputs(smaller[..., None] * (-1 / size), self.columns.action)
        else:
            by_action = critic.by_inputs_of_chosen(smaller, self.columns.action) * (-1 / size)
        if drawn.sample is None:
            by_head = by_action * (1 - now.action.square())
        else:
            action, _, pushed, inside = drawn.sample
            by_head = inference.gradient(action, pushed, inside, by_action, alpha / size)
            if self.algorithm.mean_penalty or self.algorithm.log_std_penalty:
                of_mean, of_log_std = self.algorithm.mean_penalty, self.algorithm.log_std_penalty
                by_head += gradients.penalty(
                    drawn.head, inside, mean_weight=of_mean, log_std_weight=of_log_std
                )
        self.adams["policy"].descend(drawn.policy.by_parameters(by_head[:, None]))
        return losses.policy_loss(q.amin(1), now.log_pi, alpha).mean(-1)

    def _average_targets(self) -> None:
        """Polyak average: target <- tau online + (1 - tau) target."""
        for name, target in self.targets.items():
            target.flat.lerp_(self.networks[name].flat, self.algorithm.polyak)

    def _record(self, *metrics: Tensor) -> None:
        self._sums += torch.stack(metrics)

    def report(self) -> list[dict[str, float]]:
        """Means of `METRICS` over the updates since the last report, a dict a seed; {} before any update."""
        if self._summed == 0:
            return [{} for _ in range(self.seeds)]
        means = (self._sums / self._summed).T.tolist()
        self._sums.zero_()
        self._summed = 0
        named = [dict(zip(METRICS, row, strict=True)) for row in means]
        return [row | {"td_error": row["td_error"] ** 0.5} for row in named]

    def seed_state(self, k: int) -> dict[str, Any]:
        """All that seed k is made of, as copies: parameters and moments by name, counters, sums."""
        state: dict[str, Any] = {"updates": self.updates, "summed": self._summed, "n_action": self.n_action}
        state["sums"] = self._sums[:, k].clone()
        for name, (network, flat) in self._flats().items():
            state[name] = {block: x.clone() for block, x in network.seed_blocks(flat, k).items()}
        state["steps"] = {name: int(adam.state["step"].item()) for name, adam in self.adams.items()}
        return state | {"temperature": self.temperature.seed_state(k)}

    def load_seed_state(self, k: int, state: dict[str, Any]) -> None:
        """Make seed k what `seed_state` saved. All seeds of an agent have the same number of updates."""
        self.updates, self._summed = state["updates"], state["summed"]
        self._sums[:, k] = state["sums"]
        for name, (network, flat) in self._flats().items():
            for block, x in network.seed_blocks(flat, k).items():
                x.copy_(state[name][block])
        for name, adam in self.adams.items():
            adam.state["step"].fill_(state["steps"][name])
        self.temperature.load_seed_state(k, state["temperature"])

    def _flats(self) -> dict[str, tuple[Network, Tensor]]:
        """Every flat tensor with the network that lays it out."""
        out = {name: (network, network.flat) for name, network in self.networks.items()}
        out |= {f"target_{name}": (network, network.flat) for name, network in self.targets.items()}
        for moment in ("exp_avg", "exp_avg_sq"):
            out |= {
                f"{name}_{moment}": (self.networks[name], adam.state[moment])
                for name, adam in self.adams.items()
            }
        return out


def _gaussian(head: Tensor, noise: Tensor) -> Sample:
    """`inference.sample` of `[K, B, 2 A]`; seed by seed where a whole stack would leave a loop's tail."""
    if noise.is_cuda or noise[0].numel() % SIMD == 0:
        return inference.sample(head, noise)
    return Sample(*map(torch.stack, zip(*map(inference.sample, head, noise), strict=True)))
