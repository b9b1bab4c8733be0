"""Training updates of all seeds: a minibatch and random numbers are drawn, and the agent learns from them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from virel_deep.agent.capture import CapturedUpdate, cuda_graph
from virel_deep.agent.interfaces import Own
from virel_deep.agent.stacked import StackedAgent
from virel_deep.axes.interfaces import Noise
from virel_deep.data.minibatches import READ
from virel_deep.data.moments import Scaling
from virel_deep.data.replay import Replay
from virel_deep.design.run import RunConfig
from virel_deep.run.explore import fill
from virel_deep.run.training.normalising import normalise
from virel_deep.run.training.seed import SeedRun


def due_updates(config: RunConfig, step: int) -> int:
    """Number of updates that this step of all copies has."""
    algorithm = config.algorithm
    return algorithm.data.updates(
        step, window=algorithm.value.window, copies=config.copies,
        every=algorithm.update_every, ratio=algorithm.updates_per_step,
    )  # fmt: skip


class Learning:
    """Updates of K seeds, from tensors that every update overwrites.

    Args:
        agent: agent of all seeds.
        replay: their stored transitions.
        runs: the seeds, in the agent's order.
        config: configuration of the run.
    """

    def __init__(
        self, agent: StackedAgent, replay: Replay, runs: Sequence[SeedRun], config: RunConfig
    ) -> None:
        """Allocate minibatch and random numbers, and prepare the update that reads them."""
        self._agent, self._replay, self._runs, self._config = agent, replay, runs, config
        self._device = torch.device(config.device)
        algorithm, copies, draws = config.algorithm, config.copies, agent.draws
        shape = algorithm.data.shape(algorithm.value.window, copies)
        states = algorithm.data.transitions(copies) * (draws.here + draws.following)
        self.batch, self.noise = self.storage(shape, states)
        own = algorithm.temperature.estimate.batch
        self._own = Own(*self.storage((own, *shape[1:]), own * draws.following)) if own else None
        capture = cuda_graph if self._device.type == "cuda" else None
        self.compute = CapturedUpdate(agent, self.batch, self.noise, self._own, capture=capture)

    def storage(self, shape: tuple[int, ...], states: int) -> tuple[Tensor, Noise]:
        """Allocate a minibatch of a shape, and random numbers for so many states."""
        seeds, device = len(self._runs), self._device
        batch = torch.empty(seeds, *shape, self._agent.columns.width, device=device)
        noise = {
            name: torch.empty(seeds, states, draw.width, device=device)
            for name, draw in self._agent.noise.items()
        }
        return batch, noise

    def update(self, scalings: Sequence[Scaling]) -> None:
        """Make one update; `scalings` normalise observations, one per seed, if they are normalised."""
        self.draw(self.batch, self.noise, scalings)
        if self._own is not None and self._agent.kind.observes:
            self.draw(*self._own, scalings)
        self.compute()

    def draw(self, batch: Tensor, noise: Noise, scalings: Sequence[Scaling]) -> None:
        """Read a minibatch of stored transitions, and draw random numbers, each seed by its own generator."""
        generators = [run.learning for run in self._runs]
        READ[type(self._config.algorithm.data)](self._replay, generators, self._config.copies, batch)
        if scalings:
            normalise(batch, self._agent.columns, scalings)
        for name, draw in self._agent.noise.items():
            for of_seed, one in zip(noise[name], generators, strict=True):
                fill(of_seed, draw, one)
