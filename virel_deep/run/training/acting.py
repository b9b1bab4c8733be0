"""One step of all environment copies of all seeds: observe, act, and write the replay's rows."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from virel_deep.agent.stacked import StackedAgent
from virel_deep.data.moments import Scaling
from virel_deep.data.replay import held_out
from virel_deep.networks.perceptron import Floats
from virel_deep.run.explore import explore, fill
from virel_deep.run.training.failures import SeedFailure
from virel_deep.run.training.seed import SeedRun


class Acting:
    """Steps of K seeds with E environment copies each, in rows that every step overwrites.

    Args:
        agent: agent of all seeds.
        runs: the seeds, in the agent's order.
        copies: environment copies of each seed, E.
    """

    def __init__(self, agent: StackedAgent, runs: Sequence[SeedRun], copies: int) -> None:
        """Allocate rows and random numbers."""
        self._agent, self._runs = agent, runs
        self._rows = np.zeros((len(runs), copies, agent.columns.width), np.float32)
        self.rows: Tensor = torch.from_numpy(self._rows)
        """Rows of the replay `[K, E, width]` that the last step filled in."""
        self._uniform = torch.empty(len(runs), copies, agent.n_action)
        self._drawn = torch.empty(len(runs), copies, agent.acting.width)
        self.scalings: list[Scaling] = []
        """Normalisation of each seed's observations at this step; empty if they are not normalised."""

    def observe(self) -> None:
        """Write the current observations into the rows, and take them into the moments of the seeds."""
        columns = self._agent.columns
        for row, run in zip(self._rows, self._runs, strict=True):
            row[:, columns.observation] = run.envs.observation
            if columns.age is not None:
                row[:, columns.age] = run.envs.ages
            if run.moments is not None:
                run.moments.update(run.envs.observation)
        self.scalings = [run.moments.scaling for run in self._runs if run.moments is not None]

    def actions(self, *, uniform: bool) -> Floats:
        """Actions `[K, E, A]` for the observations in the rows: uniform, or those of the policy."""
        seen = self._rows[..., self._agent.columns.observation]
        if self.scalings:
            seen = np.stack([scaling(x) for scaling, x in zip(self.scalings, seen, strict=True)])
        noise = self._uniform if uniform else self._drawn
        for of_seed, run in zip(noise, self._runs, strict=True):
            if uniform:
                of_seed.uniform_(-1, 1, generator=run.acting)
            else:
                fill(of_seed, self._agent.acting, run.acting)
        return explore(self._agent, self._rows, noise.numpy(), uniform=uniform, observation=seen)

    def act(self, actions: Floats, step: int, stored: int) -> dict[int, SeedFailure]:
        """Step every seed's environments, and complete the rows.

        Args:
            actions: `[K, E, A]`.
            step: number of the step, for messages and logs.
            stored: rows of each seed that were ever stored.

        Returns:
            Failures of the seeds that have failed, by their place in the stack; their rows are not complete.
        """
        columns, failed = self._agent.columns, {}
        for k, (row, run) in enumerate(zip(self._rows, self._runs, strict=True)):
            row[:, columns.action] = actions[k]
            try:
                transition = run.step(actions[k], step)
            except SeedFailure as failure:
                failed[k] = failure.after(self._agent.unsound(k))
                continue
            row[:, columns.next_observation] = transition.next_observation
            row[:, columns.reward] = transition.reward
            row[:, columns.terminated] = transition.terminated
            if columns.truncated is not None:
                row[:, columns.truncated] = transition.truncated
            if columns.held_out is not None:
                row[:, columns.held_out] = held_out(stored, len(row))
        return failed
