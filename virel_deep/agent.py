"""The agent: K seeds' networks, optimisers, temperatures; how they act; one update (Algorithms 1 and 2)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from virel_deep import losses
from virel_deep.config import Algorithm
from virel_deep.inference import deterministic, smoothed_target, split, tanh_gaussian
from virel_deep.networks import SIMD, Network
from virel_deep.optimiser import Adam
from virel_deep.replay import Columns
from virel_deep.temperature import TemperatureState


class Kind(NamedTuple):
    """What an update does beside its M-step on the critic: known beforehand, so that it can be captured."""

    improves: bool
    """E-step and Polyak average (every `policy_delay` updates)."""
    observes: bool
    """A new estimate of eps_omega (every `residual_period` updates)."""
    first: bool
    """No estimate of eps_omega was made before."""


class Actions(NamedTuple):
    """Actions `[K, B, A]`, log densities `[K, B]`, and the policy's output where a gradient is needed."""

    action: Tensor
    log_pi: Tensor
    head: Tensor | None


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
            name: Adam(network.leaf, algorithm.learning_rate) for name, network in self.networks.items()
        }
        averaged = ["value"] if algorithm.value == "v-network" else ["critic"]
        self.targets = {name: self._copy(name) for name in averaged + ["policy"] * (not self.gaussian)}
        self.temperature = TemperatureState(algorithm, self.seeds, n_action, device=device)
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

    @torch.no_grad()
    def act(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """Actions `[K, N, A]` in [-1, 1] at `observation [K, N, O]`; `noise [K, N, A]`; None: deterministic.

        Each seed's head is treated apart, so that its bits do not depend on K.
        """
        heads = self.policy(observation).squeeze(1)
        return torch.stack(
            [self._act(heads[k], None if noise is None else noise[k]) for k in range(self.seeds)]
        )

    def _act(self, head: Tensor, noise: Tensor | None) -> Tensor:
        if noise is None:
            return deterministic(split(head)[0] if self.gaussian else head)
        if self.gaussian:
            return tanh_gaussian(head, noise)[0]
        return (deterministic(head) + self.algorithm.exploration_noise * noise).clamp(-1, 1)

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

        now, following = self._actions(s, s_next, noise, train=kind.improves)
        self.temperature.tune(now.log_pi)
        v_next = self._v_next(s_next, following, alpha)
        target = losses.td_target(reward, batch[..., columns.terminated], v_next, gamma=algorithm.gamma)
        q = self.critic(batch[..., columns.history], train=True).squeeze(-1)  # [K, C, B]
        td_error = target[:, None] - q.detach()
        if kind.observes:
            self._observe_residual(td_error, own, first=kind.first)

        reported = torch.zeros(2, self.seeds, device=self.device)  # policy and V loss, where there are any
        if "value" in self.networks:
            reported[1] = self._m_step_v(s, now, alpha)
        q_loss = losses.q_loss(q, target[:, None]).mean(-1)
        self.adams["critic"].minimise(q_loss.sum())
        if kind.improves:
            alpha = self.temperature.alpha if algorithm.temperature == "residual" else alpha
            # Reports are means over all updates.
            reported[0] = self._e_step(s, now, alpha) * algorithm.policy_delay
            self._average_targets()
        self._record(
            self.temperature.eps_omega,
            alpha[:, 0],
            -now.log_pi.detach().mean(-1),
            q.detach().mean((1, 2)),
            td_error.square().mean((1, 2)),
            q_loss.detach().sum(1),
            *reported,
        )

    def _actions(
        self, s: Tensor, s_next: Tensor, noise: Tensor, *, train: bool
    ) -> tuple[Actions, Actions | None]:
        """Actions at s, with gradient, and at s' without (None where a V-network makes them unnecessary)."""
        size = s.shape[1]
        if not self.gaussian:
            with torch.no_grad():
                calm = deterministic(self.targets["policy"](s_next).squeeze(1))
                std, clip = self.algorithm.target_noise, self.algorithm.target_noise_clip
                following = smoothed_target(calm, noise[:, size:], std=std, clip=clip)
            action = deterministic(self.policy(s, train=train).squeeze(1))
            zero = torch.zeros_like(action[..., 0])
            return Actions(action, zero, None), Actions(following, zero, None)
        if "value" in self.networks:
            head = self.policy(s, train=train).squeeze(1)
            return Actions(*_gaussian(head, noise[:, :size]), head), None
        # One pass over s and s', of which only the first half is differentiated.
        head = self.policy(torch.cat((s, s_next), dim=1), train=train, rows=size).squeeze(1)
        here = head[:, :size]
        with torch.no_grad():
            beyond = Actions(*_gaussian(head[:, size:], noise[:, size:]), None)
        return Actions(*_gaussian(here, noise[:, :size]), here), beyond

    def _v_next(self, s_next: Tensor, following: Actions | None, alpha: Tensor) -> Tensor:
        """Target value `[K, B]` at s': V_phibar, or the smaller target Q at an action of the policy."""
        with torch.no_grad():
            if following is None:
                return self.targets["value"](s_next)[:, 0, :, 0]
            return self._sampled_value(self.targets["critic"], s_next, following, alpha)

    def _sampled_value(self, critic: Network, s: Tensor, actions: Actions, alpha: Tensor) -> Tensor:
        q = _smaller(critic(torch.cat((s, actions.action), dim=-1)))
        return losses.state_value(q, actions.log_pi, alpha, soft=self.algorithm.evaluation == "soft")

    def _observe_residual(self, td_error: Tensor, own: tuple[Tensor, Tensor] | None, *, first: bool) -> None:
        """eps_omega, Algorithm 2: from the minibatch, or from a batch of its own with the online V."""
        if own is not None:
            with torch.no_grad():
                td_error = self._online_td_error(*own)
        self.temperature.observe_residual(losses.residual_error(td_error), first=first)

    def _online_td_error(self, batch: Tensor, noise: Tensor) -> Tensor:
        columns, s_next = self.columns, batch[..., self.columns.next_observation]
        if "value" in self.networks:
            v_next = self.value(s_next)[:, 0, :, 0]
        else:
            actions = Actions(*_gaussian(self.policy(s_next).squeeze(1), noise), None)
            v_next = self._sampled_value(self.critic, s_next, actions, self.temperature.alpha)
        reward = batch[..., columns.reward] * self.algorithm.reward_scale
        target = losses.td_target(reward, batch[..., columns.terminated], v_next, gamma=self.algorithm.gamma)
        return target[:, None] - self.critic(batch[..., columns.history]).squeeze(-1)

    def _m_step_v(self, s: Tensor, now: Actions, alpha: Tensor) -> Tensor:
        """M-step on J^V; returns the loss `[K]`."""
        with torch.no_grad():
            target = self._sampled_value(self.critic, s, now, alpha)
        loss = losses.v_loss(self.value(s, train=True)[:, 0, :, 0], target).mean(-1)
        self.adams["value"].minimise(loss.sum())
        return loss.detach()

    def _e_step(self, s: Tensor, now: Actions, alpha: Tensor) -> Tensor:
        """E-step on J_virel or J_beta with the critic held fixed; returns the loss `[K]`."""
        q = _smaller(self.critic(torch.cat((s, now.action), dim=-1)))
        loss = losses.policy_loss(q, now.log_pi, alpha).mean(-1)
        total = loss
        if now.head is not None and (self.algorithm.mean_penalty or self.algorithm.log_std_penalty):
            mean, log_std = split(now.head)
            weights = (self.algorithm.mean_penalty, self.algorithm.log_std_penalty)
            total = loss + losses.penalty(
                mean, log_std, mean_weight=weights[0], log_std_weight=weights[1]
            ).mean(-1)
        self.adams["policy"].minimise(total.sum())
        return loss.detach()

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


def _smaller(q: Tensor) -> Tensor:
    """The smaller critic's value `[K, B]` of `[K, C, B, 1]`."""
    return q[:, 0, :, 0] if q.shape[1] == 1 else torch.minimum(q[:, 0, :, 0], q[:, 1, :, 0])


def _gaussian(head: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """`tanh_gaussian` of `[K, B, 2 A]`; seed by seed where a whole stack would leave a loop's tail."""
    if noise.is_cuda or noise[0].numel() % SIMD == 0:
        return tanh_gaussian(head, noise)
    action, log_pi = zip(*map(tanh_gaussian, head, noise), strict=True)
    return torch.stack(action), torch.stack(log_pi)
