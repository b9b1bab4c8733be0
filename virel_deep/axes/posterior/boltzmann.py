"""Posterior of soft Q-learning over a discrete space: probabilities softmax(Q / alpha), without a network."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from virel_deep.axes.categorical import all_actions, explore, greedy
from virel_deep.axes.interfaces import ONE_NUMBER, Draw, Noise, Objective
from virel_deep.axes.tensors import Weighted, seedwise
from virel_deep.axes.weights import tempered_weights
from virel_deep.networks.network import Network


class Boltzmann:
    """All A actions with probabilities softmax(Q / alpha): the best policy for the critics, no sampler.

    What is inferred are the actions at equal weights, from which the targets take the optimal soft value,
    alpha log sum exp(Q / alpha); `improve` gives them the probabilities. The policy acts by the critics.

    Args:
        n_action: A.
    """

    at_next = True
    reports: tuple[str, ...] = ()
    acting = ONE_NUMBER
    noise: Mapping[str, Draw] = {}

    def __init__(self, n_action: int) -> None:
        """Store the number of actions; there are no networks."""
        self.networks: Mapping[str, Network] = {}
        self.targets: Mapping[str, Network] = {}
        self._n_action = n_action

    def infer(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:  # noqa: ARG002
        """All actions at states `[K, R, O]`, at equal weights."""
        equal = state.new_full((*state.shape[:2], self._n_action), -math.log(self._n_action))
        action = all_actions(equal)
        return Weighted(action, equal, equal, objective.prior.log_density(state, action, None))

    def infer_next(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:
        """All actions at next states, at equal weights."""
        return self.infer(state, noise, objective)

    def improve(self, posterior: Weighted, q: Tensor, alpha: Tensor) -> Weighted:
        """Give the actions the probabilities of their values, softmax(Q / alpha)."""
        log_pi, _ = seedwise(tempered_weights, posterior.log_prior, q, alpha)
        return posterior._replace(log_weight=log_pi, log_pi=log_pi)

    def loss(self, posterior: Weighted, q: Tensor, alpha: Tensor) -> None:
        """Return None: the probabilities are a formula, with nothing to learn."""

    def report(self, posterior: Weighted) -> Mapping[str, Tensor]:  # noqa: ARG002
        """Return no metrics beyond those of every posterior."""
        return {}

    def deliberate(self, state: Tensor, noise: Tensor, objective: Objective) -> Tensor:
        """Draw one action at each state with the probabilities of its value, one-hot."""
        scaled = (self._values(state, objective) / objective.alpha[..., None]).cpu().numpy()
        chosen = [explore(*of_seed) for of_seed in zip(scaled, noise.cpu().numpy(), strict=True)]
        return torch.from_numpy(np.stack(chosen)).to(state.device)

    def settle(self, state: Tensor, objective: Objective) -> Tensor:
        """Take the action of largest value at each state, one-hot; of several the first."""
        values = self._values(state, objective)
        return torch.from_numpy(greedy(values.cpu().numpy())).to(state.device)

    def _values(self, state: Tensor, objective: Objective) -> Tensor:
        """Values `[K, N, A]` of all actions at states `[K, N, O]`, without gradient."""
        like = state.new_empty((*state.shape[:2], self._n_action))
        with torch.no_grad():
            return objective.q_of(state, all_actions(like))
