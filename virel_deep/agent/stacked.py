"""Base class of agents: networks, optimisers and targets of K seeds; acting, reports and checkpoints."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from virel_common.errors import require
from virel_deep.agent.interfaces import METRICS, Draws, Kind, Own, named
from virel_deep.axes.abilities import Amortised, Behaving, Deliberate, Expanding, Starting
from virel_deep.axes.build import build
from virel_deep.axes.interfaces import Draw, Noise, Objective
from virel_deep.axes.tensors import Behaviour
from virel_deep.data.replay import Columns
from virel_deep.design.algorithm import Algorithm
from virel_deep.networks import placement
from virel_deep.networks.network import Network
from virel_deep.networks.optimiser import Adam
from virel_deep.networks.perceptron import Floats, perceptron


class StackedAgent(ABC):
    """K independent agents of one algorithm, stacked in shared tensors; a subclass computes the update.

    Args:
        algorithm: parts and shared settings.
        n_observation: O.
        n_action: A.
        generators: one per seed, for the initial weights.
        device: where everything lives.
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
        """Build networks and optimisers, and draw the weights; target networks start as copies."""
        self.algorithm, self.n_observation, self.n_action = algorithm, n_observation, n_action
        self.seeds, self.device = len(generators), device
        self.columns = Columns.of(n_observation, n_action, algorithm.tails)
        self.parts = build(algorithm, n_observation, n_action, seeds=self.seeds, device=device)
        self.temperature = self.parts.temperature
        self.draws = Draws(int(self.parts.posterior.at_state), self.parts.value.reach)
        learnt = (self.parts.posterior, self.parts.value, self.parts.prior)
        self.networks: dict[str, Network] = {k: v for part in learnt for k, v in part.networks.items()}
        self.targets: dict[str, Network] = {k: v for part in learnt for k, v in part.targets.items()}
        value, posterior, prior, temperature = self.parts
        of_value = value.noise if isinstance(value, Expanding) else {}
        self.noise: Mapping[str, Draw] = {**posterior.noise, **of_value}
        """Random numbers that posterior and value need per state, by name."""
        self._deliberate = posterior.deliberate if isinstance(posterior, Deliberate) else None
        self._explore = posterior.explore if isinstance(posterior, Amortised) else None
        # Critics first, so that algorithms with equal ones share their weights, whatever their policies are.
        drawn: dict[str, Network] = {**value.networks, **posterior.networks, **prior.networks}
        for network in drawn.values():
            network.initialise(generators)
        for part in learnt:
            if isinstance(part, Starting):
                part.start()
        self.copy_targets()
        self.adams = {
            name: Adam(network.flat, algorithm.rate(name)) for name, network in self.networks.items()
        }
        if "policy" in self.networks and not placement.on_gpu(self.policy.flat):  # views for acting
            layers = [tuple(block.numpy() for block in layer) for layer in self.policy.layers]
            self._policies = [[(w[k], b[k]) for w, b in layers] for k in range(self.seeds)]
        self.updates = 0
        self._schedule()  # on a GPU the step sizes become tensors before an update is captured
        more = (part.reports for part in (prior, posterior, temperature, value))
        self.metrics = (*METRICS, *(name for names in more for name in names))
        """Names of the metrics that an update reports, those of the parts last."""
        self._sums = torch.zeros(len(self.metrics), self.seeds, device=device)
        self._summed = 0

    @property
    def policy(self) -> Network:
        """Policy network of all seeds; every algorithm that acts by a network calls it `policy`."""
        return self.networks["policy"]

    @property
    def discrete(self) -> bool:
        """Whether actions are those of a discrete space, as one-hot vectors."""
        return self.algorithm.posterior.discrete

    @property
    def acting(self) -> Draw:
        """Random numbers that an exploratory action needs."""
        return self.parts.posterior.acting

    def act(self, observation: Floats, noise: Floats) -> Floats:
        """Actions `[K, N, A]` in [-1, 1] at `observation [K, N, O]`; `noise` is what `acting` declares.

        It goes seed by seed, so that the bits of a seed do not depend on K.
        """
        if self._deliberate is not None:
            state, xi = (torch.from_numpy(x).to(self.device) for x in (observation, noise))
            return self._deliberate(state, xi, self.objective).cpu().numpy()
        assert self._explore is not None, "a posterior acts by its network's outputs or its objective"
        return np.stack([*map(self._explore, self.heads(observation), noise)])

    def behave(self, observation: Floats, noise: Floats) -> Behaviour:
        """Actions `[K, N, A]` as those of `act`, with their values and log densities before the tanh."""
        posterior = self.parts.posterior
        assert isinstance(posterior, Behaving), "the replay keeps densities, which the posterior lacks"
        of_each = map(posterior.behave, self.heads(observation), noise)
        return Behaviour(*map(np.stack, zip(*of_each, strict=True)))

    @property
    def objective(self) -> Objective:
        """Objective of the posterior at any state, with the critics and temperature as they are now."""
        return self.parts.objective

    def heads(self, observation: Floats) -> list[Floats]:
        """Outputs `[N, ...]` of each seed's policy network at `observation [K, N, O]`, one array per seed."""
        if placement.on_gpu(self.policy.flat):
            return list(self.policy(torch.from_numpy(observation).to(self.device)).squeeze(1).cpu().numpy())
        return [perceptron(*of_seed) for of_seed in zip(self._policies, observation, strict=True)]

    @property
    def kind(self) -> Kind:
        """Which optional steps the next update has: policy improvement, a new estimate of eps_omega."""
        observes = self.updates % self.algorithm.temperature.estimate.period == 0
        period = self.algorithm.target_period
        copies = period > 0 and (self.updates + 1) % period == 0
        return Kind(self.updates % self.algorithm.policy_delay == 0, observes, self.updates == 0, copies)

    def update(self, batch: Tensor, noise: Noise, own: Own | None = None) -> None:
        """Make one gradient step of every network: M-steps, E-step, Polyak average; VIREL Algorithms 1 and 2.

        Args:
            batch: rows of the replay, `[K, B, width]`, or windows of n of them, `[K, B, n, width]`; a rollout
                of each of E copies is E windows.
            noise: what `noise` declares, `[K, B (draws.here + draws.following), ...]`: for the actions at s,
                then for those at next states.
            own: a separate batch for eps_omega, where the temperature has one; read when `kind.observes`.
        """
        self.compute(self.kind, batch, noise, own)
        self.count()

    def count(self) -> None:
        """Increase the number of updates by one, after an update was computed."""
        self.updates += 1
        self._summed += 1
        self._schedule()

    def _schedule(self) -> None:
        """Set the step sizes of the next update, if the algorithm has a schedule of them."""
        if self.algorithm.learning_rate_end is not None:
            factor = self.algorithm.rate_factor(self.updates)
            for adam in self.adams.values():
                adam.scale_rate(factor)
            self.temperature.scale_rate(factor)

    @abstractmethod
    def compute(self, kind: Kind, batch: Tensor, noise: Noise, own: Own | None) -> None:
        """Compute one training update of every network from tensors alone, so that CUDA can capture it.

        There is no host synchronisation, and no branch depends on data.
        """

    def average_targets(self) -> None:
        """Polyak-average the target networks: `target <- tau online + (1 - tau) target`."""
        for name, target in self.targets.items():
            target.flat.lerp_(self.networks[name].flat, self.algorithm.polyak)

    def copy_targets(self) -> None:
        """Copy the online parameters to the target networks."""
        for name, target in self.targets.items():
            target.flat.copy_(self.networks[name].flat)

    def record(self, *metrics: Tensor) -> None:
        """Add the metrics `[K]` of one update, in the order of `metrics`, to the sums of the next report."""
        self._sums += torch.stack(metrics)

    def unsound(self, k: int) -> list[str]:
        """Names of seed k's losses that were not finite since the last report, such as `model_loss`."""
        sums = dict(zip(self.metrics, self._sums[:, k].tolist(), strict=True))
        return [name for name, x in sums.items() if name.endswith("_loss") and not math.isfinite(x)]

    def report(self) -> list[dict[str, float]]:
        """Return the mean metrics since the last report, one dictionary per seed; empty before any update."""
        if self._summed == 0:
            return [{} for _ in range(self.seeds)]
        means = (self._sums / self._summed).T.tolist()
        self._sums.zero_()
        self._summed = 0
        return [named(self.metrics, row) for row in means]

    def seed_state(self, k: int) -> dict[str, Any]:
        """Copy seed k's parameters, optimiser moments, counters and metric sums into a dictionary."""
        state: dict[str, Any] = {"updates": self.updates, "summed": self._summed, "n_action": self.n_action}
        state["sums"] = self._sums[:, k].clone()
        for name, (network, flat) in self._flats().items():
            state[name] = {block: x.clone() for block, x in network.seed_blocks(flat, k).items()}
        state["steps"] = {name: int(adam.state["step"].item()) for name, adam in self.adams.items()}
        state["temperature"] = self.temperature.seed_state(k)
        of_prior = self.parts.prior.seed_state(k)
        return state | self._remembered(k) | ({"prior": of_prior} if of_prior else {})

    def _remembered(self, k: int) -> dict[str, Any]:
        """What value and posterior remember of seed k beside their networks; most remember nothing."""
        return {name: part.seed_state(k) for name, part in self.parts.remembering.items()}

    def seed_networks(self, k: int) -> dict[str, Any]:
        """Copy what seed k acts by into a dictionary: its networks' blocks, `n_action` and `temperature`."""
        state: dict[str, Any] = {"n_action": self.n_action, "temperature": self.temperature.seed_state(k)}
        state |= self._remembered(k)
        for name, network in self.networks.items():
            blocks = network.seed_blocks(network.flat, k)
            state[name] = {block: x.cpu().numpy().copy() for block, x in blocks.items()}
        return state

    def load_network(self, k: int, name: str, blocks: Mapping[str, Tensor]) -> None:
        """Set seed k's parameters of a network, and of its target copy, from blocks by name.

        Raises:
            InputError: a block is missing or has another shape.
        """
        for network in (networks[name] for networks in (self.networks, self.targets) if name in networks):
            for block, x in network.seed_blocks(network.flat, k).items():
                found = tuple(blocks[block].shape) if block in blocks else None
                require(
                    found == tuple(x.shape), f"{name}/{block}", found, f"must have shape {tuple(x.shape)}"
                )
                x.copy_(blocks[block])

    def load_seed_state(self, k: int, state: dict[str, Any]) -> None:
        """Restore seed k from a `seed_state` dictionary; all seeds must have the same number of updates."""
        self.updates, self._summed = state["updates"], state["summed"]
        self._schedule()
        self._sums[:, k] = state["sums"]
        for name, (network, flat) in self._flats().items():
            for block, x in network.seed_blocks(flat, k).items():
                x.copy_(state[name][block])
        for name, adam in self.adams.items():
            adam.state["step"].fill_(state["steps"][name])
        self.temperature.load_seed_state(k, state["temperature"])
        self.parts.prior.load_seed_state(k, state.get("prior", {}))
        for name, part in self.parts.remembering.items():
            part.load_seed_state(k, state[name])

    def _flats(self) -> dict[str, tuple[Network, Tensor]]:
        """All flat tensors (parameters, targets, Adam moments) by name, each with its network's layout."""
        out = {name: (network, network.flat) for name, network in self.networks.items()}
        out |= {f"target_{name}": (network, network.flat) for name, network in self.targets.items()}
        for moment in ("exp_avg", "exp_avg_sq"):
            out |= {
                f"{name}_{moment}": (self.networks[name], adam.state[moment])
                for name, adam in self.adams.items()
            }
        return out
