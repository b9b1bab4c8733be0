"""Actors that explore as in training, with random numbers of their own."""

import numpy as np
import torch

from virel_deep.agent.build import make_agent
from virel_deep.design.algorithm import Algorithm
from virel_deep.networks.perceptron import Floats
from virel_deep.run.actors import SeedState
from virel_deep.run.explore import fill


class Explorer:
    """Policy of one seed that draws its actions as training does after the warm-up.

    Args:
        algorithm: algorithm of the policy.
        state: the seed's agent, as a checkpoint has it.
        source: source of the random numbers; it is not advanced.
    """

    def __init__(self, algorithm: Algorithm, state: SeedState, source: np.random.SeedSequence) -> None:
        """Build an agent of one seed, restore it, and start the random numbers."""
        self._source = torch.Generator().manual_seed(int(source.generate_state(1)[0]))
        n_action, device = state["n_action"], torch.device("cpu")
        # a policy network may read more than the observation, a critic reads that and the action
        by_critic = "critic" in state
        n_input = state["critic" if by_critic else "policy"]["0.weight"].shape[-2]
        n_observation = n_input - n_action if by_critic else n_input
        weights = [torch.Generator()]  # overwritten at once
        self._agent = make_agent(algorithm, n_observation, n_action, weights, device=device)
        self._agent.load_seed_state(0, dict(state))

    def act(self, observation: Floats) -> Floats:
        """Exploratory actions `[N, A]` at `observation [N, O]`: in [-1, 1], or one-hot."""
        noise = torch.empty(1, len(observation), self._agent.acting.width)
        fill(noise, self._agent.acting, self._source)
        action: Floats = self._agent.act(observation[None], noise.numpy())[0]
        return action
