"""A table as a model of the deep agent, and a policy of tables: noise says what happens."""

from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from verify.claims.deep.tools import Tensor, tensor
from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP


class Rollouts(NamedTuple):
    """All rollouts of h steps of a model from every pair: a row each."""

    s: NDArray[np.intp]
    a: NDArray[np.intp]
    draws: NDArray[np.intp]
    """Successor and next action of each step, `[B, h, 2]`."""
    probability: Array
    """`[B]`, given the pair."""


def rollouts(model: TabularMDP, pi: Array, h: int) -> Rollouts:
    """List the rollouts of positive probability from all pairs, with their probabilities under `pi`."""
    p, n_states, n_actions = model.dense_transition, *model.shape
    pairs = list(product(range(n_states), range(n_actions)))
    rows: list[tuple[tuple[tuple[int, int], ...], float]] = [((pair,), 1.0) for pair in pairs]
    for _ in range(h):
        rows = [
            ((*path, (after, a)), chance * p[*path[-1], after] * pi[after, a])
            for path, chance in rows
            for after, a in pairs
            if p[*path[-1], after] * pi[after, a] > 0
        ]
    paths, chances = np.array([path for path, _ in rows]), np.array([chance for _, chance in rows])
    return Rollouts(paths[:, 0, 0], paths[:, 0, 1], paths[:, 1:], chances)


class TableWorld:
    """Model of the deep agent that is a table: its noise says which state comes next."""

    width = 1
    network = None

    def __init__(self, model: TabularMDP) -> None:
        """Store the rewards."""
        self._reward = tensor(model.reward)[0]

    def follow(self, uniform: Tensor) -> "TableRollouts":
        """One model, which all rollouts follow in the order that they have."""
        from virel_deep.axes.groups import grouped  # noqa: PLC0415

        return TableRollouts(self, grouped(0 * uniform, 1))

    def member(self, uniform: Tensor) -> Tensor:
        """One model, whatever is drawn."""
        return uniform.long()

    def fit(self, data: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """Nothing is learnt."""
        return data.reward.new_zeros(1), {}

    def step(self, state: Tensor, action: Tensor, member: Tensor, noise: Tensor) -> Any:  # noqa: ARG002
        """Step to the state that the noise says; no episode ends."""
        from virel_deep.axes.tensors import Stepped  # noqa: PLC0415

        reward = (state @ self._reward * action).sum(-1)
        return Stepped(one_hot(noise[..., 0], state.shape[-1]), reward, 0 * reward)


class TableRollouts:
    """Rollouts along a table, all in one group."""

    width = 1

    def __init__(self, world: TableWorld, groups: Any) -> None:
        """Store the table and the order of the rollouts."""
        self.groups, self._world = groups, world

    def step(self, state: Tensor, action: Tensor, noise: Tensor) -> Any:
        """Step to the states that the noise says."""
        return self._world.step(state, action, noise, noise)


class TablePolicy:
    """Policy that takes the action that its noise says, with log probabilities from tables."""

    def __init__(self, pi: Array, prior: Array) -> None:
        """Store the log probabilities of policy and prior."""
        self._log_pi, self._log_prior = tensor(np.log(pi))[0], tensor(np.log(prior))[0]

    def walk(self, state: Tensor, noise: Tensor, objective: Any) -> Any:  # noqa: ARG002
        """One action per state, one-hot."""
        from virel_deep.axes.tensors import Weighted  # noqa: PLC0415

        action = one_hot(noise[..., 0], self._log_pi.shape[1])
        log_pi, log_prior = (
            (state @ table * action).sum(-1, keepdim=True) for table in (self._log_pi, self._log_prior)
        )
        return Weighted(action[:, :, None], 0 * log_pi, log_pi, log_prior)


def one_hot(index: Tensor, n: int) -> Tensor:
    """One-hot vectors `[..., n]` of whole numbers that are given as floats."""
    import torch  # noqa: PLC0415

    return torch.eye(n, dtype=torch.float64)[index.long()]


class Following(TablePolicy):
    """Posterior at next states that takes one given action each."""

    def __init__(self, policy: TablePolicy, noise: dict[str, Tensor], action: Tensor, objective: Any) -> None:
        """Store the policy, the random numbers of rollouts, and the actions `[1, B, 1]`."""
        self.noise, self._action, self._objective = noise, action, objective
        self._log_pi, self._log_prior = policy._log_pi, policy._log_prior

    def __call__(self, state: Tensor) -> Any:
        """The given actions at next states."""
        return self.walk(state, self._action, self._objective)
